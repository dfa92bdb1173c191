/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of Security-Client, Security-Server and Security-Verify (RFC 3329 2.2, with the
 * tokens of RFC 3261 25.1), read by a cursor in one pass without recursion, and its writer.
 *
 * A list is built once by sec_header_parse() and never changes: three allocations, one for a copy
 * of the text into which all spans point, one for the parameters, one for the mechanisms, sized by
 * counting separators beforehand. sec_header_done() frees them.
 *
 * Not done here: what a parameter means. Only q, d-alg, d-qop and d-ver have a grammar of their own
 * in RFC 3329; every other name is a generic-param and kept as written. The one thing looser than
 * the grammar is a fold that begins with a bare LF, which stream transports are known to deliver.
 */
#include "proto/sec_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A place in one header line. */
struct cursor {
	const char *start;
	const char *p;
	const char *end;
	size_t line;
	struct sec_error *error;
};

/* A list under construction. */
struct builder {
	struct sec_header list;
	size_t param_count; /* in all mechanisms */
};

static const char *const kind_names[] = {
	[SEC_CLIENT] = "Security-Client",
	[SEC_SERVER] = "Security-Server",
	[SEC_VERIFY] = "Security-Verify",
};

const char *sec_header_name(enum sec_header_kind kind)
{
	return kind_names[kind];
}

int sec_header_kind_of(struct span name, enum sec_header_kind *ret_kind)
{
	for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++) {
		if (span_is(name, kind_names[i])) {
			*ret_kind = (enum sec_header_kind)i;
			return 0;
		}
	}
	return -ENOENT;
}

int sec_error_set(struct sec_error *error, size_t line, size_t offset, const char *fmt, ...)
{
	va_list args;

	if (!error)
		return -EINVAL;
	error->line = line;
	error->offset = offset;
	va_start(args, fmt);
	vsnprintf(error->why, sizeof(error->why), fmt, args);
	va_end(args);
	return -EINVAL;
}

static int fail_at(const struct cursor *c, const char *at, const char *why)
{
	return sec_error_set(c->error, c->line, (size_t)(at - c->start), "%s", why);
}

static int too_big_at(const struct cursor *c, const char *at, const char *why)
{
	fail_at(c, at, why);
	return -E2BIG;
}

static struct span rest_of(const struct cursor *c)
{
	return (struct span){c->p, (size_t)(c->end - c->p)};
}

static void skip_sws(struct cursor *c)
{
	c->p += text_sws(rest_of(c));
}

static bool next_is(const struct cursor *c, char ch)
{
	return c->p < c->end && *c->p == ch;
}

/* SEMI, COMMA and EQUAL: SWS ch SWS. False, and the cursor is unchanged, when it is not there. */
static bool take_separator(struct cursor *c, char ch)
{
	const char *p = c->p + text_sws(rest_of(c));

	if (p == c->end || *p != ch)
		return false;
	c->p = p + 1;
	skip_sws(c);
	return true;
}

/* Give [@from, cursor) as a word, if it is not too long. */
static int end_word(const struct cursor *c, const char *from, struct span *ret)
{
	size_t n = (size_t)(c->p - from);

	if (n > SEC_MAX_WORD_BYTES)
		return too_big_at(c, from, "a name or value has more than 256 bytes");
	*ret = (struct span){from, n};
	return 0;
}

static int read_token(struct cursor *c, const char *expected, struct span *ret)
{
	const char *from = c->p;

	c->p += text_token(rest_of(c));
	if (c->p == from)
		return fail_at(c, from, expected);
	return end_word(c, from, ret);
}

/* IPv6reference, RFC 3261 25.1. */
static int read_ipv6(struct cursor *c, struct span *ret)
{
	const char *from = c->p;
	const char *close = memchr(from, ']', (size_t)(c->end - from));
	size_t n = close ? (size_t)(close - from) - 1 : 0;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ip;

	if (!close || n >= sizeof(text))
		return fail_at(c, from, "not an IPv6 address in brackets");
	memcpy(text, from + 1, n);
	text[n] = '\0';
	if (strlen(text) != n || inet_pton(AF_INET6, text, &ip) != 1)
		return fail_at(c, from, "not an IPv6 address in brackets");
	c->p = close + 1;
	return end_word(c, from, ret);
}

/* The well-formed sequences of RFC 3629 4: range of the first byte, range of the second, how many.
 * All further bytes are 0x80..0xBF. */
static const struct {
	uint8_t first_min, first_max;
	uint8_t second_min, second_max;
	size_t bytes;
} utf8_rows[] = {
	{0xC2, 0xDF, 0x80, 0xBF, 2},
	{0xE0, 0xE0, 0xA0, 0xBF, 3},
	{0xE1, 0xEC, 0x80, 0xBF, 3},
	{0xED, 0xED, 0x80, 0x9F, 3},
	{0xEE, 0xEF, 0x80, 0xBF, 3},
	{0xF0, 0xF0, 0x90, 0xBF, 4},
	{0xF1, 0xF3, 0x80, 0xBF, 4},
	{0xF4, 0xF4, 0x80, 0x8F, 4},
};

/* Length of the non-ASCII character at the start of @s, 0 when it is none. */
static size_t utf8_bytes(struct span s)
{
	const uint8_t *b = (const uint8_t *)s.p;

	for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(utf8_rows[0]); i++) {
		size_t bytes = utf8_rows[i].bytes;

		if (b[0] < utf8_rows[i].first_min || b[0] > utf8_rows[i].first_max)
			continue;
		if (s.n < bytes || b[1] < utf8_rows[i].second_min ||
		    b[1] > utf8_rows[i].second_max)
			return 0;
		for (size_t k = 2; k < bytes; k++) {
			if ((b[k] & 0xC0) != 0x80)
				return 0;
		}
		return bytes;
	}
	return 0;
}

/* quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F); NUL is refused here though the grammar has it:
 * no reader behind us expects it. */
static size_t quoted_pair_bytes(struct span s)
{
	unsigned char c;

	if (s.n < 2)
		return 0;
	c = (unsigned char)s.p[1];
	return c == 0 || c == '\r' || c == '\n' || c > 0x7F ? 0 : 2;
}

/* Length of the qdtext or quoted-pair at the start of @s, 0 when it is neither. RFC 3261 25.1. */
static size_t quoted_unit_bytes(struct span s)
{
	unsigned char c = (unsigned char)s.p[0];

	if (c == '\\')
		return quoted_pair_bytes(s);
	if (c == '\r' || c == '\n')
		return text_fold(s);
	if (c >= 0x80)
		return utf8_bytes(s);
	return text_is_wsp(c) || (c > 0x20 && c < 0x7F) ? 1 : 0;
}

static int read_quoted(struct cursor *c, struct span *ret)
{
	const char *from = c->p++;

	while (c->p < c->end && *c->p != '"') {
		size_t step = quoted_unit_bytes(rest_of(c));

		if (!step)
			return fail_at(c, c->p, "a byte that a quoted string cannot hold");
		c->p += step;
	}
	if (c->p == c->end)
		return fail_at(c, from, "a quoted string is not closed");
	c->p++;
	return end_word(c, from, ret);
}

/* gen-value = token / host / quoted-string; a host that is not an IPv6reference is a token. */
static int read_value(struct cursor *c, struct sec_param *param)
{
	if (next_is(c, '"')) {
		param->kind = SEC_VALUE_QUOTED;
		return read_quoted(c, &param->value);
	}
	param->kind = SEC_VALUE_TOKEN;
	if (next_is(c, '['))
		return read_ipv6(c, &param->value);
	return read_token(c, "a value was expected", &param->value);
}

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ), RFC 3261 25.1. */
static int qvalue_milli(struct span s, int *ret_milli)
{
	static const int weight[] = {100, 10, 1};
	int milli;

	if (s.n < 1 || s.n > 5 || s.p[0] < '0' || s.p[0] > '1' || (s.n > 1 && s.p[1] != '.'))
		return -EINVAL;
	milli = (s.p[0] - '0') * 1000;
	for (size_t i = 2; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		milli += (s.p[i] - '0') * weight[i - 2];
	}
	if (milli > 1000)
		return -EINVAL;
	*ret_milli = milli;
	return 0;
}

/* No two mechanisms of a list have the same q: RFC 3329 2.2. */
static int check_q(const struct cursor *c, const struct builder *b, struct sec_mechanism *m,
		   const struct sec_param *param)
{
	/* quotes are part of a value and so are refused too */
	if (qvalue_milli(param->value, &m->q_milli))
		return fail_at(c, param->value.p,
			       "q is not a number from 0 to 1 with three decimals");
	for (size_t i = 0; i < b->list.mechanism_count; i++) {
		if (b->list.mechanisms[i].q_milli == m->q_milli)
			return fail_at(c, param->value.p, "two mechanisms have the same q");
	}
	return 0;
}

static bool is_lower_hex(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

/* digest-verify = "d-ver" EQUAL LDQUOT 32LHEX RDQUOT, RFC 3329 2.2. */
static bool is_digest_verify(const struct sec_param *param)
{
	return param->kind == SEC_VALUE_QUOTED && param->value.n == 34 &&
	       is_lower_hex((struct span){param->value.p + 1, 32});
}

static bool is_plain_token(const struct sec_param *param)
{
	return param->kind == SEC_VALUE_TOKEN && param->value.p[0] != '[';
}

/* The parameters to which RFC 3329 2.2 gives a grammar of their own. */
static int check_param(const struct cursor *c, const struct builder *b, struct sec_mechanism *m,
		       const struct sec_param *param)
{
	for (size_t i = 0; i < m->param_count; i++) {
		if (span_equal_nocase(m->params[i].name, param->name))
			return fail_at(c, param->name.p, "a parameter is there twice");
	}
	if (span_is(param->name, "q"))
		return check_q(c, b, m, param);
	if (span_is(param->name, "d-ver") && !is_digest_verify(param))
		return fail_at(c, param->value.p,
			       "d-ver is not 32 lower case hex digits in quotes");
	if (span_is(param->name, "d-alg") && !is_plain_token(param))
		return fail_at(c, param->value.p, "d-alg is not a token");
	if (span_is(param->name, "d-qop") && !is_plain_token(param))
		return fail_at(c, param->value.p, "d-qop is not a token");
	return 0;
}

static int read_param(struct cursor *c, struct builder *b, struct sec_mechanism *m)
{
	struct span name = {c->p, 0};
	struct sec_param *param;
	int r;

	r = read_token(c, "a parameter name was expected", &name);
	if (r)
		return r;
	if (m->param_count == SEC_MAX_PARAMS)
		return too_big_at(c, name.p, "a mechanism has more than 32 parameters");
	param = &b->list.params[b->param_count];
	*param = (struct sec_param){name, {c->p, 0}, SEC_VALUE_NONE};
	if (take_separator(c, '=')) {
		r = read_value(c, param);
		if (r)
			return r;
	}
	r = check_param(c, b, m, param);
	if (r)
		return r;
	m->param_count++;
	b->param_count++;
	return 0;
}

/* sec-mechanism = mechanism-name *(SEMI mech-parameters), RFC 3329 2.2. */
static int read_mechanism(struct cursor *c, struct builder *b)
{
	struct sec_mechanism m = {.q_milli = -1, .line = c->line};
	int r;

	m.params = &b->list.params[b->param_count];
	m.offset = (size_t)(c->p - c->start);
	r = read_token(c, "a mechanism name was expected", &m.name);
	if (r)
		return r;
	if (b->list.mechanism_count == SEC_MAX_MECHANISMS)
		return too_big_at(c, m.name.p, "more than 64 mechanisms");
	while (take_separator(c, ';')) {
		r = read_param(c, b, &m);
		if (r)
			return r;
	}
	b->list.mechanisms[b->list.mechanism_count++] = m;
	return 0;
}

static int read_line(struct cursor *c, struct builder *b)
{
	int r;

	skip_sws(c);
	do {
		r = read_mechanism(c, b);
		if (r)
			return r;
	} while (take_separator(c, ','));
	skip_sws(c);
	if (c->p < c->end)
		return fail_at(c, c->p, "a semicolon, a comma or the end was expected");
	return 0;
}

static int check_limits(const struct span *lines, size_t line_count, struct sec_error *ret_error)
{
	size_t room = SEC_MAX_BYTES;

	if (line_count == 0)
		return sec_error_set(ret_error, 0, 0, "the list is empty");
	if (line_count > SEC_MAX_LINES) {
		sec_error_set(ret_error, SEC_MAX_LINES, 0, "more than 64 header lines");
		return -E2BIG;
	}
	for (size_t i = 0; i < line_count; i++) {
		if (lines[i].n > room) {
			sec_error_set(ret_error, i, room, "the header has more than 16384 bytes");
			return -E2BIG;
		}
		room -= lines[i].n;
	}
	return 0;
}

static size_t count_byte(const struct span *lines, size_t line_count, char byte)
{
	size_t count = 0;

	for (size_t i = 0; i < line_count; i++) {
		struct span rest = lines[i];
		const char *at;

		while (rest.n && (at = memchr(rest.p, byte, rest.n))) {
			rest.n -= (size_t)(at + 1 - rest.p);
			rest.p = at + 1;
			count++;
		}
	}
	return count;
}

static size_t total_bytes(const struct span *lines, size_t line_count)
{
	size_t total = 0;

	for (size_t i = 0; i < line_count; i++)
		total += lines[i].n;
	return total;
}

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

/* Separators inside quoted strings make these counts too high, never too low; one is added to each
 * because malloc(0) may be NULL. */
static int allocate(const struct span *lines, size_t line_count, struct sec_header *list)
{
	size_t params = at_most(count_byte(lines, line_count, ';'),
				SEC_MAX_MECHANISMS * SEC_MAX_PARAMS);
	size_t mechanisms = at_most(count_byte(lines, line_count, ',') + line_count,
				    SEC_MAX_MECHANISMS);

	list->text = malloc(total_bytes(lines, line_count) + 1);
	list->params = calloc(params + 1, sizeof(*list->params));
	list->mechanisms = calloc(mechanisms + 1, sizeof(*list->mechanisms));
	if (list->text && list->params && list->mechanisms)
		return 0;
	sec_header_done(list);
	return -ENOMEM;
}

int sec_header_parse(const struct span *lines, size_t line_count, struct sec_header *ret,
		     struct sec_error *ret_error)
{
	struct builder b = {0};
	char *text;
	int r;

	r = check_limits(lines, line_count, ret_error);
	if (r)
		return r;
	r = allocate(lines, line_count, &b.list);
	if (r)
		return r;
	text = b.list.text;
	for (size_t i = 0; i < line_count; i++) {
		struct cursor c = {text, text, text + lines[i].n, i, ret_error};

		if (lines[i].n)
			memcpy(text, lines[i].p, lines[i].n);
		text += lines[i].n;
		r = read_line(&c, &b);
		if (r)
			goto out;
	}
	*ret = b.list;
	return 0;
out:
	sec_header_done(&b.list);
	return r;
}

void sec_header_done(struct sec_header *header)
{
	free(header->mechanisms);
	free(header->params);
	free(header->text);
	*header = (struct sec_header){0};
}

const struct sec_param *sec_mechanism_param(const struct sec_mechanism *m, const char *name)
{
	const struct span wanted = span_of(name);

	for (size_t i = 0; i < m->param_count; i++) {
		if (span_equal_nocase(m->params[i].name, wanted))
			return &m->params[i];
	}
	return NULL;
}

size_t sec_value_unquote(struct span quoted, char ret[static SEC_MAX_WORD_BYTES])
{
	size_t n = 0;

	for (size_t i = 1; i + 1 < quoted.n;) {
		size_t fold = text_fold((struct span){quoted.p + i, quoted.n - 1 - i});

		if (!fold && quoted.p[i] == '\\')
			i++;
		ret[n++] = fold ? ' ' : quoted.p[i];
		i += fold ? fold : 1;
	}
	return n;
}

static void write_quoted(struct text_out *out, struct span s)
{
	for (size_t i = 0; i < s.n;) {
		size_t fold = text_fold((struct span){s.p + i, s.n - i});

		text_out_span(out, fold ? span_of(" ") : (struct span){s.p + i, 1});
		i += fold ? fold : 1;
	}
}

static void write_param(struct text_out *out, const struct sec_param *param)
{
	text_out_span(out, span_of(";"));
	text_out_lower(out, param->name);
	switch (param->kind) {
	case SEC_VALUE_NONE:
		break;
	case SEC_VALUE_TOKEN:
		text_out_span(out, span_of("="));
		text_out_lower(out, param->value);
		break;
	case SEC_VALUE_QUOTED:
		text_out_span(out, span_of("="));
		write_quoted(out, param->value);
		break;
	}
}

int sec_header_write(const struct sec_header *header, char *buf, size_t cap)
{
	struct text_out out;

	text_out_init(&out, buf, cap);
	for (size_t i = 0; i < header->mechanism_count; i++) {
		const struct sec_mechanism *m = &header->mechanisms[i];

		if (i)
			text_out_span(&out, span_of(", "));
		text_out_lower(&out, m->name);
		for (size_t k = 0; k < m->param_count; k++)
			write_param(&out, &m->params[k]);
	}
	return text_out_end(&out);
}
