/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the process gives up before it serves anybody, and cannot get back.
 */
#ifndef DAEMON_PRIVILEGE_H
#define DAEMON_PRIVILEGE_H

#include <stddef.h>

#define PRIVILEGE_USER "secagreed"

/* The user that the daemon runs as. */
enum privilege_user {
	PRIVILEGE_USER_KEPT,    /* the one that started it, which is not root */
	PRIVILEGE_USER_CHANGED, /* root started it: the one of its own */
	PRIVILEGE_USER_ROOT,    /* as the configuration wants it */
	PRIVILEGE_USER_MISSING, /* still root, since there is no user secagreed */
};

/* Become @user when root started us ("" = secagreed where there is such a user), and keep
 * CAP_NET_ADMIN alone, without a way to get more; no core dump, no ptrace by others of that user.
 * Call it before anything is opened: what is made from here on is @user's.
 * Returns 0, or -errno and what is wrong in @ret_why; the process must end then, since what it has
 * is neither the old nor the new. */
int privilege_drop(const char *user, enum privilege_user *ret, char *ret_why, size_t why_cap);

/* Keep all memory, now and later, out of the swap area: keys pass through it. After fork(), which
 * forgets it. -EPERM: RLIMIT_MEMLOCK is not unlimited, and a daemon that grows would meet it. */
int privilege_lock_memory(void);

#endif
