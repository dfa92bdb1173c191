/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel calls each algorithm, and how long its key and ICV are.
 *
 * The kernel takes lengths in bits and names as text; both are wrong in silence when they are wrong
 * (hmac(sha1) without a truncation length means 96 bits to one kernel and 160 to another). So they
 * stand in one table, and every message takes them from there.
 *
 * Deliberately absent: which algorithms a phone may use, and how CK and IK become keys.
 */
#include "xfrm/xfrm.h"

/*
 * TS 33.203 Annex H; RFC 2403 and RFC 2404 (96 of 128 or 160 bits), RFC 2410, RFC 2451, RFC 3602,
 * RFC 4106 and RFC 4543 (128 bits of key and 32 bits of salt, ICV of 16 octets).
 */
static const struct xfrm_algo_info algos[XFRM_ALGO_COUNT] = {
	[XFRM_ALGO_NONE] = {XFRM_KIND_NONE, "", 0, 0},
	[XFRM_HMAC_MD5] = {XFRM_KIND_AUTH, "hmac(md5)", 16, 96},
	[XFRM_HMAC_SHA1] = {XFRM_KIND_AUTH, "hmac(sha1)", 20, 96},
	[XFRM_CIPHER_NULL] = {XFRM_KIND_CRYPT, "ecb(cipher_null)", 0, 0},
	[XFRM_CBC_DES3] = {XFRM_KIND_CRYPT, "cbc(des3_ede)", 24, 0},
	[XFRM_CBC_AES] = {XFRM_KIND_CRYPT, "cbc(aes)", 16, 0},
	[XFRM_GCM_AES] = {XFRM_KIND_AEAD, "rfc4106(gcm(aes))", 20, 128},
	[XFRM_GMAC_AES] = {XFRM_KIND_AEAD, "rfc4543(gcm(aes))", 20, 128},
};

const struct xfrm_algo_info *xfrm_algo_info(enum xfrm_algo_id id)
{
	return &algos[(unsigned int)id < XFRM_ALGO_COUNT ? id : XFRM_ALGO_NONE];
}
