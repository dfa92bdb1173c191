#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon is killed at the system calls of a registration, a re-registration, an extension, a
use, a failure and a release in turn, and started again. Each time the kernel holds exactly the SAs
of the sets that the daemon lists, for as long as it says, the policies that it needs and what
strangers put there; the operation has happened wholly or not at all; done again, it gets the answer
that it should; and no set that it does not concern has changed. TAP.

    SECAGREE_KILL_FIRST, SECAGREE_KILL_STEP   the first call, 1 by default, and every which one:
                                              3 by default, 1 for all, which takes its time
"""

import os
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import lab  # noqa: E402
import xfrm_dump  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

SLACK_S, TOLERANCE_S = 10, 4
KEYS = {"ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}
REQID = 33203
MOST_CALLS = 400
STRANGERS = (("state", "src 192.0.2.77 dst 192.0.2.1 proto esp spi 0x77 reqid 7 mode transport "
              "auth-trunc hmac(sha1) 0x0102030405060708090a0b0c0d0e0f1011121314 96 "
              "enc cbc(aes) 0x0102030405060708090a0b0c0d0e0f10"),
             ("policy", "src 192.0.2.77/32 dst 192.0.2.1/32 dir in priority 9 "
              "tmpl proto esp reqid 7 mode transport"))


class Wrong(Exception):
    """Something does not agree."""


def demand(held, text):
    if not held:
        raise Wrong(text)


class Operation:
    """One call of the front end. @method, @params: what it says; @target: what the contact's sets
    are when it has happened, state by role."""

    def __init__(self, name, method, params, target):
        self.name, self.method, self.params, self.target = name, method, params, target
        self.calls = None  # so many system calls, when that is known


class Phone:
    """@offers: numbers that it has used so far; each offer has others."""

    def __init__(self, impi, pcscf, mod):
        self.impi, self.pcscf, self.mod = impi, pcscf, mod
        self.offers = 0
        self.roles = {}  # "a": set id

    def header(self):
        n = self.offers
        return (f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;mod={self.mod};spi-c={10000 + 2 * n};"
                f"spi-s={10001 + 2 * n};port-c={20000 + n % 40000};port-s=7001")

    def offer(self, over=None):
        self.offers += 1
        params = {"impi": self.impi, "ue": lab.PHONE_4, "pcscf": self.pcscf,
                  "security_client": self.header(), "transaction": f"z9hG4bK{self.offers}", **KEYS}
        if over:
            params["over"] = self.roles[over]
        if self.mod == "UDP-enc-tun":
            params["via"] = "10.0.0.9"
        return params


class Kill:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.dump = xfrm_dump.Dump(bed.pcscf_host)
        self.kills = self.restarts = 0
        self.start_s = []
        self.put_strangers()
        self.connect()

    def connect(self):
        self.control = Control(self.bed.control_path)

    def put_strangers(self):
        for what, words in STRANGERS:
            self.bed.pcscf_host.ip("xfrm", what, "add", *words.split())
        self.foreign = sorted(sa.raw for sa in self.dump.sas())
        self.foreign_policies = sorted(p.raw for p in self.dump.policies()
                                       if p.priority == 9)
        demand(len(self.foreign) == len(self.foreign_policies) == 1, "the strangers are there")

    # ---- does all agree? ----

    def sets(self, impi=None):
        return {one["set"]: one for one in self.control.call("sa.list")["sets"]
                if impi in (None, one["impi"])}

    def agree(self):
        """Kernel, answers, and by way of a restart the store."""
        listed = self.sets()
        now = time.time()
        kernel = {(sa.src, sa.dst, sa.proto, sa.spi): sa for sa in self.dump.sas()}
        foreign = [key for key, sa in kernel.items() if sa.reqid == 7]
        demand(sorted(kernel.pop(key).raw for key in foreign) == self.foreign,
               "a stranger's SA has changed")
        wanted = {}
        for set_id, one in listed.items():
            shown = self.control.call("sa.show", set=set_id)
            demand(len(shown["sas"]) == 4, f"{set_id} has {len(shown['sas'])} SAs")
            for sa in shown["sas"]:
                demand(not sa.get("lost"), f"{set_id} misses an SA")
                wanted[sa["src"], sa["dst"], sa["proto"], sa["spi"]] = one, sa
        demand(wanted.keys() == kernel.keys(),
               f"of no set: {sorted(kernel.keys() - wanted.keys())}, "
               f"missing: {sorted(wanted.keys() - kernel.keys())}")
        for key, (one, _) in wanted.items():
            left = kernel[key].add_time + kernel[key].hard_s - now - SLACK_S
            demand(abs(left - one["expires_in"]) <= TOLERANCE_S,
                   f"{key}: {left:.0f} s left in the kernel, {one['expires_in']} s in the daemon")
        self.agree_on_policies(listed)

    def agree_on_policies(self, listed):
        policies = self.dump.policies()
        demand(sorted(p.raw for p in policies if p.priority == 9) == self.foreign_policies,
               "a stranger's policy has changed")
        guards = [p for p in policies if p.priority == 2080]
        own = [p for p in policies if p.priority == 2079]
        needed = 4 * sum(one["listener"] == "perset" or one["chosen"]["mod"] != "trans"
                         for one in listed.values())
        demand(len(guards) == 8 and len(own) == needed and
               len(policies) == len(guards) + len(own) + 1,
               f"{len(guards)} guards, {len(own)} policies of sets, not 8 and {needed}")

    # ---- one operation ----

    def state(self, phone):
        """The contact's sets by role, and what is left of each; other sets in the list as well."""
        roles = {set_id: role for role, set_id in phone.roles.items()}
        listed = self.sets(phone.impi)
        return {roles.get(set_id, "fresh"): one["state"] for set_id, one in listed.items()}

    def others(self, phone):
        return {set_id: one["state"] for set_id, one in self.sets().items()
                if one["impi"] != phone.impi}

    def ask(self, operation):
        """What it answers, or None when the daemon was killed over it."""
        try:
            return self.control.call(operation.method, **operation.params)
        except (OSError, ValueError):
            return None

    def killed(self, operation, at):
        """Do it, and kill the daemon at its system call @at. Was it?"""
        daemon = self.bed.daemon
        killer = subprocess.Popen([os.path.join(lab.BUILD, "kernel/killat"), str(daemon.pid),
                                   str(at)], stdout=subprocess.PIPE, text=True)
        demand(killer.stdout.readline() == "ready\n", "killat does not count")
        answer = self.ask(operation)
        killer.send_signal(signal.SIGTERM)
        said = killer.communicate()[0]
        if killer.returncode == 3:
            operation.calls = max(operation.calls or 0, int(said))
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
        before, others = self.state(phone), self.others(phone)
        dead, answer = self.killed(operation, at) if at else (False, self.ask(operation))
        if dead:
            self.kills += 1
            self.start_again()
            self.agree()
            state = self.state(phone)
            demand(state in (before, operation.target(before)),
                   f"{state} is neither {before} nor {operation.target(before)}")
            demand(answer is None or state == operation.target(before),
                   "it was answered, but has not happened")
            answer = self.again(operation)
        target = operation.target(before)
        self.agree()
        demand(self.state(phone) == target, f"{self.state(phone)} is not {target}")
        demand(self.others(phone) == others, "a set of another phone has changed")
        return answer, dead

    def again(self, operation):
        """The front end had no answer. What ended a set finds none any more."""
        try:
            return self.control.call(operation.method, **operation.params)
        except ControlError as why:
            demand(why.reason == "unknown_set" and operation.name in ("fail", "release"),
                   f"done again, it is refused: {why.reason}")
            return None

    # ---- the life of a registration ----

    def operations(self, phone):
        """One after the other, each made when its turn comes."""
        roles = phone.roles

        def move(**states):
            return lambda before: {**{role: state for role, state in before.items()
                                      if role not in states},
                                   **{role: state for role, state in states.items() if state}}

        yield Operation("offer", "sa.offer", phone.offer(), move(fresh="temporary"))
        yield Operation("confirm", "sa.confirm", {"set": roles["a"], "expires": 600},
                        move(a="current"))
        yield Operation("extension", "sa.extend", {"set": roles["a"], "expires": 1200},
                        move(a="current"))
        yield Operation("offer over a set", "sa.offer", phone.offer("a"), move(fresh="temporary"))
        yield Operation("confirm over a set", "sa.confirm",
                        {"set": roles["b"], "expires": 600, "impu": ["sip:b@ims.example"]},
                        move(a="old", b="new"))
        yield Operation("use", "sa.check", self.message(roles["b"]), move(b="current"))
        yield Operation("offer that fails", "sa.offer", phone.offer("b"), move(fresh="temporary"))
        yield Operation("fail", "sa.fail", {"set": roles["c"]}, move(c=None))
        yield Operation("release", "sa.release", {"set": roles["b"], "linger": 0},
                        move(a=None, b=None))

    def message(self, set_id):
        """One that the phone sends over the set."""
        shown = self.control.call("sa.show", set=set_id)
        return {"pcscf": shown["pcscf"]["address"], "ue": shown["phone"]["address"],
                "ue_port": shown["phone"]["port_c"], "pcscf_port": shown["pcscf"]["port_s"],
                "method": "OPTIONS"}

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

    def run(self, phones):
        """Once without, then at each call."""
        for phone in phones:
            self.life(phone, 0)
        at = int(os.environ.get("SECAGREE_KILL_FIRST", 1))
        step = int(os.environ.get("SECAGREE_KILL_STEP", 3))
        living = list(phones)
        while living:
            living = [phone for phone in living if self.life(phone, at)]
            at += step
        self.tap.ok(self.kills > 100 or step > 1,
                    f"killed at each of {at - 1} calls, {self.kills} times, all was or was not",
                    self.kills)
        seconds = sorted(self.start_s)
        print(f"# {self.restarts} starts, {seconds[0]:.2f} to {seconds[-1]:.2f} s, "
              f"{seconds[len(seconds) // 2]:.2f} s in the middle", flush=True)


def bystander(control):
    """A phone that nothing of this concerns."""
    params = Phone("bystander@ims.example", lab.PCSCF_4, "trans").offer()
    params["security_client"] = re.sub(r"port-c=\d+", "port-c=19000", params["security_client"])
    params["security_client"] = params["security_client"].replace("7001", "7501")
    params["security_client"] = re.sub(r"spi-([cs])=\d", r"spi-\1=9", params["security_client"])
    offered = control.call("sa.offer", **params)
    control.call("sa.confirm", set=offered["set"], expires=36000)


def main():
    tap = Tap()
    listeners = [lab.listener("shared", lab.PCSCF_4, modes=("trans", "UDP-enc-tun")),
                 lab.listener("perset", "192.0.2.2", policies="per-set")]
    with lab.Lab(listeners) as bed:
        bed.make_hosts()
        bed.start_daemon()
        kill = Kill(bed, tap)
        try:
            bystander(kill.control)
            kill.run([Phone("shared@ims.example", lab.PCSCF_4, "trans"),
                      Phone("nat@ims.example", lab.PCSCF_4, "UDP-enc-tun"),
                      Phone("perset@ims.example", "192.0.2.2", "trans")])
            tap.ok(len(kill.sets()) == 1, "the phone that nothing of this concerned has its set")
        except (Wrong, lab.Failure, OSError, LookupError, ControlError, ValueError) as why:
            tap.ok(False, "the test runs to its end", f"{type(why).__name__}: {why}",
                   *bed.daemon.errors().splitlines()[-12:])
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
        bed.flush()
        tap.ok([sa.raw for sa in kill.dump.sas()] == kill.foreign and
               [p.raw for p in kill.dump.policies()] == kill.foreign_policies,
               "and --flush leaves the strangers' objects alone")
        kill.dump.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
