/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/sip_flow.c, sip_answer.c, sip_register.c, sip_work.c: SIP messages in, verdicts out, and
 * what becomes of the sets. The phone is at 198.51.100.7, the P-CSCF is that of world.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <utlist.h>

#include "daemon/sip_flow.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define UE   "198.51.100.7"
#define CK   "c1c2c3c4c5c6c7c8c9cacbcccdcecfc0"
#define IK   "a1a2a3a4a5a6a7a8a9aaabacadaeafa0"
#define KEYS ", ck=\"" CK "\",ik=\"" IK "\""

#define NUMBERS ";spi-c=1001;spi-s=1002;port-c=5062;port-s=5064"
#define CLIENT  "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc" NUMBERS
#define CLIENT2                                                                                    \
	"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=2001;spi-s=2002;port-c=5066;port-s=5064"

#define USER    "username=\"u@ims.example\""
#define EMPTY   "Authorization: Digest " USER ",nonce=\"\",response=\"\"\r\n"
#define ANSWER  "Authorization: Digest " USER ",nonce=\"n\",response=\"00\"\r\n"
#define CONTACT "Contact: <sip:u@" UE ":5064>;expires=600000\r\n"

#define FIRST                                                                                      \
	EMPTY CONTACT "Require: sec-agree\r\nProxy-Require: sec-agree\r\nSecurity-Client: " CLIENT \
		      "\r\n"

/* ---- memory that runs out ---- */

static bool runs_out;
static unsigned allocations, allocation_that_fails;

static bool is_out(void)
{
	return runs_out && allocations++ == allocation_that_fails;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__real_reallocarray(void *p, size_t count, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t n)
{
	return is_out() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return is_out() ? NULL : __real_calloc(count, n);
}

void *__wrap_reallocarray(void *p, size_t count, size_t n)
{
	return is_out() ? NULL : __real_reallocarray(p, count, n);
}

char *__wrap_strdup(const char *s)
{
	return is_out() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return is_out() ? NULL : __real_strndup(s, n);
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (is_out())
		return -1;
	va_start(ap, fmt);
	n = vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

static struct sip_flow *flow;
static struct sip_verdict got;
static struct sip_input in; /* of the next call */
static char text[65536];

static int start(void **state)
{
	const int err = world_start(state);

	flow = sip_flow_new(world.table, &world.config);
	memset(&got, 0, sizeof(got));
	return flow ? err : -1;
}

static int stop(void **state)
{
	sip_verdict_done(&got);
	sip_flow_free(flow);
	return world_stop(state);
}

/* ---- calls ---- */

static struct sip_place place(const char *address, uint16_t port)
{
	return (struct sip_place){world_ip(address), port};
}

static void clear_input(void)
{
	in = (struct sip_input){.source = place(UE, 5060), .destination = place("192.0.2.1", 5060)};
}

typedef int call_fn(struct sip_flow *f, const struct sip_input *input, struct sip_verdict *ret,
		    struct refusal *refusal);

static int try_call(call_fn *call, const char *message)
{
	char *copy = strdup(message); /* so that a look at it afterwards is seen */
	int err;

	sip_verdict_done(&got);
	in.message = span_of(copy);
	err = call(flow, &in, &got, &world.refusal);
	free(copy);
	if (!err && got.message)
		assert_int_equal(strlen(got.message), got.message_bytes);
	if (!err && got.action != DECIDE_DROP) {
		assert_null(strstr(got.message, CK));
		assert_null(strstr(got.message, IK));
	}
	if (!err && got.action != DECIDE_FORWARD)
		assert_true(got.why[0]);
	return err;
}

static void request(const char *message)
{
	in.direction = SIP_FROM_PHONE;
	assert_int_equal(try_call(sip_flow_request, message), 0);
}

static void request_to_phone(const char *message)
{
	in.direction = SIP_TO_PHONE;
	assert_int_equal(try_call(sip_flow_request, message), 0);
}

static void response(const char *message)
{
	in.direction = SIP_TO_PHONE;
	assert_int_equal(try_call(sip_flow_response, message), 0);
}

static void response_from_phone(const char *message)
{
	in.direction = SIP_FROM_PHONE;
	assert_int_equal(try_call(sip_flow_response, message), 0);
}

/* ---- messages ---- */

static unsigned cseq;

/* A REGISTER of the phone whose Via says @via. */
static const char *registration(const char *via, const char *headers)
{
	snprintf(text, sizeof(text),
		 "REGISTER sip:ims.example SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\r\n"
		 "From: <sip:u@ims.example>;tag=1\r\nTo: <sip:u@ims.example>\r\nCall-ID: c@x\r\n"
		 "CSeq: %u REGISTER\r\n%s\r\n",
		 via, cseq, cseq, headers);
	return text;
}

/* A response to the last one, as it comes from the home network, our own Via still on it. */
static const char *to_registration(const char *status, const char *headers)
{
	snprintf(text, sizeof(text),
		 "SIP/2.0 %s\r\nVia: SIP/2.0/UDP pcscf.example;branch=z9hG4bKours\r\n"
		 "Via: SIP/2.0/UDP " UE ":5064;branch=z9hG4bK%u\r\n"
		 "From: <sip:u@ims.example>;tag=1\r\nTo: <sip:u@ims.example>;tag=2\r\n"
		 "Call-ID: c@x\r\nCSeq: %u REGISTER\r\n%s\r\n",
		 status, cseq, cseq, headers);
	return text;
}

static const char *other(const char *method, const char *headers)
{
	snprintf(text, sizeof(text),
		 "%s sip:v@ims.example SIP/2.0\r\nVia: SIP/2.0/UDP " UE ":5064;branch=z9hG4bKi\r\n"
		 "From: <sip:u@ims.example>;tag=1\r\nTo: <sip:v@ims.example>\r\nCall-ID: d\r\n"
		 "CSeq: 1 %s\r\n%s\r\n",
		 method, method, headers);
	return text;
}

static const char *challenge_with(const char *more)
{
	char headers[1024];

	snprintf(headers, sizeof(headers),
		 "WWW-Authenticate: Digest "
		 "realm=\"ims.example\",nonce=\"n\",algorithm=AKAv1-MD5%s\r\n",
		 more);
	return to_registration("401 Unauthorized", headers);
}

/* ---- what was got ---- */

static void assert_forwarded(void)
{
	if (got.action != DECIDE_FORWARD)
		fail_msg("%s %u: %s", decide_action_name(got.action), got.code, got.why);
	assert_non_null(got.message);
}

static void assert_replied(unsigned code)
{
	if (got.action != DECIDE_REPLY || got.code != code)
		fail_msg("%s %u: %s", decide_action_name(got.action), got.code, got.why);
	assert_non_null(got.message);
	snprintf(text, sizeof(text), "SIP/2.0 %u %s\r\n", code, got.phrase);
	assert_int_equal(strncmp(got.message, text, strlen(text)), 0);
}

static void assert_dropped(void)
{
	if (got.action != DECIDE_DROP)
		fail_msg("%s %u: %s", decide_action_name(got.action), got.code, got.why);
	assert_null(got.message);
	assert_false(got.has_way);
}

static void assert_reason(enum reason reason)
{
	assert_true(got.has_reason);
	assert_string_equal(reason_token(got.reason), reason_token(reason));
}

static bool has(const char *part)
{
	return strstr(got.message, part) != NULL;
}

static void assert_has(const char *part)
{
	if (!has(part))
		fail_msg("no \"%s\" in\n%s", part, got.message);
}

static void assert_not(const char *part)
{
	if (has(part))
		fail_msg("\"%s\" in\n%s", part, got.message);
}

static void assert_way(uint16_t from, uint16_t to)
{
	const struct ip_addr us = world_ip("192.0.2.1"), phone = world_ip(UE);

	assert_true(got.has_way);
	assert_true(ip_equal(&got.send_from.address, &us));
	assert_true(ip_equal(&got.send_to.address, &phone));
	assert_int_equal(got.send_from.port, from);
	assert_int_equal(got.send_to.port, to);
}

static void assert_way_over(const struct sa_set *set)
{
	assert_way(set->pcscf.port_c, set->ue.port_s);
}

static struct sa_set *set_of(uint64_t id)
{
	struct sa_set *set = sa_table_by_id(world.table, id);

	assert_non_null(set);
	return set;
}

/* ---- a phone that registers ---- */

static void first_register(const char *headers)
{
	cseq++;
	clear_input();
	request(registration(UE ":5060;rport", headers));
}

static struct sa_set *challenged(const char *headers)
{
	first_register(headers);
	assert_forwarded();
	clear_input();
	response(challenge_with(KEYS));
	assert_forwarded();
	return set_of(got.set_id);
}

/* From the phone's protected client port to our server port. */
static void over(const struct sa_set *set)
{
	clear_input();
	in.source.port = set->ue.port_c;
	in.destination.port = set->pcscf.port_s;
}

static const char *both_headers(const struct sa_set *set, const char *more)
{
	static char headers[8192];

	snprintf(headers, sizeof(headers),
		 "%sRequire: sec-agree\r\nSecurity-Client: %s\r\nSecurity-Verify: %s\r\n", more,
		 world_text(set->security_client), world_text(set->security_server));
	return headers;
}

static void answer_challenge(const struct sa_set *set)
{
	cseq++;
	over(set);
	request(registration(UE ":5064", both_headers(set, ANSWER CONTACT)));
}

static void accept_it(const char *headers)
{
	clear_input();
	response(to_registration("200 OK", headers));
	assert_forwarded();
}

static struct sa_set *registered(void)
{
	struct sa_set *set = challenged(FIRST);

	answer_challenge(set);
	assert_forwarded();
	accept_it("Contact: <sip:u@" UE ":5064>;expires=3600\r\n");
	assert_int_equal(set->state, SA_SET_CURRENT);
	return set;
}

#define AGAIN ANSWER CONTACT "Security-Client: " CLIENT2 "\r\n"

static void reregister(const struct sa_set *set, const char *headers)
{
	cseq++;
	over(set);
	request(registration(UE ":5064", headers));
}

/* The set that a challenged re-registration made. */
static struct sa_set *challenged_again(const struct sa_set *set)
{
	reregister(set, AGAIN);
	assert_forwarded();
	clear_input();
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_int_not_equal(got.set_id, set->id);
	return set_of(got.set_id);
}

/* ---- registration ---- */

static void E15_R7_a_first_register_passes_cleaned_and_makes_nothing(void **state)
{
	(void)state;
	first_register(
		"k: path, sec-agree\r\nRequire: 100rel,sec-agree\r\nProxy-Require: sec-agree\r\n"
		"Authorization: Digest " USER ",integrity-protected=\"yes\",nonce=\"\"\r\n"
		"Security-Client: tls\r\n" CONTACT "Security-Client: " CLIENT "\r\n");
	assert_forwarded();
	assert_int_equal(got.row, 7);
	assert_not("Security-");
	assert_has("\r\nRequire: 100rel\r\n");
	assert_not("Proxy-Require");
	assert_has("\r\nk: path, sec-agree\r\n");
	assert_has("Digest " USER ",nonce=\"\", integrity-protected=\"no\"\r\n");
	assert_false(got.integrity_protected || got.is_protected || got.set_id);
	assert_int_equal(world_sets(), 0);
	assert_int_equal(fake_xfrm.messages, 0);
	assert_int_equal(sip_pending_count(flow->pending), 1);
}

static void E14_the_401_loses_its_keys_and_gets_the_list(void **state)
{
	const struct sa_set *set = challenged(FIRST);
	char line[4200];

	(void)state;
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	assert_string_equal(set->impi, "u@ims.example");
	assert_string_equal(set->impu, "sip:u@ims.example");
	assert_string_equal(world_text(set->security_client), CLIENT);
	assert_has("Digest realm=\"ims.example\",nonce=\"n\",algorithm=AKAv1-MD5\r\n");
	snprintf(line, sizeof(line), "\r\nSecurity-Server: %s\r\n\r\n",
		 world_text(set->security_server));
	assert_has(line);
	assert_has("branch=z9hG4bKours");
	world_check(true);
}

static void the_keys_of_the_401_are_those_of_the_SAs(void **state)
{
	const struct fake_step *step;

	(void)state;
	challenged(FIRST);
	step = fake_xfrm_step(FAKE_ADD_SA, 0);
	assert_int_equal(step->sa.enc.bytes[0], 0xc1);
	assert_int_equal(step->sa.auth.bytes[0], 0xa1);
}

/* RFC 3261 18.2.2, RFC 3581 */
static void E5_the_401_to_a_clear_register_goes_in_clear(void **state)
{
	(void)state;
	challenged(FIRST);
	assert_way(5060, 5060);
	cseq++;
	clear_input();
	in.source.port = 40000;
	request(registration(UE ":5080", FIRST));
	response(challenge_with(KEYS));
	assert_way(5060, 5080);
	cseq++;
	request(registration(UE ":5080;rport", FIRST));
	response(challenge_with(KEYS));
	assert_way(5060, 40000);
	cseq++;
	in.transport = SIP_TCP;
	request(registration(UE ":5080", FIRST));
	response(challenge_with(KEYS));
	assert_way(5060, 40000);
}

static void C9_R5_the_answer_on_the_temporary_set_passes_and_200_confirms(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	answer_challenge(set);
	assert_forwarded();
	assert_int_equal(got.row, 5);
	assert_true(got.is_protected && got.integrity_protected);
	assert_int_equal(got.set_id, set->id);
	assert_has("response=\"00\", integrity-protected=\"yes\"\r\n");
	assert_not("Security-");
	assert_not("sec-agree");
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	accept_it("Contact: <sip:u@" UE ":5064>;expires=3600\r\n");
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_int_equal(sa_set_left_s(set), 3630);
	assert_way_over(set);
	world_check(true);
}

static void E7_a_challenged_reregistration_makes_a_new_set_beside_the_old(void **state)
{
	struct sa_set *set = registered(), *fresh;

	(void)state;
	fresh = challenged_again(set);
	assert_int_equal(fresh->over_id, set->id);
	assert_ptr_equal(fresh->contact, set->contact);
	assert_way_over(set); /* E5 */
	answer_challenge(fresh);
	assert_forwarded();
	accept_it("Expires: 600\r\n");
	assert_way_over(fresh);
	assert_int_equal(fresh->state, SA_SET_NEW);
	assert_int_equal(set->state, SA_SET_OLD);
	over(fresh);
	request(other("OPTIONS", ""));
	assert_int_equal(fresh->state, SA_SET_CURRENT);
	world_check(true);
}

static void E16_a_reregistration_without_challenge_extends(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, AGAIN);
	assert_forwarded();
	assert_true(got.integrity_protected); /* the phone repeats its response: TS 24.228 6.3 */
	accept_it("Contact: <sip:u@" UE ":5064>;expires=7200\r\n");
	assert_int_equal(sa_set_left_s(set), 7230);
	assert_int_equal(world_sets(), 1);
	assert_way_over(set);
	world_check(true);
}

static void E1_a_shorter_registration_shortens_nothing(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, AGAIN);
	accept_it("Contact: <sip:u@" UE ":5064>;expires=60\r\n");
	assert_int_equal(sa_set_left_s(set), 3630);
}

static void E2_the_expires_of_this_contact_counts(void **state)
{
	static const struct {
		const char *headers;
		uint32_t granted_s;
	} CASES[] = {
		{"Contact: <sip:u@203.0.113.1:5064>;expires=9000,<sip:u@" UE
		 ":5064>;expires=5000\r\n",
		 5000},
		{"Contact: <sip:u@" UE ":5064>;expires=5100\r\nExpires: 9000\r\n", 5100},
		{"Contact: <sip:u@" UE ":5064>\r\nExpires: 5200\r\n", 5200},
		{"Contact: <sip:rewritten@192.0.2.1>;expires=5300\r\n", 5300},
		{"Contact: <sip:u@203.0.113.1>;expires=9,<sip:v@x>;expires=8\r\nExpires: 5400\r\n",
		 5400},
		{"", 600000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		struct sa_set *set = challenged(FIRST);

		answer_challenge(set);
		accept_it(CASES[i].headers);
		assert_int_equal(sa_set_left_s(set), CASES[i].granted_s + 30);
		sa_set_drop(set, "test");
	}
}

static void E2_a_fetch_changes_nothing(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	fake_clock_advance_s(100);
	reregister(set, ANSWER "Security-Client: " CLIENT2 "\r\n");
	accept_it("Contact: <sip:u@" UE ":5064>;expires=99999\r\n");
	assert_int_equal(sa_set_left_s(set), 3530);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void E9_another_identity_over_the_set_joins_it(void **state)
{
	struct sa_set *set = registered();
	char *to;

	(void)state;
	cseq++;
	over(set);
	registration(UE ":5064", AGAIN);
	to = strstr(text, "To: <sip:u@");
	to[9] = 'w';
	request(text);
	assert_forwarded();
	accept_it("Contact: <sip:u@" UE ":5064>;expires=3600\r\n");
	assert_string_equal(set->impu, "sip:u@ims.example\nsip:w@ims.example");
	/* one leaves, the set stays; the last one ends it */
	reregister(set, ANSWER "Contact: <sip:u@" UE ":5064>;expires=0\r\n");
	accept_it("");
	assert_string_equal(set->impu, "sip:w@ims.example");
	assert_int_equal(set->state, SA_SET_CURRENT);
	reregister(set, ANSWER "Contact: *\r\nExpires: 0\r\n");
	accept_it("");
	assert_int_equal(set->state, SA_SET_OLD);
}

static void a_deregistration_ends_the_sets_after_its_200_has_left(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, ANSWER "Contact: <sip:u@" UE ":5064>\r\nExpires: 0\r\n");
	assert_forwarded();
	accept_it("");
	assert_way_over(set);
	assert_int_equal(set->state, SA_SET_OLD);
	assert_int_equal(sa_set_left_s(set), 128);
	fake_clock_advance_s(128);
	assert_int_equal(world_sets(), 0);
}

static void the_front_end_says_how_long_they_linger(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, ANSWER "Contact: *\r\nExpires: 0\r\n");
	clear_input();
	in.has_linger = true;
	in.linger_s = 5;
	response(to_registration("200 OK", ""));
	assert_forwarded();
	assert_int_equal(sa_set_left_s(set), 5);
	/* a retransmission makes it no longer */
	fake_clock_advance_s(2);
	clear_input();
	response(to_registration("200 OK", ""));
	assert_int_equal(sa_set_left_s(set), 3);
}

static void a_challenged_deregistration_is_told_on_its_new_set(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);
	const uint64_t id = set->id;

	(void)state;
	cseq++;
	over(fresh);
	request(registration(UE ":5064",
			     both_headers(fresh, ANSWER "Contact: *\r\nExpires: 0\r\n")));
	assert_forwarded();
	accept_it("");
	assert_way_over(fresh);
	assert_int_equal(fresh->state, SA_SET_OLD);
	assert_false(world_has(id));
	world_check(false);
	fake_clock_advance_s(128);
	assert_int_equal(world_sets(), 0);
}

static void E10_a_first_register_while_sets_live_leaves_them_until_its_200(void **state)
{
	struct sa_set *set = registered(), *fresh;
	uint64_t id = set->id;

	(void)state;
	first_register(EMPTY CONTACT "Security-Client: " CLIENT2 "\r\n");
	response(challenge_with(KEYS));
	fresh = set_of(got.set_id);
	assert_int_equal(fresh->over_id, 0);
	assert_int_equal(set->state, SA_SET_CURRENT);
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	assert_int_equal(fresh->state, SA_SET_CURRENT);
	assert_false(world_has(id));
	world_check(true);
}

/* ---- registrations that fail ---- */

static void E3_a_failed_authentication_ends_its_set_alone(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);
	uint64_t id = fresh->id;

	(void)state;
	answer_challenge(fresh);
	clear_input();
	response(to_registration("403 Forbidden", ""));
	assert_forwarded();
	assert_way_over(fresh); /* E6 */
	answer_challenge(fresh);
	assert_dropped();
	fake_clock_advance_s(8);
	assert_false(world_has(id));
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void E6_another_failure_goes_over_the_set_before(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);

	(void)state;
	answer_challenge(fresh);
	clear_input();
	response(to_registration("504 Server Time-out", ""));
	assert_forwarded();
	assert_way_over(set);
}

static void a_failure_before_the_challenge_touches_nothing(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, AGAIN);
	clear_input();
	response(to_registration("500 Server Internal Error", ""));
	assert_forwarded();
	assert_way_over(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
	first_register(FIRST);
	clear_input();
	response(to_registration("404 Not Found", ""));
	assert_forwarded();
	assert_way(5060, 5060);
}

static void provisional_responses_pass(void **state)
{
	(void)state;
	first_register(FIRST);
	clear_input();
	response(to_registration("100 Trying", ""));
	assert_forwarded();
	assert_int_equal(world_sets(), 0);
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_int_equal(world_sets(), 1);
}

static void E14_a_401_without_keys_fails_the_registration(void **state)
{
	static const char *const CASES[] = {
		"",
		", ck=\"" CK "\"",
		", ik=\"" IK "\"",
		", ck=\"" CK "\",ik=\"a1\"",
		", ck=\"\",ik=\"\"",
		", ck=\"" CK "\",ik=\"" IK "\",ck=\"" CK "\"",
		KEYS ",broken",
		KEYS "\r\nWWW-Authenticate: Digest nonce=\"m\",algorithm=AKAv1-MD5" KEYS,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		first_register(FIRST);
		clear_input();
		response(challenge_with(CASES[i]));
		assert_replied(500);
		assert_reason(REASON_BAD_CHALLENGE);
		assert_way(5060, 5060);
		assert_has("branch=z9hG4bKours");
		assert_not("WWW-Authenticate");
		assert_int_equal(world_sets(), 0);
	}
}

static void another_kind_of_challenge_passes_only_where_it_may(void **state)
{
	const char *headers = "WWW-Authenticate: Digest realm=\"x\",nonce=\"n\",algorithm=MD5\r\n";

	(void)state;
	first_register(FIRST);
	response(to_registration("401 Unauthorized", headers));
	assert_replied(500);
	world.config.listeners[0].decide.register_without_ipsec = DECIDE_CLEAR_FORWARD;
	first_register(FIRST);
	response(to_registration("401 Unauthorized", headers));
	assert_forwarded();
	assert_not("Security-Server");
	assert_int_equal(world_sets(), 0);
}

static void keys_are_taken_out_where_no_agreement_is_made_too(void **state)
{
	(void)state;
	world.config.listeners[0].decide.register_without_ipsec = DECIDE_CLEAR_FORWARD;
	first_register(EMPTY CONTACT);
	assert_forwarded();
	assert_int_equal(got.row, 8);
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_not("Security-Server");
	assert_int_equal(world_sets(), 0);
}

static void a_second_challenge_ends_the_set_of_the_first(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	answer_challenge(set);
	clear_input();
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_way_over(set);
	assert_not("Security-Server");
	assert_true(set->aborted);
	assert_int_equal(world_sets(), 1);
}

static void a_reregistration_without_an_offer_cannot_be_challenged(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, ANSWER CONTACT);
	assert_forwarded();
	response(challenge_with(KEYS));
	assert_replied(494);
	assert_has("\r\nSecurity-Server: ipsec-3gpp;");
	assert_way_over(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void a_kernel_that_refuses_fails_the_registration(void **state)
{
	(void)state;
	first_register(FIRST);
	fake_xfrm_refuse_all(FAKE_ADD_SA, -ENOMEM);
	clear_input();
	response(challenge_with(KEYS));
	assert_replied(500);
	assert_reason(REASON_KERNEL_REFUSED);
	assert_int_equal(world_sets(), 0);
	fake_xfrm_refuse_all(FAKE_ADD_SA, 0);
	challenged(FIRST);
	answer_challenge(set_of(got.set_id));
	fake_xfrm_refuse_all(FAKE_CHANGE_SA, -EIO);
	clear_input();
	response(to_registration("200 OK", "Expires: 60\r\n"));
	assert_replied(500);
}

static void D8_a_port_of_another_phone_is_refused_at_the_401(void **state)
{
	(void)state;
	registered();
	cseq++;
	clear_input();
	request(registration(UE ":5060", "Authorization: Digest username=\"other@x\"\r\n" CONTACT
					 "Security-Client: " CLIENT "\r\n"));
	assert_forwarded();
	response(challenge_with(KEYS));
	assert_replied(403);
	assert_reason(REASON_FLOW_IN_USE);
	assert_int_equal(world_sets(), 1);
}

/* ---- twice the same ---- */

static void a_retransmission_makes_nothing_twice(void **state)
{
	const struct sa_set *set = challenged(FIRST);
	char *before = strdup(got.message);

	(void)state;
	clear_input();
	request(registration(UE ":5060;rport", FIRST)); /* the same CSeq and branch */
	assert_forwarded();
	clear_input();
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_string_equal(got.message, before);
	assert_int_equal(got.set_id, set->id);
	assert_int_equal(world_sets(), 1);
	free(before);
}

static void a_retransmitted_401_never_makes_a_second_set(void **state)
{
	struct sa_set *set = challenged(FIRST);
	const unsigned first = cseq;

	(void)state;
	answer_challenge(set);
	accept_it("Expires: 3600\r\n");
	cseq = first;
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_int_equal(got.set_id, set->id);
	assert_int_equal(world_sets(), 1);
	assert_int_equal(set->state, SA_SET_CURRENT);
	cseq += 10;
}

static void a_new_challenge_replaces_the_temporary_set(void **state)
{
	uint64_t id = challenged(FIRST)->id;

	(void)state;
	challenged(FIRST);
	assert_int_not_equal(got.set_id, id);
	assert_false(world_has(id));
	assert_int_equal(world_sets(), 1);
}

static void nobody_takes_the_transaction_of_another_phone(void **state)
{
	(void)state;
	first_register(FIRST);
	clear_input();
	in.source.port = 6666;
	request(registration(UE ":5060;rport", FIRST));
	assert_replied(482);
	assert_reason(REASON_TRANSACTION_IN_USE);
	clear_input();
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_way(5060, 5060);
}

static void a_late_401_is_dropped_with_its_keys(void **state)
{
	(void)state;
	first_register(FIRST);
	fake_clock_advance_s(129);
	clear_input();
	response(challenge_with(KEYS));
	assert_dropped();
	assert_reason(REASON_UNKNOWN_TRANSACTION);
	assert_int_equal(world_sets(), 0);
}

/* Of any request: what cannot be read may hold keys. */
static void a_challenge_that_cannot_be_read_never_passes(void **state)
{
	(void)state;
	clear_input();
	response("SIP/2.0 407 Proxy Authentication Required\r\n"
		 "Via: SIP/2.0/UDP " UE ":5060;branch=z9hG4bKx\r\n"
		 "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
		 "Proxy-Authenticate: Digest realm=\"x\", \"ck=" CK "\r\n\r\n");
	assert_replied(500);
	assert_reason(REASON_BAD_CHALLENGE);
	assert_not(CK);
}

static void a_reply_repeated_is_the_same(void **state)
{
	char *before;

	(void)state;
	clear_input();
	request(other("INVITE", ""));
	before = strdup(got.message);
	request(other("INVITE", ""));
	assert_string_equal(got.message, before);
	free(before);
}

/* ---- what phones must not do ---- */

static void B5_R6_a_changed_list_on_the_temporary_set_is_refused(void **state)
{
	struct sa_set *set = challenged(FIRST);
	char *q;

	(void)state;
	cseq++;
	over(set);
	registration(UE ":5064", both_headers(set, ANSWER CONTACT));
	q = strstr(strstr(text, "Security-Verify"), "q=0.");
	q[4] ^= 1;
	request(text);
	assert_replied(403);
	assert_int_equal(got.row, 6);
	assert_reason(REASON_VERIFY_MISMATCH);
	assert_way_over(set);
	assert_true(set->aborted);
	answer_challenge(set);
	assert_dropped();
}

static void B5_494_carries_the_list_that_was_sent(void **state)
{
	struct sa_set *set = challenged(FIRST);
	char line[4200];

	(void)state;
	world.config.listeners[0].decide.register_mismatch_494 = true;
	cseq++;
	over(set);
	request(registration(UE ":5064", ANSWER CONTACT "Security-Client: " CLIENT
							"\r\nSecurity-Verify: tls\r\n"));
	assert_replied(494);
	snprintf(line, sizeof(line), "\r\nSecurity-Server: %s\r\nRequire: sec-agree\r\n",
		 world_text(set->security_server));
	assert_has(line);
	assert_has("To: <sip:u@ims.example>;tag=");
}

static void C9_a_missing_header_on_the_temporary_set_is_refused(void **state)
{
	static const char *const MISSING[] = {"Security-Client: " CLIENT "\r\n", ""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(MISSING); i++) {
		struct sa_set *set = challenged(FIRST);
		char headers[4200];

		cseq++;
		over(set);
		snprintf(headers, sizeof(headers), ANSWER CONTACT "%s", MISSING[i]);
		request(registration(UE ":5064", headers));
		assert_replied(403);
		assert_true(set->aborted);
	}
}

static void C9_another_client_header_is_refused(void **state)
{
	struct sa_set *set = challenged(FIRST);
	char headers[8192];

	(void)state;
	cseq++;
	over(set);
	snprintf(headers, sizeof(headers),
		 ANSWER CONTACT "Security-Client: " CLIENT2 "\r\nSecurity-Verify: %s\r\n",
		 world_text(set->security_server));
	request(registration(UE ":5064", headers));
	assert_replied(403);
	assert_reason(REASON_CLIENT_MISMATCH);
	assert_way_over(set);
}

static void another_identity_on_the_set_is_refused(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, "Authorization: Digest username=\"other@x\"\r\n" CONTACT);
	assert_replied(403);
	assert_reason(REASON_IDENTITY_MISMATCH);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void two_identities_in_one_register_are_refused(void **state)
{
	(void)state;
	first_register("Authorization: Digest username=\"a@x\"\r\n"
		       "Authorization: Digest username=\"b@x\"\r\nSecurity-Client: " CLIENT "\r\n");
	assert_replied(400);
	assert_reason(REASON_BAD_MESSAGE);
	first_register("Authorization: Digest username=\"a@x\",username=\"b@x\"\r\n");
	assert_replied(400);
	first_register("Authorization: Digest username=\"a\x7f@x\"\r\n");
	assert_replied(400);
	assert_int_equal(sip_pending_count(flow->pending), 0);
}

static void E4_a_temporary_set_carries_its_answer_alone(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	over(set);
	request(other("INVITE", ""));
	assert_dropped();
	cseq++;
	request(registration(UE ":5064", both_headers(set, EMPTY CONTACT)));
	assert_dropped();
	assert_reason(REASON_WRONG_STATE);
	assert_false(set->aborted);
	answer_challenge(set);
	assert_forwarded();
}

static void D10_via_names_the_address_that_it_came_from(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	cseq++;
	over(set);
	request(registration("203.0.113.5:5064", both_headers(set, ANSWER CONTACT)));
	assert_replied(403);
	assert_reason(REASON_VIA_MISMATCH);
	assert_true(set->aborted);
	set = challenged(FIRST);
	cseq++;
	over(set);
	in.via = world_ip("203.0.113.5");
	request(registration("phone.example", both_headers(set, ANSWER CONTACT)));
	assert_replied(403);
	set = challenged(FIRST);
	cseq++;
	over(set);
	in.via = world_ip(UE);
	request(registration("phone.example", both_headers(set, ANSWER CONTACT)));
	assert_forwarded();
}

static void D11_no_set_no_answer(void **state)
{
	(void)state;
	clear_input();
	in.destination.port = 6100;
	request(other("INVITE", ""));
	assert_dropped();
	assert_reason(REASON_UNKNOWN_SET);
}

/* ---- the challenge is not accepted ---- */

static void a_phone_that_rejects_the_challenge_ends_its_set(void **state)
{
	static const char *const REJECTIONS[] = {
		"Authorization: Digest " USER ",nonce=\"n\",response=\"\"\r\n",
		"Authorization: Digest " USER ",nonce=\"n\",response=\"00\",auts=\"YWJj\"\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(REJECTIONS); i++) {
		struct sa_set *set = registered(), *fresh = challenged_again(set);
		uint64_t id = fresh->id;
		char headers[1024];

		snprintf(headers, sizeof(headers), "%s" CONTACT "Security-Client: " CLIENT2 "\r\n",
			 REJECTIONS[i]);
		reregister(set, headers);
		assert_forwarded();
		assert_false(world_has(id));
		assert_int_equal(set->state, SA_SET_CURRENT);
		world_check(true);
		sa_set_drop(set, "test");
	}
}

static void auts_on_the_temporary_set_passes_and_ends_it(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	cseq++;
	over(set);
	request(registration(UE ":5064",
			     both_headers(set,
					  "Authorization: Digest " USER
					  ",nonce=\"n\",response=\"\",auts=\"YQ==\"\r\n" CONTACT)));
	assert_forwarded();
	assert_false(got.integrity_protected);
	assert_true(set->aborted);
}

/* ---- integrity ---- */

static void only_the_latest_set_makes_it_yes(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);

	(void)state;
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	reregister(set, AGAIN); /* on OLD */
	assert_forwarded();
	assert_has("integrity-protected=\"no\"");
	assert_false(got.integrity_protected);
}

static void a_superseded_set_gains_no_life(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);

	(void)state;
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	reregister(set, AGAIN);
	accept_it("Expires: 90000\r\n");
	assert_int_equal(set->state, SA_SET_OLD);
	assert_int_equal(sa_set_left_s(set), 3630);
}

static void a_reregistration_stays_with_its_contact(void **state)
{
	struct sa_set *set = registered(), *fresh;

	(void)state;
	reregister(set, ANSWER "Contact: <sip:u@" UE ":5064>;+sip.instance=\"<urn:1>\"\r\n"
			       "Security-Client: " CLIENT2 "\r\n");
	response(challenge_with(KEYS));
	fresh = set_of(got.set_id);
	assert_ptr_equal(fresh->contact, set->contact);
}

static void every_authorization_says_it_and_requests_of_other_methods_do_not(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set,
		   "Authorization: Digest " USER ",realm=\"a\"\r\n"
		   "Authorization: Digest integrity-protected=\"no\", " USER "\r\n"
		   "Authorization: Other integrity-protected=\"no\"\r\n"
		   "Proxy-Authorization: Digest " USER ",integrity-protected=\"yes\"\r\n" CONTACT);
	assert_has("Digest " USER ",realm=\"a\", integrity-protected=\"yes\"\r\n");
	assert_has("Digest " USER ", integrity-protected=\"yes\"\r\n");
	assert_has("Other integrity-protected=\"no\"\r\n");
	assert_has("Proxy-Authorization: Digest " USER "\r\n");
	over(set);
	request(other("INVITE", "Authorization: Digest " USER ",integrity-protected=\"yes\"\r\n"));
	assert_forwarded();
	assert_has("Authorization: Digest " USER "\r\n");
}

/* Whoever reads it more leniently than we do would believe the phone. */
static void credentials_that_nobody_can_read_do_not_pass(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, "Authorization: Digest " USER ",realm=\"a\"\r\n"
			"Proxy-Authorization: Digest a,integrity-protected=\"yes\"b\r\n"
			"Proxy-Authorization: Other a,b\r\n" CONTACT);
	assert_has("\r\nAuthorization: Digest " USER ",realm=\"a\", "
		   "integrity-protected=\"yes\"\r\n");
	assert_not("Digest a");
	assert_has("\r\nProxy-Authorization: Other a,b\r\n");
	over(set);
	request(other("INVITE", "Authorization: Digest a,integrity-protected=\"yes\"b\r\n"));
	assert_forwarded();
	assert_not("Authorization");
}

static void a_register_without_authorization_is_named_by_its_To(void **state)
{
	(void)state;
	assert_string_equal(challenged(CONTACT "Security-Client: " CLIENT "\r\n")->impi,
			    "u@ims.example");
}

/* ---- other requests ---- */

static void B7_a_protected_request_passes_without_the_security_headers(void **state)
{
	struct sa_set *set = registered();
	char headers[4200];

	(void)state;
	snprintf(headers, sizeof(headers),
		 "Require: sec-agree\r\nProxy-Require: sec-agree,x\r\nSecurity-Verify: %s\r\n"
		 "Content-Length: 0\r\n",
		 world_text(set->security_server));
	over(set);
	request(other("INVITE", headers));
	assert_forwarded();
	assert_int_equal(got.row, 5);
	assert_not("Security-");
	assert_not("sec-agree");
	assert_has("\r\nProxy-Require: x\r\n");
	assert_false(got.has_integrity);
}

static void B5_a_wrong_list_in_a_request_gets_494_with_the_right_one(void **state)
{
	struct sa_set *set = registered();
	char line[4200];

	(void)state;
	over(set);
	request(other("INVITE", "Security-Verify: tls\r\n"));
	assert_replied(494);
	snprintf(line, sizeof(line), "\r\nSecurity-Server: %s\r\n", world_text(set->security_server));
	assert_has(line);
	assert_way_over(set);
	assert_int_equal(got.set_id, set->id);
}

static void B5_each_request_may_have_to_have_a_security_verify(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);
	char line[4200];

	(void)state;
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	assert_int_equal(fresh->state, SA_SET_NEW);
	world.config.listeners[0].decide.verify_always = true;
	over(fresh);
	request(other("INVITE", ""));
	assert_replied(494);
	assert_int_equal(got.row, 6);
	assert_reason(REASON_VERIFY_MISMATCH);
	snprintf(line, sizeof(line), "\r\nSecurity-Server: %s\r\n", world_text(fresh->security_server));
	assert_has(line);
	assert_int_equal(fresh->state, SA_SET_NEW); /* what was refused takes nothing into use */
	request(other("PRACK", ""));
	assert_forwarded();
	cseq++;
	request(registration(UE ":5064", ANSWER CONTACT));
	assert_replied(403);
	snprintf(line, sizeof(line), "Security-Verify: %s\r\n", world_text(fresh->security_server));
	request(other("INVITE", line));
	assert_forwarded();
}

static void M2_an_ACK_is_never_answered_and_a_PRACK_not_held_against_it(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	over(set);
	request(other("ACK", "Security-Verify: tls\r\n"));
	assert_forwarded();
	assert_not("Security-Verify");
	request(other("PRACK", "Security-Verify: tls\r\n"));
	assert_forwarded();
	request(other("CANCEL", "Security-Verify: tls\r\nSecurity-Client: tls\r\n"));
	assert_forwarded();
	assert_not("Security-");
	clear_input();
	request(other("ACK", ""));
	assert_dropped();
	request(other("CANCEL", ""));
	assert_dropped();
	in.destination.port = 6100;
	request(other("ACK", ""));
	assert_dropped();
}

static void R1_R2_R3_R4_B3_B8_B10_a_clear_request_is_told_what_to_do(void **state)
{
	static const struct {
		const char *headers;
		unsigned code, row;
	} CASES[] = {
		{"Require: sec-agree\r\n", 494, 2},   {"Proxy-Require: x, SEC-AGREE\r\n", 494, 2},
		{"k: sec-agree\r\n", 494, 3},         {"", 421, 4},
		{"v: SIP/2.0/UDP other\r\n", 502, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		clear_input();
		request(other("INVITE", CASES[i].headers));
		assert_replied(CASES[i].code);
		assert_int_equal(got.row, CASES[i].row);
		assert_way(5060, 5064);
		if (CASES[i].code == 502) {
			assert_not("Security-Server");
			continue;
		}
		assert_has("\r\nSecurity-Server: ipsec-3gpp;q=0.9;");
		assert_not("spi-c");
		assert_has("\r\nRequire: sec-agree\r\n");
	}
}

static void B1_the_list_is_the_same_whatever_is_offered(void **state)
{
	static const char *const OFFERS[] = {"tls", "foo;a=\"b,c\"", CLIENT};
	char *first = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(OFFERS); i++) {
		char headers[512], *list;

		snprintf(headers, sizeof(headers), "Require: sec-agree\r\nSecurity-Client: %s\r\n",
			 OFFERS[i]);
		clear_input();
		request(other("MESSAGE", headers));
		assert_replied(494);
		list = strstr(got.message, "Security-Server");
		assert_non_null(list);
		*strstr(list, "\r\n") = '\0';
		if (first)
			assert_string_equal(list, first);
		else
			first = strdup(list);
	}
	free(first);
}

static void B4_the_answer_says_what_starts_the_mechanism_in_common(void **state)
{
	static const char *const LIST[] = {"ipsec-3gpp", "digest;d-alg=MD5", "tls", NULL};

	(void)state;
	world_mechanisms(LIST);
	clear_input();
	request(other("OPTIONS",
		      "Require: sec-agree\r\nSecurity-Client: tls;q=1, digest;q=0.1\r\n"));
	assert_replied(494);
	assert_true(got.has_start);
	assert_int_equal(got.start, CHOOSE_START_CHALLENGE);
	request(other("OPTIONS", "Require: sec-agree\r\nSecurity-Client: foo\r\n"));
	assert_replied(494);
	assert_false(got.has_start);
}

static const char *const MORE[] = {"tls;q=0.7", "ipsec-3gpp;q=0.5",
				   "digest;d-alg=MD5;d-qop=auth;q=0.1", NULL};

static void B1_B2_a_register_gets_one_list_whatever_it_offers(void **state)
{
	static const char *const OFFERS[] = {"Security-Client: tls\r\n",
					     "Security-Client: foo;a=\"b,c\";q=0.1\r\n",
					     "Security-Client: digest\r\nSecurity-Client: tls\r\n",
					     ""};

	(void)state;
	world_mechanisms(MORE);
	for (size_t i = 0; i < COUNT_OF(OFFERS); i++) {
		char headers[512];

		snprintf(headers, sizeof(headers), EMPTY CONTACT "Require: sec-agree\r\n%s",
			 OFFERS[i]);
		first_register(headers);
		assert_replied(494);
		assert_has("\r\nSecurity-Server: tls;q=0.7, "
			   "ipsec-3gpp;q=0.5;alg=null;ealg=aes-gcm;prot=esp;mod=trans, "
			   "ipsec-3gpp;q=0.499;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans, "
			   "ipsec-3gpp;q=0.498;alg=aes-gmac;ealg=null;prot=esp;mod=trans, "
			   "ipsec-3gpp;q=0.497;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans, "
			   "digest;q=0.1;d-alg=MD5;d-qop=auth\r\nRequire: sec-agree\r\n");
	}
}

static void B5_a_whole_list_of_several_mechanisms_is_sent_and_compared(void **state)
{
	struct sa_set *set;
	char *q;

	(void)state;
	world_mechanisms(MORE);
	set = challenged(FIRST);
	assert_has("\r\nSecurity-Server: tls;q=0.7, ipsec-3gpp;q=0.5;");
	assert_has(", digest;q=0.1;d-alg=MD5;d-qop=auth\r\n");
	cseq++;
	over(set);
	registration(UE ":5064", both_headers(set, ANSWER CONTACT));
	q = strstr(strstr(text, "Security-Verify"), "digest;q=0.");
	q[11] ^= 1;
	request(text);
	assert_replied(403);
	assert_reason(REASON_VERIFY_MISMATCH);
	set = registered();
	assert_int_equal(set->state, SA_SET_CURRENT);
}

/* The phone chooses by the list: the answer to its REGISTER has all that starts either. */
static void B4_a_set_is_made_too_where_another_mechanism_is_preferred(void **state)
{
	static const char *const LIST[] = {"digest;q=0.9", "ipsec-3gpp;q=0.5", NULL};
	const struct sa_set *set;

	(void)state;
	world_mechanisms(LIST);
	set = challenged(FIRST "Security-Client: digest\r\n");
	assert_int_equal(set->state, SA_SET_TEMPORARY);
	assert_has("\r\nWWW-Authenticate: Digest ");
	assert_has("\r\nSecurity-Server: digest;q=0.9, ipsec-3gpp;q=0.5;");
}

static void a_register_where_ipsec_3gpp_is_not_listed_begins_no_agreement(void **state)
{
	static const char *const LIST[] = {"digest;d-alg=MD5", NULL};

	(void)state;
	world_mechanisms(LIST);
	first_register(FIRST "Security-Client: digest\r\n");
	assert_replied(494);
	assert_has("\r\nSecurity-Server: digest;q=0.9;d-alg=MD5\r\n");
	assert_true(got.has_start);
	assert_int_equal(got.start, CHOOSE_START_CHALLENGE);
	world.config.listeners[0].decide.register_without_ipsec = DECIDE_CLEAR_FORWARD;
	first_register(FIRST);
	assert_forwarded();
	assert_int_equal(got.row, 8);
	clear_input();
	response(challenge_with(KEYS));
	assert_forwarded();
	assert_not("Security-Server");
	assert_int_equal(world_sets(), 0);
}

static void B4_a_reregistration_that_cannot_have_a_set_is_told_what_else_starts(void **state)
{
	struct sa_set *set;

	(void)state;
	world_mechanisms(MORE);
	set = registered();
	reregister(set, ANSWER CONTACT "Security-Client: digest, tls\r\n");
	assert_forwarded();
	clear_input();
	response(challenge_with(KEYS));
	assert_replied(494);
	assert_reason(REASON_NO_COMMON_MECHANISM);
	assert_true(got.has_start);
	assert_int_equal(got.start, CHOOSE_START_TLS_CONNECTION);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void R8_a_register_without_ipsec_is_told_so(void **state)
{
	(void)state;
	first_register(EMPTY CONTACT);
	assert_replied(421);
	first_register(EMPTY CONTACT "Require: sec-agree\r\nSecurity-Client: tls\r\n");
	assert_replied(494);
	first_register(EMPTY CONTACT "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96\r\n");
	assert_replied(400);
	assert_reason(REASON_BAD_HEADER);
	assert_int_equal(sip_pending_count(flow->pending), 0);
}

static void a_bad_offer_on_an_established_set_is_told(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	reregister(set, ANSWER CONTACT "Security-Client: ipsec-3gpp;alg=x;spi-c=0\r\n");
	assert_replied(400);
	assert_reason(REASON_BAD_HEADER);
	assert_way_over(set);
}

static void R10_an_emergency_passes_in_clear(void **state)
{
	(void)state;
	clear_input();
	other("INVITE", "");
	memcpy(strstr(text, "sip:v@ims.example"), "urn:service:sos.x", 17);
	request(text);
	assert_forwarded();
	assert_int_equal(got.row, 10);
	in.emergency = true;
	request(other("BYE", ""));
	assert_forwarded();
	in.emergency = false;
	request(other("BYE", ""));
	assert_replied(421);
}

static void E8_an_emergency_registration_is_a_contact_of_its_own(void **state)
{
	struct sa_set *set = registered(), *sos;

	(void)state;
	sos = challenged(EMPTY "Contact: <sip:u@" UE ":5074;sos>\r\nSecurity-Client: ipsec-3gpp;"
			       "alg=aes-gmac;spi-c=3001;spi-s=3002;port-c=5072;port-s=5074\r\n");
	assert_ptr_not_equal(sos->contact, set->contact);
	assert_ptr_equal(sos->contact->identity, set->contact->identity);
	answer_challenge(sos);
	accept_it("Expires: 600\r\n");
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_int_equal(sos->state, SA_SET_CURRENT);
}

static void the_devices_of_one_user_behind_one_address_are_told_apart(void **state)
{
	struct sa_set *a, *b;

	(void)state;
	a = challenged(EMPTY "Contact: <sip:u@" UE ":5064>;+sip.instance=\"<urn:1>\";reg-id=1\r\n"
			     "Security-Client: " CLIENT "\r\n");
	b = challenged(EMPTY "Contact: <sip:u@" UE ":5074>;+sip.instance=\"<urn:2>\";reg-id=1\r\n"
			     "Security-Client: ipsec-3gpp;alg=aes-gmac;spi-c=3001;spi-s=3002;"
			     "port-c=5072;port-s=5074\r\n");
	assert_ptr_not_equal(a->contact, b->contact);
	assert_int_equal(world_sets(), 2);
}

static void B11_without_the_extension_only_the_phones_integrity_goes(void **state)
{
	(void)state;
	world.config.listeners[0].decide.sec_agree = false;
	first_register("Require: sec-agree\r\nAuthorization: Digest " USER
		       ",integrity-protected=\"yes\"\r\nSecurity-Client: tls\r\n");
	assert_forwarded();
	assert_has("Require: sec-agree\r\n");
	assert_has("Security-Client: tls\r\n");
	assert_has("Digest " USER ", integrity-protected=\"no\"\r\n");
	clear_input();
	request(other("INVITE", "Require: sec-agree\r\nSecurity-Verify: x\r\n"));
	assert_forwarded();
	assert_string_equal(got.message,
			    other("INVITE", "Require: sec-agree\r\nSecurity-Verify: x\r\n"));
}

static void B12_tls_is_protected_where_it_is_said(void **state)
{
	static const char *const LIST[] = {"tls", "ipsec-3gpp", NULL};
	char headers[2048], *list;

	(void)state;
	world_mechanisms(LIST);
	clear_input();
	in.transport = SIP_TLS;
	request(other("INVITE", ""));
	assert_replied(421);
	list = strstr(got.message, "Security-Server: ") + 17;
	snprintf(headers, sizeof(headers), "Require: sec-agree\r\nSecurity-Verify: %.*s\r\n",
		 (int)strcspn(list, "\r"), list);
	world.config.listeners[0].decide.tls_is_protected = true;
	request(other("INVITE", ""));
	assert_forwarded();
	request(other("INVITE", headers));
	assert_forwarded();
	assert_not("Security-Verify");
	headers[strlen(headers) - 3] ^= 1;
	request(other("INVITE", headers));
	assert_replied(494);
	assert_way(5060, 5060); /* the connection */
}

static void N2_behind_a_nat_only_what_crosses_it_is_taken(void **state)
{
	const struct sa_set *set;

	(void)state;
	cseq++;
	clear_input();
	request(registration("10.0.0.2:5060", FIRST));
	assert_dropped();
	assert_reason(REASON_NAT_REFUSED);
	world_mechanisms(MORE); /* tls crosses a NAT */
	cseq++;
	request(registration("10.0.0.2:5060", FIRST));
	assert_dropped();
	cseq++;
	request(registration("10.0.0.2:5060", FIRST "Security-Client: tls\r\n"));
	assert_replied(494);
	assert_true(got.has_start);
	assert_int_equal(got.start, CHOOSE_START_TLS_CONNECTION);
	cseq++;
	request(registration("10.0.0.2:5060",
			     EMPTY CONTACT "Security-Client: " CLIENT ";mod=UDP-enc-tun\r\n"));
	assert_forwarded();
	response(challenge_with(KEYS));
	assert_forwarded();
	set = set_of(got.set_id);
	assert_int_equal(set->suite.mod, IPSEC_MOD_UDP_ENC_TUN);
}

static void C11_the_other_dialect_is_served(void **state)
{
	struct sa_set *set =
		challenged(EMPTY CONTACT "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;"
					 "spi=33333333;port1=5064;port2=5064\r\n");

	(void)state;
	assert_has(";port1=");
	cseq++;
	clear_input();
	in.source.port = 5064;
	in.destination.port = set->pcscf.port1;
	request(registration(UE ":5064", both_headers(set, ANSWER CONTACT)));
	assert_forwarded();
	accept_it("Expires: 3600\r\n");
	assert_way(set->pcscf.port1, 5064);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void over_TCP_everything_goes_back_as_it_came(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	cseq++;
	over(set);
	in.transport = SIP_TCP;
	request(registration(UE ":5064", both_headers(set, ANSWER CONTACT)));
	assert_forwarded();
	accept_it("Expires: 3600\r\n");
	assert_way(6100, 5062);
	over(set);
	in.transport = SIP_TCP;
	request(other("INVITE", "Security-Verify: tls\r\n"));
	assert_replied(494);
	assert_way(6100, 5062);
}

/* ---- to the phone, and its responses ---- */

static void a_request_to_the_phone_takes_the_set_in_use(void **state)
{
	struct sa_set *set = registered(), *fresh;

	(void)state;
	clear_input();
	in.source = (struct sip_place){0};
	in.destination = place(UE, 5064);
	request_to_phone(other("OPTIONS", "X: y\r\n"));
	assert_forwarded();
	assert_string_equal(got.message, other("OPTIONS", "X: y\r\n"));
	assert_way_over(set);
	fresh = challenged_again(set);
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	in.destination = place(UE, 5064);
	request_to_phone(other("OPTIONS", ""));
	assert_way_over(set); /* E7 */
	over(fresh);
	request(other("OPTIONS", ""));
	in.destination = place(UE, 5064);
	request_to_phone(other("OPTIONS", ""));
	assert_way_over(fresh);
}

static void a_request_to_the_phone_finds_it_by_its_uri_or_says_that_it_is_gone(void **state)
{
	struct sa_set *set = registered();
	const char *message =
		"OPTIONS sip:u@" UE ":5064 SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n"
		"From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";

	(void)state;
	in = (struct sip_input){0};
	request_to_phone(message);
	assert_forwarded();
	assert_way_over(set);
	sa_set_drop(set, "test");
	request_to_phone(message);
	assert_replied(480);
	assert_reason(REASON_UNKNOWN_SET);
	assert_false(got.has_way);
	request_to_phone(other("ACK", ""));
	assert_dropped();
}

static const char *to_invite(const char *via, const char *status)
{
	snprintf(text, sizeof(text),
		 "SIP/2.0 %s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi\r\nFrom: <sip:a@b>;tag=1\r\n"
		 "To: <sip:c@d>;tag=2\r\nCall-ID: d\r\nCSeq: 1 INVITE\r\n\r\n",
		 status, via);
	return text;
}

static void D16_a_response_to_the_phone_takes_the_set_in_use_or_the_connection(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	in = (struct sip_input){0};
	response(to_invite(UE ":5064", "180 Ringing"));
	assert_forwarded();
	assert_way_over(set);
	in.source = place("192.0.2.1", 6100);
	in.destination = place(UE, 5062);
	response(to_invite("phone.example", "200 OK"));
	assert_way_over(set);
	in.transport = SIP_TCP;
	response(to_invite("phone.example", "200 OK"));
	assert_way(6100, 5062);
	in = (struct sip_input){0};
	response(to_invite("203.0.113.77:5064", "200 OK"));
	assert_forwarded();
	assert_false(got.has_way);
}

static void D14_responses_of_the_phone_are_held_against_their_set(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	over(set);
	response_from_phone(to_invite("192.0.2.1:6100", "200 OK"));
	assert_forwarded();
	assert_int_equal(got.set_id, set->id);
	in.source.port = 4444;
	response_from_phone(to_invite("192.0.2.1:6100", "200 OK"));
	assert_dropped();
	clear_input();
	response_from_phone(to_invite("192.0.2.1:5060", "200 OK"));
	assert_dropped();
	response_from_phone(to_invite("192.0.2.1:5060", "486 Busy Here"));
	assert_forwarded();
	response_from_phone(
		to_invite("192.0.2.1:6100", "486 Busy Here")); /* to a request over SAs */
	assert_dropped();
	in.emergency = true;
	response_from_phone(to_invite("192.0.2.1:5060", "200 OK"));
	assert_forwarded();
}

static void a_first_message_on_a_new_set_may_be_a_response(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);

	(void)state;
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	assert_int_equal(fresh->state, SA_SET_NEW);
	over(fresh);
	response_from_phone(to_invite("192.0.2.1:6100", "200 OK"));
	assert_int_equal(fresh->state, SA_SET_CURRENT);
}

/* ---- rows of the norm in whole messages ---- */

static void A8_headers_where_they_do_not_belong_are_ignored(void **state)
{
	static const char *const STRANGE[] = {"Security-Server: tls\r\n", "Security-Server: ;;\r\n"};
	const char *plain = "Content-Length: 0\r\n";
	struct sa_set *set;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(STRANGE); i++) {
		clear_input();
		request(other("INVITE", STRANGE[i]));
		assert_replied(421);
		assert_int_equal(got.row, 4);
	}
	set = registered();
	for (size_t i = 0; i < COUNT_OF(STRANGE); i++) {
		char headers[200];

		snprintf(headers, sizeof(headers), "%sSecurity-Client: ;;\r\n%s", STRANGE[i], plain);
		over(set);
		request(other("INVITE", headers));
		assert_forwarded();
		assert_string_equal(got.message, other("INVITE", plain));
	}
}

static const char *ringing_with(const char *status, const char *headers)
{
	snprintf(text, sizeof(text),
		 "SIP/2.0 %s\r\nVia: SIP/2.0/UDP " UE ":5064;branch=z9hG4bKi\r\n"
		 "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: d\r\n"
		 "CSeq: 1 INVITE\r\n%s\r\n", status, headers);
	return text;
}

static void A8_a_list_reaches_the_phone_in_401_421_and_494_only(void **state)
{
	static const char list[] = "Security-Server: tls\r\n";
	struct sa_set *set;

	(void)state;
	first_register(FIRST);
	response(challenge_with(KEYS "\r\nSecurity-Server: tls"));
	assert_not("Security-Server: tls");
	assert_has("Security-Server: ipsec-3gpp");
	set = set_of(got.set_id);
	answer_challenge(set);
	accept_it("Security-Server: tls\r\nExpires: 3600\r\n");
	assert_not("Security-Server");
	in = (struct sip_input){0};
	response(ringing_with("183 Session Progress", list));
	assert_string_equal(got.message, ringing_with("183 Session Progress", ""));
	response(ringing_with("200 OK", list));
	assert_string_equal(got.message, ringing_with("200 OK", ""));
	response(ringing_with("494 Security Agreement Required", list)); /* of somebody behind us */
	assert_string_equal(got.message, ringing_with("494 Security Agreement Required", list));
	assert_way_over(set);
}

static void A8_a_response_of_the_phone_passes_without_the_three_headers(void **state)
{
	struct sa_set *set = registered();
	const char *with = "Security-Server: tls\r\nSecurity-Verify: tls\r\nX: y\r\n"
			   "Security-Client: ;;\r\nRequire: sec-agree,100rel\r\n";

	(void)state;
	over(set);
	response_from_phone(ringing_with("183 Session Progress", with));
	assert_forwarded();
	assert_string_equal(got.message, ringing_with("183 Session Progress",
						      "X: y\r\nRequire: 100rel\r\n"));
}

static void A9_compact_names_are_other_headers(void **state)
{
	static const char *const NAMES[] = {"s", "sc", "z"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
		char headers[512];

		snprintf(headers, sizeof(headers), EMPTY CONTACT "%s: " CLIENT "\r\n", NAMES[i]);
		first_register(headers);
		assert_replied(421);
		snprintf(headers, sizeof(headers), "%s: tls\r\n" FIRST, NAMES[i]);
		first_register(headers);
		assert_forwarded();
		snprintf(headers, sizeof(headers), "\r\n%s: tls\r\n", NAMES[i]);
		assert_has(headers);
	}
}

static void B6_sec_agree_goes_and_nothing_else_changes(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	over(set);
	request(other("INVITE", "Require: sec-agree, 100rel\r\nProxy-Require: Sec-Agree\r\n"
				"require:sec-agree\r\nSupported: sec-agree , path\r\n"
				"Proxy-Require: a,sec-agree\r\n"));
	assert_forwarded();
	assert_string_equal(got.message,
			    other("INVITE", "Require: 100rel\r\nSupported: sec-agree , path\r\n"
					    "Proxy-Require: a\r\n"));
}

static void B11_the_extension_is_switched_for_each_listener(void **state)
{
	const char *headers = "Require: sec-agree\r\nSecurity-Client: tls\r\n";

	(void)state;
	world.config.listeners[1] = world.config.listeners[0];
	world.config.listeners[1].address = world_ip("192.0.2.2");
	world.config.listeners[1].decide.sec_agree = false;
	world.config.listener_count = 2;
	clear_input();
	request(other("INVITE", headers));
	assert_replied(494);
	in.destination = place("192.0.2.2", 5060);
	request(other("INVITE", headers));
	assert_forwarded();
	assert_string_equal(got.message, other("INVITE", headers));
}

/* The way that a request to the phone is shown is that of one of our outbound SAs. */
static void B13_the_agreed_sas_carry_requests_to_the_phone(void **state)
{
	struct sa_set *set = registered();
	const struct xfrm_sa_id id = {.dst = set->ue_address, .spi = 1002, .proto = IPPROTO_ESP};
	const struct fake_sa *down = fake_xfrm_sa(&id);

	(void)state;
	clear_input();
	in.source = (struct sip_place){0};
	in.destination = place(UE, 5064);
	request_to_phone(other("INVITE", ""));
	assert_forwarded();
	assert_int_equal(got.set_id, set->id);
	assert_non_null(down);
	assert_true(ip_equal(&down->sa.sel.src, &got.send_from.address));
	assert_true(ip_equal(&down->sa.sel.dst, &got.send_to.address));
	assert_int_equal(down->sa.sel.sport, got.send_from.port);
	assert_int_equal(down->sa.sel.dport, got.send_to.port);
	assert_int_equal(down->sa.sel.dport, 5064);
}

static void B16_the_sas_live_as_long_as_the_registration(void **state)
{
	struct sa_set *set = registered();
	const int64_t slack_s = set->listener->timers.kernel_slack_s;

	(void)state;
	assert_int_equal(sa_set_left_s(set), 3600 + 30);
	assert_int_equal(world_kernel_left_s(set), 3600 + 30 + slack_s);
	fake_clock_advance_s(3000);
	reregister(set, AGAIN);
	accept_it("Contact: <sip:u@" UE ":5064>;expires=7200\r\n");
	assert_int_equal(world_kernel_left_s(set), 7200 + 30 + slack_s);
	fake_clock_advance_s(7200 + 29);
	assert_int_equal(fake_xfrm.sa_count, 4);
	fake_clock_advance_s(1);
	assert_int_equal(fake_xfrm.sa_count, 0);
	assert_int_equal(world_sets(), 0);
}

static void C2_aes_gcm_is_a_128_bit_key_and_a_16_octet_ICV_in_the_kernel(void **state)
{
	uint8_t ck[16];

	(void)state;
	assert_int_equal(text_from_hex(span_of(CK), ck, sizeof(ck)), 0);
	challenged(EMPTY CONTACT
		   "Security-Client: ipsec-3gpp;alg=null;ealg=aes-gcm" NUMBERS "\r\n");
	for (size_t i = 0; i < 4; i++) {
		const struct fake_step *step = fake_xfrm_step(FAKE_ADD_SA, i);
		const struct xfrm_algo_info *info = xfrm_algo_info(step->sa.enc.algo);

		assert_int_equal(step->sa.auth.algo, XFRM_ALGO_NONE);
		assert_string_equal(info->name, "rfc4106(gcm(aes))");
		assert_int_equal(info->icv_bits, 16 * 8);
		assert_int_equal(info->key_bytes, 128 / 8 + 4); /* and the salt, RFC 4106 8.1 */
		assert_memory_equal(step->sa.enc.bytes, ck, sizeof(ck));
	}
}

static void C10_a_register_with_entries_for_media_alone_offers_nothing(void **state)
{
	(void)state;
	first_register(EMPTY CONTACT "Security-Client: sdes-srtp;mediasec, " CLIENT ";mediasec\r\n");
	assert_replied(421);
	first_register(EMPTY CONTACT "Security-Client: sdes-srtp;mediasec, " CLIENT "\r\n");
	assert_forwarded();
	assert_int_equal(got.row, 7);
}

static void R8_a_register_without_ipsec_is_the_policys(void **state)
{
	enum decide_clear *policy = &world.config.listeners[0].decide.register_without_ipsec;

	(void)state;
	*policy = DECIDE_CLEAR_FORBID;
	first_register(EMPTY CONTACT "Security-Client: tls\r\n");
	assert_replied(403);
	assert_int_equal(got.row, 8);
	*policy = DECIDE_CLEAR_DISCARD;
	first_register(EMPTY CONTACT);
	assert_dropped();
	assert_int_equal(got.row, 8);
	*policy = DECIDE_CLEAR_FORWARD;
	first_register(EMPTY CONTACT "Require: sec-agree\r\nSecurity-Client: tls\r\n");
	assert_forwarded();
	assert_int_equal(got.row, 8);
	assert_not("Security-Client");
	assert_not("sec-agree");
	response(to_registration("200 OK", CONTACT));
	assert_forwarded();
	assert_int_equal(world_sets(), 0);
}

static void R9_another_clear_request_is_the_policys(void **state)
{
	enum decide_clear *policy = &world.config.listeners[0].decide.other_clear;

	(void)state;
	clear_input();
	*policy = DECIDE_CLEAR_FORBID;
	request(other("INVITE", "Require: sec-agree\r\n"));
	assert_replied(403);
	assert_int_equal(got.row, 9);
	assert_not("Security-Server");
	request(other("ACK", ""));
	assert_dropped();
	*policy = DECIDE_CLEAR_DISCARD;
	request(other("INVITE", "v: SIP/2.0/UDP other\r\n"));
	assert_dropped();
	assert_int_equal(got.row, 9);
}

static void S7_an_empty_or_unreadable_list_is_another_one(void **state)
{
	static const char *const LISTS[] = {"", ";;", "ipsec-3gpp;q=0.1, tls;q=0.1"};
	struct sa_set *set = registered();

	(void)state;
	over(set);
	for (size_t i = 0; i < COUNT_OF(LISTS); i++) {
		char headers[100];

		snprintf(headers, sizeof(headers), "Security-Verify: %s\r\n", LISTS[i]);
		request(other("INVITE", headers));
		assert_replied(494);
		assert_int_equal(got.row, 6);
	}
}

/* ---- contacts, identities, places ---- */

#define DEVICE(ip, port, reg) "Contact: <sip:u@" ip ":" port ">;+sip.instance=\"<urn:1>\"" reg "\r\n"
#define CLIENT3                                                                                    \
	"ipsec-3gpp;alg=aes-gmac;spi-c=3001;spi-s=3002;port-c=5072;port-s=5074"

/* A REGISTER in clear from @ip, challenged, answered and accepted. */
static struct sa_set *registered_from(const char *ip, const char *contact, const char *client)
{
	char headers[1024], via[64];
	struct sa_set *set;

	snprintf(via, sizeof(via), "%s:5060", ip);
	snprintf(headers, sizeof(headers), EMPTY "%sSecurity-Client: %s\r\n", contact, client);
	cseq++;
	clear_input();
	in.source = place(ip, 5060);
	request(registration(via, headers));
	assert_forwarded();
	clear_input();
	response(challenge_with(KEYS));
	set = set_of(got.set_id);
	cseq++;
	over(set);
	in.source.address = world_ip(ip);
	snprintf(headers, sizeof(headers), ANSWER "%s", contact);
	request(registration(via, both_headers(set, headers)));
	assert_forwarded();
	accept_it("Expires: 3600\r\n");
	assert_int_equal(set->state, SA_SET_CURRENT);
	world_check(true);
	return set;
}

static void D1_the_SAs_have_the_addresses_of_the_packets(void **state)
{
	const struct ip_addr phone = world_ip(UE), us = world_ip("192.0.2.1");
	struct sa_set *set = challenged(FIRST);
	struct plan plan;

	(void)state;
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count; i++) {
		const bool is_in = i < 2;
		const struct fake_sa *sa = fake_xfrm_sa(&plan.sas[i].id);

		assert_true(ip_equal(&sa->sa.src, is_in ? &phone : &us));
		assert_true(ip_equal(&sa->sa.id.dst, is_in ? &us : &phone));
	}
	cseq++;
	over(set);
	in.source.address = world_ip("198.51.100.8");
	request(registration(UE ":5064", both_headers(set, ANSWER CONTACT)));
	assert_dropped();
	assert_reason(REASON_UNKNOWN_SET);
}

static void D10_an_address_is_the_same_in_all_its_forms(void **state)
{
	static const char *const FORMS[] = {"[::ffff:" UE "]", "[::FFFF:c633:6407]",
					    "[0:0:0:0:0:ffff:c633:6407]"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
		struct sa_set *set = challenged(FIRST);

		cseq++;
		over(set);
		request(registration(FORMS[i], both_headers(set, ANSWER CONTACT)));
		assert_forwarded();
		sa_set_drop(set, "test");
	}
}

static void D10_what_is_no_address_is_what_the_front_end_says(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	cseq++;
	over(set);
	in.via = world_ip(UE);
	request(registration("[fe80::1%eth0]", AGAIN)); /* a zone is nobody else's */
	assert_forwarded();
	cseq++;
	in.via = world_ip("198.51.100.8");
	request(registration("phone.example", AGAIN));
	assert_replied(403);
	assert_reason(REASON_VIA_MISMATCH);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void D14_in_clear_only_REGISTER_and_emergencies_pass(void **state)
{
	static const char *const METHODS[] = {"INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "BYE"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(METHODS); i++) {
		clear_input();
		request(other(METHODS[i], ""));
		assert_int_not_equal(got.action, DECIDE_FORWARD);
		in.emergency = true;
		request(other(METHODS[i], ""));
		assert_forwarded();
		assert_int_equal(got.row, 10);
	}
	first_register(FIRST);
	assert_forwarded();
}

static void D16_an_answer_of_ours_takes_the_set_in_use_too(void **state)
{
	struct sa_set *set = registered(), *fresh = challenged_again(set);

	(void)state;
	answer_challenge(fresh);
	accept_it("Expires: 3600\r\n");
	over(set);
	request(other("INVITE", "Security-Verify: tls\r\n"));
	assert_replied(494);
	assert_way_over(set); /* E7: the new one is not in use yet */
	over(fresh);
	request(other("INVITE", ""));
	over(set);
	request(other("INVITE", "Security-Verify: tls\r\n"));
	assert_replied(494);
	assert_way_over(fresh);
}

static void D16_a_request_that_passes_says_where_its_responses_leave_from(void **state)
{
	struct sa_set *set = challenged(FIRST), *fresh;

	(void)state;
	answer_challenge(set);
	assert_true(got.way_is_of_replies);
	assert_way_over(set);
	accept_it("Expires: 3600\r\n");
	assert_false(got.way_is_of_replies);
	fresh = challenged_again(set);
	answer_challenge(fresh);
	assert_true(got.way_is_of_replies);
	assert_way_over(fresh); /* E6: a REGISTER's is its own */
	accept_it("Expires: 3600\r\n");
	over(set);
	request(other("MESSAGE", ""));
	assert_forwarded();
	assert_true(got.way_is_of_replies);
	assert_way_over(set); /* E7 */
	over(fresh);
	request(other("MESSAGE", ""));
	assert_way_over(fresh);
	over(set);
	request(other("MESSAGE", ""));
	assert_way_over(fresh);
	in.transport = SIP_TCP;
	request(other("MESSAGE", ""));
	assert_way(6100, 5062);
}

static void N7_behind_a_nat_the_answer_names_the_public_address(void **state)
{
	static const struct {
		const char *via;
		bool passes;
	} CASES[] = {{UE ":5064", true}, {"10.0.0.2:5064", false}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		struct sa_set *set;

		cseq++;
		clear_input();
		request(registration("10.0.0.2:5060", EMPTY CONTACT "Security-Client: " CLIENT
							      ";mod=UDP-enc-tun\r\n"));
		response(challenge_with(KEYS));
		set = set_of(got.set_id);
		cseq++;
		over(set);
		request(registration(CASES[i].via, both_headers(set, ANSWER CONTACT)));
		assert_int_equal(set->aborted, !CASES[i].passes);
		if (CASES[i].passes) {
			assert_forwarded();
		} else {
			assert_replied(403);
			assert_reason(REASON_VIA_MISMATCH);
		}
		sa_set_drop(set, "test");
	}
}

static void E6_before_a_challenge_failures_go_back_as_the_register_came(void **state)
{
	struct sa_set *set;

	(void)state;
	first_register(FIRST);
	clear_input();
	response(to_registration("500 Server Internal Error", ""));
	assert_forwarded();
	assert_way(5060, 5060);
	set = registered();
	reregister(set, AGAIN);
	clear_input();
	response(to_registration("500 Server Internal Error", ""));
	assert_forwarded();
	assert_way_over(set);
}

static void fails_with(struct sa_set *set, const char *status)
{
	answer_challenge(set);
	clear_input();
	response(to_registration(status, ""));
	assert_forwarded();
}

static void E6_without_a_set_before_a_refused_answer_is_told_on_its_own(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	fails_with(set, "403 Forbidden");
	assert_way_over(set);
}

static void E6_and_another_failure_in_clear_as_the_register_came(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	fails_with(set, "504 Server Time-out");
	assert_way(5060, 5060);
}

/* After a restart nobody knows it any more. */
static void E6_or_on_its_own_where_that_is_not_known(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	set->clear_local_port = set->clear_remote_port = 0;
	fails_with(set, "504 Server Time-out");
	assert_way_over(set);
}

static void E8_flows_of_one_device_are_contacts_of_their_own(void **state)
{
	struct sa_set *one = registered_from(UE, DEVICE(UE, "5064", ";reg-id=1"), CLIENT);
	struct sa_set *two = registered_from(UE, DEVICE(UE, "5074", ";reg-id=2"), CLIENT3);

	(void)state;
	assert_int_equal(one->state, SA_SET_CURRENT);
	assert_ptr_not_equal(one->contact, two->contact);
	assert_ptr_equal(one->contact->identity, two->contact->identity);
	sa_set_release(one, 0);
	assert_int_equal(world_sets(), 1);
	assert_int_equal(two->state, SA_SET_CURRENT);
}

static void E8_a_rejected_challenge_ends_the_set_of_its_own_flow(void **state)
{
	struct sa_set *one, *two;
	uint64_t id;

	(void)state;
	one = challenged(EMPTY DEVICE(UE, "5064", ";reg-id=1") "Security-Client: " CLIENT "\r\n");
	id = one->id;
	two = challenged(EMPTY DEVICE(UE, "5074", ";reg-id=2") "Security-Client: " CLIENT3 "\r\n");
	first_register("Authorization: Digest " USER ",nonce=\"n\",response=\"\",auts=\"YQ==\"\r\n"
		       DEVICE(UE, "5064", ";reg-id=1") "Security-Client: " CLIENT "\r\n");
	assert_forwarded();
	assert_false(world_has(id));
	assert_int_equal(two->state, SA_SET_TEMPORARY);
}

static void E9_what_is_registered_along_is_de_registered_along(void **state)
{
	struct sa_set *set = challenged(FIRST);

	(void)state;
	answer_challenge(set);
	accept_it("Expires: 3600\r\nP-Associated-URI: \"U\" <sip:u@ims.example>,\r\n"
		  " <tel:+15550100;phone-context=x>;x=1, <sip:v@ims.example:5060;user=phone>\r\n");
	assert_string_equal(set->impu, "sip:u@ims.example\n\ttel:+15550100\n\tsip:v@ims.example");
	/* w registers over the set; it names no private identity, the set does */
	cseq++;
	over(set);
	registration(UE ":5064", CONTACT);
	strstr(text, "To: <sip:u@")[9] = 'w';
	request(text);
	assert_forwarded();
	assert_true(got.integrity_protected);
	accept_it("Expires: 3600\r\n");
	/* v leaves, and u with it */
	cseq++;
	registration(UE ":5064", ANSWER "Contact: *\r\nExpires: 0\r\n");
	strstr(text, "To: <sip:u@")[9] = 'v';
	over(set);
	request(text);
	accept_it("");
	assert_string_equal(set->impu, "sip:w@ims.example");
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void E11_the_same_device_at_another_address_leaves_the_old_one(void **state)
{
	struct sa_set *set = registered_from(UE, DEVICE(UE, "5064", ";reg-id=1"), CLIENT);
	const uint64_t id = set->id;

	(void)state;
	set = registered_from("198.51.100.99", DEVICE("198.51.100.99", "5064", ";reg-id=1"),
			      CLIENT);
	assert_false(world_has(id));
	assert_int_equal(world_sets(), 1);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static void E11_other_devices_and_flows_keep_their_addresses(void **state)
{
	(void)state;
	registered_from(UE, DEVICE(UE, "5064", ";reg-id=2"), CLIENT);
	registered_from("198.51.100.8", "Contact: <sip:u@198.51.100.8:5064>\r\n", CLIENT);
	registered_from("198.51.100.9",
			"Contact: <sip:u@198.51.100.9:5064>;+sip.instance=\"<urn:2>\"\r\n", CLIENT);
	registered_from("198.51.100.10", DEVICE("198.51.100.10", "5064", ";reg-id=1"), CLIENT);
	registered_from("198.51.100.11", "Contact: <sip:u@198.51.100.11:5064>\r\n", CLIENT);
	assert_int_equal(world_sets(), 5);
}

/* The ports of FIRST, with SPIs of its own. */
#define BACK                                                                                       \
	EMPTY CONTACT "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=4001;"     \
		      "spi-s=4002;port-c=5062;port-s=5064\r\n"

static void D8_a_phone_that_comes_back_with_its_port_is_taken_or_refused(void **state)
{
	struct sa_set *set = registered();

	(void)state;
	world.listener->returning_phone = CONFIG_RETURNING_PHONE_REFUSE;
	first_register(BACK);
	assert_forwarded();
	response(challenge_with(KEYS));
	assert_replied(403);
	assert_reason(REASON_FLOW_IN_USE);
	assert_int_equal(world_sets(), 1);
	assert_int_equal(set->state, SA_SET_CURRENT);
	/* what it left behind when it de-registered is no hindrance */
	reregister(set, ANSWER "Contact: *\r\nExpires: 0\r\n");
	accept_it("");
	assert_ptr_not_equal(challenged(BACK), set);
	sa_set_release(set, 0);

	world.listener->returning_phone = CONFIG_RETURNING_PHONE_ACCEPT;
	set = registered();
	assert_int_equal(challenged(BACK)->state, SA_SET_TEMPORARY);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

/* ---- no messages ---- */

static void what_is_no_message_is_dropped(void **state)
{
	(void)state;
	clear_input();
	request("nonsense");
	assert_dropped();
	assert_reason(REASON_BAD_MESSAGE);
	request(to_invite(UE, "200 OK"));
	assert_dropped();
	response(other("INVITE", ""));
	assert_dropped();
	assert_reason(REASON_BAD_MESSAGE);
}

static void an_address_without_listener_is_an_error(void **state)
{
	(void)state;
	clear_input();
	in.destination = place("192.0.2.200", 5060);
	assert_int_equal(try_call(sip_flow_request, other("INVITE", "")), -ECANCELED);
	assert_int_equal(world.refusal.reason, REASON_UNKNOWN_LISTENER);
}

static void of_two_listeners_at_one_address_the_port_or_the_name_decides(void **state)
{
	(void)state;
	world.config.listeners[1] = world.config.listeners[0];
	world.config.listeners[1].server_port = 7100;
	world.config.listeners[1].client_port_first = 7104;
	world.config.listeners[1].client_port_last = 7107;
	world.config.listener_count = 2;
	world.config.listeners[1].decide.other_clear = DECIDE_CLEAR_DISCARD;
	clear_input();
	assert_int_equal(try_call(sip_flow_request, other("INVITE", "")), -ECANCELED);
	in.listener = &world.config.listeners[1];
	request(other("INVITE", ""));
	assert_dropped();
	in.listener = &world.config.listeners[0];
	request(other("INVITE", ""));
	assert_replied(421);
	in.listener = NULL;
	in.destination.port = 7100;
	request(other("INVITE", ""));
	assert_dropped();
	assert_reason(REASON_UNKNOWN_SET);
	in.destination.port = 5060;
	world.config.listeners[1].leaving = true; /* then it is not meant */
	request(other("INVITE", ""));
	assert_replied(421);
}

/* ---- out of memory ---- */

/* The call whose @nth allocation fails. Was there such a one? @ret_done: it was forwarded all the
 * same. */
static bool fails_at(unsigned nth, call_fn *call, enum sip_direction direction, const char *message,
		     bool *ret_done)
{
	char *copy = strdup(message);
	int err;

	sip_verdict_done(&got);
	in.direction = direction;
	in.message = span_of(copy);
	allocations = 0;
	allocation_that_fails = nth;
	runs_out = true;
	err = call(flow, &in, &got, &world.refusal);
	runs_out = false;
	free(copy);
	if (err) {
		assert_int_equal(err, -ECANCELED);
		memset(&got, 0, sizeof(got));
	}
	if (allocations > nth && !err && got.has_reason) /* it is not the phone's fault */
		assert_true(got.reason == REASON_INTERNAL || got.reason == REASON_STORE_FAILED);
	*ret_done = !err && got.action == DECIDE_FORWARD;
	return allocations > nth;
}

/* Each step of a registration, with the @nth allocation failing; where that stops it, it is done
 * again. False: no step needs so many. */
static bool register_with(unsigned nth)
{
	const char *first = registration(UE ":5060;rport", FIRST);
	struct sa_set *set;
	bool hit, done;

	clear_input();
	hit = fails_at(nth, sip_flow_request, SIP_FROM_PHONE, first, &done);
	if (!done)
		request(registration(UE ":5060;rport", FIRST));
	clear_input();
	hit |= fails_at(nth, sip_flow_response, SIP_TO_PHONE, challenge_with(KEYS), &done);
	if (!done)
		response(challenge_with(KEYS));
	set = set_of(got.set_id);
	cseq++;
	over(set);
	hit |= fails_at(nth, sip_flow_request, SIP_FROM_PHONE,
			registration(UE ":5064", both_headers(set, ANSWER CONTACT)), &done);
	assert_false(set->aborted);
	if (!done)
		request(registration(UE ":5064", both_headers(set, ANSWER CONTACT)));
	clear_input();
	hit |= fails_at(nth, sip_flow_response, SIP_TO_PHONE,
			to_registration("200 OK", "Expires: 60\r\n"), &done);
	return hit;
}

static void out_of_memory_is_an_answer_and_leaves_nothing(void **state)
{
	bool hit = true, done;
	unsigned nth;

	(void)state;
	for (nth = 0; hit; nth++) {
		cseq++;
		hit = register_with(nth);
		clear_input();
		hit |= fails_at(nth, sip_flow_request, SIP_FROM_PHONE,
				other("INVITE", "Security-Client: tls\r\n"), &done);
		hit |= fails_at(nth, sip_flow_response, SIP_TO_PHONE,
				to_invite(UE ":5064", "200 OK"), &done);
		world_check(true);
		while (world.table->sets)
			sa_set_drop(world.table->sets, "test");
	}
	assert_in_range(nth, 20, 200);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(E15_R7_a_first_register_passes_cleaned_and_makes_nothing),
		T(E14_the_401_loses_its_keys_and_gets_the_list),
		T(the_keys_of_the_401_are_those_of_the_SAs),
		T(E5_the_401_to_a_clear_register_goes_in_clear),
		T(C9_R5_the_answer_on_the_temporary_set_passes_and_200_confirms),
		T(E7_a_challenged_reregistration_makes_a_new_set_beside_the_old),
		T(E16_a_reregistration_without_challenge_extends),
		T(E1_a_shorter_registration_shortens_nothing),
		T(E2_the_expires_of_this_contact_counts),
		T(E2_a_fetch_changes_nothing),
		T(E9_another_identity_over_the_set_joins_it),
		T(a_deregistration_ends_the_sets_after_its_200_has_left),
		T(the_front_end_says_how_long_they_linger),
		T(a_challenged_deregistration_is_told_on_its_new_set),
		T(E10_a_first_register_while_sets_live_leaves_them_until_its_200),
		T(E3_a_failed_authentication_ends_its_set_alone),
		T(E6_another_failure_goes_over_the_set_before),
		T(a_failure_before_the_challenge_touches_nothing),
		T(provisional_responses_pass),
		T(E14_a_401_without_keys_fails_the_registration),
		T(another_kind_of_challenge_passes_only_where_it_may),
		T(keys_are_taken_out_where_no_agreement_is_made_too),
		T(a_second_challenge_ends_the_set_of_the_first),
		T(a_reregistration_without_an_offer_cannot_be_challenged),
		T(a_kernel_that_refuses_fails_the_registration),
		T(D8_a_port_of_another_phone_is_refused_at_the_401),
		T(a_retransmission_makes_nothing_twice),
		T(a_retransmitted_401_never_makes_a_second_set),
		T(a_new_challenge_replaces_the_temporary_set),
		T(nobody_takes_the_transaction_of_another_phone),
		T(a_late_401_is_dropped_with_its_keys),
		T(a_challenge_that_cannot_be_read_never_passes),
		T(a_reply_repeated_is_the_same),
		T(B5_R6_a_changed_list_on_the_temporary_set_is_refused),
		T(B5_494_carries_the_list_that_was_sent),
		T(C9_a_missing_header_on_the_temporary_set_is_refused),
		T(C9_another_client_header_is_refused),
		T(another_identity_on_the_set_is_refused),
		T(two_identities_in_one_register_are_refused),
		T(E4_a_temporary_set_carries_its_answer_alone),
		T(D10_via_names_the_address_that_it_came_from),
		T(D11_no_set_no_answer),
		T(a_phone_that_rejects_the_challenge_ends_its_set),
		T(auts_on_the_temporary_set_passes_and_ends_it),
		T(only_the_latest_set_makes_it_yes),
		T(a_superseded_set_gains_no_life),
		T(a_reregistration_stays_with_its_contact),
		T(every_authorization_says_it_and_requests_of_other_methods_do_not),
		T(credentials_that_nobody_can_read_do_not_pass),
		T(a_register_without_authorization_is_named_by_its_To),
		T(B7_a_protected_request_passes_without_the_security_headers),
		T(B5_a_wrong_list_in_a_request_gets_494_with_the_right_one),
		T(B5_each_request_may_have_to_have_a_security_verify),
		T(M2_an_ACK_is_never_answered_and_a_PRACK_not_held_against_it),
		T(R1_R2_R3_R4_B3_B8_B10_a_clear_request_is_told_what_to_do),
		T(B1_the_list_is_the_same_whatever_is_offered),
		T(B4_the_answer_says_what_starts_the_mechanism_in_common),
		T(B1_B2_a_register_gets_one_list_whatever_it_offers),
		T(B5_a_whole_list_of_several_mechanisms_is_sent_and_compared),
		T(B4_a_set_is_made_too_where_another_mechanism_is_preferred),
		T(a_register_where_ipsec_3gpp_is_not_listed_begins_no_agreement),
		T(B4_a_reregistration_that_cannot_have_a_set_is_told_what_else_starts),
		T(R8_a_register_without_ipsec_is_told_so),
		T(a_bad_offer_on_an_established_set_is_told),
		T(R10_an_emergency_passes_in_clear),
		T(E8_an_emergency_registration_is_a_contact_of_its_own),
		T(the_devices_of_one_user_behind_one_address_are_told_apart),
		T(B11_without_the_extension_only_the_phones_integrity_goes),
		T(B12_tls_is_protected_where_it_is_said),
		T(N2_behind_a_nat_only_what_crosses_it_is_taken),
		T(C11_the_other_dialect_is_served),
		T(over_TCP_everything_goes_back_as_it_came),
		T(a_request_to_the_phone_takes_the_set_in_use),
		T(a_request_to_the_phone_finds_it_by_its_uri_or_says_that_it_is_gone),
		T(D16_a_response_to_the_phone_takes_the_set_in_use_or_the_connection),
		T(D14_responses_of_the_phone_are_held_against_their_set),
		T(a_first_message_on_a_new_set_may_be_a_response),
		T(A8_headers_where_they_do_not_belong_are_ignored),
		T(A8_a_list_reaches_the_phone_in_401_421_and_494_only),
		T(A8_a_response_of_the_phone_passes_without_the_three_headers),
		T(A9_compact_names_are_other_headers),
		T(B6_sec_agree_goes_and_nothing_else_changes),
		T(B11_the_extension_is_switched_for_each_listener),
		T(B13_the_agreed_sas_carry_requests_to_the_phone),
		T(B16_the_sas_live_as_long_as_the_registration),
		T(C2_aes_gcm_is_a_128_bit_key_and_a_16_octet_ICV_in_the_kernel),
		T(C10_a_register_with_entries_for_media_alone_offers_nothing),
		T(R8_a_register_without_ipsec_is_the_policys),
		T(R9_another_clear_request_is_the_policys),
		T(S7_an_empty_or_unreadable_list_is_another_one),
		T(D1_the_SAs_have_the_addresses_of_the_packets),
		T(D10_an_address_is_the_same_in_all_its_forms),
		T(D10_what_is_no_address_is_what_the_front_end_says),
		T(D14_in_clear_only_REGISTER_and_emergencies_pass),
		T(D16_an_answer_of_ours_takes_the_set_in_use_too),
		T(D16_a_request_that_passes_says_where_its_responses_leave_from),
		T(N7_behind_a_nat_the_answer_names_the_public_address),
		T(E6_before_a_challenge_failures_go_back_as_the_register_came),
		T(E6_without_a_set_before_a_refused_answer_is_told_on_its_own),
		T(E6_and_another_failure_in_clear_as_the_register_came),
		T(E6_or_on_its_own_where_that_is_not_known),
		T(E8_flows_of_one_device_are_contacts_of_their_own),
		T(E8_a_rejected_challenge_ends_the_set_of_its_own_flow),
		T(E9_what_is_registered_along_is_de_registered_along),
		T(E11_the_same_device_at_another_address_leaves_the_old_one),
		T(E11_other_devices_and_flows_keep_their_addresses),
		T(D8_a_phone_that_comes_back_with_its_port_is_taken_or_refused),
		T(what_is_no_message_is_dropped),
		T(an_address_without_listener_is_an_error),
		T(out_of_memory_is_an_answer_and_leaves_nothing),
		T(of_two_listeners_at_one_address_the_port_or_the_name_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
