/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts that SA and policy messages share: header, attributes, addresses, selectors, lifetimes;
 * and their reading back.
 *
 * Pure functions over caller's memory. Kernel structures are filled on the stack and copied into
 * the message, or copied out of it, because a message is aligned to 4 bytes and they want 8;
 * attributes that hold keys are reserved first and filled in place, so that no copy of a key
 * remains elsewhere.
 *
 * Deliberately absent: sockets, sequence numbers, any decision about what is sent.
 */
#include "xfrm/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

struct nlmsghdr *msg_start(void *buf, size_t cap, uint16_t type, uint16_t flags, const void *body,
			   size_t body_bytes)
{
	struct nlmsghdr *nlh;

	if (cap < sizeof(*nlh) + msg_align(body_bytes))
		return NULL;
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memcpy(mnl_nlmsg_put_extra_header(nlh, body_bytes), body, body_bytes);
	return nlh;
}

void *msg_reserve(struct nlmsghdr *nlh, size_t cap, uint16_t type, size_t bytes)
{
	static const uint8_t zeros[XFRM_MSG_BYTES];
	struct nlattr *attr = mnl_nlmsg_get_payload_tail(nlh);

	if (bytes > sizeof(zeros) || !mnl_attr_put_check(nlh, cap, type, bytes, zeros))
		return NULL;
	return mnl_attr_get_payload(attr);
}

int msg_put_if_id(struct nlmsghdr *nlh, size_t cap, uint32_t if_id)
{
	if (if_id && !mnl_attr_put_u32_check(nlh, cap, XFRMA_IF_ID, if_id))
		return -ENOSPC;
	return 0;
}

const struct nlmsghdr *msg_walk(const void *buf, size_t bytes, size_t *offset)
{
	const struct nlmsghdr *nlh = (const void *)((const uint8_t *)buf + *offset);
	size_t left = bytes - *offset;
	size_t step;

	if (left < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > left)
		return NULL;
	step = msg_align(nlh->nlmsg_len);
	*offset += step < left ? step : left;
	return nlh;
}

int msg_body(const struct nlmsghdr *nlh, void *ret, size_t bytes)
{
	if (mnl_nlmsg_get_payload_len(nlh) < bytes)
		return -EBADMSG;
	memcpy(ret, mnl_nlmsg_get_payload(nlh), bytes);
	return 0;
}

const struct nlattr *msg_attr(const struct nlmsghdr *nlh, size_t body_bytes, uint16_t type,
			      size_t min_bytes)
{
	size_t left = mnl_nlmsg_get_payload_len(nlh);
	const struct nlattr *attr;

	body_bytes = msg_align(body_bytes);
	if (left < body_bytes)
		return NULL;
	attr = mnl_nlmsg_get_payload_offset(nlh, body_bytes);
	for (left -= body_bytes; mnl_attr_ok(attr, (int)left); attr = mnl_attr_next(attr)) {
		size_t bytes = msg_align(mnl_attr_get_len(attr));

		if (mnl_attr_get_type(attr) == type)
			return mnl_attr_get_payload_len(attr) < min_bytes ? NULL : attr;
		/* The last one need not be padded. */
		left -= bytes < left ? bytes : left;
	}
	return NULL;
}

uint32_t msg_if_id(const struct nlmsghdr *nlh, size_t body_bytes)
{
	const struct nlattr *attr = msg_attr(nlh, body_bytes, XFRMA_IF_ID, sizeof(uint32_t));

	return attr ? mnl_attr_get_u32(attr) : 0;
}

void msg_address(const struct ip_addr *ip, xfrm_address_t *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, ip->bytes, ip_bytes(ip));
}

struct ip_addr msg_read_address(const xfrm_address_t *address, int family)
{
	struct ip_addr ip = {.family = family};

	memcpy(ip.bytes, address, ip_bytes(&ip));
	return ip;
}

bool msg_is_family(int family)
{
	return family == AF_INET || family == AF_INET6;
}

struct xfrm_lifetime_cfg msg_lifetime(uint64_t hard_s)
{
	return (struct xfrm_lifetime_cfg){
		.soft_byte_limit = XFRM_INF,
		.hard_byte_limit = XFRM_INF,
		.soft_packet_limit = XFRM_INF,
		.hard_packet_limit = XFRM_INF,
		.hard_add_expires_seconds = hard_s,
	};
}

uint8_t msg_mode(enum xfrm_mode mode)
{
	return mode == XFRM_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
}

static bool is_host_or_any(const struct ip_addr *ip, int family)
{
	return ip->family == AF_UNSPEC || ip->family == family;
}

/* The kernel compares selectors byte by byte: port bits outside the mask would hide a policy. */
static bool selector_is_legal(const struct xfrm_sel *sel)
{
	return msg_is_family(sel->family) && is_host_or_any(&sel->src, sel->family) &&
	       is_host_or_any(&sel->dst, sel->family) && !(sel->sport & ~sel->sport_mask) &&
	       !(sel->dport & ~sel->dport_mask);
}

int msg_selector(const struct xfrm_sel *sel, struct xfrm_selector *ret)
{
	if (!selector_is_legal(sel))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	msg_address(&sel->dst, &ret->daddr);
	msg_address(&sel->src, &ret->saddr);
	ret->dport = htons(sel->dport);
	ret->dport_mask = htons(sel->dport_mask);
	ret->sport = htons(sel->sport);
	ret->sport_mask = htons(sel->sport_mask);
	ret->family = (uint16_t)sel->family;
	ret->prefixlen_d = (uint8_t)(ip_bytes(&sel->dst) * 8);
	ret->prefixlen_s = (uint8_t)(ip_bytes(&sel->src) * 8);
	ret->proto = sel->proto;
	return 0;
}

static bool prefix_is_host_or_any(uint8_t bits, uint16_t family)
{
	return bits == 0 || bits == (family == AF_INET ? 32 : 128);
}

static struct ip_addr read_prefix(const xfrm_address_t *address, uint8_t bits, uint16_t family)
{
	return msg_read_address(address, bits ? family : AF_UNSPEC);
}

struct xfrm_sel msg_read_selector(const struct xfrm_selector *s)
{
	if (!msg_is_family(s->family) || !prefix_is_host_or_any(s->prefixlen_d, s->family) ||
	    !prefix_is_host_or_any(s->prefixlen_s, s->family) || s->ifindex || s->user)
		return (struct xfrm_sel){.family = AF_UNSPEC};
	return (struct xfrm_sel){
		.family = s->family,
		.src = read_prefix(&s->saddr, s->prefixlen_s, s->family),
		.dst = read_prefix(&s->daddr, s->prefixlen_d, s->family),
		.sport = ntohs(s->sport),
		.sport_mask = ntohs(s->sport_mask),
		.dport = ntohs(s->dport),
		.dport_mask = ntohs(s->dport_mask),
		.proto = s->proto,
	};
}
