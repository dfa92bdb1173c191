/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mechanism digest: d-alg and d-qop, which replace what the challenge says, and d-ver, which
 * protects Security-Server by a digest over it (RFC 3329 2.2, 2.4).
 */
#ifndef PROTO_DIGEST_H
#define PROTO_DIGEST_H

#include "sec_header.h"

#define DIGEST_HEX_BYTES  33 /* 32 lower case digits and a NUL */
#define DIGEST_TEXT_BYTES (SEC_MAX_BYTES + 256) /* enough for digest_server_text(), with the NUL */

enum digest_algorithm {
	DIGEST_MD5, /* and AKAv1-MD5, AKAv2-MD5: the difference is in the password */
	DIGEST_MD5_SESS,
	DIGEST_UNKNOWN,
};

enum digest_qop {
	DIGEST_QOP_NONE, /* absent: RFC 2069 */
	DIGEST_QOP_AUTH,
	DIGEST_QOP_AUTH_INT,
	DIGEST_QOP_UNKNOWN,
};

/* Without case; an empty name is the default, MD5 and none. */
enum digest_algorithm digest_algorithm_of(struct span name);
enum digest_qop digest_qop_of(struct span name);

/* RFC 3329 does not say whether "security-server" in A2 has the name of the header in it; its
 * grammar says so. */
enum digest_text {
	DIGEST_WHOLE_FIELD, /* "Security-Server: digest, tls" */
	DIGEST_VALUE_ONLY,  /* "digest, tls" */
};

/* What a digest is made from; quoted strings without their quotes. */
struct digest_input {
	enum digest_algorithm algorithm;
	enum digest_qop qop;
	struct span method, uri;
	struct span nonce;
	struct span nc, cnonce; /* not with DIGEST_QOP_NONE, but for MD5-sess' cnonce */
	struct span body;       /* for auth-int */
};

/* Write the text of Security-Server that goes into A2: its entries joined by ", ", each run of
 * white space inside them one SP, nothing else changed. @lines: the values of all lines, in order;
 * they must be a list that sec_header_parse() takes. @cap includes the NUL.
 * Returns the length or -ENOSPC (then @buf is ""). */
int digest_server_text(const struct span *lines, size_t line_count, enum digest_text form,
		       char *buf, size_t cap);

/* H(user ":" realm ":" password). It opens the account as the password does: wipe it.
 * @ret is untouched on failure. Returns 0, -ENOSYS (OpenSSL has no MD5, as in FIPS mode). */
int digest_hash_a1(struct span user, struct span realm, struct span password,
	       char ret[static DIGEST_HEX_BYTES]);

/* d-ver: the request-digest of RFC 2617 3.2.2, with A2 = method ":" uri ":" @server_text, or
 * method ":" uri ":" H(body) ":" @server_text for auth-int. @ha1: the 32 hex digits of
 * digest_hash_a1(). @server_text: of digest_server_text().
 * Returns 0, -EINVAL (algorithm or qop unknown), -ENOSYS (no MD5), -ENOMEM. */
int digest_d_ver(const struct digest_input *input, const char *ha1, struct span server_text,
		 char ret[static DIGEST_HEX_BYTES]);

/* Is @d_ver, as in Security-Verify (with or without its quotes), that of the list @lines that we
 * sent? @value_only_too: both texts are accepted, not only the whole field. Compared in constant
 * time. Returns 0, -EBADMSG (it is not), or what digest_d_ver() and digest_server_text() return. */
int digest_d_ver_verify(const struct digest_input *input, const char *ha1,
			const struct span *lines, size_t line_count, bool value_only_too,
			struct span d_ver);

/* What the list says about the digest of @entry, a digest entry: d-alg and d-qop; what it does not
 * say stays what the challenge said (RFC 3329 2.4). For the phone. */
void digest_replace(const struct sec_mechanism *entry, enum digest_algorithm *algorithm,
		    enum digest_qop *qop);

/* Has the phone used what @entry, our own digest entry, says? For the server. */
bool digest_agrees(const struct sec_mechanism *entry, enum digest_algorithm algorithm,
		   enum digest_qop qop);

/* The d-ver of a Security-Verify, with its quotes; empty when there is none. It stands in the first
 * digest entry that has one. */
struct span digest_d_ver_of(const struct sec_header *verify);

#endif
