/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Responses. What a REGISTER began is done when its response passes:
 *
 *   401      its keys are taken out and become a TEMPORARY set; Security-Server is put in
 *   2xx      the set is confirmed or lives longer, or ends when nothing is bound any more
 *   3xx-6xx  the set that its challenge made accepts nothing more
 *
 * A response that must not go on as it is (a 401 whose keys are no keys, a set that the kernel
 * refuses) is replaced by one of ours. All other responses to a phone only lose what might be a key
 * and are shown their way; those from a phone are held against the set that they came on.
 */
#include "daemon/check.h"
#include "daemon/impu.h"
#include "daemon/log.h"
#include "daemon/offer.h"
#include "daemon/sip_flow.h"
#include "daemon/sip_register.h"
#include "daemon/sip_work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Enough for a response over TCP to leave. */
#define TCP_LINGER_S 8

/* Of all identities of an implicit registration set. */
#define ASSOCIATED_BYTES 4096

/* A response to a REGISTER of a phone. */
struct answer {
	struct sip_work *w;
	struct sip_pending *entry;
	struct sa_set *set; /* the one that the REGISTER came on; NULL: in clear, or it is gone */
};

/* ---- keys ---- */

static const char *const KEY_NAMES[] = {"ck", "ik", NULL};

static bool take_keys_out_of(struct sip_work *w, enum sip_name name)
{
	const struct sip_header *h;
	bool readable = true;

	for (size_t at = 0; (h = sip_header_next(&w->m, name, &at));) {
		struct auth auth;
		const int err = auth_read(h->value, &auth);

		if (!err)
			sip_edit_auth(&w->edits, &auth, KEY_NAMES, NULL, NULL);
		else if (err != -ENOENT)
			readable = false;
	}
	return readable;
}

/* Take the keys out of all challenges. False: one cannot be read, so that nobody knows what is in
 * it. */
static bool take_keys_out(struct sip_work *w)
{
	const bool readable = take_keys_out_of(w, SIP_WWW_AUTHENTICATE);

	return take_keys_out_of(w, SIP_PROXY_AUTHENTICATE) && readable;
}

/* RFC 3329 2.6: only a 421 or 494 carries a list, and a 401 ours; what stands elsewhere goes to no
 * phone. */
static void take_list_out(struct sip_work *w)
{
	if (w->m.status != 421 && w->m.status != 494)
		sip_edit_remove(&w->edits, SIP_SECURITY_SERVER);
}

static bool is_aka(const struct auth *auth)
{
	char algorithm[32];

	if (auth_find(auth, "ck") || auth_find(auth, "ik"))
		return true;
	return auth_text(auth, "algorithm", algorithm, sizeof(algorithm)) > 0 &&
	       !strncasecmp(algorithm, "AKA", 3);
}

/* The challenge that the sets are made of. Returns 0, -ENOENT: it is none of AKA; -ECANCELED: it
 * is, but its keys are missing or no keys (TS 33.203 6.1.1). */
static int read_keys(const struct sip_work *w, struct offer *offer, struct refusal *why)
{
	const struct sip_header *h;
	int found = -ENOENT;

	for (size_t at = 0; (h = sip_header_next(&w->m, SIP_WWW_AUTHENTICATE, &at));) {
		struct auth auth;

		if (auth_read(h->value, &auth) < 0 || !is_aka(&auth))
			continue;
		if (!found)
			return refuse(why, REASON_BAD_CHALLENGE,
				      "two challenges of AKA in one 401");
		if (auth_key(&auth, "ck", offer->ck, sizeof(offer->ck)) < 0 ||
		    auth_key(&auth, "ik", offer->ik, sizeof(offer->ik)) < 0)
			return refuse(why, REASON_BAD_CHALLENGE,
				      "the challenge lacks ck or ik of 32 hexadecimal digits");
		found = 0;
	}
	return found;
}

/* ---- 401 ---- */

/* The same 401 to the same REGISTER makes the same set. */
static uint64_t transaction_of(const struct answer *a)
{
	const char *key = a->entry->text[SIP_PENDING_KEY];
	const struct sip_header *h;
	uint64_t sum[2] = {hash_bytes(key, strlen(key)), 0};

	for (size_t at = 0; (h = sip_header_next(&a->w->m, SIP_WWW_AUTHENTICATE, &at));) {
		sum[1] = hash_bytes(h->value.p, h->value.n);
		sum[0] = hash_bytes(sum, sizeof(sum));
	}
	return sum[0] ? sum[0] : 1;
}

/* All but the keys. */
static void describe_offer(const struct answer *a, struct offer *offer)
{
	const struct sip_pending *entry = a->entry;

	offer->listener = entry->listener;
	offer->impi = entry->text[SIP_PENDING_IMPI];
	offer->contact = entry->text[SIP_PENDING_CONTACT];
	offer->impu = entry->text[SIP_PENDING_IMPU];
	offer->ue_address = entry->remote.address;
	offer->via = entry->via;
	offer->over_id = entry->over_id;
	offer->transaction = transaction_of(a);
	offer->security_client.line[0] = span_of(entry->text[SIP_PENDING_SECURITY_CLIENT]);
	offer->security_client.count = *entry->text[SIP_PENDING_SECURITY_CLIENT] ? 1 : 0;
}

static int make_set(const struct answer *a, const struct offer *offer, struct sa_set **ret,
		    struct refusal *why)
{
	struct offer_result result;
	int err;

	err = offer_make(a->w->flow->table, offer, &result, why);
	if (err)
		return err;
	*ret = result.set;
	offer_result_done(&result);
	return 0;
}

static int refused(struct answer *a, const struct refusal *why)
{
	return sip_work_refused(a->w, a->entry->listener, why);
}

/* The set of this 401, made now or, for a retransmission, before. */
static int need_set(struct answer *a, struct sa_set **ret, struct refusal *why)
{
	struct offer offer = {.contact = ""};
	struct sa_set *made = sa_table_by_id(a->w->flow->table, a->entry->made_id);
	int err = -ECANCELED;

	if (made && made->transaction == transaction_of(a)) {
		*ret = made;
		return 0;
	}
	if (a->entry->over_id && !*a->entry->text[SIP_PENDING_SECURITY_CLIENT]) {
		refuse(why, REASON_NO_COMMON_MECHANISM,
		       "a challenged REGISTER that came on SAs has no Security-Client");
		return err;
	}
	describe_offer(a, &offer);
	err = read_keys(a->w, &offer, why);
	if (err == -ECANCELED)
		offer_tell(&offer, NULL, NULL, false);
	if (!err)
		err = make_set(a, &offer, ret, why);
	explicit_bzero(offer.ck, sizeof(offer.ck));
	explicit_bzero(offer.ik, sizeof(offer.ik));
	return err;
}

/* TS 33.203 7.2. Another kind of challenge than AKA goes on where the listener lets phones register
 * without ipsec-3gpp; else it ends the registration. */
static int challenge(struct answer *a)
{
	const struct decide_policy *policy = &a->entry->listener->decide;
	char text[PACKED_TEXT_BYTES];
	struct sa_set *made = NULL;
	struct refusal why;
	int err;

	if (a->entry->answers_challenge) {
		if (a->set)
			sa_set_abort(a->set);
		return sip_work_forward(a->w, "another challenge: the set of the first one ends");
	}
	if (!a->entry->wants_agreement)
		return sip_work_forward(a->w, "a challenge without a security agreement");
	err = need_set(a, &made, &why);
	if (err == -ENOENT && policy->register_without_ipsec == DECIDE_CLEAR_FORWARD)
		return sip_work_forward(a->w, "a challenge of another kind than AKA");
	if (err == -ENOENT)
		refuse(&why, REASON_BAD_CHALLENGE, "the 401 has no challenge of AKA");
	if (err)
		return refused(a, &why);
	a->entry->made_id = made->id;
	if (!a->entry->over_id && a->entry->transport == SIP_UDP) {
		made->clear_local_port = a->entry->local.port;
		made->clear_remote_port = a->entry->reply_to.port;
	}
	a->w->ret->set_id = made->id;
	sip_edit_add(&a->w->edits, SIP_SECURITY_SERVER,
		     span_of(packed_text(made->security_server, text)));
	return sip_work_forward(a->w, "the keys became a temporary set");
}

/* ---- 2xx ---- */

/* What is registered over the set now (TS 33.203 7.4.2a), with what the network registered along with
 * it. Out of memory: it is not listed, no more. */
static void add_identity(struct answer *a)
{
	char along[ASSOCIATED_BYTES];
	const bool told = sip_associated_identities(&a->w->m, along, sizeof(along));

	if (impu_add(&a->set->impu, a->entry->text[SIP_PENDING_IMPU], told ? along : NULL) == 0)
		sa_set_keep(a->set);
}

static uint32_t linger_s(const struct answer *a)
{
	if (a->w->in->has_linger)
		return a->w->in->linger_s;
	/* while the phone may still ask for the response again, TS 33.203 7.4.2a */
	return a->entry->transport == SIP_UDP ? a->entry->listener->timers.old_set_s : TCP_LINGER_S;
}

static int unbind(struct answer *a)
{
	const char *identity = a->entry->text[SIP_PENDING_IMPU];
	bool is_used = impu_remove(a->set->impu, identity);
	struct sa_set *set;

	DL_FOREACH2(a->set->contact->sets, set, contact_next) {
		if (is_used && set != a->set && impu_has(set->impu, identity))
			impu_remove(set->impu, identity);
		if (is_used)
			sa_set_keep(set);
	}
	if (is_used)
		return sip_work_forward(a->w, "de-registered; other identities use the sets");
	sa_set_release(a->set, linger_s(a));
	a->set = NULL;
	return sip_work_forward(a->w, "de-registered: the sets end");
}

/* What tells the device and its flow in a contact's name; NULL: it gave no instance. */
static const char *device_of(const struct sa_contact *contact)
{
	const char *name = sa_contact_name(contact);

	return name[0] && name[0] != ';' ? name : NULL;
}

/* TS 33.203 7.5: the same device registers from another address: nothing answers at the old one.
 * Without an instance nobody can tell; those sets last until their end, or sa.release. */
static void leave_old_address(const struct sa_set *set)
{
	const char *device = device_of(set->contact);
	struct sa_contact *contact = set->contact->identity->contacts, *next;

	for (; device && contact; contact = next) {
		const char *other = device_of(contact);

		next = contact->next;
		if (contact != set->contact && other && !strcmp(other, device))
			sa_contact_release(contact, 0);
	}
}

/* The set is in use from now on, or lives on. An OLD one has been superseded and gains nothing. */
static int keep(struct answer *a, uint32_t expires_s, struct refusal *why)
{
	int err = 0;

	switch (a->set->state) {
	case SA_SET_TEMPORARY:
		err = sa_set_confirm(a->set, expires_s, why);
		if (!err && a->set->state == SA_SET_CURRENT)
			leave_old_address(a->set);
		break;
	case SA_SET_NEW:
	case SA_SET_CURRENT:
		if (a->entry->purpose == SIP_BIND)
			err = sa_set_extend(a->set, expires_s, why);
		break;
	case SA_SET_OLD:
	case SA_SET_GONE:
		break;
	}
	return err;
}

static int accepted(struct answer *a)
{
	const uint32_t granted_s = sip_register_granted_s(&a->w->m, a->entry);
	const bool binds = a->entry->purpose == SIP_BIND && granted_s;
	struct refusal why;

	if (!a->set)
		return sip_work_forward(a->w, "accepted, without a set");
	if (keep(a, binds ? granted_s : 0, &why) < 0)
		return refused(a, &why);
	if (a->entry->purpose == SIP_FETCH)
		return sip_work_forward(a->w, "nothing was registered: no lifetime changes");
	if (!binds)
		return unbind(a);
	add_identity(a);
	return sip_work_forward(a->w, "registered");
}

/* ---- all the others ---- */

static int failed(struct answer *a)
{
	if (a->set && a->set->state == SA_SET_TEMPORARY)
		sa_set_abort(a->set);
	return sip_work_forward(a->w, "the registration failed");
}

/* Where the REGISTER came from whose challenge failed: over the set before, or in clear. */
static void way_of_the_first(const struct answer *a)
{
	const struct sa_set *set = a->set, *before = sa_table_by_id(a->w->flow->table, set->over_id);
	const struct sip_place local = {set->listener->address, set->clear_local_port};
	const struct sip_place remote = {set->ue_address, set->clear_remote_port};

	if (!before && set->clear_remote_port)
		sip_work_way(a->w, &local, &remote);
	else
		sip_work_way_set(a->w, before ? before : set);
}

/* TS 33.203 7.4.2a: a response goes over the set that its request came on, but one that fails for
 * another reason than the authentication as the first REGISTER came. */
static void find_way(const struct answer *a)
{
	const struct sip_pending *entry = a->entry;
	const unsigned status = a->w->m.status;

	if (!a->set) {
		sip_work_way(a->w, &entry->local, &entry->reply_to);
		return;
	}
	a->w->ret->set_id = a->set->id;
	if (entry->transport != SIP_UDP)
		sip_work_way(a->w, &entry->local, &entry->remote);
	else if (entry->answers_challenge && status >= 300 && status != 401 && status != 403)
		way_of_the_first(a);
	else
		sip_work_way_set(a->w, a->set);
}

static int register_response(struct sip_work *w, struct sip_pending *entry)
{
	struct answer a = {w, entry, sa_table_by_id(w->flow->table, entry->over_id)};
	const bool readable = take_keys_out(w);
	struct refusal why;
	int err;

	if (entry->over_id && !a.set)
		return sip_work_drop(w, REASON_UNKNOWN_SET,
				     "the set that the REGISTER came on is gone");
	if (entry->listener->decide.sec_agree)
		take_list_out(w);
	snprintf(w->ret->impi, sizeof(w->ret->impi), "%s", entry->text[SIP_PENDING_IMPI]);
	w->ret->phone = entry->remote.address;
	find_way(&a);
	if (!readable) {
		refuse(&why, REASON_BAD_CHALLENGE, "a challenge is malformed");
		return refused(&a, &why);
	}
	if (w->m.status < 200)
		return sip_work_forward(w, "provisional");
	if (w->m.status == 401)
		err = challenge(&a);
	else
		err = w->m.status < 300 ? accepted(&a) : failed(&a);
	sip_pending_answered(w->flow->pending, entry);
	return err;
}

/* ---- other responses to the phone ---- */

/* The front end may know how the request came; else the phone's Via says where it wants to have it,
 * which is its protected server port. */
static const struct sa_set *find_set(const struct sip_work *w, bool *ret_known)
{
	const struct sip_place *local = &w->in->source, *remote = &w->in->destination;
	const struct sa_contact *contact;
	const struct sa_flow *flow;
	struct ip_addr address;
	struct sip_via via;

	*ret_known = local->address.family != AF_UNSPEC && remote->address.family != AF_UNSPEC;
	if (*ret_known) {
		flow = sa_table_flow(w->flow->table, &local->address, local->port, &remote->address,
				     remote->port);
		contact = flow ? flow->set->contact : NULL;
	} else {
		sip_via(&w->m, w->m.via_count - 1, &via);
		address = sip_work_address(via.host);
		contact = address.family == AF_UNSPEC
				  ? NULL
				  : sa_table_contact_at(w->flow->table, w->flow->config, &address,
							via.port);
	}
	return contact ? sa_contact_downlink(contact) : NULL;
}

static int response_to_phone(struct sip_work *w)
{
	const bool is_register = sip_work_is_register(w);
	struct refusal why;
	bool known;
	const struct sa_set *set = find_set(w, &known);

	if (is_register && (w->m.status == 401 || sip_header(&w->m, SIP_WWW_AUTHENTICATE)))
		return sip_work_drop(w, REASON_UNKNOWN_TRANSACTION,
				     "a challenge, and no REGISTER waits for it");
	if (set)
		w->ret->set_id = set->id;
	if (known && (!set || w->in->transport != SIP_UDP))
		sip_work_way(w, &w->in->source, &w->in->destination);
	else if (set)
		sip_work_way_set(w, set);
	if (!take_keys_out(w)) {
		refuse(&why, REASON_BAD_CHALLENGE, "a challenge is malformed");
		return sip_work_refused(w, NULL, &why);
	}
	if (set)
		take_list_out(w);
	return sip_work_forward(w, set ? "over the set that is in use towards the phone"
				       : "no set has to do with it");
}

/* ---- responses from the phone ---- */

static int check_response(struct sip_work *w, struct check_result *ret, struct refusal *why)
{
	const struct sip_input *in = w->in;
	char method[32];
	const struct check check = {
		.local = in->destination.address,
		.remote = in->source.address,
		.local_port = in->destination.port,
		.remote_port = in->source.port,
		.method = method,
		.is_response = true,
	};

	snprintf(method, sizeof(method), "%.*s", (int)w->m.method.n, w->m.method.p);
	return check_message(w->flow->table, w->flow->config, &check, ret, why);
}

/* Our Via, on top of it, says by which port the request went out. */
static bool is_about_clear(const struct sip_work *w, const struct config_listener *listener)
{
	struct sip_via via;

	sip_via(&w->m, 0, &via);
	return !sip_work_is_protected_port(listener, via.port);
}

static int response_from_phone(struct sip_work *w)
{
	const struct config_listener *listener = sip_work_listener(w);
	struct check_result found = {0};
	enum decide_protection protection = DECIDE_UNPROTECTED;
	const struct decide_policy *policy;
	struct decision d;
	struct refusal why;

	if (!listener)
		return -ECANCELED;
	policy = &listener->decide;
	if (policy->sec_agree && check_response(w, &found, &why) < 0)
		return sip_work_drop(w, why.reason, "%s", why.text);
	if (found.set) {
		w->ret->set_id = found.set->id;
		w->ret->is_protected = true;
		protection = DECIDE_IPSEC;
	} else if (w->in->transport == SIP_TLS) {
		protection = DECIDE_TLS;
	}
	decide_response(policy, protection, w->m.status, is_about_clear(w, listener),
			w->in->emergency, &d);
	w->ret->row = d.row;
	if (d.clean)
		sip_agree_clean(&w->edits);
	if (d.action == DECIDE_FORWARD)
		return sip_work_forward(w, d.why);
	snprintf(w->ret->why, sizeof(w->ret->why), "%s", d.why);
	return 0;
}

int sip_flow_response(struct sip_flow *flow, const struct sip_input *in, struct sip_verdict *ret,
		      struct refusal *refusal)
{
	struct sip_pending *entry = NULL;
	struct sip_work w;
	char *key;
	int err;

	if (!sip_work_start(&w, flow, in, ret, refusal, &err))
		return err;
	key = sip_work_key(&w);
	if (key && sip_work_is_register(&w))
		entry = sip_pending_find(flow->pending, key);
	if (!key)
		err = refuse(refusal, REASON_INTERNAL, "out of memory");
	else if (!w.m.status)
		err = sip_work_drop(&w, REASON_BAD_MESSAGE, "it is a request");
	else if (in->direction == SIP_FROM_PHONE)
		err = response_from_phone(&w);
	else
		err = entry ? register_response(&w, entry) : response_to_phone(&w);
	free(key);
	sip_work_done(&w);
	if (err)
		sip_verdict_done(ret);
	return err;
}
