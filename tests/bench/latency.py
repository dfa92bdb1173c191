# SPDX-License-Identifier: BSD-2-Clause
"""How long a call takes: one at a time, and under half of the load that the daemon bears.

Under load, requests leave at a steady rate whatever becomes of the earlier ones, and what they take
counts from the moment when they were due. On a machine with one processor the daemon goes before its
client, which in real life has another, and both before what the kernel does behind the scenes.
"""

import contextlib
import os

from results import table
from stage import Daemon, Host

PART = "latency"
CALLS = ("offer", "use", "route")
STEPS = ("offer", "confirm", "use", "route", "release")
NAMES = {"offer": "sa.offer", "use": "sa.check", "route": "sa.route"}
QUANTITIES = ("p50_us", "p99_us", "p999_us")


@contextlib.contextmanager
def _first(daemon):
    """The daemon, then us and so the programs that we start, then all others."""
    if os.cpu_count() == 1:
        os.sched_setscheduler(daemon.process.pid, os.SCHED_FIFO, os.sched_param(2))
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _keep(results, subject, turn, report):
    for quantity in QUANTITIES:
        results.add(PART, subject, quantity, turn, report[quantity])
    results.add(PART, subject, "per_second", turn, report["count"] / report["seconds"])


def _round(results, turn, phones, daemon):
    options = ("--phones", phones)
    with Host("kernel") as host:
        one, = host.measure("kernel", *options, "add")
        _keep(results, "kernel", turn, one)
    for report in daemon.load(*options, *STEPS):
        if report["what"] in CALLS:
            _keep(results, f"{report['what']} at rest", turn, report)
    rates = {}
    for report in daemon.load(*options, "--in-flight", 64, *STEPS):
        rates[report["what"]] = int(report["count"] / report["seconds"])
        if report["what"] in CALLS:
            _keep(results, f"{report['what']} pipelined", turn, report)
    answers = f"{daemon.directory}/answers"
    for call in CALLS:
        report, *_ = daemon.load(*options, "--in-flight", 256, "--rate", max(rates[call] // 2, 1),
                                 "--awake", "--answers", answers, call)
        _keep(results, f"{call} at half load", turn, report)
        if call == "offer":
            daemon.load(*options, "--in-flight", 64, "--answers", answers, "confirm")
    daemon.load(*options, "--in-flight", 64, "--answers", answers, "release")


def measure(results, rounds, scale):
    with Host("pcscf") as host, Daemon(host) as daemon:
        with _first(daemon):
            for turn in range(rounds):
                _round(results, turn, int(500 * scale), daemon)


def show(results):
    rows = [("four NEWSA, the kernel alone",
             *(results.median(PART, "kernel", quantity) for quantity in QUANTITIES), "")]
    for call in CALLS:
        for when in ("at rest", "at half load"):
            subject = f"{call} {when}"
            rows.append((f"{NAMES[call]}, {when}",
                         *(results.median(PART, subject, quantity) for quantity in QUANTITIES), ""))
        rows[-1] = (*rows[-1][:-1], results.median(PART, f"{call} pipelined", "per_second"))
    table("Microseconds for one call", ("", "p50", "p99", "p99.9", "a second, pipelined"), rows)


def plots(results):
    return []
