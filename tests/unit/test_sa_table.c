/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/sa_table.c: the ways to find a set, and which client port a new one gets.
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

#include "tests/unit/world.h"

/* ---- helpers ---- */

static const struct sa_flow *flow_at(uint16_t local_port, const char *remote, uint16_t remote_port)
{
	const struct ip_addr ip = world_ip(remote);

	return sa_table_flow(world.table, &world.listener->address, local_port, &ip, remote_port);
}

static struct sa_set *set_at(uint16_t local_port, const char *remote, uint16_t remote_port)
{
	const struct sa_flow *flow = flow_at(local_port, remote, remote_port);

	return flow ? flow->set : NULL;
}

/* ---- finding ---- */

static void a_set_is_found_by_its_id_and_by_our_spis(void **state)
{
	struct sa_set *set = world_registered();
	const uint32_t spi_c = set->pcscf.spi_c, spi_s = set->pcscf.spi_s;
	const uint64_t id = set->id;

	(void)state;
	assert_true(id != 0);
	assert_ptr_equal(sa_table_by_id(world.table, id), set);
	assert_ptr_equal(sa_table_by_spi(world.table, spi_c), set);
	assert_ptr_equal(sa_table_by_spi(world.table, spi_s), set);
	assert_null(sa_table_by_spi(world.table, set->ue.spi_c)); /* the phone's are not ours */
	sa_set_drop(set, "test");
	assert_null(sa_table_by_id(world.table, id));
	assert_null(sa_table_by_spi(world.table, spi_c));
	assert_null(sa_table_by_spi(world.table, spi_s));
}

static void D11_a_set_is_found_by_both_of_its_flows_and_no_other(void **state)
{
	struct sa_set *set = world_registered();
	const uint16_t pc = set->pcscf.port_c;

	(void)state;
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5062), set);
	assert_ptr_equal(set_at(pc, "198.51.100.7", 5064), set);
	assert_null(set_at(6100, "198.51.100.7", 5064)); /* crossed */
	assert_null(set_at(pc, "198.51.100.7", 5062));
	assert_null(set_at(6100, "198.51.100.8", 5062));
	assert_null(set_at(6100, "198.51.100.7", 5063));
	assert_null(set_at(6101, "198.51.100.7", 5062));
	sa_set_drop(set, "test");
	assert_null(flow_at(6100, "198.51.100.7", 5062));
	assert_null(flow_at(pc, "198.51.100.7", 5064));
}

static void a_relaxed_set_is_found_by_its_crossed_flows_too(void **state)
{
	struct sa_set *set, *fresh;
	uint16_t pc;

	(void)state;
	world.config.listeners[0].selectors = CONFIG_SELECTORS_RELAXED;
	set = world_registered();
	pc = set->pcscf.port_c;
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5062), set);
	assert_ptr_equal(set_at(pc, "198.51.100.7", 5062), set);
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5064), set);
	assert_null(flow_at(6100, "198.51.100.7", 5063));
	fresh = world_reregistered(set); /* the same port_us: the newest set's */
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5064), fresh);
	assert_ptr_equal(set_at(pc, "198.51.100.7", 5064), set);
	sa_set_drop(fresh, "test");
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5064), set);
}

static void an_rfc3329_set_with_an_open_port_is_found_by_any(void **state)
{
	const struct sa_set_request request = world_request_rfc3329(5062, 0);
	struct sa_set *set = world_create(&request);

	(void)state;
	assert_ptr_equal(set_at(set->pcscf.port1, "198.51.100.7", 1), set);
	assert_ptr_equal(set_at(set->pcscf.port1, "198.51.100.7", 65535), set);
	assert_null(set_at(set->pcscf.port1, "198.51.100.8", 5062));
	assert_null(set_at(6100, "198.51.100.7", 5062));
}

static void an_rfc3329_set_with_one_port_is_found_by_that(void **state)
{
	const struct sa_set_request request = world_request_rfc3329(5062, 5062);
	struct sa_set *set = world_create(&request);

	(void)state;
	assert_ptr_equal(set_at(set->pcscf.port1, "198.51.100.7", 5062), set);
	assert_null(set_at(set->pcscf.port1, "198.51.100.7", 5063));
}

static void sets_on_one_flow_are_found_newest_first(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *living = world_registered(), *fresh;
	const struct sa_flow *flow;

	(void)state;
	request.ue.spi_c += 2;
	request.ue.spi_s += 2;
	fresh = world_create(&request);
	flow = flow_at(6100, "198.51.100.7", 5062);
	assert_ptr_equal(flow->set, fresh);
	assert_ptr_equal(flow->next->set, living);
	assert_null(flow->next->next);
	sa_set_drop(living, "test"); /* the older one, behind the head */
	flow = flow_at(6100, "198.51.100.7", 5062);
	assert_ptr_equal(flow->set, fresh);
	assert_null(flow->next);
}

static void the_older_set_on_a_flow_is_found_when_the_newer_is_gone(void **state)
{
	struct sa_set_request request = world_request();
	struct sa_set *living = world_registered(), *fresh;

	(void)state;
	request.ue.spi_c += 2;
	request.ue.spi_s += 2;
	fresh = world_create(&request);
	sa_set_drop(fresh, "test");
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5062), living);
	world_check(true);
}

static void an_ipv4_and_an_ipv6_phone_are_two(void **state)
{
	struct sa_set_request request = world_request();
	struct config_listener *six = &world.config.listeners[1];
	struct sa_set *four = world_create(&request), *set;
	const struct ip_addr phone = world_ip("2001:db8::7");

	(void)state;
	*six = *world.listener;
	six->address = world_ip("2001:db8::1");
	world.config.listener_count = 2;
	request.listener = six;
	request.ue_address = phone;
	set = world_create(&request);
	assert_ptr_equal(sa_table_flow(world.table, &six->address, 6100, &phone, 5062)->set, set);
	assert_ptr_equal(set_at(6100, "198.51.100.7", 5062), four);
	world_check(true);
}

static void an_identity_has_all_its_contacts_and_goes_with_the_last(void **state)
{
	struct sa_set_request request = world_request();
	const struct sa_identity *identity;
	struct sa_set *a = world_create(&request), *b;

	(void)state;
	request.ue_address = world_ip("198.51.100.8");
	b = world_create(&request);
	identity = sa_table_identity(world.table, WORLD_IMPI);
	assert_non_null(identity);
	assert_ptr_equal(identity->contacts, a->contact);
	assert_ptr_equal(identity->contacts->next, b->contact);
	sa_set_drop(a, "test");
	identity = sa_table_identity(world.table, WORLD_IMPI);
	assert_ptr_equal(identity->contacts, b->contact);
	assert_null(identity->contacts->next);
	sa_set_drop(b, "test");
	assert_null(sa_table_identity(world.table, WORLD_IMPI));
	assert_null(world.table->contacts);
	assert_null(world.table->peers);
	assert_null(world.table->flows);
}

static void a_contact_is_found_by_where_its_server_port_is(void **state)
{
	struct sa_set *set = world_registered();
	const struct ip_addr phone = world_ip("198.51.100.7"), other = world_ip("198.51.100.8");

	(void)state;
	assert_ptr_equal(sa_table_contact_at(world.table, &world.config, &phone, 5064),
			 set->contact);
	assert_null(sa_table_contact_at(world.table, &world.config, &phone, 5062));
	assert_null(sa_table_contact_at(world.table, &world.config, &other, 5064));
}

/* ---- which set downlink takes ---- */

static void E7_downlink_stays_on_the_old_set_until_the_new_one_is_used(void **state)
{
	struct sa_set *x = world_registered(), *set;

	(void)state;
	assert_ptr_equal(sa_contact_downlink(x->contact), x);
	set = world_reregistered(x);
	assert_ptr_equal(sa_contact_downlink(x->contact), x);
	sa_set_used(set);
	assert_ptr_equal(sa_contact_downlink(x->contact), set);
}

static void downlink_takes_the_new_set_when_the_old_one_is_gone(void **state)
{
	struct sa_set *x = world_registered(), *set = world_reregistered(x);

	(void)state;
	sa_set_drop(x, "test");
	assert_ptr_equal(sa_contact_downlink(set->contact), set);
}

static void E4_a_temporary_set_is_never_for_downlink(void **state)
{
	const struct sa_set_request request = world_request();

	(void)state;
	assert_null(sa_contact_downlink(world_create(&request)->contact));
}

static void nothing_is_sent_to_a_phone_that_deregistered(void **state)
{
	struct sa_set *set = world_registered();

	(void)state;
	sa_set_release(set, 5);
	assert_null(sa_contact_downlink(set->contact));
}

/* ---- client ports ---- */

static int take(const char *phone, const struct ipsec_endpoint *ue, bool nat, const char *contact,
		uint16_t *ret_port)
{
	const struct ip_addr ip = world_ip(phone);

	return sa_table_take_port(world.table, world.listener, &ip, ue, nat, contact, ret_port);
}

static void a_new_phones_client_port_is_one_of_the_listeners(void **state)
{
	const struct sa_set_request request = world_request();
	unsigned seen = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint16_t port = 0;

		assert_int_equal(take("198.51.100.9", &request.ue, false, "c", &port), 0);
		assert_in_range(port, 6104, 6107);
		seen |= 1u << (port - 6104);
	}
	assert_int_equal(seen, 0xf); /* not always the same one */
}

static void a_client_port_in_use_with_the_phones_server_port_is_not_taken(void **state)
{
	const struct sa_set_request request = world_request();
	const uint16_t used = world_create(&request)->pcscf.port_c;

	(void)state;
	for (int i = 0; i < 50; i++) {
		uint16_t port = 0;

		assert_int_equal(take("198.51.100.7", &request.ue, false, "c", &port), 0);
		assert_int_not_equal(port, used);
	}
}

static void the_search_ends_when_all_ports_are_in_use(void **state)
{
	struct sa_set_request request = world_request_rfc3329(5062, 0);
	char name[8];
	uint16_t port = 4711;

	(void)state;
	request.contact = name;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		request.ue.spi++;
		world_create(&request);
	}
	assert_int_equal(take("198.51.100.7", &request.ue, false, "c", &port), -ENOSPC);
	assert_int_equal(port, 4711);
	assert_int_equal(take("198.51.100.8", &request.ue, false, "c", &port), 0);
}

static void D9_a_server_port_in_use_behind_the_nat_is_anothers_or_ones_own(void **state)
{
	const struct sa_set_request request = world_request_nat(0);
	const struct sa_set *set = world_create(&request);
	uint16_t port = 4711;

	(void)state;
	assert_int_equal(take("203.0.113.9", &request.ue, true, "another", &port), -EEXIST);
	assert_int_equal(port, 4711);
	assert_int_equal(take("203.0.113.9", &request.ue, true, set->contact->key, &port), 0);
	assert_int_equal(take("203.0.113.10", &request.ue, true, "another", &port), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_start, world_stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_set_is_found_by_its_id_and_by_our_spis),
		TEST(D11_a_set_is_found_by_both_of_its_flows_and_no_other),
		TEST(a_relaxed_set_is_found_by_its_crossed_flows_too),
		TEST(an_rfc3329_set_with_an_open_port_is_found_by_any),
		TEST(an_rfc3329_set_with_one_port_is_found_by_that),
		TEST(sets_on_one_flow_are_found_newest_first),
		TEST(the_older_set_on_a_flow_is_found_when_the_newer_is_gone),
		TEST(an_ipv4_and_an_ipv6_phone_are_two),
		TEST(an_identity_has_all_its_contacts_and_goes_with_the_last),
		TEST(a_contact_is_found_by_where_its_server_port_is),
		TEST(E7_downlink_stays_on_the_old_set_until_the_new_one_is_used),
		TEST(downlink_takes_the_new_set_when_the_old_one_is_gone),
		TEST(E4_a_temporary_set_is_never_for_downlink),
		TEST(nothing_is_sent_to_a_phone_that_deregistered),
		TEST(a_new_phones_client_port_is_one_of_the_listeners),
		TEST(a_client_port_in_use_with_the_phones_server_port_is_not_taken),
		TEST(the_search_ends_when_all_ports_are_in_use),
		TEST(D9_a_server_port_in_use_behind_the_nat_is_anothers_or_ones_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
