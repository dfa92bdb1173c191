/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl show: all about one set, with its SAs as the kernel counts them.
 *
 * The members of the answer are printed as they come, the SAs as a table with chosen columns. An SA
 * that was never used has no last use; a port that the selector leaves open is "any".
 */
#include "daemon/ctl/ctl.h"

static const struct human_column columns[] = {
	{"DIRECTION", "direction", NULL, HUMAN_PLAIN},
	{"SPI", "spi", NULL, HUMAN_PLAIN},
	{"SOURCE", "src", "sport", HUMAN_ADDRESS},
	{"DESTINATION", "dst", "dport", HUMAN_ADDRESS},
	{"BYTES", "bytes", NULL, HUMAN_PLAIN},
	{"PACKETS", "packets", NULL, HUMAN_PLAIN},
	{"LAST-USED", "used_ago", NULL, HUMAN_SECONDS},
	{"LEFT", "hard_left", NULL, HUMAN_SECONDS},
	{0},
};

static void print(json_t *result)
{
	human_block(stdout, result, "sas");
	fputs("\n", stdout);
	human_table(stdout, json_object_get(result, "sas"), columns, 0);
}

static const struct ctl_option options[] = {
	{"set", CTL_TEXT, CTL_REQUIRED | CTL_EITHER, "SET", "which set"},
	{0},
};

const struct ctl_command ctl_show = {
	.name = "show",
	.run = rpc_run,
	.help = "all about one set and its SAs",
	.method = "sa.show",
	.options = options,
	.forms = CTL_HAS_TSV,
	.print = print,
};
