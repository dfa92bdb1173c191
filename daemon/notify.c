/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol is one datagram to the socket that $NOTIFY_SOCKET names, and is promised to stay so.
 * Written here since it is less than what it takes to use libsystemd, which would bring compression
 * and journal code into a process that holds a capability.
 *
 * The watchdog's word comes from the loop, at half the time that the manager gives: a loop that
 * hangs is restarted.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* 0 bytes: nobody waits, or at an address that we do not know. */
static socklen_t manager_address(struct sockaddr_un *ret)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const size_t len = path ? strlen(path) : 0;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	if (len < 2 || len >= sizeof(ret->sun_path) || (path[0] != '/' && path[0] != '@'))
		return 0;
	memcpy(ret->sun_path, path, len);
	if (path[0] == '@') /* abstract */
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* @kept: a descriptor that goes along, or -1. */
static int say(const char *state, int kept)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = "" };
	struct sockaddr_un address;
	struct iovec text = { .iov_base = (void *)(uintptr_t)state, .iov_len = strlen(state) };
	struct msghdr message = { .msg_name = &address, .msg_iov = &text, .msg_iovlen = 1 };
	int fd, err = 0;

	message.msg_namelen = manager_address(&address);
	if (!message.msg_namelen)
		return 0;
	if (kept >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &kept, sizeof(int));
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		err = -errno;
	close(fd);
	return err;
}

int notify(const char *state)
{
	return say(state, -1);
}

int notify_keep(int fd, const char *name)
{
	char state[80];

	snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
	return say(state, fd);
}

int notify_drop(const char *name)
{
	char state[80];

	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return say(state, -1);
}

int notify_reloading(void)
{
	char state[64];
	struct timespec now;

	/* the time of Type=notify-reload, which tells this from an earlier one */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	return notify(state);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	(void)notify("WATCHDOG=1"); /* the next one comes */
}

/* Microseconds that the manager waits for a word of ours; 0 = it does not. */
static uint64_t watchdog_us(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!us || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(us, NULL, 10);
}

int notify_watchdog(struct event_base *loop, struct event **ret)
{
	const uint64_t half_us = watchdog_us() / 2;
	const struct timeval half = { .tv_sec = (time_t)(half_us / 1000000),
				      .tv_usec = (suseconds_t)(half_us % 1000000) };
	struct event *timer;

	if (!half_us) {
		*ret = NULL;
		return 0;
	}
	timer = event_new(loop, -1, EV_PERSIST, on_time, NULL);
	if (!timer || event_add(timer, &half) < 0) {
		if (timer)
			event_free(timer);
		return -ENOMEM;
	}
	*ret = timer;
	return 0;
}
