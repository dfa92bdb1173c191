/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl status, stats, methods and version: about the daemon itself.
 *
 * The methods are those of the running daemon, with their params as it checks them, not what this
 * program was built with; "call" can use every one of them.
 */
#include "daemon/ctl/ctl.h"

static const struct ctl_option no_options[] = {{0}};

static const struct human_column param_columns[] = {
	{"name", "name", NULL, HUMAN_PLAIN},
	{"type", "type", NULL, HUMAN_PLAIN},
	{"required", "required", NULL, HUMAN_PLAIN},
	{"help", "help", NULL, HUMAN_PLAIN},
	{0},
};

/* Each method with its params below it. */
static void print_methods(json_t *result)
{
	json_t *method;
	size_t i;

	json_array_foreach (json_object_get(result, "methods"), i, method) {
		const json_t *params = json_object_get(method, "params");

		human_text(stdout, options_text(method, "name"));
		fputs("  ", stdout);
		human_text(stdout, options_text(method, "summary"));
		fputs("\n", stdout);
		if (json_array_size(params))
			human_table(stdout, params, param_columns, 4);
	}
}

static const struct human_column request_columns[] = {
	{"method", "method", NULL, HUMAN_PLAIN},
	{"done", "done", NULL, HUMAN_PLAIN},
	{"bad_params", "bad_params", NULL, HUMAN_PLAIN},
	{"refused", "refused", NULL, HUMAN_PLAIN},
	{0},
};

/* The requests, each with its method, as a table; all else as it comes. */
static void print_stats(json_t *result)
{
	json_t *requests = json_object_get(result, "requests"), *rows = json_array();
	const char *method;
	json_t *request;

	human_block(stdout, result, "requests");
	json_object_foreach (requests, method, request) {
		json_object_set_new(request, "method", json_string(method));
		json_array_append(rows, request);
	}
	fputs("requests:\n", stdout);
	human_table(stdout, rows, request_columns, 2);
	json_decref(rows);
}

const struct ctl_command ctl_status = {
	.name = "status",
	.run = rpc_run,
	.help = "how the daemon does: sets, listeners, netlink",
	.method = "daemon.status",
	.options = no_options,
	.forms = CTL_HAS_TSV,
};

const struct ctl_command ctl_stats = {
	.name = "stats",
	.run = rpc_run,
	.help = "how much the daemon has done since its start",
	.method = "daemon.stats",
	.options = no_options,
	.forms = CTL_HAS_TSV,
	.print = print_stats,
};

const struct ctl_command ctl_methods = {
	.name = "methods",
	.run = rpc_run,
	.help = "the methods that the daemon knows",
	.method = "daemon.methods",
	.options = no_options,
	.print = print_methods,
};

const struct ctl_command ctl_version = {
	.name = "version",
	.run = rpc_run,
	.help = "the daemon's version (--version: this program's)",
	.method = "daemon.version",
	.options = no_options,
	.forms = CTL_HAS_TSV,
};
