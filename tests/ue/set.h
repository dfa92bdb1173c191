/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets: the numbers of one security agreement, the sockets on its ports, its SAs in the kernel.
 */
#ifndef UE_SET_H
#define UE_SET_H

#include "tests/ue/options.h"
#include "tests/ue/sa_kernel.h"
#include "tests/ue/sip.h"

#define SET_MAX 3 /* TS 33.203 7.1 rule 3 */

enum set_state {
	SET_FREE,
	SET_OFFERED,   /* in our Security-Client; port_uc is open */
	SET_TEMPORARY, /* agreed and in the kernel, not yet confirmed by a 200 */
	SET_CURRENT,   /* what we send on */
	SET_OLD,       /* replaced, still received on */
};

struct ue_set {
	enum set_state state;
	int id; /* 1, 2, 3 ... never used again */
	struct ipsec_endpoint ours, theirs;
	struct ipsec_suite suite;
	uint16_t client_port;        /* what requests leave from */
	uint16_t server_port;        /* theirs: what requests go to */
	struct sa_plan plan;
	char *security_verify;       /* its value; NULL before the agreement */
	int udp_link, tcp_link;      /* -1 = none */
	int64_t remove_ms;           /* SET_OLD: when it goes at the latest */
};

struct set_table {
	struct ue_set sets[SET_MAX];
	int last_id;
	uint16_t port_us; /* 0 while its sockets are closed */
	struct net *net;
	struct sa_kernel *kernel;
	const struct ue_options *options;
	char why[512]; /* of the last failure, in words */
};

/* Choose SPIs and ports for a new set and open its sockets; port_us stays the same as long as any
 * set lives (TS 33.203 7.4). Returns 0, -ENOBUFS (SET_MAX sets) or -errno, with @table->why. */
int set_offer(struct set_table *table, struct ue_set **ret_set);

/* The Security-Client value of @set. Returns its length or -ENOSPC. */
int set_security_client(const struct set_table *table, const struct ue_set *set, char *buf,
			size_t cap);

/* Take over what the Security-Server of @challenge says: agreement_read(), whose errors it
 * returns, with @table->why. */
int set_agree(struct set_table *table, struct ue_set *set, const struct sip_message *challenge);

/* SAs and policies into the kernel. Returns 0 or -errno with @table->why. */
int set_install(struct set_table *table, struct ue_set *set, const struct aka_answer *answer);

/* Close its sockets, take its SAs out of the kernel, print an event with @reason. With the last
 * set port_us is closed too. */
void set_remove(struct set_table *table, struct ue_set *set, const char *reason);
void set_remove_all(struct set_table *table, const char *reason);

/* The one in @state, or NULL. There is at most one OFFERED, TEMPORARY, CURRENT. */
struct ue_set *set_in(struct set_table *table, enum set_state state);

/* The set whose SAs must have carried a message from @source, or NULL: it came in clear, or from
 * somebody else. The policies make sure of the SAs, the ports tell which. */
struct ue_set *set_of_source(struct set_table *table, const struct net_source *source);

/* The link for requests over @set: its UDP socket, or a TCP connection to the P-CSCF's server port,
 * opened when there is none. Returns the link or -errno. */
int set_link(struct set_table *table, struct ue_set *set, enum net_kind transport);

/* A connection is gone. */
void set_link_lost(struct set_table *table, int link);

const char *set_state_name(enum set_state state);

#endif
