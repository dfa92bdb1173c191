/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events as the control protocol shows them.
 */
#ifndef DAEMON_EVENT_JSON_H
#define DAEMON_EVENT_JSON_H

#include <jansson.h>

#include "daemon/event.h"

/* An object: seq, time_ms, event, level and the event's own fields. NULL when memory is short. */
json_t *event_json(const struct event_record *record);

/* Words of a phone as a JSON string. */
json_t *event_json_text(const char *text);

#endif
