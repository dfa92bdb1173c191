/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP Digest over a list of security mechanisms, RFC 3329 2.2 and 2.4.
 *
 * A d-ver is the request-digest of RFC 2617 with the text of Security-Server as one more part of
 * A2. The text is brought into one form first, since proxies and parsers split lines and move white
 * space; case and the order of parameters stay, because RFC 3329 allows no other change.
 *
 * Not done here: the credentials themselves (Authorization is the registrar's business), nonces and
 * their counts, and AKA, which only changes what the password is. MD5 comes from OpenSSL, which may
 * refuse it; that is an answer, not an abort. H(A1) and what is made of it is wiped.
 */
#include "proto/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MD5_BYTES 16
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 2617 3.2.1, RFC 3310, RFC 4169 */
static const struct {
	const char *name;
	enum digest_algorithm algorithm;
} algorithms[] = {
	{"", DIGEST_MD5},
	{"md5", DIGEST_MD5},
	{"akav1-md5", DIGEST_MD5},
	{"akav2-md5", DIGEST_MD5},
	{"md5-sess", DIGEST_MD5_SESS},
};

static const struct {
	const char *name;
	enum digest_qop qop;
} qops[] = {
	{"", DIGEST_QOP_NONE},
	{"auth", DIGEST_QOP_AUTH},
	{"auth-int", DIGEST_QOP_AUTH_INT},
};

enum digest_algorithm digest_algorithm_of(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		if (span_is(name, algorithms[i].name))
			return algorithms[i].algorithm;
	}
	return DIGEST_UNKNOWN;
}

enum digest_qop digest_qop_of(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(qops); i++) {
		if (span_is(name, qops[i].name))
			return qops[i].qop;
	}
	return DIGEST_QOP_UNKNOWN;
}

/* ---- the text of Security-Server ---- */

/* One line while it is written: where in it we are. */
struct line_state {
	bool in_entry; /* something of this entry has been written */
	bool space;    /* white space came since */
	bool quoted;
};

/* Write @n bytes of an entry. */
static void write_piece(struct text_out *out, struct line_state *state, const char *p, size_t n)
{
	if (state->in_entry && state->space)
		text_out_span(out, span_of(" "));
	text_out_span(out, (struct span){p, n});
	state->in_entry = true;
	state->space = false;
}

static void write_line(struct text_out *out, struct span line)
{
	struct line_state state = {.in_entry = false};

	for (size_t i = 0; i < line.n;) {
		size_t sws = text_sws((struct span){line.p + i, line.n - i});
		size_t n = state.quoted && line.p[i] == '\\' && i + 1 < line.n ? 2 : 1;

		if (sws) {
			state.space = true;
			i += sws;
			continue;
		}
		if (line.p[i] == ',' && !state.quoted) {
			text_out_span(out, span_of(", "));
			state = (struct line_state){.in_entry = false};
		} else {
			state.quoted ^= line.p[i] == '"';
			write_piece(out, &state, line.p + i, n);
		}
		i += n;
	}
}

int digest_server_text(const struct span *lines, size_t line_count, enum digest_text form,
		       char *buf, size_t cap)
{
	struct text_out out;

	text_out_init(&out, buf, cap);
	switch (form) {
	case DIGEST_WHOLE_FIELD:
		text_out_printf(&out, "%s: ", sec_header_name(SEC_SERVER));
		break;
	case DIGEST_VALUE_ONLY:
		break;
	}
	for (size_t i = 0; i < line_count; i++) {
		if (i)
			text_out_span(&out, span_of(", "));
		write_line(&out, lines[i]);
	}
	return text_out_end(&out);
}

/* ---- the digest ---- */

static void to_hex(const uint8_t md5[static MD5_BYTES], char ret[static DIGEST_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < MD5_BYTES; i++) {
		ret[2 * i] = digits[md5[i] >> 4];
		ret[2 * i + 1] = digits[md5[i] & 15];
	}
	ret[DIGEST_HEX_BYTES - 1] = '\0';
}

/* 1 when all went well, as OpenSSL has it. */
static int update(EVP_MD_CTX *ctx, const struct span *parts, size_t count)
{
	int ok = 1;

	for (size_t i = 0; ok == 1 && i < count; i++) {
		if (i)
			ok = EVP_DigestUpdate(ctx, ":", 1);
		if (ok == 1 && parts[i].n)
			ok = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
	}
	return ok;
}

/* H of @parts with colons between them, in hex. */
static int hash(const struct span *parts, size_t count, char ret[static DIGEST_HEX_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t md5[EVP_MAX_MD_SIZE];
	int r = -ENOSYS;

	if (!ctx)
		return -ENOMEM;
	if (EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && update(ctx, parts, count) == 1 &&
	    EVP_DigestFinal_ex(ctx, md5, NULL) == 1) {
		to_hex(md5, ret);
		r = 0;
	}
	OPENSSL_cleanse(md5, sizeof(md5));
	EVP_MD_CTX_free(ctx); /* clears its state */
	return r;
}

int digest_hash_a1(struct span user, struct span realm, struct span password,
		   char ret[static DIGEST_HEX_BYTES])
{
	const struct span parts[] = {user, realm, password};

	return hash(parts, COUNT_OF(parts), ret);
}

/* RFC 2617 3.2.2.2: the session's H(A1) is made from the password's. */
static int session_a1(const struct digest_input *input, const char *ha1,
		      char ret[static DIGEST_HEX_BYTES])
{
	const struct span parts[] = {span_of(ha1), input->nonce, input->cnonce};

	return hash(parts, COUNT_OF(parts), ret);
}

static int hash_a2(const struct digest_input *input, struct span server_text,
		   char ret[static DIGEST_HEX_BYTES])
{
	const struct span plain[] = {input->method, input->uri, server_text};
	char body[DIGEST_HEX_BYTES];
	int r;

	if (input->qop != DIGEST_QOP_AUTH_INT)
		return hash(plain, COUNT_OF(plain), ret);
	r = hash(&input->body, 1, body);
	if (r)
		return r;
	return hash((const struct span[]){input->method, input->uri, span_of(body), server_text},
		    4, ret);
}

/* KD(H(A1), ...): with nc, cnonce and qop where there is a qop. */
static int hash_all(const struct digest_input *input, const char *ha1, const char *ha2,
		    char ret[static DIGEST_HEX_BYTES])
{
	const struct span secret = span_of(ha1);
	const char *qop = input->qop == DIGEST_QOP_AUTH_INT ? "auth-int" : "auth";

	if (input->qop == DIGEST_QOP_NONE)
		return hash((const struct span[]){secret, input->nonce, span_of(ha2)}, 3, ret);
	return hash((const struct span[]){secret, input->nonce, input->nc, input->cnonce,
					  span_of(qop), span_of(ha2)}, 6, ret);
}

int digest_d_ver(const struct digest_input *input, const char *ha1, struct span server_text,
		 char ret[static DIGEST_HEX_BYTES])
{
	char session[DIGEST_HEX_BYTES];
	char ha2[DIGEST_HEX_BYTES];
	int r;

	if (input->qop == DIGEST_QOP_UNKNOWN || input->algorithm == DIGEST_UNKNOWN)
		return -EINVAL;
	r = hash_a2(input, server_text, ha2);
	if (r)
		return r;
	if (input->algorithm == DIGEST_MD5)
		return hash_all(input, ha1, ha2, ret);
	r = session_a1(input, ha1, session);
	if (!r)
		r = hash_all(input, session, ha2, ret);
	OPENSSL_cleanse(session, sizeof(session));
	return r;
}

static struct span without_quotes(struct span s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return (struct span){s.p + 1, s.n - 2};
	return s;
}

/* *@ret_same: is @d_ver, 32 digits, what comes of the list in this form? */
static int compare_form(const struct digest_input *input, const char *ha1,
			const struct span *lines, size_t line_count, enum digest_text form,
			const char *d_ver, bool *ret_same)
{
	char text[DIGEST_TEXT_BYTES];
	char expected[DIGEST_HEX_BYTES];
	int n = digest_server_text(lines, line_count, form, text, sizeof(text));
	int r;

	if (n < 0)
		return n;
	r = digest_d_ver(input, ha1, (struct span){text, (size_t)n}, expected);
	if (r)
		return r;
	*ret_same = CRYPTO_memcmp(expected, d_ver, DIGEST_HEX_BYTES - 1) == 0;
	OPENSSL_cleanse(expected, sizeof(expected));
	return 0;
}

int digest_d_ver_verify(const struct digest_input *input, const char *ha1,
			const struct span *lines, size_t line_count, bool value_only_too,
			struct span d_ver)
{
	bool whole = false, value = false;
	int r;

	d_ver = without_quotes(d_ver);
	if (d_ver.n != DIGEST_HEX_BYTES - 1)
		return -EBADMSG;
	r = compare_form(input, ha1, lines, line_count, DIGEST_WHOLE_FIELD, d_ver.p, &whole);
	if (!r && value_only_too)
		r = compare_form(input, ha1, lines, line_count, DIGEST_VALUE_ONLY, d_ver.p,
				 &value);
	if (r)
		return r;
	return whole || value ? 0 : -EBADMSG;
}

/* ---- d-alg and d-qop ---- */

void digest_replace(const struct sec_mechanism *entry, enum digest_algorithm *algorithm,
		    enum digest_qop *qop)
{
	const struct sec_param *d_alg = sec_mechanism_param(entry, "d-alg");
	const struct sec_param *d_qop = sec_mechanism_param(entry, "d-qop");

	if (d_alg)
		*algorithm = digest_algorithm_of(d_alg->value);
	if (d_qop)
		*qop = digest_qop_of(d_qop->value);
}

bool digest_agrees(const struct sec_mechanism *entry, enum digest_algorithm algorithm,
		   enum digest_qop qop)
{
	enum digest_algorithm our_algorithm = algorithm;
	enum digest_qop our_qop = qop;

	digest_replace(entry, &our_algorithm, &our_qop);
	return our_algorithm == algorithm && our_qop == qop && algorithm != DIGEST_UNKNOWN &&
	       qop != DIGEST_QOP_UNKNOWN;
}

struct span digest_d_ver_of(const struct sec_header *verify)
{
	for (size_t i = 0; i < verify->mechanism_count; i++) {
		const struct sec_mechanism *m = &verify->mechanisms[i];
		const struct sec_param *d_ver = sec_mechanism_param(m, "d-ver");

		if (d_ver && span_is(m->name, "digest"))
			return d_ver->value;
	}
	return (struct span){"", 0};
}
