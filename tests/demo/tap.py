# SPDX-License-Identifier: BSD-2-Clause
"""Test Anything Protocol: one line for each test, diagnostics behind #, the plan at the end."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, held, name, *why):
        """@why says what was there instead; shown only when it did not hold."""
        self.count += 1
        self.failed += not held
        print(f"{'ok' if held else 'not ok'} {self.count} - {name}", flush=True)
        if not held:
            for text in why:
                for line in str(text).splitlines():
                    print(f"#   {line[:400]}", flush=True)
        return held

    def finish(self):
        """Prints the plan; returns the exit status."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed or not self.count else 0
