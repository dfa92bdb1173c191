/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The security agreement in one SIP message from a phone: what a request says of it, for the
 * decision table (decide.h), and what goes no further. For sip.* and agreement.decide alike.
 */
#ifndef DAEMON_SIP_AGREE_H
#define DAEMON_SIP_AGREE_H

#include "daemon/config.h"
#include "daemon/lines.h"
#include "proto/choose.h"
#include "proto/sip_edit.h"

/* A Security-Client, and what a listener makes of it. */
struct sip_client {
	struct lines lines;
	bool readable;               /* then: */
	struct sec_header header;    /* sip_client_done() */
	struct sec_error error;      /* of a DECIDE_CLIENT_BAD */
	bool nat_refused;            /* it could be taken, but for the NAT */
	bool has_common;             /* then: */
	struct choose_common common; /* by our preference */
};

/* All that the request itself says; what it came by, and its Security headers, are the caller's.
 * @emergency: it belongs to one, whether or not it says so. */
void sip_agree_facts(const struct sip_message *m, bool emergency, struct decide_facts *ret);

/* The values of all lines of @name; one more than the parser takes. */
void sip_agree_lines(const struct sip_message *m, enum sip_name name, struct lines *ret);

/* Judge client->lines, filling the rest of *@client, which was zero. Returns 0 or -ENOMEM. */
int sip_agree_client(const struct config_listener *listener, bool behind_nat,
		     struct sip_client *client, enum decide_client *ret);
void sip_client_done(struct sip_client *client);

/* Take out of a message from a phone what is between it and us: the three headers, the tag. For
 * decision.clean. */
void sip_agree_clean(struct sip_edits *edits);

#endif
