/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl list: all sets, or those that match.
 *
 * The daemon answers in pages; without --limit the pages are asked for on one connection until
 * there are no more, and shown as one list. Sets come and go meanwhile: the list is no snapshot,
 * and a page whose first set has gone is an error that says so.
 */
#include "daemon/ctl/ctl.h"

static const struct human_column columns[] = {
	{"SET", "set", NULL, HUMAN_PLAIN},
	{"STATE", "state", NULL, HUMAN_PLAIN},
	{"IMPI", "impi", NULL, HUMAN_PLAIN},
	{"UE", "ue", NULL, HUMAN_PLAIN},
	{"LISTENER", "listener", NULL, HUMAN_PLAIN},
	{"ALG", "chosen.alg", NULL, HUMAN_PLAIN},
	{"EALG", "chosen.ealg", NULL, HUMAN_PLAIN},
	{"PROT", "chosen.prot", NULL, HUMAN_PLAIN},
	{"MOD", "chosen.mod", NULL, HUMAN_PLAIN},
	{"LEFT", "expires_in", NULL, HUMAN_SECONDS},
	{0},
};

/* Append @page's sets to @all's and take over its "next" and "total". */
static int merge_page(json_t *all, const json_t *page)
{
	if (json_array_extend(json_object_get(all, "sets"), json_object_get(page, "sets")) < 0 ||
	    json_object_set(all, "next", json_object_get(page, "next")) < 0 ||
	    json_object_set(all, "total", json_object_get(page, "total")) < 0) {
		fputs("secagreectl: the list is not what was expected, or out of memory\n", stderr);
		return CTL_REFUSED;
	}
	return CTL_YES;
}

/* @params is borrowed. */
static int read_pages(const struct ctl *ctl, struct client *client, const char *method,
		      json_t *params, json_t *all)
{
	bool more = !json_object_get(params, "limit");
	json_t *page, *next;
	int status;

	do {
		status = rpc_call_on(ctl, client, method, json_deep_copy(params), &page);
		if (status != CTL_YES)
			return status;
		status = merge_page(all, page);
		more = more && json_array_size(json_object_get(page, "sets"));
		json_decref(page);
		next = json_object_get(all, "next");
		if (status == CTL_YES && json_object_set(params, "after", next) < 0)
			status = CTL_REFUSED;
	} while (more && status == CTL_YES && json_is_string(next));
	return status;
}

static void print_list(const json_t *all)
{
	const json_t *sets = json_object_get(all, "sets");

	human_table(stdout, sets, columns, 0);
	if (json_is_string(json_object_get(all, "next")))
		printf("%zu of %lld; the others: --after %s\n", json_array_size(sets),
		       (long long)json_integer_value(json_object_get(all, "total")),
		       json_string_value(json_object_get(all, "next")));
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	json_t *params = options_params(command->options, args);
	json_t *all = json_pack("{s:[], s:n, s:i}", "sets", "next", "total", 0);
	struct client client;
	int status = rpc_open(ctl, &client);

	if (status == CTL_YES) {
		status = read_pages(ctl, &client, command->method, params, all);
		client_close(&client);
	}
	json_decref(params);
	if (status == CTL_YES && ctl->json)
		return output_json(all, CTL_YES);
	if (status == CTL_YES)
		print_list(all);
	json_decref(all);
	return status;
}

static const struct ctl_option options[] = {
	{"impi", CTL_TEXT, 0, "IMPI", "only this subscriber's"},
	{"ue", CTL_TEXT, 0, "ADDRESS", "only this phone's"},
	{"state", CTL_TEXT, 0, "STATE", "temporary, new, current or old"},
	{"listener", CTL_TEXT, 0, "NAME", "only this listener's"},
	{"after", CTL_TEXT, 0, "SET", "begin behind this set"},
	{"limit", CTL_NUMBER, 0, "N", "at most so many"},
	{0},
};

const struct ctl_command ctl_list = {
	.name = "list",
	.run = run,
	.help = "the sets",
	.method = "sa.list",
	.options = options,
};
