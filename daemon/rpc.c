/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The envelope around the methods. Requests carry CK and IK, so all memory of jansson is wiped when
 * it is freed; replies never carry any.
 */
#include "daemon/rpc.h"
#include "daemon/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_REFUSED = -32000, /* error.data.reason says why */
};

/* ---- memory that forgets ---- */

union block {
	size_t bytes;
	max_align_t align;
};

static void *wiping_malloc(size_t bytes)
{
	union block *block = bytes < SIZE_MAX / 2 ? malloc(sizeof(*block) + bytes) : NULL;

	if (!block)
		return NULL;
	block->bytes = bytes;
	return block + 1;
}

static void wiping_free(void *p)
{
	union block *block = p ? (union block *)p - 1 : NULL;

	if (!block)
		return;
	explicit_bzero(p, block->bytes);
	free(block);
}

void rpc_init(void)
{
	json_set_alloc_funcs(wiping_malloc, wiping_free);
	json_object_seed(0);
}

/* ---- replies ---- */

/* Plain malloc()ed, unlike json_dumps(): the caller knows nothing of jansson. */
static char *dump(json_t *json)
{
	const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(15);
	size_t bytes = json ? json_dumpb(json, NULL, 0, flags) : 0;
	char *text = bytes ? malloc(bytes + 1) : NULL;

	if (text) {
		json_dumpb(json, text, bytes, flags);
		text[bytes] = '\0';
	}
	json_decref(json);
	return text;
}

static json_t *reply(json_t *id, const char *key, json_t *value)
{
	return json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", key, value, "id", id);
}

static json_t *error_reply(json_t *id, enum rpc_code code, const char *message)
{
	const char *reason = code == RPC_INVALID_PARAMS	   ? "bad_params"
			     : code == RPC_METHOD_NOT_FOUND ? "unknown_method"
							    : "bad_request";

	return reply(id, "error",
		     json_pack("{s:i, s:s, s:{s:s}}", "code", (int)code, "message", message,
			       "data", "reason", reason));
}

static void add_kernel(json_t *data, const struct xfrm_error *error)
{
	json_object_set_new(data, "kernel",
			    json_pack("{s:s, s:s, s:s}", "errno",
				      strerrorname_np(-error->error) ?: "?", "object",
				      error->object, "text", error->kernel));
}

/* RFC 3329 2.3.1: a 494 carries our list, and Require: sec-agree. */
static json_t *sip_headers(const struct refusal *r)
{
	if (!r->security_server[0])
		return json_array();
	return json_pack("[o, s]", json_sprintf("Security-Server: %s", r->security_server),
			 "Require: sec-agree");
}

static json_t *refusal_reply(json_t *id, const struct refusal *r)
{
	json_t *data = json_pack("{s:s}", "reason", reason_token(r->reason));

	if (!data)
		return NULL;
	if (r->verdict != VERDICT_NONE)
		json_object_set_new(data, "verdict",
				    json_string(r->verdict == VERDICT_DISCARD ? "discard"
									      : "reject"));
	if (r->sip_code)
		json_object_set_new(data, "sip",
				    json_pack("{s:i, s:s, s:o}", "code", r->sip_code, "phrase",
					      r->sip_phrase, "headers", sip_headers(r)));
	if (r->has_start)
		json_object_set_new(data, "start", json_string(choose_start_name(r->start)));
	if (r->has_where) {
		json_object_set_new(data, "line", json_integer((json_int_t)r->where.line));
		json_object_set_new(data, "offset", json_integer((json_int_t)r->where.offset));
	}
	if (r->has_kernel)
		add_kernel(data, &r->kernel);
	return reply(id, "error",
		     json_pack("{s:i, s:s, s:o}", "code", RPC_REFUSED, "message", r->text, "data",
			       data));
}

/* ---- requests ---- */

static json_t *run(struct daemon *d, const struct command *command, json_t *params, json_t *id)
{
	struct refusal refusal;
	json_t *result;

	if (command->run(d, params, &result, &refusal) == 0)
		return reply(id, "result", result);
	d->refused[refusal.reason]++;
	log_line(LOG_NOTICE, "event=refused method=%s reason=%s why=\"%s\"", command->name,
		 reason_token(refusal.reason), refusal.text);
	return refusal_reply(id, &refusal);
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

static json_t *call(struct daemon *d, json_t *request, json_t *id)
{
	const struct command *command =
		command_find(json_string_value(json_object_get(request, "method")));
	json_t *params = json_object_get(request, "params");
	json_t *none = NULL, *answer;
	char why[160];

	if (!command)
		return error_reply(id, RPC_METHOD_NOT_FOUND,
				   "no such method; daemon.methods lists them");
	if (params && !json_is_object(params))
		return error_reply(id, RPC_INVALID_PARAMS, "\"params\" is an object");
	if (!params)
		params = none = json_object();
	if (params_check(command->params, params, why, sizeof(why)) < 0)
		answer = error_reply(id, RPC_INVALID_PARAMS, why);
	else
		answer = run(d, command, params, id);
	json_decref(none);
	return answer;
}

/* NULL: no reply is due, or memory is short. A request without id is a notification; what is no
 * request is answered in any case (JSON-RPC 2.0, 4.1 and 5). */
static json_t *one(struct daemon *d, json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_t *answer;

	if (!is_request(request))
		return error_reply(id && is_id(id) ? id : json_null(), RPC_INVALID_REQUEST,
				   "a request is an object with \"jsonrpc\":\"2.0\" and a "
				   "\"method\"");
	answer = call(d, request, id ? id : json_null());
	if (id)
		return answer;
	json_decref(answer);
	return NULL;
}

static json_t *batch(struct daemon *d, json_t *requests)
{
	json_t *replies, *request, *answer;
	size_t i, bytes = 0;

	if (!json_array_size(requests) || json_array_size(requests) > RPC_MAX_BATCH)
		return error_reply(json_null(), RPC_INVALID_REQUEST,
				   "a batch has 1 to 256 requests");
	replies = json_array();
	json_array_foreach(requests, i, request) {
		if (bytes < RPC_MAX_BATCH_BYTES)
			answer = one(d, request);
		else
			answer = error_reply(json_object_get(request, "id") ?: json_null(),
					     RPC_INVALID_REQUEST,
					     "the answers of this batch are too long: send fewer");
		if (!answer)
			continue;
		bytes += json_dumpb(answer, NULL, 0, JSON_COMPACT);
		json_array_append_new(replies, answer);
	}
	if (json_array_size(replies))
		return replies;
	json_decref(replies);
	return NULL;
}

char *rpc_parse_error(const char *why)
{
	return dump(error_reply(json_null(), RPC_PARSE_ERROR, why));
}

char *rpc_handle(struct daemon *d, const char *text, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	json_t *answer;

	if (!request) {
		char why[64];

		/* error.text can quote the input, and with it a key */
		snprintf(why, sizeof(why), "no JSON, at byte %d", error.position);
		return rpc_parse_error(why);
	}
	answer = json_is_array(request) ? batch(d, request) : one(d, request);
	json_decref(request);
	return answer ? dump(answer) : NULL;
}
