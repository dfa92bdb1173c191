# SPDX-License-Identifier: BSD-2-Clause
"""UDP messages of 800 bytes a second: under ESP with few and with many phones registered, with the
listener's shared policies and with policies for each set; and unprotected ones, without and with
our policies in the kernel.
"""

import contextlib
import os

from results import table
from stage import PCSCF, PHONES_NET, Daemon, Host, netns

PART = "datapath"
PHONES = (1, 1000, 4000)
COUNT = 4000  # each phone at least once: what a kernel keeps of used SAs is there
CLEAR = ("clear-up", "clear-down")
FLOWS = (*CLEAR, "up", "down")
HERE, THERE = "198.51.100.1", "198.51.100.2"


def _join(pcscf, phones):
    """All phones are behind one router, so that the size of the neighbour table is no matter."""
    netns.join(pcscf, phones, "wire")
    netns.address(pcscf, "wire", [f"{HERE}/24"])
    netns.address(phones, "wire", [f"{THERE}/24"])
    pcscf.ip("route", "add", PHONES_NET, "via", THERE)
    phones.ip("addr", "del", f"{PCSCF}/32", "dev", "lo")
    phones.ip("route", "add", PCSCF, "via", HERE)
    phones.ip("route", "add", "local", PHONES_NET, "dev", "lo")


def _keep(results, subject, turn, reports):
    for report in reports:
        results.add(PART, subject, report["what"], turn, report["count"] / report["seconds"])


def _bed(stack, policies, count, messages):
    """The options of packets for so many phones registered; None: nothing of ours is there."""
    pcscf, phones = stack.enter_context(Host(f"pcscf-{policies}-{count}")), \
        stack.enter_context(Host(f"phones-{policies}-{count}"))
    _join(pcscf, phones)
    options = ("--pcscf", f"/run/netns/{pcscf.name}", "--phones", f"/run/netns/{phones.name}",
               "--count", messages)
    if not policies:
        return pcscf, (*options, *CLEAR)
    daemon = stack.enter_context(Daemon(pcscf, policies))
    answers = os.path.join(daemon.directory, "answers")
    daemon.load("--phones", count, "--in-flight", 64, "--answers", answers, "offer")
    pcscf.measure("packets", *options, "--answers", answers, "install")
    return pcscf, (*options, "--answers", answers, *FLOWS)


def _measure_bed(results, rounds, subject, bed, bare):
    """Takes turns with @bare. The first round warms up and is not kept."""
    done = len(results.values(PART, "no policies", CLEAR[0]))
    for turn in range(-1, rounds):
        for name, first, (pcscf, options) in (("no policies", done, bare), (subject, 0, bed)):
            reports = pcscf.measure("packets", *options)
            if turn >= 0:
                _keep(results, name, first + turn, reports)


def measure(results, rounds, scale):
    """One bed of phones at a time: a hundred thousand of them have 800,000 SAs."""
    with contextlib.ExitStack() as stack:
        bare = _bed(stack, None, 0, COUNT)
        for phones in PHONES:
            count = int(phones * scale) if phones > 1 else 1
            for policies in ("shared", "per-set"):
                with contextlib.ExitStack() as these:
                    bed = _bed(these, policies, count, max(count, COUNT))
                    _measure_bed(results, rounds, f"{policies}, {count}", bed, bare)


def _counts(results):
    return sorted({int(row[1].split(", ")[1]) for row in results.rows
                   if row[0] == PART and ", " in row[1]})


def show(results):
    rows = [("no policies", *(results.median(PART, "no policies", flow) for flow in FLOWS))]
    for count in _counts(results):
        for policies in ("shared", "per-set"):
            rows.append((f"{count:,} phone{'s' * (count > 1)}, {policies} policies",
                         *(results.median(PART, f"{policies}, {count}", flow) for flow in FLOWS)))
    table("UDP messages a second, sent and received on one processor",
          ("", *(f"{flow}" for flow in FLOWS)), rows)


def plots(results):
    lines = [(f"{policies}, {flow}",
              [(count, results.median(PART, f"{policies}, {count}", flow))
               for count in _counts(results)])
             for policies in ("shared", "per-set") for flow in ("up", "down")]
    return [("datapath", "UDP messages a second under ESP, by phones registered", "lines", lines)]
