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
	struct xfrm_policy *policies;
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

static bool has(const struct guards *guards, const struct xfrm_policy *policy)
{
	for (size_t i = 0; i < guards->count; i++) {
		if (xfrm_policy_equal(&guards->policies[i], policy))
			return true;
	}
	return false;
}

static int make_room(struct guards *guards, size_t more)
{
	const size_t count = guards->count + more;
	struct guard_state *states =
		reallocarray(guards->states, count, sizeof(guards->states[0]));
	struct xfrm_policy *policies;

	if (!states)
		return -ENOMEM;
	guards->states = states;
	policies = reallocarray(guards->policies, count, sizeof(guards->policies[0]));
	if (!policies)
		return -ENOMEM;
	guards->policies = policies;
	return 0;
}

static int hold(struct guards *guards, const struct xfrm_policy *wanted,
		struct xfrm_error *ret_error)
{
	struct xfrm_policy policy = *wanted;
	struct guard_state state = { 0 };
	int err = policy_hold(guards->xfrm, &policy, &state.added, ret_error);

	if (err)
		return err;
	guards->states[guards->count] = state;
	guards->policies[guards->count++] = policy;
	return 0;
}

static int hold_all(struct guards *guards, const struct config_listener *l, char *ret_why,
		    size_t why_cap)
{
	struct xfrm_policy wanted[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(l, wanted);
	int err = make_room(guards, count);

	if (err)
		snprintf(ret_why, why_cap, "out of memory");
	for (size_t i = 0; i < count && !err; i++) {
		struct xfrm_error error = { 0 };

		if (has(guards, &wanted[i]))
			continue;
		err = hold(guards, &wanted[i], &error);
		if (err)
			explain(err, &error, l, ret_why, why_cap);
	}
	return err;
}

/* What the kernel had before us stays there. */
static void let_go(struct guards *guards, size_t from)
{
	while (guards->count > from) {
		guards->count--;
		if (guards->states[guards->count].added)
			remove_one(guards->xfrm, &guards->policies[guards->count]);
	}
}

int guards_add(struct guards *guards, const struct config *config, char *ret_why, size_t why_cap)
{
	const size_t before = guards->count;
	int err = 0;

	for (size_t i = 0; i < config->listener_count && !err; i++)
		err = hold_all(guards, &config->listeners[i], ret_why, why_cap);
	if (err)
		let_go(guards, before);
	return err;
}

int guards_install(struct xfrm *xfrm, const struct config *config, struct guards **ret,
		   char *ret_why, size_t why_cap)
{
	struct guards *guards = calloc(1, sizeof(*guards));
	int err;

	if (!guards) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	guards->xfrm = xfrm;
	err = guards_add(guards, config, ret_why, why_cap);
	if (err)
		guards_free(guards);
	else
		*ret = guards;
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

void guards_trim(struct guards *guards, const struct config *config)
{
	size_t left = 0;

	for (size_t i = 0; i < guards->count; i++) {
		if (!is_wanted(config, &guards->policies[i])) {
			remove_one(guards->xfrm, &guards->policies[i]);
			continue;
		}
		guards->states[left] = guards->states[i];
		guards->policies[left++] = guards->policies[i];
	}
	guards->count = left;
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
	free(guards->policies);
	free(guards);
}
