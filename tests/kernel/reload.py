#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reload, of the real daemon as its own user and under its filter of system calls: a registered
phone has traffic through all of it; a wrong file changes nothing; listeners come, leave with their
last set, and come back; what waits for a restart is named; and no clear text passes a protected
port while its guards change. TAP. About a minute.
"""

import os
import pwd
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import lab  # noqa: E402
import xfrm_dump  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

USER = "nobody"  # is on every machine
SECOND = "192.0.2.2"
ROUNDS = 24
IN_CLEAR = 50  # packets in each round
IMS = lab.listener("ims", lab.PCSCF_4)
WIDER = lab.listener("ims", lab.PCSCF_4, 6100, (6104, 6111))


def second(name="second", last=6107, **settings):
    return lab.listener(name, SECOND, 6100, (6104, last), **settings)


def offer(number):
    return {"impi": f"crowd{number}@ims.example", "pcscf": SECOND, "ue": f"10.0.0.{number}",
            "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;"
                               f"spi-c={100000 + 2 * number};spi-s={100001 + 2 * number};"
                               "port-c=7000;port-s=7001",
            "ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}


class Bed(lab.Lab):
    def write(self, listeners, settings=None, more=""):
        """The daemon's file as it is to be."""
        text = lab.daemon_config(self.control_path, listeners,
                                 {"state-dir": f'"{self.directory}/state"', **(settings or {})})
        text = text.replace('user = "root"', f'user = "{USER}"').replace('group = "root"', "")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text + more)

    @property
    def path(self):
        return os.path.join(self.directory, "secagreed.conf")

    def start_daemon(self):
        user = pwd.getpwnam(USER)
        os.chown(self.directory, user.pw_uid, user.pw_gid)
        self.write([IMS])
        self.daemon = self._start("secagreed", [os.path.join(lab.BUILD, "secagreed"), "--config",
                                                self.path, "--foreground"], self.pcscf_host,
                                  lab.plain)
        self.until(self._daemon_answers, "the daemon answers on its socket")


class Flood(threading.Thread):
    """Clear text to a protected port, as long as it is wanted."""

    def __init__(self, bed):
        super().__init__(daemon=True)
        self.wanted, self.sent = True, 0
        with bed.pcscf_host.inside():
            self.target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.target.bind((SECOND, 6100))
        self.target.setblocking(False)
        with bed.phone_host.inside():
            self.source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def run(self):
        while self.wanted:
            self.source.sendto(b"in clear", (SECOND, 6100))
            self.sent += 1
            time.sleep(0.0005)

    def end(self):
        """How many arrived."""
        self.wanted = False
        self.join()
        arrived = 0
        while True:
            try:
                self.target.recv(100)
                arrived += 1
            except BlockingIOError:
                return arrived


class Reload:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.dump = xfrm_dump.Dump(bed.pcscf_host)
        self.control = Control(bed.control_path)

    def reload(self, *args, **more):
        self.bed.write(*args, **more)
        return self.control.call("daemon.reload")

    def refused(self, *args, **more):
        try:
            return "taken", self.reload(*args, **more)
        except ControlError as why:
            return why.reason, str(why)

    def kernel(self):
        return {sa.key: sa.add_time for sa in self.dump.sas()}

    def guarded(self, address):
        return {policy.selector.dport for policy in self.dump.policies()
                if policy.dir == "in" and policy.selector.dst == address + "/32"}

    def answers(self, transport="udp"):
        return self.bed.front_end_options(transport)[1]["status"] == 200

    # ---- a registered phone ----

    def by_signal(self):
        before = self.kernel()
        self.bed.write([IMS], {"audit-interval": 77})
        mark = self.bed.front_end.say("options udp")
        self.bed.daemon.process.send_signal(signal.SIGHUP)
        status = self.bed.wait("pcscf", "answered", since=mark, unless=("error",))["status"]
        self.bed.until(lambda: "event=reloaded changed=audit-interval" in self.bed.daemon.errors(),
                       "the log says that it was reloaded")
        self.tap.ok(status == 200 and self.answers("tcp") and self.kernel() == before,
                    "SIGHUP: traffic and SAs of a phone go on", status)
        with open(f"/proc/{self.bed.daemon.pid}/status", encoding="ascii") as file:
            lines = dict(line.rstrip("\n").split(":\t") for line in file if ":\t" in line)
        self.tap.ok(lines["Seccomp"] == "2" and
                    lines["Uid"].split()[0] == str(pwd.getpwnam(USER).pw_uid) and
                    int(lines["CapEff"], 16) == 1 << 12,
                    "as its own user, under its filter, with CAP_NET_ADMIN alone", lines["Uid"])

    def wrong_file(self):
        before = self.kernel(), self.guarded(lab.PCSCF_4)
        said = self.refused([IMS], more="log-identity = \"loud\"\n")
        self.tap.ok(said[0] == "bad_config" and ":10: log-identity" in said[1],
                    "a wrong file is refused with its line", said)
        said = self.refused([IMS, lab.listener("third", "192.0.2.3", modes=("UDP-enc-tun",))])
        self.tap.ok(said[0] == "bad_config" and "192.0.2.3 is no address of this machine" in said[1],
                    "so is one that this machine cannot do", said)
        said = self.refused([second("moved")], {"max-sets": 5})
        self.tap.ok(said[0] == "taken" and said[1]["leaving"] == ["ims"], "a listener leaves", said)
        said = self.refused([lab.listener("new", lab.PCSCF_4)])
        self.tap.ok(said[0] == "bad_config" and "share a port" in said[1],
                    "another one has its ports only when it is gone", said)
        self.reload([IMS], {"audit-interval": 77})
        os.chmod(self.bed.path, 0)
        said = self.refused_as_is()
        os.chmod(self.bed.path, 0o644)
        self.tap.ok(said == "bad_config", "a file that its user cannot read is refused", said)
        self.tap.ok((self.kernel(), self.guarded(lab.PCSCF_4)) == before and self.answers(),
                    "and the phone notices nothing")

    def refused_as_is(self):
        try:
            return self.control.call("daemon.reload")
        except ControlError as why:
            return why.reason

    def waits_for_restart(self):
        moved = lab.listener("ims", lab.PCSCF_4, 6200, (6204, 6207), reqid=77, verify='"lenient"')
        said = self.reload([moved])
        waits = {"listener ims: server-port", "listener ims: reqid", "listener ims: client-ports"}
        self.tap.ok(set(said["restart"]) == waits, "what needs a restart is named", said)
        self.tap.ok("listener ims: verify" in said["changed"] and self.answers(),
                    "the rest is taken", said)
        said = self.reload([WIDER])
        self.tap.ok("listener ims: client-ports" in said["changed"] and
                    self.guarded(lab.PCSCF_4) == {6100, 6104} and self.answers("tcp"),
                    "client ports become more under a living set", said,
                    self.guarded(lab.PCSCF_4))
        self.tap.ok(self.control.call("daemon.audit")["clean"], "an audit finds nothing")

    # ---- listeners ----

    def comes_and_leaves(self):
        self.reload([WIDER, second()])
        self.tap.ok(self.guarded(SECOND) == {6100, 6104}, "a new listener is guarded",
                    self.guarded(SECOND))
        made = self.control.call("sa.offer", **offer(1))["set"]
        self.control.call("sa.confirm", set=made, expires=3600)
        said = self.reload([WIDER])
        try:
            self.control.call("sa.offer", **offer(2))
            reason = "nothing"
        except ControlError as why:
            reason = why.reason
        self.tap.ok(said["leaving"] == ["second"] and reason == "listener_leaves" and
                    self.guarded(SECOND), "one with a set leaves, and takes no more", said, reason)
        extended = self.control.call("sa.extend", set=made, expires=7200)
        self.tap.ok(extended["expires_in"] > 7000, "its set lives on", extended)
        self.control.call("sa.release", set=made, linger=0)
        self.bed.until(lambda: not self.guarded(SECOND), "its guards are gone")
        self.tap.ok("event=listener-left listener=second" in self.bed.daemon.errors() and
                    len(self.control.call("daemon.status")["listeners"]) == 1,
                    "and goes with it, guards and all")

    def no_gap(self):
        """The listener's ports and name change, and one comes and goes beside it."""
        self.reload([WIDER, second()])
        flood = Flood(self.bed)
        dropped = self.bed.xfrm_counters()["XfrmInTmplMismatch"]
        flood.start()
        said = []
        for number in range(ROUNDS):
            said.append(self.reload([WIDER, second(("second", "other")[number % 2],
                                                   (6107, 6111)[number // 2 % 2])]))
            self.bed.until(lambda: flood.sent >= IN_CLEAR * (number + 1), "clear text was sent")
        arrived = flood.end()
        dropped = self.bed.xfrm_counters()["XfrmInTmplMismatch"] - dropped
        changes = sum(len(one["changed"]) for one in said)
        self.tap.ok(arrived == 0 and dropped >= IN_CLEAR * ROUNDS and changes > 10,
                    f"of {flood.sent} in clear none passes while guards change", arrived, dropped)
        self.tap.ok(self.answers(), "and the phone has its traffic")

    def phone_of_a_leaving_listener(self, phone):
        self.reload([second()])
        self.tap.ok(self.answers() and self.answers("tcp"),
                    "a phone of a leaving listener has its traffic")
        self.reload([WIDER, second()])
        self.bed.front_end.say("challenge always")
        mark = phone.say("reregister")
        self.bed.wait(phone.name, "reregistered", since=mark)
        self.tap.ok(self.answers(), "back again, it registers anew as ever")

    def restarts(self, phone):
        before = self.kernel()
        self.bed.daemon.end()
        self.bed.daemon = self.bed._start(
            "secagreed", [os.path.join(lab.BUILD, "secagreed"), "--config", self.bed.path,
                          "--foreground"], self.bed.pcscf_host, lab.plain)
        self.bed.until(self.bed._daemon_answers, "the next daemon answers")
        self.control = Control(self.bed.control_path)
        self.tap.ok(self.kernel() == before and self.answers(),
                    "a restart after all that loses nothing")
        mark = phone.say("deregister")
        self.bed.wait(phone.name, "deregistered", since=mark, unless=("failed",))
        phone.say("quit")
        self.tap.ok(phone.end(how=None) == 0, "and the phone leaves")

    def run(self):
        phone = self.bed.start_phone()
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        self.by_signal()
        self.wrong_file()
        self.waits_for_restart()
        self.comes_and_leaves()
        self.no_gap()
        self.phone_of_a_leaving_listener(phone)
        self.restarts(phone)


def main():
    tap = Tap()
    with Bed([IMS, second()]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        bed.listeners = [WIDER]  # the front end's; the second address is there for later
        bed.start_front_end()
        reload = Reload(bed, tap)
        with bed.to_the_end(tap):
            reload.run()
        reload.dump.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
