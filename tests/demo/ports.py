# SPDX-License-Identifier: BSD-2-Clause
"""The sockets of a P-CSCF: UDP and TCP, clear and protected, IPv4 and IPv6, in one thread.

A Flow is where a message came from or goes to: a local address and port, a remote one and the
transport, with the connection under it when that is TCP. Whether packets of a flow are in ESP is
the kernel's business; a port number is all that this file sees of it.
"""

import errno
import fcntl
import selectors
import socket
import struct
import termios

import sip

CLEAR_PORT = 5060
LISTEN_BACKLOG = 64


class Flow:
    def __init__(self, transport, local, remote, connection=None):
        self.transport = transport
        self.local = local
        self.remote = remote
        self.connection = connection

    def __str__(self):
        ends = (f"{sip.host(address)}:{port}" for address, port in (self.local, self.remote))
        return f"{self.transport} " + " -> ".join(ends)


def address_family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound_socket(kind, address, port):
    """REUSEPORT lets connections leave from a port that another socket listens on."""
    opened = socket.socket(address_family(address), kind)
    opened.setblocking(False)
    if kind == socket.SOCK_STREAM:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind((address, port))
    return opened


class Connection:
    """One TCP connection; what cannot be written yet waits in @unsent."""

    def __init__(self, ports, opened, local, remote, connecting):
        self.ports = ports
        self.socket = opened
        self.flow = Flow("tcp", local, remote, self)
        self.stream = sip.Stream()
        self.unsent = b""
        self.connecting = connecting
        self.watch()

    def watch(self):
        wanted = selectors.EVENT_READ
        if self.connecting or self.unsent:
            wanted |= selectors.EVENT_WRITE
        try:
            self.ports.selector.modify(self.socket, wanted, self.ready)
        except KeyError:
            self.ports.selector.register(self.socket, wanted, self.ready)

    def ready(self, mask):
        try:
            if mask & selectors.EVENT_WRITE:
                self._write()
            if mask & selectors.EVENT_READ:
                self._read()
        except (OSError, sip.BadMessage) as error:
            self.close(str(error))

    def _write(self):
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, errno.errorcode.get(error, "?"))
        self.connecting = False
        sent = self.socket.send(self.unsent) if self.unsent else 0
        self.unsent = self.unsent[sent:]
        self.watch()

    def _read(self):
        data = self.socket.recv(65536)
        if not data:
            raise OSError("closed by the other side")
        for message in self.stream.feed(data):
            self.ports.on_message(message, self.flow)

    def send(self, data):
        if self.socket.fileno() < 0:
            raise ConnectionError("the connection is closed")
        self.unsent += data
        self.watch()

    def drained(self):
        """Has the other side acknowledged everything? Yes, too, when it has gone."""
        if self.socket.fileno() < 0:
            return True
        queued = fcntl.ioctl(self.socket, termios.TIOCOUTQ, struct.pack("i", 0))
        return not self.unsent and struct.unpack("i", queued)[0] == 0

    def close(self, why):
        if self.socket.fileno() < 0:
            return
        self.ports.selector.unregister(self.socket)
        self.socket.close()
        self.ports.forget(self, why)


class Ports:
    """@on_message(message, flow) gets all that arrives; @on_closed(flow, why) each lost
    connection."""

    def __init__(self, selector, on_message, on_closed):
        self.selector = selector
        self.on_message = on_message
        self.on_closed = on_closed
        self.udp = {}
        self.connections = {}
        self.bad_messages = 0

    def open(self, address, ports):
        for port in ports:
            udp = bound_socket(socket.SOCK_DGRAM, address, port)
            self.udp[address, port] = udp
            self.selector.register(udp, selectors.EVENT_READ,
                                   lambda mask, udp=udp, local=(address, port):
                                   self._datagrams(udp, local))
            tcp = bound_socket(socket.SOCK_STREAM, address, port)
            tcp.listen(LISTEN_BACKLOG)
            self.selector.register(tcp, selectors.EVENT_READ,
                                   lambda mask, tcp=tcp, local=(address, port):
                                   self._accept(tcp, local))

    def _datagrams(self, udp, local):
        while True:
            try:
                data, remote = udp.recvfrom(65536)
            except OSError:
                return
            if not data.strip(b"\r\n\0"):
                continue  # a keep-alive
            try:
                message = sip.Message.parse(data)
            except sip.BadMessage:
                self.bad_messages += 1
                continue
            self.on_message(message, Flow("udp", local, remote[:2]))

    def _accept(self, tcp, local):
        try:
            opened, remote = tcp.accept()
        except OSError:
            return
        opened.setblocking(False)
        self.connections[local, remote[:2]] = Connection(self, opened, local, remote[:2], False)

    def _connect(self, local, remote):
        opened = bound_socket(socket.SOCK_STREAM, *local)
        error = opened.connect_ex(remote)
        if error not in (0, errno.EINPROGRESS):
            opened.close()
            raise OSError(error, errno.errorcode.get(error, "?"))
        connection = Connection(self, opened, local, remote, True)
        self.connections[local, remote] = connection
        return connection

    def flow_to(self, transport, local, remote):
        """A flow for requests to the phone; for TCP the connection is opened if there is none."""
        if transport == "udp":
            return Flow("udp", local, remote)
        connection = self.connections.get((local, remote)) or self._connect(local, remote)
        return connection.flow

    def send(self, flow, data):
        if flow.transport == "tcp":
            flow.connection.send(data)
        else:
            self.udp[flow.local].sendto(data, flow.remote)

    def forget(self, connection, why):
        key = connection.flow.local, connection.flow.remote
        if self.connections.get(key) is connection:
            del self.connections[key]
        self.on_closed(connection.flow, why)
