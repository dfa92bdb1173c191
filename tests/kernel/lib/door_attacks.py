# SPDX-License-Identifier: BSD-2-Clause
"""Attacks on the daemon's sockets by local programs. Each is held against what daemon.status
counts: why the connection ended, or why the request was refused.
"""

import json
import os
import resource
import socket
import time

import lab
from control import Control, ControlError

NOBODY = 65534
HTTP_MAX, CONTROL_MAX = 32, 64  # connections at a door of HTTP, and of JSON as configured here
SLOW_S, UNREAD_S = 30, 60       # of secagreed-control(7), Limits
VERSION = b'{"jsonrpc":"2.0","id":1,"method":"daemon.version"}'
METHODS = b'{"jsonrpc":"2.0","id":1,"method":"daemon.methods"}'
SUBSCRIBE = b'{"jsonrpc":"2.0","id":1,"method":"event.subscribe"}'
EXPORT = b'{"jsonrpc":"2.0","id":1,"method":"sa.export_keys"}'
HOST = b" HTTP/1.1\r\nHost: x\r\n"
KEYS = {"ck": "00112233445566778899aabbccddeeff", "ik": "ffeeddccbbaa99887766554433221100"}


def command(*words):
    """In RESP2."""
    words = [word if isinstance(word, bytes) else word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                              for word in words)


def post(body, more=b""):
    return b"POST /rpc" + HOST + b"Content-Length: %d\r\n" % len(body) + more + b"\r\n" + body


# What cannot be framed: the connection ends. (what, bytes, what the last answer has)
BAD_JSON = (
    ("JSON of 300000 bytes", b'{"a":"' + b"A" * 300000 + b'"}', b"too large or too deep"),
    ("JSON of 300000 spaces", b" " * 300000, b"too large or too deep"),
    ("33 brackets", b"[" * 33, b"too large or too deep"),
    ("100000 braces", b'{"a":' * 100000, b"too large or too deep"),
    ("a good request, then garbage", VERSION + b"garbage" + VERSION, b"a request begins with"),
    ("binary", bytes(range(255, -1, -1)), b"a request begins with"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"a request begins with"),
)
BAD_RESP = (
    ("a bulk of 2 GB", b"*1\r\n$2147483647\r\n", b"-ERR"),
    ("a bulk of 2^64", b"*1\r\n$18446744073709551616\r\n", b"-ERR"),
    ("a bulk of less than nothing", b"*1\r\n$-1\r\n", b"-ERR"),
    ("a million arguments", b"*1000000\r\n", b"-ERR"),
    ("arrays in arrays", b"*1\r\n" * 1000, b"-ERR"),
    ("a length without end", b"*" + b"1" * 5000, b"-ERR"),
    ("an argument longer than it says", b"*1\r\n$4\r\nPINGPING\r\n", b"-ERR"),
    ("a command above the limit, argument by argument",
     b"*16\r\n" + b"$65536\r\n%s\r\n" % (b"A" * 65536) * 16, b"-ERR"),
    ("1000 good commands, then garbage", command("PING") * 1000 + b"PING\r\n", b"-ERR"),
)
# The forms of request smuggling: what two readers of HTTP may read in two ways has one answer, no.
BAD_HTTP = (
    ("two lengths", b"POST /rpc" + HOST + b"Content-Length: 2\r\nContent-Length: 52\r\n\r\n{}", 400),
    ("a list of lengths", b"POST /rpc" + HOST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    ("a length and chunks", post(b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), 411),
    ("chunks, oddly written", post(b"0\r\n\r\n", b"Transfer-Encoding: xchunked\r\n"), 411),
    ("a space before the colon", b"POST /rpc" + HOST + b"Content-Length : 2\r\n\r\n{}", 400),
    ("a length with a sign", b"POST /rpc" + HOST + b"Content-Length: +2\r\n\r\n{}", 400),
    ("a length in hexadecimal", b"POST /rpc" + HOST + b"Content-Length: 0x2\r\n\r\n{}", 400),
    ("a folded line", b"POST /rpc" + HOST + b"A: b\r\n Content-Length: 2\r\n\r\n{}", 400),
    ("a line feed alone", b"POST /rpc" + HOST + b"A: b\nContent-Length: 2\r\n\r\n{}", 400),
    ("two hosts", b"GET /healthz" + HOST + b"Host: y\r\n\r\n", 400),
    ("NUL in a field", b"GET /healthz" + HOST + b"A: \x00\r\n\r\n", 400),
    ("a head without end", b"GET /healthz" + HOST + b"A: " + b"x" * 9000, 431),
    ("10000 fields", b"GET /healthz" + HOST + b"a:b\r\n" * 10000, 431),
    ("a body of 4 GB", b"POST /rpc" + HOST + b"Content-Length: 4294967295\r\n\r\n", 413),
    ("an expectation", post(b"{}", b"Expect: 100-continue\r\n"), 417),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("another proxy's URL", b"GET http://127.0.0.1/healthz" + HOST + b"\r\n", 400),
)
# Framed, but no call. (what, bytes, fault)
NO_CALL = (
    ("brackets without JSON", b"{x}", "no_json"),
    ("a name twice", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"daemon.version"}', "no_json"),
    ("32 brackets", b"[" * 32 + b"]" * 32, "no_request"),
    ("a batch of 257", b"[" + b",".join([VERSION] * 257) + b"]", "no_request"),
    ("a method that is not there", VERSION.replace(b"version", b"shutdown"), "no_method"),
    ("a method with NUL, by RESP2", command(b"sa.list\0x"), "no_method"),
    ("params that are no JSON, by RESP2", command("sa.show", "{x}"), "no_json"),
)


def configure(bed):
    """Before the daemon starts."""
    bed.monitor_path = os.path.join(bed.directory, "monitor.sock")
    bed.http_path = os.path.join(bed.directory, "http.sock")
    bed.daemon_sections = (f'monitor {{ path = "{bed.monitor_path}"  mode = "0666" }}\n'
                           f'http {{ path = "{bed.http_path}" }}\n')
    bed.daemon_settings = {"allow-key-export": '"on"', "max-connections": CONTROL_MAX}
    os.chmod(bed.directory, 0o755)  # who may come in is up to the sockets


class Peer:
    """A connection that may say anything."""

    def __init__(self, path, data=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.send(data)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon has hung up on it already

    def push(self, data):
        """As much as is taken, without waiting."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.send(data)
        except BlockingIOError:
            pass
        self.socket.settimeout(30)

    def all(self):
        """Until the daemon closes, or has nothing to say for long."""
        found = b""
        try:
            while data := self.socket.recv(65536):
                found += data
        except (ConnectionResetError, TimeoutError):
            pass
        return found

    def close(self):
        self.socket.close()


def as_user(uid, function):
    """What @function returns, as text, in a process of this user and group."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            said = str(function())
        except OSError as error:
            said = type(error).__name__
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


def reason_of(path, method, **params):
    try:
        return str(Control(path).call(method, **params))
    except ControlError as error:
        return error.reason


class Doors:
    """@goes_on: a phone and a new client are served."""

    def __init__(self, bed, tap, goes_on):
        self.bed, self.tap, self.goes_on = bed, tap, goes_on
        self.control = Control(bed.control_path)

    def status(self):
        return self.control.call("daemon.status")

    def connections(self):
        """By door."""
        return {one["door"]: one for one in self.status()["connections"]}

    def count(self, door, what):
        return self.connections()[door][what]

    def metrics(self):
        peer = Peer(self.bed.http_path, b"GET /metrics" + HOST + b"Connection: close\r\n\r\n")
        lines = peer.all().decode().splitlines()
        peer.close()
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("secagreed_"))

    def becomes(self, what, condition, limit_s=20):
        try:
            self.bed.until(condition, what, limit_s)
        except lab.Failure:
            return False
        return True

    # ---- framing ----

    def bad_frames(self, door, path, attacks, fits):
        """Each has one last answer, and its connection ends; no request in it is done."""
        for what, data, wanted in attacks:
            before = self.count(door, "bad_frame")
            peer = Peer(path, data)
            answer = peer.all()
            peer.close()
            # one that is hung up on while it still sends may lose the answer
            right = fits(answer, wanted) or not answer and len(data) > 65536
            counted = self.count(door, "bad_frame") - before
            self.tap.ok(right and counted == 1 and self.goes_on(),
                        f"{door}: {what}: bad_frame 1", counted, answer[-200:])

    def framing(self):
        self.bad_frames("control", self.bed.control_path, BAD_JSON,
                        lambda answer, wanted: wanted in answer.splitlines()[-1])
        self.bad_frames("control", self.bed.control_path, BAD_RESP,
                        lambda answer, wanted: answer.splitlines()[-1].startswith(wanted))
        self.bad_frames("http", self.bed.http_path, BAD_HTTP, lambda answer, wanted:
                        answer.startswith(b"HTTP/1.1 %d " % wanted)
                        and answer.count(b"HTTP/1.1 ") == 1)

    def hidden_request(self):
        """A request in the body of another is a body."""
        before = self.metrics()
        inner = post(VERSION)
        peer = Peer(self.bed.http_path, b"GET /healthz" + HOST + b"Connection: close\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(inner) + inner)
        answer = peer.all()
        peer.close()
        name = 'secagreed_requests_total{method="daemon.version",result="done"}'
        self.tap.ok(answer.count(b"HTTP/1.1 ") == 1 and self.metrics()[name] == before[name],
                    "http: a request inside a body is not done", answer)

    def no_calls(self):
        for what, data, fault in NO_CALL:
            name = f'secagreed_bad_requests_total{{fault="{fault}"}}'
            before = int(self.metrics()[name])
            peer = Peer(self.bed.control_path, data + b"\n" * (data[:1] != b"*"))
            peer.socket.recv(65536)
            counted = int(self.metrics()[name]) - before
            peer.close()
            self.tap.ok(counted == 1, f"control: {what}: {fault} 1", counted)

    def halves(self):
        """Peers that leave in the middle."""
        before, halves = self.count("control", "left"), (VERSION[:20], command("PING")[:-3], b"*")
        for half in halves * 10:
            Peer(self.bed.control_path, half).close()
        self.tap.ok(self.becomes("they are gone", lambda: self.count("control", "left")
                                 >= before + 30) and self.goes_on(),
                    "control: 30 that leave in the middle of a request: left 30")

    # ---- time ----

    def begin(self):
        """Those whose time runs while the rest goes on."""
        self.begun = time.monotonic()
        self.slow = [Peer(self.bed.control_path, half) for half in (b"{", command("PING")[:-3])]
        self.slow += [Peer(self.bed.http_path, b"GET /heal") for _ in range(HTTP_MAX)]
        self.silent = Peer(self.bed.control_path, VERSION + b"\n")
        self.deaf = [Peer(self.bed.control_path) for _ in range(2)]
        self.deaf[0].push(METHODS * 1000)
        self.deaf[1].send(SUBSCRIBE + METHODS * 100)
        self.waiting = Peer(self.bed.http_path, b"GET /healthz" + HOST + b"Connection: close\r\n\r\n")
        self.tap.ok(self.becomes("full", lambda: self.count("http", "full") > 0)
                    and self.goes_on(),
                    "http: every place taken by slow requests: full; others are served")

    def time_is_up(self):
        late = self.becomes("slow", lambda: self.count("http", "slow") >= HTTP_MAX
                            and self.count("control", "slow") == 2, SLOW_S + 20)
        self.tap.ok(late, f"requests that never end: slow {HTTP_MAX} and 2",
                    self.connections())
        self.tap.ok(self.waiting.all().startswith(b"HTTP/1.1 200 "),
                    "http: who waited for a place is served when they have had their time")
        late = self.becomes("unread", lambda: self.count("control", "unread") == 2, UNREAD_S + 20)
        self.tap.ok(late, "two that do not read, one of them its events: unread 2",
                    self.connections())
        self.silent.send(VERSION + b"\n")
        self.tap.ok(time.monotonic() - self.begun > SLOW_S
                    and b"version" in self.silent.socket.recv(1000),
                    "one that was silent between two requests is still served")
        for one in self.slow + self.deaf + [self.silent, self.waiting]:
            one.close()

    # ---- rights ----

    def without_rights(self):
        control, monitor = self.bed.control_path, self.bed.monitor_path
        before = self.connections()
        said = [as_user(NOBODY, lambda path=path: reason_of(path, "daemon.version"))
                for path in (control, self.bed.http_path)]
        after = self.connections()
        self.tap.ok(said == ["PermissionError"] * 2 and all(
            before[door]["opened"] == after[door]["opened"] for door in ("control", "http")),
            "another user does not come in: EACCES, opened 0", said, before, after)
        refused = self.status()["refused"].get("denied", 0)
        changing = {"sa.offer": {"impi": "a", "ue": "192.0.2.9", "pcscf": lab.PCSCF_4,
                                 "security_client": "x", **KEYS},
                    "sa.release": {"impi": lab.SUBSCRIBER["impi"]}, "sa.export_keys": {},
                    "daemon.audit": {}}
        said = {method: as_user(NOBODY, lambda method=method, params=params:
                                reason_of(monitor, method, **params))
                for method, params in changing.items()}
        counted = self.status()["refused"].get("denied", 0) - refused
        self.tap.ok(set(said.values()) == {"denied"} and counted == len(said),
                    f"monitor: methods that change something: denied {len(said)}", said, counted)
        said = as_user(NOBODY, lambda: reason_of(monitor, "sa.list"))
        self.tap.ok("sets" in said and self.goes_on(), "monitor: what only reads is answered", said)

    # ---- floods ----

    def full(self):
        """One program takes each place at the control socket."""
        before = self.count("control", "full")
        crowd = [Peer(self.bed.control_path) for _ in range(CONTROL_MAX + 20)]
        full = self.becomes("full", lambda: self.count("control", "full") > before)
        self.bed.front_end_options("udp")
        said = reason_of(self.bed.monitor_path, "sa.route", impi=lab.SUBSCRIBER["impi"])
        self.tap.ok(full and self.count("control", "open") == CONTROL_MAX
                    and "current" in said, f"control: {len(crowd)} connections: full, "
                    f"open {CONTROL_MAX}; who was there and the monitor go on", said)
        for one in crowd:
            one.close()
        self.tap.ok(self.goes_on(), "control: when they leave, the next come in")

    def descriptors(self):
        """The daemon runs out of file descriptors."""
        name = 'secagreed_events_total{event="accept-failed"}'
        before, pid = int(self.metrics()[name]), self.bed.daemon.pid
        old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        taken = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
        free = [fd for fd in range(old[0]) if fd not in taken]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[8], old[1]))
        crowd = [Peer(self.bed.control_path) for _ in range(20)]
        failed = self.becomes("no descriptor", lambda: "event=accept-failed"
                              in self.bed.daemon.errors())
        self.bed.front_end_options("udp")
        self.tap.ok(failed and self.status()["pid"] == pid,
                    "no descriptor left: who was there is served, and the phone")
        for one in crowd:
            one.close()
        self.tap.ok(self.goes_on() and int(self.metrics()[name]) > before,
                    "when they leave, the next come in: accept-failed",
                    before, self.metrics()[name])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)

    def attack(self):
        self.time_is_up()
        self.framing()
        self.hidden_request()
        self.no_calls()
        self.halves()
        self.without_rights()
        self.full()
        self.descriptors()
        counted = self.connections()
        self.tap.ok(all(door["failed"] == 0 for door in counted.values()),
                    "no connection ended because the daemon failed", counted)


# ---- keys ----

def ask(path, data):
    """Whether keys came back; and the daemon's word for it when they did not."""
    peer = Peer(path, data)
    peer.socket.shutdown(socket.SHUT_WR)
    answer = peer.all().decode(errors="replace")
    peer.close()
    return "keys" if '"key":' in answer else "denied" if "denied" in answer.lower() else answer


def export(bed, tap):
    """sa.export_keys gives keys to root, by JSON at the control socket, where the configuration
    says so; the phone's SAs are there to be told."""
    control, monitor, http = bed.control_path, bed.monitor_path, bed.http_path

    def all_ways():
        os.chmod(control, 0o666)
        os.chmod(http, 0o666)
        return {"root, JSON": ask(control, EXPORT), "root, RESP2": ask(control, command(
                    "sa.export_keys")), "root, CALL": ask(control, command("CALL",
                                                                           "sa.export_keys", "{}")),
                "root, HTTP": ask(http, post(EXPORT, b"Connection: close\r\n")),
                "root, monitor": ask(monitor, EXPORT),
                "another user, JSON": as_user(NOBODY, lambda: ask(control, EXPORT)),
                "another user, HTTP": as_user(NOBODY, lambda: ask(
                    http, post(EXPORT, b"Connection: close\r\n"))),
                "another user, monitor": as_user(NOBODY, lambda: ask(monitor, EXPORT))}

    said = all_ways()
    tap.ok(said == {way: "keys" if way == "root, JSON" else "denied" for way in said},
           "keys are exported to root by JSON, and in no other way", json.dumps(said)[:1000])
    tap.ok(bed.daemon.errors().count("event=keys-exported") >= 1, "and the log says to whom")
    bed.daemon_settings["allow-key-export"] = '"off"'
    bed.restart_daemon()
    said = all_ways()
    tap.ok(set(said.values()) == {"denied"}, "with allow-key-export off, to nobody",
           json.dumps(said)[:1000])
