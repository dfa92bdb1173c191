#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Restart and upgrade under traffic: a phone that is registered notices nothing, whether the daemon
stops or dies, and whichever binary comes next; sets, states, identities, ways and answers are what
they were; what the kernel lost is forgotten; a changed listener's sets go; a full store and a lack
of descriptors refuse what they must and lose nothing; strangers' objects are untouched. TAP.

    SECAGREE_RESTART_SETS   so many sets in the crowd, 50 by default; how long a start takes is said
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import kernel  # noqa: E402
import lab  # noqa: E402
import xfrm_dump  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

KEYS = {"ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}
SECOND = "192.0.2.2"
ENCAP_PORT = 4500
HIGH_FD = 100  # descriptors are moved down from here
STRANGERS = (("state", "src 192.0.2.77 dst 192.0.2.1 proto esp spi 0x77 reqid 7 mode transport "
              "auth-trunc hmac(sha1) 0x0102030405060708090a0b0c0d0e0f1011121314 96 "
              "enc cbc(aes) 0x0102030405060708090a0b0c0d0e0f10"),
             ("policy", "src 192.0.2.77/32 dst 192.0.2.1/32 dir in priority 9 "
              "tmpl proto esp reqid 7 mode transport"))


def sequence_numbers(sa):
    """The last ones sent and received."""
    for kind, data in xfrm_dump.attributes(sa.raw[224:]):
        if kind == xfrm_dump.REPLAY_ESN:
            return struct.unpack_from("=II", data, 4)
    raise LookupError("an SA without replay state")


def member(number, pcscf=lab.PCSCF_4, **more):
    """An offer of one of the crowd."""
    return {"impi": f"crowd{number}@ims.example", "pcscf": pcscf,
            "ue": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "transaction": f"z9hG4bK{number}", "impu": [f"sip:crowd{number}@ims.example"],
            "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;"
                               f"spi-c={100000 + 2 * number};spi-s={100001 + 2 * number};"
                               "port-c=7000;port-s=7001", **KEYS, **more}


class Manager:
    """What a service manager does with descriptors: it keeps what one run gives it for the next."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.kept = []  # descriptors
        self.said = []

    def listen(self):
        while True:
            try:
                text, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
            except BlockingIOError:
                return
            self.said.append(text.decode())
            if "FDSTOREREMOVE=1" in self.said[-1]:
                self.drop()
            for fd in fds:
                if not any(os.path.sameopenfile(fd, one) for one in self.kept):
                    self.kept.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD))
                os.close(fd)

    def drop(self):
        """All had the same name."""
        for fd in self.kept:
            os.close(fd)
        self.kept.clear()

    def start(self, bed):
        """A run that inherits what is kept."""
        moves = "".join(f" {3 + at}<&{fd} {fd}<&-" for at, fd in enumerate(self.kept))
        script = (f"export NOTIFY_SOCKET={self.path} LISTEN_FDS={len(self.kept)} LISTEN_PID=$$; "
                  f'exec "$0" "$@"{moves}')
        bed.start_daemon("bash", "-c", script, os.path.join(lab.BUILD, "secagreed"),
                         pass_fds=self.kept)
        self.listen()

    def inodes(self):
        return sorted(os.fstat(fd).st_ino for fd in self.kept)

    def close(self):
        self.drop()
        self.socket.close()


class Restart:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.dump = xfrm_dump.Dump(bed.pcscf_host)
        self.control = None
        self.connect()

    def connect(self):
        if self.control:
            self.control.close()
        self.control = Control(self.bed.control_path)

    def restart(self, how=signal.SIGTERM, between=lambda: None, program=None):
        """Its exit status, and how long the next one took to answer."""
        status = self.bed.daemon.end(how)
        between()
        begin = time.monotonic()
        self.bed.start_daemon(*[program] * bool(program))
        seconds = time.monotonic() - begin
        self.connect()
        return status, seconds

    def sets(self):
        """All sets as sa.show has them, without what goes on meanwhile."""
        found, after = {}, None
        while True:
            page = self.control.call("sa.list", after=after)
            found.update((one["set"], one) for one in page["sets"])
            if len(found) >= page["total"] or not page["sets"]:
                return found
            after = page["sets"][-1]["set"]

    def shown(self):
        shown = {}
        for set_id in self.sets():
            one = self.control.call("sa.show", set=set_id)
            one.pop("expires_in")
            for sa in one["sas"]:
                for name in ("bytes", "packets", "used_ago", "hard_left"):
                    sa.pop(name, None)
            shown[set_id] = one
        return shown

    def ours(self):
        """The kernel's SAs that are ours, by name."""
        return {sa.key: sa for sa in self.dump.sas() if sa.reqid != 7}

    def foreign(self):
        return ([sa.raw for sa in self.dump.sas() if sa.reqid == 7],
                [policy.raw for policy in self.dump.policies() if policy.priority == 9])

    # ---- a phone ----

    def phone(self):
        """Registered; then restarts of each kind, with traffic before, meanwhile and after."""
        phone = self.bed.start_phone()
        mark = phone.say("register")
        self.bed.wait(phone.name, "registered", since=mark)
        for transport in ("udp", "tcp"):
            self.bed.front_end_options(transport)
        other = os.path.join(self.bed.directory, "secagreed-next")
        shutil.copy(os.path.join(lab.BUILD, "secagreed"), other)
        self.under_traffic("SIGKILL", signal.SIGKILL, None)
        self.under_traffic("SIGTERM", signal.SIGTERM, None)
        self.under_traffic("a new binary", signal.SIGTERM, other)
        return phone

    def under_traffic(self, name, how, program):
        before = self.ours()
        listed = self.sets()
        asked = []

        def ask_meanwhile():
            asked.append(self.bed.front_end.say("options udp"))

        status, _ = self.restart(how, ask_meanwhile, program)
        answered = self.bed.wait("pcscf", "answered", since=asked[0], unless=("error",))
        after = self.ours()
        self.tap.ok(status == (-9 if how == signal.SIGKILL else 0) and answered["status"] == 200,
                    f"{name}: a request of meanwhile is answered", status, answered)
        self.tap.ok(before.keys() == after.keys() and
                    all(after[key].add_time == sa.add_time for key, sa in before.items()),
                    f"{name}: the SAs are those of before")
        self.tap.ok(self.sets().keys() == listed.keys(), f"{name}: so are the sets")
        moved = [sequence_numbers(after[key]) > sequence_numbers(sa)
                 for key, sa in before.items()]
        self.tap.ok(any(moved) and all(sequence_numbers(after[key]) >= sequence_numbers(sa)
                                       for key, sa in before.items()),
                    f"{name}: sequence numbers go on", moved)
        _, answered = self.bed.front_end_options("tcp")
        self.tap.ok(answered["status"] == 200, f"{name}: the next one over TCP, too", answered)

    def reregisters(self, phone):
        """A re-registration in the middle of which the daemon is replaced."""
        self.bed.front_end.say("challenge always")
        mark = phone.say("reregister")
        self.bed.wait("pcscf", "call", since=mark, method="sa.offer")
        self.restart(signal.SIGKILL)
        self.bed.wait(phone.name, "reregistered", since=mark)
        self.bed.front_end_options("udp")
        states = sorted(one["state"] for one in self.sets().values() if "crowd" not in one["impi"])
        self.tap.ok(states == ["current", "old"],
                    "a re-registration goes on over a kill between challenge and answer", states)
        mark = phone.say("deregister")
        self.bed.wait(phone.name, "deregistered", since=mark, unless=("failed",))
        phone.say("quit")
        self.tap.ok(phone.end(how=None) == 0, "and the phone leaves as ever")

    # ---- a crowd ----

    def crowd(self, count):
        """Temporary, current and re-registered ones, each with what only it has."""
        for number in range(count):
            made = self.control.call("sa.offer", **member(number))["set"]
            if number % 4:
                self.control.call("sa.confirm", set=made, expires=3600 + number,
                                  impu=[f"tel:+1555{number}"])
            if number % 4 == 3:
                over = member(number, over=made, transaction=f"again{number}")
                over["security_client"] = over["security_client"].replace(
                    "port-c=7000", "port-c=7002").replace("spi-c=1", "spi-c=2").replace(
                        "spi-s=1", "spi-s=2")
                self.control.call("sa.confirm", set=self.control.call("sa.offer", **over)["set"],
                                  expires=3600)

    def comes_back(self, count):
        self.crowd(count)
        before, foreign = self.shown(), self.foreign()
        left = {one["set"]: one["expires_in"] for one in self.sets().values()}
        kernel = self.ours().keys()
        asked = time.monotonic()
        _, seconds = self.restart(signal.SIGKILL)
        print(f"# {len(before)} sets: the daemon answers {seconds:.2f} s after its start",
              flush=True)
        after = self.shown()
        passed = time.monotonic() - asked
        wrong = [set_id for set_id in before if after.get(set_id) != before[set_id]]
        self.tap.ok(len(after) == len(before) and not wrong,
                    f"{len(before)} sets come back with all that is known of them",
                    *[f"{before[one]}\n{after.get(one)}" for one in wrong[:2]])
        late = [one for one in self.sets().values()
                if not -2 <= left[one["set"]] - one["expires_in"] <= passed + 3]
        self.tap.ok(not late, "and their time goes on", passed, late[:2])
        self.tap.ok(self.ours().keys() == kernel and self.foreign() == foreign,
                    "the kernel's SAs are those of before, strangers' objects untouched")
        again = self.control.call("sa.offer", **member(0))["set"]
        self.tap.ok(again in before, "a retransmission finds the set of before")
        route = self.control.call("sa.route", impi="crowd1@ims.example")
        self.tap.ok(route["state"] == "current", "sa.route knows the way", route)

    def audit_is_clean(self, what):
        report = self.control.call("daemon.audit")
        self.tap.ok(report["clean"], what, report)

    def lost_meanwhile(self):
        victim = next(one for one in self.sets().values() if one["impi"] == "crowd1@ims.example")
        sa = self.control.call("sa.show", set=victim["set"])["sas"][0]
        before = self.sets().keys()

        def steal():
            self.bed.pcscf_host.ip("xfrm", "state", "delete", "src", sa["src"], "dst", sa["dst"],
                                   "proto", "esp", "spi", str(sa["spi"]))

        self.restart(signal.SIGTERM, steal)
        self.tap.ok(before - self.sets().keys() == {victim["set"]} and
                    "event=set-lost set=" + victim["set"] in self.bed.daemon.errors(),
                    "a set that the kernel lost meanwhile is forgotten, and said to be lost")
        self.audit_is_clean("and what was left of it is gone")

    def wrong_moment(self):
        """--flush beside a running daemon."""
        try:
            self.bed.flush()
            said = "nothing"
        except OSError as why:
            said = str(why)
        self.tap.ok("another secagreed" in said and self.sets(),
                    "--flush beside a running daemon is refused", said)

    def changed_configuration(self):
        """The second listener has other ports: its sets go, the first one's stay."""
        self.control.call("sa.confirm", expires=3600,
                          set=self.control.call("sa.offer", **member(70000, SECOND))["set"])
        foreign, before = self.foreign(), self.sets()
        self.bed.listeners[1] = lab.listener("second", SECOND, 6200, (6204, 6207))
        self.restart()
        gone = {one["impi"] for set_id, one in before.items() if set_id not in self.sets()}
        ports = {policy.selector.dport for policy in self.dump.policies()
                 if policy.dir == "in" and policy.selector.dst == SECOND + "/32"}
        self.tap.ok(gone == {"crowd70000@ims.example"}, "sets of a changed listener go", gone)
        self.tap.ok(ports == {6200, 6204}, "its guards are where it is now", ports)
        self.tap.ok(self.foreign() == foreign, "strangers' objects are untouched")
        self.audit_is_clean("and nothing else is wrong")

    # ---- what there is too little of ----

    def full(self):
        """The store lies in a file system that has no room."""
        state = os.path.join(self.bed.directory, "state")
        filler = os.path.join(state, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError as why:
                self.tap.ok(why.errno == errno.ENOSPC, "the store's file system is full", why)
        refused, made = None, []
        for number in range(80000, 80400):
            try:
                made.append(self.control.call("sa.offer", **member(number))["set"])
            except ControlError as why:
                refused = why.reason
                break
        self.tap.ok(refused == "store_failed", "a full store refuses a new set", refused)
        self.audit_is_clean("and leaves nothing of it in the kernel")
        self.control.call("sa.release", impi="crowd2@ims.example", linger=0)
        os.unlink(filler)
        self.control.call("sa.offer", **member(80400))
        before = self.sets().keys()
        self.restart(signal.SIGKILL)
        self.tap.ok(self.sets().keys() == before, "with room again all is as it should be",
                    len(before), len(self.sets()))
        self.audit_is_clean("also in the kernel")

    def descriptors(self):
        """None is left for the daemon: what it has open is enough for what it does."""
        before = self.sets().keys()
        pid = self.bed.daemon.pid
        count = len(os.listdir(f"/proc/{pid}/fd"))
        subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={count}:{count}"], check=True)
        made = self.control.call("sa.offer", **member(90000))["set"]
        self.control.call("sa.confirm", set=made, expires=600)
        self.tap.ok(made in self.sets(), "without a free descriptor sets are made as ever")
        self.bed.daemon.end()
        with self.bed.pcscf_host.inside():
            few = subprocess.run(
                ["prlimit", "--nofile=9:9", os.path.join(lab.BUILD, "secagreed"), "--foreground",
                 "--config", os.path.join(self.bed.directory, "secagreed.conf")],
                capture_output=True, text=True, timeout=60, check=False)
        self.tap.ok(few.returncode == 1 and "Too many open files" in few.stderr,
                    "a start with too few descriptors says so", few.returncode, few.stderr[-400:])
        self.bed.start_daemon()
        self.connect()
        self.tap.ok(self.sets().keys() == before | {made}, "and takes nothing from the next one")
        self.audit_is_clean("neither in the kernel")

    def udp_sockets(self):
        """The daemon's, by inode."""
        where = f"/proc/{self.bed.daemon.pid}/fd"
        found = []
        for fd in os.listdir(where):
            with contextlib.suppress(FileNotFoundError):  # a connection that has just gone
                found.append(os.stat(os.path.join(where, fd)).st_ino)
        with open(f"/proc/{self.bed.daemon.pid}/net/udp", encoding="ascii") as file:
            bound = {int(line.split()[9]) for line in file.readlines()[1:]}
        return sorted(bound & set(found))

    def esp_in_udp(self):
        """Does the kernel take ESP out of UDP? One with an SPI that nobody has shows it."""
        pid = self.bed.front_end.pid

        def counts():
            with open(f"/proc/{pid}/net/snmp", encoding="ascii") as file:
                udp = [line.split() for line in file if line.startswith("Udp:")]
            return (kernel.counters(pid)["XfrmInNoStates"],
                    int(dict(zip(*udp))["NoPorts"]))
        before = counts()
        with self.bed.phone_host.inside():
            phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with phone:
            phone.sendto(b"\x66\x66\x66\x66" + bytes(60), (lab.PCSCF_4, ENCAP_PORT))
        self.bed.until(lambda: counts() != before, "the packet is counted")
        return counts()[0] > before[0]

    def kept_descriptors(self):
        """The sockets for ESP in UDP live on while no daemon holds them."""
        manager = Manager(self.bed.directory)
        self.bed.daemon.end()
        self.tap.ok(not self.esp_in_udp(), "a stop without a service manager ends ESP in UDP")
        manager.start(self.bed)
        first = self.udp_sockets()
        self.tap.ok(len(first) == 2 and manager.inodes() == first,
                    "the service manager is given the sockets for ESP in UDP", first,
                    manager.inodes(), *manager.said)
        self.bed.daemon.end(signal.SIGKILL)
        self.tap.ok(self.esp_in_udp(), "with them ESP in UDP goes on while no daemon runs")
        manager.start(self.bed)
        self.tap.ok(self.udp_sockets() == first and manager.inodes() == first,
                    "the next run inherits them", first, self.udp_sockets(), manager.inodes())
        self.bed.listeners[0] = lab.listener("ims", lab.PCSCF_4, encap_port=ENCAP_PORT + 1)
        self.bed.daemon.end()
        manager.said.clear()
        manager.start(self.bed)
        now = self.udp_sockets()
        self.tap.ok(len(now) == 2 and len(set(now) & set(first)) == 1 and
                    "FDSTOREREMOVE=1\nFDNAME=esp-in-udp" in manager.said and
                    manager.inodes() == now, "one of a port that is gone is given back", first,
                    now, manager.inodes(), *manager.said)
        self.connect()
        self.audit_is_clean("the sets are what they were")
        manager.close()

    def flush(self):
        self.bed.daemon.end()
        foreign = self.foreign()
        self.tap.ok(self.ours() and len(self.dump.policies()) > 1, "a stop leaves sets and guards")
        said = self.bed.flush()
        self.tap.ok(not self.ours() and len(self.dump.policies()) == 1 and
                    self.foreign() == foreign, "--flush takes them out, and nothing else")
        self.tap.ok(re.search(r"taken out of the kernel: [1-9]\d* sets", said) and
                    "event=started" not in said, "and says so", said)

    def run(self, count):
        for what, words in STRANGERS:
            self.bed.pcscf_host.ip("xfrm", what, "add", *words.split())
        phone = self.phone()
        self.comes_back(count)
        self.reregisters(phone)
        self.audit_is_clean("an audit finds nothing")
        self.lost_meanwhile()
        self.wrong_moment()
        self.changed_configuration()
        self.full()
        self.descriptors()
        self.kept_descriptors()
        self.flush()


def small_file_system(bed):
    """For the store alone, and in a mount namespace that ends with this test."""
    state = os.path.join(bed.directory, "state")
    os.mkdir(state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "none", state], check=True)
    bed.stack.callback(subprocess.run, ["umount", "-l", state], check=False)


def main():
    tap = Tap()
    listeners = [lab.listener("ims", lab.PCSCF_4), lab.listener("second", SECOND)]
    with lab.Lab(listeners) as bed:
        small_file_system(bed)
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        restart = Restart(bed, tap)
        with bed.to_the_end(tap):
            restart.run(int(os.environ.get("SECAGREE_RESTART_SETS", 50)))
        restart.dump.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
