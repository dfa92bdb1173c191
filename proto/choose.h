/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which mechanism a server and a phone have in common, and what has to happen for it to start.
 * The server's preference decides (RFC 3329 2.3.1); entries for media never count
 * (TS 24.229 7.2A.7).
 */
#ifndef PROTO_CHOOSE_H
#define PROTO_CHOOSE_H

#include "server_list.h"

/* What starts a mechanism. */
enum choose_start {
	CHOOSE_START_CHALLENGE,      /* digest: a Proxy- or WWW-Authenticate in the answer */
	CHOOSE_START_TLS_CONNECTION, /* tls: the phone connects */
	CHOOSE_START_SA_OFFER,       /* ipsec-3gpp: numbers and keys, with the 401 */
	CHOOSE_START_UNKNOWN,        /* others: by means that we know nothing of */
};

/* "challenge", "tls connection", "sa.offer", "nothing known" */
const char *choose_start_name(enum choose_start start);
enum choose_start choose_start_of(enum mechanism_kind kind);

/* ---- the server's side ---- */

struct choose_common {
	const struct server_entry *entry; /* of the server's list */
	size_t client_index;              /* the first of that name in the phone's */
	enum choose_start start;
};

/* The server's most preferred mechanism that @client (a Security-Client) lists too; the phone's q
 * and order never rank. @ipsec_usable: of the phone's ipsec-3gpp offers one can be taken
 * (select_offer()). The list that is sent stays whole, whatever this finds.
 * Returns 0 or -ENOENT: nothing in common, or for media only. */
int choose_for_server(const struct server_list *server, const struct sec_header *client,
		      bool ipsec_usable, struct choose_common *ret);

/* ---- the phone's side ---- */

/* What the phone can do, and what the answer brought beside Security-Server. */
struct choose_phone {
	bool knows[MECHANISM_OTHER]; /* by enum mechanism_kind */
	const struct ipsec_suite *suites; /* of ipsec-3gpp; NULL: all that a kernel can carry */
	size_t suite_count;
	bool has_challenge; /* Proxy-Authenticate or WWW-Authenticate with a nonce */
};

/* The entry of @server, a Security-Server, with the highest q among the mechanisms that the phone
 * knows; @ret_index. Entries without q rank behind those with one, in the order of the list. Of
 * ipsec-3gpp only entries count that a Linux kernel can carry and the phone has among its suites.
 * Returns 0; -ENOENT (nothing known); -ECANCELED: what it takes to start the chosen one is missing,
 * so that somebody changed a list, and the agreement is off (RFC 3329 2.3.1): no challenge for a
 * digest or for the keys of ipsec-3gpp, an ipsec-3gpp entry without alg, SPIs and ports, or with
 * wrong ones. @ret_why, unless NULL, says so in words. */
int choose_for_phone(const struct sec_header *server, const struct choose_phone *phone,
		     size_t *ret_index, char *ret_why, size_t why_cap);

/* Write Security-Verify: the whole of @server as it was received, on one line, its mechanisms
 * joined by ", "; folds become one SP. @d_ver, unless NULL: 32 hex digits that go into the digest
 * entry @digest_index (RFC 3329 2.4). @cap includes the NUL; SEC_MAX_BYTES + 256 is always enough.
 * Returns the length, -EINVAL (@digest_index is no digest, or has a d-ver) or -ENOSPC; on failure
 * @buf is "". */
int choose_mirror(const struct sec_header *server, const char *d_ver, size_t digest_index,
		  char *buf, size_t cap);

/* ---- for other uses: RFC 3329 knows neither ---- */

/* The indices of @list from the highest q to the lowest; those without q last; equals in the order
 * of the list. @ret_order has room for all mechanisms of @list. */
void choose_by_preference(const struct sec_header *list, size_t *ret_order);

/* The pair of entries with one name whose q_server * q_client is the highest; a missing q counts as
 * 1. Among equal scores the server's order decides, then the client's. Entries for media never
 * count, q=0 does. @ret_score is in millionths. Returns 0 or -ENOENT. */
int choose_best_score(const struct sec_header *server, const struct sec_header *client,
		      size_t *ret_server_index, size_t *ret_client_index, uint32_t *ret_score);

#endif
