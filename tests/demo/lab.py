# SPDX-License-Identifier: BSD-2-Clause
"""The test bed: two hosts on one wire, the daemon and the front end on one, phones on the other.

Every program is a child whose lines become events in one list, in the order in which they came.
Whoever waits, waits for an event or a condition, never for time to pass; a limit turns a hang into
a Failure. close() ends what was started, the newest first.
"""

import contextlib
import itertools
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import control
import kernel
import netns
import wire

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
LIMIT_S = 60
DEVICE = "wire0"
NUMBERS = itertools.count(1)  # of the labs of this process

PCSCF_4, PCSCF_6 = "192.0.2.1", "2001:db8::1"
PHONE_4, PHONE_6 = "192.0.2.10", "2001:db8::10"

# TS 35.208 test set 1
SUBSCRIBER = {"impi": "001010000000001@ims.example", "impu": "sip:001010000000001@ims.example",
              "k": "465b5ce8b199b49faa5f0a2ee238a6bc", "opc": "cd63cb71954a9f4e48a5994e37a02baf",
              "amf": "8000", "sqn": 1024}
REALM = "ims.example"


class Failure(Exception):
    """Something did not happen, or a program ended."""


class Child:
    """A program whose output is read line by line."""

    def __init__(self, lab, name, argv, namespace, parse, pass_fds=()):
        self.lab = lab
        self.name = name
        self.parse = parse
        self.partial = b""
        self.errors_path = os.path.join(lab.directory, f"{name}.log")
        with namespace.inside(), open(self.errors_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, pass_fds=pass_fds)
        os.set_blocking(self.process.stdout.fileno(), False)
        lab.selector.register(self.process.stdout, selectors.EVENT_READ, self)

    @property
    def pid(self):
        return self.process.pid

    def say(self, line):
        """Returns the place in the list of events from where on the effects are."""
        while self.lab.pump(0):
            pass
        mark = len(self.lab.events)
        self.write(line)
        return mark

    def write(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read(self):
        data = self.process.stdout.read()
        if not data:
            self.lab.selector.unregister(self.process.stdout)
            self.lab.add_event({"who": self.name, "event": "ended"})
            return
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            self.lab.add_event({"who": self.name, **self.parse(line.decode(errors="replace"))})

    def errors(self):
        with open(self.errors_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, how=signal.SIGTERM, limit_s=LIMIT_S):
        """Ask it to end, unless @how is None; its exit status, or None when it had to be
        killed."""
        if how and self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


class Lab:
    """@listeners: those of the daemon, each a dictionary as listener() makes it. @tell is called
    with every event."""

    FRONT_END = os.path.join(HERE, "pcscf.py"),  # and the path of its configuration

    def __init__(self, listeners, tell=None, home=None):
        self.listeners = listeners
        self.tell = tell or (lambda event: None)
        self.home = home or {"realm": REALM, "subscribers": [SUBSCRIBER]}
        self.events = []
        self.selector = selectors.DefaultSelector()
        self.stack = contextlib.ExitStack()
        self.directory = tempfile.mkdtemp(prefix="secagree-")
        self.stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.control_path = os.path.join(self.directory, "control.sock")
        self.daemon = self.front_end = self.capture = None
        self.phone_count = 0
        self.newest_phone = None
        self.may_happen = ()  # "failed": phones are expected to fail
        self.daemon_settings = {}  # keys of secagreed.conf outside of sections
        self.daemon_sections = ""  # more of it, as text

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.stack.close()

    # ---- hosts and programs ----

    def make_hosts(self):
        unique = f"secagree-{os.getpid()}-{next(NUMBERS)}"
        self.pcscf_host = self._host(f"{unique}-pcscf")
        self.phone_host = self._host(f"{unique}-phone")
        netns.join(self.pcscf_host, self.phone_host, DEVICE)
        netns.address(self.pcscf_host, DEVICE, sorted({
            f"{one['address']}/{64 if ':' in one['address'] else 24}" for one in self.listeners}))
        netns.address(self.phone_host, DEVICE, [f"{PHONE_4}/24", f"{PHONE_6}/64"])

    def _host(self, name):
        host = netns.Namespace(name)
        self.stack.callback(host.close)
        return host

    def start_capture(self):
        self.capture = wire.Capture((self.pcscf_host, self.phone_host), DEVICE, self.directory)
        self.stack.callback(self.capture.stop)

    def start_daemon(self, *program, pass_fds=()):
        """@program: the words before its options."""
        path = os.path.join(self.directory, "secagreed.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.daemon_sections
                       + daemon_config(self.control_path, self.listeners,
                                       {"state-dir": f'"{self.directory}/state"',
                                        **self.daemon_settings}))
        argv = [*(program or [os.path.join(BUILD, "secagreed")]), "--config", path, "--foreground"]
        self.daemon = self._start("secagreed", argv, self.pcscf_host, plain, pass_fds)
        self.until(self._daemon_answers, "the daemon answers on its socket")

    def flush(self):
        """Take out of the kernel what a daemon that has stopped left there; what it says."""
        with self.pcscf_host.inside():
            done = subprocess.run([os.path.join(BUILD, "secagreed"), "--flush", "--config",
                                   os.path.join(self.directory, "secagreed.conf")],
                                  stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stderr

    def restart_daemon(self, how=signal.SIGTERM):
        """Its exit status."""
        status = self.daemon.end(how)
        self.start_daemon()
        return status

    def _daemon_answers(self):
        if self.daemon.process.poll() is not None:
            raise Failure(f"secagreed ended:\n{self.daemon.errors()}")
        try:
            connection = control.Control(self.control_path)
            connection.call("daemon.version")  # it listens before it is ready: callers wait
        except (OSError, ValueError):
            return False
        connection.close()
        return True

    def start_front_end(self):
        path = os.path.join(self.directory, "pcscf.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"control": self.control_path, "listeners": self.listeners,
                       "home": self.home}, file)
        self.front_end = self._start(
            "pcscf", [sys.executable, *self.FRONT_END, path], self.pcscf_host, json.loads)
        self.wait("pcscf", "ready")

    def start_phone(self, *options, address=PHONE_4, pcscf=PCSCF_4, subscriber=SUBSCRIBER):
        """secagree-ue, waiting for commands. Its keys are in a file, not in its arguments."""
        self.phone_count += 1
        name = "phone" if self.phone_count == 1 else f"phone{self.phone_count}"
        path = os.path.join(self.directory, f"{name}.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{key} = {subscriber[key]}\n"
                               for key in ("impi", "impu", "k", "opc")) + f"realm = {REALM}\n")
        where = f"[{pcscf}]" if ":" in pcscf else pcscf
        self.newest_phone = self._start(
            name, [os.path.join(BUILD, "secagree-ue"), "--config", path, "--pcscf", where,
                   "--local", address, "--interactive", *options], self.phone_host, words)
        return self.newest_phone

    def _start(self, name, argv, host, parse, pass_fds=()):
        child = Child(self, name, argv, host, parse, pass_fds)
        self.stack.callback(child.end)
        return child

    # ---- events ----

    def add_event(self, event):
        self.events.append(event)
        self.tell(event)

    def pump(self, limit_s):
        """Read what the programs said, waiting for it at most so long. Was there anything?"""
        ready = self.selector.select(limit_s)
        for key, _ in ready:
            key.data.read()
        return bool(ready)

    def wait(self, who, name, since=0, limit_s=LIMIT_S, unless=(), **fields):
        """The first event from @since on with this name and these fields. An event named in
        @unless, or the program's end, is a Failure."""
        end = time.monotonic() + limit_s
        at = since
        while True:
            while at < len(self.events):
                event = self.events[at]
                at += 1
                if event["event"] == "failed" and "failed" not in (name, *self.may_happen):
                    raise Failure(f"{event['who']} said \"{line_of(event)}\"")
                if event["who"] != who:
                    continue
                if event["event"] == name and all(event.get(key) == value
                                                  for key, value in fields.items()):
                    return event
                if event["event"] in ("ended", *unless):
                    raise Failure(f"{who} said \"{line_of(event)}\" instead of \"{name}\"")
            left = end - time.monotonic()
            if left <= 0:
                raise Failure(f"{who}: no \"{name}\" within {limit_s} s")
            self.pump(left)

    def front_end_options(self, transport):
        """An OPTIONS to the phone; where its events begin, and the last of them."""
        mark = self.front_end.say(f"options {transport}")
        return mark, self.wait("pcscf", "answered", since=mark, unless=("error",))

    def find(self, who, name, since=0, **fields):
        """The events of this kind so far."""
        return [event for event in self.events[since:]
                if event["who"] == who and event["event"] == name
                and all(event.get(key) == value for key, value in fields.items())]

    def until(self, condition, what, limit_s=LIMIT_S):
        """Ask again and again, reading events in between."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                raise Failure(f"not within {limit_s} s: {what}")
            self.pump(0.02)

    @contextlib.contextmanager
    def to_the_end(self, tap):
        """What breaks a test off is a failure of it, told with what was said last."""
        try:
            yield
        except Exception:  # whatever it is
            children = [child for child in (self.daemon, self.front_end) if child]
            tap.ok(False, "the test runs to its end", traceback.format_exc(),
                   *(f"{event['who']}: {line_of(event)[:300]}" for event in self.events[-25:]),
                   *(f"{child.name}, status {child.process.poll()}: {line}" for child in children
                     for line in child.errors().splitlines()[-12:]))

    def release_everything(self):
        """Every set of the daemon, for a run that went wrong."""
        connection = control.Control(self.control_path)
        for one in connection.call("sa.list")["sets"]:
            connection.call("sa.release", set=one["set"])
        connection.close()

    # ---- what can be read ----

    def messages(self, since=0, direction=None):
        """SIP messages that the front end saw, as events."""
        return [event for event in self.events[since:] if event["who"] == "pcscf"
                and event["event"] in ([direction] if direction else ["received", "sent"])]

    def xfrm_counters(self):
        return kernel.counters(self.front_end.pid)

    def secagreectl(self, *arguments):
        return netns.run(os.path.join(BUILD, "secagreectl"), "--socket", self.control_path,
                         *arguments)


def listener(name, address, server_port=6100, client_ports=(6104, 6107), **settings):
    """Settings in the names of secagreed.conf with _ for -; lists become lists there."""
    first, last = client_ports
    return {"name": name, "address": address, "server_port": server_port,
            "client_ports": list(range(first, last + 1)), "settings": settings}


def daemon_config(path, listeners, settings):
    text = f'user = "root"\nsocket {{ path = "{path}"  mode = "0600"  group = "root" }}\n'
    text += "".join(f"{key} = {value}\n" for key, value in {"log-level": '"debug"',
                                                            **settings}.items())
    for one in listeners:
        ports = one["client_ports"]
        text += (f'listener {one["name"]} {{\n    address = "{one["address"]}"\n'
                 f'    server-port = {one["server_port"]}\n'
                 f'    client-ports = "{ports[0]}-{ports[-1]}"\n')
        for name, value in one["settings"].items():
            text += f"    {name.replace('_', '-')} = {config_value(value)}\n"
        text += "}\n"
    return text


def config_value(value):
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(f'"{one}"' for one in value) + "}"
    return str(value)


def plain(line):
    return {"event": "line", "text": line}


def words(line):
    """The phone's way to speak: NAME key=value key="two words"."""
    name, _, rest = line.partition(" ")
    fields = {key: quoted or bare for key, quoted, bare in
              re.findall(r'([\w-]+)=(?:"([^"]*)"|(\S*))', rest)}
    return {"event": name, "line": line, **fields}


def line_of(event):
    return event.get("line") or " ".join(
        [event["event"], *(f"{key}={value}" for key, value in event.items()
                           if key not in ("who", "event", "text"))])


def show_logs(lab, story, lines=15):
    """The last words of every program, for people who look for the reason."""
    for name in ("secagreed", "pcscf", *(f"phone{n if n > 1 else ''}"
                                         for n in range(1, lab.phone_count + 1))):
        path = os.path.join(lab.directory, f"{name}.log")
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                story.say(f"{name} said last:")
                story.block("".join(file.readlines()[-lines:]))
    story.say("last events:")
    story.block("\n".join(f"{event['who']}: {line_of(event)[:300]}"
                          for event in lab.events[-lines:]))
