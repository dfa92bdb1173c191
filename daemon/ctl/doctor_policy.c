/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: the kernel's policies against what the configuration wants there.
 *
 * A guard (plan.c) is preferred for the traffic of a protected port, or that traffic is not
 * protected: a policy of another program that meets it and has the same or a smaller priority is
 * reported, whatever it does. Subnets and masks are compared bit by bit, as the kernel does. What
 * is ours is told by the reqid of its template.
 *
 * Not looked at: policies for forwarding and for single sockets, for an XFRM interface, for marked
 * packets.
 */
#include <linux/xfrm.h>
#include <netlink/errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/doctor.h"
#include "daemon/ctl/kernel_read.h"
#include "daemon/plan.h"

struct row {
	struct xfrm_userpolicy_info info;
	struct xfrm_user_tmpl template;
	bool has_template;
};

struct spd {
	struct row *rows;
	size_t count;
};

/* ---- reading ---- */

static int take(const struct xfrm_userpolicy_info *info, const struct xfrm_user_tmpl *template,
		void *arg)
{
	struct spd *spd = arg;
	struct row *rows = reallocarray(spd->rows, spd->count + 1, sizeof(*rows));

	if (!rows)
		return -NLE_NOMEM;
	spd->rows = rows;
	rows[spd->count] = (struct row){.info = *info, .has_template = template != NULL};
	if (template)
		rows[spd->count].template = *template;
	spd->count++;
	return 0;
}

/* ---- comparing ---- */

static bool bits_equal(const void *a, const void *b, size_t bits)
{
	const uint8_t *p = a, *q = b;
	const unsigned rest = bits % 8;

	return memcmp(p, q, bits / 8) == 0 &&
	       (!rest || (uint8_t)(p[bits / 8] ^ q[bits / 8]) >> (8 - rest) == 0);
}

/* Does the subnet meet the host (or, AF_UNSPEC, everybody)? */
static bool meets(const xfrm_address_t *net, uint8_t bits, const struct ip_addr *host)
{
	return host->family == AF_UNSPEC || bits_equal(net, host->bytes, bits);
}

static bool ports_meet(uint16_t port_be, uint16_t mask_be, uint16_t port, uint16_t mask)
{
	return ((ntohs(port_be) ^ port) & ntohs(mask_be) & mask) == 0;
}

static uint8_t kernel_dir(const struct xfrm_policy *guard)
{
	return guard->dir == XFRM_IN ? XFRM_POLICY_IN : XFRM_POLICY_OUT;
}

static bool row_meets(const struct row *row, const struct xfrm_policy *guard)
{
	const struct xfrm_selector *s = &row->info.sel;

	return row->info.dir == kernel_dir(guard) && s->family == guard->sel.family &&
	       (!s->proto || s->proto == IPPROTO_UDP || s->proto == IPPROTO_TCP) &&
	       meets(&s->saddr, s->prefixlen_s, &guard->sel.src) &&
	       meets(&s->daddr, s->prefixlen_d, &guard->sel.dst) &&
	       ports_meet(s->sport, s->sport_mask, guard->sel.sport, guard->sel.sport_mask) &&
	       ports_meet(s->dport, s->dport_mask, guard->sel.dport, guard->sel.dport_mask);
}

static size_t prefix(const struct ip_addr *ip)
{
	return 8 * ip_bytes(ip);
}

/* The same selector: the kernel has one policy for it at most. */
static bool row_is_at(const struct row *row, const struct xfrm_policy *guard)
{
	const struct xfrm_selector *s = &row->info.sel;

	return row_meets(row, guard) && !s->proto && !s->ifindex &&
	       s->prefixlen_s == prefix(&guard->sel.src) &&
	       s->prefixlen_d == prefix(&guard->sel.dst) &&
	       ntohs(s->sport_mask) == guard->sel.sport_mask &&
	       ntohs(s->dport_mask) == guard->sel.dport_mask;
}

static bool is_ours(const struct doctor *d, const struct row *row)
{
	const uint32_t reqid = row->template.reqid;

	for (size_t i = 0; i < d->config.listener_count && row->has_template; i++) {
		const uint32_t mark = d->config.listeners[i].reqid;

		if (reqid == mark || reqid >> 16 == mark)
			return true;
	}
	return false;
}

static bool does_as(const struct row *row, const struct xfrm_policy *guard)
{
	const struct xfrm_user_tmpl *t = &row->template;

	return row->info.action == XFRM_POLICY_ALLOW && row->info.priority == guard->priority &&
	       row->has_template && t->id.proto == guard->proto && t->reqid == guard->reqid &&
	       t->mode == XFRM_MODE_TRANSPORT && !t->optional;
}

/* ---- reporting ---- */

static int describe_end(char *buf, size_t cap, const xfrm_address_t *address, const struct row *row,
			uint8_t bits, uint16_t port_be, uint16_t mask_be)
{
	struct ip_addr ip = {.family = row->info.sel.family};
	char text[IP_TEXT_BYTES];
	int n;

	memcpy(ip.bytes, address, ip_bytes(&ip));
	n = snprintf(buf, cap, "%s/%u", ip_format(&ip, text), bits);
	if (mask_be && n >= 0 && (size_t)n < cap)
		n += snprintf(buf + n, cap - (size_t)n, " port %u%s", ntohs(port_be),
			      mask_be == 0xffff ? "" : " (masked)");
	return n;
}

static const char *describe_action(const struct row *row, char *buf, size_t cap)
{
	if (row->info.action == XFRM_POLICY_BLOCK)
		snprintf(buf, cap, "drops it");
	else if (!row->has_template)
		snprintf(buf, cap, "lets it pass in clear");
	else
		snprintf(buf, cap, "wants SAs with reqid %u", row->template.reqid);
	return buf;
}

/* "in 0.0.0.0/0 to 192.0.2.0/24 port 6100, priority 10, index 17, drops it" */
static const char *describe(const struct row *row, char *buf, size_t cap)
{
	const struct xfrm_selector *s = &row->info.sel;
	char from[80], to[80], action[64];

	describe_end(from, sizeof(from), &s->saddr, row, s->prefixlen_s, s->sport, s->sport_mask);
	describe_end(to, sizeof(to), &s->daddr, row, s->prefixlen_d, s->dport, s->dport_mask);
	snprintf(buf, cap, "%s %s to %s, priority %u, index %u, %s",
		 row->info.dir == XFRM_POLICY_IN ? "in" : "out", from, to, row->info.priority,
		 row->info.index, describe_action(row, action, sizeof(action)));
	return buf;
}

static void report_stranger(struct doctor *d, const struct row *row,
			    const struct config_listener *l, const struct xfrm_policy *guard)
{
	char text[320];

	describe(row, text, sizeof(text));
	if (row_is_at(row, guard)) {
		doctor_find(d, DOCTOR_FAIL,
			    "%s: another program's policy has the place of a guard: %s", l->name,
			    text);
		doctor_advise(d,
			      "find out who makes it (an IKE daemon?), stop that, and delete it: "
			      "ip xfrm policy delete index %u dir %s",
			      row->info.index, row->info.dir == XFRM_POLICY_IN ? "in" : "out");
		return;
	}
	doctor_find(d, DOCTOR_FAIL, "%s: another program's policy shadows port %u: %s", l->name,
		    guard->dir == XFRM_IN ? guard->sel.dport : guard->sel.sport, text);
	doctor_advise(d,
		      "give it a priority above %u or a narrower selector, or give the listener a "
		      "priority below %u",
		      l->priority, row->info.priority);
}

/* Once, however many guards it meets. */
static void judge_stranger(struct doctor *d, const struct row *row)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];

	for (size_t i = 0; i < d->config.listener_count; i++) {
		const struct config_listener *l = &d->config.listeners[i];
		const size_t count = plan_guards(l, guards);

		for (size_t k = 0; k < count; k++) {
			const bool in_the_way =
				row->info.priority <= l->priority || row_is_at(row, &guards[k]);

			if (in_the_way && row_meets(row, &guards[k])) {
				report_stranger(d, row, l, &guards[k]);
				return;
			}
		}
	}
}

static bool is_there(const struct spd *spd, const struct xfrm_policy *guard)
{
	for (size_t i = 0; i < spd->count; i++)
		if (row_is_at(&spd->rows[i], guard) && does_as(&spd->rows[i], guard))
			return true;
	return false;
}

static void count_guards(struct doctor *d, const struct spd *spd, const struct config_listener *l)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(l, guards);
	size_t missing = 0;

	for (size_t i = 0; i < count; i++)
		missing += !is_there(spd, &guards[i]);
	if (!missing)
		return;
	doctor_find(d, DOCTOR_FAIL,
		    "%s: %zu of %zu guards %s missing: its ports stand open in clear", l->name,
		    missing, count, missing == 1 ? "is" : "are");
	doctor_advise(d, "secagreectl audit --mend puts them back; ip xfrm monitor policy shows "
			 "who takes them out");
}

void doctor_policies(struct doctor *d)
{
	struct spd spd = {0};
	int err;

	if (!doctor_is_net_admin("self")) {
		doctor_find(d, DOCTOR_WARN, "not read: that takes CAP_NET_ADMIN");
		doctor_advise(d, "run this as root");
		return;
	}
	err = kernel_read_policies(take, &spd);
	if (err) {
		doctor_find(d, DOCTOR_FAIL, "the kernel's policies cannot be read: %s",
			    nl_geterror(err));
		doctor_advise(d, "load the module xfrm_user, or boot a kernel that has it");
	}
	for (size_t i = 0; i < spd.count; i++)
		if (!is_ours(d, &spd.rows[i]))
			judge_stranger(d, &spd.rows[i]);
	for (size_t i = 0; i < d->config.listener_count && d->status && !err; i++)
		count_guards(d, &spd, &d->config.listeners[i]);
	free(spd.rows);
}
