/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines to standard error, to the journal or to syslog. Never a key. What happens to sets and in the
 * kernel is logged by event.h.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

enum log_target {
	LOG_TO_STDERR, /* or the journal, where standard error leads there */
	LOG_TO_SYSLOG,
};

/* @level: LOG_ERR .. LOG_DEBUG; less urgent lines are dropped. */
void log_open(enum log_target target, int level);

/* Another level, to the same target. */
void log_set_level(int level);

bool log_wants(int level);

/* "error" .. "debug" */
const char *log_level_word(int level);

/* Bytes that could break a line or a terminal are written as '?'. */
void log_line(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A value of a line that the journal keeps under its name, too. It may hold any byte. */
struct log_field {
	const char *name, *value;
};

/* The same for a line that is made already, and its values. */
void log_write(int level, const char *line, const struct log_field *fields, size_t count);

/* Lines that were lost because the journal was behind. */
uint64_t log_lost(void);

#endif
