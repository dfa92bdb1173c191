/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * At start no set is known, so every SA that is marked as ours belongs to nobody: the phone behind it
 * registers again. Deletion goes in two steps, first collecting and then deleting, since a dump and
 * a transaction share the kernel's lock but not a moment.
 */
#include "daemon/orphan.h"
#include "daemon/event.h"

#include <errno.h>
#include <stdlib.h>

struct orphans {
	const struct config *config;
	struct xfrm_sa_id *sas;
	struct xfrm_policy *policies;
	size_t sa_count, policy_count;
};

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

bool orphan_is_our_policy(const struct config *config, const struct xfrm_policy *policy)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (policy->priority == l->priority - 1 &&
		    is_ours(l, policy->reqid, &policy->sel.src, &policy->sel.dst))
			return true;
	}
	return false;
}

/* Room for one more behind @count, doubling at powers of two. */
static void *room(void *array, size_t count, size_t size)
{
	return count & (count - 1) ? array : reallocarray(array, count ? count * 2 : 1, size);
}

static int see_sa(const struct xfrm_dump_sa *sa, void *arg)
{
	struct orphans *o = arg;
	struct xfrm_sa_id *sas;

	if (!orphan_is_our_sa(o->config, sa))
		return 0;
	sas = room(o->sas, o->sa_count, sizeof(*sas));
	if (!sas)
		return -ENOMEM;
	o->sas = sas;
	o->sas[o->sa_count++] = sa->id;
	return 0;
}

static int see_policy(const struct xfrm_policy *policy, void *arg)
{
	struct orphans *o = arg;
	struct xfrm_policy *policies;

	if (!orphan_is_our_policy(o->config, policy))
		return 0;
	policies = room(o->policies, o->policy_count, sizeof(*policies));
	if (!policies)
		return -ENOMEM;
	o->policies = policies;
	o->policies[o->policy_count++] = *policy;
	return 0;
}

static int remove_all(struct xfrm *xfrm, const struct orphans *o)
{
	struct xfrm_error error;
	int err = 0;

	for (size_t i = 0; i < o->sa_count && !err; i++) {
		if (i % XFRM_TXN_MESSAGES == 0)
			xfrm_begin(xfrm);
		err = xfrm_delete_sa(xfrm, &o->sas[i]);
		if (!err && (i % XFRM_TXN_MESSAGES == XFRM_TXN_MESSAGES - 1 || i + 1 == o->sa_count))
			err = xfrm_commit(xfrm, &error);
	}
	for (size_t i = 0; i < o->policy_count && !err; i++) {
		const struct xfrm_policy *p = &o->policies[i];

		xfrm_begin(xfrm);
		err = xfrm_delete_policy(xfrm, p->dir, p->index, p->if_id);
		if (!err)
			err = xfrm_commit(xfrm, &error);
	}
	return err;
}

int orphans_remove(struct xfrm *xfrm, const struct config *config)
{
	struct orphans o = { .config = config };
	int err = xfrm_dump_sas(xfrm, see_sa, &o);

	if (!err)
		err = xfrm_dump_policies(xfrm, see_policy, &o);
	if (!err)
		err = remove_all(xfrm, &o);
	if (o.sa_count || o.policy_count)
		event_emit(EVENT_ORPHANS_REMOVED, event_number("sas", o.sa_count),
			   event_number("policies", o.policy_count),
			   event_errno(err));
	free(o.sas);
	free(o.policies);
	return err ? err : (int)(o.sa_count + o.policy_count);
}
