/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/spi.c: which SPIs are taken, which are not, and for how long they rest.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/hash.h"
#include "daemon/spi.h"
#include "tests/unit/fake_timer.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- random_draw(): the numbers of a list, again and again ---- */

int __real_random_draw(void *buf, size_t bytes);
int __wrap_random_draw(void *buf, size_t bytes);

static const uint32_t *numbers; /* NULL: true random ones */
static size_t number_count, number_at;

int __wrap_random_draw(void *buf, size_t bytes)
{
	if (!numbers)
		return __real_random_draw(buf, bytes);
	memcpy(buf, &numbers[number_at++ % number_count], sizeof(uint32_t));
	return 0;
}

#define FORESEE(...)                                                                               \
	do {                                                                                       \
		static const uint32_t list[] = {__VA_ARGS__};                                      \
		numbers = list;                                                                    \
		number_count = COUNT_OF(list);                                                     \
		number_at = 0;                                                                     \
	} while (0)

/* ---- helpers ---- */

static struct spi_pool *pool;
static int owner_a, owner_b; /* any address will do */

static int start(void **state)
{
	(void)state;
	numbers = NULL;
	fake_clock_reset();
	pool = spi_pool_new();
	return pool && hash_init() == 0 ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	spi_pool_free(pool);
	return 0;
}

static uint32_t take(void *owner)
{
	uint32_t spi = 0;

	assert_int_equal(spi_take(pool, NULL, 0, owner, &spi), 0);
	return spi;
}

static void assert_none_to_take(void)
{
	uint32_t spi = 4711;

	assert_int_equal(spi_take(pool, NULL, 0, &owner_a, &spi), -ENOSPC);
	assert_int_equal(spi, 4711);
}

/* ---- tests ---- */

static void a_taken_spi_has_its_owner(void **state)
{
	const uint32_t a = take(&owner_a), b = take(&owner_b);

	(void)state;
	assert_int_not_equal(a, b);
	assert_ptr_equal(spi_owner(pool, a), &owner_a);
	assert_ptr_equal(spi_owner(pool, b), &owner_b);
	assert_null(spi_owner(pool, 99));
}

static void C5_spis_of_iana_are_never_taken(void **state)
{
	(void)state;
	FORESEE(0, 1, 255, 256);
	assert_int_equal(take(&owner_a), 256);
}

static void the_whole_range_above_is_used(void **state)
{
	(void)state;
	FORESEE(UINT32_MAX);
	assert_int_equal(take(&owner_a), UINT32_MAX);
}

static void an_spi_in_use_is_not_taken_again(void **state)
{
	(void)state;
	FORESEE(1000, 1000, 1001);
	assert_int_equal(take(&owner_a), 1000);
	assert_int_equal(take(&owner_b), 1001);
}

static void D3_the_phones_spis_are_avoided(void **state)
{
	static const uint32_t PHONES[] = {2000, 2001};
	uint32_t spi;

	(void)state;
	FORESEE(2000, 2001, 2002);
	assert_int_equal(spi_take(pool, PHONES, 2, &owner_a, &spi), 0);
	assert_int_equal(spi, 2002);
}

static void a_broken_generator_is_an_answer_and_not_a_hang(void **state)
{
	(void)state;
	FORESEE(7);
	assert_none_to_take();
}

static void a_claimed_spi_is_taken(void **state)
{
	(void)state;
	assert_int_equal(spi_claim(pool, 4711, &owner_a), 0);
	assert_ptr_equal(spi_owner(pool, 4711), &owner_a);
	assert_int_equal(spi_claim(pool, 4711, &owner_b), -EEXIST);
	assert_ptr_equal(spi_owner(pool, 4711), &owner_a);
	spi_release(pool, 4711);
	assert_int_equal(spi_claim(pool, 4711, &owner_b), -EEXIST); /* it rests */
}

static void a_released_spi_has_no_owner(void **state)
{
	const uint32_t spi = take(&owner_a);

	(void)state;
	spi_release(pool, spi);
	assert_null(spi_owner(pool, spi));
}

static void a_released_spi_rests_before_it_is_taken_again(void **state)
{
	(void)state;
	FORESEE(3000);
	take(&owner_a);
	spi_release(pool, 3000);
	fake_clock_advance_ms(SPI_QUARANTINE_MS - 1);
	assert_none_to_take();
	fake_clock_advance_ms(1);
	assert_int_equal(take(&owner_b), 3000);
	assert_ptr_equal(spi_owner(pool, 3000), &owner_b);
}

static void each_released_spi_rests_for_its_own_time(void **state)
{
	(void)state;
	FORESEE(3000, 3001);
	take(&owner_a);
	take(&owner_a);
	spi_release(pool, 3001);
	fake_clock_advance_ms(1000);
	spi_release(pool, 3000);
	fake_clock_advance_ms(SPI_QUARANTINE_MS - 1000);
	assert_int_equal(take(&owner_a), 3001);
	assert_none_to_take();
	fake_clock_advance_ms(1000);
	assert_int_equal(take(&owner_a), 3000);
}

static void releasing_twice_or_what_was_never_taken_does_nothing(void **state)
{
	(void)state;
	FORESEE(3000);
	take(&owner_a);
	spi_release(pool, 0);
	spi_release(pool, 3001);
	spi_release(pool, 3000);
	fake_clock_advance_ms(60000);
	spi_release(pool, 3000); /* does not start its rest anew */
	fake_clock_advance_ms(SPI_QUARANTINE_MS - 60000);
	take(&owner_b);
}

static void many_come_and_go(void **state)
{
	uint32_t spis[2000];

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(spis); i++)
			spis[i] = take(&owner_a);
		for (size_t i = 0; i < COUNT_OF(spis); i++)
			assert_ptr_equal(spi_owner(pool, spis[i]), &owner_a);
		for (size_t i = 0; i < COUNT_OF(spis); i += 2)
			spi_release(pool, spis[i]);
		fake_clock_advance_ms(SPI_QUARANTINE_MS / 2);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_taken_spi_has_its_owner),
		TEST(C5_spis_of_iana_are_never_taken),
		TEST(the_whole_range_above_is_used),
		TEST(an_spi_in_use_is_not_taken_again),
		TEST(D3_the_phones_spis_are_avoided),
		TEST(a_broken_generator_is_an_answer_and_not_a_hang),
		TEST(a_claimed_spi_is_taken),
		TEST(a_released_spi_has_no_owner),
		TEST(a_released_spi_rests_before_it_is_taken_again),
		TEST(each_released_spi_rests_for_its_own_time),
		TEST(releasing_twice_or_what_was_never_taken_does_nothing),
		TEST(many_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
