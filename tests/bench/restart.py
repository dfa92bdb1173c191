# SPDX-License-Identifier: BSD-2-Clause
"""How long a start takes with so many sets of the run before, against one bare dump of their SAs.

The daemon is reconciled (READY=1) when it has read its records and compared them with the kernel's
dump; before that it answers nobody, and clients that have connected meanwhile wait.
"""

from results import table
from stage import Daemon, Host, settle

PART = "restart"
SIZES = (500, 1000, 2000)
QUANTITIES = ("ready", "answers", "dump")


def _round(results, turn, size, daemon):
    dump, = daemon.host.measure("kernel", "dump")
    if dump["count"] != 4 * size:
        raise OSError(f"{dump['count']} SAs of {size} sets")
    daemon.stop()
    settle()
    ready, answers = daemon.start()
    for quantity, seconds in zip(QUANTITIES, (ready, answers, dump["seconds"])):
        results.add(PART, str(size), quantity, turn, seconds)


def measure(results, rounds, scale):
    with Host("pcscf") as host, Daemon(host) as daemon:
        there = 0
        for size in (0, *(int(size * scale) for size in SIZES)):
            if size > there:
                daemon.load("--first", there, "--phones", size - there, "--in-flight", 64, "offer",
                            "confirm")
            there = size
            for turn in range(rounds):
                _round(results, turn, size, daemon)


def _sizes(results):
    return sorted({int(row[1]) for row in results.rows if row[0] == PART})


def show(results):
    rows = []
    for size in _sizes(results):
        ready, answers, dump = (results.median(PART, str(size), quantity)
                                for quantity in QUANTITIES)
        rows.append((f"{size:,} sets", 1e3 * dump, 1e3 * ready, 1e3 * answers,
                     results.ratio(PART, "ready", str(size), str(size), "dump") if size else None))
    table("A start with sets of the run before (milliseconds)",
          ("", "bare dump", "reconciled", "answers", "times the dump"), rows)


def plots(results):
    lines = [(name, [(size, 1e3 * results.median(PART, str(size), quantity))
                     for size in _sizes(results)])
             for name, quantity in (("until it answers", "answers"), ("one bare dump", "dump"))]
    return [("restart", "Milliseconds of a start, by sets of the run before", "straight", lines)]
