# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of secagreectl share: running it, and one TAP line for each check."""
import json
import os
import subprocess
import sys
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CTL = os.environ.get("SECAGREECTL") or os.path.join(
    ROOT, os.environ.get("BUILD", "build"), "secagreectl")


class Tap:
    """Counts checks; a failed one says what was seen."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, seen=""):
        self.count += 1
        self.failed += not good
        print("%sok %d - %s" % ("" if good else "not ", self.count, name.replace("#", "")))
        if not good:
            for line in str(seen).splitlines() or [""]:
                print("#   " + line)
        sys.stdout.flush()
        return good

    def equal(self, seen, wanted, name):
        return self.ok(seen == wanted, name, "wanted: %s\nseen:   %s" % (wanted, seen))

    def part(self, function):
        """Run some checks; one that raises has failed, and the others go on."""
        try:
            function()
        except Exception:  # whatever it is, it is a failed check
            self.ok(False, "%s: stopped" % function.__name__, traceback.format_exc())

    def done(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0


class Run:
    """One run of secagreectl."""

    def __init__(self, *args, stdin=b""):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run([CTL, *args], input=stdin, capture_output=True, timeout=60,
                              check=False)
        self.exit = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode("utf-8", "replace")

    def __str__(self):
        return "exit %d\nstdout: %r\nstderr: %s" % (self.exit, self.out, self.err)

    @property
    def json(self):
        """Standard output, if it is exactly one line of JSON; else None."""
        if not self.out.endswith(b"\n") or self.out.count(b"\n") != 1:
            return None
        try:
            return json.loads(self.out)
        except ValueError:
            return None
