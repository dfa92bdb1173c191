/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/clock.c: a step of the clock is told once for each, and nothing else is. The timer is a
 * pipe here: what is written makes it readable.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"

int __wrap_timerfd_create(int clock, int flags);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);

static int pipe_fds[2];
static int create_error, settime_error, read_error;
static unsigned armed, steps;
static struct event_base *loop;
static struct clock_watch *watch;

int __wrap_timerfd_create(int clock, int flags)
{
	assert_int_equal(clock, CLOCK_REALTIME);
	assert_int_equal(flags, TFD_NONBLOCK | TFD_CLOEXEC);
	if (create_error) {
		errno = create_error;
		return -1;
	}
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
	return pipe_fds[0];
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old)
{
	assert_int_equal(fd, pipe_fds[0]);
	assert_int_equal(flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
	assert_true(value->it_value.tv_sec > 4102444800); /* not in this century */
	assert_null(old);
	armed++;
	errno = settime_error;
	return settime_error ? -1 : 0;
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	const ssize_t got = __real_read(fd, buf, n);

	if (fd != pipe_fds[0] || !read_error)
		return got;
	errno = read_error;
	return -1;
}

static void stepped(void *arg)
{
	assert_ptr_equal(arg, &steps);
	steps++;
}

static int start(void **state)
{
	(void)state;
	create_error = settime_error = read_error = 0;
	armed = steps = 0;
	watch = NULL;
	loop = event_base_new();
	return loop ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	clock_watch_close(watch);
	event_base_free(loop);
	return 0;
}

static int open_watch(void)
{
	return clock_watch_open(loop, stepped, &steps, &watch);
}

static void happens(int error)
{
	static const uint64_t tick = 1;

	read_error = error;
	assert_int_equal(write(pipe_fds[1], &tick, sizeof(tick)), sizeof(tick));
	assert_int_equal(event_base_loop(loop, EVLOOP_NONBLOCK), 0);
}

static void each_step_is_told(void **state)
{
	(void)state;
	assert_int_equal(open_watch(), 0);
	assert_int_equal(armed, 1);
	happens(ECANCELED);
	assert_int_equal(steps, 1);
	happens(ECANCELED);
	assert_int_equal(steps, 2);
	close(pipe_fds[1]);
}

static void nothing_else_is_a_step(void **state)
{
	(void)state;
	assert_int_equal(open_watch(), 0);
	happens(EAGAIN);
	happens(EINTR);
	assert_int_equal(steps, 0);
	assert_int_equal(armed, 1);
	happens(0); /* due after all: armed again */
	assert_int_equal(steps, 0);
	assert_int_equal(armed, 2);
	close(pipe_fds[1]);
}

static void a_step_while_arming_does_not_matter(void **state)
{
	(void)state;
	settime_error = ECANCELED;
	assert_int_equal(open_watch(), 0);
	close(pipe_fds[1]);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
	(void)state;
	create_error = EMFILE;
	assert_int_equal(open_watch(), -EMFILE);
	assert_null(watch);
	create_error = 0;
	settime_error = EINVAL;
	assert_int_equal(open_watch(), -EINVAL);
	assert_null(watch);
	close(pipe_fds[1]);
	clock_watch_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(each_step_is_told),
		TEST(nothing_else_is_a_step),
		TEST(a_step_while_arming_does_not_matter),
		TEST(what_cannot_be_opened_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
