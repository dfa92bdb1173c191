/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much JSON as the control protocol needs, so that a front end need not link a library for it:
 * writing parameters, and reading an answer into a tree that stays in the answer's own text.
 */
#ifndef DAEMON_CLIENT_JSON_H
#define DAEMON_CLIENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 64

/* ---- writing ---- */

/* Text that grows. May hold keys: json_out_done() wipes, and so does growing. */
struct json_out {
	char *text; /* NUL at its end, NULL before the first byte */
	size_t n, cap;
	int err; /* the first thing that went wrong, 0 none; then nothing more is added */
};

void json_out_done(struct json_out *out);
void json_put(struct json_out *out, const char *text);
void json_put_number(struct json_out *out, uint64_t number);
void json_put_string(struct json_out *out, const char *text); /* -EINVAL: not UTF-8 */
void json_put_base64(struct json_out *out, const char *bytes, size_t n);

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
	enum node_kind kind;
	const char *name; /* in an object; else NULL */
	const char *text; /* TEXT: unescaped; NUMBER: as written */
	size_t n;         /* bytes of @text */
	uint32_t child, next; /* indices into the tree, 0 = none */
};

struct json_tree {
	struct json_node *nodes; /* the first is the whole */
	uint32_t count, cap;
};

/* Read @text, which is changed in place and must outlive *@ret. Returns 0, and json_tree_done() is
 * due; -EILSEQ (no JSON, or nested too deep), -ENOMEM. */
int json_read(char *text, struct json_tree *ret);
void json_tree_done(struct json_tree *tree);

/* The node at @path below @from: names and numbers with dots between; NULL: not there. */
const struct json_node *json_find(const struct json_tree *tree, const struct json_node *from,
				  const char *path);

#endif
