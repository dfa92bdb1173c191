/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written already is not written again (Lempel, Ziv 1977): a text becomes bytes that stand
 * for themselves and references, each to a place where its bytes stood before, in the text or in
 * WORDS, which every text is thought to follow.
 *
 *	01..7f           this byte
 *	80 xx            the byte xx
 *	81..ff xx xx     4 to 130 bytes from this place on; WORDS begins at 0, the text behind it
 *
 * Where bytes stood before is looked for at one place, the latest that began alike. That is less
 * than could be found, but its cost does not depend on what a stranger writes.
 *
 * The form is for memory alone: it goes into no file, so WORDS may change.
 */
#include "daemon/packed.h"

#include <stdlib.h>
#include <string.h>

#define MIN_BYTES 4
#define MAX_BYTES (MIN_BYTES + 126)
#define SLOT_BITS 9

/* TS 33.203 Annex H: the two sides as most write them */
static const char WORDS[] =
	"hmac-md5-96;ealg=des-ede3-cbc;mod=UDP-enc-tun;prot=esp;mod=trans;spi-c="
	"ipsec-3gpp;q=0.9;alg=null;ealg=aes-gcm;prot=esp;mod=trans;spi-c="
	", ipsec-3gpp;q=0.8;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c="
	", ipsec-3gpp;q=0.7;alg=aes-gmac;ealg=null;prot=esp;mod=trans;spi-c="
	", ipsec-3gpp;q=0.6;alg=hmac-sha-1-96;ealg=null;prot=esp;mod=trans;spi-c=;spi-s=;port-c=;port-s=";
#define WORDS_BYTES (sizeof(WORDS) - 1)
_Static_assert(WORDS_BYTES + PACKED_TEXT_BYTES <= UINT16_MAX, "a place has 16 bits");

struct packed {
	uint32_t text_bytes;
	uint8_t code[];
};

/* Where in WORDS and the text, taken as one, four bytes began last. */
struct places {
	uint16_t last[1u << SLOT_BITS];
};

static uint16_t *place_of(struct places *places, const char *at)
{
	uint32_t four;

	memcpy(&four, at, sizeof(four));
	return &places->last[four * 2654435761u >> (32 - SLOT_BITS)];
}

static const struct places *places_of_words(void)
{
	static struct places places;
	static bool is_made;

	for (size_t i = 0; !is_made && i + MIN_BYTES <= WORDS_BYTES; i++)
		*place_of(&places, WORDS + i) = (uint16_t)i;
	is_made = true;
	return &places;
}

/* How many bytes at @a, which ends before @a_end, are the same at @b. */
static size_t alike(const char *a, const char *a_end, const char *b, const char *b_end)
{
	const size_t shorter = (size_t)(b_end - b < a_end - a ? b_end - b : a_end - a);
	const size_t max = shorter < MAX_BYTES ? shorter : MAX_BYTES;
	size_t n = 0;

	while (n + 8 <= max && !memcmp(a + n, b + n, 8)) /* one comparison for the compiler */
		n += 8;
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

static const char *bytes_at(uint16_t place, const char *text)
{
	return place < WORDS_BYTES ? WORDS + place : text + (place - WORDS_BYTES);
}

/* How many of the bytes from @at on stand at @place, and end before @at. */
static size_t repeats(struct span text, const char *at, uint16_t place)
{
	const char *end = place < WORDS_BYTES ? WORDS + WORDS_BYTES : at;

	return alike(bytes_at(place, text.p), end, at, text.p + text.n);
}

static uint8_t *put_reference(uint8_t *code, uint16_t place, size_t n)
{
	*code++ = (uint8_t)(0x81 + n - MIN_BYTES);
	*code++ = (uint8_t)(place >> 8);
	*code++ = (uint8_t)place;
	return code;
}

static uint8_t *put_byte(uint8_t *code, char byte)
{
	if (byte & 0x80)
		*code++ = 0x80;
	*code++ = (uint8_t)byte;
	return code;
}

/* Two bytes for each of @text's are enough. Returns the end of @code. */
static uint8_t *pack(struct span text, uint8_t *code)
{
	struct places places = *places_of_words();
	const char *at = text.p, *end = text.p + text.n;

	while (end - at >= MIN_BYTES) {
		uint16_t *last = place_of(&places, at);
		const uint16_t place = *last;
		const size_t n = repeats(text, at, place);

		*last = (uint16_t)(WORDS_BYTES + (size_t)(at - text.p));
		if (n >= MIN_BYTES) {
			code = put_reference(code, place, n);
			at += n;
		} else {
			code = put_byte(code, *at++);
		}
	}
	while (at < end)
		code = put_byte(code, *at++);
	return code;
}

struct packed *packed_new(struct span text)
{
	struct packed *packed, *smaller;
	const uint8_t *end;

	if (text.n >= PACKED_TEXT_BYTES)
		return NULL;
	packed = malloc(sizeof(*packed) + 2 * text.n);
	if (!packed)
		return NULL;
	packed->text_bytes = (uint32_t)text.n;
	end = pack(text, packed->code);
	smaller = realloc(packed, (size_t)(end - (uint8_t *)packed));
	return smaller ? smaller : packed;
}

size_t packed_text_bytes(const struct packed *packed)
{
	return packed->text_bytes;
}

char *packed_read(const struct packed *packed, char *ret)
{
	const uint8_t *code = packed->code;
	char *at = ret, *end = ret + packed->text_bytes;

	while (at < end) {
		const uint8_t c = *code++;

		if (c > 0x80) {
			const uint16_t place = (uint16_t)(code[0] << 8 | code[1]);

			at = mempcpy(at, bytes_at(place, ret), c - 0x81u + MIN_BYTES);
			code += 2;
		} else {
			*at++ = (char)(c == 0x80 ? *code++ : c);
		}
	}
	return at;
}

const char *packed_text(const struct packed *packed, char buf[static PACKED_TEXT_BYTES])
{
	*packed_read(packed, buf) = '\0';
	return buf;
}
