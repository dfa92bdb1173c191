/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of Security-Client and Security-Server in a seventh of their bytes: each set keeps the two
 * as long as it lives, and a phone that offers six combinations writes the same names and numbers
 * six times over.
 */
#ifndef DAEMON_PACKED_H
#define DAEMON_PACKED_H

#include "proto/sec_header.h"

/* All lines of one header joined by ", ", with the NUL. */
#define PACKED_TEXT_BYTES (SEC_MAX_BYTES + 2 * SEC_MAX_LINES + 1)

struct packed;

/* Once, before there are keys. liblz4 is bound lazily: where it first calls a function of the C library,
 * the dynamic linker leaves the registers on the stack, and what was copied last may be in them.
 * Returns 0 or -ENOMEM. */
int packed_init(void);

/* @text: any bytes but NUL. To be freed by free(). NULL when memory is short, or @text would not fit
 * into PACKED_TEXT_BYTES. */
struct packed *packed_new(struct span text);

/* How long the text is. */
size_t packed_text_bytes(const struct packed *packed);

/* Write the text, byte for byte what it was, without NUL. Returns its end. */
char *packed_read(const struct packed *packed, char *ret);

/* The same as a string in @buf, which it returns. */
const char *packed_text(const struct packed *packed, char buf[static PACKED_TEXT_BYTES]);

#endif
