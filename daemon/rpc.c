/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The envelope of JSON-RPC 2.0 around the dispatcher: ids, notifications, batches, and the replies
 * to what is no request at all.
 */
#include "daemon/rpc.h"
#include "daemon/dispatch.h"
#include "daemon/event_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void begin(struct json_out *out)
{
	json_open(out, '{');
	json_add_text(out, "jsonrpc", "2.0");
}

/* @id: NULL = null. */
static void end(struct json_out *out, const struct json_node *id)
{
	json_name(out, "id");
	if (id)
		json_put_node(out, id);
	else
		json_put_null(out);
	json_close(out, '}');
}

static void put_fault(struct json_out *out, const struct json_node *id, const struct fault *fault)
{
	begin(out);
	json_name(out, "error");
	dispatch_fault_json(out, fault);
	end(out, id);
}

static void put_error(struct json_out *out, const struct json_node *id, enum dispatch_code code,
		      const char *message)
{
	struct fault fault;

	dispatch_fault(&fault, code, message);
	put_fault(out, id, &fault);
}

static void no_request(struct daemon *d, struct json_out *out, const struct json_node *id,
		       const char *why)
{
	d->faults[CALL_NO_REQUEST]++;
	put_error(out, id, DISPATCH_INVALID_REQUEST, why);
}

static bool is_id(const struct json_node *id)
{
	return id->kind == NODE_TEXT || id->kind == NODE_NUMBER || id->kind == NODE_NULL;
}

static bool is_text(const struct json_node *node)
{
	return node && node->kind == NODE_TEXT;
}

static bool is_request(const struct json_node *request)
{
	const struct json_node *version = json_member(request, "jsonrpc");
	const struct json_node *id = json_member(request, "id");

	return is_text(version) && !strcmp(version->text, "2.0") &&
	       is_text(json_member(request, "method")) && (!id || is_id(id));
}

/* Nothing is written when no reply is due. A request without id is a notification; what is no
 * request is answered in any case (JSON-RPC 2.0, 4.1 and 5). */
static void one(struct daemon *d, const struct json_node *request, struct json_out *out)
{
	const struct json_node *id = json_member(request, "id");
	const size_t start = out->n;
	struct fault fault;

	if (!is_request(request)) {
		no_request(d, out, id && is_id(id) ? id : NULL,
			   "a request is an object with \"jsonrpc\":\"2.0\" and a \"method\"");
		return;
	}
	begin(out);
	json_name(out, "result");
	if (dispatch(d, json_member(request, "method")->text, json_member(request, "params"), out,
		     &fault)) {
		end(out, id);
	} else {
		json_out_cut(out, start);
		put_fault(out, id, &fault);
	}
	if (!id)
		json_out_cut(out, start);
}

static bool awaits_reply(const struct json_node *request)
{
	return is_request(request) && json_member(request, "id");
}

static void batch(struct daemon *d, const struct json_node *requests, struct json_out *out)
{
	const struct json_node *request = json_first(requests);

	if (!requests->n || requests->n > RPC_MAX_BATCH) {
		no_request(d, out, NULL, "a batch has 1 to 256 requests");
		return;
	}
	json_open(out, '[');
	for (; request; request = json_next(request)) {
		if (out->n < RPC_MAX_BATCH_BYTES || !awaits_reply(request))
			one(d, request, out);
		else
			no_request(d, out, json_member(request, "id"),
				   "the answers of this batch are too long: send fewer");
	}
	json_close(out, ']');
	if (out->n == 2) /* [] */
		json_out_cut(out, 0);
}

/* What was written, to be wiped and freed; NULL when there is nothing. */
static char *text_of(struct json_out *out)
{
	if (!out->err && out->n)
		return out->text;
	json_out_done(out);
	return NULL;
}

char *rpc_parse_error(const char *why)
{
	struct json_out out = {0};

	put_error(&out, NULL, DISPATCH_PARSE_ERROR, why);
	return text_of(&out);
}

char *rpc_event(const struct event_record *record)
{
	struct json_out out = {0};

	begin(&out);
	json_add_text(&out, "method", "event");
	json_name(&out, "params");
	event_json(&out, record);
	json_close(&out, '}');
	return text_of(&out);
}

char *rpc_lost_events(uint64_t count, uint64_t next)
{
	struct json_out out = {0};

	begin(&out);
	json_add_text(&out, "method", "event.lost");
	json_name(&out, "params");
	json_open(&out, '{');
	json_add_number(&out, "count", count);
	json_add_number(&out, "next", next);
	json_close(&out, '}');
	json_close(&out, '}');
	return text_of(&out);
}

char *rpc_handle(struct daemon *d, char *text, size_t len)
{
	const char behind = text[len];
	struct json_out out = {0};
	struct json_tree tree;
	char why[120];

	if (dispatch_parse(text, len, &tree, why, sizeof(why)) < 0) {
		d->faults[CALL_NO_JSON]++;
		put_error(&out, NULL, DISPATCH_PARSE_ERROR, why);
	} else {
		if (tree.nodes[0].kind == NODE_ARRAY)
			batch(d, &tree.nodes[0], &out);
		else
			one(d, &tree.nodes[0], &out);
		json_tree_done(&tree);
	}
	text[len] = behind;
	return text_of(&out);
}
