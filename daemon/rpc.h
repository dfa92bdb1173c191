/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON-RPC 2.0: one request, notification or batch in, its reply out. Knows no sockets.
 */
#ifndef DAEMON_RPC_H
#define DAEMON_RPC_H

#include "daemon/command.h"
#include "daemon/event.h"

#define RPC_MAX_BATCH       256
#define RPC_MAX_BATCH_BYTES (4 * 1024 * 1024) /* of answers; requests behind that are refused, but
						* notifications are done */

/* @text: one JSON value, which is changed, with a byte behind it that is changed as well. Returns
 * the reply, to be wiped and freed, without line end; NULL when none is due (a notification) or
 * memory is short. Never fails otherwise: what is wrong becomes an error reply. */
char *rpc_handle(struct daemon *d, char *text, size_t len);

/* The reply to something that is no JSON: @why is a sentence. To be freed. */
char *rpc_parse_error(const char *why);

/* Notifications to the client: an event, and how many have been lost before @next. To be freed;
 * NULL when memory is short. */
char *rpc_event(const struct event_record *record);
char *rpc_lost_events(uint64_t count, uint64_t next);

#endif
