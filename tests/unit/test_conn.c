/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/conn.c with keys in an answer: who is at the other end is known to the methods, and what is
 * given back on the answer's way out holds none of it. And with clients that do not behave: how long
 * they have, what they may fill, and what is counted when they are let go.
 */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/conn.h"
#include "daemon/event.h"
#include "tests/unit/key_leaks.h"
#include "tests/unit/world.h"

static struct event_base *loop;
static struct daemon d;
static struct conn *conn;
static int client;
static bool ended;

/* ---- who is at the other end ---- */

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);

static uid_t peer_uid;
static bool peer_unknown;

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	const struct ucred peer = {.pid = 4711, .uid = peer_uid, .gid = peer_uid};

	(void)fd;
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(option, SO_PEERCRED);
	if (peer_unknown)
		return -1;
	memcpy(value, &peer, sizeof(peer));
	*bytes = sizeof(peer);
	return 0;
}

/* ---- helpers ---- */

static void on_end(struct conn *c, void *arg)
{
	(void)c;
	(void)arg;
	ended = true;
}

static void make_set(void)
{
	struct sa_set_request request = world_request();

	request.suite.alg = IPSEC_ALG_HMAC_SHA_1_96;
	request.suite.ealg = IPSEC_EALG_AES_CBC;
	request.ck = CK_BYTES;
	world_create(&request);
}

static int start(void **state)
{
	int err = world_start(state);

	event_reset();
	key_leaks = 0;
	peer_uid = 0;
	peer_unknown = ended = false;
	world.config.allow_key_export = true;
	d = world_daemon();
	make_set();
	return err;
}

static int stop(void **state)
{
	conn_free(ended ? NULL : conn);
	conn = NULL;
	close(client);
	event_reset();
	return world_stop(state) || key_leaks ? -1 : 0;
}

static int make_loop(void **state)
{
	(void)state;
	conn_init();
	loop = event_base_new();
	return loop ? 0 : -1;
}

static int free_loop(void **state)
{
	(void)state;
	event_base_free(loop);
	return 0;
}

static void come(enum conn_door door)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	client = ends[0];
	conn = conn_new(loop, &d, door, ends[1], on_end, NULL);
	assert_non_null(conn);
}

/* What the daemon answers, in somebody's buffer; that is what free() sees, so it is no heap. */
static const char *ask(enum conn_door door, const char *request)
{
	static char answer[16384];
	ssize_t n;

	come(door);
	assert_int_equal(write(client, request, strlen(request)), strlen(request));
	event_base_loop(loop, EVLOOP_ONCE);
	n = read(client, answer, sizeof(answer) - 1);
	assert_true(n > 0);
	answer[n] = '\0';
	return answer;
}

/* The loop does all that there is to do. */
static void settle(void)
{
	for (int i = 0; i < 32; i++)
		event_base_loop(loop, EVLOOP_NONBLOCK);
}

/* As much as is taken; the daemon does what it can. */
static size_t say_bytes(const char *bytes, size_t n)
{
	size_t sent = 0;
	ssize_t now;

	while (sent < n && !ended) {
		now = send(client, bytes + sent, n - sent, MSG_NOSIGNAL);
		if (now <= 0)
			break;
		sent += (size_t)now;
		settle();
	}
	return sent;
}

static void say(const char *text)
{
	assert_int_equal(say_bytes(text, strlen(text)), strlen(text));
	settle();
}

/* What is there to be read, its end in @ret_last. */
static size_t hear(char ret_last[static 64])
{
	static char bytes[65536];
	size_t heard = 0;
	ssize_t n;

	memset(ret_last, 0, 64);
	while ((n = read(client, bytes, sizeof(bytes) - 1)) > 0) {
		const size_t tail = n < 63 ? (size_t)n : 63;

		memcpy(ret_last, bytes + n - tail, tail);
		heard += (size_t)n;
		settle();
	}
	return heard;
}

static uint64_t ends_of(enum conn_end why)
{
	uint64_t count = 0;

	for (unsigned door = 0; door < CONN_DOORS; door++)
		count += d.conns[door].ended[why];
	return count;
}

/* It lives for @s seconds, and then not a moment longer. */
static void assert_ends_after(uint64_t s, enum conn_end why)
{
	const uint64_t before = ends_of(why);

	fake_clock_advance_ms(s * 1000 - 1);
	settle();
	assert_false(ended);
	fake_clock_advance_ms(1);
	assert_true(ended);
	assert_int_equal(ends_of(why), before + 1);
}

#define METHODS "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.methods\"}\n"

/* @times in one piece; of some 50 answers the kernel does not take all. */
static void ask_methods(size_t times)
{
	const size_t n = strlen(METHODS);
	char *text = malloc(times * n);

	assert_non_null(text);
	for (size_t i = 0; i < times; i++)
		memcpy(text + i * n, METHODS, n);
	say_bytes(text, times * n);
	free(text);
}

#define EXPORT "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.export_keys\"}\n"

/* ---- tests ---- */

static void keys_leave_for_root_and_nothing_stays(void **state)
{
	(void)state;
	assert_non_null(strstr(ask(CONN_CONTROL, EXPORT), CK));
	assert_null(d.peer);
	conn_free(conn);
	conn = NULL;
	assert_int_equal(key_leaks, 0);
}

static void other_users_are_known_for_what_they_are(void **state)
{
	(void)state;
	peer_uid = 1000;
	assert_non_null(strstr(ask(CONN_CONTROL, EXPORT), "uid 1000"));
}

static void who_cannot_be_known_is_not_root(void **state)
{
	(void)state;
	peer_unknown = true;
	assert_non_null(strstr(ask(CONN_CONTROL, EXPORT), "\"denied\""));
}

static void other_framings_give_no_keys(void **state)
{
	(void)state;
	assert_memory_equal(ask(CONN_CONTROL, "*1\r\n$14\r\nsa.export_keys\r\n"), "-DENIED ", 8);
}

static void http_gives_no_keys(void **state)
{
	static const char POST[] = "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 52\r\n\r\n"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.export_keys\"}\n ";

	(void)state;
	assert_non_null(strstr(ask(CONN_HTTP, POST), "\"denied\""));
}

/* ---- time ---- */

static void a_silent_client_may_stay(void **state)
{
	(void)state;
	come(CONN_CONTROL);
	say(" \n{}\n ");
	fake_clock_advance_s(1000000);
	settle();
	assert_false(ended);
	say("*1\r\n"); /* in vain: JSON it is */
	assert_true(ended);
	assert_int_equal(ends_of(CONN_BAD_FRAME), 1);
}

static void half_a_request_has_its_time(void **state)
{
	static const struct {
		enum conn_door door;
		const char *text;
	} HALVES[] = {
		{CONN_CONTROL, "{"},
		{CONN_MONITOR, "{} [{\"id\":1"},
		{CONN_CONTROL, "*"},
		{CONN_CONTROL, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI"},
		{CONN_HTTP, "G"},
		{CONN_METRICS, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
		{CONN_HTTP, "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(HALVES) / sizeof(HALVES[0]); i++) {
		ended = false;
		come(HALVES[i].door);
		say(HALVES[i].text);
		assert_ends_after(30, CONN_SLOW);
		close(client);
	}
}

static void http_has_its_time_from_the_start(void **state)
{
	(void)state;
	come(CONN_HTTP);
	fake_clock_advance_s(20);
	say("GET");
	assert_ends_after(10, CONN_SLOW);
}

static void drops_of_a_request_do_not_make_time(void **state)
{
	(void)state;
	come(CONN_CONTROL);
	say("{");
	for (int s = 0; s < 29; s++) {
		fake_clock_advance_s(1);
		say(" ");
	}
	assert_false(ended);
	assert_ends_after(1, CONN_SLOW);
}

static void who_reads_nothing_is_left(void **state)
{
	(void)state;
	come(CONN_CONTROL);
	ask_methods(200);
	assert_ends_after(60, CONN_UNREAD);
}

static void who_reads_a_little_stays(void **state)
{
	static char some[512 * 1024];

	(void)state;
	come(CONN_CONTROL);
	ask_methods(200);
	fake_clock_advance_s(59);
	assert_true(read(client, some, sizeof(some)) > 0);
	settle();
	assert_ends_after(60, CONN_UNREAD);
}

static void asking_on_does_not_make_up_for_reading(void **state)
{
	(void)state;
	come(CONN_CONTROL);
	ask_methods(50);
	fake_clock_advance_s(30);
	say("{}");
	assert_int_equal(d.faults[CALL_NO_REQUEST], 1);
	assert_ends_after(30, CONN_UNREAD);
}

static void unread_events_end_a_connection_too(void **state)
{
	static char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	come(CONN_MONITOR);
	say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"event.subscribe\"}");
	for (int i = 0; i < 500 && !ended; i++) {
		event_emit(EVENT_STARTED, event_text("text", text));
		conn_push_events(conn);
	}
	settle();
	assert_ends_after(60, CONN_UNREAD);
}

static void answers_of_http_must_be_read_too(void **state)
{
	(void)state;
	come(CONN_METRICS);
	for (int i = 0; i < 1000; i++)
		say_bytes("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 34);
	assert_ends_after(60, CONN_UNREAD);
}

/* ---- measure ---- */

static uint64_t methods_asked(void)
{
	return d.calls[command_find("daemon.methods") - COMMANDS][CALL_DONE];
}

static void unread_answers_have_a_bound(void **state)
{
	static char large[128 * 1024]; /* the daemon reads in large pieces from then on */
	const size_t kernel = 1024 * 1024; /* what its buffers may take */
	char last[64];
	size_t one, heard;

	(void)state;
	memset(large, ' ', sizeof(large));
	large[0] = '[';
	large[sizeof(large) - 1] = ']';
	come(CONN_CONTROL);
	say_bytes(large, sizeof(large));
	hear(last);
	say(METHODS);
	one = hear(last);
	ask_methods(4000);
	assert_in_range(methods_asked() * one, 1024 * 1024, 1024 * 1024 + one + kernel);
	heard = hear(last);
	assert_int_equal(heard + one, methods_asked() * one);
	assert_false(ended);
}

/* A request of @bytes: @head, then what fills it up, then @tail. */
static void assert_bound(enum conn_door door, const char *head, const char *tail, size_t bytes,
			 bool taken)
{
	char *text = malloc(bytes), last[64];

	assert_non_null(text);
	memset(text, ' ', bytes);
	memcpy(text, head, strlen(head));
	memcpy(text + bytes - strlen(tail), tail, strlen(tail));
	ended = false;
	come(door);
	say_bytes(text, bytes);
	free(text);
	settle();
	assert_int_equal(ended, !taken);
	assert_true(hear(last) > 0);
	conn_free(ended ? NULL : conn);
	ended = true;
	close(client);
}

static void a_request_has_a_bound_at_each_door(void **state)
{
	static const char FITS[] = "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n{";
	static const char LARGE[] = "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n\r\n{";
	const size_t bound = 256 * 1024;

	(void)state;
	assert_bound(CONN_CONTROL, "{", "}", bound, true);
	assert_bound(CONN_CONTROL, "{", "}", bound + 1, false);
	assert_bound(CONN_MONITOR, "*1\r\n$262129\r\n", "\r\n", bound, true);
	assert_bound(CONN_MONITOR, "*1\r\n$262130\r\n", "\r\n", bound + 1, false);
	assert_bound(CONN_HTTP, FITS, "}", sizeof(FITS) - 2 + bound, true);
	assert_bound(CONN_HTTP, LARGE, "}", sizeof(LARGE) - 2 + bound + 1, false);
	assert_int_equal(ends_of(CONN_BAD_FRAME), 3);
}

/* ---- counters ---- */

static void each_end_is_counted_once(void **state)
{
	(void)state;
	come(CONN_CONTROL);
	say("{}");
	assert_int_equal(conn_count_open(&d.conns[CONN_CONTROL]), 1);
	close(client);
	settle();
	assert_true(ended);
	assert_int_equal(ends_of(CONN_LEFT), 1);
	ended = false;
	come(CONN_HTTP);
	say("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(ended);
	assert_int_equal(d.conns[CONN_HTTP].ended[CONN_LEFT], 1);
	assert_int_equal(conn_count_open(&d.conns[CONN_HTTP]), 0);
}

static void what_is_no_call_is_counted(void **state)
{
	(void)state;
	come(CONN_CONTROL);
	say("{x} {} [] {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no\"}");
	assert_int_equal(d.faults[CALL_NO_JSON], 1);
	assert_int_equal(d.faults[CALL_NO_REQUEST], 2);
	assert_int_equal(d.faults[CALL_NO_METHOD], 1);
	assert_false(ended);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(keys_leave_for_root_and_nothing_stays),
		TEST(other_users_are_known_for_what_they_are),
		TEST(who_cannot_be_known_is_not_root),
		TEST(other_framings_give_no_keys),
		TEST(http_gives_no_keys),
		TEST(a_silent_client_may_stay),
		TEST(half_a_request_has_its_time),
		TEST(http_has_its_time_from_the_start),
		TEST(drops_of_a_request_do_not_make_time),
		TEST(who_reads_nothing_is_left),
		TEST(who_reads_a_little_stays),
		TEST(asking_on_does_not_make_up_for_reading),
		TEST(unread_events_end_a_connection_too),
		TEST(answers_of_http_must_be_read_too),
		TEST(unread_answers_have_a_bound),
		TEST(a_request_has_a_bound_at_each_door),
		TEST(each_end_is_counted_once),
		TEST(what_is_no_call_is_counted),
	};

	return cmocka_run_group_tests(tests, make_loop, free_loop);
}
