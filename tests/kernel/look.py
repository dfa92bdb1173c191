#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How the manual tells an operator to look at decrypted messages works: with the nftables rules of
secagreed(8), tcpdump sees both directions in clear, while the wire carries ESP. TAP.
"""

import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import lab  # noqa: E402
from tap import Tap  # noqa: E402

MANUAL = os.path.join(lab.ROOT, "conf/man/secagreed.8")


def of_the_manual(pattern):
    with open(MANUAL, encoding="utf-8") as file:
        return re.search(pattern, file.read(), re.S)[1]


def start_tcpdump(bed, device, path):
    """Returns when it runs."""
    log = path + ".log"
    with bed.pcscf_host.inside(), open(log, "wb") as errors:
        process = subprocess.Popen(["tcpdump", "-i", device, "-s", "0", "-U", "-w", path],
                                   stderr=errors)

    def listens():
        with open(log, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if process.poll() is not None:
            raise lab.Failure(f"tcpdump: {text}")
        return "listening on" in text
    bed.until(listens, "tcpdump listens")
    return process


def content(path):
    with open(path, "rb") as file:
        return file.read()


def run(bed, tap):
    rules = of_the_manual(r"nft -f - <<END\n(.*?)END\n")
    group = of_the_manual(r"tcpdump -i (nflog:\d+)")
    with bed.pcscf_host.inside():
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    clear = os.path.join(bed.directory, "clear.pcap")
    wire = os.path.join(bed.directory, "wire.pcap")
    captures = [start_tcpdump(bed, group, clear), start_tcpdump(bed, "wire0", wire)]
    phone = bed.start_phone()
    mark = phone.say("register")
    bed.wait(phone.name, "registered", since=mark)
    for transport in ("udp", "tcp"):
        bed.front_end_options(transport)
    wanted = {"the phone's REGISTER": b"Security-Verify: ", "its 200": b"SIP/2.0 200 OK",
              "a request to the phone": b"OPTIONS sip:"}
    try:
        bed.until(lambda: all(text in content(clear) for text in wanted.values()),
                  "all is captured", 20)
    except lab.Failure:
        pass
    for capture in captures:
        capture.send_signal(signal.SIGTERM)
        capture.wait(30)
    for what, text in wanted.items():
        tap.ok(text in content(clear), f"{what} can be read", f"{len(content(clear))} bytes")
    tap.ok(wanted["a request to the phone"] not in content(wire),
           "while the wire does not show it")


def main():
    tap = Tap()
    with lab.Lab([lab.listener("ims", lab.PCSCF_4, encryption="required")]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            run(bed, tap)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
