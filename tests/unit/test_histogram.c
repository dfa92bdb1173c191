/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/histogram.c: a time is counted once, at the first bound that it does not exceed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "xfrm/xfrm.h"

static void bounds_grow(void **state)
{
	(void)state;
	for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(HISTOGRAM_BOUNDS_NS[i] > HISTOGRAM_BOUNDS_NS[i - 1]);
}

static void a_time_counts_at_the_first_bound_that_it_does_not_exceed(void **state)
{
	(void)state;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		struct histogram h = {0};

		histogram_add(&h, HISTOGRAM_BOUNDS_NS[i]);
		histogram_add(&h, HISTOGRAM_BOUNDS_NS[i] + 1);
		assert_int_equal(h.count[i], 1);
		assert_int_equal(h.count[i + 1], 1);
		assert_int_equal(h.sum_ns, 2 * HISTOGRAM_BOUNDS_NS[i] + 1);
	}
}

static void no_time_and_all_time_have_their_place(void **state)
{
	struct histogram h = {0};

	(void)state;
	histogram_add(&h, 0);
	histogram_add(&h, UINT64_MAX / 2);
	assert_int_equal(h.count[0], 1);
	assert_int_equal(h.count[HISTOGRAM_BOUNDS], 1);
}

static void time_since_a_start_is_what_the_clock_says(void **state)
{
	struct histogram h = {0};
	const uint64_t start_ns = histogram_clock_ns();
	uint64_t end_ns;

	(void)state;
	do
		end_ns = histogram_clock_ns();
	while (end_ns == start_ns);
	histogram_add_since(&h, start_ns);
	assert_true(h.sum_ns >= end_ns - start_ns);
	assert_true(h.sum_ns <= histogram_clock_ns() - start_ns);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_grow),
		cmocka_unit_test(a_time_counts_at_the_first_bound_that_it_does_not_exceed),
		cmocka_unit_test(no_time_and_all_time_have_their_place),
		cmocka_unit_test(time_since_a_start_is_what_the_clock_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
