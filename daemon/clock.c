/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A timer on CLOCK_REALTIME that is never due, but that the kernel cancels when the clock is set:
 * its descriptor becomes readable, and read() fails with ECANCELED. It stays armed after that.
 *
 * What is not here: what a step means for anybody (upkeep.c), and the clocks themselves (timer.c).
 */
#include "daemon/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct clock_watch {
	int fd;
	struct event *reader;
	void (*stepped)(void *arg);
	void *arg;
};

static int arm(int fd)
{
	static const struct itimerspec NEVER = { .it_value = { .tv_sec = LONG_MAX } };
	const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;

	/* ECANCELED: the clock was set in between; the timer is armed */
	return timerfd_settime(fd, flags, &NEVER, NULL) < 0 && errno != ECANCELED ? -errno : 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	const struct clock_watch *watch = arg;
	uint64_t ticks;
	const ssize_t n = read(fd, &ticks, sizeof(ticks));

	(void)what;
	if (n >= 0)
		arm(fd);
	else if (errno == ECANCELED)
		watch->stepped(watch->arg);
}

int clock_watch_open(struct event_base *loop, void (*stepped)(void *arg), void *arg,
		     struct clock_watch **ret)
{
	struct clock_watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->stepped = stepped;
	watch->arg = arg;
	watch->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	err = watch->fd < 0 ? -errno : arm(watch->fd);
	if (!err) {
		watch->reader = event_new(loop, watch->fd, EV_READ | EV_PERSIST, on_readable, watch);
		if (!watch->reader || event_add(watch->reader, NULL) < 0)
			err = -ENOMEM;
	}
	if (err)
		clock_watch_close(watch);
	else
		*ret = watch;
	return err;
}

void clock_watch_close(struct clock_watch *watch)
{
	if (!watch)
		return;
	if (watch->reader)
		event_free(watch->reader);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}
