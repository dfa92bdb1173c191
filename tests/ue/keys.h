/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From CK and IK to the kernel's algorithms and keys, as the phone sees it: TS 33.203 Annex I.
 * Written apart from proto/keymat.c on purpose: two implementations must meet in the kernel.
 */
#ifndef UE_KEYS_H
#define UE_KEYS_H

#include <stddef.h>

#include "proto/ipsec3gpp.h"
#include "tests/ue/aka.h"

#define UE_KEY_BYTES 24

struct ue_key {
	const char *algorithm; /* the kernel's name; NULL = not used */
	uint8_t key[UE_KEY_BYTES];
	size_t key_bytes;
};

/* Secret: ue_keys_wipe() on every path. Either aead, or auth with (ESP) or without (AH) enc. */
struct ue_keys {
	struct ue_key auth, enc, aead;
	unsigned int icv_bits;
};

/* Returns 0, -EINVAL (not a combination that exists), -EIO (OpenSSL). */
int ue_keys_expand(const struct ipsec_suite *suite, const struct aka_answer *answer,
		   struct ue_keys *ret);
void ue_keys_wipe(struct ue_keys *keys);

#endif
