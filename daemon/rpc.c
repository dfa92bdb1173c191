/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The envelope of JSON-RPC 2.0 around the dispatcher: ids, notifications, batches, and the replies
 * to what is no request at all.
 */
#include "daemon/rpc.h"
#include "daemon/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *reply(json_t *id, const char *key, json_t *value)
{
	return json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", key, value, "id", id);
}

static json_t *error_reply(json_t *id, enum dispatch_code code, const char *message)
{
	return reply(id, "error", dispatch_error(code, message));
}

static json_t *no_request(struct daemon *d, json_t *id, const char *why)
{
	d->faults[CALL_NO_REQUEST]++;
	return error_reply(id, DISPATCH_INVALID_REQUEST, why);
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

/* NULL: no reply is due, or memory is short. A request without id is a notification; what is no
 * request is answered in any case (JSON-RPC 2.0, 4.1 and 5). */
static json_t *one(struct daemon *d, json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_t *answer;
	bool done;

	if (!is_request(request))
		return no_request(d, id && is_id(id) ? id : json_null(),
				  "a request is an object with \"jsonrpc\":\"2.0\" and a "
				  "\"method\"");
	done = dispatch(d, json_string_value(json_object_get(request, "method")),
			json_object_get(request, "params"), &answer);
	if (id)
		return reply(id, done ? "result" : "error", answer);
	json_decref(answer);
	return NULL;
}

static bool awaits_reply(const json_t *request)
{
	return is_request(request) && json_object_get(request, "id");
}

static json_t *batch(struct daemon *d, json_t *requests)
{
	json_t *replies, *request, *answer;
	size_t i, bytes = 0;

	if (!json_array_size(requests) || json_array_size(requests) > RPC_MAX_BATCH)
		return no_request(d, json_null(), "a batch has 1 to 256 requests");
	replies = json_array();
	json_array_foreach(requests, i, request) {
		if (bytes < RPC_MAX_BATCH_BYTES || !awaits_reply(request))
			answer = one(d, request);
		else
			answer = no_request(d, json_object_get(request, "id"),
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
	return dispatch_text(error_reply(json_null(), DISPATCH_PARSE_ERROR, why));
}

char *rpc_notification(const char *method, json_t *params)
{
	return dispatch_text(
		json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params));
}

char *rpc_handle(struct daemon *d, const char *text, size_t len)
{
	char why[120];
	json_t *request = dispatch_parse(text, len, why, sizeof(why));
	json_t *answer;

	if (!request) {
		d->faults[CALL_NO_JSON]++;
		return rpc_parse_error(why);
	}
	answer = json_is_array(request) ? batch(d, request) : one(d, request);
	json_decref(request);
	return answer ? dispatch_text(answer) : NULL;
}
