/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens that an operator or a front end wants to know: one call writes the line of the log,
 * counts, and keeps the event for those who asked for it (event.subscribe). secagreed(8) lists
 * them.
 */
#ifndef DAEMON_EVENT_H
#define DAEMON_EVENT_H

#include "xfrm/xfrm.h"

#define EVENT_KEPT       1024 /* the latest ones */
#define EVENT_MAX_FIELDS 16

enum event_name {
	EVENT_STARTED,
	EVENT_STOPPING,
	EVENT_STOPPED,
	EVENT_RELOADED,
	EVENT_RELOAD_REFUSED,
	EVENT_LISTENER_LEFT,
	EVENT_ORPHANS_REMOVED,
	EVENT_RESTORED,
	EVENT_RECORD_REFUSED,
	EVENT_STORE_FORGOTTEN,
	EVENT_STORE_FAILED,
	EVENT_OFFER,
	EVENT_SET_MADE,
	EVENT_SET_STATE,
	EVENT_SET_MOVED,
	EVENT_SET_UNANSWERED,
	EVENT_SET_LOST,
	EVENT_KEYS_EXPORTED,
	EVENT_REQUEST_REFUSED,
	EVENT_MESSAGE_REFUSED,
	EVENT_SIP_REFUSED,
	EVENT_KERNEL_REFUSED,
	EVENT_GUARD_LOST,
	EVENT_GUARD_CONTESTED,
	EVENT_GUARD_STAYS,
	EVENT_POLICY_LOST,
	EVENT_POLICY_VANISHED,
	EVENT_CLOCK_STEPPED,
	EVENT_UPKEEP_SKIPPED,
	EVENT_AUDIT,
	EVENT_AUDIT_CLEAN,
	EVENT_KERNEL_EVENTS_LOST,
	EVENT_KERNEL_EVENTS_BROKEN,
	EVENT_ACCEPT_FAILED,
	EVENT_COUNT,
};

/* One field of an event. Made by the functions below; @name is a literal. */
struct event_field {
	const char *name;
	bool absent;      /* there is nothing to say under this name */
	const char *text; /* NULL: .shown, or .number */
	char shown[IP_TEXT_BYTES];
	uint64_t number;
};

/* @text is copied when the event is emitted. It may hold anything but keys. */
struct event_field event_text(const char *name, const char *text);
struct event_field event_number(const char *name, uint64_t number);
struct event_field event_address(const char *name, const struct ip_addr *address);
struct event_field event_errno(int err); /* "errno", a name as "ENOMEM"; "none" for 0 */
struct event_field event_set(uint64_t id); /* "set", 16 hexadecimal digits; none for 0 */

/* @field, or nothing. */
struct event_field event_if(bool present, struct event_field field);

/* What it says as text; NULL: it is a number. */
const char *event_field_text(const struct event_field *field);

/* event_emit(EVENT_SET_LOST, event_set(id), event_number("left_s", 5)) */
#define event_emit(name, ...)                                                                      \
	event_emit_fields(name, (const struct event_field[EVENT_MAX_FIELDS + 1]){ __VA_ARGS__ })

/* @fields: ended by one without name. */
void event_emit_fields(enum event_name name, const struct event_field *fields);

/* An event that is kept. */
struct event_record {
	uint64_t seq; /* 1, 2, ... since the daemon's start */
	int64_t time_ms; /* of the real clock */
	enum event_name name;
	unsigned holders;
	size_t bytes; /* of memory, all in all */
	size_t field_count;
	struct {
		const char *name;
		const char *text; /* NULL: .number */
		uint64_t number;
	} fields[];
};

/* What stands under @name; NULL or 0 when there is no such text or number. */
const char *event_record_text(const struct event_record *record, const char *name);
uint64_t event_record_number(const struct event_record *record, const char *name);

/* Whoever keeps a record longer than it is kept here holds it, and drops it in the end. */
struct event_record *event_record_hold(struct event_record *record);
void event_record_drop(struct event_record *record); /* NULL: nothing */

const char *event_word(enum event_name name);
const char *event_level(enum event_name name); /* "error" .. "info" */
int event_severity(enum event_name name);      /* LOG_ERR .. LOG_DEBUG */
uint64_t event_total(enum event_name name);

/* The number of the latest event, 0 = none yet. */
uint64_t event_last(void);

/* The clock of an event's time_ms, UTC. */
int64_t event_now_ms(void);

/* The first event from number @seq on that is still kept, or NULL: there is none. */
const struct event_record *event_from(uint64_t seq);

/* Have @emitted called after each event. It must not emit any. NULL: nobody. */
void event_listen(void (*emitted)(void *arg), void *arg);

/* Have @keep called with each event's record, before event_listen()'s. NULL: nobody. */
void event_keep(void (*keep)(struct event_record *record));

/* Whoever is sent events: they are read from what is kept, so that a slow reader costs nothing. */
struct subscriber {
	bool subscribed;
	uint64_t next; /* number of the event that is due */
};

/* Forget all that is kept and counted. */
void event_reset(void);

#endif
