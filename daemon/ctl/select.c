/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl select: which combination we would take from a Security-Client header, and why not
 * the others.
 *
 * The policy is that of a listener in a configuration file, or the defaults (listener.c). No daemon
 * is asked and nothing is allocated or installed: this is how an operator tries a configuration
 * against the header of a phone.
 */
#include "daemon/config.h"
#include "daemon/ctl/ctl.h"

static int answer(const struct agreement *agreement, const struct config_listener *l, bool nat)
{
	const struct ipsec3gpp *offered = agreement->has_ipsec ? &agreement->ipsec : NULL;
	struct select_result result;
	struct json_out out = {0};

	agreement_select(agreement, &l->mechanisms, &l->select, nat, &result);
	agreement_select_json(&out, offered, &result);
	return output_written(&out, result.found ? CTL_YES : CTL_NO);
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	bool nat = json_is_true(json_object_get(args, "nat"));
	struct agreement agreement;
	struct config_listener listener;
	int status;

	(void)command;
	status = listener_read(ctl, args, &listener);
	if (status != CTL_YES)
		return status;
	status = input_agreement(true, &agreement);
	if (status != CTL_YES)
		return status;
	status = answer(&agreement, &listener, nat);
	agreement_done(&agreement);
	return status;
}

static const struct ctl_option options[] = {
	{"config", CTL_TEXT, CTL_LOCAL, "FILE", "a configuration of secagreed"},
	{"listener", CTL_TEXT, CTL_LOCAL, "LISTENER", "the listener in FILE (default: the first)"},
	{"nat", CTL_FLAG, CTL_LOCAL, NULL, "as if the phone were behind a NAT"},
	{0},
};

const struct ctl_command ctl_select = {
	.name = "select",
	.run = run,
	.help = "what would be chosen from a Security-Client header, and why",
	.options = options,
	.more = "Reads header lines (\"Name: value\"). Exit status 3: nothing fits.",
};
