/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl confirm, fail, extend and route: the life of a set as the front end drives
 * it.
 *
 * Nothing but their methods and their options: what may follow what is the daemon's to know, and
 * its refusals are printed as they come. Commands that do more with an answer than print it have
 * files of their own.
 */
#include "daemon/ctl/ctl.h"

static const struct ctl_option confirm_options[] = {
	{"set", CTL_TEXT, CTL_REQUIRED | CTL_EITHER, "SET", "which set"},
	{"expires", CTL_NUMBER, CTL_REQUIRED, "SECONDS", "granted by the 200 OK"},
	{"impu", CTL_LIST, 0, "IMPU", "a public identity that is registered too"},
	{0},
};

const struct ctl_command ctl_confirm = {
	.name = "confirm",
	.run = rpc_run,
	.help = "authentication succeeded: the set lives as long as the registration",
	.method = "sa.confirm",
	.options = confirm_options,
	.forms = CTL_HAS_TSV,
};

static const struct ctl_option fail_options[] = {
	{"set", CTL_TEXT, CTL_REQUIRED | CTL_EITHER, "SET", "which set"},
	{0},
};

const struct ctl_command ctl_fail = {
	.name = "fail",
	.run = rpc_run,
	.help = "authentication failed: the temporary set goes",
	.method = "sa.fail",
	.options = fail_options,
	.forms = CTL_HAS_TSV,
};

const struct ctl_command ctl_extend = {
	.name = "extend",
	.run = rpc_run,
	.help = "registered again without a challenge: the set lives longer",
	.method = "sa.extend",
	.options = confirm_options,
	.forms = CTL_HAS_TSV,
};

static const struct ctl_option route_options[] = {
	{"set", CTL_TEXT, CTL_EITHER, "SET", "which set; or"},
	{"impi", CTL_TEXT, 0, "IMPI", "whose phone; or"},
	{"ue", CTL_TEXT, 0, "ADDRESS", "the phone's address and"},
	{"ue-port", CTL_NUMBER, 0, "PORT", "one of its protected ports"},
	{"exact", CTL_FLAG, 0, NULL, "over that set, whichever is in use"},
	{0},
};

static int run_route(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	if (json_object_get(args, "set") || json_object_get(args, "impi") ||
	    (json_object_get(args, "ue") && json_object_get(args, "ue_port")))
		return rpc_run(ctl, command, args);
	return output_usage(ctl, "route to whom? Give a SET, --impi, or --ue and --ue-port");
}

const struct ctl_command ctl_route = {
	.name = "route",
	.run = run_route,
	.help = "which ports reach a phone now",
	.method = "sa.route",
	.options = route_options,
	.forms = CTL_HAS_TSV,
};
