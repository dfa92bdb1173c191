/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/compare.c: RFC 3329 2.3.1 rule by rule, the words about a difference, and that both modes
 * are equivalences.
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

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define HEX32       "0123456789abcdef0123456789abcdef"
#define OTHER_HEX32 "ffffffffffffffffffffffffffffffff"

/* ---- helpers ---- */

static struct sec_header parse(const char *text)
{
	const struct span line = span_of(text);
	struct sec_error error = {0};
	struct sec_header header;

	if (sec_header_parse(&line, 1, &header, &error))
		fail_msg("'%s' at %zu: %s", text, error.offset, error.why);
	return header;
}

static bool compare(const char *sent, const char *got, enum compare_mode mode, char *why,
		    size_t cap)
{
	struct sec_header a = parse(sent), b = parse(got);
	bool equal = compare_lists(&a, &b, mode, why, cap);

	sec_header_done(&a);
	sec_header_done(&b);
	return equal;
}

static void assert_equal_in(enum compare_mode mode, const char *sent, const char *got)
{
	char why[200] = "x";

	if (!compare(sent, got, mode, why, sizeof(why)) || why[0] ||
	    !compare(got, sent, mode, NULL, 0))
		fail_msg("'%s' and '%s': %s", sent, got, why);
}

static void assert_differs_in(enum compare_mode mode, const char *sent, const char *got,
			      const char *expected)
{
	char why[200];

	if (compare(sent, got, mode, why, sizeof(why)) || compare(got, sent, mode, NULL, 0))
		fail_msg("'%s' and '%s' are said to be equal", sent, got);
	assert_string_equal(why, expected);
}

static void assert_same(const char *sent, const char *got)
{
	assert_equal_in(COMPARE_STRICT, sent, got);
	assert_equal_in(COMPARE_LENIENT, sent, got);
}

static void assert_differs(const char *sent, const char *got, const char *expected)
{
	assert_differs_in(COMPARE_STRICT, sent, got, expected);
	assert_differs_in(COMPARE_LENIENT, sent, got, expected);
}

/* ---- what is not significant ---- */

static void A1_S2_case_of_names_and_tokens_is_not_significant(void **state)
{
	(void)state;
	assert_same("ipsec-3gpp;alg=hmac-sha-1-96", "IPsec-3GPP;ALG=HMAC-SHA-1-96");
	assert_differs("a;b=\"x\"", "a;b=\"X\"", "mechanism 1 (a): b is \"X\", was sent as \"x\"");
}

static void S3_order_of_parameters_and_white_space_are_not_significant(void **state)
{
	(void)state;
	assert_same("ipsec-3gpp;q=0.1;alg=x;mediasec,tls",
		    " ipsec-3gpp ;mediasec; alg = x\r\n ;q=0.1 , tls");
}

static void A2_S3_line_splitting_is_not_significant(void **state)
{
	const struct span lines[] = {span_of("tls;q=0.2"), span_of("digest")};
	struct sec_header one = parse("tls;q=0.2, digest"), two;

	(void)state;
	assert_int_equal(sec_header_parse(lines, 2, &two, NULL), 0);
	assert_true(compare_lists(&one, &two, COMPARE_STRICT, NULL, 0));
	sec_header_done(&one);
	sec_header_done(&two);
}

static void S4_q_SPIs_and_ports_compare_as_numbers(void **state)
{
	static const char *const names[] = {"spi-c", "spi-s", "port-c", "port-s", "spi", "port1",
					    "port2"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char a[50], b[50], c[50], why[100];

		snprintf(a, sizeof(a), "ipsec-3gpp;%s=0023", names[i]);
		snprintf(b, sizeof(b), "ipsec-3gpp;%s=23", names[i]);
		snprintf(c, sizeof(c), "ipsec-3gpp;%s=230", names[i]);
		snprintf(why, sizeof(why), "mechanism 1 (ipsec-3gpp): %s is 230, was sent as 0023",
			 names[i]);
		assert_same(a, b);
		assert_differs(a, c, why);
	}
	assert_same("tls;q=0.1", "tls;q=0.100");
	assert_same("tls;q=1", "tls;q=1.000");
	assert_same("tls;q=1.", "tls;q=1.0");
	assert_same("tls;q=0", "tls;q=0.");
	assert_same("tls;q=0", "tls;q=0.000");
	assert_differs("tls;q=0.1", "tls;q=0.01", "mechanism 1 (tls): q is 0.01, was sent as 0.1");
	assert_differs("tls;q=0", "tls;q=1", "mechanism 1 (tls): q is 1, was sent as 0");
}

static void numbers_compare_without_overflow_and_zeros_stay_zero(void **state)
{
	(void)state;
	assert_same("a;spi=000", "a;spi=0");
	assert_differs("a;spi=0", "a;spi=4294967296", /* 2^32 */
		       "mechanism 1 (a): spi is 4294967296, was sent as 0");
	assert_differs("a;spi=0x10", "a;spi=x10", "mechanism 1 (a): spi is x10, was sent as 0x10");
}

static void S4_other_values_compare_as_text(void **state)
{
	(void)state;
	assert_differs("a;v=01", "a;v=1", "mechanism 1 (a): v is 1, was sent as 01");
	assert_differs("a;spi-x=01", "a;spi-x=1", "mechanism 1 (a): spi-x is 1, was sent as 01");
	assert_differs("a;v=0.10", "a;v=0.1", "mechanism 1 (a): v is 0.1, was sent as 0.10");
}

static void S2_quoted_strings_compare_after_unquoting(void **state)
{
	(void)state;
	assert_same("a;b=\"x\\y\"", "a;b=\"xy\"");
	assert_same("a;b=\"x\r\n \ty\"", "a;b=\"x y\"");
	assert_differs("a;b=\"x\\\"y\"", "a;b=\"xy\"",
		       "mechanism 1 (a): b is \"xy\", was sent as \"x\\\"y\"");
	assert_differs("a;b=\"x y\"", "a;b=\"x  y\"",
		       "mechanism 1 (a): b is \"x  y\", was sent as \"x y\"");
	assert_differs("a;b=x", "a;b=\"x\"", "mechanism 1 (a): b is \"x\", was sent as x");
}

static void B15_S6_d_ver_of_a_digest_entry_takes_no_part(void **state)
{
	(void)state;
	assert_same("digest;d-alg=md5;q=0.2", "digest;d-alg=md5;d-ver=\"" HEX32 "\";q=0.2");
	assert_same("digest;d-ver=\"" HEX32 "\"", "Digest;D-ver=\"" OTHER_HEX32 "\"");
	assert_differs("tls", "tls;d-ver=\"" HEX32 "\"",
		       "mechanism 1 (tls): d-ver is \"0123456789abcdef0123456789abcdef\", was not "
		       "sent");
}

/* ---- what is ---- */

static void B5_one_changed_digit_is_a_difference(void **state)
{
	(void)state;
	assert_differs("tls;q=0.1, ipsec-3gpp;alg=aes-gmac;port-s=6100",
		       "tls;q=0.1, ipsec-3gpp;alg=aes-gmac;port-s=6101",
		       "mechanism 2 (ipsec-3gpp): port-s is 6101, was sent as 6100");
}

static void a_changed_mechanism_is_a_difference(void **state)
{
	(void)state;
	assert_differs("tls, digest", "tls, foo", "mechanism 2 is foo, was sent as digest");
}

static void S1_another_number_of_mechanisms_is_a_difference(void **state)
{
	(void)state;
	assert_differs("tls, digest, foo", "tls", "1 mechanism was received, 3 sent");
	assert_differs("tls", "tls, tls", "2 mechanisms were received, 1 sent");
}

static void S1_another_order_is_a_difference_and_said_to_be_one(void **state)
{
	(void)state;
	assert_differs("tls;q=0.3, digest, foo", "tls;q=0.3, foo, digest",
		       "the order was changed: mechanism 2 (foo) was sent as mechanism 3");
	assert_differs("a;v=1, b, c", "b, c, a;v=1",
		       "the order was changed: mechanism 1 (b) was sent as mechanism 2");
}

static void a_repeated_mechanism_is_not_taken_for_another_order(void **state)
{
	(void)state;
	assert_differs("a, b, a", "a, a, a", "mechanism 2 is a, was sent as b");
	assert_differs("a, b, c", "b, b, c", "mechanism 1 is b, was sent as a");
	assert_differs("a, b, c", "x, a, c", "mechanism 1 is x, was sent as a");
}

static void S5_a_parameter_on_one_side_only_is_a_difference(void **state)
{
	(void)state;
	assert_differs("a;b=1;c=2", "a;b=1", "mechanism 1 (a): c is missing, was sent as 2");
	assert_differs("a;b=1", "a;c=2;b=1", "mechanism 1 (a): c is 2, was not sent");
	assert_differs("sdes-srtp;mediasec", "sdes-srtp",
		       "mechanism 1 (sdes-srtp): mediasec is missing, was sent without a value");
	assert_differs("sdes-srtp;mediasec", "sdes-srtp;mediasec=1",
		       "mechanism 1 (sdes-srtp): mediasec is 1, was sent without a value");
	assert_differs("a;b=1", "a;b", "mechanism 1 (a): b is without a value, was sent as 1");
	assert_differs("a;b", "a;bb", "mechanism 1 (a): b is missing, was sent without a value");
}

static void S5_strict_a_default_on_one_side_only_is_a_difference(void **state)
{
	(void)state;
	assert_differs_in(COMPARE_STRICT, "ipsec-3gpp;alg=x;prot=esp", "ipsec-3gpp;alg=x",
			  "mechanism 1 (ipsec-3gpp): prot is missing, was sent as esp");
	assert_differs_in(COMPARE_STRICT, "ipsec-3gpp;alg=x", "ipsec-3gpp;alg=x;ealg=null",
			  "mechanism 1 (ipsec-3gpp): ealg is null, was not sent");
	assert_differs_in(COMPARE_STRICT, "ipsec-3gpp;alg=x;q=0.1", "ipsec-3gpp;alg=x",
			  "mechanism 1 (ipsec-3gpp): q is missing, was sent as 0.1");
}

/* ---- lenient ---- */

static void S5_lenient_defaults_and_q_may_be_left_out(void **state)
{
	(void)state;
	assert_equal_in(COMPARE_LENIENT, "ipsec-3gpp;alg=x;ealg=null;prot=esp;mod=trans;q=0.5",
			"ipsec-3gpp;alg=x");
	assert_equal_in(COMPARE_LENIENT, "ipsec-3gpp;alg=x;EALG=NULL", "IPSEC-3gpp;prot=ESP;alg=x");
	assert_equal_in(COMPARE_LENIENT, "ipsec-3gpp;alg=x;q=0.5", "ipsec-3gpp;alg=x;q=0.1");
}

static void lenient_other_values_may_not(void **state)
{
	(void)state;
	assert_differs("ipsec-3gpp;alg=x;ealg=aes-cbc", "ipsec-3gpp;alg=x",
		       "mechanism 1 (ipsec-3gpp): ealg is missing, was sent as aes-cbc");
	assert_differs("ipsec-3gpp;alg=x;ealg=aes-cbc", "ipsec-3gpp;alg=x;ealg=null",
		       "mechanism 1 (ipsec-3gpp): ealg is null, was sent as aes-cbc");
	assert_differs("ipsec-3gpp;alg=x;ealg=null", "ipsec-3gpp;alg=x;ealg=aes-cbc",
		       "mechanism 1 (ipsec-3gpp): ealg is aes-cbc, was sent as null");
	assert_differs("ipsec-3gpp;alg=x", "ipsec-3gpp;alg=x;prot=ah",
		       "mechanism 1 (ipsec-3gpp): prot is ah, was not sent");
	assert_differs("ipsec-3gpp;alg=x", "ipsec-3gpp;alg=x;mod=\"trans\"",
		       "mechanism 1 (ipsec-3gpp): mod is \"trans\", was not sent");
	assert_differs("ipsec-3gpp;alg=null", "ipsec-3gpp",
		       "mechanism 1 (ipsec-3gpp): alg is missing, was sent as null");
}

static void lenient_is_for_ipsec_3gpp_only(void **state)
{
	(void)state;
	assert_differs("tls;q=0.5", "tls", "mechanism 1 (tls): q is missing, was sent as 0.5");
	assert_differs("tls;q=0.5", "tls;q=0.6", "mechanism 1 (tls): q is 0.6, was sent as 0.5");
	assert_differs("foo;prot=esp", "foo",
		       "mechanism 1 (foo): prot is missing, was sent as esp");
}

/* ---- words ---- */

static void words_show_printable_ascii_only(void **state)
{
	(void)state;
	assert_differs("a;b=x", "a;b=\"\xC3\xA9\\\x01\t\r\n ~\\\x7f\"",
		       "mechanism 1 (a): b is \"??\\???? ~\\?\", was sent as x");
}

static void words_cut_long_names_and_values(void **state)
{
	char sent[400], got[400], why[300];

	(void)state;
	snprintf(sent, sizeof(sent), "%0100d;%0100d=%0100d", 1, 2, 3);
	snprintf(got, sizeof(got), "%0100d;%0100d=%0100d", 1, 2, 4);
	assert_false(compare(sent, got, COMPARE_STRICT, why, sizeof(why)));
	snprintf(sent, sizeof(sent), "mechanism 1 (%040d...): %040d... is %040d..., was sent as "
				     "%040d...", 0, 0, 0, 0);
	assert_string_equal(why, sent);
}

static void words_fit_the_room_there_is(void **state)
{
	char why[30];

	(void)state;
	memset(why, 'x', sizeof(why));
	assert_false(compare("tls, digest", "tls, foo", COMPARE_STRICT, why, 10));
	assert_string_equal(why, "mechanism");
	assert_int_equal(why[10], 'x');
	assert_false(compare("tls, digest", "tls, foo", COMPARE_STRICT, why, 0));
	assert_false(compare("tls, digest", "tls, foo", COMPARE_STRICT, NULL, 9));
}

/* ---- equivalence ---- */

/* Values that are close to each other, so that chains a = b = c occur. */
static const char *const near[][6] = {
	{"", ";ealg=null", ";EALG=NULL", ";ealg=aes-cbc", ";ealg=\"null\"", ";ealg"},
	{"", ";prot=esp", ";prot=ah", "", ";Prot=Esp", ";prot"},
	{"", ";q=0.1", ";q=0.10", ";q=0.100", ";q=1", ";q=1."},
	{";spi-c=1", ";spi-c=01", ";spi-c=001", ";spi-c=x", ";SPI-C=1", ""},
	{"", ";x=\"a\"", ";x=\"\\a\"", ";x=a", ";x=A", ";x=\"A\""},
	{"", ";d-ver=\"" HEX32 "\"", ";d-ver=\"" OTHER_HEX32 "\"", "", "", ""},
};

static uint32_t random_state;

static size_t below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static void random_list(char *text, size_t cap)
{
	static const char *const names[] = {"ipsec-3gpp", "IPsec-3gpp", "digest", "tls"};
	size_t n = (size_t)snprintf(text, cap, "%s", names[below(COUNT_OF(names))]);
	size_t first = below(COUNT_OF(near));

	for (size_t i = 0; i < COUNT_OF(near); i++) {
		size_t row = (first + i) % COUNT_OF(near);

		if (below(2))
			n += (size_t)snprintf(text + n, cap - n, "%s", near[row][below(6)]);
		else
			n += (size_t)snprintf(text + n, cap - n, "%s", near[row][0]);
	}
	if (below(4) == 0)
		snprintf(text + n, cap - n, ", tls");
}

#define POOL 400

/* Of a class each is equal to each, and to nothing else. */
static void check_classes(const struct sec_header *lists, const size_t *class_of,
			  char (*texts)[300], enum compare_mode mode)
{
	for (size_t i = 0; i < POOL; i++) {
		for (size_t k = 0; k < i; k++) {
			bool same = compare_lists(&lists[i], &lists[k], mode, NULL, 0);

			if (same != (class_of[k] == class_of[i]))
				fail_msg("%s\n%s\nmode %d: equal to one of a class only", texts[i],
					 texts[k], mode);
		}
	}
}

static void check_equivalence(char (*texts)[300], enum compare_mode mode)
{
	static struct sec_header lists[POOL];
	static size_t class_of[POOL];
	size_t classes = 0;

	for (size_t i = 0; i < POOL; i++) {
		size_t found = SIZE_MAX;

		lists[i] = parse(texts[i]);
		assert_true(compare_lists(&lists[i], &lists[i], mode, NULL, 0));
		for (size_t k = 0; k < i; k++) {
			bool same = compare_lists(&lists[i], &lists[k], mode, NULL, 0);

			assert_int_equal(compare_lists(&lists[k], &lists[i], mode, NULL, 0), same);
			if (same && found == SIZE_MAX)
				found = class_of[k];
		}
		class_of[i] = found == SIZE_MAX ? classes++ : found;
	}
	assert_in_range(classes, 2, POOL - 1);
	check_classes(lists, class_of, texts, mode);
	for (size_t i = 0; i < POOL; i++)
		sec_header_done(&lists[i]);
}

static void both_modes_are_equivalences(void **state)
{
	static char texts[POOL][300];
	const char *env = getenv("SEED");

	(void)state;
	random_state = env ? (uint32_t)strtoul(env, NULL, 10) : 1;
	print_message("# SEED=%u\n", random_state);
	for (size_t i = 0; i < POOL; i++)
		random_list(texts[i], sizeof(texts[i]));
	check_equivalence(texts, COMPARE_STRICT);
	check_equivalence(texts, COMPARE_LENIENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A1_S2_case_of_names_and_tokens_is_not_significant),
		cmocka_unit_test(S3_order_of_parameters_and_white_space_are_not_significant),
		cmocka_unit_test(A2_S3_line_splitting_is_not_significant),
		cmocka_unit_test(S4_q_SPIs_and_ports_compare_as_numbers),
		cmocka_unit_test(numbers_compare_without_overflow_and_zeros_stay_zero),
		cmocka_unit_test(S4_other_values_compare_as_text),
		cmocka_unit_test(S2_quoted_strings_compare_after_unquoting),
		cmocka_unit_test(B15_S6_d_ver_of_a_digest_entry_takes_no_part),
		cmocka_unit_test(B5_one_changed_digit_is_a_difference),
		cmocka_unit_test(a_changed_mechanism_is_a_difference),
		cmocka_unit_test(S1_another_number_of_mechanisms_is_a_difference),
		cmocka_unit_test(S1_another_order_is_a_difference_and_said_to_be_one),
		cmocka_unit_test(a_repeated_mechanism_is_not_taken_for_another_order),
		cmocka_unit_test(S5_a_parameter_on_one_side_only_is_a_difference),
		cmocka_unit_test(S5_strict_a_default_on_one_side_only_is_a_difference),
		cmocka_unit_test(S5_lenient_defaults_and_q_may_be_left_out),
		cmocka_unit_test(lenient_other_values_may_not),
		cmocka_unit_test(lenient_is_for_ipsec_3gpp_only),
		cmocka_unit_test(words_show_printable_ascii_only),
		cmocka_unit_test(words_cut_long_names_and_values),
		cmocka_unit_test(words_fit_the_room_there_is),
		cmocka_unit_test(both_modes_are_equivalences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
