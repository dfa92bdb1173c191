#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Attacks on a P-CSCF that works: on the wire by whoever can send it packets, phones with SAs of
their own among them, and on the daemon's sockets by local programs.

Each is refused by name: the counter that says so, of the kernel, of an SA or of the daemon, goes up
by exactly what was sent, and no other does. Meanwhile a registered phone and the front end go on
talking over ESP, and another client of the daemon is served. TAP.
"""

import os
import random
import re
import socket
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import door_attacks  # noqa: E402
import frames  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import wire  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

CK, IK = "b40ba9a3c58b2a05bbf0d987b21bf8cb", "f769bcd751044604127672711c6d3441"
KEY = bytes.fromhex(IK) + bytes(4)  # TS 33.203 Annex I
UC, US = 7000, 7001
PORTS = (6200, 6204, 6205, 6206, 6207)  # of the listeners that crooks register at
VICTIM_PORTS = (6100, 6104, 6107)
BARE = ["hmac-sha-1-96/null"]
GUESSES = 500
# (listener, its address, the phone's, another one; the address of the victim's listener)
CROOKS = {"IPv4": ("bare", "192.0.2.2", "192.0.2.66", "192.0.2.67", lab.PCSCF_4),
          "IPv6": ("bare6", "2001:db8::2", "2001:db8::66", "2001:db8::67", lab.PCSCF_6)}


def udp(host, address, port):
    with host.inside():
        one = socket.socket(frames.family_of(address), socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, port))
    one.setblocking(False)
    return one


class Crook:
    """A phone that has registered as others do, and makes its packets by hand."""

    def __init__(self, test, name):
        self.test = test
        listener, self.pcscf, self.ue, self.other, self.victim = CROOKS[name]
        made = test.control.call(
            "sa.offer", impi=f"crook-{listener}@ims.example", ue=self.ue, listener=listener, ck=CK,
            ik=IK, security_client="ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;spi-c=5000;spi-s=5001;"
                                   f"port-c={UC};port-s={US}")
        test.control.call("sa.confirm", set=made["set"], expires=3600)
        self.set = made["set"]
        value = {name: int(digits) for name, digits in
                 re.findall(r"(spi-[cs]|port-[cs])=(\d+)", made["security_server"])}
        self.spi_c, self.spi_s = value["spi-c"], value["spi-s"]
        self.pc, self.ps = value["port-c"], value["port-s"]
        self.sockets = [udp(test.bed.pcscf_host, self.pcscf, port) for port in PORTS]
        self.number = 0

    def esp(self, source, destination, spi=None, key=KEY, ue=None, pcscf=None,
            protocol=wire.UDP):
        """A datagram from port to port, or a SYN, over its SA to port_ps. @ue, @pcscf: other
        addresses than its own."""
        self.number += 1
        ue, pcscf = ue or self.ue, pcscf or self.pcscf
        ends = (ue, source), (pcscf, destination)
        inner = frames.udp(*ends, b"over ESP") if protocol == wire.UDP else frames.syn(*ends)
        body = frames.esp(spi or self.spi_s, self.number, key, protocol, inner)
        return frames.frame(self.test.macs, ue, pcscf, wire.ESP, body)

    def heard(self):
        """What has reached the sockets behind the protected ports."""
        found = []
        for one in self.sockets:
            try:
                while True:
                    found.append(one.recv(100))
            except BlockingIOError:
                pass
        return found

    def counted(self, name):
        """Of its SA to port_ps, by sa.show."""
        sas = self.test.control.call("sa.show", set=self.set)["sas"]
        return next(sa[name] for sa in sas if sa["spi"] == self.spi_s)


class Test:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.control = Control(bed.control_path)
        self.macs = (bed.phone_host.mac(lab.DEVICE), bed.pcscf_host.mac(lab.DEVICE))
        self.wire = frames.Wire(bed.phone_host, lab.DEVICE)
        self.phone = None

    # ---- who must not notice ----

    def register(self):
        self.phone = self.bed.start_phone()
        mark = self.phone.say("register")
        self.bed.wait(self.phone.name, "registered", since=mark)

    def goes_on(self):
        """A request to the phone and its answer over ESP, and a new client at the daemon."""
        self.bed.front_end_options("udp")
        client = Control(self.bed.control_path)
        found = client.call("sa.route", impi=lab.SUBSCRIBER["impi"])
        client.close()
        return found["state"] == "current"

    def counters(self):
        return kernel.counters(self.bed.daemon.pid)

    def counts(self, before, wanted):
        now = self.counters()
        found = {name: now[name] - before[name] for name in now if now[name] != before[name]}
        return found, all(found.get(name, 0) >= count for name, count in wanted.items())

    def refused(self, what, packets, crook=None, **wanted):
        """@packets reach the P-CSCF and nobody there. @wanted: the kernel's counters, and by how
        much each goes up."""
        before, half = self.counters(), len(packets) // 2
        self.wire.send(packets[:half])
        alive = self.goes_on()
        self.wire.send(packets[half:])
        alive &= self.goes_on()
        try:
            self.bed.until(lambda: self.counts(before, wanted)[1], what, 20)
        except lab.Failure:
            pass
        found, _ = self.counts(before, wanted)
        heard = crook.heard() if crook else []
        self.tap.ok(found == wanted and not heard, f"{what}: " + ", ".join(
            f"{name} {count}" for name, count in wanted.items()), found, heard)
        self.tap.ok(alive, "and meanwhile the phone and a new client are served")

    # ---- without an SA ----

    def clear_text(self, name, crook):
        sources = [(crook.other, 5060), (crook.ue, UC), (crook.ue, US)]
        ends = [(source, (address, port)) for source in sources
                for address, ports in ((crook.pcscf, PORTS), (crook.victim, VICTIM_PORTS))
                for port in ports]
        for what, protocol, packet in (
                ("UDP", wire.UDP, lambda *end: frames.udp(*end, b"in clear")),
                ("TCP, a SYN", wire.TCP, frames.syn)):
            packets = [frames.frame(self.macs, end[0][0], end[1][0], protocol, packet(*end))
                       for end in ends]
            self.refused(f"{name}: {what} in clear to protected ports", packets, crook,
                         XfrmInTmplMismatch=len(packets))

    def fragments(self, crook):
        datagram = frames.udp((crook.other, 5060), (crook.pcscf, PORTS[0]), b"in pieces" * 5)
        self.refused("IPv4: UDP in clear, in fragments", frames.fragments(
            self.macs, crook.other, crook.pcscf, wire.UDP, datagram), crook, XfrmInTmplMismatch=1)

    def guesses(self, name, crook):
        guess = random.Random(33203)
        packets = [crook.esp(UC, crook.ps, spi=guess.randrange(256, 1 << 32))
                   for _ in range(GUESSES)]
        self.refused(f"{name}: {GUESSES} guessed SPIs", packets, crook, XfrmInNoStates=GUESSES)

    def to_nobody(self, name, crook):
        """What leaves a protected port for a phone that has no SA."""
        before = self.counters()
        self.wire.flush()
        crook.sockets[0].sendto(b"to nobody", (crook.other, UC))
        self.bed.until(lambda: self.counts(before, {"XfrmOutNoStates": 1})[1], "dropped", 20)
        found, _ = self.counts(before, {})
        self.tap.ok(found == {"XfrmOutNoStates": 1},
                    f"{name}: from a protected port to a phone without SA: XfrmOutNoStates 1",
                    found)

    # ---- with an SA of one's own ----

    def honest(self, name, crook):
        """What is refused below is refused for what is wrong with it."""
        before, packets = self.counters(), crook.counted("packets")
        self.wire.send([crook.esp(UC, crook.ps)])
        heard = []
        self.bed.until(lambda: heard.extend(crook.heard()) or heard, "the good packet", 20)
        found, _ = self.counts(before, {})
        self.tap.ok(heard == [b"over ESP"] and not found
                    and crook.counted("packets") == packets + 1,
                    f"{name}: a packet made by hand on the right flow is taken", heard, found)

    def wrong_ports(self, name, crook):
        flows = [(US, crook.ps), (UC, crook.pc), (UC + 9, crook.ps), (UC, 5060), (5060, crook.ps)]
        for what, protocol in (("UDP", wire.UDP), ("TCP", wire.TCP)):
            packets = [crook.esp(*flow, protocol=protocol) for flow in flows]
            self.refused(f"{name}: {what} between wrong ports inside its own ESP", packets, crook,
                         XfrmInStateMismatch=len(packets))

    def other_address(self, name, crook):
        self.refused(f"{name}: its own SPI and key from another address",
                     [crook.esp(UC, crook.ps, ue=crook.other)], crook, XfrmInStateMismatch=1)
        packets = [crook.esp(UC, port, pcscf=crook.victim) for port in VICTIM_PORTS]
        self.refused(f"{name}: its own SPI and key to another listener's address", packets, crook,
                     XfrmInNoStates=len(packets))

    def forged(self, name, crook):
        before = crook.counted("integrity_failed")
        packets = [crook.esp(UC, crook.ps, key=bytes(20)) for _ in range(3)]
        self.refused(f"{name}: ESP with the right SPI and another key", packets, crook,
                     XfrmInStateProtoError=3)
        after = crook.counted("integrity_failed")
        self.tap.ok(after == before + 3, "sa.show: integrity_failed 3", before, after)

    def replayed(self, name, crook):
        before, packet = crook.counted("replay_failed"), crook.esp(UC, crook.ps)
        self.wire.send([packet])
        self.bed.until(crook.heard, "the first of it", 20)
        self.refused(f"{name}: the same packet again", [packet] * 4, crook, XfrmInStateSeqError=4)
        after = crook.counted("replay_failed")
        self.tap.ok(after == before + 4, "sa.show: replay_failed 4", before, after)

    # ---- what a phone has sent, and what was sent to it ----

    def replay_of_phone(self):
        self.wire.flush()
        self.bed.front_end_options("udp")
        body = self.wire.next_esp(lab.PHONE_4)
        packet = frames.frame(self.macs, lab.PHONE_4, lab.PCSCF_4, wire.ESP, body)
        self.refused("the phone's own ESP, kept and sent again", [packet] * 3,
                     XfrmInStateSeqError=3)

    def reflection(self):
        self.wire.flush()
        self.bed.front_end_options("udp")
        body = self.wire.next_esp(lab.PCSCF_4)
        packet = frames.frame(self.macs, lab.PHONE_4, lab.PCSCF_4, wire.ESP, body)
        self.refused("what the P-CSCF sent, sent back to it", [packet] * 3, XfrmInNoStates=3)

    def stolen(self):
        """The phone's packet never arrives: the wire is the thief's. He sends it as his own."""
        self.bed.phone_host.ip("neigh", "replace", lab.PCSCF_4, "lladdr", "02:00:00:00:00:09",
                               "dev", lab.DEVICE)
        self.wire.flush()
        mark = self.bed.front_end.say("options udp")
        body = self.wire.next_esp(lab.PHONE_4)  # its answer
        before = self.counters()
        self.wire.send([frames.frame(self.macs, CROOKS["IPv4"][3], lab.PCSCF_4, wire.ESP, body)])
        self.bed.until(lambda: self.counts(before, {"XfrmInStateMismatch": 1})[1], "refused", 20)
        found, _ = self.counts(before, {})
        self.bed.phone_host.ip("neigh", "replace", lab.PCSCF_4, "lladdr",
                               ":".join(f"{byte:02x}" for byte in self.macs[1]), "dev", lab.DEVICE)
        self.tap.ok(found == {"XfrmInStateMismatch": 1}
                    and not self.bed.find("pcscf", "answered", since=mark),
                    "the phone's ESP, taken off the wire and sent from another address: "
                    "XfrmInStateMismatch 1", found)
        self.tap.ok(self.goes_on(), "and the phone goes on")

    def on_the_wire(self):
        for name in CROOKS:
            crook = Crook(self, name)
            self.honest(name, crook)
            for attack in (self.clear_text, self.guesses, self.to_nobody, self.wrong_ports,
                           self.other_address, self.forged, self.replayed, self.honest):
                attack(name, crook)
            if name == "IPv4":
                self.fragments(crook)
            self.control.call("sa.release", set=crook.set)
            for one in crook.sockets:
                one.close()
        self.replay_of_phone()
        self.reflection()
        self.stolen()


def run(bed, tap):
    test = Test(bed, tap)
    test.register()
    tap.ok(test.goes_on(), "a phone is registered and answers over ESP")
    doors = door_attacks.Doors(bed, tap, test.goes_on)
    doors.begin()
    test.on_the_wire()
    doors.attack()
    tap.ok(test.goes_on(), "after all this the phone answers over ESP")
    mark = test.phone.say("register")
    bed.wait(test.phone.name, "registered", since=mark)
    tap.ok(test.goes_on(), "and registers again")


def main():
    tap = Tap()
    listeners = [lab.listener("ims", lab.PCSCF_4), lab.listener("ims6", lab.PCSCF_6)]
    bare = [lab.listener("bare", CROOKS["IPv4"][1], 6200, (6204, 6207), algorithms=BARE),
            lab.listener("bare6", CROOKS["IPv6"][1], 6200, (6204, 6207), algorithms=BARE)]
    with lab.Lab(listeners + bare) as bed:
        door_attacks.configure(bed)
        bed.make_hosts()
        bed.start_daemon()
        bed.listeners = listeners  # of the front end
        with bed.to_the_end(tap):
            bed.start_front_end()
            run(bed, tap)
            bed.listeners = listeners + bare
            door_attacks.export(bed, tap)
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-500:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
