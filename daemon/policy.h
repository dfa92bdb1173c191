/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One policy that must be in the kernel: a guard, or one of a set's own.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include "xfrm/xfrm.h"

/* Add @policy when it is missing, take over one that is the same, and replace one that bears the name
 * @policy->index (0: none) but was changed. Sets @policy->index; @ret_added: it was missing or
 * changed. Returns 0, -EEXIST (another program's stands there) or the kernel's refusal; then
 * @policy is untouched. */
int policy_hold(struct xfrm *xfrm, struct xfrm_policy *policy, bool *ret_added,
		struct xfrm_error *ret_error);

#endif
