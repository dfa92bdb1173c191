/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/check.c: which message is accepted on which set, TS 33.203 7.2 and 7.4.2a, RFC 3329 2.3.1.
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

#include "daemon/check.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- helpers ---- */

static struct lines one_line(const char *text)
{
	return (struct lines){.line = {span_of(text)}, .count = 1};
}

/* A message from the phone's client port, without Security headers. */
static struct check message(const struct sa_set *set, const char *method)
{
	return (struct check){
		.local = set->listener->address,
		.remote = set->ue_address,
		.local_port = set->pcscf.port_s,
		.remote_port = set->ue.port_c,
		.method = method,
	};
}

/* The REGISTER that answers the challenge, as it should be. */
static struct check answer(const struct sa_set *set)
{
	struct check check = message(set, "REGISTER");

	check.impi = set->impi;
	check.security_client = one_line(world_text(set->security_client));
	check.security_verify = one_line(world_text(set->security_server));
	return check;
}

static struct sa_set *temporary(void)
{
	const struct sa_set_request request = world_request();

	return world_create(&request);
}

static struct check_result assert_accepted(const struct check *check)
{
	struct check_result result = {0};

	if (check_message(world.table, &world.config, check, &result, &world.refusal) < 0)
		fail_msg("%s: %s", reason_token(world.refusal.reason), world.refusal.text);
	return result;
}

static void assert_accepted_on(const struct check *check, const struct sa_set *set,
			       bool integrity_protected)
{
	const struct check_result result = assert_accepted(check);

	assert_true(result.is_protected);
	assert_ptr_equal(result.set, set);
	assert_int_equal(result.integrity_protected, integrity_protected);
}

static void assert_refused(const struct check *check, enum reason reason, enum verdict verdict,
			   int sip_code)
{
	struct check_result result;

	memset(&world.refusal, 0, sizeof(world.refusal));
	memset(&result, 0xff, sizeof(result));
	assert_int_equal(check_message(world.table, &world.config, check, &result, &world.refusal),
			 -ECANCELED);
	assert_string_equal(reason_token(world.refusal.reason), reason_token(reason));
	assert_int_equal(world.refusal.verdict, verdict);
	assert_int_equal(world.refusal.sip_code, sip_code);
	assert_true(world.refusal.text[0] != '\0');
	assert_ptr_equal(result.set, (void *)UINTPTR_MAX); /* untouched */
}

/* ---- ports ---- */

static void what_comes_to_another_port_or_address_is_not_protected(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "REGISTER");

	(void)state;
	check.local_port = 5060;
	assert_false(assert_accepted(&check).is_protected);
	check.local_port = 6103;
	assert_false(assert_accepted(&check).is_protected);
	check.local_port = 6108;
	assert_false(assert_accepted(&check).is_protected);
	check.local_port = 6100;
	check.local = world_ip("192.0.2.2");
	assert_false(assert_accepted(&check).is_protected);
	assert_false(assert_accepted(&check).integrity_protected);
	assert_null(assert_accepted(&check).set);
}

static void D11_an_unknown_flow_to_a_protected_port_is_discarded(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "REGISTER");

	(void)state;
	check.remote_port++;
	assert_refused(&check, REASON_UNKNOWN_SET, VERDICT_DISCARD, 0);
	check = message(set, "REGISTER");
	check.remote = world_ip("198.51.100.8");
	assert_refused(&check, REASON_UNKNOWN_SET, VERDICT_DISCARD, 0);
	for (uint16_t port = 6104; port <= 6107; port++) {
		check = message(set, "REGISTER");
		check.local_port = port; /* the right port of the phone, but to a client port */
		assert_refused(&check, REASON_UNKNOWN_SET, VERDICT_DISCARD, 0);
	}
}

static void both_flows_of_a_set_are_accepted(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "INVITE");

	(void)state;
	assert_accepted_on(&check, set, true);
	check.local_port = set->pcscf.port_c;
	check.remote_port = set->ue.port_s;
	assert_accepted_on(&check, set, true);
}

/* ---- a TEMPORARY set ---- */

static void E4_a_temporary_set_takes_the_answer_to_its_challenge(void **state)
{
	struct sa_set *set = temporary();
	const struct check check = answer(set);

	(void)state;
	assert_accepted_on(&check, set, true);
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	assert_accepted_on(&check, set, true); /* a retransmission */
}

static void E4_other_methods_on_a_temporary_set_are_discarded(void **state)
{
	static const char *const METHODS[] = {"INVITE", "OPTIONS",  "ACK", "SUBSCRIBE",
					      "NOTIFY", "register", "",    "REGISTERS"};
	struct sa_set *set = temporary();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(METHODS); i++) {
		struct check check = answer(set);

		check.method = METHODS[i];
		assert_refused(&check, REASON_WRONG_STATE, VERDICT_DISCARD, 0);
	}
	assert_false(set->aborted);
}

static void both_headers_must_be_there(void **state)
{
	struct check check = answer(temporary());

	(void)state;
	check.security_verify.count = 0;
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
	check = answer(temporary());
	check.security_client.count = 0;
	assert_refused(&check, REASON_CLIENT_MISMATCH, VERDICT_REJECT, 403);
	check = answer(temporary());
	check.security_client.count = check.security_verify.count = 0;
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
}

/* Change @from to @to in @text. */
static const char *changed(const char *text, const char *from, const char *to)
{
	static char out[4096];
	const char *at = strstr(text, from);

	assert_non_null(at);
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

static void B5_any_change_in_security_verify_is_seen(void **state)
{
	static const char *const CHANGES[][2] = {
		{"q=0.9", "q=0.8"},
		{"alg=null", "alg=hmac-sha-1-96"},
		{"ealg=aes-gcm", "ealg=null"},
		{"prot=esp", "prot=ah"},
		{"mod=trans", "mod=tun"},
		{"spi-c=", "spi-c=1"},
		{"spi-s=", "spi-s=1"},
		{"port-c=6", "port-c=7"},
		{"port-s=6100", "port-s=6101"},
		{"ipsec-3gpp", "ipsec-ike"},
		{"ipsec-3gpp", "tls;q=0.95, ipsec-3gpp"},
		{";prot=esp", ""},
		{";mod=trans", ";mod=trans;x"},
		{", ", "; "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CHANGES); i++) {
		struct sa_set *set = temporary();
		struct check check = answer(set);

		check.security_verify =
			one_line(changed(world_text(set->security_server), CHANGES[i][0],
					 CHANGES[i][1]));
		assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
		assert_true(set->aborted);
	}
}

static void B5_a_list_that_was_cut_is_seen(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);
	char text[4096];

	(void)state;
	snprintf(text, sizeof(text), "%s", world_text(set->security_server));
	*strchr(text, ',') = '\0'; /* the bidding-down attack of RFC 3329 */
	check.security_verify = one_line(text);
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
}

static const char *const MORE[] = {"tls;q=0.7", "ipsec-3gpp;q=0.5",
				   "digest;d-alg=MD5;d-qop=auth;q=0.1", NULL};

static void B5_the_whole_list_is_compared_with_all_its_mechanisms(void **state)
{
	static const char *const CHANGES[][2] = {
		{"tls;q=0.7, ", ""},	    {", digest;q=0.1;d-alg=MD5;d-qop=auth", ""},
		{"tls;q=0.7", "tls;q=0.4"}, {"d-qop=auth", "d-qop=auth-int"},
		{"d-alg=MD5", "d-alg=x"},   {"digest", "digest;q=0.09, digest"},
	};
	struct check check;

	(void)state;
	world_mechanisms(MORE);
	for (size_t i = 0; i < COUNT_OF(CHANGES); i++) {
		struct sa_set *set = temporary();

		check = answer(set);
		check.security_verify =
			one_line(changed(world_text(set->security_server), CHANGES[i][0],
					 CHANGES[i][1]));
		assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
	}
	check = answer(temporary());
	assert_true(assert_accepted(&check).is_protected);
}

static void B15_the_d_ver_of_a_phone_is_no_change(void **state)
{
	struct sa_set *set;
	struct check check;
	char text[SERVER_LIST_WRITE_BYTES + 64];

	(void)state;
	world_mechanisms(MORE);
	set = temporary();
	check = answer(set);
	snprintf(text, sizeof(text), "%s;d-ver=\"0123456789abcdef0123456789abcdef\"",
		 world_text(set->security_server));
	check.security_verify = one_line(text);
	assert_accepted_on(&check, set, true);
}

static void B5_register_mismatch_may_be_494(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);

	(void)state;
	world.listener->decide.register_mismatch_494 = true;
	check.security_verify = one_line("tls");
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 494);
	assert_string_equal(world.refusal.security_server, world_text(set->security_server));
	assert_true(set->aborted);
	set = world_registered();
	check = message(set, "REGISTER");
	check.security_verify = one_line("tls");
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 494);
	assert_string_equal(world.refusal.security_server, world_text(set->security_server));
}

static void C9_any_change_in_security_client_is_seen(void **state)
{
	static const char *const CHANGES[][2] = {
		{"alg=null", "alg=hmac-sha-1-96"},
		{"ealg=aes-gcm", "ealg=null"},
		{"spi-c=1", "spi-c=2"},
		{"spi-s=2", "spi-s=1"},
		{"port-c=5062", "port-c=5066"},
		{"port-s=5064", "port-s=5066"},
		{"port-s=5064", "port-s=5064;x"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CHANGES); i++) {
		struct sa_set *set = temporary();
		struct check check = answer(set);

		check.security_client =
			one_line(changed(world_text(set->security_client), CHANGES[i][0],
					 CHANGES[i][1]));
		assert_refused(&check, REASON_CLIENT_MISMATCH, VERDICT_REJECT, 403);
		assert_true(set->aborted);
	}
}

static void A1_A2_case_space_and_lines_do_not_matter(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);
	char text[4096], *comma;

	(void)state;
	snprintf(text, sizeof(text), "%s",
		 changed(world_text(set->security_server), "ipsec-3gpp;q=", "IPSEC-3gpp ;\tQ = "));
	comma = strchr(text, ',');
	check.security_verify = (struct lines){
		.line = {{text, (size_t)(comma - text)}, span_of(comma + 1)},
		.count = 2,
	};
	assert_accepted_on(&check, set, true);
}

static void headers_that_cannot_be_read_do_not_match(void **state)
{
	static const char *const TEXTS[] = {"", ";;;", "ipsec-3gpp;q", "\xff\xfe", "a;b=\""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		struct check check = answer(temporary());

		check.security_verify = one_line(TEXTS[i]);
		assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
		check = answer(temporary());
		check.security_client = one_line(TEXTS[i]);
		assert_refused(&check, REASON_CLIENT_MISMATCH, VERDICT_REJECT, 403);
	}
}

static void lenient_lets_defaults_be_left_out(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);

	(void)state;
	world.listener->verify = COMPARE_LENIENT;
	check.security_verify = one_line(changed(world_text(set->security_server), ";prot=esp", ""));
	assert_accepted_on(&check, set, true);
	check.security_verify =
		one_line(changed(world_text(set->security_server), "port-s=6100", "port-s=1"));
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
}

static void another_identity_than_the_challenged_one_is_refused(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);

	(void)state;
	check.impi = "001010000000002@ims.example";
	assert_refused(&check, REASON_IDENTITY_MISMATCH, VERDICT_REJECT, 403);
	assert_true(set->aborted);
}

static void a_message_without_identity_is_judged_by_its_set(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);

	(void)state;
	check.impi = NULL;
	assert_accepted_on(&check, set, true);
}

static void after_a_wrong_answer_nothing_is_accepted_and_the_set_ends_soon(void **state)
{
	struct sa_set *set = temporary();
	struct check check = answer(set);
	const uint64_t id = set->id;

	(void)state;
	check.security_verify.count = 0;
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
	check = answer(set); /* right this time, but too late */
	assert_refused(&check, REASON_WRONG_STATE, VERDICT_DISCARD, 0);
	assert_true(world_has(id)); /* the 403 goes over it */
	fake_clock_advance_s(30);
	assert_false(world_has(id));
}

static void E3_a_wrong_answer_leaves_the_current_set(void **state)
{
	struct sa_set *x = world_registered(), *set;
	const struct sa_set_request request = world_request_again(x);
	struct check check;

	(void)state;
	set = world_create(&request);
	check = answer(set);
	check.impi = "nobody@ims.example";
	assert_refused(&check, REASON_IDENTITY_MISMATCH, VERDICT_REJECT, 403);
	fake_clock_advance_s(30);
	check = message(x, "INVITE");
	assert_accepted_on(&check, x, true);
}

/* ---- established sets ---- */

static void established_sets_take_every_method(void **state)
{
	static const char *const METHODS[] = {"REGISTER", "INVITE", "ACK", "PRACK", "MESSAGE"};
	struct sa_set *set = world_registered();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(METHODS); i++) {
		const struct check check = message(set, METHODS[i]);

		assert_accepted_on(&check, set, true);
	}
}

static void E7_the_first_message_takes_a_new_set_into_use(void **state)
{
	struct sa_set *x = world_registered(), *set = world_reregistered(x);
	const struct check check = message(set, "OPTIONS");

	(void)state;
	assert_accepted_on(&check, set, true);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_int_equal(sa_set_left_s(x), 128);
}

/* TS 33.203 6.1.5: "yes" only on the set of the latest successful authentication. */
static void an_old_set_still_carries_messages_but_no_integrity_protection(void **state)
{
	struct sa_set *x = world_registered();
	struct check check;

	(void)state;
	world_reregistered(x);
	check = message(x, "REGISTER");
	assert_accepted_on(&check, x, false);
	assert_int_equal(x->state, SA_SET_OLD);
}

static void an_old_set_carries_nothing_after_its_end(void **state)
{
	struct sa_set *x = world_registered();
	const struct check check = message(x, "INVITE");

	(void)state;
	sa_set_used(world_reregistered(x));
	fake_clock_advance_s(127);
	assert_accepted_on(&check, x, false);
	fake_clock_advance_s(1);
	assert_refused(&check, REASON_UNKNOWN_SET, VERDICT_DISCARD, 0);
}

static void D11_another_user_on_an_established_set_is_refused(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "REGISTER");

	(void)state;
	check.impi = "001010000000002@ims.example";
	assert_refused(&check, REASON_IDENTITY_MISMATCH, VERDICT_REJECT, 403);
	assert_int_equal(set->state, SA_SET_CURRENT);
	check.impi = set->impi;
	assert_accepted_on(&check, set, true);
}

static void B5_a_wrong_security_verify_on_an_established_set_is_refused(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "REGISTER");

	(void)state;
	check.security_verify = one_line("ipsec-3gpp;q=0.1;alg=hmac-md5-96");
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
	check.method = "INVITE";
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 494);
	assert_string_equal(world.refusal.sip_phrase, "Security Agreement Required");
	assert_string_equal(world.refusal.security_server, world_text(set->security_server));
	assert_int_equal(set->state, SA_SET_CURRENT);
	check.security_verify = one_line(world_text(set->security_server));
	assert_accepted_on(&check, set, true);
}

static void B5_each_request_may_have_to_have_a_security_verify(void **state)
{
	static const char *const WITHOUT[] = {"ACK", "CANCEL", "PRACK"};
	struct sa_set *set = world_reregistered(world_registered());
	struct check check = message(set, "INVITE");

	(void)state;
	world.listener->decide.verify_always = true;
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 494);
	assert_string_equal(world.refusal.security_server, world_text(set->security_server));
	check.method = "REGISTER";
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
	assert_int_equal(set->state, SA_SET_NEW);
	for (size_t i = 0; i < COUNT_OF(WITHOUT); i++) { /* RFC 3329 table 1 */
		check.method = WITHOUT[i];
		assert_accepted_on(&check, set, true);
	}
	check.method = "INVITE";
	check.security_verify = one_line(world_text(set->security_server));
	assert_accepted_on(&check, set, true);
	check.security_verify.count = 0;
	check.is_response = true;
	assert_accepted_on(&check, set, true);
}

static void an_ACK_is_not_held_against_its_security_verify(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "ACK");

	(void)state;
	check.security_verify = one_line("tls");
	assert_accepted_on(&check, set, true);
}

static void B11_where_the_extension_is_off_nothing_is_looked_at(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "INVITE");

	(void)state;
	check.local_port = 5060;
	assert_false(assert_accepted(&check).is_off);
	world.listener->decide.sec_agree = false;
	assert_true(assert_accepted(&check).is_off);
	assert_false(assert_accepted(&check).is_protected);
	check.local_port = 6100;
	check.remote_port++;
	assert_true(assert_accepted(&check).is_off);
	assert_false(assert_accepted(&check).is_protected);
	check.local = world_ip("192.0.2.2");
	assert_false(assert_accepted(&check).is_off);
}

static void a_refused_message_does_not_take_a_new_set_into_use(void **state)
{
	struct sa_set *set = world_reregistered(world_registered());
	struct check check = message(set, "INVITE");

	(void)state;
	check.impi = "001010000000002@ims.example";
	assert_refused(&check, REASON_IDENTITY_MISMATCH, VERDICT_REJECT, 403);
	assert_int_equal(set->state, SA_SET_NEW);
}

/* E16: SPIs and ports of the next set, which mean nothing to this one */
static void E16_a_fresh_security_client_on_an_established_set_is_not_compared(void **state)
{
	struct sa_set *set = world_registered();
	struct check check = message(set, "REGISTER");

	(void)state;
	check.security_client = one_line("ipsec-3gpp;alg=null;ealg=aes-gcm;spi-c=1001;spi-s=1002;"
					 "port-c=7000;port-s=7002");
	check.security_verify = one_line(world_text(set->security_server));
	assert_accepted_on(&check, set, true);
}

/* ---- two sets on one flow ---- */

/* A phone that lost its state, or somebody who claims to be it, has the client port of a living
 * set: what belongs to the living set goes there, whoever sent the REGISTER. */
static struct sa_set *come_back(struct sa_set **ret_living)
{
	struct sa_set_request request = world_request();

	*ret_living = world_registered();
	request.ue.spi_c += 2;
	request.ue.spi_s += 2;
	return world_create(&request);
}

static void on_a_shared_flow_the_answer_belongs_to_the_temporary_set(void **state)
{
	struct sa_set *living, *fresh = come_back(&living);
	const struct check check = answer(fresh);

	(void)state;
	assert_accepted_on(&check, fresh, true);
}

static void on_a_shared_flow_everything_else_belongs_to_the_living_set(void **state)
{
	struct sa_set *living, *fresh = come_back(&living);
	struct check check = message(living, "INVITE");

	(void)state;
	assert_accepted_on(&check, living, true);
	check = message(living, "REGISTER");
	assert_accepted_on(&check, living, true);
	check.security_verify = one_line(world_text(living->security_server));
	assert_accepted_on(&check, living, true);
	assert_false(fresh->aborted);
}

static void on_a_shared_flow_a_wrong_answer_is_refused(void **state)
{
	struct sa_set *living, *fresh = come_back(&living);
	struct check check = answer(fresh);

	(void)state;
	check.security_verify = one_line("ipsec-3gpp;q=0.1;alg=hmac-md5-96");
	assert_refused(&check, REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403);
	check = message(living, "INVITE");
	assert_accepted_on(&check, living, true);
}

static void an_rfc3329_set_is_checked_likewise(void **state)
{
	const struct sa_set_request request = world_request_rfc3329(5062, 0);
	struct sa_set *set = world_create(&request);
	struct check check = answer(set);

	(void)state;
	check.local_port = set->pcscf.port1;
	check.remote_port = 40000; /* any */
	assert_accepted_on(&check, set, true);
	world_confirm(set);
	check = message(set, "INVITE");
	check.local_port = set->pcscf.port1;
	check.remote_port = 40001;
	assert_accepted_on(&check, set, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	static const struct CMUnitTest tests[] = {
		TEST(what_comes_to_another_port_or_address_is_not_protected),
		TEST(D11_an_unknown_flow_to_a_protected_port_is_discarded),
		TEST(both_flows_of_a_set_are_accepted),
		TEST(E4_a_temporary_set_takes_the_answer_to_its_challenge),
		TEST(E4_other_methods_on_a_temporary_set_are_discarded),
		TEST(both_headers_must_be_there),
		TEST(B5_any_change_in_security_verify_is_seen),
		TEST(B5_a_list_that_was_cut_is_seen),
		TEST(B5_the_whole_list_is_compared_with_all_its_mechanisms),
		TEST(B15_the_d_ver_of_a_phone_is_no_change),
		TEST(B5_register_mismatch_may_be_494),
		TEST(C9_any_change_in_security_client_is_seen),
		TEST(A1_A2_case_space_and_lines_do_not_matter),
		TEST(headers_that_cannot_be_read_do_not_match),
		TEST(lenient_lets_defaults_be_left_out),
		TEST(another_identity_than_the_challenged_one_is_refused),
		TEST(a_message_without_identity_is_judged_by_its_set),
		TEST(after_a_wrong_answer_nothing_is_accepted_and_the_set_ends_soon),
		TEST(E3_a_wrong_answer_leaves_the_current_set),
		TEST(established_sets_take_every_method),
		TEST(E7_the_first_message_takes_a_new_set_into_use),
		TEST(an_old_set_still_carries_messages_but_no_integrity_protection),
		TEST(an_old_set_carries_nothing_after_its_end),
		TEST(D11_another_user_on_an_established_set_is_refused),
		TEST(B5_a_wrong_security_verify_on_an_established_set_is_refused),
		TEST(B5_each_request_may_have_to_have_a_security_verify),
		TEST(an_ACK_is_not_held_against_its_security_verify),
		TEST(B11_where_the_extension_is_off_nothing_is_looked_at),
		TEST(a_refused_message_does_not_take_a_new_set_into_use),
		TEST(E16_a_fresh_security_client_on_an_established_set_is_not_compared),
		TEST(on_a_shared_flow_the_answer_belongs_to_the_temporary_set),
		TEST(on_a_shared_flow_everything_else_belongs_to_the_living_set),
		TEST(on_a_shared_flow_a_wrong_answer_is_refused),
		TEST(an_rfc3329_set_is_checked_likewise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
