/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clocks and timers of fake_timer.h. Timers stand in a plain array: tests have few.
 */
#include "tests/unit/fake_timer.h"

#include <assert.h>
#include <stdbool.h>

#define MAX_TIMERS 4096

static uint64_t monotonic_ms;
static int64_t real_ms;

static struct {
	struct timer *timer;
	uint64_t deadline_ms;
} armed[MAX_TIMERS];
static size_t armed_count;

void fake_clock_reset(void)
{
	monotonic_ms = 5000123;
	real_ms = 1700000000456;
	armed_count = 0;
}

uint64_t clock_monotonic_ms(void)
{
	return monotonic_ms;
}

int64_t clock_realtime_s(void)
{
	return real_ms / 1000;
}

void timer_use_loop(struct event_base *loop)
{
	(void)loop;
}

void timer_init(struct timer *timer, void (*expired)(void *arg), void *arg)
{
	timer->expired = expired;
	timer->arg = arg;
}

void timer_stop(struct timer *timer)
{
	for (size_t i = 0; i < armed_count; i++) {
		if (armed[i].timer == timer) {
			armed[i] = armed[--armed_count];
			return;
		}
	}
}

void timer_arm(struct timer *timer, uint64_t deadline_ms)
{
	timer_stop(timer);
	assert(armed_count < MAX_TIMERS);
	armed[armed_count].timer = timer;
	armed[armed_count++].deadline_ms = deadline_ms;
}

static bool next_due(uint64_t until_ms, size_t *ret_index)
{
	bool found = false;

	for (size_t i = 0; i < armed_count; i++) {
		if (armed[i].deadline_ms > until_ms ||
		    (found && armed[i].deadline_ms >= armed[*ret_index].deadline_ms))
			continue;
		*ret_index = i;
		found = true;
	}
	return found;
}

static void move_to(uint64_t ms)
{
	if (ms <= monotonic_ms)
		return;
	real_ms += (int64_t)(ms - monotonic_ms);
	monotonic_ms = ms;
}

void fake_clock_advance_ms(uint64_t ms)
{
	const uint64_t until_ms = monotonic_ms + ms;
	size_t i;

	while (next_due(until_ms, &i)) {
		struct timer *timer = armed[i].timer;

		move_to(armed[i].deadline_ms);
		timer_stop(timer);
		timer->expired(timer->arg);
	}
	move_to(until_ms);
}

void fake_clock_advance_s(uint64_t s)
{
	fake_clock_advance_ms(s * 1000);
}

void fake_clock_step_s(int64_t s)
{
	real_ms += s * 1000;
}

size_t fake_timers_armed(void)
{
	return armed_count;
}
