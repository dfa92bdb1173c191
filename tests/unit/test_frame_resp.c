/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/frame_resp.c: the same commands come out of a stream however it was cut, and what is no
 * command of RESP2 or too much of it is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/frame_resp.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char STREAM[] = "*1\r\n$4\r\nPING\r\n"
			     "*0\r\n"
			     "*2\r\n$8\r\nsa.offer\r\n$8\r\n{\"a\r\n\"}\r\r\n"
			     "*3\r\n$0\r\n\r\n$1\r\n*\r\n$3\r\n$1\r\r\n";

/* Arguments of each command, joined by '|'. */
static const char *const COMMANDS_IN_IT[] = {"PING", "", "sa.offer|{\"a\r\n\"}\r", "|*|$1\r"};

struct reader {
	struct frame_resp frame;
	char in[sizeof(STREAM)];
	size_t len, commands;
};

static void assert_command(const struct reader *r)
{
	char joined[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < r->frame.count; i++) {
		const struct span arg = frame_resp_arg(&r->frame, r->in, i);

		if (i)
			joined[n++] = '|';
		memcpy(joined + n, arg.p, arg.n);
		n += arg.n;
	}
	assert_in_range(r->commands, 0, COUNT_OF(COMMANDS_IN_IT) - 1);
	assert_int_equal(n, strlen(COMMANDS_IN_IT[r->commands]));
	assert_memory_equal(joined, COMMANDS_IN_IT[r->commands], n);
}

static void feed(struct reader *r, const char *data, size_t n)
{
	long command;

	memcpy(r->in + r->len, data, n);
	r->len += n;
	while (r->len && (command = frame_resp_next(&r->frame, r->in, r->len)) > 0) {
		assert_command(r);
		r->commands++;
		r->len -= (size_t)command;
		memmove(r->in, r->in + command, r->len);
		memset(&r->frame, 0, sizeof(r->frame));
	}
}

static long whole(const char *text, const char **ret_fault)
{
	struct frame_resp frame = {0};
	const long n = frame_resp_next(&frame, text, strlen(text));

	*ret_fault = frame.fault;
	return n;
}

/* ---- tests ---- */

static void a_stream_cut_anywhere_gives_the_same_commands(void **state)
{
	const size_t n = sizeof(STREAM) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct reader r = {0};

		feed(&r, STREAM, cut);
		feed(&r, STREAM + cut, n - cut);
		assert_int_equal(r.commands, COUNT_OF(COMMANDS_IN_IT));
		assert_int_equal(r.len, 0);
	}
}

static void a_stream_of_single_bytes_gives_the_same_commands(void **state)
{
	struct reader r = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(STREAM) - 1; i++)
		feed(&r, STREAM + i, 1);
	assert_int_equal(r.commands, COUNT_OF(COMMANDS_IN_IT));
}

static void what_is_not_complete_waits(void **state)
{
	static const char *const TEXTS[] = {"",	    "*",	      "*1",	       "*1\r",
					    "*1\r\n", "*1\r\n$4\r\n", "*1\r\n$4\r\nPING\r"};
	const char *fault;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		assert_int_equal(whole(TEXTS[i], &fault), 0);
}

static void garbage_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *text, *fault;
	} TEXTS[] = {
		{"PING\r\n", "inline"},
		{"\r\n", "inline"},
		{"*1\r\n*1\r\n$1\r\nx\r\n", "bulk string"},
		{"*1\r\n:1\r\n", "bulk string"},
		{"*1\r\n+x\r\n", "bulk string"},
		{"*-1\r\n", "a number"},
		{"*\r\n", "a number"},
		{"*+1\r\n", "a number"},
		{"* 1\r\n", "a number"},
		{"*1\n$4\r\nPING\r\n", "a number"},
		{"*1\r\n$-1\r\n", "a number"},
		{"*1\r\n$4x\r\n", "a number"},
		{"*1\r\n$4\r\nPINGS\r\n", "longer"},
		{"*1\r\n$4\r\nPING\n\n", "longer"},
		{"*17\r\n", "too many"},
		{"*1000000\r\n", "too many"},
		{"*1\r\n$262145\r\n", "too long"},
		{"*1\r\n$4294967300\r\n", "too long"},
		{"*00000000000000000001\r\n", "too long"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		const char *fault = NULL;

		assert_int_equal(whole(TEXTS[i].text, &fault), -EBADMSG);
		assert_non_null(fault);
		if (!strstr(fault, TEXTS[i].fault))
			fail_msg("%s: %s", TEXTS[i].text, fault);
	}
}

static void a_command_has_a_limit_of_bytes(void **state)
{
	static const char HEAD[] = "*2\r\n$200000\r\n";
	char *text = malloc(FRAME_RESP_MAX_BYTES);
	struct frame_resp frame = {0};
	size_t n = sizeof(HEAD) - 1 + 200000;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', FRAME_RESP_MAX_BYTES);
	memcpy(text, HEAD, sizeof(HEAD) - 1);
	memcpy(text + n, "\r\n$200000\r\n", 11);
	assert_int_equal(frame_resp_next(&frame, text, n + 11), -EBADMSG);
	assert_non_null(strstr(frame.fault, "too long"));
	free(text);
}

static void an_argument_that_is_not_there_is_empty(void **state)
{
	static const char TEXT[] = "*1\r\n$4\r\nPING\r\n";
	struct frame_resp frame = {0};

	(void)state;
	assert_int_equal(frame_resp_next(&frame, TEXT, sizeof(TEXT) - 1), sizeof(TEXT) - 1);
	assert_true(span_is(frame_resp_arg(&frame, TEXT, 0), "PING"));
	assert_int_equal(frame_resp_arg(&frame, TEXT, 1).n, 0);
	assert_int_equal(frame_resp_arg(&frame, TEXT, 99).n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_cut_anywhere_gives_the_same_commands),
		cmocka_unit_test(a_stream_of_single_bytes_gives_the_same_commands),
		cmocka_unit_test(what_is_not_complete_waits),
		cmocka_unit_test(garbage_is_refused_with_a_sentence),
		cmocka_unit_test(a_command_has_a_limit_of_bytes),
		cmocka_unit_test(an_argument_that_is_not_there_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
