/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel of fake_xfrm.h. Semantics as xfrm.h promises them: a transaction is all or nothing for
 * what it adds, deleting what is gone succeeds, a change of what is gone is -ESRCH and makes
 * nothing, an SA exists once for its address, SPI and protocol, a policy once for its direction and
 * selector.
 */
#include "tests/unit/fake_xfrm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/timer.h"

struct xfrm fake_xfrm;

void fake_xfrm_reset(void)
{
	memset(&fake_xfrm, 0, sizeof(fake_xfrm));
	fake_xfrm.refuse_after = SIZE_MAX;
	fake_xfrm.moments_left = SIZE_MAX;
}

bool fake_xfrm_die_after(size_t moments)
{
	const bool died = fake_xfrm.dead;

	fake_xfrm.moments_left = moments;
	fake_xfrm.dead = false;
	return died;
}

bool fake_xfrm_dead(void)
{
	if (fake_xfrm.moments_left == SIZE_MAX)
		return false;
	if (fake_xfrm.moments_left)
		fake_xfrm.moments_left--;
	else
		fake_xfrm.dead = true;
	return fake_xfrm.dead;
}

void fake_xfrm_refuse(size_t nth, int error)
{
	fake_xfrm.refuse_after = nth - 1;
	fake_xfrm.refuse_error = error;
}

void fake_xfrm_refuse_all(enum fake_what what, int error)
{
	fake_xfrm.refuse_what[what] = error;
}

void fake_xfrm_forget(void)
{
	fake_xfrm.step_count = 0;
}

size_t fake_xfrm_steps(enum fake_what what)
{
	size_t n = 0;

	for (size_t i = 0; i < fake_xfrm.step_count; i++)
		n += fake_xfrm.steps[i].what == what;
	return n;
}

const struct fake_step *fake_xfrm_step(enum fake_what what, size_t nth)
{
	for (size_t i = 0; i < fake_xfrm.step_count; i++) {
		if (fake_xfrm.steps[i].what == what && nth-- == 0)
			return &fake_xfrm.steps[i];
	}
	return NULL;
}

/* ---- the SAD and the SPD ---- */

static bool same_id(const struct xfrm_sa_id *a, const struct xfrm_sa_id *b)
{
	return a->spi == b->spi && a->proto == b->proto && ip_equal(&a->dst, &b->dst);
}

static struct fake_sa *find_sa(const struct xfrm_sa_id *id)
{
	for (size_t i = 0; i < fake_xfrm.sa_count; i++) {
		if (same_id(&fake_xfrm.sas[i].sa.id, id))
			return &fake_xfrm.sas[i];
	}
	return NULL;
}

void fake_xfrm_arrived(const struct xfrm_sa_id *id, uint64_t packets, uint32_t integrity_failed,
		       uint32_t replay_failed)
{
	struct fake_sa *sa = find_sa(id);

	sa->packets = packets;
	sa->integrity_failed = integrity_failed;
	sa->replay_failed = replay_failed;
}

const struct fake_sa *fake_xfrm_sa(const struct xfrm_sa_id *id)
{
	return find_sa(id);
}

static struct xfrm_policy *find_policy(enum xfrm_dir dir, const struct xfrm_sel *sel,
				       uint32_t if_id)
{
	for (size_t i = 0; i < fake_xfrm.policy_count; i++) {
		struct xfrm_policy *p = &fake_xfrm.policies[i];

		if (p->dir == dir && p->if_id == if_id && xfrm_sel_equal(&p->sel, sel))
			return p;
	}
	return NULL;
}

bool xfrm_policy_equal(const struct xfrm_policy *a, const struct xfrm_policy *b)
{
	return a->dir == b->dir && xfrm_sel_equal(&a->sel, &b->sel) &&
	       a->priority == b->priority && a->if_id == b->if_id && a->proto == b->proto &&
	       a->mode == b->mode && a->reqid == b->reqid && ip_equal(&a->tmpl_src, &b->tmpl_src) &&
	       ip_equal(&a->tmpl_dst, &b->tmpl_dst);
}

static int add_sa(const struct xfrm_sa *sa)
{
	if (find_sa(&sa->id))
		return -EEXIST;
	assert(fake_xfrm.sa_count < FAKE_SAS);
	fake_xfrm.sas[fake_xfrm.sa_count++] =
		(struct fake_sa){.sa = *sa, .add_time_s = clock_realtime_s()};
	return 0;
}

static int change_sa(const struct xfrm_sa_change *change)
{
	struct fake_sa *found = find_sa(&change->id);

	/* the kernel has -EINVAL for a change without the encapsulation that the SA has */
	if (!found)
		return -ESRCH;
	if (found->sa.mode != change->mode || found->sa.encap.on != change->encap.on)
		return -EINVAL;
	found->sa.hard_s = change->hard_s;
	found->sa.encap = change->encap;
	return 0;
}

static int delete_sa(const struct xfrm_sa_id *id)
{
	struct fake_sa *found = find_sa(id);

	if (!found)
		return -ESRCH;
	*found = fake_xfrm.sas[--fake_xfrm.sa_count];
	return 0;
}

static struct xfrm_policy *find_index(enum xfrm_dir dir, uint32_t index)
{
	for (size_t i = 0; i < fake_xfrm.policy_count; i++) {
		if (fake_xfrm.policies[i].dir == dir && fake_xfrm.policies[i].index == index)
			return &fake_xfrm.policies[i];
	}
	return NULL;
}

static int add_policy(const struct xfrm_policy *policy)
{
	uint32_t index = policy->index;

	if (find_policy(policy->dir, &policy->sel, policy->if_id))
		return -EEXIST;
	assert(fake_xfrm.policy_count < FAKE_POLICIES);
	if (!index || find_index(policy->dir, index))
		index = fake_xfrm.last_index += 8;
	fake_xfrm.policies[fake_xfrm.policy_count] = *policy;
	fake_xfrm.policies[fake_xfrm.policy_count++].index = index;
	return 0;
}

static int delete_policy(enum xfrm_dir dir, uint32_t index, uint32_t if_id)
{
	for (size_t i = 0; i < fake_xfrm.policy_count; i++) {
		struct xfrm_policy *p = &fake_xfrm.policies[i];

		if (p->dir != dir || p->index != index || p->if_id != if_id)
			continue;
		*p = fake_xfrm.policies[--fake_xfrm.policy_count];
		return 0;
	}
	return -ENOENT;
}

/* ---- somebody else ---- */

void fake_xfrm_steal_sa(const struct xfrm_sa_id *id)
{
	delete_sa(id);
}

void fake_xfrm_put_sa(const struct xfrm_sa *sa)
{
	add_sa(sa);
}

void fake_xfrm_steal_policies(void)
{
	fake_xfrm.policy_count = 0;
}

uint32_t fake_xfrm_put_policy(const struct xfrm_policy *policy)
{
	add_policy(policy);
	return fake_xfrm.last_index;
}

/* ---- transactions ---- */

void xfrm_begin(struct xfrm *x)
{
	explicit_bzero(x->queue, sizeof(x->queue));
	x->queued = 0;
}

static int queue(struct xfrm *x, const struct fake_step *step)
{
	if (x->queued == XFRM_TXN_MESSAGES)
		return -ENOSPC;
	x->queue[x->queued++] = *step;
	return 0;
}

static bool id_is_legal(const struct xfrm_sa_id *id, int family)
{
	return id->spi && id->dst.family == family && family != AF_UNSPEC &&
	       (id->proto == IPPROTO_ESP || id->proto == IPPROTO_AH);
}

int xfrm_add_sa(struct xfrm *x, const struct xfrm_sa *sa)
{
	const struct fake_step step = {.what = FAKE_ADD_SA, .sa = *sa};
	const bool ah = sa->id.proto == IPPROTO_AH;

	if (!id_is_legal(&sa->id, sa->src.family) || sa->sel.family != sa->src.family ||
	    (ah && (sa->enc.algo != XFRM_ALGO_NONE || sa->encap.on)) ||
	    (!ah && sa->enc.algo == XFRM_ALGO_NONE) || sa->replay_window < 32)
		return -EINVAL;
	return queue(x, &step);
}

int xfrm_change_sa(struct xfrm *x, const struct xfrm_sa_change *change)
{
	const struct fake_step step = {
		.what = FAKE_CHANGE_SA, .sa.id = change->id, .change = *change};

	return id_is_legal(&change->id, change->src.family) ? queue(x, &step) : -EINVAL;
}

int xfrm_delete_sa(struct xfrm *x, const struct xfrm_sa_id *id)
{
	const struct fake_step step = {.what = FAKE_DELETE_SA, .sa.id = *id};

	return id_is_legal(id, id->dst.family) ? queue(x, &step) : -EINVAL;
}

int xfrm_add_policy(struct xfrm *x, const struct xfrm_policy *policy)
{
	const struct fake_step step = {.what = FAKE_ADD_POLICY, .policy = *policy};

	if ((policy->mode == XFRM_TUNNEL) != (policy->tmpl_dst.family != AF_UNSPEC))
		return -EINVAL;
	return queue(x, &step);
}

int xfrm_delete_policy(struct xfrm *x, enum xfrm_dir dir, uint32_t index, uint32_t if_id)
{
	const struct fake_step step = {.what = FAKE_DELETE_POLICY,
				       .policy = {.dir = dir, .index = index, .if_id = if_id}};

	return index ? queue(x, &step) : -EINVAL;
}

static int obey(const struct fake_step *step)
{
	switch (step->what) {
	case FAKE_ADD_SA:
		return add_sa(&step->sa);
	case FAKE_CHANGE_SA:
		return change_sa(&step->change);
	case FAKE_DELETE_SA:
		return delete_sa(&step->sa.id);
	case FAKE_ADD_POLICY:
		return add_policy(&step->policy);
	case FAKE_DELETE_POLICY:
		return delete_policy(step->policy.dir, step->policy.index, step->policy.if_id);
	case FAKE_DESTROY_TCP:
		break;
	}
	return -EOPNOTSUPP;
}

static void write_down(const struct fake_step *step)
{
	if (fake_xfrm.step_count < FAKE_STEPS)
		fake_xfrm.steps[fake_xfrm.step_count++] = *step;
}

static bool is_turn_to_refuse(struct xfrm *x)
{
	if (x->refuse_after == SIZE_MAX)
		return false;
	return x->refuse_after-- == 0; /* becomes SIZE_MAX */
}

static int answer(struct xfrm *x, struct fake_step *step)
{
	step->datagram = x->datagrams;
	x->messages++;
	if (is_turn_to_refuse(x))
		step->error = x->refuse_error;
	else if (x->refuse_what[step->what])
		step->error = x->refuse_what[step->what];
	else
		step->error = obey(step);
	write_down(step);
	return step->error;
}

static void undo(struct xfrm *x, struct fake_step *step)
{
	struct fake_step back = {.undo = true, .datagram = x->datagrams};

	if (step->error || (step->what != FAKE_ADD_SA && step->what != FAKE_ADD_POLICY))
		return;
	back.what = step->what == FAKE_ADD_SA ? FAKE_DELETE_SA : FAKE_DELETE_POLICY;
	back.sa.id = step->sa.id;
	if (step->what == FAKE_ADD_POLICY)
		back.policy = *find_policy(step->policy.dir, &step->policy.sel, step->policy.if_id);
	x->messages++;
	back.error = obey(&back);
	write_down(&back);
}

static bool is_failure(const struct fake_step *step)
{
	const bool deletes = step->what == FAKE_DELETE_SA || step->what == FAKE_DELETE_POLICY;
	const bool gone = step->error == -ENOENT || step->error == -ESRCH;

	return step->error && !(deletes && gone);
}

static enum xfrm_op op_of(enum fake_what what)
{
	static const enum xfrm_op OPS[] = {
		[FAKE_ADD_SA] = XFRM_OP_ADD_SA,
		[FAKE_CHANGE_SA] = XFRM_OP_CHANGE_SA,
		[FAKE_DELETE_SA] = XFRM_OP_DELETE_SA,
		[FAKE_ADD_POLICY] = XFRM_OP_ADD_POLICY,
		[FAKE_DELETE_POLICY] = XFRM_OP_DELETE_POLICY,
	};

	return OPS[what];
}

static void report(const struct fake_step *step, size_t index, struct xfrm_error *ret)
{
	*ret = (struct xfrm_error){.error = step->error, .index = index, .op = op_of(step->what)};
	if (step->what == FAKE_ADD_POLICY || step->what == FAKE_DELETE_POLICY)
		snprintf(ret->object, sizeof(ret->object), "policy");
	else
		xfrm_sa_id_format(&step->sa.id, ret->object, sizeof(ret->object));
	snprintf(ret->kernel, sizeof(ret->kernel), "the fake says no");
}

int xfrm_commit(struct xfrm *x, struct xfrm_error *ret_error)
{
	const struct fake_step *failed = NULL;
	struct xfrm_error error = {0};

	if (!x->queued)
		return 0;
	if (fake_xfrm_dead()) {
		xfrm_begin(x);
		return -EIO;
	}
	x->datagrams++;
	for (size_t i = 0; i < x->queued; i++) {
		answer(x, &x->queue[i]);
		if (failed || !is_failure(&x->queue[i]))
			continue;
		failed = &x->queue[i];
		report(failed, i, &error);
	}
	if (failed && fake_xfrm_dead()) {
		xfrm_begin(x);
		return error.error;
	}
	if (failed) {
		x->datagrams++;
		for (size_t i = 0; i < x->queued; i++)
			undo(x, &x->queue[i]);
		if (ret_error)
			*ret_error = error;
	}
	xfrm_begin(x);
	return error.error;
}

/* ---- questions ---- */

int xfrm_get_sa(struct xfrm *x, const struct xfrm_sa_id *id, struct xfrm_sa_stats *ret)
{
	const struct fake_sa *found = find_sa(id);

	(void)x;
	if (!found)
		return -ESRCH;
	*ret = (struct xfrm_sa_stats){
		.add_time = (uint64_t)found->add_time_s,
		.hard_s = found->sa.hard_s,
		.reqid = found->sa.reqid,
		.src = found->sa.src,
		.packets = found->packets,
		.replay_failed = found->replay_failed,
		.integrity_failed = found->integrity_failed,
		.encap = found->sa.encap,
	};
	return 0;
}

int xfrm_read_drops(struct xfrm_drops *ret)
{
	fake_xfrm.drops_asked++;
	if (fake_xfrm.refuse_drops)
		return fake_xfrm.refuse_drops;
	*ret = fake_xfrm.drops;
	return 0;
}

int xfrm_get_sa_counters(struct xfrm *x, const struct xfrm_sa_id *id, struct xfrm_sa_stats *ret)
{
	if (x->refuse_questions)
		return x->refuse_questions;
	return xfrm_get_sa(x, id, ret);
}

int xfrm_get_sa_keys(struct xfrm *x, const struct xfrm_sa_id *id, uint32_t reqid,
		     struct xfrm_sa_keys *ret)
{
	const struct fake_sa *found = find_sa(id);

	if (x->refuse_keys)
		return x->refuse_keys;
	if (!found || found->sa.reqid != reqid)
		return -ESRCH;
	*ret = (struct xfrm_sa_keys){.auth = found->sa.auth, .enc = found->sa.enc};
	return 0;
}

int xfrm_get_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		    struct xfrm_policy *ret)
{
	const struct xfrm_policy *found = find_policy(dir, sel, if_id);

	(void)x;
	if (!found)
		return -ENOENT;
	*ret = *found;
	return 0;
}

int xfrm_get_policy_by_index(struct xfrm *x, enum xfrm_dir dir, uint32_t index, uint32_t if_id,
			     struct xfrm_policy *ret)
{
	const struct xfrm_policy *found = find_index(dir, index);

	(void)x;
	if (!found || found->if_id != if_id)
		return -ENOENT;
	*ret = *found;
	return 0;
}

uint32_t xfrm_policy_index(enum xfrm_dir dir, uint32_t number)
{
	return (number & ~7u) + dir + 8;
}

void xfrm_sent(const struct xfrm *x, uint64_t *ret_datagrams, uint64_t *ret_messages)
{
	*ret_datagrams = x->datagrams;
	*ret_messages = x->messages;
}

const struct xfrm_counts *xfrm_counts(const struct xfrm *x)
{
	return &x->counts;
}

int xfrm_destroy_tcp(struct xfrm *x, const struct ip_addr *local, uint16_t local_port,
		     const struct ip_addr *remote, uint16_t remote_port)
{
	const struct fake_step step = {.what = FAKE_DESTROY_TCP,
				       .sa.src = *local,
				       .local_port = local_port,
				       .remote = *remote,
				       .remote_port = remote_port};

	write_down(&step);
	return x->refuse_what[FAKE_DESTROY_TCP];
}

const char *xfrm_sa_id_format(const struct xfrm_sa_id *id, char *buf, size_t cap)
{
	char ip[IP_TEXT_BYTES];

	snprintf(buf, cap, "%s SA spi 0x%x to %s", id->proto == IPPROTO_AH ? "AH" : "ESP", id->spi,
		 ip_format(&id->dst, ip));
	return buf;
}

/* ---- dumps ---- */

static struct xfrm_dump_sa dumped(const struct fake_sa *held)
{
	const struct xfrm_sa *sa = &held->sa;

	return (struct xfrm_dump_sa){
		.id = sa->id,
		.sel = sa->sel,
		.mode = sa->mode,
		.larval = sa->id.spi == 0,
		.stats = {.reqid = sa->reqid,
			  .src = sa->src,
			  .hard_s = sa->hard_s,
			  .add_time = (uint64_t)held->add_time_s,
			  .encap = sa->encap},
	};
}

int xfrm_dump_sas(struct xfrm *x, int (*each)(const struct xfrm_dump_sa *sa, void *arg), void *arg)
{
	int err = 0;

	for (size_t i = 0; i < x->sa_count && !err; i++) {
		const struct xfrm_dump_sa dump = dumped(&x->sas[i]);

		err = each(&dump, arg);
	}
	return err;
}

/* A dump shows what was there when it began, as a kernel's may. */
int xfrm_dump_sas_piece(struct xfrm *x, int (*each)(const struct xfrm_dump_sa *sa, void *arg),
			void *arg, bool *ret_done)
{
	int err = x->refuse_dump;

	if (!err && !x->dump_count) {
		memcpy(x->dump, x->sas, x->sa_count * sizeof(x->sas[0]));
		x->dump_count = x->sa_count;
		x->dump_next = 0;
	}
	for (size_t n = 0; n < FAKE_PIECE && x->dump_next < x->dump_count && !err; n++) {
		const struct xfrm_dump_sa dump = dumped(&x->dump[x->dump_next++]);

		err = each(&dump, arg);
	}
	if (!err)
		*ret_done = x->dump_next == x->dump_count;
	if (err || *ret_done)
		x->dump_count = 0;
	return err;
}

int xfrm_dump_policies(struct xfrm *x, int (*each)(const struct xfrm_policy *policy, void *arg),
		       void *arg)
{
	static struct xfrm_policy dump[FAKE_POLICIES]; /* the caller may delete meanwhile */
	const size_t count = x->policy_count;
	int err = x->refuse_policy_dump;

	memcpy(dump, x->policies, count * sizeof(dump[0]));
	for (size_t i = 0; i < count && !err; i++)
		err = each(&dump[i], arg);
	return err;
}
