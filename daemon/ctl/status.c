/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl status, methods and version: about the daemon itself.
 */
#include "daemon/ctl/ctl.h"

static const struct ctl_option no_options[] = {{0}};

const struct ctl_command ctl_status = {
	.name = "status",
	.run = rpc_run,
	.help = "how the daemon does: sets, listeners, netlink",
	.method = "daemon.status",
	.options = no_options,
};

const struct ctl_command ctl_methods = {
	.name = "methods",
	.run = rpc_run,
	.help = "the methods that the daemon knows",
	.method = "daemon.methods",
	.options = no_options,
};

const struct ctl_command ctl_version = {
	.name = "version",
	.run = rpc_run,
	.help = "the daemon's version (--version: this program's)",
	.method = "daemon.version",
	.options = no_options,
};
