/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What secagreectl top shows, from one look at the daemon to the next: rates are differences of the
 * counters of daemon.stats over the daemon's own clock.
 *
 * A look costs the daemon the same however many phones there are. So the busiest phones are not
 * searched for but found: each look counts the packets of TOP_NEW phones that come next in the list
 * and of those TOP_KEPT that were busiest so far. With few phones these are all of them; with many,
 * a busy one is met when its turn comes and then stays.
 *
 * A look that fails says why and leaves the connection closed; the next one opens it again and
 * begins from nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/top.h"

#define FIRST_EVENTS 100 /* of what happened before the first look */
#define NEXT_EVENTS  200

/* ---- asking ---- */

/* A new reference to the result, or NULL with @top->why. An error of the daemon leaves the
 * connection open. @params is stolen. */
static json_t *ask(struct top *top, const char *method, json_t *params)
{
	json_t *reply = NULL, *result = NULL;
	int r;

	r = client_call(&top->client, method, params, &reply, top->why, sizeof(top->why));
	json_decref(params);
	if (r < 0) {
		top_close(top);
		return NULL;
	}
	result = json_incref(json_object_get(reply, "result"));
	if (!result)
		snprintf(top->why, sizeof(top->why), "%s: %s", method,
			 options_text(json_object_get(reply, "error"), "message"));
	json_decref(reply);
	return result;
}

static double number(const json_t *object, const char *path)
{
	return json_number_value(human_member(object, path));
}

/* One digit behind the point, where that says something. */
static json_t *rate(double per_s)
{
	if (per_s < 0)
		return json_integer(0);
	if (per_s >= 1000)
		return json_integer((json_int_t)(per_s + 0.5));
	return json_real((double)(json_int_t)(per_s * 10 + 0.5) / 10);
}

/* ---- counters ---- */

static json_t *rate_of(const struct top *top, const char *path)
{
	return rate((number(top->stats, path) - number(top->before, path)) / top->elapsed_s);
}

struct row {
	json_t *json;
	double per_s, total;
};

static int more_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->per_s != y->per_s)
		return x->per_s < y->per_s ? 1 : -1;
	return (x->total < y->total) - (x->total > y->total);
}

/* The first TOP_ROWS of @rows (stolen), the fastest first. */
static json_t *sorted(json_t *rows)
{
	const size_t count = json_array_size(rows);
	struct row *order = calloc(count + 1, sizeof(*order));
	json_t *result = json_array();
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (order)
			order[i] = (struct row){row, number(row, "per_s"), number(row, "total")};
	if (order)
		qsort(order, count, sizeof(*order), more_first);
	for (i = 0; order && i < count && i < TOP_ROWS; i++)
		json_array_append(result, order[i].json);
	free(order);
	json_decref(rows);
	return result;
}

/* The counters of the member @name: [{"name", "per_s", "total"}], none that is 0. */
static void add_counters(const struct top *top, const char *name, json_t *rows)
{
	json_t *object = json_object_get(top->stats, name);
	const char *key;
	json_t *total;

	json_object_foreach (object, key, total) {
		json_t *before = json_object_get(json_object_get(top->before, name), key);
		const double more = json_number_value(total) - json_number_value(before);

		json_array_append_new(rows, json_pack("{s:s, s:o, s:O}", "name", key, "per_s",
						      rate(more / top->elapsed_s), "total",
						      total));
	}
}

static double sum(const json_t *request)
{
	return number(request, "done") + number(request, "bad_params") +
	       number(request, "refused");
}

static json_t *requests(const struct top *top)
{
	json_t *rows = json_array();
	json_t *object = json_object_get(top->stats, "requests");
	const char *key;
	json_t *request;

	json_object_foreach (object, key, request) {
		const json_t *before = json_object_get(json_object_get(top->before, "requests"),
						       key);
		const double total = sum(request), more = total - sum(before);

		json_array_append_new(rows,
				      json_pack("{s:s, s:o, s:I, s:I}", "name", key, "per_s",
						rate(more / top->elapsed_s), "total",
						(json_int_t)total, "refused",
						(json_int_t)(number(request, "bad_params") +
							     number(request, "refused"))));
	}
	return sorted(rows);
}

/* ---- events ---- */

static bool is_failure(const json_t *event)
{
	const char *level = options_text(event, "level"), *word = options_text(event, "event");

	return level && word &&
	       (!strcmp(level, "error") || !strcmp(level, "warning") || strstr(word, "refused"));
}

/* The latest failures first. */
static void keep_failures(struct top *top, const json_t *events)
{
	json_t *event;
	size_t i;

	json_array_foreach (events, i, event) {
		if (is_failure(event))
			json_array_insert(top->failures, 0, event);
	}
	while (json_array_size(top->failures) > TOP_ROWS)
		json_array_remove(top->failures, TOP_ROWS);
}

static int read_events(struct top *top)
{
	const json_int_t limit = top->event_last < 0 ? 0 : NEXT_EVENTS;
	json_t *result = ask(top, "event.list",
			     json_pack("{s:I, s:I}", "since",
				       top->event_last < 0 ? 0 : top->event_last, "limit", limit));
	const json_t *events = json_object_get(result, "events");
	json_int_t last = json_integer_value(json_object_get(result, "last"));

	if (!result)
		return -1;
	if (top->event_last < 0)
		last = last > FIRST_EVENTS ? last - FIRST_EVENTS : 0;
	else if (json_is_true(json_object_get(result, "more")))
		last = json_integer_value(json_object_get(
			json_array_get(events, json_array_size(events) - 1), "seq"));
	keep_failures(top, events);
	top->event_last = last;
	json_decref(result);
	return 0;
}

/* ---- phones ---- */

static void forget_phone(struct top *top, size_t i)
{
	json_decref(top->phones[i].set);
	top->phones[i] = top->phones[--top->phone_count];
}

static const char *name_of(const struct top_phone *phone)
{
	return options_text(phone->set, "set");
}

static bool is_watched(const struct top *top, const char *name)
{
	for (size_t i = 0; i < top->phone_count; i++) {
		if (strcmp(name_of(&top->phones[i]), name) == 0)
			return true;
	}
	return false;
}

static json_int_t sas_sum(const json_t *set, const char *key)
{
	json_int_t total = 0;
	json_t *sa;
	size_t i;

	json_array_foreach (json_object_get(set, "sas"), i, sa)
		total += json_integer_value(json_object_get(sa, key));
	return total;
}

/* Its counters now, and its rates since the last look at it. Returns 1 when the set is gone. */
static int look_at(struct top *top, struct top_phone *phone)
{
	json_t *set = ask(top, "sa.show", json_pack("{s:s}", "set", name_of(phone)));
	const json_int_t packets = sas_sum(set, "packets"), bytes = sas_sum(set, "bytes");
	const double s = (double)(top->now_ms - phone->looked_ms) / 1000;

	if (!set)
		return top->open ? 1 : -1;
	phone->packets_per_s = phone->looked_ms ? (double)(packets - phone->packets) / s : 0;
	phone->bytes_per_s = phone->looked_ms ? (double)(bytes - phone->bytes) / s : 0;
	phone->dropped = sas_sum(set, "replay_failed") + sas_sum(set, "integrity_failed");
	phone->packets = packets;
	phone->bytes = bytes;
	phone->looked_ms = top->now_ms;
	json_decref(phone->set);
	phone->set = set;
	return 0;
}

/* At those that were looked at before, or at the others. */
static int look_at_phones(struct top *top, bool again)
{
	for (size_t i = 0; i < top->phone_count;) {
		const bool looked = top->phones[i].looked_ms != 0;
		const int r = looked == again ? look_at(top, &top->phones[i]) : 0;

		if (r < 0)
			return r;
		if (r > 0)
			forget_phone(top, i);
		else
			i++;
	}
	return 0;
}

static int busier(const void *a, const void *b)
{
	const struct top_phone *x = a, *y = b;

	if (x->packets_per_s != y->packets_per_s)
		return x->packets_per_s < y->packets_per_s ? 1 : -1;
	return (x->packets < y->packets) - (x->packets > y->packets);
}

static void watch(struct top *top, const json_t *sets)
{
	json_t *set;
	size_t i;

	json_array_foreach (sets, i, set) {
		const char *name = options_text(set, "set");

		if (name && top->phone_count < TOP_PHONES && !is_watched(top, name))
			top->phones[top->phone_count++] =
				(struct top_phone){.set = json_incref(set)};
	}
}

/* The next ones in the list; from the beginning when it is at its end, or "after" is gone. */
static int meet_phones(struct top *top)
{
	json_t *page = ask(top, "sa.list",
			   json_pack("{s:i, s:s*}", "limit", TOP_NEW, "after",
				     top->after[0] ? top->after : NULL));
	const char *next = options_text(page, "next");

	snprintf(top->after, sizeof(top->after), "%s", next ? next : "");
	watch(top, json_object_get(page, "sets"));
	json_decref(page);
	return top->open ? 0 : -1;
}

static json_t *row_of(const struct top_phone *phone)
{
	const json_t *set = phone->set;

	return json_pack("{s:O, s:O, s:O, s:O, s:o, s:o, s:I, s:I, s:I}", "impi",
			 json_object_get(set, "impi"), "ue", json_object_get(set, "ue"), "set",
			 json_object_get(set, "set"), "state", json_object_get(set, "state"),
			 "packets_per_s", rate(phone->packets_per_s), "bytes_per_s",
			 rate(phone->bytes_per_s), "packets", phone->packets, "bytes",
			 phone->bytes, "dropped", phone->dropped);
}

/* Rates first; then those that are not among the busiest make room for others. */
static int read_phones(struct top *top)
{
	const size_t known = top->phone_count;
	int r = look_at_phones(top, true);

	if (r < 0)
		return r;
	qsort(top->phones, top->phone_count, sizeof(top->phones[0]), busier);
	json_array_clear(top->shown);
	for (size_t i = 0; i < top->phone_count && i < TOP_KEPT; i++)
		json_array_append_new(top->shown, row_of(&top->phones[i]));
	while (top->phone_count > TOP_KEPT)
		forget_phone(top, top->phone_count - 1);
	top->looked = known;
	return meet_phones(top) < 0 || look_at_phones(top, false) < 0 ? -1 : 0;
}

/* ---- one look ---- */

void top_close(struct top *top)
{
	if (top->open)
		client_close(&top->client);
	top->open = false;
	while (top->phone_count)
		forget_phone(top, 0);
	json_decref(top->before);
	json_decref(top->stats);
	top->before = top->stats = NULL;
	top->event_last = -1;
	top->after[0] = '\0';
}

static int begin(struct top *top)
{
	json_t *version;

	if (client_open(top->socket_path, &top->client, top->why, sizeof(top->why)) < 0)
		return -1;
	top->open = true;
	top->client.quiet = true;
	top->event_last = -1;
	version = ask(top, "daemon.version", json_object());
	snprintf(top->version, sizeof(top->version), "%s",
		 version ? options_text(version, "version") : "?");
	json_decref(version);
	return top->open ? read_events(top) : -1;
}

int top_look(struct top *top)
{
	json_t *stats;

	if (!top->open && begin(top) < 0) {
		top_close(top);
		return -1;
	}
	stats = ask(top, "daemon.stats", json_object());
	if (!stats) {
		top_close(top);
		return -1;
	}
	json_decref(top->before);
	top->before = top->stats;
	top->stats = stats;
	top->now_ms = (json_int_t)number(stats, "uptime_ms") + 1; /* 0 means never */
	top->elapsed_s = (number(stats, "uptime_ms") - number(top->before, "uptime_ms")) / 1000;
	if (top->elapsed_s < 0.001)
		top->elapsed_s = 0.001;
	if (read_events(top) < 0 || read_phones(top) < 0) {
		top_close(top);
		return -1;
	}
	return 0;
}

json_t *top_frame(const struct top *top)
{
	json_t *failures = json_array();

	add_counters(top, "refused", failures);
	add_counters(top, "alarms", failures);
	return json_pack(
		"{s:s, s:I, s:o, s:O, s:O, s:{s:o, s:o, s:o, s:o}, s:o, s:o, s:I, s:O, s:O}",
		"version", top->version, "uptime_s", (json_int_t)top->now_ms / 1000,
		"cpu_percent",
		rate((number(top->stats, "cpu_ms") - number(top->before, "cpu_ms")) / 10 /
		     top->elapsed_s),
		"sets", json_object_get(top->stats, "sets"), "max_sets",
		json_object_get(top->stats, "max_sets"), "per_s", "begun",
		rate_of(top, "registrations.begun"), "confirmed",
		rate_of(top, "registrations.confirmed"), "failed",
		rate_of(top, "registrations.failed"), "ended",
		rate_of(top, "registrations.ended"), "failures",
		sorted(failures), "requests",
		requests(top), "looked", (json_int_t)top->looked, "phones", top->shown, "latest",
		top->failures);
}
