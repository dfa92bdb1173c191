/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl: what its files share. One file per subcommand or family, each with its own
 * struct ctl_command; main.c has the list of them.
 */
#ifndef DAEMON_CTL_CTL_H
#define DAEMON_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/agreement_json.h"
#include "proto/keymat.h"

/* What the program's exit status says. secagreectl(8). */
enum ctl_exit {
	CTL_YES = 0,
	CTL_REFUSED = 1, /* bad input, or the daemon said no */
	CTL_USAGE = 2,
	CTL_NO = 3, /* the question was good and the answer is negative */
	CTL_UNREACHABLE = 4,
};

#define CTL_WHY_BYTES 256

/* ---- options.c: one table per subcommand makes both the parser and the usage text ---- */

enum ctl_option_kind {
	CTL_TEXT,
	CTL_NUMBER, /* decimal, 32 bits */
	CTL_LIST,   /* text; may be repeated */
	CTL_FLAG,   /* no value */
};

#define CTL_REQUIRED 0x1U
#define CTL_OPERAND  0x2U /* stands without --name */
#define CTL_EITHER   0x4U /* may stand without --name */
#define CTL_LOCAL    0x8U /* for the program, not for the daemon */

struct ctl_option {
	const char *name; /* NULL ends a table */
	enum ctl_option_kind kind;
	unsigned flags;
	const char *metavar; /* "a|b": nothing else is taken. complete.c knows some others */
	const char *help;
};

/* How an answer is printed. */
enum ctl_form {
	CTL_FORM_TEXT, /* for people */
	CTL_FORM_WIDE, /* the same with more columns */
	CTL_FORM_TSV,  /* values as they are, with tabs between; the first line names them */
	CTL_FORM_JSON,
};

struct ctl {
	const char *socket_path;
	enum ctl_form form;
	bool json;                         /* form is CTL_FORM_JSON */
	const struct ctl_command *command; /* NULL: there is none yet */
};

/* The forms that a command has besides text and JSON. */
#define CTL_HAS_WIDE 0x1U
#define CTL_HAS_TSV  0x2U

struct ctl_command {
	const char *name;
	/* @args: what the options gave, by name with '_' for '-'; borrowed.
	 * Returns an exit status. */
	int (*run)(const struct ctl *ctl, const struct ctl_command *command, const json_t *args);
	const char *help;   /* one line; NULL: it is not for people, and not listed */
	const char *method; /* the daemon's, NULL when it is not asked */
	const struct ctl_option *options;
	const char *more; /* further lines for --help, or NULL */
	unsigned forms;   /* CTL_HAS_* */

	/* For rpc_run() and rpc_ask(), either may be NULL. */
	int (*status)(const json_t *result); /* what the answer means; else CTL_YES */
	void (*print)(json_t *result);       /* for people; else as it comes */
};

/* Read @argv[*@index...] into the object @args: @own options (may be NULL) and the common ones.
 * With @own NULL it stops at the first word that is no option. Returns 0 (*@index = first word not
 * read), or -EINVAL or -ENOMEM with @ret_why. */
int options_parse(const struct ctl_option *own, int argc, char **argv, int *index, json_t *args,
		  char *ret_why, size_t why_cap);

/* The option that @word, "--name" or "-x", names in @own (may be NULL) or among the common ones; the
 * one that the next operand is, NULL when there can be none; whether it is in @args. */
const struct ctl_option *options_find(const struct ctl_option *own, const char *word);
const struct ctl_option *options_next_operand(const struct ctl_option *own, const json_t *args);
bool options_given(const json_t *args, const struct ctl_option *option);
const struct ctl_option *options_common(void);

/* "text|tsv|json": what -o may say to @command. */
const char *options_forms(const struct ctl_command *command);

/* -EINVAL when a required option of @own is not in @args. */
int options_complete(const struct ctl_option *own, const json_t *args, char *ret_why,
		     size_t why_cap);

/* How @args want the answer of @command. Returns 0, or -EINVAL with @ret_why. */
int options_form(const struct ctl_command *command, const json_t *args, enum ctl_form *ret,
		 char *ret_why, size_t why_cap);

/* The usage of one subcommand. */
void options_usage(FILE *f, const struct ctl_command *command);
void options_common_usage(FILE *f);

/* The part of @args that goes to the daemon: a new object, NULL when out of memory. */
json_t *options_params(const struct ctl_option *own, const json_t *args);

/* A text argument, or NULL. */
const char *options_text(const json_t *args, const char *key);

/* ---- value.c ---- */

/* What @option wants instead of @text, NULL when @text will do. */
const char *value_wanted(const struct ctl_option *option, const char *text);

/* Who writes @name may have meant @meant. */
bool value_is_near(const char *name, const char *meant);

/* ---- output.c ---- */

/* How all of it is written: one line, q as it was given (0.1, not 0.1000000000000000055), and plain
 * ASCII, since a phone's quoted strings may end up on a terminal. */
#define CTL_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII)

/* Print @json (stolen; NULL = out of memory) as one line and return @status, or CTL_REFUSED when it
 * could not be written. */
int output_json(json_t *json, int status);

/* The same of what was written to @out, which is done with. */
int output_written(struct json_out *out, int status);

/* The same with a JSON string, which is printed as text. */
int output_text(json_t *string);

/* What failed here and not in the daemon: @why in words on standard error and, for JSON,
 * {"error":{"reason","detail"}} on standard output. Returns @status. */
int output_failure(const struct ctl *ctl, int status, const char *reason, const char *why);
int output_usage(const struct ctl *ctl, const char *why);
int output_no_memory(const struct ctl *ctl);

/* The error of a question that needs no daemon: {"error":{"reason","detail","offset"}} on standard
 * output; @offset below 0 is left out. Returns CTL_REFUSED. */
int output_error(const char *reason, const char *detail, long offset);
json_t *output_error_json(const char *reason, const char *detail, long offset);

/* ---- input.c ---- */

/* All that @fd has, at most @cap bytes. Returns 0, -E2BIG (there is more), or a read's -errno. */
int input_read(int fd, char *buf, size_t cap, size_t *ret_n);

/* Read the Security-* header from the header lines on standard input. With @client_only any other
 * than Security-Client is refused. Returns CTL_YES, then @ret is for agreement_done(); any other
 * status: the error has been printed. */
int input_agreement(bool client_only, struct agreement *ret);

/* ---- listener.c ---- */

struct config_listener;

/* What --listener NAME in --config FILE is, the first one without NAME, or the defaults without
 * FILE. Returns CTL_YES; any other status: the error has been printed. */
int listener_read(const struct ctl *ctl, const json_t *args, struct config_listener *ret);

/* ---- aka_keys.c ---- */

/* Secret: aka_keys_wipe(). */
struct aka_keys {
	uint8_t ck[KEYMAT_AKA_BYTES], ik[KEYMAT_AKA_BYTES];
};

/* One line "ck=HEX" and one "ik=HEX", in any order. @ret_why never has anything of the input.
 * Returns 0, -EINVAL or a read's -errno, both with @ret_why. */
int aka_keys_read(int fd, struct aka_keys *ret, char *ret_why, size_t why_cap);
void aka_keys_wipe(struct aka_keys *keys);

/* ---- client.c ---- */

struct client {
	int fd;
	bool quiet;       /* no progress_waiting() */
	unsigned limit_s; /* for an answer; client_open() sets a minute */
	json_int_t id; /* of the last request */
	char *buf;     /* what has been received and not used */
	size_t used, cap;
};

/* Connect. On failure @ret_why is a sentence for a person. Returns 0 or -errno. */
int client_open(const char *path, struct client *ret, char *ret_why, size_t why_cap);

/* One request, one reply. @params is borrowed. @ret_reply: the whole JSON-RPC response.
 * Returns 0, or -errno with @ret_why: -EILSEQ (a parameter is not UTF-8), else the connection is
 * of no more use. */
int client_call(struct client *client, const char *method, json_t *params, json_t **ret_reply,
		char *ret_why, size_t why_cap);

/* The next message that the daemon sends by itself, however long that takes; a new reference.
 * Returns 0, or -errno with @ret_why. */
int client_wait(struct client *client, json_t **ret_message, char *ret_why, size_t why_cap);
void client_close(struct client *client);

/* ---- rpc.c ---- */

/* Ask the daemon once. Returns CTL_YES, then @ret_result is a new reference; any other status: the
 * error has been printed. @params is stolen. */
int rpc_call(const struct ctl *ctl, const char *method, json_t *params, json_t **ret_result);

/* The same on a connection that is there. */
int rpc_call_on(const struct ctl *ctl, struct client *client, const char *method, json_t *params,
		json_t **ret_result);
int rpc_open(const struct ctl *ctl, struct client *ret);

/* The same; but an error with the reason @silent (may be NULL) is CTL_NO, and is not printed. */
int rpc_try_on(const struct ctl *ctl, struct client *client, const char *method, json_t *params,
	       const char *silent, json_t **ret_result);
/* Print @result (stolen) in the form that was asked for; tables only where they are members of it.
 * Returns @status, or CTL_REFUSED when it could not be written. */
int rpc_print(const struct ctl *ctl, json_t *result, int status);

/* Ask for @command's method once and print the answer as @command wants it. @params is stolen. */
int rpc_ask(const struct ctl *ctl, const struct ctl_command *command, json_t *params);

/* The same with the options as params: a subcommand that is nothing but its table. */
int rpc_run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args);

/* ---- human.c: answers for people ---- */

enum human_form {
	HUMAN_PLAIN,
	HUMAN_WORD,    /* in its colour */
	HUMAN_SECONDS, /* 93784 as 1d2h */
	HUMAN_ADDRESS, /* @key and the port @key2 */
};

struct human_column {
	const char *title;
	const char *key; /* "chosen.alg": a member of a member */
	const char *key2; /* plain: where there is no @key */
	enum human_form form;
};

/* Objects of the array @rows as aligned columns; @columns ends with a NULL title. */
void human_table(FILE *f, const json_t *rows, const struct human_column *columns, int indent);

/* An object, one member a line, arrays of objects as tables after it. The member @skip (may be
 * NULL) is left out. */
void human_block(FILE *f, const json_t *object, const char *skip);

/* Text of others on a terminal: control characters become '?'. */
void human_text(FILE *f, const char *text);

/* What @count things end in: "s", or "" when it is one. */
const char *human_s(size_t count);

/* 93784 as 1d2h; below 0 as "-". */
void human_seconds(FILE *f, json_int_t s);

/* The member of @object that @path ("chosen.alg") leads to, or NULL. */
const json_t *human_member(const json_t *object, const char *path);

/* ---- list.c ---- */

/* What sa.list says on all pages, or on one with "limit". @params is borrowed, and changed. Returns
 * CTL_YES; any other status: the error has been printed. */
int list_read(const struct ctl *ctl, struct client *client, json_t *params, json_t **ret);

/* ---- keys.c ---- */

/* The word number @i that a value called @metavar may be: "ALG", "EALG" or "PROT"; NULL behind the
 * last, and for all others. */
const char *keys_word(const char *metavar, size_t i);

/* ---- monitor.c ---- */

/* An event of event.list in one line. */
void monitor_print(FILE *f, json_t *event);

/* " key=value" of it, as in the log. */
void monitor_print_field(FILE *f, const char *key, const json_t *value);

/* ---- tsv.c: the same for scripts ---- */

/* Only the keys of @columns count. */
void tsv_table(FILE *f, const json_t *rows, const struct human_column *columns);

/* One line a value: its path ("sets.current", "listeners.0.name"), a tab, the value. */
void tsv_block(FILE *f, const json_t *object);

/* ---- colour.c ---- */

enum colour {
	COLOUR_NONE,
	COLOUR_BOLD,
	COLOUR_DIM,
	COLOUR_RED,
	COLOUR_GREEN,
	COLOUR_YELLOW,
	COLOUR_CYAN,
};

/* What switches @colour on, or off again, on @f; "" when @f is no terminal or $NO_COLOR is set. */
const char *colour_on(FILE *f, enum colour colour);
const char *colour_off(FILE *f, enum colour colour);

/* Of a state or level, by its word. */
enum colour colour_of(const char *word);

/* ---- progress.c: one line on standard error, if that is a terminal, of what takes long ---- */

/* The daemon has not answered for @s seconds. */
void progress_waiting(unsigned s);
void progress_waited(void);

/* @done of @total things; 0 = not known. Nothing is shown in the first second. */
void progress_count(const char *what, size_t done, size_t total);

/* Take the line away, before anything else is printed. */
void progress_end(void);

/* ---- the subcommands ---- */

extern const struct ctl_command ctl_offer, ctl_check, ctl_confirm, ctl_fail, ctl_extend,
	ctl_release, ctl_route, ctl_list, ctl_show, ctl_status, ctl_audit, ctl_methods,
	ctl_version, ctl_monitor, ctl_call, ctl_parse, ctl_select, ctl_compare, ctl_decide,
	ctl_keys, ctl_export_keys, ctl_doctor, ctl_explain, ctl_stats, ctl_top, ctl_reload,
	ctl_complete;

/* main.c: all of them, NULL behind the last. */
const struct ctl_command *ctl_command_at(size_t i);
const struct ctl_command *ctl_command_named(const char *name);

#endif
