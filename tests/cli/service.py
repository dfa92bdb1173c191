#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon does for a service manager and for those who may only look: sockets that it is
given, and the monitor socket. The daemon is that of doors.py. TAP on standard output.
"""
import os
import socket
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
import doors  # noqa: E402
from doors import Door, LIMIT_S, OFFER, T, command  # noqa: E402


class Managed(doors.Daemon):
    """Its control socket is made here, as a service manager does it."""

    def __init__(self):
        super().__init__()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.control)
        self.listening.listen()

    def start(self, pid="$$", path=None):
        """@pid: to whom the socket is said to be given."""
        fd = self.listening.fileno()
        script = (f'exec 3<&{fd} {fd}<&-; export LISTEN_FDS=1 LISTEN_PID={pid}; '
                  'exec "$0" "$1"') if fd != 3 else (
                      f'export LISTEN_FDS=1 LISTEN_PID={pid}; exec "$0" "$1"')
        self.process = subprocess.Popen(["sh", "-c", script, doors.DAEMON, path or self.config],
                                        pass_fds=[fd], stderr=subprocess.PIPE)

    def stop(self):
        self.process.terminate()
        self.errors = self.process.communicate(timeout=LIMIT_S)[1]
        return self.process.returncode


def version_of(daemon):
    with Door(daemon.control) as door:
        return door.json("daemon.version")


def inherited():
    daemon = Managed()
    daemon.start()
    T.ok("result" in version_of(daemon), "a socket of the service manager is used")
    T.equal((daemon.stop(), daemon.errors), (0, b""), "the daemon stops")
    T.ok(os.path.exists(daemon.control), "and leaves the socket, which is not its own")
    with Door(daemon.control, doors.request("daemon.version")) as door:
        daemon.start()
        T.ok("result" in door.json(), "who calls while no daemon runs waits for the next")
    daemon.stop()
    daemon.start(pid=1)
    daemon.process.wait(LIMIT_S)
    T.ok(b"another secagreed answers there" in daemon.process.stderr.read(),
         "a socket that was given to another process is not taken")
    daemon.listening.close()
    daemon.dir.cleanup()


def other_path():
    """What is bound elsewhere than the configuration says stays unused."""
    daemon = Managed()
    moved = os.path.join(daemon.dir.name, "moved.conf")
    with open(daemon.config, encoding="utf-8") as file, open(moved, "w", encoding="utf-8") as to:
        to.write(file.read().replace("control.sock", "other.sock"))
    daemon.start(path=moved)
    while True:  # until it listens at its last door
        try:
            socket.create_connection(("127.0.0.1", daemon.port), LIMIT_S).close()
            break
        except ConnectionRefusedError:
            if daemon.process.poll() is not None:
                raise
    daemon.control = os.path.join(daemon.dir.name, "other.sock")
    T.ok("result" in version_of(daemon), "the socket of the configuration is made beside it")
    T.equal((daemon.stop(), os.path.exists(daemon.control)), (0, False), "and removed at the end")
    daemon.listening.close()
    daemon.dir.cleanup()


# ---- the monitor socket ----

class Watched(doors.Daemon):
    def __init__(self):
        super().__init__()
        self.monitor = os.path.join(self.dir.name, "monitor.sock")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(f'monitor {{ path = "{self.monitor}" mode = "0640" }}\n')


def monitor():
    with Watched() as daemon:
        T.equal(stat.S_IMODE(os.stat(daemon.monitor).st_mode), 0o640, "its mode is its own")
        with Door(daemon.control) as door:
            made = door.json("sa.offer", **OFFER)["result"]["set"]
        with Door(daemon.monitor) as door:
            T.equal(door.json("sa.show", set=made)["result"]["set"], made,
                    "the monitor socket shows a set")
            refused = door.json("sa.release", set=made)["error"]
            T.equal((refused["code"], refused["data"]), (-32000, {"reason": "denied"}),
                    "and does not end it")
            T.equal(door.json("sa.release")["error"]["data"]["reason"], "denied",
                    "whatever the params are")
            T.equal(door.json("no.such")["error"]["data"]["reason"], "unknown_method",
                    "a method that is not there is unknown, not denied")
            T.equal(door.json("event.subscribe", since=0)["result"]["next"], 1, "it has events")
        with Door(daemon.monitor, command("sa.fail", '{"set": "%s"}' % made)) as door:
            T.ok(door.resp().startswith("-DENIED "), "with RESP2 it is the same")
        with Door(daemon.monitor) as watcher, Door(daemon.control) as door:
            watcher.json("sa.list")
            T.equal(door.json("sa.release", set=made)["result"].get("released") is not None, True,
                    "the control socket does, with the monitor socket open beside it")
        with Door(daemon.control) as door:
            status = door.json("daemon.status")["result"]
            T.equal(status["refused"].get("denied"), 3, "what was denied is counted")
    T.equal((daemon.process.returncode, daemon.errors, daemon.left), (0, b"", ["conf"]),
            "the daemon ends in order, and its sockets are gone")


def main():
    for part in (inherited, other_path, monitor):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
