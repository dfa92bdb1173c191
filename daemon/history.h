/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The latest events of each phone, for whoever asks why it fails (phone.explain). An event belongs
 * to the phones that its fields "impi", "ue" and "set" name, and is found by each of them.
 */
#ifndef DAEMON_HISTORY_H
#define DAEMON_HISTORY_H

#include "daemon/event.h"

/* Whatever the number of phones. The oldest events go first. */
#define HISTORY_MAX_BYTES (16 * 1024 * 1024)

/* Of one IMPI, address or set: a phone that fails again and again has no more than that. */
#define HISTORY_EVENTS 64

enum history_key {
	HISTORY_IMPI,
	HISTORY_UE,  /* address, as ip_format() writes it */
	HISTORY_SET, /* 16 hexadecimal digits */
	HISTORY_KEYS,
};

/* Keep what is emitted from now on. hash_init() comes first. */
void history_start(void);

/* The events that @text names, newest first, into @ret: good until the next event is emitted. */
size_t history_read(enum history_key key, const char *text,
		    const struct event_record *ret[static HISTORY_EVENTS]);

/* UTC in milliseconds: whom something happened to after it is known, unless memory was short. */
uint64_t history_since_ms(void);

/* Memory in use. */
size_t history_bytes(void);

/* Forget everything, and keep nothing more. */
void history_stop(void);

#endif
