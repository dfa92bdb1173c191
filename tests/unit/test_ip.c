/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm/ip.c: literal addresses in and out.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "xfrm/xfrm.h"

static void check(const char *text, int family, const char *expected)
{
	char buf[IP_TEXT_BYTES];
	struct ip_addr ip;

	memset(&ip, 0xa5, sizeof(ip));
	assert_int_equal(ip_parse(text, &ip), 0);
	assert_int_equal(ip.family, family);
	assert_string_equal(ip_format(&ip, buf), expected);
}

static void ipv4_and_ipv6_are_read_and_written(void **state)
{
	(void)state;
	check("192.0.2.1", AF_INET, "192.0.2.1");
	check("0.0.0.0", AF_INET, "0.0.0.0");
	check("2001:db8::1", AF_INET6, "2001:db8::1");
	check("2001:DB8:0:0:0:0:0:1", AF_INET6, "2001:db8::1");
	check("::", AF_INET6, "::");
	check("2001:db8:1111:2222:3333:4444:5555:6666", AF_INET6,
	      "2001:db8:1111:2222:3333:4444:5555:6666");
}

static void brackets_stand_round_ipv6_only(void **state)
{
	struct ip_addr ip;

	(void)state;
	check("[::1]", AF_INET6, "::1");
	check("[2001:db8::1]", AF_INET6, "2001:db8::1");
	assert_int_equal(ip_parse("[192.0.2.1]", &ip), -EINVAL);
	assert_int_equal(ip_parse("[::1", &ip), -EINVAL);
	assert_int_equal(ip_parse("::1]", &ip), -EINVAL);
	assert_int_equal(ip_parse("[]", &ip), -EINVAL);
	assert_int_equal(ip_parse("[", &ip), -EINVAL);
	assert_int_equal(ip_parse("[[::1]]", &ip), -EINVAL);
}

static void an_ipv4_mapped_address_is_ipv4(void **state)
{
	struct ip_addr mapped, plain;

	(void)state;
	check("::ffff:192.0.2.1", AF_INET, "192.0.2.1");
	check("[::ffff:c000:201]", AF_INET, "192.0.2.1");
	assert_int_equal(ip_parse("::ffff:192.0.2.1", &mapped), 0);
	assert_int_equal(ip_parse("192.0.2.1", &plain), 0);
	assert_true(ip_equal(&mapped, &plain));
	assert_memory_equal(mapped.bytes, plain.bytes, sizeof(plain.bytes));
}

static void what_is_no_literal_address_is_refused_and_output_kept(void **state)
{
	static const char *const bad[] = {
		"",
		"example.org",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1 ",
		" 192.0.2.1",
		"192.0.2.01",
		"192.0.2.1/32",
		"0x7f.1",
		"fe80::1%eth0",
		"[fe80::1%1]",
		"2001:db8",
		":::",
		"192.0.2.1:5060",
		"2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999",
	};
	struct ip_addr ip, before;

	(void)state;
	memset(&ip, 0xa5, sizeof(ip));
	before = ip;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ip_parse(bad[i], &ip), -EINVAL);
		assert_memory_equal(&ip, &before, sizeof(ip));
	}
}

static void bytes_beyond_an_ipv4_address_are_zero(void **state)
{
	static const uint8_t expected[16] = {192, 0, 2, 1};
	struct ip_addr ip;

	(void)state;
	memset(&ip, 0xa5, sizeof(ip));
	assert_int_equal(ip_parse("192.0.2.1", &ip), 0);
	assert_memory_equal(ip.bytes, expected, sizeof(expected));
}

static void addresses_of_different_families_differ(void **state)
{
	struct ip_addr v4, v6, other, any = {.family = AF_UNSPEC};
	char buf[IP_TEXT_BYTES];

	(void)state;
	assert_int_equal(ip_parse("192.0.2.1", &v4), 0);
	assert_int_equal(ip_parse("192.0.2.2", &other), 0);
	assert_int_equal(ip_parse("c000:201::", &v6), 0);
	assert_false(ip_equal(&v4, &v6));
	assert_false(ip_equal(&v4, &other));
	assert_false(ip_equal(&v4, &any));
	assert_true(ip_equal(&any, &any));
	assert_int_equal(ip_bytes(&v4), 4);
	assert_int_equal(ip_bytes(&v6), 16);
	assert_int_equal(ip_bytes(&any), 0);
	assert_string_equal(ip_format(&any, buf), "any");
}

static void a_socket_address_has_address_and_port(void **state)
{
	struct sockaddr_storage at;
	const struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
	const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
	struct ip_addr ip;

	(void)state;
	memset(&at, 0xa5, sizeof(at));
	assert_int_equal(ip_parse("192.0.2.1", &ip), 0);
	assert_int_equal(ip_sockaddr(&ip, 4500, &at), sizeof(*v4));
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(v4->sin_port, htons(4500));
	assert_memory_equal(&v4->sin_addr, ip.bytes, 4);
	assert_int_equal(ip_parse("2001:db8::1", &ip), 0);
	assert_int_equal(ip_sockaddr(&ip, 4500, &at), sizeof(*v6));
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(v6->sin6_port, htons(4500));
	assert_int_equal(v6->sin6_flowinfo | v6->sin6_scope_id, 0);
	assert_memory_equal(&v6->sin6_addr, ip.bytes, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_and_ipv6_are_read_and_written),
		cmocka_unit_test(brackets_stand_round_ipv6_only),
		cmocka_unit_test(an_ipv4_mapped_address_is_ipv4),
		cmocka_unit_test(what_is_no_literal_address_is_refused_and_output_kept),
		cmocka_unit_test(bytes_beyond_an_ipv4_address_are_zero),
		cmocka_unit_test(addresses_of_different_families_differ),
		cmocka_unit_test(a_socket_address_has_address_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
