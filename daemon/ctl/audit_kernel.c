/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl audit: the kernel's side. SAs and policies that bear our mark become lines; of the others
 * is kept how many there are.
 *
 * The mark is a listener's reqid together with its address at one end; sets with policies of their
 * own have it in the upper half. What a line does not say is not compared: algorithms and keys (the
 * daemon has none), the replay state, the priority of a policy, the peer's port of ESP in UDP, which
 * may change at any time.
 */
#include <linux/xfrm.h>
#include <netlink/errno.h>
#include <string.h>

#include "daemon/ctl/audit.h"
#include "daemon/ctl/kernel_read.h"

/* ---- lines ---- */

const char *audit_sa_line(const struct audit_sa *sa, char buf[static AUDIT_LINE_BYTES])
{
	snprintf(buf, AUDIT_LINE_BYTES, "%s SA %s -> %s spi 0x%08x, ports %u -> %u, %s, reqid %u%s%s",
		 sa->proto, sa->src, sa->dst, sa->spi, sa->sport, sa->dport, sa->mode, sa->reqid,
		 sa->in_udp ? ", in UDP" : "", sa->odd);
	return buf;
}

static const char *end_text(const struct audit_end *end, char *buf, size_t cap)
{
	if (!end->mask)
		snprintf(buf, cap, "%s", end->address);
	else if (end->mask == 0xffff)
		snprintf(buf, cap, "%s port %u", end->address, end->port);
	else
		snprintf(buf, cap, "%s port %u/0x%04x", end->address, end->port, end->mask);
	return buf;
}

const char *audit_policy_line(const struct audit_policy *policy,
			      char buf[static AUDIT_LINE_BYTES])
{
	char src[80], dst[80];

	snprintf(buf, AUDIT_LINE_BYTES, "policy %s %s -> %s, %s, %s, reqid %u%s",
		 policy->in ? "in" : "out", end_text(&policy->src, src, sizeof(src)),
		 end_text(&policy->dst, dst, sizeof(dst)), policy->proto, policy->mode,
		 policy->reqid, policy->odd);
	return buf;
}

/* ---- the kernel's words ---- */

static struct ip_addr ip_of(const xfrm_address_t *address, uint16_t family)
{
	struct ip_addr ip = {.family = family};

	memcpy(ip.bytes, address, ip_bytes(&ip));
	return ip;
}

static bool is_host(uint8_t prefix, uint16_t family)
{
	return prefix == (family == AF_INET6 ? 128 : 32);
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_ESP ? "esp" : proto == IPPROTO_AH ? "ah" : "other";
}

static const char *mode_name(uint8_t mode)
{
	return mode == XFRM_MODE_TRANSPORT ? "transport" : mode == XFRM_MODE_TUNNEL ? "tunnel" : "?";
}

static bool is_ours(const struct config *config, uint32_t reqid, const struct ip_addr *src,
		    const struct ip_addr *dst)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if ((reqid == l->reqid || reqid >> 16 == l->reqid) &&
		    (ip_equal(src, &l->address) || ip_equal(dst, &l->address)))
			return true;
	}
	return false;
}

/* ---- SAs ---- */

/* Ours have a selector for their own ends and any protocol. */
static bool is_odd(const struct xfrm_usersa_info *info)
{
	const struct xfrm_selector *s = &info->sel;
	const size_t bytes = info->family == AF_INET6 ? 16 : 4;

	return s->family != info->family || s->proto || s->ifindex ||
	       !is_host(s->prefixlen_s, s->family) || !is_host(s->prefixlen_d, s->family) ||
	       memcmp(&s->saddr, &info->saddr, bytes) != 0 ||
	       memcmp(&s->daddr, &info->id.daddr, bytes) != 0;
}

static int keep(json_t *lines, const char *line, json_int_t until_s)
{
	return json_object_set_new(lines, line, json_integer(until_s)) < 0 ? -NLE_NOMEM : 0;
}

static int see_sa(const struct xfrm_usersa_info *info, bool in_udp, void *arg)
{
	const struct ip_addr src = ip_of(&info->saddr, info->family);
	const struct ip_addr dst = ip_of(&info->id.daddr, info->family);
	const uint64_t hard_s = info->lft.hard_add_expires_seconds;
	char from[IP_TEXT_BYTES], to[IP_TEXT_BYTES], line[AUDIT_LINE_BYTES];
	struct audit_kernel *kernel = arg;
	const struct audit_sa sa = {
		.proto = proto_name(info->id.proto),
		.mode = mode_name(info->mode),
		.src = ip_format(&src, from),
		.dst = ip_format(&dst, to),
		.spi = ntohl(info->id.spi),
		.reqid = info->reqid,
		.sport = ntohs(info->sel.sport),
		.dport = ntohs(info->sel.dport),
		.in_udp = in_udp,
		.odd = is_odd(info) ? ", an odd selector" : "",
	};

	if (!info->id.spi)
		kernel->larval_sas++;
	else if (!is_ours(kernel->config, info->reqid, &src, &dst))
		kernel->foreign_sas++;
	else
		return keep(kernel->sas, audit_sa_line(&sa, line),
			    hard_s ? (json_int_t)(info->curlft.add_time + hard_s) : 0);
	return 0;
}

/* ---- policies ---- */

/* "any", an address, or an address with the length of its prefix. */
static const char *net_text(const struct ip_addr *ip, uint8_t prefix, char *buf, size_t cap)
{
	char text[IP_TEXT_BYTES];

	if (!prefix)
		return "any";
	if (is_host(prefix, (uint16_t)ip->family))
		snprintf(buf, cap, "%s", ip_format(ip, text));
	else
		snprintf(buf, cap, "%s/%u", ip_format(ip, text), prefix);
	return buf;
}

static int see_policy(const struct xfrm_userpolicy_info *info,
		      const struct xfrm_user_tmpl *template, void *arg)
{
	const struct xfrm_selector *s = &info->sel;
	const struct ip_addr src = ip_of(&s->saddr, s->family), dst = ip_of(&s->daddr, s->family);
	char from[64], to[64], line[AUDIT_LINE_BYTES];
	struct audit_kernel *kernel = arg;
	struct audit_policy policy = {
		.in = info->dir == XFRM_POLICY_IN,
		.src = {net_text(&src, s->prefixlen_s, from, sizeof(from)), ntohs(s->sport),
			ntohs(s->sport_mask)},
		.dst = {net_text(&dst, s->prefixlen_d, to, sizeof(to)), ntohs(s->dport),
			ntohs(s->dport_mask)},
		.odd = s->proto || s->ifindex ? ", an odd selector" : "",
	};

	if (!template || !is_ours(kernel->config, template->reqid, &src, &dst)) {
		kernel->foreign_policies++;
		return 0;
	}
	policy.proto = proto_name(template->id.proto);
	policy.mode = mode_name(template->mode);
	policy.reqid = template->reqid;
	if (info->action != XFRM_POLICY_ALLOW || template->optional)
		policy.odd = ", without effect";
	return keep(kernel->policies, audit_policy_line(&policy, line), 0);
}

int audit_read_kernel(struct audit_kernel *kernel)
{
	int err = kernel_read_sas(see_sa, kernel);

	return err < 0 ? err : kernel_read_policies(see_policy, kernel);
}
