/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * phone.explain: what happened to a phone is found by each of its names, with what the kernel
 * counts now and the causes that follow; and there is no key in it.
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

#include "daemon/dispatch.h"
#include "daemon/history.h"
#include "tests/unit/world.h"

#define CK "c1c2c3c4c5c6c7c8c9cacbcccdcecfc0"
#define IK "a1a2a3a4a5a6a7a8a9aaabacadaeafa0"
#define CLIENT                                                                                     \
	"ipsec-3gpp;alg=null;ealg=aes-gcm;spi-c=11111111;spi-s=22222222;port-c=5062;port-s=5064"
#define LEGACY                                                                                     \
	"ipsec-3gpp;alg=hmac-md5-96;ealg=des-ede3-cbc;spi-c=11111111;spi-s=22222222;port-c=5062;"  \
	"port-s=5064"

static struct daemon d;
static json_t *last;

static int start(void **state)
{
	int err = world_start(state);

	history_start();
	d = world_daemon();
	return err;
}

static int stop(void **state)
{
	int err;

	json_decref(last);
	last = NULL;
	err = world_stop(state);
	history_stop();
	event_reset();
	return err;
}

static bool say(const char *method, json_t *params)
{
	char *text = json_dumps(params, 0);
	struct json_out out = {0};
	struct json_tree tree;
	struct fault fault;
	bool done;

	assert_non_null(text);
	json_decref(params);
	assert_int_equal(json_read(text, strlen(text), &tree, NULL), 0);
	done = dispatch(&d, method, tree.nodes, &out, &fault);
	if (!done)
		dispatch_fault_json(&out, &fault);
	json_tree_done(&tree);
	free(text);
	json_decref(last);
	last = json_loadb(out.text, out.n, JSON_REJECT_DUPLICATES, NULL);
	json_out_done(&out);
	assert_non_null(last);
	return done;
}

static json_t *offer_of(const char *client, const char *more, const char *value)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s*}", "impi", WORLD_IMPI, "ue",
			 "198.51.100.7", "pcscf", "192.0.2.1", "security_client", client, "ck", CK,
			 "ik", IK, more, value);
}

/* The set that was made; its name in @ret. */
static struct sa_set *offer(char ret[static 17])
{
	assert_true(say("sa.offer", offer_of(CLIENT, "contact", NULL)));
	snprintf(ret, 17, "%s", json_string_value(json_object_get(last, "set")));
	return sa_table_by_id(world.table, strtoull(ret, NULL, 16));
}

static bool check(const char *verify, uint16_t port)
{
	return say("sa.check",
		   json_pack("{s:s, s:i, s:s, s:i, s:s, s:s, s:s}", "pcscf", "192.0.2.1",
			     "pcscf_port", 6100, "ue", "198.51.100.7", "ue_port", port, "method",
			     "REGISTER", "security_client", CLIENT, "security_verify", verify));
}

static json_t *explain(const char *by, const char *what)
{
	assert_true(say("phone.explain", json_pack("{s:s}", by, what)));
	return last;
}

static const json_t *event_at(size_t i)
{
	return json_array_get(json_object_get(last, "events"), i);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static bool is_likely(const char *cause, const char *words)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(last, "likely"), i, one) {
		if (!strcmp(text_of(one, "cause"), cause))
			return strstr(text_of(one, "text"), words) != NULL;
	}
	return false;
}

static struct xfrm_sa_id answered_on(const struct sa_set *set)
{
	return (struct xfrm_sa_id){
		.dst = set->listener->address, .spi = set->pcscf.spi_s, .proto = IPPROTO_ESP};
}

/* ---- tests ---- */

static void a_phone_is_found_by_each_of_its_names(void **state)
{
	char set[17];

	(void)state;
	offer(set);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const BY[] = {"impi", "ue", "set"};
		const char *what[] = {WORLD_IMPI, "198.51.100.7", set};

		explain(BY[i], what[i]);
		assert_string_equal(text_of(last, "ue"), "198.51.100.7");
		assert_int_equal(json_array_size(json_object_get(last, "sets")), 1);
		assert_int_equal(json_array_size(json_object_get(last, "events")), 2);
		assert_string_equal(text_of(event_at(0), "event"), "set-made");
		assert_string_equal(text_of(event_at(1), "event"), "offer");
		assert_true(is_likely("nothing_arrives", "no ESP has arrived"));
	}
}

static void header_offers_and_reply_are_told(void **state)
{
	char set[17];

	(void)state;
	offer(set);
	explain("set", set);
	assert_string_equal(text_of(event_at(1), "security_client"), CLIENT);
	assert_string_equal(text_of(event_at(1), "considered"),
			    "null/aes-gcm/esp/trans chosen: the highest in the list of this listener that is offered");
	assert_non_null(strstr(text_of(event_at(0), "security_server"), "port-s=6100"));
}

static void no_key_is_told(void **state)
{
	char set[17], *text;

	(void)state;
	offer(set);
	text = json_dumps(explain("set", set), 0);
	assert_null(strstr(text, CK));
	assert_null(strstr(text, IK));
	free(text);
}

static void an_unknown_phone_is_an_answer(void **state)
{
	(void)state;
	explain("impi", "nobody@x");
	assert_int_equal(json_array_size(json_object_get(last, "events")), 0);
	assert_int_equal(json_array_size(json_object_get(last, "sets")), 0);
	assert_int_equal(json_array_size(json_object_get(last, "likely")), 0);
	assert_int_equal(json_integer_value(json_object_get(last, "since_ms")), history_since_ms());
	explain("ue", "2001:db8::7");
	explain("set", "0000000000000001");
	assert_true(json_is_null(json_object_get(last, "impi")));
	explain("impi", "nobody@x"); /* and asking leaves no trace */
	assert_int_equal(json_array_size(json_object_get(last, "events")), 0);
}

static void one_name_is_wanted(void **state)
{
	(void)state;
	assert_false(say("phone.explain", json_object()));
	assert_false(say("phone.explain", json_pack("{s:s, s:s}", "impi", "a", "ue", "192.0.2.7")));
}

static void an_offer_that_is_refused_is_told_with_the_reply(void **state)
{
	(void)state;
	assert_false(say("sa.offer", offer_of(LEGACY, "contact", NULL)));
	explain("impi", WORLD_IMPI);
	assert_string_equal(text_of(event_at(0), "event"), "refused");
	assert_string_equal(text_of(event_at(0), "reply"), "494 Security Agreement Required");
	assert_non_null(strstr(text_of(event_at(1), "considered"),
			       "hmac-md5-96/des-ede3-cbc/esp/trans not_supported: "));
	assert_true(is_likely("no_common_algorithm", "nothing of the offer"));
}

static void a_header_that_cannot_be_read_is_told(void **state)
{
	(void)state;
	assert_false(say("sa.offer", offer_of("ipsec-3gpp;;", "contact", NULL)));
	explain("ue", "198.51.100.7");
	assert_string_equal(text_of(event_at(1), "security_client"), "ipsec-3gpp;;");
	assert_true(is_likely("bad_header", "offset"));
}

static void keys_that_are_missing_are_told(void **state)
{
	json_t *params = offer_of(CLIENT, "contact", NULL);

	(void)state;
	json_object_del(params, "ik");
	assert_false(say("sa.offer", params));
	explain("impi", WORLD_IMPI);
	assert_true(is_likely("keys_missing", "\"ik\" is missing"));
}

static void a_nat_is_told(void **state)
{
	(void)state;
	assert_false(say("sa.offer", offer_of(CLIENT, "via", "10.0.0.2")));
	explain("impi", WORLD_IMPI);
	assert_true(is_likely("nat_without_udp_enc_tun", "behind a NAT"));
	assert_string_equal(text_of(event_at(0), "reply"), "none");
}

static void the_first_difference_of_security_verify_is_told(void **state)
{
	char set[17];

	(void)state;
	offer(set);
	assert_false(check("ipsec-3gpp;alg=null;ealg=aes-gcm;spi-c=1000;spi-s=1001;port-c=6104;"
			   "port-s=6101", 5062));
	explain("set", set);
	assert_true(is_likely("verify_differs", "Security-Verify is not"));
	assert_int_equal(json_array_size(json_object_get(last, "likely")), 1);
}

static void what_the_kernel_refuses_is_told(void **state)
{
	(void)state;
	fake_xfrm_refuse(1, -ENOSYS);
	assert_false(say("sa.offer", offer_of(CLIENT, "contact", NULL)));
	explain("impi", WORLD_IMPI);
	assert_true(is_likely("algorithm_missing", "ENOSYS"));
}

static void a_message_on_no_set_is_told_by_the_address(void **state)
{
	(void)state;
	assert_false(check("x", 4711));
	explain("ue", "198.51.100.7");
	assert_true(is_likely("unknown_set", "no set of SAs has these addresses and ports"));
	assert_false(say("sa.offer", offer_of(LEGACY, "contact", NULL)));
	explain("impi", WORLD_IMPI); /* which this phone has */
	assert_int_equal(json_array_size(json_object_get(last, "events")), 3);
	assert_string_equal(text_of(event_at(2), "reason"), "unknown_set");
}

static void counters_of_now_are_judged(void **state)
{
	char name[17];
	struct sa_set *set = offer(name);
	const struct xfrm_sa_id id = answered_on(set);

	(void)state;
	fake_xfrm_arrived(&id, 0, 3, 0);
	explain("set", name);
	assert_true(is_likely("keys_differ", "(3 packets)"));
	fake_xfrm_arrived(&id, 3, 0, 0);
	explain("set", name);
	assert_true(is_likely("not_asked", "port 6100"));
	fake_xfrm.drops.mismatch = 3;
	explain("set", name);
	assert_true(is_likely("wrong_flow", "3 packets, of all phones"));
	check(world_text(set->security_server), 5062);
	explain("set", name);
	assert_true(is_likely("unconfirmed", "200"));
}

static void an_sa_that_somebody_deleted_is_told(void **state)
{
	char name[17];
	struct sa_set *set = offer(name);
	const struct xfrm_sa_id id = answered_on(set);
	const struct fake_sa stolen = *fake_xfrm_sa(&id);

	(void)state;
	fake_xfrm_steal_sa(&id);
	explain("set", name);
	assert_true(is_likely("deleted_by_another", "the kernel has no SA"));
	fake_xfrm_put_sa(&stolen.sa);
	sa_set_lost(set);
	explain("set", name);
	assert_true(is_likely("deleted_by_another", "before its end"));
}

static void a_set_that_timed_out_is_told_afterwards(void **state)
{
	char name[17];
	struct sa_set *set = offer(name);
	const struct xfrm_sa_id id = answered_on(set);

	(void)state;
	fake_xfrm_arrived(&id, 0, 2, 0);
	fake_clock_advance_s(world.listener->timers.reg_await_auth_s);
	assert_int_equal(world_sets(), 0);
	explain("set", name);
	assert_string_equal(text_of(last, "impi"), WORLD_IMPI);
	assert_string_equal(text_of(event_at(0), "why"), "expired");
	assert_string_equal(text_of(event_at(1), "event"), "set-unanswered");
	assert_true(is_likely("keys_differ", "(2 packets)"));
}

static void a_registered_phone_has_no_cause(void **state)
{
	char name[17];
	struct sa_set *set = offer(name);
	const struct xfrm_sa_id id = answered_on(set);

	(void)state;
	fake_xfrm_arrived(&id, 2, 0, 0);
	assert_true(check(world_text(set->security_server), 5062));
	world_confirm(set);
	explain("impi", WORLD_IMPI);
	assert_int_equal(json_array_size(json_object_get(last, "likely")), 0);
}

static void only_so_many_sets_behind_one_address(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct sa_set_request request = world_request();
		char impi[32];

		snprintf(impi, sizeof(impi), "%u@x", i);
		request.impi = impi;
		request.ue.spi_c += 2 * i;
		request.ue.spi_s += 2 * i;
		request.ue.port_c = (uint16_t)(10000 + 2 * i);
		request.ue.port_s = (uint16_t)(10001 + 2 * i);
		world_create(&request);
	}
	explain("ue", "198.51.100.7");
	assert_int_equal(json_array_size(json_object_get(last, "sets")), 16);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_phone_is_found_by_each_of_its_names),
		TEST(header_offers_and_reply_are_told),
		TEST(no_key_is_told),
		TEST(an_unknown_phone_is_an_answer),
		TEST(one_name_is_wanted),
		TEST(an_offer_that_is_refused_is_told_with_the_reply),
		TEST(a_header_that_cannot_be_read_is_told),
		TEST(keys_that_are_missing_are_told),
		TEST(a_nat_is_told),
		TEST(the_first_difference_of_security_verify_is_told),
		TEST(what_the_kernel_refuses_is_told),
		TEST(a_message_on_no_set_is_told_by_the_address),
		TEST(counters_of_now_are_judged),
		TEST(an_sa_that_somebody_deleted_is_told),
		TEST(a_set_that_timed_out_is_told_afterwards),
		TEST(a_registered_phone_has_no_cause),
		TEST(only_so_many_sets_behind_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
