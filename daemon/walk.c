/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk notes the ids of all sets when it begins and looks each up when its turn comes: a pointer
 * would not outlive the turns of the loop between, and the table needs no second order of its own.
 */
#include "daemon/walk.h"

#include <errno.h>
#include <stdlib.h>

int walk_begin(struct walk *walk, struct sa_table *table)
{
	const size_t count = HASH_COUNT(table->sets);
	const struct sa_set *set;

	walk_end(walk);
	if (!count)
		return 0;
	walk->ids = calloc(count, sizeof(walk->ids[0]));
	if (!walk->ids)
		return -ENOMEM;
	walk->table = table;
	for (set = table->sets; set; set = set->hh.next)
		walk->ids[walk->count++] = set->id;
	return 0;
}

size_t walk_next(struct walk *walk, struct sa_set *ret[static WALK_SETS])
{
	size_t n = 0;

	while (n < WALK_SETS && walk->next < walk->count) {
		struct sa_set *set = sa_table_by_id(walk->table, walk->ids[walk->next++]);

		if (set)
			ret[n++] = set;
	}
	if (!n)
		walk_end(walk);
	return n;
}


void walk_end(struct walk *walk)
{
	free(walk->ids);
	*walk = (struct walk){ 0 };
}
