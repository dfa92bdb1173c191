/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP Digest (RFC 2617) with AKA in it (AKAv1-MD5, RFC 3310), the client's side.
 */
#ifndef UE_DIGEST_H
#define UE_DIGEST_H

#include "proto/text.h"
#include "tests/ue/aka.h"

#define DIGEST_HEX_BYTES 33 /* 32 digits and NUL */
#define DIGEST_WORD_BYTES 512

/* A WWW-Authenticate value. */
struct digest_challenge {
	char realm[DIGEST_WORD_BYTES];
	char nonce[DIGEST_WORD_BYTES];
	char opaque[DIGEST_WORD_BYTES]; /* "" = none */
	char algorithm[32];
	bool qop_auth;  /* "auth" is among the qop values */
	bool qop_other; /* there is a qop, but no "auth" among its values */
	bool has_ck, has_ik; /* keys that no phone should ever see (TS 33.203 6.1.1) */
};

/* Read one header value. Returns 0; -ENOENT (another scheme than Digest); -EINVAL (bad syntax,
 * a word too long, no realm or no nonce). */
int digest_challenge_parse(struct span value, struct digest_challenge *ret);

/* RAND and AUTN from an AKA nonce, base64 of RAND || AUTN || server data (RFC 3310 3.2).
 * Returns 0 or -EINVAL. */
int digest_nonce_to_aka(const char *nonce, uint8_t ret_rand[AKA_RAND_BYTES],
			uint8_t ret_autn[AKA_AUTN_BYTES]);

/* H(A1). The password is octets: RES may hold a NUL (RFC 3310 3.3). Secret.
 * This and the next return 0 or -EIO (no MD5 in OpenSSL). */
int digest_ha1(const char *username, const char *realm, const uint8_t *password,
	       size_t password_bytes, char ret_ha1[DIGEST_HEX_BYTES]);

/* The response directive. @nc and @cnonce NULL: as without qop (RFC 2069), else qop=auth. */
int digest_response(const char *ha1, const char *nonce, const char *nc, const char *cnonce,
		    const char *method, const char *uri, char ret_response[DIGEST_HEX_BYTES]);

#endif
