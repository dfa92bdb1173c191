# SPDX-License-Identifier: BSD-2-Clause
"""All phones at once: their sets end in the same second, or a SIP server was restarted and all of
them register anew. How long does that take, against the kernel alone, and does another client, which
asks sa.check at a steady rate, still get its answers? What it waits counts from when a call was due.
"""

import json
import math
import signal
import subprocess
import time

from results import table
from stage import Daemon, Host, program, settle

PART = "storm"
PHONES = 1000
WATCHERS = 20  # phones of the client that looks on
WATCHER_FIRST = 8000000
RATE = 100
REST_S = 4
PREPARE_S = 3
LIMIT_S = 600
EVENTS = ("at rest", "first registration", "mass re-registration", "mass expiry")
QUANTITIES = ("p50_us", "p99_us", "max_us")
CROWD = ("--clients", 8, "--in-flight", 16)
REGISTER = "offer+check+confirm"


class Watcher:
    """The client that looks on, as long as the block lasts. @options are those of load."""

    def __init__(self, results, event, turn, daemon, *options):
        self.keep = lambda quantity, value: results.add(PART, event, quantity, turn, value)
        self.process = daemon.host.start(
            program("load"), "--socket", daemon.socket, *watchers(daemon), "--times",
            math.ceil(LIMIT_S * RATE / WATCHERS), "--rate", RATE, "--in-flight", 256, *options,
            "use", stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        report = json.loads(self.process.communicate(timeout=LIMIT_S)[0])
        for quantity in QUANTITIES:
            self.keep(quantity, report[quantity])


def watchers(daemon):
    return ("--first", WATCHER_FIRST, "--phones", WATCHERS, "--answers",
            f"{daemon.directory}/watchers")


def _kernel(results, turn, phones):
    with Host("kernel") as host:
        for one in host.measure("kernel", "--phones", phones, "add", "change", "delete"):
            results.add(PART, "kernel", one["what"], turn, one["seconds"])


def _register(results, turn, phones, daemon):
    """Each phone twice; the second time its set of the first is there."""
    for generation, event in ((0, "first registration"), (1, "mass re-registration")):
        settle()
        with Watcher(results, event, turn, daemon):
            report, = daemon.host.reports("load", "--socket", daemon.socket, "--phones", phones,
                                          "--generation", generation, *CROWD, REGISTER)
        results.add(PART, event, "seconds", turn, report["seconds"])


def _expire(results, turn, phones, daemon):
    options = ("--phones", phones, "--in-flight", 64, "--answers", f"{daemon.directory}/crowd")
    before = daemon.sets()
    offer, = daemon.load(*options, "offer")
    end = time.monotonic() + 2 * offer["seconds"] + PREPARE_S
    daemon.host.reports("load", "--socket", daemon.socket, *options, "--end-at", end, "confirm")
    if time.monotonic() > end - 1:
        raise OSError("sets ended before all were confirmed")
    settle()
    time.sleep(max(end - 1 - time.monotonic(), 0))
    with Watcher(results, "mass expiry", turn, daemon):
        while daemon.sets() > before:
            if time.monotonic() > end + LIMIT_S:
                raise OSError("sets do not end")
            time.sleep(0.05)
        results.add(PART, "mass expiry", "seconds", turn, time.monotonic() - (end - 1))


def _round(results, turn, phones):
    _kernel(results, turn, phones)
    with Host("pcscf") as host, Daemon(host, margin_s=0) as daemon:
        daemon.load(*watchers(daemon), "offer", "confirm")
        settle()
        with Watcher(results, "at rest", turn, daemon, "--awake"):
            time.sleep(REST_S)
        _expire(results, turn, phones, daemon)
        _register(results, turn, phones, daemon)
    for event, steps in (("first registration", ("add", "change")),
                         ("mass re-registration", ("add", "change")), ("mass expiry", ("delete",))):
        alone = sum(results.values(PART, "kernel", step)[turn] for step in steps)
        results.add(PART, event, "kernel_seconds", turn, alone)
    results.add(PART, "all", "phones", turn, phones)


def measure(results, rounds, scale):
    for turn in range(rounds):
        _round(results, turn, int(PHONES * scale))


def show(results):
    phones = int(results.median(PART, "all", "phones"))
    rows = []
    for event in EVENTS[1:]:
        rows.append((event, results.median(PART, event, "kernel_seconds"),
                     results.median(PART, event, "seconds"),
                     results.ratio(PART, "seconds", event, event, "kernel_seconds")))
    table(f"{phones:,} phones at once (seconds; an expiry has one second to spread over)",
          ("", "kernel alone", "secagreed", "times the kernel's"), rows)
    rows = []
    for event in EVENTS:
        waits = [results.median(PART, event, quantity) for quantity in QUANTITIES]
        rows.append((event, *(wait / 1e3 for wait in waits),
                     results.ratio(PART, "p99_us", event, "at rest"),
                     results.ratio(PART, "max_us", event, "at rest")))
    table(f"Another client's sa.check meanwhile, {RATE} a second (milliseconds)",
          ("", "p50", "p99", "longest", "p99 of that at rest", "longest of that at rest"), rows)


def plots(results):
    rows = [(f"{event}, {name}", results.median(PART, event, quantity) / 1e3)
            for event in EVENTS for name, quantity in (("p99", "p99_us"), ("longest", "max_us"))]
    return [("storm", "Milliseconds that another client's sa.check takes", "bars", rows)]
