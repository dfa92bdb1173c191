/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LZ4 blocks. Every text is thought to follow WORDS, so that what all of them have is written in none.
 *
 * The form is for memory alone: it goes into no file, so WORDS may change.
 */
#include "daemon/packed.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

/* TS 33.203 Annex H: the two sides as most write them */
static const char WORDS[] =
	"hmac-md5-96;ealg=des-ede3-cbc;mod=UDP-enc-tun;prot=esp;mod=trans;spi-c="
	"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans;spi-c="
	", ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c="
	", ipsec-3gpp;q=0.7;alg=aes-gmac;ealg=null;prot=esp;mod=trans;spi-c="
	", ipsec-3gpp;q=0.6;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans;spi-c=;spi-s=;port-c=;port-s=";
#define WORDS_BYTES ((int)sizeof(WORDS) - 1)

struct packed {
	uint16_t text_bytes, block_bytes;
	char block[];
};
_Static_assert(LZ4_COMPRESSBOUND(PACKED_TEXT_BYTES) <= UINT16_MAX, "its bytes have 16 bits");

struct packed *packed_new(struct span text)
{
	static LZ4_stream_t *stream; /* each text begins it anew */
	char block[LZ4_COMPRESSBOUND(PACKED_TEXT_BYTES)];
	struct packed *packed;
	int n;

	if (!stream)
		stream = LZ4_createStream();
	if (!stream || text.n >= PACKED_TEXT_BYTES)
		return NULL;
	LZ4_loadDict(stream, WORDS, WORDS_BYTES);
	n = LZ4_compress_fast_continue(stream, text.p, block, (int)text.n, sizeof(block), 1);
	packed = malloc(sizeof(*packed) + (size_t)n);
	if (!packed)
		return NULL;
	packed->text_bytes = (uint16_t)text.n;
	packed->block_bytes = (uint16_t)n;
	memcpy(packed->block, block, (size_t)n);
	return packed;
}

int packed_init(void)
{
	const char text[] = ";ealg=aes-cbc;prot=esp;mod=trans, what no phone writes, what no phone writes";
	char buf[sizeof(text)];
	struct packed *packed = packed_new(span_of(text));
	int err = packed ? 0 : -ENOMEM;

	if (packed)
		packed_read(packed, buf);
	free(packed);
	return err;
}

size_t packed_text_bytes(const struct packed *packed)
{
	return packed->text_bytes;
}

char *packed_read(const struct packed *packed, char *ret)
{
	LZ4_decompress_safe_usingDict(packed->block, ret, packed->block_bytes, packed->text_bytes,
				      WORDS, WORDS_BYTES);
	return ret + packed->text_bytes;
}

const char *packed_text(const struct packed *packed, char buf[static PACKED_TEXT_BYTES])
{
	*packed_read(packed, buf) = '\0';
	return buf;
}
