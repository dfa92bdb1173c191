/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"

static char directory[] = "/tmp/secagreed-notify-XXXXXX";

/* The manager's end; @name as in $NOTIFY_SOCKET. */
static int manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	const size_t len = strlen(name);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void hears(int fd, const char *state)
{
	char word[64];
	const ssize_t n = recv(fd, word, sizeof(word), 0);

	assert_int_equal(n, strlen(state));
	assert_memory_equal(word, state, (size_t)n);
}

/* The same, and the descriptor that came along, or -1. */
static int hears_with(int fd, const char *state)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[80];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int kept = -1;

	assert_int_equal(recvmsg(fd, &message, 0), strlen(state));
	assert_memory_equal(text, state, strlen(state));
	if (CMSG_FIRSTHDR(&message))
		memcpy(&kept, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(kept));
	return kept;
}

static void a_descriptor_is_given_to_keep_and_dropped_by_its_name(void **state)
{
	const int fd = manager("@secagreed-test-notify-keep");
	int pipes[2], kept;
	char byte;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(notify_keep(pipes[0], "n"), 0);
	kept = hears_with(fd, "FDSTORE=1\nFDNAME=n");
	assert_true(kept >= 0);
	close(pipes[0]);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(kept, &byte, 1), 1);
	assert_int_equal(notify_drop("n"), 0);
	assert_int_equal(hears_with(fd, "FDSTOREREMOVE=1\nFDNAME=n"), -1);
	close(kept);
	close(pipes[1]);
	close(fd);
}

static void who_waits_at_a_path_is_told(void **state)
{
	char path[100];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/n", directory);
	fd = manager(path);
	assert_int_equal(notify("READY=1"), 0);
	hears(fd, "READY=1");
	close(fd);
	unlink(path);
	assert_int_equal(notify("READY=1"), -ENOENT);
}

static void who_waits_at_an_abstract_address_is_told(void **state)
{
	char name[100];
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@secagreed-notify-%ld", (long)getpid());
	fd = manager(name);
	assert_int_equal(notify("STOPPING=1"), 0);
	hears(fd, "STOPPING=1");
	close(fd);
	assert_int_equal(notify("STOPPING=1"), -ECONNREFUSED);
}

static void nobody_waits_and_nothing_happens(void **state)
{
	char long_path[200];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify("READY=1"), 0);
	memset(long_path, '/', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", long_path, 1);
	assert_int_equal(notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(notify("READY=1"), 0);
}

static bool wanted(const char *us, const char *pid)
{
	struct event_base *loop = event_base_new();
	struct event *timer = NULL;
	bool there;

	setenv("WATCHDOG_USEC", us, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	else
		unsetenv("WATCHDOG_PID");
	assert_int_equal(notify_watchdog(loop, &timer), 0);
	there = timer;
	if (timer)
		event_free(timer);
	event_base_free(loop);
	return there;
}

static void the_watchdog_is_for_whom_it_was_meant(void **state)
{
	char self[32];

	(void)state;
	snprintf(self, sizeof(self), "%ld", (long)getpid());
	assert_true(wanted("30000000", NULL));
	assert_true(wanted("30000000", self));
	assert_false(wanted("30000000", "1"));
	assert_false(wanted("0", self));
	assert_false(wanted("", self));
}

static void the_loop_says_that_it_turns(void **state)
{
	struct event_base *loop = event_base_new();
	struct event *timer;
	char path[100];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/w", directory);
	fd = manager(path);
	setenv("WATCHDOG_USEC", "2000", 1);
	unsetenv("WATCHDOG_PID");
	assert_int_equal(notify_watchdog(loop, &timer), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(event_base_loop(loop, EVLOOP_ONCE), 0);
		hears(fd, "WATCHDOG=1");
	}
	event_free(timer);
	event_base_free(loop);
	close(fd);
	unlink(path);
}

/* sd_notify(3): with the time, since another reload may be on its way. */
static void a_reload_is_announced_with_its_time(void **state)
{
	char path[100], said[100] = "";
	unsigned long long us;
	struct timespec now;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/r", directory);
	fd = manager(path);
	assert_int_equal(notify_reloading(), 0);
	assert_true(recv(fd, said, sizeof(said) - 1, 0) > 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_int_equal(sscanf(said, "RELOADING=1\nMONOTONIC_USEC=%llu", &us), 1);
	assert_true(us / 1000000 <= (unsigned long long)now.tv_sec &&
		    us / 1000000 + 60 > (unsigned long long)now.tv_sec);
	close(fd);
	unlink(path);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_at_a_path_is_told),
		cmocka_unit_test(a_descriptor_is_given_to_keep_and_dropped_by_its_name),
		cmocka_unit_test(who_waits_at_an_abstract_address_is_told),
		cmocka_unit_test(nobody_waits_and_nothing_happens),
		cmocka_unit_test(the_watchdog_is_for_whom_it_was_meant),
		cmocka_unit_test(the_loop_says_that_it_turns),
		cmocka_unit_test(a_reload_is_announced_with_its_time),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
