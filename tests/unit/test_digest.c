/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/digest.c: d-ver against values computed by another program, in both forms of the text and
 * with all three qop; what counts as the same text; d-alg and d-qop.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/digest.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define SPAN(s)     ((struct span){s, sizeof(s) - 1})
#define LIST        "digest;d-alg=MD5;d-qop=auth;q=0.2, tls;q=0.1"

/* What all vectors have in common: user bob, realm biloxi.example, password zanzibar. */
static struct digest_input input_with(enum digest_qop qop)
{
	return (struct digest_input){
		.algorithm = DIGEST_MD5,
		.qop = qop,
		.method = SPAN("INVITE"),
		.uri = SPAN("sip:carol@chicago.example"),
		.nonce = SPAN("84a4cc6f3082121f32b42a2187831a9e"),
		.nc = SPAN("00000001"),
		.cnonce = SPAN("0a4f113b"),
		.body = SPAN("v=0\r\n"),
	};
}

static const struct {
	enum digest_qop qop;
	enum digest_text form;
	const char *d_ver;
} vectors[] = {
	{DIGEST_QOP_NONE, DIGEST_WHOLE_FIELD, "2bd8af0b4a90ad8ce4cfb5850d9673d9"},
	{DIGEST_QOP_NONE, DIGEST_VALUE_ONLY, "94e95a3b3fdbb160646ec612c228239d"},
	{DIGEST_QOP_AUTH, DIGEST_WHOLE_FIELD, "341625ed24f89d460141cb01c8503552"},
	{DIGEST_QOP_AUTH, DIGEST_VALUE_ONLY, "05d216262be7fdba17f746efbc7ab7a5"},
	{DIGEST_QOP_AUTH_INT, DIGEST_WHOLE_FIELD, "532b317718620b8729f6cd9b68b5bc32"},
	{DIGEST_QOP_AUTH_INT, DIGEST_VALUE_ONLY, "0bcaa42921ea5fd955ae97ab422bf05e"},
};

static char ha1[DIGEST_HEX_BYTES];

static int make_ha1(void **state)
{
	(void)state;
	return digest_hash_a1(SPAN("bob"), SPAN("biloxi.example"), SPAN("zanzibar"), ha1);
}

static struct span text_of(const struct span *lines, size_t count, enum digest_text form,
			   char ret[static DIGEST_TEXT_BYTES])
{
	int n = digest_server_text(lines, count, form, ret, DIGEST_TEXT_BYTES);

	assert_true(n >= 0);
	return (struct span){ret, (size_t)n};
}

/* ---- d-ver ---- */

static void B15_V1_V2_V3_every_vector_is_met(void **state)
{
	const struct span line = SPAN(LIST);
	char text[DIGEST_TEXT_BYTES], d_ver[DIGEST_HEX_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct digest_input input = input_with(vectors[i].qop);

		assert_int_equal(digest_d_ver(&input, ha1, text_of(&line, 1, vectors[i].form, text),
					      d_ver), 0);
		assert_string_equal(d_ver, vectors[i].d_ver);
	}
}

static void B15_the_whole_field_is_accepted_and_the_value_alone_by_a_switch(void **state)
{
	const struct span line = SPAN(LIST);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct digest_input input = input_with(vectors[i].qop);
		struct span d_ver = span_of(vectors[i].d_ver);
		bool whole = vectors[i].form == DIGEST_WHOLE_FIELD;

		assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, false, d_ver),
				 whole ? 0 : -EBADMSG);
		assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, true, d_ver), 0);
	}
}

/* Every digit of a d-ver counts. */
static void B15_one_wrong_digit_is_refused(void **state)
{
	const struct span line = SPAN(LIST);
	struct digest_input input = input_with(DIGEST_QOP_AUTH);

	(void)state;
	for (size_t i = 0; i < 32; i++) {
		char wrong[] = "341625ed24f89d460141cb01c8503552";

		wrong[i] = wrong[i] == '0' ? '1' : '0';
		assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, true, span_of(wrong)),
				 -EBADMSG);
	}
}

static void B15_a_changed_list_is_refused(void **state)
{
	static const char *const lists[] = {
		"digest;d-alg=MD5;d-qop=auth;q=0.3, tls;q=0.1",
		"tls;q=0.1, digest;d-alg=MD5;d-qop=auth;q=0.2",
		"digest;d-alg=MD5;d-qop=auth;q=0.2",
		"digest;d-alg=md5;d-qop=auth;q=0.2, tls;q=0.1",
	};
	struct digest_input input = input_with(DIGEST_QOP_AUTH);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		struct span line = span_of(lists[i]);

		assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, true,
						     SPAN("341625ed24f89d460141cb01c8503552")),
				 -EBADMSG);
	}
}

static void B15_what_is_digested_counts(void **state)
{
	const struct span line = SPAN(LIST);
	const struct span d_ver = SPAN("532b317718620b8729f6cd9b68b5bc32");
	struct digest_input changed[6];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(changed); i++)
		changed[i] = input_with(DIGEST_QOP_AUTH_INT);
	changed[0].method = SPAN("invite");
	changed[1].uri = SPAN("sip:carol@chicago.example2");
	changed[2].nonce = SPAN("x");
	changed[3].nc = SPAN("00000002");
	changed[4].cnonce = SPAN("");
	changed[5].body = SPAN("v=0\n");
	for (size_t i = 0; i < COUNT_OF(changed); i++)
		assert_int_equal(digest_d_ver_verify(&changed[i], ha1, &line, 1, true, d_ver),
				 -EBADMSG);
}

static void a_d_ver_has_32_digits_with_or_without_quotes(void **state)
{
	const struct span line = SPAN(LIST);
	struct digest_input input = input_with(DIGEST_QOP_AUTH);

	(void)state;
	assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, false,
					     SPAN("\"341625ed24f89d460141cb01c8503552\"")), 0);
	assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, false,
					     SPAN("341625ed24f89d460141cb01c850355")), -EBADMSG);
	assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, false, SPAN("")), -EBADMSG);
	assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, false, SPAN("\"")), -EBADMSG);
}

/* Computed by Python's hashlib. */
static void md5_sess_has_a_session_key(void **state)
{
	const struct span line = SPAN(LIST);
	struct digest_input input = input_with(DIGEST_QOP_AUTH);

	(void)state;
	input.algorithm = DIGEST_MD5_SESS;
	assert_int_equal(digest_d_ver_verify(&input, ha1, &line, 1, false,
					     SPAN("d29f309f60d1c410026841f941f2ca4c")), 0);
}

static void unknown_algorithms_and_qops_are_refused(void **state)
{
	struct digest_input input = input_with(DIGEST_QOP_UNKNOWN);
	char d_ver[DIGEST_HEX_BYTES] = "untouched";

	(void)state;
	assert_int_equal(digest_d_ver(&input, ha1, SPAN("x"), d_ver), -EINVAL);
	input.qop = DIGEST_QOP_AUTH;
	input.algorithm = DIGEST_UNKNOWN;
	assert_int_equal(digest_d_ver(&input, ha1, SPAN("x"), d_ver), -EINVAL);
	assert_string_equal(d_ver, "untouched");
}

/* ---- the text ---- */

static void becomes(const struct span *lines, size_t count, const char *expected)
{
	char text[DIGEST_TEXT_BYTES];

	text_of(lines, count, DIGEST_VALUE_ONLY, text);
	assert_string_equal(text, expected);
	text_of(lines, count, DIGEST_WHOLE_FIELD, text);
	assert_memory_equal(text, "Security-Server: ", 17);
	assert_string_equal(text + 17, expected);
}

static void white_space_becomes_one_space_and_lines_one_list(void **state)
{
	const struct span two[] = {SPAN("digest;d-alg=MD5;d-qop=auth;q=0.2"), SPAN(" tls;q=0.1 ")};
	const struct span tight = SPAN("digest;d-alg=MD5;d-qop=auth;q=0.2,tls;q=0.1");
	const struct span wide = SPAN("\tdigest;d-alg=MD5;d-qop=auth;q=0.2  ,\r\n \t tls;q=0.1");
	const struct span inside = SPAN("a ;\t x =  1,b");
	const struct span quoted = SPAN("a;x=\"1,  2\\\" , \r\n 3\",b");

	(void)state;
	becomes(two, 2, LIST);
	becomes(&tight, 1, LIST);
	becomes(&wide, 1, LIST);
	becomes(&inside, 1, "a ; x = 1, b");
	becomes(&quoted, 1, "a;x=\"1, 2\\\" , 3\", b");
}

static void a_text_without_room_is_an_error(void **state)
{
	const struct span line = SPAN("tls");
	char text[DIGEST_TEXT_BYTES];

	(void)state;
	assert_int_equal(digest_server_text(&line, 1, DIGEST_WHOLE_FIELD, text, 20), -ENOSPC);
	assert_int_equal(digest_server_text(&line, 1, DIGEST_WHOLE_FIELD, text, 21), 20);
}

/* The longest list, and as many separators to be widened as there can be. */
static void the_longest_list_fits_the_stated_room(void **state)
{
	static char long_line[SEC_MAX_BYTES];
	struct span lines[SEC_MAX_LINES];
	struct sec_header header;
	char text[DIGEST_TEXT_BYTES];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < SEC_MAX_MECHANISMS; i++) {
		lines[i].p = long_line + n;
		lines[i].n = SEC_MAX_BYTES / SEC_MAX_MECHANISMS;
		memset(long_line + n, 'a', lines[i].n);
		memcpy(long_line + n + 120, ";x=", 3);
		n += lines[i].n;
	}
	assert_int_equal(sec_header_parse(lines, SEC_MAX_LINES, &header, NULL), 0);
	sec_header_done(&header);
	assert_int_equal(digest_server_text(lines, SEC_MAX_LINES, DIGEST_WHOLE_FIELD, text,
					    sizeof(text)), SEC_MAX_BYTES + 17 + 2 * 63);
}

/* ---- d-alg and d-qop ---- */

static struct sec_header parsed(const char *text)
{
	struct span line = span_of(text);
	struct sec_header header;

	assert_int_equal(sec_header_parse(&line, 1, &header, NULL), 0);
	return header;
}

static void B15_d_alg_and_d_qop_replace_those_of_the_challenge(void **state)
{
	struct sec_header h = parsed("digest;D-Alg=MD5-sess;d-qop=AUTH-int, digest, "
				     "digest;d-alg=sha-256");
	enum digest_algorithm algorithm = DIGEST_MD5;
	enum digest_qop qop = DIGEST_QOP_AUTH;

	(void)state;
	digest_replace(&h.mechanisms[1], &algorithm, &qop);
	assert_int_equal(algorithm, DIGEST_MD5);
	assert_int_equal(qop, DIGEST_QOP_AUTH);
	digest_replace(&h.mechanisms[0], &algorithm, &qop);
	assert_int_equal(algorithm, DIGEST_MD5_SESS);
	assert_int_equal(qop, DIGEST_QOP_AUTH_INT);
	digest_replace(&h.mechanisms[2], &algorithm, &qop);
	assert_int_equal(algorithm, DIGEST_UNKNOWN);
	sec_header_done(&h);
}

static void B15_a_phone_that_uses_less_than_the_list_says_does_not_agree(void **state)
{
	struct sec_header h = parsed("digest;d-alg=MD5;d-qop=auth-int, digest");
	const struct sec_mechanism *strict = &h.mechanisms[0], *open = &h.mechanisms[1];

	(void)state;
	assert_true(digest_agrees(strict, DIGEST_MD5, DIGEST_QOP_AUTH_INT));
	assert_false(digest_agrees(strict, DIGEST_MD5, DIGEST_QOP_AUTH));
	assert_false(digest_agrees(strict, DIGEST_MD5, DIGEST_QOP_NONE));
	assert_false(digest_agrees(strict, DIGEST_MD5_SESS, DIGEST_QOP_AUTH_INT));
	assert_true(digest_agrees(open, DIGEST_MD5_SESS, DIGEST_QOP_NONE));
	assert_false(digest_agrees(open, DIGEST_UNKNOWN, DIGEST_QOP_NONE));
	assert_false(digest_agrees(open, DIGEST_MD5, DIGEST_QOP_UNKNOWN));
	sec_header_done(&h);
}

static void names_are_whole_and_without_case(void **state)
{
	(void)state;
	assert_int_equal(digest_algorithm_of(span_of("AKAv1-MD5")), DIGEST_MD5);
	assert_int_equal(digest_algorithm_of(span_of("")), DIGEST_MD5);
	assert_int_equal(digest_algorithm_of(span_of("MD5-SESS")), DIGEST_MD5_SESS);
	assert_int_equal(digest_algorithm_of(span_of("MD")), DIGEST_UNKNOWN);
	assert_int_equal(digest_algorithm_of(span_of("MD55")), DIGEST_UNKNOWN);
	assert_int_equal(digest_qop_of(span_of("")), DIGEST_QOP_NONE);
	assert_int_equal(digest_qop_of(span_of("Auth")), DIGEST_QOP_AUTH);
	assert_int_equal(digest_qop_of(span_of("auth-in")), DIGEST_QOP_UNKNOWN);
}

static void B15_d_ver_is_found_in_a_digest_entry(void **state)
{
	struct sec_header h = parsed("foo;d-ver=\"00000000000000000000000000000000\", digest, "
				     "digest;d-ver=\"11111111111111111111111111111111\"");
	struct sec_header none = parsed("tls, digest");

	(void)state;
	assert_true(span_is(digest_d_ver_of(&h), "\"11111111111111111111111111111111\""));
	assert_int_equal(digest_d_ver_of(&none).n, 0);
	sec_header_done(&none);
	sec_header_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(B15_V1_V2_V3_every_vector_is_met),
		cmocka_unit_test(
			B15_the_whole_field_is_accepted_and_the_value_alone_by_a_switch),
		cmocka_unit_test(B15_one_wrong_digit_is_refused),
		cmocka_unit_test(B15_a_changed_list_is_refused),
		cmocka_unit_test(B15_what_is_digested_counts),
		cmocka_unit_test(a_d_ver_has_32_digits_with_or_without_quotes),
		cmocka_unit_test(md5_sess_has_a_session_key),
		cmocka_unit_test(unknown_algorithms_and_qops_are_refused),
		cmocka_unit_test(white_space_becomes_one_space_and_lines_one_list),
		cmocka_unit_test(a_text_without_room_is_an_error),
		cmocka_unit_test(the_longest_list_fits_the_stated_room),
		cmocka_unit_test(B15_d_alg_and_d_qop_replace_those_of_the_challenge),
		cmocka_unit_test(B15_a_phone_that_uses_less_than_the_list_says_does_not_agree),
		cmocka_unit_test(names_are_whole_and_without_case),
		cmocka_unit_test(B15_d_ver_is_found_in_a_digest_entry),
	};

	return cmocka_run_group_tests(tests, make_ha1, NULL);
}
