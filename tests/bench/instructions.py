#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How many instructions the daemon spends on each call, against the figures in instructions.ref, and
how much memory on each set, which has a limit.

callgrind counts them, so a busy machine makes no difference: what is much slower has become so by
a change. A call that costs 15 % more than its figure is a failure; one that costs 15 % less as
well, since the figure then guards nothing. When the change is meant:

    tests/bench/instructions.py --write

The figures belong to one compiler and one set of libraries (their first two numbers); elsewhere
instructions are not compared. TAP.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "demo"))

from tap import Tap  # noqa: E402

BUILD = os.environ.get("BUILD") or os.path.join(ROOT, "build")
REFERENCE = os.path.join(HERE, "instructions.ref")
MARGIN = 0.15
TIMED_PHONES = 5000
MEMORY_PHONES = 5000
MAX_BYTES_PER_SET = 2048  # of the heap, for a phone that offers six combinations
# The same code whatever the processor can do
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-ERMS,-FSRM",
               "OPENSSL_ia32cap": "~0x200000200000000:~0x0"}


def belongs_to():
    """What the figures depend on beside our source."""
    packages = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "gcc-12", "libc6",
         "libevent-core-2.1-7", "libssl3"], capture_output=True, text=True, check=False).stdout
    versions = re.findall(r"^(\S+) (\d+\.\d+)", packages, re.M)
    return " ".join([platform.machine(), *map(" ".join, versions)])


def count():
    """{call: instructions}"""
    found = {}
    with tempfile.TemporaryDirectory(prefix="secagree-") as directory:
        done = subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no",
             f"--callgrind-out-file={directory}/out", f"{BUILD}/bench/instructions"],
            env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"callgrind: {done.stderr[-2000:]}")
        calls = json.loads(done.stdout.splitlines()[0])["count"]
        for name in sorted(os.listdir(directory), key=lambda name: int("0" + name[4:])):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                text = file.read()
            call = re.search(r"Client Request: (\w+)", text)
            if call:
                found[call[1]] = int(re.search(r"^totals: (\d+)", text, re.M)[1]) // calls
    return found


def bytes_per_set():
    done = subprocess.run([f"{BUILD}/bench/instructions", "memory", str(MEMORY_PHONES)], text=True,
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout)["bytes_per_set"]


def read():
    with open(REFERENCE, encoding="ascii") as file:
        first, *lines = file.read().splitlines()
    return first.removeprefix("# "), {call: int(number) for call, number in map(str.split, lines)}


def show(counted):
    """With the time of the same calls on this machine, one at a time. The median, since others are
    at work here, too."""
    done = subprocess.run([f"{BUILD}/bench/instructions", str(TIMED_PHONES)], text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    print("\nThe daemon alone, without the kernel's XFRM\n\n"
          "  call       instructions   p50 us   a second")
    for report in map(json.loads, done.stdout.splitlines()):
        print(f"  {report['what']:10} {counted[report['what']]:12,} {report['p50_us']:8.1f} "
              f"{1e6 / report['p50_us']:10,.0f}")
    print(f"\nOf memory, a set takes {bytes_per_set():,} bytes")


def main():
    counted = count()
    if sys.argv[1:] == ["--write"]:
        with open(REFERENCE, "w", encoding="ascii") as file:
            file.write(f"# {belongs_to()}\n")
            file.writelines(f"{call} {number}\n" for call, number in counted.items())
        return 0
    if sys.argv[1:] == ["--print"]:
        show(counted)
        return 0
    whose, figures = read()
    tap = Tap()
    there = bytes_per_set()
    tap.ok(there <= MAX_BYTES_PER_SET, "a set takes no more memory than it may",
           f"{there} bytes, {MAX_BYTES_PER_SET} are the limit")
    if whose != belongs_to():
        tap.ok(True, f"calls cost what they did # SKIP figures of {whose}; this is {belongs_to()}")
        return tap.finish()
    for call in figures:
        there, wanted = counted.get(call, 0), figures[call]
        tap.ok(abs(there - wanted) <= MARGIN * wanted, f"{call} costs what it did",
               f"{there} instructions, {wanted} in instructions.ref")
    tap.ok(counted.keys() == figures.keys(), "each call has a figure")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
