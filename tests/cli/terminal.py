# SPDX-License-Identifier: BSD-2-Clause
"""A program on a terminal of its own: what it writes there, keys typed, signals sent."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

LIMIT_S = 60


class Terminal:
    """@argv on a pseudo-terminal of @rows and @columns, which is also its controlling one."""

    def __init__(self, *argv, rows=24, columns=100, **environment):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        values = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}
        self.process = subprocess.Popen(
            argv, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            env={key: value for key, value in values.items() if value is not None},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read(self, wait_s=0.1):
        if select.select([self.master], [], [], wait_s)[0]:
            self.seen += os.read(self.master, 65536)
            return True
        return False

    def until(self, text):
        """Read until @text has been seen (bytes, or a function of all that was seen)."""
        found = text if callable(text) else lambda seen: text in seen
        deadline = time.monotonic() + LIMIT_S
        while not found(self.seen) and time.monotonic() < deadline:
            self.read()
        return found(self.seen)

    def type(self, keys):
        os.write(self.master, keys)

    def end(self):
        """Wait until it ends; its status and all that it wrote."""
        deadline = time.monotonic() + LIMIT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()
        while self.read(0):
            pass
        return self.process.poll(), self.seen.replace(b"\r\n", b"\n").decode("utf-8", "replace")

    def attributes(self):
        return termios.tcgetattr(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
