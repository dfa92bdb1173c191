/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson, Bernstein) with a secret key, for tables whose keys strangers choose.
 */
#include "daemon/hash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

static uint64_t key[2];

int hash_init(void)
{
	return getrandom(key, sizeof(key), 0) == sizeof(key) ? 0 : -EIO;
}

void hash_key(uint8_t ret[static HASH_KEY_BYTES])
{
	memcpy(ret, key, HASH_KEY_BYTES);
}

void hash_use_key(const uint8_t bytes[static HASH_KEY_BYTES])
{
	memcpy(key, bytes, HASH_KEY_BYTES);
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t word_le(const uint8_t *p, size_t len)
{
	uint64_t w = 0;

	if (len == sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		return le64toh(w);
	}
	for (size_t i = 0; i < len; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

uint64_t hash_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575u,
		key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u,
		key[1] ^ 0x7465646279746573u,
	};

	for (size_t left = len;; left -= 8, p += 8) {
		const size_t n = left < 8 ? left : 8;
		uint64_t m = word_le(p, n);

		if (left < 8)
			m |= (uint64_t)len << 56;
		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
