/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/option_tag.c: finding and removing one tag, everything else byte for byte as it was.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/option_tag.h"

static void removed(const char *value, const char *expected)
{
	size_t n = strlen(value);
	char *in = malloc(n + 1), *out = malloc(n + 1);
	int r;

	assert_non_null(in);
	assert_non_null(out);
	memcpy(in, value, n);
	r = option_tag_remove((struct span){in, n}, "sec-agree", out, n + 1);
	if (r < 0 || strcmp(out, expected) || strlen(expected) != (size_t)r)
		fail_msg("'%s' became '%s' (%d), not '%s'", value, out, r, expected);
	free(in);
	free(out);
}

static void B6_sec_agree_is_removed_and_other_tags_stay(void **state)
{
	(void)state;
	removed("sec-agree, 100rel", "100rel");
	removed("100rel, sec-agree", "100rel");
	removed("100rel,sec-agree,path", "100rel,path");
	removed("100rel , sec-agree ,\tpath", "100rel ,\tpath");
	removed("path,  100rel", "path,  100rel");
	removed("sec-agree,sec-agree , gruu, Sec-Agree", "gruu");
}

static void B6_a_header_without_other_tags_goes(void **state)
{
	(void)state;
	removed("sec-agree", "");
	removed("  sec-agree  ", "");
	removed("sec-agree, sec-agree", "");
	removed("sec-agree,", "");
	removed(" ,sec-agree, ", "");
	removed("", "");
}

static void the_space_at_the_ends_of_the_line_stays(void **state)
{
	(void)state;
	removed(" sec-agree, 100rel", " 100rel");
	removed(" 100rel, sec-agree ", " 100rel ");
	removed("\r\n 100rel,\r\n sec-agree", "\r\n 100rel");
	removed("100rel,\r\n sec-agree,\r\n path", "100rel,\r\n path");
}

static void A1_tags_are_without_case(void **state)
{
	(void)state;
	removed("SEC-Agree, 100rel", "100rel");
	assert_true(option_tag_in(span_of("100rel, SEC-AGREE"), "sec-agree"));
}

static void only_whole_tags_count(void **state)
{
	(void)state;
	removed("sec-agreement, x-sec-agree", "sec-agreement, x-sec-agree");
	removed("sec agree", "sec agree");
	assert_false(option_tag_in(span_of("sec-agreement, xsec-agree, sec-agre"), "sec-agree"));
	assert_false(option_tag_in(span_of(""), "sec-agree"));
	assert_true(option_tag_in(span_of("a,\r\n sec-agree ,b"), "sec-agree"));
}

static void what_is_no_tag_is_kept(void **state)
{
	(void)state;
	removed("sec-agree, ;;;, \"x\", 100rel", ";;;, \"x\", 100rel");
	removed("a,,sec-agree,b", "a,,b");
}

static void a_buffer_that_is_too_small_is_an_error(void **state)
{
	char out[7];

	(void)state;
	assert_int_equal(option_tag_remove(span_of("sec-agree, 100rel"), "sec-agree", out, 6),
			 -ENOSPC);
	assert_string_equal(out, "");
	assert_int_equal(option_tag_remove(span_of("sec-agree, 100rel"), "sec-agree", out, 7), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(B6_sec_agree_is_removed_and_other_tags_stay),
		cmocka_unit_test(B6_a_header_without_other_tags_goes),
		cmocka_unit_test(the_space_at_the_ends_of_the_line_stays),
		cmocka_unit_test(A1_tags_are_without_case),
		cmocka_unit_test(only_whole_tags_count),
		cmocka_unit_test(what_is_no_tag_is_kept),
		cmocka_unit_test(a_buffer_that_is_too_small_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
