/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Header lines from standard input, as they stand in a SIP message: one Security-* header in one or
 * several lines, folded or not, among others that are passed over (a request line too). An empty
 * line ends the headers; what follows is a body and not looked at.
 *
 * The only grammar here is that of RFC 3261 7.3.1: where a header field begins and ends and what
 * its name is. Values go to proto/ untouched, and its errors come back as offsets into the input.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"

#define INPUT_MAX_BYTES 65536

/* One more than proto/ takes, so that it is proto/ that refuses. */
#define INPUT_MAX_LINES (SEC_MAX_LINES + 1)

struct header_lines {
	bool found;
	enum sec_header_kind kind;
	size_t start; /* offset of the first line */
	struct span values[INPUT_MAX_LINES];
	size_t count;
};

struct input_fault {
	size_t offset;
	char why[sizeof(((struct sec_error *)0)->why)];
};

int input_read(int fd, char *buf, size_t cap, size_t *ret_n)
{
	size_t n = 0;
	char more;

	if (isatty(fd))
		fputs("secagreectl: reads from this terminal; Ctrl-D on an empty line ends it\n",
		      stderr);
	while (n <= cap) {
		ssize_t got = n < cap ? read(fd, buf + n, cap - n) : read(fd, &more, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0) {
			*ret_n = n;
			return 0;
		}
		n += (size_t)got;
	}
	return -E2BIG;
}

static int fault(struct input_fault *ret, size_t offset, const char *why)
{
	ret->offset = offset;
	snprintf(ret->why, sizeof(ret->why), "%s", why);
	return -EINVAL;
}

/* With its line end. */
static size_t line_bytes(struct span s)
{
	const char *end = memchr(s.p, '\n', s.n);

	return end ? (size_t)(end - s.p) + 1 : s.n;
}

static struct span without_line_end(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n') {
		s.n--;
		if (s.n && s.p[s.n - 1] == '\r')
			s.n--;
	}
	return s;
}

/* Cut the next header field off @rest: a line and those that continue it, if it is not empty. */
static struct span next_field(struct span *rest)
{
	size_t n = line_bytes(*rest);
	struct span field = {rest->p, n};

	if (without_line_end(field).n)
		while (n < rest->n && text_is_wsp((unsigned char)rest->p[n]))
			n += line_bytes((struct span){rest->p + n, rest->n - n});
	field.n = n;
	rest->p += n;
	rest->n -= n;
	return without_line_end(field);
}

/* "Name *WSP : value"; RFC 3261 25.1 HCOLON. */
static int split_field(struct span field, struct span *ret_name, struct span *ret_value)
{
	const char *colon = memchr(field.p, ':', field.n);
	struct span name;

	if (!colon)
		return -ENOENT;
	name = (struct span){field.p, (size_t)(colon - field.p)};
	while (name.n && text_is_wsp((unsigned char)name.p[name.n - 1]))
		name.n--;
	*ret_name = name;
	*ret_value = (struct span){colon + 1, field.n - (size_t)(colon + 1 - field.p)};
	return 0;
}

static int take_field(struct span field, size_t offset, struct header_lines *lines,
		      struct input_fault *ret_fault)
{
	const char *nul = memchr(field.p, 0, field.n);
	struct span name, value;
	enum sec_header_kind kind;

	if (nul)
		return fault(ret_fault, offset + (size_t)(nul - field.p), "a NUL byte");
	if (split_field(field, &name, &value) < 0 || sec_header_kind_of(name, &kind) < 0)
		return 0;
	if (lines->found && kind != lines->kind)
		return fault(ret_fault, offset, "two different Security headers; one at a time");
	if (!lines->found)
		lines->start = offset;
	lines->found = true;
	lines->kind = kind;
	if (lines->count < INPUT_MAX_LINES)
		lines->values[lines->count++] = value;
	return 0;
}

static int find_lines(struct span text, struct header_lines *ret, struct input_fault *ret_fault)
{
	struct span rest = text;
	bool started = false;

	*ret = (struct header_lines){0};
	while (rest.n) {
		size_t offset = text.n - rest.n;
		struct span field = next_field(&rest);

		if (!field.n && started)
			break;
		started = started || field.n;
		if (take_field(field, offset, ret, ret_fault) < 0)
			return -EINVAL;
	}
	if (!ret->found)
		return fault(ret_fault, 0,
			     "no Security-Client, Security-Server or Security-Verify header line");
	return 0;
}

static void map_error(struct span text, const struct header_lines *lines,
		      const struct sec_error *error, struct input_fault *ret)
{
	size_t line = error->line < lines->count ? error->line : lines->count - 1;

	fault(ret, (size_t)(lines->values[line].p - text.p) + error->offset, error->why);
}

static int read_agreement(struct span text, bool client_only, struct agreement *ret,
			  struct input_fault *ret_fault)
{
	struct sec_error error = {0};
	struct header_lines lines;
	int r;

	r = find_lines(text, &lines, ret_fault);
	if (r < 0)
		return r;
	if (client_only && lines.kind != SEC_CLIENT)
		return fault(ret_fault, lines.start,
			     "an offer stands in a Security-Client header, and this is another");
	r = agreement_read(lines.kind, lines.values, lines.count, ret, &error);
	if (r == -EINVAL || r == -E2BIG) {
		map_error(text, &lines, &error, ret_fault);
		return -EINVAL;
	}
	return r;
}

int input_agreement(bool client_only, struct agreement *ret)
{
	struct input_fault at = {0};
	struct span text = {0};
	char *buf = malloc(INPUT_MAX_BYTES);
	int r = -ENOMEM;

	if (!buf)
		goto out;
	text.p = buf;
	r = input_read(STDIN_FILENO, buf, INPUT_MAX_BYTES, &text.n);
	if (r == -E2BIG)
		r = fault(&at, INPUT_MAX_BYTES, "more than 65536 bytes of input");
	else if (r == 0)
		r = read_agreement(text, client_only, ret, &at);
out:
	free(buf);
	if (r == -EINVAL)
		return output_error("bad_header", at.why, (long)at.offset);
	if (r < 0)
		return output_error("internal", strerror(-r), -1);
	return CTL_YES;
}
