/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * agreement.*: the same answers as secagreectl's offline commands, from agreement_json.c and
 * decide_json.c.
 */
#include "daemon/agreement_json.h"
#include "daemon/command.h"
#include "daemon/decide_json.h"

#include <errno.h>

static int read_agreement(const struct json_node *params, const char *param,
			  enum sec_header_kind kind, struct agreement *ret, struct refusal *refusal)
{
	struct sec_error where = { 0 };
	struct lines lines;
	int err;

	param_lines(params, param, &lines);
	err = agreement_read(kind, lines.line, lines.count, ret, &where);
	if (err == -ENOMEM)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	return err ? refuse_header(refusal, sec_header_name(kind), &where) : 0;
}

int command_agreement_parse(struct daemon *d, const struct json_node *params, struct json_out *out,
			    struct refusal *refusal)
{
	struct agreement agreement;
	enum sec_header_kind kind;
	int err;

	(void)d;
	if (sec_header_kind_of(span_of(param_text(params, "header")), &kind) < 0)
		return refuse(refusal, REASON_BAD_HEADER,
			      "\"header\" is Security-Client, Security-Server or Security-Verify");
	err = read_agreement(params, "value", kind, &agreement, refusal);
	if (err)
		return err;
	agreement_parse_json(out, &agreement);
	agreement_done(&agreement);
	return 0;
}

/* The first one unless another is named. */
static const struct config_listener *
named_listener(const struct daemon *d, const struct json_node *params, struct refusal *refusal)
{
	return param_has(params, "listener") ? command_listener(d, params, refusal)
					     : &d->config->listeners[0];
}

int command_agreement_select(struct daemon *d, const struct json_node *params, struct json_out *out,
			     struct refusal *refusal)
{
	const struct config_listener *listener = named_listener(d, params, refusal);
	struct select_result result;
	struct agreement agreement;
	int err;

	if (!listener)
		return -ECANCELED;
	err = read_agreement(params, "security_client", SEC_CLIENT, &agreement, refusal);
	if (err)
		return err;
	agreement_select(&agreement, &listener->mechanisms, &listener->select,
			 param_bool(params, "nat"), &result);
	agreement_select_json(out, agreement.has_ipsec ? &agreement.ipsec : NULL, &result);
	agreement_done(&agreement);
	return 0;
}

static int parse_list(const struct json_node *params, const char *param, struct sec_header *ret,
		      struct refusal *refusal)
{
	struct sec_error where = { 0 };
	struct lines lines;
	int err;

	param_lines(params, param, &lines);
	err = sec_header_parse(lines.line, lines.count, ret, &where);
	if (err == -ENOMEM)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	return err ? refuse_header(refusal, param, &where) : 0;
}

int command_agreement_compare(struct daemon *d, const struct json_node *params,
			      struct json_out *out, struct refusal *refusal)
{
	const enum compare_mode mode = param_bool(params, "lenient") ? COMPARE_LENIENT
								     : COMPARE_STRICT;
	struct sec_header a, b;
	char why[256];
	bool equal;

	(void)d;
	if (parse_list(params, "a", &a, refusal) < 0)
		return -ECANCELED;
	if (parse_list(params, "b", &b, refusal) < 0) {
		sec_header_done(&a);
		return -ECANCELED;
	}
	equal = compare_lists(&a, &b, mode, why, sizeof(why));
	sec_header_done(&a);
	sec_header_done(&b);
	agreement_compare_json(out, equal ? NULL : why);
	return 0;
}

int command_agreement_decide(struct daemon *d, const struct json_node *params, struct json_out *out,
			     struct refusal *refusal)
{
	const bool is_protected = param_bool(params, "protected"), tls = param_bool(params, "tls");
	struct decide_question question = {
		.listener = named_listener(d, params, refusal),
		.protection = is_protected ? DECIDE_IPSEC : tls ? DECIDE_TLS : DECIDE_UNPROTECTED,
		.emergency = param_bool(params, "emergency"),
	};
	struct command_message message;
	int err;

	if (!question.listener)
		return -ECANCELED;
	if (is_protected && tls)
		return refuse(refusal, REASON_BAD_MESSAGE,
			      "\"protected\" is by a set: it is false of a TLS connection");
	param_lines(params, "sent", &question.sent);
	err = command_message(params, &message, refusal);
	if (err)
		return err;
	question.message = message.text;
	err = decide_json(&question, out, refusal);
	command_message_done(&message);
	return err;
}
