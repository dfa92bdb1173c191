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
#include "daemon/wipe.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64

struct resp {
	struct daemon *daemon;
	const struct frame_resp *frame;
	char *data;
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

static void put_json(struct resp *r, const struct json_out *json)
{
	if (json->err)
		put_error(r->out, "internal", "out of memory");
	else
		put_bulk(r, json->text, json->n);
}

/* ---- methods ---- */

/* base64 is for scripts whose strings cannot hold quotation marks; *@ret_copy is what it said, to
 * be wiped and freed. Returns 0, and json_tree_done() is due, or -EINVAL. */
static int parse_params(const struct resp *r, struct span text, struct json_tree *ret,
			char **ret_copy, char *ret_why, size_t why_cap)
{
	size_t bytes;

	if (!base64_is(text))
		return dispatch_parse(r->data + (text.p - r->data), text.n, ret, ret_why, why_cap);
	*ret_copy = base64_decode(text, &bytes);
	if (*ret_copy)
		return dispatch_parse(*ret_copy, bytes, ret, ret_why, why_cap);
	snprintf(ret_why, why_cap, "out of memory");
	return -EINVAL;
}

/* With @text as its params. As dispatch(). */
static bool call_with(struct resp *r, const char *method, struct span text, struct json_out *out,
		      struct fault *fault)
{
	struct json_tree params = {0};
	char *copy = NULL;
	char why[160];
	bool done = false;

	if (text.n && parse_params(r, text, &params, &copy, why, sizeof(why)) < 0) {
		r->daemon->faults[CALL_NO_JSON]++;
		dispatch_fault(fault, DISPATCH_INVALID_PARAMS, why);
	} else {
		done = dispatch(r->daemon, method, params.nodes, out, fault);
	}
	json_tree_done(&params);
	wipe_free(copy);
	return done;
}

/* The method that argument @first names, its params behind it. As dispatch(). */
static bool call(struct resp *r, size_t first, struct json_out *out, struct fault *fault)
{
	const struct span name = arg(r, first), text = arg(r, first + 1);
	char method[NAME_BYTES];

	snprintf(method, sizeof(method), "%.*s", (int)name.n, name.p);
	if (strlen(method) != name.n) /* too long, or with a NUL in it */
		method[0] = '\0';
	if (!command_find(method))
		return dispatch(r->daemon, method, NULL, out, fault);
	if (r->frame->count > first + 2) {
		dispatch_fault(fault, DISPATCH_INVALID_PARAMS,
			       "the params are one argument, a JSON object");
		return false;
	}
	return call_with(r, method, text, out, fault);
}

static void do_method(struct resp *r)
{
	struct json_out out = {0};
	struct fault fault;

	if (call(r, 0, &out, &fault))
		put_json(r, &out);
	else
		put_error(r->out, dispatch_fault_reason(&fault), dispatch_fault_text(&fault));
	json_out_done(&out);
}

static void do_call(struct resp *r)
{
	struct json_out out = {0};
	struct fault fault;

	json_open(&out, '{');
	json_name(&out, "result");
	if (!call(r, 1, &out, &fault)) {
		json_out_cut(&out, 0);
		json_open(&out, '{');
		json_name(&out, "error");
		dispatch_fault_json(&out, &fault);
	}
	json_close(&out, '}');
	put_json(r, &out);
	json_out_done(&out);
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

char *resp_handle(struct daemon *d, const struct frame_resp *frame, char *data, size_t *ret_bytes,
		  bool *ret_quit)
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
