/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is freed is wiped first, to the end of the block that the allocator really gave: nobody has
 * to know how much of it was in use, and blocks from before and after a library was told of these
 * functions can be mixed.
 */
#include "daemon/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *wipe_realloc(void *p, size_t bytes)
{
	const size_t old_bytes = p ? malloc_usable_size(p) : 0;
	void *moved = malloc(bytes);

	if (!moved)
		return NULL;
	if (p)
		memcpy(moved, p, old_bytes < bytes ? old_bytes : bytes);
	wipe_free(p);
	return moved;
}

void wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}
