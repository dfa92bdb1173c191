/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl call: any method with any params, written as JSON; the answer is always JSON. For
 * scripts, and for methods that are newer than this program.
 *
 * Params with keys are refused on the command line; "-" reads them from standard input.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"

#define CALL_MAX_BYTES (1024 * 1024)

/* Why there are no params. */
static json_t *complain(char *ret_why, const char *why)
{
	snprintf(ret_why, CTL_WHY_BYTES, "%s", why);
	return NULL;
}

static json_t *load_params(const char *text, size_t n, char *ret_why)
{
	json_error_t error;
	json_t *params = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);

	/* jansson's own words may quote the text, and that may hold a key */
	if (!params)
		snprintf(ret_why, CTL_WHY_BYTES,
			 "the params are not a JSON object: line %d, column %d", error.line,
			 error.column);
	return params;
}

static json_t *params_from_stdin(char *ret_why)
{
	char *buf = malloc(CALL_MAX_BYTES);
	json_t *params = NULL;
	size_t n;
	int r;

	if (!buf)
		return complain(ret_why, "out of memory");
	r = input_read(STDIN_FILENO, buf, CALL_MAX_BYTES, &n);
	if (r < 0)
		complain(ret_why, strerror(-r));
	else
		params = load_params(buf, n, ret_why);
	explicit_bzero(buf, CALL_MAX_BYTES);
	free(buf);
	return params;
}

static json_t *params_of(const char *text, char *ret_why)
{
	json_t *params;

	if (!text)
		return json_object();
	if (strcmp(text, "-") == 0)
		return params_from_stdin(ret_why);
	params = load_params(text, strlen(text), ret_why);
	if (json_object_get(params, "ck") || json_object_get(params, "ik")) {
		json_decref(params);
		return complain(ret_why,
				"keys are not for the command line, where everybody can read them; "
				"write - and give the params on standard input");
	}
	return params;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	char why[CTL_WHY_BYTES] = "out of memory";
	json_t *params = params_of(options_text(args, "params"), why);
	json_t *result;
	int status;

	(void)command;
	if (!params)
		return output_usage(ctl, why);
	status = rpc_call(ctl, options_text(args, "method"), params, &result);
	return status == CTL_YES ? output_json(result, CTL_YES) : status;
}

static const struct ctl_option options[] = {
	{"method", CTL_TEXT, CTL_OPERAND | CTL_REQUIRED, "METHOD", "sa.list, daemon.status, ..."},
	{"params", CTL_TEXT, CTL_OPERAND, "JSON", "its params, or - to read them"},
	{0},
};

const struct ctl_command ctl_call = {
	.name = "call",
	.run = run,
	.help = "any method, with params in JSON",
	.method = "METHOD",
	.options = options,
};
