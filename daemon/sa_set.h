/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of SAs and their life: TEMPORARY -> NEW -> CURRENT -> OLD -> gone.
 * TS 33.203 7.4, TS 24.229 5.2.2. One set is what one authentication made: four SAs, or two in the
 * dialect of RFC 3329. It owns its SPIs, its place in the tables, its timer, its policies and what
 * the kernel holds of it; all of that goes when it goes.
 */
#ifndef DAEMON_SA_SET_H
#define DAEMON_SA_SET_H

#include "daemon/hash.h"
#include "daemon/packed.h"
#include "daemon/plan.h"
#include "daemon/refusal.h"
#include "daemon/spi.h"
#include "daemon/timer.h"

enum sa_set_state {
	SA_SET_TEMPORARY, /* made with the 401; carries nothing but the answer to the challenge */
	SA_SET_NEW,       /* 200 seen; downlink still goes over the set before it */
	SA_SET_CURRENT,   /* in use in both directions */
	SA_SET_OLD,       /* superseded; still accepted from the phone */
	SA_SET_GONE,
};

#define SA_SET_MAX_FLOWS 4

#define SA_SET_HEARD_SERVER 1u /* port_ps; the one port of RFC 3329 */
#define SA_SET_HEARD_CLIENT 2u /* port_pc */

/* One pair of addresses and ports that the set's messages travel on, seen from here.
 * @key.remote_port 0 = any port of that phone (RFC 3329 sets). */
struct sa_flow_key {
	uint8_t local[16], remote[16];
	uint16_t local_port, remote_port;
	uint32_t family; /* fills the padding: the key is hashed as bytes */
};

struct sa_flow {
	struct sa_flow_key key;
	struct sa_set *set;
	struct sa_flow *next; /* an older set on the same flow */
	UT_hash_handle hh;    /* of the newest one */
};

/* A subscriber: an IMPI with all its contacts. */
struct sa_identity {
	struct sa_contact *contacts;
	unsigned set_count;
	UT_hash_handle hh;
	char impi[];
};

/* A phone's registered contact: an IMPI at one address, where the front end may tell several apart. */
struct sa_contact {
	struct sa_identity *identity;
	struct sa_contact *prev, *next; /* of the identity */
	struct sa_set *sets;
	unsigned set_count;
	UT_hash_handle hh;
	char key[]; /* sa_contact_key() */
};

/* An address that phones are at: one phone, or all those behind one NAT. */
struct sa_peer {
	uint8_t address[16];
	struct sa_set *sets;
	struct sa_set *yielding; /* the oldest first */
	unsigned set_count;
	unsigned next_port; /* where the search for a port_pc starts */
	UT_hash_handle hh;
};

struct set_record;
struct sa_table;

struct sa_set {
	uint64_t id;
	uint64_t serial; /* the order in which sets were made, across restarts */
	enum sa_set_state state;
	struct sa_table *table;
	const struct config_listener *listener;

	const char *impi; /* of its identity; until it has one, of whoever makes it */
	char *impu;            /* one a line */
	struct packed *security_client; /* as received, lines joined by ", " */
	struct packed *security_server; /* as sent */
	uint64_t over_id;      /* the set that its REGISTER came on; 0 = unprotected */
	/* by UDP between these ports then, for sip_answer.c; 0 = not known, as after a restart */
	uint16_t clear_local_port, clear_remote_port;
	uint64_t transaction;  /* hash of the request that made it; 0 = none was given */
	bool aborted;          /* its answer to the challenge was wrong: nothing more is accepted */

	struct ipsec_suite suite;
	struct ipsec_endpoint ue, pcscf;
	struct ip_addr ue_address;
	uint16_t encap_remote_port;
	uint32_t reqid;
	uint32_t policy_index[PLAN_MAX_POLICIES]; /* the kernel's names for its own policies */
	size_t policy_count;
	unsigned heard; /* on which of our ports the SIP server had a message: SA_SET_HEARD_ */
	unsigned seen; /* audit.c: a bit for each SA and policy of its plan that is there; ODD */

	int64_t add_time_s;   /* CLOCK_REALTIME, as the kernel counts it; revived: audit.c */
	uint64_t deadline_ms; /* monotonic */
	struct timer timer;

	struct sa_contact *contact;
	struct sa_peer *peer;
	struct sa_flow *flows; /* as many as it has; of sa_table_add() */
	size_t flow_count;
	struct sa_set *contact_prev, *contact_next;
	struct sa_set *peer_prev, *peer_next;
	bool yields; /* TEMPORARY, and anybody's to make: it is in these two lists */
	struct sa_set *yield_prev, *yield_next, *peer_yield_prev, *peer_yield_next;
	UT_hash_handle hh;
};

/* What a new set is to be. Texts are copied. */
struct sa_set_request {
	const struct config_listener *listener;
	const char *impi, *contact, *impu, *security_client;
	struct ip_addr ue_address;
	struct ipsec_endpoint ue;
	struct ipsec_suite suite;
	bool nat;
	uint64_t over_id, transaction;
	const uint8_t *ck, *ik; /* KEYMAT_AKA_BYTES each; not kept */
};

/* Make a TEMPORARY set: SPIs and port chosen, SAs in the kernel (one datagram where the listener's
 * guards serve it), stored, reg-await-auth running. An earlier TEMPORARY set of the same contact
 * goes first; with the same @transaction (not 0) it is returned instead: a retransmission. Where a
 * limit is reached, other TEMPORARY sets may go.
 * Nothing is left behind on failure. Returns 0, -ECANCELED (see @refusal). TS 33.203 7.2. */
int sa_set_create(struct sa_table *table, const struct sa_set_request *request,
		  struct sa_set **ret, struct refusal *refusal);

/* The 200 OK to its REGISTER passes, with the granted @expires_s. The lifetime becomes
 * max(latest of the contact's sets, now + expires + margin). After an unprotected REGISTER the set
 * is CURRENT and the contact's others go; after one over a set X it is NEW, X is OLD, others go.
 * On a set that is confirmed already: as sa_set_extend(). On -ECANCELED the set may be gone. */
int sa_set_confirm(struct sa_set *set, uint32_t expires_s, struct refusal *refusal);

/* 200 OK to a REGISTER without challenge on this set. Never shortens. */
int sa_set_extend(struct sa_set *set, uint32_t expires_s, struct refusal *refusal);

/* A message of the phone arrived on it: NEW becomes CURRENT, and OLD has 64*T1 left at most. */
void sa_set_used(struct sa_set *set);

/* The phone de-registered over @set: its contact's sets are OLD and go after @linger_s, in which the
 * response can leave; at once those that are TEMPORARY or OLD already (but for @set). 0: all at once.
 * TS 24.229 5.2.5.1. */
void sa_set_release(struct sa_set *set, uint32_t linger_s);

/* The network de-registered the contact: its sets go after @linger_s and stay in use until then, so
 * that a NOTIFY can tell the phone; at once one that is TEMPORARY. 0: all at once. TS 24.229 5.2.5.2.
 * With its last set @contact is freed. */
void sa_contact_release(struct sa_contact *contact, uint32_t linger_s);

/* The answer to the challenge was not right: accept nothing more on it, but let it live for the few
 * seconds that the refusal needs to leave over it. TS 33.203 7.3.1.1. */
void sa_set_abort(struct sa_set *set);

/* Take it out of the store and of the kernel and free it. @why is logged. */
void sa_set_drop(struct sa_set *set, const char *why);

/* Free it, and leave what the store and the kernel have of it: the daemon stops. */
void sa_set_leave(struct sa_set *set);

/* Its identities were changed: store it. What cannot be stored is what it was after a restart. */
void sa_set_keep(struct sa_set *set);

/* Make the set of @record anew, which the kernel holds already, at @listener as it was then. It has
 * no timer until sa_set_resume(), and no .add_time_s until the audit that must follow.
 * Returns 0, -EEXIST (its id or an SPI of ours is another set's), -ENOMEM; then there is nothing. */
int sa_set_revive(struct sa_table *table, uint64_t serial, const struct set_record *record,
		  const struct config_listener *listener, struct sa_set **ret);

/* Its life goes on, at @listener as it is now. */
void sa_set_resume(struct sa_set *set, const struct config_listener *listener);

/* The kernel deleted it (hard limit, or somebody else did). What is left of it goes. */
void sa_set_lost(struct sa_set *set);

/* ESP in UDP now comes from @port: tell the kernel where to send. TS 33.203 M.7.1. */
void sa_set_moved(struct sa_set *set, uint16_t port);

uint32_t sa_set_left_s(const struct sa_set *set);
const char *sa_set_state_name(enum sa_set_state state);

/* The plan that made the set, without keys: what the kernel should hold. */
void sa_set_plan(const struct sa_set *set, struct plan *ret);

#endif
