/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an agreement to what the kernel must hold. The only place where the words of proto/ become
 * those of xfrm/. Pure: nothing here allocates, sends or remembers.
 */
#ifndef DAEMON_PLAN_H
#define DAEMON_PLAN_H

#include "proto/keymat.h"
#include "xfrm/xfrm.h"
#include "daemon/config.h"

#define PLAN_MAX_SAS      4
#define PLAN_MAX_POLICIES 4
#define PLAN_MAX_GUARDS   (2 + 2 * 256)

/* What one set of SAs is made of. Numbers in host order. */
struct plan_input {
	const struct config_listener *listener;
	struct ipsec_suite suite;
	struct ipsec_endpoint ue;    /* as offered */
	struct ipsec_endpoint pcscf; /* as answered, in the same dialect */
	struct ip_addr ue_address;   /* source of the REGISTER (TS 33.203 7.1 NOTE 5) */
	uint16_t encap_remote_port;  /* UDP-enc-tun: the phone's UDP port, 0 = not known yet */
	uint32_t reqid;              /* the listener's, or one of its own when the set has own policies */
	uint64_t hard_s;             /* the kernel's limit, from now */
};

struct plan {
	struct xfrm_sa sas[PLAN_MAX_SAS];
	size_t sa_count; /* 4, or 2 in the dialect of RFC 3329 */
	struct xfrm_policy policies[PLAN_MAX_POLICIES];
	size_t policy_count; /* 0 where the listener's guards serve the set */
};

/* The kernel's names for @suite's algorithms with the keys of @keymat.
 * @keymat may be NULL: then the keys are zero. */
void plan_algorithms(const struct ipsec_suite *suite, const struct keymat *keymat,
		     struct xfrm_key *ret_auth, struct xfrm_key *ret_enc);

/* Does a set of this kind need policies of its own? Transport ESP runs on the listener's guards. */
bool plan_has_own_policies(const struct config_listener *listener, const struct ipsec_suite *suite);

/* May the phone of such a set, in the dialect of TS 24.229, send from any of its ports to any of the
 * listener's? */
bool plan_is_relaxed(const struct config_listener *listener, const struct ipsec_suite *suite);

/* TS 33.203 7.1, fig. 9; RFC 3329 Appendix A. @keymat may be NULL (zero keys) where only the
 * identities are wanted. *@ret then holds keys: plan_wipe(). */
void plan_set(const struct plan_input *input, const struct keymat *keymat, struct plan *ret);
void plan_wipe(struct plan *plan);

/* The listener's shared policies: everything between its protected ports and anybody must be in
 * ESP. One for the server port and one for the client ports in each direction; client ports that
 * are no aligned power of two take one for each port. @ret holds PLAN_MAX_GUARDS. Returns how many. */
size_t plan_guards(const struct config_listener *listener, struct xfrm_policy *ret);

#endif
