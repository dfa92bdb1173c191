/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that are written here: what a phone is told instead of being served. RFC 3261 8.2.6.
 */
#ifndef PROTO_SIP_REPLY_H
#define PROTO_SIP_REPLY_H

#include "sip.h"

struct sip_reply {
	unsigned int code;
	const char *phrase;
	const char *to_tag;   /* for a To that has none */
	const char *received; /* the source address when Via says another (RFC 3261 18.2.1), else
				 NULL */
	uint16_t rport; /* the source port, for a Via that asks for it (RFC 3581); 0 = not known */
	const char *headers; /* further lines, each with its CRLF; "" = none */
};

/* Write a response without a body, with the Via, From, To, Call-ID and CSeq lines of @m, as they
 * are but for the additions above. @m may be the request, or another response to it. Returns 0 and
 * *@ret, to be freed, or -ENOMEM. */
int sip_reply_write(const struct sip_message *m, const struct sip_reply *reply, char **ret,
		    size_t *ret_bytes);

#endif
