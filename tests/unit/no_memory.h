/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc() and calloc() that fail while @no_memory is true. Link no_memory.c with NO_MEMORY_LDFLAGS
 * of units.mk.
 */
#ifndef TESTS_UNIT_NO_MEMORY_H
#define TESTS_UNIT_NO_MEMORY_H

#include <stdbool.h>

extern bool no_memory;

#endif
