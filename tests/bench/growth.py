# SPDX-License-Identifier: BSD-2-Clause
"""Does a registration cost more when many are there already? Time, and memory of the daemon for
each of those that came since the last size; with the first come tables and the ring of events.

"Counting": phone addresses and SPIs count up together. "nat": all phones behind one address, each
with policies of its own. "kamailio": the messages of its ims_ipsec_pcscf. What grows, grows in the
kernel and shows early, so only "random" goes as far as the scale has it.
"""

import math

from results import table
from stage import Daemon, Host

PART = "growth"
SIZES = (500, 2000, 5000)
WINDOW = 400
ADDRESSES = {"counting": ("--addresses", "counting", "--spis", "counting"),
             "random": ("--addresses", "random"),
             "nat": ("--addresses", "nat")}
SHORTER = 0.2
SHORTER_MAX = 5000


def _sizes(scale, largest=math.inf):
    scale = min(scale, largest / SIZES[-1])
    return [int(size * scale) for size in SIZES]


def _shorter_sizes(scale, largest=math.inf):
    return _sizes(max(SHORTER * scale, min(scale, 1)), largest)


def _fill(run, addresses, sizes):
    """Yields (size, the report of the last WINDOW phones) at each size."""
    there = 0
    for size in sizes:
        options = (*ADDRESSES[addresses], "--first")
        if size - WINDOW > there:
            run(*options, there, "--phones", size - WINDOW - there)
            there = size - WINDOW
        report, = run(*options, there, "--phones", size - there)
        there = size
        yield size, report


def _keep(results, subject, turn, size, report):
    results.add(PART, subject, str(size), turn, report["seconds"] / report["count"])


def _alone(results, turn, addresses, sizes, what="add", subject="kernel"):
    with Host("kernel") as host:
        for size, report in _fill(lambda *o: host.measure("kernel", *o, what), addresses, sizes):
            _keep(results, f"{subject}, {addresses}", turn, size, report)


def _daemon(results, turn, addresses, sizes):
    with Host("pcscf") as host, Daemon(host) as daemon:
        before, before_kib = 0, daemon.resident_kib()
        for size, report in _fill(lambda *o: daemon.load("--in-flight", 64, *o, "offer"),
                                  addresses, sizes):
            _keep(results, f"secagreed, {addresses}", turn, size, report)
            results.add(PART, f"memory, {addresses}", str(size), turn,
                        (daemon.resident_kib() - before_kib) * 1024 / (size - before))
            before, before_kib = size, daemon.resident_kib()


def measure(results, rounds, scale):
    for turn in range(max(rounds // 2, 1)):
        for addresses in ADDRESSES:
            sizes = _sizes(scale) if addresses == "random" else \
                _shorter_sizes(scale, SHORTER_MAX if addresses == "nat" else math.inf)
            _alone(results, turn, addresses, sizes)
            _daemon(results, turn, addresses, sizes)
        for addresses in ("counting", "random"):
            _alone(results, turn, addresses, _shorter_sizes(scale, SHORTER_MAX), "kamailio",
                   "kamailio")


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
    rows = []
    for subject in ("kamailio, counting", "kamailio, random"):
        sizes = _sizes_seen(results, subject)
        for size in sizes:
            rows.append((f"{subject}, {size:,} sets",
                         1e6 * results.median(PART, subject, str(size)),
                         results.ratio_of(PART, subject, str(size), subject, str(sizes[0]))))
    table("The same with another P-CSCF's messages", ("", "microseconds", "of the first"), rows)


def _lines(results, addresses_of_all):
    lines = []
    for addresses in addresses_of_all:
        for who in ("secagreed", "kernel", "kamailio"):
            subject = f"{who}, {addresses}"
            sizes = _sizes_seen(results, subject)
            if sizes:
                lines.append((subject, [(size, 1e6 * results.median(PART, subject, str(size)))
                                        for size in sizes]))
    return lines


def plots(results):
    return [("growth", "Microseconds for one more registration, beside so many", "lines",
             _lines(results, ("counting", "random"))),
            ("growth-nat", "The same, all phones behind one address", "lines",
             _lines(results, ("nat",)))]
