/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registration, TS 24.229 5.1.1 and TS 33.203 7.4.1a.
 *
 * One REGISTER at a time: the first without an answer (in clear, or over the set in use), then,
 * after a 401, the second over a new set, made from the challenge and the P-CSCF's list. A 200 to
 * the second makes the new set current. What it replaces is dropped at once when the first was
 * unprotected; else it is still received on until T1 after something more came over the new set, at
 * most --old-set seconds. A 200 to the first keeps the set in use and drops the offered one. A
 * failure never touches the current set. A list that nothing of ours can be started from ends the
 * attempt.
 *
 * The time to renew and the end of the registration are kept here. Building the text is
 * register.c, the sets are set.c.
 */
#include "tests/ue/reg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "tests/ue/agreement.h"
#include "tests/ue/event.h"
#include "tests/ue/register.h"

#define MAX_REFUSALS 2

static const char *aim_name(enum reg_aim aim)
{
	switch (aim) {
	case REG_REGISTER:
		return "register";
	case REG_REREGISTER:
		return "reregister";
	case REG_DEREGISTER:
		return "deregister";
	}
	return "?";
}

void reg_init(struct reg *reg, uint32_t expires_s)
{
	memset(reg, 0, sizeof(*reg));
	reg->clear_link = -1;
	reg->expires_s = expires_s;
	reg->renew_ms = INT64_MAX;
	reg->expire_ms = INT64_MAX;
}

void reg_wipe(struct reg *reg)
{
	OPENSSL_cleanse(reg->ha1, sizeof(reg->ha1));
}

static void on_response(void *ctx, const struct sip_message *response,
			const struct net_source *from);

static int clear_link(struct ue *ue)
{
	const struct ue_options *o = &ue->options;

	if (ue->reg.clear_link >= 0)
		return ue->reg.clear_link;
	if (o->clear_transport == NET_TCP)
		ue->reg.clear_link = net_connect(&ue->net, &o->local, 0, &o->pcscf, o->pcscf_port,
						 NET_CLEAR, 0);
	else
		ue->reg.clear_link =
			net_open_udp(&ue->net, &o->local, o->clear_port, NET_CLEAR, 0);
	return ue->reg.clear_link;
}

int reg_start_txn(struct ue *ue, const struct sip_text *text, const char *branch,
		  const char *method, int link, uint16_t port, txn_done *done)
{
	const struct txn_request request = {
		.text = {text->p, text->n},
		.branch = branch,
		.method = method,
		.link = link,
		.to = ue->options.pcscf,
		.port = port,
		.done = done,
	};

	return link < 0 ? link : txn_start(&ue->txns, &request);
}

static bool goes_in_clear(const struct ue *ue, const struct register_way *way)
{
	return !way->over || (way->answer == ANSWER_RESPONSE &&
			      ue->options.fault == FAULT_CLEAR_ANSWER);
}

static void tell_sent(const struct ue *ue, const struct register_way *way, bool clear, int link)
{
	static const char *const answers[] = {"none", "response", "auts", "refusal"};

	event_print("sent", "method=REGISTER aim=%s transport=%s protected=%s set=%d cseq=%u "
		    "answer=%s", aim_name(ue->reg.aim), net_kind_name(ue->net.links[link].kind),
		    clear ? "no" : "yes", way->over ? way->over->id : 0, ue->reg.cseq,
		    answers[way->answer]);
}

static int send_register(struct ue *ue, const struct register_way *way)
{
	static struct sip_text text;
	char branch[TXN_BRANCH_BYTES];
	bool clear = goes_in_clear(ue, way);
	uint16_t port = way->over ? way->over->server_port : ue->options.pcscf_port;
	int link, r;

	/* first the link: the Via of an unprotected REGISTER names its port */
	link = clear ? clear_link(ue) : set_link(&ue->sets, way->over, ue->options.transport);
	if (link < 0)
		return link;
	r = txn_new_branch(branch);
	if (r == 0)
		r = register_write(ue, way, branch, &text);
	if (r == 0)
		r = reg_start_txn(ue, &text, branch, "REGISTER", link, port, on_response);
	if (r == 0)
		tell_sent(ue, way, clear, link);
	return r;
}

/* SM1, also with auts or a refusal: over the set in use, or in clear. */
static int send_first(struct ue *ue, enum register_answer answer, const uint8_t *auts)
{
	const bool clear = ue->reg.aim == REG_REGISTER;
	const bool bare = clear && ue->options.fault == FAULT_NO_SEC_AGREE;
	const struct register_way way = {
		.over = clear ? NULL : set_in(&ue->sets, SET_CURRENT),
		.offered = bare ? NULL : set_in(&ue->sets, SET_OFFERED),
		.answer = answer,
		.auts = auts,
	};

	ue->reg.state = REG_FIRST;
	return send_register(ue, &way);
}

static int send_second(struct ue *ue, struct ue_set *set)
{
	const struct register_way way = {
		.over = set, .offered = set, .answer = ANSWER_RESPONSE};

	ue->reg.state = REG_SECOND;
	return send_register(ue, &way);
}

static void drop_new_set(struct ue *ue, const char *reason)
{
	struct ue_set *set = set_in(&ue->sets, SET_OFFERED);

	if (set)
		set_remove(&ue->sets, set, reason);
	set = set_in(&ue->sets, SET_TEMPORARY);
	if (set)
		set_remove(&ue->sets, set, reason);
}

static void forget_registration(struct ue *ue)
{
	ue->reg.registered = false;
	ue->reg.renew_ms = INT64_MAX;
	ue->reg.expire_ms = INT64_MAX;
	ue->reg.service_route[0] = '\0';
	reg_wipe(&ue->reg);
	call_end_all(&ue->calls, "deregistered");
	dial_forget(&ue->dial, "deregistered");
}

static void fail(struct ue *ue, const char *why)
{
	event_print("failed", "aim=%s reason=\"%s\"", aim_name(ue->reg.aim), why);
	ue->failed = true;
	ue->reg.state = REG_IDLE;
	/* its time is over; a failed renewal is not tried again */
	ue->reg.renew_ms = INT64_MAX;
	drop_new_set(ue, "failed");
	if (ue->reg.aim == REG_DEREGISTER) {
		/* leaving anyway */
		set_remove_all(&ue->sets, "abandoned");
		forget_registration(ue);
	}
}

/* RFC 3329 2.3.1: what cannot be agreed on ends the registration. */
static void fail_agreement(struct ue *ue, const char *why)
{
	ue->no_agreement = true;
	fail(ue, why);
}

static void fail_errno(struct ue *ue, const char *what, int error)
{
	char why[256];

	snprintf(why, sizeof(why), "%s: %s", what, strerror(-error));
	fail(ue, why);
}

static int read_challenge(struct ue *ue, const struct sip_message *m)
{
	struct digest_challenge c;
	struct span value;
	size_t cursor = 0;
	bool found = false;

	while (!found && sip_header_next(m, "WWW-Authenticate", NULL, &cursor, &value))
		found = digest_challenge_parse(value, &c) == 0 &&
			span_is(span_of(c.algorithm), "AKAv1-MD5");
	if (!found)
		return -ENOENT;
	if (c.qop_other)
		return -EOPNOTSUPP;
	/* TS 33.203 6.1.1: the P-CSCF takes them out */
	if (c.has_ck || c.has_ik)
		event_print("warning", "text=\"the challenge still carries ck or ik\"");
	ue->reg.challenge = c;
	ue->reg.nonce_count = 0;
	return 0;
}

/* TS 33.102 6.3.5, TS 24.229 5.1.1.5.3 */
static void refuse_challenge(struct ue *ue, enum register_answer answer, const uint8_t *auts)
{
	int r;

	event_print("challenge-refused", "reason=%s",
		    answer == ANSWER_AUTS ? "sqn-out-of-range" : "wrong-mac");
	if (++ue->reg.refusals > MAX_REFUSALS) {
		fail(ue, "the challenges cannot be answered");
		return;
	}
	r = send_first(ue, answer, auts);
	if (r < 0)
		fail_errno(ue, "refusing the challenge", r);
}

static int ask_card(struct ue *ue, struct aka_answer *ret, uint8_t ret_auts[AKA_AUTS_BYTES])
{
	uint8_t rand[AKA_RAND_BYTES], autn[AKA_AUTN_BYTES];
	int r = digest_nonce_to_aka(ue->reg.challenge.nonce, rand, autn);

	if (r < 0)
		return r;
	if (ue->options.fault == FAULT_MAC_FAILURE)
		return -EBADMSG;
	if (ue->options.fault == FAULT_SYNC_FAILURE && ue->reg.refusals == 0) {
		r = aka_auts(&ue->options.card, rand, ret_auts);
		return r < 0 ? r : -ERANGE;
	}
	return aka_challenge(&ue->options.card, rand, autn, ret, ret_auts);
}

static void tell_agreed(const struct ue_set *set)
{
	const struct ipsec_endpoint *us = &set->ours, *them = &set->theirs;
	char numbers[256];

	if (us->dialect == IPSEC_DIALECT_RFC3329)
		snprintf(numbers, sizeof(numbers),
			 "spi_u=%u spi_p=%u port1_u=%u port2_u=%u port1_p=%u port2_p=%u", us->spi,
			 them->spi, us->port1, us->port2, them->port1, them->port2);
	else
		snprintf(numbers, sizeof(numbers),
			 "spi_uc=%u spi_us=%u port_uc=%u port_us=%u spi_pc=%u spi_ps=%u port_pc=%u "
			 "port_ps=%u", us->spi_c, us->spi_s, us->port_c, us->port_s, them->spi_c,
			 them->spi_s, them->port_c, them->port_s);
	event_print("agreed", "set=%d alg=%s ealg=%s prot=%s mod=%s %s", set->id,
		    ipsec_alg_name(set->suite.alg), ipsec_ealg_name(set->suite.ealg),
		    ipsec_prot_name(set->suite.prot), ipsec_mod_name(set->suite.mod), numbers);
}

/* SM7 over the SAs that it proves. */
static void answer_challenge(struct ue *ue, const struct sip_message *m,
			     const struct aka_answer *answer)
{
	struct ue_set *set = set_in(&ue->sets, SET_OFFERED);
	int r;

	if (!set) {
		fail(ue, "challenged, but nothing was offered");
		return;
	}
	if (set_agree(&ue->sets, set, m) < 0) {
		fail_agreement(ue, ue->sets.why);
		return;
	}
	tell_agreed(set);
	if (digest_ha1(ue->options.impi, ue->reg.challenge.realm, answer->res,
		       sizeof(answer->res), ue->reg.ha1) < 0) {
		fail(ue, "OpenSSL offers no MD5");
		return;
	}
	if (set_install(&ue->sets, set, answer) < 0) {
		fail(ue, ue->sets.why);
		return;
	}
	r = send_second(ue, set);
	if (r < 0)
		fail_errno(ue, "protected REGISTER", r);
}

static void accept_challenge(struct ue *ue, const struct sip_message *m,
			     const struct aka_answer *answer)
{
	const struct ue_options *o = &ue->options;

	event_print("challenge", "algorithm=%s realm=\"%s\" sqn=%012llx amf=%02x%02x qop=%s",
		    ue->reg.challenge.algorithm, ue->reg.challenge.realm,
		    (unsigned long long)answer->sqn, answer->amf[0], answer->amf[1],
		    ue->reg.challenge.qop_auth ? "auth" : "none");
	if (o->has_amf && memcmp(o->amf, answer->amf, sizeof(o->amf)) != 0)
		event_print("warning", "text=\"another AMF than expected\"");
	answer_challenge(ue, m, answer);
}

static void on_challenge(struct ue *ue, const struct sip_message *m)
{
	struct aka_answer answer = {.sqn = 0};
	uint8_t auts[AKA_AUTS_BYTES];
	int r;

	if (ue->reg.state == REG_SECOND) {
		fail(ue, "401 to the answer: it was not accepted");
		return;
	}
	r = read_challenge(ue, m);
	if (r < 0) {
		fail(ue, r == -ENOENT ? "no AKAv1-MD5 challenge in the answer"
				      : "a challenge with a qop other than auth");
		return;
	}
	r = ask_card(ue, &answer, auts);
	if (r == 0)
		accept_challenge(ue, m, &answer);
	else if (r == -ERANGE)
		refuse_challenge(ue, ANSWER_AUTS, auts);
	else if (r == -EBADMSG)
		refuse_challenge(ue, ANSWER_REFUSAL, NULL);
	else
		fail(ue, r == -EINVAL ? "the nonce is no AKA challenge" : "OpenSSL failed");
	aka_answer_wipe(&answer);
}

static void keep_route(struct ue *ue, const struct sip_message *m)
{
	struct span value;
	size_t cursor = 0;

	ue->reg.service_route[0] = '\0';
	if (sip_header_next(m, "Service-Route", NULL, &cursor, &value) &&
	    value.n < sizeof(ue->reg.service_route) && !memchr(value.p, '\n', value.n))
		snprintf(ue->reg.service_route, sizeof(ue->reg.service_route), "%.*s",
			 (int)value.n, value.p);
}

/* TS 24.229 5.1.1.4.1: at half time, or 600 s before the end of a longer registration */
static int64_t renew_after_s(const struct ue *ue, long granted_s)
{
	if (ue->options.reregister_after_s)
		return ue->options.reregister_after_s;
	return granted_s > 1200 ? granted_s - 600 : granted_s / 2;
}

static long granted(const struct ue *ue, const struct sip_message *m)
{
	char host[IP_TEXT_BYTES], port[8];
	long seconds;

	snprintf(port, sizeof(port), "%u", ue->sets.port_us);
	seconds = sip_granted_expires(m, ip_text(&ue->options.public_address, host), port);
	return seconds < 0 ? (long)ue->reg.expires_s : seconds;
}

static void confirm_set(struct ue *ue, struct ue_set *set)
{
	struct ue_set *old;

	if (ue->reg.aim == REG_REGISTER) {
		/* TS 33.203 7.4.1a: nothing of before an unprotected registration stays */
		while ((old = set_in(&ue->sets, SET_CURRENT)) ||
		       (old = set_in(&ue->sets, SET_OLD)))
			set_remove(&ue->sets, old, "replaced");
	} else {
		old = set_in(&ue->sets, SET_OLD);
		if (old)
			set_remove(&ue->sets, old, "replaced");
		old = set_in(&ue->sets, SET_CURRENT);
		if (old) {
			old->state = SET_OLD;
			old->remove_ms = clock_ms() + (int64_t)ue->options.old_set_s * 1000;
		}
	}
	set->state = SET_CURRENT;
}

static void on_registered(struct ue *ue, const struct sip_message *m, struct ue_set *set)
{
	bool challenged = set != NULL;
	long seconds = granted(ue, m);
	int64_t now = clock_ms();

	if (set)
		confirm_set(ue, set);
	else
		drop_new_set(ue, "not-needed");
	set = set_in(&ue->sets, SET_CURRENT);
	keep_route(ue, m);
	ue->reg.state = REG_IDLE;
	ue->reg.registered = true;
	ue->ever_registered = true;
	ue->reg.renew_ms = now + renew_after_s(ue, seconds) * 1000;
	ue->reg.expire_ms = now + seconds * 1000;
	event_print(ue->reg.aim == REG_REGISTER ? "registered" : "reregistered",
		    "set=%d challenged=%s expires=%ld renew=%lld", set ? set->id : 0,
		    challenged ? "yes" : "no", seconds, (long long)renew_after_s(ue, seconds));
}

static void on_deregistered(struct ue *ue)
{
	ue->reg.state = REG_IDLE;
	set_remove_all(&ue->sets, "deregistered");
	forget_registration(ue);
	event_print("deregistered", "impu=%s", ue->options.impu);
}

static void on_success(struct ue *ue, const struct sip_message *m)
{
	struct ue_set *set = set_in(&ue->sets, SET_TEMPORARY);

	if (ue->reg.aim == REG_DEREGISTER)
		on_deregistered(ue);
	else if (!set && ue->reg.aim == REG_REGISTER)
		fail_agreement(ue,
			       "200 to the unprotected REGISTER: no security agreement was made");
	else
		on_registered(ue, m, set);
}

/* RFC 3261 10.2.8 */
static bool retry_longer(struct ue *ue, const struct sip_message *m)
{
	struct span value;
	size_t cursor = 0;
	uint32_t min;

	if (ue->reg.state != REG_FIRST ||
	    !sip_header_next(m, "Min-Expires", NULL, &cursor, &value) ||
	    text_to_u32(value, 10, UINT32_MAX, &min) < 0 || min <= ue->reg.expires_s)
		return false;
	ue->reg.expires_s = min;
	return send_first(ue, ANSWER_NONE, NULL) == 0;
}

static void fail_status(struct ue *ue, const struct sip_message *m)
{
	char why[256];

	snprintf(why, sizeof(why), "%d %.200s", sip_status(m), sip_reason(m));
	fail(ue, why);
}

/* A 421 or 494 brings the P-CSCF's list: with all that starts a mechanism in it, it is as good as a
 * 401 (RFC 3329 2.3.1). */
static void on_list(struct ue *ue, const struct sip_message *m)
{
	struct agreement agreement;
	char why[256], whole[320];

	if (agreement_read(m, &ue->options, &agreement, why, sizeof(why)) == 0) {
		agreement_done(&agreement);
		on_challenge(ue, m);
		return;
	}
	snprintf(whole, sizeof(whole), "%d: %s", sip_status(m), why);
	fail_agreement(ue, whole);
}

/* The sender's view of us, behind a NAT: RFC 3261 18.2.1 */
static void tell_nat(const struct sip_message *m)
{
	osip_via_t *via = osip_list_get(&m->osip->vias, 0);
	osip_generic_param_t *received = NULL;

	osip_via_param_get_byname(via, (char *)(uintptr_t)"received", &received);
	if (received && received->gvalue)
		event_print("nat", "received=%s", received->gvalue);
}

static void on_response(void *ctx, const struct sip_message *response,
			const struct net_source *from)
{
	struct ue *ue = ctx;
	const struct ue_set *set;
	int status;

	if (!response) {
		fail(ue, ue->reg.state == REG_SECOND ? "no answer to the protected REGISTER"
						     : "no answer to the REGISTER");
		return;
	}
	status = sip_status(response);
	set = set_of_source(&ue->sets, from);
	event_print("response", "method=REGISTER status=%d transport=%s protected=%s set=%d",
		    status, net_kind_name(from->kind), set ? "yes" : "no", set ? set->id : 0);
	tell_nat(response);
	if (status < 200)
		return;
	if (status == 401)
		on_challenge(ue, response);
	else if (status < 300)
		on_success(ue, response);
	else if ((status == 421 || status == 494) && ue->reg.state == REG_FIRST)
		on_list(ue, response);
	else if (status != 423 || !retry_longer(ue, response))
		fail_status(ue, response);
}

static int refuse_start(enum reg_aim aim, int error, const char *why)
{
	event_print("refused", "aim=%s reason=\"%s\"", aim_name(aim), why);
	return error;
}

static int begin_identity(struct reg *reg)
{
	if (reg->call_id[0])
		return 0;
	return random_hex(reg->call_id, 16) < 0 || random_hex(reg->tag, 8) < 0 ? -EIO : 0;
}

int reg_start(struct ue *ue, enum reg_aim aim)
{
	struct ue_set *offered;
	int r;

	if (ue->reg.state != REG_IDLE)
		return refuse_start(aim, -EBUSY, "another REGISTER is under way");
	if (aim != REG_REGISTER && !ue->reg.registered)
		return refuse_start(aim, -ENOTCONN, "not registered");
	ue->reg.aim = aim;
	ue->reg.refusals = 0;
	r = begin_identity(&ue->reg);
	/* also to de-register: it may be challenged */
	if (r == 0)
		r = set_offer(&ue->sets, &offered);
	if (r < 0) {
		fail(ue, ue->sets.why[0] ? ue->sets.why : "no random numbers");
		return r;
	}
	r = send_first(ue, ANSWER_NONE, NULL);
	if (r < 0)
		fail_errno(ue, "sending REGISTER", r);
	return r;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The P-CSCF goes on with the old set until it has seen the new one used: what it sent by then,
 * over TCP above all, may still be on its way. */
void reg_note_use(struct ue *ue, const struct ue_set *set)
{
	struct ue_set *old = set_in(&ue->sets, SET_OLD);

	if (set && old && set->state == SET_CURRENT && !txn_on_set(&ue->txns, old->id))
		old->remove_ms = earlier(old->remove_ms, clock_ms() + ue->options.t1_ms);
}

int64_t reg_next_ms(struct ue *ue)
{
	const struct ue_set *old = set_in(&ue->sets, SET_OLD);
	int64_t renew = ue->reg.state == REG_IDLE && !ue->stopping ? ue->reg.renew_ms : INT64_MAX;
	int64_t next = earlier(renew, ue->reg.expire_ms);

	return old ? earlier(next, old->remove_ms) : next;
}

void reg_tick(struct ue *ue, int64_t now_ms)
{
	struct ue_set *old = set_in(&ue->sets, SET_OLD);

	if (old && now_ms >= old->remove_ms)
		set_remove(&ue->sets, old, "replaced");
	if (now_ms >= ue->reg.expire_ms) {
		event_print("expired", "impu=%s", ue->options.impu);
		ue->failed = true;
		txn_drop(&ue->txns, "REGISTER");
		ue->reg.state = REG_IDLE;
		set_remove_all(&ue->sets, "expired");
		forget_registration(ue);
	} else if (now_ms >= ue->reg.renew_ms && ue->reg.state == REG_IDLE && !ue->stopping) {
		ue->reg.renew_ms = INT64_MAX;
		reg_start(ue, REG_REREGISTER);
	}
}

static void on_other_response(void *ctx, const struct sip_message *response,
			      const struct net_source *from)
{
	struct ue *ue = ctx;
	const struct ue_set *set;

	if (!response) {
		event_print("no-answer", "protected=yes");
		return;
	}
	set = set_of_source(&ue->sets, from);
	event_print("response", "method=%s status=%d transport=%s protected=%s set=%d",
		    sip_method(response), sip_status(response), net_kind_name(from->kind),
		    set ? "yes" : "no", set ? set->id : 0);
}

int reg_send_request(struct ue *ue, enum net_kind transport, const char *method, const char *uri,
		     const char *body)
{
	char branch[TXN_BRANCH_BYTES];
	const struct ue_request request = {
		.method = method,
		.uri = uri,
		.branch = branch,
		.transport = transport,
		.text = body,
	};
	static struct sip_text text;
	struct ue_set *set = set_in(&ue->sets, SET_CURRENT);
	int link, r;

	if (!set)
		return -ENOTCONN;
	link = set_link(&ue->sets, set, transport);
	r = txn_new_branch(branch);
	if (r == 0)
		r = request_write(ue, set, &request, &text);
	if (r == 0)
		r = reg_start_txn(ue, &text, branch, method, link, set->server_port,
			      on_other_response);
	if (r == 0)
		event_print("sent", "method=%s transport=%s protected=yes set=%d", method,
			    net_kind_name(transport), set->id);
	return r;
}

int reg_send_clear(struct ue *ue)
{
	char branch[TXN_BRANCH_BYTES];
	const struct ue_request request = {
		.method = "OPTIONS",
		.uri = ue->options.impu,
		.branch = branch,
		.transport = NET_UDP,
	};
	static struct sip_text text;
	const struct ue_set *set = set_in(&ue->sets, SET_CURRENT);
	int link, r;

	if (!set)
		return -ENOTCONN;
	/* a port of its own: from port_uc the kernel would protect it */
	link = net_open_udp(&ue->net, &ue->options.public_address, 0, NET_CLEAR, 0);
	if (link < 0)
		return link;
	r = txn_new_branch(branch);
	if (r == 0)
		r = request_write(ue, NULL, &request, &text);
	if (r == 0)
		r = net_send(&ue->net, link, &ue->options.pcscf, set->server_port,
			     (struct span){text.p, text.n});
	net_close(&ue->net, link, false);
	if (r == 0)
		event_print("sent", "method=OPTIONS transport=udp protected=no set=0");
	return r;
}
