/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameters of the control protocol's methods: one table for each method says what it takes; the
 * dispatcher holds a request against it, and the getters below then cannot fail.
 */
#ifndef DAEMON_PARAMS_H
#define DAEMON_PARAMS_H

#include "daemon/lines.h"
#include "daemon/json/json.h"
#include "xfrm/xfrm.h"

enum param_type {
	PARAM_TEXT,    /* a string of at most PARAM_TEXT_BYTES printable characters */
	PARAM_LINES,   /* a string, or an array of strings: the lines of one header */
	PARAM_ADDRESS, /* an IPv4 or IPv6 address */
	PARAM_PORT,    /* 0..65535 */
	PARAM_NUMBER,  /* 0..2^32-1 */
	PARAM_KEY,     /* 32 hexadecimal digits; secret */
	PARAM_SET,     /* a set's id: 16 hexadecimal digits */
	PARAM_BOOL,
	PARAM_WORD,    /* one of the words of .help */
	PARAM_MESSAGE, /* a string of 1..65535 bytes, whatever is in it */
	PARAM_BASE64,  /* the same in base64 with padding (RFC 4648 4) */
	PARAM_PLACE,   /* {"address": PARAM_ADDRESS, "port": PARAM_PORT} */
};

struct param {
	const char *name;
	enum param_type type;
	bool required;
	const char *help; /* one line for daemon.methods; for PARAM_WORD the words, "a|b|c" */
};

#define PARAM_MAX        16
#define PARAM_TEXT_BYTES 1024

/* Hold @object against @params (ended by a NULL name): all known, the required there, each of its
 * type. Returns 0, or -EINVAL with a sentence that never holds a value; a name that is unknown
 * stands in it as name_shown() writes it. */
int params_check(const struct param *params, const struct json_node *object, char *ret_why,
		 size_t why_cap);

const char *param_type_name(enum param_type type);

/* A name that is not ours, for a sentence: a blank and, in quotation marks, printable ASCII, "?"
 * for all else. Of what is empty or as long as a key, and might be one, nothing: "". Returns @buf. */
#define NAME_SHOWN_BYTES 36
const char *name_shown(const char *name, char buf[static NAME_SHOWN_BYTES]);

/* After params_check(). Absent: NULL, 0, false, AF_UNSPEC, or no lines. */
bool param_has(const struct json_node *params, const char *name);
const char *param_text(const struct json_node *params, const char *name);
uint32_t param_number(const struct json_node *params, const char *name);
uint16_t param_port(const struct json_node *params, const char *name);
bool param_bool(const struct json_node *params, const char *name);
uint64_t param_set(const struct json_node *params, const char *name);
struct ip_addr param_address(const struct json_node *params, const char *name);
void param_lines(const struct json_node *params, const char *name, struct lines *ret);
void param_key(const struct json_node *params, const char *name, uint8_t ret[static 16]);
struct span param_message(const struct json_node *params, const char *name);
struct ip_addr param_place(const struct json_node *params, const char *name, uint16_t *ret_port);

/* What a PARAM_BASE64 says, to be wiped and freed; NULL when memory is short. */
char *param_base64(const struct json_node *params, const char *name, size_t *ret_bytes);

/* RFC 4648 4, with padding. What base64_decode() gives, of a text that base64_is(), is to be wiped
 * and freed; NULL when memory is short. */
bool base64_is(struct span text);
char *base64_decode(struct span text, size_t *ret_bytes);

#endif
