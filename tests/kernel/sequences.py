#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Random sequences of events on a real kernel: offers of several phones at IPv4 and IPv6 addresses
in both dialects and all modes, confirmed, failed, extended, released, used, repeated, forgotten;
other programs' SAs and policies come and go. After each step the daemon's list is held against a
model, and the kernel, read by a dump of its own, against that list: addresses, ports, keys, modes,
reqids, limits, policies; nothing is missing, nothing too much, strangers' objects are untouched.
TAP.

    SECAGREE_RANDOM_SECONDS   how long, 90 by default
    SECAGREE_RANDOM_STEPS     how many steps instead
    SECAGREE_RANDOM_SEED      the seed of the first sequence, else a new one

A sequence that fails is done again in a fresh namespace with a fresh daemon, with parts left out,
until nothing more can go; what is left is printed, and sequences.py FILE does it once more.
"""

import json
import os
import random
import secrets
import shlex
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import checker  # noqa: E402
import events  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import model  # noqa: E402
import xfrm_dump  # noqa: E402
from control import Control  # noqa: E402
from model import Mismatch, demand  # noqa: E402
from tap import Tap  # noqa: E402

STEPS_IN_A_SEQUENCE = 150
SHRINK_S = 240
TAIL = [{"do": "wait", "seconds": 1.0}] * 6  # for what timers do; in shorter ones less time passes
NOBODYS_PORT = 9
REASON_OF_THE_PROTOCOL = "bad_params"
# what must have gone well at least once in a run of some length
MUST_HAPPEN = [("offer", "ok"), ("confirm", "ok"), ("fail", "ok"), ("extend", "ok"),
               ("release", "ok"), ("check", "ok"), ("route", "ok"), ("repeat", "ok"),
               ("offer", "spi_in_use"), ("offer", "flow_in_use"), ("offer", "nat_refused"),
               ("check", "wrong_state")]


def listeners():
    settings = {"algorithms": events.ALGORITHMS, "protocols": ("esp", "ah"),
                "modes": ("trans", "tun", "UDP-enc-tun"),
                "reg_await_auth": model.REG_AWAIT_AUTH_S, "old_set_time": model.OLD_SET_S,
                "registration_margin": model.MARGIN_S, "kernel_slack": model.SLACK_S}
    return [lab.listener("shared4", "192.0.2.1", **settings),
            lab.listener("perset4", "192.0.2.2", policies="per-set", **settings),
            lab.listener("shared6", "2001:db8::1", **settings)]


class Player:
    """A host, a daemon, and what does events to them."""

    def __init__(self, bed):
        self.bed = bed
        bed.make_hosts()
        bed.start_daemon()
        self.control = Control(bed.control_path)
        self.model = model.Model()
        self.dump = xfrm_dump.Dump(bed.pcscf_host)
        bed.stack.callback(self.dump.close)
        self.checker = checker.Checker(self.dump, bed.listeners)
        self.offered = {}  # label: event, for repetitions
        self.foreign = []  # what takes the strangers' objects out again
        self.steps = 0
        self.last_id = 0

    # ---- the daemon ----

    def ask(self, *requests):
        """All at once; [(result, reason)] and the time that it took."""
        text, first = "", self.last_id + 1
        for method, params in requests:
            self.last_id += 1
            text += json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method,
                                "params": params}) + "\n"
        begin = time.monotonic()
        self.control.send(text.encode())
        answers = [json.loads(self.control.line()) for _ in requests]
        span = begin, time.monotonic()
        demand([answer["id"] for answer in answers] ==
               list(range(first, self.last_id + 1)), "answers in another order")
        outcomes = []
        for answer in answers:
            error = answer.get("error")
            reason = error and error["data"]["reason"]
            demand(reason != REASON_OF_THE_PROTOCOL, f"{error}")
            outcomes.append((answer.get("result"), reason))
        return outcomes, span

    def id_of(self, label):
        one = self.model.sets.get(label)
        return one.id if one else model.NOBODY

    def request(self, event):
        """The call that does it: method and parameters."""
        what = event["do"]
        if what in ("offer", "repeat"):
            params = dict(event["params"])
            if event.get("over") is not None:
                params["over"] = event["over_id"]
            return "sa.offer", params
        if what == "check":
            return "sa.check", self.check_params(event)
        if what == "release":
            params = {"linger": event["linger"]}
            params.update({"set": self.id_of(event["set"])} if "set" in event
                          else {"impi": event["impi"]})
            return "sa.release", params
        params = {"set": self.id_of(event["set"])}
        if "expires" in event:
            params["expires"] = event["expires"]
        return f"sa.{what}", params

    @staticmethod
    def check_params(event):
        one, how = event["of"], event["how"]
        params = {"pcscf": one.pcscf, "ue": one.ue, "ue_port": event["ports"][0],
                  "pcscf_port": event["ports"][1],
                  "method": "OPTIONS" if how == "request" else "REGISTER"}
        if how in ("answer", "wrong-verify"):
            params.update(security_client=one.params["security_client"],
                          security_verify=one.server, impi=one.impi)
        if how == "wrong-verify":
            params["security_verify"] += ";q=0.1"
        if how == "wrong-impi":
            params["impi"] = "wrong-" + one.impi
        return params

    # ---- events ----

    def play(self, event):
        """One event; then all must agree."""
        self.steps += 1
        what = event["do"]
        if what == "wait":
            time.sleep(event["seconds"])
        elif what == "foreign":
            self.add_foreign(event)
        elif what == "unforeign":
            self.remove_foreign(1)
        else:
            self.call(event)
            return
        self.agree()

    def call(self, event):
        event = self.complete(event)
        if event is None:
            self.agree()
            return
        (outcome, listed), span = self.ask(self.request(event), ("sa.list", {}))
        self.model.note(event, span, *outcome)
        self.compare(listed, span)
        if event["do"] == "offer" and outcome[0]:
            self.show(event["as"])

    def complete(self, event):
        """With what earlier events left behind; None when they did not happen."""
        what = event["do"]
        if what == "offer":
            if event.get("over") is not None:
                event = {**event, "over_id": self.id_of(event["over"])}
            self.offered[event["as"]] = event
        if what == "repeat":
            first = self.offered.get(event["as"])
            return first and {**first, "do": "repeat", "anew": event["anew"]}
        if what == "check":
            one = self.model.sets.get(event["set"])
            return one and {**event, "of": one, "ports": one.flows[event["flow"] % len(one.flows)]}
        return event

    def agree(self):
        (listed,), span = self.ask(("sa.list", {}))
        self.compare(listed, span)

    def compare(self, listed, span):
        """A set may end between the list and the look at the kernel: then both are asked again."""
        while True:
            result, reason = listed
            demand(not reason and result["total"] == len(result["sets"]), f"{listed}")
            self.model.hold(result["sets"], span)
            try:
                self.checker.hold(self.model.sets.values())
                return
            except Mismatch:
                before = self.states(listed)
                (listed,), span = self.ask(("sa.list", {}))
                if self.states(listed) == before:
                    raise

    @staticmethod
    def states(listed):
        return [(row["set"], row["state"]) for row in listed[0]["sets"]]

    def show(self, label):
        """What sa.show says of a new set is what was agreed on."""
        one = self.model.sets[label]
        ((shown, reason),), _ = self.ask(("sa.show", {"set": one.id}))
        if reason == "unknown_set" and not self.model.certain(one):
            return
        demand(not reason, f"{one}: sa.show: {reason}")
        told = {(sa["src"], sa["dst"], sa["proto"], sa["spi"]):
                (sa["mode"], sa["sport"], sa["dport"], sa.get("lost", False))
                for sa in shown["sas"]}
        wanted = {key: (sa["mode"], sa["sport"], sa["dport"], False)
                  for key, sa in one.sas.items()}
        demand(told == wanted, f"{one}: sa.show has {told}")
        own = len(one.sas) if self.checker.has_own_policies(one) else 0
        demand(shown["own_policies"] == own, f"{one}: {shown['own_policies']} own policies")

    # ---- strangers ----

    def add_foreign(self, event):
        what = "sa" if "sa" in event else "policy"
        before = self.checker.snapshot()
        verb = ["xfrm", "state" if what == "sa" else "policy"]
        try:
            self.bed.pcscf_host.ip(*verb, "add", *shlex.split(event[what]))
        except OSError:
            return  # one of ours is in its place
        self.checker.adopt(before)
        words = event[what].split(" auth-trunc" if what == "sa" else " priority")[0]
        words = words.split(" reqid")[0] if what == "sa" else words
        self.foreign.append([*verb, "delete", *words.split()])

    def remove_foreign(self, count):
        for _ in range(min(count, len(self.foreign))):
            self.bed.pcscf_host.ip(*self.foreign.pop(0))
            self.checker.forget_gone()

    # ---- the end of a sequence ----

    def clear(self):
        """Everything goes; then the kernel has the guards and nothing else."""
        for impi in sorted({phone[0] for phone in events.PHONES}):
            self.call({"do": "release", "impi": impi, "linger": 0})
        demand(not self.model.sets, "sets are left after all were released")
        self.remove_foreign(len(self.foreign))
        self.agree()
        self.read_with_ip()

    def read_with_ip(self):
        """ip(8) sees what our own reader sees."""
        sas, policies = kernel.read(self.bed.pcscf_host)
        demand(not sas and len(policies) == len(self.checker.guards),
               f"ip xfrm shows {[sa.key for sa in sas]} and {len(policies)} policies")


class Failed(Exception):
    """@history: the events up to the one after which nothing agreed any more."""

    def __init__(self, history, why):
        super().__init__(why)
        self.history = history


def sequence(player, seed):
    """One random sequence; its events are remembered for a failure."""
    source = events.Source(random.Random(seed), player.model)
    history = []
    try:
        for _ in range(STEPS_IN_A_SEQUENCE):
            history.append(source.next())
            player.play(history[-1])
        history.append({"do": "clear"})
        player.clear()
    except (Mismatch, OSError, ValueError, LookupError) as why:
        raise Failed(history, f"{type(why).__name__}: {why}") from why


def replay(history):
    """The same events on a fresh host; why it fails and after how many steps, or None."""
    with lab.Lab(listeners()) as bed:
        player = Player(bed)
        for number, event in enumerate(history, 1):
            try:
                if event["do"] == "clear":
                    player.clear()
                else:
                    player.play(event)
            except (Mismatch, OSError, ValueError, LookupError) as why:
                return f"{type(why).__name__}: {why}", number
    return None


def of_one(history, impi):
    """What concerns this identity, and time."""
    labels = {event["as"] for event in history
              if event["do"] == "offer" and event["params"]["impi"] == impi}
    return [event for event in history if impi == event.get("impi") or event["do"] == "wait"
            or labels & {event.get("set"), event.get("as")}]


class Shrinker:
    """Leaves parts out, as long as it still fails: first all but one identity, then ever smaller
    parts (delta debugging)."""

    def __init__(self, history):
        self.history = history + TAIL
        self.why = None
        self.end = time.monotonic() + SHRINK_S

    def fails(self, history):
        if time.monotonic() > self.end:
            return False
        failure = replay(history)
        if failure:
            self.why, steps = failure
            self.history = history[:steps]
        return bool(failure)

    def run(self):
        if not self.fails(self.history):
            return
        for impi in sorted({phone[0] for phone in events.PHONES}):
            if self.fails(of_one(self.history, impi)):
                break
        size = len(self.history) // 2
        while size and time.monotonic() < self.end:
            at = 0
            while at < len(self.history):
                if not self.fails(self.history[:at] + self.history[at + size:]):
                    at += size
            size //= 2


class Test:
    def __init__(self, tap):
        self.tap = tap
        self.seconds = float(os.environ.get("SECAGREE_RANDOM_SECONDS", 90))
        self.steps = int(os.environ.get("SECAGREE_RANDOM_STEPS", 0))
        self.seed = int(os.environ.get("SECAGREE_RANDOM_SEED") or secrets.randbelow(10**9))

    def run(self, bed):
        player = Player(bed)
        first, begin = self.seed, time.monotonic()
        try:
            while not self.enough(player.steps, time.monotonic() - begin):
                sequence(player, self.seed)
                self.seed += 1
        except Failed as failed:
            self.tap.ok(False, f"seed {self.seed}: daemon, kernel and model agree after each step",
                        f"after step {len(failed.history)}: {failed}",
                        *bed.daemon.errors().splitlines()[-5:])
            self.explain(failed)
            return
        seconds = time.monotonic() - begin
        self.tap.ok(True, f"daemon, kernel and model agreed after each of {player.steps} steps "
                    f"in {seconds:.0f} s, seeds {first} to {self.seed - 1}")
        self.happened(player.model.done)

    def enough(self, steps, seconds):
        return steps >= self.steps if self.steps else seconds >= self.seconds

    def happened(self, done):
        for key in sorted(done):
            print(f"# {done[key]:5} {' '.join(key)}", flush=True)
        missing = [key for key in MUST_HAPPEN if key not in done]
        self.tap.ok(not missing, "each kind of event has happened", missing)

    @staticmethod
    def explain(failed):
        shrinker = Shrinker(failed.history)
        shrinker.run()
        print(f"# {len(shrinker.history)} events are enough: {shrinker.why}" if shrinker.why else
              "# it does not fail again on a fresh host", flush=True)
        for event in shrinker.history:
            print(f"#   {json.dumps(event)}", flush=True)


def again(path):
    with open(path, encoding="utf-8") as file:
        history = [json.loads(line.lstrip("# ")) for line in file if "{" in line]
    print(replay(history) or "all agrees")


def main():
    if len(sys.argv) == 2:
        again(sys.argv[1])
        return 0
    tap = Tap()
    with lab.Lab(listeners()) as bed:
        Test(tap).run(bed)
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
        bed.flush()
        sas, policies = kernel.read(bed.pcscf_host)
        tap.ok(tap.failed or not sas + policies, "and --flush leaves nothing",
               [one.key for one in sas + policies])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
