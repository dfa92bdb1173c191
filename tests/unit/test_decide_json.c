/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/decide_json.c and daemon/sip_agree.c: whole requests against the decision table. The table
 * itself has its cross product in test_decide.c; here each row is reached by a message, and what is
 * said of headers is held against what the edits do to the bytes.
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

#include <jansson.h>

#include "daemon/decide_json.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define LIST                                                                                       \
	"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans, "                              \
	"ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans, "                     \
	"ipsec-3gpp;q=0.7;alg=aes-gmac;ealg=null;prot=esp;mod=trans, "                             \
	"ipsec-3gpp;q=0.6;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans"
#define USABLE                                                                                     \
	"Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1001;spi-s=1002;port-c=5062;"         \
	"port-s=5064\r\n"
#define VIA  "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n"
#define SENT "ipsec-3gpp;q=0.1;alg=hmac-sha-1-96;spi-c=11;spi-s=12;port-c=6104;port-s=6100"

/* ---- malloc(): from the failing one on there is none ---- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t bytes);
void *__real_reallocarray(void *p, size_t n, size_t bytes);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_reallocarray(void *p, size_t n, size_t bytes);

static size_t allocations, fail_from = SIZE_MAX;

void *__wrap_malloc(size_t n)
{
	return allocations++ >= fail_from ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return allocations++ >= fail_from ? NULL : __real_calloc(n, bytes);
}

void *__wrap_reallocarray(void *p, size_t n, size_t bytes)
{
	return allocations++ >= fail_from ? NULL : __real_reallocarray(p, n, bytes);
}

/* ---- asking ---- */

static struct config_listener listener;
static struct decide_question question;
static struct refusal refusal;
static json_t *answer;
static char message[70000];

static int start(void **state)
{
	(void)state;
	config_listener_default(&listener);
	question = (struct decide_question){.listener = &listener};
	answer = NULL;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	json_decref(answer);
	return 0;
}

static void write_request(const char *method, const char *uri, const char *headers)
{
	snprintf(message, sizeof(message),
		 "%s %s SIP/2.0\r\nFrom: <sip:u@ims.example>;tag=1\r\nTo: <sip:v@ims.example>\r\n"
		 "Call-ID: c\r\nCSeq: 7 %s\r\n%s\r\n",
		 method, uri, method, headers);
	question.message = span_of(message);
}

static int ask(void)
{
	struct json_out out = {0};
	int err;

	json_decref(answer);
	err = decide_json(&question, &out, &refusal);
	fail_from = SIZE_MAX;
	answer = err ? NULL : json_loadb(out.text, out.n, JSON_REJECT_DUPLICATES, NULL);
	json_out_done(&out);
	return err;
}

/* @headers: with Via. */
static void decide(const char *method, const char *headers)
{
	write_request(method, "sip:ims.example", headers);
	assert_int_equal(ask(), 0);
}

static const char *text(const char *key)
{
	return json_string_value(json_object_get(answer, key));
}

static void assert_action(const char *action, int row)
{
	assert_string_equal(text("action"), action);
	assert_int_equal(json_integer_value(json_object_get(answer, "row")), row);
	assert_true(text("why")[0]);
	assert_int_equal(json_object_get(answer, "reply") != NULL, !strcmp(action, "reply"));
	assert_int_equal(json_object_get(answer, "remove") != NULL, !strcmp(action, "forward"));
	assert_int_equal(json_object_get(answer, "replace") != NULL, !strcmp(action, "forward"));
}

/* The member @key as JSON text, in single quotes for double ones. */
static void assert_member(const char *key, const char *wanted)
{
	char *seen = json_dumps(json_object_get(answer, key), JSON_COMPACT | JSON_ENCODE_ANY);

	assert_non_null(seen);
	for (char *p = seen; *p; p++)
		*p = *p == '"' ? '\'' : *p;
	assert_string_equal(seen, wanted);
	free(seen);
}

static void assert_forward(int row, const char *remove, const char *replace)
{
	assert_action("forward", row);
	assert_member("remove", remove);
	assert_member("replace", replace);
}

/* @list: that of Security-Server, NULL: no header at all. */
static void assert_reply(int row, int code, const char *phrase, const char *list)
{
	char wanted[1024];

	assert_action("reply", row);
	snprintf(wanted, sizeof(wanted), "{'code':%d,'reason':'%s','headers':[%s%s%s]}", code,
		 phrase, list ? "'Security-Server: " : "", list ? list : "",
		 list ? "','Require: sec-agree'" : "");
	assert_member("reply", wanted);
}

static void assert_494(int row, const char *list)
{
	assert_reply(row, 494, "Security Agreement Required", list);
}

/* ---- the rows ---- */

static void row_1_several_vias_are_502_without_a_list(void **state)
{
	static const char *const VIAS[] = {
		VIA VIA,
		"Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2\r\n",
		VIA "v: SIP/2.0/UDP b;branch=z9hG4bK2\r\n",
		"Via: SIP/2.0/UDP a;branch=z9hG4bK1,\r\n SIP/2.0/UDP b;branch=z9hG4bK2\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(VIAS); i++) {
		question.protection = DECIDE_UNPROTECTED;
		decide("INVITE", VIAS[i]);
		assert_reply(1, 502, "Bad Gateway", NULL);
		question.protection = DECIDE_IPSEC;
		decide("INVITE", VIAS[i]);
		assert_reply(1, 502, "Bad Gateway", NULL);
	}
}

static void row_2_a_clear_request_that_requires_sec_agree_is_494(void **state)
{
	static const char *const HEADERS[] = {
		VIA "Require: sec-agree\r\n",
		VIA "Proxy-Require: sec-agree\r\n",
		VIA "Require: 100rel,\r\n SEC-Agree\r\n",
		VIA "Require: 100rel\r\nRequire: precondition , sec-agree\r\nSupported: x\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(HEADERS); i++) {
		decide("INVITE", HEADERS[i]);
		assert_494(2, LIST);
	}
}

static void row_3_a_clear_request_that_supports_sec_agree_is_494(void **state)
{
	(void)state;
	decide("INVITE", VIA "Supported: path, sec-agree\r\n");
	assert_494(3, LIST);
	decide("INVITE", VIA "k: sec-agree\r\n");
	assert_494(3, LIST);
}

static void row_4_any_other_clear_request_is_421(void **state)
{
	(void)state;
	decide("INVITE", VIA);
	assert_reply(4, 421, "Extension Required", LIST);
	decide("MESSAGE", VIA "Require: sec-agreed\r\nSupported: xsec-agree\r\n");
	assert_reply(4, 421, "Extension Required", LIST);
}

static void row_5_a_protected_request_with_the_list_passes_cleaned(void **state)
{
	(void)state;
	question.protection = DECIDE_IPSEC;
	decide("INVITE", VIA "Security-Verify: " LIST "\r\nRequire: sec-agree, 100rel\r\n"
			     "Proxy-Require: sec-agree\r\n");
	assert_forward(5, "['Security-Verify','Proxy-Require']", "{'Require':'100rel'}");
}

static void row_5_the_list_may_be_folded_and_in_several_lines(void **state)
{
	(void)state;
	listener.verify = COMPARE_STRICT;
	question.protection = DECIDE_IPSEC;
	question.sent = (struct lines){.line = {span_of("tls;q=0.5, digest;q=0.25;d-qop=auth")},
				       .count = 1};
	decide("INVITE", VIA "Security-Verify: TLS;\r\n\tq=0.500\r\nSubject: x\r\n"
			     "security-verify : digest ;d-qop=auth ; q=0.25\r\n");
	assert_forward(5, "['Security-Verify']", "{}");
}

static void row_6_a_missing_list_is_494_with_the_list(void **state)
{
	(void)state;
	question.protection = DECIDE_IPSEC;
	decide("INVITE", VIA "Require: sec-agree\r\n");
	assert_494(6, LIST);
	assert_string_equal(text("why"), "Security-Verify is missing");
}

static void row_6_a_changed_list_is_494_and_the_difference_is_said(void **state)
{
	(void)state;
	question.protection = DECIDE_IPSEC;
	question.sent = (struct lines){.line = {span_of(SENT)}, .count = 1};
	decide("BYE", VIA "Security-Verify: ipsec-3gpp;q=0.1;alg=hmac-sha-1-96;spi-c=11;spi-s=13;"
			  "port-c=6104;port-s=6100\r\n");
	assert_494(6, SENT);
	assert_non_null(strstr(text("why"), "spi-s is 13, was sent as 12"));
	decide("BYE", VIA "Security-Verify:\r\n");
	assert_494(6, SENT);
	decide("BYE", VIA "Security-Verify: ;;\r\n");
	assert_494(6, SENT);
}

static void row_6_of_a_REGISTER_is_as_configured(void **state)
{
	(void)state;
	question.protection = DECIDE_IPSEC;
	decide("REGISTER", VIA USABLE "Security-Verify: tls\r\n");
	assert_reply(6, 403, "Forbidden", NULL);
	listener.decide.register_mismatch_494 = true;
	decide("REGISTER", VIA USABLE "Security-Verify: tls\r\n");
	assert_494(6, LIST);
}

static void row_7_a_REGISTER_with_a_usable_offer_passes_and_starts_it(void **state)
{
	(void)state;
	decide("REGISTER", VIA USABLE "Require: sec-agree\r\nProxy-Require: sec-agree\r\n");
	assert_forward(7, "['Security-Client','Require','Proxy-Require']", "{}");
	assert_string_equal(text("start"), "sa.offer");
}

static void row_8_a_REGISTER_without_a_usable_offer_is_as_configured(void **state)
{
	static const char *const OFFERS[] = {VIA, VIA "Security-Client: tls\r\n",
					     VIA "Security-Client: ipsec-3gpp;mediasec;alg=x\r\n"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(OFFERS); i++) {
		listener.decide.register_without_ipsec = DECIDE_CLEAR_CHALLENGE;
		decide("REGISTER", OFFERS[i]);
		assert_reply(4, 421, "Extension Required", LIST);
		listener.decide.register_without_ipsec = DECIDE_CLEAR_FORBID;
		decide("REGISTER", OFFERS[i]);
		assert_reply(8, 403, "Forbidden", NULL);
		listener.decide.register_without_ipsec = DECIDE_CLEAR_DISCARD;
		decide("REGISTER", OFFERS[i]);
		assert_action("drop", 8);
		listener.decide.register_without_ipsec = DECIDE_CLEAR_FORWARD;
		decide("REGISTER", OFFERS[i]);
		assert_forward(8, i ? "['Security-Client']" : "[]", "{}");
	}
}

static void row_9_other_clear_requests_are_as_configured(void **state)
{
	(void)state;
	listener.decide.other_clear = DECIDE_CLEAR_FORBID;
	decide("INVITE", VIA "Require: sec-agree\r\n");
	assert_reply(9, 403, "Forbidden", NULL);
	listener.decide.other_clear = DECIDE_CLEAR_DISCARD;
	decide("INVITE", VIA "Require: sec-agree\r\n");
	assert_action("drop", 9);
}

static void row_10_an_emergency_passes_in_clear(void **state)
{
	(void)state;
	write_request("INVITE", "urn:service:sos.fire", VIA VIA "Require: sec-agree\r\n");
	assert_int_equal(ask(), 0);
	assert_forward(10, "['Require']", "{}");
	decide("REGISTER", VIA "Contact: <sip:u@198.51.100.7;sos>\r\n");
	assert_forward(10, "[]", "{}");
	question.emergency = true;
	decide("BYE", VIA);
	assert_forward(10, "[]", "{}");
}

/* ---- rules beside the rows ---- */

static void an_ACK_is_never_answered_and_a_CANCEL_never_challenged(void **state)
{
	(void)state;
	decide("ACK", VIA "Require: sec-agree\r\n");
	assert_action("drop", 2);
	decide("CANCEL", VIA);
	assert_action("drop", 4);
	decide("ACK", VIA VIA);
	assert_action("drop", 1);
}

static void in_ACK_CANCEL_and_PRACK_a_list_is_removed_and_never_asked_for(void **state)
{
	static const char *const METHODS[] = {"ACK", "CANCEL", "PRACK"};

	(void)state;
	question.protection = DECIDE_IPSEC;
	for (size_t i = 0; i < COUNT_OF(METHODS); i++) {
		decide(METHODS[i], VIA);
		assert_forward(5, "[]", "{}");
		decide(METHODS[i], VIA "Security-Verify: foo\r\n");
		assert_forward(5, "['Security-Verify']", "{}");
	}
	question.protection = DECIDE_UNPROTECTED;
	decide("PRACK", VIA);
	assert_member("reply", "{'code':421,'reason':'Extension Required',"
			       "'headers':['Require: sec-agree']}");
}

static void a_malformed_offer_is_400_and_where_is_said(void **state)
{
	(void)state;
	decide("REGISTER", VIA "Security-Client: tls\r\nSecurity-Client: foo;a=1;A=2\r\n");
	assert_reply(0, 400, "Bad Request", NULL);
	assert_non_null(strstr(text("why"), "Security-Client, line 2, offset 8: "));
	assert_null(json_object_get(answer, "row"));
}

static void with_the_extension_off_nothing_is_touched(void **state)
{
	(void)state;
	listener.decide.sec_agree = false;
	decide("INVITE", VIA VIA "Require: sec-agree\r\nSecurity-Verify: tls\r\n");
	assert_forward(0, "[]", "{}");
}

static void TLS_counts_as_the_listener_says(void **state)
{
	(void)state;
	question.protection = DECIDE_TLS;
	decide("INVITE", VIA);
	assert_reply(4, 421, "Extension Required", LIST);
	listener.decide.tls_is_protected = true;
	decide("INVITE", VIA);
	assert_forward(5, "[]", "{}");
	decide("INVITE", VIA "Require: sec-agree\r\n");
	assert_494(6, LIST);
	decide("INVITE", VIA "Require: sec-agree\r\nSecurity-Verify: " LIST "\r\n");
	assert_forward(5, "['Security-Verify','Require']", "{}");
}

static void B1_the_list_is_the_same_whatever_the_phone_offers(void **state)
{
	static const char *const OFFERS[] = {"tls", "foo", "digest;q=0.1, ipsec-man"};
	char headers[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(OFFERS); i++) {
		snprintf(headers, sizeof(headers),
			 VIA "Security-Client: %s\r\nRequire: sec-agree\r\n", OFFERS[i]);
		decide("INVITE", headers);
		assert_494(2, LIST);
		assert_null(json_object_get(answer, "start"));
	}
}

static void B4_what_starts_the_common_mechanism_is_said(void **state)
{
	static const struct {
		const char *offer, *start;
	} CASES[] = {
		{"foo, tls, digest", "challenge"},
		{"tls", "tls connection"},
		{"foo", "nothing known"},
	};
	const struct span entries[] = {span_of("digest;q=0.9"), span_of("tls;q=0.8"),
				       span_of("foo;q=0.1")};
	char headers[256];

	(void)state;
	assert_int_equal(server_list_read(entries, COUNT_OF(entries), 4, &listener.mechanisms,
					  headers, sizeof(headers)),
			 0);
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		snprintf(headers, sizeof(headers),
			 VIA "Security-Client: %s\r\nRequire: sec-agree\r\n", CASES[i].offer);
		decide("INVITE", headers);
		assert_494(2, "digest;q=0.9, tls;q=0.8, foo;q=0.1");
		assert_string_equal(text("start"), CASES[i].start);
	}
}

/* ---- what was sent ---- */

static void the_list_that_was_sent_goes_back_on_one_line_unmodified(void **state)
{
	static const char FOLDED[] = "Ipsec-3GPP ;q=0.10;\r\n  alg=X;b=\"A, B\"";

	(void)state;
	question.protection = DECIDE_IPSEC;
	question.sent = (struct lines){.line = {span_of(FOLDED)}, .count = 1};
	decide("INVITE", VIA "Security-Verify: tls\r\n");
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(json_object_get(answer, "reply"), "headers"), 0)),
		"Security-Server: Ipsec-3GPP ;q=0.10; alg=X;b=\"A, B\"");
}

static void a_list_that_cannot_have_been_sent_is_refused(void **state)
{
	(void)state;
	question.sent = (struct lines){.line = {span_of("tls;q=2")}, .count = 1};
	write_request("INVITE", "sip:a", VIA);
	assert_int_equal(ask(), -ECANCELED);
	assert_int_equal(refusal.reason, REASON_BAD_HEADER);
	assert_non_null(strstr(refusal.text, "sent, line 1, offset 6"));
}

static void in_clear_the_answer_has_the_list_of_the_listener(void **state)
{
	(void)state;
	question.sent = (struct lines){.line = {span_of(SENT)}, .count = 1};
	decide("INVITE", VIA "Require: sec-agree\r\n");
	assert_494(2, LIST);
}

/* ---- headers ---- */

static void B6_tags_go_and_others_stay(void **state)
{
	static const struct {
		const char *headers, *remove, *replace;
	} CASES[] = {
		{"Require: sec-agree\r\n", "['Require']", "{}"},
		{"Require: 100rel\r\n", "[]", "{}"},
		{"Require: sec-agree, 100rel\r\n", "[]", "{'Require':'100rel'}"},
		{"Require: 100rel,Sec-Agree ,path\r\n", "[]", "{'Require':'100rel,path'}"},
		{"Require: sec-agree\r\nRequire: sec-agree\r\n", "['Require']", "{}"},
		{"Require: sec-agree\r\nX: y\r\nREQUIRE : 100rel\r\n", "[]",
		 "{'Require':'100rel'}"},
		{"Require: a, sec-agree\r\nRequire: b\r\n", "[]", "{'Require':'a, b'}"},
		{"Require: sec-agree,\r\n 100rel,\r\n\tpath\r\n", "[]",
		 "{'Require':'100rel, path'}"},
		{"Require: sec-agree\r\nRequire:\r\n", "['Require']", "{}"},
		{"Require: a, sec-agree\r\nRequire:\r\nRequire: b\r\n", "[]", "{'Require':'a, b'}"},
		{"Proxy-Require: x, sec-agree\r\nRequire: sec-agree\r\n", "['Require']",
		 "{'Proxy-Require':'x'}"},
		{"Supported: sec-agree\r\n", "[]", "{}"},
		{"Proxy-Require: sec-agree\r\nSecurity-Verify: a\r\nRequire: sec-agree\r\n"
		 "Security-Server: b\r\nSecurity-Client: c\r\n",
		 "['Security-Client','Security-Server','Security-Verify','Require',"
		 "'Proxy-Require']",
		 "{}"},
	};
	char headers[512];

	(void)state;
	question.emergency = true;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		snprintf(headers, sizeof(headers), VIA "%s", CASES[i].headers);
		decide("INVITE", headers);
		assert_forward(10, CASES[i].remove, CASES[i].replace);
	}
}

static bool says_removed(enum sip_name name)
{
	const json_t *list = json_object_get(answer, "remove");

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!strcmp(json_string_value(json_array_get(list, i)), sip_name_text(name)))
			return true;
	}
	return false;
}

/* For headers of one line each. */
static void compare_with_edits(const struct sip_message *before, const struct sip_message *after)
{
	const json_t *replace = json_object_get(answer, "replace");

	for (int name = 0; name < SIP_OTHER; name++) {
		const struct sip_header *old = sip_header(before, (enum sip_name)name);
		const struct sip_header *new = sip_header(after, (enum sip_name)name);
		const char *value = json_string_value(
			json_object_get(replace, sip_name_text((enum sip_name)name)));

		assert_int_equal(says_removed((enum sip_name)name), old && !new);
		if (old && new &&value)
			assert_true(span_equal(new->value, span_of(value)));
		else if (old && new)
			assert_true(span_equal(new->value, old->value));
		else
			assert_null(value);
	}
}

static void what_is_said_is_what_the_edits_do(void **state)
{
	static const char *const TAGS[] = {"",
					   "sec-agree",
					   "100rel",
					   "a, sec-agree",
					   "sec-agree , b",
					   "a, sec-agree, b",
					   "sec-agree, sec-agree"};
	const char *why;
	char headers[256], *text;

	(void)state;
	question.emergency = true;
	for (size_t i = 0; i < COUNT_OF(TAGS) * COUNT_OF(TAGS) * 2; i++) {
		const char *a = TAGS[i % COUNT_OF(TAGS)];
		const char *b = TAGS[i / COUNT_OF(TAGS) % COUNT_OF(TAGS)];
		struct sip_message before, after;
		struct sip_edits edits;
		size_t n;

		snprintf(headers, sizeof(headers), VIA "%s%s\r\nProxy-Require: %s\r\n%s",
			 *a ? "Require: " : "Subject: ", a, b,
			 i % 2 ? "Security-Verify: x\r\n" : "");
		decide("INVITE", headers);
		assert_int_equal(sip_message_parse(question.message, &before, &why), 0);
		sip_edits_init(&edits, &before);
		sip_agree_clean(&edits);
		assert_int_equal(sip_edits_apply(&edits, &text, &n), 0);
		assert_int_equal(sip_message_parse((struct span){text, n}, &after, &why), 0);
		compare_with_edits(&before, &after);
		sip_message_done(&after);
		sip_message_done(&before);
		sip_edits_done(&edits);
		free(text);
	}
}

/* ---- what cannot be answered ---- */

static void assert_bad(const char *bytes, size_t n, const char *words)
{
	question.message = (struct span){bytes, n};
	assert_int_equal(ask(), -ECANCELED);
	assert_int_equal(refusal.reason, REASON_BAD_MESSAGE);
	assert_non_null(strstr(refusal.text, words));
	assert_null(answer);
}

static void what_is_no_request_has_no_decision(void **state)
{
	static const char GARBAGE[] = "\x7f"
				      "ELF\x02\x01\0\0\xff\xfe\r\n\r\n";

	(void)state;
	assert_bad("", 0, "");
	assert_bad("\r\n\r\n", 4, "");
	assert_bad(GARBAGE, sizeof(GARBAGE) - 1, "");
	write_request("INVITE", "sip:a", "");
	assert_bad(message, strlen(message), "Via");
	snprintf(message, sizeof(message),
		 "SIP/2.0 200 OK\r\n" VIA "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n"
		 "Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n");
	assert_bad(message, strlen(message), "response");
	memset(message, 'x', SIP_MAX_BYTES + 1);
	assert_bad(message, SIP_MAX_BYTES + 1, "too long");
}

static void a_header_that_JSON_cannot_hold_is_refused(void **state)
{
	(void)state;
	question.emergency = true;
	write_request("INVITE", "sip:a", VIA "Require: sec-agree, \xff\r\n");
	assert_bad(message, strlen(message), "Require");
	write_request("INVITE", "sip:a", VIA "Proxy-Require: a\x1b, sec-agree\r\n");
	assert_bad(message, strlen(message), "Proxy-Require");
	decide("INVITE", VIA "Require: \xff\r\n");
	assert_forward(10, "[]", "{}");
}

static void without_memory_there_is_an_answer_or_a_refusal(void **state)
{
	int err = -1;

	(void)state;
	for (int pass = 0; pass < 3; pass++) {
		question.protection = pass == 1 ? DECIDE_IPSEC : DECIDE_UNPROTECTED;
		write_request("REGISTER", "sip:ims.example",
			      pass == 2 ? VIA USABLE "Require: sec-agree, x\r\n"
					: VIA "Security-Client: tls\r\nSecurity-Verify: tls\r\n");
		for (size_t n = 0; n == 0 || err; n++) {
			allocations = 0;
			fail_from = n;
			err = ask();
			if (err)
				assert_int_equal(refusal.reason, REASON_INTERNAL);
			assert_int_equal(err == 0, answer != NULL);
			assert_true(n < 500);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(row_1_several_vias_are_502_without_a_list),
		TEST(row_2_a_clear_request_that_requires_sec_agree_is_494),
		TEST(row_3_a_clear_request_that_supports_sec_agree_is_494),
		TEST(row_4_any_other_clear_request_is_421),
		TEST(row_5_a_protected_request_with_the_list_passes_cleaned),
		TEST(row_5_the_list_may_be_folded_and_in_several_lines),
		TEST(row_6_a_missing_list_is_494_with_the_list),
		TEST(row_6_a_changed_list_is_494_and_the_difference_is_said),
		TEST(row_6_of_a_REGISTER_is_as_configured),
		TEST(row_7_a_REGISTER_with_a_usable_offer_passes_and_starts_it),
		TEST(row_8_a_REGISTER_without_a_usable_offer_is_as_configured),
		TEST(row_9_other_clear_requests_are_as_configured),
		TEST(row_10_an_emergency_passes_in_clear),
		TEST(an_ACK_is_never_answered_and_a_CANCEL_never_challenged),
		TEST(in_ACK_CANCEL_and_PRACK_a_list_is_removed_and_never_asked_for),
		TEST(a_malformed_offer_is_400_and_where_is_said),
		TEST(with_the_extension_off_nothing_is_touched),
		TEST(TLS_counts_as_the_listener_says),
		TEST(B1_the_list_is_the_same_whatever_the_phone_offers),
		TEST(B4_what_starts_the_common_mechanism_is_said),
		TEST(the_list_that_was_sent_goes_back_on_one_line_unmodified),
		TEST(a_list_that_cannot_have_been_sent_is_refused),
		TEST(in_clear_the_answer_has_the_list_of_the_listener),
		TEST(B6_tags_go_and_others_stay),
		TEST(what_is_said_is_what_the_edits_do),
		TEST(what_is_no_request_has_no_decision),
		TEST(a_header_that_JSON_cannot_hold_is_refused),
		TEST(without_memory_there_is_an_answer_or_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
