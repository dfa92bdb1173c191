/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start of a daemon that is not the first: guards and sets as the one before it left them.
 */
#ifndef DAEMON_RESTORE_H
#define DAEMON_RESTORE_H

#include "daemon/guard.h"
#include "daemon/sa_table.h"
#include "daemon/store.h"

struct restored {
	size_t sets;    /* that live on */
	size_t expired; /* their time passed meanwhile: gone */
	size_t changed; /* their listener is gone, or is not what it was: gone */
	size_t refused; /* records that make no set: forgotten */
};

/* Install the guards of @config's listeners, and enter the sets of the store (table->store, which
 * may be NULL) in @table, which is empty. What earlier listeners had in the kernel and nobody
 * needs any more goes. The kernel is not asked whether it holds the sets that live on: audit next.
 * Returns 0, or -errno and a sentence. */
int restore(struct sa_table *table, const struct config *config, struct guards **ret_guards,
	    struct restored *ret, char *ret_why, size_t why_cap);

#endif
