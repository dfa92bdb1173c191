/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a connection of the control socket carries, without the socket: the framing, then JSON-RPC
 * over the real table of methods, a fake kernel below it.
 *
 * The input is the stream of bytes; between two values a line "+N" makes N seconds pass. In a
 * value, the words of sets.h stand for what the daemon has answered. Each request has its one
 * answer, one line of JSON, as JSON-RPC 2.0 and daemon/rpc.h promise.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/dispatch.h"
#include "daemon/frame_json.h"
#include "daemon/rpc.h"
#include "daemon/sip_flow.h"
#include "tests/fuzz/sets.h"
#include "tests/unit/world.h"

#define MAX_FRAMES 64
#define MAX_PASS_S 1000000

enum {
	PARSE_ERROR = -32700,
	INVALID_REQUEST = -32600,
	METHOD_NOT_FOUND = -32601,
	INVALID_PARAMS = -32602,
	REFUSED = -32000,
};

static struct daemon d;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	dispatch_init();
	return 0;
}

/* ---- framing ---- */

/* However the stream is cut, the value ends at the same byte. */
static void check_any_cut(struct span text, long whole)
{
	struct frame_json frame = {0};
	long n = 0;

	for (size_t len = 1; len <= text.n && !n; len++) {
		n = frame_json_next(&frame, text.p, len);
		CHECK(n <= 0 || (size_t)n == len);
	}
	CHECK(n == whole);
}

static long next_frame(struct span text)
{
	struct frame_json frame = {0};
	const long n = frame_json_next(&frame, text.p, text.n);

	CHECK(n >= 0 || n == -EBADMSG || n == -E2BIG);
	CHECK(n <= (long)text.n);
	check_any_cut(text, n);
	return n;
}

/* ---- answers ---- */

static json_t *error_code(const json_t *answer)
{
	return json_object_get(json_object_get(answer, "error"), "code");
}

static bool is_error(const json_t *answer, int code)
{
	return json_integer_value(error_code(answer)) == code;
}

static void check_envelope(const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *reason;

	CHECK(json_is_object(answer) && json_object_size(answer) == 3);
	CHECK(!strcmp(json_string_value(json_object_get(answer, "jsonrpc")), "2.0"));
	CHECK(json_object_get(answer, "id"));
	CHECK(!json_object_get(answer, "result") == !!error);
	if (!error)
		return;
	reason = json_string_value(json_object_get(json_object_get(error, "data"), "reason"));
	CHECK(json_string_length(json_object_get(error, "message")) > 0);
	CHECK(reason && strcmp(reason, "internal") != 0);
	CHECK(is_error(answer, PARSE_ERROR) || is_error(answer, INVALID_REQUEST) ||
	      is_error(answer, METHOD_NOT_FOUND) || is_error(answer, INVALID_PARAMS) ||
	      is_error(answer, REFUSED));
}

static bool is_id(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

static bool is_request(const json_t *request)
{
	const char *version = json_string_value(json_object_get(request, "jsonrpc"));
	const json_t *id = json_object_get(request, "id");

	return version && !strcmp(version, "2.0") &&
	       json_is_string(json_object_get(request, "method")) && (!id || is_id(id));
}

static bool is_notification(const json_t *request)
{
	return is_request(request) && !json_object_get(request, "id");
}

static void check_answer(json_t *request, json_t *answer)
{
	json_t *id = json_object_get(request, "id");

	check_envelope(answer);
	CHECK(!is_request(request) == is_error(answer, INVALID_REQUEST));
	if (!id || !is_id(id))
		CHECK(json_is_null(json_object_get(answer, "id")));
	else if (!json_is_real(id)) /* those lose digits */
		CHECK(json_equal(json_object_get(answer, "id"), id));
}

static void check_batch(json_t *requests, json_t *answers)
{
	json_t *request;
	size_t i, k = 0;

	if (!json_array_size(requests) || json_array_size(requests) > RPC_MAX_BATCH) {
		CHECK(is_error(answers, INVALID_REQUEST));
		check_envelope(answers);
		return;
	}
	json_array_foreach(requests, i, request) {
		if (!is_notification(request))
			check_answer(request, json_array_get(answers, k++));
	}
	CHECK(json_array_size(answers) == k && !k == !answers);
}

/* @answer: NULL, or what was written. */
static void check_written(struct span frame, char *text)
{
	json_t *request = json_loadb(frame.p, frame.n, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	CHECK(!text || (answer && !strpbrk(text, "\r\n")));
	if (!request) {
		check_envelope(answer);
		CHECK(is_error(answer, PARSE_ERROR));
	} else if (json_is_array(request)) {
		check_batch(request, answer);
	} else if (is_notification(request)) {
		CHECK(!answer);
	} else {
		check_answer(request, answer);
	}
	json_decref(request);
	json_decref(answer);
	free(text);
}

/* ---- the stream ---- */

static bool pass_time(struct span *rest)
{
	struct span line;
	uint32_t seconds;

	if (!rest->n || *rest->p != '+')
		return false;
	line = fuzz_line(rest);
	if (text_to_u32(fuzz_skip(line, 1), 7, MAX_PASS_S, &seconds) == 0)
		fake_clock_advance_s(seconds);
	return true;
}

static void handle(struct span text)
{
	const struct span frame = sets_expand(text);

	check_written(frame, rpc_handle(&d, frame.p, frame.n));
	fuzz_free(frame);
}

static bool handle_next(struct span *rest)
{
	long n;

	if (pass_time(rest))
		return true;
	n = next_frame(*rest);
	if (n < 0)
		check_written((struct span){"", 0}, rpc_parse_error("a sentence"));
	if (n <= 0)
		return false;
	handle((struct span){rest->p, (size_t)n});
	*rest = fuzz_skip(*rest, (size_t)n);
	if (rest->n && *rest->p == '\n')
		*rest = fuzz_skip(*rest, 1);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = {(const char *)data, size};

	sets_begin();
	json_object_seed(1);
	d = (struct daemon){.config = &world.config,
			    .xfrm = &fake_xfrm,
			    .table = world.table,
			    .started_ms = clock_monotonic_ms()};
	for (size_t i = 0; rest.n && i < MAX_FRAMES && handle_next(&rest); i++)
		sets_check();
	sets_check();
	sip_flow_free(d.sip);
	sets_end();
	return 0;
}
