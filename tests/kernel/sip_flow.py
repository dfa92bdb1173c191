#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Registrations on a real kernel, driven by sip.request and sip.response alone: a front end that
knows nothing of the security agreement passes each message to the daemon, does with it what the
verdict says, and sends it from and to where the verdict says. TAP.

    sip_flow.py                          the test
    sip_flow.py --front-end CONFIG.json  the front end, which the test starts
"""

import json
import os
import secrets
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import kernel  # noqa: E402
import lab  # noqa: E402
import pcscf  # noqa: E402
import ports  # noqa: E402
import sip  # noqa: E402
from control import Control  # noqa: E402
from tap import Tap  # noqa: E402

LINGER_S = 2
SECRETS = ("ck=", "ik=")


# ---- the front end ----

class FrontEnd(pcscf.Pcscf):
    """Of the demo's P-CSCF only the loop, the sockets and the home network are used."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.answers = {}  # of requests that came: for retransmissions

    def ask(self, method, message, **params):
        text = message if isinstance(message, str) else message.to_bytes().decode()
        result = self.control.call(method, message=text, **params)
        self.emit("verdict", method=method, result=result)
        if result["verdict"] == "drop":
            raise pcscf.Discard(result["why"])
        return result

    @staticmethod
    def places(flow):
        return {"source": {"address": flow.remote[0], "port": flow.remote[1]},
                "destination": {"address": flow.local[0], "port": flow.local[1]},
                "transport": flow.transport}

    def on_request(self, request, flow):
        key = pcscf.branch_of(request), request.method, flow.remote
        if key in self.answers:
            if self.answers[key]:
                self.leave(*self.answers[key])
            return
        self.answers[key] = None
        result = self.ask("sip.request", request, **self.places(flow))
        if result["verdict"] == "forward":
            self.emit("forwarded", text=result["message"])
            response = self.serve(sip.Message.parse(result["message"].encode()))
            if response is None:
                return
            result = self.ask("sip.response", response, linger=LINGER_S,
                              source=self.places(flow)["destination"],
                              destination=self.places(flow)["source"], transport=flow.transport)
        self.answers[key] = result, flow
        self.leave(result, flow)

    def serve(self, request):
        if request.method == "ACK":
            return None
        if request.method == "REGISTER":
            return self.home.receive(request)
        return request.reply(*pcscf.ANSWERED.get(request.method, (501, "Not Implemented")))

    def leave(self, result, flow):
        """Over the same connection, when the request came by one."""
        local, remote = ((result[end]["address"], result[end]["port"])
                         for end in ("send_from", "send_to"))
        if flow.transport == "udp" or (local, remote) != (flow.local, flow.remote):
            flow = self.ports.flow_to(flow.transport, local, remote)
        data = result["message"].encode()
        self.show("sent", sip.Message.parse(data), flow)
        self.ports.send(flow, data)

    def send_request(self, method, transport, impi=None):
        subscriber = self.home.subscribers[impi] if impi else \
            next(one for one in self.home.subscribers.values() if one.contact)
        local, listener = next(iter(self.listeners.items()))
        own = f"{sip.host(local)}:{listener['server_port']}"
        request = sip.Message(f"{method} {sip.contact_uri(subscriber.contact)} SIP/2.0")
        request.add("Via", f"SIP/2.0/{transport.upper()} {own};branch=z9hG4bK{secrets.token_hex(8)}")
        request.add("Max-Forwards", "70")
        request.add("From", f"<sip:pcscf@{sip.host(local)}>;tag={secrets.token_hex(4)}")
        request.add("To", f"<{subscriber.impu}>")
        request.add("Call-ID", secrets.token_hex(12))
        request.add("CSeq", f"1 {method}")
        request.add("Contact", f"<sip:pcscf@{own}>")
        result = self.ask("sip.request", request, direction="to-phone", transport=transport)
        if result["verdict"] == "reply":
            self.emit("answered", method=method, status=result["reply"]["code"],
                      transport=transport)
            return
        self.requests[pcscf.branch_of(request)] = request, time.monotonic()
        self.leave(result, ports.Flow(transport, None, None))

    def on_response(self, response, flow):
        self.ask("sip.response", response, direction="from-phone", **self.places(flow))
        if self.requests.pop(pcscf.branch_of(response), None):
            self.emit("answered", method=response.method, status=response.status,
                      transport=flow.transport)


# ---- the test ----

class Bed(lab.Lab):
    FRONT_END = os.path.abspath(__file__), "--front-end"


class Test:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.control = Control(bed.control_path)

    def sets(self):
        return [one["state"] for one in self.control.call("sa.list")["sets"]]

    def count(self):
        return kernel.sa_count(self.bed.pcscf_host)

    def said(self, mark):
        """What the phone got since @mark: status codes, those of retransmissions once."""
        texts = dict.fromkeys(event["text"] for event in self.bed.messages(mark, "sent")
                              if event["text"].startswith("SIP/2.0"))
        return [sip.Message.parse(text.encode()).status for text in texts]

    def verdicts(self, mark):
        return [event["result"] for event in self.bed.find("pcscf", "verdict", mark)]

    def phone_does(self, phone, command, event):
        mark = phone.say(command)
        self.bed.wait(phone.name, event, since=mark)
        return mark

    def nothing_left(self):
        try:
            self.bed.until(lambda: self.count() == 0 and not self.sets(), "all sets are gone",
                           LINGER_S + 30)
        except lab.Failure:
            return False
        return True

    def register(self, phone, what):
        mark = self.phone_does(phone, "register", "registered")
        got = self.said(mark)
        self.tap.ok(got == [401, 200] and self.count() == 4 and self.sets() == ["current"],
                    f"{what}: 401, 200, four SAs, one set in use", got, self.count(), self.sets())
        return mark

    def nothing_secret_and_nothing_ours_passes(self, mark):
        sent = [event["text"] for event in self.bed.messages(mark, "sent")]
        self.tap.ok(not any(word in text for text in sent for word in SECRETS)
                    and "Security-Server: ipsec-3gpp" in sent[0],
                    "the phone gets Security-Server and no key", *sent)
        forwarded = [event["text"] for event in self.bed.find("pcscf", "forwarded", mark)]
        self.tap.ok(len(forwarded) == 2 and not any("Security-" in text or "Require" in text
                                                    for text in forwarded),
                    "the home network sees nothing of the agreement", *forwarded)
        self.tap.ok(['integrity-protected="no"' in forwarded[0],
                     'integrity-protected="yes"' in forwarded[-1]] == [True, True],
                    "it is told which REGISTER was protected", *forwarded)

    def talk(self, phone):
        for transport in ("udp", "tcp"):
            mark = self.bed.front_end.say(f"options {transport}")
            answer = self.bed.wait("pcscf", "answered", since=mark, unless=("error",))
            self.tap.ok(answer["status"] == 200, f"OPTIONS to the phone over {transport}", answer)
            mark = self.phone_does(phone, f"options {transport}", "response")
            self.tap.ok(self.said(mark) == [200], f"OPTIONS of the phone over {transport}",
                        self.said(mark))

    def renew(self, phone):
        mark = self.phone_does(phone, "reregister", "reregistered")
        self.tap.ok(self.said(mark) == [401, 200] and self.count() == 8
                    and sorted(self.sets()) == ["new", "old"],
                    "a challenged re-registration makes a new set beside the old one",
                    self.said(mark), self.count(), self.sets())
        self.phone_does(phone, "options udp", "response")
        self.tap.ok(sorted(self.sets()) == ["current", "old"],
                    "the phone's first message puts it into use", self.sets())
        self.bed.front_end.say("challenge initial")
        mark = self.phone_does(phone, "reregister", "reregistered")
        self.bed.front_end.say("challenge always")
        self.tap.ok(self.said(mark) == [200] and self.count() == 8,
                    "a re-registration without challenge keeps it", self.said(mark), self.count())

    def leave(self, phone, what):
        mark = self.phone_does(phone, "deregister", "deregistered")
        phone.say("quit")
        phone.end(how=None)
        self.tap.ok(self.said(mark)[-1:] == [200] and self.nothing_left(),
                    f"{what}: de-registered, and all SAs go", self.said(mark), self.count())

    def fault(self, fault, status):
        phone = self.bed.start_phone("--fault", fault)
        mark = self.phone_does(phone, "register", "failed")
        got = self.said(mark)
        phone.say("quit")
        phone.end(how=None)
        self.tap.ok(got[-1:] == [status] and 200 not in got and self.nothing_left(),
                    f"{fault}: {status}, and nothing stays", got, self.verdicts(mark)[-1])

    def run(self):
        phone = self.bed.start_phone()
        mark = self.register(phone, "a registration")
        self.nothing_secret_and_nothing_ours_passes(mark)
        self.talk(phone)
        self.renew(phone)
        self.leave(phone, "the end")
        phone = self.bed.start_phone("--transport", "tcp")
        self.register(phone, "over TCP")
        self.leave(phone, "over TCP")
        phone = self.bed.start_phone(address=lab.PHONE_6, pcscf=lab.PCSCF_6)
        self.register(phone, "over IPv6")
        self.leave(phone, "over IPv6")
        for fault, status in (("no-sec-agree", 421), ("no-verify", 403), ("wrong-verify", 403),
                              ("no-client", 403), ("wrong-client", 403), ("wrong-impi", 403),
                              ("wrong-res", 403)):
            self.fault(fault, status)
        phone = self.bed.start_phone("--fault", "sync-failure", "--sqn", "000001000000")
        mark = self.phone_does(phone, "register", "registered")
        self.tap.ok(self.said(mark)[:3] == [401, 401, 200] and self.count() == 4,
                    "sync-failure: a second challenge, then 200", self.said(mark), self.count())
        self.leave(phone, "after a sync-failure")


def test():
    tap = Tap()
    listeners = [lab.listener("ims", lab.PCSCF_4, reg_await_auth=15),
                 lab.listener("ims6", lab.PCSCF_6, reg_await_auth=15)]
    with Bed(listeners) as bed:
        bed.may_happen = ("failed",)
        bed.make_hosts()
        bed.start_daemon()
        bed.start_front_end()
        with bed.to_the_end(tap):
            Test(bed, tap).run()
        tap.ok(bed.daemon.end() == 0, "the daemon stops cleanly", bed.daemon.errors()[-1000:])
    return tap.finish()


def main(front_end, test_of_it):
    """What a program with a front end of its own does: be that, or the test that starts it."""
    if sys.argv[1:2] != ["--front-end"]:
        return test_of_it()
    with open(sys.argv[2], encoding="utf-8") as file:
        front_end(json.load(file), pcscf.emit).run(sys.stdin)
    return 0


if __name__ == "__main__":
    sys.exit(main(FrontEnd, test))
