/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A binary heap of the timers that are armed, over one event of the loop. libevent calls all events that
 * are due before it looks at a socket again: sets of a hundred thousand phones that end in the same
 * second would shut out whoever asks meanwhile, and with priorities whoever asks without pause would
 * keep sets from ending. Here a turn of the loop calls a few timers, and none that was armed in it. An
 * event for each set would be 128 bytes of it besides. The cost grows with the logarithm of their number
 * only. The event comes no later than the first timer; it may come too early, for a timer that was
 * stopped since.
 *
 * The clocks are the coarse ones, which lag by a tick of the kernel at most (4 ms as a rule): a request
 * reads them ten times, and where the vDSO cannot read the machine's clock source, as in many virtual
 * machines, each reading of a fine one is a system call. The kernel stamps SAs by the same coarse clock.
 */
#include "daemon/timer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#define FIRST_ROOM    64
#define MAX_IN_A_TURN 16

static struct {
	struct event event;
	uint64_t wakes_ms;   /* when that comes; UINT64_MAX: not at all */
	struct timer **heap; /* none is later than those at twice its index + 1 and + 2 */
	size_t count, room;
	uint32_t turn; /* of the loop, of those in which the event came */
} timers = { .wakes_ms = UINT64_MAX };

/* ---- clocks ---- */

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

/* ---- the heap ---- */

static void put(struct timer *timer, size_t i)
{
	timers.heap[i] = timer;
	timer->place = (uint32_t)i + 1;
}

static void put_or_above(struct timer *timer, size_t i)
{
	for (; i && timers.heap[(i - 1) / 2]->deadline_ms > timer->deadline_ms; i = (i - 1) / 2)
		put(timers.heap[(i - 1) / 2], i);
	put(timer, i);
}

static size_t earlier_below(size_t i)
{
	const size_t left = 2 * i + 1, right = left + 1;

	return right < timers.count &&
			       timers.heap[right]->deadline_ms < timers.heap[left]->deadline_ms
		       ? right
		       : left;
}

static void put_or_below(struct timer *timer, size_t i)
{
	for (size_t next = earlier_below(i); next < timers.count; next = earlier_below(i)) {
		if (timers.heap[next]->deadline_ms >= timer->deadline_ms)
			break;
		put(timers.heap[next], i);
		i = next;
	}
	put_or_above(timer, i);
}

static bool has_room(void)
{
	const size_t room = timers.room ? 2 * timers.room : FIRST_ROOM;
	struct timer **heap;

	if (timers.count < timers.room)
		return true;
	heap = reallocarray(timers.heap, room, sizeof(struct timer *));
	if (!heap)
		return false;
	timers.heap = heap;
	timers.room = room;
	return true;
}

static struct timer *first_due(uint64_t now_ms)
{
	struct timer *first = timers.count ? timers.heap[0] : NULL;

	return first && first->deadline_ms <= now_ms && first->turn != timers.turn ? first : NULL;
}

/* ---- the event ---- */

static void wake_in(uint64_t left_ms)
{
	const struct timeval tv = { .tv_sec = (time_t)(left_ms / 1000),
				    .tv_usec = (suseconds_t)(left_ms % 1000 * 1000) };

	evtimer_add(&timers.event, &tv);
}

static void wake_in_time(void)
{
	const uint64_t first_ms = timers.count ? timers.heap[0]->deadline_ms : UINT64_MAX;
	uint64_t now_ms;

	if (first_ms >= timers.wakes_ms)
		return;
	now_ms = clock_monotonic_ms();
	timers.wakes_ms = first_ms;
	wake_in(first_ms > now_ms ? first_ms - now_ms : 0);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct timer *first;

	(void)fd;
	(void)what;
	(void)arg;
	timers.wakes_ms = 0; /* it is set once, in the end */
	timers.turn++;
	for (unsigned n = 0; n < MAX_IN_A_TURN; n++) {
		first = first_due(clock_monotonic_ms());
		if (!first)
			break;
		timer_stop(first);
		first->expired(first->arg);
	}
	timers.wakes_ms = UINT64_MAX;
	wake_in_time();
}

void timer_use_loop(struct event_base *loop)
{
	evtimer_assign(&timers.event, loop, on_time, NULL);
	timers.wakes_ms = UINT64_MAX;
}

/* ---- from outside ---- */

void timer_init(struct timer *timer, void (*expired)(void *arg), void *arg)
{
	*timer = (struct timer){ .expired = expired, .arg = arg };
}

void timer_arm(struct timer *timer, uint64_t deadline_ms)
{
	if (!timer->place && !has_room())
		return;
	timer->deadline_ms = deadline_ms;
	timer->turn = timers.turn;
	put_or_below(timer, timer->place ? timer->place - 1 : timers.count++);
	wake_in_time();
}

void timer_stop(struct timer *timer)
{
	struct timer *last;

	if (!timer->place)
		return;
	last = timers.heap[--timers.count];
	if (last != timer)
		put_or_below(last, timer->place - 1);
	timer->place = 0;
}
