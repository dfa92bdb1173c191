/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/event.c: what each notification means, and that no garbage is taken for one.
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

#define UE4 "c6336407 00*12 "
#define P4  "c0000201 00*12 "
#define ANY "00*16 "

/* xfrm_selector 56, xfrm_id 24, saddr 16, lifetimes 96, stats 12, seq, reqid 33203, family, mode,
 * replay window, flags, padding: 224 */
#define SA_INFO(spi, family)                                                                       \
	"00*56 " P4 spi "32 00*3 " UE4 "00*96 00*12 00*4 b3810000 " family "00 00 00 00*7 "
#define EXPIRE(length, spi, family, hard) length "1800 0000 00*8 " SA_INFO(spi, family) hard "00*7 "

/* selector of a guard, lifetimes 96, priority 100, index 5000, dir, action, flags, share, padding
 */
#define POLICY_INFO(dir)                                                                           \
	P4 ANY "17d4 ffff 0000 0000 0200 20 00 00 00*11 "                                          \
	       "00*96 "                                                                            \
	       "64000000 88130000 " dir "00 00 00 00*4 "
#define TMPL "4400 0500 " ANY "00*4 32 00*3 0200 0000 " ANY "b3810000 00 00 00 00 ff*12 "

static struct xfrm_events *events;
static struct xfrm_event got[16];
static size_t got_n;

static void keep(const struct xfrm_event *event, void *arg)
{
	assert_ptr_equal(arg, &got_n);
	assert_true(got_n < 16);
	got[got_n++] = *event;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	got_n = 0;
	return xfrm_events_open(1 << 20, &events);
}

static int teardown(void **state)
{
	(void)state;
	xfrm_events_close(events);
	return fake.open_sockets;
}

static void push(const char *text)
{
	uint8_t buf[2048];

	fake_push(buf, hex(text, buf));
}

static void read_all(void)
{
	assert_int_equal(xfrm_events_read(events, 100, keep, &got_n), 0);
}

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static void groups_with_keys_or_side_effects_are_not_joined(void **state)
{
	(void)state;
	assert_int_equal(fake.groups,
			 1 << XFRMNLGRP_EXPIRE | 1 << XFRMNLGRP_POLICY | 1 << XFRMNLGRP_MAPPING);
	assert_true(xfrm_events_fd(events) >= FAKE_FD);
}

static void opening_fails_where_a_group_cannot_be_joined(void **state)
{
	struct xfrm_events *other = NULL;

	(void)state;
	fake.option_error = NETLINK_ADD_MEMBERSHIP;
	assert_int_equal(xfrm_events_open(4096, &other), -ENOPROTOOPT);
	fake.socket_error = EMFILE;
	assert_int_equal(xfrm_events_open(4096, &other), -EMFILE);
	assert_null(other);
	assert_int_equal(fake.open_sockets, 1);
	xfrm_events_close(NULL);
}

static void a_hard_limit_is_an_expired_sa(void **state)
{
	struct ip_addr p = ip("192.0.2.1");

	(void)state;
	push(EXPIRE("f8000000 ", "00001001 ", "0200 ", "01 "));
	read_all();
	assert_int_equal(got_n, 1);
	assert_int_equal(got[0].kind, XFRM_EVENT_EXPIRED);
	assert_int_equal(got[0].sa.spi, 0x1001);
	assert_int_equal(got[0].sa.proto, IPPROTO_ESP);
	assert_true(ip_equal(&got[0].sa.dst, &p));
	assert_int_equal(got[0].reqid, 33203);
}

static void an_expire_message_may_be_longer_or_end_after_its_flag(void **state)
{
	(void)state;
	/* 16 + 224 + 1, unpadded; and 248 with XFRMA_IF_ID behind it */
	push(EXPIRE("f1000000 ", "00001001 ", "0200 ", "01 "));
	push(EXPIRE("00010000 ", "00001002 ", "0200 ", "01 ") "0800 1f00 07000000");
	read_all();
	assert_int_equal(got_n, 2);
	assert_int_equal(got[1].sa.spi, 0x1002);
}

static void soft_limits_and_larval_sas_are_nobodys_business(void **state)
{
	(void)state;
	push(EXPIRE("f8000000 ", "00001001 ", "0200 ", "00 "));
	push(EXPIRE("f8000000 ", "00000000 ", "0200 ", "01 "));
	push(EXPIRE("f8000000 ", "00001001 ", "4d00 ", "01 "));
	read_all();
	assert_int_equal(got_n, 0);
}

#define MAPPING(length, family)                                                                    \
	length "2600 0000 00*8 " P4 "00001001 " family "32 00 "                                    \
	       "b3810000 " UE4 "cb007109 00*12 "                                                   \
	       "1194 59de "

static void a_mapping_tells_the_new_address_and_port(void **state)
{
	struct ip_addr p = ip("192.0.2.1"), moved = ip("203.0.113.9");

	(void)state;
	push(MAPPING("50000000 ", "0200 "));
	read_all();
	assert_int_equal(got_n, 1);
	assert_int_equal(got[0].kind, XFRM_EVENT_MAPPING);
	assert_int_equal(got[0].sa.spi, 0x1001);
	assert_true(ip_equal(&got[0].sa.dst, &p));
	assert_int_equal(got[0].reqid, 33203);
	assert_true(ip_equal(&got[0].new_addr, &moved));
	assert_int_equal(got[0].new_port, 23006);
}

/* xfrm_userpolicy_id (selector, index, dir), XFRMA_POLICY (7) of 168 bytes, template */
#define DELPOLICY(dir)                                                                             \
	"40010000 1400 0000 00*8 00*56 88130000 " dir "00*3 "                                      \
	"ac00 0700 " POLICY_INFO(dir) TMPL

static void a_deleted_policy_is_read_from_its_attribute(void **state)
{
	(void)state;
	push(DELPOLICY("00 "));
	push(DELPOLICY("01 "));
	read_all();
	assert_int_equal(got_n, 2);
	assert_int_equal(got[0].kind, XFRM_EVENT_POLICY_DELETED);
	assert_int_equal(got[0].policy.dir, XFRM_IN);
	assert_int_equal(got[0].policy.sel.dport, 6100);
	assert_int_equal(got[0].policy.index, 5000);
	assert_int_equal(got[0].policy.reqid, 33203);
	assert_int_equal(got[0].policy.proto, IPPROTO_ESP);
	assert_int_equal(got[0].reqid, 33203);
	assert_int_equal(got[1].policy.dir, XFRM_OUT);
}

static void a_deleted_forwarding_policy_is_passed_over(void **state)
{
	(void)state;
	push(DELPOLICY("02 "));
	read_all();
	assert_int_equal(got_n, 0);
}

static void flushed_policies_are_told(void **state)
{
	(void)state;
	/* XFRMA_POLICY_TYPE */
	push("1c000000 1d00 0000 00*8 0a00 1000 00*8");
	push("10000000 1d00 0000 00*8");
	read_all();
	assert_int_equal(got_n, 2);
	assert_int_equal(got[0].kind, XFRM_EVENT_POLICIES_FLUSHED);
	assert_int_equal(got[1].kind, XFRM_EVENT_POLICIES_FLUSHED);
}

/* xfrm_user_polexpire: the policy, hard, padding */
#define POLEXPIRE(hard) "04010000 1b00 0000 00*8 " POLICY_INFO("00 ") hard "00*7 " TMPL

static void a_policy_that_expired_is_a_deleted_one(void **state)
{
	(void)state;
	push(POLEXPIRE("01 "));
	push(POLEXPIRE("00 "));
	read_all();
	assert_int_equal(got_n, 1);
	assert_int_equal(got[0].kind, XFRM_EVENT_POLICY_DELETED);
	assert_int_equal(got[0].policy.index, 5000);
	assert_int_equal(got[0].reqid, 33203);
}

/* The same layout as NEWPOLICY */
#define UPDPOLICY(dir) "fc000000 1900 0000 00*8 " POLICY_INFO(dir) TMPL

static void a_changed_policy_is_told_with_what_it_is_now(void **state)
{
	(void)state;
	push(UPDPOLICY("01 "));
	push(UPDPOLICY("02 ")); /* forwarding */
	push("1c000000 1900 0000 00*8 00*12");
	read_all();
	assert_int_equal(got_n, 1);
	assert_int_equal(got[0].kind, XFRM_EVENT_POLICY_CHANGED);
	assert_int_equal(got[0].policy.dir, XFRM_OUT);
	assert_int_equal(got[0].policy.index, 5000);
	assert_int_equal(got[0].policy.priority, 100);
	assert_int_equal(got[0].reqid, 33203);
}

static void the_buffer_is_as_large_as_asked_whatever_the_systems_limit(void **state)
{
	(void)state;
	assert_int_equal(fake.rcvbuf_forced, 1 << 20);
}

static void other_messages_are_passed_over(void **state)
{
	(void)state;
	/* NEWPOLICY, NEWSA, NLMSG_ERROR, DONE */
	push("1c000000 1300 0000 00*8 00*12");
	push("1c000000 1000 0000 00*8 00*12");
	push("24000000 0200 0000 00*8 00*20");
	push("14000000 0300 0000 00*8 00*4");
	read_all();
	assert_int_equal(got_n, 0);
}

static void several_messages_in_a_datagram_are_all_read(void **state)
{
	(void)state;
	push(EXPIRE("f8000000 ", "00001001 ", "0200 ", "01 ")
		     EXPIRE("f8000000 ", "00001002 ", "0200 ", "01 "));
	read_all();
	assert_int_equal(got_n, 2);
	assert_int_equal(got[1].sa.spi, 0x1002);
}

static void check_cut(const char *text, uint32_t shortest)
{
	_Alignas(8) uint8_t buf[2048];
	struct nlmsghdr *nlh = (void *)buf;
	struct xfrm_event event;

	hex(text, buf);
	assert_true(xfrm_event_parse(nlh, &event));
	for (nlh->nlmsg_len = 16; nlh->nlmsg_len < shortest; nlh->nlmsg_len++)
		assert_false(xfrm_event_parse(nlh, &event));
	assert_true(xfrm_event_parse(nlh, &event));
}

static void a_message_cut_anywhere_is_no_event(void **state)
{
	(void)state;
	check_cut(EXPIRE("f8000000 ", "00001001 ", "0200 ", "01 "), 241);
	check_cut(MAPPING("50000000 ", "0200 "), 80);
	check_cut(DELPOLICY("00 "), 16 + 64 + 4 + 168);
	check_cut(POLEXPIRE("01 "), 16 + 169);
}

static void garbage_in_a_datagram_ends_it_quietly(void **state)
{
	(void)state;
	push("00*3");
	push("0f000000 1800 0000 00*8");
	push("ffffffff 1800 0000 00*8 00*16");
	push("f8000000 1800 0000 00*8 00*16");
	read_all();
	assert_int_equal(got_n, 0);
}

static void lost_events_are_an_event_and_reading_goes_on(void **state)
{
	(void)state;
	fake_push_error(ENOBUFS);
	push(EXPIRE("f8000000 ", "00001001 ", "0200 ", "01 "));
	read_all();
	assert_int_equal(got_n, 2);
	assert_int_equal(got[0].kind, XFRM_EVENT_LOST);
	assert_int_equal(got[1].kind, XFRM_EVENT_EXPIRED);
}

static void a_truncated_event_is_a_lost_one(void **state)
{
	(void)state;
	push(EXPIRE("f8000000 ", "00001001 ", "0200 ", "01 "));
	fake.queue[0].truncated = true;
	read_all();
	assert_int_equal(got_n, 1);
	assert_int_equal(got[0].kind, XFRM_EVENT_LOST);
}

static void events_of_another_process_are_dropped(void **state)
{
	(void)state;
	push("10000000 1d00 0000 00*8");
	fake.queue[0].sender = 12345;
	read_all();
	assert_int_equal(got_n, 0);
}

static void a_storm_is_read_in_portions(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++)
		push("10000000 1d00 0000 00*8");
	assert_int_equal(xfrm_events_read(events, 3, keep, &got_n), 0);
	assert_int_equal(got_n, 3);
	assert_int_equal(xfrm_events_read(events, 3, keep, &got_n), 0);
	assert_int_equal(got_n, 6);
	read_all();
	assert_int_equal(got_n, 7);
}

static void a_broken_socket_is_an_error(void **state)
{
	(void)state;
	fake_push_error(EBADF);
	assert_int_equal(xfrm_events_read(events, 100, keep, &got_n), -EBADF);
	assert_int_equal(got_n, 0);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(groups_with_keys_or_side_effects_are_not_joined),
		unit(opening_fails_where_a_group_cannot_be_joined),
		unit(a_hard_limit_is_an_expired_sa),
		unit(an_expire_message_may_be_longer_or_end_after_its_flag),
		unit(soft_limits_and_larval_sas_are_nobodys_business),
		unit(a_mapping_tells_the_new_address_and_port),
		unit(a_deleted_policy_is_read_from_its_attribute),
		unit(a_deleted_forwarding_policy_is_passed_over),
		unit(flushed_policies_are_told),
		unit(a_policy_that_expired_is_a_deleted_one),
		unit(a_changed_policy_is_told_with_what_it_is_now),
		unit(the_buffer_is_as_large_as_asked_whatever_the_systems_limit),
		unit(other_messages_are_passed_over),
		unit(several_messages_in_a_datagram_are_all_read),
		unit(a_message_cut_anywhere_is_no_event),
		unit(garbage_in_a_datagram_ends_it_quietly),
		unit(lost_events_are_an_event_and_reading_goes_on),
		unit(a_truncated_event_is_a_lost_one),
		unit(events_of_another_process_are_dropped),
		unit(a_storm_is_read_in_portions),
		unit(a_broken_socket_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
