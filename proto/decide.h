/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of a message that arrives from a phone: the decision table of RFC 3329 2.3.1 and
 * 2.3.2 with the rows that TS 33.203 7.1 and 7.2 add. Facts in, decision out; nothing else.
 *
 * row  protected  Via  Require,       Supported  Security-  result
 *                      Proxy-Require             Verify
 *  1   any        >=2  any            any        any        502
 *  2   no          1   tag in either  any        any        494
 *  3   no          1   no tag         tag        any        494
 *  4   no          1   no tag         no tag     any        421
 *  5   yes         1   any            any        equal      forward, cleaned
 *  6   yes         1   any            any        differs    494 (REGISTER on SAs: as configured)
 *  7   no          1   REGISTER with a usable ipsec-3gpp    forward, cleaned; the 401 has the list
 *  8   no          1   REGISTER without                     as configured: 1-4, 403, drop, forward
 *  9   no         any  no REGISTER, no emergency            as configured: 1-4, 403, drop
 * 10   no         any  emergency                            forward, cleaned
 *
 * An emergency is never refused for its Via. An ACK is never answered and a CANCEL never
 * challenged: instead of an answer they are dropped. In ACK, CANCEL and PRACK the three headers
 * have no place (RFC 3329 table 1): there they are ignored, removed, and never asked for.
 */
#ifndef PROTO_DECIDE_H
#define PROTO_DECIDE_H

#include "text.h"

enum decide_method {
	DECIDE_METHOD_REGISTER,
	DECIDE_METHOD_ACK,
	DECIDE_METHOD_CANCEL,
	DECIDE_METHOD_PRACK,
	DECIDE_METHOD_OTHER, /* all others of RFC 3329 table 1, and all that came later */
};

/* What the message came by. */
enum decide_protection {
	DECIDE_UNPROTECTED, /* nothing: in clear */
	DECIDE_IPSEC,       /* an SA of a set that is right for it, or of ipsec-ike or ipsec-man */
	DECIDE_TLS,         /* a TLS connection; counts as clear unless the policy says otherwise */
	DECIDE_DIGEST,      /* a digest response with a d-ver that was verified (digest.h) */
};

/* Security-Verify against the list that was sent (compare.h). */
enum decide_verify {
	DECIDE_VERIFY_ABSENT,
	DECIDE_VERIFY_EQUAL,
	DECIDE_VERIFY_DIFFERENT, /* or empty, or not to be parsed */
};

/* The Security-Client of a REGISTER; of others it is not looked at. */
enum decide_client {
	DECIDE_CLIENT_ABSENT,
	DECIDE_CLIENT_UNUSABLE, /* no ipsec-3gpp for signalling that this listener takes */
	DECIDE_CLIENT_USABLE,   /* select_offer() found one */
	DECIDE_CLIENT_BAD,      /* not to be parsed, or numbers out of range */
};

struct decide_facts {
	enum decide_method method;
	enum decide_protection protection;
	size_t via_count;       /* values over all lines of Via and v */
	bool require_tag;       /* sec-agree in Require (option_tag.h, over all lines) */
	bool proxy_require_tag; /* ... in Proxy-Require */
	bool supported_tag;     /* ... in Supported or k */
	enum decide_verify verify;
	bool verify_required; /* completes an agreement: came on a temporary set (TS 33.203 7.2) */
	enum decide_client client;
	bool emergency; /* emergency related (TS 33.203 7.1); CANCEL, ACK: that of their INVITE */
};

/* What to do with clear requests that the norms leave to us. */
enum decide_clear {
	DECIDE_CLEAR_CHALLENGE, /* rows 1 to 4: 502, 494, 421 */
	DECIDE_CLEAR_FORBID,    /* 403 */
	DECIDE_CLEAR_DISCARD,   /* no answer */
	DECIDE_CLEAR_FORWARD,   /* REGISTER only: another way of authentication follows */
};

/* One listener's. */
struct decide_policy {
	bool sec_agree;        /* false: the extension is off, nothing is touched (RFC 3329 3) */
	bool tls_is_protected; /* RFC 3329 3; must be on where the list has "tls" in it */
	bool verify_always;    /* IPsec: a missing Security-Verify is a difference in each request
				  (RFC 3329 2.3.1), not only where verify_required says so */
	enum decide_clear register_without_ipsec; /* row 8 */
	enum decide_clear other_clear;            /* row 9; FORWARD counts as FORBID */
	bool register_mismatch_494; /* row 6, REGISTER on IPsec: 494 with the list, else 403 */
};

/* On, TLS not protected, Security-Verify required on temporary sets and compared wherever it is,
 * clear requests challenged, 403 for a REGISTER with a wrong list. */
void decide_policy_default(struct decide_policy *ret);

enum decide_action {
	DECIDE_FORWARD,
	DECIDE_REPLY,
	DECIDE_DROP,
};

struct decision {
	enum decide_action action;
	unsigned int row;   /* of the table above; 0: a rule beside it */
	unsigned int code;  /* REPLY: the status code, else 0 */
	const char *phrase; /* REPLY: its reason phrase, else NULL (static) */
	bool add_security_server; /* REPLY: the listener's whole list (server_list.h), and what the
				     phone needs to start the common mechanism (choose.h) */
	bool add_require;         /* REPLY: Require: sec-agree */
	bool clean; /* FORWARD: remove Security-Client, -Server, -Verify, and sec-agree from Require
		       and Proxy-Require (option_tag.h), headers left empty too */
	bool start_agreement; /* FORWARD: row 7, the 401 is to carry Security-Server */
	const char *why;      /* in words, static, never NULL */
};

/* Decide on a request. Cannot fail. */
void decide_request(const struct decide_policy *policy, const struct decide_facts *facts,
		    struct decision *ret);

/* A response from the phone; it is never answered.
 * @about_clear: the request that it answers went to the phone in clear.
 * In clear only an emergency and errors (300 and above) about clear requests pass
 * (TS 33.203 7.1 Ports 3). */
void decide_response(const struct decide_policy *policy, enum decide_protection protection,
		     unsigned int status_code, bool about_clear, bool emergency,
		     struct decision *ret);

/* With case: methods have it (RFC 3261 7.1). */
enum decide_method decide_method_of(struct span name);

/* May requests of this method carry Security-Client and -Verify, and their 421 and 494
 * Security-Server? RFC 3329 table 1. */
bool decide_method_carries(enum decide_method method);

const char *decide_action_name(enum decide_action action); /* "forward", "reply", "drop" */

#endif
