/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.offer: from the Security-Client of a REGISTER whose 401 is passing to a TEMPORARY set.
 */
#ifndef DAEMON_OFFER_H
#define DAEMON_OFFER_H

#include "daemon/lines.h"
#include "daemon/sa_table.h"

struct offer {
	const struct config_listener *listener;
	const char *impi, *contact; /* contact: "" = not given */
	const char *impu; /* one a line; added to those of the set of .over_id */
	struct lines security_client;
	struct ip_addr ue_address;
	struct ip_addr via; /* sent-by of the topmost Via; AF_UNSPEC = not given */
	uint64_t over_id;   /* the set that the REGISTER came on; 0 = none */
	uint64_t transaction;
	uint8_t ck[KEYMAT_AKA_BYTES], ik[KEYMAT_AKA_BYTES]; /* secret: the caller wipes */
};

struct offer_result {
	struct sa_set *set;
	bool nat;
	struct sec_header header; /* what the offers' texts point into */
	struct ipsec3gpp offered;
	struct select_result selection;
	enum choose_start start; /* of the common mechanism that we prefer (RFC 3329 2.3.1); the set
				    is made too when that is another one: the phone may take both */
};

/* Returns 0, and *@ret, to be given to offer_result_done(); or -ECANCELED (see @refusal), with
 * nothing left anywhere, and nothing to be read in *@ret. A listener without ipsec-3gpp in its list refuses every offer. What else is
 * in common stands in the refusal then, as it does when no combination will do. A second call with
 * the same @transaction (which stands for the whole request) while the set is TEMPORARY gives the
 * same set. RFC 3329 2.3.1, TS 33.203 7.2, M.7.2. */
int offer_make(struct sa_table *table, const struct offer *offer, struct offer_result *ret,
	       struct refusal *refusal);
void offer_result_done(struct offer_result *result);

/* Emit what the phone offered and what was thought of it; offer_make() does. Of @offer the IMPI, the
 * address, the listener and the header are read. @offered NULL: the header was not, or could not
 * be, read. What a phone wrote and does not fit is cut. */
void offer_tell(const struct offer *offer, const struct ipsec3gpp *offered,
		const struct select_result *selection, bool nat);

#endif
