# SPDX-License-Identifier: BSD-2-Clause
"""What the kernels of both ends must hold for an agreement: TS 33.203 7.1 and Annex I, RFC 3329
Appendix A. Worked out from the two headers and from CK and IK, apart from the C code."""

import hashlib
import hmac
import re

KERNEL_NAMES = {"hmac-md5-96": "hmac(md5)", "hmac-sha-1-96": "hmac(sha1)",
                "null": "ecb(cipher_null)", "des-ede3-cbc": "cbc(des3_ede)", "aes-cbc": "cbc(aes)"}


class Agreement:
    """@client, @server: the values of Security-Client and Security-Server; @chosen: alg, ealg,
    prot, mod. Numbers are taken from the first entry of each, they are the same in all."""

    def __init__(self, client, server, chosen, ue_address, pcscf_address):
        self.ue = numbers(client)
        self.pcscf = numbers(server)
        self.chosen = chosen
        self.ue_address = ue_address
        self.pcscf_address = pcscf_address

    @property
    def is_rfc3329(self):
        return "spi" in self.pcscf

    def flows(self):
        """name, to the P-CSCF?, SPI, source port, destination port of each SA."""
        ue, pcscf = self.ue, self.pcscf
        if self.is_rfc3329:
            # One pair carries UDP and TCP of both directions: with two ports on the phone's side
            # its port is left open.
            port = ue["port1"] if ue.get("port2") == ue["port1"] else 0
            return [("up", True, pcscf["spi"], port, pcscf["port1"]),
                    ("down", False, ue["spi"], pcscf["port1"], port)]
        return [("uc->ps", True, pcscf["spi-s"], ue["port-c"], pcscf["port-s"]),
                ("ps->uc", False, ue["spi-c"], pcscf["port-s"], ue["port-c"]),
                ("pc->us", False, ue["spi-s"], pcscf["port-c"], ue["port-s"]),
                ("us->pc", True, pcscf["spi-c"], ue["port-s"], pcscf["port-c"])]

    def sas(self, ck, ik):
        """{(src, dst, proto, spi): what else is known of it}, comparable with describe()."""
        algorithms = tuple(sorted(expand(self.chosen["alg"], self.chosen["ealg"], ck, ik,
                                         self.chosen["prot"])))
        mode = "transport" if self.chosen["mod"] == "trans" else "tunnel"
        encap = self.chosen["mod"].lower() == "udp-enc-tun"
        wanted = {}
        for name, upwards, spi, sport, dport in self.flows():
            ends = (self.ue_address, self.pcscf_address) if upwards \
                else (self.pcscf_address, self.ue_address)
            wanted[(*ends, self.chosen["prot"], spi)] = {
                "name": name, "mode": mode, "sport": sport, "dport": dport,
                "algorithms": algorithms, "encap": encap}
        return wanted


def numbers(header):
    return {name.lower(): int(text) for name, text in
            re.findall(r";\s*((?:spi|port)(?:-[cs]|[12])?)\s*=\s*(\d+)", header.split(",")[0],
                       re.I)}


def describe(sa):
    """The same view of an SA read from a kernel."""
    prefix = "/128" if ":" in sa.src else "/32"
    described = {"mode": sa.mode, "sport": sa.sport, "dport": sa.dport,
                 "algorithms": tuple(sorted(sa.algorithms)), "encap": sa.encap is not None}
    if (sa.sel_src, sa.sel_dst) != (sa.src + prefix, sa.dst + prefix):
        described["selector"] = f"{sa.sel_src} -> {sa.sel_dst}"
    if sa.sel_proto:
        described["protocol"] = sa.sel_proto
    return described


def differences(wanted, sas):
    """In words, without keys; an empty list when the kernel holds exactly what is wanted."""
    have = {sa.key: describe(sa) for sa in sas}
    told = [f"{name(key)} is missing" for key in wanted if key not in have]
    told += [f"{name(key)} is too much" for key in have if key not in wanted]
    for key in wanted.keys() & have.keys():
        for field in sorted((wanted[key].keys() | have[key].keys()) - {"name"}):
            if wanted[key].get(field) != have[key].get(field):
                told.append(f"{name(key)} differs in {field}" + (
                    "" if field == "algorithms" else
                    f": wanted {wanted[key].get(field)}, got {have[key].get(field)}"))
    return told


def name(key):
    src, dst, proto, spi = key
    return f"{proto} {src} -> {dst} spi {spi:#x}"


def expand(alg, ealg, ck, ik, prot="esp"):
    """(kind, kernel's name, key in hex, ICV bits) of each algorithm. TS 33.203 Annex I."""
    if ealg == "aes-gcm":
        return [("aead", "rfc4106(gcm(aes))",
                 (ck + salt(0x59, b"AES_GCM_SALT", ck, ik)).hex(), 128)]
    if alg == "aes-gmac":
        return [("aead", "rfc4543(gcm(aes))",
                 (ik + salt(0x58, b"AES_GMAC_SALT", ck, ik)).hex(), 128)]
    auth = ik + bytes(4) if alg == "hmac-sha-1-96" else ik
    keys = [("auth-trunc", KERNEL_NAMES[alg], auth.hex(), 96)]
    if prot == "esp":
        enc = {"null": b"", "aes-cbc": ck, "des-ede3-cbc": odd_parity(ck + ck[:8])}[ealg]
        keys.append(("enc", KERNEL_NAMES[ealg], enc.hex(), 0))
    return keys


def salt(fc, label, ck, ik):
    """TS 33.220 Annex B; the last four octets."""
    text = bytes([fc]) + label + len(label).to_bytes(2, "big")
    return hmac.new(ck + ik, text, hashlib.sha256).digest()[-4:]


def odd_parity(key):
    return bytes(octet & 0xFE | (bin(octet >> 1).count("1") + 1) % 2 for octet in key)
