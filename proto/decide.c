/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decision table of decide.h, from its most to its least particular rule.
 *
 * A decision passes through three stages: is the extension on and the message answerable at all,
 * is it protected (then the list that it mirrors counts), and if not, which rule for clear text
 * applies. Each rule returns one row; afterwards a single function sees to it that methods which
 * must not be answered are not. Nothing here reads a message, compares a list or writes a header:
 * whoever calls has the facts already and carries the decision out.
 */
#include "proto/decide.h"

/* Reason phrases: RFC 3261 21, RFC 3329 6.4. */
static const struct {
	unsigned int code;
	const char *phrase;
} phrases[] = {
	{400, "Bad Request"},
	{403, "Forbidden"},
	{421, "Extension Required"},
	{494, "Security Agreement Required"},
	{502, "Bad Gateway"},
};

/* Table 1 of RFC 3329 has no entry for these. */
static const struct {
	const char *name;
	enum decide_method method;
} method_names[] = {
	{"REGISTER", DECIDE_METHOD_REGISTER},
	{"ACK", DECIDE_METHOD_ACK},
	{"CANCEL", DECIDE_METHOD_CANCEL},
	{"PRACK", DECIDE_METHOD_PRACK},
};

static const char *const action_names[] = {
	[DECIDE_FORWARD] = "forward",
	[DECIDE_REPLY] = "reply",
	[DECIDE_DROP] = "drop",
};

void decide_policy_default(struct decide_policy *ret)
{
	*ret = (struct decide_policy){
		.sec_agree = true,
		.register_without_ipsec = DECIDE_CLEAR_CHALLENGE,
		.other_clear = DECIDE_CLEAR_CHALLENGE,
	};
}

enum decide_method decide_method_of(struct span name)
{
	for (size_t i = 0; i < sizeof(method_names) / sizeof(method_names[0]); i++) {
		if (span_equal(name, span_of(method_names[i].name)))
			return method_names[i].method;
	}
	return DECIDE_METHOD_OTHER;
}

bool decide_method_carries(enum decide_method method)
{
	switch (method) {
	case DECIDE_METHOD_REGISTER:
	case DECIDE_METHOD_OTHER:
		return true;
	case DECIDE_METHOD_ACK:
	case DECIDE_METHOD_CANCEL:
	case DECIDE_METHOD_PRACK:
		return false;
	}
	return false;
}

const char *decide_action_name(enum decide_action action)
{
	return action_names[action];
}

static const char *phrase_of(unsigned int code)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].code == code)
			return phrases[i].phrase;
	}
	return NULL;
}

static struct decision forward(unsigned int row, const char *why)
{
	return (struct decision){.action = DECIDE_FORWARD, .row = row, .clean = true, .why = why};
}

static struct decision untouched(const char *why)
{
	return (struct decision){.action = DECIDE_FORWARD, .why = why};
}

static struct decision drop(unsigned int row, const char *why)
{
	return (struct decision){.action = DECIDE_DROP, .row = row, .why = why};
}

static struct decision reply(unsigned int row, unsigned int code, const char *why)
{
	return (struct decision){.action = DECIDE_REPLY, .row = row, .code = code,
				 .phrase = phrase_of(code), .why = why};
}

/* 421 and 494 carry Security-Server, where RFC 3329 table 1 has a place for it, and Require. */
static struct decision demand(unsigned int row, unsigned int code, enum decide_method method,
			      const char *why)
{
	struct decision d = reply(row, code, why);

	d.add_security_server = decide_method_carries(method);
	d.add_require = true;
	return d;
}

static bool is_protected(const struct decide_policy *policy, enum decide_protection protection)
{
	switch (protection) {
	case DECIDE_UNPROTECTED:
		return false;
	case DECIDE_IPSEC:
	case DECIDE_DIGEST:
		return true;
	case DECIDE_TLS:
		return policy->tls_is_protected;
	}
	return false;
}

/* Is a missing Security-Verify as bad as a wrong one? On TLS the tag tells a phone that follows
 * RFC 3329 from one that came by TLS alone, which is fine too (RFC 3329 3). */
static bool needs_verify(const struct decide_policy *policy, const struct decide_facts *facts)
{
	if (facts->verify_required)
		return true;
	switch (facts->protection) {
	case DECIDE_UNPROTECTED:
		return false;
	case DECIDE_IPSEC:
		return policy->verify_always;
	case DECIDE_TLS:
		return facts->require_tag || facts->proxy_require_tag;
	case DECIDE_DIGEST:
		return true;
	}
	return true;
}

/* Rows 5 and 6. */
static struct decision decide_protected(const struct decide_policy *policy,
					const struct decide_facts *facts)
{
	const char *why = "Security-Verify is not the list that was sent";

	if (!decide_method_carries(facts->method))
		return forward(5, "protected; Security-Verify has no place in this method");
	switch (facts->verify) {
	case DECIDE_VERIFY_EQUAL:
		return forward(5, "protected, and Security-Verify is the list that was sent");
	case DECIDE_VERIFY_ABSENT:
		if (!needs_verify(policy, facts))
			return forward(5, "protected, and no Security-Verify is needed");
		why = "Security-Verify is missing";
		break;
	case DECIDE_VERIFY_DIFFERENT:
		break;
	}
	/* TS 33.203 7.2 wants "a suitable 4xx" where RFC 3329 wants 494 */
	if (facts->method == DECIDE_METHOD_REGISTER && facts->protection == DECIDE_IPSEC &&
	    !policy->register_mismatch_494)
		return reply(6, 403, why);
	return demand(6, 494, facts->method, why);
}

/* Rows 2 to 4: one Via. */
static struct decision challenge(const struct decide_facts *facts)
{
	if (facts->require_tag || facts->proxy_require_tag)
		return demand(2, 494, facts->method, "sec-agree is required and nothing protects "
						     "the request");
	if (facts->supported_tag)
		return demand(3, 494, facts->method, "sec-agree is supported and nothing protects "
						     "the request");
	return demand(4, 421, facts->method, "nothing protects the request, and it does not know "
					     "sec-agree");
}

static struct decision too_many_vias(void)
{
	return reply(1, 502, "several Via values: this is not the first hop");
}

/* Rows 7 and 8. */
static struct decision decide_clear_register(const struct decide_policy *policy,
					     const struct decide_facts *facts)
{
	struct decision d;

	if (facts->via_count > 1)
		return too_many_vias();
	switch (facts->client) {
	case DECIDE_CLIENT_USABLE:
		d = forward(7, "the agreement begins: its 401 carries Security-Server");
		d.start_agreement = true;
		return d;
	case DECIDE_CLIENT_BAD:
		return reply(0, 400, "Security-Client is malformed");
	case DECIDE_CLIENT_ABSENT:
	case DECIDE_CLIENT_UNUSABLE:
		break;
	}
	switch (policy->register_without_ipsec) {
	case DECIDE_CLEAR_CHALLENGE:
		return challenge(facts);
	case DECIDE_CLEAR_FORBID:
		return reply(8, 403, "REGISTER without a usable ipsec-3gpp");
	case DECIDE_CLEAR_DISCARD:
		return drop(8, "REGISTER without a usable ipsec-3gpp");
	case DECIDE_CLEAR_FORWARD:
		break;
	}
	return forward(8, "REGISTER without a usable ipsec-3gpp: for another authentication");
}

/* Row 9. */
static struct decision decide_clear_other(const struct decide_policy *policy,
					  const struct decide_facts *facts)
{
	switch (policy->other_clear) {
	case DECIDE_CLEAR_CHALLENGE:
		return facts->via_count > 1 ? too_many_vias() : challenge(facts);
	case DECIDE_CLEAR_DISCARD:
		return drop(9, "in clear only REGISTER and emergencies are served");
	case DECIDE_CLEAR_FORBID:
	case DECIDE_CLEAR_FORWARD:
		break;
	}
	return reply(9, 403, "in clear only REGISTER and emergencies are served");
}

/* Row 10 comes before row 8, but not before row 7: an emergency registration that can have SAs
 * gets them. */
static struct decision decide_clear(const struct decide_policy *policy,
				    const struct decide_facts *facts)
{
	bool is_register = facts->method == DECIDE_METHOD_REGISTER;

	if (facts->emergency &&
	    !(is_register && facts->via_count == 1 && facts->client == DECIDE_CLIENT_USABLE))
		return forward(10, "an emergency is served in clear");
	return is_register ? decide_clear_register(policy, facts)
			   : decide_clear_other(policy, facts);
}

/* RFC 3261 17.1.1.3 and 9.2: an ACK has no response, and a CANCEL cannot be tried again with what
 * a challenge asks for. */
static struct decision unless_unanswerable(struct decision d, enum decide_method method)
{
	if (d.action != DECIDE_REPLY)
		return d;
	switch (method) {
	case DECIDE_METHOD_ACK:
		return drop(d.row, "an ACK is never answered");
	case DECIDE_METHOD_CANCEL:
		return drop(d.row, "a CANCEL cannot be challenged");
	case DECIDE_METHOD_REGISTER:
	case DECIDE_METHOD_PRACK:
	case DECIDE_METHOD_OTHER:
		break;
	}
	return d;
}

void decide_request(const struct decide_policy *policy, const struct decide_facts *facts,
		    struct decision *ret)
{
	struct decision d;

	if (!policy->sec_agree)
		d = untouched("sec-agree is off on this listener");
	else if (facts->via_count == 0)
		d = drop(0, "no Via: there is nowhere to send an answer to");
	else if (!is_protected(policy, facts->protection))
		d = decide_clear(policy, facts);
	else if (facts->via_count > 1 && !facts->emergency)
		d = too_many_vias();
	else
		d = decide_protected(policy, facts);
	*ret = unless_unanswerable(d, facts->method);
}

void decide_response(const struct decide_policy *policy, enum decide_protection protection,
		     unsigned int status_code, bool about_clear, bool emergency,
		     struct decision *ret)
{
	if (!policy->sec_agree)
		*ret = untouched("sec-agree is off on this listener");
	else if (is_protected(policy, protection))
		*ret = forward(0, "protected");
	else if (emergency)
		*ret = forward(10, "an emergency is served in clear");
	else if (status_code >= 300 && about_clear)
		*ret = forward(9, "an error about a message that was in clear");
	else
		*ret = drop(9, "in clear only REGISTER and emergencies are served");
}
