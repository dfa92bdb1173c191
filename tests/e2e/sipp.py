#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""SIPp as a phone that nobody here has written: its own SIP, its own Milenage and AKAv1-MD5, above
SAs that ip(8) makes in the kernel out of the Security-Server that it was sent. TAP.

    sipp.py                              the test
    sipp.py --front-end CONFIG.json      the P-CSCF's front end, which the test starts
    sipp.py --sim SIM.json NUMBER LIST   what SIPp calls with the list of the NUMBERth 401

SIPp has one UDP port where a phone has two: what comes to port_us is turned to port_uc by nftables.
Its AKA breaks at a K with an octet 0x5b and at a RES with a zero octet; neither is used here.
"""

import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../kernel"), os.path.join(HERE, "../demo")]

import aka  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import pcscf  # noqa: E402
import sip_flow  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

# TS 35.208 test set 2
K, OP = "0396eb317b6d1c36f19c1c84cd6ffd16", "ff53bade17df5d4e793073ce9d7579fa"
AMF = "af17"
SIM = aka.Milenage.from_op(bytes.fromhex(K), bytes.fromhex(OP))
SUBSCRIBER = {**lab.SUBSCRIBER, "k": K, "opc": SIM.opc.hex(), "amf": AMF}
PORT_UC, PORT_US = 5062, 5064
SPIS = {1: (0x11111111, 0x11112222), 2: (0x22221111, 0x22222222)}  # spi-c and spi-s of each set
EXPIRES_S = 600
SIPP_LIMIT_S = 240


# ---- the front end ----

class FrontEnd(pcscf.Pcscf):
    """The demo's, with vectors that SIPp can answer."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for subscriber in self.home.subscribers.values():
            subscriber.next_vector = drawn(subscriber)


def drawn(subscriber):
    def next_vector():
        vector = type(subscriber).next_vector(subscriber)
        while 0 in vector.xres:
            vector = type(subscriber).next_vector(subscriber)
        return vector
    return next_vector


# ---- the phone's SIM and kernel, without any program of ours ----

def numbers_of(security_server):
    """SPIs and ports of the P-CSCF: the same in each entry of the list."""
    return {name: int(number) for name, number in
            re.findall(r"\b(spi-c|spi-s|port-c|port-s)=(\d+)", security_server)}


def flows(number, theirs):
    """(from, port, to, port, SPI) of the four SAs, TS 33.203 7.1; "us" is the phone."""
    spi_uc, spi_us = SPIS[number]
    return (("us", PORT_UC, "p", theirs["port-s"], theirs["spi-s"]),
            ("us", PORT_US, "p", theirs["port-c"], theirs["spi-c"]),
            ("p", theirs["port-s"], "us", PORT_UC, spi_uc),
            ("p", theirs["port-c"], "us", PORT_US, spi_us))


def xfrm_lines(number, theirs, ck, ik):
    """For ip -batch. TS 33.203 Annex I: IK is lengthened with zeros for SHA-1."""
    address = {"us": lab.PHONE_4, "p": lab.PCSCF_4}
    for source, sport, target, dport, spi in flows(number, theirs):
        ends = f"src {address[source]} dst {address[target]}"
        yield (f"xfrm state add {ends} proto esp spi {spi} reqid {number} mode transport "
               f"replay-window 32 auth-trunc hmac(sha1) 0x{ik.hex()}00000000 96 "
               f"enc cbc(aes) 0x{ck.hex()}")
        yield (f"xfrm policy update {ends} sport {sport} dport {dport} "
               f"dir {'out' if source == 'us' else 'in'} priority 100 "
               f"tmpl proto esp reqid {number} mode transport")


def sim(path, number, authenticate, security_server):
    """SIPp does not wait for this: its REGISTER is discarded by the policies, and repeated, until
    the SAs are there."""
    nonce = re.search(r'nonce="([^"]*)"', authenticate)[1]
    ck, ik = aka.keys_of_nonce(SIM, nonce)
    lines = xfrm_lines(int(number), numbers_of(security_server), ck, ik)
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                          capture_output=True, check=False)
    with open(path, "a", encoding="utf-8") as file:
        file.write(done.stderr)
    return done.returncode


# ---- the scenario ----

REGISTER = """
  <send retrans="500"><![CDATA[
    REGISTER sip:{realm} SIP/2.0
    Via: SIP/2.0/UDP [local_ip]:{port};branch=[branch]
    Max-Forwards: 70
    From: <{impu}>;tag=[call_number]
    To: <{impu}>
    Call-ID: [call_id]
    CSeq: [cseq] REGISTER
    Contact: <sip:phone@[local_ip]:{port}>;expires={expires}
    Require: sec-agree
    Proxy-Require: sec-agree
    Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c={spi_c};"""\
    """spi-s={spi_s};port-c={port_c};port-s={port_s}
    {verify}
    {authorization}
    Content-Length: 0

  ]]></send>
"""

CHALLENGED = """
  <recv response="100" optional="true"/>
  <recv response="401" auth="true">
    <action>
      <ereg regexp="ipsec-3gpp.*" search_in="hdr" header="Security-Server:" check_it="true"
            assign_to="list{number}"/>
      <ereg regexp="nonce=.*" search_in="hdr" header="WWW-Authenticate:" check_it="true"
            assign_to="challenge{number}"/>
      <ereg regexp="port-s=([0-9]+)" search_in="hdr" header="Security-Server:" check_it="true"
            assign_to="all{number},port{number}"/>
      <exec command="{program} --sim {log} {number} '[$challenge{number}]' '[$list{number}]'"/>
      <setdest host="{pcscf}" port="[$port{number}]" protocol="UDP"/>
    </action>
  </recv>
"""

ACCEPTED = """
  <recv response="200"/>
"""

BACK_TO_CLEAR = """
  <nop><action><setdest host="{pcscf}" port="5060" protocol="UDP"/></action></nop>
"""


def register(number, authorization, expires=EXPIRES_S, protected=True):
    spi_c, spi_s = SPIS[number]
    return REGISTER.format(
        realm=lab.REALM, impu=SUBSCRIBER["impu"], port=PORT_US if protected else PORT_UC,
        expires=expires, spi_c=spi_c, spi_s=spi_s, port_c=PORT_UC, port_s=PORT_US,
        verify=f"Security-Verify: [$list{number}]" if protected else "Supported: path",
        authorization=authorization)


def empty_authorization():
    return (f'Authorization: Digest username="{SUBSCRIBER["impi"]}", realm="{lab.REALM}", '
            f'nonce="", uri="sip:{lab.REALM}", response=""')


def scenario(log):
    """Register; again over the set, unchallenged; again in clear, as after a loss of power; leave."""
    answer = (f"[authentication username={SUBSCRIBER['impi']} aka_K=0x{K} aka_OP=0x{OP} "
              f"aka_AMF=0x{AMF}]")
    empty = empty_authorization()

    def challenged(number):
        return CHALLENGED.format(number=number, log=log, pcscf=lab.PCSCF_4,
                                 program=f"{sys.executable} {os.path.abspath(__file__)}")
    steps = [register(1, empty, protected=False), challenged(1), register(1, answer), ACCEPTED,
             register(1, empty), ACCEPTED,
             BACK_TO_CLEAR.format(pcscf=lab.PCSCF_4),
             register(2, empty, protected=False), challenged(2), register(2, answer), ACCEPTED,
             register(2, empty, expires=0), ACCEPTED]
    return ('<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="phone">\n'
            + "".join(steps) + '<Reference variables="all1,all2"/>\n</scenario>\n')


# ---- the test ----

class Bed(sip_flow.Bed):
    PROGRAM = os.path.abspath(__file__)

    def prepare_phone(self):
        """Nothing leaves for the P-CSCF's protected ports without an SA; see the head for nft."""
        for listener in self.listeners:
            for port in (listener["server_port"], *listener["client_ports"]):
                self.phone_host.ip(
                    "xfrm", "policy", "add", "src", lab.PHONE_4, "dst", lab.PCSCF_4, "dport",
                    str(port), "dir", "out", "priority", "200", "tmpl", "proto", "esp", "reqid",
                    "77", "mode", "transport")
        with self.phone_host.inside():
            subprocess.run(["nft", "-f", "-"], text=True, check=True, input=f"""
                table ip nat {{
                    chain in {{
                        type nat hook prerouting priority dstnat
                        udp dport {PORT_US} redirect to :{PORT_UC}
                    }}
                }}
                """)

    def start_sipp(self):
        path, log = (os.path.join(self.directory, name) for name in ("phone.xml", "sim.log"))
        with open(path, "w", encoding="ascii") as file:
            file.write(scenario(log))
        self.sipp = self._start(
            "sipp", ["sipp", f"{lab.PCSCF_4}:5060", "-sf", path, "-i", lab.PHONE_4,
                     "-p", str(PORT_UC), "-m", "1", "-nostdin", "-timeout", str(SIPP_LIMIT_S),
                     "-timeout_error", "-trace_err", "-error_file", f"{log}.sipp",
                     "-trace_msg", "-message_file", f"{log}.messages"],
            self.phone_host, lab.plain)

    def state(self):
        """For people who look for the reason."""
        for host in (self.phone_host, self.pcscf_host):
            yield from (host.ip("-s", "xfrm", "state"), host.ip("xfrm", "policy"))
            with host.inside(), open("/proc/thread-self/net/xfrm_stat", encoding="ascii") as file:
                yield " ".join(line.strip() for line in file if not line.endswith("\t0\n"))
        yield from self.capture.take()

    def logs(self):
        for name in ("sim.log", "sim.log.sipp", "sim.log.messages"):
            path = os.path.join(self.directory, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    yield f"{name}:\n" + file.read()[:3000]


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = Control(bed.control_path)

    def sets(self):
        return [one["state"] for one in self.control.call("sa.list")["sets"]]

    def registered(self, mark, by, what):
        event = self.bed.wait("pcscf", "registered", since=mark, limit_s=60,
                              unless=("error",))
        self.tap.ok(event["by"] == by and event["expires"] == EXPIRES_S,
                    f"{what}: 200, by {by}", event)
        return self.bed.events.index(event) + 1

    def run(self):
        self.bed.front_end.say("challenge initial")
        self.bed.start_sipp()
        mark = self.registered(0, "sa.confirm", "SIPp registers over SAs of its own")
        mark = self.registered(mark, "sa.extend", "it registers again over them")
        mark = self.registered(mark, "sa.confirm", "it registers anew, in clear at first")
        released = self.bed.wait("pcscf", "released", since=mark, limit_s=SIPP_LIMIT_S)
        self.tap.ok(len(released["sets"]) == 1, "it leaves: its one set is released", released)
        status = self.bed.sipp.end(how=None, limit_s=SIPP_LIMIT_S)
        self.tap.ok(status == 0, "SIPp has had each answer that it expects", status,
                    *self.bed.logs())
        self.packets_agree()
        self.bed.until(lambda: kernel.sa_count(self.bed.pcscf_host) == 0 and not self.sets(),
                       "all SAs are gone")
        self.wire()

    def packets_agree(self):
        """SIPp's side has kept its SAs: each that was meant to be used has carried something."""
        moved = {sa.spi: sa.packets for sa in kernel.sas(self.bed.phone_host)}
        for number, spis in SPIS.items():
            agreement = self.bed.find("pcscf", "offered")[number - 1]["agreement"]
            used = [moved.get(agreement["pcscf"]["spi_s"]), moved.get(spis[1])]
            self.tap.ok(all(used), f"set {number}: REGISTER over uc->ps, its 200 over pc->us",
                        used, moved)

    def wire(self):
        packets = self.bed.capture.take()
        clear = [packet.payload.split(b"\r\n")[0].decode() for packet in packets
                 if packet.is_clear_data]
        wanted = {f"REGISTER sip:{lab.REALM} SIP/2.0", "SIP/2.0 401 Unauthorized"}
        protected = [event for event in self.bed.messages() if event["protected"]]
        self.tap.ok(set(clear) == wanted and len(protected) >= 8,
                    "in clear there were first REGISTERs and 401s and nothing else",
                    *clear, len(protected))


def test():
    tap = Tap()
    listener = lab.listener("ims", lab.PCSCF_4)
    home = {"realm": lab.REALM, "subscribers": [SUBSCRIBER], "max_expires": EXPIRES_S}
    with Bed([listener], home=home) as bed:
        bed.make_hosts()
        bed.prepare_phone()
        bed.start_capture()
        bed.start_daemon()
        bed.start_front_end()
        try:
            Test(bed, tap).run()
        except (lab.Failure, OSError, LookupError) as error:
            tap.ok(False, "the test runs to its end", error, *bed.logs(), *bed.state(),
                   *[lab.line_of(event)[:300] for event in bed.events
                     if event["who"] != "sipp"][-20:])
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


def front_end(path):
    with open(path, encoding="utf-8") as file:
        FrontEnd(json.load(file), pcscf.emit).run(sys.stdin)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--front-end"]:
        sys.exit(front_end(sys.argv[2]))
    sys.exit(sim(*sys.argv[2:]) if sys.argv[1:2] == ["--sim"] else test())
