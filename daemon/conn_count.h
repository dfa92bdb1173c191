/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What came in by the daemon's doors, in numbers, and why it was let go.
 */
#ifndef DAEMON_CONN_COUNT_H
#define DAEMON_CONN_COUNT_H

#include <stdint.h>

/* What a socket is for. */
enum conn_door {
	CONN_CONTROL, /* JSON or RESP2, as the first byte says */
	CONN_MONITOR, /* the same, without methods that change something */
	CONN_HTTP,    /* control and metrics over HTTP */
	CONN_METRICS, /* HTTP without control */
	CONN_DOORS,
};

/* Why a connection ended. */
enum conn_end {
	CONN_LEFT,      /* the client closed it, or asked for that */
	CONN_BAD_FRAME, /* what it sent could not be framed */
	CONN_SLOW,      /* its request was not there in time */
	CONN_UNREAD,    /* it did not read what waited for it */
	CONN_FAILED,    /* the socket or the memory did */
	CONN_ENDS,
};

struct conn_count {
	uint64_t opened;
	uint64_t ended[CONN_ENDS];
	uint64_t full; /* how often the last place was taken: then the next ones wait */
};

const char *conn_door_word(enum conn_door door);
const char *conn_end_word(enum conn_end end);

/* How many there are now. */
uint64_t conn_count_open(const struct conn_count *count);

#endif
