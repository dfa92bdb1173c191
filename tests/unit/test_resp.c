/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/resp.c: what clients of Redis hear, byte for byte; results and errors are those of JSON;
 * no key stays behind in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/event.h"
#include "daemon/frame_json.h"
#include "daemon/resp.h"
#include "daemon/sip_flow.h"
#include "tests/unit/key_leaks.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define OFFER                                                                                      \
	"{\"impi\":\"a@x\",\"ue\":\"198.51.100.7\",\"pcscf\":\"192.0.2.1\",\"ck\":\"" CK           \
	"\",\"ik\":\"" IK "\",\"security_client\":\"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;"    \
	"spi-c=1001;spi-s=1002;port-c=5062;port-s=5064\"}"

static struct daemon d;
static char *reply;
static bool quit;

static int start(void **state)
{
	const int err = world_start(state);

	d = world_daemon();
	key_leaks = 0;
	return err;
}

static int stop(void **state)
{
	free(reply);
	reply = NULL;
	sip_flow_free(d.sip);
	event_reset();
	return world_stop(state) || key_leaks ? -1 : 0;
}

/* The reply to the command of these words, as text. */
static const char *say_words(size_t count, const char *const *words)
{
	struct frame_resp frame = {0};
	char text[4096];
	size_t n = 0, bytes = 0;

	n += (size_t)snprintf(text, sizeof(text), "*%zu\r\n", count);
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "$%zu\r\n%s\r\n",
				      strlen(words[i]), words[i]);
	assert_int_equal(frame_resp_next(&frame, text, n), n);
	free(reply);
	reply = resp_handle(&d, &frame, text, &bytes, &quit);
	if (reply)
		assert_int_equal(strlen(reply), bytes);
	return reply;
}

#define SAY(...)                                                                                   \
	say_words(COUNT_OF(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__})

static void assert_starts(const char *text, const char *start_of_it)
{
	if (strncmp(text, start_of_it, strlen(start_of_it)) != 0)
		fail_msg("%s", text);
}

/* ---- tests ---- */

static void a_result_is_a_bulk_string_of_json(void **state)
{
	(void)state;
	assert_string_equal(SAY("daemon.version"),
			    "$19\r\n{\"version\":\"" SECAGREED_VERSION "\"}\r\n");
	assert_string_equal(SAY("daemon.version", "{}"),
			    "$19\r\n{\"version\":\"" SECAGREED_VERSION "\"}\r\n");
	assert_string_equal(SAY("daemon.version", ""),
			    "$19\r\n{\"version\":\"" SECAGREED_VERSION "\"}\r\n");
	assert_non_null(strstr(SAY("sa.offer", OFFER), "\"security_server\""));
	assert_int_equal(world_sets(), 1);
	assert_false(quit);
}

static void an_error_is_its_reason_and_a_sentence(void **state)
{
	(void)state;
	assert_string_equal(SAY("sa.show", "{\"set\":\"0000000000000001\"}"),
			    "-UNKNOWN_SET there is no such set (any more)\r\n");
	assert_starts(SAY("sa.show", "{}"), "-BAD_PARAMS ");
	assert_starts(SAY("no.such", "{}"), "-UNKNOWN_METHOD ");
	assert_starts(SAY("DAEMON.VERSION"), "-UNKNOWN_METHOD ");
	assert_starts(SAY(""), "-UNKNOWN_METHOD ");
	assert_starts(SAY("event.subscribe"), "-NO_STREAM ");
}

static void call_answers_errors_as_data(void **state)
{
	(void)state;
	assert_string_equal(SAY("CALL", "daemon.version", "{}"),
			    "$30\r\n{\"result\":{\"version\":\"" SECAGREED_VERSION "\"}}\r\n");
	assert_non_null(strstr(SAY("call", "sa.offer", "{\"impi\":1}"),
			       "{\"error\":{\"code\":-32602,"));
	SAY("CALL", "agreement.parse", "{\"header\":\"Security-Client\",\"value\":\";\"}");
	assert_non_null(strstr(reply, "\"reason\":\"bad_header\""));
	assert_non_null(strstr(reply, "\"sip\":{\"code\":400,"));
	assert_non_null(strstr(SAY("CALL"), "unknown_method"));
}

static void a_name_is_not_cut_at_a_nul(void **state)
{
	char TEXT[] = "*1\r\n$16\r\ndaemon.version\0x\r\n";
	struct frame_resp frame = {0};
	size_t bytes = 0;

	(void)state;
	assert_int_equal(frame_resp_next(&frame, TEXT, sizeof(TEXT) - 1), sizeof(TEXT) - 1);
	reply = resp_handle(&d, &frame, TEXT, &bytes, &quit);
	assert_starts(reply, "-UNKNOWN_METHOD ");
}

static void what_is_no_json_object_is_said_and_nothing_done(void **state)
{
	static const char *const PARAMS[] = {"x",   "1",  "\"a\"", "[]", "[{}]",	 "{",
					     "{}}", "{}{}", "{}x",   "{\"a\":1,\"a\":2}", "=", "e30"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PARAMS); i++)
		assert_starts(SAY("daemon.version", PARAMS[i]), "-BAD_PARAMS ");
	assert_starts(SAY("daemon.version", "{}", "{}"), "-BAD_PARAMS ");
	assert_starts(SAY("sa.show", "set", "0000000000000001"), "-BAD_PARAMS ");
}

static void params_have_a_depth(void **state)
{
	char text[200] = "";

	(void)state;
	memset(text, '[', FRAME_JSON_MAX_DEPTH + 1);
	memset(text + FRAME_JSON_MAX_DEPTH + 1, ']', FRAME_JSON_MAX_DEPTH + 1);
	assert_starts(SAY("daemon.version", text), "-BAD_PARAMS this is not one JSON");
}

static void params_may_be_in_base64(void **state)
{
	(void)state;
	/* {"set":"0000000000000001"} */
	assert_starts(SAY("sa.show", "eyJzZXQiOiIwMDAwMDAwMDAwMDAwMDAxIn0="), "-UNKNOWN_SET ");
	assert_starts(SAY("daemon.version", "e30="), "$19\r\n");
	assert_starts(SAY("daemon.version", "AAAA"), "-BAD_PARAMS ");
}

static void an_error_is_one_line_whatever_is_in_it(void **state)
{
	const char *end;

	(void)state;
	SAY("agreement.parse", "{\"header\":\"a\\r\\nb\",\"value\":\"x\\u0001\\r\\n\"}");
	end = strstr(reply, "\r\n");
	assert_starts(reply, "-");
	assert_non_null(end);
	assert_int_equal(strlen(end), 2);
}

static void what_redis_clients_send_by_themselves_is_answered(void **state)
{
	(void)state;
	assert_string_equal(SAY("PING"), "+PONG\r\n");
	assert_string_equal(SAY("ping", "a b"), "$3\r\na b\r\n");
	assert_string_equal(SAY("SELECT", "0"), "+OK\r\n");
	assert_starts(SAY("SELECT", "1"), "-ERR ");
	assert_string_equal(SAY("COMMAND", "DOCS"), "*0\r\n");
	assert_string_equal(SAY("CLIENT", "SETINFO", "LIB-NAME", "x"), "+OK\r\n");
	assert_string_equal(SAY("client", "setname", "x"), "+OK\r\n");
	assert_starts(SAY("CLIENT", "KILL"), "-ERR ");
	assert_starts(SAY("AUTH", "secret"), "-ERR ");
	assert_null(strstr(reply, "secret"));
	assert_starts(SAY("HELLO", "3"), "-NOPROTO ");
	assert_starts(SAY("HELLO"), "*6\r\n$6\r\nserver\r\n$9\r\nsecagreed\r\n");
	assert_non_null(strstr(SAY("HELLO", "2"), "proto\r\n:2\r\n"));
	assert_starts(SAY("CLUSTER", "NODES"), "-UNKNOWN_METHOD ");
	assert_starts(SAY("GET", "x"), "-");
	assert_false(quit);
	assert_string_equal(SAY("QUIT"), "+OK\r\n");
	assert_true(quit);
}

static void an_empty_command_has_no_reply(void **state)
{
	struct frame_resp frame = {0};
	char empty[] = "*0\r\n";
	size_t bytes;

	(void)state;
	assert_int_equal(frame_resp_next(&frame, "*0\r\n", 4), 4);
	assert_null(resp_handle(&d, &frame, empty, &bytes, &quit));
	assert_false(quit);
}

static void keys_are_wiped_wherever_a_command_fails(void **state)
{
	static const char *const PARAMS[] = {OFFER, "{\"ck\":\"" CK "\"}", "{\"ck\":\"" CK "\"",
					     "{\"ck\":[\"" IK "\"]}", CK, "[\"" IK "\"]"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PARAMS); i++) {
		SAY("sa.offer", PARAMS[i]);
		assert_null(strstr(reply, CK));
		assert_null(strstr(reply, IK));
		SAY("CALL", "sa.offer", PARAMS[i]);
		SAY("no.such", PARAMS[i]);
	}
	/* {"ck":"CK"}, cut */
	SAY("sa.offer", "eyJjayI6ImMxYzJjM2M0YzVjNmM3YzhjOWNhY2JjY2NkY2VjZmMwIg==");
	assert_int_equal(key_leaks, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_result_is_a_bulk_string_of_json),
		TEST(an_error_is_its_reason_and_a_sentence),
		TEST(call_answers_errors_as_data),
		TEST(a_name_is_not_cut_at_a_nul),
		TEST(what_is_no_json_object_is_said_and_nothing_done),
		TEST(params_have_a_depth),
		TEST(params_may_be_in_base64),
		TEST(an_error_is_one_line_whatever_is_in_it),
		TEST(what_redis_clients_send_by_themselves_is_answered),
		TEST(an_empty_command_has_no_reply),
		TEST(keys_are_wiped_wherever_a_command_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
