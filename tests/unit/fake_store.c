/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two lists: a change copies the committed one and works on the copy; a commit puts it in its place.
 */
#include "tests/unit/fake_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/set_record.h"
#include "tests/unit/fake_xfrm.h"

struct store fake_store;

static void free_all(struct fake_record **list)
{
	struct fake_record *one;

	while ((one = *list)) {
		*list = one->next;
		free(one->data);
		free(one);
	}
}

void fake_store_reset(void)
{
	free_all(&fake_store.committed);
	free_all(&fake_store.pending);
	memset(&fake_store, 0, sizeof(fake_store));
}

static struct fake_record *record_new(uint64_t serial, const void *data, size_t bytes)
{
	struct fake_record *one = malloc(sizeof(*one));
	uint8_t *copy = malloc(bytes + 1);

	if (!one || !copy) {
		free(one);
		free(copy);
		fake_store.no_memory = true;
		return NULL;
	}
	memcpy(copy, data, bytes);
	*one = (struct fake_record){.serial = serial, .bytes = bytes, .data = copy};
	return one;
}

static bool is_same(const struct fake_record *a, uint64_t serial, const void *data, size_t bytes)
{
	return a->serial == serial &&
	       (serial || (a->bytes == bytes && !memcmp(a->data, data, bytes)));
}

static void remove_from(struct fake_record **list, uint64_t serial, const void *data, size_t bytes)
{
	for (; *list; list = &(*list)->next) {
		if (is_same(*list, serial, data, bytes)) {
			struct fake_record *gone = *list;

			*list = gone->next;
			free(gone->data);
			free(gone);
			return;
		}
	}
}

static void put_into(struct fake_record **list, uint64_t serial, const void *data, size_t bytes)
{
	struct fake_record *one = record_new(serial, data, bytes);

	if (!one)
		return;
	remove_from(list, serial, data, bytes);
	while (*list && (*list)->serial <= serial)
		list = &(*list)->next;
	one->next = *list;
	*list = one;
}

static struct fake_record **change(struct store *s)
{
	if (!s->changing) {
		assert(!s->pending);
		for (const struct fake_record *one = s->committed; one; one = one->next)
			put_into(&s->pending, one->serial, one->data, one->bytes);
		s->changing = true;
	}
	return &s->pending;
}

void store_put(struct store *s, const struct sa_set *set)
{
	uint8_t listener[LISTENER_RECORD_MAX_BYTES], *data;
	struct span record = {(const char *)listener, 0};
	size_t bytes;

	if (!s)
		return;
	assert(set->serial);
	record.n = listener_record_write(set->listener, listener);
	bytes = set_record_bytes(set, record);
	data = malloc(bytes);
	if (!data) {
		change(s);
		s->no_memory = true;
		return;
	}
	set_record_write(set, record, data);
	put_into(change(s), set->serial, data, bytes);
	free(data);
}

void store_forget(struct store *s, const struct sa_set *set)
{
	if (s)
		remove_from(change(s), set->serial, NULL, 0);
}

void store_put_listener(struct store *s, struct span record)
{
	assert(record.n <= LISTENER_RECORD_MAX_BYTES);
	if (s)
		put_into(change(s), 0, record.p, record.n);
}

void store_forget_listener(struct store *s, struct span record)
{
	if (s)
		remove_from(change(s), 0, record.p, record.n);
}

int store_resize(struct store *s, uint32_t max_sets)
{
	(void)max_sets;
	return s ? s->refuse : 0;
}

int store_commit(struct store *s)
{
	int err;

	if (!s || !s->changing)
		return 0;
	s->changing = false;
	if (s->refuse || s->no_memory || fake_xfrm_dead()) {
		err = s->refuse ? s->refuse : s->no_memory ? -ENOMEM : -EIO;
		free_all(&s->pending);
		s->no_memory = false;
		return err;
	}
	free_all(&s->committed);
	s->committed = s->pending;
	s->pending = NULL;
	s->commits++;
	return 0;
}

int store_usage(const struct store *s, struct store_usage *ret)
{
	if (!s)
		return -ENOENT;
	*ret = (struct store_usage){.bytes = 8192, .max_bytes = 1 << 20};
	return 0;
}

int store_read(struct store *s, const struct store_reader *reader)
{
	struct fake_record *one = s ? s->committed : NULL, *next;

	for (; one; one = next) {
		const struct span record = {(const char *)one->data, one->bytes};
		int gone = 0;

		next = one->next;
		if (one->serial && reader->set)
			gone = reader->set(one->serial, record, reader->arg);
		else if (!one->serial && reader->listener)
			gone = reader->listener(record, reader->arg);
		if (gone)
			remove_from(&s->committed, one->serial, one->data, one->bytes);
	}
	return 0;
}

const struct fake_record *fake_store_record(uint64_t serial, size_t nth)
{
	const struct fake_record *one = fake_store.committed;

	while (one && (one->serial != serial || nth--))
		one = one->next;
	return one;
}

static size_t count(bool sets)
{
	size_t n = 0;

	for (const struct fake_record *one = fake_store.committed; one; one = one->next)
		n += (one->serial != 0) == sets;
	return n;
}

size_t fake_store_sets(void)
{
	return count(true);
}

size_t fake_store_listeners(void)
{
	return count(false);
}

void fake_store_set(uint64_t serial, const void *data, size_t bytes)
{
	put_into(&fake_store.committed, serial, data, bytes);
}
