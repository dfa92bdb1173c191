/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame of secagreectl top as text. What is too long for the terminal is its business: top.c
 * has lines cut and not wrapped.
 */
#include "daemon/ctl/top.h"

static const struct human_column failure_columns[] = {
	{"FAILURE", "name", NULL, HUMAN_PLAIN},
	{"PER-S", "per_s", NULL, HUMAN_PLAIN},
	{"TOTAL", "total", NULL, HUMAN_PLAIN},
	{0},
};

static const struct human_column request_columns[] = {
	{"REQUEST", "name", NULL, HUMAN_PLAIN},
	{"PER-S", "per_s", NULL, HUMAN_PLAIN},
	{"TOTAL", "total", NULL, HUMAN_PLAIN},
	{"REFUSED", "refused", NULL, HUMAN_PLAIN},
	{0},
};

static const struct human_column phone_columns[] = {
	{"PHONE", "impi", NULL, HUMAN_PLAIN},
	{"UE", "ue", NULL, HUMAN_PLAIN},
	{"SET", "set", NULL, HUMAN_PLAIN},
	{"STATE", "state", NULL, HUMAN_WORD},
	{"PACKETS/S", "packets_per_s", NULL, HUMAN_PLAIN},
	{"BYTES/S", "bytes_per_s", NULL, HUMAN_PLAIN},
	{"PACKETS", "packets", NULL, HUMAN_PLAIN},
	{"DROPPED", "dropped", NULL, HUMAN_PLAIN},
	{0},
};

static json_int_t integer(const json_t *object, const char *path)
{
	return json_integer_value(human_member(object, path));
}

static json_int_t set_count(const json_t *frame)
{
	json_int_t count = 0;
	const char *state;
	json_t *sets;

	json_object_foreach (json_object_get(frame, "sets"), state, sets)
		count += json_integer_value(sets);
	return count;
}

static void print_head(FILE *f, const json_t *frame)
{
	json_t *object = json_object_get(frame, "sets");
	const char *key;
	json_t *value;

	fputs("secagreed ", f);
	human_text(f, options_text(frame, "version"));
	fputs(", up ", f);
	human_seconds(f, integer(frame, "uptime_s"));
	fprintf(f, ", %.1f %% of a processor\n",
		json_number_value(json_object_get(frame, "cpu_percent")));
	fprintf(f, "sets      %lld of %lld:", (long long)set_count(frame),
		(long long)integer(frame, "max_sets"));
	json_object_foreach (object, key, value)
		fprintf(f, "  %s%s%s %lld", colour_on(f, colour_of(key)), key,
			colour_off(f, colour_of(key)), (long long)json_integer_value(value));
	fputs("\nper second", f);
	object = json_object_get(frame, "per_s");
	json_object_foreach (object, key, value)
		fprintf(f, "  %s %g", key, json_number_value(value));
	fputs("\n", f);
}

/* The first @rows of the member @name. */
static void print_part(FILE *f, const json_t *frame, const char *name,
		       const struct human_column *columns, size_t rows)
{
	json_t *part = json_copy(json_object_get(frame, name));

	while (json_array_size(part) > rows)
		json_array_remove(part, rows);
	fputs("\n", f);
	human_table(f, part, columns, 0);
	json_decref(part);
}

static void print_latest(FILE *f, const json_t *frame, size_t rows)
{
	json_t *event;
	size_t i;

	fprintf(f, "\n%sLATEST FAILURES%s\n", colour_on(f, COLOUR_BOLD), colour_off(f, COLOUR_BOLD));
	json_array_foreach (json_object_get(frame, "latest"), i, event) {
		if (i < rows)
			monitor_print(f, event);
	}
}

void top_print(FILE *f, const json_t *frame, size_t rows)
{
	const json_int_t looked = integer(frame, "looked"), sets = set_count(frame);

	print_head(f, frame);
	print_part(f, frame, "failures", failure_columns, rows);
	print_part(f, frame, "phones", phone_columns, rows);
	if (looked < sets)
		fprintf(f, "(the busiest of those looked at so far; %d more each time)\n", TOP_NEW);
	print_latest(f, frame, rows);
	print_part(f, frame, "requests", request_columns, rows);
}
