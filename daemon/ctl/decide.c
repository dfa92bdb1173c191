/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl decide: what becomes of a SIP request from a phone, by the rules of a listener.
 *
 * The request comes in on standard input, whole and as it was sent; what it came by is said with an
 * option, since the message cannot tell. One line of JSON goes out (decide_json.c), the same as the
 * daemon's agreement.decide gives, and no daemon is asked. Nothing remembers which list was sent to
 * this phone: --sent says it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "daemon/decide_json.h"

static const struct {
	const char *key;
	enum decide_protection protection;
} PROTECTIONS[] = {
	{"protected", DECIDE_IPSEC},
	{"unprotected", DECIDE_UNPROTECTED},
	{"tls", DECIDE_TLS},
};

static int protection_of(const struct ctl *ctl, const json_t *args,
			 enum decide_protection *ret)
{
	int given = 0;

	for (size_t i = 0; i < sizeof(PROTECTIONS) / sizeof(PROTECTIONS[0]); i++) {
		if (!json_object_get(args, PROTECTIONS[i].key))
			continue;
		*ret = PROTECTIONS[i].protection;
		given++;
	}
	if (given == 1)
		return CTL_YES;
	return output_usage(ctl, "one of --protected, --unprotected and --tls is wanted");
}

static int answer(const struct decide_question *question)
{
	struct json_out out = {0};
	struct refusal refusal;

	if (decide_json(question, &out, &refusal) == 0)
		return output_written(&out, CTL_YES);
	json_out_done(&out);
	return output_error(reason_token(refusal.reason), refusal.text, -1);
}

static int answer_input(struct decide_question *question)
{
	char *buf = malloc(SIP_MAX_BYTES);
	int status, r;

	if (!buf)
		return output_error("internal", "out of memory", -1);
	question->message.p = buf;
	r = input_read(STDIN_FILENO, buf, SIP_MAX_BYTES, &question->message.n);
	if (r == -E2BIG)
		status = output_error("bad_message", "more than 65535 bytes of input", -1);
	else if (r < 0)
		status = output_error("internal", strerror(-r), -1);
	else
		status = answer(question);
	free(buf);
	return status;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	const char *sent = options_text(args, "sent");
	struct config_listener listener;
	struct decide_question question = {
		.listener = &listener,
		.emergency = json_is_true(json_object_get(args, "emergency")),
		.sent = {.line = {span_of(sent ? sent : "")}, .count = sent ? 1 : 0},
	};
	int status = protection_of(ctl, args, &question.protection);

	(void)command;
	if (status == CTL_YES)
		status = listener_read(ctl, args, &listener);
	return status == CTL_YES ? answer_input(&question) : status;
}

static const struct ctl_option options[] = {
	{"protected", CTL_FLAG, CTL_LOCAL, NULL, "it came on security associations"},
	{"unprotected", CTL_FLAG, CTL_LOCAL, NULL, "it came in clear"},
	{"tls", CTL_FLAG, CTL_LOCAL, NULL, "it came on a TLS connection"},
	{"emergency", CTL_FLAG, CTL_LOCAL, NULL, "it belongs to an emergency call"},
	{"sent", CTL_TEXT, CTL_LOCAL, "VALUE",
	 "the Security-Server that was sent (default: that of a 494)"},
	{"config", CTL_TEXT, CTL_LOCAL, "FILE", "a configuration of secagreed"},
	{"listener", CTL_TEXT, CTL_LOCAL, "LISTENER", "the listener in FILE (default: the first)"},
	{0},
};

const struct ctl_command ctl_decide = {
	.name = "decide",
	.run = run,
	.help = "what becomes of a SIP request on standard input",
	.options = options,
	.more = "Reads one whole SIP request. Exit status 0: there is a decision, whichever.",
};
