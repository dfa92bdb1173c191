/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/plan.c: the four SAs of TS 33.203 7.1 (figure 9), the pair of RFC 3329 Appendix A,
 * policies of a set's own, and the guards of a listener, field by field.
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

#include "daemon/plan.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the example: every number tells what it is ---- */

enum {
	SPI_UC = 0x0000ac01,
	SPI_US = 0x0000a501,
	SPI_PC = 0x0000bc02,
	SPI_PS = 0x0000b502,
	PORT_UC = 40001,
	PORT_US = 40002,
	PORT_PC = 6105,
	PORT_PS = 6100,
	SPI_PHONE = 0x0000aa01, /* RFC 3329 */
	SPI_OURS = 0x0000bb02,
	REQID = 4711,
};

static const char UE[] = "198.51.100.7", P[] = "192.0.2.1";

static struct config_listener listener;
static struct keymat keymat;
static struct plan plan;

static struct ip_addr ip(const char *text)
{
	struct ip_addr ret = {0};

	assert_int_equal(ip_parse(text, &ret), 0);
	return ret;
}

static int start(void **state)
{
	(void)state;
	config_listener_default(&listener);
	listener.address = ip(P);
	listener.server_port = PORT_PS;
	listener.client_port_first = 6104;
	listener.client_port_last = 6107;
	memset(&keymat, 0, sizeof(keymat));
	memset(keymat.auth, 0xa1, sizeof(keymat.auth));
	memset(keymat.enc, 0xe2, sizeof(keymat.enc));
	memset(&plan, 0xff, sizeof(plan));
	return 0;
}

static struct plan_input input_24229(void)
{
	return (struct plan_input){
		.listener = &listener,
		.suite = {IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP,
			  IPSEC_MOD_TRANS},
		.ue = {.dialect = IPSEC_DIALECT_24229,
		       .spi_c = SPI_UC,
		       .spi_s = SPI_US,
		       .port_c = PORT_UC,
		       .port_s = PORT_US},
		.pcscf = {.dialect = IPSEC_DIALECT_24229,
			  .spi_c = SPI_PC,
			  .spi_s = SPI_PS,
			  .port_c = PORT_PC,
			  .port_s = PORT_PS},
		.ue_address = ip(UE),
		.reqid = REQID,
		.hard_s = 250,
	};
}

static struct plan_input input_rfc3329(uint16_t port1, uint16_t port2)
{
	struct plan_input input = input_24229();

	input.ue = (struct ipsec_endpoint){
		.dialect = IPSEC_DIALECT_RFC3329, .spi = SPI_PHONE, .port1 = port1, .port2 = port2};
	input.pcscf = (struct ipsec_endpoint){.dialect = IPSEC_DIALECT_RFC3329,
					      .spi = SPI_OURS,
					      .port1 = PORT_PC,
					      .port2 = PORT_PC};
	return input;
}

/* One row of table 3.1: where from, where to, by which SPI. Port 0 = any. */
struct row {
	const char *src;
	uint16_t sport;
	const char *dst;
	uint16_t dport;
	uint32_t spi;
};

static bool same_ip(const struct ip_addr *a, const char *text)
{
	const struct ip_addr b = ip(text);

	return ip_equal(a, &b);
}

static void assert_sa(const struct xfrm_sa *sa, const struct row *row)
{
	assert_int_equal(sa->id.spi, row->spi);
	assert_true(same_ip(&sa->id.dst, row->dst));
	assert_true(same_ip(&sa->src, row->src));
	assert_int_equal(sa->sel.family, sa->id.dst.family);
	assert_true(same_ip(&sa->sel.src, row->src));
	assert_true(same_ip(&sa->sel.dst, row->dst));
	assert_int_equal(sa->sel.sport, row->sport);
	assert_int_equal(sa->sel.sport_mask, row->sport ? 0xffff : 0);
	assert_int_equal(sa->sel.dport, row->dport);
	assert_int_equal(sa->sel.dport_mask, row->dport ? 0xffff : 0);
	assert_int_equal(sa->sel.proto, 0); /* UDP and TCP alike */
}

static void assert_rows(const struct row *rows, size_t count)
{
	assert_int_equal(plan.sa_count, count);
	for (size_t i = 0; i < count; i++)
		assert_sa(&plan.sas[i], &rows[i]);
}

/* ---- TS 33.203 7.1 ---- */

static void D2_the_four_sas_have_the_addresses_ports_and_spis_of_figure_9(void **state)
{
	static const struct row ROWS[] = {
		{UE, PORT_UC, P, PORT_PS, SPI_PS},
		{UE, PORT_US, P, PORT_PC, SPI_PC},
		{P, PORT_PS, UE, PORT_UC, SPI_UC},
		{P, PORT_PC, UE, PORT_US, SPI_US},
	};
	const struct plan_input input = input_24229();

	(void)state;
	plan_set(&input, &keymat, &plan);
	assert_rows(ROWS, COUNT_OF(ROWS));
}

static void ipv6_sets_are_planned_likewise(void **state)
{
	static const char UE6[] = "2001:db8::7", P6[] = "2001:db8::1";
	static const struct row ROWS[] = {
		{UE6, PORT_UC, P6, PORT_PS, SPI_PS},
		{UE6, PORT_US, P6, PORT_PC, SPI_PC},
		{P6, PORT_PS, UE6, PORT_UC, SPI_UC},
		{P6, PORT_PC, UE6, PORT_US, SPI_US},
	};
	struct plan_input input = input_24229();

	(void)state;
	listener.address = ip(P6);
	input.ue_address = ip(UE6);
	plan_set(&input, &keymat, &plan);
	assert_rows(ROWS, COUNT_OF(ROWS));
}

static void D12_D13_sas_are_transport_esp_with_replay_window_reqid_and_limit(void **state)
{
	const struct plan_input input = input_24229();

	(void)state;
	listener.replay_window = 128;
	plan_set(&input, &keymat, &plan);
	for (size_t i = 0; i < 4; i++) {
		const struct xfrm_sa *sa = &plan.sas[i];

		assert_int_equal(sa->id.proto, IPPROTO_ESP);
		assert_int_equal(sa->mode, XFRM_TRANSPORT);
		assert_int_equal(sa->reqid, REQID);
		assert_int_equal(sa->replay_window, 128);
		assert_int_equal(sa->hard_s, 250);
		assert_int_equal(sa->if_id, 0);
		assert_false(sa->encap.on);
	}
	assert_int_equal(plan.policy_count, 0); /* the guards serve it */
}

/* ---- RFC 3329 Appendix A ---- */

static void C11_one_port_on_both_sides_is_an_exact_pair(void **state)
{
	static const struct row ROWS[] = {
		{UE, 5062, P, PORT_PC, SPI_OURS},
		{P, PORT_PC, UE, 5062, SPI_PHONE},
	};
	const struct plan_input input = input_rfc3329(5062, 5062);

	(void)state;
	plan_set(&input, &keymat, &plan);
	assert_rows(ROWS, COUNT_OF(ROWS));
	assert_int_equal(plan.policy_count, 0);
}

static void C11_without_port2_or_with_another_the_phones_port_is_open(void **state)
{
	static const uint16_t PORT2[] = {0, 5070};
	static const struct row ROWS[] = {
		{UE, 0, P, PORT_PC, SPI_OURS},
		{P, PORT_PC, UE, 0, SPI_PHONE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PORT2); i++) {
		const struct plan_input input = input_rfc3329(5062, PORT2[i]);

		plan_set(&input, &keymat, &plan);
		assert_rows(ROWS, COUNT_OF(ROWS));
	}
}

/* ---- algorithms and keys ---- */

static void every_suite_has_the_kernels_algorithms_and_its_keys(void **state)
{
	static const struct {
		struct ipsec_suite suite;
		enum xfrm_algo_id auth, enc;
		size_t auth_bytes, enc_bytes;
	} SUITES[] = {
		{{IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_NULL, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		 XFRM_HMAC_MD5,
		 XFRM_CIPHER_NULL,
		 16,
		 0},
		{{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_DES_EDE3_CBC, IPSEC_PROT_ESP,
		  IPSEC_MOD_TRANS},
		 XFRM_HMAC_SHA1,
		 XFRM_CBC_DES3,
		 20,
		 24},
		{{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		 XFRM_HMAC_SHA1,
		 XFRM_CBC_AES,
		 20,
		 16},
		{{IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		 XFRM_ALGO_NONE,
		 XFRM_GMAC_AES,
		 0,
		 20},
		{{IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		 XFRM_ALGO_NONE,
		 XFRM_GCM_AES,
		 0,
		 20},
		{{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_AH, IPSEC_MOD_TRANS},
		 XFRM_HMAC_SHA1,
		 XFRM_ALGO_NONE,
		 20,
		 0},
		{{IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_NULL, IPSEC_PROT_AH, IPSEC_MOD_TUN},
		 XFRM_HMAC_MD5,
		 XFRM_ALGO_NONE,
		 16,
		 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SUITES); i++) {
		struct xfrm_key auth, enc;

		keymat.auth_bytes = SUITES[i].auth_bytes;
		keymat.enc_bytes = SUITES[i].enc_bytes;
		plan_algorithms(&SUITES[i].suite, &keymat, &auth, &enc);
		assert_int_equal(auth.algo, SUITES[i].auth);
		assert_int_equal(enc.algo, SUITES[i].enc);
		assert_int_equal(xfrm_algo_info(auth.algo)->key_bytes, SUITES[i].auth_bytes);
		assert_int_equal(xfrm_algo_info(enc.algo)->key_bytes, SUITES[i].enc_bytes);
		for (size_t k = 0; k < XFRM_MAX_KEY_BYTES; k++) {
			assert_int_equal(auth.bytes[k], k < SUITES[i].auth_bytes ? 0xa1 : 0);
			assert_int_equal(enc.bytes[k], k < SUITES[i].enc_bytes ? 0xe2 : 0);
		}
	}
}

static void E15_all_four_sas_have_the_same_keys(void **state)
{
	const struct plan_input input = input_24229();

	(void)state;
	keymat.auth_bytes = 20;
	keymat.enc_bytes = 16;
	plan_set(&input, &keymat, &plan);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(plan.sas[i].auth.bytes[19], 0xa1);
		assert_int_equal(plan.sas[i].enc.bytes[15], 0xe2);
		assert_memory_equal(&plan.sas[i].auth, &plan.sas[0].auth, sizeof(struct xfrm_key));
		assert_memory_equal(&plan.sas[i].enc, &plan.sas[0].enc, sizeof(struct xfrm_key));
	}
}

static void a_plan_without_keys_has_zeros(void **state)
{
	static const uint8_t ZERO[XFRM_MAX_KEY_BYTES];
	const struct plan_input input = input_24229();

	(void)state;
	plan_set(&input, NULL, &plan);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(plan.sas[i].enc.algo, XFRM_CBC_AES);
		assert_memory_equal(plan.sas[i].enc.bytes, ZERO, sizeof(ZERO));
		assert_memory_equal(plan.sas[i].auth.bytes, ZERO, sizeof(ZERO));
	}
}

static void a_wiped_plan_is_empty(void **state)
{
	static const struct plan EMPTY;
	const struct plan_input input = input_24229();

	(void)state;
	keymat.auth_bytes = 20;
	plan_set(&input, &keymat, &plan);
	plan_wipe(&plan);
	assert_memory_equal(&plan, &EMPTY, sizeof(plan));
}

/* ---- policies of a set's own ---- */

static void assert_own_policies(enum xfrm_mode mode, uint8_t proto)
{
	assert_int_equal(plan.policy_count, plan.sa_count);
	for (size_t i = 0; i < plan.policy_count; i++) {
		const struct xfrm_policy *p = &plan.policies[i];
		const struct xfrm_sa *sa = &plan.sas[i];

		assert_int_equal(p->dir, i < plan.sa_count / 2 ? XFRM_IN : XFRM_OUT);
		assert_memory_equal(&p->sel, &sa->sel, sizeof(p->sel));
		assert_int_equal(p->priority, listener.priority - 1);
		assert_int_equal(p->proto, proto);
		assert_int_equal(p->mode, mode);
		assert_int_equal(sa->mode, mode);
		assert_int_equal(sa->id.proto, proto);
		assert_int_equal(p->reqid, REQID);
		assert_int_equal(p->index, 0);
		if (mode == XFRM_TUNNEL) {
			assert_true(ip_equal(&p->tmpl_src, &sa->src));
			assert_true(ip_equal(&p->tmpl_dst, &sa->id.dst));
		} else {
			assert_int_equal(p->tmpl_src.family, AF_UNSPEC);
			assert_int_equal(p->tmpl_dst.family, AF_UNSPEC);
		}
	}
}

static void a_tunnel_has_policies_with_its_addresses(void **state)
{
	struct plan_input input = input_24229();

	(void)state;
	input.suite.mod = IPSEC_MOD_TUN;
	plan_set(&input, &keymat, &plan);
	assert_own_policies(XFRM_TUNNEL, IPPROTO_ESP);
	assert_false(plan.sas[0].encap.on);
}

static void ah_has_policies_of_its_own(void **state)
{
	struct plan_input input = input_24229();

	(void)state;
	input.suite.prot = IPSEC_PROT_AH;
	input.suite.ealg = IPSEC_EALG_NULL;
	plan_set(&input, &keymat, &plan);
	assert_own_policies(XFRM_TRANSPORT, IPPROTO_AH);
}

static void per_set_policies_are_a_switch(void **state)
{
	struct plan_input input = input_24229();

	(void)state;
	listener.policies = CONFIG_POLICIES_PER_SET;
	plan_set(&input, &keymat, &plan);
	assert_own_policies(XFRM_TRANSPORT, IPPROTO_ESP);
	input = input_rfc3329(5062, 0);
	plan_set(&input, &keymat, &plan);
	assert_own_policies(XFRM_TRANSPORT, IPPROTO_ESP);
}

static void N3_N4_udp_enc_tun_is_a_tunnel_between_4500_and_the_phones_port(void **state)
{
	struct plan_input input = input_24229();

	(void)state;
	input.suite.mod = IPSEC_MOD_UDP_ENC_TUN;
	input.encap_remote_port = 61234;
	plan_set(&input, &keymat, &plan);
	assert_own_policies(XFRM_TUNNEL, IPPROTO_ESP);
	for (size_t i = 0; i < 4; i++) {
		const struct xfrm_encap *encap = &plan.sas[i].encap;
		const bool in = i < 2;

		assert_true(encap->on);
		assert_int_equal(encap->sport, in ? 61234 : 4500);
		assert_int_equal(encap->dport, in ? 4500 : 61234);
		assert_int_equal(encap->mapping_threshold_s != 0, in);
	}
}

static void N4_before_the_first_packet_the_phones_port_is_unknown(void **state)
{
	struct plan_input input = input_24229();

	(void)state;
	listener.encap_port = 4501;
	input.suite.mod = IPSEC_MOD_UDP_ENC_TUN;
	plan_set(&input, &keymat, &plan);
	assert_int_equal(plan.sas[0].encap.sport, 0);
	assert_int_equal(plan.sas[0].encap.dport, 4501);
	assert_int_equal(plan.sas[2].encap.sport, 4501);
	assert_int_equal(plan.sas[2].encap.dport, 0);
}

/* ---- guards ---- */

static void assert_guard(const struct xfrm_policy *p, enum xfrm_dir dir, uint16_t port,
			 uint16_t mask)
{
	const bool in = dir == XFRM_IN;
	const struct ip_addr *ours = in ? &p->sel.dst : &p->sel.src;
	const struct ip_addr *theirs = in ? &p->sel.src : &p->sel.dst;

	assert_int_equal(p->dir, dir);
	assert_true(same_ip(ours, P));
	assert_int_equal(theirs->family, AF_UNSPEC);
	assert_int_equal(p->sel.family, AF_INET);
	assert_int_equal(in ? p->sel.dport : p->sel.sport, port);
	assert_int_equal(in ? p->sel.dport_mask : p->sel.sport_mask, mask);
	assert_int_equal(in ? p->sel.sport_mask : p->sel.dport_mask, 0);
	assert_int_equal(p->sel.proto, 0);
	assert_int_equal(p->priority, listener.priority);
	assert_int_equal(p->proto, IPPROTO_ESP);
	assert_int_equal(p->mode, XFRM_TRANSPORT);
	assert_int_equal(p->reqid, listener.reqid);
	assert_int_equal(p->tmpl_dst.family, AF_UNSPEC);
}

static void D4_an_aligned_power_of_two_of_client_ports_is_one_masked_guard(void **state)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];

	(void)state;
	assert_int_equal(plan_guards(&listener, guards), 4);
	assert_guard(&guards[0], XFRM_IN, PORT_PS, 0xffff);
	assert_guard(&guards[1], XFRM_OUT, PORT_PS, 0xffff);
	assert_guard(&guards[2], XFRM_IN, 6104, 0xfffc);
	assert_guard(&guards[3], XFRM_OUT, 6104, 0xfffc);
}

static bool is_guarded(const struct xfrm_policy *guards, size_t count, enum xfrm_dir dir,
		       unsigned port)
{
	for (size_t i = 0; i < count; i++) {
		const struct xfrm_sel *sel = &guards[i].sel;
		const bool in = dir == XFRM_IN;
		const unsigned at = in ? sel->dport : sel->sport;
		const unsigned mask = in ? sel->dport_mask : sel->sport_mask;

		if (guards[i].dir == dir && (port & mask) == at)
			return true;
	}
	return false;
}

/* Every port of the listener, and no other, whatever the range. */
static void D4_guards_cover_the_protected_ports_and_no_other(void **state)
{
	static const uint16_t RANGES[][2] = {
		{6104, 6107},   {6101, 6104},   {6104, 6106}, {6144, 6399}, {6145, 6400},
		{65280, 65535}, {65533, 65535}, {1, 3},       {6108, 6115}, {6112, 6119},
	};

	(void)state;
	for (size_t r = 0; r < COUNT_OF(RANGES); r++) {
		struct xfrm_policy guards[PLAN_MAX_GUARDS];
		size_t count;

		listener.client_port_first = RANGES[r][0];
		listener.client_port_last = RANGES[r][1];
		count = plan_guards(&listener, guards);
		assert_in_range(count, 4, PLAN_MAX_GUARDS);
		for (unsigned port = 0; port <= 65535; port++) {
			const bool ours =
				port == PORT_PS || (port >= RANGES[r][0] && port <= RANGES[r][1]);

			assert_int_equal(is_guarded(guards, count, XFRM_IN, port), ours);
			assert_int_equal(is_guarded(guards, count, XFRM_OUT, port), ours);
		}
	}
}

static void client_ports_that_no_mask_fits_have_a_guard_each(void **state)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];

	(void)state;
	listener.client_port_last = 6106;
	assert_int_equal(plan_guards(&listener, guards), 8);
	for (uint16_t i = 0; i < 3; i++) {
		assert_guard(&guards[2 + 2 * i], XFRM_IN, (uint16_t)(6104 + i), 0xffff);
		assert_guard(&guards[3 + 2 * i], XFRM_OUT, (uint16_t)(6104 + i), 0xffff);
	}
}

static void plan_relaxed(enum ipsec_mod mod)
{
	struct plan_input input = input_24229();

	input.suite.mod = mod;
	listener.selectors = CONFIG_SELECTORS_RELAXED;
	plan_set(&input, &keymat, &plan);
}

static bool takes(const struct xfrm_sel *sel, uint16_t sport, uint16_t dport)
{
	return !((sport ^ sel->sport) & sel->sport_mask) && !((dport ^ sel->dport) & sel->dport_mask);
}

static void relaxed_selectors_take_every_flow_of_the_phone_to_the_block(void **state)
{
	(void)state;
	plan_relaxed(IPSEC_MOD_TRANS);
	assert_int_equal(plan.policy_count, 0);
	for (size_t i = 0; i < 2; i++) {
		const struct xfrm_sel *sel = &plan.sas[i].sel;

		assert_true(ip_equal(&sel->src, &plan.sas[i].src));
		assert_int_equal(sel->sport_mask, 0);
		assert_true(takes(sel, PORT_UC, PORT_PS) && takes(sel, PORT_UC, PORT_PC));
		assert_true(takes(sel, PORT_US, PORT_PS) && takes(sel, PORT_US, PORT_PC));
		assert_true(takes(sel, 1, 6096) && takes(sel, 1, 6111));
		assert_false(takes(sel, PORT_UC, 6095) || takes(sel, PORT_UC, 6112));
		assert_false(takes(sel, PORT_UC, 5060));
		assert_int_equal(sel->dport & ~sel->dport_mask, 0);
	}
}

static void relaxed_selectors_leave_outbound_exact(void **state)
{
	(void)state;
	plan_relaxed(IPSEC_MOD_TRANS);
	for (size_t i = 2; i < 4; i++) {
		assert_int_equal(plan.sas[i].sel.sport_mask, 0xffff);
		assert_int_equal(plan.sas[i].sel.dport_mask, 0xffff);
	}
	assert_int_equal(plan.sas[2].sel.dport, PORT_UC);
	assert_int_equal(plan.sas[3].sel.dport, PORT_US);
}

static void sets_with_policies_of_their_own_are_never_relaxed(void **state)
{
	(void)state;
	plan_relaxed(IPSEC_MOD_UDP_ENC_TUN);
	assert_int_equal(plan.policy_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(plan.sas[i].sel.sport_mask, 0xffff);
		assert_int_equal(plan.sas[i].sel.dport_mask, 0xffff);
	}
}

static void relaxed_selectors_are_for_the_dialect_of_24229(void **state)
{
	const struct plan_input input = input_rfc3329(5062, 5062);

	(void)state;
	listener.selectors = CONFIG_SELECTORS_RELAXED;
	plan_set(&input, &keymat, &plan);
	assert_int_equal(plan.sas[0].sel.sport, 5062);
	assert_int_equal(plan.sas[0].sel.dport_mask, 0xffff);
}

static void a_sets_own_policies_come_before_the_guards(void **state)
{
	struct xfrm_policy guards[PLAN_MAX_GUARDS];
	struct plan_input input = input_24229();

	(void)state;
	input.suite.mod = IPSEC_MOD_TUN;
	plan_set(&input, &keymat, &plan);
	plan_guards(&listener, guards);
	assert_true(plan.policies[0].priority < guards[0].priority);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
	static const struct CMUnitTest tests[] = {
		TEST(D2_the_four_sas_have_the_addresses_ports_and_spis_of_figure_9),
		TEST(ipv6_sets_are_planned_likewise),
		TEST(D12_D13_sas_are_transport_esp_with_replay_window_reqid_and_limit),
		TEST(C11_one_port_on_both_sides_is_an_exact_pair),
		TEST(C11_without_port2_or_with_another_the_phones_port_is_open),
		TEST(every_suite_has_the_kernels_algorithms_and_its_keys),
		TEST(E15_all_four_sas_have_the_same_keys),
		TEST(a_plan_without_keys_has_zeros),
		TEST(a_wiped_plan_is_empty),
		TEST(a_tunnel_has_policies_with_its_addresses),
		TEST(ah_has_policies_of_its_own),
		TEST(per_set_policies_are_a_switch),
		TEST(N3_N4_udp_enc_tun_is_a_tunnel_between_4500_and_the_phones_port),
		TEST(N4_before_the_first_packet_the_phones_port_is_unknown),
		TEST(D4_an_aligned_power_of_two_of_client_ports_is_one_masked_guard),
		TEST(D4_guards_cover_the_protected_ports_and_no_other),
		TEST(client_ports_that_no_mask_fits_have_a_guard_each),
		TEST(relaxed_selectors_take_every_flow_of_the_phone_to_the_block),
		TEST(relaxed_selectors_leave_outbound_exact),
		TEST(sets_with_policies_of_their_own_are_never_relaxed),
		TEST(relaxed_selectors_are_for_the_dialect_of_24229),
		TEST(a_sets_own_policies_come_before_the_guards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
