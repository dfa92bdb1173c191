/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of a client: its input, its framing, its output.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include <event2/event.h>

#include "daemon/command.h"
#include "daemon/event.h"

struct conn;

/* Have libevent wipe what it frees. Call once, before any other use of it. */
void conn_init(void);

/* Serve the connected socket @fd, which is the connection's from here on; on failure it is the
 * caller's still. @closed is called when the connection has ended by itself, before it is freed;
 * why it did is counted in @d. timer_use_loop() comes first. NULL when memory is short. */
struct conn *conn_new(struct event_base *loop, struct daemon *d, enum conn_door door, int fd,
		      void (*closed)(struct conn *conn, void *arg), void *arg);
void conn_free(struct conn *conn);

/* Does the client want events, and has not been sent the latest? */
bool conn_wants_events(const struct conn *conn);

/* Send it what is due. @conn may be gone afterwards. */
void conn_push_events(struct conn *conn);

#endif
