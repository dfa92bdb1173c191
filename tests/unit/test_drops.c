/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/drops.c: growth is counted from the reading before a moment, as long as there is one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/drops.h"
#include "tests/unit/fake_xfrm.h"

static struct drops drops;

static int start(void **state)
{
	(void)state;
	memset(&drops, 0, sizeof(drops));
	fake_xfrm_reset();
	return 0;
}

static void note(int64_t time_s, uint64_t mismatch)
{
	fake_xfrm.drops.mismatch = mismatch;
	drops_note(&drops, time_s);
}

static uint64_t since(int64_t time_s)
{
	struct xfrm_drops ret;

	assert_int_equal(drops_since(&drops, time_s, &ret), 0);
	return ret.mismatch;
}

static void growth_is_since_the_reading_before(void **state)
{
	(void)state;
	note(1000, 5);
	note(1020, 7);
	fake_xfrm.drops.mismatch = 8;
	assert_int_equal(since(1000), 3);
	assert_int_equal(since(1019), 3);
	assert_int_equal(since(1020), 1);
	assert_int_equal(since(5000), 1);
	assert_int_equal(since(1), 3); /* before the first */
}

static void readings_are_not_close(void **state)
{
	(void)state;
	note(1000, 5);
	note(1000 + DROPS_STEP_S - 1, 7);
	assert_int_equal(drops.count, 1);
	note(1000 + DROPS_STEP_S, 7);
	assert_int_equal(drops.count, 2);
	note(900, 7); /* the clock was set back */
	assert_int_equal(drops.count, 3);
}

static void of_what_is_too_old_the_oldest_is_taken(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * DROPS_READINGS; i++)
		note(1000 + i * DROPS_STEP_S, (uint64_t)i);
	assert_int_equal(since(1000), DROPS_READINGS - 1);
	assert_int_equal(since(1000 + (2 * DROPS_READINGS - 1) * DROPS_STEP_S), 0);
}

static void a_kernel_that_does_not_count(void **state)
{
	struct xfrm_drops ret;

	(void)state;
	assert_int_equal(drops_since(&drops, 1000, &ret), -ENOENT);
	fake_xfrm.refuse_drops = -ENOENT;
	note(1000, 1);
	assert_int_equal(drops.count, 0);
	assert_int_equal(drops_since(&drops, 1000, &ret), -ENOENT);
	fake_xfrm.refuse_drops = 0;
	note(1000 + DROPS_STEP_S, 1);
	assert_int_equal(drops.count, 1);
	assert_int_equal(since(1000), 0);
	fake_xfrm.refuse_drops = -ENOENT;
	assert_int_equal(drops_since(&drops, 1000, &ret), -ENOENT);
}

static void a_try_in_vain_is_not_soon_repeated(void **state)
{
	(void)state;
	fake_xfrm.refuse_drops = -ENOENT;
	for (int64_t s = 1000; s < 1000 + DROPS_STEP_S; s++) {
		note(s, 1);
		note(s, 1);
	}
	assert_int_equal(fake_xfrm.drops_asked, 1);
	note(1000 + DROPS_STEP_S, 1);
	assert_int_equal(fake_xfrm.drops_asked, 2);
	note(900, 1); /* the clock was set back */
	assert_int_equal(fake_xfrm.drops_asked, 3);
	assert_int_equal(drops.count, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(growth_is_since_the_reading_before, start),
		cmocka_unit_test_setup(readings_are_not_close, start),
		cmocka_unit_test_setup(of_what_is_too_old_the_oldest_is_taken, start),
		cmocka_unit_test_setup(a_kernel_that_does_not_count, start),
		cmocka_unit_test_setup(a_try_in_vain_is_not_soon_repeated, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
