# SPDX-License-Identifier: BSD-2-Clause
"""Every legal combination through one daemon, one front end and one wire; TAP on standard output.

Four listeners serve them all: IPv4 and IPv6, with shared policies and with policies of their own
for each set. What a phone offers decides what it gets.
"""

import io
import sys
import time

import lab
import scenario
import story
import variant

EVERY_ALGORITHM = ("aes-gcm", "hmac-sha-1-96/aes-cbc", "aes-gmac", "hmac-sha-1-96/des-ede3-cbc",
                   "hmac-sha-1-96/null", "hmac-md5-96/aes-cbc", "hmac-md5-96/des-ede3-cbc",
                   "hmac-md5-96/null")
PER_SET_4, PER_SET_6 = "192.0.2.2", "2001:db8::2"


def listeners():
    everything = {"algorithms": EVERY_ALGORITHM, "protocols": ("esp", "ah"),
                  "modes": ("trans", "tun", "UDP-enc-tun")}
    shared = [lab.listener(name, address, policies="shared", **everything)
              for name, address in (("shared4", lab.PCSCF_4), ("shared6", lab.PCSCF_6))]
    return shared + [lab.listener(name, address, policies="per-set", **everything)
                     for name, address in (("perset4", PER_SET_4), ("perset6", PER_SET_6))]


class Listed(variant.Variant):
    """The P-CSCF's address is that of the listener with the wanted policies."""

    @property
    def addresses(self):
        pcscf, phone = super().addresses
        if self.policies == "per-set":
            pcscf = PER_SET_6 if self.ipv6 else PER_SET_4
        return pcscf, phone


def registration(bed, chosen):
    """Runs one; returns the checks that did not hold, in words."""
    told = story.Story(quiet=True, out=io.StringIO())
    try:
        scenario.Scenario(bed, told, chosen,
                          restart=chosen.reregister and chosen.mod != "trans").run()
    except (lab.Failure, OSError, LookupError) as error:
        told.check(False, f"runs to its end: {error}")
    return told


def clean_up(bed, told):
    """After a failure the next one must not stumble over what is left."""
    phone = bed.newest_phone
    if told.failed() and phone is not None:
        phone.end()
        bed.front_end.say("hold off")
        bed.release_everything()


def main():
    chosen = [one.as_kind(Listed) for one in variant.legal()]
    print(f"1..{len(chosen) + 1}", flush=True)
    failed = 0
    with lab.Lab(listeners()) as bed:
        bed.make_hosts()
        bed.start_capture()
        bed.start_daemon()
        bed.start_front_end()
        for number, one in enumerate(chosen, 1):
            begin = time.monotonic()
            told = registration(bed, one)
            failed += report(number, one, told, f"# {time.monotonic() - begin:.1f} s")
            clean_up(bed, told)
        told = story.Story(quiet=True, out=io.StringIO())
        scenario.stop_daemon(bed, told)
        failed += report(len(chosen) + 1, "the daemon stops and leaves nothing", told, "")
    return 1 if failed else 0


def report(number, name, told, comment):
    bad = bool(told.failed()) or not told.checks
    print(f"{'not ok' if bad else 'ok'} {number} - {name} {comment}".rstrip())
    for line in told.out.getvalue().splitlines():
        print(f"# {line.strip()}")
    sys.stdout.flush()
    return bad
