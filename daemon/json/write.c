/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON is written from left to right into memory that grows; there is no tree of it before. Whether
 * a comma is due shows from the last byte: none follows the beginning, a bracket that opens, a name
 * or a line end.
 *
 * Errors are kept in the text under work, so that the caller looks once, at the end. What is
 * written may be a key: memory that is left behind is wiped.
 */
#include "daemon/json/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 2048

void json_out_done(struct json_out *out)
{
	if (out->text)
		explicit_bzero(out->text, out->cap);
	free(out->text);
	*out = (struct json_out){0};
}

void json_out_cut(struct json_out *out, size_t n)
{
	out->err = 0;
	out->n = n;
	if (out->text)
		out->text[n] = '\0';
}

/* realloc() would leave a copy behind. */
static bool grow(struct json_out *out, size_t n)
{
	size_t cap = out->cap ? out->cap : FIRST_BYTES;
	char *text;

	while (cap - out->n <= n)
		cap *= 2;
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

/* Is there room for @n more bytes and a NUL? */
static inline bool room(struct json_out *out, size_t n)
{
	return !out->err && (out->cap - out->n > n || grow(out, n));
}

static void put_bytes(struct json_out *out, const char *bytes, size_t n)
{
	if (!room(out, n))
		return;
	memcpy(out->text + out->n, bytes, n);
	out->n += n;
	out->text[out->n] = '\0';
}

static void put_byte(struct json_out *out, char byte)
{
	put_bytes(out, &byte, 1);
}

void json_put(struct json_out *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

static inline bool comma_is_due(const struct json_out *out)
{
	switch (out->n ? out->text[out->n - 1] : '\n') {
	case '{':
	case '[':
	case ':':
	case ',':
	case '\n':
		return false;
	}
	return true;
}

static void separate(struct json_out *out)
{
	if (comma_is_due(out))
		put_byte(out, ',');
}

void json_open(struct json_out *out, char bracket)
{
	separate(out);
	put_byte(out, bracket);
}

void json_close(struct json_out *out, char bracket)
{
	put_byte(out, bracket);
}

/* ---- strings ---- */

size_t json_utf8_bytes(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t bytes;

	if (!n)
		return 0;
	if (p[0] < 0x80)
		return 1;
	bytes = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
		: p[0] >= 0xE0 && p[0] <= 0xEF ? 3
		: p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
					       : 0;
	if (bytes > n)
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
	    (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return bytes;
}

/* RFC 8259 7: @c is a control character, a quotation mark or a backslash. */
static void put_escape(struct json_out *out, char c)
{
	static const char FROM[] = "\"\\\b\f\n\r\t", INTO[] = "\"\\bfnrt",
			  HEX[] = "0123456789ABCDEF";
	const char *which = c ? strchr(FROM, c) : NULL;

	put_byte(out, '\\');
	if (which) {
		put_byte(out, INTO[which - FROM]);
		return;
	}
	put_bytes(out, "u00", 3);
	put_byte(out, HEX[(unsigned char)c >> 4]);
	put_byte(out, HEX[c & 15]);
}

/* One character that is not plain; returns its bytes. */
static size_t put_odd(struct json_out *out, const char *text, size_t n)
{
	const size_t bytes = json_utf8_bytes(text, n);

	if (bytes > 1)
		put_bytes(out, text, bytes);
	else if (bytes)
		put_escape(out, *text);
	else
		put_byte(out, '?');
	return bytes ? bytes : 1;
}

static void put_rest(struct json_out *out, const char *text, size_t n)
{
	size_t at = 0;

	while (at < n) {
		size_t bytes;

		at += put_odd(out, text + at, n - at);
		bytes = json_plain_bytes(text + at, n - at);
		put_bytes(out, text + at, bytes);
		at += bytes;
	}
}

/* Nearly all texts are plain to their end, and go out in one piece with what stands around them.
 * @plain bytes of @text are. @end: 1 or 2 bytes. */
static void put_quoted(struct json_out *out, const char *text, size_t n, size_t plain,
		       const char *end)
{
	char *at;

	if (!room(out, plain + 4))
		return;
	at = out->text + out->n;
	if (comma_is_due(out))
		*at++ = ',';
	*at++ = '"';
	at = mempcpy(at, text, plain);
	at = stpcpy(at, plain == n ? end : "");
	out->n = (size_t)(at - out->text);
	if (plain == n)
		return;
	put_rest(out, text + plain, n - plain);
	json_put(out, end);
}

void json_put_text(struct json_out *out, const char *text, size_t n)
{
	put_quoted(out, text, n, json_plain_bytes(text, n), "\"");
}

void json_name(struct json_out *out, const char *name)
{
	const size_t n = strlen(name);

	put_quoted(out, name, n, n, "\":");
}

void json_foreign_name(struct json_out *out, const char *name)
{
	const size_t n = strlen(name);

	put_quoted(out, name, n, json_plain_bytes(name, n), "\":");
}

static bool is_utf8(const char *text, size_t n)
{
	for (size_t at = 0, bytes; at < n; at += bytes) {
		bytes = json_utf8_bytes(text + at, n - at);
		if (!bytes)
			return false;
	}
	return true;
}

void json_put_string(struct json_out *out, const char *text)
{
	const size_t n = strlen(text);

	if (is_utf8(text, n))
		json_put_text(out, text, n);
	else if (!out->err)
		out->err = -EINVAL;
}

/* RFC 4648 4 */
void json_put_base64(struct json_out *out, const char *bytes, size_t n)
{
	static const char DIGITS[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)bytes;

	separate(out);
	put_byte(out, '"');
	for (; n; p += 3) {
		const unsigned int word = (unsigned int)p[0] << 16 |
					  (n > 1 ? (unsigned int)p[1] << 8 : 0) |
					  (n > 2 ? p[2] : 0);
		char four[4] = {DIGITS[word >> 18], DIGITS[word >> 12 & 63],
				n > 1 ? DIGITS[word >> 6 & 63] : '=',
				n > 2 ? DIGITS[word & 63] : '='};

		put_bytes(out, four, sizeof(four));
		explicit_bzero(four, sizeof(four));
		if (n <= 3)
			break;
		n -= 3;
	}
	put_byte(out, '"');
}

/* ---- other values ---- */

static void put_digits(struct json_out *out, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	put_bytes(out, at, (size_t)(digits + sizeof(digits) - at));
}

void json_put_number(struct json_out *out, uint64_t number)
{
	separate(out);
	put_digits(out, number);
}

void json_put_integer(struct json_out *out, int64_t number)
{
	separate(out);
	if (number < 0)
		put_byte(out, '-');
	put_digits(out, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void json_put_bool(struct json_out *out, bool value)
{
	separate(out);
	json_put(out, value ? "true" : "false");
}

void json_put_null(struct json_out *out)
{
	separate(out);
	json_put(out, "null");
}

void json_add_text(struct json_out *out, const char *name, const char *text)
{
	json_name(out, name);
	json_put_text(out, text, strlen(text));
}

void json_add_number(struct json_out *out, const char *name, uint64_t number)
{
	json_name(out, name);
	json_put_number(out, number);
}

void json_add_bool(struct json_out *out, const char *name, bool value)
{
	json_name(out, name);
	json_put_bool(out, value);
}

void json_add_null(struct json_out *out, const char *name)
{
	json_name(out, name);
	json_put_null(out);
}

static void put_members(struct json_out *out, const struct json_node *node)
{
	const bool is_object = node->kind == NODE_OBJECT;

	json_open(out, is_object ? '{' : '[');
	for (const struct json_node *at = json_first(node); at; at = json_next(at)) {
		if (is_object)
			json_foreign_name(out, at->name);
		json_put_node(out, at);
	}
	json_close(out, is_object ? '}' : ']');
}

void json_put_node(struct json_out *out, const struct json_node *node)
{
	switch (node->kind) {
	case NODE_NULL:
		json_put_null(out);
		break;
	case NODE_FALSE:
	case NODE_TRUE:
		json_put_bool(out, node->kind == NODE_TRUE);
		break;
	case NODE_NUMBER:
		separate(out);
		put_bytes(out, node->text, node->n);
		break;
	case NODE_TEXT:
		json_put_text(out, node->text, node->n);
		break;
	case NODE_ARRAY:
	case NODE_OBJECT:
		put_members(out, node);
		break;
	}
}
