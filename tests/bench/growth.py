# SPDX-License-Identifier: BSD-2-Clause
"""Does a registration cost more when many are there already? Time, and memory of the daemon for each
of those that came since the last size; with the first come tables and the ring of events.
"""

from results import table
from stage import Daemon, Host

PART = "growth"
SIZES = (500, 2000, 5000)
WINDOW = 400
ADDRESSES = ("counting", "random", "nat")
NAT_MAX = 20000  # each phone behind the one address has two ports of it


def _sizes(addresses, scale):
    sizes = [int(size * scale) for size in SIZES]
    return [size for size in sizes if addresses != "nat" or size <= NAT_MAX]


def _fill(run, addresses, sizes):
    """Yields (size, the report of the last WINDOW phones) at each size."""
    there = 0
    for size in sizes:
        options = ("--addresses", addresses, "--first")
        if size - WINDOW > there:
            run(*options, there, "--phones", size - WINDOW - there)
            there = size - WINDOW
        report, = run(*options, there, "--phones", size - there)
        there = size
        yield size, report


def measure(results, rounds, scale):
    for turn in range(min(rounds, 2)):
        for addresses in ADDRESSES:
            sizes = _sizes(addresses, scale)
            with Host("kernel") as host:
                for size, report in _fill(lambda *o: host.measure("kernel", *o, "add"), addresses,
                                          sizes):
                    results.add(PART, f"kernel, {addresses}", str(size), turn,
                                report["seconds"] / report["count"])
            with Host("pcscf") as host, Daemon(host) as daemon:
                before, before_kib = 0, daemon.resident_kib()
                for size, report in _fill(
                        lambda *o: daemon.load("--in-flight", 64, *o, "offer"), addresses, sizes):
                    results.add(PART, f"secagreed, {addresses}", str(size), turn,
                                report["seconds"] / report["count"])
                    results.add(PART, f"memory, {addresses}", str(size), turn,
                                (daemon.resident_kib() - before_kib) * 1024 / (size - before))
                    before, before_kib = size, daemon.resident_kib()


def _sizes_seen(results, subject):
    return sorted({int(row[2]) for row in results.rows if row[:2] == (PART, subject)})


def show(results):
    rows = []
    for addresses in ADDRESSES:
        ours, alone = f"secagreed, {addresses}", f"kernel, {addresses}"
        sizes = _sizes_seen(results, ours)
        for size in sizes:
            rows.append((f"{addresses}, {size:,} sets",
                         1e6 * results.median(PART, alone, str(size)),
                         1e6 * results.median(PART, ours, str(size)),
                         results.ratio_of(PART, ours, str(size), ours, str(sizes[0])),
                         results.median(PART, f"memory, {addresses}", str(size))))
    table("One more registration, beside so many (microseconds; memory of the daemon in bytes)",
          ("", "kernel alone", "secagreed", "of the first", "memory a set"), rows)


def plots(results):
    lines = []
    for addresses in ADDRESSES:
        for subject in (f"secagreed, {addresses}", f"kernel, {addresses}"):
            lines.append((subject, [(size, 1e6 * results.median(PART, subject, str(size)))
                                    for size in _sizes_seen(results, subject)]))
    return [("growth", "Microseconds for one more registration, beside so many", "lines", lines)]
