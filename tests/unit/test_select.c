/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/select.c: what is taken, what is not, and the words about it. Offers are given as
 * "alg/ealg[/prot[/mod]]", one blank between two, and go through the real parser.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/select.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- helpers ---- */

static struct sec_header parsed; /* of the test that runs; ended by its teardown */

static int end_parsed(void **state)
{
	(void)state;
	sec_header_done(&parsed);
	return 0;
}

static size_t put_offer(char *text, size_t cap, const char *offer, size_t bytes,
			enum ipsec_dialect dialect)
{
	static const char *const names[] = {"alg", "ealg", "prot", "mod"};
	size_t n = (size_t)snprintf(text, cap, "ipsec-3gpp");

	for (size_t i = 0; bytes; i++) {
		size_t part = strcspn(offer, "/ ");

		part = part < bytes ? part : bytes;
		n += (size_t)snprintf(text + n, cap - n, ";%s=%.*s", names[i], (int)part, offer);
		part += part < bytes;
		offer += part;
		bytes -= part;
	}
	return n + (size_t)snprintf(text + n, cap - n, "%s",
				    dialect == IPSEC_DIALECT_24229
					    ? ";spi-c=1001;spi-s=1002;port-c=2001;port-s=2002"
					    : ";spi=1001;port1=2001");
}

static void read_offers(const char *offers, enum ipsec_dialect dialect, struct ipsec3gpp *ret)
{
	char text[4000];
	struct sec_error error = {0};
	struct span line;
	size_t n = 0;

	while (*offers) {
		size_t bytes = strcspn(offers, " ");

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", n ? "," : "");
		n += put_offer(text + n, sizeof(text) - n, offers, bytes, dialect);
		offers += bytes + strspn(offers + bytes, " ");
	}
	line = (struct span){text, n};
	sec_header_done(&parsed);
	if (sec_header_parse(&line, 1, &parsed, &error) ||
	    ipsec3gpp_read(&parsed, SEC_CLIENT, ret, &error))
		fail_msg("'%s' at %zu: %s", text, error.offset, error.why);
}

static void select_from(const char *offers, const struct select_policy *policy, bool nat,
			struct select_result *ret)
{
	struct ipsec3gpp offered;

	read_offers(offers, IPSEC_DIALECT_24229, &offered);
	select_offer(&offered, policy, nat, ret);
}

/* The offer at @index is chosen, as @expected says ("alg/ealg/prot/mod"). */
static void assert_chosen(const struct select_result *got, size_t index, const char *expected)
{
	const struct ipsec_suite *s = &got->chosen;
	char text[100];

	assert_true(got->found);
	assert_int_equal(got->chosen_index, index);
	assert_int_equal(got->verdict[index], SELECT_CHOSEN);
	snprintf(text, sizeof(text), "%s/%s/%s/%s", ipsec_alg_name(s->alg),
		 ipsec_ealg_name(s->ealg), ipsec_prot_name(s->prot), ipsec_mod_name(s->mod));
	assert_string_equal(text, expected);
}

static void assert_verdict(const struct select_result *got, size_t index, enum select_verdict v,
			   const char *why)
{
	if (got->verdict[index] != v || strcmp(got->why[index], why) != 0)
		fail_msg("offer %zu: %s, %s", index, select_verdict_name(got->verdict[index]),
			 got->why[index]);
}

static struct select_policy policy_with(enum select_encryption encryption)
{
	struct select_policy policy;

	select_policy_default(&policy);
	policy.encryption = encryption;
	return policy;
}

#define HIGHEST "the highest in the list of this listener that is offered"

/* ---- the list of the listener ---- */

static void the_default_policy_is_the_documented_one(void **state)
{
	static const struct select_pair pairs[] = {
		{IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM},
		{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC},
		{IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL},
		{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL},
	};
	struct select_policy policy;

	(void)state;
	select_policy_default(&policy);
	assert_int_equal(policy.pair_count, COUNT_OF(pairs));
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		assert_int_equal(policy.pairs[i].alg, pairs[i].alg);
		assert_int_equal(policy.pairs[i].ealg, pairs[i].ealg);
	}
	assert_int_equal(policy.encryption, SELECT_ENCRYPTION_PREFERRED);
	assert_true(policy.esp && policy.trans && policy.udp_enc_tun);
	assert_false(policy.ah || policy.tun);
}

static void the_listeners_order_decides_not_the_phones(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("hmac-sha-1-96/null hmac-sha-1-96/aes-cbc aes-gmac null/aes-gcm", &policy,
		    false, &got);
	assert_chosen(&got, 3, "null/aes-gcm/esp/trans");
	assert_verdict(&got, 0, SELECT_NOT_PREFERRED, "aes-gcm ranks higher");
	assert_verdict(&got, 1, SELECT_NOT_PREFERRED, "aes-gcm ranks higher");
	assert_verdict(&got, 2, SELECT_NOT_PREFERRED, "aes-gcm ranks higher");
	assert_verdict(&got, 3, SELECT_CHOSEN, HIGHEST);
}

static void A5_the_phones_q_takes_no_part(void **state)
{
	const struct span line = span_of(
		"ipsec-3gpp;q=0.9;alg=hmac-sha-1-96;spi-c=1001;spi-s=1002;port-c=1;port-s=2,"
		"ipsec-3gpp;q=0.1;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=1;port-s=2");
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;
	struct ipsec3gpp offered;

	(void)state;
	assert_int_equal(sec_header_parse(&line, 1, &parsed, NULL), 0);
	assert_int_equal(ipsec3gpp_read(&parsed, SEC_CLIENT, &offered, NULL), 0);
	select_offer(&offered, &policy, false, &got);
	assert_chosen(&got, 1, "aes-gmac/null/esp/trans");
}

static void what_is_not_in_the_list_is_not_supported(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("hmac-md5-96/des-ede3-cbc hmac-md5-96/null hmac-sha-1-96/aes-cbc", &policy,
		    false, &got);
	assert_chosen(&got, 2, "hmac-sha-1-96/aes-cbc/esp/trans");
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED,
		       "hmac-md5-96 with des-ede3-cbc is not in the list of algorithms of this "
		       "listener");
	assert_verdict(&got, 1, SELECT_NOT_SUPPORTED,
		       "hmac-md5-96 with null is not in the list of algorithms of this listener");
}

static void algorithms_are_listed_in_pairs_without_a_cross_product(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	policy.pairs[0] = (struct select_pair){IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_NULL};
	policy.pairs[1] = (struct select_pair){IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC};
	policy.pair_count = 2;
	select_from("hmac-md5-96/aes-cbc hmac-sha-1-96/null", &policy, false, &got);
	assert_false(got.found);
	assert_int_equal(got.verdict[0], SELECT_NOT_SUPPORTED);
	assert_int_equal(got.verdict[1], SELECT_NOT_SUPPORTED);
}

static void the_first_of_equal_offers_wins(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("aes-gmac hmac-sha-1-96/aes-cbc hmac-sha-1-96/aes-cbc/esp/trans", &policy,
		    false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/aes-cbc/esp/trans");
	assert_verdict(&got, 2, SELECT_NOT_PREFERRED,
		       "the same combination is taken from offer 2");
	assert_verdict(&got, 0, SELECT_NOT_PREFERRED, "hmac-sha-1-96 with aes-cbc ranks higher");
}

static void C8_unknown_names_are_not_supported_and_illegal_combinations_refused(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("hmac-sha-512/null null/null hmac-sha-1-96/aes-gcm hmac-sha-1-96/null", &policy,
		    false, &got);
	assert_chosen(&got, 3, "hmac-sha-1-96/null/esp/trans");
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED, "the integrity algorithm (alg) is not known");
	assert_verdict(&got, 1, SELECT_REFUSED, "neither integrity nor encryption");
	assert_verdict(&got, 2, SELECT_REFUSED, "ealg=aes-gcm goes with alg=null only");
}

static void nothing_usable_leaves_nothing_chosen(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	memset(&got, 0xA5, sizeof(got));
	select_from("hmac-md5-96/null hmac-sha-512", &policy, false, &got);
	assert_false(got.found);
	assert_int_equal(got.verdict[0], SELECT_NOT_SUPPORTED);
	assert_int_equal(got.verdict[1], SELECT_NOT_SUPPORTED);
}

/* ---- encryption, TS 33.203 7.2 NOTE 4 and 5 ---- */

static struct select_policy null_first(enum select_encryption encryption)
{
	struct select_policy policy = policy_with(encryption);

	policy.pairs[0] = (struct select_pair){IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL};
	policy.pairs[1] = (struct select_pair){IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL};
	policy.pairs[2] = (struct select_pair){IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC};
	policy.pairs[3] = (struct select_pair){IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM};
	return policy;
}

static void preferred_encryption_ranks_before_none_whatever_the_list(void **state)
{
	const struct select_policy policy = null_first(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("aes-gmac hmac-sha-1-96/null null/aes-gcm", &policy, false, &got);
	assert_chosen(&got, 2, "null/aes-gcm/esp/trans");
	select_from("aes-gmac null/aes-gcm hmac-sha-1-96/aes-cbc", &policy, false, &got);
	assert_chosen(&got, 2, "hmac-sha-1-96/aes-cbc/esp/trans");
}

static void preferred_encryption_accepts_none_when_nothing_else_is_offered(void **state)
{
	const struct select_policy policy = null_first(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("hmac-sha-1-96/null aes-gmac hmac-md5-96/des-ede3-cbc", &policy, false, &got);
	assert_chosen(&got, 1, "aes-gmac/null/esp/trans");
}

static void required_encryption_refuses_none(void **state)
{
	const struct select_policy policy = null_first(SELECT_ENCRYPTION_REQUIRED);
	struct select_result got;

	(void)state;
	select_from("hmac-sha-1-96/null aes-gmac hmac-sha-1-96/aes-cbc", &policy, false, &got);
	assert_chosen(&got, 2, "hmac-sha-1-96/aes-cbc/esp/trans");
	assert_verdict(&got, 0, SELECT_REFUSED, "encryption is required on this listener");
	assert_verdict(&got, 1, SELECT_REFUSED, "encryption is required on this listener");
	select_from("hmac-sha-1-96/null aes-gmac", &policy, false, &got);
	assert_false(got.found);
}

static void encryption_off_takes_any_offered_integrity_algorithm_with_null(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_OFF);
	struct select_result got;

	(void)state;
	select_from("hmac-md5-96/aes-cbc hmac-sha-1-96/aes-cbc", &policy, false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/esp/trans");
	assert_verdict(&got, 1, SELECT_CHOSEN,
		       "hmac-sha-1-96 with null instead of aes-cbc: encryption is off on this "
		       "listener");
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED,
		       "hmac-md5-96 with null is not in the list of algorithms of this listener");
}

static void encryption_off_ranks_integrity_algorithms_by_the_list(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_OFF);
	struct select_result got;

	(void)state;
	/* aes-gmac stands before hmac-sha-1-96 with null, though behind it with aes-cbc */
	select_from("hmac-sha-1-96/aes-cbc hmac-sha-1-96/null aes-gmac", &policy, false, &got);
	assert_chosen(&got, 2, "aes-gmac/null/esp/trans");
	assert_verdict(&got, 0, SELECT_NOT_PREFERRED, "aes-gmac ranks higher");
}

static void encryption_off_takes_an_offer_of_null_before_one_that_loses_its_encryption(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_OFF);
	struct select_result got;

	(void)state;
	select_from("hmac-sha-1-96/aes-cbc hmac-sha-1-96/null", &policy, false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/esp/trans");
	assert_verdict(&got, 0, SELECT_NOT_PREFERRED,
		       "the same combination is taken from offer 2");
	assert_verdict(&got, 1, SELECT_CHOSEN, HIGHEST);
}

static void encryption_off_has_no_use_for_aes_gcm(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_OFF);
	struct select_result got;

	(void)state;
	select_from("null/aes-gcm", &policy, false, &got);
	assert_false(got.found);
	assert_verdict(
		&got, 0, SELECT_REFUSED,
		"encryption is off on this listener, and aes-gcm has no integrity without it");
}

static void encryption_off_does_not_mend_an_illegal_offer(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_OFF);
	struct select_result got;

	(void)state;
	select_from("aes-gmac/aes-cbc hmac-sha-1-96/aes-gcm hmac-sha-1-96/twofish", &policy, false,
		    &got);
	assert_false(got.found);
	assert_int_equal(got.verdict[0], SELECT_REFUSED);
	assert_int_equal(got.verdict[1], SELECT_REFUSED);
	assert_int_equal(got.verdict[2], SELECT_NOT_SUPPORTED);
}

/* ---- protocol, mode, NAT ---- */

static void ah_and_tun_are_served_only_when_switched_on(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("hmac-sha-1-96/null/ah hmac-sha-1-96/null/esp/tun", &policy, false, &got);
	assert_false(got.found);
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED, "prot=ah is not served by this listener");
	assert_verdict(&got, 1, SELECT_NOT_SUPPORTED, "mod=tun is not served by this listener");
	policy.ah = true;
	select_from("hmac-sha-1-96/null/ah hmac-sha-1-96/null/esp/tun", &policy, false, &got);
	assert_chosen(&got, 0, "hmac-sha-1-96/null/ah/trans");
	policy.ah = false;
	policy.tun = true;
	select_from("hmac-sha-1-96/null/ah hmac-sha-1-96/null/esp/tun", &policy, false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/esp/tun");
	assert_int_equal(got.verdict[0], SELECT_NOT_SUPPORTED);
}

static void ah_and_tun_are_served_in_the_older_dialect_likewise(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;
	struct ipsec3gpp offered;

	(void)state;
	read_offers("hmac-sha-1-96/null/ah/tun", IPSEC_DIALECT_RFC3329, &offered);
	select_offer(&offered, &policy, false, &got);
	assert_false(got.found);
	policy.ah = true;
	policy.tun = true;
	select_offer(&offered, &policy, false, &got);
	assert_chosen(&got, 0, "hmac-sha-1-96/null/ah/tun");
}

static void esp_and_trans_can_be_switched_off(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	policy.ah = true;
	policy.esp = false;
	select_from("hmac-sha-1-96/null hmac-sha-1-96/null/ah", &policy, false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/ah/trans");
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED, "prot=esp is not served by this listener");
	policy.trans = false;
	select_from("hmac-sha-1-96/null hmac-sha-1-96/null/ah", &policy, false, &got);
	assert_false(got.found);
	assert_verdict(&got, 1, SELECT_NOT_SUPPORTED, "mod=trans is not served by this listener");
}

static void of_one_pair_of_algorithms_esp_and_trans_come_first(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	policy.ah = true;
	policy.tun = true;
	select_from("hmac-sha-1-96/null/ah hmac-sha-1-96/null/esp/tun hmac-sha-1-96/null/esp/trans",
		    &policy, false, &got);
	assert_chosen(&got, 2, "hmac-sha-1-96/null/esp/trans");
	assert_verdict(&got, 0, SELECT_NOT_PREFERRED, "prot=esp with mod=trans ranks higher");
	assert_verdict(&got, 1, SELECT_NOT_PREFERRED, "prot=esp with mod=trans ranks higher");
}

static void N1_behind_a_NAT_only_udp_enc_tun_is_taken(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("null/aes-gcm hmac-sha-1-96/null/esp/UDP-enc-tun", &policy, true, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/esp/UDP-enc-tun");
	assert_verdict(&got, 0, SELECT_REFUSED, "behind a NAT only mod=UDP-enc-tun works");
}

static void N1_without_NAT_udp_enc_tun_is_never_taken(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("null/aes-gcm/esp/udp-enc-tun hmac-sha-1-96/null", &policy, false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/esp/trans");
	assert_verdict(&got, 0, SELECT_REFUSED,
		       "mod=UDP-enc-tun is for phones behind a NAT only");
}

static void N2_a_NAT_without_udp_enc_tun_finds_nothing(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;

	(void)state;
	select_from("null/aes-gcm hmac-sha-1-96/null", &policy, true, &got);
	assert_false(got.found);
	policy.udp_enc_tun = false;
	select_from("null/aes-gcm/esp/UDP-enc-tun", &policy, true, &got);
	assert_false(got.found);
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED,
		       "mod=UDP-enc-tun is not served by this listener");
}

static void the_older_dialect_has_no_udp_enc_tun(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;
	struct ipsec3gpp offered;

	(void)state;
	read_offers("null/aes-gcm/esp/UDP-enc-tun", IPSEC_DIALECT_RFC3329, &offered);
	select_offer(&offered, &policy, true, &got);
	assert_false(got.found);
	assert_verdict(&got, 0, SELECT_NOT_SUPPORTED, "mod=UDP-enc-tun is not part of RFC 3329");
}

static void the_older_dialect_is_served(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct select_result got;
	struct ipsec3gpp offered;

	(void)state;
	read_offers("hmac-md5-96/null hmac-sha-1-96/null", IPSEC_DIALECT_RFC3329, &offered);
	select_offer(&offered, &policy, false, &got);
	assert_chosen(&got, 1, "hmac-sha-1-96/null/esp/trans");
}

/* ---- the list of Security-Server ---- */

static void assert_supported(const struct select_policy *policy, enum ipsec_prot prot,
			     enum ipsec_mod mod, const char *expected)
{
	const struct ipsec_suite chosen = {IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, prot, mod};
	struct ipsec_suite got[SELECT_MAX_PAIRS];
	size_t count = select_supported(policy, &chosen, got);
	char text[400] = "";
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s/%s", i ? " " : "",
				      ipsec_alg_name(got[i].alg), ipsec_ealg_name(got[i].ealg));
		assert_int_equal(got[i].prot, prot);
		assert_int_equal(got[i].mod, mod);
	}
	assert_string_equal(text, expected);
}

static void B1_the_supported_list_does_not_depend_on_the_offer(void **state)
{
	const struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);

	(void)state;
	assert_supported(&policy, IPSEC_PROT_ESP, IPSEC_MOD_TRANS,
			 "null/aes-gcm hmac-sha-1-96/aes-cbc aes-gmac/null hmac-sha-1-96/null");
	assert_supported(&policy, IPSEC_PROT_ESP, IPSEC_MOD_UDP_ENC_TUN,
			 "null/aes-gcm hmac-sha-1-96/aes-cbc aes-gmac/null hmac-sha-1-96/null");
}

static void B1_for_no_phone_the_list_has_what_is_served(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);
	struct ipsec_suite got[SELECT_MAX_PAIRS];

	(void)state;
	policy.ah = policy.tun = true;
	assert_int_equal(select_supported(&policy, NULL, got), 4);
	assert_int_equal(got[0].ealg, IPSEC_EALG_AES_GCM);
	assert_int_equal(got[0].prot, IPSEC_PROT_ESP);
	assert_int_equal(got[0].mod, IPSEC_MOD_TRANS);
	policy.esp = policy.trans = false;
	assert_int_equal(select_supported(&policy, NULL, got), 1);
	assert_int_equal(got[0].alg, IPSEC_ALG_HMAC_SHA_1_96);
	assert_int_equal(got[0].prot, IPSEC_PROT_AH);
	assert_int_equal(got[0].mod, IPSEC_MOD_TUN);
	policy.tun = false;
	assert_int_equal(select_supported(&policy, NULL, got), 0);
	policy.esp = true;
	assert_int_equal(select_supported(&policy, NULL, got), 4);
	assert_int_equal(got[3].mod, IPSEC_MOD_UDP_ENC_TUN);
}

static void the_supported_list_has_the_order_of_the_choice(void **state)
{
	struct select_policy policy = null_first(SELECT_ENCRYPTION_PREFERRED);

	(void)state;
	assert_supported(&policy, IPSEC_PROT_ESP, IPSEC_MOD_TRANS,
			 "hmac-sha-1-96/aes-cbc null/aes-gcm aes-gmac/null hmac-sha-1-96/null");
	policy.encryption = SELECT_ENCRYPTION_REQUIRED;
	assert_supported(&policy, IPSEC_PROT_ESP, IPSEC_MOD_TRANS,
			 "hmac-sha-1-96/aes-cbc null/aes-gcm");
	policy.encryption = SELECT_ENCRYPTION_OFF;
	assert_supported(&policy, IPSEC_PROT_ESP, IPSEC_MOD_TRANS,
			 "aes-gmac/null hmac-sha-1-96/null");
}

static void the_supported_list_holds_legal_combinations_once(void **state)
{
	struct select_policy policy = policy_with(SELECT_ENCRYPTION_PREFERRED);

	(void)state;
	assert_supported(&policy, IPSEC_PROT_AH, IPSEC_MOD_TRANS, "hmac-sha-1-96/null");
	policy.pairs[0] = (struct select_pair){IPSEC_ALG_NULL, IPSEC_EALG_NULL};
	policy.pairs[2] = policy.pairs[1];
	assert_supported(&policy, IPSEC_PROT_ESP, IPSEC_MOD_TRANS,
			 "hmac-sha-1-96/aes-cbc hmac-sha-1-96/null");
}

/* ---- both sides take the same ---- */

static uint32_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static void random_policy(struct select_policy *ret)
{
	static const enum select_encryption encryptions[] = {
		SELECT_ENCRYPTION_OFF, SELECT_ENCRYPTION_PREFERRED, SELECT_ENCRYPTION_REQUIRED};

	*ret = policy_with(encryptions[below(3)]);
	ret->pair_count = below(8);
	for (size_t i = 0; i < ret->pair_count; i++)
		ret->pairs[i] = (struct select_pair){(enum ipsec_alg)below(4),
						     (enum ipsec_ealg)below(4)};
	ret->ah = below(2);
	ret->tun = below(2);
}

static void random_offers(struct ipsec3gpp *ret)
{
	*ret = (struct ipsec3gpp){.endpoint.dialect = IPSEC_DIALECT_24229};
	ret->offer_count = below(8);
	for (size_t i = 0; i < ret->offer_count; i++) {
		struct ipsec_offer *offer = &ret->offers[i];

		offer->suite = (struct ipsec_suite){
			(enum ipsec_alg)below(5), (enum ipsec_ealg)below(5),
			below(4) ? IPSEC_PROT_ESP : (enum ipsec_prot)below(3),
			below(4) ? IPSEC_MOD_TRANS : (enum ipsec_mod)below(4)};
		offer->q_milli = -1;
		offer->fault = ipsec_suite_fault(&offer->suite);
	}
}

/* What a phone does with our list: take the first that it has offered, without encryption if it
 * sees none (TS 33.203 7.2). */
static bool phone_takes(const struct ipsec3gpp *offered, const struct ipsec_suite *list,
			size_t count, bool off, struct ipsec_suite *ret)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < offered->offer_count; k++) {
			struct ipsec_suite s = offered->offers[k].suite;

			if (offered->offers[k].fault)
				continue;
			if (off && s.ealg != IPSEC_EALG_AES_GCM)
				s.ealg = IPSEC_EALG_NULL;
			if (ipsec_suite_equal(&s, &list[i])) {
				*ret = s;
				return true;
			}
		}
	}
	return false;
}

static void check_agreement(const struct ipsec3gpp *offered, const struct select_policy *policy,
			    bool nat, uint32_t seed)
{
	struct ipsec_suite list[SELECT_MAX_PAIRS], taken;
	struct select_result got;
	size_t chosen = 0;

	select_offer(offered, policy, nat, &got);
	for (size_t i = 0; i < offered->offer_count; i++) {
		chosen += got.verdict[i] == SELECT_CHOSEN;
		if (!got.why[i][0] || (got.verdict[i] == SELECT_NOT_PREFERRED && !got.found))
			fail_msg("SEED=%u: offer %zu", seed, i);
	}
	assert_int_equal(chosen, got.found);
	if (!got.found)
		return;
	assert_null(ipsec_suite_fault(&got.chosen));
	assert_true(policy->encryption != SELECT_ENCRYPTION_OFF ||
		    !ipsec_suite_encrypts(&got.chosen));
	assert_true(policy->encryption != SELECT_ENCRYPTION_REQUIRED ||
		    ipsec_suite_encrypts(&got.chosen));
	assert_int_equal(nat, got.chosen.mod == IPSEC_MOD_UDP_ENC_TUN);
	if (!phone_takes(offered, list, select_supported(policy, &got.chosen, list),
			 policy->encryption == SELECT_ENCRYPTION_OFF, &taken) ||
	    !ipsec_suite_equal(&taken, &got.chosen))
		fail_msg("SEED=%u: the phone takes another combination", seed);
}

static void a_phone_takes_the_same_from_the_supported_list(void **state)
{
	const char *env = getenv("SEED");
	uint32_t seed = env ? (uint32_t)strtoul(env, NULL, 10) : 1;

	(void)state;
	for (uint32_t end = seed + 20000; seed != end; seed++) {
		struct select_policy policy;
		struct ipsec3gpp offered;

		random_state = seed * 2654435761u;
		random_policy(&policy);
		random_offers(&offered);
		check_agreement(&offered, &policy, below(4) == 0, seed);
	}
}

static void verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(select_verdict_name(SELECT_CHOSEN), "chosen");
	assert_string_equal(select_verdict_name(SELECT_NOT_PREFERRED), "not_preferred");
	assert_string_equal(select_verdict_name(SELECT_NOT_SUPPORTED), "not_supported");
	assert_string_equal(select_verdict_name(SELECT_REFUSED), "refused");
}

#define TEST(name) cmocka_unit_test_teardown(name, end_parsed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_default_policy_is_the_documented_one),
		TEST(the_listeners_order_decides_not_the_phones),
		TEST(A5_the_phones_q_takes_no_part),
		TEST(what_is_not_in_the_list_is_not_supported),
		TEST(algorithms_are_listed_in_pairs_without_a_cross_product),
		TEST(the_first_of_equal_offers_wins),
		TEST(C8_unknown_names_are_not_supported_and_illegal_combinations_refused),
		TEST(nothing_usable_leaves_nothing_chosen),
		TEST(preferred_encryption_ranks_before_none_whatever_the_list),
		TEST(preferred_encryption_accepts_none_when_nothing_else_is_offered),
		TEST(required_encryption_refuses_none),
		TEST(encryption_off_takes_any_offered_integrity_algorithm_with_null),
		TEST(encryption_off_ranks_integrity_algorithms_by_the_list),
		TEST(encryption_off_takes_an_offer_of_null_before_one_that_loses_its_encryption),
		TEST(encryption_off_has_no_use_for_aes_gcm),
		TEST(encryption_off_does_not_mend_an_illegal_offer),
		TEST(ah_and_tun_are_served_only_when_switched_on),
		TEST(ah_and_tun_are_served_in_the_older_dialect_likewise),
		TEST(esp_and_trans_can_be_switched_off),
		TEST(of_one_pair_of_algorithms_esp_and_trans_come_first),
		TEST(N1_behind_a_NAT_only_udp_enc_tun_is_taken),
		TEST(N1_without_NAT_udp_enc_tun_is_never_taken),
		TEST(N2_a_NAT_without_udp_enc_tun_finds_nothing),
		TEST(the_older_dialect_has_no_udp_enc_tun),
		TEST(the_older_dialect_is_served),
		TEST(B1_the_supported_list_does_not_depend_on_the_offer),
		TEST(B1_for_no_phone_the_list_has_what_is_served),
		TEST(the_supported_list_has_the_order_of_the_choice),
		TEST(the_supported_list_holds_legal_combinations_once),
		TEST(a_phone_takes_the_same_from_the_supported_list),
		TEST(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
