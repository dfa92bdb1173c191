/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two clocks and the timers. Timers run on the monotonic clock; the real clock is only for what
 * the kernel counts in real time (the add_time of an SA). Unit tests link another timer.c, with a
 * clock of their own.
 */
#ifndef DAEMON_TIMER_H
#define DAEMON_TIMER_H

#include <stdint.h>
#include <event2/event_struct.h>

struct timer {
	struct event event;
	void (*expired)(void *arg);
	void *arg;
};

uint64_t clock_monotonic_ms(void);
int64_t clock_realtime_s(void);

/* The loop that all timers of this process hang in. */
void timer_use_loop(struct event_base *loop);

/* @expired is called from the loop, never from timer_arm(). */
void timer_init(struct timer *timer, void (*expired)(void *arg), void *arg);

/* At @deadline_ms of the monotonic clock, at once when that has passed; replaces an earlier one. */
void timer_arm(struct timer *timer, uint64_t deadline_ms);
void timer_stop(struct timer *timer);

#endif
