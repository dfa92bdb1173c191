/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl top in three files: what is looked at (top_data.c), how it is shown (top_view.c), and
 * when (top.c).
 */
#ifndef DAEMON_CTL_TOP_H
#define DAEMON_CTL_TOP_H

#include "daemon/ctl/ctl.h"

#define TOP_ROWS   10 /* of each part, at most */
#define TOP_KEPT   10
#define TOP_NEW    20
#define TOP_PHONES (TOP_KEPT + TOP_NEW)

/* A set that is looked at. */
struct top_phone {
	json_t *set; /* of sa.list or sa.show */
	json_int_t looked_ms; /* on the daemon's clock; 0: never */
	json_int_t packets, bytes, dropped;
	double packets_per_s, bytes_per_s;
};

struct top {
	const char *socket_path;
	struct client client;
	bool open;
	char why[2 * CTL_WHY_BYTES]; /* the last look failed */

	char version[32];
	json_t *before, *stats; /* of daemon.stats */
	json_int_t now_ms;
	double elapsed_s; /* between them */

	json_int_t event_last; /* below 0: not known */
	json_t *failures;      /* events, latest first */

	struct top_phone phones[TOP_PHONES];
	size_t phone_count;
	size_t looked; /* phones whose rates were known to the last look */
	char after[32];
	json_t *shown; /* the busiest, with their rates */
};

/* Ask the daemon, and connect to it first if need be. Returns 0, or -1 with @top->why. */
int top_look(struct top *top);
void top_close(struct top *top);

/* What the last look found, as an object; rates are since the one before, or since the daemon's
 * start when it was the first. NULL: out of memory. */
json_t *top_frame(const struct top *top);

/* @frame for people, each part of at most @rows rows. */
void top_print(FILE *f, const json_t *frame, size_t rows);

#endif
