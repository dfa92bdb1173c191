/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work on all sets, done in pieces from a timer so that a hundred thousand of them do not hold up
 * the loop: each turn takes what fits in one datagram.
 *
 * The kernel counts the limit of an SA from its add_time in real time. After a step forward the
 * limits as they were would come too early, after a step back too late; the daemon's own timers run
 * on the monotonic clock and do not notice. A limit that would lie before add_time cannot be said:
 * then the kernel's comes late, and the daemon's timer is the one that works.
 */
#include "daemon/upkeep.h"
#include "daemon/event.h"
#include "daemon/sa_kernel.h"
#include "daemon/walk.h"

#include <errno.h>
#include <stdlib.h>

/* One thing that is done to all sets. */
struct task {
	struct sa_table *table;
	struct timer timer;
	struct walk walk;
	void (*work)(struct sa_set *const *sets, size_t count);
};

struct upkeep {
	struct task limits, policies;
};

static void pin_one(struct sa_set *set)
{
	struct xfrm_error error;
	const int err = sa_kernel_set_limits(set, &error);

	if (err)
		sa_kernel_log_error(set, "pin", &error);
	if (err == -ESRCH)
		sa_set_lost(set);
}

/* One datagram; when the kernel refuses any of it, each set alone, to see whose it was. */
static void pin(struct sa_set *const *sets, size_t count)
{
	struct xfrm_error error;

	if (sa_kernel_set_all_limits(sets, count, &error) == 0)
		return;
	for (size_t i = 0; i < count; i++)
		pin_one(sets[i]);
}

static void restore(struct sa_set *const *sets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sa_kernel_restore_policies(sets[i], 0);
}

static void turn(void *arg)
{
	struct task *task = arg;
	struct sa_set *sets[WALK_SETS];
	const size_t count = walk_next(&task->walk, sets);

	if (!count)
		return;
	timer_arm(&task->timer, clock_monotonic_ms());
	task->work(sets, count);
}

static void task_init(struct task *task, struct sa_table *table,
		      void (*work)(struct sa_set *const *sets, size_t count))
{
	task->table = table;
	task->work = work;
	timer_init(&task->timer, turn, task);
}

static void task_done(struct task *task)
{
	timer_stop(&task->timer);
	walk_end(&task->walk);
}

static void task_start(struct task *task)
{
	if (walk_begin(&task->walk, task->table) < 0)
		event_emit(EVENT_UPKEEP_SKIPPED, event_errno(ENOMEM));
	else
		turn(task);
}

struct upkeep *upkeep_new(struct sa_table *table)
{
	struct upkeep *upkeep = calloc(1, sizeof(*upkeep));

	if (!upkeep)
		return NULL;
	task_init(&upkeep->limits, table, pin);
	task_init(&upkeep->policies, table, restore);
	return upkeep;
}

void upkeep_free(struct upkeep *upkeep)
{
	if (!upkeep)
		return;
	task_done(&upkeep->limits);
	task_done(&upkeep->policies);
	free(upkeep);
}

void upkeep_clock_stepped(struct upkeep *upkeep)
{
	event_emit(EVENT_CLOCK_STEPPED,
		   event_number("sets", HASH_COUNT(upkeep->limits.table->sets)));
	task_start(&upkeep->limits);
}

void upkeep_policies_flushed(struct upkeep *upkeep)
{
	task_start(&upkeep->policies);
}

void upkeep_policy_deleted(struct upkeep *upkeep, const struct xfrm_policy *policy)
{
	const struct sa_flow *flow = sa_kernel_flow_of(upkeep->policies.table, policy);

	for (; flow; flow = flow->next) {
		if (sa_kernel_has_policy(flow->set, policy->index))
			sa_kernel_restore_policies(flow->set, 0);
	}
}

bool upkeep_is_changed(const struct upkeep *upkeep, const struct xfrm_policy *policy)
{
	const struct sa_flow *flow = sa_kernel_flow_of(upkeep->policies.table, policy);

	for (; flow; flow = flow->next) {
		struct plan plan;

		sa_set_plan(flow->set, &plan);
		for (size_t i = 0; i < flow->set->policy_count; i++) {
			if (flow->set->policy_index[i] == policy->index)
				return !xfrm_policy_equal(&plan.policies[i], policy);
		}
	}
	return false;
}
