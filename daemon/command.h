/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The methods of the control protocol. They know JSON and the sets, nothing of sockets and framing.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include <sys/socket.h>

#include "daemon/audit.h"
#include "daemon/conn_count.h"
#include "daemon/params.h"
#include "daemon/sa_table.h"

struct sip_flow;
struct subscriber;

/* How a call ended, for the counters. */
enum call_result {
	CALL_DONE,
	CALL_BAD_PARAMS,
	CALL_REFUSED,
	CALL_RESULTS,
};

/* What is no call at all, for the counters. */
enum call_fault {
	CALL_NO_JSON,    /* brackets, and no JSON in them */
	CALL_NO_REQUEST, /* JSON, but no request, or a batch without measure */
	CALL_NO_METHOD,  /* of a method that there is not */
	CALL_FAULTS,
};

#define COMMAND_MAX 64

struct daemon {
	const struct config *config;
	struct xfrm *xfrm;
	struct sa_table *table;
	struct audit *audit;
	int (*reload)(void *arg, struct json_out *out, struct refusal *refusal); /* or NULL */
	void *reload_arg;
	struct sip_flow *sip; /* made by the first sip.*; sip_flow_free() */
	uint64_t started_ms;
	uint64_t refused[REASON_COUNT];
	uint64_t calls[COMMAND_MAX][CALL_RESULTS]; /* by row of COMMANDS */
	uint64_t faults[CALL_FAULTS];
	struct conn_count conns[CONN_DOORS];
	struct histogram took[COMMAND_MAX];        /* likewise */
	bool caller_reads; /* during a call: it came in by the monitor socket */
	const struct ucred *peer; /* during a call: who asks; NULL = by RESP2 or HTTP */
	struct subscriber *caller; /* during a call: who asks; NULL = can be sent no events */
};

/* @params: an object that params_check() has passed. Writes its result, one value, and returns 0;
 * or -ECANCELED (see @refusal), and what it wrote is taken back. Memory that is short is noted by
 * @out. */
typedef int command_fn(struct daemon *d, const struct json_node *params, struct json_out *out,
		       struct refusal *refusal);

/* Who may call it. */
enum command_right {
	COMMAND_READS,   /* changes nothing: the monitor socket too */
	COMMAND_CHANGES, /* something, or tells keys: the control sockets alone */
};

struct command {
	const char *name;
	const char *summary;
	command_fn *run;
	enum command_right right;
	struct param params[PARAM_MAX];
};

/* All of them, ended by a NULL name. */
extern const struct command COMMANDS[];

const struct command *command_find(const char *name);

command_fn command_sa_offer, command_sa_check, command_sa_confirm, command_sa_fail,
	command_sa_extend, command_sa_release, command_sa_route, command_sa_list, command_sa_show,
	command_sa_export_keys;
command_fn command_sip_request, command_sip_response;
command_fn command_agreement_parse, command_agreement_select, command_agreement_compare,
	command_agreement_decide;
command_fn command_phone_explain;
command_fn command_event_subscribe, command_event_list;
command_fn command_daemon_status, command_daemon_stats, command_daemon_audit, command_daemon_methods,
	command_daemon_version, command_daemon_reload;

/* A SIP message in @params, as "message" or, with a copy, as "message_base64". */
struct command_message {
	struct span text;
	char *copy; /* NULL: it was no base64 */
};

/* Just one of the two must be there. Returns 0, and command_message_done() is due, or -ECANCELED. */
int command_message(const struct json_node *params, struct command_message *ret,
		    struct refusal *refusal);
void command_message_done(struct command_message *message);

/* The listener that @params name by "listener", or by "pcscf" when it has only one there.
 * NULL: see @refusal. */
const struct config_listener *
command_listener(const struct daemon *d, const struct json_node *params, struct refusal *refusal);

#endif
