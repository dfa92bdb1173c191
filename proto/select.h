/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of the offered ipsec-3gpp combinations a P-CSCF takes, and why not the others.
 * TS 33.203 7.2: the P-CSCF has one ordered list and takes the first that the UE offers too; the
 * UE's own q and order never rank (RFC 3329 2.3.1).
 */
#ifndef PROTO_SELECT_H
#define PROTO_SELECT_H

#include "ipsec3gpp.h"

/* TS 33.203 7.2 NOTE 4 and 5 */
enum select_encryption {
	SELECT_ENCRYPTION_OFF,       /* ealg null only, with any integrity algorithm offered */
	SELECT_ENCRYPTION_PREFERRED, /* null when the phone offers nothing else */
	SELECT_ENCRYPTION_REQUIRED,  /* a phone without encryption is refused */
};

struct select_pair {
	enum ipsec_alg alg;
	enum ipsec_ealg ealg;
};

#define SELECT_MAX_PAIRS 16

struct select_policy {
	struct select_pair pairs[SELECT_MAX_PAIRS]; /* most preferred first */
	size_t pair_count;
	enum select_encryption encryption;
	bool esp, ah;                /* protocols served */
	bool trans, tun, udp_enc_tun; /* modes served */
};

/* aes-gcm, hmac-sha-1-96 with aes-cbc, aes-gmac, hmac-sha-1-96 with null; encryption preferred;
 * esp; trans and UDP-enc-tun. */
void select_policy_default(struct select_policy *ret);

enum select_verdict {
	SELECT_CHOSEN,
	SELECT_NOT_PREFERRED, /* would do, but another ranks higher */
	SELECT_NOT_SUPPORTED, /* unknown, or not in our list */
	SELECT_REFUSED,       /* illegal combination, or against encryption policy or NAT rule */
};

struct select_result {
	bool found; /* else there is no: */
	struct ipsec_suite chosen;
	size_t chosen_index;                             /* of the offers */
	enum select_verdict verdict[SEC_MAX_MECHANISMS]; /* one for each offer */
	char why[SEC_MAX_MECHANISMS][96];                /* in words */
};

/* @nat: the phone is behind a NAT, so that only UDP-enc-tun can work; without NAT it is never
 * chosen (TS 33.203 M.7.2). With encryption off @chosen may be an offer's integrity algorithm with
 * null, if that pair is in the list. Of one pair, esp ranks before ah and trans before tun; of one
 * suite the first offer wins. Every offer gets a verdict and a reason. Cannot fail. */
void select_offer(const struct ipsec3gpp *offered, const struct select_policy *policy, bool nat,
		  struct select_result *ret);

/* Nothing of it is taken, for the one reason @why. */
void select_nothing(const struct ipsec3gpp *offered, const char *why, struct select_result *ret);

const char *select_verdict_name(enum select_verdict v);

/* All combinations that @policy supports, most preferred first, for Security-Server (TS 33.203 7.2:
 * the full list, whatever the phone offered), with the protocol and mode of @chosen; NULL: for no
 * phone in particular, with esp and trans or else the next that is served. @ret holds
 * SELECT_MAX_PAIRS. Pairs that are not legal with that protocol and mode, and repetitions, are left
 * out. Returns how many. */
size_t select_supported(const struct select_policy *policy, const struct ipsec_suite *chosen,
			struct ipsec_suite *ret);

#endif
