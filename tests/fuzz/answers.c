/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three readers of answers, stricter than any client: JSON-RPC 2.0 by jansson, RESP2 and HTTP/1.1
 * by a few lines here, none of the daemon's. Each takes the answer apart to its last byte. What a
 * method's result says is not looked at: that is for the unit tests.
 */
#include "tests/fuzz/answers.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc.h"
#include "tests/fuzz/fuzz.h"

enum {
	PARSE_ERROR = -32700,
	INVALID_REQUEST = -32600,
	METHOD_NOT_FOUND = -32601,
	INVALID_PARAMS = -32602,
	REFUSED = -32000,
};

/* ---- JSON-RPC 2.0 ---- */

static bool is_error(const json_t *answer, int code)
{
	const json_t *error = json_object_get(answer, "error");

	return json_integer_value(json_object_get(error, "code")) == code;
}

/* JSON-RPC 2.0 5.1 */
static void check_error(const json_t *error)
{
	const json_int_t code = json_integer_value(json_object_get(error, "code"));
	const char *reason =
		json_string_value(json_object_get(json_object_get(error, "data"), "reason"));

	CHECK(json_object_size(error) == 3);
	CHECK(json_string_length(json_object_get(error, "message")) > 0);
	CHECK(reason && strcmp(reason, "internal") != 0);
	CHECK(code == PARSE_ERROR || code == INVALID_REQUEST || code == METHOD_NOT_FOUND ||
	      code == INVALID_PARAMS || code == REFUSED);
}

static void check_envelope(const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");

	CHECK(json_is_object(answer) && json_object_size(answer) == 3);
	CHECK(!strcmp(json_string_value(json_object_get(answer, "jsonrpc")), "2.0"));
	CHECK(json_object_get(answer, "id"));
	CHECK(!json_object_get(answer, "result") == !!error);
	if (error)
		check_error(error);
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

static void check_answer(const json_t *request, const json_t *answer)
{
	const json_t *id = json_object_get(request, "id");

	check_envelope(answer);
	CHECK(!is_request(request) == is_error(answer, INVALID_REQUEST));
	if (!id || !is_id(id))
		CHECK(json_is_null(json_object_get(answer, "id")));
	else if (!json_is_real(id)) /* those lose digits */
		CHECK(json_equal(json_object_get(answer, "id"), id));
}

static void check_batch(const json_t *requests, const json_t *answers)
{
	const json_t *request;
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

static bool is_within_limits(struct span request)
{
	struct frame_json frame = {0};

	return frame_json_next(&frame, request.p, request.n) > 0;
}

/* What jansson and daemon/json/ see otherwise: numbers that do not fit, objects of very many
 * members. */
static bool is_extreme(struct span request)
{
	size_t digits = 0, colons = 0;

	for (size_t i = 0; i < request.n; i++) {
		const char c = request.p[i];

		digits = c && strchr("0123456789+-.eE", c) ? digits + 1 : 0;
		colons += c == ':';
		if (digits > 18 || (digits > 1 && (c == 'e' || c == 'E')) ||
		    colons > JSON_MAX_MEMBERS)
			return true;
	}
	return false;
}

void answers_check_json(struct span request, const char *text)
{
	json_t *asked = json_loadb(request.p, request.n, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	const bool extreme = is_extreme(request); /* its id comes back, which jansson may not read */

	CHECK(!text || ((answer || extreme) && !strpbrk(text, "\r\n")));
	if (memchr(request.p, '\0', request.n)) /* jansson overlooks it behind a number or a word */
		answers_check_no_json(text);
	else if (extreme)
		(void)0;
	else if (!asked || !is_within_limits(request))
		answers_check_no_json(text);
	else if (json_is_array(asked))
		check_batch(asked, answer);
	else if (is_notification(asked))
		CHECK(!answer);
	else
		check_answer(asked, answer);
	json_decref(asked);
	json_decref(answer);
}

void answers_check_no_json(const char *text)
{
	json_t *answer = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	check_envelope(answer);
	CHECK(is_error(answer, PARSE_ERROR) && json_is_null(json_object_get(answer, "id")));
	json_decref(answer);
}

/* ---- lines and numbers ---- */

/* Off the front of @rest, without its CR LF, which must be there. */
static struct span take_line(struct span *rest)
{
	const char *end = rest->n ? memmem(rest->p, rest->n, "\r\n", 2) : NULL;
	struct span line;

	CHECK(end);
	line = (struct span){rest->p, (size_t)(end - rest->p)};
	CHECK(!memchr(line.p, '\n', line.n) && !memchr(line.p, '\r', line.n));
	*rest = fuzz_skip(*rest, line.n + 2);
	return line;
}

static uint32_t number_of(struct span digits)
{
	uint32_t number = 0;

	CHECK(text_to_u32(digits, 10, UINT32_MAX, &number) == 0);
	return number;
}

static bool take_word(struct span *s, const char *word)
{
	const size_t n = strlen(word);

	if (s->n < n || memcmp(s->p, word, n) != 0)
		return false;
	*s = fuzz_skip(*s, n);
	return true;
}

/* ---- RESP2 ---- */

/* "-CODE sentence", the code as Redis has them: one word of capitals. */
static void check_error_line(struct span line)
{
	size_t n = 0;

	while (n < line.n && (isupper((unsigned char)line.p[n]) || line.p[n] == '_' ||
			      isdigit((unsigned char)line.p[n])))
		n++;
	CHECK(n > 0 && line.n > n + 1 && line.p[n] == ' ');
	CHECK(!span_equal((struct span){line.p, n}, span_of("INTERNAL")));
	for (size_t i = 0; i < line.n; i++)
		CHECK((unsigned char)line.p[i] >= ' ');
}

static struct span take_bulk(struct span length, struct span *rest)
{
	const struct span bulk = {rest->p, number_of(length)};

	CHECK(bulk.n + 2 <= rest->n);
	*rest = fuzz_skip(*rest, bulk.n);
	CHECK(take_word(rest, "\r\n"));
	return bulk;
}

/* One value, all of it; of arrays there are none within arrays. */
static void take_value(struct span *rest, bool may_nest)
{
	const struct span line = take_line(rest);
	const struct span text = fuzz_skip(line, 1);

	CHECK(line.n > 0);
	switch (line.p[0]) {
	case '+':
		CHECK(text.n > 0);
		break;
	case '-':
		check_error_line(text);
		break;
	case ':':
		number_of(text);
		break;
	case '$':
		take_bulk(text, rest);
		break;
	default:
		CHECK(line.p[0] == '*' && may_nest);
		for (uint32_t i = number_of(text); i; i--)
			take_value(rest, false);
	}
}

/* What the array of a "CALL" and the bulk strings of methods are. */
static void check_json_reply(bool is_call, struct span answer)
{
	const struct span line = take_line(&answer);
	struct span bulk;
	json_t *json;

	CHECK(is_call ? line.p[0] == '$' : line.p[0] == '$' || line.p[0] == '-');
	if (line.p[0] == '-')
		return;
	bulk = take_bulk(fuzz_skip(line, 1), &answer);
	json = json_loadb(bulk.p, bulk.n, JSON_REJECT_DUPLICATES, NULL);
	CHECK(json_is_object(json));
	if (is_call) {
		CHECK(json_object_size(json) == 1);
		if (!json_object_get(json, "result"))
			check_error(json_object_get(json, "error"));
	}
	json_decref(json);
}

static bool is_of_redis(struct span name)
{
	static const char *const NAMES[] = {"PING", "SELECT",  "QUIT",	 "AUTH",
					    "HELLO", "COMMAND", "CLIENT"};

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (span_is(name, NAMES[i]))
			return true;
	}
	return false;
}

static void check_args(const struct frame_resp *frame, const char *data)
{
	size_t at = 0;

	CHECK(frame->have == frame->count && frame->count <= FRAME_RESP_MAX_ARGS);
	for (size_t i = 0; i < frame->count; i++) {
		const struct span arg = frame_resp_arg(frame, data, i);

		CHECK(arg.p >= data + at && arg.n + 2 <= frame->seen);
		at = (size_t)(arg.p - data) + arg.n + 2;
		CHECK(at <= frame->seen && !memcmp(arg.p + arg.n, "\r\n", 2));
	}
	CHECK(!frame->count || at == frame->seen);
}

void answers_check_resp(const struct frame_resp *frame, const char *data, struct span answer)
{
	const struct span name = frame_resp_arg(frame, data, 0);
	struct span rest = answer;

	check_args(frame, data);
	CHECK(!frame->count == !answer.p);
	if (!answer.p)
		return;
	take_value(&rest, true);
	CHECK(!rest.n);
	if (!is_of_redis(name))
		check_json_reply(span_is(name, "CALL"), answer);
	if (name.n && memchr(name.p, '\0', name.n))
		CHECK(answer.p[0] == '-');
}

void answers_check_no_resp(struct span answer)
{
	struct span rest = answer;

	CHECK(answer.p && answer.p[0] == '-');
	take_value(&rest, false);
	CHECK(!rest.n);
}

/* ---- HTTP/1.1 ---- */

struct http_answer {
	uint32_t status;
	bool has_allow, has_type, has_length, has_connection;
	bool closes;
	struct span body;
};

static void read_field(struct http_answer *a, struct span line)
{
	if (take_word(&line, "Content-Length: ")) {
		CHECK(!a->has_length);
		a->has_length = true;
		CHECK(number_of(line) == a->body.n);
	} else if (take_word(&line, "Content-Type: ")) {
		CHECK(!a->has_type && line.n);
		a->has_type = true;
	} else if (take_word(&line, "Allow: ")) {
		CHECK(!a->has_allow && line.n);
		a->has_allow = true;
	} else {
		CHECK(take_word(&line, "Connection: ") && !a->has_connection);
		a->has_connection = true;
		a->closes = span_equal(line, span_of("close"));
		CHECK(a->closes || span_equal(line, span_of("keep-alive")));
	}
}

/* RFC 9112 4, 6.3; RFC 9110 15.3.5, 15.5.6 */
static struct http_answer read_http(struct span answer)
{
	const char *end = answer.p ? memmem(answer.p, answer.n, "\r\n\r\n", 4) : NULL;
	struct http_answer a = {0};
	struct span head, line;

	CHECK(end);
	head = (struct span){answer.p, (size_t)(end - answer.p) + 2};
	a.body = fuzz_skip(answer, head.n + 2);
	line = take_line(&head);
	CHECK(take_word(&line, "HTTP/1.1 ") && line.n > 4 && line.p[3] == ' ');
	a.status = number_of((struct span){line.p, 3});
	while (head.n)
		read_field(&a, take_line(&head));
	CHECK(a.has_connection && a.has_length == (a.status != 204));
	CHECK(a.has_allow == (a.status == 405) && a.has_type == (a.body.n > 0));
	return a;
}

static void check_metrics(struct span text)
{
	CHECK(text.n && text.p[text.n - 1] == '\n');
	while (text.n) {
		struct span line = fuzz_line(&text);

		CHECK(take_word(&line, "# HELP ") || take_word(&line, "# TYPE ") ||
		      take_word(&line, "secagreed_"));
	}
}

static void check_rpc(struct span request, const struct http_answer *a)
{
	char *line = NULL;

	if (a->status == 200) {
		CHECK(a->body.n && a->body.p[a->body.n - 1] == '\n');
		line = strndup(a->body.p, a->body.n - 1);
		CHECK(line && strlen(line) == a->body.n - 1);
	} else {
		CHECK(a->status == 204);
	}
	answers_check_json(request, line);
	free(line);
}

static void check_resource(struct span target, struct span request, const struct http_answer *a)
{
	if (span_equal(target, span_of("/rpc"))) {
		check_rpc(request, a);
		return;
	}
	CHECK(a->status == 200);
	if (span_equal(target, span_of("/metrics")))
		check_metrics(a->body);
	else
		CHECK(span_equal(a->body, span_of("ok\n")));
}

void answers_check_http(const struct frame_http *frame, const char *data, bool may_control,
			struct span answer, bool closes)
{
	const struct http_answer a = read_http(answer);
	const bool is_rpc = may_control && span_equal(frame->target, span_of("/rpc"));
	const bool is_there = is_rpc || span_equal(frame->target, span_of("/metrics")) ||
			      span_equal(frame->target, span_of("/healthz"));

	CHECK(a.closes == closes && closes == !frame->keep_alive);
	if (!is_there)
		CHECK(a.status == 404);
	else if (!span_equal(frame->method, span_of(is_rpc ? "POST" : "GET")))
		CHECK(a.status == 405);
	else
		check_resource(frame->target,
			       (struct span){data + frame->head_bytes, frame->body_bytes}, &a);
}

void answers_check_no_http(int status, struct span answer)
{
	const struct http_answer a = read_http(answer);

	CHECK(a.status == (uint32_t)status && a.status >= 400 && a.status != 500 && a.closes);
}
