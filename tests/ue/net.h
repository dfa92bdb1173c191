/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone's sockets: UDP, TCP listeners, TCP connections, whole SIP messages in and out.
 */
#ifndef UE_NET_H
#define UE_NET_H

#include <poll.h>

#include "tests/ue/ip.h"
#include "proto/text.h"

#define NET_MAX_LINKS 32

/* Which of its own ports a link has. */
enum net_role {
	NET_CLEAR,  /* unprotected */
	NET_CLIENT, /* port_uc of a set */
	NET_SERVER, /* port_us */
};

enum net_kind {
	NET_FREE,
	NET_UDP,
	NET_LISTENER,
	NET_TCP,
};

struct net_link {
	enum net_kind kind;
	enum net_role role;
	int set_id; /* of NET_CLIENT; 0 for the others */
	int fd;
	bool connecting;
	struct ip local, peer; /* peer: TCP only */
	uint16_t local_port, peer_port;
	char *in; /* TCP: SIP_MAX_BYTES * 2 */
	size_t in_n;
	char *out; /* TCP: what could not be written yet */
	size_t out_n;
};

/* Where a message came from. */
struct net_source {
	int link;
	enum net_kind kind; /* NET_UDP or NET_TCP */
	enum net_role role;
	int set_id;
	struct ip peer;
	uint16_t peer_port, local_port;
};

struct net {
	struct net_link links[NET_MAX_LINKS];
	bool trace;
	/* @text is one message and valid during the call */
	void (*on_message)(void *ctx, const struct net_source *from, struct span text);
	/* a TCP link is lost; its slot is still in use; @why is errno, 0 = closed by the peer */
	void (*on_closed)(void *ctx, int link, int why);
	void *ctx;
};

void net_init(struct net *net);
void net_done(struct net *net);

/* Open a socket bound to @local and @port (0: any free one). The new link's index is the return
 * value, >= 0; or -errno, -EMFILE when all links are in use. */
int net_open_udp(struct net *net, const struct ip *local, uint16_t port, enum net_role role,
		 int set_id);
int net_open_listener(struct net *net, const struct ip *local, uint16_t port, enum net_role role);
/* Connects in the background; what is sent meanwhile waits. */
int net_connect(struct net *net, const struct ip *local, uint16_t local_port,
		const struct ip *peer, uint16_t peer_port, enum net_role role, int set_id);

/* Send one message; @to and @port are for UDP alone. Returns 0, -ENOTCONN (no such link) or
 * -errno. */
int net_send(struct net *net, int link, const struct ip *to, uint16_t port, struct span text);

/* Close without a word to on_closed(). @reset: a TCP peer gets an RST now instead of a FIN that
 * would outlive the SA which must carry its answers. */
void net_close(struct net *net, int link, bool reset);

/* All links of this role and, unless it is 0, this set. */
void net_close_role(struct net *net, enum net_role role, int set_id);

/* @fds has room for NET_MAX_LINKS; returns how many were filled. net_handle() takes the same. */
size_t net_poll_fill(const struct net *net, struct pollfd *fds);
void net_handle(struct net *net, const struct pollfd *fds, size_t count);

const char *net_kind_name(enum net_kind kind);

#endif
