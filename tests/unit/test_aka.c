/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/aka.c: the SIM's half of TS 33.102 6.3, with the values of TS 35.208 set 1.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/text.h"
#include "tests/ue/aka.h"

#define NETWORK_SQN 0xff9bb4d0b607ULL

static const char rand_hex[] = "23553cbe9637a89d218ae64dae47bf35";
/* SQN ^ AK, AMF, MAC-A */
static const char autn_hex[] = "55f328b43577b9b94a9ffac354dfafb3";

struct fixture {
	struct aka_card card;
	uint8_t rand[AKA_RAND_BYTES], autn[AKA_AUTN_BYTES];
	struct aka_answer answer;
	uint8_t auts[AKA_AUTS_BYTES];
};

static void from_hex(const char *hex, uint8_t *ret, size_t n)
{
	assert_int_equal(text_from_hex(span_of(hex), ret, n), 0);
}

static struct fixture fixture(uint64_t sqn)
{
	struct fixture f;

	memset(&f, 0, sizeof(f));
	from_hex("465b5ce8b199b49faa5f0a2ee238a6bc", f.card.key.k, 16);
	from_hex("cd63cb71954a9f4e48a5994e37a02baf", f.card.key.opc, 16);
	from_hex(rand_hex, f.rand, sizeof(f.rand));
	from_hex(autn_hex, f.autn, sizeof(f.autn));
	f.card.sqn = sqn;
	return f;
}

static int challenge(struct fixture *f)
{
	return aka_challenge(&f->card, f->rand, f->autn, &f->answer, f->auts);
}

static void a_fresh_challenge_gives_res_ck_ik_and_the_sqn(void **state)
{
	struct fixture f = fixture(NETWORK_SQN - 1);
	uint8_t expected[16];

	(void)state;
	assert_int_equal(challenge(&f), 0);
	from_hex("a54211d5e3ba50bf", expected, 8);
	assert_memory_equal(f.answer.res, expected, 8);
	from_hex("b40ba9a3c58b2a05bbf0d987b21bf8cb", expected, 16);
	assert_memory_equal(f.answer.ck, expected, 16);
	from_hex("f769bcd751044604127672711c6d3441", expected, 16);
	assert_memory_equal(f.answer.ik, expected, 16);
	assert_true(f.answer.sqn == NETWORK_SQN);
	assert_true(f.card.sqn == NETWORK_SQN);
	assert_int_equal(f.answer.amf[0], 0xb9);
}

static void each_octet_of_the_mac_counts(void **state)
{
	(void)state;
	for (int i = 8; i < AKA_AUTN_BYTES; i++) {
		struct fixture f = fixture(0);

		f.autn[i] ^= 1;
		assert_int_equal(challenge(&f), -EBADMSG);
		assert_true(f.card.sqn == 0);
	}
}

static void a_changed_sqn_or_amf_breaks_the_mac(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct fixture f = fixture(0);

		f.autn[i] ^= 1;
		assert_int_equal(challenge(&f), -EBADMSG);
	}
}

static void a_replayed_challenge_is_not_fresh(void **state)
{
	struct fixture f = fixture(0);

	(void)state;
	assert_int_equal(challenge(&f), 0);
	assert_int_equal(challenge(&f), -ERANGE);
}

static void a_stale_challenge_gives_auts_with_our_sqn(void **state)
{
	struct fixture f = fixture(NETWORK_SQN);
	uint8_t expected[AKA_AUTS_BYTES];

	(void)state;
	assert_int_equal(challenge(&f), -ERANGE);
	/* SQN ^ AK*, computed apart */
	from_hex("ba853f3c123c", expected, 6);
	assert_memory_equal(f.auts, expected, 6);
	assert_true(f.card.sqn == NETWORK_SQN);
}

/* TS 33.102 6.3.3: MAC-S is f1* over SQN_MS with an AMF of zero. */
static void mac_s_of_auts_is_over_an_empty_amf(void **state)
{
	static const uint8_t sqn[] = {0xff, 0x9b, 0xb4, 0xd0, 0xb6, 0x07};
	static const uint8_t amf[2];
	struct fixture f = fixture(NETWORK_SQN);
	uint8_t mac_a[8], mac_s[8];

	(void)state;
	assert_int_equal(aka_auts(&f.card, f.rand, f.auts), 0);
	assert_int_equal(milenage_f1(&f.card.key, f.rand, sqn, amf, mac_a, mac_s), 0);
	assert_memory_equal(f.auts + 6, mac_s, sizeof(mac_s));
}

static void a_failure_gives_no_keys(void **state)
{
	struct fixture f = fixture(NETWORK_SQN);
	const struct aka_answer untouched = f.answer;

	(void)state;
	assert_int_equal(challenge(&f), -ERANGE);
	assert_memory_equal(&f.answer, &untouched, sizeof(untouched));
	aka_answer_wipe(&f.answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_challenge_gives_res_ck_ik_and_the_sqn),
		cmocka_unit_test(each_octet_of_the_mac_counts),
		cmocka_unit_test(a_changed_sqn_or_amf_breaks_the_mac),
		cmocka_unit_test(a_replayed_challenge_is_not_fresh),
		cmocka_unit_test(a_stale_challenge_gives_auts_with_our_sqn),
		cmocka_unit_test(mac_s_of_auts_is_over_an_empty_amf),
		cmocka_unit_test(a_failure_gives_no_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
