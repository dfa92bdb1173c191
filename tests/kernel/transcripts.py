#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The exchanges of secagreed-control(7), replayed against the daemon on a real kernel.

Sends the very requests of the page, in its order, to a daemon with the sample configuration, and
compares the answers: the same fields in the same order and the same values, but for those that
chance or time decides, of which only the type is compared. Then every field of every answer and
every method that daemon.methods lists must stand in the page. TAP.

--print writes the page with the answers of this daemon to standard output instead. A request may
then have @set@, @security_server@ and @port@ for those of the answers before it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../demo"), os.path.join(HERE, "../doc/lib")]

import control  # noqa: E402
import manual  # noqa: E402
from tap import Tap  # noqa: E402

PAGE = "secagreed-control.7"
BUILD = os.path.join(manual.ROOT, os.environ.get("BUILD") or "build")
START_S = 60
NUMBERS = re.compile(r"(spi-c|spi-s|port-c|spi|port1|port2)=\d+")

# Random, or changing with time.
VARIES = {"set", "superseded", "released", "next", "spi_c", "spi_s", "spi", "port_c", "port1",
          "port2", "port", "sport", "dport", "expires_in", "hard_left", "used_ago", "pid",
          "uptime_s", "datagrams", "messages"}


# ---- the daemon, in a network namespace of its own ----

def enter_namespace():
    if os.environ.get("TRANSCRIPTS_INSIDE"):
        return
    os.environ["TRANSCRIPTS_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(__file__),
                          *sys.argv[1:]])


def make_addresses():
    for arguments in (("link", "set", "lo", "up"), ("address", "add", "192.0.2.1/32", "dev", "lo"),
                      ("address", "add", "2001:db8::1/128", "dev", "lo", "nodad")):
        subprocess.run(("ip", *arguments), check=True)


def write_sample(directory):
    """The sample configuration, with its files elsewhere. Returns both paths."""
    socket_path = os.path.join(directory, "control.sock")
    text, count = re.subn(r'path = "[^"]+"', f'path = "{socket_path}"',
                          manual.read("conf", "secagreed.conf"))
    text = text.replace('user = ""', 'user = "root"')
    assert count == 1, "the sample has one socket path"
    text = text.replace("/run/secagreed/state", os.path.join(directory, "state"))
    path = os.path.join(directory, "secagreed.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path, socket_path


def start(directory):
    config, socket_path = write_sample(directory)
    log = open(os.path.join(directory, "log"), "wb+")
    daemon = subprocess.Popen(
        (os.path.join(BUILD, "secagreed"), "--foreground", "--config", config), stderr=log)
    for _ in range(START_S * 10):
        if daemon.poll() is not None:
            break
        try:
            return daemon, control.Control(socket_path)
        except OSError:
            time.sleep(0.1)
    daemon.kill()
    log.seek(0)
    sys.exit("the daemon did not start:\n" + log.read().decode())


# ---- comparing ----

def comparable(value, name=""):
    """@value without what varies."""
    if isinstance(value, dict):
        return [(key, comparable(item, key)) for key, item in value.items()]
    if isinstance(value, list):
        return [comparable(item, name) for item in value]
    if name in VARIES:
        return type(value).__name__
    if name == "security_server":
        return NUMBERS.sub(r"\1=*", value)
    return value


def first_difference(wanted, seen):
    wanted, seen = (json.dumps(value) for value in (wanted, seen))
    at = next((i for i, (a, b) in enumerate(zip(wanted, seen)) if a != b),
              min(len(wanted), len(seen)))
    around = slice(max(0, at - 60), at + 60)
    return f"page: ...{wanted[around]}", f"seen: ...{seen[around]}"


def fields(value, found):
    """All field names of an answer's result or error, "refused" and "sets" by state left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            found.add(key)
            if key != "refused":
                fields(item, found)
    elif isinstance(value, list):
        for item in value:
            fields(item, found)
    return found


def result_of(answer):
    answer = json.loads(answer)
    return answer.get("result", {}) if isinstance(answer, dict) else {}


class Replay:
    """Knows which set and header of the page is which one of this run."""

    def __init__(self, connection):
        self.connection = connection
        self.now = {}   # text in the page -> text in this run
        self.last = {}  # for the placeholders of --print

    def ask(self, request):
        """Returns the request with what it names put right, and its answer."""
        for name, value in self.last.items():
            request = request.replace(f"@{name}@", value)
        for then, now in self.now.items():
            request = request.replace(then, now)
        self.connection.send(request.encode() + b"\n")
        answer = self.connection.line().decode()
        self.remember(result_of(answer))
        return request, answer

    def remember(self, result):
        for key in ("set", "security_server"):
            if key in result:
                self.last[key] = result[key]
        if "port1" in result.get("pcscf", {}):
            self.last["port"] = str(result["pcscf"]["port1"])

    def learn(self, page, seen):
        """From an answer of the page and the one of this run."""
        page, seen = result_of(page), result_of(seen)
        for key in ("set", "security_server"):
            if key in page and key in seen:
                self.now[page[key]] = seen[key]
        if "port1" in page.get("pcscf", {}) and "port1" in seen.get("pcscf", {}):
            then, now = (f'"pcscf_port":{result["pcscf"]["port1"]},' for result in (page, seen))
            self.now[then] = now

    def ask_for_print(self, request, old_answer):
        request, answer = self.ask(request)
        if old_answer:
            self.learn(old_answer, answer)
        return request, answer


def compare(tap, replay, number, request, wanted):
    call = json.loads(request)
    name = call["method"] if isinstance(call, dict) else "a batch"
    seen = replay.ask(request)[1]
    replay.learn(wanted, seen)
    page, now = (comparable(json.loads(text)) for text in (wanted, seen))
    tap.ok(page == now, f"exchange {number}, {name}: the answer is that of the page",
           *first_difference(page, now))
    return fields(json.loads(seen), set())


def check_methods(tap, connection, source):
    """daemon.methods and the page say the same."""
    listed = {method["name"]: method["params"]
              for method in connection.call("daemon.methods")["methods"]}
    described = manual.sections("\n".join(manual.sections(source, "Sh")["METHODS"]), "Ss")
    tap.ok(list(listed) == list(described),
           "daemon.methods lists the methods of the page, in order",
           f"daemon {list(listed)}", f"page {list(described)}")
    for name, params in listed.items():
        on_page = [(param, "required" in rest)
                   for param, rest in manual.items(described.get(name, []), "Fa")]
        names = {param for param, _ in on_page}
        wanted = {(param["name"], param["required"]) for param in params}
        tap.ok({param for param, _ in wanted} == names and wanted <= set(on_page),
               f"{name}: its parameters are those of the page", f"daemon {wanted}",
               f"page {on_page}")


def test(connection, source):
    tap = Tap()
    replay = Replay(connection)
    exchanges = manual.transcripts(source)
    seen = set()
    tap.ok(len(exchanges) >= 15, "the page has exchanges")
    for number, (request, answer) in enumerate(exchanges, 1):
        if answer is None:
            tap.ok(False, f"exchange {number} has an answer in the page")
            continue
        seen |= compare(tap, replay, number, request, answer)
    named = re.findall(r"^\.(?:It )?Va (.*)", source, re.M)
    described = set(re.findall(r"[a-z_0-9]+", " ".join(named)))
    missing = seen - described - {"jsonrpc", "result", "error", "id"}
    tap.ok(not missing, "every field of these answers is described", *sorted(missing))
    check_methods(tap, connection, source)
    return tap.finish()


def main():
    enter_namespace()
    make_addresses()
    source = manual.page(PAGE)
    with tempfile.TemporaryDirectory() as directory:
        daemon, connection = start(directory)
        try:
            if "--print" in sys.argv[1:]:
                print(manual.with_answers(source, Replay(connection).ask_for_print), end="")
                return 0
            return test(connection, source)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(START_S)


if __name__ == "__main__":
    sys.exit(main())
