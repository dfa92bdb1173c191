/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/auth_param.c: digest headers as phones and home networks write them.
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

#include "proto/auth_param.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static struct auth auth;

static const char *text(const char *name)
{
	static char buf[256];

	return auth_text(&auth, name, buf, sizeof(buf)) < 0 ? NULL : buf;
}

static void read_it(const char *value)
{
	assert_int_equal(auth_read(span_of(value), &auth), 0);
}

static void a_challenge_with_keys_is_read_whole(void **state)
{
	uint8_t key[16];

	(void)state;
	read_it("Digest realm=\"ims.example\", nonce=\"YWJj\", algorithm=AKAv1-MD5, "
		"ck=\"000102030405060708090a0b0c0d0e0f\",ik=\"F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF\", "
		"qop=\"auth,auth-int\"");
	assert_int_equal(auth.count, 6);
	assert_string_equal(text("algorithm"), "AKAv1-MD5");
	assert_string_equal(text("qop"), "auth,auth-int");
	assert_int_equal(auth_key(&auth, "ck", key, 16), 0);
	assert_int_equal(key[15], 0x0f);
	assert_int_equal(auth_key(&auth, "IK", key, 16), 0);
	assert_int_equal(key[0], 0xf0);
	assert_int_equal(auth_key(&auth, "sres", key, 16), -ENOENT);
}

static void names_and_scheme_have_no_case(void **state)
{
	(void)state;
	read_it("dIGEST UserName=\"a@b\"");
	assert_string_equal(text("username"), "a@b");
}

static void empty_values_are_there_and_say_nothing(void **state)
{
	(void)state;
	read_it("Digest username=\"a@b\",nonce=\"\", response=, uri=\"\"");
	assert_non_null(auth_find(&auth, "nonce"));
	assert_false(auth_has(&auth, "nonce"));
	assert_non_null(auth_find(&auth, "response"));
	assert_false(auth_has(&auth, "response"));
	assert_false(auth_has(&auth, "auts"));
	assert_true(auth_has(&auth, "username"));
}

static void quotes_are_taken_off_and_escapes_resolved(void **state)
{
	(void)state;
	read_it("Digest username=\"a\\\"b\\\\c, d=e\", realm=\"x\"");
	assert_string_equal(text("username"), "a\"b\\c, d=e");
	assert_string_equal(text("realm"), "x");
	assert_int_equal(auth.count, 2);
}

static void space_and_folds_are_no_part_of_a_value(void **state)
{
	(void)state;
	read_it("Digest\r\n username = \"a@b\" ,\r\n\trealm\t=x , ,");
	assert_string_equal(text("username"), "a@b");
	assert_string_equal(text("realm"), "x");
	assert_int_equal(auth.count, 2);
	assert_int_equal(auth.params[0].all.n, strlen("username = \"a@b\""));
}

static void an_unquoted_name_is_taken(void **state)
{
	(void)state;
	read_it("Digest username=001010000000001@ims.example,nc=00000001");
	assert_string_equal(text("username"), "001010000000001@ims.example");
}

static void another_scheme_is_not_ours(void **state)
{
	static const char *const VALUES[] = {"", "Basic QWxhZGRpbg==", "Digests a=b",
					     "\"Digest\" a=b", "AKA integrity-protected=yes"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(VALUES); i++)
		assert_int_equal(auth_read(span_of(VALUES[i]), &auth), -ENOENT);
}

static void what_is_malformed_is_refused(void **state)
{
	static const char *const VALUES[] = {
		"Digest username",        "Digest =x",
		"Digest username=\"a",    "Digest username=\"a\\\"",
		"Digest username=a b",    "Digest username=\"a\"realm=b",
		"Digest username=a\"b\"", "Digest username=\"a\", Digest realm=\"b\"",
		"Digest,username=a",      "Digest username=\"a\" ;realm=b",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(VALUES); i++)
		assert_int_equal(auth_read(span_of(VALUES[i]), &auth), -EBADMSG);
}

static void A6_a_parameter_twice_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
		auth_read(span_of("Digest username=\"a\",realm=\"x\",USERNAME=\"b\""), &auth),
		-EBADMSG);
	assert_int_equal(auth_read(span_of("Digest ck=\"0\",ck=\"1\""), &auth), -EBADMSG);
}

static void more_parameters_than_anybody_sends_are_refused(void **state)
{
	char value[1024] = "Digest ";

	(void)state;
	for (int i = 0; i <= AUTH_MAX_PARAMS; i++)
		sprintf(value + strlen(value), "%sp%d=1", i ? "," : "", i);
	assert_int_equal(auth_read(span_of(value), &auth), -E2BIG);
}

static void a_text_that_is_not_printable_is_no_text(void **state)
{
	char small[4];

	(void)state;
	read_it("Digest username=\"a\r\n b\",realm=\"\x01\",nonce=\"\xc3\xa9\",opaque=\"abcd\"");
	assert_null(text("username"));
	assert_null(text("realm"));
	assert_null(text("nonce"));
	assert_int_equal(auth_text(&auth, "opaque", small, sizeof(small)), -ENOSPC);
	assert_string_equal(small, "");
	assert_int_equal(auth_text(&auth, "cnonce", small, sizeof(small)), -ENOENT);
}

static void E14_a_key_has_all_its_digits(void **state)
{
	static const char *const VALUES[] = {
		"Digest ck=\"\"",
		"Digest ck=\"000102030405060708090a0b0c0d0e\"",
		"Digest ck=\"000102030405060708090a0b0c0d0e0f10\"",
		"Digest ck=\"000102030405060708090a0b0c0d0e0g\"",
		"Digest ck=\" 00102030405060708090a0b0c0d0e0f\"",
	};
	uint8_t key[16];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(VALUES); i++) {
		static const uint8_t ZERO[16];

		read_it(VALUES[i]);
		memset(key, 0xaa, sizeof(key));
		assert_int_equal(auth_key(&auth, "ck", key, 16), -EBADMSG);
		assert_memory_equal(key, ZERO, sizeof(key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_challenge_with_keys_is_read_whole),
		cmocka_unit_test(names_and_scheme_have_no_case),
		cmocka_unit_test(empty_values_are_there_and_say_nothing),
		cmocka_unit_test(quotes_are_taken_off_and_escapes_resolved),
		cmocka_unit_test(space_and_folds_are_no_part_of_a_value),
		cmocka_unit_test(an_unquoted_name_is_taken),
		cmocka_unit_test(another_scheme_is_not_ours),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(A6_a_parameter_twice_is_refused),
		cmocka_unit_test(more_parameters_than_anybody_sends_are_refused),
		cmocka_unit_test(a_text_that_is_not_printable_is_no_text),
		cmocka_unit_test(E14_a_key_has_all_its_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
