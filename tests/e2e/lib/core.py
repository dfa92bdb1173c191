#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The core behind a P-CSCF, over UDP: registrar and authentication centre (tests/demo/home.py), and
a stateless proxy between the subscribers (RFC 3261 16.11), which is on the way of their dialogs.

    core.py CONFIG.json

    commands: challenge always|initial, quit
    events, one line of JSON each: ready, message (dir, text), error
"""

import hashlib
import json
import os
import re
import selectors
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../demo"))

import home  # noqa: E402
import sip  # noqa: E402

RECORD_ROUTED = ("INVITE", "SUBSCRIBE", "REFER")


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def place_of(uri):
    """Host and port of a SIP URI, or of an address as it stands in one."""
    match = re.search(r"^(?:<?sip:)?(?:[^@>]*@)?([^:;>\s]+)(?::(\d+))?", uri)
    return match[1], int(match[2] or 5060)


def split(values):
    """The entries of a header that is a list."""
    return [entry.strip() for value in values for entry in re.split(r",(?=\s*<)", value)]


def subscriber_of(one):
    kind = WithoutZero if one.get("res_without_zero") else home.Subscriber
    return kind(one["impi"], one["impu"], *(bytes.fromhex(one[name])
                                            for name in ("k", "opc", "amf")))


class WithoutZero(home.Subscriber):
    """For phones that take RES for a string which ends at a zero."""

    def next_vector(self):
        while 0 in super().next_vector().xres:
            pass
        return self.pending


class Core:
    def __init__(self, config):
        self.place = tuple(config["place"])
        self.uri = "sip:%s:%d" % self.place
        self.home = home.Home(config["realm"], map(subscriber_of, config["subscribers"]))
        self.paths = {}  # impu -> Path, as it came
        self.answers = {}  # branch -> the response to a REGISTER, for its retransmissions
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.place)

    def run(self):
        selector = selectors.DefaultSelector()
        selector.register(self.socket, selectors.EVENT_READ, self.receive)
        selector.register(sys.stdin, selectors.EVENT_READ, self.command)
        emit("ready")
        self.running = True
        while self.running:
            for key, _ in selector.select():
                key.data()

    def command(self):
        words = sys.stdin.readline().split()
        if words[:1] == ["challenge"]:
            self.home.challenge = words[1]
        else:
            self.running = False

    def receive(self):
        data, source = self.socket.recvfrom(65535)
        try:
            message = sip.Message.parse(data)
            emit("message", dir="in", source=source, text=data.decode(errors="replace"))
            if not message.is_request:
                self.send_back(message)
            elif message.method == "REGISTER":
                self.register(message)
            else:
                self.forward(message)
        except (sip.BadMessage, LookupError, TypeError, ValueError) as error:
            emit("error", why=f"{type(error).__name__}: {error}",
                 text=data.decode(errors="replace"))

    def send(self, message, place):
        data = message.to_bytes()
        emit("message", dir="out", to=place, text=data.decode(errors="replace"))
        self.socket.sendto(data, place)

    def send_back(self, response):
        """To whom the second Via names; ours goes."""
        first = next(i for i, (name, _) in enumerate(response.headers) if name.lower() == "via")
        _, comma, rest = response.headers[first][1].partition(",")
        response.headers[first:first + 1] = [["Via", rest.strip()]] if comma else []
        self.respond(response)

    def respond(self, response):
        via = sip.Via(response.get("Via"))
        self.send(response, (via.host, via.port or 5060))

    def register(self, request):
        branch = sip.Via(request.get("Via")).parameters["branch"]
        if branch not in self.answers:
            response = self.answers[branch] = self.home.receive(request)
            if response.status == 200:
                self.paths[sip.contact_uri(request.get("To"))] = request.all("Path")
                response.add("Service-Route", f"<sip:orig@{self.uri[4:]};lr>")
        self.respond(self.answers[branch])

    def forward(self, request):
        routes = split(request.all("Route"))
        while routes and place_of(sip.contact_uri(routes[0])) == self.place:
            del routes[0]
        if not routes:
            routes = self.towards_subscriber(request)
        if routes is None:
            if request.method != "ACK":
                self.respond(request.reply(404, "Not Found"))
            return
        request.remove("Route")
        request.headers[0:0] = [["Route", route] for route in routes]
        if request.method in RECORD_ROUTED:
            request.headers.insert(0, ["Record-Route", f"<{self.uri};lr>"])
        branch = hashlib.sha256(sip.Via(request.get("Via")).parameters["branch"].encode())
        request.headers.insert(0, ["Via", "SIP/2.0/UDP %s:%d;branch=z9hG4bK%s" % (
            *self.place, branch.hexdigest()[:24])])
        self.send(request, place_of(sip.contact_uri(routes[0])))

    def towards_subscriber(self, request):
        """The Request-URI becomes the contact; returns the way there, None when there is none."""
        for one in self.home.subscribers.values():
            if one.impu == request.uri and one.contact:
                request.start = f"{request.method} {sip.contact_uri(one.contact)} SIP/2.0"
                return split(self.paths[one.impu])
        return None


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        Core(json.load(file)).run()
