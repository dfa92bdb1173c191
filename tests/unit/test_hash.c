/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/hash.c: SipHash-2-4 against the published vectors, and uthash without memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/random.h>

#include "daemon/hash.h"
#include "tests/unit/no_memory.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the key that hash_init() draws ---- */

ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags);

static ssize_t random_bytes; /* -1: no limit */
static uint8_t random_first;

ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags)
{
	uint8_t *p = buf;

	(void)flags;
	if (random_bytes >= 0)
		return random_bytes;
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(random_first + i);
	return (ssize_t)bytes;
}

static int start(void **state)
{
	(void)state;
	random_bytes = -1;
	random_first = 0;
	no_memory = false;
	return hash_init();
}

/* ---- tests ---- */

/* The key 00 01 .. 0f and the text 00 01 .. of the given length: Aumasson, Bernstein, "SipHash: a
 * fast short-input PRF", appendix A (15 octets), and the vectors published with it. */
static void siphash_gives_the_published_values(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} VECTORS[] = {
		{0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {2, 0x0d6c8009d9a94f5a},
		{3, 0x85676696d7fb7e2d},  {4, 0xcf2794e0277187b7},  {5, 0x18765564cd99a68d},
		{6, 0xcbc9466e58fee3ce},  {7, 0xab0200f58b01d137},  {8, 0x93f5f5799a932462},
		{9, 0x9e0082df0ba9e4b0},  {10, 0x7a5dbbc594ddb9f3}, {11, 0xf4b32f46226bada7},
		{12, 0x751e8fbc860ee5fb}, {13, 0x14ea5627c0843d90}, {14, 0xf723ca908e7af2ee},
		{15, 0xa129ca6149be45e5},
	};
	uint8_t text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	for (size_t i = 0; i < COUNT_OF(VECTORS); i++)
		assert_int_equal(hash_bytes(text, VECTORS[i].len), VECTORS[i].hash);
}

static void each_start_has_a_key_of_its_own(void **state)
{
	const uint64_t before = hash_bytes("phone", 5);

	(void)state;
	random_first = 1;
	assert_int_equal(hash_init(), 0);
	assert_int_not_equal(hash_bytes("phone", 5), before);
}

static void alignment_does_not_matter(void **state)
{
	static const char TEXT[] = "0123456789abcdef";
	const uint64_t expected = hash_bytes(TEXT, 16);
	char shifted[24];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		memcpy(shifted + i, TEXT, 16);
		assert_int_equal(hash_bytes(shifted + i, 16), expected);
	}
}

static void no_randomness_is_an_error(void **state)
{
	(void)state;
	random_bytes = 8;
	assert_int_equal(hash_init(), -EIO);
	random_bytes = 0;
	assert_int_equal(hash_init(), -EIO);
}

struct element {
	uint32_t key;
	UT_hash_handle hh;
};

static void a_table_without_memory_says_so_and_stays_whole(void **state)
{
	struct element *table = NULL, *found;
	struct element a = {.key = 1}, b = {.key = 2};
	uint32_t key = 1;

	(void)state;
	no_memory = true;
	HASH_ADD(hh, table, key, sizeof(a.key), &a);
	no_memory = false;
	assert_null(a.hh.tbl);
	assert_null(table);
	HASH_ADD(hh, table, key, sizeof(b.key), &b);
	assert_non_null(b.hh.tbl);
	HASH_FIND(hh, table, &key, sizeof(key), found);
	assert_null(found);
	HASH_DEL(table, &b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
	static const struct CMUnitTest tests[] = {
		TEST(siphash_gives_the_published_values),
		TEST(each_start_has_a_key_of_its_own),
		TEST(alignment_does_not_matter),
		TEST(no_randomness_is_an_error),
		TEST(a_table_without_memory_says_so_and_stays_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
