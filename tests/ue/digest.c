/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digest authentication for a phone: reads a challenge, computes a response.
 *
 * The challenge is read from the raw header text, since SIP parsers drop the directives that they
 * do not know (ck, ik, auts). Unknown directives are passed over; values are kept unquoted.
 * Only MD5 and qop "auth" are spoken, which is what IMS AKA uses; auth-int is not.
 * No state: the nonce count lives with the caller.
 */
#include "tests/ue/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

static void skip(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static struct span take_token(struct span *s)
{
	const struct span token = {s->p, text_token(*s)};

	skip(s, token.n);
	return token;
}

/* @s starts behind the opening quote. Escapes are undone. */
static int take_quoted(struct span *s, char *ret, size_t cap)
{
	size_t n = 0;

	while (s->n > 0 && *s->p != '"') {
		if (*s->p == '\\' && s->n > 1)
			skip(s, 1);
		if (n + 1 >= cap)
			return -EINVAL;
		ret[n++] = *s->p;
		skip(s, 1);
	}
	if (s->n == 0)
		return -EINVAL;
	skip(s, 1);
	ret[n] = '\0';
	return 0;
}

static int take_value(struct span *s, char *ret, size_t cap)
{
	struct span token;

	if (s->n > 0 && *s->p == '"') {
		skip(s, 1);
		return take_quoted(s, ret, cap);
	}
	token = take_token(s);
	if (token.n == 0 || token.n >= cap)
		return -EINVAL;
	memcpy(ret, token.p, token.n);
	ret[token.n] = '\0';
	return 0;
}

/* RFC 2617 3.2.1: qop-options is a comma list inside one quoted string */
static void read_qop(struct digest_challenge *challenge, const char *value)
{
	struct span s = span_of(value);

	while (s.n > 0) {
		struct span token = take_token(&s);

		if (span_is(token, "auth"))
			challenge->qop_auth = true;
		if (token.n == 0)
			skip(&s, 1);
	}
	challenge->qop_other = !challenge->qop_auth;
}

static int keep(char *to, size_t cap, const char *value)
{
	size_t n = strlen(value);

	if (n >= cap)
		return -EINVAL;
	memcpy(to, value, n + 1);
	return 0;
}

static int read_directive(struct digest_challenge *c, struct span name, const char *value)
{
	if (span_is(name, "realm"))
		return keep(c->realm, sizeof(c->realm), value);
	if (span_is(name, "nonce"))
		return keep(c->nonce, sizeof(c->nonce), value);
	if (span_is(name, "opaque"))
		return keep(c->opaque, sizeof(c->opaque), value);
	if (span_is(name, "algorithm"))
		return keep(c->algorithm, sizeof(c->algorithm), value);
	if (span_is(name, "qop"))
		read_qop(c, value);
	else if (span_is(name, "ck"))
		c->has_ck = true;
	else if (span_is(name, "ik"))
		c->has_ik = true;
	return 0;
}

static int take_directive(struct span *s, struct digest_challenge *challenge)
{
	char value[DIGEST_WORD_BYTES];
	struct span name = take_token(s);
	int r;

	skip(s, text_sws(*s));
	if (name.n == 0 || s->n == 0 || *s->p != '=')
		return -EINVAL;
	skip(s, 1);
	skip(s, text_sws(*s));
	r = take_value(s, value, sizeof(value));
	if (r == 0)
		r = read_directive(challenge, name, value);
	/* a ck or an ik may have been in it */
	OPENSSL_cleanse(value, sizeof(value));
	skip(s, text_sws(*s));
	return r;
}

int digest_challenge_parse(struct span value, struct digest_challenge *ret)
{
	struct digest_challenge c = {.realm = ""};

	skip(&value, text_sws(value));
	if (!span_is(take_token(&value), "Digest"))
		return -ENOENT;
	skip(&value, text_sws(value));
	while (value.n > 0) {
		if (take_directive(&value, &c) < 0)
			return -EINVAL;
		if (value.n == 0)
			break;
		if (*value.p != ',')
			return -EINVAL;
		skip(&value, 1);
		skip(&value, text_sws(value));
	}
	if (c.realm[0] == '\0' || c.nonce[0] == '\0')
		return -EINVAL;
	if (c.algorithm[0] == '\0')
		memcpy(c.algorithm, "MD5", sizeof("MD5"));
	*ret = c;
	return 0;
}

static int base64_decode(const char *text, uint8_t *ret, size_t cap)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	size_t len = strlen(text);
	int n = 0, tail = 0;
	int r = -EINVAL;

	if (!ctx || len / 4 * 3 > cap)
		goto out;
	EVP_DecodeInit(ctx);
	if (EVP_DecodeUpdate(ctx, ret, &n, (const uint8_t *)text, (int)len) >= 0 &&
	    EVP_DecodeFinal(ctx, ret + n, &tail) == 1)
		r = n + tail;
out:
	EVP_ENCODE_CTX_free(ctx);
	return r;
}

int digest_nonce_to_aka(const char *nonce, uint8_t ret_rand[AKA_RAND_BYTES],
			uint8_t ret_autn[AKA_AUTN_BYTES])
{
	uint8_t bytes[DIGEST_WORD_BYTES];
	int n = base64_decode(nonce, bytes, sizeof(bytes));

	if (n < AKA_RAND_BYTES + AKA_AUTN_BYTES)
		return -EINVAL;
	memcpy(ret_rand, bytes, AKA_RAND_BYTES);
	memcpy(ret_autn, bytes + AKA_RAND_BYTES, AKA_AUTN_BYTES);
	return 0;
}

/* H over the spans, nothing between them. */
static int md5_hex(const struct span *parts, size_t count, char ret[DIGEST_HEX_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1;

	for (size_t i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, md, &n) == 1 && n == 16;
	for (unsigned int i = 0; ok && i < 16; i++)
		snprintf(ret + 2 * i, 3, "%02x", md[i]);
	EVP_MD_CTX_free(ctx);
	OPENSSL_cleanse(md, sizeof(md));
	return ok ? 0 : -EIO;
}

int digest_ha1(const char *username, const char *realm, const uint8_t *password,
	       size_t password_bytes, char ret_ha1[DIGEST_HEX_BYTES])
{
	const struct span colon = span_of(":");
	const struct span parts[] = {span_of(username), colon, span_of(realm), colon,
				     {(const char *)password, password_bytes}};

	return md5_hex(parts, sizeof(parts) / sizeof(parts[0]), ret_ha1);
}

int digest_response(const char *ha1, const char *nonce, const char *nc, const char *cnonce,
		    const char *method, const char *uri, char ret_response[DIGEST_HEX_BYTES])
{
	const struct span colon = span_of(":");
	const struct span a2[] = {span_of(method), colon, span_of(uri)};
	struct span parts[11] = {span_of(ha1), colon, span_of(nonce), colon};
	size_t count = 4;
	char ha2[DIGEST_HEX_BYTES];
	int r = md5_hex(a2, sizeof(a2) / sizeof(a2[0]), ha2);

	if (r < 0)
		return r;
	if (nc && cnonce) {
		parts[count++] = span_of(nc);
		parts[count++] = colon;
		parts[count++] = span_of(cnonce);
		parts[count++] = colon;
		parts[count++] = span_of("auth");
		parts[count++] = colon;
	}
	parts[count++] = span_of(ha2);
	return md5_hex(parts, count, ret_response);
}
