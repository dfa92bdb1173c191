/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a phone fails: from what was counted and what happened to words. Pure; the rules are tables.
 * secagreed-control(7) lists the causes.
 */
#ifndef DAEMON_DIAGNOSIS_H
#define DAEMON_DIAGNOSIS_H

#include "daemon/evidence.h"

#define DIAGNOSIS_MAX        8
#define DIAGNOSIS_TEXT_BYTES 640

struct finding {
	const char *cause; /* a token */
	uint64_t set;      /* 0 = of no set in particular */
	char text[DIAGNOSIS_TEXT_BYTES];
};

struct diagnosis {
	struct finding found[DIAGNOSIS_MAX]; /* the likeliest first, each cause once */
	size_t count;
};

/* @sets: those that live, @events: what happened, both newest first. What failed before the phone
 * was last registered does not count. Nothing is found of a phone that is well. */
void diagnose(const struct evidence *sets, size_t set_count,
	      const struct event_record *const *events, size_t event_count, struct diagnosis *ret);

#endif
