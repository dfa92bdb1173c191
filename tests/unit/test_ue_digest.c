/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/digest.c: the vector of RFC 2617 3.5; AKAv1-MD5 (RFC 3310) with the values of TS 35.208
 * set 1, whose responses were computed apart, with another MD5; reading challenges.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/ue/digest.h"

#define IMPI  "001010000000001@ims.mnc001.mcc001.3gppnetwork.org"
#define REALM "ims.mnc001.mcc001.3gppnetwork.org"
/* base64 of RAND || AUTN */
#define NONCE "I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7M="

static const uint8_t res[] = {0xa5, 0x42, 0x11, 0xd5, 0xe3, 0xba, 0x50, 0xbf};

static int parse(const char *value, struct digest_challenge *ret)
{
	memset(ret, 0, sizeof(*ret));
	return digest_challenge_parse(span_of(value), ret);
}

static void the_vector_of_rfc_2617_holds(void **state)
{
	char ha1[DIGEST_HEX_BYTES], response[DIGEST_HEX_BYTES];

	(void)state;
	assert_int_equal(digest_ha1("Mufasa", "testrealm@host.com",
				    (const uint8_t *)"Circle Of Life", 14, ha1), 0);
	assert_string_equal(ha1, "939e7578ed9e3c518a452acee763bce9");
	assert_int_equal(digest_response(ha1, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001",
					 "0a4f113b", "GET", "/dir/index.html", response), 0);
	assert_string_equal(response, "6629fae49393a05397450978507c4ef1");
}

static void akav1_without_qop_takes_res_as_the_password(void **state)
{
	char ha1[DIGEST_HEX_BYTES], response[DIGEST_HEX_BYTES];

	(void)state;
	assert_int_equal(digest_ha1(IMPI, REALM, res, sizeof(res), ha1), 0);
	assert_string_equal(ha1, "da00069eb0de6587da7e09ef503c29db");
	assert_int_equal(digest_response(ha1, NONCE, NULL, NULL, "REGISTER", "sip:" REALM,
					 response), 0);
	assert_string_equal(response, "1125a3c2e293453f07e08957ff235efc");
}

static void akav1_with_qop_auth_takes_nc_and_cnonce_in(void **state)
{
	char ha1[DIGEST_HEX_BYTES], response[DIGEST_HEX_BYTES];

	(void)state;
	assert_int_equal(digest_ha1(IMPI, REALM, res, sizeof(res), ha1), 0);
	assert_int_equal(digest_response(ha1, NONCE, "00000001", "0a4f113b", "REGISTER",
					 "sip:" REALM, response), 0);
	assert_string_equal(response, "402ab8df9f3a4d63a9f47c2f90e02938");
}

static void a_nul_in_res_does_not_end_it(void **state)
{
	static const uint8_t with_nul[] = {0xa5, 0x42, 0x00, 0x11, 0xe3, 0xba, 0x50, 0xbf};
	char ha1[DIGEST_HEX_BYTES];

	(void)state;
	assert_int_equal(digest_ha1(IMPI, REALM, with_nul, sizeof(with_nul), ha1), 0);
	assert_string_equal(ha1, "a6fc38cfa2f71766eafac8bd9cf50901");
}

static void the_nonce_gives_rand_and_autn(void **state)
{
	static const uint8_t autn_start[] = {0x55, 0xf3, 0x28, 0xb4};
	uint8_t rand[AKA_RAND_BYTES], autn[AKA_AUTN_BYTES];

	(void)state;
	assert_int_equal(digest_nonce_to_aka(NONCE, rand, autn), 0);
	assert_int_equal(rand[0], 0x23);
	assert_int_equal(rand[15], 0x35);
	assert_memory_equal(autn, autn_start, sizeof(autn_start));
	assert_int_equal(autn[15], 0xb3);
}

static void server_data_behind_autn_is_passed_over(void **state)
{
	uint8_t rand[AKA_RAND_BYTES], autn[AKA_AUTN_BYTES];

	(void)state;
	assert_int_equal(digest_nonce_to_aka("I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7MBAgMEBQYH",
					     rand, autn), 0);
	assert_int_equal(autn[15], 0xb3);
}

static void a_nonce_that_is_no_base64_or_too_short_is_refused(void **state)
{
	uint8_t rand[AKA_RAND_BYTES], autn[AKA_AUTN_BYTES];

	(void)state;
	assert_int_equal(digest_nonce_to_aka("", rand, autn), -EINVAL);
	assert_int_equal(digest_nonce_to_aka("!!!!", rand, autn), -EINVAL);
	assert_int_equal(digest_nonce_to_aka("I1U8vpY3qJ0hiuZNrke/NQ==", rand, autn), -EINVAL);
}

static void a_challenge_is_read_with_its_keys_noted(void **state)
{
	struct digest_challenge c;

	(void)state;
	assert_int_equal(parse("Digest realm=\"" REALM "\",nonce=\"" NONCE "\","
			       " algorithm=AKAv1-MD5, qop=\"auth,auth-int\" , opaque=\"a\\\"b\",ck=\"00\", ik=\"11\"",
			       &c), 0);
	assert_string_equal(c.realm, REALM);
	assert_string_equal(c.nonce, NONCE);
	assert_string_equal(c.algorithm, "AKAv1-MD5");
	assert_string_equal(c.opaque, "a\"b");
	assert_true(c.qop_auth);
	assert_false(c.qop_other);
	assert_true(c.has_ck);
	assert_true(c.has_ik);
}

static void folds_and_odd_case_are_read(void **state)
{
	struct digest_challenge c;

	(void)state;
	assert_int_equal(parse("DIGEST\r\n Realm = \"r\" ,\r\n\tNONCE=\"n\"", &c), 0);
	assert_string_equal(c.realm, "r");
	assert_string_equal(c.nonce, "n");
	assert_string_equal(c.algorithm, "MD5");
	assert_false(c.qop_auth);
	assert_false(c.has_ck);
}

static void a_qop_without_auth_is_told_from_none(void **state)
{
	struct digest_challenge c;

	(void)state;
	assert_int_equal(parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", &c), 0);
	assert_false(c.qop_auth);
	assert_true(c.qop_other);
}

static void bad_challenges_are_refused(void **state)
{
	static const char *const bad[] = {
		"Digest",
		"Digest realm=\"r\"",
		"Digest nonce=\"n\"",
		"Digest realm=\"r, nonce=\"n\"",
		"Digest realm=\"r\" nonce=\"n\"",
		"Digest realm, nonce=\"n\"",
		"Digest realm=\"r\", nonce=",
		"Digest realm=\"r\", nonce=\"n",
	};
	struct digest_challenge c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &c), -EINVAL);
	assert_int_equal(parse("Basic realm=\"r\"", &c), -ENOENT);
}

static void a_word_that_is_too_long_is_refused(void **state)
{
	char text[1024] = "Digest realm=\"r\", nonce=\"";
	struct digest_challenge c;

	(void)state;
	memset(text + strlen(text), 'n', 600);
	strcat(text, "\"");
	assert_int_equal(parse(text, &c), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vector_of_rfc_2617_holds),
		cmocka_unit_test(akav1_without_qop_takes_res_as_the_password),
		cmocka_unit_test(akav1_with_qop_auth_takes_nc_and_cnonce_in),
		cmocka_unit_test(a_nul_in_res_does_not_end_it),
		cmocka_unit_test(the_nonce_gives_rand_and_autn),
		cmocka_unit_test(server_data_behind_autn_is_passed_over),
		cmocka_unit_test(a_nonce_that_is_no_base64_or_too_short_is_refused),
		cmocka_unit_test(a_challenge_is_read_with_its_keys_noted),
		cmocka_unit_test(folds_and_odd_case_are_read),
		cmocka_unit_test(a_qop_without_auth_is_told_from_none),
		cmocka_unit_test(bad_challenges_are_refused),
		cmocka_unit_test(a_word_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
