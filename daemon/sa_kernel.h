/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set's SAs, policies and limits in the kernel. For sa_set.c, and for those who look after all sets:
 * upkeep.c, audit.c.
 */
#ifndef DAEMON_SA_KERNEL_H
#define DAEMON_SA_KERNEL_H

#include "daemon/sa_set.h"

/* Put the SAs of @set, and the policies that it needs of its own, into the kernel, all or nothing,
 * with reg-await-auth as their limit. Sets .reqid, .add_time_s and .policy_index.
 * Returns 0, or -ECANCELED (see @refusal); *@ret_collision: an SPI of ours was taken, try others. */
int sa_kernel_install(struct sa_set *set, const struct keymat *keymat, bool *ret_collision,
		      struct refusal *refusal);

/* Make the kernel's limits, and the ports of ESP in UDP, those of @set. One datagram.
 * Returns 0 or the negative errno that is also in @ret_error; -ESRCH: the kernel has lost an SA. */
int sa_kernel_set_limits(struct sa_set *set, struct xfrm_error *ret_error);

/* The same for several sets, WALK_SETS at most, in one datagram. On failure nobody knows which of them
 * have new limits: ask one by one. */
int sa_kernel_set_all_limits(struct sa_set *const *sets, size_t count,
			     struct xfrm_error *ret_error);

/* The second by CLOCK_REALTIME in which the kernel should end the SAs of @set by itself. */
int64_t sa_kernel_end_s(const struct sa_set *set);

/* Does the kernel end @sa in that second, and has it the ports of ESP in UDP that are planned? */
bool sa_kernel_is_pinned(const struct xfrm_sa *planned, int64_t end_s,
			 const struct xfrm_sa_stats *sa);

/* Put back those of the set's own policies that are not in the kernel as they should be; another
 * program's in their place stays. What is done is logged. @there: a bit for each that is known to
 * be as it should, and not looked at. Returns how many were put back. */
size_t sa_kernel_restore_policies(struct sa_set *set, unsigned there);

/* An earlier run installed the set's own policies, under names that are not known yet. */
void sa_kernel_expect_policies(struct sa_set *set);

/* If @policy, of a dump, is one of the set's own by @plan, note the kernel's name for it. Returns
 * its bit; 0: it is none. */
unsigned sa_kernel_learn_policy(struct sa_set *set, const struct plan *plan,
				const struct xfrm_policy *policy);

/* The sets whose own policy @policy may be, by its selector; NULL: none. */
const struct sa_flow *sa_kernel_flow_of(const struct sa_table *table,
					const struct xfrm_policy *policy);
bool sa_kernel_has_policy(const struct sa_set *set, uint32_t index);

/* Reset the set's TCP connections while the SAs still carry that to the phone, then take out its
 * SAs and those of its policies that no other set needs. What cannot be taken out is logged. */
void sa_kernel_remove(struct sa_set *set);

void sa_kernel_log_error(const struct sa_set *set, const char *attempt,
			 const struct xfrm_error *error);

#endif
