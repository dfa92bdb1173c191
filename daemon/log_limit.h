/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many lines of one kind the log takes: phones and strangers cause them, and must be able neither
 * to fill a disk nor to bury another line.
 */
#ifndef DAEMON_LOG_LIMIT_H
#define DAEMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_WINDOW_S   10
#define LOG_LIMIT_WORD_BYTES 32

/* Lines of one event and reason. */
struct log_kind {
	char event[LOG_LIMIT_WORD_BYTES], reason[LOG_LIMIT_WORD_BYTES]; /* "": it has none */
	int level;
	uint64_t start_ms; /* of its window */
	uint32_t lines;
	uint32_t suppressed;
};

/* At most @lines of a kind in a window, 0 = no limit. @report is called when lines of a kind were
 * suppressed and their window is over. Call it again to change the number. */
void log_limit_set(uint32_t lines, void (*report)(const struct log_kind *kind));

/* May one more be written? If not, it is counted. */
bool log_limit_admits(const char *event, const char *reason, int level);

/* Report what is not reported yet. No timer is left; timer_use_loop() must still hold. */
void log_limit_flush(void);

/* Suppressed so far. */
uint64_t log_limit_total(void);

#endif
