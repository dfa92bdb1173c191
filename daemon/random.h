/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers for names that nobody must guess: SPIs, sets, ports.
 */
#ifndef DAEMON_RANDOM_H
#define DAEMON_RANDOM_H

#include <stddef.h>

/* @n bytes, 256 at most, into @ret. Returns 0, or -EIO: the kernel gives none, and *@ret is as it was. Not for keys,
 * since what comes next waits in memory. */
int random_draw(void *ret, size_t n);

#endif
