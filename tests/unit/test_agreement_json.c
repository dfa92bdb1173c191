/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/agreement_json.c: what the command line's own tests do not reach, that is numbers without
 * a header around them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/agreement_json.h"

static struct json_out out;

static void assert_written(const char *wanted)
{
	assert_int_equal(out.err, 0);
	assert_string_equal(out.text, wanted);
	json_out_done(&out);
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
	agreement_parse_json(&out, &agreement);
	assert_written("{\"header\":\"Security-Server\",\"mechanisms\":[{\"name\":\"tls\",\"q\":null,"
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

	(void)state;
	json_open(&out, '{');
	json_add_text(&out, "address", "192.0.2.1");
	agreement_endpoint_json(&out, &with_c);
	json_close(&out, '}');
	assert_written("{\"address\":\"192.0.2.1\",\"spi_c\":4294967295,\"spi_s\":256,"
		       "\"port_c\":65535,\"port_s\":1}");
	json_open(&out, '{');
	agreement_endpoint_json(&out, &old);
	json_close(&out, '}');
	assert_written("{\"spi\":4294967295,\"port1\":7,\"port2\":null}");
}

static void a_suite_is_written_in_lower_case(void **state)
{
	const struct ipsec_suite suite = {IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP,
					  IPSEC_MOD_UDP_ENC_TUN};

	(void)state;
	agreement_suite_json(&out, &suite);
	assert_written("{\"alg\":\"null\",\"ealg\":\"aes-gcm\",\"prot\":\"esp\","
		    "\"mod\":\"udp-enc-tun\"}");
}

static void nothing_offered_is_nothing_selected(void **state)
{
	const struct select_result result = {.found = true};

	(void)state;
	agreement_select_json(&out, NULL, &result);
	assert_written("{\"selected\":null,\"considered\":[]}");
}

static void a_listener_without_ipsec_3gpp_selects_nothing_and_says_so(void **state)
{
	const struct span tls = span_of("tls");
	const struct span offer = span_of(
		"ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1001;spi-s=1002;port-c=5;port-s=6, "
		"ipsec-3gpp;alg=wow;spi-c=1001;spi-s=1002;port-c=5;port-s=6");
	struct sec_error error;
	struct select_policy policy;
	struct select_result result;
	struct server_list list;
	struct agreement agreement;
	char why[160];

	(void)state;
	assert_int_equal(agreement_read(SEC_CLIENT, &offer, 1, &agreement, &error), 0);
	select_policy_default(&policy);
	server_list_default(&list);
	agreement_select(&agreement, &list, &policy, false, &result);
	assert_true(result.found);
	assert_int_equal(server_list_read(&tls, 1, 4, &list, why, sizeof(why)), 0);
	agreement_select(&agreement, &list, &policy, false, &result);
	assert_false(result.found);
	agreement_select_json(&out, &agreement.ipsec, &result);
	assert_non_null(strstr(out.text, "{\"selected\":null,\"considered\":[{"));
	json_out_done(&out);
	for (size_t i = 0; i < agreement.ipsec.offer_count; i++) {
		assert_int_equal(result.verdict[i], SELECT_REFUSED);
		assert_string_equal(result.why[i],
				    "ipsec-3gpp is not among the mechanisms of this listener");
	}
	agreement_done(&agreement);
}

static void a_difference_may_end_inside_a_character(void **state)
{
	(void)state;
	agreement_compare_json(&out, "x is \"\xe2\x82");
	assert_written("{\"equal\":false,\"difference\":\"x is \\\"??\"}");
	agreement_compare_json(&out, NULL);
	assert_written("{\"equal\":true}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_header_leaves_nothing),
		cmocka_unit_test(a_header_without_ipsec_is_read),
		cmocka_unit_test(numbers_go_into_the_object_of_the_caller),
		cmocka_unit_test(a_suite_is_written_in_lower_case),
		cmocka_unit_test(nothing_offered_is_nothing_selected),
		cmocka_unit_test(a_listener_without_ipsec_3gpp_selects_nothing_and_says_so),
		cmocka_unit_test(a_difference_may_end_inside_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
