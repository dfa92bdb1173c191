# SPDX-License-Identifier: BSD-2-Clause
"""For opensips.cfg: what OpenSIPS's module python runs to ask secagreed.

The routes call the functions of PCscf with the message in base64. Each asks the daemon with
sip.request or sip.response of secagreed-control(7) and leaves the answer in script variables. The
routes do what it says; nothing here changes a message or sends one. What fails leaves the verdict
that the route has set before: drop.

Beside this file, or in Python's path, must be secagree.py, the client that comes with secagreed.
"""

import base64
import re

import secagree
from OpenSIPS import LM_ERR

SOCKET = "/run/secagreed/control.sock"
# Nothing else is done by this process of OpenSIPS in the meantime.
TIMEOUT_S = 2.0

# The headers that the daemon may edit, in any message. OpenSIPS cannot put another message in the
# place of the one it has: route EDIT takes all of these out, and those of the daemon's message in.
EDITED = ("Security-Client", "Security-Server", "Security-Verify", "Require", "Proxy-Require",
          "Authorization", "WWW-Authenticate", "Proxy-Authenticate")


def headers(message, *names):
    """[(name, value)] of these headers, folded lines joined, in their order."""
    head = re.sub(r"\r\n[ \t]+", " ", message.split("\r\n\r\n", 1)[0] + "\r\n")
    wanted = "|".join(map(re.escape, names))
    return re.findall(rf"^({wanted})[ \t]*:[ \t]*(.*?)[ \t]*\r$", head, re.M | re.I)


def text_of(message_base64):
    return base64.b64decode(message_base64).decode("utf-8", "surrogateescape")


def edited(message):
    return "".join(f"{name}: {value}\r\n" for name, value in headers(message, *EDITED))


def values(message, *names):
    return ", ".join(value for _, value in headers(message, *names))


def transport_of_request(response):
    """That of the second Via: the request came over it. None when there is none: the response is
    to a CANCEL of OpenSIPS, and nobody else's."""
    vias = values(response, "Via", "v").split(",")
    return re.split(r"\s*/\s*|\s+", vias[1].strip())[2].lower() if vias[1:] else None


def identity(message, impu):
    """What goes into P-Asserted-Identity (TS 24.229 5.2.6.3): what the phone prefers, if it is
    registered over this set, or else the first one that is."""
    header = values(message, "P-Preferred-Identity")
    preferred = re.search(r"<([^>]*)>", header) or re.match(r"([^\s;,]+)", header)
    return preferred[1] if preferred and preferred[1] in impu else (impu or [""])[0]


def variables(message, answer):
    """The script variables of an answer to @message."""
    reply = answer.get("reply", {})
    return {
        "why": answer.get("why", ""),
        "set": answer.get("set", ""),
        "edited": edited(text_of(answer.get("message_base64", ""))),
        "from": str(answer.get("send_from", {}).get("port", "")),
        "to": str(answer.get("send_to", {}).get("port", "")),
        "code": str(reply.get("code", "")),
        "phrase": reply.get("phrase", ""),
        "identity": identity(message, answer.get("impu", [])),
        "service": values(message, "Service-Route"),
        "verdict": answer["verdict"],
    }


class PCscf:
    def __init__(self):
        self.daemon = None

    def child_init(self, _rank):
        return 0

    def request_from_phone(self, msg, message):
        return self.ask(msg, message, "sip.request", **packet(msg))

    def request_to_phone(self, msg, message):
        return self.ask(msg, message, "sip.request", direction="to-phone",
                        transport=msg.get_pseudoVar("$var(transport)"))

    def response_to_phone(self, msg, message):
        transport = transport_of_request(text_of(message))
        if transport is None:
            return leave(msg, message, {"verdict": "forward", "message_base64": message})
        return self.ask(msg, message, "sip.response", transport=transport)

    def response_of_phone(self, msg, message):
        return self.ask(msg, message, "sip.response", direction="from-phone", **packet(msg))

    def ask(self, msg, message, method, **params):
        try:
            if not self.daemon:  # each process has its own connection
                self.daemon = secagree.Connection(SOCKET, TIMEOUT_S)
            answer = self.daemon.call(method, message_base64=message, **params)
        except (OSError, ValueError, secagree.Refused) as error:
            LM_ERR(f"{method}: {error}\n")
            return 1
        return leave(msg, message, answer)


def leave(msg, message, answer):
    """To the script. The verdict is the last: with less than all variables nothing passes."""
    for name, value in variables(text_of(message), answer).items():
        msg.set_pseudoVar(f"$var({name})", value)
    return 1


def packet(msg):
    """Where the packet came from, and where to."""
    return {
        "source": {"address": msg.get_pseudoVar("$si"), "port": int(msg.get_pseudoVar("$sp"))},
        "destination": {"address": msg.get_pseudoVar("$socket_in(ip)"),
                        "port": int(msg.get_pseudoVar("$socket_in(port)"))},
        "transport": msg.get_pseudoVar("$socket_in(proto)").lower(),
    }


def mod_init():
    return PCscf()
