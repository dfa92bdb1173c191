/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A word to the service manager, where one waits for it: sd_notify(3).
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <event2/event.h>

/* Tell it @state, as "READY=1". Nobody waits: 0. Returns 0 or -errno. */
int notify(const char *state);

/* Have it keep @fd under @name, so that the next run inherits it (inherit.h), however this one ends.
 * One that it keeps already is kept once. Returns as above. */
int notify_keep(int fd, const char *name);

/* Have it close all that it keeps under @name. */
int notify_drop(const char *name);

/* Tell it that the configuration is read anew, until the next READY=1. */
int notify_reloading(void);

/* Tell it that the loop turns, as often as it wants that, from now on and in @loop. Returns 0 and
 * the timer, which is the caller's; *@ret is NULL when nobody wants it. -ENOMEM. */
int notify_watchdog(struct event_base *loop, struct event **ret);

#endif
