/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/command_sip.c: sip.request and sip.response as the front end calls them, and that the keys
 * of a 401 stay behind in no memory that was given back.
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
#include <jansson.h>

#include <openssl/evp.h>
#include <osipparser2/osip_port.h>

#include "daemon/rpc.h"
#include "daemon/sip_flow.h"
#include "tests/unit/key_leaks.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define HEAD                                                                                       \
	"From: <sip:u@ims.example>;tag=1\r\nTo: <sip:u@ims.example>\r\nCall-ID: c\r\n"             \
	"CSeq: 1 REGISTER\r\n"
#define TOP "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n"
#define REGISTER                                                                                   \
	"REGISTER sip:ims.example SIP/2.0\r\n" TOP HEAD                                            \
	"Authorization: Digest username=\"u@ims.example\",integrity-protected=\"yes\"\r\n"         \
	"Contact: <sip:u@198.51.100.7:5064>\r\nRequire: sec-agree\r\n"                             \
	"Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=1001;spi-s=1002;"        \
	"port-c=5062;port-s=5064\r\n\r\n"
#define CHALLENGE                                                                                  \
	"SIP/2.0 401 Unauthorized\r\n" TOP HEAD                                                    \
	"WWW-Authenticate: Digest realm=\"ims.example\",nonce=\"n\",algorithm=AKAv1-MD5,ck=\"" CK  \
	"\",ik=\"" IK "\"\r\n\r\n"
#define PLACES                                                                                     \
	"\"source\":{\"address\":\"198.51.100.7\",\"port\":5060},"                                 \
	"\"destination\":{\"address\":\"192.0.2.1\",\"port\":5060}"

static struct daemon d;
static json_t *last;

static int start(void **state)
{
	const int err = world_start(state);

	d = world_daemon();
	key_leaks = 0;
	return err;
}

static int stop(void **state)
{
	int err;

	json_decref(last);
	last = NULL;
	sip_flow_free(d.sip);
	err = world_stop(state);
	return key_leaks ? -1 : err;
}

/* What libosip2 frees is looked at too: it must never get a key. */
static void osip_free_seen(void *p)
{
	free(p);
}

static int see_what_osip_frees(void **state)
{
	(void)state;
	osip_set_allocators(malloc, realloc, osip_free_seen);
	return 0;
}

/* ---- calls ---- */

static json_t *call(const char *method, json_t *params)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				    method, "params", params);
	size_t bytes = json_dumpb(request, NULL, 0, 0);
	char *text = calloc(1, bytes + 1), *reply;

	json_dumpb(request, text, bytes, 0);
	json_decref(request);
	reply = rpc_handle(&d, text, bytes);
	explicit_bzero(text, bytes); /* what the caller of rpc_handle() does */
	free(text);
	assert_non_null(reply);
	assert_false(has_key(reply, strlen(reply)));
	json_decref(last);
	last = json_loads(reply, 0, NULL);
	free(reply);
	return last;
}

static json_t *params_of(const char *name, const char *message, const char *more)
{
	char text[512];
	json_t *params;

	snprintf(text, sizeof(text), "{%s}", more);
	params = json_loads(text, 0, NULL);
	assert_non_null(params);
	json_object_set_new(params, name, json_string(message));
	return params;
}

static json_t *result(const char *method, const char *message, const char *more)
{
	json_t *reply = call(method, params_of("message", message, more));

	if (!json_object_get(reply, "result"))
		fail_msg("%s", json_string_value(json_object_get(json_object_get(reply, "error"),
								 "message")));
	return json_object_get(reply, "result");
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	if (!text)
		fail_msg("no %s", name);
	return text;
}

static json_int_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static char *base64(const char *text)
{
	static char buf[8192];

	EVP_EncodeBlock((unsigned char *)buf, (const unsigned char *)text, (int)strlen(text));
	return buf;
}

/* ---- tests ---- */

static void a_registration_in_two_calls(void **state)
{
	const json_t *v = result("sip.request", REGISTER, PLACES);

	(void)state;
	assert_string_equal(text_of(v, "verdict"), "forward");
	assert_int_equal(number_of(v, "row"), 7);
	assert_string_equal(text_of(v, "integrity_protected"), "no");
	assert_true(json_is_false(json_object_get(v, "protected")));
	assert_null(json_object_get(v, "set"));
	assert_null(json_object_get(v, "reason"));
	assert_null(json_object_get(v, "send_from"));
	assert_int_equal(number_of(json_object_get(v, "reply_from"), "port"), 5060);
	assert_string_equal(text_of(json_object_get(v, "reply_to"), "address"), "198.51.100.7");
	assert_non_null(strstr(text_of(v, "message"), "integrity-protected=\"no\""));
	v = result("sip.response", CHALLENGE, "");
	assert_string_equal(text_of(v, "verdict"), "forward");
	assert_string_equal(text_of(v, "state"), "temporary");
	assert_string_equal(text_of(v, "impi"), "u@ims.example");
	assert_string_equal(json_string_value(json_array_get(json_object_get(v, "impu"), 0)),
			    "sip:u@ims.example");
	assert_int_equal(number_of(v, "expires_in"), 240);
	assert_int_equal(strlen(text_of(v, "set")), 16);
	assert_non_null(strstr(text_of(v, "message"), "\r\nSecurity-Server: ipsec-3gpp;"));
	assert_int_equal(number_of(json_object_get(v, "send_from"), "port"), 5060);
	assert_string_equal(text_of(json_object_get(v, "send_to"), "address"), "198.51.100.7");
	assert_int_equal(world_sets(), 1);
	assert_int_equal(key_leaks, 0);
}

static void keys_are_wiped_on_every_way(void **state)
{
	static const char *const MESSAGES[] = {
		CHALLENGE, /* to nothing */
		"SIP/2.0 401 x\r\n" HEAD "WWW-Authenticate: Digest ck=\"" CK "\"\r\n\r\n",
		"SIP/2.0 401 x\r\nWWW-Authenticate: ck=\"" CK "\"",
		"SIP/2.0 200 OK\r\n" TOP HEAD "Proxy-Authenticate: Digest ik=\"" IK "\"\r\n\r\n",
		"SIP/2.0 401 x\r\n" TOP HEAD "WWW-Authenticate: Digest ck=\"" CK "\",,x\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(MESSAGES); i++) {
		result("sip.response", MESSAGES[i], "");
		call("sip.response", params_of("message_base64", base64(MESSAGES[i]), ""));
		result("sip.request", REGISTER, PLACES);
		result("sip.response", MESSAGES[i], "");
	}
	assert_int_equal(key_leaks, 0);
}

static void base64_in_is_base64_out(void **state)
{
	static const char MESSAGE[] =
		"OPTIONS sip:a SIP/2.0\r\n" TOP "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: c\r\n"
		"CSeq: 1 OPTIONS\r\nX: \xff\xfe\r\n\r\n";
	unsigned char bytes[2048];
	const json_t *v;
	int n;

	(void)state;
	call("sip.request", params_of("message_base64", base64(MESSAGE), PLACES));
	v = json_object_get(last, "result");
	assert_string_equal(text_of(v, "verdict"), "reply");
	assert_int_equal(number_of(json_object_get(v, "reply"), "code"), 421);
	assert_string_equal(text_of(json_object_get(v, "reply"), "phrase"), "Extension Required");
	assert_null(json_object_get(v, "message"));
	n = EVP_DecodeBlock(bytes, (const unsigned char *)text_of(v, "message_base64"),
			    (int)strlen(text_of(v, "message_base64")));
	assert_in_range(n, 100, 2000);
	assert_memory_equal(bytes, "SIP/2.0 421 Extension Required\r\n", 32);
	/* and untouched bytes are untouched */
	call("sip.request",
	     params_of("message_base64", base64(MESSAGE), PLACES ",\"emergency\":true"));
	v = json_object_get(last, "result");
	assert_string_equal(text_of(v, "verdict"), "forward");
	assert_string_equal(text_of(v, "message_base64"), base64(MESSAGE));
}

static void a_dropped_message_has_a_reason_and_is_counted(void **state)
{
	const json_t *v = result("sip.request", "x", PLACES);

	(void)state;
	assert_string_equal(text_of(v, "verdict"), "drop");
	assert_string_equal(text_of(v, "reason"), "bad_message");
	assert_true(text_of(v, "why")[0]);
	assert_null(json_object_get(v, "message"));
	assert_null(json_object_get(v, "send_to"));
	assert_int_equal(d.refused[REASON_BAD_MESSAGE], 1);
}

static void what_cannot_be_judged_is_an_error(void **state)
{
	static const struct {
		const char *method, *params, *reason;
	} CASES[] = {
		{"sip.request", "{}", "bad_message"},
		{"sip.request", "{\"message\":\"x\"}", "bad_message"},
		{"sip.request", "{\"message\":\"x\",\"message_base64\":\"eA==\"," PLACES "}",
		 "bad_message"},
		{"sip.request",
		 "{\"message\":\"x\",\"source\":{\"address\":\"2001:db8::1\",\"port\":1},"
		 "\"destination\":{\"address\":\"192.0.2.1\",\"port\":1}}",
		 "bad_message"},
		{"sip.request", "{\"message\":\"x\"," PLACES ",\"listener\":\"no\"}",
		 "unknown_listener"},
		{"sip.response", "{\"message\":\"x\",\"direction\":\"from-phone\"}", "bad_message"},
		{"sip.request", "{\"message\":\"\"," PLACES "}", "bad_params"},
		{"sip.request", "{\"message\":7," PLACES "}", "bad_params"},
		{"sip.request", "{\"message_base64\":\"eA=\"," PLACES "}", "bad_params"},
		{"sip.request", "{\"message_base64\":\"eA==eA==\"," PLACES "}", "bad_params"},
		{"sip.request", "{\"message_base64\":\"e-==\"," PLACES "}", "bad_params"},
		{"sip.request", "{\"message_base64\":\"====\"," PLACES "}", "bad_params"},
		{"sip.request", "{\"message\":\"x\",\"source\":\"192.0.2.1:5060\"}", "bad_params"},
		{"sip.request", "{\"message\":\"x\",\"source\":{\"address\":\"192.0.2.1\"}}",
		 "bad_params"},
		{"sip.request",
		 "{\"message\":\"x\",\"source\":{\"address\":\"192.0.2.1\",\"port\":1,\"x\":1}}",
		 "bad_params"},
		{"sip.request", "{\"message\":\"x\",\"transport\":\"sctp\"," PLACES "}",
		 "bad_params"},
		{"sip.request", "{\"message\":\"x\",\"linger\":1," PLACES "}", "bad_params"},
		{"sip.response", "{\"message\":\"x\",\"via\":\"192.0.2.1\"}", "bad_params"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		json_t *reply = call(CASES[i].method, json_loads(CASES[i].params, 0, NULL));
		const json_t *error = json_object_get(reply, "error");

		if (!error)
			fail_msg("%zu: no error", i);
		assert_string_equal(text_of(json_object_get(error, "data"), "reason"),
				    CASES[i].reason);
	}
}

static void a_request_to_the_phone_needs_no_source(void **state)
{
	const json_t *v;

	(void)state;
	v = result("sip.request",
		   "OPTIONS sip:u@198.51.100.7:5064 SIP/2.0\r\n" TOP
		   "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
		   "\"direction\":\"to-phone\"");
	assert_string_equal(text_of(v, "verdict"), "reply");
	assert_string_equal(text_of(v, "reason"), "unknown_set");
	assert_int_equal(number_of(json_object_get(v, "reply"), "code"), 480);
}

static void what_starts_the_mechanism_is_named(void **state)
{
	const struct span entries[] = {span_of("digest;d-alg=MD5"), span_of("ipsec-3gpp")};
	const json_t *v;
	char why[200];

	(void)state;
	result("sip.request", "x", PLACES);
	assert_int_equal(server_list_read(entries, 2, SELECT_MAX_PAIRS, &world.config.listeners[0].mechanisms, why,
					  sizeof(why)),
			 0);
	v = result("sip.request",
		   "OPTIONS sip:a SIP/2.0\r\n" TOP
		   "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: c\r\n"
		   "CSeq: 1 OPTIONS\r\nSecurity-Client: digest\r\nSupported: sec-agree\r\n\r\n",
		   PLACES);
	assert_int_equal(number_of(json_object_get(v, "reply"), "code"), 494);
	assert_string_equal(text_of(v, "start"), "challenge");
}

static void a_set_that_is_gone_is_said_to_be(void **state)
{
	const json_t *v;
	char protected[4096], *at;
	const char *list;

	(void)state;
	result("sip.request", REGISTER, PLACES);
	v = result("sip.response", CHALLENGE, "");
	list = strstr(text_of(v, "message"), "Security-Server: ") + 17;
	at = protected;
	at += sprintf(at, "%s", REGISTER);
	at -= 2;
	sprintf(at, "Security-Verify: %.*s\r\n\r\n", (int)strcspn(list, "\r"), list);
	memcpy(strstr(protected, "bK1"), "bK2", 3);
	memcpy(strstr(protected, "integrity-protected=\"yes\""), "response=\"abcdefghijklm\"  ",
	       25);
	v = result("sip.request", protected,
		   "\"source\":{\"address\":\"198.51.100.7\",\"port\":5062},"
		   "\"destination\":{\"address\":\"192.0.2.1\",\"port\":6100}");
	assert_string_equal(text_of(v, "integrity_protected"), "yes");
	assert_true(json_is_true(json_object_get(v, "protected")));
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, -ESRCH);
	v = result("sip.response",
		   "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK2\r\n" HEAD
		   "Expires: 60\r\n\r\n",
		   "");
	assert_string_equal(text_of(v, "verdict"), "reply");
	assert_string_equal(text_of(v, "reason"), "kernel_refused");
	assert_string_equal(text_of(v, "state"), "gone");
	assert_null(json_object_get(v, "impi"));
}

static void the_watch_over_free_sees_a_key(void **state)
{
	char *p = strdup("x" CK);

	(void)state;
	free(p);
	assert_int_equal(key_leaks, 1);
	key_leaks = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_registration_in_two_calls),
		T(keys_are_wiped_on_every_way),
		T(base64_in_is_base64_out),
		T(a_dropped_message_has_a_reason_and_is_counted),
		T(what_cannot_be_judged_is_an_error),
		T(a_request_to_the_phone_needs_no_source),
		T(what_starts_the_mechanism_is_named),
		T(a_set_that_is_gone_is_said_to_be),
		T(the_watch_over_free_sees_a_key),
	};

	return cmocka_run_group_tests(tests, see_what_osip_frees, NULL);
}
