/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of impu.h. Short texts, looked through from front to end: a set has a handful of
 * identities, and they are asked for once in a registration.
 *
 * What is registered and what only came along is the home network's to say; nothing here knows a
 * subscriber. Identities are compared as they are written: the network repeats its own spelling.
 */
#include "daemon/impu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

static bool line_is(const char *line, const char *identity)
{
	const size_t n = strlen(identity);

	line += *line == '\t';
	return strcspn(line, "\n") == n && !strncmp(line, identity, n);
}

/* The first line of the registration that @identity belongs to, or NULL. */
static char *find(char *list, const char *identity)
{
	char *head = list;

	for (char *line = list; *line; line = (char *)next_line(line)) {
		if (*line != '\t')
			head = line;
		if (line_is(line, identity))
			return head;
	}
	return NULL;
}

bool impu_has(const char *list, const char *identity)
{
	return find((char *)list, identity) != NULL;
}

static char *end_of_registration(char *head)
{
	do
		head = (char *)next_line(head);
	while (*head == '\t');
	return head;
}

static void cut(char *list, char *head)
{
	char *rest = end_of_registration(head);

	memmove(head, rest, strlen(rest) + 1);
	if (!*head && head > list)
		head[-1] = '\0'; /* the line feed before the last one */
}

bool impu_remove(char *list, const char *identity)
{
	char *head = find(list, identity);

	if (head)
		cut(list, head);
	else if (!*end_of_registration(list))
		cut(list, list);
	return *list;
}

/* Lines of @along that @list does not have yet, each with a tab before it. */
static void put_along(FILE *out, const char *list, const char *identity, const char *along)
{
	for (; along && *along; along = next_line(along)) {
		char *one = strndup(along, strcspn(along, "\n"));

		if (!one)
			continue; /* it is not listed, no more */
		if (*one && strcmp(one, identity) != 0 && !impu_has(list, one))
			fprintf(out, "\n\t%s", one);
		free(one);
	}
}

int impu_add(char **list, const char *identity, const char *along)
{
	char *known = strdup(*list), *head, *text = NULL;
	size_t bytes;
	FILE *out = known ? open_memstream(&text, &bytes) : NULL;

	if (!out) {
		free(known);
		return -ENOMEM;
	}
	head = find(known, identity);
	if (head && along && line_is(head, identity)) {
		cut(known, head); /* the network says anew what comes with it */
		head = NULL;
	}
	fprintf(out, "%s", known);
	if (!head) {
		fprintf(out, "%s%s", *known ? "\n" : "", identity);
		put_along(out, known, identity, along);
	}
	free(known);
	if (fclose(out) != 0) {
		free(text);
		return -ENOMEM;
	}
	free(*list);
	*list = text;
	return 0;
}
