#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the manual pages and the README tell people to type, typed: each example is given to a
shell as it stands there, with the paths and addresses that it has, and what it prints is compared
with what stands below it. Above all the life of a registration, by socat, curl, redis-cli and
secagree.py, and what the kernel has at each step of it. TAP.

    P-CSCF host: 192.0.2.1 at eth0, 198.51.100.1 -- phone: 192.0.2.7
                                                 -- NAT: 198.51.100.7 -- phone: 10.0.1.2

It runs in a mount namespace with a /run and an /etc of its own. An example that nobody types is a
failure: those that need no kernel are run by tests/doc/documentation.py, ELSEWHERE has the rest.
"""

import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../demo"), os.path.join(HERE, "../doc/lib"),
                os.path.join(HERE, "../doc"), HERE]

import documentation  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import manual  # noqa: E402
import netns  # noqa: E402
import sip_flow  # noqa: E402
import transcripts  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

LIMIT_S = 120
DOORS = {"socat": "socat", "curl": "curl", "redis-cli": "redis-cli", "python3": "secagree.py"}
PHONE = "192.0.2.7"
PUBLIC, OUTSIDE = "198.51.100.7", "198.51.100.1"
REALM = "ims.mnc001.mcc001.3gppnetwork.org"
IMPI = f"001010000000001@{REALM}"
MARK = "typed-until-here"

LATER = ("export-keys", "doctor\n", "top\n")  # of secagreectl: not with a set alone, or without end

# What another test types, or is about; and what is typed here in another page's words.
ELSEWHERE = {
    "make ": "tests/run, .ci/run", "apt install": "tests/package.py",
    "systemctl enable": "conf/debian/tests/service", "journalctl ": "tests/cli/log.py",
    "secagreectl export-keys": "tests/e2e/wireshark.py", "tshark ": "tests/e2e/wireshark.py",
    "secagreectl doctor": "tests/kernel/doctor.py", "secagreectl top": "tests/cli/operate.py",
    "secagreed --flush": "tests/kernel/strangers.py",
    "secagreed --check-config": "tests/doc/documentation.py",
    "install -d -m 0755": "secagreed.8", "secagreed --foreground": "secagreed.8",
    "adduser kamailio": "tests/e2e/kamailio.py", "cp conf/kamailio": "tests/e2e/kamailio.py",
    "sysctl ": "tests/kernel/doctor.py",
    "tests/cli/doctor.py": "make test",
    "nft ": "tests/kernel/look.py", "tcpdump ": "tests/kernel/look.py",
}


# ---- what there is to type ----

class Examples:
    """All of them; those that are not taken in the end have not been typed."""

    def __init__(self):
        pages = [(name, manual.literal_blocks(manual.page(name)))
                 for name in sorted(documentation.page_names())]
        pages.append(("README.md", manual.readme_blocks()))
        self.left = [(where, *example) for where, blocks in pages for block in blocks
                     for example in manual.examples(block)
                     if not (example[0] == "$" and documentation.runnable(example[1]))]

    def take(self, where, start):
        """The first of page @where that begins so: the command and its output."""
        for example in self.left:
            if example[0] == where and example[2].startswith(start):
                self.left.remove(example)
                return example[2:]
        raise lab.Failure(f"{where} has no example {start!r} (any more)")

    def untyped(self):
        return [(where, command) for where, _, command, _ in self.left
                if not command.startswith(tuple(ELSEWHERE))]


def program_of_the_manual(first_line):
    for block in manual.literal_blocks(manual.page("secagreed-control.7")):
        if block[0] == first_line:
            return "\n".join(block) + "\n"
    raise lab.Failure(f"secagreed-control.7 has no program that begins {first_line!r}")


# ---- who types it ----

class Program:
    """What it prints is read whenever the lab waits for something, so that it never has to wait."""

    def __init__(self, bed, host, argv, output=None, **more):
        with host.inside():
            self.process = subprocess.Popen(argv, cwd=bed.home_directory, env=bed.environment,
                                            stdout=output or subprocess.PIPE,
                                            stderr=subprocess.STDOUT, **more)
        self.bed = bed
        self.stream = self.process.stdout
        self.said = ""
        self.ended = False

    def listen(self):
        self.bed.selector.register(self.stream, selectors.EVENT_READ, self)

    def read(self):
        try:
            data = os.read(self.stream.fileno(), 65536)
        except OSError:  # of a terminal that nobody has open any more
            data = b""
        self.said += data.decode(errors="replace")
        if not data:
            self.ended = True
            self.bed.selector.unregister(self.stream)

    def until(self, sign):
        """What it has printed, with @sign in it, a pattern; next time only what comes then."""
        end = time.monotonic() + LIMIT_S
        while not re.search(sign, self.said):
            if self.ended or time.monotonic() > end:
                raise lab.Failure(f"{self.process.args}: no {sign!r}, but:\n{self.said}")
            self.bed.pump(0.2)
        said, self.said = self.said, ""
        return said

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.bed.until(lambda: self.process.poll() is not None, f"{self.process.args} ends")
        return self.process.returncode


class Shell:
    """Somebody at a terminal of @host."""

    def __init__(self, bed, host):
        self.bed = bed
        self.host = host
        self.program = Program(bed, host, ["sh"], stdin=subprocess.PIPE)
        self.program.listen()

    def type(self, command):
        """Its exit status and what it printed. What it defines is there for the next one."""
        stdin = self.program.process.stdin
        stdin.write(f"{command}\nprintf '\\n{MARK} %d\\n' $?\n".encode())
        stdin.flush()
        said = self.program.until(rf"\n{MARK} \d+\n")
        said, status = re.fullmatch(rf"(.*)\n{MARK} (\d+)\n", said, re.S).groups()
        return int(status), said

    def leave(self, command, sign):
        """A program that goes on by itself, when it has printed @sign. Returns it with what it said
        so far. It has a terminal: what has none is not told everything at once."""
        ours, its = os.openpty()
        program = Program(self.bed, self.host, ["sh", "-c", f"exec {command}"], its,
                          stdin=subprocess.DEVNULL)
        os.close(its)
        program.stream = open(ours, "rb", buffering=0)
        program.listen()
        self.bed.stack.callback(program.end)
        return program, program.until(sign)

    def close(self):
        self.program.process.stdin.close()
        self.program.process.wait(LIMIT_S)


class Bed(sip_flow.Bed):
    def __init__(self):
        subscriber = {**lab.SUBSCRIBER, "impi": IMPI, "impu": f"sip:{IMPI}"}
        super().__init__([lab.listener("ims", lab.PCSCF_4), lab.listener("ims6", lab.PCSCF_6)],
                         home={"realm": REALM, "subscribers": [subscriber]})
        self.control_path = "/run/secagreed/control.sock"
        self.home_directory = os.path.join(self.directory, "home")
        os.makedirs(os.path.join(self.home_directory, ".config/wireshark"))
        for name in ("conf", "tests"):
            os.symlink(os.path.join(lab.ROOT, name), os.path.join(self.home_directory, name))
        for path in ("tests/doc/files/register.sip", "daemon/client/secagree.py"):
            shutil.copy(os.path.join(lab.ROOT, path), self.home_directory)
        self.environment = {"HOME": self.home_directory, "LC_ALL": "C.UTF-8",
                            "PATH": f"{lab.BUILD}:/usr/sbin:/usr/bin:/sbin:/bin"}

    def make_hosts(self):
        unique = f"secagree-{os.getpid()}"
        self.pcscf_host, self.phone_host, self.nat, self.inside = (
            self._host(f"{unique}-{name}") for name in ("pcscf", "phone", "nat", "inside"))
        netns.join(self.pcscf_host, self.phone_host, "eth0")
        netns.join(self.pcscf_host, self.nat, "eth1")
        netns.join(self.nat, self.inside, "eth2")
        netns.address(self.pcscf_host, "eth0", [f"{lab.PCSCF_4}/24", f"{lab.PCSCF_6}/64"])
        netns.address(self.phone_host, "eth0", [f"{PHONE}/24"])
        netns.address(self.pcscf_host, "eth1", [f"{OUTSIDE}/24"])
        netns.address(self.nat, "eth1", [f"{PUBLIC}/24"])
        netns.address(self.nat, "eth2", ["10.0.1.1/24"])
        netns.address(self.inside, "eth2", ["10.0.1.2/24"])
        self.nat.ip_batch([f"route add default via {OUTSIDE}"])
        self.inside.ip_batch(["route add default via 10.0.1.1"])
        with self.nat.inside():
            with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
                file.write("1")
            subprocess.run(["nft", "-f", "-"], check=True, text=True, input="""
                table ip nat {
                    chain out {
                        type nat hook postrouting priority srcnat
                        oifname "eth1" masquerade
                    }
                }
                """)


# ---- the test ----

class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.examples = Examples()
        self.shell = Shell(bed, bed.pcscf_host)
        self.daemon = None

    def types(self, where, start, shell=None, unlike=None):
        """One example; returns what it printed. @unlike: how what is printed may differ."""
        command, wanted = self.examples.take(where, start)
        status, said = (shell or self.shell).type(command)
        held = status == 0 and (not wanted or agree(wanted, said, unlike))
        self.tap.ok(held, f"{where}: {' '.join(command.split())[:60]}", status, said,
                    "in the page:", *wanted)
        return said

    def start(self):
        self.types("README.md", "useradd")
        self.types("secagreed.8", "install -d")
        command, _ = self.examples.take("secagreed.8", "secagreed --foreground")
        self.daemon, _ = self.shell.leave(command, "event=started")
        self.tap.ok(True, "secagreed.8: secagreed --foreground")

    def kernel_has(self, count, what):
        self.tap.ok(kernel.sa_count(self.bed.pcscf_host) == count,
                    f"{what}: {count} SAs in the kernel")

    def offer_in_a_file(self):
        _, lines = self.examples.take("secagreed-control.7", "cat offer.json")
        with open(os.path.join(self.bed.home_directory, "offer.json"), "w",
                  encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def life(self, define, steps, name, in_between=lambda: None):
        """Offered, checked, confirmed, reached, released: by the call of @define."""
        shell = Shell(self.bed, self.bed.pcscf_host)
        status, said = shell.type(define)
        self.tap.ok((status, said) == (0, ""), f"{name}: call is defined", said)
        for command, wanted in steps:
            status, said = shell.type(command)
            what = re.search(r"call (sa\.\w+)", command)[1]
            self.tap.ok(status == 0 and agree(wanted, said), f"{name}: {what} as in the page",
                        status, said, *wanted)
            if what == "sa.confirm":
                in_between()
            self.kernel_has(0 if what == "sa.release" else 4, f"{name}: {what}")
        shell.close()

    def lives(self):
        page = "secagreed-control.7"
        self.offer_in_a_file()
        defines = [self.examples.take(page, "call() ")[0] for _ in DOORS]
        steps = [self.examples.take(page, start) for start in (
            "call sa.offer", "jq -s", "jq '{set, expires", "jq '{set}'", "jq '{set}'")]
        self.tap.ok([name for word, name in DOORS.items() for define in defines
                     if re.search(rf"\b{word} ", define)] == list(DOORS.values()),
                    "each of socat, curl, redis-cli and secagree.py has its own", *defines)
        looked = self.look
        for define, name in zip(defines, DOORS.values()):
            self.life(define, steps, name, looked)
            looked = lambda: None  # noqa: E731

    def look(self):
        """With a set to look at: whatever secagreectl can say of it."""
        for where, _, command, _ in list(self.examples.left):
            if command.startswith("secagreectl ") and f"{command}\n".split(" ", 2)[1] not in LATER:
                said = self.types(where, command, unlike=UNLIKE.get(command.split()[1]))
                if "--impi" in command:
                    self.tap.ok("001010000000001@ims.example" in said, "it lists the set", said)

    def python(self):
        path = os.path.join(self.bed.home_directory, "register.py")
        with open(path, "w", encoding="ascii") as file:
            file.write(program_of_the_manual("import json"))
        control = Control(self.bed.control_path)
        mark = control.call("event.list", limit=0)["last"]
        status, said = self.shell.type("python3 register.py")
        events = control.call("event.list", since=mark)["events"]
        states = [event.get("to", "made") for event in events
                  if event["event"] in ("set-made", "set-state")]
        self.tap.ok(status == 0 and "'port': 5064" in said and "released" in said
                    and states == ["made", "current", "gone"],
                    "the program of the page makes a set, confirms it, and lets it go", said,
                    states)
        self.kernel_has(0, "and then")

    def phone(self):
        lines = next(block for block in manual.literal_blocks(manual.page("secagree-ue.1"))
                     if block[0].startswith("impi = "))
        with open(os.path.join(self.bed.home_directory, "alice.conf"), "w",
                  encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        shell = Shell(self.bed, self.bed.phone_host)
        said = self.types("secagree-ue.1", "secagree-ue", shell)
        self.tap.ok("registered" in said and "Security-Verify" in said and "deregistered" in said,
                    "it registers, shows what is said, and leaves", said)
        command, _ = self.examples.take("secagree-ue.1", "secagree-ue")
        status, said = shell.type(command)
        self.tap.ok(status != 0 and "403" in said,
                    "secagree-ue.1: a changed Security-Verify is refused", status, said)
        shell.close()

    def phone_behind_nat(self):
        shell = Shell(self.bed, self.bed.inside)
        self.types("secagree-ue.1", "ip address add", shell)
        command, _ = self.examples.take("secagree-ue.1", "secagree-ue")
        phone, said = shell.leave(command, r"(?m)^(registered|failed)")
        self.tap.ok("\nregistered" in f"\n{said}",
                    "secagree-ue.1: a phone behind a NAT registers", said)
        self.tap.ok(phone.end() == 0, "it leaves when it is told to")
        shell.close()

    def run(self):
        self.start()
        self.lives()
        self.python()
        self.bed.start_front_end()
        self.phone()
        self.phone_behind_nat()
        self.tap.ok(self.daemon.end() == 0, "the daemon stops cleanly")
        untyped = self.examples.untyped()
        self.tap.ok(not untyped, "no example is left that nobody types", *untyped)


def agree(wanted, said, unlike=None):
    """What is printed and what stands in the page: line by line, JSON but for what varies."""
    wanted, said = manual.unfold(wanted), [line for line in said.split("\n") if line.strip()]
    if unlike:
        return unlike(wanted) == unlike(said)
    if any(line.startswith("{") for line in wanted):
        return len(wanted) == len(said) and all(
            transcripts.comparable(json.loads(a)) == transcripts.comparable(json.loads(b))
            for a, b in zip(wanted, said))
    return wanted == said


def table_words(lines):
    """A table without the set's name and the seconds that are left."""
    return [line.split()[1:-1] for line in lines]


UNLIKE = {"list": table_words, "explain": lambda lines: lines[:1]}  # what is printed of a command


def enter():
    """A mount namespace of this test's own, with a /run, an /etc and the sample in it."""
    if os.environ.get("TYPED_INSIDE"):
        return
    os.environ["TYPED_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, os.path.abspath(__file__)])


def prepare():
    netns.run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    for name in ("upper", "work"):
        os.makedirs(f"/run/etc/{name}")
    netns.run("mount", "-t", "overlay", "-o", "lowerdir=/etc,upperdir=/run/etc/upper,"
              "workdir=/run/etc/work", "overlay", "/etc")
    os.makedirs("/etc/secagreed", exist_ok=True)
    text = manual.read("conf", "secagreed.conf")
    for before, after in ((r'(?s)(^http \{.*?path = )""', r'\1"/run/secagreed/http.sock"'),
                          (r"(^allow-key-export = ).*", r'\1"on"')):
        text, count = re.subn(before, after, text, count=1, flags=re.M)
        if count != 1:
            raise lab.Failure(f"the sample does not have {before}")
    with open("/etc/secagreed/secagreed.conf", "w", encoding="utf-8") as file:
        file.write(text)


def main():
    enter()
    tap = Tap()
    prepare()
    with Bed() as bed:
        bed.make_hosts()
        test = Test(bed, tap)
        try:
            test.run()
        except (lab.Failure, OSError, LookupError, ValueError) as error:
            tap.ok(False, "the test runs to its end", error,
                   *(lab.line_of(event)[:300] for event in bed.events[-10:]),
                   bed.front_end.errors()[-1500:] if bed.front_end else "",
                   test.daemon.said[-1500:] if test.daemon else "")
        test.shell.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
