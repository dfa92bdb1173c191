/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.*: what this daemon is, does and can.
 */
#include "daemon/command.h"
#include "daemon/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static void put_listener(struct json_out *out, const struct config_listener *l)
{
	char ip[IP_TEXT_BYTES], ports[16];

	snprintf(ports, sizeof(ports), "%u-%u", l->client_port_first, l->client_port_last);
	json_open(out, '{');
	json_add_text(out, "name", l->name);
	json_add_text(out, "address", ip_format(&l->address, ip));
	json_add_number(out, "server_port", l->server_port);
	json_add_text(out, "client_ports", ports);
	json_add_number(out, "reqid", l->reqid);
	json_add_number(out, "priority", l->priority);
	json_add_text(out, "policies",
		      l->policies == CONFIG_POLICIES_SHARED ? "shared" : "per-set");
	if (l->leaving)
		json_add_bool(out, "leaving", true);
	json_close(out, '}');
}

static void put_sets(struct json_out *out, const struct sa_table *table)
{
	json_open(out, '{');
	for (unsigned state = 0; state < SA_SET_GONE; state++)
		json_add_number(out, sa_set_state_name((enum sa_set_state)state),
				table->count[state]);
	json_close(out, '}');
}

static void put_refused(struct json_out *out, const struct daemon *d)
{
	json_open(out, '{');
	for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
		if (d->refused[reason])
			json_add_number(out, reason_token((enum reason)reason), d->refused[reason]);
	}
	json_close(out, '}');
}

static void put_door(struct json_out *out, enum conn_door door, const struct conn_count *count)
{
	json_open(out, '{');
	json_add_text(out, "door", conn_door_word(door));
	json_add_number(out, "open", conn_count_open(count));
	json_add_number(out, "opened", count->opened);
	json_add_number(out, "full", count->full);
	for (unsigned end = 0; end < CONN_ENDS; end++)
		json_add_number(out, conn_end_word((enum conn_end)end), count->ended[end]);
	json_close(out, '}');
}

static void put_connections(struct json_out *out, const struct daemon *d)
{
	json_open(out, '[');
	for (unsigned door = 0; door < CONN_DOORS; door++)
		put_door(out, (enum conn_door)door, &d->conns[door]);
	json_close(out, ']');
}

static void put_netlink(struct json_out *out, const struct xfrm *xfrm)
{
	uint64_t datagrams, messages;

	xfrm_sent(xfrm, &datagrams, &messages);
	json_open(out, '{');
	json_add_number(out, "datagrams", datagrams);
	json_add_number(out, "messages", messages);
	json_close(out, '}');
}

int command_daemon_status(struct daemon *d, const struct json_node *params, struct json_out *out,
			  struct refusal *refusal)
{
	(void)params;
	(void)refusal;
	json_open(out, '{');
	json_add_text(out, "version", SECAGREED_VERSION);
	json_add_number(out, "pid", (uint64_t)getpid());
	json_add_number(out, "uptime_s", (clock_monotonic_ms() - d->started_ms) / 1000);
	json_name(out, "sets");
	put_sets(out, d->table);
	json_name(out, "refused");
	put_refused(out, d);
	json_name(out, "connections");
	put_connections(out, d);
	json_name(out, "netlink");
	put_netlink(out, d->xfrm);
	json_name(out, "listeners");
	json_open(out, '[');
	for (size_t i = 0; i < d->config->listener_count; i++)
		put_listener(out, &d->config->listeners[i]);
	json_close(out, ']');
	json_close(out, '}');
	return 0;
}

/* What becomes of authentications and registrations, from the changes of state. */
static void put_registrations(struct json_out *out, const struct sa_table *table)
{
	uint64_t confirmed = 0, ended = 0;

	for (unsigned state = SA_SET_NEW; state < SA_SET_GONE; state++) {
		confirmed += table->changes[SA_SET_TEMPORARY][state];
		ended += table->changes[state][SA_SET_GONE];
	}
	json_open(out, '{');
	json_add_number(out, "begun", event_total(EVENT_SET_MADE));
	json_add_number(out, "confirmed", confirmed);
	json_add_number(out, "failed", table->changes[SA_SET_TEMPORARY][SA_SET_GONE]);
	json_add_number(out, "ended", ended);
	json_close(out, '}');
}

static void put_requests(struct json_out *out, const struct daemon *d)
{
	json_open(out, '{');
	for (size_t i = 0; COMMANDS[i].name; i++) {
		const uint64_t *calls = d->calls[i];

		if (!calls[CALL_DONE] && !calls[CALL_BAD_PARAMS] && !calls[CALL_REFUSED])
			continue;
		json_name(out, COMMANDS[i].name);
		json_open(out, '{');
		json_add_number(out, "done", calls[CALL_DONE]);
		json_add_number(out, "bad_params", calls[CALL_BAD_PARAMS]);
		json_add_number(out, "refused", calls[CALL_REFUSED]);
		json_close(out, '}');
	}
	json_close(out, '}');
}

/* What calls for somebody: events of level warning and error. */
static void put_alarms(struct json_out *out)
{
	json_open(out, '{');
	for (unsigned name = 0; name < EVENT_COUNT; name++) {
		const uint64_t total = event_total((enum event_name)name);

		if (total && event_severity((enum event_name)name) <= LOG_WARNING)
			json_add_number(out, event_word((enum event_name)name), total);
	}
	json_close(out, '}');
}

static uint64_t cpu_ms(void)
{
	struct timespec cpu = { 0 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return (uint64_t)cpu.tv_sec * 1000 + (uint64_t)cpu.tv_nsec / 1000000;
}

/* Nothing in it grows with the number of sets, nor does the work. */
int command_daemon_stats(struct daemon *d, const struct json_node *params, struct json_out *out,
			 struct refusal *refusal)
{
	(void)params;
	(void)refusal;
	json_open(out, '{');
	json_add_number(out, "uptime_ms", clock_monotonic_ms() - d->started_ms);
	json_add_number(out, "cpu_ms", cpu_ms());
	json_name(out, "sets");
	put_sets(out, d->table);
	json_add_number(out, "max_sets", d->config->max_sets);
	json_name(out, "registrations");
	put_registrations(out, d->table);
	json_name(out, "requests");
	put_requests(out, d);
	json_name(out, "refused");
	put_refused(out, d);
	json_name(out, "alarms");
	put_alarms(out);
	json_name(out, "netlink");
	put_netlink(out, d->xfrm);
	json_close(out, '}');
	return 0;
}

int command_daemon_audit(struct daemon *d, const struct json_node *params, struct json_out *out,
			 struct refusal *refusal)
{
	struct audit_report r;

	(void)params;
	audit_run(d->audit, &r);
	if (r.error)
		return refuse(refusal, REASON_KERNEL_REFUSED, "the kernel could not be read: %s",
			      strerror(-r.error));
	json_open(out, '{');
	json_add_bool(out, "clean", audit_is_clean(&r));
	json_add_number(out, "sets", r.sets);
	json_add_number(out, "lost_sets", r.lost_sets);
	json_add_number(out, "sas", r.sas);
	json_add_number(out, "orphan_sas", r.orphan_sas);
	json_add_number(out, "foreign_sas", r.foreign_sas);
	json_add_number(out, "larval_sas", r.larval_sas);
	json_add_number(out, "orphan_policies", r.orphan_policies);
	json_add_number(out, "restored_limits", r.restored_limits);
	json_add_number(out, "restored_policies", r.restored_policies);
	json_add_number(out, "restored_guards", r.restored_guards);
	json_add_number(out, "took_ms", r.took_ms);
	json_close(out, '}');
	return 0;
}

int command_daemon_reload(struct daemon *d, const struct json_node *params, struct json_out *out,
			  struct refusal *refusal)
{
	(void)params;
	if (!d->reload)
		return refuse(refusal, REASON_INTERNAL, "this daemon has no file to read");
	return d->reload(d->reload_arg, out, refusal);
}

static void put_params(struct json_out *out, const struct param *params)
{
	json_open(out, '[');
	for (; params->name; params++) {
		json_open(out, '{');
		json_add_text(out, "name", params->name);
		json_add_text(out, "type", param_type_name(params->type));
		json_add_bool(out, "required", params->required);
		json_add_text(out, "help", params->help);
		json_close(out, '}');
	}
	json_close(out, ']');
}

int command_daemon_methods(struct daemon *d, const struct json_node *params, struct json_out *out,
			   struct refusal *refusal)
{
	(void)d;
	(void)params;
	(void)refusal;
	json_open(out, '{');
	json_name(out, "methods");
	json_open(out, '[');
	for (const struct command *c = COMMANDS; c->name; c++) {
		json_open(out, '{');
		json_add_text(out, "name", c->name);
		json_add_text(out, "summary", c->summary);
		json_name(out, "params");
		put_params(out, c->params);
		json_close(out, '}');
	}
	json_close(out, ']');
	json_close(out, '}');
	return 0;
}

int command_daemon_version(struct daemon *d, const struct json_node *params, struct json_out *out,
			   struct refusal *refusal)
{
	(void)d;
	(void)params;
	(void)refusal;
	json_open(out, '{');
	json_add_text(out, "version", SECAGREED_VERSION);
	json_close(out, '}');
	return 0;
}
