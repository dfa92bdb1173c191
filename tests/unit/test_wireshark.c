/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/wireshark.c: lines of esp_sa, letter for letter. tests/e2e/wireshark.py proves that tshark
 * understands them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/wireshark.h"

#define K16 "0x11111111111111111111111111111111"
#define K20 K16 "11111111"
#define E16 "0x22222222222222222222222222222222"
#define E20 E16 "22222222"
#define E24 E20 "22222222"
#define V4  "\"IPv4\",\"198.51.100.7\",\"192.0.2.1\",\"0x00001001\","

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct xfrm_sa from_phone(void)
{
	return (struct xfrm_sa){
		.id = {.dst = ip("192.0.2.1"), .spi = 0x1001, .proto = IPPROTO_ESP},
		.src = ip("198.51.100.7"),
	};
}

static struct xfrm_sa_keys keys(enum xfrm_algo_id auth, enum xfrm_algo_id enc)
{
	struct xfrm_sa_keys keys = {.auth.algo = auth, .enc.algo = enc};

	memset(keys.auth.bytes, 0x11, sizeof(keys.auth.bytes));
	memset(keys.enc.bytes, 0x22, sizeof(keys.enc.bytes));
	return keys;
}

static void assert_line(const struct xfrm_sa *sa, enum xfrm_algo_id auth, enum xfrm_algo_id enc,
			const char *wanted)
{
	const struct xfrm_sa_keys k = keys(auth, enc);
	char line[WIRESHARK_LINE_BYTES];
	const char *why = NULL;

	assert_int_equal(wireshark_esp_sa(sa, &k, line, &why), 0);
	assert_string_equal(line, wanted);
	assert_null(why);
}

static void each_suite_that_wireshark_knows_is_a_line(void **state)
{
	const struct xfrm_sa sa = from_phone();

	(void)state;
	assert_line(&sa, XFRM_HMAC_SHA1, XFRM_CBC_AES,
		    V4 "\"AES-CBC [RFC3602]\",\"" E16 "\",\"HMAC-SHA-1-96 [RFC2404]\",\"" K20
		       "\"");
	assert_line(&sa, XFRM_HMAC_MD5, XFRM_CIPHER_NULL,
		    V4 "\"NULL\",\"\",\"HMAC-MD5-96 [RFC2403]\",\"" K16 "\"");
	assert_line(&sa, XFRM_HMAC_SHA1, XFRM_CBC_DES3,
		    V4 "\"TripleDES-CBC [RFC2451]\",\"" E24
		       "\",\"HMAC-SHA-1-96 [RFC2404]\",\"" K20 "\"");
	assert_line(&sa, XFRM_ALGO_NONE, XFRM_GCM_AES,
		    V4 "\"AES-GCM with 16 octet ICV [RFC4106]\",\"" E20 "\",\"NULL\",\"\"");
}

static void ipv6_is_said(void **state)
{
	struct xfrm_sa sa = from_phone();

	(void)state;
	sa.src = ip("2001:db8::10");
	sa.id.dst = ip("2001:db8::1");
	sa.id.spi = 0xfedcba98;
	assert_line(&sa, XFRM_HMAC_MD5, XFRM_CIPHER_NULL,
		    "\"IPv6\",\"2001:db8::10\",\"2001:db8::1\",\"0xfedcba98\",\"NULL\",\"\","
		    "\"HMAC-MD5-96 [RFC2403]\",\"" K16 "\"");
}

static void the_longest_line_fits(void **state)
{
	char line[WIRESHARK_LINE_BYTES];
	struct xfrm_sa sa = from_phone();
	struct xfrm_sa_keys k = keys(XFRM_HMAC_SHA1, XFRM_CBC_DES3);
	const char *why;

	(void)state;
	sa.src = sa.id.dst = ip("1111:2222:3333:4444:5555:6666:7777:8888");
	assert_int_equal(wireshark_esp_sa(&sa, &k, line, &why), 0);
	assert_int_equal(line[strlen(line) - 1], '"');
	assert_memory_equal(line + strlen(line) - 5, "1111\"", 5);
	assert_true(strlen(line) < WIRESHARK_LINE_BYTES - 2);
}

static void what_wireshark_cannot_read_is_said_in_words(void **state)
{
	char line[WIRESHARK_LINE_BYTES] = "untouched";
	struct xfrm_sa sa = from_phone();
	struct xfrm_sa_keys k = keys(XFRM_ALGO_NONE, XFRM_GMAC_AES);
	const char *why = "";

	(void)state;
	assert_int_equal(wireshark_esp_sa(&sa, &k, line, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "AES-GMAC"));
	sa.id.proto = IPPROTO_AH;
	k = keys(XFRM_HMAC_SHA1, XFRM_ALGO_NONE);
	assert_int_equal(wireshark_esp_sa(&sa, &k, line, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "AH"));
	assert_string_equal(line, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_suite_that_wireshark_knows_is_a_line),
		cmocka_unit_test(ipv6_is_said),
		cmocka_unit_test(the_longest_line_fits),
		cmocka_unit_test(what_wireshark_cannot_read_is_said_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
