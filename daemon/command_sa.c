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

static int answer(json_t *json, json_t **ret, struct refusal *refusal)
{
	if (!json)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	*ret = json;
	return 0;
}

static int unknown_set(struct refusal *refusal)
{
	return refuse(refusal, REASON_UNKNOWN_SET, "there is no such set (any more)");
}

static struct sa_set *need_set(const struct daemon *d, const json_t *params,
			       struct refusal *refusal)
{
	struct sa_set *set = sa_table_by_id(d->table, param_set(params, "set"));

	if (!set)
		unknown_set(refusal);
	return set;
}

static json_t *state_json(const struct sa_set *set)
{
	return json_pack("{s:o, s:s, s:I}", "set", set_json_id(set), "state",
			 sa_set_state_name(set->state), "expires_in",
			 (json_int_t)sa_set_left_s(set));
}

/* ---- sa.offer ---- */

static char *impu_of(const json_t *params)
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
static uint64_t transaction_of(const json_t *params)
{
	const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
	const size_t bytes = json_dumpb(params, NULL, 0, flags);
	char *text = param_has(params, "transaction") && bytes ? malloc(bytes) : NULL;
	uint64_t hash;

	if (!text)
		return 0;
	json_dumpb(params, text, bytes, flags);
	hash = hash_bytes(text, bytes);
	explicit_bzero(text, bytes); /* CK and IK are in it */
	free(text);
	return hash ? hash : 1;
}

static json_t *offer_json(const struct offer_result *result)
{
	const struct sa_set *set = result->set;
	json_t *json = set_json_brief(set);
	json_t *warnings = json_array();

	if (!json || !warnings) {
		json_decref(json);
		json_decref(warnings);
		return NULL;
	}
	if (result->offered.warning)
		json_array_append_new(warnings, json_string(result->offered.warning));
	json_object_set_new(json, "considered",
			    agreement_considered_json(&result->offered, &result->selection));
	json_object_set_new(json, "nat", json_boolean(result->nat));
	json_object_set_new(json, "security_server", json_string(set->security_server));
	json_object_set_new(json, "start", json_string(choose_start_name(result->start)));
	json_object_set_new(json, "phone", set_json_endpoint(&set->ue_address, &set->ue));
	json_object_set_new(json, "pcscf",
			    set_json_endpoint(&set->listener->address, &set->pcscf));
	json_object_set_new(json, "warnings", warnings);
	return json;
}

int command_sa_offer(struct daemon *d, const json_t *params, json_t **ret,
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
	if (json_array_size(json_object_get(params, "impu")) > SEC_MAX_LINES)
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
	err = answer(offer_json(&result), ret, refusal);
	offer_result_done(&result);
	return err;
}

/* ---- sa.check ---- */

static json_t *check_json(const struct check *check, const struct check_result *result)
{
	json_t *remove = json_array();

	if (check->security_client.count && !result->is_off)
		json_array_append_new(remove, json_string("Security-Client"));
	if (check->security_verify.count && !result->is_off)
		json_array_append_new(remove, json_string("Security-Verify"));
	if (!result->is_protected)
		return json_pack("{s:b, s:s, s:o}", "protected", 0, "integrity_protected", "no",
				 "remove", remove);
	return json_pack("{s:b, s:o, s:s, s:s, s:s, s:o}", "protected", 1, "set",
			 set_json_id(result->set), "state", sa_set_state_name(result->set->state),
			 "impi", result->set->impi, "integrity_protected",
			 result->integrity_protected ? "yes" : "no", "remove", remove);
}

int command_sa_check(struct daemon *d, const json_t *params, json_t **ret,
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
	return answer(check_json(&check, &result), ret, refusal);
}

/* ---- the life of a set ---- */

/* Others that are registered over the set now. Out of memory: they are not listed, no more. */
static void add_identities(struct sa_set *set, const json_t *params)
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

int command_sa_confirm(struct daemon *d, const json_t *params, json_t **ret,
		       struct refusal *refusal)
{
	struct sa_set *set = need_set(d, params, refusal);
	json_t *superseded, *json;
	struct sa_set *other;

	if (!set)
		return -ECANCELED;
	superseded = json_array();
	if (!superseded)
		return answer(NULL, ret, refusal);
	DL_FOREACH2(set->contact->sets, other, contact_next) {
		if (other != set && set->state == SA_SET_TEMPORARY)
			json_array_append_new(superseded, set_json_id(other));
	}
	if (sa_set_confirm(set, param_number(params, "expires"), refusal) < 0) {
		json_decref(superseded);
		return -ECANCELED;
	}
	add_identities(set, params);
	json = state_json(set);
	if (json)
		json_object_set_new(json, "superseded", superseded);
	else
		json_decref(superseded);
	return answer(json, ret, refusal);
}

int command_sa_fail(struct daemon *d, const json_t *params, json_t **ret, struct refusal *refusal)
{
	struct sa_set *set = need_set(d, params, refusal);
	json_t *json;

	if (!set)
		return -ECANCELED;
	if (set->state != SA_SET_TEMPORARY)
		return refuse(refusal, REASON_WRONG_STATE,
			      "the set is %s: a failed authentication leaves it alone (sa.release "
			      "ends it)",
			      sa_set_state_name(set->state));
	json = json_pack("{s:o, s:s}", "set", set_json_id(set), "state", "gone");
	sa_set_drop(set, "failed");
	return answer(json, ret, refusal);
}

int command_sa_extend(struct daemon *d, const json_t *params, json_t **ret,
		      struct refusal *refusal)
{
	struct sa_set *set = need_set(d, params, refusal);

	if (!set || sa_set_extend(set, param_number(params, "expires"), refusal) < 0)
		return -ECANCELED;
	add_identities(set, params);
	return answer(state_json(set), ret, refusal);
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
static bool is_still_used(const struct sa_contact *contact, const json_t *params)
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

static void name_sets(const struct sa_contact *contact, json_t *names)
{
	const struct sa_set *set;

	DL_FOREACH2(contact->sets, set, contact_next)
		json_array_append_new(names, set_json_id(set));
}

/* One of an IMPI's contacts, or all of them when @params name no address. */
static bool is_meant(const struct sa_contact *contact, const json_t *params)
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
static void release_impi(struct daemon *d, const json_t *params, json_t *released)
{
	const struct sa_identity *identity =
		sa_table_identity(d->table, param_text(params, "impi"));
	struct sa_contact *contact = identity ? identity->contacts : NULL, *next;

	for (; contact; contact = next) {
		next = contact->next;
		if (!is_meant(contact, params) || is_still_used(contact, params))
			continue;
		name_sets(contact, released);
		sa_contact_release(contact, param_number(params, "linger"));
	}
}

/* TS 24.229 5.2.5.1 */
static void release_set(struct sa_set *set, const json_t *params, json_t *released)
{
	if (is_still_used(set->contact, params))
		return;
	name_sets(set->contact, released);
	sa_set_release(set, param_number(params, "linger"));
}

int command_sa_release(struct daemon *d, const json_t *params, json_t **ret,
		       struct refusal *refusal)
{
	json_t *released;
	struct sa_set *set = NULL;

	if (param_has(params, "set") == param_has(params, "impi"))
		return refuse(refusal, REASON_UNKNOWN_SET, "give either \"set\" or \"impi\"");
	if (param_has(params, "set")) {
		set = need_set(d, params, refusal);
		if (!set)
			return -ECANCELED;
	}
	released = json_array();
	if (!released)
		return answer(NULL, ret, refusal);
	if (set)
		release_set(set, params, released);
	else
		release_impi(d, params, released);
	return answer(json_pack("{s:o}", "released", released), ret, refusal);
}

/* ---- looking ---- */

static struct sa_set *downlink_of_impi(const struct daemon *d, const json_t *params)
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

static struct sa_set *downlink_at(const struct daemon *d, const json_t *params)
{
	const struct ip_addr ue = param_address(params, "ue");
	const struct sa_contact *contact =
		sa_table_contact_at(d->table, d->config, &ue, param_port(params, "ue_port"));

	return contact ? sa_contact_downlink(contact) : NULL;
}

int command_sa_route(struct daemon *d, const json_t *params, json_t **ret,
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
	return answer(set_json_route(set), ret, refusal);
}

static bool is_listed(const struct sa_set *set, const json_t *params)
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
static const struct sa_set *first_to_list(const struct daemon *d, const json_t *params)
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

static const struct sa_set *next_to_list(const struct sa_set *set, const json_t *params)
{
	if (param_has(params, "impi")) {
		const struct sa_contact *contact = set->contact->next;

		return set->contact_next ? set->contact_next : contact ? contact->sets : NULL;
	}
	return param_has(params, "ue") ? set->peer_next : set->hh.next;
}

static json_t *listed_json(const struct sa_set *set, const json_t *params)
{
	json_t *json = set_json_brief(set);

	if (!json || !param_bool(params, "detail"))
		return json;
	json_object_set_new(json, "impu", set_json_impu(set));
	json_object_set_new(json, "phone", set_json_endpoint(&set->ue_address, &set->ue));
	json_object_set_new(json, "pcscf",
			    set_json_endpoint(&set->listener->address, &set->pcscf));
	return json;
}

int command_sa_list(struct daemon *d, const json_t *params, json_t **ret, struct refusal *refusal)
{
	uint32_t limit = param_has(params, "limit") ? param_number(params, "limit") : LIST_DEFAULT;
	const struct sa_set *set = first_to_list(d, params), *last = NULL;
	json_t *list;

	if (param_has(params, "after")) {
		set = sa_table_by_id(d->table, param_set(params, "after"));
		if (!set)
			return refuse(refusal, REASON_UNKNOWN_SET,
				      "the set of \"after\" is gone: begin again");
		set = next_to_list(set, params);
	}
	list = json_array();
	if (limit > LIST_MAX)
		limit = LIST_MAX;
	for (unsigned looked = 0; set && looked < LIST_LOOKED && json_array_size(list) < limit;
	     looked++) {
		last = set;
		if (is_listed(set, params))
			json_array_append_new(list, listed_json(set, params));
		set = next_to_list(set, params);
	}
	return answer(json_pack("{s:o, s:o, s:I}", "sets", list, "next",
				set && last ? set_json_id(last) : json_null(), "total",
				(json_int_t)HASH_COUNT(d->table->sets)),
		      ret, refusal);
}

int command_sa_show(struct daemon *d, const json_t *params, json_t **ret, struct refusal *refusal)
{
	const struct sa_set *set = need_set(d, params, refusal);

	return set ? answer(set_json_full(set), ret, refusal) : -ECANCELED;
}
