/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/server_list.c: which configurations are a list and which are refused, and what is written.
 * Everything written is parsed again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/server_list.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct ipsec_suite suites[] = {
	{IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
	{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
	{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
};

static const struct ipsec_endpoint endpoint = {
	.dialect = IPSEC_DIALECT_24229,
	.spi_c = 4096, .spi_s = 4097, .port_c = 6100, .port_s = 6101,
};

/* @texts end with NULL. */
static int read_list(const char *const *texts, size_t suite_max, struct server_list *ret, char *why,
		     size_t why_cap)
{
	struct span entries[SERVER_LIST_MAX_ENTRIES + 2];
	size_t count = 0;

	for (; texts[count]; count++) {
		assert_true(count < COUNT_OF(entries));
		entries[count] = span_of(texts[count]);
	}
	return server_list_read(entries, count, suite_max, ret, why, why_cap);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct server_list list_of(const char *const *texts)
{
	struct server_list list;
	char why[160] = "";

	if (read_list(texts, COUNT_OF(suites), &list, why, sizeof(why)))
		fail_msg("'%s', ...: %s", texts[0], why);
	return list;
}

static void refused(const char *const *texts, const char *words)
{
	struct server_list list, untouched;
	char why[160] = "";
	int r;

	memset(&list, 0x5a, sizeof(list));
	untouched = list;
	r = read_list(texts, COUNT_OF(suites), &list, why, sizeof(why));
	if (r != -EINVAL)
		fail_msg("'%s', ...: %d, not refused", texts[0], r);
	if (!strstr(why, words))
		fail_msg("'%s', ...: \"%s\" does not say \"%s\"", texts[0], why, words);
	assert_memory_equal(&list, &untouched, sizeof(list));
}

static void parses_again(const char *text)
{
	struct span line = span_of(text);
	struct sec_header header;
	struct sec_error error;

	if (sec_header_parse(&line, 1, &header, &error))
		fail_msg("'%s': %s at %zu", text, error.why, error.offset);
	for (size_t i = 0; i < header.mechanism_count; i++) {
		assert_true(header.mechanisms[i].q_milli >= 0);
		if (i)
			assert_true(header.mechanisms[i - 1].q_milli >
				    header.mechanisms[i].q_milli);
	}
	sec_header_done(&header);
}

static void written(const struct server_list *list, const struct ipsec_endpoint *e, size_t count,
		    const char *expected)
{
	char text[SERVER_LIST_WRITE_BYTES];
	int n = server_list_write(list, e, suites, count, text, sizeof(text));

	assert_string_equal(text, expected);
	assert_int_equal(n, strlen(expected));
	parses_again(text);
}

/* ---- what is written ---- */

static void C13_the_default_is_every_combination_of_ipsec_3gpp(void **state)
{
	struct server_list list;
	char text[SERVER_LIST_WRITE_BYTES], expected[1000];

	(void)state;
	server_list_default(&list);
	written(&list, &endpoint, 1, "ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans;"
				     "spi-c=4096;spi-s=4097;port-c=6100;port-s=6101");
	ipsec3gpp_write(&endpoint, suites, 3, true, expected, sizeof(expected));
	assert_true(server_list_write(&list, &endpoint, suites, 3, text, sizeof(text)) > 0);
	assert_string_equal(text, expected);
}

static void B2_without_numbers_the_list_is_whole_all_the_same(void **state)
{
	struct server_list list;

	(void)state;
	server_list_default(&list);
	written(&list, NULL, 3,
		"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans, "
		"ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans, "
		"ipsec-3gpp;q=0.7;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans");
}

static void B1_one_list_for_all_but_for_the_numbers(void **state)
{
	struct server_list list = list_of(TEXTS("ipsec-3gpp", "tls"));
	char with[SERVER_LIST_WRITE_BYTES], without[SERVER_LIST_WRITE_BYTES];
	char numbers[] = ";spi-c=4096;spi-s=4097;port-c=6100;port-s=6101";
	char *at;

	(void)state;
	server_list_write(&list, &endpoint, suites, 3, with, sizeof(with));
	server_list_write(&list, NULL, suites, 3, without, sizeof(without));
	while ((at = strstr(with, numbers)))
		memmove(at, at + strlen(numbers), strlen(at + strlen(numbers)) + 1);
	assert_string_equal(with, without);
}

static void B1_lists_of_listeners_may_differ(void **state)
{
	struct server_list a = list_of(TEXTS("tls")), b = list_of(TEXTS("digest;d-alg=MD5"));

	(void)state;
	written(&a, NULL, 0, "tls;q=0.9");
	written(&b, NULL, 0, "digest;q=0.9;d-alg=MD5");
}

static void A4_every_entry_has_a_q_by_order_when_none_was_given(void **state)
{
	struct server_list list = list_of(TEXTS("tls", "ipsec-3gpp", "digest;d-qop=auth"));

	(void)state;
	written(&list, NULL, 2,
		"tls;q=0.9, ipsec-3gpp;q=0.8;alg=null;ealg=aes-gcm;prot=esp;mod=trans, "
		"ipsec-3gpp;q=0.7;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans, "
		"digest;q=0.6;d-qop=auth");
	written(&list, NULL, 0, "tls;q=0.9, digest;q=0.8;d-qop=auth");
}

static void A4_a_long_list_has_smaller_steps(void **state)
{
	struct server_list list =
		list_of(TEXTS("tls", "a", "b", "c", "d", "e", "f", "g", "h", "i"));

	(void)state;
	written(&list, NULL, 0,
		"tls;q=0.99, a;q=0.98, b;q=0.97, c;q=0.96, d;q=0.95, e;q=0.94, f;q=0.93, "
		"g;q=0.92, h;q=0.91, i;q=0.9");
}

static void A4_a_q_that_was_given_decides_the_order(void **state)
{
	struct server_list list =
		list_of(TEXTS("digest;q=0.1", "tls;q=1", "ipsec-3gpp;q=0.5",
			      "foo;q=0.25;x=\"y,z\""));

	(void)state;
	written(&list, NULL, 2,
		"tls;q=1, ipsec-3gpp;q=0.5;alg=null;ealg=aes-gcm;prot=esp;mod=trans, "
		"ipsec-3gpp;q=0.499;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans, "
		"foo;q=0.25;x=\"y,z\", digest;q=0.1");
}

static void A7_B18_unknown_mechanisms_and_parameters_are_kept(void **state)
{
	struct server_list list =
		list_of(TEXTS("digest-integrity;q=0.2", "Foo;q=0.1;Bar;V=[::1];w=\"Q\\\"x\""));

	(void)state;
	assert_int_equal(list.entries[0].kind, MECHANISM_OTHER);
	written(&list, NULL, 0, "digest-integrity;q=0.2, foo;q=0.1;bar;v=[::1];w=\"Q\\\"x\"");
}

static void C10_media_plane_entries_are_sent_and_marked(void **state)
{
	struct server_list list = list_of(TEXTS("tls;q=0.2", "sdes-srtp;mediasec;q=0.9"));

	(void)state;
	assert_true(list.entries[0].mediasec);
	assert_false(list.entries[1].mediasec);
	written(&list, NULL, 0, "sdes-srtp;q=0.9;mediasec, tls;q=0.2");
	assert_true(server_list_has(&list, MECHANISM_TLS));
	list = list_of(TEXTS("tls;mediasec;q=0.2", "ipsec-3gpp;q=0.9"));
	assert_false(server_list_has(&list, MECHANISM_TLS));
}

static void C11_numbers_are_in_the_dialect_of_the_phone(void **state)
{
	const struct ipsec_endpoint old = {
		.dialect = IPSEC_DIALECT_RFC3329, .spi = 5000, .port1 = 6100, .port2 = 6101,
	};
	struct server_list list = list_of(TEXTS("ipsec-3gpp", "tls"));

	(void)state;
	written(&list, &old, 1,
		"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans;spi=5000;port1=6100;"
		"port2=6101, tls;q=0.8");
}

static void the_fullest_list_fits_the_stated_room(void **state)
{
	const struct ipsec_endpoint big = {
		.dialect = IPSEC_DIALECT_24229, .spi_c = UINT32_MAX, .spi_s = UINT32_MAX - 1,
		.port_c = 65535, .port_s = 65534,
	};
	struct ipsec_suite many[SERVER_LIST_MAX_SUITES];
	char texts[SERVER_LIST_MAX_ENTRIES][80];
	struct span entries[SERVER_LIST_MAX_ENTRIES];
	char out[SERVER_LIST_WRITE_BYTES];
	struct server_list list;

	(void)state;
	for (size_t i = 0; i < SERVER_LIST_MAX_SUITES; i++)
		many[i] = (struct ipsec_suite){IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_DES_EDE3_CBC,
					       IPSEC_PROT_ESP, IPSEC_MOD_UDP_ENC_TUN};
	for (size_t i = 0; i < SERVER_LIST_MAX_ENTRIES; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%s%zu;parameter=%040zu;q=0.%03zu",
			 "mechanism-", i, i, 100 + 3 * i);
		entries[i] = span_of(texts[i]);
	}
	entries[0] = span_of("ipsec-3gpp;q=0.999");
	assert_int_equal(server_list_read(entries, SERVER_LIST_MAX_ENTRIES, SERVER_LIST_MAX_SUITES,
					  &list, NULL, 0), 0);
	assert_true(server_list_write(&list, &big, many, SERVER_LIST_MAX_SUITES, out,
				      sizeof(out)) > 0);
	parses_again(out);
	assert_int_equal(server_list_write(&list, &big, many, SERVER_LIST_MAX_SUITES, out, 1000),
			 -ENOSPC);
	assert_string_equal(out, "");
	assert_int_equal(server_list_write(&list, &big, many, SERVER_LIST_MAX_SUITES + 1, out,
					   sizeof(out)), -EINVAL);
}

static void nothing_to_write_is_an_error(void **state)
{
	struct server_list list;
	char out[10] = "x";

	(void)state;
	server_list_default(&list);
	assert_int_equal(server_list_write(&list, NULL, suites, 0, out, sizeof(out)), -EINVAL);
	assert_string_equal(out, "");
}

/* ---- what is refused ---- */

static void A3_equal_q_is_refused(void **state)
{
	(void)state;
	refused(TEXTS("tls;q=0.2", "digest;q=0.20"), "the same q");
	refused(TEXTS("tls;q=0.5", "ipsec-3gpp;q=0.5"), "the same q");
}

static void A3_the_combinations_of_ipsec_3gpp_need_room_for_their_q(void **state)
{
	(void)state;
	refused(TEXTS("ipsec-3gpp;q=0.5", "tls;q=0.499"), "no room below");
	refused(TEXTS("ipsec-3gpp;q=0.5", "tls;q=0.498"), "no room below");
	refused(TEXTS("ipsec-3gpp;q=0.001"), "no room below");
	list_of(TEXTS("ipsec-3gpp;q=0.5", "tls;q=0.497"));
	list_of(TEXTS("ipsec-3gpp;q=0.002"));
}

static void A4_q_on_some_entries_only_is_refused(void **state)
{
	(void)state;
	refused(TEXTS("tls;q=0.2", "digest"), "either all");
}

static void B14_a_mechanism_without_integrity_is_refused(void **state)
{
	(void)state;
	refused(TEXTS("ipsec-3gpp;alg=null"), "no integrity");
	refused(TEXTS("tls", "ipsec-3gpp;alg=null;ealg=null"), "mechanism 2: alg=null");
	refused(TEXTS("ipsec-3gpp;ALG=NULL;ealg=aes-cbc;q=0.1"), "no integrity");
	refused(TEXTS("digest;d-alg=SHA-256"), "there is no d-ver");
	refused(TEXTS("digest;d-qop=none"), "d-qop");
}

static void B14_a_digest_that_makes_a_d_ver_is_taken(void **state)
{
	(void)state;
	list_of(TEXTS("digest;d-alg=AKAv1-MD5;d-qop=auth-int"));
	list_of(TEXTS("digest;d-alg=md5-sess"));
	list_of(TEXTS("digest"));
}

static void parameters_that_are_not_the_configurations_are_refused(void **state)
{
	(void)state;
	refused(TEXTS("ipsec-3gpp;alg=hmac-sha-1-96"), "no parameter but q");
	refused(TEXTS("ipsec-3gpp;q=0.5;spi-c=1000"), "no parameter but q");
	refused(TEXTS("ipsec-3gpp;mediasec"), "no parameter but q");
	refused(TEXTS("digest;d-ver=\"0123456789abcdef0123456789abcdef\""), "d-ver is a phone's");
}

static void a_list_with_nothing_for_signalling_is_refused(void **state)
{
	(void)state;
	refused((const char *const[]){NULL}, "no mechanism for signalling");
	refused(TEXTS("sdes-srtp;mediasec", "msrp-tls;mediasec"), "no mechanism for signalling");
}

static void texts_that_are_no_mechanism_are_refused(void **state)
{
	(void)state;
	refused(TEXTS("tls", ""), "mechanism 2: a mechanism name was expected");
	refused(TEXTS("tls;q=1.1"), "at offset 6");
	refused(TEXTS("tls, digest"), "more than one mechanism");
	refused(TEXTS("foo;a=\"x\r\n y\""), "a line end");
	refused(TEXTS("ipsec-3gpp", "IPSEC-3GPP"), "twice");
	refused(TEXTS("foo;a=1;a=2"), "there twice");
}

static void limits_are_kept(void **state)
{
	const char *many[SERVER_LIST_MAX_ENTRIES + 2] = {NULL};
	struct server_list list;
	char big[400], why[100];

	(void)state;
	for (size_t i = 0; i < SERVER_LIST_MAX_ENTRIES + 1; i++)
		many[i] = "tls";
	assert_int_equal(read_list(many, 0, &list, why, sizeof(why)), -E2BIG);
	assert_int_equal(read_list(TEXTS("tls"), SERVER_LIST_MAX_SUITES + 1, &list, why,
				   sizeof(why)), -E2BIG);
	snprintf(big, sizeof(big), "foo;a=%0200d", 1);
	assert_int_equal(read_list(TEXTS(big, big, big, big, big), 0, &list, why, sizeof(why)),
			 -E2BIG);
	assert_string_equal(why, "mechanism 5: the list has more than 1024 bytes");
	snprintf(big, sizeof(big), "foo;a=%0257d", 1);
	assert_int_equal(read_list(TEXTS(big), 0, &list, NULL, 0), -E2BIG);
}

static void A1_names_are_without_case(void **state)
{
	(void)state;
	assert_int_equal(mechanism_kind_of(span_of("IPsec-3GPP")), MECHANISM_IPSEC_3GPP);
	assert_int_equal(mechanism_kind_of(span_of("Digest")), MECHANISM_DIGEST);
	assert_int_equal(mechanism_kind_of(span_of("TLS")), MECHANISM_TLS);
	assert_int_equal(mechanism_kind_of(span_of("ipsec-ike")), MECHANISM_IPSEC_IKE);
	assert_int_equal(mechanism_kind_of(span_of("ipsec-man")), MECHANISM_IPSEC_MAN);
	assert_int_equal(mechanism_kind_of(span_of("tl")), MECHANISM_OTHER);
	assert_int_equal(mechanism_kind_of(span_of("tlss")), MECHANISM_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C13_the_default_is_every_combination_of_ipsec_3gpp),
		cmocka_unit_test(B2_without_numbers_the_list_is_whole_all_the_same),
		cmocka_unit_test(B1_one_list_for_all_but_for_the_numbers),
		cmocka_unit_test(B1_lists_of_listeners_may_differ),
		cmocka_unit_test(A4_every_entry_has_a_q_by_order_when_none_was_given),
		cmocka_unit_test(A4_a_long_list_has_smaller_steps),
		cmocka_unit_test(A4_a_q_that_was_given_decides_the_order),
		cmocka_unit_test(A7_B18_unknown_mechanisms_and_parameters_are_kept),
		cmocka_unit_test(C10_media_plane_entries_are_sent_and_marked),
		cmocka_unit_test(C11_numbers_are_in_the_dialect_of_the_phone),
		cmocka_unit_test(the_fullest_list_fits_the_stated_room),
		cmocka_unit_test(nothing_to_write_is_an_error),
		cmocka_unit_test(A3_equal_q_is_refused),
		cmocka_unit_test(A3_the_combinations_of_ipsec_3gpp_need_room_for_their_q),
		cmocka_unit_test(A4_q_on_some_entries_only_is_refused),
		cmocka_unit_test(B14_a_mechanism_without_integrity_is_refused),
		cmocka_unit_test(B14_a_digest_that_makes_a_d_ver_is_taken),
		cmocka_unit_test(parameters_that_are_not_the_configurations_are_refused),
		cmocka_unit_test(a_list_with_nothing_for_signalling_is_refused),
		cmocka_unit_test(texts_that_are_no_mechanism_are_refused),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(A1_names_are_without_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
