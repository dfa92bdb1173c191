/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One window for each kind of line, which begins with the first line after the window before it has
 * ended. The first lines of a window are written; of the others only the number, at its end. A timer
 * runs only while there is something to report, so a daemon with nothing to say sleeps.
 *
 * Kinds are few, since events and reasons are words of ours; when there are more than fit, the last
 * place stands for all the others.
 *
 * State of the process, as the log is.
 */
#include "daemon/log_limit.h"
#include "daemon/timer.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define KINDS     96
#define WINDOW_MS (LOG_LIMIT_WINDOW_S * 1000u)

static struct {
	uint32_t max;
	void (*report)(const struct log_kind *kind);
	struct log_kind kinds[KINDS];
	size_t count;
	uint64_t total;
	struct timer timer;
	bool armed;
} limit;

static void arm(uint64_t deadline_ms);

static struct log_kind *kind_of(const char *event, const char *reason, int level)
{
	struct log_kind *kind;

	for (size_t i = 0; i < limit.count; i++) {
		kind = &limit.kinds[i];
		if (!strcmp(kind->event, event) && !strcmp(kind->reason, reason))
			return kind;
	}
	if (limit.count == KINDS)
		return &limit.kinds[KINDS - 1];
	kind = &limit.kinds[limit.count++];
	*kind = (struct log_kind){ .level = level };
	snprintf(kind->event, sizeof(kind->event), "%s", event);
	snprintf(kind->reason, sizeof(kind->reason), "%s", reason);
	return kind;
}

static void end_window(struct log_kind *kind)
{
	if (kind->suppressed)
		limit.report(kind);
	kind->suppressed = 0;
	kind->lines = 0;
}

static bool is_over(const struct log_kind *kind, uint64_t now_ms)
{
	return now_ms >= kind->start_ms + WINDOW_MS;
}

static void on_timer(void *arg)
{
	const uint64_t now_ms = clock_monotonic_ms();
	uint64_t next_ms = UINT64_MAX;

	(void)arg;
	limit.armed = false;
	for (size_t i = 0; i < limit.count; i++) {
		struct log_kind *kind = &limit.kinds[i];

		if (!kind->suppressed)
			continue;
		if (is_over(kind, now_ms))
			end_window(kind);
		else if (kind->start_ms + WINDOW_MS < next_ms)
			next_ms = kind->start_ms + WINDOW_MS;
	}
	if (next_ms != UINT64_MAX)
		arm(next_ms);
}

/* The first window to end is the one that waits longest: nothing later replaces it. */
static void arm(uint64_t deadline_ms)
{
	if (limit.armed)
		return;
	timer_init(&limit.timer, on_timer, NULL);
	timer_arm(&limit.timer, deadline_ms);
	limit.armed = true;
}

void log_limit_set(uint32_t lines, void (*report)(const struct log_kind *kind))
{
	limit.max = lines;
	limit.report = report;
}

bool log_limit_admits(const char *event, const char *reason, int level)
{
	const uint64_t now_ms = clock_monotonic_ms();
	struct log_kind *kind;

	if (!limit.max)
		return true;
	kind = kind_of(event, reason, level);
	if (is_over(kind, now_ms) || !kind->lines) {
		end_window(kind);
		kind->start_ms = now_ms;
	}
	if (kind->lines < limit.max) {
		kind->lines++;
		return true;
	}
	kind->suppressed++;
	limit.total++;
	arm(kind->start_ms + WINDOW_MS);
	return false;
}

void log_limit_flush(void)
{
	if (limit.armed)
		timer_stop(&limit.timer);
	limit.armed = false;
	for (size_t i = 0; i < limit.count; i++)
		end_window(&limit.kinds[i]);
	limit.count = 0;
}

uint64_t log_limit_total(void)
{
	return limit.total;
}
