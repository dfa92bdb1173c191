/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's answers for scripts that cut and awk: tabs between values, numbers as they are,
 * nothing for what is not there. Columns keep their order; a new one comes last.
 *
 * What phones wrote may be among the values: control characters, so also tabs and line ends,
 * become '?'.
 */
#include <string.h>

#include "daemon/ctl/ctl.h"

#define PATH_BYTES 256

static void print_value(FILE *f, const json_t *value)
{
	const char *separator = "";
	json_t *member;
	size_t i;

	if (json_is_string(value)) {
		human_text(f, json_string_value(value));
	} else if (json_is_array(value)) {
		json_array_foreach (value, i, member) {
			fputs(separator, f);
			print_value(f, member);
			separator = ",";
		}
	} else if (value && !json_is_null(value)) {
		json_dumpf(value, f, CTL_JSON_FLAGS | JSON_ENCODE_ANY);
	}
}

static const json_t *value_of(const json_t *row, const struct human_column *column)
{
	const json_t *value = human_member(row, column->key);

	return value ? value : human_member(row, column->key2);
}

void tsv_table(FILE *f, const json_t *rows, const struct human_column *columns)
{
	json_t *row;
	size_t i;

	for (size_t c = 0; columns[c].title; c++)
		fprintf(f, "%s%s", c ? "\t" : "", columns[c].key);
	fputs("\n", f);
	json_array_foreach (rows, i, row) {
		for (size_t c = 0; columns[c].title; c++) {
			fputs(c ? "\t" : "", f);
			print_value(f, value_of(row, &columns[c]));
		}
		fputs("\n", f);
	}
}

static void print_path(FILE *f, const char *path, const json_t *value);

static void print_member(FILE *f, const char *path, const char *name, const json_t *value)
{
	char longer[PATH_BYTES];

	snprintf(longer, sizeof(longer), "%s%s%s", path, *path ? "." : "", name);
	print_path(f, longer, value);
}

static void print_path(FILE *f, const char *path, const json_t *value)
{
	const char *key;
	json_t *member;
	char number[24];
	size_t i;

	if (json_is_object(value)) {
		/* the cast: jansson's iterator wants it, and changes nothing */
		json_object_foreach ((json_t *)(uintptr_t)value, key, member)
			print_member(f, path, key, member);
	} else if (json_is_object(json_array_get(value, 0))) {
		json_array_foreach (value, i, member) {
			snprintf(number, sizeof(number), "%zu", i);
			print_member(f, path, number, member);
		}
	} else {
		fprintf(f, "%s\t", path);
		print_value(f, value);
		fputs("\n", f);
	}
}

void tsv_block(FILE *f, const json_t *object)
{
	print_path(f, "", object);
}
