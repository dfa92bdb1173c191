#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""libsecagree as its users meet it: installed, found by pkg-config, its example compiled in C and
C++ and run against a daemon that this test plays; and the same from secagree.py. TAP."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
CLIENT = os.path.join(ROOT, "daemon", "client")
sys.path[:0] = [CLIENT]

import secagree  # noqa: E402
from tap import Tap  # noqa: E402

T = Tap()
LIMIT_S = 300
PREFIX = "/usr/local"
REGISTER = "REGISTER sip:ims.example SIP/2.0\r\nX: \x00\u00e9\r\n\r\n".encode("latin-1")


def run(*argv, **more):
    return subprocess.run(argv, capture_output=True, timeout=LIMIT_S, check=False, **more)


class Played:
    """Answers each request by a function of it; None closes the connection instead."""

    def __init__(self, directory, answer):
        self.path = os.path.join(directory, "control.sock")
        self.answer = answer
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self.connection(stream)

    def connection(self, stream):
        for line in stream:
            request = json.loads(line)
            self.requests.append(request)
            said = self.answer(request)
            if said is None:
                return
            stream.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **said}).encode()
                         + b"\n")
            stream.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)


def install(directory):
    build = os.path.relpath(os.environ.get("BUILD") or "build", ROOT)
    made = run("make", "-C", ROOT, "install", f"DESTDIR={directory}", f"BUILD={build}")
    T.ok(made.returncode == 0, "make install puts the library in place", made.stderr)
    return {**os.environ, "PKG_CONFIG_PATH": f"{directory}{PREFIX}/lib/pkgconfig",
            "PKG_CONFIG_SYSROOT_DIR": directory, "LD_LIBRARY_PATH": f"{directory}{PREFIX}/lib"}


def flags(env, *wanted):
    return run("pkg-config", *wanted, "libsecagree", env=env).stdout.decode().split()


def check_compilers(directory, env):
    example = os.path.join(CLIENT, "example.c")
    made = os.path.join(directory, "example")
    done = run("cc", "-Wall", "-Wextra", "-Werror", "-std=c99", "-o", made, example,
               *flags(env, "--cflags", "--libs"))
    T.ok(done.returncode == 0, "the example compiles by what pkg-config says", done.stderr)
    done = run("g++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++", "-",
               *flags(env, "--cflags"),
               input=b"#include <secagree.h>\nint main() { secagree_close(nullptr); }\n")
    T.ok(done.returncode == 0, "the header is one of C++ too", done.stderr)
    return made


def check_example(example, directory, env):
    def answer(request):
        message = request["params"]["message_base64"]
        return {"result": {"verdict": "forward", "why": "row 7", "message_base64": message}}

    with Played(directory, answer) as daemon:
        said = run(example, "192.0.2.7", "5060", "2001:db8::1", "5061", daemon.path, env=env,
                   input=b"REGISTER sip:x SIP/2.0\r\n\r\n")
        T.equal(said.stdout, b"forward: row 7\nREGISTER sip:x SIP/2.0\r\n\r\n",
                "the example hands a message over and prints what came back")
        T.equal(daemon.requests[0]["method"], "sip.request", "it asks sip.request")
        T.equal({name: value for name, value in daemon.requests[0]["params"].items()
                 if name != "message_base64"},
                {"source": {"address": "192.0.2.7", "port": 5060},
                 "destination": {"address": "2001:db8::1", "port": 5061}}, "with both places")
    said = run(example, "192.0.2.7", "5060", "192.0.2.1", "5060", directory + "/none", env=env,
               input=b"x")
    T.ok(said.returncode == 1 and b"No such file" in said.stderr, "without a daemon it says so",
         said.stderr)


def check_python(directory):
    def answer(request):
        if request["method"] == "close":
            return None
        if request["method"] == "refuse":
            return {"error": {"code": -32000, "message": "no", "data": {
                "reason": "limit", "verdict": "reject", "sip": {"code": 503}}}}
        return {"result": {"params": request["params"]}}

    with Played(directory, answer) as daemon, secagree.Connection(daemon.path) as connection:
        T.equal(connection.call("sa.x", a="\u00e9", b=None, c=[1])["params"], {"a": "\u00e9", "c": [1]},
                "secagree.py: parameters that are None are left out")
        try:
            connection.call("refuse")
            T.ok(False, "secagree.py: an error is raised")
        except secagree.Refused as refused:
            T.ok(refused.reason == "limit" and refused.sip["code"] == 503 and str(refused) == "no",
                 "secagree.py: an error is raised with its reason and the reply to give")
        try:
            connection.call("close")
            T.ok(False, "secagree.py: a daemon that goes away is an error")
        except OSError:
            T.equal([request["method"] for request in daemon.requests].count("close"), 2,
                    "secagree.py: asks a daemon that went away between two calls once more, not again")
        T.equal(connection.call("again")["params"], {}, "secagree.py: the next call finds it again")
        said = run(sys.executable, os.path.join(CLIENT, "secagree.py"), "--help")
        T.ok(said.returncode == 1 and b"usage" in said.stderr, "secagree.py: usage")


def check_page(directory, env):
    with open(os.path.join(ROOT, "conf/man/libsecagree.3"), encoding="utf-8") as f:
        page = f.read()
    told = set(re.findall(r"^\.Fn (secagree_\w+) \"", page, re.M))
    shared = os.path.join(directory + PREFIX, "lib", "libsecagree.so")
    symbols = run("nm", "-D", "--defined-only", shared).stdout.decode()
    true = set(re.findall(r" T (\w+)", symbols))
    T.equal(told, true, "libsecagree(3) has the functions that the library exports, and no others")
    needed = run("readelf", "-d", shared).stdout.decode()
    T.equal(re.findall(r"NEEDED.*\[(.*)\]", needed), ["libc.so.6"], "it needs nothing but libc")
    code = page[page.index(".Bd -literal"):page.index(".Ed")].partition("\n")[2]
    source = ("#include <secagree.h>\n#include <stdio.h>\n" + code.replace("\\e", "\\")
              + "int main(void) { return confirm(NULL, NULL, 0); }\n")
    done = run("cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c", "-",
               *flags(env, "--cflags"), input=source.encode())
    T.ok(done.returncode == 0, "the example of libsecagree(3) compiles", done.stderr)


def main():
    with tempfile.TemporaryDirectory() as directory:
        env = install(directory)
        example = check_compilers(directory, env)
        check_example(example, directory, env)
        check_python(directory)
        check_page(directory, env)
    T.done()


if __name__ == "__main__":
    main()
