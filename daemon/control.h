/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's doors: the listening sockets of control, HTTP and metrics, and who came in.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <event2/event.h>

#include "daemon/command.h"

struct control;

/* Listen wherever the configuration says. On failure @ret_why says what is wrong and what to do.
 * Returns 0 or -errno. */
int control_open(struct event_base *loop, struct daemon *d, struct control **ret, char *ret_why,
		 size_t why_cap);

/* At most so many connections at the control and monitor sockets. Those that are there stay. */
void control_limit(struct control *control, unsigned max_connections);

/* Close all connections and remove the socket files. */
void control_close(struct control *control);

#endif
