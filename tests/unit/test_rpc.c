/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/rpc.c and the methods behind it: the envelope of JSON-RPC 2.0, what the front end gets for
 * each request, and that no key leaves by a reply or by memory that was given back.
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

#include "daemon/dispatch.h"
#include "daemon/event.h"
#include "daemon/rpc.h"
#include "tests/unit/key_leaks.h"
#include "tests/unit/world.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define CLIENT                                                                                     \
	"ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;spi-c=1001;spi-s=1002;port-c=5062;port-s=5064"

/* ---- helpers ---- */

static struct daemon d;
static json_t *last; /* reply of the last call */

static int start(void **state)
{
	int err = world_start(state);

	d = world_daemon();
	key_leaks = 0;
	return err;
}

static int stop(void **state)
{
	int err;

	json_decref(last);
	last = NULL;
	err = world_stop(state);
	return key_leaks ? -1 : err;
}

/* The reply as text is one line without a key, or NULL. */
static char *handle(const char *text)
{
	const size_t len = strlen(text);
	char *copy = strdup(text), *reply = rpc_handle(&d, copy, len);

	explicit_bzero(copy, len); /* what the caller of rpc_handle() does */
	free(copy);
	if (!reply)
		return NULL;
	assert_null(strchr(reply, '\n'));
	assert_null(strchr(reply, '\r'));
	assert_false(has_key(reply, strlen(reply)));
	return reply;
}

static json_t *ask(const char *text)
{
	char *reply = handle(text);
	json_error_t error;

	if (!reply)
		fail_msg("no reply to %s", text);
	json_decref(last);
	last = json_loads(reply, JSON_REJECT_DUPLICATES, &error);
	free(reply);
	assert_non_null(last);
	return last;
}

static void assert_no_reply(const char *text)
{
	char *reply = handle(text);

	if (reply)
		fail_msg("a reply: %s", reply);
}

/* The result of a call that works. */
static json_t *call(const char *method, const char *params)
{
	char text[8192];
	json_t *reply;

	snprintf(text, sizeof(text),
		 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}", method, params);
	reply = ask(text);
	if (!json_object_get(reply, "result"))
		fail_msg("%s: %s", method,
			 json_string_value(
				 json_object_get(json_object_get(reply, "error"), "message")));
	assert_int_equal(json_integer_value(json_object_get(reply, "id")), 7);
	assert_string_equal(json_string_value(json_object_get(reply, "jsonrpc")), "2.0");
	assert_null(json_object_get(reply, "error"));
	return json_object_get(reply, "result");
}

/* The error of @reply, which has this code and reason and a sentence. */
static json_t *assert_error(json_t *reply, int code, const char *reason)
{
	json_t *error = json_object_get(reply, "error");

	assert_non_null(error);
	assert_null(json_object_get(reply, "result"));
	assert_non_null(json_object_get(reply, "id"));
	assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
	assert_true(json_string_length(json_object_get(error, "message")) > 0);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(error, "data"), "reason")),
		reason);
	return error;
}

static json_t *call_refused(const char *method, const char *params, int code, const char *reason)
{
	char text[8192];

	snprintf(text, sizeof(text),
		 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}", method, params);
	return assert_error(ask(text), code, reason);
}

/* error.data of a refusal */
static json_t *refused_data(const char *method, const char *params, const char *reason)
{
	return json_object_get(call_refused(method, params, -32000, reason), "data");
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static json_int_t number_of(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

#define OFFER                                                                                      \
	"\"impi\":\"a@x\",\"ue\":\"198.51.100.7\",\"pcscf\":\"192.0.2.1\",\"ck\":\"" CK            \
	"\",\"ik\":\"" IK "\""

/* Makes a set; returns its id, valid until the next call. */
static const char *offer(void)
{
	static char id[17];
	const json_t *result = call("sa.offer", "{" OFFER ",\"security_client\":\"" CLIENT "\"}");

	snprintf(id, sizeof(id), "%s", text_of(result, "set"));
	return id;
}

static json_t *on_set(const char *method, const char *id, const char *more)
{
	char params[300];

	snprintf(params, sizeof(params), "{\"set\":\"%s\"%s}", id, more);
	return call(method, params);
}

static json_t *on_set_refused(const char *method, const char *id, const char *more,
			      const char *reason)
{
	char params[300];

	snprintf(params, sizeof(params), "{\"set\":\"%s\"%s}", id, more);
	return refused_data(method, params, reason);
}

/* ---- the envelope ---- */

static void what_is_no_json_is_a_parse_error(void **state)
{
	static const char *const TEXTS[] = {
		"{",
		"{]",
		"[1,]",
		"{\"a\":1,}",
		"{'a':1}",
		"{\"a\":\"\xff\"}",
		"{\"a\":01}",
		"[]]",
		"{}{}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":1e}",
		"{\"ck\":\"" CK "\",\"ck\":\"" CK "\"}", /* twice the same name */
		"{\"ck\":\"" CK "\" \"ik\"}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		json_t *reply = ask(TEXTS[i]);

		assert_error(reply, -32700, "bad_request");
		assert_true(json_is_null(json_object_get(reply, "id")));
	}
	assert_int_equal(key_leaks, 0);
}

static void what_is_no_request_is_an_invalid_request(void **state)
{
	static const char *const TEXTS[] = {
		"{}",
		"{\"jsonrpc\":\"2.0\"}",
		"{\"method\":\"daemon.version\",\"id\":1}",
		"{\"jsonrpc\":\"1.0\",\"method\":\"daemon.version\"}",
		"{\"jsonrpc\":2.0,\"method\":\"daemon.version\"}",
		"{\"jsonrpc\":\"2.0\",\"method\":1}",
		"[]",
		"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\",\"id\":true}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\",\"id\":[1]}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\",\"id\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		assert_error(ask(TEXTS[i]), -32600, "bad_request");
}

static void an_id_comes_back_as_it_was(void **state)
{
	static const char *const IDS[] = {"1",
					  "-1",
					  "\"x\"",
					  "\"\"",
					  "null",
					  "0.5",
					  "9223372036854775807",
					  "\"\xc3\xa9\\n\""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(IDS); i++) {
		json_t *expected = json_loads(IDS[i], JSON_DECODE_ANY, NULL);
		char text[200];

		snprintf(text, sizeof(text),
			 "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\",\"id\":%s}", IDS[i]);
		assert_true(json_equal(json_object_get(ask(text), "id"), expected));
		assert_non_null(json_object_get(last, "result"));
		json_decref(expected);
	}
}

static void an_unknown_method_is_said(void **state)
{
	static const char *const METHODS[] = {"sa.offers", "", "SA.OFFER", "rpc.x", "sa.offer "};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(METHODS); i++)
		call_refused(METHODS[i], "{}", -32601, "unknown_method");
}

static void assert_no_method(const char *method, const char *sentence)
{
	call_refused(method, "{}", -32601, "unknown_method");
	assert_string_equal(text_of(json_object_get(last, "error"), "message"), sentence);
}

static void an_unknown_method_is_named_unless_it_may_be_a_key(void **state)
{
	(void)state;
	assert_no_method("sa.lst", "no such method \"sa.lst\"; daemon.methods lists them");
	assert_no_method("\\u001b\\\"", "no such method \"??\"; daemon.methods lists them");
	assert_no_method("", "no such method; daemon.methods lists them");
	assert_no_method("00112233445566778899aabbccddeeff",
			 "no such method; daemon.methods lists them");
}

static void params_are_an_object(void **state)
{
	(void)state;
	call_refused("daemon.version", "[]", -32602, "bad_params");
	call_refused("daemon.version", "null", -32602, "bad_params");
	call_refused("daemon.version", "1", -32602, "bad_params");
	call("daemon.version", "{}");
}

static void a_notification_is_done_and_not_answered(void **state)
{
	char text[200];

	(void)state;
	assert_no_reply("{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\"}");
	assert_no_reply("{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}");
	assert_no_reply("{\"jsonrpc\":\"2.0\",\"method\":\"sa.fail\",\"params\":{}}");
	snprintf(text, sizeof(text),
		 "{\"jsonrpc\":\"2.0\",\"method\":\"sa.fail\",\"params\":{\"set\":\"%s\"}}",
		 offer());
	assert_int_equal(world_sets(), 1);
	assert_no_reply(text);
	assert_int_equal(world_sets(), 0);
}

static void a_batch_is_answered_in_order_without_its_notifications(void **state)
{
	const json_t *replies =
		ask("[{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\",\"id\":1},"
		    "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\"},"
		    "7,"
		    "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\",\"id\":\"b\"},"
		    "[],"
		    "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\",\"id\":3}]");

	(void)state;
	assert_int_equal(json_array_size(replies), 5);
	assert_non_null(json_object_get(json_array_get(replies, 0), "result"));
	assert_error(json_array_get(replies, 1), -32600, "bad_request");
	assert_error(json_array_get(replies, 2), -32601, "unknown_method");
	assert_error(json_array_get(replies, 3), -32600, "bad_request");
	assert_int_equal(number_of(json_array_get(replies, 4), "id"), 3);
}

static void a_batch_of_notifications_has_no_answer(void **state)
{
	(void)state;
	assert_no_reply("[{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\"}]");
}

static void a_batch_has_a_limit(void **state)
{
	char text[257 * 60] = "[", *at = text + 1;

	(void)state;
	for (int i = 0; i < 257; i++)
		at += sprintf(at, "{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\"},");
	strcpy(at - 1, "]");
	assert_error(ask(text), -32600, "bad_request");
	strcpy(at - 1 - strlen("{\"jsonrpc\":\"2.0\",\"method\":\"daemon.version\"},"), "]");
	assert_no_reply(text);
}

static void a_parse_error_of_the_framing_is_a_reply_too(void **state)
{
	char *reply = rpc_parse_error("too deep");

	(void)state;
	json_decref(last);
	last = json_loads(reply, 0, NULL);
	free(reply);
	assert_string_equal(text_of(assert_error(last, -32700, "bad_request"), "message"),
			    "too deep");
}

/* ---- params of every method ---- */

static void every_method_refuses_unknown_params(void **state)
{
	(void)state;
	for (const struct command *c = COMMANDS; c->name; c++)
		call_refused(c->name, "{\"colour\":\"blue\"}", -32602, "bad_params");
}

static void every_method_refuses_params_of_a_wrong_type(void **state)
{
	(void)state;
	for (const struct command *c = COMMANDS; c->name; c++) {
		for (const struct param *p = c->params; p->name; p++) {
			char params[100];

			snprintf(params, sizeof(params), "{\"%s\":{}}", p->name);
			call_refused(c->name, params, -32602, "bad_params");
		}
	}
}

static void every_method_misses_what_it_requires(void **state)
{
	(void)state;
	for (const struct command *c = COMMANDS; c->name; c++) {
		for (const struct param *p = c->params; p->name; p++) {
			if (!p->required)
				continue;
			call_refused(c->name, "{}", -32602, "bad_params");
			break;
		}
	}
}

static void every_method_is_listed_with_its_params(void **state)
{
	const json_t *methods = json_object_get(call("daemon.methods", "{}"), "methods"), *method;
	size_t i;

	(void)state;
	json_array_foreach (methods, i, method) {
		const struct command *c = command_find(text_of(method, "name"));
		const json_t *params = json_object_get(method, "params"), *param;
		size_t k;

		assert_ptr_equal(c, &COMMANDS[i]);
		assert_true(strlen(text_of(method, "summary")) > 5);
		json_array_foreach (params, k, param) {
			assert_string_equal(text_of(param, "name"), c->params[k].name);
			assert_true(strlen(text_of(param, "type")) > 3);
			assert_true(strlen(text_of(param, "help")) > 3);
			assert_true(json_is_boolean(json_object_get(param, "required")));
		}
	}
	assert_null(COMMANDS[i].name);
}

/* ---- sa.offer ---- */

static void an_offer_is_answered_with_everything_the_front_end_needs(void **state)
{
	const json_t *result, *phone, *pcscf, *chosen;

	(void)state;
	result = call("sa.offer", "{" OFFER ",\"security_client\":\"" CLIENT "\"}");
	assert_int_equal(strlen(text_of(result, "set")), 16);
	assert_string_equal(text_of(result, "state"), "temporary");
	assert_int_equal(number_of(result, "expires_in"), 240);
	assert_string_equal(text_of(result, "listener"), "ims");
	assert_string_equal(text_of(result, "dialect"), "24.229");
	assert_true(json_is_false(json_object_get(result, "nat")));
	assert_non_null(strstr(text_of(result, "security_server"), "ipsec-3gpp;q=0."));
	chosen = json_object_get(result, "chosen");
	assert_string_equal(text_of(chosen, "alg"), "hmac-sha-1-96");
	assert_string_equal(text_of(chosen, "ealg"), "aes-cbc");
	assert_string_equal(text_of(chosen, "prot"), "esp");
	assert_string_equal(text_of(chosen, "mod"), "trans");
	assert_int_equal(json_array_size(json_object_get(result, "considered")), 1);
	assert_int_equal(json_array_size(json_object_get(result, "warnings")), 0);
	phone = json_object_get(result, "phone");
	assert_string_equal(text_of(phone, "address"), "198.51.100.7");
	assert_int_equal(number_of(phone, "spi_c"), 1001);
	assert_int_equal(number_of(phone, "port_s"), 5064);
	pcscf = json_object_get(result, "pcscf");
	assert_string_equal(text_of(pcscf, "address"), "192.0.2.1");
	assert_int_equal(number_of(pcscf, "port_s"), 6100);
	assert_in_range(number_of(pcscf, "port_c"), 6104, 6107);
	assert_int_equal(key_leaks, 0);
}

static void an_rfc3329_offer_is_answered_in_its_dialect(void **state)
{
	const json_t *result = call("sa.offer", "{" OFFER ",\"security_client\":\"ipsec-3gpp;"
						"alg=hmac-sha-1-96;spi=1001;port1=5062\"}");

	(void)state;
	assert_string_equal(text_of(result, "dialect"), "rfc3329");
	assert_int_equal(number_of(json_object_get(result, "phone"), "port1"), 5062);
	assert_true(json_is_null(json_object_get(json_object_get(result, "phone"), "port2")));
	assert_int_equal(number_of(json_object_get(result, "pcscf"), "port1"),
			 number_of(json_object_get(result, "pcscf"), "port2"));
}

static void a_retransmission_with_the_same_transaction_gets_the_same_answer(void **state)
{
	static const char PARAMS[] =
		"{" OFFER ",\"transaction\":\"z9hG4bK1\",\"security_client\":\"" CLIENT "\"}";
	char first[20];

	(void)state;
	snprintf(first, sizeof(first), "%s", text_of(call("sa.offer", PARAMS), "set"));
	assert_string_equal(text_of(call("sa.offer", PARAMS), "set"), first);
	assert_int_equal(fake_xfrm.datagrams, 1);
}

static void a_transaction_with_other_keys_is_another_one(void **state)
{
	char first[20];

	(void)state;
	snprintf(first, sizeof(first), "%s",
		 text_of(call("sa.offer",
			      "{" OFFER ",\"transaction\":\"t\",\"security_client\":\"" CLIENT
			      "\"}"),
			 "set"));
	assert_string_not_equal(
		text_of(call("sa.offer",
			     "{\"impi\":\"a@x\",\"ue\":\"198.51.100.7\",\"pcscf\":\"192.0.2.1\","
			     "\"ck\":\"" IK "\",\"ik\":\"" CK "\",\"transaction\":\"t\","
			     "\"security_client\":\"" CLIENT "\"}"),
			"set"),
		first);
	assert_int_equal(key_leaks, 0);
}

static void a_bad_header_is_refused_with_its_place(void **state)
{
	const json_t *data = refused_data(
		"sa.offer", "{" OFFER ",\"security_client\":[\"tls\",\"ipsec-3gpp;q=2\"]}",
		"bad_header");

	(void)state;
	assert_int_equal(number_of(data, "line"), 1);
	assert_true(number_of(data, "offset") > 0);
	assert_string_equal(text_of(data, "verdict"), "reject");
	assert_int_equal(number_of(json_object_get(data, "sip"), "code"), 400);
	assert_int_equal(key_leaks, 0);
}

static void B2_a_494_comes_with_its_headers(void **state)
{
	const json_t *data = refused_data("sa.offer", "{" OFFER ",\"security_client\":\"tls\"}",
					  "no_common_mechanism");
	const json_t *sip = json_object_get(data, "sip"),
		     *headers = json_object_get(sip, "headers");

	(void)state;
	assert_int_equal(number_of(sip, "code"), 494);
	assert_string_equal(text_of(sip, "phrase"), "Security Agreement Required");
	assert_int_equal(json_array_size(headers), 2);
	assert_non_null(strstr(json_string_value(json_array_get(headers, 0)),
			       "Security-Server: ipsec-3gpp;q="));
	assert_string_equal(json_string_value(json_array_get(headers, 1)), "Require: sec-agree");
}

static void B4_what_starts_the_mechanism_in_common_is_said(void **state)
{
	static const char *const MORE[] = {"tls", "digest", "ipsec-3gpp", NULL};
	const json_t *data, *result;

	(void)state;
	data = refused_data("sa.offer", "{" OFFER ",\"security_client\":\"digest\"}",
			    "no_common_mechanism");
	assert_null(json_object_get(data, "start"));
	result = call("sa.offer", "{" OFFER ",\"security_client\":\"" CLIENT "\"}");
	assert_string_equal(text_of(result, "start"), "sa.offer");
	world_mechanisms(MORE);
	data = refused_data("sa.offer", "{" OFFER ",\"security_client\":\"digest\"}",
			    "no_common_mechanism");
	assert_string_equal(text_of(data, "start"), "challenge");
	result = call("sa.offer", "{" OFFER ",\"security_client\":[\"" CLIENT "\",\"tls\"]}");
	assert_string_equal(text_of(result, "start"), "tls connection");
}

static void B11_where_the_extension_is_off_nothing_is_to_be_removed(void **state)
{
	static const char CHECK[] = "{\"pcscf\":\"192.0.2.1\",\"pcscf_port\":5060,"
				    "\"ue\":\"198.51.100.7\",\"ue_port\":5060,"
				    "\"method\":\"INVITE\",\"response\":false,"
				    "\"security_client\":\"tls\",\"security_verify\":\"tls\"}";

	(void)state;
	assert_int_equal(json_array_size(json_object_get(call("sa.check", CHECK), "remove")), 2);
	world.listener->decide.sec_agree = false;
	assert_int_equal(json_array_size(json_object_get(call("sa.check", CHECK), "remove")), 0);
	refused_data("sa.offer", "{" OFFER ",\"security_client\":\"" CLIENT "\"}", "sec_agree_off");
}

static void what_the_kernel_refused_is_said(void **state)
{
	const json_t *data, *kernel;

	(void)state;
	fake_xfrm_refuse(1, -EPERM);
	data = refused_data("sa.offer", "{" OFFER ",\"security_client\":\"" CLIENT "\"}",
			    "kernel_refused");
	kernel = json_object_get(data, "kernel");
	assert_string_equal(text_of(kernel, "errno"), "EPERM");
	assert_string_equal(text_of(kernel, "text"), "the fake says no");
	assert_int_equal(number_of(json_object_get(data, "sip"), "code"), 500);
	assert_int_equal(key_leaks, 0);
}

static void N2_a_phone_behind_a_nat_is_discarded_in_silence(void **state)
{
	const json_t *data = refused_data(
		"sa.offer", "{" OFFER ",\"via\":\"10.0.0.1\",\"security_client\":\"" CLIENT "\"}",
		"nat_refused");

	(void)state;
	assert_string_equal(text_of(data, "verdict"), "discard");
	assert_null(json_object_get(data, "sip"));
}

static void the_listener_is_found_by_name_or_address(void **state)
{
	static const char REST[] = "\"impi\":\"a@x\",\"ue\":\"198.51.100.7\",\"ck\":\"" CK
				   "\",\"ik\":\"" IK "\",\"security_client\":\"" CLIENT "\"}";
	char params[1000];

	(void)state;
	snprintf(params, sizeof(params), "{\"listener\":\"ims\",%s", REST);
	call("sa.offer", params);
	snprintf(params, sizeof(params), "{\"listener\":\"imz\",%s", REST);
	refused_data("sa.offer", params, "unknown_listener");
	snprintf(params, sizeof(params), "{\"pcscf\":\"192.0.2.2\",%s", REST);
	refused_data("sa.offer", params, "unknown_listener");
	snprintf(params, sizeof(params), "{%s", REST);
	refused_data("sa.offer", params, "unknown_listener");
	world.config.listeners[1] = world.config.listeners[0];
	world.config.listener_count = 2;
	snprintf(params, sizeof(params), "{\"pcscf\":\"192.0.2.1\",%s", REST);
	refused_data("sa.offer", params, "unknown_listener"); /* which one? */
	assert_int_equal(key_leaks, 0);
}

static void phone_and_listener_are_of_one_address_family(void **state)
{
	(void)state;
	refused_data("sa.offer",
		     "{\"impi\":\"a@x\",\"ue\":\"2001:db8::7\",\"pcscf\":\"192.0.2.1\",\"ck\":\"" CK
		     "\",\"ik\":\"" IK "\",\"security_client\":\"" CLIENT "\"}",
		     "unknown_listener");
	assert_int_equal(key_leaks, 0);
}

/* ---- a registration, as the front end drives it ---- */

static json_t *check(const char *method, const char *more)
{
	char params[4096];

	snprintf(params, sizeof(params),
		 "{\"pcscf\":\"192.0.2.1\",\"pcscf_port\":6100,\"ue\":\"198.51.100.7\","
		 "\"ue_port\":5062,\"method\":\"%s\"%s}",
		 method, more);
	return call("sa.check", params);
}

static void a_registration_from_offer_to_release(void **state)
{
	char id[17], verify[3000];
	const json_t *result;

	(void)state;
	snprintf(id, sizeof(id), "%s", offer());
	snprintf(verify, sizeof(verify),
		 ",\"security_client\":\"" CLIENT "\",\"security_verify\":\"%s\"",
		 text_of(json_object_get(last, "result"), "security_server"));
	result = check("REGISTER", verify);
	assert_true(json_is_true(json_object_get(result, "protected")));
	assert_string_equal(text_of(result, "set"), id);
	assert_string_equal(text_of(result, "state"), "temporary");
	assert_string_equal(text_of(result, "impi"), "a@x");
	assert_string_equal(text_of(result, "integrity_protected"), "yes");
	assert_int_equal(json_array_size(json_object_get(result, "remove")), 2);

	result = on_set("sa.confirm", id, ",\"expires\":3600");
	assert_string_equal(text_of(result, "state"), "current");
	assert_int_equal(number_of(result, "expires_in"), 3630);
	assert_int_equal(json_array_size(json_object_get(result, "superseded")), 0);

	result = on_set("sa.extend", id, ",\"expires\":7200");
	assert_int_equal(number_of(result, "expires_in"), 7230);

	result = on_set("sa.release", id, "");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(result, "released"), 0)), id);
	assert_int_equal(world_sets(), 0);
	on_set_refused("sa.release", id, "", "unknown_set");
	assert_int_equal(key_leaks, 0);
}

static void the_longest_expires_is_shown_as_it_is(void **state)
{
	char id[17];

	(void)state;
	snprintf(id, sizeof(id), "%s", offer());
	assert_int_equal(
		number_of(on_set("sa.confirm", id, ",\"expires\":4294967295"), "expires_in"),
		4294967295);
	assert_int_equal(number_of(on_set("sa.show", id, ""), "expires_in"), 4294967295);
}

static void a_confirmed_reregistration_names_what_it_supersedes(void **state)
{
	char first[17], params[1000];
	const json_t *superseded;

	(void)state;
	snprintf(first, sizeof(first), "%s", offer());
	on_set("sa.confirm", first, ",\"expires\":3600");
	snprintf(params, sizeof(params),
		 "{" OFFER ",\"over\":\"%s\",\"security_client\":\"ipsec-3gpp;alg=aes-gmac;"
		 "spi-c=2001;spi-s=2002;port-c=5066;port-s=5064\"}",
		 first);
	snprintf(params, sizeof(params), "%s", text_of(call("sa.offer", params), "set"));
	superseded =
		json_object_get(on_set("sa.confirm", params, ",\"expires\":3600"), "superseded");
	assert_int_equal(json_array_size(superseded), 1);
	assert_string_equal(json_string_value(json_array_get(superseded, 0)), first);
	assert_string_equal(text_of(on_set("sa.show", params, ""), "state"), "new");
	assert_string_equal(text_of(on_set("sa.show", first, ""), "state"), "old");
}

static void what_came_unprotected_is_said(void **state)
{
	const json_t *result =
		call("sa.check", "{\"pcscf\":\"192.0.2.1\",\"pcscf_port\":5060,\"ue\":"
				 "\"198.51.100.7\",\"ue_port\":5062,\"method\":\"REGISTER\"}");

	(void)state;
	assert_true(json_is_false(json_object_get(result, "protected")));
	assert_string_equal(text_of(result, "integrity_protected"), "no");
}

static void a_message_without_set_is_discarded(void **state)
{
	const json_t *data =
		refused_data("sa.check",
			     "{\"pcscf\":\"192.0.2.1\",\"pcscf_port\":6100,\"ue\":\"198.51.100.7\","
			     "\"ue_port\":5062,\"method\":\"INVITE\"}",
			     "unknown_set");

	(void)state;
	assert_string_equal(text_of(data, "verdict"), "discard");
	assert_null(json_object_get(data, "sip"));
}

/* Words of the phone must not be able to spoil the reply. */
static void a_mismatch_in_any_characters_is_answered(void **state)
{
	static const char *const VERIFIES[] = {
		"ipsec-3gpp;x=\\\"\xc3\xa9\xc3\xa9\\\"",
		"x\xe2\x82\xac",
		"\\u0001",
		"\\ud83d\\ude00",
		"a;b=\\\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\\\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(VERIFIES); i++) {
		char params[1000];

		offer();
		snprintf(params, sizeof(params),
			 "{\"pcscf\":\"192.0.2.1\",\"pcscf_port\":6100,\"ue\":\"198.51.100.7\","
			 "\"ue_port\":5062,\"method\":\"REGISTER\",\"security_client\":\"%s\","
			 "\"security_verify\":\"%s\"}",
			 VERIFIES[i], VERIFIES[i]);
		refused_data("sa.check", params, "verify_mismatch");
	}
}

static void a_failed_authentication_ends_a_temporary_set_only(void **state)
{
	char id[17];

	(void)state;
	snprintf(id, sizeof(id), "%s", offer());
	assert_string_equal(text_of(on_set("sa.fail", id, ""), "state"), "gone");
	assert_int_equal(world_sets(), 0);
	snprintf(id, sizeof(id), "%s", offer());
	on_set("sa.confirm", id, ",\"expires\":60");
	on_set_refused("sa.fail", id, "", "wrong_state");
	assert_int_equal(world_sets(), 1);
}

static void a_set_that_is_not_there_is_said(void **state)
{
	static const char *const METHODS[] = {"sa.fail", "sa.show", "sa.release", "sa.route"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(METHODS); i++)
		refused_data(METHODS[i], "{\"set\":\"0000000000000001\"}", "unknown_set");
	refused_data("sa.confirm", "{\"set\":\"0000000000000000\",\"expires\":1}", "unknown_set");
	refused_data("sa.extend", "{\"set\":\"ffffffffffffffff\",\"expires\":1}", "unknown_set");
	refused_data("sa.offer", "{" OFFER ",\"over\":\"0000000000000000\",\"security_client\":\"" CLIENT
				 "\"}", "unknown_set");
	assert_int_equal(world_sets(), 0);
}

/* ---- sa.release, sa.route, sa.list, sa.show ---- */

/* Registers @impi at @ue over JSON. */
static void register_at(const char *impi, const char *ue, unsigned number)
{
	char params[1000], id[17];

	snprintf(params, sizeof(params),
		 "{\"impi\":\"%s\",\"ue\":\"%s\",\"pcscf\":\"192.0.2.1\",\"ck\":\"" CK
		 "\",\"ik\":\"" IK "\",\"security_client\":\"ipsec-3gpp;alg=aes-gmac;spi-c=%u;"
		 "spi-s=%u;port-c=%u;port-s=%u\"}",
		 impi, ue, 3000 + 2 * number, 3001 + 2 * number, 7000 + 2 * number,
		 7001 + 2 * number);
	snprintf(id, sizeof(id), "%s", text_of(call("sa.offer", params), "set"));
	on_set("sa.confirm", id, ",\"expires\":3600");
}

static void release_takes_a_set_or_an_identity(void **state)
{
	(void)state;
	refused_data("sa.release", "{}", "unknown_set");
	register_at("a@x", "198.51.100.7", 1);
	register_at("a@x", "198.51.100.8", 2);
	register_at("a@x", "198.51.100.9", 3);
	register_at("b@x", "198.51.100.9", 4);
	call("sa.release", "{\"impi\":\"a@x\",\"ue\":\"198.51.100.8\"}");
	assert_int_equal(world_sets(), 3);
	assert_int_equal(json_array_size(json_object_get(call("sa.release", "{\"impi\":\"a@x\"}"),
							 "released")),
			 2);
	assert_int_equal(world_sets(), 1);
	call("sa.release", "{\"impi\":\"nobody@x\"}");
	call("sa.release", "{\"impi\":\"b@x\",\"linger\":5}");
	assert_int_equal(world_sets(), 1);
	fake_clock_advance_s(5);
	assert_int_equal(world_sets(), 0);
}

static void behind_the_limit_of_answers_a_notification_is_done_and_not_answered(void **state)
{
	char text[256 * 64] = "[", *at = text + 1, ue[20];
	const json_t *replies;

	(void)state;
	for (unsigned i = 1; i <= 120; i++) {
		snprintf(ue, sizeof(ue), "198.51.100.%u", i);
		register_at("a@x", ue, i);
	}
	for (int i = 1; i <= 200; i++)
		at += sprintf(at, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"sa.list\"},", i);
	strcpy(at, "{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"sa.list\"},"
		   "{\"jsonrpc\":\"2.0\",\"method\":\"sa.release\",\"params\":{\"impi\":\"a@x\"}}]");
	replies = ask(text);
	assert_int_equal(json_array_size(replies), 201);
	assert_non_null(json_object_get(json_array_get(replies, 0), "result"));
	assert_error(json_array_get(replies, 199), -32600, "bad_request");
	assert_int_equal(number_of(json_array_get(replies, 199), "id"), 200);
	assert_error(json_array_get(replies, 200), -32600, "bad_request");
	assert_true(json_is_null(json_object_get(json_array_get(replies, 200), "id")));
	assert_int_equal(world_sets(), 0);
}

static void assert_route(const json_t *route)
{
	static const char *const TRANSPORTS[] = {"udp", "tcp"};

	for (size_t i = 0; i < COUNT_OF(TRANSPORTS); i++) {
		const json_t *path = json_object_get(route, TRANSPORTS[i]);
		const json_t *local = json_object_get(path, "local");
		const json_t *remote = json_object_get(path, "remote");

		assert_string_equal(text_of(local, "address"), "192.0.2.1");
		assert_in_range(number_of(local, "port"), 6104, 6107);
		assert_string_equal(text_of(remote, "address"), "198.51.100.7");
		assert_int_equal(number_of(remote, "port"), 7003);
	}
}

static void D15_a_request_to_the_phone_goes_from_our_client_to_its_server_port(void **state)
{
	char id[17];

	(void)state;
	register_at("a@x", "198.51.100.7", 1);
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)world.table->sets->id);
	assert_route(on_set("sa.route", id, ""));
	assert_route(call("sa.route", "{\"impi\":\"a@x\"}"));
	assert_route(call("sa.route", "{\"ue\":\"198.51.100.7\",\"ue_port\":7003}"));
	refused_data("sa.route", "{}", "unknown_set");
	refused_data("sa.route", "{\"ue\":\"198.51.100.7\"}", "unknown_set");
	refused_data("sa.route", "{\"impi\":\"b@x\"}", "unknown_set");
	refused_data("sa.route", "{\"ue\":\"198.51.100.7\",\"ue_port\":7002}", "unknown_set");
}

static void a_temporary_set_has_no_route(void **state)
{
	(void)state;
	on_set_refused("sa.route", offer(), "", "unknown_set");
}

/* ---- the life of sets, as a front end sees it ---- */

static const char *set_id(const struct sa_set *set)
{
	static char id[17];

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)set->id);
	return id;
}

/* Over @over, challenged and not yet answered. */
static struct sa_set *offered_again(const struct sa_set *over)
{
	char params[1000];

	snprintf(params, sizeof(params),
		 "{" OFFER ",\"over\":\"%s\",\"security_client\":\"ipsec-3gpp;alg=aes-gmac;"
		 "spi-c=2001;spi-s=2002;port-c=5066;port-s=5064\"}",
		 set_id(over));
	call("sa.offer", params);
	return world.table->sets->hh.next;
}

static struct sa_set *registered(void)
{
	on_set("sa.confirm", offer(), ",\"expires\":3600");
	return world.table->sets;
}

static json_t *check_with(const char *port, const char *more, const char *reason)
{
	char params[5000];

	snprintf(params, sizeof(params),
		 "{\"pcscf\":\"192.0.2.1\",\"pcscf_port\":6100,\"ue\":\"198.51.100.7\","
		 "\"ue_port\":%s,%s}",
		 port, more);
	return reason ? refused_data("sa.check", params, reason) : call("sa.check", params);
}

static void D1_D7_a_set_is_shown_with_all_that_it_is_made_of(void **state)
{
	const struct sa_set *set = registered();
	const json_t *shown = on_set("sa.show", set_id(set), ""), *sas;

	(void)state;
	assert_string_equal(text_of(shown, "ue"), "198.51.100.7");
	assert_string_equal(text_of(shown, "impi"), "a@x");
	assert_int_equal(number_of(json_object_get(shown, "phone"), "port_c"), 5062);
	assert_int_equal(number_of(json_object_get(shown, "phone"), "spi_s"), 1002);
	assert_int_equal(number_of(json_object_get(shown, "pcscf"), "port_s"), 6100);
	assert_int_equal(number_of(shown, "expires_in"), 3630);
	sas = json_object_get(shown, "sas");
	assert_int_equal(json_array_size(sas), 4);
	for (size_t i = 0; i < 4; i++) {
		const json_t *sa = json_array_get(sas, i);
		const bool in = !strcmp(text_of(sa, "direction"), "in");

		assert_string_equal(text_of(sa, in ? "src" : "dst"), "198.51.100.7");
		assert_string_equal(text_of(sa, in ? "dst" : "src"), "192.0.2.1");
	}
}

static void D10_a_via_of_another_address_is_rejected_and_ends_a_temporary_set(void **state)
{
	struct sa_set *set = registered();
	const json_t *data;

	(void)state;
	check_with("5062", "\"method\":\"REGISTER\",\"via\":\"::ffff:198.51.100.7\"", NULL);
	check_with("5062", "\"method\":\"INVITE\",\"via\":\"198.51.100.8\"", NULL);
	data = check_with("5062", "\"method\":\"REGISTER\",\"via\":\"198.51.100.8\"",
			  "via_mismatch");
	assert_string_equal(text_of(data, "verdict"), "reject");
	assert_int_equal(number_of(json_object_get(data, "sip"), "code"), 403);
	assert_int_equal(set->state, SA_SET_CURRENT);
	set = offered_again(set);
	check_with("5066", "\"method\":\"REGISTER\",\"via\":\"198.51.100.8\"", "via_mismatch");
	assert_true(set->aborted);
}

static void E4_a_register_without_response_on_a_temporary_set_is_discarded(void **state)
{
	const json_t *data;

	(void)state;
	offer();
	data = check_with("5062", "\"method\":\"REGISTER\",\"answers\":false", "wrong_state");
	assert_string_equal(text_of(data, "verdict"), "discard");
	assert_false(world.table->sets->aborted);
}

static void D11_discards_are_told_from_rejections(void **state)
{
	static const struct {
		const char *port, *more, *reason, *verdict;
	} CASES[] = {
		{"4444", "\"method\":\"INVITE\"", "unknown_set", "discard"},
		{"5066", "\"method\":\"INVITE\"", "wrong_state", "discard"},
		{"5062", "\"method\":\"REGISTER\",\"impi\":\"b@x\"", "identity_mismatch", "reject"},
		{"5062", "\"method\":\"INVITE\",\"security_verify\":\"tls\"", "verify_mismatch",
		 "reject"},
		{"5066", "\"method\":\"REGISTER\"", "verify_mismatch", "reject"},
	};

	(void)state;
	offered_again(registered());
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		const json_t *data =
			check_with(CASES[i].port, CASES[i].more, CASES[i].reason);

		assert_string_equal(text_of(data, "verdict"), CASES[i].verdict);
		assert_int_equal(json_object_get(data, "sip") != NULL,
				 !strcmp(CASES[i].verdict, "reject"));
	}
}

/* The ends of one path in an answer of sa.route. */
static void assert_path(const json_t *route, const char *name, unsigned local, unsigned remote)
{
	const json_t *path = json_object_get(route, name);

	assert_int_equal(number_of(json_object_get(path, "local"), "port"), local);
	assert_int_equal(number_of(json_object_get(path, "remote"), "port"), remote);
	assert_string_equal(text_of(json_object_get(path, "remote"), "address"), "198.51.100.7");
}

static void assert_ways(const json_t *route, const struct sa_set *set)
{
	assert_path(route, "udp", set->pcscf.port_c, set->ue.port_s);
	assert_path(route, "tcp", set->pcscf.port_c, set->ue.port_s);
	assert_path(route, "tcp_opened_by_phone", set->pcscf.port_s, set->ue.port_c);
}

static void D16_E5_E7_ways_are_those_of_the_set_in_use_or_of_a_registers_own(void **state)
{
	struct sa_set *old = registered(), *fresh = offered_again(old);

	(void)state;
	assert_ways(on_set("sa.route", set_id(fresh), ""), old);
	assert_ways(on_set("sa.route", set_id(fresh), ",\"exact\":true"), fresh);
	on_set("sa.confirm", set_id(fresh), ",\"expires\":3600");
	assert_ways(on_set("sa.route", set_id(fresh), ""), old);
	assert_ways(on_set("sa.route", set_id(fresh), ",\"exact\":true"), fresh);
	check_with("5066", "\"method\":\"INVITE\"", NULL);
	assert_ways(on_set("sa.route", set_id(old), ""), fresh);
	assert_ways(on_set("sa.route", set_id(old), ",\"exact\":true"), old);
}

static void D16_an_rfc3329_set_has_one_port_for_both(void **state)
{
	const json_t *route;
	const struct sa_set *set;

	(void)state;
	call("sa.offer", "{" OFFER ",\"security_client\":\"ipsec-3gpp;alg=hmac-sha-1-96;"
			 "spi=33333333;port1=5064\"}");
	set = world.table->sets;
	route = on_set("sa.route", set_id(set), ",\"exact\":true");
	assert_path(route, "udp", set->pcscf.port1, 5064);
	assert_true(json_is_null(json_object_get(
		json_object_get(json_object_get(route, "tcp_opened_by_phone"), "remote"),
		"port")));
}

static size_t released(const json_t *result)
{
	return json_array_size(json_object_get(result, "released"));
}

static size_t identities(const struct sa_set *set)
{
	return json_array_size(json_object_get(on_set("sa.show", set_id(set), ""), "impu"));
}

static void E9_a_set_goes_with_the_last_of_its_identities(void **state)
{
	const struct sa_set *set;

	(void)state;
	on_set("sa.confirm", offer(), ",\"expires\":3600,\"impu\":\"sip:a@x\"");
	set = world.table->sets;
	on_set("sa.extend", set_id(set), ",\"expires\":3600,\"impu\":[\"sip:b@x\",\"tel:+1\"]");
	assert_int_equal(identities(set), 3);
	assert_int_equal(released(on_set("sa.release", set_id(set), ",\"impu\":\"sip:a@x\"")), 0);
	assert_int_equal(released(call("sa.release", "{\"impi\":\"a@x\",\"impu\":\"sip:c@x\"}")),
			 0);
	assert_int_equal(identities(set), 2);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_int_equal(released(call("sa.release", "{\"impi\":\"a@x\",\"linger\":5,"
						     "\"impu\":[\"sip:b@x\",\"tel:+1\"]}")),
			 1);
	assert_int_equal(sa_set_left_s(set), 5);
}

static void E9_what_the_network_ends_is_in_use_until_then(void **state)
{
	struct sa_set *set;

	(void)state;
	register_at("a@x", "198.51.100.7", 1);
	register_at("a@x", "198.51.100.8", 2);
	set = world.table->sets;
	assert_int_equal(released(call("sa.release", "{\"impi\":\"a@x\",\"linger\":10}")), 2);
	assert_int_equal(set->state, SA_SET_CURRENT);
	assert_ways(call("sa.route", "{\"ue\":\"198.51.100.7\",\"ue_port\":7003}"), set);
	check_with("7002", "\"method\":\"NOTIFY\"", NULL);
	/* a phone that leaves is sent nothing any more */
	on_set("sa.release", set_id(set), ",\"linger\":5");
	assert_int_equal(set->state, SA_SET_OLD);
	on_set_refused("sa.route", set_id(set), "", "unknown_set");
	fake_clock_advance_s(5);
	assert_int_equal(world_sets(), 1);
	fake_clock_advance_s(5);
	assert_int_equal(world_sets(), 0);
}

static void E14_without_good_keys_nothing_is_made_and_nothing_lost(void **state)
{
	static const char *const KEYS[] = {
		"\"ck\":\"" CK "\"",
		"\"ik\":\"" IK "\"",
		"\"ck\":\"" CK "\",\"ik\":\"\"",
		"\"ck\":\"" CK "\",\"ik\":\"a1a2a3a4a5a6a7a8a9aaabacadaeaf\"",
		"\"ck\":\"" CK "\",\"ik\":\"a1a2a3a4a5a6a7a8a9aaabacadaeafxx\"",
	};
	const struct sa_set *set = registered();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(KEYS); i++) {
		char params[1000];

		snprintf(params, sizeof(params),
			 "{\"impi\":\"a@x\",\"ue\":\"198.51.100.7\",\"pcscf\":\"192.0.2.1\","
			 "\"security_client\":\"" CLIENT "\",%s}",
			 KEYS[i]);
		call_refused("sa.offer", params, -32602, "bad_params");
	}
	assert_int_equal(world_sets(), 1);
	assert_int_equal(set->state, SA_SET_CURRENT);
}

static size_t listed(const char *params)
{
	return json_array_size(json_object_get(call("sa.list", params), "sets"));
}

static void lists_are_filtered(void **state)
{
	(void)state;
	assert_int_equal(listed("{}"), 0);
	register_at("a@x", "198.51.100.7", 1);
	register_at("b@x", "198.51.100.8", 2);
	register_at("b@x", "198.51.100.9", 3);
	offer();
	assert_int_equal(listed("{}"), 4);
	assert_int_equal(listed("{\"impi\":\"b@x\"}"), 2);
	assert_int_equal(listed("{\"ue\":\"198.51.100.9\"}"), 1);
	assert_int_equal(listed("{\"state\":\"current\"}"), 3);
	assert_int_equal(listed("{\"state\":\"temporary\"}"), 1);
	assert_int_equal(listed("{\"listener\":\"ims\"}"), 4);
	assert_int_equal(listed("{\"listener\":\"other\"}"), 0);
	assert_int_equal(listed("{\"impi\":\"b@x\",\"ue\":\"198.51.100.7\"}"), 0);
	assert_int_equal(listed("{\"impi\":\"b@x\",\"ue\":\"198.51.100.8\"}"), 1);
	assert_int_equal(listed("{\"impi\":\"nobody@x\"}"), 0);
	assert_int_equal(listed("{\"ue\":\"198.51.100.99\"}"), 0);
	assert_int_equal(listed("{\"match\":\"b@\"}"), 2);
	assert_int_equal(listed("{\"match\":\"@x\",\"limit\":3}"), 3);
	assert_int_equal(listed("{\"match\":\"c\"}"), 0);
}

static void a_list_finds_a_public_identity(void **state)
{
	(void)state;
	call("sa.offer", "{" OFFER ",\"impu\":[\"sip:a@x\",\"tel:+15550123\"],"
			 "\"security_client\":\"" CLIENT "\"}");
	assert_int_equal(listed("{\"match\":\"550123\"}"), 1);
	assert_int_equal(listed("{\"match\":\"550124\"}"), 0);
}

static void a_list_has_both_ends_of_each_set_when_it_is_asked(void **state)
{
	const json_t *set;

	(void)state;
	register_at("a@x", "198.51.100.7", 1);
	set = json_array_get(json_object_get(call("sa.list", "{}"), "sets"), 0);
	assert_null(json_object_get(set, "phone"));
	set = json_array_get(json_object_get(call("sa.list", "{\"detail\":true}"), "sets"), 0);
	assert_int_equal(number_of(json_object_get(set, "phone"), "port_s"), 7003);
	assert_int_equal(number_of(json_object_get(set, "pcscf"), "port_c"),
			 world.table->sets->pcscf.port_c);
	assert_true(json_is_array(json_object_get(set, "impu")));
}

/* A set in the tables alone: the kernel of these tests has no room for many. */
static void add_set_at(unsigned number)
{
	struct sa_set *set = calloc(1, sizeof(*set));
	char ue[20];

	assert_non_null(set);
	snprintf(ue, sizeof(ue), "10.0.%u.%u", number / 250, number % 250);
	assert_int_equal(ip_parse(ue, &set->ue_address), 0);
	set->listener = world.config.listeners;
	set->impi = "a@x";
	set->impu = strdup("");
	set->security_client = packed_new(span_of(""));
	set->security_server = packed_new(span_of(""));
	assert_int_equal(sa_table_add(world.table, set, ue), 0);
}

/* One filter that nothing passes must not stop the daemon for as long as there are sets. */
static void a_list_looks_at_so_many_sets_at_a_time(void **state)
{
	const json_t *result;
	char params[100];

	(void)state;
	for (unsigned i = 0; i < 10001; i++)
		add_set_at(i);
	result = call("sa.list", "{\"match\":\"b@\",\"limit\":1}");
	assert_int_equal(json_array_size(json_object_get(result, "sets")), 0);
	assert_int_equal(number_of(result, "total"), 10001);
	snprintf(params, sizeof(params), "{\"match\":\"a@\",\"after\":\"%s\"}",
		 text_of(result, "next"));
	result = call("sa.list", params);
	assert_int_equal(json_array_size(json_object_get(result, "sets")), 1);
	assert_true(json_is_null(json_object_get(result, "next")));
	while (world.table->sets)
		sa_set_leave(world.table->sets);
}

/* The way through an identity and through an address has pages as well. */
static void a_list_of_one_identity_or_address_has_pages(void **state)
{
	static const char *const FILTERS[] = { "\"impi\":\"a@x\"", "\"ue\":\"198.51.100.7\"" };

	(void)state;
	register_at("a@x", "198.51.100.6", 1);
	register_at("a@x", "198.51.100.7", 2);
	register_at("b@x", "198.51.100.7", 3);
	register_at("b@x", "198.51.100.8", 4);
	for (size_t i = 0; i < 2; i++) {
		const json_t *result;
		char params[200], first[17];

		snprintf(params, sizeof(params), "{%s,\"limit\":1}", FILTERS[i]);
		result = call("sa.list", params);
		snprintf(first, sizeof(first), "%s", text_of(result, "next"));
		snprintf(params, sizeof(params), "{%s,\"after\":\"%s\"}", FILTERS[i], first);
		result = call("sa.list", params);
		assert_int_equal(json_array_size(json_object_get(result, "sets")), 1);
		assert_true(json_is_null(json_object_get(result, "next")));
		assert_string_not_equal(
			text_of(json_array_get(json_object_get(result, "sets"), 0), "set"), first);
	}
	/* others, that come behind them, are not looked at */
	assert_true(json_is_null(json_object_get(
		call("sa.list", "{\"ue\":\"198.51.100.6\",\"limit\":1}"), "next")));
	assert_true(json_is_null(
		json_object_get(call("sa.list", "{\"impi\":\"a@x\",\"limit\":2}"), "next")));
}

static void a_list_is_read_page_by_page(void **state)
{
	char after[64] = "";
	size_t pages = 0, sets = 0;

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		char ue[20];

		snprintf(ue, sizeof(ue), "198.51.100.%u", 10 + i);
		register_at("a@x", ue, i);
	}
	for (;; pages++) {
		const json_t *result, *next;
		char params[100];

		snprintf(params, sizeof(params), "{\"limit\":3%s}", after);
		result = call("sa.list", params);
		assert_int_equal(number_of(result, "total"), 7);
		sets += json_array_size(json_object_get(result, "sets"));
		next = json_object_get(result, "next");
		if (json_is_null(next))
			break;
		snprintf(after, sizeof(after), ",\"after\":\"%s\"", json_string_value(next));
	}
	assert_int_equal(pages, 2);
	assert_int_equal(sets, 7);
	refused_data("sa.list", "{\"after\":\"0000000000000001\"}", "unknown_set");
}

static void a_set_is_shown_with_the_counters_of_its_sas(void **state)
{
	const json_t *result, *sas, *sa;
	char id[17];
	struct plan plan;

	(void)state;
	snprintf(id, sizeof(id), "%s",
		 text_of(call("sa.offer", "{" OFFER ",\"impu\":[\"sip:a@x\",\"tel:+1\"],"
					  "\"security_client\":\"" CLIENT "\"}"),
			 "set"));
	sa_set_plan(world.table->sets, &plan);
	fake_xfrm_steal_sa(&plan.sas[3].id);
	fake_clock_advance_s(10);
	result = on_set("sa.show", id, "");
	assert_int_equal(json_array_size(json_object_get(result, "impu")), 2);
	assert_string_equal(text_of(result, "security_client"), CLIENT);
	assert_int_equal(number_of(result, "reqid"), 33203);
	sas = json_object_get(result, "sas");
	assert_int_equal(json_array_size(sas), 4);
	sa = json_array_get(sas, 0);
	assert_string_equal(text_of(sa, "direction"), "in");
	assert_string_equal(text_of(sa, "src"), "198.51.100.7");
	assert_int_equal(number_of(sa, "sport"), 5062);
	assert_int_equal(number_of(sa, "dport"), 6100);
	assert_string_equal(text_of(sa, "proto"), "esp");
	assert_string_equal(text_of(sa, "mode"), "transport");
	assert_int_equal(number_of(sa, "hard_left"), 240);
	assert_int_equal(number_of(sa, "bytes"), 0);
	assert_true(json_is_null(json_object_get(sa, "used_ago")));
	assert_string_equal(text_of(json_array_get(sas, 2), "direction"), "out");
	assert_int_equal(number_of(json_array_get(sas, 2), "spi"), 1001);
	assert_true(json_is_true(json_object_get(json_array_get(sas, 3), "lost")));
	assert_int_equal(key_leaks, 0);
}

/* ---- agreement.*, daemon.* ---- */

static void headers_are_parsed_selected_from_and_compared(void **state)
{
	const json_t *result;

	(void)state;
	result = call("agreement.parse",
		      "{\"header\":\"security-client\",\"value\":\"" CLIENT "\"}");
	assert_string_equal(text_of(result, "header"), "Security-Client");
	refused_data("agreement.parse", "{\"header\":\"Via\",\"value\":\"x\"}", "bad_header");
	refused_data("agreement.parse", "{\"header\":\"Security-Client\",\"value\":\"\"}",
		     "bad_header");
	result = call("agreement.select", "{\"security_client\":\"" CLIENT "\"}");
	assert_string_equal(text_of(json_object_get(result, "selected"), "ealg"), "aes-cbc");
	result = call("agreement.select", "{\"security_client\":\"tls\"}");
	assert_true(json_is_null(json_object_get(result, "selected")));
	result = call("agreement.compare", "{\"a\":\"x;b=1\",\"b\":\"X ; B = 1\"}");
	assert_true(json_is_true(json_object_get(result, "equal")));
	result = call("agreement.compare", "{\"a\":\"x;b=1\",\"b\":\"x;b=2\"}");
	assert_true(json_is_false(json_object_get(result, "equal")));
	assert_true(strlen(text_of(result, "difference")) > 0);
	assert_int_equal(world_sets(), 0);
}

#define REQUEST                                                                                    \
	"INVITE sip:a@x SIP/2.0\\r\\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\\r\\n"          \
	"From: <sip:u@x>;tag=1\\r\\nTo: <sip:a@x>\\r\\nCall-ID: c\\r\\nCSeq: 1 INVITE\\r\\n"      \
	"Security-Verify: tls;q=0.1\\r\\n\\r\\n"

static void a_request_is_decided_on_from_itself_alone(void **state)
{
	const json_t *result;

	(void)state;
	result = call("agreement.decide", "{\"message\":\"" REQUEST "\",\"protected\":false}");
	assert_string_equal(text_of(result, "action"), "reply");
	assert_int_equal(number_of(json_object_get(result, "reply"), "code"), 421);
	refused_data("agreement.decide", "{\"message\":\"" REQUEST "\",\"protected\":true,"
					 "\"sent\":[\"tls;\"]}", "bad_header");
	result = call("agreement.decide", "{\"message\":\"" REQUEST "\",\"protected\":true,"
					  "\"sent\":\"tls;q=0.10\"}");
	assert_string_equal(text_of(result, "action"), "forward");
	assert_int_equal(number_of(result, "row"), 5);
	result = call("agreement.decide", "{\"message\":\"" REQUEST "\",\"protected\":false,"
					  "\"emergency\":true}");
	assert_int_equal(number_of(result, "row"), 10);
	assert_int_equal(world_sets(), 0);
}

static void a_question_that_cannot_be_decided_is_refused(void **state)
{
	(void)state;
	refused_data("agreement.decide", "{\"protected\":false}", "bad_message");
	refused_data("agreement.decide", "{\"message\":\"x\",\"protected\":false}", "bad_message");
	refused_data("agreement.decide", "{\"message\":\"x\",\"message_base64\":\"eA==\","
					 "\"protected\":false}", "bad_message");
	refused_data("agreement.decide", "{\"message\":\"" REQUEST "\",\"protected\":true,"
					 "\"tls\":true}", "bad_message");
	refused_data("agreement.decide", "{\"message\":\"" REQUEST "\",\"protected\":true,"
					 "\"listener\":\"none\"}", "unknown_listener");
}

static void status_counts(void **state)
{
	const json_t *result, *sets, *listener;

	(void)state;
	register_at("a@x", "198.51.100.7", 1);
	refused_data("sa.route", "{}", "unknown_set");
	fake_clock_advance_s(42);
	result = call("daemon.status", "{}");
	sets = json_object_get(result, "sets");
	assert_int_equal(number_of(sets, "current"), 1);
	assert_int_equal(number_of(sets, "temporary"), 0);
	assert_int_equal(number_of(result, "uptime_s"), 42);
	assert_int_equal(number_of(json_object_get(result, "refused"), "unknown_set"), 1);
	assert_int_equal(number_of(json_object_get(result, "netlink"), "datagrams"), 2);
	assert_int_equal(number_of(json_object_get(result, "netlink"), "messages"), 8);
	listener = json_array_get(json_object_get(result, "listeners"), 0);
	assert_string_equal(text_of(listener, "name"), "ims");
	assert_string_equal(text_of(listener, "client_ports"), "6104-6107");
	assert_int_equal(number_of(listener, "reqid"), 33203);
	assert_int_equal(number_of(listener, "priority"), 2080);
	assert_string_equal(text_of(call("daemon.version", "{}"), "version"), SECAGREED_VERSION);
}

static void stats_count_what_became_of_authentications(void **state)
{
	const json_t *result, *counts;

	(void)state;
	event_reset();
	register_at("a@x", "198.51.100.7", 1);
	register_at("b@x", "198.51.100.8", 2);
	offer();
	call("sa.release", "{\"impi\":\"b@x\"}");
	fake_clock_advance_s(240); /* reg-await-auth */
	refused_data("sa.route", "{}", "unknown_set");
	event_emit(EVENT_SET_LOST, event_number("left_s", 1));
	result = call("daemon.stats", "{}");
	counts = json_object_get(result, "registrations");
	assert_int_equal(number_of(counts, "begun"), 3);
	assert_int_equal(number_of(counts, "confirmed"), 2);
	assert_int_equal(number_of(counts, "failed"), 1);
	assert_int_equal(number_of(counts, "ended"), 1);
	assert_int_equal(number_of(result, "uptime_ms"), 240000);
	assert_int_equal(number_of(json_object_get(result, "sets"), "current"), 1);
	assert_int_equal(number_of(json_object_get(result, "refused"), "unknown_set"), 1);
	counts = json_object_get(result, "requests");
	assert_int_equal(number_of(json_object_get(counts, "sa.offer"), "done"), 3);
	assert_int_equal(number_of(json_object_get(counts, "sa.route"), "refused"), 1);
	assert_null(json_object_get(counts, "sa.check"));
	counts = json_object_get(result, "alarms");
	assert_int_equal(json_object_size(counts), 1);
	assert_int_equal(number_of(counts, "set-lost"), 1);
	event_reset();
}

static void an_audit_reports_what_it_found_and_mended(void **state)
{
	struct guards *guards;
	const json_t *result;
	char why[200];

	(void)state;
	assert_int_equal(guards_install(&fake_xfrm, &world.config, &guards, why, sizeof(why)), 0);
	world.config.audit_interval_s = 0;
	d.audit = audit_new(&world.config, world.table, guards);
	register_at("a@x", "198.51.100.7", 1);
	result = call("daemon.audit", "{}");
	assert_true(json_is_true(json_object_get(result, "clean")));
	assert_int_equal(number_of(result, "sets"), 1);
	assert_int_equal(number_of(result, "sas"), 4);
	fake_xfrm_steal_policies();
	fake_xfrm_steal_sa(&fake_xfrm.sas[0].sa.id);
	result = call("daemon.audit", "{}");
	assert_true(json_is_false(json_object_get(result, "clean")));
	assert_int_equal(number_of(result, "sets"), 0);
	assert_int_equal(number_of(result, "lost_sets"), 1);
	assert_int_equal(number_of(result, "restored_guards"), 4);
	fake_xfrm.refuse_dump = -EPERM;
	refused_data("daemon.audit", "{}", "kernel_refused");
	audit_free(d.audit);
	guards_remove(guards);
}

/* ---- memory ---- */

static void keys_of_a_request_are_wiped_wherever_it_fails(void **state)
{
	static const char *const TEXTS[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.offer\",\"params\":{\"ck\":\"" CK
		"\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.offer\",\"params\":{\"ck\":[\"" CK
		"\"]}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\",\"params\":{\"ck\":\"" CK
		"\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.offer\",\"params\":{\"" CK "\":1}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" CK "\"}",
		"{\"ik\":\"" IK "\"}",
		"[[\"" IK "\"]]",
		"{\"ik\":\"" IK "\"",
		"{\"ik\":\"" IK,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.offer\",\"params\":{" OFFER
		",\"security_client\":\"" CLIENT "\",\"colour\":1}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sa.offer\",\"params\":{" OFFER
		",\"transaction\":\"x\",\"security_client\":\"tls\"}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		free(handle(TEXTS[i]));
	assert_int_equal(key_leaks, 0);
}

/* The check itself must be able to fail. */
static void the_watch_over_free_sees_a_key(void **state)
{
	char *volatile text = strdup("..." CK); /* volatile: must not be optimized away */

	(void)state;
	free(text);
	assert_int_equal(key_leaks, 1);
	key_leaks = 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(what_is_no_json_is_a_parse_error),
		TEST(what_is_no_request_is_an_invalid_request),
		TEST(an_id_comes_back_as_it_was),
		TEST(an_unknown_method_is_said),
		TEST(an_unknown_method_is_named_unless_it_may_be_a_key),
		TEST(params_are_an_object),
		TEST(a_notification_is_done_and_not_answered),
		TEST(a_batch_is_answered_in_order_without_its_notifications),
		TEST(a_batch_of_notifications_has_no_answer),
		TEST(a_batch_has_a_limit),
		TEST(behind_the_limit_of_answers_a_notification_is_done_and_not_answered),
		TEST(a_parse_error_of_the_framing_is_a_reply_too),
		TEST(every_method_refuses_unknown_params),
		TEST(every_method_refuses_params_of_a_wrong_type),
		TEST(every_method_misses_what_it_requires),
		TEST(every_method_is_listed_with_its_params),
		TEST(an_offer_is_answered_with_everything_the_front_end_needs),
		TEST(an_rfc3329_offer_is_answered_in_its_dialect),
		TEST(a_retransmission_with_the_same_transaction_gets_the_same_answer),
		TEST(a_transaction_with_other_keys_is_another_one),
		TEST(a_bad_header_is_refused_with_its_place),
		TEST(B2_a_494_comes_with_its_headers),
		TEST(B4_what_starts_the_mechanism_in_common_is_said),
		TEST(B11_where_the_extension_is_off_nothing_is_to_be_removed),
		TEST(what_the_kernel_refused_is_said),
		TEST(N2_a_phone_behind_a_nat_is_discarded_in_silence),
		TEST(the_listener_is_found_by_name_or_address),
		TEST(phone_and_listener_are_of_one_address_family),
		TEST(a_registration_from_offer_to_release),
		TEST(the_longest_expires_is_shown_as_it_is),
		TEST(a_confirmed_reregistration_names_what_it_supersedes),
		TEST(what_came_unprotected_is_said),
		TEST(a_message_without_set_is_discarded),
		TEST(a_mismatch_in_any_characters_is_answered),
		TEST(a_failed_authentication_ends_a_temporary_set_only),
		TEST(a_set_that_is_not_there_is_said),
		TEST(release_takes_a_set_or_an_identity),
		TEST(D15_a_request_to_the_phone_goes_from_our_client_to_its_server_port),
		TEST(D1_D7_a_set_is_shown_with_all_that_it_is_made_of),
		TEST(D10_a_via_of_another_address_is_rejected_and_ends_a_temporary_set),
		TEST(E4_a_register_without_response_on_a_temporary_set_is_discarded),
		TEST(D11_discards_are_told_from_rejections),
		TEST(D16_E5_E7_ways_are_those_of_the_set_in_use_or_of_a_registers_own),
		TEST(D16_an_rfc3329_set_has_one_port_for_both),
		TEST(E9_a_set_goes_with_the_last_of_its_identities),
		TEST(E9_what_the_network_ends_is_in_use_until_then),
		TEST(E14_without_good_keys_nothing_is_made_and_nothing_lost),
		TEST(a_temporary_set_has_no_route),
		TEST(lists_are_filtered),
		TEST(a_list_finds_a_public_identity),
		TEST(a_list_has_both_ends_of_each_set_when_it_is_asked),
		TEST(a_list_looks_at_so_many_sets_at_a_time),
		TEST(a_list_of_one_identity_or_address_has_pages),
		TEST(a_list_is_read_page_by_page),
		TEST(a_set_is_shown_with_the_counters_of_its_sas),
		TEST(headers_are_parsed_selected_from_and_compared),
		TEST(a_request_is_decided_on_from_itself_alone),
		TEST(a_question_that_cannot_be_decided_is_refused),
		TEST(status_counts),
		TEST(stats_count_what_became_of_authentications),
		TEST(an_audit_reports_what_it_found_and_mended),
		TEST(keys_of_a_request_are_wiped_wherever_it_fails),
		TEST(the_watch_over_free_sees_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
