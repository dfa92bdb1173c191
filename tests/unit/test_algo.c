/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/algo.c: what the kernel calls each algorithm, and the lengths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "xfrm/xfrm.h"

static void check(enum xfrm_algo_id id, enum xfrm_algo_kind kind, const char *name,
		  size_t key_bytes, size_t icv_bits)
{
	const struct xfrm_algo_info *algo = xfrm_algo_info(id);

	assert_int_equal(algo->kind, kind);
	assert_string_equal(algo->name, name);
	assert_int_equal(algo->key_bytes, key_bytes);
	assert_int_equal(algo->icv_bits, icv_bits);
}

static void hmacs_are_cut_to_96_bits(void **state)
{
	(void)state;
	check(XFRM_HMAC_MD5, XFRM_KIND_AUTH, "hmac(md5)", 16, 96);
	check(XFRM_HMAC_SHA1, XFRM_KIND_AUTH, "hmac(sha1)", 20, 96);
}

static void ciphers_have_the_key_lengths_of_the_standard(void **state)
{
	(void)state;
	check(XFRM_CIPHER_NULL, XFRM_KIND_CRYPT, "ecb(cipher_null)", 0, 0);
	check(XFRM_CBC_DES3, XFRM_KIND_CRYPT, "cbc(des3_ede)", 24, 0);
	check(XFRM_CBC_AES, XFRM_KIND_CRYPT, "cbc(aes)", 16, 0);
}

static void aeads_carry_a_salt_of_four_bytes_and_an_icv_of_128_bits(void **state)
{
	(void)state;
	check(XFRM_GCM_AES, XFRM_KIND_AEAD, "rfc4106(gcm(aes))", 16 + 4, 128);
	check(XFRM_GMAC_AES, XFRM_KIND_AEAD, "rfc4543(gcm(aes))", 16 + 4, 128);
}

static void every_key_and_name_fits_its_field(void **state)
{
	(void)state;
	for (int i = 0; i < XFRM_ALGO_COUNT; i++) {
		const struct xfrm_algo_info *algo = xfrm_algo_info((enum xfrm_algo_id)i);

		assert_true(algo->key_bytes <= XFRM_MAX_KEY_BYTES);
		assert_non_null(algo->name);
		assert_true(strlen(algo->name) < 64);
		assert_int_equal(algo->name[0] == '\0', i == XFRM_ALGO_NONE);
	}
}

static void an_unknown_number_is_no_algorithm(void **state)
{
	(void)state;
	check(XFRM_ALGO_NONE, XFRM_KIND_NONE, "", 0, 0);
	check(XFRM_ALGO_COUNT, XFRM_KIND_NONE, "", 0, 0);
	check((enum xfrm_algo_id)1000, XFRM_KIND_NONE, "", 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmacs_are_cut_to_96_bits),
		cmocka_unit_test(ciphers_have_the_key_lengths_of_the_standard),
		cmocka_unit_test(aeads_carry_a_salt_of_four_bytes_and_an_icv_of_128_bits),
		cmocka_unit_test(every_key_and_name_fits_its_field),
		cmocka_unit_test(an_unknown_number_is_no_algorithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
