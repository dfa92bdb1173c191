/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl list: all sets, or those that match.
 *
 * The daemon answers in pages; without --limit the pages are asked for on one connection until
 * there are no more, and shown as one list. Sets come and go meanwhile: the list is no snapshot,
 * and a page whose first set has gone is an error that says so.
 */
#include "daemon/ctl/ctl.h"

/* The other table has more behind them. */
#define NARROW_COLUMNS \
	{"SET", "set", NULL, HUMAN_PLAIN}, \
	{"STATE", "state", NULL, HUMAN_WORD}, \
	{"IMPI", "impi", NULL, HUMAN_PLAIN}, \
	{"UE", "ue", NULL, HUMAN_PLAIN}, \
	{"LISTENER", "listener", NULL, HUMAN_PLAIN}, \
	{"ALG", "chosen.alg", NULL, HUMAN_PLAIN}, \
	{"EALG", "chosen.ealg", NULL, HUMAN_PLAIN}, \
	{"PROT", "chosen.prot", NULL, HUMAN_PLAIN}, \
	{"MOD", "chosen.mod", NULL, HUMAN_PLAIN}, \
	{"LEFT", "expires_in", NULL, HUMAN_SECONDS}

static const struct human_column columns[] = {
	NARROW_COLUMNS,
	{0},
};

/* Names of ports and SPIs as in TS 33.203 7.1; or those of RFC 3329 Appendix A. */
static const struct human_column wide_columns[] = {
	NARROW_COLUMNS,
	{"DIALECT", "dialect", NULL, HUMAN_PLAIN},
	{"PORT_UC", "phone.port_c", "phone.port2", HUMAN_PLAIN},
	{"PORT_US", "phone.port_s", "phone.port1", HUMAN_PLAIN},
	{"PORT_PC", "pcscf.port_c", "pcscf.port1", HUMAN_PLAIN},
	{"SPI_UC", "phone.spi_c", "phone.spi", HUMAN_PLAIN},
	{"SPI_US", "phone.spi_s", NULL, HUMAN_PLAIN},
	{"SPI_PC", "pcscf.spi_c", "pcscf.spi", HUMAN_PLAIN},
	{"SPI_PS", "pcscf.spi_s", NULL, HUMAN_PLAIN},
	{"IMPU", "impu", NULL, HUMAN_PLAIN},
	{0},
};

/* Append @page's sets to @all's and take over its "next" and "total". */
static int merge_page(const struct ctl *ctl, json_t *all, const json_t *page)
{
	if (json_array_extend(json_object_get(all, "sets"), json_object_get(page, "sets")) < 0 ||
	    json_object_set(all, "next", json_object_get(page, "next")) < 0 ||
	    json_object_set(all, "total", json_object_get(page, "total")) < 0)
		return output_failure(ctl, CTL_REFUSED, "internal",
				      "the list is not what was expected, or out of memory");
	return CTL_YES;
}

/* @params is borrowed. A daemon that looks at so many sets at a time may answer with none of them;
 * one that says the same "next" again has lost its way. */
static int read_pages(const struct ctl *ctl, struct client *client, json_t *params, json_t *all)
{
	const bool more = !json_object_get(params, "limit");
	json_t *page, *next;
	int status;

	do {
		status = rpc_call_on(ctl, client, "sa.list", json_deep_copy(params), &page);
		if (status != CTL_YES)
			return status;
		status = merge_page(ctl, all, page);
		json_decref(page);
		progress_count("sets", json_array_size(json_object_get(all, "sets")), 0);
		next = json_object_get(all, "next");
		if (!more || !json_is_string(next) ||
		    json_equal(next, json_object_get(params, "after")))
			return status;
		if (status == CTL_YES && json_object_set(params, "after", next) < 0)
			status = output_no_memory(ctl);
	} while (status == CTL_YES);
	return status;
}

int list_read(const struct ctl *ctl, struct client *client, json_t *params, json_t **ret)
{
	json_t *all = json_pack("{s:[], s:n, s:i}", "sets", "next", "total", 0);
	const int status = read_pages(ctl, client, params, all);

	progress_end();
	if (status == CTL_YES)
		*ret = all;
	else
		json_decref(all);
	return status;
}

static void print_list(const struct ctl *ctl, const json_t *all)
{
	const json_t *sets = json_object_get(all, "sets");
	const json_int_t total = json_integer_value(json_object_get(all, "total"));

	if (ctl->form == CTL_FORM_TSV) {
		tsv_table(stdout, sets, wide_columns);
		return;
	}
	human_table(stdout, sets, ctl->form == CTL_FORM_WIDE ? wide_columns : columns, 0);
	if (!json_array_size(sets) && total == 1)
		puts("the only set does not match");
	else if (!json_array_size(sets) && total)
		printf("none of %lld sets matches\n", (long long)total);
	if (json_is_string(json_object_get(all, "next")))
		printf("%zu of %lld; the others: --after %s\n", json_array_size(sets),
		       (long long)total,
		       json_string_value(json_object_get(all, "next")));
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	const bool wide = ctl->form == CTL_FORM_WIDE || ctl->form == CTL_FORM_TSV;
	json_t *params = options_params(command->options, args);
	struct client client;
	json_t *all = NULL;
	int status = rpc_open(ctl, &client);

	if (status == CTL_YES) {
		if (wide)
			json_object_set_new(params, "detail", json_true());
		status = list_read(ctl, &client, params, &all);
		client_close(&client);
	}
	json_decref(params);
	if (status == CTL_YES && ctl->json)
		return output_json(all, CTL_YES);
	if (status == CTL_YES)
		print_list(ctl, all);
	json_decref(all);
	return status;
}

static const struct ctl_option options[] = {
	{"impi", CTL_TEXT, 0, "IMPI", "only this subscriber's"},
	{"ue", CTL_TEXT, 0, "ADDRESS", "only this phone's"},
	{"match", CTL_TEXT, 0, "TEXT", "only with this in the IMPI or an IMPU"},
	{"state", CTL_TEXT, 0, "temporary|new|current|old", "only in this state"},
	{"listener", CTL_TEXT, 0, "LISTENER", "only this listener's"},
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
	.forms = CTL_HAS_WIDE | CTL_HAS_TSV,
};
