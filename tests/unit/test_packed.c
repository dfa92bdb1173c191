/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/packed.c: whatever a phone wrote comes back byte for byte, and what phones do write becomes
 * small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <cmocka.h>

#include "daemon/packed.h"
#include "tests/unit/no_memory.h"

#define NUMBERS ";spi-c=3203424123;spi-s=1002312333;port-c=31112;port-s=31113"

/* Returns how many bytes it takes. */
static size_t assert_comes_back(const char *text, size_t n)
{
	struct packed *packed = packed_new((struct span){text, n});
	char *read = malloc(n); /* so that writing past its end is seen */
	static char buf[PACKED_TEXT_BYTES];
	size_t bytes;

	assert_non_null(packed);
	assert_int_equal(packed_text_bytes(packed), n);
	assert_ptr_equal(packed_read(packed, read), read + n);
	assert_memory_equal(read, text, n);
	assert_ptr_equal(packed_text(packed, buf), buf);
	assert_int_equal(strlen(buf), n);
	assert_memory_equal(buf, text, n);
	bytes = malloc_usable_size(packed);
	free(packed);
	free(read);
	return bytes;
}

static size_t assert_string_comes_back(const char *text)
{
	return assert_comes_back(text, strlen(text));
}

static void headers_of_phones_become_small(void **state)
{
	static const char *const HEADERS[] = {
		"ipsec-3gpp;alg=hmac-sha-1-96;ealg=des-ede3-cbc;mod=trans;prot=esp" NUMBERS
		", ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;mod=trans;prot=esp" NUMBERS
		", ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;mod=trans;prot=esp" NUMBERS
		", ipsec-3gpp;alg=hmac-md5-96;ealg=des-ede3-cbc;mod=trans;prot=esp" NUMBERS
		", ipsec-3gpp;alg=hmac-md5-96;ealg=aes-cbc;mod=trans;prot=esp" NUMBERS
		", ipsec-3gpp;alg=hmac-md5-96;ealg=null;mod=trans;prot=esp" NUMBERS,
		"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans" NUMBERS
		", ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans" NUMBERS
		", ipsec-3gpp;q=0.7;alg=aes-gmac;ealg=null;prot=esp;mod=trans" NUMBERS
		", ipsec-3gpp;q=0.6;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans" NUMBERS,
		"ipsec-3gpp; alg=hmac-md5-96; ealg=aes-cbc; mod=trans; port-c=45124; port-s=45125; "
		"prot=esp; spi-c=1234567890; spi-s=1234567891,ipsec-3gpp; alg=hmac-md5-96; "
		"ealg=des-ede3-cbc; mod=trans; port-c=45124; port-s=45125; prot=esp; "
		"spi-c=1234567890; spi-s=1234567891,ipsec-3gpp; alg=hmac-sha-1-96; "
		"ealg=aes-cbc; mod=trans; port-c=45124; port-s=45125; prot=esp; spi-c=1234567890; "
		"spi-s=1234567891",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++)
		assert_in_range(assert_string_comes_back(HEADERS[i]), 1, strlen(HEADERS[i]) / 4 + 8);
}

static void any_byte_comes_back(void **state)
{
	char text[255];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i + 1);
	for (size_t from = 0; from < sizeof(text); from++)
		assert_comes_back(text + from, sizeof(text) - from);
	memset(text, 0x80, sizeof(text));
	assert_comes_back(text, sizeof(text));
	memset(text, 0xff, 3);
	assert_comes_back(text, 3);
}

static void short_texts_come_back(void **state)
{
	(void)state;
	assert_string_comes_back("");
	assert_string_comes_back("a");
	assert_string_comes_back("tls");
	assert_string_comes_back(";spi");
	assert_string_comes_back("ipsec-3gpp");
	assert_string_comes_back("hmac-md5-96;ealg=");
}

static void a_text_that_repeats_itself_at_once_comes_back(void **state)
{
	static char text[PACKED_TEXT_BYTES - 1];

	(void)state;
	for (size_t period = 1; period < 40; period++) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)('a' + i % period);
		for (size_t n = 0; n < 300; n++)
			assert_comes_back(text, n);
		assert_comes_back(text, sizeof(text));
	}
}

/* Words of headers and numbers in any order: references into the text and into what stands before it,
 * of all lengths and to everywhere. */
static void texts_of_all_kinds_come_back(void **state)
{
	static const char *const WORDS[] = {"ipsec-3gpp", ";alg=", "hmac-sha-1-96", "aes-", "gcm",
					    ";spi-c=", "1", "22222", ", ", ";q=0.9", "\xc3\xa4",
					    "\"x, y\"", "\t", ";port-s=", "prot=esp;mod=trans"};
	static char text[PACKED_TEXT_BYTES - 1];
	uint32_t random = 1;

	(void)state;
	for (unsigned turn = 0; turn < 3000; turn++) {
		const size_t max = turn % 100 ? turn % 700 : sizeof(text);
		size_t n = 0;

		for (;;) {
			const char *word;

			random = random * 1664525 + 1013904223;
			word = WORDS[(random >> 16) % (sizeof(WORDS) / sizeof(WORDS[0]))];
			if (n + strlen(word) > max)
				break;
			memcpy(text + n, word, strlen(word));
			n += strlen(word);
		}
		assert_comes_back(text, n);
	}
}

static void a_text_is_as_long_as_it_may_be_and_no_longer(void **state)
{
	static char text[PACKED_TEXT_BYTES];

	(void)state;
	memset(text, 0xee, sizeof(text));
	assert_comes_back(text, sizeof(text) - 1);
	assert_null(packed_new((struct span){text, sizeof(text)}));
}

static void without_memory_there_is_none(void **state)
{
	struct packed *packed;

	(void)state;
	no_memory = true;
	packed = packed_new(span_of("ipsec-3gpp"));
	no_memory = false;
	assert_null(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_phones_become_small),
		cmocka_unit_test(any_byte_comes_back),
		cmocka_unit_test(short_texts_come_back),
		cmocka_unit_test(a_text_that_repeats_itself_at_once_comes_back),
		cmocka_unit_test(texts_of_all_kinds_come_back),
		cmocka_unit_test(a_text_is_as_long_as_it_may_be_and_no_longer),
		cmocka_unit_test(without_memory_there_is_none),
	};

	return cmocka_run_group_tests_name("packed", tests, NULL, NULL);
}
