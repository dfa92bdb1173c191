# SPDX-License-Identifier: BSD-2-Clause
"""One phone registers, is called upon, and leaves; each step told and checked.

The steps are methods in the order in which they happen. They share one Lab, whose daemon and front
end run already, so that many variants can go through the same ones.
"""

import re
import secrets
import signal

import aka
import control
import expect
import kernel
import sip
import wire
from lab import DEVICE, SUBSCRIBER

KERNEL_SLACK_S = 10
REG_AWAIT_AUTH_S = 240
MARGIN_S = 30
ROUNDING_S = 3
FORGED = "X-Forged: yes"


class Scenario:
    """@restart: the daemon is killed in between."""

    def __init__(self, lab, story, variant, restart=False):
        self.lab = lab
        self.story = story
        self.variant = variant
        self.restarts = restart
        self.control = control.Control(lab.control_path)
        self.pcscf_address, self.phone_address = variant.addresses
        self.phone = None
        self.offered = None    # the event of the last sa.offer
        self.agreement = None  # expect.Agreement of the set in use
        self.keys = None
        self.policies_before = None
        self.spis = set()      # all that were agreed on
        self.counted = {}      # packets of each flow when they were last looked at

    def run(self):
        self.before()
        self.register_in_clear()
        self.set_in_the_kernel()
        self.register_protected()
        self.options("udp")
        self.options("tcp")
        self.clear_text_is_dropped()
        if self.variant.reregister:
            self.reregister()
        if self.restarts:
            self.restart()
        self.deregister()
        self.nothing_left()
        self.wire_was_clean()

    # ---- the steps ----

    def before(self):
        story, lab = self.story, self.lab
        story.step("Two hosts on one wire, the daemon and the front end run")
        sas, policies = kernel.read(lab.pcscf_host)
        self.policies_before = sorted(policy.key for policy in policies)
        story.say(f"P-CSCF {self.pcscf_address}, phone {self.phone_address}: {self.variant}")
        story.block("\n".join(policy.text.split("\n")[0] + "  dir " + policy.dir
                              for policy in policies))
        ours = [policy for policy in policies
                if policy.src.split("/")[0] == self.pcscf_address and policy.dir == "out"]
        story.check(ours, "the daemon guards the protected ports by policies of its own")
        story.equal(len(sas), 0, "the kernel holds no SA yet")
        lab.capture.take()

    def register_in_clear(self):
        story, lab = self.story, self.lab
        story.step("The phone registers, in clear")
        lab.front_end.say("hold on")
        self.phone = lab.start_phone(*self.variant.phone_options(), address=self.phone_address,
                                     pcscf=self.pcscf_address)
        mark = self.phone.say("register")
        lab.wait("pcscf", "held", since=mark, unless=("discarded", "error"))
        request_event, request = self.message(mark, "received", "REGISTER")
        self.show(request_event, request, "Require", "Security-Client", "Authorization")
        story.equal(request_event["local"][1], 5060, "REGISTER came to port 5060")
        story.check(request.all("Security-Client"), "it carries Security-Client")
        self.take_agreement(mark)

    def take_agreement(self, mark):
        """What sa.offer answered, and what both kernels must hold because of it."""
        lab = self.lab
        self.offered = lab.wait("pcscf", "offered", since=mark)
        chosen = self.offered["agreement"]
        event, request = self.message(mark, "received", "REGISTER")
        self.agreement = expect.Agreement(
            ",".join(request.all("Security-Client")), chosen["security_server"], chosen["chosen"],
            event["remote"][0], event["local"][0])
        self.keys = aka.keys_of_nonce(
            aka.Milenage(bytes.fromhex(SUBSCRIBER["k"]), bytes.fromhex(SUBSCRIBER["opc"])),
            self.offered["nonce"])
        self.spis |= {spi for _, _, spi, _, _ in self.agreement.flows()}
        self.check_choice(chosen["chosen"])
        self.check_cost(self.offered["cost"])

    def check_choice(self, chosen):
        text = ", ".join(f"{name}={chosen[name]}" for name in ("alg", "ealg", "prot", "mod"))
        self.story.say(f"The home network answers 401 with CK and IK; the daemon chooses {text}.")
        wanted = {"prot": self.variant.prot, "mod": self.variant.mod.lower()}
        if self.variant.alg:
            wanted.update(alg=self.variant.alg, ealg=self.variant.ealg)
        got = {name: chosen[name] for name in wanted}
        self.story.equal(got, wanted, "the agreement is the one that was wanted")

    def check_cost(self, cost):
        count = self.variant.sa_count * (2 if self.variant.own_policies else 1)
        self.story.equal(cost, {"datagrams": 1, "messages": count},
                         f"the registration cost one netlink datagram of {count} messages")

    def set_in_the_kernel(self):
        """Before the 401 leaves, all SAs of a temporary set are there."""
        story, lab = self.story, self.lab
        story.step("The set of SAs, before the 401 leaves")
        story.block(lambda: lab.secagreectl("list"))
        story.block(lambda: kernel.sas_to_show(lab.pcscf_host))
        sas, policies = kernel.read(lab.pcscf_host)
        self.check_sas(sas, "the P-CSCF's kernel holds exactly the SAs of the agreement, keys too")
        story.check(all(sa.replay_window >= 64 for sa in sas), "replay windows are 64 or more")
        self.check_lifetime(sas, "temporary", REG_AWAIT_AUTH_S)
        own = self.variant.own_policies
        story.equal(len(policies) - len(self.policies_before), self.variant.sa_count if own else 0,
                    f"{'a policy for each SA' if own else 'no policy'} was added for this phone")

    def check_sas(self, sas, text):
        differences = expect.differences(self.agreement.sas(*self.keys), sas)
        self.story.check(not differences, text, "; ".join(differences))

    def check_lifetime(self, sas, state, at_most_s):
        """The daemon's timer deletes; the kernel's hard limit, a little later, is the net below."""
        shown = self.control.call("sa.show", set=self.offered["agreement"]["set"])
        self.story.equal(shown["state"], state, f"the set is {state}")
        left = shown["expires_in"]
        self.story.check(at_most_s - 60 < left <= at_most_s,
                         f"the daemon deletes it after {at_most_s} s", f"{left} s are left")
        behind = [round(sa.left_s() - left) for sa in sas]
        self.story.check(
            behind and all(0 < one <= KERNEL_SLACK_S + ROUNDING_S for one in behind),
            "the hard limit in the kernel is a little behind the daemon's timer",
            f"{behind} s behind")

    def register_protected(self):
        story, lab = self.story, self.lab
        story.step(f"The 401 leaves, the phone answers it over {self.variant.prot.upper()}")
        mark = lab.front_end.say("hold off")
        lab.front_end.say("continue")
        self.wait_registered(mark)
        event, response = self.message(mark, "sent", "REGISTER", status=401)
        self.show(event, response, "WWW-Authenticate", "Security-Server")
        story.check(not re.search(r"\b[ci]k=", response.get("WWW-Authenticate")),
                    "the 401 carries neither ck nor ik")
        self.check_protected_register(mark, response)
        ours, theirs = self.check_moved({}, *self.register_flows(),
                                        text="REGISTER and 200 went over {}")
        self.check_sas(theirs, "the phone's kernel holds the mirror image, made by another library")
        self.check_lifetime(ours, "current", self.granted(mark) + MARGIN_S)

    def wait_registered(self, mark, phone_says="registered"):
        self.lab.wait("pcscf", "registered", since=mark, by="sa.confirm",
                      unless=("discarded", "error"))
        self.lab.wait(self.phone.name, phone_says, since=mark, unless=("failed", "refused"))

    def granted(self, mark):
        return self.lab.wait("pcscf", "registered", since=mark)["expires"]

    def check_protected_register(self, mark, challenge):
        story = self.story
        event, request = self.message(mark, "received", "REGISTER", protected=True)
        self.show(event, request, "Security-Verify", "Security-Client", "Authorization")
        ports = self.agreement.pcscf
        story.equal(event["local"][1], ports.get("port-s", ports.get("port1")),
                    "the second REGISTER came to the protected port")
        story.equal(request.all("Security-Verify"), challenge.all("Security-Server"),
                    "its Security-Verify repeats the Security-Server of the 401")
        verdict = self.lab.wait("pcscf", "call", since=mark, method="sa.check")["result"]
        story.equal(verdict["integrity_protected"], "yes",
                    "the daemon tells the home network: integrity-protected=yes")
        event, response = self.message(mark, "sent", "REGISTER", status=200)
        self.show(event, response, "Contact")
        story.check(event["protected"], "the 200 goes over the set")

    def register_flows(self):
        if self.variant.dialect == "rfc3329":
            return ("up", "down")
        return ("uc->ps", "ps->uc") if self.variant.transport == "tcp" else ("uc->ps", "pc->us")

    def options(self, transport):
        story, lab = self.story, self.lab
        story.step(f"A request to the phone over {transport.upper()}")
        before = self.counted
        mark, answered = lab.front_end_options(transport)
        event, request = self.message(mark, "sent", "OPTIONS")
        self.show(event, request, "Via")
        event, response = self.message(mark, "received", "OPTIONS")
        self.show(event, response)
        story.equal((answered["status"], answered["transport"]), (200, transport),
                    f"the phone answers OPTIONS with 200 over {transport.upper()}")
        story.check(event["protected"], f"that came to a protected port, over {transport.upper()}")
        if self.variant.dialect == "rfc3329":
            flows = ("up", "down")
        else:
            flows = ("pc->us", "us->pc") if transport == "tcp" else ("pc->us", "uc->ps")
        self.check_moved(before, *flows, text=f"OPTIONS and 200 over {transport.upper()} used {{}}")

    def clear_text_is_dropped(self):
        """The same datagram to the open port proves that it would arrive if it were let."""
        story, lab = self.story, self.lab
        story.step("Clear text with the phone's own address and ports, to the protected port")
        numbers = self.agreement.ue, self.agreement.pcscf
        port = numbers[1].get("port-s", numbers[1].get("port1"))
        from_port = numbers[0].get("port-c", numbers[0].get("port2", numbers[0].get("port1")))
        counter = "XfrmInTmplMismatch"
        before, mark = lab.xfrm_counters()[counter], len(lab.events)
        self.forge(from_port, port)
        lab.until(lambda: lab.xfrm_counters()[counter] > before, f"{counter} moves")
        story.equal(lab.xfrm_counters()[counter], before + 1, f"{counter} moved by one")
        self.forge(from_port, 5060)
        came = lab.wait("pcscf", "received", since=mark)
        story.equal(came["local"][1], 5060,
                    "nothing reached the front end, though the same datagram to port 5060 did")
        story.check(lab.wait("pcscf", "discarded", since=mark),
                    "which discards it there, as it must")

    def forge(self, from_port, port):
        source, destination = (self.phone_address, from_port), (self.pcscf_address, port)
        branch = f"z9hG4bK{secrets.token_hex(8)}"  # another phone may have had the same ports
        text = sip.Message(f"OPTIONS sip:pcscf@{sip.host(self.pcscf_address)} SIP/2.0", [
            ["Via", f"SIP/2.0/UDP {sip.host(self.phone_address)}:{from_port}"
                    f";branch={branch}"],
            ["CSeq", "1 OPTIONS"], FORGED.split(": ")]).to_bytes()
        macs = self.lab.phone_host.mac(DEVICE), self.lab.pcscf_host.mac(DEVICE)
        self.story.say(f"UDP {sip.host(source[0])}:{source[1]} -> {sip.host(destination[0])}:{port}"
                       f", {len(text)} octets, no {self.variant.prot.upper()}")
        wire.send_frame(self.lab.phone_host, DEVICE,
                        wire.udp_frame(macs, source, destination, text))

    def reregister(self):
        """The home network challenges again: a second set beside the first, then instead of it."""
        story, lab = self.story, self.lab
        story.step("The phone registers again, over its set, and is challenged")
        old = self.offered["agreement"]
        mark = self.phone.say("reregister")
        self.take_agreement(mark)
        self.wait_registered(mark, "reregistered")
        new = self.offered["agreement"]
        call = lab.wait("pcscf", "call", since=mark, method="sa.offer")
        story.equal(call["params"].get("over"), old["set"], "it was sent over the first set")
        first = old["pcscf"], new["pcscf"]
        name = "port1" if self.variant.dialect == "rfc3329" else "port_c"
        story.check(first[0][name] != first[1][name],
                    "the new set has a port of its own at the P-CSCF", str(first))
        self.take_new_set_in_use(old["set"], new["set"])
        story.block(lambda: lab.secagreectl("list"))

    def take_new_set_in_use(self, old, new):
        """TS 33.203 7.4.2a: requests to the phone go over the old set until the phone has sent
        something over the new one, here its answer."""
        story, lab = self.story, self.lab
        flows = ("down", "up") if self.variant.dialect == "rfc3329" else ("pc->us", "uc->ps")
        before = self.packets_by_flow()
        story.equal(self.state(new), "new", "the second set is new")
        lab.front_end_options("udp")
        after = self.packets_by_flow()
        story.equal([after[flow] > before[flow] for flow in flows], [False, True],
                    "a request still used the first set, its answer the second")
        story.equal((self.state(old), self.state(new)), ("old", "current"),
                    "that took the second in use, the first is old")
        lab.front_end_options("udp")
        self.check_moved(after, *flows, text="the next request and its answer used {}")

    def state(self, set_id):
        return self.control.call("sa.show", set=set_id)["state"]

    def restart(self):
        """The daemon dies and another one takes its place: phone and kernel notice nothing."""
        story, lab = self.story, self.lab
        story.step("The daemon is killed and started again")
        sets = self.control.call("sa.list")["sets"]
        before = [(sa.key, sa.add_time) for sa in kernel.sas(lab.pcscf_host)]
        lab.restart_daemon(signal.SIGKILL)
        self.control = control.Control(lab.control_path)
        after = [(sa.key, sa.add_time) for sa in kernel.sas(lab.pcscf_host)]
        story.equal(sorted(after), sorted(before), "the kernel's SAs are those of before")
        story.equal([(one["set"], one["state"]) for one in self.control.call("sa.list")["sets"]],
                    [(one["set"], one["state"]) for one in sets], "and so are the daemon's sets")
        self.options("udp")

    def deregister(self):
        story, lab = self.story, self.lab
        story.step("The phone leaves")
        mark = self.phone.say("deregister")
        lab.wait("pcscf", "released", since=mark, unless=("error",))
        lab.wait(self.phone.name, "deregistered", since=mark, unless=("failed",))
        event, request = self.message(mark, "received", "REGISTER")
        self.show(event, request, "Contact", "Expires")
        event, response = self.message(mark, "sent", "REGISTER", status=200)
        self.show(event, response)
        story.check(event["protected"], "the 200 to the de-registration still went over the set")
        self.phone.say("quit")
        story.equal(self.phone.end(how=None), 0, "the phone ends well")

    def nothing_left(self):
        story, lab = self.story, self.lab
        story.step("Nothing is left")
        story.block(lambda: lab.secagreectl("list"))
        story.equal(self.control.call("sa.list")["total"], 0, "the daemon lists no set")
        sas, policies = kernel.read(lab.pcscf_host)
        story.equal([sa.key for sa in sas], [], "the P-CSCF's kernel holds no SA")
        story.equal(sorted(policy.key for policy in policies), self.policies_before,
                    "the P-CSCF's policies are those of before")
        sas, policies = kernel.read(lab.phone_host)
        story.equal([sa.key for sa in sas], [], "the phone's kernel holds no SA")
        story.equal([policy.key for policy in policies], [], "the phone's policies are gone")

    def wire_was_clean(self):
        """What two records of the wire say about everything that happened since before()."""
        story = self.story
        story.step("What an observer of the wire saw")
        packets = self.lab.capture.take()
        kind = {"ah": "AH"}.get(self.variant.prot, "ESP")
        kind = "ESP-in-UDP" if self.variant.mod == "UDP-enc-tun" else kind
        first = next((place for place, packet in enumerate(packets) if packet.kind == kind),
                     len(packets))
        start = max((place for place, packet in enumerate(packets[:first])
                     if packet.payload.startswith(b"SIP/2.0 401")), default=None)
        if not story.check(start is not None, "the record has the 401, in clear"):
            return
        forged = [packet for packet in packets if FORGED.encode() in packet.payload]
        later = [packet for packet in packets[start + 1:]
                 if packet not in forged and packet.head is not packets[start]]
        story.block("\n".join(summary(packets[:start + 1]) + ["(the 401 was the last of these)"]
                              + summary(later)))
        clear = [str(packet) for packet in later if packet.is_clear_data]
        story.equal(clear, [], "after the 401 no octet of SIP crossed the wire in clear")
        ports = self.protected_ports()
        leaks = [str(packet) for packet in later if {packet.sport, packet.dport} & ports]
        story.equal(leaks, [], "nothing at all went from or to a protected port in clear")
        ours = [packet for packet in later if packet.kind == kind]
        story.check(len(ours) >= 8, f"it saw {kind} instead", f"{len(ours)} packets")
        spis = {packet.spi for packet in ours if packet.spi is not None}
        story.check(spis <= self.spis, "of the agreed SPIs alone", f"{spis - self.spis}")
        story.equal(len(forged), 2, "and, in clear, the two forged packets")

    def protected_ports(self):
        return {port for one in self.lab.listeners
                for port in (one["server_port"], *one["client_ports"])}

    # ---- what several steps need ----

    def message(self, mark, direction, method, status=None, protected=None):
        """The first such SIP message since @mark: its event and itself."""
        for event in self.lab.messages(mark, direction):
            message = sip.Message.parse(event["text"].encode())
            if (message.method == method
                    and (status is None or not message.is_request and message.status == status)
                    and protected in (None, event["protected"])):
                return event, message
        raise LookupError(f"no {method} {status or ''} was {direction}")

    def show(self, event, message, *headers):
        ends = [f"{sip.host(address)}:{port}" for address, port in (event["local"],
                                                                   event["remote"])]
        if event["event"] == "received":
            ends.reverse()
        flow = f"{event['transport'].upper()} {ends[0]} -> {ends[1]}" + (
            "" if event["protected"] else ", in clear")
        who = ("phone", "P-CSCF") if event["event"] == "received" else ("P-CSCF", "phone")
        self.story.message(*who, flow, message, headers)

    def packets_by_flow(self, sas=None):
        """{flow: packets} of the agreement's SAs; by default those of the P-CSCF's kernel."""
        names = {key: wanted["name"] for key, wanted in self.agreement.sas(*self.keys).items()}
        return {names[sa.key]: sa.packets for sa in
                (kernel.sas(self.lab.pcscf_host) if sas is None else sas) if sa.key in names}

    def check_moved(self, before, *flows, text):
        """The packet counters of these flows moved and of no others; both ends agree. Returns the
        SAs of the P-CSCF's and of the phone's kernel as they were then."""
        ours = theirs = ()

        def both_agree():
            nonlocal ours, theirs
            ours, theirs = kernel.sas(self.lab.pcscf_host), kernel.sas(self.lab.phone_host)
            return self.packets_by_flow(ours) == self.packets_by_flow(theirs)
        self.lab.until(both_agree, "both ends count the same packets on every SA")
        after = self.counted = self.packets_by_flow(ours)
        moved = {flow for flow, packets in after.items() if packets > before.get(flow, 0)}
        wanted = set(flows)
        held = wanted <= moved if self.variant.transport == "tcp" else wanted == moved
        self.story.check(held, text.format(" and ".join(flows)) + ", and both ends count alike",
                         f"{before} -> {after}")
        return ours, theirs


def summary(packets):
    """Runs of equal packets as one line each."""
    lines = []
    for packet in packets:
        text = str(packet)
        if packet.payload and packet.is_clear_data:
            text += "  " + packet.payload.split(b"\r\n")[0].decode(errors="replace")[:60]
        if packet.spi is not None:
            text += f" spi {packet.spi:#010x}"
        if lines and lines[-1][0] == text:
            lines[-1][1] += 1
        else:
            lines.append([text, 1])
    return [f"{text}" + (f"  x{count}" if count > 1 else "") for text, count in lines]


def stop_daemon(lab, story):
    """A stop leaves the guards for the next start, --flush nothing."""
    story.step("The daemon stops")
    before = [policy.key for policy in kernel.policies(lab.pcscf_host)]
    story.equal(lab.daemon.end(), 0, "it ends with exit status 0")
    story.equal([policy.key for policy in kernel.policies(lab.pcscf_host)], before,
                "its guards stay, and what is at the protected ports stays shut")
    lab.flush()
    story.say("secagreed --flush takes out what it left")
    sas, policies = kernel.read(lab.pcscf_host)
    story.equal([policy.key for policy in policies], [], "no policy is left")
    story.equal([sa.key for sa in sas], [], "no SA is left")
    story.check("Traceback" not in lab.front_end.errors(), "the front end did not fail",
                lab.front_end.errors()[-400:])
    story.equal(lab.capture.stop(), 0, "the record of the wire lost no packet")
