/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An answer as a tree. Texts are unescaped where they stand, which never makes them longer, and end
 * with a NUL in the place of their closing quote. The answer comes from a daemon that the caller
 * trusts with its phones; all the same nothing here reads beyond the text or recurses without bound.
 */
#include "daemon/client/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	char *p;
	struct json_tree tree;
	int err;
};

static int read_value(struct reader *r, unsigned int depth, uint32_t *ret);

static void skip_space(struct reader *r)
{
	r->p += strspn(r->p, " \t\r\n");
}

static int fail(struct reader *r, int err)
{
	r->err = err;
	return err;
}

static int new_node(struct reader *r, enum node_kind kind, uint32_t *ret)
{
	struct json_tree *tree = &r->tree;

	if (tree->count == tree->cap) {
		const uint32_t cap = tree->cap ? tree->cap * 2 : 64;
		struct json_node *nodes = reallocarray(tree->nodes, cap, sizeof(*nodes));

		if (!nodes)
			return fail(r, -ENOMEM);
		tree->nodes = nodes;
		tree->cap = cap;
	}
	tree->nodes[tree->count] = (struct json_node){.kind = kind};
	*ret = tree->count++;
	return 0;
}

static int hex4(const char *p)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		const char c = p[i];
		const int digit = c >= '0' && c <= '9'   ? c - '0'
				  : c >= 'a' && c <= 'f' ? c - 'a' + 10
				  : c >= 'A' && c <= 'F' ? c - 'A' + 10
							 : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static char *put_utf8(char *to, unsigned int code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xC0 | code >> 6);
		*to++ = (char)(0x80 | (code & 63));
	} else if (code < 0x10000) {
		*to++ = (char)(0xE0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 63));
		*to++ = (char)(0x80 | (code & 63));
	} else {
		*to++ = (char)(0xF0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 63));
		*to++ = (char)(0x80 | (code >> 6 & 63));
		*to++ = (char)(0x80 | (code & 63));
	}
	return to;
}

/* Behind "\u". A pair of surrogates is one character; half a pair is none. */
static int read_unicode(struct reader *r, char **to)
{
	int code = hex4(r->p), low;

	if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF))
		return fail(r, -EILSEQ);
	r->p += 4;
	if (code >= 0xD800 && code <= 0xDBFF) {
		low = r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r->p + 2) : -1;
		if (low < 0xDC00 || low > 0xDFFF)
			return fail(r, -EILSEQ);
		r->p += 6;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	*to = put_utf8(*to, (unsigned int)code);
	return 0;
}

static int read_escape(struct reader *r, char **to)
{
	static const char FROM[] = "\"\\/bfnrt", INTO[] = "\"\\/\b\f\n\r\t";
	const char *which;

	if (*r->p == 'u') {
		r->p++;
		return read_unicode(r, to);
	}
	which = *r->p ? strchr(FROM, *r->p) : NULL;
	if (!which)
		return fail(r, -EILSEQ);
	*(*to)++ = INTO[which - FROM];
	r->p++;
	return 0;
}

static int read_string(struct reader *r, const char **ret, size_t *ret_n)
{
	char *const start = ++r->p;
	char *to = start;

	while (*r->p != '"') {
		if ((unsigned char)*r->p < 0x20)
			return fail(r, -EILSEQ);
		if (*r->p != '\\') {
			*to++ = *r->p++;
			continue;
		}
		r->p++;
		if (read_escape(r, &to) < 0)
			return r->err;
	}
	r->p++;
	*to = '\0';
	*ret = start;
	*ret_n = (size_t)(to - start);
	return 0;
}

/* Members or elements, linked in their order below @parent. */
static int read_members(struct reader *r, uint32_t parent, unsigned int depth, char close)
{
	const bool named = close == '}';
	uint32_t last = 0, child;
	const char *name = NULL;
	size_t n;

	for (bool first = true;; first = false) {
		skip_space(r);
		if (*r->p == close && first)
			break;
		if (named && (*r->p != '"' || read_string(r, &name, &n) < 0))
			return fail(r, -EILSEQ);
		skip_space(r);
		if (named && *r->p++ != ':')
			return fail(r, -EILSEQ);
		if (read_value(r, depth + 1, &child) < 0)
			return r->err;
		r->tree.nodes[child].name = name;
		if (last)
			r->tree.nodes[last].next = child;
		else
			r->tree.nodes[parent].child = child;
		last = child;
		skip_space(r);
		if (*r->p == close)
			break;
		if (*r->p++ != ',')
			return fail(r, -EILSEQ);
	}
	r->p++;
	return 0;
}

static int read_word(struct reader *r, const char *word, enum node_kind kind, uint32_t *ret)
{
	if (strncmp(r->p, word, strlen(word)) != 0)
		return fail(r, -EILSEQ);
	r->p += strlen(word);
	return new_node(r, kind, ret);
}

/* The bytes behind a number belong to what follows: its end is its length. */
static int read_number(struct reader *r, uint32_t *ret)
{
	const size_t n = strspn(r->p, "+-0123456789.eE");

	if (!n)
		return fail(r, -EILSEQ);
	if (new_node(r, NODE_NUMBER, ret) < 0)
		return r->err;
	r->tree.nodes[*ret].text = r->p;
	r->tree.nodes[*ret].n = n;
	r->p += n;
	return 0;
}

static int read_text(struct reader *r, uint32_t *ret)
{
	const char *text = NULL;
	size_t n = 0;

	if (read_string(r, &text, &n) < 0 || new_node(r, NODE_TEXT, ret) < 0)
		return r->err;
	r->tree.nodes[*ret].text = text;
	r->tree.nodes[*ret].n = n;
	return 0;
}

static int read_nested(struct reader *r, unsigned int depth, uint32_t *ret)
{
	const bool object = *r->p++ == '{';

	if (depth > JSON_MAX_DEPTH)
		return fail(r, -EILSEQ);
	if (new_node(r, object ? NODE_OBJECT : NODE_ARRAY, ret) < 0)
		return r->err;
	return read_members(r, *ret, depth, object ? '}' : ']');
}

static int read_value(struct reader *r, unsigned int depth, uint32_t *ret)
{
	skip_space(r);
	switch (*r->p) {
	case '{':
	case '[':
		return read_nested(r, depth, ret);
	case '"':
		return read_text(r, ret);
	case 't':
		return read_word(r, "true", NODE_TRUE, ret);
	case 'f':
		return read_word(r, "false", NODE_FALSE, ret);
	case 'n':
		return read_word(r, "null", NODE_NULL, ret);
	}
	return read_number(r, ret);
}

int json_read(char *text, struct json_tree *ret)
{
	struct reader r = {.p = text};
	uint32_t root;

	if (read_value(&r, 1, &root) == 0) {
		skip_space(&r);
		if (*r.p)
			r.err = -EILSEQ;
	}
	if (r.err)
		json_tree_done(&r.tree);
	else
		*ret = r.tree;
	return r.err;
}

void json_tree_done(struct json_tree *tree)
{
	free(tree->nodes);
	*tree = (struct json_tree){0};
}

/* SIZE_MAX: no index. */
static size_t index_of(const char *name, size_t n)
{
	size_t index = 0;

	for (size_t i = 0; i < n; i++) {
		if (name[i] < '0' || name[i] > '9' || index > SIZE_MAX / 16)
			return SIZE_MAX;
		index = index * 10 + (size_t)(name[i] - '0');
	}
	return n ? index : SIZE_MAX;
}

static const struct json_node *member(const struct json_tree *tree, const struct json_node *from,
				      const char *name, size_t n)
{
	const size_t wanted = index_of(name, n);
	size_t at = 0;

	for (uint32_t i = from->child; i; i = tree->nodes[i].next, at++) {
		const struct json_node *node = &tree->nodes[i];

		if (from->kind == NODE_ARRAY ? at == wanted
					     : strlen(node->name) == n &&
						       memcmp(node->name, name, n) == 0)
			return node;
	}
	return NULL;
}

const struct json_node *json_find(const struct json_tree *tree, const struct json_node *from,
				  const char *path)
{
	while (from && *path) {
		const size_t n = strcspn(path, ".");

		if (from->kind != NODE_OBJECT && from->kind != NODE_ARRAY)
			return NULL;
		from = member(tree, from, path, n);
		path += n;
		path += *path == '.';
	}
	return from;
}
