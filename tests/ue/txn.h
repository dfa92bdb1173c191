/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Client transactions: a request, sent again until a final response comes. RFC 3261 17.1.
 */
#ifndef UE_TXN_H
#define UE_TXN_H

#include "tests/ue/net.h"
#include "tests/ue/sip.h"

#define TXN_MAX          16
#define TXN_BRANCH_BYTES 40

/* TS 24.229 7.7: towards the phone T1 is 2 s, T2 16 s. */
#define TXN_T1_MS 2000

/* @response NULL: nothing came in time, or the connection broke; then @from is NULL too. Called for
 * each provisional and once for the final response. */
typedef void txn_done(void *ctx, const struct sip_message *response, const struct net_source *from);

struct txn {
	bool used;
	char branch[TXN_BRANCH_BYTES];
	char method[16];
	bool protected;
	int link;
	enum net_kind kind;
	int set_id;
	struct ip to;
	uint16_t port;
	char *text;
	size_t text_n;
	int64_t again_ms, deadline_ms;
	int64_t interval_ms;
	txn_done *done;
};

struct txn_table {
	struct txn txns[TXN_MAX];
	struct net *net;
	int64_t t1_ms;
	int64_t timeout_ms; /* 64 * T1, or what the user wants */
	void *ctx;          /* for done() */
};

/* What is to be sent, and how. */
struct txn_request {
	struct span text;
	const char *branch; /* of its top Via */
	const char *method;
	int link;
	struct ip to;
	uint16_t port;
	txn_done *done;
};

/* "z9hG4bK" and random digits. Returns 0 or -EIO. */
int txn_new_branch(char ret_branch[TXN_BRANCH_BYTES]);

/* Send and watch. @request is copied. Returns 0, -ENOMEM, -ENOBUFS (too many), or what net_send()
 * gave; then nothing is watched and done() is not called. A UDP send error is a lost packet. */
int txn_start(struct txn_table *table, const struct txn_request *request);

/* Give @response to its transaction; false when there is none, or when it came in clear to a
 * protected request or the other way round. */
bool txn_response(struct txn_table *table, const struct sip_message *response,
		  const struct net_source *from);

/* The connection @link is gone: its transactions fail. */
void txn_link_lost(struct txn_table *table, int link);

/* Forget the transactions of @method without a call to done(); NULL: all of them. */
void txn_drop(struct txn_table *table, const char *method);

bool txn_pending(const struct txn_table *table, const char *method);

/* Does a request that was sent over this set wait for its answer? */
bool txn_on_set(const struct txn_table *table, int set_id);

/* The time of the next work, INT64_MAX when there is none; and do what is due. */
int64_t txn_next_ms(const struct txn_table *table);
void txn_tick(struct txn_table *table, int64_t now_ms);

#endif
