/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIP messages for the phone. libosip2 says whether a message is one and splits the headers that
 * every message has; what must be seen or echoed byte for byte (Via, Record-Route, Security-Server,
 * WWW-Authenticate) is found in the raw text, because osip rewrites it or drops parts.
 *
 * Messages are built as text, front to back; there is no message object for that.
 * Transactions are txn.c, sockets net.c.
 */
#include "tests/ue/sip.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void no_trace(const char *file, int line, osip_trace_level_t level, const char *fmt,
		     va_list args)
{
	(void)file;
	(void)line;
	(void)level;
	(void)fmt;
	(void)args;
}

int sip_init(void)
{
	/* without a function of ours osip prints its complaints to standard output */
	osip_trace_initialize_func(END_TRACE_LEVEL, no_trace);
	return parser_init() == 0 ? 0 : -ENOMEM;
}

static bool is_complete(const osip_message_t *m)
{
	const osip_via_t *via = osip_list_get(&m->vias, 0);

	if (!via || !m->from || !m->to || !m->call_id || !m->call_id->number)
		return false;
	return m->cseq && m->cseq->number && m->cseq->method &&
	       (m->status_code != 0 || (m->sip_method && m->req_uri));
}

static struct span body_of(struct span text)
{
	const char *end = memmem(text.p, text.n, "\r\n\r\n", 4);
	size_t head = end ? (size_t)(end - text.p) + 4 : text.n;

	return (struct span){text.p + head, text.n - head};
}

int sip_message_parse(struct span text, struct sip_message *ret)
{
	struct sip_message m = {.text = text, .body = body_of(text)};

	if (osip_message_init(&m.osip) != 0)
		return -ENOMEM;
	if (osip_message_parse(m.osip, text.p, text.n) != 0 || !is_complete(m.osip)) {
		osip_message_free(m.osip);
		return -EINVAL;
	}
	*ret = m;
	return 0;
}

void sip_message_done(struct sip_message *m)
{
	if (m->osip)
		osip_message_free(m->osip);
	m->osip = NULL;
}

/* Where the line at @from ends, folded lines included; behind its line end. */
static size_t line_end(struct span text, size_t from)
{
	const char *lf;

	do {
		lf = memchr(text.p + from, '\n', text.n - from);
		if (!lf)
			return text.n;
		from = (size_t)(lf - text.p) + 1;
	} while (from < text.n && text_is_wsp((unsigned char)text.p[from]));
	return from;
}

static struct span trim(struct span s)
{
	while (s.n > 0 && strchr(" \t\r\n", *s.p)) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool next_header(struct span text, size_t *cursor, struct span *ret_name,
			struct span *ret_value)
{
	struct span line;
	const char *colon;
	size_t end;

	if (*cursor == 0)
		*cursor = line_end(text, 0);
	if (*cursor >= text.n)
		return false;
	end = line_end(text, *cursor);
	line = (struct span){text.p + *cursor, end - *cursor};
	*cursor = end;
	colon = memchr(line.p, ':', line.n);
	/* the empty line: only the body is left */
	if (!colon || trim(line).n == 0)
		return false;
	*ret_name = trim((struct span){line.p, (size_t)(colon - line.p)});
	*ret_value = trim((struct span){colon + 1, (size_t)(line.p + line.n - colon - 1)});
	return true;
}

static bool find_header(struct span text, const char *name, const char *compact, size_t *cursor,
			struct span *ret_value)
{
	struct span found, value;

	while (next_header(text, cursor, &found, &value)) {
		if (!span_is(found, name) && !(compact && span_is(found, compact)))
			continue;
		*ret_value = value;
		return true;
	}
	*cursor = text.n;
	return false;
}

bool sip_header_next(const struct sip_message *m, const char *name, const char *compact,
		     size_t *cursor, struct span *ret_value)
{
	struct span head = {m->text.p, (size_t)(m->body.p - m->text.p)};

	return find_header(head, name, compact, cursor, ret_value);
}

ssize_t sip_message_length(struct span stream)
{
	struct span text = stream, value;
	const char *end;
	size_t head, cursor = 0;
	uint32_t length = 0;

	while (text.n > 0 && strchr("\r\n", *text.p)) {
		text.p++;
		text.n--;
	}
	end = memmem(text.p, text.n, "\r\n\r\n", 4);
	if (!end)
		return stream.n > SIP_MAX_BYTES ? -EINVAL : 0;
	head = (size_t)(end - text.p) + 4;
	if (find_header((struct span){text.p, head}, "Content-Length", "l", &cursor, &value) &&
	    text_to_u32(value, 6, SIP_MAX_BYTES, &length) < 0)
		return -EINVAL;
	if (text.n < head + length)
		return 0;
	return (ssize_t)(stream.n - text.n + head + length);
}

int sip_status(const struct sip_message *m)
{
	return m->osip->status_code;
}

const char *sip_method(const struct sip_message *m)
{
	return m->osip->status_code ? m->osip->cseq->method : m->osip->sip_method;
}

const char *sip_reason(const struct sip_message *m)
{
	return m->osip->reason_phrase ? m->osip->reason_phrase : "";
}

struct span sip_call_id(const struct sip_message *m)
{
	struct span value = {"", 0};
	size_t cursor = 0;

	/* osip cuts it at the "@" */
	sip_header_next(m, "Call-ID", "i", &cursor, &value);
	return value;
}

static const char *param_value(osip_list_t *params, const char *name)
{
	osip_generic_param_t *param = NULL;

	/* osip_generic_param_get_byname() takes a char * that it does not write to */
	if (osip_generic_param_get_byname(params, (char *)(uintptr_t)name, &param) != 0 || !param)
		return NULL;
	return param->gvalue;
}

const char *sip_branch(const struct sip_message *m)
{
	osip_via_t *via = osip_list_get(&m->osip->vias, 0);
	const char *branch = param_value(&via->via_params, "branch");

	return branch ? branch : "";
}

const char *sip_from_tag(const struct sip_message *m)
{
	const char *tag = param_value(&m->osip->from->gen_params, "tag");

	return tag ? tag : "";
}

const char *sip_to_tag(const struct sip_message *m)
{
	const char *tag = param_value(&m->osip->to->gen_params, "tag");

	return tag ? tag : "";
}

static long seconds_of(const char *text)
{
	uint32_t value;

	if (!text || text_to_u32(span_of(text), 10, UINT32_MAX, &value) < 0)
		return -1;
	return (long)value;
}

static bool is_at(const osip_contact_t *contact, const char *host, const char *port)
{
	const osip_uri_t *uri = contact->url;
	struct span bare = span_of(host);

	/* osip keeps an IPv6 host without its brackets */
	if (*host == '[')
		bare = (struct span){host + 1, bare.n - 2};
	return uri && uri->host && strcmp(uri->port ? uri->port : "5060", port) == 0 &&
	       span_is(bare, uri->host);
}

long sip_granted_expires(const struct sip_message *m, const char *host, const char *port)
{
	struct span value;
	char text[16];
	size_t cursor = 0;

	for (int i = 0; i < osip_list_size(&m->osip->contacts); i++) {
		osip_contact_t *contact = osip_list_get(&m->osip->contacts, i);
		const char *expires = param_value(&contact->gen_params, "expires");

		if (expires && is_at(contact, host, port))
			return seconds_of(expires);
	}
	if (!sip_header_next(m, "Expires", NULL, &cursor, &value) || value.n >= sizeof(text))
		return -1;
	memcpy(text, value.p, value.n);
	text[value.n] = '\0';
	return seconds_of(text);
}

void sip_put(struct sip_text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->p + t->n, sizeof(t->p) - t->n, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(t->p) - t->n) {
		t->full = true;
		return;
	}
	t->n += (size_t)n;
}

void sip_put_header(struct sip_text *t, const char *name, struct span value)
{
	sip_put(t, "%s: %.*s\r\n", name, (int)value.n, value.p);
}

void sip_put_body(struct sip_text *t, const char *type, const char *body)
{
	if (type)
		sip_put(t, "Content-Type: %s\r\n", type);
	sip_put(t, "Content-Length: %zu\r\n\r\n%s", type ? strlen(body) : 0, type ? body : "");
}

static void copy_headers(struct sip_text *t, const struct sip_message *m, const char *name,
			 const char *compact)
{
	struct span value;
	size_t cursor = 0;

	while (sip_header_next(m, name, compact, &cursor, &value))
		sip_put_header(t, name, value);
}

void sip_put_response(struct sip_text *t, const struct sip_message *request, int status,
		      const char *reason, const char *to_tag)
{
	struct span to;
	size_t cursor = 0;

	sip_put(t, "SIP/2.0 %d %s\r\n", status, reason);
	copy_headers(t, request, "Via", "v");
	if (status > 100 && status < 300)
		copy_headers(t, request, "Record-Route", NULL);
	copy_headers(t, request, "From", "f");
	if (sip_header_next(request, "To", "t", &cursor, &to))
		sip_put(t, "To: %.*s%s%s\r\n", (int)to.n, to.p,
			*sip_to_tag(request) ? "" : ";tag=", *sip_to_tag(request) ? "" : to_tag);
	copy_headers(t, request, "Call-ID", "i");
	copy_headers(t, request, "CSeq", NULL);
}
