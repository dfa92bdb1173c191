/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/frame_json.c: the same values come out of a stream however it was cut, and what is no JSON
 * or too much of it is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/frame_json.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- helpers ---- */

/* A stream and the values in it, white space before them included. */
static const char STREAM[] = "{\"a\":1}[1,[2,{}]]\n\t {\"b\":\"}]{[\",\"c\":\"\\\"}\"}\r\n"
			     "{\"d\":\"\\\\\"}[{\"e\":\"\\u007b\"}]  {}";
static const char *const VALUES[] = {
	"{\"a\":1}",
	"[1,[2,{}]]",
	"\n\t {\"b\":\"}]{[\",\"c\":\"\\\"}\"}",
	"\r\n{\"d\":\"\\\\\"}",
	"[{\"e\":\"\\u007b\"}]",
	"  {}",
};

/* The connection's side: input grows, and goes from the front value by value. */
struct reader {
	struct frame_json frame;
	char in[sizeof(STREAM)];
	size_t len, values;
};

static void feed(struct reader *r, const char *data, size_t n)
{
	long value;

	memcpy(r->in + r->len, data, n);
	r->len += n;
	while ((value = frame_json_next(&r->frame, r->in, r->len)) > 0) {
		assert_in_range(r->values, 0, COUNT_OF(VALUES) - 1);
		assert_int_equal(value, strlen(VALUES[r->values]));
		assert_memory_equal(r->in, VALUES[r->values], (size_t)value);
		memmove(r->in, r->in + value, r->len - (size_t)value);
		r->len -= (size_t)value;
		r->values++;
	}
	assert_int_equal(value, 0);
}

static long whole(const char *text)
{
	struct frame_json frame = {0};

	return frame_json_next(&frame, text, strlen(text));
}

/* ---- tests ---- */

static void a_stream_cut_anywhere_gives_the_same_values(void **state)
{
	const size_t n = sizeof(STREAM) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct reader r = {0};

		feed(&r, STREAM, cut);
		feed(&r, STREAM + cut, n - cut);
		assert_int_equal(r.values, COUNT_OF(VALUES));
		assert_int_equal(r.len, 0);
	}
}

static void a_stream_of_single_bytes_gives_the_same_values(void **state)
{
	struct reader r = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(STREAM) - 1; i++)
		feed(&r, STREAM + i, 1);
	assert_int_equal(r.values, COUNT_OF(VALUES));
}

static void each_byte_is_looked_at_once(void **state)
{
	struct frame_json frame = {0};
	char text[] = "{\"a\":1";

	(void)state;
	assert_int_equal(frame_json_next(&frame, text, 6), 0);
	assert_int_equal(frame.seen, 6);
	memset(text, '!', 6);
	assert_int_equal(frame_json_next(&frame, text, 6), 0);
	assert_int_equal(frame_json_next(&frame, "......}", 7), 7);
}

static void what_is_not_complete_waits(void **state)
{
	static const char *const TEXTS[] = {"", " ", "\r\n\t ", "{", "[[]", "{\"}", "{\"\\\"}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		assert_int_equal(whole(TEXTS[i]), 0);
}

static void what_begins_otherwise_is_no_request(void **state)
{
	static const char *const TEXTS[] = {"}",  "]",   "\"a\"", "1",    "null", "GET / HTTP/1.1",
					    "*1", ",{}", "\x01",  "\xff", " x",   "\xef\xbb\xbf{}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		assert_int_equal(whole(TEXTS[i]), -EBADMSG);
}

static void a_nul_outside_of_a_value_is_no_request(void **state)
{
	struct frame_json frame = {0};

	(void)state;
	assert_int_equal(frame_json_next(&frame, "\0{}", 3), -EBADMSG);
}

static void brackets_that_do_not_match_end_a_value_for_the_parser_to_refuse(void **state)
{
	(void)state;
	assert_int_equal(whole("{]"), 2);
	assert_int_equal(whole("[}{"), 2);
}

static void garbage_inside_a_value_stays_inside(void **state)
{
	struct frame_json frame = {0};

	(void)state;
	assert_int_equal(frame_json_next(&frame, "{\0\xff\x01}", 5), 5);
}

static void depth_is_limited(void **state)
{
	char text[2 * FRAME_JSON_MAX_DEPTH + 3] = "";

	(void)state;
	memset(text, '[', FRAME_JSON_MAX_DEPTH);
	memset(text + FRAME_JSON_MAX_DEPTH, ']', FRAME_JSON_MAX_DEPTH);
	assert_int_equal(whole(text), 2 * FRAME_JSON_MAX_DEPTH);
	memset(text, '[', FRAME_JSON_MAX_DEPTH + 1);
	assert_int_equal(whole(text), -E2BIG);
	memset(text, '{', FRAME_JSON_MAX_DEPTH + 1);
	assert_int_equal(whole(text), -E2BIG);
}

static void brackets_in_strings_have_no_depth(void **state)
{
	char text[200] = "{\"";

	(void)state;
	memset(text + 2, '[', 100);
	memcpy(text + 102, "\"}", 3);
	assert_int_equal(whole(text), 104);
}

/* A value of @bytes: a string in a list. */
static long value_of(size_t bytes)
{
	char *text = malloc(bytes);
	struct frame_json frame = {0};
	long n;

	assert_non_null(text);
	memset(text, 'x', bytes);
	text[0] = '[';
	text[1] = '"';
	text[bytes - 2] = '"';
	text[bytes - 1] = ']';
	n = frame_json_next(&frame, text, bytes);
	free(text);
	return n;
}

static void size_is_limited(void **state)
{
	(void)state;
	assert_int_equal(value_of(FRAME_JSON_MAX_BYTES), FRAME_JSON_MAX_BYTES);
	assert_int_equal(value_of(FRAME_JSON_MAX_BYTES + 1), -E2BIG);
	assert_int_equal(value_of(FRAME_JSON_MAX_BYTES * 4), -E2BIG);
}

static void endless_white_space_is_limited(void **state)
{
	char *text = malloc(FRAME_JSON_MAX_BYTES + 1);
	struct frame_json frame = {0};

	(void)state;
	assert_non_null(text);
	memset(text, ' ', FRAME_JSON_MAX_BYTES + 1);
	assert_int_equal(frame_json_next(&frame, text, FRAME_JSON_MAX_BYTES + 1), -E2BIG);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_cut_anywhere_gives_the_same_values),
		cmocka_unit_test(a_stream_of_single_bytes_gives_the_same_values),
		cmocka_unit_test(each_byte_is_looked_at_once),
		cmocka_unit_test(what_is_not_complete_waits),
		cmocka_unit_test(what_begins_otherwise_is_no_request),
		cmocka_unit_test(a_nul_outside_of_a_value_is_no_request),
		cmocka_unit_test(brackets_that_do_not_match_end_a_value_for_the_parser_to_refuse),
		cmocka_unit_test(garbage_inside_a_value_stays_inside),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(brackets_in_strings_have_no_depth),
		cmocka_unit_test(size_is_limited),
		cmocka_unit_test(endless_white_space_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
