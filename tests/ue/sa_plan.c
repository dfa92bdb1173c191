/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an agreement to the phone's SAs and policies: the mirror image of what the P-CSCF installs,
 * worked out here from the standards alone.
 *
 * TS 33.203 7.1: out uc->ps and us->pc with the SPIs of the P-CSCF, in ps->uc and pc->us with our
 * own. All selectors exact.
 *
 * RFC 3329 Appendix A names only where each side receives (port1, spi) and, perhaps, sends from
 * (port2). TCP needs more than that: answers on a connection come from port1 and go to port2. So
 * the two SAs have wide selectors where the ports differ, and the policies alone say which flows
 * are protected. A policy for all ports of the P-CSCF would also stop its ICMP, hence several.
 */
#include "tests/ue/sa_plan.h"

#include <string.h>

bool sa_selector_equal(const struct sa_selector *a, const struct sa_selector *b)
{
	return a->sport == b->sport && a->dport == b->dport && ip_equal(&a->src, &b->src) &&
	       ip_equal(&a->dst, &b->dst);
}

/* Between us and the P-CSCF, as seen from us whatever the direction. */
static struct sa_selector flow(const struct sa_parties *p, bool out, uint16_t our_port,
			       uint16_t their_port)
{
	if (out)
		return (struct sa_selector){p->inner, p->pcscf, our_port, their_port};
	return (struct sa_selector){p->pcscf, p->inner, their_port, our_port};
}

static void add_sa(struct sa_plan *plan, bool out, uint32_t spi, struct sa_selector selector)
{
	plan->sas[plan->sa_count++] = (struct sa_entry){out, spi, selector, false};
}

static void add_rule(struct sa_plan *plan, bool out, struct sa_selector selector)
{
	for (size_t i = 0; i < plan->rule_count; i++)
		if (plan->rules[i].out == out &&
		    sa_selector_equal(&plan->rules[i].selector, &selector))
			return;
	plan->rules[plan->rule_count++] = (struct sa_rule){out, selector, false};
}

static void add_both(struct sa_plan *plan, bool out, uint32_t spi, struct sa_selector selector)
{
	add_sa(plan, out, spi, selector);
	add_rule(plan, out, selector);
}

/* TS 33.203 7.1 and figure 9 */
static void plan_24229(const struct sa_parties *p, struct sa_plan *plan)
{
	const struct ipsec_endpoint *us = &p->ours, *them = &p->theirs;
	uint16_t from = p->any_client_port ? 0 : us->port_c;

	add_both(plan, true, them->spi_s, flow(p, true, from, them->port_s));
	add_both(plan, false, us->spi_c, flow(p, false, us->port_c, them->port_s));
	add_both(plan, false, us->spi_s, flow(p, false, us->port_s, them->port_c));
	add_both(plan, true, them->spi_c, flow(p, true, us->port_s, them->port_c));
}

/* RFC 3329 Appendix A */
static void plan_rfc3329(const struct sa_parties *p, struct sa_plan *plan)
{
	const struct ipsec_endpoint *us = &p->ours, *them = &p->theirs;
	uint16_t from = p->any_client_port ? 0 : us->port2;
	uint16_t our_side = us->port2 == us->port1 && from ? us->port1 : 0;
	uint16_t their_side = them->port2 == them->port1 ? them->port1 : 0;

	add_sa(plan, true, them->spi, flow(p, true, our_side, their_side));
	add_sa(plan, false, us->spi, flow(p, false, our_side, their_side));
	add_rule(plan, true, flow(p, true, from, them->port1));
	add_rule(plan, false, flow(p, false, us->port2, them->port1));
	add_rule(plan, false, flow(p, false, us->port1, them->port2));
	add_rule(plan, true, flow(p, true, us->port1, them->port2));
}

void sa_plan_make(const struct sa_parties *parties, struct sa_plan *ret)
{
	bool udp = parties->suite.mod == IPSEC_MOD_UDP_ENC_TUN;

	memset(ret, 0, sizeof(*ret));
	ret->suite = parties->suite;
	ret->local = parties->local;
	ret->remote = parties->pcscf;
	ret->encap_port = udp ? parties->encap_port : 0;
	if (parties->ours.dialect == IPSEC_DIALECT_RFC3329)
		plan_rfc3329(parties, ret);
	else
		plan_24229(parties, ret);
}
