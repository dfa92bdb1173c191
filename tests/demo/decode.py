# SPDX-License-Identifier: BSD-2-Clause
"""Records of the wire, decrypted and checked by tshark with the keys that the daemon exports.

    keys = decode.Keys(lab)
    keys.collect()             once for each set, while it lives
    frames = decode.decode(paths of pcap files, keys, ports)

tshark reads the keys from a file esp_sa, as Wireshark does. It shares no code with the kernel, the
daemon or the phone.
"""

import os
import subprocess
import tempfile

from lab import LIMIT_S, Failure

FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "esp.spi",
          "esp.icv_good", "esp.icv_bad", "sip.Request-Line", "sip.Status-Line", "sip.Call-ID",
          "sip.CSeq", "sip.Via.sent-by.port", "sip.Record-Route.port")
PREFERENCES = ("esp.enable_encryption_decode", "esp.enable_authentication_check",
               "ip.defragment", "tcp.desegment_tcp_streams")
AGAIN = "^"  # between several fields of one name: the outer and the inner packet, two messages


class Keys:
    """Lines of esp_sa, of all sets that lived when collect() was called."""

    def __init__(self, lab):
        self.lab = lab
        self.lines = []  # for Wireshark
        self.said = []   # comments about SAs that it cannot read

    def collect(self, *which):
        """@which: SET, or --impi X, --ue A; all when nothing is given."""
        for line in self.lab.secagreectl("export-keys", "--wireshark", *which).splitlines():
            where = self.said if line.startswith("#") else self.lines
            if line not in where:
                where.append(line)

    def spis(self):
        return {int(line.split(",")[3].strip('"'), 16) for line in self.lines}


class Frame:
    """What tshark says of one packet. @spi is None outside of ESP; @icv True, False or None: it
    has not been checked; @sip the messages in it: (start line, Call-ID, CSeq); @vias and @record_routes
    the ports in these headers, the topmost first."""

    def __init__(self, values):
        field = {name: [one for one in value.split(AGAIN) if one]
                 for name, value in zip(FIELDS, values)}
        self.time = float(field["frame.time_epoch"][0])
        self.src, self.dst = (next(iter(field[f"ip.{end}"] + field[f"ipv6.{end}"]), "?")
                              for end in ("src", "dst"))
        self.spi = int(field["esp.spi"][0], 16) if field["esp.spi"] else None
        checked = field["esp.icv_good"] + field["esp.icv_bad"]
        self.icv = field["esp.icv_good"] in (["1"], ["True"]) if checked else None
        self.sip = list(zip(field["sip.Request-Line"] + field["sip.Status-Line"],
                            field["sip.Call-ID"], field["sip.CSeq"]))
        self.vias, self.record_routes = (
            [int(port) for value in field[name] for port in value.split(",")]
            for name in ("sip.Via.sent-by.port", "sip.Record-Route.port"))

    def __str__(self):
        where = "in clear" if self.spi is None else f"spi {self.spi:#010x} icv {self.icv}"
        return f"{self.src} -> {self.dst} {where} {self.sip}"


def decode(paths, keys, ports):
    """All frames of these files, in order of time. SIP goes over @ports, and over 5060."""
    with tempfile.TemporaryDirectory() as directory:
        write_profile(directory, keys)
        merged = os.path.join(directory, "merged.pcap")
        run("mergecap", "-F", "pcap", "-w", merged, *paths)
        options = [option for port in sorted({5060, *ports}) for kind in ("udp", "tcp")
                   for option in ("-d", f"{kind}.port=={port},sip")]
        for field in FIELDS:
            options += ["-e", field]
        text = run("tshark", "-n", "-r", merged, *options, "-T", "fields", "-E", "separator=|",
                   "-E", f"aggregator={AGAIN}", environment={"WIRESHARK_CONFIG_DIR": directory})
    return [Frame(line.split("|")) for line in text.split("\n") if line]


def write_profile(directory, keys):
    """What a person would click together under Preferences, Protocols, ESP."""
    with open(os.path.join(directory, "esp_sa"), "w", encoding="ascii") as file:
        file.write("".join(f"{line}\n" for line in keys.said + keys.lines))
    with open(os.path.join(directory, "preferences"), "w", encoding="ascii") as file:
        file.write("".join(f"{name}: TRUE\n" for name in PREFERENCES))


def run(*argv, environment=None):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S * 5, check=False,
                          env={**os.environ, **(environment or {})})
    if done.returncode:
        raise Failure(f"{argv[0]}: {done.stderr}")
    return done.stdout
