/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/sa_plan.c: which SAs and policies the phone needs, TS 33.203 7.1 and RFC 3329 App. A.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/ue/sa_plan.h"

enum {
	UC = 5061,
	US = 5062,
	PC = 6101,
	PS = 6100,
};

static struct sa_parties parties(enum ipsec_dialect dialect)
{
	struct sa_parties p;

	memset(&p, 0, sizeof(p));
	assert_int_equal(ip_parse("192.0.2.2", &p.local), 0);
	assert_int_equal(ip_parse("192.0.2.1", &p.pcscf), 0);
	p.inner = p.local;
	p.encap_port = 4500;
	p.ours = (struct ipsec_endpoint){dialect, 0x1001, 0x1002, UC, US, 0x1003, US, UC};
	p.theirs = (struct ipsec_endpoint){dialect, 0x2001, 0x2002, PC, PS, 0x2003, PC, PC};
	return p;
}

static void assert_flow(const struct sa_selector *s, bool out, uint16_t sport, uint16_t dport)
{
	const struct sa_parties p = parties(IPSEC_DIALECT_24229);

	assert_int_equal(s->sport, sport);
	assert_int_equal(s->dport, dport);
	assert_true(ip_equal(&s->src, out ? &p.local : &p.pcscf));
	assert_true(ip_equal(&s->dst, out ? &p.pcscf : &p.local));
}

static void assert_sa(const struct sa_entry *sa, bool out, uint32_t spi, uint16_t sport,
		      uint16_t dport)
{
	assert_int_equal(sa->out, out);
	assert_int_equal(sa->spi, spi);
	assert_flow(&sa->selector, out, sport, dport);
}

static bool has_rule(const struct sa_plan *plan, bool out, uint16_t sport, uint16_t dport)
{
	for (size_t i = 0; i < plan->rule_count; i++)
		if (plan->rules[i].out == out && plan->rules[i].selector.sport == sport &&
		    plan->rules[i].selector.dport == dport)
			return true;
	return false;
}

static void D2_four_sas_mirror_those_of_the_pcscf(void **state)
{
	const struct sa_parties p = parties(IPSEC_DIALECT_24229);
	struct sa_plan plan;

	(void)state;
	sa_plan_make(&p, &plan);
	assert_int_equal(plan.sa_count, 4);
	assert_sa(&plan.sas[0], true, 0x2002, UC, PS);
	assert_sa(&plan.sas[1], false, 0x1001, PS, UC);
	assert_sa(&plan.sas[2], false, 0x1002, PC, US);
	assert_sa(&plan.sas[3], true, 0x2001, US, PC);
	assert_int_equal(plan.encap_port, 0);
}

static void four_policies_have_the_selectors_of_the_sas(void **state)
{
	const struct sa_parties p = parties(IPSEC_DIALECT_24229);
	struct sa_plan plan;

	(void)state;
	sa_plan_make(&p, &plan);
	assert_int_equal(plan.rule_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(plan.rules[i].out, plan.sas[i].out);
		assert_true(sa_selector_equal(&plan.rules[i].selector, &plan.sas[i].selector));
	}
}

static void C11_one_pair_covers_udp_and_tcp_between_different_ports(void **state)
{
	const struct sa_parties p = parties(IPSEC_DIALECT_RFC3329);
	struct sa_plan plan;

	(void)state;
	sa_plan_make(&p, &plan);
	assert_int_equal(plan.sa_count, 2);
	assert_sa(&plan.sas[0], true, 0x2003, 0, PC);
	assert_sa(&plan.sas[1], false, 0x1003, PC, 0);
	assert_int_equal(plan.rule_count, 4);
	assert_true(has_rule(&plan, true, UC, PC));
	assert_true(has_rule(&plan, false, PC, UC));
	assert_true(has_rule(&plan, false, PC, US));
	assert_true(has_rule(&plan, true, US, PC));
}

static void C11_equal_ports_need_two_exact_policies(void **state)
{
	struct sa_parties p = parties(IPSEC_DIALECT_RFC3329);
	struct sa_plan plan;

	(void)state;
	p.ours.port2 = p.ours.port1;
	sa_plan_make(&p, &plan);
	assert_sa(&plan.sas[0], true, 0x2003, US, PC);
	assert_sa(&plan.sas[1], false, 0x1003, PC, US);
	assert_int_equal(plan.rule_count, 2);
}

static void C11_without_port2_any_port_of_that_side_is_covered(void **state)
{
	struct sa_parties p = parties(IPSEC_DIALECT_RFC3329);
	struct sa_plan plan;

	(void)state;
	p.ours.port2 = 0;
	p.theirs.port2 = 0;
	sa_plan_make(&p, &plan);
	assert_sa(&plan.sas[0], true, 0x2003, 0, 0);
	assert_sa(&plan.sas[1], false, 0x1003, 0, 0);
	assert_true(has_rule(&plan, true, 0, PC));
	assert_true(has_rule(&plan, false, PC, 0));
	assert_true(has_rule(&plan, false, 0, US));
	assert_true(has_rule(&plan, true, US, 0));
}

/* A policy for all ports on both sides would stop ICMP as well. */
static void C11_no_policy_is_for_all_ports(void **state)
{
	struct sa_parties p = parties(IPSEC_DIALECT_RFC3329);
	struct sa_plan plan;

	(void)state;
	p.ours.port2 = 0;
	p.theirs.port2 = 0;
	sa_plan_make(&p, &plan);
	assert_false(has_rule(&plan, true, 0, 0));
	assert_false(has_rule(&plan, false, 0, 0));
}

static void N3_behind_a_nat_inner_and_outer_address_differ(void **state)
{
	struct sa_parties p = parties(IPSEC_DIALECT_24229);
	struct sa_plan plan;

	(void)state;
	p.suite.mod = IPSEC_MOD_UDP_ENC_TUN;
	assert_int_equal(ip_parse("198.51.100.7", &p.inner), 0);
	sa_plan_make(&p, &plan);
	assert_int_equal(plan.encap_port, 4500);
	assert_true(ip_equal(&plan.local, &p.local));
	assert_true(ip_equal(&plan.sas[0].selector.src, &p.inner));
	assert_true(ip_equal(&plan.sas[2].selector.dst, &p.inner));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(D2_four_sas_mirror_those_of_the_pcscf),
		cmocka_unit_test(four_policies_have_the_selectors_of_the_sas),
		cmocka_unit_test(C11_one_pair_covers_udp_and_tcp_between_different_ports),
		cmocka_unit_test(C11_equal_ports_need_two_exact_policies),
		cmocka_unit_test(C11_without_port2_any_port_of_that_side_is_covered),
		cmocka_unit_test(C11_no_policy_is_for_all_ports),
		cmocka_unit_test(N3_behind_a_nat_inner_and_outer_address_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
