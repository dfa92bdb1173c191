/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl keys: the keys that the kernel gets for a combination, from CK and IK on standard
 * input (TS 33.203 Annex I), with the kernel's names of the algorithms.
 *
 * For comparing with a phone's or another P-CSCF's, and with what "ip xfrm state" shows. The answer
 * is secret; every copy of a key that this program made is wiped before it ends. No daemon is
 * asked.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "daemon/plan.h"
#include "proto/text.h"

const char *keys_word(const char *metavar, size_t i)
{
	if (strcmp(metavar, "ALG") == 0)
		return i < IPSEC_ALG_UNKNOWN ? ipsec_alg_name((enum ipsec_alg)i) : NULL;
	if (strcmp(metavar, "EALG") == 0)
		return i < IPSEC_EALG_UNKNOWN ? ipsec_ealg_name((enum ipsec_ealg)i) : NULL;
	if (strcmp(metavar, "PROT") == 0)
		return i < IPSEC_PROT_UNKNOWN ? ipsec_prot_name((enum ipsec_prot)i) : NULL;
	return NULL;
}

/* The options that mean @given, when it is the word of the other option, or a combination as
 * secagreed.conf(5) writes it: aes-gcm, hmac-sha-1-96/aes-cbc. */
static void say_meant(struct text_out *out, const char *given)
{
	const char *slash = strchr(given, '/');
	const struct span alg_text = {given, slash ? (size_t)(slash - given) : strlen(given)};
	const enum ipsec_ealg ealg = ipsec_ealg_of(span_of(slash ? slash + 1 : given));
	enum ipsec_alg alg = ipsec_alg_of(alg_text);

	if (!slash && ealg == IPSEC_EALG_AES_GCM)
		alg = IPSEC_ALG_NULL;
	else if (!slash && ealg != IPSEC_EALG_UNKNOWN)
		alg = IPSEC_ALG_HMAC_SHA_1_96;
	if (alg == IPSEC_ALG_UNKNOWN || (slash && ealg == IPSEC_EALG_UNKNOWN))
		return;
	text_out_printf(out, "; did you mean --alg %s", ipsec_alg_name(alg));
	if (ealg != IPSEC_EALG_UNKNOWN)
		text_out_printf(out, " --ealg %s", ipsec_ealg_name(ealg));
	text_out(out, "?");
}

/* @given is no word of @option. Returns @why. */
static const char *unknown(const struct ctl_option *option, const char *given,
			   char why[static CTL_WHY_BYTES])
{
	struct text_out out;
	const char *word;

	text_out_init(&out, why, CTL_WHY_BYTES);
	text_out_printf(&out, "\"%.40s\" is no %s, which is one of", given, option->name);
	for (size_t i = 0; (word = keys_word(option->metavar, i)); i++)
		text_out_printf(&out, "%s %s", i ? "," : "", word);
	say_meant(&out, given);
	return why;
}

static const struct ctl_option options[] = {
	{"alg", CTL_TEXT, CTL_LOCAL | CTL_REQUIRED, "ALG", "integrity algorithm"},
	{"ealg", CTL_TEXT, CTL_LOCAL, "EALG", "encryption algorithm (default: null)"},
	{"prot", CTL_TEXT, CTL_LOCAL, "PROT", "esp or ah (default: esp)"},
	{0},
};

/* NULL, or why the arguments name no combination; that may be in @why. */
static const char *suite_of(const json_t *args, struct ipsec_suite *ret,
			    char why[static CTL_WHY_BYTES])
{
	const char *alg = options_text(args, "alg");
	const char *ealg = options_text(args, "ealg");
	const char *prot = options_text(args, "prot");

	*ret = (struct ipsec_suite){
		.alg = ipsec_alg_of(span_of(alg)),
		.ealg = ealg ? ipsec_ealg_of(span_of(ealg)) : IPSEC_EALG_NULL,
		.prot = prot ? ipsec_prot_of(span_of(prot)) : IPSEC_PROT_ESP,
		.mod = IPSEC_MOD_TRANS,
	};
	if (ret->alg == IPSEC_ALG_UNKNOWN)
		return unknown(&options[0], alg, why);
	if (ret->ealg == IPSEC_EALG_UNKNOWN)
		return unknown(&options[1], ealg, why);
	if (ret->prot == IPSEC_PROT_UNKNOWN)
		return unknown(&options[2], prot, why);
	return ipsec_suite_fault(ret);
}

static json_t *key_json(const struct xfrm_key *key, bool with_icv)
{
	const struct xfrm_algo_info *info = xfrm_algo_info(key->algo);
	char hex[2 * XFRM_MAX_KEY_BYTES + 1];
	json_t *json;

	text_to_hex(key->bytes, info->key_bytes, hex);
	json = json_pack("{s:s, s:s}", "algorithm", info->name, "key", hex);
	explicit_bzero(hex, sizeof(hex));
	if (with_icv &&
	    json_object_set_new(json, "icv_bits", json_integer((json_int_t)info->icv_bits)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *keys_json(const struct xfrm_key *auth, const struct xfrm_key *enc)
{
	json_t *json;

	if (auth->algo == XFRM_ALGO_NONE)
		return json_pack("{s:o}", "aead", key_json(enc, true));
	json = json_pack("{s:o}", "auth", key_json(auth, true));
	if (enc->algo != XFRM_ALGO_NONE &&
	    json_object_set_new(json, "enc", key_json(enc, false)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static int answer(const struct ipsec_suite *suite, const struct aka_keys *aka)
{
	struct xfrm_key auth, enc;
	struct keymat keymat;
	json_t *json;
	int r = keymat_expand(suite, aka->ck, aka->ik, &keymat);

	if (r < 0)
		return output_error("internal", "the crypto library has no HMAC-SHA-256", -1);
	plan_algorithms(suite, &keymat, &auth, &enc);
	keymat_wipe(&keymat);
	json = keys_json(&auth, &enc);
	explicit_bzero(&auth, sizeof(auth));
	explicit_bzero(&enc, sizeof(enc));
	return output_json(json, CTL_YES);
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	struct ipsec_suite suite;
	struct aka_keys aka;
	char why[CTL_WHY_BYTES];
	const char *fault = suite_of(args, &suite, why);
	int status;

	(void)ctl;
	(void)command;
	if (fault)
		return output_error("bad_algorithm", fault, -1);
	if (aka_keys_read(STDIN_FILENO, &aka, why, sizeof(why)) < 0)
		return output_error("bad_keys", why, -1);
	status = answer(&suite, &aka);
	aka_keys_wipe(&aka);
	return status;
}

const struct ctl_command ctl_keys = {
	.name = "keys",
	.run = run,
	.help = "the kernel's keys from CK and IK on standard input",
	.options = options,
	.more = "Reads the lines ck=HEX and ik=HEX. The answer is secret.",
};
