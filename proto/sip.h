/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SIP message, RFC 3261: where its lines are, and what the security agreement has to know of
 * it.
 */
#ifndef PROTO_SIP_H
#define PROTO_SIP_H

#include "text.h"

#define SIP_MAX_BYTES   65535 /* of a message: what fits into a UDP datagram */
#define SIP_MAX_HEADERS 256   /* lines, folded ones counted once */
#define SIP_MAX_VALUES  64    /* of Via and of Contact, over all lines */

/* Of the start line, Via, From, To, Call-ID, CSeq and Contact together: what takes them apart needs
 * time that grows with the square of it. */
#define SIP_MAX_PARSED_BYTES 16384
#define SIP_MAX_PARAMS       512 /* semicolons */

/* The headers that anything here looks at. */
enum sip_name {
	SIP_VIA,
	SIP_FROM,
	SIP_TO,
	SIP_CALL_ID,
	SIP_CSEQ,
	SIP_CONTACT,
	SIP_EXPIRES,
	SIP_CONTENT_LENGTH,
	SIP_REQUIRE,
	SIP_PROXY_REQUIRE,
	SIP_SUPPORTED,
	SIP_SECURITY_CLIENT,
	SIP_SECURITY_SERVER,
	SIP_SECURITY_VERIFY,
	SIP_AUTHORIZATION,
	SIP_PROXY_AUTHORIZATION,
	SIP_WWW_AUTHENTICATE,
	SIP_PROXY_AUTHENTICATE,
	SIP_P_ASSOCIATED_URI,
	SIP_OTHER,
};

struct sip_header {
	enum sip_name name;
	struct span line;  /* all of it, with folds and line end */
	struct span value; /* without the white space around it; folds stay */
};

struct osip_message;

/* A message that somebody sent. All spans but those that sip_via() and sip_contact_at() fill point
 * into @text, which stays the caller's. */
struct sip_message {
	struct span text;
	struct span end; /* the empty line behind the headers */
	struct span body;
	struct span method;         /* of a response: of its CSeq */
	struct span uri;            /* request only */
	unsigned int status;        /* 0 for a request */
	struct sip_header *headers; /* in the order of the message */
	size_t header_count;
	size_t via_count; /* values over all lines of Via and v */
	struct osip_message *osip;
};

/* Once, before anything else. Returns 0 or -ENOMEM. */
int sip_init(void);

/* Split @text, which must outlive *@ret. Keys that a response may hold are looked at where they are
 * and never copied. Returns 0, and sip_message_done() is due; -EBADMSG: not a SIP message, one
 * without Via, From, To, Call-ID or CSeq, one that others might read in another way (a CR alone, a
 * NUL, a header twice that may be there once, a Content-Length that is not true); -E2BIG: a limit;
 * -ENOMEM.
 * @ret_why: a sentence, static, on failure. */
int sip_message_parse(struct span text, struct sip_message *ret, const char **ret_why);
void sip_message_done(struct sip_message *m);

/* The next header @name at or behind index *@at, which then stands behind it; NULL: no more. */
const struct sip_header *sip_header_next(const struct sip_message *m, enum sip_name name,
					 size_t *at);

/* The first one, or NULL. */
const struct sip_header *sip_header(const struct sip_message *m, enum sip_name name);

const char *sip_name_text(enum sip_name name); /* "Via" ...; not of SIP_OTHER */

/* Is @tag in one of the lines of @name? */
bool sip_has_tag(const struct sip_message *m, enum sip_name name, const char *tag);

struct sip_via {
	struct span host;   /* without brackets */
	uint16_t port;      /* 0: none */
	struct span branch; /* empty: none */
	struct span received;
	bool rport; /* with or without a value */
};

/* @index: 0 is the topmost, via_count - 1 that of the sender. */
void sip_via(const struct sip_message *m, size_t index, struct sip_via *ret);

struct sip_contact {
	bool star;              /* "*": all bindings; nothing else is set */
	struct span user, host; /* of another scheme than sip and sips: @host is all of the URI */
	uint16_t port;          /* 0: none */
	bool sos;               /* an emergency registration, TS 24.229 7.2A.13 */
	bool has_expires;
	uint32_t expires_s;           /* 3600 when it is no number (RFC 3261 10.2.1.1) */
	struct span instance, reg_id; /* RFC 5626; empty: none. As written, with quotes */
};

size_t sip_contact_count(const struct sip_message *m);
void sip_contact_at(const struct sip_message *m, size_t index, struct sip_contact *ret);

/* The same device: the same instance and reg-id when both have one, else the same user, host and
 * port. */
bool sip_contact_same(const struct sip_contact *a, const struct sip_contact *b);

/* The Expires header. False: there is none, or it is no number. */
bool sip_expires(const struct sip_message *m, uint32_t *ret_s);

struct span sip_call_id(const struct sip_message *m);
uint32_t sip_cseq(const struct sip_message *m);
struct span sip_to_tag(const struct sip_message *m); /* empty: none */

/* Host and port of the Request-URI. False: it is no sip or sips URI. */
bool sip_uri_host(const struct sip_message *m, struct span *ret_host, uint16_t *ret_port);

/* The public identity that a REGISTER is for: the URI of To without port and parameters, and
 * without its scheme for @as_private (TS 24.229 5.4.1.2.1: the private identity of a phone that
 * sends none).
 * @cap includes the NUL. Returns the length; -EBADMSG: it holds anything but printable ASCII;
 * -ENOSPC. */
int sip_registered_identity(const struct sip_message *m, bool as_private, char *buf, size_t cap);

/* The public identities in P-Associated-URI (RFC 7315 4.1), one a line, each written like that of
 * sip_registered_identity(). One that is unreadable or has no room is left out. Returns false: there
 * is no such header. */
bool sip_associated_identities(const struct sip_message *m, char *buf, size_t cap);

/* Does the message itself say that it is about an emergency: a Request-URI urn:service:sos, or the
 * registration of a contact with sos? Later requests of such a dialog do not say so. RFC 5031,
 * TS 24.229 5.1.6. */
bool sip_is_emergency(const struct sip_message *m);

/* Length of the first value of a list, up to its comma; commas in quotes and in <> do not count. */
size_t sip_first_value(struct span list);

#endif
