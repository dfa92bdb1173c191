/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of systemd, where it is what standard error leads to.
 */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

struct log_field;

/* Does @fd lead to the journal? As $JOURNAL_STREAM says, systemd.exec(5). */
bool journal_has(int fd);

/* One entry: PRIORITY @level, MESSAGE @line, and SECAGREED_NAME for each of @fields, whose values
 * may hold any byte; a value that has no room any more is left out. Never waits: -EAGAIN when the
 * journal is behind. Returns 0 or -errno. */
int journal_send(int level, const char *line, const struct log_field *fields, size_t count);

#endif
