/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel has counted on the SAs of one set, and what the SIP server has said of it: all
 * that a diagnosis needs. Of a set that ended unanswered it is kept as an event.
 */
#ifndef DAEMON_EVIDENCE_H
#define DAEMON_EVIDENCE_H

#include "daemon/event.h"
#include "daemon/sa_set.h"

struct evidence_sa {
	bool in;    /* from the phone */
	bool lost;  /* the kernel has no such SA */
	bool heard; /* in: the SIP server asked about a message to .own_port */
	uint32_t spi;
	uint16_t own_port, phone_port; /* 0 = any */
	uint64_t packets;              /* that passed integrity and replay checks, or were sent */
	uint32_t integrity_failed, replay_failed;
};

struct evidence {
	uint64_t set;
	enum sa_set_state state; /* SA_SET_GONE: it ended unanswered */
	bool aborted;
	int64_t age_s;
	size_t sa_count;
	struct evidence_sa sas[PLAN_MAX_SAS]; /* first the one that the answer to the challenge comes on */
	bool has_drops;                       /* .drops: of all phones together, while it lived */
	struct xfrm_drops drops;
};

/* Ask the kernel now. */
void evidence_of(const struct sa_set *set, struct evidence *ret);

/* @set ends without an answer to its challenge: emit what is known. */
void evidence_emit_unanswered(const struct sa_set *set);

/* Back from that event. */
void evidence_read(const struct event_record *record, struct evidence *ret);

#endif
