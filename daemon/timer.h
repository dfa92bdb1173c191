/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two clocks and the timers. Timers run on the monotonic clock; the real clock is only for what
 * the kernel counts in real time (the add_time of an SA). Unit tests link another timer.c, with a
 * clock of their own.
 */
#ifndef DAEMON_TIMER_H
#define DAEMON_TIMER_H

#include <stdint.h>

struct event_base;

struct timer {
	void (*expired)(void *arg);
	void *arg;
	uint64_t deadline_ms;
	uint32_t place; /* 0: it is not armed */
	uint32_t turn;  /* in which it was armed */
};

uint64_t clock_monotonic_ms(void);
int64_t clock_realtime_s(void);

/* The loop that all timers of this process hang in. */
void timer_use_loop(struct event_base *loop);

/* @expired is called from the loop, never from timer_arm(). */
void timer_init(struct timer *timer, void (*expired)(void *arg), void *arg);

/* At @deadline_ms of the monotonic clock, in the next turn of the loop when that has passed; replaces
 * an earlier one. One for which memory is short never comes: what a set then has left is the kernel's
 * limit, which is told. */
void timer_arm(struct timer *timer, uint64_t deadline_ms);
void timer_stop(struct timer *timer);

#endif
