/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/diagnosis.c: which cause follows from which counters and events, and which does not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/diagnosis.h"
#include "daemon/log.h"

static struct evidence set;
static struct diagnosis d;
static const struct event_record *events[32];
static size_t event_count;

/* A temporary set just made: nothing has come yet. */
static int start(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, -1);
	event_reset();
	event_count = 0;
	set = (struct evidence){
		.set = 0x12,
		.state = SA_SET_TEMPORARY,
		.age_s = 7,
		.sa_count = 4,
		.has_drops = true,
		.sas = {
			{.in = true, .spi = 4097, .own_port = 6100, .phone_port = 5062},
			{.in = true, .spi = 4098, .own_port = 6104, .phone_port = 5064},
			{.in = false, .spi = 7001, .own_port = 6100, .phone_port = 5062},
			{.in = false, .spi = 7002, .own_port = 6104, .phone_port = 5064},
		},
	};
	return 0;
}

static int stop(void **state)
{
	(void)state;
	event_reset();
	return 0;
}

/* The newest event comes first. */
static void note(void)
{
	memmove(&events[1], &events[0], event_count * sizeof(events[0]));
	events[0] = event_from(event_last());
	event_count++;
}

#define HAPPENED(...)                                                                              \
	do {                                                                                       \
		event_emit(__VA_ARGS__);                                                           \
		note();                                                                            \
	} while (0)

static void diagnose_now(bool with_set)
{
	diagnose(&set, with_set ? 1 : 0, events, event_count, &d);
	for (size_t i = 0; i < d.count; i++)
		assert_true(d.found[i].text[0] && strlen(d.found[i].text) + 1 < DIAGNOSIS_TEXT_BYTES);
}

static void assert_set(const char *cause)
{
	diagnose_now(true);
	assert_int_equal(d.count, cause ? 1 : 0);
	if (cause) {
		assert_string_equal(d.found[0].cause, cause);
		assert_int_equal(d.found[0].set, 0x12);
	}
}

static void assert_history(const char *cause, const char *words)
{
	diagnose_now(false);
	assert_int_equal(d.count, 1);
	assert_string_equal(d.found[0].cause, cause);
	if (!strstr(d.found[0].text, words))
		fail_msg("no \"%s\" in: %s", words, d.found[0].text);
}

static void registered(void)
{
	set.state = SA_SET_CURRENT;
	set.sas[0].packets = 3;
	set.sas[0].heard = true;
	set.sas[2].packets = 2;
}

/* ---- what counters show ---- */

static void a_phone_that_is_well_has_nothing(void **state)
{
	(void)state;
	registered();
	set.drops = (struct xfrm_drops){9, 9, 9}; /* others' */
	assert_set(NULL);
}

static void no_esp_since_the_401(void **state)
{
	(void)state;
	assert_set("nothing_arrives");
	assert_string_equal(d.found[0].text,
			    "no ESP has arrived on spi 4097 since the 401 went out 7 s ago; the phone "
			    "may not have received it, or not accepted the challenge, or its packets "
			    "go elsewhere");
}

static void what_else_came_meanwhile_is_said_as_somebodys(void **state)
{
	(void)state;
	set.drops.no_states = 5;
	set.drops.tmpl_mismatch = 6;
	assert_set("nothing_arrives");
	assert_non_null(strstr(d.found[0].text, "from whomever: 5 packets (XfrmInNoStates)"));
	assert_non_null(strstr(d.found[0].text, "from whomever: 6 packets (XfrmInTmplMismatch)"));
}

static void without_counters_nothing_is_said_of_them(void **state)
{
	(void)state;
	set.has_drops = false;
	set.drops.no_states = 5;
	assert_set("nothing_arrives");
	assert_null(strstr(d.found[0].text, "meanwhile"));
	set.sas[0].packets = 1;
	set.drops.mismatch = 5;
	assert_set("not_asked");
}

static void a_set_that_was_refused_waits_for_nothing(void **state)
{
	(void)state;
	set.aborted = true;
	assert_set(NULL);
}

static void integrity_fails_and_nothing_passes(void **state)
{
	(void)state;
	set.sas[0].integrity_failed = 3;
	set.drops.no_states = 1;
	assert_set("keys_differ");
	assert_non_null(strstr(d.found[0].text, "spi 4097"));
	assert_non_null(strstr(d.found[0].text, "3 packets"));
}

static void some_integrity_fails_and_others_pass(void **state)
{
	(void)state;
	registered();
	set.sas[0].integrity_failed = 3;
	assert_set("damaged");
}

static void integrity_is_no_matter_of_what_leaves(void **state)
{
	(void)state;
	registered();
	set.sas[3].integrity_failed = 3;
	set.sas[3].packets = 3;
	assert_set(NULL);
}

static void the_sequence_numbers_are_old(void **state)
{
	(void)state;
	registered();
	set.sas[0].replay_failed = 3;
	assert_set(NULL); /* three of six */
	set.sas[0].replay_failed = 4;
	assert_set("replayed");
}

static void good_esp_of_another_flow(void **state)
{
	(void)state;
	set.sas[0].packets = 4;
	set.drops.mismatch = 4;
	assert_set("wrong_flow");
	assert_non_null(strstr(d.found[0].text, "than the agreed 5062"));
	assert_non_null(strstr(d.found[0].text, "4 packets, of all phones"));
}

static void good_esp_that_the_sip_server_does_not_hear(void **state)
{
	(void)state;
	set.sas[0].packets = 4;
	assert_set("not_asked");
	assert_non_null(strstr(d.found[0].text, "port 6100"));
	registered();
	set.sas[1].packets = 4;
	assert_set("not_asked");
	assert_non_null(strstr(d.found[0].text, "port 6104"));
}

static void answered_and_never_confirmed(void **state)
{
	(void)state;
	set.sas[0].packets = 1;
	set.sas[0].heard = true;
	assert_set("unconfirmed");
}

static void an_sa_is_gone(void **state)
{
	(void)state;
	registered();
	set.sas[3].lost = true;
	assert_set("deleted_by_another");
	assert_non_null(strstr(d.found[0].text, "spi 7002"));
}

/* ---- what events say ---- */

#define REFUSED(reason, why)                                                                       \
	HAPPENED(EVENT_REQUEST_REFUSED, event_text("method", "sa.offer"),                          \
		 event_text("reason", reason), event_text("why", why))

static void each_refusal_has_a_cause_and_its_own_words(void **state)
{
	static const struct {
		const char *reason, *why, *cause;
	} ROWS[] = {
		{"bad_params", "\"ck\" is missing", "keys_missing"},
		{"bad_params", "\"ik\" is missing", "keys_missing"},
		{"bad_params", "\"pcscf\" is an address", "bad_request"},
		{"bad_challenge", "the challenge lacks ck or ik", "keys_missing"},
		{"bad_header", "offset 7", "bad_header"},
		{"no_common_mechanism", "hmac-md5-96 is not in the list", "no_common_algorithm"},
		{"nat_refused", "behind a NAT", "nat_without_udp_enc_tun"},
		{"verify_mismatch", "port-s is 6101, was 6100", "verify_differs"},
		{"client_mismatch", "spi-c is 1, was 2", "client_differs"},
		{"identity_mismatch", "another IMPI", "identity_differs"},
		{"via_mismatch", "Via", "via_differs"},
		{"flow_in_use", "port-c 5062", "flow_in_use"},
		{"spi_in_use", "spi 7001", "spi_in_use"},
		{"spi_exhausted", "no free SPI", "spi_exhausted"},
		{"port_exhausted", "6104-6107", "ports_exhausted"},
		{"limit", "too many REGISTERs", "limit_reached"},
		{"limit_sets", "max-sets = 1", "limit_reached"},
		{"limit_address", "max-sets-per-address = 1", "limit_reached"},
		{"limit_impi", "max-sets-per-impi = 1", "limit_reached"},
		{"limit_contact", "three sets", "limit_reached"},
		{"store_failed", "not stored", "store_failed"},
		{"unknown_set", "no set", "unknown_set"},
		{"wrong_state", "is temporary", "wrong_state"},
		{"sec_agree_off", "off", "agreement_off"},
		{"unknown_listener", "no such listener", "unknown_listener"},
		{"internal", "out of memory", "refused"},
	};

	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		start(state);
		REFUSED(ROWS[i].reason, ROWS[i].why);
		assert_history(ROWS[i].cause, ROWS[i].why);
	}
}

#define KERNEL_SAID(err, words)                                                                    \
	HAPPENED(EVENT_KERNEL_REFUSED, event_text("attempt", "install"),                           \
		 event_text("object", "ESP SA spi 0x1001"), event_errno(err),                      \
		 event_text("text", words))

static void the_kernels_answer_names_the_cause(void **state)
{
	KERNEL_SAID(-ENOSYS, "Requested CRYPT algorithm not found");
	REFUSED("kernel_refused", "installing the set: ...");
	assert_history("algorithm_missing", "Requested CRYPT algorithm not found");
	start(state);
	KERNEL_SAID(-ENOENT, "Kernel was unable to initialize cryptographic operations");
	assert_history("algorithm_missing", "module");
	start(state);
	KERNEL_SAID(-EPROTONOSUPPORT, "Requested type not found");
	assert_history("esp_missing", "ESP SA spi 0x1001");
	start(state);
	KERNEL_SAID(-EPERM, "");
	assert_history("capability_missing", "CAP_NET_ADMIN");
	start(state);
	KERNEL_SAID(-ENOMEM, "");
	assert_history("kernel_refused", "ENOMEM");
}

static void a_demand_for_an_agreement_is_one(void **state)
{
	(void)state;
	HAPPENED(EVENT_SIP_REFUSED, event_text("verdict", "reply"),
		 event_text("why", "the phone must offer an agreement"),
		 event_text("reply", "421 Extension Required"));
	assert_history("no_agreement", "must offer");
}

static void a_set_that_ended_unanswered_is_diagnosed_as_one_that_lives(void **state)
{
	(void)state;
	HAPPENED(EVENT_SET_UNANSWERED, event_set(0x12), event_number("age_s", 240),
		 event_number("spi", 4097), event_number("port", 6100),
		 event_number("ue_port", 5062), event_number("packets", 0),
		 event_number("integrity_failed", 0), event_number("replay_failed", 0),
		 event_text("heard", "no"), event_text("counted", "no"));
	assert_history("nothing_arrives", "no ESP arrived on spi 4097 in the 240 s");
	assert_int_equal(d.found[0].set, 0x12);
	HAPPENED(EVENT_SET_UNANSWERED, event_set(0x13), event_number("spi", 4099),
		 event_number("integrity_failed", 2), event_text("heard", "no"),
		 event_text("counted", "no"));
	diagnose_now(false);
	assert_int_equal(d.count, 2); /* the newest first */
	assert_string_equal(d.found[0].cause, "keys_differ");
	assert_string_equal(d.found[1].cause, "nothing_arrives");
}

static void a_set_that_was_lost_early(void **state)
{
	(void)state;
	HAPPENED(EVENT_SET_LOST, event_set(0x12), event_number("left_s", 0));
	diagnose_now(false);
	assert_int_equal(d.count, 0); /* the kernel's limit */
	HAPPENED(EVENT_SET_LOST, event_set(0x12), event_number("left_s", 500));
	assert_history("deleted_by_another", "500 s before its end");
}

static void what_was_before_the_registration_does_not_count(void **state)
{
	(void)state;
	REFUSED("no_common_mechanism", "md5");
	HAPPENED(EVENT_SET_STATE, event_set(0x12), event_text("from", "temporary"),
		 event_text("to", "current"), event_text("why", "confirmed"));
	diagnose_now(false);
	assert_int_equal(d.count, 0);
	HAPPENED(EVENT_SET_STATE, event_set(0x12), event_text("from", "current"),
		 event_text("to", "gone"), event_text("why", "lost"));
	REFUSED("limit", "max-sets");
	assert_history("limit_reached", "max-sets");
}

static void what_lives_comes_first_and_each_cause_once(void **state)
{
	(void)state;
	REFUSED("limit", "the first");
	REFUSED("limit", "the second");
	diagnose_now(true);
	assert_int_equal(d.count, 2);
	assert_string_equal(d.found[0].cause, "nothing_arrives");
	assert_string_equal(d.found[1].cause, "limit_reached");
	assert_non_null(strstr(d.found[1].text, "the second"));
}

static void long_words_are_cut(void **state)
{
	char why[2 * DIAGNOSIS_TEXT_BYTES];

	(void)state;
	memset(why, 'x', sizeof(why));
	why[sizeof(why) - 1] = '\0';
	REFUSED("limit", why);
	diagnose(&set, 0, events, event_count, &d);
	assert_int_equal(strlen(d.found[0].text), DIAGNOSIS_TEXT_BYTES - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_phone_that_is_well_has_nothing),
		TEST(no_esp_since_the_401),
		TEST(what_else_came_meanwhile_is_said_as_somebodys),
		TEST(without_counters_nothing_is_said_of_them),
		TEST(a_set_that_was_refused_waits_for_nothing),
		TEST(integrity_fails_and_nothing_passes),
		TEST(some_integrity_fails_and_others_pass),
		TEST(integrity_is_no_matter_of_what_leaves),
		TEST(the_sequence_numbers_are_old),
		TEST(good_esp_of_another_flow),
		TEST(good_esp_that_the_sip_server_does_not_hear),
		TEST(answered_and_never_confirmed),
		TEST(an_sa_is_gone),
		TEST(each_refusal_has_a_cause_and_its_own_words),
		TEST(the_kernels_answer_names_the_cause),
		TEST(a_demand_for_an_agreement_is_one),
		TEST(a_set_that_ended_unanswered_is_diagnosed_as_one_that_lives),
		TEST(a_set_that_was_lost_early),
		TEST(what_was_before_the_registration_does_not_count),
		TEST(what_lives_comes_first_and_each_cause_once),
		TEST(long_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
