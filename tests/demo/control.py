# SPDX-License-Identifier: BSD-2-Clause
"""The control socket of secagreed, for the front end of the demonstration and for the tests: the
client that is installed, but each request is sent once, so that a daemon that goes away is seen.

Calls block: a front end that talks to a daemon on the same machine waits microseconds.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../daemon/client"))
import secagree  # noqa: E402

TIMEOUT_S = 30

ControlError = secagree.Refused


class Control(secagree.Connection):
    """@patient: a daemon that is restarted is asked again when it is back."""

    def __init__(self, path, patient=False):
        super().__init__(path, TIMEOUT_S)
        self.patient = patient

    def reconnect(self):
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self.connect()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _exchange(self, request):
        while True:
            try:
                self.send(request)
                if line := self.line():
                    return line
                raise ConnectionResetError("the daemon closed the connection")
            except ConnectionError:
                if not self.patient:
                    raise
                self.reconnect()
