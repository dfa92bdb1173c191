/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event.*: what happened, as it happens or afterwards. A subscription is the connection's (conn.c
 * sends what is due); it ends with it. Numbers tell a reader what it has missed; those of an
 * earlier run of the daemon say nothing any more, and are taken as "from the oldest that is kept".
 */
#include "daemon/command.h"
#include "daemon/event_json.h"

#define EVENT_LIST_DEFAULT 100

/* The number of the first event that the caller wants. */
static uint64_t first_wanted(const struct json_node *params)
{
	const uint64_t since = param_number(params, "since");

	return since <= event_last() ? since + 1 : 1;
}

/* Those from number @seq on that are kept no more. */
static uint64_t lost_from(uint64_t seq)
{
	const struct event_record *record = event_from(seq);

	return (record ? record->seq : event_last() + 1) - seq;
}

int command_event_subscribe(struct daemon *d, const struct json_node *params, struct json_out *out,
			    struct refusal *refusal)
{
	if (!d->caller)
		return refuse(refusal, REASON_NO_STREAM,
			      "events are sent on connections that speak JSON; ask event.list");
	d->caller->subscribed = true;
	d->caller->next = param_has(params, "since") ? first_wanted(params) : event_last() + 1;
	json_open(out, '{');
	json_add_number(out, "last", event_last());
	json_add_number(out, "next", d->caller->next);
	json_close(out, '}');
	return 0;
}

int command_event_list(struct daemon *d, const struct json_node *params, struct json_out *out,
		       struct refusal *refusal)
{
	const uint32_t limit = param_has(params, "limit") ? param_number(params, "limit")
							  : EVENT_LIST_DEFAULT;
	const uint64_t first = first_wanted(params);
	const uint64_t lost = param_has(params, "since") ? lost_from(first) : 0;
	const struct event_record *record = event_from(first);

	(void)d;
	(void)refusal;
	json_open(out, '{');
	json_name(out, "events");
	json_open(out, '[');
	for (uint32_t i = 0; record && i < limit; i++, record = event_from(record->seq + 1))
		event_json(out, record);
	json_close(out, ']');
	json_add_number(out, "last", event_last());
	json_add_number(out, "lost", lost);
	json_add_bool(out, "more", record != NULL);
	json_close(out, '}');
	return 0;
}
