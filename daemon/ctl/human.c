/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's answers for people: aligned columns and blocks of "name  value" lines.
 *
 * Nothing here knows a method. A member that the daemon adds tomorrow is printed tomorrow, by its
 * name; only the few tables with chosen columns (list, show) are told what to print. Programs use
 * --json: these texts may change.
 *
 * Much of what is printed was written by phones, so no control character gets to the terminal.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl.h"

#define HUMAN_MAX_COLUMNS 24

void human_text(FILE *f, const char *text)
{
	const unsigned char *p = (const unsigned char *)(text ? text : "-");

	for (; *p; p++) {
		/* C1 controls in UTF-8 are two bytes; xterm obeys them */
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;

		if (c1)
			p++;
		fputc(c1 || *p < 0x20 || *p == 0x7f ? '?' : *p, f);
	}
}

const char *human_s(size_t count)
{
	return count == 1 ? "" : "s";
}

void human_seconds(FILE *f, json_int_t s)
{
	if (s < 0)
		fprintf(f, "-");
	else if (s < 120)
		fprintf(f, "%llds", (long long)s);
	else if (s < 7200)
		fprintf(f, "%lldm%llds", (long long)s / 60, (long long)s % 60);
	else if (s < 172800)
		fprintf(f, "%lldh%lldm", (long long)s / 3600, (long long)s / 60 % 60);
	else
		fprintf(f, "%lldd%lldh", (long long)s / 86400, (long long)s / 3600 % 24);
}

static void print_address(FILE *f, const json_t *address, const json_t *port)
{
	const char *text = json_string_value(address);
	bool v6 = text && strchr(text, ':');

	fputs(v6 ? "[" : "", f);
	human_text(f, text);
	fputs(v6 ? "]" : "", f);
	if (json_integer_value(port))
		fprintf(f, ":%lld", (long long)json_integer_value(port));
	else
		fputs(":any", f);
}

/* One member of an object inside a line; what is deeper is JSON, but for an address with its port.
 */
static void print_scalar(FILE *f, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		human_text(f, json_string_value(value));
		break;
	case JSON_INTEGER:
		fprintf(f, "%lld", (long long)json_integer_value(value));
		break;
	case JSON_REAL:
		fprintf(f, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		fputs("yes", f);
		break;
	case JSON_FALSE:
		fputs("no", f);
		break;
	case JSON_NULL:
		fputs("-", f);
		break;
	case JSON_OBJECT:
		if (json_object_get(value, "address") && json_object_get(value, "port")) {
			print_address(f, json_object_get(value, "address"),
				      json_object_get(value, "port"));
			break;
		}
		/* fall through */
	case JSON_ARRAY:
		json_dumpf(value, f, CTL_JSON_FLAGS);
		break;
	}
}

/* Words of a list with commas, members of an object as name=value. */
static void print_value(FILE *f, const json_t *value)
{
	const char *separator = "";
	const char *key;
	json_t *member;
	size_t i;

	if (!value || (json_is_object(value) && !json_object_size(value))) {
		fputs("-", f);
	} else if (json_is_array(value)) {
		json_array_foreach (value, i, member) {
			fputs(separator, f);
			print_scalar(f, member);
			separator = ", ";
		}
		if (i == 0)
			fputs("-", f);
	} else if (json_is_object(value)) {
		/* the cast: jansson's iterator wants it, and changes nothing */
		json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
			fprintf(f, "%s%s=", separator, key);
			print_scalar(f, member);
			separator = " ";
		}
	} else {
		print_scalar(f, value);
	}
}

const json_t *human_member(const json_t *object, const char *path)
{
	const char *dot;
	char key[64];

	while (path && (dot = strchr(path, '.'))) {
		snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		object = json_object_get(object, key);
		path = dot + 1;
	}
	return path ? json_object_get(object, path) : NULL;
}

static void print_cell(FILE *f, const json_t *row, const struct human_column *column)
{
	const json_t *value = human_member(row, column->key);

	switch (column->form) {
	case HUMAN_PLAIN:
	case HUMAN_WORD:
		if (!value)
			value = human_member(row, column->key2);
		/* an address with its ports: the address is what a column has room for */
		if (json_object_get(value, "address"))
			value = json_object_get(value, "address");
		print_value(f, value);
		break;
	case HUMAN_SECONDS:
		human_seconds(f, json_is_integer(value) ? json_integer_value(value) : -1);
		break;
	case HUMAN_ADDRESS:
		print_address(f, value, human_member(row, column->key2));
		break;
	}
}

/* Characters on the screen, near enough: bytes that begin a UTF-8 sequence. */
static size_t text_width(const char *s)
{
	size_t width = 0;

	for (; *s; s++)
		width += (*s & 0xc0) != 0x80;
	return width;
}

/* NULL when out of memory; then the cell stays empty. */
static char *cell_text(const json_t *row, const struct human_column *column)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	print_cell(f, row, column);
	return fclose(f) == 0 ? text : NULL;
}

static void print_padded(FILE *f, const char *text, enum colour colour, size_t width, bool last)
{
	size_t n = text_width(text);

	fprintf(f, "%s%s%s", colour_on(f, colour), text, colour_off(f, colour));
	for (; !last && n < width + 2; n++)
		fputc(' ', f);
	if (last)
		fputc('\n', f);
}

static size_t column_width(const json_t *rows, const struct human_column *column)
{
	size_t width = strlen(column->title);
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		char *text = cell_text(row, column);
		size_t n = text ? text_width(text) : 0;

		width = n > width ? n : width;
		free(text);
	}
	return width;
}

static void print_row(FILE *f, const json_t *row, const struct human_column *columns,
		      const size_t *widths, int indent)
{
	fprintf(f, "%*s", indent, "");
	for (size_t c = 0; columns[c].title; c++) {
		char *text = row ? cell_text(row, &columns[c]) : NULL;
		const char *shown = row ? text : columns[c].title;
		enum colour colour = row ? COLOUR_NONE : COLOUR_BOLD;

		if (row && columns[c].form == HUMAN_WORD)
			colour = colour_of(text);
		print_padded(f, shown ? shown : "", colour, widths[c], !columns[c + 1].title);
		free(text);
	}
}

void human_table(FILE *f, const json_t *rows, const struct human_column *columns, int indent)
{
	size_t widths[HUMAN_MAX_COLUMNS] = {0};
	json_t *row;
	size_t i;

	for (size_t c = 0; c < HUMAN_MAX_COLUMNS && columns[c].title; c++)
		widths[c] = column_width(rows, &columns[c]);
	print_row(f, NULL, columns, widths, indent);
	json_array_foreach (rows, i, row)
		print_row(f, row, columns, widths, indent);
}

static bool is_table(const json_t *value)
{
	return json_is_object(json_array_get(value, 0));
}

/* Columns as the first row has members. */
static void print_any_table(FILE *f, const char *title, const json_t *rows)
{
	struct human_column columns[HUMAN_MAX_COLUMNS] = {0};
	size_t n = 0;
	const char *key;
	json_t *member;

	json_object_foreach (json_array_get(rows, 0), key, member)
		if (n < HUMAN_MAX_COLUMNS - 1)
			columns[n++] = (struct human_column){.title = key, .key = key};
	fprintf(f, "%s:\n", title);
	human_table(f, rows, columns, 2);
}

static bool is_seconds(const char *key)
{
	size_t n = strlen(key);

	return strcmp(key, "expires_in") == 0 || (n > 2 && strcmp(key + n - 2, "_s") == 0);
}

/* Header lines stay whole: they are what someone wants to copy. */
static void print_line(FILE *f, const char *key, const json_t *value, int width)
{
	json_t *line;
	size_t i;

	if (json_is_string(json_array_get(value, 1))) {
		json_array_foreach (value, i, line) {
			fprintf(f, "%-*s  ", width, i ? "" : key);
			print_scalar(f, line);
			fputs("\n", f);
		}
		return;
	}
	fprintf(f, "%-*s  ", width, key);
	if (json_is_integer(value) && is_seconds(key))
		human_seconds(f, json_integer_value(value));
	else
		print_value(f, value);
	fputs("\n", f);
}

void human_block(FILE *f, const json_t *object, const char *skip)
{
	json_t *members = (json_t *)(uintptr_t)object;
	const char *key;
	json_t *value;
	int width = 0;

	json_object_foreach (members, key, value) {
		int n = (int)strnlen(key, 32);

		if (!is_table(value) && (!skip || strcmp(key, skip) != 0))
			width = n > width ? n : width;
	}
	json_object_foreach (members, key, value)
		if (!is_table(value) && (!skip || strcmp(key, skip) != 0))
			print_line(f, key, value, width);
	json_object_foreach (members, key, value)
		if (is_table(value) && (!skip || strcmp(key, skip) != 0))
			print_any_table(f, key, value);
}
