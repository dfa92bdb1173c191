/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Authentication and key agreement as the SIM does it: TS 33.102 6.3.
 */
#ifndef UE_AKA_H
#define UE_AKA_H

#include "tests/ue/milenage.h"

#define AKA_RAND_BYTES 16
#define AKA_AUTN_BYTES 16 /* SQN^AK, AMF, MAC-A */
#define AKA_AUTS_BYTES 14 /* SQN^AK*, MAC-S */
#define AKA_RES_BYTES  8
#define AKA_KEY_BYTES  16 /* CK, IK */

/* The SIM. Secret. */
struct aka_card {
	struct milenage_key key;
	uint64_t sqn; /* the highest accepted so far, 48 bits */
};

/* What a challenge gives. Secret: wipe after use. */
struct aka_answer {
	uint8_t res[AKA_RES_BYTES];
	uint8_t ck[AKA_KEY_BYTES];
	uint8_t ik[AKA_KEY_BYTES];
	uint64_t sqn; /* of the network */
	uint8_t amf[MILENAGE_AMF_BYTES];
};

/* Check @autn and answer. The network is fresh when its SQN is above every accepted one (the simple
 * form of TS 33.102 C.2; no list per IND). On success @card remembers the SQN.
 * Returns 0; -EBADMSG (MAC-A is wrong: not our network); -ERANGE (SQN is not fresh; only then
 * @ret_auts is written, TS 33.102 6.3.3); -EIO (OpenSSL). */
int aka_challenge(struct aka_card *card, const uint8_t rand[AKA_RAND_BYTES],
		  const uint8_t autn[AKA_AUTN_BYTES], struct aka_answer *ret,
		  uint8_t ret_auts[AKA_AUTS_BYTES]);

/* AUTS for @rand: "my highest SQN is this". Returns 0 or -EIO. */
int aka_auts(const struct aka_card *card, const uint8_t rand[AKA_RAND_BYTES],
	     uint8_t ret_auts[AKA_AUTS_BYTES]);

void aka_answer_wipe(struct aka_answer *answer);

#endif
