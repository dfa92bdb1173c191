/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON is read where it stands: texts are unescaped in place, which never makes them longer, and
 * end with a NUL where their closing quote was. So there is one copy of what came in, and who owns
 * that wipes it. The nodes stand in one array, each before what is in it.
 *
 * Who sends it may be hostile: nothing here reads beyond the text, recurses without bound, or takes
 * more than the square of JSON_MAX_MEMBERS for an object. What RFC 8259 leaves open is refused: a
 * name twice, a NUL in a text. Numbers stay text: few are anything but names for something.
 */
#include "daemon/json/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_NODES 64

struct reader {
	char *p, *end; /* *end is a NUL */
	struct json_tree tree;
	int err;
};

static int read_value(struct reader *r, unsigned int depth, uint32_t *ret);

static void skip_space(struct reader *r)
{
	while (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' || *r->p == '\n')
		r->p++;
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
		const uint32_t cap = tree->cap ? tree->cap * 2 : FIRST_NODES;
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

/* Behind "\u". A pair of surrogates is one character; half a pair is none, and neither is a NUL. */
static int read_unicode(struct reader *r, char **to)
{
	int code = hex4(r->p), low;

	if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
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

/* Something that is not just kept: an escape, or a character of several bytes. */
static int read_odd(struct reader *r, char **to)
{
	size_t bytes;

	if (*r->p == '\\') {
		r->p++;
		return read_escape(r, to);
	}
	bytes = (unsigned char)*r->p < ' ' ? 0 : json_utf8_bytes(r->p, (size_t)(r->end - r->p));
	if (!bytes)
		return fail(r, -EILSEQ);
	memmove(*to, r->p, bytes);
	*to += bytes;
	r->p += bytes;
	return 0;
}

static int read_string(struct reader *r, const char **ret, uint32_t *ret_n)
{
	char *const start = ++r->p;
	char *to = start;

	for (;;) {
		const size_t plain = json_plain_bytes(r->p, (size_t)(r->end - r->p));

		if (to != r->p)
			memmove(to, r->p, plain);
		to += plain;
		r->p += plain;
		if (*r->p == '"')
			break;
		if (read_odd(r, &to) < 0)
			return r->err;
	}
	r->p++;
	*to = '\0';
	*ret = start;
	*ret_n = (uint32_t)(to - start);
	return 0;
}

/* The names of one object so far. */
struct names {
	const char *at[JSON_MAX_MEMBERS];
	uint32_t n[JSON_MAX_MEMBERS];
};

static int read_name(struct reader *r, struct names *names, uint32_t count)
{
	if (count == JSON_MAX_MEMBERS || *r->p != '"' ||
	    read_string(r, &names->at[count], &names->n[count]) < 0)
		return fail(r, -EILSEQ);
	for (uint32_t i = 0; i < count; i++)
		if (names->n[i] == names->n[count] &&
		    !memcmp(names->at[i], names->at[count], names->n[i]))
			return fail(r, -EILSEQ);
	skip_space(r);
	return *r->p++ == ':' ? 0 : fail(r, -EILSEQ);
}

/* One member or element; @names is NULL in an array. */
static int read_one(struct reader *r, struct names *names, uint32_t count, unsigned int depth,
		    uint32_t *ret)
{
	skip_space(r);
	if (names && read_name(r, names, count) < 0)
		return r->err;
	if (read_value(r, depth + 1, ret) < 0)
		return r->err;
	if (names)
		r->tree.nodes[*ret].name = names->at[count];
	return 0;
}

/* Members or elements, linked in their order below @parent. */
static int read_members(struct reader *r, uint32_t parent, unsigned int depth, struct names *names)
{
	const char close = names ? '}' : ']';
	uint32_t count = 0, last = 0, child = 0;

	skip_space(r);
	if (*r->p == close) {
		r->p++;
		return 0;
	}
	do {
		if (read_one(r, names, count, depth, &child) < 0)
			return r->err;
		if (count++)
			r->tree.nodes[last].next = child - last;
		last = child;
		skip_space(r);
	} while (*r->p++ == ',');
	r->tree.nodes[parent].n = count;
	return r->p[-1] == close ? 0 : fail(r, -EILSEQ);
}

static int read_object(struct reader *r, uint32_t parent, unsigned int depth)
{
	struct names names;

	return read_members(r, parent, depth, &names);
}

static int read_word(struct reader *r, const char *word, enum node_kind kind, uint32_t *ret)
{
	if (strncmp(r->p, word, strlen(word)) != 0)
		return fail(r, -EILSEQ);
	r->p += strlen(word);
	return new_node(r, kind, ret);
}

static size_t digits(const char *p)
{
	size_t n = 0;

	while (p[n] >= '0' && p[n] <= '9')
		n++;
	return n;
}

/* RFC 8259 6; 0: it is none. */
static size_t number_bytes(const char *text)
{
	const char *p = text + (*text == '-');

	if (!digits(p) || (*p == '0' && digits(p) > 1))
		return 0;
	p += digits(p);
	if (*p == '.') {
		if (!digits(++p))
			return 0;
		p += digits(p);
	}
	if (*p == 'e' || *p == 'E') {
		p += p[1] == '+' || p[1] == '-' ? 2 : 1;
		if (!digits(p))
			return 0;
		p += digits(p);
	}
	return (size_t)(p - text);
}

/* The bytes behind a number belong to what follows: its end is its length. */
static int read_number(struct reader *r, uint32_t *ret)
{
	const size_t n = number_bytes(r->p);

	if (!n)
		return fail(r, -EILSEQ);
	if (new_node(r, NODE_NUMBER, ret) < 0)
		return r->err;
	r->tree.nodes[*ret].text = r->p;
	r->tree.nodes[*ret].n = (uint32_t)n;
	r->p += n;
	return 0;
}

static int read_text(struct reader *r, uint32_t *ret)
{
	const char *text = NULL;
	uint32_t n = 0;

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
	return object ? read_object(r, *ret, depth) : read_members(r, *ret, depth, NULL);
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

int json_read(char *text, size_t len, struct json_tree *ret, size_t *ret_at)
{
	struct reader r = {.p = text, .end = text + len};
	uint32_t root;

	*r.end = '\0';
	if (len > UINT32_MAX)
		fail(&r, -EILSEQ);
	else if (read_value(&r, 1, &root) == 0) {
		skip_space(&r);
		if (r.p != r.end)
			fail(&r, -EILSEQ);
	}
	if (!r.err) {
		*ret = r.tree;
		return 0;
	}
	if (ret_at)
		*ret_at = (size_t)(r.p - text);
	json_tree_done(&r.tree);
	return r.err;
}

void json_tree_done(struct json_tree *tree)
{
	free(tree->nodes);
	*tree = (struct json_tree){0};
}

/* ---- looking into it ---- */

const struct json_node *json_first(const struct json_node *node)
{
	const bool has_some = node->kind == NODE_ARRAY || node->kind == NODE_OBJECT;

	return has_some && node->n ? node + 1 : NULL;
}

const struct json_node *json_next(const struct json_node *node)
{
	return node->next ? node + node->next : NULL;
}

const struct json_node *json_member(const struct json_node *object, const char *name)
{
	const struct json_node *node = object->kind == NODE_OBJECT ? json_first(object) : NULL;

	while (node && (*node->name != *name || strcmp(node->name, name) != 0))
		node = json_next(node);
	return node;
}

bool json_get_number(const struct json_node *node, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;

	if (!node || node->kind != NODE_NUMBER || digits(node->text) != node->n || node->n > 19)
		return false;
	for (uint32_t i = 0; i < node->n; i++)
		number = number * 10 + (uint64_t)(node->text[i] - '0');
	if (number > max)
		return false;
	*ret = number;
	return true;
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

static const struct json_node *step(const struct json_node *from, const char *name, size_t n)
{
	const struct json_node *node = json_first(from);
	const size_t wanted = index_of(name, n);

	for (size_t at = 0; node; node = json_next(node), at++) {
		if (from->kind == NODE_ARRAY
			    ? at == wanted
			    : strlen(node->name) == n && !memcmp(node->name, name, n))
			return node;
	}
	return NULL;
}

const struct json_node *json_find(const struct json_node *from, const char *path)
{
	while (from && *path) {
		const size_t n = strcspn(path, ".");

		from = step(from, path, n);
		path += n;
		path += *path == '.';
	}
	return from;
}
