/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/orphan.c, as an audit uses it: what an earlier run left goes, what is somebody else's stays.
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

#include "daemon/audit.h"
#include "daemon/orphan.h"
#include "tests/unit/world.h"

/* ---- helpers ---- */

static const char OURS[] = "192.0.2.1", THEIRS[] = "192.0.2.99", PHONE[] = "198.51.100.7";

static struct ip_addr ip(const char *text)
{
	return world_ip(text);
}

/* What an audit of a daemon without sets deletes; or its error. */
static int orphans_remove(void)
{
	struct audit_report report;
	struct guards *guards;
	struct audit *audit;
	char why[400];

	assert_int_equal(guards_install(&fake_xfrm, &world.config, &guards, why, sizeof(why)), 0);
	audit = audit_new(&world.config, world.table, guards);
	assert_non_null(audit);
	audit_run(audit, &report);
	audit_free(audit);
	guards_remove(guards);
	return report.error ? report.error : (int)(report.orphan_sas + report.orphan_policies);
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
	assert_int_equal(orphans_remove(), 3);
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
	assert_int_equal(orphans_remove(), 0);
	assert_int_equal(fake_xfrm.sa_count, 7);
	assert_int_equal(fake_xfrm_steps(FAKE_DELETE_SA), 0);
	fake_xfrm.sa_count = 0;
}

static void policies_of_single_sets_go_and_guards_and_foreign_ones_stay(void **state)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(world.listener, guards);

	(void)state;
	guards[0].reqid = 33203u << 16; /* of another listener's address */
	guards[0].sel.dst = ip(THEIRS);
	guards[0].priority = 2079;
	fake_xfrm_put_policy(&guards[0]);
	put_policy(PHONE, OURS, 1, 33203, 2079);
	put_policy(PHONE, OURS, 2, 33203u << 16 | 9, 2079);
	put_policy(PHONE, OURS, 3, 33203, 2081);
	put_policy(PHONE, OURS, 4, 1, 2079);
	put_policy(PHONE, THEIRS, 5, 33203, 2079);
	assert_int_equal(orphans_remove(), 2);
	assert_int_equal(fake_xfrm.policy_count, 4);
	assert_int_equal(count, 4);
	fake_xfrm_steal_policies();
}

static void any_number_goes(void **state)
{
	static const size_t COUNTS[] = {1, 63, 64, 65, 128, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
		for (size_t k = 0; k < COUNTS[i]; k++)
			put_sa((uint32_t)(1000 + k), PHONE, OURS, 33203);
		assert_int_equal(orphans_remove(), COUNTS[i]);
		assert_int_equal(fake_xfrm.sa_count, 0);
	}
}

/* More than there is room for at once. */
static void any_number_of_policies_goes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++)
		put_policy(PHONE, OURS, (uint16_t)(1000 + i), 33203u << 16 | i, 2079);
	assert_int_equal(orphans_remove(), 300);
	assert_int_equal(fake_xfrm.policy_count, 0);
}

static void a_kernel_that_refuses_is_reported(void **state)
{
	(void)state;
	put_sa(1000, PHONE, OURS, 33203);
	fake_xfrm_refuse_all(FAKE_DELETE_SA, -EPERM);
	assert_int_equal(orphans_remove(), -EPERM);
	fake_xfrm.sa_count = 0;
}

static void each_listener_has_its_own_mark(void **state)
{
	struct config_listener *l = &world.config.listeners[1];
	struct xfrm_sa_id stays;

	(void)state;
	config_listener_default(l);
	l->address = ip(THEIRS);
	l->reqid = 7;
	l->server_port = 6100;
	l->client_port_first = 6104;
	l->client_port_last = 6107;
	world.config.listener_count = 2;
	put_sa(1000, PHONE, THEIRS, 7);
	put_sa(1001, PHONE, OURS, 33203);
	stays = put_sa(1002, PHONE, OURS, 7);
	assert_int_equal(orphans_remove(), 2);
	assert_non_null(fake_xfrm_sa(&stays));
	fake_xfrm.sa_count = 0;
}

/* Two listeners at one address may differ by 1 in their priority, as a guard and a set do. */
static void the_guard_of_another_listener_is_nobodys_policy(void **state)
{
	struct config_listener *l = &world.config.listeners[1];

	(void)state;
	*l = *world.listener;
	l->priority--;
	l->server_port = 6200;
	l->client_port_first = 6204;
	l->client_port_last = 6207;
	world.config.listener_count = 2;
	assert_int_equal(orphans_remove(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	static const struct CMUnitTest tests[] = {
		TEST(E13_sas_with_our_mark_and_address_go),
		TEST(E13_foreign_sas_stay),
		TEST(policies_of_single_sets_go_and_guards_and_foreign_ones_stay),
		TEST(any_number_goes),
		TEST(any_number_of_policies_goes),
		TEST(a_kernel_that_refuses_is_reported),
		TEST(each_listener_has_its_own_mark),
		TEST(the_guard_of_another_listener_is_nobodys_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
