#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""secagreectl without a daemon: parse, select, compare, decide, keys, and usage.

TAP on standard output. The program is $SECAGREECTL, or secagreectl in $BUILD (default: build).
"""
import os
import random
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from tap import CTL, Run, Tap  # noqa: E402
from terminal import Terminal  # noqa: E402

T = Tap()
HERE = os.path.dirname(os.path.abspath(__file__))
NUMBERS = ";spi-c=1001;spi-s=1002;port-c=5003;port-s=5004"
OLD_NUMBERS = ";spi=1001;port1=5001"


def parse(text):
    return Run("parse", stdin=text)


def client(value):
    return parse("Security-Client: " + value + "\r\n")


# ---- parse: the answer, byte for byte ----

def parse_form():
    r = client("ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;spi-s=2000;port-c=3000;port-s=4000")
    T.equal((r.exit, r.out.decode(), r.err), (0, (
        '{"header":"Security-Client","mechanisms":[{"name":"ipsec-3gpp","q":null,"parameters":'
        '[["alg","hmac-sha-1-96"],["spi-c","1000"],["spi-s","2000"],["port-c","3000"],'
        '["port-s","4000"]]}],"ipsec_3gpp":{"dialect":"24.229","spi_c":1000,"spi_s":2000,'
        '"port_c":3000,"port_s":4000,"offers":[{"alg":"hmac-sha-1-96","ealg":"null","prot":"esp",'
        '"mod":"trans","usable":true}]}}\n'), ""), "parse: the 24.229 dialect, to the byte")
    r = client("ipsec-3gpp;alg=hmac-md5-96;prot=ah;mod=tun;spi=0000001234;port1=5000;port2=5001")
    T.equal((r.exit, r.out.decode()), (0, (
        '{"header":"Security-Client","mechanisms":[{"name":"ipsec-3gpp","q":null,"parameters":'
        '[["alg","hmac-md5-96"],["prot","ah"],["mod","tun"],["spi","0000001234"],["port1","5000"],'
        '["port2","5001"]]}],"ipsec_3gpp":{"dialect":"rfc3329","spi":1234,"port1":5000,'
        '"port2":5001,"offers":[{"alg":"hmac-md5-96","ealg":"null","prot":"ah","mod":"tun",'
        '"usable":true}]}}\n')), "parse: the RFC 3329 dialect, to the byte")
    r = client("ipsec-3gpp;alg=hmac-md5-96" + OLD_NUMBERS)
    T.ok(b'"spi":1001,"port1":5001,"port2":null,' in r.out, "parse: no port2 is null", r)
    r = parse("Security-Server: tls;q=0.1")
    T.equal((r.exit, r.out.decode()), (0, (
        '{"header":"Security-Server","mechanisms":[{"name":"tls","q":0.1,"parameters":[]}],'
        '"ipsec_3gpp":null}\n')), "parse: no ipsec-3gpp is null, q=0.1 is 0.1")
    r = client("ipsec-3gpp;alg=hmac-sha-1-96;spi=7;spi-c=1000;spi-s=2000;port-c=3;port-s=4")
    T.ok(r.json and r.json["ipsec_3gpp"]["dialect"] == "24.229",
         "parse: with both dialects in an entry the newer counts", r)


def parse_values():
    for text, shown in (("0", "0.0"), ("0.", "0.0"), ("1", "1.0"), ("1.000", "1.0"),
                        ("0.1", "0.1"), ("0.100", "0.1"), ("0.123", "0.123"), ("0.007", "0.007"),
                        ("0.3", "0.3"), ("0.999", "0.999")):
        r = client("tls;q=%s;x=y" % text)
        wanted = '{"name":"tls","q":%s,"parameters":[["x","y"]]}' % shown
        T.ok(wanted.encode() in r.out, "parse: q=%s is %s and no parameter" % (text, shown), r)
    r = client('Foo;A="Some, \\"Text\\"; Here";B=C;Flag;d="";h=[2001:DB8::1]')
    T.equal(r.json and r.json["mechanisms"][0]["parameters"],
            [["a", '"Some, \\"Text\\"; Here"'], ["b", "c"], ["flag", None], ["d", '""'],
             ["h", "[2001:db8::1]"]],
            "parse: names and tokens in lower case, quoted strings as written, flags null")
    r = client('x;a="Zoë \u200b€"')
    T.ok(r.json and r.json["mechanisms"][0]["parameters"] == [["a", '"Zoë \u200b€"']] and
         r.out.isascii(), "parse: UTF-8 in a quoted string, printed as ASCII", r)
    r = client('x;a="\\\x1b\\\x07"')
    T.ok(r.json and b"\x1b" not in r.out, "parse: no control character is printed raw", r)
    r = client("IPSEC-3GPP;ALG=HMAC-SHA-1-96;EALG=AES-CBC" + NUMBERS.upper())
    T.ok(r.json and r.json["ipsec_3gpp"]["offers"][0]["ealg"] == "aes-cbc",
         "parse: A1 everything in upper case", r)
    r = client("digest;d-alg=MD5;d-qop=auth;d-ver=\"%s\"" % ("0af" * 10 + "12"))
    T.equal(r.json and r.json["mechanisms"][0]["parameters"][:2],
            [["d-alg", "md5"], ["d-qop", "auth"]], "parse: the parameters of digest")
    r = client("sdes-srtp;mediasec, ipsec-3gpp;mediasec;alg=x")
    T.ok(r.json and r.json["ipsec_3gpp"] is None and
         r.json["mechanisms"][0]["parameters"] == [["mediasec", None]],
         "parse: C10 a media plane mechanism is no offer", r)


USABLE = [  # dialect, parameters, usable?
    ("n", "alg=hmac-sha-1-96", True),
    ("n", "alg=hmac-md5-96;ealg=null", True),
    ("n", "alg=hmac-md5-96;ealg=des-ede3-cbc", True),
    ("n", "alg=hmac-sha-1-96;ealg=aes-cbc;mod=UDP-enc-tun", True),
    ("n", "alg=aes-gmac", True),
    ("n", "alg=aes-gmac;ealg=null", True),
    ("n", "alg=null;ealg=aes-gcm", True),
    ("n", "alg=null", False),
    ("n", "alg=null;ealg=null", False),
    ("n", "alg=null;ealg=aes-cbc", False),
    ("n", "alg=hmac-sha-1-96;ealg=aes-gcm", False),
    ("n", "alg=aes-gmac;ealg=aes-cbc", False),
    ("n", "alg=hmac-sha-1-96;prot=ah", False),
    ("n", "alg=hmac-sha-1-96;mod=tun", False),
    ("n", "alg=hmac-sha-256-128", False),
    ("n", "alg=hmac-sha-1-9", False),
    ("n", "alg=hmac-sha-1-96;ealg=aes-cbc-x", False),
    ("n", "alg=hmac-sha-1-96;prot=espx", False),
    ("n", "alg=hmac-sha-1-96;mod=transport", False),
    ("o", "alg=hmac-sha-1-96", True),
    ("o", "alg=hmac-sha-1-96;prot=ah", True),
    ("o", "alg=hmac-sha-1-96;mod=tun", True),
    ("o", "alg=hmac-sha-1-96;prot=ah;ealg=aes-cbc", False),
    ("o", "alg=hmac-sha-1-96;mod=UDP-enc-tun", False),
]


def parse_usable():
    for dialect, params, usable in USABLE:
        r = client("ipsec-3gpp;" + params + (NUMBERS if dialect == "n" else OLD_NUMBERS))
        given = dict(p.lower().split("=") for p in params.split(";"))
        wanted = {"alg": "?", "ealg": "null", "prot": "esp", "mod": "trans", **given,
                  "usable": usable}
        T.equal(r.json and r.json["ipsec_3gpp"] and r.json["ipsec_3gpp"]["offers"], [wanted],
                "parse: C1 C3 C8 %s is %susable in %s" %
                (params, "" if usable else "not ", "24.229" if dialect == "n" else "RFC 3329"))


# ---- parse: lines ----

MESSAGE = """REGISTER sip:ims.example SIP/2.0\r
Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1\r
Security-Client: tls;q=0.5,\r
 digest ;\r
\td-alg=MD5\r
s: Security-Client: not-this\r
X-Security-Client: nor-this\r
Security-Clients: nor-this\r
SECURITY-client \t: foo\r
Content-Length: 27\r
\r
Security-Server: in;the=body"""


def parse_lines():
    names = ["tls", "digest", "foo"]
    r = parse(MESSAGE)
    T.equal(r.json and [m["name"] for m in r.json["mechanisms"]], names,
            "parse: A2 two lines, folded, amid a whole message with CRLF, are one list")
    r = parse(MESSAGE.replace("\r", ""))
    T.equal(r.json and [m["name"] for m in r.json["mechanisms"]], names, "parse: the same with LF")
    r = parse("\r\n\n" + MESSAGE)
    T.equal(r.json and [m["name"] for m in r.json["mechanisms"]], names,
            "parse: empty lines before the first one")
    for name, text in (("a fold right after the colon", "Security-Verify:\r\n tls\r\n"),
                       ("no blank after the colon, no line end", "Security-Verify:tls"),
                       ("blanks at the end", "Security-Verify: tls \t\r\n"),
                       ("a last line that is only a fold", "Security-Verify: tls\r\n \r\n"),
                       ("SECURITY-VERIFY", "SECURITY-VERIFY: TLS\n")):
        r = parse(text)
        T.equal(r.json, {"header": "Security-Verify", "ipsec_3gpp": None, "mechanisms": [
            {"name": "tls", "q": None, "parameters": []}]}, "parse: " + name)
    r = parse("".join("Security-Client: m%d\r\n" % i for i in range(64)))
    T.ok(r.exit == 0 and len(r.json["mechanisms"]) == 64, "parse: 64 lines are read", r)
    filler = "Subject: " + "x" * 60000 + "\r\nSecurity-Client: tls\r\n"
    filler += "Y: " + "y" * (65536 - len(filler) - 3)
    T.ok(parse(filler).exit == 0, "parse: 65536 bytes of input are read")
    bad_header(parse(filler + "y"), 65536, "65536", "65537 bytes are too many")
    bad_header(parse("Security-Client: tls\n" * 400000), 65536, "65536", "8 MB are too many")


def bad_header(r, offset, words, name):
    error = (r.json or {}).get("error", {})
    T.ok(r.exit == 1 and list(r.json or {}) == ["error"] and r.err == "" and
         list(error) == ["reason", "detail", "offset"] and error["reason"] == "bad_header" and
         words in error["detail"] and (offset is None or error["offset"] == offset),
         "parse: refused: " + name, "wanted offset %s, words %r\n%s" % (offset, words, r))


MARK = "<here>"  # where the offset of an error must point; not part of the input

BAD = [  # words of the detail, input, name
    ("no Security-Client", MARK, "empty input"),
    ("no Security-Client", MARK + "\r\n\r\n", "empty lines"),
    ("no Security-Client", MARK + "Via: SIP/2.0/UDP x\r\nc: text/plain\r\n", "other headers only"),
    ("no Security-Client", MARK + "Security-Client ipsec-3gpp\r\n", "no colon"),
    ("no Security-Client", MARK + "Via: x\r\n\r\nSecurity-Client: tls\r\n", "a header in the body"),
    ("no Security-Client", MARK + "s: tls\r\nv: tls\r\n", "A9 compact forms"),
    ("no Security-Client", MARK + "\x7fELF\x02\x01\x01 garbage: \xff\xfe", "garbage"),
    ("two different", "Security-Client: tls\r\nVia: x\r\n" + MARK + "Security-Verify: tls\r\n",
     "two different headers"),
    ("NUL", "Security-Client: tl" + MARK + "\0s\r\n", "NUL in a name"),
    ("NUL", "Security-Client: tls;a=\"x" + MARK + "\0\"\r\n", "NUL in a quoted string"),
    ("NUL", "Via: a" + MARK + "\0b\r\nSecurity-Client: tls\r\n", "NUL in another header"),
    ("NUL", "Security-Client: tls\r\nFrom" + MARK + "\0: x", "NUL after the header"),
    ("name was expected", "Security-Client:" + MARK, "A header without a value"),
    ("name was expected", "Security-Client: tls\r\nSecurity-Client: " + MARK + "\r\n",
     "an empty second line"),
    ("name was expected", "Security-Client: tls," + MARK + "\r\n", "a comma at the end"),
    ("name was expected", "Security-Client: tls;" + MARK + ";x\r\n", "two semicolons"),
    ("name was expected", "Security-Client: " + MARK + ",tls\r\n", "a comma first"),
    ("value was expected", "Security-Client: tls;x=" + MARK + "\r\n", "no value behind ="),
    ("not closed", "Security-Client: tls;x=" + MARK + "\"abc\r\n", "an open quote"),
    ("quoted string", "Security-Client: tls;x=\"a" + MARK + "\xff\"\r\n", "Latin-1 in quotes"),
    ("expected", "Security-Client: tls" + MARK + "@\r\n", "a strange character"),
    ("expected", "Security-Client: tls" + MARK + "\r;x=y\r\n", "a bare CR"),
    ("expected", "Security-Client: tls " + MARK + "digest\r\n", "no separator"),
    ("twice", "Security-Client: tls;a=1;" + MARK + "A=2\r\n", "A6 a parameter twice"),
    ("same q", "Security-Client: tls;q=0.2,\r\n digest;q=" + MARK + "0.20\r\n", "A3 a q twice"),
    ("same q", "Security-Client: tls;q=0.2\nX: y\nSecurity-Client: a;q=" + MARK + "0.2\n",
     "A3 a q twice in two lines"),
    ("q is not", "Security-Client: tls;q=" + MARK + "1.1\r\n", "q above 1"),
    ("q is not", "Security-Client: tls;q=" + MARK + "0.1234\r\n", "q of four decimals"),
    ("d-ver", "Security-Verify: digest;d-ver=" + MARK + "\"ABC\"\r\n", "a wrong d-ver"),
    ("spi-c is 0", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=" + MARK +
     "0;spi-s=1002;port-c=1;port-s=2\n", "C5 SPI 0"),
    ("reserved", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=" + MARK +
     "255;spi-s=1002;port-c=1;port-s=2\n", "C5 SPI 255"),
    ("4294967295", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;spi-s=" + MARK +
     "4294967296;port-c=1;port-s=2\n", "C4 SPI 2^32"),
    ("digits", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=" + MARK +
     "00000001000;spi-s=1002;port-c=1;port-s=2\n", "C4 SPI of 11 digits"),
    ("port-s is 0", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;spi-s=1002;port-c=1;"
     "port-s=" + MARK + "0\n", "C6 port 0"),
    ("65535", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;spi-s=1002;port-c=" + MARK +
     "65536;port-s=2\n", "C6 port 65536"),
    ("spi-s is equal", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;spi-s=" + MARK +
     "01000;port-c=1;port-s=2\n", "C6 equal SPIs"),
    ("port-s is equal", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;spi-s=1002;"
     "port-c=1;port-s=" + MARK + "1\n", "C6 equal ports"),
    ("without port-s", "Security-Client: tls, " + MARK + "ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1000;"
     "spi-s=1002;port-c=1\n", "C12 a number missing"),
    ("without alg", "Security-Client: " + MARK + "ipsec-3gpp" + NUMBERS + "\n", "C3 no alg"),
    ("without port1", "Security-Client: " + MARK + "ipsec-3gpp;alg=hmac-sha-1-96;spi=1000\n",
     "C11 no port1"),
    ("spi-c differs", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96" + NUMBERS + "\r\n"
     "Via: x\r\nSecurity-Client: ipsec-3gpp;\r\n  alg=hmac-md5-96;spi-c=" + MARK +
     "9999;spi-s=1002;port-c=5003;port-s=5004\r\n", "C7 other numbers in a folded second line"),
    ("in one header", "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96" + NUMBERS + ",\r\n " + MARK +
     "ipsec-3gpp;alg=hmac-sha-1-96" + OLD_NUMBERS + "\r\n", "C11 two dialects"),
    ("64 header lines", "Security-Client: tls\n" * 64 + "Security-Client:" + MARK + " tls\n",
     "65 lines"),
    ("64 mechanisms", "Security-Client: " + "a," * 64 + MARK + "a\n", "65 mechanisms"),
    ("32 parameters", "Security-Client: m" + "".join(";p%d" % i for i in range(32)) + ";" + MARK +
     "p\n", "33 parameters"),
    ("256 bytes", "Security-Client: m;" + MARK + "x" * 257 + "\n", "a name of 257 bytes"),
    ("16384 bytes", "Security-Client:" + "x" * 16384 + MARK + "x\n", "a header of 16385 bytes"),
]


def parse_bad():
    for words, text, name in BAD:
        raw = text.encode("latin-1")
        mark = MARK.encode()
        bad_header(parse(raw.replace(mark, b"")), raw.index(mark), words, name)


def real_headers():
    with open(os.path.join(HERE, "headers.txt"), encoding="ascii") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    for verdict, name, line in rows:
        r = parse(line + "\r\n")
        if verdict.startswith("bad"):
            bad_header(r, None, verdict[4:], "real: " + name)
        elif verdict == "none":
            T.ok(r.exit == 0 and r.json["ipsec_3gpp"] is None, "parse: real: " + name, r)
        else:
            real_header(r, name, line)


def real_header(r, name, line):
    """Compare with what a plain search finds in the line."""
    ipsec = (r.json or {}).get("ipsec_3gpp") or {}
    entries = [e for e in line.split(":", 1)[1].split(",") if "ipsec-3gpp" in e]
    found = [dict(re.findall(r"([a-z-]+)=([^;\s]+)", e)) for e in entries]
    numbers = [ipsec.get(k) for k in ("spi_c", "spi_s", "port_c", "port_s")]
    offers = [(o["alg"], o["ealg"], o["usable"]) for o in ipsec.get("offers", [])]
    T.equal((r.exit, numbers, offers),
            (0, [int(found[0][k]) for k in ("spi-c", "spi-s", "port-c", "port-s")],
             [(f["alg"], f.get("ealg", "null"), f.get("prot") != "ah") for f in found]),
            "parse: real: " + name)


def garbage():
    """Broken headers never crash it and always get one line of JSON."""
    rng = random.Random(3329)
    base = ("Via: x\r\nSecurity-Client: ipsec-3gpp;q=0.1;alg=hmac-sha-1-96;ealg=aes-cbc" +
            NUMBERS + ",\r\n foo;a=\"b\\\"c\", ipsec-3gpp;alg=aes-gmac" + NUMBERS + "\r\n").encode()
    wrong = []
    for _ in range(300):
        text = bytearray(base)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            how = rng.randrange(3)
            if how == 0:
                text[at] = rng.choice(b"\0\r\n\t \",;=:\\[]0a\x80\xff")
            elif how == 1:
                del text[at:at + rng.randint(1, 9)]
            else:
                text[at:at] = text[at:at + rng.randint(1, 9)]
        r = parse(bytes(text))
        error = (r.json or {}).get("error", {})
        if r.exit not in (0, 1) or r.json is None or r.err or \
                (r.exit == 1 and not 0 <= error["offset"] <= len(text)):
            wrong.append("%r\n%s" % (bytes(text), r))
    T.ok(not wrong, "parse: 300 broken headers", "\n".join(wrong[:3]))


# ---- select ----

def suite(alg, ealg, prot="esp", mod="trans"):
    return {"alg": alg, "ealg": ealg, "prot": prot, "mod": mod}


def offers(*pairs, numbers=NUMBERS):
    return "Security-Client: " + ", ".join(
        "ipsec-3gpp;alg=%s;ealg=%s%s" % (pair[0], pair[1], numbers) for pair in pairs) + "\r\n"


ALL = [("hmac-md5-96", "null"), ("hmac-md5-96", "des-ede3-cbc"), ("hmac-sha-1-96", "null"),
       ("hmac-sha-1-96", "aes-cbc"), ("aes-gmac", "null"), ("null", "aes-gcm")]


def verdicts(r):
    return [c["verdict"] for c in (r.json or {}).get("considered", [])]


def select_default():
    r = Run("select", stdin=offers(*ALL))
    T.equal(r.json and r.json["selected"], suite("null", "aes-gcm"),
            "select: aes-gcm before all others")
    T.equal((r.exit, verdicts(r)), (0, ["not_supported", "not_supported"] + ["not_preferred"] * 3 +
                                    ["chosen"]), "select: a verdict for each, in the phone's order")
    T.ok(r.json and list(r.json) == ["selected", "considered"] and
         all(list(c) == ["alg", "ealg", "prot", "mod", "verdict", "why"] and len(c["why"]) > 5
             for c in r.json["considered"]), "select: keys in order, and a reason for each", r)
    for offered, chosen in ((ALL[:5], ("hmac-sha-1-96", "aes-cbc")),
                            (ALL[:3] + ALL[4:5], ("aes-gmac", "null")),
                            (ALL[:3], ("hmac-sha-1-96", "null"))):
        r = Run("select", stdin=offers(*offered))
        T.equal((r.exit, r.json and r.json["selected"]), (0, suite(*chosen)),
                "select: %s/%s when nothing better is offered" % chosen)
    r = Run("select", stdin="Security-Client: ipsec-3gpp;q=0.9;alg=hmac-sha-1-96" + NUMBERS +
            ", ipsec-3gpp;q=0.1;alg=null;ealg=aes-gcm" + NUMBERS)
    T.equal(r.json and r.json["selected"], suite("null", "aes-gcm"),
            "select: A5 the phone's q does not rank")
    r = Run("select", stdin=offers(*ALL[:2]))
    T.equal((r.exit, r.json and r.json["selected"], verdicts(r)),
            (3, None, ["not_supported"] * 2), "select: md5 and 3des only: nothing, exit 3")
    r = Run("select", stdin=offers(("hmac-sha-1-96", "null"), numbers=OLD_NUMBERS))
    T.equal((r.exit, r.json and r.json["selected"]), (0, suite("hmac-sha-1-96", "null")),
            "select: C11 the RFC 3329 dialect is served")


def select_refusals():
    r = Run("select", stdin=offers(("wow", "aes-cbc"), ("null", "null"), ("null", "aes-gcm")))
    T.equal((r.exit, verdicts(r)), (0, ["not_supported", "refused", "chosen"]),
            "select: C8 an unknown or illegal entry does not spoil the others")
    T.equal(r.json and r.json["considered"][0]["alg"], "wow", "select: an unknown name is shown")
    r = Run("select", stdin="Security-Client: tls, digest\r\n")
    T.equal((r.exit, r.json), (3, {"selected": None, "considered": []}),
            "select: no ipsec-3gpp: nothing, exit 3")
    for name in ("Security-Server", "Security-Verify"):
        r = Run("select", stdin="Via: x\r\n" + offers(*ALL).replace("Security-Client", name))
        bad_header(r, 8, "Security-Client", "select of a " + name)
    bad_header(Run("select", stdin="Security-Client: ,"), 17, "name", "select of a bad header")
    r = Run("select", "--nat", stdin=offers(*ALL))
    T.equal((r.exit, r.json and r.json["selected"]), (3, None),
            "select: behind a NAT transport mode does not do")
    r = Run("select", "--nat", stdin=offers(("hmac-sha-1-96", "null;mod=UDP-enc-tun")))
    T.equal((r.exit, r.json and r.json["selected"]),
            (0, suite("hmac-sha-1-96", "null", mod="udp-enc-tun")),
            "select: --nat takes UDP-enc-tun")
    r = Run("select", stdin=offers(("hmac-sha-1-96", "null;mod=UDP-enc-tun")))
    T.equal((r.exit, r.json and r.json["selected"]), (3, None),
            "select: without NAT UDP-enc-tun is not taken")


CONFIG = """
listener first {
    address = "192.0.2.1"
    server-port = 6100
    client-ports = "6104-6107"
    algorithms = {"hmac-md5-96/des-ede3-cbc", "hmac-sha-1-96/null"}
}
listener second {
    address = "192.0.2.2"
    server-port = 6100
    client-ports = "6104-6107"
    encryption = required
}
listener third {
    address = "192.0.2.3"
    server-port = 6100
    client-ports = "6104-6107"
    encryption = off
}
"""


def select_config():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(CONFIG)
        f.flush()
        def chosen(offered, *args):
            r = Run("select", "--config", f.name, *args, stdin=offers(*offered))
            return (r.exit, r.json and r.json["selected"])
        T.equal(chosen(ALL), (0, suite("hmac-md5-96", "des-ede3-cbc")),
                "select: --config: the first listener's algorithms")
        T.equal(chosen(ALL, "--listener", "second"), (0, suite("null", "aes-gcm")),
                "select: --listener")
        T.equal(chosen([("hmac-sha-1-96", "null")], "--listener=second"), (3, None),
                "select: encryption required refuses a phone without")
        T.equal(chosen([("hmac-sha-1-96", "aes-cbc"), ("hmac-sha-1-96", "null")],
                       "--listener=third"), (0, suite("hmac-sha-1-96", "null")),
                "select: encryption off")
        r = Run("select", "--config", f.name, "--listener", "fourth", stdin=offers(*ALL))
        T.ok(r.exit == 1 and r.json["error"]["reason"] == "unknown_listener",
             "select: an unknown listener", r)
        f.write("listener {")
        f.flush()
        r = Run("select", "--config", f.name, stdin=offers(*ALL))
        T.ok(r.exit == 1 and r.json["error"]["reason"] == "bad_config" and
             f.name in r.json["error"]["detail"], "select: a bad configuration is named", r)
    r = Run("select", "--config", "/nonexistent/x.conf", stdin=offers(*ALL))
    T.ok(r.exit == 1 and r.json["error"]["reason"] == "bad_config", "select: no such file", r)
    r = Run("select", "--listener", "x", stdin=offers(*ALL))
    T.ok(r.exit == 2 and r.out == b"" and "--config" in r.err,
         "select: --listener without --config is a usage error", r)


# ---- compare ----

ANSWER = ("ipsec-3gpp;q=0.5;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans;spi-c=1001;spi-s=1002;"
          "port-c=5003;port-s=5004")

EQUAL = [  # strict?, lenient?, received
    (True, True, ANSWER),
    (True, True, ANSWER.upper()),
    (True, True, ANSWER.replace(";", " ;\r\n ").replace("=", " = ")),
    (True, True, ";".join([ANSWER.split(";")[0]] + sorted(ANSWER.split(";")[1:]))),
    (True, True, ANSWER.replace("0.5", "0.500").replace("=1001", "=0000001001")
     .replace("5003", "05003")),
    (False, True, ANSWER.replace(";prot=esp", "")),
    (False, True, ANSWER.replace(";mod=trans;", ";")),
    (False, True, ANSWER.replace(";ealg=null", "")),
    (False, True, ANSWER.replace(";q=0.5", "")),
    (False, False, ANSWER.replace("1001", "1003")),
    (False, False, ANSWER.replace("5004", "5005")),
    (False, False, ANSWER.replace("ealg=null", "ealg=aes-cbc")),
    (False, False, ANSWER.replace("sha-1", "md5")),
    (False, False, ANSWER + ";x"),
    (False, False, ANSWER + ", tls"),
    (False, False, ANSWER.replace("ipsec-3gpp", "ipsec-3gp")),
]


def compare_pairs():
    for strict, lenient, got in EQUAL:
        for equal, args in ((strict, ()), (lenient, ("--lenient",))):
            r = Run("compare", *args, ANSWER, got)
            good = r.json == {"equal": True} if equal else (
                r.json and list(r.json) == ["equal", "difference"] and
                r.json["equal"] is False and len(r.json["difference"]) > 5)
            T.ok(good and r.exit == (0 if equal else 3) and r.err == "",
                 "compare%s: %s: %s" % (" --lenient" if args else "",
                                        "equal" if equal else "different", ascii(got)), r)
    r = Run("compare", "tls, digest", "digest, tls")
    T.ok(r.exit == 3 and r.json["equal"] is False, "compare: the order of mechanisms counts", r)
    r = Run("compare", 'a;x="Y"', 'a;x="y"')
    T.ok(r.exit == 3, "compare: quoted strings by the letter", r)
    r = Run("compare", "tls", 'tls;x="' + "€" * 60 + '"')
    T.ok(r.exit == 3 and r.json, "compare: a long foreign text in the difference", r)
    r = Run("compare", "digest;d-alg=md5", 'digest;d-alg=md5;d-ver="%s"' % ("0" * 32))
    T.equal((r.exit, r.json), (0, {"equal": True}), "compare: B15 d-ver takes no part")
    r = Run("compare", "--", "-a", "-a")
    T.equal((r.exit, r.json), (0, {"equal": True}), "compare: values behind --")


def compare_bad():
    for args, which, detail, offset in (
            (("tls", "tls;;"), "second", "a parameter name was expected", 4),
            (("tls;q=2", "tls"), "first", "q is not", 6),
            (("tls", ""), "second", "a mechanism name was expected", 0),
            ((ANSWER, "\xff"), "second", "a mechanism name was expected", 0),
            (("tls", "Security-Verify: tls"), "second", "expected", 15)):
        r = Run("compare", *args)
        error = (r.json or {}).get("error", {})
        T.ok(r.exit == 1 and list(r.json) == ["equal", "difference", "error"] and
             r.json["equal"] is False and
             r.json["difference"].startswith("the %s value cannot be read: " % which) and
             list(error) == ["reason", "detail", "offset"] and error["reason"] == "bad_header" and
             error["detail"] in r.json["difference"] and detail in error["detail"] and
             error["offset"] == offset, "compare: unreadable: %s" % ascii(args), r)
    r = subprocess.run([CTL, "compare", b"tls", b"tls;x=\"\xff\""], capture_output=True,
                       check=False)
    T.ok(r.returncode == 1 and b"bad_header" in r.stdout, "compare: a value that is not UTF-8", r)


# ---- keys ----

CK = "b40ba9a3c58b2a05bbf0d987b21bf8cb"
IK = "f769bcd751044604127672711c6d3441"
LINES = "ck=%s\nik=%s\n" % (CK, IK)
MD5 = {"algorithm": "hmac(md5)", "key": IK, "icv_bits": 96}
SHA1 = {"algorithm": "hmac(sha1)", "key": IK + "00000000", "icv_bits": 96}
NULL = {"algorithm": "ecb(cipher_null)", "key": ""}
DES3 = {"algorithm": "cbc(des3_ede)", "key": "b50ba8a2c48a2a04baf1d986b31af8cbb50ba8a2c48a2a04"}
CBC = {"algorithm": "cbc(aes)", "key": CK}
GCM = {"algorithm": "rfc4106(gcm(aes))", "key": CK + "89273db6", "icv_bits": 128}
GMAC = {"algorithm": "rfc4543(gcm(aes))", "key": IK + "dbc2b1c2", "icv_bits": 128}

KEYS = [  # TS 33.203 Annex I with the keys of TS 35.208 set 1
    (("hmac-md5-96", "null"), {"auth": MD5, "enc": NULL}),
    (("hmac-md5-96", "des-ede3-cbc"), {"auth": MD5, "enc": DES3}),
    (("hmac-md5-96", "aes-cbc"), {"auth": MD5, "enc": CBC}),
    (("hmac-sha-1-96", "null"), {"auth": SHA1, "enc": NULL}),
    (("hmac-sha-1-96", "des-ede3-cbc"), {"auth": SHA1, "enc": DES3}),
    (("hmac-sha-1-96", "aes-cbc"), {"auth": SHA1, "enc": CBC}),
    (("aes-gmac", "null"), {"aead": GMAC}),
    (("null", "aes-gcm"), {"aead": GCM}),
]

BAD_KEYS = [
    ("no input", "", "ck=HEX"),
    ("ik missing", "ck=%s\n" % CK, "ik=HEX"),
    ("ck missing", "ik=%s\n" % IK, "ck=HEX"),
    ("31 digits", "ck=%s\nik=%s\n" % (CK, IK[1:]), "line 2"),
    ("33 digits", "ck=%s0\nik=%s\n" % (CK, IK), "line 1"),
    ("no digits", "ck=%s\nik=\n" % CK, "line 2"),
    ("not hexadecimal", "ck=%s\nik=%sg\n" % (CK, IK[1:]), "line 2"),
    ("0x", "ck=0x%s\nik=%s\n" % (CK[2:], IK), "line 1"),
    ("ck twice", "ck=%s\nik=%s\nck=%s\n" % (CK, IK, CK), "line 3"),
    ("another line", LINES + "res=%s\n" % CK, "line 3"),
    ("capital letters", "CK=%s\nik=%s\n" % (CK, IK), "line 1"),
    ("both in a line", "ck=%s,ik=%s\n" % (CK, IK), "line 1"),
    ("NUL behind", "ck=%s\0\nik=%s\n" % (CK, IK), "line 1"),
    ("too long", LINES + "\n" * 2000, "1024 bytes"),
]


def keys_vectors():
    for (alg, ealg), wanted in KEYS:
        r = Run("keys", "--alg", alg, "--ealg", ealg, stdin=LINES)
        T.ok(r.exit == 0 and r.json == wanted and
             all(list(r.json[k]) == list(wanted[k]) for k in wanted),
             "keys: Annex I %s/%s" % (alg, ealg), "wanted: %s\n%s" % (wanted, r))
    for alg, auth in (("hmac-md5-96", MD5), ("hmac-sha-1-96", SHA1)):
        r = Run("keys", "--alg", alg, "--prot", "ah", stdin=LINES)
        T.equal((r.exit, r.json), (0, {"auth": auth}), "keys: ah with %s has no cipher" % alg)
    r = Run("keys", "--alg", "hmac-sha-1-96", stdin=LINES)
    T.equal(r.out.decode(), ('{"auth":{"algorithm":"hmac(sha1)","key":"%s00000000","icv_bits":96},'
                             '"enc":{"algorithm":"ecb(cipher_null)","key":""}}\n' % IK),
            "keys: ealg is null by default; to the byte")
    for name, text in (("the other order", "ik=%s\nck=%s\n" % (IK, CK)),
                       ("CRLF and an empty line", "\r\nck=%s\r\nik=%s\r\n" % (CK, IK)),
                       ("no last line end", LINES[:-1]), ("capital digits", "ck=%s\nik=%s" %
                                                         (CK.upper(), IK.upper()))):
        r = Run("keys", "--alg", "NULL", "--ealg", "AES-GCM", stdin=text)
        T.equal((r.exit, r.json), (0, {"aead": GCM}), "keys: " + name)


def keys_bad():
    for args in (("--alg", "hmac-sha-256-128"), ("--alg", "hmac-sha-1"), ("--alg", "\xff"),
                 ("--alg", "hmac-sha-1-96", "--ealg", "aes"), ("--alg", "null"),
                 ("--alg", "null", "--ealg", "aes-cbc"),
                 ("--alg", "hmac-sha-1-96", "--ealg", "aes-gcm"),
                 ("--alg", "aes-gmac", "--ealg", "aes-cbc"),
                 ("--alg", "aes-gmac", "--prot", "ah"),
                 ("--alg", "hmac-sha-1-96", "--prot", "x"),
                 ("--alg", "hmac-sha-1-96", "--ealg", "aes-cbc", "--prot", "ah")):
        r = Run("keys", *args, stdin=LINES)
        T.ok(r.exit == 1 and r.json and list(r.json["error"]) == ["reason", "detail"] and
             r.json["error"]["reason"] == "bad_algorithm", "keys: refused: " + ascii(args), r)
    for args, words in (
            (("--alg", "aes-gcm"), '"aes-gcm" is no alg, which is one of hmac-md5-96, '
             'hmac-sha-1-96, aes-gmac, null; did you mean --alg null --ealg aes-gcm?'),
            (("--alg", "AES-CBC"), "mean --alg hmac-sha-1-96 --ealg aes-cbc?"),
            (("--alg", "hmac-md5-96/aes-cbc"), "mean --alg hmac-md5-96 --ealg aes-cbc?"),
            (("--alg", "hmac-sha-1-96/x"), "aes-gmac, null"), (("--alg", "x/aes-cbc"), "gmac, null"),
            (("--alg", "x" * 999), '"%s" is no alg' % ("x" * 40)),
            (("--alg", "null", "--ealg", "aes-gmac"), '"aes-gmac" is no ealg, which is one of null, '
             'des-ede3-cbc, aes-cbc, aes-gcm; did you mean --alg aes-gmac?'),
            (("--alg", "null", "--prot", "udp"), '"udp" is no prot, which is one of esp, ah')):
        r = Run("keys", *args, stdin=LINES)
        detail = r.json["error"]["detail"]
        T.ok(r.exit == 1 and words in detail and (("mean" in words) == ("mean" in detail)),
             "keys: what was meant: " + ascii(args)[:60], r)
    for name, text, words in BAD_KEYS:
        r = Run("keys", "--alg", "hmac-sha-1-96", stdin=text)
        T.ok(r.exit == 1 and r.json and r.json["error"]["reason"] == "bad_keys" and
             words in r.json["error"]["detail"], "keys: bad lines: " + name, r)
        T.ok(CK[2:30].encode() not in r.out and IK[2:30].encode() not in r.out and
             CK[2:30] not in r.err and IK[2:30] not in r.err,
             "keys: nothing of the input is shown: " + name, r)


# ---- decide ----

SUITE = "ipsec-3gpp;q=%s;alg=%s;ealg=%s;prot=esp;mod=trans"
LIST = ", ".join(SUITE % row for row in (
    ("0.9", "null", "aes-gcm"), ("0.8", "hmac-sha-1-96", "aes-cbc"), ("0.7", "aes-gmac", "null"),
    ("0.6", "hmac-sha-1-96", "null")))
VIA = "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1"
CLIENT = "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96" + NUMBERS
CLEAR, PROTECTED, TLS = ("--unprotected",), ("--protected",), ("--tls",)


def request(method, *lines, uri="sip:ims.example", via=VIA):
    return "\r\n".join((
        "%s %s SIP/2.0" % (method, uri), via, "From: <sip:u@ims.example>;tag=1",
        "To: <sip:v@ims.example>", "Call-ID: c", "CSeq: 7 " + method, *lines, "", ""))


def decide(args, method, *lines, **more):
    return Run("decide", *args, stdin=request(method, *lines, **more))


def forwarded(r, name, remove=(), replace=None, row=None):
    seen = r.json or {}
    T.ok((r.exit, r.err, seen.get("action"), seen.get("row"), seen.get("remove"),
          seen.get("replace")) == (0, "", "forward", row, list(remove), replace or {}) and
         seen["why"] and "reply" not in seen, "decide: " + name, r)


def replied(r, name, code, phrase, headers, row=None):
    seen = r.json or {}
    T.ok((r.exit, r.err, seen.get("action"), seen.get("row"), seen.get("reply")) ==
         (0, "", "reply", row, {"code": code, "reason": phrase, "headers": headers}) and
         seen["why"] and "remove" not in seen and "replace" not in seen, "decide: " + name, r)


def demanded(r, name, code, row, sent=LIST):
    phrase = {421: "Extension Required", 494: "Security Agreement Required"}[code]
    replied(r, name, code, phrase, ["Security-Server: " + sent, "Require: sec-agree"], row)


def dropped(r, name, row):
    seen = r.json or {}
    T.ok((r.exit, r.err, seen.get("action"), seen.get("row"), sorted(seen)) ==
         (0, "", "drop", row, ["action", "row", "why"]), "decide: " + name, r)


def decide_rows():
    for way in (CLEAR, PROTECTED):
        replied(decide(way, "INVITE", via=VIA + ", SIP/2.0/UDP x;branch=z9hG4bK2"),
                "row 1: two Via values in a line: 502", 502, "Bad Gateway", [], 1)
        replied(decide(way, "INVITE", "v: SIP/2.0/UDP x;branch=z9hG4bK2"),
                "row 1: two Via lines: 502", 502, "Bad Gateway", [], 1)
    demanded(decide(CLEAR, "INVITE", "Require: sec-agree"), "row 2: Require: 494", 494, 2)
    demanded(decide(CLEAR, "INVITE", "Proxy-Require: 100rel,\r\n\tSEC-AGREE"),
             "row 2: Proxy-Require, folded, any case: 494", 494, 2)
    demanded(decide(CLEAR, "INVITE", "Require: 100rel", "Require: sec-agree"),
             "row 2: the second line of Require: 494", 494, 2)
    demanded(decide(CLEAR, "INVITE", "Supported: path, sec-agree"), "row 3: Supported: 494", 494, 3)
    demanded(decide(CLEAR, "INVITE", "k: sec-agree"), "row 3: k: 494", 494, 3)
    demanded(decide(CLEAR, "INVITE"), "row 4: no tag: 421", 421, 4)
    forwarded(decide(PROTECTED, "INVITE", "Security-Verify: " + LIST, "Require: sec-agree, 100rel",
                     "Proxy-Require: sec-agree"), "row 5: the list came back: forward, cleaned",
              ["Security-Verify", "Proxy-Require"], {"Require": "100rel"}, 5)
    demanded(decide(PROTECTED, "INVITE"), "row 6: no Security-Verify: 494", 494, 6)
    r = decide(PROTECTED, "INVITE", "Security-Verify: " + LIST.replace("0.9", "0.91"))
    demanded(r, "row 6: another q: 494", 494, 6)
    T.ok("q is 0.91, was sent as 0.9" in r.json["why"], "decide: row 6: why says the difference", r)
    replied(decide(PROTECTED, "REGISTER", CLIENT, "Security-Verify: tls"),
            "row 6: REGISTER: 403 by default", 403, "Forbidden", [], 6)
    r = decide(CLEAR, "REGISTER", CLIENT, "Require: sec-agree", "Proxy-Require: sec-agree")
    forwarded(r, "row 7: REGISTER with a usable offer: forward",
              ["Security-Client", "Require", "Proxy-Require"], {}, 7)
    T.ok(r.json["start"] == "sa.offer", "decide: row 7: what starts it", r)
    demanded(decide(CLEAR, "REGISTER", "Security-Client: tls"),
             "row 8: REGISTER with nothing usable: challenged", 421, 4)
    demanded(decide(CLEAR, "REGISTER"), "row 8: REGISTER with nothing at all: challenged", 421, 4)
    demanded(decide(CLEAR, "MESSAGE", "Require: sec-agree"), "row 9: challenged", 494, 2)
    forwarded(decide(CLEAR, "INVITE", "Require: sec-agree", uri="urn:service:sos"),
              "row 10: an emergency call: forward", ["Require"], {}, 10)
    forwarded(decide(CLEAR, "REGISTER", "Contact: <sip:u@198.51.100.7;sos>"),
              "row 10: an emergency registration: forward", [], {}, 10)
    forwarded(decide((*CLEAR, "--emergency"), "BYE"), "row 10: --emergency", [], {}, 10)


def decide_rules():
    dropped(decide(CLEAR, "ACK", "Require: sec-agree"), "an ACK is never answered", 2)
    dropped(decide(CLEAR, "CANCEL"), "a CANCEL is never challenged", 4)
    for method in ("ACK", "CANCEL", "PRACK"):
        forwarded(decide(PROTECTED, method, "Security-Verify: x"),
                  "a protected %s needs no Security-Verify" % method, ["Security-Verify"], {}, 5)
    r = decide(CLEAR, "REGISTER", "Security-Client: tls", "Security-Client: a;b=1;B=2")
    replied(r, "a malformed Security-Client: 400", 400, "Bad Request", [])
    T.ok("line 2, offset 6" in r.json["why"], "decide: 400: where", r)
    demanded(decide(TLS, "INVITE"), "TLS counts as clear by default", 421, 4)
    r = decide(CLEAR, "INVITE", "Require: sec-agree", via=VIA.replace("\r", ""))
    T.ok(list(r.json) == ["action", "reply", "row", "why"] and
         list(r.json["reply"]) == ["code", "reason", "headers"], "decide: keys in order", r)
    r = Run("decide", "--unprotected", stdin=request("INVITE").replace("\r", ""))
    demanded(r, "lines that end with LF alone", 421, 4)
    r = Run("decide", "--unprotected", stdin=request("INVITE").encode() + b"\0\xff\x80")
    demanded(r, "a body of any bytes", 421, 4)


def decide_headers():
    for lines, remove, replace in (
            (["Require: sec-agree"], ["Require"], {}),
            (["Require: 100rel"], [], {}),
            (["Require: 100rel , Sec-Agree,path"], [], {"Require": "100rel ,path"}),
            (["Require: sec-agree", "Subject: x", "Require: 100rel"], [], {"Require": "100rel"}),
            (["Require: a", "Require: sec-agree, b"], [], {"Require": "a, b"}),
            (["Require: sec-agree", "Require: sec-agree"], ["Require"], {}),
            (["Require: a,\r\n sec-agree,\r\n b"], [], {"Require": "a, b"}),
            (["Proxy-Require: x, sec-agree", "Require: sec-agree"], ["Require"],
             {"Proxy-Require": "x"}),
            (["Supported: sec-agree"], [], {}),
            (["Proxy-Require: sec-agree", "Security-Verify: v", "Require: sec-agree",
              "Security-Server: s", "Security-Client: c", "Security-Client: d"],
             ["Security-Client", "Security-Server", "Security-Verify", "Require", "Proxy-Require"],
             {})):
        forwarded(decide((*CLEAR, "--emergency"), "INVITE", *lines),
                  "headers: " + "; ".join(lines).replace("\r\n", "/"), remove, replace, 10)


def decide_sent():
    sent = "ipsec-3gpp;q=0.10;alg=hmac-sha-1-96" + NUMBERS
    way = (*PROTECTED, "--sent", sent)
    forwarded(decide(way, "INVITE", "Security-Verify: " + sent.upper().replace("0.10", "0.1")),
              "--sent: what the 401 carried came back", ["Security-Verify"], {}, 5)
    demanded(decide(way, "INVITE", "Security-Verify: " + sent.replace("1001", "1003")),
             "--sent: another SPI: 494 with the list that was sent", 494, 6, sent)
    demanded(decide(way, "INVITE", "Security-Verify: " + LIST), "--sent: the static list: 494", 494,
             6, sent)
    demanded(decide((*CLEAR, "--sent", sent), "INVITE"), "--sent: in clear the static list",
             421, 4)
    r = decide((*PROTECTED, "--sent", "tls;q=2"), "INVITE")
    T.ok(r.exit == 1 and r.json["error"]["reason"] == "bad_header", "decide: --sent: no list", r)


def decide_config():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(CONFIG)
        f.flush()
        offer = (CLEAR, "REGISTER", "Security-Client: ipsec-3gpp;alg=null;ealg=aes-gcm" + NUMBERS)
        for name, row in (("first", 4), ("second", 7)):
            r = decide((*CLEAR, "--config", f.name, "--listener", name), *offer[1:])
            T.ok(r.json and r.json["row"] == row, "decide: --listener %s" % name, r)
        r = decide((*CLEAR, "--config", f.name), "INVITE")
        T.ok("des-ede3-cbc" in r.json["reply"]["headers"][0],
             "decide: --config: the list of the first listener", r)
        r = decide((*CLEAR, "--config", f.name, "--listener", "x"), "INVITE")
        T.ok(r.exit == 1 and r.json["error"]["reason"] == "unknown_listener",
             "decide: an unknown listener", r)
        r = decide((*CLEAR, "--config", "/none"), "INVITE")
        T.ok(r.exit == 1 and r.json["error"]["reason"] == "bad_config",
             "decide: no such configuration", r)


def decide_policies():
    """What a configuration says of the rows that the norms leave open."""
    def with_lines(lines, way, method, *headers):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            f.write('listener l { address = "192.0.2.1" server-port = 6100 '
                    'client-ports = "6104-6107"\n%s\n}\n' % lines)
            f.flush()
            return decide((*way, "--config", f.name), method, *headers)
    lost = ("Security-Verify: x", "Require: sec-agree")
    forwarded(with_lines("sec-agree = off", CLEAR, "INVITE", *lost), "sec-agree = off: untouched")
    for word, code in (("forbid", 403), ("discard", None)):
        for key, row, method in (("register-without-ipsec", 8, "REGISTER"),
                                 ("clear-requests", 9, "INVITE")):
            r = with_lines("%s = %s" % (key, word), CLEAR, method)
            name = "row %d: %s = %s" % (row, key, word)
            if code:
                replied(r, name, code, "Forbidden", [], row)
            else:
                dropped(r, name, row)
    forwarded(with_lines("register-without-ipsec = forward", CLEAR, "REGISTER", *lost),
              "row 8: register-without-ipsec = forward", ["Security-Verify", "Require"], {}, 8)
    demanded(with_lines('register-mismatch = "494"', PROTECTED, "REGISTER", *lost),
             "row 6: register-mismatch = 494", 494, 6)
    tls = 'mechanisms = {"tls;q=0.2", "digest;d-qop=auth;q=0.1"} tls-is-protected = on'
    sent = "tls;q=0.2, digest;q=0.1;d-qop=auth"
    forwarded(with_lines(tls, TLS, "INVITE"), "row 5: TLS that is protected", [], {}, 5)
    demanded(with_lines(tls, TLS, "INVITE", *lost), "row 6: TLS, another list", 494, 6, sent)
    forwarded(with_lines(tls, TLS, "INVITE", "Security-Verify: " + sent),
              "row 5: TLS, the list of the listener came back", ["Security-Verify"], {}, 5)
    r = with_lines(tls, CLEAR, "INVITE", "Security-Client: digest, tls", "Require: sec-agree")
    demanded(r, "B2 B4 the list of the listener", 494, 2, sent)
    T.ok(r.json["start"] == "tls connection", "decide: B4 our preference says what starts", r)
    r = with_lines(tls, CLEAR, "REGISTER", CLIENT, "Require: sec-agree")
    demanded(r, "row 8: ipsec-3gpp is not in the list", 494, 2, sent)


def decide_bad():
    good = request("INVITE")
    rng = random.Random(494)
    for name, text in (("nothing", ""), ("empty lines", "\r\n\r\n"),
                       ("headers only", good.split("\r\n", 1)[1]),
                       ("no empty line", good[:-2]), ("no Via", good.replace("Via:", "Vib:")),
                       ("no CSeq", good.replace("CSeq:", "CSec:")),
                       ("a CR alone", good.replace("To:", "X: \ry\r\nTo:")),
                       ("a NUL", good.replace("To:", "X: \0\r\nTo:")),
                       ("a Content-Length that is not true",
                        good[:-2] + "Content-Length: 5\r\n\r\nabc"),
                       ("another protocol", good.replace("SIP/2.0\r\n", "HTTP/1.1\r\n", 1)),
                       ("a response", good.replace("INVITE sip:ims.example SIP/2.0",
                                                   "SIP/2.0 200 OK")),
                       ("binary", rng.randbytes(4096)), ("zeros", b"\0" * 65535),
                       ("64 KiB", good.ljust(65536)), ("8 MB", good + "x" * 8000000)):
        for way in (CLEAR, PROTECTED):
            r = Run("decide", *way, stdin=text)
            error = (r.json or {}).get("error", {})
            T.ok(r.exit == 1 and r.err == "" and error.get("reason") == "bad_message" and
                 error["detail"], "decide: refused: %s, %s" % (name, way[0][2:]), r)
    r = Run("decide", "--unprotected", stdin=good.ljust(65535, "x"))
    demanded(r, "65535 bytes are read", 421, 4)
    r = decide((*CLEAR, "--emergency"), "INVITE", "Require: sec-agree, \x1b[31m")
    T.ok(r.exit == 1 and r.json["error"]["reason"] == "bad_message" and b"\x1b" not in r.out,
         "decide: what is no tag is not printed", r)


# ---- usage ----

COMMANDS = ("offer check confirm fail extend release route list show status methods version call "
            "parse select compare decide keys").split()


def usage_errors():
    for args in ((), ("parsee",), ("--x", "parse"), ("parse", "x"), ("parse", "--x"),
                 ("parse", "-x"), ("select", "--config"), ("select", "--nat=1"), ("compare",),
                 ("compare", "a"), ("compare", "a", "b", "c"), ("keys",), ("keys", "--alg"),
                 ("keys", "--alg", "a", "--alg", "b"), ("keys", "--al", "null"), ("--socket",),
                 ("decide",), ("decide", "--protected", "--unprotected"),
                 ("decide", "--protected", "--tls"), ("decide", "--protected", "x"),
                 ("decide", "--protected", "--protected"),
                 ("decide", "--unprotected", "--sent"),
                 ("decide", "--unprotected", "--listener", "ims"),
                 ("confirm", "1"), ("confirm", "1", "--expires", "x"), ("show",),
                 ("confirm", "1", "--expires", "4294967296"), ("offer", "--ue", "192.0.2.1"),
                 ("offer", "--ck", CK), ("offer", "--ik=" + IK), ("call",),
                 ("call", "sa.offer", '{"ck":"%s"}' % CK), ("call", "sa.list", "{"),
                 ("--socket", "/" + "x" * 120, "status")):
        r = Run(*args, stdin=LINES)
        T.ok(r.exit == 2 and r.out == b"" and r.err.strip() and CK not in r.err and IK not in r.err,
             "usage: exit 2, on standard error: %s" % ascii(args)[:70], r)
    for args, words in (
            (("parsee",), 'there is no command "parsee"; did you mean parse?'),
            (("lst",), "did you mean list?"), (("stat",), "did you mean status or stats?"),
            (("quite-another",), 'no command "quite-another"\nTry secagreectl --help\n'),
            (("list", "--impl", "x"), "there is no option --impl; did you mean --impi?"),
            (("list", "--sock", "x"), "there is no option --sock; did you mean --socket?"),
            (("list", "--quite-another"), "there is no option --quite-another\n"),
            (("list", "--ue", "1.2.3"), '--ue wants an IPv4 or IPv6 address, not "1.2.3"'),
            (("list", "--state", "Old"), '--state wants one of temporary, new, current, old, not "Old"'),
            (("list", "--limit", "1k"), '--limit wants a number from 0 to 4294967295, not "1k"'),
            (("list", "x"), '"x" is one argument too many'),
            (("list", "-x"), "there is no option -x"),
            (("audit", "-o", "wide"), "audit answers with -o text|tsv|json, not wide"),
            (("list", "--json", "-o", "tsv"), "--json and -o tsv: which of them?"),
            (("show", "xyz"), 'SET wants 16 hexadecimal digits, as list prints them, not "xyz"'),
            (("show",), "SET is missing: which set"),
            (("confirm", "0" * 16), "--expires SECONDS is missing: granted by the 200 OK"),
            (("confirm", "0" * 16, "--expires", "1h"), '--expires wants seconds, a number'),
            (("check", "--pcscf-port", "70000"), '--pcscf-port wants a number from 0 to 65535'),
            (("route", "--ue", "192.0.2.7"), "Give a SET, --impi, or --ue and --ue-port"),
            (("decide",), "--tls is wanted\nTry secagreectl decide --help\n"),
            (("top", "--interval", "0"), "1 to 3600 seconds\nTry secagreectl top --help\n"),
            (("call", "x", "{"), "line 1, column 1\nTry secagreectl call --help\n"),
            (("release",), "Give a SET, --impi, --ue, --listener or --all"),
            (("offer", "--ck", CK), "keys are not for the command line")):
        r = Run(*args)
        T.ok(r.exit == 2 and words in r.err, "usage: %s says what is wrong" % (args,), r)
    r = Run("\x1b[31m")
    T.ok(r.exit == 2 and "\x1b" not in r.err, "usage: no control character in an error", r)


def usage_json():
    """Where JSON is wanted, a mistake is an object on standard output, too."""
    for args, words in (
            ((), "COMMAND is missing"), (("lst",), "did you mean list?"),
            (("--x", "list"), "no option --x"), (("list", "--limit", "x"), "--limit wants"),
            (("list", "--state", b"\xff"), "--state wants"), (("show",), "SET is missing"),
            (("route",), "route to whom?"), (("release",), "release what?"),
            (("top", "--interval", "0"), "--interval wants 1 to 3600 seconds"),
            (("call", "sa.list", "{"), "not a JSON object"),
            (("call", "sa.offer", '{"ck":"%s"}' % CK), "keys are not for the command line"),
            (("select", "--listener", "l"), "--listener wants --config"),
            (("decide",), "one of --protected"), (("status", "x"), "one argument too many"),
            (("--socket", "/" + "x" * 120, "status"), "path is too long")):
        for option in (("-o", "json"), ("--json",)):
            r = Run(*option, *args)
            error = (r.json or {}).get("error", {})
            T.ok(r.exit == 2 and list(error) == ["reason", "detail"] and
                 error["reason"] == "usage" and words in error["detail"] and words in r.err and
                 CK not in str(r), "usage: %s %s" % (option, ascii(args)[:60]), r)
    r = Run("list", "--limit", "x", "--json")
    T.ok(r.exit == 2 and r.out == b"", "usage: a mistake before the option is told in words", r)


def waits_for_input():
    """Whoever types a command that reads is told that it does."""
    with Terminal(CTL, "parse") as terminal:
        T.ok(terminal.until(b"reads from this terminal; Ctrl-D on an empty line ends it"),
             "parse on a terminal says what it waits for", terminal.seen)
        terminal.type(b"Security-Client: tls\n\x04")
        status, text = terminal.end()
        T.ok(status == 0 and '"name":"tls"' in text, "and reads it", text)


def usage_help():
    r = Run("-h")
    T.ok(r.exit == 0 and r.out == Run("--help").out, "-h is --help", r)
    r = Run("--help")
    T.ok(r.exit == 0 and not r.err and all(re.search(r"^  %s " % name, r.out.decode(), re.M)
                                           for name in COMMANDS), "--help has every command", r)
    for name in COMMANDS:
        r = Run(name, "--help")
        T.ok(r.exit == 0 and r.out.startswith(b"usage: secagreectl %s" % name.encode()) and
             not r.err, "%s --help" % name, r)
        T.ok(Run("help", name).out == r.out, "help %s is %s --help" % (name, name), r)
    r = Run("help")
    T.ok(r.exit == 0 and r.out == Run("--help").out, "help is --help", r)
    r = Run("help", "lst")
    T.ok(r.exit == 2 and 'no command "lst"; did you mean list?' in r.err, "help for no command", r)
    r = Run("help", "complete")
    T.ok(r.exit == 0 and b"(null)" not in r.out, "help for a command that is for shells", r)
    r = Run("--version")
    T.ok(r.exit == 0 and re.fullmatch(rb"secagreectl \d+\.\d+\.\d+\n", r.out), "--version", r)
    r = Run("status", "--version")
    T.ok(r.exit == 0 and r.out.startswith(b"secagreectl "), "--version behind a command", r)
    with open("/dev/full", "wb") as full:
        for args in (("compare", "a", "a"), ("--help",)):
            done = subprocess.run([CTL, *args], stdout=full, stderr=subprocess.PIPE, check=False)
            T.ok(done.returncode == 1 and b"standard output" in done.stderr,
                 "a full disk is an error: %s" % args[0], done)


def main():
    for part in (parse_form, parse_values, parse_usable, parse_lines, parse_bad, real_headers,
                 garbage, select_default, select_refusals, select_config, compare_pairs,
                 compare_bad, decide_rows, decide_rules, decide_headers, decide_sent,
                 decide_config, decide_policies, decide_bad, keys_vectors, keys_bad, usage_errors,
                 usage_json, waits_for_input, usage_help):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
