/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl check: did a message with these addresses and headers come over a set, and is it
 * right?
 *
 * It asks just as the front end does for each message, so it also changes what that changes: the
 * first message on a new set takes it into use, and wrong headers end a temporary one. The answer
 * "not protected" is exit status 3.
 */
#include "daemon/ctl/ctl.h"

static int status(const json_t *result)
{
	return json_is_true(json_object_get(result, "protected")) ? CTL_YES : CTL_NO;
}

static const struct ctl_option options[] = {
	{"pcscf", CTL_TEXT, CTL_REQUIRED, "ADDRESS", "where the message arrived"},
	{"pcscf-port", CTL_NUMBER, CTL_REQUIRED, "PORT", "and at which port"},
	{"ue", CTL_TEXT, CTL_REQUIRED, "ADDRESS", "where it came from"},
	{"ue-port", CTL_NUMBER, CTL_REQUIRED, "PORT", "and from which port"},
	{"method", CTL_TEXT, CTL_REQUIRED, "SIP-METHOD", "REGISTER, INVITE, ..."},
	{"response", CTL_FLAG, 0, NULL, "it is a response"},
	{"transport", CTL_TEXT, 0, "udp|tcp", "how it came"},
	{"impi", CTL_TEXT, 0, "IMPI", "username of its Authorization header"},
	{"via", CTL_TEXT, 0, "ADDRESS", "of a REGISTER: sent-by of its top Via"},
	{"security-client", CTL_LIST, 0, "VALUE", "one header line, without its name"},
	{"security-verify", CTL_LIST, 0, "VALUE", "one header line, without its name"},
	{0},
};

const struct ctl_command ctl_check = {
	.name = "check",
	.run = rpc_run,
	.help = "is a message that arrived protected, and by which set?",
	.method = "sa.check",
	.options = options,
	.forms = CTL_HAS_TSV,
	.more = "Exit status 3: it is not protected.",
	.status = status,
};
