/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon counts, in the text format of Prometheus.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "daemon/command.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* All of them, to be freed; NULL when memory is short. */
char *metrics_text(const struct daemon *d, size_t *ret_bytes);

#endif
