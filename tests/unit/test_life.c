/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of sets, whole: every event of TS 33.203 7.4.2a on every set of every contact that may
 * be, with much, little and hardly any time left for each of its sets. What must come of it stands
 * in TABLE, which is written from the specifications and knows nothing of sa_set.c; a model of the
 * contact follows it, and after each event, and then until all is over, the sets, their time, and
 * what the kernel holds are those of the model.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/check.h"
#include "daemon/sa_kernel.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define T SA_SET_TEMPORARY
#define N SA_SET_NEW
#define C SA_SET_CURRENT
#define O SA_SET_OLD

/* Seconds, TS 24.229 table 7.7 and 7.8 */
#define AWAIT_AUTH 240
#define T1_64      128
#define MARGIN     30
#define REFUSAL    8 /* in which a refusal can leave over the set that it is about */

/* ---- what must happen ---- */

enum life_event {
	CHALLENGED,      /* 401 with keys for a REGISTER of the contact in clear */
	CHALLENGED_OVER, /* ... for one over the set */
	ACCEPTED,        /* 200, the REGISTER before the challenge came in clear */
	ACCEPTED_OVER,   /* ... came over another set */
	MESSAGE,         /* from the phone */
	REREGISTERED,    /* 200 to a REGISTER without challenge */
	REJECTED,        /* 4xx, 5xx, 6xx to the answer of the challenge */
	AUTS,            /* or: the phone does not know the network */
	PHONE_LEAVES,    /* 200 to the de-registration of the last identity */
	NETWORK_ENDS,    /* NOTIFY of reg: terminated */
};

enum life {
	SAME,
	GRANTED,  /* max(latest of the others, expires + margin) */
	LONGER,   /* max(its own, expires + margin) */
	CUT_64T1, /* min(left, 64*T1) */
	CUT_REFUSAL,
	CUT_LINGER, /* min(left, the time that the response or NOTIFY needs) */
};

struct fate {
	bool acts;
	enum sa_set_state state;
	enum life life;
};

#define GOES           {true, SA_SET_GONE, SAME}
#define IS(state, life) {true, SA_SET_##state, life}
#define STAYS          {false, 0, SAME}

/* By event and by the state of the set that it concerns. No row: nothing happens. */
static const struct row {
	enum life_event event;
	enum sa_set_state state;
	struct fate itself;
	struct fate others[4]; /* TEMPORARY, NEW, CURRENT, OLD */
	struct fate over;      /* ACCEPTED_OVER: the set that it was made over */
} TABLE[] = {
	{ACCEPTED, T, IS(CURRENT, GRANTED), {GOES, GOES, GOES, GOES}, STAYS},
	{ACCEPTED, N, IS(NEW, LONGER), {STAYS}, STAYS},
	{ACCEPTED, C, IS(CURRENT, LONGER), {STAYS}, STAYS},
	{ACCEPTED_OVER, T, IS(NEW, GRANTED), {GOES, GOES, GOES, GOES}, IS(OLD, SAME)},
	{MESSAGE, N, IS(CURRENT, SAME), {STAYS, STAYS, STAYS, IS(OLD, CUT_64T1)}, STAYS},
	{REREGISTERED, N, IS(NEW, LONGER), {STAYS}, STAYS},
	{REREGISTERED, C, IS(CURRENT, LONGER), {STAYS}, STAYS},
	{REJECTED, T, IS(TEMPORARY, CUT_REFUSAL), {STAYS}, STAYS},
	{AUTS, T, GOES, {STAYS}, STAYS},
#define LEAVES {GOES, IS(OLD, CUT_LINGER), IS(OLD, CUT_LINGER), GOES}
	{PHONE_LEAVES, T, GOES, LEAVES, STAYS},
	{PHONE_LEAVES, N, IS(OLD, CUT_LINGER), LEAVES, STAYS},
	{PHONE_LEAVES, C, IS(OLD, CUT_LINGER), LEAVES, STAYS},
	{PHONE_LEAVES, O, IS(OLD, CUT_LINGER), LEAVES, STAYS},
#define ENDS {GOES, IS(NEW, CUT_LINGER), IS(CURRENT, CUT_LINGER), IS(OLD, CUT_LINGER)}
	{NETWORK_ENDS, T, GOES, ENDS, STAYS},
	{NETWORK_ENDS, N, IS(NEW, CUT_LINGER), ENDS, STAYS},
	{NETWORK_ENDS, C, IS(CURRENT, CUT_LINGER), ENDS, STAYS},
	{NETWORK_ENDS, O, IS(OLD, CUT_LINGER), ENDS, STAYS},
};

static const struct row *row_of(enum life_event event, enum sa_set_state state)
{
	for (size_t i = 0; i < COUNT_OF(TABLE); i++) {
		if (TABLE[i].event == event && TABLE[i].state == state)
			return &TABLE[i];
	}
	return NULL;
}

/* ---- the model ---- */

#define MAX_SETS 4

struct model {
	uint64_t id;
	enum sa_set_state state;
	int64_t left_s;
};

static struct model model[MAX_SETS];
static size_t model_count;

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t latest_but(size_t itself)
{
	int64_t latest = 0;

	for (size_t i = 0; i < model_count; i++) {
		if (i != itself && model[i].state != T && model[i].state != SA_SET_GONE)
			latest = larger(latest, model[i].left_s);
	}
	return latest;
}

static int64_t life_of(enum life life, size_t itself, int64_t left_s, int64_t seconds)
{
	switch (life) {
	case SAME:
		break;
	case GRANTED:
		return larger(latest_but(itself), seconds + MARGIN);
	case LONGER:
		return larger(left_s, seconds + MARGIN);
	case CUT_64T1:
		return smaller(left_s, T1_64);
	case CUT_REFUSAL:
		return smaller(left_s, REFUSAL);
	case CUT_LINGER:
		return smaller(left_s, seconds);
	}
	return left_s;
}

static void meet(struct model *m, const struct fate *fate, int64_t left_s)
{
	if (!fate->acts)
		return;
	m->state = left_s ? fate->state : SA_SET_GONE;
	m->left_s = left_s;
}

static const struct fate *fate_of(const struct row *row, size_t i, size_t itself, size_t over)
{
	if (i == itself)
		return &row->itself;
	return i == over ? &row->over : &row->others[model[i].state];
}

/* @over: MAX_SETS = none */
static void model_event(enum life_event event, size_t itself, size_t over, int64_t seconds)
{
	const struct row *row = row_of(event, model[itself].state);
	const struct fate *fates[MAX_SETS];
	int64_t left_s[MAX_SETS];

	for (size_t i = 0; row && i < model_count; i++) {
		fates[i] = fate_of(row, i, itself, over);
		left_s[i] = life_of(fates[i]->life, i, model[i].left_s, seconds);
	}
	for (size_t i = 0; row && i < model_count; i++)
		meet(&model[i], fates[i], left_s[i]);
}

/* An OLD set with 64*T1 left hands over to the NEW one; what has no time left goes. */
static void model_now(void)
{
	bool handed_over = false;

	for (size_t i = 0; i < model_count; i++)
		handed_over |= model[i].state == O && model[i].left_s <= T1_64;
	for (size_t i = 0; i < model_count; i++) {
		if (model[i].state == N && handed_over)
			model[i].state = C;
		if (model[i].left_s <= 0)
			model[i].state = SA_SET_GONE;
	}
}

/* Seconds until something may happen, @max at most. */
static int64_t next_s(int64_t max)
{
	for (size_t i = 0; i < model_count; i++) {
		const int64_t left_s = model[i].left_s;

		if (model[i].state != SA_SET_GONE)
			max = smaller(max, left_s > T1_64 ? left_s - T1_64 : left_s);
	}
	return max;
}

static void model_advance(int64_t s)
{
	model_now();
	while (s) {
		const int64_t step = next_s(s);

		for (size_t i = 0; i < model_count; i++)
			model[i].left_s -= step;
		model_now();
		s -= step;
	}
}

/* ---- the sets ---- */

static void assert_as_model(void)
{
	size_t living = 0;

	for (size_t i = 0; i < model_count; i++) {
		const struct sa_set *set = sa_table_by_id(world.table, model[i].id);

		assert_int_equal(set != NULL, model[i].state != SA_SET_GONE);
		if (!set)
			continue;
		living++;
		assert_string_equal(sa_set_state_name(set->state),
				    sa_set_state_name(model[i].state));
		assert_int_equal(sa_set_left_s(set), model[i].left_s);
	}
	assert_int_equal(world_sets(), living);
	assert_int_equal(fake_xfrm.sa_count, 4 * living);
	world_check(true);
}

/* As if it had got there by itself. */
static struct sa_set *put(enum sa_set_state state, int64_t left_s)
{
	const struct sa_set_request request = world_request_again(NULL);
	struct sa_set *set = world_create(&request);
	struct xfrm_error error;

	world.table->count[set->state]--;
	world.table->count[state]++;
	set->state = state;
	set->deadline_ms = clock_monotonic_ms() + (uint64_t)left_s * 1000;
	/* a look too many does no harm */
	timer_arm(&set->timer,
		  left_s > T1_64 ? set->deadline_ms - T1_64 * 1000 : clock_monotonic_ms());
	assert_int_equal(sa_kernel_set_limits(set, &error), 0);
	sa_set_keep(set);
	return set;
}

static struct sa_set *set_at(size_t at)
{
	return sa_table_by_id(world.table, model[at].id);
}

static void clear(void)
{
	struct sa_set *set, *next;

	HASH_ITER(hh, world.table->sets, set, next)
		sa_set_drop(set, "test");
	model_count = 0;
}

/* ---- all contacts ---- */

typedef void visit_fn(size_t itself);

static bool may_be(const enum sa_set_state *states, size_t count)
{
	unsigned n[SA_SET_GONE] = {0};

	for (size_t i = 0; i < count; i++)
		n[states[i]]++;
	/* the TEMPORARY one is always the latest */
	return n[T] <= 1 && n[N] + n[C] <= 1 && (!n[T] || states[count - 1] == T);
}

static void visit(const enum sa_set_state *states, size_t count, unsigned lives, size_t itself,
		  visit_fn *fn)
{
	static const int64_t LEFT_S[] = {50, 1000, 9000};

	for (size_t i = 0; i < count; i++, lives /= 3) {
		model[i].state = states[i];
		model[i].left_s = states[i] == T ? 200 : LEFT_S[lives % 3];
		model[i].id = put(states[i], model[i].left_s)->id;
		model_count = i + 1;
	}
	fn(itself);
	clear();
}

static void visit_lives(const enum sa_set_state *states, size_t count, visit_fn *fn)
{
	static const unsigned LIVES[] = {1, 3, 9, 27};

	for (unsigned lives = 0; lives < LIVES[count]; lives++) {
		for (size_t itself = 0; itself < count; itself++)
			visit(states, count, lives, itself, fn);
	}
}

/* @fn with each contact of one to three sets, and with each of its sets. */
static void visit_all(visit_fn *fn)
{
	for (size_t count = 1; count <= 3; count++) {
		for (unsigned code = 0; code < 1u << 2 * count; code++) {
			enum sa_set_state states[3];

			for (size_t i = 0; i < count; i++)
				states[i] = (enum sa_set_state)(code >> 2 * i & 3);
			if (may_be(states, count))
				visit_lives(states, count, fn);
		}
	}
}

/* What was set in motion runs down as it should. */
static void watch_until_the_end(void)
{
	static const unsigned STEPS_S[] = {0, 7, 1, 42, 78, 72, 672, 700, 7428, 1000, 100000};

	assert_as_model();
	for (size_t i = 0; i < COUNT_OF(STEPS_S); i++) {
		model_advance(STEPS_S[i]);
		fake_clock_advance_s(STEPS_S[i]);
		assert_as_model();
	}
	assert_int_equal(world_sets(), 0);
}

/* ---- events ---- */

static int64_t before_s[MAX_SETS];

static void note_lives(void)
{
	memset(before_s, 0, sizeof(before_s));
	for (size_t i = 0; i < model_count; i++) {
		if (set_at(i)->state != T) /* which is not registered yet */
			before_s[i] = sa_set_left_s(set_at(i));
	}
}

/* TS 33.203 7.4.1a NOTE: no registration makes a life shorter. */
static void assert_no_life_shorter(void)
{
	for (size_t i = 0; i < model_count; i++) {
		if (set_at(i))
			assert_true(sa_set_left_s(set_at(i)) >= before_s[i]);
	}
}

static void challenge(size_t itself, enum life_event event)
{
	const bool is_over = event == CHALLENGED_OVER;
	const struct sa_set_request request =
		world_request_again(is_over ? set_at(itself) : NULL);
	struct sa_set *set;
	size_t left = 0;

	for (size_t i = 0; i < model_count; i++) {
		if (model[i].state == T)
			model[i].state = SA_SET_GONE;
		left += model[i].state != SA_SET_GONE;
	}
	note_lives();
	if (left < 3) {
		set = world_create(&request);
		model[model_count++] = (struct model){set->id, T, AWAIT_AUTH};
	} else { /* D8: six SAs in each direction */
		assert_int_equal(sa_set_create(world.table, &request, &set, &world.refusal),
				 -ECANCELED);
		assert_int_equal(world.refusal.reason, REASON_LIMIT_CONTACT);
	}
	assert_as_model();
	assert_no_life_shorter();
}

static void challenged(size_t itself)
{
	challenge(itself, CHALLENGED);
	watch_until_the_end();
}

static void challenged_over(size_t itself)
{
	if (model[itself].state != T)
		challenge(itself, CHALLENGED_OVER);
}

static uint32_t seconds; /* granted, or to linger */

static void accepted(size_t itself)
{
	struct sa_set *set = set_at(itself);
	const bool may = model[itself].state != O;

	note_lives();
	assert_int_equal(sa_set_confirm(set, seconds, &world.refusal), may ? 0 : -ECANCELED);
	model_event(ACCEPTED, itself, MAX_SETS, seconds);
	assert_no_life_shorter();
	watch_until_the_end();
}

static void accepted_over(size_t itself)
{
	const size_t over = itself ? itself - 1 : model_count - 1; /* each, as all orders come */
	struct sa_set *set = set_at(itself);

	if (model[itself].state != T || over == itself)
		return;
	set->over_id = model[over].id;
	note_lives();
	assert_int_equal(sa_set_confirm(set, seconds, &world.refusal), 0);
	model_event(ACCEPTED_OVER, itself, over, seconds);
	assert_no_life_shorter();
	watch_until_the_end();
}

static void reregistered(size_t itself)
{
	const bool may = model[itself].state == N || model[itself].state == C;

	note_lives();
	assert_int_equal(sa_set_extend(set_at(itself), seconds, &world.refusal),
			 may ? 0 : -ECANCELED);
	model_event(REREGISTERED, itself, MAX_SETS, seconds);
	assert_no_life_shorter();
	watch_until_the_end();
}

static void message_comes(size_t itself)
{
	const struct sa_set *set = set_at(itself);
	const struct check check = {
		.local = set->listener->address,
		.remote = set->ue_address,
		.local_port = set->pcscf.port_s,
		.remote_port = set->ue.port_c,
		.method = "MESSAGE",
	};
	const bool may = model[itself].state != T; /* E4 */
	struct check_result result;

	assert_int_equal(
		check_message(world.table, &world.config, &check, &result, &world.refusal),
		may ? 0 : -ECANCELED);
	model_event(MESSAGE, itself, MAX_SETS, 0);
	if (may)
		assert_ptr_equal(result.set, set);
	watch_until_the_end();
}

static void rejected(size_t itself)
{
	if (model[itself].state != T)
		return;
	sa_set_abort(set_at(itself));
	model_event(REJECTED, itself, MAX_SETS, 0);
	watch_until_the_end();
}

static void not_accepted_by_the_phone(size_t itself)
{
	if (model[itself].state != T)
		return;
	sa_set_drop(set_at(itself), "challenge-rejected");
	model_event(AUTS, itself, MAX_SETS, 0);
	watch_until_the_end();
}

static void phone_leaves(size_t itself)
{
	sa_set_release(set_at(itself), seconds);
	model_event(PHONE_LEAVES, itself, MAX_SETS, seconds);
	watch_until_the_end();
}

static void network_ends(size_t itself)
{
	sa_contact_release(set_at(itself)->contact, seconds);
	model_event(NETWORK_ENDS, itself, MAX_SETS, seconds);
	watch_until_the_end();
}

static void nothing_more(size_t itself)
{
	(void)itself;
	watch_until_the_end();
}

/* ---- tests ---- */

static void with_seconds(visit_fn *fn)
{
	static const uint32_t SECONDS[] = {0, 5, 600, 20000};

	for (size_t i = 0; i < COUNT_OF(SECONDS); i++) {
		seconds = SECONDS[i];
		visit_all(fn);
	}
}

static void every_set_ends_in_its_time_and_a_nearly_old_one_hands_over(void **state)
{
	(void)state;
	visit_all(nothing_more);
}

static void D8_every_challenge_replaces_the_temporary_set_alone(void **state)
{
	(void)state;
	visit_all(challenged);
	visit_all(challenged_over);
}

static void E1_every_200_after_a_register_in_clear_leaves_that_set_alone(void **state)
{
	(void)state;
	with_seconds(accepted);
}

static void E7_every_200_after_a_register_over_a_set_leaves_both(void **state)
{
	(void)state;
	with_seconds(accepted_over);
}

static void E1_every_200_without_challenge_lengthens_that_set(void **state)
{
	(void)state;
	with_seconds(reregistered);
}

static void E4_E7_every_message_takes_a_new_set_into_use_and_no_other(void **state)
{
	(void)state;
	visit_all(message_comes);
}

static void E3_every_failure_ends_the_temporary_set_alone(void **state)
{
	(void)state;
	visit_all(rejected);
	visit_all(not_accepted_by_the_phone);
}

static void E9_every_deregistration_ends_all_sets_of_the_contact(void **state)
{
	(void)state;
	with_seconds(phone_leaves);
}

static void E9_the_network_ends_all_sets_and_they_stay_what_they_are(void **state)
{
	(void)state;
	with_seconds(network_ends);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	static const struct CMUnitTest tests[] = {
		TEST(every_set_ends_in_its_time_and_a_nearly_old_one_hands_over),
		TEST(D8_every_challenge_replaces_the_temporary_set_alone),
		TEST(E1_every_200_after_a_register_in_clear_leaves_that_set_alone),
		TEST(E7_every_200_after_a_register_over_a_set_leaves_both),
		TEST(E1_every_200_without_challenge_lengthens_that_set),
		TEST(E4_E7_every_message_takes_a_new_set_into_use_and_no_other),
		TEST(E3_every_failure_ends_the_temporary_set_alone),
		TEST(E9_every_deregistration_ends_all_sets_of_the_contact),
		TEST(E9_the_network_ends_all_sets_and_they_stay_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
