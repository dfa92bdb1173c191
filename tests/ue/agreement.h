/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the phone takes from a Security-Server: RFC 3329 2.3.1, the client's side.
 */
#ifndef UE_AGREEMENT_H
#define UE_AGREEMENT_H

#include "tests/ue/options.h"
#include "tests/ue/sip.h"

struct agreement {
	struct ipsec_suite suite;
	struct ipsec_endpoint theirs; /* SPIs and ports of the P-CSCF */
	char *verify;                 /* the value of Security-Verify; owned */
};

/* From @answer, a 401, 421 or 494: of its list the entry with the highest q that @options knows and
 * offers, and the mirror of the whole list. On success agreement_done() is due.
 * Returns 0; -ENOENT (no list, or nothing known in it), -EINVAL and -E2BIG (no good list),
 * -ECANCELED (what it takes to start the chosen one is missing: RFC 3329 2.3.1 wants an end),
 * -ENOMEM. @ret_why then says it in words. */
int agreement_read(const struct sip_message *answer, const struct ue_options *options,
		   struct agreement *ret, char *ret_why, size_t why_cap);

void agreement_done(struct agreement *agreement);

#endif
