/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/history.c: events are found by whom they name, newest first; memory has a bound whatever
 * comes, and what is oldest goes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "daemon/hash.h"
#include "daemon/history.h"
#include "daemon/log.h"
#include "tests/unit/no_memory.h"

static const struct event_record *got[HISTORY_EVENTS];

static int start(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, -1);
	history_start();
	no_memory = false;
	return hash_init();
}

static int stop(void **state)
{
	(void)state;
	history_stop();
	event_reset();
	return history_bytes() == 0 ? 0 : -1;
}

static void happen(const char *impi, const char *ue, uint64_t set)
{
	event_emit(EVENT_SET_MADE, event_set(set), event_text("impi", impi), event_text("ue", ue),
		   event_number("n", event_last() + 1));
}

static uint64_t number(size_t i)
{
	return event_record_number(got[i], "n");
}

static size_t read_impi(const char *impi)
{
	return history_read(HISTORY_IMPI, impi, got);
}

/* ---- tests ---- */

static void an_event_is_found_by_name_address_and_set(void **state)
{
	(void)state;
	happen("a@x", "192.0.2.7", 0x12);
	happen("b@x", "192.0.2.7", 0x13);
	assert_int_equal(read_impi("a@x"), 1);
	assert_int_equal(number(0), 1);
	assert_int_equal(history_read(HISTORY_UE, "192.0.2.7", got), 2);
	assert_int_equal(number(0), 2); /* newest first */
	assert_int_equal(number(1), 1);
	assert_int_equal(history_read(HISTORY_SET, "0000000000000013", got), 1);
	assert_string_equal(event_record_text(got[0], "impi"), "b@x");
}

static void nobody_elses_events_are_found(void **state)
{
	(void)state;
	happen("a@x", "192.0.2.7", 0x12);
	assert_int_equal(read_impi("a@"), 0);
	assert_int_equal(read_impi(""), 0);
	assert_int_equal(read_impi("192.0.2.7"), 0); /* a name that looks like an address */
	assert_int_equal(history_read(HISTORY_UE, "a@x", got), 0);
}

static void an_event_that_names_nobody_is_not_kept(void **state)
{
	(void)state;
	event_emit(EVENT_AUDIT, event_number("orphans", 1));
	event_emit(EVENT_SET_MADE, event_set(0), event_text("impi", ""));
	assert_int_equal(history_bytes(), 0);
}

static void what_is_absent_is_neither_kept_nor_a_name(void **state)
{
	(void)state;
	event_emit(EVENT_SET_MADE, event_if(false, event_text("impi", "a@x")),
		   event_if(true, event_text("ue", "192.0.2.7")));
	assert_int_equal(read_impi("a@x"), 0);
	assert_int_equal(history_read(HISTORY_UE, "192.0.2.7", got), 1);
	assert_int_equal(got[0]->field_count, 1);
	assert_null(event_record_text(got[0], "impi"));
}

static void one_phone_has_only_its_latest(void **state)
{
	(void)state;
	happen("quiet@x", "192.0.2.8", 1);
	for (unsigned i = 0; i < 3 * HISTORY_EVENTS; i++)
		happen("loud@x", "192.0.2.7", 2);
	assert_int_equal(read_impi("loud@x"), HISTORY_EVENTS);
	assert_int_equal(number(0), 3 * HISTORY_EVENTS + 1);
	assert_int_equal(number(HISTORY_EVENTS - 1), 2 * HISTORY_EVENTS + 2);
	assert_int_equal(read_impi("quiet@x"), 1); /* a loud one pushes out only its own */
}

static void what_left_one_thread_is_still_in_the_others(void **state)
{
	(void)state;
	happen("a@x", "192.0.2.7", 1);
	for (unsigned i = 0; i < HISTORY_EVENTS; i++)
		happen("b@x", "192.0.2.7", 2);
	assert_int_equal(history_read(HISTORY_UE, "192.0.2.7", got), HISTORY_EVENTS);
	assert_string_equal(event_record_text(got[HISTORY_EVENTS - 1], "impi"), "b@x");
	assert_int_equal(read_impi("a@x"), 1);
}

/* Of the phones "0@x" to "@n - 1"@x, of each of which something happened. */
static const struct event_record *oldest_left(unsigned n)
{
	char impi[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(impi, sizeof(impi), "%u@x", i);
		if (read_impi(impi))
			return got[0];
	}
	return NULL;
}

/* Events have this clock. */
static void await_later_than(uint64_t ms)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 <= ms);
}

static void it_is_known_since_when_events_are_kept(void **state)
{
	struct timespec now;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(history_since_ms() / 1000 <= (uint64_t)now.tv_sec);
	assert_true(history_since_ms() / 1000 + 60 > (uint64_t)now.tv_sec);
	happen("a@x", "192.0.2.7", 1);
	assert_true(history_since_ms() <= (uint64_t)(read_impi("a@x"), got[0]->time_ms));
}

static void memory_is_bounded_and_the_oldest_go(void **state)
{
	const uint64_t since_ms = history_since_ms();
	char impi[32];
	size_t most = 0;
	unsigned n = 0;

	(void)state;
	await_later_than(since_ms);
	for (; n < 200000; n++) {
		snprintf(impi, sizeof(impi), "%u@x", n);
		happen(impi, "192.0.2.7", n + 1);
		most = history_bytes() > most ? history_bytes() : most;
	}
	assert_true(most <= HISTORY_MAX_BYTES);
	assert_true(most > HISTORY_MAX_BYTES - 4096); /* it was put to the test */
	assert_int_equal(read_impi("0@x"), 0);
	assert_true(history_since_ms() > since_ms); /* what yielded is not remembered */
	assert_true(history_since_ms() <= (uint64_t)oldest_left(n)->time_ms);
	snprintf(impi, sizeof(impi), "%u@x", n - 1);
	assert_int_equal(read_impi(impi), 1);
}

static void a_record_outlives_its_place_in_the_ring(void **state)
{
	(void)state;
	happen("a@x", "192.0.2.7", 1);
	for (unsigned i = 0; i < 2 * EVENT_KEPT; i++)
		event_emit(EVENT_AUDIT, event_number("orphans", i));
	assert_int_equal(event_from(1)->seq, EVENT_KEPT + 2);
	assert_int_equal(read_impi("a@x"), 1);
	assert_string_equal(event_record_text(got[0], "ue"), "192.0.2.7");
}

static void out_of_memory_nothing_is_kept(void **state)
{
	(void)state;
	no_memory = true;
	happen("a@x", "192.0.2.7", 1);
	no_memory = false;
	assert_int_equal(read_impi("a@x"), 0);
	happen("a@x", "192.0.2.7", 1);
	assert_int_equal(read_impi("a@x"), 1);
}

static void after_the_stop_nothing_is_kept(void **state)
{
	(void)state;
	happen("a@x", "192.0.2.7", 1);
	history_stop();
	happen("a@x", "192.0.2.7", 1);
	assert_int_equal(history_bytes(), 0);
	assert_int_equal(read_impi("a@x"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_event_is_found_by_name_address_and_set),
		TEST(nobody_elses_events_are_found),
		TEST(an_event_that_names_nobody_is_not_kept),
		TEST(what_is_absent_is_neither_kept_nor_a_name),
		TEST(one_phone_has_only_its_latest),
		TEST(what_left_one_thread_is_still_in_the_others),
		TEST(it_is_known_since_when_events_are_kept),
		TEST(memory_is_bounded_and_the_oldest_go),
		TEST(a_record_outlives_its_place_in_the_ring),
		TEST(out_of_memory_nothing_is_kept),
		TEST(after_the_stop_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
