# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel holds, by netlink dumps: fast enough to look after every step of a test.

A third reader, beside ip(8) and the daemon. Objects have the fields of demo/kernel.py where both
have them; @raw is the kernel's message, to see that an object did not change at all.
"""

import socket
import struct

NETLINK_XFRM = 6
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_DUMP_INTR = 0x10
GETSA, GETPOLICY = 0x12, 0x15
ALG_CRYPT, ENCAP, TMPL, ALG_AEAD, ALG_AUTH_TRUNC, REPLAY_ESN = 2, 4, 5, 18, 20, 23
PROTOCOLS = {50: "esp", 51: "ah"}
MODES = {0: "transport", 1: "tunnel"}
DIRECTIONS = {0: "in", 1: "out", 2: "fwd"}
ENCAP_TYPES = {2: "espinudp"}
RECEIVE_BYTES = 1 << 20


def address(family, data):
    if family == socket.AF_INET:
        return socket.inet_ntop(family, data[:4])
    return socket.inet_ntop(socket.AF_INET6, data[:16])


def attributes(data):
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4:at + size]
        at += (size + 3) & ~3


class Selector:
    def __init__(self, data):
        self.dport, self.dport_mask, self.sport, self.sport_mask = struct.unpack_from(">4H", data,
                                                                                      32)
        self.family, dst_bits, src_bits, self.proto = struct.unpack_from("=HBBB", data, 40)
        self.src = f"{address(self.family, data[16:32])}/{src_bits}"
        self.dst = f"{address(self.family, data[:16])}/{dst_bits}"

    @property
    def key(self):
        return (self.src, self.dst, self.sport, self.sport_mask, self.dport, self.dport_mask,
                self.proto)


def algorithm(kind, data):
    name = data[:64].split(b"\0")[0].decode()
    bits, = struct.unpack_from("=I", data, 64)
    if kind == ALG_CRYPT:
        return "enc", name, data[68:68 + bits // 8].hex(), 0
    icv_bits, = struct.unpack_from("=I", data, 68)
    return {ALG_AEAD: "aead", ALG_AUTH_TRUNC: "auth-trunc"}[kind], name, \
        data[72:72 + bits // 8].hex(), icv_bits


class Sa:
    def __init__(self, raw):
        self.raw = raw
        self.selector = Selector(raw)
        spi, proto = struct.unpack_from(">IB", raw, 72)
        self.spi, self.proto = spi, PROTOCOLS.get(proto, str(proto))
        self.hard_s, = struct.unpack_from("=Q", raw, 136)
        self.add_time, = struct.unpack_from("=Q", raw, 176)
        self.reqid, self.family, mode = struct.unpack_from("=IHB", raw, 208)
        self.mode = MODES.get(mode, str(mode))
        self.src, self.dst = address(self.family, raw[80:96]), address(self.family, raw[56:72])
        self.algorithms, self.encap, self.replay_window = (), None, 0
        for kind, data in attributes(raw[224:]):
            if kind in (ALG_CRYPT, ALG_AEAD, ALG_AUTH_TRUNC):
                self.algorithms += (algorithm(kind, data),)
            elif kind == ENCAP:
                what, sport, dport = struct.unpack_from(">HHH", data)
                what = socket.ntohs(what)
                self.encap = ENCAP_TYPES.get(what, str(what)), sport, dport
            elif kind == REPLAY_ESN:
                self.replay_window, = struct.unpack_from("=I", data, 20)

    @property
    def key(self):
        return self.src, self.dst, self.proto, self.spi

    # the words of demo/kernel.py
    @property
    def sel_src(self):
        return self.selector.src

    @property
    def sel_dst(self):
        return self.selector.dst

    @property
    def sport(self):
        return self.selector.sport

    @property
    def dport(self):
        return self.selector.dport

    @property
    def sel_proto(self):
        return str(self.selector.proto) if self.selector.proto else None


class Policy:
    def __init__(self, raw):
        self.raw = raw
        self.selector = Selector(raw)
        self.priority, self.index, direction, self.action = struct.unpack_from("=IIBB", raw, 152)
        self.dir = DIRECTIONS.get(direction, "socket")
        self.templates = ()
        for kind, data in attributes(raw[168:]):
            if kind == TMPL:
                self.templates = tuple(self._template(data[at:at + 64])
                                       for at in range(0, len(data), 64))

    @staticmethod
    def _template(data):
        family, = struct.unpack_from("=H", data, 24)
        reqid, mode = struct.unpack_from("=IB", data, 44)
        return (address(family, data[28:44]), address(family, data[:16]),
                PROTOCOLS.get(data[20], str(data[20])), MODES.get(mode, str(mode)), reqid)

    @property
    def key(self):
        return (self.dir, *self.selector.key)


class Dump:
    """A netlink socket of the host @namespace. What did not change is not read twice."""

    def __init__(self, namespace):
        with namespace.inside():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM)
        self.socket.bind((0, 0))
        self.sequence = 0
        self.known = {}

    def close(self):
        self.socket.close()

    def sas(self):
        """Without larval ones, SPI 0."""
        return [sa for sa in self._dump(GETSA, Sa) if sa.spi]

    def policies(self):
        """Without the per-socket ones."""
        return [policy for policy in self._dump(GETPOLICY, Policy) if policy.dir != "socket"]

    def _dump(self, kind, make):
        while True:
            raw, interrupted = self._messages(kind)
            if not interrupted:
                break
        known = {one: self.known.get(one) or make(one) for one in raw}
        if len(self.known) > 10000:
            self.known = {}
        self.known.update(known)
        return [known[one] for one in raw]

    def _messages(self, kind):
        self.sequence += 1
        self.socket.send(struct.pack("=IHHII", 16, kind, NLM_F_REQUEST | NLM_F_DUMP,
                                     self.sequence, 0))
        found, interrupted = [], False
        while True:
            data, at = self.socket.recv(RECEIVE_BYTES), 0
            while at + 16 <= len(data):
                size, what, flags, sequence = struct.unpack_from("=IHHI", data, at)
                if sequence == self.sequence:
                    interrupted |= bool(flags & NLM_F_DUMP_INTR)
                    if what == NLMSG_DONE:
                        return found, interrupted
                    if what == NLMSG_ERROR:
                        code, = struct.unpack_from("=i", data, at + 16)
                        raise OSError(-code, "xfrm dump")
                    found.append(data[at + 16:at + size])
                at += (size + 3) & ~3
