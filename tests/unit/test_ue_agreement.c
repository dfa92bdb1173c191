/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/agreement.c: what the phone takes from a 401, 421 or 494, and when it gives up.
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

#include "tests/ue/agreement.h"

#define CHALLENGE                                                                                  \
	"WWW-Authenticate: Digest realm=\"ims.example\", nonce=\"bm9uY2U=\", "                     \
	"algorithm=AKAv1-MD5, qop=\"auth\"\r\n"
#define NUMBERS  ";spi-c=4096;spi-s=4097;port-c=6100;port-s=6101"
#define NUMBERS2 ";spi-c=5000;spi-s=4097;port-c=6100;port-s=6101"
#define SHA_1    "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc" NUMBERS
#define GCM      "ipsec-3gpp;alg=null;ealg=aes-gcm" NUMBERS
#define MD5      "ipsec-3gpp;alg=hmac-md5-96" NUMBERS

static bool no_memory;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

void *__wrap_malloc(size_t n)
{
	return no_memory && n > SEC_MAX_BYTES ? NULL : __real_malloc(n);
}

static struct ue_options options;
static struct agreement got;
static char why[256];

static int start(void **state)
{
	static const struct ipsec_suite suites[] = {
		{.alg = IPSEC_ALG_NULL, .ealg = IPSEC_EALG_AES_GCM},
		{.alg = IPSEC_ALG_HMAC_SHA_1_96, .ealg = IPSEC_EALG_AES_CBC},
	};

	(void)state;
	memset(&options, 0, sizeof(options));
	memcpy(options.offers, suites, sizeof(suites));
	options.offer_count = 2;
	options.dialect = IPSEC_DIALECT_24229;
	return sip_init();
}

static int stop(void **state)
{
	(void)state;
	agreement_done(&got);
	return 0;
}

static int read_answer(const char *status, const char *headers)
{
	struct sip_message m;
	char text[8192];
	int r, n = snprintf(text, sizeof(text),
			    "SIP/2.0 %s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKone\r\n"
			    "From: <sip:a@x>;tag=1\r\nTo: <sip:a@x>;tag=2\r\nCall-ID: abc\r\n"
			    "CSeq: 1 REGISTER\r\n%sContent-Length: 0\r\n\r\n", status, headers);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	agreement_done(&got);
	snprintf(why, sizeof(why), "untouched");
	assert_int_equal(sip_message_parse((struct span){text, (size_t)n}, &m), 0);
	r = agreement_read(&m, &options, &got, why, sizeof(why));
	sip_message_done(&m);
	return r;
}

/* A 401 with a challenge gives this combination and this Security-Verify. */
static void agreed(const char *headers, enum ipsec_alg alg, const char *verify)
{
	char whole[6000];

	snprintf(whole, sizeof(whole), CHALLENGE "%s", headers);
	if (read_answer("401 Unauthorized", whole) != 0)
		fail_msg("%s: %s", headers, why);
	assert_string_equal(ipsec_alg_name(got.suite.alg), ipsec_alg_name(alg));
	assert_string_equal(got.verify, verify);
	assert_string_equal(why, "");
}

static void aborted(const char *status, const char *headers, int error, const char *words)
{
	int r = read_answer(status, headers);

	if (r != error || !strstr(why, words))
		fail_msg("%s: %d \"%s\", not \"%s\"", headers, r, why, words);
	assert_null(got.verify);
}

static void B4_the_highest_q_of_what_was_offered_is_taken(void **state)
{
	(void)state;
	agreed("Security-Server: " SHA_1 ";q=0.2, " GCM ";q=0.9, " MD5 ";q=1\r\n", IPSEC_ALG_NULL,
	       SHA_1 ";q=0.2, " GCM ";q=0.9, " MD5 ";q=1");
	agreed("Security-Server: " GCM ";q=0.1, " SHA_1 ";q=0.25\r\n", IPSEC_ALG_HMAC_SHA_1_96,
	       GCM ";q=0.1, " SHA_1 ";q=0.25");
}

static void A4_without_q_the_order_of_the_list_decides(void **state)
{
	(void)state;
	agreed("Security-Server: " MD5 "," SHA_1 "," GCM "\r\n", IPSEC_ALG_HMAC_SHA_1_96,
	       MD5 ", " SHA_1 ", " GCM);
}

static void A7_other_mechanisms_are_mirrored_and_not_chosen(void **state)
{
	(void)state;
	agreed("Security-Server: tls;q=0.9, foo;x=\"A, b\";q=1\r\n"
	       "security-server:  ipsec-IKE;q=0.8 ,digest;d-alg=MD5;q=0.7\r\n"
	       "Security-Server: " SHA_1 ";\r\n q=0.1\r\n", IPSEC_ALG_HMAC_SHA_1_96,
	       "tls;q=0.9, foo;x=\"A, b\";q=1, ipsec-IKE;q=0.8, digest;d-alg=MD5;q=0.7, "
	       SHA_1 "; q=0.1");
}

static void the_numbers_of_the_p_cscf_are_taken(void **state)
{
	(void)state;
	agreed("Security-Server: " SHA_1 ";q=0.1\r\n", IPSEC_ALG_HMAC_SHA_1_96, SHA_1 ";q=0.1");
	assert_int_equal(got.theirs.spi_c, 4096);
	assert_int_equal(got.theirs.spi_s, 4097);
	assert_int_equal(got.theirs.port_c, 6100);
	assert_int_equal(got.theirs.port_s, 6101);
	assert_int_equal(got.suite.ealg, IPSEC_EALG_AES_CBC);
}

static void B4_what_cannot_start_is_aborted_and_nothing_else_taken(void **state)
{
	(void)state;
	aborted("401 Unauthorized", CHALLENGE "Security-Server: ipsec-3gpp;q=0.9, " SHA_1
		";q=0.1\r\n", -ECANCELED, "has no algorithms, SPIs and ports");
	aborted("401 Unauthorized", CHALLENGE "Security-Server: ipsec-3gpp;alg=hmac-sha-1-96;"
		"ealg=aes-cbc;spi-c=1;port-c=2;port-s=3;q=0.9, tls;q=0.1\r\n", -ECANCELED,
		"without spi-s");
	aborted("401 Unauthorized", CHALLENGE "Security-Server: " SHA_1 ";q=0.9, "
		"ipsec-3gpp;alg=null;ealg=aes-gcm" NUMBERS2 ";q=0.1\r\n", -ECANCELED,
		"differs from the first");
	aborted("401 Unauthorized", "Security-Server: " SHA_1 ";q=0.9\r\n", -ECANCELED,
		"no challenge");
	aborted("401 Unauthorized", "WWW-Authenticate: Digest realm=\"x\"\r\nSecurity-Server: "
		SHA_1 ";q=0.9\r\n", -ECANCELED, "no challenge");
}

static void B4_without_anything_known_it_is_aborted(void **state)
{
	(void)state;
	aborted("401 Unauthorized", CHALLENGE, -ENOENT, "no Security-Server");
	aborted("401 Unauthorized", CHALLENGE "Security-Server: tls;q=0.2, digest;q=0.1\r\n",
		-ENOENT, "no mechanism");
	aborted("401 Unauthorized", CHALLENGE "Security-Server: " MD5 "\r\n", -ENOENT,
		"no mechanism");
	aborted("401 Unauthorized", CHALLENGE "Security-Server: " SHA_1 ";mediasec\r\n", -ENOENT,
		"no mechanism");
}

static void A3_A6_a_bad_list_is_aborted(void **state)
{
	(void)state;
	aborted("401 Unauthorized", CHALLENGE "Security-Server: " SHA_1 ";q=0.1, tls;q=0.10\r\n",
		-EINVAL, "q");
	aborted("401 Unauthorized", CHALLENGE "Security-Server: " SHA_1 ";alg=null\r\n", -EINVAL,
		"twice");
}

static void B2_a_494_or_421_without_numbers_is_the_end(void **state)
{
	(void)state;
	aborted("494 Security Agreement Required", "Security-Server: ipsec-3gpp;q=0.9;"
		"alg=hmac-sha-1-96;ealg=aes-cbc, tls;q=0.1\r\n", -ECANCELED, "without spi-c");
	aborted("421 Extension Required", "Security-Server: ipsec-3gpp;q=0.1\r\n", -ECANCELED,
		"has no algorithms");
	aborted("494 Security Agreement Required", "Security-Server: tls;q=0.1\r\n", -ENOENT,
		"no mechanism");
}

static void C11_the_other_dialect_is_no_answer_to_this_one(void **state)
{
	static const char pair[] = "Security-Server: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;"
				   "spi=4096;port1=6100;port2=6101\r\n";
	char whole[512];

	(void)state;
	snprintf(whole, sizeof(whole), CHALLENGE "%s", pair);
	aborted("401 Unauthorized", whole, -ECANCELED, "dialect");
	options.dialect = IPSEC_DIALECT_RFC3329;
	assert_int_equal(read_answer("401 Unauthorized", whole), 0);
	assert_int_equal(got.theirs.port1, 6100);
}

static void lines_above_the_limit_are_refused_and_not_cut(void **state)
{
	char headers[4096] = CHALLENGE "Security-Server: " SHA_1 "\r\n";
	size_t n = strlen(headers);

	(void)state;
	for (int i = 1; i < SEC_MAX_LINES; i++)
		n += (size_t)snprintf(headers + n, sizeof(headers) - n, "Security-Server: t%d\r\n",
				      i);
	assert_int_equal(read_answer("401 Unauthorized", headers), 0);
	snprintf(headers + n, sizeof(headers) - n, "Security-Server: tls\r\n");
	aborted("401 Unauthorized", headers, -E2BIG, "lines");
}

static void out_of_memory_is_an_answer(void **state)
{
	(void)state;
	no_memory = true;
	aborted("401 Unauthorized", CHALLENGE "Security-Server: " SHA_1 "\r\n", -ENOMEM,
		"memory");
	no_memory = false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(B4_the_highest_q_of_what_was_offered_is_taken),
		TEST(A4_without_q_the_order_of_the_list_decides),
		TEST(A7_other_mechanisms_are_mirrored_and_not_chosen),
		TEST(the_numbers_of_the_p_cscf_are_taken),
		TEST(B4_what_cannot_start_is_aborted_and_nothing_else_taken),
		TEST(B4_without_anything_known_it_is_aborted),
		TEST(A3_A6_a_bad_list_is_aborted),
		TEST(B2_a_494_or_421_without_numbers_is_the_end),
		TEST(C11_the_other_dialect_is_no_answer_to_this_one),
		TEST(lines_above_the_limit_are_refused_and_not_cut),
		TEST(out_of_memory_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
