/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says by itself: an SA expired, a phone behind a NAT moved, a guard was deleted.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include <event2/event.h>

#include "daemon/guard.h"
#include "daemon/sa_table.h"

struct watch;

/* Returns 0 or -errno. @table and @guards are borrowed. */
int watch_open(struct event_base *loop, struct sa_table *table, struct guards *guards,
	       struct watch **ret);
void watch_close(struct watch *watch);

#endif
