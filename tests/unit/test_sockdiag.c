/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/sockdiag.c: the connection is looked up, then destroyed by its cookie; a listener never is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "tests/unit/fake_kernel.h"
#include "tests/unit/hex.h"
#include "xfrm/internal.h"

/* inet_diag_msg: family, state, timer, retrans; id: ports 6100 and 5061, addresses, interface,
 * cookie; expires, queues, uid, inode: 72 bytes */
#define FOUND(seq, tcp_state, timer)                                                               \
	"58000000 1400 0000 " seq "00*4 02 " tcp_state timer "00 17d4 13c5 c0000201 00*12 "        \
	"c6336407 00*12 00*4 efbeadde 78563412 00*20 "
#define SEQ1        "01000000 "
#define ESTABLISHED "01 "
#define TIME_WAIT   "06 "
#define LISTEN      "0a "

/* inet_diag_req_v2: family, IPPROTO_TCP, ext, padding, all states, id without its cookie */
#define WANTED4 "02 06 00 00 ff*4 17d4 13c5 c0000201 00*12 c6336407 00*12 00*4 "
#define WANTED6 "0a 06 00 00 ff*4 17d4 13c5 20010db8 00*11 01 20010db8 00*11 02 00*4 "

static struct xfrm *x;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	return xfrm_open(&x);
}

static int teardown(void **state)
{
	(void)state;
	xfrm_close(x);
	return fake.open_sockets;
}

/* The fake kernel refuses unknown requests with EINVAL: replaced by the answer that is wanted. */
static const char *answers[4];
static size_t answers_n;

static void answer(struct fake_answer *a)
{
	size_t i = fake.sent_n - 1;

	if (i < answers_n && answers[i])
		a->bytes = hex(answers[i], a->data);
}

static int destroy(const char *local, const char *remote)
{
	struct ip_addr l, r;

	assert_int_equal(ip_parse(local, &l), 0);
	assert_int_equal(ip_parse(remote, &r), 0);
	fake.alter = answer;
	return xfrm_destroy_tcp(x, &l, 6100, &r, 5061);
}

#define VERDICT(seq, error) "24000000 0200 0001 " seq "00*4 " error "00*16 "
#define NO_SUCH             "feffffff "
#define OK                  "00*4 "

static void a_connection_is_destroyed_by_its_cookie(void **state)
{
	(void)state;
	answers[0] = FOUND(SEQ1, ESTABLISHED, "00 ");
	answers[1] = VERDICT("02000000 ", OK);
	answers_n = 2;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), 0);
	assert_int_equal(fake.sent_n, 2);
	/* SOCK_DIAG_BY_FAMILY (20) without a cookie, then SOCK_DESTROY (21) with it */
	assert_bytes(fake.sent[0].data, fake.sent[0].bytes,
		     "48000000 1400 0100 01000000 67120000 " WANTED4 "ff*8");
	assert_bytes(fake.sent[1].data, fake.sent[1].bytes,
		     "48000000 1500 0500 02000000 67120000 " WANTED4 "efbeadde 78563412");
	assert_int_equal(fake.open_sockets, 2);
}

static void ipv6_connections_are_named_with_all_their_bytes(void **state)
{
	(void)state;
	answers[0] = VERDICT(SEQ1, NO_SUCH);
	answers_n = 1;
	assert_int_equal(destroy("2001:db8::1", "2001:db8::2"), 0);
	assert_bytes(fake.sent[0].data, fake.sent[0].bytes,
		     "48000000 1400 0100 01000000 67120000 " WANTED6 "ff*8");
	assert_int_equal(fake.sent_n, 1);
}

static void no_connection_is_a_success(void **state)
{
	(void)state;
	answers[0] = VERDICT(SEQ1, NO_SUCH);
	answers_n = 1;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), 0);
	assert_int_equal(fake.sent_n, 1);
}

static void a_listener_is_left_alone(void **state)
{
	(void)state;
	answers[0] = FOUND(SEQ1, LISTEN, "00 ");
	answers_n = 1;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), 0);
	assert_int_equal(fake.sent_n, 1);
}

static void a_remainder_in_time_wait_is_left_alone(void **state)
{
	(void)state;
	answers[0] = FOUND(SEQ1, TIME_WAIT, "03 ");
	answers_n = 1;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), 0);
	assert_int_equal(fake.sent_n, 1);
}

static void a_connection_that_went_meanwhile_is_a_success(void **state)
{
	(void)state;
	answers[0] = FOUND(SEQ1, ESTABLISHED, "00 ");
	answers[1] = VERDICT("02000000 ", "8cffffff "); /* ESTALE */
	answers_n = 2;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), 0);
	fake.sent_n = 0;
	answers[0] = FOUND("03000000 ", ESTABLISHED, "00 ");
	answers[1] = VERDICT("04000000 ", NO_SUCH);
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), 0);
}

static void a_kernel_that_cannot_destroy_says_so(void **state)
{
	(void)state;
	answers[0] = FOUND(SEQ1, ESTABLISHED, "00 ");
	answers[1] = VERDICT("02000000 ", "a1ffffff "); /* EOPNOTSUPP */
	answers_n = 2;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), -EOPNOTSUPP);
}

static void mixed_families_and_failures_are_errors(void **state)
{
	(void)state;
	answers_n = 0;
	assert_int_equal(destroy("192.0.2.1", "2001:db8::1"), -EINVAL);
	assert_int_equal(fake.sent_n, 0);
	fake.socket_error = EMFILE;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), -EMFILE);
	fake.socket_error = 0;
	answers[0] = "14000000 1400 0000 01000000 00*4 00*4"; /* cut short */
	answers_n = 1;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), -EBADMSG);
	answers[0] = VERDICT("02000000 ", OK);
	fake.sent_n = 0;
	assert_int_equal(destroy("192.0.2.1", "198.51.100.7"), -EBADMSG);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(a_connection_is_destroyed_by_its_cookie),
		unit(ipv6_connections_are_named_with_all_their_bytes),
		unit(no_connection_is_a_success),
		unit(a_listener_is_left_alone),
		unit(a_remainder_in_time_wait_is_left_alone),
		unit(a_connection_that_went_meanwhile_is_a_success),
		unit(a_kernel_that_cannot_destroy_says_so),
		unit(mixed_families_and_failures_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
