/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the requests that the phone sends: the REGISTERs of TS 24.229 with their security headers
 * and, where a fault is asked for, with exactly that fault; OPTIONS, MESSAGE and what belongs to a
 * call, for trying a registration out.
 *
 * Text only: which link a request takes, and what its answer means, is reg.c.
 */
#include "tests/ue/register.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "tests/ue/call.h"
#include "tests/ue/event.h"

/* TS 24.229 5.1.1.2: in clear the address alone counts; under protection port_us. */
static void put_via(struct sip_text *t, const struct ue *ue, const struct ue_set *over,
		    enum net_kind transport, const char *branch)
{
	const struct ue_options *o = &ue->options;
	const struct ip *ip = over ? &o->public_address : &o->via_address;
	bool nat = !ip_equal(&o->local, &o->via_address) ||
		   !ip_equal(&o->local, &o->public_address);
	uint16_t clear_port = ue->reg.clear_link >= 0
				      ? ue->net.links[ue->reg.clear_link].local_port
				      : o->clear_port;
	char text[IP_TEXT_BYTES];

	sip_put(t, "Via: SIP/2.0/%s %s:%u;branch=%s%s\r\n", transport == NET_TCP ? "TCP" : "UDP",
		ip_text(ip, text), over ? ue->sets.port_us : clear_port, branch,
		!over && nat ? ";rport" : "");
}

/* What stands between "sip:" and "@", "ue" when nothing does. */
static struct span user_part(const char *impu)
{
	const char *start = strchr(impu, ':');
	const char *at = strchr(impu, '@');

	if (!start || !at || at <= start + 1)
		return span_of("ue");
	return (struct span){start + 1, (size_t)(at - start - 1)};
}

void put_contact(struct sip_text *t, const struct ue *ue, const char *params)
{
	struct span user = user_part(ue->options.impu);
	char text[IP_TEXT_BYTES];

	sip_put(t, "Contact: <sip:%.*s@%s:%u%s>%s\r\n", (int)user.n, user.p,
		ip_text(&ue->options.public_address, text), ue->sets.port_us,
		ue->options.transport == NET_TCP ? ";transport=tcp" : "", params);
}

/* RFC 3310 3.4: with auts the password is empty. */
static int response_of(struct ue *ue, const struct register_way *way, const char *uri,
		       const char *nc, const char *cnonce, char ret[DIGEST_HEX_BYTES])
{
	const struct digest_challenge *c = &ue->reg.challenge;
	char ha1[DIGEST_HEX_BYTES];
	int r = 0;

	memcpy(ha1, ue->reg.ha1, sizeof(ha1));
	if (way->answer == ANSWER_AUTS)
		r = digest_ha1(ue->options.impi, c->realm, (const uint8_t *)"", 0, ha1);
	if (r == 0)
		r = digest_response(ha1, c->nonce, nc, cnonce, "REGISTER", uri, ret);
	OPENSSL_cleanse(ha1, sizeof(ha1));
	if (r == 0 && way->answer == ANSWER_RESPONSE && ue->options.fault == FAULT_WRONG_RES)
		ret[0] = ret[0] == '0' ? '1' : '0';
	return r;
}

static void put_auts(struct sip_text *t, const uint8_t auts[AKA_AUTS_BYTES])
{
	uint8_t text[AKA_AUTS_BYTES * 2];

	EVP_EncodeBlock(text, auts, AKA_AUTS_BYTES);
	sip_put(t, ", auts=\"%s\"", (const char *)text);
}

static int put_digest(struct sip_text *t, struct ue *ue, const struct register_way *way,
		      const char *uri)
{
	const struct digest_challenge *c = &ue->reg.challenge;
	char response[DIGEST_HEX_BYTES] = "", cnonce[17] = "", nc[9] = "";
	int r = 0;

	if (c->qop_auth) {
		snprintf(nc, sizeof(nc), "%08x", ++ue->reg.nonce_count);
		if (random_hex(cnonce, 8) < 0)
			return -EIO;
	}
	if (way->answer != ANSWER_REFUSAL)
		r = response_of(ue, way, uri, c->qop_auth ? nc : NULL,
				c->qop_auth ? cnonce : NULL, response);
	if (r < 0)
		return r;
	sip_put(t, ", nonce=\"%s\", response=\"%s\", algorithm=%s", c->nonce, response,
		c->algorithm);
	if (c->opaque[0])
		sip_put(t, ", opaque=\"%s\"", c->opaque);
	if (c->qop_auth)
		sip_put(t, ", qop=auth, nc=%s, cnonce=\"%s\"", nc, cnonce);
	if (way->answer == ANSWER_AUTS)
		put_auts(t, way->auts);
	return 0;
}

/* TS 24.229 5.1.1.2.2: always there, even before any challenge, since it names the IMPI. */
static int put_authorization(struct sip_text *t, struct ue *ue, const struct register_way *way,
			     const char *uri)
{
	bool wrong = way->answer == ANSWER_RESPONSE && ue->options.fault == FAULT_WRONG_IMPI;
	bool repeats = way->over && ue->reg.ha1[0];
	int r = 0;

	sip_put(t, "Authorization: Digest username=\"%s%s\", realm=\"%s\", uri=\"%s\"",
		wrong ? "wrong-" : "", ue->options.impi,
		ue->reg.challenge.realm[0] ? ue->reg.challenge.realm : ue->options.realm, uri);
	if (way->answer == ANSWER_NONE && !repeats)
		sip_put(t, ", nonce=\"\", response=\"\"");
	else
		r = put_digest(t, ue, way, uri);
	sip_put(t, "\r\n");
	return r;
}

static void put_tags(struct sip_text *t)
{
	sip_put(t, "Require: sec-agree\r\nProxy-Require: sec-agree\r\n");
}

/* The fault: another last digit in the first port. */
static void put_wrong_verify(struct sip_text *t, const char *verify)
{
	const char *port = strstr(verify, "port");
	const char *digit = port ? strchr(port, '=') : NULL;

	if (!digit) {
		sip_put_header(t, "Security-Verify", span_of(verify));
		return;
	}
	digit += 1 + strspn(digit + 1, " \t");
	digit += strspn(digit, "0123456789") - 1;
	sip_put(t, "Security-Verify: %.*s%c%s\r\n", (int)(digit - verify), verify,
		*digit == '1' ? '2' : '1', digit + 1);
}

static void put_verify(struct sip_text *t, const struct ue *ue, const struct ue_set *set,
		       bool second)
{
	enum ue_fault fault = second ? ue->options.fault : FAULT_NONE;

	if (!set->security_verify || fault == FAULT_NO_VERIFY)
		return;
	if (fault == FAULT_WRONG_VERIFY)
		put_wrong_verify(t, set->security_verify);
	else
		sip_put_header(t, "Security-Verify", span_of(set->security_verify));
}

static int put_client(struct sip_text *t, const struct ue *ue, const struct ue_set *offered,
		      bool second)
{
	struct ue_set set = *offered;
	char value[8192];

	if (second && ue->options.fault == FAULT_NO_CLIENT)
		return 0;
	if (second && ue->options.fault == FAULT_WRONG_CLIENT)
		set.ours.spi_c = set.ours.spi = set.ours.spi_c ^ 0x10000;
	if (set_security_client(&ue->sets, &set, value, sizeof(value)) < 0)
		return -ENOSPC;
	sip_put_header(t, "Security-Client", span_of(value));
	return 0;
}

static int put_security(struct sip_text *t, struct ue *ue, const struct register_way *way)
{
	bool second = way->answer == ANSWER_RESPONSE;
	const struct ue_set *verify = second ? way->offered : way->over;
	int r = 0;

	if (!second && !way->over && ue->options.fault == FAULT_NO_SEC_AGREE)
		return 0;
	put_tags(t);
	if (way->offered)
		r = put_client(t, ue, way->offered, second);
	if (verify)
		put_verify(t, ue, verify, second);
	return r;
}

static int finish(const struct sip_text *t, int r)
{
	if (r == 0 && t->full)
		r = -ENOSPC;
	return r;
}

int register_write(struct ue *ue, const struct register_way *way, const char *branch,
		   struct sip_text *ret)
{
	const struct ue_options *o = &ue->options;
	uint32_t expires_s = ue->reg.aim == REG_DEREGISTER ? 0 : ue->reg.expires_s;
	char uri[OPTIONS_WORD_BYTES + 8], params[64];
	int r;

	ret->n = 0;
	ret->full = false;
	snprintf(uri, sizeof(uri), "sip:%s", o->realm);
	snprintf(params, sizeof(params), ";expires=%u", expires_s);
	sip_put(ret, "REGISTER %s SIP/2.0\r\n", uri);
	put_via(ret, ue, way->over, way->over ? o->transport : o->clear_transport, branch);
	sip_put(ret, "Max-Forwards: 70\r\n");
	sip_put(ret, "From: <%s>;tag=%s\r\nTo: <%s>\r\n", o->impu, ue->reg.tag, o->impu);
	sip_put(ret, "Call-ID: %s\r\nCSeq: %u REGISTER\r\n", ue->reg.call_id, ++ue->reg.cseq);
	put_contact(ret, ue, params);
	sip_put(ret, "Expires: %u\r\n", expires_s);
	r = put_authorization(ret, ue, way, uri);
	if (r == 0)
		r = put_security(ret, ue, way);
	sip_put(ret, "Supported: path%s\r\n",
		o->fault == FAULT_NO_SEC_AGREE ? "" : ", sec-agree");
	if (o->access_network[0])
		sip_put(ret, "P-Access-Network-Info: %s\r\n", o->access_network);
	sip_put(ret, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE\r\n");
	sip_put(ret, "User-Agent: secagree-ue\r\n");
	sip_put_body(ret, NULL, NULL);
	return finish(ret, r);
}

/* TS 24.229 5.1.2A.1.1: the P-CSCF at its protected port, then what Service-Route said. */
static void put_routes(struct sip_text *t, const struct ue *ue, const struct ue_set *set)
{
	char text[IP_TEXT_BYTES];

	sip_put(t, "Route: <sip:%s:%u;lr>\r\n", ip_text(&ue->options.pcscf, text),
		set->server_port);
	if (ue->reg.service_route[0])
		sip_put(t, "Route: %s\r\n", ue->reg.service_route);
}

/* ACK and CANCEL have no answer of their own that could refuse them (RFC 3329 2.3.1), and the CSeq
 * of their INVITE. */
static bool follows_invite(const char *method)
{
	return strcmp(method, "ACK") == 0 || strcmp(method, "CANCEL") == 0;
}

static void put_protected(struct sip_text *t, const struct ue *ue, const struct ue_set *set,
			  const struct ue_request *request)
{
	if (follows_invite(request->method))
		return;
	put_tags(t);
	put_verify(t, ue, set, false);
	if (!*request->dialog->routes)
		sip_put(t, "P-Preferred-Identity: <%s>\r\n", ue->options.impu);
	if (strcmp(request->method, "MESSAGE") != 0 && strcmp(request->method, "BYE") != 0)
		put_contact(t, ue, "");
}

static void put_request_body(struct sip_text *t, const struct ue *ue,
			     const struct ue_request *request)
{
	static struct sip_text sdp;

	if (request->has_offer)
		put_sdp_offer(ue, &sdp);
	if (request->has_offer)
		sip_put_body(t, "application/sdp", sdp.p);
	else
		sip_put_body(t, request->text ? "text/plain" : NULL, request->text);
}

static void put_request(struct sip_text *t, struct ue *ue, const struct ue_set *set,
			const struct ue_request *request)
{
	const struct dialog *d = request->dialog;

	sip_put(t, "%s %s SIP/2.0\r\n", request->method, request->uri);
	put_via(t, ue, set, request->transport, request->branch);
	sip_put(t, "Max-Forwards: 70\r\n");
	if (*d->routes)
		sip_put(t, "%s", d->routes);
	else if (set)
		put_routes(t, ue, set);
	sip_put(t, "From: <%s>;tag=%s\r\nTo: %s\r\n", ue->options.impu, d->tag, d->remote);
	sip_put(t, "Call-ID: %s\r\nCSeq: %u %s\r\n", d->call_id,
		follows_invite(request->method) ? 1 : d->cseq, request->method);
	if (set)
		put_protected(t, ue, set, request);
	sip_put(t, "User-Agent: secagree-ue\r\n");
	put_request_body(t, ue, request);
}

int request_write(struct ue *ue, const struct ue_set *set, const struct ue_request *request,
		  struct sip_text *ret)
{
	struct ue_request whole = *request;
	struct dialog fresh;
	int r = 0;

	if (!whole.dialog) {
		r = dialog_begin(&fresh, request->uri);
		whole.dialog = &fresh;
	}
	if (r < 0)
		return r;
	ret->n = 0;
	ret->full = false;
	put_request(ret, ue, set, &whole);
	return finish(ret, 0);
}
