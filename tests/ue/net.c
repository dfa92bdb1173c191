/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of the phone, all non-blocking, in one table that the main loop polls.
 *
 * A UDP link receives from anyone; a listener's connections become links of the same role; a TCP
 * link cuts its stream into messages by Content-Length. Who a sender is and whether the message
 * was protected is for the layers above to judge; what is known here is the pair of ports.
 *
 * Not here: retransmission (txn.c), what the ports mean (set.c), ESP (the kernel).
 */
#include "tests/ue/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/ue/event.h"
#include "tests/ue/sip.h"

#define IN_BYTES (2 * (SIP_MAX_BYTES + 1))

void net_init(struct net *net)
{
	memset(net, 0, sizeof(*net));
	for (int i = 0; i < NET_MAX_LINKS; i++)
		net->links[i].fd = -1;
}

const char *net_kind_name(enum net_kind kind)
{
	switch (kind) {
	case NET_UDP:
		return "udp";
	case NET_TCP:
	case NET_LISTENER:
		return "tcp";
	case NET_FREE:
		break;
	}
	return "none";
}

static int free_link(const struct net *net)
{
	for (int i = 0; i < NET_MAX_LINKS; i++)
		if (net->links[i].kind == NET_FREE)
			return i;
	return -EMFILE;
}

static int bind_new(const struct ip *local, uint16_t port, int type)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(local, port, &ss);
	const int one = 1;
	int fd = socket(local->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	/* a port_uc is connected from again while its last connection is in TIME-WAIT */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Takes over @fd, also on failure. */
static int add_link(struct net *net, enum net_kind kind, enum net_role role, int set_id, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int i = free_link(net);
	struct net_link *link;
	char *in = NULL;

	if (i >= 0 && kind == NET_TCP && !(in = malloc(IN_BYTES)))
		i = -ENOMEM;
	if (i >= 0 && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		i = -errno;
	if (i < 0) {
		free(in);
		close(fd);
		return i;
	}
	link = &net->links[i];
	memset(link, 0, sizeof(*link));
	link->kind = kind;
	link->role = role;
	link->set_id = set_id;
	link->fd = fd;
	link->in = in;
	ip_from_sockaddr(&ss, &link->local, &link->local_port);
	return i;
}

int net_open_udp(struct net *net, const struct ip *local, uint16_t port, enum net_role role,
		 int set_id)
{
	int fd = bind_new(local, port, SOCK_DGRAM);

	return fd < 0 ? fd : add_link(net, NET_UDP, role, set_id, fd);
}

int net_open_listener(struct net *net, const struct ip *local, uint16_t port, enum net_role role)
{
	int fd = bind_new(local, port, SOCK_STREAM);
	int r;

	if (fd < 0)
		return fd;
	if (listen(fd, 8) == 0)
		return add_link(net, NET_LISTENER, role, 0, fd);
	r = -errno;
	close(fd);
	return r;
}

int net_connect(struct net *net, const struct ip *local, uint16_t local_port,
		const struct ip *peer, uint16_t peer_port, enum net_role role, int set_id)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(peer, peer_port, &ss);
	int fd = bind_new(local, local_port, SOCK_STREAM);
	int i;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS) {
		i = -errno;
		close(fd);
		return i;
	}
	i = add_link(net, NET_TCP, role, set_id, fd);
	if (i >= 0) {
		net->links[i].connecting = true;
		net->links[i].peer = *peer;
		net->links[i].peer_port = peer_port;
	}
	return i;
}

void net_close(struct net *net, int i, bool reset)
{
	const struct linger now = {.l_onoff = 1};
	struct net_link *link;

	if (i < 0 || i >= NET_MAX_LINKS || net->links[i].kind == NET_FREE)
		return;
	link = &net->links[i];
	if (reset && link->kind == NET_TCP)
		setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(link->fd);
	free(link->in);
	free(link->out);
	memset(link, 0, sizeof(*link));
	link->fd = -1;
}

void net_close_role(struct net *net, enum net_role role, int set_id)
{
	for (int i = 0; i < NET_MAX_LINKS; i++) {
		const struct net_link *link = &net->links[i];

		if (link->kind != NET_FREE && link->role == role &&
		    (set_id == 0 || link->set_id == set_id))
			net_close(net, i, true);
	}
}

void net_done(struct net *net)
{
	for (int i = 0; i < NET_MAX_LINKS; i++)
		net_close(net, i, true);
}

static void lose_link(struct net *net, int i, int why)
{
	if (net->on_closed)
		net->on_closed(net->ctx, i, why);
	net_close(net, i, false);
}

static void trace(const struct net *net, const char *verb, const struct net_link *link,
		  const struct ip *peer, uint16_t peer_port, struct span text)
{
	char here[IP_TEXT_BYTES], there[IP_TEXT_BYTES];

	if (!net->trace)
		return;
	event_trace(text.p, text.n, "%s transport=%s local=%s:%u peer=%s:%u protected=%s", verb,
		    net_kind_name(link->kind), ip_text(&link->local, here), link->local_port,
		    ip_text(peer, there), peer_port, link->role == NET_CLEAR ? "no" : "yes");
}

static int queue(struct net_link *link, struct span text)
{
	char *out = realloc(link->out, link->out_n + text.n);

	if (!out)
		return -ENOMEM;
	memcpy(out + link->out_n, text.p, text.n);
	link->out = out;
	link->out_n += text.n;
	return 0;
}

static int flush(struct net_link *link)
{
	ssize_t n;

	while (link->out_n > 0) {
		n = send(link->fd, link->out, link->out_n, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		link->out_n -= (size_t)n;
		memmove(link->out, link->out + n, link->out_n);
	}
	return 0;
}

int net_send(struct net *net, int i, const struct ip *to, uint16_t port, struct span text)
{
	struct net_link *link;
	struct sockaddr_storage ss;
	socklen_t len;
	int r;

	if (i < 0 || i >= NET_MAX_LINKS || net->links[i].kind == NET_FREE)
		return -ENOTCONN;
	link = &net->links[i];
	if (link->kind == NET_TCP) {
		trace(net, "sent", link, &link->peer, link->peer_port, text);
		r = queue(link, text);
		return r < 0 || link->connecting ? r : flush(link);
	}
	trace(net, "sent", link, to, port, text);
	len = ip_to_sockaddr(to, port, &ss);
	if (sendto(link->fd, text.p, text.n, 0, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return 0;
}

static void deliver(struct net *net, int i, const struct ip *peer, uint16_t peer_port,
		    struct span text)
{
	const struct net_link *link = &net->links[i];
	const struct net_source from = {
		.link = i,
		.kind = link->kind,
		.role = link->role,
		.set_id = link->set_id,
		.peer = *peer,
		.peer_port = peer_port,
		.local_port = link->local_port,
	};

	trace(net, "received", link, peer, peer_port, text);
	net->on_message(net->ctx, &from, text);
}

static void read_udp(struct net *net, int i)
{
	static char buf[SIP_MAX_BYTES + 1];
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ip peer;
	uint16_t port;
	ssize_t n = recvfrom(net->links[i].fd, buf, SIP_MAX_BYTES, 0, (struct sockaddr *)&ss, &len);

	/* a keepalive is a line end or two (RFC 5626), or less */
	if (n <= 4)
		return;
	buf[n] = '\0';
	ip_from_sockaddr(&ss, &peer, &port);
	deliver(net, i, &peer, port, (struct span){buf, (size_t)n});
}

static void accept_tcp(struct net *net, int i)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const struct net_link *listener = &net->links[i];
	int fd = accept4(listener->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int conn;

	if (fd < 0)
		return;
	conn = add_link(net, NET_TCP, listener->role, listener->set_id, fd);
	if (conn >= 0)
		ip_from_sockaddr(&ss, &net->links[conn].peer, &net->links[conn].peer_port);
}

/* Hands out what is whole. The handler may close the link. */
static void cut_stream(struct net *net, int i)
{
	struct net_link *link = &net->links[i];
	int fd = link->fd;

	while (link->kind == NET_TCP && link->fd == fd && link->in_n > 0) {
		static char message[IN_BYTES];
		ssize_t n = sip_message_length((struct span){link->in, link->in_n});
		size_t skip = 0;

		if (n < 0)
			lose_link(net, i, EBADMSG);
		if (n <= 0)
			return;
		memcpy(message, link->in, (size_t)n);
		message[n] = '\0';
		link->in_n -= (size_t)n;
		memmove(link->in, link->in + n, link->in_n);
		while (message[skip] == '\r' || message[skip] == '\n')
			skip++;
		deliver(net, i, &link->peer, link->peer_port,
			(struct span){message + skip, (size_t)n - skip});
	}
}

static void read_tcp(struct net *net, int i)
{
	struct net_link *link = &net->links[i];
	ssize_t n = recv(link->fd, link->in + link->in_n, IN_BYTES - 1 - link->in_n, 0);

	if (n > 0) {
		link->in_n += (size_t)n;
		cut_stream(net, i);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		lose_link(net, i, n == 0 ? 0 : errno);
	}
}

static void write_tcp(struct net *net, int i)
{
	struct net_link *link = &net->links[i];
	int error = 0;
	socklen_t len = sizeof(error);

	if (link->connecting) {
		getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		link->connecting = false;
	}
	if (error == 0)
		error = -flush(link);
	if (error != 0)
		lose_link(net, i, error);
}

size_t net_poll_fill(const struct net *net, struct pollfd *fds)
{
	for (int i = 0; i < NET_MAX_LINKS; i++) {
		const struct net_link *link = &net->links[i];
		bool writes = link->connecting || link->out_n > 0;

		/* poll() passes over a negative fd */
		fds[i].fd = link->kind == NET_FREE ? -1 : link->fd;
		fds[i].events = writes ? POLLIN | POLLOUT : POLLIN;
		fds[i].revents = 0;
	}
	return NET_MAX_LINKS;
}

static void handle_link(struct net *net, int i, short events)
{
	switch (net->links[i].kind) {
	case NET_UDP:
		read_udp(net, i);
		break;
	case NET_LISTENER:
		accept_tcp(net, i);
		break;
	case NET_TCP:
		if (net->links[i].connecting || (events & POLLOUT))
			write_tcp(net, i);
		if (net->links[i].kind == NET_TCP && !net->links[i].connecting && events & ~POLLOUT)
			read_tcp(net, i);
		break;
	case NET_FREE:
		break;
	}
}

void net_handle(struct net *net, const struct pollfd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		/* a handler may have closed it, and opened another, since poll() returned */
		if (fds[i].revents && fds[i].fd == net->links[i].fd)
			handle_link(net, (int)i, fds[i].revents);
}
