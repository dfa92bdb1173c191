/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameters as JSON text. Errors are kept in the text under work, so that the caller looks once, at
 * the end. What is written may be a key: memory that is left behind is wiped.
 */
#include "daemon/client/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024

void json_out_done(struct json_out *out)
{
	if (out->text)
		explicit_bzero(out->text, out->cap);
	free(out->text);
	*out = (struct json_out){0};
}

/* Room for @n more and a NUL. realloc() would leave a copy behind. */
static bool reserve(struct json_out *out, size_t n)
{
	size_t cap = out->cap ? out->cap : FIRST_BYTES;
	char *text;

	if (out->err)
		return false;
	while (cap - out->n <= n)
		cap *= 2;
	if (cap == out->cap)
		return true;
	text = malloc(cap);
	if (!text) {
		out->err = -ENOMEM;
		return false;
	}
	if (out->text) {
		memcpy(text, out->text, out->n);
		explicit_bzero(out->text, out->cap);
		free(out->text);
	}
	out->text = text;
	out->cap = cap;
	return true;
}

static void put_bytes(struct json_out *out, const char *bytes, size_t n)
{
	if (!reserve(out, n))
		return;
	memcpy(out->text + out->n, bytes, n);
	out->n += n;
	out->text[out->n] = '\0';
}

void json_put(struct json_out *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

void json_put_number(struct json_out *out, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	json_put(out, text);
}

/* The length of the UTF-8 sequence at @p, 0 if there is none. RFC 3629 4. */
static size_t utf8_length(const unsigned char *p)
{
	size_t n;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : p[0] >= 0xE0 && p[0] <= 0xEF ? 3
	    : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
	    (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return n;
}

static void put_control(struct json_out *out, unsigned char c)
{
	char text[8];

	snprintf(text, sizeof(text), "\\u%04x", c);
	json_put(out, text);
}

void json_put_string(struct json_out *out, const char *text)
{
	json_put(out, "\"");
	while (*text) {
		const size_t n = utf8_length((const unsigned char *)text);

		if (!n) {
			out->err = out->err ? out->err : -EINVAL;
			return;
		}
		if (*text == '"' || *text == '\\')
			json_put(out, "\\");
		if ((unsigned char)*text < 0x20)
			put_control(out, (unsigned char)*text);
		else
			put_bytes(out, text, n);
		text += n;
	}
	json_put(out, "\"");
}

/* RFC 4648 4 */
void json_put_base64(struct json_out *out, const char *bytes, size_t n)
{
	static const char DIGITS[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)bytes;

	json_put(out, "\"");
	for (; n; p += 3) {
		const unsigned int word = (unsigned int)p[0] << 16 |
					  (n > 1 ? (unsigned int)p[1] << 8 : 0) |
					  (n > 2 ? p[2] : 0);
		char four[4] = {DIGITS[word >> 18], DIGITS[word >> 12 & 63],
				n > 1 ? DIGITS[word >> 6 & 63] : '=', n > 2 ? DIGITS[word & 63] : '='};

		put_bytes(out, four, sizeof(four));
		explicit_bzero(four, sizeof(four));
		if (n <= 3)
			break;
		n -= 3;
	}
	json_put(out, "\"");
}
