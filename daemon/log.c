/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_target log_target = LOG_TO_STDERR;
static int log_level = LOG_INFO;

void log_open(enum log_target target, int level)
{
	log_target = target;
	log_level = level;
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

void log_line(int level, const char *fmt, ...)
{
	char line[1024];
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
	if (log_target == LOG_TO_SYSLOG)
		syslog(level, "%s", line);
	else
		fprintf(stderr, "secagreed: level=%s %s\n", log_level_word(level), line);
}
