/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mechanism ipsec-3gpp: its parameters, in both dialects, and which combinations are legal.
 * TS 33.203 Annex H and TS 24.229 7.2A.7 (alg, ealg, prot, mod, spi-c, spi-s, port-c, port-s);
 * RFC 3329 Appendix A (alg, ealg, prot, mod, spi, port1, port2).
 */
#ifndef PROTO_IPSEC3GPP_H
#define PROTO_IPSEC3GPP_H

#include "sec_header.h"

enum ipsec_alg {
	IPSEC_ALG_HMAC_MD5_96,
	IPSEC_ALG_HMAC_SHA_1_96,
	IPSEC_ALG_AES_GMAC,
	IPSEC_ALG_NULL, /* only with aes-gcm */
	IPSEC_ALG_UNKNOWN,
};

enum ipsec_ealg {
	IPSEC_EALG_NULL,
	IPSEC_EALG_DES_EDE3_CBC,
	IPSEC_EALG_AES_CBC,
	IPSEC_EALG_AES_GCM,
	IPSEC_EALG_UNKNOWN,
};

enum ipsec_prot {
	IPSEC_PROT_ESP,
	IPSEC_PROT_AH,
	IPSEC_PROT_UNKNOWN,
};

enum ipsec_mod {
	IPSEC_MOD_TRANS,
	IPSEC_MOD_TUN,
	IPSEC_MOD_UDP_ENC_TUN,
	IPSEC_MOD_UNKNOWN,
};

/* One combination: what protects the packets, and how. */
struct ipsec_suite {
	enum ipsec_alg alg;
	enum ipsec_ealg ealg;
	enum ipsec_prot prot;
	enum ipsec_mod mod;
};

enum ipsec_dialect {
	IPSEC_DIALECT_24229,   /* spi-c spi-s port-c port-s: four SAs */
	IPSEC_DIALECT_RFC3329, /* spi port1 port2: one pair of SAs */
};

/* SPIs and ports of the side that wrote the header; numbers in host order.
 * TS 24.229: SPI and port of its protected client (c) and server (s) side.
 * RFC 3329: @spi and @port1 of its inbound SA, @port2 its source port; 0 = "from any port". */
struct ipsec_endpoint {
	enum ipsec_dialect dialect;
	uint32_t spi_c, spi_s;
	uint16_t port_c, port_s;
	uint32_t spi;
	uint16_t port1, port2;
};

struct ipsec_offer {
	struct ipsec_suite suite;
	struct span alg, ealg, prot, mod; /* as written (empty: a flag), or the default's name */
	int q_milli;                      /* -1 = none */
	const char *fault;                /* NULL, or why nobody can use this combination */
};

struct ipsec3gpp {
	struct ipsec_endpoint endpoint;
	struct ipsec_offer offers[SEC_MAX_MECHANISMS]; /* in the order of appearance */
	size_t offer_count;
	const char *warning; /* NULL, or what is odd but accepted (a port 5060 or 5061) */
};

/* Read the ipsec-3gpp entries of @header, which must outlive *@ret. TS 33.203 Annex H: alg is
 * mandatory; ealg, prot, mod default to null, esp, trans; an SPI has 1 to 10 digits and is not 0
 * (in a Security-Client not below 256 either: IANA's, RFC 4303 2.1); a port is 1..65535; spi-c and
 * spi-s differ and so do port-c and port-s; all entries repeat the same numbers in the same
 * dialect. With both dialects in one entry the -c/-s parameters count. RFC 3329 Appendix A: port2
 * may be missing, and may be equal to port1.
 * A combination that nobody can use makes its entry unusable, a bad number the whole header. An
 * entry of a Security-Server or -Verify with neither alg nor numbers is an advertisement (as in a
 * 494) and is passed over; so is every entry with a parameter mediasec.
 * Returns 0, -ENOENT (no such entry; @ret_error unchanged), -EINVAL (see @ret_error). */
int ipsec3gpp_read(const struct sec_header *header, enum sec_header_kind kind,
		   struct ipsec3gpp *ret, struct sec_error *ret_error);

/* NULL when @suite is a legal combination that a Linux kernel can carry, else why not, in words
 * (static). A suite with an UNKNOWN in it is not.
 * null/null never; null only with aes-gcm and the other way round; aes-gmac only with null
 * (RFC 4543); ah only with hmac and without encryption; UDP-enc-tun only with esp. */
const char *ipsec_suite_fault(const struct ipsec_suite *suite);

/* May the standard of this dialect use it? TS 33.203 knows esp with trans or UDP-enc-tun only;
 * RFC 3329 has esp and ah, trans and tun. A listener may be configured to serve more. */
bool ipsec_suite_in_profile(const struct ipsec_suite *suite, enum ipsec_dialect dialect);

bool ipsec_suite_known(const struct ipsec_suite *suite); /* no UNKNOWN in it */
bool ipsec_suite_encrypts(const struct ipsec_suite *suite);
bool ipsec_suite_equal(const struct ipsec_suite *a, const struct ipsec_suite *b);

/* Names as in the headers; "?" for UNKNOWN. And back, case folded, whole names only;
 * the UNKNOWN value when there is no such name. */
const char *ipsec_alg_name(enum ipsec_alg alg);
const char *ipsec_ealg_name(enum ipsec_ealg ealg);
const char *ipsec_prot_name(enum ipsec_prot prot);
const char *ipsec_mod_name(enum ipsec_mod mod);
enum ipsec_alg ipsec_alg_of(struct span name);
enum ipsec_ealg ipsec_ealg_of(struct span name);
enum ipsec_prot ipsec_prot_of(struct span name);
enum ipsec_mod ipsec_mod_of(struct span name);

/* Parts of a header value: ";alg=..;ealg=..;prot=..;mod=..", and the numbers in @endpoint's dialect. */
void ipsec3gpp_write_suite(struct text_out *out, const struct ipsec_suite *suite);
void ipsec3gpp_write_endpoint(struct text_out *out, const struct ipsec_endpoint *endpoint);

/* Write a header value: one ipsec-3gpp entry for each suite, in order, with distinct descending q
 * (0.9, 0.8, ...; 0.99, 0.98, ... for more than nine; none when @with_q is false) and the same
 * numbers in each, in @endpoint's dialect:
 * ipsec-3gpp;q=0.9;alg=..;ealg=..;prot=esp;mod=trans;spi-c=..;spi-s=..;port-c=..;port-s=..
 * ipsec-3gpp;q=0.9;alg=..;ealg=..;prot=esp;mod=trans;spi=..;port1=..;port2=.. (port2 unless 0)
 * @endpoint NULL: the same without numbers, for a 494.
 * @cap includes the NUL. Returns the length, -EINVAL (no suite, or more than 64) or -ENOSPC; on
 * failure @buf is "". */
int ipsec3gpp_write(const struct ipsec_endpoint *endpoint, const struct ipsec_suite *suites,
		    size_t suite_count, bool with_q, char *buf, size_t cap);

#endif
