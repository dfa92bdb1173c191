/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl, the command line of secagreed: dispatch and usage.
 *
 * Five subcommands answer by themselves (parse, select, compare, decide, keys); the others ask the
 * daemon at its control socket. The list below drives the dispatch, the usage text and completion;
 * what a subcommand takes stands in its own table, beside its function.
 *
 * Keys may pass through (offer, keys, export-keys), so every allocation of the JSON library is wiped when it is
 * freed. They are never taken from the command line, which every user of the machine can read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/ctl.h"
#include "daemon/wipe.h"
#include "proto/text.h"

#ifndef SECAGREED_VERSION
#define SECAGREED_VERSION "unknown"
#endif

static const struct ctl_command ctl_help;

static const struct ctl_command *const commands[] = {
	&ctl_status, &ctl_top, &ctl_list, &ctl_show, &ctl_monitor, &ctl_stats, &ctl_version,
	&ctl_doctor, &ctl_explain, &ctl_audit, &ctl_export_keys,
	&ctl_reload, &ctl_release, &ctl_call, &ctl_methods,
	&ctl_offer, &ctl_check, &ctl_confirm, &ctl_extend, &ctl_fail, &ctl_route,
	&ctl_parse, &ctl_select, &ctl_compare, &ctl_decide, &ctl_keys,
	&ctl_help, &ctl_complete,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* How --help parts them: each title stands above its first command. */
static const struct {
	const struct ctl_command *first;
	const char *title;
} PARTS[] = {
	{&ctl_status, "Look at what secagreed does"},
	{&ctl_doctor, "Find out what is wrong"},
	{&ctl_reload, "Change something"},
	{&ctl_offer, "Do by hand what the SIP server does"},
	{&ctl_parse, "Without a daemon (JSON on standard output)"},
	{&ctl_help, "About this program"},
};

const struct ctl_command *ctl_command_named(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

const struct ctl_command *ctl_command_at(size_t i)
{
	return i < COMMAND_COUNT ? commands[i] : NULL;
}

static void print_commands(FILE *f)
{
	size_t part = 0;

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (part < sizeof(PARTS) / sizeof(PARTS[0]) && PARTS[part].first == commands[i])
			fprintf(f, "\n%s:\n", PARTS[part++].title);
		if (commands[i]->help)
			fprintf(f, "  %-11s %s\n", commands[i]->name, commands[i]->help);
	}
}

static void usage(FILE *f)
{
	fputs("usage: secagreectl [--socket PATH] [-o FORM] COMMAND [ARGUMENT ...]\n"
	      "       secagreectl COMMAND --help\n",
	      f);
	print_commands(f);
	fputs("\nOptions:\n", f);
	options_common_usage(f);
	fputs("\nExit status: 0 yes, 1 bad input or refused, 2 usage, 3 no, 4 no daemon\n", f);
}

/* As far as the arguments have been read: mistakes in them are told as they ask for. */
static struct ctl ctl_of(const struct ctl_command *command, const json_t *args)
{
	const char *path = options_text(args, "socket"), *form = options_text(args, "output");

	return (struct ctl){
		.socket_path = path ? path : CONFIG_DEFAULT_SOCKET,
		.json = json_object_get(args, "json") || (form && strcmp(form, "json") == 0),
		.command = command,
	};
}

static int usage_error(const struct ctl_command *command, const json_t *args, const char *why)
{
	const struct ctl ctl = ctl_of(command, args);

	return output_usage(&ctl, why);
}

static int unknown_command(const char *name, const json_t *args)
{
	const char *separator = "; did you mean ";
	char why[CTL_WHY_BYTES];
	struct text_out out;

	text_out_init(&out, why, sizeof(why));
	text_out_printf(&out, "there is no command \"%.40s\"", name);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (commands[i]->help && value_is_near(name, commands[i]->name)) {
			text_out_printf(&out, "%s%s", separator, commands[i]->name);
			separator = " or ";
		}
	}
	text_out(&out, separator[0] == ' ' ? "?" : "");
	return usage_error(NULL, args, why);
}

static int no_command(const json_t *args)
{
	if (!ctl_of(NULL, args).json) {
		usage(stderr);
		return CTL_USAGE;
	}
	return usage_error(NULL, args, "COMMAND is missing");
}

static int run_command(const struct ctl_command *command, const json_t *args)
{
	struct ctl ctl = ctl_of(command, args);
	char why[CTL_WHY_BYTES];

	if (options_complete(command->options, args, why, sizeof(why)) < 0 ||
	    options_form(command, args, &ctl.form, why, sizeof(why)) < 0)
		return output_usage(&ctl, why);
	ctl.json = ctl.form == CTL_FORM_JSON;
	return command->run(&ctl, command, args);
}

/* ---- help ---- */

static int run_help(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	const char *name = options_text(args, "command");

	(void)ctl;
	command = name ? ctl_command_named(name) : NULL;
	if (name && !command)
		return unknown_command(name, args);
	if (command)
		options_usage(stdout, command);
	else
		usage(stdout);
	return CTL_YES;
}

static const struct ctl_option help_options[] = {
	{"command", CTL_TEXT, CTL_OPERAND | CTL_LOCAL, "COMMAND",
	 "which one (default: a list of all)"},
	{0},
};

static const struct ctl_command ctl_help = {
	.name = "help",
	.run = run_help,
	.help = "print what the program or a command takes, as --help does",
	.options = help_options,
};

/* ---- the command line ---- */

/* --help and --version; -1 when neither was asked for. */
static int answer_at_once(const struct ctl_command *command, const json_t *args)
{
	if (json_object_get(args, "help")) {
		if (command)
			options_usage(stdout, command);
		else
			usage(stdout);
		return CTL_YES;
	}
	if (json_object_get(args, "version")) {
		puts("secagreectl " SECAGREED_VERSION);
		return CTL_YES;
	}
	return -1;
}

static int dispatch(int argc, char **argv, json_t *args)
{
	const struct ctl_command *command = NULL;
	char why[CTL_WHY_BYTES];
	int index = 1;
	int status;

	if (options_parse(NULL, argc, argv, &index, args, why, sizeof(why)) < 0)
		return usage_error(NULL, args, why);
	status = answer_at_once(NULL, args);
	if (status >= 0)
		return status;
	if (index == argc)
		return no_command(args);
	command = ctl_command_named(argv[index]);
	if (!command)
		return unknown_command(argv[index], args);
	index++;
	if (options_parse(command->options, argc, argv, &index, args, why, sizeof(why)) < 0)
		return usage_error(command, args, why);
	status = answer_at_once(command, args);
	return status >= 0 ? status : run_command(command, args);
}

int main(int argc, char **argv)
{
	json_t *args;
	int status;

	json_set_alloc_funcs(malloc, wipe_free);
	args = json_object();
	if (!args) {
		fputs("secagreectl: out of memory\n", stderr);
		return CTL_REFUSED;
	}
	status = dispatch(argc, argv, args);
	json_decref(args);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "secagreectl: standard output: %s\n", strerror(errno));
		return CTL_REFUSED;
	}
	return status;
}
