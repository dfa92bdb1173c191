/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the phone tells the world: one line per event on standard output, for people and for tests.
 */
#ifndef UE_EVENT_H
#define UE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "NAME key=value ..." and a line end, flushed at once. @fmt gives what follows the name, "" for
 * nothing. Control characters are shown as dots, so that no peer can forge a line. */
void event_print(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* @n octets of foreign text for use between double quotes; cut to fit. Returns @buf. */
const char *event_quoted(const char *text, size_t n, char *buf, size_t cap);

/* A whole SIP message below a line "trace @fmt", each of its lines with "| " in front. */
void event_trace(const char *text, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Monotonic milliseconds. */
int64_t clock_ms(void);

/* Hexadecimal digits of @bytes random octets; @ret holds 2 * @bytes + 1. Returns 0 or -EIO. */
int random_hex(char *ret, size_t bytes);

/* A random number in @low..@high. Returns 0 or -EIO. */
int random_between(uint32_t low, uint32_t high, uint32_t *ret);

#endif
