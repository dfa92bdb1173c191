#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""secagreectl doctor on a kernel with ESP: nothing wrong is found where nothing is, and each fault
that is made is found and named. In namespaces; modules are taken out of a virtual machine only.
TAP.
"""

import contextlib
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
from tap import Tap  # noqa: E402

SERVER, CLIENTS = 6100, range(6104, 6108)
UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
WITHOUT_NET_ADMIN = ("setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin")
MODPROBE = "/proc/sys/kernel/modprobe"


class Found:
    """What one run found."""

    def __init__(self, done):
        self.exit, self.errors = done.returncode, done.stderr
        answer = json.loads(done.stdout) if done.stdout else {"findings": []}
        self.findings = answer["findings"]

    def has(self, check, level, *words):
        return any(one["check"] == check and one["level"] == level
                   and all(word in one["found"] + " " + one.get("do", "") for word in words)
                   for one in self.findings)

    def levels(self, check):
        return {one["level"] for one in self.findings if one["check"] == check}

    def fails(self):
        return [one for one in self.findings if one["level"] == "fail"]

    def __str__(self):
        return "\n".join([f"exit {self.exit} {self.errors}",
                          *(f"{one['level']} {one['check']}: {one['found']}"
                            for one in self.findings)])


class Test:
    def __init__(self, bed, tap):
        self.bed, self.tap = bed, tap
        self.host = bed.pcscf_host
        self.config = os.path.join(bed.directory, "secagreed.conf")
        self.sockets = {}

    def run(self, host, *prefix, config=None):
        with host.inside() if host else contextlib.nullcontext():
            return Found(subprocess.run(
                [*prefix, os.path.join(lab.BUILD, "secagreectl"), "doctor", "--json", "--config",
                 config or self.config], capture_output=True, text=True, timeout=100, check=False))

    def doctor(self, *prefix, config=None):
        return self.run(self.host, *prefix, config=config)

    def named(self, name, check, level, *words, found=None):
        found = found or self.doctor()
        self.tap.ok(found.has(check, level, *words), name, (check, level, *words), found)
        return found

    def fine(self, name, check):
        found = self.doctor()
        self.tap.ok(found.levels(check) == {"ok"}, name, found)

    def other_config(self, name, old, new):
        path = os.path.join(self.bed.directory, name)
        with open(self.config, encoding="utf-8") as file, \
                open(path, "w", encoding="utf-8") as copy:
            text = file.read()
            copy.write(text.replace(old, new))
        assert old in text
        return path

    def sysctl(self, name, value):
        with self.host.inside(), open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    @contextlib.contextmanager
    def set(self, name, value, after):
        self.sysctl(name, value)
        yield
        self.sysctl(name, after)

    @contextlib.contextmanager
    def policy(self, *words):
        self.host.ip("xfrm", "policy", "add", *words)
        yield
        selector = list(words[:words.index("dir") + 2])
        self.host.ip("xfrm", "policy", "delete", *selector,
                     *(words[-2:] if "if_id" in words else ()))

    def listen(self, kind, port, address=lab.PCSCF_4):
        with self.host.inside():
            one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
        if kind == TCP:
            one.listen()
        self.sockets[kind, port, address] = one
        return one

    def listen_all(self):
        for port in (SERVER, *CLIENTS):
            for address in (lab.PCSCF_4, lab.PCSCF_6):
                self.listen(UDP, port, address)
                self.listen(TCP, port, address)

    # ---- with a daemon ----

    def healthy(self):
        self.sysctl("ipv4/conf/lo/disable_policy", 0)
        found = self.doctor()
        self.tap.ok(found.exit == 0 and not found.fails(), "a machine that is right is fit", found)
        for check in ("daemon", "sockets", "capability", "algorithms", "addresses", "sysctls",
                      "policies", "ports", "encap", "eavesdroppers", "counters"):
            self.tap.ok(found.levels(check) == {"ok"}, f"{check}: nothing is found", found)
        found = self.run(None)
        self.tap.ok(found.levels("ports") == {"ok"} and found.levels("policies") == {"ok"},
                    "from another network namespace it looks into the daemon's", found)
        self.tap.ok(kernel.sa_count(self.host) == 0, "trying algorithms leaves no SAs")

    def ports(self):
        self.sockets.pop((UDP, 6105, lab.PCSCF_4)).close()
        self.sockets.pop((TCP, SERVER, lab.PCSCF_6)).close()
        found = self.named("the SIP server has no socket on a client port", "ports", "fail",
                           "UDP 192.0.2.1 port 6105, client ports")
        self.named("and none on the server port of the other listener", "ports", "fail",
                   "ims6: nothing listens on TCP 2001:db8::1 port 6100", found=found)
        self.tap.ok(found.exit == 3 and len(found.fails()) == 2, "and the status is 3", found)
        self.listen(UDP, 6105)
        self.listen(TCP, SERVER, lab.PCSCF_6)

    def policies(self):
        with self.policy("src", "0.0.0.0/0", "dst", "192.0.2.1/32", "dport", "6100", "proto", "udp",
                         "dir", "in", "priority", "10"):
            self.named("a policy that lets clear text in to port_ps is found", "policies", "fail",
                       "port 6100", "priority 10", "in clear", "above 2080")
        with self.policy("src", "192.0.2.0/24", "dst", "0.0.0.0/0", "dir", "out", "priority", "20",
                         "tmpl", "proto", "esp", "reqid", "7", "mode", "transport"):
            self.named("one of a whole subnet, outbound", "policies", "fail", "192.0.2.0/24",
                       "reqid 7")
        with self.policy("src", "2001:db8::/30", "dst", "2001:db8::/61", "dir", "in", "priority",
                         "20"):
            self.named("one of IPv6 subnets that end within a byte", "policies", "fail", "ims6",
                       "2001:db8::/61")
        with self.policy("src", "0.0.0.0/0", "dst", "192.0.2.1/32", "dport", "6106", "dir", "in",
                         "action", "block", "priority", "2080"):
            self.named("one of the same priority that blocks a client port", "policies", "fail",
                       "port 6106", "drops it")
        with self.policy("src", "0.0.0.0/0", "dst", "192.0.2.0/24", "dir", "in", "priority",
                         "9999"), \
                self.policy("src", "0.0.0.0/0", "dst", "192.0.2.1/32", "dport", "6108", "dir",
                            "in", "priority", "10"), \
                self.policy("src", "0.0.0.0/0", "dst", "192.0.2.2/32", "dir", "in", "priority",
                            "10"), \
                self.policy("src", "::/0", "dst", "2001:db8:0:8::/61", "dir", "in", "priority",
                            "10"), \
                self.policy("src", "0.0.0.0/0", "dst", "0.0.0.0/0", "proto", "icmp", "dir", "in",
                            "priority", "10"), \
                self.policy("src", "0.0.0.0/0", "dst", "0.0.0.0/0", "dir", "in", "priority", "10",
                            "if_id", "7"):
            self.fine("others that do not come first or do not meet them are not", "policies")

    def sysctls(self):
        device = lab.DEVICE
        with self.set(f"ipv4/conf/{device}/disable_policy", 1, 0):
            self.named("disable_policy of the interface with the address", "sysctls", "fail",
                       f"net.ipv4.conf.{device}.disable_policy=1", "clear text is let in",
                       f"sysctl -w net.ipv4.conf.{device}.disable_policy=0")
        with self.set(f"ipv4/conf/{device}/disable_xfrm", 1, 0):
            self.named("disable_xfrm", "sysctls", "fail", f"{device}.disable_xfrm=1",
                       "leaves in clear")
        with self.set("ipv4/conf/all/disable_policy", 1, 0):
            self.named("disable_policy of all interfaces", "sysctls", "fail",
                       "net.ipv4.conf.all.disable_policy=1")
        with self.set(f"ipv6/conf/{device}/disable_policy", 1, 0):
            self.named("disable_policy for IPv6", "sysctls", "fail",
                       f"net.ipv6.conf.{device}.disable_policy=1")
        with self.set("ipv4/conf/default/disable_policy", 1, 0):
            self.named("of interfaces to come", "sysctls", "warn", "conf.default.disable_policy=1")
        with self.set("ipv4/conf/lo/disable_policy", 1, 0):
            self.named("of the loopback", "sysctls", "warn", "conf.lo.disable_policy=1",
                       "programs of this machine")
        with self.set("core/xfrm_larval_drop", 0, 1):
            self.named("packets that wait for SAs", "sysctls", "warn", "xfrm_larval_drop")

    def counters(self):
        with self.bed.phone_host.inside(), socket.socket(socket.AF_INET, UDP) as phone:
            phone.sendto(b"OPTIONS sip:x SIP/2.0\r\n\r\n", (lab.PCSCF_4, SERVER))
        self.bed.until(lambda: kernel.counters(self.bed.daemon.pid)["XfrmInTmplMismatch"],
                       "it is counted")
        self.named("clear text to a protected port is counted and explained", "counters", "warn",
                   "XfrmInTmplMismatch 1:", "clear text to a protected port")

    def eavesdroppers(self):
        with self.host.inside(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6) as one:
            one.bind((0, 0b101))
            found = self.named("who listens to SA events is named", "eavesdroppers", "warn",
                               f"process {os.getpid()}", "keys of all phones")
            self.named("who listens to ACQUIRE is", "eavesdroppers", "warn",
                       f"process {os.getpid()}", "ACQUIRE", "30 s", found=found)

    def addresses(self):
        self.host.ip("link", "set", lab.DEVICE, "down")
        self.named("an interface that is down", "addresses", "fail", lab.DEVICE, "is down")
        self.host.ip("link", "set", lab.DEVICE, "up")
        self.host.ip("address", "del", f"{lab.PCSCF_4}/24", "dev", lab.DEVICE)
        self.named("an address that no interface has", "addresses", "fail", lab.PCSCF_4,
                   "ip address add")
        self.host.ip("address", "add", f"{lab.PCSCF_4}/24", "dev", lab.DEVICE)

    def edited(self):
        reqid = 33204
        path = self.other_config("edited.conf", "server-port", f"reqid = {reqid}\n    server-port")
        found = self.doctor(config=path)
        self.tap.ok(found.levels("policies") == {"ok"},
                    "guards of a daemon whose file was edited are its own", found)
        self.named("and what waits for a restart is named", "daemon", "warn",
                   f"ims: the file says reqid {reqid}, the daemon uses 33203", found=found)
        self.bed.daemon.end(signal.SIGTERM)
        found = self.named("when it has stopped they may be an earlier run's", "policies", "warn",
                           "4 policies", "reqid 33203", "earlier run", "leave them",
                           found=self.doctor(config=path))
        self.tap.ok(found.levels("policies") == {"warn"}, "and nothing else", found)
        for one in self.bed.listeners:
            one["settings"]["reqid"] = reqid
        self.bed.start_daemon()
        self.fine("the start replaces them", "policies")

    # ---- without one ----

    def killed(self):
        self.bed.daemon.end(signal.SIGKILL)
        found = self.named("a daemon that was killed", "daemon", "fail", "killed, or crashed")
        self.tap.ok(found.levels("policies") == {"ok"}, "the guards that it left are no strangers",
                    found)
        self.host.ip("xfrm", "policy", "flush")
        with self.policy("src", "0.0.0.0/0", "dst", "192.0.2.1/32", "dport", "6100", "dir", "in",
                         "priority", "90000"):
            self.named("a policy in the place of a guard, whatever its priority", "policies",
                       "fail", "the place of a guard", "ip xfrm policy delete index")

    def encap(self):
        with self.listen(UDP, 4500, "0.0.0.0"):
            found = self.named("another program has port 4500", "encap", "fail", "ims:",
                               f"process {os.getpid()}", "4500", "UDP-enc-tun")
            self.tap.ok(not found.has("encap", "fail", "ims6:"), "but not that of IPv6", found)

    def configured(self):
        path = self.other_config("group.conf", 'group = "root"', 'group = "no-such-group"')
        self.named("a group that does not exist", "sockets", "fail", "no-such-group",
                   found=self.doctor(config=path))

    def privileges(self):
        found = self.doctor(*WITHOUT_NET_ADMIN)
        self.named("root without CAP_NET_ADMIN", "capability", "fail", "no CAP_NET_ADMIN",
                   found=found)
        with self.host.inside():
            daemon = subprocess.run([*WITHOUT_NET_ADMIN, os.path.join(lab.BUILD, "secagreed"),
                                     "--foreground", "--config", self.config],
                                    capture_output=True, text=True, timeout=100, check=False)
        self.tap.ok(daemon.returncode == 1 and "no CAP_NET_ADMIN" in daemon.stderr,
                    "the daemon does not start there", daemon.stderr)
        found = self.doctor("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                            "--inh-caps=-all")
        self.named("another user without it", "capability", "warn", "run this as root", found=found)

    def algorithms(self):
        names = ("a missing cipher", "the others are not said to miss", "a kernel without ESP")
        with open("/proc/sys/kernel/hostname", encoding="ascii") as file:
            if file.read() != "secagree-vm\n":
                for name in names:
                    self.tap.ok(True, f"{name} # SKIP only in a virtual machine")
                return
        path = self.other_config("des3.conf", "server-port",
                                 'algorithms = { "hmac-sha-1-96/aes-cbc", '
                                 '"hmac-sha-1-96/des-ede3-cbc" }\nserver-port')
        with open(MODPROBE, encoding="ascii") as file:
            modprobe = file.read().strip()
        with open(MODPROBE, "w", encoding="ascii") as file:
            file.write("/bin/false")
        try:
            self.unload("des3_ede_x86_64", "des_generic")
            found = self.doctor(config=path)
            self.named(names[0], "algorithms", "fail", "hmac-sha-1-96 with des-ede3-cbc",
                       "load its", "listener ims", found=found)
            self.tap.ok(not [one for one in found.fails() if "aes-cbc" in one["found"]], names[1],
                        found)
            self.unload("esp4")
            self.named(names[2], "algorithms", "fail", "no ESP for IPv4", "esp4")
        finally:
            with open(MODPROBE, "w", encoding="ascii") as file:
                file.write(modprobe)
            subprocess.run(["modprobe", "esp4"], check=True)
        self.fine("with their modules all are there", "algorithms")

    def unload(self, *modules):
        """The kernel frees SAs, and so lets their modules go, some time after their end."""
        def gone():
            subprocess.run(["modprobe", "-r", *modules], check=False, capture_output=True)
            with open("/proc/modules", encoding="ascii") as file:
                return not {line.split()[0] for line in file} & set(modules)
        self.bed.until(gone, f"unloaded: {modules}")


def run(test):
    test.bed.start_daemon()
    test.listen_all()
    for part in (test.healthy, test.ports, test.policies, test.sysctls, test.counters,
                 test.eavesdroppers, test.edited, test.addresses, test.killed, test.encap,
                 test.configured, test.privileges, test.algorithms):
        part()


def main():
    tap = Tap()
    with lab.Lab([lab.listener("ims", lab.PCSCF_4), lab.listener("ims6", lab.PCSCF_6)]) as bed:
        bed.make_hosts()
        test = Test(bed, tap)
        try:
            run(test)
        except (lab.Failure, OSError, LookupError, ValueError, AssertionError,
                subprocess.SubprocessError) as error:
            tap.ok(False, "the test runs to its end", repr(error), getattr(error, "stderr", ""))
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
