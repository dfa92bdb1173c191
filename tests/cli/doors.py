#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The doors of the daemon: JSON, RESP2 with redis-cli, HTTP with curl, events with secagreectl.

The daemon is its own code, sanitized, over a fake kernel (tests/unit/fake_daemon.c): needs no root.
TAP on standard output.
"""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from tap import CTL, ROOT, Run, Tap  # noqa: E402

T = Tap()
DAEMON = os.path.join(ROOT, os.environ.get("BUILD", "build"), "unit", "fake_daemon")
LIMIT_S = 60
BURST, KEPT = 5000, 1024  # events of one SIGUSR1; events that the daemon keeps
CK = "b40ba9a3c58b2a05bbf0d987b21bf8cb"
IK = "f769bcd751044604127672711c6d3441"
OFFER = {"impi": "a@ims", "ue": "198.51.100.7", "pcscf": "192.0.2.1", "ck": CK, "ik": IK,
         "security_client": "ipsec-3gpp; alg=hmac-sha-1-96; ealg=aes-cbc; spi-c=1001; "
                            "spi-s=1002; port-c=5062; port-s=5064"}
CONFIG = """
socket { path = "%(dir)s/control.sock" }
http { path = "%(dir)s/http.sock" listen = "127.0.0.1:%(port)d" }
max-connections = 20
listener ims { address = "192.0.2.1" server-port = 6100 client-ports = "6104-6107" }
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.control = os.path.join(self.dir.name, "control.sock")
        self.http = os.path.join(self.dir.name, "http.sock")
        self.config = os.path.join(self.dir.name, "conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG % {"dir": self.dir.name, "port": self.port})

    def spawn(self):
        return subprocess.Popen([DAEMON, self.config], stderr=subprocess.PIPE)

    def __enter__(self):
        self.process = self.spawn()
        while True:  # until it listens at its last door, or is dead
            try:
                socket.create_connection(("127.0.0.1", self.port), LIMIT_S).close()
                return self
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise

    def __exit__(self, *_):
        self.process.terminate()
        _, self.errors = self.process.communicate(timeout=LIMIT_S)
        self.left = sorted(os.listdir(self.dir.name))
        self.dir.cleanup()


class Door:
    """A raw connection, read by lines."""

    def __init__(self, path, data=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(data)

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def line(self):
        return self.file.readline()

    def all(self):
        """Up to the end, whichever way it ends."""
        data = b""
        try:
            while piece := self.file.read1():
                data += piece
        except ConnectionResetError:
            pass
        return data

    def json(self, method=None, **params):
        if method:
            self.send(request(method, **params))
        return json.loads(self.line() or b"null")

    def resp(self):
        """One reply: bytes, or a str for a line."""
        line = self.line()
        if line[:1] == b"$":
            return self.file.read(int(line[1:]) + 2)[:-2]
        return line.decode().rstrip("\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


def request(method, number=1, **params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method,
                       "params": params}).encode()


def command(*words):
    words = [word if isinstance(word, bytes) else word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                              for word in words)


def alive(daemon, what):
    """Another connection is served as before."""
    with Door(daemon.control) as door:
        T.equal(list(door.json("daemon.version")["result"]), ["version"], what)


# ---- RESP2 ----

def resp():
    with Daemon() as daemon:
        with Door(daemon.control) as door:
            text = command("PING") + command("agreement.compare", '{"a": "x; b=1", "b": "X;b=1"}')
            for byte in text:
                door.send(bytes([byte]))
            T.equal((door.resp(), door.resp()), ("+PONG", b'{"equal":true}'),
                    "RESP2, byte by byte; params with spaces")
            door.send(command("daemon.version") * 1000)
            answers = {door.resp() for _ in range(1000)}
            T.equal(len(answers), 1, "1000 commands before the first answer is read")
            door.send(b"*0\r\n" + command("SELECT", "0") + command("sa.show", "{}"))
            T.equal((door.resp(), door.resp()[:12]), ("+OK", "-BAD_PARAMS "),
                    "an empty command is passed over, an error is a line")
            door.send(command("PING")[:-3])
            door.half_close()
            T.equal(door.all(), b"", "half a command, then nothing: closed")
        with Door(daemon.control, command("PING") + command("QUIT") + command("PING")) as door:
            T.equal(door.all(), b"+PONG\r\n+OK\r\n", "QUIT closes, and nothing behind it is done")
        with Door(daemon.control, command("PING") * 3) as door:
            door.half_close()
            T.equal(door.all(), b"+PONG\r\n" * 3, "after half-close all answers come")
        with Door(daemon.control, command("daemon.methods") * 3000) as door:
            alive(daemon, "one who does not read his answers holds up nobody")
            T.equal(len({door.resp() for _ in range(3000)}), 1, "and gets all of them")
    T.equal((daemon.process.returncode, daemon.errors, daemon.left), (0, b"", ["conf"]),
            "the daemon ends in order, and its sockets are gone")


GARBAGE = {
    "inline": b"*1\r\n$4\r\nPING\r\nPING\r\n", "arrays in arrays": b"*1\r\n*1\r\n$1\r\nx\r\n",
    "an endless length": b"*" + b"1" * 100000, "too many arguments": b"*1000\r\n",
    "too long an argument": b"*1\r\n$1000000\r\n", "no length": b"*\r\n",
    "binary": b"*" + bytes(range(256)),
}


def garbage():
    with Daemon() as daemon:
        with Door(daemon.control) as json_door, Door(daemon.control, command("PING")) as resp_door:
            json_door.json("daemon.version")
            resp_door.resp()
            for what, data in GARBAGE.items():
                with Door(daemon.control) as door:
                    try:
                        door.send(data)
                    except BrokenPipeError:
                        pass
                    last = door.all().splitlines()[-1:]
                T.ok(last and last[0].startswith(b"-ERR Protocol error: "),
                     "RESP2 garbage ends its connection: " + what, last)
            for data in (b"PING\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe", b"\x00"):
                with Door(daemon.control, data) as door:
                    T.equal(json.loads(door.all())["error"]["code"], -32700,
                            "so does %r, where JSON or RESP2 begins" % data)
            for data in (b"\r\n\r\n", b"{}\r\n\r\n", b"\x16\x03\x01" + b"\r\n\r\n",
                         b"GET / HTTP/1.1\r\n\r\n", b"POST /rpc HTTP/1.1\r\nHost: x\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"):
                with Door(daemon.http, data) as door:
                    answer = door.all()
                    T.ok(re.match(rb"HTTP/1.1 4(00|11) ", answer), "HTTP garbage: %r" % data[:12],
                         answer)
            json_door.send(request("daemon.version"))
            resp_door.send(command("PING"))
            T.ok("result" in json_door.json() and resp_door.resp() == "+PONG",
                 "and the connections that were there go on")
    T.equal((daemon.process.returncode, daemon.errors), (0, b""), "the daemon too")


def redis_cli(daemon, *words, stdin=None):
    return subprocess.run(["redis-cli", "-s", daemon.control, *words], input=stdin, text=True,
                          capture_output=True, timeout=LIMIT_S, check=False).stdout.rstrip("\n")


def redis():
    with Daemon() as daemon:
        T.equal(redis_cli(daemon, "ping"), "PONG", "redis-cli: ping")
        made = json.loads(redis_cli(daemon, "-x", "sa.offer", stdin=json.dumps(OFFER)))
        T.equal(made["state"], "temporary", "redis-cli: sa.offer, with its keys on standard input")
        params = json.dumps({"set": made["set"], "expires": 60})
        T.equal(json.loads(redis_cli(daemon, "sa.confirm", params))["state"], "current",
                "redis-cli: sa.confirm")
        params = json.dumps({"set": made["set"]})
        T.ok(redis_cli(daemon, "sa.fail", params).startswith("WRONG_STATE "),
             "redis-cli: an error")
        T.equal(json.loads(redis_cli(daemon, "CALL", "sa.fail", params))["error"]["data"]["reason"],
                "wrong_state", "redis-cli: an error as data")
        encoded = base64.b64encode(params.encode()).decode()
        T.equal(json.loads(redis_cli(daemon, "sa.show", encoded))["set"], made["set"],
                "redis-cli: params in base64")
        T.ok("PONG" in redis_cli(daemon, "-3", "ping"), "redis-cli -3 falls back to RESP2")
        T.equal(redis_cli(daemon, "-r", "3", "--raw", "daemon.version").count("version"), 3,
                "redis-cli: the same three times on one connection")


# ---- HTTP ----

def curl(daemon, *words):
    """Body and status of the last request."""
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", "--unix-socket", daemon.http,
                           *words], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    body, _, status = done.stdout.rpartition("\n")
    return body, int(status or 0)


def http():
    version = request("daemon.version").decode()
    with Daemon() as daemon:
        T.equal(curl(daemon, "http://x/healthz"), ("ok\n", 200), "curl: /healthz")
        body, status = curl(daemon, "-d", version, "http://x/rpc")
        T.ok(status == 200 and "version" in json.loads(body)["result"], "curl: POST /rpc", body)
        body, status = curl(daemon, "-d", "[%s,%s]" % (version, version), "http://x/rpc")
        T.ok(status == 200 and len(json.loads(body)) == 2, "curl: a batch", body)
        T.equal(curl(daemon, "-d", json.dumps({"jsonrpc": "2.0", "method": "daemon.version"}),
                     "http://x/rpc"), ("", 204), "curl: a notification has no content")
        big = "@" + os.path.join(daemon.dir.name, "big")
        with open(big[1:], "wb") as file:
            file.write(b" " * 300000)
        T.equal(curl(daemon, "--data-binary", big, "http://x/rpc")[1], 413,
                "curl: too large a body")
        T.equal(curl(daemon, "-H", "Expect: 100-continue", "-d", version, "http://x/rpc")[1], 417,
                "curl: an expectation that is not met")
        T.equal(curl(daemon, "-H", "A: " + "x" * 9000, "http://x/healthz")[1], 431,
                "curl: too large a head")
        T.equal(curl(daemon, "http://x/rpc")[1], 405, "curl: GET /rpc")
        body, status = curl(daemon, "http://x/healthz", "http://x/healthz")
        T.ok(body.count("ok") == 2, "curl: two requests on one connection", body)
        tcp(daemon, version)
        idle = [Door(daemon.http, b"GET /heal") for _ in range(40)]
        alive(daemon, "40 slow clients of HTTP hold up nobody at the control socket")
        for door in idle:
            door.__exit__()
        T.equal(curl(daemon, "http://x/healthz")[1], 200, "and when they are gone, HTTP goes on")
    T.equal((daemon.process.returncode, daemon.errors), (0, b""), "the daemon ends in order")


def tcp(daemon, version):
    url = "http://127.0.0.1:%d" % daemon.port

    def ask(*words):
        return subprocess.run(["curl", "-sS", "-o", "-", "-w", "%{http_code}", *words],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False).stdout

    metrics = ask(url + "/metrics")
    T.ok(metrics.endswith("200") and 'secagreed_sets{state="current"} 0\n' in metrics,
         "curl: /metrics by TCP", metrics)
    T.ok(all(re.match(r'(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [\d.]+)$', line)
             for line in metrics[:-3].splitlines()), "each line is one that Prometheus reads")
    T.ok(ask(url + "/healthz") == "ok\n200", "curl: /healthz by TCP")
    T.ok(ask("-d", version, url + "/rpc").endswith("404"), "there is no control over TCP")


def same_answers():
    """The three framings have one dispatcher."""
    with Daemon() as daemon:
        for method, params in (("agreement.parse", {"header": "Security-Client", "value": "a;q=1"}),
                               ("agreement.parse", {"header": "Security-Client", "value": ";"}),
                               ("sa.show", {}), ("no.such", {}), ("daemon.methods", {}),
                               ("sa.list", {"limit": 3}), ("sa.route", {"impi": "nobody"})):
            with Door(daemon.control) as door:
                by_json = door.json(method, **params)
            with Door(daemon.control, command("CALL", method, json.dumps(params))) as door:
                by_resp = json.loads(door.resp())
            by_http = json.loads(curl(daemon, "-d", request(method, **params).decode(),
                                      "http://x/rpc")[0])
            kind = "result" if "result" in by_json else "error"
            T.ok(by_json == by_http and by_json[kind] == by_resp.get(kind),
                 "%s: the same %s in JSON, RESP2 and HTTP" % (method, kind),
                 (by_json, by_resp, by_http))


# ---- events ----

def come_and_go(door):
    """Three events."""
    made = door.json("sa.offer", **OFFER)["result"]["set"]
    door.json("sa.fail", set=made)
    return made


def events():
    with Daemon() as daemon, Door(daemon.control) as reader, Door(daemon.control) as door:
        T.equal(reader.json("event.subscribe")["result"], {"last": 0, "next": 1}, "subscribed")
        made = come_and_go(door)
        seen = [reader.json() for _ in range(3)]
        T.equal([(e["method"], e["params"]["seq"], e["params"]["event"], e["params"].get("to"),
                  e["params"].get("set")) for e in seen],
                [("event", 1, "offer", None, None), ("event", 2, "set-made", None, made),
                 ("event", 3, "set-state", "gone", made)],
                "a set comes and goes, as it happens")
        T.ok("id" not in seen[0] and CK not in json.dumps(seen), "events are notifications, no key")
        T.equal(reader.json("daemon.version")["id"], 1, "a subscriber may ask as before")
        with Door(daemon.control) as late:
            late.json("event.subscribe", since=0)
            T.equal([late.json()["params"]["seq"] for _ in range(3)], [1, 2, 3],
                    "since: what was missed comes first")
        listed = door.json("event.list", since=0, limit=1)["result"]
        T.equal(([e["seq"] for e in listed["events"]], listed["last"], listed["lost"],
                 listed["more"]), ([1], 3, 0, True), "event.list, page by page")
        T.equal(door.json("event.list", since=99)["result"]["events"][0]["seq"], 1,
                "a number of an earlier run: all that is kept")
        with Door(daemon.control, command("event.subscribe")) as resp_door:
            T.ok(resp_door.resp().startswith("-NO_STREAM "), "no subscription by RESP2")
        overrun(daemon, reader, door)


def overrun(daemon, reader, door):
    T.equal(reader.json()["params"]["event"], "refused", "a refusal is an event")
    daemon.process.send_signal(signal.SIGUSR1)
    T.equal(reader.json(), {"jsonrpc": "2.0", "method": "event.lost", "params":
                            {"count": BURST - KEPT, "next": 5 + BURST - KEPT}},
            "more at once than is kept: told how many are lost")
    seen = [reader.json()["params"]["seq"] for _ in range(KEPT)]
    T.equal(seen, list(range(seen[0], seen[0] + KEPT)), "and the rest comes in order")
    with Door(daemon.control) as slow:
        first = slow.json("event.subscribe")["result"]["next"]
        for _ in range(10):
            daemon.process.send_signal(signal.SIGUSR1)
            while door.json("event.list", limit=0)["result"]["last"] < first + BURST - 1:
                pass
            first += BURST
        T.ok("result" in door.json("daemon.version"), "a subscriber that does not read holds up "
             "nobody")
        sent, lost = count_events(slow, 10 * BURST)
        T.equal(sent + lost, 10 * BURST, "events that it gets and those that it loses add up")
        T.ok(sent < 10 * KEPT, "and the daemon has not hoarded what it did not read", sent)


def count_events(door, wanted):
    sent = lost = 0
    while sent + lost < wanted and (message := door.json()):
        if message["method"] == "event.lost":
            lost += message["params"]["count"]
        else:
            sent += 1
    return sent, lost


def monitor():
    with Daemon() as daemon, Door(daemon.control) as door:
        with subprocess.Popen([CTL, "--socket", daemon.control, "monitor", "--since", "0"],
                              stdout=subprocess.PIPE, text=True) as program:
            made = come_and_go(door)
            lines = [program.stdout.readline() for _ in range(3)]
            program.kill()
        T.ok(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 2 info set-made set=%s impi=a@ims "
                      r"ue=198.51.100.7 listener=ims alg=hmac-sha-1-96 ealg=aes-cbc prot=esp "
                      r"mod=trans security_server=\".*\" left_s=240\n$" % made, lines[1]),
             "monitor, for people", lines[1])
        T.ok(" set-state set=%s " % made in lines[2] and " to=gone " in lines[2],
             "monitor: a set goes", lines[2])
        daemon.process.send_signal(signal.SIGUSR1)
        while door.json("event.list", limit=0)["result"]["last"] < 3 + BURST:
            pass
        with subprocess.Popen([CTL, "--socket", daemon.control, "--json", "monitor", "--since",
                               "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as program:
            first = [json.loads(program.stdout.readline()) for _ in range(2)]
            daemon.process.terminate()
            _, errors = program.communicate(timeout=LIMIT_S)
        T.ok(first[0]["lost"]["next"] == first[1]["seq"] and first[1]["event"] == "set-moved",
             "monitor --json: what is lost, and events", first)
        T.ok(program.returncode == 4 and "closed the connection" in errors,
             "monitor ends with the daemon, exit 4", errors)
        r = Run("--socket", daemon.control, "monitor")
        T.equal(r.exit, 4, "monitor without a daemon: exit 4")


def second():
    with Daemon() as daemon:
        done = subprocess.run([DAEMON, daemon.config], capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
        T.ok(done.returncode == 1 and "another secagreed answers there" in done.stderr,
             "a second daemon takes no door away", done.stderr)
        alive(daemon, "and the first goes on")
        T.equal(curl(daemon, "http://x/healthz")[1], 200, "over HTTP, too")


def names():
    """What a request has that there is not is named to whoever typed it."""
    with Daemon() as daemon:
        for args, words in ((("sa.list", '{"limt":1}'), 'unknown parameter "limt"'),
                            (("sa.lst",), 'no such method "sa.lst"')):
            r = Run("--socket", daemon.control, "call", *args)
            T.ok(r.exit == 1 and words in r.err and r.err.endswith("\nTry secagreectl methods\n"),
                 f"call: {words}", r)


def main():
    for part in (resp, garbage, redis, http, same_answers, names, events, monitor, second):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
