/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client library's JSON: what it writes another implementation reads as it was meant, and what
 * that one writes is read here.
 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/client/json.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static int try_read(const char *text)
{
	char *copy = strdup(text);
	struct json_tree tree;
	const int err = json_read(copy, &tree);

	if (!err)
		json_tree_done(&tree);
	free(copy);
	return err;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

static void strings_are_read_by_others_as_they_were_given(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		static const char *const PARTS[] = {"a",  "\"", "\\", "\n", "\x01", "\x7f", "\xc3\xa9",
						    "/", "\xe2\x82\xac", "\xf0\x9f\x98\x80", " ", "u"};
		struct json_out out = {0};
		char text[200] = "";
		json_t *read;

		for (uint32_t n = next_random(&seed) % 40; n; n--)
			strcat(text, PARTS[next_random(&seed) % COUNT_OF(PARTS)]);
		json_put_string(&out, text);
		assert_int_equal(out.err, 0);
		read = json_loads(out.text, JSON_DECODE_ANY, NULL);
		assert_non_null(read);
		assert_string_equal(json_string_value(read), text);
		json_decref(read);
		json_out_done(&out);
	}
}

static void what_is_not_utf8_is_refused(void **state)
{
	static const char *const BAD[] = {"\x80", "\xc0\x80", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80",
					  "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
					  "a\xff", "\xe2\x82"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(BAD); i++) {
		struct json_out out = {0};

		json_put_string(&out, BAD[i]);
		json_put(&out, "more");
		assert_int_equal(out.err, -EINVAL);
		json_out_done(&out);
	}
}

static void base64_has_the_vectors_of_rfc_4648(void **state)
{
	static const char *const VECTORS[][2] = {{"", "\"\""},	    {"f", "\"Zg==\""},
						 {"fo", "\"Zm8=\""}, {"foo", "\"Zm9v\""},
						 {"foob", "\"Zm9vYg==\""}, {"fooba", "\"Zm9vYmE=\""},
						 {"foobar", "\"Zm9vYmFy\""}, {"\xfb\xff", "\"+/8=\""}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(VECTORS); i++) {
		struct json_out out = {0};

		json_put_base64(&out, VECTORS[i][0], strlen(VECTORS[i][0]));
		assert_string_equal(out.text, VECTORS[i][1]);
		json_out_done(&out);
	}
}

/* Write a random value with the other implementation, and compare what is read here with it. */
static json_t *random_value(uint32_t *seed, int depth)
{
	static const char *const TEXTS[] = {"", "a", "x\"y\\z", "\n\t", "\xc3\xa9\xf0\x9f\x98\x80", "}"};
	json_t *value;

	switch (next_random(seed) % (depth > 4 ? 5U : 7U)) {
	case 0:
		return json_true();
	case 1:
		return json_null();
	case 2:
		return json_false();
	case 3:
		return json_integer((json_int_t)next_random(seed));
	case 4:
		return json_string(TEXTS[next_random(seed) % COUNT_OF(TEXTS)]);
	case 5:
		value = json_array();
		for (uint32_t n = next_random(seed) % 4; n; n--)
			json_array_append_new(value, random_value(seed, depth + 1));
		return value;
	}
	value = json_object();
	for (uint32_t n = next_random(seed) % 4; n; n--) {
		char name[8];

		snprintf(name, sizeof(name), "k%u", (unsigned int)next_random(seed) % 100);
		json_object_set_new(value, name, random_value(seed, depth + 1));
	}
	return value;
}

static void assert_same(const struct json_tree *tree, const struct json_node *node,
			const json_t *value)
{
	char path[24];
	const char *name;
	json_t *member;
	size_t i;

	assert_non_null(node);
	switch (json_typeof(value)) {
	case JSON_TRUE:
		assert_int_equal(node->kind, NODE_TRUE);
		break;
	case JSON_FALSE:
		assert_int_equal(node->kind, NODE_FALSE);
		break;
	case JSON_NULL:
		assert_int_equal(node->kind, NODE_NULL);
		break;
	case JSON_INTEGER:
		assert_int_equal(strtoll(node->text, NULL, 10), json_integer_value(value));
		break;
	case JSON_REAL:
		break;
	case JSON_STRING:
		assert_string_equal(node->text, json_string_value(value));
		break;
	case JSON_ARRAY:
		json_array_foreach(value, i, member) {
			snprintf(path, sizeof(path), "%zu", i);
			assert_same(tree, json_find(tree, node, path), member);
		}
		snprintf(path, sizeof(path), "%zu", json_array_size(value));
		assert_null(json_find(tree, node, path));
		break;
	case JSON_OBJECT:
		json_object_foreach((json_t *)(uintptr_t)value, name, member)
			assert_same(tree, json_find(tree, node, name), member);
		assert_null(json_find(tree, node, "absent"));
		break;
	}
}

static void trees_of_others_are_read_whole(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		json_t *value = random_value(&seed, 0);
		char *text = json_dumps(value, JSON_ENCODE_ANY |
						       (round & 1 ? JSON_ENSURE_ASCII : JSON_INDENT(1)));
		struct json_tree tree;

		assert_int_equal(json_read(text, &tree), 0);
		assert_same(&tree, &tree.nodes[0], value);
		json_tree_done(&tree);
		free(text);
		json_decref(value);
	}
}

static void paths_go_through_objects_and_arrays(void **state)
{
	char text[] = "{\"a\":[{\"b\":\"x\"},7],\"a.b\":1,\"\":2}";
	struct json_tree tree;

	(void)state;
	assert_int_equal(json_read(text, &tree), 0);
	assert_string_equal(json_find(&tree, &tree.nodes[0], "a.0.b")->text, "x");
	assert_ptr_equal(json_find(&tree, &tree.nodes[0], ""), &tree.nodes[0]);
	assert_null(json_find(&tree, &tree.nodes[0], "a.b"));
	assert_null(json_find(&tree, &tree.nodes[0], "a.1.b"));
	assert_null(json_find(&tree, &tree.nodes[0], "a.2"));
	assert_null(json_find(&tree, &tree.nodes[0], "a.x1"));
	assert_null(json_find(&tree, &tree.nodes[0], "a..b"));
	assert_null(json_find(&tree, &tree.nodes[0], "a.18446744073709551616.b"));
	json_tree_done(&tree);
}

static void what_is_no_json_is_refused_and_nothing_beyond_it_is_read(void **state)
{
	static const char *const BAD[] = {
		"", " ", "{", "[", "\"", "\"\\", "\"\\u", "\"\\u12", "\"\\u123g\"", "\"\\ud800\"",
		"\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\q\"", "\"\n\"", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{a:1}", "[1,]", "[1 2]", "tru", "nul", "1 2", "{} x", "}", ",", "{\"a\":1",
		"[\"a", "{\"a", "{\"a\":[", "{,}", "[,]",
	};
	char deep[4 * JSON_MAX_DEPTH];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(BAD); i++)
		if (try_read(BAD[i]) != -EILSEQ)
			fail_msg("taken: %s", BAD[i]);
	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(try_read(deep), -EILSEQ);
}

/* Each prefix of a good text, and each with one byte changed. */
static void broken_answers_are_survived(void **state)
{
	static const char GOOD[] = "{\"id\":1,\"result\":{\"a\":[\"\\u00e9\\n\",true,null,-1.5e3]}}";

	(void)state;
	for (size_t n = 0; n < sizeof(GOOD) - 1; n++) {
		char text[sizeof(GOOD)];

		memcpy(text, GOOD, n);
		text[n] = '\0';
		assert_int_equal(try_read(text), -EILSEQ);
		for (int c = 1; c < 256; c++) {
			memcpy(text, GOOD, sizeof(GOOD));
			text[n] = (char)c;
			try_read(text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_read_by_others_as_they_were_given),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(base64_has_the_vectors_of_rfc_4648),
		cmocka_unit_test(trees_of_others_are_read_whole),
		cmocka_unit_test(paths_go_through_objects_and_arrays),
		cmocka_unit_test(what_is_no_json_is_refused_and_nothing_beyond_it_is_read),
		cmocka_unit_test(broken_answers_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
