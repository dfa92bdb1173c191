/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much the kernel has dropped since some moment. Readings are taken now and then, so that a set
 * need not carry one.
 */
#ifndef DAEMON_DROPS_H
#define DAEMON_DROPS_H

#include "xfrm/xfrm.h"

#define DROPS_READINGS 32
#define DROPS_STEP_S   10 /* no two tries are closer; together they cover a reg-await-auth */

/* All zero: none yet. */
struct drops {
	struct {
		int64_t time_s;
		struct xfrm_drops drops;
	} readings[DROPS_READINGS];
	size_t count;    /* ever taken; the latest is the one before, modulo DROPS_READINGS */
	int64_t tried_s; /* to take one, also in vain */
};

/* @now_s is later than all before, or the clock was stepped. Takes a reading if one is due. */
void drops_note(struct drops *drops, int64_t now_s);

/* What was dropped since the latest reading that is not later than @time_s; when there is none any
 * more, since the oldest. Both are seconds of the real clock, as the kernel counts the age of SAs.
 * Returns 0, -ENOENT (never read, or a kernel that does not count). */
int drops_since(const struct drops *drops, int64_t time_s, struct xfrm_drops *ret);

#endif
