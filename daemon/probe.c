/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The probe installs one SA for each combination that a listener may agree on, from the listener's
 * address to itself, with a random SPI and a life of seconds, and deletes it at once. What the
 * kernel answers is turned into a sentence that says what to do.
 */
#include "daemon/probe.h"
#include "daemon/hash.h"
#include "daemon/plan.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PROBE_LIFE_S 5

struct probe {
	struct xfrm *xfrm;
	void (*say)(bool fatal, const char *what, const char *advice);
	unsigned missing;
	uint64_t said[64]; /* hashes of what was said: many combinations can lack the same thing */
};

static void missing(struct probe *p, const char *what, const char *advice)
{
	const uint64_t hash = hash_bytes(what, strlen(what)) ^ hash_bytes(advice, strlen(advice));
	const size_t max = sizeof(p->said) / sizeof(p->said[0]);

	for (size_t i = 0; i < p->missing && i < max; i++) {
		if (p->said[i] == hash)
			return;
	}
	if (p->missing < max)
		p->said[p->missing] = hash;
	p->missing++;
	p->say(true, what, advice);
}

static const char *module_of(bool ipv6, bool ah)
{
	if (ah)
		return ipv6 ? "ah6" : "ah4";
	return ipv6 ? "esp6" : "esp4";
}

static void explain(struct probe *p, const struct config_listener *l,
		    const struct ipsec_suite *suite, int err, const struct xfrm_error *error)
{
	const bool ipv6 = l->address.family == AF_INET6, ah = suite->prot == IPSEC_PROT_AH;
	const char *protocol = ah ? "AH" : "ESP";
	char what[400], advice[200];

	if (err == -EPROTONOSUPPORT) {
		snprintf(what, sizeof(what), "this kernel has no %s for %s", protocol,
			 ipv6 ? "IPv6" : "IPv4");
		snprintf(advice, sizeof(advice),
			 "load the module %s, or boot a kernel that has it", module_of(ipv6, ah));
	} else if (err == -ENOSYS || err == -ENOENT) {
		snprintf(what, sizeof(what), "this kernel cannot do %s with %s (%s)",
			 ipsec_alg_name(suite->alg), ipsec_ealg_name(suite->ealg),
			 error->kernel[0] ? error->kernel : strerror(-err));
		snprintf(advice, sizeof(advice),
			 "load its crypto module, or take the pair out of the algorithms of "
			 "listener %s", l->name);
	} else {
		snprintf(what, sizeof(what),
			 "the kernel refuses an SA of %s with %s, %s, %s: %s %s",
			 ipsec_alg_name(suite->alg), ipsec_ealg_name(suite->ealg), protocol,
			 ipsec_mod_name(suite->mod), strerror(-err), error->kernel);
		snprintf(advice, sizeof(advice),
			 "take it out of the algorithms, protocols or modes of listener %s",
			 l->name);
	}
	missing(p, what, advice);
}

static uint32_t random_spi(void)
{
	uint32_t spi = 0;

	while (spi < 256 && getrandom(&spi, sizeof(spi), 0) == sizeof(spi))
		;
	return spi | 256;
}

static void try_suite(struct probe *p, const struct config_listener *l,
		      const struct ipsec_suite *suite)
{
	const uint8_t ck[KEYMAT_AKA_BYTES] = "a probe, not a k", ik[KEYMAT_AKA_BYTES] = "ey of anyone";
	struct plan_input input = {
		.listener = l,
		.suite = *suite,
		.ue = { .dialect = IPSEC_DIALECT_RFC3329, .spi = random_spi(), .port1 = 9 },
		.pcscf = { .spi = random_spi(), .port1 = 9 },
		.ue_address = l->address,
		.reqid = l->reqid,
		.hard_s = PROBE_LIFE_S,
	};
	struct xfrm_error error = { 0 };
	struct keymat keymat;
	struct plan plan;
	int err;

	if (keymat_expand(suite, ck, ik, &keymat) < 0) {
		missing(p, "OpenSSL cannot expand keys", "give it a provider with HMAC and SHA-256");
		return;
	}
	plan_set(&input, &keymat, &plan);
	keymat_wipe(&keymat);
	xfrm_begin(p->xfrm);
	err = xfrm_add_sa(p->xfrm, &plan.sas[0]);
	if (!err)
		err = xfrm_commit(p->xfrm, &error);
	if (err) {
		explain(p, l, suite, err, &error);
	} else {
		xfrm_begin(p->xfrm);
		xfrm_delete_sa(p->xfrm, &plan.sas[0].id);
		xfrm_commit(p->xfrm, &error);
	}
	plan_wipe(&plan);
}

static bool serves(const struct select_policy *policy, const struct ipsec_suite *suite)
{
	const bool prot[] = { [IPSEC_PROT_ESP] = policy->esp, [IPSEC_PROT_AH] = policy->ah };
	const bool mod[] = { [IPSEC_MOD_TRANS] = policy->trans,
			     [IPSEC_MOD_TUN] = policy->tun,
			     [IPSEC_MOD_UDP_ENC_TUN] = policy->udp_enc_tun };

	return prot[suite->prot] && mod[suite->mod] && !ipsec_suite_fault(suite);
}

static void try_listener(struct probe *p, const struct config_listener *l)
{
	static const enum ipsec_prot PROTS[] = { IPSEC_PROT_ESP, IPSEC_PROT_AH };
	static const enum ipsec_mod MODS[] = { IPSEC_MOD_TRANS, IPSEC_MOD_TUN,
					       IPSEC_MOD_UDP_ENC_TUN };

	for (size_t i = 0; i < l->select.pair_count * 6; i++) {
		const struct select_pair pair = l->select.pairs[i / 6];
		const struct ipsec_suite suite = {
			.alg = pair.alg,
			.ealg = pair.ealg,
			.prot = PROTS[i % 2],
			.mod = MODS[i / 2 % 3],
		};

		if (serves(&l->select, &suite))
			try_suite(p, l, &suite);
	}
}

/* Where the guards have a hole by the kernel's defaults: IPv4 on the loopback device. */
static void look_at_loopback(struct probe *p, const struct config_listener *l)
{
	char what[300], value = '0';
	FILE *file;

	if (l->address.family != AF_INET)
		return;
	file = fopen("/proc/sys/net/ipv4/conf/lo/disable_policy", "re");
	if (!file)
		return;
	if (fread(&value, 1, 1, file) == 1 && value == '1') {
		snprintf(what, sizeof(what),
			 "local programs can reach the protected ports of listener %s in clear",
			 l->name);
		p->say(false, what, "set net.ipv4.conf.lo.disable_policy=0");
	}
	fclose(file);
}

unsigned probe_listener(struct xfrm *xfrm, const struct config_listener *listener,
			void (*say)(bool fatal, const char *what, const char *advice))
{
	struct probe p = { .xfrm = xfrm, .say = say };

	try_listener(&p, listener);
	look_at_loopback(&p, listener);
	return p.missing;
}

unsigned probe_kernel(struct xfrm *xfrm, const struct config *config,
		      void (*say)(bool fatal, const char *what, const char *advice))
{
	struct probe p = { .xfrm = xfrm, .say = say };

	capng_get_caps_process();
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)) {
		missing(&p, "no CAP_NET_ADMIN",
			"run as root, or give the capability to this user (systemd: "
			"AmbientCapabilities=CAP_NET_ADMIN)");
		return p.missing;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		try_listener(&p, &config->listeners[i]);
		look_at_loopback(&p, &config->listeners[i]);
	}
	return p.missing;
}
