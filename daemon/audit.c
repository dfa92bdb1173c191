/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An audit reads all SAs of the kernel, a piece at a time, and then all policies, and ticks off
 * those that belong to a set; what bears our mark and belongs to none goes at once. Then it walks
 * the sets: one with an SA that was not ticked off, and that the kernel does not know when asked,
 * is lost; one whose SAs have another limit than it wants, or other ports of ESP in UDP, gets its
 * own again, and policies that were not ticked off are put back. Last come the guards.
 *
 * Sets come and go between the pieces. A set that was made meanwhile is not in the dump, so nothing
 * is lost before the kernel was asked about it; an SA that was in the dump may be gone, so nothing
 * is deleted later than in the turn in which it was read and looked up.
 *
 * Deletions of SAs by others are found here alone: the kernel's events about SAs would bring
 * everybody's keys. Keys are not compared either: they are not kept.
 */
#include "daemon/audit.h"
#include "daemon/event.h"
#include "daemon/orphan.h"
#include "daemon/sa_kernel.h"
#include "daemon/walk.h"

#include <errno.h>
#include <stdlib.h>

#define PATIENCE_MS     10000 /* between two audits because of lost events */
#define PIECES_PER_TURN 8
#define MAX_ORPHANS     128 /* of one piece; what does not fit is left for the next audit */

/* In .seen: a bit for each SA, one for each policy, and that an SA had another limit or port. */
#define POLICIES_SHIFT PLAN_MAX_SAS
#define ODD            (1u << (PLAN_MAX_SAS + PLAN_MAX_POLICIES))

enum phase {
	AUDIT_IDLE,
	AUDIT_DUMP,
	AUDIT_COMPARE,
};

struct audit {
	const struct config *config;
	struct sa_table *table;
	struct guards *guards;
	struct timer timer;
	enum phase phase;
	bool again; /* something was missed while it ran */
	uint64_t begun_ms, ended_ms;
	struct walk walk;
	struct audit_report report;
	size_t orphan_count;
	struct xfrm_sa_id orphans[MAX_ORPHANS];
	struct xfrm_policy orphan_policies[MAX_ORPHANS];
	/* SAs come as they were made, those of a set together: it is planned once. In one turn. */
	const struct sa_set *planned; /* NULL: none */
	struct plan plan;
	int64_t end_s;
};

/* ---- SAs of the kernel ---- */

static bool is_as_planned(const struct xfrm_sa *plan, const struct xfrm_dump_sa *sa)
{
	return plan->id.spi == sa->id.spi && plan->id.proto == sa->id.proto &&
	       ip_equal(&plan->id.dst, &sa->id.dst) && plan->reqid == sa->stats.reqid &&
	       plan->mode == sa->mode && xfrm_sel_equal(&plan->sel, &sa->sel);
}

static const struct plan *plan_of(struct audit *a, const struct sa_set *set)
{
	if (a->planned != set) {
		sa_set_plan(set, &a->plan);
		a->end_s = sa_kernel_end_s(set);
		a->planned = set;
	}
	return &a->plan;
}

static bool tick_off(struct audit *a, struct sa_set *set, const struct xfrm_dump_sa *sa)
{
	const struct plan *plan = plan_of(a, set);

	for (size_t i = 0; i < plan->sa_count; i++) {
		if (!is_as_planned(&plan->sas[i], sa))
			continue;
		set->seen |= 1u << i;
		set->add_time_s = (int64_t)sa->stats.add_time;
		if (!sa_kernel_is_pinned(&plan->sas[i], a->end_s, &sa->stats))
			set->seen |= ODD;
		return true;
	}
	return false;
}

/* One of ours is found by its SPI, one that the phone named by its flow. */
static bool belongs_to_a_set(struct audit *a, const struct xfrm_dump_sa *sa)
{
	const struct xfrm_sel *sel = &sa->sel;
	struct sa_set *set = sa_table_by_spi(a->table, sa->id.spi);
	const struct sa_flow *flow;

	if (set && tick_off(a, set, sa))
		return true;
	flow = sa_table_flow(a->table, &sel->src, sel->sport, &sel->dst, sel->dport);
	for (; flow; flow = flow->next) {
		if (tick_off(a, flow->set, sa))
			return true;
	}
	return false;
}

static int see_sa(const struct xfrm_dump_sa *sa, void *arg)
{
	struct audit *a = arg;

	if (sa->larval) {
		a->report.larval_sas++;
	} else if (!orphan_is_our_sa(a->config, sa)) {
		a->report.foreign_sas++;
	} else {
		a->report.sas++;
		if (!belongs_to_a_set(a, sa) && a->orphan_count < MAX_ORPHANS)
			a->orphans[a->orphan_count++] = sa->id;
	}
	return 0;
}

static int delete_orphans(struct audit *a)
{
	struct xfrm *xfrm = a->table->xfrm;
	struct xfrm_error error;
	int err = 0;

	for (size_t i = 0; i < a->orphan_count && !err; i++) {
		if (i % XFRM_TXN_MESSAGES == 0)
			xfrm_begin(xfrm);
		err = xfrm_delete_sa(xfrm, &a->orphans[i]);
		if (!err && ((i + 1) % XFRM_TXN_MESSAGES == 0 || i + 1 == a->orphan_count))
			err = xfrm_commit(xfrm, &error);
	}
	a->report.orphan_sas += err ? 0 : a->orphan_count;
	a->orphan_count = 0;
	return err;
}

/* ---- policies ---- */

static int delete_orphan_policies(struct audit *a)
{
	struct xfrm *xfrm = a->table->xfrm;
	struct xfrm_error error;
	int err = 0;

	for (size_t i = 0; i < a->orphan_count && !err; i++) {
		const struct xfrm_policy *p = &a->orphan_policies[i];

		if (i % XFRM_TXN_MESSAGES == 0)
			xfrm_begin(xfrm);
		err = xfrm_delete_policy(xfrm, p->dir, p->index, p->if_id);
		if (!err && ((i + 1) % XFRM_TXN_MESSAGES == 0 || i + 1 == a->orphan_count))
			err = xfrm_commit(xfrm, &error);
	}
	a->report.orphan_policies += err ? 0 : a->orphan_count;
	a->orphan_count = 0;
	return err;
}

/* A policy of a set that somebody has changed is still that set's. */
static bool is_of_a_set(struct audit *a, const struct xfrm_policy *policy)
{
	const struct sa_flow *flow = sa_kernel_flow_of(a->table, policy);
	bool found = false;

	for (; flow; flow = flow->next) {
		const unsigned bit =
			sa_kernel_learn_policy(flow->set, plan_of(a, flow->set), policy);

		flow->set->seen |= bit << POLICIES_SHIFT;
		found |= bit || sa_kernel_has_policy(flow->set, policy->index);
	}
	return found;
}

static int see_policy(const struct xfrm_policy *policy, void *arg)
{
	struct audit *a = arg;

	if (is_of_a_set(a, policy) || !orphan_is_our_policy(a->config, policy))
		return 0;
	a->orphan_policies[a->orphan_count++] = *policy;
	return a->orphan_count < MAX_ORPHANS ? 0 : delete_orphan_policies(a);
}

static int read_policies(struct audit *a)
{
	const int err = xfrm_dump_policies(a->table->xfrm, see_policy, a);

	return err ? err : delete_orphan_policies(a);
}

/* ---- both ---- */

static int read_kernel(struct audit *a)
{
	bool done = false;
	int err = 0;

	a->planned = NULL;
	for (unsigned i = 0; i < PIECES_PER_TURN && !done && !err; i++) {
		err = xfrm_dump_sas_piece(a->table->xfrm, see_sa, a, &done);
		if (!err)
			err = delete_orphans(a);
	}
	if (!err && done)
		err = read_policies(a);
	if (!err && done) {
		a->phase = AUDIT_COMPARE;
		err = walk_begin(&a->walk, a->table);
	}
	return err;
}

/* ---- sets ---- */

static bool is_there(struct sa_set *set, const struct xfrm_sa_id *sa)
{
	struct xfrm_sa_stats stats;
	const int err = xfrm_get_sa_counters(set->table->xfrm, sa, &stats);

	if (err)
		return err != -ESRCH;
	set->add_time_s = (int64_t)stats.add_time;
	return stats.reqid == set->reqid;
}

/* The set may have got another life since the kernel was read. */
static bool is_odd(const struct sa_set *set, const struct plan *plan)
{
	for (size_t i = 0; set->seen & ODD && i < plan->sa_count; i++) {
		struct xfrm_sa_stats stats;

		if (xfrm_get_sa(set->table->xfrm, &plan->sas[i].id, &stats) == 0 &&
		    !sa_kernel_is_pinned(&plan->sas[i], sa_kernel_end_s(set), &stats))
			return true;
	}
	return false;
}

static void restore_limits(struct audit *a, struct sa_set *set)
{
	struct xfrm_error error;

	if (sa_kernel_set_limits(set, &error) < 0)
		sa_kernel_log_error(set, "pin", &error);
	else
		a->report.restored_limits++;
}

static void compare(struct audit *a, struct sa_set *set)
{
	struct plan plan;

	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count; i++) {
		if (set->seen & 1u << i || is_there(set, &plan.sas[i].id))
			continue;
		a->report.lost_sets++;
		sa_set_lost(set);
		return;
	}
	a->report.sets++;
	if (is_odd(set, &plan))
		restore_limits(a, set);
	a->report.restored_policies +=
		sa_kernel_restore_policies(set, set->seen >> POLICIES_SHIFT);
}

/* ---- one audit ---- */

static void begin(struct audit *a)
{
	struct sa_set *set;

	for (set = a->table->sets; set; set = set->hh.next)
		set->seen = 0;
	a->report = (struct audit_report){ 0 };
	a->begun_ms = clock_monotonic_ms();
	a->orphan_count = 0;
	a->again = false;
	a->phase = AUDIT_DUMP;
}

static void log_report(const struct audit_report *r)
{
	event_emit(audit_is_clean(r) ? EVENT_AUDIT_CLEAN : EVENT_AUDIT,
		   event_number("sets", r->sets), event_number("sas", r->sas),
		   event_number("lost_sets", r->lost_sets),
		   event_number("orphan_sas", r->orphan_sas),
		   event_number("orphan_policies", r->orphan_policies),
		   event_number("restored_limits", r->restored_limits),
		   event_number("restored_policies", r->restored_policies),
		   event_number("restored_guards", r->restored_guards),
		   event_number("took_ms", r->took_ms), event_errno(r->error));
}

static void end(struct audit *a, int err)
{
	const uint64_t interval_ms = (uint64_t)a->config->audit_interval_s * 1000;

	walk_end(&a->walk);
	a->phase = AUDIT_IDLE;
	a->ended_ms = clock_monotonic_ms();
	a->report.took_ms = a->ended_ms - a->begun_ms;
	a->report.error = err;
	log_report(&a->report);
	if (a->again)
		timer_arm(&a->timer, a->ended_ms + PATIENCE_MS);
	else if (interval_ms)
		timer_arm(&a->timer, a->ended_ms + interval_ms);
	else
		timer_stop(&a->timer);
}

static void compare_some(struct audit *a)
{
	struct sa_set *sets[WALK_SETS];
	const size_t count = walk_next(&a->walk, sets);

	for (size_t i = 0; i < count; i++)
		compare(a, sets[i]);
	if (count)
		return;
	a->report.restored_guards = guards_restore(a->guards, 0);
	end(a, 0);
}

static void step(struct audit *a)
{
	int err;

	switch (a->phase) {
	case AUDIT_IDLE:
		begin(a);
		break;
	case AUDIT_DUMP:
		err = read_kernel(a);
		if (err)
			end(a, err);
		break;
	case AUDIT_COMPARE:
		compare_some(a);
		break;
	}
}

static void turn(void *arg)
{
	struct audit *a = arg;

	step(a);
	if (a->phase != AUDIT_IDLE)
		timer_arm(&a->timer, clock_monotonic_ms());
}

struct audit *audit_new(const struct config *config, struct sa_table *table, struct guards *guards)
{
	const uint64_t interval_ms = (uint64_t)config->audit_interval_s * 1000;
	struct audit *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->config = config;
	a->table = table;
	a->guards = guards;
	timer_init(&a->timer, turn, a);
	if (interval_ms)
		timer_arm(&a->timer, clock_monotonic_ms() + interval_ms);
	return a;
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	timer_stop(&a->timer);
	walk_end(&a->walk);
	free(a);
}

void audit_use(struct audit *a, const struct config *config)
{
	const uint64_t interval_ms = (uint64_t)config->audit_interval_s * 1000;
	const bool changed = config->audit_interval_s != a->config->audit_interval_s;

	a->config = config;
	if (!changed || a->phase != AUDIT_IDLE || a->again)
		return; /* end() goes by it */
	if (interval_ms)
		timer_arm(&a->timer, clock_monotonic_ms() + interval_ms);
	else
		timer_stop(&a->timer);
}

void audit_soon(struct audit *a)
{
	const bool waits = a->again;

	a->again = true;
	if (a->phase != AUDIT_IDLE || waits)
		return;
	timer_arm(&a->timer, a->ended_ms ? a->ended_ms + PATIENCE_MS : clock_monotonic_ms());
}

void audit_run(struct audit *a, struct audit_report *ret)
{
	while (a->phase != AUDIT_IDLE) /* one that is under way knows only what was before */
		step(a);
	begin(a);
	while (a->phase != AUDIT_IDLE)
		step(a);
	*ret = a->report;
}

bool audit_is_clean(const struct audit_report *r)
{
	return !r->lost_sets && !r->orphan_sas && !r->orphan_policies && !r->restored_limits &&
	       !r->restored_policies && !r->restored_guards && !r->error;
}
