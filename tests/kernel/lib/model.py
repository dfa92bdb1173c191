# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon should do with a sequence of calls, worked out from TS 33.203 7.4 and the manual
of the control protocol: which sets there are, in which states, until when.

Time is real, so an end is a span: from the earliest to the latest moment at which the daemon may
have set its timer. Within such a span both outcomes are right, outside only one is.
"""

import expect

REG_AWAIT_AUTH_S, OLD_SET_S, MARGIN_S, SLACK_S = 3, 2, 1, 2
MAX_SETS = 3
TICK_S = 0.01  # by how much the daemon's clock, which is the kernel's coarse one, may lag
LATE_S = 2.0  # how late the daemon's timer may be on a slow machine
NOBODY = "ffffffffffffffff"
OFFER_MAY_FAIL = {"no_common_mechanism", "nat_refused", "flow_in_use", "spi_in_use",
                  "port_exhausted", "limit_contact", "kernel_refused"}
CHECK_MAY_FAIL = {"wrong_state", "verify_mismatch", "client_mismatch", "identity_mismatch"}


class Mismatch(Exception):
    """The daemon or the kernel is not as the model says."""


def demand(held, text):
    if not held:
        raise Mismatch(text)


class Set:
    def __init__(self, label, event, offered, span):
        params = event["params"]
        self.label = label
        self.id = offered["set"]
        self.state = "temporary"
        self.params = params
        self.impi = params["impi"]
        self.contact = params["impi"], params["ue"], params.get("contact")
        self.ue, self.pcscf = params["ue"], params["pcscf"]
        self.listener = offered["listener"]
        self.over = event.get("over")
        self.chosen = offered["chosen"]
        self.server = offered["security_server"]
        self.agreement = expect.Agreement(params["security_client"], self.server, self.chosen,
                                          self.ue, self.pcscf)
        self.sas = self.agreement.sas(bytes.fromhex(params["ck"]), bytes.fromhex(params["ik"]))
        self.shown = None    # what sa.show said when it was made
        self.aborted = self.aborted_for_sure = False
        self.end = span
        self.may_go = False  # an offer that failed may have taken it along

    def __str__(self):
        return f"set {self.label} ({self.state}, {self.id})"

    @property
    def flows(self):
        """(its port, ours) of what the phone sends."""
        ue, pcscf = self.agreement.ue, self.agreement.pcscf
        if self.agreement.is_rfc3329:
            return [(ue["port1"], pcscf["port1"])]
        return [(ue["port-c"], pcscf["port-s"]), (ue["port-s"], pcscf["port-c"])]

    @staticmethod
    def spis(numbers):
        return [number for name, number in numbers.items() if name.startswith("spi")]

    def takes(self, ue, pcscf, ue_port, pcscf_port):
        if (self.ue, self.pcscf) != (ue, pcscf):
            return False
        if self.agreement.is_rfc3329 and self.agreement.ue.get("port2") != \
                self.agreement.ue["port1"]:
            return self.flows[0][1] == pcscf_port
        return (ue_port, pcscf_port) in self.flows

    def shorten(self, span):
        self.end = min(self.end[0], span[0]), min(self.end[1], span[1])

    def lengthen(self, span):
        self.end = max(self.end[0], span[0]), max(self.end[1], span[1])


class Model:
    def __init__(self):
        self.sets = {}    # label: Set
        self.span = 0, 0  # when the last request was under way
        self.done = {}    # (method, outcome): how often

    # ---- looking ----

    def by_id(self, set_id):
        return next((one for one in self.sets.values() if one.id == set_id), None)

    def of_contact(self, contact, *states):
        return [one for one in self.sets.values()
                if one.contact == contact and (not states or one.state in states)]

    def certain(self, one):
        """It lives for sure during this request."""
        return self.span[1] < one.end[0] and not one.may_go

    def after(self, seconds):
        return self.span[0] + seconds - TICK_S, self.span[1] + seconds + TICK_S

    # ---- one request and its answer ----

    def note(self, event, span, result, error):
        """@error: the reason, or None."""
        self.span = span
        what = event["do"]
        key = what, error or "ok"
        self.done[key] = self.done.get(key, 0) + 1
        getattr(self, f"on_{what}")(event, result, error)

    def target(self, event, result, error, may_fail):
        """The set of a call that names one, if it went well. @may_fail: reasons that are right."""
        one = self.sets.get(event["set"])
        if one is None:
            demand(error == "unknown_set", f"{event}: {error or result} for an unknown set")
            return None
        if error == "unknown_set":
            demand(not self.certain(one), f"{event}: {one} is unknown")
            return None
        if error:
            demand(error in may_fail, f"{event}: {error} for {one}")
            return None
        return one

    def on_offer(self, event, result, error):
        params = event["params"]
        contact = params["impi"], params["ue"], params.get("contact")
        over = self.sets.get(event["over"]) if event.get("over") is not None else None
        if error:
            self._offer_refused(event, error, over)
        for one in self.sets.values():
            # of this contact, or one that yields a client port
            one.may_go |= one.state == "temporary" and one.ue == params["ue"]
        if error:
            return
        self._forget(self.of_contact(contact, "temporary"))
        one = Set(event["as"], event, result, self.after(REG_AWAIT_AUTH_S))
        demand(self.by_id(one.id) is None, f"{event}: {one} has the name of another")
        self.sets[event["as"]] = one
        living = [two for two in self.of_contact(contact) if self.certain(two)]
        demand(len(living) <= MAX_SETS, f"{event}: a contact has {len(living)} sets")
        self._check_ports(event, one)

    def _offer_refused(self, event, error, over):
        allowed = set(OFFER_MAY_FAIL)
        if event.get("over") is not None:
            if over is None or not self.certain(over):
                allowed.add("unknown_set")
            elif over.impi != event["params"]["impi"]:
                allowed = {"identity_mismatch", "wrong_state"}
            if over is not None and over.state == "temporary":
                allowed |= {"wrong_state"}
        demand(error in allowed, f"{event}: {error}")

    def _check_ports(self, event, new):
        """TS 33.203 7.2, 7.4.0: our SPIs are not the phone's, port_pc is one of its own."""
        ours = new.spis(new.agreement.pcscf)
        spis = ours + new.spis(new.agreement.ue)
        demand(len(set(spis)) == len(spis), f"{event}: an SPI is there twice: {spis}")
        for one in self.sets.values():
            if one is new or not self.certain(one) or one.pcscf != new.pcscf:
                continue
            demand(not set(one.spis(one.agreement.pcscf)) & set(ours), f"{event}: an SPI of {one}")
            demand(one.ue != new.ue or new.flows[-1] not in one.flows,
                   f"{event}: port_pc is that of {one}")

    def on_repeat(self, event, result, error):
        """The same request once more: the same set while it waits, else a new one. Nobody asks over
        a set that has ended."""
        one, over = self._made_by(event), self.sets.get(event.get("over"))
        if error == "unknown_set" and event.get("over") is not None \
                and (over is None or not self.certain(over)):
            return
        if one and one.state == "temporary" and self.certain(one):
            demand(not error and result["set"] == one.id
                   and result["security_server"] == one.server,
                   f"{event}: {error or result} for a retransmission")
        elif not error and one and result["set"] == one.id:
            return
        else:
            self.on_offer({**event, "as": event["anew"]}, result, error)

    def _made_by(self, offer):
        """The set that waits for the answer to it, which an earlier repetition may have made, or
        what else it has made."""
        waiting = (one for one in self.sets.values() if one.state == "temporary"
                   and one.params["transaction"] == offer["params"]["transaction"])
        return next(waiting, self.sets.get(offer["as"]))

    def on_confirm(self, event, result, error):
        one = self.sets.get(event["set"])
        if one is not None and one.state != "temporary":
            self.on_extend(event, result, error)
            return
        one = self.target(event, result, error,
                          {"wrong_state"} if one and one.aborted else set())
        if one is None:
            return
        demand(not one.aborted_for_sure, f"{event}: {one} was aborted")
        self._live_longer(one, event["expires"])
        over = self.sets.get(one.over)
        if over is not None and over.contact != one.contact:
            over = None
        if over is not None and not self.certain(over):
            # was it there? The state of the new one tells
            over = over if result["state"] == "new" else None
        self._forget([two for two in self.of_contact(one.contact) if two not in (one, over)])
        one.state = "current"
        if over is not None:
            one.state = "new"
            over.state = "old"
        demand(result["state"] == one.state, f"{event}: {result}, not {one.state}")

    def _live_longer(self, one, expires):
        """TS 33.203 7.4.2a: the latest of all sets, or this registration."""
        one.end = self.after(expires + MARGIN_S)
        for two in self.of_contact(one.contact, "new", "current", "old"):
            if self.certain(two):
                one.lengthen(two.end)
            elif two is not one:
                one.end = one.end[0], max(one.end[1], two.end[1])

    def on_extend(self, event, result, error):
        one = self.sets.get(event["set"])
        bad = one is not None and one.state in ("temporary", "old")
        one = self.target(event, result, error, {"wrong_state"} if bad else set())
        if one is not None:
            demand(not bad, f"{event}: {result} for {one}")
            one.lengthen(self.after(event["expires"] + MARGIN_S))

    def on_fail(self, event, result, error):
        one = self.sets.get(event["set"])
        bad = one is not None and one.state != "temporary"
        one = self.target(event, result, error, {"wrong_state"} if bad else set())
        if one is not None:
            demand(not bad, f"{event}: {result} for {one}")
            self._forget([one])

    def on_release(self, event, result, error):
        if "set" in event:
            one = self.target(event, result, error, set())
            if one is None:
                return
            meant = self.of_contact(one.contact)
        else:
            demand(not error, f"{event}: {error}")
            meant = [one for one in self.sets.values() if one.impi == event["impi"]]
        released = {self.by_id(set_id) for set_id in result["released"]}
        demand(None not in released and released <= set(meant)
               and released >= {one for one in meant if self.certain(one)},
               f"{event}: {result}, not {[str(one) for one in meant]}")
        for two in meant:
            self._release_one(event, two, two.label == event.get("set"))

    def _release_one(self, event, one, named):
        """The phone left: what is in use becomes old, what is old already goes. The network ended
        it: they stay what they are."""
        left = "set" in event
        if not event["linger"] or one.state == "temporary" or \
                left and one.state == "old" and not named:
            self._forget([one])
            return
        if left:
            one.state = "old"
        one.shorten(self.after(event["linger"]))

    def on_check(self, event, result, error):
        one = self.sets.get(event["set"])
        if one is None:
            return  # then it is asked about nobody's ports
        places = one.ue, one.pcscf, *event["ports"]
        on_flow = [two for two in self.sets.values() if two.takes(*places)]
        sure = [two for two in on_flow if self.certain(two)]
        if error == "unknown_set":
            demand(not sure, f"{event}: no set, but there is {one}")
        elif error:
            demand(error in CHECK_MAY_FAIL, f"{event}: {error}")
            demand(event["how"] != "answer" or len(on_flow) > 1 or one.aborted
                   or one.state != "temporary", f"{event}: {error} for {one}")
            for two in on_flow if error != "wrong_state" else ():
                two.aborted |= two.state == "temporary"
                two.aborted_for_sure |= two.aborted and len(on_flow) == 1
        else:
            used = self.by_id(result["set"])
            demand(used in on_flow, f"{event}: {used} is not on this flow")
            self._check_used(event, used, result)

    def _check_used(self, event, used, result):
        if used.state == "temporary":
            demand(event["how"] == "answer", f"{event}: {used} took it")
        elif used.state == "new":
            used.state = "current"
            for two in self.of_contact(used.contact, "old"):
                two.shorten(self.after(OLD_SET_S))
        demand((result["integrity_protected"] == "yes") == (used.state != "old"),
               f"{event}: {result} on {used}")

    def on_route(self, event, result, error):
        """OLD until the phone has used NEW."""
        one = self.sets.get(event["set"])
        demand(error in (None, "unknown_set"), f"{event}: {error}")
        demand(one is not None or error, f"{event}: {result} for an unknown set")
        sets = self.of_contact(one.contact) if one else []
        if not all(self.certain(two) for two in sets):
            return
        by_state = {two.state: two for two in sets}
        right = [by_state[state] for state in ("new", "current") if state in by_state]
        if "new" in by_state and "old" in by_state:
            right = [by_state["old"]] + right * self._may_turn(sets, self.span[1])
        if error:
            demand(not right, f"{event}: no way to the phone, but {[str(two) for two in right]}")
        else:
            demand(self.by_id(result["set"]) in right,
                   f"{event}: by {result['set']}, not {[str(two) for two in right]}")

    def _forget(self, sets):
        for one in sets:
            self.sets.pop(one.label, None)

    # ---- what the daemon lists ----

    def hold(self, listed, span):
        """@listed: the sets of sa.list, asked for within @span."""
        rows = {row["set"]: row for row in listed}
        for label, one in list(self.sets.items()):
            row = rows.pop(one.id, None)
            if row is None:
                demand(span[1] >= one.end[0] or one.may_go,
                       f"{one} is gone {one.end[0] - span[1]:.2f} s too early")
                del self.sets[label]
                continue
            one.may_go = False
            self._hold_one(one, row, span)
        demand(not rows, f"sets that should not be there: {rows}")

    def _hold_one(self, one, row, span):
        demand(span[0] <= one.end[1] + LATE_S,
               f"{one} is still there, {span[0] - one.end[1]:.2f} s too late")
        demand(one.end[0] - span[1] - 1 <= row["expires_in"] <= one.end[1] - span[0] + 1,
               f"{one} ends in {row['expires_in']} s, not in "
               f"{one.end[0] - span[1]:.1f} to {one.end[1] - span[0]:.1f}")
        sets = self.of_contact(one.contact)
        if one.state == "new" and row["state"] == "current" and self._may_turn(sets, span[1]):
            one.state = "current"
        demand(one.state != "new" or not self._must_turn(sets, span[0]),
               f"{one} is not current, though the old one has little time left")
        demand(row["state"] == one.state, f"{one} is listed as {row['state']}")
        demand((row["impi"], row["ue"], row["listener"], row["chosen"]) ==
               (one.impi, one.ue, one.listener, one.chosen), f"{one} is listed as {row}")

    # When the old one has 64*T1 left, the new one is current without having been used.

    def _may_turn(self, sets, now):
        old = [two for two in sets if two.state == "old"]
        return not old or any(two.end[0] - OLD_SET_S <= now for two in old)

    def _must_turn(self, sets, now):
        return any(two.state == "old" and two.end[1] - OLD_SET_S + LATE_S < now for two in sets)
