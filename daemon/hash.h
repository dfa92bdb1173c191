/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uthash as the daemon uses it: running out of memory is an answer, and the hash is SipHash-2-4 with
 * a key drawn at start, since phones choose the addresses, ports and names that are looked up.
 *
 * After HASH_ADD*: the element is in the table if and only if its hh.tbl is not NULL.
 */
#ifndef DAEMON_HASH_H
#define DAEMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Draw the key. Call once before the first table is used. Returns 0 or -errno. */
int hash_init(void);

#define HASH_KEY_BYTES 16

/* The key, to be kept for another process that must find the same hashes, and used there instead of
 * one that is drawn. */
void hash_key(uint8_t ret[static HASH_KEY_BYTES]);
void hash_use_key(const uint8_t bytes[static HASH_KEY_BYTES]);

uint64_t hash_bytes(const void *data, size_t len);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv)                                                       \
	do {                                                                                       \
		(hashv) = (unsigned)hash_bytes((keyptr), (keylen));                                \
	} while (0)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <uthash.h>
#pragma GCC diagnostic pop

#endif
