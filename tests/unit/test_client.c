/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libsecagree against a daemon that this test plays in a thread: how calls look, how answers are
 * read, and what becomes of a call when the other side fails.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/client/secagree.h"

#define CONNECTIONS 4

/* What the played daemon does on each connection, in turn. NULL: close at once. */
struct play {
	const char *answers[CONNECTIONS];
	bool stays; /* does not close after its answer */
};

static char dir[] = "/tmp/test_client.XXXXXX";
static char path[64];
static int listener;
static pthread_t thread;
static struct play play;
static char requests[CONNECTIONS][65536];
static struct secagree *c;
static struct secagree_answer *answer;

static void serve_one(int i)
{
	const int fd = accept(listener, NULL, NULL);
	const char *text = play.answers[i];
	size_t n = 0;

	if (fd < 0)
		return;
	while (text && n < sizeof(requests[i]) - 1 && !memchr(requests[i], '\n', n)) {
		const ssize_t got = recv(fd, requests[i] + n, sizeof(requests[i]) - 1 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	/* byte by byte: the reader must put it together */
	for (; text && *text; text++)
		send(fd, text, 1, MSG_NOSIGNAL);
	if (play.stays)
		recv(fd, requests[CONNECTIONS - 1], 1, 0);
	close(fd);
}

static void *serve(void *arg)
{
	(void)arg;
	for (int i = 0; i < CONNECTIONS; i++)
		serve_one(i);
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	assert_non_null(mkdtemp(strcpy(dir, "/tmp/test_client.XXXXXX")));
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, CONNECTIONS), 0);
	memset(requests, 0, sizeof(requests));
	play = (struct play){0};
	answer = NULL;
	return secagree_open(path, 5000, &c);
}

static void start(const char *first, const char *second)
{
	play.answers[0] = first;
	play.answers[1] = second;
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
}

static int teardown(void **state)
{
	(void)state;
	secagree_answer_free(answer);
	secagree_close(c);
	shutdown(listener, SHUT_RDWR);
	if (play.answers[0] || play.answers[1])
		pthread_join(thread, NULL);
	close(listener);
	unlink(path);
	return rmdir(dir);
}

static int call(const char *method, const struct secagree_param *params)
{
	secagree_answer_free(answer);
	return secagree_call(c, method, params, &answer);
}

static void a_call_says_each_kind_of_parameter(void **state)
{
	static const char *const lines[] = {"ipsec-3gpp", "tls", NULL};
	const struct secagree_param params[] = {
		SECAGREE_TEXT("impi", "a\"b"),
		SECAGREE_TEXT("absent", NULL),
		SECAGREE_NUMBER("expires", 4294967295),
		SECAGREE_BOOLEAN("nat", true),
		SECAGREE_PLACE("source", "2001:db8::1", 5060),
		SECAGREE_PLACE("destination", NULL, 5060),
		SECAGREE_BYTES("message_base64", "\xff\0a", 3),
		SECAGREE_LINES("security_client", lines),
		SECAGREE_LINES("security_verify", NULL),
		SECAGREE_END,
	};

	(void)state;
	start("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", NULL);
	assert_int_equal(call("sa.x", params), 0);
	assert_string_equal(requests[0],
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.x\",\"params\":{"
			    "\"impi\":\"a\\\"b\",\"expires\":4294967295,\"nat\":true,"
			    "\"source\":{\"address\":\"2001:db8::1\",\"port\":5060},"
			    "\"message_base64\":\"/wBh\","
			    "\"security_client\":[\"ipsec-3gpp\",\"tls\"]}}\n");
	assert_null(secagree_reason(answer));
	assert_null(secagree_message(answer));
}

static void fields_of_a_result_are_found(void **state)
{
	uint64_t number = 99;
	size_t n;

	(void)state;
	start("{\"jsonrpc\":\"2.0\",\"result\":{\"set\":\"20f3\",\"protected\":true,\"expires_in\":240,"
	      "\"phone\":{\"port_c\":5062},\"used_ago\":null,\"neg\":-1,"
	      "\"considered\":[{\"why\":\"x\"},{\"why\":\"y\"}],\"message_base64\":\"/wBh\"},\"id\":1}\n",
	      NULL);
	assert_int_equal(call("sa.show", NULL), 0);
	assert_string_equal(secagree_text(answer, "set"), "20f3");
	assert_string_equal(secagree_text(answer, "considered.1.why"), "y");
	assert_null(secagree_text(answer, "considered.2.why"));
	assert_null(secagree_text(answer, "protected"));
	assert_int_equal(secagree_number(answer, "neg", &number), -ENOENT);
	assert_int_equal(secagree_number(answer, "used_ago", &number), -ENOENT);
	assert_int_equal(number, 99);
	assert_int_equal(secagree_number(answer, "phone.port_c", &number), 0);
	assert_int_equal(number, 5062);
	assert_true(secagree_is_true(answer, "protected"));
	assert_false(secagree_is_true(answer, "set"));
	assert_memory_equal(secagree_bytes(answer, "message_base64", &n), "\xff\0a", 4);
	assert_int_equal(n, 3);
	assert_null(secagree_bytes(answer, "expires_in", &n));
	assert_non_null(strstr(secagree_json(answer), "\"considered\":["));
}

static void an_error_of_the_daemon_has_its_reason_and_the_reply_to_give(void **state)
{
	uint64_t code;

	(void)state;
	start("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"nothing fits\",\"data\":{"
	      "\"reason\":\"no_common_mechanism\",\"verdict\":\"reject\",\"sip\":{\"code\":494,"
	      "\"headers\":[\"Security-Server: tls\"]}}},\"id\":1}\n", NULL);
	assert_int_equal(call("sa.offer", NULL), 0);
	assert_string_equal(secagree_reason(answer), "no_common_mechanism");
	assert_string_equal(secagree_message(answer), "nothing fits");
	assert_int_equal(secagree_number(answer, "sip.code", &code), 0);
	assert_int_equal(code, 494);
	assert_string_equal(secagree_text(answer, "sip.headers.0"), "Security-Server: tls");
}

static void a_daemon_that_was_restarted_is_found_again(void **state)
{
	(void)state;
	start("{\"id\":1,\"result\":{\"n\":\"first\"}}\n", "{\"id\":2,\"result\":{\"n\":\"second\"}}\n");
	assert_int_equal(call("daemon.status", NULL), 0);
	assert_int_equal(call("daemon.status", NULL), 0); /* the first connection is closed by now */
	assert_string_equal(secagree_text(answer, "n"), "second");
}

static void an_answer_that_breaks_off_is_not_asked_for_again(void **state)
{
	(void)state;
	start("{\"id\":1,\"resu", "{\"id\":1,\"result\":{}}\n");
	assert_int_equal(call("sa.release", NULL), -ECONNRESET);
	assert_null(answer);
	assert_string_equal(requests[1], "");
}

static void a_daemon_that_closes_without_an_answer_is_asked_once(void **state)
{
	(void)state;
	play.answers[1] = "{\"id\":1,\"result\":{}}\n";
	start("", play.answers[1]);
	assert_int_equal(call("sa.release", NULL), -ECONNRESET);
}

static void what_is_no_answer_is_said_to_be_none(void **state)
{
	(void)state;
	start("+PONG\r\n", "{\"id\":7,\"result\":{}}\n");
	assert_int_equal(call("daemon.status", NULL), -EPROTO);
	assert_int_equal(call("daemon.status", NULL), -EPROTO); /* the answer to another request */
}

static void a_call_ends_with_its_time(void **state)
{
	struct secagree *hasty;

	(void)state;
	play.stays = true;
	start("{", NULL);
	assert_int_equal(secagree_open(path, 50, &hasty), 0);
	assert_int_equal(secagree_call(hasty, "daemon.status", NULL, &answer), -ETIMEDOUT);
	secagree_close(hasty);
}

static void no_daemon_is_an_error_of_its_own(void **state)
{
	char too_long[200];
	struct secagree *other;

	(void)state;
	assert_int_equal(secagree_open("/nonexistent/control.sock", 0, &other), 0);
	assert_int_equal(secagree_call(other, "daemon.status", NULL, &answer), -ENOENT);
	assert_null(answer);
	secagree_close(other);
	memset(too_long, 'x', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(secagree_open(too_long, 0, &other), -ENAMETOOLONG);
}

static void what_cannot_be_asked_is_not_sent(void **state)
{
	static char large[300000];
	const struct secagree_param bad[] = {SECAGREE_TEXT("impi", "\xff"), SECAGREE_END};
	const struct secagree_param big[] = {SECAGREE_TEXT("impi", large), SECAGREE_END};

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	assert_int_equal(call("sa.offer", bad), -EINVAL);
	assert_int_equal(call("sa.offer", big), -E2BIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_says_each_kind_of_parameter),
		TEST(fields_of_a_result_are_found),
		TEST(an_error_of_the_daemon_has_its_reason_and_the_reply_to_give),
		TEST(a_daemon_that_was_restarted_is_found_again),
		TEST(an_answer_that_breaks_off_is_not_asked_for_again),
		TEST(a_daemon_that_closes_without_an_answer_is_asked_once),
		TEST(what_is_no_answer_is_said_to_be_none),
		TEST(a_call_ends_with_its_time),
		TEST(no_daemon_is_an_error_of_its_own),
		TEST(what_cannot_be_asked_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
