/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all framings share: the look-up of a method, the check of its params, the error object, and
 * the counting of both. Requests carry CK and IK, and one result keys of SAs, so all memory of
 * jansson is wiped when it is freed. Knows no framing, no sockets and no ids of requests.
 */
#include "daemon/dispatch.h"
#include "daemon/event.h"
#include "daemon/frame_json.h"
#include "daemon/wipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void dispatch_init(void)
{
	json_set_alloc_funcs(malloc, wipe_free);
	json_object_seed(0);
}

/* ---- JSON and text ---- */

/* Plain malloc()ed, unlike json_dumps(): the caller knows nothing of jansson. */
char *dispatch_text(json_t *json)
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

json_t *dispatch_parse(const char *text, size_t len, char *ret_why, size_t why_cap)
{
	json_error_t error;
	json_t *json;

	if (!frame_json_is_one(text, len)) {
		snprintf(ret_why, why_cap, "this is not one JSON object or array, or too large or "
					   "too deep");
		return NULL;
	}
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json) /* error.text can quote the input, and with it a key */
		snprintf(ret_why, why_cap, "no JSON, at byte %d", error.position);
	return json;
}

/* ---- errors ---- */

json_t *dispatch_error(enum dispatch_code code, const char *message)
{
	const char *reason = code == DISPATCH_INVALID_PARAMS	 ? "bad_params"
			     : code == DISPATCH_METHOD_NOT_FOUND ? "unknown_method"
								 : "bad_request";

	return json_pack("{s:i, s:s, s:{s:s}}", "code", (int)code, "message", message, "data",
			 "reason", reason);
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

static json_t *refusal_error(const struct refusal *r)
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
	return json_pack("{s:i, s:s, s:o}", "code", DISPATCH_REFUSED, "message", r->text, "data",
			 data);
}

/* ---- methods ---- */

/* Whom a request was about, as far as that can be read from it: it may be a bad one. Who only looks
 * does nothing to a phone. */
static void tell_refused(const struct command *command, const json_t *params, const char *reason,
			 const char *why, const char *reply)
{
	const bool changes = command->right == COMMAND_CHANGES;
	const char *impi = changes ? param_text(params, "impi") : NULL;
	const char *set = changes ? param_text(params, "set") : NULL;
	const struct ip_addr ue = param_address(params, "ue");

	event_emit(EVENT_REQUEST_REFUSED, event_text("method", command->name),
		   event_if(impi && strlen(impi) <= PARAM_TEXT_BYTES, event_text("impi", impi)),
		   event_if(changes && ue.family != AF_UNSPEC, event_address("ue", &ue)),
		   event_if(set && strlen(set) == 16, event_text("set", set)),
		   event_text("reason", reason), event_text("why", why),
		   event_if(reply && *reply, event_text("reply", reply)));
}

static json_t *refused(struct daemon *d, const struct command *command, const json_t *params,
		       const struct refusal *refusal)
{
	char reply[REFUSAL_REPLY_BYTES];

	d->calls[command - COMMANDS][CALL_REFUSED]++;
	d->refused[refusal->reason]++;
	tell_refused(command, params, reason_token(refusal->reason), refusal->text,
		     refusal_reply(refusal, reply));
	return refusal_error(refusal);
}

static bool run(struct daemon *d, const struct command *command, json_t *params, json_t **ret)
{
	const uint64_t start_ns = histogram_clock_ns();
	struct refusal refusal;
	const int err = command->run(d, params, ret, &refusal);

	histogram_add_since(&d->took[command - COMMANDS], start_ns);
	if (!err) {
		d->calls[command - COMMANDS][CALL_DONE]++;
		return true;
	}
	*ret = refused(d, command, params, &refusal);
	return false;
}

static bool may(const struct daemon *d, const struct command *command, struct refusal *refusal)
{
	if (command->right == COMMAND_READS || !d->caller_reads)
		return true;
	refuse(refusal, REASON_DENIED, "the monitor socket is for methods that change nothing");
	return false;
}

static bool check_and_run(struct daemon *d, const struct command *command, json_t *params,
			  json_t **ret)
{
	struct refusal refusal;
	char why[160];

	if (!may(d, command, &refusal)) {
		*ret = refused(d, command, params, &refusal);
		return false;
	}
	if (!json_is_object(params))
		snprintf(why, sizeof(why), "\"params\" is an object");
	else if (params_check(command->params, params, why, sizeof(why)) == 0)
		return run(d, command, params, ret);
	d->calls[command - COMMANDS][CALL_BAD_PARAMS]++;
	if (command->right == COMMAND_CHANGES)
		tell_refused(command, params, "bad_params", why, NULL);
	*ret = dispatch_error(DISPATCH_INVALID_PARAMS, why);
	return false;
}

bool dispatch(struct daemon *d, const char *method, json_t *params, json_t **ret)
{
	const struct command *command = command_find(method);
	json_t *none;
	bool done;

	if (!command) {
		d->faults[CALL_NO_METHOD]++;
		*ret = dispatch_error(DISPATCH_METHOD_NOT_FOUND,
				      "no such method; daemon.methods lists them");
		return false;
	}
	none = params ? NULL : json_object();
	done = check_and_run(d, command, params ? params : none, ret);
	json_decref(none);
	return done;
}
