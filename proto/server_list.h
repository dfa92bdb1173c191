/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The security mechanisms of one listener: what Security-Server says. The list is static
 * (RFC 3329 2.1): it is made from the configuration and never looks at what a phone offers. Only
 * the numbers of ipsec-3gpp entries, in a 401, belong to one phone.
 */
#ifndef PROTO_SERVER_LIST_H
#define PROTO_SERVER_LIST_H

#include "ipsec3gpp.h"

#define SERVER_LIST_MAX_ENTRIES 16
#define SERVER_LIST_MAX_SUITES  16   /* behind one "ipsec-3gpp" */
#define SERVER_LIST_MAX_BYTES   1024 /* of all entries together, without their q */
#define SERVER_LIST_WRITE_BYTES 4096 /* the longest that server_list_write() writes, with the NUL */

enum mechanism_kind {
	MECHANISM_DIGEST,
	MECHANISM_TLS,
	MECHANISM_IPSEC_IKE,
	MECHANISM_IPSEC_MAN,
	MECHANISM_IPSEC_3GPP,
	MECHANISM_OTHER, /* any other token */
};

/* Without case. */
enum mechanism_kind mechanism_kind_of(struct span name);

struct server_entry {
	enum mechanism_kind kind;
	bool mediasec;      /* TS 24.229 7.2A.7: for media, never for signalling */
	int q_milli;        /* -1: no entry of this list has one; it follows from the order */
	uint16_t offset, n; /* name and parameters without q, in server_list.text */
	uint16_t name_n;    /* the name alone, at the same offset */
};

/* A plain value: may be copied, needs no freeing. */
struct server_list {
	struct server_entry entries[SERVER_LIST_MAX_ENTRIES]; /* most preferred first */
	size_t entry_count;
	char text[SERVER_LIST_MAX_BYTES];
};

/* Only ipsec-3gpp. */
void server_list_default(struct server_list *ret);

/* Read a list from configuration texts, one mechanism each: "tls;q=0.2",
 * "digest;d-alg=MD5;d-qop=auth;q=0.1", "ipsec-3gpp;q=0.5". "ipsec-3gpp" stands for all combinations
 * that the listener supports and so has no parameter but q. Either all entries have a q or none;
 * without, the order of the texts is that of preference (RFC 3329 has no default).
 * @suite_max: how many combinations there can be; they take the q's from that of "ipsec-3gpp"
 * downwards in steps of 0.001, and no other entry may have one of those.
 * Refused (RFC 3329 2.2, 5): equal q; a mechanism without integrity: alg=null without aes-gcm, a
 * digest with which no d-ver can be made; d-ver itself; ipsec-3gpp with other parameters or twice;
 * a list with nothing for signalling; anything that sec_header_parse() refuses.
 * Returns 0, -EINVAL or -E2BIG (@ret untouched, @ret_why says what is wrong with which entry),
 * -ENOMEM (the same). */
int server_list_read(const struct span *entries, size_t entry_count, size_t suite_max,
		     struct server_list *ret, char *ret_why, size_t why_cap);

/* Write the value of Security-Server: all entries, most preferred first, each with its q.
 * @suites stand where "ipsec-3gpp" does, with the numbers of @endpoint (a 401), without when it is
 * NULL (421, 494); no suites, no ipsec-3gpp. Without q
 * in the texts it is 0.9, 0.8, ... (0.99, 0.98, ... for more than nine), as in ipsec3gpp_write().
 * @cap includes the NUL.
 * Returns the length, -EINVAL (nothing to write, or more than 16 suites), -ENOSPC; on failure @buf
 * is "". */
int server_list_write(const struct server_list *list, const struct ipsec_endpoint *endpoint,
		      const struct ipsec_suite *suites, size_t suite_count, char *buf, size_t cap);

/* Is there one of @kind for signalling? */
bool server_list_has(const struct server_list *list, enum mechanism_kind kind);
struct span server_entry_name(const struct server_list *list, const struct server_entry *entry);

#endif
