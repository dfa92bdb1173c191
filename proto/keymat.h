/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key expansion, TS 33.203 Annex I: from IK and CK of the AKA to the keys of ESP and AH.
 */
#ifndef PROTO_KEYMAT_H
#define PROTO_KEYMAT_H

#include "ipsec3gpp.h"

#define KEYMAT_AKA_BYTES  16 /* CK, IK */
#define KEYMAT_AUTH_BYTES 20
#define KEYMAT_ENC_BYTES  24

/* Secret. Whoever holds one calls keymat_wipe() on every path. */
struct keymat {
	uint8_t auth[KEYMAT_AUTH_BYTES]; /* HMAC key; AEAD: unused */
	size_t auth_bytes;
	uint8_t enc[KEYMAT_ENC_BYTES]; /* cipher key; aes-gcm, aes-gmac: key, then 4 octets salt */
	size_t enc_bytes;
};

/* Expand for @suite (all four SAs of a set use the same keys).
 * hmac-md5-96: IK. hmac-sha-1-96: IK and four zero octets. des-ede3-cbc: CK1 CK2 CK1 with odd
 * parity (RFC 2451). aes-cbc: CK. aes-gmac, aes-gcm: IK or CK and, as salt, the last four octets of
 * HMAC-SHA-256(CK || IK, FC || P0 || L0), FC 0x58 "AES_GMAC_SALT", 0x59 "AES_GCM_SALT".
 * @ret must not overlap @ck or @ik; octets of it that are not in use are 0.
 * Returns 0, -EINVAL (not a legal combination), -ENOSYS (OpenSSL has no HMAC-SHA-256); on failure
 * @ret is wiped. */
int keymat_expand(const struct ipsec_suite *suite, const uint8_t ck[static KEYMAT_AKA_BYTES],
		  const uint8_t ik[static KEYMAT_AKA_BYTES], struct keymat *ret);
void keymat_wipe(struct keymat *keymat);

#endif
