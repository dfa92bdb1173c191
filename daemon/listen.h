/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <sys/types.h>

#include "daemon/config.h"

/* At the path that @where names, with its mode and group (an empty one leaves it). A socket file
 * that nobody answers on is replaced. *@ret_made: the file is the caller's to remove; false where
 * the service manager made the socket (inherit.h), and keeps it.
 * Returns 0 and *@ret_fd, or -errno and a sentence in @ret_why that says what to do. */
int listen_unix(const struct config_socket *where, int *ret_fd, bool *ret_made, char *ret_why,
		size_t why_cap);

/* On a TCP port. Returns as above. */
int listen_tcp(const struct ip_addr *address, uint16_t port, int *ret_fd, char *ret_why,
	       size_t why_cap);

#endif
