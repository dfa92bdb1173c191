# SPDX-License-Identifier: BSD-2-Clause
"""Random events in the life of sets: a seed gives a sequence, step by step, since what makes sense
depends on the sets that there are.

An event is a dictionary that can be written down and done again. It names a set by the label that
the event which made it gave it, so that a sequence stays meaningful when others are taken out.
"""

import re

PCSCFS = {"4": ("192.0.2.1", "192.0.2.2"), "6": ("2001:db8::1",)}
NAT_VIA = {"4": "10.0.0.9", "6": "fd00::9"}
# IMPI, name of the contact, addresses that it may be at
PHONES = (("a@ims.example", None, ("192.0.2.10",)),
          ("b@ims.example", None, ("192.0.2.10", "2001:db8::10")),
          ("c@ims.example", None, ("2001:db8::10",)),
          ("a@ims.example", "second", ("192.0.2.11", "192.0.2.10")),
          ("d@ims.example", None, ("192.0.2.11", "2001:db8::11")),
          ("e@ims.example", "urn:e", ("2001:db8::11",)))
SUITES = (("null", "aes-gcm"), ("hmac-sha-1-96", "aes-cbc"), ("aes-gmac", "null"),
          ("hmac-sha-1-96", "null"))
ALGORITHMS = ("aes-gcm", "hmac-sha-1-96/aes-cbc", "aes-gmac", "hmac-sha-1-96/null")
MODES = ("trans", "trans", "trans", "tun", "UDP-enc-tun")
FEW_SPIS = range(1000, 1012)   # collisions wanted
CLIENT_PORTS, SERVER_PORTS = range(7000, 7006), range(7100, 7103)
WEIGHTS = {"offer": 30, "check": 22, "confirm": 14, "fail": 3, "extend": 8, "release": 4,
           "repeat": 3, "route": 6, "wait": 3, "foreign": 2, "unforeign": 1}
NAMED = ("check", "confirm", "fail", "extend", "route")


class Source:
    """@random: a random.Random. @model: of the sets that there are."""

    def __init__(self, random, model):
        self.random = random
        self.model = model
        self.last_label = 0
        self.offers = []

    def label(self):
        self.last_label += 1
        return self.last_label

    def next(self):
        what, = self.random.choices(list(WEIGHTS), WEIGHTS.values())
        if what in NAMED and not self.model.sets or what == "repeat" and not self.offers:
            what = "offer"
        event = {"do": what}
        if what in NAMED:
            event["set"] = self.some_set()
        getattr(self, f"make_{what}")(event)
        return event

    def some_set(self):
        """Now and then one that is gone, most times one that has not much before it."""
        if self.random.random() < 0.05 and self.last_label:
            return self.random.randint(1, self.last_label)
        return self.random.choice(list(self.model.sets))

    # ---- one kind each ----

    def make_offer(self, event):
        impi, contact, addresses = self.random.choice(PHONES)
        ue = self.random.choice(addresses)
        version = "6" if ":" in ue else "4"
        params = {"impi": impi, "ue": ue, "pcscf": self.random.choice(PCSCFS[version]),
                  "ck": self.random.randbytes(16).hex(), "ik": self.random.randbytes(16).hex(),
                  "security_client": self.header()}
        if self.comes_back(event, impi, contact, params):
            return
        if contact:
            params["contact"] = contact
        if self.random.random() < 0.2:
            params["via"] = NAT_VIA[version]
        own = [label for label, one in self.model.sets.items() if one.impi == impi
               and (one.state != "temporary" or self.random.random() < 0.1)]
        if own and self.random.random() < 0.6:
            event["over"] = self.random.choice(own)
        elif self.random.random() < 0.04:
            event["over"] = self.random.randint(1, self.last_label + 1)
        self.finish_offer(event, params)

    def finish_offer(self, event, params):
        event.update({"as": self.label(), "params": params})
        params["transaction"] = f"z9hG4bK{event['as']}"
        self.offers = self.offers[-5:] + [event["as"]]

    def comes_back(self, event, impi, contact, params):
        """A phone that lost its state offers in clear what it offered before, with other SPIs."""
        own = [one for one in self.model.sets.values()
               if (one.impi, one.params.get("contact")) == (impi, contact)]
        if not own or self.random.random() > 0.15:
            return False
        before = self.random.choice(own).params
        fresh = self.random.randint(2000, 2**31)
        header = before["security_client"]
        for which in ("spi-c", "spi-s", "spi"):
            fresh += 1
            header = re.sub(rf"{which}=\d+", f"{which}={fresh}", header)
        self.finish_offer(event, {**before, "ck": params["ck"], "ik": params["ik"],
                                  "security_client": header})
        return True

    def header(self):
        pair = self.random.random() < 0.2
        numbers = self.numbers(pair)
        entries = []
        for _ in range(self.random.choice((1, 1, 2, 3))):
            alg, ealg = self.random.choice(SUITES)
            prot = "esp"
            if (alg, ealg) == ("hmac-sha-1-96", "null") and self.random.random() < 0.3:
                prot = "ah"
            mod = self.random.choice(MODES)
            entries.append(f"ipsec-3gpp;alg={alg};ealg={ealg};prot={prot};mod={mod};{numbers}")
        return ", ".join(entries)

    def numbers(self, pair):
        spis = self.random.sample(FEW_SPIS, 2) if self.random.random() < 0.3 else \
            [self.random.randint(256, 2**32 - 1) for _ in range(2)]
        ports = self.random.choice(CLIENT_PORTS), self.random.choice(SERVER_PORTS)
        if not pair:
            return (f"spi-c={spis[0]};spi-s={spis[1]};port-c={ports[0]};port-s={ports[1]}")
        text = f"spi={spis[0]};port1={ports[1]}"
        port2 = self.random.choice((None, ports[0], ports[1]))
        return text if port2 is None else f"{text};port2={port2}"

    def make_repeat(self, event):
        event.update({"as": self.random.choice(self.offers), "anew": self.label()})

    def make_check(self, event):
        one = self.model.sets.get(event["set"])
        hows = ("answer", "answer", "request", "wrong-verify", "wrong-impi") \
            if one and one.state == "temporary" else ("request", "request", "register")
        event.update({"how": self.random.choice(hows), "flow": self.random.randint(0, 1)})

    def make_confirm(self, event):
        """Mostly of one that waits for it."""
        waiting = [label for label, one in self.model.sets.items() if one.state == "temporary"]
        if waiting and self.random.random() < 0.8:
            event["set"] = self.random.choice(waiting)
        event["expires"] = self.random.choice((1, 2, 4, 6, 3600))

    def make_extend(self, event):
        event["expires"] = self.random.choice((0, 1, 3, 8))

    def make_release(self, event):
        if self.model.sets and self.random.random() < 0.6:
            event["set"] = self.some_set()
        else:
            event["impi"] = self.random.choice(PHONES)[0]
        event["linger"] = self.random.choice((0, 0, 1, 3))

    def make_fail(self, event):
        pass

    def make_route(self, event):
        pass

    def make_wait(self, event):
        event["seconds"] = self.random.choice((0.05, 0.1, 0.3, 1.0))

    def make_foreign(self, event):
        """An SA or a policy as somebody else's: some are in the way of ours."""
        ue, pcscf = self.random.choice((("192.0.2.10", "192.0.2.1"), ("192.0.2.11", "192.0.2.2"),
                                        ("2001:db8::10", "2001:db8::1")))
        event["as"] = self.label()
        if self.random.random() < 0.6:
            out = self.random.random() < 0.7
            src, dst = (pcscf, ue) if out else (ue, pcscf)
            event["sa"] = (
                f"src {src} dst {dst} proto esp spi {self.random.choice(FEW_SPIS)} "
                f"reqid {self.random.choice((1, 33203))} mode transport "
                f"auth-trunc hmac(sha1) 0x{self.random.randbytes(20).hex()} 96 "
                "enc ecb(cipher_null) \"\"")
        else:
            port = self.random.choice((6104, 6105, 9999))
            bits = 128 if ":" in ue else 32
            event["policy"] = (
                f"src {pcscf}/{bits} dst {ue}/{bits} sport {port} "
                f"dport {self.random.choice(SERVER_PORTS)} dir out priority 100 "
                f"tmpl proto esp reqid {self.random.choice((1, 33203))} mode transport")

    def make_unforeign(self, event):
        """The oldest goes."""
