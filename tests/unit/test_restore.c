/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/restore.c, with the audit that follows it at start: a daemon that goes on
 * where another one stopped or died.
 *
 * The kill test: the daemon dies before each datagram to the kernel and before each commit of the
 * store that an operation makes, in turn. After the next start all is as before the operation or as
 * after it, kernel, store and tables agree, and the operation can be done again.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/audit.h"
#include "daemon/event.h"
#include "daemon/restore.h"
#include "daemon/set_record.h"
#include "tests/unit/world.h"

/* ---- one run of the daemon after another ---- */

static struct guards *guards;
static struct audit *audit;
static struct restored restored;
static struct audit_report report;
static char why[400];

static void leave(void)
{
	fake_xfrm_die_after(SIZE_MAX);
	audit_free(audit);
	guards_free(guards);
	sa_table_free(world.table);
	audit = NULL;
	guards = NULL;
	world.table = NULL;
	assert_int_equal(fake_timers_armed(), 0);
}

static int try_start(void)
{
	int err;

	world.table = sa_table_new(&fake_xfrm, world.config.max_sets);
	world.table->store = &fake_store;
	why[0] = '\0';
	err = restore(world.table, &world.config, &guards, &restored, why, sizeof(why));
	if (err)
		return err;
	audit = audit_new(&world.config, world.table, guards);
	audit_run(audit, &report);
	fake_clock_advance_ms(0);
	return 0;
}

static void start_again(void)
{
	if (try_start() < 0)
		fail_msg("%s", why);
	assert_int_equal(report.error, 0);
}

static void restart(void)
{
	leave();
	start_again();
}

static int start(void **state)
{
	if (world_start(state) < 0)
		return -1;
	event_reset();
	world.config.audit_interval_s = 0;
	world.other_policies = 4; /* guards */
	sa_table_free(world.table);
	start_again();
	return 0;
}

static int stop(void **state)
{
	audit_free(audit);
	sa_table_drop_all(world.table, "test");
	guards_remove(guards);
	audit = NULL;
	guards = NULL;
	return world_stop(state);
}

/* ---- all sets, as text ---- */

struct listing {
	char text[2048];
};

static int by_serial(const void *a, const void *b)
{
	const struct sa_set *const *x = a, *const *y = b;

	return ((*x)->serial > (*y)->serial) - ((*x)->serial < (*y)->serial);
}

static struct listing list(void)
{
	const struct sa_set *sets[64], *set;
	struct listing listing = {.text = ""};
	size_t count = 0, n = 0;

	for (set = world.table->sets; set; set = set->hh.next)
		sets[count++] = set;
	if (count)
		qsort(sets, count, sizeof(sets[0]), by_serial);
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(listing.text + n, sizeof(listing.text) - n,
				      "%s %s %u s%s%s port %u;", sets[i]->impi,
				      sa_set_state_name(sets[i]->state), sa_set_left_s(sets[i]),
				      sets[i]->aborted ? " aborted" : "",
				      sets[i]->yields ? " yields" : "",
				      sets[i]->encap_remote_port);
	return listing;
}

/* ---- operations ---- */

static struct sa_set *set_in(enum sa_set_state state)
{
	struct sa_set *set = world.table->sets;

	while (set && set->state != state)
		set = set->hh.next;
	return set;
}

static void create(const struct sa_set_request *request)
{
	struct sa_set *set;

	sa_set_create(world.table, request, &set, &world.refusal);
}

static void prepare_nothing(void)
{
}

static void prepare_temporary(void)
{
	const struct sa_set_request request = world_request();

	world_create(&request);
}

static void prepare_current(void)
{
	world_registered();
}

static void prepare_over(void)
{
	const struct sa_set_request request = world_request_again(world_registered());

	world_create(&request);
}

static void prepare_new(void)
{
	world_reregistered(world_registered());
}

static void prepare_all(void)
{
	const struct sa_set_request request = world_request_again(world_reregistered(
		world_registered()));

	world_create(&request);
}

static void prepare_nat(void)
{
	const struct sa_set_request request = world_request_nat(0);

	world_confirm(world_create(&request));
	sa_set_moved(set_in(SA_SET_CURRENT), 4500);
}

static void do_first_offer(void)
{
	const struct sa_set_request request = world_request();

	create(&request);
}

static void do_second_offer(void)
{
	const struct sa_set_request request = world_request_again(NULL);

	create(&request);
}

static void do_nat_offer(void)
{
	const struct sa_set_request request = world_request_nat(1);

	create(&request);
}

/* The phone has lost its state and comes back with its ports: the sets share policies. */
static void do_nat_return(void)
{
	struct sa_set_request request = world_request_nat(0);

	request.ue.spi_c++;
	request.ue.spi_s++;
	create(&request);
}

static void do_confirm(void)
{
	struct sa_set *set = set_in(SA_SET_TEMPORARY);

	if (set)
		sa_set_confirm(set, WORLD_EXPIRES_S, &world.refusal);
}

static void do_extend(void)
{
	if (set_in(SA_SET_CURRENT))
		sa_set_extend(set_in(SA_SET_CURRENT), 2 * WORLD_EXPIRES_S, &world.refusal);
}

static void do_use(void)
{
	if (set_in(SA_SET_NEW))
		sa_set_used(set_in(SA_SET_NEW));
}

static void do_release(void)
{
	struct sa_set *set = set_in(SA_SET_NEW) ? set_in(SA_SET_NEW) : set_in(SA_SET_CURRENT);

	if (set)
		sa_set_release(set, 0);
}

static void do_release_slowly(void)
{
	if (set_in(SA_SET_NEW))
		sa_set_release(set_in(SA_SET_NEW), 5);
}

static void do_end_by_network(void)
{
	if (world.table->sets)
		sa_contact_release(world.table->sets->contact, 3);
}

static void do_abort(void)
{
	struct sa_set *set = set_in(SA_SET_TEMPORARY);

	if (set && !set->aborted)
		sa_set_abort(set);
}

static void do_fail(void)
{
	if (set_in(SA_SET_TEMPORARY))
		sa_set_drop(set_in(SA_SET_TEMPORARY), "failed");
}

static void do_move(void)
{
	if (set_in(SA_SET_CURRENT))
		sa_set_moved(set_in(SA_SET_CURRENT), 4711);
}

static void do_grow_old(void)
{
	fake_clock_advance_s(240);
}

static const struct operation {
	const char *name;
	void (*prepare)(void);
	void (*perform)(void);
	bool has_step; /* the earlier challenge ends before the new one begins */
} OPERATIONS[] = {
	{"first offer", prepare_nothing, do_first_offer, false},
	{"another phone's offer", prepare_current, do_nat_offer, false},
	{"new challenge", prepare_temporary, do_second_offer, true},
	{"offer over a set", prepare_new, do_second_offer, false},
	{"offer behind a NAT", prepare_nothing, do_nat_offer, false},
	{"return behind a NAT", prepare_nat, do_nat_return, false},
	{"confirm", prepare_temporary, do_confirm, false},
	{"confirm over a set", prepare_over, do_confirm, false},
	{"confirm over a set, with an old one", prepare_all, do_confirm, false},
	{"extend", prepare_current, do_extend, false},
	{"extend behind a NAT", prepare_nat, do_extend, false},
	{"use", prepare_new, do_use, false},
	{"use beside a challenge", prepare_all, do_use, false},
	{"release", prepare_current, do_release, false},
	{"release of all", prepare_all, do_release, false},
	{"release with time to answer", prepare_all, do_release_slowly, false},
	{"release behind a NAT", prepare_nat, do_release, false},
	{"end by the network", prepare_all, do_end_by_network, false},
	{"abort", prepare_all, do_abort, false},
	{"fail", prepare_over, do_fail, false},
	{"move", prepare_nat, do_move, false},
	{"expire", prepare_temporary, do_grow_old, false},
};

/* In a world of its own. Returns false when the operation was over before the daemon died. */
static bool dies_after(const struct operation *o, size_t moments, struct listing *before,
		       struct listing *after)
{
	bool died;

	o->prepare();
	*before = list();
	fake_xfrm_die_after(moments);
	o->perform();
	died = fake_xfrm_die_after(SIZE_MAX);
	if (died) {
		restart();
		assert_int_equal(report.lost_sets, 0); /* nobody is told of a loss that is none */
	}
	fake_clock_advance_ms(0); /* what is due at once */
	*after = list();
	world_check(true);
	return died;
}

static void anew(void)
{
	assert_int_equal(stop(NULL), 0);
	assert_int_equal(start(NULL), 0);
}

static void assert_one_of(const struct operation *o, size_t moments, const struct listing *is,
			  const struct listing *before, const struct listing *after)
{
	if (strcmp(is->text, before->text) != 0 && strcmp(is->text, after->text) != 0 &&
	    !(o->has_step && !is->text[0]))
		fail_msg("%s, killed after %zu moments: \"%s\" is neither \"%s\" nor \"%s\"",
			 o->name, moments, is->text, before->text, after->text);
}

/* Done again, it comes to what it would have come to. */
static void assert_goes_on(const struct operation *o, const struct listing *after)
{
	struct listing now;

	o->perform();
	fake_clock_advance_ms(0);
	now = list();
	if (o->perform != do_grow_old && strcmp(now.text, after->text) != 0)
		fail_msg("%s, done again: \"%s\" is not \"%s\"", o->name, now.text, after->text);
	world_check(true);
}

static void E13_killed_at_any_moment_it_is_all_or_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(OPERATIONS) / sizeof(OPERATIONS[0]); i++) {
		const struct operation *o = &OPERATIONS[i];
		struct listing before, after, is;
		size_t moments = 0;

		assert_false(dies_after(o, 1000, &before, &after));
		for (;; moments++) {
			anew();
			if (!dies_after(o, moments, &before, &is))
				break;
			assert_one_of(o, moments, &is, &before, &after);
			assert_goes_on(o, &after);
		}
		assert_in_range(moments, 2, 60);
		anew();
	}
}

/* ---- what comes back ---- */

static size_t records(uint8_t *ret)
{
	size_t n = 0;

	for (const struct fake_record *one = fake_store.committed; one; one = one->next) {
		memcpy(ret + n, one->data, one->bytes);
		n += one->bytes;
	}
	return n;
}

static void E13_sets_come_back_as_they_were(void **state)
{
	static uint8_t before[20000], after[20000];
	struct sa_set_request nat = world_request_nat(1), pair = world_request_rfc3329(5062, 0);
	struct sa_set *set;
	size_t n;

	(void)state;
	pair.impi = "pair@ims.example";
	pair.ue_address = world_ip("198.51.100.8");
	prepare_all();
	sa_set_abort(set_in(SA_SET_TEMPORARY));
	world_confirm(world_create(&nat));
	set = world_create(&pair);
	set->transaction = 4711;
	sa_set_keep(set);
	world_check(true);
	fake_xfrm_forget();
	n = records(before);
	restart();
	assert_int_equal(restored.sets, 5);
	assert_true(audit_is_clean(&report));
	assert_int_equal(records(after), n);
	assert_memory_equal(before, after, n);
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_SA) + fake_xfrm_steps(FAKE_DELETE_SA) +
				 fake_xfrm_steps(FAKE_CHANGE_SA), 0);
	world_check(true);
}

static void a_set_that_came_back_lives_on(void **state)
{
	struct sa_set *set = world_registered(), *fresh;
	const uint64_t id = set->id, deadline_ms = set->deadline_ms;
	const uint32_t spi = set->pcscf.spi_s;
	uint64_t fresh_id;

	(void)state;
	fake_clock_advance_s(100);
	restart();
	set = sa_table_by_id(world.table, id);
	assert_int_equal(set->deadline_ms, deadline_ms);
	assert_ptr_equal(sa_table_by_spi(world.table, spi), set);
	fresh = world_reregistered(set);
	assert_int_equal(fresh->serial, set->serial + 1);
	assert_int_not_equal(fresh->pcscf.port_c, set->pcscf.port_c);
	fresh_id = fresh->id;
	restart();
	sa_set_used(sa_table_by_id(world.table, fresh_id));
	assert_int_equal(sa_table_by_id(world.table, id)->state, SA_SET_OLD);
	fake_clock_advance_s(128);
	assert_false(world_has(id));
	fake_clock_advance_s(WORLD_EXPIRES_S);
	assert_int_equal(world_sets(), 0);
	world_check(true);
}

static void a_retransmission_across_a_restart_is_one(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *set;
	uint64_t id;

	(void)state;
	request.transaction = 99;
	id = world_create(&request)->id;
	restart();
	assert_int_equal(sa_set_create(world.table, &request, &set, &world.refusal), 0);
	assert_int_equal(set->id, id);
}

static void E13_time_goes_on_while_nobody_is_there(void **state)
{
	const uint64_t gone = world_registered()->id;
	struct sa_set_request request = world_request_nat(0);
	uint64_t kept;

	(void)state;
	kept = world_create(&request)->id;
	sa_set_confirm(sa_table_by_id(world.table, kept), 2 * WORLD_EXPIRES_S, &world.refusal);
	leave();
	fake_clock_advance_s(WORLD_EXPIRES_S + 31);
	start_again();
	assert_int_equal(restored.expired, 1);
	assert_false(world_has(gone));
	assert_true(world_has(kept));
	assert_int_equal(report.lost_sets, 0);
	world_check(true);
}

static void a_step_of_the_clock_meanwhile_changes_no_life(void **state)
{
	const uint64_t id = world_registered()->id;

	(void)state;
	leave();
	fake_clock_step_s(86400);
	start_again();
	assert_true(world_has(id));
	assert_int_equal(sa_set_left_s(sa_table_by_id(world.table, id)), WORLD_EXPIRES_S + 30);
	world_check(true);
}

static void E13_a_set_that_the_kernel_lost_is_forgotten(void **state)
{
	const struct sa_set *set = world_registered();
	const uint64_t lost = set->id;
	const struct sa_set_request other = world_request_nat(0);
	struct plan plan;
	uint64_t kept;

	(void)state;
	kept = world_create(&other)->id;
	sa_set_plan(set, &plan);
	leave();
	fake_xfrm_steal_sa(&plan.sas[2].id);
	start_again();
	assert_int_equal(report.lost_sets, 1);
	assert_false(world_has(lost));
	assert_true(world_has(kept));
	world_check(true);
}

static void stolen_policies_of_a_set_are_put_back(void **state)
{
	const struct sa_set_request request = world_request_nat(0);

	(void)state;
	world_confirm(world_create(&request));
	leave();
	fake_xfrm_steal_policies();
	start_again();
	assert_int_equal(report.restored_policies, 4);
	world_check(true);
}

static void E13_what_is_of_no_set_goes_and_strangers_stay(void **state)
{
	const struct xfrm_sa orphan = {.id = {world_ip("192.0.2.1"), 4711, IPPROTO_ESP},
				       .src = world_ip("198.51.100.9"),
				       .reqid = 33203};
	struct xfrm_sa stranger = orphan;

	(void)state;
	stranger.id.spi = 4712;
	stranger.reqid = 1;
	world_registered();
	leave();
	fake_xfrm_put_sa(&orphan);
	fake_xfrm_put_sa(&stranger);
	start_again();
	assert_int_equal(report.orphan_sas, 1);
	assert_null(fake_xfrm_sa(&orphan.id));
	assert_non_null(fake_xfrm_sa(&stranger.id));
	fake_xfrm_steal_sa(&stranger.id);
	world_check(true);
}

/* ---- another configuration ---- */

static void reqid(struct config_listener *l)
{
	l->reqid = 7;
}

static void server_port(struct config_listener *l)
{
	l->server_port = 6099;
}

static void client_ports(struct config_listener *l)
{
	l->client_port_first = 6200;
	l->client_port_last = 6203;
}

static void address(struct config_listener *l)
{
	l->address = world_ip("192.0.2.99");
}

static void name(struct config_listener *l)
{
	snprintf(l->name, sizeof(l->name), "other");
}

static void own_policies(struct config_listener *l)
{
	l->policies = CONFIG_POLICIES_PER_SET;
}

static void relaxed(struct config_listener *l)
{
	l->selectors = CONFIG_SELECTORS_RELAXED;
}

static void E13_sets_whose_listener_has_changed_are_dropped(void **state)
{
	static void (*const CHANGES[])(struct config_listener *l) = {
		reqid, server_port, client_ports, address, name, own_policies, relaxed};

	(void)state;
	for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
		prepare_new();
		leave();
		CHANGES[i](world.listener);
		start_again();
		assert_int_equal(restored.changed, 2);
		assert_int_equal(world_sets(), 0);
		world_check(true); /* the guards are those of the new listener alone */
		assert_int_equal(fake_store_listeners(), 1);
		anew();
	}
}

static void a_listener_that_is_gone_leaves_nothing(void **state)
{
	(void)state;
	prepare_new();
	leave();
	world.config.listener_count = 0;
	start_again();
	assert_int_equal(restored.changed, 2);
	assert_int_equal(fake_xfrm.sa_count, 0);
	assert_int_equal(fake_xfrm.policy_count, 0);
	assert_int_equal(fake_store_listeners(), 0);
	world.config.listener_count = 1;
}

static void changes_that_do_not_concern_a_set_leave_it(void **state)
{
	const uint64_t id = world_registered()->id;

	(void)state;
	leave();
	world.listener->priority = 100; /* of the guards alone */
	world.listener->encap_port = 4501;
	world.listener->client_port_first = 6101;
	world.listener->client_port_last = 6108;
	world.listener->timers.old_set_s = 5;
	start_again();
	assert_true(world_has(id));
	world.other_policies = 18; /* 8 ports from 6101 on need one each */
	world_check(true);
}

static void priority_and_encap_port_concern_a_set_behind_a_nat(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		prepare_nat();
		leave();
		if (i)
			world.listener->priority = 100;
		else
			world.listener->encap_port = 4501;
		start_again();
		assert_int_equal(restored.changed, 1);
		world_check(true);
		anew();
	}
}

/* What a set of a changed listener leaves, no audit would know. */
static void policies_that_cannot_be_listed_go_with_their_set_all_the_same(void **state)
{
	(void)state;
	prepare_nat();
	leave();
	world.listener->priority = 100;
	fake_xfrm.refuse_policy_dump = -ENOBUFS;
	assert_int_equal(try_start(), 0);
	assert_int_equal(report.error, -ENOBUFS);
	assert_int_equal(restored.changed, 1);
	world_check(true);
	fake_xfrm.refuse_policy_dump = 0;
}

/* Two changes, and a kill between: nothing of the first is forgotten. */
static void guards_of_a_start_that_was_killed_go_too(void **state)
{
	(void)state;
	for (size_t moments = 0; moments < 14; moments++) {
		leave();
		server_port(world.listener);
		client_ports(world.listener);
		fake_xfrm_die_after(moments);
		try_start();
		if (guards)
			leave();
		else
			sa_table_free(world.table);
		fake_xfrm_die_after(SIZE_MAX);
		address(world.listener);
		start_again();
		world_check(true);
		assert_int_equal(fake_store_listeners(), 1);
		anew();
	}
}

static void a_stranger_in_a_past_guards_place_stays(void **state)
{
	struct xfrm_policy guard[PLAN_MAX_GUARDS];

	(void)state;
	plan_guards(world.listener, guard);
	leave();
	fake_xfrm_steal_policies();
	guard[0].priority = 1;
	fake_xfrm_put_policy(&guard[0]);
	address(world.listener);
	start_again();
	world.other_policies = 5;
	world_check(true);
	fake_xfrm.policies[0] = fake_xfrm.policies[--fake_xfrm.policy_count];
}

/* ---- bad records ---- */

static size_t copy_record(uint8_t *ret)
{
	const struct fake_record *one = fake_store_record(world.table->sets->serial, 0);

	memcpy(ret, one->data, one->bytes);
	return one->bytes;
}

/* Whatever is wrong with a record: kernel, store and tables agree after the start. */
static void a_damaged_record_is_forgotten_or_harmless(void **state)
{
	uint8_t good[4096], bad[4096];
	size_t n;

	(void)state;
	prepare_nat();
	n = copy_record(good);
	for (size_t i = 0; i < n; i++) {
		leave();
		memcpy(bad, good, n);
		bad[i] ^= 0xff;
		fake_store_set(1, bad, n);
		start_again();
		world_check(false);
		assert_int_equal(restored.sets + restored.refused + restored.changed +
					 restored.expired, 1);
		anew();
		prepare_nat();
		n = copy_record(good);
	}
}

static void a_refused_record_is_said_and_its_sas_go(void **state)
{
	uint8_t bytes[4096];
	size_t n;

	(void)state;
	world_registered();
	n = copy_record(bytes);
	leave();
	bytes[0] = SET_RECORD_VERSION + 1;
	fake_store_set(1, bytes, n);
	start_again();
	assert_int_equal(restored.refused, 1);
	assert_int_equal(event_total(EVENT_RECORD_REFUSED), 1);
	assert_int_equal(report.orphan_sas, 4);
	world_check(true);
}

static void a_second_record_of_the_same_set_is_refused(void **state)
{
	uint8_t bytes[4096];
	size_t n;

	(void)state;
	world_registered();
	n = copy_record(bytes);
	leave();
	fake_store_set(5, bytes, n); /* the same id */
	bytes[8] ^= 1;
	fake_store_set(6, bytes, n); /* another id, the same SPIs */
	start_again();
	assert_int_equal(restored.sets, 1);
	assert_int_equal(restored.refused, 2);
	world_check(true);
}

static void a_bad_listener_is_forgotten_with_its_sets(void **state)
{
	(void)state;
	world_registered();
	leave();
	fake_store.committed->data[0] ^= 1;
	start_again();
	assert_int_equal(restored.refused, 2);
	assert_int_equal(fake_store_listeners(), 1);
	assert_int_equal(report.orphan_sas, 4);
	world_check(true);
}

/* ---- a store that refuses ---- */

static void assert_not_stored(int err)
{
	assert_int_equal(err, -ECANCELED);
	assert_string_equal(reason_token(world.refusal.reason), "store_failed");
}

static void a_set_that_cannot_be_stored_is_not_made(void **state)
{
	const struct sa_set_request request = world_request();

	(void)state;
	fake_store.refuse = -ENOSPC;
	world_assert_refused(&request, REASON_STORE_FAILED);
	fake_store.refuse = 0;
	world_create(&request);
	world_check(true);
}

static void what_cannot_be_stored_is_not_confirmed_or_extended(void **state)
{
	struct sa_set *set;
	struct listing before;

	(void)state;
	prepare_over();
	before = list();
	set = set_in(SA_SET_TEMPORARY);
	fake_store.refuse = -ENOSPC;
	assert_not_stored(sa_set_confirm(set, WORLD_EXPIRES_S, &world.refusal));
	assert_string_equal(list().text, before.text);
	world_check(true);
	assert_not_stored(sa_set_extend(set_in(SA_SET_CURRENT), 2 * WORLD_EXPIRES_S,
					&world.refusal));
	assert_string_equal(list().text, before.text);
	world_check(true);
	fake_store.refuse = 0;
	world_confirm(set);
	world_check(true);
}

static void what_ends_ends_though_it_cannot_be_stored(void **state)
{
	(void)state;
	prepare_new();
	fake_store.refuse = -ENOSPC;
	do_release();
	assert_int_equal(world_sets(), 0);
	assert_int_equal(fake_xfrm.sa_count, 0);
	fake_store.refuse = 0;
	restart(); /* the records are still there, the SAs are not */
	assert_int_equal(report.lost_sets, 2);
	world_check(true);
}

static void a_start_that_cannot_write_its_listeners_says_so(void **state)
{
	(void)state;
	leave();
	address(world.listener);
	fake_store.refuse = -ENOSPC;
	assert_int_equal(try_start(), -ENOSPC);
	assert_non_null(strstr(why, "state-dir"));
	assert_int_equal(fake_xfrm.policy_count, 4); /* the old guards stand */
	fake_store.refuse = 0;
	sa_table_free(world.table);
	start_again();
}

static void a_full_store_does_not_hinder_a_start(void **state)
{
	const uint64_t id = world_registered()->id;

	(void)state;
	leave();
	fake_store.refuse = -ENOSPC;
	start_again();
	assert_true(world_has(id));
	fake_store.refuse = 0;
	world_check(true);
}

static void a_start_that_fails_takes_no_guard_away(void **state)
{
	struct xfrm_policy guard[PLAN_MAX_GUARDS];
	struct config_listener *second = &world.config.listeners[1];

	(void)state;
	world_registered();
	leave();
	*second = *world.listener;
	second->address = world_ip("192.0.2.2");
	snprintf(second->name, sizeof(second->name), "second");
	world.config.listener_count = 2;
	plan_guards(second, guard);
	guard[1].reqid = 1;
	fake_xfrm_put_policy(&guard[1]);
	assert_int_equal(try_start(), -EEXIST);
	assert_int_equal(fake_xfrm.policy_count, 5);
	assert_int_equal(fake_xfrm.sa_count, 4);
	sa_table_free(world.table);
	fake_xfrm.policy_count--;
	world.config.listener_count = 1;
	start_again();
	assert_int_equal(restored.sets, 1);
	world_check(true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(E13_killed_at_any_moment_it_is_all_or_nothing),
		TEST(E13_sets_come_back_as_they_were),
		TEST(a_set_that_came_back_lives_on),
		TEST(a_retransmission_across_a_restart_is_one),
		TEST(E13_time_goes_on_while_nobody_is_there),
		TEST(a_step_of_the_clock_meanwhile_changes_no_life),
		TEST(E13_a_set_that_the_kernel_lost_is_forgotten),
		TEST(stolen_policies_of_a_set_are_put_back),
		TEST(E13_what_is_of_no_set_goes_and_strangers_stay),
		TEST(E13_sets_whose_listener_has_changed_are_dropped),
		TEST(a_listener_that_is_gone_leaves_nothing),
		TEST(changes_that_do_not_concern_a_set_leave_it),
		TEST(priority_and_encap_port_concern_a_set_behind_a_nat),
		TEST(policies_that_cannot_be_listed_go_with_their_set_all_the_same),
		TEST(guards_of_a_start_that_was_killed_go_too),
		TEST(a_stranger_in_a_past_guards_place_stays),
		TEST(a_damaged_record_is_forgotten_or_harmless),
		TEST(a_refused_record_is_said_and_its_sas_go),
		TEST(a_second_record_of_the_same_set_is_refused),
		TEST(a_bad_listener_is_forgotten_with_its_sets),
		TEST(a_set_that_cannot_be_stored_is_not_made),
		TEST(what_cannot_be_stored_is_not_confirmed_or_extended),
		TEST(what_ends_ends_though_it_cannot_be_stored),
		TEST(a_start_that_cannot_write_its_listeners_says_so),
		TEST(a_full_store_does_not_hinder_a_start),
		TEST(a_start_that_fails_takes_no_guard_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
