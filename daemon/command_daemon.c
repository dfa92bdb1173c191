/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.*: what this daemon is, does and can.
 */
#include "daemon/command.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static json_t *listener_json(const struct config_listener *l)
{
	char ip[IP_TEXT_BYTES];
	json_t *json;

	json = json_pack("{s:s, s:s, s:i, s:o, s:I, s:s}", "name", l->name, "address",
			 ip_format(&l->address, ip), "server_port", l->server_port, "client_ports",
			 json_sprintf("%u-%u", l->client_port_first, l->client_port_last), "reqid",
			 (json_int_t)l->reqid, "policies",
			 l->policies == CONFIG_POLICIES_SHARED ? "shared" : "per-set");
	if (l->leaving)
		json_object_set_new(json, "leaving", json_true());
	return json;
}

static json_t *sets_json(const struct sa_table *table)
{
	json_t *json = json_object();

	for (unsigned state = 0; state < SA_SET_GONE; state++)
		json_object_set_new(json, sa_set_state_name((enum sa_set_state)state),
				    json_integer((json_int_t)table->count[state]));
	return json;
}

static json_t *refused_json(const struct daemon *d)
{
	json_t *json = json_object();

	for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
		if (d->refused[reason])
			json_object_set_new(json, reason_token((enum reason)reason),
					    json_integer((json_int_t)d->refused[reason]));
	}
	return json;
}

int command_daemon_status(struct daemon *d, const json_t *params, json_t **ret,
			  struct refusal *refusal)
{
	const uint64_t uptime_s = (clock_monotonic_ms() - d->started_ms) / 1000;
	json_t *listeners = json_array();
	uint64_t datagrams, messages;

	(void)params;
	for (size_t i = 0; i < d->config->listener_count; i++)
		json_array_append_new(listeners, listener_json(&d->config->listeners[i]));
	xfrm_sent(d->xfrm, &datagrams, &messages);
	*ret = json_pack("{s:s, s:i, s:I, s:o, s:o, s:{s:I, s:I}, s:o}", "version",
			 SECAGREED_VERSION, "pid", (int)getpid(), "uptime_s", (json_int_t)uptime_s,
			 "sets", sets_json(d->table), "refused", refused_json(d), "netlink",
			 "datagrams", (json_int_t)datagrams, "messages", (json_int_t)messages,
			 "listeners", listeners);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

int command_daemon_audit(struct daemon *d, const json_t *params, json_t **ret,
			 struct refusal *refusal)
{
	struct audit_report r;

	(void)params;
	audit_run(d->audit, &r);
	if (r.error)
		return refuse(refusal, REASON_KERNEL_REFUSED, "the kernel could not be read: %s",
			      strerror(-r.error));
	*ret = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "clean",
			 audit_is_clean(&r), "sets", (json_int_t)r.sets, "lost_sets",
			 (json_int_t)r.lost_sets, "sas", (json_int_t)r.sas, "orphan_sas",
			 (json_int_t)r.orphan_sas, "foreign_sas", (json_int_t)r.foreign_sas,
			 "larval_sas", (json_int_t)r.larval_sas, "orphan_policies",
			 (json_int_t)r.orphan_policies, "restored_policies",
			 (json_int_t)r.restored_policies, "restored_guards",
			 (json_int_t)r.restored_guards, "took_ms", (json_int_t)r.took_ms);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

int command_daemon_reload(struct daemon *d, const json_t *params, json_t **ret,
			  struct refusal *refusal)
{
	(void)params;
	if (!d->reload)
		return refuse(refusal, REASON_INTERNAL, "this daemon has no file to read");
	return d->reload(d->reload_arg, ret, refusal);
}

static json_t *params_json(const struct param *params)
{
	json_t *array = json_array();

	for (; params->name; params++)
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:b, s:s}", "name", params->name, "type",
					 param_type_name(params->type), "required",
					 params->required, "help", params->help));
	return array;
}

int command_daemon_methods(struct daemon *d, const json_t *params, json_t **ret,
			   struct refusal *refusal)
{
	json_t *methods = json_array();

	(void)d;
	(void)params;
	for (const struct command *c = COMMANDS; c->name; c++)
		json_array_append_new(methods,
				      json_pack("{s:s, s:s, s:o}", "name", c->name, "summary",
						c->summary, "params", params_json(c->params)));
	*ret = json_pack("{s:o}", "methods", methods);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

int command_daemon_version(struct daemon *d, const json_t *params, json_t **ret,
			   struct refusal *refusal)
{
	(void)d;
	(void)params;
	*ret = json_pack("{s:s}", "version", SECAGREED_VERSION);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}
