/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Are two security mechanism lists the same? Security-Verify against the Security-Server that was
 * sent, and the second Security-Client against the first (RFC 3329 2.3.1, TS 33.203 7.2).
 */
#ifndef PROTO_COMPARE_H
#define PROTO_COMPARE_H

#include "sec_header.h"

enum compare_mode {
	COMPARE_STRICT,
	COMPARE_LENIENT, /* ipsec-3gpp: ealg=null, prot=esp, mod=trans may be left out; q may differ
			    or be left out on one side */
};

/* Same mechanisms in the same order with the same parameters. Not significant: the order of the
 * parameters in a mechanism, white space, line breaks, the case of names and tokens. q, spi*, port*
 * compare as numbers, quoted strings exactly. d-ver of a digest entry takes no part (RFC 3329 2.4).
 * @sent is named "sent" and @got "received" in @ret_why, which says the first difference in words,
 * cut to @why_cap with the NUL, and is empty when the lists are equal. Printable ASCII only,
 * whatever the headers hold. It may be NULL. Cannot fail. */
bool compare_lists(const struct sec_header *sent, const struct sec_header *got,
		   enum compare_mode mode, char *ret_why, size_t why_cap);

#endif
