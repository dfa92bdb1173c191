# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel holds, read through ip(8): security associations, policies, error counters.

A second reader of the kernel that shares no code with the daemon.
"""

import re
import time

KEY = r"(?:0x([0-9a-f]*) )?(?:\(\d+ bits\) ?)?"


class Sa:
    """One security association; ports are 0 where the selector has none, times in epoch seconds."""

    def __init__(self, text):
        def find(pattern, default=None):
            match = re.search(pattern, text, re.M)
            return match[1] if match else default

        self.text = text
        self.src, self.dst = re.match(r"src (\S+) dst (\S+)", text).groups()
        self.proto = find(r"^\tproto (\S+)")
        self.spi = int(find(r"\bspi 0x([0-9a-f]+)"), 16)
        self.reqid = int(find(r"\breqid (\d+)"))
        self.mode = find(r"\bmode (\S+)")
        self.algorithms = tuple(
            (kind, name, key or "", int(bits or 0)) for kind, name, key, bits in
            re.findall(rf"^\t(auth-trunc|enc|aead) (\S+) {KEY}(\d+)?", text, re.M))
        self.encap = re.search(r"encap type (\S+) sport (\d+) dport (\d+)", text)
        self.encap = self.encap and (self.encap[1], int(self.encap[2]), int(self.encap[3]))
        selector = re.search(r"\bsel src (\S+) dst (\S+)(.*)", text)  # others' may have none
        self.sel_src, self.sel_dst, rest = selector.groups() if selector else ("", "", "")
        ports = dict(re.findall(r"(sport|dport) (\d+)", rest))
        self.sport, self.dport = int(ports.get("sport", 0)), int(ports.get("dport", 0))
        self.sel_proto = (re.search(r"\bproto (\S+)", rest) or [None, None])[1]
        self.replay_window = int(find(r"\breplay_window (\d+)", find(r"replay-window (\d+)", "0")))
        self.bytes = int(find(r"(\d+)\(bytes\),", "0"))
        self.packets = int(find(r"(\d+)\(packets\)$", "0"))
        self.hard_s = int(find(r"expire add: soft \S+ hard (\d+)\(sec\)", "0"))
        self.add_time = epoch(find(r"^\t  add (\S+ \S+) use"))

    @property
    def key(self):
        return self.src, self.dst, self.proto, self.spi

    def left_s(self):
        """Seconds until the kernel deletes it."""
        return self.hard_s - (time.time() - self.add_time) if self.hard_s else None


class Policy:
    def __init__(self, text):
        self.text = text
        self.src, self.dst, rest = re.match(r"src (\S+) dst (\S+)(.*)", text).groups()
        ports = dict(re.findall(r"(sport|dport) (\d+)", rest))
        self.sport, self.dport = int(ports.get("sport", 0)), int(ports.get("dport", 0))
        self.dir = re.search(r"^\tdir (\S+)", text, re.M)[1]
        self.priority = int(re.search(r"\bpriority (\d+)", text)[1])
        self.templates = re.findall(
            r"tmpl src (\S+) dst (\S+)\n\t\tproto (\S+) .*?reqid (\d+).*? mode (\S+)", text)

    @property
    def key(self):
        return self.src, self.dst, self.sport, self.dport, self.dir


def epoch(text):
    if not text:
        return 0
    year, month, day, hour, minute, second = map(int, re.split(r"[- :]", text))
    return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))


def blocks(text):
    """ip(8) begins each object at the left margin."""
    return [block for block in re.split(r"^(?=src )", text, flags=re.M) if block.strip()]


def read(namespace):
    """All SAs and all policies."""
    return sas(namespace), policies(namespace)


def sas(namespace):
    """Without larval ones (SPI 0), which any listener can make the kernel invent."""
    found = [Sa(block) for block in blocks(namespace.ip("-s", "xfrm", "state"))]
    return [sa for sa in found if sa.spi]


def sas_to_show(namespace):
    """The same as text for people, without keys, zeros and infinities."""
    wanted = re.compile(r"src|\tproto|\tauth|\tenc |\taead|\tencap|\tsel|\t  expire add|\t  add"
                        r"|\t  \d+\(bytes\)|.*replay_window")
    return "\n".join(line for line in
                     namespace.ip("-s", "xfrm", "state", "list", "nokeys").split("\n")
                     if wanted.match(line))


def policies(namespace):
    """Without the per-socket ones."""
    return [Policy(block) for block in blocks(namespace.ip("-s", "xfrm", "policy"))
            if re.search(r"^\tdir ", block, re.M)]


def sa_count(namespace):
    return int(re.search(r"SAD count (\d+)", namespace.ip("xfrm", "state", "count"))[1])


def counters(pid):
    """/proc/net/xfrm_stat of the host that process @pid lives in."""
    with open(f"/proc/{pid}/net/xfrm_stat", encoding="ascii") as file:
        return {name: int(value) for name, value in (line.split() for line in file)}
