/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closing a TCP connection from outside of the process that owns it (sock_diag SOCK_DESTROY).
 *
 * An SA that goes under an open connection leaves both ends hanging; destroyed before, its RST
 * leaves under ESP and the peer is told. The kernel falls back to the listening socket when no
 * connection has the 4-tuple, and would destroy that one: so the connection is looked up first and
 * destroyed by the cookie that the look-up returned.
 *
 * The socket is opened at the first use and kept. Deliberately absent: UDP, listeners, wildcards.
 */
#include "xfrm/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#define QUESTION_BYTES 128

/* inet_diag_msg's idiag_timer of a socket in TIME_WAIT: a remainder, no connection. */
#define TIMER_TIME_WAIT 3

static int ask(struct xfrm *x, uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *req,
	       const struct nlmsghdr **ret)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];

	if (!msg_start(buf, sizeof(buf), type, flags, req, sizeof(*req)))
		return -ENOSPC;
	return netlink_ask(&x->diag, (void *)buf, x->answer, sizeof(x->answer), ret);
}

/* -ENOENT: no connection, though perhaps a listener or a remainder. */
static int find_cookie(struct xfrm *x, struct inet_diag_req_v2 *req)
{
	const struct nlmsghdr *answer;
	struct inet_diag_msg found;
	int err = ask(x, SOCK_DIAG_BY_FAMILY, 0, req, &answer);

	if (err)
		return err;
	if (answer->nlmsg_type != SOCK_DIAG_BY_FAMILY || msg_body(answer, &found, sizeof(found)))
		return -EBADMSG;
	if (found.idiag_state == TCP_LISTEN || found.idiag_timer == TIMER_TIME_WAIT)
		return -ENOENT;
	memcpy(req->id.idiag_cookie, found.id.idiag_cookie, sizeof(req->id.idiag_cookie));
	return 0;
}

static int destroy(struct xfrm *x, struct inet_diag_req_v2 *req)
{
	const struct nlmsghdr *answer;
	int err = find_cookie(x, req);

	if (!err)
		err = ask(x, SOCK_DESTROY, NLM_F_ACK, req, &answer);
	/* ESTALE: it went by itself since the look-up, and something else was found. */
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

int xfrm_destroy_tcp(struct xfrm *x, const struct ip_addr *local, uint16_t local_port,
		     const struct ip_addr *remote, uint16_t remote_port)
{
	struct inet_diag_req_v2 req = {
		.sdiag_family = (uint8_t)local->family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = UINT32_MAX,
		.id = {.idiag_sport = htons(local_port),
		       .idiag_dport = htons(remote_port),
		       .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	int err = 0;

	if (!msg_is_family(local->family) || local->family != remote->family)
		return -EINVAL;
	memcpy(req.id.idiag_src, local->bytes, ip_bytes(local));
	memcpy(req.id.idiag_dst, remote->bytes, ip_bytes(remote));
	if (x->diag.fd < 0)
		err = netlink_open(NETLINK_SOCK_DIAG, &x->diag);
	return err ? err : destroy(x, &req);
}
