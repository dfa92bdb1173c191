/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key expansion, TS 33.203 Annex I.
 *
 * Most of it is copying with care for lengths; aes-gcm and aes-gmac also need a salt from the KDF
 * of TS 33.220 Annex B, which is HMAC-SHA-256. OpenSSL provides the HMAC and nothing else here.
 *
 * All four SAs of a set get the same key and, for the AEAD algorithms, the same salt. Nothing here
 * can change that: it rests on whoever makes the IVs that they differ between the SAs.
 * The result is secret; every intermediate value is wiped before return, and so is the result when
 * the expansion fails.
 */
#include "proto/keymat.h"

#include <errno.h>
#include <string.h>
#include <stdbool.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define SALT_BYTES 4
#define KDF_BYTES  32 /* of HMAC-SHA-256 */
#define DES_BYTES  8

/* S = FC || P0 || L0, TS 33.203 Annex I; L0 is the length of P0 in two octets. */
static const uint8_t gmac_salt_s[] = "\x58" "AES_GMAC_SALT" "\x00\x0d";
static const uint8_t gcm_salt_s[] = "\x59" "AES_GCM_SALT" "\x00\x0c";

/* Looking an algorithm up costs OpenSSL many times what using it does. This one is looked up once,
 * has the key 0, and is copied for each use. NULL: there is no such algorithm. */
static const EVP_MAC_CTX *hmac_sha256(void)
{
	static const uint8_t no_key[KDF_BYTES];
	static EVP_MAC_CTX *kept;
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac;

	if (kept)
		return kept;
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	kept = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (kept && !EVP_MAC_init(kept, no_key, sizeof(no_key), params)) {
		EVP_MAC_CTX_free(kept);
		kept = NULL;
	}
	return kept;
}

static bool hmac(const uint8_t *key, size_t key_bytes, const uint8_t *s, size_t s_bytes,
		 uint8_t ret[static KDF_BYTES])
{
	const EVP_MAC_CTX *kept = hmac_sha256();
	EVP_MAC_CTX *mac = kept ? EVP_MAC_CTX_dup(kept) : NULL;
	size_t bytes = 0;
	const bool ok = mac && EVP_MAC_init(mac, key, key_bytes, NULL) &&
			EVP_MAC_update(mac, s, s_bytes) &&
			EVP_MAC_final(mac, ret, &bytes, KDF_BYTES) && bytes == KDF_BYTES;

	EVP_MAC_CTX_free(mac);
	return ok;
}

/* The 32 least significant bits of KDF(CK || IK, @s): its last four octets. */
static int derive_salt(const uint8_t *ck, const uint8_t *ik, const uint8_t *s, size_t s_bytes,
		       uint8_t ret[static SALT_BYTES])
{
	uint8_t key[2 * KEYMAT_AKA_BYTES];
	uint8_t mac[KDF_BYTES];
	int r = -ENOSYS;

	memcpy(key, ck, KEYMAT_AKA_BYTES);
	memcpy(key + KEYMAT_AKA_BYTES, ik, KEYMAT_AKA_BYTES);
	if (hmac(key, sizeof(key), s, s_bytes, mac)) {
		memcpy(ret, mac + KDF_BYTES - SALT_BYTES, SALT_BYTES);
		r = 0;
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(mac, sizeof(mac));
	return r;
}

/* Bit 0 of every octet makes its parity odd: RFC 2451 2.2. The kernel ignores it, some do not. */
static uint8_t with_odd_parity(uint8_t octet)
{
	return (uint8_t)((octet & 0xFE) | !__builtin_parity(octet & 0xFE));
}

/* CK1 || CK2 || CK1 */
static void expand_des_ede3(const uint8_t *ck, struct keymat *ret)
{
	memcpy(ret->enc, ck, 2 * DES_BYTES);
	memcpy(ret->enc + 2 * DES_BYTES, ck, DES_BYTES);
	ret->enc_bytes = 3 * DES_BYTES;
	for (size_t i = 0; i < ret->enc_bytes; i++)
		ret->enc[i] = with_odd_parity(ret->enc[i]);
}

static void expand_enc(const uint8_t *key, size_t extra_bytes, struct keymat *ret)
{
	memcpy(ret->enc, key, KEYMAT_AKA_BYTES);
	ret->enc_bytes = KEYMAT_AKA_BYTES + extra_bytes;
}

/* @extra_bytes of zeros follow IK: RFC 2404 wants 20 octets for HMAC-SHA-1. */
static void expand_auth(const uint8_t *ik, size_t extra_bytes, struct keymat *ret)
{
	memcpy(ret->auth, ik, KEYMAT_AKA_BYTES);
	ret->auth_bytes = KEYMAT_AKA_BYTES + extra_bytes;
}

static int expand_integrity(enum ipsec_alg alg, const uint8_t *ck, const uint8_t *ik,
			    struct keymat *ret)
{
	switch (alg) {
	case IPSEC_ALG_HMAC_MD5_96:
		expand_auth(ik, 0, ret);
		return 0;
	case IPSEC_ALG_HMAC_SHA_1_96:
		expand_auth(ik, KEYMAT_AUTH_BYTES - KEYMAT_AKA_BYTES, ret);
		return 0;
	case IPSEC_ALG_AES_GMAC:
		expand_enc(ik, SALT_BYTES, ret);
		return derive_salt(ck, ik, gmac_salt_s, sizeof(gmac_salt_s) - 1,
				   ret->enc + KEYMAT_AKA_BYTES);
	case IPSEC_ALG_NULL:
		return 0;
	case IPSEC_ALG_UNKNOWN:
		break;
	}
	return -EINVAL;
}

static int expand_encryption(enum ipsec_ealg ealg, const uint8_t *ck, const uint8_t *ik,
			     struct keymat *ret)
{
	switch (ealg) {
	case IPSEC_EALG_NULL:
		return 0;
	case IPSEC_EALG_DES_EDE3_CBC:
		expand_des_ede3(ck, ret);
		return 0;
	case IPSEC_EALG_AES_CBC:
		expand_enc(ck, 0, ret);
		return 0;
	case IPSEC_EALG_AES_GCM:
		expand_enc(ck, SALT_BYTES, ret);
		return derive_salt(ck, ik, gcm_salt_s, sizeof(gcm_salt_s) - 1,
				   ret->enc + KEYMAT_AKA_BYTES);
	case IPSEC_EALG_UNKNOWN:
		break;
	}
	return -EINVAL;
}

int keymat_expand(const struct ipsec_suite *suite, const uint8_t ck[static KEYMAT_AKA_BYTES],
		  const uint8_t ik[static KEYMAT_AKA_BYTES], struct keymat *ret)
{
	int r = -EINVAL;

	keymat_wipe(ret);
	if (!ipsec_suite_fault(suite))
		r = expand_integrity(suite->alg, ck, ik, ret);
	if (!r)
		r = expand_encryption(suite->ealg, ck, ik, ret);
	if (r)
		keymat_wipe(ret);
	return r;
}

void keymat_wipe(struct keymat *keymat)
{
	OPENSSL_cleanse(keymat, sizeof(*keymat));
}
