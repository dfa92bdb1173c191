/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/msg_policy.c: each message about policies, byte for byte, and the reading of answers.
 *
 * The expected bytes are written out from struct nlmsghdr, xfrm_userpolicy_info (168 bytes),
 * xfrm_userpolicy_id (64) and xfrm_user_tmpl (64) of <linux/xfrm.h>.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/hex.h"
#include "xfrm/internal.h"

#define UE4 "c6336407 00*12 "
#define P4  "c0000201 00*12 "
#define UE6 "20010db8 00070000 00*6 0007 "
#define P6  "20010db8 00*11 01 "
#define ANY "00*16 "

/* xfrm_selector: daddr, saddr, dport and mask, sport and mask, family, prefixes of dst and src,
 * proto, padding, ifindex, user */
#define SEL_IN4      P4 ANY "17d4 ffff 0000 0000 0200 20 00 00 00*3 00*4 00*4 "
#define SEL_POOL4    P4 ANY "17d4 fffc 0000 0000 0200 20 00 00 00*3 00*4 00*4 "
#define SEL_OUT6     ANY P6 "0000 0000 17d4 ffff 0a00 00 80 00 00*3 00*4 00*4 "
#define SEL_PER_SET4 P4 UE4 "17d4 ffff 13c5 ffff 0200 20 20 00 00*3 00*4 00*4 "

/* xfrm_lifetime_cfg: bytes and packets without limit, times 0; xfrm_lifetime_cur 0 */
#define LIFETIME "ff*32 00*32 00*32 "
/* priority 100, index, dir, action allow, flags 0, share any, padding */
#define TAIL(index, dir) "64000000 " index dir "00 00 00 00*4 "
#define IN               "00 "
#define OUT              "01 "

/* XFRMA_TMPL (5): daddr, spi 0, proto, padding; family, padding; saddr; reqid 33203, mode, share 0,
 * optional 0 (= level required), padding; aalgos, ealgos, calgos: all */
#define TMPL(daddr, proto, family, saddr, mode)                                                    \
	"4400 0500 " daddr "00*4 " proto "00*3 " family "0000 " saddr "b3810000 " mode "00 00 00 " \
	"ff*12 "
#define TMPL_ESP4 TMPL(ANY, "32 ", "0200 ", ANY, "00 ")
#define TMPL_ESP6 TMPL(ANY, "32 ", "0a00 ", ANY, "00 ")

#define NEWPOLICY(length) length " 1300 0106 00*8 "

static struct ip_addr ip(const char *text)
{
	struct ip_addr ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

/* Anybody to this machine's port_ps. */
static struct xfrm_policy guard_in(void)
{
	return (struct xfrm_policy){
		.dir = XFRM_IN,
		.sel = {.family = AF_INET,
			.dst = ip("192.0.2.1"),
			.dport = 6100,
			.dport_mask = 0xffff},
		.priority = 100,
		.proto = IPPROTO_ESP,
		.reqid = 33203,
	};
}

static struct xfrm_policy per_set_tunnel(void)
{
	struct xfrm_policy p = guard_in();

	p.sel.src = ip("198.51.100.7");
	p.sel.sport = 5061;
	p.sel.sport_mask = 0xffff;
	p.mode = XFRM_TUNNEL;
	p.tmpl_src = ip("198.51.100.7");
	p.tmpl_dst = ip("192.0.2.1");
	return p;
}

static void check_add(const struct xfrm_policy *policy, const char *expected)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(msg_add_policy(buf, sizeof(buf), policy), 0);
	assert_bytes(buf, ((struct nlmsghdr *)(void *)buf)->nlmsg_len, expected);
}

static void newpolicy_shared_inbound_ipv4(void **state)
{
	struct xfrm_policy p = guard_in();

	(void)state;
	/* 16 + 168 + 68 = 252 */
	check_add(&p, NEWPOLICY("fc000000") SEL_IN4 LIFETIME TAIL("00*4 ", IN) TMPL_ESP4);
}

static void newpolicy_shared_outbound_ipv6(void **state)
{
	struct xfrm_policy p = {
		.dir = XFRM_OUT,
		.sel = {.family = AF_INET6,
			.src = ip("2001:db8::1"),
			.sport = 6100,
			.sport_mask = 0xffff},
		.priority = 100,
		.proto = IPPROTO_ESP,
		.reqid = 33203,
	};

	(void)state;
	check_add(&p, NEWPOLICY("fc000000") SEL_OUT6 LIFETIME TAIL("00*4 ", OUT) TMPL_ESP6);
}

static void newpolicy_masked_port_pool_and_interface(void **state)
{
	struct xfrm_policy p = guard_in();

	(void)state;
	p.sel.dport_mask = 0xfffc;
	p.if_id = 7;
	/* 252 + 8; XFRMA_IF_ID 31 */
	check_add(&p, NEWPOLICY("04010000") SEL_POOL4 LIFETIME TAIL("00*4 ", IN) TMPL_ESP4
		  "0800 1f00 07000000");
}

static void newpolicy_per_set_tunnel_names_the_outer_addresses(void **state)
{
	struct xfrm_policy p = per_set_tunnel();

	(void)state;
	check_add(&p, NEWPOLICY("fc000000") SEL_PER_SET4 LIFETIME TAIL("00*4 ", IN)
			      TMPL(P4, "32 ", "0200 ", UE4, "01 "));
}

static void newpolicy_per_set_ah_transport(void **state)
{
	struct xfrm_policy p = per_set_tunnel();

	(void)state;
	p.proto = IPPROTO_AH;
	p.mode = XFRM_TRANSPORT;
	p.tmpl_src.family = p.tmpl_dst.family = AF_UNSPEC;
	check_add(&p, NEWPOLICY("fc000000") SEL_PER_SET4 LIFETIME TAIL("00*4 ", IN)
			      TMPL(ANY, "33 ", "0200 ", ANY, "00 "));
}

static void an_index_may_be_wished_for(void **state)
{
	struct xfrm_policy p = guard_in();

	(void)state;
	p.index = 4711;
	check_add(&p, NEWPOLICY("fc000000") SEL_IN4 LIFETIME TAIL("67120000 ", IN) TMPL_ESP4);
	assert_int_equal(xfrm_policy_index(XFRM_IN, 4711), 4704);
	assert_int_equal(xfrm_policy_index(XFRM_OUT, 4711), 4705);
	assert_int_equal(xfrm_policy_index(XFRM_IN, 7), 8); /* 0 would be none */
}

static void a_buffer_that_is_too_small_is_refused_and_not_overrun(void **state)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];
	struct xfrm_policy p = guard_in();

	(void)state;
	p.if_id = 7;
	for (size_t cap = 0; cap < 300; cap++) {
		memset(buf, 0xa5, sizeof(buf));
		assert_int_equal(msg_add_policy(buf, cap, &p), cap < 260 ? -ENOSPC : 0);
		for (size_t i = cap; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0xa5);
	}
}

#define WITH(base, field, value)                                                                   \
	do {                                                                                       \
		struct xfrm_policy copy = base;                                                    \
		copy.field = value;                                                                \
		assert_int_equal(msg_add_policy(buf, sizeof(buf), &copy), -EINVAL);                \
	} while (0)

static void an_illegal_description_is_refused(void **state)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	WITH(guard_in(), dir, (enum xfrm_dir)2);
	WITH(guard_in(), proto, 0);
	WITH(guard_in(), proto, IPPROTO_UDP);
	WITH(guard_in(), mode, (enum xfrm_mode)2);
	WITH(guard_in(), tmpl_dst, ip("192.0.2.1"));
	WITH(guard_in(), sel.family, AF_UNSPEC);
	WITH(guard_in(), sel.dst, ip("2001:db8::1"));
	WITH(guard_in(), sel.dport_mask, 0);
	WITH(per_set_tunnel(), tmpl_src.family, AF_UNSPEC);
	WITH(per_set_tunnel(), tmpl_dst, ip("2001:db8::1"));
}

static void delpolicy_by_index_sends_no_selector(void **state)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	/* 16 + 64: selector 0, index, dir, padding */
	assert_int_equal(msg_delete_policy(buf, sizeof(buf), XFRM_OUT, 0x1234, 0), 0);
	assert_bytes(buf, 80, "50000000 1400 0100 00*8 00*56 34120000 01 00*3");
	assert_int_equal(msg_delete_policy(buf, sizeof(buf), XFRM_IN, 0x1234, 7), 0);
	assert_bytes(buf, 88, "58000000 1400 0100 00*8 00*56 34120000 00 00*3 0800 1f00 07000000");
	assert_int_equal(msg_delete_policy(buf, 87, XFRM_IN, 0x1234, 7), -ENOSPC);
}

static void delpolicy_without_index_would_take_anybodys_and_is_refused(void **state)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	assert_int_equal(msg_delete_policy(buf, sizeof(buf), XFRM_IN, 0, 0), -EINVAL);
	assert_int_equal(msg_delete_policy(buf, sizeof(buf), (enum xfrm_dir)2, 8, 0), -EINVAL);
}

static void delpolicy_by_selector_and_getpolicy_name_it_alike(void **state)
{
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];
	struct xfrm_policy p = guard_in();

	(void)state;
	p.if_id = 7;
	assert_int_equal(msg_delete_policy_sel(buf, sizeof(buf), &p), 0);
	assert_bytes(buf, 88, "58000000 1400 0100 00*8 " SEL_IN4 "00*4 00 00*3 0800 1f00 07000000");
	assert_int_equal(msg_get_policy(buf, sizeof(buf), p.dir, &p.sel, 0), 0);
	assert_bytes(buf, 80, "50000000 1500 0100 00*8 " SEL_IN4 "00*4 00 00*3");
	p.sel.family = AF_INET6;
	assert_int_equal(msg_get_policy(buf, sizeof(buf), p.dir, &p.sel, 0), -EINVAL);
}

/* An answer of the kernel; its attributes stand behind 168 bytes of body. */
static int read_policy(const char *text, struct xfrm_policy *ret)
{
	_Alignas(8) uint8_t buf[2048];
	struct xfrm_userpolicy_info info;

	hex(text, buf);
	assert_int_equal(msg_body((void *)buf, &info, sizeof(info)), 0);
	return msg_read_policy((void *)buf, &info, sizeof(info), ret);
}

static void what_is_added_reads_back_equal(void **state)
{
	struct xfrm_policy all[] = {guard_in(), per_set_tunnel(), guard_in(), guard_in()};
	_Alignas(8) uint8_t buf[XFRM_MSG_BYTES];

	(void)state;
	all[2].sel.dport_mask = 0xfffc;
	all[2].if_id = 7;
	all[3].dir = XFRM_OUT;
	all[3].sel = (struct xfrm_sel){.family = AF_INET6, .src = ip("2001:db8::1")};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct xfrm_userpolicy_info info;
		struct xfrm_policy got;

		assert_int_equal(msg_add_policy(buf, sizeof(buf), &all[i]), 0);
		assert_int_equal(msg_body((void *)buf, &info, sizeof(info)), 0);
		assert_int_equal(msg_read_policy((void *)buf, &info, sizeof(info), &got), 0);
		assert_true(xfrm_policy_equal(&got, &all[i]));
	}
}

static void the_index_is_read_back(void **state)
{
	struct xfrm_policy p;

	(void)state;
	assert_int_equal(read_policy(NEWPOLICY("fc000000") SEL_IN4 LIFETIME TAIL("88130000 ", IN)
					     TMPL_ESP4,
				     &p),
			 0);
	assert_int_equal(p.index, 5000);
	assert_int_equal(p.reqid, 33203);
}

static void check_strange(const char *text)
{
	struct xfrm_policy p, ours = guard_in();

	assert_int_equal(read_policy(text, &p), 0);
	assert_int_equal(p.proto, 0);
	assert_false(xfrm_policy_equal(&p, &ours));
}

#define OTHER(length, tail, attributes) NEWPOLICY(length) SEL_IN4 LIFETIME tail attributes

#define TMPL_HEAD        ANY "00*4 32 00*3 0200 0000 " ANY "b3810000 "
#define TMPL_BODY        TMPL_HEAD "00 00 00 00 ff*12 "
#define OTHER_TMPL(rest) "4400 0500 " TMPL_HEAD rest

static void a_policy_of_another_form_equals_nothing_of_ours(void **state)
{
	(void)state;
	/* no template; two templates */
	check_strange(OTHER("b8000000", TAIL("00*4 ", IN), ""));
	check_strange(OTHER("3c010000", TAIL("00*4 ", IN), "8400 0500 " TMPL_BODY TMPL_BODY));
	/* action block; a flag */
	check_strange(OTHER("fc000000", "64000000 00*4 00 01 00 00 00*4 ", TMPL_ESP4));
	check_strange(OTHER("fc000000", "64000000 00*4 00 00 01 00 00*4 ", TMPL_ESP4));
	/* level use; only some algorithms; beet mode */
	check_strange(OTHER("fc000000", TAIL("00*4 ", IN), OTHER_TMPL("00 00 01 00 ff*12 ")));
	check_strange(OTHER("fc000000", TAIL("00*4 ", IN), OTHER_TMPL("00 00 00 00 fe ff*11 ")));
	check_strange(OTHER("fc000000", TAIL("00*4 ", IN), OTHER_TMPL("04 00 00 00 ff*12 ")));
	/* another protocol (108); a mark (XFRMA_MARK, 21) */
	check_strange(OTHER("fc000000", TAIL("00*4 ", IN), TMPL(ANY, "6c ", "0200 ", ANY, "00 ")));
	check_strange(
		OTHER("08010000", TAIL("00*4 ", IN), TMPL_ESP4 "0c00 1500 01000000 ffffffff "));
}

static void forwarding_and_sub_policies_are_passed_over(void **state)
{
	struct xfrm_policy p;

	(void)state;
	assert_int_equal(read_policy(OTHER("fc000000", TAIL("00*4 ", "02 "), TMPL_ESP4), &p),
			 -EOPNOTSUPP);
	/* XFRMA_POLICY_TYPE (16): type at 0 of 6 bytes */
	assert_int_equal(read_policy(OTHER("08010000", TAIL("00*4 ", IN),
					   TMPL_ESP4 "0a00 1000 01 00*5 0000 "),
				     &p),
			 -EOPNOTSUPP);
	assert_int_equal(read_policy(OTHER("08010000", TAIL("00*4 ", IN),
					   TMPL_ESP4 "0a00 1000 00 00*5 0000 "),
				     &p),
			 0);
}

#define UNEQUAL(field, value)                                                                      \
	do {                                                                                       \
		struct xfrm_policy copy = p;                                                       \
		copy.field = value;                                                                \
		assert_false(xfrm_policy_equal(&p, &copy));                                        \
		assert_false(xfrm_policy_equal(&copy, &p));                                        \
	} while (0)

static void policies_are_equal_in_everything_but_the_index(void **state)
{
	struct xfrm_policy p = per_set_tunnel(), q = per_set_tunnel();

	(void)state;
	q.index = 9;
	assert_true(xfrm_policy_equal(&p, &q));
	UNEQUAL(dir, XFRM_OUT);
	UNEQUAL(sel.family, AF_INET6);
	UNEQUAL(sel.src, ip("198.51.100.8"));
	UNEQUAL(sel.dst, ip("198.51.100.8"));
	UNEQUAL(sel.sport, 1);
	UNEQUAL(sel.sport_mask, 1);
	UNEQUAL(sel.dport, 1);
	UNEQUAL(sel.dport_mask, 1);
	UNEQUAL(sel.proto, 6);
	UNEQUAL(priority, 1);
	UNEQUAL(if_id, 1);
	UNEQUAL(proto, IPPROTO_AH);
	UNEQUAL(mode, XFRM_TRANSPORT);
	UNEQUAL(reqid, 1);
	UNEQUAL(tmpl_src, ip("198.51.100.8"));
	UNEQUAL(tmpl_dst, ip("198.51.100.8"));
}

static void a_policy_is_named_in_one_line(void **state)
{
	struct xfrm_policy p = guard_in();
	char buf[128];

	(void)state;
	assert_string_equal(msg_policy_format(&p, buf, sizeof(buf)),
			    "policy in 192.0.2.1 port 6100");
	p.sel.dport_mask = 0xfffc;
	assert_string_equal(msg_policy_format(&p, buf, sizeof(buf)),
			    "policy in 192.0.2.1 port 6100/0xfffc");
	p = per_set_tunnel();
	assert_string_equal(msg_policy_format(&p, buf, sizeof(buf)),
			    "policy in 192.0.2.1 port 6100 from 198.51.100.7 port 5061");
	p.dir = XFRM_OUT;
	assert_string_equal(msg_policy_format(&p, buf, sizeof(buf)),
			    "policy out 198.51.100.7 port 5061 to 192.0.2.1 port 6100");
	p.index = 17;
	assert_string_equal(msg_policy_format(&p, buf, sizeof(buf)), "policy out index 17");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newpolicy_shared_inbound_ipv4),
		cmocka_unit_test(newpolicy_shared_outbound_ipv6),
		cmocka_unit_test(newpolicy_masked_port_pool_and_interface),
		cmocka_unit_test(newpolicy_per_set_tunnel_names_the_outer_addresses),
		cmocka_unit_test(newpolicy_per_set_ah_transport),
		cmocka_unit_test(an_index_may_be_wished_for),
		cmocka_unit_test(a_buffer_that_is_too_small_is_refused_and_not_overrun),
		cmocka_unit_test(an_illegal_description_is_refused),
		cmocka_unit_test(delpolicy_by_index_sends_no_selector),
		cmocka_unit_test(delpolicy_without_index_would_take_anybodys_and_is_refused),
		cmocka_unit_test(delpolicy_by_selector_and_getpolicy_name_it_alike),
		cmocka_unit_test(what_is_added_reads_back_equal),
		cmocka_unit_test(the_index_is_read_back),
		cmocka_unit_test(a_policy_of_another_form_equals_nothing_of_ours),
		cmocka_unit_test(forwarding_and_sub_policies_are_passed_over),
		cmocka_unit_test(policies_are_equal_in_everything_but_the_index),
		cmocka_unit_test(a_policy_is_named_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
