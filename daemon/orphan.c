/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mark is the reqid of a listener, or one of its upper half for sets with policies of their
 * own, together with its address: the kernel asks nobody for it, so another program that uses both
 * would be taken for us. What bears it and belongs to no set is an orphan; audit.c deletes those.
 */
#include "daemon/orphan.h"

static bool is_ours(const struct config_listener *l, uint32_t reqid, const struct ip_addr *a,
		    const struct ip_addr *b)
{
	return (reqid == l->reqid || reqid >> 16 == l->reqid) &&
	       (ip_equal(a, &l->address) || ip_equal(b, &l->address));
}

bool orphan_is_our_sa(const struct config *config, const struct xfrm_dump_sa *sa)
{
	for (size_t i = 0; !sa->larval && i < config->listener_count; i++) {
		if (is_ours(&config->listeners[i], sa->stats.reqid, &sa->id.dst, &sa->stats.src))
			return true;
	}
	return false;
}

/* One of a set names the phone, a guard nobody: another listener's may have that priority. */
static bool is_guard(const struct xfrm_policy *policy)
{
	return policy->sel.src.family == AF_UNSPEC || policy->sel.dst.family == AF_UNSPEC;
}

bool orphan_is_our_policy(const struct config *config, const struct xfrm_policy *policy)
{
	for (size_t i = 0; !is_guard(policy) && i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (policy->priority == l->priority - 1 &&
		    is_ours(l, policy->reqid, &policy->sel.src, &policy->sel.dst))
			return true;
	}
	return false;
}
