/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One check function for each type of parameter, and the getters that repeat its conversion.
 */
#include "daemon/params.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES      16
#define KEY_DIGITS     (2 * KEY_BYTES)
#define SET_ID_BYTES   8

#define MAX_MESSAGE_BYTES 65535
#define MAX_BASE64_BYTES  ((MAX_MESSAGE_BYTES + 2) / 3 * 4)

static bool is_string(const struct json_node *value)
{
	return value && value->kind == NODE_TEXT;
}

/* NULL: it is none, or not there. */
static struct span string_of(const struct json_node *value)
{
	return is_string(value) ? (struct span){value->text, value->n} : (struct span){NULL, 0};
}

static bool is_text(const struct json_node *value)
{
	const char *text = string_of(value).p;

	if (!text || value->n > PARAM_TEXT_BYTES)
		return false;
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

static bool is_lines(const struct json_node *value)
{
	if (value->kind != NODE_ARRAY || !value->n)
		return is_string(value);
	for (value = json_first(value); value; value = json_next(value)) {
		if (!is_string(value))
			return false;
	}
	return true;
}

static bool is_address(const struct json_node *value)
{
	struct ip_addr ip;

	return is_string(value) && ip_parse(value->text, &ip) == 0;
}

static bool is_number(const struct json_node *value, uint64_t max)
{
	uint64_t number;

	return json_get_number(value, max, &number);
}

static bool is_hex(const struct json_node *value, size_t bytes)
{
	uint8_t buf[KEY_BYTES];
	bool ok;

	if (!is_string(value))
		return false;
	ok = text_from_hex(string_of(value), buf, bytes) == 0;
	explicit_bzero(buf, sizeof(buf));
	return ok;
}

static bool is_word(const struct json_node *value, const char *words)
{
	const size_t len = string_of(value).n;

	while (len && words) {
		const char *end = strchrnul(words, '|');

		if ((size_t)(end - words) == len && !memcmp(words, value->text, len))
			return true;
		words = *end ? end + 1 : NULL;
	}
	return false;
}

/* ---- base64, RFC 4648 4 ---- */

/* -1: none of the alphabet. */
static int base64_value(char c)
{
	static const char ALPHABET[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(ALPHABET, c) : NULL;

	return at ? (int)(at - ALPHABET) : -1;
}

/* Without the padding. */
static size_t base64_digits(struct span s)
{
	size_t n = s.n;

	while (n && s.n - n < 2 && s.p[n - 1] == '=')
		n--;
	return n;
}

bool base64_is(struct span s)
{
	const size_t digits = s.p ? base64_digits(s) : 0;

	for (size_t i = 0; i < digits; i++) {
		if (base64_value(s.p[i]) < 0)
			return false;
	}
	return digits && s.n % 4 == 0;
}

static bool is_base64(const struct json_node *value)
{
	const struct span s = string_of(value);

	return s.n <= MAX_BASE64_BYTES && base64_is(s) &&
	       base64_digits(s) * 3 / 4 <= MAX_MESSAGE_BYTES;
}

static bool is_message(const struct json_node *value)
{
	const size_t bytes = string_of(value).n;

	return bytes && bytes <= MAX_MESSAGE_BYTES;
}

static bool is_place(const struct json_node *value)
{
	const struct json_node *address = json_member(value, "address");

	return address && value->n == 2 && is_address(address) &&
	       is_number(json_member(value, "port"), UINT16_MAX);
}

static bool is_right(const struct json_node *value, const struct param *param)
{
	switch (param->type) {
	case PARAM_TEXT:
		return is_text(value);
	case PARAM_LINES:
		return is_lines(value);
	case PARAM_ADDRESS:
		return is_address(value);
	case PARAM_PORT:
		return is_number(value, UINT16_MAX);
	case PARAM_NUMBER:
		return is_number(value, UINT32_MAX);
	case PARAM_KEY:
		return is_hex(value, KEY_BYTES);
	case PARAM_SET:
		return is_hex(value, SET_ID_BYTES);
	case PARAM_BOOL:
		return value->kind == NODE_TRUE || value->kind == NODE_FALSE;
	case PARAM_WORD:
		return is_word(value, param->help);
	case PARAM_MESSAGE:
		return is_message(value);
	case PARAM_BASE64:
		return is_base64(value);
	case PARAM_PLACE:
		return is_place(value);
	}
	return false;
}

const char *param_type_name(enum param_type type)
{
	switch (type) {
	case PARAM_TEXT:
		return "a string of at most 1024 printable characters";
	case PARAM_LINES:
		return "a string, or an array of strings, one a header line";
	case PARAM_ADDRESS:
		return "an IPv4 or IPv6 address";
	case PARAM_PORT:
		return "a port";
	case PARAM_NUMBER:
		return "a whole number from 0 to 4294967295";
	case PARAM_KEY:
		return "32 hexadecimal digits";
	case PARAM_SET:
		return "a set's id, 16 hexadecimal digits";
	case PARAM_BOOL:
		return "true or false";
	case PARAM_WORD:
		return "one of ";
	case PARAM_MESSAGE:
		return "a string of 1 to 65535 bytes";
	case PARAM_BASE64:
		return "1 to 65535 bytes in base64";
	case PARAM_PLACE:
		return "an object of an address and a port";
	}
	return "?";
}

const char *name_shown(const char *name, char buf[static NAME_SHOWN_BYTES])
{
	const size_t n = strlen(name);

	buf[0] = '\0';
	if (!n || n >= KEY_DIGITS)
		return buf;
	snprintf(buf, NAME_SHOWN_BYTES, " \"%s\"", name);
	for (char *c = buf + 2; c < buf + 2 + n; c++) {
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
	}
	return buf;
}

static const struct param *find(const struct param *params, const char *name)
{
	for (; params->name; params++) {
		if (!strcmp(params->name, name))
			return params;
	}
	return NULL;
}

int params_check(const struct param *params, const struct json_node *object, char *ret_why,
		 size_t why_cap)
{
	const struct json_node *value;
	char shown[NAME_SHOWN_BYTES];

	for (value = json_first(object); value; value = json_next(value)) {
		const struct param *param = find(params, value->name);

		if (!param) {
			snprintf(ret_why, why_cap,
				 "unknown parameter%s; daemon.methods lists those that there are",
				 name_shown(value->name, shown));
			return -EINVAL;
		}
		if (!is_right(value, param)) {
			snprintf(ret_why, why_cap, "\"%s\" is %s%s", param->name,
				 param_type_name(param->type),
				 param->type == PARAM_WORD ? param->help : "");
			return -EINVAL;
		}
	}
	for (; params->name; params++) {
		if (params->required && !param_has(object, params->name)) {
			snprintf(ret_why, why_cap, "\"%s\" is missing", params->name);
			return -EINVAL;
		}
	}
	return 0;
}

bool param_has(const struct json_node *params, const char *name)
{
	return json_member(params, name) != NULL;
}

const char *param_text(const struct json_node *params, const char *name)
{
	return string_of(json_member(params, name)).p;
}

uint32_t param_number(const struct json_node *params, const char *name)
{
	uint64_t number = 0;

	json_get_number(json_member(params, name), UINT32_MAX, &number);
	return (uint32_t)number;
}

uint16_t param_port(const struct json_node *params, const char *name)
{
	return (uint16_t)param_number(params, name);
}

bool param_bool(const struct json_node *params, const char *name)
{
	const struct json_node *value = json_member(params, name);

	return value && value->kind == NODE_TRUE;
}

static void get_hex(const struct json_node *params, const char *name, uint8_t *ret, size_t bytes)
{
	const struct span text = string_of(json_member(params, name));

	if (!text.p || text_from_hex(text, ret, bytes) < 0)
		memset(ret, 0, bytes);
}

uint64_t param_set(const struct json_node *params, const char *name)
{
	uint8_t bytes[SET_ID_BYTES];
	uint64_t id = 0;

	get_hex(params, name, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		id = id << 8 | bytes[i];
	return id;
}

void param_key(const struct json_node *params, const char *name, uint8_t ret[static 16])
{
	get_hex(params, name, ret, KEY_BYTES);
}

struct ip_addr param_address(const struct json_node *params, const char *name)
{
	const char *text = param_text(params, name);
	struct ip_addr ip = { .family = AF_UNSPEC };

	if (text)
		ip_parse(text, &ip);
	return ip;
}

void param_lines(const struct json_node *params, const char *name, struct lines *ret)
{
	const struct json_node *value = json_member(params, name);

	ret->count = 0;
	if (is_string(value))
		ret->line[ret->count++] = string_of(value);
	for (value = value ? json_first(value) : NULL;
	     value && ret->count < sizeof(ret->line) / sizeof(ret->line[0]);
	     value = json_next(value))
		ret->line[ret->count++] = string_of(value);
}

struct span param_message(const struct json_node *params, const char *name)
{
	return string_of(json_member(params, name));
}

struct ip_addr param_place(const struct json_node *params, const char *name, uint16_t *ret_port)
{
	const struct json_node *place = json_member(params, name);

	if (!place) {
		*ret_port = 0;
		return (struct ip_addr){.family = AF_UNSPEC};
	}
	*ret_port = param_port(place, "port");
	return param_address(place, "address");
}

char *base64_decode(struct span s, size_t *ret_bytes)
{
	const size_t digits = base64_digits(s);
	char *bytes = malloc(s.n + 1), *to = bytes;
	unsigned bits = 0, value = 0;

	for (size_t i = 0; bytes && i < digits; i++) {
		value = value << 6 | (unsigned)base64_value(s.p[i]);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*to++ = (char)(value >> bits);
		}
	}
	*ret_bytes = (size_t)(to - bytes);
	return bytes;
}

char *param_base64(const struct json_node *params, const char *name, size_t *ret_bytes)
{
	return base64_decode(param_message(params, name), ret_bytes);
}
