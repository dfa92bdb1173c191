/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of "name=value" pairs. Each byte is of one of three kinds, and a value is gone through in
 * runs of a kind: nearly all values are one run of plain bytes, and are not copied.
 */
#include "daemon/quote.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How a byte stands in a value. */
enum byte_kind {
	BYTE_ESCAPED, /* and the value in quotation marks */
	BYTE_QUOTED,  /* as it is, the value in quotation marks */
	BYTE_PLAIN,
};

static const enum byte_kind kinds[UINT8_MAX + 1] = {
	[' '] = BYTE_QUOTED,       ['='] = BYTE_QUOTED,        ['!'] = BYTE_PLAIN,
	['#' ... '<'] = BYTE_PLAIN, ['>' ... '['] = BYTE_PLAIN, [']' ... '~'] = BYTE_PLAIN,
};

static size_t run_of(enum byte_kind kind, const char *text, size_t max)
{
	size_t n = 0;

	while (n < max && kinds[(unsigned char)text[n]] >= kind)
		n++;
	return n;
}

static size_t escape(unsigned char c, char *ret)
{
	if (c < ' ' || c > '~')
		return (size_t)sprintf(ret, "\\x%02x", c);
	ret[0] = '\\';
	ret[1] = (char)c;
	return 2;
}

/* Returns the length. */
static size_t quote(const char *text, size_t max, char *ret)
{
	const char *end = text + strnlen(text, max);
	char *to = ret;

	*to++ = '"';
	while (text < end) {
		const size_t n = run_of(BYTE_QUOTED, text, (size_t)(end - text));

		to = mempcpy(to, text, n);
		text += n;
		if (text < end)
			to += escape((unsigned char)*text++, to);
	}
	*to++ = '"';
	to = stpcpy(to, *text ? "..." : "");
	return (size_t)(to - ret);
}

const char *quote_value(const char *value, size_t max, char *buf, size_t *ret_n)
{
	const size_t n = run_of(BYTE_PLAIN, value, max);

	if (n && !value[n]) {
		*ret_n = n;
		return value;
	}
	*ret_n = quote(value, max, buf);
	return buf;
}
