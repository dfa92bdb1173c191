/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests. One from a phone passes these stations: whose listener; who says it is (REGISTER); is
 * it protected, and right for its set (check.c); what the table says (proto/decide.c); and then
 * what the table asked for is done: the message is cleaned and passed on, or answered, or dropped.
 * A REGISTER that passes is remembered, since all that it begins is done when its response comes
 * (sip_answer.c): nothing is installed for a REGISTER alone (TS 33.203 7.2).
 *
 * A request to a phone is only shown its way.
 *
 * There are no transactions, timers or sockets of SIP here, and no dialogs: the front end has
 * those. What a message is answered twice, it gets twice the same.
 */
#include "daemon/sip_flow.h"
#include "daemon/check.h"
#include "daemon/log.h"
#include "daemon/offer.h"
#include "daemon/security_server.h"
#include "daemon/sip_register.h"
#include "daemon/sip_work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDENTITY_BYTES SIP_IMPI_BYTES

/* A request from a phone. */
struct request {
	struct sip_work *w;
	const struct config_listener *listener;
	struct decide_facts facts;
	char impi[IDENTITY_BYTES], impu[IDENTITY_BYTES]; /* REGISTER; "" = none */
	bool has_response;    /* answers a challenge, or repeats an answer */
	bool has_auts;        /* RFC 3310 3.4 */
	bool rejects_network; /* the challenge was not from the home network: TS 33.203 6.1.2.2 */
	struct check_result found;
	char verify_why[320]; /* what is wrong with its Security-Verify; "" = nothing is known */
	const struct sa_set *refused_set; /* the set that a refusal is about */
	struct sip_client client;
};

struct sip_flow *sip_flow_new(struct sa_table *table, const struct config *config)
{
	struct sip_flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->table = table;
	flow->config = config;
	flow->pending = sip_pending_new();
	if (!flow->pending || sip_init() < 0) {
		sip_flow_free(flow);
		return NULL;
	}
	return flow;
}

void sip_flow_free(struct sip_flow *flow)
{
	if (!flow)
		return;
	sip_pending_free(flow->pending);
	free(flow);
}

void sip_flow_use(struct sip_flow *flow, const struct config *config,
		  const struct config_listener *const *heirs)
{
	sip_pending_relisten(flow->pending, flow->config->listeners, heirs);
	flow->config = config;
}

void sip_verdict_done(struct sip_verdict *verdict)
{
	free(verdict->message);
	verdict->message = NULL;
}

/* ---- who it says it is ---- */

static int bad_message(struct refusal *why, const char *text)
{
	return refuse(why, REASON_BAD_MESSAGE, "%s", text);
}

/* One Authorization. Several may stand in a REGISTER (RFC 3261 22.3), but of one identity. */
static int read_authorization(struct request *r, const struct auth *auth, struct refusal *why)
{
	char name[IDENTITY_BYTES];

	if (auth_has(auth, "username")) {
		if (auth_text(auth, "username", name, sizeof(name)) < 0)
			return bad_message(why, "the username is too long or not printable");
		if (r->impi[0] && strcmp(r->impi, name) != 0)
			return bad_message(why, "two Authorizations have two usernames");
		memcpy(r->impi, name, sizeof(name));
	}
	r->has_response |= auth_has(auth, "response");
	r->has_auts |= auth_has(auth, "auts");
	r->rejects_network |=
		auth_has(auth, "nonce") && !auth_has(auth, "response") && !auth_has(auth, "auts");
	return 0;
}

static int read_identity(struct request *r, struct refusal *why)
{
	const struct sip_message *m = &r->w->m;
	const struct sip_header *h;
	struct auth auth;

	for (size_t at = 0; (h = sip_header_next(m, SIP_AUTHORIZATION, &at));) {
		const int err = auth_read(h->value, &auth);

		if (err == -ENOENT)
			continue; /* another scheme */
		if (err)
			return bad_message(why, "Authorization is malformed");
		if (read_authorization(r, &auth, why) < 0)
			return -ECANCELED;
	}
	if (sip_registered_identity(m, false, r->impu, sizeof(r->impu)) < 0)
		return bad_message(why, "To holds no identity that can be registered");
	return 0;
}

/* ---- is it protected ---- */

/* Security-Verify on a TLS connection mirrors the static list, which a 421 or 494 had. */
static int compare_list(const struct request *r, const struct lines *verify)
{
	char list[SERVER_LIST_WRITE_BYTES];

	if (security_server_write(r->listener, NULL, NULL, list, sizeof(list)) < 0)
		return -EBADMSG;
	return lines_compare(list, verify, r->listener->verify, NULL, 0);
}

/* The set that a refused message belongs to: the one that was just aborted, else the one that
 * lives, else the last. For the way back, and for the list that was sent over it. */
static const struct sa_set *set_at(const struct sip_work *w)
{
	const struct sip_input *in = w->in;
	const struct sa_flow *flow =
		sa_table_flow(w->flow->table, &in->destination.address, in->destination.port,
			      &in->source.address, in->source.port);
	const struct sa_set *living = NULL, *last = NULL;

	for (; flow; flow = flow->next) {
		last = flow->set;
		if (last->aborted)
			return last;
		if (!living && last->state != SA_SET_TEMPORARY)
			living = last;
	}
	return living ? living : last;
}

static int note_verify(struct request *r, const struct lines *verify, struct refusal *why)
{
	struct decide_facts *facts = &r->facts;
	int err;

	if (r->found.is_protected) {
		facts->protection = DECIDE_IPSEC;
		facts->verify = verify->count ? DECIDE_VERIFY_EQUAL : DECIDE_VERIFY_ABSENT;
	} else if (r->w->in->transport == SIP_TLS) {
		facts->protection = DECIDE_TLS;
		if (!verify->count)
			return 0;
		err = compare_list(r, verify);
		if (err == -ENOMEM)
			return refuse(why, REASON_INTERNAL, "out of memory");
		facts->verify = err ? DECIDE_VERIFY_DIFFERENT : DECIDE_VERIFY_EQUAL;
	}
	return 0;
}

/* Returns 0, or -ECANCELED with @why: then the decision is made. A wrong Security-Verify is only a
 * fact: which code it is answered with is the table's. */
static int check_protection(struct request *r, struct refusal *why)
{
	const struct sip_input *in = r->w->in;
	char method[32];
	struct lines verify;
	struct check check = {
		.local = in->destination.address,
		.remote = in->source.address,
		.local_port = in->destination.port,
		.remote_port = in->source.port,
		.method = method,
		.impi = r->impi[0] ? r->impi : NULL,
		.via = sip_work_via_address(r->w),
		.no_answer = !r->has_response && !r->has_auts,
	};

	snprintf(method, sizeof(method), "%.*s", (int)r->w->m.method.n, r->w->m.method.p);
	sip_agree_lines(&r->w->m, SIP_SECURITY_VERIFY, &verify);
	if (!decide_method_carries(r->facts.method))
		verify.count = 0;
	check.security_client = r->client.lines;
	check.security_verify = verify;
	if (check_message(r->w->flow->table, r->w->flow->config, &check, &r->found, why) == 0)
		return note_verify(r, &verify, why);
	r->refused_set = set_at(r->w);
	if (why->reason != REASON_VERIFY_MISMATCH)
		return -ECANCELED;
	memcpy(r->verify_why, why->text, sizeof(r->verify_why));
	r->facts.protection = DECIDE_IPSEC;
	r->facts.verify = verify.count ? DECIDE_VERIFY_DIFFERENT : DECIDE_VERIFY_ABSENT;
	r->facts.verify_required = true;
	return 0;
}

/* ---- what it offers ---- */

/* TS 33.203 M.7.2 */
static bool is_behind_nat(const struct request *r)
{
	const struct ip_addr host = sip_work_via_address(r->w);

	return host.family != AF_UNSPEC && !ip_equal(&host, &r->w->in->source.address);
}

/* ---- doing what the table says ---- */

/* TS 33.203 7.3.1.2, 7.3.1.3: the phone did not accept the challenge; the set that came with it
 * will never be used. */
static void drop_unanswered(const struct request *r, const struct sa_contact *contact)
{
	struct sa_set *unanswered = sa_contact_in_state(contact, SA_SET_TEMPORARY);

	if (unanswered && unanswered != r->found.set && (r->has_auts || r->rejects_network))
		sa_set_drop(unanswered, "challenge-rejected");
}

/* TS 33.203 6.1.5: what the phone says of its own integrity never passes, and neither does what we
 * cannot read and somebody else may. @value NULL: and nothing takes its place. */
static void set_integrity(struct sip_work *w, enum sip_name name, const char *value)
{
	static const char *const NAMES[] = {"integrity-protected", NULL};
	const struct sip_header *h;
	struct auth auth;

	for (size_t at = 0; (h = sip_header_next(&w->m, name, &at));) {
		const int err = auth_read(h->value, &auth);

		if (!err)
			sip_edit_auth(&w->edits, &auth, NAMES, value ? NAMES[0] : NULL, value);
		else if (err != -ENOENT) /* another scheme */
			sip_edit_replace(&w->edits, h->line, (struct span){NULL, 0});
	}
}

/* TS 33.203 7.1: an answer to a message on SAs goes, over UDP, from port to port of the set in use,
 * and that to a REGISTER (7.4.2a) of its own set; else as the message came. */
static void way_back(struct request *r)
{
	const struct sa_set *set = r->found.set ? r->found.set : r->refused_set;
	struct sip_work *w = r->w;
	const struct sip_place to = sip_work_reply_place(w);
	const struct sa_set *in_use = set ? sa_contact_downlink(set->contact) : NULL;

	if (in_use && r->facts.method != DECIDE_METHOD_REGISTER)
		set = in_use;

	if (w->in->transport == SIP_UDP && set)
		sip_work_way_set(w, set);
	else
		sip_work_way(w, &w->in->destination, &to);
}

static int refused(struct request *r, const struct refusal *why)
{
	struct refusal drop = *why;

	if (r->refused_set)
		r->w->ret->set_id = r->refused_set->id;
	way_back(r);
	if (r->facts.method == DECIDE_METHOD_ACK || r->facts.method == DECIDE_METHOD_CANCEL)
		drop.verdict = VERDICT_DISCARD;
	return sip_work_refused(r->w, r->listener, &drop);
}

/* The front end may answer it by itself, or have to know the way before a response comes. */
static int pass(struct request *r, const struct decision *d)
{
	way_back(r);
	r->w->ret->way_is_of_replies = true;
	return sip_work_forward(r->w, d->why);
}

static int forward_register(struct request *r, const struct decision *d)
{
	struct sa_set *set = r->found.set;
	struct sip_verdict *ret = r->w->ret;
	const struct sip_register_request request = {
		.listener = r->listener,
		.impi = r->impi,
		.impu = r->impu,
		.set = set,
		.security_client = &r->client.lines,
		.start_agreement = d->start_agreement,
	};
	struct sa_contact *contact;
	struct refusal why;

	if (sip_register_remember(r->w, &request, &contact, &why) < 0)
		return refused(r, &why);
	drop_unanswered(r, contact);
	ret->has_integrity = true;
	ret->integrity_protected =
		r->found.integrity_protected && (set->state != SA_SET_TEMPORARY || r->has_response);
	set_integrity(r->w, SIP_AUTHORIZATION, ret->integrity_protected ? "yes" : "no");
	set_integrity(r->w, SIP_PROXY_AUTHORIZATION, NULL);
	if (set && set->state == SA_SET_TEMPORARY && r->has_auts)
		sa_set_abort(set); /* what comes next is another challenge */
	return pass(r, d);
}

static int forward(struct request *r, const struct decision *d)
{
	struct sip_verdict *ret = r->w->ret;

	if (r->found.set) {
		ret->set_id = r->found.set->id;
		ret->is_protected = true;
	}
	if (d->clean)
		sip_agree_clean(&r->w->edits);
	if (r->facts.method == DECIDE_METHOD_REGISTER)
		return forward_register(r, d);
	set_integrity(r->w, SIP_AUTHORIZATION, NULL);
	set_integrity(r->w, SIP_PROXY_AUTHORIZATION, NULL);
	return pass(r, d);
}

static void note_reason(struct request *r, const struct decision *d)
{
	struct sip_verdict *ret = r->w->ret;

	snprintf(ret->why, sizeof(ret->why), "%s", d->why);
	ret->has_reason = true;
	if (d->row == 6)
		ret->reason = REASON_VERIFY_MISMATCH;
	else if (d->code == 400)
		ret->reason = REASON_BAD_HEADER;
	else if (d->code == 494 && r->facts.client == DECIDE_CLIENT_UNUSABLE)
		ret->reason = REASON_NO_COMMON_MECHANISM;
	else
		ret->has_reason = false;
	if (d->row == 6 && r->verify_why[0])
		memcpy(ret->why, r->verify_why, sizeof(ret->why));
	if (ret->has_reason && ret->reason == REASON_NO_COMMON_MECHANISM)
		snprintf(ret->why, sizeof(ret->why),
			 "nothing that Security-Client offers is acceptable to this listener");
	if (d->code == 400)
		snprintf(ret->why, sizeof(ret->why), "Security-Client, line %zu, offset %zu: %s",
			 r->client.error.line + 1, r->client.error.offset, r->client.error.why);
}

/* The offer of a phone that is turned away before a 401 could come. */
static void tell_offer(const struct request *r)
{
	const struct offer offer = {
		.listener = r->listener,
		.impi = r->impi,
		.ue_address = r->w->in->source.address,
		.security_client = r->client.lines,
	};
	struct select_result selection;
	struct ipsec3gpp offered;
	struct sec_error error;

	if (r->client.readable &&
	    ipsec3gpp_read(&r->client.header, SEC_CLIENT, &offered, &error) == 0) {
		select_offer(&offered, &r->listener->select, is_behind_nat(r), &selection);
		offer_tell(&offer, &offered, &selection, is_behind_nat(r));
	} else {
		offer_tell(&offer, NULL, NULL, false);
	}
}

/* RFC 3329 2.3.1: the list goes out whole, whatever the phone offers; what starts the mechanism in
 * common is added to it. */
static int answer(struct request *r, const struct decision *d)
{
	const struct sa_set *set = r->found.set ? r->found.set : r->refused_set;
	struct sip_verdict *ret = r->w->ret;
	char sent[PACKED_TEXT_BYTES], *list = NULL;
	int err;

	note_reason(r, d);
	ret->set_id = set ? set->id : 0;
	way_back(r);
	if (d->add_security_server) {
		list = sip_work_demand(r->listener,
				       set ? packed_text(set->security_server, sent) : NULL);
		if (!list)
			return refuse(r->w->refusal, REASON_INTERNAL, "out of memory");
		ret->has_start = r->client.has_common;
		if (ret->has_start)
			ret->start = r->client.common.start;
	}
	err = sip_work_reply(r->w, d->code, d->phrase,
			     list             ? list
			     : d->add_require ? "Require: sec-agree\r\n"
					      : "");
	free(list);
	return err;
}

static int carry_out(struct request *r, const struct decision *d)
{
	r->w->ret->row = d->row;
	switch (d->action) {
	case DECIDE_FORWARD:
		return forward(r, d);
	case DECIDE_REPLY:
		return answer(r, d);
	case DECIDE_DROP:
		break;
	}
	snprintf(r->w->ret->why, sizeof(r->w->ret->why), "%s", d->why);
	return 0;
}

static int judge(struct request *r)
{
	const bool is_register = r->facts.method == DECIDE_METHOD_REGISTER;
	struct decision d;
	struct refusal why;

	if (is_register && read_identity(r, &why) < 0)
		return refused(r, &why);
	if (r->listener->decide.sec_agree && check_protection(r, &why) < 0)
		return refused(r, &why);
	if (is_register && !r->impi[0]) /* TS 24.229 5.1.1.2: without Authorization To names it */
		sip_registered_identity(&r->w->m, true, r->impi, sizeof(r->impi));
	if (r->listener->decide.sec_agree &&
	    sip_agree_client(r->listener, is_behind_nat(r), &r->client, &r->facts.client) < 0) {
		refuse(&why, REASON_INTERNAL, "out of memory");
		return refused(r, &why);
	}
	if (is_register && r->found.set && r->facts.client == DECIDE_CLIENT_BAD) {
		refuse_header(&why, "Security-Client", &r->client.error);
		return refused(r, &why);
	}
	decide_request(&r->listener->decide, &r->facts, &d);
	if (d.action == DECIDE_REPLY && is_register &&
	    (r->facts.client == DECIDE_CLIENT_UNUSABLE || r->facts.client == DECIDE_CLIENT_BAD))
		tell_offer(r);
	if (d.action == DECIDE_REPLY && is_register && r->client.nat_refused &&
	    !r->client.has_common) {
		refuse(&why, REASON_NAT_REFUSED,
		       "the phone is behind a NAT and nothing of its offer can cross one");
		return refused(r, &why);
	}
	return carry_out(r, &d);
}

static int request_from_phone(struct sip_work *w)
{
	struct request *r = calloc(1, sizeof(*r));
	int err = -ECANCELED;

	if (!r)
		return refuse(w->refusal, REASON_INTERNAL, "out of memory");
	r->w = w;
	r->listener = sip_work_listener(w);
	if (r->listener) {
		sip_agree_facts(&w->m, w->in->emergency, &r->facts);
		sip_agree_lines(&w->m, SIP_SECURITY_CLIENT, &r->client.lines);
		w->ret->phone = w->in->source.address;
		err = judge(r);
		memcpy(w->ret->impi, r->impi, sizeof(r->impi));
	}
	sip_client_done(&r->client);
	free(r);
	return err;
}

/* ---- to the phone ---- */

/* TS 33.203 7.4.2a, E7: the set that is in use towards the phone. */
static int request_to_phone(struct sip_work *w)
{
	struct sip_place to = w->in->destination;
	const struct sa_contact *contact;
	const struct sa_set *set;
	struct span host;

	if (to.address.family == AF_UNSPEC && sip_uri_host(&w->m, &host, &to.port))
		to.address = sip_work_address(host);
	contact = to.address.family == AF_UNSPEC
			  ? NULL
			  : sa_table_contact_at(w->flow->table, w->flow->config, &to.address,
						to.port);
	set = contact ? sa_contact_downlink(contact) : NULL;
	if (set) {
		w->ret->set_id = set->id;
		sip_work_way_set(w, set);
		return sip_work_forward(w, "over the set that is in use towards the phone");
	}
	w->ret->has_reason = true;
	w->ret->reason = REASON_UNKNOWN_SET;
	snprintf(w->ret->why, sizeof(w->ret->why), "no confirmed set reaches this phone");
	if (span_equal(w->m.method, span_of("ACK")))
		return 0;
	return sip_work_reply(w, 480, "Temporarily Unavailable", "");
}

int sip_flow_request(struct sip_flow *flow, const struct sip_input *in, struct sip_verdict *ret,
		     struct refusal *refusal)
{
	struct sip_work w;
	int err;

	if (!sip_work_start(&w, flow, in, ret, refusal, &err))
		return err;
	if (w.m.status)
		err = sip_work_drop(&w, REASON_BAD_MESSAGE, "it is a response");
	else
		err = in->direction == SIP_TO_PHONE ? request_to_phone(&w) : request_from_phone(&w);
	sip_work_done(&w);
	if (err)
		sip_verdict_done(ret);
	return err;
}
