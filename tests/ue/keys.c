/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key expansion of TS 33.203 Annex I for the phone's side, with the names that the kernel gives to
 * the algorithms.
 *
 * The caller owns and wipes the keys. Which combinations are legal is the caller's business; one
 * that cannot exist is refused all the same.
 */
#include "tests/ue/keys.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static void set_key(struct ue_key *key, const char *algorithm, const uint8_t *bytes, size_t n,
		    size_t padded)
{
	key->algorithm = algorithm;
	memset(key->key, 0, sizeof(key->key));
	if (n > 0)
		memcpy(key->key, bytes, n);
	key->key_bytes = padded;
}

/* Annex I: the salt is the end of KDF(CK || IK, FC || P0 || L0) of TS 33.220 Annex B. */
static int add_salt(struct ue_key *key, const struct aka_answer *answer, const char *fc_p0_l0,
		    size_t n)
{
	uint8_t both[2 * AKA_KEY_BYTES], mac[EVP_MAX_MD_SIZE];
	unsigned int mac_bytes = 0;

	memcpy(both, answer->ck, AKA_KEY_BYTES);
	memcpy(both + AKA_KEY_BYTES, answer->ik, AKA_KEY_BYTES);
	if (!HMAC(EVP_sha256(), both, sizeof(both), (const uint8_t *)fc_p0_l0, n, mac, &mac_bytes))
		mac_bytes = 0;
	if (mac_bytes == 32)
		memcpy(key->key + AKA_KEY_BYTES, mac + 28, 4);
	OPENSSL_cleanse(both, sizeof(both));
	OPENSSL_cleanse(mac, sizeof(mac));
	return mac_bytes == 32 ? 0 : -EIO;
}

/* Annex I with RFC 2451: K1 K2 K1, each octet of odd parity. */
static void set_des_key(struct ue_key *key, const uint8_t ck[AKA_KEY_BYTES])
{
	set_key(key, "cbc(des3_ede)", ck, AKA_KEY_BYTES, 24);
	memcpy(key->key + AKA_KEY_BYTES, ck, 8);
	for (int i = 0; i < 24; i++) {
		uint8_t high = key->key[i] & 0xfe;

		key->key[i] = (uint8_t)(high | !__builtin_parity(high));
	}
}

static int set_auth(const struct ipsec_suite *suite, const struct aka_answer *answer,
		    struct ue_keys *ret)
{
	ret->icv_bits = 96;
	switch (suite->alg) {
	case IPSEC_ALG_HMAC_MD5_96:
		set_key(&ret->auth, "hmac(md5)", answer->ik, AKA_KEY_BYTES, 16);
		return 0;
	case IPSEC_ALG_HMAC_SHA_1_96:
		set_key(&ret->auth, "hmac(sha1)", answer->ik, AKA_KEY_BYTES, 20);
		return 0;
	case IPSEC_ALG_AES_GMAC:
		ret->icv_bits = 128;
		set_key(&ret->aead, "rfc4543(gcm(aes))", answer->ik, AKA_KEY_BYTES, 20);
		return add_salt(&ret->aead, answer, "\x58" "AES_GMAC_SALT\0\x0d", 16);
	case IPSEC_ALG_NULL:
		return suite->ealg == IPSEC_EALG_AES_GCM ? 0 : -EINVAL;
	case IPSEC_ALG_UNKNOWN:
		break;
	}
	return -EINVAL;
}

static int set_enc(const struct ipsec_suite *suite, const struct aka_answer *answer,
		   struct ue_keys *ret)
{
	switch (suite->ealg) {
	case IPSEC_EALG_NULL:
		if (ret->auth.algorithm && suite->prot == IPSEC_PROT_ESP)
			set_key(&ret->enc, "ecb(cipher_null)", NULL, 0, 0);
		return 0;
	case IPSEC_EALG_DES_EDE3_CBC:
		set_des_key(&ret->enc, answer->ck);
		return 0;
	case IPSEC_EALG_AES_CBC:
		set_key(&ret->enc, "cbc(aes)", answer->ck, AKA_KEY_BYTES, 16);
		return 0;
	case IPSEC_EALG_AES_GCM:
		ret->icv_bits = 128;
		set_key(&ret->aead, "rfc4106(gcm(aes))", answer->ck, AKA_KEY_BYTES, 20);
		return add_salt(&ret->aead, answer, "\x59" "AES_GCM_SALT\0\x0c", 15);
	case IPSEC_EALG_UNKNOWN:
		break;
	}
	return -EINVAL;
}

int ue_keys_expand(const struct ipsec_suite *suite, const struct aka_answer *answer,
		   struct ue_keys *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = set_auth(suite, answer, ret);
	if (r == 0)
		r = set_enc(suite, answer, ret);
	if (r == 0 && ret->aead.algorithm && ret->enc.algorithm)
		r = -EINVAL;
	if (r < 0)
		ue_keys_wipe(ret);
	return r;
}

void ue_keys_wipe(struct ue_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}
