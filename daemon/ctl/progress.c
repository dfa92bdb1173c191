/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far something is that takes more than a second: one line on standard error that is written
 * over and taken away at the end. On anything but a terminal there is none, so that what a script
 * keeps has no debris of it.
 *
 * One at a time, as the program does one thing at a time.
 */
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"

#define FIRST_AFTER_MS 1000
#define NEXT_AFTER_MS  100

static struct {
	bool shown;
	bool waiting; /* what is shown is progress_waiting()'s */
	int64_t since_ms; /* 0: nothing has begun */
	int64_t last_ms;
} progress;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_watched(void)
{
	return isatty(STDERR_FILENO);
}

void progress_waiting(unsigned s)
{
	if (!is_watched())
		return;
	progress.shown = progress.waiting = true;
	fprintf(stderr, "\r\033[Kwaiting for secagreed, %u s", s);
}

void progress_waited(void)
{
	if (progress.waiting)
		fputs("\r\033[K", stderr);
	progress.shown &= !progress.waiting;
	progress.waiting = false;
}

void progress_count(const char *what, size_t done, size_t total)
{
	const int64_t now = now_ms();

	if (!progress.since_ms)
		progress.since_ms = now;
	if (!is_watched() || now < progress.since_ms + FIRST_AFTER_MS ||
	    now < progress.last_ms + NEXT_AFTER_MS)
		return;
	progress.shown = true;
	progress.last_ms = now;
	fprintf(stderr, "\r\033[K%s: %zu", what, done);
	if (total)
		fprintf(stderr, " of %zu, %zu %%", total, done * 100 / total);
}

void progress_end(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
	progress.shown = false;
	progress.since_ms = 0;
}
