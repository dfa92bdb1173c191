#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Keys that leave the daemon, and what Wireshark makes of them: phones register over every suite,
tshark decrypts the record of the wire with what secagreectl export-keys says, and checks each ICV.
And: who gets no keys, and that the daemon has none afterwards. TAP.

    wireshark.py [decoded] [not_decoded] [exported]   these parts; all unless said
"""

import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../kernel/lib"), os.path.join(HERE, "../demo")]

import control  # noqa: E402
import decode  # noqa: E402
import lab  # noqa: E402
import matrix  # noqa: E402
import memory  # noqa: E402
import sip  # noqa: E402
from tap import Tap  # noqa: E402
from variant import Variant  # noqa: E402

NOBODY = 65534

DECODED = (
    Variant("hmac-sha-1-96", "null"),
    Variant("hmac-sha-1-96", "aes-cbc", ipv6=True),
    Variant("null", "aes-gcm"),
    Variant("null", "aes-gcm", ipv6=True, transport="tcp"),
    Variant("hmac-md5-96", "null"),
    Variant("hmac-md5-96", "aes-cbc", transport="tcp"),
    Variant("hmac-sha-1-96", "des-ede3-cbc"),
    Variant("hmac-sha-1-96", "aes-cbc", mod="UDP-enc-tun"),
    Variant("hmac-sha-1-96", "aes-cbc", mod="tun", dialect="rfc3329"),
)
SAID = (
    (Variant("aes-gmac", "null"), "AES-GMAC"),
    (Variant("hmac-sha-1-96", "null", prot="ah", dialect="rfc3329"), "AH"),
)


class Registration:
    """What happened from the first REGISTER to the end of one phone."""

    def __init__(self, name):
        self.name = name
        self.spis = set()
        self.messages = set()  # of the front end at its protected ports, as in decode.Frame


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = control.Control(bed.control_path)
        self.keys = decode.Keys(bed)

    # ---- registrations ----

    def register(self, one):
        pcscf, phone = one.addresses
        phone = self.bed.start_phone(*one.phone_options(), address=phone, pcscf=pcscf)
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        return phone, mark

    def talk(self, phone, one):
        """One message each way over each transport; a phone of RFC 3329 has one pair of SAs."""
        for transport in ("udp", "tcp"):
            self.bed.front_end_options(transport)
            mark = phone.say(f"options {transport}")
            self.bed.wait(phone.name, "response", since=mark)

    def leave(self, phone):
        mark = phone.say("deregister")
        self.bed.wait(phone.name, "deregistered", since=mark)
        phone.say("quit")
        phone.end(how=None)

    def seen_since(self, mark, name):
        seen = Registration(name)
        for event in self.bed.messages(mark):
            if event["protected"]:
                message = sip.Message.parse(event["text"].encode())
                seen.messages.add((message.start, message.get("Call-ID"), message.get("CSeq")))
        for offered in self.bed.find("pcscf", "offered", mark):
            ends = (offered["agreement"][end] for end in ("phone", "pcscf"))
            seen.spis |= {end[name] for end in ends for name in ("spi", "spi_c", "spi_s")
                          if name in end}
        return seen

    def whole(self, one):
        """One phone from its REGISTER to its de-registration."""
        phone, mark = self.register(one)
        self.keys.collect()
        self.talk(phone, one)
        self.leave(phone)
        return self.seen_since(mark, str(one))

    # ---- what tshark says ----

    def check_decoded(self, seen, frames):
        ours = [frame for frame in frames if frame.spi in seen.spis]
        bad = [frame for frame in ours if frame.icv is not True]
        self.tap.ok(len(ours) >= 12 and not bad,
                    f"{seen.name}: every ICV is right", f"{len(ours)} packets", *bad[:5])
        found = {message for frame in ours for message in frame.sip}
        self.tap.ok(found == seen.messages and len(found) >= 12,
                    f"{seen.name}: every protected message is read inside of ESP",
                    f"only on the wire: {sorted(found - seen.messages)}",
                    f"only at the front end: {sorted(seen.messages - found)}")

    def check_clear(self, frames):
        clear = [start for frame in frames if frame.spi is None for start, _, _ in frame.sip]
        wanted = {f"REGISTER sip:{lab.REALM} SIP/2.0", "SIP/2.0 401 Unauthorized"}
        self.tap.ok(set(clear) == wanted,
                    "outside of ESP there is nothing of SIP but first REGISTERs and their 401s",
                    *sorted(set(clear)))

    def decoded(self):
        registrations = [self.whole(one) for one in DECODED]
        paths = [file.path for file in self.bed.capture.files]
        self.bed.capture.take()  # so that all is written
        begin = time.monotonic()
        frames = decode.decode(paths, self.keys, self.ports())
        print(f"# tshark: {time.monotonic() - begin:.0f} s", flush=True)
        for seen in registrations:
            self.check_decoded(seen, frames)
        self.check_clear(frames)
        self.tap.ok(not self.keys.said, "Wireshark has a name for each of these", *self.keys.said)

    def ports(self):
        return {port for one in self.bed.listeners
                for port in (one["server_port"], *one["client_ports"])}

    def said(self, one, word):
        phone, _ = self.register(one)
        keys = decode.Keys(self.bed)
        keys.collect("--impi", lab.SUBSCRIBER["impi"])
        self.tap.ok(not keys.lines and len(keys.said) == one.sa_count
                    and all(word in line for line in keys.said),
                    f"{one}: what Wireshark cannot do is said", *keys.lines, *keys.said)
        self.leave(phone)

    # ---- who gets keys, and who has them ----

    def kernel_keys(self):
        """As ip(8) shows them."""
        return set(re.findall(r"\b0x([0-9a-f]{32,})\b",
                              self.bed.pcscf_host.ip("xfrm", "state")))

    def exported(self):
        """One living set: the keys are the kernel's, and root had them."""
        phone, _ = self.register(Variant("hmac-sha-1-96", "aes-cbc"))
        keys = self.kernel_keys()
        mark = self.control.call("event.list")["last"]
        sets = self.control.call("sa.export_keys")["sets"]
        sas = sets[0]["sas"]
        found = {sa[part]["key"] for sa in sas for part in ("encryption", "authentication")}
        self.tap.ok(len(sets) == 1 and len(sas) == 4 and found == keys and len(keys) == 2,
                    "the keys are those that the kernel has", sets[0]["impi"], len(sas))
        events = self.control.call("event.list", since=mark)["events"]
        wanted = {"event": "keys-exported", "set": sets[0]["set"], "impi": sets[0]["impi"],
                  "uid": 0, "pid": os.getpid()}
        self.tap.ok(len(events) == 1 and wanted.items() <= events[0].items(),
                    "an event says who had them", events)
        self.others_get_nothing()
        self.nothing_stays(keys)
        self.leave(phone)

    def others_get_nothing(self):
        os.chmod(self.bed.directory, 0o755)
        os.chmod(self.bed.control_path, 0o666)
        done = subprocess.run(
            [os.path.join(lab.BUILD, "secagreectl"), "--socket", self.bed.control_path,
             "export-keys"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
            text=True, check=False)
        self.tap.ok(done.returncode == 1 and not done.stdout and "(denied)" in done.stderr
                    and f"uid {NOBODY}" in done.stderr,
                    "another user who may use the socket gets none", done.stdout, done.stderr)

    def nothing_stays(self, keys):
        """In the daemon's memory, as text or as bytes; nor in its log."""
        held = b"".join(data for _, data in memory.of_process(self.bed.daemon.pid))
        self.tap.ok(lab.SUBSCRIBER["impi"].encode() in held, "the daemon's memory can be searched")
        left = [f"{kind} at {held.find(needle)}" for key in keys
                for kind, needle in (("text", key.encode()), ("bytes", bytes.fromhex(key)))
                if needle in held]
        self.tap.ok(keys and not left, "no key is left in the daemon's memory", *left)
        log = self.bed.daemon.errors()
        self.tap.ok("event=keys-exported" in log and not any(key in log for key in keys),
                    "the log says that keys were exported, and none of them")

    def not_decoded(self):
        for one, word in SAID:
            self.said(one, word)

    def run(self, parts):
        for part in (self.decoded, self.not_decoded, self.exported):
            if not parts or part.__name__ in parts:
                begin = time.monotonic()
                part()
                print(f"# {part.__name__}: {time.monotonic() - begin:.0f} s", flush=True)


def main():
    tap = Tap()
    everything = {"algorithms": matrix.EVERY_ALGORITHM, "protocols": ("esp", "ah"),
                  "modes": ("trans", "tun", "UDP-enc-tun")}
    listeners = [lab.listener("ims", lab.PCSCF_4, **everything),
                 lab.listener("ims6", lab.PCSCF_6, **everything)]
    with lab.Lab(listeners) as bed:
        bed.daemon_settings["allow-key-export"] = "on"
        bed.make_hosts()
        bed.start_capture()
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            Test(bed, tap).run(sys.argv[1:])
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
