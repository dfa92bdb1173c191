/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An answer is the status line, the lines of the request that belong into it (RFC 3261 8.2.6.2) as
 * they were sent, whatever the answer has to say, and Content-Length: 0. It needs no transaction:
 * the same request gives the same answer, if the caller gives the same tag.
 *
 * What the top Via lacks is put into it, because the transport below may not have done that before
 * we saw the message: `received` and the value of `rport`.
 */
#include "proto/sip_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const enum sip_name COPIED[] = {SIP_VIA, SIP_FROM, SIP_TO, SIP_CALL_ID, SIP_CSEQ};

static struct span before(struct span s, const char *end)
{
	return (struct span){s.p, (size_t)(end - s.p)};
}

static struct span behind(struct span s, const char *start)
{
	return (struct span){start, (size_t)(s.p + s.n - start)};
}

/* Where "=port" goes behind a bare rport in one Via value, or NULL. */
static const char *end_of_bare_rport(struct span via)
{
	const char *at = via.n ? memchr(via.p, ';', via.n) : NULL;

	while (at) {
		struct span s = behind(via, at + 1);
		size_t n;

		s = behind(s, s.p + text_sws(s));
		n = text_token(s);
		if (span_is((struct span){s.p, n}, "rport")) {
			const struct span rest = behind(s, s.p + n);
			const size_t space = text_sws(rest);

			return space < rest.n && rest.p[space] == '=' ? NULL : rest.p;
		}
		at = s.n ? memchr(s.p, ';', s.n) : NULL;
	}
	return NULL;
}

/* What goes before a new parameter: nothing, where a value ends in a semicolon already. */
static const char *separator(struct span value)
{
	while (value.n && strchr(" \t\r\n", value.p[value.n - 1]))
		value.n--;
	return value.n && value.p[value.n - 1] == ';' ? "" : ";";
}

/* The first value of a list that says anything; empty: there is none. */
static struct span first_value(struct span list)
{
	while (list.n) {
		const size_t n = sip_first_value(list);
		const struct span value = {list.p, n};

		if (text_sws(value) < n)
			return value;
		list = behind(list, list.p + (n < list.n ? n + 1 : n));
	}
	return list;
}

static void write_top_via(const struct sip_message *m, const struct sip_reply *reply,
			  const struct sip_header *h, struct text_out *out)
{
	const struct span first = first_value(h->value);
	const char *at = reply->rport ? end_of_bare_rport(first) : NULL;
	struct span rest = h->line;
	struct sip_via via;

	sip_via(m, 0, &via);
	if (at) {
		text_out_span(out, before(rest, at));
		text_out_printf(out, "=%u", reply->rport);
		rest = behind(rest, at);
	}
	if (reply->received && !via.received.n) {
		const char *end = first.p + first.n;

		text_out_span(out, before(rest, end));
		text_out_printf(out, "%sreceived=%s", separator(first), reply->received);
		rest = behind(rest, end);
	}
	text_out_span(out, rest);
}

static void write_to(const struct sip_message *m, const struct sip_reply *reply,
		     const struct sip_header *h, struct text_out *out)
{
	const char *end = h->value.p + h->value.n;

	text_out_span(out, before(h->line, end));
	if (!sip_to_tag(m).n)
		text_out_printf(out, "%stag=%s", separator(h->value), reply->to_tag);
	text_out_span(out, behind(h->line, end));
}

static void write_lines(const struct sip_message *m, const struct sip_reply *reply,
			enum sip_name name, struct text_out *out)
{
	const struct sip_header *h;
	bool top = true;

	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		if (name == SIP_TO) {
			write_to(m, reply, h, out);
		} else if (name == SIP_VIA && top && first_value(h->value).n) {
			write_top_via(m, reply, h, out);
			top = false;
		} else {
			text_out_span(out, h->line);
		}
	}
}

int sip_reply_write(const struct sip_message *m, const struct sip_reply *reply, char **ret,
		    size_t *ret_bytes)
{
	const size_t cap = m->text.n + strlen(reply->headers) + 512;
	char *text = malloc(cap);
	struct text_out out;
	int n;

	if (!text)
		return -ENOMEM;
	text_out_init(&out, text, cap);
	text_out_printf(&out, "SIP/2.0 %u %s\r\n", reply->code, reply->phrase);
	for (size_t i = 0; i < sizeof(COPIED) / sizeof(COPIED[0]); i++)
		write_lines(m, reply, COPIED[i], &out);
	text_out_printf(&out, "%s", reply->headers);
	text_out_printf(&out, "Content-Length: 0\r\n\r\n");
	n = text_out_end(&out);
	if (n < 0) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	*ret_bytes = (size_t)n;
	return 0;
}
