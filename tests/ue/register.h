/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of the phone's requests, REGISTER above all. TS 24.229 5.1.1.2, 5.1.1.4, 5.1.1.5.
 */
#ifndef UE_REGISTER_H
#define UE_REGISTER_H

#include "tests/ue/ue.h"

/* What goes into the Authorization header. */
enum register_answer {
	ANSWER_NONE,     /* nonce and response empty, or the last ones again */
	ANSWER_RESPONSE, /* to the challenge */
	ANSWER_AUTS,     /* SQN out of range: response with an empty password (RFC 3310 3.4) */
	ANSWER_REFUSAL,  /* MAC wrong: response empty (TS 24.229 5.1.1.5.3) */
};

struct register_way {
	struct ue_set *over;          /* whose SAs carry it; NULL = in clear */
	const struct ue_set *offered; /* whose numbers go into Security-Client; NULL = none */
	enum register_answer answer;
	const uint8_t *auts; /* with ANSWER_AUTS */
};

/* Write a REGISTER. Counts the nonce. Returns 0, -ENOSPC or -EIO (OpenSSL). */
int register_write(struct ue *ue, const struct register_way *way, const char *branch,
		   struct sip_text *ret);

/* Another request. */
struct ue_request {
	const char *method, *uri, *branch;
	enum net_kind transport;
	const struct dialog *dialog; /* NULL: one of its own, which nobody needs later */
	const char *text;            /* the body, NULL = none */
	bool has_offer;              /* the body is an offer of SDP */
};

/* Write it over @set (NULL: in clear, without security headers). Returns as register_write(). */
int request_write(struct ue *ue, const struct ue_set *set, const struct ue_request *request,
		  struct sip_text *ret);

/* "Contact: <sip:user@address:port_us>" and @params. */
void put_contact(struct sip_text *t, const struct ue *ue, const char *params);

#endif
