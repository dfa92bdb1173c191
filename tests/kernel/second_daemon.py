#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that is started beside a running one with the same configuration gives up and harms
nothing; one that is started after a crash goes on. TAP.
"""

import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

OFFER = {"impi": "phone@ims.example", "ue": lab.PHONE_4, "pcscf": lab.PCSCF_4,
         "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=5000;spi-s=5001;"
                            "port-c=7000;port-s=7001",
         "ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}


def policies(host):
    with host.inside():
        return subprocess.run(["ip", "xfrm", "policy"], capture_output=True, text=True,
                              check=True).stdout


def main():
    tap = Tap()
    with lab.Lab([lab.listener("ims", lab.PCSCF_4)]) as bed:
        bed.make_hosts()
        bed.start_daemon()
        control = Control(bed.control_path)
        control.call("sa.offer", **OFFER)
        guards = policies(bed.pcscf_host)

        argv = [os.path.join(lab.BUILD, "secagreed"), "--foreground", "--config",
                os.path.join(bed.directory, "secagreed.conf")]
        with bed.pcscf_host.inside():
            second = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        tap.ok(second.returncode == 1 and "another secagreed answers there" in second.stderr,
               "a second daemon says that there is one, and ends", second.stderr)
        tap.ok(kernel.sa_count(bed.pcscf_host) == 4, "the first one's SAs are there")
        tap.ok(policies(bed.pcscf_host) == guards, "and so are its guards")
        tap.ok(control.call("sa.list")["total"] == 1, "and it answers on its socket")

        bed.daemon.process.send_signal(signal.SIGKILL)
        bed.daemon.process.wait()
        tap.ok(kernel.sa_count(bed.pcscf_host) == 4, "a killed daemon leaves its SAs")
        bed.start_daemon()
        control = Control(bed.control_path)
        tap.ok(kernel.sa_count(bed.pcscf_host) == 4 and control.call("sa.list")["total"] == 1,
               "the next one goes on with them")
        tap.ok(policies(bed.pcscf_host) == guards, "and takes the guards over")
        again = control.call("sa.offer", **OFFER)
        tap.ok(again["state"] == "temporary" and control.call("sa.list")["total"] == 1,
               "and serves", again)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
