#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The life of a registration on a real kernel, with short timers and with traffic that never stops:
register, register again and again, fail in between, leave, expire while the daemon sleeps or is
dead. Requests go both ways over UDP and TCP all the time; each is counted, and two records of the
wire show that nothing went in clear. TAP.
"""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../demo")]

import kernel  # noqa: E402
import lab  # noqa: E402
import sip_flow  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

RENEWALS = 10
REG_AWAIT_AUTH_S, OLD_SET_S, MARGIN_S, SLACK_S = 30, 8, 1, 3
SHORT_S = 8  # a registration that ends while the daemon does not look
# No message may be sent twice: what is lost is to be seen.
PATIENT = ("--t1", "20000", "--timeout", "50", "--reregister-after", "100000")
TRANSPORTS = ("udp", "tcp")


class Traffic:
    """As soon as a request has its answer the next one goes, in each direction over each transport.
    Lab tells it every event."""

    def __init__(self, bed):
        self.bed = bed
        self.phone = None
        self.on = False
        self.sent, self.answered, self.bad = {}, {}, []

    def start(self, phone):
        self.phone, self.on = phone, True
        for transport in TRANSPORTS:
            self.next("phone", transport)
            self.next("pcscf", transport)

    def next(self, who, transport):
        if not self.on:
            return
        self.sent[who, transport] = self.sent.get((who, transport), 0) + 1
        program = self.phone if who == "phone" else self.bed.front_end
        program.write(f"options {transport}")

    def tell(self, event):
        name = event["event"]
        if name == "answered":
            self.count("pcscf", event["transport"], event["status"])
        elif name == "response" and event.get("method") == "OPTIONS":
            self.count("phone", event["transport"], int(event["status"]), event["protected"])
        elif name in ("no-answer", "retransmit", "error"):
            self.bad.append(lab.line_of(event))

    def count(self, who, transport, status, protected="yes"):
        if (status, protected) != (200, "yes"):
            self.bad.append(f"{who} over {transport}: {status}, protected={protected}")
        self.answered[who, transport] = self.answered.get((who, transport), 0) + 1
        self.next(who, transport)

    def go_on(self, count):
        """Until there were so many answers more in each direction over each transport."""
        before = dict(self.answered)
        self.bed.until(lambda: self.bad or all(self.answered.get(lane, 0) - before.get(lane, 0)
                                               >= count for lane in self.sent), "traffic goes on")

    def stop(self):
        """Nothing new; what is under way comes to its end."""
        self.on = False
        self.bed.until(lambda: self.sent == self.answered or self.bad, "all requests are answered")

    def __str__(self):
        return ", ".join(f"{count} of {who}'s over {transport}"
                         for (who, transport), count in sorted(self.sent.items()))


class Life:
    def __init__(self, bed, traffic, tap):
        self.bed, self.traffic, self.tap = bed, traffic, tap
        self.control = Control(bed.control_path)
        self.spis = set()

    # ---- what can be seen ----

    def sets(self):
        return {one["set"]: one for one in self.control.call("sa.list")["sets"]}

    def states(self):
        return sorted(one["state"] for one in self.sets().values())

    def count(self):
        return kernel.sa_count(self.bed.pcscf_host)

    def agree(self):
        """Kernel and daemon know the same SAs."""
        listed = {(sa["src"], sa["dst"], sa["spi"]) for set_id in self.sets()
                  for sa in self.control.call("sa.show", set=set_id)["sas"] if not sa.get("lost")}
        return listed == {(sa.src, sa.dst, sa.spi) for sa in kernel.sas(self.bed.pcscf_host)}

    def phone_does(self, phone, command, event):
        mark = phone.say(command)
        self.bed.wait(phone.name, event, since=mark)
        return mark

    def statuses(self, mark):
        """Of the responses to REGISTER, and whether they were protected."""
        return [(int(event["status"]), event["protected"]) for event in
                self.bed.find(self.bed.newest_phone.name, "response", mark, method="REGISTER")]

    def until(self, condition, what, limit_s=lab.LIMIT_S):
        try:
            self.bed.until(condition, what, limit_s)
        except lab.Failure:
            return False
        return True

    def leave(self, phone):
        phone.say("quit")
        phone.end(how=None)

    # ---- the steps ----

    def register(self, *options):
        phone = self.bed.start_phone(*PATIENT, *options)
        self.phone_does(phone, "register", "registered")
        self.tap.ok(self.states() == ["current"] and self.count() == 4, "registered",
                    self.states(), self.count())
        return phone

    def renew(self, phone, transport):
        """The next one when what was under way at the last one is answered: a set may wait for that
        as OLD, but the second re-registration after it ends it (TS 33.203 7.4.2a)."""
        self.traffic.start(phone)
        wrong = []
        for number in range(RENEWALS):
            mark = self.phone_does(phone, "reregister", "reregistered")
            got, states = self.statuses(mark), self.states()
            if got != [(401, "yes"), (200, "yes")] or not 2 <= len(states) <= 3:
                wrong.append(f"{number}: {got} {states}")
            self.traffic.go_on(2)
            if self.states() != ["current", "old"]:
                wrong.append(f"{number}: {self.states()}")
        self.traffic.stop()
        self.tap.ok(not wrong, f"{RENEWALS} challenged re-registrations over {transport}", *wrong)
        self.tap.ok(self.traffic.sent == self.traffic.answered and not self.traffic.bad,
                    f"all the while each request had its one answer: {self.traffic}",
                    self.traffic.answered, *self.traffic.bad)

    def old_goes(self):
        """What is superseded goes after old-set-time, the set in use stays."""
        old = [one for one in self.sets().values() if one["state"] == "old"]
        self.tap.ok(len(old) == 1 and old[0]["expires_in"] <= OLD_SET_S,
                    "the old set has old-set-time left", old)
        self.tap.ok(self.until(lambda: self.states() == ["current"] and self.count() == 4,
                               "the old set goes", OLD_SET_S + 10) and self.agree(),
                    "then it goes, from the daemon and the kernel; the other one stays",
                    self.states(), self.count())

    def failures_leave_it_alone(self, phone):
        """TS 33.203 6.1.1: a running registration survives a failed authentication."""
        current = set(self.sets())
        for fault in ("mac-failure", "wrong-res", "wrong-verify"):
            phone.say(f"fault {fault}")
            mark = self.phone_does(phone, "reregister", "failed")
            got = self.statuses(mark)
            self.traffic.start(phone)
            gone = self.until(lambda: set(self.sets()) == current, "the temporary set goes",
                              REG_AWAIT_AUTH_S + 10)
            self.traffic.stop()
            self.tap.ok(gone and self.states() == ["current"] and self.count() == 4
                        and self.agree() and not self.traffic.bad,
                        f"E3: {fault} leaves the set in use alone, and traffic on it", got,
                        self.states(), *self.traffic.bad)
        phone.say("fault none")
        mark = self.phone_does(phone, "reregister", "reregistered")
        self.tap.ok(self.statuses(mark)[-1:] == [(200, "yes")],
                    "after that a re-registration succeeds as ever", self.statuses(mark))

    def deregister(self, phone, transport):
        mark = self.phone_does(phone, "deregister", "deregistered")
        self.tap.ok(self.statuses(mark)[-1:] == [(200, "yes")],
                    f"de-registered over {transport}; the 200 came protected", self.statuses(mark))
        self.tap.ok(self.until(lambda: not self.sets() and self.count() == 0, "all goes"),
                    "then daemon and kernel forget it", self.states(), self.count())
        self.leave(phone)

    def wire_was_clean(self, what):
        """After the first 401 there is ESP and nothing else, but what hosts say of their IPv6."""
        packets = self.bed.capture.take()
        start = next((place for place, packet in enumerate(packets)
                      if packet.payload.startswith(b"SIP/2.0 401")), None)
        if not self.tap.ok(start is not None, f"{what}: the record has the 401"):
            return
        later = [packet for packet in packets[start + 1:] if packet.head is not packets[start]]
        other = sorted({str(packet) for packet in later if packet.kind != "ESP"
                        and ":" not in packet.src})
        esp = sum(packet.kind == "ESP" for packet in later)
        messages = 2 * sum(self.traffic.sent.values())
        self.tap.ok(not other, f"{what}: nothing but ESP on the wire after it", *other[:10])
        self.tap.ok(esp >= messages, f"{what}: {esp} ESP packets for {messages} messages")

    def one_life(self, transport):
        self.traffic.__init__(self.bed)
        phone = self.register("--transport", transport)
        self.renew(phone, transport)
        self.old_goes()
        if transport == "udp":
            self.failures_leave_it_alone(phone)
        self.deregister(phone, transport)
        self.wire_was_clean(transport)

    # ---- when the daemon is away ----

    def short_registration(self):
        """The phone, and when the daemon and the kernel will end its set, as wall clock times."""
        phone = self.register("--expires", str(SHORT_S))
        one, = self.sets().values()
        return (phone, time.time() + one["expires_in"],
                max(sa.add_time + sa.hard_s for sa in kernel.sas(self.bed.pcscf_host)))

    def expires_while_stopped(self):
        """The kernel's own limit, a little behind the daemon's, ends the SAs of a daemon that does
        not run; when it runs again it knows."""
        phone, daemons_end, kernels_end = self.short_registration()
        self.bed.daemon.process.send_signal(signal.SIGSTOP)
        self.tap.ok(SLACK_S - 2 <= kernels_end - daemons_end <= SLACK_S + 1,
                    "the kernel's limit is kernel-slack behind the daemon's",
                    kernels_end - daemons_end)
        gone = self.until(lambda: self.count() == 0, "the kernel removes them")
        self.tap.ok(time.time() > kernels_end - 1, "they stay until then")
        self.tap.ok(gone, "a daemon that is stopped: the kernel removes the SAs by itself")
        self.bed.daemon.process.send_signal(signal.SIGCONT)
        self.tap.ok(self.until(lambda: not self.sets(), "the daemon knows", 20) and self.agree(),
                    "when it goes on, it lists no set any more", self.states())
        self.leave_alone(phone)

    def expires_while_dead(self):
        phone, *_ = self.short_registration()
        self.bed.daemon.process.kill()
        self.bed.daemon.process.wait()
        self.tap.ok(self.count() == 4, "a daemon that was killed leaves the SAs to the kernel")
        gone = self.until(lambda: self.count() == 0, "the kernel removes them")
        self.tap.ok(gone, "which removes them by itself, too")
        self.bed.start_daemon()
        self.control = Control(self.bed.control_path)
        self.tap.ok(not self.sets() and self.agree(), "the next daemon lists no set")
        self.leave_alone(phone)

    def leave_alone(self, phone):
        """Its registration has expired at its side, too."""
        self.bed.wait(phone.name, "expired")
        self.leave(phone)

    def run(self):
        for transport in TRANSPORTS:
            self.one_life(transport)
        self.expires_while_stopped()
        self.expires_while_dead()


def main():
    tap = Tap()
    listener = lab.listener("ims", lab.PCSCF_4, reg_await_auth=REG_AWAIT_AUTH_S,
                            old_set_time=OLD_SET_S, registration_margin=MARGIN_S,
                            kernel_slack=SLACK_S)
    traffic = Traffic(None)
    with sip_flow.Bed([listener], tell=traffic.tell) as bed:
        bed.may_happen = ("failed",)
        bed.make_hosts()
        bed.start_capture()
        bed.start_daemon()
        bed.start_front_end()
        traffic.bed = bed
        with bed.to_the_end(tap):
            Life(bed, traffic, tap).run()
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
        tap.ok(bed.capture.stop() == 0, "the record of the wire lost no packet")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
