#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Where CK and IK are after they were used: nowhere but in the kernel.

They come in by each framing and by sip.response, in requests that are good and that are refused at
each step, for each combination of algorithms; SAs are made, extended, listed, audited, exported,
taken up by a next daemon. Then the memory of the daemon, all that can be read of it, its log, its
events, its files and its answers are searched for the keys and what is made from them, binary, in
hexadecimal and in base64. That the search finds what is there is tried first. A daemon that crashes
leaves no core. TAP.
"""

import base64
import glob
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import expect  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import memory  # noqa: E402
from door_attacks import HOST, Peer, command, post  # noqa: E402
from tap import Tap  # noqa: E402

# Random, and without the parity of DES.
CK = bytes.fromhex("3aa4d16e07c85b92e619b37df02c8641")
IK = bytes.fromhex("95ee4b10a27fc33864d80bf15c9a26b7")
PLANTED = bytes.fromhex("5d0e93f8b6417ac22b84e76f19d0a53c")
PIECE = 8  # octets of a key that are found wherever they are
SUITES = (("hmac-sha-1-96", "aes-cbc"), ("hmac-md5-96", "des-ede3-cbc"), ("hmac-sha-1-96", "null"),
          ("aes-gmac", "null"), ("null", "aes-gcm"))
CORES = "/tmp/secagree-cores"


# ---- the search ----

def base64_forms(data):
    """What is the same of @data in base64, wherever it begins in what is encoded."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data)
        yield text[-(-shift * 4 // 3):(shift + len(data)) * 4 // 3]


def forms(piece):
    """(name, bytes) of 8 octets of a key."""
    yield "binary", piece
    yield "backwards", piece[::-1]
    yield "HMAC, inner", bytes(octet ^ 0x36 for octet in piece)
    yield "HMAC, outer", bytes(octet ^ 0x5c for octet in piece)
    for name, text in (("hexadecimal", piece.hex()), ("HEXADECIMAL", piece.hex().upper())):
        yield name, text.encode()
        for form in base64_forms(text.encode()):
            yield f"base64 of {name}", form
    for form in base64_forms(piece):
        yield "base64", form


def patterns(keys):
    """{bytes: name} of each half of each key; of equal ones the first gives the name."""
    found = {}
    for name, key in keys.items():
        for at in range(0, len(key) - PIECE + 1, PIECE):
            for kind, form in forms(key[at:at + PIECE]):
                found.setdefault(form, f"{name} from octet {at}, {kind}")
    return found


def all_keys():
    keys = {"CK": CK, "IK": IK}
    for alg, ealg in SUITES:
        for kind, name, digits, _ in expect.expand(alg, ealg, CK, IK):
            keys[f"{alg}/{ealg} {kind} {name}"] = bytes.fromhex(digits)
    return keys


def find(data, wanted, where):
    return [f"{name} in {where} at {data.index(form):#x}" for form, name in wanted.items()
            if form in data]


# ---- requests ----

def request(method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def offer_params(number, suite=SUITES[0], time=0, **changes):
    """@time: how often this phone has registered before; its SPIs and ports are new each time."""
    alg, ealg = suite
    spi = 5000 + 1000 * time + 2 * number
    return {"impi": f"phone{number}@ims.example", "ue": f"192.0.2.{50 + number}",
            "pcscf": lab.PCSCF_4, "ck": CK.hex(), "ik": IK.hex().upper(),
            "security_client": f"ipsec-3gpp;alg={alg};ealg={ealg};spi-c={spi};spi-s={spi + 1};"
                               f"port-c={7000 + 2 * time};port-s=7001", **changes}


def by_json(params):
    return "control", request("sa.offer", **params)


def by_resp(params):
    return "control", command("sa.offer", json.dumps(params))


def by_call(params):
    return "control", command("CALL", "sa.offer", json.dumps(params))


def by_base64(params):
    return "control", command("CALL", "sa.offer", base64.b64encode(json.dumps(params).encode()))


def by_http(params):
    return "http", post(request("sa.offer", **params), b"Connection: close\r\n")


DOORS = (by_json, by_resp, by_call, by_base64, by_http)


def register(number):
    """A REGISTER in clear, as the front end has it."""
    return (f"REGISTER sip:ims.example SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 192.0.2.{50 + number}:5060;branch=z9hG4bK{number}\r\n"
            f"To: <sip:phone{number}@ims.example>\r\nFrom: <sip:phone{number}@ims.example>;tag=1\r\n"
            f"Call-ID: {number}\r\nCSeq: 1 REGISTER\r\nRequire: sec-agree\r\n"
            f"Proxy-Require: sec-agree\r\nContact: <sip:192.0.2.{50 + number}:7001>\r\n"
            f"Authorization: Digest username=\"phone{number}@ims.example\",realm=\"ims.example\","
            "nonce=\"\",uri=\"sip:ims.example\",response=\"\"\r\n"
            f"Security-Client: {offer_params(number)['security_client']}\r\n"
            "Content-Length: 0\r\n\r\n")


def challenge(number, more=""):
    return (f"SIP/2.0 401 Unauthorized\r\n"
            f"Via: SIP/2.0/UDP 192.0.2.{50 + number}:5060;branch=z9hG4bK{number}\r\n"
            f"To: <sip:phone{number}@ims.example>;tag=2\r\n"
            f"From: <sip:phone{number}@ims.example>;tag=1\r\n"
            f"Call-ID: {number}\r\nCSeq: 1 REGISTER\r\n"
            "WWW-Authenticate: Digest realm=\"ims.example\",nonce=\"bm9uY2U=\","
            f"algorithm=AKAv1-MD5,ck=\"{CK.hex()}\",ik=\"{IK.hex()}\"{more}\r\n"
            "Content-Length: 0\r\n\r\n")


class Test:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.paths = {"control": bed.control_path, "http": bed.http_path,
                      "monitor": bed.monitor_path}
        self.answers = []
        self.number = 0

    def say(self, where, data):
        """Whatever the answer is, it is searched too."""
        peer = Peer(self.paths[where], data)
        peer.socket.shutdown(socket.SHUT_WR)
        answer = peer.all()
        peer.close()
        self.answers.append(answer)
        return answer.decode(errors="replace")

    def call(self, method, **params):
        return json.loads(self.say("control", request(method, **params)))

    def next(self):
        self.number += 1
        return self.number

    # ---- the search ----

    def found(self, wanted):
        pid = self.bed.daemon.pid
        found = [one for where, data in memory.of_process(pid) for one in find(data, wanted, where)]
        listed = self.call("event.list", since=0, limit=1024)
        found += find(json.dumps(listed).encode(), wanted, "event.list")
        found += find(self.bed.daemon.errors().encode(), wanted, "the log")
        for path in glob.glob(f"{self.bed.directory}/**", recursive=True):
            if os.path.isfile(path):
                found += [one for data in memory.of_file(path) for one in find(data, wanted, path)]
        for sentence in self.what_is_told():
            found += find(sentence, wanted, "an answer")
        return found

    def what_is_told(self):
        """By the doors until now, and about every set."""
        answers, self.answers = self.answers, []
        for one in self.call("sa.list").get("result", {}).get("sets", []):
            self.call("sa.show", set=one["set"])
        for number in range(self.number + 1):
            self.call("phone.explain", impi=f"phone{number}@ims.example")
        self.call("daemon.status")
        self.say("monitor", request("event.list", since=0))
        self.say("http", b"GET /metrics" + HOST + b"Connection: close\r\n\r\n")
        answers += self.answers
        self.answers = []
        return answers

    def clean(self, what):
        found = self.found(patterns(all_keys()))
        self.tap.ok(not found, f"{what}: no key anywhere", *found[:30])

    def finds_what_is_there(self):
        """A half request is in the daemon's memory until its end comes; then it is gone."""
        wanted = patterns({"planted": PLANTED})
        for kind, text in (("hexadecimal", PLANTED.hex().encode()),
                           ("HEXADECIMAL", PLANTED.hex().upper().encode()),
                           ("base64", base64.b64encode(b"x" + PLANTED)),
                           ("base64 of hexadecimal", base64.b64encode(PLANTED.hex().encode()))):
            peer = Peer(self.bed.control_path, b'{"ck":"' + text)
            there = []
            self.bed.until(lambda: there.extend(self.found(wanted)) or there, "it is read")
            peer.close()
            self.bed.until(lambda: not self.found(wanted), "it is wiped")
            self.tap.ok(any("[heap]" in one or "mapping" in one for one in there)
                        and any(f", {kind} in" in one for one in there),
                        f"a key in {kind} is found while it is there", there)
        peer = Peer(self.bed.control_path, command("PING", b"x" + PLANTED)[:-1])
        there = []
        self.bed.until(lambda: there.extend(self.found(wanted)) or there, "it is read")
        peer.close()
        self.tap.ok(any(", binary in" in one for one in there), "and in binary", there)
        planted = self.call("sa.route", impi=PLANTED.hex())
        found = find(json.dumps(planted).encode() + PLANTED.hex().encode(), wanted, "a text")
        self.tap.ok(found, "and in a text", planted)

    # ---- what becomes of keys ----

    def refused_offers(self):
        """Each by each door."""
        good = offer_params(1)
        spoilt = [
            ("a bad header", {"security_client": "ipsec-3gpp;alg"}),
            ("no common mechanism", {"security_client": "tls"}),
            ("no combination", {"security_client": good["security_client"].replace(
                "hmac-sha-1-96", "hmac-none")}),
            ("a key too short", {"ik": IK.hex()[:-1]}), ("a key too long", {"ck": CK.hex() + "0"}),
            ("a key that is none", {"ck": "g" + CK.hex()[1:]}),
            ("a key where none belongs", {"key": CK.hex()}),
            ("an unknown listener", {"pcscf": "192.0.2.99"}), ("another family", {"ue": "::1"}),
            ("an unknown set", {"over": "0" * 16}), ("a NAT", {"via": "10.0.0.1"}),
            ("the kernel", {"ue": "192.0.2.77"})]
        self.bed.pcscf_host.ip("xfrm", "state", "add", "src", lab.PCSCF_4, "dst", "192.0.2.77",
                               "proto", "esp", "spi", "5002", "reqid", "7", "mode", "transport",
                               "auth-trunc", "hmac(sha1)", "0x" + "11" * 20, "96",
                               "enc", "ecb(cipher_null)", "")
        said = {what: [self.say(*door({**good, **changes})) for door in DOORS]
                for what, changes in spoilt}
        wrong = {what: answers for what, answers in said.items()
                 if any('"set":' in answer for answer in answers) or not all(answers)}
        self.tap.ok(not wrong and kernel.sa_count(self.bed.pcscf_host) == 1,
                    f"{len(said)} kinds of offers are refused, by {len(DOORS)} ways", wrong)
        self.clean("after refused offers")

    def broken_requests(self):
        """What is no request, or none that ends."""
        good = request("sa.offer", **offer_params(1))
        for data in (good[:-9], good[:-2] + b",}", good.replace(b'"params"', b'"params":1,"x"'),
                     good.replace(b"sa.offer", b"sa.ofer"), good + b"garbage" + good,
                     b"[" + good + b"," + good[:-1], b"{" * 40 + good, good.replace(b'"ck"', b'"ik"'),
                     good + b" " * 300000 + good, good[:-1] + b" " * 300000,
                     command("sa.offer", good)[:-9], command("sa.offer", good, good),
                     command(good, "x"), command("CALL", good), command("sa.offer", good + b"}"),
                     command("sa.offer", base64.b64encode(good)[:-1] + b"!"),
                     command("sa.offer", base64.b64encode(good[:-3])),
                     command("PING", "x") + b"+" + good):
            self.say("control", data)
            self.say("monitor", data)
        for data in (post(good)[:-9], post(good, b"Transfer-Encoding: chunked\r\n"),
                     b"GET /" + good.replace(b" ", b"") + HOST + b"\r\n",
                     b"GET /healthz" + HOST + b"X: " + good + b"\r\n\r\n",
                     b"POST /no" + HOST + b"Content-Length: %d\r\n\r\n" % len(good) + good,
                     b"POST /rpc" + HOST + b"Content-Length: 999999\r\n\r\n" + good):
            self.say("http", data)
        self.clean("after requests that are none")

    def registrations(self):
        """Each combination by each door: made, confirmed, again over the set, one that fails."""
        right = 0
        for suite in SUITES:
            for door in DOORS:
                number = self.next()
                first = self.set_of(self.say(*door(offer_params(number, suite))))
                right += "current" in str(self.call("sa.confirm", set=first, expires=600))
                second = self.set_of(self.say(*door(offer_params(number, suite, 1, over=first))))
                right += "new" in str(self.call("sa.confirm", set=second, expires=900))
                third = self.set_of(self.say(*door(offer_params(number, suite, 2))))
                right += "gone" in str(self.call("sa.fail", set=third))
        self.tap.ok(right == 3 * len(SUITES) * len(DOORS), "registrations, twice, and a third that "
                    "fails, for each combination by each way", right, self.answers[-3:])
        batch = b"[" + b",".join(request("sa.offer", **offer_params(self.next()))
                                 for _ in range(20)) + b"]"
        self.tap.ok(self.say("control", batch).count('"set":') == 20, "20 offers in a batch")
        self.clean("after registrations")

    @staticmethod
    def set_of(answer):
        found = re.search(r'"set":"(\w{16})"', answer)
        return found[1] if found else "0" * 16

    def sip_register(self, number):
        self.call("sip.request", message=register(number),
                  source={"address": f"192.0.2.{50 + number}", "port": 5060},
                  destination={"address": lab.PCSCF_4, "port": 5060})

    def whole_messages(self):
        """sip.response takes the keys out of the 401."""
        made = 0
        for more in ("", ",auts=\"x\"", ",broken", ",ck=\"1\"", "\r\nWWW-Authenticate: Digest"):
            number = self.next()
            self.sip_register(number)
            answer = self.call("sip.response", message=challenge(number, more))
            made += "Security-Server" in str(answer)
        number = self.next()
        self.call("sip.response", message=challenge(number))  # to no REGISTER
        self.sip_register(number)
        for text in (challenge(number)[:-40], challenge(number).replace("401 U", "200 U"),
                     challenge(number).replace("To:", "Too:")):
            self.call("sip.response", message=text)
        answer = self.call("sip.response", message_base64=base64.b64encode(
            challenge(number).encode()).decode())
        self.tap.ok(made >= 2 and "message_base64" in str(answer),
                    "sip.response makes sets of a 401 with keys", made, answer)
        self.clean("after whole SIP messages")

    def kernels_own(self):
        """What makes the daemon read SAs back, keys and all."""
        done = [self.call("daemon.audit")]
        first = self.call("sa.list", state="new")["result"]["sets"][0]["set"]
        done += [self.call("sa.extend", set=first, expires=1200)]
        exported = self.call("sa.export_keys", set=first)
        self.answers.pop()  # has keys, and is meant to
        self.tap.ok(all("result" in one for one in done) and '"key"' in json.dumps(exported),
                    "an audit, an extension, an export of keys", done)
        del exported
        self.clean("after the kernel has told the keys")

    def next_daemon(self):
        before = self.call("sa.list")["result"]["total"]
        self.bed.restart_daemon(signal.SIGKILL)
        self.tap.ok(before > 0 and self.call("sa.list")["result"]["total"] == before,
                    "a next daemon takes up the sets", before)
        self.clean("in the next daemon")

    # ---- the process ----

    def locked(self):
        pid = self.bed.daemon.pid
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
            flags = re.findall(r"^[0-9a-f]+-\S+ rw.*?^VmFlags: (.*?)$", file.read(), re.M | re.S)
        bare = [one for one in flags if " lo" not in one]
        self.tap.ok(flags and not bare and int(status["VmLck"].split()[0]) > 0,
                    f"all {len(flags)} writable mappings are locked: no key reaches the swap area",
                    bare[:5])
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            limit = re.search(r"Max core file size\s+(\S+)\s+(\S+)", file.read()).groups()
        self.tap.ok(limit == ("0", "0"), "the limit of a core is 0 for good", limit)
        tracer = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "head", "-c", "1",
             f"/proc/{pid}/mem"], capture_output=True, text=True, check=False)
        self.tap.ok(tracer.returncode != 0 and "ermission" in tracer.stderr,
                    "another user cannot read its memory", tracer.stderr)

    def crash(self):
        """Its limit lifted from outside, it still leaves no core, where another program does."""
        def die(process, pid):
            os.kill(pid, signal.SIGSEGV)
            process.wait()
            return sorted(os.listdir(CORES))

        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        other = subprocess.Popen(["sleep", "1000"])
        others = die(other, other.pid)
        self.tap.ok(others == [f"core.{other.pid}"], "a program that crashes leaves a core", others)
        resource.prlimit(self.bed.daemon.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        left = die(self.bed.daemon.process, self.bed.daemon.pid)
        self.tap.ok(self.bed.daemon.process.returncode == -signal.SIGSEGV and left == others,
                    "the daemon leaves none, even with no limit", left)


def cores_elsewhere():
    """Returns what puts it back."""
    os.makedirs(CORES, exist_ok=True)
    with open("/proc/sys/kernel/core_pattern", "r+", encoding="ascii") as file:
        old = file.read()
        file.seek(0)
        file.write(f"{CORES}/core.%p")
    return lambda: open("/proc/sys/kernel/core_pattern", "w", encoding="ascii").write(old)


def run(bed, tap):
    test = Test(bed, tap)
    test.locked()
    test.finds_what_is_there()
    test.clean("before anything")
    test.refused_offers()
    test.broken_requests()
    test.registrations()
    test.whole_messages()
    test.kernels_own()
    test.next_daemon()
    put_back = cores_elsewhere()
    try:
        test.crash()
    finally:
        put_back()


def main():
    tap = Tap()
    listener = lab.listener("ims", lab.PCSCF_4, 6100, (6104, 6107),
                            algorithms=[f"{alg}/{ealg}".replace("aes-gmac/null", "aes-gmac")
                                        .replace("null/aes-gcm", "aes-gcm")
                                        for alg, ealg in SUITES])
    with lab.Lab([listener]) as bed:
        bed.monitor_path = os.path.join(bed.directory, "monitor.sock")
        bed.http_path = os.path.join(bed.directory, "http.sock")
        bed.daemon_sections = (f'monitor {{ path = "{bed.monitor_path}" }}\n'
                               f'http {{ path = "{bed.http_path}" }}\n')
        bed.daemon_settings = {"allow-key-export": '"on"'}
        bed.make_hosts()
        bed.start_daemon()
        with bed.to_the_end(tap):
            run(bed, tap)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
