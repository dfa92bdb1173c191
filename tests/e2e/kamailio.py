#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Calls between two phones through Kamailio as P-CSCF, with the configuration that is shipped: all
that the phones and the core send is real, and so are the SAs. Through all of it an IKE daemon
beside them, strongSwan's charon, keeps SAs of its own. TAP.

    phone a -- wire-a --+                              +-- core0 -- core.py
                        +-- Kamailio, secagreed, charon
    phone b -- wire-b --+                              +-- peer0 -- charon

    kamailio.py [cfg|lua] ...   these variants of the configuration; both unless said
"""

import json
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import charon  # noqa: E402
import decode  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import netns  # noqa: E402
import sip  # noqa: E402
import wire  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

CONF = os.path.join(lab.ROOT, "conf/kamailio")
GM, MW, CORE = "192.0.2.1", "203.0.113.1", "203.0.113.2"
PHONES = {"a": ("192.0.2.10", "192.0.2.1"), "b": ("198.51.100.10", "198.51.100.1")}
MW_PORT, PORT_PS = 5070, 6100
OLD_SET_S = 6
RING_S = 4
WORKERS = 8  # of Kamailio, with children=1: one for each UDP socket, one for TCP

# What must be found inside of ESP on each wire.
SAID = {"REGISTER", "MESSAGE", "INVITE", "ACK", "BYE", "CANCEL", "180", "200", "487"}

# TS 35.208 test sets 1 and 2
SUBSCRIBERS = {
    "a": lab.SUBSCRIBER,
    "b": {"impi": "001010000000002@ims.example", "impu": "sip:bob@ims.example",
          "k": "0396eb317b6d1c36f19c1c84cd6ffd16", "opc": "53c15671c60a4b731c55b4a441c0bde2",
          "amf": "8000", "sqn": 1024}}


class Bed(charon.Neighbour, lab.Lab):
    echo_every_s = 0.5

    def __init__(self, variant):
        super().__init__([lab.listener("ims", GM, old_set_time=OLD_SET_S,
                                       encap_port=charon.ENCAP_PORT)])
        self.variant = variant
        self.captures = {}
        self.phones = {}

    def make_hosts(self):
        unique = f"secagree-{os.getpid()}"
        self.pcscf_host = self._host(f"{unique}-pcscf")
        self.core_host = self._host(f"{unique}-core")
        netns.join(self.pcscf_host, self.core_host, "core0")
        netns.address(self.pcscf_host, "core0", [f"{MW}/24"])
        netns.address(self.core_host, "core0", [f"{CORE}/24"])
        self.make_peer()
        self.phone_hosts = {}
        for name, (phone, gateway) in PHONES.items():
            host = self.phone_hosts[name] = self._host(f"{unique}-{name}")
            netns.join(self.pcscf_host, host, f"wire-{name}")
            netns.address(self.pcscf_host, f"wire-{name}", [f"{gateway}/24"])
            netns.address(host, f"wire-{name}", [f"{phone}/24"])
            host.ip_batch([f"route add default via {gateway}"])
            self.captures[name] = wire.Capture((self.pcscf_host, host), f"wire-{name}",
                                               self.directory_for(name))
            self.stack.callback(self.captures[name].stop)

    def directory_for(self, name):
        path = os.path.join(self.directory, name)
        os.mkdir(path)
        return path

    def start_core(self, subscribers=tuple(SUBSCRIBERS.values())):
        path = os.path.join(self.directory, "core.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"place": [CORE, 5060], "realm": lab.REALM,
                       "subscribers": list(subscribers)}, file)
        self.core = self._start("core", [sys.executable, os.path.join(HERE, "lib/core.py"), path],
                                self.core_host, json.loads)
        self.wait("core", "ready")

    def start_kamailio(self):
        """The shipped files, with this network's values in the settings."""
        copy = os.path.join(self.directory, "conf")
        shutil.copytree(CONF, copy)
        path = os.path.join(copy, "kamailio.cfg")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for setting, value in {"GM_ADDRESS": GM, "MW_ADDRESS": MW,
                               "HOME_URI": f"sip:{CORE}:5060",
                               "SECAGREED_SOCKET": self.control_path}.items():
            text, count = re.subn(f'^(#!substdef "!{setting})![^!]*!', rf"\1!{value}!", text,
                                  flags=re.M)
            if count != 1:
                raise lab.Failure(f"kamailio.cfg does not set {setting} once")
        text = text.replace("children=2", "children=1")  # an emulated machine starts them slowly
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if self.variant == "lua":
            path = os.path.join(copy, "kamailio-lua.cfg")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace('"/etc/kamailio/', f'"{copy}/'))
        self.kamailio = self._start(
            "kamailio", ["kamailio", "-DD", "-E", "-m", "32", "-M", "8", "-f", path],
            self.pcscf_host, lab.plain)
        self.until(self._kamailio_listens, "Kamailio has its connections to the daemon", 120)

    def _kamailio_listens(self):
        if self.kamailio.process.poll() is not None:
            raise lab.Failure(f"kamailio ended:\n{self.kamailio.errors()[-3000:]}")
        with open(f"/proc/{self.kamailio.pid}/net/unix", encoding="ascii") as file:
            return file.read().count(self.control_path) > WORKERS

    def complaints(self):
        """Of Kamailio, but that connections were reset: so they are when their SAs go."""
        return [line for line in self.kamailio.errors().splitlines()
                if "ERROR" in line and "tcp_read" not in line]

    def start_phone_of(self, name, *options):
        """secagree-ue of subscriber @name, in its namespace."""
        self.phone_host = self.phone_hosts[name]
        self.phones[name] = super().start_phone(*options, address=PHONES[name][0], pcscf=GM,
                                                subscriber=SUBSCRIBERS[name])
        return self.phones[name]


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = Control(bed.control_path)
        self.keys = decode.Keys(bed)

    def sets(self):
        return sorted(one["state"] for one in self.control.call("sa.list")["sets"])

    def phone(self, name):
        return self.bed.phones[name]

    def does(self, name, command, event, **fields):
        """Returns where its events begin."""
        mark = self.phone(name).say(command)
        self.bed.wait(self.phone(name).name, event, since=mark, **fields)
        return mark

    def sees(self, mark, name, event, **fields):
        return self.bed.wait(self.phone(name).name, event, since=mark, **fields)

    # ---- what happens ----

    def start(self, transport):
        for name in PHONES:
            phone = self.bed.start_phone_of(name, "--transport", transport, "--ring", str(RING_S))
            mark = phone.say("register")
            self.bed.wait(phone.name, "registered", since=mark)
        self.tap.ok(self.sets() == ["current", "current"]
                    and len(charon.ours(self.bed.pcscf_host)) == 8,
                    f"{self.what}: both phones register; two sets, eight SAs", self.sets())
        self.keys.collect()

    def message(self, sender, receiver):
        mark = self.does(sender, f"message {SUBSCRIBERS[receiver]['impu']} good evening",
                         "response", method="MESSAGE", status="200")
        got = self.sees(mark, receiver, "message")
        request = self.sees(mark, receiver, "request", method="MESSAGE")
        self.tap.ok(got["text"] == "good evening" and request["transport"] == self.transport,
                    f"{self.what}: MESSAGE from {sender} to {receiver}", got, request)

    def call(self):
        mark = self.does("a", f"call {SUBSCRIBERS['b']['impu']}", "call", state="confirmed")
        self.sees(mark, "b", "call", state="confirmed")
        states = [[event["state"] for event in self.bed.find(self.phone(name).name, "call", mark)]
                  for name in PHONES]
        self.tap.ok(states == [["calling", "ringing", "confirmed"],
                               ["ringing", "answered", "confirmed"]],
                    f"{self.what}: INVITE, 180, 200, ACK", states)

    def call_in_vain(self):
        mark = self.does("a", f"call {SUBSCRIBERS['b']['impu']}", "call", state="ringing")
        self.does("a", "hangup", "call", state="ended", reason="487")
        self.sees(mark, "b", "call", state="ended", reason="cancelled")
        self.tap.ok(True, f"{self.what}: INVITE, 180, CANCEL, 487")

    def hang_up(self):
        mark = self.does("a", "hangup", "call", state="ended", reason="bye")
        self.sees(mark, "b", "call", state="ended", reason="bye")
        answer = self.bed.find(self.phone("a").name, "response", mark, method="BYE")
        self.tap.ok(answer[-1]["status"] == "200", f"{self.what}: BYE", answer)

    def renew(self):
        for name in PHONES:
            self.does(name, "reregister", "reregistered")
        self.tap.ok(self.sets() == ["new", "new", "old", "old"],
                    f"{self.what}: both register again during the call, over new SAs", self.sets())
        self.keys.collect()

    def leave(self):
        for name in PHONES:
            self.does(name, "deregister", "deregistered")
        self.bed.until(lambda: not self.sets() and not charon.ours(self.bed.pcscf_host),
                       "all SAs are gone", OLD_SET_S + 60)
        for name in PHONES:
            self.phone(name).say("quit")
            self.phone(name).end(how=None)
        self.tap.ok(True, f"{self.what}: both leave, and all SAs go")

    # ---- what must be so ----

    def wire_is_protected(self):
        """All that may be read on the wire is the first REGISTER and its 401."""
        for name, capture in self.bed.captures.items():
            packets = capture.take()
            clear = [packet for packet in packets if packet.is_clear_data]
            esp = sum(packet.kind == "ESP" for packet in packets)
            bare = [packet for packet in packets
                    if packet.kind in ("TCP", "UDP") and 5060 not in (packet.sport, packet.dport)]
            starts = [packet.payload.split(b"\r\n")[0] for packet in clear]
            self.tap.ok(esp > 20 and not bare and clear and all(
                start.startswith((b"REGISTER ", b"SIP/2.0 401 ")) for start in starts)
                and not any(b"Security-Verify" in packet.payload for packet in clear),
                f"{self.what}: on the wire of {name} all but the first REGISTER and its 401 is ESP",
                esp, *map(str, bare), *starts)

    def wire_is_decoded(self):
        """tshark checks every packet and reads every message, with the keys that were exported."""
        for name, capture in self.bed.captures.items():
            listener = self.bed.listeners[0]
            frames = decode.decode([file.path for file in capture.files], self.keys,
                                   {listener["server_port"], *listener["client_ports"]})
            inside = [frame for frame in frames if frame.spi is not None]
            bad = [frame for frame in inside if frame.icv is not True]
            self.tap.ok(len(inside) > 40 and not bad,
                        f"{self.bed.variant}: on the wire of {name} every ICV is right",
                        len(inside), *bad[:5])
            said = {start.split()[start.startswith("SIP/")] for frame in inside
                    for start, _, _ in frame.sip}
            clear = {start.split()[start.startswith("SIP/")] for frame in frames
                     if frame.spi is None for start, _, _ in frame.sip}
            self.tap.ok(SAID <= said and clear == {"REGISTER", "401"},
                        f"{self.bed.variant}: on the wire of {name} all that was said is in ESP",
                        sorted(said), sorted(clear))
            self.ways_back(name, inside)

    def ways_back(self, name, frames):
        """The phone answers, and keeps its dialogs, to port_ps."""
        requests = [frame for frame in frames if frame.src == GM and frame.sip
                    and not frame.sip[0][0].startswith("SIP/")]
        wrong = [frame for frame in requests if frame.vias[0] != PORT_PS
                 or "INVITE " in frame.sip[0][0] and frame.record_routes[:2] != [PORT_PS, MW_PORT]]
        self.tap.ok(len(requests) >= 4 and not wrong,
                    f"{self.bed.variant}: requests to {name} have port_ps in Via and Record-Route",
                    len(requests), *((frame, frame.vias, frame.record_routes) for frame in wrong))

    def core_sees_nothing_of_it(self, mark):
        texts = dict.fromkeys(event["text"] for event in self.bed.find("core", "message", mark,
                                                                       dir="in"))
        requests = [message for message in (sip.Message.parse(text.encode()) for text in texts)
                    if message.is_request]
        headers = {f"{name}: {value}" for one in requests for name, value in one.headers}
        ours = [header for header in headers if header.startswith("Security-")
                or re.match(r"(Proxy-)?Require: .*sec-agree", header)]
        self.tap.ok(requests and not ours,
                    f"{self.what}: the core sees nothing of the agreement", *ours)
        registers = [one for one in requests if one.method == "REGISTER"]
        self.tap.ok(all(f"<sip:{MW}:{MW_PORT};lr>" in one.get("Path")
                        and (one.cseq[0] > 1) == ('integrity-protected="yes"'
                                                  in one.get("Authorization"))
                        for one in registers),
                    f"{self.what}: REGISTER has Path, and says whether it was protected",
                    *(one.to_bytes().decode() for one in registers))
        ways = [re.findall(r"<sip:([^;>]*)", ",".join(one.all("Record-Route")))
                for one in requests if one.method == "INVITE"]
        self.tap.ok(ways and all(way == [f"{MW}:{MW_PORT}", f"{GM}:{PORT_PS}"] for way in ways),
                    f"{self.what}: in Record-Route there are both sides, the core's above", *ways)
        first = [one for one in requests if one.method in ("INVITE", "MESSAGE")]
        self.tap.ok(first and all(one.get("P-Asserted-Identity")[1:-1] in one.get("From")
                                  and "orig@" in one.get("Route") for one in first),
                    f"{self.what}: requests say who asks, and take the Service-Route",
                    *(one.to_bytes().decode() for one in first))

    def run(self, transport):
        self.transport = transport
        self.what = f"{self.bed.variant}, {transport}"
        mark = len(self.bed.events)
        self.start(transport)
        self.message("a", "b")
        self.message("b", "a")
        self.call_in_vain()
        self.call()
        self.renew()
        self.message("b", "a")
        self.hang_up()
        self.leave()
        self.wire_is_protected()
        self.core_sees_nothing_of_it(mark)


def run_variant(variant, tap):
    with Bed(variant) as bed:
        bed.daemon_settings["allow-key-export"] = "on"
        bed.make_hosts()
        bed.start_charons()
        watch = charon.Watch(bed, tap)
        bed.start_daemon()
        bed.start_core()
        try:
            bed.start_kamailio()
            test = Test(bed, tap)
            for transport in ("udp", "tcp"):
                test.run(transport)
                watch.same(f"{variant}, {transport}")
            test.wire_is_decoded()
            watch.alive()
        except (lab.Failure, OSError, LookupError) as error:
            tap.ok(False, f"{variant}: the test runs to its end", error,
                   *[lab.line_of(event)[:300] for event in bed.events
                     if event["who"] != "echo"][-20:],
                   bed.kamailio.errors()[-3000:], bed.daemon.errors()[-2000:],
                   {name: value for name, value in kernel.counters(bed.kamailio.pid).items()
                    if value})
        status, complaints = bed.kamailio.end(), bed.complaints()
        tap.ok(status == 0 and not complaints,
               f"{variant}: Kamailio has no complaint, and stops cleanly", status, *complaints)
        tap.ok(bed.daemon.end() == 0, f"{variant}: the daemon stops cleanly",
               bed.daemon.errors()[-1000:])


def main():
    tap = Tap()
    for variant in sys.argv[1:] or ("cfg", "lua"):
        run_variant(variant, tap)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
