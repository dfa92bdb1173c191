/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/keymat.c against worked examples: CK and IK of the first Milenage test set of TS 35.208,
 * the keys and salts that Annex I of TS 33.203 makes of them, and whole ESP packets, each sealed
 * here by OpenSSL with the keys under test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "proto/keymat.h"

#define CK_HEX "b40ba9a3c58b2a05bbf0d987b21bf8cb"
#define IK_HEX "f769bcd751044604127672711c6d3441"

struct vector {
	enum ipsec_alg alg;
	enum ipsec_ealg ealg;
	const char *auth, *enc; /* the keys */
	const char *packet;     /* SPI 10000001, sequence 1, payload "SIP!", next header 17 */
};

#define MD5_KEY  IK_HEX
#define SHA1_KEY IK_HEX "00000000"
#define DES_KEY  "b50ba8a2c48a2a04baf1d986b31af8cbb50ba8a2c48a2a04"
#define GMAC_KEY IK_HEX "dbc2b1c2"
#define GCM_KEY  CK_HEX "89273db6"

static const struct vector vectors[] = {
	{IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_NULL, MD5_KEY, "",
	 "10000001000000015349502101020211afd2a58161c10cdb5c76d7d4"},
	{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, SHA1_KEY, "",
	 "10000001000000015349502101020211ef021dbab95b7138e917d3cf"},
	{IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, "", GCM_KEY,
	 "10000001000000010000000000000001f858910b5536fff844d2d1aab07d75938027bc92b1f1ffdc"},
	{IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL, "", GMAC_KEY,
	 "1000000100000001000000000000000153495021010202115b7bac4b09e7acbce98af606c14ecb88"},
	{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC, SHA1_KEY, CK_HEX,
	 "1000000100000001000102030405060708090a0b0c0d0e0f"
	 "03ef81966aa43df4a4ab66ce80368e8b6080f015519a3989685d6012"},
	{IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_DES_EDE3_CBC, MD5_KEY, DES_KEY,
	 "1000000100000001000102030405060738a27c81ca4614bebd09d39b0578f07bc19f0e14"},
	{IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_AES_CBC, MD5_KEY, CK_HEX, NULL},
	{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_DES_EDE3_CBC, SHA1_KEY, DES_KEY, NULL},
};

#define VECTOR_COUNT (sizeof(vectors) / sizeof(vectors[0]))

static struct ipsec_suite suite_of(const struct vector *v)
{
	return (struct ipsec_suite){v->alg, v->ealg, IPSEC_PROT_ESP, IPSEC_MOD_TRANS};
}

static int expand(const struct ipsec_suite *suite, struct keymat *ret)
{
	uint8_t ck[KEYMAT_AKA_BYTES], ik[KEYMAT_AKA_BYTES];

	assert_int_equal(text_from_hex(span_of(CK_HEX), ck, sizeof(ck)), 0);
	assert_int_equal(text_from_hex(span_of(IK_HEX), ik, sizeof(ik)), 0);
	return keymat_expand(suite, ck, ik, ret);
}

static void assert_hex(const uint8_t *got, size_t bytes, const char *expected)
{
	uint8_t want[128];

	assert_int_equal(bytes * 2, strlen(expected));
	assert_int_equal(text_from_hex(span_of(expected), want, bytes), 0);
	assert_memory_equal(got, want, bytes);
}

static void each_suite_gets_the_keys_of_annex_I(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		struct ipsec_suite suite = suite_of(&vectors[i]);
		struct keymat k;

		memset(&k, 0xA5, sizeof(k));
		assert_int_equal(expand(&suite, &k), 0);
		assert_hex(k.auth, k.auth_bytes, vectors[i].auth);
		assert_hex(k.enc, k.enc_bytes, vectors[i].enc);
	}
}

static void octets_that_are_not_in_use_are_zero(void **state)
{
	const uint8_t zero[KEYMAT_ENC_BYTES] = {0};

	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		struct ipsec_suite suite = suite_of(&vectors[i]);
		struct keymat k;

		memset(&k, 0xA5, sizeof(k));
		assert_int_equal(expand(&suite, &k), 0);
		assert_memory_equal(k.auth + k.auth_bytes, zero, sizeof(k.auth) - k.auth_bytes);
		assert_memory_equal(k.enc + k.enc_bytes, zero, sizeof(k.enc) - k.enc_bytes);
	}
}

static void the_salt_is_the_end_of_the_kdf_output_not_its_start(void **state)
{
	const struct ipsec_suite gmac = {IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL, IPSEC_PROT_ESP,
					 IPSEC_MOD_TRANS};
	const struct ipsec_suite gcm = {IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP,
					IPSEC_MOD_TRANS};
	const uint8_t gmac_start[] = {0xde, 0x2d, 0x8f, 0xa4};
	const uint8_t gcm_start[] = {0x99, 0x02, 0x08, 0xb8};
	struct keymat k;

	(void)state;
	assert_int_equal(expand(&gmac, &k), 0);
	assert_memory_not_equal(k.enc + 16, gmac_start, 4);
	assert_hex(k.enc + 16, 4, "dbc2b1c2");
	assert_int_equal(expand(&gcm, &k), 0);
	assert_memory_not_equal(k.enc + 16, gcm_start, 4);
	assert_hex(k.enc + 16, 4, "89273db6");
}

/* CK first, as in TS 33.203 Annex I; and the whole KDF output, to know that the example is right */
static void the_kdf_key_is_CK_then_IK(void **state)
{
	uint8_t key[32], out[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	(void)state;
	assert_int_equal(text_from_hex(span_of(CK_HEX IK_HEX), key, 32), 0);
	assert_non_null(HMAC(EVP_sha256(), key, 32, (const uint8_t *)"\x58" "AES_GMAC_SALT\0\r",
			     16, out, &n));
	assert_hex(out, n, "de2d8fa4a81e8872bed63550622ea1e4b741f4e0ef633fa3ecbf4e12dbc2b1c2");
	assert_non_null(HMAC(EVP_sha256(), key, 32, (const uint8_t *)"\x59" "AES_GCM_SALT\0\f",
			     15, out, &n));
	assert_hex(out, n, "990208b8e98def9647b3267bbc4fb85ba56472b9fe616bae6ed8e3d589273db6");
}

static void triple_des_keys_have_odd_parity_and_repeat_the_first_part(void **state)
{
	const struct ipsec_suite suite = {IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_DES_EDE3_CBC,
					  IPSEC_PROT_ESP, IPSEC_MOD_TRANS};
	uint8_t ck[KEYMAT_AKA_BYTES], ik[KEYMAT_AKA_BYTES] = {0};
	struct keymat k;

	(void)state;
	for (int first = 0; first < 256; first += KEYMAT_AKA_BYTES) {
		for (int i = 0; i < KEYMAT_AKA_BYTES; i++)
			ck[i] = (uint8_t)(first + i);
		assert_int_equal(keymat_expand(&suite, ck, ik, &k), 0);
		for (int i = 0; i < 24; i++) {
			assert_int_equal(__builtin_popcount(k.enc[i]) % 2, 1);
			assert_int_equal(k.enc[i] & 0xFE, ck[i % 16] & 0xFE);
		}
	}
}

static void ah_needs_the_hmac_key_alone(void **state)
{
	const struct ipsec_suite suite = {IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL, IPSEC_PROT_AH,
					  IPSEC_MOD_TRANS};
	struct keymat k;

	(void)state;
	assert_int_equal(expand(&suite, &k), 0);
	assert_hex(k.auth, k.auth_bytes, SHA1_KEY);
	assert_int_equal(k.enc_bytes, 0);
}

static void assert_wiped(const struct keymat *k)
{
	const struct keymat zero = {0};

	assert_memory_equal(k->auth, zero.auth, sizeof(zero.auth));
	assert_memory_equal(k->enc, zero.enc, sizeof(zero.enc));
	assert_int_equal(k->auth_bytes, 0);
	assert_int_equal(k->enc_bytes, 0);
}

static void an_illegal_combination_gets_no_keys(void **state)
{
	static const struct ipsec_suite bad[] = {
		{IPSEC_ALG_NULL, IPSEC_EALG_NULL, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		{IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		{IPSEC_ALG_AES_GMAC, IPSEC_EALG_AES_CBC, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		{IPSEC_ALG_UNKNOWN, IPSEC_EALG_NULL, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
		{IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_UNKNOWN, IPSEC_PROT_ESP, IPSEC_MOD_TRANS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct keymat k;

		memset(&k, 0xA5, sizeof(k));
		assert_int_equal(expand(&bad[i], &k), -EINVAL);
		assert_wiped(&k);
	}
}

static void wiping_leaves_nothing(void **state)
{
	struct keymat k;

	(void)state;
	memset(&k, 0xA5, sizeof(k));
	keymat_wipe(&k);
	assert_wiped(&k);
}

/* ---- ESP, RFC 4303, only as far as the vectors need it ---- */

/* "SIP!", padding 1, 2, 3... up to a multiple of @block, its length, next header 17 */
static size_t put_payload(uint8_t *p, size_t block)
{
	size_t n = 4;
	uint8_t pad = 0;

	memcpy(p, "SIP!", 4);
	while ((n + 2) % block)
		p[n++] = ++pad;
	p[n++] = pad;
	p[n++] = 17;
	return n;
}

/* @packet: SPI, sequence, 8 octets IV already there; RFC 4106, or RFC 4543 when @gmac */
static size_t seal_aead(uint8_t *packet, const struct keymat *k, bool gmac)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12];
	size_t n = 16;
	int out;

	memcpy(nonce, k->enc + 16, 4);
	memcpy(nonce + 4, packet + 8, 8);
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, k->enc, nonce), 1);
	if (gmac)
		n += put_payload(packet + n, 4);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &out, packet, gmac ? (int)n : 8), 1);
	if (!gmac) {
		uint8_t plain[32];
		int bytes = (int)put_payload(plain, 4);

		assert_int_equal(EVP_EncryptUpdate(ctx, packet + n, &out, plain, bytes), 1);
		n += (size_t)bytes;
	}
	assert_int_equal(EVP_EncryptFinal_ex(ctx, packet + n, &out), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, packet + n), 1);
	EVP_CIPHER_CTX_free(ctx);
	return n + 16;
}

static size_t put_cbc(uint8_t *packet, size_t n, const struct keymat *k, const EVP_CIPHER *cipher)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t block = (size_t)EVP_CIPHER_get_block_size(cipher);
	uint8_t plain[64];
	int out, bytes = (int)put_payload(plain, block);

	assert_int_equal(EVP_CIPHER_get_key_length(cipher), k->enc_bytes);
	for (size_t i = 0; i < block; i++)
		packet[n + i] = (uint8_t)i;
	assert_int_equal(EVP_EncryptInit_ex(ctx, cipher, NULL, k->enc, packet + n), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	assert_int_equal(EVP_EncryptUpdate(ctx, packet + n + block, &out, plain, bytes), 1);
	EVP_CIPHER_CTX_free(ctx);
	return n + block + (size_t)bytes;
}

static size_t seal_hmac(uint8_t *packet, const struct keymat *k, const struct vector *v)
{
	const EVP_MD *md = v->alg == IPSEC_ALG_HMAC_MD5_96 ? EVP_md5() : EVP_sha1();
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned int mac_bytes;
	size_t n = 8;

	if (v->ealg == IPSEC_EALG_NULL)
		n += put_payload(packet + n, 4);
	else
		n = put_cbc(packet, n, k, v->ealg == IPSEC_EALG_AES_CBC ? EVP_aes_128_cbc()
									 : EVP_des_ede3_cbc());
	assert_non_null(HMAC(md, k->auth, (int)k->auth_bytes, packet, n, mac, &mac_bytes));
	memcpy(packet + n, mac, 12);
	return n + 12;
}

static void packets_sealed_with_these_keys_are_the_expected_ones(void **state)
{
	size_t checked = 0;

	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		const struct vector *v = &vectors[i];
		struct ipsec_suite suite = suite_of(v);
		uint8_t packet[128] = {0x10, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
		struct keymat k;
		size_t n;

		if (!v->packet)
			continue;
		assert_int_equal(expand(&suite, &k), 0);
		if (k.auth_bytes)
			n = seal_hmac(packet, &k, v);
		else
			n = seal_aead(packet, &k, v->alg == IPSEC_ALG_AES_GMAC);
		assert_hex(packet, n, v->packet);
		checked++;
	}
	assert_int_equal(checked, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_suite_gets_the_keys_of_annex_I),
		cmocka_unit_test(octets_that_are_not_in_use_are_zero),
		cmocka_unit_test(the_salt_is_the_end_of_the_kdf_output_not_its_start),
		cmocka_unit_test(the_kdf_key_is_CK_then_IK),
		cmocka_unit_test(triple_des_keys_have_odd_parity_and_repeat_the_first_part),
		cmocka_unit_test(ah_needs_the_hmac_key_alone),
		cmocka_unit_test(an_illegal_combination_gets_no_keys),
		cmocka_unit_test(wiping_leaves_nothing),
		cmocka_unit_test(packets_sealed_with_these_keys_are_the_expected_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
