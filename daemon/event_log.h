/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events as lines of the log: event=NAME and a pair of name and value for each field.
 */
#ifndef DAEMON_EVENT_LOG_H
#define DAEMON_EVENT_LOG_H

#include "daemon/event.h"

/* How to write them from here on. @hash_identities: private identities stand as a hash, which is the
 * same for the same identity until the machine starts anew. @max_lines: of one event and reason in
 * LOG_LIMIT_WINDOW_S seconds, 0 = no limit; wants timer_use_loop(). */
void event_log_set(bool hash_identities, uint32_t max_lines);

/* Write one, if its level is wanted. @fields: ended by one without name. */
void event_log(const char *word, int level, const struct event_field *fields);

/* Write what is still to be said of suppressed lines. */
void event_log_flush(void);

#endif
