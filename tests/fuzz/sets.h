/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world of the unit tests for fuzz targets, and words in an input that stand for what only the
 * daemon knows: so an input can answer what it was told.
 */
#ifndef TESTS_FUZZ_SETS_H
#define TESTS_FUZZ_SETS_H

#include "proto/text.h"

struct sa_set;

#define SETS_MAX 12 /* max-sets of the configuration */

/* An empty world, and its end: then nothing may be left in it. */
void sets_begin(void);
void sets_end(void);

/* Everything in world_check(). */
void sets_check(void);

/* The @nth set from the newest; NULL: there are not so many. */
const struct sa_set *sets_nth(size_t nth);

/* @text with $I, $S and $C replaced, each with a digit N behind it: the id, the Security-Server and
 * the Security-Client of sets_nth(N). Of a set that is not there they are empty. fuzz_free() */
struct span sets_expand(struct span text);

#endif
