/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why something was not done: the reasons of the control protocol, with what the SIP side should
 * answer. secagreed-control(7) lists them.
 */
#ifndef DAEMON_REFUSAL_H
#define DAEMON_REFUSAL_H

#include "proto/choose.h"
#include "xfrm/xfrm.h"

enum reason {
	REASON_BAD_HEADER,
	REASON_NO_COMMON_MECHANISM,
	REASON_NAT_REFUSED,
	REASON_VERIFY_MISMATCH,
	REASON_CLIENT_MISMATCH,
	REASON_IDENTITY_MISMATCH,
	REASON_WRONG_STATE,
	REASON_FLOW_IN_USE,
	REASON_SPI_IN_USE,
	REASON_SPI_EXHAUSTED,
	REASON_PORT_EXHAUSTED,
	REASON_LIMIT,
	REASON_LIMIT_SETS,
	REASON_LIMIT_ADDRESS,
	REASON_LIMIT_IMPI,
	REASON_LIMIT_CONTACT,
	REASON_KERNEL_REFUSED,
	REASON_STORE_FAILED,
	REASON_UNKNOWN_SET,
	REASON_UNKNOWN_LISTENER,
	REASON_SEC_AGREE_OFF,
	REASON_BAD_MESSAGE,
	REASON_BAD_CHALLENGE,
	REASON_VIA_MISMATCH,
	REASON_TRANSACTION_IN_USE,
	REASON_UNKNOWN_TRANSACTION,
	REASON_NO_STREAM,
	REASON_BAD_CONFIG,
	REASON_LISTENER_LEAVES,
	REASON_DENIED,
	REASON_INTERNAL,
	REASON_COUNT,
};

/* What the SIP side does with the message in hand. */
enum verdict {
	VERDICT_NONE,    /* not about a message */
	VERDICT_REJECT,  /* answer it with .sip_code */
	VERDICT_DISCARD, /* no answer at all */
};

struct refusal {
	enum reason reason;
	enum verdict verdict;
	int sip_code;             /* 0 = none to give */
	const char *sip_phrase;
	char text[320];           /* one sentence, no secrets */
	char security_server[SERVER_LIST_WRITE_BYTES]; /* that goes with a 494, or "" */
	bool has_start;           /* no_common_mechanism: what starts the one that there is */
	enum choose_start start;
	bool has_where;           /* bad_header */
	struct sec_error where;
	bool has_kernel;          /* kernel_refused and the like */
	struct xfrm_error kernel;
};

const char *reason_token(enum reason reason);

/* What the SIP side answers, for people: "403 Forbidden", "none", or "" when it is no message. */
#define REFUSAL_REPLY_BYTES 48
const char *refusal_reply(const struct refusal *refusal, char buf[static REFUSAL_REPLY_BYTES]);

/* Fill *@refusal from the table and the text. Returns -ECANCELED, which every function that takes a
 * struct refusal returns when, and only when, it has filled it. */
int refuse(struct refusal *refusal, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with where a header went wrong, or with the kernel's answer. */
int refuse_header(struct refusal *refusal, const char *header, const struct sec_error *where);
int refuse_kernel(struct refusal *refusal, const char *attempt, const struct xfrm_error *error);

#endif
