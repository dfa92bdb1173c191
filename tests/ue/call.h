/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What others want of the phone: OPTIONS, MESSAGE, INVITE and what belongs to a call.
 */
#ifndef UE_CALL_H
#define UE_CALL_H

#include "tests/ue/net.h"
#include "tests/ue/sip.h"

#define CALL_MAX      4
#define CALL_REPLIES  16
#define CALL_ID_BYTES 256

struct ue;

enum call_state {
	CALL_FREE,
	CALL_RINGING,   /* 180 sent */
	CALL_ANSWERED,  /* 200 sent, waits for ACK */
	CALL_CONFIRMED, /* ACK came */
};

struct call {
	enum call_state state;
	char call_id[CALL_ID_BYTES];
	char tag[20];
	char *invite; /* its text */
	size_t invite_n;
	struct net_source source;
	char *ok; /* the 200, to be repeated */
	size_t ok_n;
	int64_t answer_ms; /* RINGING: when to answer */
	int64_t again_ms, interval_ms, deadline_ms; /* ANSWERED */
};

/* The last answers, for requests that come twice (RFC 3261 17.2). */
struct call_reply {
	char key[CALL_ID_BYTES]; /* "" = free: branch, method, Call-ID */
	char *text;
	size_t text_n;
};

struct call_table {
	struct call calls[CALL_MAX];
	struct call_reply replies[CALL_REPLIES];
	unsigned int next_reply;
};

/* Answer @request. It came under protection: the caller has seen to that. */
void call_request(struct ue *ue, const struct net_source *from, const struct sip_message *request);

/* An offer: one audio stream, inactive. */
void put_sdp_offer(const struct ue *ue, struct sip_text *ret);

/* Without a registration there are no calls. */
void call_end_all(struct call_table *table, const char *reason);
void call_done(struct call_table *table);

int64_t call_next_ms(const struct call_table *table);
void call_tick(struct ue *ue, int64_t now_ms);

#endif
