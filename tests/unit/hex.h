/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expected bytes, written so that a person can check them against the kernel's structures:
 * pairs of hexadecimal digits, 'text', and 00*N for a byte N times; blanks separate.
 * Numbers stand in the machine's order: these are written for little-endian ones.
 */
#ifndef TESTS_UNIT_HEX_H
#define TESTS_UNIT_HEX_H

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline size_t hex_byte(const char *text, uint8_t *ret)
{
	char pair[3] = {text[0], text[1], '\0'};

	assert_true(isxdigit((unsigned char)pair[0]) && isxdigit((unsigned char)pair[1]));
	*ret = (uint8_t)strtoul(pair, NULL, 16);
	return 2;
}

static inline size_t hex_text(const char *text, uint8_t *out, size_t *ret_bytes)
{
	const char *end = strchr(text + 1, '\'');

	assert_non_null(end);
	*ret_bytes = (size_t)(end - text) - 1;
	memcpy(out, text + 1, *ret_bytes);
	return *ret_bytes + 2;
}

/* Returns the number of bytes; @out is large enough by the test's own knowledge. */
static inline size_t hex(const char *text, uint8_t *out)
{
	size_t n = 0;

	while (*text) {
		size_t bytes = 1;

		if (*text == ' ') {
			text++;
		} else if (*text == '\'') {
			text += hex_text(text, out + n, &bytes);
			n += bytes;
		} else {
			text += hex_byte(text, out + n);
			if (*text == '*')
				bytes = strtoul(text + 1, (char **)(uintptr_t)&text, 10);
			memset(out + n, out[n], bytes);
			n += bytes;
		}
	}
	return n;
}

static inline void assert_bytes(const void *got, size_t got_bytes, const char *expected)
{
	uint8_t want[4096];
	size_t n = hex(expected, want);

	assert_int_equal(got_bytes, n);
	assert_memory_equal(got, want, n);
}

#endif
