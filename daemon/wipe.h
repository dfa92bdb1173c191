/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * realloc() and free() that wipe, for memory of malloc() that may hold keys; also for handing to
 * libraries that let one choose.
 */
#ifndef DAEMON_WIPE_H
#define DAEMON_WIPE_H

#include <stddef.h>

/* Never in place: what is left behind is wiped. On failure @p is as it was. */
void *wipe_realloc(void *p, size_t bytes);
void wipe_free(void *p);

#endif
