/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel tells unasked: SAs that expired, NAT mappings that moved, policies that went.
 *
 * The socket is opened once, watched by the caller's loop and read whenever it is readable. Lost
 * events (ENOBUFS) are an event themselves; the caller then compares with a dump. Messages are read
 * by what they hold, not by their exact length, which differs between kernels.
 *
 * Deliberately absent: the SA group, which would bring everybody's keys here and echo our own
 * changes; and ACQUIRE, whose mere listening makes the kernel create larval SAs.
 */
#include "xfrm/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A policy with all its templates is below 1 KiB. */
#define EVENT_BYTES 8192

struct xfrm_events {
	struct netlink_port port;
	_Alignas(8) uint8_t buf[EVENT_BYTES];
};

static int join_groups(int fd)
{
	static const int groups[] = {XFRMNLGRP_EXPIRE, XFRMNLGRP_POLICY, XFRMNLGRP_MAPPING};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			return -errno;
	return 0;
}

int xfrm_events_open(size_t rcvbuf_bytes, struct xfrm_events **ret)
{
	struct xfrm_events *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	err = netlink_socket(NETLINK_XFRM, &e->port);
	if (err) {
		free(e);
		return err;
	}
	netlink_set_buffer(e->port.fd, SO_RCVBUF, rcvbuf_bytes);
	err = join_groups(e->port.fd);
	if (err) {
		xfrm_events_close(e);
		return err;
	}
	*ret = e;
	return 0;
}

void xfrm_events_close(struct xfrm_events *e)
{
	if (!e)
		return;
	netlink_close(&e->port);
	free(e);
}

int xfrm_events_fd(const struct xfrm_events *e)
{
	return e->port.fd;
}

/* A soft limit says nothing that matters here, and a larval SA (SPI 0) was nobody's. */
static bool read_expire(const struct nlmsghdr *nlh, struct xfrm_event *ret)
{
	uint8_t body[offsetof(struct xfrm_user_expire, hard) + 1];
	struct xfrm_usersa_info info;

	if (msg_body(nlh, body, sizeof(body)))
		return false;
	memcpy(&info, body, sizeof(info));
	if (!body[sizeof(body) - 1] || !info.id.spi || !msg_is_family(info.family))
		return false;
	*ret = (struct xfrm_event){
		.kind = XFRM_EVENT_EXPIRED,
		.sa = {.dst = msg_read_address(&info.id.daddr, info.family),
		       .spi = ntohl(info.id.spi),
		       .proto = info.id.proto},
		.reqid = info.reqid,
	};
	return true;
}

static bool read_mapping(const struct nlmsghdr *nlh, struct xfrm_event *ret)
{
	struct xfrm_user_mapping m;

	if (msg_body(nlh, &m, sizeof(m)) || !msg_is_family(m.id.family))
		return false;
	*ret = (struct xfrm_event){
		.kind = XFRM_EVENT_MAPPING,
		.sa = msg_read_sa_id(&m.id),
		.reqid = m.reqid,
		.new_addr = msg_read_address(&m.new_saddr, m.id.family),
		.new_port = ntohs(m.new_sport),
	};
	return true;
}

static bool policy_event(enum xfrm_event_kind kind, const struct nlmsghdr *nlh,
			 const struct xfrm_userpolicy_info *info, size_t body_bytes,
			 struct xfrm_event *ret)
{
	struct xfrm_policy policy;

	if (msg_read_policy(nlh, info, body_bytes, &policy))
		return false;
	*ret = (struct xfrm_event){.kind = kind, .reqid = policy.reqid, .policy = policy};
	return true;
}

/* The body names the policy as the request did; the policy itself is an attribute. */
static bool read_delete_policy(const struct nlmsghdr *nlh, struct xfrm_event *ret)
{
	struct xfrm_userpolicy_id id;
	struct xfrm_userpolicy_info info;
	const struct nlattr *attr = msg_attr(nlh, sizeof(id), XFRMA_POLICY, sizeof(info));

	if (!attr)
		return false;
	memcpy(&info, mnl_attr_get_payload(attr), sizeof(info));
	return policy_event(XFRM_EVENT_POLICY_DELETED, nlh, &info, sizeof(id), ret);
}

static bool read_policy_expire(const struct nlmsghdr *nlh, struct xfrm_event *ret)
{
	uint8_t body[offsetof(struct xfrm_user_polexpire, hard) + 1];
	struct xfrm_userpolicy_info info;

	if (msg_body(nlh, body, sizeof(body)) || !body[sizeof(body) - 1])
		return false;
	memcpy(&info, body, sizeof(info));
	return policy_event(XFRM_EVENT_POLICY_DELETED, nlh, &info,
			    sizeof(struct xfrm_user_polexpire), ret);
}

static bool read_change_policy(const struct nlmsghdr *nlh, struct xfrm_event *ret)
{
	struct xfrm_userpolicy_info info;

	if (msg_body(nlh, &info, sizeof(info)))
		return false;
	return policy_event(XFRM_EVENT_POLICY_CHANGED, nlh, &info, sizeof(info), ret);
}

bool xfrm_event_parse(const struct nlmsghdr *nlh, struct xfrm_event *ret)
{
	switch (nlh->nlmsg_type) {
	case XFRM_MSG_EXPIRE:
		return read_expire(nlh, ret);
	case XFRM_MSG_MAPPING:
		return read_mapping(nlh, ret);
	case XFRM_MSG_DELPOLICY:
		return read_delete_policy(nlh, ret);
	case XFRM_MSG_POLEXPIRE:
		return read_policy_expire(nlh, ret);
	case XFRM_MSG_UPDPOLICY:
		return read_change_policy(nlh, ret);
	case XFRM_MSG_FLUSHPOLICY:
		*ret = (struct xfrm_event){.kind = XFRM_EVENT_POLICIES_FLUSHED};
		return true;
	}
	return false;
}

static void read_datagram(struct xfrm_events *e, size_t bytes,
			  void (*each)(const struct xfrm_event *event, void *arg), void *arg)
{
	const struct nlmsghdr *nlh;
	size_t offset = 0;

	while ((nlh = msg_walk(e->buf, bytes, &offset))) {
		struct xfrm_event event;

		if (xfrm_event_parse(nlh, &event))
			each(&event, arg);
	}
}

int xfrm_events_read(struct xfrm_events *e, size_t max,
		     void (*each)(const struct xfrm_event *event, void *arg), void *arg)
{
	static const struct xfrm_event lost = {.kind = XFRM_EVENT_LOST};

	for (size_t i = 0; i < max; i++) {
		size_t bytes = 0;
		int err = netlink_recv(&e->port, e->buf, sizeof(e->buf), &bytes);

		if (err == -EAGAIN)
			return 0;
		if (err == -ENOBUFS || err == -EMSGSIZE)
			each(&lost, arg);
		else if (err)
			return err;
		read_datagram(e, bytes, each, arg);
	}
	return 0;
}
