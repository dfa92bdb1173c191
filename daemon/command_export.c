/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.export_keys: for people who decode a capture of their own network.
 *
 * The daemon has no keys. It reads them back from the kernel, SA by SA, while it makes the answer,
 * and every copy is wiped: here on the stack, and in JSON and libevent by what frees there
 * (wipe.h). Only JSON on the control socket gets them, because the other framings build their
 * answers in memory that is not wiped. Who has had whose keys is an event; keys are in none.
 */
#include "daemon/command.h"
#include "daemon/event.h"
#include "daemon/set_json.h"
#include "daemon/wireshark.h"
#include "proto/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXPORT_MAX_SETS 256 /* in one answer */

static int out_of_memory(struct refusal *refusal)
{
	return refuse(refusal, REASON_INTERNAL, "out of memory");
}

static int may_export(const struct daemon *d, struct refusal *refusal)
{
	if (!d->config->allow_key_export)
		return refuse(refusal, REASON_DENIED,
			      "the configuration does not allow it (allow-key-export)");
	if (!d->peer)
		return refuse(refusal, REASON_DENIED,
			      "keys are given to JSON on the control socket alone");
	if (d->peer->uid != 0)
		return refuse(refusal, REASON_DENIED,
			      "keys are given to root alone; who asks here has the uid %lu",
			      (unsigned long)d->peer->uid);
	return 0;
}

/* ---- which sets ---- */

static bool is_wanted(const struct sa_set *set, const json_t *params)
{
	const char *impi = param_text(params, "impi");
	const struct ip_addr ue = param_address(params, "ue");

	return (!param_has(params, "set") || set->id == param_set(params, "set")) &&
	       (!impi || !strcmp(impi, set->impi)) &&
	       (ue.family == AF_UNSPEC || ip_equal(&ue, &set->ue_address));
}

/* From @set on; NULL: there are no more. */
static const struct sa_set *next_wanted(const struct sa_set *set, const json_t *params)
{
	while (set && !is_wanted(set, params))
		set = set->hh.next;
	return set;
}

#define EACH_WANTED(set, d, params)                                                                \
	for (set = next_wanted((d)->table->sets, params); set;                                     \
	     set = next_wanted(set->hh.next, params))

static int check_count(const struct daemon *d, const json_t *params, struct refusal *refusal)
{
	const struct sa_set *set;
	size_t count = 0;

	EACH_WANTED(set, d, params)
		count++;
	if (!count)
		return refuse(refusal, REASON_UNKNOWN_SET, "there is no such set (any more)");
	if (count > EXPORT_MAX_SETS)
		return refuse(refusal, REASON_LIMIT,
			      "%zu sets are more than %d: say which by \"set\", \"impi\" or \"ue\"",
			      count, EXPORT_MAX_SETS);
	return 0;
}

/* ---- one SA ---- */

static json_t *key_json(const struct xfrm_key *key)
{
	const struct xfrm_algo_info *info = xfrm_algo_info(key->algo);
	char hex[2 * XFRM_MAX_KEY_BYTES + 1];
	json_t *json;

	if (key->algo == XFRM_ALGO_NONE)
		return json_null();
	text_to_hex(key->bytes, info->key_bytes, hex);
	json = json_pack("{s:s, s:s, s:i}", "algorithm", info->name, "key", hex, "icv_bits",
			 (int)info->icv_bits);
	explicit_bzero(hex, sizeof(hex));
	if (!info->icv_bits)
		json_object_del(json, "icv_bits");
	return json;
}

static int add_wireshark(json_t *json, const struct xfrm_sa *sa, const struct xfrm_sa_keys *keys)
{
	char line[WIRESHARK_LINE_BYTES];
	const char *why;
	int err;

	if (wireshark_esp_sa(sa, keys, line, &why) < 0)
		return json_object_set_new(json, "no_esp_sa", json_string(why));
	err = json_object_set_new(json, "esp_sa", json_string(line));
	explicit_bzero(line, sizeof(line));
	return err;
}

static int add_keys(json_t *json, const struct xfrm_sa *sa, const struct xfrm_sa_keys *keys)
{
	if (json_object_set_new(json, "encryption", key_json(&keys->enc)) < 0 ||
	    json_object_set_new(json, "authentication", key_json(&keys->auth)) < 0)
		return -ENOMEM;
	return add_wireshark(json, sa, keys);
}

static int refuse_keys(const struct xfrm_sa *sa, int error, struct refusal *refusal)
{
	struct xfrm_error kernel = { .error = error };

	xfrm_sa_id_format(&sa->id, kernel.object, sizeof(kernel.object));
	refuse_kernel(refusal, "reading the keys", &kernel);
	if (error == -EACCES)
		snprintf(refusal->text, sizeof(refusal->text),
			 "reading the keys: the kernel is locked down and gives zeros instead "
			 "(kernel_lockdown(7))");
	return -ECANCELED;
}

/* An SA that the kernel has lost has no keys; any other failure is the whole answer's. */
static int export_sa(const struct sa_set *set, const struct xfrm_sa *sa, json_t *json,
		     struct refusal *refusal)
{
	struct xfrm_sa_keys keys;
	int err = xfrm_get_sa_keys(set->table->xfrm, &sa->id, set->reqid, &keys);

	if (err && err != -ESRCH)
		return refuse_keys(sa, err, refusal);
	if (err)
		return json_object_set_new(json, "lost", json_true());
	err = add_keys(json, sa, &keys);
	explicit_bzero(&keys, sizeof(keys));
	return err ? out_of_memory(refusal) : 0;
}

/* ---- all of them ---- */

/* Appends to @sas. */
static int export_sas(const struct sa_set *set, json_t *sas, struct refusal *refusal)
{
	struct plan plan;
	int err = 0;

	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count && !err; i++) {
		json_t *json = set_json_sa(set, &plan.sas[i]);

		if (json_array_append_new(sas, json) < 0)
			return out_of_memory(refusal);
		err = export_sa(set, &plan.sas[i], json, refusal);
	}
	return err;
}

static json_t *set_with(const struct sa_set *set, json_t *sas)
{
	return json_pack("{s:o, s:s, s:s, s:O}", "set", set_json_id(set), "state",
			 sa_set_state_name(set->state), "impi", set->impi, "sas", sas);
}

static int export_set(const struct sa_set *set, json_t *sets, struct refusal *refusal)
{
	json_t *sas = json_array();
	int err = sas ? export_sas(set, sas, refusal) : out_of_memory(refusal);

	if (!err && json_array_append_new(sets, set_with(set, sas)) < 0)
		err = out_of_memory(refusal);
	json_decref(sas);
	return err;
}

static void tell(const struct daemon *d, const json_t *params)
{
	const struct sa_set *set;

	EACH_WANTED(set, d, params)
		event_emit(EVENT_KEYS_EXPORTED, event_set(set->id), event_text("impi", set->impi),
			   event_number("uid", d->peer->uid),
			   event_number("pid", (uint64_t)d->peer->pid));
}

int command_sa_export_keys(struct daemon *d, const json_t *params, json_t **ret,
			   struct refusal *refusal)
{
	const struct sa_set *set;
	json_t *sets;
	int err = may_export(d, refusal);

	if (!err)
		err = check_count(d, params, refusal);
	if (err)
		return err;
	sets = json_array();
	EACH_WANTED(set, d, params)
		err = err ? err : export_set(set, sets, refusal);
	if (err) {
		json_decref(sets);
		return err;
	}
	*ret = json_pack("{s:o}", "sets", sets);
	if (!*ret)
		return out_of_memory(refusal);
	tell(d, params);
	return 0;
}
