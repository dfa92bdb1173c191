/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/conn.c with keys in an answer: who is at the other end is known to the methods, and what is
 * given back on the answer's way out holds none of it.
 */
#include <event2/event.h>
#include <malloc.h>
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
#include "daemon/dispatch.h"
#include "daemon/event.h"
#include "tests/unit/world.h"

#define CK "c1c2c3c4c5c6c7c8c9cacbcccdcecfc0"

static const uint8_t CK_BYTES[] = {0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
				   0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xc0};

static struct event_base *loop;
static struct daemon d;
static struct conn *conn;
static int client;
static bool ended;

/* ---- free(): nothing with a key in it may pass; and who is at the other end ---- */

void __real_free(void *p);
void __wrap_free(void *p);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);

static unsigned leaks;
static uid_t peer_uid;
static bool peer_unknown;

void __wrap_free(void *p)
{
	if (p && memmem(p, malloc_usable_size(p), CK, 8))
		leaks++;
	__real_free(p);
}

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
	leaks = 0;
	peer_uid = 0;
	peer_unknown = ended = false;
	world.config.allow_key_export = true;
	d = (struct daemon){.config = &world.config, .xfrm = &fake_xfrm, .table = world.table};
	make_set();
	return err;
}

static int stop(void **state)
{
	conn_free(ended ? NULL : conn);
	conn = NULL;
	close(client);
	event_reset();
	return world_stop(state) || leaks ? -1 : 0;
}

static int make_loop(void **state)
{
	(void)state;
	conn_init();
	dispatch_init();
	loop = event_base_new();
	return loop ? 0 : -1;
}

static int free_loop(void **state)
{
	(void)state;
	event_base_free(loop);
	return 0;
}

/* What the daemon answers, in somebody's buffer; that is what free() sees, so it is no heap. */
static const char *ask(enum conn_door door, const char *request)
{
	static char answer[16384];
	int ends[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	client = ends[0];
	conn = conn_new(loop, &d, door, ends[1], on_end, NULL);
	assert_non_null(conn);
	assert_int_equal(write(client, request, strlen(request)), strlen(request));
	event_base_loop(loop, EVLOOP_ONCE);
	n = read(client, answer, sizeof(answer) - 1);
	assert_true(n > 0);
	answer[n] = '\0';
	return answer;
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
	assert_int_equal(leaks, 0);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(keys_leave_for_root_and_nothing_stays),
		TEST(other_users_are_known_for_what_they_are),
		TEST(who_cannot_be_known_is_not_root),
		TEST(other_framings_give_no_keys),
		TEST(http_gives_no_keys),
	};

	return cmocka_run_group_tests(tests, make_loop, free_loop);
}
