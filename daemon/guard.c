/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of installed policies with the kernel's names (indices) for them. They are added one by
 * one: there are a handful, and one that exists must be looked at before it is counted as ours.
 */
#include "daemon/guard.h"
#include "daemon/event.h"
#include "daemon/plan.h"
#include "daemon/policy.h"
#include "daemon/timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct guards {
	struct xfrm *xfrm;
	size_t count;
	uint64_t *undone_ms; /* when a change of it was last undone */
	struct xfrm_policy policies[];
};

/* Two programs that undo each other's changes must not keep the machine busy. */
#define PATIENCE_MS 10000

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

	if (guards)
		guards->undone_ms = calloc(max + 1, sizeof(guards->undone_ms[0]));
	if (!guards || !guards->undone_ms) {
		free(guards);
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	guards->xfrm = xfrm;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];
		size_t left = plan_guards(l, guards->policies + guards->count);

		for (; left; left--, guards->count++) {
			struct xfrm_error error = { 0 };
			bool added;
			int err = policy_hold(xfrm, &guards->policies[guards->count], &added,
					      &error);

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

static bool restore(struct guards *guards, size_t i)
{
	struct xfrm_policy *policy = &guards->policies[i];
	const uint32_t index = policy->index;
	struct xfrm_error error = { 0 };
	bool added = false;
	int err = policy_hold(guards->xfrm, policy, &added, &error);

	if (err || added)
		event_emit(EVENT_GUARD_LOST, event_number("index", index),
			   event_text("restored", err ? "no" : "yes"), event_errno(err));
	return added;
}

size_t guards_restore(struct guards *guards, uint32_t index)
{
	size_t restored = 0;

	for (size_t i = 0; i < guards->count; i++) {
		if (!index || guards->policies[i].index == index)
			restored += restore(guards, i);
	}
	return restored;
}

bool guards_undo_change(struct guards *guards, const struct xfrm_policy *policy)
{
	const uint64_t now_ms = clock_monotonic_ms();

	for (size_t i = 0; i < guards->count; i++) {
		const struct xfrm_policy *guard = &guards->policies[i];

		if (guard->index != policy->index || xfrm_policy_equal(guard, policy))
			continue;
		if (guards->undone_ms[i] && now_ms < guards->undone_ms[i] + PATIENCE_MS) {
			event_emit(EVENT_GUARD_CONTESTED, event_number("index", policy->index));
			return false;
		}
		guards->undone_ms[i] = now_ms;
		restore(guards, i);
	}
	return true;
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
			event_emit(EVENT_GUARD_STAYS, event_number("index", policy->index));
	}
	free(guards->undone_ms);
	free(guards);
}
