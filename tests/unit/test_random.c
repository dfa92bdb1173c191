/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/random.c: each number is given out once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#include "daemon/random.h"

ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags);

static bool gives_none;
static unsigned calls;
static uint8_t next;

/* 0, 1, 2, ... */
ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags)
{
	uint8_t *p = buf;

	(void)flags;
	calls++;
	if (gives_none) {
		errno = ENOSYS;
		return -1;
	}
	for (size_t i = 0; i < bytes; i++)
		p[i] = next++;
	return (ssize_t)bytes;
}

static void what_the_kernel_gives_comes_once_and_in_order(void **state)
{
	uint8_t seen[3], wanted = 0;

	(void)state;
	for (unsigned i = 0; i < 85; i++) { /* 255 of 256 bytes */
		assert_int_equal(random_draw(seen, sizeof(seen)), 0);
		for (size_t k = 0; k < sizeof(seen); k++)
			assert_int_equal(seen[k], wanted++);
	}
	assert_int_equal(calls, 1);
	assert_int_equal(random_draw(seen, sizeof(seen)), 0); /* the byte that is left is not enough */
	assert_int_equal(calls, 2);
	assert_int_equal(seen[0], 0);
}

static void without_random_numbers_nothing_is_given(void **state)
{
	uint8_t all[256] = {0xa5};

	(void)state;
	gives_none = true;
	assert_int_equal(random_draw(all, sizeof(all)), -EIO);
	assert_int_equal(all[0], 0xa5);
	gives_none = false;
	assert_int_equal(random_draw(all, sizeof(all)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_kernel_gives_comes_once_and_in_order),
		cmocka_unit_test(without_random_numbers_nothing_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
