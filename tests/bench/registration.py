# SPDX-License-Identifier: BSD-2-Clause
"""How many registrations a second, against what the kernel alone can do.

"kernel" sends the same messages, prepared beforehand. "kamailio" is the sequence of messages of
Kamailio's ims_ipsec_pcscf, replayed, without the time that Kamailio itself takes. Rates are over
the time that passes, clients and all, which on one processor is the sum of both; "itself" counts
the daemon's own time alone, the kernel's work for it within. "counting" is each with phone
addresses and SPIs that count up together, where the latter's reqid = SPI puts many SAs into one
bucket of the kernel's hash. NEWAE instead of UPDSA is measured and not used: the head of
daemon/sa_kernel.c says why.
"""

import os
import time

from results import table
from stage import Daemon, Host, program, settle

PART = "registration"
CLIENTS = {"pipelined": ("--clients", "1", "--in-flight", "64"),
           "8 clients": ("--clients", "8", "--in-flight", "1"),
           "1 by 1": ("--clients", "1", "--in-flight", "1")}
# what the daemon is asked for: what the kernel does then
STEPS = {"offer": "add", "confirm": "change", "extend": "change", "release": "delete",
         "offer+check+confirm+extend+release": "life"}
SHORT = {"offer+check+confirm+extend+release": "life"}
ITSELF = "itself"
COUNTING = ("--addresses", "counting", "--spis", "counting")


def _kernel(results, turn, phones):
    with Host("kernel") as host:
        reports = host.measure("kernel", "--phones", phones, "add", "change", "ask", "refresh",
                               "delete", "life")
        for one in reports:
            results.add(PART, "kernel", one["what"], turn, one["count"] / one["seconds"])
        seconds = {one["what"]: one["seconds"] for one in reports}
        together, = host.measure("kernel", "--phones", phones, "together")
        results.add(PART, "kernel", "together", turn, together["count"] / together["seconds"])
        results.add(PART, "kernel", "ask and refresh", turn,
                    phones / (seconds["ask"] + seconds["refresh"]))


def _daemon(results, turn, phones, daemon, name):
    """Also by the time of the daemon alone, since a client may have a processor of its own."""
    answers = os.path.join(daemon.directory, "answers")
    for steps in STEPS:
        busy_s = daemon.busy_s()
        one, = daemon.load("--phones", phones, *CLIENTS[name], "--answers", answers, steps)
        busy_s = daemon.busy_s() - busy_s
        what = SHORT.get(steps, steps)
        results.add(PART, name, what, turn, phones / one["seconds"])
        results.add(PART, f"{name}, {ITSELF}", what, turn, phones / busy_s)


def _counting(results, turn, phones, daemon):
    with Host("kernel") as host:
        one, = host.measure("kernel", "--phones", phones, *COUNTING, "add")
        results.add(PART, "kernel, counting", "add", turn, one["count"] / one["seconds"])
    one, _ = daemon.load("--phones", phones, *COUNTING, *CLIENTS["pipelined"], "offer", "release")
    results.add(PART, "pipelined, counting", "offer", turn, phones / one["seconds"])


def _kamailio(results, turn, phones):
    for subject, options in (("kamailio", ()), ("kamailio, counting", COUNTING)):
        with Host("kamailio") as host:
            one, = host.measure("kernel", "--phones", phones, *options, "kamailio")
            results.add(PART, subject, "add", turn, one["count"] / one["seconds"])


def _own_policies(results, turn, phones):
    with Host("own") as host:
        one, = host.measure("kernel", "--phones", phones, "own")
        results.add(PART, "own policies", "add", turn, one["count"] / one["seconds"])


def _ip_batch(results, turn, phones):
    with Host("batch") as host:
        lines = host.run(program("kernel"), "--phones", phones, "batch")
        settle()
        start = time.monotonic()
        host.run("ip", "-batch", "-", text=lines)
        results.add(PART, "ip -batch", "add", turn, phones / (time.monotonic() - start))


def measure(results, rounds, scale):
    phones = int(400 * scale)
    with Host("pcscf") as host, Daemon(host) as daemon:
        for turn in range(rounds):
            _kernel(results, turn, phones)
            for name in CLIENTS:
                _daemon(results, turn, phones, daemon, name)
            _counting(results, turn, phones, daemon)
            _kamailio(results, turn, phones)
            _own_policies(results, turn, phones)
            _ip_batch(results, turn, phones)


def show(results):
    rows = [("kernel alone", results.median(PART, "kernel", "add"), 1.0)]
    for name in CLIENTS:
        rows.append((f"secagreed, {name}", results.median(PART, name, "offer"),
                     results.ratio(PART, "offer", name, "kernel", "add")))
    rows.append(("secagreed, pipelined, counting",
                 results.median(PART, "pipelined, counting", "offer"),
                 results.ratio_of(PART, "pipelined, counting", "offer", "kernel", "add")))
    for name in ("kernel, counting", "own policies", "kamailio", "kamailio, counting", "ip -batch"):
        rows.append((name, results.median(PART, name, "add"),
                     results.ratio(PART, "add", name, "kernel")))
    table("Registrations a second (four SAs each)", ("", "a second", "of the kernel's"), rows)

    rows = []
    subjects = [*CLIENTS, *(f"{name}, {ITSELF}" for name in CLIENTS)]
    for steps, alone in STEPS.items():
        what = SHORT.get(steps, steps)
        rows.append((what, results.median(PART, "kernel", alone),
                     *(results.ratio(PART, what, name, "kernel", alone) for name in subjects)))
    table("Each call, of what the kernel alone does (\"life\": offer check confirm extend release)",
          ("", "kernel alone", *subjects), rows)
    pipelined = results.ratio(PART, "offer", "pipelined", "kamailio", "add")
    itself = results.ratio(PART, "offer", f"pipelined, {ITSELF}", "kamailio", "add")
    counting = results.ratio(PART, "offer", "pipelined, counting", "kamailio, counting", "add")
    refresh, asked = (results.ratio(PART, how, "kernel", "kernel", "change")
                      for how in ("refresh", "ask and refresh"))
    table("Ratios", ("", ""),
          [("sixteen phones in one datagram : one, the kernel alone",
            results.ratio(PART, "together", "kernel", "kernel", "add")),
           ("secagreed pipelined : kamailio", pipelined),
           ("by the daemon's own time", itself),
           ("the same, addresses and SPIs counting up", counting),
           ("NEWAE : UPDSA, calls a second", refresh),
           ("GETAE for the counters and NEWAE : UPDSA", asked)])


def plots(results):
    rows = [(name, results.median(PART, subject, quantity)) for name, subject, quantity in (
        ("the kernel alone", "kernel", "add"),
        ("secagreed itself", f"pipelined, {ITSELF}", "offer"),
        ("secagreed, pipelined", "pipelined", "offer"),
        ("secagreed, counting", "pipelined, counting", "offer"),
        ("secagreed, 8 clients", "8 clients", "offer"), ("secagreed, 1 by 1", "1 by 1", "offer"),
        ("with own policies", "own policies", "add"), ("Kamailio's sequence", "kamailio", "add"),
        ("Kamailio's, counting", "kamailio, counting", "add"), ("ip -batch", "ip -batch", "add"))]
    return [("registration", "Registrations a second", "bars", rows)]
