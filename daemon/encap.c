/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel decapsulates ESP in UDP as long as a socket with UDP_ENCAP is bound to the port. What
 * the kernel does not want (packets with the non-ESP marker, garbage) arrives here and is thrown
 * away, so that the socket's buffer never fills.
 */
#include "daemon/encap.h"
#include "daemon/inherit.h"
#include "daemon/notify.h"

#include <errno.h>
#include <linux/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_PER_TURN 64

#define NAME "esp-in-udp" /* where the service manager keeps them */

struct encap {
	size_t count;
	struct encap_at {
		int fd;
		struct event *reader;
		struct ip_addr address;
		uint16_t port;
	} sockets[2 * CONFIG_MAX_LISTENERS]; /* in a reload, of the listeners before and after */
};

static void throw_away(evutil_socket_t fd, short what, void *arg)
{
	char byte;

	(void)what;
	(void)arg;
	for (unsigned i = 0; i < READS_PER_TURN && recv(fd, &byte, 1, MSG_DONTWAIT) >= 0; i++)
		;
}

/* An earlier run had it in the service manager's keeping. */
static bool is_bound_to(int fd, const void *arg)
{
	const struct config_listener *l = arg;
	struct sockaddr_storage address, bound = { 0 };
	const socklen_t len = ip_sockaddr(&l->address, l->encap_port, &address);
	socklen_t bound_len = sizeof(bound);
	socklen_t type_len = sizeof(int), encap_len = sizeof(int);
	int type = 0, encap = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_DGRAM &&
	       getsockname(fd, (struct sockaddr *)&bound, &bound_len) == 0 && bound_len == len &&
	       !memcmp(&bound, &address, len) &&
	       getsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &encap, &encap_len) == 0 &&
	       encap == UDP_ENCAP_ESPINUDP;
}

static int make_socket(const struct config_listener *l)
{
	const int type = UDP_ENCAP_ESPINUDP, one = 1;
	struct sockaddr_storage address;
	const socklen_t len = ip_sockaddr(&l->address, l->encap_port, &address);
	int fd = socket(l->address.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if ((l->address.family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0)
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int encap_socket(const struct config_listener *l)
{
	const int fd = inherit_take(is_bound_to, l);

	return fd >= 0 ? fd : make_socket(l);
}

static int open_one(struct event_base *loop, const struct config_listener *l, struct encap *encap)
{
	const int fd = encap_socket(l);
	struct event *reader;

	if (fd < 0)
		return fd;
	reader = event_new(loop, fd, EV_READ | EV_PERSIST, throw_away, NULL);
	if (!reader || event_add(reader, NULL) < 0) {
		if (reader)
			event_free(reader);
		close(fd);
		return -ENOMEM;
	}
	encap->sockets[encap->count++] = (struct encap_at){ fd, reader, l->address, l->encap_port };
	return 0;
}

static bool is_at(const struct encap_at *at, const struct config_listener *l)
{
	return at->port == l->encap_port && ip_equal(&at->address, &l->address);
}

static bool is_served_already(const struct encap *encap, const struct config_listener *l)
{
	for (size_t i = 0; i < encap->count; i++) {
		if (is_at(&encap->sockets[i], l))
			return true;
	}
	return false;
}

/* When one is closed, the messages of all phones behind NATs are lost until it is open again. So the
 * service manager keeps them; @stale: it has others, of listeners that are gone. */
static void keep_all(const struct encap *encap, bool stale)
{
	if (stale)
		(void)notify_drop(NAME);
	for (size_t i = 0; i < encap->count; i++)
		(void)notify_keep(encap->sockets[i].fd, NAME);
}

static void close_one(struct encap *encap, size_t i)
{
	event_free(encap->sockets[i].reader);
	close(encap->sockets[i].fd);
	encap->sockets[i] = encap->sockets[--encap->count];
}

static void explain(const struct config_listener *l, int err, char *ret_why, size_t why_cap)
{
	char address[IP_TEXT_BYTES];

	ip_format(&l->address, address);
	if (err == -EADDRNOTAVAIL)
		snprintf(ret_why, why_cap, "listener %s: %s is no address of this machine: set "
			 "\"address\" to one that is, or give it to an interface", l->name, address);
	else
		snprintf(ret_why, why_cap, "listener %s: UDP port %u for UDP-enc-tun: %s%s", l->name,
			 l->encap_port, strerror(-err),
			 err == -EADDRINUSE ? " (an IKE daemon? take UDP-enc-tun out of modes, or "
					      "choose another encap-port)"
					    : "");
}

int encap_add(struct encap *encap, struct event_base *loop, const struct config *config,
	      char *ret_why, size_t why_cap)
{
	const size_t before = encap->count;
	int err = 0;

	for (size_t i = 0; i < config->listener_count && !err; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (!l->select.udp_enc_tun || is_served_already(encap, l))
			continue;
		err = open_one(loop, l, encap);
		if (err)
			explain(l, err, ret_why, why_cap);
	}
	while (err && encap->count > before)
		close_one(encap, encap->count - 1);
	return err;
}

int encap_open(struct event_base *loop, const struct config *config, struct encap **ret,
	       char *ret_why, size_t why_cap)
{
	struct encap *encap = calloc(1, sizeof(*encap));
	int err;

	if (!encap) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	err = encap_add(encap, loop, config, ret_why, why_cap);
	if (err) {
		encap_close(encap);
		return err;
	}
	keep_all(encap, inherit_close_rest());
	*ret = encap;
	return 0;
}

/* Of a listener that no longer takes phones behind a NAT, those that it has still need it. */
void encap_trim(struct encap *encap, const struct config *config)
{
	const size_t before = encap->count;

	for (size_t i = encap->count; i-- > 0;) {
		bool wanted = false;

		for (size_t k = 0; k < config->listener_count; k++)
			wanted |= is_at(&encap->sockets[i], &config->listeners[k]);
		if (!wanted)
			close_one(encap, i);
	}
	keep_all(encap, encap->count < before);
}

void encap_close(struct encap *encap)
{
	if (!encap)
		return;
	while (encap->count)
		close_one(encap, encap->count - 1);
	free(encap);
}
