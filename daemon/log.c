/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where lines go is decided once, when the log is opened. A journal that is behind is not waited for:
 * its line is lost and counted. One that does not answer at all is passed by, to standard error.
 *
 * State of the process: one daemon has one log.
 */
#include "daemon/log.h"
#include "daemon/journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES 2048

static enum log_target log_target = LOG_TO_STDERR;
static bool is_journal;
static int log_level = LOG_INFO;
static uint64_t lost;

void log_open(enum log_target target, int level)
{
	log_target = target;
	log_level = level;
	is_journal = target == LOG_TO_STDERR && journal_has(STDERR_FILENO);
	if (target == LOG_TO_SYSLOG)
		openlog("secagreed", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_set_level(int level)
{
	log_level = level;
}

bool log_wants(int level)
{
	return level <= log_level;
}

const char *log_level_word(int level)
{
	static const char *const WORDS[] = {
		[LOG_ERR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
		[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
	};

	return level >= LOG_ERR && level <= LOG_DEBUG ? WORDS[level] : "error";
}

/* Did the journal take it, or is it lost there? Then nobody else is to write it. */
static bool to_journal(int level, const char *line, const struct log_field *fields, size_t count)
{
	const int err = is_journal ? journal_send(level, line, fields, count) : -ENOENT;

	if (err == -EAGAIN || err == -ENOBUFS)
		lost++;
	return !err || err == -EAGAIN || err == -ENOBUFS;
}

void log_write(int level, const char *line, const struct log_field *fields, size_t count)
{
	if (log_target == LOG_TO_SYSLOG)
		syslog(level, "%s", line);
	else if (!to_journal(level, line, fields, count))
		fprintf(stderr, "secagreed: level=%s %s\n", log_level_word(level), line);
}

void log_line(int level, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	}
	log_write(level, line, NULL, 0);
}

uint64_t log_lost(void)
{
	return lost;
}
