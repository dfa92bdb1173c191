/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * phone.explain: all that is known of one phone. Who it is may be said by its identity, its address
 * or one of its sets; what happened is looked up by the identity where that is known, and what is
 * known of its address alone is put between. The kernel is asked now, for the sets that live.
 *
 * A phone of which nothing is known is an answer, not an error.
 */
#include "daemon/command.h"
#include "daemon/diagnosis.h"
#include "daemon/event_json.h"
#include "daemon/history.h"
#include "daemon/set_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Of one phone there are fewer; behind one address there may be thousands. */
#define EXPLAIN_SETS 16

/* What is known of it. Texts belong to events and sets, and last until the next event. */
struct phone {
	const char *impi; /* NULL: not known */
	char ue[IP_TEXT_BYTES]; /* "": not known */
	const struct event_record *events[2 * HISTORY_EVENTS];
	size_t event_count;
	const struct sa_set *sets[EXPLAIN_SETS];
	size_t set_count;
};

/* ---- its sets ---- */

static int newer_set(const void *a, const void *b)
{
	const struct sa_set *const *x = a, *const *y = b;

	return ((*x)->serial < (*y)->serial) - ((*x)->serial > (*y)->serial);
}

static void add_set(struct phone *phone, const struct sa_set *set)
{
	if (phone->set_count < EXPLAIN_SETS)
		phone->sets[phone->set_count++] = set;
}

static void find_sets(const struct sa_table *table, const struct ip_addr *ue, struct phone *phone)
{
	const struct sa_identity *identity =
		phone->impi ? sa_table_identity(table, phone->impi) : NULL;
	const struct sa_peer *peer = phone->impi ? NULL : sa_table_peer(table, ue);
	const struct sa_contact *contact;
	const struct sa_set *set;

	DL_FOREACH((identity ? identity->contacts : NULL), contact) {
		DL_FOREACH2(contact->sets, set, contact_next)
			add_set(phone, set);
	}
	DL_FOREACH2((peer ? peer->sets : NULL), set, peer_next)
		add_set(phone, set);
	qsort(phone->sets, phone->set_count, sizeof(void *), newer_set);
}

/* ---- what happened ---- */

static int newer_event(const void *a, const void *b)
{
	const struct event_record *const *x = a, *const *y = b;

	return ((*x)->seq < (*y)->seq) - ((*x)->seq > (*y)->seq);
}

static const char *first_text(const struct phone *phone, const char *name)
{
	for (size_t i = 0; i < phone->event_count; i++) {
		const char *text = event_record_text(phone->events[i], name);

		if (text && *text)
			return text;
	}
	return NULL;
}

/* Of its address and of no identity: a message on no set, for example. */
static void add_nameless(struct phone *phone)
{
	const struct event_record *events[HISTORY_EVENTS];
	const size_t count = phone->ue[0] ? history_read(HISTORY_UE, phone->ue, events) : 0;

	for (size_t i = 0; i < count; i++) {
		if (!event_record_text(events[i], "impi"))
			phone->events[phone->event_count++] = events[i];
	}
	qsort(phone->events, phone->event_count, sizeof(void *), newer_event);
}

static void find_by_impi(const struct daemon *d, struct phone *phone)
{
	const char *ue;

	phone->event_count = history_read(HISTORY_IMPI, phone->impi, phone->events);
	find_sets(d->table, NULL, phone);
	ue = first_text(phone, "ue");
	if (phone->set_count)
		ip_format(&phone->sets[0]->ue_address, phone->ue);
	else if (ue)
		snprintf(phone->ue, sizeof(phone->ue), "%s", ue);
	add_nameless(phone);
}

static void find_by_address(const struct daemon *d, const struct ip_addr *ue, struct phone *phone)
{
	ip_format(ue, phone->ue);
	phone->event_count = history_read(HISTORY_UE, phone->ue, phone->events);
	find_sets(d->table, ue, phone);
}

static void find_by_set(const struct daemon *d, uint64_t id, struct phone *phone)
{
	const struct sa_set *set = sa_table_by_id(d->table, id);
	char name[17];

	snprintf(name, sizeof(name), "%016" PRIx64, id);
	phone->event_count = history_read(HISTORY_SET, name, phone->events);
	phone->impi = set ? set->impi : first_text(phone, "impi");
	if (phone->impi)
		find_by_impi(d, phone);
}

/* ---- the answer ---- */

static void put_finding(struct json_out *out, const struct finding *found)
{
	char set[17];

	snprintf(set, sizeof(set), "%016" PRIx64, found->set);
	json_open(out, '{');
	json_add_text(out, "cause", found->cause);
	if (found->set)
		json_add_text(out, "set", set);
	else
		json_add_null(out, "set");
	json_add_text(out, "text", found->text);
	json_close(out, '}');
}

static void put_likely(struct json_out *out, const struct phone *phone)
{
	struct evidence evidence[EXPLAIN_SETS];
	struct diagnosis diagnosis;

	for (size_t i = 0; i < phone->set_count; i++)
		evidence_of(phone->sets[i], &evidence[i]);
	diagnose(evidence, phone->set_count, phone->events, phone->event_count, &diagnosis);
	json_open(out, '[');
	for (size_t i = 0; i < diagnosis.count; i++)
		put_finding(out, &diagnosis.found[i]);
	json_close(out, ']');
}

/* null where it is not known. */
static void add_known(struct json_out *out, const char *name, const char *text)
{
	if (text && *text)
		json_add_text(out, name, text);
	else
		json_add_null(out, name);
}

static void put_phone(struct json_out *out, const struct phone *phone)
{
	json_open(out, '{');
	add_known(out, "impi", phone->impi);
	add_known(out, "ue", phone->ue);
	json_add_number(out, "since_ms", history_since_ms());
	json_name(out, "likely");
	put_likely(out, phone);
	json_name(out, "sets");
	json_open(out, '[');
	for (size_t i = 0; i < phone->set_count; i++)
		set_json_full(out, phone->sets[i]);
	json_close(out, ']');
	json_name(out, "events");
	json_open(out, '[');
	for (size_t i = 0; i < phone->event_count; i++)
		event_json(out, phone->events[i]);
	json_close(out, ']');
	json_close(out, '}');
}

int command_phone_explain(struct daemon *d, const struct json_node *params, struct json_out *out,
			  struct refusal *refusal)
{
	const struct ip_addr ue = param_address(params, "ue");
	struct phone phone = { .impi = param_text(params, "impi") };

	if (param_has(params, "impi") + param_has(params, "ue") + param_has(params, "set") != 1)
		return refuse(refusal, REASON_UNKNOWN_SET,
			      "give one of \"impi\", \"ue\" and \"set\"");
	if (phone.impi)
		find_by_impi(d, &phone);
	else if (ue.family != AF_UNSPEC)
		find_by_address(d, &ue, &phone);
	else
		find_by_set(d, param_set(params, "set"), &phone);
	put_phone(out, &phone);
	return 0;
}
