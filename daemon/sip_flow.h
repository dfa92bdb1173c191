/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sip.request and sip.response: the whole work of a P-CSCF for the security agreement, on one SIP
 * message that passes. TS 24.229 5.2.2, TS 33.203 6.1.5 and 7, RFC 3329 2.3.1.
 */
#ifndef DAEMON_SIP_FLOW_H
#define DAEMON_SIP_FLOW_H

#include "daemon/sa_table.h"
#include "daemon/sip_pending.h"
#include "proto/choose.h"
#include "proto/decide.h"

enum sip_direction {
	SIP_FROM_PHONE,
	SIP_TO_PHONE,
};

struct sip_flow {
	struct sa_table *table;
	const struct config *config;
	struct sip_pending_table *pending;
};

/* @table and @config are borrowed. Returns NULL when memory is short. */
struct sip_flow *sip_flow_new(struct sa_table *table, const struct config *config);
void sip_flow_free(struct sip_flow *flow);

/* The configuration is another one, see sip_pending_relisten(). Borrowed. */
void sip_flow_use(struct sip_flow *flow, const struct config *config,
		  const struct config_listener *const *heirs);

/* A message, and what the front end knows of it. */
struct sip_input {
	struct span message;
	enum sip_direction direction;
	struct sip_place source, destination; /* of its packet. Of a message to the phone: the local
						 place that it leaves from and the phone's, as far
						 as known */
	enum sip_transport transport;
	const struct config_listener *listener; /* NULL: by the destination */
	struct ip_addr via;                     /* what the host name in the top Via stands for */
	bool emergency; /* of an emergency call, though it does not say so */
	bool has_linger;
	uint32_t linger_s; /* how long the sets live after a de-registration */
};

#define SIP_IMPI_BYTES 512

struct sip_verdict {
	enum decide_action action;
	unsigned int row;  /* of the table in decide.h, 0: none */
	unsigned int code; /* REPLY */
	const char *phrase;
	char *message; /* FORWARD: as edited. REPLY: the answer. DROP: NULL */
	size_t message_bytes;
	bool has_reason; /* it was refused: */
	enum reason reason;
	char why[320];      /* a sentence, no secrets */
	char impi[SIP_IMPI_BYTES]; /* whom it is about, "" = not known */
	struct ip_addr phone;      /* AF_UNSPEC = not known */
	uint64_t set_id;    /* the set that it has to do with, 0: none */
	bool is_protected;  /* request: it came on that set */
	bool has_integrity; /* REGISTER: what its Authorization now says */
	bool integrity_protected;
	bool has_way; /* where @message leaves from and goes to; with TCP that may be the
			 connection that the request came on */
	bool way_is_of_replies; /* not @message's, a request's into the core, but that of the
				   responses to it */
	struct sip_place send_from, send_to;
	bool has_start; /* REPLY: what starts the mechanism in common */
	enum choose_start start;
};

/* Each takes one message and says what becomes of it; sets are made, confirmed and released as it
 * asks. Returns 0 and *@ret, to be given to sip_verdict_done(); or -ECANCELED (see @refusal) when
 * nothing could be said at all: a listener that is not there, no memory. */
int sip_flow_request(struct sip_flow *flow, const struct sip_input *in, struct sip_verdict *ret,
		     struct refusal *refusal);
int sip_flow_response(struct sip_flow *flow, const struct sip_input *in, struct sip_verdict *ret,
		      struct refusal *refusal);
void sip_verdict_done(struct sip_verdict *verdict);

#endif
