/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl export-keys: the keys of security associations, as JSON or as lines of Wireshark's file
 * esp_sa.
 *
 * What Wireshark cannot express is a comment among the lines, so that the file says what it lacks.
 * All of it is secret: it goes past stdio (output.c), and each copy is wiped.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/wipe.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static json_t *comment(const json_t *sa)
{
	const char *why = json_object_get(sa, "lost") ? "the kernel has no such SA any more"
						      : text_of(sa, "no_esp_sa");

	return json_sprintf("# %s %s -> %s spi 0x%08x: %s", text_of(sa, "proto"),
			    text_of(sa, "src"), text_of(sa, "dst"),
			    (unsigned)json_integer_value(json_object_get(sa, "spi")), why);
}

static int print_sa(json_t *sa)
{
	json_t *line = json_object_get(sa, "esp_sa");

	return output_text(line ? json_incref(line) : comment(sa));
}

static int print_sets(const json_t *result)
{
	int status = CTL_YES;
	json_t *set, *sa;
	size_t i, k;

	json_array_foreach(json_object_get(result, "sets"), i, set) {
		json_array_foreach(json_object_get(set, "sas"), k, sa) {
			if (status == CTL_YES)
				status = print_sa(sa);
		}
	}
	return status;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	json_t *result;
	int status;

	status = rpc_call(ctl, command->method, options_params(command->options, args), &result);
	if (status != CTL_YES)
		return status;
	if (ctl->json || !json_object_get(args, "wireshark"))
		return output_json(result, CTL_YES);
	status = print_sets(result);
	json_decref(result);
	return status;
}

static const struct ctl_option options[] = {
	{"wireshark", CTL_FLAG, CTL_LOCAL, NULL, "lines for Wireshark's file esp_sa"},
	{"set", CTL_TEXT, CTL_EITHER, "SET", "only of this set"},
	{"impi", CTL_TEXT, 0, "IMPI", "only of this subscriber"},
	{"ue", CTL_TEXT, 0, "ADDRESS", "only of the phone at this address"},
	{0},
};

const struct ctl_command ctl_export_keys = {
	.name = "export-keys",
	.run = run,
	.help = "keys for decoding a capture (root; allow-key-export)",
	.method = "sa.export_keys",
	.options = options,
	.more = "Without --wireshark it prints JSON. All of it is secret.",
};
