/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of a Security-* header are views into a message that belongs to somebody else: nothing is
 * owned here and nothing kept. What is remembered of them beyond the message is one text, joined or
 * as it was sent; lines_compare() holds the lines of a later message against such a text.
 *
 * Whether lines are well formed is not looked at before they are compared: that is sec_header.c.
 */
#include "daemon/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *lines_join(const struct lines *lines)
{
	size_t bytes = 1;
	char *text, *end;

	for (size_t i = 0; i < lines->count; i++)
		bytes += lines->line[i].n + 2;
	text = malloc(bytes);
	if (!text)
		return NULL;
	end = text;
	for (size_t i = 0; i < lines->count; i++) {
		if (i)
			end = mempcpy(end, ", ", 2);
		end = mempcpy(end, lines->line[i].p, lines->line[i].n);
	}
	*end = '\0';
	return text;
}

int lines_compare(const char *kept, const struct lines *got, enum compare_mode mode, char *ret_why,
		  size_t cap)
{
	const struct span line = span_of(kept);
	struct sec_header a, b;
	struct sec_error where = {0};
	bool same;
	int err;

	if (!got->count) {
		snprintf(ret_why, cap, "it is missing");
		return -EBADMSG;
	}
	if (got->count == 1 && span_equal(got->line[0], line)) {
		snprintf(ret_why, cap, "%s", "");
		return 0;
	}
	err = sec_header_parse(got->line, got->count, &b, &where);
	if (err) {
		snprintf(ret_why, cap, "line %zu, offset %zu: %s", where.line + 1,
			 where.offset, where.why);
		return err == -ENOMEM ? err : -EBADMSG;
	}
	if (sec_header_parse(&line, 1, &a, &where) < 0) { /* it was read before */
		sec_header_done(&b);
		return -ENOMEM;
	}
	same = compare_lists(&a, &b, mode, ret_why, cap);
	sec_header_done(&a);
	sec_header_done(&b);
	return same ? 0 : -EBADMSG;
}
