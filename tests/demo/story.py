# SPDX-License-Identifier: BSD-2-Clause
"""What a person sees of a run: titles, sentences, message headers, and checks that hold or not."""

import sys

STYLES = {"title": "\033[1m", "ok": "\033[32m", "bad": "\033[1;31m", "dim": "\033[2m"}


class Story:
    """@quiet: only what failed and the last line. @colour: for a terminal."""

    def __init__(self, quiet=False, out=None):
        self.out = out or sys.stdout
        self.quiet = quiet
        self.colour = self.out.isatty()
        self.checks = []  # (held, text)
        self.steps = 0

    def _print(self, text, style=None, always=False):
        if self.quiet and not always:
            return
        if style and self.colour:
            text = f"{STYLES[style]}{text}\033[0m"
        print(text, file=self.out, flush=True)

    def step(self, title):
        self.steps += 1
        self._print(f"\n{self.steps}. {title}", "title")

    def say(self, text):
        self._print(f"   {text}")

    def block(self, text):
        """Output of a program, as it came; a function is called for it if anybody looks."""
        if self.quiet:
            return
        text = text() if callable(text) else text
        for line in text.rstrip("\n").split("\n"):
            self._print(f"   | {line.expandtabs(4)}", "dim")

    def message(self, who_from, who_to, flow, message, headers=()):
        """One SIP message: its first line and the lines of @headers."""
        self._print(f"   {who_from} -> {who_to}   {flow}")
        for line in [message.start] + [f"{name}: {value}" for name in headers
                                       for value in message.all(name)]:
            for part in line.replace(", ipsec-3gpp", ",\n      ipsec-3gpp").split("\n"):
                self._print(f"   | {part}", "dim")

    def check(self, held, text, why=""):
        """@why says, when it did not hold, what was there instead."""
        self.checks.append((bool(held), text))
        if held:
            self._print(f"   ok    {text}", "ok")
        else:
            self._print(f"   FAIL  {text}" + (f": {why}" if why else ""), "bad", always=True)
        return bool(held)

    def equal(self, got, wanted, text):
        return self.check(got == wanted, text, f"wanted {wanted!r}, got {got!r}")

    def failed(self):
        return [text for held, text in self.checks if not held]

    def finish(self):
        """The list of what held and the last line. Returns the exit status."""
        held = [text for good, text in self.checks if good]
        self._print("\nWhat held:", "title")
        for number, text in enumerate(held, 1):
            self._print(f"{number:4}  {text}")
        for text in self.failed():
            self._print(f"did not hold: {text}", "bad", always=True)
        good = len(held) == len(self.checks) and held
        self._print(f"demo: {len(held)} of {len(self.checks)} held", "ok" if good else "bad",
                    always=True)
        return 0 if good else 1
