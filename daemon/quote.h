/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a value stands behind "name=", in a line of the log and of secagreectl monitor: so that it
 * can be read back without doubt, whoever wrote it. secagreed(8), LOG.
 */
#ifndef DAEMON_QUOTE_H
#define DAEMON_QUOTE_H

#include <stddef.h>

/* Room for at most so many bytes of a value: each escaped, the marks, "..." and a NUL. */
#define QUOTE_BYTES(max) (4 * (max) + 8)

/* @value as it is, when it is plain: printing ASCII without a blank, =, " and \, and not empty.
 * Else in quotation marks, with \" and \\ and \x1b; behind the closing mark "..." when there is more
 * than @max bytes of it. @buf: QUOTE_BYTES(@max). Returns @value or @buf; @ret_n is its length. */
const char *quote_value(const char *value, size_t max, char *buf, size_t *ret_n);

#endif
