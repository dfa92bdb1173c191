/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What in the kernel bears our mark.
 */
#ifndef DAEMON_ORPHAN_H
#define DAEMON_ORPHAN_H

#include "daemon/config.h"

/* Does it carry the mark of one of our listeners? A policy: that of a single set, no guard. */
bool orphan_is_our_sa(const struct config *config, const struct xfrm_dump_sa *sa);
bool orphan_is_our_policy(const struct config *config, const struct xfrm_policy *policy);

#endif
