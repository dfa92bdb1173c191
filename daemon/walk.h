/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All sets, a few at a time, while sets come and go in between.
 */
#ifndef DAEMON_WALK_H
#define DAEMON_WALK_H

#include "daemon/sa_table.h"

/* So many sets have all their SAs in one transaction. */
#define WALK_SETS (XFRM_TXN_MESSAGES / PLAN_MAX_SAS)

struct walk {
	struct sa_table *table;
	uint64_t *ids;
	size_t count, next;
};

/* From the first set, whatever @walk did before. Sets that are made from now on are not met.
 * Returns 0 or -ENOMEM (then there is nothing to walk). */
int walk_begin(struct walk *walk, struct sa_table *table);

/* The next sets, those that are still there. Returns how many; 0: that was all. */
size_t walk_next(struct walk *walk, struct sa_set *ret[static WALK_SETS]);

void walk_end(struct walk *walk);

#endif
