/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives the daemon: one record for each set, and one for each listener that has left
 * something in the kernel. Never a key.
 *
 * A NULL store keeps nothing and never fails.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "proto/text.h"
#include "daemon/sa_set.h"

struct store;

/* Open or make the store in @dir, which is made too when its parent is there. It is this process's
 * alone. What was written before the machine's last start, or cannot be read at all, is forgotten.
 * Room for @max_sets. Call hash_init() before: the key is kept too, since it is what tells a
 * retransmission. Returns 0, or -errno and a sentence. */
int store_open(const char *dir, uint32_t max_sets, struct store **ret, char *ret_why,
	       size_t why_cap);
void store_close(struct store *store);

/* Room for so many. Returns 0, or -errno and there is the room of before. */
int store_resize(struct store *store, uint32_t max_sets);

/* Changes, which store_commit() makes all or none. @set is written as it is now: by its .serial, so
 * that records come back in the order in which the sets were made. */
void store_put(struct store *store, const struct sa_set *set);
void store_forget(struct store *store, const struct sa_set *set);
void store_put_listener(struct store *store, struct span record);
void store_forget_listener(struct store *store, struct span record);

/* Returns 0, or -errno (-ENOSPC: it is full) when nothing was changed; that is counted and logged.
 * It survives the end of this process, however it ends, not that of the kernel. */
int store_commit(struct store *store);

/* What the records take, and what there is room for. Returns 0, -ENOENT (@store is NULL), -EIO. */
struct store_usage {
	uint64_t bytes, max_bytes;
};
int store_usage(const struct store *store, struct store_usage *ret);

/* Give all records to @listener or to @set. One that they do not return 0 for goes. They must not
 * change the store. Returns 0 or -errno. */
struct store_reader {
	int (*listener)(struct span record, void *arg);
	int (*set)(uint64_t serial, struct span record, void *arg);
	void *arg;
};
int store_read(struct store *store, const struct store_reader *reader);

/* Remove the file: there is nothing any more. */
void store_remove(struct store *store);

#endif
