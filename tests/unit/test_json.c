/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/json/: what is written here another implementation reads as it was meant, and what that one writes
 * is read here. What is refused there is refused here.
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

#include "daemon/json/json.h"
#include "tests/unit/no_memory.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static int try_read(const char *text)
{
	const size_t len = strlen(text);
	char *copy = strdup(text);
	struct json_tree tree;
	const int err = json_read(copy, len, &tree, NULL);

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

/* Each byte at each place, with each other behind it: eight are looked at in one go. */
static void what_is_plain_ends_at_the_first_byte_that_is_not(void **state)
{
	char text[20];

	(void)state;
	for (size_t at = 0; at + 1 < sizeof(text); at++) {
		for (unsigned int pair = 0; pair <= UINT16_MAX; pair++) {
			const unsigned char c = (unsigned char)(pair >> 8);
			const bool is_plain = c >= ' ' && c < 0x80 && c != '"' && c != '\\';

			memset(text, 'a', sizeof(text));
			text[at] = (char)c;
			text[at + 1] = (char)pair;
			assert_true(is_plain ? json_plain_bytes(text, sizeof(text)) > at
					     : json_plain_bytes(text, sizeof(text)) == at);
			assert_int_equal(json_plain_bytes(text, at), at);
		}
	}
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

static void assert_same(const struct json_node *node, const json_t *value)
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
			assert_same(json_find(node, path), member);
		}
		snprintf(path, sizeof(path), "%zu", json_array_size(value));
		assert_null(json_find(node, path));
		break;
	case JSON_OBJECT:
		json_object_foreach((json_t *)(uintptr_t)value, name, member)
			assert_same(json_find(node, name), member);
		assert_null(json_find(node, "absent"));
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

		assert_int_equal(json_read(text, strlen(text), &tree, NULL), 0);
		assert_same(&tree.nodes[0], value);
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
	assert_int_equal(json_read(text, strlen(text), &tree, NULL), 0);
	assert_string_equal(json_find(&tree.nodes[0], "a.0.b")->text, "x");
	assert_ptr_equal(json_find(&tree.nodes[0], ""), &tree.nodes[0]);
	assert_null(json_find(&tree.nodes[0], "a.b"));
	assert_null(json_find(&tree.nodes[0], "a.1.b"));
	assert_null(json_find(&tree.nodes[0], "a.2"));
	assert_null(json_find(&tree.nodes[0], "a.x1"));
	assert_null(json_find(&tree.nodes[0], "a..b"));
	assert_null(json_find(&tree.nodes[0], "a.18446744073709551616.b"));
	json_tree_done(&tree);
}

static void what_is_no_json_is_refused_and_nothing_beyond_it_is_read(void **state)
{
	static const char *const BAD[] = {
		"", " ", "{", "[", "\"", "\"\\", "\"\\u", "\"\\u12", "\"\\u123g\"", "\"\\ud800\"",
		"\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\q\"", "\"\n\"", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{a:1}", "[1,]", "[1 2]", "tru", "nul", "1 2", "{} x", "}", ",", "{\"a\":1",
		"[\"a", "{\"a", "{\"a\":[", "{,}", "[,]",
		"01", "-", "+1", "1.", ".5", "1e", "1e+", "-01", "0x1", "1.5.5", "NaN",
		"{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\"\\u0000\"", "{\"\\u0000\":1}",
		"\"\x80\"", "\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
	};
	char deep[4 * JSON_MAX_DEPTH];

	(void)state;
	assert_int_equal(try_read("{\"a\":1,\"b\":{\"a\":1}}"), 0);
	for (size_t i = 0; i < COUNT_OF(BAD); i++)
		if (try_read(BAD[i]) != -EILSEQ)
			fail_msg("taken: %s", BAD[i]);
	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(try_read(deep), -EILSEQ);
}

static void a_nul_is_no_end(void **state)
{
	char text[] = "{}\0x", quoted[] = "[\"a\0b\"]";
	struct json_tree tree;
	size_t at = 0;

	(void)state;
	assert_int_equal(json_read(text, 4, &tree, &at), -EILSEQ);
	assert_int_equal(at, 2);
	assert_int_equal(json_read(quoted, 7, &tree, &at), -EILSEQ);
	assert_int_equal(at, 3);
}

static void nesting_and_members_have_a_limit(void **state)
{
	char text[16 * JSON_MAX_MEMBERS];

	(void)state;
	for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		assert_int_equal(try_read(text), depth <= JSON_MAX_DEPTH ? 0 : -EILSEQ);
	}
	for (size_t count = JSON_MAX_MEMBERS; count <= JSON_MAX_MEMBERS + 1; count++) {
		struct json_out out = {0};

		json_open(&out, '{');
		for (size_t i = 0; i < count; i++) {
			snprintf(text, sizeof(text), "m%zu", i);
			json_add_number(&out, text, i);
		}
		json_close(&out, '}');
		assert_int_equal(try_read(out.text), count <= JSON_MAX_MEMBERS ? 0 : -EILSEQ);
		json_out_done(&out);
	}
}

static void numbers_are_whole_and_within_their_limit(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool is;
	} NUMBERS[] = {
		{"0", 0, true}, {"1", 0, false}, {"65535", 65535, true}, {"65536", 65535, false},
		{"-1", 9, false}, {"1.0", 9, false}, {"1e0", 9, false}, {"\"1\"", 9, false},
		{"9999999999999999999", UINT64_MAX, true},
		{"99999999999999999999", UINT64_MAX, false}, {"null", 9, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(NUMBERS); i++) {
		char text[64];
		struct json_tree tree;
		uint64_t number = 77;

		strcpy(text, NUMBERS[i].text);
		assert_int_equal(json_read(text, strlen(text), &tree, NULL), 0);
		assert_int_equal(json_get_number(tree.nodes, NUMBERS[i].max, &number), NUMBERS[i].is);
		assert_true(number == (NUMBERS[i].is ? strtoull(NUMBERS[i].text, NULL, 10) : 77));
		json_tree_done(&tree);
	}
	assert_false(json_get_number(NULL, 1, NULL));
}

static void commas_stand_between_values_alone(void **state)
{
	struct json_out out = {0};
	size_t before;

	(void)state;
	json_open(&out, '[');
	json_open(&out, '{');
	json_close(&out, '}');
	json_put_bool(&out, true);
	json_put_integer(&out, -32000);
	json_put_integer(&out, INT64_MIN);
	json_put_number(&out, UINT64_MAX);
	before = out.n;
	json_put_string(&out, "taken back");
	json_put_string(&out, "\xff");
	assert_int_equal(out.err, -EINVAL);
	json_out_cut(&out, before);
	json_put_text(&out, "a\xff" "b\xc3", 4);
	json_open(&out, '{');
	json_add_text(&out, "a", "");
	json_foreign_name(&out, "b\"");
	json_put_bool(&out, false);
	json_add_null(&out, "c");
	json_close(&out, '}');
	json_put_string(&out, "[,");
	json_put_null(&out);
	json_close(&out, ']');
	assert_int_equal(out.err, 0);
	assert_int_equal(out.n, strlen(out.text));
	assert_string_equal(out.text, "[{},true,-32000,-9223372036854775808,18446744073709551615,"
				      "\"a?b?\",{\"a\":\"\",\"b\\\"\":false,\"c\":null},\"[,\",null]");
	json_out_done(&out);
}

static void what_was_read_is_written_again(void **state)
{
	static const char TEXT[] = "{\"a\":[1,-2.50e+3,\"\\u0001\\n\xc3\xa9\",null,true,false,[],{}],"
				   "\"\\\"\":{\"\":\"\"}}";
	char text[sizeof(TEXT)];
	struct json_out out = {0};
	struct json_tree tree;

	(void)state;
	memcpy(text, TEXT, sizeof(TEXT));
	assert_int_equal(json_read(text, strlen(text), &tree, NULL), 0);
	json_put_node(&out, tree.nodes);
	assert_string_equal(out.text, TEXT);
	json_tree_done(&tree);
	json_out_done(&out);
}

/* What grows leaves nothing behind: test_rpc looks into the memory that is freed. */
static void long_texts_grow(void **state)
{
	struct json_out out = {0};
	char text[3000];

	(void)state;
	memset(text, 'a', sizeof(text));
	json_open(&out, '[');
	for (size_t n = 0; n < sizeof(text); n += 37)
		json_put_text(&out, text, n);
	json_close(&out, ']');
	assert_int_equal(out.err, 0);
	assert_int_equal(try_read(out.text), 0);
	json_out_done(&out);
}

/* Wherever it is that memory is short. */
static void what_could_not_grow_is_still_a_string(void **state)
{
	char text[2048];

	(void)state;
	for (size_t n = sizeof(text) - 20; n < sizeof(text); n++) {
		struct json_out out = {0};

		memset(text, 'a', n);
		text[n] = '\0';
		json_put(&out, text);
		no_memory = true;
		json_put_text(&out, "b\xE2\x82\xAC" "c\"ddddddddddddd", 19);
		no_memory = false;
		assert_int_equal(out.err, -ENOMEM);
		assert_int_equal(strnlen(out.text, out.cap), out.n);
		json_out_done(&out);
	}
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
		cmocka_unit_test(what_is_plain_ends_at_the_first_byte_that_is_not),
		cmocka_unit_test(strings_are_read_by_others_as_they_were_given),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(base64_has_the_vectors_of_rfc_4648),
		cmocka_unit_test(trees_of_others_are_read_whole),
		cmocka_unit_test(paths_go_through_objects_and_arrays),
		cmocka_unit_test(what_is_no_json_is_refused_and_nothing_beyond_it_is_read),
		cmocka_unit_test(a_nul_is_no_end),
		cmocka_unit_test(nesting_and_members_have_a_limit),
		cmocka_unit_test(numbers_are_whole_and_within_their_limit),
		cmocka_unit_test(commas_stand_between_values_alone),
		cmocka_unit_test(what_was_read_is_written_again),
		cmocka_unit_test(long_texts_grow),
		cmocka_unit_test(what_could_not_grow_is_still_a_string),
		cmocka_unit_test(broken_answers_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
