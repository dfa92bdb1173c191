/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of a front end as text, for phones.h's phones.
 */
#ifndef TESTS_BENCH_CALLS_H
#define TESTS_BENCH_CALLS_H

#include "tests/bench/phones.h"

#define CALL_LIST_BYTES   1024 /* Security-Server */
#define CALL_CLIENT_BYTES 1024 /* Security-Client */

struct callers {
	struct phones how;
	uint32_t first; /* phone[0] has this number */
	bool six_offers; /* in each Security-Client; else three */
	uint64_t end_ns; /* when the sets shall be over, all in the second before it; 0: in an hour */
	struct phone *phone;
	char (*list)[CALL_LIST_BYTES]; /* what each was offered */
};

/* One kind of call. */
struct call {
	const char *name, *method;
	int (*write)(const struct callers *c, uint32_t n, char *buf, size_t cap); /* params */
};

/* "offer", "check" (the REGISTER on a temporary set), "use" (any message on a living one),
 * "confirm", "extend", "route", "release". */
const struct call *call_by_name(const char *name);

/* The request as one line, for the phone at index @n. Returns its length. */
size_t call_write(const struct call *call, const struct callers *c, uint32_t n, char *buf,
		  size_t cap);

/* What the answer to an offer says goes into the phone. */
void call_take_offer(struct callers *c, uint32_t n, const char *line);

void callers_make(struct callers *c, uint32_t phones);
void callers_done(struct callers *c);

#endif
