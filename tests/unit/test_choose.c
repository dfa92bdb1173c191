/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/choose.c: the common mechanism from the server's and from the phone's side, the mirror, and
 * the two ways of ranking that RFC 3329 does not have.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/choose.h"
#include "proto/compare.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define HEX32       "0123456789abcdef0123456789abcdef"

static struct sec_header parsed(const char *text)
{
	struct span line = span_of(text);
	struct sec_header header;
	struct sec_error error;

	if (sec_header_parse(&line, 1, &header, &error))
		fail_msg("'%s': %s", text, error.why);
	return header;
}

/* ---- the server's side ---- */

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct server_list listed(const char *const *texts)
{
	struct span entries[SERVER_LIST_MAX_ENTRIES];
	struct server_list list;
	size_t count = 0;

	for (; texts[count]; count++)
		entries[count] = span_of(texts[count]);
	assert_int_equal(server_list_read(entries, count, 4, &list, NULL, 0), 0);
	return list;
}

static struct server_list everything(void)
{
	return listed(TEXTS("ipsec-3gpp;q=0.9", "tls;q=0.7", "ipsec-ike;q=0.5", "ipsec-man;q=0.4",
			    "digest;d-alg=MD5;q=0.3", "foo;q=0.2", "sdes-srtp;mediasec;q=1"));
}

/* @expected NULL: nothing in common. */
static void common(const struct server_list *server, const char *client, bool ipsec_usable,
		   const char *expected, enum choose_start start)
{
	struct sec_header header = parsed(client);
	struct choose_common found;
	int r = choose_for_server(server, &header, ipsec_usable, &found);

	if (!expected) {
		assert_int_equal(r, -ENOENT);
	} else {
		assert_int_equal(r, 0);
		if (!span_is(server_entry_name(server, found.entry), expected))
			fail_msg("'%s' does not give %s", client, expected);
		assert_true(span_is(header.mechanisms[found.client_index].name, expected));
		assert_int_equal(found.start, start);
	}
	sec_header_done(&header);
}

static void B4_the_highest_common_mechanism_and_what_starts_it(void **state)
{
	struct server_list s = everything();

	(void)state;
	common(&s, "digest", true, "digest", CHOOSE_START_CHALLENGE);
	common(&s, "digest, TLS", true, "tls", CHOOSE_START_TLS_CONNECTION);
	common(&s, "ipsec-man, ipsec-ike", true, "ipsec-ike", CHOOSE_START_UNKNOWN);
	common(&s, "ipsec-man", true, "ipsec-man", CHOOSE_START_UNKNOWN);
	common(&s, "foo", true, "foo", CHOOSE_START_UNKNOWN);
	common(&s, "tls, ipsec-3gpp;alg=hmac-sha-1-96", true, "ipsec-3gpp", CHOOSE_START_SA_OFFER);
	common(&s, "bar, baz", true, NULL, CHOOSE_START_UNKNOWN);
}

static void B4_ipsec_3gpp_is_common_only_with_a_usable_offer(void **state)
{
	struct server_list s = everything();

	(void)state;
	common(&s, "digest, ipsec-3gpp;alg=foo", false, "digest", CHOOSE_START_CHALLENGE);
	common(&s, "ipsec-3gpp;alg=foo", false, NULL, CHOOSE_START_UNKNOWN);
}

static void A5_the_phones_q_and_order_never_rank(void **state)
{
	struct server_list s = everything();

	(void)state;
	common(&s, "digest;q=1, tls;q=0.001", true, "tls", CHOOSE_START_TLS_CONNECTION);
	common(&s, "tls;q=0, digest;q=0.9", true, "tls", CHOOSE_START_TLS_CONNECTION);
	common(&s, "digest;q=0.2, foo;q=0.8", true, "digest", CHOOSE_START_CHALLENGE);
}

static void A7_B18_unknown_tokens_are_compared_whole(void **state)
{
	struct server_list s = listed(TEXTS("digest-integrity;q=0.2", "digest;q=0.1"));

	(void)state;
	common(&s, "digest-integrity", true, "digest-integrity", CHOOSE_START_UNKNOWN);
	common(&s, "digest-integrit, digest", true, "digest", CHOOSE_START_CHALLENGE);
	common(&s, "diges, digest-", true, NULL, CHOOSE_START_UNKNOWN);
}

static void C10_entries_for_media_are_never_common(void **state)
{
	struct server_list s = everything();

	(void)state;
	common(&s, "sdes-srtp;mediasec, tls", true, "tls", CHOOSE_START_TLS_CONNECTION);
	common(&s, "sdes-srtp", true, NULL, CHOOSE_START_UNKNOWN);
	common(&s, "sdes-srtp;mediasec, tls;mediasec", true, NULL, CHOOSE_START_UNKNOWN);
	common(&s, "tls;mediasec, foo, tls", true, "tls", CHOOSE_START_TLS_CONNECTION);
}

static void the_starts_have_names(void **state)
{
	(void)state;
	assert_string_equal(choose_start_name(choose_start_of(MECHANISM_DIGEST)), "challenge");
	assert_string_equal(choose_start_name(choose_start_of(MECHANISM_TLS)), "tls connection");
	assert_string_equal(choose_start_name(choose_start_of(MECHANISM_IPSEC_3GPP)), "sa.offer");
	assert_string_equal(choose_start_name(choose_start_of(MECHANISM_OTHER)), "nothing known");
}

/* ---- the phone's side ---- */

#define NUMBERS ";spi-c=4096;spi-s=4097;port-c=6100;port-s=6101"

static const struct choose_phone knows_all = {
	.knows = {true, true, true, true, true},
	.has_challenge = true,
};

/* @index of the choice; below 0 the error, with @words in the reason. */
static void phone(const char *server, const struct choose_phone *p, long index, const char *words)
{
	struct sec_header header = parsed(server);
	size_t chosen = 99;
	char why[128] = "untouched";
	int r = choose_for_phone(&header, p, &chosen, why, sizeof(why));

	if (r != (index < 0 ? (int)index : 0) || chosen != (index < 0 ? 99 : (size_t)index))
		fail_msg("'%s': %d, mechanism %zu: %s", server, r, chosen, why);
	if (!strstr(why, words) || (index >= 0 && why[0]))
		fail_msg("'%s': \"%s\" does not say \"%s\"", server, why, words);
	sec_header_done(&header);
}

static void B4_the_phone_takes_the_highest_q_that_it_knows(void **state)
{
	struct choose_phone p = knows_all;

	(void)state;
	phone("ipsec-ike;q=0.1, tls;q=0.2, foo;q=0.3", &p, 1, "");
	phone("digest;q=0.5, tls;q=0.2", &p, 0, "");
	p.knows[MECHANISM_DIGEST] = false;
	phone("digest;q=0.5, tls;q=0.2", &p, 1, "");
	phone("tls;q=0, foo;q=1", &p, 0, "");
	phone("ipsec-man;q=0.2, ipsec-ike;q=0.21", &p, 1, "");
}

static void A4_the_phone_takes_the_order_of_a_list_without_q(void **state)
{
	(void)state;
	phone("foo, tls, digest", &knows_all, 1, "");
	phone("tls, digest;q=0.001", &knows_all, 1, "");
}

static void C10_the_phone_never_takes_an_entry_for_media(void **state)
{
	(void)state;
	phone("tls;q=0.9;mediasec, digest;q=0.1", &knows_all, 1, "");
	phone("tls;mediasec", &knows_all, -ENOENT, "no mechanism");
}

static void B4_without_a_challenge_digest_is_aborted_and_nothing_else_taken(void **state)
{
	struct choose_phone p = knows_all;

	(void)state;
	p.has_challenge = false;
	phone("digest;q=0.5, tls;q=0.2", &p, -ECANCELED, "no challenge");
	phone("digest;q=0.1, tls;q=0.2", &p, 1, "");
}

static void B4_ipsec_3gpp_without_good_numbers_is_aborted(void **state)
{
	(void)state;
	phone("ipsec-3gpp;q=0.9;alg=hmac-sha-1-96" NUMBERS ", tls;q=0.1", &knows_all, 0, "");
	phone("ipsec-3gpp;q=0.1", &knows_all, -ECANCELED, "has no algorithms");
	phone("ipsec-3gpp;q=0.9, tls;q=0.1", &knows_all, -ECANCELED, "has no algorithms");
	phone("ipsec-3gpp;q=0.9;alg=aes-gmac, tls;q=0.1", &knows_all, -ECANCELED,
	      "without spi-c");
	phone("ipsec-3gpp;alg=aes-gmac;spi-c=1;spi-s=4294967296;port-c=1;port-s=2", &knows_all,
	      -ECANCELED, "spi-s is above");
}

static void B4_without_a_challenge_ipsec_3gpp_has_no_keys(void **state)
{
	struct choose_phone p = knows_all;

	(void)state;
	p.has_challenge = false;
	phone("ipsec-3gpp;q=0.9;alg=aes-gmac" NUMBERS ", tls;q=0.1", &p, -ECANCELED, "its keys");
	phone("ipsec-3gpp;q=0.9, tls;q=0.1", &p, -ECANCELED, "has no algorithms");
	phone("ipsec-3gpp;q=0.1;alg=aes-gmac" NUMBERS ", tls;q=0.2", &p, 1, "");
}

static void C7_ipsec_3gpp_with_two_sets_of_numbers_is_aborted(void **state)
{
	(void)state;
	phone("ipsec-3gpp;q=0.9;alg=aes-gmac" NUMBERS ", ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;"
	      "spi-c=5000;spi-s=4097;port-c=6100;port-s=6101",
	      &knows_all, -ECANCELED, "differs from the first");
}

static void C8_a_combination_the_phone_cannot_do_is_passed_over(void **state)
{
	const char *list = "ipsec-3gpp;q=0.9;alg=foo" NUMBERS ", ipsec-3gpp;q=0.8;alg=null;"
			   "ealg=aes-gcm" NUMBERS ", ipsec-3gpp;q=0.7;alg=hmac-sha-1-96" NUMBERS;
	const struct ipsec_suite sha_1 = {.alg = IPSEC_ALG_HMAC_SHA_1_96};
	struct choose_phone p = knows_all;

	(void)state;
	phone(list, &knows_all, 1, "");
	p.suites = &sha_1;
	p.suite_count = 1;
	phone(list, &p, 2, "");
	p.suite_count = 0;
	phone(list, &p, -ENOENT, "no mechanism");
	phone("ipsec-3gpp;alg=null" NUMBERS, &knows_all, -ENOENT, "no mechanism");
}

/* ---- the mirror ---- */

static void mirrored(const struct span *lines, size_t count, const char *d_ver, size_t index,
		     const char *expected)
{
	struct sec_header header, back;
	char text[SEC_MAX_BYTES + 256], why[100];
	struct span line;

	assert_int_equal(sec_header_parse(lines, count, &header, NULL), 0);
	assert_int_equal(choose_mirror(&header, d_ver, index, text, sizeof(text)),
			 strlen(expected));
	assert_string_equal(text, expected);
	line = span_of(text);
	assert_int_equal(sec_header_parse(&line, 1, &back, NULL), 0);
	if (!compare_lists(&header, &back, COMPARE_STRICT, why, sizeof(why)))
		fail_msg("the mirror of '%s' differs: %s", expected, why);
	sec_header_done(&back);
	sec_header_done(&header);
}

static void B5_the_whole_list_is_mirrored_as_it_was(void **state)
{
	const struct span lines[] = {
		span_of(" ipsec-IKE;q=0.100 , tls ; Q=0.2"),
		span_of("Foo;a=\"X\r\n  y\\\"\";flag,\r\n IPSEC-3gpp;Alg=AES-gmac;spi-c=0023 "),
	};

	(void)state;
	mirrored(lines, 2, NULL, 0,
		 "ipsec-IKE;q=0.100, tls ; Q=0.2, Foo;a=\"X y\\\"\";flag, "
		 "IPSEC-3gpp;Alg=AES-gmac;spi-c=0023");
}

static void B15_d_ver_goes_into_the_digest_entry(void **state)
{
	const struct span line = span_of("tls;q=0.1, digest;d-alg=MD5;q=0.2, digest;q=0.05");

	(void)state;
	mirrored(&line, 1, HEX32, 1,
		 "tls;q=0.1, digest;d-alg=MD5;q=0.2;d-ver=\"" HEX32 "\", digest;q=0.05");
}

static void a_mirror_that_cannot_be_is_refused(void **state)
{
	struct sec_header header = parsed("tls, digest, digest;d-ver=\"" HEX32 "\"");
	char text[20];

	(void)state;
	assert_int_equal(choose_mirror(&header, HEX32, 0, text, sizeof(text)), -EINVAL);
	assert_int_equal(choose_mirror(&header, HEX32, 2, text, sizeof(text)), -EINVAL);
	assert_int_equal(choose_mirror(&header, HEX32, 3, text, sizeof(text)), -EINVAL);
	assert_int_equal(choose_mirror(&header, NULL, 0, text, sizeof(text)), -ENOSPC);
	assert_string_equal(text, "");
	sec_header_done(&header);
}

/* ---- rankings of another kind ---- */

static void A4_sorting_by_preference_is_by_q_then_by_order(void **state)
{
	struct sec_header h = parsed("a, b;q=0.1, c;q=1, d, e;q=0, f;q=0.5");
	static const size_t expected[] = {2, 5, 1, 4, 0, 3};
	size_t order[COUNT_OF(expected)];

	(void)state;
	choose_by_preference(&h, order);
	assert_memory_equal(order, expected, sizeof(expected));
	sec_header_done(&h);
}

/* @score below 0: -ENOENT. */
static void best(const char *server, const char *client, size_t s, size_t c, long score)
{
	struct sec_header a = parsed(server), b = parsed(client);
	size_t got_s = 99, got_c = 99;
	uint32_t got = 77;
	int r = choose_best_score(&a, &b, &got_s, &got_c, &got);

	if (score < 0) {
		assert_int_equal(r, -ENOENT);
	} else {
		assert_int_equal(r, 0);
		assert_int_equal(got_s, s);
		assert_int_equal(got_c, c);
		assert_int_equal(got, score);
	}
	sec_header_done(&a);
	sec_header_done(&b);
}

static void the_best_score_multiplies_both_sides(void **state)
{
	(void)state;
	best("tls;q=0.9, digest;q=0.5", "tls;q=0.1, digest;q=0.8", 1, 1, 400000);
	best("tls;q=0.9, digest;q=0.5", "tls, digest", 0, 0, 900000);
	best("tls, digest", "digest;q=0.7, tls;q=0.6", 1, 0, 700000);
	best("tls;q=0.4, digest;q=0.2", "digest;q=0.4, TLS;q=0.2", 0, 1, 80000);
	best("tls;q=0, digest;q=0.001", "tls;q=1", 0, 0, 0);
	best("tls;q=1;mediasec, digest;q=0.1", "tls, digest", 1, 1, 100000);
	best("tls", "digest", 0, 0, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(B4_the_highest_common_mechanism_and_what_starts_it),
		cmocka_unit_test(B4_ipsec_3gpp_is_common_only_with_a_usable_offer),
		cmocka_unit_test(A5_the_phones_q_and_order_never_rank),
		cmocka_unit_test(A7_B18_unknown_tokens_are_compared_whole),
		cmocka_unit_test(C10_entries_for_media_are_never_common),
		cmocka_unit_test(the_starts_have_names),
		cmocka_unit_test(B4_the_phone_takes_the_highest_q_that_it_knows),
		cmocka_unit_test(A4_the_phone_takes_the_order_of_a_list_without_q),
		cmocka_unit_test(C10_the_phone_never_takes_an_entry_for_media),
		cmocka_unit_test(B4_without_a_challenge_digest_is_aborted_and_nothing_else_taken),
		cmocka_unit_test(B4_ipsec_3gpp_without_good_numbers_is_aborted),
		cmocka_unit_test(B4_without_a_challenge_ipsec_3gpp_has_no_keys),
		cmocka_unit_test(C7_ipsec_3gpp_with_two_sets_of_numbers_is_aborted),
		cmocka_unit_test(C8_a_combination_the_phone_cannot_do_is_passed_over),
		cmocka_unit_test(B5_the_whole_list_is_mirrored_as_it_was),
		cmocka_unit_test(B15_d_ver_goes_into_the_digest_entry),
		cmocka_unit_test(a_mirror_that_cannot_be_is_refused),
		cmocka_unit_test(A4_sorting_by_preference_is_by_q_then_by_order),
		cmocka_unit_test(the_best_score_multiplies_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
