#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What secagree-ue makes of a P-CSCF's list, on a real kernel: it takes the highest q among what it
knows and mirrors the whole list, or gives up when that cannot start (RFC 3329 2.3.1). The front end
puts a list of its own into the 401 and, when the phone mirrors it well, the daemon's back into
Security-Verify, as a P-CSCF with more mechanisms than the daemon would. TAP.

    phone_list.py                          the test
    phone_list.py --front-end CONFIG.json  the front end, which the test starts
"""

import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../demo")]

import kernel  # noqa: E402
import lab  # noqa: E402
import sip  # noqa: E402
import sip_flow  # noqa: E402
from tap import Tap  # noqa: E402

EXIT_OK, EXIT_FAILED, EXIT_NO_AGREEMENT = 0, 1, 3


# ---- lists, made of the lines that the daemon sent ----

def split(lines):
    return [entry.strip() for line in lines for entry in line.split(",")]


def with_q(entry, q):
    return re.sub(r";q=[0-9.]+", f";q={q}", entry)


def others_above(lines):
    """Unknown and unsupported mechanisms on top, on lines of their own; a quoted comma."""
    return ['foo;a="x,  y";q=1', "tls;q=0.95, Digest;d-alg=MD5;q=0.94", *lines, "ipsec-ike;q=0.001"]


def upside_down(lines):
    """The order says one thing, q another."""
    return [", ".join(reversed(split(lines)))]


def last_is_best(lines):
    """The entry at the end has the highest q."""
    *rest, last = split(lines)
    return [", ".join(rest), with_q(last, 1)]


def without_spi(lines):
    """The top entry has lost one of its numbers; the others are whole."""
    first, *rest = split(lines)
    return [", ".join([re.sub(r";spi-s=\d+", "", first), *rest])]


def only_unknown(lines):
    return ["foo;q=0.9", "tls;q=0.5"]


def nothing(lines):
    return []


LISTS = {function.__name__: function for function in (
    others_above, upside_down, last_is_best, without_spi, only_unknown, nothing)}


# ---- the front end ----

class FrontEnd(sip_flow.FrontEnd):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.change = None
        self.daemons = self.own = []

    def command(self, word, *arguments):
        if word == "list":
            self.change = LISTS[arguments[0]]
        else:
            super().command(word, *arguments)

    def ask(self, method, message, **params):
        if method == "sip.request" and message.all("Security-Verify"):
            message = self.verified(message)
        result = super().ask(method, message, **params)
        if result["verdict"] == "forward" and "\r\nSecurity-Server:" in result["message"]:
            result["message"] = self.with_own_list(result["message"])
        return result

    def with_own_list(self, text):
        response = sip.Message.parse(text.encode())
        self.daemons = response.all("Security-Server")
        self.own = self.change(self.daemons)
        response.remove("Security-Server")
        for line in self.own:
            response.add("Security-Server", line)
        return response.to_bytes().decode()

    def verified(self, request):
        lines = request.all("Security-Verify")
        same = lines == [", ".join(self.own)]
        self.emit("mirror", same=same, sent=self.own, got=lines)
        if not same:
            return request
        request = request.copy()
        request.replace("Security-Verify", ", ".join(self.daemons))
        return request


# ---- the test ----

class Bed(sip_flow.Bed):
    FRONT_END = os.path.abspath(__file__), "--front-end"


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap

    def run_phone(self, name, *options):
        """Register with this list, and leave. Its events begin at the mark that is returned."""
        mark = self.bed.front_end.say(f"list {name}")
        phone = self.bed.start_phone(*options)
        phone.say("register")
        self.bed.until(lambda: self.bed.find(phone.name, "registered", mark)
                       or self.bed.find(phone.name, "failed", mark), "the registration ends")
        phone.say("quit")
        return mark, phone, phone.end(how=None)

    def agrees(self, name, wanted, what):
        mark, phone, status = self.run_phone(name)
        agreed = self.bed.wait(phone.name, "agreed", mark)
        self.tap.ok((agreed["alg"], agreed["ealg"]) == wanted, f"{name}: {what}", agreed)
        mirrors = self.bed.find("pcscf", "mirror", mark)
        self.tap.ok(mirrors and all(mirror["same"] for mirror in mirrors),
                    f"{name}: the whole list is mirrored, on one line", *mirrors)
        self.tap.ok(status == EXIT_OK and self.bed.find(phone.name, "registered", mark),
                    f"{name}: the phone registers, and leaves", status,
                    *self.bed.find(phone.name, "failed", mark))

    def loses(self, name, wanted):
        """A q that somebody raised makes the phone take what the daemon did not."""
        mark, phone, status = self.run_phone(name, "--timeout", "6")
        agreed = self.bed.wait(phone.name, "agreed", mark)
        self.tap.ok((agreed["alg"], agreed["ealg"]) == wanted,
                    f"{name}: the highest q is taken wherever it stands", agreed)
        self.tap.ok(status == EXIT_FAILED and not self.bed.find("pcscf", "mirror", mark),
                    f"{name}: what was changed on the way comes to nothing", status,
                    *self.bed.find("pcscf", "mirror", mark))

    def aborts(self, name, words):
        mark, phone, status = self.run_phone(name)
        failed = self.bed.wait(phone.name, "failed", mark)
        self.tap.ok(words in failed["reason"] and status == EXIT_NO_AGREEMENT,
                    f"{name}: aborted because \"{words}\", exit status {EXIT_NO_AGREEMENT}",
                    failed, status)
        installed = self.bed.find(phone.name, "sa-installed", mark)
        second = self.bed.find(phone.name, "sent", mark, answer="response")
        self.tap.ok(not installed and not second and kernel.sa_count(self.bed.phone_host) == 0,
                    f"{name}: no SA, and no second REGISTER", *installed, *second)

    def run(self):
        gcm, sha_1 = ("null", "aes-gcm"), ("hmac-sha-1-96", "null")
        self.agrees("others_above", gcm, "unknown mechanisms on top are passed over")
        self.agrees("upside_down", gcm, "q decides, not the order")
        self.loses("last_is_best", sha_1)
        self.aborts("without_spi", "without spi-s")
        self.aborts("only_unknown", "no mechanism of Security-Server is known")
        self.aborts("nothing", "no Security-Server")
        mark, phone, status = self.run_phone("others_above", "--fault", "no-sec-agree")
        failed = self.bed.wait(phone.name, "failed", mark)
        self.tap.ok(failed["reason"].startswith("421: Security-Server: ") and
                    status == EXIT_NO_AGREEMENT,
                    "a 421 brings a list without numbers: that is the end", failed, status)


def test():
    tap = Tap()
    with Bed([lab.listener("ims", lab.PCSCF_4, reg_await_auth=15)]) as bed:
        bed.may_happen = ("failed",)
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            Test(bed, tap).run()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(sip_flow.main(FrontEnd, test))
