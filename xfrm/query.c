/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions about one SA or one policy.
 *
 * A question is built on the stack, sent alone and answered at once; a transaction that is being
 * queued is not disturbed. GETAE answers without keys and is what to ask for existence, owner and
 * counters; GETSA's answer carries the keys, so the buffer is wiped whatever became of it.
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

int query_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		 struct xfrm_policy *ret, uint64_t *ret_add_time)
{
	_Alignas(8) uint8_t buf[QUESTION_BYTES];
	const struct nlmsghdr *answer;
	int err = msg_get_policy(buf, sizeof(buf), dir, sel, if_id);

	if (!err)
		err = netlink_ask(&x->req, (void *)buf, x->answer, sizeof(x->answer), &answer);
	return err ? err : read_policy(answer, ret, ret_add_time);
}

int xfrm_get_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		    struct xfrm_policy *ret)
{
	uint64_t add_time;

	return query_policy(x, dir, sel, if_id, ret, &add_time);
}
