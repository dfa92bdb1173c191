# SPDX-License-Identifier: BSD-2-Clause
"""Packets that no socket would send: IP of any kind, TCP without a connection, ESP with any SPI,
number and key. Null encryption with HMAC-SHA-1-96 (RFC 2404, 2410, 4303), so that no cipher is
needed.
"""

import hashlib
import hmac
import socket
import struct

import wire

ETH_BYTES = 14
TCP_SYN = 2


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(source, destination, payload):
    """A UDP datagram with its checksum; an end is (address, port)."""
    head = 40 if ":" in source[0] else 20
    return wire.udp_frame((wire.NOBODY, wire.NOBODY), source, destination,
                          payload)[ETH_BYTES + head:]


def syn(source, destination):
    """The first segment of a TCP connection."""
    family = family_of(source[0])
    addresses = b"".join(socket.inet_pton(family, end[0]) for end in (source, destination))
    head = struct.pack(">HHIIBBH", source[1], destination[1], 1, 0, 5 << 4, TCP_SYN, 1024)
    pseudo = addresses + struct.pack(">II", len(head) + 4, wire.TCP)
    return head + struct.pack(">HH", wire.checksum(pseudo + head + bytes(4)), 0)


def esp(spi, number, key, protocol, inner):
    """@inner, a packet of @protocol, in ESP."""
    padding = bytes(range(1, 1 + -(len(inner) + 2) % 4))
    body = struct.pack(">II", spi, number) + inner + padding + bytes((len(padding), protocol))
    return body + hmac.new(key, body, hashlib.sha1).digest()[:12]


def frame(macs, source, destination, protocol, body, fragment=0):
    """An Ethernet frame. @macs are those of source and destination. @fragment: flags and offset
    of IPv4."""
    if ":" in source:
        head = struct.pack(">IHBB", 6 << 28, len(body), protocol, 64)
        packet = head + socket.inet_pton(socket.AF_INET6, source) \
            + socket.inet_pton(socket.AF_INET6, destination) + body
        return macs[1] + macs[0] + struct.pack(">H", wire.ETH_IPV6) + packet
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(body), 7, fragment, 64, protocol)
    packet = head + struct.pack(">H", wire.checksum(head + b"\0\0" + ends)) + ends + body
    return macs[1] + macs[0] + struct.pack(">H", wire.ETH_IPV4) + packet


def fragments(macs, source, destination, protocol, body):
    """The same over IPv4 in two."""
    return [frame(macs, source, destination, protocol, body[:16], 0x2000),
            frame(macs, source, destination, protocol, body[16:], 2)]


class Wire:
    """One end of the wire, below IP: what passes there can be kept, and sent again."""

    def __init__(self, namespace, device):
        with namespace.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                        socket.htons(3))  # ETH_P_ALL
        self.socket.bind((device, 3))
        self.socket.settimeout(30)

    def send(self, frames):
        for one in frames:
            self.socket.send(one)

    def flush(self):
        """Forget what passed so far."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(65536)
        except BlockingIOError:
            self.socket.settimeout(30)

    def next_esp(self, source):
        """The next ESP packet from this IPv4 address that passes, as its body."""
        while True:
            data = self.socket.recv(65536)[ETH_BYTES:]
            if data[:1] == b"\x45" and data[9] == wire.ESP \
                    and data[12:16] == socket.inet_aton(source):
                return data[20:struct.unpack(">H", data[2:4])[0]]

    def close(self):
        self.socket.close()
