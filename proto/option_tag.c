/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of option tags: option-tag *(COMMA option-tag), RFC 3261 25.1.
 *
 * A value is walked element by element, from comma to comma; an element is a tag when nothing but
 * white space surrounds it. What does not look like a tag is never refused here and never lost:
 * these headers belong to other extensions, and a proxy passes on what it does not understand.
 * Nothing is allocated; several lines of one header are several calls.
 */
#include "proto/option_tag.h"

#include <errno.h>
#include <string.h>

/* One element: what stands between two commas. */
struct element {
	struct span before; /* white space */
	struct span tag;
	struct span after; /* white space */
};

static bool is_space(char c)
{
	return text_is_wsp((unsigned char)c) || c == '\r' || c == '\n';
}

static struct element split(struct span s)
{
	size_t start = text_sws(s);
	size_t end = s.n;

	while (end > start && is_space(s.p[end - 1]))
		end--;
	return (struct element){{s.p, start}, {s.p + start, end - start}, {s.p + end, s.n - end}};
}

/* Take the first element off @rest, and its comma. False: there is none left. */
static bool next_element(struct span *rest, struct element *ret)
{
	const char *comma;
	size_t n;

	if (!rest->p)
		return false;
	comma = rest->n ? memchr(rest->p, ',', rest->n) : NULL;
	n = comma ? (size_t)(comma - rest->p) : rest->n;
	*ret = split((struct span){rest->p, n});
	if (comma)
		*rest = (struct span){comma + 1, rest->n - n - 1};
	else
		*rest = (struct span){NULL, 0};
	return true;
}

bool option_tag_in(struct span value, const char *tag)
{
	struct element e;

	while (next_element(&value, &e)) {
		if (span_is(e.tag, tag))
			return true;
	}
	return false;
}

/* The space before the first element and after the last one stays, whatever goes: it belongs to the
 * line. Space around a comma goes with the comma. */
int option_tag_remove(struct span value, const char *tag, char *buf, size_t cap)
{
	struct text_out out;
	struct span after = {NULL, 0}; /* of the last element written */
	struct element e = {.after = {NULL, 0}};
	bool written = false;
	bool kept = false;

	text_out_init(&out, buf, cap);
	for (bool first = true; next_element(&value, &e); first = false) {
		if (first)
			text_out_span(&out, e.before);
		if (span_is(e.tag, tag))
			continue;
		if (written) {
			text_out_span(&out, after);
			text_out_span(&out, span_of(","));
			text_out_span(&out, e.before);
		}
		text_out_span(&out, e.tag);
		after = e.after;
		written = true;
		kept = kept || e.tag.n;
	}
	text_out_span(&out, e.after);
	if (!kept)
		text_out_init(&out, buf, cap);
	return text_out_end(&out);
}
