/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl complete: what may stand in the place of the last word of a command line, for the
 * completion of shells (conf/completion). It is not among the commands of --help.
 *
 * Commands, options and their words come from the tables that the parser reads. Sets, subscribers,
 * phones, listeners and methods come from the daemon, when it runs and answers soon; otherwise there
 * are none, and nothing is said about it.
 *
 * A line is a candidate, a tab, and what it is; ":files" stands for names of files. The candidates
 * end up on somebody's command line, and what phones wrote is among them: whatever a shell could
 * take for more than a word is left out.
 */
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/ctl.h"

#define PATIENCE_S 2
#define MANY       1000 /* sets that are asked for */
#define MAX_WORDS  256

struct completion {
	const struct ctl_command *command; /* NULL: not yet there */
	json_t *args;                      /* what has been given */
	const char *begin;                 /* the word so far; NULL = all */
	char before[64];                   /* "--name=" in front of each candidate, or "" */
	json_t *said;                      /* no candidate twice */
};

static bool is_plain(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "@._:+%,=/-")] == '\0';
}

static void say(struct completion *c, const char *candidate, const char *description)
{
	if (!candidate || !is_plain(candidate) || json_object_get(c->said, candidate) ||
	    strncmp(candidate, c->begin, strlen(c->begin)) != 0)
		return;
	json_object_set_new(c->said, candidate, json_true());
	printf("%s%s\t", c->before, candidate);
	human_text(stdout, description ? description : "");
	fputs("\n", stdout);
}

/* ---- what the daemon knows ---- */

/* NULL: it does not answer, or has refused. @params is stolen. */
static json_t *ask(const struct completion *c, const char *method, json_t *params)
{
	const char *path = options_text(c->args, "socket");
	char why[2 * CTL_WHY_BYTES];
	struct client client;
	json_t *reply = NULL, *result;

	if (client_open(path ? path : CONFIG_DEFAULT_SOCKET, &client, why, sizeof(why)) < 0) {
		json_decref(params);
		return NULL;
	}
	client.quiet = true;
	client.limit_s = PATIENCE_S;
	if (client_call(&client, method, params, &reply, why, sizeof(why)) < 0)
		reply = NULL;
	json_decref(params);
	client_close(&client);
	result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return result;
}

/* The member @key of @array's objects, each with its member @told. */
static void say_members(struct completion *c, const json_t *array, const char *key,
			const char *told)
{
	json_t *object;
	size_t i;

	json_array_foreach (array, i, object)
		say(c, options_text(object, key), options_text(object, told));
}

static void say_sets(struct completion *c, const char *key, const char *told)
{
	/* the daemon looks further than to the first so many when it knows what for */
	const bool match = *c->begin && strcmp(key, "impi") == 0;
	json_t *list = ask(c, "sa.list",
			   json_pack("{s:i, s:s*}", "limit", MANY, "match",
				     match ? c->begin : NULL));

	say_members(c, json_object_get(list, "sets"), key, told);
	json_decref(list);
}

/* ---- values ---- */

static void say_commands(struct completion *c)
{
	const struct ctl_command *command;

	for (size_t i = 0; (command = ctl_command_at(i)); i++)
		if (command->help)
			say(c, command->name, command->help);
}

static void say_words(struct completion *c, const char *words)
{
	char word[64];

	while (words) {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(words, "|"), words);
		say(c, word, NULL);
		words = strchr(words, '|');
		words += words != NULL;
	}
}

static void say_algorithms(struct completion *c, const char *metavar)
{
	const char *word;

	for (size_t i = 0; (word = keys_word(metavar, i)); i++)
		say(c, word, NULL);
}

static void say_values(struct completion *c, const struct ctl_option *option)
{
	const char *kind = option->metavar ? option->metavar : "";
	json_t *answer;

	if (strcmp(option->name, "output") == 0 && c->command) {
		say_words(c, options_forms(c->command));
	} else if (strchr(kind, '|')) {
		say_words(c, kind);
	} else if (strcmp(kind, "SET") == 0) {
		say_sets(c, "set", "impi");
	} else if (strcmp(kind, "IMPI") == 0) {
		say_sets(c, "impi", "ue");
	} else if (strcmp(kind, "PHONE") == 0) {
		say_sets(c, "impi", "ue");
		say_sets(c, "ue", "impi");
	} else if (strcmp(option->name, "ue") == 0) {
		say_sets(c, "ue", "impi");
	} else if (strcmp(kind, "LISTENER") == 0) {
		answer = ask(c, "daemon.status", json_object());
		say_members(c, json_object_get(answer, "listeners"), "name", "address");
		json_decref(answer);
	} else if (strcmp(kind, "METHOD") == 0) {
		answer = ask(c, "daemon.methods", json_object());
		say_members(c, json_object_get(answer, "methods"), "name", "summary");
		json_decref(answer);
	} else if (strcmp(kind, "COMMAND") == 0) {
		say_commands(c);
	} else if (strcmp(kind, "FILE") == 0 || strcmp(kind, "PATH") == 0) {
		puts(":files");
	} else {
		say_algorithms(c, kind);
	}
}

/* ---- options ---- */

static void say_options(struct completion *c, const struct ctl_option *table)
{
	char word[64];

	for (; table->name; table++) {
		const bool given = table->kind != CTL_LIST && options_given(c->args, table);

		snprintf(word, sizeof(word), "--%s", table->name);
		if (!(table->flags & CTL_OPERAND) && !given)
			say(c, word, table->help);
	}
}

static void say_all_options(struct completion *c)
{
	if (c->command)
		say_options(c, c->command->options);
	say_options(c, options_common());
}

/* "--name=begin" */
static void complete_value_of(struct completion *c, const char *word, const char *equals)
{
	char name[sizeof(c->before)];
	const struct ctl_option *option;

	snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
	snprintf(c->before, sizeof(c->before), "%.*s", (int)(equals - word) + 1, word);
	option = options_find(c->command ? c->command->options : NULL, name);
	c->begin = equals + 1;
	if (option)
		say_values(c, option);
}

static void complete_word(struct completion *c, const char *previous, const char *word)
{
	const struct ctl_option *own = c->command ? c->command->options : NULL;
	const struct ctl_option *option = previous ? options_find(own, previous) : NULL;
	const char *equals = strchr(word, '=');

	c->begin = word;
	if (option && option->kind != CTL_FLAG) {
		say_values(c, option);
	} else if (strncmp(word, "--", 2) == 0 && equals) {
		complete_value_of(c, word, equals);
	} else if (word[0] == '-') {
		say_all_options(c);
	} else if (!c->command) {
		say_commands(c);
	} else {
		option = options_next_operand(own, c->args);
		if (option)
			say_values(c, option);
		if (!json_object_size(c->said))
			say_all_options(c);
	}
}

/* Read what stands before the last word as the parser does, as far as it goes. */
static void read_words(struct completion *c, int argc, char **argv)
{
	char why[CTL_WHY_BYTES];
	int index = 0;

	if (options_parse(NULL, argc, argv, &index, c->args, why, sizeof(why)) < 0 || index == argc)
		return;
	c->command = ctl_command_named(argv[index++]);
	if (c->command)
		(void)options_parse(c->command->options, argc, argv, &index, c->args, why,
				    sizeof(why));
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	const json_t *list = json_object_get(args, "words");
	const int count = (int)json_array_size(list);
	struct completion c = {.args = json_object(), .said = json_object()};
	char *words[MAX_WORDS];

	(void)ctl;
	(void)command;
	if (count == 0 || count > MAX_WORDS)
		return CTL_USAGE;
	for (int i = 0; i < count; i++)
		words[i] = (char *)(uintptr_t)json_string_value(json_array_get(list, (size_t)i));
	read_words(&c, count - 1, words);
	complete_word(&c, count > 1 ? words[count - 2] : NULL, words[count - 1]);
	json_decref(c.args);
	json_decref(c.said);
	return CTL_YES;
}

static const struct ctl_option options[] = {
	{"words", CTL_LIST, CTL_OPERAND, "WORD", "of a command line, without the program"},
	{0},
};

const struct ctl_command ctl_complete = {
	.name = "complete",
	.run = run,
	.options = options,
};
