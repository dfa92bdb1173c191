/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel has one policy for a direction and selector, whoever made it. An update by another
 * program keeps the policy's index: then it is ours that was changed, and the change is undone. One
 * with another index was made anew, in the place of ours, and is not ours to touch.
 */
#include "daemon/policy.h"

#include <errno.h>

static int add(struct xfrm *xfrm, const struct xfrm_policy *policy, uint32_t replaced_index,
	       struct xfrm_error *ret_error)
{
	struct xfrm_policy anew = *policy;
	int err = 0;

	anew.index = 0; /* the old name in an event is that of the old one */
	xfrm_begin(xfrm);
	if (replaced_index) /* in one datagram with what comes in its place: hardly a gap */
		err = xfrm_delete_policy(xfrm, policy->dir, replaced_index, policy->if_id);
	if (!err)
		err = xfrm_add_policy(xfrm, &anew);
	if (!err)
		return xfrm_commit(xfrm, ret_error);
	ret_error->error = err;
	return err;
}

int policy_hold(struct xfrm *xfrm, struct xfrm_policy *policy, bool *ret_added,
		struct xfrm_error *ret_error)
{
	struct xfrm_policy found;
	int err = add(xfrm, policy, 0, ret_error);

	if (err && err != -EEXIST)
		return err;
	*ret_added = !err;
	if (xfrm_get_policy(xfrm, policy->dir, &policy->sel, policy->if_id, &found) < 0)
		return err ? err : -ENOENT;
	if (err == -EEXIST && !xfrm_policy_equal(policy, &found)) {
		if (!policy->index || found.index != policy->index)
			return -EEXIST;
		err = add(xfrm, policy, found.index, ret_error);
		if (!err)
			err = xfrm_get_policy(xfrm, policy->dir, &policy->sel, policy->if_id,
					      &found);
		if (err)
			return err;
		*ret_added = true;
	}
	policy->index = found.index;
	return 0;
}
