/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans, the character classes of RFC 3261 25.1, numbers and hexadecimal.
 *
 * The bottom of proto/: everything that reads a header reads it through these. All functions are
 * pure; a span points into bytes that the caller keeps alive, a text_out writes into a buffer that
 * the caller owns. The C library's ctype.h is not used: its answers depend on the locale, those of
 * SIP do not. Nothing here knows what a header is.
 */
#include "proto/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char text_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equal_nocase(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i] && text_lower(a[i]) != text_lower(b[i]))
			return false;
	}
	return true;
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~") */
static const bool token_chars[UINT8_MAX + 1] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
	['.'] = true,         ['!'] = true,         ['%'] = true,         ['*'] = true,
	['_'] = true,         ['+'] = true,         ['`'] = true,         ['\''] = true,
	['~'] = true,
};

size_t text_token(struct span s)
{
	size_t n = 0;

	while (n < s.n && token_chars[(unsigned char)s.p[n]])
		n++;
	return n;
}

bool text_is_token(struct span s)
{
	return s.n > 0 && text_token(s) == s.n;
}

bool text_is_wsp(unsigned char c)
{
	return c == ' ' || c == '\t';
}

size_t text_fold(struct span s)
{
	size_t i = 0;

	if (i < s.n && s.p[i] == '\r')
		i++;
	if (i == s.n || s.p[i] != '\n')
		return 0;
	i++;
	if (i == s.n || !text_is_wsp((unsigned char)s.p[i]))
		return 0;
	while (i < s.n && text_is_wsp((unsigned char)s.p[i]))
		i++;
	return i;
}

size_t text_sws(struct span s)
{
	size_t i = 0;

	while (i < s.n) {
		size_t step = text_is_wsp((unsigned char)s.p[i]) ? 1 : 0;

		if (!step)
			step = text_fold((struct span){s.p + i, s.n - i});
		if (!step)
			break;
		i += step;
	}
	return i;
}

int text_to_u32(struct span s, size_t max_digits, uint32_t max, uint32_t *ret_value)
{
	uint64_t value = 0;

	if (s.n == 0 || s.n > max_digits)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit((unsigned char)s.p[i]))
			return -EINVAL;
	}
	for (size_t i = 0; i < s.n; i++) {
		value = value * 10 + (uint64_t)(s.p[i] - '0');
		if (value > max)
			return -ERANGE;
	}
	*ret_value = (uint32_t)value;
	return 0;
}

static int hex_digit(char c)
{
	if (is_digit((unsigned char)c))
		return c - '0';
	c = text_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_from_hex(struct span s, uint8_t *ret, size_t len)
{
	if (s.n / 2 != len || s.n % 2)
		goto bad;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(s.p[2 * i]);
		int low = hex_digit(s.p[2 * i + 1]);

		if (high < 0 || low < 0)
			goto bad;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
bad:
	explicit_bzero(ret, len);
	return -EINVAL;
}

void text_to_hex(const uint8_t *bytes, size_t len, char *ret)
{
	static const char DIGITS[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*ret++ = DIGITS[bytes[i] >> 4];
		*ret++ = DIGITS[bytes[i] & 0xf];
	}
	*ret = '\0';
}

void text_out_init(struct text_out *out, char *buf, size_t cap)
{
	*out = (struct text_out){.buf = buf, .cap = cap};
	if (cap)
		buf[0] = '\0';
}

/* How many more bytes there is room for. */
static size_t out_room(const struct text_out *out)
{
	return out->cap ? out->cap - 1 - out->n : 0;
}

static void out_char(struct text_out *out, char c)
{
	if (!out_room(out)) {
		out->cut = true;
		return;
	}
	out->buf[out->n++] = c;
	out->buf[out->n] = '\0';
}

void text_out_span(struct text_out *out, struct span s)
{
	const size_t room = out_room(out), n = s.n < room ? s.n : room;

	if (n) {
		memcpy(out->buf + out->n, s.p, n);
		out->n += n;
		out->buf[out->n] = '\0';
	}
	out->cut |= n < s.n;
}

void text_out(struct text_out *out, const char *text)
{
	text_out_span(out, span_of(text));
}

void text_out_number(struct text_out *out, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	text_out_span(out, (struct span){at, (size_t)(digits + sizeof(digits) - at)});
}

void text_out_lower(struct text_out *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		out_char(out, text_lower(s.p[i]));
}

void text_out_printf(struct text_out *out, const char *fmt, ...)
{
	size_t room = out_room(out);
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(out->cap ? out->buf + out->n : NULL, out->cap ? room + 1 : 0, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n > room) {
		out->cut = true;
		out->n += n < 0 ? 0 : room;
	} else {
		out->n += (size_t)n;
	}
}

int text_out_end(struct text_out *out)
{
	if (!out->cut)
		return (int)out->n;
	text_out_init(out, out->buf, out->cap);
	return -ENOSPC;
}
