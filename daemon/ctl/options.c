/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options from tables: --name VALUE, --name=VALUE, flags and operands, in any order, "--" before
 * operands that look like options. What was given becomes members of one JSON object, which for
 * a subcommand of the daemon is very nearly the request's params.
 *
 * The same tables write the usage text and the completion of shells (complete.c), so that they
 * cannot differ. There are no abbreviations: a name that is accepted today will not turn ambiguous
 * tomorrow. The two short options are those that everybody tries, -h and -o.
 *
 * Values are kept as bytes: whether they are text is for whoever reads them to say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl.h"

/* Accepted before and after the subcommand. */
static const struct ctl_option common_options[] = {
	{"socket", CTL_TEXT, CTL_LOCAL, "PATH", "the daemon's socket"},
	{"output", CTL_TEXT, CTL_LOCAL, "text|wide|tsv|json", "how to print"},
	{"json", CTL_FLAG, CTL_LOCAL, NULL, "the same as -o json"},
	{"help", CTL_FLAG, CTL_LOCAL, NULL, "print what a command takes"},
	{"version", CTL_FLAG, CTL_LOCAL, NULL, "print the version"},
	{0},
};

#define KEY_BYTES 32

static const char *key_of(const struct ctl_option *option, char key[static KEY_BYTES])
{
	size_t n = strlen(option->name);

	for (size_t i = 0; i <= n && i < KEY_BYTES; i++)
		key[i] = option->name[i] == '-' ? '_' : option->name[i];
	return key;
}

static const struct ctl_option *find_in(const struct ctl_option *table, const char *name, size_t n)
{
	for (; table && table->name; table++)
		if (!(table->flags & CTL_OPERAND) && strlen(table->name) == n &&
		    memcmp(table->name, name, n) == 0)
			return table;
	return NULL;
}

/* Those that everybody tries. */
static const struct {
	char letter;
	const char *name;
} LETTERS[] = {
	{'o', "output"},
	{'h', "help"},
};

#define LETTER_COUNT (sizeof(LETTERS) / sizeof(LETTERS[0]))

static const struct ctl_option *find_letter(char letter)
{
	for (size_t i = 0; i < LETTER_COUNT; i++)
		if (LETTERS[i].letter == letter)
			return find_in(common_options, LETTERS[i].name, strlen(LETTERS[i].name));
	return NULL;
}

static char letter_of(const struct ctl_option *option)
{
	for (size_t i = 0; i < LETTER_COUNT; i++)
		if (strcmp(LETTERS[i].name, option->name) == 0)
			return LETTERS[i].letter;
	return '\0';
}

bool options_given(const json_t *args, const struct ctl_option *option)
{
	char key[KEY_BYTES];

	return json_object_get(args, key_of(option, key));
}

/* A list of operands takes all that come. */
const struct ctl_option *options_next_operand(const struct ctl_option *own, const json_t *args)
{
	for (; own && own->name; own++)
		if (own->flags & (CTL_OPERAND | CTL_EITHER) &&
		    (own->kind == CTL_LIST || !options_given(args, own)))
			return own;
	return NULL;
}

const struct ctl_option *options_common(void)
{
	return common_options;
}

const struct ctl_option *options_find(const struct ctl_option *own, const char *word)
{
	const struct ctl_option *option;

	if (word[0] == '-' && word[1] && word[1] != '-' && !word[2])
		return find_letter(word[1]);
	if (strncmp(word, "--", 2) != 0)
		return NULL;
	option = find_in(own, word + 2, strlen(word + 2));
	return option ? option : find_in(common_options, word + 2, strlen(word + 2));
}

static int add_to_list(json_t *args, const char *key, json_t *value)
{
	json_t *list = json_object_get(args, key);

	if (!list) {
		list = json_array();
		if (json_object_set_new(args, key, list) < 0)
			list = NULL;
	}
	return json_array_append_new(list, value);
}

static bool is_one_of(const char *words, const char *text)
{
	const size_t n = strlen(text);

	while (words) {
		if (strcspn(words, "|") == n && memcmp(words, text, n) == 0)
			return true;
		words = strchr(words, '|');
		words += words != NULL;
	}
	return false;
}

static int refuse_word(const struct ctl_option *option, const char *text, char *ret_why,
		       size_t why_cap)
{
	int n = snprintf(ret_why, why_cap, "--%s wants one of ", option->name);

	for (const char *p = option->metavar; *p && (size_t)n + 3 < why_cap; p++)
		n += snprintf(ret_why + n, why_cap - (size_t)n, *p == '|' ? ", " : "%c", *p);
	snprintf(ret_why + n, why_cap - (size_t)n, ", not \"%.40s\"", text);
	return -EINVAL;
}

/* What is wrong with @text for @option, before anybody is asked. */
static int check_value(const struct ctl_option *option, const char *text, char *ret_why,
		       size_t why_cap)
{
	const bool named = !(option->flags & (CTL_OPERAND | CTL_EITHER));
	const char *wanted;

	if (option->kind == CTL_FLAG)
		return 0;
	if (strchr(option->metavar, '|') && !is_one_of(option->metavar, text))
		return refuse_word(option, text, ret_why, why_cap);
	wanted = value_wanted(option, text);
	if (!wanted)
		return 0;
	snprintf(ret_why, why_cap, "%s%s wants %s, not \"%.40s\"", named ? "--" : "",
		 named ? option->name : option->metavar, wanted, text);
	return -EINVAL;
}

static json_t *number_json(const char *text)
{
	return json_integer(strtoll(text, NULL, 10));
}

static int set_option(const struct ctl_option *option, const char *text, json_t *args,
		      char *ret_why, size_t why_cap)
{
	char key[KEY_BYTES];
	int r = 0;

	key_of(option, key);
	if (option->kind != CTL_LIST && json_object_get(args, key)) {
		snprintf(ret_why, why_cap, "--%s was given twice", option->name);
		return -EINVAL;
	}
	if (check_value(option, text, ret_why, why_cap) < 0)
		return -EINVAL;
	switch (option->kind) {
	case CTL_FLAG:
		r = json_object_set_new(args, key, json_true());
		break;
	case CTL_TEXT:
		r = json_object_set_new(args, key, json_string_nocheck(text));
		break;
	case CTL_LIST:
		r = add_to_list(args, key, json_string_nocheck(text));
		break;
	case CTL_NUMBER:
		r = json_object_set_new(args, key, number_json(text));
		break;
	}
	if (r < 0)
		snprintf(ret_why, why_cap, "out of memory");
	return r < 0 ? -ENOMEM : 0;
}

/* @value: what stood with the option's name; NULL: the next word, if it wants one. */
static int set_from(const struct ctl_option *option, const char *value, int argc, char **argv,
		    int *index, json_t *args, char *ret_why, size_t why_cap)
{
	if (option->kind == CTL_FLAG && value) {
		snprintf(ret_why, why_cap, "--%s takes no value", option->name);
		return -EINVAL;
	}
	if (option->kind != CTL_FLAG && !value) {
		if (*index == argc) {
			snprintf(ret_why, why_cap, "--%s wants a value: %s, %s", option->name,
				 option->metavar, option->help);
			return -EINVAL;
		}
		value = argv[(*index)++];
	}
	return set_option(option, value ? value : "", args, ret_why, why_cap);
}

/* NULL: no option of @table is like @name. */
static const char *near_name(const struct ctl_option *table, const char *name)
{
	for (; table && table->name; table++)
		if (!(table->flags & CTL_OPERAND) && value_is_near(name, table->name))
			return table->name;
	return NULL;
}

static int refuse_name(const struct ctl_option *own, const char *name, size_t n, char *ret_why,
		       size_t why_cap)
{
	const char *meant;
	char word[41];

	snprintf(word, sizeof(word), "%.*s", n < sizeof(word) ? (int)n : 40, name);
	if (strcmp(word, "ck") == 0 || strcmp(word, "ik") == 0) {
		snprintf(ret_why, why_cap, "keys are not for the command line, where everybody can "
					   "read them: they come on standard input");
		return -EINVAL;
	}
	meant = near_name(own, word);
	if (!meant)
		meant = near_name(common_options, word);
	snprintf(ret_why, why_cap, "there is no option --%s%s%s%s", word,
		 meant ? "; did you mean --" : "", meant ? meant : "", meant ? "?" : "");
	return -EINVAL;
}

/* @argv[*@index] begins with "--". */
static int parse_named(const struct ctl_option *own, int argc, char **argv, int *index,
		       json_t *args, char *ret_why, size_t why_cap)
{
	const char *name = argv[(*index)++] + 2;
	const char *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct ctl_option *option = find_in(own, name, n);
	const char *value = equals ? equals + 1 : NULL;

	if (!option)
		option = find_in(common_options, name, n);
	if (!option) {
		return refuse_name(own, name, n, ret_why, why_cap);
	}
	return set_from(option, value, argc, argv, index, args, ret_why, why_cap);
}

/* @argv[*@index] begins with one "-" and goes on: "-o json" or "-ojson". */
static int parse_letter(int argc, char **argv, int *index, json_t *args, char *ret_why,
			size_t why_cap)
{
	const char *word = argv[(*index)++];
	const struct ctl_option *option = find_letter(word[1]);

	if (!option || (option->kind == CTL_FLAG && word[2])) {
		snprintf(ret_why, why_cap,
			 "there is no option %.40s (if it is a value, put -- before it)", word);
		return -EINVAL;
	}
	return set_from(option, word[2] ? word + 2 : NULL, argc, argv, index, args, ret_why,
			why_cap);
}

static int parse_operand(const struct ctl_option *own, const char *text, json_t *args,
			 char *ret_why, size_t why_cap)
{
	const struct ctl_option *option = options_next_operand(own, args);

	if (!option) {
		snprintf(ret_why, why_cap, "\"%.60s\" is one argument too many", text);
		return -EINVAL;
	}
	return set_option(option, text, args, ret_why, why_cap);
}

int options_parse(const struct ctl_option *own, int argc, char **argv, int *index, json_t *args,
		  char *ret_why, size_t why_cap)
{
	bool operands_only = false;

	while (*index < argc) {
		const char *word = argv[*index];
		int r;

		if (!operands_only && strcmp(word, "--") == 0 && own) {
			operands_only = true;
			(*index)++;
			continue;
		}
		if (!operands_only && strncmp(word, "--", 2) == 0) {
			r = parse_named(own, argc, argv, index, args, ret_why, why_cap);
		} else if (!operands_only && word[0] == '-' && word[1]) {
			r = parse_letter(argc, argv, index, args, ret_why, why_cap);
		} else if (own) {
			(*index)++;
			r = parse_operand(own, word, args, ret_why, why_cap);
		} else {
			return 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int options_complete(const struct ctl_option *own, const json_t *args, char *ret_why,
		     size_t why_cap)
{
	char key[KEY_BYTES];

	for (const struct ctl_option *o = own; o->name; o++) {
		if (!(o->flags & CTL_REQUIRED) || json_object_get(args, key_of(o, key)))
			continue;
		if (o->flags & (CTL_OPERAND | CTL_EITHER))
			snprintf(ret_why, why_cap, "%s is missing: %s", o->metavar, o->help);
		else
			snprintf(ret_why, why_cap, "--%s %s is missing: %s", o->name, o->metavar,
				 o->help);
		return -EINVAL;
	}
	return 0;
}

json_t *options_params(const struct ctl_option *own, const json_t *args)
{
	json_t *params = json_object();
	char key[KEY_BYTES];

	for (const struct ctl_option *o = own; params && o->name; o++) {
		json_t *value = json_object_get(args, key_of(o, key));

		if (o->flags & CTL_LOCAL || !value)
			continue;
		if (json_object_set(params, key, value) < 0) {
			json_decref(params);
			return NULL;
		}
	}
	return params;
}

const char *options_text(const json_t *args, const char *key)
{
	return json_string_value(json_object_get(args, key));
}

/* "--name VALUE", "[--name] VALUE" or "VALUE" */
static void format_option(const struct ctl_option *o, char *buf, size_t cap)
{
	if (o->flags & CTL_OPERAND)
		snprintf(buf, cap, "%s", o->metavar);
	else if (letter_of(o) && o->kind == CTL_FLAG)
		snprintf(buf, cap, "-%c, --%s", letter_of(o), o->name);
	else if (letter_of(o))
		snprintf(buf, cap, "-%c, --%s %s", letter_of(o), o->name, o->metavar);
	else if (o->kind == CTL_FLAG)
		snprintf(buf, cap, "--%s", o->name);
	else if (o->flags & CTL_EITHER)
		snprintf(buf, cap, "[--%s] %s", o->name, o->metavar);
	else
		snprintf(buf, cap, "--%s %s", o->name, o->metavar);
}

#define USAGE_NAME_COLUMNS 28

static void usage_table(FILE *f, const struct ctl_option *table)
{
	char text[80];

	for (; table->name; table++) {
		format_option(table, text, sizeof(text));
		fprintf(f, "  %-*s", USAGE_NAME_COLUMNS, text);
		if (strlen(text) > USAGE_NAME_COLUMNS)
			fprintf(f, "\n  %*s", USAGE_NAME_COLUMNS, "");
		fprintf(f, " %s%s\n", table->help,
			table->kind == CTL_LIST ? "; may be repeated" : "");
	}
}

#define USAGE_COLUMNS 96

static void usage_line(FILE *f, const struct ctl_command *command)
{
	int indent = fprintf(f, "usage: secagreectl %s", command->name);
	int column = indent;

	for (const struct ctl_option *o = command->options; o->name; o++) {
		const char *more = o->kind == CTL_LIST ? "..." : "";
		char text[80], word[96];
		int n;

		format_option(o, text, sizeof(text));
		n = snprintf(word, sizeof(word), o->flags & CTL_REQUIRED ? " %s%s" : " [%s]%s",
			     text, more);
		if (column + n > USAGE_COLUMNS)
			column = fprintf(f, "\n%*s", indent, "") - 1;
		column += n;
		fputs(word, f);
	}
	fputs("\n", f);
}

/* By what a command has besides text and JSON. */
static const char *const FORMS[] = {
	[0] = "text|json",
	[CTL_HAS_WIDE] = "text|wide|json",
	[CTL_HAS_TSV] = "text|tsv|json",
	[CTL_HAS_WIDE | CTL_HAS_TSV] = "text|wide|tsv|json",
};

const char *options_forms(const struct ctl_command *command)
{
	return FORMS[command->forms & (CTL_HAS_WIDE | CTL_HAS_TSV)];
}

int options_form(const struct ctl_command *command, const json_t *args, enum ctl_form *ret,
		 char *ret_why, size_t why_cap)
{
	static const char *const WORDS[] = {
		[CTL_FORM_TEXT] = "text",
		[CTL_FORM_WIDE] = "wide",
		[CTL_FORM_TSV] = "tsv",
		[CTL_FORM_JSON] = "json",
	};
	const bool json = json_object_get(args, "json");
	const char *asked = options_text(args, "output");
	const char *forms = options_forms(command);
	enum ctl_form form = CTL_FORM_TEXT;

	if (!asked)
		asked = json ? "json" : "text";
	if (json && strcmp(asked, "json") != 0) {
		snprintf(ret_why, why_cap, "--json and -o %s: which of them?", asked);
		return -EINVAL;
	}
	if (!is_one_of(forms, asked)) {
		snprintf(ret_why, why_cap, "%s answers with -o %s, not %s", command->name, forms,
			 asked);
		return -EINVAL;
	}
	while (strcmp(WORDS[form], asked) != 0)
		form++;
	*ret = form;
	return 0;
}

void options_usage(FILE *f, const struct ctl_command *command)
{
	usage_line(f, command);
	if (command->help)
		fprintf(f, "%s\n", command->help);
	if (command->more)
		fprintf(f, "%s\n", command->more);
	if (command->options->name)
		fputs("\n", f);
	usage_table(f, command->options);
	if (command->method)
		fprintf(f, "\nAlso --socket PATH and -o %s, see secagreectl --help\n",
			options_forms(command));
	if (command->method && strchr(command->method, '.'))
		fprintf(f, "The daemon's method: %s, secagreed-control(7)\n", command->method);
}

void options_common_usage(FILE *f)
{
	usage_table(f, common_options);
}
