/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Client transactions of the phone, RFC 3261 17.1.2: over UDP the request goes out again after T1,
 * 2 T1, 4 T1 ... up to T2, and after a provisional response every T2; over TCP it goes once. After
 * 64 T1 without a final response the transaction fails.
 *
 * A transaction ends with its first final response; the wait for late copies (timer K) is left
 * out, since a copy that finds no transaction is dropped anyway.
 * After a provisional response an INVITE is only waited for, INVITE_MS long (17.1.1.2). Server
 * transactions are call.c.
 */
#include "tests/ue/txn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ue/event.h"

#define T2_OF(t1_ms) (8 * (t1_ms))
#define INVITE_MS    180000

int txn_new_branch(char ret_branch[TXN_BRANCH_BYTES])
{
	char digits[2 * 12 + 1];

	if (random_hex(digits, 12) < 0)
		return -EIO;
	snprintf(ret_branch, TXN_BRANCH_BYTES, "z9hG4bK%s", digits);
	return 0;
}

static void forget(struct txn *txn)
{
	free(txn->text);
	memset(txn, 0, sizeof(*txn));
}

static int transmit(const struct txn_table *table, const struct txn *txn)
{
	const struct net_link *link = &table->net->links[txn->link];

	/* a set may have gone meanwhile, and somebody else may have its link */
	if (link->kind != txn->kind || link->set_id != txn->set_id ||
	    txn->protected != (link->role != NET_CLEAR))
		return -ENOTCONN;
	return net_send(table->net, txn->link, &txn->to, txn->port,
			(struct span){txn->text, txn->text_n});
}

static struct txn *free_txn(struct txn_table *table)
{
	for (int i = 0; i < TXN_MAX; i++)
		if (!table->txns[i].used)
			return &table->txns[i];
	return NULL;
}

static void fill(struct txn *txn, const struct txn_table *table, const struct txn_request *request)
{
	const struct net_link *link = &table->net->links[request->link];
	int64_t now = clock_ms();

	txn->used = true;
	snprintf(txn->branch, sizeof(txn->branch), "%s", request->branch);
	snprintf(txn->method, sizeof(txn->method), "%s", request->method);
	txn->protected = link->role != NET_CLEAR;
	txn->link = request->link;
	txn->kind = link->kind;
	txn->set_id = link->set_id;
	txn->to = request->to;
	txn->port = request->port;
	txn->interval_ms = table->t1_ms;
	txn->again_ms = link->kind == NET_UDP ? now + table->t1_ms : INT64_MAX;
	txn->deadline_ms = now + table->timeout_ms;
	txn->done = request->done;
}

int txn_start(struct txn_table *table, const struct txn_request *request)
{
	struct txn *txn = free_txn(table);
	int r;

	if (!txn)
		return -ENOBUFS;
	txn->text = malloc(request->text.n);
	if (!txn->text)
		return -ENOMEM;
	memcpy(txn->text, request->text.p, request->text.n);
	txn->text_n = request->text.n;
	fill(txn, table, request);
	r = transmit(table, txn);
	if (r < 0 && txn->kind == NET_UDP) {
		/* seen while an address is still being set up; retransmission will tell */
		event_print("warning", "text=\"%s was not sent: %s\"", txn->method, strerror(-r));
		r = 0;
	}
	if (r < 0)
		forget(txn);
	return r;
}

static struct txn *find(struct txn_table *table, const struct sip_message *response,
			const struct net_source *from)
{
	for (int i = 0; i < TXN_MAX; i++) {
		struct txn *txn = &table->txns[i];

		if (txn->used && strcmp(txn->branch, sip_branch(response)) == 0 &&
		    strcmp(txn->method, sip_method(response)) == 0 &&
		    txn->protected == (from->role != NET_CLEAR))
			return txn;
	}
	return NULL;
}

bool txn_response(struct txn_table *table, const struct sip_message *response,
		  const struct net_source *from)
{
	struct txn *txn = find(table, response, from);
	txn_done *done;

	if (!txn)
		return false;
	done = txn->done;
	if (sip_status(response) >= 200) {
		forget(txn);
	} else if (strcmp(txn->method, "INVITE") == 0) {
		txn->again_ms = INT64_MAX;
		txn->deadline_ms = clock_ms() + INVITE_MS;
	} else if (txn->kind == NET_UDP) {
		txn->interval_ms = T2_OF(table->t1_ms);
		txn->again_ms = clock_ms() + txn->interval_ms;
	}
	done(table->ctx, response, from);
	return true;
}

static void fail(struct txn_table *table, struct txn *txn)
{
	txn_done *done = txn->done;

	forget(txn);
	done(table->ctx, NULL, NULL);
}

void txn_link_lost(struct txn_table *table, int link)
{
	for (int i = 0; i < TXN_MAX; i++)
		if (table->txns[i].used && table->txns[i].link == link)
			fail(table, &table->txns[i]);
}

void txn_drop(struct txn_table *table, const char *method)
{
	for (int i = 0; i < TXN_MAX; i++)
		if (table->txns[i].used && (!method || strcmp(table->txns[i].method, method) == 0))
			forget(&table->txns[i]);
}

bool txn_pending(const struct txn_table *table, const char *method)
{
	for (int i = 0; i < TXN_MAX; i++)
		if (table->txns[i].used && strcmp(table->txns[i].method, method) == 0)
			return true;
	return false;
}

bool txn_on_set(const struct txn_table *table, int set_id)
{
	for (int i = 0; i < TXN_MAX; i++)
		if (table->txns[i].used && table->txns[i].set_id == set_id)
			return true;
	return false;
}

int64_t txn_next_ms(const struct txn_table *table)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < TXN_MAX; i++) {
		const struct txn *txn = &table->txns[i];

		if (txn->used && txn->again_ms < next)
			next = txn->again_ms;
		if (txn->used && txn->deadline_ms < next)
			next = txn->deadline_ms;
	}
	return next;
}

static void send_again(const struct txn_table *table, struct txn *txn, int64_t now_ms)
{
	int64_t t2_ms = T2_OF(table->t1_ms);

	event_print("retransmit", "method=%s", txn->method);
	transmit(table, txn);
	txn->interval_ms = txn->interval_ms * 2 < t2_ms ? txn->interval_ms * 2 : t2_ms;
	txn->again_ms = now_ms + txn->interval_ms;
}

void txn_tick(struct txn_table *table, int64_t now_ms)
{
	for (int i = 0; i < TXN_MAX; i++) {
		struct txn *txn = &table->txns[i];

		if (!txn->used)
			continue;
		if (now_ms >= txn->deadline_ms)
			fail(table, txn);
		else if (now_ms >= txn->again_ms)
			send_again(table, txn, now_ms);
	}
}
