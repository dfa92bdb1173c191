/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The choice of one offer out of a Security-Client, TS 33.203 7.2.
 *
 * Two passes. The first judges each offer by itself: can it be used here at all, and as which
 * suite? What passes gets a rank, a single number in which lower is better. The second finds the
 * lowest and tells all others what beat them. The phone's q and the order of its list take no part:
 * they only decide between two offers of the very same suite, where the first one wins.
 *
 * Encryption "off" is the one case in which the suite taken is not the suite offered: a phone that
 * sees no encryption in the Security-Server must select null (TS 33.203 7.2 NOTE 5), so that its
 * integrity algorithm may be taken from an offer with encryption too. The combination with null
 * must still be in the list of the listener, whose order ranks the integrity algorithms.
 */
#include "proto/select.h"

#include <limits.h>

#define NO_RANK UINT_MAX

/* What an offer would become. */
struct candidate {
	struct ipsec_suite suite;
	unsigned int rank; /* NO_RANK: it cannot be taken */
};

void select_policy_default(struct select_policy *ret)
{
	*ret = (struct select_policy){
		.pairs = {
			{IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM},
			{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC},
			{IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL},
			{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL},
		},
		.pair_count = 4,
		.encryption = SELECT_ENCRYPTION_PREFERRED,
		.esp = true,
		.trans = true,
		.udp_enc_tun = true,
	};
}

const char *select_verdict_name(enum select_verdict v)
{
	switch (v) {
	case SELECT_CHOSEN:
		return "chosen";
	case SELECT_NOT_PREFERRED:
		return "not_preferred";
	case SELECT_NOT_SUPPORTED:
		return "not_supported";
	case SELECT_REFUSED:
		return "refused";
	}
	return "?";
}

static bool prot_served(const struct select_policy *policy, enum ipsec_prot prot)
{
	switch (prot) {
	case IPSEC_PROT_ESP:
		return policy->esp;
	case IPSEC_PROT_AH:
		return policy->ah;
	case IPSEC_PROT_UNKNOWN:
		return false;
	}
	return false;
}

static bool mod_served(const struct select_policy *policy, enum ipsec_mod mod)
{
	switch (mod) {
	case IPSEC_MOD_TRANS:
		return policy->trans;
	case IPSEC_MOD_TUN:
		return policy->tun;
	case IPSEC_MOD_UDP_ENC_TUN:
		return policy->udp_enc_tun;
	case IPSEC_MOD_UNKNOWN:
		return false;
	}
	return false;
}

/* "hmac-sha-1-96 with aes-cbc"; an algorithm that does both jobs, or has no other form, alone. */
static void say_suite(struct text_out *why, const struct ipsec_suite *suite)
{
	if (suite->ealg == IPSEC_EALG_AES_GCM)
		text_out_printf(why, "aes-gcm");
	else if (suite->alg == IPSEC_ALG_AES_GMAC)
		text_out_printf(why, "aes-gmac");
	else
		text_out_printf(why, "%s with %s", ipsec_alg_name(suite->alg),
				ipsec_ealg_name(suite->ealg));
}

/* Can @suite's packets travel at all? SELECT_CHOSEN when they can. ah and tun are outside
 * TS 33.203, but a listener that serves them serves them in both dialects. */
static enum select_verdict judge_transport(const struct ipsec_suite *suite,
					   enum ipsec_dialect dialect,
					   const struct select_policy *policy, bool nat,
					   struct text_out *why)
{
	bool udp = suite->mod == IPSEC_MOD_UDP_ENC_TUN;

	if (!prot_served(policy, suite->prot)) {
		text_out_printf(why, "prot=%s is not served by this listener",
				ipsec_prot_name(suite->prot));
		return SELECT_NOT_SUPPORTED;
	}
	if (!mod_served(policy, suite->mod)) {
		text_out_printf(why, "mod=%s is not served by this listener",
				ipsec_mod_name(suite->mod));
		return SELECT_NOT_SUPPORTED;
	}
	if (udp && !ipsec_suite_in_profile(suite, dialect)) {
		text_out_printf(why, "mod=UDP-enc-tun is not part of RFC 3329");
		return SELECT_NOT_SUPPORTED;
	}
	if (udp != nat) {
		text_out_printf(why, nat ? "behind a NAT only mod=UDP-enc-tun works"
					 : "mod=UDP-enc-tun is for phones behind a NAT only");
		return SELECT_REFUSED;
	}
	return SELECT_CHOSEN;
}

/* TS 33.203 7.2 NOTE 4 and 5. May change the encryption of @suite to null. */
static enum select_verdict apply_encryption(enum select_encryption encryption,
					    struct ipsec_suite *suite, struct text_out *why)
{
	switch (encryption) {
	case SELECT_ENCRYPTION_OFF:
		if (suite->alg == IPSEC_ALG_NULL) {
			text_out_printf(why, "encryption is off on this listener, and aes-gcm has "
					     "no integrity without it");
			return SELECT_REFUSED;
		}
		suite->ealg = IPSEC_EALG_NULL;
		break;
	case SELECT_ENCRYPTION_PREFERRED:
		break;
	case SELECT_ENCRYPTION_REQUIRED:
		if (!ipsec_suite_encrypts(suite)) {
			text_out_printf(why, "encryption is required on this listener");
			return SELECT_REFUSED;
		}
		break;
	}
	return SELECT_CHOSEN;
}

/* Where @suite stands in the list of the listener; its length when it does not. */
static size_t pair_index(const struct select_policy *policy, const struct ipsec_suite *suite)
{
	size_t i = 0;

	while (i < policy->pair_count && (policy->pairs[i].alg != suite->alg ||
					  policy->pairs[i].ealg != suite->ealg))
		i++;
	return i;
}

/* Encryption before none, then the order of the list, then an offer of just this suite before one
 * that loses its encryption, then esp before ah and trans before tun. */
static unsigned int rank_of(const struct ipsec_suite *taken, const struct ipsec_suite *offered,
			    size_t pair)
{
	unsigned int rank = ipsec_suite_encrypts(taken) ? 0 : 1;

	rank = rank * SELECT_MAX_PAIRS + (unsigned int)pair;
	rank = rank * 2 + (taken->ealg != offered->ealg);
	rank = rank * (IPSEC_PROT_UNKNOWN + 1) + taken->prot;
	return rank * (IPSEC_MOD_UNKNOWN + 1) + taken->mod;
}

/* SELECT_CHOSEN and a rank when @offer could be taken. */
static enum select_verdict judge(const struct ipsec_offer *offer, enum ipsec_dialect dialect,
				 const struct select_policy *policy, bool nat,
				 struct candidate *ret, struct text_out *why)
{
	enum select_verdict v;
	size_t pair;

	*ret = (struct candidate){offer->suite, NO_RANK};
	if (offer->fault) {
		text_out_printf(why, "%s", offer->fault);
		return ipsec_suite_known(&offer->suite) ? SELECT_REFUSED : SELECT_NOT_SUPPORTED;
	}
	v = judge_transport(&ret->suite, dialect, policy, nat, why);
	if (v == SELECT_CHOSEN)
		v = apply_encryption(policy->encryption, &ret->suite, why);
	if (v != SELECT_CHOSEN)
		return v;
	pair = pair_index(policy, &ret->suite);
	if (pair == policy->pair_count) {
		say_suite(why, &ret->suite);
		text_out_printf(why, " is not in the list of algorithms of this listener");
		return SELECT_NOT_SUPPORTED;
	}
	ret->rank = rank_of(&ret->suite, &offer->suite, pair);
	return SELECT_CHOSEN;
}

static void say_chosen(struct text_out *why, const struct ipsec_suite *taken,
		       const struct ipsec_suite *offered)
{
	if (taken->ealg == offered->ealg) {
		text_out_printf(why, "the highest in the list of this listener that is offered");
		return;
	}
	say_suite(why, taken);
	text_out_printf(why, " instead of %s: encryption is off on this listener",
			ipsec_ealg_name(offered->ealg));
}

static void say_beaten(struct text_out *why, const struct ipsec_suite *suite,
		       const struct ipsec_suite *best, size_t best_index)
{
	if (ipsec_suite_equal(suite, best)) {
		text_out_printf(why, "the same combination is taken from offer %zu",
				best_index + 1);
		return;
	}
	if (suite->alg == best->alg && suite->ealg == best->ealg)
		text_out_printf(why, "prot=%s with mod=%s", ipsec_prot_name(best->prot),
				ipsec_mod_name(best->mod));
	else
		say_suite(why, best);
	text_out_printf(why, " ranks higher");
}

void select_offer(const struct ipsec3gpp *offered, const struct select_policy *policy, bool nat,
		  struct select_result *ret)
{
	struct candidate candidates[SEC_MAX_MECHANISMS];
	struct text_out why[SEC_MAX_MECHANISMS];
	unsigned int best_rank = NO_RANK;

	ret->found = false;
	for (size_t i = 0; i < offered->offer_count; i++) {
		text_out_init(&why[i], ret->why[i], sizeof(ret->why[i]));
		ret->verdict[i] = judge(&offered->offers[i], offered->endpoint.dialect, policy,
					nat, &candidates[i], &why[i]);
		if (candidates[i].rank < best_rank) {
			best_rank = candidates[i].rank;
			ret->found = true;
			ret->chosen = candidates[i].suite;
			ret->chosen_index = i;
		}
	}
	for (size_t i = 0; i < offered->offer_count; i++) {
		if (ret->verdict[i] != SELECT_CHOSEN)
			continue;
		if (i == ret->chosen_index) {
			say_chosen(&why[i], &ret->chosen, &offered->offers[i].suite);
			continue;
		}
		ret->verdict[i] = SELECT_NOT_PREFERRED;
		say_beaten(&why[i], &candidates[i].suite, &ret->chosen, ret->chosen_index);
	}
}

void select_nothing(const struct ipsec3gpp *offered, const char *why, struct select_result *ret)
{
	ret->found = false;
	for (size_t i = 0; i < offered->offer_count; i++) {
		struct text_out out;

		ret->verdict[i] = SELECT_REFUSED;
		text_out_init(&out, ret->why[i], sizeof(ret->why[i]));
		text_out_printf(&out, "%s", why);
	}
}

static bool encryption_allows(enum select_encryption encryption, bool encrypts)
{
	switch (encryption) {
	case SELECT_ENCRYPTION_OFF:
		return !encrypts;
	case SELECT_ENCRYPTION_PREFERRED:
		return true;
	case SELECT_ENCRYPTION_REQUIRED:
		return encrypts;
	}
	return false;
}

/* Append the pairs of @policy that encrypt, or those that do not. */
static size_t append_supported(const struct select_policy *policy,
			       const struct ipsec_suite *chosen, bool encrypts,
			       struct ipsec_suite *ret, size_t count)
{
	for (size_t i = 0; i < policy->pair_count; i++) {
		struct ipsec_suite suite = *chosen;

		suite.alg = policy->pairs[i].alg;
		suite.ealg = policy->pairs[i].ealg;
		if (ipsec_suite_encrypts(&suite) != encrypts || ipsec_suite_fault(&suite) ||
		    pair_index(policy, &suite) != i)
			continue;
		ret[count++] = suite;
	}
	return count;
}

/* Only protocol and mode of it count. */
static struct ipsec_suite usual_suite(const struct select_policy *policy)
{
	return (struct ipsec_suite){
		.prot = policy->esp ? IPSEC_PROT_ESP : IPSEC_PROT_AH,
		.mod = policy->trans ? IPSEC_MOD_TRANS
		       : policy->tun ? IPSEC_MOD_TUN
				     : IPSEC_MOD_UDP_ENC_TUN,
	};
}

size_t select_supported(const struct select_policy *policy, const struct ipsec_suite *chosen,
			struct ipsec_suite *ret)
{
	const struct ipsec_suite usual = usual_suite(policy);
	size_t count = 0;

	if (!chosen)
		chosen = &usual;
	if (encryption_allows(policy->encryption, true))
		count = append_supported(policy, chosen, true, ret, count);
	if (encryption_allows(policy->encryption, false))
		count = append_supported(policy, chosen, false, ret, count);
	return count;
}
