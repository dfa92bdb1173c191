/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says by itself: an SA expired, a phone behind a NAT moved, a policy was deleted or
 * changed, the clock was set.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include <event2/event.h>

#include "daemon/audit.h"
#include "daemon/guard.h"
#include "daemon/sa_table.h"
#include "daemon/upkeep.h"

struct watch;

/* Who is told. Borrowed. */
struct watch_targets {
	struct sa_table *table;
	struct guards *guards;
	struct upkeep *upkeep;
	struct audit *audit;
};

/* Returns 0 or -errno. */
int watch_open(struct event_base *loop, const struct watch_targets *targets, struct watch **ret);
void watch_close(struct watch *watch);

#endif
