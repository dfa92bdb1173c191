/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which SAs and policies one agreement means at the phone. No kernel in here.
 */
#ifndef UE_SA_PLAN_H
#define UE_SA_PLAN_H

#include "proto/ipsec3gpp.h"
#include "tests/ue/ip.h"

#define SA_PLAN_MAX 4

/* The protocol is always any: one SA carries UDP and TCP (TS 33.203 7.1). */
struct sa_selector {
	struct ip src, dst;
	uint16_t sport, dport; /* host order; 0 = any */
};

struct sa_entry {
	bool out;
	uint32_t spi; /* host order */
	struct sa_selector selector;
	bool installed; /* sa_kernel.c's mark */
};

struct sa_rule {
	bool out;
	struct sa_selector selector;
	bool installed;
};

struct sa_plan {
	struct ipsec_suite suite;
	struct ip local, remote; /* outer addresses */
	uint16_t encap_port;     /* UDP-enc-tun: at both ends; else 0 */
	struct sa_entry sas[SA_PLAN_MAX];
	size_t sa_count;
	struct sa_rule rules[SA_PLAN_MAX];
	size_t rule_count;
};

struct sa_parties {
	struct ipsec_suite suite;
	struct ipsec_endpoint ours, theirs; /* of one dialect */
	struct ip local;  /* what packets leave from: the outer address */
	struct ip inner;  /* what SIP is bound to: the same without NAT */
	struct ip pcscf;
	uint16_t encap_port;
	bool any_client_port; /* for the fault that sends from a wrong port */
};

/* TS 24.229: four SAs, each with its own pair of ports, and a policy for each (TS 33.203 7.1).
 * RFC 3329 Appendix A: one pair; the policies say which flows must use it. */
void sa_plan_make(const struct sa_parties *parties, struct sa_plan *ret);

bool sa_selector_equal(const struct sa_selector *a, const struct sa_selector *b);

#endif
