/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch of no_memory.h. Only what is linked here has no memory: libraries go on with theirs.
 */
#include "tests/unit/no_memory.h"

#include <stddef.h>

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

bool no_memory;

void *__wrap_malloc(size_t bytes)
{
	return no_memory ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return no_memory ? NULL : __real_calloc(count, bytes);
}
