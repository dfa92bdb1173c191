/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of taken SPIs. Entries whose owner is gone stay in it until their quarantine ends; they
 * form a queue in the order of release, which each spi_take() shortens from its head.
 */
#include "daemon/spi.h"
#include "daemon/hash.h"
#include "daemon/random.h"
#include "daemon/timer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* With at most a few million of four billion in use, more tries than this mean a broken generator. */
#define MAX_TRIES 64

struct spi_entry {
	UT_hash_handle hh;
	void *owner; /* NULL: resting */
	struct spi_entry *next_resting;
	uint64_t free_at_ms;
	uint32_t spi;
};

struct spi_pool {
	struct spi_entry *entries;
	struct spi_entry *resting_first, *resting_last;
};

struct spi_pool *spi_pool_new(void)
{
	return calloc(1, sizeof(struct spi_pool));
}

void spi_pool_free(struct spi_pool *pool)
{
	struct spi_entry *entry, *next;

	if (!pool)
		return;
	HASH_ITER(hh, pool->entries, entry, next) {
		/* Out before it is freed: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		HASH_DEL(pool->entries, entry);
		free(entry);
	}
	free(pool);
}

static struct spi_entry *find(const struct spi_pool *pool, uint32_t spi)
{
	struct spi_entry *entry;

	HASH_FIND(hh, pool->entries, &spi, sizeof(spi), entry);
	return entry;
}

static void end_quarantines(struct spi_pool *pool)
{
	const uint64_t now = clock_monotonic_ms();
	struct spi_entry *entry;

	while ((entry = pool->resting_first) && entry->free_at_ms <= now) {
		pool->resting_first = entry->next_resting;
		if (!pool->resting_first)
			pool->resting_last = NULL;
		/* It rests in the hash, so that has a head:
		   NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		HASH_DEL(pool->entries, entry);
		free(entry);
	}
}

static bool usable(const struct spi_pool *pool, uint32_t spi, const uint32_t *avoid, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (avoid[i] == spi)
			return false;
	}
	return spi >= SPI_MIN && !find(pool, spi);
}

static int add(struct spi_pool *pool, uint32_t spi, void *owner)
{
	struct spi_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->spi = spi;
	entry->owner = owner;
	HASH_ADD(hh, pool->entries, spi, sizeof(spi), entry);
	if (entry->hh.tbl)
		return 0;
	free(entry);
	return -ENOMEM;
}

int spi_take(struct spi_pool *pool, const uint32_t *avoid, size_t avoid_count, void *owner,
	     uint32_t *ret_spi)
{
	uint32_t spi;
	int err;

	end_quarantines(pool);
	for (unsigned tries = 0;; tries++) {
		if (tries == MAX_TRIES || random_draw(&spi, sizeof(spi)) < 0)
			return -ENOSPC;
		if (usable(pool, spi, avoid, avoid_count))
			break;
	}
	err = add(pool, spi, owner);
	if (!err)
		*ret_spi = spi;
	return err;
}

int spi_claim(struct spi_pool *pool, uint32_t spi, void *owner)
{
	return usable(pool, spi, NULL, 0) ? add(pool, spi, owner) : -EEXIST;
}

void spi_release(struct spi_pool *pool, uint32_t spi)
{
	struct spi_entry *entry = find(pool, spi);

	if (!entry || !entry->owner)
		return;
	entry->owner = NULL;
	entry->free_at_ms = clock_monotonic_ms() + SPI_QUARANTINE_MS;
	if (pool->resting_last)
		pool->resting_last->next_resting = entry;
	else
		pool->resting_first = entry;
	pool->resting_last = entry;
}

void *spi_owner(const struct spi_pool *pool, uint32_t spi)
{
	const struct spi_entry *entry = find(pool, spi);

	return entry ? entry->owner : NULL;
}
