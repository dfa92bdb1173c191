#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each message that the daemon sends to the kernel in a registration, a re-registration, an
extension, a use, a failure and a release is refused in turn, with each error that a kernel may
have; its answers are lost; the store takes no write; no descriptor is left for a connection. Each
time the operation has happened wholly or not at all, what it left behind goes with an audit, done
again it gets the answer that it should, and no set that it does not concern has changed. TAP.

The daemon is loaded with refuse.c, which refuses.
"""

import errno
import mmap
import os
import signal
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import lab  # noqa: E402
import lives  # noqa: E402
from control import Control, ControlError  # noqa: E402
from lives import Wrong, demand  # noqa: E402
from tap import Tap  # noqa: E402

NOTHING, MESSAGE, ANSWERS, WRITE, CONNECTION = range(5)
ERRORS = (errno.EPERM, errno.EEXIST, errno.ENOMEM, errno.ENOBUFS, errno.EINVAL)
REASONS = {MESSAGE: {"kernel_refused", "spi_in_use"}, ANSWERS: {"kernel_refused"},
           WRITE: {"store_failed"}}


class Refuse(lives.Lives):
    def __init__(self, bed):
        path = os.path.join(bed.directory, "refuse")
        with open(path, "wb+") as file:
            file.write(bytes(mmap.PAGESIZE))
            file.flush()
            self.shared = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.words = ("env", f"LD_PRELOAD={lab.BUILD}/kernel/refuse.so",
                      f"SECAGREE_REFUSE={path}", os.path.join(lab.BUILD, "secagreed"))
        bed.make_hosts()
        bed.start_daemon(*self.words)
        super().__init__(bed)
        self.count = 0
        self.counts = {}  # (phone, operation, what): how many there are

    def order(self, what=NOTHING, nth=0, error=0):
        """Returns how many of the last order's kind have passed."""
        seen = struct.unpack_from("=i", self.shared, 12)[0]
        struct.pack_into("=iiii", self.shared, 0, what, nth, error, 0)
        return seen

    def ask(self, operation):
        """(answer, None) or (None, reason)"""
        try:
            return self.control.call(operation.method, **operation.params), None
        except ControlError as why:
            return None, why.reason

    def perform(self, phone, operation, what, nth, error):
        """Returns the answer, and whether it had as many of these. @nth 0: count them."""
        name = phone.impi, operation.name, what
        if nth and self.counts[name] < nth:
            return self.again(operation), False
        before = self.state(phone)
        target = operation.target(before)
        self.order(what, nth, error)
        answer, reason = self.ask(operation)
        seen = self.order()
        if not nth:
            self.counts[name] = seen
        if not nth or seen < nth:
            demand(reason is None, f"it is refused: {reason}")
            return answer, False
        self.count += 1
        demand(reason is None or reason in REASONS[what], f"the reason is {reason}")
        self.after(phone, what, before, target, reason)
        if what == WRITE:
            self.after_restart(phone, before if operation.name == "use" else None)
        answer = self.again(operation)
        demand(self.state(phone) == target, f"{self.state(phone)} is not {target}")
        return answer, True

    def after(self, phone, what, before, target, reason):
        state = self.state(phone)
        demand(state == before if reason else state == target,
               f"{reason or 'answered'}: {state}; it was {before}, it is to be {target}")
        report = self.control.call("daemon.audit")
        demand(not report["lost_sets"], f"a set is lost: {report}")
        self.agree()

    def after_restart(self, phone, before):
        """What was answered holds. @before: a state that does as well, of what happens by itself
        the next time."""
        state = self.state(phone)
        self.bed.daemon.end(signal.SIGKILL)
        self.bed.start_daemon(*self.words)
        self.connect()
        self.agree()
        demand(self.state(phone) in (state, before),
               f"{self.state(phone)} after a restart, not {state}")

    def again(self, operation):
        answer, reason = self.ask(operation)
        demand(reason is None or reason == "unknown_set"
               and operation.name in ("fail", "release"), f"done again, it is refused: {reason}")
        return answer

    def life(self, phone, what, nth, error):
        """Returns whether there was an operation with as many."""
        phone.roles.clear()
        fresh = iter("abc")
        any_refused = False
        for operation in self.operations(phone):
            try:
                answer, refused = self.perform(phone, operation, what, nth, error)
            except Wrong as why:
                raise Wrong(f"{phone.impi}, {operation.name}, kind {what}, number {nth}, "
                            f"{errno.errorcode.get(error, error)}: {why}") from why
            any_refused |= refused
            if operation.method == "sa.offer":
                phone.roles[next(fresh)] = answer["set"]
        return any_refused

    def each(self, phone, what, errors):
        """One error after the other, or, of those in a tuple, another one each time. Returns how
        often it was refused."""
        before = self.count
        self.life(phone, what, 0, 0)
        for error in errors:
            turns = error if isinstance(error, tuple) else (error,)
            nth = 1
            while self.life(phone, what, nth, turns[nth % len(turns)]):
                nth += 1
        demand(len(self.sets()) == 1, "another phone's set has changed")
        return self.count - before

    def connection(self):
        """The control socket has no descriptor for a caller, for a while."""
        self.order(CONNECTION, 1, errno.EMFILE)
        later = Control(self.bed.control_path)
        later.call("daemon.version")
        later.close()
        return self.order() >= 1


def run(bed, tap):
    refuse = Refuse(bed)
    shared, nat, _ = lives.phones()
    lives.bystander(refuse.control, 1)
    for error in ERRORS:
        count = refuse.each(shared, MESSAGE, [error])
        tap.ok(count > 20, f"{errno.errorcode[error]} for each of {count} messages", count)
    count = refuse.each(nat, MESSAGE, [ERRORS])
    tap.ok(count > 40, f"one or the other for each of {count} messages of a phone behind a NAT",
           count)
    count = refuse.each(shared, ANSWERS, [0]) + refuse.each(nat, ANSWERS, [0])
    tap.ok(count > 10, f"the answers to each of {count} datagrams are lost", count)
    count = refuse.each(shared, WRITE, [errno.ENOSPC])
    tap.ok(count > 5, f"no room at each of {count} steps of the store", count)
    tap.ok(refuse.connection(), "a caller waits until there is a descriptor for him")


def main():
    tap = Tap()
    with lab.Lab(lives.listeners()) as bed:
        with bed.to_the_end(tap):
            run(bed, tap)
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
