#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Crossed flows on a real kernel: a phone that sends from port_uc to port_pc and from port_us to
port_ps is heard by a listener with relaxed selectors and by no other; other ports stay shut, and
what goes to the phone keeps its ports. TS 33.203 7.1. TAP.
"""

import os
import re
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

CK, IK = "b40ba9a3c58b2a05bbf0d987b21bf8cb", "f769bcd751044604127672711c6d3441"
UC, US = 7000, 7001
IN_CLEAR = 5060
ALGORITHMS = ["hmac-sha-1-96/null"]


def offer(listener, number):
    return {"impi": f"{listener}@ims.example", "ue": lab.PHONE_4, "listener": listener,
            "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;"
                               f"spi-c={5000 + number};spi-s={5001 + number};"
                               f"port-c={UC};port-s={US}", "ck": CK, "ik": IK}


class Phone:
    """One whose SAs are made by hand, so that it can send any flow over either of them."""

    def __init__(self, bed, number, security_server):
        self.host, self.out = bed.phone_host, []
        value = {name: int(digits) for name, digits in
                 re.findall(r"(spi-[cs]|port-[cs])=(\d+)", security_server)}
        self.spi_c, self.spi_s = value["spi-c"], value["spi-s"]
        self.pc, self.ps = value["port-c"], value["port-s"]
        for spi in (self.spi_c, self.spi_s):
            self._sa(lab.PHONE_4, lab.PCSCF_4, spi)
        for spi in (5000 + number, 5001 + number):
            self._sa(lab.PCSCF_4, lab.PHONE_4, spi)

    def _sa(self, src, dst, spi):
        self.host.ip("xfrm", "state", "add", "src", src, "dst", dst, "proto", "esp", "spi",
                     str(spi), "mode", "transport", "replay-window", "32",
                     "auth-trunc", "hmac(sha1)", f"0x{IK}00000000", "96",
                     "enc", "ecb(cipher_null)", "")

    def use(self, spi):
        """From now on everything to the P-CSCF goes over this SA."""
        self.host.ip("xfrm", "policy", "update", "src", lab.PHONE_4, "dst", lab.PCSCF_4,
                     "dir", "out", "tmpl", "src", lab.PHONE_4, "dst", lab.PCSCF_4, "proto", "esp",
                     "spi", str(spi), "mode", "transport")

    def close(self):
        self.host.ip("xfrm", "state", "flush")
        self.host.ip("xfrm", "policy", "flush")


def udp(host, address, port):
    with host.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def received(sock):
    found = set()
    while True:
        try:
            found.add(sock.recv(100).decode())
        except BlockingIOError:
            return found


class Test:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.control = Control(bed.control_path)

    def uplink(self, phone, ours, theirs):
        """The flows that arrive, of all over both SAs: (SPI's name, from, to)."""
        names = {phone.ps: "ps", phone.pc: "pc", IN_CLEAR: "5060"}
        sent = set()
        for spi_name, spi in (("spi_ps", phone.spi_s), ("spi_pc", phone.spi_c)):
            phone.use(spi)
            for name, sock in theirs.items():
                for port, to in names.items():
                    text = f"{spi_name} {name}->{to}"
                    sock.sendto(text.encode(), (lab.PCSCF_4, port))
                    sent.add(text)
        before = sum(self.mismatches)
        self.bed.until(lambda: len(self.arrived(ours)) + sum(self.dropped()) - before >= len(sent),
                       "each is delivered or dropped", 20)
        return self.seen

    def arrived(self, ours):
        for sock in ours.values():
            self.seen |= received(sock)
        return self.seen

    def dropped(self):
        return (kernel.counters(self.bed.daemon.pid)["XfrmInStateMismatch"],)

    def downlink(self, phone, ours, theirs):
        before = kernel.counters(self.bed.daemon.pid)["XfrmOutNoStates"]
        for name, to in (("ps", "uc"), ("ps", "us"), ("pc", "uc"), ("pc", "us")):
            ours[name].sendto(f"{name}->{to}".encode(),
                              (lab.PHONE_4, {"uc": UC, "us": US}[to]))
        found = set()

        def all_there():
            for sock in theirs.values():
                found.update(received(sock))
            lost = kernel.counters(self.bed.daemon.pid)["XfrmOutNoStates"] - before
            return len(found) + lost >= 4
        self.bed.until(all_there, "each is delivered or dropped", 20)
        return found

    def known(self, phone, port, ue_port):
        try:
            answer = self.control.call("sa.check", pcscf=lab.PCSCF_4, pcscf_port=port,
                                       ue=lab.PHONE_4, ue_port=ue_port, method="INVITE")
        except ControlError as error:
            return error.reason
        return answer["set"]

    def listener(self, name, number, relaxed):
        one = self.control.call("sa.offer", **offer(name, number))
        self.control.call("sa.confirm", set=one["set"], expires=600)
        phone = Phone(self.bed, number, one["security_server"])
        ours = {name: udp(self.bed.pcscf_host, lab.PCSCF_4, port) for name, port in
                (("ps", phone.ps), ("pc", phone.pc), ("5060", IN_CLEAR))}
        theirs = {name: udp(self.bed.phone_host, lab.PHONE_4, port)
                  for name, port in (("uc", UC), ("us", US))}
        self.seen, self.mismatches = set(), self.dropped()
        wanted = {"spi_ps uc->ps", "spi_pc us->pc"}
        if relaxed:
            wanted = {f"{spi} {flow}" for spi in ("spi_ps", "spi_pc")
                      for flow in ("uc->ps", "uc->pc", "us->ps", "us->pc")}
        got = self.uplink(phone, ours, theirs)
        self.tap.ok(got == wanted, f"{name}: these flows are heard and no others: "
                    + ", ".join(sorted(wanted)), sorted(got))
        got = self.downlink(phone, ours, theirs)
        self.tap.ok(got == {"ps->uc", "pc->us"}, f"{name}: to the phone only between its ports",
                    got)
        crossed = [self.known(phone, phone.pc, UC), self.known(phone, phone.ps, US)]
        self.tap.ok(crossed == [one["set"] if relaxed else "unknown_set"] * 2,
                    f"{name}: and the daemon sees crossed flows likewise", crossed)
        for sock in [*ours.values(), *theirs.values()]:
            sock.close()
        phone.close()
        self.control.call("sa.release", set=one["set"])


def main():
    tap = Tap()
    with lab.Lab([lab.listener("strict", lab.PCSCF_4, algorithms=ALGORITHMS),
                  lab.listener("relaxed", lab.PCSCF_4, 6200, (6204, 6207), selectors="relaxed",
                               algorithms=ALGORITHMS)]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        test = Test(bed, tap)
        with bed.to_the_end(tap):
            test.listener("strict", 0, relaxed=False)
            test.listener("relaxed", 100, relaxed=True)
        tap.ok(kernel.sa_count(bed.pcscf_host) == 0, "nothing is left in the kernel")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
