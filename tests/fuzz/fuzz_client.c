/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader of JSON. The input is a path for json_find(), a line feed, and the text, which ends at its
 * first NUL as an answer that the client library received does.
 *
 * The tree has each node once and no byte of another place. What jansson takes is taken here, and
 * means the same; what jansson refuses is refused here, but for numbers that do not fit in its types.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/json/json.h"

static const char *answer; /* in memory of its own */
static size_t answer_bytes;

/* ---- the tree by itself ---- */

static bool is_inside(const char *p, size_t n)
{
	return p >= answer && n <= answer_bytes && (size_t)(p - answer) <= answer_bytes - n;
}

static void check_node(const struct json_node *node, bool is_member)
{
	CHECK(!node->name == !is_member);
	CHECK(!node->name || is_inside(node->name, strlen(node->name) + 1));
	CHECK(!node->text == (node->kind != NODE_TEXT && node->kind != NODE_NUMBER));
	CHECK(!node->text || is_inside(node->text, node->n + (node->kind == NODE_TEXT)));
	CHECK(node->kind != NODE_TEXT || !node->text[node->n]);
	CHECK(node->kind != NODE_NUMBER || node->n > 0);
	CHECK(node->kind != NODE_TEXT || !memchr(node->text, 0, node->n));
}

/* Returns how many nodes there are from @i down. */
static uint32_t check_below(const struct json_tree *tree, uint32_t i, bool is_member,
			    unsigned int depth)
{
	const struct json_node *node = &tree->nodes[i], *part;
	uint32_t count = 1, parts = 0;

	CHECK(depth <= JSON_MAX_DEPTH + 1);
	check_node(node, is_member);
	for (part = json_first(node); part; part = json_next(part), parts++) {
		CHECK(part == node + count && part < tree->nodes + tree->count);
		count += check_below(tree, i + count, node->kind == NODE_OBJECT, depth + 1);
	}
	CHECK(parts == node->n || node->kind == NODE_TEXT || node->kind == NODE_NUMBER);
	return count;
}

/* ---- the same as jansson says ---- */

static bool is_deeper(json_t *value, unsigned int levels)
{
	const char *name;
	json_t *part;
	size_t i;

	if (!json_is_array(value) && !json_is_object(value))
		return false;
	if (!levels)
		return true;
	json_array_foreach(value, i, part) {
		if (is_deeper(part, levels - 1))
			return true;
	}
	json_object_foreach(value, name, part) {
		if (is_deeper(part, levels - 1))
			return true;
	}
	return false;
}

static bool is_wide(json_t *value)
{
	const char *name;
	json_t *part;
	size_t i;

	json_array_foreach(value, i, part) {
		if (is_wide(part))
			return true;
	}
	json_object_foreach(value, name, part) {
		if (is_wide(part))
			return true;
	}
	return json_object_size(value) > JSON_MAX_MEMBERS;
}

/* jansson wants each number to fit. */
static bool has_large_number(const struct json_tree *tree)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct json_node *node = &tree->nodes[i];

		if (node->kind == NODE_NUMBER && (node->n > 18 || memchr(node->text, 'e', node->n) ||
						  memchr(node->text, 'E', node->n)))
			return true;
	}
	return false;
}

static bool is_same(const struct json_node *node, json_t *value);

static bool are_parts_same(const struct json_node *node, json_t *value)
{
	const struct json_node *child = json_first(node);
	const char *name;
	json_t *part;
	size_t i;

	json_array_foreach(value, i, part) {
		if (!child || !is_same(child, part))
			return false;
		child = json_next(child);
	}
	json_object_foreach(value, name, part) {
		if (!child || strcmp(child->name, name) != 0 || !is_same(child, part))
			return false;
		child = json_next(child);
	}
	return !child;
}

/* Behind a number there is something that is none of it, if only the NUL. */
static bool is_number_same(const struct json_node *node, const json_t *value)
{
	char *end;
	const bool same = json_is_integer(value)
				  ? strtoll(node->text, &end, 10) == json_integer_value(value)
				  : strtod(node->text, &end) <= json_real_value(value) &&
					    strtod(node->text, &end) >= json_real_value(value);

	return same && end == node->text + node->n;
}

static bool is_same(const struct json_node *node, json_t *value)
{
	switch (node->kind) {
	case NODE_NULL:
		return json_is_null(value);
	case NODE_FALSE:
		return json_is_false(value);
	case NODE_TRUE:
		return json_is_true(value);
	case NODE_NUMBER:
		return json_is_number(value) && is_number_same(node, value);
	case NODE_TEXT:
		return json_is_string(value) && json_string_length(value) == node->n &&
		       !memcmp(json_string_value(value), node->text, node->n);
	case NODE_ARRAY:
		return json_is_array(value) && are_parts_same(node, value);
	case NODE_OBJECT:
		return json_is_object(value) && are_parts_same(node, value);
	}
	return false;
}

/* ---- paths ---- */

static json_t *part_of(json_t *value, const char *name)
{
	const size_t n = strlen(name);

	if (!json_is_array(value))
		return json_object_get(value, name);
	if (!n || strspn(name, "0123456789") != n)
		return NULL;
	return json_array_get(value, strtoull(name, NULL, 10)); /* too large: ULLONG_MAX */
}

/* @path is cut to pieces. */
static json_t *walk(json_t *value, char *path)
{
	char *name;

	while (value && path && *path) {
		name = strsep(&path, ".");
		value = part_of(value, name);
	}
	return value;
}

static void check_find(const struct json_tree *tree, json_t *value, char *path)
{
	const struct json_node *found = json_find(&tree->nodes[0], path);
	json_t *expected;

	CHECK(!found || (found >= tree->nodes && found < tree->nodes + tree->count));
	if (!value)
		return;
	expected = walk(value, path);
	CHECK(!found == !expected);
	CHECK(!found || is_same(found, expected));
}

/* ---- inputs ---- */

static void check_answer(char *text, char *path)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	struct json_tree tree = {.count = 4711};
	const int err = json_read(text, strlen(text), &tree, NULL);

	CHECK(!err || err == -EILSEQ);
	if (err) {
		CHECK(tree.count == 4711 && !tree.nodes);
		CHECK(!value || is_deeper(value, JSON_MAX_DEPTH) || is_wide(value));
	} else {
		CHECK(check_below(&tree, 0, false, 1) == tree.count);
		CHECK(value || has_large_number(&tree));
		CHECK(!value || is_same(&tree.nodes[0], value));
		check_find(&tree, value, path);
		json_tree_done(&tree);
	}
	json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = {(const char *)data, size};
	const struct span line = fuzz_line(&rest);
	char *path = strndup(line.n ? line.p : "", line.n);
	char *text = strndup(rest.n ? rest.p : "", rest.n);

	CHECK(path && text);
	fuzz_begin();
	json_object_seed(1);
	answer = text;
	answer_bytes = strlen(text) + 1;
	check_answer(text, path);
	free(text);
	free(path);
	return 0;
}
