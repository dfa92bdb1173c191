/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of methods: what each is called, takes and does. Dispatcher, daemon.methods and the
 * manual read the same table.
 */
#include "daemon/command.h"

#include <stdlib.h>
#include <string.h>

#define SET_REQUIRED { "set", PARAM_SET, true, "the set" }

const struct command COMMANDS[] = {
	{ "sa.offer", "A 401 with CK and IK passes: choose and install a temporary set.",
	  command_sa_offer, COMMAND_CHANGES,
	  { { "impi", PARAM_TEXT, true, "private identity that was challenged" },
	    { "ue", PARAM_ADDRESS, true, "source address of the REGISTER" },
	    { "pcscf", PARAM_ADDRESS, false, "address that the REGISTER arrived on" },
	    { "listener", PARAM_TEXT, false, "name of the listener, instead of pcscf" },
	    { "security_client", PARAM_LINES, true, "the Security-Client of the REGISTER" },
	    { "ck", PARAM_KEY, true, "cipher key, from the 401" },
	    { "ik", PARAM_KEY, true, "integrity key, from the 401" },
	    { "impu", PARAM_LINES, false, "public identities" },
	    { "via", PARAM_ADDRESS, false, "sent-by of the top Via; differs from ue behind a NAT" },
	    { "over", PARAM_SET, false, "the set that the REGISTER came on" },
	    { "contact", PARAM_TEXT, false, "tells contacts of one IMPI at one address apart" },
	    { "transaction", PARAM_TEXT, false, "the same in a retransmission: the same answer" } } },
	{ "sa.check", "A message arrived: whose is it, and is it right?",
	  command_sa_check, COMMAND_CHANGES,
	  { { "pcscf", PARAM_ADDRESS, true, "address that it arrived on" },
	    { "pcscf_port", PARAM_PORT, true, "port that it arrived on" },
	    { "ue", PARAM_ADDRESS, true, "its source address" },
	    { "ue_port", PARAM_PORT, true, "its source port" },
	    { "method", PARAM_TEXT, true, "its method, or that of the request it answers" },
	    { "response", PARAM_BOOL, false, "it is a response" },
	    { "transport", PARAM_WORD, false, "udp|tcp" },
	    { "impi", PARAM_TEXT, false, "username of its Authorization" },
	    { "via", PARAM_ADDRESS, false, "sent-by of its top Via" },
	    { "answers", PARAM_BOOL, false, "its Authorization answers a challenge" },
	    { "security_client", PARAM_LINES, false, "its Security-Client" },
	    { "security_verify", PARAM_LINES, false, "its Security-Verify" } } },
	{ "sa.confirm", "The 200 OK to the REGISTER on a temporary set passes.",
	  command_sa_confirm, COMMAND_CHANGES,
	  { SET_REQUIRED,
	    { "expires", PARAM_NUMBER, true, "granted expiration, seconds" },
	    { "impu", PARAM_LINES, false, "public identities that are registered over it too" } } },
	{ "sa.fail", "Authentication failed: drop the temporary set.",
	  command_sa_fail, COMMAND_CHANGES,
	  { SET_REQUIRED } },
	{ "sa.extend", "200 OK to a REGISTER without challenge.",
	  command_sa_extend, COMMAND_CHANGES,
	  { SET_REQUIRED,
	    { "expires", PARAM_NUMBER, true, "granted expiration, seconds" },
	    { "impu", PARAM_LINES, false, "public identities that are registered over it too" } } },
	{ "sa.release", "De-registration: the response has left, the sets go.",
	  command_sa_release, COMMAND_CHANGES,
	  { { "set", PARAM_SET, false, "one set; its contact's others go too" },
	    { "impi", PARAM_TEXT, false, "all sets of this private identity" },
	    { "ue", PARAM_ADDRESS, false, "with impi: only those at this address" },
	    { "impu", PARAM_LINES, false, "only these public identities; sets go with the last" },
	    { "linger", PARAM_NUMBER, false, "seconds until they go, 0 = now" } } },
	{ "sa.route", "Where a request to the phone leaves from and goes to now.",
	  command_sa_route, COMMAND_READS,
	  { { "set", PARAM_SET, false, "any set of the contact" },
	    { "impi", PARAM_TEXT, false, "private identity" },
	    { "ue", PARAM_ADDRESS, false, "the phone's address" },
	    { "ue_port", PARAM_PORT, false, "with ue: its protected server port" },
	    { "exact", PARAM_BOOL, false, "with set: over that one, for a REGISTER's response" } } },
	{ "sa.list", "The sets.", command_sa_list, COMMAND_READS,
	  { { "impi", PARAM_TEXT, false, "only of this private identity" },
	    { "ue", PARAM_ADDRESS, false, "only at this address" },
	    { "match", PARAM_TEXT, false, "only with this in the impi or an impu" },
	    { "state", PARAM_WORD, false, "temporary|new|current|old" },
	    { "listener", PARAM_TEXT, false, "only of this listener" },
	    { "after", PARAM_SET, false, "go on after this set: \"next\" of the answer before" },
	    { "limit", PARAM_NUMBER, false, "at most so many, 1000" },
	    { "detail", PARAM_BOOL, false, "with impu, phone and pcscf of each" } } },
	{ "sa.show", "One set, with the counters of its SAs.",
	  command_sa_show, COMMAND_READS, { SET_REQUIRED } },
	{ "sa.export_keys", "The keys of SAs, for decoding a capture.",
	  command_sa_export_keys, COMMAND_CHANGES,
	  { { "set", PARAM_SET, false, "only of this set" },
	    { "impi", PARAM_TEXT, false, "only of this private identity" },
	    { "ue", PARAM_ADDRESS, false, "only at this address" } } },
	{ "sip.request", "A SIP request passes: all that the security agreement asks for.",
	  command_sip_request, COMMAND_CHANGES,
	  { { "message", PARAM_MESSAGE, false, "the SIP message" },
	    { "message_base64", PARAM_BASE64, false, "the same, when it is not UTF-8" },
	    { "direction", PARAM_WORD, false, "from-phone|to-phone" },
	    { "source", PARAM_PLACE, false, "where its packet came from" },
	    { "destination", PARAM_PLACE, false, "where its packet came to" },
	    { "transport", PARAM_WORD, false, "udp|tcp|tls" },
	    { "listener", PARAM_TEXT, false, "its name, where several have one address" },
	    { "emergency", PARAM_BOOL, false, "it belongs to an emergency call" },
	    { "via", PARAM_ADDRESS, false, "what the host name in the top Via stands for" } } },
	{ "sip.response", "A SIP response passes: all that the security agreement asks for.",
	  command_sip_response, COMMAND_CHANGES,
	  { { "message", PARAM_MESSAGE, false, "the SIP message" },
	    { "message_base64", PARAM_BASE64, false, "the same, when it is not UTF-8" },
	    { "direction", PARAM_WORD, false, "from-phone|to-phone" },
	    { "source", PARAM_PLACE, false, "where its packet came from" },
	    { "destination", PARAM_PLACE, false, "where its packet came to" },
	    { "transport", PARAM_WORD, false, "udp|tcp|tls" },
	    { "listener", PARAM_TEXT, false, "its name, where several have one address" },
	    { "emergency", PARAM_BOOL, false, "it belongs to an emergency call" },
	    { "linger", PARAM_NUMBER, false, "seconds that sets outlive a de-registration" } } },
	{ "agreement.parse", "What a Security-* header says.",
	  command_agreement_parse, COMMAND_READS,
	  { { "header", PARAM_TEXT, true, "its name" },
	    { "value", PARAM_LINES, true, "its value" } } },
	{ "agreement.select", "What we would choose, and why not the others.",
	  command_agreement_select, COMMAND_READS,
	  { { "security_client", PARAM_LINES, true, "a Security-Client" },
	    { "listener", PARAM_TEXT, false, "whose policy; the first listener's when absent" },
	    { "nat", PARAM_BOOL, false, "as for a phone behind a NAT" } } },
	{ "agreement.compare", "Do two lists say the same?",
	  command_agreement_compare, COMMAND_READS,
	  { { "a", PARAM_LINES, true, "the list that was sent" },
	    { "b", PARAM_LINES, true, "the list that came back" },
	    { "lenient", PARAM_BOOL, false, "defaults may be left out, q does not matter" } } },
	{ "agreement.decide", "What becomes of a SIP request, when only it is known.",
	  command_agreement_decide, COMMAND_READS,
	  { { "message", PARAM_MESSAGE, false, "the SIP request" },
	    { "message_base64", PARAM_BASE64, false, "the same, when it is not UTF-8" },
	    { "protected", PARAM_BOOL, true, "it came on a set" },
	    { "tls", PARAM_BOOL, false, "it came on a TLS connection" },
	    { "emergency", PARAM_BOOL, false, "it belongs to an emergency call" },
	    { "sent", PARAM_LINES, false, "the Security-Server that was sent" },
	    { "listener", PARAM_TEXT, false, "whose rules; the first listener's when absent" } } },
	{ "phone.explain", "What happened to one phone, and why it fails.",
	  command_phone_explain, COMMAND_READS,
	  { { "impi", PARAM_TEXT, false, "private identity" },
	    { "ue", PARAM_ADDRESS, false, "the phone's address" },
	    { "set", PARAM_SET, false, "a set of it, also one that is gone" } } },
	{ "event.subscribe", "Send what happens on this connection, as it happens.",
	  command_event_subscribe, COMMAND_READS,
	  { { "since", PARAM_NUMBER, false, "begin after this one; without, with the next" } } },
	{ "event.list", "What happened lately.", command_event_list, COMMAND_READS,
	  { { "since", PARAM_NUMBER, false, "only after this one" },
	    { "limit", PARAM_NUMBER, false, "at most so many, 100" } } },
	{ "daemon.status", "What this daemon is doing.",
	  command_daemon_status, COMMAND_READS, { { 0 } } },
	{ "daemon.stats", "How much it has done since its start, for whoever asks again and again.",
	  command_daemon_stats, COMMAND_READS, { { 0 } } },
	{ "daemon.audit", "Compare the kernel with the sets now, and mend the difference.",
	  command_daemon_audit, COMMAND_CHANGES, { { 0 } } },
	{ "daemon.reload", "Read the configuration anew: all of it is taken, or nothing.",
	  command_daemon_reload, COMMAND_CHANGES, { { 0 } } },
	{ "daemon.methods", "This list.", command_daemon_methods, COMMAND_READS, { { 0 } } },
	{ "daemon.version", "The version.", command_daemon_version, COMMAND_READS, { { 0 } } },
	{ 0 },
};

_Static_assert(sizeof(COMMANDS) / sizeof(COMMANDS[0]) <= COMMAND_MAX, "struct daemon has a counter "
								       "for each");

const struct command *command_find(const char *name)
{
	for (const struct command *c = COMMANDS; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

static const struct config_listener *by_name(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (!strcmp(config->listeners[i].name, name))
			return &config->listeners[i];
	}
	return NULL;
}

const struct config_listener *
command_listener(const struct daemon *d, const struct json_node *params, struct refusal *refusal)
{
	const char *name = param_text(params, "listener");
	const struct ip_addr ip = param_address(params, "pcscf");
	const struct config_listener *found = NULL;

	if (name) {
		found = by_name(d->config, name);
		if (!found)
			refuse(refusal, REASON_UNKNOWN_LISTENER, "there is no such listener");
		return found;
	}
	for (size_t i = 0; i < d->config->listener_count; i++) {
		const struct config_listener *l = &d->config->listeners[i];

		if (!ip_equal(&l->address, &ip) || (l->leaving && found))
			continue; /* leaving ones stand behind the others */
		if (found) {
			refuse(refusal, REASON_UNKNOWN_LISTENER,
			       "several listeners have this address: name one by \"listener\"");
			return NULL;
		}
		found = l;
	}
	if (!found)
		refuse(refusal, REASON_UNKNOWN_LISTENER, "%s",
		       param_has(params, "pcscf") ? "no listener has this address"
						  : "\"pcscf\" or \"listener\" is missing");
	return found;
}

int command_message(const struct json_node *params, struct command_message *ret,
		    struct refusal *refusal)
{
	*ret = (struct command_message){.text = param_message(params, "message")};
	if (param_has(params, "message") == param_has(params, "message_base64"))
		return refuse(refusal, REASON_BAD_MESSAGE,
			      "give one of \"message\" and \"message_base64\"");
	if (param_has(params, "message"))
		return 0;
	ret->copy = param_base64(params, "message_base64", &ret->text.n);
	ret->text.p = ret->copy;
	return ret->copy ? 0 : refuse(refusal, REASON_INTERNAL, "out of memory");
}

/* A 401 has keys in it. */
void command_message_done(struct command_message *message)
{
	if (message->copy)
		explicit_bzero(message->copy, message->text.n);
	free(message->copy);
	message->copy = NULL;
}
