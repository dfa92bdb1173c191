/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/timer.c in a loop of libevent: timers come in their order and not before their time, once, and
 * leave the loop to others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <event2/event.h>

#include "daemon/timer.h"

#define COUNT 1000

void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);

static bool no_memory;

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
	return no_memory ? NULL : __real_reallocarray(old, count, bytes);
}

static struct event_base *loop;
static struct timer timers[COUNT];
static uint64_t latest_ms; /* deadline of the one that came last */
static unsigned came[COUNT], all_came;

static void note(void *arg)
{
	const struct timer *timer = arg;

	assert_true(clock_monotonic_ms() >= timer->deadline_ms);
	latest_ms = timer->deadline_ms;
	came[timer - timers]++;
	all_came++;
}

static void note_in_order(void *arg)
{
	const struct timer *timer = arg;

	assert_true(timer->deadline_ms >= latest_ms);
	note(arg);
}

static int start(void **state)
{
	(void)state;
	loop = event_base_new();
	timer_use_loop(loop);
	for (size_t i = 0; i < COUNT; i++) {
		timer_init(&timers[i], note_in_order, &timers[i]);
		came[i] = 0;
	}
	latest_ms = all_came = 0;
	no_memory = false;
	return loop ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		timer_stop(&timers[i]);
	event_base_free(loop);
	return 0;
}

static void turn(void)
{
	event_base_loop(loop, EVLOOP_ONCE);
}

static unsigned random_below(unsigned limit)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % limit;
}

/* ---- tests ---- */

static void they_come_in_order_once_and_never_early(void **state)
{
	const uint64_t now_ms = clock_monotonic_ms();

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		timer_arm(&timers[i], now_ms + random_below(60));
	while (all_came < COUNT)
		turn();
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(came[i], 1);
	assert_int_equal(event_base_loop(loop, EVLOOP_NONBLOCK), 1); /* nothing is left */
}

static void one_that_is_stopped_never_comes_and_others_do(void **state)
{
	const uint64_t now_ms = clock_monotonic_ms();
	bool armed[COUNT];
	unsigned expected = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		timer_arm(&timers[i], now_ms + random_below(60));
	for (size_t i = 0; i < 3 * COUNT; i++) {
		struct timer *timer = &timers[random_below(COUNT)];

		if (random_below(2))
			timer_stop(timer);
		else
			timer_arm(timer, now_ms + random_below(60));
	}
	for (size_t i = 0; i < COUNT; i++) {
		armed[i] = timers[i].place;
		expected += armed[i];
	}
	while (all_came < expected)
		turn();
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(came[i], armed[i]);
}

static void the_latest_deadline_counts(void **state)
{
	const uint64_t now_ms = clock_monotonic_ms();

	(void)state;
	timer_arm(&timers[0], now_ms);
	timer_arm(&timers[1], now_ms + 20);
	timer_arm(&timers[2], now_ms + 100000);
	timer_arm(&timers[0], now_ms + 40);
	timer_arm(&timers[2], now_ms + 30);
	while (all_came < 3)
		turn();
	assert_int_equal(latest_ms, now_ms + 40);
}

static void arm_again(void *arg)
{
	note(arg);
	timer_arm(arg, clock_monotonic_ms());
}

static void one_that_arms_itself_for_at_once_comes_once_in_a_turn(void **state)
{
	(void)state;
	timer_init(&timers[0], arm_again, &timers[0]);
	timer_arm(&timers[0], 0);
	for (unsigned turns = 1; turns <= 5; turns++) {
		turn();
		assert_int_equal(all_came, turns);
	}
}

static void many_at_once_leave_turns_to_others(void **state)
{
	unsigned turns = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		timer_arm(&timers[i], 1);
	for (; all_came < COUNT; turns++)
		turn();
	assert_in_range(turns, COUNT / 50, COUNT / 10);
}

static void free_it(void *arg)
{
	all_came++;
	timer_stop(&timers[1]);
	free(arg);
}

static void it_may_be_freed_when_it_comes_and_stop_another(void **state)
{
	struct timer *timer = malloc(sizeof(*timer));

	(void)state;
	timer_init(timer, free_it, timer);
	timer_arm(timer, 0);
	timer_arm(&timers[0], clock_monotonic_ms() + 10);
	timer_arm(&timers[1], 1);
	while (!came[0])
		turn();
	assert_int_equal(all_came, 2);
	assert_int_equal(came[1], 0);
}

/* Goes first: there is no room yet. */
static void without_memory_one_does_not_come_and_the_others_do(void **state)
{
	size_t armed;

	(void)state;
	no_memory = true;
	timer_arm(&timers[0], 0);
	assert_int_equal(timers[0].place, 0);
	timer_stop(&timers[0]);
	no_memory = false;
	timer_arm(&timers[0], 1);
	no_memory = true;
	for (armed = 1; armed < COUNT; armed++) {
		timer_arm(&timers[armed], 1);
		if (!timers[armed].place)
			break;
	}
	assert_in_range(armed, 1, COUNT - 1);
	timer_arm(&timers[0], 0); /* it has its place */
	while (all_came < armed)
		turn();
	assert_int_equal(came[armed], 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(without_memory_one_does_not_come_and_the_others_do),
		TEST(they_come_in_order_once_and_never_early),
		TEST(one_that_is_stopped_never_comes_and_others_do),
		TEST(the_latest_deadline_counts),
		TEST(one_that_arms_itself_for_at_once_comes_once_in_a_turn),
		TEST(many_at_once_leave_turns_to_others),
		TEST(it_may_be_freed_when_it_comes_and_stop_another),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
