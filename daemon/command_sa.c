/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.*: from JSON to offer.c, check.c and sa_set.c, and back.
 */
#include "daemon/agreement_json.h"
#include "daemon/check.h"
#include "daemon/command.h"
#include "daemon/impu.h"
#include "daemon/offer.h"
#include "daemon/set_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define LIST_DEFAULT 1000
#define LIST_MAX     10000
#define LIST_LOOKED  10000 /* sets that one call looks at, whether they match or not */

static int unknown_set(struct refusal *refusal)
{
	return refuse(refusal, REASON_UNKNOWN_SET, "there is no such set (any more)");
}

static struct sa_set *need_set(const struct daemon *d, const struct json_node *params,
			       struct refusal *refusal)
{
	struct sa_set *set = sa_table_by_id(d->table, param_set(params, "set"));

	if (!set)
		unknown_set(refusal);
	return set;
}

static void add_state(struct json_out *out, const struct sa_set *set)
{
	json_name(out, "set");
	set_json_id(out, set);
	json_add_text(out, "state", sa_set_state_name(set->state));
	json_add_number(out, "expires_in", sa_set_left_s(set));
}

/* ---- sa.offer ---- */

static char *impu_of(const struct json_node *params)
{
	struct lines lines;
	char *text, *at;
	size_t bytes = 1;

	param_lines(params, "impu", &lines);
	for (size_t i = 0; i < lines.count; i++)
		bytes += lines.line[i].n + 1;
	text = at = malloc(bytes);
	for (size_t i = 0; at && i < lines.count; i++) {
		if (i)
			*at++ = '\n';
		at = mempcpy(at, lines.line[i].p, lines.line[i].n);
	}
	if (at)
		*at = '\0';
	return text;
}

/* The token of a transaction counts only together with all that came with it. 0: none was given. */
static uint64_t transaction_of(const struct json_node *params)
{
	const struct param *param = command_find("sa.offer")->params;
	struct json_out all = {0};
	uint64_t hash = 0;

	if (!param_has(params, "transaction"))
		return 0;
	for (; param->name; param++) {
		const struct json_node *value = json_member(params, param->name);

		json_name(&all, param->name);
		if (value)
			json_put_node(&all, value);
	}
	if (!all.err)
		hash = hash_bytes(all.text, all.n) ?: 1;
	json_out_done(&all); /* CK and IK are in it */
	return hash;
}

static void put_offer(struct json_out *out, const struct offer_result *result)
{
	const struct sa_set *set = result->set;
	char text[PACKED_TEXT_BYTES];

	json_open(out, '{');
	set_json_brief(out, set);
	json_name(out, "considered");
	agreement_considered_json(out, &result->offered, &result->selection);
	json_add_bool(out, "nat", result->nat);
	json_add_text(out, "security_server", packed_text(set->security_server, text));
	json_add_text(out, "start", choose_start_name(result->start));
	json_name(out, "phone");
	set_json_endpoint(out, &set->ue_address, &set->ue);
	json_name(out, "pcscf");
	set_json_endpoint(out, &set->listener->address, &set->pcscf);
	json_name(out, "warnings");
	json_open(out, '[');
	if (result->offered.warning)
		json_put_string(out, result->offered.warning);
	json_close(out, ']');
	json_close(out, '}');
}

static bool has_too_many(const struct json_node *params, const char *name)
{
	const struct json_node *lines = json_member(params, name);

	return lines && lines->kind == NODE_ARRAY && lines->n > SEC_MAX_LINES;
}

int command_sa_offer(struct daemon *d, const struct json_node *params, struct json_out *out,
		     struct refusal *refusal)
{
	struct offer offer = {
		.listener = command_listener(d, params, refusal),
		.impi = param_text(params, "impi"),
		.contact = param_text(params, "contact"),
		.ue_address = param_address(params, "ue"),
		.via = param_address(params, "via"),
		.over_id = param_set(params, "over"),
		.transaction = transaction_of(params),
	};
	struct offer_result result;
	char *impu;
	int err;

	if (!offer.listener)
		return -ECANCELED;
	if (param_has(params, "over") && !offer.over_id) /* no set has that name */
		return unknown_set(refusal);
	if (has_too_many(params, "impu"))
		return refuse(refusal, REASON_LIMIT, "more than %d public identities",
			      SEC_MAX_LINES);
	if (offer.ue_address.family != offer.listener->address.family)
		return refuse(refusal, REASON_UNKNOWN_LISTENER,
			      "ue and the listener are of different address families");
	impu = impu_of(params);
	if (!impu)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	offer.impu = impu;
	if (!offer.contact)
		offer.contact = "";
	param_lines(params, "security_client", &offer.security_client);
	param_key(params, "ck", offer.ck);
	param_key(params, "ik", offer.ik);
	err = offer_make(d->table, &offer, &result, refusal);
	explicit_bzero(offer.ck, sizeof(offer.ck));
	explicit_bzero(offer.ik, sizeof(offer.ik));
	free(impu);
	if (err)
		return err;
	put_offer(out, &result);
	offer_result_done(&result);
	return 0;
}

/* ---- sa.check ---- */

static void add_remove(struct json_out *out, const struct check *check, bool is_off)
{
	json_name(out, "remove");
	json_open(out, '[');
	if (check->security_client.count && !is_off)
		json_put_string(out, "Security-Client");
	if (check->security_verify.count && !is_off)
		json_put_string(out, "Security-Verify");
	json_close(out, ']');
}

static void put_check(struct json_out *out, const struct check *check,
		      const struct check_result *result)
{
	json_open(out, '{');
	json_add_bool(out, "protected", result->is_protected);
	if (result->is_protected) {
		json_name(out, "set");
		set_json_id(out, result->set);
		json_add_text(out, "state", sa_set_state_name(result->set->state));
		json_add_text(out, "impi", result->set->impi);
	}
	json_add_text(out, "integrity_protected", result->integrity_protected ? "yes" : "no");
	add_remove(out, check, result->is_off);
	json_close(out, '}');
}

int command_sa_check(struct daemon *d, const struct json_node *params, struct json_out *out,
		     struct refusal *refusal)
{
	struct check check = {
		.local = param_address(params, "pcscf"),
		.remote = param_address(params, "ue"),
		.local_port = param_port(params, "pcscf_port"),
		.remote_port = param_port(params, "ue_port"),
		.method = param_text(params, "method"),
		.impi = param_text(params, "impi"),
		.is_response = param_bool(params, "response"),
		.via = param_address(params, "via"),
		.no_answer = param_has(params, "answers") && !param_bool(params, "answers"),
	};
	struct check_result result;
	int err;

	param_lines(params, "security_client", &check.security_client);
	param_lines(params, "security_verify", &check.security_verify);
	err = check_message(d->table, d->config, &check, &result, refusal);
	if (err)
		return err;
	put_check(out, &check, &result);
	return 0;
}

/* ---- the life of a set ---- */

/* Others that are registered over the set now. Out of memory: they are not listed, no more. */
static void add_identities(struct sa_set *set, const struct json_node *params)
{
	struct lines lines;

	param_lines(params, "impu", &lines);
	for (size_t i = 0; i < lines.count && i < SEC_MAX_LINES; i++) {
		char *identity = strndup(lines.line[i].p, lines.line[i].n);

		if (identity)
			impu_add(&set->impu, identity, NULL);
		free(identity);
	}
	if (lines.count)
		sa_set_keep(set);
}

/* Those that go when it is confirmed: they are named while they live. */
static void put_superseded(struct json_out *out, const struct sa_set *set)
{
	const struct sa_set *other;

	json_open(out, '[');
	DL_FOREACH2(set->contact->sets, other, contact_next) {
		if (other != set && set->state == SA_SET_TEMPORARY)
			set_json_id(out, other);
	}
	json_close(out, ']');
}

int command_sa_confirm(struct daemon *d, const struct json_node *params, struct json_out *out,
		       struct refusal *refusal)
{
	struct sa_set *set = need_set(d, params, refusal);
	struct json_out superseded = {0};
	int err;

	if (!set)
		return -ECANCELED;
	put_superseded(&superseded, set);
	err = superseded.err ? refuse(refusal, REASON_INTERNAL, "out of memory")
			     : sa_set_confirm(set, param_number(params, "expires"), refusal);
	if (!err) {
		add_identities(set, params);
		json_open(out, '{');
		add_state(out, set);
		json_name(out, "superseded");
		json_put(out, superseded.text);
		json_close(out, '}');
	}
	json_out_done(&superseded);
	return err;
}

int command_sa_fail(struct daemon *d, const struct json_node *params, struct json_out *out,
		    struct refusal *refusal)
{
	struct sa_set *set = need_set(d, params, refusal);

	if (!set)
		return -ECANCELED;
	if (set->state != SA_SET_TEMPORARY)
		return refuse(refusal, REASON_WRONG_STATE,
			      "the set is %s: a failed authentication leaves it alone (sa.release "
			      "ends it)",
			      sa_set_state_name(set->state));
	json_open(out, '{');
	json_name(out, "set");
	set_json_id(out, set);
	json_add_text(out, "state", "gone");
	json_close(out, '}');
	sa_set_drop(set, "failed");
	return 0;
}

int command_sa_extend(struct daemon *d, const struct json_node *params, struct json_out *out,
		      struct refusal *refusal)
{
	struct sa_set *set = need_set(d, params, refusal);

	if (!set || sa_set_extend(set, param_number(params, "expires"), refusal) < 0)
		return -ECANCELED;
	add_identities(set, params);
	json_open(out, '{');
	add_state(out, set);
	json_close(out, '}');
	return 0;
}

static void unregister(struct sa_set *set, const struct lines *gone)
{
	for (size_t i = 0; i < gone->count; i++) {
		char *identity = strndup(gone->line[i].p, gone->line[i].n);

		if (identity && impu_has(set->impu, identity))
			impu_remove(set->impu, identity);
		free(identity);
	}
	if (gone->count)
		sa_set_keep(set);
}

/* Take the identities in @params off the sets of @contact. True: others are left, the sets stay. */
static bool is_still_used(const struct sa_contact *contact, const struct json_node *params)
{
	struct lines gone;
	struct sa_set *set;
	bool used = false;

	param_lines(params, "impu", &gone);
	DL_FOREACH2(contact->sets, set, contact_next) {
		unregister(set, &gone);
		used |= gone.count && *set->impu;
	}
	return used;
}

static void put_sets(struct json_out *out, const struct sa_contact *contact)
{
	const struct sa_set *set;

	DL_FOREACH2(contact->sets, set, contact_next)
	set_json_id(out, set);
}

/* One of an IMPI's contacts, or all of them when @params name no address. */
static bool is_meant(const struct sa_contact *contact, const struct json_node *params)
{
	const struct ip_addr ue = param_address(params, "ue");
	const struct sa_set *set;

	DL_FOREACH2(contact->sets, set, contact_next) {
		if (ue.family == AF_UNSPEC || ip_equal(&ue, &set->ue_address))
			return true;
	}
	return false;
}

/* TS 24.229 5.2.5.2 */
static void release_impi(struct json_out *out, struct daemon *d, const struct json_node *params)
{
	const struct sa_identity *identity =
		sa_table_identity(d->table, param_text(params, "impi"));
	struct sa_contact *contact = identity ? identity->contacts : NULL, *next;

	for (; contact; contact = next) {
		next = contact->next;
		if (!is_meant(contact, params) || is_still_used(contact, params))
			continue;
		put_sets(out, contact);
		sa_contact_release(contact, param_number(params, "linger"));
	}
}

/* TS 24.229 5.2.5.1 */
static void release_set(struct json_out *out, struct sa_set *set, const struct json_node *params)
{
	if (is_still_used(set->contact, params))
		return;
	put_sets(out, set->contact);
	sa_set_release(set, param_number(params, "linger"));
}

int command_sa_release(struct daemon *d, const struct json_node *params, struct json_out *out,
		       struct refusal *refusal)
{
	struct sa_set *set = NULL;

	if (param_has(params, "set") == param_has(params, "impi"))
		return refuse(refusal, REASON_UNKNOWN_SET, "give either \"set\" or \"impi\"");
	if (param_has(params, "set")) {
		set = need_set(d, params, refusal);
		if (!set)
			return -ECANCELED;
	}
	json_open(out, '{');
	json_name(out, "released");
	json_open(out, '[');
	if (set)
		release_set(out, set, params);
	else
		release_impi(out, d, params);
	json_close(out, ']');
	json_close(out, '}');
	return 0;
}

/* ---- looking ---- */

static struct sa_set *downlink_of_impi(const struct daemon *d, const struct json_node *params)
{
	const struct sa_identity *identity =
		sa_table_identity(d->table, param_text(params, "impi"));
	const struct sa_contact *contact;
	struct sa_set *set = NULL;

	if (!identity)
		return NULL;
	DL_FOREACH(identity->contacts, contact) {
		if (!set && is_meant(contact, params))
			set = sa_contact_downlink(contact);
	}
	return set;
}

static struct sa_set *downlink_at(const struct daemon *d, const struct json_node *params)
{
	const struct ip_addr ue = param_address(params, "ue");
	const struct sa_contact *contact =
		sa_table_contact_at(d->table, d->config, &ue, param_port(params, "ue_port"));

	return contact ? sa_contact_downlink(contact) : NULL;
}

int command_sa_route(struct daemon *d, const struct json_node *params, struct json_out *out,
		     struct refusal *refusal)
{
	struct sa_set *set = NULL;

	if (param_has(params, "set")) {
		set = need_set(d, params, refusal);
		if (!set)
			return -ECANCELED;
		if (!param_bool(params, "exact"))
			set = sa_contact_downlink(set->contact);
	} else if (param_has(params, "impi")) {
		set = downlink_of_impi(d, params);
	} else if (param_has(params, "ue") && param_has(params, "ue_port")) {
		set = downlink_at(d, params);
	} else {
		return refuse(refusal, REASON_UNKNOWN_SET,
			      "give \"set\", \"impi\", or \"ue\" and \"ue_port\"");
	}
	if (!set)
		return refuse(refusal, REASON_UNKNOWN_SET,
			      "no confirmed set reaches this phone: what is sent to its protected "
			      "port is discarded by the kernel");
	set_json_route(out, set);
	return 0;
}

static bool is_listed(const struct sa_set *set, const struct json_node *params)
{
	const char *impi = param_text(params, "impi");
	const char *match = param_text(params, "match");
	const char *state = param_text(params, "state");
	const char *listener = param_text(params, "listener");
	const struct ip_addr ue = param_address(params, "ue");

	return (!impi || !strcmp(impi, set->impi)) &&
	       (!match || strstr(set->impi, match) || strstr(set->impu, match)) &&
	       (!state || !strcmp(state, sa_set_state_name(set->state))) &&
	       (!listener || !strcmp(listener, set->listener->name)) &&
	       (ue.family == AF_UNSPEC || ip_equal(&ue, &set->ue_address));
}

/* Sets are gone through by the shortest way that @params leave: those of one identity, those at one
 * address, or all. */
static const struct sa_set *first_to_list(const struct daemon *d, const struct json_node *params)
{
	const struct ip_addr ue = param_address(params, "ue");

	if (param_has(params, "impi")) {
		const struct sa_identity *identity =
			sa_table_identity(d->table, param_text(params, "impi"));

		return identity ? identity->contacts->sets : NULL;
	}
	if (ue.family != AF_UNSPEC) {
		const struct sa_peer *peer = sa_table_peer(d->table, &ue);

		return peer ? peer->sets : NULL;
	}
	return d->table->sets;
}

static const struct sa_set *next_to_list(const struct sa_set *set, const struct json_node *params)
{
	if (param_has(params, "impi")) {
		const struct sa_contact *contact = set->contact->next;

		return set->contact_next ? set->contact_next : contact ? contact->sets : NULL;
	}
	return param_has(params, "ue") ? set->peer_next : set->hh.next;
}

static void put_listed(struct json_out *out, const struct sa_set *set, bool detail)
{
	json_open(out, '{');
	set_json_brief(out, set);
	if (detail)
		set_json_detail(out, set);
	json_close(out, '}');
}

/* From @set on; returns where it stopped, NULL: at the end. */
static const struct sa_set *put_list(struct json_out *out, const struct sa_set *set,
				     const struct json_node *params, const struct sa_set **ret_last)
{
	uint32_t left = param_has(params, "limit") ? param_number(params, "limit") : LIST_DEFAULT;
	const bool detail = param_bool(params, "detail");

	if (left > LIST_MAX)
		left = LIST_MAX;
	for (unsigned looked = 0; set && looked < LIST_LOOKED && left; looked++) {
		*ret_last = set;
		if (is_listed(set, params)) {
			put_listed(out, set, detail);
			left--;
		}
		set = next_to_list(set, params);
	}
	return set;
}

int command_sa_list(struct daemon *d, const struct json_node *params, struct json_out *out,
		    struct refusal *refusal)
{
	const struct sa_set *set = first_to_list(d, params), *last = NULL;

	if (param_has(params, "after")) {
		set = sa_table_by_id(d->table, param_set(params, "after"));
		if (!set)
			return refuse(refusal, REASON_UNKNOWN_SET,
				      "the set of \"after\" is gone: begin again");
		set = next_to_list(set, params);
	}
	json_open(out, '{');
	json_name(out, "sets");
	json_open(out, '[');
	set = put_list(out, set, params, &last);
	json_close(out, ']');
	json_name(out, "next");
	if (set && last)
		set_json_id(out, last);
	else
		json_put_null(out);
	json_add_number(out, "total", HASH_COUNT(d->table->sets));
	json_close(out, '}');
	return 0;
}

int command_sa_show(struct daemon *d, const struct json_node *params, struct json_out *out,
		    struct refusal *refusal)
{
	const struct sa_set *set = need_set(d, params, refusal);

	if (!set)
		return -ECANCELED;
	set_json_full(out, set);
	return 0;
}
