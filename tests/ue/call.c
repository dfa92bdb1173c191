/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone as a server: answers OPTIONS and MESSAGE, takes calls (180, 200 with an SDP answer that
 * accepts the first audio stream and is inactive, ACK, BYE, CANCEL), refuses the rest.
 *
 * Over TCP an answer stays on its connection. Over UDP every answer goes from port_uc to port_ps of
 * the current set, whatever the Via says: the SA from port_uc carries all UDP uplink
 * (TS 33.203 7.1).
 *
 * The last answers are kept, for requests that come twice. There is no media: a confirmed call is
 * silent until somebody ends it. Nothing is answered that came in clear; the caller sees to that.
 */
#include "tests/ue/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ue/event.h"
#include "tests/ue/register.h"

#define ALLOW_LINE "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE\r\n"

static int send_answer(struct ue *ue, const struct net_source *from, struct span text)
{
	struct ue_set *set = set_in(&ue->sets, SET_CURRENT);
	const struct net_link *link = &ue->net.links[from->link];

	if (from->kind == NET_TCP) {
		/* a connection that closed may have left its place to another one */
		if (link->kind != NET_TCP || link->peer_port != from->peer_port)
			return -ENOTCONN;
		return net_send(&ue->net, from->link, &from->peer, from->peer_port, text);
	}
	if (!set)
		set = set_of_source(&ue->sets, from);
	if (!set)
		return -ENOTCONN;
	return net_send(&ue->net, set->udp_link, &ue->options.pcscf, set->server_port, text);
}

static void reply_key(const struct sip_message *m, char ret_key[CALL_ID_BYTES])
{
	struct span id = sip_call_id(m);

	snprintf(ret_key, CALL_ID_BYTES, "%.80s %.20s %.*s", sip_branch(m), sip_method(m),
		 (int)id.n, id.p);
}

static struct call_reply *find_reply(struct call_table *table, const char *key)
{
	for (int i = 0; i < CALL_REPLIES; i++)
		if (strcmp(table->replies[i].key, key) == 0)
			return &table->replies[i];
	return NULL;
}

/* Memory that is out only costs the memory of an answer. */
static void keep_reply(struct call_table *table, const char *key, const struct sip_text *t)
{
	struct call_reply *reply = find_reply(table, key);

	if (!reply)
		reply = &table->replies[table->next_reply++ % CALL_REPLIES];
	free(reply->text);
	memset(reply, 0, sizeof(*reply));
	reply->text = malloc(t->n);
	if (!reply->text)
		return;
	memcpy(reply->text, t->p, t->n);
	reply->text_n = t->n;
	snprintf(reply->key, sizeof(reply->key), "%s", key);
}

static void answer(struct ue *ue, const struct net_source *from, const struct sip_message *m,
		   const struct sip_text *t)
{
	char key[CALL_ID_BYTES];

	if (t->full)
		return;
	reply_key(m, key);
	keep_reply(&ue->calls, key, t);
	send_answer(ue, from, (struct span){t->p, t->n});
}

/* An answer with nothing in it; @extra is whole header lines, or "". */
static void answer_bare(struct ue *ue, const struct net_source *from, const struct sip_message *m,
			int status, const char *reason, const char *extra)
{
	static struct sip_text t;
	char tag[17] = "0";

	random_hex(tag, 8);
	t.n = 0;
	t.full = false;
	sip_put_response(&t, m, status, reason, tag);
	sip_put(&t, "%s", extra);
	sip_put_body(&t, NULL, NULL);
	answer(ue, from, m, &t);
}

static void tell(struct ue *ue, const struct net_source *from, const struct sip_message *m,
		 int status)
{
	const struct ue_set *set = set_of_source(&ue->sets, from);
	struct span sender = {"", 0};
	size_t cursor = 0;
	char text[512];

	sip_header_next(m, "From", "f", &cursor, &sender);
	event_print("request", "method=%s transport=%s set=%d status=%d from=\"%s\"",
		    sip_method(m), net_kind_name(from->kind), set ? set->id : 0, status,
		    event_quoted(sender.p, sender.n, text, sizeof(text)));
}

static struct call *find_call(struct call_table *table, const struct sip_message *m)
{
	struct span id = sip_call_id(m);

	for (int i = 0; i < CALL_MAX; i++) {
		struct call *call = &table->calls[i];

		if (call->state != CALL_FREE && span_equal(span_of(call->call_id), id))
			return call;
	}
	return NULL;
}

static void free_call(struct call *call)
{
	free(call->invite);
	free(call->ok);
	memset(call, 0, sizeof(*call));
}

static void end_call(struct call *call, const char *reason)
{
	event_print("call", "state=ended reason=%s call-id=%s", reason, call->call_id);
	free_call(call);
}

void call_end_all(struct call_table *table, const char *reason)
{
	for (int i = 0; i < CALL_MAX; i++)
		if (table->calls[i].state != CALL_FREE)
			end_call(&table->calls[i], reason);
}

void call_done(struct call_table *table)
{
	for (int i = 0; i < CALL_MAX; i++)
		free_call(&table->calls[i]);
	for (int i = 0; i < CALL_REPLIES; i++)
		free(table->replies[i].text);
	memset(table, 0, sizeof(*table));
}

static struct span next_line(struct span *rest)
{
	const char *lf = memchr(rest->p, '\n', rest->n);
	size_t n = lf ? (size_t)(lf - rest->p) + 1 : rest->n;
	struct span line = {rest->p, n};

	rest->p += n;
	rest->n -= n;
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	return line;
}

/* RFC 3264 6: one line for each offered stream; a refused one has port 0. @line is "m=...". */
static void put_media(struct sip_text *t, struct span line, bool accept)
{
	const char *kind = line.p;
	const char *port = memchr(line.p, ' ', line.n);
	const char *rest = NULL;

	if (port)
		rest = memchr(port + 1, ' ', (size_t)(line.p + line.n - port - 1));
	if (!rest)
		return;
	sip_put(t, "%.*s %d%.*s\r\n%s", (int)(port - kind), kind, accept ? 9 : 0,
		(int)(line.p + line.n - rest), rest, accept ? "a=inactive\r\n" : "");
}

static void put_session(struct sip_text *t, const struct ue *ue)
{
	const struct ip *ip = &ue->options.public_address;
	const char family = ip->family == AF_INET6 ? '6' : '4';
	char host[IP_TEXT_BYTES];

	/* SDP has no brackets */
	ip_text(ip, host);
	if (*host == '[') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = '\0';
	}
	t->n = 0;
	t->full = false;
	sip_put(t, "v=0\r\no=- 1 1 IN IP%c %s\r\ns=-\r\nc=IN IP%c %s\r\nt=0 0\r\n", family, host,
		family, host);
}

void put_sdp_offer(const struct ue *ue, struct sip_text *ret)
{
	put_session(ret, ue);
	sip_put(ret, "m=audio 9 RTP/AVP 0\r\na=inactive\r\n");
}

/* An answer to the offer in @m; without an offer, an offer. */
static void write_sdp(const struct ue *ue, const struct sip_message *m, struct sip_text *ret)
{
	struct span rest = m->body;
	bool accepted = false;

	if (rest.n == 0) {
		put_sdp_offer(ue, ret);
		return;
	}
	put_session(ret, ue);
	while (rest.n > 0) {
		struct span line = next_line(&rest);
		bool audio = line.n > 8 && memcmp(line.p, "m=audio ", 8) == 0;

		if (line.n > 2 && memcmp(line.p, "m=", 2) == 0)
			put_media(ret, line, audio && !accepted);
		accepted = accepted || audio;
	}
}

static int keep_ok(struct call *call, const struct sip_text *t)
{
	call->ok = malloc(t->n);
	if (!call->ok)
		return -ENOMEM;
	memcpy(call->ok, t->p, t->n);
	call->ok_n = t->n;
	return 0;
}

static void answer_call(struct ue *ue, struct call *call, const struct sip_message *m)
{
	static struct sip_text t, sdp;
	int64_t now = clock_ms();

	write_sdp(ue, m, &sdp);
	t.n = 0;
	t.full = false;
	sip_put_response(&t, m, 200, "OK", call->tag);
	put_contact(&t, ue, "");
	sip_put(&t, ALLOW_LINE);
	sip_put_body(&t, "application/sdp", sdp.p);
	if (keep_ok(call, &t) < 0)
		return;
	call->state = CALL_ANSWERED;
	call->interval_ms = ue->txns.t1_ms;
	call->again_ms = now + call->interval_ms;
	call->deadline_ms = now + 64 * ue->txns.t1_ms;
	event_print("call", "state=answered call-id=%s", call->call_id);
	answer(ue, &call->source, m, &t);
}

static void ring(struct ue *ue, const struct call *call, const struct sip_message *m)
{
	static struct sip_text t;

	t.n = 0;
	t.full = false;
	sip_put_response(&t, m, 180, "Ringing", call->tag);
	put_contact(&t, ue, "");
	sip_put_body(&t, NULL, NULL);
	event_print("call", "state=ringing call-id=%s", call->call_id);
	answer(ue, &call->source, m, &t);
}

static struct call *new_call(struct ue *ue, const struct net_source *from,
			     const struct sip_message *m)
{
	struct span id = sip_call_id(m);
	struct call *call = NULL;

	for (int i = 0; !call && i < CALL_MAX; i++)
		if (ue->calls.calls[i].state == CALL_FREE)
			call = &ue->calls.calls[i];
	if (!call || id.n >= CALL_ID_BYTES || random_hex(call->tag, 8) < 0)
		return NULL;
	call->invite = malloc(m->text.n);
	if (!call->invite)
		return NULL;
	memcpy(call->invite, m->text.p, m->text.n);
	call->invite_n = m->text.n;
	call->source = *from;
	memcpy(call->call_id, id.p, id.n);
	call->call_id[id.n] = '\0';
	call->state = CALL_RINGING;
	call->answer_ms = clock_ms() + (int64_t)ue->options.ring_s * 1000;
	return call;
}

static void on_invite(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	struct call *call = find_call(&ue->calls, m);

	if (call || *sip_to_tag(m)) {
		/* a change of a call that has no media changes nothing */
		tell(ue, from, m, call ? 488 : 481);
		answer_bare(ue, from, m, call ? 488 : 481,
			    call ? "Not Acceptable Here" : "Call/Transaction Does Not Exist", "");
		return;
	}
	call = new_call(ue, from, m);
	tell(ue, from, m, call ? 180 : 486);
	if (!call) {
		answer_bare(ue, from, m, 486, "Busy Here", "");
		return;
	}
	ring(ue, call, m);
	if (ue->options.ring_s == 0)
		answer_call(ue, call, m);
}

static void on_ack(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	struct call *call = find_call(&ue->calls, m);

	(void)from;
	if (!call || call->state != CALL_ANSWERED || strcmp(sip_to_tag(m), call->tag) != 0)
		return;
	call->state = CALL_CONFIRMED;
	event_print("call", "state=confirmed call-id=%s", call->call_id);
}

static void on_bye(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	struct call *call = find_call(&ue->calls, m);
	bool dialled = dial_owns(&ue->dial, m);
	bool ours = dialled || (call && strcmp(sip_to_tag(m), call->tag) == 0);

	tell(ue, from, m, ours ? 200 : 481);
	answer_bare(ue, from, m, ours ? 200 : 481,
		    ours ? "OK" : "Call/Transaction Does Not Exist", "");
	if (dialled)
		dial_forget(&ue->dial, "bye");
	else if (ours)
		end_call(call, "bye");
}

static void terminate_invite(struct ue *ue, struct call *call)
{
	static struct sip_text t;
	struct sip_message invite;

	if (sip_message_parse((struct span){call->invite, call->invite_n}, &invite) < 0)
		return;
	t.n = 0;
	t.full = false;
	sip_put_response(&t, &invite, 487, "Request Terminated", call->tag);
	sip_put_body(&t, NULL, NULL);
	answer(ue, &call->source, &invite, &t);
	sip_message_done(&invite);
}

/* RFC 3261 9.2: the CANCEL is answered for itself, and the INVITE with 487 */
static void on_cancel(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	struct call *call = find_call(&ue->calls, m);

	tell(ue, from, m, call ? 200 : 481);
	answer_bare(ue, from, m, call ? 200 : 481,
		    call ? "OK" : "Call/Transaction Does Not Exist", "");
	if (!call || call->state != CALL_RINGING)
		return;
	terminate_invite(ue, call);
	end_call(call, "cancelled");
}

static void on_options(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	tell(ue, from, m, 200);
	answer_bare(ue, from, m, 200, "OK",
		    ALLOW_LINE "Accept: application/sdp, text/plain\r\nSupported: path\r\n");
}

static void on_message(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	char text[2048];

	tell(ue, from, m, 200);
	event_print("message", "bytes=%zu text=\"%s\"", m->body.n,
		    event_quoted(m->body.p, m->body.n, text, sizeof(text)));
	answer_bare(ue, from, m, 200, "OK", "");
}

static const struct {
	const char *method;
	void (*handle)(struct ue *ue, const struct net_source *from, const struct sip_message *m);
} methods[] = {
	{"OPTIONS", on_options}, {"MESSAGE", on_message}, {"INVITE", on_invite},
	{"ACK", on_ack},	 {"BYE", on_bye},	  {"CANCEL", on_cancel},
};

/* RFC 3261 8.2.2.3. sec-agree is the P-CSCF's business and harmless. */
static bool requires_unknown(const struct sip_message *m, char *ret_unsupported, size_t cap)
{
	struct span value;
	size_t cursor = 0;

	while (sip_header_next(m, "Require", NULL, &cursor, &value)) {
		if (span_is(value, "sec-agree"))
			continue;
		snprintf(ret_unsupported, cap, "Unsupported: %.*s\r\n", (int)value.n, value.p);
		return true;
	}
	return false;
}

static void dispatch(struct ue *ue, const struct net_source *from, const struct sip_message *m)
{
	const char *method = sip_method(m);

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].method, method) == 0) {
			methods[i].handle(ue, from, m);
			return;
		}
	}
	tell(ue, from, m, 405);
	answer_bare(ue, from, m, 405, "Method Not Allowed", ALLOW_LINE);
}

void call_request(struct ue *ue, const struct net_source *from, const struct sip_message *request)
{
	char key[CALL_ID_BYTES], unsupported[512];
	const struct call_reply *before;
	bool is_ack = strcmp(sip_method(request), "ACK") == 0;

	reply_key(request, key);
	before = is_ack ? NULL : find_reply(&ue->calls, key);
	if (before) {
		event_print("repeated", "method=%s", sip_method(request));
		send_answer(ue, from, (struct span){before->text, before->text_n});
	} else if (!is_ack && requires_unknown(request, unsupported, sizeof(unsupported))) {
		tell(ue, from, request, 420);
		answer_bare(ue, from, request, 420, "Bad Extension", unsupported);
	} else {
		dispatch(ue, from, request);
	}
}

int64_t call_next_ms(const struct call_table *table)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < CALL_MAX; i++) {
		const struct call *call = &table->calls[i];
		int64_t due = INT64_MAX;

		if (call->state == CALL_RINGING)
			due = call->answer_ms;
		else if (call->state == CALL_ANSWERED)
			due = call->again_ms < call->deadline_ms ? call->again_ms
								 : call->deadline_ms;
		if (due < next)
			next = due;
	}
	return next;
}

static void tick_ringing(struct ue *ue, struct call *call)
{
	struct sip_message invite;

	if (sip_message_parse((struct span){call->invite, call->invite_n}, &invite) < 0) {
		end_call(call, "out-of-memory");
		return;
	}
	answer_call(ue, call, &invite);
	sip_message_done(&invite);
	if (call->state == CALL_RINGING)
		end_call(call, "out-of-memory");
}

/* RFC 3261 13.3.1.4: the 200 again and again until the ACK */
static void tick_answered(struct ue *ue, struct call *call, int64_t now_ms)
{
	int64_t t2_ms = 8 * ue->txns.t1_ms;

	if (now_ms >= call->deadline_ms) {
		end_call(call, "no-ack");
		return;
	}
	send_answer(ue, &call->source, (struct span){call->ok, call->ok_n});
	call->interval_ms = call->interval_ms * 2 < t2_ms ? call->interval_ms * 2 : t2_ms;
	call->again_ms = now_ms + call->interval_ms;
}

void call_tick(struct ue *ue, int64_t now_ms)
{
	for (int i = 0; i < CALL_MAX; i++) {
		struct call *call = &ue->calls.calls[i];

		if (call->state == CALL_RINGING && now_ms >= call->answer_ms)
			tick_ringing(ue, call);
		else if (call->state == CALL_ANSWERED &&
			 (now_ms >= call->again_ms || now_ms >= call->deadline_ms))
			tick_answered(ue, call, now_ms);
	}
}
