#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""An IKE daemon beside secagreed, in one network namespace: strongSwan's charon has an IKE SA and
two CHILD SAs of its own, and keeps them, byte for byte, and their traffic, through all that
secagreed does: registrations, audits, stops, a death without warning, and --flush. TAP.

    charon, echo -- peer0 -- charon, secagreed, front end -- wire0 -- phone

lib/charon.py has more about it. Larval SAs, which the kernel makes because charon hears every
ACQUIRE, are left alone, too.
"""

import os
import signal
import socket
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import charon  # noqa: E402
import lab  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402


class Bed(charon.Neighbour, lab.Lab):
    def make_hosts(self):
        super().make_hosts()
        self.make_peer()

    def start_again(self):
        self.start_daemon()
        self.start_front_end()

    def end_daemon(self, how):
        """The front end goes first: it has a connection."""
        self.front_end.end()
        return self.daemon.end(how)


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.watch = charon.Watch(bed, tap)

    def ours(self):
        return charon.ours(self.bed.pcscf_host)

    def larval(self):
        """A packet to a phone that has no SA: charon is asked, and cannot help."""
        before = self.bed.pcscf_host.ip("xfrm", "state")
        with self.bed.pcscf_host.inside(), \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((lab.PCSCF_4, self.bed.listeners[0]["client_ports"][1]))
            sock.sendto(b"nobody there", (lab.PHONE_4, 5064))
        audit = Control(self.bed.control_path).call("daemon.audit")
        self.tap.ok("spi 0x00000000" not in before and audit["larval_sas"] == 1
                    and audit["foreign_sas"] == len(self.watch.before[0]) and audit["clean"]
                    and not audit["orphan_sas"],
                    "an ACQUIRE of ours that charon hears leaves a larval SA, which is no orphan",
                    audit)
        self.watch.same("an ACQUIRE")

    def register(self):
        self.phone = self.bed.start_phone()
        self.does("register", "registered")
        self.tap.ok(len(self.ours()) == 4, "a phone registers", len(self.ours()))
        self.watch.same("registration")

    def does(self, command, event):
        mark = self.phone.say(command)
        self.bed.wait(self.phone.name, event, since=mark)

    def life(self):
        self.register()
        self.bed.front_end_options("udp")
        self.does("reregister", "reregistered")
        self.tap.ok(len(self.ours()) == 8, "it registers again", len(self.ours()))
        self.watch.same("re-registration")
        audit = Control(self.bed.control_path).call("daemon.audit")
        self.tap.ok(audit["clean"] and audit["foreign_sas"] == len(self.watch.before[0]),
                    "an audit counts charon's SAs as foreign", audit)
        self.watch.same("audit")
        self.does("deregister", "deregistered")
        self.bed.until(lambda: not self.ours(), "the phone's SAs are gone")
        self.end_phone()
        self.watch.same("de-registration")

    def end_phone(self):
        self.phone.say("quit")
        self.phone.end(how=None)

    def leave_behind(self, how):
        """The daemon goes while a phone is registered; what it had stays in the kernel."""
        self.register()
        status = self.bed.end_daemon(how)
        self.tap.ok(status in (0, -how) and len(self.ours()) == 4,
                    f"the daemon goes by signal {how:d}, its SAs stay", status, len(self.ours()))
        self.watch.same("gone")
        self.phone.end(signal.SIGKILL)

    def come_back(self):
        self.bed.start_again()
        sets = Control(self.bed.control_path).call("sa.list")["total"]
        self.tap.ok(sets == 1 and len(self.ours()) == 4, "it comes back and knows them", sets)
        self.watch.same("back")
        self.bed.release_everything()
        self.tap.ok(not self.ours(), "it lets them go", len(self.ours()))
        self.watch.same("release")

    def flush(self):
        self.bed.flush()
        self.tap.ok(not self.ours(), "secagreed --flush takes out what is secagreed's",
                    len(self.ours()))
        self.watch.same("--flush")

    def run(self):
        self.bed.start_daemon()
        self.watch.same("start")
        self.larval()
        self.bed.start_front_end()
        self.life()
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.leave_behind(how)
            self.come_back()
        self.leave_behind(signal.SIGTERM)
        self.flush()
        self.watch.alive()


def main():
    tap = Tap()
    with Bed([lab.listener("ims", lab.PCSCF_4, encap_port=charon.ENCAP_PORT)]) as bed:
        bed.make_hosts()
        try:
            bed.start_charons()
            Test(bed, tap).run()
        except (lab.Failure, OSError, LookupError) as error:
            tap.ok(False, "the test runs to its end", error,
                   *(lab.line_of(event)[:300] for event in bed.events[-20:]
                     if event["who"] != "echo"))
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
