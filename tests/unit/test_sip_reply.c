/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/sip_reply.c: answers as RFC 3261 8.2.6 has them.
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

#include "proto/sip_reply.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static char *text;

static int start(void **state)
{
	(void)state;
	return sip_init();
}

static int stop(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

static const char *reply_to(const char *request, const struct sip_reply *reply)
{
	struct sip_message m, own;
	const char *why;
	size_t bytes;

	stop(NULL);
	if (sip_message_parse(span_of(request), &m, &why) != 0)
		fail_msg("%s", why);
	assert_int_equal(sip_reply_write(&m, reply, &text, &bytes), 0);
	assert_int_equal(bytes, strlen(text));
	if (sip_message_parse(span_of(text), &own, &why) != 0)
		fail_msg("our own: %s: %s", why, text);
	assert_int_equal(own.status, reply->code);
	assert_int_equal(own.via_count, m.via_count);
	sip_message_done(&own);
	sip_message_done(&m);
	return text;
}

#define REST "f: <sip:u@x>;tag=1\r\nTo: \"u\" <sip:u@x>\r\ni: 1@x\r\nCSeq: 9 INVITE\r\n"

static void an_answer_has_the_lines_of_the_request(void **state)
{
	const struct sip_reply reply = {494,  "Security Agreement Required",
					"t1", NULL,
					0,    "Security-Server: tls\r\nRequire: sec-agree\r\n"};

	(void)state;
	assert_string_equal(
		reply_to("INVITE sip:x SIP/2.0\r\nMax-Forwards: 70\r\nv: SIP/2.0/UDP a;\r\n "
			 "branch=b\r\n" REST "Via: SIP/2.0/UDP c\r\nContent-Length: 4\r\n\r\nbody",
			 &reply),
		"SIP/2.0 494 Security Agreement Required\r\nv: SIP/2.0/UDP a;\r\n branch=b\r\n"
		"Via: SIP/2.0/UDP c\r\nf: <sip:u@x>;tag=1\r\nTo: \"u\" <sip:u@x>;tag=t1\r\n"
		"i: 1@x\r\nCSeq: 9 INVITE\r\nSecurity-Server: tls\r\nRequire: sec-agree\r\n"
		"Content-Length: 0\r\n\r\n");
}

static void a_tag_that_is_there_stays(void **state)
{
	const struct sip_reply reply = {500, "x", "t1", NULL, 0, ""};

	(void)state;
	reply_to("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@b>;tag=1\r\nt: "
		 "<sip:a@b>;tag=2\r\n"
		 "i: 1\r\nCSeq: 1 REGISTER\r\n\r\n",
		 &reply);
	assert_non_null(strstr(text, "t: <sip:a@b>;tag=2\r\n"));
}

/* RFC 3261 18.2.1, RFC 3581 4 */
static void the_top_via_says_where_the_request_came_from(void **state)
{
	static const char *const CASES[][2] = {
		{"SIP/2.0/UDP a;branch=b", "SIP/2.0/UDP a;branch=b;received=192.0.2.9"},
		{"SIP/2.0/UDP a;rport;branch=b",
		 "SIP/2.0/UDP a;rport=77;branch=b;received=192.0.2.9"},
		{"SIP/2.0/UDP a;branch=b; rport , SIP/2.0/UDP c;rport",
		 "SIP/2.0/UDP a;branch=b; rport=77 ;received=192.0.2.9, SIP/2.0/UDP c;rport"},
		{"SIP/2.0/UDP a;rport=5;received=1.2.3.4",
		 "SIP/2.0/UDP a;rport=5;received=1.2.3.4"},
		{",, SIP/2.0/UDP a;branch=b", ",, SIP/2.0/UDP a;branch=b;received=192.0.2.9"},
		{", \r\nVia: SIP/2.0/UDP a", ", \r\nVia: SIP/2.0/UDP a;received=192.0.2.9"},
		{"SIP/2.0/UDP a;branch=b;", "SIP/2.0/UDP a;branch=b;received=192.0.2.9"},
		{"SIP/2.0/UDP a; , SIP/2.0/UDP c",
		 "SIP/2.0/UDP a; received=192.0.2.9, SIP/2.0/UDP c"},
		{"SIP/2.0/UDP a;xrport;rportx", "SIP/2.0/UDP a;xrport;rportx;received=192.0.2.9"},
	};
	const struct sip_reply reply = {421, "Extension Required", "t", "192.0.2.9", 77, ""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		char request[512], line[256];

		snprintf(request, sizeof(request),
			 "INVITE sip:x SIP/2.0\r\nVia: %s\r\n" REST "\r\n", CASES[i][0]);
		snprintf(line, sizeof(line), "\r\nVia: %s\r\n", CASES[i][1]);
		reply_to(request, &reply);
		if (!strstr(text, line))
			fail_msg("no %s in %s", line, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_answer_has_the_lines_of_the_request, stop),
		cmocka_unit_test_teardown(a_tag_that_is_there_stays, stop),
		cmocka_unit_test_teardown(the_top_via_says_where_the_request_came_from, stop),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
