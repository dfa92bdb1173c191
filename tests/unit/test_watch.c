/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/watch.c and daemon/upkeep.c: what the kernel says by itself, and what becomes of the sets
 * then. The socket is a pipe that is readable when there is something; xfrm/event.c and
 * daemon/clock.c are stood for by functions here.
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

#include <fcntl.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/watch.h"
#include "tests/unit/world.h"

/* ---- stand-ins ---- */

static int pipe_fds[2];
static size_t asked_rcvbuf;
static struct xfrm_event pending[8];
static size_t pending_count;
static int read_error, clock_error;
static void (*clock_stepped)(void *arg);
static void *clock_arg;

int xfrm_events_open(size_t rcvbuf_bytes, struct xfrm_events **ret)
{
	asked_rcvbuf = rcvbuf_bytes;
	*ret = (struct xfrm_events *)pipe_fds;
	return 0;
}

void xfrm_events_close(struct xfrm_events *e)
{
	(void)e;
}

int xfrm_events_fd(const struct xfrm_events *e)
{
	(void)e;
	return pipe_fds[0];
}

int xfrm_events_read(struct xfrm_events *e, size_t max,
		     void (*each)(const struct xfrm_event *event, void *arg), void *arg)
{
	char byte;

	(void)e;
	assert_in_range(max, 1, 1024); /* a storm must not starve the loop */
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	for (size_t i = 0; i < pending_count; i++)
		each(&pending[i], arg);
	pending_count = 0;
	return read_error;
}

int clock_watch_open(struct event_base *loop, void (*stepped)(void *arg), void *arg,
		     struct clock_watch **ret)
{
	(void)loop;
	(void)ret;
	clock_stepped = stepped;
	clock_arg = arg;
	return clock_error;
}

void clock_watch_close(struct clock_watch *clock)
{
	(void)clock;
}

/* ---- helpers ---- */

static struct event_base *loop;
static struct watch *watch;
static struct watch_targets to;

static int start(void **state)
{
	char why[400];

	if (world_start(state) < 0 || pipe2(pipe_fds, O_NONBLOCK) < 0)
		return -1;
	pending_count = 0;
	read_error = clock_error = 0;
	loop = event_base_new();
	to.table = world.table;
	to.upkeep = upkeep_new(world.table);
	if (guards_install(&fake_xfrm, &world.config, &to.guards, why, sizeof(why)) < 0)
		return -1;
	to.audit = audit_new(&world.config, world.table, to.guards);
	world.other_policies = 4;
	world.other_timers = 1;
	return watch_open(loop, &to, &watch);
}

static int stop(void **state)
{
	watch_close(watch);
	audit_free(to.audit);
	upkeep_free(to.upkeep);
	guards_remove(to.guards);
	event_base_free(loop);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return world_stop(state);
}

static void happens(const struct xfrm_event *event)
{
	pending[pending_count++] = *event;
	assert_int_equal(write(pipe_fds[1], "", 1), 1);
	assert_true(event_base_loop(loop, EVLOOP_NONBLOCK) >= 0);
}

static void step_clock(int64_t s)
{
	fake_clock_step_s(s);
	clock_stepped(clock_arg);
	fake_clock_advance_ms(1);
}

static struct xfrm_policy *held(uint32_t index)
{
	for (size_t i = 0; i < fake_xfrm.policy_count; i++) {
		if (fake_xfrm.policies[i].index == index)
			return &fake_xfrm.policies[i];
	}
	return NULL;
}

static struct xfrm_policy take(uint32_t index)
{
	struct xfrm_policy *policy = held(index), copy;

	assert_non_null(policy);
	copy = *policy;
	*policy = fake_xfrm.policies[--fake_xfrm.policy_count];
	return copy;
}

static struct xfrm_event expired(const struct xfrm_sa_id *sa)
{
	return (struct xfrm_event){.kind = XFRM_EVENT_EXPIRED, .sa = *sa, .reqid = 33203};
}

/* ---- the clock ---- */

static void a_step_of_the_clock_pins_every_limit_again(void **state)
{
	static const int64_t STEPS_S[] = {3600, -3600, 1, -100, 86400 * 365};

	(void)state;
	for (unsigned i = 1; i <= 50; i++)
		world_registered_at(i);
	world_registered_nat(0);
	fake_clock_advance_s(500);
	for (size_t i = 0; i < sizeof(STEPS_S) / sizeof(STEPS_S[0]); i++) {
		step_clock(STEPS_S[i]);
		world_check(true);
		assert_int_equal(world_sets(), 51);
	}
}

static void limits_go_out_in_datagrams_of_64_messages_at_most(void **state)
{
	size_t in_datagram[64] = {0};
	uint64_t first;

	(void)state;
	for (unsigned i = 1; i <= 50; i++)
		world_registered_at(i);
	fake_xfrm_forget();
	first = fake_xfrm.datagrams + 1;
	step_clock(3600);
	assert_int_equal(fake_xfrm.datagrams - first + 1, 4); /* 16 sets each */
	assert_int_equal(fake_xfrm_steps(FAKE_CHANGE_SA), 200);
	for (size_t i = 0; i < 200; i++)
		in_datagram[fake_xfrm_step(FAKE_CHANGE_SA, i)->datagram - first]++;
	assert_int_equal(in_datagram[0], 64);
	assert_int_equal(in_datagram[3], 8);
}

/* A limit before add_time cannot be said: the kernel's is late, never early, and our timer works. */
static void a_step_far_back_loses_no_set_and_the_daemons_timer_works(void **state)
{
	struct sa_set *set = world_registered_at(1);
	const uint64_t id = set->id;

	(void)state;
	step_clock(-10 * 365 * 86400);
	assert_true(world_kernel_left_s(set) >= sa_set_left_s(set));
	fake_clock_advance_s(sa_set_left_s(set) - 1);
	assert_true(world_has(id));
	fake_clock_advance_s(1);
	assert_false(world_has(id));
}

static void a_set_that_a_step_shows_to_be_gone_is_lost_and_the_others_are_pinned(void **state)
{
	struct sa_set *set = world_registered_at(1);
	const uint64_t id = set->id;
	struct plan plan;

	(void)state;
	for (unsigned i = 2; i <= 20; i++)
		world_registered_at(i);
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[1].id);
	step_clock(7200);
	assert_false(world_has(id));
	assert_int_equal(world_sets(), 19);
	world_check(true);
}

static void a_kernel_that_refuses_limits_keeps_the_sets(void **state)
{
	(void)state;
	world_registered_at(1);
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, -ENOMEM);
	step_clock(7200);
	assert_int_equal(world_sets(), 1);
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, 0);
}

/* ---- SAs ---- */

static void a_hard_limit_ends_the_set_at_once(void **state)
{
	struct sa_set *set = world_registered_at(1), *stays = world_registered_at(2);
	struct xfrm_event event;
	struct plan plan;

	(void)state;
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count; i++)
		fake_xfrm_steal_sa(&plan.sas[i].id);
	event = expired(&plan.sas[0].id);
	happens(&event);
	event = expired(&plan.sas[1].id); /* the others' events find no set */
	happens(&event);
	assert_int_equal(world_sets(), 1);
	assert_ptr_equal(world.table->sets, stays);
	world_check(true);
}

static void expiries_of_foreign_sas_are_none_of_our_business(void **state)
{
	struct sa_set *set = world_registered_at(1);
	const struct xfrm_sa_id theirs[] = {
		{.dst = world_ip("192.0.2.99"), .spi = set->pcscf.spi_s, .proto = IPPROTO_ESP},
		{.dst = world_ip("192.0.2.1"), .spi = set->pcscf.spi_s ^ 1, .proto = IPPROTO_ESP},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct xfrm_event event = expired(&theirs[i]);

		happens(&event);
	}
	assert_int_equal(world_sets(), 1);
}

static void N4_a_mapping_moves_the_set(void **state)
{
	struct sa_set *set = world_registered_nat(0);
	const struct xfrm_event event = {
		.kind = XFRM_EVENT_MAPPING,
		.sa = {.dst = world_ip("192.0.2.1"), .spi = set->pcscf.spi_s, .proto = IPPROTO_ESP},
		.new_addr = set->ue_address,
		.new_port = 23006,
	};

	(void)state;
	happens(&event);
	assert_int_equal(set->encap_remote_port, 23006);
	world_check(true);
}

/* ---- policies ---- */

static void a_flush_brings_guards_and_sets_policies_back(void **state)
{
	static const struct xfrm_event event = {.kind = XFRM_EVENT_POLICIES_FLUSHED};

	(void)state;
	world_registered_at(1);
	world_registered_nat(0);
	world_registered_nat(1);
	fake_xfrm_steal_policies();
	happens(&event);
	fake_clock_advance_ms(1);
	assert_int_equal(fake_xfrm.policy_count, 12);
	world_check(true);
}

static void a_set_that_goes_after_a_flush_takes_its_new_policies_along(void **state)
{
	static const struct xfrm_event event = {.kind = XFRM_EVENT_POLICIES_FLUSHED};
	struct sa_set *set = world_registered_nat(0);

	(void)state;
	fake_xfrm_steal_policies();
	happens(&event);
	fake_clock_advance_ms(1);
	sa_set_drop(set, "test");
	assert_int_equal(fake_xfrm.policy_count, 4);
}

static void one_deleted_policy_of_a_set_comes_back(void **state)
{
	struct sa_set *set = world_registered_nat(0);

	(void)state;
	world_registered_nat(1);
	for (size_t i = 0; i < 4; i++) {
		const struct xfrm_event event = {.kind = XFRM_EVENT_POLICY_DELETED,
						 .policy = take(set->policy_index[i])};

		fake_xfrm_forget();
		happens(&event);
		assert_non_null(held(set->policy_index[i]));
		world_check(true);
	}
}

static void our_own_deletions_bring_nothing_back(void **state)
{
	struct sa_set *set = world_registered_nat(0);
	struct xfrm_event event = {.kind = XFRM_EVENT_POLICY_DELETED,
				   .policy = *held(set->policy_index[0])};

	(void)state;
	sa_set_drop(set, "test");
	happens(&event);
	assert_int_equal(fake_xfrm.policy_count, 4);
}

static void a_deleted_guard_comes_back(void **state)
{
	struct xfrm_event event = {.kind = XFRM_EVENT_POLICY_DELETED,
				   .policy = take(fake_xfrm.policies[1].index)};

	(void)state;
	happens(&event);
	assert_int_equal(fake_xfrm.policy_count, 4);
	world_check(true);
}

static struct xfrm_event change(struct xfrm_policy *policy)
{
	policy->reqid = 1;
	return (struct xfrm_event){.kind = XFRM_EVENT_POLICY_CHANGED, .policy = *policy};
}

static void a_guard_that_somebody_changed_is_put_right(void **state)
{
	struct xfrm_event event = change(&fake_xfrm.policies[2]);

	(void)state;
	happens(&event);
	assert_int_equal(fake_xfrm.policy_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fake_xfrm.policies[i].reqid, 33203);
}

/* Two programs must not keep undoing each other: the second time within 10 s waits. */
static void a_guard_that_is_changed_again_waits_for_the_audit(void **state)
{
	struct xfrm_event event = change(&fake_xfrm.policies[2]);
	struct xfrm_policy *again;

	(void)state;
	happens(&event);
	again = held(fake_xfrm.last_index);
	event = change(again);
	happens(&event);
	assert_int_equal(held(fake_xfrm.last_index)->reqid, 1);
	fake_clock_advance_s(10);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fake_xfrm.policies[i].reqid, 33203);
}

static void a_sets_policy_that_somebody_changed_is_put_right_by_an_audit(void **state)
{
	struct sa_set *set = world_registered_nat(0);
	struct xfrm_event event = change(held(set->policy_index[1]));

	(void)state;
	happens(&event);
	fake_clock_advance_ms(1);
	assert_int_equal(held(set->policy_index[1])->reqid, set->reqid);
	world_check(true);
}

static void foreign_policies_may_change_and_go(void **state)
{
	struct xfrm_policy policy = fake_xfrm.policies[0];
	struct xfrm_event event = {.kind = XFRM_EVENT_POLICY_CHANGED};

	(void)state;
	policy.index = 999999;
	policy.sel.dport = 9;
	event.policy = policy;
	fake_xfrm_forget();
	happens(&event);
	event.kind = XFRM_EVENT_POLICY_DELETED;
	happens(&event);
	fake_clock_advance_ms(1);
	assert_int_equal(fake_xfrm.step_count, 0);
}

/* ---- loss ---- */

static void lost_events_are_made_up_for_by_an_audit(void **state)
{
	static const struct xfrm_event event = {.kind = XFRM_EVENT_LOST};
	struct sa_set *set = world_registered_at(1);
	struct plan plan;

	(void)state;
	world_registered_nat(0);
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[3].id);
	fake_xfrm_steal_policies();
	happens(&event);
	assert_int_equal(fake_xfrm.policy_count, 4); /* guards at once */
	fake_clock_advance_ms(1);
	assert_int_equal(world_sets(), 1);
	world_check(true);
}

static void the_buffer_holds_twenty_thousand_expiries(void **state)
{
	(void)state;
	assert_true(asked_rcvbuf >= 20000 * 1340); /* 1.3 KiB each (measured) */
}

static void a_broken_socket_ends_the_reading(void **state)
{
	static const struct xfrm_event event = {.kind = XFRM_EVENT_LOST};

	(void)state;
	read_error = -EBADF;
	happens(&event);
	assert_int_equal(write(pipe_fds[1], "", 1), 1);
	pending_count = 1;
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(pending_count, 1); /* not read */
}

static void no_clock_to_watch_is_an_error(void **state)
{
	struct watch *none = NULL;

	(void)state;
	clock_error = -EMFILE;
	assert_int_equal(watch_open(loop, &to, &none), -EMFILE);
	assert_null(none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_step_of_the_clock_pins_every_limit_again),
		TEST(limits_go_out_in_datagrams_of_64_messages_at_most),
		TEST(a_step_far_back_loses_no_set_and_the_daemons_timer_works),
		TEST(a_set_that_a_step_shows_to_be_gone_is_lost_and_the_others_are_pinned),
		TEST(a_kernel_that_refuses_limits_keeps_the_sets),
		TEST(a_hard_limit_ends_the_set_at_once),
		TEST(expiries_of_foreign_sas_are_none_of_our_business),
		TEST(N4_a_mapping_moves_the_set),
		TEST(a_flush_brings_guards_and_sets_policies_back),
		TEST(a_set_that_goes_after_a_flush_takes_its_new_policies_along),
		TEST(one_deleted_policy_of_a_set_comes_back),
		TEST(our_own_deletions_bring_nothing_back),
		TEST(a_deleted_guard_comes_back),
		TEST(a_guard_that_somebody_changed_is_put_right),
		TEST(a_guard_that_is_changed_again_waits_for_the_audit),
		TEST(a_sets_policy_that_somebody_changed_is_put_right_by_an_audit),
		TEST(foreign_policies_may_change_and_go),
		TEST(lost_events_are_made_up_for_by_an_audit),
		TEST(the_buffer_holds_twenty_thousand_expiries),
		TEST(a_broken_socket_ends_the_reading),
		TEST(no_clock_to_watch_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
