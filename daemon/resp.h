/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol for clients of Redis: one command of RESP2 in, its reply out. A command is a
 * method with its params as one JSON argument. Knows no sockets. secagreed-control(7).
 */
#ifndef DAEMON_RESP_H
#define DAEMON_RESP_H

#include "daemon/command.h"
#include "daemon/frame_resp.h"

/* The reply to a complete command, to be freed; NULL when none is due (an empty command) or memory
 * is short. *@ret_quit: the client takes leave. */
char *resp_handle(struct daemon *d, const struct frame_resp *frame, char *data, size_t *ret_bytes,
		  bool *ret_quit);

/* The last words to a client that does not speak RESP2. @why: a sentence. To be freed. */
char *resp_protocol_error(const char *why, size_t *ret_bytes);

#endif
