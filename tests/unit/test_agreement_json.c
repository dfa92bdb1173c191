/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/agreement_json.c: what the command line's own tests do not reach, that is numbers without
 * a header around them and an end of memory at any allocation.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/agreement_json.h"

static const char offer[] = "tls;q=0.1;flag;x=\"Y\", "
			    "ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1001;spi-s=1002;port-c=5;port-s=6, "
			    "ipsec-3gpp;alg=wow;spi-c=1001;spi-s=1002;port-c=5;port-s=6";

static void read_offer(struct agreement *ret)
{
	const struct span line = span_of(offer);
	struct sec_error error;

	assert_int_equal(agreement_read(SEC_CLIENT, &line, 1, ret, &error), 0);
}

static void assert_json(json_t *json, const char *wanted)
{
	char *text = json_dumps(json, AGREEMENT_JSON_FLAGS);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
	json_decref(json);
}

static void a_bad_header_leaves_nothing(void **state)
{
	const struct span lines[] = {span_of("tls"), span_of("ipsec-3gpp;alg=null;spi=0")};
	struct agreement agreement;
	struct sec_error error = {0};

	(void)state;
	memset(&agreement, 0x5a, sizeof(agreement));
	assert_int_equal(agreement_read(SEC_CLIENT, lines, 2, &agreement, &error), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.offset, 24);
	assert_int_equal(((unsigned char *)&agreement)[0], 0x5a);
}

static void a_header_without_ipsec_is_read(void **state)
{
	const struct span line = span_of("tls");
	struct agreement agreement;
	struct sec_error error;

	(void)state;
	assert_int_equal(agreement_read(SEC_SERVER, &line, 1, &agreement, &error), 0);
	assert_false(agreement.has_ipsec);
	assert_json(agreement_parse_json(&agreement),
		    "{\"header\":\"Security-Server\",\"mechanisms\":[{\"name\":\"tls\",\"q\":null,"
		    "\"parameters\":[]}],\"ipsec_3gpp\":null}");
	agreement_done(&agreement);
}

static void numbers_go_into_the_object_of_the_caller(void **state)
{
	const struct ipsec_endpoint with_c = {.dialect = IPSEC_DIALECT_24229,
					      .spi_c = 4294967295,
					      .spi_s = 256,
					      .port_c = 65535,
					      .port_s = 1};
	const struct ipsec_endpoint old = {
		.dialect = IPSEC_DIALECT_RFC3329, .spi = 4294967295, .port1 = 7};
	json_t *object = json_pack("{s:s}", "address", "192.0.2.1");

	(void)state;
	assert_int_equal(agreement_endpoint_add_json(&with_c, object), 0);
	assert_json(object, "{\"address\":\"192.0.2.1\",\"spi_c\":4294967295,\"spi_s\":256,"
			    "\"port_c\":65535,\"port_s\":1}");
	object = json_object();
	assert_int_equal(agreement_endpoint_add_json(&old, object), 0);
	assert_json(object, "{\"spi\":4294967295,\"port1\":7,\"port2\":null}");
}

static void a_suite_is_written_in_lower_case(void **state)
{
	const struct ipsec_suite suite = {IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP,
					  IPSEC_MOD_UDP_ENC_TUN};

	(void)state;
	assert_json(agreement_suite_json(&suite),
		    "{\"alg\":\"null\",\"ealg\":\"aes-gcm\",\"prot\":\"esp\","
		    "\"mod\":\"udp-enc-tun\"}");
}

static void nothing_offered_is_nothing_selected(void **state)
{
	const struct select_result result = {.found = true};

	(void)state;
	assert_json(agreement_select_json(NULL, &result), "{\"selected\":null,\"considered\":[]}");
}

static void a_difference_may_end_inside_a_character(void **state)
{
	(void)state;
	assert_json(agreement_compare_json("x is \"\xe2\x82"),
		    "{\"equal\":false,\"difference\":\"x is \\\"??\"}");
	assert_json(agreement_compare_json(NULL), "{\"equal\":true}");
}

/* ---- an end of memory ---- */

static size_t left;

static void *scarce_malloc(size_t n)
{
	if (left == 0)
		return NULL;
	left--;
	return malloc(n);
}

/* Give @make one allocation more each time until it succeeds; it must fail cleanly before. */
static size_t starve(json_t *(*make)(const struct agreement *agreement))
{
	struct agreement agreement;
	json_t *json = NULL;
	size_t given = 0;

	read_offer(&agreement);
	json_set_alloc_funcs(scarce_malloc, free);
	for (; !json && given < 1000; given++) {
		left = given;
		json = make(&agreement);
	}
	json_set_alloc_funcs(malloc, free);
	assert_non_null(json);
	json_decref(json);
	agreement_done(&agreement);
	return given;
}

static json_t *make_parse(const struct agreement *agreement)
{
	return agreement_parse_json(agreement);
}

static json_t *make_select(const struct agreement *agreement)
{
	struct select_policy policy;
	struct select_result result;

	select_policy_default(&policy);
	select_offer(&agreement->ipsec, &policy, false, &result);
	assert_true(result.found);
	return agreement_select_json(&agreement->ipsec, &result);
}

static json_t *make_compare(const struct agreement *agreement)
{
	(void)agreement;
	return agreement_compare_json("why");
}

static void out_of_memory_is_an_answer(void **state)
{
	(void)state;
	assert_true(starve(make_parse) > 30);
	assert_true(starve(make_select) > 10);
	assert_true(starve(make_compare) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_header_leaves_nothing),
		cmocka_unit_test(a_header_without_ipsec_is_read),
		cmocka_unit_test(numbers_go_into_the_object_of_the_caller),
		cmocka_unit_test(a_suite_is_written_in_lower_case),
		cmocka_unit_test(nothing_offered_is_nothing_selected),
		cmocka_unit_test(a_difference_may_end_inside_a_character),
		cmocka_unit_test(out_of_memory_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
