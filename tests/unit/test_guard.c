/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/guard.c: the guards of all listeners come, stay and go, and nobody else's policy does.
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

#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/plan.h"
#include "tests/unit/fake_timer.h"
#include "tests/unit/fake_xfrm.h"

/* ---- helpers ---- */

static struct config config; /* two listeners: four guards, and eight */
static struct guards *guards;
static char why[400];

static void make_listener(size_t i, const char *address, uint16_t last_port)
{
	struct config_listener *l = &config.listeners[i];

	config_listener_default(l);
	snprintf(l->name, sizeof(l->name), "l%zu", i);
	assert_int_equal(ip_parse(address, &l->address), 0);
	l->server_port = 6100;
	l->client_port_first = 6104;
	l->client_port_last = last_port;
}

static int start(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, -1);
	fake_clock_reset();
	fake_xfrm_reset();
	config_default(&config);
	make_listener(0, "192.0.2.1", 6107);
	make_listener(1, "2001:db8::1", 6106);
	config.listener_count = 2;
	guards = NULL;
	why[0] = '\0';
	return 0;
}

static int stop(void **state)
{
	(void)state;
	guards_remove(guards);
	return fake_xfrm.policy_count == 0 ? 0 : -1;
}

static int install(void)
{
	return guards_install(&fake_xfrm, &config, &guards, why, sizeof(why));
}

static struct xfrm_policy guard_of(size_t listener, size_t nth)
{
	struct xfrm_policy policies[PLAN_MAX_GUARDS];

	assert_true(nth < plan_guards(&config.listeners[listener], policies));
	return policies[nth];
}

static bool is_held(const struct xfrm_policy *policy)
{
	struct xfrm_policy found;

	return xfrm_get_policy(&fake_xfrm, policy->dir, &policy->sel, policy->if_id, &found) == 0 &&
	       xfrm_policy_equal(policy, &found);
}

static void assert_all_held(void)
{
	assert_int_equal(fake_xfrm.policy_count, 12);
	for (size_t i = 0; i < 12; i++) {
		const struct xfrm_policy guard = i < 4 ? guard_of(0, i) : guard_of(1, i - 4);

		assert_true(is_held(&guard));
	}
}

/* ---- tests ---- */

static void D4_every_listener_gets_its_guards(void **state)
{
	(void)state;
	assert_int_equal(install(), 0);
	assert_all_held();
}

static void no_listener_no_guards(void **state)
{
	(void)state;
	config.listener_count = 0;
	assert_int_equal(install(), 0);
	assert_int_equal(fake_xfrm.policy_count, 0);
}

static void removing_takes_all_of_them(void **state)
{
	(void)state;
	assert_int_equal(install(), 0);
	guards_remove(guards);
	guards = NULL;
	assert_int_equal(fake_xfrm.policy_count, 0);
	guards_remove(NULL);
}

static void guards_of_a_daemon_that_died_are_taken_over(void **state)
{
	struct xfrm_policy left = guard_of(0, 1);
	const uint32_t index = fake_xfrm_put_policy(&left);

	(void)state;
	assert_int_equal(install(), 0);
	assert_all_held();
	assert_int_equal(fake_xfrm.policies[0].index, index); /* not replaced: no hole */
	guards_remove(guards);
	guards = NULL;
	assert_int_equal(fake_xfrm.policy_count, 0);
}

static void a_strangers_policy_stops_us_and_stays(void **state)
{
	struct xfrm_policy stranger = guard_of(1, 2);

	(void)state;
	stranger.reqid = 1;
	fake_xfrm_put_policy(&stranger);
	assert_int_equal(install(), -EEXIST);
	assert_null(guards);
	assert_non_null(strstr(why, "listener l1"));
	assert_non_null(strstr(why, "another program"));
	assert_int_equal(fake_xfrm.policy_count, 1);
	assert_true(is_held(&stranger));
	fake_xfrm_steal_policies();
}

static void any_refusal_leaves_nothing_and_says_why(void **state)
{
	(void)state;
	for (size_t nth = 1; nth <= 12; nth++) {
		fake_xfrm_refuse(nth, -EPERM);
		why[0] = '\0';
		assert_int_equal(install(), -EPERM);
		assert_null(guards);
		assert_int_equal(fake_xfrm.policy_count, 0);
		assert_non_null(strstr(why, nth <= 4 ? "listener l0" : "listener l1"));
		assert_non_null(strstr(why, "Operation not permitted"));
	}
}

static void a_guard_that_somebody_deleted_comes_back(void **state)
{
	uint32_t index;

	(void)state;
	assert_int_equal(install(), 0);
	index = fake_xfrm.policies[5].index;
	fake_xfrm.policies[5] = fake_xfrm.policies[--fake_xfrm.policy_count];
	fake_xfrm_forget();
	guards_restore(guards, index);
	assert_all_held();
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_POLICY), 1);
	guards_remove(guards); /* under its new name */
	guards = NULL;
	assert_int_equal(fake_xfrm.policy_count, 0);
}

static void all_guards_come_back_after_a_flush(void **state)
{
	(void)state;
	assert_int_equal(install(), 0);
	fake_xfrm_steal_policies();
	guards_restore(guards, 0);
	assert_all_held();
}

static void a_deleted_policy_that_is_no_guard_is_none_of_our_business(void **state)
{
	(void)state;
	assert_int_equal(install(), 0);
	fake_xfrm_forget();
	guards_restore(guards, 987654);
	assert_int_equal(fake_xfrm.step_count, 0);
}

static void restoring_what_is_there_adds_nothing(void **state)
{
	(void)state;
	assert_int_equal(install(), 0);
	guards_restore(guards, 0);
	assert_all_held();
}

static void a_stranger_in_a_guards_place_is_left_alone(void **state)
{
	struct xfrm_policy stranger = guard_of(0, 0);

	(void)state;
	stranger.priority = 1;
	assert_int_equal(install(), 0);
	fake_xfrm_steal_policies();
	fake_xfrm_put_policy(&stranger);
	guards_restore(guards, 0);
	assert_int_equal(fake_xfrm.policy_count, 12);
	assert_true(is_held(&stranger));
	guards_remove(guards);
	guards = NULL;
	assert_int_equal(fake_xfrm.policy_count, 1);
	assert_true(is_held(&stranger));
	fake_xfrm_steal_policies();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(D4_every_listener_gets_its_guards),
		TEST(no_listener_no_guards),
		TEST(removing_takes_all_of_them),
		TEST(guards_of_a_daemon_that_died_are_taken_over),
		TEST(a_strangers_policy_stops_us_and_stays),
		TEST(any_refusal_leaves_nothing_and_says_why),
		TEST(a_guard_that_somebody_deleted_comes_back),
		TEST(all_guards_come_back_after_a_flush),
		TEST(a_deleted_policy_that_is_no_guard_is_none_of_our_business),
		TEST(restoring_what_is_there_adds_nothing),
		TEST(a_stranger_in_a_guards_place_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
