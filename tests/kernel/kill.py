#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon is killed at each system call that changes anything of a registration, a
re-registration, an extension, a use, a failure and a release in turn, and at every fourth one of its
own start, and started again. Each time the kernel holds exactly the SAs of the sets that the daemon
lists, for as long as it says, the policies that it needs and what strangers put there; the operation
has happened wholly or not at all; done again, it gets the answer that it should; and no set that it
does not concern has changed. TAP.

    SECAGREE_KILL_ALL     1: at each system call, also those that change nothing
    SECAGREE_KILL_FIRST   the first call, 1 by default
    SECAGREE_KILL_STEP    every which one, 1 by default
"""

import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import lab  # noqa: E402
import lives  # noqa: E402
from control import ControlError  # noqa: E402
from lives import Wrong, demand  # noqa: E402
from tap import Tap  # noqa: E402

KILLAT = os.path.join(lab.BUILD, "kernel/killat")
ALL = ["all"] * int(os.environ.get("SECAGREE_KILL_ALL", 0))
STEP = int(os.environ.get("SECAGREE_KILL_STEP", 1))
MOST_CALLS = 1000  # of one operation: it has some dozens
START_STEP = 1 if ALL else 4 * STEP  # a start does much that is the same
# one with our mark, and a guard's selector
ORPHAN = ("src 192.0.2.78 dst 192.0.2.1 proto esp spi 0x78 reqid 33203 mode transport "
          "auth-trunc hmac(sha1) 0x0102030405060708090a0b0c0d0e0f1011121314 96 "
          "enc cbc(aes) 0x0102030405060708090a0b0c0d0e0f10")
GUARD = "src 0.0.0.0/0 dst 192.0.2.1/32 dport 6100 dir in"


class Kill(lives.Lives):
    def __init__(self, bed, tap):
        super().__init__(bed)
        self.tap = tap
        self.kills = self.restarts = 0
        self.start_s = []
        self.calls = {}  # (phone, operation): so many calls that count

    # ---- one operation ----

    def ask(self, operation):
        """What it answers, or None when the daemon was killed over it."""
        try:
            return self.control.call(operation.method, **operation.params)
        except (OSError, ValueError):
            return None

    def killed(self, phone, operation, at):
        """Do it, and kill the daemon at its call @at. Was it?"""
        what = phone.impi, operation.name
        if not at or self.calls.get(what, at) < at:
            return False, self.ask(operation)
        daemon = self.bed.daemon
        killer = subprocess.Popen([KILLAT, str(daemon.pid), str(at), *ALL],
                                  stdout=subprocess.PIPE, text=True)
        demand(killer.stdout.readline() == "ready\n", "killat does not count")
        answer = self.ask(operation)
        killer.send_signal(signal.SIGTERM)
        said = killer.communicate()[0]
        if killer.returncode == 3:
            self.calls[what] = max(self.calls.get(what, 0), int(said))
            return False, answer
        daemon.process.wait()
        return True, answer

    def start_again(self):
        begin = time.monotonic()
        self.bed.start_daemon()
        self.start_s.append(time.monotonic() - begin)
        self.restarts += 1
        self.connect()

    def perform(self, phone, operation, at):
        """Returns the answer, and whether there was a call number @at."""
        before = self.state(phone)
        others = self.others(phone) if at else None
        dead, answer = self.killed(phone, operation, at)
        target = operation.target(before)
        if dead:
            self.kills += 1
            self.start_again()
            self.agree()
            state = self.state(phone)
            demand(state in (before, target), f"{state} is neither {before} nor {target}")
            demand(answer is None or state == target, "it was answered, but has not happened")
            answer = self.again(operation)
        if dead or not at:
            self.agree()
        demand(self.state(phone) == target, f"{self.state(phone)} is not {target}")
        demand(others is None or self.others(phone) == others, "another phone's set has changed")
        return answer, dead

    def again(self, operation):
        """The front end had no answer. What ended a set finds none any more."""
        try:
            return self.control.call(operation.method, **operation.params)
        except ControlError as why:
            demand(why.reason == "unknown_set" and operation.name in ("fail", "release"),
                   f"done again, it is refused: {why.reason}")
            return None

    def life(self, phone, at):
        """Killed at call @at of each operation, if it has so many. Returns how many had."""
        phone.roles.clear()
        fresh = iter("abc")
        count = 0
        for operation in self.operations(phone):
            try:
                answer, dead = self.perform(phone, operation, at)
            except Wrong as why:
                raise Wrong(f"{phone.impi}, {operation.name}, killed at call {at}: {why}") from why
            count += dead
            if operation.method == "sa.offer":
                phone.roles[next(fresh)] = answer["set"]
            demand(not dead or at < MOST_CALLS, f"{operation.name} does not end")
        return count

    # ---- the daemon's start ----

    def starts(self):
        """With a set of each kind, an SA that no set knows, and one that a set misses: each time it
        is killed the next one goes on where it was. Returns how many times."""
        at, kills = 0, 0
        listed = self.sets()
        while True:
            at += START_STEP
            self.bed.daemon.end(signal.SIGKILL)
            self.bed.pcscf_host.ip("xfrm", "state", "add", *ORPHAN.split())
            self.bed.pcscf_host.ip("xfrm", "policy", "delete", *GUARD.split())
            try:
                self.bed.start_daemon(KILLAT, "start", str(at), os.path.join(lab.BUILD, "secagreed"))
                break
            except lab.Failure:
                demand(self.bed.daemon.process.returncode == -signal.SIGKILL,
                       f"a start that ends by itself: {self.bed.daemon.errors()[-1000:]}")
            kills += 1
            self.start_again()
            try:
                demand(self.sets().keys() == listed.keys(), "sets got lost")
                self.agree()
            except Wrong as why:
                raise Wrong(f"start, killed at call {at}: {why}") from why
        self.connect()
        self.agree()
        return kills

    def run(self, phones):
        """Once without, then at each call."""
        for phone in phones:
            self.life(phone, 0)
        at = int(os.environ.get("SECAGREE_KILL_FIRST", 1))
        living = list(phones)
        while living:
            living = [phone for phone in living if self.life(phone, at)]
            at += STEP
        self.tap.ok(self.kills > 100 or STEP > 1,
                    f"killed at each of {at - 1} calls, {self.kills} times, all was or was not",
                    self.kills)
        for (impi, name), calls in sorted(self.calls.items()):
            print(f"# {calls:3} calls: {impi.split('@')[0]}, {name}", flush=True)
        seconds = sorted(self.start_s) or [0]
        print(f"# {self.restarts} starts, {seconds[0]:.2f} to {seconds[-1]:.2f} s, "
              f"{seconds[len(seconds) // 2]:.2f} s in the middle", flush=True)


def run(bed, tap):
    kill = Kill(bed, tap)
    lives.bystander(kill.control, 1)
    kill.run(lives.phones())
    tap.ok(len(kill.sets()) == 1, "the phone that nothing of this concerned has its set")
    lives.bystander(kill.control, 2, mod="UDP-enc-tun")
    lives.bystander(kill.control, 3, "192.0.2.2")
    kills = kill.starts()
    tap.ok(kills > 10, f"killed {kills} times while it starts, the next start mends all", kills)
    tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    bed.flush()
    tap.ok([sa.raw for sa in kill.dump.sas()] == kill.foreign and
           [p.raw for p in kill.dump.policies()] == kill.foreign_policies,
           "and --flush leaves the strangers' objects alone")


def main():
    tap = Tap()
    with lab.Lab(lives.listeners()) as bed:
        bed.make_hosts()
        bed.start_daemon()
        with bed.to_the_end(tap):
            run(bed, tap)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
