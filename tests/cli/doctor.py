#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""secagreectl doctor where no kernel with ESP is needed: what it says of files, sockets and ports
of this machine's loopback, and of a daemon that this test plays.

Needs no root; what root sees more is skipped without it. TAP on standard output; the program as in
offline.py. tests/kernel/doctor.py has the rest.
"""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
from tap import CTL, ROOT, Tap  # noqa: E402

T = Tap()
LISTENER_CHECKS = {"sockets", "state", "limits", "addresses", "sysctls", "policies", "ports", "encap"}
NETWORK_CHECKS = {"eavesdroppers", "counters"}
CHECKS = LISTENER_CHECKS | NETWORK_CHECKS | {"configuration", "daemon", "capability", "clock",
                                             "kernel", "algorithms"}
WITHOUT_NET_ADMIN = ("setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin")
VERSION = re.search(r"^VERSION := (\S+)", open(os.path.join(ROOT, "Makefile")).read(), re.M)[1]


class Place:
    """A directory with a configuration."""

    def __init__(self, address="127.0.0.1", socket_lines="", listener_lines="", top=""):
        self.directory = tempfile.mkdtemp(prefix="secagree-doctor-")
        self.path = os.path.join(self.directory, "secagreed.conf")
        self.socket = os.path.join(self.directory, "control.sock")
        self.server, self.first = free_ports()
        self.encap = self.first + 3
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(f'socket {{ path = "{self.socket}" group = "{group_of_this()}"\n'
                       f'{socket_lines} }}\n{top}\n'
                       f'listener ims {{ address = "{address}" server-port = {self.server}\n'
                       f'client-ports = "{self.first}-{self.first + 2}"\n'
                       f'encap-port = {self.encap}\n{listener_lines} }}\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def doctor(self, *arguments, prefix=()):
        return Doctor("--config", self.path, *arguments, prefix=prefix)

    def listen(self, kind, port, address="127.0.0.1"):
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen()
        return one


class Doctor:
    """One run, and its findings."""

    def __init__(self, *arguments, prefix=()):
        done = subprocess.run([*prefix, CTL, "doctor", "--json", *arguments], capture_output=True,
                              text=True, timeout=100, check=False)
        self.exit, self.text = done.returncode, done.stdout + done.stderr
        self.answer = json.loads(done.stdout) if done.stdout else {}
        self.findings = self.answer.get("findings", [])

    def has(self, check, level, *words):
        """A finding of this kind whose text has all these words."""
        return any(one["check"] == check and one["level"] == level
                   and all(word in one["found"] + " " + one.get("do", "") for word in words)
                   for one in self.findings)

    def of(self, check):
        return [one["level"] for one in self.findings if one["check"] == check]

    def __str__(self):
        return "exit %s\n%s\n%s" % (self.exit, "\n".join(map(str, self.findings)), self.text[:300])


def group_of_this():
    import grp
    return grp.getgrgid(os.getgid()).gr_name


def free_ports():
    """A port, and the first of four free ones, for UDP and TCP alike."""
    for first in range(21000, 30000, 8):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + 8):
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        one = stack.enter_context(socket.socket(socket.AF_INET, kind))
                        one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return first, first + 4
    raise OSError("no free ports")


def check(doctor, name, *what):
    """A finding, and that it says what to do."""
    T.ok(doctor.has(*what), name, "%s\nin: %s" % (what, doctor))
    bad = [one for one in doctor.findings if one["level"] != "ok" and not one.get("do")]
    if bad:
        T.ok(False, name + ": each finding says what to do", bad)


def configuration():
    missing = Doctor("--config", "/nonexistent.conf", "--socket", "/nonexistent.sock")
    check(missing, "a configuration that is not there is named", "configuration", "fail",
          "/nonexistent.conf", "No such file")
    T.ok(missing.exit == 3 and missing.answer["fit"] is False, "and the status is 3", missing)
    T.equal({one["check"] for one in missing.findings}, CHECKS - LISTENER_CHECKS,
            "what needs no listener is looked at nevertheless")
    with Place(listener_lines="no-such-key = 1") as place:
        check(place.doctor(), "a fault of the configuration has its line", "configuration", "fail",
              place.path + ":", "no-such-key")
    with Place() as place:
        with open(place.path, "w", encoding="utf-8"):
            pass
        check(place.doctor(), "a configuration without listeners is one", "configuration", "fail",
              "no listener")
    with Place() as place:
        T.equal({one["check"] for one in place.doctor().findings}, CHECKS, "every check is made")
    T.equal(Doctor("--config").exit, 2, "an option without its value is a matter of usage")


def text():
    with Place() as place:
        done = subprocess.run([CTL, "doctor", "--config", place.path], capture_output=True,
                              text=True, check=False)
        lines = done.stdout.splitlines()
        T.ok(lines and all(re.match(r"(ok  |warn|FAIL)  [a-z]+ +\S| {21}-> \S", line)
                           for line in lines[:-1]),
             "for people: level, check and finding, and below it what to do", done.stdout)
        T.ok("not fit" in lines[-1] and done.returncode == 3, "and a verdict at the end", lines[-1])


def sockets():
    with Place(socket_lines='') as place:
        with open(place.path, encoding="utf-8") as file:
            content = file.read()
        with open(place.path, "w", encoding="utf-8") as file:
            file.write(re.sub(r'group = "[^"]*"', 'group = "no-such-group"', content))
        check(place.doctor(), "a group that does not exist is named", "sockets", "fail",
              "no-such-group", "groupadd")
    with Place(top='http { path = "/nonexistent/http.sock" group = "no-such-group" }') as place:
        check(place.doctor(), "that of the HTTP socket, too", "sockets", "fail", "http.sock",
              "no-such-group", "section http")
        check(place.doctor(), "a directory that does not exist is named", "sockets", "warn",
              "install -d -m 0755 -o ", " /nonexistent")
    with Place(socket_lines='mode = "0666"') as place:
        check(place.doctor(), "a mode that lets everybody in is one", "sockets", "warn", "0660")
    with Place() as place:
        with open(place.socket, "w", encoding="utf-8"):
            pass
        check(place.doctor(), "a file in the socket's place is one", "sockets", "fail",
              place.socket, "no socket")
    with Place() as place:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(place.socket)
        os.chmod(place.socket, 0o600)
        found = place.doctor()
        check(found, "a socket that nobody answers on tells of a crash", "daemon", "fail",
              place.socket, "crashed")
        check(found, "a socket with another mode than the configuration's is one", "sockets",
              "warn", "0600", "0660")
    with Place() as place:
        found = place.doctor()
        check(found, "that no daemon runs is said, and is no fault", "daemon", "warn", place.socket)


def start(place):
    """What a daemon says until it has started or not, in a network of its own."""
    said = []
    with subprocess.Popen(["unshare", "--net", os.path.join(os.path.dirname(CTL), "secagreed"),
                           "--foreground", "-c", place.path], stderr=subprocess.PIPE,
                          text=True) as daemon_:
        for line in daemon_.stderr:
            said.append(line)
            if "event=started" in line:
                daemon_.terminate()
    return "".join(said)


def directory():
    """Of the socket, where the daemon is another user than who made it."""
    with Place(top='user = "nobody"') as place:
        check(place.doctor(), "a directory that the daemon's user cannot write to is one",
              "sockets", "fail", place.socket, "user nobody cannot make it", "mode 0700",
              "install -d -m 0755 -o nobody ")
    with Place(top='user = "nobody"\nhttp { path = "/run/http.sock" }') as place:
        check(place.doctor(), "the system's own is not given away", "sockets", "fail",
              "/run/http.sock", "install -d -m 0755 -o nobody /run/secagreed, and a path in there")
    if os.geteuid() != 0:
        T.ok(True, "what is to be typed helps # SKIP needs root")
        return
    with Place(top='user = "nobody"\nstate-dir = off') as place:
        os.chmod(place.directory, 0o755)
        command = f"install -d -m 0755 -o nobody {place.directory}"
        check(place.doctor(), "one of root's is one", "sockets", "fail", "belongs to root, mode 0755",
              command)
        said = start(place)
        T.ok(all(word in said for word in (place.socket, "Permission denied", "user nobody",
                                           command)), "and the daemon says the same", said)
        subprocess.run(command.split(), check=True)
        T.equal(place.doctor().of("sockets"), ["ok"], "what is to be typed helps")
        said = start(place)
        T.ok("Permission denied" not in said, "and the daemon gets further", said)
        for mode, wanted in ((0o575, ["fail"]), (0o557, ["fail"]), (0o755, ["ok"])):
            os.chmod(place.directory, mode)
            T.equal(place.doctor().of("sockets"), wanted, f"its owner's, mode {mode:04o}")
        os.chown(place.directory, 0, 65534)
        for mode, wanted in ((0o775, ["ok"]), (0o757, ["fail"])):
            os.chmod(place.directory, mode)
            T.equal(place.doctor().of("sockets"), wanted, f"its group's, mode {mode:04o}")
        os.chown(place.directory, 0, 0)
        for mode, wanted in ((0o757, ["ok"]), (0o756, ["fail"])):
            os.chmod(place.directory, mode)
            T.equal(place.doctor().of("sockets"), wanted, f"anybody's, mode {mode:04o}")
    with Place(top='user = "root"\nstate-dir = off') as place:
        os.chown(place.directory, 1, 1)
        check(place.doctor(), "root without its powers cannot write to another's", "sockets", "fail",
              "user root cannot make it", f"install -d -m 0755 -o root {place.directory}")
        T.ok("Permission denied" in start(place), "nor can the daemon", place)


def secagreed_says(place):
    """--check-config of the same file."""
    done = subprocess.run([os.path.join(os.path.dirname(CTL), "secagreed"), "--check-config", "-c",
                           place.path], capture_output=True, text=True, check=False)
    T.ok(done.returncode == 0 and "good" in done.stdout, "--check-config: the file is right", done)
    return done.stderr


def state():
    directory = tempfile.mkdtemp(prefix="secagree-state-")
    top = f'user = "root"\nstate-dir = "{directory}"'
    with Place(top='user = "no-such-user"') as place:
        check(place.doctor(), "a user that does not exist is named", "state", "fail",
              "no-such-user", "will not start")
        if os.geteuid() == 0:
            T.ok("no-such-user" in secagreed_says(place), "and by --check-config", place.path)
    if os.geteuid() != 0:
        T.ok(True, "who owns state-dir # SKIP needs root")
        return
    with Place(top=top) as place:
        T.equal(place.doctor().of("state"), ["ok"], "a state-dir of the daemon's is fine")
        T.equal(secagreed_says(place), "", "and --check-config has nothing to say")
        os.chmod(directory, 0o755)
        check(place.doctor(), "one that others can look into is one", "state", "fail", "0755",
              f"chmod 0700 {directory}")
        os.chown(directory, 65534, 65534)
        check(place.doctor(), "another's is one", "state", "fail", directory, "and the daemon is",
              f"chown root {directory}")
        T.ok(directory in secagreed_says(place), "and so says --check-config", directory)
        os.rmdir(directory)
        T.equal(place.doctor().of("state"), ["ok"], "one that is not there yet is made")
        with open(directory, "w", encoding="utf-8"):
            pass
        check(place.doctor(), "a file in its place is one", "state", "fail", "no directory")
        os.unlink(directory)
    with Place(top='user = "nobody"\nstate-dir = "/etc/secagree-no-such"') as place:
        check(place.doctor(), "and so is a place where the daemon cannot make it", "state", "fail",
              "cannot make it in /etc", "install -d -m 0700 -o nobody")
    with Place(top='state-dir = "/nonexistent/secagree/state"') as place:
        check(place.doctor(), "and one without its directory", "state", "fail",
              "/nonexistent/secagree, which does not exist either")


def ports():
    with Place() as place, contextlib.ExitStack() as stack:
        found = place.doctor()
        check(found, "the server port without UDP socket is named", "ports", "fail", "UDP",
              f"port {place.server}, the server port")
        check(found, "the server port without TCP socket is named", "ports", "fail", "TCP",
              f"port {place.server}, the server port")
        check(found, "client ports without UDP sockets are named", "ports", "fail", "UDP",
              f"port {place.first}-{place.first + 2}, client ports")
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            for port in (place.server, place.first, place.first + 2):
                stack.enter_context(place.listen(kind, port))
        found = place.doctor()
        check(found, "the one client port that is missing is named", "ports", "fail", "UDP",
              f"port {place.first + 1}, client ports")
        check(found, "without a TCP socket it may do", "ports", "warn", "TCP",
              f"port {place.first + 1}, client ports")
        T.equal(found.of("ports"), ["fail", "warn"], "and nothing else")
        stack.enter_context(place.listen(socket.SOCK_DGRAM, place.first + 1, "0.0.0.0"))
        stack.enter_context(place.listen(socket.SOCK_STREAM, place.first + 1, "::"))
        found = place.doctor()
        T.equal(found.of("ports"), ["ok"], "sockets on any address count")
    with Place(address="::1") as place, contextlib.ExitStack() as stack:
        stack.enter_context(place.listen(socket.SOCK_DGRAM, place.server, "::1"))
        stack.enter_context(place.listen(socket.SOCK_STREAM, place.server, "0.0.0.0"))
        found = place.doctor()
        check(found, "one of IPv4 does not serve IPv6", "ports", "fail", "TCP ::1",
              "the server port")
        T.ok(not found.has("ports", "fail", "UDP ::1", "the server port"), "one on ::1 does", found)


def encap():
    with Place() as place, place.listen(socket.SOCK_DGRAM, place.encap):
        check(place.doctor(), "who has the port of UDP-enc-tun is named", "encap", "fail",
              f"process {os.getpid()}", str(place.encap))
    with Place(listener_lines='modes = { "trans" }') as place, \
            place.listen(socket.SOCK_DGRAM, place.encap):
        T.equal(place.doctor().of("encap"), ["ok"], "without UDP-enc-tun nobody cares")


def others():
    with Place(address="192.0.2.1") as place:
        check(place.doctor(), "an address that no interface has is named", "addresses", "fail",
              "192.0.2.1", "ip address add")
    with Place(top="max-sets = 4000000") as place:
        if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 64 << 30:
            check(place.doctor(), "more sets than memory are said with both figures", "limits",
                  "warn", "4000000", "MiB")
        else:
            T.ok(True, "more sets than memory are said # SKIP this machine has so much")
    with Place(top="max-sets = 100") as place:
        found = place.doctor()
        T.equal((found.of("kernel"), found.of("limits")), (["ok"], ["ok"]),
                "few sets fit any kernel and memory")


def capability():
    with Place() as place:
        prefix = WITHOUT_NET_ADMIN if os.getuid() == 0 else ()
        found = place.doctor(prefix=prefix)
        check(found, "no CAP_NET_ADMIN is said", "capability",
              "fail" if os.getuid() == 0 else "warn", "no CAP_NET_ADMIN")
        check(found, "and that policies cannot be read then", "policies", "warn", "CAP_NET_ADMIN")


@contextlib.contextmanager
def daemon(place, **status):
    """Answers daemon.status, on every connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place.socket)
    os.chmod(place.socket, 0o660)
    listener.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, connection.makefile("rwb") as f:
                    request = json.loads(f.readline())
                    f.write(json.dumps({"jsonrpc": "2.0", "id": request["id"],
                                        "result": status}).encode() + b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextlib.contextmanager
def process(place, *prefix):
    """Something called secagreed; its number."""
    path = os.path.join(place.directory, "secagreed")
    shutil.copy(shutil.which("sleep"), path)
    with subprocess.Popen([*prefix, path, "600"]) as child:
        while True:
            with open(f"/proc/{child.pid}/comm", encoding="ascii") as file:
                if file.read() == "secagreed\n":
                    break
        try:
            yield child.pid
        finally:
            child.kill()


def status_of(place, pid, **other):
    return {"version": VERSION, "pid": pid,
            "listeners": [{"name": "ims", "address": "127.0.0.1", "server_port": place.server,
                           "client_ports": f"{place.first}-{place.first + 2}", "reqid": 33203,
                           "priority": 2080, "policies": "shared"}], **other}


def with_policies(place, reqid=33203, priority=2080, words="", only=None):
    """The words before a command that runs in a network of its own, which has policies in the
    places of the guards (or that of @only): as they are, or so that clear text may pass, @words."""
    lines = []
    for port in [only] if only else [place.server, *range(place.first, place.first + 3)]:
        for dir_, ends in (("in", f"src 0.0.0.0/0 dst 127.0.0.1/32 dport {port}"),
                           ("out", f"src 127.0.0.1/32 dst 0.0.0.0/0 sport {port}")):
            lines.append(f"ip xfrm policy add {ends} dir {dir_} priority {priority} "
                         f"tmpl proto esp reqid {reqid} mode transport {words}")
    return "unshare", "--net", "sh", "-ec", "\n".join([*lines, 'exec "$@"']), "sh"


def edited():
    """The file says another reqid or priority than the daemon that made the guards."""
    if os.geteuid() != 0:
        T.ok(True, "guards of a file that was edited # SKIP needs root")
        return
    for key, other, word in (("reqid", 33204, "33203"), ("priority", 3000, "2080")):
        with Place(listener_lines=f"{key} = {other}") as place, \
                process(place, *with_policies(place)) as pid, \
                daemon(place, **status_of(place, pid)):
            found = place.doctor()
            T.equal(found.of("policies"), ["ok"], f"{key} was edited: the guards are the daemon's")
            check(found, "and what waits for a restart is named", "daemon", "warn",
                  f"ims: the file says {key} {other}, the daemon uses {word} until it is restarted")
            T.equal(found.of("daemon"), ["ok", "warn"], "and nothing else")
        with Place(listener_lines=f"{key} = {other}") as place:
            found = place.doctor(prefix=with_policies(place))
            check(found, "without a daemon they may be those of an earlier run", "policies", "warn",
                  "8 policies", f"{key} {word}", f"{key} {other}", "earlier run", "leave them",
                  "A start of secagreed replaces them")
            T.ok(found.of("policies") == ["warn"] and "delete" not in found.text,
                 "and are not to be deleted", found)
        with Place(listener_lines=f"{key} = {other}", top="state-dir = off") as place:
            check(place.doctor(prefix=with_policies(place)), "nor does a start where nothing is "
                  "written down", "policies", "warn", "secagreed --flush")
    with Place() as place:
        T.equal(place.doctor(prefix=with_policies(place)).of("policies"), ["ok"],
                "without a daemon guards as the file wants them are fine")
        check(place.doctor(prefix=with_policies(place, 7, words="level use", only=place.server)),
              "one that lets clear text pass is no guard of any run", "policies", "fail",
              f"port {place.server}", "reqid 7", "the place of a guard")
    with Place() as place, process(place, *with_policies(place, 7)) as pid, \
            daemon(place, **status_of(place, pid)):
        found = place.doctor()
        check(found, "a daemon that runs knows its own: these are another program's", "policies",
              "fail", "reqid 7", "the place of a guard")
        check(found, "but they leave no port open", "policies", "fail", "8 of 8 guards are missing",
              "lets no clear text in")
    with Place() as place, process(place, *with_policies(place, only=place.server)) as pid, \
            daemon(place, **status_of(place, pid)):
        check(place.doctor(), "those that are gone do", "policies", "fail",
              "6 of 8 guards are missing", "open in clear")


def running():
    with Place() as place, process(place) as pid:
        with daemon(place, **status_of(place, pid)):
            found = place.doctor()
            T.equal(found.of("daemon"), ["ok"], "a daemon that answers is fine")
            T.equal(found.of("sockets"), ["ok"], "and so is its socket")
            if os.getuid() == 0:
                check(found, "without its guards the ports stand open", "policies", "fail",
                      "8 of 8 guards are missing", "audit")
        os.unlink(place.socket)
        with daemon(place, **status_of(place, pid, version="0.0.1")):
            check(place.doctor(), "that it is another version is said", "daemon", "warn", "0.0.1",
                  "restart")
        os.unlink(place.socket)
        with daemon(place, **status_of(place, pid, listeners=[])):
            check(place.doctor(), "that it runs with other listeners is said", "daemon", "warn",
                  "other listeners")
        os.unlink(place.socket)
        with daemon(place, **status_of(place, os.getpid())):
            check(place.doctor(), "a process that is not it is not taken for it", "daemon", "warn",
                  str(os.getpid()), "container")
        os.unlink(place.socket)
        with daemon(place):
            check(place.doctor(), "an answer that is none is told", "daemon", "fail",
                  "no secagreed")
    with Place(top="max-connections = 1000") as place, \
            process(place, "prlimit", "--nofile=500") as pid, \
            daemon(place, **status_of(place, pid)):
        check(place.doctor(), "too few files for the connections are said", "limits", "warn",
              "500", "LimitNOFILE=")
    if os.getuid() == 0:
        with Place() as place, process(place, *WITHOUT_NET_ADMIN) as pid, \
                daemon(place, **status_of(place, pid)):
            found = place.doctor()
            check(found, "a daemon without CAP_NET_ADMIN is told", "capability", "fail",
                  f"process {pid}", "AmbientCapabilities")


def counters():
    with open(os.path.join(ROOT, "daemon", "ctl", "doctor_counters.c"), encoding="utf-8") as file:
        explained = set(re.findall(r'\{"(Xfrm\w+)", "\w', file.read()))
    try:
        with open("/proc/net/xfrm_stat", encoding="ascii") as file:
            names = {line.split()[0] for line in file}
    except OSError as error:
        T.ok(True, f"each counter of this kernel is explained # SKIP {error}")
        return
    T.ok(names and names <= explained, "each counter of this kernel is explained",
         names - explained)


def algorithms():
    if os.getuid() != 0:
        T.ok(True, "the algorithms are judged as by ip(8) # SKIP not root")
        return
    probe = subprocess.run([os.path.join(ROOT, "tests", "vm", "probe")], capture_output=True,
                           text=True, check=False)
    used = ("ESP hmac(sha1) null", "ESP hmac(sha1) cbc(aes)", "ESP rfc4106", "ESP rfc4543",
            "ESP in UDP")
    missing = any(line.startswith(used) for line in probe.stdout.splitlines())
    with Place() as place:
        found = place.doctor()
        T.equal(set(found.of("algorithms")), {"fail"} if missing else {"ok"},
                "the algorithms are judged as by ip(8)")


def main():
    for part in (configuration, text, sockets, directory, state, ports, encap, others, capability,
                 running, edited, counters, algorithms):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
