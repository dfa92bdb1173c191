/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all framings share: the look-up of a method, the check of its params, the error object, and
 * the counting of both. Knows no framing, no sockets and no ids of requests.
 */
#include "daemon/dispatch.h"
#include "daemon/event.h"
#include "daemon/frame_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int dispatch_parse(char *text, size_t len, struct json_tree *ret, char *ret_why, size_t why_cap)
{
	size_t at = 0;
	int err;

	if (len > FRAME_JSON_MAX_BYTES) {
		snprintf(ret_why, why_cap, "this is too large");
		return -EINVAL;
	}
	err = json_read(text, len, ret, &at);
	if (!err && ret->nodes[0].kind != NODE_OBJECT && ret->nodes[0].kind != NODE_ARRAY) {
		json_tree_done(ret);
		err = -EILSEQ;
	}
	if (!err)
		return 0;
	if (err == -ENOMEM)
		snprintf(ret_why, why_cap, "out of memory");
	else
		snprintf(ret_why, why_cap,
			 "this is not one JSON object or array, or is nested too "
			 "deep: see byte %zu",
			 at);
	return -EINVAL;
}

/* ---- errors ---- */

void dispatch_fault(struct fault *ret, enum dispatch_code code, const char *why)
{
	ret->code = code;
	snprintf(ret->why, sizeof(ret->why), "%s", why);
}

const char *dispatch_fault_reason(const struct fault *fault)
{
	switch (fault->code) {
	case DISPATCH_REFUSED:
		return reason_token(fault->refusal.reason);
	case DISPATCH_INVALID_PARAMS:
		return "bad_params";
	case DISPATCH_METHOD_NOT_FOUND:
		return "unknown_method";
	case DISPATCH_PARSE_ERROR:
	case DISPATCH_INVALID_REQUEST:
		break;
	}
	return "bad_request";
}

const char *dispatch_fault_text(const struct fault *fault)
{
	return fault->code == DISPATCH_REFUSED ? fault->refusal.text : fault->why;
}

/* RFC 3329 2.3.1: a 494 carries our list, and Require: sec-agree. */
static void add_sip(struct json_out *out, const struct refusal *r)
{
	char header[sizeof(r->security_server) + 32];

	json_name(out, "sip");
	json_open(out, '{');
	json_add_number(out, "code", (unsigned)r->sip_code);
	json_add_text(out, "phrase", r->sip_phrase);
	json_name(out, "headers");
	json_open(out, '[');
	if (r->security_server[0]) {
		snprintf(header, sizeof(header), "Security-Server: %s", r->security_server);
		json_put_text(out, header, strlen(header));
		json_put_string(out, "Require: sec-agree");
	}
	json_close(out, ']');
	json_close(out, '}');
}

static void add_kernel(struct json_out *out, const struct xfrm_error *error)
{
	json_name(out, "kernel");
	json_open(out, '{');
	json_add_text(out, "errno", strerrorname_np(-error->error) ?: "?");
	json_add_text(out, "object", error->object);
	json_add_text(out, "text", error->kernel);
	json_close(out, '}');
}

static void add_refusal(struct json_out *out, const struct refusal *r)
{
	if (r->verdict != VERDICT_NONE)
		json_add_text(out, "verdict", r->verdict == VERDICT_DISCARD ? "discard" : "reject");
	if (r->sip_code)
		add_sip(out, r);
	if (r->has_start)
		json_add_text(out, "start", choose_start_name(r->start));
	if (r->has_where) {
		json_add_number(out, "line", r->where.line);
		json_add_number(out, "offset", r->where.offset);
	}
	if (r->has_kernel)
		add_kernel(out, &r->kernel);
}

void dispatch_fault_json(struct json_out *out, const struct fault *fault)
{
	json_open(out, '{');
	json_name(out, "code");
	json_put_integer(out, fault->code);
	json_add_text(out, "message", dispatch_fault_text(fault));
	json_name(out, "data");
	json_open(out, '{');
	json_add_text(out, "reason", dispatch_fault_reason(fault));
	if (fault->code == DISPATCH_REFUSED)
		add_refusal(out, &fault->refusal);
	json_close(out, '}');
	json_close(out, '}');
}

/* ---- methods ---- */

/* Whom a request was about, as far as that can be read from it: it may be a bad one. Who only looks
 * does nothing to a phone. */
static void tell_refused(const struct command *command, const struct json_node *params, const char *reason,
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

static bool refused(struct daemon *d, const struct command *command, const struct json_node *params,
		    struct fault *fault)
{
	const struct refusal *refusal = &fault->refusal;
	char reply[REFUSAL_REPLY_BYTES];

	fault->code = DISPATCH_REFUSED;
	d->calls[command - COMMANDS][CALL_REFUSED]++;
	d->refused[refusal->reason]++;
	tell_refused(command, params, reason_token(refusal->reason), refusal->text,
		     refusal_reply(refusal, reply));
	return false;
}

static bool run(struct daemon *d, const struct command *command, const struct json_node *params,
		struct json_out *out, struct fault *fault)
{
	const uint64_t start_ns = histogram_clock_ns();
	const size_t start = out->n;
	int err = command->run(d, params, out, &fault->refusal);

	histogram_add_since(&d->took[command - COMMANDS], start_ns);
	if (!err && out->err)
		err = refuse(&fault->refusal, REASON_INTERNAL, "out of memory");
	if (err) {
		json_out_cut(out, start);
		return refused(d, command, params, fault);
	}
	d->calls[command - COMMANDS][CALL_DONE]++;
	return true;
}

static bool may(const struct daemon *d, const struct command *command, struct refusal *refusal)
{
	if (command->right == COMMAND_READS || !d->caller_reads)
		return true;
	refuse(refusal, REASON_DENIED, "the monitor socket is for methods that change nothing");
	return false;
}

bool dispatch(struct daemon *d, const char *method, const struct json_node *params,
	      struct json_out *out, struct fault *fault)
{
	static const struct json_node NONE = {.kind = NODE_OBJECT};
	const struct command *command = command_find(method);
	char shown[NAME_SHOWN_BYTES];

	if (!params)
		params = &NONE;
	if (!command) {
		d->faults[CALL_NO_METHOD]++;
		fault->code = DISPATCH_METHOD_NOT_FOUND;
		snprintf(fault->why, sizeof(fault->why),
			 "no such method%s; daemon.methods lists them", name_shown(method, shown));
		return false;
	}
	if (!may(d, command, &fault->refusal))
		return refused(d, command, params, fault);
	if (params->kind != NODE_OBJECT)
		dispatch_fault(fault, DISPATCH_INVALID_PARAMS, "\"params\" is an object");
	else if (params_check(command->params, params, fault->why, sizeof(fault->why)) == 0)
		return run(d, command, params, out, fault);
	fault->code = DISPATCH_INVALID_PARAMS;
	d->calls[command - COMMANDS][CALL_BAD_PARAMS]++;
	if (command->right == COMMAND_CHANGES)
		tell_refused(command, params, "bad_params", fault->why, NULL);
	return false;
}
