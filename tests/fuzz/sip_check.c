/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Properties of edited messages. They are read here in their own, simpler way where that is
 * possible: a parameter is looked for in the raw text of the line, not with proto/auth_param.c.
 */
#include "tests/fuzz/sip_check.h"

#include <errno.h>
#include <string.h>

#include "proto/auth_param.h"
#include "proto/option_tag.h"
#include "tests/fuzz/fuzz.h"

bool sip_check_parse(struct span text, struct sip_message *ret)
{
	const char *why = NULL;
	const int err = sip_message_parse(text, ret, &why);

	CHECK(!err || err == -E2BIG);
	CHECK(!err || why);
	return !err;
}

/* Headers that edits are about. */
static bool is_touched(enum sip_name name)
{
	switch (name) {
	case SIP_REQUIRE:
	case SIP_PROXY_REQUIRE:
	case SIP_SUPPORTED:
	case SIP_SECURITY_CLIENT:
	case SIP_SECURITY_SERVER:
	case SIP_SECURITY_VERIFY:
	case SIP_AUTHORIZATION:
	case SIP_PROXY_AUTHORIZATION:
	case SIP_WWW_AUTHENTICATE:
	case SIP_PROXY_AUTHENTICATE:
		return true;
	case SIP_VIA:
	case SIP_FROM:
	case SIP_TO:
	case SIP_CALL_ID:
	case SIP_CSEQ:
	case SIP_CONTACT:
	case SIP_EXPIRES:
	case SIP_CONTENT_LENGTH:
	case SIP_P_ASSOCIATED_URI:
	case SIP_OTHER:
		break;
	}
	return false;
}

static const struct sip_header *next_untouched(const struct sip_message *m, size_t *at)
{
	while (*at < m->header_count && is_touched(m->headers[*at].name))
		(*at)++;
	return *at < m->header_count ? &m->headers[(*at)++] : NULL;
}

static struct span start_line(const struct sip_message *m)
{
	const char *first = m->header_count ? m->headers[0].line.p : m->end.p;

	return (struct span){m->text.p, (size_t)(first - m->text.p)};
}

void sip_check_untouched(const struct sip_message *before, const struct sip_message *after)
{
	const struct sip_header *a, *b;
	size_t i = 0, k = 0;

	CHECK(span_equal(start_line(before), start_line(after)));
	CHECK(span_equal(before->end, after->end));
	CHECK(span_equal(before->body, after->body));
	do {
		a = next_untouched(before, &i);
		b = next_untouched(after, &k);
		CHECK(!a == !b);
		CHECK(!a || span_equal(a->line, b->line));
	} while (a);
}

void sip_check_clean(const struct sip_message *m)
{
	CHECK(!sip_header(m, SIP_SECURITY_CLIENT));
	CHECK(!sip_header(m, SIP_SECURITY_SERVER));
	CHECK(!sip_header(m, SIP_SECURITY_VERIFY));
	CHECK(!sip_has_tag(m, SIP_REQUIRE, OPTION_TAG_SEC_AGREE));
	CHECK(!sip_has_tag(m, SIP_PROXY_REQUIRE, OPTION_TAG_SEC_AGREE));
}

static bool is_digest(struct span value)
{
	const size_t n = strlen("Digest");

	return value.n > n && span_is((struct span){value.p, n}, "Digest") &&
	       text_sws(fuzz_skip(value, n));
}

/* Does `name =` stand at the start of @s? */
static bool begins_with(struct span s, const char *name)
{
	const size_t n = strlen(name);

	s = fuzz_skip(s, text_sws(s));
	if (s.n < n || !span_is((struct span){s.p, n}, name))
		return false;
	s = fuzz_skip(s, n);
	s = fuzz_skip(s, text_sws(s));
	return s.n && *s.p == '=';
}

/* How often a parameter begins behind the scheme or a comma. */
static size_t count_param(struct span value, const char *name)
{
	const struct span first = fuzz_skip(value, strlen("Digest"));
	size_t count = begins_with(first, name);
	bool quoted = false;

	for (size_t i = 0; i < first.n; i++) {
		if (quoted && first.p[i] == '\\')
			i++;
		else if (first.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && first.p[i] == ',')
			count += begins_with(fuzz_skip(first, i + 1), name);
	}
	return count;
}

static size_t count_all(const struct sip_message *m, enum sip_name name, const char *param,
			size_t *ret_lines)
{
	const struct sip_header *h;
	size_t count = 0;

	*ret_lines = 0;
	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		if (!is_digest(h->value))
			continue;
		(*ret_lines)++;
		count += count_param(h->value, param);
	}
	return count;
}

void sip_check_no_keys(const struct sip_message *m)
{
	size_t lines;

	CHECK(!count_all(m, SIP_WWW_AUTHENTICATE, "ck", &lines));
	CHECK(!count_all(m, SIP_WWW_AUTHENTICATE, "ik", &lines));
	CHECK(!count_all(m, SIP_PROXY_AUTHENTICATE, "ck", &lines));
	CHECK(!count_all(m, SIP_PROXY_AUTHENTICATE, "ik", &lines));
}

void sip_check_integrity(const struct sip_message *m, const char *value)
{
	const struct sip_header *h;
	struct auth auth;
	size_t lines, count;

	CHECK(!count_all(m, SIP_PROXY_AUTHORIZATION, "integrity-protected", &lines));
	count = count_all(m, SIP_AUTHORIZATION, "integrity-protected", &lines);
	CHECK(count == (value ? lines : 0));
	for (size_t at = 0; value && (h = sip_header_next(m, SIP_AUTHORIZATION, &at));) {
		char text[8];

		if (!is_digest(h->value))
			continue;
		CHECK(auth_read(h->value, &auth) == 0);
		CHECK(auth_text(&auth, "integrity-protected", text, sizeof(text)) > 0);
		CHECK(!strcmp(text, value));
	}
}
