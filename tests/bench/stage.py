# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks run on: this machine, network namespaces, a daemon, and the programs of this
directory, which report JSON lines.
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
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
sys.path.insert(0, os.path.join(ROOT, "tests", "demo"))

import control  # noqa: E402
import netns  # noqa: E402

PCSCF = "192.0.2.1"
PHONES_NET = "10.0.0.0/8"
NAT = "203.0.113.9"
MEMORY = "/dev/shm"  # a tmpfs, as /run is where the state is in real life
START_LIMIT_S = 120
IDLE_LIMIT_S = 10

# As shipped but for what would end sets, or look at them, in the middle of a measurement.
CONFIG = """
socket {{ path = "{socket}" }}
max-sets = 1000000
max-sets-per-address = 1000000
audit-interval = 0
state-dir = "{state}"
listener ims {{
    address = "{address}"
    server-port = 6100
    client-ports = "6104-6107"
    reg-await-auth = 36000
    policies = "{policies}"
    registration-margin = {margin_s}
}}
"""


def machine():
    """What the figures belong to."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(re.search(r"MemTotal:\s*(\d+)", file.read())[1])
    name = model[1] if model else os.uname().machine
    emulated = ", emulated: only ratios count" if "TCG" in name else ""
    if os.environ.get("VM_CLOCK") == "instructions":
        emulated = ", emulated: a nanosecond is one instruction"
    return (f"Linux {os.uname().release} {os.uname().machine}, {os.cpu_count()} x {name}"
            f"{emulated}, {memory_kib >> 10} MiB")


def _cpu_times():
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    return ticks[3] + ticks[4], sum(ticks)


def settle():
    """Wait until what the kernel does behind the scenes is done, SAs being freed above all."""
    end = time.monotonic() + IDLE_LIMIT_S
    while time.monotonic() < end:
        idle_before, all_before = _cpu_times()
        time.sleep(0.1)
        idle, ticks = _cpu_times()
        if idle - idle_before >= 0.9 * (ticks - all_before):
            return


def program(name):
    return os.path.join(BUILD, "bench", name)


class Host(netns.Namespace):
    """A namespace in which programs are run; close() takes all SAs and policies with it."""

    def __init__(self, name):
        super().__init__(f"secagree-{os.getpid()}-{name}")
        self.ip("addr", "add", f"{PCSCF}/32", "dev", "lo")

    def run(self, *argv, text=None):
        with self.inside():
            return netns.run(*(str(word) for word in argv), text=text)

    def start(self, *argv, **how):
        with self.inside():
            return subprocess.Popen([str(word) for word in argv], **how)

    def reports(self, *argv):
        """Those of a program of this directory."""
        return [json.loads(line) for line in self.run(program(argv[0]), *argv[1:]).splitlines()]

    def measure(self, *argv):
        settle()
        return self.reports(*argv)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def end(process):
    process.terminate()
    try:
        process.wait(START_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Daemon:
    """secagreed in @host."""

    def __init__(self, host, policies="shared", margin_s=30):
        self.host = host
        self.directory = tempfile.mkdtemp(prefix="secagree-", dir=MEMORY)
        self.socket = os.path.join(self.directory, "control.sock")
        self.config = os.path.join(self.directory, "secagreed.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(socket=self.socket, address=PCSCF, policies=policies,
                                     margin_s=margin_s,
                                     state=os.path.join(self.directory, "state")))
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.directory, "notify.sock"))
        self.notify.settimeout(0.5)
        self.start()

    def start(self):
        """Returns the seconds until it is reconciled with the kernel, and until it answers."""
        begin = time.monotonic()
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = self.host.start(
                os.path.join(BUILD, "secagreed"), "--config", self.config, "--foreground",
                stderr=log, env={**os.environ, "NOTIFY_SOCKET": self.notify.getsockname()})
        self._wait(begin + START_LIMIT_S)
        ready = time.monotonic() - begin
        self.call("daemon.version")
        return ready, time.monotonic() - begin

    def stop(self):
        end(self.process)

    def _wait(self, end):
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in self.notify.recv(4096):
                    return
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as log:
            raise OSError(f"secagreed does not start:\n{log.read()}")

    def call(self, method):
        with contextlib.closing(control.Control(self.socket)) as client:
            return client.call(method)

    def sets(self):
        return sum(self.call("daemon.status")["sets"].values())

    def load(self, *options):
        return self.host.measure("load", "--socket", self.socket, *options)

    def busy_s(self):
        """How long it has had a processor since its start."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def resident_kib(self):
        """Memory of its own. What it has mapped of the state is on the tmpfs in any case."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"RssAnon:\s*(\d+)", file.read())[1])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        self.notify.close()
        shutil.rmtree(self.directory, ignore_errors=True)
