/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl select: which combination we would take from a Security-Client header, and why not
 * the others.
 *
 * The policy is that of a listener in a configuration file, which is read whole and checked as the
 * daemon does it, or the defaults. No daemon is asked and nothing is allocated or installed: this
 * is how an operator tries a configuration against the header of a phone.
 */
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/ctl.h"

static const struct config_listener *find_listener(const struct config *config, const char *name)
{
	if (!name)
		return config->listener_count ? &config->listeners[0] : NULL;
	for (size_t i = 0; i < config->listener_count; i++)
		if (strcmp(config->listeners[i].name, name) == 0)
			return &config->listeners[i];
	return NULL;
}

static int policy_of(const json_t *args, struct select_policy *ret)
{
	const char *path = options_text(args, "config");
	const char *name = options_text(args, "listener");
	const struct config_listener *listener;
	struct config config;
	char why[CTL_WHY_BYTES];

	if (!path) {
		select_policy_default(ret);
		return CTL_YES;
	}
	if (config_read(path, &config, why, sizeof(why)) < 0)
		return output_error("bad_config", why, -1);
	listener = find_listener(&config, name);
	if (!listener)
		return output_error("unknown_listener",
				    name ? "the configuration has no listener of this name"
					 : "the configuration has no listener",
				    -1);
	*ret = listener->select;
	return CTL_YES;
}

static int answer(const struct agreement *agreement, const struct select_policy *policy, bool nat)
{
	const struct ipsec3gpp *offered = agreement->has_ipsec ? &agreement->ipsec : NULL;
	struct select_result result = {0};

	if (offered)
		select_offer(offered, policy, nat, &result);
	return output_json(agreement_select_json(offered, &result),
			   result.found ? CTL_YES : CTL_NO);
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	bool nat = json_is_true(json_object_get(args, "nat"));
	struct agreement agreement;
	struct select_policy policy;
	int status;

	(void)ctl;
	(void)command;
	if (options_text(args, "listener") && !options_text(args, "config")) {
		fputs("secagreectl: --listener wants --config FILE too\n", stderr);
		return CTL_USAGE;
	}
	status = policy_of(args, &policy);
	if (status != CTL_YES)
		return status;
	status = input_agreement(true, &agreement);
	if (status != CTL_YES)
		return status;
	status = answer(&agreement, &policy, nat);
	agreement_done(&agreement);
	return status;
}

static const struct ctl_option options[] = {
	{"config", CTL_TEXT, CTL_LOCAL, "FILE", "a configuration of secagreed"},
	{"listener", CTL_TEXT, CTL_LOCAL, "NAME", "the listener in FILE (default: the first)"},
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
