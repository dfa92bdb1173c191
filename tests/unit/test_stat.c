/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/stat.c and xfrm/drops.c: the kernel's file is a text of this test.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "xfrm/xfrm.h"

FILE *__wrap_fopen(const char *path, const char *mode);

static const char *text; /* NULL: there is no such file */
static char seen[256];

FILE *__wrap_fopen(const char *path, const char *mode)
{
	assert_string_equal(path, "/proc/net/xfrm_stat");
	assert_string_equal(mode, "re");
	if (text)
		return fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	errno = ENOENT;
	return NULL;
}

static void see(const char *name, uint64_t count, void *arg)
{
	const size_t n = strlen(arg);

	snprintf((char *)arg + n, sizeof(seen) - n, "%s=%" PRIu64 ";", name, count);
}

static void assert_seen(const char *file, const char *expected)
{
	text = file;
	seen[0] = '\0';
	assert_int_equal(xfrm_read_stat(see, seen), 0);
	assert_string_equal(seen, expected);
}

static void every_counter_is_told_in_its_order(void **state)
{
	(void)state;
	assert_seen("XfrmInError             \t0\n"
		    "XfrmInNoStates          \t4294967296\n"
		    "XfrmOutNoQueueSpace     \t18446744073709551615\n",
		    "XfrmInError=0;XfrmInNoStates=4294967296;"
		    "XfrmOutNoQueueSpace=18446744073709551615;");
	assert_seen("XfrmInError 1", "XfrmInError=1;"); /* no end of line */
}

static void an_odd_line_is_passed_over_and_the_next_is_told(void **state)
{
	(void)state;
	assert_seen("\n"
		    "XfrmInError\n"
		    "XfrmInError many\n"
		    "Xfrm-In-Error 3\n"
		    "Xfrm\"},evil{=\" 4\n"
		    "5 \n"
		    "XfrmInHdrErrorXfrmInHdrErrorXfrmInHdrErrorXfrmInHdrErrorXfrmInHdrError 6\n"
		    "XfrmInNoStates 7\n",
		    "XfrmInNoStates=7;");
}

static void without_the_file_nothing_is_told(void **state)
{
	struct xfrm_drops drops = {1, 2, 3};

	(void)state;
	text = NULL;
	seen[0] = '\0';
	assert_int_equal(xfrm_read_stat(see, seen), -ENOENT);
	assert_string_equal(seen, "");
	assert_int_equal(xfrm_read_drops(&drops), -ENOENT);
	assert_int_equal(drops.no_states, 1);
	assert_int_equal(drops.mismatch, 2);
	assert_int_equal(drops.tmpl_mismatch, 3);
}

static void drops_are_the_three_counters_by_name(void **state)
{
	struct xfrm_drops drops = {1, 2, 3};

	(void)state;
	text = "XfrmInTmplMismatch 30\nXfrmInStateMismatch 20\nXfrmInStateInvalid 9\n";
	assert_int_equal(xfrm_read_drops(&drops), 0);
	assert_int_equal(drops.no_states, 0);
	assert_int_equal(drops.mismatch, 20);
	assert_int_equal(drops.tmpl_mismatch, 30);
	text = "XfrmInNoStates 10\n";
	assert_int_equal(xfrm_read_drops(&drops), 0);
	assert_int_equal(drops.no_states, 10);
	assert_int_equal(drops.mismatch, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_is_told_in_its_order),
		cmocka_unit_test(an_odd_line_is_passed_over_and_the_next_is_told),
		cmocka_unit_test(without_the_file_nothing_is_told),
		cmocka_unit_test(drops_are_the_three_counters_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
