/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events as the control protocol shows them.
 */
#ifndef DAEMON_EVENT_JSON_H
#define DAEMON_EVENT_JSON_H

#include "daemon/event.h"
#include "daemon/json/json.h"

/* An object: seq, time_ms, event, level and the event's own fields. */
void event_json(struct json_out *out, const struct event_record *record);

#endif
