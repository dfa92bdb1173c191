/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/sip.c: cutting a stream, finding raw headers, the granted time, echoing into responses.
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

#include "tests/ue/sip.h"

#define HEAD                                                                                       \
	"Via: SIP/2.0/UDP 192.0.2.1:6100;branch=z9hG4bKone\r\n"                                    \
	"v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKtwo\r\n"                                           \
	"From: <sip:a@x>;tag=from1\r\n"                                                            \
	"Call-ID: abc@host\r\n"                                                                    \
	"CSeq: 7 OPTIONS\r\n"

static const char request[] =
	"OPTIONS sip:u@192.0.2.2 SIP/2.0\r\n" HEAD "To: <sip:b@x>\r\n"
	"Security-Server: ipsec-3gpp;q=0.1,\r\n tls\r\n"
	"X-Security-Server: no\r\n"
	"security-server:digest\r\n"
	"Record-Route: <sip:p;lr>\r\n"
	"Content-Length: 0\r\n\r\n";

static struct span whole(const char *text)
{
	return (struct span){text, strlen(text)};
}

static struct sip_message parsed(const char *text)
{
	struct sip_message m;

	assert_int_equal(sip_message_parse(whole(text), &m), 0);
	return m;
}

static void assert_span(struct span s, const char *expected)
{
	assert_int_equal(s.n, strlen(expected));
	assert_memory_equal(s.p, expected, s.n);
}

static void A2_header_lines_are_found_in_order_with_their_folds(void **state)
{
	struct sip_message m = parsed(request);
	struct span value;
	size_t cursor = 0;

	(void)state;
	assert_true(sip_header_next(&m, "Security-Server", NULL, &cursor, &value));
	assert_span(value, "ipsec-3gpp;q=0.1,\r\n tls");
	assert_true(sip_header_next(&m, "Security-Server", NULL, &cursor, &value));
	assert_span(value, "digest");
	assert_false(sip_header_next(&m, "Security-Server", NULL, &cursor, &value));
	sip_message_done(&m);
}

static void fields_of_a_request_are_read(void **state)
{
	struct sip_message m = parsed(request);

	(void)state;
	assert_int_equal(sip_status(&m), 0);
	assert_string_equal(sip_method(&m), "OPTIONS");
	assert_string_equal(sip_branch(&m), "z9hG4bKone");
	assert_string_equal(sip_from_tag(&m), "from1");
	assert_string_equal(sip_to_tag(&m), "");
	assert_span(sip_call_id(&m), "abc@host");
	assert_int_equal(m.body.n, 0);
	sip_message_done(&m);
}

static void a_body_is_no_header(void **state)
{
	struct sip_message m = parsed("MESSAGE sip:u@x SIP/2.0\r\n" HEAD "To: <sip:b@x>\r\n"
				      "Content-Length: 14\r\n\r\nX-Fake: one\r\nx");
	struct span value;
	size_t cursor = 0;

	(void)state;
	assert_false(sip_header_next(&m, "X-Fake", NULL, &cursor, &value));
	assert_span(m.body, "X-Fake: one\r\nx");
	sip_message_done(&m);
}

static void what_is_no_message_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"hello",
		"OPTIONS sip:u@x SIP/2.0\r\n\r\n",
		"OPTIONS sip:u@x SIP/2.0\r\n" HEAD "\r\n",
		"SIP/2.0 200 OK\r\nTo: <sip:b@x>\r\n\r\n",
	};
	struct sip_message m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sip_message_parse(whole(bad[i]), &m), -EINVAL);
}

static void a_stream_is_cut_by_content_length(void **state)
{
	static const char stream[] = "A b c\r\nContent-Length: 3\r\n\r\nxyzNEXT";

	(void)state;
	assert_int_equal(sip_message_length(whole(stream)), strlen(stream) - 4);
	assert_int_equal(sip_message_length((struct span){stream, strlen(stream) - 5}), 0);
	assert_int_equal(sip_message_length((struct span){stream, 20}), 0);
	assert_int_equal(sip_message_length(whole("A b\r\nl:1\r\n\r\nx")), 13);
	assert_int_equal(sip_message_length(whole("\r\n\r\nA b\r\n\r\n")), 11);
	assert_int_equal(sip_message_length(whole("\r\n")), 0);
	assert_int_equal(sip_message_length(whole("A b\r\nContent-Length: x\r\n\r\n")), -EINVAL);
	assert_int_equal(sip_message_length(whole("A b\r\nContent-Length: -1\r\n\r\n")), -EINVAL);
	assert_int_equal(sip_message_length(whole("A b\r\nContent-Length: 99999\r\n\r\n")), -EINVAL);
}

static struct sip_message ok_with(const char *headers)
{
	static char text[2048];

	snprintf(text, sizeof(text), "SIP/2.0 200 OK\r\n%sTo: <sip:b@x>;tag=t\r\n%s\r\n", HEAD,
		 headers);
	return parsed(text);
}

static void assert_granted(const char *headers, const char *host, long seconds)
{
	struct sip_message m = ok_with(headers);

	assert_int_equal(sip_granted_expires(&m, host, "5062"), seconds);
	sip_message_done(&m);
}

static void E2_the_time_of_our_own_contact_counts(void **state)
{
	(void)state;
	assert_granted("Contact: <sip:u@192.0.2.9:5062>;expires=1,"
		       " <sip:u@192.0.2.2:5062>;expires=600\r\nExpires: 7\r\n", "192.0.2.2", 600);
	assert_granted("Contact: <sip:u@192.0.2.2:5070>;expires=1\r\nExpires: 7\r\n", "192.0.2.2",
		       7);
	assert_granted("Contact: <sip:u@[2001:db8::2]:5062>;expires=9\r\n", "[2001:db8::2]", 9);
	assert_granted("", "192.0.2.2", -1);
}

static bool contains(const struct sip_text *t, const char *part)
{
	return memmem(t->p, t->n, part, strlen(part)) != NULL;
}

static void a_response_echoes_what_it_must(void **state)
{
	struct sip_message m = parsed(request);
	struct sip_text *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	sip_put_response(t, &m, 200, "OK", "mytag");
	sip_put_body(t, NULL, NULL);
	assert_false(t->full);
	assert_memory_equal(t->p, "SIP/2.0 200 OK\r\n", 16);
	assert_true(contains(t, "Via: SIP/2.0/UDP 192.0.2.1:6100;branch=z9hG4bKone\r\n"
				"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKtwo\r\n"));
	assert_true(contains(t, "To: <sip:b@x>;tag=mytag\r\n"));
	assert_true(contains(t, "Record-Route: <sip:p;lr>\r\n"));
	assert_true(contains(t, "Call-ID: abc@host\r\n"));
	assert_true(contains(t, "CSeq: 7 OPTIONS\r\n"));
	free(t);
	sip_message_done(&m);
}

static void an_error_response_has_no_record_route(void **state)
{
	struct sip_message m = parsed(request);
	struct sip_text *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	sip_put_response(t, &m, 481, "Gone", "mytag");
	assert_false(contains(t, "Record-Route"));
	free(t);
	sip_message_done(&m);
}

static void text_that_does_not_fit_is_marked(void **state)
{
	struct sip_text *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	for (int i = 0; i < SIP_MAX_BYTES / 8; i++)
		sip_put(t, "12345678");
	assert_false(t->full);
	sip_put(t, "12345678");
	assert_true(t->full);
	free(t);
}

static int start(void **state)
{
	(void)state;
	return sip_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A2_header_lines_are_found_in_order_with_their_folds),
		cmocka_unit_test(fields_of_a_request_are_read),
		cmocka_unit_test(a_body_is_no_header),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(a_stream_is_cut_by_content_length),
		cmocka_unit_test(E2_the_time_of_our_own_contact_counts),
		cmocka_unit_test(a_response_echoes_what_it_must),
		cmocka_unit_test(an_error_response_has_no_record_route),
		cmocka_unit_test(text_that_does_not_fit_is_marked),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
