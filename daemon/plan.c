/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SAs and policies of one set, and the guards of one listener, as tables of what the kernel
 * must hold.
 *
 * TS 33.203 7.1 gives a set four SAs: the phone's client port with our server port, the phone's
 * server port with our client port, each in both directions, all with the same keys. RFC 3329
 * Appendix A gives it one pair: here both of our ports are one port out of the client pool, so that
 * the sets of one phone never share an address and port, and a new set can stand beside the old.
 *
 * What is not here: choosing SPIs and ports (spi.c, port.c), sending (xfrm/), remembering
 * (sa_set.c).
 */
#include "daemon/plan.h"

#include <string.h>

static enum xfrm_algo_id auth_algo(enum ipsec_alg alg)
{
	switch (alg) {
	case IPSEC_ALG_HMAC_MD5_96:
		return XFRM_HMAC_MD5;
	case IPSEC_ALG_HMAC_SHA_1_96:
		return XFRM_HMAC_SHA1;
	case IPSEC_ALG_AES_GMAC: /* an AEAD for the kernel */
	case IPSEC_ALG_NULL:
	case IPSEC_ALG_UNKNOWN:
		break;
	}
	return XFRM_ALGO_NONE;
}

static enum xfrm_algo_id enc_algo(const struct ipsec_suite *suite)
{
	if (suite->prot == IPSEC_PROT_AH)
		return XFRM_ALGO_NONE;
	if (suite->alg == IPSEC_ALG_AES_GMAC)
		return XFRM_GMAC_AES;
	switch (suite->ealg) {
	case IPSEC_EALG_NULL:
		return XFRM_CIPHER_NULL;
	case IPSEC_EALG_DES_EDE3_CBC:
		return XFRM_CBC_DES3;
	case IPSEC_EALG_AES_CBC:
		return XFRM_CBC_AES;
	case IPSEC_EALG_AES_GCM:
		return XFRM_GCM_AES;
	case IPSEC_EALG_UNKNOWN:
		break;
	}
	return XFRM_ALGO_NONE;
}

void plan_algorithms(const struct ipsec_suite *suite, const struct keymat *keymat,
		     struct xfrm_key *ret_auth, struct xfrm_key *ret_enc)
{
	memset(ret_auth, 0, sizeof(*ret_auth));
	memset(ret_enc, 0, sizeof(*ret_enc));
	ret_auth->algo = auth_algo(suite->alg);
	ret_enc->algo = enc_algo(suite);
	if (keymat) {
		memcpy(ret_auth->bytes, keymat->auth, keymat->auth_bytes);
		memcpy(ret_enc->bytes, keymat->enc, keymat->enc_bytes);
	}
}

bool plan_has_own_policies(const struct config_listener *listener, const struct ipsec_suite *suite)
{
	return listener->policies == CONFIG_POLICIES_PER_SET || suite->prot != IPSEC_PROT_ESP ||
	       suite->mod != IPSEC_MOD_TRANS;
}

bool plan_is_relaxed(const struct config_listener *listener, const struct ipsec_suite *suite)
{
	return listener->selectors == CONFIG_SELECTORS_RELAXED &&
	       !plan_has_own_policies(listener, suite);
}

/* One side of one flow; port 0 = any. */
struct end {
	const struct ip_addr *address;
	uint16_t port;
};

static struct xfrm_sel selector(struct end from, struct end to)
{
	return (struct xfrm_sel){
		.family = from.address->family,
		.src = *from.address,
		.dst = *to.address,
		.sport = from.port,
		.sport_mask = from.port ? 0xffff : 0,
		.dport = to.port,
		.dport_mask = to.port ? 0xffff : 0,
		.proto = 0, /* UDP and TCP on one SA */
	};
}

static uint8_t ip_proto(const struct ipsec_suite *suite)
{
	return suite->prot == IPSEC_PROT_AH ? IPPROTO_AH : IPPROTO_ESP;
}

static enum xfrm_mode mode(const struct ipsec_suite *suite)
{
	return suite->mod == IPSEC_MOD_TRANS ? XFRM_TRANSPORT : XFRM_TUNNEL;
}

static struct xfrm_encap encap(const struct plan_input *in, enum xfrm_dir dir)
{
	const uint16_t local = in->listener->encap_port;
	const uint16_t remote = in->encap_remote_port;

	if (in->suite.mod != IPSEC_MOD_UDP_ENC_TUN)
		return (struct xfrm_encap){ .on = false };
	return (struct xfrm_encap){
		.on = true,
		.sport = dir == XFRM_IN ? remote : local,
		.dport = dir == XFRM_IN ? local : remote,
		/* the kernel would send one event for each packet until we answer it */
		.mapping_threshold_s = dir == XFRM_IN ? 10 : 0,
	};
}

static void add(struct plan *plan, const struct plan_input *in, const struct keymat *keymat,
		enum xfrm_dir dir, uint32_t spi, struct end from, struct end to)
{
	struct xfrm_sa *sa = &plan->sas[plan->sa_count++];

	*sa = (struct xfrm_sa){
		.id = { .dst = *to.address, .spi = spi, .proto = ip_proto(&in->suite) },
		.src = *from.address,
		.sel = selector(from, to),
		.mode = mode(&in->suite),
		.reqid = in->reqid,
		.replay_window = in->listener->replay_window,
		.hard_s = in->hard_s,
		.encap = encap(in, dir),
	};
	plan_algorithms(&in->suite, keymat, &sa->auth, &sa->enc);
	if (!plan_has_own_policies(in->listener, &in->suite))
		return;
	plan->policies[plan->policy_count++] = (struct xfrm_policy){
		.dir = dir,
		.sel = sa->sel,
		.priority = in->listener->priority - 1,
		.proto = sa->id.proto,
		.mode = sa->mode,
		.reqid = sa->reqid,
		.tmpl_src = sa->mode == XFRM_TUNNEL ? sa->src : (struct ip_addr){ 0 },
		.tmpl_dst = sa->mode == XFRM_TUNNEL ? sa->id.dst : (struct ip_addr){ 0 },
	};
}

/* Some phones cross their flows (uc -> pc, us -> ps). Any of the phone's ports to any of ours then,
 * on either SA: inbound alone, since relaxed outbound SAs of an old and a new set would take each
 * other's traffic. Not for sets with policies of their own: those may be behind one NAT address,
 * where the ports are what tells phones apart. */
static void relax_inbound(const struct config_listener *l, struct plan *plan)
{
	for (size_t i = 0; i < plan->sa_count / 2; i++) {
		struct xfrm_sel *sel = &plan->sas[i].sel;

		sel->sport = sel->sport_mask = 0;
		sel->dport = config_port_block(l, &sel->dport_mask);
	}
}

/* TS 33.203 7.1: uc -> ps, us -> pc, ps -> uc, pc -> us */
static void plan_24229(const struct plan_input *in, const struct keymat *keymat, struct plan *plan)
{
	const struct end uc = { &in->ue_address, in->ue.port_c };
	const struct end us = { &in->ue_address, in->ue.port_s };
	const struct end pc = { &in->listener->address, in->pcscf.port_c };
	const struct end ps = { &in->listener->address, in->pcscf.port_s };

	add(plan, in, keymat, XFRM_IN, in->pcscf.spi_s, uc, ps);
	add(plan, in, keymat, XFRM_IN, in->pcscf.spi_c, us, pc);
	add(plan, in, keymat, XFRM_OUT, in->ue.spi_c, ps, uc);
	add(plan, in, keymat, XFRM_OUT, in->ue.spi_s, pc, us);
	if (plan_is_relaxed(in->listener, &in->suite))
		relax_inbound(in->listener, plan);
}

/* RFC 3329 Appendix A: one pair that must carry UDP and TCP, whoever opens the connection. With two
 * different ports on the phone's side both of them meet ours in both directions, so its port stays
 * open; its address does not. */
static void plan_rfc3329(const struct plan_input *in, const struct keymat *keymat,
			 struct plan *plan)
{
	const uint16_t port = in->ue.port1 == in->ue.port2 ? in->ue.port1 : 0;
	const struct end phone = { &in->ue_address, port };
	const struct end ours = { &in->listener->address, in->pcscf.port1 };

	add(plan, in, keymat, XFRM_IN, in->pcscf.spi, phone, ours);
	add(plan, in, keymat, XFRM_OUT, in->ue.spi, ours, phone);
}

void plan_set(const struct plan_input *input, const struct keymat *keymat, struct plan *ret)
{
	memset(ret, 0, sizeof(*ret));
	switch (input->ue.dialect) {
	case IPSEC_DIALECT_24229:
		plan_24229(input, keymat, ret);
		break;
	case IPSEC_DIALECT_RFC3329:
		plan_rfc3329(input, keymat, ret);
		break;
	}
}

void plan_wipe(struct plan *plan)
{
	explicit_bzero(plan, sizeof(*plan));
}

static struct xfrm_policy guard(const struct config_listener *l, enum xfrm_dir dir, uint16_t port,
				uint16_t mask)
{
	const struct ip_addr any = { .family = AF_UNSPEC };
	const bool in = dir == XFRM_IN;

	return (struct xfrm_policy){
		.dir = dir,
		.sel = {
			.family = l->address.family,
			.src = in ? any : l->address,
			.dst = in ? l->address : any,
			.sport = in ? 0 : port,
			.sport_mask = in ? 0 : mask,
			.dport = in ? port : 0,
			.dport_mask = in ? mask : 0,
		},
		.priority = l->priority,
		.proto = IPPROTO_ESP,
		.mode = XFRM_TRANSPORT,
		.reqid = l->reqid,
	};
}

static size_t guard_pair(const struct config_listener *l, uint16_t port, uint16_t mask,
			 struct xfrm_policy *ret)
{
	ret[0] = guard(l, XFRM_IN, port, mask);
	ret[1] = guard(l, XFRM_OUT, port, mask);
	return 2;
}

size_t plan_guards(const struct config_listener *l, struct xfrm_policy *ret)
{
	const unsigned first = l->client_port_first;
	const unsigned count = l->client_port_last - first + 1U;
	size_t n = guard_pair(l, l->server_port, 0xffff, ret);

	if ((count & (count - 1)) == 0 && first % count == 0)
		return n + guard_pair(l, (uint16_t)first, (uint16_t)~(count - 1), ret + n);
	for (unsigned i = 0; i < count; i++)
		n += guard_pair(l, (uint16_t)(first + i), 0xffff, ret + n);
	return n;
}
