#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The log: what phones and front ends say can neither forge a line, nor fill the log, nor get a key
into it; and under systemd each line is an entry of the journal, with fields.

The daemon is that of doors.py, and for the journal also the real one, as far as it comes without a
kernel's IPsec. The journal is a socket of this test's, in a mount namespace of its own. TAP.
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
import doors  # noqa: E402
from doors import CK, IK, LIMIT_S, OFFER, T, Door  # noqa: E402
from tap import ROOT  # noqa: E402

SECAGREED = os.path.join(ROOT, os.environ.get("BUILD", "build"), "secagreed")
JOURNAL = "/run/systemd/journal/socket"
# A pair; a value is plain or in quotation marks, and may have been cut
PAIR = re.compile(r'([a-z_]+)=([^\s"\\=]+|"(?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*"(?:\.\.\.)?)(?: |$)')
NASTY = 'x" event=stopped reason="y\\'
IMSI = "001010123456789"


class Logging(doors.Daemon):
    """Its log is kept in .lines; @journal: a socket that stands for the journal's."""

    def __init__(self, options="", journal=None):
        super().__init__()
        self.journal = journal
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(options)

    def spawn(self):
        read_end, write_end = os.pipe()
        stat = os.fstat(write_end)
        stream = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"} if self.journal else {}
        process = subprocess.Popen([doors.DAEMON, self.config, "log"], stderr=write_end,
                                   env={**os.environ, **stream})
        os.close(write_end)
        process.stderr = os.fdopen(read_end, "rb")
        return process

    def __exit__(self, *words):
        super().__exit__(*words)
        self.lines = self.errors.decode("ascii").splitlines()


def pairs(line):
    """The pairs of a line, or None when it is not made of pairs alone."""
    at, found = 0, []
    while at < len(line):
        pair = PAIR.match(line, at)
        if not pair:
            return None
        found.append((pair[1], pair[2]))
        at = pair.end()
    return found


def unquoted(value):
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(x[0-9a-f]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" and
                  len(m[1]) == 3 else m[1], value.strip(".")[1:-1])


def register(branch, username):
    return (f"REGISTER sip:ims SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK{branch}\r\n"
            "From: <sip:a@ims>;tag=1\r\nTo: <sip:a@ims>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
            f"Authorization: Digest username=\"{username}\", realm=\"ims\", nonce=\"\", uri="
            "\"sip:ims\", response=\"\"\r\nRequire: sec-agree\r\nSecurity-Client: ;;;\r\n\r\n")


# ---- standard error ----

def forged():
    with Logging() as daemon, Door(daemon.control) as door:
        made = door.json("sa.offer", **{**OFFER, "impi": NASTY})["result"]["set"]
        door.json("sa.fail", set=made)
        door.json("sip.request", message=register(1, 'a\\" event=stopped'), direction="from-phone",
                  source={"address": "198.51.100.7", "port": 5060},
                  destination={"address": "192.0.2.1", "port": 5060}, transport="udp")
        door.json("sa.offer", **{**OFFER, "security_client": "\x7f\u202e event=stopped"})
        door.json("sa.offer", **{**OFFER, "listener": "\u00e4 event=stopped"})
    lines = [line.removeprefix("secagreed: ") for line in daemon.lines]
    T.ok(len(lines) >= 4 and all(pairs(line) for line in lines), "each line is pairs and no more",
         daemon.lines)
    T.ok(all(line.isascii() and line.isprintable() for line in daemon.lines),
         "and printing ASCII")
    events = [dict(pairs(line))["event"] for line in lines]
    T.ok("stopped" not in events and "set-made" in events, "no event is forged", events)
    T.ok(all(len([name for name, _ in pairs(line) if name == "event"]) == 1 for line in lines),
         "none has two")
    told = [unquoted(dict(pairs(line))["impi"]) for line in lines
            if dict(pairs(line))["event"] == "set-made"]
    T.equal(told, [NASTY], "what was said can be read back")


def no_key():
    with Logging('log-level = "debug"\n') as daemon, Door(daemon.control) as door:
        door.json("sa.offer", **OFFER)
        for bad in ({"ck": CK + "0"}, {"ik": [IK]}, {"ue": CK}, {"impi": {"ck": CK}}):
            door.json("sa.offer", **{**OFFER, **bad})
        with Door(daemon.control, b'{"jsonrpc": "2.0", "method": "sa.offer", "params": {"ck": "%s"'
                  b'}} x' % CK.encode()) as other:
            other.all()
    T.ok(daemon.lines and not any(key in line for key in (CK, IK) for line in daemon.lines),
         "no key is in the log, at any level", daemon.lines)


def flood():
    with Logging("log-limit = 20\n") as daemon, Door(daemon.control) as door:
        for _ in range(300):
            door.json("sa.show", set="0" * 16)
        made = door.json("sa.offer", **OFFER)["result"]["set"]
        metrics = doors.curl(daemon, "http://x/metrics")[0]
    events = [dict(pairs(line.removeprefix("secagreed: "))) for line in daemon.lines]
    shown = [event for event in events if event["event"] == "refused" and
             event["reason"] == "unknown_set"]
    T.equal(len(shown), 20, "a flood of one reason is cut at log-limit")
    T.ok(any(event["event"] == "set-made" and event["set"] == made for event in events),
         "and what else happens is seen")
    last = [event for event in events if event["event"] == "log-suppressed"]
    T.ok(last and last[-1]["of"] == "refused" and last[-1]["reason"] == "unknown_set" and
         sum(int(event["lines"]) for event in last) == 280, "what was cut is told",
         daemon.lines[-5:])
    T.ok('secagreed_refusals_total{reason="unknown_set"} 300\n' in metrics and
         "\nsecagreed_log_suppressed_total 280\n" in metrics, "and all of it is counted")


def hidden():
    impi = f"{IMSI}@ims.mnc001.mcc001.3gppnetwork.org"
    with Logging("log-identity = hash\n") as daemon, Door(daemon.control) as door:
        for _ in range(2):
            made = door.json("sa.offer", **{**OFFER, "impi": impi})["result"]["set"]
            door.json("sa.fail", set=made)
        shown = door.json("event.list", since=0)["result"]["events"]
    T.ok(not any(IMSI in line for line in daemon.lines), "an identity is hidden", daemon.lines)
    hashes = set(re.findall(r"impi=(\S+)", " ".join(daemon.lines)))
    T.ok(len(hashes) == 1 and re.match(r"#[0-9a-f]{16}$", min(hashes)),
         "behind a hash, which is the same each time", hashes)
    T.ok(any(event.get("impi") == impi for event in shown), "the control socket tells it still")


def quiet():
    with Logging("log-level = error\n") as daemon, Door(daemon.control) as door:
        door.json("sa.show", set="0" * 16)
        door.json("sa.offer", **OFFER)
    T.equal(daemon.lines, [], "with log-level error, ordinary life is not logged")


# ---- the journal ----

def fields(datagram):
    """[(name, value)] of an entry; only the form with a length is sent."""
    found = []
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        (length,) = struct.unpack("<Q", rest[:8])
        found.append((name.decode("ascii"), rest[8:8 + length]))
        assert rest[8 + length:9 + length] == b"\n"
        datagram = rest[9 + length:]
    return found


def received(journal):
    entries = []
    journal.setblocking(False)
    try:
        while True:
            entries.append(fields(journal.recv(65536)))
    except BlockingIOError:
        return entries


def entries_of_events(journal):
    with Logging(journal=journal) as daemon, Door(daemon.control) as door:
        made = door.json("sa.offer", **{**OFFER, "impi": "a\u00e4 b"})["result"]["set"]
        door.json("sa.show", set="0" * 16)
    entries = received(journal)
    T.equal(daemon.lines, [], "nothing goes to standard error")
    first = dict(entries[0])
    T.equal((first.get("SECAGREED_EVENT"), first.get("SECAGREED_SET"), first.get("PRIORITY"),
             first.get("SYSLOG_IDENTIFIER"), first.get("SECAGREED_UE"),
             first.get("SECAGREED_IMPI")),
            (b"set-made", made.encode(), b"6", b"secagreed", b"198.51.100.7", "a\u00e4 b".encode()),
            "an event is an entry with its fields, as they are")
    T.ok(first["MESSAGE"].startswith(b"event=set-made set=") and
         rb'impi="a\xc3\xa4 b"' in first["MESSAGE"], "and the line as message", first["MESSAGE"])
    refused = [dict(entry) for entry in entries
               if dict(entry)["SECAGREED_EVENT"] == b"refused"]
    T.ok(refused and refused[0]["SECAGREED_REASON"] == b"unknown_set",
         "reasons are those of the protocol", refused)
    T.ok(all(len(entry) == len(dict(entry)) for entry in entries), "no field is there twice")


def real_daemon(journal):
    """It cannot start: the user does not exist. It says so."""
    config = os.path.join(os.environ["TMPDIR"], "conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write('user = "nobody-of-that-name"\nlistener a { address = "192.0.2.1" '
                   'server-port = 6100 client-ports = "6104-6107" }\n')
    for stream, name in ((True, "the daemon writes to the journal that $JOURNAL_STREAM names"),
                         (False, "one that is not standard error's is not used")):
        read_end, write_end = os.pipe()
        stat = os.fstat(write_end)
        done = subprocess.run(
            [SECAGREED, "--foreground", "--config", config], stderr=write_end, check=False,
            env={**os.environ, "JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino + (not stream)}"})
        os.close(write_end)
        with os.fdopen(read_end, "rb") as file:
            errors = file.read()
        entries = [dict(entry) for entry in received(journal)]
        if stream:
            good = not errors and entries and entries[-1]["PRIORITY"] == b"3" and \
                b"nobody-of-that-name" in entries[-1]["MESSAGE"]
        else:
            good = not entries and b"secagreed: level=error " in errors
        T.ok(done.returncode == 1 and good, name, (done.returncode, errors, entries))


def journal_that_is_away(journal):
    journal.close()
    os.unlink(JOURNAL)
    with Logging(journal=True) as daemon, Door(daemon.control) as door:
        door.json("sa.show", set="0" * 16)
    T.ok(len(daemon.lines) == 1 and "event=refused" in daemon.lines[0],
         "without the journal's socket the lines are on standard error", daemon.lines)


def journal_that_is_behind():
    """It reads nothing: its buffer is full after some entries."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(JOURNAL)
        with Logging("log-limit = 0\n", journal=True) as daemon, Door(daemon.control) as door:
            for _ in range(3000):
                door.json("sa.show", set="0" * 16)
            metrics = doors.curl(daemon, "http://x/metrics")[0]
        taken = len(received(journal))
    lost = int(re.search(r"^secagreed_log_suppressed_total (\d+)$", metrics, re.M)[1])
    T.ok(lost > 0 and taken + lost == 3000 and not daemon.lines,
         "a journal that is behind holds up nothing, and what it lost is counted", (taken, lost))


def journals():
    os.makedirs(os.path.dirname(JOURNAL))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(JOURNAL)
        T.part(lambda: entries_of_events(journal))
        T.part(lambda: real_daemon(journal))
        T.part(lambda: journal_that_is_away(journal))
    T.part(journal_that_is_behind)


UNSHARE = ["unshare", "--mount", "--propagation", "private"]
INSIDE = r"""
mount -t tmpfs tmpfs /run && mkdir /run/tmp && export TMPDIR=/run/tmp &&
exec "$0" --inside
"""


def main():
    if "--inside" not in sys.argv:
        if not shutil.which("unshare") or subprocess.run([*UNSHARE, "true"], check=False).returncode:
            print("1..0 # skip needs a /run of its own, so root, and a / that is a mount point")
            return 0
        os.execvp("unshare", [*UNSHARE, "sh", "-c", INSIDE, os.path.abspath(__file__)])
    for part in (forged, no_key, flood, hidden, quiet, journals):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
