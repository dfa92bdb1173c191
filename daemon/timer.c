/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers over libevent's heap, one event embedded in each owner: arming allocates nothing that
 * stays, and the cost grows with the logarithm of the number of sets only.
 *
 * The clocks are the coarse ones, which lag by a tick of the kernel at most (4 ms as a rule): a request
 * reads them ten times, and where the vDSO cannot read the machine's clock source, as in many virtual
 * machines, each reading of a fine one is a system call. The kernel stamps SAs by the same coarse clock.
 * A timer may so come a tick early by them; whoever minds looks at the clock again.
 */
#include "daemon/timer.h"

#include <time.h>
#include <event2/event.h>

static struct event_base *base;

uint64_t clock_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int64_t clock_realtime_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t.tv_sec;
}

void timer_use_loop(struct event_base *loop)
{
	base = loop;
}

static void fire(evutil_socket_t fd, short what, void *arg)
{
	struct timer *timer = arg;

	(void)fd;
	(void)what;
	timer->expired(timer->arg);
}

void timer_init(struct timer *timer, void (*expired)(void *arg), void *arg)
{
	timer->expired = expired;
	timer->arg = arg;
	evtimer_assign(&timer->event, base, fire, timer);
}

void timer_arm(struct timer *timer, uint64_t deadline_ms)
{
	const uint64_t now = clock_monotonic_ms();
	const uint64_t left = deadline_ms > now ? deadline_ms - now : 0;
	const struct timeval tv = { .tv_sec = (time_t)(left / 1000),
				    .tv_usec = (suseconds_t)(left % 1000 * 1000) };

	evtimer_add(&timer->event, &tv);
}

void timer_stop(struct timer *timer)
{
	evtimer_del(&timer->event);
}
