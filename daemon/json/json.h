/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much JSON (RFC 8259) as the control protocol needs, for the daemon and for the client library:
 * text that is written as it is meant, and text that is read into a tree where it stands. Knows
 * neither files nor the rest of the product.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_MAX_DEPTH   32  /* of { and [ */
#define JSON_MAX_MEMBERS 128 /* of one object: all are compared with all */

/* ---- writing ---- */

/* Text that grows. May hold keys: json_out_done() wipes, and so does growing. All zero is empty. */
struct json_out {
	char *text; /* NUL at its end, NULL before the first byte */
	size_t n, cap;
	int err; /* the first thing that went wrong, 0 none; then nothing more is added */
};

void json_out_done(struct json_out *out);

/* Take back all behind the first @n bytes, and what went wrong there. */
void json_out_cut(struct json_out *out, size_t n);

/* Bytes as they are. */
void json_put(struct json_out *out, const char *text);

/* Values and names; a comma is put before them where one is due. @name is ours: plain bytes. */
void json_open(struct json_out *out, char bracket);                   /* { or [ */
void json_close(struct json_out *out, char bracket);                  /* } or ] */
void json_name(struct json_out *out, const char *name);               /* of the next value */
void json_foreign_name(struct json_out *out, const char *name);       /* not ours: any bytes */
void json_put_string(struct json_out *out, const char *text);         /* -EINVAL: not UTF-8 */
void json_put_text(struct json_out *out, const char *text, size_t n); /* what is not UTF-8: ? */
void json_put_number(struct json_out *out, uint64_t number);
void json_put_integer(struct json_out *out, int64_t number);
void json_put_bool(struct json_out *out, bool value);
void json_put_null(struct json_out *out);
void json_put_base64(struct json_out *out, const char *bytes, size_t n);

/* A member with its name. */
void json_add_text(struct json_out *out, const char *name, const char *text);
void json_add_number(struct json_out *out, const char *name, uint64_t number);
void json_add_bool(struct json_out *out, const char *name, bool value);
void json_add_null(struct json_out *out, const char *name);

/* How many bytes at @text are plain: ASCII that stands in a string as it is (RFC 8259 7). Eight at
 * a time; what borrows from a neighbour borrows upwards, so that the lowest bit that is set is
 * right. */
static inline size_t json_plain_bytes(const char *text, size_t n)
{
	const uint64_t ones = UINT64_MAX / UINT8_MAX;
	size_t at = 0;

	for (uint64_t w; n - at >= sizeof(w); at += sizeof(w)) {
		memcpy(&w, text + at, sizeof(w));
		w = le64toh(w);
		w = (w | (w - ones * ' ') | ((w ^ ones * '"') - ones) |
		     ((w ^ ones * '\\') - ones)) &
		    ones * 0x80;
		if (w)
			return at + (size_t)__builtin_ctzll(w) / 8;
	}
	while (at < n && (signed char)text[at] >= ' ' && text[at] != '"' && text[at] != '\\')
		at++;
	return at;
}

/* The length of the UTF-8 sequence that @text[0..@n) begins with, 0: it is none. RFC 3629 4. */
size_t json_utf8_bytes(const char *text, size_t n);

/* ---- reading ---- */

enum node_kind {
	NODE_NULL,
	NODE_FALSE,
	NODE_TRUE,
	NODE_NUMBER,
	NODE_TEXT,
	NODE_ARRAY,
	NODE_OBJECT,
};

struct json_node {
	const char *name; /* in an object; else NULL */
	const char
		*text; /* TEXT: unescaped, ended by a NUL and without another; NUMBER: as written */
	uint32_t n;    /* bytes of @text; ARRAY, OBJECT: how many there are in it */
	uint32_t next; /* how many nodes further the next of its siblings is, 0: none */
	enum node_kind kind;
};

struct json_tree {
	struct json_node *nodes; /* the first is the whole; what is in a node follows it */
	uint32_t count, cap;
};

/* Read @text[0..@len), which is changed in place and must outlive *@ret, with a NUL at @text[@len].
 * Returns 0, and json_tree_done() is due; -EILSEQ (no JSON, a \u0000, a name twice in an object, or
 * beyond the limits), -ENOMEM; then *@ret_at is where, unless it is NULL. */
int json_read(char *text, size_t len, struct json_tree *ret, size_t *ret_at);
void json_tree_done(struct json_tree *tree);

/* What is in an array or object, in its order; NULL: no (more) there. */
const struct json_node *json_first(const struct json_node *node);
const struct json_node *json_next(const struct json_node *node);

/* The member @name of @object, or NULL. */
const struct json_node *json_member(const struct json_node *object, const char *name);

/* The node at @path below @from: names and numbers with dots between; NULL: not there. */
const struct json_node *json_find(const struct json_node *from, const char *path);

/* A number of digits alone that is at most @max. */
bool json_get_number(const struct json_node *node, uint64_t max, uint64_t *ret);

/* The same text again, as it would be written. */
void json_put_node(struct json_out *out, const struct json_node *node);

#endif
