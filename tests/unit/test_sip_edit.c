/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/sip_edit.c: what is edited, and that nothing else is.
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

#include "proto/sip_edit.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Odd forms on purpose: folds, compact names, tabs, case, a body with a header in it. */
#define A "\r\nREGISTER sip:ims.example SIP/2.0\r\nv:\tSIP/2.0/UDP a;branch=z9hG4bKa \r\n"
#define B "f: <sip:u@x>;tag=1\r\nT : <sip:u@x>\r\n \r\ni:1\r\nCSeq:  1\r\n REGISTER\r\n"
#define C "X-Odd: \xff\x01\r\n\r\nRequire: sec-agree\r\n\0x"

static struct sip_message m;
static struct sip_edits edits;
static char *result;
static size_t result_bytes;

static int start(void **state)
{
	(void)state;
	return sip_init();
}

static int stop(void **state)
{
	(void)state;
	sip_edits_done(&edits);
	sip_message_done(&m);
	free(result);
	result = NULL;
	return 0;
}

static void begin(const char *text, size_t n)
{
	const char *why;

	stop(NULL);
	if (sip_message_parse((struct span){text, n}, &m, &why) != 0)
		fail_msg("%s", why);
	sip_edits_init(&edits, &m);
}

#define BEGIN(text) begin("" text, sizeof(text) - 1)

static void assert_result(const char *text, size_t n)
{
	assert_int_equal(sip_edits_apply(&edits, &result, &result_bytes), 0);
	if (result_bytes != n || memcmp(result, text, n) != 0)
		fail_msg("not as wanted:\n%s", result);
}

#define ASSERT_RESULT(text) assert_result("" text, sizeof(text) - 1)

static void without_edits_every_byte_stays(void **state)
{
	(void)state;
	BEGIN(A B C);
	ASSERT_RESULT(A B C);
}

static void B7_lines_go_with_their_folds_and_nothing_else(void **state)
{
	(void)state;
	BEGIN(A "Security-Client: ipsec-3gpp;\r\n alg=x\r\n" B "SECURITY-CLIENT:tls\r\n"
		"Security-Clients: y\r\n" C);
	sip_edit_remove(&edits, SIP_SECURITY_CLIENT);
	sip_edit_remove(&edits, SIP_SECURITY_VERIFY);
	ASSERT_RESULT(A B "Security-Clients: y\r\n" C);
}

static void B6_a_tag_goes_and_the_others_stay(void **state)
{
	(void)state;
	BEGIN(A "Require: sec-agree, 100rel\r\n" B "Proxy-Require :  sec-agree \r\n"
		"require: path ,Sec-Agree\r\nRequire: gruu\r\n" C);
	sip_edit_remove_tag(&edits, SIP_REQUIRE, "sec-agree");
	sip_edit_remove_tag(&edits, SIP_PROXY_REQUIRE, "sec-agree");
	assert_int_equal(sip_edits_apply(&edits, &result, &result_bytes), 0);
	assert_non_null(strstr(result, "Require: 100rel\r\n"));
	assert_null(strstr(result, "Proxy-Require"));
	assert_non_null(strstr(result, "require: path"));
	assert_non_null(strstr(result, "Require: gruu\r\n"));
	/* in the body nobody looks */
	assert_memory_equal(result + result_bytes - (sizeof(C) - 1), C, sizeof(C) - 1);
}

static void a_new_line_is_the_last_one_and_ends_as_the_message_does(void **state)
{
	(void)state;
	BEGIN(A B C);
	sip_edit_add(&edits, SIP_SECURITY_SERVER, span_of("tls;q=0.1"));
	ASSERT_RESULT(A B "X-Odd: \xff\x01\r\nSecurity-Server: tls;q=0.1\r\n\r\n"
			  "Require: sec-agree\r\n\0x");
	BEGIN("SIP/2.0 401 x\nVia: SIP/2.0/UDP a\nf: <sip:a@b>\nt: <sip:a@b>\ni: 1\nCSeq: 1 "
	      "A\n\nb");
	sip_edit_add(&edits, SIP_SECURITY_SERVER, span_of("x"));
	ASSERT_RESULT(
		"SIP/2.0 401 x\nVia: SIP/2.0/UDP a\nf: <sip:a@b>\nt: <sip:a@b>\ni: 1\nCSeq: 1 A\n"
		"Security-Server: x\n\nb");
}

static void edits_are_made_in_any_order(void **state)
{
	(void)state;
	BEGIN(A "Security-Client: x\r\n" B C);
	sip_edit_add(&edits, SIP_SECURITY_SERVER, span_of("1"));
	sip_edit_remove(&edits, SIP_SECURITY_CLIENT);
	sip_edit_add(&edits, SIP_REQUIRE, span_of("2"));
	ASSERT_RESULT(A B "X-Odd: \xff\x01\r\nSecurity-Server: 1\r\nRequire: 2\r\n\r\n"
			  "Require: sec-agree\r\n\0x");
}

static void two_edits_of_one_place_are_told(void **state)
{
	(void)state;
	BEGIN(A "Require: sec-agree\r\n" B C);
	sip_edit_remove(&edits, SIP_REQUIRE);
	sip_edit_replace(&edits, sip_header(&m, SIP_REQUIRE)->value, span_of("x"));
	assert_int_equal(sip_edits_apply(&edits, &result, &result_bytes), -EINVAL);
	assert_null(result);
}

/* ---- digest parameters ---- */

static const char *const KEYS[] = {"ck", "ik", NULL};
static const char *const INTEGRITY[] = {"integrity-protected", NULL};

static void edit_auth(const char *value, const char *const *names, const char *add,
		      const char *wanted)
{
	char text[1024], expected[1024];
	struct auth auth;

	snprintf(text, sizeof(text), A "Authorization: %s\r\n" B "\r\n", value);
	snprintf(expected, sizeof(expected), A "Authorization: %s\r\n" B "\r\n", wanted);
	begin(text, strlen(text));
	assert_int_equal(auth_read(sip_header(&m, SIP_AUTHORIZATION)->value, &auth), 0);
	sip_edit_auth(&edits, &auth, names, add ? names[0] : NULL, add);
	assert_result(expected, strlen(expected));
}

static void E14_keys_go_with_their_commas_wherever_they_stand(void **state)
{
	static const char *const CASES[][2] = {
		{"Digest realm=\"a\", ck=\"1\", ik=\"2\", nonce=\"n\"",
		 "Digest realm=\"a\", nonce=\"n\""},
		{"Digest realm=\"a\",nonce=\"n\",ck=\"1\",ik=\"2\"",
		 "Digest realm=\"a\",nonce=\"n\""},
		{"Digest ck=\"1\", ik=\"2\", realm=\"a\"", "Digest realm=\"a\""},
		{"Digest CK=1,realm=\"a\",\r\n IK = \"2\" ,nonce=\"n\"",
		 "Digest realm=\"a\" ,nonce=\"n\""},
		{"Digest realm=\"ck=1,ik=2\",qop=\"auth\"",
		 "Digest realm=\"ck=1,ik=2\",qop=\"auth\""},
		{"Digest ckx=\"1\",xik=\"2\"", "Digest ckx=\"1\",xik=\"2\""},
		{"Digest ck=\"1\"", "Digest "},
		{"Digest ck=\"1\",ik=\"2\"", "Digest "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++)
		edit_auth(CASES[i][0], KEYS, NULL, CASES[i][1]);
}

static void integrity_is_replaced_or_added(void **state)
{
	static const char *const CASES[][2] = {
		{"Digest username=\"a\"", "Digest username=\"a\", integrity-protected=\"no\""},
		{"Digest username=\"a\",integrity-protected=\"yes\"",
		 "Digest username=\"a\", integrity-protected=\"no\""},
		{"Digest integrity-protected=yes, username=\"a\",nonce=\"\"",
		 "Digest username=\"a\",nonce=\"\", integrity-protected=\"no\""},
		{"Digest username=\"a\", Integrity-Protected = \"yes\" ,nonce=\"\"",
		 "Digest username=\"a\" ,nonce=\"\", integrity-protected=\"no\""},
		{"Digest integrity-protected=\"yes\"", "Digest integrity-protected=\"no\""},
		{"Digest", "Digest integrity-protected=\"no\""},
		{"Digest username=\"a\" , ,",
		 "Digest username=\"a\", integrity-protected=\"no\" , ,"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++)
		edit_auth(CASES[i][0], INTEGRITY, "no", CASES[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(without_edits_every_byte_stays, stop),
		cmocka_unit_test_teardown(B7_lines_go_with_their_folds_and_nothing_else, stop),
		cmocka_unit_test_teardown(B6_a_tag_goes_and_the_others_stay, stop),
		cmocka_unit_test_teardown(a_new_line_is_the_last_one_and_ends_as_the_message_does,
					  stop),
		cmocka_unit_test_teardown(edits_are_made_in_any_order, stop),
		cmocka_unit_test_teardown(two_edits_of_one_place_are_told, stop),
		cmocka_unit_test_teardown(E14_keys_go_with_their_commas_wherever_they_stand, stop),
		cmocka_unit_test_teardown(integrity_is_replaced_or_added, stop),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
