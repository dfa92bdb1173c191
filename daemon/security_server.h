/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The value of Security-Server, wherever one is sent.
 */
#ifndef DAEMON_SECURITY_SERVER_H
#define DAEMON_SECURITY_SERVER_H

#include "daemon/config.h"

/* Write the whole list of @listener. For a 401: @chosen and our numbers, @endpoint; for a 421 or
 * 494, which are for no set: both NULL. @cap includes the NUL; SERVER_LIST_WRITE_BYTES is always
 * enough. Returns the length, -EINVAL or -ENOSPC; on failure @buf is "". RFC 3329 2.3.1, TS 33.203 7.2. */
int security_server_write(const struct config_listener *listener, const struct ipsec_suite *chosen,
			  const struct ipsec_endpoint *endpoint, char *buf, size_t cap);

#endif
