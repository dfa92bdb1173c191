/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MILENAGE, the example algorithm set for AKA that nearly every SIM uses: 3GPP TS 35.206.
 */
#ifndef UE_MILENAGE_H
#define UE_MILENAGE_H

#include <stdint.h>

#define MILENAGE_BYTES     16 /* K, OP, OPc, RAND, CK, IK */
#define MILENAGE_SQN_BYTES 6  /* SQN, AK */
#define MILENAGE_AMF_BYTES 2
#define MILENAGE_MAC_BYTES 8 /* MAC-A, MAC-S, RES */

/* What a SIM holds. Secret. */
struct milenage_key {
	uint8_t k[MILENAGE_BYTES];
	uint8_t opc[MILENAGE_BYTES];
};

/* What f2..f5* give. Secret: wipe after use. */
struct milenage_keys {
	uint8_t res[MILENAGE_MAC_BYTES];     /* f2 */
	uint8_t ck[MILENAGE_BYTES];          /* f3 */
	uint8_t ik[MILENAGE_BYTES];          /* f4 */
	uint8_t ak[MILENAGE_SQN_BYTES];      /* f5 */
	uint8_t ak_star[MILENAGE_SQN_BYTES]; /* f5*, for AUTS */
};

/* OPc from the operator's OP. All functions here return 0, or -EIO when OpenSSL refuses AES-128;
 * their outputs are then undefined and must not be used. */
int milenage_opc(const uint8_t k[MILENAGE_BYTES], const uint8_t op[MILENAGE_BYTES],
		 uint8_t ret_opc[MILENAGE_BYTES]);

/* f1 (MAC-A) and f1* (MAC-S). */
int milenage_f1(const struct milenage_key *key, const uint8_t rand[MILENAGE_BYTES],
		const uint8_t sqn[MILENAGE_SQN_BYTES], const uint8_t amf[MILENAGE_AMF_BYTES],
		uint8_t ret_mac_a[MILENAGE_MAC_BYTES], uint8_t ret_mac_s[MILENAGE_MAC_BYTES]);

/* f2, f3, f4, f5 and f5*. */
int milenage_f2345(const struct milenage_key *key, const uint8_t rand[MILENAGE_BYTES],
		   struct milenage_keys *ret);

#endif
