/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/keys.c: TS 33.203 Annex I with the keys of TS 35.208 set 1. The same vectors as for the
 * P-CSCF's side, so the two implementations are known to meet.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/ue/keys.h"

static struct aka_answer answer(void)
{
	struct aka_answer a = {.sqn = 0};

	assert_int_equal(text_from_hex(span_of("b40ba9a3c58b2a05bbf0d987b21bf8cb"), a.ck, 16), 0);
	assert_int_equal(text_from_hex(span_of("f769bcd751044604127672711c6d3441"), a.ik, 16), 0);
	return a;
}

static int expand(enum ipsec_alg alg, enum ipsec_ealg ealg, enum ipsec_prot prot,
		  struct ue_keys *ret)
{
	const struct ipsec_suite suite = {alg, ealg, prot, IPSEC_MOD_TRANS};
	const struct aka_answer a = answer();

	return ue_keys_expand(&suite, &a, ret);
}

static void assert_key(const struct ue_key *key, const char *algorithm, const char *hex)
{
	uint8_t expected[UE_KEY_BYTES];

	assert_string_equal(key->algorithm, algorithm);
	assert_int_equal(key->key_bytes, strlen(hex) / 2);
	if (key->key_bytes == 0)
		return;
	assert_int_equal(text_from_hex(span_of(hex), expected, key->key_bytes), 0);
	assert_memory_equal(key->key, expected, key->key_bytes);
}

static void md5_and_null(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_NULL, IPSEC_PROT_ESP, &k), 0);
	assert_key(&k.auth, "hmac(md5)", "f769bcd751044604127672711c6d3441");
	assert_key(&k.enc, "ecb(cipher_null)", "");
	assert_null(k.aead.algorithm);
	assert_int_equal(k.icv_bits, 96);
}

static void sha1_is_padded_with_zeros_and_aes_cbc_takes_ck(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP, &k),
			 0);
	assert_key(&k.auth, "hmac(sha1)", "f769bcd751044604127672711c6d344100000000");
	assert_key(&k.enc, "cbc(aes)", "b40ba9a3c58b2a05bbf0d987b21bf8cb");
	assert_int_equal(k.icv_bits, 96);
}

static void des_keys_have_odd_parity(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_DES_EDE3_CBC, IPSEC_PROT_ESP,
				&k), 0);
	assert_key(&k.enc, "cbc(des3_ede)", "b50ba8a2c48a2a04baf1d986b31af8cbb50ba8a2c48a2a04");
}

static void gcm_takes_ck_and_its_salt(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP, &k), 0);
	assert_key(&k.aead, "rfc4106(gcm(aes))", "b40ba9a3c58b2a05bbf0d987b21bf8cb89273db6");
	assert_null(k.auth.algorithm);
	assert_null(k.enc.algorithm);
	assert_int_equal(k.icv_bits, 128);
}

static void gmac_takes_ik_and_its_salt(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL, IPSEC_PROT_ESP, &k), 0);
	assert_key(&k.aead, "rfc4543(gcm(aes))", "f769bcd751044604127672711c6d3441dbc2b1c2");
	assert_null(k.enc.algorithm);
}

static void ah_has_no_cipher(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_AH, &k), 0);
	assert_non_null(k.auth.algorithm);
	assert_null(k.enc.algorithm);
}

static void combinations_that_cannot_be_are_refused(void **state)
{
	struct ue_keys k;

	(void)state;
	assert_int_equal(expand(IPSEC_ALG_NULL, IPSEC_EALG_NULL, IPSEC_PROT_ESP, &k), -EINVAL);
	assert_int_equal(expand(IPSEC_ALG_NULL, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP, &k), -EINVAL);
	assert_int_equal(expand(IPSEC_ALG_AES_GMAC, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP, &k),
			 -EINVAL);
	assert_int_equal(expand(IPSEC_ALG_UNKNOWN, IPSEC_EALG_NULL, IPSEC_PROT_ESP, &k), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5_and_null),
		cmocka_unit_test(sha1_is_padded_with_zeros_and_aes_cbc_takes_ck),
		cmocka_unit_test(des_keys_have_odd_parity),
		cmocka_unit_test(gcm_takes_ck_and_its_salt),
		cmocka_unit_test(gmac_takes_ik_and_its_salt),
		cmocka_unit_test(ah_has_no_cipher),
		cmocka_unit_test(combinations_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
