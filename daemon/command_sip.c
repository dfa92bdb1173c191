/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sip.*: from JSON to sip_flow.c and back. What the table says of a message is a result, not an
 * error, also when it is "drop": the front end has one place to look at. Errors are left for what
 * has no verdict.
 *
 * A 401 has keys in it. The text is read where jansson holds it, in memory that forgets; of base64
 * there is one copy, which is wiped here. What goes back has no keys any more.
 */
#include "daemon/command.h"
#include "daemon/event.h"
#include "daemon/set_json.h"
#include "daemon/sip_flow.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

typedef int flow_fn(struct sip_flow *flow, const struct sip_input *in, struct sip_verdict *ret,
		    struct refusal *refusal);

/* ---- in ---- */

static enum sip_transport transport_of(const json_t *params)
{
	const char *name = param_text(params, "transport");

	if (!name || !strcmp(name, "udp"))
		return SIP_UDP;
	return !strcmp(name, "tcp") ? SIP_TCP : SIP_TLS;
}

static struct sip_place place_of(const json_t *params, const char *name)
{
	struct sip_place place;

	place.address = param_place(params, name, &place.port);
	return place;
}

static enum sip_direction direction_of(const json_t *params, enum sip_direction usual)
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

static int read_input(struct daemon *d, const json_t *params, enum sip_direction usual,
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

static json_t *base64_json(const char *bytes, size_t n)
{
	unsigned char *text = malloc((n + 2) / 3 * 4 + 1);
	json_t *json = NULL;

	if (text) {
		EVP_EncodeBlock(text, (const unsigned char *)bytes, (int)n);
		json = json_string((const char *)text);
	}
	free(text);
	return json;
}

static json_t *place_json(const struct sip_place *place)
{
	char ip[IP_TEXT_BYTES];

	return json_pack("{s:s, s:i}", "address", ip_format(&place->address, ip), "port",
			 place->port);
}

static void add_set(const struct daemon *d, const struct sip_verdict *v, json_t *json)
{
	const struct sa_set *set = sa_table_by_id(d->table, v->set_id);

	if (!v->set_id)
		return;
	json_object_set_new(json, "set", json_sprintf("%016" PRIx64, v->set_id));
	json_object_set_new(json, "state",
			    json_string(set ? sa_set_state_name(set->state) : "gone"));
	if (!set)
		return;
	json_object_set_new(json, "impi", json_string(set->impi));
	json_object_set_new(json, "impu", set_json_impu(set));
	json_object_set_new(json, "expires_in", json_integer((json_int_t)sa_set_left_s(set)));
}

static void add_way(const struct sip_verdict *v, json_t *json)
{
	if (!v->has_way)
		return;
	json_object_set_new(json, v->way_is_of_replies ? "reply_from" : "send_from",
			    place_json(&v->send_from));
	json_object_set_new(json, v->way_is_of_replies ? "reply_to" : "send_to",
			    place_json(&v->send_to));
}

static void add_reply(const struct sip_verdict *v, json_t *json)
{
	if (v->action != DECIDE_REPLY)
		return;
	json_object_set_new(json, "reply",
			    json_pack("{s:i, s:s}", "code", (int)v->code, "phrase", v->phrase));
	if (v->has_start)
		json_object_set_new(json, "start", json_string(choose_start_name(v->start)));
}

static json_t *verdict_json(const struct daemon *d, const struct sip_verdict *v, bool base64)
{
	json_t *json = json_pack("{s:s, s:b, s:s}", "verdict", decide_action_name(v->action),
				 "protected", v->is_protected, "why", v->why);

	if (!json)
		return NULL;
	if (v->row)
		json_object_set_new(json, "row", json_integer((json_int_t)v->row));
	if (v->has_reason)
		json_object_set_new(json, "reason", json_string(reason_token(v->reason)));
	if (v->has_integrity)
		json_object_set_new(json, "integrity_protected",
				    json_string(v->integrity_protected ? "yes" : "no"));
	add_reply(v, json);
	add_set(d, v, json);
	add_way(v, json);
	if (v->message && base64)
		json_object_set_new(json, "message_base64",
				    base64_json(v->message, v->message_bytes));
	else if (v->message)
		json_object_set_new(json, "message", json_stringn(v->message, v->message_bytes));
	return json;
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
	       json_t **ret, struct refusal *refusal)
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
	*ret = verdict_json(d, &verdict, base64);
	sip_verdict_done(&verdict);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

static int call(struct daemon *d, flow_fn *flow, enum sip_direction usual, const json_t *params,
		json_t **ret, struct refusal *refusal)
{
	struct command_message message;
	struct sip_input in;
	int err = command_message(params, &message, refusal);

	if (err)
		return err;
	err = read_input(d, params, usual, &in, refusal);
	in.message = message.text;
	if (!err)
		err = run(d, flow, &in, message.copy != NULL, ret, refusal);
	command_message_done(&message);
	return err;
}

int command_sip_request(struct daemon *d, const json_t *params, json_t **ret,
			struct refusal *refusal)
{
	return call(d, sip_flow_request, SIP_FROM_PHONE, params, ret, refusal);
}

int command_sip_response(struct daemon *d, const json_t *params, json_t **ret,
			 struct refusal *refusal)
{
	return call(d, sip_flow_response, SIP_TO_PHONE, params, ret, refusal);
}
