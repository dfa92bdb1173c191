/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The latest events in a ring, by their number. An emitter never waits for a reader: readers come
 * with the number that they want next and find out by it how many they have missed. Out of memory
 * an event is logged and counted, but its number is missing from the ring.
 *
 * State of the process, as the log is: one daemon has one ring. It does not outlive the daemon,
 * and the numbers start again with it.
 */
#include "daemon/event.h"
#include "daemon/event_log.h"
#include "daemon/log.h"
#include "proto/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *word;
	int level;
} EVENTS[EVENT_COUNT] = {
	[EVENT_STARTED] = { "started", LOG_NOTICE },
	[EVENT_STOPPING] = { "stopping", LOG_NOTICE },
	[EVENT_STOPPED] = { "stopped", LOG_NOTICE },
	[EVENT_RELOADED] = { "reloaded", LOG_NOTICE },
	[EVENT_RELOAD_REFUSED] = { "reload-refused", LOG_ERR },
	[EVENT_LISTENER_LEFT] = { "listener-left", LOG_NOTICE },
	[EVENT_ORPHANS_REMOVED] = { "orphans-removed", LOG_NOTICE },
	[EVENT_RESTORED] = { "restored", LOG_NOTICE },
	[EVENT_RECORD_REFUSED] = { "record-refused", LOG_ERR },
	[EVENT_STORE_FORGOTTEN] = { "store-forgotten", LOG_WARNING },
	[EVENT_STORE_FAILED] = { "store-failed", LOG_ERR },
	[EVENT_OFFER] = { "offer", LOG_DEBUG },
	[EVENT_SET_MADE] = { "set-made", LOG_INFO },
	[EVENT_SET_STATE] = { "set-state", LOG_INFO },
	[EVENT_SET_MOVED] = { "set-moved", LOG_INFO },
	[EVENT_SET_UNANSWERED] = { "set-unanswered", LOG_NOTICE },
	[EVENT_SET_LOST] = { "set-lost", LOG_WARNING },
	[EVENT_KEYS_EXPORTED] = { "keys-exported", LOG_NOTICE },
	[EVENT_REQUEST_REFUSED] = { "refused", LOG_NOTICE },
	[EVENT_MESSAGE_REFUSED] = { "message-refused", LOG_NOTICE },
	[EVENT_SIP_REFUSED] = { "sip-refused", LOG_NOTICE },
	[EVENT_KERNEL_REFUSED] = { "kernel-refused", LOG_ERR },
	[EVENT_GUARD_LOST] = { "guard-lost", LOG_ERR },
	[EVENT_GUARD_CONTESTED] = { "guard-contested", LOG_ERR },
	[EVENT_GUARD_STAYS] = { "guard-stays", LOG_ERR },
	[EVENT_POLICY_LOST] = { "policy-lost", LOG_WARNING },
	[EVENT_POLICY_VANISHED] = { "policy-vanished", LOG_ERR },
	[EVENT_CLOCK_STEPPED] = { "clock-stepped", LOG_NOTICE },
	[EVENT_UPKEEP_SKIPPED] = { "upkeep-skipped", LOG_ERR },
	[EVENT_AUDIT] = { "audit", LOG_WARNING },
	[EVENT_AUDIT_CLEAN] = { "audit-clean", LOG_DEBUG },
	[EVENT_KERNEL_EVENTS_LOST] = { "kernel-events-lost", LOG_WARNING },
	[EVENT_KERNEL_EVENTS_BROKEN] = { "kernel-events-broken", LOG_ERR },
	[EVENT_ACCEPT_FAILED] = { "accept-failed", LOG_WARNING },
};

static struct {
	struct event_record *kept[EVENT_KEPT]; /* by number, modulo its size */
	uint64_t last;
	uint64_t total[EVENT_COUNT];
	void (*emitted)(void *arg);
	void *arg;
	void (*keep)(struct event_record *record);
} ring;

/* ---- fields ---- */

struct event_field event_text(const char *name, const char *text)
{
	return (struct event_field){ .name = name, .text = text ? text : "" };
}

struct event_field event_number(const char *name, uint64_t number)
{
	return (struct event_field){ .name = name, .number = number };
}

struct event_field event_address(const char *name, const struct ip_addr *address)
{
	struct event_field field = { .name = name };

	ip_format(address, field.shown);
	return field;
}

struct event_field event_errno(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return event_text("errno", !err ? "none" : name ? name : "?");
}

struct event_field event_set(uint64_t id)
{
	struct event_field field = { .name = "set" };

	if (id)
		snprintf(field.shown, sizeof(field.shown), "%016" PRIx64, id);
	else
		field.text = "";
	return field;
}

struct event_field event_if(bool present, struct event_field field)
{
	field.absent = !present;
	return field;
}

const char *event_field_text(const struct event_field *field)
{
	if (field->text)
		return field->text;
	return field->shown[0] ? field->shown : NULL;
}

/* ---- the ring ---- */

int64_t event_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void fill(struct event_record *record, const struct event_field *fields, char *texts)
{
	for (const struct event_field *field = fields; field->name; field++) {
		const char *text = event_field_text(field);
		size_t i;

		if (field->absent)
			continue;
		i = record->field_count++;
		record->fields[i].name = field->name;
		record->fields[i].number = field->number;
		if (text) {
			record->fields[i].text = texts;
			texts = stpcpy(texts, text) + 1;
		}
	}
}

static struct event_record *record_of(enum event_name name, const struct event_field *fields)
{
	struct event_record *record;
	size_t bytes = sizeof(*record), count = 0;

	for (const struct event_field *field = fields; field->name; field++) {
		if (field->absent)
			continue;
		count++;
		bytes += event_field_text(field) ? strlen(event_field_text(field)) + 1 : 0;
	}
	bytes += count * sizeof(record->fields[0]);
	record = calloc(1, bytes);
	if (!record)
		return NULL;
	record->seq = ring.last;
	record->time_ms = event_now_ms();
	record->name = name;
	record->holders = 1;
	record->bytes = bytes;
	fill(record, fields, (char *)&record->fields[count]);
	return record;
}

struct event_record *event_record_hold(struct event_record *record)
{
	record->holders++;
	return record;
}

void event_record_drop(struct event_record *record)
{
	if (record && !--record->holders)
		free(record);
}

const char *event_record_text(const struct event_record *record, const char *name)
{
	for (size_t i = 0; i < record->field_count; i++) {
		if (!strcmp(record->fields[i].name, name))
			return record->fields[i].text;
	}
	return NULL;
}

uint64_t event_record_number(const struct event_record *record, const char *name)
{
	for (size_t i = 0; i < record->field_count; i++) {
		if (!strcmp(record->fields[i].name, name))
			return record->fields[i].number;
	}
	return 0;
}

void event_emit_fields(enum event_name name, const struct event_field *fields)
{
	struct event_record **place;

	event_log(EVENTS[name].word, EVENTS[name].level, fields);
	ring.total[name]++;
	place = &ring.kept[++ring.last % EVENT_KEPT];
	event_record_drop(*place);
	*place = record_of(name, fields);
	if (*place && ring.keep)
		ring.keep(*place);
	if (ring.emitted)
		ring.emitted(ring.arg);
}

const char *event_word(enum event_name name)
{
	return EVENTS[name].word;
}

const char *event_level(enum event_name name)
{
	return log_level_word(EVENTS[name].level);
}

int event_severity(enum event_name name)
{
	return EVENTS[name].level;
}

uint64_t event_total(enum event_name name)
{
	return ring.total[name];
}

uint64_t event_last(void)
{
	return ring.last;
}

const struct event_record *event_from(uint64_t seq)
{
	if (ring.last >= EVENT_KEPT && seq <= ring.last - EVENT_KEPT)
		seq = ring.last - EVENT_KEPT + 1;
	for (; seq <= ring.last; seq++) {
		const struct event_record *record = ring.kept[seq % EVENT_KEPT];

		if (record && record->seq == seq)
			return record;
	}
	return NULL;
}

void event_listen(void (*emitted)(void *arg), void *arg)
{
	ring.emitted = emitted;
	ring.arg = arg;
}

void event_keep(void (*keep)(struct event_record *record))
{
	ring.keep = keep;
}

void event_reset(void)
{
	for (size_t i = 0; i < EVENT_KEPT; i++)
		event_record_drop(ring.kept[i]);
	memset(&ring, 0, sizeof(ring));
}
