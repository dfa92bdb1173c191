/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of one Security-* header as a message carried them; they are one list (RFC 3329 4.1).
 */
#ifndef DAEMON_LINES_H
#define DAEMON_LINES_H

#include "proto/compare.h"

struct lines {
	struct span line[SEC_MAX_LINES + 1]; /* one more than the parser takes, for it to refuse */
	size_t count; /* 0: the message has no such header */
};

/* All lines as one value, joined by ", "; to be freed. NULL when memory is short. */
char *lines_join(const struct lines *lines);

/* Do the lines @got say the same list as the value @kept? Nothing is not the same as anything, and
 * neither is what cannot be read. @ret_why, cut to @cap, says the first difference in words; it may
 * be NULL when @cap is 0. Returns 0 (they do), -EBADMSG (they do not), -ENOMEM (nobody knows). */
int lines_compare(const char *kept, const struct lines *got, enum compare_mode mode, char *ret_why,
		  size_t cap);

#endif
