# SPDX-License-Identifier: BSD-2-Clause
"""SIP messages (RFC 3261), as much of them as the demo's P-CSCF and home network need.

A message is its start line, its header lines in order, and a body. Nothing here knows sockets.
Digest parameters are read from the raw text, because ck, ik, auts and integrity-protected are
not what general digest parsers keep.
"""

import re
import secrets

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact",
           "l": "content-length", "c": "content-type", "k": "supported"}
MAX_MESSAGE_BYTES = 65535


class BadMessage(Exception):
    """Bytes that are no SIP message."""


class Message:
    """@start is the first line; @headers a list of [name, value], one for each header line."""

    def __init__(self, start, headers=(), body=b""):
        self.start = start
        self.headers = [list(header) for header in headers]
        self.body = body

    @classmethod
    def parse(cls, data):
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            raise BadMessage("no empty line behind the headers")
        text = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape"))
        start, *lines = text.split("\r\n")
        if not re.match(r"SIP/2\.0 [1-6]\d\d |[A-Za-z]+ \S+ SIP/2\.0$", start):
            raise BadMessage(f"first line {start[:40]!r}")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadMessage(f"header line {line[:40]!r}")
            headers.append([name.strip(), value.strip()])
        return cls(start, headers, body)

    def copy(self):
        return Message(self.start, self.headers, self.body)

    @property
    def is_request(self):
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self):
        """Of a response: the method that it answers."""
        return self.start.split(" ")[0] if self.is_request else self.cseq[1]

    @property
    def uri(self):
        return self.start.split(" ")[1]

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def cseq(self):
        number, _, method = (self.get("CSeq") or "0 ?").partition(" ")
        return int(number), method.strip()

    def all(self, name):
        """The values of all lines of one header, in order."""
        wanted = name.lower()
        return [value for key, value in self.headers
                if COMPACT.get(key.lower(), key.lower()) == wanted]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    def add(self, name, value):
        self.headers.append([name, value])

    def remove(self, *names):
        gone = {name.lower() for name in names}
        self.headers = [[key, value] for key, value in self.headers
                        if COMPACT.get(key.lower(), key.lower()) not in gone]

    def replace(self, name, value):
        """In its place when the header is there, else as a new last line."""
        for header in self.headers:
            if COMPACT.get(header[0].lower(), header[0].lower()) == name.lower():
                header[1] = value
                return
        self.add(name, value)

    def to_bytes(self):
        self.remove("Content-Length")
        self.add("Content-Length", str(len(self.body)))
        lines = [self.start] + [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body

    def reply(self, status, phrase):
        """A response to this request, RFC 3261 8.2.6."""
        response = Message(f"SIP/2.0 {status} {phrase}")
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            for value in self.all(name):
                if name == "To" and ";tag=" not in value and status > 100:
                    value += f";tag={secrets.token_hex(4)}"
                response.add(name, value)
        return response


class Stream:
    """Cuts the bytes of a TCP connection into messages (RFC 3261 18.3)."""

    def __init__(self):
        self.buffer = b""

    def feed(self, data):
        self.buffer += data
        while True:
            self.buffer = self.buffer.lstrip(b"\r\n")
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > MAX_MESSAGE_BYTES:
                    raise BadMessage("headers without an end")
                return
            length = re.search(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)",
                               self.buffer[:end + 2], re.I)
            size = end + 4 + (int(length[1]) if length else 0)
            if size > MAX_MESSAGE_BYTES:
                raise BadMessage("too long")
            if len(self.buffer) < size:
                return
            message, self.buffer = self.buffer[:size], self.buffer[size:]
            yield Message.parse(message)


class Via:
    """The topmost Via: transport, sent-by host and port (None when not given), parameters."""

    def __init__(self, value):
        match = re.match(r"SIP\s*/\s*2\.0\s*/\s*(\w+)\s+(\[[^]]+\]|[^:;,\s]+)(?::(\d+))?([^,]*)",
                         value or "")
        if not match:
            raise BadMessage("Via")
        self.transport = match[1].upper()
        self.host = match[2].strip("[]")
        self.port = int(match[3]) if match[3] else None
        self.parameters = {}
        for parameter in match[4].split(";")[1:]:
            name, _, text = parameter.strip().partition("=")
            self.parameters[name.strip().lower()] = text.strip()

    def __str__(self):
        port = f":{self.port}" if self.port else ""
        rest = "".join(f";{name}={text}" if text else f";{name}"
                       for name, text in self.parameters.items())
        return f"SIP/2.0/{self.transport} {host(self.host)}{port}{rest}"


def host(address):
    """An address as it stands in a URI."""
    return f"[{address}]" if ":" in address else address


def parse_digest(value):
    """The parameters of a WWW-Authenticate or Authorization value; quotes are taken off."""
    scheme, _, rest = (value or "").strip().partition(" ")
    if scheme.lower() != "digest":
        return {}
    found = re.findall(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', rest)
    return {name.lower(): quoted or bare for name, quoted, bare in found}


def format_digest(parameters):
    bare = ("algorithm", "stale", "nc")
    return "Digest " + ", ".join(
        f"{name}={text}" if name in bare else f'{name}="{text}"'
        for name, text in parameters.items())


def contact_uri(value):
    """The URI inside a Contact, From or To value."""
    match = re.search(r"<([^>]*)>", value or "")
    return match[1] if match else (value or "").split(";")[0].strip()


def instance(message):
    """What tells the devices of one user apart (RFC 5626 4.1), or None. The Contact itself does
    not: a phone that was switched off comes back with other ports."""
    match = re.search(r';\s*\+sip\.instance\s*=\s*"([^"]*)"', message.get("Contact") or "", re.I)
    return match[1] if match else None


def granted_expires(message):
    """Seconds that a REGISTER asks for or its 200 grants: Contact's expires, else Expires."""
    for value in message.all("Contact"):
        match = re.search(r";\s*expires\s*=\s*(\d+)", value.split(">")[-1], re.I)
        if match:
            return int(match[1])
    text = message.get("Expires")
    return int(text) if text and text.isdigit() else None
