/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/sec_header.c: the grammar of RFC 3329 2.2 by rows, then by generated headers (each comes
 * with the canonical text that must result) and by damaged ones, which may only be refused.
 *
 * SEED=n in the environment starts the generators elsewhere; a failure prints the seed that repeats
 * it. All texts are parsed from heap copies of their exact size, so that the sanitizer sees a read
 * past the end. malloc and calloc are wrapped to count, and to fail on request.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/sec_header.h"

#define HEX32      "0123456789abcdef0123456789abcdef"
#define OUT_BYTES  (SEC_MAX_BYTES + 2 * SEC_MAX_MECHANISMS)
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- allocations under control ---- */

static size_t allocations;
static size_t fail_at_allocation; /* counted from 1; 0 = never */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t n)
{
	return ++allocations == fail_at_allocation ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return ++allocations == fail_at_allocation ? NULL : __real_calloc(n, size);
}

/* ---- helpers ---- */

static struct span exact_copy(struct span s)
{
	char *p = __real_malloc(s.n ? s.n : 1);

	assert_non_null(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct span){p, s.n};
}

static int parse_lines(const struct span *lines, size_t count, struct sec_header *ret,
		       struct sec_error *ret_error)
{
	struct span copies[SEC_MAX_LINES + 1];
	int r;

	assert_true(count <= COUNT_OF(copies));
	for (size_t i = 0; i < count; i++)
		copies[i] = exact_copy(lines[i]);
	r = sec_header_parse(copies, count, ret, ret_error);
	for (size_t i = 0; i < count; i++)
		free((void *)copies[i].p);
	return r;
}

static int parse(const char *text, struct sec_header *ret, struct sec_error *ret_error)
{
	struct span line = span_of(text);

	return parse_lines(&line, 1, ret, ret_error);
}

static void parse_good(const char *text, struct sec_header *ret)
{
	struct sec_error error = {0};
	int r = parse(text, ret, &error);

	if (r)
		fail_msg("'%s' gave %d at %zu: %s", text, r, error.offset, error.why);
}

/* @text is refused with @error_number at @offset. */
static void assert_refused(const char *text, int error_number, size_t offset)
{
	struct sec_error error = {.line = 99, .offset = 9999};
	struct sec_header header;
	int r = parse(text, &header, &error);

	if (r == 0)
		fail_msg("'%s' was accepted", text);
	if (r != error_number || error.line != 0 || error.offset != offset)
		fail_msg("'%s' gave %d at line %zu, offset %zu: %s", text, r, error.line,
			 error.offset, error.why);
	assert_true(strlen(error.why) > 0);
}

static void assert_span(struct span got, const char *expected)
{
	if (!span_equal(got, span_of(expected)))
		fail_msg("'%.*s' is not '%s'", (int)got.n, got.p, expected);
}

static void assert_written(const char *text, const char *expected)
{
	struct sec_header header;
	char out[2000];

	parse_good(text, &header);
	assert_int_equal(sec_header_write(&header, out, sizeof(out)), strlen(expected));
	assert_string_equal(out, expected);
	sec_header_done(&header);
}

/* ---- names ---- */

static void A1_names_and_tokens_are_without_case(void **state)
{
	enum sec_header_kind kind;

	(void)state;
	assert_int_equal(sec_header_kind_of(span_of("SECURITY-client"), &kind), 0);
	assert_int_equal(kind, SEC_CLIENT);
	assert_written("IPSEC-3GPP;ALG=HMAC-SHA-1-96", "ipsec-3gpp;alg=hmac-sha-1-96");
}

static void A1_quoted_strings_keep_their_case(void **state)
{
	(void)state;
	assert_written("Foo;A=\"Bar\"", "foo;a=\"Bar\"");
}

static void A2_several_lines_are_one_list(void **state)
{
	const struct span lines[] = {span_of("tls"), span_of(" digest;d-alg=MD5, foo ")};
	struct sec_header header;
	struct sec_error error;
	char out[100];

	(void)state;
	assert_int_equal(parse_lines(lines, 2, &header, &error), 0);
	assert_int_equal(header.mechanism_count, 3);
	assert_int_equal(header.mechanisms[0].line, 0);
	assert_int_equal(header.mechanisms[1].line, 1);
	assert_int_equal(header.mechanisms[1].offset, 1);
	assert_int_equal(header.mechanisms[2].offset, 19);
	assert_true(sec_header_write(&header, out, sizeof(out)) > 0);
	assert_string_equal(out, "tls, digest;d-alg=md5, foo");
	sec_header_done(&header);
}

static void A3_equal_q_is_refused_whatever_its_spelling(void **state)
{
	(void)state;
	assert_refused("tls;q=0.2, digest;q=0.20", -EINVAL, 20);
	assert_refused("tls;q=0, digest;q=0.000", -EINVAL, 18);
	assert_refused("tls;q=1, a, digest;q=1.0", -EINVAL, 21);
	assert_refused("tls;q=0.5, tls;Q=0.5", -EINVAL, 17);
}

static void A3_equal_q_on_two_lines_is_refused_there(void **state)
{
	const struct span lines[] = {span_of("tls;q=0.2"), span_of("digest;q=0.2")};
	struct sec_header header;
	struct sec_error error;

	(void)state;
	assert_int_equal(parse_lines(lines, 2, &header, &error), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.offset, 9);
}

static void A3_absent_q_is_no_duplicate(void **state)
{
	struct sec_header header;

	(void)state;
	parse_good("tls, digest, foo;q=0.001, bar;q=0.002", &header);
	sec_header_done(&header);
}

static void A4_q_has_no_default(void **state)
{
	struct sec_header header;

	(void)state;
	parse_good("tls, digest;q=0.1", &header);
	assert_int_equal(header.mechanisms[0].q_milli, -1);
	assert_int_equal(header.mechanisms[1].q_milli, 100);
	sec_header_done(&header);
}

static void A6_duplicate_parameter_is_refused(void **state)
{
	(void)state;
	assert_refused("ipsec-3gpp;alg=x;alg=y", -EINVAL, 17);
	assert_refused("ipsec-3gpp;alg=x;b;ALG=x", -EINVAL, 19);
	assert_refused("a;q=0.1;q=0.2", -EINVAL, 8);
	assert_refused("a;flag;flag", -EINVAL, 7);
	assert_written("a;x=1, a;x=1", "a;x=1, a;x=1");
}

static void A7_unknown_mechanisms_and_parameters_are_kept(void **state)
{
	struct sec_header header;
	const struct sec_mechanism *m;

	(void)state;
	parse_good("foo;a=\"x,y;z\", ipsec-3gpp;alg=x;mediasec", &header);
	assert_int_equal(header.mechanism_count, 2);
	m = &header.mechanisms[0];
	assert_int_equal(m->param_count, 1);
	assert_int_equal(m->params[0].kind, SEC_VALUE_QUOTED);
	assert_span(m->params[0].value, "\"x,y;z\"");
	m = &header.mechanisms[1];
	assert_int_equal(m->param_count, 2);
	assert_int_equal(m->params[1].kind, SEC_VALUE_NONE);
	assert_int_equal(m->params[1].value.n, 0);
	assert_span(m->params[1].name, "mediasec");
	sec_header_done(&header);
}

static void A9_there_are_no_compact_forms(void **state)
{
	static const char *const bad[] = {"s", "v", "sc", "", "Security-Clien", "Security-Clients",
					  "Security-Client:", " Security-Client"};
	enum sec_header_kind kind;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(sec_header_kind_of(span_of(bad[i]), &kind), -ENOENT);
	assert_int_equal(sec_header_kind_of(span_of("security-server"), &kind), 0);
	assert_string_equal(sec_header_name(kind), "Security-Server");
	assert_int_equal(sec_header_kind_of(span_of("Security-Verify"), &kind), 0);
	assert_string_equal(sec_header_name(kind), "Security-Verify");
}

static void B18_digest_integrity_is_an_unknown_mechanism(void **state)
{
	(void)state;
	assert_written("digest-integrity;d-qop=auth-int", "digest-integrity;d-qop=auth-int");
}

static void parameter_names_are_exact_never_prefixes(void **state)
{
	struct sec_header header;
	const struct sec_mechanism *m;

	(void)state;
	parse_good("a;spi-client=1;al=2;algo=3;qq=9;d-vers=x;d-algo=\"y\"", &header);
	m = &header.mechanisms[0];
	assert_int_equal(m->param_count, 6);
	assert_int_equal(m->q_milli, -1);
	assert_null(sec_mechanism_param(m, "spi-c"));
	assert_null(sec_mechanism_param(m, "alg"));
	assert_null(sec_mechanism_param(m, "q"));
	assert_span(sec_mechanism_param(m, "algo")->value, "3");
	sec_header_done(&header);
}

/* ---- values ---- */

static void q_is_a_qvalue(void **state)
{
	static const struct {
		const char *text;
		int milli;
	} good[] = {
		{"a;q=0", 0},     {"a;q=0.", 0},      {"a;q=0.5", 500},   {"a;q=0.05", 50},
		{"a;q=0.005", 5}, {"a;q=0.999", 999}, {"a;q=1", 1000},    {"a;q=1.", 1000},
		{"a;q=1.0", 1000}, {"a;q=1.000", 1000}, {"a;Q = 0.5", 500},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct sec_header header;

		parse_good(good[i].text, &header);
		assert_int_equal(header.mechanisms[0].q_milli, good[i].milli);
		sec_header_done(&header);
	}
}

static void what_is_not_a_qvalue_is_refused_where_it_stands(void **state)
{
	static const char *const bad[] = {
		"a;q=0.1234", "a;q=1.001", "a;q=1.0000", "a;q=2",   "a;q=00.5", "a;q=.5",
		"a;q=-0.5",   "a;q=+1",    "a;q=0x1",    "a;q=0.5a", "a;q=01",  "a;q=\"0.5\"",
		"a;q=0!5",    "a;q=[::1]", "a;q=10",     "a;q=0.5.",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_refused(bad[i], -EINVAL, 4);
	assert_refused("a;q", -EINVAL, 3);
	assert_refused("a;q;b=1", -EINVAL, 3);
	assert_refused("a;q=", -EINVAL, 4);
}

static void d_ver_is_32_lower_case_hex_digits_in_quotes(void **state)
{
	(void)state;
	assert_written("digest;d-ver=\"" HEX32 "\"", "digest;d-ver=\"" HEX32 "\"");
	assert_refused("digest;d-ver=" HEX32, -EINVAL, 13);
	assert_refused("digest;d-ver=\"0123456789ABCDEF0123456789abcdef\"", -EINVAL, 13);
	assert_refused("digest;d-ver=\"0123456789abcdeg0123456789abcdef\"", -EINVAL, 13);
	assert_refused("digest;d-ver=\"" HEX32 "0\"", -EINVAL, 13);
	assert_refused("digest;d-ver=\"123456789abcdef0123456789abcdef\"", -EINVAL, 13);
	assert_refused("digest;d-ver", -EINVAL, 12);
	assert_refused("digest;D-VER=x", -EINVAL, 13);
}

static void d_alg_and_d_qop_are_tokens(void **state)
{
	(void)state;
	assert_written("digest;d-alg=MD5;d-qop=auth-int", "digest;d-alg=md5;d-qop=auth-int");
	assert_refused("digest;d-alg=\"MD5\"", -EINVAL, 13);
	assert_refused("digest;d-qop=\"auth\"", -EINVAL, 13);
	assert_refused("digest;d-alg=[::1]", -EINVAL, 13);
	assert_refused("digest;d-qop", -EINVAL, 12);
}

static void values_may_be_tokens_hosts_and_quoted_strings(void **state)
{
	(void)state;
	assert_written("a;b=-.!%*_+`'~Z9", "a;b=-.!%*_+`'~z9");
	assert_written("a;b=P-CSCF.example.com.", "a;b=p-cscf.example.com.");
	assert_written("a;b=192.0.2.1", "a;b=192.0.2.1");
	assert_written("a;b=[::1]", "a;b=[::1]");
	assert_written("a;b=[2001:DB8::192.0.2.1];c", "a;b=[2001:db8::192.0.2.1];c");
	assert_written("a;b=\"\"", "a;b=\"\"");
}

static void a_bad_ipv6_reference_is_refused(void **state)
{
	static const char *const bad[] = {
		"a;b=[::1", "a;b=[]", "a;b=[1.2.3.4]", "a;b=[::1::]", "a;b=[:::]", "a;b=[::g]",
		"a;b=[fe80::1%eth0]", "a;b=[12345::]", "a;b=[ ::1]", "a;b=[::1 ]", "a;b=[",
		"a;b=[0000:0000:0000:0000:0000:0000:0000:0000:000000]", /* 46 characters inside */
		"a;b=[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_refused(bad[i], -EINVAL, 4);
	assert_refused("a;b=[::1]x", -EINVAL, 9);
	assert_refused("a;b=[::1]:5060", -EINVAL, 9);
}

static void a_NUL_inside_an_ipv6_reference_is_refused(void **state)
{
	const struct span line = {"a;b=[::1\0]", 10};
	struct sec_header header;
	struct sec_error error;

	(void)state;
	assert_int_equal(parse_lines(&line, 1, &header, &error), -EINVAL);
	assert_int_equal(error.offset, 4);
}

/* ---- quoted strings ---- */

static void quoted_strings_hold_escapes_separators_and_utf8(void **state)
{
	static const char *const good[] = {
		"a;b=\"say \\\"hi\\\"\"", "a;b=\"\\\\\"", "a;b=\"\\x\\\t\\\x01\\\x7f\"",
		"a;b=\"x,y;z=1\"",        "a;b=\"tab\there\"", "a;b=\"\xC3\xA9\"",
		"a;b=\"\xE2\x82\xAC\"",   "a;b=\"\xF0\x9D\x84\x9E\"", "a;b=\"\xED\x9F\xBF\"",
		"a;b=\"\xF4\x8F\xBF\xBF\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_written(good[i], good[i]);
}

static void a_byte_outside_the_grammar_is_refused_where_it_stands(void **state)
{
	static const char *const bad[] = {
		"a;b=\"\x01\"", "a;b=\"\x7f\"",     "a;b=\"\r\"",       "a;b=\"\n\"",
		"a;b=\"\r\n\"", "a;b=\"\r\nx\"",    "a;b=\"\\\r\"",     "a;b=\"\\\n\"",
		"a;b=\"\v\"",   "a;b=\"\\\xC3\xA9\"", "a;b=\"\\",
		/* not UTF-8: lone bytes, cut, overlong, a surrogate, above 10FFFF */
		"a;b=\"\xE9\"", "a;b=\"\x80\"",     "a;b=\"\xC3\"",     "a;b=\"\xC3x\"",
		"a;b=\"\xC0\x80\"", "a;b=\"\xE0\x80\x80\"", "a;b=\"\xED\xA0\x80\"",
		"a;b=\"\xF4\x90\x80\x80\"", "a;b=\"\xF0\x9D\x84\"", "a;b=\"\xFF\"",
		"a;b=\"\xE2\x82",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_refused(bad[i], -EINVAL, 5);
}

static void a_NUL_in_a_quoted_string_is_refused(void **state)
{
	const struct span lines[] = {{"a;b=\"\0\"", 7}, {"a;b=\"\\\0\"", 8}};
	struct sec_header header;
	struct sec_error error;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		assert_int_equal(parse_lines(&lines[i], 1, &header, &error), -EINVAL);
		assert_int_equal(error.offset, 5);
	}
}

static void an_open_quoted_string_is_refused_at_its_start(void **state)
{
	(void)state;
	assert_refused("a;b=\"", -EINVAL, 4);
	assert_refused("a;b=\"x, c;d=1", -EINVAL, 4);
	assert_refused("a;b=\"x\\\"", -EINVAL, 4);
}

static void a_quoted_string_does_not_go_on_in_the_next_line(void **state)
{
	const struct span lines[] = {span_of("a;b=\"x"), span_of("y\"")};
	struct sec_header header;
	struct sec_error error;

	(void)state;
	assert_int_equal(parse_lines(lines, 2, &header, &error), -EINVAL);
	assert_int_equal(error.line, 0);
	assert_int_equal(error.offset, 4);
}

static void a_fold_in_a_quoted_string_is_one_space(void **state)
{
	(void)state;
	assert_written("a;b=\"x\r\n \ty\"", "a;b=\"x y\"");
	assert_written("a;b=\"x \n y\"", "a;b=\"x  y\"");
	assert_written("a;b=\"\r\n \r\n \"", "a;b=\"  \"");
}

static void unquoting_gives_the_text_that_is_meant(void **state)
{
	static const struct {
		const char *quoted, *text;
	} rows[] = {
		{"\"\"", ""},
		{"\"abc\"", "abc"},
		{"\"\\a\\\"\\\\\"", "a\"\\"},
		{"\"x\r\n  y\"", "x y"},
		{"\"\xC3\xA9\"", "\xC3\xA9"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[SEC_MAX_WORD_BYTES];
		size_t n = sec_value_unquote(span_of(rows[i].quoted), text);

		assert_span((struct span){text, n}, rows[i].text);
	}
}

/* ---- white space and syntax ---- */

static void white_space_and_folds_are_free_around_separators(void **state)
{
	(void)state;
	assert_written(" \r\n a \t; b\r\n\t=\n 1 ;c , d ;e = \"f\" \r\n ", "a;b=1;c, d;e=\"f\"");
	assert_written("ipsec-3gpp ; q=0.1", "ipsec-3gpp;q=0.1");
	assert_written("digest;d-ver= \"" HEX32 "\" , a", "digest;d-ver=\"" HEX32 "\", a");
}

static void bad_syntax_is_refused_where_it_stands(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
	} rows[] = {
		{"", 0},
		{"  ", 2},
		{",", 0},
		{"a,", 2},
		{"a, ", 3},
		{"a,,b", 2},
		{",a", 0},
		{"a, ,b", 3},
		{";a", 0},
		{"a;", 2},
		{"a;;b", 2},
		{"a;,b", 2},
		{"a;=1", 2},
		{"a;b=", 4},
		{"a;b=;c", 4},
		{"a;b=,c", 4},
		{"a=1", 1},
		{"a b", 2},
		{"a;b c", 4},
		{"a;b=1 2", 6},
		{"a;b=1=2", 5},
		{"a;b=\"x\"y", 7},
		{"a;b=\"x\"\"y\"", 7},
		{"\"a\"", 0},
		{"a;\"b\"=1", 2},
		{"a;b=x@y", 5},
		{"a;b=(x)", 4},
		{"a:b", 1},
		{"a;b=1\r\n", 5},
		{"a;b=1\r\nc", 5},
		{"a\r", 1},
		{"a;b\xC3\xA9", 3},
		{"a;b=\xC3\xA9", 4},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_refused(rows[i].text, -EINVAL, rows[i].offset);
}

static void an_empty_list_is_refused(void **state)
{
	struct sec_header header;
	struct sec_error error = {.line = 9};

	(void)state;
	assert_int_equal(sec_header_parse(NULL, 0, &header, &error), -EINVAL);
	assert_int_equal(error.line, 0);
	assert_string_equal(error.why, "the list is empty");
}

static void an_empty_line_among_others_is_refused(void **state)
{
	const struct span lines[] = {span_of("a"), {NULL, 0}, span_of("b")};
	struct sec_header header;
	struct sec_error error;

	(void)state;
	assert_int_equal(sec_header_parse(lines, 3, &header, &error), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.offset, 0);
}

static void a_refusal_leaves_the_result_alone_and_needs_no_error(void **state)
{
	struct sec_header header, before;

	(void)state;
	memset(&header, 0xA5, sizeof(header));
	memcpy(&before, &header, sizeof(header));
	assert_int_equal(parse("a;b=1;b=2", &header, NULL), -EINVAL);
	assert_int_equal(parse("a;;", &header, NULL), -EINVAL);
	assert_int_equal(sec_header_parse(NULL, 65, &header, NULL), -E2BIG);
	assert_memory_equal(&header, &before, sizeof(header));
}

static void an_error_sentence_that_is_too_long_is_cut(void **state)
{
	struct sec_error error;

	(void)state;
	assert_int_equal(sec_error_set(&error, 1, 2, "%0200d", 7), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.offset, 2);
	assert_int_equal(strlen(error.why), sizeof(error.why) - 1);
}

/* ---- limits ---- */

static char *repeat(const char *first, const char *each, size_t count)
{
	size_t each_bytes = strlen(each);
	char *text = __real_malloc(strlen(first) + count * each_bytes + 1);
	char *p = text;

	assert_non_null(text);
	p = stpcpy(p, first);
	while (count--)
		p = stpcpy(p, each);
	return text;
}

static void limit(const char *first, const char *each, size_t good, size_t offset)
{
	char *text = repeat(first, each, good);
	struct sec_header header;

	parse_good(text, &header);
	sec_header_done(&header);
	free(text);
	text = repeat(first, each, good + 1);
	assert_refused(text, -E2BIG, offset);
	free(text);
}

static void words_have_a_limit(void **state)
{
	(void)state;
	limit("", "m", SEC_MAX_WORD_BYTES, 0);
	limit("a;", "p", SEC_MAX_WORD_BYTES, 2);
	limit("a;b=", "v", SEC_MAX_WORD_BYTES, 4);
}

static void quoted_values_have_the_same_limit(void **state)
{
	char text[SEC_MAX_WORD_BYTES + 10] = "a;b=\"";
	struct sec_header header;

	(void)state;
	memset(text + 5, 'x', SEC_MAX_WORD_BYTES - 2);
	text[3 + SEC_MAX_WORD_BYTES] = '"';
	parse_good(text, &header);
	assert_int_equal(header.mechanisms[0].params[0].value.n, SEC_MAX_WORD_BYTES);
	sec_header_done(&header);
	text[3 + SEC_MAX_WORD_BYTES] = 'x';
	text[4 + SEC_MAX_WORD_BYTES] = '"';
	assert_refused(text, -E2BIG, 4);
}

static void mechanisms_have_a_limit(void **state)
{
	(void)state;
	limit("a", ",a", SEC_MAX_MECHANISMS - 1, 2 * SEC_MAX_MECHANISMS);
}

static char *with_params(size_t count)
{
	char *text = __real_malloc(8 * count + 2);
	char *p = text;

	assert_non_null(text);
	p = stpcpy(p, "a");
	for (size_t i = 0; i < count; i++)
		p += sprintf(p, ";p%02zu", i);
	return text;
}

static void parameters_have_a_limit(void **state)
{
	char *text = with_params(SEC_MAX_PARAMS);
	struct sec_header header;

	(void)state;
	parse_good(text, &header);
	assert_int_equal(header.mechanisms[0].param_count, SEC_MAX_PARAMS);
	sec_header_done(&header);
	free(text);
	text = with_params(SEC_MAX_PARAMS + 1);
	assert_refused(text, -E2BIG, 2 + 4 * SEC_MAX_PARAMS);
	free(text);
}

static void lines_have_a_limit(void **state)
{
	struct span lines[SEC_MAX_LINES + 1];
	struct sec_header header;
	struct sec_error error;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		lines[i] = span_of("a");
	assert_int_equal(parse_lines(lines, SEC_MAX_LINES, &header, &error), 0);
	assert_int_equal(header.mechanism_count, SEC_MAX_LINES);
	sec_header_done(&header);
	assert_int_equal(parse_lines(lines, SEC_MAX_LINES + 1, &header, &error), -E2BIG);
	assert_int_equal(error.line, SEC_MAX_LINES);
}

static void all_lines_together_have_a_limit(void **state)
{
	char *text = repeat("a", " ", SEC_MAX_BYTES - 3);
	struct span lines[] = {span_of(text), span_of("b"), span_of("c")};
	struct sec_header header;
	struct sec_error error;

	(void)state;
	assert_int_equal(parse_lines(lines, 3, &header, &error), 0);
	sec_header_done(&header);
	lines[2] = span_of("cc");
	assert_int_equal(parse_lines(lines, 3, &header, &error), -E2BIG);
	assert_int_equal(error.line, 2);
	assert_int_equal(error.offset, 1);
	lines[0].n = SIZE_MAX; /* must not wrap round; the bytes are not looked at */
	assert_int_equal(sec_header_parse(lines, 3, &header, &error), -E2BIG);
	assert_int_equal(error.line, 0);
	free(text);
}

static void a_header_may_use_all_limits_at_once(void **state)
{
	char *params = with_params(SEC_MAX_PARAMS);
	char *more = repeat(",", params, 1);
	char *text = repeat(params, more, SEC_MAX_MECHANISMS - 1);
	struct sec_header header;

	(void)state;
	parse_good(text, &header);
	assert_int_equal(header.mechanism_count, SEC_MAX_MECHANISMS);
	assert_span(header.mechanisms[63].params[31].name, "p31");
	sec_header_done(&header);
	free(text);
	free(more);
	free(params);
}

/* ---- memory ---- */

static void parsing_makes_three_allocations_and_survives_each_failing(void **state)
{
	const struct span line = span_of("a;b=1, c;d=\";;;,,,\"");
	struct sec_header header;
	struct sec_error error;

	(void)state;
	allocations = 0;
	assert_int_equal(sec_header_parse(&line, 1, &header, &error), 0);
	assert_int_equal(allocations, 3);
	sec_header_done(&header);
	for (size_t i = 1; i <= 3; i++) {
		allocations = 0;
		fail_at_allocation = i;
		assert_int_equal(sec_header_parse(&line, 1, &header, &error), -ENOMEM);
		fail_at_allocation = 0;
	}
}

static void the_list_does_not_need_the_callers_text(void **state)
{
	char text[] = "abc;def=\"ghi\"";
	const struct span line = span_of(text);
	struct sec_header header;

	(void)state;
	assert_int_equal(sec_header_parse(&line, 1, &header, NULL), 0);
	memset(text, 'x', sizeof(text) - 1);
	assert_span(header.mechanisms[0].name, "abc");
	assert_span(header.mechanisms[0].params[0].value, "\"ghi\"");
	sec_header_done(&header);
}

static void a_list_can_be_done_twice(void **state)
{
	struct sec_header header;

	(void)state;
	parse_good("a", &header);
	sec_header_done(&header);
	sec_header_done(&header);
	assert_int_equal(header.mechanism_count, 0);
}

static void writing_needs_room_for_the_text_and_its_end(void **state)
{
	struct sec_header header;
	char out[16];

	(void)state;
	parse_good("abc;d=1, e", &header);
	assert_int_equal(sec_header_write(&header, out, 11), 10);
	assert_string_equal(out, "abc;d=1, e");
	for (size_t cap = 1; cap < 11; cap++) {
		memset(out, 'x', sizeof(out));
		assert_int_equal(sec_header_write(&header, out, cap), -ENOSPC);
		assert_string_equal(out, "");
		assert_int_equal(out[cap], 'x');
	}
	assert_int_equal(sec_header_write(&header, NULL, 0), -ENOSPC);
	sec_header_done(&header);
}

/* ---- generated headers ---- */

/* Builds a header and, beside it, what its canonical form must be. */
struct generator {
	uint64_t random;
	char noisy[8192], canonical[8192];
	size_t noisy_bytes, canonical_bytes;
	size_t line_starts[8];
	size_t line_count;
};

/* The generator of SplittableRandom: any seed, 0 too, is a good one. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15u;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

static size_t below(struct generator *g, size_t n)
{
	return (size_t)(next_random(&g->random) % n);
}

static void put(char *buf, size_t *n, const char *s)
{
	size_t bytes = strlen(s);

	assert_true(*n + bytes < 8192);
	memcpy(buf + *n, s, bytes + 1);
	*n += bytes;
}

static void put_noisy(struct generator *g, const char *s)
{
	put(g->noisy, &g->noisy_bytes, s);
}

static void put_canonical(struct generator *g, const char *s)
{
	put(g->canonical, &g->canonical_bytes, s);
}

static void put_both(struct generator *g, const char *s)
{
	put_noisy(g, s);
	put_canonical(g, s);
}

static void put_folding(struct generator *g, const char *s)
{
	put_noisy(g, s);
	for (; *s; s++)
		put_canonical(g, (char[]){text_lower(*s), '\0'});
}

static void gen_sws(struct generator *g)
{
	static const char *const kinds[] = {"",     "",     "",   "",       " ",
					    "\t",   "   ",  " \t", "\r\n ", " \r\n\t ",
					    "\n  ", "\r\n \r\n "};

	put_noisy(g, kinds[below(g, COUNT_OF(kinds))]);
}

static void gen_separator(struct generator *g, const char *s)
{
	gen_sws(g);
	put_noisy(g, s);
	gen_sws(g);
}

static void gen_token_tail(struct generator *g, size_t max)
{
	static const char chars[] = "abcxyzABCXYZ0189-.!%*_+`'~";

	for (size_t n = below(g, max + 1); n; n--)
		put_folding(g, (char[]){chars[below(g, sizeof(chars) - 1)], '\0'});
}

static void gen_quoted(struct generator *g)
{
	static const char *const units[] = {
		"a",   "Z",   "0",      ",",          ";",              "=",  " ",  "\t", "'",
		"\\\"", "\\\\", "\\,",  "\\\x01",     "\\\x7f",         "[",  "]",  "~",  "!",
		"\xC3\xA9",   "\xE2\x82\xAC", "\xF0\x9D\x84\x9E", "\\ ", "://", "<>", "@",
	};

	put_both(g, "\"");
	for (size_t n = below(g, 12); n; n--) {
		if (below(g, 10) == 0) {
			put_noisy(g, below(g, 2) ? "\r\n " : "\n \t");
			put_canonical(g, " ");
			put_both(g, "x"); /* a space here would belong to the fold */
		} else {
			put_both(g, units[below(g, COUNT_OF(units))]);
		}
	}
	put_both(g, "\"");
}

static void gen_value(struct generator *g)
{
	static const char *const hosts[] = {"[::1]", "[2001:DB8::A]", "192.0.2.7", "A.Example",
					    "[::FFFF:192.0.2.1]"};

	switch (below(g, 4)) {
	case 0:
		gen_quoted(g);
		break;
	case 1:
		put_folding(g, hosts[below(g, COUNT_OF(hosts))]);
		break;
	default:
		put_folding(g, below(g, 2) ? "v" : "0");
		gen_token_tail(g, 10);
		break;
	}
}

static void gen_equal(struct generator *g)
{
	gen_separator(g, "=");
	put_canonical(g, "=");
}

/* One of the parameters with a grammar of their own; @index makes q different in each mechanism. */
static void gen_special(struct generator *g, size_t index)
{
	char q[32];

	if (below(g, 2)) {
		put_folding(g, below(g, 2) ? "Q" : "q");
		gen_equal(g);
		snprintf(q, sizeof(q), "0.%zu%.*s", 9 - index, (int)below(g, 3), "00");
		put_both(g, q);
	} else {
		put_folding(g, "D-ver");
		gen_equal(g);
		put_both(g, "\"" HEX32 "\"");
	}
}

static void gen_mechanism(struct generator *g, size_t index)
{
	bool special = below(g, 3) == 0;

	put_folding(g, below(g, 2) ? "IPsec-3gpp" : "m");
	gen_token_tail(g, 6);
	for (size_t i = 0, n = below(g, 7); i < n; i++) {
		char name[32];

		gen_separator(g, ";");
		put_canonical(g, ";");
		if (special && i == n / 2) {
			gen_special(g, index);
			continue;
		}
		snprintf(name, sizeof(name), "P%zu-", i); /* so that no name is there twice */
		put_folding(g, name);
		gen_token_tail(g, 6);
		if (below(g, 5)) {
			gen_equal(g);
			gen_value(g);
		}
	}
}

static void generate(struct generator *g, uint64_t seed)
{
	memset(g, 0, sizeof(*g));
	g->random = seed;
	g->line_count = 1;
	gen_sws(g);
	for (size_t i = 0, n = 1 + below(g, 8); i < n; i++) {
		if (i && below(g, 4) == 0) {
			gen_sws(g);
			put_canonical(g, ", ");
			g->line_starts[g->line_count++] = g->noisy_bytes;
			gen_sws(g);
		} else if (i) {
			gen_separator(g, ",");
			put_canonical(g, ", ");
		}
		gen_mechanism(g, i);
	}
	gen_sws(g);
}

static void lines_of(const struct generator *g, struct span *ret)
{
	for (size_t i = 0; i < g->line_count; i++) {
		size_t end = i + 1 < g->line_count ? g->line_starts[i + 1] : g->noisy_bytes;

		ret[i] = (struct span){g->noisy + g->line_starts[i], end - g->line_starts[i]};
	}
}

static uint64_t seed_base(void)
{
	const char *s = getenv("SEED");

	return s ? strtoull(s, NULL, 10) : 1;
}

static void assert_canonical(const struct span *lines, size_t line_count, const char *canonical,
			     uint64_t seed)
{
	struct sec_header header;
	struct sec_error error;
	char out[8192];
	int r = parse_lines(lines, line_count, &header, &error);

	if (r)
		fail_msg("SEED=%ju: %d at line %zu, offset %zu: %s\nin: %s", (uintmax_t)seed, r,
			 error.line, error.offset, error.why, lines[0].p);
	assert_true(sec_header_write(&header, out, sizeof(out)) > 0);
	sec_header_done(&header);
	if (strcmp(out, canonical))
		fail_msg("SEED=%ju\ngot:      %s\nexpected: %s", (uintmax_t)seed, out, canonical);
}

static void what_is_written_is_canonical_and_parses_back_to_itself(void **state)
{
	struct generator g;

	(void)state;
	for (uint64_t seed = seed_base(), end = seed + 4000; seed < end; seed++) {
		struct span lines[COUNT_OF(g.line_starts)], canonical;

		generate(&g, seed);
		lines_of(&g, lines);
		assert_canonical(lines, g.line_count, g.canonical, seed);
		canonical = span_of(g.canonical);
		assert_canonical(&canonical, 1, g.canonical, seed);
	}
}

/* ---- damaged headers ---- */

struct damaged {
	char bytes[8192];
	size_t n;
};

static void damage_once(struct generator *g, struct damaged *d)
{
	size_t at = below(g, d->n + 1);

	switch (below(g, 5)) {
	case 0:
		if (at < d->n)
			d->bytes[at] = (char)(d->bytes[at] ^ (1 << below(g, 8)));
		break;
	case 1:
		if (at < d->n)
			d->bytes[at] = (char)below(g, 256);
		break;
	case 2:
		d->n = at;
		break;
	case 3:
		if (at < d->n)
			memmove(d->bytes + at, d->bytes + at + 1, --d->n - at);
		break;
	case 4:
		if (d->n == sizeof(d->bytes))
			break;
		memmove(d->bytes + at + 1, d->bytes + at, d->n++ - at);
		d->bytes[at] = ",;=\"\\[]\r\n \t\0q0."[below(g, 15)];
		break;
	}
}

/* What has been accepted must come out on one line and survive the way round. */
static void assert_round_trip(const struct sec_header *header, uint64_t seed)
{
	static char out[OUT_BYTES], again[OUT_BYTES];
	struct sec_header second;
	struct span line;
	int n = sec_header_write(header, out, sizeof(out));

	if (n <= 0 || strlen(out) != (size_t)n || strpbrk(out, "\r\n"))
		fail_msg("SEED=%ju: written as %d bytes: %s", (uintmax_t)seed, n, out);
	line = (struct span){out, (size_t)n};
	if (parse_lines(&line, 1, &second, NULL))
		fail_msg("SEED=%ju: does not parse back: %s", (uintmax_t)seed, out);
	assert_int_equal(sec_header_write(&second, again, sizeof(again)), n);
	sec_header_done(&second);
	assert_string_equal(out, again);
}

static void assert_survives(const struct span *lines, size_t count, uint64_t seed)
{
	struct sec_error error = {.line = 99};
	struct sec_header header, before;
	int r;

	memset(&header, 0xA5, sizeof(header));
	memcpy(&before, &header, sizeof(header));
	r = parse_lines(lines, count, &header, &error);
	if (r == 0) {
		assert_round_trip(&header, seed);
		sec_header_done(&header);
		return;
	}
	assert_memory_equal(&header, &before, sizeof(header));
	if ((r != -EINVAL && r != -E2BIG) || error.line >= count ||
	    error.offset > lines[error.line].n || !error.why[0])
		fail_msg("SEED=%ju: %d at line %zu, offset %zu: %s", (uintmax_t)seed, r,
			 error.line, error.offset, error.why);
}

static void damaged_headers_are_parsed_or_refused_and_nothing_else(void **state)
{
	struct generator g;
	struct damaged d;

	(void)state;
	for (uint64_t seed = seed_base(), end = seed + 20000; seed < end; seed++) {
		struct span lines[2];
		size_t split;

		generate(&g, seed);
		memcpy(d.bytes, g.noisy, g.noisy_bytes);
		d.n = g.noisy_bytes;
		for (size_t n = 1 + below(&g, 4); n; n--)
			damage_once(&g, &d);
		split = below(&g, 3) ? d.n : below(&g, d.n + 1);
		lines[0] = (struct span){d.bytes, split};
		lines[1] = (struct span){d.bytes + split, d.n - split};
		assert_survives(lines, split < d.n ? 2 : 1, seed);
	}
}

static void every_truncation_of_a_header_is_parsed_or_refused(void **state)
{
	const char *text = "ipsec-3gpp;q=0.5;a=\"x\\\"\xE2\x82\xAC\r\n y\";b=[2001:db8::1];c , "
			   "digest;d-ver=\"" HEX32 "\";d-alg=MD5\r\n ,tls";

	(void)state;
	for (size_t n = 0; n <= strlen(text); n++) {
		const struct span line = {text, n};

		assert_survives(&line, 1, n);
	}
}

static void random_bytes_are_refused(void **state)
{
	struct generator g = {.random = seed_base()};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint64_t seed = g.random;
		char bytes[200];
		struct span line = {bytes, below(&g, sizeof(bytes))};

		for (size_t k = 0; k < line.n; k++)
			bytes[k] = (char)below(&g, 256);
		assert_survives(&line, 1, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A1_names_and_tokens_are_without_case),
		cmocka_unit_test(A1_quoted_strings_keep_their_case),
		cmocka_unit_test(A2_several_lines_are_one_list),
		cmocka_unit_test(A3_equal_q_is_refused_whatever_its_spelling),
		cmocka_unit_test(A3_equal_q_on_two_lines_is_refused_there),
		cmocka_unit_test(A3_absent_q_is_no_duplicate),
		cmocka_unit_test(A4_q_has_no_default),
		cmocka_unit_test(A6_duplicate_parameter_is_refused),
		cmocka_unit_test(A7_unknown_mechanisms_and_parameters_are_kept),
		cmocka_unit_test(A9_there_are_no_compact_forms),
		cmocka_unit_test(B18_digest_integrity_is_an_unknown_mechanism),
		cmocka_unit_test(parameter_names_are_exact_never_prefixes),
		cmocka_unit_test(q_is_a_qvalue),
		cmocka_unit_test(what_is_not_a_qvalue_is_refused_where_it_stands),
		cmocka_unit_test(d_ver_is_32_lower_case_hex_digits_in_quotes),
		cmocka_unit_test(d_alg_and_d_qop_are_tokens),
		cmocka_unit_test(values_may_be_tokens_hosts_and_quoted_strings),
		cmocka_unit_test(a_bad_ipv6_reference_is_refused),
		cmocka_unit_test(a_NUL_inside_an_ipv6_reference_is_refused),
		cmocka_unit_test(quoted_strings_hold_escapes_separators_and_utf8),
		cmocka_unit_test(a_byte_outside_the_grammar_is_refused_where_it_stands),
		cmocka_unit_test(a_NUL_in_a_quoted_string_is_refused),
		cmocka_unit_test(an_open_quoted_string_is_refused_at_its_start),
		cmocka_unit_test(a_quoted_string_does_not_go_on_in_the_next_line),
		cmocka_unit_test(a_fold_in_a_quoted_string_is_one_space),
		cmocka_unit_test(unquoting_gives_the_text_that_is_meant),
		cmocka_unit_test(white_space_and_folds_are_free_around_separators),
		cmocka_unit_test(bad_syntax_is_refused_where_it_stands),
		cmocka_unit_test(an_empty_list_is_refused),
		cmocka_unit_test(an_empty_line_among_others_is_refused),
		cmocka_unit_test(a_refusal_leaves_the_result_alone_and_needs_no_error),
		cmocka_unit_test(an_error_sentence_that_is_too_long_is_cut),
		cmocka_unit_test(words_have_a_limit),
		cmocka_unit_test(quoted_values_have_the_same_limit),
		cmocka_unit_test(mechanisms_have_a_limit),
		cmocka_unit_test(parameters_have_a_limit),
		cmocka_unit_test(lines_have_a_limit),
		cmocka_unit_test(all_lines_together_have_a_limit),
		cmocka_unit_test(a_header_may_use_all_limits_at_once),
		cmocka_unit_test(parsing_makes_three_allocations_and_survives_each_failing),
		cmocka_unit_test(the_list_does_not_need_the_callers_text),
		cmocka_unit_test(a_list_can_be_done_twice),
		cmocka_unit_test(writing_needs_room_for_the_text_and_its_end),
		cmocka_unit_test(what_is_written_is_canonical_and_parses_back_to_itself),
		cmocka_unit_test(damaged_headers_are_parsed_or_refused_and_nothing_else),
		cmocka_unit_test(every_truncation_of_a_header_is_parsed_or_refused),
		cmocka_unit_test(random_bytes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
