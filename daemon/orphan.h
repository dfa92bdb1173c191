/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a daemon that died has left in the kernel.
 */
#ifndef DAEMON_ORPHAN_H
#define DAEMON_ORPHAN_H

#include "daemon/config.h"

/* Does it carry the mark of one of our listeners? A policy: that of a single set, no guard. */
bool orphan_is_our_sa(const struct config *config, const struct xfrm_dump_sa *sa);
bool orphan_is_our_policy(const struct config *config, const struct xfrm_policy *policy);

/* Delete the SAs and the policies of single sets that carry a listener's reqid (or one of its upper
 * half) and have its address at one end; guards stay. Nothing else is touched. Returns how many
 * objects went, or -errno. */
int orphans_remove(struct xfrm *xfrm, const struct config *config);

#endif
