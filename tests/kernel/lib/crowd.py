# SPDX-License-Identifier: BSD-2-Clause
"""Thousands of phones, of which a few send and get real messages under ESP; and what is known of
their sets: which there must be, which may still be there, of which a stranger took an SA."""

import socket
import time

import lab
import model
from model import demand

REG_AWAIT_AUTH_S = 20
EXPIRES_S = 7200
LATE_S = 6              # how late a set may go, restarts of the daemon included
PING_LIMIT_S = 20
LIVE_ADDRESSES = 101  # 192.0.2.101 and so on
NAT_EVERY = 10          # one phone in so many sits behind a NAT
SERVER_PORT, CLIENT_PORTS = 6100, range(6104, 6108)


def listener():
    return lab.listener("ims", lab.PCSCF_4, modes=("trans", "UDP-enc-tun"),
                        algorithms=("hmac-sha-1-96/aes-cbc",), reg_await_auth=REG_AWAIT_AUTH_S,
                        old_set_time=model.OLD_SET_S, registration_margin=model.MARGIN_S,
                        kernel_slack=model.SLACK_S)


class Phone:
    def __init__(self, number, is_live):
        self.number, self.is_live = number, is_live
        self.impi = f"phone{number}@ims.example"
        self.ue = f"192.0.2.{LIVE_ADDRESSES + number}" if is_live else \
            f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.mod = "trans" if is_live or number % NAT_EVERY else "UDP-enc-tun"
        self.offers = 0
        self.current = None      # a model.Set
        self.waits_until = 0     # a challenge that it did not answer; in clear nothing goes meanwhile

    def offer(self, random):
        """Parameters of sa.offer, with numbers that it has not used before."""
        self.offers += 1
        n = self.offers
        params = {"impi": self.impi, "ue": self.ue, "pcscf": lab.PCSCF_4,
                  "transaction": f"z9hG4bK{self.number}-{n}",
                  "security_client": f"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;mod={self.mod};"
                                     f"spi-c={1000 + 2 * n};spi-s={1001 + 2 * n};"
                                     f"port-c={20000 + n % 30000};port-s=7001",
                  "ck": random.randbytes(16).hex(), "ik": random.randbytes(16).hex()}
        if self.mod != "trans":
            params["via"] = f"172.16.{self.number >> 8 & 255}.{self.number & 255}"
        return params


class Air:
    """The phones' end of the wire, in place of phones: their SAs, and messages both ways."""

    def __init__(self, bed, count):
        self.host = bed.phone_host
        self.host.ip_batch([f"addr add 192.0.2.{LIVE_ADDRESSES + n}/24 dev {lab.DEVICE}"
                            for n in range(count)]
                           + [f"xfrm policy add {ends} dir {way} tmpl proto esp reqid 1 "
                              "mode transport" for ends, way in
                              ((f"dst {lab.PCSCF_4}/32", "out"), (f"src {lab.PCSCF_4}/32", "in"))])
        with bed.pcscf_host.inside():
            self.pcscf = {port: self.bound(lab.PCSCF_4, port)
                          for port in (SERVER_PORT, *CLIENT_PORTS)}
        self.count = 0
        self.installed = {}  # phone's number: what deletes its SAs

    @staticmethod
    def bound(address, port):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.settimeout(PING_LIMIT_S)
        one.bind((address, port))
        return one

    def install(self, phone, one):
        """The SAs of @one, a model.Set, with the keys that the phone has; those before it go."""
        lines, names = self.installed.pop(phone.number, []), []
        for (src, dst, proto, spi), sa in one.sas.items():
            keys = {kind: (name, key) for kind, name, key, _ in sa["algorithms"]}
            name = f"src {src} dst {dst} proto {proto} spi {spi:#x}"
            names.append(f"xfrm state delete {name}")
            lines.append(f"xfrm state add {name} reqid 1 mode transport "
                         f"auth-trunc {keys['auth-trunc'][0]} 0x{keys['auth-trunc'][1]} 96 "
                         f"enc {keys['enc'][0]} 0x{keys['enc'][1]} "
                         f"sel src {src} dst {dst} sport {sa['sport']} dport {sa['dport']}")
        self.host.ip_batch(lines)
        self.installed[phone.number] = names

    def remove(self, phone):
        self.host.ip_batch(self.installed.pop(phone.number, []))

    def ping(self, phone):
        """A request of the phone and one to it, each answered."""
        for (port, pcscf_port), upwards in zip(phone.current.flows, (True, False)):
            with self.host.inside():
                one = self.bound(phone.ue, port)
            self.count += 1
            with one:
                try:
                    self.exchange(one, self.pcscf[pcscf_port], upwards)
                except TimeoutError as why:
                    raise model.Mismatch(f"{phone.impi}: no message passes") from why

    def exchange(self, phone, pcscf, upwards):
        """Ends that are bound: the one that begins, and the other, which sends it back."""
        first, second = (phone, pcscf) if upwards else (pcscf, phone)
        text = b"%d" % self.count
        first.sendto(text, second.getsockname())
        while True:
            got, where = second.recvfrom(64)
            if got == text:
                break
        second.sendto(text, where)
        while first.recv(64) != text:
            pass


class Known:
    """What is known of the sets."""

    def __init__(self):
        self.going = {}    # set id: until when it may be there, of the monotonic clock
        self.keys = {}     # SA: set id
        self.stolen = {}   # set id: Phone; a stranger took an SA of it

    def made(self, one):
        self.going[one.id] = time.monotonic() + REG_AWAIT_AUTH_S
        self.keys.update((key, one.id) for key in one.sas)

    def goes(self, one, seconds=0):
        """It has so much time left, if any."""
        self.going[one.id] = time.monotonic() + seconds

    def hold(self, phones, listed, kernel):
        """@listed: ids; @kernel: names of all SAs that bear our mark."""
        now = time.monotonic()
        staying = {phone.current.id for phone in phones
                   if phone.current and phone.current.id not in self.stolen}
        demand(staying <= listed, f"lost sets: {sorted(staying - listed)}")
        may_be = {one for one, until in self.going.items() if now < until + LATE_S}
        extra = listed - staying - may_be - self.stolen.keys()
        demand(not extra, f"sets that should be gone: {sorted(extra)}")
        orphans = [key for key in kernel if self.keys.get(key) not in listed]
        demand(not orphans, f"SAs of no set: {orphans[:4]}")
        missing = [key for key, one in self.keys.items() if one in staying and key not in kernel]
        demand(not missing, f"SAs that sets have lost: {missing[:4]}")
        self.forget(listed, may_be)

    def forget(self, listed, may_be):
        self.keys = {key: one for key, one in self.keys.items() if one in listed or one in may_be}
        self.going = {one: until for one, until in self.going.items() if one in may_be}
