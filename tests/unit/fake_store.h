/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/store.c for unit tests: records in memory, which outlive a table of sets as the file
 * outlives the daemon, and commits that fail when told to.
 */
#ifndef TESTS_UNIT_FAKE_STORE_H
#define TESTS_UNIT_FAKE_STORE_H

#include "daemon/store.h"

struct fake_record {
	uint64_t serial; /* 0: a listener */
	size_t bytes;
	uint8_t *data;
	struct fake_record *next;
};

struct store {
	struct fake_record *committed, *pending; /* in the order of their keys */
	bool changing;
	bool no_memory; /* for this change: its commit fails */
	int refuse;     /* 0, or what each commit returns */
	size_t commits; /* that went well */
};

extern struct store fake_store;

/* Empty and obedient. */
void fake_store_reset(void);

/* NULL: there is none. Serial 0: listeners, of which this is the @nth. */
const struct fake_record *fake_store_record(uint64_t serial, size_t nth);
size_t fake_store_sets(void);
size_t fake_store_listeners(void);

/* Somebody else writes to the file. */
void fake_store_set(uint64_t serial, const void *data, size_t bytes);

#endif
