/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/audit.c, and daemon/walk.c under it: what the kernel lost is found, what nobody owns goes,
 * what is foreign stays, and what changes in the middle of it is not mistaken for either.
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
#include "daemon/walk.h"
#include "tests/unit/world.h"

/* ---- helpers ---- */

static struct guards *guards;
static struct audit *audit;
static struct audit_report report;
static char why[400];

static int start(void **state)
{
	if (world_start(state) < 0)
		return -1;
	world.config.audit_interval_s = 300;
	if (guards_install(&fake_xfrm, &world.config, &guards, why, sizeof(why)) < 0)
		return -1;
	audit = audit_new(&world.config, world.table, guards);
	world.other_policies = 4; /* guards */
	world.other_timers = 1;   /* the next audit */
	memset(&report, 0xff, sizeof(report));
	return audit ? 0 : -1;
}

static int stop(void **state)
{
	audit_free(audit);
	guards_remove(guards);
	return world_stop(state);
}

static void steal(const struct sa_set *set, size_t sa)
{
	struct plan plan;

	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[sa].id);
}

static void put_sa(uint32_t spi, const char *src, const char *dst, uint32_t reqid)
{
	const struct xfrm_sa sa = {
		.id = {.dst = world_ip(dst), .spi = spi, .proto = IPPROTO_ESP},
		.src = world_ip(src),
		.sel = {.family = AF_INET, .src = world_ip(src), .dst = world_ip(dst)},
		.reqid = reqid,
	};

	fake_xfrm_put_sa(&sa);
}

static void run(void)
{
	audit_run(audit, &report);
	assert_int_equal(report.error, 0);
}

/* ---- what it finds ---- */

static void E13_a_kernel_that_holds_what_it_should_is_clean(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 10; i++)
		world_registered_at(i);
	world_registered_nat(0);
	run();
	assert_true(audit_is_clean(&report));
	assert_int_equal(report.sets, 11);
	assert_int_equal(report.sas, 44);
	assert_int_equal(report.foreign_sas, 0);
	assert_int_equal(world_sets(), 11);
	world_check(true);
}

static void E13_a_set_that_misses_any_of_its_sas_is_lost(void **state)
{
	(void)state;
	for (size_t sa = 0; sa < 4; sa++) {
		struct sa_set *set = world_registered_at(1), *stays = world_registered_at(2);
		const uint64_t id = set->id, stays_id = stays->id;

		steal(set, sa);
		run();
		assert_int_equal(report.lost_sets, 1);
		assert_int_equal(report.sets, 1);
		assert_false(audit_is_clean(&report));
		assert_false(world_has(id));
		assert_true(world_has(stays_id));
		assert_int_equal(fake_xfrm.sa_count, 4); /* the others of the lost set went, too */
		sa_set_drop(stays, "test");
	}
}

static void E13_sas_of_no_set_go_and_foreign_ones_stay(void **state)
{
	(void)state;
	world_registered_at(1);
	put_sa(70000, "198.51.100.9", "192.0.2.1", 33203);
	put_sa(70001, "192.0.2.1", "198.51.100.9", 33203);
	put_sa(70002, "198.51.100.9", "192.0.2.1", 33203u << 16 | 5);
	put_sa(70003, "198.51.100.9", "192.0.2.1", 1);
	put_sa(70004, "198.51.100.9", "192.0.2.99", 33203);
	put_sa(0, "192.0.2.1", "198.51.100.9", 33203);
	run();
	assert_int_equal(report.orphan_sas, 3);
	assert_int_equal(report.foreign_sas, 2);
	assert_int_equal(report.larval_sas, 1);
	assert_int_equal(report.sets, 1);
	assert_int_equal(fake_xfrm.sa_count, 7);
	fake_xfrm.sa_count = 4; /* the foreign ones go by themselves */
}

static void many_orphans_go_whatever_the_size_of_a_piece(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		put_sa(70000 + i, "198.51.100.9", "192.0.2.1", 33203);
	run();
	assert_int_equal(report.orphan_sas, 1000);
	assert_int_equal(fake_xfrm.sa_count, 0);
}

static void an_sa_that_another_program_put_in_place_of_ours_is_a_loss(void **state)
{
	struct sa_set *set = world_registered_at(1);
	struct plan plan;
	char ip[IP_TEXT_BYTES];

	(void)state;
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[0].id);
	put_sa(plan.sas[0].id.spi, ip_format(&plan.sas[0].src, ip), "192.0.2.1", 1);
	run();
	assert_int_equal(report.lost_sets, 1);
}

static void a_kernel_that_does_not_answer_loses_no_set(void **state)
{
	(void)state;
	steal(world_registered_at(1), 0);
	fake_xfrm.refuse_questions = -ENOBUFS;
	run();
	assert_int_equal(report.lost_sets, 0);
	assert_int_equal(world_sets(), 1);
}

static void missing_and_changed_policies_of_sets_come_back(void **state)
{
	struct sa_set *set = world_registered_nat(0);
	struct xfrm_policy *changed;

	(void)state;
	run();
	assert_true(audit_is_clean(&report));
	for (size_t i = 0; i < fake_xfrm.policy_count; i++) {
		if (fake_xfrm.policies[i].index == set->policy_index[2])
			fake_xfrm.policies[i--] =
				fake_xfrm.policies[--fake_xfrm.policy_count];
	}
	changed = &fake_xfrm.policies[fake_xfrm.policy_count - 1];
	changed->reqid = 1;
	run();
	assert_int_equal(report.restored_policies + report.restored_guards, 2);
	run();
	assert_true(audit_is_clean(&report));
	world_check(true);
}

/* However many sets have policies of their own: one dump tells of all. */
static void policies_that_are_there_are_not_asked_for_one_by_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		world_registered_nat(i);
	fake_xfrm_forget();
	run();
	assert_true(audit_is_clean(&report));
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_POLICY), 4); /* the guards */
	world_check(true);
}

static void an_SA_with_another_limit_gets_its_own_again(void **state)
{
	uint64_t wanted_s;

	(void)state;
	world_registered_at(0);
	world_registered_at(1);
	run();
	assert_true(audit_is_clean(&report));
	wanted_s = fake_xfrm.sas[5].sa.hard_s;
	fake_xfrm.sas[5].sa.hard_s = wanted_s - 3;
	run();
	assert_int_equal(report.restored_limits, 1);
	assert_int_equal(report.sets, 2);
	assert_int_equal(fake_xfrm.sas[5].sa.hard_s, wanted_s);
	fake_xfrm.sas[5].sa.hard_s = wanted_s + 100;
	run();
	assert_int_equal(report.restored_limits, 1);
	run();
	assert_true(audit_is_clean(&report));
	world_check(true);
}

static void guards_come_back(void **state)
{
	(void)state;
	fake_xfrm_steal_policies();
	run();
	assert_int_equal(report.restored_guards, 4);
	run();
	assert_true(audit_is_clean(&report));
}

static void policies_of_no_set_go_and_foreign_ones_stay(void **state)
{
	struct xfrm_policy policy = {
		.dir = XFRM_IN,
		.sel = {.family = AF_INET, .src = world_ip("198.51.100.9"),
			.dst = world_ip("192.0.2.1"), .sport = 1, .sport_mask = 0xffff,
			.dport = 6100, .dport_mask = 0xffff},
		.priority = 2079,
		.reqid = 33203u << 16 | 7,
	};
	size_t before;

	(void)state;
	world_registered_nat(0);
	before = fake_xfrm.policy_count;
	fake_xfrm_put_policy(&policy);
	policy.sel.sport = 2;
	policy.reqid = 1;
	fake_xfrm_put_policy(&policy);
	run();
	assert_int_equal(report.orphan_policies, 1);
	assert_int_equal(fake_xfrm.policy_count, before + 1);
	fake_xfrm.policy_count--;
}

static void a_dump_that_fails_is_told_and_nothing_is_lost(void **state)
{
	(void)state;
	steal(world_registered_at(1), 0);
	fake_xfrm.refuse_dump = -ENOBUFS;
	audit_run(audit, &report);
	assert_int_equal(report.error, -ENOBUFS);
	assert_false(audit_is_clean(&report));
	assert_int_equal(world_sets(), 1);
	fake_xfrm.refuse_dump = 0;
	run();
	assert_int_equal(report.lost_sets, 1);
}

/* ---- when it runs ---- */

static void it_runs_by_itself_after_the_interval_and_again(void **state)
{
	(void)state;
	steal(world_registered_at(1), 0);
	fake_clock_advance_s(299);
	assert_int_equal(world_sets(), 1);
	fake_clock_advance_s(1);
	assert_int_equal(world_sets(), 0);
	steal(world_registered_at(1), 0);
	fake_clock_advance_s(301);
	assert_int_equal(world_sets(), 0);
}

static void interval_0_is_never(void **state)
{
	(void)state;
	audit_free(audit);
	world.config.audit_interval_s = 0;
	audit = audit_new(&world.config, world.table, guards);
	assert_int_equal(fake_timers_armed(), 0);
	run();
	assert_int_equal(fake_timers_armed(), 0);
	steal(world_registered_at(1), 0);
	audit_soon(audit); /* 10 s after the one before */
	fake_clock_advance_s(10);
	assert_int_equal(world_sets(), 0);
	assert_int_equal(fake_timers_armed(), 0);
}

static void lost_events_bring_one_at_once_and_then_every_ten_seconds(void **state)
{
	(void)state;
	steal(world_registered_at(1), 0);
	audit_soon(audit);
	audit_soon(audit);
	fake_clock_advance_ms(1);
	assert_int_equal(world_sets(), 0);
	steal(world_registered_at(1), 0);
	audit_soon(audit);
	fake_clock_advance_s(9);
	assert_int_equal(world_sets(), 1);
	audit_soon(audit);
	fake_clock_advance_s(1);
	assert_int_equal(world_sets(), 0);
}

/* ---- in the middle of it ---- */

static struct timer probe_timer;
static struct sa_set *made, *dropped;

/* Between two turns: the dump has 8 pieces a turn, and there are more than that. */
static void in_between(void *arg)
{
	(void)arg;
	if (dropped)
		sa_set_drop(dropped, "test");
	dropped = NULL;
	if (!made)
		made = world_registered_at(200);
}

static void sets_that_come_and_go_meanwhile_are_neither_lost_nor_orphans(void **state)
{
	struct sa_set *sets[60];

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		sets[i] = world_registered_at(i + 1);
	made = NULL;
	dropped = sets[59];
	timer_init(&probe_timer, in_between, NULL);
	audit_soon(audit);
	timer_arm(&probe_timer, clock_monotonic_ms());
	fake_clock_advance_ms(1);
	assert_non_null(made);
	assert_int_equal(world_sets(), 60);
	assert_int_equal(fake_xfrm.sa_count, 240);
	world_check(true);
	run();
	assert_true(audit_is_clean(&report));
}

static struct sa_set *stolen;

/* As soon as the audit under way has seen the first set. */
static void ask_in_between(void *arg)
{
	(void)arg;
	if (stolen->seen != 0xf) {
		timer_arm(&probe_timer, clock_monotonic_ms());
		return;
	}
	steal(stolen, 0);
	stolen = NULL;
	put_sa(70000, "198.51.100.9", "192.0.2.1", 33203);
	run();
}

static void one_that_is_asked_for_sees_what_happened_under_the_one_under_way(void **state)
{
	struct sa_set *sets[60];

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		sets[i] = world_registered_at(i + 1);
	stolen = sets[0];
	timer_init(&probe_timer, ask_in_between, NULL);
	audit_soon(audit);
	timer_arm(&probe_timer, clock_monotonic_ms());
	fake_clock_advance_ms(1);
	assert_null(stolen);
	assert_int_equal(report.lost_sets, 1);
	assert_int_equal(report.orphan_sas, 1);
	assert_int_equal(report.sets, 59);
}

/* ---- walks ---- */

static void a_walk_meets_every_set_once_and_survives_their_end(void **state)
{
	struct sa_set *sets[WALK_SETS], *all[40];
	struct walk walk = {0};
	size_t met;

	(void)state;
	assert_int_equal(walk_begin(&walk, world.table), 0);
	assert_int_equal(walk_next(&walk, sets), 0);
	for (unsigned i = 0; i < 40; i++)
		all[i] = world_registered_at(i + 1);
	assert_int_equal(walk_begin(&walk, world.table), 0);
	met = walk_next(&walk, sets);
	assert_int_equal(met, WALK_SETS);
	assert_ptr_equal(sets[0], all[0]);
	sa_set_drop(all[0], "test");
	for (unsigned i = 20; i < 39; i++)
		sa_set_drop(all[i], "test");
	world_registered_at(100); /* not met */
	met = walk_next(&walk, sets);
	assert_int_equal(met, 5);
	assert_ptr_equal(sets[4], all[39]);
	assert_int_equal(walk_next(&walk, sets), 0);
	assert_null(walk.ids);
	assert_int_equal(walk_begin(&walk, world.table), 0);
	assert_int_equal(walk_begin(&walk, world.table), 0); /* nothing leaks */
	walk_end(&walk);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(E13_a_kernel_that_holds_what_it_should_is_clean),
		TEST(E13_a_set_that_misses_any_of_its_sas_is_lost),
		TEST(E13_sas_of_no_set_go_and_foreign_ones_stay),
		TEST(many_orphans_go_whatever_the_size_of_a_piece),
		TEST(an_sa_that_another_program_put_in_place_of_ours_is_a_loss),
		TEST(a_kernel_that_does_not_answer_loses_no_set),
		TEST(missing_and_changed_policies_of_sets_come_back),
		TEST(policies_that_are_there_are_not_asked_for_one_by_one),
		TEST(an_SA_with_another_limit_gets_its_own_again),
		TEST(guards_come_back),
		TEST(policies_of_no_set_go_and_foreign_ones_stay),
		TEST(a_dump_that_fails_is_told_and_nothing_is_lost),
		TEST(it_runs_by_itself_after_the_interval_and_again),
		TEST(interval_0_is_never),
		TEST(lost_events_bring_one_at_once_and_then_every_ten_seconds),
		TEST(sets_that_come_and_go_meanwhile_are_neither_lost_nor_orphans),
		TEST(one_that_is_asked_for_sees_what_happened_under_the_one_under_way),
		TEST(a_walk_meets_every_set_once_and_survives_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
