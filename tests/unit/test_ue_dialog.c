/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/ue/dialog.h"

#define HEAD                                                                                       \
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.7:5064;branch=z9hG4bK1\r\n"                    \
	"From: <sip:a@ims.example>;tag=1\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
#define TO_B      "To: \"B\" <sip:b@ims.example>;tag=2\r\n"
#define CONTACT_B "Contact: <sip:b@192.0.2.8:5064;transport=tcp>\r\n"
#define ROUTES                                                                                     \
	"Record-Route: <sip:192.0.2.3;lr>, <sip:192.0.2.2;lr>\r\n"                                 \
	"Record-Route: <sip:192.0.2.1:6100;lr;r2=on>\r\n"

static int answered(struct dialog *dialog, const char *text)
{
	struct sip_message m;
	int r;

	assert_int_equal(sip_message_parse(span_of(text), &m), 0);
	r = dialog_answered(dialog, &m);
	sip_message_done(&m);
	return r;
}

static void begins_with_a_name(void **state)
{
	struct dialog d, other;
	char uri[DIALOG_URI_BYTES + 1];

	(void)state;
	assert_int_equal(dialog_begin(&d, "sip:b@ims.example"), 0);
	assert_int_equal(dialog_begin(&other, "sip:b@ims.example"), 0);
	assert_string_equal(d.remote, "<sip:b@ims.example>");
	assert_string_equal(d.target, "sip:b@ims.example");
	assert_string_equal(d.routes, "");
	assert_int_equal(d.cseq, 1);
	assert_string_not_equal(d.call_id, other.call_id);
	memset(uri, 'x', sizeof(uri) - 1);
	uri[sizeof(uri) - 1] = '\0';
	assert_int_equal(dialog_begin(&d, uri), -EINVAL);
	assert_int_equal(dialog_begin(&d, ""), -EINVAL);
}

static void the_answer_gives_tag_target_and_the_way_from_its_end(void **state)
{
	struct dialog d;

	(void)state;
	assert_int_equal(dialog_begin(&d, "sip:b@ims.example"), 0);
	assert_int_equal(answered(&d, HEAD TO_B CONTACT_B ROUTES "\r\n"), 0);
	assert_string_equal(d.remote, "\"B\" <sip:b@ims.example>;tag=2");
	assert_string_equal(d.target, "sip:b@192.0.2.8:5064;transport=tcp");
	assert_string_equal(d.routes, "Route: <sip:192.0.2.1:6100;lr;r2=on>\r\n"
				      "Route: <sip:192.0.2.2;lr>\r\nRoute: <sip:192.0.2.3;lr>\r\n");
}

static void an_answer_that_makes_no_dialog_is_refused(void **state)
{
	struct dialog d;

	(void)state;
	assert_int_equal(dialog_begin(&d, "sip:b@ims.example"), 0);
	assert_int_equal(answered(&d, HEAD TO_B "\r\n"), -EINVAL);
	assert_int_equal(answered(&d, HEAD "To: <sip:b@ims.example>\r\n" CONTACT_B "\r\n"), -EINVAL);
}

static int start(void **state)
{
	(void)state;
	return sip_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_with_a_name),
		cmocka_unit_test(the_answer_gives_tag_target_and_the_way_from_its_end),
		cmocka_unit_test(an_answer_that_makes_no_dialog_is_refused),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
