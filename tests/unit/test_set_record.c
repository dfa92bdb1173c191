/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/set_record.c: what is written is read as it was, and nothing else is read.
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

#include "daemon/set_record.h"
#include "tests/unit/world.h"

static uint8_t record[2 * PACKED_TEXT_BYTES];
static size_t record_bytes;

/* ---- helpers ---- */

static void write_record(const struct sa_set *set)
{
	uint8_t listener[LISTENER_RECORD_MAX_BYTES];
	const struct span span = {(const char *)listener,
				  listener_record_write(set->listener, listener)};

	record_bytes = set_record_bytes(set, span);
	assert_true(record_bytes <= sizeof(record));
	set_record_write(set, span, record);
}

static bool text_is(struct span text, const char *expected)
{
	return text.n == strlen(expected) && !memcmp(text.p, expected, text.n);
}

static void assert_same(const struct set_record *r, const struct sa_set *set)
{
	assert_int_equal(r->id, set->id);
	assert_int_equal(r->over_id, set->over_id);
	assert_int_equal(r->transaction, set->transaction);
	assert_int_equal(r->state, set->state);
	assert_int_equal(r->aborted, set->aborted);
	assert_true(ipsec_suite_equal(&r->suite, &set->suite));
	assert_memory_equal(&r->ue, &set->ue, sizeof(r->ue));
	assert_memory_equal(&r->pcscf, &set->pcscf, sizeof(r->pcscf));
	assert_true(ip_equal(&r->ue_address, &set->ue_address));
	assert_int_equal(r->encap_remote_port, set->encap_remote_port);
	assert_int_equal(r->reqid, set->reqid);
	assert_int_equal(r->deadline_ms, set->deadline_ms);
	assert_true(text_is(r->contact, set->contact->key));
	assert_true(text_is(r->impi, set->impi));
	assert_true(text_is(r->impu, set->impu));
	assert_true(text_is(r->security_client, world_text(set->security_client)));
	assert_true(text_is(r->security_server, world_text(set->security_server)));
}

static void assert_round_trip(const struct sa_set *set)
{
	struct set_record read;
	const char *why = NULL;

	write_record(set);
	if (set_record_read(record, record_bytes, &read, &why) < 0)
		fail_msg("refused: %s", why);
	assert_same(&read, set);
}

static void assert_refused(size_t bytes)
{
	struct set_record read = {.id = 12345};
	uint8_t *copy = malloc(bytes); /* so that reading past its end is seen */
	const char *why = NULL;

	memcpy(copy, record, bytes);
	assert_int_equal(set_record_read(copy, bytes, &read, &why), -EINVAL);
	assert_non_null(why);
	assert_int_equal(read.id, 12345);
	free(copy);
}

/* ---- sets ---- */

static void sets_of_all_kinds_come_back_as_they_were(void **state)
{
	struct sa_set_request pair = world_request_rfc3329(5062, 0), nat = world_request_nat(1);
	struct sa_set *set = world_registered();

	(void)state;
	pair.impi = "pair@ims.example";
	pair.transaction = UINT64_MAX;
	nat.impu = "";
	assert_round_trip(set);
	assert_round_trip(world_reregistered(set));
	assert_round_trip(set);
	assert_round_trip(world_create(&pair));
	set = world_create(&nat);
	sa_set_moved(set, 65535);
	sa_set_abort(set);
	assert_round_trip(set);
}

static void ipv6_comes_back(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	set->ue_address = world_ip("2001:db8:ffff::ffff");
	assert_round_trip(set);
	set->ue_address = world_ip("198.51.100.7");
}

static void no_key_is_in_a_record(void **state)
{
	const struct sa_set_request request = world_request();

	(void)state;
	write_record(world_create(&request));
	assert_null(memmem(record, record_bytes, request.ck, 8));
	assert_null(memmem(record, record_bytes, request.ik, 8));
}

static void every_cut_record_is_refused(void **state)
{
	(void)state;
	write_record(world_registered());
	for (size_t n = 0; n < record_bytes; n++)
		assert_refused(n);
	record[record_bytes] = 0;
	assert_refused(record_bytes + 1);
}

static void another_version_is_refused(void **state)
{
	(void)state;
	write_record(world_registered());
	for (unsigned version = 0; version < 256; version++) {
		record[0] = (uint8_t)version;
		if (version != SET_RECORD_VERSION)
			assert_refused(record_bytes);
	}
}

/* By offset: 25 state, 26 aborted, 27 to 30 the suite, 31 and 52 dialects, 73 address family. */
static void values_that_no_set_has_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} WRONG[] = {{25, SA_SET_GONE}, {25, 255}, {26, 2},  {27, 4},   {27, 255}, {28, 4},
		     {29, 2},           {30, 3},   {31, 1},  {31, 2},   {52, 1},   {73, 0},
		     {73, 5},           {73, 6 + 4}, {28, IPSEC_EALG_NULL}};
	const struct sa_set *set = world_registered();

	(void)state;
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		write_record(set);
		assert_int_not_equal(record[WRONG[i].at], WRONG[i].value);
		record[WRONG[i].at] = WRONG[i].value;
		assert_refused(record_bytes);
	}
}

static void numbers_that_are_missing_are_refused(void **state)
{
	static const size_t FIELDS[][2] = {{1, 8}, {32, 4}, {36, 4}, {40, 2}, {42, 2},
					   {53, 4}, {57, 4}, {61, 2}, {63, 2}};
	const struct sa_set *set = world_registered();

	(void)state;
	for (size_t i = 0; i < sizeof(FIELDS) / sizeof(FIELDS[0]); i++) {
		write_record(set);
		memset(record + FIELDS[i][0], 0, FIELDS[i][1]);
		assert_refused(record_bytes);
	}
}

static void numbers_of_the_other_dialect_are_refused(void **state)
{
	(void)state;
	write_record(world_registered());
	record[47] = 1; /* spi beside spi-c and spi-s */
	assert_refused(record_bytes);
}

static void an_ipv4_address_has_nothing_behind_it(void **state)
{
	(void)state;
	write_record(world_registered());
	record[74 + 15] = 1;
	assert_refused(record_bytes);
}

static void texts_have_no_nul(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	write_record(set);
	record[record_bytes - 3] = '\0';
	assert_refused(record_bytes);
}

/* The last text of a record: its Security-Server. */
static size_t stretch(const struct sa_set *set, size_t text_bytes)
{
	const size_t at = record_bytes - packed_text_bytes(set->security_server);

	record[at - 2] = (uint8_t)(text_bytes >> 8);
	record[at - 1] = (uint8_t)text_bytes;
	memset(record + at, 'x', text_bytes);
	return at + text_bytes;
}

static void a_header_is_no_longer_than_one_can_be(void **state)
{
	const struct sa_set *set = world_registered();
	struct set_record read;
	const char *why;

	(void)state;
	write_record(set);
	assert_refused(stretch(set, PACKED_TEXT_BYTES));
	assert_int_equal(set_record_read(record, stretch(set, PACKED_TEXT_BYTES - 1), &read, &why), 0);
}

static void a_contact_is_one_of_its_impi(void **state)
{
	struct sa_set *set = world_registered();
	uint8_t *at;

	(void)state;
	write_record(set);
	at = memmem(record, record_bytes, set->contact->key, strlen(set->contact->key));
	assert_non_null(at);
	at[0] ^= 1;
	assert_refused(record_bytes);
	at[0] ^= 1;
	at[strlen(set->impi)] = ' ';
	assert_refused(record_bytes);
}

/* Every byte of a record, every value: it is refused, or it reads as something that is not what was
 * there before. */
static void no_two_records_read_alike(void **state)
{
	struct set_record read;
	const char *why;

	(void)state;
	write_record(world_registered());
	for (size_t i = 0; i < record_bytes; i++) {
		const uint8_t before = record[i];
		struct set_record first;

		assert_int_equal(set_record_read(record, record_bytes, &first, &why), 0);
		for (unsigned value = 0; value < 256; value++) {
			record[i] = (uint8_t)value;
			if (value == before ||
			    set_record_read(record, record_bytes, &read, &why) < 0)
				continue;
			/* the texts are compared where they are: in the record */
			assert_true(i > 89 + 14 || memcmp(&read, &first, sizeof(read)) != 0);
		}
		record[i] = before;
	}
}

/* ---- listeners ---- */

static void listeners_come_back_as_they_were(void **state)
{
	struct config_listener *l = world.listener, read;
	uint8_t bytes[LISTENER_RECORD_MAX_BYTES], again[LISTENER_RECORD_MAX_BYTES];
	const char *why = NULL;
	size_t n;

	(void)state;
	l->reqid = 65535;
	l->priority = INT32_MAX;
	l->encap_port = 65535;
	l->policies = CONFIG_POLICIES_PER_SET;
	l->selectors = CONFIG_SELECTORS_RELAXED;
	l->address = world_ip("2001:db8::1");
	memset(l->name, 'n', sizeof(l->name) - 1);
	n = listener_record_write(l, bytes);
	assert_true(n <= sizeof(bytes));
	assert_int_equal(listener_record_read(bytes, n, &read, &why), 0);
	assert_string_equal(read.name, l->name);
	assert_true(ip_equal(&read.address, &l->address));
	assert_int_equal(read.client_port_last, l->client_port_last);
	assert_int_equal(listener_record_write(&read, again), n);
	assert_memory_equal(again, bytes, n);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(listener_record_read(bytes, cut, &read, &why), -EINVAL);
}

static void a_listener_that_cannot_be_is_refused(void **state)
{
	/* by offset: address 1, server port 18, first 20, last 22, reqid 24, priority 28, encap port
	 * 32, policies 34, selectors 35, length of the name 36 */
	static const struct {
		size_t at, bytes;
		uint8_t value;
	} WRONG[] = {{0, 1, 2},  {1, 1, 7},  {18, 2, 0}, {20, 2, 0}, {20, 1, 0xff},
		     {22, 1, 0xff}, {24, 4, 0}, {28, 4, 0}, {34, 1, 2}, {35, 1, 2}, {36, 1, 1}};
	uint8_t bytes[LISTENER_RECORD_MAX_BYTES + 1];
	struct config_listener read;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		const size_t n = listener_record_write(world.listener, bytes);

		memset(bytes + WRONG[i].at, WRONG[i].value, WRONG[i].bytes);
		why = NULL;
		assert_int_equal(listener_record_read(bytes, n, &read, &why), -EINVAL);
		assert_non_null(why);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	static const struct CMUnitTest tests[] = {
		TEST(sets_of_all_kinds_come_back_as_they_were),
		TEST(ipv6_comes_back),
		TEST(no_key_is_in_a_record),
		TEST(every_cut_record_is_refused),
		TEST(another_version_is_refused),
		TEST(values_that_no_set_has_are_refused),
		TEST(numbers_that_are_missing_are_refused),
		TEST(numbers_of_the_other_dialect_are_refused),
		TEST(an_ipv4_address_has_nothing_behind_it),
		TEST(texts_have_no_nul),
		TEST(a_header_is_no_longer_than_one_can_be),
		TEST(a_contact_is_one_of_its_impi),
		TEST(no_two_records_read_alike),
		TEST(listeners_come_back_as_they_were),
		TEST(a_listener_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
