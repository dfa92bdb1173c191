#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""SIPp as a phone that nobody here has written, behind Kamailio: its own SIP, its own Milenage and
AKAv1-MD5, above SAs that ip(8) makes in the kernel out of the Security-Server that it was sent
(lib/sim.py). It registers, again over its SAs, and anew in clear; on each set it writes to itself,
which is a request each way. charon is there too, as in kamailio.py. TAP.

SIPp has one UDP port where a phone has two: what comes to port_us is turned to port_uc by nftables.
Its AKA breaks at a K with an octet 0x5b, at zeros in RES, OP or AMF, and looks at no more of the
SQN than its last octet.
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import charon  # noqa: E402
import kamailio  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import sip  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

# TS 35.208 test set 2
OP, AMF = "ff53bade17df5d4e793073ce9d7579fa", "af17"
SUBSCRIBER = {**kamailio.SUBSCRIBERS["b"], "amf": AMF, "res_without_zero": True}
ADDRESS, _ = kamailio.PHONES["b"]
PORT_UC, PORT_US = 5062, 5064
SPIS = ((0x11111111, 0x11112222), (0x22221111, 0x22222222))  # spi_uc and spi_us of each set
EXPIRES_S = 600
SIPP_LIMIT_S = 240


# ---- the scenario ----

REQUEST = """
  <send{repeated}><![CDATA[
    {method} {uri} SIP/2.0
    Via: SIP/2.0/UDP [local_ip]:{port};branch=[branch]
    Max-Forwards: 70
    From: <{impu}>;tag=[call_number]
    To: <{impu}>
    Call-ID: [call_id]
    CSeq: [cseq] {method}
    {headers}
    Content-Length: [len]

    {body}]]></send>
"""

CHALLENGED = """
  <recv response="401" auth="true">
    <action>
      <ereg regexp="ipsec-3gpp.*" search_in="hdr" header="Security-Server:" check_it="true"
            assign_to="list{number}"/>
      <ereg regexp="nonce=.*" search_in="hdr" header="WWW-Authenticate:" check_it="true"
            assign_to="challenge{number}"/>
      <ereg regexp="port-s=([0-9]+)" search_in="hdr" header="Security-Server:" check_it="true"
            assign_to="all{number},port{number}"/>
      <exec command="{program} {phone} {number} '[$challenge{number}]' '[$list{number}]'"/>
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

ANSWER = """
  <recv request="MESSAGE"/>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:];tag=here
    [last_Call-ID:]
    [last_CSeq:]
    Content-Length: 0

  ]]></send>
"""

AUTHORIZATION = f"""Authorization: Digest username="{SUBSCRIBER["impi"]}", realm="{lab.REALM}", \
nonce="", uri="sip:{lab.REALM}", response=\"\""""
AUTHENTICATION = (f"[authentication username={SUBSCRIBER['impi']} aka_K=0x{SUBSCRIBER['k']} "
                  f"aka_OP=0x{OP} aka_AMF=0x{AMF}]")


def request(method, uri, port, headers, body=""):
    """SIPp sends nothing new, such as an answer to itself, while it repeats a request."""
    return REQUEST.format(repeated=' retrans="500"' if method == "REGISTER" else "",
                          method=method, uri=uri, impu=SUBSCRIBER["impu"], port=port,
                          headers="\n    ".join(headers), body=body)


def register(number, authorization, expires=EXPIRES_S, protected=True):
    spi_c, spi_s = SPIS[number - 1]
    port = PORT_US if protected else PORT_UC
    headers = [f"Contact: <sip:phone@[local_ip]:{port}>;expires={expires}",
               "Require: sec-agree", "Proxy-Require: sec-agree",
               "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;"
               f"spi-c={spi_c};spi-s={spi_s};port-c={PORT_UC};port-s={PORT_US}", authorization]
    if protected:
        headers.append(f"Security-Verify: [$list{number}]")
    return request("REGISTER", f"sip:{lab.REALM}", port, headers)


def message(number):
    return request("MESSAGE", SUBSCRIBER["impu"], PORT_US,
                   ["Require: sec-agree", "Proxy-Require: sec-agree",
                    f"Security-Verify: [$list{number}]", "Content-Type: text/plain"],
                   f"note {number}") + ANSWER + ACCEPTED


def scenario(phone):
    """Register; again over the set, unchallenged; anew in clear, as after a loss of power; leave.
    """
    program = f"{sys.executable} {os.path.join(HERE, 'lib/sim.py')}"
    steps = []
    for number in (1, 2):
        steps += [
            register(number, AUTHORIZATION, protected=False),
            CHALLENGED.format(number=number, phone=phone, pcscf=kamailio.GM, program=program),
            register(number, AUTHENTICATION), ACCEPTED, message(number)]
        if number == 1:
            steps += [register(1, AUTHORIZATION), ACCEPTED,
                      BACK_TO_CLEAR.format(pcscf=kamailio.GM)]
    steps += [register(2, AUTHORIZATION, expires=0), ACCEPTED]
    return ('<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="phone">\n'
            + "".join(steps) + '<Reference variables="all1,all2"/>\n</scenario>\n')


# ---- the test ----

class Bed(kamailio.Bed):
    def start_core(self):
        super().start_core([SUBSCRIBER])
        self.core.say("challenge initial")

    def prepare_phone(self):
        """Nothing leaves for the P-CSCF's protected ports without an SA; see the head for nft."""
        self.phone_host = self.phone_hosts["b"]
        listener = self.listeners[0]
        for port in (listener["server_port"], *listener["client_ports"]):
            self.phone_host.ip("xfrm", "policy", "add", "src", ADDRESS, "dst", kamailio.GM,
                               "dport", str(port), "dir", "out", "priority", "200",
                               "tmpl", "proto", "esp", "reqid", "77", "mode", "transport")
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
        def path(name):
            return os.path.join(self.directory, name)
        with open(path("phone.json"), "w", encoding="utf-8") as file:
            json.dump({"address": ADDRESS, "pcscf": kamailio.GM, "port_uc": PORT_UC,
                       "port_us": PORT_US, "spis": SPIS, "k": SUBSCRIBER["k"],
                       "opc": SUBSCRIBER["opc"]}, file)
        with open(path("phone.xml"), "w", encoding="ascii") as file:
            file.write(scenario(path("phone.json")))
        self.sipp = self._start(
            "sipp", ["sipp", f"{kamailio.GM}:5060", "-sf", path("phone.xml"), "-i", ADDRESS,
                     "-p", str(PORT_UC), "-m", "1", "-nostdin", "-timeout", str(SIPP_LIMIT_S),
                     "-timeout_error", "-watchdog_interval", "0",
                     "-trace_err", "-error_file", path("sipp.errors"),
                     "-trace_msg", "-message_file", path("sipp.messages")],
            self.phone_host, lab.plain)

    def sipp_said(self):
        yield self.sipp.errors()
        for name in ("sipp.errors", "sipp.messages"):
            path = os.path.join(self.directory, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    yield f"{name}:\n" + file.read()[-6000:]
        for host in (self.phone_host, self.pcscf_host):
            yield "xfrm:\n" + "\n".join(kernel.sas_to_show(host).split("\n"))


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = Control(bed.control_path)

    def run(self):
        self.bed.start_sipp()
        status = self.bed.sipp.end(how=None, limit_s=SIPP_LIMIT_S)
        self.tap.ok(status == 0, "SIPp has had each answer and each request that it expects",
                    status, *self.bed.sipp_said())
        self.core_saw()
        self.packets_agree()
        self.bed.until(lambda: not charon.ours(self.bed.pcscf_host)
                       and not self.control.call("sa.list")["total"], "all SAs are gone")
        self.wire()

    def core_saw(self):
        while self.bed.pump(0):
            pass
        texts = dict.fromkeys(event["text"] for event in self.bed.find("core", "message",
                                                                       dir="in"))
        requests = [one for one in map(sip.Message.parse, (text.encode() for text in texts))
                    if one.is_request]
        got = [one.method if one.method != "REGISTER" else
               sip.parse_digest(one.get("Authorization"))["integrity-protected"]
               for one in requests]
        self.tap.ok(got == ["no", "yes", "MESSAGE", "yes", "no", "yes", "MESSAGE", "yes"],
                    "the core is told which REGISTERs were protected, and has its messages", got)

    def packets_agree(self):
        """SIPp's side has kept its SAs. Over UDP two of the four of a set are used."""
        for number, (_, spi_us) in enumerate(SPIS, 1):
            used = [sa for sa in kernel.sas(self.bed.phone_host)
                    if sa.reqid == number and sa.packets]
            self.tap.ok(len(used) == 2 and {sa.src for sa in used} == {ADDRESS, kamailio.GM}
                        and spi_us in (sa.spi for sa in used),
                        f"set {number}: all that it sends goes over uc->ps, and comes over pc->us",
                        *(sa.text for sa in used))

    def wire(self):
        packets = self.bed.captures["b"].take()
        clear = {packet.payload.split(b"\r\n")[0].decode() for packet in packets
                 if packet.is_clear_data}
        esp = sum(packet.kind == "ESP" for packet in packets)
        self.tap.ok(clear == {f"REGISTER sip:{lab.REALM} SIP/2.0", "SIP/2.0 401 Unauthorized"}
                    and esp >= 16,
                    "in clear there were first REGISTERs and 401s and nothing else", *clear, esp)


def main():
    tap = Tap()
    with Bed("cfg") as bed:
        bed.make_hosts()
        bed.prepare_phone()
        bed.start_charons()
        watch = charon.Watch(bed, tap)
        bed.start_daemon()
        bed.start_core()
        try:
            bed.start_kamailio()
            Test(bed, tap).run()
            watch.same("a phone of SIPp")
        except (lab.Failure, OSError, LookupError) as error:
            tap.ok(False, "the test runs to its end", error)
        status, complaints = bed.kamailio.end(), bed.complaints()
        tap.ok(status == 0 and not complaints, "Kamailio has no complaint, and stops cleanly",
               status, *complaints)
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
