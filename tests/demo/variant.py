# SPDX-License-Identifier: BSD-2-Clause
"""One way to run a registration: algorithms, protocol, mode, dialect, address family, policies."""

import itertools

import lab

HMACS = ("hmac-md5-96", "hmac-sha-1-96")
PAIRS = tuple(itertools.product(HMACS, ("null", "des-ede3-cbc", "aes-cbc"))) + (
    ("aes-gmac", "null"), ("null", "aes-gcm"))
DIALECTS = ("24.229", "rfc3329")
DEFAULT_ALGORITHMS = ("aes-gcm", "hmac-sha-1-96/aes-cbc", "aes-gmac", "hmac-sha-1-96/null")
INSIDE_NAT = {False: "10.23.0.10", True: "fd00:23::10"}


class Variant:
    """@alg and @ealg None: the phone offers what it can and the daemon chooses."""

    def __init__(self, alg=None, ealg=None, prot="esp", mod="trans", dialect="24.229", ipv6=False,
                 policies="shared", transport="udp", reregister=False):
        self.alg, self.ealg = alg, ealg
        if alg or ealg:
            self.ealg = ealg or ("aes-gcm" if alg == "null" else "null")
            self.alg = alg or ("null" if ealg == "aes-gcm" else "hmac-sha-1-96")
        elif prot == "ah":
            self.alg, self.ealg = "hmac-sha-1-96", "null"
        self.prot, self.mod, self.dialect = prot, mod, dialect
        self.ipv6, self.policies, self.transport = ipv6, policies, transport
        self.reregister = reregister

    def __str__(self):
        pair = f"{self.alg}/{self.ealg}" if self.alg else "the phone's whole offer"
        return (f"{pair}, {self.prot}, {self.mod}, {self.dialect}, "
                f"{'IPv6' if self.ipv6 else 'IPv4'}, {self.policies} policies, "
                f"REGISTER over {self.transport.upper()}" + ", twice" * self.reregister)

    def as_kind(self, kind):
        """The same as an object of a subclass."""
        return kind(self.alg, self.ealg, self.prot, self.mod, self.dialect, self.ipv6,
                    self.policies, self.transport, self.reregister)

    def fault(self):
        """Why no such agreement exists, or None. TS 33.203 Annex H, RFC 3329 Appendix A."""
        if self.alg and (self.alg, self.ealg) not in PAIRS:
            return f"{self.alg} with {self.ealg} is not a legal pair"
        if self.prot == "ah" and (self.alg not in HMACS or self.ealg != "null"):
            return "ah goes with an HMAC and without encryption only"
        if self.mod == "UDP-enc-tun" and self.prot == "ah":
            return "UDP-enc-tun goes with esp only"
        if self.dialect == "rfc3329" and self.mod == "UDP-enc-tun":
            return "RFC 3329 knows no UDP-enc-tun"
        if self.dialect == "24.229" and (self.prot == "ah" or self.mod == "tun"):
            return "TS 33.203 knows esp with trans or UDP-enc-tun only"
        return None

    @property
    def addresses(self):
        """Of the P-CSCF and of the phone."""
        return (lab.PCSCF_6, lab.PHONE_6) if self.ipv6 else (lab.PCSCF_4, lab.PHONE_4)

    @property
    def own_policies(self):
        return self.policies == "per-set" or self.prot != "esp" or self.mod != "trans"

    @property
    def sa_count(self):
        return 2 if self.dialect == "rfc3329" else 4

    def listener(self, name="ims"):
        """A listener that agrees to this and, by its own preference, to the default pairs."""
        algorithms = list(DEFAULT_ALGORITHMS)
        if self.alg and self.algorithm not in algorithms:
            algorithms.append(self.algorithm)
        return lab.listener(name, self.addresses[0], algorithms=algorithms,
                            protocols=("esp", "ah") if self.prot == "ah" else ("esp",),
                            modes=("trans", "tun", "UDP-enc-tun"), policies=self.policies)

    @property
    def algorithm(self):
        """In the words of secagreed.conf."""
        if (self.alg, self.ealg) in (("null", "aes-gcm"), ("aes-gmac", "null")):
            return "aes-gcm" if self.alg == "null" else "aes-gmac"
        return f"{self.alg}/{self.ealg}"

    def phone_options(self):
        options = ["--prot", self.prot, "--mod", self.mod, "--dialect", self.dialect,
                   "--transport", self.transport, "--clear-transport", self.transport]
        if self.alg:
            options += ["--offer", f"{self.alg}/{self.ealg}"]
        if self.mod == "UDP-enc-tun":
            options += ["--via-address", INSIDE_NAT[self.ipv6]]
        return options


def legal():
    """Every legal combination once; then a re-registration with each of the other switches."""
    found = [Variant(alg, ealg, prot, mod, dialect, ipv6)
             for prot, mod in (("esp", "trans"), ("ah", "trans"), ("esp", "tun"), ("ah", "tun"),
                               ("esp", "UDP-enc-tun"))
             for dialect in DIALECTS for ipv6 in (False, True) for alg, ealg in PAIRS]
    found += [Variant(dialect=dialect, ipv6=ipv6, policies=policies, transport=transport,
                      reregister=True)
              for dialect in DIALECTS for ipv6 in (False, True)
              for policies, transport in (("shared", "udp"), ("per-set", "udp"),
                                          ("shared", "tcp"), ("per-set", "tcp"))]
    found += [Variant(prot=prot, mod=mod, dialect=dialect, reregister=True)
              for prot, mod, dialect in (("ah", "trans", "rfc3329"), ("esp", "tun", "rfc3329"),
                                         ("esp", "UDP-enc-tun", "24.229"))]
    return [variant for variant in found if not variant.fault()]
