/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time against length: what processor time sec_header_parse() takes for texts of 256 bytes to
 * 64 KiB, in shapes that a careless parser would read more than once; then two other readers of
 * header text. For each shape a line of nanoseconds per byte, length by length. "ratio" is that of
 * the longest text that is read to that of 4 KiB: near 1 or below it when time grows with length
 * and no faster. sec_header_parse() refuses what is above SEC_MAX_BYTES before it reads it, so that
 * its ratio is that of 16 KiB; the others have no such limit.
 *
 * Prints a table. No time is a failure here: machines differ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/digest.h"
#include "proto/option_tag.h"
#include "proto/sec_header.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_BYTES   65536
#define RUN_NS      (10 * 1000 * 1000) /* of one measurement */
#define RUNS        5                  /* of which the fastest counts */
#define BASE        4                  /* index of the length that "ratio" is relative to */

static const size_t lengths[] = {256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};

/* A shape: @head once, @body over and over, cut where the length is reached. */
static const struct shape {
	const char *name;
	const char *head;
	const char *body;
} shapes[] = {
	{"one long name", "", "a"},
	{"mechanisms", "", "m;a=1,"},
	{"entries of a phone", "",
	 "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=3209021766;"
	 "spi-s=1275621893;port-c=44596;port-s=42306;mode=a;x=\"quoted text, and more of it\";"
	 "y=[2001:db8::1];z, "},
	{"parameters of one", "m", ";abcdefgh"},
	{"many parameters", "", "m;aa;ab;ac;ad;ae;af;ag;ah;ai;aj;ak;al;am;an;ao;ap;"
				"aq;ar;as;at;au;av;aw;ax;ay;az;ba;bb;bc;bd;be;bf,"},
	{"one quoted string", "m;a=\"", "x"},
	{"quoted pairs", "m;a=\"", "\\\""},
	{"UTF-8", "m;a=\"", "\xE2\x82\xAC"},
	{"space", "m", " "},
	{"folds", "m", "\r\n "},
	{"bare line ends", "m", "\r\n"},
	{"open brackets", "m;a=[", "["},
	{"equal signs", "m", "="},
	{"commas", "m", ","},
	{"bytes of 255", "", "\xFF"},
};

/* What is measured; the result keeps the compiler from leaving it out. */
typedef int measured(struct span text);

static int parse(struct span text)
{
	struct sec_header header;
	struct sec_error error;
	int r = sec_header_parse(&text, 1, &header, &error);

	if (!r)
		sec_header_done(&header);
	return r;
}

static char out[2 * MAX_BYTES];

/* The text in 64 lines. */
static int parse_lines(struct span text)
{
	struct span lines[SEC_MAX_LINES];
	struct sec_header header;
	int r;

	for (size_t i = 0; i < SEC_MAX_LINES; i++)
		lines[i] = (struct span){text.p + i * (text.n / SEC_MAX_LINES),
					 text.n / SEC_MAX_LINES};
	r = sec_header_parse(lines, SEC_MAX_LINES, &header, NULL);
	if (!r)
		sec_header_done(&header);
	return r;
}

static int remove_tag(struct span text)
{
	return option_tag_remove(text, OPTION_TAG_SEC_AGREE, out, sizeof(out));
}

static int digest_text(struct span text)
{
	return digest_server_text(&text, 1, DIGEST_WHOLE_FIELD, out, sizeof(out));
}

/* Of the processor, not of the wall: on a busy machine the rest is other programs' time. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static volatile int sink;

/* Of one call, over some time. */
static double time_once(measured *function, struct span text)
{
	double start = now_ns(), end = start;
	unsigned long calls = 0;

	while (end - start < RUN_NS) {
		for (int i = 0; i < 16; i++)
			sink = function(text);
		calls += 16;
		end = now_ns();
	}
	return (end - start) / (double)calls;
}

static double time_of(measured *function, struct span text)
{
	double best = time_once(function, text);

	for (int i = 1; i < RUNS; i++) {
		double t = time_once(function, text);

		best = t < best ? t : best;
	}
	return best;
}

static struct span fill(char *buf, const struct shape *shape, size_t n)
{
	size_t head = strlen(shape->head), body = strlen(shape->body);

	for (size_t i = 0; i < n; i++)
		buf[i] = i < head ? shape->head[i] : shape->body[(i - head) % body];
	return (struct span){buf, n};
}

/* The last length that was read, not refused, against 4 KiB. */
static void measure(const char *what, measured *function, const struct shape *shape, size_t max)
{
	static char text[MAX_BYTES];
	double per_byte[COUNT_OF(lengths)] = {0};
	size_t last = 0;

	printf("%-7s %-19s", what, shape->name);
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		double t = time_of(function, fill(text, shape, lengths[i]));

		per_byte[i] = t / (double)lengths[i];
		if (lengths[i] <= max)
			last = i;
		printf(" %8.3f", per_byte[i]);
	}
	printf(" %8.2f\n", per_byte[last] / per_byte[BASE]);
	fflush(stdout);
}

int main(void)
{
	printf("%-27s", "ns per byte of");
	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		printf(" %8zu", lengths[i]);
	printf("    ratio\n");
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		measure("parse", parse, &shapes[i], SEC_MAX_BYTES);
	measure("lines", parse_lines, &shapes[0], SEC_MAX_BYTES);
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		measure("digest", digest_text, &shapes[i], MAX_BYTES);
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		measure("tags", remove_tag, &shapes[i], MAX_BYTES);
	return 0;
}
