/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Just enough of HTTP/1.1 for curl and Prometheus, strictly: a body has a Content-Length or there
 * is none; chunks, folded lines, bare line feeds and expectations are refused with the status that
 * RFC 9110 and 9112 have for it, so that nothing is ever read in two ways. After a refusal the
 * connection is of no more use. Each byte is looked at once, however the stream is cut.
 *
 * Not libevent's evhttp: as of 2.1.12 it takes the first of two Content-Lengths, lines that end in
 * a bare line feed, folded lines, "Content-Length : 2" and "+2"; it has no limit of connections;
 * and behind it a request has no longer the peer and the buffers of the other two framings.
 */
#include "daemon/frame_http.h"

#include <errno.h>
#include <string.h>

struct head {
	bool has_host, has_length;
	uint32_t body_bytes;
	bool close, keep_alive;
	unsigned minor; /* HTTP/1.x */
};

/* ---- lines ---- */

/* The line at the front of @rest, without CR LF; @rest goes on behind it. */
static struct span take_line(struct span *rest)
{
	const char *end = memmem(rest->p, rest->n, "\r\n", 2);
	const struct span line = { rest->p, (size_t)(end - rest->p) };

	rest->p = end + 2;
	rest->n -= line.n + 2;
	return line;
}

/* Up to the first @c, which is taken off as well; all of it when there is none. */
static struct span take_to(struct span *rest, char c)
{
	const char *end = memchr(rest->p, c, rest->n);
	const struct span part = { rest->p, end ? (size_t)(end - rest->p) : rest->n };
	const size_t gone = part.n + (end ? 1 : 0);

	rest->p += gone;
	rest->n -= gone;
	return part;
}

static struct span trimmed(struct span s)
{
	while (s.n && text_is_wsp((unsigned char)s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && text_is_wsp((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return true;
	}
	return false;
}

/* ---- the head; each returns 0 or the status to answer ---- */

/* RFC 9112 3 */
static int read_request_line(struct frame_http *f, struct span line, struct head *head)
{
	f->method = take_to(&line, ' ');
	f->target = take_to(&line, ' ');
	if (!text_is_token(f->method) || !f->target.n || f->target.p[0] != '/' ||
	    has_control(f->target))
		return 400;
	if (span_equal(line, span_of("HTTP/1.1")))
		head->minor = 1;
	else if (!span_equal(line, span_of("HTTP/1.0")))
		return line.n == 8 && !memcmp(line.p, "HTTP/", 5) ? 505 : 400;
	return 0;
}

/* RFC 9112 6.3: two lengths, even equal ones, are one too many */
static int read_length(struct head *head, struct span value)
{
	const int err = text_to_u32(value, 10, FRAME_HTTP_MAX_BODY_BYTES, &head->body_bytes);

	if (head->has_length || err == -EINVAL)
		return 400;
	head->has_length = true;
	return err ? 413 : 0;
}

static void read_connection(struct head *head, struct span value)
{
	while (value.n) {
		const struct span word = trimmed(take_to(&value, ','));

		head->close |= span_is(word, "close");
		head->keep_alive |= span_is(word, "keep-alive");
	}
}

/* RFC 9112 5 */
static int read_field(struct head *head, struct span line)
{
	const struct span name = take_to(&line, ':');
	const struct span value = trimmed(line);

	if (!text_is_token(name) || name.p + name.n == line.p || has_control(value))
		return 400;
	if (span_is(name, "Content-Length"))
		return read_length(head, value);
	if (span_is(name, "Transfer-Encoding"))
		return 411;
	if (span_is(name, "Expect")) /* RFC 9110 10.1.1: the client tries again without */
		return 417;
	if (span_is(name, "Connection"))
		read_connection(head, value);
	if (span_is(name, "Host") && head->has_host)
		return 400;
	head->has_host |= span_is(name, "Host");
	return 0;
}

static int read_head(struct frame_http *f, struct span rest)
{
	struct head head = { 0 };
	int status = read_request_line(f, take_line(&rest), &head);

	while (!status && rest.n > 2) /* the empty line */
		status = read_field(&head, take_line(&rest));
	if (!status && head.minor == 1 && !head.has_host)
		status = 400;
	f->body_bytes = head.body_bytes;
	f->keep_alive = !head.close && (head.minor == 1 || head.keep_alive);
	return status;
}

/* ---- the stream ---- */

static long fault(struct frame_http *f, int status)
{
	f->status = status;
	return -EBADMSG;
}

/* 1: the head is whole and ends at .head_bytes; 0: more is needed. */
static long find_head(struct frame_http *f, const char *data, size_t len)
{
	const size_t from = f->seen > 3 ? f->seen - 3 : 0;
	const char *end = memmem(data + from, len - from, "\r\n\r\n", 4);

	f->seen = len;
	if (end)
		f->head_bytes = (size_t)(end - data) + 4;
	if (f->head_bytes > FRAME_HTTP_MAX_HEAD_BYTES ||
	    (!end && len > FRAME_HTTP_MAX_HEAD_BYTES))
		return fault(f, 431);
	return end != NULL;
}

/* As find_head(), and the head is read. */
static long take_head(struct frame_http *f, const char *data, size_t len)
{
	const long found = find_head(f, data, len);
	int status;

	if (found <= 0)
		return found;
	status = read_head(f, (struct span){ data, f->head_bytes });
	return status ? fault(f, status) : 1;
}

long frame_http_next(struct frame_http *f, const char *data, size_t len)
{
	const long head = f->head_bytes ? 1 : take_head(f, data, len);
	size_t whole;

	if (head <= 0)
		return head;
	/* @data may have moved since the head was read: its first line is "METHOD TARGET ..." */
	f->method.p = data;
	f->target.p = data + f->method.n + 1;
	whole = f->head_bytes + f->body_bytes;
	return len < whole ? 0 : (long)whole;
}
