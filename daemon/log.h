/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line an event, "event=NAME key=value ...", to standard error or to syslog. Never a key.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <syslog.h>

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
};

/* @level: LOG_ERR .. LOG_DEBUG; less urgent lines are dropped. */
void log_open(enum log_target target, int level);

/* Bytes that could break a line or a terminal are written as '?'. */
void log_line(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
