# SPDX-License-Identifier: BSD-2-Clause
"""The front end's side of the control protocol: JSON-RPC 2.0, one request and one line of answer.

Calls block: a front end that talks to a daemon on the same machine waits microseconds.
"""

import json
import socket
import time

TIMEOUT_S = 30


class ControlError(Exception):
    """The daemon said no. @reason is the stable token, @sip the reply to give, if any."""

    def __init__(self, error):
        super().__init__(error.get("message", "?"))
        self.code = error.get("code")
        self.data = error.get("data") or {}
        self.reason = self.data.get("reason")
        self.sip = self.data.get("sip")
        self.verdict = self.data.get("verdict")


class Control:
    """@patient: a daemon that is restarted is asked again when it is back."""

    def __init__(self, path, patient=False):
        self.path = path
        self.patient = patient
        self.last_id = 0
        self.connect()

    def connect(self):
        self.buffer = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(self.path)

    def reconnect(self):
        self.close()
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self.connect()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def call(self, method, /, **params):
        """The result; parameters that are None are left out. Raises ControlError."""
        while True:
            try:
                return self.ask(method, params)
            except ConnectionError:
                if not self.patient:
                    raise
                self.reconnect()

    def ask(self, method, params):
        self.last_id += 1
        request = {"jsonrpc": "2.0", "id": self.last_id, "method": method,
                   "params": {name: value for name, value in params.items() if value is not None}}
        self.send(json.dumps(request).encode() + b"\n")
        line = self.line()
        if not line:
            raise ConnectionError("the daemon closed the connection")
        answer = json.loads(line)
        if "error" in answer and answer.get("id") in (self.last_id, None):
            raise ControlError(answer["error"])
        if answer.get("id") != self.last_id:
            raise ConnectionError(f"answer to {answer.get('id')}, not to {self.last_id}")
        return answer["result"]

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line that the daemon wrote; b"" when it closed the connection."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                line, self.buffer = self.buffer, b""
                return line
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def close(self):
        self.socket.close()
