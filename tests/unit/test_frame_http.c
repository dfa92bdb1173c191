/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/frame_http.c: where a request ends however the stream was cut, and which status each fault
 * has.
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

#include "daemon/frame_http.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define GET  "GET /metrics HTTP/1.1\r\nHost: x\r\n"
#define POST "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"

static long parse(const char *text, size_t n, struct frame_http *ret)
{
	memset(ret, 0, sizeof(*ret));
	return frame_http_next(ret, text, n);
}

static int status_of(const char *text)
{
	struct frame_http frame;

	assert_int_equal(parse(text, strlen(text), &frame), -EBADMSG);
	return frame.status;
}

static bool keeps_alive(const char *text)
{
	struct frame_http frame;

	assert_int_equal(parse(text, strlen(text), &frame), strlen(text));
	return frame.keep_alive;
}

/* ---- tests ---- */

static void a_request_cut_anywhere_is_the_same(void **state)
{
	static const char TEXT[] = POST "\r\n{}" GET "\r\n";
	const long first = (long)strlen(POST "\r\n{}");

	(void)state;
	for (size_t cut = 0; cut < sizeof(TEXT); cut++) {
		struct frame_http frame = {0};
		long n = frame_http_next(&frame, TEXT, cut);

		assert_int_equal(n, (long)cut < first ? 0 : first);
		if (!n)
			n = frame_http_next(&frame, TEXT, sizeof(TEXT) - 1);
		assert_int_equal(n, first);
		assert_true(span_is(frame.method, "POST"));
		assert_true(span_is(frame.target, "/rpc"));
		assert_int_equal(frame.body_bytes, 2);
		assert_memory_equal(TEXT + frame.head_bytes, "{}", 2);
	}
}

static void a_request_of_single_bytes_is_the_same(void **state)
{
	static const char TEXT[] = POST "\r\n{}";
	struct frame_http frame = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(TEXT) - 1; n++)
		assert_int_equal(frame_http_next(&frame, TEXT, n), 0);
	assert_int_equal(frame_http_next(&frame, TEXT, sizeof(TEXT) - 1), sizeof(TEXT) - 1);
}

static void a_head_is_read_once(void **state)
{
	char text[] = POST "\r\n{}", moved[sizeof(text)];
	struct frame_http frame = {0};

	(void)state;
	assert_int_equal(frame_http_next(&frame, text, sizeof(text) - 3), 0);
	memcpy(moved, text, sizeof(text));
	memset(text, 'x', sizeof(text));
	memset(strchr(moved, '\n'), 'x', 20); /* no head any more */
	assert_int_equal(frame_http_next(&frame, moved, sizeof(moved) - 1), sizeof(moved) - 1);
	assert_true(span_is(frame.method, "POST"));
	assert_true(span_is(frame.target, "/rpc"));
}

static void a_connection_lives_as_version_and_header_say(void **state)
{
	(void)state;
	assert_true(keeps_alive(GET "\r\n"));
	assert_false(keeps_alive(GET "Connection: close\r\n\r\n"));
	assert_false(keeps_alive(GET "connection: foo, Close\r\n\r\n"));
	assert_false(keeps_alive("GET / HTTP/1.0\r\n\r\n"));
	assert_true(keeps_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

static void each_fault_has_its_status(void **state)
{
	static const struct {
		const char *text;
		int status;
	} TEXTS[] = {
		{"\r\n\r\n", 400},
		{"x\r\n\r\n", 400},
		{"{\"jsonrpc\":\"2.0\"}\r\n\r\n", 400},
		{"GET\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},		/* no Host */
		{GET "Host: y\r\n\r\n", 400},			/* two */
		{"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET /\nX: HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
		{"GET / http/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
		{GET "no colon\r\n\r\n", 400},
		{GET "Na me: x\r\n\r\n", 400},
		{GET "Name : x\r\n\r\n", 400},
		{GET ": x\r\n\r\n", 400},
		{GET "A: x\r\n folded\r\n\r\n", 400},
		{GET "A: x\ny\r\n\r\n", 400},
		{GET "A: x\x7f\r\n\r\n", 400},
		{POST "Content-Length: 2\r\n\r\n{}", 400},
		{"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
		{"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\n", 400},
		{"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
		{"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n\r\n", 413},
		{"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 4294967297\r\n\r\n", 413},
		{POST "Transfer-Encoding: chunked\r\n\r\n", 411},
		{POST "Expect: 100-continue\r\n\r\n", 417},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		if (status_of(TEXTS[i].text) != TEXTS[i].status)
			fail_msg("%d for %s", status_of(TEXTS[i].text), TEXTS[i].text);
	}
}

static void a_head_has_a_limit(void **state)
{
	char *text = malloc(2 * FRAME_HTTP_MAX_HEAD_BYTES);
	const size_t start = sizeof(GET "A: ") - 1;
	struct frame_http frame;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 2 * FRAME_HTTP_MAX_HEAD_BYTES);
	memcpy(text, GET "A: ", start);
	assert_int_equal(parse(text, FRAME_HTTP_MAX_HEAD_BYTES, &frame), 0);
	assert_int_equal(parse(text, FRAME_HTTP_MAX_HEAD_BYTES + 1, &frame), -EBADMSG);
	assert_int_equal(frame.status, 431);
	memcpy(text + FRAME_HTTP_MAX_HEAD_BYTES - 4, "\r\n\r\n", 4);
	assert_int_equal(parse(text, FRAME_HTTP_MAX_HEAD_BYTES, &frame), FRAME_HTTP_MAX_HEAD_BYTES);
	memcpy(text + FRAME_HTTP_MAX_HEAD_BYTES - 4, "xxx\r\n\r\n", 7);
	assert_int_equal(parse(text, 2 * FRAME_HTTP_MAX_HEAD_BYTES, &frame), -EBADMSG);
	assert_int_equal(frame.status, 431);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_cut_anywhere_is_the_same),
		cmocka_unit_test(a_request_of_single_bytes_is_the_same),
		cmocka_unit_test(a_head_is_read_once),
		cmocka_unit_test(a_connection_lives_as_version_and_header_say),
		cmocka_unit_test(each_fault_has_its_status),
		cmocka_unit_test(a_head_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
