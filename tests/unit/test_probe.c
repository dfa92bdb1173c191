/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/probe.c: every combination of every listener is tried and taken out again, and each thing
 * that is missing is said once, with what to do.
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

#include <cap-ng.h>

#include "daemon/probe.h"
#include "tests/unit/fake_timer.h"
#include "tests/unit/fake_xfrm.h"

/* ---- helpers ---- */

int __wrap_capng_have_capability(capng_type_t which, unsigned int capability);

static bool privileged;

int __wrap_capng_have_capability(capng_type_t which, unsigned int capability)
{
	return privileged && which == CAPNG_EFFECTIVE && capability == CAP_NET_ADMIN;
}

static struct config config;
static unsigned fatal_lines;
static char said[8192]; /* fatal ones */

static void say(bool fatal, const char *what, const char *advice)
{
	if (!fatal)
		return;
	fatal_lines++;
	assert_true(strlen(said) + strlen(what) + strlen(advice) + 4 < sizeof(said));
	strcat(strcat(strcat(strcat(said, what), ": "), advice), "\n");
}

static void make_listener(size_t i, const char *address)
{
	struct config_listener *l = &config.listeners[i];

	config_listener_default(l);
	snprintf(l->name, sizeof(l->name), "l%zu", i);
	assert_int_equal(ip_parse(address, &l->address), 0);
}

static int start(void **state)
{
	(void)state;
	fake_clock_reset();
	fake_xfrm_reset();
	config_default(&config);
	make_listener(0, "192.0.2.1");
	make_listener(1, "2001:db8::1");
	config.listener_count = 1;
	privileged = true;
	fatal_lines = 0;
	said[0] = '\0';
	return 0;
}

static unsigned probe(void)
{
	const unsigned missing = probe_kernel(&fake_xfrm, &config, say);

	assert_int_equal(missing, fatal_lines);
	assert_int_equal(fake_xfrm.sa_count, 0); /* whatever happened */
	assert_int_equal(fake_xfrm.policy_count, 0);
	return missing;
}

static void assert_said(const char *words)
{
	if (!strstr(said, words))
		fail_msg("\"%s\" is not in: %s", words, said);
}

/* ---- tests ---- */

static void each_combination_is_tried_and_taken_out_again(void **state)
{
	bool seen[XFRM_ALGO_COUNT] = {0};

	(void)state;
	assert_int_equal(probe(), 0);
	/* four pairs of algorithms, as trans and as UDP-enc-tun */
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_SA), 8);
	assert_int_equal(fake_xfrm_steps(FAKE_DELETE_SA), 8);
	for (size_t i = 0; i < 8; i++) {
		const struct xfrm_sa *sa = &fake_xfrm_step(FAKE_ADD_SA, i)->sa;

		seen[sa->enc.algo] = true;
		assert_in_range(sa->hard_s, 1, 60); /* should we die now, it does not stay */
		assert_true(sa->id.spi >= 256);
	}
	assert_true(seen[XFRM_GCM_AES] && seen[XFRM_GMAC_AES] && seen[XFRM_CBC_AES] &&
		    seen[XFRM_CIPHER_NULL]);
}

static void what_no_listener_uses_is_not_tried(void **state)
{
	struct select_policy *policy = &config.listeners[0].select;

	(void)state;
	policy->pair_count = 1;
	policy->udp_enc_tun = false;
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_SA), 1);
}

static void ah_is_tried_only_with_what_it_can_carry(void **state)
{
	(void)state;
	config.listeners[0].select.ah = true;
	config.listeners[0].select.esp = false;
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_SA), 1); /* hmac-sha-1-96 and null, trans */
}

static void without_the_capability_nothing_is_tried(void **state)
{
	(void)state;
	privileged = false;
	assert_int_equal(probe(), 1);
	assert_said("CAP_NET_ADMIN");
	assert_int_equal(fake_xfrm.messages, 0);
}

static void a_kernel_without_esp_is_said_once(void **state)
{
	(void)state;
	fake_xfrm_refuse_all(FAKE_ADD_SA, -EPROTONOSUPPORT);
	assert_int_equal(probe(), 1);
	assert_said("load the module esp4");
}

static void each_address_family_is_said(void **state)
{
	(void)state;
	config.listener_count = 2;
	fake_xfrm_refuse_all(FAKE_ADD_SA, -EPROTONOSUPPORT);
	assert_int_equal(probe(), 2);
	assert_said("load the module esp4");
	assert_said("load the module esp6");
}

static void a_missing_algorithm_is_said_with_the_way_out(void **state)
{
	(void)state;
	fake_xfrm_refuse(1, -ENOSYS);
	assert_int_equal(probe(), 1);
	assert_said("null with aes-gcm");
	assert_said("listener l0");
	assert_said("crypto module");
}

static void another_refusal_is_said_as_it_is(void **state)
{
	(void)state;
	fake_xfrm_refuse(1, -EINVAL);
	assert_int_equal(probe(), 1);
	assert_said("Invalid argument");
	assert_said("the fake says no");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
	static const struct CMUnitTest tests[] = {
		TEST(each_combination_is_tried_and_taken_out_again),
		TEST(what_no_listener_uses_is_not_tried),
		TEST(ah_is_tried_only_with_what_it_can_carry),
		TEST(without_the_capability_nothing_is_tried),
		TEST(a_kernel_without_esp_is_said_once),
		TEST(each_address_family_is_said),
		TEST(a_missing_algorithm_is_said_with_the_way_out),
		TEST(another_refusal_is_said_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
