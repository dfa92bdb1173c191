#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What other programs do to our part of the kernel: policies flushed, deleted and changed, SAs
deleted, expired and added. The daemon sees it at once or by an audit, mends what can be mended,
gives up what cannot, and touches nothing foreign. TAP.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

KEYS = {"ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}
RCVBUF_BYTES = 32 * 1024 * 1024
PIDFD_OPEN, PIDFD_GETFD, SO_RCVBUFFORCE = 434, 438, 33


def offer(number, mod="trans"):
    behind_nat = {"via": f"10.0.0.{number}"} if mod != "trans" else {}
    return {"impi": f"phone{number}@ims.example", "ue": f"192.0.2.{100 + number}",
            "pcscf": lab.PCSCF_4, **behind_nat,
            "security_client": f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;mod={mod};"
                               f"spi-c={5000 + 2 * number};spi-s={5001 + 2 * number};"
                               "port-c=7000;port-s=7001", **KEYS}


def described(policy):
    """Without its index and its times."""
    return (*policy.key, policy.priority, tuple(policy.templates))


def rcvbuf(one):
    """The kernel counts twice what was asked for."""
    return one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def event_socket(pid):
    """The daemon's own, shared: that of its netlink sockets with the largest buffer."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        one = socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, int(name), 0))
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_NETLINK:
            found.append(one)
    os.close(pidfd)
    return max(found, key=rcvbuf)


class Test:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.control = Control(bed.control_path)

    def xfrm(self, *arguments):
        return self.bed.pcscf_host.ip("xfrm", *arguments)

    def policies(self):
        return sorted(described(one) for one in kernel.policies(self.bed.pcscf_host))

    def make(self, number, mod="trans"):
        one = self.control.call("sa.offer", **offer(number, mod))
        self.control.call("sa.confirm", set=one["set"], expires=600)
        return one["set"]

    def sets(self):
        return {one["set"] for one in self.control.call("sa.list")["sets"]}

    def becomes(self, condition, what, limit_s=30):
        try:
            self.bed.until(condition, what, limit_s)
        except lab.Failure:
            return False
        return True

    def mended(self, wanted, what):
        self.tap.ok(self.becomes(lambda: self.policies() == wanted, what), what,
                    self.xfrm("policy"))

    def logged(self, event):
        return self.becomes(lambda: f"event={event}" in self.bed.daemon.errors(), event, 10)

    # ---- policies ----

    def of(self, phone, direction):
        ours = [one for one in kernel.policies(self.bed.pcscf_host)
                if one.dir == direction and phone in one.src + one.dst]
        return ours[0]

    def policy_words(self, one):
        ports = []
        for name, port in (("sport", one.sport), ("dport", one.dport)):
            ports += [name, str(port)] if port else []
        return ["src", one.src, "dst", one.dst, *ports, "dir", one.dir]

    def flush(self, wanted):
        self.xfrm("policy", "flush")
        self.mended(wanted, "after a flush, guards and the sets' own policies are back")
        self.tap.ok(self.logged("guard-lost") and self.logged("policy-lost"),
                    "and the log says so", self.bed.daemon.errors()[-1000:])

    def delete_one(self, wanted):
        for direction in ("in", "out"):
            self.xfrm("policy", "delete", *self.policy_words(self.of("192.0.2.102", direction)))
            self.mended(wanted, f"a set's policy that was deleted is back: {direction}")

    def guard(self):
        return next(one for one in kernel.policies(self.bed.pcscf_host)
                    if one.dir == "in" and one.dport == 6100 and one.src == "0.0.0.0/0")

    def change(self, wanted):
        words = self.policy_words(self.guard())
        self.xfrm("policy", "update", *words, "priority", "1")  # allow all, no template
        self.mended(wanted, "a guard that another program changed is right again")
        self.xfrm("policy", "update", *words, "priority", "1")
        self.tap.ok(self.logged("guard-contested"), "changed again at once, it is contested")
        status, report = self.audit()
        found = {one["found"] for one in report.get("findings", ())}
        self.tap.ok(status == 3 and found == {"missing_guard"}, "and an audit says that it is not "
                    "there", status, report)
        self.mended(wanted, "and right again after some seconds")

    # ---- SAs ----

    def hard_limit(self):
        """The limit that the kernel enforces ends the set at once."""
        ended, stays = self.make(3), self.make(4)
        sa = next(one for one in kernel.sas(self.bed.pcscf_host) if one.src == "192.0.2.103")
        self.xfrm("state", "update", "src", sa.src, "dst", sa.dst, "proto", "esp", "spi",
                  hex(sa.spi), "mode", "transport", "auth-trunc", "hmac(sha1)", "0x" + "00" * 20,
                  "96", "enc", "ecb(cipher_null)", "", "limit", "time-hard", "1")
        self.becomes(lambda: ended not in self.sets(), "the set is gone")
        left = [one for one in kernel.sas(self.bed.pcscf_host)
                if "192.0.2.103" in (one.src, one.dst)]
        self.tap.ok(ended not in self.sets() and not left and stays in self.sets(),
                    "an SA at its hard limit ends its set, and no other", self.sets(), len(left))

    def audit(self, *options):
        """secagreectl's, which reads the kernel itself: exit status and report."""
        done = subprocess.run([os.path.join(lab.BUILD, "secagreectl"), "--socket",
                               self.bed.control_path, "--json", "audit", *options],
                              capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr}

    def xfrm_of(self, sa, *words):
        self.xfrm("state", words[0], "src", sa.src, "dst", sa.dst, "proto", "esp", "spi",
                  hex(sa.spi), *words[1:])

    def sa_to(self, phone):
        return next(one for one in kernel.sas(self.bed.pcscf_host)
                    if one.dst == f"192.0.2.{100 + phone}")

    def audits(self):
        status, report = self.audit()
        self.tap.ok(status == 0 and report["clean"] and not report["findings"]
                    and report["sets"] == len(self.sets()) and report["sas"] == 4 * report["sets"],
                    "an audit of what is right is clean", status, report)
        gone, changed, stays = self.make(5), self.make(9), self.make(6)
        self.xfrm_of(self.sa_to(5), "delete")
        self.lose_time(9)
        self.add_sa("0x77770001", 33203)
        self.add_sa("0x77770002", 1)
        self.finds(changed, gone)
        status, report = self.audit("--mend")
        left = {one.spi for one in kernel.sas(self.bed.pcscf_host)}
        mended = report.get("mended", {})
        self.tap.ok(status == 3 and [mended.get(name) for name in (
            "lost_sets", "orphan_sas", "restored_limits")] == [1, 1, 1],
                    "--mend tells what was mended", status, report)
        self.tap.ok(gone not in self.sets() and stays in self.sets(),
                    "a set whose SA somebody deleted is lost", self.sets())
        self.tap.ok(0x77770001 not in left, "an SA with our mark that belongs to no set goes")
        self.tap.ok(0x77770002 in left, "one of another owner stays")
        status, report = self.audit()
        self.tap.ok(status == 0, "the next audit is clean", status, report)
        self.xfrm("state", "delete", "src", "192.0.2.77", "dst", lab.PCSCF_4, "proto", "esp",
                  "spi", "0x77770002")

    def finds(self, changed, gone):
        before = kernel.sa_count(self.bed.pcscf_host)
        status, report = self.audit()
        found = sorted((one["found"], one["set"]) for one in report.get("findings", ()))
        self.tap.ok(status == 3 and found == [("early_limit", changed), ("missing_sa", gone),
                                              ("unknown_sa", None)],
                    "an audit tells what differs, read by libnl", status, report)
        self.tap.ok(report["foreign_sas"] == 1 and before == kernel.sa_count(self.bed.pcscf_host)
                    and gone in self.sets(), "and changes nothing", report)

    def lose_time(self, phone):
        """The kernel would end this SA long before the registration does."""
        self.xfrm_of(self.sa_to(phone), "update", "mode", "transport", "auth-trunc", "hmac(sha1)",
                     "0x" + "00" * 20, "96", "enc", "ecb(cipher_null)", "", "limit", "time-hard",
                     "300")

    def audits_policies(self):
        """What is missing the daemon has put back before it is asked; what is too much it leaves
        until then."""
        words = ("src", "192.0.2.99", "dst", lab.PCSCF_4, "dport", "7777", "dir", "in")
        self.xfrm("policy", "add", *words, "priority", "2079", "tmpl", "proto", "esp", "reqid",
                  "33203", "mode", "transport")
        status, report = self.audit("--mend")
        self.tap.ok(status == 3 and [one["found"] for one in report["findings"]]
                    == ["unknown_policy"] and report["mended"]["orphan_policies"] == 1,
                    "a policy with our mark that belongs to no set goes", status, report)

    def lost_events(self, wanted):
        """The daemon is held up while more happens than its buffer keeps."""
        gone, stays = self.make(7), self.make(8)
        sa = next(one for one in kernel.sas(self.bed.pcscf_host) if one.dst == "192.0.2.107")
        with event_socket(self.bed.daemon.pid) as events:
            events.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 2048)
        self.bed.daemon.process.send_signal(signal.SIGSTOP)
        foreign = [f"src 203.0.113.{n} dst 203.0.113.254 dir out" for n in range(1, 40)]
        self.bed.pcscf_host.ip_batch([f"xfrm policy add {one}" for one in foreign]
                                     + [f"xfrm policy delete {one}" for one in foreign])
        self.xfrm("policy", "flush")
        self.xfrm("state", "delete", "src", sa.src, "dst", sa.dst, "proto", "esp", "spi",
                  hex(sa.spi))
        self.bed.daemon.process.send_signal(signal.SIGCONT)
        self.tap.ok(self.logged("kernel-events-lost"), "lost events are noticed")
        self.mended(wanted, "and what they would have told is found: policies are back")
        self.tap.ok(self.becomes(lambda: gone not in self.sets(), "lost") and stays in self.sets(),
                    "and the set is lost whose SA went meanwhile", self.sets())

    def add_sa(self, spi, reqid):
        self.xfrm("state", "add", "src", "192.0.2.77", "dst", lab.PCSCF_4, "proto", "esp", "spi",
                  spi, "reqid", str(reqid), "mode", "transport", "auth-trunc", "hmac(sha1)",
                  "0x" + "11" * 20, "96", "enc", "ecb(cipher_null)", "")

    def exact(self):
        """As many SAs as the sets have."""
        return kernel.sa_count(self.bed.pcscf_host) == 4 * len(self.sets())


def run(bed, tap):
    test = Test(bed, tap)
    with event_socket(bed.daemon.pid) as events:
        tap.ok(rcvbuf(events) >= 2 * RCVBUF_BYTES, "the kernel's events have 32 MiB of buffer",
               rcvbuf(events))
    test.make(1)
    test.make(2, "UDP-enc-tun")
    wanted = test.policies()
    tap.ok(len(wanted) == 8, "four guards, and four policies of the set behind a NAT", wanted)
    test.flush(wanted)
    test.delete_one(wanted)
    test.change(wanted)
    test.hard_limit()
    test.audits()
    test.audits_policies()
    test.lost_events(wanted)
    tap.ok(test.exact(), "the kernel holds the SAs of the sets and no others")
    for one in test.sets():
        test.control.call("sa.release", set=one)
    tap.ok(kernel.sa_count(bed.pcscf_host) == 0 and len(test.policies()) == 4,
           "sets go with the policies that came back", test.policies())


def main():
    tap = Tap()
    with lab.Lab([lab.listener("ims", lab.PCSCF_4)]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        with bed.to_the_end(tap):
            run(bed, tap)
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly")
        bed.flush()
        tap.ok(not kernel.policies(bed.pcscf_host), "and --flush takes its guards along")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
