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
	struct guard_state {
		uint64_t undone_ms; /* when a change of it was last undone */
		bool added;         /* by us, not taken over */
	} *states;
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

static void remove_one(struct xfrm *xfrm, const struct xfrm_policy *policy)
{
	struct xfrm_error error;

	xfrm_begin(xfrm);
	if (xfrm_delete_policy(xfrm, policy->dir, policy->index, policy->if_id) < 0 ||
	    xfrm_commit(xfrm, &error) < 0)
		event_emit(EVENT_GUARD_STAYS, event_number("index", policy->index));
}

static struct guards *guards_new(struct xfrm *xfrm, const struct config *config)
{
	const size_t max = config->listener_count * PLAN_MAX_GUARDS;
	struct guards *guards = calloc(1, sizeof(*guards) + max * sizeof(guards->policies[0]));

	if (guards)
		guards->states = calloc(max + 1, sizeof(guards->states[0]));
	if (!guards || !guards->states) {
		free(guards);
		return NULL;
	}
	guards->xfrm = xfrm;
	return guards;
}

static int hold_all(struct guards *guards, const struct config_listener *l, char *ret_why,
		    size_t why_cap)
{
	size_t left = plan_guards(l, guards->policies + guards->count);

	for (; left; left--, guards->count++) {
		struct xfrm_error error = { 0 };
		int err = policy_hold(guards->xfrm, &guards->policies[guards->count],
				      &guards->states[guards->count].added, &error);

		if (!err)
			continue;
		explain(err, &error, l, ret_why, why_cap);
		return err;
	}
	return 0;
}

int guards_install(struct xfrm *xfrm, const struct config *config, struct guards **ret,
		   char *ret_why, size_t why_cap)
{
	struct guards *guards = guards_new(xfrm, config);
	int err = 0;

	if (!guards) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < config->listener_count && !err; i++)
		err = hold_all(guards, &config->listeners[i], ret_why, why_cap);
	if (!err) {
		*ret = guards;
		return 0;
	}
	for (size_t i = 0; i < guards->count; i++) {
		if (guards->states[i].added)
			remove_one(xfrm, &guards->policies[i]);
	}
	guards_free(guards);
	return err;
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
		if (guards->states[i].undone_ms && now_ms < guards->states[i].undone_ms + PATIENCE_MS) {
			event_emit(EVENT_GUARD_CONTESTED, event_number("index", policy->index));
			return false;
		}
		guards->states[i].undone_ms = now_ms;
		restore(guards, i);
	}
	return true;
}

static bool is_wanted(const struct config *config, const struct xfrm_policy *policy)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];

	for (size_t i = 0; i < config->listener_count; i++) {
		const size_t count = plan_guards(&config->listeners[i], guards);

		for (size_t k = 0; k < count; k++) {
			if (xfrm_policy_equal(&guards[k], policy))
				return true;
		}
	}
	return false;
}

void guards_remove_past(struct xfrm *xfrm, const struct config *config,
			const struct config_listener *past)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS], found;
	const size_t count = plan_guards(past, guards);

	for (size_t i = 0; i < count; i++) {
		const struct xfrm_policy *guard = &guards[i];

		if (!is_wanted(config, guard) &&
		    xfrm_get_policy(xfrm, guard->dir, &guard->sel, guard->if_id, &found) == 0 &&
		    xfrm_policy_equal(guard, &found))
			remove_one(xfrm, &found);
	}
}

void guards_remove(struct guards *guards)
{
	for (size_t i = 0; guards && i < guards->count; i++)
		remove_one(guards->xfrm, &guards->policies[i]);
	guards_free(guards);
}

void guards_free(struct guards *guards)
{
	if (!guards)
		return;
	free(guards->states);
	free(guards);
}
