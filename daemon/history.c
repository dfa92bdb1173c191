/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of events: one for each IMPI, each address of a phone, and each set. An event is in up to
 * three of them and in the order of all. Each thread is in that same order, so whichever event goes
 * because memory is used up is the first of its threads: nothing is ever searched, and the cost of
 * an event does not depend on how many phones there are.
 *
 * A stranger who floods the P-CSCF with names pushes out what is oldest, no more; what one name
 * floods pushes out only its own. Events have no keys in them, so there are none here.
 *
 * State of the process, as the ring of event.c is, whose records it shares. Nothing outlives the
 * daemon. Out of memory an event is not kept.
 */
#include "daemon/history.h"
#include "daemon/hash.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Which field names it. */
static const char *const FIELDS[HISTORY_KEYS] = {
	[HISTORY_IMPI] = "impi",
	[HISTORY_UE] = "ue",
	[HISTORY_SET] = "set",
};

struct thread {
	struct entry *first, *last;
	size_t count, bytes;
	UT_hash_handle hh;
	char name[];
};

struct entry {
	struct event_record *record;
	struct entry *prev, *next;        /* of all */
	struct thread *in[HISTORY_KEYS];  /* NULL: not, or not any more */
	struct entry *later[HISTORY_KEYS]; /* in that thread */
};

static struct {
	struct entry *entries; /* oldest first */
	struct thread *threads[HISTORY_KEYS];
	size_t bytes;
	uint64_t since_ms;
} history;

/* ---- threads ---- */

static struct thread *thread_find(enum history_key key, const char *name)
{
	struct thread *thread;

	HASH_FIND(hh, history.threads[key], name, strlen(name), thread);
	return thread;
}

static struct thread *thread_need(enum history_key key, const char *name)
{
	const size_t n = strlen(name), bytes = sizeof(struct thread) + n + 1;
	struct thread *thread = thread_find(key, name);

	if (thread)
		return thread;
	thread = calloc(1, bytes);
	if (!thread)
		return NULL;
	memcpy(thread->name, name, n);
	thread->bytes = bytes;
	HASH_ADD(hh, history.threads[key], name[0], n, thread);
	if (!thread->hh.tbl) {
		free(thread);
		return NULL;
	}
	history.bytes += bytes;
	return thread;
}

static void thread_append(enum history_key key, struct thread *thread, struct entry *entry)
{
	entry->in[key] = thread;
	if (thread->last)
		thread->last->later[key] = entry;
	else
		thread->first = entry;
	thread->last = entry;
	thread->count++;
}

/* Its first event leaves it; with the last one it goes itself. Returns that event. */
static struct entry *thread_shift(enum history_key key, struct thread *thread)
{
	struct entry *entry = thread->first;

	entry->in[key] = NULL;
	thread->first = entry->later[key];
	if (--thread->count)
		return entry;
	HASH_DEL(history.threads[key], thread);
	history.bytes -= thread->bytes;
	free(thread);
	return entry;
}

/* ---- events ---- */

static void entry_free(struct entry *entry)
{
	DL_DELETE(history.entries, entry);
	history.bytes -= sizeof(*entry) + entry->record->bytes;
	event_record_drop(entry->record);
	free(entry);
}

/* The oldest of all: it is the first of each of its threads. */
static void forget_oldest(void)
{
	struct entry *entry = history.entries;

	for (unsigned key = 0; key < HISTORY_KEYS; key++) {
		if (entry->in[key])
			thread_shift(key, entry->in[key]);
	}
	entry_free(entry);
}

static bool is_in_any(const struct entry *entry)
{
	for (unsigned key = 0; key < HISTORY_KEYS; key++) {
		if (entry->in[key])
			return true;
	}
	return false;
}

static void enter(struct entry *entry, enum history_key key, const char *name)
{
	struct thread *thread = thread_need(key, name);
	struct entry *first;

	if (!thread)
		return;
	thread_append(key, thread, entry);
	if (thread->count <= HISTORY_EVENTS)
		return;
	first = thread_shift(key, thread);
	if (!is_in_any(first))
		entry_free(first);
}

static void keep(struct event_record *record)
{
	const char *names[HISTORY_KEYS];
	struct entry *entry;
	bool named = false;

	for (unsigned key = 0; key < HISTORY_KEYS; key++) {
		names[key] = event_record_text(record, FIELDS[key]);
		named |= names[key] && *names[key];
	}
	entry = named ? calloc(1, sizeof(*entry)) : NULL;
	if (!entry)
		return;
	entry->record = event_record_hold(record);
	DL_APPEND(history.entries, entry);
	history.bytes += sizeof(*entry) + record->bytes;
	for (unsigned key = 0; key < HISTORY_KEYS; key++) {
		if (names[key] && *names[key])
			enter(entry, key, names[key]);
	}
	if (!is_in_any(entry))
		entry_free(entry);
	while (history.bytes > HISTORY_MAX_BYTES) {
		history.since_ms = (uint64_t)history.entries->record->time_ms;
		forget_oldest();
	}
}

/* ---- from outside ---- */

void history_start(void)
{
	history.since_ms = (uint64_t)event_now_ms();
	event_keep(keep);
}

size_t history_read(enum history_key key, const char *text,
		    const struct event_record *ret[static HISTORY_EVENTS])
{
	const struct thread *thread = thread_find(key, text);
	size_t count = thread ? thread->count : 0, i = count;

	for (const struct entry *entry = thread ? thread->first : NULL; i; entry = entry->later[key])
		ret[--i] = entry->record;
	return count;
}

uint64_t history_since_ms(void)
{
	return history.since_ms;
}

size_t history_bytes(void)
{
	return history.bytes;
}

void history_stop(void)
{
	event_keep(NULL);
	while (history.entries)
		forget_oldest();
}
