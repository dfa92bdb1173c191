/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptors from 3 on, as many as $LISTEN_FDS says. Which is which shows by what they are bound
 * to, not by their names or their order: so the unit files need not agree with the configuration.
 */
#include "daemon/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST 3
#define MOST  128

static int sockets[MOST]; /* -1: taken */
static size_t count;

static long number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

void inherit_sockets(void)
{
	const long n = number_of("LISTEN_PID") == getpid() ? number_of("LISTEN_FDS") : 0;

	for (long i = 0; i < n && count < MOST; i++) {
		const int fd = FIRST + (int)i, flags = fcntl(fd, F_GETFL);

		if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
		    fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			sockets[count++] = fd;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int inherit_take(bool (*is_it)(int fd, const void *arg), const void *arg)
{
	for (size_t i = 0; i < count; i++) {
		const int fd = sockets[i];

		if (fd < 0 || !is_it(fd, arg))
			continue;
		sockets[i] = -1;
		return fd;
	}
	return -ENOENT;
}

bool inherit_close_rest(void)
{
	bool any = false;

	for (; count; count--) {
		const int fd = sockets[count - 1];

		if (fd >= 0)
			close(fd);
		any |= fd >= 0;
	}
	return any;
}
