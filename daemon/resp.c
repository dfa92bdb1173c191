/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clients of Redis say and hear. A method is a command; its result is a bulk string of JSON,
 * its error a line "-REASON sentence". Scripts that cannot read an error line, or want all of it,
 * say "CALL method params" instead and always get a bulk string, of {"result":...} or
 * {"error":...}.
 *
 * The few commands of Redis itself are those that its clients send of their own accord: to greet,
 * to choose a database, to see whether we live. There are no databases, no passwords (the
 * permissions of the socket are what counts) and nothing is ever pushed: events are for JSON.
 */
#include "daemon/resp.h"
#include "daemon/dispatch.h"
#include "daemon/frame_json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64

struct resp {
	struct daemon *daemon;
	const struct frame_resp *frame;
	const char *data;
	FILE *out;
	bool quit;
};

static struct span arg(const struct resp *r, size_t i)
{
	return frame_resp_arg(r->frame, r->data, i);
}

/* ---- replies ---- */

static void put_bulk(struct resp *r, const char *bytes, size_t n)
{
	fprintf(r->out, "$%zu\r\n", n);
	fwrite(bytes, 1, n, r->out);
	fputs("\r\n", r->out);
}

/* One line: whatever would end it early is a space. */
static void put_error(FILE *out, const char *code, const char *sentence)
{
	fputc('-', out);
	for (; *code; code++)
		fputc(toupper((unsigned char)*code), out);
	fputc(' ', out);
	for (; *sentence; sentence++)
		fputc((unsigned char)*sentence < ' ' ? ' ' : *sentence, out);
	fputs("\r\n", out);
}

/* @json is stolen. */
static void put_json(struct resp *r, json_t *json)
{
	char *text = dispatch_text(json);

	if (text)
		put_bulk(r, text, strlen(text));
	else
		put_error(r->out, "internal", "out of memory");
	free(text);
}

/* ---- methods ---- */

/* base64 is for scripts whose strings cannot hold quotation marks. */
static json_t *parse_params(struct span text, char *ret_why, size_t why_cap)
{
	json_t *params;
	size_t bytes;
	char *json;

	if (!base64_is(text))
		return dispatch_parse(text.p, text.n, ret_why, why_cap);
	json = base64_decode(text, &bytes);
	if (!json) {
		snprintf(ret_why, why_cap, "out of memory");
		return NULL;
	}
	params = dispatch_parse(json, bytes, ret_why, why_cap);
	explicit_bzero(json, bytes);
	free(json);
	return params;
}

static bool fail(json_t **ret, const char *why)
{
	*ret = dispatch_error(DISPATCH_INVALID_PARAMS, why);
	return false;
}

/* The method that argument @first names, its params behind it. As dispatch(). */
static bool call(struct resp *r, size_t first, json_t **ret)
{
	const struct span name = arg(r, first), text = arg(r, first + 1);
	char method[NAME_BYTES], why[160];
	json_t *params = NULL;
	bool done;

	snprintf(method, sizeof(method), "%.*s", (int)name.n, name.p);
	if (strlen(method) != name.n) /* too long, or with a NUL in it */
		method[0] = '\0';
	if (!command_find(method))
		return dispatch(r->daemon, method, NULL, ret);
	if (r->frame->count > first + 2)
		return fail(ret, "the params are one argument, a JSON object");
	if (text.n) {
		params = parse_params(text, why, sizeof(why));
		if (!params) {
			r->daemon->faults[CALL_NO_JSON]++;
			return fail(ret, why);
		}
	}
	done = dispatch(r->daemon, method, params, ret);
	json_decref(params);
	return done;
}

static void do_method(struct resp *r)
{
	json_t *answer;

	if (call(r, 0, &answer)) {
		put_json(r, answer);
		return;
	}
	put_error(r->out,
		  json_string_value(json_object_get(json_object_get(answer, "data"), "reason"))
			  ?: "internal",
		  json_string_value(json_object_get(answer, "message")) ?: "out of memory");
	json_decref(answer);
}

static void do_call(struct resp *r)
{
	json_t *answer;
	const bool done = call(r, 1, &answer);

	put_json(r, json_pack("{s:o}", done ? "result" : "error", answer));
}

/* ---- what Redis clients send by themselves ---- */

static void do_ping(struct resp *r)
{
	const struct span text = arg(r, 1);

	if (r->frame->count > 1)
		put_bulk(r, text.p, text.n);
	else
		fputs("+PONG\r\n", r->out);
}

static void do_select(struct resp *r)
{
	if (span_is(arg(r, 1), "0"))
		fputs("+OK\r\n", r->out);
	else
		put_error(r->out, "err", "there is only database 0");
}

static void do_quit(struct resp *r)
{
	fputs("+OK\r\n", r->out);
	r->quit = true;
}

static void do_command(struct resp *r)
{
	fputs("*0\r\n", r->out);
}

static void do_auth(struct resp *r)
{
	put_error(r->out, "err",
		  "there are no passwords: the permissions of the socket say who may come in");
}

static void do_hello(struct resp *r)
{
	const struct span version = arg(r, 1);

	if (version.n && !span_is(version, "2")) {
		put_error(r->out, "noproto", "only RESP2 is spoken");
		return;
	}
	fputs("*6\r\n", r->out);
	put_bulk(r, "server", 6);
	put_bulk(r, "secagreed", 9);
	put_bulk(r, "version", 7);
	put_bulk(r, SECAGREED_VERSION, strlen(SECAGREED_VERSION));
	put_bulk(r, "proto", 5);
	fputs(":2\r\n", r->out);
}

static void do_client(struct resp *r)
{
	if (span_is(arg(r, 1), "SETINFO") || span_is(arg(r, 1), "SETNAME"))
		fputs("+OK\r\n", r->out);
	else
		put_error(r->out, "err", "of CLIENT there are only SETINFO and SETNAME");
}

/* Whatever is not here is a method, by its exact name. */
static const struct {
	const char *name;
	void (*run)(struct resp *r);
} REDIS_COMMANDS[] = {
	{ "CALL", do_call },       { "PING", do_ping },   { "SELECT", do_select },
	{ "QUIT", do_quit },       { "AUTH", do_auth },   { "HELLO", do_hello },
	{ "COMMAND", do_command }, { "CLIENT", do_client },
};

static void run(struct resp *r)
{
	for (size_t i = 0; i < sizeof(REDIS_COMMANDS) / sizeof(REDIS_COMMANDS[0]); i++) {
		if (span_is(arg(r, 0), REDIS_COMMANDS[i].name)) {
			REDIS_COMMANDS[i].run(r);
			return;
		}
	}
	do_method(r);
}

char *resp_handle(struct daemon *d, const struct frame_resp *frame, const char *data,
		  size_t *ret_bytes, bool *ret_quit)
{
	struct resp r = { .daemon = d, .frame = frame, .data = data };
	char *reply = NULL;
	size_t bytes = 0;

	*ret_quit = false;
	if (!frame->count)
		return NULL;
	r.out = open_memstream(&reply, &bytes);
	if (!r.out)
		return NULL;
	run(&r);
	if (fclose(r.out) != 0) {
		free(reply);
		return NULL;
	}
	*ret_bytes = bytes;
	*ret_quit = r.quit;
	return reply;
}

char *resp_protocol_error(const char *why, size_t *ret_bytes)
{
	char *reply = NULL;
	FILE *out = open_memstream(&reply, ret_bytes);

	if (!out)
		return NULL;
	fprintf(out, "-ERR Protocol error: %s\r\n", why);
	fclose(out);
	return reply;
}
