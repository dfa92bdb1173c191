/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/ipsec3gpp.c: what the parameters mean, in both dialects; real headers from
 * tests/vectors/headers.txt (run from the root of the tree); what is written is read back.
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

#include "proto/ipsec3gpp.h"

#define COUNT_OF(a)  (sizeof(a) / sizeof((a)[0]))
#define NUMBERS      "spi-c=1001;spi-s=1002;port-c=2001;port-s=2002"
#define RFC_NUMBERS  "spi=1001;port1=2001;port2=2002"
#define HEADERS_PATH "tests/vectors/headers.txt"

/* ---- helpers ---- */

static struct sec_header parsed; /* of the test that runs; ended by its teardown */

static int end_parsed(void **state)
{
	(void)state;
	sec_header_done(&parsed);
	return 0;
}

static int read_as(enum sec_header_kind kind, const char *text, struct ipsec3gpp *ret,
		   struct sec_error *ret_error)
{
	const struct span line = span_of(text);
	struct sec_error error = {0};

	sec_header_done(&parsed);
	if (sec_header_parse(&line, 1, &parsed, &error))
		fail_msg("'%s' at %zu: %s", text, error.offset, error.why);
	return ipsec3gpp_read(&parsed, kind, ret, ret_error);
}

static void read_good_as(enum sec_header_kind kind, const char *text, struct ipsec3gpp *ret)
{
	struct sec_error error = {0};

	if (read_as(kind, text, ret, &error))
		fail_msg("'%s' at %zu: %s", text, error.offset, error.why);
}

static void read_good(const char *text, struct ipsec3gpp *ret)
{
	read_good_as(SEC_CLIENT, text, ret);
}

/* @text is refused, with an error that points at the first @at in it. */
static void assert_refused_as(enum sec_header_kind kind, const char *text, const char *at,
			      const char *why)
{
	struct sec_error error = {.line = 99};
	struct ipsec3gpp got, before;
	int r;

	memset(&got, 0xA5, sizeof(got));
	memcpy(&before, &got, sizeof(got));
	r = read_as(kind, text, &got, &error);
	assert_memory_equal(&got, &before, sizeof(got));
	if (r != -EINVAL || error.line != 0 || error.offset > strlen(text) ||
	    strncmp(text + error.offset, at, strlen(at)) != 0 || strcmp(error.why, why) != 0)
		fail_msg("'%s' gave %d at %zu: %s", text, r, error.offset, error.why);
}

static void assert_refused(const char *text, const char *at, const char *why)
{
	assert_refused_as(SEC_CLIENT, text, at, why);
}

/* The single offer of @text has @fault (NULL: none). */
static void assert_fault(const char *text, const char *fault)
{
	struct ipsec3gpp got;

	read_good(text, &got);
	assert_int_equal(got.offer_count, 1);
	if (!fault)
		assert_null(got.offers[0].fault);
	else
		assert_string_equal(got.offers[0].fault, fault);
}

static void assert_span(struct span got, const char *expected)
{
	if (!span_equal(got, span_of(expected)))
		fail_msg("'%.*s' is not '%s'", (int)got.n, got.p, expected);
}

static bool legal(enum ipsec_alg alg, enum ipsec_ealg ealg, enum ipsec_prot prot,
		  enum ipsec_mod mod)
{
	const struct ipsec_suite suite = {alg, ealg, prot, mod};

	return !ipsec_suite_fault(&suite);
}

/* ---- reading ---- */

static void an_offer_of_ts_24229_is_read(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("tls;q=0.3, IPsec-3GPP;q=0.5;Alg=HMAC-SHA-1-96;ealg=AES-CBC;prot=esp;mod=trans;"
		  NUMBERS, &got);
	assert_int_equal(got.endpoint.dialect, IPSEC_DIALECT_24229);
	assert_int_equal(got.endpoint.spi_c, 1001);
	assert_int_equal(got.endpoint.spi_s, 1002);
	assert_int_equal(got.endpoint.port_c, 2001);
	assert_int_equal(got.endpoint.port_s, 2002);
	assert_int_equal(got.offer_count, 1);
	assert_int_equal(got.offers[0].suite.alg, IPSEC_ALG_HMAC_SHA_1_96);
	assert_int_equal(got.offers[0].suite.ealg, IPSEC_EALG_AES_CBC);
	assert_int_equal(got.offers[0].q_milli, 500);
	assert_span(got.offers[0].alg, "HMAC-SHA-1-96");
	assert_null(got.offers[0].fault);
	assert_null(got.warning);
}

static void offers_keep_their_order(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("ipsec-3gpp;q=0.1;alg=hmac-md5-96;" NUMBERS ", tls, "
		  "ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;" NUMBERS ", "
		  "ipsec-3gpp;alg=aes-gmac;" NUMBERS, &got);
	assert_int_equal(got.offer_count, 3);
	assert_int_equal(got.offers[0].suite.alg, IPSEC_ALG_HMAC_MD5_96);
	assert_int_equal(got.offers[1].suite.ealg, IPSEC_EALG_AES_GCM);
	assert_int_equal(got.offers[2].suite.alg, IPSEC_ALG_AES_GMAC);
	assert_int_equal(got.offers[2].q_milli, -1);
}

static void a_list_without_ipsec_3gpp_has_no_offer(void **state)
{
	static const char *const none[] = {"tls", "digest;q=0.1, ipsec-ike;alg=x", "ipsec-3gp;x",
					   "ipsec-3gppx;alg=hmac-md5-96"};
	struct sec_error error = {.line = 7};
	struct ipsec3gpp got;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_int_equal(read_as(SEC_CLIENT, none[i], &got, &error), -ENOENT);
	assert_int_equal(error.line, 7);
}

static void C1_null_goes_with_aes_gcm_only_and_gmac_with_null_only(void **state)
{
	static const bool expected[4][4] = {
		/* ealg: null, des-ede3-cbc, aes-cbc, aes-gcm */
		[IPSEC_ALG_HMAC_MD5_96] = {true, true, true, false},
		[IPSEC_ALG_HMAC_SHA_1_96] = {true, true, true, false},
		[IPSEC_ALG_AES_GMAC] = {true, false, false, false},
		[IPSEC_ALG_NULL] = {false, false, false, true},
	};

	(void)state;
	for (enum ipsec_alg alg = 0; alg < IPSEC_ALG_UNKNOWN; alg++) {
		for (enum ipsec_ealg ealg = 0; ealg < IPSEC_EALG_UNKNOWN; ealg++) {
			bool hmac = alg == IPSEC_ALG_HMAC_MD5_96 || alg == IPSEC_ALG_HMAC_SHA_1_96;

			for (enum ipsec_mod mod = 0; mod < IPSEC_MOD_UNKNOWN; mod++) {
				assert_int_equal(legal(alg, ealg, IPSEC_PROT_ESP, mod),
						 expected[alg][ealg]);
				assert_int_equal(legal(alg, ealg, IPSEC_PROT_AH, mod),
						 hmac && ealg == IPSEC_EALG_NULL &&
							 mod != IPSEC_MOD_UDP_ENC_TUN);
			}
		}
	}
}

static void a_suite_with_an_unknown_name_is_not_legal(void **state)
{
	const struct ipsec_suite good = {IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_ESP,
					 IPSEC_MOD_TRANS};
	struct ipsec_suite s = good;

	(void)state;
	assert_true(ipsec_suite_known(&good));
	s.alg = IPSEC_ALG_UNKNOWN;
	assert_false(ipsec_suite_known(&s));
	assert_non_null(ipsec_suite_fault(&s));
	s = good;
	s.ealg = IPSEC_EALG_UNKNOWN;
	assert_false(ipsec_suite_encrypts(&s));
	assert_non_null(ipsec_suite_fault(&s));
	s = good;
	s.prot = IPSEC_PROT_UNKNOWN;
	assert_non_null(ipsec_suite_fault(&s));
	s = good;
	s.mod = IPSEC_MOD_UNKNOWN;
	assert_non_null(ipsec_suite_fault(&s));
}

static void C3_missing_names_have_defaults(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("ipsec-3gpp;alg=hmac-md5-96;" NUMBERS, &got);
	assert_int_equal(got.offers[0].suite.ealg, IPSEC_EALG_NULL);
	assert_int_equal(got.offers[0].suite.prot, IPSEC_PROT_ESP);
	assert_int_equal(got.offers[0].suite.mod, IPSEC_MOD_TRANS);
	assert_span(got.offers[0].ealg, "null");
	assert_span(got.offers[0].prot, "esp");
	assert_span(got.offers[0].mod, "trans");
}

static void C3_missing_alg_makes_the_header_invalid(void **state)
{
	(void)state;
	assert_refused("tls, ipsec-3gpp;" NUMBERS, "ipsec-3gpp", "ipsec-3gpp without alg");
	assert_refused("ipsec-3gpp;alg;" NUMBERS, "ipsec-3gpp", "ipsec-3gpp without alg");
	assert_refused_as(SEC_SERVER, "ipsec-3gpp;" NUMBERS, "ipsec-3gpp",
			  "ipsec-3gpp without alg");
	assert_refused("ipsec-3gpp;" RFC_NUMBERS, "ipsec-3gpp", "ipsec-3gpp without alg");
}

static void C3_C12_missing_numbers_are_named(void **state)
{
	(void)state;
	assert_refused("ipsec-3gpp", "ipsec-3gpp",
		       "ipsec-3gpp without alg, spi-c, spi-s, port-c, port-s");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96", "ipsec-3gpp",
		       "ipsec-3gpp without spi-c, spi-s, port-c, port-s");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi-c=1001;port-c=1;port-s=2", "ipsec-3gpp",
		       "ipsec-3gpp without spi-s");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi-c=1001;spi-s=1002;port-s=2", "ipsec-3gpp",
		       "ipsec-3gpp without port-c");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi=1001", "ipsec-3gpp",
		       "ipsec-3gpp without port1");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;port2=7", "ipsec-3gpp",
		       "ipsec-3gpp without spi, port1");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi-client=1001;" RFC_NUMBERS ";port-s=4",
		       "ipsec-3gpp", "ipsec-3gpp without spi-c, spi-s, port-c");
}

static void assert_spi(const char *spi, enum sec_header_kind kind, uint32_t expected)
{
	struct ipsec3gpp got;
	char text[200];

	snprintf(text, sizeof(text),
		 "ipsec-3gpp;alg=hmac-md5-96;spi-c=%s;spi-s=7777;port-c=1;port-s=2", spi);
	read_good_as(kind, text, &got);
	assert_int_equal(got.endpoint.spi_c, expected);
}

static void refuse_number(const char *name, const char *value, enum sec_header_kind kind,
			  const char *why)
{
	char text[200], at[40], words[120];

	snprintf(text, sizeof(text), "tls,ipsec-3gpp;alg=hmac-md5-96;%s=%s;x", name, value);
	snprintf(at, sizeof(at), "%s;x", value);
	snprintf(words, sizeof(words), "%s %s", name, why);
	assert_refused_as(kind, text, at, words);
}

static void C4_an_SPI_has_1_to_10_digits(void **state)
{
	(void)state;
	assert_spi("256", SEC_CLIENT, 256);
	assert_spi("0000000256", SEC_CLIENT, 256);
	assert_spi("4294967295", SEC_CLIENT, UINT32_MAX);
	for (int i = 0; i < 3; i++) {
		const char *name = (const char *[]){"spi-c", "spi-s", "spi"}[i];

		refuse_number(name, "4294967296", SEC_CLIENT, "is above 4294967295");
		refuse_number(name, "9999999999", SEC_SERVER, "is above 4294967295");
		refuse_number(name, "00000000256", SEC_CLIENT,
			      "is not a decimal number of 1 to 10 digits");
		refuse_number(name, "0x00000100", SEC_CLIENT,
			      "is not a decimal number of 1 to 10 digits");
		refuse_number(name, "-300", SEC_CLIENT,
			      "is not a decimal number of 1 to 10 digits");
		refuse_number(name, "\"300\"", SEC_CLIENT,
			      "is not a decimal number of 1 to 10 digits");
		refuse_number(name, "[::1]", SEC_VERIFY,
			      "is not a decimal number of 1 to 10 digits");
	}
	assert_refused("ipsec-3gpp;spi-c;alg=hmac-md5-96", ";alg",
		       "spi-c is not a decimal number of 1 to 10 digits");
}

static void C5_SPI_0_is_refused_everywhere(void **state)
{
	(void)state;
	refuse_number("spi-c", "0", SEC_CLIENT, "is 0");
	refuse_number("spi-s", "0000000000", SEC_SERVER, "is 0");
	refuse_number("spi", "0", SEC_VERIFY, "is 0");
}

static void C5_reserved_SPIs_are_refused_from_a_phone(void **state)
{
	(void)state;
	refuse_number("spi-c", "255", SEC_CLIENT, "is below 256, a reserved SPI");
	refuse_number("spi-s", "1", SEC_CLIENT, "is below 256, a reserved SPI");
	refuse_number("spi", "255", SEC_CLIENT, "is below 256, a reserved SPI");
	assert_spi("1", SEC_SERVER, 1);
	assert_spi("255", SEC_VERIFY, 255);
}

static void C6_a_port_is_1_to_65535(void **state)
{
	static const char *const names[] = {"port-c", "port-s", "port1", "port2"};
	struct ipsec3gpp got;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		refuse_number(names[i], "0", SEC_CLIENT, "is 0");
		refuse_number(names[i], "65536", SEC_SERVER, "is above 65535");
		refuse_number(names[i], "-1", SEC_CLIENT,
			      "is not a decimal number of 1 to 10 digits");
		refuse_number(names[i], "sip", SEC_CLIENT,
			      "is not a decimal number of 1 to 10 digits");
	}
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi-c=256;spi-s=257;port-c=1;port-s=65535", &got);
	assert_int_equal(got.endpoint.port_c, 1);
	assert_int_equal(got.endpoint.port_s, 65535);
}

static void C6_ports_5060_and_5061_are_accepted_with_a_warning(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi-c=256;spi-s=257;port-c=5060;port-s=2", &got);
	assert_non_null(got.warning);
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi-c=256;spi-s=257;port-c=2;port-s=5061", &got);
	assert_non_null(got.warning);
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi=5060;port1=5061", &got);
	assert_non_null(got.warning);
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi-c=5060;spi-s=5061;port-c=2;port-s=3", &got);
	assert_null(got.warning);
}

static void C6_the_two_SPIs_and_the_two_ports_differ(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi-c=500;spi-s=0500;port-c=1;port-s=2",
		       "0500;port", "spi-s is equal to spi-c");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi-c=500;spi-s=501;port-c=33;port-s=33",
		       "33", "port-s is equal to port-c");
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi-c=500;spi-s=501;port-c=500;port-s=501", &got);
}

static void C7_all_entries_repeat_the_same_numbers(void **state)
{
	static const char *const names[] = {"spi-c", "spi-s", "port-c", "port-s"};
	struct ipsec3gpp got;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		uint32_t v[] = {1001, 1002, 2001, 2002};
		char text[300], why[100];

		v[i] = 3333;
		snprintf(text, sizeof(text),
			 "ipsec-3gpp;alg=hmac-md5-96;" NUMBERS ",ipsec-3gpp;alg=aes-gmac;"
			 "spi-c=%u;spi-s=%u;port-c=%u;port-s=%u", v[0], v[1], v[2], v[3]);
		snprintf(why, sizeof(why), "%s differs from the first ipsec-3gpp entry's",
			 names[i]);
		assert_refused(text, "3333", why);
	}
	read_good("ipsec-3gpp;alg=hmac-md5-96;" NUMBERS ",ipsec-3gpp;alg=aes-gmac;"
		  "port-s=02002;spi-s=001002;spi-c=1001;port-c=2001", &got);
	assert_int_equal(got.offer_count, 2);
}

static void C7_an_entry_that_is_not_usable_must_agree_too(void **state)
{
	(void)state;
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;" NUMBERS ",ipsec-3gpp;alg=hmac-sha-512;"
		       "spi-c=1001;spi-s=1002;port-c=2001;port-s=3333",
		       "3333", "port-s differs from the first ipsec-3gpp entry's");
}

static void C8_an_unknown_name_costs_the_entry_not_the_header(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	assert_fault("ipsec-3gpp;alg=hmac-sha-512;" NUMBERS,
		     "the integrity algorithm (alg) is not known");
	assert_fault("ipsec-3gpp;alg=\"hmac-md5-96\";" NUMBERS,
		     "the integrity algorithm (alg) is not known");
	assert_fault("ipsec-3gpp;alg=hmac-md5-96;ealg=twofish;" NUMBERS,
		     "the encryption algorithm (ealg) is not known");
	assert_fault("ipsec-3gpp;alg=hmac-md5-96;ealg;" NUMBERS,
		     "the encryption algorithm (ealg) is not known");
	assert_fault("ipsec-3gpp;alg=hmac-md5-96;prot=sctp;" NUMBERS,
		     "the protocol (prot) is not known");
	assert_fault("ipsec-3gpp;alg=hmac-md5-96;mod=transport;" NUMBERS,
		     "the mode (mod) is not known");
	read_good("ipsec-3gpp;alg=hmac-sha-512;" NUMBERS ",ipsec-3gpp;alg=hmac-md5-96;" NUMBERS,
		  &got);
	assert_int_equal(got.offer_count, 2);
	assert_non_null(got.offers[0].fault);
	assert_null(got.offers[1].fault);
}

static void C8_an_illegal_combination_costs_the_entry(void **state)
{
	(void)state;
	assert_fault("ipsec-3gpp;alg=null;" NUMBERS, "neither integrity nor encryption");
	assert_fault("ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-gcm;" NUMBERS,
		     "ealg=aes-gcm goes with alg=null only");
	assert_fault("ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=ah;" NUMBERS,
		     "prot=ah does not encrypt");
	assert_fault("ipsec-3gpp;alg=hmac-sha-1-96;prot=ah;" NUMBERS, NULL);
	assert_fault("ipsec-3gpp;alg=hmac-sha-1-96;mod=tun;" NUMBERS, NULL);
}

static void C10_media_plane_entries_are_passed_over(void **state)
{
	struct sec_error error;
	struct ipsec3gpp got;

	(void)state;
	assert_int_equal(read_as(SEC_CLIENT, "sdes-srtp;mediasec, ipsec-3gpp;Mediasec", &got,
				 &error), -ENOENT);
	read_good("ipsec-3gpp;mediasec;spi-c=0, ipsec-3gpp;alg=hmac-md5-96;" NUMBERS, &got);
	assert_int_equal(got.offer_count, 1);
}

static void C11_an_offer_of_rfc_3329_is_read(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("ipsec-3gpp;alg=hmac-sha-1-96;ealg=des-ede3-cbc;" RFC_NUMBERS, &got);
	assert_int_equal(got.endpoint.dialect, IPSEC_DIALECT_RFC3329);
	assert_int_equal(got.endpoint.spi, 1001);
	assert_int_equal(got.endpoint.port1, 2001);
	assert_int_equal(got.endpoint.port2, 2002);
	assert_int_equal(got.endpoint.spi_c, 0);
	assert_int_equal(got.endpoint.port_s, 0);
}

static void C11_port2_is_optional_and_may_be_port1(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi=1001;port1=2001", &got);
	assert_int_equal(got.endpoint.port2, 0);
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi=1001;port1=2001;port2=2001", &got);
	assert_int_equal(got.endpoint.port2, 2001);
}

static void C11_port2_in_some_entries_only_is_a_difference(void **state)
{
	(void)state;
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi=1001;port1=2001, "
		       "ipsec-3gpp;alg=aes-gmac;spi=1001;port1=2001;port2=2002",
		       "2002", "port2 differs from the first ipsec-3gpp entry's");
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;spi=1001;port1=2001;port2=2002, "
		       "IPSEC-3gpp;alg=aes-gmac;spi=1001;port1=2001",
		       "IPSEC", "port2 differs from the first ipsec-3gpp entry's");
}

static void C11_both_dialects_in_one_header_are_refused(void **state)
{
	(void)state;
	assert_refused("ipsec-3gpp;alg=hmac-md5-96;" NUMBERS ", IPSEC-3gpp;alg=hmac-md5-96;"
		       RFC_NUMBERS, "IPSEC",
		       "entries with spi-c and entries with spi in one header");
}

static void C12_with_both_dialects_in_one_entry_the_newer_counts(void **state)
{
	struct ipsec3gpp got;

	(void)state;
	read_good("ipsec-3gpp;alg=hmac-md5-96;spi=0;port1=99999;" NUMBERS ";port2=x", &got);
	assert_int_equal(got.endpoint.dialect, IPSEC_DIALECT_24229);
	assert_int_equal(got.endpoint.spi_c, 1001);
	assert_int_equal(got.endpoint.spi, 0);
	assert_int_equal(got.endpoint.port1, 0);
}

static void C14_sha_256_is_not_a_name_of_this_mechanism(void **state)
{
	(void)state;
	assert_int_equal(ipsec_alg_of(span_of("hmac-sha-256-128")), IPSEC_ALG_UNKNOWN);
	assert_fault("ipsec-3gpp;alg=hmac-sha-256-128;" NUMBERS,
		     "the integrity algorithm (alg) is not known");
}

static void B2_an_entry_of_a_server_without_alg_and_numbers_is_an_advertisement(void **state)
{
	struct sec_error error;
	struct ipsec3gpp got;

	(void)state;
	assert_int_equal(read_as(SEC_SERVER, "ipsec-3gpp ; q=0.1", &got, &error), -ENOENT);
	assert_int_equal(read_as(SEC_VERIFY, "ipsec-3gpp;ealg=aes-cbc", &got, &error), -ENOENT);
	assert_refused_as(SEC_CLIENT, "ipsec-3gpp;q=0.1", "ipsec-3gpp",
			  "ipsec-3gpp without alg, spi-c, spi-s, port-c, port-s");
	assert_refused_as(SEC_SERVER, "ipsec-3gpp;alg=hmac-md5-96", "ipsec-3gpp",
			  "ipsec-3gpp without spi-c, spi-s, port-c, port-s");
	read_good_as(SEC_SERVER, "ipsec-3gpp, ipsec-3gpp;alg=hmac-md5-96;" NUMBERS, &got);
	assert_int_equal(got.offer_count, 1);
}

static void errors_on_a_later_line_name_that_line(void **state)
{
	const struct span lines[] = {span_of("tls"),
				     span_of(" a, ipsec-3gpp;alg=aes-gmac;spi-c=0")};
	struct sec_error error;
	struct ipsec3gpp got;

	(void)state;
	assert_int_equal(sec_header_parse(lines, 2, &parsed, &error), 0);
	assert_int_equal(ipsec3gpp_read(&parsed, SEC_CLIENT, &got, &error), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.offset, 34);
}

static void a_full_list_of_64_offers_is_read(void **state)
{
	char text[SEC_MAX_BYTES];
	struct ipsec3gpp got;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < SEC_MAX_MECHANISMS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%sipsec-3gpp;alg=aes-gmac;%s",
				      i ? "," : "", NUMBERS);
	read_good(text, &got);
	assert_int_equal(got.offer_count, SEC_MAX_MECHANISMS);
}

/* ---- names, profile ---- */

static void names_and_values_translate_both_ways(void **state)
{
	(void)state;
	for (enum ipsec_alg v = 0; v < IPSEC_ALG_UNKNOWN; v++)
		assert_int_equal(ipsec_alg_of(span_of(ipsec_alg_name(v))), v);
	for (enum ipsec_ealg v = 0; v < IPSEC_EALG_UNKNOWN; v++)
		assert_int_equal(ipsec_ealg_of(span_of(ipsec_ealg_name(v))), v);
	for (enum ipsec_prot v = 0; v < IPSEC_PROT_UNKNOWN; v++)
		assert_int_equal(ipsec_prot_of(span_of(ipsec_prot_name(v))), v);
	for (enum ipsec_mod v = 0; v < IPSEC_MOD_UNKNOWN; v++)
		assert_int_equal(ipsec_mod_of(span_of(ipsec_mod_name(v))), v);
	assert_int_equal(ipsec_mod_of(span_of("udp-ENC-tun")), IPSEC_MOD_UDP_ENC_TUN);
	assert_string_equal(ipsec_alg_name(IPSEC_ALG_UNKNOWN), "?");
	assert_string_equal(ipsec_ealg_name(IPSEC_EALG_UNKNOWN), "?");
	assert_string_equal(ipsec_prot_name(IPSEC_PROT_UNKNOWN), "?");
	assert_string_equal(ipsec_mod_name(IPSEC_MOD_UNKNOWN), "?");
}

static void a_part_of_a_name_is_not_the_name(void **state)
{
	(void)state;
	assert_int_equal(ipsec_alg_of(span_of("hmac-md5")), IPSEC_ALG_UNKNOWN);
	assert_int_equal(ipsec_alg_of(span_of("hmac-md5-96x")), IPSEC_ALG_UNKNOWN);
	assert_int_equal(ipsec_alg_of(span_of("?")), IPSEC_ALG_UNKNOWN);
	assert_int_equal(ipsec_alg_of(span_of("")), IPSEC_ALG_UNKNOWN);
	assert_int_equal(ipsec_ealg_of(span_of("aes")), IPSEC_EALG_UNKNOWN);
	assert_int_equal(ipsec_prot_of(span_of("es")), IPSEC_PROT_UNKNOWN);
	assert_int_equal(ipsec_mod_of(span_of("tunnel")), IPSEC_MOD_UNKNOWN);
}

static void each_dialect_has_its_profile(void **state)
{
	static const struct {
		enum ipsec_prot prot;
		enum ipsec_mod mod;
		bool in_24229, in_rfc3329;
	} rows[] = {
		{IPSEC_PROT_ESP, IPSEC_MOD_TRANS, true, true},
		{IPSEC_PROT_ESP, IPSEC_MOD_TUN, false, true},
		{IPSEC_PROT_ESP, IPSEC_MOD_UDP_ENC_TUN, true, false},
		{IPSEC_PROT_ESP, IPSEC_MOD_UNKNOWN, false, false},
		{IPSEC_PROT_AH, IPSEC_MOD_TRANS, false, true},
		{IPSEC_PROT_AH, IPSEC_MOD_TUN, false, true},
		{IPSEC_PROT_AH, IPSEC_MOD_UDP_ENC_TUN, false, false},
		{IPSEC_PROT_UNKNOWN, IPSEC_MOD_TRANS, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct ipsec_suite s = {IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL,
					      rows[i].prot, rows[i].mod};

		assert_int_equal(ipsec_suite_in_profile(&s, IPSEC_DIALECT_24229),
				 rows[i].in_24229);
		assert_int_equal(ipsec_suite_in_profile(&s, IPSEC_DIALECT_RFC3329),
				 rows[i].in_rfc3329);
	}
}

static void suites_are_equal_in_all_four_parts(void **state)
{
	const struct ipsec_suite a = {IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_ESP,
				      IPSEC_MOD_TRANS};
	struct ipsec_suite b[4] = {a, a, a, a};

	(void)state;
	assert_true(ipsec_suite_equal(&a, &b[0]));
	b[0].alg = IPSEC_ALG_HMAC_MD5_96;
	b[1].ealg = IPSEC_EALG_AES_CBC;
	b[2].prot = IPSEC_PROT_AH;
	b[3].mod = IPSEC_MOD_TUN;
	for (size_t i = 0; i < 4; i++)
		assert_false(ipsec_suite_equal(&a, &b[i]));
}

/* ---- writing ---- */

static const struct ipsec_suite two_suites[] = {
	{IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
	{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_ESP, IPSEC_MOD_UDP_ENC_TUN},
};

static void C13_the_parameters_have_the_usual_order(void **state)
{
	const struct ipsec_endpoint endpoint = {.dialect = IPSEC_DIALECT_24229,
						.spi_c = 4294967295, .spi_s = 256,
						.port_c = 5062, .port_s = 65535};
	const char *expected =
		"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans;"
		"spi-c=4294967295;spi-s=256;port-c=5062;port-s=65535, "
		"ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;ealg=null;prot=esp;"
		"mod=UDP-enc-tun;spi-c=4294967295;spi-s=256;port-c=5062;port-s=65535";
	char out[400];

	(void)state;
	assert_int_equal(ipsec3gpp_write(&endpoint, two_suites, 2, true, out, sizeof(out)),
			 strlen(expected));
	assert_string_equal(out, expected);
}

static void the_older_dialect_is_written_without_an_absent_port2(void **state)
{
	struct ipsec_endpoint endpoint = {.dialect = IPSEC_DIALECT_RFC3329, .spi = 1001,
					  .port1 = 2001, .spi_c = 9, .port_c = 9};
	char out[200];

	(void)state;
	assert_true(ipsec3gpp_write(&endpoint, two_suites, 1, false, out, sizeof(out)) > 0);
	assert_string_equal(out, "ipsec-3gpp;alg=null;ealg=aes-gcm;prot=esp;mod=trans;"
				 "spi=1001;port1=2001");
	endpoint.port2 = 2002;
	assert_true(ipsec3gpp_write(&endpoint, two_suites, 1, false, out, sizeof(out)) > 0);
	assert_string_equal(out, "ipsec-3gpp;alg=null;ealg=aes-gcm;prot=esp;mod=trans;"
				 "spi=1001;port1=2001;port2=2002");
}

static void writing_has_limits(void **state)
{
	const struct ipsec_endpoint endpoint = {.dialect = IPSEC_DIALECT_RFC3329, .spi = 1001,
						.port1 = 2001};
	struct ipsec_suite many[SEC_MAX_MECHANISMS + 1];
	char out[20000];
	int n = ipsec3gpp_write(&endpoint, two_suites, 2, true, out, sizeof(out));

	(void)state;
	assert_int_equal(ipsec3gpp_write(&endpoint, two_suites, 2, true, out, (size_t)n), -ENOSPC);
	assert_string_equal(out, "");
	assert_int_equal(ipsec3gpp_write(&endpoint, two_suites, 2, true, out, (size_t)n + 1), n);
	assert_int_equal(ipsec3gpp_write(&endpoint, two_suites, 0, true, out, 9), -EINVAL);
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = two_suites[0];
	assert_int_equal(ipsec3gpp_write(&endpoint, many, COUNT_OF(many), true, out, sizeof(out)),
			 -EINVAL);
}

/* As many suites as @count, cycling through all legal ones. */
static void all_legal(struct ipsec_suite *ret, size_t count)
{
	for (size_t i = 0, n = 0; n < count; i++) {
		const struct ipsec_suite s = {i % 4, i / 4 % 4, i / 16 % 2, i / 32 % 3};

		if (!ipsec_suite_fault(&s))
			ret[n++] = s;
	}
}

static void A3_what_is_written_reads_back_with_distinct_descending_q(void **state)
{
	const struct ipsec_endpoint endpoints[] = {
		{.dialect = IPSEC_DIALECT_24229, .spi_c = 256, .spi_s = 4294967295, .port_c = 1,
		 .port_s = 65535},
		{.dialect = IPSEC_DIALECT_RFC3329, .spi = 777, .port1 = 5, .port2 = 6},
		{.dialect = IPSEC_DIALECT_RFC3329, .spi = 777, .port1 = 5},
	};
	struct ipsec_suite suites[SEC_MAX_MECHANISMS];
	struct ipsec3gpp got;
	char out[SEC_MAX_BYTES];

	(void)state;
	all_legal(suites, SEC_MAX_MECHANISMS);
	for (size_t count = 1; count <= SEC_MAX_MECHANISMS; count++) {
		const struct ipsec_endpoint *endpoint = &endpoints[count % COUNT_OF(endpoints)];
		int last_q = 1000;

		assert_true(ipsec3gpp_write(endpoint, suites, count, true, out, sizeof(out)) > 0);
		read_good(out, &got);
		assert_int_equal(got.offer_count, count);
		assert_memory_equal(&got.endpoint, endpoint, sizeof(*endpoint));
		for (size_t i = 0; i < count; i++) {
			assert_true(ipsec_suite_equal(&got.offers[i].suite, &suites[i]));
			assert_true(got.offers[i].q_milli < last_q && got.offers[i].q_milli > 0);
			last_q = got.offers[i].q_milli;
		}
	}
}

/* ---- real headers ---- */

/* "24.229 SPI_C SPI_S PORT_C PORT_S OFFER..." and so on, as it would stand in the file. */
static void describe(const struct ipsec3gpp *got, struct text_out *out)
{
	const struct ipsec_endpoint *e = &got->endpoint;

	if (e->dialect == IPSEC_DIALECT_24229)
		text_out_printf(out, "24.229 %u %u %u %u", e->spi_c, e->spi_s, e->port_c,
				e->port_s);
	else
		text_out_printf(out, "rfc3329 %u %u %u", e->spi, e->port1, e->port2);
	for (size_t i = 0; i < got->offer_count; i++) {
		const struct ipsec_suite *suite = &got->offers[i].suite;

		assert_int_equal(suite->mod, IPSEC_MOD_TRANS);
		text_out_printf(out, " %s/%s", ipsec_alg_name(suite->alg),
				ipsec_ealg_name(suite->ealg));
		if (suite->prot != IPSEC_PROT_ESP)
			text_out_printf(out, "/%s", ipsec_prot_name(suite->prot));
	}
}

/* One line of the file, cut at its tab. */
static void check_real_header(const char *expected, const char *header)
{
	const char *colon = strchr(header, ':');
	struct sec_error error = {0};
	enum sec_header_kind kind;
	struct ipsec3gpp got;
	struct text_out out;
	char found[400];
	int r;

	assert_non_null(colon);
	assert_int_equal(sec_header_kind_of((struct span){header, (size_t)(colon - header)}, &kind),
			 0);
	r = read_as(kind, colon + 1, &got, &error);
	if (r == 0) {
		text_out_init(&out, found, sizeof(found));
		describe(&got, &out);
		for (size_t i = 0; i < got.offer_count; i++)
			assert_null(got.offers[i].fault);
	} else if (r == -ENOENT) {
		strcpy(found, "none");
	} else {
		const char *at = strncmp(expected, "refused ", 8) ? "" : expected + 8;

		snprintf(found, sizeof(found), "refused %.*s", (int)strlen(at),
			 colon + 1 + error.offset);
	}
	if (strcmp(found, expected))
		fail_msg("%s\nexpected: %s\nfound:    %s (%s)", header, expected, found,
			 error.why);
}

static void real_headers_mean_what_a_person_would_read(void **state)
{
	FILE *f = fopen(HEADERS_PATH, "re");
	char line[8192];
	size_t checked = 0;

	(void)state;
	if (!f)
		fail_msg("no %s: run this from the root of the tree", HEADERS_PATH);
	while (fgets(line, sizeof(line), f)) {
		char *tab = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		assert_non_null(tab);
		*tab = '\0';
		check_real_header(line, tab + 1);
		checked++;
	}
	fclose(f);
	assert_int_equal(checked, 28);
}

/* ---- damaged headers ---- */

static uint32_t random_state;

static uint32_t next_random(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static void damaged_headers_are_read_or_refused_and_nothing_else(void **state)
{
	static const char good[] =
		"ipsec-3gpp;q=0.5;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;"
		"mod=trans;" NUMBERS ", ipsec-3gpp;alg=null;ealg=aes-gcm;" NUMBERS
		", ipsec-3gpp;mediasec";
	const char *env = getenv("SEED");
	uint32_t seed = env ? (uint32_t)strtoul(env, NULL, 10) : 1;

	(void)state;
	for (uint32_t end = seed + 20000; seed != end; seed++) {
		char text[sizeof(good)];
		struct span line = {text, sizeof(good) - 1};
		struct sec_error error = {.line = 99};
		struct ipsec3gpp got;
		int r;

		random_state = seed;
		memcpy(text, good, sizeof(good));
		for (uint32_t n = 1 + next_random(4); n; n--)
			text[next_random(sizeof(good) - 1)] = ",;=0a9-\"sp"[next_random(10)];
		sec_header_done(&parsed);
		if (sec_header_parse(&line, 1, &parsed, NULL))
			continue;
		r = ipsec3gpp_read(&parsed, (enum sec_header_kind)next_random(3), &got, &error);
		if (r == -EINVAL && (error.line != 0 || error.offset > line.n || !error.why[0]))
			fail_msg("SEED=%u: offset %zu: %s", seed, error.offset, error.why);
		assert_true(r == 0 || r == -EINVAL || r == -ENOENT);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, end_parsed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_offer_of_ts_24229_is_read),
		TEST(offers_keep_their_order),
		TEST(a_list_without_ipsec_3gpp_has_no_offer),
		TEST(C1_null_goes_with_aes_gcm_only_and_gmac_with_null_only),
		TEST(a_suite_with_an_unknown_name_is_not_legal),
		TEST(C3_missing_names_have_defaults),
		TEST(C3_missing_alg_makes_the_header_invalid),
		TEST(C3_C12_missing_numbers_are_named),
		TEST(C4_an_SPI_has_1_to_10_digits),
		TEST(C5_SPI_0_is_refused_everywhere),
		TEST(C5_reserved_SPIs_are_refused_from_a_phone),
		TEST(C6_a_port_is_1_to_65535),
		TEST(C6_ports_5060_and_5061_are_accepted_with_a_warning),
		TEST(C6_the_two_SPIs_and_the_two_ports_differ),
		TEST(C7_all_entries_repeat_the_same_numbers),
		TEST(C7_an_entry_that_is_not_usable_must_agree_too),
		TEST(C8_an_unknown_name_costs_the_entry_not_the_header),
		TEST(C8_an_illegal_combination_costs_the_entry),
		TEST(C10_media_plane_entries_are_passed_over),
		TEST(C11_an_offer_of_rfc_3329_is_read),
		TEST(C11_port2_is_optional_and_may_be_port1),
		TEST(C11_port2_in_some_entries_only_is_a_difference),
		TEST(C11_both_dialects_in_one_header_are_refused),
		TEST(C12_with_both_dialects_in_one_entry_the_newer_counts),
		TEST(C14_sha_256_is_not_a_name_of_this_mechanism),
		TEST(B2_an_entry_of_a_server_without_alg_and_numbers_is_an_advertisement),
		TEST(errors_on_a_later_line_name_that_line),
		TEST(a_full_list_of_64_offers_is_read),
		TEST(names_and_values_translate_both_ways),
		TEST(a_part_of_a_name_is_not_the_name),
		TEST(each_dialect_has_its_profile),
		TEST(suites_are_equal_in_all_four_parts),
		TEST(C13_the_parameters_have_the_usual_order),
		TEST(the_older_dialect_is_written_without_an_absent_port2),
		TEST(writing_has_limits),
		TEST(A3_what_is_written_reads_back_with_distinct_descending_q),
		TEST(real_headers_mean_what_a_person_would_read),
		TEST(damaged_headers_are_read_or_refused_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
