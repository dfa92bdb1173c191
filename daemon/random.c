/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set takes four random numbers, and a system call for each is a hundredth of all that it costs. So
 * they are drawn from the kernel ahead, some hundred bytes at a time; what has been given out is wiped.
 *
 * State of the process, which never forks once it draws.
 */
#include "daemon/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define POOL_BYTES 256 /* which getrandom() gives whole or not at all */

static struct {
	unsigned char bytes[POOL_BYTES];
	size_t left; /* at the end of them */
} pool;

int random_draw(void *ret, size_t n)
{
	unsigned char *from;

	if (n > pool.left) {
		if (getrandom(pool.bytes, sizeof(pool.bytes), 0) != sizeof(pool.bytes))
			return -EIO;
		pool.left = sizeof(pool.bytes);
	}
	from = pool.bytes + sizeof(pool.bytes) - pool.left;
	memcpy(ret, from, n);
	explicit_bzero(from, n);
	pool.left -= n;
	return 0;
}
