#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Does conf/opensips fit secagreed, as far as that can be seen without OpenSIPS?

sec_agree.py runs, with a message and a daemon made here: what it calls is held against the daemon's
table of methods, what it sets against the variables that opensips.cfg reads. Of opensips.cfg the
braces, the routes and the functions of sec_agree.py are looked at. TAP.
"""

import base64
import os
import re
import sys
import types

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo"),
                os.path.join(HERE, "../../conf/opensips"),
                os.path.join(HERE, "../../daemon/client")]
LOGGED = []
sys.modules["OpenSIPS"] = types.SimpleNamespace(LM_ERR=LOGGED.append)

import documentation  # noqa: E402
import manual  # noqa: E402
import sec_agree  # noqa: E402
from tap import Tap  # noqa: E402

T = Tap()
PLACE = {"$si": "192.0.2.7", "$sp": "5062", "$socket_in(ip)": "192.0.2.1",
         "$socket_in(port)": "6100", "$socket_in(proto)": "UDP", "$var(transport)": "tcp"}
RESPONSE = ("SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa,\r\n"
            " SIP / 2.0 / TCP 192.0.2.7:5064;branch=z9hG4bKb\r\n"
            "WWW-Authenticate: Digest nonce=\"x\", ck=\"00\"\r\nRequire: path\r\n\r\n")
ANSWER = {"verdict": "reply", "why": "a test", "set": "0123456789abcdef",
          "message_base64": base64.b64encode(
              b"SIP/2.0 401 Unauthorized\r\nwww-authenticate:  Digest nonce=\"x\"\r\n"
              b"Server: y\r\nSecurity-Server: ipsec-3gpp;\r\n\talg=hmac-sha-1-96\r\n\r\n"
              b"Require: z\r\n").decode(),
          "reply": {"code": 401, "phrase": "Unauthorized"}, "impu": ["sip:a@ims.example"],
          "send_from": {"address": "192.0.2.1", "port": 6104},
          "send_to": {"address": "192.0.2.7", "port": 5064}}


class Message:
    """What a function of sec_agree.py gets from OpenSIPS."""

    def __init__(self):
        self.set = {}

    def get_pseudoVar(self, name):
        return PLACE[name]

    def set_pseudoVar(self, name, value):
        self.set[name] = value


class Daemon:
    def __init__(self):
        self.calls = []

    def call(self, method, /, **params):
        self.calls.append((method, params))
        return ANSWER


def asked(function, daemon, text=RESPONSE):
    handler, message = sec_agree.mod_init(), Message()
    handler.child_init(1)
    handler.daemon = daemon
    done = getattr(handler, function)(message, base64.b64encode(text.encode()).decode())
    T.ok(done == 1, f"{function} returns true to the script", done)
    return message.set


def check_call(method, params):
    known = {name: kind for name, kind, _ in documentation.code_methods().get(method, [])}
    T.ok(known and set(params) <= set(known), f"{method} is a method and has these parameters",
         *params)
    T.ok(all(set(value) == {"address", "port"} and isinstance(value["port"], int)
             for name, value in params.items() if known.get(name) == "place"),
         f"{method}: places are places", params)


def check_functions(cfg):
    called = re.findall(r'python_exec\("(\w+)", \$\(mb\{s\.b64encode\}\)\)', cfg)
    functions = {name for name in vars(sec_agree.PCscf) if re.match("request|response", name)}
    T.ok(sorted(called) == sorted(functions), "each function of sec_agree.py is called once",
         *called)
    daemon = Daemon()
    for name in sorted(functions):
        told = asked(name, daemon)
        T.ok(list(told)[-1] == "$var(verdict)", f"{name} sets the verdict last", *told)
    for method, params in daemon.calls:
        check_call(method, params)
    told = asked("response_to_phone", daemon)
    T.ok(daemon.calls[-1][1]["transport"] == "tcp", "the transport is that of the second Via",
         daemon.calls[-1])
    T.ok(told["$var(edited)"] == "www-authenticate: Digest nonce=\"x\"\r\n"
         "Security-Server: ipsec-3gpp; alg=hmac-sha-1-96\r\n",
         "the headers that were edited are those of the daemon's message", told["$var(edited)"])
    own = set(re.findall(r"(\$var\(\w+\)) = ", cfg))
    T.ok(set(re.findall(r"\$\(?var\((\w+)", cfg)) <=
         {name[5:-1] for name in own | set(told)}, "each variable of opensips.cfg is set somewhere")


def check_identity():
    prefers = "INVITE sip:b SIP/2.0\r\nP-Preferred-Identity: \"A\" <sip:b@ims>;x\r\n\r\n"
    T.ok(sec_agree.identity(prefers, ["sip:a@ims", "sip:b@ims"]) == "sip:b@ims",
         "the preferred identity is asserted when it is registered")
    T.ok(sec_agree.identity(prefers, ["sip:a@ims"]) == "sip:a@ims",
         "else the first one is asserted")
    T.ok(sec_agree.identity(prefers, []) == "", "without a registration there is none")


def check_own_cancel():
    daemon = Daemon()
    told = asked("response_to_phone", daemon, RESPONSE.replace(",\r\n SIP / 2.0", "\r\nX-Not: "))
    T.ok(not daemon.calls and told["$var(verdict)"] == "forward"
         and told["$var(edited)"].endswith("Require: path\r\n"),
         "an answer to OpenSIPS' own CANCEL is not asked about, and stays as it is", told)


def check_drop():
    told = sec_agree.variables(RESPONSE, {"verdict": "drop", "why": "a test"})
    T.ok(told["verdict"] == "drop" and told["edited"] == "",
         "an answer without a message puts no header in", told)


def check_no_daemon():
    sec_agree.SOCKET = os.path.join(HERE, "there-is-no-socket")
    told = asked("request_from_phone", None)
    T.ok(not told and LOGGED, "without a daemon no verdict is set, and the log says so", told)


def check_cfg(cfg):
    code = re.sub(r"#.*", "", cfg)
    for opened, closed in ("{}", "()"):
        T.ok(code.count(opened) == code.count(closed), f"{opened} and {closed} balance")
    T.ok(code.count('"') % 2 == 0, "quotation marks balance")
    T.ok(all(not re.match(r"\t+\S", line) or re.search(r"[;{})]$|else$", line)
             for line in code.split("\n")), "each line of a route ends as a statement does")
    defined = re.findall(r"^route\[(\w+)\]", code, re.M)
    T.ok(sorted(defined) == sorted(set(re.findall(r"route\((\w+)\)", code))),
         "each route that is called is there, once, and no other", *defined)
    removed = re.findall(r'remove_hf\("([\w-]+)"\)', code[code.index("route[EDIT]"):])
    T.ok(removed[:len(sec_agree.EDITED)] == list(sec_agree.EDITED),
         "route EDIT takes out the headers that sec_agree.py puts in", *removed)
    T.ok("not run" in cfg.split("----")[0], "the first comment says that it has not been run")


def main():
    cfg = manual.read("conf", "opensips", "opensips.cfg")
    check_cfg(cfg)
    check_functions(cfg)
    check_identity()
    check_own_cancel()
    check_drop()
    check_no_daemon()
    return T.finish()


if __name__ == "__main__":
    sys.exit(main())
