#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bad input of every kind against the running daemon, through its real socket, on a real kernel.

Each gets an error with the right reason, leaves no SA in the kernel, and the daemon goes on. TAP.
"""

import functools
import json
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

NUMBERS = "spi-c=1001;spi-s=1002;port-c=5101;port-s=5102"
ENTRY = f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;{NUMBERS}"
KEY = "00112233445566778899aabbccddeeff"
MAX_CONNECTIONS = 256  # the default of max-connections


def with_number(name, value):
    """ENTRY with another value for one of its numbers."""
    return ";".join(f"{name}={value}" if part.startswith(f"{name}=") else part
                    for part in ENTRY.split(";"))


def without(name):
    return ";".join(part for part in ENTRY.split(";") if not part.startswith(f"{name}="))


def bad_headers():
    """(what, Security-Client, reason). TS 33.203 Annex H, RFC 3329 2.2, RFC 3261 25.1."""
    bad = [
        ("empty", ""), ("white space alone", " \t "), ("a comma", ","), ("a semicolon", ";"),
        ("a trailing comma", ENTRY + ","), ("an empty element", f"tls, , {ENTRY}"),
        ("no mechanism name", ";alg=hmac-sha-1-96"), ("a mechanism alone", "ipsec-3gpp"),
        ("an empty parameter", "ipsec-3gpp;;" + NUMBERS), ("alg with no value", ENTRY + ";alg="),
        ("alg as a flag", f"ipsec-3gpp;alg;{NUMBERS}"), ("alg twice", ENTRY + ";alg=aes-gmac"),
        ("a name twice in other case", ENTRY + ";SPI-C=1001"),
        ("an unknown parameter twice", ENTRY + ";x=1;X=2"),
        ("no alg", without("alg")), ("no spi-c", without("spi-c")), ("no spi-s", without("spi-s")),
        ("no port-c", without("port-c")), ("no port-s", without("port-s")),
        ("an open quote", ENTRY + ';x="abc'), ("a lone backslash in quotes", ENTRY + ';x="a\\'),
        ("a space inside a token", ENTRY.replace("hmac-sha", "hmac sha")),
        ("a control character", ENTRY + ";x=\x01"), ("an umlaut in a token", ENTRY + ";ü=1"),
        ("a bare line end", ENTRY + "\r\nX: y"), ("5000 x A as a name", "A" * 5000),
        ("5000 x A as a parameter", ENTRY + ";" + "A" * 5000),
        ("5000 x A as a value", ENTRY + ";x=" + "A" * 5000),
        ("5000 digits", with_number("spi-c", "1" * 5000)),
        ("1000 mechanisms", ", ".join([ENTRY] * 1000)),
        ("1000 short mechanisms", ",".join(f"a{number}" for number in range(1000))),
        ("1000 parameters", ENTRY + "".join(f";p{number}=1" for number in range(1000))),
        ("100 lines", [ENTRY] * 100), ("200000 octets", ENTRY + ";x=" + "B" * 200000),
        ("q above 1", ENTRY + ";q=1.1"), ("q with four digits", ENTRY + ";q=0.1234"),
        ("q negative", ENTRY + ";q=-0.1"), ("q without a value", ENTRY + ";q"),
        ("the same q twice", f"{ENTRY};q=0.5, {ENTRY};q=0.50"),
        ("other SPIs in the second entry", f"{ENTRY}, {with_number('spi-c', 7001)}"),
        ("other ports in the second entry", f"{ENTRY}, {with_number('port-s', 7001)}"),
        ("both dialects in two entries",
         ENTRY + ", ipsec-3gpp;alg=hmac-md5-96;spi=1001;port1=5101"),
        ("equal SPIs", with_number("spi-c", 1002)), ("equal ports", with_number("port-c", 5102)),
        ("RFC 3329 without port1", "ipsec-3gpp;alg=hmac-md5-96;spi=1001;port2=5101"),
        ("RFC 3329 without spi", "ipsec-3gpp;alg=hmac-md5-96;port1=5102;port2=5101"),
    ]
    for number in ("0", "255", "4294967296", "99999999999", "-1", "+1", "0x3e9", "1e3", "1.0",
                   '"1001"', "ten", "4294967295999999999999"):
        bad.append((f"spi-c={number}", with_number("spi-c", number)))
    for number in ("0", "65536", "-1", "4294967297", "0x50", "http"):
        bad.append((f"port-s={number}", with_number("port-s", number)))
    # JSON can say NUL, the daemon's reader of JSON refuses to: the request is no JSON for it.
    nul = [("NUL", ENTRY + "\0", -32700),
           ("NUL inside a number", with_number("spi-c", "10\0001"), -32700)]
    return [(what, header, "bad_header") for what, header in bad] + nul


def refused_headers():
    """Good syntax, but nothing that could be agreed on."""
    return [(what, header, "no_common_mechanism") for what, header in (
        ("digest alone", "digest;d-alg=MD5;d-qop=auth"), ("tls alone", "tls;q=0.1"),
        ("an unknown mechanism", 'quantum;x="a,b;c"'),
        ("a prefix of the name", "ipsec-3gp;" + NUMBERS),
        ("a longer name", "ipsec-3gpp2;alg=hmac-sha-1-96;" + NUMBERS),
        ("an unknown alg", f"ipsec-3gpp;alg=hmac-sha-256-128;ealg=null;{NUMBERS}"),
        ("a prefix of an alg", f"ipsec-3gpp;alg=hmac-sha-1;ealg=null;{NUMBERS}"),
        ("an unknown ealg", f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=rot13;{NUMBERS}"),
        ("null with null", f"ipsec-3gpp;alg=null;ealg=null;{NUMBERS}"),
        ("aes-gcm with an HMAC", f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-gcm;{NUMBERS}"),
        ("an alg that is not configured", f"ipsec-3gpp;alg=hmac-md5-96;ealg=null;{NUMBERS}"),
        ("ah", ENTRY + ";prot=ah"), ("an unknown prot", ENTRY + ";prot=udp"),
        ("tun", ENTRY + ";mod=tun"), ("an unknown mod", ENTRY + ";mod=fast"),
        ("media mechanisms alone", "sdes-srtp;mediasec"))]


def bad_parameters():
    """(what, method, changes to the good parameters of sa.offer or all parameters, reason or
    JSON-RPC code)."""
    offers = [
        ("no ck", {"ck": None}), ("no ik", {"ik": None}), ("no impi", {"impi": None}),
        ("no Security-Client", {"security_client": None}), ("no ue", {"ue": None}),
        ("ck with 31 digits", {"ck": KEY[1:]}), ("ck with 33 digits", {"ck": KEY + "0"}),
        ("ck not hexadecimal", {"ck": "g" * 32}), ("ck empty", {"ck": ""}),
        ("ck a number", {"ck": 5}),
        ("ik null", {"ik": [None]}), ("ue a name", {"ue": "phone.example"}),
        ("ue 999.0.2.1", {"ue": "999.0.2.1"}), ("ue with a port", {"ue": "192.0.2.10:5060"}),
        ("ue with a zone", {"ue": "fe80::1%eth0"}), ("ue empty", {"ue": ""}),
        ("via a list", {"via": ["192.0.2.10"]}), ("an unknown parameter", {"colour": "red"}),
        ("a parameter in other case", {"CK": KEY}), ("impi a number", {"impi": 1}),
        ("impi of 5000 octets", {"impi": "A" * 5000}), ("impi with a line end", {"impi": "a\r\nb"}),
        ("Security-Client a number", {"security_client": 1}),
        ("Security-Client a list of numbers", {"security_client": [1, 2]}),
        ("Security-Client an object", {"security_client": {"a": 1}}),
        ("over not hexadecimal", {"over": "x" * 16}), ("over a number", {"over": 1}),
    ]
    tests = [(what, "sa.offer", changes, -32602) for what, changes in offers]
    tests += [
        ("over an unknown set", "sa.offer", {"over": "0123456789abcdef"}, "unknown_set"),
        ("an unknown listener", "sa.offer", {"pcscf": None, "listener": "nobody"},
         "unknown_listener"),
        ("an address of no listener", "sa.offer", {"pcscf": "192.0.2.99"}, "unknown_listener"),
        ("families that differ", "sa.offer", {"ue": "2001:db8::10"}, "unknown_listener"),
        ("a NAT and no UDP-enc-tun", "sa.offer", {"via": "10.0.0.1"}, "nat_refused"),
    ]
    for method in ("sa.confirm", "sa.fail", "sa.extend", "sa.release", "sa.route", "sa.show"):
        more = {"expires": 600} if method in ("sa.confirm", "sa.extend") else {}
        tests += [(f"{method} of an unknown set", method, {"set": "0123456789abcdef", **more},
                   "unknown_set"),
                  (f"{method} of a bad set id", method, {"set": "0x12", **more}, -32602)]
    tests += [("sa.confirm without expires", "sa.confirm", {"set": "0123456789abcdef"}, -32602)]
    tests += [(f"sa.confirm with expires {value!r}", "sa.confirm",
               {"set": "0123456789abcdef", "expires": value}, -32602)
              for value in (-1, 2 ** 32, 1.5, "600", True, None, 1e300)]
    flow = {"pcscf": lab.PCSCF_4, "pcscf_port": 6100, "ue": lab.PHONE_4, "ue_port": 5101,
            "method": "REGISTER"}
    return tests + [
        ("sa.check of an unknown flow", "sa.check", flow, "unknown_set"),
        ("sa.check with port 65536", "sa.check", {**flow, "ue_port": 65536}, -32602),
        ("sa.check without a method", "sa.check",
         {name: value for name, value in flow.items() if name != "method"}, -32602),
        ("an unknown method", "sa.ofer", {}, -32601), ("an empty method", "", {}, -32601),
        ("parameters of a method without any", "daemon.version", {"x": 1}, -32602)]


class Bench:
    """The daemon under test."""

    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = Control(bed.control_path)

    def offer(self, **changes):
        parameters = {"impi": "a@ims.example", "ue": lab.PHONE_4, "pcscf": lab.PCSCF_4,
                      "security_client": ENTRY, "ck": KEY, "ik": KEY, **changes}
        return self.control.call("sa.offer", **parameters)

    def refused(self, what, wanted, call):
        """@call must raise @wanted (a reason or a code) and leave nothing behind."""
        try:
            got, error = f"the answer {call()!r:.200}", None
        except ControlError as caught:
            error = caught
            got = error.reason if isinstance(wanted, str) else error.code
        left = kernel.sa_count(self.bed.pcscf_host)
        speaks = error is not None and len(str(error)) > 10 and KEY not in json.dumps(error.data)
        self.tap.ok(got == wanted and left == 0 and speaks and self.alive(),
                    f"{what}: {wanted}", f"got {got}: {error}", f"{left} SAs left")
        if error is None:
            self.bed.release_everything()
        return error

    def alive(self):
        """Asked on a connection of its own."""
        try:
            connection = Control(self.bed.control_path)
            connection.call("daemon.status")
            connection.close()
            return self.bed.daemon.process.poll() is None
        except (OSError, ValueError):
            return False

    # ---- the socket ----

    def raw(self, data, half_close=False):
        """All lines that come back for @data, and whether the daemon closed the connection."""
        connection = Control(self.bed.control_path)
        connection.socket.settimeout(10)
        lines = []
        try:
            connection.send(data)
            if half_close:
                connection.socket.shutdown(socket.SHUT_WR)
            while line := connection.line():
                lines.append(json.loads(line))
                if not half_close:
                    break
        except TimeoutError:
            lines.append("timeout")
        except OSError:
            pass  # refused while we were still sending
        connection.close()
        return lines


def framing(bench):
    """What is no request: a parse error or an invalid request, then the daemon goes on."""
    parse, invalid = -32700, -32600
    cases = [
        ("garbage", b"\xff\xfe\x00garbage\n", parse), ("HTTP", b"GET / HTTP/1.1\r\n\r\n", parse),
        ("a bare number", b"17\n", parse), ("a closing brace", b"}\n", parse),
        ("mixed brackets", b'{"a":]}\n', parse), ("no JSON in braces", b"{jsonrpc}\n", parse),
        ("bad UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xc0\xaf"}\n', parse),
        ("a lone surrogate", b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}\n', parse),
        ("a number too large",
         b'{"jsonrpc":"2.0","id":1,"method":"sa.list","params":{"limit":1e999}}\n', -32602),
        ("a name twice", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"daemon.status"}\n', parse),
        ("100000 brackets", b"[" * 100000, parse),
        ("100000 braces", b'{"a":' * 100000, parse),
        ("a frame of 2 MiB", b'{"a":"' + b"A" * (2 << 20) + b'"}\n', parse),
        ("an empty batch", b"[]\n", invalid), ("an empty object", b"{}\n", invalid),
        ("the wrong version", b'{"jsonrpc":"1.0","id":1,"method":"daemon.status"}\n', invalid),
        ("a method that is a number", b'{"jsonrpc":"2.0","id":1,"method":1}\n', invalid),
        ("an id that is an object", b'{"jsonrpc":"2.0","id":{},"method":"daemon.status"}\n',
         invalid),
        ("parameters that are text",
         b'{"jsonrpc":"2.0","id":1,"method":"daemon.status","params":"x"}\n', None),
    ]
    for what, data, wanted in cases:
        lines = bench.raw(data)
        codes = [line.get("error", {}).get("code") if isinstance(line, dict) else line
                 for line in lines]
        held = codes[:1] == [wanted] if wanted else codes[0] in (invalid, -32602)
        # a daemon that hangs up on a flood before it was all sent has answered too
        held = held or not lines and len(data) > 65536
        bench.tap.ok(held and bench.alive(), f"frame: {what}: {wanted or 'refused'}", lines)


def connections(bench):
    """Peers that do not behave."""
    tap, path = bench.tap, bench.bed.control_path
    request = b'{"jsonrpc":"2.0","id":7,"method":"daemon.version","params":{}}'

    tap.ok([line.get("id") for line in bench.raw(request * 3, half_close=True)] == [7, 7, 7],
           "three requests without line ends and a half-close still get their answers")
    many = b'{"jsonrpc":"2.0","id":7,"method":"daemon.methods"}' * 500
    tap.ok(len(bench.raw(many, half_close=True)) == 500,
           "500 requests with megabytes of answers and a half-close: none is lost")
    tap.ok(bench.raw(request[:20], half_close=True) == [] and bench.alive(),
           "half a request and a half-close")

    slow = Control(path)
    for place in range(len(request)):
        slow.send(request[place:place + 1])
    tap.ok(json.loads(slow.line())["id"] == 7, "a request octet by octet is answered")
    slow.close()

    deaf = Control(path)
    deaf.socket.setblocking(False)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += deaf.socket.send(request * 1000)
    except OSError:
        pass
    tap.ok(bench.alive(), "a peer that asks on and on and never reads blocks nobody",
           f"{sent} octets taken")
    deaf.close()

    for _ in range(50):
        gone = Control(path)
        gone.send(request[:30])
        gone.close()
    tap.ok(bench.alive(), "50 peers that leave in the middle of a request")

    bench.control.close()
    idle = []
    try:
        for _ in range(MAX_CONNECTIONS * 2):
            idle.append(Control(path))
    except OSError:
        pass
    for one in idle:
        one.close()
    bench.bed.until(bench.alive, "the daemon answers again")
    tap.ok(bench.alive(), f"{len(idle)} connections that say nothing, then one that does")
    bench.control = Control(path)


def states(bench):
    """Right words at the wrong time; and SPIs that somebody else has."""
    tap, control, host = bench.tap, bench.control, bench.bed.pcscf_host
    flow = {"pcscf": lab.PCSCF_4, "ue": lab.PHONE_4, "pcscf_port": 6100, "ue_port": 5101}

    def must_refuse(what, wanted, left, call, *arguments, **named):
        try:
            got = call(*arguments, **named)
        except ControlError as error:
            got = error.reason
        count = kernel.sa_count(host)
        tap.ok(got == wanted and count == left and bench.alive(), f"{what}: {wanted}",
               f"got {got}, {count} SAs")

    one = bench.offer()["set"]
    tap.ok(kernel.sa_count(host) == 4, "a good offer after all this installs its four SAs")
    must_refuse("sa.extend of a temporary set", "wrong_state", 4, control.call, "sa.extend",
                set=one, expires=600)
    must_refuse("OPTIONS on a temporary set", "wrong_state", 4, control.call, "sa.check",
                method="OPTIONS", **flow)
    must_refuse("another phone at this address with the same SPIs and other ports", "spi_in_use",
                4, bench.offer, impi="b@ims.example",
                security_client=ENTRY.replace("5101", "5201").replace("5102", "5202"))
    control.call("sa.release", set=one)
    tap.ok(kernel.sa_count(host) == 0, "its release takes them away")

    host.ip("xfrm", "state", "add", "src", lab.PCSCF_4, "dst", lab.PHONE_4, "proto", "esp", "spi",
            "1002", "reqid", "7", "mode", "transport", "auth-trunc", "hmac(sha1)", "0x" + KEY, "96",
            "enc", "ecb(cipher_null)", "")
    must_refuse("the SPI of a stranger's SA in the kernel", "spi_in_use", 1, bench.offer)
    host.ip("xfrm", "state", "delete", "src", lab.PCSCF_4, "dst", lab.PHONE_4, "proto", "esp",
            "spi", "1002")

    offered = bench.offer()
    must_refuse("Security-Verify with another number", "verify_mismatch", 4, control.call,
                "sa.check", method="REGISTER", security_client=ENTRY,
                security_verify=offered["security_server"].replace("port-s=6100", "port-s=6101"),
                **flow)
    must_refuse("the right one afterwards, on the set that was given up", "wrong_state", 4,
                control.call, "sa.check", method="REGISTER", security_client=ENTRY,
                security_verify=offered["security_server"], **flow)
    bench.bed.release_everything()
    tap.ok(kernel.sa_count(host) == 0, "nothing is left at the end")


def main():
    tap = Tap()
    with lab.Lab([lab.listener("ims", lab.PCSCF_4)]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        bench = Bench(bed, tap)
        for what, header, wanted in bad_headers() + refused_headers():
            bench.refused(f"Security-Client: {what}", wanted,
                          lambda header=header: bench.offer(security_client=header))
        for what, method, changes, wanted in bad_parameters():
            call = bench.offer if method == "sa.offer" else \
                functools.partial(bench.control.call, method)
            bench.refused(what, wanted, lambda call=call, changes=changes: call(**changes))
        framing(bench)
        connections(bench)
        states(bench)
        pid_before = bed.daemon.pid
        tap.ok(bed.daemon.end() == 0, f"the daemon, still process {pid_before}, stops cleanly",
               bed.daemon.errors()[-1000:])
        tap.ok(KEY not in bed.daemon.errors(), "its log holds no key")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
