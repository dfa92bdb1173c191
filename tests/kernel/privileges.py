#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon holds CAP_NET_ADMIN and nothing else, and that is enough: phones register and leave,
guards are put back, a next daemon takes over; every method is answered under the filter of system
calls, and strace sees none that the filter refused. TAP.
"""

import base64
import contextlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
from control import Control, ControlError  # noqa: E402
from tap import Tap  # noqa: E402

NET_ADMIN = 1 << 12
USER = "nobody"  # is on every machine
METRICS_PORT = 9100
OFFER = {"impi": "other@ims.example", "ue": "192.0.2.99", "pcscf": lab.PCSCF_4,
         "security_client": "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=5000;spi-s=5001;"
                            "port-c=7000;port-s=7001",
         "ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}
# By how daemon.methods begins to tell a parameter's type.
ANYTHING = {"a string, or": "ipsec-3gpp;q=0.1", "a string": "x", "an IP": "192.0.2.99",
            "a port": 7000, "a whole": 60, "32 hex": "00112233445566778899aabbccddeeff",
            "a set": "0" * 16, "true": True, "1 to": "eA==",
            "an object": {"address": "192.0.2.99", "port": 7000}}


class Bed(lab.Lab):
    """Its daemon is started behind @before, with more lines in its configuration."""

    def __init__(self, *before, user="root"):
        super().__init__([lab.listener("ims", lab.PCSCF_4)])
        self.before = before
        self.monitor_path = os.path.join(self.directory, "monitor.sock")
        self.state_path = os.path.join(self.directory, "state")
        self.http_path = os.path.join(self.directory, "http.sock")
        self.user = user
        self.more = (f'monitor {{ path = "{self.monitor_path}" }}\n'
                     f'http {{ path = "{self.http_path}"  listen = "127.0.0.1:{METRICS_PORT}" }}\n')

    def start_daemon(self):
        path = os.path.join(self.directory, "secagreed.conf")
        text = lab.daemon_config(self.control_path, self.listeners,
                                 {"state-dir": f'"{self.state_path}"'})
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.more + text.replace('user = "root"', f'user = "{self.user}"')
                       .replace('group = "root"', ""))
        self.daemon = self._start("secagreed", [*self.before, os.path.join(lab.BUILD, "secagreed"),
                                                "--config", path, "--foreground"],
                                  self.pcscf_host, lab.plain)
        self.until(self._daemon_answers, "the daemon answers on its socket")

    def pid(self):
        """Of the daemon, which strace may have started."""
        pid = self.daemon.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int((file.read().split() or [pid])[0])

    def stops(self):
        os.kill(self.pid(), signal.SIGTERM)
        return self.daemon.process.wait(lab.LIMIT_S) == 0

    def status(self):
        with open(f"/proc/{self.pid()}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t") for line in file if ":\t" in line)


def give_directory(bed, user):
    os.chown(bed.directory, user.pw_uid, user.pw_gid)


def check_status(tap, bed, uid, who):
    status = bed.status()
    sets = {name: int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
    tap.ok(sets == {"CapEff": NET_ADMIN, "CapPrm": NET_ADMIN, "CapInh": 0, "CapAmb": 0},
           f"{who}: CAP_NET_ADMIN alone", sets)
    tap.ok((status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"),
           f"{who}: no new privileges, a filter of system calls", status)
    tap.ok(set(status["Uid"].split()) == {str(uid)}, f"{who}: uid {uid}", status["Uid"])
    tap.ok(int(status["VmLck"].split()[0]) > 0, f"{who}: its memory is locked", status["VmLck"])


def registers(tap, bed, who):
    bed.start_front_end()
    phone = bed.start_phone()
    mark = phone.say("register")
    bed.wait(phone.name, "registered", since=mark)
    count = kernel.sa_count(bed.pcscf_host)
    phone.say("quit")
    phone.end(how=None)
    bed.until(lambda: kernel.sa_count(bed.pcscf_host) == 0, "its SAs are gone")
    tap.ok(count == 4, f"{who}: a phone registers and leaves", f"{count} SAs")


def guards_come_back(tap, bed, who):
    def policies():
        return bed.pcscf_host.ip("xfrm", "policy").count("dir ")
    before = policies()
    bed.pcscf_host.ip("xfrm", "policy", "flush")
    try:
        bed.until(lambda: policies() == before, "the guards are back")
    except lab.Failure:
        pass
    tap.ok(before and policies() == before, f"{who}: flushed guards are put back", policies())


def next_one_takes_over(tap, bed, who):
    control = Control(bed.control_path)
    control.call("sa.offer", **OFFER)
    killed(bed)
    counts = kernel.sa_count(bed.pcscf_host), Control(bed.control_path).call("sa.list")["total"]
    tap.ok(counts == (4, 1), f"{who}: the next one goes on with what a killed one left", counts)
    shutil.rmtree(bed.state_path)
    killed(bed)
    count = kernel.sa_count(bed.pcscf_host)
    tap.ok(count == 0, f"{who}: without its state, it takes them out", count)


def killed(bed):
    bed.daemon.process.send_signal(signal.SIGKILL)
    bed.daemon.process.wait()
    bed.start_daemon()


def monitor_only_reads(tap, bed):
    """Whatever else is wrong with a request: what changes something is denied."""
    denied = set()
    for method in Control(bed.monitor_path).call("daemon.methods")["methods"]:
        try:
            Control(bed.monitor_path).call(method["name"], **some_params(method))
        except ControlError as error:
            if error.reason == "denied":
                denied.add(method["name"])
    changing = {"sa.offer", "sa.check", "sa.confirm", "sa.fail", "sa.extend", "sa.release",
                "sip.request", "sip.response"}
    reading = {"sa.list", "sa.show", "sa.route", "daemon.status", "event.subscribe"}
    tap.ok(changing <= denied and not reading & denied,
           "the monitor socket has what changes nothing", denied)


def some_params(method):
    return {param["name"]: some_value(param) for param in method["params"]}


def some_value(param):
    if param["type"].startswith("one of "):
        return param["help"].split("|")[0]
    return next(value for begin, value in ANYTHING.items() if param["type"].startswith(begin))


def all_methods(tap, bed):
    """In each framing: whether they are content with what they get does not matter."""
    control = Control(bed.control_path)
    methods = control.call("daemon.methods")["methods"]
    for method in methods:
        with contextlib.suppress(ControlError):
            Control(bed.control_path).call(method["name"], **some_params(method))
        by_resp(bed.control_path, method["name"], some_params(method))
    made = control.call("sa.offer", **OFFER)["set"]
    control.call("sa.confirm", set=made, expires=60)
    control.call("sa.extend", set=made, expires=600)
    control.call("sa.show", set=made)
    control.call("sa.release", set=made)
    tap.ok(len(methods) > 15, "every method is answered, with JSON and RESP2", len(methods))
    connection = Http(bed.http_path)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "daemon.status"})
    connection.request("POST", "/rpc", body)
    answers = [connection.getresponse().status, metrics(bed)[0]]
    tap.ok(answers == [200, 200], "and so is HTTP on both its doors", answers)


def by_resp(path, method, params):
    words = (b"CALL", method.encode(), base64.b64encode(json.dumps(params).encode()))
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(path)
        door.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        door.shutdown(socket.SHUT_WR)
        while door.recv(65536):
            pass


class Http(http.client.HTTPConnection):
    """Over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def metrics(bed):
    with bed.pcscf_host.inside():
        connection = http.client.HTTPConnection("127.0.0.1", METRICS_PORT)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.status, answer.read().decode("ascii")


def measures(tap, bed, who):
    """What it reads of /proc is there under the filter and for its user."""
    samples = dict(line.rsplit(" ", 1) for line in metrics(bed)[1].splitlines() if line[0] != "#")
    numbers = {name: float(samples.get(f"secagreed_{name}", "-1")) for name in (
        "netlink_duration_seconds_count", "netlink_duration_seconds_sum",
        'request_duration_seconds_count{method="sa.offer"}', "cpu_seconds_total",
        "resident_memory_bytes", "store_bytes",
        'set_changes_total{from="temporary",to="current"}')}
    tap.ok(all(number > 0 for number in numbers.values()),
           f"{who}: the time of the kernel and of requests is measured", numbers)
    drops = [name for name in samples if name.startswith("secagreed_xfrm_drops_total{")]
    tap.ok('secagreed_xfrm_drops_total{counter="XfrmInNoStates"}' in drops and len(drops) > 20,
           f"{who}: what the kernel drops is told", drops)


def as_another_user(tap):
    """Root starts it; it becomes the user of its configuration."""
    who, user = "started by root", pwd.getpwnam(USER)
    with Bed(user=USER) as bed:
        give_directory(bed, user)
        bed.make_hosts()
        bed.start_daemon()
        check_status(tap, bed, user.pw_uid, who)
        tap.ok(os.stat(bed.control_path).st_uid == user.pw_uid, f"{who}: its socket is its own")
        registers(tap, bed, who)
        measures(tap, bed, who)
        guards_come_back(tap, bed, who)
        next_one_takes_over(tap, bed, who)
        monitor_only_reads(tap, bed)
        tap.ok(bed.stops() and not os.path.exists(bed.control_path),
               f"{who}: it stops and removes its socket", bed.daemon.errors()[-1000:])


def with_ambient_capability(tap):
    """As a service manager does it: neither root nor a file with capabilities."""
    who, user = "started with the capability", pwd.getpwnam(USER)
    with Bed("prlimit", "--memlock=unlimited", "setpriv", f"--reuid={user.pw_uid}",
             f"--regid={user.pw_gid}", "--clear-groups", "--inh-caps=+net_admin",
             "--ambient-caps=+net_admin", user=USER) as bed:
        give_directory(bed, user)
        bed.make_hosts()
        bed.start_daemon()
        check_status(tap, bed, user.pw_uid, who)
        registers(tap, bed, who)
        tap.ok(bed.stops(), f"{who}: it stops", bed.daemon.errors()[-1000:])


def under_strace(tap):
    who = "root to the end"
    with Bed("strace", "-f", "-qq", "-s", "16", "-o", "/run/secagree-strace") as bed:
        bed.make_hosts()
        bed.start_daemon()
        check_status(tap, bed, 0, who)
        all_methods(tap, bed)
        registers(tap, bed, who)
        guards_come_back(tap, bed, who)
        tap.ok(bed.stops(), f"{who}: it stops", bed.daemon.errors()[-1000:])
    with open("/run/secagree-strace", encoding="utf-8", errors="replace") as file:
        _, _, filtered = file.read().partition("SECCOMP_SET_MODE_FILTER")
    os.unlink("/run/secagree-strace")
    refused = [line for line in filtered.splitlines() if "= -1 EPERM" in line]
    tap.ok("NETLINK" in filtered and not refused,
           "the filter has each system call that the daemon makes", *refused[:20])


def without_rights(tap):
    with Bed(user="no-such-user") as bed:
        bed.make_hosts()
        try:
            bed.start_daemon()
            said = "it started"
        except lab.Failure:
            said = bed.daemon.errors()
        tap.ok('user "no-such-user": there is no such user' in said,
               "a user that is not there: it does not start", said)


def main():
    tap = Tap()
    for part in (as_another_user, with_ambient_capability, under_strace, without_rights):
        try:
            part(tap)
        except (lab.Failure, OSError, LookupError, StopIteration,
                subprocess.SubprocessError) as error:
            tap.ok(False, f"{part.__name__} runs to its end", repr(error), error)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
