/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl audit: what the kernel holds against what the daemon's sets say.
 *
 * The daemon compares and mends; this asks for it, shows the report, and says by its exit status
 * whether there was anything to mend.
 */
#include "daemon/ctl/ctl.h"

static const struct ctl_option no_options[] = {{0}};

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	json_t *result;
	int status;

	status = rpc_call(ctl, command->method, options_params(command->options, args), &result);
	if (status != CTL_YES)
		return status;
	status = json_is_true(json_object_get(result, "clean")) ? CTL_YES : CTL_NO;
	return rpc_print(ctl, result, status);
}

const struct ctl_command ctl_audit = {
	.name = "audit",
	.run = run,
	.help = "compare the kernel with the sets, and mend it",
	.method = "daemon.audit",
	.options = no_options,
	.forms = CTL_HAS_TSV,
	.more = "Exit status 3: there was something to mend.",
};
