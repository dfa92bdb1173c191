# SPDX-License-Identifier: BSD-2-Clause
"""The wire between two hosts: tcpdump at both ends, and packets that no socket would send.

Each end records what leaves it, before anybody can have decrypted it (an end that receives a
tunnel sees the inner packet on the same device). Both records together are the wire.
"""

import os
import re
import select
import signal
import socket
import struct
import subprocess
import time

ETH_IPV4 = 0x0800
ETH_IPV6 = 0x86DD
TCP, UDP, ESP, AH, FRAGMENT, ICMPV6 = 6, 17, 50, 51, 44, 58
NAMES = {0: "IPv6 options", 1: "ICMP", TCP: "TCP", UDP: "UDP", ESP: "ESP", AH: "AH",
         ICMPV6: "ICMPv6"}
ENCAP_PORT = 4500
SPI_OFFSETS = {"ESP": 0, "AH": 4, "ESP-in-UDP": 0}
READY_TIMEOUT_S = 30
NOBODY = bytes.fromhex("020000000000")  # a MAC that no host here has


class Packet:
    """An IP packet. Ports are None where there are none, @payload is what TCP or UDP carries.
    Of a packet that was sent in fragments only the first has these; take() links the rest."""

    def __init__(self, time, family, data):
        self.time = time
        self.sport = self.dport = self.spi = None
        self.payload = b""
        self.fragment = None  # what the fragments of one packet have in common
        self.is_rest = False
        self.head = None      # the first fragment
        body = self._ipv4(data) if family == ETH_IPV4 else self._ipv6(data)
        if self.is_rest:
            return
        if self.proto in (TCP, UDP):
            self.sport, self.dport = struct.unpack(">HH", body[:4])
            self.payload = body[8 if self.proto == UDP else (body[12] >> 4) * 4:]
        if self.kind in SPI_OFFSETS:
            at = SPI_OFFSETS[self.kind]
            self.spi = int.from_bytes((self.payload or body)[at:at + 4], "big")

    def _ipv4(self, data):
        self.src, self.dst = (socket.inet_ntoa(data[at:at + 4]) for at in (12, 16))
        self.proto = data[9]
        length, number, offset = struct.unpack(">HHH", data[2:8])
        self._fragment(number, offset & 0x1FFF, offset & 0x2000)
        return data[(data[0] & 15) * 4:length]

    def _ipv6(self, data):
        self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, data[at:at + 16])
                              for at in (8, 24))
        length, self.proto = struct.unpack(">HB", data[4:7])
        body = data[40:40 + length]
        if self.proto == FRAGMENT:
            offset, number = struct.unpack(">HI", body[2:8])
            self.proto, body = body[0], body[8:]
            self._fragment(number, offset & 0xFFF8, offset & 1)
        return body

    def _fragment(self, number, offset, more):
        self.is_rest = bool(offset)
        if offset or more:
            self.fragment = self.src, self.dst, self.proto, number

    @property
    def kind(self):
        """ESP, AH, ESP-in-UDP, TCP, UDP, ..."""
        if self.head:
            return self.head.kind
        if self.proto == UDP and ENCAP_PORT in (self.sport, self.dport) \
                and self.payload[:4] != bytes(4):
            return "ESP-in-UDP"
        return NAMES.get(self.proto, str(self.proto))

    @property
    def is_clear_data(self):
        """Could somebody on the wire read what this TCP or UDP packet carries? Segments of TCP
        without data say nothing."""
        return self.kind == "UDP" or self.kind == "TCP" and self.payload != b""

    def __str__(self):
        ports = "" if self.sport is None else f" {self.sport}->{self.dport}"
        return f"{self.src} -> {self.dst} {self.kind}{ports}" + " fragment" * self.is_rest


class PcapFile:
    """A file that tcpdump is still writing; every packet is read once."""

    def __init__(self, path):
        self.path = path
        self.at = 24  # behind the file header

    def new_packets(self):
        with open(self.path, "rb") as file:
            file.seek(self.at)
            data = file.read()
        at = 0
        while at + 16 <= len(data):
            seconds, micros, size, _ = struct.unpack("<IIII", data[at:at + 16])
            frame = data[at + 16:at + 16 + size]
            if len(frame) < size:
                break
            at += 16 + size
            family = struct.unpack(">H", frame[12:14])[0]
            if family in (ETH_IPV4, ETH_IPV6):
                yield Packet(seconds + micros / 1e6, family, frame[14:])
        self.at += at


class Capture:
    """tcpdump on @device of each host until stop()."""

    def __init__(self, namespaces, device, directory):
        self.namespaces = namespaces
        self.device = device
        self.files, self.processes, self.lost = [], [], 0
        for namespace in namespaces:
            path = f"{directory}/{namespace.name}.pcap"
            with namespace.inside():
                self.processes.append(subprocess.Popen(
                    ["tcpdump", "-i", device, "-Q", "out", "-n", "-U", "--immediate-mode",
                     "-Z", "root", "-w", path, "ip or ip6"],
                    stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            self.files.append(PcapFile(path))
        for process in self.processes:
            self._wait_until_ready(process)

    def _wait_until_ready(self, process):
        while True:
            if not select.select([process.stderr], [], [], READY_TIMEOUT_S)[0]:
                raise OSError("tcpdump does not start")
            line = process.stderr.readline()
            if "listening on" in line:
                return
            if not line:
                raise OSError("tcpdump ended")

    def take(self):
        """All packets that left either host since the last call, in order of time. To know that
        tcpdump has written them all, each host sends a frame for nobody and waits to see it."""
        mark = b"mark " + os.urandom(8)
        frame = udp_frame((NOBODY, NOBODY), ("192.0.2.254", 9), ("192.0.2.254", 9), mark)
        for namespace in self.namespaces:
            send_frame(namespace, self.device, frame)
        taken = []
        for file in self.files:
            seen, end = [], time.monotonic() + READY_TIMEOUT_S
            while not any(packet.payload == mark for packet in seen):
                if time.monotonic() > end:
                    raise OSError("tcpdump lags behind")
                seen += file.new_packets()
            taken += (packet for packet in seen if not packet.payload.startswith(b"mark "))
        taken.sort(key=lambda packet: packet.time)
        heads = {packet.fragment: packet for packet in taken
                 if packet.fragment and not packet.is_rest}
        for packet in taken:
            packet.head = heads.get(packet.fragment) if packet.is_rest else None
        return taken

    def stop(self):
        """Ends the capture; returns how many packets it lost."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            _, said = process.communicate()
            self.lost += sum(int(number) for number in
                             re.findall(r"(\d+) packets? dropped", said))
        self.processes = []
        return self.lost


# ---- packets made by hand ----

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(macs, source, destination, payload):
    """An Ethernet frame. @macs are those of source and destination; an end is (address, port)."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    src, dst = (socket.inet_pton(family, end[0]) for end in (source, destination))
    length = 8 + len(payload)
    head = struct.pack(">HHH", source[1], destination[1], length)
    pseudo = src + dst + struct.pack(">IHBB", length, 0, 0, UDP) if family == socket.AF_INET6 \
        else src + dst + struct.pack(">BBH", 0, UDP, length)
    udp = head + struct.pack(">H", checksum(pseudo + head + b"\0\0" + payload) or 0xFFFF) + payload
    if family == socket.AF_INET6:
        packet = struct.pack(">IHBB", 6 << 28, length, UDP, 64) + src + dst + udp
    else:
        ip = struct.pack(">BBHHHBB", 0x45, 0, 20 + length, 1, 0, 64, UDP)
        packet = ip + struct.pack(">H", checksum(ip + b"\0\0" + src + dst)) + src + dst + udp
    ethertype = ETH_IPV6 if family == socket.AF_INET6 else ETH_IPV4
    return macs[1] + macs[0] + struct.pack(">H", ethertype) + packet


def send_frame(namespace, device, frame):
    """Straight to the wire: no policy of the sending host is asked."""
    with namespace.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        raw.send(frame)
