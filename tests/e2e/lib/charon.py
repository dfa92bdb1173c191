# SPDX-License-Identifier: BSD-2-Clause
"""A neighbour of secagreed in its network namespace: strongSwan's charon, with an IKE SA and two
CHILD SAs of its own to a peer, over which packets go all the time.

    class Bed(charon.Neighbour, lab.Lab):   make_peer() with the hosts, start_charons()
    watch = charon.Watch(bed, tap)          what charon has in the kernel now, and its echoes
    watch.same("registration")              nothing of it has changed, no packet is lost
    watch.alive()                           at the end

charon hears every ACQUIRE, so the kernel makes larval SAs with secagreed's reqid here: those are
nobody's.
"""

import os
import subprocess
import sys

import kernel
import lab
import netns

CHARON = "/usr/lib/ipsec/charon"
PEER_DEVICE = "peer0"
OURS, THEIRS = "10.9.0.1", "10.9.0.2"   # of the hosts: transport mode
INNER, BEHIND = "10.9.1.1", "10.9.2.1"  # behind them: tunnel mode
ECHO_PORT = 7777
ECHO_LIMIT_S = 20
REQID = 33203
KEPT = ("src", "\tproto", "\treplay-window", "\tauth", "\tenc ", "\taead", "\tencap", "\tsel")
ENCAP_PORT = 4600  # for secagreed: charon has 4500

STRONGSWAN_CONF = """
charon {{
    load = random nonce aes sha1 sha2 hmac kdf gmp kernel-netlink socket-default vici
    install_routes = no
    plugins {{ vici {{ socket = unix://{vici} }} }}
    filelog {{ log {{ path = {log}
        flush_line = yes }} }}
}}
"""

# No child is ever rekeyed: what is there at the start must be there at the end.
SWANCTL_CONF = """
connections {{ peer {{
    version = 2
    local_addrs = {local}
    remote_addrs = {remote}
    rekey_time = 0
    proposals = aes128-sha256-modp2048
    local {{ auth = psk
        id = {local} }}
    remote {{ auth = psk
        id = {remote} }}
    children {{
        tunnel {{ mode = tunnel
            local_ts = {inside}/32
            remote_ts = {behind}/32
            rekey_time = 0
            esp_proposals = aes128gcm128 }}
        host {{ mode = transport
            local_ts = dynamic[udp]
            remote_ts = dynamic[udp]
            rekey_time = 0
            esp_proposals = aes128-sha256 }}
    }}
}} }}
secrets {{ ike {{ secret = "nobody else knows" }} }}
"""

ECHO_SERVER = """
import socket
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
for one, address in zip(sockets, {addresses!r}):
    one.bind((address, {port}))
import select
print("ready", flush=True)
while True:
    for one in select.select(sockets, [], [])[0]:
        data, source = one.recvfrom(2000)
        one.sendto(data, source)
"""

# One question at a time over each way, each answered or told as lost.
ECHO_CLIENT = """
import socket, time
ways = {ways!r}
sockets = []
for local, remote in ways:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((local, 0))
    one.connect((remote, {port}))
    one.settimeout({limit})
    sockets.append(one)
number = 0
while True:
    for one, (local, remote) in zip(sockets, ways):
        number += 1
        try:
            one.send(b"%d" % number)
            answer = one.recv(2000) == b"%d" % number
        except OSError as error:
            answer = error
        print("echo" if answer is True else f"lost {{remote}} {{answer}}", flush=True)
    time.sleep({every})
"""


class Neighbour:
    """Of a lab that has a pcscf_host."""

    echo_every_s = 0.1

    def make_peer(self):
        self.peer_host = self._host(f"secagree-{os.getpid()}-peer")
        netns.join(self.pcscf_host, self.peer_host, PEER_DEVICE)
        netns.address(self.pcscf_host, PEER_DEVICE, [f"{OURS}/24"])
        netns.address(self.peer_host, PEER_DEVICE, [f"{THEIRS}/24"])
        for host, inner, behind, gateway in ((self.pcscf_host, INNER, BEHIND, THEIRS),
                                             (self.peer_host, BEHIND, INNER, OURS)):
            host.ip_batch([f"addr add {inner}/32 dev lo",
                           f"route add {behind}/32 via {gateway} src {inner}"])

    def start_charon(self, name, host, ends, inside):
        """With a /run of its own: charon's place for its process id is built in."""
        directory = os.path.join(self.directory, name)
        os.mkdir(directory)
        paths = {file: os.path.join(directory, file)
                 for file in ("vici", "log", "strongswan.conf", "swanctl.conf")}
        with open(paths["strongswan.conf"], "w", encoding="ascii") as file:
            file.write(STRONGSWAN_CONF.format(**paths))
        with open(paths["swanctl.conf"], "w", encoding="ascii") as file:
            file.write(SWANCTL_CONF.format(local=ends[0], remote=ends[1], inside=inside[0],
                                           behind=inside[1]))
        child = self._start(name, [
            "unshare", "--mount", "env", f"STRONGSWAN_CONF={paths['strongswan.conf']}", "sh", "-c",
            f"mount -t tmpfs tmpfs /run && exec {CHARON}"], host, lab.plain)
        child.vici, child.log, child.config = paths["vici"], paths["log"], paths["swanctl.conf"]
        self.until(lambda: os.path.exists(child.vici) and self.swanctl(child, "--stats"),
                   f"{name} answers")
        self.swanctl(child, "--load-all", "--file", child.config)
        return child

    def swanctl(self, charon, *arguments):
        done = subprocess.run(["swanctl", *arguments, "--uri", f"unix://{charon.vici}"],
                              capture_output=True, text=True, check=False)
        if done.returncode and "--stats" not in arguments:
            raise lab.Failure(f"swanctl {arguments}: {done.stderr}{done.stdout}{log_of(charon)}")
        return "" if done.returncode else done.stdout

    def start_charons(self):
        self.peer_charon = self.start_charon("peer", self.peer_host, (THEIRS, OURS),
                                             (BEHIND, INNER))
        self.charon = self.start_charon("charon", self.pcscf_host, (OURS, THEIRS),
                                        (INNER, BEHIND))
        for child in ("tunnel", "host"):
            self.swanctl(self.charon, "--initiate", "--child", child, "--timeout", "60")

    def start_echo(self):
        server = ECHO_SERVER.format(addresses=[THEIRS, BEHIND], port=ECHO_PORT)
        self._start("server", [sys.executable, "-c", server], self.peer_host, lab.words)
        self.wait("server", "ready")
        client = ECHO_CLIENT.format(ways=[(OURS, THEIRS), (INNER, BEHIND)], port=ECHO_PORT,
                                    limit=ECHO_LIMIT_S, every=self.echo_every_s)
        self.echo = self._start("echo", [sys.executable, "-c", client], self.pcscf_host, lab.words)
        self.wait("echo", "echo")


def log_of(charon):
    with open(charon.log, encoding="utf-8", errors="replace") as file:
        return "\nits log:\n" + "".join(file.readlines()[-30:])


def theirs(namespace):
    """SAs and policies that are not secagreed's, as text without what counts: keys, SPIs, reqids,
    selectors, priorities."""
    sas = ["\n".join(line for line in block.split("\n") if line.startswith(KEPT))
           for block in kernel.blocks(namespace.ip("xfrm", "state"))
           if not is_ours(block) and "spi 0x00000000" not in block]
    policies = [block for block in kernel.blocks(namespace.ip("xfrm", "policy"))
                if not is_ours(block)]
    return sorted(sas), sorted(policies)


def is_ours(block):
    return f"reqid {REQID} " in block


def ours(namespace):
    return [sa for sa in kernel.sas(namespace) if sa.reqid == REQID]


class Watch:
    def __init__(self, bed, tap):
        self.bed = bed
        self.tap = tap
        self.before = theirs(bed.pcscf_host)
        sas, policies = self.before
        tap.ok(len(sas) == 4 and len(policies) >= 5
               and any("mode tunnel" in one for one in sas)
               and any("mode transport" in one for one in sas),
               "charon has a tunnel and a transport CHILD SA", len(sas), *policies)
        bed.start_echo()

    def same(self, what):
        now = theirs(self.bed.pcscf_host)
        gone = [one for old, new in zip(self.before, now) for one in old if one not in new]
        come = [one for old, new in zip(self.before, now) for one in new if one not in old]
        lost = self.bed.find("echo", "lost")
        self.tap.ok(not gone and not come and not lost,
                    f"{what}: charon's SAs and policies are as they were, no packet is lost",
                    "gone:", *gone, "come:", *come, *lost)

    def alive(self):
        counted = {sa.spi: sa.packets for sa in kernel.sas(self.bed.pcscf_host)
                   if sa.reqid != REQID}
        echoes = len(self.bed.find("echo", "echo"))
        self.tap.ok(echoes > 20 and len(counted) == 4
                    and min(counted.values()) >= echoes // 2 - 1,
                    "each echo of all that time went over charon's SAs", echoes, counted)
        said = self.bed.swanctl(self.bed.charon, "--list-sas")
        self.tap.ok(said.count("ESTABLISHED") == 1 and said.count("INSTALLED") == 2,
                    "for charon, too, its SAs are as they were", said)
