/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/ue/milenage.c against the published sets of TS 35.208 section 4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/text.h"
#include "tests/ue/milenage.h"

struct vector {
	const char *k, *rand, *sqn, *amf, *op, *opc;
	const char *f1, *f1_star, *f2, *f3, *f4, *f5, *f5_star;
};

/* TS 35.208 4.3, sets 1 to 3 */
static const struct vector vectors[] = {
	{"465b5ce8b199b49faa5f0a2ee238a6bc", "23553cbe9637a89d218ae64dae47bf35", "ff9bb4d0b607",
	 "b9b9", "cdc202d5123e20f62b6d676ac72cb318", "cd63cb71954a9f4e48a5994e37a02baf",
	 "4a9ffac354dfafb3", "01cfaf9ec4e871e9", "a54211d5e3ba50bf",
	 "b40ba9a3c58b2a05bbf0d987b21bf8cb", "f769bcd751044604127672711c6d3441", "aa689c648370",
	 "451e8beca43b"},
	{"0396eb317b6d1c36f19c1c84cd6ffd16", "c00d603103dcee52c4478119494202e8", "fd8eef40df7d",
	 "af17", "ff53bade17df5d4e793073ce9d7579fa", "53c15671c60a4b731c55b4a441c0bde2",
	 "5df5b31807e258b0", "a8c016e51ef4a343", "d3a628ed988620f0",
	 "58c433ff7a7082acd424220f2b67c556", "21a8c1f929702adb3e738488b9f5c5da", "c47783995f72",
	 "30f1197061c1"},
	{"fec86ba6eb707ed08905757b1bb44b8f", "9f7c8d021accf4db213ccff0c7f71a6a", "9d0277595ffc",
	 "725c", "dbc59adcb6f9a0ef735477b7fadf8374", "1006020f0a478bf6b699f15c062e42b3",
	 "9cabc3e99baf7281", "95814ba2b3044324", "8011c48c0c214ed2",
	 "5dbdbb2954e8f3cde665b046179a5098", "59a92d3b476a0443487055cf88b2307b", "33484dc2136b",
	 "deacdd848cc6"},
};

#define VECTOR_COUNT (sizeof(vectors) / sizeof(vectors[0]))

static void from_hex(const char *hex, uint8_t *ret, size_t n)
{
	assert_int_equal(text_from_hex(span_of(hex), ret, n), 0);
}

static void assert_hex(const uint8_t *bytes, const char *hex)
{
	uint8_t expected[32];
	size_t n = strlen(hex) / 2;

	from_hex(hex, expected, n);
	assert_memory_equal(bytes, expected, n);
}

static void key_of(const struct vector *v, struct milenage_key *ret)
{
	from_hex(v->k, ret->k, sizeof(ret->k));
	from_hex(v->opc, ret->opc, sizeof(ret->opc));
}

static void opc_comes_from_op(void **state)
{
	uint8_t k[MILENAGE_BYTES], op[MILENAGE_BYTES], opc[MILENAGE_BYTES];

	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		from_hex(vectors[i].k, k, sizeof(k));
		from_hex(vectors[i].op, op, sizeof(op));
		assert_int_equal(milenage_opc(k, op, opc), 0);
		assert_hex(opc, vectors[i].opc);
	}
}

static void f1_gives_mac_a_and_mac_s(void **state)
{
	struct milenage_key key;
	uint8_t rand[MILENAGE_BYTES], sqn[MILENAGE_SQN_BYTES], amf[MILENAGE_AMF_BYTES];
	uint8_t mac_a[MILENAGE_MAC_BYTES], mac_s[MILENAGE_MAC_BYTES];

	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		key_of(&vectors[i], &key);
		from_hex(vectors[i].rand, rand, sizeof(rand));
		from_hex(vectors[i].sqn, sqn, sizeof(sqn));
		from_hex(vectors[i].amf, amf, sizeof(amf));
		assert_int_equal(milenage_f1(&key, rand, sqn, amf, mac_a, mac_s), 0);
		assert_hex(mac_a, vectors[i].f1);
		assert_hex(mac_s, vectors[i].f1_star);
	}
}

static void f2_to_f5_star_give_res_keys_and_anonymity_keys(void **state)
{
	struct milenage_key key;
	struct milenage_keys out;
	uint8_t rand[MILENAGE_BYTES];

	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		key_of(&vectors[i], &key);
		from_hex(vectors[i].rand, rand, sizeof(rand));
		assert_int_equal(milenage_f2345(&key, rand, &out), 0);
		assert_hex(out.res, vectors[i].f2);
		assert_hex(out.ck, vectors[i].f3);
		assert_hex(out.ik, vectors[i].f4);
		assert_hex(out.ak, vectors[i].f5);
		assert_hex(out.ak_star, vectors[i].f5_star);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opc_comes_from_op),
		cmocka_unit_test(f1_gives_mac_a_and_mac_s),
		cmocka_unit_test(f2_to_f5_star_give_res_keys_and_anonymity_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
