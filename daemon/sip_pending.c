/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash by transaction, and one queue for each rank, oldest first. All entries live equally long,
 * so the heads of the queues are the ones that are due; they go when something is entered or looked
 * for, and there is no timer. No keys in here: the 401 that has them is never kept.
 *
 * Phones fill this table and must not be able to grow it without bound, nor to push each other out.
 * When it is full, entries that were answered yield first, then the oldest that came in clear: a
 * flood of those costs only itself, and whoever sends one REGISTER among them has as long as the
 * flood needs to go round. What came over SAs never yields.
 */
#include "daemon/sip_pending.h"
#include "daemon/timer.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sip_pending_table {
	struct sip_pending *entries;
	struct sip_pending *queues[SIP_PENDING_RANKS];
	size_t bytes;
};

struct sip_pending_table *sip_pending_new(void)
{
	return calloc(1, sizeof(struct sip_pending_table));
}

static void free_entry(struct sip_pending *entry)
{
	for (size_t i = 0; i < SIP_PENDING_TEXTS; i++)
		free(entry->text[i]);
	free(entry);
}

static void remove_entry(struct sip_pending_table *table, struct sip_pending *entry)
{
	/* An entry in the hash has a head: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(table->entries, entry);
	DL_DELETE(table->queues[entry->rank], entry);
	table->bytes -= entry->bytes;
	free_entry(entry);
}

void sip_pending_free(struct sip_pending_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < SIP_PENDING_RANKS; i++) {
		while (table->queues[i])
			remove_entry(table, table->queues[i]);
	}
	free(table);
}

size_t sip_pending_count(const struct sip_pending_table *table)
{
	return HASH_COUNT(table->entries);
}

static void expire(struct sip_pending_table *table)
{
	const uint64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < SIP_PENDING_RANKS; i++) {
		while (table->queues[i] && table->queues[i]->deadline_ms <= now)
			remove_entry(table, table->queues[i]);
	}
}

static bool is_full(const struct sip_pending_table *table, size_t bytes)
{
	return HASH_COUNT(table->entries) >= SIP_PENDING_MAX ||
	       table->bytes + bytes > SIP_PENDING_MAX_BYTES;
}

/* False: nothing yields. */
static bool make_room(struct sip_pending_table *table, size_t bytes)
{
	while (is_full(table, bytes)) {
		struct sip_pending *oldest = table->queues[SIP_PENDING_ANSWERED];

		if (!oldest)
			oldest = table->queues[SIP_PENDING_CLEAR];
		if (!oldest)
			return false;
		remove_entry(table, oldest);
	}
	return true;
}

/* The queues are in the order of the deadlines. */
static void enqueue(struct sip_pending_table *table, struct sip_pending *entry)
{
	entry->deadline_ms = clock_monotonic_ms() + SIP_PENDING_LIFE_MS;
	DL_APPEND(table->queues[entry->rank], entry);
}

static size_t bytes_of(const struct sip_pending *entry)
{
	size_t bytes = sizeof(*entry);

	for (size_t i = 0; i < SIP_PENDING_TEXTS; i++)
		bytes += strlen(entry->text[i]) + 1;
	return bytes;
}

static struct sip_pending *copy_of(const struct sip_pending *entry)
{
	struct sip_pending *copy = malloc(sizeof(*copy));
	bool whole = true;

	if (!copy)
		return NULL;
	*copy = *entry;
	memset(&copy->hh, 0, sizeof(copy->hh));
	for (size_t i = 0; i < SIP_PENDING_TEXTS; i++) {
		copy->text[i] = strdup(entry->text[i]);
		whole = whole && copy->text[i];
	}
	if (whole)
		return copy;
	free_entry(copy);
	return NULL;
}

static bool is_same_place(const struct sip_place *a, const struct sip_place *b)
{
	return a->port == b->port && ip_equal(&a->address, &b->address);
}

static bool is_retransmission(const struct sip_pending *a, const struct sip_pending *b)
{
	return is_same_place(&a->local, &b->local) && is_same_place(&a->remote, &b->remote) &&
	       !strcmp(a->text[SIP_PENDING_IMPI], b->text[SIP_PENDING_IMPI]) &&
	       !strcmp(a->text[SIP_PENDING_SECURITY_CLIENT], b->text[SIP_PENDING_SECURITY_CLIENT]);
}

static int enter(struct sip_pending_table *table, const struct sip_pending *entry,
		 struct refusal *refusal)
{
	struct sip_pending *copy = copy_of(entry);

	if (!copy)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	copy->bytes = bytes_of(copy);
	if (!make_room(table, copy->bytes)) {
		free_entry(copy);
		return refuse(refusal, REASON_LIMIT, "too many REGISTERs wait for their responses");
	}
	HASH_ADD_KEYPTR(hh, table->entries, copy->text[SIP_PENDING_KEY],
			(unsigned)strlen(copy->text[SIP_PENDING_KEY]), copy);
	if (!copy->hh.tbl) {
		free_entry(copy);
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	}
	table->bytes += copy->bytes;
	enqueue(table, copy);
	return 0;
}

int sip_pending_add(struct sip_pending_table *table, const struct sip_pending *entry,
		    struct refusal *refusal)
{
	struct sip_pending *earlier = sip_pending_find(table, entry->text[SIP_PENDING_KEY]);

	if (!earlier)
		return enter(table, entry, refusal);
	if (!is_retransmission(earlier, entry))
		return refuse(refusal, REASON_TRANSACTION_IN_USE,
			      "another REGISTER has the same branch, Call-ID and CSeq");
	DL_DELETE(table->queues[earlier->rank], earlier);
	enqueue(table, earlier);
	return 0;
}

struct sip_pending *sip_pending_find(struct sip_pending_table *table, const char *key)
{
	struct sip_pending *entry;

	expire(table);
	HASH_FIND(hh, table->entries, key, (unsigned)strlen(key), entry);
	return entry;
}

void sip_pending_answered(struct sip_pending_table *table, struct sip_pending *entry)
{
	DL_DELETE(table->queues[entry->rank], entry);
	entry->rank = SIP_PENDING_ANSWERED;
	enqueue(table, entry);
}

void sip_pending_relisten(struct sip_pending_table *table, const struct config_listener *before,
			  const struct config_listener *const *heirs)
{
	struct sip_pending *entry, *next;

	HASH_ITER(hh, table->entries, entry, next) {
		entry->listener = heirs[entry->listener - before];
		if (!entry->listener)
			remove_entry(table, entry);
	}
}
