/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table: each reason, its token, and the SIP reply that goes with it. Codes where the standards
 * give none: TS 33.203 7.1 and 7.2 say "a suitable error", RFC 3329 says 494.
 */
#include "daemon/refusal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *token;
	int sip_code;
	const char *sip_phrase;
	enum verdict verdict;
} REASONS[REASON_COUNT] = {
	[REASON_BAD_HEADER] = { "bad_header", 400, "Bad Request", VERDICT_REJECT },
	[REASON_NO_COMMON_MECHANISM] = { "no_common_mechanism", 494,
					 "Security Agreement Required", VERDICT_REJECT },
	/* TS 33.203 M.7.2: silently discarded */
	[REASON_NAT_REFUSED] = { "nat_refused", 0, NULL, VERDICT_DISCARD },
	[REASON_VERIFY_MISMATCH] = { "verify_mismatch", 403, "Forbidden", VERDICT_REJECT },
	[REASON_CLIENT_MISMATCH] = { "client_mismatch", 403, "Forbidden", VERDICT_REJECT },
	[REASON_IDENTITY_MISMATCH] = { "identity_mismatch", 403, "Forbidden", VERDICT_REJECT },
	[REASON_WRONG_STATE] = { "wrong_state", 0, NULL, VERDICT_DISCARD },
	[REASON_FLOW_IN_USE] = { "flow_in_use", 403, "Forbidden", VERDICT_REJECT },
	[REASON_SPI_IN_USE] = { "spi_in_use", 403, "Forbidden", VERDICT_REJECT },
	[REASON_SPI_EXHAUSTED] = { "spi_exhausted", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_PORT_EXHAUSTED] = { "port_exhausted", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_LIMIT] = { "limit", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_LIMIT_SETS] = { "limit_sets", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_LIMIT_ADDRESS] = { "limit_address", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_LIMIT_IMPI] = { "limit_impi", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_LIMIT_CONTACT] = { "limit_contact", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_KERNEL_REFUSED] = { "kernel_refused", 500, "Server Internal Error",
				    VERDICT_REJECT },
	/* a set that is not stored would be dropped at the next start */
	[REASON_STORE_FAILED] = { "store_failed", 503, "Service Unavailable", VERDICT_REJECT },
	[REASON_UNKNOWN_SET] = { "unknown_set", 0, NULL, VERDICT_NONE },
	[REASON_UNKNOWN_LISTENER] = { "unknown_listener", 0, NULL, VERDICT_NONE },
	[REASON_SEC_AGREE_OFF] = { "sec_agree_off", 0, NULL, VERDICT_NONE },
	[REASON_BAD_MESSAGE] = { "bad_message", 400, "Bad Request", VERDICT_REJECT },
	/* TS 33.203 6.1.1: a 401 whose keys are not right makes no SAs */
	[REASON_BAD_CHALLENGE] = { "bad_challenge", 500, "Server Internal Error", VERDICT_REJECT },
	[REASON_VIA_MISMATCH] = { "via_mismatch", 403, "Forbidden", VERDICT_REJECT },
	[REASON_TRANSACTION_IN_USE] = { "transaction_in_use", 482, "Loop Detected",
					VERDICT_REJECT },
	[REASON_UNKNOWN_TRANSACTION] = { "unknown_transaction", 0, NULL, VERDICT_DISCARD },
	[REASON_NO_STREAM] = { "no_stream", 0, NULL, VERDICT_NONE },
	[REASON_BAD_CONFIG] = { "bad_config", 0, NULL, VERDICT_NONE },
	[REASON_LISTENER_LEAVES] = { "listener_leaves", 503, "Service Unavailable",
				     VERDICT_REJECT },
	[REASON_DENIED] = { "denied", 0, NULL, VERDICT_NONE },
	[REASON_INTERNAL] = { "internal", 500, "Server Internal Error", VERDICT_REJECT },
};

const char *reason_token(enum reason reason)
{
	return reason < REASON_COUNT ? REASONS[reason].token : "internal";
}

const char *refusal_reply(const struct refusal *refusal, char buf[static REFUSAL_REPLY_BYTES])
{
	if (refusal->verdict == VERDICT_DISCARD)
		return "none";
	if (!refusal->sip_code)
		return "";
	snprintf(buf, REFUSAL_REPLY_BYTES, "%d %s", refusal->sip_code, refusal->sip_phrase);
	return buf;
}

static void start(struct refusal *refusal, enum reason reason)
{
	memset(refusal, 0, sizeof(*refusal));
	refusal->reason = reason;
	refusal->verdict = REASONS[reason].verdict;
	refusal->sip_code = REASONS[reason].sip_code;
	refusal->sip_phrase = REASONS[reason].sip_phrase;
}

int refuse(struct refusal *refusal, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	start(refusal, reason);
	va_start(ap, fmt);
	vsnprintf(refusal->text, sizeof(refusal->text), fmt, ap);
	va_end(ap);
	return -ECANCELED;
}

int refuse_header(struct refusal *refusal, const char *header, const struct sec_error *where)
{
	start(refusal, REASON_BAD_HEADER);
	refusal->has_where = true;
	refusal->where = *where;
	snprintf(refusal->text, sizeof(refusal->text), "%s, line %zu, offset %zu: %s", header,
		 where->line + 1, where->offset, where->why);
	return -ECANCELED;
}

int refuse_kernel(struct refusal *refusal, const char *attempt, const struct xfrm_error *error)
{
	start(refusal, REASON_KERNEL_REFUSED);
	refusal->has_kernel = true;
	refusal->kernel = *error;
	snprintf(refusal->text, sizeof(refusal->text), "%s: the kernel refused %s: %s%s%s", attempt,
		 error->object[0] ? error->object : "the request", strerror(-error->error),
		 error->kernel[0] ? ": " : "", error->kernel);
	return -ECANCELED;
}
