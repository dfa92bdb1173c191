/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that the service manager hands over: those that it has bound for us, and those that an
 * earlier run gave it to keep (notify_keep()). sd_listen_fds(3)
 */
#ifndef DAEMON_INHERIT_H
#define DAEMON_INHERIT_H

#include <stdbool.h>

/* See what there is. Call it first, once. */
void inherit_sockets(void);

/* The first one that @is_it knows; it is the caller's then. -ENOENT: there is none. */
int inherit_take(bool (*is_it)(int fd, const void *arg), const void *arg);

/* Close those that nobody took. Were there any? */
bool inherit_close_rest(void);

#endif
