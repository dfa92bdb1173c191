/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl compare: is the second list the same as the first, as Security-Verify must be the
 * same as the Security-Server that was sent (RFC 3329 2.3.1)?
 *
 * Values come as arguments, so that two of them can be told apart; the first difference is said in
 * words. A value that cannot be read is an error of its own, since "different" would hide it. No
 * daemon is asked.
 */
#include <errno.h>
#include <string.h>

#include "daemon/ctl/ctl.h"

static int unreadable(const char *which, const struct sec_error *error)
{
	char why[sizeof(error->why) + 64];
	json_t *json;

	snprintf(why, sizeof(why), "the %s value cannot be read: %s", which, error->why);
	json = json_pack("{s:b, s:s, s:o}", "equal", 0, "difference", why, "error",
			 output_error_json("bad_header", error->why, (long)error->offset));
	return output_json(json, CTL_REFUSED);
}

static int read_value(const char *text, const char *which, struct sec_header *ret)
{
	struct sec_error error = {0};
	struct span line = span_of(text);
	int r = sec_header_parse(&line, 1, ret, &error);

	if (r == -ENOMEM)
		return output_error("internal", "out of memory", -1);
	return r < 0 ? unreadable(which, &error) : CTL_YES;
}

static int answer(const struct sec_header *sent, const struct sec_header *got, bool lenient)
{
	const enum compare_mode mode = lenient ? COMPARE_LENIENT : COMPARE_STRICT;
	char why[2 * CTL_WHY_BYTES] = "";
	const bool equal = compare_lists(sent, got, mode, why, sizeof(why));
	struct json_out out = {0};

	agreement_compare_json(&out, equal ? NULL : why);
	return output_written(&out, equal ? CTL_YES : CTL_NO);
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	bool lenient = json_is_true(json_object_get(args, "lenient"));
	struct sec_header sent, got;
	int status;

	(void)ctl;
	(void)command;
	status = read_value(options_text(args, "sent"), "first", &sent);
	if (status != CTL_YES)
		return status;
	status = read_value(options_text(args, "received"), "second", &got);
	if (status == CTL_YES) {
		status = answer(&sent, &got, lenient);
		sec_header_done(&got);
	}
	sec_header_done(&sent);
	return status;
}

static const struct ctl_option options[] = {
	{"lenient", CTL_FLAG, CTL_LOCAL, NULL,
	 "ealg=null, prot=esp, mod=trans and q may be left out on one side"},
	{"sent", CTL_TEXT, CTL_LOCAL | CTL_OPERAND | CTL_REQUIRED, "VALUE", "what was sent"},
	{"received", CTL_TEXT, CTL_LOCAL | CTL_OPERAND | CTL_REQUIRED, "VALUE", "what came back"},
	{0},
};

const struct ctl_command ctl_compare = {
	.name = "compare",
	.run = run,
	.help = "are two header values the same list?",
	.options = options,
	.more = "Values stand without the header's name. Exit status 3: they differ.",
};
