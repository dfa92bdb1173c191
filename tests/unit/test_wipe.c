/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/wipe.c: what is given back holds nothing.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/wipe.h"

void __real_free(void *p);
void __wrap_free(void *p);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

static unsigned freed, dirty;
static bool no_memory;

void __wrap_free(void *p)
{
	const uint8_t *bytes = p;

	freed += p != NULL;
	for (size_t i = 0; p && i < malloc_usable_size(p); i++)
		dirty += bytes[i] != 0;
	__real_free(p);
}

void *__wrap_malloc(size_t n)
{
	return no_memory ? NULL : __real_malloc(n);
}

static int start(void **state)
{
	(void)state;
	freed = dirty = 0;
	no_memory = false;
	return 0;
}

static void what_is_freed_is_wiped_to_its_end(void **state)
{
	char *p = malloc(21);

	(void)state;
	memset(p, 'k', malloc_usable_size(p));
	wipe_free(p);
	assert_int_equal(freed, 1);
	assert_int_equal(dirty, 0);
	wipe_free(NULL);
	assert_int_equal(freed, 1);
}

static void what_grows_leaves_nothing_behind(void **state)
{
	char *p = malloc(8);

	(void)state;
	memcpy(p, "secrets", 8);
	p = wipe_realloc(p, 4000);
	assert_string_equal(p, "secrets");
	p = wipe_realloc(p, 4);
	assert_memory_equal(p, "secr", 4);
	wipe_free(p);
	assert_int_equal(freed, 3);
	assert_int_equal(dirty, 0);
}

static void out_of_memory_leaves_the_block_as_it_was(void **state)
{
	char *p = wipe_realloc(NULL, 8), *grown;

	(void)state;
	memcpy(p, "secrets", 8);
	no_memory = true;
	grown = wipe_realloc(p, 4000);
	no_memory = false;
	assert_null(grown);
	assert_string_equal(p, "secrets");
	assert_int_equal(freed, 0);
	wipe_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_freed_is_wiped_to_its_end, start),
		cmocka_unit_test_setup(what_grows_leaves_nothing_behind, start),
		cmocka_unit_test_setup(out_of_memory_leaves_the_block_as_it_was, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
