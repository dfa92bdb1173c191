/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First every record becomes a set again at the listener that it was made for, as that was then; so
 * what it has in the kernel can be named. Then the sets whose listener is still there, and still
 * wants the same of the kernel, move to it; the others are dropped like any other set, with their
 * TCP connections, SAs and policies. Phones of kept sets notice nothing, phones of dropped ones
 * register again (TS 33.203 7.4.0).
 *
 * The listeners of this run are written before their guards are installed, those of earlier runs
 * forgotten after all they had is gone: a kill in between leaves both to the next start. A guard
 * whose mark or priority was changed is replaced; for that moment its port is open.
 *
 * A record that cannot be believed is forgotten. What the kernel holds of its set is then an
 * orphan, which the audit after this deletes.
 */
#include "daemon/restore.h"
#include "daemon/event.h"
#include "daemon/sa_kernel.h"
#include "daemon/set_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct past {
	uint8_t bytes[LISTENER_RECORD_MAX_BYTES];
	size_t count;
	struct config_listener listener;
	struct past *next;
};

struct restoring {
	struct sa_table *table;
	const struct config *config;
	struct past *past;
	bool unwritten; /* a set still stands under its past listener */
	struct restored done;
};

static int refused(struct restoring *r, uint64_t serial, const char *why)
{
	r->done.refused++;
	event_emit(EVENT_RECORD_REFUSED, event_number("record", serial), event_text("why", why));
	return -EINVAL;
}

/* ---- listeners ---- */

static struct past *find_past(const struct restoring *r, struct span record)
{
	struct past *past = r->past;

	while (past && (past->count != record.n || memcmp(past->bytes, record.p, record.n) != 0))
		past = past->next;
	return past;
}

static int add_past(struct span record, void *arg)
{
	struct restoring *r = arg;
	struct past *past;
	const char *why;

	if (record.n > sizeof(past->bytes))
		return refused(r, 0, "a listener is too long");
	past = calloc(1, sizeof(*past));
	if (!past)
		return 0; /* the next start may have more luck with its guards */
	if (listener_record_read(record.p, record.n, &past->listener, &why) < 0) {
		free(past);
		return refused(r, 0, why);
	}
	memcpy(past->bytes, record.p, record.n);
	past->count = record.n;
	past->next = r->past;
	r->past = past;
	return 0;
}

static void free_past(struct restoring *r)
{
	struct past *past;

	while ((past = r->past)) {
		r->past = past->next;
		free(past);
	}
}

static bool is_same(const struct config_listener *a, const struct config_listener *b)
{
	uint8_t x[LISTENER_RECORD_MAX_BYTES], y[LISTENER_RECORD_MAX_BYTES];
	const size_t n = listener_record_write(a, x);

	return listener_record_write(b, y) == n && !memcmp(x, y, n);
}

static bool is_present(const struct restoring *r, const struct past *past)
{
	for (size_t i = 0; i < r->config->listener_count; i++) {
		if (is_same(&r->config->listeners[i], &past->listener))
			return true;
	}
	return false;
}

static int write_present(const struct restoring *r)
{
	uint8_t bytes[LISTENER_RECORD_MAX_BYTES];

	for (size_t i = 0; i < r->config->listener_count; i++) {
		const size_t n = listener_record_write(&r->config->listeners[i], bytes);
		const struct span record = { (const char *)bytes, n };

		if (!find_past(r, record)) /* a full store need not hinder the start */
			store_put_listener(r->table->store, record);
	}
	return store_commit(r->table->store);
}

static int forget_past(const struct restoring *r)
{
	for (const struct past *past = r->past; past && !r->unwritten; past = past->next) {
		if (!is_present(r, past))
			store_forget_listener(r->table->store,
					      (struct span){ (const char *)past->bytes,
							     past->count });
	}
	return store_commit(r->table->store);
}

/* ---- sets ---- */

/* Numbers that only this listener can have given. */
static bool is_of(const struct set_record *set, const struct config_listener *l)
{
	const uint16_t port = set->pcscf.port_c ? set->pcscf.port_c : set->pcscf.port1;

	return set->ue_address.family == l->address.family && port >= l->client_port_first &&
	       port <= l->client_port_last &&
	       (!set->pcscf.port_s || set->pcscf.port_s == l->server_port) &&
	       (set->reqid == l->reqid || set->reqid >> 16 == l->reqid);
}

static int add_set(uint64_t serial, struct span record, void *arg)
{
	struct restoring *r = arg;
	struct set_record set_record;
	struct past *past;
	const char *why;
	struct sa_set *set;
	int err;

	if (set_record_read(record.p, record.n, &set_record, &why) < 0)
		return refused(r, serial, why);
	past = find_past(r, set_record.listener);
	if (!past)
		return refused(r, serial, "its listener is not known");
	if (!is_of(&set_record, &past->listener))
		return refused(r, serial, "it cannot be of its listener");
	err = sa_set_revive(r->table, serial, &set_record, &past->listener, &set);
	if (err)
		return refused(r, serial, err == -ENOMEM ? "out of memory"
							 : "another set has its id or an SPI");
	sa_kernel_expect_policies(set);
	return 0;
}

static int learn_policy(const struct xfrm_policy *policy, void *arg)
{
	const struct restoring *r = arg;
	const struct sa_flow *flow = sa_kernel_flow_of(r->table, policy);

	for (; flow; flow = flow->next) {
		struct plan plan;

		sa_set_plan(flow->set, &plan);
		sa_kernel_learn_policy(flow->set, &plan, policy);
	}
	return 0;
}

/* By one dump; without it set by set: what a dropped one leaves, the audit might not know. */
static void learn_policies(struct restoring *r)
{
	struct sa_set *set;

	if (xfrm_dump_policies(r->table->xfrm, learn_policy, r) == 0)
		return;
	for (set = r->table->sets; set; set = set->hh.next)
		sa_kernel_restore_policies(set, 0);
}

/* Does @now want of the kernel what @then did, as far as @set goes? */
static bool serves(const struct config_listener *now, const struct config_listener *then,
		   const struct sa_set *set)
{
	const uint16_t port = set->pcscf.port_c ? set->pcscf.port_c : set->pcscf.port1;
	uint16_t mask_now, mask_then;

	return ip_equal(&now->address, &then->address) && now->server_port == then->server_port &&
	       port >= now->client_port_first && port <= now->client_port_last &&
	       now->reqid == then->reqid && now->policies == then->policies &&
	       (now->priority == then->priority || !set->policy_count) &&
	       now->selectors == then->selectors &&
	       (!plan_is_relaxed(now, &set->suite) ||
		(config_port_block(now, &mask_now) == config_port_block(then, &mask_then) &&
		 mask_now == mask_then)) &&
	       (set->suite.mod != IPSEC_MOD_UDP_ENC_TUN ||
		(now->encap_port == then->encap_port && now->select.udp_enc_tun));
}

static const struct config_listener *present_listener(const struct restoring *r,
						      const struct sa_set *set)
{
	for (size_t i = 0; i < r->config->listener_count; i++) {
		const struct config_listener *now = &r->config->listeners[i];

		if (!strcmp(now->name, set->listener->name))
			return serves(now, set->listener, set) ? now : NULL;
	}
	return NULL;
}

/* To @listener, which other records may call something else. */
static void move(struct restoring *r, struct sa_set *set, const struct config_listener *listener)
{
	const bool changed = !is_same(set->listener, listener);

	sa_set_resume(set, listener);
	if (!changed)
		return;
	store_put(r->table->store, set);
	r->unwritten |= store_commit(r->table->store) < 0;
}

static void go_on(struct restoring *r)
{
	const uint64_t now_ms = clock_monotonic_ms();
	struct sa_set *set, *next;

	HASH_ITER(hh, r->table->sets, set, next) {
		const struct config_listener *listener = present_listener(r, set);

		if (!listener) {
			r->done.changed++;
			sa_set_drop(set, "configuration");
		} else if (set->deadline_ms <= now_ms) {
			r->done.expired++;
			sa_set_drop(set, "expired");
		} else {
			r->done.sets++;
			move(r, set, listener);
		}
	}
}

/* ---- all of it ---- */

static void remove_past_guards(const struct restoring *r)
{
	for (const struct past *past = r->past; past; past = past->next) {
		if (!is_present(r, past))
			guards_remove_past(r->table->xfrm, r->config, &past->listener);
	}
}

static int restore_store(struct restoring *r, char *ret_why, size_t why_cap)
{
	const struct store_reader listeners = { .listener = add_past, .arg = r };
	int err = store_read(r->table->store, &listeners);

	if (!err)
		err = write_present(r);
	if (err)
		snprintf(ret_why, why_cap, "state-dir: %s", strerror(-err));
	return err;
}

int restore(struct sa_table *table, const struct config *config, struct guards **ret_guards,
	    struct restored *ret, char *ret_why, size_t why_cap)
{
	struct restoring r = { .table = table, .config = config };
	const struct store_reader sets = { .set = add_set, .arg = &r };
	int err = restore_store(&r, ret_why, why_cap);

	if (!err) {
		remove_past_guards(&r);
		err = guards_install(table->xfrm, config, ret_guards, ret_why, why_cap);
	}
	if (!err) {
		err = store_read(table->store, &sets);
		if (err)
			snprintf(ret_why, why_cap, "state-dir: %s", strerror(-err));
	}
	if (!err) {
		learn_policies(&r);
		go_on(&r);
		(void)forget_past(&r); /* else the next start does */
		*ret = r.done;
	}
	free_past(&r);
	return err;
}
