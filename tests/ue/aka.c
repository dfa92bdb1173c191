/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SIM's half of AKA, TS 33.102 6.3.3 and 6.3.5: is the network ours (MAC-A), is its challenge
 * fresh (SQN), and if so RES, CK and IK; if only stale, AUTS, from which the network learns where
 * our counter stands.
 *
 * A card lives as long as the program. The SQN is kept in memory alone: after a restart any SQN
 * from the one given on is accepted, which suits a laboratory and no real SIM.
 * The AMF is handed out, not judged.
 */
#include "tests/ue/aka.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

static uint64_t sqn_of(const uint8_t sqn[MILENAGE_SQN_BYTES])
{
	uint64_t value = 0;

	for (int i = 0; i < MILENAGE_SQN_BYTES; i++)
		value = value << 8 | sqn[i];
	return value;
}

static void sqn_to(uint64_t value, uint8_t ret_sqn[MILENAGE_SQN_BYTES])
{
	for (int i = MILENAGE_SQN_BYTES - 1; i >= 0; i--, value >>= 8)
		ret_sqn[i] = (uint8_t)value;
}

static void xor_sqn(const uint8_t a[MILENAGE_SQN_BYTES], const uint8_t b[MILENAGE_SQN_BYTES],
		    uint8_t ret[MILENAGE_SQN_BYTES])
{
	for (int i = 0; i < MILENAGE_SQN_BYTES; i++)
		ret[i] = a[i] ^ b[i];
}

int aka_auts(const struct aka_card *card, const uint8_t rand[AKA_RAND_BYTES],
	     uint8_t ret_auts[AKA_AUTS_BYTES])
{
	/* TS 33.102 6.3.3: an AMF of zero, since AUTS carries none */
	static const uint8_t no_amf[MILENAGE_AMF_BYTES];
	struct milenage_keys keys;
	uint8_t sqn[MILENAGE_SQN_BYTES], mac_a[MILENAGE_MAC_BYTES], mac_s[MILENAGE_MAC_BYTES];
	int r;

	sqn_to(card->sqn, sqn);
	r = milenage_f2345(&card->key, rand, &keys);
	if (r == 0)
		r = milenage_f1(&card->key, rand, sqn, no_amf, mac_a, mac_s);
	if (r == 0) {
		xor_sqn(sqn, keys.ak_star, ret_auts);
		memcpy(ret_auts + MILENAGE_SQN_BYTES, mac_s, sizeof(mac_s));
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
	return r;
}

/* TS 33.102 6.3.3: MAC-A first, since only a true one makes the SQN worth a look. */
static int check_autn(const struct aka_card *card, const uint8_t rand[AKA_RAND_BYTES],
		      const uint8_t autn[AKA_AUTN_BYTES], const uint8_t sqn[MILENAGE_SQN_BYTES])
{
	const uint8_t *amf = autn + MILENAGE_SQN_BYTES;
	const uint8_t *mac = amf + MILENAGE_AMF_BYTES;
	uint8_t mac_a[MILENAGE_MAC_BYTES], mac_s[MILENAGE_MAC_BYTES];
	int r = milenage_f1(&card->key, rand, sqn, amf, mac_a, mac_s);

	if (r < 0)
		return r;
	if (CRYPTO_memcmp(mac_a, mac, sizeof(mac_a)) != 0)
		return -EBADMSG;
	return sqn_of(sqn) > card->sqn ? 0 : -ERANGE;
}

int aka_challenge(struct aka_card *card, const uint8_t rand[AKA_RAND_BYTES],
		  const uint8_t autn[AKA_AUTN_BYTES], struct aka_answer *ret,
		  uint8_t ret_auts[AKA_AUTS_BYTES])
{
	struct milenage_keys keys;
	uint8_t sqn[MILENAGE_SQN_BYTES];
	int r = milenage_f2345(&card->key, rand, &keys);

	if (r < 0)
		goto out;
	xor_sqn(autn, keys.ak, sqn);
	r = check_autn(card, rand, autn, sqn);
	if (r == -ERANGE && aka_auts(card, rand, ret_auts) < 0)
		r = -EIO;
	if (r < 0)
		goto out;
	card->sqn = sqn_of(sqn);
	ret->sqn = card->sqn;
	memcpy(ret->amf, autn + MILENAGE_SQN_BYTES, sizeof(ret->amf));
	memcpy(ret->res, keys.res, sizeof(ret->res));
	memcpy(ret->ck, keys.ck, sizeof(ret->ck));
	memcpy(ret->ik, keys.ik, sizeof(ret->ik));
out:
	OPENSSL_cleanse(&keys, sizeof(keys));
	return r;
}

void aka_answer_wipe(struct aka_answer *answer)
{
	OPENSSL_cleanse(answer, sizeof(*answer));
}
