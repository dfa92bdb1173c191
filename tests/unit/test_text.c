/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/text.c: spans, character classes, numbers, hexadecimal, the bounded writer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/text.h"

static void names_compare_without_case(void **state)
{
	(void)state;
	assert_true(span_is(span_of("IPsec-3GPP"), "ipsec-3gpp"));
	assert_true(span_equal_nocase(span_of("aZ"), span_of("Az")));
	assert_false(span_is(span_of("ipsec-3gp"), "ipsec-3gpp"));
	assert_false(span_is(span_of("ipsec-3gppx"), "ipsec-3gpp"));
	assert_true(span_is((struct span){NULL, 0}, ""));
}

static void only_ascii_letters_are_folded(void **state)
{
	(void)state;
	/* '@' and '`', '[' and '{' differ in the same bit as letters do */
	assert_false(span_is(span_of("@["), "`{"));
	assert_false(span_is(span_of("\xC4"), "\xE4"));
	assert_int_equal(text_lower('Z'), 'z');
	assert_int_equal(text_lower('['), '[');
	assert_int_equal(text_lower('@'), '@');
}

static void bytes_compare_with_case(void **state)
{
	(void)state;
	assert_true(span_equal(span_of("aB"), span_of("aB")));
	assert_false(span_equal(span_of("aB"), span_of("ab")));
	assert_false(span_equal(span_of("a"), span_of("ab")));
	assert_true(span_equal((struct span){NULL, 0}, span_of("")));
}

static void token_characters_are_those_of_rfc_3261(void **state)
{
	const char *tokens = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			     "-.!%*_+`'~";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const bool expected = c != 0 && c < 128 && strchr(tokens, c);
		const char byte = (char)c;

		assert_int_equal(text_is_token((struct span){&byte, 1}), expected);
	}
}

static void a_token_ends_where_another_character_begins(void **state)
{
	(void)state;
	assert_int_equal(text_token(span_of("ipsec-3gpp;q=0.1")), 10);
	assert_int_equal(text_token(span_of(";q")), 0);
	assert_int_equal(text_token((struct span){"abc", 2}), 2);
	assert_true(text_is_token(span_of("a.b")));
	assert_false(text_is_token(span_of("a b")));
	assert_false(text_is_token(span_of("")));
}

static void white_space_is_space_tab_and_folds(void **state)
{
	(void)state;
	assert_int_equal(text_sws(span_of("")), 0);
	assert_int_equal(text_sws(span_of("x")), 0);
	assert_int_equal(text_sws(span_of(" \t x")), 3);
	assert_int_equal(text_sws(span_of(" \r\n x")), 4);
	assert_int_equal(text_sws(span_of("\r\n\t \r\n x")), 7);
	assert_int_equal(text_sws(span_of("\n x")), 2);
}

static void a_line_end_without_space_behind_it_is_not_white_space(void **state)
{
	(void)state;
	assert_int_equal(text_sws(span_of(" \r\nx")), 1);
	assert_int_equal(text_sws(span_of(" \r\n")), 1);
	assert_int_equal(text_sws(span_of(" \r")), 1);
	assert_int_equal(text_sws(span_of("\r x")), 0);
	assert_int_equal(text_sws(span_of("\n")), 0);
	assert_int_equal(text_sws(span_of("\n\r\n x")), 0);
	assert_int_equal(text_sws(span_of("\v\f")), 0);
}

static void a_fold_is_one_line_end_and_its_spaces(void **state)
{
	(void)state;
	assert_int_equal(text_fold(span_of("\r\n \t x")), 5);
	assert_int_equal(text_fold(span_of("\n x")), 2);
	assert_int_equal(text_fold(span_of("\r\n \r\n x")), 3);
	assert_int_equal(text_fold(span_of(" \r\n x")), 0);
	assert_int_equal(text_fold(span_of("\r\n")), 0);
	assert_int_equal(text_fold(span_of("\r x")), 0);
	assert_int_equal(text_fold(span_of("")), 0);
}

static int u32(const char *s, size_t digits, uint32_t max, uint32_t *ret)
{
	return text_to_u32(span_of(s), digits, max, ret);
}

static void decimal_numbers_are_read_up_to_their_limits(void **state)
{
	uint32_t v = 7;

	(void)state;
	assert_int_equal(u32("0", 10, UINT32_MAX, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(u32("4294967295", 10, UINT32_MAX, &v), 0);
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(u32("0000000023", 10, UINT32_MAX, &v), 0);
	assert_int_equal(v, 23);
	assert_int_equal(u32("65535", 5, 65535, &v), 0);
	assert_int_equal(v, 65535);
}

static void numbers_out_of_range_leave_the_result_alone(void **state)
{
	uint32_t v = 7;

	(void)state;
	assert_int_equal(u32("4294967296", 10, UINT32_MAX, &v), -ERANGE);
	assert_int_equal(u32("9999999999", 10, UINT32_MAX, &v), -ERANGE);
	assert_int_equal(u32("65536", 10, 65535, &v), -ERANGE);
	assert_int_equal(u32("99999999999999999999", 20, UINT32_MAX, &v), -ERANGE);
	assert_int_equal(v, 7);
}

static void what_is_not_all_digits_is_no_number(void **state)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "1.0", "a",
					  "12a", "00000000023", "4294967296a"};
	uint32_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(u32(bad[i], 10, UINT32_MAX, &v), -EINVAL);
	assert_int_equal(v, 7);
}

static void hex_of_either_case_becomes_bytes(void **state)
{
	const uint8_t expected[] = {0x00, 0x9f, 0xaB, 0xFF};
	uint8_t got[4];

	(void)state;
	assert_int_equal(text_from_hex(span_of("009fABfF"), got, 4), 0);
	assert_memory_equal(got, expected, 4);
	assert_int_equal(text_from_hex(span_of(""), got, 0), 0);
}

static void bytes_become_hex_in_lower_case(void **state)
{
	const uint8_t bytes[] = {0x00, 0x9f, 0xab, 0xff};
	char got[10] = "xxxxxxxxx";

	(void)state;
	text_to_hex(bytes, 4, got);
	assert_string_equal(got, "009fabff");
	text_to_hex(bytes, 0, got);
	assert_string_equal(got, "");
	assert_int_equal(got[9], '\0');
	assert_int_equal(got[1], '0');
}

static void bad_hex_leaves_no_half_key(void **state)
{
	static const char *const bad[] = {"00112", "0011223344", "0011223g", "00 11223", "",
					  "001122", "001122:3", "0x112233"};
	const uint8_t zero[4] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t got[4] = {1, 2, 3, 4};

		assert_int_equal(text_from_hex(span_of(bad[i]), got, 4), -EINVAL);
		assert_memory_equal(got, zero, 4);
	}
}

static void a_text_that_fits_is_given_with_its_length(void **state)
{
	struct text_out out;
	char buf[12];

	(void)state;
	text_out_init(&out, buf, sizeof(buf));
	text_out_span(&out, span_of("Ab"));
	text_out_lower(&out, span_of("-CD-"));
	text_out_printf(&out, "%d", 12345);
	assert_int_equal(text_out_end(&out), 11);
	assert_string_equal(buf, "Ab-cd-12345");
}

static void a_text_that_does_not_fit_is_cut_and_reported(void **state)
{
	struct text_out out;
	char buf[] = "xxxxxxxx";

	(void)state;
	text_out_init(&out, buf, 4);
	text_out_printf(&out, "%s", "abcdef");
	assert_string_equal(buf, "abc");
	text_out_span(&out, span_of("z"));
	assert_string_equal(buf, "abc");
	assert_int_equal(text_out_end(&out), -ENOSPC);
	assert_string_equal(buf, "");
	assert_int_equal(buf[4], 'x');
}

static void a_text_may_have_no_room_at_all(void **state)
{
	struct text_out out;

	(void)state;
	text_out_init(&out, NULL, 0);
	text_out_span(&out, span_of("a"));
	text_out_printf(&out, "b");
	assert_int_equal(text_out_end(&out), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_compare_without_case),
		cmocka_unit_test(only_ascii_letters_are_folded),
		cmocka_unit_test(bytes_compare_with_case),
		cmocka_unit_test(token_characters_are_those_of_rfc_3261),
		cmocka_unit_test(a_token_ends_where_another_character_begins),
		cmocka_unit_test(white_space_is_space_tab_and_folds),
		cmocka_unit_test(a_line_end_without_space_behind_it_is_not_white_space),
		cmocka_unit_test(a_fold_is_one_line_end_and_its_spaces),
		cmocka_unit_test(decimal_numbers_are_read_up_to_their_limits),
		cmocka_unit_test(numbers_out_of_range_leave_the_result_alone),
		cmocka_unit_test(what_is_not_all_digits_is_no_number),
		cmocka_unit_test(hex_of_either_case_becomes_bytes),
		cmocka_unit_test(bytes_become_hex_in_lower_case),
		cmocka_unit_test(bad_hex_leaves_no_half_key),
		cmocka_unit_test(a_text_that_fits_is_given_with_its_length),
		cmocka_unit_test(a_text_that_does_not_fit_is_cut_and_reported),
		cmocka_unit_test(a_text_may_have_no_room_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
