/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: the kernel's policies against what the configuration wants there.
 *
 * A guard (plan.c) is preferred for the traffic of a protected port, or that traffic is not
 * protected: a policy of another program that meets it and has the same or a smaller priority is
 * reported, whatever it does. Subnets and masks are compared bit by bit, as the kernel does. What
 * is ours is told by the reqid of its template.
 *
 * The listeners are those that the daemon says it has, where one runs: the file may have been edited
 * since, and a reqid or priority waits for a restart. Those of the file come on top. Without a
 * daemon, a policy that does a guard's work with another mark may be a guard of an earlier run, and
 * what must not be said of one is that it can be deleted.
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

/* Of those that run, and behind them those of the file. */
static const struct config_listener *listener_at(const struct doctor *d, size_t i)
{
	return i < d->running_count ? &d->running[i] : &d->config.listeners[i - d->running_count];
}

static size_t listener_count(const struct doctor *d)
{
	return d->running_count + d->config.listener_count;
}

static bool is_ours(const struct doctor *d, const struct row *row)
{
	const uint32_t reqid = row->template.reqid;

	for (size_t i = 0; i < listener_count(d) && row->has_template; i++) {
		const uint32_t mark = listener_at(d, i)->reqid;

		if (reqid == mark || reqid >> 16 == mark)
			return true;
	}
	return false;
}

/* Nothing passes but through an SA, whatever its algorithms. */
static bool blocks(const struct row *row)
{
	const struct xfrm_user_tmpl *t = &row->template;

	return row->info.action == XFRM_POLICY_ALLOW && row->has_template &&
	       t->id.proto == IPPROTO_ESP && t->mode == XFRM_MODE_TRANSPORT && !t->optional;
}

static bool does_as(const struct row *row, const struct xfrm_policy *guard)
{
	return blocks(row) && row->info.priority == guard->priority &&
	       row->template.reqid == guard->reqid;
}

/* Everybody to or from one port, or an aligned block of them, of one host. */
static bool has_form_of_guard(const struct row *row)
{
	const struct xfrm_selector *s = &row->info.sel;
	const uint8_t host = s->family == AF_INET ? 32 : 128;
	const bool in = row->info.dir == XFRM_POLICY_IN;

	return !s->proto && !s->ifindex && (in ? s->prefixlen_s : s->prefixlen_d) == 0 &&
	       (in ? s->prefixlen_d : s->prefixlen_s) == host &&
	       !(in ? s->sport_mask : s->dport_mask) && (in ? s->dport_mask : s->sport_mask);
}

static bool is_guard(const struct row *row, const struct xfrm_policy *guard)
{
	return row_is_at(row, guard) && does_as(row, guard);
}

/* Is @row to one of the guards of @l what @is_so asks? */
static bool any_guard(const struct row *row, const struct config_listener *l,
		      bool (*is_so)(const struct row *row, const struct xfrm_policy *guard))
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(l, guards);

	for (size_t i = 0; i < count; i++)
		if (is_so(row, &guards[i]))
			return true;
	return false;
}

/* Does it a guard's work for the ports of @l, a listener of the file, without being a guard that
 * anybody now wants? */
static bool may_be_past(const struct doctor *d, const struct row *row,
			const struct config_listener *l)
{
	if (!blocks(row) || !has_form_of_guard(row) || !any_guard(row, l, row_meets))
		return false;
	for (size_t i = 0; i < d->running_count; i++)
		if (any_guard(row, &d->running[i], row_meets))
			return false;
	for (size_t i = 0; i < listener_count(d); i++)
		if (any_guard(row, listener_at(d, i), is_guard))
			return false;
	return true;
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

	for (size_t i = 0; i < listener_count(d); i++) {
		const struct config_listener *l = listener_at(d, i);
		const size_t count = may_be_past(d, row, l) ? 0 : plan_guards(l, guards);

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

static void report_past(struct doctor *d, const struct spd *spd, const struct config_listener *l)
{
	const struct row *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < spd->count; i++) {
		if (!may_be_past(d, &spd->rows[i], l))
			continue;
		first = first ? first : &spd->rows[i];
		count++;
	}
	if (!first)
		return;
	doctor_find(d, DOCTOR_WARN,
		    "%s: %zu polic%s of reqid %u, priority %u on its ports; the file says reqid %u, "
		    "priority %u: maybe guards of an earlier run",
		    l->name, count, count == 1 ? "y" : "ies", first->template.reqid,
		    first->info.priority, l->reqid, l->priority);
	if (d->config.state_dir[0])
		doctor_advise(d, "leave them: they keep the ports closed. A start of secagreed "
				 "replaces them if they are its own, and else says so");
	else
		doctor_advise(d, "leave them: they keep the ports closed. If they are secagreed's "
				 "own, `secagreed --flush` with the file as it was takes them out");
}

static const struct row *find_at(const struct spd *spd, const struct xfrm_policy *guard)
{
	for (size_t i = 0; i < spd->count; i++)
		if (row_is_at(&spd->rows[i], guard))
			return &spd->rows[i];
	return NULL;
}

static void count_guards(struct doctor *d, const struct spd *spd, const struct config_listener *l)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(l, guards);
	size_t missing = 0, open = 0;

	for (size_t i = 0; i < count; i++) {
		const struct row *row = find_at(spd, &guards[i]);

		missing += !row || !does_as(row, &guards[i]);
		open += !row || !blocks(row);
	}
	if (!missing)
		return;
	doctor_find(d, DOCTOR_FAIL, "%s: %zu of %zu guards %s missing: %s", l->name, missing, count,
		    missing == 1 ? "is" : "are",
		    open ? "its ports stand open in clear"
			 : "what has their places lets no clear text in, and maybe no phone");
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
	for (size_t i = 0; i < d->config.listener_count && !err; i++)
		report_past(d, &spd, &d->config.listeners[i]);
	for (size_t i = 0; i < d->running_count && !err; i++)
		count_guards(d, &spd, &d->running[i]);
	free(spd.rows);
}
