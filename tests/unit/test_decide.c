/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/decide.c over its whole cross product: every policy with every combination of facts,
 * against a table of first matches in which each line is a row of the norm or a rule beside it.
 * Then, by name, what single requirements say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/decide.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- a case as a set of bits, one for each dimension ---- */

enum {
	OFF, ON,                                     /* the extension */
	CLEAR, PROTECTED,                            /* after what the policy says of TLS */
	NAKED, IPSEC, TLS, DIGEST,                   /* protection as in the facts */
	VIA_0, VIA_1, VIA_MORE,
	REGISTER, ACK, CANCEL, PRACK, OTHER,         /* method */
	NO_TAG, TAG,                                 /* in Require or Proxy-Require */
	NOT_SUPPORTED, SUPPORTED,
	ABSENT, EQUAL, DIFFERENT,                    /* Security-Verify */
	WANTED_NO, WANTED,                           /* it completes an agreement */
	ORDINARY, EMERGENCY,
	NO_CLIENT, UNUSABLE, USABLE, BAD,            /* Security-Client */
	LENIENT, ALWAYS,                             /* Security-Verify always required */
	R8_CHALLENGE, R8_FORBID, R8_DISCARD, R8_FORWARD,
	R9_CHALLENGE, R9_FORBID, R9_DISCARD, R9_FORWARD,
	MISMATCH_403, MISMATCH_494,
	BIT_COUNT,
};

#define B(bit) (UINT64_C(1) << (bit))

/* First bits of the dimensions. */
static const unsigned int dimensions[] = {
	OFF, CLEAR, NAKED, VIA_0, REGISTER, NO_TAG, NOT_SUPPORTED, ABSENT, WANTED_NO, ORDINARY,
	NO_CLIENT, LENIENT, R8_CHALLENGE, R9_CHALLENGE, MISMATCH_403, BIT_COUNT,
};

enum outcome {
	UNTOUCHED,
	PASS,       /* cleaned */
	PASS_START, /* cleaned, and the 401 carries the list */
	DROP,
	ANSWER,     /* without the list */
	DEMAND,     /* with Require, and with the list if the method has a place for it */
};

/* The first line that a case fits decides. A dimension that is not named fits with any value. */
static const struct {
	uint64_t when;
	unsigned int row;
	enum outcome outcome;
	unsigned int code;
} oracle[] = {
	{B(OFF), 0, UNTOUCHED, 0},
	{B(VIA_0), 0, DROP, 0},
	/* in clear: RFC 3329 2.3.1, 2.3.2; TS 33.203 7.1, 7.2 */
	{B(CLEAR) | B(REGISTER) | B(VIA_1) | B(USABLE), 7, PASS_START, 0},
	{B(CLEAR) | B(EMERGENCY), 10, PASS, 0},
	{B(CLEAR) | B(ACK) | B(CANCEL) | B(PRACK) | B(OTHER) | B(R9_DISCARD), 9, DROP, 0},
	{B(CLEAR) | B(ACK) | B(CANCEL) | B(PRACK) | B(OTHER) | B(R9_FORBID) | B(R9_FORWARD), 9,
	 ANSWER, 403},
	{B(CLEAR) | B(VIA_MORE), 1, ANSWER, 502},
	{B(CLEAR) | B(REGISTER) | B(BAD), 0, ANSWER, 400},
	{B(CLEAR) | B(REGISTER) | B(R8_FORBID), 8, ANSWER, 403},
	{B(CLEAR) | B(REGISTER) | B(R8_DISCARD), 8, DROP, 0},
	{B(CLEAR) | B(REGISTER) | B(R8_FORWARD), 8, PASS, 0},
	{B(CLEAR) | B(TAG), 2, DEMAND, 494},
	{B(CLEAR) | B(SUPPORTED), 3, DEMAND, 494},
	{B(CLEAR), 4, DEMAND, 421},
	/* protected */
	{B(PROTECTED) | B(VIA_MORE) | B(ORDINARY), 1, ANSWER, 502},
	{B(PROTECTED) | B(ACK) | B(CANCEL) | B(PRACK), 5, PASS, 0},
	{B(PROTECTED) | B(EQUAL), 5, PASS, 0},
	{B(PROTECTED) | B(ABSENT) | B(WANTED_NO) | B(IPSEC) | B(LENIENT), 5, PASS, 0},
	{B(PROTECTED) | B(ABSENT) | B(WANTED_NO) | B(TLS) | B(NO_TAG), 5, PASS, 0},
	{B(PROTECTED) | B(REGISTER) | B(IPSEC) | B(MISMATCH_403), 6, ANSWER, 403},
	{B(PROTECTED), 6, DEMAND, 494},
};

/* The named dimensions as they are, the others full. */
static uint64_t mask_of(uint64_t when)
{
	for (size_t i = 0; i + 1 < COUNT_OF(dimensions); i++) {
		uint64_t all = B(dimensions[i + 1]) - B(dimensions[i]);

		if (!(when & all))
			when |= all;
	}
	return when;
}

static uint64_t bits_of(const struct decide_policy *p, const struct decide_facts *f)
{
	bool covered = f->protection == DECIDE_IPSEC || f->protection == DECIDE_DIGEST ||
		       (f->protection == DECIDE_TLS && p->tls_is_protected);
	bool tag = f->require_tag || f->proxy_require_tag;

	return B(OFF + p->sec_agree) | B(CLEAR + covered) | B(NAKED + f->protection) |
	       B(VIA_0 + (f->via_count < 2 ? f->via_count : 2)) | B(REGISTER + f->method) |
	       B(NO_TAG + tag) | B(NOT_SUPPORTED + f->supported_tag) | B(ABSENT + f->verify) |
	       B(WANTED_NO + f->verify_required) | B(ORDINARY + f->emergency) |
	       B(NO_CLIENT + f->client) | B(LENIENT + p->verify_always) |
	       B(R8_CHALLENGE + p->register_without_ipsec) | B(R9_CHALLENGE + p->other_clear) |
	       B(MISMATCH_403 + p->register_mismatch_494);
}

static struct decision expected_of(const struct decide_facts *f, uint64_t bits,
				   const uint64_t masks[static COUNT_OF(oracle)])
{
	bool can_be_answered = f->method != DECIDE_METHOD_ACK && f->method != DECIDE_METHOD_CANCEL;
	struct decision d = {.action = DECIDE_DROP};
	size_t i = 0;

	while (bits & ~masks[i])
		i++;
	d.row = oracle[i].row;
	switch (oracle[i].outcome) {
	case PASS_START:
		d.start_agreement = true;
		d.clean = true;
		d.action = DECIDE_FORWARD;
		break;
	case PASS:
		d.clean = true;
		d.action = DECIDE_FORWARD;
		break;
	case UNTOUCHED:
		d.action = DECIDE_FORWARD;
		break;
	case DROP:
		break;
	case DEMAND:
		d.add_require = can_be_answered;
		d.add_security_server = can_be_answered && f->method != DECIDE_METHOD_PRACK;
		/* fall through */
	case ANSWER:
		if (can_be_answered) {
			d.action = DECIDE_REPLY;
			d.code = oracle[i].code;
		}
		break;
	}
	return d;
}

static void same(const struct decision *got, const struct decision *expected, uint64_t bits)
{
	if (got->action != expected->action || got->row != expected->row ||
	    got->code != expected->code || got->clean != expected->clean ||
	    got->add_security_server != expected->add_security_server ||
	    got->add_require != expected->add_require ||
	    got->start_agreement != expected->start_agreement ||
	    (got->phrase != NULL) != (expected->code != 0) || !got->why || !got->why[0])
		fail_msg("case %#llx: %s %u by row %u, expected %s %u by row %u: %s",
			 (unsigned long long)bits, decide_action_name(got->action), got->code,
			 got->row, decide_action_name(expected->action), expected->code,
			 expected->row, got->why);
}

/* The digit of *@n in base @base; *@n goes on to the next. */
static unsigned int digit(unsigned long *n, unsigned int base)
{
	unsigned int d = (unsigned int)(*n % base);

	*n /= base;
	return d;
}

#define POLICIES (2ul * 2 * 2 * 4 * 4 * 2)
#define FACTS    (5ul * 4 * 4 * 2 * 2 * 2 * 3 * 2 * 4 * 2)

static struct decide_policy policy_number(unsigned long n)
{
	struct decide_policy p;

	p.sec_agree = digit(&n, 2);
	p.tls_is_protected = digit(&n, 2);
	p.verify_always = digit(&n, 2);
	p.register_without_ipsec = (enum decide_clear)digit(&n, 4);
	p.other_clear = (enum decide_clear)digit(&n, 4);
	p.register_mismatch_494 = digit(&n, 2);
	return p;
}

static struct decide_facts facts_number(unsigned long n)
{
	struct decide_facts f;

	f.method = (enum decide_method)digit(&n, 5);
	f.protection = (enum decide_protection)digit(&n, 4);
	f.via_count = digit(&n, 4);
	f.require_tag = digit(&n, 2);
	f.proxy_require_tag = digit(&n, 2);
	f.supported_tag = digit(&n, 2);
	f.verify = (enum decide_verify)digit(&n, 3);
	f.verify_required = digit(&n, 2);
	f.client = (enum decide_client)digit(&n, 4);
	f.emergency = digit(&n, 2);
	return f;
}

/* @check sees every decision that there is. */
static void for_all(void (*check)(const struct decide_policy *, const struct decide_facts *,
				  const struct decision *))
{
	for (unsigned long i = 0; i < POLICIES; i++) {
		struct decide_policy p = policy_number(i);

		for (unsigned long k = 0; k < FACTS; k++) {
			struct decide_facts f = facts_number(k);
			struct decision d;

			decide_request(&p, &f, &d);
			check(&p, &f, &d);
		}
	}
}

static uint64_t masks[COUNT_OF(oracle)];
static unsigned long seen[COUNT_OF(oracle)];

static void check_oracle(const struct decide_policy *p, const struct decide_facts *f,
			 const struct decision *got)
{
	uint64_t bits = bits_of(p, f);
	struct decision expected = expected_of(f, bits, masks);

	for (size_t i = 0; i < COUNT_OF(oracle); i++) {
		if (!(bits & ~masks[i])) {
			seen[i]++;
			break;
		}
	}
	same(got, &expected, bits);
}

static void the_whole_cross_product_is_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(oracle); i++)
		masks[i] = mask_of(oracle[i].when);
	for_all(check_oracle);
	for (size_t i = 0; i < COUNT_OF(oracle); i++) {
		if (!seen[i])
			fail_msg("no case reached line %zu of the table", i);
	}
}

/* ---- what holds everywhere ---- */

static void check_rules(const struct decide_policy *p, const struct decide_facts *f,
			const struct decision *d)
{
	bool challenge = d->code == 421 || d->code == 494;

	if (d->action == DECIDE_REPLY &&
	    (f->method == DECIDE_METHOD_ACK || f->method == DECIDE_METHOD_CANCEL))
		fail_msg("an ACK or a CANCEL was answered with %u", d->code);
	if (d->add_security_server && (!challenge || !decide_method_carries(f->method)))
		fail_msg("Security-Server in %u", d->code);
	if (challenge != d->add_require)
		fail_msg("Require is wrong in %u", d->code);
	if (d->clean != (d->action == DECIDE_FORWARD && p->sec_agree))
		fail_msg("what is forwarded is not cleaned, or touched while off");
}

static void A8_security_server_goes_out_in_421_and_494_only(void **state)
{
	(void)state;
	for_all(check_rules);
}

/* ---- single requirements ---- */

static struct decide_facts plain_invite(void)
{
	return (struct decide_facts){.method = DECIDE_METHOD_OTHER, .via_count = 1};
}

static struct decision decided(const struct decide_facts *f)
{
	struct decide_policy p;
	struct decision d;

	decide_policy_default(&p);
	decide_request(&p, f, &d);
	return d;
}

static void answers_494_with_list(const struct decide_facts *f)
{
	struct decision d = decided(f);

	assert_int_equal(d.action, DECIDE_REPLY);
	assert_int_equal(d.code, 494);
	assert_string_equal(d.phrase, "Security Agreement Required");
	assert_true(d.add_security_server);
	assert_true(d.add_require);
}

static void B2_B3_either_tag_of_a_clear_request_gets_494_with_the_list(void **state)
{
	struct decide_facts f = plain_invite();

	(void)state;
	f.require_tag = true;
	answers_494_with_list(&f);
	f.require_tag = false;
	f.proxy_require_tag = true;
	answers_494_with_list(&f);
	f.supported_tag = true;
	answers_494_with_list(&f);
}

static void B9_B10_B17_a_plain_clear_request_gets_421_with_both_headers(void **state)
{
	struct decide_facts f = plain_invite();
	struct decision d = decided(&f);

	(void)state;
	assert_int_equal(d.code, 421);
	assert_string_equal(d.phrase, "Extension Required");
	assert_true(d.add_security_server);
	assert_true(d.add_require);
}

static void B10_the_tag_in_supported_gets_494_with_both_headers(void **state)
{
	struct decide_facts f = plain_invite();

	(void)state;
	f.supported_tag = true;
	answers_494_with_list(&f);
}

static void B5_a_changed_list_gets_494_with_the_unmodified_one(void **state)
{
	struct decide_facts f = plain_invite();
	struct decision d;

	(void)state;
	f.protection = DECIDE_IPSEC;
	f.verify = DECIDE_VERIFY_DIFFERENT;
	answers_494_with_list(&f);
	f.verify = DECIDE_VERIFY_EQUAL;
	d = decided(&f);
	assert_int_equal(d.action, DECIDE_FORWARD);
}

static void B5_a_missing_list_is_a_changed_one_where_it_is_due(void **state)
{
	struct decide_facts f = plain_invite();

	(void)state;
	f.protection = DECIDE_IPSEC;
	assert_int_equal(decided(&f).action, DECIDE_FORWARD);
	f.verify_required = true;
	answers_494_with_list(&f);
	f.verify_required = false;
	f.protection = DECIDE_DIGEST;
	answers_494_with_list(&f);
}

static void B6_B7_what_goes_on_is_cleaned(void **state)
{
	struct decide_facts f = plain_invite();

	(void)state;
	f.protection = DECIDE_IPSEC;
	f.verify = DECIDE_VERIFY_EQUAL;
	assert_true(decided(&f).clean);
}

static void B8_two_vias_get_502_without_the_list(void **state)
{
	struct decide_facts f = plain_invite();
	struct decision d;

	(void)state;
	f.via_count = 2;
	d = decided(&f);
	assert_int_equal(d.code, 502);
	assert_string_equal(d.phrase, "Bad Gateway");
	assert_false(d.add_security_server);
	assert_false(d.add_require);
}

static void B11_with_the_extension_off_nothing_is_touched(void **state)
{
	struct decide_policy p;
	struct decide_facts f = plain_invite();
	struct decision d;

	(void)state;
	decide_policy_default(&p);
	p.sec_agree = false;
	f.require_tag = true;
	decide_request(&p, &f, &d);
	assert_int_equal(d.action, DECIDE_FORWARD);
	assert_false(d.clean);
}

static void B12_tls_counts_as_protected_where_configured(void **state)
{
	struct decide_policy p;
	struct decide_facts f = plain_invite();
	struct decision d;

	(void)state;
	f.protection = DECIDE_TLS;
	assert_int_equal(decided(&f).code, 421);
	decide_policy_default(&p);
	p.tls_is_protected = true;
	decide_request(&p, &f, &d);
	assert_int_equal(d.action, DECIDE_FORWARD);
	f.require_tag = true; /* a phone that speaks sec-agree owes us the list */
	decide_request(&p, &f, &d);
	assert_int_equal(d.code, 494);
}

static void D14_responses_in_clear_are_errors_about_clear_requests_or_emergencies(void **state)
{
	struct decide_policy p;
	struct decision d;

	(void)state;
	decide_policy_default(&p);
	decide_response(&p, DECIDE_UNPROTECTED, 200, true, false, &d);
	assert_int_equal(d.action, DECIDE_DROP);
	decide_response(&p, DECIDE_UNPROTECTED, 481, true, false, &d);
	assert_int_equal(d.action, DECIDE_FORWARD);
	decide_response(&p, DECIDE_UNPROTECTED, 481, false, false, &d);
	assert_int_equal(d.action, DECIDE_DROP);
	decide_response(&p, DECIDE_UNPROTECTED, 200, true, true, &d);
	assert_int_equal(d.action, DECIDE_FORWARD);
	decide_response(&p, DECIDE_IPSEC, 200, false, false, &d);
	assert_int_equal(d.action, DECIDE_FORWARD);
	assert_true(d.clean);
	decide_response(&p, DECIDE_TLS, 200, false, false, &d);
	assert_int_equal(d.action, DECIDE_DROP);
	p.sec_agree = false;
	decide_response(&p, DECIDE_UNPROTECTED, 200, false, false, &d);
	assert_int_equal(d.action, DECIDE_FORWARD);
	assert_false(d.clean);
}

static void A8_M1_M3_methods_are_those_of_table_1_and_all_that_came_later(void **state)
{
	static const char *const carry[] = {"BYE", "INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE",
					    "NOTIFY", "INFO", "UPDATE", "MESSAGE", "PUBLISH",
					    "REFER", "X-NEW", "ack"};
	static const char *const others[] = {"ACK", "CANCEL", "PRACK"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(carry); i++)
		assert_true(decide_method_carries(decide_method_of(span_of(carry[i]))));
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_false(decide_method_carries(decide_method_of(span_of(others[i]))));
	assert_int_equal(decide_method_of(span_of("REGISTER")), DECIDE_METHOD_REGISTER);
}

static void the_actions_have_names(void **state)
{
	(void)state;
	assert_string_equal(decide_action_name(DECIDE_FORWARD), "forward");
	assert_string_equal(decide_action_name(DECIDE_REPLY), "reply");
	assert_string_equal(decide_action_name(DECIDE_DROP), "drop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_cross_product_is_as_the_table_says),
		cmocka_unit_test(A8_security_server_goes_out_in_421_and_494_only),
		cmocka_unit_test(B2_B3_either_tag_of_a_clear_request_gets_494_with_the_list),
		cmocka_unit_test(B9_B10_B17_a_plain_clear_request_gets_421_with_both_headers),
		cmocka_unit_test(B10_the_tag_in_supported_gets_494_with_both_headers),
		cmocka_unit_test(B5_a_changed_list_gets_494_with_the_unmodified_one),
		cmocka_unit_test(B5_a_missing_list_is_a_changed_one_where_it_is_due),
		cmocka_unit_test(B6_B7_what_goes_on_is_cleaned),
		cmocka_unit_test(B8_two_vias_get_502_without_the_list),
		cmocka_unit_test(B11_with_the_extension_off_nothing_is_touched),
		cmocka_unit_test(B12_tls_counts_as_protected_where_configured),
		cmocka_unit_test(
			D14_responses_in_clear_are_errors_about_clear_requests_or_emergencies),
		cmocka_unit_test(A8_M1_M3_methods_are_those_of_table_1_and_all_that_came_later),
		cmocka_unit_test(the_actions_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
