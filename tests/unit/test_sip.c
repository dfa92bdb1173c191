/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/sip.c: what a message is, what it is not, and what is read out of one.
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

#include "proto/sip.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define START "REGISTER sip:ims.example SIP/2.0\r\n"
#define VIA   "Via: SIP/2.0/UDP 198.51.100.7:5064;branch=z9hG4bKa;rport\r\n"
#define REST                                                                                       \
	"From: <sip:u@ims.example>;tag=1\r\nTo: <sip:u@ims.example>\r\nCall-ID: c1@x\r\n"          \
	"CSeq: 7 REGISTER\r\n"
#define END "\r\n"

static struct sip_message m;
static bool is_open;
static const char *why;

static int start(void **state)
{
	(void)state;
	return sip_init();
}

static int stop(void **state)
{
	(void)state;
	if (is_open)
		sip_message_done(&m);
	is_open = false;
	return 0;
}

static int parse_bytes(const char *text, size_t n)
{
	static char *copy; /* on the heap, so that a look beyond its end is seen */
	int err;

	stop(NULL);
	free(copy);
	copy = malloc(n);
	memcpy(copy, text, n);
	err = sip_message_parse((struct span){copy, n}, &m, &why);
	is_open = err == 0;
	assert_non_null(why || !err ? "" : NULL);
	return err;
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void must(const char *text)
{
	if (parse(text) != 0)
		fail_msg("%s: %s", why, text);
}

static void assert_span(struct span s, const char *text)
{
	if (s.n != strlen(text) || memcmp(s.p, text, s.n) != 0)
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, s.p, text);
}

/* ---- lines ---- */

static void a_request_is_split(void **state)
{
	(void)state;
	must(START VIA REST "Content-Length: 3\r\n" END "a\r\n");
	assert_span(m.method, "REGISTER");
	assert_span(m.uri, "sip:ims.example");
	assert_int_equal(m.status, 0);
	assert_int_equal(m.header_count, 6);
	assert_int_equal(m.via_count, 1);
	assert_span(m.body, "a\r\n");
	assert_span(m.end, "\r\n");
	assert_span(sip_call_id(&m), "c1@x");
	assert_int_equal(sip_cseq(&m), 7);
	assert_int_equal(sip_to_tag(&m).n, 0);
}

static void a_response_is_split(void **state)
{
	(void)state;
	must("SIP/2.0 401 \r\n" VIA "v: SIP/2.0/TCP a.example\r\nf: <sip:a@b>\r\n"
	     "t: <sip:a@b>;tag=x\r\ni: 1\r\nCSeq: 4294967295 REGISTER\r\n" END);
	assert_int_equal(m.status, 401);
	assert_span(m.method, "REGISTER");
	assert_int_equal(m.via_count, 2);
	assert_span(sip_to_tag(&m), "x");
	assert_int_equal(sip_cseq(&m), 4294967295u);
}

static void A1_names_have_no_case_and_folds_are_part_of_a_line(void **state)
{
	const struct sip_header *h;

	(void)state;
	must(START VIA REST "SECURITY-client \t:\r\n  ipsec-3gpp;\r\n\talg=x \r\nx:\r\n" END);
	h = sip_header(&m, SIP_SECURITY_CLIENT);
	assert_non_null(h);
	assert_span(h->value, "ipsec-3gpp;\r\n\talg=x");
	assert_span(h->line, "SECURITY-client \t:\r\n  ipsec-3gpp;\r\n\talg=x \r\n");
	assert_int_equal(m.headers[m.header_count - 1].name, SIP_OTHER);
	assert_int_equal(m.headers[m.header_count - 1].value.n, 0);
}

static void A2_lines_of_one_name_come_in_their_order(void **state)
{
	size_t at = 0;

	(void)state;
	must(START VIA "Security-Client: tls\r\n" REST "Security-Client: digest\r\n" END);
	assert_span(sip_header_next(&m, SIP_SECURITY_CLIENT, &at)->value, "tls");
	assert_span(sip_header_next(&m, SIP_SECURITY_CLIENT, &at)->value, "digest");
	assert_null(sip_header_next(&m, SIP_SECURITY_CLIENT, &at));
}

static void A9_the_security_headers_have_no_compact_form(void **state)
{
	(void)state;
	must(START VIA REST "s: tls\r\nsecurity: tls\r\nSecurity-Clients: tls\r\n" END);
	for (size_t i = SIP_SECURITY_CLIENT; i <= SIP_SECURITY_VERIFY; i++)
		assert_null(sip_header(&m, (enum sip_name)i));
}

static void line_ends_before_a_message_are_skipped(void **state)
{
	(void)state;
	must("\r\n\r\n" START VIA REST END);
	assert_span(m.method, "REGISTER");
}

static void a_bare_lf_ends_a_line(void **state)
{
	(void)state;
	must("OPTIONS sip:a SIP/2.0\nVia: SIP/2.0/UDP a\nFrom: <sip:a@b>\nTo: <sip:a@b>\nCall-ID: "
	     "1\n"
	     "CSeq: 1 OPTIONS\n\nbody");
	assert_span(m.end, "\n");
	assert_span(m.body, "body");
}

static void a_body_may_begin_with_space_and_hold_anything(void **state)
{
	static const char TEXT[] = START VIA REST END " \0\r\r\n";

	(void)state;
	assert_int_equal(parse_bytes(TEXT, sizeof(TEXT) - 1), 0);
	assert_int_equal(m.body.n, 5);
}

static void what_is_no_message_is_refused(void **state)
{
	static const char *const TEXTS[] = {
		"\r\n\r\n",
		"REGISTER sip:a\r\n" VIA REST END,
		"REGISTER  sip:a SIP/2.0\r\n" VIA REST END,
		"REG(STER sip:a SIP/2.0\r\n" VIA REST END,
		"REGISTER sip:a SIP/3.0\r\n" VIA REST END,
		"REGISTER sip:a SIP/2.0 x\r\n" VIA REST END,
		"SIP/2.0 99 x\r\n" VIA REST END,
		"SIP/2.0 0401 x\r\n" VIA REST END,
		"SIP/2.0 700 x\r\n" VIA REST END,
		START " folded\r\n" VIA REST END,
		START VIA REST,
		START VIA REST "x: y",
		START VIA REST "no colon\r\n" END,
		START VIA REST ": no name\r\n" END,
		START VIA REST "a b: c\r\n" END,
		START REST END,
		START "Via:\r\n" REST END,
		START "Via: nonsense\r\n" REST END,
		START "Via: SIP/2.0/UDP a:99999\r\n" REST END,
		START "Via: SIP/2.0/UDP a:0\r\n" REST END,
		START "Via: SIP/2.0/UDP a;branch=\r\n" REST END,
		START "Via: SIP/2.0/UDP a;branch= , SIP/2.0/UDP b\r\n" REST END,
		START VIA "From: <sip:a@b>\r\nTo: <sip:a@b>;tag=\r\nCall-ID: 1\r\n"
			  "CSeq: 1 REGISTER\r\n" END,
		START VIA "From: <sip:a@b>\r\nTo: si:<p\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" END,
		START VIA "From: <sip:a@b>\r\nTo: sip:a\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" END,
		START VIA "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\n" END,
		START VIA "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCSeq: 1 REGISTER\r\n" END,
		START VIA "From: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" END,
		START VIA "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" END,
		START VIA REST "Contact: \"unbalanced <sip:a@b>\r\n" END,
		START VIA REST "Content-Length: x\r\n" END,
	};

	(void)state;
	assert_int_equal(parse_bytes("", 0), -EBADMSG);
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		if (parse(TEXTS[i]) != -EBADMSG)
			fail_msg("taken: %s", TEXTS[i]);
	}
}

/* What one reader sees and another does not. */
static void what_can_be_read_in_two_ways_is_refused(void **state)
{
	static const char NUL[] = START VIA REST "x: a\0b\r\n" END;
	static const char *const TEXTS[] = {
		START VIA REST "x: a\rAuthorization: Digest integrity-protected=\"yes\"\r\n" END,
		START VIA REST "x: a\r\r\n" END,
		START VIA REST "From: <sip:other@ims.example>\r\n" END,
		START VIA REST "t: <sip:other@ims.example>\r\n" END,
		START VIA REST "i: other\r\n" END,
		START VIA REST "CSeq: 8 REGISTER\r\n" END,
		START VIA REST "Content-Length: 0\r\nl: 5\r\n" END "12345",
		START VIA REST "Content-Length: 5\r\n" END "1234",
		"INVITE sip:a SIP/2.0\r\n" VIA REST END,
		START "Via: SIP/2.0/UDP a;x=\", SIP/2.0/UDP b\r\n" REST END,
	};

	(void)state;
	assert_int_equal(parse_bytes(NUL, sizeof(NUL) - 1), -EBADMSG);
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		if (parse(TEXTS[i]) != -EBADMSG)
			fail_msg("taken: %s", TEXTS[i]);
	}
}

static char *repeated(const char *before, const char *text, size_t times, const char *after)
{
	char *all = calloc(1, strlen(before) + strlen(text) * times + strlen(after) + 1);
	char *to = stpcpy(all, before);

	while (times--)
		to = stpcpy(to, text);
	strcpy(to, after);
	return all;
}

static void limits_are_limits(void **state)
{
	static const struct {
		const char *before, *text;
		size_t times;
		const char *after;
		int result;
	} CASES[] = {
		{START VIA REST, "x: y\r\n", SIP_MAX_HEADERS - 5, END, 0},
		{START VIA REST, "x: y\r\n", SIP_MAX_HEADERS - 4, END, -E2BIG},
		{START "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a", SIP_MAX_VALUES - 1, "\r\n" REST END,
		 0},
		{START "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a", SIP_MAX_VALUES, "\r\n" REST END,
		 -E2BIG},
		{START VIA REST "m: <sip:a@b>", ",<sip:a@b>", SIP_MAX_VALUES, "\r\n" END, -E2BIG},
		{START VIA REST END, "x", SIP_MAX_BYTES, "", -E2BIG},
		/* REST and VIA have three semicolons */
		{START VIA REST "m: <sip:a@b>", ";p", SIP_MAX_PARAMS - 3, "\r\n" END, 0},
		{START VIA REST "m: <sip:a@b>", ";p", SIP_MAX_PARAMS - 2, "\r\n" END, -E2BIG},
		{START VIA REST "m: \"", "x", SIP_MAX_PARSED_BYTES, "\" <sip:a@b>\r\n" END, -E2BIG},
		{START VIA REST "X: ", "x;", SIP_MAX_PARSED_BYTES, "\r\n" END, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		char *text =
			repeated(CASES[i].before, CASES[i].text, CASES[i].times, CASES[i].after);

		assert_int_equal(parse(text), CASES[i].result);
		free(text);
	}
}

static void any_prefix_and_any_changed_byte_is_read_without_harm(void **state)
{
	static const char TEXT[] = START VIA REST
		"m: \"x\" <sip:a@b;sos>;expires=5, <sip:c>\r\nSecurity-Client: a;b=\"c\"\r\n" END
		"x";
	char copy[sizeof(TEXT)];

	(void)state;
	for (size_t n = 0; n < sizeof(TEXT) - 1; n++)
		parse_bytes(TEXT, n);
	for (size_t i = 0; i < sizeof(TEXT) - 1; i++) {
		for (const char *c = "\"<>\r\n ,;:=\\\x01\xff@[%"; *c; c++) {
			memcpy(copy, TEXT, sizeof(TEXT));
			copy[i] = *c;
			parse_bytes(copy, sizeof(TEXT) - 1);
		}
	}
}

/* ---- what is in it ---- */

static size_t via_count(const char *lines)
{
	char text[1024];

	snprintf(text, sizeof(text), START "%s" REST END, lines);
	must(text);
	return m.via_count;
}

static void B8_via_values_are_counted_over_lines_forms_and_commas(void **state)
{
	(void)state;
	assert_int_equal(via_count(VIA), 1);
	assert_int_equal(via_count("v: SIP/2.0/UDP a\r\n"), 1);
	assert_int_equal(via_count("Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n"), 2);
	assert_int_equal(via_count("Via: SIP/2.0/UDP a\r\nv: SIP/2.0/UDP b\r\n"), 2);
	assert_int_equal(via_count("Via: SIP/2.0/UDP a;x=\"b,c\"\r\n"), 1);
	assert_int_equal(
		via_count("VIA: SIP/2.0/UDP a,\r\n SIP/2.0/UDP b\r\nvia: SIP/2.0/TCP c\r\n"), 3);
}

static void the_top_via_says_who_sent_it(void **state)
{
	struct sip_via via;

	(void)state;
	must(START "v:  SIP / 2.0 / UDP [2001:db8::7]:5064 ;branch = z9hG4bKx;rport, SIP/2.0/TCP "
		   "b\r\n" REST END);
	sip_via(&m, 0, &via);
	assert_span(via.host, "2001:db8::7");
	assert_int_equal(via.port, 5064);
	assert_span(via.branch, "z9hG4bKx");
	assert_true(via.rport);
	assert_int_equal(via.received.n, 0);
	sip_via(&m, 1, &via);
	assert_span(via.host, "b");
	assert_int_equal(via.port, 0);
	assert_false(via.rport);
}

static void tags_are_found_in_all_lines_and_in_k(void **state)
{
	(void)state;
	must(START VIA REST "k: path, Sec-Agree\r\nRequire: a\r\nRequire: sec-agree\r\n"
			    "Proxy-Require: sec-agreed\r\n" END);
	assert_true(sip_has_tag(&m, SIP_SUPPORTED, "sec-agree"));
	assert_true(sip_has_tag(&m, SIP_REQUIRE, "sec-agree"));
	assert_false(sip_has_tag(&m, SIP_PROXY_REQUIRE, "sec-agree"));
}

static void contacts_are_read(void **state)
{
	struct sip_contact c;

	(void)state;
	must(START VIA REST
	     "m: \"a, b\" <sip:u@198.51.100.7:5064;transport=udp;sos>;expires=600;reg-id=1;"
	     "+sip.instance=\"<urn:gsma:imei:1-2-3>\", <sips:[2001:db8::7]>\r\n"
	     "Contact: <tel:+1555>;expires=soon\r\nContact: sip:v@w;expires=99999999999\r\n" END);
	assert_int_equal(sip_contact_count(&m), 4);
	sip_contact_at(&m, 0, &c);
	assert_span(c.user, "u");
	assert_span(c.host, "198.51.100.7");
	assert_int_equal(c.port, 5064);
	assert_true(c.sos && c.has_expires && !c.star);
	assert_int_equal(c.expires_s, 600);
	assert_span(c.instance, "\"<urn:gsma:imei:1-2-3>\"");
	assert_span(c.reg_id, "1");
	sip_contact_at(&m, 1, &c);
	assert_span(c.host, "2001:db8::7");
	assert_true(!c.sos && !c.has_expires && c.port == 0);
	sip_contact_at(&m, 2, &c);
	assert_int_equal(c.expires_s, 3600);
	sip_contact_at(&m, 3, &c);
	assert_int_equal(c.expires_s, UINT32_MAX);
}

static void a_star_is_all_contacts(void **state)
{
	struct sip_contact c;

	(void)state;
	must(START VIA REST "Contact: *\r\nExpires: 0\r\n" END);
	assert_int_equal(sip_contact_count(&m), 1);
	sip_contact_at(&m, 0, &c);
	assert_true(c.star);
}

static void contacts_are_the_same_by_device_or_by_uri(void **state)
{
	struct sip_contact a, b, c, d;

	(void)state;
	must(START VIA REST
	     "m: <sip:u@1.2.3.4:5>;+sip.instance=\"<x>\";reg-id=1,"
	     "<sip:v@5.6.7.8>;+sip.instance=\"<X>\";reg-id=1,"
	     "<sip:u@1.2.3.4:5>;+sip.instance=\"<x>\";reg-id=2,<sip:u@1.2.3.4:5;p>\r\n" END);
	sip_contact_at(&m, 0, &a);
	sip_contact_at(&m, 1, &b);
	sip_contact_at(&m, 2, &c);
	sip_contact_at(&m, 3, &d);
	assert_true(sip_contact_same(&a, &b));
	assert_false(sip_contact_same(&a, &c));
	assert_true(sip_contact_same(&a, &d));
	assert_false(sip_contact_same(&b, &d));
}

static void expires_is_a_number_or_nothing(void **state)
{
	uint32_t s = 7;

	(void)state;
	must(START VIA REST "Expires: 600000\r\n" END);
	assert_true(sip_expires(&m, &s));
	assert_int_equal(s, 600000);
	must(START VIA REST "Expires: Thu, 01 Dec\r\n" END);
	assert_false(sip_expires(&m, &s));
	assert_int_equal(s, 600000);
}

static const char *identity(const char *to, bool as_private)
{
	static char buf[256];
	char text[1024];

	snprintf(text, sizeof(text),
		 START VIA "From: <sip:a@b>\r\nTo: %s\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" END,
		 to);
	must(text);
	return sip_registered_identity(&m, as_private, buf, sizeof(buf)) < 0 ? NULL : buf;
}

/* TS 24.229 5.4.1.2.1 */
static void an_identity_is_to_without_port_and_parameters(void **state)
{
	(void)state;
	assert_string_equal(identity("\"x\" <sip:u@ims.example:5060;user=phone>;tag=1", false),
			    "sip:u@ims.example");
	assert_string_equal(identity("sip:u@ims.example;x", true), "u@ims.example");
	assert_string_equal(identity("<tel:+15550100;phone-context=x>", false), "tel:+15550100");
	assert_null(identity("<sip:a%0ab@c>", false));
	assert_null(identity("<sip:a%20b@c>", false));
}

static void a_long_identity_is_told(void **state)
{
	char buf[8];

	(void)state;
	must(START VIA REST END);
	assert_int_equal(sip_registered_identity(&m, false, buf, sizeof(buf)), -ENOSPC);
}

static bool emergency(const char *start_line, const char *more)
{
	char text[1024], method[32];

	sscanf(start_line, "%31s", method);
	snprintf(text, sizeof(text),
		 "%s SIP/2.0\r\n" VIA
		 "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 %s\r\n%s" END,
		 start_line, method, more);
	must(text);
	return sip_is_emergency(&m);
}

static void an_emergency_is_said_by_service_or_by_registration(void **state)
{
	(void)state;
	assert_true(emergency("INVITE urn:service:sos", ""));
	assert_true(emergency("INVITE URN:service:SOS.fire", ""));
	assert_true(emergency("REGISTER sip:a", "Contact: <sip:a@b;sos>\r\n"));
	assert_false(emergency("INVITE urn:service:sosx", ""));
	assert_false(emergency("INVITE sip:sos@a", ""));
	/* else every call could say so of itself */
	assert_false(emergency("INVITE sip:a", "Contact: <sip:a@b;sos>\r\n"));
	assert_false(emergency("REGISTER sip:a", "Contact: <sip:a@b>;sos\r\n"));
}

static void the_request_uri_has_a_place_or_not(void **state)
{
	struct span host;
	uint16_t port;

	(void)state;
	emergency("INVITE sip:u@198.51.100.7:5064;x=y", "");
	assert_true(sip_uri_host(&m, &host, &port));
	assert_span(host, "198.51.100.7");
	assert_int_equal(port, 5064);
	emergency("INVITE tel:+1555", "");
	assert_false(sip_uri_host(&m, &host, &port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_request_is_split, stop),
		cmocka_unit_test_teardown(a_response_is_split, stop),
		cmocka_unit_test_teardown(A1_names_have_no_case_and_folds_are_part_of_a_line, stop),
		cmocka_unit_test_teardown(A2_lines_of_one_name_come_in_their_order, stop),
		cmocka_unit_test_teardown(A9_the_security_headers_have_no_compact_form, stop),
		cmocka_unit_test_teardown(line_ends_before_a_message_are_skipped, stop),
		cmocka_unit_test_teardown(a_bare_lf_ends_a_line, stop),
		cmocka_unit_test_teardown(a_body_may_begin_with_space_and_hold_anything, stop),
		cmocka_unit_test_teardown(what_is_no_message_is_refused, stop),
		cmocka_unit_test_teardown(what_can_be_read_in_two_ways_is_refused, stop),
		cmocka_unit_test_teardown(limits_are_limits, stop),
		cmocka_unit_test_teardown(any_prefix_and_any_changed_byte_is_read_without_harm,
					  stop),
		cmocka_unit_test_teardown(B8_via_values_are_counted_over_lines_forms_and_commas,
					  stop),
		cmocka_unit_test_teardown(the_top_via_says_who_sent_it, stop),
		cmocka_unit_test_teardown(tags_are_found_in_all_lines_and_in_k, stop),
		cmocka_unit_test_teardown(contacts_are_read, stop),
		cmocka_unit_test_teardown(a_star_is_all_contacts, stop),
		cmocka_unit_test_teardown(contacts_are_the_same_by_device_or_by_uri, stop),
		cmocka_unit_test_teardown(expires_is_a_number_or_nothing, stop),
		cmocka_unit_test_teardown(an_identity_is_to_without_port_and_parameters, stop),
		cmocka_unit_test_teardown(a_long_identity_is_told, stop),
		cmocka_unit_test_teardown(an_emergency_is_said_by_service_or_by_registration, stop),
		cmocka_unit_test_teardown(the_request_uri_has_a_place_or_not, stop),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
