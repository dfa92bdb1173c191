/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/sa_set.c with its table, its SPIs and its plan, over the fake kernel and the fake clock:
 * the life of sets, TS 33.203 7.4, and what stays behind when the kernel refuses.
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

#include "daemon/sa_set.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Seconds, as the configuration has them by default. */
enum {
	AWAIT_AUTH = 240,
	OLD_TIME = 128,
	MARGIN = 30,
	SLACK = 10,
};

/* ---- random_draw(): SPIs and ids that a test can foresee ---- */

int __real_random_draw(void *buf, size_t bytes);
int __wrap_random_draw(void *buf, size_t bytes);

static uint32_t next_spis[8]; /* 0: ask the real one */
static size_t next_spi_at;

int __wrap_random_draw(void *buf, size_t bytes)
{
	if (bytes != sizeof(uint32_t) || next_spi_at == COUNT_OF(next_spis) ||
	    !next_spis[next_spi_at])
		return __real_random_draw(buf, bytes);
	memcpy(buf, &next_spis[next_spi_at++], bytes);
	return 0;
}

/* @spis ends with 0. The search for a client port draws a number too: these are for a phone that
 * has sets already, or come with one number more. */
static void foresee(const uint32_t *spis)
{
	memset(next_spis, 0, sizeof(next_spis));
	for (size_t i = 0; spis[i]; i++)
		next_spis[i] = spis[i];
	next_spi_at = 0;
}

static int start(void **state)
{
	foresee((const uint32_t[]){0});
	return world_start(state);
}

/* ---- helpers ---- */

static struct sa_set *temporary(void)
{
	const struct sa_set_request request = world_request();

	return world_create(&request);
}

static void assert_left(const struct sa_set *set, uint32_t seconds)
{
	assert_int_equal(sa_set_left_s(set), seconds);
	assert_int_equal(world_kernel_left_s(set), seconds + SLACK);
}

/* The sets of the table are exactly these (NULL ends them). */
static void assert_sets(const struct sa_set *first, ...)
{
	const struct sa_set *set = first;
	size_t count = 0;
	va_list ap;

	va_start(ap, first);
	for (; set; set = va_arg(ap, const struct sa_set *), count++)
		assert_ptr_equal(sa_table_by_id(world.table, set->id), set);
	va_end(ap);
	assert_int_equal(world_sets(), count);
}

/* ---- making one ---- */

static void a_new_set_is_temporary_for_reg_await_auth(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	assert_left(set, AWAIT_AUTH);
	assert_int_equal(world.table->count[SA_SET_TEMPORARY], 1);
	world_check(true);
}

static void one_registration_is_one_datagram_of_exactly_four_messages(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	assert_int_equal(fake_xfrm.datagrams, 1);
	assert_int_equal(fake_xfrm.messages, 4);
	assert_int_equal(fake_xfrm_steps(FAKE_ADD_SA), 4);
	world_confirm(set); /* moves the kernel's limit: the same again */
	assert_int_equal(fake_xfrm.datagrams, 2);
	assert_int_equal(fake_xfrm.messages, 8);
}

static void an_rfc3329_registration_is_one_datagram_of_two_messages(void **state)
{
	const struct sa_set_request request = world_request_rfc3329(5062, 0);

	(void)state;
	world_create(&request);
	assert_int_equal(fake_xfrm.datagrams, 1);
	assert_int_equal(fake_xfrm.messages, 2);
	world_check(true);
}

static void D3_our_spis_differ_from_both_of_the_phones_and_from_each_other(void **state)
{
	const struct sa_set_request request = world_request_again(NULL);
	struct sa_set *set;

	(void)state;
	world_registered();
	foresee((const uint32_t[]){request.ue.spi_c, request.ue.spi_s, 5000, request.ue.spi_s, 5000,
				   6000, 0});
	set = world_create(&request);
	assert_int_equal(set->pcscf.spi_c, 5000);
	assert_int_equal(set->pcscf.spi_s, 6000);
}

static void C5_reserved_spis_are_never_ours(void **state)
{
	const struct sa_set_request request = world_request_again(NULL);
	struct sa_set *set;

	(void)state;
	world_registered();
	foresee((const uint32_t[]){1, 255, 256, 257, 0});
	set = world_create(&request);
	assert_int_equal(set->pcscf.spi_c, 256);
	assert_int_equal(set->pcscf.spi_s, 257);
}

static void D5_each_authentication_takes_another_client_port_and_spis(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	for (int i = 0; i < 20; i++) {
		const struct ipsec_endpoint before = set->pcscf;

		set = world_reregistered(set);
		sa_set_used(set);
		assert_int_equal(set->pcscf.port_s, before.port_s);
		assert_int_not_equal(set->pcscf.port_c, before.port_c);
		assert_int_not_equal(set->pcscf.spi_c, before.spi_c);
		assert_int_not_equal(set->pcscf.spi_s, before.spi_s);
		world_check(true);
		fake_clock_advance_s(5);
	}
}

static void D6_client_ports_are_used_in_turn(void **state)
{
	struct sa_set *set = world_registered();
	unsigned seen = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		set = world_reregistered(set);
		sa_set_used(set);
		seen |= 1u << (set->pcscf.port_c - 6104);
		fake_clock_advance_s(OLD_TIME);
	}
	assert_int_equal(seen, 0xf);
}

static void our_client_port_is_never_the_phones_server_port(void **state)
{
	struct sa_set_request request = world_request();

	(void)state;
	request.ue.port_s = 6105;
	for (int i = 0; i < 12; i++) {
		request.ue.spi_c++;
		request.ue.spi_s++;
		assert_int_not_equal(world_create(&request)->pcscf.port_c, 6105);
	}
}

static void a_set_answers_in_the_dialect_it_was_offered_in(void **state)
{
	struct sa_set_request request = world_request_rfc3329(5062, 0);
	struct sa_set *set = world_create(&request);

	(void)state;
	assert_non_null(strstr(world_text(set->security_server), ";spi="));
	assert_null(strstr(world_text(set->security_server), "spi-c"));
	assert_int_equal(set->pcscf.port1, set->pcscf.port2);
	request = world_request();
	request.impi = "another@ims.example";
	request.contact = "b";
	set = world_create(&request);
	assert_non_null(strstr(world_text(set->security_server), ";spi-c="));
	assert_null(strstr(world_text(set->security_server), "spi="));
	world_check(true);
}

static void security_server_lists_everything_or_the_chosen_alone(void **state)
{
	struct sa_set_request request = world_request();
	const struct sa_set *set = world_create(&request);

	(void)state;
	assert_non_null(strstr(world_text(set->security_server), "alg=hmac-sha-1-96;ealg=aes-cbc"));
	assert_non_null(strstr(world_text(set->security_server), "alg=aes-gmac;ealg=null"));
	world.listener->security_server = CONFIG_SECURITY_SERVER_CHOSEN;
	request = world_request_again(NULL);
	set = world_create(&request);
	assert_null(strstr(world_text(set->security_server), "hmac-sha-1-96"));
	assert_non_null(strstr(world_text(set->security_server), "alg=null;ealg=aes-gcm"));
}

static void the_other_mechanisms_stay_when_only_the_chosen_combination_is_listed(void **state)
{
	static const char *const MORE[] = {"tls;q=0.7", "ipsec-3gpp;q=0.5",
					   "digest;d-qop=auth;q=0.1", NULL};
	struct sa_set_request request = world_request();
	const struct sa_set *set;
	const char *sent;
	char expected[300];

	(void)state;
	world_mechanisms(MORE);
	set = world_create(&request);
	sent = world_text(set->security_server);
	assert_ptr_equal(strstr(sent, "tls;q=0.7, ipsec-3gpp;q=0.5;"), sent);
	assert_non_null(strstr(sent, "ipsec-3gpp;q=0.497;alg=hmac-sha-1-96;"));
	assert_non_null(strstr(sent, ", digest;q=0.1;d-qop=auth"));
	world.listener->security_server = CONFIG_SECURITY_SERVER_CHOSEN;
	request = world_request_again(NULL);
	set = world_create(&request);
	snprintf(expected, sizeof(expected),
		 "tls;q=0.7, ipsec-3gpp;q=0.5;alg=null;ealg=aes-gcm;prot=esp;mod=trans;spi-c=%u;"
		 "spi-s=%u;port-c=%u;port-s=6100, digest;q=0.1;d-qop=auth",
		 set->pcscf.spi_c, set->pcscf.spi_s, set->pcscf.port_c);
	assert_string_equal(world_text(set->security_server), expected);
}

static void the_texts_of_a_request_are_copied(void **state)
{
	char impi[] = "p@x", client[] = "ipsec-3gpp;alg=null;ealg=aes-gcm", impu[] = "sip:p@x";
	struct sa_set_request request = world_request();
	struct sa_set *set;

	(void)state;
	request.impi = impi;
	request.security_client = client;
	request.impu = impu;
	set = world_create(&request);
	memset(impi, '!', sizeof(impi) - 1);
	memset(client, '!', sizeof(client) - 1);
	memset(impu, '!', sizeof(impu) - 1);
	assert_string_equal(set->impi, "p@x");
	assert_string_equal(set->impu, "sip:p@x");
	assert_string_equal(world_text(set->security_client), "ipsec-3gpp;alg=null;ealg=aes-gcm");
}

/* ---- one TEMPORARY set a contact, and retransmissions ---- */

static void a_new_challenge_replaces_the_temporary_set(void **state)
{
	const uint64_t first = temporary()->id;
	struct sa_set *second = temporary();

	(void)state;
	assert_false(world_has(first));
	assert_sets(second, NULL);
	world_check(true);
}

static void a_retransmission_gets_the_same_set_and_makes_nothing(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *first;

	(void)state;
	request.transaction = 77;
	first = world_create(&request);
	fake_clock_advance_s(3);
	assert_ptr_equal(world_create(&request), first);
	assert_int_equal(fake_xfrm.datagrams, 1);
	assert_left(first, AWAIT_AUTH - 3);
	request.transaction = 78;
	assert_ptr_not_equal(world_create(&request), NULL);
	assert_int_equal(world_sets(), 1);
	assert_true(fake_xfrm.datagrams > 1);
}

static void requests_without_transaction_are_never_retransmissions(void **state)
{
	const uint64_t first = temporary()->id;

	(void)state;
	temporary();
	assert_false(world_has(first));
}

static void E8_contacts_told_apart_by_name_have_sets_of_their_own(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *a, *b;

	(void)state;
	request.contact = "reg-id=1";
	a = world_create(&request);
	request.contact = "reg-id=2";
	request.ue.port_c += 10;
	request.ue.spi_c += 10;
	request.ue.spi_s += 10;
	b = world_create(&request);
	world_confirm(a);
	world_confirm(b);
	assert_sets(a, b, NULL);
	world_check(true);
}

static void E11_another_address_is_another_contact(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *a = world_registered(), *b;

	(void)state;
	request.ue_address = world_ip("198.51.100.8");
	b = world_create(&request);
	world_confirm(b);
	assert_sets(a, b, NULL);
	world_check(true);
}

/* Or somebody who knows the name could replace the temporary set of another phone. */
static void E11_so_it_is_when_both_have_the_same_name(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *a, *b;

	(void)state;
	request.contact = "instance";
	a = world_create(&request);
	request.ue_address = world_ip("198.51.100.8");
	b = world_create(&request);
	assert_sets(a, b, NULL);
	assert_string_equal(sa_contact_name(a->contact), "instance");
	world_check(true);
}

/* ---- the 200 OK ---- */

static void confirming_an_initial_registration_makes_it_current_at_once(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	world_confirm(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_left(set, WORLD_EXPIRES_S + MARGIN);
	world_check(true);
}

static void confirming_an_initial_registration_ends_the_contacts_other_sets(void **state)
{
	struct sa_set_request request = world_request_again(NULL);
	const struct sa_set *old = world_registered();
	struct sa_set *set;

	(void)state;
	world_reregistered(old);
	set = world_create(&request);
	assert_int_equal(world_sets(), 3);
	world_confirm(set);
	assert_sets(set, NULL);
	assert_int_equal(set->state, SA_SET_CURRENT);
	world_check(true);
}

static void confirming_a_reregistration_makes_it_new_and_the_set_it_came_over_old(void **state)
{
	struct sa_set *x = world_registered(), *set;
	uint32_t x_left;

	(void)state;
	fake_clock_advance_s(100);
	x_left = sa_set_left_s(x);
	set = world_reregistered(x);
	assert_sets(x, set, NULL);
	assert_left(x, x_left); /* not shortened before the new one is used */
	assert_ptr_equal(sa_contact_downlink(set->contact), x);
	world_check(true);
}

static void confirming_over_an_old_set_ends_all_but_that(void **state)
{
	struct sa_set *x = world_registered(), *current = world_reregistered(x), *set;
	struct sa_set_request request = world_request_again(x);
	const uint64_t current_id = current->id;

	(void)state;
	sa_set_used(current);
	set = world_create(&request);
	world_confirm(set);
	assert_false(world_has(current_id));
	assert_sets(x, set, NULL);
	assert_int_equal(set->state, SA_SET_NEW);
	assert_int_equal(x->state, SA_SET_OLD);
	assert_ptr_equal(sa_contact_downlink(x->contact), x);
	world_check(true);
}

static void confirming_over_a_new_set_makes_that_old(void **state)
{
	struct sa_set *a = world_registered(), *b = world_reregistered(a), *c;
	struct sa_set_request request = world_request_again(b);
	const uint64_t a_id = a->id;

	(void)state;
	c = world_create(&request);
	world_confirm(c);
	assert_false(world_has(a_id));
	assert_int_equal(b->state, SA_SET_OLD);
	assert_int_equal(c->state, SA_SET_NEW);
	world_check(true);
}

static void confirming_over_a_set_that_is_gone_is_an_initial_registration(void **state)
{
	struct sa_set *x = world_registered(), *set;
	const struct sa_set_request request = world_request_again(x);

	(void)state;
	set = world_create(&request);
	sa_set_drop(x, "test");
	world_confirm(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_sets(set, NULL);
}

static void confirming_over_another_contacts_set_leaves_that_alone(void **state)
{
	struct sa_set *x = world_registered(), *set;
	struct sa_set_request request = world_request_again(x);

	(void)state;
	request.ue_address = world_ip("198.51.100.8");
	set = world_create(&request);
	world_confirm(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_int_equal(x->state, SA_SET_CURRENT);
}

static void E1_a_new_set_lives_at_least_as_long_as_those_before_it(void **state)
{
	struct sa_set *x = world_registered(), *set;
	const struct sa_set_request request = world_request_again(x);

	(void)state;
	set = world_create(&request);
	assert_int_equal(sa_set_confirm(set, 60, &world.refusal), 0);
	assert_left(set, WORLD_EXPIRES_S + MARGIN);
}

static void E1_a_granted_expires_beyond_the_sets_before_counts(void **state)
{
	struct sa_set *x = world_registered(), *set;
	const struct sa_set_request request = world_request_again(x);

	(void)state;
	set = world_create(&request);
	assert_int_equal(sa_set_confirm(set, 7200, &world.refusal), 0);
	assert_left(set, 7200 + MARGIN);
}

static void D12_the_longest_expires_is_no_short_one(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	assert_int_equal(sa_set_confirm(set, UINT32_MAX, &world.refusal), 0);
	assert_true(sa_set_left_s(set) > UINT32_MAX - 1000);
	assert_true(world_kernel_left_s(set) >= (int64_t)UINT32_MAX);
	fake_clock_advance_s(100000);
	assert_int_equal(world_sets(), 1);
}

static void a_second_200_extends(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	fake_clock_advance_s(1000);
	assert_int_equal(sa_set_confirm(set, WORLD_EXPIRES_S, &world.refusal), 0);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_left(set, WORLD_EXPIRES_S + MARGIN);
}

static void a_kernel_that_refuses_a_confirmation_is_asked_again(void **state)
{
	struct sa_set *set = temporary();
	const uint64_t before_ms = set->deadline_ms;

	(void)state;
	fake_xfrm_refuse(3, -ENOMEM);
	assert_int_equal(sa_set_confirm(set, 600, &world.refusal), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_KERNEL_REFUSED);
	assert_sets(set, NULL);
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	assert_int_equal(set->deadline_ms, before_ms);
	world_check(true);
	assert_int_equal(sa_set_confirm(set, 600, &world.refusal), 0);
	assert_int_equal(set->state, SA_SET_CURRENT);
	world_check(true);
}

static void confirming_what_the_kernel_lost_drops_the_set(void **state)
{
	struct sa_set *set = temporary();
	struct plan plan;

	(void)state;
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[2].id);
	assert_int_equal(sa_set_confirm(set, 600, &world.refusal), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_KERNEL_REFUSED);
	assert_int_equal(world.refusal.kernel.error, -ESRCH);
	assert_sets(NULL);
	world_check(true);
}

static void E3_confirming_what_the_kernel_lost_leaves_the_current_set(void **state)
{
	struct sa_set *x = world_registered(), *set;
	const struct sa_set_request request = world_request_again(x);
	struct plan plan;

	(void)state;
	set = world_create(&request);
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[0].id);
	assert_int_equal(sa_set_confirm(set, 600, &world.refusal), -ECANCELED);
	assert_sets(x, NULL);
	assert_int_equal(x->state, SA_SET_CURRENT);
	world_check(true);
}

static void a_wrong_answer_to_the_challenge_cannot_be_confirmed(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	sa_set_abort(set);
	assert_int_equal(sa_set_confirm(set, 600, &world.refusal), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_WRONG_STATE);
	assert_int_equal(set->state, SA_SET_TEMPORARY);
}

/* ---- use ---- */

static void E7_the_first_message_on_a_new_set_makes_it_current(void **state)
{
	struct sa_set *x = world_registered(), *set = world_reregistered(x);

	(void)state;
	sa_set_used(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_int_equal(x->state, SA_SET_OLD);
	assert_left(x, OLD_TIME);
	assert_ptr_equal(sa_contact_downlink(set->contact), set);
	fake_clock_advance_s(OLD_TIME);
	assert_sets(set, NULL);
	world_check(true);
}

static void an_old_set_with_less_left_is_not_lengthened_by_use_of_the_new(void **state)
{
	struct sa_set *x = world_registered(), *set;

	(void)state;
	fake_clock_advance_s(WORLD_EXPIRES_S + MARGIN - 100);
	set = world_reregistered(x);
	sa_set_used(set);
	assert_left(x, 100);
}

static void use_of_other_states_changes_nothing(void **state)
{
	struct sa_set *x = world_registered(), *set = world_reregistered(x);
	const struct sa_set_request request = world_request_again(set);

	(void)state;
	sa_set_used(x);
	assert_int_equal(x->state, SA_SET_OLD);
	assert_int_equal(set->state, SA_SET_NEW);
	sa_set_used(set);
	fake_clock_advance_s(50);
	sa_set_used(set);
	assert_left(x, OLD_TIME - 50);
	sa_set_used(world_create(&request));
	assert_int_equal(world.table->count[SA_SET_TEMPORARY], 1);
}

static void an_old_set_with_less_than_64_T1_left_hands_downlink_to_the_new_one(void **state)
{
	struct sa_set *x = world_registered(), *set;

	(void)state;
	fake_clock_advance_s(600);
	set = world_reregistered(x);
	fake_clock_advance_s(WORLD_EXPIRES_S + MARGIN - 600 - OLD_TIME - 1);
	assert_int_equal(set->state, SA_SET_NEW);
	assert_ptr_equal(sa_contact_downlink(set->contact), x);
	fake_clock_advance_s(1);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_ptr_equal(sa_contact_downlink(set->contact), set);
	assert_int_equal(x->state, SA_SET_OLD);
	assert_left(x, OLD_TIME);
	fake_clock_advance_s(OLD_TIME);
	assert_sets(set, NULL);
}

static void a_set_confirmed_over_one_that_is_nearly_over_takes_downlink_at_once(void **state)
{
	struct sa_set *x = world_registered(), *set;

	(void)state;
	fake_clock_advance_s(WORLD_EXPIRES_S + MARGIN - 20);
	set = world_reregistered(x);
	fake_clock_advance_ms(0);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_left(x, 20);
}

/* A timer of the loop may be a few milliseconds early. */
static void a_timer_that_fires_early_ends_nothing_and_promotes_nobody(void **state)
{
	struct sa_set *x = world_registered(), *set = world_reregistered(x);
	const struct sa_set_request request = world_request_again(x);
	struct sa_set *third = world_create(&request);

	(void)state;
	fake_clock_advance_ms((AWAIT_AUTH - 1) * 1000 + 995);
	third->timer.expired(third->timer.arg);
	assert_sets(x, set, third, NULL);
	assert_int_equal(set->state, SA_SET_NEW);
	fake_clock_advance_ms(5);
	assert_sets(x, set, NULL);
	assert_int_equal(set->state, SA_SET_NEW);
	world_check(true);
}

/* ---- extension ---- */

static void extending_moves_the_end_of_the_current_set(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	fake_clock_advance_s(3000);
	assert_int_equal(sa_set_extend(set, 600000, &world.refusal), 0);
	assert_left(set, 600000 + MARGIN);
	fake_clock_advance_s(600000 + MARGIN - 1);
	assert_sets(set, NULL);
	fake_clock_advance_s(1);
	assert_sets(NULL);
}

static void E1_extending_never_shortens(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	fake_xfrm_forget();
	assert_int_equal(sa_set_extend(set, 10, &world.refusal), 0);
	assert_left(set, WORLD_EXPIRES_S + MARGIN);
	assert_int_equal(sa_set_extend(set, 0, &world.refusal), 0);
	assert_left(set, WORLD_EXPIRES_S + MARGIN);
	assert_int_equal(fake_xfrm.step_count, 0); /* nothing to tell the kernel */
}

static void a_temporary_set_cannot_be_extended(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	assert_int_equal(sa_set_extend(set, 600, &world.refusal), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_WRONG_STATE);
	assert_left(set, AWAIT_AUTH);
}

static void an_extension_that_the_kernel_refuses_leaves_the_old_end(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	fake_clock_advance_s(1000);
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, -ENOBUFS);
	assert_int_equal(sa_set_extend(set, WORLD_EXPIRES_S, &world.refusal), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_KERNEL_REFUSED);
	assert_left(set, WORLD_EXPIRES_S + MARGIN - 1000);
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, 0);
	fake_clock_advance_s(WORLD_EXPIRES_S + MARGIN - 1000);
	assert_sets(NULL);
}

static void extending_what_the_kernel_lost_drops_the_set(void **state)
{
	struct sa_set *set = world_registered();
	struct plan plan;

	(void)state;
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[1].id);
	assert_int_equal(sa_set_extend(set, 7200, &world.refusal), -ECANCELED);
	assert_sets(NULL);
	world_check(true);
}

/* ---- ends ---- */

static void a_temporary_set_ends_by_itself(void **state)
{
	(void)state;
	temporary();
	fake_clock_advance_ms(AWAIT_AUTH * 1000 - 1);
	assert_int_equal(world_sets(), 1);
	fake_clock_advance_ms(1);
	assert_int_equal(world_sets(), 0);
	assert_int_equal(fake_xfrm.sa_count, 0);
	world_check(true);
}

static void E3_the_current_set_survives_the_end_of_a_temporary_one(void **state)
{
	struct sa_set *x = world_registered();
	const struct sa_set_request request = world_request_again(x);

	(void)state;
	world_create(&request);
	fake_clock_advance_s(AWAIT_AUTH);
	assert_sets(x, NULL);
	assert_int_equal(x->state, SA_SET_CURRENT);
	world_check(true);
}

static void a_registration_ends_with_its_time(void **state)
{
	(void)state;
	world_registered();
	fake_clock_advance_ms((WORLD_EXPIRES_S + MARGIN) * 1000 - 1);
	assert_int_equal(world_sets(), 1);
	fake_clock_advance_ms(1);
	assert_int_equal(world_sets(), 0);
	world_check(true);
}

static void releasing_without_linger_ends_a_set_at_once(void **state)
{
	(void)state;
	sa_set_release(world_registered(), 0);
	assert_int_equal(world_sets(), 0);
	world_check(true);
}

static void releasing_with_linger_lets_the_answer_leave(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	sa_set_release(set, 5);
	assert_int_equal(set->state, SA_SET_OLD);
	assert_left(set, 5);
	fake_clock_advance_s(5);
	assert_sets(NULL);
}

static void linger_never_lengthens(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	sa_set_release(set, 1000000);
	assert_left(set, WORLD_EXPIRES_S + MARGIN);
}

static void releasing_an_old_set_shortens_it(void **state)
{
	struct sa_set *x = world_registered();

	(void)state;
	world_reregistered(x);
	sa_set_release(x, 5);
	assert_int_equal(x->state, SA_SET_OLD);
	assert_left(x, 5);
}

/* An OLD set carries messages of the phone: one that was never authenticated must not become one.
 */
static void a_temporary_set_is_released_at_once_whatever_the_linger(void **state)
{
	(void)state;
	sa_set_release(temporary(), 30);
	assert_sets(NULL);
	world_check(true);
}

static void aborting_leaves_time_for_the_refusal_and_no_more(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	sa_set_abort(set);
	assert_true(set->aborted);
	assert_in_range(sa_set_left_s(set), 1, 30);
	fake_clock_advance_s(sa_set_left_s(set));
	assert_sets(NULL);
}

static void a_lost_set_takes_the_rest_of_its_sas_along(void **state)
{
	struct sa_set *set = world_registered();
	struct plan plan;

	(void)state;
	sa_set_plan(set, &plan);
	fake_xfrm_steal_sa(&plan.sas[0].id);
	sa_set_lost(set);
	assert_sets(NULL);
	assert_int_equal(fake_xfrm.sa_count, 0);
	world_check(true);
}

static void E12_tcp_connections_are_reset_before_their_sas_go(void **state)
{
	struct sa_set *set = world_registered();
	const uint16_t port_pc = set->pcscf.port_c;
	const struct fake_step *steps = fake_xfrm.steps;

	(void)state;
	fake_xfrm_forget();
	sa_set_drop(set, "test");
	assert_int_equal(fake_xfrm.step_count, 6);
	assert_int_equal(steps[0].what, FAKE_DESTROY_TCP);
	assert_int_equal(steps[0].local_port, 6100);
	assert_int_equal(steps[0].remote_port, 5062);
	assert_int_equal(steps[1].what, FAKE_DESTROY_TCP);
	assert_int_equal(steps[1].local_port, port_pc);
	assert_int_equal(steps[1].remote_port, 5064);
	for (size_t i = 2; i < 6; i++)
		assert_int_equal(steps[i].what, FAKE_DELETE_SA);
}

static void a_set_goes_even_if_its_tcp_connections_cannot_be_reset(void **state)
{
	(void)state;
	fake_xfrm_refuse_all(FAKE_DESTROY_TCP, -EOPNOTSUPP);
	sa_set_drop(world_registered(), "test");
	assert_int_equal(fake_xfrm.sa_count, 0);
}

static void stopping_leaves_everything_in_the_kernel_and_in_the_store(void **state)
{
	(void)state;
	world_reregistered(world_registered());
	sa_table_free(world.table);
	world.table = NULL;
	assert_int_equal(fake_xfrm.sa_count, 8);
	assert_int_equal(fake_store_sets(), 2);
	fake_xfrm_reset();
	fake_store_reset();
}

static void dropping_all_takes_everything_out_of_the_kernel(void **state)
{
	struct sa_set_request request = world_request_nat(0);

	(void)state;
	world_reregistered(world_registered());
	world_create(&request);
	sa_table_drop_all(world.table, "test");
	assert_int_equal(fake_xfrm.sa_count, 0);
	assert_int_equal(fake_xfrm.policy_count, 0);
}

/* ---- two clocks ---- */

static void the_kernel_ends_a_set_a_little_later_than_we_do(void **state)
{
	struct sa_set *set = temporary();

	(void)state;
	assert_int_equal(world_kernel_left_s(set), AWAIT_AUTH + SLACK);
	world_confirm(set);
	assert_int_equal(world_kernel_left_s(set), WORLD_EXPIRES_S + MARGIN + SLACK);
}

/* The kernel counts from add_time by the real clock: after a step an elapsed time of the monotonic
 * clock would kill the SA, or keep it. */
static void the_kernels_limit_is_right_after_a_step_of_the_clock(void **state)
{
	static const int64_t STEPS[] = {86400, -86400, 3600 * 24 * 365, -3600 * 24 * 365, 1, -1};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(STEPS); i++) {
		struct sa_set *set = world_registered();
		const int64_t expected = WORLD_EXPIRES_S + MARGIN + SLACK;
		int64_t limit;

		fake_clock_advance_s(500);
		fake_clock_step_s(STEPS[i]);
		assert_int_equal(sa_set_extend(set, WORLD_EXPIRES_S, &world.refusal), 0);
		limit = world_kernel_left_s(set);
		if (STEPS[i] > -3600) /* else the limit that is wanted lies before add_time */
			assert_int_equal(limit, expected);
		assert_true(limit >= expected);
		assert_int_equal(sa_set_left_s(set), WORLD_EXPIRES_S + MARGIN);
		sa_set_drop(set, "test");
	}
}

static void a_step_of_the_clock_ends_no_set_of_ours(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	fake_clock_step_s(365 * 86400);
	fake_clock_advance_s(1);
	assert_sets(set, NULL);
	assert_int_equal(sa_set_left_s(set), WORLD_EXPIRES_S + MARGIN - 1);
}

/* ---- limits ---- */

/* Phone @number, which is at its own address and has an IMPI of its own. */
static struct sa_set_request one_of_many(unsigned number)
{
	static char impi[32], address[IP_TEXT_BYTES];
	struct sa_set_request request = world_request();

	snprintf(impi, sizeof(impi), "p%u@ims.example", number);
	snprintf(address, sizeof(address), "10.0.%u.%u", number / 250, number % 250 + 1);
	request.impi = impi;
	request.ue_address = world_ip(address);
	request.ue.spi_c += 2 * number;
	request.ue.spi_s += 2 * number;
	return request;
}

static uint64_t offer_of(unsigned number)
{
	const struct sa_set_request request = one_of_many(number);

	return world_create(&request)->id;
}

static void register_one(unsigned number)
{
	const struct sa_set_request request = one_of_many(number);

	world_confirm(world_create(&request));
}

static void at_max_sets_the_oldest_that_began_in_clear_yields(void **state)
{
	uint64_t ids[5];

	(void)state;
	world.table->max_sets = 5;
	world_registered();
	for (unsigned i = 0; i < 4; i++)
		ids[i] = offer_of(i);
	ids[4] = offer_of(4);
	assert_false(world_has(ids[0]));
	for (unsigned i = 1; i < 5; i++)
		assert_true(world_has(ids[i]));
	assert_int_equal(world.table->yielded[SA_LIMIT_SETS], 1);
	world_check(true);
}

static void at_max_sets_nothing_confirmed_yields(void **state)
{
	struct sa_set_request request;

	(void)state;
	world.table->max_sets = 3;
	for (unsigned i = 0; i < 3; i++)
		register_one(i);
	request = one_of_many(3);
	world_assert_refused(&request, REASON_LIMIT_SETS);
}

static void the_last_tenth_is_for_phones_that_are_registered(void **state)
{
	struct sa_set *set = world_registered(), *again;
	struct sa_set_request request;

	(void)state;
	world.table->max_sets = 20;
	for (unsigned i = 0; i < 17; i++)
		register_one(i);
	request = one_of_many(17);
	world_assert_refused(&request, REASON_LIMIT_SETS);
	request = world_request_again(set);
	again = world_create(&request);
	world_confirm(again);
	assert_int_equal(again->state, SA_SET_NEW);
	world_check(true);
}

static void at_an_address_the_oldest_there_yields(void **state)
{
	struct sa_set_request request;
	uint64_t first, elsewhere;

	(void)state;
	world.table->max_sets_per_address = 2;
	elsewhere = offer_of(9);
	request = world_request_nat(0);
	first = world_create(&request)->id;
	request = world_request_nat(1);
	world_create(&request);
	request = world_request_nat(2);
	world_create(&request);
	assert_false(world_has(first));
	assert_true(world_has(elsewhere));
	assert_int_equal(world.table->yielded[SA_LIMIT_ADDRESS], 1);
	world_check(true);
}

static void an_address_of_confirmed_sets_takes_no_more_but_their_own(void **state)
{
	struct sa_set_request request;
	struct sa_set *set;

	(void)state;
	world.table->max_sets_per_address = 1;
	set = world_registered();
	request = world_request();
	request.impi = "other@ims.example";
	request.ue.spi_c += 10;
	request.ue.spi_s += 10;
	request.ue.port_c += 10;
	request.ue.port_s += 10;
	world_assert_refused(&request, REASON_LIMIT_ADDRESS);
	request = world_request_again(set);
	world_create(&request);
}

static void of_an_impi_the_oldest_yields(void **state)
{
	struct sa_set_request request;
	uint64_t ids[3], other;

	(void)state;
	world.table->max_sets_per_impi = 3;
	other = offer_of(50);
	world_registered();
	for (unsigned i = 0; i < 3; i++) {
		request = one_of_many(i);
		request.impi = WORLD_IMPI;
		ids[i] = world_create(&request)->id;
	}
	assert_false(world_has(ids[0]));
	assert_true(world_has(ids[1]) && world_has(ids[2]) && world_has(other));
	assert_int_equal(world.table->yielded[SA_LIMIT_IMPI], 1);
	world_check(true);
}

static void an_impi_of_confirmed_sets_takes_no_more_but_its_own(void **state)
{
	struct sa_set_request request = one_of_many(1);
	struct sa_set *set = world_registered();

	(void)state;
	world.table->max_sets_per_impi = 1;
	request.impi = WORLD_IMPI;
	world_assert_refused(&request, REASON_LIMIT_IMPI);
	request = world_request_again(set);
	world_create(&request);
}

static void a_confirmed_set_yields_no_more(void **state)
{
	struct sa_set_request request = one_of_many(0);
	struct sa_set *set = world_create(&request);

	(void)state;
	assert_true(set->yields);
	assert_ptr_equal(world.table->yielding, set);
	world_confirm(set);
	assert_false(set->yields);
	assert_null(world.table->yielding);
	assert_null(set->peer->yielding);
	request = world_request_again(set);
	request.impi = one_of_many(0).impi;
	request.ue_address = one_of_many(0).ue_address;
	assert_false(world_create(&request)->yields);
}

/* Its IMPI and its address are no secrets. */
static void a_register_in_clear_does_not_replace_what_a_registered_phone_began(void **state)
{
	struct sa_set *set = world_registered(), *again;
	struct sa_set_request request = world_request_again(set), forged = world_request_again(NULL);

	(void)state;
	again = world_create(&request);
	world_assert_refused(&forged, REASON_LIMIT_CONTACT);
	world_confirm(again);
	assert_int_equal(again->state, SA_SET_NEW);
	world_create(&forged); /* until the next time */
	request = world_request_again(again);
	world_confirm(world_create(&request));
	world_check(true);
}

/* A set of another contact of the same IMPI makes nobody a registered phone: there is no end of
 * contacts. */
static void over_a_set_of_another_contact_counts_as_in_clear(void **state)
{
	struct sa_set *set = world_registered();
	struct sa_set_request request = world_request_again(set);

	(void)state;
	request.contact = "other";
	assert_true(world_create(&request)->yields);
}

/* Rule 3 of TS 33.203 7.1 holds by the rules of confirmation: two confirmed and one to come. */
static void D8_a_contact_never_has_more_than_three_sets(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct sa_set_request request;

		set = world_reregistered(set);
		request = world_request_again(set);
		world_create(&request);
		assert_in_range(set->contact->set_count, 2, 3);
		world_check(true);
	}
}

static void D8_the_client_port_of_another_phone_at_the_address_is_refused(void **state)
{
	struct sa_set_request request = world_request();

	(void)state;
	world_registered();
	request.impi = "thief@ims.example";
	request.ue.spi_c += 10;
	request.ue.spi_s += 10;
	request.ue.port_s += 10;
	world_assert_refused(&request, REASON_FLOW_IN_USE);
	request.ue.port_c += 10;
	world_create(&request);
	world_check(true);
}

/* The kernel has one policy for a selector: it goes with the last set that needs it. */
static void a_phone_behind_a_nat_comes_back_with_its_old_client_port(void **state)
{
	struct sa_set_request request = world_request_nat(1);
	struct sa_set *before, *after;
	size_t policies;

	(void)state;
	before = world_create(&request);
	world_confirm(before);
	policies = fake_xfrm.policy_count;
	request.ue.spi_c += 2;
	request.ue.spi_s += 2;
	after = world_create(&request);
	assert_int_equal(after->reqid, before->reqid);
	assert_int_equal(fake_xfrm.policy_count, policies + 2); /* the new port_pc's alone */
	world_check(true);
	world_confirm(after); /* and so before is gone */
	assert_int_equal(fake_xfrm.policy_count, policies);
	world_check(true);
	sa_set_drop(after, "test");
	assert_int_equal(fake_xfrm.policy_count, 0);
}

static void an_old_set_is_not_extended(void **state)
{
	struct sa_set *old = world_registered();

	(void)state;
	world_reregistered(old);
	assert_int_equal(sa_set_extend(old, 7200, &world.refusal), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_WRONG_STATE);
}

static void a_phone_that_lost_its_state_comes_back_with_its_old_ports(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *before = world_registered(), *set;
	const uint64_t before_id = before->id;

	(void)state;
	request.ue.spi_c += 10;
	request.ue.spi_s += 10;
	set = world_create(&request);
	assert_int_equal(before->state, SA_SET_CURRENT);
	assert_int_not_equal(set->pcscf.port_c, before->pcscf.port_c);
	assert_ptr_equal(sa_contact_downlink(set->contact), before);
	world_check(true);
	world_confirm(set);
	assert_false(world_has(before_id));
	world_check(true);
}

/* Phones at one address with the same port_us: each takes a client port. */
static struct sa_set_request at_the_same_port(unsigned number)
{
	static char impi[32];
	struct sa_set_request request = world_request();

	snprintf(impi, sizeof(impi), "q%u@ims.example", number);
	request.impi = impi;
	request.ue.spi_c += 2 * (number + 1);
	request.ue.spi_s += 2 * (number + 1);
	request.ue.port_c = (uint16_t)(request.ue.port_c + 2 * (number + 1));
	return request;
}

static void client_ports_run_out(void **state)
{
	struct sa_set_request request;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		request = at_the_same_port(i);
		world_confirm(world_create(&request));
	}
	request = at_the_same_port(4);
	world_assert_refused(&request, REASON_PORT_EXHAUSTED);
	request.ue.port_s += 2;
	world_create(&request);
	world_check(true);
}

static void of_client_ports_the_oldest_that_began_in_clear_yields(void **state)
{
	struct sa_set *set = world_registered();
	struct sa_set_request request;
	uint64_t ids[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		request = at_the_same_port(i);
		ids[i] = world_create(&request)->id;
	}
	assert_false(world_has(ids[0]));
	assert_true(world_has(ids[1]) && world_has(ids[2]) && world_has(ids[3]));
	request = world_request_again(set);
	world_confirm(world_create(&request));
	assert_false(world_has(ids[1]));
	assert_int_equal(world.table->yielded[SA_LIMIT_PORT], 2);
	world_check(true);
}

static void for_a_pair_of_rfc3329_too(void **state)
{
	struct sa_set_request request = world_request_rfc3329(5062, 0);
	uint64_t first = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		char impi[32];

		snprintf(impi, sizeof(impi), "r%u@ims.example", i);
		request.impi = impi;
		request.ue.spi++;
		if (!first)
			first = world_create(&request)->id;
		else
			world_create(&request);
	}
	assert_false(world_has(first));
	assert_int_equal(world_sets(), 4);
	world_check(true);
}

/* Somebody guessed the next port_uc of a registered phone. */
static void a_registered_phone_takes_the_client_port_of_what_began_in_clear(void **state)
{
	struct sa_set *set = world_registered();
	struct sa_set_request request = world_request_again(set), forged = at_the_same_port(1);

	(void)state;
	forged.ue.port_c = request.ue.port_c;
	forged.ue.port_s += 2;
	world_create(&forged);
	world_confirm(world_create(&request));
	assert_int_equal(world.table->yielded[SA_LIMIT_PORT], 1);
	world_check(true);
}

static void an_rfc3329_set_has_its_port_for_itself(void **state)
{
	struct sa_set_request request = world_request_rfc3329(5062, 0);
	const uint16_t port = world_create(&request)->pcscf.port1;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct sa_set_request other = world_request();
		char impi[32];

		snprintf(impi, sizeof(impi), "p%u@ims.example", i);
		other.impi = impi;
		other.ue.spi_c += 2 * i;
		other.ue.spi_s += 2 * i;
		other.ue.port_c = (uint16_t)(other.ue.port_c + 2 * i);
		assert_int_not_equal(world_create(&other)->pcscf.port_c, port);
	}
	world_check(true);
}

/* ---- the kernel refuses ---- */

static struct xfrm_sa strangers_sa(uint32_t spi, const char *dst)
{
	return (struct xfrm_sa){.id = {.dst = world_ip(dst), .spi = spi, .proto = IPPROTO_ESP},
				.src = world_ip("192.0.2.77"),
				.reqid = 1};
}

static void an_spi_of_ours_that_the_kernel_knows_already_is_exchanged(void **state)
{
	const struct xfrm_sa stranger = strangers_sa(7777, "192.0.2.1");
	const struct sa_set_request request = world_request_again(NULL);
	struct sa_set *set;

	(void)state;
	world_registered();
	fake_xfrm_put_sa(&stranger);
	foresee((const uint32_t[]){7000, 7777, 8000, 8001, 0});
	set = world_create(&request);
	assert_int_equal(set->pcscf.spi_c, 8000);
	assert_int_equal(set->pcscf.spi_s, 8001);
	assert_non_null(strstr(world_text(set->security_server), "spi-c=8000;spi-s=8001"));
	assert_non_null(fake_xfrm_sa(&stranger.id));
	fake_xfrm_steal_sa(&stranger.id);
	world_check(true);
}

static void an_spi_of_the_phone_that_is_in_use_is_refused_and_leaves_nothing(void **state)
{
	static const uint32_t SPIS[] = {11111111, 22222222};
	const struct sa_set_request request = world_request();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SPIS); i++) {
		const struct xfrm_sa stranger = strangers_sa(SPIS[i], "198.51.100.7");

		fake_xfrm_put_sa(&stranger);
		fake_xfrm_forget();
		assert_int_equal(sa_set_create(world.table, &request, NULL, &world.refusal),
				 -ECANCELED);
		assert_int_equal(fake_xfrm_steps(FAKE_ADD_SA), 4); /* no second try */
		assert_int_equal(world.refusal.reason, REASON_SPI_IN_USE);
		assert_int_equal(world.refusal.sip_code, 403);
		assert_int_equal(world.refusal.kernel.error, -EEXIST);
		assert_non_null(fake_xfrm_sa(&stranger.id));
		fake_xfrm_steal_sa(&stranger.id);
		world_check(true);
	}
	assert_int_equal(world_sets(), 0);
}

static void the_phones_spis_of_its_living_set_are_refused(void **state)
{
	const struct sa_set_request request = world_request();
	struct sa_set *set = world_registered();

	(void)state;
	world_assert_refused(&request, REASON_SPI_IN_USE);
	assert_sets(set, NULL);
}

/* 0: shared policies, 1: RFC 3329, 2: NAT with four policies of its own */
static struct sa_set_request request_of_kind(int kind)
{
	if (kind == 0)
		return world_request();
	return kind == 1 ? world_request_rfc3329(5062, 5062) : world_request_nat(0);
}

static void any_refused_message_leaves_nothing_behind(void **state)
{
	static const size_t MESSAGES[] = {4, 2, 8};
	static const int ERRORS[] = {-ENOMEM, -ENOSYS, -EPERM};

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		const struct sa_set_request request = request_of_kind(kind);

		for (size_t nth = 1; nth <= MESSAGES[kind]; nth++) {
			for (size_t e = 0; e < COUNT_OF(ERRORS); e++) {
				fake_xfrm_refuse(nth, ERRORS[e]);
				world_assert_refused(&request, REASON_KERNEL_REFUSED);
				assert_int_equal(world.refusal.kernel.error, ERRORS[e]);
				assert_null(world.table->sets);
				assert_null(world.table->flows);
				assert_null(world.table->contacts);
				assert_null(world.table->identities);
				assert_null(world.table->peers);
			}
		}
	}
}

static void a_kernel_that_always_says_EEXIST_is_asked_only_so_often(void **state)
{
	const struct sa_set_request request = world_request();

	(void)state;
	fake_xfrm_refuse_all(FAKE_ADD_SA, -EEXIST);
	world_assert_refused(&request, REASON_SPI_IN_USE);
	assert_in_range(fake_xfrm_steps(FAKE_ADD_SA), 4, 64);
}

static void E3_a_refused_challenge_leaves_the_current_set(void **state)
{
	struct sa_set *x = world_registered();
	const struct sa_set_request request = world_request_again(x);

	(void)state;
	fake_xfrm_refuse(3, -ENOMEM);
	world_assert_refused(&request, REASON_KERNEL_REFUSED);
	assert_sets(x, NULL);
	assert_int_equal(x->state, SA_SET_CURRENT);
}

static void spis_of_a_refused_set_are_free_again_later(void **state)
{
	const struct sa_set_request request = world_request();

	(void)state;
	fake_xfrm_refuse(1, -ENOMEM);
	world_assert_refused(&request, REASON_KERNEL_REFUSED);
	for (size_t i = 0; i < fake_xfrm.step_count; i++)
		assert_null(sa_table_by_spi(world.table, fake_xfrm.steps[i].sa.id.spi));
}

/* ---- keys ---- */

static void no_key_is_left_in_a_set(void **state)
{
	const struct sa_set_request request = world_request();
	struct sa_set *set = temporary();
	const uint8_t *bytes = (const uint8_t *)set;

	(void)state;
	for (size_t i = 0; i + 8 <= sizeof(*set); i++) {
		assert_memory_not_equal(bytes + i, request.ck, 8);
		assert_memory_not_equal(bytes + i, request.ik, 8);
	}
}

static void the_keys_in_the_kernel_are_the_expanded_ones(void **state)
{
	const struct sa_set_request request = world_request();
	static const uint8_t SALT[] = {0x89, 0x27, 0x3d, 0xb6};

	(void)state;
	temporary();
	for (size_t i = 0; i < 4; i++) {
		const struct xfrm_key *enc = &fake_xfrm.sas[i].sa.enc;

		assert_int_equal(enc->algo, XFRM_GCM_AES);
		assert_memory_equal(enc->bytes, request.ck, 16);
		assert_memory_equal(enc->bytes + 16, SALT, 4);
	}
}

static void keys_that_do_not_fit_the_suite_make_nothing(void **state)
{
	struct sa_set_request request = world_request();

	(void)state;
	request.suite.ealg = IPSEC_EALG_NULL; /* null and null: no legal combination */
	world_assert_refused(&request, REASON_INTERNAL);
}

/* ---- sets with policies of their own ---- */

static void a_nat_set_is_eight_messages_in_one_datagram(void **state)
{
	const struct sa_set_request request = world_request_nat(0);
	struct sa_set *set = world_create(&request);

	(void)state;
	assert_int_equal(fake_xfrm.datagrams, 1);
	assert_int_equal(fake_xfrm.messages, 8);
	assert_int_equal(set->policy_count, 4);
	assert_int_equal(fake_xfrm.policy_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(set->policy_index[i] != 0);
		assert_int_equal(fake_xfrm.policies[i].reqid, set->reqid);
	}
	world_check(true);
}

static void sets_with_policies_of_their_own_have_reqids_of_their_own(void **state)
{
	const struct sa_set_request first = world_request_nat(0), second = world_request_nat(1);
	struct sa_set *a = world_create(&first), *b = world_create(&second);

	(void)state;
	assert_int_equal(a->reqid >> 16, world.listener->reqid);
	assert_int_equal(b->reqid >> 16, world.listener->reqid);
	assert_int_equal(temporary()->reqid, world.listener->reqid);
}

static void per_set_policies_come_and_go_with_their_set(void **state)
{
	struct sa_set *set;

	(void)state;
	world.listener->policies = CONFIG_POLICIES_PER_SET;
	set = world_registered();
	assert_int_equal(fake_xfrm.policy_count, 4);
	set = world_reregistered(set);
	assert_int_equal(fake_xfrm.policy_count, 8);
	sa_set_used(set);
	fake_clock_advance_s(OLD_TIME);
	assert_int_equal(fake_xfrm.policy_count, 4);
	world_check(true);
}

static void a_strangers_policy_is_never_deleted(void **state)
{
	const struct sa_set_request request = world_request_nat(0);
	struct sa_set *set = world_create(&request);
	struct xfrm_policy stranger;
	struct plan plan;

	(void)state;
	sa_set_plan(set, &plan);
	stranger = plan.policies[0];
	stranger.reqid = 99;
	fake_xfrm_steal_policies(); /* a flush, and somebody takes the selector */
	fake_xfrm_put_policy(&stranger);
	sa_set_drop(set, "test");
	assert_int_equal(fake_xfrm.policy_count, 1);
	assert_int_equal(fake_xfrm.sa_count, 0);
	fake_xfrm_steal_policies();
}

static void a_policy_without_a_known_name_does_not_keep_the_sas(void **state)
{
	const struct sa_set_request request = world_request_nat(0);
	struct sa_set *set = world_create(&request);

	(void)state;
	set->policy_index[2] = 0; /* it had vanished before its name could be learned */
	sa_set_drop(set, "test");
	assert_int_equal(fake_xfrm.sa_count, 0);
	fake_xfrm_steal_policies();
}

static void D9_phones_behind_one_nat_need_different_server_ports(void **state)
{
	struct sa_set_request first = world_request_nat(0), second = world_request_nat(1);

	(void)state;
	world_create(&first);
	second.ue.port_s = first.ue.port_s;
	world_assert_refused(&second, REASON_FLOW_IN_USE);
	second.ue.port_s++;
	world_create(&second);
	world_check(true);
}

static void D9_the_phone_itself_may_keep_its_server_port(void **state)
{
	struct sa_set_request request = world_request_nat(0);
	struct sa_set *set = world_create(&request);

	(void)state;
	world_confirm(set);
	request.over_id = set->id;
	request.ue.port_c += 2;
	request.ue.spi_c += 2;
	request.ue.spi_s += 2;
	world_confirm(world_create(&request));
	assert_int_equal(world_sets(), 2);
	world_check(true);
}

static void N4_a_new_nat_port_reaches_every_sa_of_the_set(void **state)
{
	const struct sa_set_request request = world_request_nat(0);
	struct sa_set *set = world_create(&request);

	(void)state;
	world_check(true); /* port still unknown */
	fake_clock_advance_s(7);
	fake_xfrm_forget();
	sa_set_moved(set, 61234);
	assert_int_equal(fake_xfrm_steps(FAKE_CHANGE_SA), 4);
	for (size_t i = 0; i < 4; i++) {
		const struct xfrm_encap *encap = &fake_xfrm_step(FAKE_CHANGE_SA, i)->change.encap;

		assert_true(encap->on);
		assert_int_equal(encap->sport == 4500 ? encap->dport : encap->sport, 61234);
		assert_int_equal(encap->sport == 4500 ? encap->sport : encap->dport, 4500);
	}
	assert_left(set, AWAIT_AUTH - 7);
	world_check(true);
	fake_xfrm_forget();
	sa_set_moved(set, 61234);
	assert_int_equal(fake_xfrm.step_count, 0);
}

static void a_set_without_nat_does_not_move(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	fake_xfrm_forget();
	sa_set_moved(set, 61234);
	assert_int_equal(set->encap_remote_port, 0);
	assert_int_equal(fake_xfrm.step_count, 0);
}

static void lifetimes_of_a_nat_set_keep_its_encapsulation(void **state)
{
	const struct sa_set_request request = world_request_nat(0);
	struct sa_set *set = world_create(&request);

	(void)state;
	sa_set_moved(set, 61234);
	world_confirm(set);
	world_check(true);
}

/* ---- random sequences ---- */

static uint32_t lot; /* xorshift */

static uint32_t draw(uint32_t below)
{
	lot ^= lot << 13;
	lot ^= lot >> 17;
	lot ^= lot << 5;
	return lot % below;
}

static struct sa_set *any_set(void)
{
	struct sa_set *set = world.table->sets;

	for (uint32_t n = set ? draw((uint32_t)world_sets()) : 0; n; n--)
		set = set->hh.next;
	return set;
}

static void any_phone_asks(void)
{
	static const char *const ADDRESSES[] = {"198.51.100.7", "198.51.100.8", "203.0.113.9"};
	struct sa_set_request request = draw(5) ? world_request_nat(draw(3))
						: world_request_rfc3329(5062, draw(2) ? 5062 : 0);
	struct sa_set *over = any_set(), *ret;

	request.nat = draw(3) == 0;
	if (request.ue.dialect == IPSEC_DIALECT_24229 && !request.nat)
		request.suite.mod = IPSEC_MOD_TRANS;
	request.ue_address = world_ip(request.nat ? ADDRESSES[2] : ADDRESSES[draw(3)]);
	request.ue.spi = 300 + draw(40);
	request.ue.spi_c = 400 + draw(60);
	request.ue.spi_s = 500 + draw(60);
	request.ue.port_c = (uint16_t)(7000 + draw(6));
	request.ue.port_s = (uint16_t)(8000 + draw(3));
	request.transaction = draw(4);
	if (over && over->state != SA_SET_TEMPORARY && draw(2) && !strcmp(over->impi, request.impi))
		request.over_id = over->id;
	if (request.ue.dialect == IPSEC_DIALECT_RFC3329) {
		request.suite.mod = IPSEC_MOD_TRANS;
		request.ue.spi_c = request.ue.spi_s = 0;
		request.ue.port_c = request.ue.port_s = 0;
		request.nat = false;
	}
	sa_set_create(world.table, &request, &ret, &world.refusal);
}

static void something_happens_to(struct sa_set *set)
{
	const uint32_t expires_s = draw(5000);

	switch (draw(10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		sa_set_confirm(set, expires_s, &world.refusal);
		break;
	case 4:
	case 5:
		sa_set_used(set);
		break;
	case 6:
		sa_set_extend(set, expires_s, &world.refusal);
		break;
	case 7:
		if (draw(2))
			sa_set_release(set, draw(2) * draw(60));
		else
			sa_contact_release(set->contact, draw(2) * draw(60));
		break;
	case 8:
		sa_set_moved(set, (uint16_t)draw(65536));
		break;
	case 9:
		if (set->state == SA_SET_TEMPORARY)
			sa_set_abort(set);
		else if (draw(8) == 0)
			sa_set_lost(set);
		break;
	}
}

static void run_lottery(uint32_t seed, bool disobedient, unsigned steps)
{
	lot = seed;
	world.listener->client_port_last = 6111; /* room for crowds */
	for (unsigned i = 0; i < steps; i++) {
		struct sa_set *set = any_set();

		/* additions only: changes and deletions that fail are not undone */
		if (disobedient && draw(4) == 0)
			fake_xfrm_refuse_all(draw(2) ? FAKE_ADD_SA : FAKE_ADD_POLICY, -ENOMEM);
		if (!set || draw(3) == 0)
			any_phone_asks();
		else if (draw(4) == 0)
			fake_clock_advance_ms(draw(200) * draw(1000));
		else
			something_happens_to(set);
		fake_xfrm_refuse_all(FAKE_ADD_SA, 0);
		fake_xfrm_refuse_all(FAKE_ADD_POLICY, 0);
		world_check(true);
	}
}

static void random_events_keep_tables_and_kernel_in_step(void **state)
{
	(void)state;
	run_lottery(20240229, false, 6000);
	assert_true(fake_xfrm.datagrams > 1000); /* something did happen */
}

static void random_events_with_a_kernel_that_refuses_keep_them_in_step(void **state)
{
	(void)state;
	run_lottery(33203, true, 3000);
}

static void random_events_with_policies_of_their_own_keep_them_in_step(void **state)
{
	(void)state;
	world.listener->policies = CONFIG_POLICIES_PER_SET;
	run_lottery(3329, false, 3000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, world_stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_new_set_is_temporary_for_reg_await_auth),
		TEST(one_registration_is_one_datagram_of_exactly_four_messages),
		TEST(an_rfc3329_registration_is_one_datagram_of_two_messages),
		TEST(D3_our_spis_differ_from_both_of_the_phones_and_from_each_other),
		TEST(C5_reserved_spis_are_never_ours),
		TEST(D5_each_authentication_takes_another_client_port_and_spis),
		TEST(D6_client_ports_are_used_in_turn),
		TEST(our_client_port_is_never_the_phones_server_port),
		TEST(a_set_answers_in_the_dialect_it_was_offered_in),
		TEST(security_server_lists_everything_or_the_chosen_alone),
		TEST(the_other_mechanisms_stay_when_only_the_chosen_combination_is_listed),
		TEST(the_texts_of_a_request_are_copied),
		TEST(a_new_challenge_replaces_the_temporary_set),
		TEST(a_retransmission_gets_the_same_set_and_makes_nothing),
		TEST(requests_without_transaction_are_never_retransmissions),
		TEST(E8_contacts_told_apart_by_name_have_sets_of_their_own),
		TEST(E11_another_address_is_another_contact),
		TEST(E11_so_it_is_when_both_have_the_same_name),
		TEST(confirming_an_initial_registration_makes_it_current_at_once),
		TEST(confirming_an_initial_registration_ends_the_contacts_other_sets),
		TEST(confirming_a_reregistration_makes_it_new_and_the_set_it_came_over_old),
		TEST(confirming_over_an_old_set_ends_all_but_that),
		TEST(confirming_over_a_new_set_makes_that_old),
		TEST(confirming_over_a_set_that_is_gone_is_an_initial_registration),
		TEST(confirming_over_another_contacts_set_leaves_that_alone),
		TEST(E1_a_new_set_lives_at_least_as_long_as_those_before_it),
		TEST(E1_a_granted_expires_beyond_the_sets_before_counts),
		TEST(D12_the_longest_expires_is_no_short_one),
		TEST(a_second_200_extends),
		TEST(a_kernel_that_refuses_a_confirmation_is_asked_again),
		TEST(confirming_what_the_kernel_lost_drops_the_set),
		TEST(E3_confirming_what_the_kernel_lost_leaves_the_current_set),
		TEST(a_wrong_answer_to_the_challenge_cannot_be_confirmed),
		TEST(E7_the_first_message_on_a_new_set_makes_it_current),
		TEST(an_old_set_with_less_left_is_not_lengthened_by_use_of_the_new),
		TEST(use_of_other_states_changes_nothing),
		TEST(an_old_set_with_less_than_64_T1_left_hands_downlink_to_the_new_one),
		TEST(a_set_confirmed_over_one_that_is_nearly_over_takes_downlink_at_once),
		TEST(a_timer_that_fires_early_ends_nothing_and_promotes_nobody),
		TEST(extending_moves_the_end_of_the_current_set),
		TEST(E1_extending_never_shortens),
		TEST(a_temporary_set_cannot_be_extended),
		TEST(an_extension_that_the_kernel_refuses_leaves_the_old_end),
		TEST(extending_what_the_kernel_lost_drops_the_set),
		TEST(a_temporary_set_ends_by_itself),
		TEST(E3_the_current_set_survives_the_end_of_a_temporary_one),
		TEST(a_registration_ends_with_its_time),
		TEST(releasing_without_linger_ends_a_set_at_once),
		TEST(releasing_with_linger_lets_the_answer_leave),
		TEST(linger_never_lengthens),
		TEST(releasing_an_old_set_shortens_it),
		TEST(a_temporary_set_is_released_at_once_whatever_the_linger),
		TEST(aborting_leaves_time_for_the_refusal_and_no_more),
		TEST(a_lost_set_takes_the_rest_of_its_sas_along),
		TEST(E12_tcp_connections_are_reset_before_their_sas_go),
		TEST(a_set_goes_even_if_its_tcp_connections_cannot_be_reset),
		TEST(dropping_all_takes_everything_out_of_the_kernel),
		TEST(stopping_leaves_everything_in_the_kernel_and_in_the_store),
		TEST(the_kernel_ends_a_set_a_little_later_than_we_do),
		TEST(the_kernels_limit_is_right_after_a_step_of_the_clock),
		TEST(a_step_of_the_clock_ends_no_set_of_ours),
		TEST(at_max_sets_the_oldest_that_began_in_clear_yields),
		TEST(at_max_sets_nothing_confirmed_yields),
		TEST(the_last_tenth_is_for_phones_that_are_registered),
		TEST(at_an_address_the_oldest_there_yields),
		TEST(an_address_of_confirmed_sets_takes_no_more_but_their_own),
		TEST(of_an_impi_the_oldest_yields),
		TEST(an_impi_of_confirmed_sets_takes_no_more_but_its_own),
		TEST(a_confirmed_set_yields_no_more),
		TEST(a_register_in_clear_does_not_replace_what_a_registered_phone_began),
		TEST(over_a_set_of_another_contact_counts_as_in_clear),
		TEST(D8_a_contact_never_has_more_than_three_sets),
		TEST(D8_the_client_port_of_another_phone_at_the_address_is_refused),
		TEST(a_phone_that_lost_its_state_comes_back_with_its_old_ports),
		TEST(a_phone_behind_a_nat_comes_back_with_its_old_client_port),
		TEST(an_old_set_is_not_extended),
		TEST(client_ports_run_out),
		TEST(of_client_ports_the_oldest_that_began_in_clear_yields),
		TEST(for_a_pair_of_rfc3329_too),
		TEST(a_registered_phone_takes_the_client_port_of_what_began_in_clear),
		TEST(an_rfc3329_set_has_its_port_for_itself),
		TEST(an_spi_of_ours_that_the_kernel_knows_already_is_exchanged),
		TEST(an_spi_of_the_phone_that_is_in_use_is_refused_and_leaves_nothing),
		TEST(the_phones_spis_of_its_living_set_are_refused),
		TEST(any_refused_message_leaves_nothing_behind),
		TEST(a_kernel_that_always_says_EEXIST_is_asked_only_so_often),
		TEST(E3_a_refused_challenge_leaves_the_current_set),
		TEST(spis_of_a_refused_set_are_free_again_later),
		TEST(no_key_is_left_in_a_set),
		TEST(the_keys_in_the_kernel_are_the_expanded_ones),
		TEST(keys_that_do_not_fit_the_suite_make_nothing),
		TEST(a_nat_set_is_eight_messages_in_one_datagram),
		TEST(sets_with_policies_of_their_own_have_reqids_of_their_own),
		TEST(per_set_policies_come_and_go_with_their_set),
		TEST(a_strangers_policy_is_never_deleted),
		TEST(a_policy_without_a_known_name_does_not_keep_the_sas),
		TEST(D9_phones_behind_one_nat_need_different_server_ports),
		TEST(D9_the_phone_itself_may_keep_its_server_port),
		TEST(N4_a_new_nat_port_reaches_every_sa_of_the_set),
		TEST(a_set_without_nat_does_not_move),
		TEST(lifetimes_of_a_nat_set_keep_its_encapsulation),
		TEST(random_events_keep_tables_and_kernel_in_step),
		TEST(random_events_with_a_kernel_that_refuses_keep_them_in_step),
		TEST(random_events_with_policies_of_their_own_keep_them_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
