/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a connection carries, without the socket: the three framings, then the real table of methods
 * and a fake kernel below it.
 *
 * The input is the stream of bytes. Its first byte says where it comes in: "H" at the door of HTTP,
 * "M" at that of the metrics, "R" at the control socket, from root; and anything else, which then is
 * part of the stream, there from another user. "*" begins RESP2, all else is JSON. Between two
 * requests a line "+N" makes N seconds pass. In a JSON request, an argument and a body, the words of
 * sets.h stand for what the daemon has answered.
 *
 * However the stream is cut, a request ends at the same byte; each has its one answer, well-formed
 * in its framing (answers.h); and a key is in no event, in no line of the log and, but for
 * sa.export_keys, which obeys root alone, in no answer.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "daemon/event.h"
#include "daemon/event_json.h"
#include "daemon/frame_json.h"
#include "daemon/http.h"
#include "daemon/log.h"
#include "daemon/resp.h"
#include "daemon/rpc.h"
#include "daemon/sip_flow.h"
#include "tests/fuzz/answers.h"
#include "tests/fuzz/sets.h"
#include "tests/unit/world.h"

#define MAX_REQUESTS  64
#define MAX_PASS_S    1000000
#define MAX_KEYS      16
#define KEY_DIGITS    32
#define REQUEST_BYTES (2 * 1024 * 1024)
#define BEHIND        'x' /* the byte behind a request, which belongs to the next */

static struct daemon d;
static struct subscriber subscriber;
static struct guards *guards;
static struct ucred peer; /* of JSON */
static bool may_control;  /* over HTTP */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* ---- keys ---- */

/* Of each key that the input says just once, as a ck or ik in JSON, its first digits. The digits
 * are inside the input. */
static struct {
	struct span first[MAX_KEYS];
	size_t count;
} keys;

static size_t count_in(struct span text, struct span what)
{
	size_t count = 0;
	const char *at;

	while (text.n && (at = memmem(text.p, text.n, what.p, what.n))) {
		text = fuzz_skip(text, (size_t)(at - text.p) + 1);
		count++;
	}
	return count;
}

static void find_keys(struct span input)
{
	static const char CK[] = "\"ck\":\"", IK[] = "\"ik\":\"";
	const size_t n = sizeof(CK) - 1;

	keys.count = 0;
	for (size_t i = 0; i + n + KEY_DIGITS <= input.n && keys.count < MAX_KEYS; i++) {
		const struct span key = {input.p + i + n, KEY_DIGITS / 2};
		uint8_t bytes[KEY_DIGITS / 4];

		if ((!memcmp(input.p + i, CK, n) || !memcmp(input.p + i, IK, n)) &&
		    text_from_hex(key, bytes, sizeof(bytes)) == 0 && count_in(input, key) == 1)
			keys.first[keys.count++] = key;
	}
}

static void check_no_key(const char *text, size_t n)
{
	for (size_t i = 0; i < keys.count; i++)
		CHECK(!memmem(text, n, keys.first[i].p, keys.first[i].n));
}

bool __wrap_log_wants(int level);
void __wrap_log_line(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void __wrap_log_write(int level, const char *line, const struct log_field *fields, size_t count);

bool __wrap_log_wants(int level)
{
	(void)level;
	return true;
}

void __wrap_log_line(int level, const char *fmt, ...)
{
	char line[4096];
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	check_no_key(line, strlen(line));
}

/* An event: no byte that breaks a line, and what the journal gets has no key either. */
void __wrap_log_write(int level, const char *line, const struct log_field *fields, size_t count)
{
	(void)level;
	check_no_key(line, strlen(line));
	for (const char *c = line; *c; c++) {
		if (*c < ' ' || *c > '~')
			__builtin_trap();
	}
	for (size_t i = 0; i < count; i++)
		check_no_key(fields[i].value, strlen(fields[i].value));
}

/* As a subscriber is sent them. */
static void check_events(void)
{
	const struct event_record *record = event_from(1);

	for (; record; record = event_from(record->seq + 1)) {
		char *text = rpc_event(record);

		CHECK(text && !strpbrk(text, "\r\n"));
		check_no_key(text, strlen(text));
		free(text);
	}
}

/* ---- JSON ---- */

static long next_json(struct span rest)
{
	struct frame_json whole = {0}, frame = {0};
	const long n = frame_json_next(&whole, rest.p, rest.n);
	long cut = 0;

	CHECK((n >= 0 || n == -EBADMSG || n == -E2BIG) && n <= (long)rest.n);
	for (size_t len = 1; len <= rest.n && !cut; len++) {
		cut = frame_json_next(&frame, rest.p, len);
		CHECK(cut <= 0 || (size_t)cut == len);
	}
	CHECK(cut == n);
	return n;
}

static long refuse_json(void)
{
	char *answer = rpc_parse_error("a sentence");

	answers_check_no_json(answer);
	free(answer);
	return -EBADMSG;
}

/* To be freed. */
static char *changeable(struct span request)
{
	char *text = malloc(request.n + 1);

	CHECK(text);
	memcpy(text, request.p, request.n);
	text[request.n] = BEHIND;
	return text;
}

static void handle_json(struct span request)
{
	char *text = changeable(request), *answer;

	d.caller = &subscriber;
	d.peer = &peer;
	answer = rpc_handle(&d, text, request.n);
	d.peer = NULL;
	d.caller = NULL;
	CHECK(text[request.n] == BEHIND);
	free(text);
	answers_check_json(request, answer);
	if (answer && peer.uid)
		check_no_key(answer, strlen(answer));
	free(answer);
}

static long take_json(struct span rest)
{
	const long n = next_json(rest);
	struct span request;

	if (n <= 0)
		return n < 0 ? refuse_json() : 0;
	request = sets_expand((struct span){rest.p, (size_t)n});
	handle_json(request);
	fuzz_free(request);
	return n;
}

/* ---- RESP2 ---- */

static long next_resp(struct span rest, struct frame_resp *ret)
{
	struct frame_resp frame = {0};
	const long n = frame_resp_next(ret, rest.p, rest.n);
	long cut = 0;

	CHECK((n >= 0 || n == -EBADMSG) && n <= (long)rest.n);
	for (size_t len = 1; len <= rest.n && !cut; len++) {
		cut = frame_resp_next(&frame, rest.p, len);
		CHECK(cut <= 0 || (size_t)cut == len);
	}
	CHECK(cut == n && frame.count == ret->count && frame.have == ret->have);
	CHECK(!memcmp(frame.at, ret->at, sizeof(frame.at)) &&
	      !memcmp(frame.length, ret->length, sizeof(frame.length)));
	CHECK(n >= 0 || (frame.fault && frame.fault == ret->fault));
	return n;
}

static long refuse_resp(const struct frame_resp *frame)
{
	size_t bytes = 0;
	char *answer = resp_protocol_error(frame->fault, &bytes);

	answers_check_no_resp((struct span){answer, bytes});
	free(answer);
	return -EBADMSG;
}

/* The same command with its words expanded, as a client would write it. */
static struct span expand_resp(const struct frame_resp *frame, const char *data)
{
	static char buf[REQUEST_BYTES];
	struct text_out out;

	text_out_init(&out, buf, sizeof(buf));
	text_out_printf(&out, "*%zu\r\n", frame->count);
	for (size_t i = 0; i < frame->count; i++) {
		const struct span arg = sets_expand(frame_resp_arg(frame, data, i));

		text_out_printf(&out, "$%zu\r\n", arg.n);
		text_out_span(&out, arg);
		text_out_span(&out, span_of("\r\n"));
		fuzz_free(arg);
	}
	return fuzz_copy((struct span){buf, out.n});
}

static bool handle_resp(struct span command)
{
	struct frame_resp frame = {0};
	const long n = frame_resp_next(&frame, command.p, command.n);
	bool quit = false;
	size_t bytes = 0;
	char *text, *answer;

	if (n < 0) { /* too long by now */
		refuse_resp(&frame);
		return false;
	}
	CHECK(n == (long)command.n);
	text = changeable(command);
	answer = resp_handle(&d, &frame, text, &bytes, &quit);
	free(text);
	answers_check_resp(&frame, command.p, (struct span){answer, bytes});
	if (answer && !span_is(frame_resp_arg(&frame, command.p, 0), "PING"))
		check_no_key(answer, bytes);
	free(answer);
	return !quit;
}

static long take_resp(struct span rest)
{
	struct frame_resp frame = {0};
	const long n = next_resp(rest, &frame);
	struct span command;
	bool goes_on;

	if (n <= 0)
		return n < 0 ? refuse_resp(&frame) : 0;
	command = expand_resp(&frame, rest.p);
	goes_on = handle_resp(command);
	fuzz_free(command);
	return goes_on ? n : 0;
}

/* ---- HTTP ---- */

static long next_http(struct span rest, struct frame_http *ret)
{
	struct frame_http frame = {0};
	const long n = frame_http_next(ret, rest.p, rest.n);
	long cut = 0;

	CHECK((n >= 0 || n == -EBADMSG) && n <= (long)rest.n);
	for (size_t len = 1; len <= rest.n && !cut; len++) {
		cut = frame_http_next(&frame, rest.p, len);
		CHECK(cut <= 0 || (size_t)cut == len);
	}
	CHECK(cut == n && frame.status == ret->status);
	CHECK(n <= 0 || (span_equal(frame.method, ret->method) &&
			 span_equal(frame.target, ret->target) &&
			 frame.keep_alive == ret->keep_alive && frame.body_bytes == ret->body_bytes));
	return n;
}

static long refuse_http(const struct frame_http *frame)
{
	size_t bytes = 0;
	char *answer = http_refusal(frame->status, &bytes);

	answers_check_no_http(frame->status, (struct span){answer, bytes});
	free(answer);
	return -EBADMSG;
}

/* The same request with the words of its body expanded. */
static struct span expand_http(const struct frame_http *frame, const char *data)
{
	static char buf[REQUEST_BYTES];
	const struct span body = sets_expand(
		(struct span){data + frame->head_bytes, frame->body_bytes});
	struct text_out out;

	text_out_init(&out, buf, sizeof(buf));
	text_out_span(&out, frame->method);
	text_out_span(&out, span_of(" "));
	text_out_span(&out, frame->target);
	text_out_printf(&out, " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n", body.n,
			frame->keep_alive ? "" : "Connection: close\r\n");
	text_out_span(&out, body);
	fuzz_free(body);
	return fuzz_copy((struct span){buf, out.n});
}

static bool handle_http(struct span request)
{
	struct frame_http frame = {0};
	const long n = frame_http_next(&frame, request.p, request.n);
	bool closes = true;
	size_t bytes = 0;
	char *text, *answer;

	if (n < 0) { /* the head is too long by now */
		CHECK(frame.status == 431);
		return false;
	}
	CHECK(n == (long)request.n);
	text = changeable(request);
	answer = http_handle(&d, &frame, text, may_control, &bytes, &closes);
	CHECK(text[request.n] == BEHIND);
	free(text);
	answers_check_http(&frame, request.p, may_control, (struct span){answer, bytes}, closes);
	check_no_key(answer, bytes);
	free(answer);
	return !closes;
}

static long take_http(struct span rest)
{
	struct frame_http frame = {0};
	const long n = next_http(rest, &frame);
	struct span request;
	bool goes_on;

	if (n <= 0)
		return n < 0 ? refuse_http(&frame) : 0;
	request = expand_http(&frame, rest.p);
	goes_on = handle_http(request);
	fuzz_free(request);
	return goes_on ? n : 0;
}

/* ---- the stream ---- */

static bool pass_time(struct span *rest)
{
	struct span line;
	uint32_t seconds;

	if (*rest->p != '+')
		return false;
	line = fuzz_line(rest);
	if (text_to_u32(fuzz_skip(line, 1), 7, MAX_PASS_S, &seconds) == 0)
		fake_clock_advance_s(seconds);
	return true;
}

/* A request, or time that passes. */
static bool take_next(struct span *rest, long (*take)(struct span rest))
{
	long n;

	if (pass_time(rest))
		return true;
	n = take(*rest);
	if (n <= 0)
		return false;
	*rest = fuzz_skip(*rest, (size_t)n);
	if (take == take_json && rest->n && *rest->p == '\n')
		*rest = fuzz_skip(*rest, 1);
	return true;
}

static void run(struct span rest)
{
	const char door = rest.n ? *rest.p : '\0';
	long (*take)(struct span rest) = take_json;

	if (door == 'H' || door == 'M' || door == 'R')
		rest = fuzz_skip(rest, 1);
	if (door == 'H' || door == 'M')
		take = take_http;
	else if (rest.n && *rest.p == '*')
		take = take_resp;
	may_control = door == 'H';
	peer = (struct ucred){.pid = 4711, .uid = door == 'R' ? 0 : 1000};
	for (size_t i = 0; rest.n && i < MAX_REQUESTS && take_next(&rest, take); i++)
		sets_check();
}

/* With guards, for daemon.audit to look after. */
static void begin(void)
{
	char why[200];

	sets_begin();
	json_object_seed(1); /* of the answers' readers */
	world.config.audit_interval_s = 0;
	world.config.allow_key_export = true;
	subscriber = (struct subscriber){0};
	d = world_daemon();
	CHECK(guards_install(&fake_xfrm, &world.config, &guards, why, sizeof(why)) == 0);
	world.other_policies = fake_xfrm.policy_count;
	d.audit = audit_new(&world.config, world.table, guards);
	CHECK(d.audit);
}

static void end(void)
{
	sets_check();
	check_events();
	sip_flow_free(d.sip);
	audit_free(d.audit);
	guards_remove(guards);
	world.other_policies = 0;
	sets_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span input = {(const char *)data, size};

	find_keys(input);
	begin();
	run(input);
	end();
	return 0;
}
