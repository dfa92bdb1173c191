/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public identities that are registered over a set (TS 33.203 7.1 rule 1): a text, one identity
 * a line. A line that begins with a tab came along with the one above it (an implicit registration
 * set, TS 24.229 5.2.2): they stay and go together.
 */
#ifndef DAEMON_IMPU_H
#define DAEMON_IMPU_H

#include <stdbool.h>

/* @identity, alone or along with another one. */
bool impu_has(const char *list, const char *identity);

/* Register @identity, and along with it those of @along (one a line, no tabs; NULL = not known):
 * *@list is then another text, freed by its owner as before. One that came along with another stays
 * where it is. Returns 0, -ENOMEM (then nothing has changed). */
int impu_add(char **list, const char *identity, const char *along);

/* De-register @identity and all that came with it, or that it came with. One that is not listed came
 * along unnoticed: if there is but one registration, with that. Returns whether any are left. */
bool impu_remove(char *list, const char *identity);

#endif
