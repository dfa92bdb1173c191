/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set's part of the kernel: what sa_set.c decides becomes SAs, policies and limits here.
 *
 * What the kernel should hold is never remembered but planned anew from the set (plan.c), without
 * keys: identities are enough to change and to delete. The only things kept are the kernel's names
 * for the set's own policies. A policy may serve two sets of one phone; it goes with the last.
 *
 * The kernel counts an SA's limit from its add_time in real time, so that is how it is sent: never
 * as an elapsed time of the monotonic clock, which would kill SAs after a step of the other.
 *
 * Lives are changed with UPDSA, for which the kernel sets up keys and throws them away. NEWAE could
 * move an SA's add_time instead, with no keys: some five times as many calls a second, some twice
 * as many with the GETAE whose counters it must repeat. It is not used, since
 * - it starts no timer: a longer life works, a shorter one ends when the longer would have;
 * - it overwrites the counters: what came between question and answer is not counted, and that is
 *   what tells whether a phone was heard;
 * - add_time is more than a beginning: of two SAs with the same selector the kernel takes the
 *   larger, so an extended old set would take the traffic of a new one back; and txn.c knows by it
 *   what it has made itself when answers were lost;
 * - it changes no port of ESP in UDP, so that UPDSA is needed all the same.
 * A registration has one change of a life or two, beside four new SAs that cost twice as much.
 */
#include "daemon/sa_kernel.h"
#include "daemon/event.h"
#include "daemon/policy.h"
#include "daemon/sa_table.h"

#include <errno.h>
#include <string.h>

#define LIMIT_TOLERANCE_S 2 /* both clocks are cut to seconds */

static struct plan_input plan_input_of(const struct sa_set *set)
{
	return (struct plan_input){
		.listener = set->listener,
		.suite = set->suite,
		.ue = set->ue,
		.pcscf = set->pcscf,
		.ue_address = set->ue_address,
		.encap_remote_port = set->encap_remote_port,
		.reqid = set->reqid,
	};
}

void sa_set_plan(const struct sa_set *set, struct plan *ret)
{
	const struct plan_input input = plan_input_of(set);

	plan_set(&input, NULL, ret);
}

int64_t sa_kernel_end_s(const struct sa_set *set)
{
	return clock_realtime_s() + (int64_t)sa_set_left_s(set) +
	       (int64_t)set->listener->timers.kernel_slack_s;
}

/* Seconds that the kernel counts from the SA's add_time in real time, which a step of the clock
 * moves; never from a monotonic elapsed time. */
static uint64_t limit_s(int64_t end_s, int64_t add_time_s)
{
	return end_s - add_time_s > 1 ? (uint64_t)(end_s - add_time_s) : 1;
}

static bool has_limit(const struct xfrm_sa_stats *sa, int64_t end_s)
{
	const uint64_t wanted_s = limit_s(end_s, (int64_t)sa->add_time);

	return sa->hard_s + LIMIT_TOLERANCE_S >= wanted_s &&
	       wanted_s + LIMIT_TOLERANCE_S >= sa->hard_s;
}

bool sa_kernel_is_pinned(const struct xfrm_sa *planned, int64_t end_s,
			 const struct xfrm_sa_stats *sa)
{
	return has_limit(sa, end_s) && sa->encap.on == planned->encap.on &&
	       sa->encap.sport == planned->encap.sport && sa->encap.dport == planned->encap.dport;
}

static int queue_limits(const struct sa_set *set)
{
	const uint64_t hard_s = limit_s(sa_kernel_end_s(set), set->add_time_s);
	struct plan plan;
	int err = 0;

	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count && !err; i++) {
		const struct xfrm_sa_change change = {
			.id = plan.sas[i].id,
			.src = plan.sas[i].src,
			.mode = plan.sas[i].mode,
			.hard_s = hard_s,
			.encap = plan.sas[i].encap,
		};

		err = xfrm_change_sa(set->table->xfrm, &change);
	}
	return err;
}

int sa_kernel_set_all_limits(struct sa_set *const *sets, size_t count,
			     struct xfrm_error *ret_error)
{
	struct xfrm *xfrm = sets[0]->table->xfrm;
	int err = 0;

	memset(ret_error, 0, sizeof(*ret_error));
	xfrm_begin(xfrm);
	for (size_t i = 0; i < count && !err; i++)
		err = queue_limits(sets[i]);
	if (err) {
		ret_error->error = err;
		return err;
	}
	return xfrm_commit(xfrm, ret_error);
}

int sa_kernel_set_limits(struct sa_set *set, struct xfrm_error *ret_error)
{
	return sa_kernel_set_all_limits(&set, 1, ret_error);
}

void sa_kernel_log_error(const struct sa_set *set, const char *attempt,
			 const struct xfrm_error *error)
{
	event_emit(EVENT_KERNEL_REFUSED, event_set(set->id), event_text("impi", set->impi),
		   event_address("ue", &set->ue_address), event_text("attempt", attempt),
		   event_text("object", error->object),
		   event_errno(error->error),
		   event_text("text", error->kernel));
}

/* The phone gets a clean reset while the SA still protects it; without SA both ends would hang. A
 * connection that another set of the same phone carries lives on. */
static void destroy_tcp(const struct sa_set *set)
{
	const struct ip_addr *local = &set->listener->address;

	if (set->ue.dialect != IPSEC_DIALECT_24229)
		return; /* one of its ports is open: there is no 4-tuple to name */
	for (size_t i = 0; i < set->flow_count; i++) {
		const struct sa_flow_key *key = &set->flows[i].key;
		const struct sa_flow *flow = sa_table_flow(set->table, local, key->local_port,
							   &set->ue_address, key->remote_port);

		if (flow == &set->flows[i] && !flow->next)
			xfrm_destroy_tcp(set->table->xfrm, local, key->local_port,
					 &set->ue_address, key->remote_port);
	}
}

/* Does another living set of this flow still need that policy? */
static bool is_needed(const struct sa_set *set, uint32_t policy_index)
{
	const struct sa_flow *flow =
		sa_table_flow(set->table, &set->listener->address, set->pcscf.port_s,
			      &set->ue_address, set->ue.port_c);

	for (; flow; flow = flow->next) {
		for (size_t i = 0; flow->set != set && i < flow->set->policy_count; i++) {
			if (flow->set->policy_index[i] == policy_index)
				return true;
		}
	}
	return false;
}

void sa_kernel_remove(struct sa_set *set)
{
	struct xfrm *xfrm = set->table->xfrm;
	struct xfrm_error error = { 0 };
	struct plan plan;
	int err = 0;

	sa_set_plan(set, &plan);
	destroy_tcp(set);
	xfrm_begin(xfrm);
	for (size_t i = 0; i < plan.sa_count && !err; i++)
		err = xfrm_delete_sa(xfrm, &plan.sas[i].id);
	for (size_t i = 0; i < set->policy_count && !err; i++) {
		const uint32_t index = set->policy_index[i];

		/* 0: it had vanished when we asked for its name */
		if (index && !is_needed(set, index))
			err = xfrm_delete_policy(xfrm, plan.policies[i].dir, index,
						 plan.policies[i].if_id);
	}
	if (!err)
		err = xfrm_commit(xfrm, &error);
	if (err) {
		error.error = err;
		sa_kernel_log_error(set, "delete", &error);
	}
}

/* The living set of the same phone on the same client port whose policies serve @set too: a phone
 * that came back with its old ports, or that does not change them. The kernel has one policy for a
 * selector; it goes with the last set that needs it. */
static const struct sa_set *policy_sharer(const struct sa_set *set)
{
	const struct sa_flow *flow;

	if (set->ue.dialect != IPSEC_DIALECT_24229)
		return NULL;
	flow = sa_table_flow(set->table, &set->listener->address, set->listener->server_port,
			     &set->ue_address, set->ue.port_c);
	for (; flow; flow = flow->next) {
		const struct sa_set *other = flow->set;

		if (other != set && other->policy_count && other->suite.prot == set->suite.prot &&
		    other->suite.mod == set->suite.mod)
			return other;
	}
	return NULL;
}

/* A set with policies of its own takes a reqid of its own, out of the upper half: many such sets
 * share one address pair (a NAT), and the kernel hashes SAs by addresses and reqid. */
static uint32_t reqid_of(const struct sa_set *set)
{
	const uint32_t reqid = set->listener->reqid;
	const struct sa_set *sharer;

	if (!plan_has_own_policies(set->listener, &set->suite))
		return reqid;
	sharer = policy_sharer(set);
	if (sharer)
		return sharer->reqid;
	return reqid << 16 | (uint16_t)(set->pcscf.spi_c ^ set->pcscf.spi);
}

static bool is_shared(const struct sa_set *set, const struct xfrm_policy *policy)
{
	const uint16_t port = policy->dir == XFRM_IN ? policy->sel.dport : policy->sel.sport;

	return port == set->listener->server_port && policy_sharer(set);
}

/* To find them again by index: by selector, the kernel goes through those of all phones behind the
 * same address. */
static void wish_indices(struct plan *plan)
{
	for (size_t i = 0; i < plan->policy_count; i++) {
		const struct xfrm_sa *ours = &plan->sas[i % (plan->sa_count / 2)];

		plan->policies[i].index = xfrm_policy_index(plan->policies[i].dir, ours->id.spi);
	}
}

static int queue_set(const struct sa_set *set, const struct plan *plan)
{
	struct xfrm *xfrm = set->table->xfrm;
	int err = 0;

	xfrm_begin(xfrm);
	for (size_t i = 0; i < plan->sa_count && !err; i++)
		err = xfrm_add_sa(xfrm, &plan->sas[i]);
	for (size_t i = 0; i < plan->policy_count && !err; i++) {
		if (!is_shared(set, &plan->policies[i]))
			err = xfrm_add_policy(xfrm, &plan->policies[i]);
	}
	return err;
}

static int find_policy(struct xfrm *xfrm, const struct xfrm_policy *wanted,
		       struct xfrm_policy *ret)
{
	if (xfrm_get_policy_by_index(xfrm, wanted->dir, wanted->index, wanted->if_id, ret) == 0 &&
	    xfrm_policy_equal(wanted, ret))
		return 0;
	if (xfrm_get_policy(xfrm, wanted->dir, &wanted->sel, wanted->if_id, ret) == 0 &&
	    xfrm_policy_equal(wanted, ret))
		return 0;
	return -ENOENT;
}

/* The kernel's names for the set's own policies: it deletes by name, so that nobody else's goes. */
static void learn_policies(struct sa_set *set, const struct plan *plan)
{
	for (size_t i = 0; i < plan->policy_count; i++) {
		struct xfrm_policy found;

		if (find_policy(set->table->xfrm, &plan->policies[i], &found) < 0) {
			event_emit(EVENT_POLICY_VANISHED, event_set(set->id),
				   event_text("impi", set->impi));
			continue;
		}
		set->policy_index[i] = found.index;
	}
	set->policy_count = plan->policy_count;
}

void sa_kernel_expect_policies(struct sa_set *set)
{
	struct plan plan;

	if (!plan_has_own_policies(set->listener, &set->suite))
		return;
	sa_set_plan(set, &plan);
	set->policy_count = plan.policy_count;
}

unsigned sa_kernel_learn_policy(struct sa_set *set, const struct plan *plan,
				const struct xfrm_policy *policy)
{
	for (size_t i = 0; i < set->policy_count; i++) {
		if (!xfrm_policy_equal(&plan->policies[i], policy))
			continue;
		set->policy_index[i] = policy->index;
		return 1u << i;
	}
	return 0;
}

size_t sa_kernel_restore_policies(struct sa_set *set, unsigned there)
{
	size_t restored = 0;
	struct plan plan;

	if (!set->policy_count)
		return 0;
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < set->policy_count; i++) {
		struct xfrm_policy *wanted = &plan.policies[i];
		struct xfrm_error error = { 0 };
		bool added = false;
		int err;

		if (there & 1u << i)
			continue;
		wanted->index = set->policy_index[i];
		err = policy_hold(set->table->xfrm, wanted, &added, &error);
		set->policy_index[i] = err ? 0 : wanted->index;
		restored += added;
		if (err || added)
			event_emit(EVENT_POLICY_LOST, event_set(set->id),
				   event_text("impi", set->impi),
				   event_text("restored", err ? "no" : "yes"), event_errno(err));
	}
	return restored;
}

const struct sa_flow *sa_kernel_flow_of(const struct sa_table *table,
					const struct xfrm_policy *policy)
{
	const struct xfrm_sel *sel = &policy->sel;

	if (policy->dir == XFRM_IN)
		return sa_table_flow(table, &sel->dst, sel->dport, &sel->src, sel->sport);
	return sa_table_flow(table, &sel->src, sel->sport, &sel->dst, sel->dport);
}

bool sa_kernel_has_policy(const struct sa_set *set, uint32_t index)
{
	for (size_t i = 0; i < set->policy_count; i++) {
		if (index && set->policy_index[i] == index)
			return true;
	}
	return false;
}

/* Which side chose the SPI of a failed message: only ours can be exchanged. */
static bool ours_collides(const struct plan *plan, const struct xfrm_error *error)
{
	return error->error == -EEXIST && error->op == XFRM_OP_ADD_SA &&
	       error->index < plan->sa_count / 2;
}

static int refuse_install(const struct sa_set *set, const struct plan *plan,
			  const struct xfrm_error *error, struct refusal *refusal)
{
	const bool sa_exists = error->error == -EEXIST && error->op == XFRM_OP_ADD_SA &&
			       error->index < plan->sa_count;
	char object[128];
	int err;

	if (!sa_exists) {
		sa_kernel_log_error(set, "install", error);
		return refuse_kernel(refusal, "installing the set", error);
	}
	err = refuse(refusal, REASON_SPI_IN_USE,
		     "the phone chose an SPI that is in use for its address: %s",
		     xfrm_sa_id_format(&plan->sas[error->index].id, object, sizeof(object)));
	refusal->has_kernel = true;
	refusal->kernel = *error;
	return err;
}

int sa_kernel_install(struct sa_set *set, const struct keymat *keymat, bool *ret_collision,
		      struct refusal *refusal)
{
	struct xfrm_error error = { 0 };
	struct plan_input input;
	struct plan plan;
	int err;

	set->reqid = reqid_of(set);
	input = plan_input_of(set);
	input.hard_s = set->listener->timers.reg_await_auth_s +
		       set->listener->timers.kernel_slack_s;
	plan_set(&input, keymat, &plan);
	wish_indices(&plan);
	set->add_time_s = clock_realtime_s();
	err = queue_set(set, &plan);
	if (!err)
		err = xfrm_commit(set->table->xfrm, &error);
	else
		xfrm_begin(set->table->xfrm); /* what was queued holds keys */
	error.error = err;
	*ret_collision = err && ours_collides(&plan, &error);
	if (err)
		err = refuse_install(set, &plan, &error, refusal);
	else
		learn_policies(set, &plan);
	plan_wipe(&plan);
	return err;
}
