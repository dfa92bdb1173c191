/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Findings, randomness that repeats, and pieces of text. fuzz_begin() is the first call of each
 * target; there is no other state. An input that was a finding once is one again, alone and in any
 * company: identifiers, SPIs and hash keys come from the generator below.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned int flags);
int __wrap_random_draw(void *ret, size_t n);

static uint64_t random_state;

_Noreturn void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

void fuzz_begin(void)
{
	random_state = 0x9e3779b97f4a7c15u;
}

/* xorshift64* (Vigna) */
static uint64_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1du;
}

/* What the daemon draws ahead would be left over from the input before. */
int __wrap_random_draw(void *ret, size_t n)
{
	return __wrap_getrandom(ret, n, 0) == (ssize_t)n ? 0 : -EIO;
}

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned int flags)
{
	uint8_t *p = buf;

	(void)flags;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(next_random() >> 56);
	return (ssize_t)n;
}

struct span fuzz_copy(struct span text)
{
	char *copy = malloc(text.n ? text.n : 1);

	CHECK(copy);
	if (text.n)
		memcpy(copy, text.p, text.n);
	return (struct span){copy, text.n};
}

void fuzz_free(struct span copy)
{
	free((char *)(uintptr_t)copy.p);
}

struct span fuzz_skip(struct span s, size_t n)
{
	return (struct span){s.p + n, s.n - n};
}

struct span fuzz_line(struct span *rest)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	const struct span line = {rest->p, end ? (size_t)(end - rest->p) : rest->n};

	*rest = fuzz_skip(*rest, line.n + (end ? 1 : 0));
	return line;
}

bool fuzz_is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}
