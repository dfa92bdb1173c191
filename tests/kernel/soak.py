#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Thousands of phones register, re-register, extend, come back in clear, leave and vanish, while the
daemon is killed and stopped, also in the middle of what they do, other programs change their own
SAs and policies and delete ours, and garbage arrives on the control socket. A few phones send and
get messages all the time, also while no daemon runs. No registered phone loses its SAs, but those
of which a stranger deleted one: these are reported as lost, and no others. In the end kernel,
daemon and what the phones know agree, SA by SA, key by key, and nothing has leaked. TAP.

    SECAGREE_SOAK_S        how long, 300 by default
    SECAGREE_SOAK_PHONES   how many phones, 2000 by default
    SECAGREE_SOAK_SEED     the seed, else a new one, which is said
"""

import collections
import json
import os
import random
import re
import secrets
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import checker  # noqa: E402
import crowd  # noqa: E402
import lab  # noqa: E402
import model  # noqa: E402
import xfrm_dump  # noqa: E402
from control import Control, ControlError  # noqa: E402
from model import Mismatch, demand  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = float(os.environ.get("SECAGREE_SOAK_S", 300))
PHONES = int(os.environ.get("SECAGREE_SOAK_PHONES", 2000))
LIVE = 24
LOOK_EVERY_S = 20
AUDIT_INTERVAL_S = 15
WAVE = 100            # phones that come and go while memory is looked at
WAVES = 4
EVENTS_KIB = 5        # what the history of events keeps of a set that is gone, at most
FOREIGN_REQID = 7
# how often in a thousand steps
DISTURBANCES = {"kill": 2, "kill_in_a_call": 3, "stop": 1, "steal": 6, "steal_guard": 2,
                "other_programs": 5, "garbage": 20, "ping": 60}
# of a phone that is registered
HABITS = {"reregister": 30, "extend": 30, "come_back": 8, "leave": 10, "fail": 6, "vanish": 4,
          "lapse": 4}
GARBAGE = (b"", b"{", b"[" * 5000, b"\0" * 4096, b'{"jsonrpc":"2.0","method":', b"*1\r\n$-5\r\n",
           b"*999999999\r\n", b'{"jsonrpc":"2.0","id":1,"method":"sa.list"}\n',
           b'{"jsonrpc":"2.0","id":1,"method":"sa.offer","params":{"ck":"00"}}\n' * 20,
           b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe" * 3000, b'"' + b"a" * 70000)


class Soak:
    def __init__(self, bed, seed):
        self.bed = bed
        self.random = random.Random(seed)
        self.phones = [crowd.Phone(number, number < LIVE) for number in range(PHONES)]
        self.known = crowd.Known()
        self.done = collections.Counter()
        self.last_events = collections.deque(maxlen=20)
        self.label = 0
        self.foreign = []  # names of strangers' SAs that are there now
        bed.make_hosts()
        bed.start_daemon()
        self.dump = xfrm_dump.Dump(bed.pcscf_host)
        bed.stack.callback(self.dump.close)
        self.checker = checker.Checker(self.dump, bed.listeners)
        self.air = crowd.Air(bed, LIVE)
        self.control = Control(bed.control_path)
        self.kill_next = False
        self.ended_by_phone = set()  # ids of sets that were stolen from, and then replaced or left
        self.register(self.phones[-1])  # some descriptors are opened when they are needed first
        self.leave(self.phones[-1])
        self.descriptors = self.count_descriptors()

    # ---- the daemon ----

    def call(self, method, /, **params):
        """Asked again when the daemon was killed over it."""
        if self.kill_next:
            self.kill_next = False
            self.kill_over(method, params)
        return self.control.call(method, **params)

    def kill_over(self, method, params):
        """It has the request, and may have done any part of it."""
        request = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
        self.control.send(json.dumps(request).encode() + b"\n")
        time.sleep(self.random.choice((0, 0, 0.001, 0.003, 0.01)))
        self.restart(signal.SIGKILL)

    def restart(self, how):
        self.bed.daemon.end(how)
        self.control.close()
        for phone in self.random.sample(self.phones[:LIVE], 3):
            if phone.current:
                self.air.ping(phone)
        self.bed.start_daemon()
        self.control = Control(self.bed.control_path)

    def count_descriptors(self):
        return len(os.listdir(f"/proc/{self.bed.daemon.pid}/fd"))

    # ---- phones ----

    def step(self):
        for what, often in DISTURBANCES.items():
            if self.random.random() * 1000 < often:
                self.note(what)
                getattr(self, what)()
        phone = self.random.choice(self.phones)
        what = "register"
        if phone.current:
            what, = self.random.choices(list(HABITS), HABITS.values())
        self.note(what, phone)
        try:
            getattr(self, what)(phone)
        except ControlError as why:
            stolen = phone.current and phone.current.id in self.known.stolen
            demand(stolen and why.reason in ("kernel_refused", "unknown_set"),
                   f"{phone.impi}, {what}: {why} ({why.reason})")
            self.known.goes(phone.current)
            phone.current = None

    def note(self, what, phone=None):
        self.done[what] += 1
        self.last_events.append(f"{what} {phone.impi if phone else ''}")

    def offer(self, phone, over=None):
        params = phone.offer(self.random)
        more = {"over": over.id} if over else {}
        begin = time.monotonic()
        offered = self.call("sa.offer", **params, **more)
        self.label += 1
        one = model.Set(self.label, {"params": params}, offered, (begin, time.monotonic()))
        self.known.made(one)
        return one

    def confirm(self, phone, one, expires=crowd.EXPIRES_S):
        begin = time.monotonic() + expires + model.MARGIN_S
        self.call("sa.confirm", set=one.id, expires=expires)
        one.end = begin, time.monotonic() + expires + model.MARGIN_S
        self.goes(phone.current)
        phone.current, phone.waits_until = one, 0
        if phone.is_live:
            self.air.install(phone, one)
            self.air.ping(phone)

    def drop(self, phone):
        self.goes(phone.current)
        if phone.is_live and phone.current:
            self.air.remove(phone)
        phone.current, phone.waits_until = None, 0

    def goes(self, one):
        """A phone's set until now, or None. Its loss need not be noticed any more."""
        if one:
            self.known.goes(one)
            self.ended_by_phone.add(one.id)

    def register(self, phone):
        if time.monotonic() > phone.waits_until:
            self.confirm(phone, self.offer(phone))

    come_back = register  # as one that has lost its state

    def reregister(self, phone):
        before = phone.current
        one = self.offer(phone, before)
        self.confirm(phone, one)
        self.call("sa.check", pcscf=lab.PCSCF_4, ue=phone.ue, ue_port=one.flows[0][0],
                  pcscf_port=one.flows[0][1], method="OPTIONS")
        self.known.goes(before, model.OLD_SET_S)

    def extend(self, phone):
        begin = time.monotonic() + crowd.EXPIRES_S + model.MARGIN_S
        self.call("sa.extend", set=phone.current.id, expires=crowd.EXPIRES_S)
        phone.current.end = begin, time.monotonic() + crowd.EXPIRES_S + model.MARGIN_S

    def fail(self, phone):
        one = self.offer(phone, phone.current)
        self.ended("sa.fail", set=one.id)
        self.known.goes(one)

    def leave(self, phone):
        self.ended("sa.release", set=phone.current.id, linger=0)
        self.drop(phone)

    def ended(self, method, /, **params):
        """Of a set that ends by this, or soon: asked again after a kill it may find nothing."""
        killed = self.kill_next
        try:
            self.call(method, **params)
        except ControlError as why:
            if not killed or why.reason != "unknown_set":
                raise

    def vanish(self, phone):
        """It never answers the challenge."""
        self.offer(phone, phone.current)
        phone.waits_until = time.monotonic() + crowd.REG_AWAIT_AUTH_S + crowd.LATE_S

    def lapse(self, phone):
        """It leaves, and comes back for some seconds; then its registration ends by itself."""
        self.leave(phone)
        one = self.offer(phone)
        seconds = self.random.randint(1, 4)
        self.ended("sa.confirm", set=one.id, expires=seconds)
        self.known.goes(one, seconds + model.MARGIN_S)

    # ---- what disturbs them ----

    def kill(self):
        self.restart(signal.SIGKILL)

    def stop(self):
        self.restart(signal.SIGTERM)

    def kill_in_a_call(self):
        self.kill_next = True

    def ping(self):
        phone = self.random.choice(self.phones[:LIVE])
        if phone.current:
            self.air.ping(phone)

    def steal(self):
        """A stranger deletes one of ours. Of a phone that sends nothing: that would stop."""
        phone = self.random.choice(self.phones[LIVE:])
        if not phone.current or phone.current.id in self.known.stolen:
            return
        src, dst, proto, spi = self.random.choice(list(phone.current.sas))
        self.known.stolen[phone.current.id] = phone
        self.bed.pcscf_host.ip("xfrm", "state", "delete", "src", src, "dst", dst, "proto", proto,
                               "spi", hex(spi))

    def steal_guard(self):
        try:
            self.bed.pcscf_host.ip("xfrm", "policy", "delete", "src", "0.0.0.0/0", "dst",
                                   f"{lab.PCSCF_4}/32", "dport", str(crowd.SERVER_PORT), "dir", "in")
        except OSError:
            self.done["steal_guard"] -= 1  # it is not back yet: contested

    def foreign_words(self, number):
        return f"src 192.0.2.77 dst {lab.PCSCF_4} proto esp spi {number:#x}"

    def put_foreign(self, number):
        self.bed.pcscf_host.ip("xfrm", "state", "add", *self.foreign_words(number).split(), "reqid",
                               str(FOREIGN_REQID), "mode", "transport", "auth-trunc", "hmac(sha1)",
                               "0x" + "11" * 20, "96", "enc", "ecb(cipher_null)", "")
        self.foreign.append(number)

    def other_programs(self):
        """They take out one of their own, and make another."""
        if len(self.foreign) > 3:
            number = self.foreign.pop(0)
            self.bed.pcscf_host.ip("xfrm", "state", "delete", *self.foreign_words(number).split())
        self.put_foreign(0x10000 + self.done["other_programs"])

    def garbage(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.connect(self.bed.control_path)
            one.settimeout(0.2)
            try:
                one.sendall(self.random.choice(GARBAGE))
                if self.random.random() < 0.5:
                    one.shutdown(socket.SHUT_WR)
                if self.random.random() < 0.3:
                    one.recv(65536)
            except OSError:
                pass  # it may well be thrown out

    # ---- does all agree? ----

    def listed(self):
        """All ids; a page whose beginning has gone is begun anew."""
        found, after = {}, None
        while True:
            try:
                page = self.call("sa.list", after=after)
            except ControlError as why:
                demand(why.reason == "unknown_set", str(why))
                found, after = {}, None
                continue
            found.update((one["set"], one["state"]) for one in page["sets"])
            after = page["next"]
            if not after:
                return found

    def look(self):
        self.note("look")
        listed = self.listed()
        sas = self.dump.sas()
        foreign = sorted(sa.spi for sa in sas if sa.reqid == FOREIGN_REQID)
        demand(foreign == sorted(self.foreign), f"strangers' SAs: {foreign}, not {self.foreign}")
        self.known.hold(self.phones, listed.keys(),
                        {sa.key for sa in sas if sa.reqid != FOREIGN_REQID})

    def run(self):
        end = time.monotonic() + SECONDS
        for phone in self.phones:
            self.register(phone)
            if time.monotonic() > end:
                break
        look_at = time.monotonic() + LOOK_EVERY_S
        while time.monotonic() < end:
            self.step()
            if time.monotonic() > look_at:
                self.look()
                look_at = time.monotonic() + LOOK_EVERY_S
        self.kill_next = False

    # ---- the end ----

    def settle(self):
        """What goes by itself is gone, and an audit has found what was stolen."""
        last = max(self.known.going.values(), default=0) + crowd.LATE_S
        self.bed.until(lambda: time.monotonic() > last, "what goes by itself is gone",
                       2 * crowd.REG_AWAIT_AUTH_S)
        self.call("daemon.audit")
        for one, phone in self.known.stolen.items():
            if phone.current and phone.current.id == one:
                self.ended_by_phone.discard(one)
                phone.current = None
        self.look()

    def reported_as_lost(self):
        return set(re.findall(r"event=set-lost set=([0-9a-f]+)", self.bed.daemon.errors()))

    def hold(self):
        """SA by SA, algorithms and keys too."""
        for number in self.foreign:
            self.bed.pcscf_host.ip("xfrm", "state", "delete", *self.foreign_words(number).split())
        self.foreign.clear()
        self.checker.hold([phone.current for phone in self.phones if phone.current])

    def resident_kib(self):
        with open(f"/proc/{self.bed.daemon.pid}/status", encoding="ascii") as file:
            return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])

    def waves(self):
        """Some come, re-register and go, again and again; resident memory after each."""
        after = []
        for _ in range(WAVES):
            some = [phone for phone in self.phones[LIVE:] if not phone.current][:WAVE]
            for phone in some:
                self.register(phone)
                self.reregister(phone)
            for phone in some:
                self.leave(phone)
            after.append(self.resident_kib())
        return after

    def leave_all(self):
        for phone in self.phones:
            if phone.current:
                self.leave(phone)
        self.look()


def end(soak, tap):
    soak.settle()
    lost, stolen = soak.reported_as_lost(), soak.known.stolen.keys()
    print(f"# {len(stolen)} sets lost an SA to a stranger, {len(lost)} were reported lost",
          flush=True)
    # A phone that asks for a set that is lost is told so at once: Soak.step(). A set that ended when
    # the daemon was killed over it may be reported, too.
    registered = {phone.current.id for phone in soak.phones if phone.current}
    tap.ok(not (lost - stolen) & registered, "no registered phone lost its SAs but by a stranger",
           lost - stolen)
    unseen = stolen - lost - soak.ended_by_phone
    tap.ok(not unseen, "and each of these is reported", unseen)
    soak.hold()
    tap.ok(True, "daemon, kernel and phones agree, SA by SA, key by key")
    for phone in soak.phones[:LIVE]:
        if phone.current:
            soak.air.ping(phone)
    tap.ok(True, f"messages passed at all times, {soak.air.count} pairs of them")
    soak.leave_all()
    after = soak.waves()
    tap.ok(after[-1] - after[0] <= EVENTS_KIB * 2 * WAVE * (WAVES - 1),
           "what sets leave behind in memory are a few events", after)
    soak.bed.until(lambda: soak.count_descriptors() == soak.descriptors,
                   "as many descriptors are open as at first")
    status = soak.call("daemon.status")
    tap.ok(not any(status["sets"].values()) and not soak.dump.sas()
           and len(soak.dump.policies()) == len(soak.checker.guards),
           "and nothing is left of all sets", status["sets"], len(soak.dump.sas()))


def main():
    tap = Tap()
    seed = int(os.environ.get("SECAGREE_SOAK_SEED") or secrets.randbelow(10**9))
    with lab.Lab([crowd.listener()]) as bed:
        bed.daemon_settings = {"audit-interval": AUDIT_INTERVAL_S, "log-limit": 0}
        soak = None
        try:
            soak = Soak(bed, seed)
            soak.run()
            tap.ok(True, f"{soak.label} sets in {SECONDS:.0f} s, seed {seed}")
            end(soak, tap)
        except (Mismatch, lab.Failure, OSError, LookupError, ControlError, ValueError) as why:
            tap.ok(False, f"the test runs to its end, seed {seed}",
                   f"{type(why).__name__}: {why}", *(soak.last_events if soak else ()),
                   *bed.daemon.errors().splitlines()[-15:])
        if soak:
            for what, count in sorted(soak.done.items()):
                print(f"# {count:6} {what}", flush=True)
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
