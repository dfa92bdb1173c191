# SPDX-License-Identifier: BSD-2-Clause
"""Does the kernel hold exactly the sets of the model, the guards and what strangers put there?

Algorithms and keys are worked out from the headers, CK and IK (demo/expect.py), policies from the
listeners; nothing of the daemon is asked.
"""

import time

import expect
from model import SLACK_S, demand

GUARD_PRIORITY, REPLAY_WINDOW, REQID = 2080, 64, 33203
ANY = {"4": "0.0.0.0", "6": "::"}
TOLERANCE_S = 2


def family(address):
    return "6" if ":" in address else "4"


def host(address):
    return f"{address}/{128 if ':' in address else 32}"


def any_of(address):
    return ANY[family(address)] + "/0"


def guards(listener):
    """{key: what} of the shared policies: one for port_ps, one for all port_pc."""
    address = listener["address"]
    first, count = listener["client_ports"][0], len(listener["client_ports"])
    wanted = {}
    for port, mask in ((listener["server_port"], 0xFFFF), (first, 0x10000 - count)):
        ends = any_of(address), host(address)
        what = (GUARD_PRIORITY, ((ANY[family(address)],) * 2 + ("esp", "transport", REQID),))
        wanted["in", *ends, 0, 0, port, mask, 0] = what
        wanted["out", *ends[::-1], port, mask, 0, 0, 0] = what
    return wanted


def ports(sport, dport):
    return sport, 0xFFFF if sport else 0, dport, 0xFFFF if dport else 0


class Checker:
    """@dump: lib/xfrm_dump.py of the P-CSCF's host."""

    def __init__(self, dump, listeners):
        self.dump = dump
        self.guards = {}
        for listener in listeners:
            self.guards.update(guards(listener))
        self.per_set = {listener["name"] for listener in listeners
                        if listener["settings"].get("policies") == "per-set"}
        self.foreign_sas, self.foreign_policies = {}, {}  # key: raw message

    def look(self):
        """The kernel's SAs and policies, strangers' apart and seen to be unchanged."""
        sas = {sa.key: sa for sa in self.dump.sas()}
        policies = {policy.key: policy for policy in self.dump.policies()}
        for what, found, foreign in (("SA", sas, self.foreign_sas),
                                     ("policy", policies, self.foreign_policies)):
            for key, raw in foreign.items():
                one = found.pop(key, None)
                demand(one is not None, f"a stranger's {what} is gone: {key}")
                demand(one.raw == raw, f"a stranger's {what} has changed: {key}")
        return sas, policies

    def hold(self, sets):
        """@sets: those of the model, which agree with the daemon's list."""
        sas, policies = self.look()
        wanted = {}
        for one in sets:
            for key, what in one.sas.items():
                demand(key not in wanted, f"two sets have the SA {expect.name(key)}")
                wanted[key] = what
        wrong = expect.differences(wanted, sas.values())
        demand(not wrong, "; ".join(wrong))
        for one in sets:
            self._hold_details(one, [sas[key] for key in one.sas])
        self._hold_policies(sets, policies, sas)

    def _hold_details(self, one, sas):
        now, monotonic = time.time(), time.monotonic()
        for sa in sas:
            name = f"{one}: {expect.name(sa.key)}"
            left = sa.add_time + sa.hard_s - now
            demand(one.end[0] - monotonic + SLACK_S - TOLERANCE_S <= left
                   <= one.end[1] - monotonic + SLACK_S + TOLERANCE_S,
                   f"{name}: the kernel keeps it for {left:.1f} s, not about "
                   f"{one.end[0] - monotonic + SLACK_S:.1f}")
            demand(sa.selector.key[2:6] == ports(sa.sport, sa.dport),
                   f"{name}: port masks {sa.selector.key}")
            demand(sa.replay_window == REPLAY_WINDOW, f"{name}: window {sa.replay_window}")
            if self.has_own_policies(one):
                demand(sa.reqid >> 16 == REQID, f"{name}: reqid {sa.reqid}")
            else:
                demand(sa.reqid == REQID, f"{name}: reqid {sa.reqid}")
        demand(len({sa.reqid for sa in sas}) == 1, f"{one}: several reqids")

    def has_own_policies(self, one):
        return one.listener in self.per_set or one.chosen["prot"] != "esp" \
            or one.chosen["mod"] != "trans"

    def own_policies(self, one, reqid):
        """One for each SA, in its words."""
        wanted = {}
        for (src, dst, proto, _), sa in one.sas.items():
            tunnel = sa["mode"] == "tunnel"
            ends = (src, dst) if tunnel else (ANY[family(src)],) * 2
            key = ("in" if src == one.ue else "out", host(src), host(dst),
                   *ports(sa["sport"], sa["dport"]), 0)
            wanted[key] = GUARD_PRIORITY - 1, ((*ends, proto, sa["mode"], reqid),)
        return wanted

    def _hold_policies(self, sets, policies, sas):
        wanted = dict(self.guards)
        for one in sets:
            if not self.has_own_policies(one):
                continue
            for key, what in self.own_policies(one, sas[next(iter(one.sas))].reqid).items():
                demand(wanted.get(key, what) == what, f"{one} and another need two policies {key}")
                wanted[key] = what
        for key in wanted.keys() - policies.keys():
            demand(False, f"the policy {key} is missing")
        for key in policies.keys() - wanted.keys():
            demand(False, f"the policy {key} is too much")
        for key, what in wanted.items():
            have = policies[key].priority, policies[key].templates
            demand(have == what and policies[key].action == 0,
                   f"the policy {key} is {have}, not {what}")

    # ---- strangers ----

    def snapshot(self):
        return ({sa.key: sa.raw for sa in self.dump.sas()},
                {policy.key: policy.raw for policy in self.dump.policies()})

    def adopt(self, before):
        """What is there beyond @before, a snapshot, is a stranger's from now on."""
        for foreign, was, now in zip((self.foreign_sas, self.foreign_policies), before,
                                     self.snapshot()):
            foreign.update((key, now[key]) for key in now.keys() - was.keys())

    def forget_gone(self):
        """A stranger has taken something out again."""
        for foreign, now in zip((self.foreign_sas, self.foreign_policies), self.snapshot()):
            for key in foreign.keys() - now.keys():
                del foreign[key]
