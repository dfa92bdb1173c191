/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/orphan.c: what an earlier run left goes, what is somebody else's stays.
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

#include "daemon/log.h"
#include "daemon/orphan.h"
#include "daemon/plan.h"
#include "tests/unit/fake_timer.h"
#include "tests/unit/fake_xfrm.h"

/* ---- helpers ---- */

static const char OURS[] = "192.0.2.1", THEIRS[] = "192.0.2.99", PHONE[] = "198.51.100.7";

static struct config config;

static struct ip_addr ip(const char *text)
{
	struct ip_addr ret = {0};

	assert_int_equal(ip_parse(text, &ret), 0);
	return ret;
}

static int start(void **state)
{
	struct config_listener *l = &config.listeners[0];

	(void)state;
	log_open(LOG_TO_STDERR, -1);
	fake_clock_reset();
	fake_xfrm_reset();
	config_default(&config);
	config_listener_default(l);
	l->address = ip(OURS);
	l->server_port = 6100;
	l->client_port_first = 6104;
	l->client_port_last = 6107;
	config.listener_count = 1;
	return 0;
}

static struct xfrm_sa_id put_sa(uint32_t spi, const char *src, const char *dst, uint32_t reqid)
{
	const struct xfrm_sa sa = {
		.id = {.dst = ip(dst), .spi = spi, .proto = IPPROTO_ESP},
		.src = ip(src),
		.reqid = reqid,
	};

	fake_xfrm_put_sa(&sa);
	return sa.id;
}

static void put_policy(const char *src, const char *dst, uint16_t port, uint32_t reqid,
		       uint32_t priority)
{
	const struct xfrm_policy policy = {
		.dir = XFRM_IN,
		.sel = {.family = AF_INET, .src = ip(src), .dst = ip(dst), .dport = port},
		.priority = priority,
		.reqid = reqid,
	};

	fake_xfrm_put_policy(&policy);
}

/* ---- tests ---- */

static void E13_sas_with_our_mark_and_address_go(void **state)
{
	(void)state;
	put_sa(1000, PHONE, OURS, 33203);
	put_sa(1001, OURS, PHONE, 33203);
	put_sa(1002, PHONE, OURS, 33203u << 16 | 7); /* of a set with policies of its own */
	assert_int_equal(orphans_remove(&fake_xfrm, &config), 3);
	assert_int_equal(fake_xfrm.sa_count, 0);
}

static void E13_foreign_sas_stay(void **state)
{
	(void)state;
	put_sa(1000, PHONE, OURS, 0);
	put_sa(1001, PHONE, OURS, 1);
	put_sa(1002, PHONE, OURS, 33204);
	put_sa(1003, PHONE, THEIRS, 33203);
	put_sa(1004, THEIRS, PHONE, 33203);
	put_sa(1005, PHONE, OURS, 33204u << 16);
	put_sa(0, PHONE, OURS, 33203); /* larval */
	assert_int_equal(orphans_remove(&fake_xfrm, &config), 0);
	assert_int_equal(fake_xfrm.sa_count, 7);
	assert_int_equal(fake_xfrm.messages, 0);
}

static void policies_of_single_sets_go_and_guards_and_foreign_ones_stay(void **state)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(&config.listeners[0], guards);

	(void)state;
	for (size_t i = 0; i < count; i++)
		fake_xfrm_put_policy(&guards[i]);
	put_policy(PHONE, OURS, 1, 33203, 2079);
	put_policy(PHONE, OURS, 2, 33203u << 16 | 9, 2079);
	put_policy(PHONE, OURS, 3, 33203, 2081);
	put_policy(PHONE, OURS, 4, 1, 2079);
	put_policy(PHONE, THEIRS, 5, 33203, 2079);
	assert_int_equal(orphans_remove(&fake_xfrm, &config), 2);
	assert_int_equal(fake_xfrm.policy_count, count + 3);
}

static void any_number_goes(void **state)
{
	static const size_t COUNTS[] = {1, 63, 64, 65, 128, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
		for (size_t k = 0; k < COUNTS[i]; k++)
			put_sa((uint32_t)(1000 + k), PHONE, OURS, 33203);
		assert_int_equal(orphans_remove(&fake_xfrm, &config), COUNTS[i]);
		assert_int_equal(fake_xfrm.sa_count, 0);
	}
}

static void a_kernel_that_refuses_is_reported(void **state)
{
	(void)state;
	put_sa(1000, PHONE, OURS, 33203);
	fake_xfrm_refuse_all(FAKE_DELETE_SA, -EPERM);
	assert_int_equal(orphans_remove(&fake_xfrm, &config), -EPERM);
}

static void each_listener_has_its_own_mark(void **state)
{
	struct config_listener *l = &config.listeners[1];
	struct xfrm_sa_id stays;

	(void)state;
	config_listener_default(l);
	l->address = ip(THEIRS);
	l->reqid = 7;
	config.listener_count = 2;
	put_sa(1000, PHONE, THEIRS, 7);
	put_sa(1001, PHONE, OURS, 33203);
	stays = put_sa(1002, PHONE, OURS, 7);
	assert_int_equal(orphans_remove(&fake_xfrm, &config), 2);
	assert_non_null(fake_xfrm_sa(&stays));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
	static const struct CMUnitTest tests[] = {
		TEST(E13_sas_with_our_mark_and_address_go),
		TEST(E13_foreign_sas_stay),
		TEST(policies_of_single_sets_go_and_guards_and_foreign_ones_stay),
		TEST(any_number_goes),
		TEST(a_kernel_that_refuses_is_reported),
		TEST(each_listener_has_its_own_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
