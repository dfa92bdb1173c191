/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request against the decision table, as JSON: one form for `secagreectl decide` and for the
 * daemon's agreement.decide. secagreectl(8), secagreed-control(7).
 */
#ifndef DAEMON_DECIDE_JSON_H
#define DAEMON_DECIDE_JSON_H

#include "daemon/refusal.h"
#include "daemon/sip_agree.h"
#include "daemon/json/json.h"

/* Nobody remembers anything here: what the message does not say stands in the question. */
struct decide_question {
	struct span message; /* a whole SIP request */
	const struct config_listener *listener;
	enum decide_protection protection; /* on SAs Security-Verify is then required */
	bool emergency;    /* it belongs to an emergency, though it does not say so */
	struct lines sent; /* the Security-Server that was sent; none: the listener's list without
			      numbers, as in a 421 or 494 */
};

/* {"action","reply":{"code","reason","headers":["Name: value",..]},"remove":[name,..],
 * "replace":{name:value},"start","row","why"}. "reply" only with the action reply; "remove" and
 * "replace" only with forward: header names that go with all their lines, and headers of which one
 * line with this value remains. "start", what starts the mechanism in common, if there is one;
 * "row" of the table in decide.h, when it was one.
 * Writes it and returns 0, or returns -ECANCELED with bad_message (no SIP request), bad_header (of
 * .sent) or internal. */
int decide_json(const struct decide_question *question, struct json_out *out,
		struct refusal *refusal);

#endif
