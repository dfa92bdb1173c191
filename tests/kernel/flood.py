#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A flood of REGISTERs whose challenges pass: thousands of forged offers, from one address and from
many, with IMPIs of nobody and with that of a phone, from that phone's own address, and for its ports.
Meanwhile a registered phone has its traffic over UDP and TCP and registers again and again, and new
phones register and leave; none of it fails. Sets and memory stay bounded. TAP. About two minutes.

    SECAGREE_FLOOD   so many forged offers of each kind at least, 500 by default
"""

import itertools
import os
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import lab  # noqa: E402
import netns  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

MAX_SETS, PER_ADDRESS, PER_IMPI = 300, 60, 20
NUMBERS = itertools.count(1)
NEW_PHONE = "192.0.2.11"
NEWCOMER = {**lab.SUBSCRIBER, "impi": "001010000000002@ims.example",
            "impu": "sip:001010000000002@ims.example"}


def forged(impi=None, ue=None, port_s=None, port_c=None):
    number = next(NUMBERS)
    port_c = port_c or 20000 + number % 30000
    return {"impi": impi or f"nobody{number}@ims.example", "pcscf": lab.PCSCF_4,
            "ue": ue or f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;"
                               f"spi-c={1000000 + 2 * number};spi-s={1000001 + 2 * number};"
                               f"port-c={port_c};port-s={port_s or 10000 + number % 9000}",
            "ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}


class Flood(threading.Thread):
    """Offers as @make makes them, one after the other."""

    def __init__(self, bed, make):
        super().__init__(daemon=True)
        self.control = Control(bed.control_path)
        self.make = make
        self.wanted, self.sent, self.answers = True, 0, {}

    def run(self):
        while self.wanted:
            try:
                self.control.call("sa.offer", **self.make())
                answer = "made"
            except ControlError as why:
                answer = why.reason
            self.answers[answer] = self.answers.get(answer, 0) + 1
            self.sent += 1

    def end(self):
        self.wanted = False
        self.join()
        self.control.close()


class Test:
    def __init__(self, bed, tap, count):
        self.bed, self.tap, self.count = bed, tap, count
        self.control = Control(bed.control_path)
        self.most = self.sent = 0

    def sets(self):
        return self.control.call("daemon.status")["sets"]

    def memory_kib(self):
        with open(f"/proc/{self.bed.daemon.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

    def own(self):
        """The set that the phone has in use."""
        sets = self.control.call("sa.list", impi=lab.SUBSCRIBER["impi"], ue=lab.PHONE_4)["sets"]
        used = next(one for one in sets if one["state"] in ("new", "current"))
        return self.control.call("sa.show", set=used["set"])

    def registers(self, number):
        """A new phone, from the first REGISTER to the end."""
        phone = self.bed.start_phone(address=NEW_PHONE, subscriber=NEWCOMER)
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        mark = phone.say("deregister")
        self.bed.wait(phone.name, "deregistered", since=mark, unless=("failed",))
        phone.say("quit")
        return phone.end(how=None) == 0 and number

    def registers_again(self, phone):
        mark = phone.say("reregister")
        self.bed.wait(phone.name, "reregistered", since=mark)
        return True

    def has_traffic(self):
        return all(self.bed.front_end_options(transport)[1]["status"] == 200
                   for transport in ("udp", "tcp"))

    def under(self, name, phone, make, new_phone=True):
        """All that phones do, twice, while @make floods."""
        flood = Flood(self.bed, make)
        flood.start()
        done = []
        self.bed.until(lambda: flood.sent > self.count // 2, f"{name}: half of the flood")
        for number in (1, 2):
            done.append(self.has_traffic())
            done.append(self.registers_again(phone))
            done.append(self.has_traffic())
            if new_phone:
                done.append(self.registers(number))
            self.most = max(self.most, sum(self.sets().values()))
        self.bed.until(lambda: flood.sent > self.count, f"{name}: all of the flood")
        flood.end()
        self.sent += flood.sent
        self.most = max(self.most, sum(self.sets().values()))
        self.tap.ok(all(done), f"{name}: {flood.sent} forged offers, and phones notice nothing",
                    done, flood.answers)
        return flood.answers

    def yielded(self):
        text = self.bed.metrics()
        return {limit: int(text.split(f'secagreed_yielded_total{{limit="{limit}"}} ')[1].split()[0])
                for limit in ("sets", "address", "impi", "port")}

    def run(self):
        phone = self.bed.start_phone()
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        self.bed.front_end.say("challenge always")
        impi = lab.SUBSCRIBER["impi"]
        memory = self.memory_kib()
        self.under("from one address", phone, lambda: forged(ue="192.0.2.66"))
        here = len(self.control.call("sa.list", ue="192.0.2.66", limit=1000)["sets"])
        self.tap.ok(here == PER_ADDRESS, "one address has no more than its sets", here)
        self.under("from many addresses", phone, forged)
        self.under("with the phone's IMPI", phone, lambda: forged(impi))
        here = len(self.control.call("sa.list", impi=impi, limit=1000)["sets"])
        self.tap.ok(here <= PER_IMPI + 3, "one IMPI has no more than its sets", here)
        answers = self.under("with its IMPI, from its address", phone,
                             lambda: forged(impi, lab.PHONE_4))
        self.tap.ok(set(answers) <= {"made", "limit_contact"}, "which it may replace at most with "
                    "another forged one", answers)
        port_s = self.own()["phone"]["port_s"]
        self.under("for its ports", phone, lambda: forged(ue=lab.PHONE_4, port_s=port_s))
        yielded = self.yielded()
        self.tap.ok(all(yielded.values()), "sets yielded to each limit, and were counted", yielded)
        self.tap.ok(self.most <= MAX_SETS, "there were never more than max-sets", self.most)
        # SPIs that rest, and the events that are kept of each phone and set
        grown = (self.memory_kib() - memory) * 1024 / self.sent
        self.tap.ok(grown < 8192, f"{grown:.0f} bytes are left of a forged offer on average")
        report = self.control.call("daemon.audit")
        self.tap.ok(report["clean"], "an audit finds nothing", report)
        mark = phone.say("deregister")
        self.bed.wait(phone.name, "deregistered", since=mark, unless=("failed",))
        phone.say("quit")
        self.tap.ok(phone.end(how=None) == 0, "and the phone leaves")


class Bed(lab.Lab):
    def metrics(self):
        """Over the Unix socket of HTTP."""
        return netns.run("curl", "-s", "--unix-socket", self.http_path, "http://x/metrics")

    @property
    def http_path(self):
        return os.path.join(self.directory, "http.sock")


def main():
    tap = Tap()
    home = {"realm": lab.REALM, "subscribers": [lab.SUBSCRIBER, NEWCOMER]}
    with Bed([lab.listener("ims", lab.PCSCF_4)], home=home) as bed:
        bed.daemon_settings = {"max-sets": MAX_SETS, "max-sets-per-address": PER_ADDRESS,
                               "max-sets-per-impi": PER_IMPI,
                               "log-level": f'"notice"\nhttp {{ path = "{bed.http_path}" }}'}
        bed.make_hosts()
        netns.address(bed.phone_host, lab.DEVICE, [f"{NEW_PHONE}/24"])
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            Test(bed, tap, int(os.environ.get("SECAGREE_FLOOD", 500))).run()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
