/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What requests and responses have in common: parsing, the three verdicts, and the way that a
 * message takes to the phone.
 *
 * A verdict is set once, at the end of whoever decides; nothing here decides. Answers carry no key
 * and neither do edited messages, so they live in plain memory; the message that came in stays
 * where the caller has it.
 */
#include "daemon/sip_work.h"
#include "daemon/security_server.h"
#include "proto/sip_reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIP_PORT 5060 /* RFC 3261 18.1.1 */

static int no_memory(struct sip_work *w)
{
	return refuse(w->refusal, REASON_INTERNAL, "out of memory");
}

bool sip_work_start(struct sip_work *w, struct sip_flow *flow, const struct sip_input *in,
		    struct sip_verdict *ret, struct refusal *refusal, int *ret_err)
{
	const char *why;
	int err;

	*w = (struct sip_work){.flow = flow, .in = in, .ret = ret, .refusal = refusal};
	*ret = (struct sip_verdict){.action = DECIDE_DROP};
	err = sip_message_parse(in->message, &w->m, &why);
	if (!err) {
		sip_edits_init(&w->edits, &w->m);
		return true;
	}
	*ret_err = err == -ENOMEM ? no_memory(w) : sip_work_drop(w, REASON_BAD_MESSAGE, "%s", why);
	return false;
}

void sip_work_done(struct sip_work *w)
{
	sip_edits_done(&w->edits);
	sip_message_done(&w->m);
}

/* ---- verdicts ---- */

int sip_work_forward(struct sip_work *w, const char *why)
{
	w->ret->action = DECIDE_FORWARD;
	snprintf(w->ret->why, sizeof(w->ret->why), "%s", why);
	if (sip_edits_apply(&w->edits, &w->ret->message, &w->ret->message_bytes) < 0)
		return no_memory(w);
	return 0;
}

int sip_work_drop(struct sip_work *w, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	w->ret->action = DECIDE_DROP;
	w->ret->has_way = false;
	w->ret->has_reason = true;
	w->ret->reason = reason;
	va_start(ap, fmt);
	vsnprintf(w->ret->why, sizeof(w->ret->why), fmt, ap);
	va_end(ap);
	return 0;
}

/* RFC 3261 8.2.7: the same request, sent again, gets the same tag. */
static void make_tag(const struct sip_work *w, char ret[static 17])
{
	const struct span call_id = sip_call_id(&w->m);
	struct sip_via via;
	uint64_t parts[3];

	sip_via(&w->m, w->m.via_count - 1, &via);
	parts[0] = hash_bytes(call_id.p, call_id.n);
	parts[1] = hash_bytes(via.branch.p, via.branch.n);
	parts[2] = sip_cseq(&w->m);
	snprintf(ret, 17, "%016" PRIx64, hash_bytes(parts, sizeof(parts)));
}

int sip_work_reply(struct sip_work *w, unsigned int code, const char *phrase, const char *headers)
{
	const struct ip_addr *source = &w->in->source.address;
	const bool from_phone = !w->m.status && w->in->direction == SIP_FROM_PHONE;
	char tag[17], ip[IP_TEXT_BYTES];
	struct sip_reply reply = {
		.code = code,
		.phrase = phrase,
		.to_tag = tag,
		.headers = headers,
	};
	struct ip_addr host;
	struct sip_via via;

	make_tag(w, tag);
	sip_via(&w->m, 0, &via);
	host = sip_work_address(via.host);
	if (from_phone) {
		reply.rport = w->in->source.port;
		if (host.family == AF_UNSPEC || !ip_equal(&host, source))
			reply.received = ip_format(source, ip);
	}
	w->ret->action = DECIDE_REPLY;
	w->ret->code = code;
	w->ret->phrase = phrase;
	if (sip_reply_write(&w->m, &reply, &w->ret->message, &w->ret->message_bytes) < 0)
		return no_memory(w);
	return 0;
}

char *sip_work_demand(const struct config_listener *listener, const char *list)
{
	char text[SERVER_LIST_WRITE_BYTES], *headers;

	if (!list && security_server_write(listener, NULL, NULL, text, sizeof(text)) < 0)
		return NULL;
	if (asprintf(&headers, "Security-Server: %s\r\nRequire: sec-agree\r\n",
		     list ? list : text) < 0)
		return NULL;
	return headers;
}

int sip_work_refused(struct sip_work *w, const struct config_listener *listener,
		     const struct refusal *why)
{
	char *headers = NULL;
	int err;

	if (why->verdict != VERDICT_REJECT)
		return sip_work_drop(w, why->reason, "%s", why->text);
	w->ret->has_reason = true;
	w->ret->reason = why->reason;
	w->ret->has_start = why->has_start;
	w->ret->start = why->start;
	snprintf(w->ret->why, sizeof(w->ret->why), "%s", why->text);
	if (why->sip_code == 494) {
		headers = sip_work_demand(listener,
					  why->security_server[0] ? why->security_server : NULL);
		if (!headers)
			return no_memory(w);
	}
	err = sip_work_reply(w, (unsigned)why->sip_code, why->sip_phrase, headers ? headers : "");
	free(headers);
	return err;
}

/* ---- ways ---- */

void sip_work_way(struct sip_work *w, const struct sip_place *from, const struct sip_place *to)
{
	w->ret->has_way = true;
	w->ret->send_from = *from;
	w->ret->send_to = *to;
}

/* Our client port to the phone's server port; in the dialect of RFC 3329 port to port1. */
void sip_work_way_set(struct sip_work *w, const struct sa_set *set)
{
	const bool rfc3329 = set->ue.dialect == IPSEC_DIALECT_RFC3329;
	const struct sip_place from = {set->listener->address,
				       rfc3329 ? set->pcscf.port1 : set->pcscf.port_c};
	const struct sip_place to = {set->ue_address, rfc3329 ? set->ue.port1 : set->ue.port_s};

	sip_work_way(w, &from, &to);
}

/* ---- looking ---- */

bool sip_work_is_protected_port(const struct config_listener *listener, uint16_t port)
{
	return port == listener->server_port ||
	       (port >= listener->client_port_first && port <= listener->client_port_last);
}

const struct config_listener *sip_work_listener(const struct sip_work *w)
{
	const struct config *config = w->flow->config;
	const struct sip_place *to = &w->in->destination;
	const struct config_listener *found = NULL;
	size_t count = 0;

	if (w->in->listener)
		return w->in->listener;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (!ip_equal(&l->address, &to->address))
			continue;
		if (sip_work_is_protected_port(l, to->port))
			return l;
		if (l->leaving && count)
			continue; /* they stand behind the others */
		found = l;
		count++;
	}
	if (count == 1)
		return found;
	refuse(w->refusal, REASON_UNKNOWN_LISTENER, "%s",
	       count ? "several listeners have this address: name one by \"listener\""
		     : "no listener has this address");
	return NULL;
}

struct ip_addr sip_work_address(struct span host)
{
	struct ip_addr ip = {.family = AF_UNSPEC};
	char text[IP_TEXT_BYTES];

	if (host.n < sizeof(text)) {
		snprintf(text, sizeof(text), "%.*s", (int)host.n, host.p);
		if (ip_parse(text, &ip) < 0)
			ip.family = AF_UNSPEC;
	}
	return ip;
}

struct ip_addr sip_work_via_address(const struct sip_work *w)
{
	struct ip_addr address;
	struct sip_via via;

	sip_via(&w->m, 0, &via);
	address = sip_work_address(via.host);
	return address.family == AF_UNSPEC ? w->in->via : address;
}

struct sip_place sip_work_reply_place(const struct sip_work *w)
{
	struct sip_place place = w->in->source;
	struct sip_via via;

	sip_via(&w->m, 0, &via);
	if (w->in->transport == SIP_UDP && !via.rport)
		place.port = via.port ? via.port : SIP_PORT;
	return place;
}

/* The phone's own Via is the last one, whether or not ours is still in front of it in a response.
 */
char *sip_work_key(const struct sip_work *w)
{
	const struct span call_id = sip_call_id(&w->m);
	struct sip_via via;
	char *key;

	sip_via(&w->m, w->m.via_count - 1, &via);
	if (asprintf(&key, "%.*s\n%.*s\n%u", (int)via.branch.n, via.branch.p, (int)call_id.n,
		     call_id.p, sip_cseq(&w->m)) < 0)
		return NULL;
	return key;
}

bool sip_work_is_register(const struct sip_work *w)
{
	return span_equal(w->m.method, span_of("REGISTER"));
}
