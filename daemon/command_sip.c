/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sip.*: from JSON to sip_flow.c and back. What the table says of a message is a result, not an
 * error, also when it is "drop": the front end has one place to look at. Errors are left for what
 * has no verdict.
 *
 * A 401 has keys in it. The text is read where it came in, which the connection wipes; of base64
 * there is one copy, which is wiped here. What goes back has no keys any more.
 */
#include "daemon/command.h"
#include "daemon/event.h"
#include "daemon/set_json.h"
#include "daemon/sip_flow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef int flow_fn(struct sip_flow *flow, const struct sip_input *in, struct sip_verdict *ret,
		    struct refusal *refusal);

/* ---- in ---- */

static enum sip_transport transport_of(const struct json_node *params)
{
	const char *name = param_text(params, "transport");

	if (!name || !strcmp(name, "udp"))
		return SIP_UDP;
	return !strcmp(name, "tcp") ? SIP_TCP : SIP_TLS;
}

static struct sip_place place_of(const struct json_node *params, const char *name)
{
	struct sip_place place;

	place.address = param_place(params, name, &place.port);
	return place;
}

static enum sip_direction direction_of(const struct json_node *params, enum sip_direction usual)
{
	const char *name = param_text(params, "direction");

	if (!name)
		return usual;
	return !strcmp(name, "to-phone") ? SIP_TO_PHONE : SIP_FROM_PHONE;
}

/* What a message from a phone cannot be judged without. */
static int check_places(const struct sip_input *in, struct refusal *refusal)
{
	const int local = in->destination.address.family, remote = in->source.address.family;

	if (in->direction == SIP_TO_PHONE)
		return 0;
	if (local == AF_UNSPEC || remote == AF_UNSPEC)
		return refuse(
			refusal, REASON_BAD_MESSAGE,
			"\"source\" and \"destination\" of a message from a phone are needed");
	if (local != remote)
		return refuse(refusal, REASON_BAD_MESSAGE,
			      "\"source\" and \"destination\" are of different address families");
	return 0;
}

static int read_input(struct daemon *d, const struct json_node *params, enum sip_direction usual,
		      struct sip_input *ret, struct refusal *refusal)
{
	*ret = (struct sip_input){
		.direction = direction_of(params, usual),
		.source = place_of(params, "source"),
		.destination = place_of(params, "destination"),
		.transport = transport_of(params),
		.via = param_address(params, "via"),
		.emergency = param_bool(params, "emergency"),
		.has_linger = param_has(params, "linger"),
		.linger_s = param_number(params, "linger"),
	};
	if (param_has(params, "listener")) {
		ret->listener = command_listener(d, params, refusal);
		if (!ret->listener)
			return -ECANCELED;
	}
	return check_places(ret, refusal);
}

/* ---- out ---- */

static void add_place(struct json_out *out, const char *name, const struct sip_place *place)
{
	json_name(out, name);
	json_open(out, '{');
	set_json_address(out, "address", &place->address);
	json_add_number(out, "port", place->port);
	json_close(out, '}');
}

static void add_set(struct json_out *out, const struct daemon *d, const struct sip_verdict *v)
{
	const struct sa_set *set = sa_table_by_id(d->table, v->set_id);
	char id[17];

	if (!v->set_id)
		return;
	snprintf(id, sizeof(id), "%016" PRIx64, v->set_id);
	json_add_text(out, "set", id);
	json_add_text(out, "state", set ? sa_set_state_name(set->state) : "gone");
	if (!set)
		return;
	json_add_text(out, "impi", set->impi);
	json_name(out, "impu");
	set_json_impu(out, set);
	json_add_number(out, "expires_in", sa_set_left_s(set));
}

static void add_way(struct json_out *out, const struct sip_verdict *v)
{
	if (!v->has_way)
		return;
	add_place(out, v->way_is_of_replies ? "reply_from" : "send_from", &v->send_from);
	add_place(out, v->way_is_of_replies ? "reply_to" : "send_to", &v->send_to);
}

static void add_reply(struct json_out *out, const struct sip_verdict *v)
{
	if (v->action != DECIDE_REPLY)
		return;
	json_name(out, "reply");
	json_open(out, '{');
	json_add_number(out, "code", v->code);
	json_add_text(out, "phrase", v->phrase);
	json_close(out, '}');
	if (v->has_start)
		json_add_text(out, "start", choose_start_name(v->start));
}

static void add_message(struct json_out *out, const struct sip_verdict *v, bool base64)
{
	if (!v->message)
		return;
	json_name(out, base64 ? "message_base64" : "message");
	if (base64)
		json_put_base64(out, v->message, v->message_bytes);
	else
		json_put_text(out, v->message, v->message_bytes);
}

static void put_verdict(struct json_out *out, const struct daemon *d, const struct sip_verdict *v,
			bool base64)
{
	json_open(out, '{');
	json_add_text(out, "verdict", decide_action_name(v->action));
	json_add_bool(out, "protected", v->is_protected);
	json_add_text(out, "why", v->why);
	if (v->row)
		json_add_number(out, "row", v->row);
	if (v->has_reason)
		json_add_text(out, "reason", reason_token(v->reason));
	if (v->has_integrity)
		json_add_text(out, "integrity_protected", v->integrity_protected ? "yes" : "no");
	add_reply(out, v);
	add_set(out, d, v);
	add_way(out, v);
	add_message(out, v, base64);
	json_close(out, '}');
}

/* A refusal without a reason is what the table of RFC 3329 says of a message that did nothing wrong:
 * a 421 or 494 with the list. */
static void tell_refusal(struct daemon *d, const struct sip_verdict *v)
{
	const struct sa_set *set = sa_table_by_id(d->table, v->set_id);
	const char *impi = set ? set->impi : v->impi;
	const struct ip_addr *phone = set ? &set->ue_address : &v->phone;
	const bool replies = v->action == DECIDE_REPLY;
	char reply[REFUSAL_REPLY_BYTES] = "none";

	if (v->has_reason)
		d->refused[v->reason]++;
	if (!v->has_reason && v->action == DECIDE_FORWARD)
		return;
	if (replies)
		snprintf(reply, sizeof(reply), "%u %s", v->code, v->phrase);
	event_emit(EVENT_SIP_REFUSED, event_set(v->set_id),
		   event_if(*impi, event_text("impi", impi)),
		   event_if(phone->family != AF_UNSPEC, event_address("ue", phone)),
		   event_text("verdict", decide_action_name(v->action)),
		   event_if(v->has_reason, event_text("reason", reason_token(v->reason))),
		   event_text("why", v->why), event_text("reply", reply));
}

/* ---- the methods ---- */

static int run(struct daemon *d, flow_fn *flow, const struct sip_input *in, bool base64,
	       struct json_out *out, struct refusal *refusal)
{
	struct sip_verdict verdict;
	int err;

	if (!d->sip)
		d->sip = sip_flow_new(d->table, d->config);
	if (!d->sip)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	err = flow(d->sip, in, &verdict, refusal);
	if (err)
		return err;
	tell_refusal(d, &verdict);
	put_verdict(out, d, &verdict, base64);
	sip_verdict_done(&verdict);
	return 0;
}

static int call(struct daemon *d, flow_fn *flow, enum sip_direction usual,
		const struct json_node *params, struct json_out *out, struct refusal *refusal)
{
	struct command_message message;
	struct sip_input in;
	int err = command_message(params, &message, refusal);

	if (err)
		return err;
	err = read_input(d, params, usual, &in, refusal);
	in.message = message.text;
	if (!err)
		err = run(d, flow, &in, message.copy != NULL, out, refusal);
	command_message_done(&message);
	return err;
}

int command_sip_request(struct daemon *d, const struct json_node *params, struct json_out *out,
			struct refusal *refusal)
{
	return call(d, sip_flow_request, SIP_FROM_PHONE, params, out, refusal);
}

int command_sip_response(struct daemon *d, const struct json_node *params, struct json_out *out,
			 struct refusal *refusal)
{
	return call(d, sip_flow_response, SIP_TO_PHONE, params, out, refusal);
}
