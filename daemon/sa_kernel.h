/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set's SAs, policies and limits in the kernel. For sa_set.c alone.
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
int sa_kernel_set_limits(const struct sa_set *set, struct xfrm_error *ret_error);

/* Reset the set's TCP connections while the SAs still carry that to the phone, then take out its
 * SAs and those of its policies that no other set needs. What cannot be taken out is logged. */
void sa_kernel_remove(struct sa_set *set);

void sa_kernel_log_error(const struct sa_set *set, const char *attempt,
			 const struct xfrm_error *error);

#endif
