/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/frame_json.h"

#include <errno.h>
#include <string.h>

#include "daemon/json/json.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* At least one byte, and those behind it that mean nothing. */
static void string_bytes(struct frame_json *f, const char *data, size_t len)
{
	const char c = data[f->seen++];

	if (f->escaped)
		f->escaped = false;
	else if (c == '\\')
		f->escaped = true;
	else if (c == '"')
		f->in_string = false;
	if (f->escaped || !f->in_string)
		return;
	f->seen += json_plain_bytes(data + f->seen, len - f->seen);
}

/* 1: that byte ended the value; 0: go on. Whether brackets match is the parser's business. */
static int structure_byte(struct frame_json *f, char c)
{
	switch (c) {
	case '{':
	case '[':
		f->begun = true;
		return ++f->depth > FRAME_JSON_MAX_DEPTH ? -E2BIG : 0;
	case '}':
	case ']':
		return !f->begun ? -EBADMSG : --f->depth == 0;
	case '"':
		f->in_string = f->begun;
		return f->begun ? 0 : -EBADMSG;
	}
	return f->begun || is_space(c) ? 0 : -EBADMSG;
}

long frame_json_next(struct frame_json *f, const char *data, size_t len)
{
	while (f->seen < len) {
		int done = 0;

		if (f->in_string)
			string_bytes(f, data, len);
		else
			done = structure_byte(f, data[f->seen++]);
		if (done < 0)
			return done;
		if (f->seen > FRAME_JSON_MAX_BYTES)
			return -E2BIG;
		if (done) {
			const long value = (long)f->seen;

			memset(f, 0, sizeof(*f));
			return value;
		}
	}
	return 0;
}
