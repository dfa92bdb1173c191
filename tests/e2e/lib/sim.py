#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What SIPp does not do of a phone: from a 401 to SAs in the kernel, with ip(8) and a SIM.

    sim.py PHONE.json NUMBER AUTHENTICATE SERVER

    PHONE.json: address, pcscf, port_uc, port_us, k, opc, and spis, a pair (spi_uc, spi_us) for
    each set; NUMBER: of the set, from 1; AUTHENTICATE and SERVER: WWW-Authenticate and
    Security-Server of the 401. SHA-1 and AES-CBC, whatever the list says.
"""

import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo"))

import aka  # noqa: E402


def numbers_of(security_server):
    """SPIs and ports of the P-CSCF: the same in each entry of the list."""
    return {name: int(number) for name, number in
            re.findall(r"\b(spi-c|spi-s|port-c|port-s)=(\d+)", security_server)}


def flows(phone, number, theirs):
    """(from the phone?, phone's port, P-CSCF's port, SPI) of the four SAs, TS 33.203 7.1."""
    spi_uc, spi_us = phone["spis"][number - 1]
    return ((True, phone["port_uc"], theirs["port-s"], theirs["spi-s"]),
            (True, phone["port_us"], theirs["port-c"], theirs["spi-c"]),
            (False, phone["port_uc"], theirs["port-s"], spi_uc),
            (False, phone["port_us"], theirs["port-c"], spi_us))


def xfrm_lines(phone, number, theirs, ck, ik):
    """For ip -batch. The template names the SPI: both SAs of a direction have the same addresses.
    TS 33.203 Annex I: IK is lengthened with zeros for SHA-1."""
    for out, own_port, port, spi in flows(phone, number, theirs):
        here, there = f"{phone['address']}", f"{phone['pcscf']}"
        ends = f"src {here} dst {there}" if out else f"src {there} dst {here}"
        ports = f"sport {own_port} dport {port}" if out else f"sport {port} dport {own_port}"
        yield (f"xfrm state add {ends} proto esp spi {spi} reqid {number} mode transport "
               f"replay-window 32 auth-trunc hmac(sha1) 0x{ik.hex()}00000000 96 "
               f"enc cbc(aes) 0x{ck.hex()}")
        yield (f"xfrm policy update {ends} {ports} dir {'out' if out else 'in'} priority 100 "
               f"tmpl proto esp spi {spi} reqid {number} mode transport")


def main(path, number, authenticate, security_server):
    with open(path, encoding="utf-8") as file:
        phone = json.load(file)
    milenage = aka.Milenage(bytes.fromhex(phone["k"]), bytes.fromhex(phone["opc"]))
    ck, ik = aka.keys_of_nonce(milenage, re.search(r'nonce="([^"]*)"', authenticate)[1])
    lines = xfrm_lines(phone, int(number), numbers_of(security_server), ck, ik)
    return subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
