/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON-RPC 2.0: one request, notification or batch in, its reply out. Knows no sockets.
 */
#ifndef DAEMON_RPC_H
#define DAEMON_RPC_H

#include "daemon/command.h"

#define RPC_MAX_BATCH       256
#define RPC_MAX_BATCH_BYTES (4 * 1024 * 1024) /* of answers; requests behind that are refused, but
						* notifications are done */

/* @text: one JSON value. Returns the reply, to be freed, without line end; NULL when none is due (a
 * notification) or memory is short. Never fails otherwise: what is wrong becomes an error reply. */
char *rpc_handle(struct daemon *d, const char *text, size_t len);

/* The reply to something that is no JSON: @why is a sentence. To be freed. */
char *rpc_parse_error(const char *why);

/* A notification to the client, to be freed; NULL when memory is short. @params is stolen. */
char *rpc_notification(const char *method, json_t *params);

#endif
