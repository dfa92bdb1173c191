/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions about one SA or one policy.
 *
 * A question is built on the stack, sent alone and answered at once; a transaction that is being
 * queued is not disturbed. GETAE answers without keys and is what to ask for existence, owner and
 * counters; GETSA's answer carries the keys, so the buffer is wiped whatever became of it. One
 * question wants them, for people who look into their own network's packets; no other sees them.
 *
 * Deliberately absent: lists (dump.c) and anything that changes the kernel.
 */
#include "xfrm/internal.h"

#include <errno.h>
#include <string.h>

/* The longest is GETPOLICY: 16 + 64 + 8 bytes. */
#define QUESTION_BYTES 128

int xfrm_get_sa_counters(struct xfrm *x, const struct xfrm_sa_id *id, struct xfrm_sa_stats *ret)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];
	const struct nlmsghdr *answer;
	int err = msg_get_counters(buf, sizeof(buf), id);

	if (!err)
		err = netlink_ask(&x->req, (void *)buf, x->answer, sizeof(x->answer), &answer);
	return err ? err : msg_read_counters(answer, ret);
}

int xfrm_get_sa(struct xfrm *x, const struct xfrm_sa_id *id, struct xfrm_sa_stats *ret)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];
	const struct nlmsghdr *answer;
	struct xfrm_dump_sa sa;
	int err = msg_get_sa(buf, sizeof(buf), id);

	if (err)
		return err;
	err = netlink_ask(&x->req, (void *)buf, x->answer, sizeof(x->answer), &answer);
	if (!err)
		err = msg_read_sa(answer, &sa);
	explicit_bzero(x->answer, sizeof(x->answer));
	if (!err)
		*ret = sa.stats;
	return err;
}

static bool is_zero(const struct xfrm_key *key)
{
	static const uint8_t zeros[XFRM_MAX_KEY_BYTES];

	return !memcmp(key->bytes, zeros, sizeof(zeros));
}

/* A kernel that is locked down for confidentiality does not refuse: it fills with zeros. */
static int read_keys(const struct nlmsghdr *nlh, uint32_t reqid, struct xfrm_sa_keys *ret)
{
	struct xfrm_sa_keys keys;
	struct xfrm_dump_sa sa;
	int err = msg_read_sa(nlh, &sa);

	if (!err && sa.stats.reqid != reqid)
		err = -ESRCH;
	if (!err)
		err = msg_read_keys(nlh, &keys);
	if (err)
		return err;
	if (is_zero(&keys.auth) && is_zero(&keys.enc))
		return -EACCES;
	*ret = keys;
	explicit_bzero(&keys, sizeof(keys));
	return 0;
}

int xfrm_get_sa_keys(struct xfrm *x, const struct xfrm_sa_id *id, uint32_t reqid,
		     struct xfrm_sa_keys *ret)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];
	const struct nlmsghdr *answer;
	int err = msg_get_sa(buf, sizeof(buf), id);

	if (err)
		return err;
	err = netlink_ask(&x->req, (void *)buf, x->answer, sizeof(x->answer), &answer);
	if (!err)
		err = read_keys(answer, reqid, ret);
	explicit_bzero(x->answer, sizeof(x->answer));
	return err;
}

static int read_policy(const struct nlmsghdr *nlh, struct xfrm_policy *ret, uint64_t *ret_add_time)
{
	struct xfrm_userpolicy_info info;
	int err;

	if (nlh->nlmsg_type != XFRM_MSG_NEWPOLICY || msg_body(nlh, &info, sizeof(info)))
		return -EBADMSG;
	err = msg_read_policy(nlh, &info, sizeof(info), ret);
	if (!err)
		*ret_add_time = info.curlft.add_time;
	return err;
}

/* @err is what became of building the question in @buf. */
static int ask_policy(struct xfrm *x, int err, void *buf, struct xfrm_policy *ret,
		      uint64_t *ret_add_time)
{
	const struct nlmsghdr *answer;

	if (!err)
		err = netlink_ask(&x->req, buf, x->answer, sizeof(x->answer), &answer);
	return err ? err : read_policy(answer, ret, ret_add_time);
}

int query_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		 struct xfrm_policy *ret, uint64_t *ret_add_time)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];
	const int err = msg_get_policy(buf, sizeof(buf), dir, sel, if_id);

	return ask_policy(x, err, buf, ret, ret_add_time);
}

int xfrm_get_policy_by_index(struct xfrm *x, enum xfrm_dir dir, uint32_t index, uint32_t if_id,
			     struct xfrm_policy *ret)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];
	const int err = msg_get_policy_by_index(buf, sizeof(buf), dir, index, if_id);
	uint64_t add_time;

	return ask_policy(x, err, buf, ret, &add_time);
}

int xfrm_get_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		    struct xfrm_policy *ret)
{
	uint64_t add_time;

	return query_policy(x, dir, sel, if_id, ret, &add_time);
}
