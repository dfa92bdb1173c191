#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a registration costs: counted by strace, which sees each call that the daemon makes, and not
by the daemon's own counters. TAP.
"""

import os
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import lab  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

LIMIT_S = 60
KEYS = {"ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}


class Trace:
    """strace on a running process: the netlink datagrams that it sends, as lists of messages."""

    def __init__(self, pid, path):
        self.pid = pid
        self.path = path
        self.strace = subprocess.Popen(
            ["strace", "-qq", "-v", "-s", "0", "-e", "trace=network,write,writev", "-o", path,
             "-p", str(pid)], stderr=subprocess.DEVNULL)
        self._wait(lambda: self._tracer() == self.strace.pid)

    def _tracer(self):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"TracerPid:\s+(\d+)", status.read())[1])

    def _wait(self, condition):
        end = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > end:
                raise OSError("strace does not attach")
            time.sleep(0.02)

    def stop(self):
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait()
        with open(self.path) as file:
            return [re.findall(r"nlmsg_type=([^,]+)", line) for line in file
                    if re.match(r"send(msg|to|mmsg)\(", line) and "nlmsg_len" in line]


def offer(number, **more):
    ports = f"port-c={7000 + 2 * number};port-s={7001 + 2 * number}"
    spis = f"spi-c={5000 + 2 * number};spi-s={5001 + 2 * number}"
    return {"impi": f"phone{number}@ims.example", "ue": lab.PHONE_4, "pcscf": lab.PCSCF_4,
            "security_client": f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;{spis};{ports}",
            **KEYS, **more}


def main():
    tap = Tap()
    with lab.Lab([lab.listener("ims", lab.PCSCF_4)]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        control = Control(bed.control_path)
        first = control.call("sa.offer", **offer(0))["set"]  # one set is there already
        control.call("sa.confirm", set=first, expires=600)

        def sent(method, /, **params):
            trace = Trace(bed.daemon.pid, os.path.join(bed.directory, "strace"))
            result = control.call(method, **params)
            return result, trace.stop()

        result, datagrams = sent("sa.offer", **offer(1))
        tap.ok([len(messages) for messages in datagrams] == [4],
               "sa.offer: one datagram of four messages", str(datagrams))
        tap.ok(all(len(set(messages)) == 1 for messages in datagrams),
               "all of one type: new SAs", str(datagrams))
        checked, datagrams = sent("sa.check", pcscf=lab.PCSCF_4, pcscf_port=6100, ue=lab.PHONE_4,
                                  ue_port=7002, method="REGISTER",
                                  security_verify=result["security_server"],
                                  security_client=offer(1)["security_client"])
        tap.ok(checked["protected"] and datagrams == [], "sa.check asks the kernel nothing",
               str(datagrams))
        _, datagrams = sent("sa.confirm", set=result["set"], expires=600)
        tap.ok([len(messages) for messages in datagrams] == [4],
               "sa.confirm: one datagram of four messages", str(datagrams))
        _, datagrams = sent("sa.route", set=result["set"])
        tap.ok(datagrams == [], "sa.route asks the kernel nothing", str(datagrams))
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
