/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watch of key_leaks.h. A part of a key is one: half of it is looked for. Only what is linked here
 * is seen: libraries go on with their free().
 */
#include "tests/unit/key_leaks.h"

#include <malloc.h>
#include <string.h>

void __real_free(void *p);
void __wrap_free(void *p);

const uint8_t CK_BYTES[16] = {0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
			      0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xc0};
const uint8_t IK_BYTES[16] = {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
			      0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xa0};
unsigned key_leaks;

bool has_key(const void *data, size_t n)
{
	return memmem(data, n, CK, 8) || memmem(data, n, IK, 8) || memmem(data, n, CK_BYTES, 8) ||
	       memmem(data, n, IK_BYTES, 8);
}

void __wrap_free(void *p)
{
	if (p && has_key(p, malloc_usable_size(p)))
		key_leaks++;
	__real_free(p);
}
