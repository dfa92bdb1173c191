/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/sip_pending.c: what is remembered, for how long, and who yields when there is no room.
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

#include "daemon/sip_pending.h"
#include "tests/unit/fake_timer.h"

static struct sip_pending_table *table;
static struct refusal refusal;

static int start(void **state)
{
	(void)state;
	fake_clock_reset();
	table = sip_pending_new();
	return table && hash_init() == 0 ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	sip_pending_free(table);
	return 0;
}

static struct sip_pending entry_of(const char *key, enum sip_pending_rank rank)
{
	static char none[] = "", impi[] = "u@x";
	struct sip_pending entry = {.rank = rank, .remote.port = 5064};

	for (size_t i = 0; i < SIP_PENDING_TEXTS; i++)
		entry.text[i] = none;
	entry.text[SIP_PENDING_KEY] = (char *)(uintptr_t)key;
	entry.text[SIP_PENDING_IMPI] = impi;
	ip_parse("198.51.100.7", &entry.remote.address);
	ip_parse("192.0.2.1", &entry.local.address);
	return entry;
}

static int add(const char *key, enum sip_pending_rank rank)
{
	const struct sip_pending entry = entry_of(key, rank);

	return sip_pending_add(table, &entry, &refusal);
}

static bool has(const char *key)
{
	return sip_pending_find(table, key) != NULL;
}

static void an_entry_is_found_by_its_transaction(void **state)
{
	(void)state;
	assert_int_equal(add("a", SIP_PENDING_CLEAR), 0);
	assert_true(has("a"));
	assert_false(has("b"));
	assert_string_equal(sip_pending_find(table, "a")->text[SIP_PENDING_IMPI], "u@x");
}

static void entries_follow_their_listeners_and_go_with_them(void **state)
{
	struct config_listener before[2], after;
	const struct config_listener *const heirs[] = {NULL, &after};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sip_pending entry = entry_of(i ? "b" : "a", SIP_PENDING_CLEAR);

		entry.listener = &before[i];
		assert_int_equal(sip_pending_add(table, &entry, &refusal), 0);
	}
	sip_pending_relisten(table, before, heirs);
	assert_false(has("a"));
	assert_ptr_equal(sip_pending_find(table, "b")->listener, &after);
	assert_int_equal(sip_pending_count(table), 1);
}

static void it_lives_for_64_T1(void **state)
{
	(void)state;
	add("a", SIP_PENDING_CLEAR);
	fake_clock_advance_ms(SIP_PENDING_LIFE_MS - 1);
	assert_true(has("a"));
	fake_clock_advance_ms(1);
	assert_false(has("a"));
	assert_int_equal(sip_pending_count(table), 0);
}

static void a_retransmission_changes_nothing_but_the_time(void **state)
{
	struct sip_pending entry = entry_of("a", SIP_PENDING_CLEAR);

	(void)state;
	entry.expires_s = 1;
	assert_int_equal(sip_pending_add(table, &entry, &refusal), 0);
	fake_clock_advance_ms(SIP_PENDING_LIFE_MS - 1);
	entry.expires_s = 2;
	assert_int_equal(sip_pending_add(table, &entry, &refusal), 0);
	fake_clock_advance_ms(SIP_PENDING_LIFE_MS - 1);
	assert_int_equal(sip_pending_find(table, "a")->expires_s, 1);
	assert_int_equal(sip_pending_count(table), 1);
}

static void nobody_else_takes_its_place(void **state)
{
	struct sip_pending other = entry_of("a", SIP_PENDING_CLEAR);

	(void)state;
	add("a", SIP_PENDING_CLEAR);
	other.remote.port++;
	assert_int_equal(sip_pending_add(table, &other, &refusal), -ECANCELED);
	assert_int_equal(refusal.reason, REASON_TRANSACTION_IN_USE);
	other = entry_of("a", SIP_PENDING_CLEAR);
	other.text[SIP_PENDING_IMPI] = (char *)(uintptr_t) "v@x";
	assert_int_equal(sip_pending_add(table, &other, &refusal), -ECANCELED);
	assert_int_equal(sip_pending_find(table, "a")->remote.port, 5064);
}

static void fill(enum sip_pending_rank rank)
{
	char key[32];

	for (unsigned i = 0; i < SIP_PENDING_MAX; i++) {
		snprintf(key, sizeof(key), "%u", i);
		if (add(key, rank) != 0)
			fail_msg("%u: %s", i, refusal.text);
	}
}

static void when_it_is_full_the_oldest_in_clear_yields(void **state)
{
	(void)state;
	fill(SIP_PENDING_CLEAR);
	assert_int_equal(add("x", SIP_PENDING_PROTECTED), 0);
	assert_int_equal(add("y", SIP_PENDING_CLEAR), 0);
	assert_int_equal(sip_pending_count(table), SIP_PENDING_MAX);
	assert_false(has("0") || has("1"));
	assert_true(has("2") && has("x") && has("y"));
}

static void what_was_answered_yields_first(void **state)
{
	(void)state;
	fill(SIP_PENDING_CLEAR);
	sip_pending_answered(table, sip_pending_find(table, "7"));
	assert_int_equal(add("x", SIP_PENDING_CLEAR), 0);
	assert_true(has("0") && has("x"));
	assert_false(has("7"));
}

static void what_came_over_SAs_never_yields(void **state)
{
	(void)state;
	fill(SIP_PENDING_PROTECTED);
	assert_int_equal(add("x", SIP_PENDING_CLEAR), -ECANCELED);
	assert_int_equal(refusal.reason, REASON_LIMIT);
	assert_int_equal(add("y", SIP_PENDING_PROTECTED), -ECANCELED);
	assert_int_equal(sip_pending_count(table), SIP_PENDING_MAX);
	assert_true(has("0"));
}

static void its_bytes_are_bounded_too(void **state)
{
	struct sip_pending entry = entry_of("", SIP_PENDING_CLEAR);
	const size_t bytes = 60000;
	char *large = calloc(1, bytes + 1), key[32];

	(void)state;
	memset(large, 'x', bytes);
	entry.text[SIP_PENDING_SECURITY_CLIENT] = large;
	entry.text[SIP_PENDING_KEY] = key;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(sip_pending_add(table, &entry, &refusal), 0);
	}
	assert_in_range(sip_pending_count(table), SIP_PENDING_MAX_BYTES / bytes - 20,
			SIP_PENDING_MAX_BYTES / bytes);
	assert_false(has("0"));
	assert_true(has("1999"));
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_entry_is_found_by_its_transaction, start, stop),
		cmocka_unit_test_setup_teardown(entries_follow_their_listeners_and_go_with_them, start, stop),
		cmocka_unit_test_setup_teardown(it_lives_for_64_T1, start, stop),
		cmocka_unit_test_setup_teardown(a_retransmission_changes_nothing_but_the_time,
						start, stop),
		cmocka_unit_test_setup_teardown(nobody_else_takes_its_place, start, stop),
		cmocka_unit_test_setup_teardown(when_it_is_full_the_oldest_in_clear_yields, start,
						stop),
		cmocka_unit_test_setup_teardown(what_was_answered_yields_first, start, stop),
		cmocka_unit_test_setup_teardown(what_came_over_SAs_never_yields, start, stop),
		cmocka_unit_test_setup_teardown(its_bytes_are_bounded_too, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
