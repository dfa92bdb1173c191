/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl monitor: what happens in the daemon, one line an event, until somebody ends it.
 *
 * The daemon never waits for this program: if standard output is slow, events are lost, and a line
 * says how many. With --since the first lines are what is remembered from before; a number above
 * the daemon's own is from an earlier run of it, and gives all that is remembered.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "daemon/ctl/ctl.h"
#include "daemon/quote.h"

static void print_time(FILE *f, json_int_t ms)
{
	const time_t s = (time_t)(ms / 1000);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&s, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(f, "%s.%03lldZ", text, (long long)ms % 1000);
}

static bool is_of_the_head(const char *key)
{
	return !strcmp(key, "seq") || !strcmp(key, "time_ms") || !strcmp(key, "event") ||
	       !strcmp(key, "level");
}

static void print_text(FILE *f, const char *text)
{
	const size_t n = strlen(text);
	char *buf = malloc(QUOTE_BYTES(n));
	size_t shown;

	fputs(buf ? quote_value(text, n, buf, &shown) : "?", f);
	free(buf);
}

void monitor_print_field(FILE *f, const char *key, const json_t *value)
{
	fputs(" ", f);
	human_text(f, key);
	fputs("=", f);
	if (json_is_string(value))
		print_text(f, json_string_value(value));
	else
		fprintf(f, "%lld", (long long)json_integer_value(value));
}

void monitor_print(FILE *f, json_t *event)
{
	const char *level = json_string_value(json_object_get(event, "level"));
	const enum colour colour = colour_of(level);
	const char *key;
	json_t *value;

	print_time(f, json_integer_value(json_object_get(event, "time_ms")));
	fprintf(f, " %lld %s", (long long)json_integer_value(json_object_get(event, "seq")),
		colour_on(f, colour));
	human_text(f, level);
	fprintf(f, "%s ", colour_off(f, colour));
	human_text(f, json_string_value(json_object_get(event, "event")));
	json_object_foreach(event, key, value) {
		if (!is_of_the_head(key))
			monitor_print_field(f, key, value);
	}
	fputs("\n", f);
}

/* @message is borrowed. What is neither is from a newer daemon. */
static int print_message(const struct ctl *ctl, json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	json_t *params = json_object_get(message, "params");
	const json_int_t lost = json_integer_value(json_object_get(params, "count"));

	if (!method || (strcmp(method, "event") != 0 && strcmp(method, "event.lost") != 0))
		return CTL_YES;
	if (ctl->json)
		return output_json(strcmp(method, "event") == 0
					   ? json_incref(params)
					   : json_pack("{s:O}", "lost", params),
				   CTL_YES);
	if (strcmp(method, "event") == 0)
		monitor_print(stdout, params);
	else
		printf("%lld event%s lost\n", (long long)lost, lost == 1 ? " was" : "s were");
	return fflush(stdout) == 0 ? CTL_YES : CTL_REFUSED;
}

static int follow(const struct ctl *ctl, struct client *client)
{
	char why[CTL_WHY_BYTES];
	int status = CTL_YES;

	while (status == CTL_YES) {
		json_t *message;

		if (client_wait(client, &message, why, sizeof(why)) < 0)
			return output_failure(ctl, CTL_UNREACHABLE, "unreachable", why);
		status = print_message(ctl, message);
		json_decref(message);
	}
	return status;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	struct client client;
	int status = rpc_open(ctl, &client);
	json_t *subscribed;

	if (status != CTL_YES)
		return status;
	status = rpc_call_on(ctl, &client, command->method, options_params(command->options, args),
			     &subscribed);
	if (status == CTL_YES) {
		json_decref(subscribed);
		status = follow(ctl, &client);
	}
	client_close(&client);
	return status;
}

static const struct ctl_option options[] = {
	{"since", CTL_NUMBER, 0, "NUMBER", "begin with what came after this event; 0: with all"},
	{0},
};

const struct ctl_command ctl_monitor = {
	.name = "monitor",
	.run = run,
	.help = "what happens, as it happens",
	.method = "event.subscribe",
	.options = options,
};
