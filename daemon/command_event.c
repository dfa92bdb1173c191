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
static uint64_t first_wanted(const json_t *params)
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

int command_event_subscribe(struct daemon *d, const json_t *params, json_t **ret,
			    struct refusal *refusal)
{
	if (!d->caller)
		return refuse(refusal, REASON_NO_STREAM,
			      "events are sent on connections that speak JSON; ask event.list");
	d->caller->subscribed = true;
	d->caller->next = param_has(params, "since") ? first_wanted(params) : event_last() + 1;
	*ret = json_pack("{s:I, s:I}", "last", (json_int_t)event_last(), "next",
			 (json_int_t)d->caller->next);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

int command_event_list(struct daemon *d, const json_t *params, json_t **ret,
		       struct refusal *refusal)
{
	const uint32_t limit = param_has(params, "limit") ? param_number(params, "limit")
							  : EVENT_LIST_DEFAULT;
	const uint64_t first = first_wanted(params);
	const uint64_t lost = param_has(params, "since") ? lost_from(first) : 0;
	json_t *events = json_array();
	const struct event_record *record = event_from(first);

	(void)d;
	for (uint32_t i = 0; record && i < limit; i++, record = event_from(record->seq + 1))
		json_array_append_new(events, event_json(record));
	*ret = json_pack("{s:o, s:I, s:I, s:b}", "events", events, "last",
			 (json_int_t)event_last(), "lost", (json_int_t)lost, "more",
			 record != NULL);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}
