/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/impu.c: the identities of a set, alone and along with others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/impu.h"

static char *list;

static int start(void **state)
{
	(void)state;
	list = strdup("");
	return list ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	free(list);
	return 0;
}

static void add(const char *identity, const char *along)
{
	assert_int_equal(impu_add(&list, identity, along), 0);
}

static void E9_each_registration_is_listed_once(void **state)
{
	(void)state;
	add("sip:a@x", NULL);
	add("sip:b@x", NULL);
	add("sip:a@x", NULL);
	assert_string_equal(list, "sip:a@x\nsip:b@x");
	assert_true(impu_has(list, "sip:b@x"));
	assert_false(impu_has(list, "sip:b"));
	assert_false(impu_has(list, "sip:b@x2"));
	assert_false(impu_has("", "sip:b@x"));
}

static void E9_one_of_several_leaves_and_then_the_last(void **state)
{
	(void)state;
	add("a", NULL);
	add("b", NULL);
	add("c", NULL);
	assert_true(impu_remove(list, "b"));
	assert_string_equal(list, "a\nc");
	assert_true(impu_remove(list, "c"));
	assert_string_equal(list, "a");
	assert_false(impu_remove(list, "a"));
	assert_string_equal(list, "");
	assert_false(impu_remove(list, "a"));
}

static void E9_an_implicit_set_comes_and_goes_together(void **state)
{
	(void)state;
	add("a", "a\nb\ntel:+1");
	add("c", "c\nd");
	assert_string_equal(list, "a\n\tb\n\ttel:+1\nc\n\td");
	assert_true(impu_has(list, "tel:+1"));
	add("b", "a\nb"); /* is registered already */
	assert_string_equal(list, "a\n\tb\n\ttel:+1\nc\n\td");
	assert_true(impu_remove(list, "b"));
	assert_string_equal(list, "c\n\td");
	assert_false(impu_remove(list, "d"));
}

static void E9_the_network_says_anew_what_comes_along(void **state)
{
	(void)state;
	add("a", NULL);
	add("b", NULL);
	add("a", "a\nc\nb\n");
	assert_string_equal(list, "b\na\n\tc"); /* b has a registration of its own */
	add("a", NULL);                         /* not said: as it was */
	assert_string_equal(list, "b\na\n\tc");
	add("a", "");
	assert_string_equal(list, "b\na");
}

static void an_identity_that_came_along_unnoticed_goes_with_the_only_registration(void **state)
{
	(void)state;
	add("a", "b");
	add("c", NULL);
	assert_true(impu_remove(list, "x"));
	assert_string_equal(list, "a\n\tb\nc");
	assert_true(impu_remove(list, "c"));
	assert_false(impu_remove(list, "x"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(E9_each_registration_is_listed_once),
		TEST(E9_one_of_several_leaves_and_then_the_last),
		TEST(E9_an_implicit_set_comes_and_goes_together),
		TEST(E9_the_network_says_anew_what_comes_along),
		TEST(an_identity_that_came_along_unnoticed_goes_with_the_only_registration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
