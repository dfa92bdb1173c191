/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SIP message is read twice. First its lines are found in the raw bytes, since what is edited,
 * echoed or parsed by us (digest and Security-* headers) must be seen as it was sent. Then libosip2
 * takes apart the headers that it is good at: it is given a copy of the start line and of those
 * lines alone. So the keys of a 401 never reach its memory, and its parsers for everything else
 * never see what a stranger sent.
 *
 * Both must agree on how many Via values there are, or the message is refused: what two readers
 * read in two ways is how requests get past a proxy. For the same reason a CR without LF, a NUL,
 * and a second From or Content-Length are refused. A bare LF ends a line, since everybody lets it.
 *
 * Nothing here judges, edits or answers.
 */
#include "proto/sip.h"
#include "proto/option_tag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <osipparser2/osip_parser.h>

/* RFC 3261 7.3.3, 20; RFC 3329 6.3: the Security headers have no compact form. */
static const struct {
	const char *name, *compact;
	bool for_osip;
	bool single; /* at most one line */
	bool needed;
} NAMES[SIP_OTHER] = {
	[SIP_VIA] = {"Via", "v", .for_osip = true, .needed = true},
	[SIP_FROM] = {"From", "f", true, true, true},
	[SIP_TO] = {"To", "t", true, true, true},
	[SIP_CALL_ID] = {"Call-ID", "i", true, true, true},
	[SIP_CSEQ] = {"CSeq", NULL, true, true, true},
	[SIP_CONTACT] = {"Contact", "m", .for_osip = true},
	[SIP_EXPIRES] = {"Expires", NULL, .single = true},
	[SIP_CONTENT_LENGTH] = {"Content-Length", "l", .single = true},
	[SIP_REQUIRE] = {"Require", NULL, false, false, false},
	[SIP_PROXY_REQUIRE] = {"Proxy-Require", NULL, false, false, false},
	[SIP_SUPPORTED] = {"Supported", "k", false, false, false},
	[SIP_SECURITY_CLIENT] = {"Security-Client", NULL, false, false, false},
	[SIP_SECURITY_SERVER] = {"Security-Server", NULL, false, false, false},
	[SIP_SECURITY_VERIFY] = {"Security-Verify", NULL, false, false, false},
	[SIP_AUTHORIZATION] = {"Authorization", NULL, false, false, false},
	[SIP_PROXY_AUTHORIZATION] = {"Proxy-Authorization", NULL, false, false, false},
	[SIP_WWW_AUTHENTICATE] = {"WWW-Authenticate", NULL, false, false, false},
	[SIP_PROXY_AUTHENTICATE] = {"Proxy-Authenticate", NULL, false, false, false},
	[SIP_P_ASSOCIATED_URI] = {"P-Associated-URI", NULL, false, false, false},
};

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

const char *sip_name_text(enum sip_name name)
{
	return name < SIP_OTHER ? NAMES[name].name : "";
}

static struct span text_span(const char *text)
{
	return span_of(text ? text : "");
}

/* ---- lines ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
	while (s.n && is_space(*s.p)) {
		s.p++;
		s.n--;
	}
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* What a head may not hold, whatever it says. */
static bool has_ambiguous_bytes(struct span head)
{
	for (size_t i = 0; i < head.n; i++) {
		if (!head.p[i] || (head.p[i] == '\r' && (i + 1 == head.n || head.p[i + 1] != '\n')))
			return true;
	}
	return false;
}

/* The line at the start of @text, with its line end; empty when there is no line end. */
static struct span first_line(struct span text)
{
	const char *lf = text.n ? memchr(text.p, '\n', text.n) : NULL;

	return (struct span){text.p, lf ? (size_t)(lf - text.p) + 1 : 0};
}

static struct span skip(struct span s, size_t n)
{
	return (struct span){s.p + n, s.n - n};
}

/* The same with all its folds. */
static struct span whole_line(struct span text)
{
	struct span line = first_line(text);

	while (line.n && line.n < text.n && text_is_wsp((unsigned char)text.p[line.n])) {
		const struct span next = first_line(skip(text, line.n));

		if (!next.n)
			return (struct span){text.p, 0};
		line.n += next.n;
	}
	return line;
}

static enum sip_name name_of(struct span name)
{
	for (size_t i = 0; i < SIP_OTHER; i++) {
		if (span_is(name, NAMES[i].name) ||
		    (NAMES[i].compact && span_is(name, NAMES[i].compact)))
			return (enum sip_name)i;
	}
	return SIP_OTHER;
}

static int read_header(struct span line, struct sip_header *ret)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span name = {line.p, colon ? (size_t)(colon - line.p) : 0};

	if (text_is_wsp((unsigned char)*line.p))
		return -EBADMSG; /* a fold of the start line */
	while (name.n && text_is_wsp((unsigned char)name.p[name.n - 1]))
		name.n--;
	if (!text_is_token(name))
		return -EBADMSG;
	ret->name = name_of(name);
	ret->line = line;
	ret->value = trim(skip(line, (size_t)(colon - line.p) + 1));
	return 0;
}

/* All lines up to the empty one; @rest begins behind the start line. */
static int read_headers(struct sip_message *m, struct span rest, const char **ret_why)
{
	for (;;) {
		struct span line = first_line(rest);

		if (line.n && (*line.p == '\n' || *line.p == '\r')) {
			m->end = line;
			m->body = skip(rest, line.n);
			return 0;
		}
		line = whole_line(rest);
		*ret_why = "the headers have no end";
		if (!line.n)
			return -EBADMSG;
		if (m->header_count == SIP_MAX_HEADERS) {
			*ret_why = "it has too many headers";
			return -E2BIG;
		}
		if (read_header(line, &m->headers[m->header_count]) < 0) {
			*ret_why = "a header is malformed";
			return -EBADMSG;
		}
		m->header_count++;
		rest = skip(rest, line.n);
	}
}

/* ---- the start line ---- */

static struct span next_word(struct span *line)
{
	const char *space = line->n ? memchr(line->p, ' ', line->n) : NULL;
	const struct span word = {line->p, space ? (size_t)(space - line->p) : line->n};

	*line = skip(*line, word.n + (space ? 1 : 0));
	return word;
}

static int read_start_line(struct sip_message *m, struct span line)
{
	struct span rest = trim(line), first = next_word(&rest);
	uint32_t status;

	if (span_is(first, "SIP/2.0")) {
		first = next_word(&rest);
		if (first.n != 3 || text_to_u32(first, 3, 699, &status) < 0 || status < 100)
			return -EBADMSG;
		m->status = status;
		return 0;
	}
	m->method = first;
	m->uri = next_word(&rest);
	return text_is_token(m->method) && m->uri.n && span_is(rest, "SIP/2.0") ? 0 : -EBADMSG;
}

/* ---- what osip gets ---- */

/* @ret_whole: no quote and no bracket is left open. */
static size_t first_value(struct span list, bool *ret_whole)
{
	bool quoted = false, in_brackets = false;
	size_t i;

	for (i = 0; i < list.n; i++) {
		const char c = list.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '<' || c == '>'))
			in_brackets = c == '<';
		else if (!quoted && !in_brackets && c == ',')
			break;
	}
	*ret_whole = !quoted && !in_brackets;
	return i < list.n ? i : list.n;
}

size_t sip_first_value(struct span list)
{
	bool whole;

	return first_value(list, &whole);
}

/* RFC 3261 7.3.1: a comma list is as many values as lines would be. Takes the first one off @rest.
 * Returns false when it is not whole. */
static bool next_value(struct span *rest, struct span *ret)
{
	bool whole;
	const size_t n = first_value(*rest, &whole);

	*ret = trim((struct span){rest->p, n});
	*rest = skip(*rest, n < rest->n ? n + 1 : n);
	return whole;
}

/* SIZE_MAX: a value is not whole. */
static size_t count_values(const struct sip_message *m, enum sip_name name)
{
	const struct sip_header *h;
	struct span value;
	size_t count = 0;

	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		for (struct span rest = h->value; rest.n; count += value.n > 0) {
			if (!next_value(&rest, &value))
				return SIZE_MAX;
		}
	}
	return count;
}

/* A value that ends in "name=", or with a quote or bracket open: libosip2 takes that, but not with a
 * parameter behind it, as our answers have one. */
static bool is_open_ended(const struct sip_message *m, enum sip_name name)
{
	const struct sip_header *h;
	struct span value;

	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		for (struct span rest = h->value; rest.n;) {
			if (!next_value(&rest, &value) ||
			    (value.n && value.p[value.n - 1] == '='))
				return true;
		}
	}
	return false;
}

/* libosip2 takes "To: sip:a", but not "To: sip:a;tag=b": there it wants six bytes of a URI. */
static bool is_too_short_for_a_tag(struct span to)
{
	return to.n < 6 && !memchr(to.p, '<', to.n);
}

static char *append(char *to, struct span s)
{
	return mempcpy(to, s.p, s.n);
}

/* Does @h go to osip? Empty ones it does not like, and they say nothing. */
static bool is_for_osip(const struct sip_header *h)
{
	return h->name != SIP_OTHER && NAMES[h->name].for_osip && h->value.n;
}

/* libosip2 walks its lists from the start for each parameter that it adds: thousands of them in one
 * message would hold up everybody else for seconds. */
static bool is_too_much_for_osip(const struct sip_message *m, struct span start_line)
{
	size_t bytes = start_line.n, params = 0;

	for (size_t i = 0; i < m->header_count; i++) {
		const struct span line = m->headers[i].line;

		if (!is_for_osip(&m->headers[i]))
			continue;
		bytes += line.n;
		for (size_t k = 0; k < line.n; k++)
			params += line.p[k] == ';';
	}
	return bytes > SIP_MAX_PARSED_BYTES || params > SIP_MAX_PARAMS;
}

static int parse_with_osip(struct sip_message *m, struct span start_line)
{
	char copy[SIP_MAX_PARSED_BYTES + 3], *at = append(copy, start_line);

	if (osip_message_init(&m->osip) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < m->header_count; i++) {
		if (is_for_osip(&m->headers[i]))
			at = append(at, m->headers[i].line);
	}
	at = append(at, span_of("\r\n"));
	*at = '\0';
	return osip_message_parse(m->osip, copy, (size_t)(at - copy)) == 0 ? 0 : -EBADMSG;
}

/* ---- is it whole? ---- */

static const char *check_counts(const struct sip_message *m)
{
	size_t lines[SIP_OTHER + 1] = {0};

	for (size_t i = 0; i < m->header_count; i++)
		lines[m->headers[i].name]++;
	for (size_t i = 0; i < SIP_OTHER; i++) {
		if (lines[i] > 1 && NAMES[i].single)
			return "a header that may be there once is there twice";
		if (!lines[i] && NAMES[i].needed)
			return "Via, From, To, Call-ID or CSeq is missing";
	}
	return NULL;
}

static const char *check_body(const struct sip_message *m)
{
	const struct sip_header *h = sip_header(m, SIP_CONTENT_LENGTH);
	uint32_t bytes;

	if (!h)
		return NULL;
	if (text_to_u32(h->value, 10, UINT32_MAX, &bytes) < 0)
		return "Content-Length is no number";
	return bytes > m->body.n ? "the body is shorter than Content-Length says" : NULL;
}

static bool is_port(const char *text)
{
	uint32_t port;

	return !text || (text_to_u32(span_of(text), 5, UINT16_MAX, &port) == 0 && port);
}

static const char *check_vias(const struct sip_message *m)
{
	if (!m->via_count || (size_t)osip_list_size(&m->osip->vias) != m->via_count ||
	    is_open_ended(m, SIP_VIA))
		return "Via is malformed";
	for (size_t i = 0; i < m->via_count; i++) {
		const osip_via_t *via = osip_list_get(&m->osip->vias, (int)i);

		if (!via->host || !*via->host || !is_port(via->port))
			return "Via is malformed";
	}
	return NULL;
}

static const char *check_osip(struct sip_message *m)
{
	const osip_message_t *o = m->osip;
	uint32_t number;

	if (!o->from || !o->from->url || !o->to || !o->to->url || is_open_ended(m, SIP_TO) ||
	    is_too_short_for_a_tag(sip_header(m, SIP_TO)->value))
		return "From or To is malformed";
	if (!o->call_id || !o->call_id->number || !*o->call_id->number)
		return "Call-ID is malformed";
	if (!o->cseq || !o->cseq->number || !o->cseq->method ||
	    text_to_u32(span_of(o->cseq->number), 10, UINT32_MAX, &number) < 0)
		return "CSeq is malformed";
	if (m->status)
		m->method = span_of(o->cseq->method);
	else if (!span_equal(m->method, span_of(o->cseq->method)))
		return "CSeq has another method than the request";
	if (sip_contact_count(m) != count_values(m, SIP_CONTACT))
		return "Contact is malformed";
	return check_vias(m);
}

static int check_values(struct sip_message *m, const char **ret_why)
{
	const size_t contacts = count_values(m, SIP_CONTACT);

	m->via_count = count_values(m, SIP_VIA);
	*ret_why = "a quote in Via or Contact has no end";
	if (m->via_count == SIZE_MAX || contacts == SIZE_MAX)
		return -EBADMSG;
	*ret_why = "it has too many values of Via or Contact";
	return m->via_count > SIP_MAX_VALUES || contacts > SIP_MAX_VALUES ? -E2BIG : 0;
}

static int split(struct sip_message *m, const char **ret_why)
{
	struct span rest = m->text, start_line;
	int err;

	while (rest.n && (*rest.p == '\r' || *rest.p == '\n')) /* RFC 3261 7.5 */
		rest = skip(rest, 1);
	start_line = first_line(rest);
	*ret_why = "the start line is malformed";
	if (!start_line.n || read_start_line(m, start_line) < 0)
		return -EBADMSG;
	err = read_headers(m, skip(rest, start_line.n), ret_why);
	if (err)
		return err;
	*ret_why = "a CR stands alone, or there is a NUL";
	if (has_ambiguous_bytes((struct span){m->text.p, (size_t)(m->body.p - m->text.p)}))
		return -EBADMSG;
	*ret_why = check_counts(m);
	if (!*ret_why)
		*ret_why = check_body(m);
	if (*ret_why)
		return -EBADMSG;
	err = check_values(m, ret_why);
	if (err)
		return err;
	*ret_why = "its start line, Via, From, To, Call-ID, CSeq and Contact are too long";
	if (is_too_much_for_osip(m, start_line))
		return -E2BIG;
	*ret_why = "its start line, Via, From, To, Call-ID, CSeq or Contact is malformed";
	return parse_with_osip(m, start_line);
}

int sip_message_parse(struct span text, struct sip_message *ret, const char **ret_why)
{
	struct sip_message m = {.text = text};
	int err = -E2BIG;

	*ret_why = "it is too long";
	if (text.n > SIP_MAX_BYTES)
		return err;
	m.headers = calloc(SIP_MAX_HEADERS, sizeof(*m.headers));
	err = m.headers ? split(&m, ret_why) : -ENOMEM;
	if (!err) {
		const char *why = check_osip(&m);

		if (!why) {
			*ret = m;
			return 0;
		}
		*ret_why = why;
		err = -EBADMSG;
	}
	if (err == -ENOMEM)
		*ret_why = "out of memory";
	sip_message_done(&m);
	return err;
}

void sip_message_done(struct sip_message *m)
{
	if (m->osip)
		osip_message_free(m->osip);
	free(m->headers);
	m->osip = NULL;
	m->headers = NULL;
}

/* ---- reading it ---- */

const struct sip_header *sip_header_next(const struct sip_message *m, enum sip_name name,
					 size_t *at)
{
	while (*at < m->header_count) {
		const struct sip_header *h = &m->headers[(*at)++];

		if (h->name == name)
			return h;
	}
	return NULL;
}

const struct sip_header *sip_header(const struct sip_message *m, enum sip_name name)
{
	size_t at = 0;

	return sip_header_next(m, name, &at);
}

bool sip_has_tag(const struct sip_message *m, enum sip_name name, const char *tag)
{
	const struct sip_header *h;

	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		if (option_tag_in(h->value, tag))
			return true;
	}
	return false;
}

/* 0 for NULL and for what is no port. */
static uint16_t port_of(const char *text)
{
	uint32_t port;

	if (!text || text_to_u32(span_of(text), 5, UINT16_MAX, &port) < 0)
		return 0;
	return (uint16_t)port;
}

/* osip's parameter lists: NULL when @name is not there. */
static const osip_generic_param_t *param(const osip_list_t *list, const char *name)
{
	osip_generic_param_t *found = NULL;

	osip_generic_param_get_byname((osip_list_t *)(uintptr_t)list, (char *)(uintptr_t)name,
				      &found);
	return found;
}

static struct span param_text(const osip_list_t *list, const char *name)
{
	const osip_generic_param_t *found = param(list, name);

	return text_span(found ? found->gvalue : NULL);
}

void sip_via(const struct sip_message *m, size_t index, struct sip_via *ret)
{
	const osip_via_t *via = osip_list_get(&m->osip->vias, (int)index);

	*ret = (struct sip_via){
		.host = span_of(via->host),
		.port = port_of(via->port),
		.branch = param_text(&via->via_params, "branch"),
		.received = param_text(&via->via_params, "received"),
		.rport = param(&via->via_params, "rport") != NULL,
	};
}

size_t sip_contact_count(const struct sip_message *m)
{
	return (size_t)osip_list_size(&m->osip->contacts);
}

/* RFC 3261 10.2.1.1; more than fits is as long as can be. */
static uint32_t seconds_of(struct span text)
{
	uint32_t seconds;

	if (text_to_u32(text, 10, UINT32_MAX, &seconds) == 0)
		return seconds;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return 3600;
	}
	return text.n ? UINT32_MAX : 3600;
}

static void contact_uri(const osip_uri_t *uri, struct sip_contact *ret)
{
	if (uri->string) {
		ret->host = span_of(uri->string);
		return;
	}
	ret->user = text_span(uri->username);
	ret->host = text_span(uri->host);
	ret->port = port_of(uri->port);
	ret->sos = param(&uri->url_params, "sos") != NULL;
}

void sip_contact_at(const struct sip_message *m, size_t index, struct sip_contact *ret)
{
	const osip_contact_t *contact = osip_list_get(&m->osip->contacts, (int)index);

	memset(ret, 0, sizeof(*ret));
	if (!contact->url) {
		ret->star = true;
		return;
	}
	contact_uri(contact->url, ret);
	ret->instance = param_text(&contact->gen_params, "+sip.instance");
	ret->reg_id = param_text(&contact->gen_params, "reg-id");
	ret->has_expires = param(&contact->gen_params, "expires") != NULL;
	if (ret->has_expires)
		ret->expires_s = seconds_of(param_text(&contact->gen_params, "expires"));
}

bool sip_contact_same(const struct sip_contact *a, const struct sip_contact *b)
{
	if (a->star || b->star)
		return false;
	if (a->instance.n && b->instance.n)
		return span_equal_nocase(a->instance, b->instance) &&
		       span_equal(a->reg_id, b->reg_id);
	return span_equal(a->user, b->user) && span_equal_nocase(a->host, b->host) &&
	       a->port == b->port;
}

bool sip_expires(const struct sip_message *m, uint32_t *ret_s)
{
	const struct sip_header *h = sip_header(m, SIP_EXPIRES);

	return h && text_to_u32(h->value, 10, UINT32_MAX, ret_s) == 0;
}

struct span sip_call_id(const struct sip_message *m)
{
	return sip_header(m, SIP_CALL_ID)->value;
}

uint32_t sip_cseq(const struct sip_message *m)
{
	uint32_t number = 0;

	text_to_u32(span_of(m->osip->cseq->number), 10, UINT32_MAX, &number);
	return number;
}

struct span sip_to_tag(const struct sip_message *m)
{
	return param_text(&m->osip->to->gen_params, "tag");
}

bool sip_uri_host(const struct sip_message *m, struct span *ret_host, uint16_t *ret_port)
{
	const osip_uri_t *uri = m->osip->req_uri;

	if (!uri || uri->string || !uri->host)
		return false;
	*ret_host = span_of(uri->host);
	*ret_port = port_of(uri->port);
	return true;
}

int sip_registered_identity(const struct sip_message *m, bool as_private, char *buf, size_t cap)
{
	const osip_uri_t *uri = m->osip->to->url;
	struct span rest = text_span(uri->string);
	struct text_out out;

	text_out_init(&out, buf, cap);
	if (!as_private && uri->scheme)
		text_out_printf(&out, "%s:", uri->scheme);
	rest.n = rest.n ? strcspn(rest.p, ";") : 0;
	text_out_span(&out, rest);
	if (!uri->string && uri->username)
		text_out_printf(&out, "%s@", uri->username);
	if (!uri->string)
		text_out_span(&out, text_span(uri->host));
	for (size_t i = 0; i < out.n; i++) {
		if (buf[i] <= ' ' || buf[i] > '~')
			return -EBADMSG;
	}
	return out.n ? text_out_end(&out) : -EBADMSG;
}

/* The URI of a name-addr or addr-spec, without parameters and port; empty: there is none. */
static struct span bare_uri(struct span value)
{
	const char *open = memchr(value.p, '<', value.n), *at;
	struct span uri = open ? skip(value, (size_t)(open + 1 - value.p)) : trim(value);
	size_t n = 0;

	while (n < uri.n && uri.p[n] > ' ' && uri.p[n] <= '~' && !strchr(";?>", uri.p[n]))
		n++;
	if (n < uri.n && !strchr(";?>", uri.p[n]))
		return (struct span){uri.p, 0};
	uri.n = n;
	at = memchr(uri.p, '@', n);
	if (at && at[1] != '[') {
		const char *colon = memchr(at, ':', n - (size_t)(at - uri.p));

		uri.n = colon ? (size_t)(colon - uri.p) : n;
	}
	return uri;
}

bool sip_associated_identities(const struct sip_message *m, char *buf, size_t cap)
{
	const struct sip_header *h;
	size_t used = 0;
	bool found = false;

	for (size_t at = 0; (h = sip_header_next(m, SIP_P_ASSOCIATED_URI, &at)); found = true) {
		struct span rest = h->value;

		while (rest.n) {
			const size_t n = sip_first_value(rest);
			const struct span uri = bare_uri((struct span){rest.p, n});

			if (uri.n && used + uri.n + 2 <= cap) {
				memcpy(buf + used, uri.p, uri.n);
				used += uri.n;
				buf[used++] = '\n';
			}
			rest = skip(rest, n < rest.n ? n + 1 : n);
		}
	}
	buf[used] = '\0';
	return found;
}

bool sip_is_emergency(const struct sip_message *m)
{
	const char *sos = "urn:service:sos";
	const size_t n = strlen(sos);
	struct sip_contact contact;

	if (m->uri.n >= n && span_is((struct span){m->uri.p, n}, sos) &&
	    (m->uri.n == n || m->uri.p[n] == '.'))
		return true;
	if (!span_equal(m->method, span_of("REGISTER")))
		return false;
	for (size_t i = 0; i < sip_contact_count(m); i++) {
		sip_contact_at(m, i, &contact);
		if (contact.sos)
			return true;
	}
	return false;
}
