/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * REGISTERs that have passed and whose response has not: what the response has to be seen with.
 * Found by transaction: branch, Call-ID and CSeq.
 */
#ifndef DAEMON_SIP_PENDING_H
#define DAEMON_SIP_PENDING_H

#include "daemon/config.h"
#include "daemon/hash.h"
#include "daemon/refusal.h"

/* 64*T1 on Gm (TS 24.229 table 7.7): no response comes after that. */
#define SIP_PENDING_LIFE_MS   128000u
#define SIP_PENDING_MAX       65536u
#define SIP_PENDING_MAX_BYTES (64u << 20)

enum sip_transport {
	SIP_UDP,
	SIP_TCP,
	SIP_TLS,
};

/* @address.family AF_UNSPEC: not known. */
struct sip_place {
	struct ip_addr address;
	uint16_t port;
};

/* What a REGISTER asks for. */
enum sip_purpose {
	SIP_FETCH, /* no Contact: nothing changes */
	SIP_BIND,
	SIP_UNBIND,
};

/* The texts of a pending REGISTER; "" = it has none. */
enum sip_pending_text {
	SIP_PENDING_KEY,
	SIP_PENDING_IMPI,
	SIP_PENDING_IMPU,
	SIP_PENDING_CONTACT,         /* tells the contacts of an IMPI apart, as in sa.offer */
	SIP_PENDING_SECURITY_CLIENT, /* all lines as one */
	SIP_PENDING_USER,            /* of its Contact, for finding it in the 200 */
	SIP_PENDING_HOST,
	SIP_PENDING_INSTANCE,
	SIP_PENDING_REG_ID,
	SIP_PENDING_TEXTS,
};

/* Which entries yield first when there are too many. */
enum sip_pending_rank {
	SIP_PENDING_ANSWERED, /* kept for a retransmission of its final response */
	SIP_PENDING_CLEAR,    /* anybody can send those */
	SIP_PENDING_PROTECTED,
	SIP_PENDING_RANKS,
};

struct sip_pending {
	char *text[SIP_PENDING_TEXTS];
	const struct config_listener *listener;
	struct sip_place local, remote; /* how it came */
	struct sip_place reply_to;      /* in clear: where its response goes */
	enum sip_transport transport;
	struct ip_addr via; /* AF_UNSPEC: a name */
	uint16_t contact_port;
	enum sip_purpose purpose;
	uint32_t expires_s;     /* asked for */
	bool wants_agreement;   /* it offers an ipsec-3gpp that can be taken, or came on SAs */
	uint64_t over_id;       /* the set that it came on, 0 = in clear */
	bool answers_challenge; /* ... and that set was TEMPORARY */

	uint64_t made_id; /* the set that its 401 made, 0 = none */

	enum sip_pending_rank rank;
	uint64_t deadline_ms;
	size_t bytes;
	struct sip_pending *prev, *next;
	UT_hash_handle hh;
};

struct sip_pending_table;

struct sip_pending_table *sip_pending_new(void);
void sip_pending_free(struct sip_pending_table *table);

/* Enter a copy of @entry, whose rank is CLEAR or PROTECTED. One that is there already, from the
 * same place and of the same identity (a retransmission), stays as it was and lives longer. Returns
 * 0, -ECANCELED (see @refusal). */
int sip_pending_add(struct sip_pending_table *table, const struct sip_pending *entry,
		    struct refusal *refusal);

/* NULL: there is none (any more). Valid until the next sip_pending_add(). */
struct sip_pending *sip_pending_find(struct sip_pending_table *table, const char *key);

/* Its final response has been seen. */
void sip_pending_answered(struct sip_pending_table *table, struct sip_pending *entry);

/* The listeners are others: of the old ones, which begin at @before, the n-th has become @heirs[n], or
 * NULL: its entries go. */
void sip_pending_relisten(struct sip_pending_table *table, const struct config_listener *before,
			  const struct config_listener *const *heirs);

size_t sip_pending_count(const struct sip_pending_table *table);

#endif
