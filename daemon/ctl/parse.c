/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl parse: what a Security-Client, -Server or -Verify header says.
 *
 * Header lines come in on standard input (input.c), one line of JSON goes out (agreement_json.c):
 * the same as the daemon's agreement.parse, without a daemon. Nothing is judged beyond the grammar
 * and the numbers of ipsec-3gpp; what would be made of an offer is select.c.
 */
#include "daemon/ctl/ctl.h"

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	struct json_out out = {0};
	struct agreement agreement;
	int status = input_agreement(false, &agreement);

	(void)ctl;
	(void)command;
	(void)args;
	if (status != CTL_YES)
		return status;
	agreement_parse_json(&out, &agreement);
	agreement_done(&agreement);
	return output_written(&out, CTL_YES);
}

static const struct ctl_option options[] = {{0}};

const struct ctl_command ctl_parse = {
	.name = "parse",
	.run = run,
	.help = "what a security header on standard input says",
	.options = options,
	.more = "Reads header lines (\"Name: value\") as they stand in a SIP message.",
};
