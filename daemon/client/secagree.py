# SPDX-License-Identifier: BSD-2-Clause
"""secagreed's control socket, for SIP front ends and tools in Python. secagreed-control(7) has the
methods with their parameters and answers. One file, Python 3.9 or later, nothing to install.

    import secagree

    daemon = secagree.Connection()
    try:
        made = daemon.call("sa.offer", impi="a@ims.example", ue="192.0.2.7", pcscf="192.0.2.1",
                           security_client=header, ck=ck, ik=ik)
        print(made["security_server"])
    except secagree.Refused as refused:
        print(refused.reason, refused, refused.sip)

A connection serves one thread at a time. Calls block, for `timeout` seconds at most.
"""

import json
import socket
import sys

DEFAULT_PATH = "/run/secagreed/control.sock"


class Refused(Exception):
    """The daemon said no; str() is its sentence."""

    def __init__(self, error):
        super().__init__(error.get("message", "?"))
        self.code = error.get("code")
        self.data = error.get("data") or {}
        self.reason = self.data.get("reason")    # a word for programs
        self.sip = self.data.get("sip")          # {"code", "phrase", "headers"} to answer, or None
        self.verdict = self.data.get("verdict")  # "reject", "discard" or None


class Connection:
    def __init__(self, path=DEFAULT_PATH, timeout=10.0):
        self.path = path
        self.timeout = timeout
        self.socket = None
        self.buffer = b""
        self.last_id = 0
        self.connect()

    def connect(self):
        """Raises OSError when no daemon is there."""
        self.close()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(self.timeout)
        try:
            self.socket.connect(self.path)
        except OSError:
            self.close()
            raise

    def call(self, method, /, **params):
        """The result. Parameters that are None are left out. Raises Refused; OSError when there was
        no answer: whether the call was done is not known then. A daemon that was restarted since the
        last call is found again."""
        self.last_id += 1
        request = {"jsonrpc": "2.0", "id": self.last_id, "method": method,
                   "params": {name: value for name, value in params.items() if value is not None}}
        answer = json.loads(self._exchange(json.dumps(request).encode() + b"\n"))
        if "error" in answer and answer.get("id") in (self.last_id, None):
            raise Refused(answer["error"])
        if answer.get("id") != self.last_id:
            self.close()
            raise ConnectionError(f"an answer to {answer.get('id')}, not to {self.last_id}")
        return answer["result"]

    def _exchange(self, request):
        fresh = self.socket is None
        while True:
            try:
                if self.socket is None:
                    self.connect()
                self.send(request)
                line = self.line()
                if line:
                    return line
                raise ConnectionResetError(f"{self.path}: the daemon went away")
            except (BrokenPipeError, ConnectionResetError):
                began = self.buffer
                self.close()
                if fresh or began:
                    raise
                fresh = True
            except OSError:
                self.close()
                raise

    def send(self, data):
        """Bytes as they are, for those who write JSON themselves."""
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
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    """METHOD [PARAMS-AS-JSON]: one call, its answer on standard output. Params "-" are read from
    standard input: arguments, and keys in them, can be seen by everybody."""
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit("usage: python3 -m secagree METHOD ['{\"name\": value}' | -]")
    try:
        with Connection() as connection:
            params = sys.argv[2] if len(sys.argv) == 3 else "{}"
            params = json.loads(sys.stdin.read() if params == "-" else params)
            print(json.dumps(connection.call(sys.argv[1], **params), indent=2))
    except Refused as refused:
        sys.exit(f"{refused.reason}: {refused}")
    except (OSError, ValueError, TypeError) as problem:
        sys.exit(f"secagree: {problem}")


if __name__ == "__main__":
    main()
