/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/offer.c: from what a phone wrote to its set, or to the reason why not. TS 33.203 7.2,
 * M.7.2; RFC 3329 2.3.1.
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

#include "daemon/offer.h"
#include "tests/unit/world.h"

/* ---- helpers ---- */

#define NUMBERS ";spi-c=1001;spi-s=1002;port-c=5062;port-s=5064"

static struct offer_result result;

static int stop(void **state)
{
	offer_result_done(&result);
	memset(&result, 0, sizeof(result));
	return world_stop(state);
}

static struct offer offer_of(const char *security_client)
{
	struct offer offer = {
		.listener = world.listener,
		.impi = WORLD_IMPI,
		.contact = "",
		.impu = "",
		.security_client = {.line = {span_of(security_client)}, .count = 1},
		.ue_address = world_ip("198.51.100.7"),
	};

	memset(offer.ck, 0xc1, sizeof(offer.ck));
	memset(offer.ik, 0x11, sizeof(offer.ik));
	return offer;
}

static struct sa_set *make(const struct offer *offer)
{
	offer_result_done(&result);
	memset(&result, 0, sizeof(result));
	if (offer_make(world.table, offer, &result, &world.refusal) < 0)
		fail_msg("%s: %s", reason_token(world.refusal.reason), world.refusal.text);
	assert_non_null(result.set);
	return result.set;
}

static void assert_refused(const struct offer *offer, enum reason reason)
{
	const size_t sets = world_sets(), messages = fake_xfrm.messages;
	struct offer_result untouched = {0};

	memset(&world.refusal, 0, sizeof(world.refusal));
	assert_int_equal(offer_make(world.table, offer, &untouched, &world.refusal), -ECANCELED);
	assert_null(untouched.set);
	assert_null(untouched.header.text);
	assert_string_equal(reason_token(world.refusal.reason), reason_token(reason));
	assert_int_equal(world_sets(), sets);
	assert_int_equal(fake_xfrm.messages, messages); /* not even asked */
}

static void assert_bad_header(const char *text, size_t line, size_t offset)
{
	const struct offer offer = offer_of(text);

	assert_refused(&offer, REASON_BAD_HEADER);
	assert_int_equal(world.refusal.sip_code, 400);
	assert_true(world.refusal.has_where);
	assert_int_equal(world.refusal.where.line, line);
	assert_int_equal(world.refusal.where.offset, offset);
}

/* ---- what becomes a set ---- */

static void an_offer_becomes_a_temporary_set_of_the_phones_numbers(void **state)
{
	const struct offer offer = offer_of("ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc" NUMBERS);
	const struct sa_set *set = make(&offer);

	(void)state;
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	assert_int_equal(set->ue.spi_c, 1001);
	assert_int_equal(set->ue.spi_s, 1002);
	assert_int_equal(set->ue.port_c, 5062);
	assert_int_equal(set->ue.port_s, 5064);
	assert_int_equal(set->suite.alg, IPSEC_ALG_HMAC_SHA_1_96);
	assert_int_equal(set->suite.ealg, IPSEC_EALG_AES_CBC);
	assert_false(result.nat);
	assert_int_equal(result.offered.offer_count, 1);
	world_check(true);
}

static void our_order_decides_and_not_the_phones(void **state)
{
	const struct offer offer =
		offer_of("ipsec-3gpp;q=0.9;alg=hmac-sha-1-96;ealg=null" NUMBERS ","
			 "ipsec-3gpp;q=0.1;alg=null;ealg=aes-gcm" NUMBERS);
	const struct sa_set *set = make(&offer);

	(void)state;
	assert_int_equal(set->suite.ealg, IPSEC_EALG_AES_GCM);
	assert_int_equal(result.selection.chosen_index, 1);
}

static void A2_lines_of_one_header_are_one_list_and_kept_as_one(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=hmac-md5-96" NUMBERS);
	const struct sa_set *set;

	(void)state;
	offer.security_client.line[1] = span_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);
	offer.security_client.line[2] = span_of("tls");
	offer.security_client.count = 3;
	set = make(&offer);
	assert_int_equal(set->suite.alg, IPSEC_ALG_AES_GMAC);
	assert_string_equal(world_text(set->security_client), "ipsec-3gpp;alg=hmac-md5-96" NUMBERS
						  ", ipsec-3gpp;alg=aes-gmac" NUMBERS ", tls");
}

static void a_retransmission_gets_the_same_set(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);
	const struct sa_set *set;

	(void)state;
	offer.transaction = 12345;
	set = make(&offer);
	assert_ptr_equal(make(&offer), set);
	assert_int_equal(fake_xfrm.datagrams, 1);
}

static void an_odd_port_is_a_warning(void **state)
{
	const struct offer offer =
		offer_of("ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=5060;port-s=5064");

	(void)state;
	make(&offer);
	assert_non_null(result.offered.warning);
}

/* ---- what does not ---- */

static void a_header_that_cannot_be_read_is_refused_with_the_place(void **state)
{
	(void)state;
	assert_bad_header("ipsec-3gpp;alg=aes-gmac;alg=null" NUMBERS, 0, 24);
	assert_bad_header("", 0, 0);
	assert_bad_header("ipsec-3gpp;;", 0, 11);
}

static void C6_C7_wrong_numbers_are_a_bad_header(void **state)
{
	static const char *const TEXTS[] = {
		"ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1001;port-c=5062;port-s=5064",
		"ipsec-3gpp;alg=aes-gmac;spi-c=0;spi-s=1001;port-c=5062;port-s=5064",
		"ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=5062",
		"ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=5062;port-s=65536",
		("ipsec-3gpp;alg=aes-gmac" NUMBERS
		 ", ipsec-3gpp;alg=aes-gmac;spi-c=1;spi-s=2;port-c=3;"
		 "port-s=4"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		const struct offer offer = offer_of(TEXTS[i]);

		assert_refused(&offer, REASON_BAD_HEADER);
	}
}

static void B2_a_494_has_our_list_whatever_was_offered(void **state)
{
	static const char *const TEXTS[] = {"tls", "foo;a=b", "digest;q=0.1, tls;q=0.2",
					    ("ipsec-3gpp;alg=hmac-md5-96" NUMBERS)};
	char list[sizeof(world.refusal.security_server)] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		const struct offer offer = offer_of(TEXTS[i]);

		assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
		assert_int_equal(world.refusal.sip_code, 494);
		assert_non_null(strstr(world.refusal.security_server, "alg=aes-gmac"));
		assert_null(strstr(world.refusal.security_server, "spi"));
		if (i) /* B1: it does not depend on the offer */
			assert_string_equal(world.refusal.security_server, list);
		memcpy(list, world.refusal.security_server, sizeof(list));
	}
}

#define LIST_494                                                                                   \
	"ipsec-3gpp;q=0.5;alg=null;ealg=aes-gcm;prot=esp;mod=trans, "                              \
	"ipsec-3gpp;q=0.499;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans, "                   \
	"ipsec-3gpp;q=0.498;alg=aes-gmac;ealg=null;prot=esp;mod=trans, "                           \
	"ipsec-3gpp;q=0.497;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans, "

static const char *const MORE[] = {"tls;q=0.2", "digest;d-alg=MD5;q=0.1", "ipsec-3gpp;q=0.5", NULL};

static void B1_a_494_has_all_mechanisms_whatever_was_offered(void **state)
{
	static const char *const TEXTS[] = {"tls", "foo", "tls, digest, foo",
					    "ipsec-3gpp;alg=hmac-md5-96" NUMBERS};

	(void)state;
	world_mechanisms(MORE);
	world.listener->security_server = CONFIG_SECURITY_SERVER_CHOSEN; /* of a 401 */
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		const struct offer offer = offer_of(TEXTS[i]);

		assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
		assert_string_equal(world.refusal.security_server,
				    LIST_494 "tls;q=0.2, digest;q=0.1;d-alg=MD5");
	}
}

static void B4_a_refusal_says_what_starts_the_mechanism_in_common(void **state)
{
	static const struct {
		const char *text;
		bool has_start;
		enum choose_start start;
	} CASES[] = {
		{"tls", true, CHOOSE_START_TLS_CONNECTION},
		{"digest;q=1, tls;q=0.1", true, CHOOSE_START_TLS_CONNECTION}, /* A5 */
		{"foo, DIGEST", true, CHOOSE_START_CHALLENGE},
		{"ipsec-3gpp;alg=hmac-md5-96" NUMBERS ", digest", true, CHOOSE_START_CHALLENGE},
		{"foo", false, CHOOSE_START_UNKNOWN},
		{"tls;mediasec", false, CHOOSE_START_UNKNOWN},
		{"ipsec-3gpp;alg=hmac-md5-96" NUMBERS, false, CHOOSE_START_UNKNOWN},
	};

	(void)state;
	world_mechanisms(MORE);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct offer offer = offer_of(CASES[i].text);

		assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
		assert_int_equal(world.refusal.has_start, CASES[i].has_start);
		if (CASES[i].has_start)
			assert_int_equal(world.refusal.start, CASES[i].start);
	}
}

static void B4_a_set_is_made_and_the_mechanism_that_we_prefer_is_said(void **state)
{
	static const char *const DIGEST_FIRST[] = {"digest;q=0.9", "ipsec-3gpp;q=0.5", NULL};
	struct offer offer = offer_of("digest;q=0.1, ipsec-3gpp;q=0.9;alg=aes-gmac" NUMBERS);
	const char *sent;

	(void)state;
	make(&offer);
	assert_int_equal(result.start, CHOOSE_START_SA_OFFER);
	world_mechanisms(DIGEST_FIRST);
	make(&offer);
	assert_int_equal(result.start, CHOOSE_START_CHALLENGE);
	sent = world_text(result.set->security_server);
	assert_ptr_equal(strstr(sent, "digest;q=0.9, ipsec-3gpp;q=0.5;"), sent);
	offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);
	make(&offer);
	assert_int_equal(result.start, CHOOSE_START_SA_OFFER);
}

static void a_listener_without_ipsec_3gpp_makes_no_sets(void **state)
{
	static const char *const WITHOUT[] = {"digest", NULL};
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS ", digest");

	(void)state;
	world_mechanisms(WITHOUT);
	assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
	assert_string_equal(world.refusal.security_server, "digest;q=0.9");
	assert_true(world.refusal.has_start);
	assert_int_equal(world.refusal.start, CHOOSE_START_CHALLENGE);
	offer = offer_of("ipsec-3gpp;alg=aes-gmac;spi-c=0"); /* of no interest here */
	assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
	assert_false(world.refusal.has_start);
}

static void B11_where_the_extension_is_off_no_sets_are_made(void **state)
{
	const struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);

	(void)state;
	world.listener->decide.sec_agree = false;
	assert_refused(&offer, REASON_SEC_AGREE_OFF);
	assert_int_equal(world.refusal.verdict, VERDICT_NONE);
	assert_int_equal(world.refusal.sip_code, 0);
}

static void a_leaving_listener_takes_no_new_sets(void **state)
{
	const struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);

	(void)state;
	world.listener->leaving = true;
	assert_refused(&offer, REASON_LISTENER_LEAVES);
	assert_int_equal(world.refusal.sip_code, 503);
}

static void required_encryption_is_required(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=hmac-sha-1-96;ealg=null" NUMBERS);

	(void)state;
	world.listener->select.encryption = SELECT_ENCRYPTION_REQUIRED;
	assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
	offer = offer_of("ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc" NUMBERS);
	make(&offer);
}

static void what_the_kernel_refuses_leaves_no_result(void **state)
{
	const struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);
	struct offer_result untouched = {0};

	(void)state;
	fake_xfrm_refuse(2, -ENOSYS);
	assert_int_equal(offer_make(world.table, &offer, &untouched, &world.refusal), -ECANCELED);
	assert_null(untouched.header.text);
	assert_int_equal(world.refusal.reason, REASON_KERNEL_REFUSED);
	world_check(true);
}

/* ---- NAT ---- */

static void N1_a_via_that_is_not_the_source_is_a_nat(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac;mod=trans" NUMBERS
				      ", ipsec-3gpp;alg=aes-gmac;mod=UDP-enc-tun" NUMBERS);

	(void)state;
	offer.via = world_ip("10.0.0.2");
	assert_int_equal(make(&offer)->suite.mod, IPSEC_MOD_UDP_ENC_TUN);
	assert_true(result.nat);
	assert_int_equal(fake_xfrm.policy_count, 4);
	offer.via = offer.ue_address;
	assert_int_equal(make(&offer)->suite.mod, IPSEC_MOD_TRANS);
	assert_false(result.nat);
	assert_int_equal(fake_xfrm.policy_count, 0);
}

static void N2_a_nat_without_udp_enc_tun_is_discarded(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);

	(void)state;
	offer.via = world_ip("10.0.0.2");
	assert_refused(&offer, REASON_NAT_REFUSED);
	assert_int_equal(world.refusal.verdict, VERDICT_DISCARD);
	world_mechanisms(MORE); /* tls crosses a NAT */
	assert_refused(&offer, REASON_NAT_REFUSED);
	offer = offer_of("tls, ipsec-3gpp;alg=aes-gmac" NUMBERS);
	offer.via = world_ip("10.0.0.2");
	assert_refused(&offer, REASON_NO_COMMON_MECHANISM);
	assert_int_equal(world.refusal.start, CHOOSE_START_TLS_CONNECTION);
}

static void N6_security_server_says_the_chosen_mode(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac;mod=UDP-enc-tun" NUMBERS);

	(void)state;
	offer.via = world_ip("10.0.0.2");
	assert_non_null(strstr(world_text(make(&offer)->security_server), "mod=UDP-enc-tun"));
	assert_null(strstr(world_text(result.set->security_server), "mod=trans"));
}

/* ---- over a set ---- */

static void the_set_that_a_register_came_over_must_be_right(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac" NUMBERS);
	struct sa_set *x = world_registered(), *temporary;
	struct sa_set_request request = world_request_nat(0);

	(void)state;
	offer.over_id = x->id + 1;
	assert_refused(&offer, REASON_UNKNOWN_SET);
	temporary = world_create(&request);
	offer.over_id = temporary->id;
	assert_refused(&offer, REASON_WRONG_STATE);
	world_confirm(temporary); /* another phone's */
	assert_refused(&offer, REASON_IDENTITY_MISMATCH);
	offer.over_id = x->id;
	assert_refused(&offer, REASON_FLOW_IN_USE); /* port-c is x's */
	offer.security_client.line[0] =
		span_of("ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=7062;port-s=5064");
	assert_int_equal(make(&offer)->over_id, x->id);
}

/* TS 33.203 M.7.4.2a */
static void N5_a_reregistration_over_udp_enc_tun_keeps_that_mode(void **state)
{
	struct sa_set_request request = world_request_nat(0);
	struct sa_set *x = world_create(&request);
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=7062;"
				      "port-s=5064, ipsec-3gpp;alg=aes-gmac;mod=UDP-enc-tun;"
				      "spi-c=1001;spi-s=1002;port-c=7062;port-s=5064");

	(void)state;
	world_confirm(x);
	offer.impi = request.impi;
	offer.ue_address = offer.via = request.ue_address; /* the phone knows it by now: N7 */
	offer.over_id = x->id;
	assert_int_equal(make(&offer)->suite.mod, IPSEC_MOD_UDP_ENC_TUN);
}

/* TS 33.203 7.4.2a: a REGISTER may still come over the set before. */
static void an_old_set_may_carry_a_reregistration(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=7062;"
				      "port-s=5064");
	struct sa_set *x = world_registered();

	(void)state;
	world_reregistered(x);
	offer.over_id = x->id;
	make(&offer);
	world_check(true);
}

/* TS 33.203 7.1 rule 1 */
static void E9_a_reregistration_keeps_the_identities_of_the_set_before(void **state)
{
	struct offer offer = offer_of("ipsec-3gpp;alg=aes-gmac;spi-c=1001;spi-s=1002;port-c=7062;"
				      "port-s=5064");
	struct sa_set *x = world_registered();

	(void)state;
	offer.over_id = x->id;
	offer.impu = "tel:+15550100\nsip:v@ims.example";
	assert_string_equal(make(&offer)->impu, "sip:001010000000001@ims.example\ntel:+15550100\n"
						"sip:v@ims.example");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(an_offer_becomes_a_temporary_set_of_the_phones_numbers),
		TEST(our_order_decides_and_not_the_phones),
		TEST(A2_lines_of_one_header_are_one_list_and_kept_as_one),
		TEST(a_retransmission_gets_the_same_set),
		TEST(an_odd_port_is_a_warning),
		TEST(a_header_that_cannot_be_read_is_refused_with_the_place),
		TEST(C6_C7_wrong_numbers_are_a_bad_header),
		TEST(B2_a_494_has_our_list_whatever_was_offered),
		TEST(B1_a_494_has_all_mechanisms_whatever_was_offered),
		TEST(B4_a_refusal_says_what_starts_the_mechanism_in_common),
		TEST(B4_a_set_is_made_and_the_mechanism_that_we_prefer_is_said),
		TEST(a_listener_without_ipsec_3gpp_makes_no_sets),
		TEST(B11_where_the_extension_is_off_no_sets_are_made),
		TEST(a_leaving_listener_takes_no_new_sets),
		TEST(required_encryption_is_required),
		TEST(what_the_kernel_refuses_leaves_no_result),
		TEST(N1_a_via_that_is_not_the_source_is_a_nat),
		TEST(N2_a_nat_without_udp_enc_tun_is_discarded),
		TEST(N6_security_server_says_the_chosen_mode),
		TEST(the_set_that_a_register_came_over_must_be_right),
		TEST(N5_a_reregistration_over_udp_enc_tun_keeps_that_mode),
		TEST(an_old_set_may_carry_a_reregistration),
		TEST(E9_a_reregistration_keeps_the_identities_of_the_set_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
