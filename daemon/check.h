/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.check: a message arrived; whose is it, and may it come on that set?
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "daemon/lines.h"
#include "daemon/sa_table.h"

struct check {
	struct ip_addr local, remote; /* of the packet, not of the Via */
	uint16_t local_port, remote_port;
	const char *method; /* of a response: of its request */
	bool is_response;   /* it has no Security-Verify, and is not asked for one */
	const char *impi;   /* of the Authorization header; NULL = none */
	struct ip_addr via; /* REGISTER: sent-by of the top Via; AF_UNSPEC = not known */
	bool no_answer;     /* REGISTER: it is known to answer no challenge */
	struct lines security_client, security_verify;
};

struct check_result {
	bool is_off;              /* sec-agree is off at this address: it goes on untouched */
	bool is_protected;        /* false: it did not come to a protected port */
	bool integrity_protected; /* for the Authorization of a REGISTER, TS 33.203 6.1.5 */
	struct sa_set *set;       /* NULL when not protected */
};

/* TS 33.203 7.1 rules 2 and 4, 7.2, 7.4.2a. A first message on a NEW set puts it into use. A wrong
 * answer to the challenge aborts the TEMPORARY set. What a wrong or missing Security-Verify is
 * answered with says the listener's decide_policy. Returns 0, or -ECANCELED: @refusal tells
 * rejections from silent discards. */
int check_message(struct sa_table *table, const struct config *config, const struct check *check,
		  struct check_result *ret, struct refusal *refusal);

#endif
