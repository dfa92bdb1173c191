/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table: what Wireshark (4.0 and later) calls our algorithms in its preference "ESP SAs", kept
 * in the file esp_sa. Pure.
 *
 * It takes an AEAD for encryption without authentication, with the salt behind the key as the
 * kernel has it. It knows no AES-GMAC: under any other name it would take the IV for data. AH does
 * not encrypt, and Wireshark does not check it.
 */
#include "daemon/wireshark.h"
#include "proto/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const NAMES[XFRM_ALGO_COUNT] = {
	[XFRM_ALGO_NONE] = "NULL",
	[XFRM_HMAC_MD5] = "HMAC-MD5-96 [RFC2403]",
	[XFRM_HMAC_SHA1] = "HMAC-SHA-1-96 [RFC2404]",
	[XFRM_CIPHER_NULL] = "NULL",
	[XFRM_CBC_DES3] = "TripleDES-CBC [RFC2451]",
	[XFRM_CBC_AES] = "AES-CBC [RFC3602]",
	[XFRM_GCM_AES] = "AES-GCM with 16 octet ICV [RFC4106]",
};

#define KEY_TEXT_BYTES (2 + 2 * XFRM_MAX_KEY_BYTES + 1)

/* "" for no key. */
static void key_text(const struct xfrm_key *key, char ret[static KEY_TEXT_BYTES])
{
	const size_t bytes = xfrm_algo_info(key->algo)->key_bytes;

	memcpy(ret, "0x", 3);
	text_to_hex(key->bytes, bytes, ret + 2);
	if (!bytes)
		ret[0] = '\0';
}

static const char *why_not(const struct xfrm_sa *sa, const struct xfrm_sa_keys *keys)
{
	if (sa->id.proto != IPPROTO_ESP)
		return "AH encrypts nothing, and Wireshark does not check it";
	if (!NAMES[keys->auth.algo] || !NAMES[keys->enc.algo])
		return "AES-GMAC encrypts nothing, and Wireshark has no name for it";
	return NULL;
}

int wireshark_esp_sa(const struct xfrm_sa *sa, const struct xfrm_sa_keys *keys,
		     char ret[static WIRESHARK_LINE_BYTES], const char **ret_why)
{
	char src[IP_TEXT_BYTES], dst[IP_TEXT_BYTES], enc[KEY_TEXT_BYTES], auth[KEY_TEXT_BYTES];
	const char *why = why_not(sa, keys);

	if (why) {
		*ret_why = why;
		return -EOPNOTSUPP;
	}
	key_text(&keys->enc, enc);
	key_text(&keys->auth, auth);
	snprintf(ret, WIRESHARK_LINE_BYTES,
		 "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\",\"%s\",\"%s\",\"%s\"",
		 sa->id.dst.family == AF_INET6 ? "IPv6" : "IPv4", ip_format(&sa->src, src),
		 ip_format(&sa->id.dst, dst), sa->id.spi, NAMES[keys->enc.algo], enc,
		 NAMES[keys->auth.algo], auth);
	explicit_bzero(enc, sizeof(enc));
	explicit_bzero(auth, sizeof(auth));
	return 0;
}
