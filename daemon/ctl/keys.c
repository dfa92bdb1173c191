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

/* NULL, or why the arguments name no combination. */
static const char *suite_of(const json_t *args, struct ipsec_suite *ret)
{
	const char *ealg = options_text(args, "ealg");
	const char *prot = options_text(args, "prot");

	*ret = (struct ipsec_suite){
		.alg = ipsec_alg_of(span_of(options_text(args, "alg"))),
		.ealg = ealg ? ipsec_ealg_of(span_of(ealg)) : IPSEC_EALG_NULL,
		.prot = prot ? ipsec_prot_of(span_of(prot)) : IPSEC_PROT_ESP,
		.mod = IPSEC_MOD_TRANS,
	};
	if (ret->alg == IPSEC_ALG_UNKNOWN)
		return "no such alg: hmac-md5-96, hmac-sha-1-96, aes-gmac or null";
	if (ret->ealg == IPSEC_EALG_UNKNOWN)
		return "no such ealg: null, des-ede3-cbc, aes-cbc or aes-gcm";
	if (ret->prot == IPSEC_PROT_UNKNOWN)
		return "no such prot: esp or ah";
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
	const char *fault = suite_of(args, &suite);
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

static const struct ctl_option options[] = {
	{"alg", CTL_TEXT, CTL_LOCAL | CTL_REQUIRED, "ALG", "integrity algorithm"},
	{"ealg", CTL_TEXT, CTL_LOCAL, "EALG", "encryption algorithm (default: null)"},
	{"prot", CTL_TEXT, CTL_LOCAL, "PROT", "esp or ah (default: esp)"},
	{0},
};

const struct ctl_command ctl_keys = {
	.name = "keys",
	.run = run,
	.help = "the kernel's keys from CK and IK on standard input",
	.options = options,
	.more = "Reads the lines ck=HEX and ik=HEX. The answer is secret.",
};
