/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/dump.c: pieces, ends, errors, early stops; keys in the answers are wiped.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "tests/unit/fake_kernel.h"
#include "tests/unit/hex.h"
#include "xfrm/internal.h"

void *__wrap_malloc(size_t n);
void __wrap_free(void *p);
void *__real_malloc(size_t n);
void __real_free(void *p);

static bool out_of_memory;
static bool freed_a_key;
static void *dump_buf;

void *__wrap_malloc(size_t n)
{
	if (out_of_memory)
		return NULL;
	dump_buf = __real_malloc(n);
	return dump_buf;
}

void __wrap_free(void *p)
{
	if (p && p == dump_buf)
		freed_a_key = memmem(p, XFRM_ANSWER_BYTES, "\x11\x11\x11\x11", 4) != NULL;
	__real_free(p);
}

#define UE4 "c6336407 00*12 "
#define P4  "c0000201 00*12 "
#define ANY "00*16 "

/* seq 1 is the first dump's. NEWSA of 16 + 224 + 96 bytes, with its key. */
#define SA(spi)                                                                                    \
	"50010000 1000 0200 01000000 00*4 "                                                        \
	"00*40 0200 00*14 " P4 spi "32 00*3 " UE4 "00*96 00*12 00*4 b3810000 0200 00 00 00 00*7 "  \
	"6000 1400 'hmac(sha1)' 00*54 a0000000 60000000 11*20 "

#define POLICY(dir)                                                                                \
	"fc000000 1300 0200 01000000 00*4 " P4 ANY                                                 \
	"17d4 ffff 0000 0000 0200 20 00 00 00*11 00*96 64000000 88130000 " dir "00 00 00 00*4 "    \
	"4400 0500 " ANY "00*4 32 00*3 0200 0000 " ANY "b3810000 00 00 00 00 ff*12 "

#define DONE(error) "14000000 0300 0200 01000000 00*4 " error

static struct xfrm *x;
static struct xfrm_dump_sa sas[16];
static struct xfrm_policy policies[16];
static size_t got_n;
static int stop_at;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	/* the dump request itself gets no answer but what the test queued */
	fake.silent = false;
	got_n = 0;
	stop_at = -1;
	freed_a_key = false;
	return xfrm_open(&x);
}

static int teardown(void **state)
{
	(void)state;
	xfrm_close(x);
	return fake.open_sockets;
}

static int keep_sa(const struct xfrm_dump_sa *sa, void *arg)
{
	assert_ptr_equal(arg, &got_n);
	sas[got_n] = *sa;
	return (int)got_n++ == stop_at ? 42 : 0;
}

static int keep_policy(const struct xfrm_policy *policy, void *arg)
{
	assert_ptr_equal(arg, &got_n);
	policies[got_n] = *policy;
	return (int)got_n++ == stop_at ? 42 : 0;
}

/* The fake kernel knows no dumps: its refusal would follow; the test's pieces come first. */
static void push(const char *text)
{
	uint8_t buf[4096];

	fake_push(buf, hex(text, buf));
}

static int dump_sas(void)
{
	return xfrm_dump_sas(x, keep_sa, &got_n);
}

static void the_request_has_no_body_and_goes_out_on_its_own_socket(void **state)
{
	(void)state;
	push(DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	assert_int_equal(fake.open_sockets, 2);
	/* GETSA, NLM_F_REQUEST | NLM_F_DUMP, seq 1, pid 4711 */
	assert_bytes(fake.sent[0].data, fake.sent[0].bytes, "10000000 1200 0103 01000000 67120000");
}

static void sas_of_all_pieces_are_told_without_keys(void **state)
{
	(void)state;
	push(SA("00001001 ") SA("00001002 "));
	push(SA("00001003 "));
	push(DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	assert_int_equal(got_n, 3);
	assert_int_equal(sas[0].id.spi, 0x1001);
	assert_int_equal(sas[2].id.spi, 0x1003);
	assert_int_equal(sas[2].stats.reqid, 33203);
	assert_false(freed_a_key);
	assert_null(memmem(x, sizeof(*x), "\x11\x11\x11\x11", 4));
}

static void the_end_may_stand_in_the_last_piece(void **state)
{
	(void)state;
	push(SA("00001001 ") DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	assert_int_equal(got_n, 1);
}

static void larval_sas_are_marked(void **state)
{
	(void)state;
	push(SA("00000000 ") DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	assert_true(sas[0].larval);
}

static void an_error_in_the_end_message_is_returned(void **state)
{
	(void)state;
	push(SA("00001001 "));
	push(DONE("f4ffffff"));
	assert_int_equal(dump_sas(), -ENOMEM);
}

static void an_error_message_is_returned(void **state)
{
	(void)state;
	fake_push_verdict(1, -EPERM, NULL);
	assert_int_equal(dump_sas(), -EPERM);
}

static void an_ack_is_no_answer_to_a_dump(void **state)
{
	(void)state;
	fake_push_verdict(1, 0, NULL);
	assert_int_equal(dump_sas(), -EBADMSG);
}

static void drop(struct fake_answer *answer)
{
	answer->bytes = 0;
}

static void a_dump_that_runs_dry_is_an_error(void **state)
{
	(void)state;
	push(SA("00001001 "));
	fake.alter = drop; /* of what the fake kernel answers itself */
	assert_int_equal(dump_sas(), -EIO);
	assert_int_equal(got_n, 1);
}

static void lost_or_cut_pieces_are_an_error(void **state)
{
	(void)state;
	push(SA("00001001 "));
	fake_push_error(ENOBUFS);
	assert_int_equal(dump_sas(), -ENOBUFS);
	push(SA("00001001 "));
	fake.queue[fake.queue_tail - 1].truncated = true;
	fake.queue_head = fake.queue_tail - 1;
	assert_int_equal(dump_sas(), -EMSGSIZE);
}

static void an_interrupted_dump_is_an_error(void **state)
{
	(void)state;
	push("50010000 1000 1200 01000000 00*4 00*320"); /* NLM_F_DUMP_INTR */
	assert_int_equal(dump_sas(), -EINTR);
}

static void a_short_message_is_an_error(void **state)
{
	(void)state;
	push("20000000 1000 0200 01000000 00*4 00*16");
	assert_int_equal(dump_sas(), -EBADMSG);
	fake.queue_head = fake.queue_tail;
	push("10000000 0300 0200 01000000 00*4"); /* DONE without its number */
	assert_int_equal(dump_sas(), -EBADMSG);
}

static void pieces_of_another_dump_or_process_are_passed_over(void **state)
{
	(void)state;
	push("14000000 0300 0200 63000000 00*4 f4ffffff");
	push(SA("00001009 "));
	fake.queue[fake.queue_tail - 1].sender = 12345;
	push(SA("00001001 ") DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	assert_int_equal(got_n, 1);
	assert_int_equal(sas[0].id.spi, 0x1001);
}

static void a_stopped_dump_returns_why_and_the_next_one_has_a_new_socket(void **state)
{
	(void)state;
	push(SA("00001001 ") SA("00001002 ") SA("00001003 "));
	stop_at = 1;
	assert_int_equal(dump_sas(), 42);
	assert_int_equal(got_n, 2);
	assert_false(freed_a_key);
	assert_int_equal(fake.open_sockets, 1);
	fake.queue_head = fake.queue_tail;
	push(SA("00001004 ") DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	assert_int_equal(got_n, 3);
	assert_int_equal(fake.open_sockets, 2);
}

static void a_complete_dump_keeps_its_socket(void **state)
{
	(void)state;
	push(DONE("00*4"));
	assert_int_equal(dump_sas(), 0);
	fake.queue_head = fake.queue_tail;
	push("14000000 0300 0200 02000000 00*4 00*4");
	assert_int_equal(dump_sas(), 0);
	assert_int_equal(fake.open_sockets, 2);
}

static int dump_piece(bool *ret_done)
{
	return xfrm_dump_sas_piece(x, keep_sa, &got_n, ret_done);
}

static void a_dump_can_be_taken_in_pieces(void **state)
{
	bool done = true;

	(void)state;
	push(SA("00001001 ") SA("00001002 "));
	push(SA("00001003 "));
	push(DONE("00*4"));
	assert_int_equal(dump_piece(&done), 0);
	assert_int_equal(got_n, 2);
	assert_false(done);
	assert_false(freed_a_key);
	assert_int_equal(dump_piece(&done), 0);
	assert_int_equal(got_n, 3);
	assert_false(done);
	assert_int_equal(dump_piece(&done), 0);
	assert_true(done);
	assert_int_equal(fake.sent_n, 1); /* one request for all */
	fake.queue_head = fake.queue_tail;
	push("14000000 0300 0200 02000000 00*4 00*4");
	assert_int_equal(dump_piece(&done), 0); /* and another one for the next dump */
	assert_int_equal(fake.sent_n, 2);
	assert_int_equal(fake.open_sockets, 2);
}

static void a_dump_in_pieces_that_fails_begins_anew(void **state)
{
	bool done = true;

	(void)state;
	push(SA("00001001 "));
	fake_push_error(ENOBUFS);
	assert_int_equal(dump_piece(&done), 0);
	assert_int_equal(dump_piece(&done), -ENOBUFS);
	assert_int_equal(fake.open_sockets, 1);
	fake.queue_head = fake.queue_tail;
	push(SA("00001002 ") DONE("00*4")); /* a new socket counts from 1 */
	assert_int_equal(dump_piece(&done), 0);
	assert_true(done);
	assert_int_equal(got_n, 2);
}

static void another_dump_does_not_mix_with_one_in_pieces(void **state)
{
	bool done = true;

	(void)state;
	push(SA("00001001 "));
	assert_int_equal(dump_piece(&done), 0);
	fake.queue_head = fake.queue_tail;
	push(POLICY("00 ") DONE("00*4"));
	assert_int_equal(xfrm_dump_policies(x, keep_policy, &got_n), 0);
	assert_int_equal(fake.open_sockets, 2);
	fake.queue_head = fake.queue_tail;
	push("14000000 0300 0200 02000000 00*4 00*4");
	assert_int_equal(dump_piece(&done), 0);
	assert_true(done);
	assert_int_equal(fake.sent_n, 3); /* begun anew */
}

static void policies_are_told_and_forwarding_ones_passed_over(void **state)
{
	(void)state;
	push(POLICY("00 ") POLICY("02 ") POLICY("01 ") DONE("00*4"));
	assert_int_equal(xfrm_dump_policies(x, keep_policy, &got_n), 0);
	assert_int_equal(got_n, 2);
	assert_int_equal(policies[0].dir, XFRM_IN);
	assert_int_equal(policies[0].index, 5000);
	assert_int_equal(policies[0].sel.dport, 6100);
	assert_int_equal(policies[1].dir, XFRM_OUT);
	/* GETPOLICY */
	assert_bytes(fake.sent[0].data, fake.sent[0].bytes, "10000000 1500 0103 01000000 67120000");
}

static void an_sa_among_policies_is_an_error(void **state)
{
	(void)state;
	push(SA("00001001 ") DONE("00*4"));
	assert_int_equal(xfrm_dump_policies(x, keep_policy, &got_n), -EBADMSG);
	assert_int_equal(got_n, 0);
}

static void no_memory_and_no_socket_are_answers(void **state)
{
	(void)state;
	out_of_memory = true;
	assert_int_equal(dump_sas(), -ENOMEM);
	out_of_memory = false;
	fake.socket_error = EMFILE;
	assert_int_equal(dump_sas(), -EMFILE);
	fake.socket_error = 0;
	fake.send_error = EPERM;
	assert_int_equal(dump_sas(), -EPERM);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(the_request_has_no_body_and_goes_out_on_its_own_socket),
		unit(sas_of_all_pieces_are_told_without_keys),
		unit(the_end_may_stand_in_the_last_piece),
		unit(larval_sas_are_marked),
		unit(an_error_in_the_end_message_is_returned),
		unit(an_error_message_is_returned),
		unit(an_ack_is_no_answer_to_a_dump),
		unit(a_dump_that_runs_dry_is_an_error),
		unit(lost_or_cut_pieces_are_an_error),
		unit(an_interrupted_dump_is_an_error),
		unit(a_short_message_is_an_error),
		unit(pieces_of_another_dump_or_process_are_passed_over),
		unit(a_stopped_dump_returns_why_and_the_next_one_has_a_new_socket),
		unit(a_complete_dump_keeps_its_socket),
		unit(a_dump_can_be_taken_in_pieces),
		unit(a_dump_in_pieces_that_fails_begins_anew),
		unit(another_dump_does_not_mix_with_one_in_pieces),
		unit(policies_are_told_and_forwarding_ones_passed_over),
		unit(an_sa_among_policies_is_an_error),
		unit(no_memory_and_no_socket_are_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
