/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the requests of one dialog have in common, at the end that sends them. RFC 3261 12.2.1.1.
 */
#ifndef UE_DIALOG_H
#define UE_DIALOG_H

#include "tests/ue/sip.h"

#define DIALOG_URI_BYTES   512
#define DIALOG_ROUTE_BYTES 4096

struct dialog {
	char call_id[33], tag[17];
	unsigned int cseq;
	char remote[DIALOG_URI_BYTES]; /* the value of To; with the tag as soon as it is known */
	char target[DIALOG_URI_BYTES]; /* the Request-URI */
	char routes[DIALOG_ROUTE_BYTES]; /* "Route" lines; "" = the way of new requests */
};

/* Call-ID and tag at random, CSeq 1. @uri is copied. Returns 0, -EINVAL (too long) or -EIO. */
int dialog_begin(struct dialog *dialog, const char *uri);

/* Take tag, target and route set from the 2xx to our INVITE. Returns 0 or -EINVAL: something is
 * missing or too long. */
int dialog_answered(struct dialog *dialog, const struct sip_message *m);

#endif
