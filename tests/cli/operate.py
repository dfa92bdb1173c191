#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""secagreectl for those who operate: top.

The daemon is its own code over a fake kernel, as in doors.py, or one that this test plays, where
its numbers matter. Needs no root. TAP on standard output.
"""
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from doors import CK, IK, Daemon  # noqa: E402
from tap import CTL, Run, Tap  # noqa: E402
from terminal import Terminal  # noqa: E402

T = Tap()
CLIENT = ("ipsec-3gpp; alg=hmac-sha-1-96; ealg=aes-cbc; spi-c=1001; spi-s=1002; port-c=5062; "
          "port-s=5064")
ENTER, LEAVE = b"\033[?1049h\033[?25l\033[?7l", b"\033[?7h\033[?25h\033[?1049l"


def offer(daemon, number):
    return Run("--socket", daemon.control, "-o", "json", "offer", "--impi", f"u{number}@ims", "--ue",
               f"198.51.100.{number}", "--pcscf", "192.0.2.1", "--security-client", CLIENT,
               stdin=f"ck={CK}\nik={IK}\n").json["set"]


class Played:
    """A daemon of @phones sets; the packets of each grow by @packets_per_s[number].

    Its clock goes on by a second with each daemon.stats, so that rates are exact.
    """

    def __init__(self, phones, packets_per_s):
        self.phones, self.packets_per_s = phones, packets_per_s
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "s")
        self.uptime_s = 1000
        self.asked = []  # (time, method)
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.connections = []
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)
        os.unlink(self.path)

    def accept(self, listener):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            for line in connection.makefile("rb"):
                request = json.loads(line)
                self.asked.append((time.monotonic(), request["method"]))
                result = getattr(self, request["method"].replace(".", "_"))(**request["params"])
                connection.sendall(json.dumps({"jsonrpc": "2.0", "id": request["id"],
                                               "result": result}).encode() + b"\n")
        except OSError:
            pass

    def daemon_version(self):
        return {"version": "7\033[31m"}

    def daemon_stats(self):
        self.uptime_s += 1
        s = self.uptime_s
        return {"uptime_ms": s * 1000, "cpu_ms": s * 250, "max_sets": 5000,
                "sets": {"temporary": 3, "new": 0, "current": self.phones - 3, "old": 0},
                "registrations": {"begun": s * 40, "confirmed": s * 30, "failed": 8,
                                  "ended": 0},
                "requests": {"sa.offer": {"done": s * 20, "bad_params": 2, "refused": 3}},
                "refused": {"bad_header": s * 10, "limit": 5}, "alarms": {"set-lost": 6},
                "netlink": {"datagrams": 1, "messages": 4}}

    def event_list(self, since, limit):
        events = [{"seq": seq, "time_ms": 0, "event": "sip-refused" if seq % 2 else "set-made",
                   "level": "info", "n": seq} for seq in range(since + 1, 301)][:limit]
        return {"events": events, "last": 300, "lost": 0, "more": since + len(events) < 300}

    def one(self, number):
        return {"set": "%016x" % number, "state": "current", "impi": f"u{number}@ims",
                "ue": f"192.0.2.{number}", "listener": "ims"}

    def sa_list(self, limit, after="0"):
        first = int(after, 16)
        page = [self.one(number) for number in range(first + 1, self.phones + 1)][:limit]
        more = page and first + len(page) < self.phones
        return {"sets": page, "next": page[-1]["set"] if more else None, "total": self.phones}

    def sa_show(self, set):
        number = int(set, 16)
        packets = self.uptime_s * self.packets_per_s.get(number, 0)
        return {**self.one(number), "sas": [
            {"packets": packets, "bytes": packets * 100, "replay_failed": 1, "integrity_failed": 2},
            {"packets": 0, "bytes": 0, "replay_failed": 0, "integrity_failed": 0}]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.dir.cleanup()


def numbers():
    with Played(12, {3: 50, 7: 500}) as played:
        frame = Run("--socket", played.path, "top", "-o", "json").json
    rates = frame["per_s"]
    T.ok(rates == {"begun": 40, "confirmed": 30, "failed": 0, "ended": 0},
         "top: rates of what happened between two looks", rates)
    T.ok(frame["cpu_percent"] == 25, "top: how busy the daemon is", frame["cpu_percent"])
    T.ok(frame["failures"][0]["name"] == "bad_header" and frame["failures"][0]["per_s"] == 10
         and {(one["name"], one["total"]) for one in frame["failures"][1:]} ==
         {("limit", 5), ("set-lost", 6)}, "top: failures, the most frequent first",
         frame["failures"])
    T.ok([one["impi"] for one in frame["phones"][:2]] == ["u7@ims", "u3@ims"] and
         frame["phones"][0]["packets_per_s"] == 500 and frame["phones"][0]["dropped"] == 3 and
         frame["phones"][1]["bytes_per_s"] == 5000, "top: the busiest phones", frame["phones"])
    T.equal([one["n"] for one in frame["latest"]], list(range(299, 280, -2)),
            "top: the latest failures first, and no other events")
    T.ok(frame["requests"][0]["refused"] == 5 and frame["requests"][0]["per_s"] == 20,
         "top: requests", frame["requests"])


def cost():
    """One look costs the same for any number of phones, and finds a busy one in the end."""
    with Played(3000, {45: 100}) as played:
        frame = Run("--socket", played.path, "top", "-o", "json").json
        T.ok(len(played.asked) < 100 and len(frame["phones"]) == 10,
             "top: two looks at 3000 phones are few requests", len(played.asked))
        with Terminal(CTL, "--socket", played.path, "top", rows=40) as terminal:
            T.ok(terminal.until(b"u45@ims"), "top: the busy one of 3000 is found in its turn",
                 terminal.seen[-2000:])
            T.ok(b"busiest of those looked at so far; 20 more each time" in terminal.seen,
                 "top: says that it does not know all")
        seconds = {}
        for at, _ in played.asked[100:]:
            seconds[int(at)] = seconds.get(int(at), 0) + 1
        T.ok(max(seconds.values()) <= 2 * 60, "top: and no second costs more than another", seconds)


def frames():
    with Daemon() as daemon:
        name = offer(daemon, 1)
        Run("--socket", daemon.control, "fail", "0" * 16)
        r = Run("--socket", daemon.control, "top")
        text = r.out.decode()
        T.ok(r.exit == 0 and b"\033" not in r.out and "temporary 1" in text and name in text and
             "method=sa.fail" in text and text.count("LATEST FAILURES") == 1,
             "top in a pipe: one plain frame", r)
        with Terminal(CTL, "--socket", daemon.control, "top", "--once", rows=10) as terminal:
            status, text = terminal.end()
            T.ok(status == 0 and "?1049" not in text and text.count("PHONE") == 1 and
                 text.count("\n") > 10, "top --once on a terminal: the whole frame, no screen", text)
        r = Run("--socket", daemon.control, "stats")
        T.ok(r.exit == 0 and b"registrations  begun=1 confirmed=0 failed=0 ended=0\n" in r.out and
             b"\n  method" in r.out and b"\n  sa.fail" in r.out, "stats: a block and a table", r)
        r = Run("--socket", daemon.control, "stats", "-o", "tsv")
        T.ok(b"\nregistrations.begun\t1\n" in r.out, "stats -o tsv", r)
    r = Run("--socket", "/nonexistent/s", "top", "--once")
    T.ok(r.exit == 4 and "cannot reach secagreed" in r.err, "top --once without a daemon", r)
    for bad in ("0", "3601", "x"):
        T.equal(Run("top", "--interval", bad).exit, 2, f"top --interval {bad}: exit 2")


def live():
    with Played(5, {}) as played, Terminal(CTL, "--socket", played.path, "top", rows=16,
                                           NO_COLOR="1") as terminal:
        def frames_seen(count):
            return terminal.until(lambda seen: seen.count(b"secagreed 7?[31m, up") >= count)
        T.ok(frames_seen(3), "top goes on by itself, and what is no text stays harmless",
             terminal.seen)
        drawn = terminal.seen.replace(b"\r\n", b"\n").split(b"\033[H")[-2]
        T.ok(terminal.seen.startswith(ENTER) and drawn.count(b"\n") < 16 and
             drawn.endswith(b"\033[J"), "top: no frame is longer than the screen", drawn)
        T.ok(terminal.attributes() != terminal.before, "top reads keys")
        played.close()
        T.ok(terminal.until(b"Trying again; q ends this."), "top waits for a daemon that has gone",
             terminal.seen[-500:])
        count = terminal.seen.count(b"secagreed 7?[31m, up")
        played.open()
        T.ok(frames_seen(count + 2), "and goes on when it is back", terminal.seen[-500:])
        terminal.type(b"q")
        status, _ = terminal.end()
        T.ok(status == 0 and terminal.seen.endswith(LEAVE) and
             terminal.attributes() == terminal.before, "top: q puts the terminal back",
             terminal.seen[-200:])


def ended_by_signals():
    with Played(5, {}) as played:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with Terminal(CTL, "--socket", played.path, "top", "--interval", "3600") as terminal:
                terminal.until(b"REQUEST")
                if number == signal.SIGINT:
                    terminal.type(b"\x03")
                else:
                    terminal.process.send_signal(number)
                status, _ = terminal.end()
                T.ok(status == -number and terminal.seen.endswith(LEAVE) and
                     terminal.attributes() == terminal.before,
                     f"top: {number.name} puts the terminal back", status)
    # a daemon that answers nothing
    with tempfile.TemporaryDirectory() as where, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(where, "s"))
        listener.listen()
        with Terminal(CTL, "--socket", os.path.join(where, "s"), "top") as terminal:
            terminal.until(ENTER)
            terminal.type(b"\x03")
            status, _ = terminal.end()
            T.ok(status == -signal.SIGINT and terminal.seen.endswith(LEAVE) and
                 terminal.attributes() == terminal.before, "also while the daemon does not answer",
                 terminal.seen)


def stopped_and_resized():
    with Played(5, {}) as played, Terminal(CTL, "--socket", played.path, "top", "--interval",
                                           "3600") as terminal:
        terminal.until(b"REQUEST")
        terminal.type(b"\x1a")
        stopped = os.waitpid(terminal.process.pid, os.WUNTRACED)[1]
        T.ok(os.WIFSTOPPED(stopped) and terminal.until(LEAVE) and
             terminal.attributes() == terminal.before, "top: stopped, the terminal is as before",
             terminal.seen)
        count = terminal.seen.count(b"REQUEST")
        terminal.process.send_signal(signal.SIGCONT)
        T.ok(terminal.until(lambda seen: seen.count(b"REQUEST") > count) and
             terminal.attributes() != terminal.before and terminal.seen.count(ENTER) == 2,
             "top: continued, it draws again at once", terminal.seen)
        count = terminal.seen.count(b"REQUEST")
        terminal.process.send_signal(signal.SIGWINCH)
        T.ok(terminal.until(lambda seen: seen.count(b"REQUEST") > count),
             "top: and when the size changes")
        terminal.type(b"q")
        T.equal(terminal.end()[0], 0, "top: q after all that")


def main():
    for part in (numbers, cost, frames, live, ended_by_signals, stopped_and_resized):
        T.part(part)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
