/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl release: of one set or one subscriber, which is one request, or of many: all phones,
 * those of a listener, those at an address.
 *
 * Many are listed first, counted, and asked about. Then they go phone by phone, each in a request of
 * its own: the daemon serves others in between, and whoever stops this half way has whole phones
 * released and whole phones not. What registers meanwhile from elsewhere is left alone. It is
 * secagreed that takes the SAs out of the kernel: SAs of others are never touched.
 */
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"

/* What was asked for makes sense together. */
static int check_args(const struct ctl *ctl, const json_t *args)
{
	const bool set = json_object_get(args, "set"), impi = json_object_get(args, "impi");
	const bool ue = json_object_get(args, "ue"), all = json_object_get(args, "all");
	const bool listener = json_object_get(args, "listener");

	if (!set && !impi && !ue && !listener && !all)
		return output_usage(ctl,
				    "release what? Give a SET, --impi, --ue, --listener or --all");
	if (set && (impi || ue || listener || all))
		return output_usage(ctl, "a SET is one set: it does not go with --impi, --ue, "
					 "--listener or --all");
	if (all && (impi || ue || listener))
		return output_usage(ctl, "--all does not go with --impi, --ue or --listener");
	if (impi && listener)
		return output_usage(ctl, "--impi does not go with --listener");
	if (json_object_get(args, "impu") && !set && !impi)
		return output_usage(ctl, "--impu goes with a SET or --impi");
	return CTL_YES;
}

/* The phones of @sets, each once: {key: [impi, ue]}. NULL: out of memory. */
static json_t *phones_of(const json_t *sets)
{
	json_t *phones = json_object();
	json_t *set;
	size_t i;

	json_array_foreach (sets, i, set) {
		const char *impi = options_text(set, "impi"), *ue = options_text(set, "ue");
		char key[2048];

		if (!impi || !ue)
			continue;
		snprintf(key, sizeof(key), "%s %s", ue, impi);
		if (json_object_set_new(phones, key, json_pack("[s, s]", impi, ue)) < 0) {
			json_decref(phones);
			return NULL;
		}
	}
	return phones;
}

static int confirm(const struct ctl *ctl, const json_t *args, size_t sets, size_t phones)
{
	char answer[16] = "", why[CTL_WHY_BYTES];

	if (json_object_get(args, "yes"))
		return CTL_YES;
	if (!isatty(STDIN_FILENO)) {
		snprintf(why, sizeof(why),
			 "this would release %zu set%s of %zu phone%s; say --yes if you mean it",
			 sets, human_s(sets), phones, human_s(phones));
		return output_usage(ctl, why);
	}
	fprintf(stderr,
		"Release %zu set%s of %zu phone%s? They cannot be reached until they register "
		"again. [y/N] ",
		sets, human_s(sets), phones, human_s(phones));
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return CTL_YES;
	fputs("Nothing was released.\n", stderr);
	if (ctl->json)
		return output_json(json_pack("{s:i, s:i}", "sets", 0, "phones", 0), CTL_NO);
	return CTL_NO;
}

/* @ret_sets: how many went, also on failure. */
static int release_phones(const struct ctl *ctl, struct client *client, json_t *phones,
			  json_t *linger, size_t *ret_sets)
{
	const size_t count = json_object_size(phones);
	size_t sets = 0, done = 0;
	int status = CTL_YES;
	const char *key;
	json_t *phone, *result;

	json_object_foreach (phones, key, phone) {
		json_t *params = json_pack("{s:O, s:O, s:O*}", "impi", json_array_get(phone, 0),
					   "ue", json_array_get(phone, 1), "linger", linger);

		status = rpc_call_on(ctl, client, "sa.release", params, &result);
		if (status != CTL_YES)
			break;
		sets += json_array_size(json_object_get(result, "released"));
		json_decref(result);
		progress_count("phones released", ++done, count);
	}
	progress_end();
	if (status != CTL_YES)
		fprintf(stderr, "secagreectl: stopped after %zu of %zu phone%s\n", done, count,
			human_s(count));
	*ret_sets = sets;
	return status;
}

static int release_listed(const struct ctl *ctl, struct client *client, const json_t *args,
			  const json_t *sets)
{
	json_t *phones = phones_of(sets);
	const size_t count = json_object_size(phones);
	size_t released = 0;
	int status = CTL_YES;

	if (!phones)
		return output_no_memory(ctl);
	if (count)
		status = confirm(ctl, args, json_array_size(sets), count);
	if (status == CTL_YES)
		status = release_phones(ctl, client, phones, json_object_get(args, "linger"),
					&released);
	json_decref(phones);
	if (status != CTL_YES)
		return status;
	return rpc_print(ctl, json_pack("{s:I, s:I}", "sets", (json_int_t)released, "phones",
					(json_int_t)count),
			 CTL_YES);
}

static int release_many(const struct ctl *ctl, const json_t *args)
{
	json_t *filter = json_pack("{s:O*, s:O*}", "ue", json_object_get(args, "ue"), "listener",
				   json_object_get(args, "listener"));
	struct client client;
	json_t *all = NULL;
	int status = rpc_open(ctl, &client);

	if (status == CTL_YES) {
		status = list_read(ctl, &client, filter, &all);
		if (status == CTL_YES)
			status = release_listed(ctl, &client, args, json_object_get(all, "sets"));
		client_close(&client);
	}
	json_decref(filter);
	json_decref(all);
	return status;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	const int status = check_args(ctl, args);

	if (status != CTL_YES)
		return status;
	if (json_object_get(args, "set") || json_object_get(args, "impi"))
		return rpc_run(ctl, command, args);
	return release_many(ctl, args);
}

static const struct ctl_option options[] = {
	{"set", CTL_TEXT, CTL_EITHER, "SET", "the set that a phone de-registered over; or"},
	{"impi", CTL_TEXT, 0, "IMPI", "all sets of this subscriber; or"},
	{"ue", CTL_TEXT, 0, "ADDRESS", "all sets at this address; with --impi, of that one"},
	{"listener", CTL_TEXT, CTL_LOCAL, "LISTENER", "all sets of this listener; or"},
	{"all", CTL_FLAG, CTL_LOCAL, NULL, "all sets"},
	{"impu", CTL_LIST, 0, "IMPU", "only this identity; the sets go with the last"},
	{"linger", CTL_NUMBER, 0, "SECONDS", "let them live that long still"},
	{"yes", CTL_FLAG, CTL_LOCAL, NULL, "do not ask before many go"},
	{0},
};

const struct ctl_command ctl_release = {
	.name = "release",
	.run = run,
	.help = "no longer registered: the sets go, of one phone or of many",
	.method = "sa.release",
	.options = options,
	.more = "Their SAs leave the kernel. With --ue, --listener or --all it asks first.\n"
		"Exit status 3: the answer was no.",
	.forms = CTL_HAS_TSV,
};
