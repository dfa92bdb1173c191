/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys, and a free() that counts what it is given with one of them inside, as text or as bytes. Link
 * key_leaks.c with KEY_LEAKS_LDFLAGS of units.mk.
 */
#ifndef TESTS_UNIT_KEY_LEAKS_H
#define TESTS_UNIT_KEY_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CK "c1c2c3c4c5c6c7c8c9cacbcccdcecfc0"
#define IK "a1a2a3a4a5a6a7a8a9aaabacadaeafa0"

extern const uint8_t CK_BYTES[16], IK_BYTES[16];
extern unsigned key_leaks; /* since it was set to 0 */

bool has_key(const void *data, size_t n);

#endif
