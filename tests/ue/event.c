/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event lines and traces on standard output, the clock, and random numbers.
 *
 * The words of the events are an interface: tests read them, and secagree-ue(1) lists them. Text
 * from the network goes through here before a terminal sees it, without its control characters.
 * Nothing here fails visibly: a closed standard output must not keep the phone from cleaning up.
 */
#include "tests/ue/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#define EVENT_BYTES 4096

static void defuse(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f)
			*text = '.';
	}
}

void event_print(const char *name, const char *fmt, ...)
{
	char text[EVENT_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	defuse(text);
	printf("%s%s%s\n", name, text[0] ? " " : "", text);
	fflush(stdout);
}

const char *event_quoted(const char *text, size_t n, char *buf, size_t cap)
{
	size_t used = n < cap ? n : cap - 1;

	for (size_t i = 0; i < used; i++)
		buf[i] = text[i] == '"' ? '\'' : text[i] ? text[i] : '.';
	buf[used] = '\0';
	return buf;
}

void event_trace(const char *text, size_t n, const char *fmt, ...)
{
	char head[EVENT_BYTES];
	va_list args;
	bool at_start = true;

	va_start(args, fmt);
	vsnprintf(head, sizeof(head), fmt, args);
	va_end(args);
	defuse(head);
	printf("trace %s\n", head);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r' && i + 1 < n && text[i + 1] == '\n')
			continue;
		if (at_start)
			fputs("| ", stdout);
		at_start = c == '\n';
		putchar(c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f) ? c : '.');
	}
	if (!at_start)
		putchar('\n');
	fflush(stdout);
}

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int random_hex(char *ret, size_t bytes)
{
	uint8_t octet;

	for (size_t i = 0; i < bytes; i++) {
		if (RAND_bytes(&octet, 1) != 1)
			return -EIO;
		snprintf(ret + 2 * i, 3, "%02x", octet);
	}
	return 0;
}

int random_between(uint32_t low, uint32_t high, uint32_t *ret)
{
	uint64_t wide;

	/* 64 bits for a range of at most 32: the bias is below 2^-32 */
	if (RAND_bytes((uint8_t *)&wide, sizeof(wide)) != 1)
		return -EIO;
	*ret = (uint32_t)(low + wide % ((uint64_t)high - low + 1));
	return 0;
}
