/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/refusal.c: every reason has its token, and a reply that a SIP server can give.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/refusal.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void tokens_are_the_documented_ones(void **state)
{
	static const char *const TOKENS[REASON_COUNT] = {
		"bad_header",      "no_common_mechanism", "nat_refused",      "verify_mismatch",
		"client_mismatch", "identity_mismatch",   "wrong_state",      "flow_in_use",
		"spi_in_use",      "spi_exhausted",       "port_exhausted",   "limit",
		"limit_sets",      "limit_address",       "limit_impi",       "limit_contact",
		"kernel_refused",  "store_failed",        "unknown_set",         "unknown_listener", "sec_agree_off",
		"bad_message",
		"bad_challenge",   "via_mismatch",        "transaction_in_use",
		"unknown_transaction", "no_stream", "bad_config", "listener_leaves", "denied", "internal",
	};

	(void)state;
	for (unsigned reason = 0; reason < REASON_COUNT; reason++)
		assert_string_equal(reason_token((enum reason)reason), TOKENS[reason]);
}

/* RFC 3329 2.3.1 and B17, TS 33.203 7.1, 7.2, M.7.2 */
static void replies_are_those_of_the_standards(void **state)
{
	static const struct {
		enum reason reason;
		enum verdict verdict;
		int code;
		const char *phrase;
	} REPLIES[] = {
		{REASON_BAD_HEADER, VERDICT_REJECT, 400, "Bad Request"},
		{REASON_NO_COMMON_MECHANISM, VERDICT_REJECT, 494, "Security Agreement Required"},
		{REASON_NAT_REFUSED, VERDICT_DISCARD, 0, NULL},
		{REASON_VERIFY_MISMATCH, VERDICT_REJECT, 403, "Forbidden"},
		{REASON_CLIENT_MISMATCH, VERDICT_REJECT, 403, "Forbidden"},
		{REASON_IDENTITY_MISMATCH, VERDICT_REJECT, 403, "Forbidden"},
		{REASON_WRONG_STATE, VERDICT_DISCARD, 0, NULL},
		{REASON_SPI_IN_USE, VERDICT_REJECT, 403, "Forbidden"},
		{REASON_LIMIT, VERDICT_REJECT, 503, "Service Unavailable"},
		{REASON_LIMIT_SETS, VERDICT_REJECT, 503, "Service Unavailable"},
		{REASON_LISTENER_LEAVES, VERDICT_REJECT, 503, "Service Unavailable"},
		{REASON_PORT_EXHAUSTED, VERDICT_REJECT, 503, "Service Unavailable"},
		{REASON_STORE_FAILED, VERDICT_REJECT, 503, "Service Unavailable"},
		{REASON_KERNEL_REFUSED, VERDICT_REJECT, 500, "Server Internal Error"},
		{REASON_UNKNOWN_SET, VERDICT_NONE, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(REPLIES); i++) {
		struct refusal r;

		assert_int_equal(refuse(&r, REPLIES[i].reason, "why"), -ECANCELED);
		assert_int_equal(r.verdict, REPLIES[i].verdict);
		assert_int_equal(r.sip_code, REPLIES[i].code);
		if (REPLIES[i].phrase)
			assert_string_equal(r.sip_phrase, REPLIES[i].phrase);
		else
			assert_null(r.sip_phrase);
	}
}

static void a_code_has_a_phrase_and_a_verdict(void **state)
{
	(void)state;
	for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
		struct refusal r;

		refuse(&r, (enum reason)reason, "why");
		assert_int_equal(r.sip_code != 0, r.sip_phrase != NULL);
		assert_int_equal(r.sip_code != 0, r.verdict == VERDICT_REJECT);
	}
}

static void nothing_of_an_earlier_refusal_stays(void **state)
{
	const struct xfrm_error error = {.error = -EPERM, .object = "x"};
	const struct sec_error where = {.line = 3, .offset = 14, .why = "no value"};
	struct refusal r;

	(void)state;
	refuse_kernel(&r, "trying", &error);
	refuse_header(&r, "Security-Client", &where);
	assert_false(r.has_kernel);
	assert_true(r.has_where);
	refuse(&r, REASON_LIMIT, "full");
	assert_false(r.has_where);
	assert_string_equal(r.text, "full");
}

static void a_header_error_says_where(void **state)
{
	const struct sec_error where = {.line = 3, .offset = 14, .why = "no value"};
	struct refusal r;

	(void)state;
	assert_int_equal(refuse_header(&r, "Security-Client", &where), -ECANCELED);
	assert_int_equal(r.reason, REASON_BAD_HEADER);
	assert_string_equal(r.text, "Security-Client, line 4, offset 14: no value");
	assert_int_equal(r.where.line, 3);
	assert_int_equal(r.where.offset, 14);
}

static void a_kernel_error_says_what_was_refused(void **state)
{
	const struct xfrm_error error = {.error = -EPERM,
					 .object = "ESP SA spi 0x1001 to 192.0.2.1",
					 .kernel = "no luck today"};
	const struct xfrm_error bare = {.error = -ENOBUFS};
	struct refusal r;

	(void)state;
	assert_int_equal(refuse_kernel(&r, "installing", &error), -ECANCELED);
	assert_string_equal(r.text,
			    "installing: the kernel refused ESP SA spi 0x1001 to 192.0.2.1: "
			    "Operation not permitted: no luck today");
	assert_int_equal(r.kernel.error, -EPERM);
	refuse_kernel(&r, "installing", &bare);
	assert_string_equal(r.text, "installing: the kernel refused the request: "
				    "No buffer space available");
}

static void long_texts_are_cut(void **state)
{
	char text[1000];
	struct refusal r;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuse(&r, REASON_LIMIT, "%s", text);
	assert_int_equal(strlen(r.text), sizeof(r.text) - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_are_the_documented_ones),
		cmocka_unit_test(replies_are_those_of_the_standards),
		cmocka_unit_test(a_code_has_a_phrase_and_a_verdict),
		cmocka_unit_test(nothing_of_an_earlier_refusal_stays),
		cmocka_unit_test(a_header_error_says_where),
		cmocka_unit_test(a_kernel_error_says_what_was_refused),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
