/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words for doors and ends, as they stand in the metrics, in daemon.status and in the log. The
 * numbers themselves are struct daemon's; control.c counts who comes in and conn.c who goes.
 */
#include "daemon/conn_count.h"

const char *conn_door_word(enum conn_door door)
{
	static const char *const WORDS[CONN_DOORS] = {
		[CONN_CONTROL] = "control",
		[CONN_MONITOR] = "monitor",
		[CONN_HTTP] = "http",
		[CONN_METRICS] = "metrics",
	};

	return WORDS[door];
}

const char *conn_end_word(enum conn_end end)
{
	static const char *const WORDS[CONN_ENDS] = {
		[CONN_LEFT] = "left",
		[CONN_BAD_FRAME] = "bad_frame",
		[CONN_SLOW] = "slow",
		[CONN_UNREAD] = "unread",
		[CONN_FAILED] = "failed",
	};

	return WORDS[end];
}

uint64_t conn_count_open(const struct conn_count *count)
{
	uint64_t open = count->opened;

	for (unsigned end = 0; end < CONN_ENDS; end++)
		open -= count->ended[end];
	return open;
}
