# SPDX-License-Identifier: BSD-2-Clause
"""The life of a registration, operation by operation, for tests that disturb each of them; and
whether kernel, daemon and strangers' objects agree afterwards."""

import time

import lab
import xfrm_dump
from control import Control

SLACK_S, TOLERANCE_S = 10, 4
KEYS = {"ck": "b40ba9a3c58b2a05bbf0d987b21bf8cb", "ik": "f769bcd751044604127672711c6d3441"}
SETTINGS = {"algorithms": ("hmac-sha-1-96/aes-cbc",)}  # fewer to be tried at a start
STRANGERS = (("state", "src 192.0.2.77 dst 192.0.2.1 proto esp spi 0x77 reqid 7 mode transport "
              "auth-trunc hmac(sha1) 0x0102030405060708090a0b0c0d0e0f1011121314 96 "
              "enc cbc(aes) 0x0102030405060708090a0b0c0d0e0f10"),
             ("policy", "src 192.0.2.77/32 dst 192.0.2.1/32 dir in priority 9 "
              "tmpl proto esp reqid 7 mode transport"))


class Wrong(Exception):
    """Something does not agree."""


def demand(held, text):
    if not held:
        raise Wrong(text)


class Operation:
    """One call of the front end. @method, @params: what it says; @target: what the contact's sets
    are when it has happened, state by role."""

    def __init__(self, name, method, params, target):
        self.name, self.method, self.params, self.target = name, method, params, target


class Phone:
    """@offers: numbers that it has used so far; each offer has others."""

    def __init__(self, impi, pcscf, mod):
        self.impi, self.pcscf, self.mod = impi, pcscf, mod
        self.offers = 0
        self.roles = {}  # "a": set id

    def header(self):
        n = self.offers
        return (f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;mod={self.mod};spi-c={10000 + 2 * n};"
                f"spi-s={10001 + 2 * n};port-c={20000 + n % 40000};port-s=7001")

    def offer(self, over=None):
        self.offers += 1
        params = {"impi": self.impi, "ue": lab.PHONE_4, "pcscf": self.pcscf,
                  "security_client": self.header(), "transaction": f"z9hG4bK{self.offers}", **KEYS}
        if over:
            params["over"] = self.roles[over]
        if self.mod == "UDP-enc-tun":
            params["via"] = "10.0.0.9"
        return params


def listeners():
    return [lab.listener("shared", lab.PCSCF_4, modes=("trans", "UDP-enc-tun"), **SETTINGS),
            lab.listener("perset", "192.0.2.2", policies="per-set", modes=("trans",), **SETTINGS)]


def phones():
    """One with policies of nobody, one with its own behind a NAT, one with its own."""
    return [Phone("shared@ims.example", lab.PCSCF_4, "trans"),
            Phone("nat@ims.example", lab.PCSCF_4, "UDP-enc-tun"),
            Phone("perset@ims.example", "192.0.2.2", "trans")]


def bystander(control, number, pcscf=lab.PCSCF_4, mod="trans"):
    """A phone that nothing of this concerns: its numbers are far from the others'."""
    phone = Phone(f"bystander{number}@ims.example", pcscf, mod)
    phone.offers = 39000 + number
    params = phone.offer()
    params["security_client"] = params["security_client"].replace("7001", str(7500 + number))
    control.call("sa.confirm", set=control.call("sa.offer", **params)["set"], expires=36000)


class Lives:
    """@bed: a lab with hosts and a daemon with listeners()."""

    def __init__(self, bed):
        self.bed = bed
        self.dump = xfrm_dump.Dump(bed.pcscf_host)
        bed.stack.callback(self.dump.close)
        self.put_strangers()
        self.connect()

    def connect(self):
        self.control = Control(self.bed.control_path)

    def put_strangers(self):
        for what, words in STRANGERS:
            self.bed.pcscf_host.ip("xfrm", what, "add", *words.split())
        self.foreign = sorted(sa.raw for sa in self.dump.sas())
        self.foreign_policies = sorted(p.raw for p in self.dump.policies()
                                       if p.priority == 9)
        demand(len(self.foreign) == len(self.foreign_policies) == 1, "the strangers are there")

    # ---- does all agree? ----

    def sets(self, impi=None):
        return {one["set"]: one for one in self.control.call("sa.list")["sets"]
                if impi in (None, one["impi"])}

    def agree(self):
        """Kernel, answers, and by way of a restart the store."""
        listed = self.sets()
        now = time.time()
        kernel = {(sa.src, sa.dst, sa.proto, sa.spi): sa for sa in self.dump.sas()}
        foreign = [key for key, sa in kernel.items() if sa.reqid == 7]
        demand(sorted(kernel.pop(key).raw for key in foreign) == self.foreign,
               "a stranger's SA has changed")
        wanted = {}
        for set_id, one in listed.items():
            shown = self.control.call("sa.show", set=set_id)
            demand(len(shown["sas"]) == 4, f"{set_id} has {len(shown['sas'])} SAs")
            for sa in shown["sas"]:
                demand(not sa.get("lost"), f"{set_id} misses an SA")
                wanted[sa["src"], sa["dst"], sa["proto"], sa["spi"]] = one, sa
        demand(wanted.keys() == kernel.keys(),
               f"of no set: {sorted(kernel.keys() - wanted.keys())}, "
               f"missing: {sorted(wanted.keys() - kernel.keys())}")
        for key, (one, _) in wanted.items():
            left = kernel[key].add_time + kernel[key].hard_s - now - SLACK_S
            demand(abs(left - one["expires_in"]) <= TOLERANCE_S,
                   f"{key}: {left:.0f} s left in the kernel, {one['expires_in']} s in the daemon")
        self.agree_on_policies(listed)

    def agree_on_policies(self, listed):
        policies = self.dump.policies()
        demand(sorted(p.raw for p in policies if p.priority == 9) == self.foreign_policies,
               "a stranger's policy has changed")
        guards = [p for p in policies if p.priority == 2080]
        own = [p for p in policies if p.priority == 2079]
        needed = 4 * sum(one["listener"] == "perset" or one["chosen"]["mod"] != "trans"
                         for one in listed.values())
        demand(len(guards) == 8 and len(own) == needed and
               len(policies) == len(guards) + len(own) + 1,
               f"{len(guards)} guards, {len(own)} policies of sets, not 8 and {needed}")

    # ---- the life of a registration ----

    def state(self, phone):
        """The contact's sets by role, and what is left of each; other sets in the list as well."""
        roles = {set_id: role for role, set_id in phone.roles.items()}
        listed = self.sets(phone.impi)
        return {roles.get(set_id, "fresh"): one["state"] for set_id, one in listed.items()}

    def others(self, phone):
        return {set_id: one["state"] for set_id, one in self.sets().items()
                if one["impi"] != phone.impi}

    def operations(self, phone):
        """One after the other, each made when its turn comes."""
        roles = phone.roles

        def move(**states):
            return lambda before: {**{role: state for role, state in before.items()
                                      if role not in states},
                                   **{role: state for role, state in states.items() if state}}

        yield Operation("offer", "sa.offer", phone.offer(), move(fresh="temporary"))
        yield Operation("confirm", "sa.confirm", {"set": roles["a"], "expires": 600},
                        move(a="current"))
        yield Operation("extension", "sa.extend", {"set": roles["a"], "expires": 1200},
                        move(a="current"))
        yield Operation("offer over a set", "sa.offer", phone.offer("a"), move(fresh="temporary"))
        yield Operation("confirm over a set", "sa.confirm",
                        {"set": roles["b"], "expires": 600, "impu": ["sip:b@ims.example"]},
                        move(a="old", b="new"))
        yield Operation("use", "sa.check", self.message(roles["b"]), move(b="current"))
        yield Operation("offer that fails", "sa.offer", phone.offer("b"), move(fresh="temporary"))
        yield Operation("fail", "sa.fail", {"set": roles["c"]}, move(c=None))
        yield Operation("release", "sa.release", {"set": roles["b"], "linger": 0},
                        move(a=None, b=None))

    def message(self, set_id):
        """One that the phone sends over the set."""
        shown = self.control.call("sa.show", set=set_id)
        return {"pcscf": shown["pcscf"]["address"], "ue": shown["phone"]["address"],
                "ue_port": shown["phone"]["port_c"], "pcscf_port": shown["pcscf"]["port_s"],
                "method": "OPTIONS"}
