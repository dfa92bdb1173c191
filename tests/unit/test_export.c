/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.export_keys: who gets keys, whose, and what is left of them: nothing, in all memory that was
 * given back while the answer was made.
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
#include <jansson.h>

#include "daemon/event.h"
#include "daemon/rpc.h"
#include "tests/unit/key_leaks.h"
#include "tests/unit/world.h"

static const struct ucred ROOT = {.pid = 4711};
static const struct ucred SOMEBODY = {.pid = 4712, .uid = 1000, .gid = 1000};

static struct daemon d;
static json_t *last; /* reply of the last call */

/* ---- helpers ---- */

static int start(void **state)
{
	int err = world_start(state);

	event_reset();
	world.config.allow_key_export = true;
	d = world_daemon();
	d.peer = &ROOT;
	key_leaks = 0;
	return err;
}

static int stop(void **state)
{
	int err;

	json_decref(last);
	last = NULL;
	err = world_stop(state);
	event_reset();
	return key_leaks ? -1 : err;
}

static json_t *export_keys(const char *params)
{
	char text[256], *reply;

	snprintf(text, sizeof(text),
		 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"sa.export_keys\",\"params\":%s}",
		 params);
	reply = rpc_handle(&d, text, strlen(text));
	assert_non_null(reply);
	json_decref(last);
	last = json_loads(reply, JSON_REJECT_DUPLICATES, NULL);
	explicit_bzero(reply, strlen(reply)); /* as conn.c does */
	free(reply);
	assert_non_null(last);
	return last;
}

/* The sets of an answer, which are so many. */
static json_t *exported(const char *params, size_t count)
{
	json_t *sets = json_object_get(json_object_get(export_keys(params), "result"), "sets");

	assert_int_equal(json_array_size(sets), count);
	return sets;
}

static const char *message_of_refusal(const char *params, const char *reason)
{
	const json_t *error = json_object_get(export_keys(params), "error");
	const json_t *data = json_object_get(error, "data");

	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(data, "reason")), reason);
	assert_int_equal(event_total(EVENT_KEYS_EXPORTED), 0);
	return json_string_value(json_object_get(error, "message"));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static const json_t *sa_of(const json_t *sets, size_t set, size_t sa)
{
	const json_t *found = json_array_get(
		json_object_get(json_array_get(sets, set), "sas"), sa);

	assert_non_null(found);
	return found;
}

static struct sa_set *made(enum ipsec_alg alg, enum ipsec_ealg ealg)
{
	struct sa_set_request request = world_request();

	request.suite.alg = alg;
	request.suite.ealg = ealg;
	request.ck = CK_BYTES;
	request.ik = IK_BYTES;
	return world_create(&request);
}

static struct sa_set *sha1_aes(void)
{
	return made(IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC);
}

/* ---- who gets them ---- */

static void keys_are_denied_unless_the_configuration_allows_them(void **state)
{
	(void)state;
	sha1_aes();
	world.config.allow_key_export = false;
	assert_non_null(strstr(message_of_refusal("{}", "denied"), "allow-key-export"));
}

static void keys_are_denied_to_all_users_but_root(void **state)
{
	(void)state;
	sha1_aes();
	d.peer = &SOMEBODY;
	assert_non_null(strstr(message_of_refusal("{}", "denied"), "uid 1000"));
}

static void keys_are_denied_where_nobody_is_known(void **state)
{
	(void)state;
	sha1_aes();
	d.peer = NULL;
	assert_non_null(strstr(message_of_refusal("{}", "denied"), "control socket"));
}

static void an_event_says_whose_keys_who_had_and_holds_none(void **state)
{
	const struct event_record *record;
	const struct sa_set *set = sha1_aes();
	char id[17];

	(void)state;
	exported("{}", 1);
	record = event_from(event_last());
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)set->id);
	assert_int_equal(record->name, EVENT_KEYS_EXPORTED);
	assert_int_equal(record->field_count, 4);
	assert_string_equal(record->fields[0].text, id);
	assert_string_equal(record->fields[1].text, WORLD_IMPI);
	assert_string_equal(record->fields[2].name, "uid");
	assert_int_equal(record->fields[2].number, 0);
	assert_string_equal(record->fields[3].name, "pid");
	assert_int_equal(record->fields[3].number, 4711);
}

/* ---- what they get ---- */

static void the_keys_of_each_sa_are_the_kernels(void **state)
{
	const json_t *sets, *sa, *part;

	(void)state;
	sha1_aes();
	sets = exported("{}", 1);
	assert_int_equal(json_array_size(json_object_get(json_array_get(sets, 0), "sas")), 4);
	for (size_t i = 0; i < 4; i++) {
		sa = sa_of(sets, 0, i);
		assert_string_equal(text_of(sa, "proto"), "esp");
		part = json_object_get(sa, "encryption");
		assert_string_equal(text_of(part, "algorithm"), "cbc(aes)");
		assert_string_equal(text_of(part, "key"), CK);
		assert_null(json_object_get(part, "icv_bits"));
		part = json_object_get(sa, "authentication");
		assert_string_equal(text_of(part, "algorithm"), "hmac(sha1)");
		assert_string_equal(text_of(part, "key"), IK "00000000");
		assert_int_equal(json_integer_value(json_object_get(part, "icv_bits")), 96);
		assert_non_null(strstr(text_of(sa, "esp_sa"), ",\"0x" CK "\",\"HMAC-SHA-1-96"));
		assert_null(json_object_get(sa, "no_esp_sa"));
	}
	assert_string_equal(text_of(sa_of(sets, 0, 0), "direction"), "in");
	assert_string_equal(text_of(sa_of(sets, 0, 3), "direction"), "out");
}

static void keys_come_from_the_kernel_at_that_moment(void **state)
{
	const json_t *sa;

	(void)state;
	sha1_aes();
	fake_xfrm.sas[0].sa.enc.bytes[0] = 0xff; /* as if somebody had put another in its place */
	sa = sa_of(exported("{}", 1), 0, 0);
	assert_memory_equal(text_of(json_object_get(sa, "encryption"), "key"), "ffc2c3", 6);
}

static void an_aead_has_no_authentication_and_its_salt_behind_its_key(void **state)
{
	const json_t *sa, *part;

	(void)state;
	made(IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM);
	sa = sa_of(exported("{}", 1), 0, 0);
	part = json_object_get(sa, "encryption");
	assert_string_equal(text_of(part, "algorithm"), "rfc4106(gcm(aes))");
	assert_int_equal(strlen(text_of(part, "key")), 40);
	assert_int_equal(json_integer_value(json_object_get(part, "icv_bits")), 128);
	assert_true(json_is_null(json_object_get(sa, "authentication")));
	assert_non_null(strstr(text_of(sa, "esp_sa"), "AES-GCM with 16 octet ICV"));
}

static void gmac_has_keys_and_words_instead_of_a_line(void **state)
{
	const json_t *sa;

	(void)state;
	made(IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL);
	sa = sa_of(exported("{}", 1), 0, 0);
	assert_null(json_object_get(sa, "esp_sa"));
	assert_non_null(strstr(text_of(sa, "no_esp_sa"), "AES-GMAC"));
	assert_non_null(text_of(json_object_get(sa, "encryption"), "key"));
}

static void an_sa_that_the_kernel_has_not_has_no_keys(void **state)
{
	const json_t *sets;

	(void)state;
	sha1_aes();
	fake_xfrm.sas[1].sa.reqid++; /* somebody else's */
	sets = exported("{}", 1);
	fake_xfrm.sas[1].sa.reqid--;
	assert_true(json_is_true(json_object_get(sa_of(sets, 0, 1), "lost")));
	assert_null(json_object_get(sa_of(sets, 0, 1), "encryption"));
	assert_non_null(json_object_get(sa_of(sets, 0, 2), "encryption"));
}

static void a_kernel_that_keeps_its_keys_is_an_error_that_says_why(void **state)
{
	(void)state;
	sha1_aes();
	fake_xfrm.refuse_keys = -EPERM;
	assert_non_null(strstr(message_of_refusal("{}", "kernel_refused"), "not permitted"));
	fake_xfrm.refuse_keys = -EACCES;
	assert_non_null(strstr(message_of_refusal("{}", "kernel_refused"), "locked down"));
	fake_xfrm.refuse_keys = 0;
}

/* ---- whose ---- */

static void sets_are_chosen_by_name_subscriber_and_address(void **state)
{
	const struct sa_set *set = world_registered();
	char params[64];

	(void)state;
	world_reregistered(set);
	exported("{}", 2);
	snprintf(params, sizeof(params), "{\"set\":\"%016llx\"}", (unsigned long long)set->id);
	exported(params, 1);
	exported("{\"impi\":\"" WORLD_IMPI "\"}", 2);
	exported("{\"ue\":\"198.51.100.7\"}", 2);
	assert_int_equal(event_total(EVENT_KEYS_EXPORTED), 2 + 1 + 2 + 2);
}

static void nothing_that_matches_is_an_error(void **state)
{
	(void)state;
	message_of_refusal("{}", "unknown_set");
	sha1_aes();
	message_of_refusal("{\"impi\":\"b@x\"}", "unknown_set");
	message_of_refusal("{\"ue\":\"198.51.100.8\"}", "unknown_set");
	message_of_refusal("{\"set\":\"0000000000000001\"}", "unknown_set");
}

static void too_many_sets_for_one_answer_are_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 257; i++) {
		struct sa_set_request request = world_request();
		char address[32];

		snprintf(address, sizeof(address), "198.51.%u.%u", 101 + i / 256, i % 256);
		request.ue_address = world_ip(address);
		request.impi = address;
		world_create(&request);
	}
	assert_non_null(strstr(message_of_refusal("{}", "limit"), "257"));
}

static void the_watch_over_free_sees_a_key(void **state)
{
	char *text = strdup("x" CK);

	(void)state;
	free(text);
	assert_int_equal(key_leaks, 1);
	key_leaks = 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(keys_are_denied_unless_the_configuration_allows_them),
		TEST(keys_are_denied_to_all_users_but_root),
		TEST(keys_are_denied_where_nobody_is_known),
		TEST(an_event_says_whose_keys_who_had_and_holds_none),
		TEST(the_keys_of_each_sa_are_the_kernels),
		TEST(keys_come_from_the_kernel_at_that_moment),
		TEST(an_aead_has_no_authentication_and_its_salt_behind_its_key),
		TEST(gmac_has_keys_and_words_instead_of_a_line),
		TEST(an_sa_that_the_kernel_has_not_has_no_keys),
		TEST(a_kernel_that_keeps_its_keys_is_an_error_that_says_why),
		TEST(sets_are_chosen_by_name_subscriber_and_address),
		TEST(nothing_that_matches_is_an_error),
		TEST(too_many_sets_for_one_answer_are_refused),
		TEST(the_watch_over_free_sees_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
