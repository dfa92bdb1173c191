# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Kamailio with its ims_ipsec_pcscf beside us: what do SAs add to a REGISTER and its 401?

The whole of SIP is measured twice, with and without the module's work; the difference is what
sa.offer takes here. One phone after the other, and few of them, because the module has a port, and
Kamailio then a process, for each phone. The phones and the home network are this program.
"""

import contextlib
import os
import re
import select
import socket
import statistics
import tempfile
import time

from results import table
from stage import HERE, PCSCF, Daemon, Host, end, settle

PART = "kamailio"
PHONES = 16
WARM = 2
SIP_PORT, HOME_PORT, PHONE_PORT = 5060, 7060, 7001
START_LIMIT_S, ANSWER_LIMIT_S = 90, 60
KEYS = 'ck="b40ba9a3c58b2a05bbf0d987b21bf8cb", ik="f769bcd751044604127672711c6d3441"'

REGISTER = """REGISTER sip:ims.example SIP/2.0
Via: SIP/2.0/UDP {ue}:{port};branch=z9hG4bK{n:08d}
Max-Forwards: 70
From: <sip:{n:015d}@ims.example>;tag={n}
To: <sip:{n:015d}@ims.example>
Call-ID: {n}@{ue}
CSeq: 1 REGISTER
Contact: <sip:{n:015d}@{ue}:{port}>
Authorization: Digest username="{n:015d}@ims.example", realm="ims.example", \
uri="sip:ims.example", nonce="", response=""
Require: sec-agree
Proxy-Require: sec-agree
Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;\
spi-c={spi_c};spi-s={spi_s};port-c={port};port-s=7000
Expires: 3600
Content-Length: 0

"""
CHALLENGE = """SIP/2.0 401 Unauthorized
{copied}
WWW-Authenticate: Digest realm="ims.example", nonce="I1Wqn1qZ0rWuKdjv3gRk0Q==", \
algorithm=AKAv1-MD5, qop="auth", {keys}
Content-Length: 0

"""


def _wire(text):
    return text.replace("\n", "\r\n").encode()


def _address(n):
    return f"10.{17 * n % 251}.{29 * n % 241}.{n + 1}"


def _bound(address, port):
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((address, port))
    return bound


class Proxy:
    """Kamailio in @host, and the home network behind it."""

    def __init__(self, host, ipsec):
        self.stack = contextlib.ExitStack()
        self.log = self.stack.enter_context(tempfile.TemporaryFile())
        directory = self.stack.enter_context(tempfile.TemporaryDirectory())
        host.ip("route", "add", "local", "10.0.0.0/8", "dev", "lo")
        with host.inside():
            self.home = self.stack.enter_context(_bound(PCSCF, HOME_PORT))
        self.process = host.start(
            "kamailio", "-f", os.path.join(HERE, "kamailio.cfg"), "-DD", "-E", "-m", 64, "-M", 4,
            "-Y", directory, "-A", f"PHONES={PHONES + WARM}",
            *(("-A", "WITH_IPSEC") if ipsec else ()), stdout=self.log, stderr=self.log)
        self.stack.callback(end, self.process)
        self.host = host

    def register(self, n):
        """Seconds from the REGISTER to the 401, and the latter."""
        ue = _address(n)
        with self.host.inside():
            phone = _bound(ue, PHONE_PORT)
        with contextlib.closing(phone):
            message = _wire(REGISTER.format(n=n, ue=ue, port=PHONE_PORT,
                                            spi_c=0x51000000 + 7919 * n,
                                            spi_s=0x71000000 + 6301 * n))
            start = time.monotonic()
            phone.sendto(message, (PCSCF, SIP_PORT))
            while True:
                ready, _, _ = select.select([phone, self.home], [], [], ANSWER_LIMIT_S)
                if not ready:
                    raise OSError(f"no answer to {ue}")
                if self.home in ready:  # it may be one that was sent again
                    self._challenge()
                answer = phone.recv(8192) if phone in ready else b""
                if answer.startswith(b"SIP/2.0 401"):
                    return time.monotonic() - start, answer.decode()

    def _challenge(self):
        request, proxy = self.home.recvfrom(8192)
        copied = re.findall(r"^(?:Via|From|To|Call-ID|CSeq):.*$", request.decode(), re.M)
        answer = CHALLENGE.format(copied="\n".join(line.strip() for line in copied), keys=KEYS)
        self.home.sendto(_wire(answer), proxy)

    def wait(self):
        """Until all its processes are there; the first phones warm them up."""
        end = time.monotonic() + START_LIMIT_S
        while self.host.run("ss", "-Hlnu").count(f"{PCSCF}:") <= 2 * (PHONES + WARM):
            if self.process.poll() is not None or time.monotonic() > end:
                raise OSError("Kamailio does not start")
            time.sleep(0.2)
        settle()
        for n in range(WARM):
            self.register(PHONES + n)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0]:
            self.log.seek(0)
            print(self.log.read().decode(errors="replace")[-2000:])
        self.stack.close()


def _through_kamailio(results, turn, subject, ipsec):
    with Host("proxy") as host, Proxy(host, ipsec) as proxy:
        proxy.wait()
        waits, answers = zip(*(proxy.register(n) for n in range(PHONES)))
        results.add(PART, subject, "median_us", turn, 1e6 * statistics.median(waits))
        agreed = sum("Security-Server" in answer for answer in answers)
        if agreed != (PHONES if ipsec else 0):
            raise OSError(f"Kamailio agreed with {agreed} of {PHONES}")
        count = host.run("ip", "xfrm", "state", "count")
        results.add(PART, subject, "sas", turn, int(re.search(r"SAD count (\d+)", count)[1]))


def _alone(results, turn):
    for what in ("add", "kamailio"):
        with Host("kernel") as host:
            one, = host.measure("kernel", "--phones", PHONES, what)
            results.add(PART, f"kernel, {what}", "median_us", turn, one["p50_us"])


def _ours(results, turn):
    with Host("pcscf") as host, Daemon(host) as daemon:
        daemon.load("--first", PHONES, "--phones", WARM, "offer")
        one, = daemon.load("--phones", PHONES, "offer")
        results.add(PART, "sa.offer", "median_us", turn, one["p50_us"])


def measure(results, rounds, _scale):
    for turn in range(rounds):
        _through_kamailio(results, turn, "without", False)
        _through_kamailio(results, turn, "with", True)
        _ours(results, turn)
        _alone(results, turn)
        added = (results.values(PART, "with", "median_us")[turn]
                 - results.values(PART, "without", "median_us")[turn])
        results.add(PART, "added", "median_us", turn, added)


def show(results):
    subjects = (("Kamailio's REGISTER and 401 without SAs", "without"),
                ("with SAs of ims_ipsec_pcscf", "with"), ("what they add", "added"),
                ("sa.offer", "sa.offer"), ("its messages, bare", "kernel, add"),
                ("the replayed ones of ims_ipsec_pcscf, bare", "kernel, kamailio"))
    rows = [(name, results.median(PART, subject, "median_us"),
             results.ratio(PART, "median_us", subject, "sa.offer")) for name, subject in subjects]
    sas = results.median(PART, "with", "sas") / (PHONES + WARM)
    table(f"Microseconds for one phone, one after the other ({sas:.1f} SAs each)",
          ("", "median", "of sa.offer"), rows)


def plots(_results):
    return []
