/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl offer: a temporary set for a phone, as the front end makes one when a 401 with CK and
 * IK passes. For labs and for trying a configuration out.
 *
 * The keys come from standard input or a file, never from the command line. They live in the
 * request and in one struct, both wiped; the answer has none.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"

static int read_keys(const struct ctl *ctl, const char *path, struct aka_keys *ret)
{
	char why[CTL_WHY_BYTES], words[CTL_WHY_BYTES + 16];
	int fd = STDIN_FILENO;
	int r;

	if (path) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			snprintf(why, sizeof(why), "%.128s: %s", path, strerror(errno));
			return output_failure(ctl, CTL_REFUSED, "bad_keys", why);
		}
	}
	r = aka_keys_read(fd, ret, why, sizeof(why));
	if (path)
		close(fd);
	if (r == 0)
		return CTL_YES;
	snprintf(words, sizeof(words), "keys: %s", why);
	return output_failure(ctl, CTL_REFUSED, "bad_keys", words);
}

static int add_key(json_t *params, const char *name, const uint8_t key[static KEYMAT_AKA_BYTES])
{
	char hex[2 * KEYMAT_AKA_BYTES + 1];
	int r;

	text_to_hex(key, KEYMAT_AKA_BYTES, hex);
	r = json_object_set_new(params, name, json_string(hex));
	explicit_bzero(hex, sizeof(hex));
	return r;
}

static int ask(const struct ctl *ctl, const struct ctl_command *command, json_t *params,
	       const struct aka_keys *keys)
{
	if (add_key(params, "ck", keys->ck) < 0 || add_key(params, "ik", keys->ik) < 0) {
		json_decref(params);
		return output_no_memory(ctl);
	}
	return rpc_ask(ctl, command, params);
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	struct aka_keys keys;
	int status = read_keys(ctl, options_text(args, "keys"), &keys);

	if (status != CTL_YES)
		return status;
	status = ask(ctl, command, options_params(command->options, args), &keys);
	aka_keys_wipe(&keys);
	return status;
}

static const struct ctl_option options[] = {
	{"impi", CTL_TEXT, CTL_REQUIRED, "IMPI", "private identity of the subscriber"},
	{"ue", CTL_TEXT, CTL_REQUIRED, "ADDRESS", "where the REGISTER came from"},
	{"pcscf", CTL_TEXT, 0, "ADDRESS", "where it arrived; or else --listener"},
	{"listener", CTL_TEXT, 0, "LISTENER", "the listener where it arrived"},
	{"security-client", CTL_LIST, CTL_REQUIRED, "VALUE", "one header line, without its name"},
	{"impu", CTL_LIST, 0, "IMPU", "public identity"},
	{"via", CTL_TEXT, 0, "ADDRESS", "sent-by of the top Via: another address means a NAT"},
	{"over", CTL_TEXT, 0, "SET", "the set that the REGISTER came over"},
	{"contact", CTL_TEXT, 0, "CONTACT", "which contact, when one address has several"},
	{"transaction", CTL_TEXT, 0, "TOKEN", "asked again with it, the answer is the same"},
	{"keys", CTL_TEXT, CTL_LOCAL, "FILE", "lines ck=HEX and ik=HEX (default: standard input)"},
	{0},
};

const struct ctl_command ctl_offer = {
	.name = "offer",
	.run = run,
	.help = "make a temporary set from a Security-Client header and keys",
	.method = "sa.offer",
	.options = options,
	.forms = CTL_HAS_TSV,
};
