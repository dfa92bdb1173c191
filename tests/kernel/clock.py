#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Somebody sets the machine's clock, forward and back: no set is lost, messages go on, and the
kernel's limits lie behind the daemon's timers as before. In the throw-away VM only, since the clock
belongs to the whole machine. TAP.
"""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

SETS = 20  # more than one datagram's worth
SLACK_S = 10
SHORT_S = 30
KEYS = {"ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}


def in_vm():
    return os.path.exists("/run/vm/vars")


class Clock:
    """CLOCK_REALTIME, put right again at the end."""

    def __init__(self):
        self.offset_s = time.time() - time.monotonic()

    def step(self, seconds):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)

    def restore(self):
        time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + self.offset_s)


def offer(number):
    return {"impi": f"phone{number}@ims.example", "ue": f"192.0.2.{100 + number}",
            "listener": "ims",
            "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;"
                               f"spi-c={5000 + 2 * number};spi-s={5001 + 2 * number};"
                               "port-c=7000;port-s=7001", **KEYS}


class Test:
    def __init__(self, bed, tap, clock):
        self.bed, self.tap, self.clock = bed, tap, clock
        self.control = Control(bed.control_path)

    def daemon_left(self):
        """Seconds by the phone's address, as the daemon counts them."""
        return {one["ue"]: one["expires_in"] for one in self.control.call("sa.list")["sets"]}

    def kernel_agrees(self):
        """Does each SA's limit lie SLACK_S behind the timer of its set?"""
        left = self.daemon_left()
        for sa in kernel.sas(self.bed.pcscf_host):
            phone = sa.src if sa.src in left else sa.dst
            if phone not in left or abs(sa.left_s() - left[phone] - SLACK_S) > 4:
                return False
        return True

    def kernel_is_never_early(self):
        """A limit before the SA was made cannot be said: then it is late."""
        left = self.daemon_left()
        return all(sa.left_s() >= min(left.values()) for sa in kernel.sas(self.bed.pcscf_host))

    def messages_pass(self):
        return all(self.bed.front_end_options(transport)[1]["status"] == 200
                   for transport in ("udp", "tcp"))

    def becomes(self, condition, limit_s=60):
        try:
            self.bed.until(condition, "?", limit_s)
        except lab.Failure:
            return False
        return True

    def step(self, seconds, what, limits):
        """@limits holds of the kernel's limits afterwards."""
        sets = len(self.daemon_left())
        sas = kernel.sa_count(self.bed.pcscf_host)
        self.clock.step(seconds)
        pinned = self.becomes(limits)
        # The kernel looks at a limit a second after it was told: let that pass.
        left = min(self.daemon_left().values())
        self.bed.until(lambda: min(self.daemon_left().values()) <= left - 3, "three seconds")
        self.tap.ok(pinned and limits(), f"{what}: {limits.__name__.replace('_', ' ')}",
                    *(f"{sa.src} {sa.dst} {sa.left_s():.0f}"
                      for sa in kernel.sas(self.bed.pcscf_host)[:8]), self.daemon_left())
        self.tap.ok(len(self.daemon_left()) == sets
                    and kernel.sa_count(self.bed.pcscf_host) == sas, f"{what}: no set is lost",
                    sets, len(self.daemon_left()), sas, kernel.sa_count(self.bed.pcscf_host))
        self.tap.ok(self.messages_pass(), f"{what}: messages pass over UDP and TCP")

    def short_set(self, number):
        self.control.call("sa.offer", **{**offer(number), "listener": "short"})

    def daemon_alone(self):
        """The kernel's limit is an hour late, but the daemon's timer is not."""
        self.short_set(90)
        self.clock.step(-3600)
        self.tap.ok(self.becomes(lambda: not self.short_sas(), SHORT_S + 30),
                    "the daemon ends a set on time when the kernel's limit cannot be said",
                    *(sa.left_s() for sa in self.short_sas()))

    def kernel_alone(self):
        """After a step back the kernel's limit still ends what a dead daemon cannot."""
        self.short_set(91)
        self.clock.step(3600)
        self.bed.until(self.short_is_pinned, "the short set is pinned again")
        self.clock.step(-3000)
        self.bed.until(self.short_is_pinned, "and again")
        self.bed.daemon.process.send_signal(signal.SIGKILL)
        self.bed.daemon.process.wait()
        there = len(self.short_sas())
        gone = self.becomes(lambda: not self.short_sas(), SHORT_S + SLACK_S + 30)
        self.tap.ok(there == 4 and gone,
                    "the kernel ends a set on time after a step back when the daemon is dead",
                    there, *(sa.left_s() for sa in self.short_sas()))

    def short_sas(self):
        return [sa for sa in kernel.sas(self.bed.pcscf_host) if "192.0.2.2" in (sa.src, sa.dst)]

    def short_is_pinned(self):
        sas = self.short_sas()
        return len(sas) == 4 and all(0 < sa.left_s() <= SHORT_S + SLACK_S for sa in sas)


def run(tap):
    listeners = [lab.listener("ims", lab.PCSCF_4, kernel_slack=SLACK_S),
                 lab.listener("short", "192.0.2.2", kernel_slack=SLACK_S, reg_await_auth=SHORT_S)]
    clock = Clock()
    with lab.Lab(listeners) as bed:
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        test = Test(bed, tap, clock)
        try:
            phone = bed.start_phone()
            mark = phone.say("register")
            bed.wait(phone.name, "registered", since=mark)
            for number in range(SETS):
                one = test.control.call("sa.offer", **offer(number))
                test.control.call("sa.confirm", set=one["set"], expires=600)
            test.step(3600, "an hour forward", test.kernel_agrees)
            test.step(-3000, "fifty minutes back", test.kernel_agrees)
            test.step(-86400, "to the day before they were made", test.kernel_is_never_early)
            test.step(100 * 86400, "a hundred days forward", test.kernel_agrees)
            test.daemon_alone()
            test.kernel_alone()
        except (lab.Failure, OSError, LookupError) as error:
            tap.ok(False, "the test runs to its end", error, bed.daemon.errors()[-2000:])
        finally:
            clock.restore()


def main():
    if not in_vm():
        print("1..0 # SKIP the clock is the whole machine's: only in the VM")
        return 0
    tap = Tap()
    run(tap)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
