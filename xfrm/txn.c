/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions: several messages, one datagram, one answer.
 *
 * xfrm_begin() empties the transaction, xfrm_add_*() and the others append a message each,
 * xfrm_commit() sends them. The kernel goes through all of them even when one fails, and answers
 * each failed one and the last one. A step without an answer has therefore succeeded, provided the
 * last one has its answer. When the transaction failed, what it added is deleted again in a second
 * datagram; what failed with EEXIST is somebody else's and stays.
 *
 * When answers were lost (ENOBUFS) or never came, nothing is assumed: what was to be added is asked
 * for and recognised as ours by address, reqid and the time of its making; changes and deletions
 * are sent again, one by one, which does no harm.
 *
 * The buffer holds keys from the first xfrm_add_sa() on and is wiped at the end of each commit.
 *
 * Deliberately absent: undoing deletions and changes, retries, asynchronous completion.
 */
#include "xfrm/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Answers to a transaction: at most one datagram each; the rest are strays. */
#define MAX_ANSWERS 1024

static void wipe_buffer(struct xfrm *x)
{
	explicit_bzero(x->txn_buf, x->txn_bytes);
	x->txn_bytes = 0;
	x->txn_messages = 0;
}

void xfrm_begin(struct xfrm *x)
{
	wipe_buffer(x);
	memset(x->steps, 0, x->steps_n * sizeof(x->steps[0]));
	x->steps_n = 0;
}

static void *tail(struct xfrm *x)
{
	return x->txn_buf + x->txn_bytes;
}

static size_t space(const struct xfrm *x)
{
	return sizeof(x->txn_buf) - x->txn_bytes;
}

static struct nlmsghdr *message(struct xfrm *x, size_t offset)
{
	return (struct nlmsghdr *)(void *)(x->txn_buf + offset);
}

/* A message was built at the tail: it is @step's. */
static void append(struct xfrm *x, struct xfrm_step *step)
{
	struct nlmsghdr *nlh = tail(x);

	netlink_stamp(&x->req, nlh);
	step->offset = x->txn_bytes;
	step->seq = nlh->nlmsg_seq;
	x->txn_last = x->txn_bytes;
	x->txn_bytes += msg_align(nlh->nlmsg_len);
	x->txn_messages++;
}

/* Room for one more message at the tail: 0 when the transaction is full. */
static size_t room(const struct xfrm *x)
{
	return x->steps_n < XFRM_TXN_MESSAGES ? space(x) : 0;
}

/* @err is what became of building the message at the tail. */
static int queue(struct xfrm *x, const struct xfrm_step *step, int err)
{
	size_t left = space(x);

	if (err) {
		/* Half a message may hold a whole key. */
		explicit_bzero(tail(x), left < XFRM_MSG_BYTES ? left : XFRM_MSG_BYTES);
		return err;
	}
	x->steps[x->steps_n] = *step;
	append(x, &x->steps[x->steps_n++]);
	return 0;
}

int xfrm_add_sa(struct xfrm *x, const struct xfrm_sa *sa)
{
	struct xfrm_step step = {
		.op = XFRM_OP_ADD_SA, .sa = sa->id, .src = sa->src, .reqid = sa->reqid};

	return queue(x, &step, msg_add_sa(tail(x), room(x), sa));
}

int xfrm_change_sa(struct xfrm *x, const struct xfrm_sa_change *change)
{
	struct xfrm_step step = {.op = XFRM_OP_CHANGE_SA, .sa = change->id};

	return queue(x, &step, msg_change_sa(tail(x), room(x), change, x->dummy));
}

int xfrm_delete_sa(struct xfrm *x, const struct xfrm_sa_id *id)
{
	struct xfrm_step step = {.op = XFRM_OP_DELETE_SA, .sa = *id};

	return queue(x, &step, msg_delete_sa(tail(x), room(x), id));
}

int xfrm_add_policy(struct xfrm *x, const struct xfrm_policy *policy)
{
	struct xfrm_step step = {.op = XFRM_OP_ADD_POLICY, .policy = *policy};

	step.policy.index = 0;
	return queue(x, &step, msg_add_policy(tail(x), room(x), policy));
}

int xfrm_delete_policy(struct xfrm *x, enum xfrm_dir dir, uint32_t index, uint32_t if_id)
{
	struct xfrm_step step = {
		.op = XFRM_OP_DELETE_POLICY,
		.policy = {.dir = dir, .index = index, .if_id = if_id},
	};

	return queue(x, &step, msg_delete_policy(tail(x), room(x), dir, index, if_id));
}

static bool is_addition(const struct xfrm_step *step)
{
	return step->op == XFRM_OP_ADD_SA || step->op == XFRM_OP_ADD_POLICY;
}

static bool is_deletion(const struct xfrm_step *step)
{
	return step->op == XFRM_OP_DELETE_SA || step->op == XFRM_OP_DELETE_POLICY;
}

static bool is_gone(int err)
{
	return err == -ENOENT || err == -ESRCH;
}

/* Only the last message asks for an ACK: a failure is answered in any case. */
static int send_buffer(struct xfrm *x)
{
	int err;

	message(x, x->txn_last)->nlmsg_flags |= NLM_F_ACK;
	err = netlink_send(&x->req, x->txn_buf, x->txn_bytes);
	if (!err) {
		x->datagrams++;
		x->messages += x->txn_messages;
	}
	return err;
}

static struct xfrm_step *find_step(struct xfrm *x, uint32_t seq)
{
	for (size_t i = 0; seq && i < x->steps_n; i++)
		if (x->steps[i].seq == seq)
			return &x->steps[i];
	return NULL;
}

static void count_refusal(struct xfrm *x, int err)
{
	if (err)
		x->counts.refused[err > -XFRM_ERRNOS ? -err : 0]++;
}

static void take_answer(struct xfrm *x, const struct nlmsghdr *nlh)
{
	struct xfrm_step *step = find_step(x, nlh->nlmsg_seq);
	char words[sizeof(step->kernel)];
	int err = netlink_verdict(nlh, words, sizeof(words));

	if (!step || err == -EBADMSG)
		return;
	count_refusal(x, err);
	step->answered = true;
	step->error = err;
	memcpy(step->kernel, words, sizeof(words));
}

static void take_answers(struct xfrm *x, size_t bytes)
{
	const struct nlmsghdr *nlh;
	size_t offset = 0;

	while ((nlh = msg_walk(x->answer, bytes, &offset)))
		take_answer(x, nlh);
	explicit_bzero(x->answer, bytes);
}

/* Read until the last message has its answer. -ENOBUFS: some were lost; -EIO: there is none. */
static int read_answers(struct xfrm *x)
{
	const struct xfrm_step *last = find_step(x, message(x, x->txn_last)->nlmsg_seq);
	int doubt = 0;

	for (int i = 0; i < MAX_ANSWERS; i++) {
		size_t bytes = 0;
		int err = netlink_recv(&x->req, x->answer, sizeof(x->answer), &bytes);

		if (err == -ENOBUFS || err == -EMSGSIZE)
			doubt = -ENOBUFS;
		else if (err)
			return doubt ? doubt : -EIO;
		take_answers(x, bytes);
		if (last->answered && !doubt)
			return 0;
	}
	return -EIO;
}

/* Send one message again, alone. */
static int repeat(struct xfrm *x, const struct xfrm_step *step)
{
	struct nlmsghdr *nlh = message(x, step->offset);
	const struct nlmsghdr *answer;

	nlh->nlmsg_flags |= NLM_F_ACK;
	x->datagrams++;
	x->messages++;
	return netlink_ask(&x->req, nlh, x->answer, sizeof(x->answer), &answer);
}

/* Is there such an SA and was it made by this transaction, that is, since @since_s? */
static int ask_sa(struct xfrm *x, const struct xfrm_step *step, uint64_t since_s)
{
	struct xfrm_sa_stats stats;
	int err = xfrm_get_sa_counters(x, &step->sa, &stats);

	if (err)
		return err;
	if (stats.reqid != step->reqid || !ip_equal(&stats.src, &step->src) ||
	    stats.add_time < since_s)
		return -EEXIST;
	return 0;
}

static int ask_policy(struct xfrm *x, const struct xfrm_step *step, uint64_t since_s)
{
	const struct xfrm_policy *p = &step->policy;
	struct xfrm_policy found;
	uint64_t add_time;
	int err = query_policy(x, p->dir, &p->sel, p->if_id, &found, &add_time);

	if (err)
		return err;
	return xfrm_policy_equal(p, &found) && add_time >= since_s ? 0 : -EEXIST;
}

/* @doubt: what to say when the kernel refused for a reason that was lost. */
static void resolve_addition(struct xfrm *x, struct xfrm_step *step, int doubt, uint64_t since_s)
{
	int err = step->op == XFRM_OP_ADD_SA ? ask_sa(x, step, since_s)
					     : ask_policy(x, step, since_s);

	step->unsure = err && err != -EEXIST && !is_gone(err);
	step->error = is_gone(err) ? doubt : err;
	step->added = !err;
}

static void resolve(struct xfrm *x, int doubt, uint64_t since_s)
{
	for (size_t i = 0; i < x->steps_n; i++) {
		struct xfrm_step *step = &x->steps[i];

		if (step->answered)
			step->added = is_addition(step) && !step->error;
		else if (is_addition(step))
			resolve_addition(x, step, doubt, since_s);
		else
			step->error = repeat(x, step);
	}
}

/* Everything but an error was a success, now that the last message has its answer. */
static void accept_answers(struct xfrm *x)
{
	for (size_t i = 0; i < x->steps_n; i++)
		x->steps[i].added = is_addition(&x->steps[i]) && !x->steps[i].error;
}

/* Give every step its outcome. -EIO: the kernel did not answer, whatever can be found out. */
static int settle(struct xfrm *x, uint64_t since_s)
{
	int doubt = read_answers(x);

	if (doubt)
		resolve(x, doubt, since_s);
	else
		accept_answers(x);
	for (size_t i = 0; i < x->steps_n; i++)
		if (is_deletion(&x->steps[i]) && is_gone(x->steps[i].error))
			x->steps[i].error = 0;
	return doubt == -EIO ? -EIO : 0;
}

static void describe(const struct xfrm_step *step, size_t index, int err, struct xfrm_error *ret)
{
	bool policy = step->op == XFRM_OP_ADD_POLICY || step->op == XFRM_OP_DELETE_POLICY;

	ret->error = err;
	ret->index = index;
	ret->op = step->op;
	if (policy)
		msg_policy_format(&step->policy, ret->object, sizeof(ret->object));
	else
		xfrm_sa_id_format(&step->sa, ret->object, sizeof(ret->object));
	memcpy(ret->kernel, step->kernel, sizeof(ret->kernel));
}

/* The first step that failed, else the last step when the whole did. */
static void find_failure(const struct xfrm *x, int err, struct xfrm_error *ret)
{
	size_t i = 0;

	while (i < x->steps_n && !x->steps[i].error)
		i++;
	if (i < x->steps_n)
		describe(&x->steps[i], i, x->steps[i].error, ret);
	else if (err)
		describe(&x->steps[i - 1], i - 1, err, ret);
}

static int build_undo(struct xfrm *x, const struct xfrm_step *step)
{
	if (step->op == XFRM_OP_ADD_SA)
		return msg_delete_sa(tail(x), space(x), &step->sa);
	return msg_delete_policy_sel(tail(x), space(x), &step->policy);
}

/* Deletions of what was added, newest first; the other steps have no message any more. */
static void queue_undo(struct xfrm *x)
{
	wipe_buffer(x);
	for (size_t i = x->steps_n; i-- > 0;) {
		struct xfrm_step *step = &x->steps[i];

		step->seq = 0;
		step->error = 0;
		step->answered = false;
		if (step->added && !build_undo(x, step))
			append(x, step);
	}
}

static size_t count_remaining(struct xfrm *x, int doubt)
{
	size_t n = 0;

	for (size_t i = 0; i < x->steps_n; i++) {
		struct xfrm_step *step = &x->steps[i];

		if (doubt && step->seq && !step->answered)
			step->error = repeat(x, step);
		if (step->unsure || (step->seq && step->error && !is_gone(step->error)))
			n++;
	}
	return n;
}

/* Returns how many additions may still be there. */
static size_t undo(struct xfrm *x)
{
	size_t n = 0;
	int err;

	queue_undo(x);
	if (!x->txn_messages)
		return count_remaining(x, 0);
	err = send_buffer(x);
	if (!err)
		return count_remaining(x, read_answers(x));
	for (size_t i = 0; i < x->steps_n; i++)
		n += x->steps[i].added || x->steps[i].unsure;
	return n;
}

/* The kernel's own clock for add_time, which lags CLOCK_REALTIME by up to a tick. */
static uint64_t now_s(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (uint64_t)t.tv_sec;
}

static void run(struct xfrm *x, struct xfrm_error *ret)
{
	uint64_t since_s = now_s();
	int err = send_buffer(x);

	if (err) {
		count_refusal(x, err);
		describe(&x->steps[0], 0, err, ret);
		return;
	}
	err = settle(x, since_s);
	count_refusal(x, err);
	find_failure(x, err, ret);
	if (ret->error)
		ret->not_undone = undo(x);
}

int xfrm_commit(struct xfrm *x, struct xfrm_error *ret_error)
{
	struct xfrm_error error = {0};

	if (x->steps_n) {
		const uint64_t start_ns = histogram_clock_ns();

		run(x, &error);
		histogram_add_since(&x->counts.took, start_ns);
	}
	xfrm_begin(x);
	if (error.error && ret_error)
		*ret_error = error;
	return error.error;
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
