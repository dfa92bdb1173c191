# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces as test hosts, joined by a veth pair. Needs root.

Traffic never leaves them.
"""

import contextlib
import ctypes
import functools
import json
import os
import subprocess

CLONE_NEWNET = 0x40000000


class Namespace:
    """One host. close() ends it; processes in it should have ended before."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        """Output of ip(8) for this host."""
        return run("ip", "-n", self.name, *arguments)

    def ip_batch(self, lines):
        """Several commands for the price of one process. Not for dumps: some versions of ip keep
        the filter of the first for the second."""
        return run("ip", "-n", self.name, "-batch", "-", text="\n".join(lines) + "\n")

    @contextlib.contextmanager
    def inside(self):
        """Sockets made and processes started in here belong to this host."""
        with open("/proc/self/ns/net", "rb") as before:
            set_namespace(self.fd)
            try:
                yield self
            finally:
                set_namespace(before.fileno())

    @functools.cache
    def mac(self, device):
        return bytes.fromhex(
            json.loads(self.ip("-j", "link", "show", "dev", device))[0]["address"].replace(":", ""))

    def close(self):
        os.close(self.fd)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def run(*argv, text=None):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def set_namespace(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def join(a, b, device):
    """A wire between two hosts; @device is its name at both ends."""
    run("ip", "link", "add", device, "netns", a.name, "type", "veth",
        "peer", "name", device, "netns", b.name)


def address(namespace, device, addresses):
    """Give the device its addresses (with prefix length) and bring it up."""
    namespace.ip_batch(
        [f"addr add {one} dev {device}" + (" nodad" if ":" in one else "") for one in addresses]
        + [f"link set {device} up"])
