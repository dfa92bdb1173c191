/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/sec_build.c: what the setters take and refuse, then generated lists: whatever was built is
 * written, parsed again, and is the same.
 *
 * SEED=n in the environment starts the generator elsewhere; a failure prints the seed that repeats
 * it. malloc is wrapped to fail on request.
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

#include "proto/compare.h"
#include "proto/sec_build.h"
#include "tests/unit/no_memory.h"

#define HEX32       "0123456789abcdef0123456789abcdef"
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define SPAN(s)     ((struct span){s, sizeof(s) - 1})
#define OUT_BYTES   (SEC_MAX_BYTES + 1)

static struct sec_build begun(const char *mechanism)
{
	struct sec_build b;

	assert_int_equal(sec_build_init(&b, NULL), 0);
	if (mechanism)
		assert_int_equal(sec_build_mechanism(&b, span_of(mechanism)), 0);
	return b;
}

static void built(struct sec_build *b, const char *expected)
{
	struct sec_header header;
	char out[1000];

	assert_int_equal(sec_build_finish(b, &header), 0);
	sec_build_done(b);
	assert_int_equal(sec_header_write(&header, out, sizeof(out)), strlen(expected));
	assert_string_equal(out, expected);
	sec_header_done(&header);
}

/* ---- what can be built ---- */

static void A7_every_kind_of_parameter_can_be_built(void **state)
{
	struct sec_build b = begun("IPsec-3GPP");
	struct sec_header header;

	(void)state;
	assert_int_equal(sec_build_q(&b, 500), 0);
	assert_int_equal(sec_build_token(&b, SPAN("Alg"), SPAN("HMAC-SHA-1-96")), 0);
	assert_int_equal(sec_build_token(&b, SPAN("host"), SPAN("[2001:db8::1]")), 0);
	assert_int_equal(sec_build_flag(&b, SPAN("Flag")), 0);
	assert_int_equal(sec_build_mechanism(&b, SPAN("foo")), 0);
	assert_int_equal(sec_build_quoted(&b, SPAN("a"), SPAN("X \"y\", \\z;\t\xC3\xA9")), 0);
	assert_int_equal(sec_build_quoted(&b, SPAN("b"), SPAN("")), 0);
	assert_int_equal(sec_build_finish(&b, &header), 0);
	assert_true(span_equal(header.mechanisms[0].name, SPAN("ipsec-3gpp")));
	assert_true(span_equal(header.mechanisms[0].params[1].name, SPAN("alg")));
	assert_true(span_equal(header.mechanisms[0].params[1].value, SPAN("hmac-sha-1-96")));
	sec_header_done(&header);
	built(&b, "ipsec-3gpp;q=0.5;alg=hmac-sha-1-96;host=[2001:db8::1];flag, "
		  "foo;a=\"X \\\"y\\\", \\\\z;\t\xC3\xA9\";b=\"\"");
}

static void B15_d_alg_d_qop_and_d_ver_keep_their_grammar(void **state)
{
	struct sec_build b = begun("digest");

	(void)state;
	assert_int_equal(sec_build_token(&b, SPAN("d-alg"), SPAN("MD5")), 0);
	assert_int_equal(sec_build_quoted(&b, SPAN("d-qop"), SPAN("auth")), -EINVAL);
	assert_int_equal(sec_build_token(&b, SPAN("d-qop"), SPAN("auth")), 0);
	assert_int_equal(sec_build_token(&b, SPAN("d-ver"), SPAN(HEX32)), -EINVAL);
	assert_int_equal(sec_build_quoted(&b, SPAN("d-ver"), SPAN("ABC")), -EINVAL);
	assert_int_equal(sec_build_quoted(&b, SPAN("d-ver"), SPAN(HEX32)), 0);
	built(&b, "digest;d-alg=md5;d-qop=auth;d-ver=\"" HEX32 "\"");
}

static void a_q_has_at_most_three_decimals(void **state)
{
	static const struct {
		int milli;
		const char *text;
	} rows[] = {{0, "0"}, {1, "0.001"}, {10, "0.01"}, {100, "0.1"}, {250, "0.25"},
		    {999, "0.999"}, {1000, "1"}};
	char text[SEC_Q_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		sec_build_q_text(rows[i].milli, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void every_q_from_0_to_1_is_read_back(void **state)
{
	(void)state;
	for (int q = 0; q <= 1000; q++) {
		struct sec_build b = begun("m");
		struct sec_header header;

		assert_int_equal(sec_build_q(&b, q), 0);
		assert_int_equal(sec_build_finish(&b, &header), 0);
		assert_int_equal(header.mechanisms[0].q_milli, q);
		sec_header_done(&header);
		sec_build_done(&b);
	}
}

static void A1_look_up_is_without_case(void **state)
{
	struct sec_build b = begun("tls");
	struct sec_header header;

	(void)state;
	assert_int_equal(sec_build_flag(&b, SPAN("mediasec")), 0);
	assert_int_equal(sec_build_mechanism(&b, SPAN("foo")), 0);
	assert_int_equal(sec_build_mechanism(&b, SPAN("TLS")), 0);
	assert_int_equal(sec_build_finish(&b, &header), 0);
	sec_build_done(&b);
	assert_int_equal(sec_build_find(&header, SPAN("TLs"), 0), 0);
	assert_int_equal(sec_build_find(&header, SPAN("TLs"), 1), 2);
	assert_int_equal(sec_build_find(&header, SPAN("tl"), 0), 3);
	assert_int_equal(sec_build_find(&header, SPAN("tls"), 99), 3);
	assert_non_null(sec_mechanism_param(&header.mechanisms[0], "mediasec"));
	sec_header_done(&header);
}

/* ---- what cannot ---- */

static void what_is_no_token_is_refused(void **state)
{
	static const char *const names[] = {"", "a b", " a", "a;b", "a,b", "a=b", "\"a\"", "a\n",
					    "[::1]", "\xC3\xA9", "a/b", "a:b"};
	struct sec_build b = begun("m");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_int_equal(sec_build_mechanism(&b, span_of(names[i])), -EINVAL);
		assert_int_equal(sec_build_flag(&b, span_of(names[i])), -EINVAL);
		assert_int_equal(sec_build_token(&b, span_of(names[i]), SPAN("x")), -EINVAL);
		if (strcmp(names[i], "[::1]"))
			assert_int_equal(sec_build_token(&b, SPAN("x"), span_of(names[i])),
					 -EINVAL);
	}
	assert_int_equal(sec_build_token(&b, SPAN("x"), SPAN("a\0b")), -EINVAL);
	assert_int_equal(sec_build_token(&b, SPAN("x"), SPAN("[::1")), -EINVAL);
	assert_int_equal(sec_build_token(&b, SPAN("x"), SPAN("[::g]")), -EINVAL);
	assert_int_equal(sec_build_token(&b, SPAN("x"), SPAN("a ")), -EINVAL);
	built(&b, "m");
}

static void what_a_quoted_string_cannot_hold_is_refused(void **state)
{
	static const struct span texts[] = {SPAN("a\nb"), SPAN("a\r\n b"), SPAN("\0"), SPAN("\x7F"),
					    SPAN("\x01"), SPAN("\xC3"), SPAN("\xFF\xFE")};
	struct sec_build b = begun("m");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_int_equal(sec_build_quoted(&b, SPAN("x"), texts[i]), -EINVAL);
	built(&b, "m");
}

static void a_q_outside_its_range_is_refused(void **state)
{
	struct sec_build b = begun("m");

	(void)state;
	assert_int_equal(sec_build_q(&b, -1), -EINVAL);
	assert_int_equal(sec_build_q(&b, 1001), -EINVAL);
	assert_int_equal(sec_build_token(&b, SPAN("q"), SPAN("0.1234")), -EINVAL);
	assert_int_equal(sec_build_token(&b, SPAN("Q"), SPAN("2")), -EINVAL);
	assert_int_equal(sec_build_quoted(&b, SPAN("q"), SPAN("0.1")), -EINVAL);
	assert_int_equal(sec_build_flag(&b, SPAN("q")), -EINVAL);
	built(&b, "m");
}

static void A3_equal_q_is_refused_whatever_its_spelling(void **state)
{
	struct sec_build b = begun("tls");

	(void)state;
	assert_int_equal(sec_build_q(&b, 200), 0);
	assert_int_equal(sec_build_mechanism(&b, SPAN("digest")), 0);
	assert_int_equal(sec_build_q(&b, 200), -EEXIST);
	assert_int_equal(sec_build_token(&b, SPAN("q"), SPAN("0.20")), -EEXIST);
	assert_int_equal(sec_build_q(&b, 201), 0);
	built(&b, "tls;q=0.2, digest;q=0.201");
}

static void A6_a_parameter_twice_is_refused(void **state)
{
	struct sec_build b = begun("m");

	(void)state;
	assert_int_equal(sec_build_token(&b, SPAN("alg"), SPAN("x")), 0);
	assert_int_equal(sec_build_token(&b, SPAN("ALG"), SPAN("y")), -EEXIST);
	assert_int_equal(sec_build_flag(&b, SPAN("Alg")), -EEXIST);
	assert_int_equal(sec_build_q(&b, 1), 0);
	assert_int_equal(sec_build_q(&b, 2), -EEXIST);
	assert_int_equal(sec_build_mechanism(&b, SPAN("n")), 0);
	assert_int_equal(sec_build_token(&b, SPAN("alg"), SPAN("y")), 0);
	built(&b, "m;alg=x;q=0.001, n;alg=y");
}

static void an_empty_list_is_refused(void **state)
{
	struct sec_build b = begun(NULL);
	struct sec_header header;

	(void)state;
	assert_int_equal(sec_build_flag(&b, SPAN("x")), -EINVAL);
	assert_int_equal(sec_build_q(&b, 1), -EINVAL);
	assert_int_equal(sec_build_finish(&b, &header), -EINVAL);
	sec_build_done(&b);
	sec_build_done(&b);
}

/* ---- limits ---- */

static void words_have_a_limit(void **state)
{
	struct sec_build b = begun("m");
	char word[SEC_MAX_WORD_BYTES + 1];
	struct span fits = {word, SEC_MAX_WORD_BYTES}, not = {word, SEC_MAX_WORD_BYTES + 1};
	struct sec_header header;

	(void)state;
	memset(word, 'a', sizeof(word));
	assert_int_equal(sec_build_mechanism(&b, not), -E2BIG);
	assert_int_equal(sec_build_flag(&b, not), -E2BIG);
	assert_int_equal(sec_build_token(&b, SPAN("x"), not), -E2BIG);
	/* two bytes are the quotes */
	assert_int_equal(sec_build_quoted(&b, SPAN("x"), (struct span){word, 255}), -E2BIG);
	assert_int_equal(sec_build_quoted(&b, SPAN("x"), (struct span){word, 254}), 0);
	assert_int_equal(sec_build_mechanism(&b, fits), 0);
	assert_int_equal(sec_build_token(&b, fits, fits), 0);
	assert_int_equal(sec_build_finish(&b, &header), 0);
	sec_header_done(&header);
	sec_build_done(&b);
}

static void mechanisms_and_parameters_have_limits(void **state)
{
	struct sec_build b = begun(NULL);
	struct sec_header header;
	char name[10];

	(void)state;
	for (size_t i = 0; i < SEC_MAX_MECHANISMS; i++)
		assert_int_equal(sec_build_mechanism(&b, SPAN("m")), 0);
	assert_int_equal(sec_build_mechanism(&b, SPAN("m")), -E2BIG);
	for (size_t i = 0; i < SEC_MAX_PARAMS; i++) {
		snprintf(name, sizeof(name), "p%zu", i);
		assert_int_equal(sec_build_flag(&b, span_of(name)), 0);
	}
	assert_int_equal(sec_build_flag(&b, SPAN("p")), -E2BIG);
	assert_int_equal(sec_build_finish(&b, &header), 0);
	assert_int_equal(header.mechanism_count, SEC_MAX_MECHANISMS);
	sec_header_done(&header);
	sec_build_done(&b);
}

/* Filled to the brim, then byte by byte. */
static void the_whole_list_has_a_limit(void **state)
{
	struct sec_build b = begun(NULL);
	struct sec_header header;
	char word[SEC_MAX_WORD_BYTES];
	char name[10];
	size_t n = 0;

	(void)state;
	memset(word, 'a', sizeof(word));
	for (size_t i = 0; n == 0; i++) {
		if (i % SEC_MAX_PARAMS == 0)
			assert_int_equal(sec_build_mechanism(&b, SPAN("m")), 0);
		snprintf(name, sizeof(name), "p%zu", i);
		if (sec_build_token(&b, span_of(name), (struct span){word, sizeof(word)}))
			n = i;
	}
	for (size_t i = sizeof(word); i > 0; i--) {
		int r = sec_build_token(&b, SPAN("z"), (struct span){word, i});

		assert_true(r == 0 || r == -E2BIG);
		if (r == 0)
			break;
	}
	assert_int_equal(sec_build_finish(&b, &header), 0);
	sec_header_done(&header);
	sec_build_done(&b);
}

static void a_caller_may_have_tighter_limits_but_no_looser_ones(void **state)
{
	const struct sec_limits tight = {
		.bytes = 12, .mechanisms = 2, .params = 1, .word_bytes = 4,
	};
	const struct sec_limits loose = {SIZE_MAX - 1, SIZE_MAX, SIZE_MAX, SIZE_MAX};
	struct sec_build b;

	(void)state;
	assert_int_equal(sec_build_init(&b, &loose), 0);
	assert_memory_equal(&b.limits, &sec_limits_max, sizeof(b.limits));
	sec_build_done(&b);
	assert_int_equal(sec_build_init(&b, &tight), 0);
	assert_int_equal(sec_build_mechanism(&b, SPAN("abcde")), -E2BIG);
	assert_int_equal(sec_build_mechanism(&b, SPAN("abcd")), 0);
	assert_int_equal(sec_build_token(&b, SPAN("e"), SPAN("fghij")), -E2BIG);
	assert_int_equal(sec_build_flag(&b, SPAN("e")), 0);
	assert_int_equal(sec_build_flag(&b, SPAN("f")), -E2BIG);
	assert_int_equal(sec_build_mechanism(&b, SPAN("nope")), 0);
	assert_int_equal(sec_build_flag(&b, SPAN("x")), -E2BIG);
	assert_int_equal(sec_build_mechanism(&b, SPAN("m")), -E2BIG);
	built(&b, "abcd;e, nope");
}

static void out_of_memory_is_an_answer(void **state)
{
	struct sec_build b = begun("m"), other;
	struct sec_header header;

	(void)state;
	no_memory = true;
	assert_int_equal(sec_build_init(&other, NULL), -ENOMEM);
	assert_int_equal(sec_build_token(&b, SPAN("x"), SPAN("y")), -ENOMEM);
	assert_int_equal(sec_build_finish(&b, &header), -ENOMEM);
	no_memory = false;
	built(&b, "m");
}

/* ---- generated lists ---- */

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 33) % n;
}

/* Any bytes, mostly harmless ones; now and then more than there may be. */
static struct span random_word(char *buf, size_t cap)
{
	static const char common[] = "abcXYZ0189-.!%*_+`'~";
	size_t n = random_below(random_below(20) ? 12 : (uint32_t)cap);
	bool wild = random_below(8) == 0;

	for (size_t i = 0; i < n; i++)
		buf[i] = wild ? (char)random_below(256) : common[random_below(sizeof(common) - 1)];
	return (struct span){buf, n};
}

static int random_step(struct sec_build *b)
{
	static const char *const names[] = {"q", "Q", "alg", "d-ver", "d-alg", "d-qop", "mediasec"};
	char name_buf[300], value_buf[300];
	struct span name = random_word(name_buf, sizeof(name_buf));
	struct span value = random_word(value_buf, sizeof(value_buf));

	if (random_below(3) == 0)
		name = span_of(names[random_below(COUNT_OF(names))]);
	switch (random_below(6)) {
	case 0:
		return sec_build_mechanism(b, name);
	case 1:
		return sec_build_flag(b, name);
	case 2:
		return sec_build_q(b, (int)random_below(1003) - 1);
	case 3:
		return sec_build_quoted(b, name, value);
	}
	return sec_build_token(b, name, value);
}

/* parse(write(x)) is x, and writing it again gives the same bytes. */
static void assert_round_trip(const struct sec_header *header, uint64_t seed)
{
	static char out[OUT_BYTES], again[OUT_BYTES];
	int n = sec_header_write(header, out, sizeof(out));
	struct span line = {out, (size_t)n};
	struct sec_header back;
	struct sec_error error;
	char why[200];

	if (n < 0)
		fail_msg("SEED=%llu: not written", (unsigned long long)seed);
	if (sec_header_parse(&line, 1, &back, &error))
		fail_msg("SEED=%llu: '%s': %s", (unsigned long long)seed, out, error.why);
	if (!compare_lists(header, &back, COMPARE_STRICT, why, sizeof(why)))
		fail_msg("SEED=%llu: '%s': %s", (unsigned long long)seed, out, why);
	assert_int_equal(sec_header_write(&back, again, sizeof(again)), n);
	assert_memory_equal(out, again, (size_t)n);
	for (size_t i = 0; i < header->mechanism_count; i++) {
		assert_int_equal(header->mechanisms[i].q_milli, back.mechanisms[i].q_milli);
		assert_int_equal(header->mechanisms[i].param_count,
				 back.mechanisms[i].param_count);
	}
	sec_header_done(&back);
}

/* One generated list; returns how many mechanisms it has. A setter that fails must change nothing
 * of the text, one that succeeds must make it longer. */
static size_t generate(uint64_t seed)
{
	struct sec_build b = begun(NULL);
	struct sec_header header;
	size_t steps, mechanisms = 0;

	random_state = seed;
	steps = random_below(4) ? random_below(40) : random_below(800);
	for (size_t i = 0; i < steps; i++) {
		size_t before = b.n;
		int r = random_step(&b);

		if ((r == 0) != (b.n > before) || strlen(b.text) != b.n)
			fail_msg("SEED=%llu: %d and %zu bytes, %zu before",
				 (unsigned long long)seed, r, b.n, before);
	}
	if (b.mechanism_count) {
		assert_int_equal(sec_build_finish(&b, &header), 0);
		mechanisms = header.mechanism_count;
		assert_int_equal(mechanisms, b.mechanism_count);
		assert_round_trip(&header, seed);
		sec_header_done(&header);
	}
	sec_build_done(&b);
	return mechanisms;
}

static void what_was_built_is_parsed_back_the_same(void **state)
{
	const char *seed = getenv("SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
	size_t largest = 0, lists = 0;

	(void)state;
	for (uint64_t i = first; i < first + 4000; i++) {
		size_t n = generate(i);

		lists += n > 0;
		largest = n > largest ? n : largest;
	}
	/* the generator still reaches the limit, and not only empty lists */
	assert_int_equal(largest, SEC_MAX_MECHANISMS);
	assert_true(lists > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A7_every_kind_of_parameter_can_be_built),
		cmocka_unit_test(B15_d_alg_d_qop_and_d_ver_keep_their_grammar),
		cmocka_unit_test(a_q_has_at_most_three_decimals),
		cmocka_unit_test(every_q_from_0_to_1_is_read_back),
		cmocka_unit_test(A1_look_up_is_without_case),
		cmocka_unit_test(what_is_no_token_is_refused),
		cmocka_unit_test(what_a_quoted_string_cannot_hold_is_refused),
		cmocka_unit_test(a_q_outside_its_range_is_refused),
		cmocka_unit_test(A3_equal_q_is_refused_whatever_its_spelling),
		cmocka_unit_test(A6_a_parameter_twice_is_refused),
		cmocka_unit_test(an_empty_list_is_refused),
		cmocka_unit_test(words_have_a_limit),
		cmocka_unit_test(mechanisms_and_parameters_have_limits),
		cmocka_unit_test(the_whole_list_has_a_limit),
		cmocka_unit_test(a_caller_may_have_tighter_limits_but_no_looser_ones),
		cmocka_unit_test(out_of_memory_is_an_answer),
		cmocka_unit_test(what_was_built_is_parsed_back_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
