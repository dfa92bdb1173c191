#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Phones behind one NAT, a real one (nftables masquerade): ESP in UDP in tunnel mode, TS 33.203
Annex M. Two phones share one public address; the NAT's ports change under them, and the daemon
follows by what the kernel tells it. Phones that cannot cross the NAT are refused. TAP.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../demo")]

import kernel  # noqa: E402
import lab  # noqa: E402
import netns  # noqa: E402
import sip_flow  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

PUBLIC = "192.0.2.50"
INSIDE = "inside"  # the phone's device
PHONES = 3
TRANSPORTS = ("udp", "tcp")
CLEAR = ("REGISTER", "SIP/2.0 4")  # and nothing else may be read on the wire


def subscriber(number):
    impi = f"00101000000000{number}@ims.example"
    return {**lab.SUBSCRIBER, "impi": impi, "impu": f"sip:{impi}"}


class Bed(sip_flow.Bed):
    """P-CSCF -- NAT -- phones, each in a network of its own: 10.0.N.0/24."""

    def make_hosts(self):
        unique = f"secagree-{os.getpid()}"
        self.pcscf_host = self._host(f"{unique}-pcscf")
        self.nat = self.phone_host = self._host(f"{unique}-nat")
        netns.join(self.pcscf_host, self.nat, lab.DEVICE)
        netns.address(self.pcscf_host, lab.DEVICE, [f"{lab.PCSCF_4}/24"])
        netns.address(self.nat, lab.DEVICE, [f"{PUBLIC}/24"])
        with self.nat.inside(), open("/proc/sys/net/ipv4/ip_forward", "w",
                                     encoding="ascii") as file:
            file.write("1")
        self.homes = {number: self._home(f"{unique}-phone{number}", number)
                      for number in range(1, PHONES + 1)}

    def _home(self, name, number):
        host = self._host(name)
        device = f"home{number}"
        netns.run("ip", "link", "add", device, "netns", self.nat.name, "type", "veth",
                  "peer", "name", INSIDE, "netns", host.name)
        netns.address(self.nat, device, [f"10.0.{number}.1/24"])
        netns.address(host, INSIDE, [f"10.0.{number}.2/24"])
        host.ip_batch([f"addr add {PUBLIC}/32 dev lo", f"route add default via 10.0.{number}.1"])
        return host

    def map_ports(self, ports):
        """The NAT's outside ports for ESP in UDP: {phone: port}. What is there loses its port."""
        rules = "".join(f"ip saddr 10.0.{number}.2 udp sport 4500 masquerade to :{port}\n"
                        for number, port in ports.items())
        self.in_nat("nft", "-f", "-", text=f"""
            table ip nat
            delete table ip nat
            table ip nat {{
                chain out {{
                    type nat hook postrouting priority srcnat
                    oifname != "{lab.DEVICE}" accept
                    {rules}
                    masquerade
                }}
            }}""")
        self.in_nat("conntrack", "-F")

    def in_nat(self, *argv, text=None):
        with self.nat.inside():
            done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")

    def start_phone_at(self, number, *options):
        self.phone_host = self.homes[number]
        return self.start_phone("--public-address", PUBLIC, *options,
                                address=f"10.0.{number}.2", subscriber=subscriber(number))


class Nat:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.control = Control(bed.control_path)
        self.phones = {}
        self.ports = {}

    # ---- what can be seen ----

    def sets_of(self, number):
        listed = self.control.call("sa.list", impi=subscriber(number)["impi"])["sets"]
        return [self.control.call("sa.show", set=one["set"]) for one in listed]

    def sas_of(self, shown):
        spis = {sa["spi"] for sa in shown["sas"]}
        return [sa for sa in kernel.sas(self.bed.pcscf_host) if sa.spi in spis]

    def in_use(self, number):
        return next(one for one in self.sets_of(number) if one["state"] == "current")

    def follows(self, number):
        """The daemon and each SA in the kernel know the NAT's port."""
        shown, port = self.in_use(number), self.ports[number]
        wanted = {True: ("espinudp", port, 4500), False: ("espinudp", 4500, port)}
        sas = self.sas_of(shown)
        return shown["encap_port"] == port and len(sas) == 4 and all(
            sa.encap == wanted[sa.dst == lab.PCSCF_4] for sa in sas)

    def until(self, condition, what):
        try:
            self.bed.until(condition, what, 30)
        except lab.Failure:
            return False
        return True

    # ---- the steps ----

    def register(self, number):
        phone = self.phones[number] = self.bed.start_phone_at(number, "--mod", "UDP-enc-tun")
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        shown = self.in_use(number)
        self.tap.ok(shown["chosen"]["mod"] == "udp-enc-tun"
                    and "mod=udp-enc-tun" in shown["security_server"].lower(),
                    f"N1, N6: phone {number} is seen behind the NAT, and Security-Server says so",
                    shown)
        sas = self.sas_of(shown)
        ends = {frozenset((sa.src, sa.dst)) for sa in sas} | \
            {frozenset((sa.sel_src[:-3], sa.sel_dst[:-3])) for sa in sas}
        self.tap.ok(ends == {frozenset((PUBLIC, lab.PCSCF_4))}
                    and all(sa.mode == "tunnel" for sa in sas) and len(sas) == 4,
                    f"N3: phone {number}: tunnel mode, its public address inside and outside", ends)
        self.tap.ok(self.follows(number),
                    f"N4: phone {number}: the port was learned from its first packet",
                    shown["encap_port"], *(sa.encap for sa in sas))
        answer = next(event["text"] for event in self.bed.messages(mark, "received")
                      if "Security-Verify" in event["text"])
        self.tap.ok(f"{PUBLIC}:{shown['phone']['port_s']}" in answer.split("\r\n")[1],
                    f"N7: phone {number}: the protected REGISTER has the public address in its Via",
                    answer)

    def talk(self, what):
        """Each phone with the P-CSCF, both ways, over both transports."""
        bad = []
        for number, phone in self.phones.items():
            for transport in TRANSPORTS:
                mark = phone.say(f"options {transport}")
                answer = self.bed.wait(phone.name, "response", since=mark, method="OPTIONS")
                if (answer["status"], answer["protected"]) != ("200", "yes"):
                    bad.append(lab.line_of(answer))
                impi = subscriber(number)["impi"]
                mark = self.bed.front_end.say(f"options {transport} {impi}")
                answer = self.bed.wait("pcscf", "answered", since=mark, unless=("error",))
                came = self.bed.find(phone.name, "request", mark)
                if answer["status"] != 200 or not came:
                    bad.append(f"{phone.name}: {answer} {came}")
        self.tap.ok(not bad, f"{what}: requests both ways over UDP and TCP", *bad)

    def move(self, ports, what):
        """From the phone's next packet on."""
        self.bed.map_ports(ports)
        self.ports = ports
        for phone in self.phones.values():
            mark = phone.say("options udp")
            self.bed.wait(phone.name, "response", since=mark, method="OPTIONS")
        self.tap.ok(self.until(lambda: all(map(self.follows, self.phones)), "the daemon follows"),
                    f"N4: {what}: the daemon and all SAs follow",
                    *(self.in_use(number)["encap_port"] for number in self.phones), ports)
        self.talk(what)

    def renew(self):
        for number, phone in self.phones.items():
            mark = phone.say("reregister")
            event = self.bed.wait(phone.name, "reregistered", since=mark)
            mark = phone.say("options udp")
            self.bed.wait(phone.name, "response", since=mark, method="OPTIONS")
            shown = self.in_use(number)
            self.tap.ok(event["challenged"] == "yes" and shown["chosen"]["mod"] == "udp-enc-tun"
                        and len(self.sets_of(number)) == 2 and self.follows(number),
                        f"N5: phone {number}: the set of the re-registration keeps the mode", shown)

    def same_port_s(self):
        """TS 33.203 M.7.1 rule 3: the same port-s behind the same address would be one phone."""
        port = self.in_use(1)["phone"]["port_s"]
        phone = self.bed.start_phone_at(3, "--mod", "UDP-enc-tun", "--port-us", str(port))
        mark = phone.say("register")
        self.bed.wait(phone.name, "failed", since=mark)
        reasons = [event["result"].get("reason") for event in
                   self.bed.find("pcscf", "verdict", mark)]
        self.tap.ok("flow_in_use" in reasons and not self.sets_of(3),
                    "D9: a phone behind the same NAT with the port-s of another is refused",
                    reasons)
        self.leave(phone)

    def without_udp_enc_tun(self):
        phone = self.bed.start_phone_at(3, "--mod", "trans", "--t1", "1000", "--timeout", "4")
        mark = phone.say("register")
        said = self.bed.wait(phone.name, "failed", since=mark)
        why = [event["result"] for event in self.bed.find("pcscf", "verdict", mark)]
        self.tap.ok(why and all((one["verdict"], one.get("reason")) == ("drop", "nat_refused")
                                for one in why) and not self.bed.messages(mark, "sent")
                    and not self.sets_of(3),
                    "N2: a phone that does not offer UDP-enc-tun is discarded in silence",
                    said, *why)
        self.leave(phone)

    def leave(self, phone):
        phone.say("quit")
        phone.end(how=None)

    def deregister(self, guards):
        for phone in self.phones.values():
            mark = phone.say("deregister")
            self.bed.wait(phone.name, "deregistered", since=mark)
            self.leave(phone)

        def nothing():
            sas, policies = kernel.read(self.bed.pcscf_host)
            return not sas and len(policies) == guards and not self.control.call("sa.list")["total"]
        self.tap.ok(self.until(nothing, "nothing is left"),
                    "both de-registered: of SAs and policies only the guards are left")

    def wire_was_clean(self):
        packets = self.bed.capture.take()
        bad = [str(packet) for packet in packets if packet.is_clear_data and not
               packet.payload.decode(errors="replace").startswith(CLEAR)]
        carried = {packet.kind for packet in packets}
        listener = self.bed.listeners[0]
        ports = {listener["server_port"], *listener["client_ports"]}
        bad += [str(packet) for packet in packets if {packet.sport, packet.dport} & ports]
        self.tap.ok(not bad and "ESP-in-UDP" in carried,
                    "between NAT and P-CSCF only the first REGISTERs and their 4xx were in clear",
                    *sorted(set(bad))[:10], carried)

    def run(self):
        guards = len(kernel.policies(self.bed.pcscf_host))
        self.ports = {1: 20001, 2: 20002}
        self.bed.map_ports(self.ports)
        for number in (1, 2):
            self.register(number)
        self.talk("two phones behind one address")
        self.move({1: 30001, 2: 30002}, "the NAT takes other ports")
        self.renew()
        self.talk("after re-registration")
        self.move({1: 30002, 2: 30001}, "the NAT exchanges their ports")
        self.same_port_s()
        self.without_udp_enc_tun()
        self.talk("after all that")
        self.deregister(guards)
        self.wire_was_clean()


def main():
    tap = Tap()
    home = {"realm": lab.REALM,
            "subscribers": [subscriber(number) for number in range(1, PHONES + 1)]}
    listener = lab.listener("ims", lab.PCSCF_4, client_ports=(6104, 6111), reg_await_auth=15,
                            old_set_time=20)
    with Bed([listener], home=home) as bed:
        bed.may_happen = ("failed",)
        bed.make_hosts()
        bed.start_capture()
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            Nat(bed, tap).run()
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
