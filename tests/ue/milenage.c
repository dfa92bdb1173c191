/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MILENAGE, 3GPP TS 35.206 section 4.1, on AES-128 of OpenSSL.
 *
 * All outputs have one shape: OUTn = E_K(rot(TEMP ^ OPc, rn) ^ cn) ^ OPc, where TEMP is
 * E_K(RAND ^ OPc); only f1 mixes SQN and AMF in, in another place. So one function does the work
 * and a table gives rn and cn.
 *
 * Nothing is kept between calls. Intermediate values are wiped. What AUTN and AUTS are made of, and
 * whether an SQN is fresh, is aka.c.
 */
#include "tests/ue/milenage.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

/* TS 35.206 4.1: rotation in octets and last octet of the constant, for OUT1..OUT5 */
static const struct {
	unsigned int rotate_bytes;
	uint8_t constant;
} rounds[] = {{8, 0}, {0, 1}, {4, 2}, {8, 4}, {12, 8}};

static int encrypt(const uint8_t k[MILENAGE_BYTES], const uint8_t in[MILENAGE_BYTES],
		   uint8_t ret_out[MILENAGE_BYTES])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	int ok;

	ok = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, k, NULL) == 1 &&
	     EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
	     EVP_EncryptUpdate(ctx, ret_out, &n, in, MILENAGE_BYTES) == 1 && n == MILENAGE_BYTES;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static void xor_into(uint8_t a[MILENAGE_BYTES], const uint8_t b[MILENAGE_BYTES])
{
	for (int i = 0; i < MILENAGE_BYTES; i++)
		a[i] ^= b[i];
}

static int temp_of(const struct milenage_key *key, const uint8_t rand[MILENAGE_BYTES],
		   uint8_t ret_temp[MILENAGE_BYTES])
{
	uint8_t in[MILENAGE_BYTES];

	memcpy(in, rand, sizeof(in));
	xor_into(in, key->opc);
	return encrypt(key->k, in, ret_temp);
}

/* @rotated is rotated left by the round's count, @fixed is not; NULL = zero. */
static int out_of(const struct milenage_key *key, unsigned int round, const uint8_t *rotated,
		  const uint8_t *fixed, uint8_t ret_out[MILENAGE_BYTES])
{
	uint8_t in[MILENAGE_BYTES];
	int r;

	for (unsigned int i = 0; i < MILENAGE_BYTES; i++) {
		unsigned int from = (i + rounds[round].rotate_bytes) % MILENAGE_BYTES;

		in[i] = (uint8_t)(rotated[from] ^ key->opc[from]);
	}
	in[MILENAGE_BYTES - 1] ^= rounds[round].constant;
	if (fixed)
		xor_into(in, fixed);
	r = encrypt(key->k, in, ret_out);
	if (r == 0)
		xor_into(ret_out, key->opc);
	OPENSSL_cleanse(in, sizeof(in));
	return r;
}

int milenage_opc(const uint8_t k[MILENAGE_BYTES], const uint8_t op[MILENAGE_BYTES],
		 uint8_t ret_opc[MILENAGE_BYTES])
{
	int r = encrypt(k, op, ret_opc);

	if (r == 0)
		xor_into(ret_opc, op);
	return r;
}

int milenage_f1(const struct milenage_key *key, const uint8_t rand[MILENAGE_BYTES],
		const uint8_t sqn[MILENAGE_SQN_BYTES], const uint8_t amf[MILENAGE_AMF_BYTES],
		uint8_t ret_mac_a[MILENAGE_MAC_BYTES], uint8_t ret_mac_s[MILENAGE_MAC_BYTES])
{
	uint8_t temp[MILENAGE_BYTES], in1[MILENAGE_BYTES], out[MILENAGE_BYTES];
	int r;

	memcpy(in1, sqn, MILENAGE_SQN_BYTES);
	memcpy(in1 + MILENAGE_SQN_BYTES, amf, MILENAGE_AMF_BYTES);
	memcpy(in1 + MILENAGE_BYTES / 2, in1, MILENAGE_BYTES / 2);
	r = temp_of(key, rand, temp);
	if (r == 0)
		r = out_of(key, 0, in1, temp, out);
	if (r == 0) {
		memcpy(ret_mac_a, out, MILENAGE_MAC_BYTES);
		memcpy(ret_mac_s, out + MILENAGE_MAC_BYTES, MILENAGE_MAC_BYTES);
	}
	OPENSSL_cleanse(temp, sizeof(temp));
	OPENSSL_cleanse(out, sizeof(out));
	return r;
}

int milenage_f2345(const struct milenage_key *key, const uint8_t rand[MILENAGE_BYTES],
		   struct milenage_keys *ret)
{
	uint8_t temp[MILENAGE_BYTES], out2[MILENAGE_BYTES], out5[MILENAGE_BYTES];
	int r = temp_of(key, rand, temp);

	if (r == 0)
		r = out_of(key, 1, temp, NULL, out2);
	if (r == 0)
		r = out_of(key, 2, temp, NULL, ret->ck);
	if (r == 0)
		r = out_of(key, 3, temp, NULL, ret->ik);
	if (r == 0)
		r = out_of(key, 4, temp, NULL, out5);
	if (r == 0) {
		memcpy(ret->ak, out2, sizeof(ret->ak));
		memcpy(ret->res, out2 + MILENAGE_BYTES / 2, sizeof(ret->res));
		memcpy(ret->ak_star, out5, sizeof(ret->ak_star));
	}
	OPENSSL_cleanse(temp, sizeof(temp));
	OPENSSL_cleanse(out2, sizeof(out2));
	OPENSSL_cleanse(out5, sizeof(out5));
	return r;
}
