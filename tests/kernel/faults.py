#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Phones that do one thing wrong, on a real kernel: each gets the right answer or none, the right
error counter of the kernel moves, no set outlives it, and the next phone registers as ever. TAP.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
import sip  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

REG_AWAIT_AUTH_S = 15

# What a phone of secagree-ue --fault does wrong: the status that it gets for it.
REFUSED = {
    "no-sec-agree": 421, "no-verify": 403, "wrong-verify": 403, "no-client": 403,
    "wrong-client": 403, "wrong-impi": 403, "wrong-res": 403,
}
# The kernel drops what these send: the counter that moves.
DROPPED = {
    "wrong-port": "XfrmInStateMismatch", "wrong-key": "XfrmInStateProtoError",
    "clear-answer": "XfrmInTmplMismatch",
}


def subscriber(number):
    impi = f"00101000000000{number:01}@ims.example"
    return {**lab.SUBSCRIBER, "impi": impi, "impu": f"sip:{impi}"}


class Faults:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = Control(bed.control_path)

    def phone(self, who, *options):
        return self.bed.start_phone(*options, subscriber=subscriber(who))

    def statuses(self, mark):
        """Of the final responses that the phones got since @mark."""
        return [sip.Message.parse(event["text"].encode()).status
                for event in self.bed.messages(mark, "sent")]

    def leave(self, phone):
        phone.say("quit")
        phone.end(how=None)

    def nothing_left(self):
        def gone():
            return (kernel.sa_count(self.bed.pcscf_host) == 0
                    and self.control.call("sa.list")["total"] == 0)
        try:
            self.bed.until(gone, "all sets are gone", REG_AWAIT_AUTH_S + 30)
        except lab.Failure:
            return False
        return True

    def refused(self, fault, status):
        phone = self.phone(1, "--fault", fault)
        mark = phone.say("register")
        failed = self.bed.wait(phone.name, "failed", since=mark)
        got = self.statuses(mark)
        self.leave(phone)
        self.tap.ok(got[-1:] == [status] and 200 not in got and self.nothing_left(),
                    f"{fault}: {status}, and its set goes", f"got {got}", failed)

    def dropped(self, faults):
        """All at once, since their sets end by the timer."""
        phones = []
        for who, (fault, counter) in enumerate(faults.items(), 2):
            before = self.bed.xfrm_counters()[counter]
            phone = self.phone(who, "--fault", fault, "--clear-port", "0", "--timeout", "6")
            phones.append(phone)
            mark = phone.say("register")
            self.bed.wait(phone.name, "failed", since=mark)
            moved = self.bed.xfrm_counters()[counter] - before
            self.tap.ok(moved > 0 and 200 not in self.statuses(mark),
                        f"{fault}: no answer, {counter} moves", self.statuses(mark), moved)
        sets = self.control.call("sa.list")["sets"]
        self.tap.ok(all(one["state"] == "temporary" for one in sets),
                    "their sets are still temporary", sets)
        self.tap.ok(self.nothing_left(), "and end by themselves after reg-await-auth")
        for phone in phones:
            self.leave(phone)

    def sync_failure(self):
        phone = self.phone(1, "--fault", "sync-failure", "--sqn", "000001000000")
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        got = self.statuses(mark)
        self.leave(phone)
        self.tap.ok(got[:3] == [401, 401, 200] and self.nothing_left(),
                    "sync-failure: a second challenge with the phone's SQN, then 200", got)

    def mac_failure(self):
        phone = self.phone(1, "--fault", "mac-failure")
        mark = phone.say("register")
        self.bed.wait(phone.name, "failed", since=mark)
        got = self.statuses(mark)
        self.leave(phone)
        self.tap.ok(self.nothing_left() and 200 not in got,
                    "mac-failure: the phone gives up, its set goes", got)

    def good(self, what):
        phone = self.phone(1)
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        count = kernel.sa_count(self.bed.pcscf_host)
        self.leave(phone)
        self.tap.ok(count == 4 and self.nothing_left(), what, f"{count} SAs")

    def extended(self):
        """A re-registration without challenge: the same set, a longer life."""
        phone = self.phone(1)
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        self.bed.front_end.say("challenge initial")
        mark = phone.say("reregister")
        event = self.bed.wait("pcscf", "registered", since=mark)
        self.bed.wait(phone.name, "reregistered", since=mark)
        self.bed.front_end.say("challenge always")
        count = kernel.sa_count(self.bed.pcscf_host)
        self.leave(phone)
        self.tap.ok(event["by"] == "sa.extend" and count == 4 and self.nothing_left(),
                    "a re-registration without challenge keeps the set", event, count)

    def cut_off(self):
        """A phone whose power fails keeps its set; the same phone comes back in clear."""
        phone = self.phone(1)
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        phone.process.kill()
        phone.process.wait()
        self.bed.phone_host.ip("xfrm", "state", "flush")
        self.bed.phone_host.ip("xfrm", "policy", "flush")
        before = kernel.sa_count(self.bed.pcscf_host)
        again = self.phone(1)
        mark = again.say("register")
        self.bed.wait(again.name, "registered", since=mark)
        after = kernel.sa_count(self.bed.pcscf_host)
        self.leave(again)
        self.tap.ok((before, after) == (4, 4) and self.nothing_left(),
                    "a phone that lost its power registers anew, its old set goes",
                    f"{before} SAs, then {after}")


def main():
    tap = Tap()
    home = {"realm": lab.REALM, "subscribers": [subscriber(number) for number in range(1, 6)]}
    listener = lab.listener("ims", lab.PCSCF_4, reg_await_auth=REG_AWAIT_AUTH_S)
    with lab.Lab([listener], home=home) as bed:
        bed.may_happen = ("failed",)
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        faults = Faults(bed, tap)
        with bed.to_the_end(tap):
            for fault, status in REFUSED.items():
                faults.refused(fault, status)
            faults.dropped(DROPPED)
            faults.sync_failure()
            faults.mac_failure()
            faults.extended()
            faults.cut_off()
            faults.good("after all this a phone registers and leaves as ever")
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
