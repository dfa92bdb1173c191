#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""secagreectl and a daemon that this test plays: what is asked, how answers look, exit statuses.

Needs no kernel and no root. TAP on standard output; the program as in offline.py.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from tap import CTL, Run, Tap  # noqa: E402
from terminal import Terminal  # noqa: E402

T = Tap()
CK = "b40ba9a3c58b2a05bbf0d987b21bf8cb"
IK = "f769bcd751044604127672711c6d3441"
SET = "00112233445566aa"


class Daemon:
    """Answers the requests of one connection with what it was given, and keeps the requests."""

    def __init__(self, *answers, delay_s=0):
        self.delay_s = delay_s
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "control.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.answers = answers
        self.requests = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rwb") as f:
            for answer in self.answers:
                line = f.readline()
                if not line:
                    return
                request = json.loads(line)
                self.requests.append(request)
                time.sleep(self.delay_s)
                if isinstance(answer, bytes):
                    f.write(answer)
                else:
                    f.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode()
                            + b"\n")
                f.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.thread.join(5)
        self.dir.cleanup()


def ask(answer, *args, stdin=b""):
    """Run a command against one answer; what it printed and what it asked."""
    with Daemon(answer) as daemon:
        r = Run("--socket", daemon.path, *args, stdin=stdin)
        return r, daemon.requests[0] if daemon.requests else None


def asked(args, method, params, stdin=b""):
    r, request = ask({"result": {"set": SET}}, *args, stdin=stdin)
    T.equal((request or {}).get("method"), method, "%s asks %s" % (args[0], method))
    T.equal((request or {}).get("params"), params, "%s: params of %s" % (args[0], args[1:]))
    T.ok(r.exit == 0 and request["jsonrpc"] == "2.0" and "id" in request, args[0] + ": exit 0", r)


def requests():
    asked(("offer", "--impi", "a@b", "--ue", "192.0.2.7", "--pcscf=192.0.2.1",
           "--security-client", "x", "--security-client", "y;q=0.1", "--impu", "sip:a@b", "--via",
           "192.0.2.8", "--over", SET, "--contact", "c", "--transaction", "t"), "sa.offer",
          {"impi": "a@b", "ue": "192.0.2.7", "pcscf": "192.0.2.1", "security_client":
           ["x", "y;q=0.1"], "impu": ["sip:a@b"], "via": "192.0.2.8", "over": SET, "contact": "c",
           "transaction": "t", "ck": CK, "ik": IK}, "ck=%s\nik=%s\n" % (CK, IK))
    with tempfile.NamedTemporaryFile("w") as f:
        f.write("ik=%s\nck=%s\n" % (IK, CK))
        f.flush()
        asked(("offer", "--impi", "a", "--ue", "::1", "--listener", "l", "--security-client", "x",
               "--keys", f.name), "sa.offer",
              {"impi": "a", "ue": "::1", "listener": "l", "security_client": ["x"], "ck": CK,
               "ik": IK})
    asked(("confirm", SET, "--expires", "3600"), "sa.confirm", {"set": SET, "expires": 3600})
    asked(("confirm", "--expires=0", "--set", SET), "sa.confirm", {"set": SET, "expires": 0})
    asked(("extend", SET, "--expires", "600000"), "sa.extend", {"set": SET, "expires": 600000})
    asked(("extend", SET, "--expires", "9", "--impu", "sip:a@b"), "sa.extend",
          {"set": SET, "expires": 9, "impu": ["sip:a@b"]})
    asked(("release", "--impi", "i", "--impu", "sip:a@b", "--impu", "tel:+1"), "sa.release",
          {"impi": "i", "impu": ["sip:a@b", "tel:+1"]})
    asked(("route", SET, "--exact"), "sa.route", {"set": SET, "exact": True})
    asked(("fail", SET), "sa.fail", {"set": SET})
    asked(("release", SET, "--linger", "2"), "sa.release", {"set": SET, "linger": 2})
    asked(("release", "--impi", "i", "--ue", "192.0.2.7"), "sa.release",
          {"impi": "i", "ue": "192.0.2.7"})
    asked(("route", "--ue", "192.0.2.7", "--ue-port", "5003"), "sa.route",
          {"ue": "192.0.2.7", "ue_port": 5003})
    asked(("route", "--impi", "i"), "sa.route", {"impi": "i"})
    asked(("status",), "daemon.status", {})
    asked(("methods",), "daemon.methods", {})
    asked(("version",), "daemon.version", {})
    asked(("show", SET), "sa.show", {"set": SET})
    for who, kind in ((SET, "set"), (SET.upper(), "set"), ("192.0.2.7", "ue"), ("::1", "ue"),
                      ("a@ims.example", "impi"), (SET[1:], "impi"), (SET + "0", "impi")):
        _, request = ask({"result": {}}, "explain", who)
        T.equal((request["method"], request["params"]), ("phone.explain", {kind: who}),
                f"explain: {who} is {kind}")
    asked(("call", "sa.new", '{"a":[1,{"b":null}]}'), "sa.new", {"a": [1, {"b": None}]})
    asked(("call", "daemon.status"), "daemon.status", {})
    asked(("call", "agreement.decide", '{"message":"x","protected":true}'), "agreement.decide",
          {"message": "x", "protected": True})
    asked(("call", "sa.offer", "-"), "sa.offer", {"ck": CK}, '{"ck":"%s"}' % CK)


def audit():
    """Against a real kernel: tests/kernel/strangers.py."""
    r, request = ask({"result": {"pid": os.getpid(), "listeners": []}}, "audit")
    T.ok(r.exit == 1 and request["method"] == "daemon.status" and "run this where it runs" in r.err,
         "audit: a daemon that is not here is not compared with what is here", r)


def check():
    args = ("check", "--pcscf", "192.0.2.1", "--pcscf-port", "6100", "--ue", "192.0.2.7",
            "--ue-port", "5003", "--method", "REGISTER", "--response", "--transport", "tcp",
            "--impi", "i",
            "--security-client", "a", "--security-verify", "b", "--security-verify", "c")
    r, request = ask({"result": {"protected": True, "set": SET, "remove": ["Security-Client",
                                                                          "Security-Verify"]}},
                     *args)
    T.equal((request["method"], request["params"]), ("sa.check", {
        "pcscf": "192.0.2.1", "pcscf_port": 6100, "ue": "192.0.2.7", "ue_port": 5003, "method":
        "REGISTER", "response": True, "transport": "tcp", "impi": "i", "security_client": ["a"],
        "security_verify": ["b", "c"]}), "check: params")
    T.equal((r.exit, r.out.decode().splitlines()),
            (0, ["protected  yes", "set        " + SET, "remove     Security-Client",
                 "           Security-Verify"]), "check: protected is exit 0")
    no = {"protected": False, "integrity_protected": "no"}
    r, _ = ask({"result": no}, *args)
    T.equal(r.exit, 3, "check: not protected is exit 3")
    r, _ = ask({"result": no}, "--json", *args)
    T.equal((r.exit, r.json), (3, no), "check --json")


def export():
    sas = [{"proto": "esp", "src": "192.0.2.7", "dst": "192.0.2.1", "spi": 0x1001,
            "esp_sa": '"IPv4","192.0.2.7"'},
           {"proto": "esp", "src": "192.0.2.1", "dst": "192.0.2.7", "spi": 0xfedcba98,
            "no_esp_sa": "no name"},
           {"proto": "ah", "src": "a", "dst": "b", "spi": 1, "lost": True}]
    result = {"sets": [{"set": SET, "sas": sas}, {"set": SET, "sas": sas[:1]}]}
    r, request = ask({"result": result}, "export-keys", "--wireshark", SET)
    T.equal((request["method"], request["params"]), ("sa.export_keys", {"set": SET}),
            "export-keys: params")
    T.equal((r.exit, r.out.decode().splitlines()),
            (0, ['"IPv4","192.0.2.7"', "# esp 192.0.2.1 -> 192.0.2.7 spi 0xfedcba98: no name",
                 "# ah a -> b spi 0x00000001: the kernel has no such SA any more",
                 '"IPv4","192.0.2.7"']), "export-keys: lines of esp_sa, comments for the rest")
    for options in ((), ("--json", "--wireshark")):
        r, _ = ask({"result": result}, *options[:1], "export-keys", *options[1:])
        T.equal((r.exit, r.json), (0, result), f"export-keys {options}: JSON")


def one_set(number, state="current"):
    return {"set": "%016x" % number, "state": state, "impi": "u%d@ims" % number,
            "ue": "2001:db8::%x" % number, "listener": "ims", "chosen":
            {"alg": "aes-gmac", "ealg": "null", "prot": "esp", "mod": "trans"},
            "expires_in": 10 ** number, "more": 1}


def lists():
    answer = {"result": {"sets": [one_set(1), one_set(6, "temporary")], "next": None, "total": 2}}
    r, request = ask(answer, "list", "--state", "current", "--impi", "i", "--ue", "192.0.2.7",
                     "--listener", "l", "--after", SET, "--limit", "10")
    T.equal((request["method"], request["params"]),
            ("sa.list", {"state": "current", "impi": "i", "ue": "192.0.2.7", "listener": "l",
                         "after": SET, "limit": 10}), "list: params")
    T.equal(r.out.decode(), """\
SET               STATE      IMPI    UE           LISTENER  ALG       EALG  PROT  MOD    LEFT
0000000000000001  current    u1@ims  2001:db8::1  ims       aes-gmac  null  esp   trans  10s
0000000000000006  temporary  u6@ims  2001:db8::6  ims       aes-gmac  null  esp   trans  11d13h
""", "list: a table")
    r, _ = ask({"result": {"sets": [], "next": None, "total": 0}}, "list")
    T.equal((r.exit, r.out.decode().split()[:2]), (0, ["SET", "STATE"]), "list: nothing")
    r, _ = ask(answer, "list", "--json")
    T.equal((r.exit, r.json), (0, answer["result"]), "list --json, behind the command")


def ends(one):
    return {**one, "dialect": "24.229", "impu": ["sip:a@ims", "tel:+1\t2"],
            "phone": {"address": "192.0.2.7", "spi_c": 1001, "spi_s": 1002, "port_c": 5003,
                      "port_s": 5004},
            "pcscf": {"address": "192.0.2.1", "spi_c": 4096, "spi_s": 4097, "port_c": 6104,
                      "port_s": 6100}}


def rfc3329_ends(one):
    return {**one, "dialect": "rfc3329", "impu": [],
            "phone": {"address": "192.0.2.7", "spi": 77, "port1": 5004, "port2": None},
            "pcscf": {"address": "192.0.2.1", "spi": 88, "port1": 6104}}


def forms():
    answer = {"result": {"sets": [ends(one_set(1)), rfc3329_ends(one_set(2))], "next": None,
                         "total": 2}}
    r, request = ask(answer, "list", "-o", "tsv")
    T.equal(request["params"], {"detail": True}, "list -o tsv: asks for both ends")
    lines = [line.split("\t") for line in r.out.decode().splitlines()]
    T.equal(lines[0], ["set", "state", "impi", "ue", "listener", "chosen.alg", "chosen.ealg",
                       "chosen.prot", "chosen.mod", "expires_in", "dialect", "phone.port_c",
                       "phone.port_s", "pcscf.port_c", "phone.spi_c", "phone.spi_s",
                       "pcscf.spi_c", "pcscf.spi_s", "impu"], "list -o tsv: names")
    T.equal(lines[1][9:], ["10", "24.229", "5003", "5004", "6104", "1001", "1002", "4096", "4097",
                           "sip:a@ims,tel:+1?2"], "list -o tsv: values as they are, no stray tab")
    T.equal(lines[2][10:], ["rfc3329", "", "5004", "6104", "77", "", "88", "", ""],
            "list -o tsv: the dialect of RFC 3329")
    r, request = ask(answer, "list", "--output=wide")
    T.ok(request["params"] == {"detail": True} and r.out.decode().splitlines()[0].split()[-3:] ==
         ["SPI_PC", "SPI_PS", "IMPU"] and "sip:a@ims, tel:+1?2" in r.out.decode(),
         "list -o wide: more columns", r)
    r, _ = ask({"result": {"a": {"b": [1, 2], "c": None}, "l": [{"n": "x\ty"}, {"n": False}]}},
               "status", "-otsv")
    T.equal(r.out.decode(), "a.b\t1,2\na.c\t\nl.0.n\tx?y\nl.1.n\tfalse\n", "status -o tsv: paths")
    r, _ = ask({"result": {"x": 1}}, "status", "-o", "json")
    T.equal((r.exit, r.json), (0, {"x": 1}), "-o json")


def colours():
    answer = {"result": {"sets": [one_set(1), one_set(6, "temporary")], "next": None, "total": 2}}

    def shown(**environment):
        with Daemon(answer) as daemon, Terminal(CTL, "--socket", daemon.path, "list",
                                                **environment) as terminal:
            return terminal.end()

    status, text = shown(NO_COLOR=None)
    T.ok(status == 0 and "\033[32mcurrent\033[m    " in text and "\033[33mtemporary\033[m  " in text,
         "on a terminal states have colours, and columns stay aligned", repr(text))
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        status, text = shown(**environment)
        T.ok(status == 0 and "\033" not in text and "temporary" in text,
             f"no colours with {environment}", repr(text))


def slow():
    """A daemon that takes its time."""
    def answers_late(connection):
        with connection, connection.makefile("rwb") as f:
            request = json.loads(f.readline())
            late.wait(60)
            f.write(b'{"jsonrpc":"2.0","id":%d,"result":{"clean":true}}\n' % request["id"])

    for terminal in (True, False):
        late = threading.Event()
        with tempfile.TemporaryDirectory() as where, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(where, "s")
            listener.bind(path)
            listener.listen()
            thread = threading.Thread(target=lambda: answers_late(listener.accept()[0]))
            thread.start()
            if terminal:
                with Terminal(CTL, "--socket", path, "status") as t:
                    T.ok(t.until(b"waiting for secagreed, 2 s"),
                         "what takes more than a second says so on a terminal", t.seen)
                    late.set()
                    status, text = t.end()
                    T.ok(status == 0 and text.endswith("\r\033[Kclean  yes\n"),
                         "and takes it away before the answer", repr(text))
            else:
                timer = threading.Timer(1.5, late.set)
                timer.start()
                r = Run("--socket", path, "status")
                T.equal((r.exit, r.out, r.err), (0, b"clean  yes\n", ""),
                        "and nowhere else, however long it takes")
            thread.join()


def pages():
    first = {"result": {"sets": [one_set(1)], "next": "%016x" % 1, "total": 2}}
    second = {"result": {"sets": [one_set(2)], "next": None, "total": 2}}
    with Daemon(first, second) as daemon:
        r = Run("--socket", daemon.path, "--json", "list", "--impi", "i")
        T.equal((r.exit, r.json), (0, {"sets": [one_set(1), one_set(2)], "next": None, "total": 2}),
                "list: all pages are one list")
        T.equal([q["params"] for q in daemon.requests],
                [{"impi": "i"}, {"impi": "i", "after": "%016x" % 1}],
                "list: asks from page to page")
    r, _ = ask(first, "list", "--limit", "1")
    T.ok(r.exit == 0 and "1 of 2; the others: --after 0000000000000001" in r.out.decode(),
         "list: --limit asks once and says that there is more", r)
    odd = {"result": {"sets": [], "next": SET, "total": 5}}
    with Daemon(odd, odd, odd) as daemon:
        r = Run("--socket", daemon.path, "list")
        T.equal((r.exit, len(daemon.requests)), (0, 2), "list: the same page again ends it")
    none = {"result": {"sets": [], "next": SET, "total": 5}}
    with Daemon(none, second) as daemon:
        r = Run("--socket", daemon.path, "list", "--match", "@", "-o", "json")
        T.equal([one["set"] for one in r.json["sets"]], ["%016x" % 2],
                "list: a page on which nothing matches does not end it")


def singular():
    for total, words in ((1, "the only set does not match\n"), (2, "none of 2 sets matches\n")):
        r, _ = ask({"result": {"sets": [], "next": None, "total": total}}, "list", "--impi", "x")
        T.ok(r.exit == 0 and r.out.decode().endswith("LEFT\n" + words), "list: " + words.strip(), r)
    for sets, words in (([one_set(1)], "release 1 set of 1 phone; say"),
                        ([one_set(1)] * 2, "release 2 sets of 1 phone; say"),
                        ([one_set(1), one_set(2)], "release 2 sets of 2 phones; say")):
        r, _ = ask({"result": {"sets": sets, "next": None, "total": 9}}, "release", "--all")
        T.ok(r.exit == 2 and words in r.err, words, r)
    for count, words in ((1, "1 event was lost\n"), (2, "2 events were lost\n")):
        line = b'{"method":"event.lost","params":{"count":%d}}\n' % count
        r, _ = ask(b'{"jsonrpc":"2.0","id":1,"result":{}}\n' + line, "monitor")
        T.equal(r.out.decode(), words, "monitor: " + words.strip())


def bulk_release():
    two = {"result": {"sets": [one_set(1), {**one_set(2), "impi": "u1@ims", "ue": "2001:db8::1"},
                               one_set(3)], "next": None, "total": 3}}
    gone = [{"result": {"released": ["a", "b"]}}, {"result": {"released": ["c"]}}]
    asked = [("sa.list", {"listener": "ims"}),
             ("sa.release", {"impi": "u1@ims", "ue": "2001:db8::1", "linger": 5}),
             ("sa.release", {"impi": "u3@ims", "ue": "2001:db8::3", "linger": 5})]
    with Daemon(two, *gone) as daemon:
        r = Run("--socket", daemon.path, "release", "--listener", "ims", "--linger", "5", "--yes")
        T.equal((r.exit, r.out), (0, b"sets    3\nphones  2\n"), "release --listener: all of it")
        T.equal([(q["method"], q["params"]) for q in daemon.requests], asked,
                "release --listener: lists, then releases phone by phone")
    with Daemon(two, *gone) as daemon:
        r = Run("--socket", daemon.path, "release", "--all", "--yes", "-o", "json")
        T.equal((r.exit, r.json), (0, {"sets": 3, "phones": 2}), "release --all -o json")
    with Daemon(two, *gone) as daemon:
        r = Run("--socket", daemon.path, "release", "--all")
        T.ok(r.exit == 2 and "release 3 sets of 2 phones; say --yes" in r.err and
             len(daemon.requests) == 1, "release --all without --yes releases nothing", r)
    none = {"result": {"sets": [], "next": None, "total": 7}}
    with Daemon(none) as daemon:
        r = Run("--socket", daemon.path, "release", "--ue", "192.0.2.7")
        T.ok(r.exit == 0 and r.out == b"sets    0\nphones  0\n" and daemon.requests[0]["params"] ==
             {"ue": "192.0.2.7"}, "release --ue: there is none, and nothing to ask", r)
    with Daemon(two, gone[0], {"error": {"code": -32000, "message": "no"}}) as daemon:
        r = Run("--socket", daemon.path, "release", "--all", "--yes")
        T.ok(r.exit == 1 and "stopped after 1 of 2 phones" in r.err,
             "release --all: says where it stopped", r)


def bulk_release_asks():
    two = {"result": {"sets": [one_set(1), one_set(3)], "next": None, "total": 2}}
    gone = [{"result": {"released": ["a"]}}, {"result": {"released": ["c"]}}]
    for keys, status, requests in ((b"n\n", 3, 1), (b"\n", 3, 1), (b"\x04", 3, 1), (b"y\n", 0, 3)):
        with Daemon(two, *gone) as daemon, \
                Terminal(CTL, "--socket", daemon.path, "release", "--all") as terminal:
            T.ok(terminal.until(b"Release 2 sets of 2 phones?"), "release --all asks",
                 terminal.seen)
            terminal.type(keys)
            ended, text = terminal.end()
            T.ok(ended == status and len(daemon.requests) == requests,
                 f"release --all: {keys} is exit {status}", text)


def bulk_release_shows_how_far_it_is():
    listed = {"result": {"sets": [one_set(1) | {"ue": "192.0.2.%d" % n} for n in range(30)],
                         "next": None, "total": 30}}
    gone = [{"result": {"released": ["a"]}}] * 30
    with Daemon(listed, *gone, delay_s=0.05) as daemon, \
            Terminal(CTL, "--socket", daemon.path, "release", "--all", "--yes") as terminal:
        status, text = terminal.end()
    shown = re.findall(r"\r\033\[Kphones released: (\d+) of 30, (\d+) %", text)
    T.ok(status == 0 and shown and int(shown[0][0]) > 10 and
         all(int(percent) == int(done) * 100 // 30 for done, percent in shown) and
         text.endswith("\r\033[Ksets    30\nphones  30\n"),
         "release --all: how far it is, after a second, on a terminal", repr(text))


def release_mistakes():
    for args in ((), (SET, "--all"), ("--all", "--ue", "192.0.2.7"), ("--impi", "i", "--all"),
                 ("--impi", "i", "--listener", "l"), ("--ue", "192.0.2.7", "--impu", "sip:a@b"),
                 (SET, "--impi", "i")):
        r = Run("release", *args)
        T.ok(r.exit == 2 and r.err.startswith("secagreectl: ") and "release --help" in r.err,
             "release %s: exit 2" % (args,), r)


def show():
    result = {"set": SET, "state": "current", "impu": ["sip:a@ims.example", "tel:+1"],
              "security_client": ["x" * 300], "expires_in": 3725, "nat": False, "via": None,
              "ue": {"address": "2001:db8::7", "port_c": 5003}, "sas": [
                  {"direction": "in", "spi": 4096, "src": "192.0.2.7", "dst": "192.0.2.1",
                   "sport": 5003, "dport": 6100, "bytes": 1234, "packets": 3, "used_ago": None,
                   "hard_left": 3700},
                  {"direction": "out", "spi": 1001, "src": "2001:db8::1", "dst": "2001:db8::7",
                   "sport": 6100, "dport": 0, "bytes": 0, "packets": 0, "used_ago": 59,
                   "hard_left": 100000}]}
    r, _ = ask({"result": result}, "show", SET)
    T.equal(r.out.decode(), """\
set              %s
state            current
impu             sip:a@ims.example
                 tel:+1
security_client  %s
expires_in       62m5s
nat              no
via              -
ue               address=2001:db8::7 port_c=5003

DIRECTION  SPI   SOURCE              DESTINATION        BYTES  PACKETS  LAST-USED  LEFT
in         4096  192.0.2.7:5003      192.0.2.1:6100     1234   3        -          61m40s
out        1001  [2001:db8::1]:6100  [2001:db8::7]:any  0      0        59s        27h46m
""" % (SET, "x" * 300), "show: a block and a table")
    r, _ = ask({"result": result}, "--json", "show", SET)
    T.equal((r.exit, r.json, list(r.json)), (0, result, list(result)), "show --json, in order")


def explain():
    at = {"seq": 9, "time_ms": 1234567890123, "level": "info", "set": SET}
    result = {"impi": "a@ims.example", "ue": "192.0.2.7",
              "likely": [{"cause": "keys_differ", "set": SET, "text": "keys \x1b differ"},
                         {"cause": "limit_reached", "set": None, "text": "full"}],
              "sets": [{"set": SET, "state": "temporary", "impi": "a@ims.example", "expires_in": 7,
                        "chosen": {"alg": "null", "ealg": "aes-gcm", "prot": "esp", "mod": "trans"},
                        "sas": [{"direction": "in", "spi": 4096, "src": "192.0.2.7", "sport": 5003,
                                 "dst": "192.0.2.1", "dport": 6100, "bytes": 12, "packets": 3,
                                 "integrity_failed": 4, "replay_failed": 5},
                                {"direction": "out", "spi": 77, "src": "192.0.2.1", "sport": 6100,
                                 "dst": "192.0.2.7", "dport": 0, "lost": True}]}],
              "events": [{**at, "event": "sip-refused", "verdict": "reply", "why": "no list",
                          "reply": "494 Security Agreement Required"},
                         {**at, "event": "refused", "method": "sa.check", "reason": "wrong_state",
                          "why": "temporary"},
                         {**at, "event": "offer", "listener": "ims", "security_client": "a;b=c",
                          "considered": "x/y chosen: best; z refused: [old]"},
                         {**at, "event": "set-danced", "steps": 3}]}
    r, _ = ask({"result": result}, "explain", SET)
    r.out = re.sub(rb"2009-02-1\d \d\d:\d\d:30", b"WHEN", r.out)
    T.equal((r.exit, r.out.decode()), (0, f"""\
a@ims.example at 192.0.2.7

Likely, the likeliest first:
  keys_differ: keys ? differ (set {SET})
  limit_reached: full

Set {SET}, temporary, for a@ims.example: null/aes-gcm, esp, trans, 7s left
  DIRECTION  SPI   SOURCE          DESTINATION     BYTES  PACKETS  FORGED  REPLAYED  LOST
  in         4096  192.0.2.7:5003  192.0.2.1:6100  12     3        4       5         -
  out        77    192.0.2.1:6100  192.0.2.7:any   -      -        -       -         yes

What happened, newest first:
  WHEN  verdict on a SIP message: reply: no list; reply: 494 Security Agreement Required
  WHEN  sa.check was refused, wrong_state: temporary
  WHEN  the phone offered to listener ims:
                         a;b=c
                         x/y chosen: best
                         z refused: [old]
  WHEN  set-danced level=info set={SET} steps=3
"""), "explain: causes, sets and events as sentences")
    r, _ = ask({"result": result}, "--json", "explain", SET)
    T.equal((r.exit, r.json), (0, result), "explain --json")


def explain_nobody():
    nothing = {"impi": None, "ue": None, "since_ms": 1234567890123, "likely": [], "sets": [],
               "events": []}
    since = "What happened is remembered since WHEN."

    def told(**more):
        r, _ = ask({"result": {**nothing, **more}}, "explain", "x")
        return r.exit, re.sub(r"2009-02-1\d \d\d:\d\d:30", "WHEN", r.out.decode()).split("\n")

    for more, who in (({"impi": "nobody"}, "nobody"), ({"ue": "192.0.2.7"}, "192.0.2.7"),
                      ({}, "this set")):
        status, lines = told(**more)
        T.ok(status == 3 and lines[0].startswith(f"Nothing is known of {who}: no REGISTER") and
             lines[2:] == [since, ""], f"explain: nothing is known of {who}, exit 3", lines)
    event = {"seq": 9, "time_ms": 1234567890123, "event": "refused", "level": "notice",
             "method": "sa.fail", "reason": "unknown_set", "why": "none"}
    for more, who in (({"ue": "192.0.2.7"}, "192.0.2.7"), ({}, "this set")):
        status, lines = told(events=[event], **more)
        T.ok(status == 0 and lines[:3] == [f"No subscriber is known of {who}: what is below was "
                                           "about it, and no more.", since, ""] and
             "  WHEN  sa.fail was refused, unknown_set: none" in lines,
             f"explain: requests about {who} are no phone", lines)
    ours, others = {**event, "impi": "a@ims"}, {**event, "impi": "b@ims"}
    for events, who in (([event, ours], "a@ims"), ([ours, others, event, ours], "2 subscribers")):
        status, lines = told(ue="192.0.2.7", events=events)
        T.equal((status, lines[:2]), (0, [who + " at 192.0.2.7", ""]),
                f"explain: {who} at an address")
    status, lines = told(ue="192.0.2.7", sets=[{"impi": "a@ims"}])
    T.equal((status, lines[0]), (0, "a@ims at 192.0.2.7"), "explain: whose set is at an address")
    status, lines = told(impi="a@ims", events=[event])
    T.equal((status, lines[0]), (0, "a@ims at no known address"), "explain: no address is known")
    del nothing["since_ms"]
    T.ok("since the daemon's start." in told()[1][2],
         "explain: a daemon that does not say since when")


def other_answers():
    r, _ = ask({"result": {"version": "1", "uptime_s": 200, "listeners": [
        {"name": "a", "client_ports": "6104-6107"}, {"name": "longer", "client_ports": "1-2"}]}},
        "status")
    T.equal(r.out.decode(), """\
version   1
uptime_s  3m20s
listeners:
  name    client_ports
  a       6104-6107
  longer  1-2
""", "status: tables of whatever comes")
    r, _ = ask({"result": {"evil": "a\x1b[31m\x07\x9b\x7fb", "list": [], "object": {}}},
               "status")
    T.equal(r.out.decode(), "evil    a?[31m???b\nlist    -\nobject  -\n",
            "no control character gets through")
    r, _ = ask({"result": {"udp": {"local": {"address": "192.0.2.1", "port": 6104},
                                   "remote": {"address": "2001:db8::7", "port": 5004}}}},
               "route", SET)
    T.equal(r.out.decode(), "udp  local=192.0.2.1:6104 remote=[2001:db8::7]:5004\n",
            "route: an address with its port")
    r, _ = ask({"result": {"methods": [
        {"name": "a.b", "summary": "Does b.", "params": [
            {"name": "set", "type": "text", "required": True, "help": "which"},
            {"name": "n", "type": "number", "required": False, "help": "how many"}]},
        {"name": "a.c", "summary": "Does c.", "params": []}]}}, "methods")
    T.equal(r.out.decode(), """\
a.b  Does b.
    name  type    required  help
    set   text    yes       which
    n     number  no        how many
a.c  Does c.
""", "methods: each with its params")
    r, _ = ask({"result": {"changed": ["log-level", "listener b: new"], "restart": ["user"],
                           "leaving": ["a\x1b"]}}, "reload")
    T.equal((r.exit, r.out.decode()), (0, """\
changed: log-level
changed: listener b: new
goes with its last set: listener a?
waits for a restart: user
"""), "reload: a line for each name")
    r, _ = ask({"result": {"equal": False}}, "call", "agreement.compare")
    T.equal((r.exit, r.out), (0, b'{"equal":false}\n'), "call: JSON, exit 0")


def errors():
    error = {"code": -32000, "message": "the lists differ", "data": {
        "reason": "verify_mismatch", "verdict": "reject", "kernel": {"errno": "EEXIST", "text":
                                                                     "in\x1b use"},
        "line": 1, "offset": 17, "sip": {"code": 403, "phrase": "Forbidden", "headers":
                                         ["Security-Server: tls"]}}}
    r, _ = ask({"error": error}, "fail", SET)
    T.equal((r.exit, r.out, r.err), (1, b"", """\
secagreectl: the lists differ (verify_mismatch)
  kernel: EEXIST: in? use
  verdict on the message: reject
  SIP answer: 403 Forbidden
  with: Security-Server: tls
"""), "an error of the daemon, with all that it says")
    r, _ = ask({"error": error}, "--json", "fail", SET)
    T.equal((r.exit, r.json), (1, {"error": error}), "the same with --json")
    r, _ = ask({"error": {"code": -32601, "message": "no such method"}}, "call", "x.y")
    T.equal((r.exit, r.err), (1, "secagreectl: no such method\n"), "an error without a reason")
    for reason in ("unknown_method", "bad_params"):
        r, _ = ask({"error": {"code": -32601, "message": "no", "data": {"reason": reason}}},
                   "call", "x.y")
        T.equal((r.exit, r.err), (1, "secagreectl: no (%s)\nTry secagreectl methods\n" % reason),
                "%s: where they are listed" % reason)
    for name, answer in (("garbage", b"HTTP/1.1 200 OK\r\n"), ("no result", {"x": 1}),
                         ("another id", b'{"jsonrpc":"2.0","id":77,"result":{}}\n'),
                         ("a list", b"[1]\n"), ("no answer", b"")):
        r, _ = ask(answer, "status")
        T.ok(r.exit == 4 and r.out == b"" and r.err.startswith("secagreectl: "),
             "not an answer: %s: exit 4" % name, r)
        for command in (("status",), ("list",), ("monitor",), ("explain", "x"), ("top",),
                        ("call", "x.y"), ("release", "--all"), ("audit",), ("export-keys",)):
            r, _ = ask(answer, "-o", "json", *command)
            failed(r, 4, "unreachable", "not an answer: %s: %s" % (name, command[0]))


def monitor_line():
    """Values as in the log: whatever they are, they can be read back."""
    event = {"seq": 7, "time_ms": 1234567890123, "event": "refused", "level": "notice",
             "set": SET, "none": "", "why": '"set" is a\\ set\'s id=\x1b\n', "impi": "Zo\u00eb",
             "port": 5, "ke\x1by": "x" * 700, "long": " " * 700}
    line = json.dumps({"method": "event", "params": event}).encode()
    r, _ = ask(b'{"jsonrpc":"2.0","id":1,"result":{}}\n' + line + b"\n", "monitor")
    T.equal(r.out.decode(), "2009-02-13T23:31:30.123Z 7 notice refused set=" + SET + ' none="" why="'
            '\\"set\\" is a\\\\ set\'s id=\\x1b\\x0a" impi="Zo\\xc3\\xab" port=5 ke?y=' + "x" * 700 +
            ' long="' + " " * 700 + '"\n', "monitor: values are quoted as in the log")


def failed(r, status, reason, name):
    error = (r.json or {}).get("error", {})
    T.ok(r.exit == status and list(error) == ["reason", "detail"] and error["reason"] == reason and
         "secagreectl: " + error["detail"] in r.err, name + ": an object with -o json", r)


def no_answer_as_json():
    with tempfile.TemporaryDirectory() as where:
        for path in (os.path.join(where, "s"), os.path.join(where.encode(), b"\xff")):
            for args in (("list",), ("status",), ("show", SET), ("monitor",), ("top",), ("audit",),
                         ("explain", "x"), ("release", "--all"), ("call", "x.y"), ("reload",)):
                r = Run("--socket", path, "-o", "json", *args)
                T.ok(r.exit == 4 and r.json and list(r.json["error"]) == ["reason", "detail"] and
                     r.json["error"]["reason"] == "unreachable" and
                     "cannot reach secagreed at" in r.json["error"]["detail"] and r.err,
                     "no daemon: %s: an object with -o json" % args[0], r)
    keys = ("--json", "offer", "--impi", "a", "--ue", "192.0.2.7", "--security-client", "c")
    failed(Run(*keys, stdin="ck=" + CK), 1, "bad_keys", "offer: half the keys")
    failed(Run(*keys, "--keys", "/none"), 1, "bad_keys", "offer: no such file of keys")
    r, _ = ask({"result": {"pid": os.getpid(), "listeners": []}}, "--json", "audit")
    failed(r, 1, "internal", "audit: a daemon elsewhere")
    r, _ = ask({"result": {"sets": 7}}, "--json", "list")
    failed(r, 1, "internal", "list: no list")
    with Daemon({"result": {}}) as daemon:
        failed(Run("--socket", daemon.path, "--json", "call", b"\xff"), 2, "usage",
               "an argument that is not UTF-8")
    r, _ = ask(b'{"jsonrpc":"2.0","id":1,"result":{}}\n{"method":"event","params":{"n":1}}\n',
               "--json", "monitor")
    lines = [json.loads(line) for line in r.out.splitlines()]
    T.ok(r.exit == 4 and lines[0] == {"n": 1} and lines[1]["error"]["reason"] == "unreachable" and
         len(lines) == 2, "monitor --json: that the daemon goes is the last line", r)


def unreachable():
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "control.sock")
        words = "cannot reach secagreed at %s: " % path
        r = Run("--socket", path, "status")
        T.ok(r.exit == 4 and words in r.err and "Is it running? See systemctl status secagreed" in
             r.err, "no socket: exit 4", r)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            r = Run("--socket", path, "list")
            T.ok(r.exit == 4 and words in r.err and "Is it running?" in r.err,
                 "nobody listens: exit 4", r)
        denied(path, words)
    r = Run("offer", "--impi", "a", "--ue", "192.0.2.7", "--security-client", "c", stdin="ck=" + CK)
    T.ok(r.exit == 1 and "keys: no line ik=HEX" in r.err and CK not in r.err,
         "offer: half the keys", r)
    r = Run("offer", "--impi", "a", "--ue", "192.0.2.7", "--security-client", "c", "--keys", "/none")
    T.ok(r.exit == 1 and "/none" in r.err, "offer: no such file of keys", r)
    with Daemon({"result": {}}) as daemon:
        done = subprocess.run([CTL, "--socket", daemon.path, "list", "--impi", b"\xff"], check=False,
                              capture_output=True)
        T.ok(done.returncode == 2 and b"UTF-8" in done.stderr, "an argument that is not UTF-8",
             done)


def denied(path, words):
    """The group is named. Root is let in anywhere, so that root asks as nobody."""
    group = "nogroup"
    program = CTL
    if os.getuid() == 0:
        os.chown(path, 0, 65534)
        os.chmod(path, 0o600)
        os.chmod(os.path.dirname(path), 0o755)
        # the build may stand where only root can go
        program = shutil.copy(CTL, os.path.join(os.path.dirname(path), "ctl"))
        prefix = ["setpriv", "--reuid=65534", "--regid=65533", "--clear-groups"]
    else:
        group = ""
        os.chmod(path, 0)
        prefix = []
    done = subprocess.run([*prefix, program, "--socket", path, "status"], capture_output=True,
                          check=False)
    seen = done.stderr.decode()
    T.ok(done.returncode == 4 and words + "Permission denied" in seen and
         "for root and the group " + group in seen, "not allowed: exit 4, and the group is named",
         "%s\n%s" % (done.returncode, seen))


def main():
    for part in (requests, check, audit, export, lists, singular, forms, colours, slow, pages,
                 bulk_release, bulk_release_asks, bulk_release_shows_how_far_it_is,
                 release_mistakes, show, explain, explain_nobody, other_answers, monitor_line,
                 errors, no_answer_as_json, unreachable):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
