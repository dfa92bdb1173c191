#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What tools that read or watch the code find in it: nothing.

clang-tidy over each source file of the product (its checks are in .clang-tidy), cppcheck over all of
them, and valgrind under a daemon that carries phones through the life of a registration and under
programs that need no daemon. TAP.
"""

import concurrent.futures
import glob
import os
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))

from tap import Tap  # noqa: E402

os.chdir(ROOT)
BUILD = os.environ.get("BUILD", "build")
SOURCES = sorted(file for where in ("daemon/*.c", "daemon/*/*.c", "proto/*.c", "xfrm/*.c",
                                    "tests/ue/*.c") for file in glob.glob(where))
FLAGS = ["-I.", "-Idaemon/client", "-I/usr/include/libnl3", "-D_GNU_SOURCE",
         '-DSECAGREED_VERSION="0"', '-DSECAGREED_PREFIX="/usr"']
# It does not know what the macros of uthash write to; clang-tidy's analyzer, which does, looks for
# variables that nobody has set, and for leaks. Nothing here has threads.
NOT_OF_CPPCHECK = ["uninitvar", "uninitStructMember", "memleak", "resourceLeak", "nullPointer",
                   "readdirCalled", "getgrnamCalled", "getgrgidCalled", "getpwnamCalled",
                   "getpwuidCalled", "*:/usr/include/*"]
PHONES = 100
HEADERS, KEYS = "tests/doc/files/register.sip", "tests/doc/files/keys"
COMMANDS = [
    ("secagreed --check-config --config conf/secagreed.conf", os.devnull),
    ("secagreectl parse", HEADERS),
    ("secagreectl select", HEADERS),
    ("secagreectl decide --unprotected", HEADERS),
    ("secagreectl compare ipsec-3gpp;q=0.1;alg=hmac-sha-1-96 ipsec-3gpp;alg=aes-gmac", os.devnull),
    ("secagreectl keys --alg null --ealg aes-gcm", KEYS),
    ("secagreectl doctor", os.devnull),
    ("secagreectl --help", os.devnull),
]


def tidy(file):
    done = subprocess.run(["clang-tidy", "--quiet", file, "--", "-std=gnu11", *FLAGS],
                          capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def cppcheck():
    done = subprocess.run(
        ["cppcheck", "--quiet", "--std=c11", "--enable=warning,portability,performance",
         "--inline-suppr", "--library=posix", "--library=gnu", "--error-exitcode=1",
         f"-j{os.cpu_count()}", *(f"--suppress={what}" for what in NOT_OF_CPPCHECK),
         *(f"--include=/usr/include/{name}.h" for name in ("uthash", "utlist", "jansson")),
         *FLAGS, *SOURCES], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def valgrind(command, stdin):
    """Nothing read that was not written, nothing lost. What the program itself says of its input
    is its own business."""
    with open(stdin, "rb") as file:
        done = subprocess.run(
            ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,possible",
             "--errors-for-leak-kinds=definite,possible", "--error-exitcode=99",
             *f"{BUILD}/{command}".split()],
            stdin=file, capture_output=True, text=True, errors="replace", check=False)
    return 0 <= done.returncode < 99, f"exit {done.returncode}\n{done.stderr}"


def main():
    tap = Tap()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, (good, said) in zip(SOURCES, pool.map(tidy, SOURCES)):
            tap.ok(good, f"clang-tidy: {file}", said)
    good, said = cppcheck()
    tap.ok(good, "cppcheck", said)
    for command, stdin in [(f"bench/instructions {PHONES}", os.devnull), *COMMANDS]:
        good, said = valgrind(command, stdin)
        tap.ok(good, f"valgrind: {command}", said)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
