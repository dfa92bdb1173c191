/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/params.c: what each type of parameter takes, what it does not, and what is said about it.
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

#include "daemon/params.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- helpers ---- */

static const struct param ALL[] = {
	{"text", PARAM_TEXT, false, ""},
	{"lines", PARAM_LINES, false, ""},
	{"address", PARAM_ADDRESS, false, ""},
	{"port", PARAM_PORT, false, ""},
	{"number", PARAM_NUMBER, false, ""},
	{"key", PARAM_KEY, false, ""},
	{"set", PARAM_SET, false, ""},
	{"bool", PARAM_BOOL, false, ""},
	{"message", PARAM_MESSAGE, false, ""},
	{"base64", PARAM_BASE64, false, ""},
	{"place", PARAM_PLACE, false, ""},
	{0},
};

static char request[256 * 1024];
static struct json_tree tree;
static const struct json_node *params;
static char why[200];

static int stop(void **state)
{
	(void)state;
	json_tree_done(&tree);
	params = NULL;
	return 0;
}

static int check(const struct param *table, const char *text)
{
	json_tree_done(&tree);
	assert_true(strlen(text) < sizeof(request));
	strcpy(request, text);
	if (json_read(request, strlen(text), &tree, NULL) != 0)
		fail_msg("no JSON: %s", text);
	params = tree.nodes;
	why[0] = '\0';
	return params_check(table, params, why, sizeof(why));
}

static int check_one(const char *name, const char *value)
{
	char text[4096];

	snprintf(text, sizeof(text), "{\"%s\":%s}", name, value);
	return check(ALL, text);
}

static void assert_taken(const char *name, const char *value)
{
	if (check_one(name, value) != 0)
		fail_msg("%s: %s", value, why);
}

static void assert_refused(const char *name, const char *value)
{
	char quoted[40];

	if (check_one(name, value) != -EINVAL)
		fail_msg("taken: \"%s\":%s", name, value);
	snprintf(quoted, sizeof(quoted), "\"%s\" is ", name);
	assert_non_null(strstr(why, quoted));
}

/* Values of every kind of JSON, of which each type takes its own at most. */
static const char *const KINDS[] = {"null",  "true", "1",  "-1",  "1.0",       "1e3",
				    "\"x\"", "{}",   "[]", "[1]", "[[\"x\"]]", "[null]"};

static void assert_takes_of_kinds(const char *name, const char *first, const char *second)
{
	for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
		if (!strcmp(KINDS[i], first) || !strcmp(KINDS[i], second))
			assert_taken(name, KINDS[i]);
		else
			assert_refused(name, KINDS[i]);
	}
}

/* ---- the object ---- */

#define NAME_31 "abcdefghijabcdefghijabcdefghijk"

static void assert_unknown(const char *object, const char *told)
{
	char sentence[160];

	snprintf(sentence, sizeof(sentence),
		 "unknown parameter%s; daemon.methods lists those that there are", told);
	assert_int_equal(check(ALL, object), -EINVAL);
	assert_string_equal(why, sentence);
}

static void an_unknown_name_is_told_but_no_value(void **state)
{
	(void)state;
	assert_unknown("{\"limt\":\"secret\"}", " \"limt\"");
	assert_unknown("{\"Text\":\"x\"}", " \"Text\"");
	assert_unknown("{\"" NAME_31 "\":1}", " \"" NAME_31 "\"");
}

static void an_unknown_name_is_told_as_plain_text(void **state)
{
	(void)state;
	assert_unknown("{\"a\\\"b\\\\c\\n\\u001b[m\\u00e4\":1}", " \"a?b?c??[m??\"");
	assert_unknown("{\"\":1}", "");
}

static void an_unknown_name_that_may_be_a_key_is_not_told(void **state)
{
	(void)state;
	assert_unknown("{\"" NAME_31 "l\":1}", "");
	assert_unknown("{\"00112233445566778899aabbccddeeff\":1}", "");
}

static void what_is_required_must_be_there(void **state)
{
	static const struct param TABLE[] = {
		{"a", PARAM_TEXT, true, ""},
		{"b", PARAM_TEXT, true, ""},
		{0},
	};

	(void)state;
	assert_int_equal(check(TABLE, "{\"a\":\"x\",\"b\":\"y\"}"), 0);
	assert_int_equal(check(TABLE, "{\"a\":\"x\"}"), -EINVAL);
	assert_string_equal(why, "\"b\" is missing");
	assert_int_equal(check(TABLE, "{}"), -EINVAL);
	assert_int_equal(check(TABLE, "{\"a\":null,\"b\":\"y\"}"), -EINVAL);
}

static void what_is_absent_has_a_neutral_value(void **state)
{
	struct lines lines = {.count = 9};
	uint8_t key[16], zero[16] = {0};

	(void)state;
	assert_int_equal(check(ALL, "{}"), 0);
	memset(key, 0xff, sizeof(key));
	param_lines(params, "lines", &lines);
	param_key(params, "key", key);
	assert_int_equal(lines.count, 0);
	assert_memory_equal(key, zero, sizeof(key));
	assert_null(param_text(params, "text"));
	assert_int_equal(param_number(params, "number"), 0);
	assert_int_equal(param_port(params, "port"), 0);
	assert_int_equal(param_set(params, "set"), 0);
	assert_int_equal(param_address(params, "address").family, AF_UNSPEC);
	assert_false(param_bool(params, "bool"));
	assert_false(param_has(params, "bool"));
}

/* ---- types ---- */

static void texts(void **state)
{
	char long_text[1030];

	(void)state;
	assert_takes_of_kinds("text", "\"x\"", "");
	assert_taken("text", "\"\"");
	assert_taken("text", "\"\xc3\xa9 \\u00e9\"");
	assert_refused("text", "\"a\\nb\"");
	assert_refused("text", "\"a\\u001fb\"");
	assert_refused("text", "\"a\\u007fb\"");
	memset(long_text, 'x', sizeof(long_text));
	long_text[0] = long_text[1025] = '"';
	long_text[1026] = '\0';
	assert_taken("text", long_text);
	long_text[1025] = 'x';
	long_text[1026] = '"';
	long_text[1027] = '\0';
	assert_refused("text", long_text);
	assert_taken("text", "\"abc\"");
	assert_string_equal(param_text(params, "text"), "abc");
}

static void lines_are_one_string_or_several(void **state)
{
	struct lines lines;

	(void)state;
	assert_takes_of_kinds("lines", "\"x\"", "");
	assert_taken("lines", "\"a;b=1, c\"");
	param_lines(params, "lines", &lines);
	assert_int_equal(lines.count, 1);
	assert_true(span_equal(lines.line[0], span_of("a;b=1, c")));
	assert_taken("lines", "[\"a\",\"\",\"b\\r\\n c\"]");
	param_lines(params, "lines", &lines);
	assert_int_equal(lines.count, 3);
	assert_true(span_equal(lines.line[1], span_of("")));
	assert_true(span_equal(lines.line[2], span_of("b\r\n c")));
}

/* Too many lines are for the parser of the header to refuse: it must see that there are too many.
 */
static void more_lines_than_fit_are_not_lost_in_silence(void **state)
{
	char text[1000] = "[\"a\"";
	struct lines lines;

	(void)state;
	for (int i = 1; i < 100; i++)
		strcat(text, ",\"a\"");
	strcat(text, "]");
	assert_taken("lines", text);
	param_lines(params, "lines", &lines);
	assert_int_equal(lines.count, SEC_MAX_LINES + 1);
}

static void addresses(void **state)
{
	struct ip_addr ip, expected;

	(void)state;
	assert_takes_of_kinds("address", "", "");
	assert_taken("address", "\"192.0.2.1\"");
	assert_taken("address", "\"[2001:db8::1]\"");
	assert_refused("address", "\"192.0.2.1:5060\"");
	assert_refused("address", "\"pcscf.example\"");
	assert_refused("address", "\"\"");
	assert_taken("address", "\"2001:db8::1\"");
	ip = param_address(params, "address");
	assert_int_equal(ip_parse("2001:db8::1", &expected), 0);
	assert_true(ip_equal(&ip, &expected));
}

static void ports(void **state)
{
	(void)state;
	assert_takes_of_kinds("port", "1", "");
	assert_taken("port", "0");
	assert_refused("port", "65536");
	assert_refused("port", "\"5060\"");
	assert_taken("port", "65535");
	assert_int_equal(param_port(params, "port"), 65535);
}

static void numbers(void **state)
{
	(void)state;
	assert_takes_of_kinds("number", "1", "");
	assert_taken("number", "0");
	assert_refused("number", "4294967296");
	assert_refused("number", "9223372036854775807");
	assert_refused("number", "-9223372036854775808");
	assert_taken("number", "4294967295");
	assert_int_equal(param_number(params, "number"), UINT32_MAX);
}

static void keys(void **state)
{
	static const uint8_t EXPECTED[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	uint8_t key[16];

	(void)state;
	assert_takes_of_kinds("key", "", "");
	assert_refused("key", "\"00112233445566778899aabbccddeef\"");
	assert_refused("key", "\"00112233445566778899aabbccddeeff0\"");
	assert_refused("key", "\"00112233445566778899aabbccddeefg\"");
	assert_refused("key", "\"0x112233445566778899aabbccddeeff\"");
	assert_refused("key", "\" 0112233445566778899aabbccddeeff\"");
	assert_taken("key", "\"00112233445566778899AABBccddeeff\"");
	param_key(params, "key", key);
	assert_memory_equal(key, EXPECTED, sizeof(key));
}

static void a_refused_key_is_not_repeated(void **state)
{
	(void)state;
	assert_refused("key", "\"00112233445566778899aabbccddeefX\"");
	assert_null(strstr(why, "0011"));
}

static void set_ids(void **state)
{
	(void)state;
	assert_takes_of_kinds("set", "", "");
	assert_refused("set", "\"123456789abcde\"");
	assert_refused("set", "\"0123456789abcdeg\"");
	assert_taken("set", "\"0123456789abcdef\"");
	assert_true(param_set(params, "set") == 0x0123456789abcdefu);
	assert_taken("set", "\"FEDCBA9876543210\"");
	assert_true(param_set(params, "set") == 0xfedcba9876543210u);
}

static void bools(void **state)
{
	(void)state;
	assert_takes_of_kinds("bool", "true", "");
	assert_refused("bool", "\"true\"");
	assert_taken("bool", "false");
	assert_false(param_bool(params, "bool"));
	assert_true(param_has(params, "bool"));
	assert_taken("bool", "true");
	assert_true(param_bool(params, "bool"));
}

static void messages_are_strings_of_any_characters(void **state)
{
	char *text = malloc(70000);

	(void)state;
	assert_takes_of_kinds("message", "\"x\"", "");
	assert_refused("message", "\"\"");
	assert_taken("message", "\"a\\r\\n\\u0001\xc3\xbc\"");
	assert_int_equal(param_message(params, "message").n, 6);
	snprintf(text, 70000, "{\"message\":\"%0*d\"}", 65535, 0);
	assert_int_equal(check(ALL, text), 0);
	snprintf(text, 70000, "{\"message\":\"%0*d\"}", 65536, 0);
	assert_int_equal(check(ALL, text), -EINVAL);
	free(text);
}

/* RFC 4648 10 */
static void base64_is_decoded_or_refused(void **state)
{
	static const char *const GOOD[][2] = {{"Zg==", "f"},         {"Zm8=", "fo"},
					      {"Zm9v", "foo"},       {"Zm9vYg==", "foob"},
					      {"Zm9vYmE=", "fooba"}, {"+/+/", "\xfb\xff\xbf"}};
	static const char *const BAD[] = {"",     "Zg",   "Zg=",  "Z===", "====",     "Zm9vYg==Zg==",
					  "Zg =", "Zm-_", "Zm9\\n", "=Zg=", "Zm9vYm\\u0001="};

	(void)state;
	assert_takes_of_kinds("base64", "", "");
	for (size_t i = 0; i < COUNT_OF(GOOD); i++) {
		char value[40], *bytes;
		size_t n;

		snprintf(value, sizeof(value), "\"%s\"", GOOD[i][0]);
		assert_taken("base64", value);
		bytes = param_base64(params, "base64", &n);
		assert_non_null(bytes);
		assert_int_equal(n, strlen(GOOD[i][1]));
		assert_memory_equal(bytes, GOOD[i][1], n);
		free(bytes);
	}
	for (size_t i = 0; i < COUNT_OF(BAD); i++) {
		char value[40];

		snprintf(value, sizeof(value), "\"%s\"", BAD[i]);
		assert_refused("base64", value);
	}
}

static void a_place_is_an_address_and_a_port(void **state)
{
	struct ip_addr ip;
	uint16_t port = 7;

	(void)state;
	assert_takes_of_kinds("place", "", "");
	assert_refused("place", "{\"address\":\"192.0.2.1\"}");
	assert_refused("place", "{\"address\":\"192.0.2.1\",\"port\":65536}");
	assert_refused("place", "{\"address\":\"x\",\"port\":1}");
	assert_refused("place", "{\"address\":\"192.0.2.1\",\"port\":1,\"more\":1}");
	assert_refused("place", "{\"address\":\"192.0.2.1\",\"Port\":1}");
	assert_taken("place", "{\"port\":5060,\"address\":\"192.0.2.1\"}");
	ip = param_place(params, "place", &port);
	assert_int_equal(ip.family, AF_INET);
	assert_int_equal(port, 5060);
	assert_int_equal(check(ALL, "{}"), 0);
	assert_int_equal(param_place(params, "place", &port).family, AF_UNSPEC);
	assert_int_equal(port, 0);
}

static void every_type_has_a_name(void **state)
{
	(void)state;
	for (const struct param *p = ALL; p->name; p++)
		assert_true(strlen(param_type_name(p->type)) > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, stop)
	static const struct CMUnitTest tests[] = {
		TEST(an_unknown_name_is_told_but_no_value),
		TEST(an_unknown_name_is_told_as_plain_text),
		TEST(an_unknown_name_that_may_be_a_key_is_not_told),
		TEST(what_is_required_must_be_there),
		TEST(what_is_absent_has_a_neutral_value),
		TEST(texts),
		TEST(lines_are_one_string_or_several),
		TEST(more_lines_than_fit_are_not_lost_in_silence),
		TEST(addresses),
		TEST(ports),
		TEST(numbers),
		TEST(keys),
		TEST(a_refused_key_is_not_repeated),
		TEST(set_ids),
		TEST(bools),
		TEST(messages_are_strings_of_any_characters),
		TEST(base64_is_decoded_or_refused),
		TEST(a_place_is_an_address_and_a_port),
		TEST(every_type_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
