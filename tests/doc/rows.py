#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every requirement has a unit test that carries its id: B3_..., C7_C8_....

The families of ids and what each id asks for stand below; another family is another entry of
FAMILIES. Of a family that stands here, no test may carry an id that does not. TAP: one line for
each id, with the number of its tests.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEST = re.compile(r"^static void (\w+)\(void \*\*state\)", re.M)
IDS = re.compile(r"(?:[A-Z][0-9]+_)+")

FAMILIES = {
    "RFC 3329 and RFC 3261: the headers": {
        "A1": "names and token values have no case, quoted strings have",
        "A2": "several lines of one header are one list",
        "A3": "no q twice in a list",
        "A4": "a higher q is preferred; there is no default",
        "A5": "the client's q never ranks",
        "A6": "a parameter stands once in a mechanism",
        "A7": "unknown mechanisms and parameters are legal and kept",
        "A8": "each header has its carriers; elsewhere it is ignored and never sent",
        "A9": "there are no compact forms",
    },
    "RFC 3329: the server": {
        "B1": "its list is static, and may differ by interface",
        "B2": "the list is sent without a common mechanism too",
        "B3": "the tag in Require or Proxy-Require of a clear request: 494",
        "B4": "the highest common mechanism, and what starts it",
        "B5": "Security-Verify is checked; changed: 494 with the list as it was",
        "B6": "sec-agree is removed from Require and Proxy-Require, and what is empty then",
        "B7": "Security-Client and Security-Verify go no further",
        "B8": "two Via values: 502",
        "B9": "every clear request with one Via is challenged",
        "B10": "no tag: 421, in Supported: 494, each with the list and Require",
        "B11": "the extension can be switched for each interface",
        "B12": "TLS may count as protected",
        "B13": "what was agreed carries requests to the phone too",
        "B14": "no list with a mechanism without integrity",
        "B15": "digest: d-alg, d-qop, and d-ver inside Security-Verify",
        "B16": "SAs live as long as the registration",
        "B17": "the reason phrases of 494, 421 and 502",
        "B18": "what only drafts had is an unknown token",
    },
    "RFC 3329 2.3.1, 2.3.2, TS 33.203 7: what becomes of a request": {
        "R1": "clear, two Vias: 502",
        "R2": "clear, the tag required: 494",
        "R3": "clear, the tag supported: 494",
        "R4": "clear, no tag: 421",
        "R5": "protected, Security-Verify equal: on it goes",
        "R6": "protected, Security-Verify different or missing where it is due: refused",
        "R7": "clear REGISTER with a usable ipsec-3gpp: on it goes, the 401 has the list",
        "R8": "clear REGISTER without: the policy's",
        "R9": "other clear requests: the policy's",
        "R10": "emergencies pass in clear",
    },
    "RFC 3329 2.3.1: comparing two lists": {
        "S1": "another number or order of mechanisms is a difference",
        "S2": "names and tokens without case, quoted strings exactly",
        "S3": "order of parameters, white space and lines mean nothing",
        "S4": "q, SPIs and ports are numbers, all else is text",
        "S5": "a parameter on one side only is a difference; lenient: not a default",
        "S6": "d-ver of a digest entry takes no part",
        "S7": "an empty or unreadable list is another one",
    },
    "RFC 3329 2.6, table 1: methods": {
        "M1": "the methods that carry the headers",
        "M2": "ACK, CANCEL and PRACK: accepted and stripped, never required",
        "M3": "methods of later norms carry them",
    },
    "RFC 3329 2.2: d-ver": {
        "V1": "without qop",
        "V2": "with qop=auth",
        "V3": "with qop=auth-int",
    },
    "TS 33.203 Annex H, TS 24.229 7.2A.7, RFC 3329 Appendix A: ipsec-3gpp": {
        "C1": "which alg goes with which ealg",
        "C2": "aes-gcm: a 16-octet ICV and a key of 128 bits",
        "C3": "alg is mandatory; ealg, prot and mod have defaults",
        "C4": "an SPI has 1 to 10 digits and at most 32 bits",
        "C5": "SPI 0 and those of IANA are refused",
        "C6": "ports are 1 to 65535; the two SPIs and the two ports differ",
        "C7": "all entries repeat the same numbers",
        "C8": "an unusable combination costs its entry, a bad number the header",
        "C9": "Security-Client is kept and compared; both headers come with the answer",
        "C10": "entries for media are never chosen, and kept in comparisons",
        "C11": "the older dialect is read, answered and served",
        "C12": "with both dialects in one entry the newer counts",
        "C13": "the order of parameters in what is sent",
        "C14": "there is no hmac-sha-256 in it",
    },
    "TS 33.203 7.1, 7.2: the SAs of a set": {
        "D1": "the SAs have the addresses of the first REGISTER's packet",
        "D2": "each side chooses the SPIs and ports that it is reached by",
        "D3": "our SPIs differ from each other and from the phone's",
        "D4": "the protected ports take nothing in clear",
        "D5": "a re-registration has other SPIs and client ports",
        "D6": "client ports are used in turn, three at least",
        "D7": "what is known of a set",
        "D8": "a phone's client port is used once; three sets for a contact",
        "D9": "behind a NAT so is its server port",
        "D10": "a REGISTER on a set names the address that it came from",
        "D11": "addresses and ports say whose message it is",
        "D12": "transport mode, and no limit but that of the registration",
        "D13": "replay protection",
        "D14": "what passes in clear",
        "D15": "a request goes from our client to the phone's server port",
        "D16": "a response over UDP likewise, over TCP on its connection",
    },
    "TS 33.203 Annex M: behind a NAT": {
        "N1": "it shows by a source that is not the Via's",
        "N2": "without UDP-enc-tun the first REGISTER is discarded",
        "N3": "the public address is that of the SAs, inside and outside",
        "N4": "the phone's UDP port is learnt from its first packet",
        "N5": "a re-registration keeps the mode",
        "N6": "Security-Server says the mode",
        "N7": "the answer to the challenge names the public address",
    },
    "TS 33.203 7.3, 7.4, TS 24.229 5.2: the life of a set": {
        "E1": "no registration makes a life shorter",
        "E2": "the expiration of this contact counts; a fetch changes nothing",
        "E3": "a failed authentication leaves the current set",
        "E4": "a temporary set carries the answer to its challenge alone",
        "E5": "by which set the 401 and the 200 leave",
        "E6": "by which set failures leave",
        "E7": "downlink moves with the phone's first message on the new set",
        "E8": "emergency registrations and flows are contacts of their own",
        "E9": "a set belongs to all identities registered over it",
        "E10": "a REGISTER in clear leaves the sets until its 200",
        "E11": "another address is another contact",
        "E12": "TCP connections end before their SAs",
        "E13": "after a restart ours is found, and nothing of others touched",
        "E14": "without good keys there is no set",
        "E15": "nothing is installed before the challenge",
        "E16": "the numbers of a re-registration count with a challenge only",
    },
}


def tests_by_id():
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "unit", "test_*.c"))):
        with open(path, encoding="utf-8") as file:
            for name in TEST.findall(file.read()):
                ids = IDS.match(name)
                for one in ids[0].split("_")[:-1] if ids else ():
                    found.setdefault(one, []).append(f"{os.path.basename(path)}: {name}")
    return found


def main():
    found = tests_by_id()
    wanted = {one: text for family in FAMILIES.values() for one, text in family.items()}
    failed = 0
    for number, (one, text) in enumerate(wanted.items(), 1):
        tests = found.get(one, [])
        failed += not tests
        print(f"{'ok' if tests else 'not ok'} {number} - {one}: {text} ({len(tests)} tests)")
    letters = {one[0] for one in wanted}
    strange = {one: tests for one, tests in found.items()
               if one[0] in letters and one not in wanted}
    failed += bool(strange)
    print(f"{'not ok' if strange else 'ok'} {len(wanted) + 1} - no test has an id that is not here")
    for one, tests in strange.items():
        print(f"#   {one}: {', '.join(tests)}")
    print(f"1..{len(wanted) + 1}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
