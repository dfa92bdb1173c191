/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a REGISTER asks for, and what its 200 grants.
 */
#ifndef DAEMON_SIP_REGISTER_H
#define DAEMON_SIP_REGISTER_H

#include "daemon/sip_work.h"

/* A REGISTER that passes on to the home network. */
struct sip_register_request {
	const struct config_listener *listener;
	const char *impi, *impu;
	const struct sa_set *set; /* that it came on; NULL: in clear */
	const struct lines *security_client;
	bool start_agreement; /* in clear: its 401 is to carry Security-Server */
};

/* Note what its response will be seen with. *@ret_contact: the contact that it is about, NULL when
 * that has no sets. Returns 0, -ECANCELED (see @why). */
int sip_register_remember(const struct sip_work *w, const struct sip_register_request *request,
			  struct sa_contact **ret_contact, struct refusal *why);

/* The seconds that the 200 in hand grants to the contact of @entry: its expires, else the Expires
 * header, else what was asked for. RFC 3261 10.2.4, 10.3. */
uint32_t sip_register_granted_s(const struct sip_message *response,
				const struct sip_pending *entry);

#endif
