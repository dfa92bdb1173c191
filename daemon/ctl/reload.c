/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl reload: have the daemon read its configuration anew.
 *
 * The daemon says what it took and what only a restart would change; that there is something of the
 * latter is no failure, since the file was right. A file that is wrong changes nothing, and the
 * daemon's sentence says where.
 */
#include "daemon/ctl/ctl.h"

static const struct ctl_option no_options[] = {{0}};

static void print_names(const json_t *result, const char *member, const char *words)
{
	const json_t *names = json_object_get(result, member);
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)names, i, one)
	{
		fputs(words, stdout);
		human_text(stdout, json_string_value(one));
		putchar('\n');
	}
}

static void print(json_t *result)
{
	print_names(result, "changed", "changed: ");
	print_names(result, "leaving", "goes with its last set: listener ");
	print_names(result, "restart", "waits for a restart: ");
}

const struct ctl_command ctl_reload = {
	.name = "reload",
	.run = rpc_run,
	.help = "have the configuration read anew, and say what waits for a restart",
	.method = "daemon.reload",
	.options = no_options,
	.print = print,
};
