/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pieces of text that belong to somebody else, and the character classes of RFC 3261.
 *
 * A span never owns its bytes and is not terminated by NUL. Nothing here allocates.
 */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

/* A span over a NUL-terminated string, which must outlive it. */
static inline struct span span_of(const char *s)
{
	return (struct span){s, strlen(s)};
}

/* Equal, ASCII case folded (RFC 3261 7.3.1). Most comparisons end with the lengths. */
bool text_equal_nocase(const char *a, const char *b, size_t n);

static inline bool span_equal_nocase(struct span a, struct span b)
{
	return a.n == b.n && text_equal_nocase(a.p, b.p, a.n);
}

static inline bool span_is(struct span a, const char *b)
{
	return span_equal_nocase(a, span_of(b));
}

/* Equal byte for byte. */
bool span_equal(struct span a, struct span b);

/* RFC 3261 25.1: how many characters of a token are at the start of @s; and is all of it one? */
size_t text_token(struct span s);
bool text_is_token(struct span s);

/* SP or HTAB. */
bool text_is_wsp(unsigned char c);

/* ASCII only, whatever the locale. */
char text_lower(char c);

/* Length of one fold at the start of @s: CRLF 1*WSP, or a bare LF with WSP behind it; 0 when there
 * is none. It means one SP (RFC 3261 7.3.1). */
size_t text_fold(struct span s);

/* Length of the SWS at the start of @s: spaces, tabs and folds. A line end without WSP behind it is
 * not white space. RFC 3261 25.1. */
size_t text_sws(struct span s);

/* Decimal digits only, the whole span, 1..@max_digits of them, value 0..@max.
 * Returns 0 and *@ret_value, -EINVAL (not digits, empty or too many), -ERANGE (above @max). */
int text_to_u32(struct span s, size_t max_digits, uint32_t max, uint32_t *ret_value);

/* Exactly @len bytes from 2*@len hexadecimal digits of either case. Returns 0 or -EINVAL; on
 * failure @ret has been cleared, since what it held may have been half a key. */
int text_from_hex(struct span s, uint8_t *ret, size_t len);

/* 2*@len lower case digits and NUL into @ret. */
void text_to_hex(const uint8_t *bytes, size_t len, char *ret);

/* A text under construction in somebody's buffer, terminated by NUL at every moment. What does not
 * fit is cut and remembered. */
struct text_out {
	char *buf; /* may be NULL when @cap is 0 */
	size_t cap; /* with the NUL */
	size_t n;
	bool cut;
};

void text_out_init(struct text_out *out, char *buf, size_t cap);
void text_out_span(struct text_out *out, struct span s);
void text_out(struct text_out *out, const char *text);
void text_out_number(struct text_out *out, uint64_t number);
void text_out_lower(struct text_out *out, struct span s); /* ASCII letters in lower case */
void text_out_printf(struct text_out *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The length without NUL, or -ENOSPC when something was cut; then the buffer holds "". */
int text_out_end(struct text_out *out);

#endif
