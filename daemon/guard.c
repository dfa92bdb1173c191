/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of installed policies with the kernel's names (indices) for them. They are added one by
 * one: there are a handful, and one that exists must be looked at before it is counted as ours.
 */
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct guards {
	struct xfrm *xfrm;
	size_t count;
	struct xfrm_policy policies[];
};

static int add(struct xfrm *xfrm, struct xfrm_policy *policy, struct xfrm_error *ret_error)
{
	struct xfrm_policy found;
	int err;

	xfrm_begin(xfrm);
	err = xfrm_add_policy(xfrm, policy);
	if (!err)
		err = xfrm_commit(xfrm, ret_error);
	else
		ret_error->error = err;
	if (err && err != -EEXIST)
		return err;
	if (xfrm_get_policy(xfrm, policy->dir, &policy->sel, policy->if_id, &found) < 0)
		return err ? err : -ENOENT;
	if (err == -EEXIST && !xfrm_policy_equal(policy, &found))
		return -EEXIST;
	policy->index = found.index;
	return 0;
}

static void explain(int err, const struct xfrm_error *error, const struct config_listener *l,
		    char *ret_why, size_t why_cap)
{
	if (err == -EEXIST)
		snprintf(ret_why, why_cap,
			 "listener %s: another program has a policy for %s (see `ip xfrm policy`); "
			 "give this listener other ports or stop that program",
			 l->name, error->object);
	else
		snprintf(ret_why, why_cap, "listener %s: the kernel refused %s: %s %s", l->name,
			 error->object, strerror(-err), error->kernel);
}

int guards_install(struct xfrm *xfrm, const struct config *config, struct guards **ret,
		   char *ret_why, size_t why_cap)
{
	const size_t max = config->listener_count * PLAN_MAX_GUARDS;
	struct guards *guards = calloc(1, sizeof(*guards) + max * sizeof(guards->policies[0]));

	if (!guards) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	guards->xfrm = xfrm;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];
		size_t left = plan_guards(l, guards->policies + guards->count);

		for (; left; left--, guards->count++) {
			struct xfrm_error error = { 0 };
			int err = add(xfrm, &guards->policies[guards->count], &error);

			if (!err)
				continue;
			explain(err, &error, l, ret_why, why_cap);
			guards_remove(guards);
			return err;
		}
	}
	*ret = guards;
	return 0;
}

void guards_restore(struct guards *guards, uint32_t index)
{
	for (size_t i = 0; i < guards->count; i++) {
		struct xfrm_policy *policy = &guards->policies[i];
		struct xfrm_error error = { 0 };
		int err;

		if (index && policy->index != index)
			continue;
		err = add(guards->xfrm, policy, &error);
		log_line(LOG_ERR, "event=guard-lost index=%u restored=%s errno=%d", index,
			 err ? "no" : "yes", -err);
	}
}

void guards_remove(struct guards *guards)
{
	struct xfrm_error error;

	if (!guards)
		return;
	for (size_t i = 0; i < guards->count; i++) {
		const struct xfrm_policy *policy = &guards->policies[i];

		xfrm_begin(guards->xfrm);
		if (xfrm_delete_policy(guards->xfrm, policy->dir, policy->index, policy->if_id) < 0 ||
		    xfrm_commit(guards->xfrm, &error) < 0)
			log_line(LOG_ERR, "event=guard-stays index=%u", policy->index);
	}
	free(guards);
}
