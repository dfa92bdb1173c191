/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIP messages: reading them, and writing text. RFC 3261.
 */
#ifndef UE_SIP_H
#define UE_SIP_H

#include <sys/types.h>

#include <osipparser2/osip_parser.h>

#include "proto/text.h"

#define SIP_MAX_BYTES 65535

/* A message that somebody sent. @text stays the caller's and must outlive it. */
struct sip_message {
	struct span text;
	struct span body;
	osip_message_t *osip;
};

/* Once, before anything else. Returns 0 or -ENOMEM. */
int sip_init(void);

/* Returns 0, -EINVAL (not a SIP message, or one without Via, From, To, Call-ID or CSeq), -ENOMEM.
 * On success sip_message_done() is due. */
int sip_message_parse(struct span text, struct sip_message *ret);
void sip_message_done(struct sip_message *m);

/* Length of the first whole message in a TCP stream, leading line ends included. Returns 0 when
 * more must come, or -EINVAL when no message can come of it. */
ssize_t sip_message_length(struct span stream);

/* The next raw value of header @name, or of its compact form @compact (may be NULL), behind
 * *@cursor (0 at first). A folded value keeps its line ends; white space around it is gone. */
bool sip_header_next(const struct sip_message *m, const char *name, const char *compact,
		     size_t *cursor, struct span *ret_value);

/* 0 for a request. */
int sip_status(const struct sip_message *m);
const char *sip_method(const struct sip_message *m); /* of a response: of its CSeq */
/* The branch of the top Via, or "". */
const char *sip_branch(const struct sip_message *m);
const char *sip_reason(const struct sip_message *m);
struct span sip_call_id(const struct sip_message *m);
/* The tag of From or To, or "". */
const char *sip_from_tag(const struct sip_message *m);
const char *sip_to_tag(const struct sip_message *m);

/* Seconds granted by a 200 to REGISTER: expires of the contact whose URI names @host and @port,
 * else the Expires header; -1 when neither is there. */
long sip_granted_expires(const struct sip_message *m, const char *host, const char *port);

/* Text that grows in place; @full is set, and stays set, when something did not fit. */
struct sip_text {
	size_t n;
	bool full;
	char p[SIP_MAX_BYTES + 1];
};

void sip_put(struct sip_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sip_put_header(struct sip_text *t, const char *name, struct span value);

/* Content-Length and, unless @type is NULL, Content-Type and the body. Ends the message. */
void sip_put_body(struct sip_text *t, const char *type, const char *body);

/* Begin a response to @request: status line, all Via, From, To (with @to_tag when it has none),
 * Call-ID, CSeq, and for 101..299 Record-Route. */
void sip_put_response(struct sip_text *t, const struct sip_message *request, int status,
		      const char *reason, const char *to_tag);

#endif
