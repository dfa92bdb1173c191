#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""secagreectl drives a real secagreed through the life of a set. Needs root and a kernel with ESP.

The daemon runs in a network namespace of its own; the control socket is all that the two share.
TAP on standard output. The programs are those in $BUILD (default: build).
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from tap import CTL, Run, Tap  # noqa: E402

T = Tap()
DAEMON = os.environ.get("SECAGREED") or os.path.join(os.path.dirname(CTL), "secagreed")
KEYS = "ck=b40ba9a3c58b2a05bbf0d987b21bf8cb\nik=f769bcd751044604127672711c6d3441\n"
CLIENT = ("ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;spi-c=1001;spi-s=1002;port-c=5003;port-s=5004, "
          "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=1001;spi-s=1002;port-c=5003;port-s=5004")
OFFER = ("offer", "--impi", "001010000000001@ims.example", "--ue", "192.0.2.7", "--pcscf",
         "192.0.2.1", "--impu", "sip:alice@ims.example")
MESSAGE = ("REGISTER sip:ims.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
           "From: <sip:a@ims.example>;tag=1\r\nTo: <sip:a@ims.example>\r\nCall-ID: c\r\n"
           "CSeq: 1 REGISTER\r\n%s\r\n")
CHECK = ("check", "--pcscf", "192.0.2.1", "--pcscf-port", "6100", "--ue", "192.0.2.7", "--ue-port",
         "5003")


class Daemon:
    """secagreed in a namespace with one listener, until the end of the with."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "control.sock")
        self.config = os.path.join(self.dir.name, "secagreed.conf")
        with open(self.config, "w", encoding="ascii") as f:
            f.write('user = "root"\n'
                    'socket { path = "%s" mode = "0600" group = "root" }\nstate-dir = off\n'
                    'listener ims { address = "192.0.2.1" server-port = 6100 '
                    'client-ports = "6104-6107" }\n' % self.path)
        self.log = open(os.path.join(self.dir.name, "log"), "w+b")
        self.process = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "ip link set lo up; ip addr add 192.0.2.1/32 dev lo; "
             'exec "$0" --config "$1" --foreground', DAEMON, self.config], stderr=self.log)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.run("version").exit == 0:
                return True
            time.sleep(0.1)
        return False

    def run(self, *args, stdin=b""):
        return Run("--socket", self.path, *args, stdin=stdin)

    def json(self, *args, stdin=b""):
        """The answer of a command that must succeed."""
        r = self.run("--json", *args, stdin=stdin)
        T.ok(r.exit == 0 and r.json is not None, "%s succeeds" % args[0], r)
        return r.json or {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        self.dir.cleanup()


def about(d):
    r = d.run("version")
    T.ok(r.exit == 0 and re.search(r"^version +\d", r.out.decode()), "version", r)
    r = d.run("methods")
    T.ok(r.exit == 0 and b"\nsa.list  " in r.out and b"\n    set " in r.out, "methods", r)
    r = d.run("status")
    T.ok(r.exit == 0 and b"192.0.2.1" in r.out and b"6104-6107" in r.out, "status", r)
    r = d.run("list")
    T.ok(r.exit == 0 and r.out.count(b"\n") == 1, "list: nothing yet", r)


def refusals(d):
    r = d.run(*OFFER, "--security-client", "ipsec-3gpp;alg=x;spi-c=0", stdin=KEYS)
    T.ok(r.exit == 1 and "(bad_header)" in r.err, "offer: a bad header", r)
    r = d.run(*OFFER, "--security-client", CLIENT.replace("hmac-sha-1-96", "hmac-md5-96"),
              stdin=KEYS)
    T.ok(r.exit == 1 and "(no_common_mechanism)" in r.err, "offer: nothing in common", r)
    r = d.run("show", "0123456789abcdef")
    T.ok(r.exit == 1 and "(unknown_set)" in r.err, "show: no such set", r)
    r = d.run("--json", "confirm", "0123456789abcdef", "--expires", "1")
    T.ok(r.exit == 1 and r.json and r.json["error"]["data"]["reason"] == "unknown_set",
         "confirm: no such set, in JSON", r)
    r = d.run("route", "--impi", "nobody")
    T.ok(r.exit == 1 and r.err, "route: nobody", r)
    r = d.run("call", "no.such", "{}")
    T.ok(r.exit == 1 and r.err, "call: no such method", r)
    r = d.run("call", "sa.list", '{"nonsense":1}')
    T.ok(r.exit == 1 and "(bad_params)" in r.err, "call: a parameter that is none", r)
    r = d.run(*CHECK, "--method", "REGISTER")
    T.ok(r.exit == 1 and "verdict on the message: discard" in r.err, "check: no such flow", r)
    r = d.run(*CHECK[:4], "5060", *CHECK[5:], "--method", "REGISTER")
    T.ok(r.exit == 3 and re.search(r"^protected +no$", r.out.decode(), re.M),
         "check: an unprotected port is exit 3", r)


def life(d):
    offer = d.json(*OFFER, "--security-client", CLIENT, stdin=KEYS)
    name = offer["set"]
    T.equal(offer["chosen"], {"alg": "hmac-sha-1-96", "ealg": "aes-cbc", "prot": "esp",
                              "mod": "trans"}, "offer: the choice")
    r = d.run("list")
    T.ok(re.search(r"^%s +temporary +001010000000001@ims.example +192.0.2.7\S* +ims +hmac-sha-1-96 "
                   r"+aes-cbc +esp +trans +\dm\d+s$" % name, r.out.decode(), re.M),
         "list: a line for the set", r)
    r = d.run("show", name)
    T.ok(len(re.findall(r"^(in|out) +\d+ +[\d.]+:\d+ +[\d.]+:\d+ +0 +0 +- +\dm\d+s$",
                        r.out.decode(), re.M)) == 4 and b"sip:alice@ims.example" in r.out,
         "show: four SAs", r)
    checked = d.json(*CHECK, "--method", "REGISTER", "--security-client", CLIENT,
                     "--security-verify", offer["security_server"])
    T.equal((checked.get("set"), checked.get("protected")), (name, True), "check: the set")
    T.equal(d.json("confirm", name, "--expires", "600")["state"], "current", "confirm: current")
    T.ok(d.json("extend", name, "--expires", "3600")["expires_in"] > 3600, "extend: longer")
    route = d.json("route", "--impi", "001010000000001@ims.example")
    T.equal(route["udp"]["remote"], {"address": "192.0.2.7", "port": 5004}, "route: port_us")
    T.equal(d.json("call", "sa.list", "{}")["total"], 1, "call: the same list")
    T.equal(d.json("release", name)["released"], [name], "release: gone")
    T.equal(d.json("list")["sets"], [], "list: empty again")


def failing(d):
    name = d.json(*OFFER, "--security-client", CLIENT, stdin=KEYS)["set"]
    T.equal(d.json("fail", name)["state"], "gone", "fail: gone")


def bulk(d):
    """Release of many, against the daemon's own list."""
    for number in range(1, 6):
        d.json("offer", "--impi", "user%d@ims.example" % (number % 3), "--ue",
               "192.0.2.1%d" % number, "--pcscf", "192.0.2.1", "--security-client", CLIENT,
               stdin=KEYS)
    T.equal(len(d.json("list", "--match", "user1@")["sets"]), 2, "list --match")
    r = d.run("list", "-o", "tsv")
    T.equal([line.split("\t")[11:14] for line in r.out.decode().splitlines()[1:]],
            [["5003", "5004", line.split("\t")[13]] for line in r.out.decode().splitlines()[1:]],
            "list -o tsv: the phones' ports")
    r = d.run("release", "--all")
    T.ok(r.exit == 2 and d.json("list")["total"] == 5, "release --all wants --yes", r)
    T.equal(d.json("release", "--ue", "192.0.2.12", "--yes"), {"sets": 1, "phones": 1},
            "release --ue")
    T.equal(d.json("release", "--listener", "other", "--yes"), {"sets": 0, "phones": 0},
            "release of a listener that has none")
    T.equal(d.json("release", "--listener", "ims", "--yes"), {"sets": 4, "phones": 4},
            "release --listener")
    T.equal(d.json("list")["total"], 0, "nothing is left")


def same_as_offline(d):
    """The daemon's agreement.* and the commands that ask nobody say the same."""
    for header in (CLIENT, "tls;q=0.1, digest;d-alg=MD5", 'foo;x="a\\"b";flag'):
        r = Run("parse", stdin="Security-Client: " + header)
        asked = d.json("call", "agreement.parse",
                       '{"header":"Security-Client","value":"%s"}' %
                       header.replace("\\", "\\\\").replace('"', '\\"'))
        T.equal(asked, r.json, "agreement.parse says what parse says")
        r = Run("select", "--config", d.config, stdin="Security-Client: " + header)
        asked = d.json("call", "agreement.select", '{"security_client":"%s"}' %
                       header.replace("\\", "\\\\").replace('"', '\\"'))
        T.equal(asked, r.json, "agreement.select says what select says")
    for pair in (("tls", "TLS"), ("tls", "digest")):
        r = Run("compare", *pair)
        asked = d.json("call", "agreement.compare", '{"a":"%s","b":"%s"}' % pair)
        T.equal(asked, r.json, "agreement.compare says what compare says")
    for way, protected in (("--unprotected", False), ("--protected", True)):
        for lines in ("", "Security-Client: %s\r\n" % CLIENT, "Security-Verify: tls\r\n"):
            r = Run("decide", way, "--config", d.config, "--sent", "tls", stdin=MESSAGE % lines)
            asked = d.json("call", "agreement.decide", json.dumps({
                "message": MESSAGE % lines, "protected": protected, "sent": "tls"}))
            T.equal(asked, r.json, "agreement.decide says what decide says")


def main():
    with Daemon() as d:
        if T.ok(d.ready(), "secagreed starts", d.said()):
            for part in (about, refusals, life, failing, bulk, same_as_offline):
                T.part(lambda part=part: part(d))
            T.ok("f769bcd7" not in d.said() and "b40ba9a3" not in d.said(), "no key in the log",
                 "a key was logged")
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
