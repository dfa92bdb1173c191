#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Completion of secagreectl: what the program offers, and how bash and zsh put it on the line.

Both are the real shells, on a terminal, with keys typed. The daemon is its own code over a fake
kernel (doors.py). Needs no root. TAP on standard output.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from doors import CK, IK, Daemon  # noqa: E402
from tap import CTL, ROOT, Run, Tap  # noqa: E402
from terminal import Terminal  # noqa: E402

T = Tap()
SCRIPTS = os.path.join(ROOT, "conf", "completion")
CLIENT = "ipsec-3gpp; alg=aes-gmac; spi-c=1001; spi-s=1002; port-c=5062; port-s=5064"
STATES = ["temporary", "new", "current", "old"]


def offered(*words):
    r = Run("complete", "--", *words)
    T.ok(r.exit == 0 and r.err == "", f"complete {words} says nothing else", r)
    return [line.split("\t")[0] for line in r.out.decode().splitlines()]


def tables():
    """What needs no daemon, against --help."""
    top = Run("--help").out.decode()
    commands = re.findall(r"^  ([a-z][a-z-]*) +\S", top, re.M)
    common = re.findall(r"--([a-z]+)", top.split("\nOptions:\n")[1])
    T.ok(len(commands) > 20 and offered("") == commands, "commands: those of --help", commands)
    for command in commands:
        text = Run(command, "--help").out.decode().split("\nAlso --socket")[0]
        options = re.findall(r"^  \[?--([a-z-]+)", text, re.M)
        T.equal(sorted(offered(command, "--")), sorted("--" + name for name in options + common),
                f"{command}: the options of its --help")
    T.equal(offered("relo"), ["reload"], "a command that begins so")
    T.equal(offered("keys", "--alg", ""), ["hmac-md5-96", "hmac-sha-1-96", "aes-gmac", "null"],
            "keys: integrity")
    T.equal(offered("keys", "--ealg=aes-"), ["--ealg=aes-cbc", "--ealg=aes-gcm"], "keys: encryption")
    T.equal(offered("keys", "--prot", ""), ["esp", "ah"], "keys: protocol")
    T.equal(offered("help", ""), commands, "help: the commands")
    T.equal(offered("help", "relo"), ["reload"], "help: a command that begins so")
    T.equal(offered("xyz"), [], "no command begins so")
    T.equal(offered("xyz", ""), commands, "after a word that is no command")
    T.equal(offered("list", "--state", ""), STATES, "the words of an option")
    T.equal(offered("list", "--state", "cur"), ["current"], "the word that begins so")
    T.equal(offered("list", "--state=o"), ["--state=old"], "with the option in front")
    T.equal(offered("list", "-o", ""), ["text", "wide", "tsv", "json"], "the forms of list")
    T.equal(offered("status", "--output", ""), ["text", "tsv", "json"], "the forms of status")
    T.equal(offered("-o", "json", "rou"), ["route"], "common options may come first")
    T.ok("--state" not in offered("list", "--state", "old", "--"), "an option is offered once")
    T.ok("--impu" in offered("offer", "--impu", "x", "--i"), "unless it may be repeated")
    T.equal(offered("select", "--config", ""), [":files"], "names of files")
    T.equal(offered("doctor", "--config=/"), [":files"], "names of files, with the option in front")
    T.equal(offered("list", "--limit", ""), [], "a number is not guessed")
    T.ok("--json" in offered("status", ""), "where nothing else can stand: options")
    T.ok(b"complete " not in Run("--help").out, "complete is for shells, and not listed")
    T.equal(Run("complete").exit, 2, "complete without a word")


def offer(daemon, impi, number):
    Run("--socket", daemon.control, "offer", "--impi", impi, "--ue", f"198.51.100.{number}",
        "--pcscf", "192.0.2.1", "--security-client", CLIENT, stdin=f"ck={CK}\nik={IK}\n")


def from_the_daemon():
    with Daemon() as daemon:
        offer(daemon, "u1@ims.example", 1)
        offer(daemon, "v2@ims.example", 2)
        for number, evil in enumerate(("a;reboot@ims", "$(reboot)@ims", "a b@ims", "`x`", "~root",
                                       "x\\y", "q'\"")):
            offer(daemon, evil, 3 + number)
        at = ("--socket", daemon.control)
        sets = [line.split("\t")[0] for line in
                Run(*at, "list", "-o", "tsv").out.decode().splitlines()[1:]]
        T.ok(len(sets) == 9 and offered(*at, "show", "") == sets, "sets", sets)
        T.equal(offered(*at, "show", sets[0][:9]), sets[:1], "a set that begins so")
        T.equal(offered(*at, "list", "--impi", ""), ["u1@ims.example", "v2@ims.example"],
                "subscribers, but none that a shell could take for more than a word")
        T.equal(offered(*at, "list", "--impi", "v"), ["v2@ims.example"], "who begins so")
        T.equal(offered(*at, "release", "--ue", "198.51.100.2"), ["198.51.100.2"], "a phone")
        T.equal(offered(*at, "list", "--listener", ""), ["ims"], "listeners")
        T.equal(offered(*at, "call", "sa.ro"), ["sa.route"], "methods")
    T.equal(offered(*at, "show", "")[0], "--set", "no daemon: options instead of sets")


# On a command line: @line is typed, with tabs; the program is run as the words after RAN.
LINES = [
    ("relea\t--al\t", ["release", "--all"]),
    ("list --sta\tcur\t--lis\tim\t", ["list", "--state", "current", "--listener", "ims"]),
    ("list --state=tem\t", ["list", "--state=temporary"]),
    ("list --impi u1\t", ["list", "--impi", "u1@ims.example"]),
    ("list --impi u1@i\t", ["list", "--impi", "u1@ims.example"]),
    ("list --impi=u1@i\t", ["list", "--impi=u1@ims.example"]),
    ("call sa.l\t", ["call", "sa.list"]),
    ("help rou\t", ["help", "route"]),
    ("-o ts\tstats\t", ["-o", "tsv", "stats"]),
    ("doctor --config some-w\t", ["doctor", "--config", "some-where.conf"]),
    ("doctor --config=some-w\t", ["doctor", "--config=some-where.conf"]),
]


def lines(shell, argv, begin, daemon, where):
    """The real @shell, set up by the line @begin."""
    wrapper = os.path.join(where, "secagreectl")
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write('#!/bin/sh\ncase $1 in complete) shift; shift;\n'
                f'exec "{CTL}" complete -- --socket "{daemon.control}" "$@";; esac\n'
                'printf "RAN:"; for word; do printf "<%s>" "$word"; done; echo " END"\n')
    os.chmod(wrapper, 0o755)
    path = where + os.pathsep + os.environ["PATH"]
    with Terminal(*argv, PATH=path, HOME=where, HISTFILE=None, ENV=None, COLUMNS="100") as terminal:
        terminal.type(begin.encode() + b"\n")
        T.ok(terminal.until(b"is ready"), f"{shell} starts", terminal.seen)
        for typed, words in LINES:
            seen = len(terminal.seen)
            terminal.type(b"secagreectl " + typed.encode())
            terminal.type(b"\n")
            terminal.until(lambda text, seen=seen: b" END" in text[seen:])
            ran = re.findall(rb"RAN:(.*?) END", terminal.seen[seen:])
            wanted = "".join(f"<{word}>" for word in words)
            T.ok(ran == [wanted.encode()], f"{shell}: {typed!r}", (wanted, terminal.seen[seen:]))
        terminal.type(b"secagreectl list --state \t\t")
        T.ok(terminal.until(lambda text: all(state.encode() in text.split(b" END")[-1]
                                             for state in STATES)),
             f"{shell}: two tabs list what there is", terminal.seen[-500:])


def shells():
    with Daemon() as daemon, tempfile.TemporaryDirectory() as where:
        offer(daemon, "u1@ims.example", 1)
        offer(daemon, "v2@ims.example", 2)
        open(os.path.join(where, "some-where.conf"), "w", encoding="ascii").close()
        ready = f"cd {where}; echo is r''eady"
        lines("bash", ["bash", "--norc", "--noprofile", "-i"],
              f"source {SCRIPTS}/secagreectl.bash; {ready}", daemon, where)
        lines("zsh", ["zsh", "-f", "-i"],
              f"fpath=({SCRIPTS} $fpath); autoload -Uz compinit; compinit -u -D; {ready}", daemon,
              where)


def scripts():
    for argv in (["bash", "-n", f"{SCRIPTS}/secagreectl.bash"],
                 ["zsh", "-n", f"{SCRIPTS}/_secagreectl"]):
        done = subprocess.run(argv, capture_output=True, check=False)
        T.ok(done.returncode == 0 and not done.stderr, " ".join(argv[:2]), done.stderr)


def main():
    for part in (tables, from_the_daemon, scripts, shells):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
