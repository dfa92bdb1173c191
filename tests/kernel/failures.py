#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fifteen ways in which a phone, a home network or a machine goes wrong, each made with a real
daemon, real phones and a real kernel: `secagreectl explain` or `doctor` names the cause. TAP.

Modules are taken out of a virtual machine's kernel only. No SPI is free when the daemon's random
numbers, from a library in front of libc's, are always the same: 2^32 SPIs cannot be used up.

    failures.py                          the test
    failures.py --front-end CONFIG.json  the front end, which the test starts
"""

import contextlib
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../demo")]

import aka  # noqa: E402
import doctor  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import nat  # noqa: E402
import sip  # noqa: E402
import sip_flow  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

SUBSCRIBERS = 12
SERVER, CLIENTS = 6100, range(6104, 6112)
REG_AWAIT_AUTH_S = 15
LIMIT_S = 40
LEGACY = "hmac-md5-96/des-ede3-cbc,hmac-md5-96/null"
ALGORITHMS = ("null/aes-gcm", "hmac-sha-1-96/aes-cbc", "hmac-sha-1-96/des-ede3-cbc")
SAME_NUMBERS = """
#include <string.h>
#include <sys/random.h>
ssize_t getrandom(void *to, size_t bytes, unsigned flags)
{
	(void)flags;
	memset(to, 0x5a, bytes);
	return (ssize_t)bytes;
}
"""


def subscriber(number):
    impi = f"0010100000000{number:02}@ims.example"
    return {**lab.SUBSCRIBER, "impi": impi, "impu": f"sip:{impi}"}


# ---- the front end: its home network can go wrong ----

class FrontEnd(sip_flow.FrontEnd):
    spoil = "nothing"

    def command(self, word, *arguments):
        if word == "spoil":
            self.spoil = arguments[0]
        else:
            super().command(word, *arguments)

    def serve(self, request):
        response = super().serve(request)
        if response and response.status == 401 and self.spoil != "nothing":
            name = sip.parse_digest(request.get("Authorization"))["username"]
            challenge = sip.parse_digest(response.get("WWW-Authenticate"))
            del challenge["ck"], challenge["ik"]
            if self.spoil == "other":
                one = self.home.subscribers[name]
                vector = aka.Vector(one.milenage, one.sqn - 32, one.amf)
                challenge.update(ck=vector.ck.hex(), ik=vector.ik.hex())
            response.replace("WWW-Authenticate", sip.format_digest(challenge))
        return response


class Bed(nat.Bed):
    FRONT_END = os.path.abspath(__file__), "--front-end"

    def start_phone_of(self, number, *options, host=None, address=nat.PUBLIC):
        self.phone_host = host or self.nat
        return self.start_phone("--t1", "500", "--timeout", "30", *options, address=address,
                                subscriber=subscriber(number))


# ---- the test ----

class Failures:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.doctor = doctor.Test(bed, tap)

    # ---- asking ----

    def explain(self, who, *options):
        done = subprocess.run([os.path.join(lab.BUILD, "secagreectl"), "--socket",
                               self.bed.control_path, *options, "explain", who],
                              capture_output=True, text=True, timeout=100, check=False)
        if done.returncode not in (0, 3) or done.stderr:
            raise lab.Failure(f"explain: {done.returncode} {done.stdout} {done.stderr}")
        return done.stdout

    def named(self, name, who, cause, *words):
        """@cause comes to be likely, and its text has @words. Returns the whole answer."""
        answer = {}

        def is_named():
            answer.update(json.loads(self.explain(who, "--json")))
            return any(one["cause"] == cause and all(word in one["text"] for word in words)
                       for one in answer["likely"])
        try:
            self.bed.until(is_named, f"{cause} is named", LIMIT_S)
            found = True
        except lab.Failure:
            found = False
        self.tap.ok(found, f"{name}: explain says {cause}", words,
                    *answer.get("likely", ()), *answer.get("events", ())[:6])
        return answer

    @contextlib.contextmanager
    def phone(self, number, *options, **where):
        """One that tries to register."""
        phone = self.bed.start_phone_of(number, *options, **where)
        phone.mark = phone.say("register")
        yield phone
        self.leave(phone)

    @contextlib.contextmanager
    def failed_phone(self, number, *options, **where):
        with self.phone(number, *options, **where) as phone:
            self.bed.wait(phone.name, "failed", since=phone.mark)
            yield phone

    def leave(self, phone):
        """At once, also in the middle of a registration: asked twice it waits for nobody."""
        phone.say("quit")
        phone.end()

    def nothing_left(self):
        self.bed.until(lambda: kernel.sa_count(self.bed.pcscf_host) == 0, "all SAs are gone",
                       REG_AWAIT_AUTH_S + LIMIT_S)

    @staticmethod
    def who(number):
        return subscriber(number)["impi"]

    # ---- what phones and home networks do ----

    def offers(self):
        with self.failed_phone(1, "--offer", LEGACY):
            answer = self.named("only legacy algorithms offered", self.who(1),
                                "no_common_algorithm", "nothing that Security-Client offers")
        offer = next(one for one in answer["events"] if one["event"] == "offer")
        self.tap.ok("hmac-md5-96" in offer["security_client"]
                    and offer["considered"].count("not_supported") == 2,
                    "with the header as it came, and why each offer will not do", offer)

    def headers(self):
        with self.failed_phone(2, "--fault", "wrong-verify"):
            self.named("Security-Verify differs in one port", self.who(2), "verify_differs",
                       "port")
        with self.failed_phone(3, "--fault", "wrong-client"):
            answer = self.named("Security-Client changed", self.who(3), "client_differs", "spi-c")
        told = self.explain(answer["events"][0]["set"])
        self.tap.ok("Likely, the likeliest first:\n  client_differs: " in told
                    and "What happened, newest first:\n" in told and "403 Forbidden" in told,
                    "in words, found by the set, with the reply that the phone got", told)

    def keys(self):
        self.bed.front_end.say("spoil missing")
        with self.failed_phone(4):
            answer = self.named("ck and ik missing in the 401", self.who(4), "keys_missing",
                                "ck or ik")
            self.tap.ok({"offer", "sip-refused"} == {one["event"] for one in answer["events"]},
                        "with what the phone had offered", answer["events"])
        self.bed.front_end.say("spoil other")
        with self.phone(5):
            self.named("keys of another challenge", self.who(5), "keys_differ",
                       "fails the integrity check")
        self.bed.front_end.say("spoil nothing")

    def wrong_port(self):
        with self.phone(6, "--fault", "wrong-port"):
            self.named("the phone sends from a wrong source port", self.who(6), "wrong_flow",
                       "XfrmInStateMismatch", "from another port than the agreed")

    def behind_nat(self):
        self.bed.map_ports({})
        with self.phone(7, "--mod", "trans", host=self.bed.homes[1], address="10.0.1.2"):
            answer = self.named("a phone behind a NAT without UDP-enc-tun", self.who(7),
                                "nat_without_udp_enc_tun")
        self.bed.in_nat("nft", "delete table ip nat")  # the other phones are not behind it
        self.bed.in_nat("conntrack", "-F")
        self.tap.ok(answer["ue"] == nat.PUBLIC and answer["events"][0]["reply"] == "none",
                    "it is known by its public address, and got no answer", answer["events"][:2])

    def timed_out(self):
        """Its ESP goes elsewhere."""
        self.bed.in_nat("nft", "add table ip lost; add chain ip lost out { type filter hook "
                               "postrouting priority 0; }; add rule ip lost out meta l4proto esp "
                               "drop")
        with self.phone(8):
            answer = self.named("no ESP comes", self.who(8), "nothing_arrives",
                                "no ESP has arrived on spi", "since the 401 went out")
            set_id = answer["likely"][0]["set"]
            self.named("a temporary set timed out", set_id, "nothing_arrives",
                       "no ESP arrived on spi", "that the phone had to answer")
        self.bed.in_nat("nft", "delete table ip lost")

    def deleted(self):
        phone = self.bed.start_phone_of(9)
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        answer = json.loads(self.explain(self.who(9), "--json"))
        self.tap.ok(answer["likely"] == [] and len(answer["sets"]) == 1
                    and all(sa["packets"] for sa in answer["sets"][0]["sas"] if sa["direction"] ==
                            "in" and sa["dport"] == SERVER),
                    "a phone that registered: no cause, and its packets are counted",
                    answer["likely"], answer["sets"])
        victim = next(sa for sa in answer["sets"][0]["sas"] if sa["direction"] == "out")
        self.bed.pcscf_host.ip("xfrm", "state", "delete", "src", victim["src"], "dst",
                               victim["dst"], "proto", "esp", "spi", str(victim["spi"]))
        self.named("an SA deleted by someone else", self.who(9), "deleted_by_another",
                   f"spi {victim['spi']}")
        Control(self.bed.control_path).call("daemon.audit")
        self.named("and when the audit has found it", self.who(9), "deleted_by_another",
                   "before its end")
        self.leave(phone)

    def no_spi(self):
        """With a daemon of its own."""
        directory = self.bed.directory
        source, library, daemon = (os.path.join(directory, name) for name in
                                   ("same.c", "same.so", "daemon"))
        with open(source, "w", encoding="ascii") as file:
            file.write(SAME_NUMBERS)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        with open(daemon, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nLD_PRELOAD={library} exec {lab.BUILD}/secagreed "$@"\n')
        os.chmod(daemon, 0o755)
        self.bed.daemon.end()
        self.bed.flush()
        self.bed.start_daemon(daemon)
        with self.failed_phone(10):
            self.named("no SPI is free", self.who(10), "spi_exhausted", "no free SPI was found")
        self.bed.daemon.end()
        self.bed.flush()
        self.bed.start_daemon()

    # ---- what machines do ----

    def foreign_policy(self):
        with self.doctor.policy("src", "0.0.0.0/0", "dst", f"{lab.PCSCF_4}/32", "dport",
                                str(SERVER), "proto", "udp", "dir", "in", "priority", "10"):
            self.doctor.named("a foreign policy shadows port_ps: doctor says so", "policies",
                              "fail", f"port {SERVER}", "priority 10")

    def in_the_kernel(self):
        """Takes what the daemon works with from under it."""
        names = ("an algorithm missing in the kernel", "no ESP in the kernel")
        with open("/proc/sys/kernel/hostname", encoding="ascii") as file:
            if file.read() != "secagree-vm\n":
                for name in names:
                    self.tap.ok(True, f"{name} # SKIP only in a virtual machine")
                return
        with open(doctor.MODPROBE, encoding="ascii") as file:
            modprobe = file.read().strip()
        self.nothing_left()
        try:
            self.load_modules_with("/bin/false")
            self.doctor.unload("des3_ede_x86_64", "des_generic")
            with self.failed_phone(11, "--offer", "hmac-sha-1-96/des-ede3-cbc"):
                self.named(names[0], self.who(11), "algorithm_missing")
            self.doctor.named(f"{names[0]}: doctor says so", "algorithms", "fail",
                              "hmac-sha-1-96 with des-ede3-cbc")
            self.doctor.unload("esp4")
            with self.failed_phone(12):
                self.named(names[1], self.who(12), "esp_missing", "EPROTONOSUPPORT")
            self.doctor.named(f"{names[1]}: doctor says so", "algorithms", "fail",
                              "no ESP for IPv4")
        finally:
            self.load_modules_with(modprobe)

    @staticmethod
    def load_modules_with(program):
        with open(doctor.MODPROBE, "w", encoding="ascii") as file:
            file.write(program)

    def deaf(self):
        """A SIP server that has forgotten one port; here the test is the server."""
        self.bed.front_end.say("quit")
        self.bed.front_end.end(how=None)
        for port in (SERVER, *CLIENTS):
            for kind in (doctor.UDP, doctor.TCP):
                if (kind, port) != (doctor.UDP, CLIENTS[2]):
                    self.doctor.listen(kind, port)
        self.doctor.named("the SIP server does not listen on a port_pc: doctor says so", "ports",
                          "fail", f"UDP {lab.PCSCF_4} port {CLIENTS[2]}")

    def powerless(self):
        self.tap.ok(self.bed.daemon.end() == 0, "the daemon stops cleanly",
                    self.bed.daemon.errors()[-1000:])
        with self.bed.pcscf_host.inside():
            daemon = subprocess.run([*doctor.WITHOUT_NET_ADMIN,
                                     os.path.join(lab.BUILD, "secagreed"), "--foreground",
                                     "--config", self.doctor.config],
                                    capture_output=True, text=True, timeout=100, check=False)
        self.tap.ok(daemon.returncode == 1 and "no CAP_NET_ADMIN" in daemon.stderr,
                    "without CAP_NET_ADMIN the daemon does not start, and says why", daemon.stderr)
        self.doctor.named("no CAP_NET_ADMIN: doctor says so", "capability", "fail",
                          "no CAP_NET_ADMIN", found=self.doctor.doctor(*doctor.WITHOUT_NET_ADMIN))

    def run(self):
        for part in (self.foreign_policy, self.offers, self.headers, self.keys, self.wrong_port,
                     self.behind_nat, self.timed_out, self.deleted, self.no_spi,
                     self.in_the_kernel, self.deaf, self.powerless):
            part()


def test():
    tap = Tap()
    home = {"realm": lab.REALM,
            "subscribers": [subscriber(number) for number in range(1, SUBSCRIBERS + 1)]}
    listener = lab.listener("ims", lab.PCSCF_4, client_ports=(CLIENTS[0], CLIENTS[-1]),
                            reg_await_auth=REG_AWAIT_AUTH_S, algorithms=ALGORITHMS)
    with Bed([listener], home=home) as bed:
        bed.may_happen = ("failed",)
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            Failures(bed, tap).run()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(sip_flow.main(FrontEnd, test))
