/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A question to the daemon and its answer, for every subcommand that has one: which exit status it
 * means, and how an error of the daemon looks to a person.
 *
 * Errors go to standard error in words; with --json their object goes to standard output as well,
 * so that a program reads one stream. That there is no answer is such an error.
 */
#include <errno.h>
#include <string.h>

#include "daemon/ctl/ctl.h"

static void print_member(const char *label, const json_t *value)
{
	if (!json_is_string(value))
		return;
	fprintf(stderr, "  %s: ", label);
	human_text(stderr, json_string_value(value));
	fputs("\n", stderr);
}

/* The answer that the front end should give to the phone. */
static void print_sip(const json_t *sip)
{
	const json_t *header;
	size_t i;

	if (!sip)
		return;
	fprintf(stderr, "  SIP answer: %d ", (int)json_integer_value(json_object_get(sip, "code")));
	human_text(stderr, json_string_value(json_object_get(sip, "phrase")));
	fputs("\n", stderr);
	json_array_foreach (json_object_get(sip, "headers"), i, header)
		print_member("with", header);
}

static void print_message(const json_t *error, const json_t *data)
{
	const char *reason = json_string_value(json_object_get(data, "reason"));
	const char *message = json_string_value(json_object_get(error, "message"));

	fputs("secagreectl: ", stderr);
	human_text(stderr, message);
	if (reason) {
		fputs(" (", stderr);
		human_text(stderr, reason);
		fputs(")", stderr);
	}
	fputs("\n", stderr);
}

static void print_kernel(const json_t *kernel)
{
	const char *name = json_string_value(json_object_get(kernel, "errno"));
	const char *text = json_string_value(json_object_get(kernel, "text"));

	if (!kernel)
		return;
	fputs("  kernel: ", stderr);
	human_text(stderr, name);
	if (text && *text) {
		fputs(": ", stderr);
		human_text(stderr, text);
	}
	fputs("\n", stderr);
}

/* The daemon's sentence speaks of its method. */
static void print_advice(const char *reason)
{
	if (reason && (strcmp(reason, "unknown_method") == 0 || strcmp(reason, "bad_params") == 0))
		fputs("Try secagreectl methods\n", stderr);
}

static int report(const struct ctl *ctl, json_t *error)
{
	const json_t *data = json_object_get(error, "data");

	print_message(error, data);
	print_kernel(json_object_get(data, "kernel"));
	print_member("verdict on the message", json_object_get(data, "verdict"));
	print_sip(json_object_get(data, "sip"));
	print_advice(options_text(data, "reason"));
	if (!ctl->json)
		return CTL_REFUSED;
	return output_json(json_pack("{s:O}", "error", error), CTL_REFUSED);
}

int rpc_open(const struct ctl *ctl, struct client *ret)
{
	char why[2 * CTL_WHY_BYTES];
	int r = client_open(ctl->socket_path, ret, why, sizeof(why));

	if (r == 0)
		return CTL_YES;
	if (r == -ENAMETOOLONG)
		return output_usage(ctl, why);
	return output_failure(ctl, CTL_UNREACHABLE, "unreachable", why);
}

/* @silent: a reason that is no more than CTL_NO, or NULL. */
static int judge(const struct ctl *ctl, json_t *reply, const char *silent, json_t **ret_result)
{
	json_t *error = json_object_get(reply, "error");
	const char *reason =
		json_string_value(json_object_get(json_object_get(error, "data"), "reason"));

	if (!error) {
		*ret_result = json_incref(json_object_get(reply, "result"));
		return CTL_YES;
	}
	return silent && reason && strcmp(silent, reason) == 0 ? CTL_NO : report(ctl, error);
}

int rpc_try_on(const struct ctl *ctl, struct client *client, const char *method, json_t *params,
	       const char *silent, json_t **ret_result)
{
	char why[CTL_WHY_BYTES];
	json_t *reply = NULL;
	int status;
	int r;

	r = client_call(client, method, params, &reply, why, sizeof(why));
	json_decref(params);
	if (r == -EILSEQ)
		return output_usage(ctl, why);
	if (r < 0)
		return output_failure(ctl, CTL_UNREACHABLE, "unreachable", why);
	status = judge(ctl, reply, silent, ret_result);
	json_decref(reply);
	return status;
}

int rpc_call_on(const struct ctl *ctl, struct client *client, const char *method, json_t *params,
		json_t **ret_result)
{
	return rpc_try_on(ctl, client, method, params, NULL, ret_result);
}

int rpc_call(const struct ctl *ctl, const char *method, json_t *params, json_t **ret_result)
{
	struct client client;
	int status = rpc_open(ctl, &client);

	if (status != CTL_YES) {
		json_decref(params);
		return status;
	}
	status = rpc_call_on(ctl, &client, method, params, ret_result);
	client_close(&client);
	return status;
}

int rpc_print(const struct ctl *ctl, json_t *result, int status)
{
	if (ctl->form == CTL_FORM_JSON)
		return output_json(result, status);
	if (ctl->form == CTL_FORM_TSV)
		tsv_block(stdout, result);
	else
		human_block(stdout, result, NULL);
	json_decref(result);
	return status;
}

int rpc_ask(const struct ctl *ctl, const struct ctl_command *command, json_t *params)
{
	json_t *result;
	int status = rpc_call(ctl, command->method, params, &result);

	if (status != CTL_YES)
		return status;
	if (command->status)
		status = command->status(result);
	if (ctl->form != CTL_FORM_TEXT || !command->print)
		return rpc_print(ctl, result, status);
	command->print(result);
	json_decref(result);
	return status;
}

int rpc_run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	return rpc_ask(ctl, command, options_params(command->options, args));
}
