/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.*: what this daemon is, does and can.
 */
#include "daemon/command.h"
#include "daemon/event.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
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

static json_t *door_json(enum conn_door door, const struct conn_count *count)
{
	json_t *json = json_pack("{s:s, s:I, s:I, s:I}", "door", conn_door_word(door), "open",
				 (json_int_t)conn_count_open(count), "opened",
				 (json_int_t)count->opened, "full", (json_int_t)count->full);

	for (unsigned end = 0; end < CONN_ENDS; end++)
		json_object_set_new(json, conn_end_word((enum conn_end)end),
				    json_integer((json_int_t)count->ended[end]));
	return json;
}

static json_t *connections_json(const struct daemon *d)
{
	json_t *json = json_array();

	for (unsigned door = 0; door < CONN_DOORS; door++)
		json_array_append_new(json, door_json((enum conn_door)door, &d->conns[door]));
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
	*ret = json_pack("{s:s, s:i, s:I, s:o, s:o, s:o, s:{s:I, s:I}, s:o}", "version",
			 SECAGREED_VERSION, "pid", (int)getpid(), "uptime_s", (json_int_t)uptime_s,
			 "sets", sets_json(d->table), "refused", refused_json(d), "connections",
			 connections_json(d), "netlink", "datagrams", (json_int_t)datagrams,
			 "messages", (json_int_t)messages, "listeners", listeners);
	return *ret ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

/* What becomes of authentications and registrations, from the changes of state. */
static json_t *registrations_json(const struct sa_table *table)
{
	uint64_t confirmed = 0, ended = 0;

	for (unsigned state = SA_SET_NEW; state < SA_SET_GONE; state++) {
		confirmed += table->changes[SA_SET_TEMPORARY][state];
		ended += table->changes[state][SA_SET_GONE];
	}
	return json_pack("{s:I, s:I, s:I, s:I}", "begun", (json_int_t)event_total(EVENT_SET_MADE),
			 "confirmed", (json_int_t)confirmed, "failed",
			 (json_int_t)table->changes[SA_SET_TEMPORARY][SA_SET_GONE], "ended",
			 (json_int_t)ended);
}

static json_t *requests_json(const struct daemon *d)
{
	json_t *json = json_object();

	for (size_t i = 0; COMMANDS[i].name; i++) {
		const uint64_t *calls = d->calls[i];

		if (calls[CALL_DONE] || calls[CALL_BAD_PARAMS] || calls[CALL_REFUSED])
			json_object_set_new(
				json, COMMANDS[i].name,
				json_pack("{s:I, s:I, s:I}", "done", (json_int_t)calls[CALL_DONE],
					  "bad_params", (json_int_t)calls[CALL_BAD_PARAMS],
					  "refused", (json_int_t)calls[CALL_REFUSED]));
	}
	return json;
}

/* What calls for somebody: events of level warning and error. */
static json_t *alarms_json(void)
{
	json_t *json = json_object();

	for (unsigned name = 0; name < EVENT_COUNT; name++) {
		const uint64_t total = event_total((enum event_name)name);

		if (total && event_severity((enum event_name)name) <= LOG_WARNING)
			json_object_set_new(json, event_word((enum event_name)name),
					    json_integer((json_int_t)total));
	}
	return json;
}

/* Nothing in it grows with the number of sets, nor does the work. */
int command_daemon_stats(struct daemon *d, const json_t *params, json_t **ret,
			 struct refusal *refusal)
{
	const uint64_t uptime_ms = clock_monotonic_ms() - d->started_ms;
	struct timespec cpu = { 0 };
	uint64_t datagrams, messages;

	(void)params;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	xfrm_sent(d->xfrm, &datagrams, &messages);
	*ret = json_pack("{s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:{s:I, s:I}}", "uptime_ms",
			 (json_int_t)uptime_ms, "cpu_ms",
			 (json_int_t)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000, "sets",
			 sets_json(d->table), "max_sets", (json_int_t)d->config->max_sets,
			 "registrations", registrations_json(d->table), "requests",
			 requests_json(d), "refused", refused_json(d), "alarms", alarms_json(),
			 "netlink", "datagrams", (json_int_t)datagrams, "messages",
			 (json_int_t)messages);
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
	*ret = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "clean",
			 audit_is_clean(&r), "sets", (json_int_t)r.sets, "lost_sets",
			 (json_int_t)r.lost_sets, "sas", (json_int_t)r.sas, "orphan_sas",
			 (json_int_t)r.orphan_sas, "foreign_sas", (json_int_t)r.foreign_sas,
			 "larval_sas", (json_int_t)r.larval_sas, "orphan_policies",
			 (json_int_t)r.orphan_policies, "restored_limits",
			 (json_int_t)r.restored_limits, "restored_policies",
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
