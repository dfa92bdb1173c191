/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/options.c: command line and file, what follows from them, what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/ue/options.h"

#define K "465b5ce8b199b49faa5f0a2ee238a6bc"

static char error[512];

static int read_words(struct ue_options *o, const char *const *words)
{
	char *argv[32];
	int argc = 1;

	argv[0] = (char *)(uintptr_t)"secagree-ue";
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	options_init(o);
	error[0] = '\0';
	return options_read(o, argc, argv, error, sizeof(error));
}

#define READ(o, ...) read_words(o, (const char *const[]){__VA_ARGS__, NULL})

static void a_small_command_line_is_completed(void **state)
{
	struct ue_options o;

	(void)state;
	assert_int_equal(READ(&o, "--pcscf", "127.0.0.1", "--impi=u@home.example", "--k", K,
			      "--op", "cdc202d5123e20f62b6d676ac72cb318"), 0);
	assert_int_equal(options_check(&o, error, sizeof(error)), 0);
	assert_string_equal(o.realm, "home.example");
	assert_string_equal(o.impu, "sip:u@home.example");
	assert_int_equal(o.local.family, AF_INET);
	assert_int_equal(o.card.key.opc[0], 0xcd);
	assert_int_equal(o.card.key.opc[1], 0x63);
	assert_int_equal(o.offer_count, 4);
	assert_int_equal(o.old_set_s, 128);
	assert_true(o.reqid != 0);
	options_wipe(&o);
}

static void ipv6_takes_brackets_for_a_port(void **state)
{
	struct ue_options o;

	(void)state;
	assert_int_equal(READ(&o, "--pcscf", "[2001:db8::1]:5070"), 0);
	assert_int_equal(o.pcscf.family, AF_INET6);
	assert_int_equal(o.pcscf_port, 5070);
	assert_int_equal(READ(&o, "--pcscf", "2001:db8::1"), 0);
	assert_int_equal(o.pcscf_port, 5060);
	assert_int_equal(READ(&o, "--pcscf", "192.0.2.1:x"), -EINVAL);
	assert_int_equal(READ(&o, "--pcscf", "192.0.2.1:0"), -EINVAL);
	assert_int_equal(READ(&o, "--pcscf", "[192.0.2.1]"), -EINVAL);
}

static void offers_keep_their_order(void **state)
{
	struct ue_options o;

	(void)state;
	assert_int_equal(READ(&o, "--offer", "hmac-md5-96/null,null/aes-gcm"), 0);
	assert_int_equal(o.offer_count, 2);
	assert_int_equal(o.offers[0].alg, IPSEC_ALG_HMAC_MD5_96);
	assert_int_equal(o.offers[1].ealg, IPSEC_EALG_AES_GCM);
	assert_int_equal(READ(&o, "--offer", "hmac-md5-96"), -EINVAL);
	assert_int_equal(READ(&o, "--offer", "hmac-sha-256-128/null"), -EINVAL);
	assert_int_equal(READ(&o, "--offer", ""), -EINVAL);
}

static int check_with(const char *option, const char *value)
{
	struct ue_options o;

	assert_int_equal(READ(&o, "--pcscf", "127.0.0.1", "--impi", "u@x", "--k", K, "--opc", K,
			      option, value), 0);
	return options_check(&o, error, sizeof(error));
}

static void combinations_that_no_kernel_can_carry_are_refused(void **state)
{
	(void)state;
	assert_int_equal(check_with("--offer", "null/null"), -EINVAL);
	assert_int_equal(check_with("--offer", "aes-gmac/aes-cbc"), -EINVAL);
	assert_int_equal(check_with("--offer", "aes-gmac/null"), 0);
	assert_int_equal(check_with("--prot", "ah"), 0);
}

static void a_key_is_required_and_never_repeated_in_an_error(void **state)
{
	struct ue_options o;

	(void)state;
	assert_int_equal(READ(&o, "--k", K "00"), -EINVAL);
	assert_null(strstr(error, K));
	assert_int_equal(READ(&o, "--pcscf", "127.0.0.1", "--impi", "u@x"), 0);
	assert_int_equal(options_check(&o, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "--config"));
}

static void mixed_families_are_refused(void **state)
{
	(void)state;
	assert_int_equal(check_with("--public-address", "2001:db8::1"), -EINVAL);
}

static void what_would_break_a_header_is_refused(void **state)
{
	struct ue_options o;

	(void)state;
	assert_int_equal(READ(&o, "--impi", "u\"@x"), -EINVAL);
	assert_int_equal(READ(&o, "--impu", "sip:u@x\r\nX: y"), -EINVAL);
	assert_int_equal(READ(&o, "--access-network", "a\nb"), -EINVAL);
}

static void unknown_and_incomplete_options_are_refused(void **state)
{
	struct ue_options o;

	(void)state;
	assert_int_equal(READ(&o, "--kk", K), -EINVAL);
	assert_int_equal(READ(&o, "--pcsc", "127.0.0.1"), -EINVAL);
	assert_int_equal(READ(&o, "--impi"), -EINVAL);
	assert_int_equal(READ(&o, "register"), -EINVAL);
	assert_int_equal(READ(&o, "--fault", "none-such"), -EINVAL);
	assert_int_equal(READ(&o, "--once=maybe"), -EINVAL);
}

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_file_has_the_same_names_and_can_be_overridden(void **state)
{
	char path[] = "/tmp/secagree-ue-test-XXXXXX";
	struct ue_options o;

	(void)state;
	write_file(path, "# a phone\n\n k = " K "\nimpi= u@x\r\ntrace = yes\nt1 =500");
	assert_int_equal(READ(&o, "--config", path, "--t1", "250"), 0);
	unlink(path);
	assert_true(o.has_k);
	assert_string_equal(o.impi, "u@x");
	assert_true(o.trace);
	assert_int_equal(o.t1_ms, 250);
}

static void an_error_in_a_file_names_its_line(void **state)
{
	char path[] = "/tmp/secagree-ue-test-XXXXXX";
	struct ue_options o;

	(void)state;
	write_file(path, "impi = u@x\nk = 12\n");
	assert_int_equal(READ(&o, "--config", path), -EINVAL);
	unlink(path);
	assert_non_null(strstr(error, ":2: k:"));
}

static void every_fault_has_a_name(void **state)
{
	struct ue_options o;

	(void)state;
	for (int i = FAULT_NONE + 1; i <= FAULT_SAME_PORT; i++) {
		assert_string_not_equal(fault_name((enum ue_fault)i), "none");
		assert_int_equal(READ(&o, "--fault", fault_name((enum ue_fault)i)), 0);
		assert_int_equal(o.fault, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_command_line_is_completed),
		cmocka_unit_test(ipv6_takes_brackets_for_a_port),
		cmocka_unit_test(offers_keep_their_order),
		cmocka_unit_test(combinations_that_no_kernel_can_carry_are_refused),
		cmocka_unit_test(a_key_is_required_and_never_repeated_in_an_error),
		cmocka_unit_test(mixed_families_are_refused),
		cmocka_unit_test(what_would_break_a_header_is_refused),
		cmocka_unit_test(unknown_and_incomplete_options_are_refused),
		cmocka_unit_test(a_file_has_the_same_names_and_can_be_overridden),
		cmocka_unit_test(an_error_in_a_file_names_its_line),
		cmocka_unit_test(every_fault_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
