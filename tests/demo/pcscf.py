#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A small P-CSCF front end: what an operator's SIP server does with secagreed.

It speaks SIP over UDP and TCP on port 5060 and on the protected ports, asks the daemon over its
control socket what to do, and hands REGISTER to a home network, which is an object in the same
process. One thread, one loop. It is driven by lines on standard input and tells what happens as
one line of JSON for each event on standard output.

    pcscf.py CONFIG.json

    commands: options|message|invite|bye udp|tcp [IMPI]   send a request to the phone
              hold on|off, continue     stop before each 401 leaves, and let it go
              challenge always|initial  does the home network challenge a re-registration?
              status, quit

It does no forking, no record-routing and no retransmission of its own requests.
"""

import collections
import json
import os
import secrets
import selectors
import sys
import time

sys.dont_write_bytecode = True

import control  # noqa: E402
import home  # noqa: E402
import ports  # noqa: E402
import sip  # noqa: E402

KEPT_TRANSACTIONS = 1000
SECURITY_HEADERS = ("Security-Client", "Security-Verify", "Security-Server")
ANSWERED = {"MESSAGE": (200, "OK"), "OPTIONS": (200, "OK"), "BYE": (200, "OK")}


class Answer(Exception):
    """Stop here and send this response."""

    def __init__(self, response):
        super().__init__(response.start)
        self.response = response


class Discard(Exception):
    """Stop here and send nothing."""


class Transaction:
    """A request that came in. @response is kept for its retransmissions."""

    def __init__(self, request, flow):
        self.request = request
        self.flow = flow
        self.verdict = {}
        self.response = None
        self.response_flow = None


class Pcscf:
    def __init__(self, config, emit):
        self.listeners = {listener["address"]: listener for listener in config["listeners"]}
        self.emit = emit
        self.selector = selectors.DefaultSelector()
        self.control = control.Control(config["control"], patient=True)
        self.home = make_home(config["home"])
        self.ports = ports.Ports(self.selector, self.on_message, self.on_closed)
        for address, listener in self.listeners.items():
            self.ports.open(address, [ports.CLEAR_PORT, listener["server_port"],
                                      *listener["client_ports"]])
        self.transactions = collections.OrderedDict()
        self.agreements = {}  # set id -> result of sa.offer
        self.requests = {}    # branch -> (request, time sent)
        self.dialog = None
        self.after_drain = []  # [(connection, function)]
        self.hold = False
        self.held = []
        self.received = 0
        self.running = True

    # ---- the loop ----

    def run(self, commands):
        os.set_blocking(commands.fileno(), False)
        self.selector.register(commands, selectors.EVENT_READ,
                               lambda mask: self._read_commands(commands))
        self.emit("ready")
        while self.running:
            for key, mask in self.selector.select(0.02 if self.after_drain else None):
                key.data(mask)
            waiting, self.after_drain = self.after_drain, []
            for connection, function in waiting:
                if connection.drained():
                    self.guarded(function)
                else:
                    self.after_drain.append((connection, function))

    def guarded(self, function, *arguments):
        """One message or command that fails must not end the program."""
        try:
            function(*arguments)
        except (Discard, Answer) as why:
            self.emit("discarded", why=str(why))
        except sip.BadMessage as why:
            self.emit("discarded", why=f"bad {why}")
        except (control.ControlError, OSError, LookupError, TypeError, StopIteration) as error:
            self.emit("error", why=f"{type(error).__name__}: {error}", doing=repr(arguments)[:200],
                      reason=getattr(error, "reason", None))

    def _read_commands(self, commands):
        data = commands.read()
        if data == "":
            self.running = False
        for line in (data or "").splitlines():
            if line.strip():
                self.guarded(self.command, *line.split())

    def command(self, word, *arguments):
        if word in ("options", "message", "invite", "bye"):
            self.send_request(word.upper(), *arguments)
        elif word == "hold":
            self.hold = arguments[0] == "on"
        elif word == "continue":
            held, self.held = self.held, []
            for send in held:
                send()
        elif word == "challenge":
            self.home.challenge = arguments[0]
        elif word == "status":
            self.emit("status", received=self.received, bad=self.ports.bad_messages,
                      connections=len(self.ports.connections))
        elif word == "quit":
            self.running = False
        else:
            self.emit("error", command=word, why="unknown command")

    # ---- what is said to the outside ----

    def show(self, event, message, flow):
        text = message.to_bytes().decode(errors="replace")
        self.emit(event, transport=flow.transport, local=flow.local, remote=flow.remote,
                  protected=self.is_protected(flow), text=text)

    def call(self, method, /, **params):
        """One call to the daemon; @params go to the outside without keys."""
        shown = {name: "(secret)" if name in ("ck", "ik") else value
                 for name, value in params.items() if value is not None}
        try:
            result = self.control.call(method, **params)
        except control.ControlError as error:
            self.emit("call", method=method, params=shown,
                      error={"message": str(error), "data": error.data})
            raise
        self.emit("call", method=method, params=shown, result=result)
        return result

    def is_protected(self, flow):
        return flow.local[1] != ports.CLEAR_PORT

    # ---- what comes in ----

    def on_closed(self, flow, why):
        self.emit("closed", local=flow.local, remote=flow.remote, why=why)

    def on_message(self, message, flow):
        self.received += 1
        self.show("received", message, flow)
        self.guarded(self.on_request if message.is_request else self.on_response, message, flow)

    def on_request(self, request, flow):
        if request.method == "ACK":
            self.check(request, flow)
            return
        key = sip.Via(request.get("Via")).parameters.get("branch"), request.method, flow.remote
        known = self.transactions.get(key)
        if known:
            if known.response:
                self.ports.send(known.response_flow, known.response)
            return
        transaction = self.transactions[key] = Transaction(request, flow)
        while len(self.transactions) > KEPT_TRANSACTIONS:
            self.transactions.popitem(last=False)
        try:
            transaction.verdict = self.check(request, flow)
            self.answer(transaction)
        except Answer as answer:
            self.respond(transaction, answer.response)

    def answer(self, transaction):
        request = transaction.request
        if request.method == "REGISTER":
            self.register(transaction)
        elif not transaction.verdict.get("protected"):
            raise Discard(f"{request.method} in clear")  # TS 33.203 7.1, Ports 3
        else:
            status, phrase = ANSWERED.get(request.method, (501, "Not Implemented"))
            self.respond(transaction, request.reply(status, phrase))

    def check(self, message, flow):
        """sa.check; what it refuses is answered or dropped as it says."""
        try:
            return self.call(
                "sa.check", pcscf=flow.local[0], pcscf_port=flow.local[1], ue=flow.remote[0],
                ue_port=flow.remote[1], method=message.method, transport=flow.transport,
                impi=sip.parse_digest(message.get("Authorization")).get("username"),
                security_client=message.all("Security-Client") or None,
                security_verify=message.all("Security-Verify") or None)
        except control.ControlError as error:
            if error.verdict == "discard" or not message.is_request or not error.sip:
                raise Discard(str(error)) from error
            raise Answer(error_response(message, error)) from error

    # ---- registration ----

    def register(self, transaction):
        """TS 24.229 5.2.2: what the P-CSCF does with a REGISTER and its responses."""
        request, verdict = transaction.request, transaction.verdict
        if not request.all("Security-Client") and not verdict.get("protected"):
            raise Answer(request.reply(421, "Extension Required"))
        response = self.home.receive(self.towards_home(transaction))
        if response.status == 401:
            self.challenged(transaction, response)
        elif response.status == 200:
            self.accepted(transaction, response)
        else:
            self.refused(transaction, response)

    def towards_home(self, transaction):
        """TS 33.203 6.1.5, RFC 3329 2.3.1: nothing of the security agreement goes further."""
        request = transaction.request.copy()
        request.remove(*SECURITY_HEADERS)
        for name in ("Require", "Proxy-Require"):
            tags = [tag.strip() for value in request.all(name) for tag in value.split(",")]
            request.remove(name)
            if tags := [tag for tag in tags if tag.lower() != "sec-agree"]:
                request.add(name, ", ".join(tags))
        authorization = sip.parse_digest(request.get("Authorization"))
        authorization["integrity-protected"] = transaction.verdict["integrity_protected"]
        request.replace("Authorization", sip.format_digest(authorization))
        address, _ = transaction.flow.local
        request.add("Path", f"<sip:{sip.host(address)};lr>")
        return request

    def challenged(self, transaction, response):
        """The 401: its keys stay here and become a set of SAs."""
        challenge = sip.parse_digest(response.get("WWW-Authenticate"))
        ck, ik = challenge.pop("ck", None), challenge.pop("ik", None)
        response.replace("WWW-Authenticate", sip.format_digest(challenge))
        request, flow, verdict = transaction.request, transaction.flow, transaction.verdict
        via = sip.Via(request.get("Via"))
        before = self.netlink_counters()
        try:
            agreement = self.call(
                "sa.offer", impi=sip.parse_digest(request.get("Authorization"))["username"],
                impu=sip.contact_uri(request.get("To")), ue=flow.remote[0], pcscf=flow.local[0],
                security_client=request.all("Security-Client"), ck=ck, ik=ik, via=via.host,
                over=verdict.get("set"), contact=sip.instance(request),
                transaction=via.parameters.get("branch"))
        except control.ControlError as error:
            raise Answer(error_response(request, error)) from error
        after = self.netlink_counters()
        self.agreements[agreement["set"]] = agreement
        response.add("Security-Server", agreement["security_server"])
        self.emit("offered", agreement=agreement, nonce=challenge["nonce"],
                  cost={name: after[name] - before[name] for name in before})
        if self.hold:
            self.held.append(lambda: self.respond(transaction, response))
            self.emit("held")
        else:
            self.respond(transaction, response)

    def netlink_counters(self):
        return self.control.call("daemon.status")["netlink"]

    def accepted(self, transaction, response):
        verdict = transaction.verdict
        expires = sip.granted_expires(response)
        if expires == 0:
            # The 200 still goes over the set; only then the set goes.
            self.respond(transaction, response)
            self.when_sent(transaction, lambda: self.release(verdict["set"]))
            return
        method = "sa.confirm" if verdict["state"] == "temporary" else "sa.extend"
        result = self.call(method, set=verdict["set"], expires=expires)
        self.respond(transaction, response)
        self.emit("registered", set=verdict["set"], impi=verdict.get("impi"), expires=expires,
                  by=method, result=result)

    def refused(self, transaction, response):
        """4xx to the answer of a challenge: the response goes over the set, TS 33.203 7.4.2a."""
        verdict = transaction.verdict
        self.respond(transaction, response)
        if verdict.get("state") == "temporary":
            self.when_sent(transaction, lambda: self.call("sa.fail", set=verdict["set"]))

    def release(self, set_id):
        result = self.call("sa.release", set=set_id)
        self.emit("released", sets=result["released"])

    def when_sent(self, transaction, function):
        """UDP has left when send() returns; of TCP the other side tells."""
        if transaction.flow.transport == "tcp":
            self.after_drain.append((transaction.flow.connection, function))
        else:
            function()

    # ---- responses to the phone ----

    def respond(self, transaction, response):
        transaction.response_flow = self.way_back(transaction)
        via = sip.Via(response.get("Via"))
        address, port = transaction.flow.remote
        if via.host != address:
            via.parameters["received"] = address
        if "rport" in via.parameters:
            via.parameters["rport"] = str(port)
        response.replace("Via", str(via))
        transaction.response = response.to_bytes()
        self.show("sent", response, transaction.response_flow)
        self.ports.send(transaction.response_flow, transaction.response)

    def way_back(self, transaction):
        """TCP: the same connection. UDP: in clear RFC 3261 18.2.2 and RFC 3581; protected from
        port_pc to port_us of the set that the request came over (TS 33.203 7.1, 7.4.2a). That may
        be a set that sa.route does not name yet."""
        flow = transaction.flow
        if flow.transport == "tcp":
            return flow
        if self.is_protected(flow):
            agreement = self.agreement_of(flow)
            ends = ((agreement["pcscf"], "port_c"), (agreement["phone"], "port_s"))
            return ports.Flow("udp", *((end["address"], end.get(port) or end["port1"])
                                       for end, port in ends))
        via = sip.Via(transaction.request.get("Via"))
        port = flow.remote[1] if "rport" in via.parameters else via.port or ports.CLEAR_PORT
        return ports.Flow("udp", flow.local, (flow.remote[0], port))

    def agreement_of(self, flow):
        """The newest one whose ports a message that came in by @flow has."""
        for agreement in reversed(self.agreements.values()):
            phone, pcscf = agreement["phone"], agreement["pcscf"]
            if (phone["address"], pcscf["address"]) != (flow.remote[0], flow.local[0]):
                continue
            if "port1" in pcscf:
                found = flow.local[1] == pcscf["port1"]
            else:
                found = (flow.remote[1], flow.local[1]) in (
                    (phone["port_c"], pcscf["port_s"]), (phone["port_s"], pcscf["port_c"]))
            if found:
                return agreement
        raise Discard("no agreement has these ports")

    def route(self, transport, **which):
        result = self.call("sa.route", **which)
        local, remote = ((result[transport][end]["address"], result[transport][end]["port"])
                         for end in ("local", "remote"))
        return self.ports.flow_to(transport, local, remote), result["set"]

    # ---- requests to the phone ----

    def send_request(self, method, transport, impi=None):
        impi = impi or next(name for name, subscriber in self.home.subscribers.items()
                            if subscriber.contact)
        flow, set_id = self.route(transport, impi=impi)
        request = self.new_request(method, self.home.subscribers[impi], flow, set_id)
        self.requests[branch_of(request)] = request, time.monotonic()
        self.show("sent", request, flow)
        self.ports.send(flow, request.to_bytes())

    def new_request(self, method, subscriber, flow, set_id):
        """The Via names port_ps: there the phone sends its responses over UDP."""
        agreement = self.agreements.get(set_id, {})
        own_port = agreement.get("pcscf", {}).get("port_s") or flow.local[1]
        own = f"{sip.host(flow.local[0])}:{own_port}"
        request = sip.Message(f"{method} {sip.contact_uri(subscriber.contact)} SIP/2.0")
        request.add("Via", f"SIP/2.0/{flow.transport.upper()} {own}"
                           f";branch=z9hG4bK{secrets.token_hex(8)}")
        request.add("Max-Forwards", "70")
        if method == "BYE" and self.dialog:
            for name in ("From", "To", "Call-ID"):
                request.add(name, self.dialog.get(name))
        else:
            request.add("From", f"<sip:pcscf@{sip.host(flow.local[0])}>;tag={secrets.token_hex(4)}")
            request.add("To", f"<{subscriber.impu}>")
            request.add("Call-ID", secrets.token_hex(12))
        request.add("CSeq", f"{2 if method == 'BYE' else 1} {method}")
        request.add("Contact", f"<sip:pcscf@{own}>")
        if method == "MESSAGE":
            request.add("Content-Type", "text/plain")
            request.body = b"hello phone\r\n"
        return request

    def on_response(self, response, flow):
        self.check(response, flow)
        found = self.requests.get(branch_of(response))
        if not found:
            raise Discard("response to nothing")
        request, sent = found
        if response.status < 200:
            return
        if response.method == "INVITE" and response.status < 300:
            self.acknowledge(request, response, flow.transport)
        self.requests.pop(branch_of(response))
        self.emit("answered", method=response.method, status=response.status,
                  transport=flow.transport, ms=round(1000 * (time.monotonic() - sent)))

    def acknowledge(self, request, response, transport):
        self.dialog = response
        ack = request.copy()
        ack.start = f"ACK {request.uri} SIP/2.0"
        via = sip.Via(request.get("Via"))
        via.parameters["branch"] = f"z9hG4bK{secrets.token_hex(8)}"
        ack.replace("Via", str(via))
        ack.replace("To", response.get("To"))
        ack.replace("CSeq", f"{request.cseq[0]} ACK")
        impi = next(name for name, subscriber in self.home.subscribers.items()
                    if sip.contact_uri(subscriber.contact) == request.uri)
        flow, _ = self.route(transport, impi=impi)
        self.show("sent", ack, flow)
        self.ports.send(flow, ack.to_bytes())


def branch_of(message):
    return sip.Via(message.get("Via")).parameters.get("branch")


def error_response(request, error):
    """The reply that the daemon asks for; 500 when it asks for none."""
    wanted = error.sip or {"code": 500, "phrase": "Server Internal Error"}
    response = request.reply(wanted["code"], wanted["phrase"])
    for line in wanted.get("headers", ()):
        name, _, value = line.partition(":")
        response.add(name.strip(), value.strip())
    return response


def make_home(settings):
    subscribers = [home.Subscriber(one["impi"], one["impu"], bytes.fromhex(one["k"]),
                                   bytes.fromhex(one["opc"]), bytes.fromhex(one["amf"]),
                                   one.get("sqn", 0))
                   for one in settings["subscribers"]]
    return home.Home(settings["realm"], subscribers, settings.get("challenge", "always"),
                     settings.get("max_expires", 600))


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 0 if "--help" in sys.argv else 2
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    try:
        Pcscf(config, emit).run(sys.stdin)
    except (OSError, ConnectionError) as error:
        emit("error", why=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
