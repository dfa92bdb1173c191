/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command of RESP2 is an array of bulk strings: "*2\r\n$4\r\nPING\r\n$1\r\nx\r\n". That is all
 * that is read here. Inline commands (a line of words) and arrays within arrays are faults; what
 * the arguments mean is not this file's business (resp.c).
 */
#include "daemon/frame_resp.h"

#include <errno.h>
#include <string.h>

#define MAX_LINE_BYTES 12 /* "$262144\r\n" and some */

static long fault(struct frame_resp *f, const char *why)
{
	f->fault = why;
	return -EBADMSG;
}

/* A line @type NUMBER CR LF at .seen. Returns 1 when it is read, 0 when more is needed. */
static long read_line(struct frame_resp *f, const char *data, size_t len, char type,
		      uint32_t max, size_t *ret)
{
	const char *line = data + f->seen;
	const size_t n = len - f->seen;
	const char *end;
	uint32_t number;
	int err;

	if (n && line[0] != type)
		return fault(f, type == '*' ? "a command is an array, inline commands are not "
					      "supported"
					    : "an argument is a bulk string");
	end = memchr(line, '\n', n < MAX_LINE_BYTES ? n : MAX_LINE_BYTES);
	if (!end)
		return n < MAX_LINE_BYTES ? 0 : fault(f, "a length is too long");
	if (end < line + 3 || end[-1] != '\r')
		return fault(f, "a length is a number, CR and LF");
	err = text_to_u32((struct span){ line + 1, (size_t)(end - line) - 2 }, MAX_LINE_BYTES, max,
			  &number);
	if (err == -ERANGE)
		return fault(f, type == '*' ? "too many arguments" : "the command is too long");
	if (err)
		return fault(f, "a length is a number, CR and LF");
	*ret = number;
	f->seen += (size_t)(end - line) + 1;
	return 1;
}

/* The bytes of an argument whose length is known. Returns as read_line(). */
static long read_bytes(struct frame_resp *f, const char *data, size_t len)
{
	const size_t end = f->seen + f->bytes;

	if (len < end + 2)
		return 0;
	if (data[end] != '\r' || data[end + 1] != '\n')
		return fault(f, "an argument is longer than it says");
	f->at[f->have] = f->seen;
	f->length[f->have++] = f->bytes;
	f->seen = end + 2;
	f->has_bytes = false;
	return 1;
}

/* One step further. Returns as read_line(). */
static long step(struct frame_resp *f, const char *data, size_t len)
{
	long done;

	if (f->has_bytes)
		return read_bytes(f, data, len);
	done = read_line(f, data, len, '$', FRAME_RESP_MAX_BYTES, &f->bytes);
	f->has_bytes = done > 0;
	if (done > 0 && f->seen + f->bytes + 2 > FRAME_RESP_MAX_BYTES)
		return fault(f, "the command is too long");
	return done;
}

long frame_resp_next(struct frame_resp *f, const char *data, size_t len)
{
	long done = 1;

	if (!f->seen)
		done = read_line(f, data, len, '*', FRAME_RESP_MAX_ARGS, &f->count);
	while (done > 0 && f->have < f->count)
		done = step(f, data, len);
	return done > 0 ? (long)f->seen : done;
}

struct span frame_resp_arg(const struct frame_resp *f, const char *data, size_t i)
{
	return i < f->have ? (struct span){ data + f->at[i], f->length[i] }
			   : (struct span){ data, 0 };
}
