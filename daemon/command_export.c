/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.export_keys: for people who decode a capture of their own network.
 *
 * The daemon has no keys. It reads them back from the kernel, SA by SA, while it makes the answer,
 * and every copy is wiped: here on the stack, in the text of the answer and in libevent by what
 * frees there (json.h, wipe.h). Only JSON on the control socket gets them, because the other
 * framings build their answers in memory that is not wiped. Who has had whose keys is an event;
 * keys are in none.
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

static bool is_wanted(const struct sa_set *set, const struct json_node *params)
{
	const char *impi = param_text(params, "impi");
	const struct ip_addr ue = param_address(params, "ue");

	return (!param_has(params, "set") || set->id == param_set(params, "set")) &&
	       (!impi || !strcmp(impi, set->impi)) &&
	       (ue.family == AF_UNSPEC || ip_equal(&ue, &set->ue_address));
}

/* From @set on; NULL: there are no more. */
static const struct sa_set *next_wanted(const struct sa_set *set, const struct json_node *params)
{
	while (set && !is_wanted(set, params))
		set = set->hh.next;
	return set;
}

#define EACH_WANTED(set, d, params)                                                                \
	for (set = next_wanted((d)->table->sets, params); set;                                     \
	     set = next_wanted(set->hh.next, params))

static int check_count(const struct daemon *d, const struct json_node *params,
		       struct refusal *refusal)
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

static void add_key(struct json_out *out, const char *name, const struct xfrm_key *key)
{
	const struct xfrm_algo_info *info = xfrm_algo_info(key->algo);
	char hex[2 * XFRM_MAX_KEY_BYTES + 1];

	if (key->algo == XFRM_ALGO_NONE) {
		json_add_null(out, name);
		return;
	}
	text_to_hex(key->bytes, info->key_bytes, hex);
	json_name(out, name);
	json_open(out, '{');
	json_add_text(out, "algorithm", info->name);
	json_add_text(out, "key", hex);
	if (info->icv_bits)
		json_add_number(out, "icv_bits", info->icv_bits);
	json_close(out, '}');
	explicit_bzero(hex, sizeof(hex));
}

static void add_wireshark(struct json_out *out, const struct xfrm_sa *sa,
			  const struct xfrm_sa_keys *keys)
{
	char line[WIRESHARK_LINE_BYTES];
	const char *why;

	if (wireshark_esp_sa(sa, keys, line, &why) < 0) {
		json_add_text(out, "no_esp_sa", why);
		return;
	}
	json_add_text(out, "esp_sa", line);
	explicit_bzero(line, sizeof(line));
}

static void add_keys(struct json_out *out, const struct xfrm_sa *sa,
		     const struct xfrm_sa_keys *keys)
{
	add_key(out, "encryption", &keys->enc);
	add_key(out, "authentication", &keys->auth);
	add_wireshark(out, sa, keys);
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
static int export_sa(struct json_out *out, const struct sa_set *set, const struct xfrm_sa *sa,
		     struct refusal *refusal)
{
	struct xfrm_sa_keys keys;
	int err = xfrm_get_sa_keys(set->table->xfrm, &sa->id, set->reqid, &keys);

	if (err && err != -ESRCH)
		return refuse_keys(sa, err, refusal);
	json_open(out, '{');
	set_json_sa(out, set, sa);
	if (err)
		json_add_bool(out, "lost", true);
	else
		add_keys(out, sa, &keys);
	json_close(out, '}');
	if (!err)
		explicit_bzero(&keys, sizeof(keys));
	return 0;
}

/* ---- all of them ---- */

static int export_set(struct json_out *out, const struct sa_set *set, struct refusal *refusal)
{
	struct plan plan;
	int err = 0;

	json_open(out, '{');
	json_name(out, "set");
	set_json_id(out, set);
	json_add_text(out, "state", sa_set_state_name(set->state));
	json_add_text(out, "impi", set->impi);
	json_name(out, "sas");
	json_open(out, '[');
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count && !err; i++)
		err = export_sa(out, set, &plan.sas[i], refusal);
	json_close(out, ']');
	json_close(out, '}');
	return err;
}

static void tell(const struct daemon *d, const struct json_node *params)
{
	const struct sa_set *set;

	EACH_WANTED(set, d, params)
		event_emit(EVENT_KEYS_EXPORTED, event_set(set->id), event_text("impi", set->impi),
			   event_number("uid", d->peer->uid),
			   event_number("pid", (uint64_t)d->peer->pid));
}

int command_sa_export_keys(struct daemon *d, const struct json_node *params, struct json_out *out,
			   struct refusal *refusal)
{
	const struct sa_set *set;
	int err = may_export(d, refusal);

	if (!err)
		err = check_count(d, params, refusal);
	if (err)
		return err;
	json_open(out, '{');
	json_name(out, "sets");
	json_open(out, '[');
	EACH_WANTED(set, d, params)
	err = err ? err : export_set(out, set, refusal);
	json_close(out, ']');
	json_close(out, '}');
	if (!err && !out->err)
		tell(d, params);
	return err;
}
