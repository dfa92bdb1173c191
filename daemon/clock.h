/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices when somebody sets the machine's clock.
 */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <event2/event.h>

struct clock_watch;

/* Call @stepped from the loop after each step of CLOCK_REALTIME, forward or back; not while it is
 * merely slowed down or sped up. Returns 0 or -errno. */
int clock_watch_open(struct event_base *loop, void (*stepped)(void *arg), void *arg,
		     struct clock_watch **ret);
void clock_watch_close(struct clock_watch *watch);

#endif
