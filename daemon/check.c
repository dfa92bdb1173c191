/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the addresses and ports of a message to its set, and what that set may carry (TS 33.203
 * 7.4.2a):
 *
 *   TEMPORARY             the REGISTER that answers the challenge, with both Security headers
 *   NEW, CURRENT, OLD     everything; a Security-Verify is compared when there is one
 *   no set                nothing: discarded in silence
 *
 * When a Security-Verify is needed, and what a wrong one is answered with, says proto/decide.c.
 * The kernel has checked by then that the packet came through the SA whose selector these ports are.
 */
#include "daemon/check.h"
#include "daemon/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_register(const struct check *check)
{
	return !strcmp(check->method, "REGISTER"); /* methods are case-sensitive, RFC 3261 7.1 */
}

/* RFC 3329 3 */
static bool is_off(const struct config *config, const struct check *check)
{
	bool off = false;

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (!ip_equal(&l->address, &check->local))
			continue;
		if (l->decide.sec_agree)
			return false;
		off = true;
	}
	return off;
}

static bool is_protected_port(const struct config *config, const struct check *check)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (l->decide.sec_agree && ip_equal(&l->address, &check->local) &&
		    (check->local_port == l->server_port ||
		     (check->local_port >= l->client_port_first &&
		      check->local_port <= l->client_port_last)))
			return true;
	}
	return false;
}

static int compare_verify(const struct sa_set *set, const struct check *check, char *ret_why,
			  size_t cap)
{
	char sent[PACKED_TEXT_BYTES];

	return lines_compare(packed_text(set->security_server, sent), &check->security_verify,
			     set->listener->verify, ret_why, cap);
}

/* Several sets share a flow when a phone came back with the ports of a living set: the answer to the
 * challenge belongs to the TEMPORARY one, everything else to the one that lives. */
static struct sa_set *pick(const struct sa_flow *flow, const struct check *check)
{
	struct sa_set *temporary = NULL;
	char why[8];

	for (; flow; flow = flow->next) {
		if (flow->set->state != SA_SET_TEMPORARY)
			return flow->set;
		temporary = flow->set;
		if (!flow->next ||
		    (is_register(check) &&
		     compare_verify(temporary, check, why, sizeof(why)) != -EBADMSG))
			break; /* out of memory: whoever compares it next says so */
	}
	return temporary;
}

/* Rows 5 and 6 of the table in proto/decide.h. RFC 3329 2.3.1, TS 33.203 7.2. */
static int check_verify(const struct sa_set *set, const struct check *check,
			struct refusal *refusal)
{
	struct decide_facts facts = {
		.method = decide_method_of(span_of(check->method)),
		.protection = DECIDE_IPSEC,
		.via_count = 1,
		.verify = DECIDE_VERIFY_EQUAL,
		.verify_required = set->state == SA_SET_TEMPORARY,
	};
	struct decision d;
	char why[200], sent[PACKED_TEXT_BYTES];
	int err = compare_verify(set, check, why, sizeof(why));

	if (err == -ENOMEM)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	if (err)
		facts.verify = check->security_verify.count ? DECIDE_VERIFY_DIFFERENT
							    : DECIDE_VERIFY_ABSENT;
	decide_request(&set->listener->decide, &facts, &d);
	if (check->is_response || d.action == DECIDE_FORWARD)
		return 0;
	refuse(refusal, REASON_VERIFY_MISMATCH,
	       "Security-Verify is not the Security-Server that was sent: %s", why);
	refusal->sip_code = (int)d.code;
	refusal->sip_phrase = d.phrase;
	if (d.add_security_server)
		snprintf(refusal->security_server, sizeof(refusal->security_server), "%s",
			 packed_text(set->security_server, sent));
	return -ECANCELED;
}

/* TS 33.203 7.1 rule 2. Behind a NAT the phone writes its public address (M.7.2). */
static int check_via(const struct check *check, struct refusal *refusal)
{
	if (!is_register(check) || check->via.family == AF_UNSPEC ||
	    ip_equal(&check->via, &check->remote))
		return 0;
	return refuse(refusal, REASON_VIA_MISMATCH,
		      "the top Via of a protected REGISTER is of another address than it came from");
}

/* TS 33.203 7.2: an answer to the challenge on the set that was made with it. */
static int check_answer(const struct sa_set *set, const struct check *check,
			struct refusal *refusal)
{
	char why[200], offered[PACKED_TEXT_BYTES];
	int err;

	err = check_via(check, refusal);
	if (!err)
		err = check_verify(set, check, refusal);
	if (err)
		return err;
	err = lines_compare(packed_text(set->security_client, offered), &check->security_client,
			    set->listener->verify, why, sizeof(why));
	if (err == -ENOMEM)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	if (err)
		return refuse(refusal, REASON_CLIENT_MISMATCH,
			      "Security-Client is not that of the first REGISTER: %s", why);
	if (check->impi && strcmp(check->impi, set->impi) != 0)
		return refuse(refusal, REASON_IDENTITY_MISMATCH, "another IMPI was challenged");
	return 0;
}

static int check_temporary(struct sa_set *set, const struct check *check, struct refusal *refusal)
{
	int err;

	if (set->aborted)
		return refuse(refusal, REASON_WRONG_STATE,
			      "the registration on this set was refused");
	if (!is_register(check))
		return refuse(refusal, REASON_WRONG_STATE,
			      "a temporary set carries nothing but the answer to the challenge");
	if (check->no_answer)
		return refuse(refusal, REASON_WRONG_STATE,
			      "a REGISTER that answers no challenge came on a temporary set");
	err = check_answer(set, check, refusal);
	if (err && refusal->reason != REASON_INTERNAL)
		sa_set_abort(set);
	return err;
}

static int check_established(const struct sa_set *set, const struct check *check,
			     struct refusal *refusal)
{
	int err = check_via(check, refusal);

	if (err)
		return err;
	if (check->impi && strcmp(check->impi, set->impi) != 0)
		return refuse(refusal, REASON_IDENTITY_MISMATCH,
			      "the set belongs to another IMPI");
	return check_verify(set, check, refusal);
}

int check_message(struct sa_table *table, const struct config *config, const struct check *check,
		  struct check_result *ret, struct refusal *refusal)
{
	const struct sa_flow *flow;
	struct sa_set *set;
	int err;

	if (!is_protected_port(config, check)) {
		*ret = (struct check_result){ .is_off = is_off(config, check) };
		return 0;
	}
	flow = sa_table_flow(table, &check->local, check->local_port, &check->remote,
			     check->remote_port);
	if (!flow) {
		err = refuse(refusal, REASON_UNKNOWN_SET,
			     "no set of SAs has these addresses and ports");
		refusal->verdict = VERDICT_DISCARD;
		return err;
	}
	set = pick(flow, check);
	set->heard |= check->local_port == set->pcscf.port_c ? SA_SET_HEARD_CLIENT
							     : SA_SET_HEARD_SERVER;
	if (set->state == SA_SET_TEMPORARY)
		err = check_temporary(set, check, refusal);
	else
		err = check_established(set, check, refusal);
	if (err) {
		event_emit(EVENT_MESSAGE_REFUSED, event_set(set->id), event_text("impi", set->impi),
			   event_address("ue", &set->ue_address),
			   event_text("method", check->method),
			   event_text("reason", reason_token(refusal->reason)),
			   event_text("why", refusal->text));
		return err;
	}
	sa_set_used(set);
	*ret = (struct check_result){
		.is_protected = true,
		.integrity_protected = set->state != SA_SET_OLD,
		.set = set,
	};
	return 0;
}
