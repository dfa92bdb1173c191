/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * agreement.decide: a message, the facts in it, the decision, and the decision in words that a
 * program can carry out. What sip.request does to the bytes of a message is said here of its
 * headers: the edits are the same ones, seen header by header.
 *
 * A question is answered from itself alone. There are no sets, so a Security-Verify is held against
 * what the caller says was sent, and whether the message is the right one for its SAs (its
 * identity, its second Security-Client) is not asked: sa.check does that. Nothing but the security
 * agreement is looked at; Authorization stays as it is.
 */
#include "daemon/decide_json.h"
#include "daemon/security_server.h"
#include "proto/choose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENT_BYTES (SEC_MAX_BYTES + 256) /* choose_mirror() */

/* A question on its way. */
struct inquiry {
	const struct decide_question *q;
	struct refusal *refusal;
	struct sip_message m;
	struct decide_facts facts;
	struct sip_client client;
	char list[SERVER_LIST_WRITE_BYTES]; /* the listener's */
	char sent[SENT_BYTES];              /* that Security-Verify has to mirror */
	char difference[200];               /* of Security-Verify from that, in words */
	const char *unprintable;            /* a header that cannot be told in JSON */
};

/* In the order in which they are named. */
static const enum sip_name CLEANED[] = {
	SIP_SECURITY_CLIENT, SIP_SECURITY_SERVER, SIP_SECURITY_VERIFY,
	SIP_REQUIRE,         SIP_PROXY_REQUIRE,
};

static int no_memory(struct inquiry *i)
{
	return refuse(i->refusal, REASON_INTERNAL, "out of memory");
}

/* ---- the facts ---- */

static int read_lists(struct inquiry *i)
{
	const struct lines *sent = &i->q->sent;
	struct sec_error where = {0};
	struct sec_header header;
	int err;

	if (security_server_write(i->q->listener, NULL, NULL, i->list, sizeof(i->list)) < 0)
		return refuse(i->refusal, REASON_INTERNAL, "the listener's list cannot be written");
	if (!sent->count) {
		snprintf(i->sent, sizeof(i->sent), "%s", i->list);
		return 0;
	}
	err = sec_header_parse(sent->line, sent->count, &header, &where);
	if (err == -ENOMEM)
		return no_memory(i);
	if (err)
		return refuse_header(i->refusal, "sent", &where);
	err = choose_mirror(&header, NULL, 0, i->sent, sizeof(i->sent));
	sec_header_done(&header);
	return err > 0 ? 0
		       : refuse(i->refusal, REASON_INTERNAL, "the list that was sent is too long");
}

static int compare_verify(struct inquiry *i)
{
	struct lines verify;
	int err;

	sip_agree_lines(&i->m, SIP_SECURITY_VERIFY, &verify);
	if (!verify.count)
		return 0; /* absent */
	err = lines_compare(i->sent, &verify, i->q->listener->verify, i->difference,
			    sizeof(i->difference));
	i->facts.verify = err ? DECIDE_VERIFY_DIFFERENT : DECIDE_VERIFY_EQUAL;
	return err == -ENOMEM ? no_memory(i) : 0;
}

static int read_facts(struct inquiry *i)
{
	const struct decide_question *q = i->q;

	if (i->m.status)
		return refuse(i->refusal, REASON_BAD_MESSAGE, "it is a response");
	if (read_lists(i) < 0)
		return -ECANCELED;
	sip_agree_facts(&i->m, q->emergency, &i->facts);
	i->facts.protection = q->protection;
	i->facts.verify_required = q->protection == DECIDE_IPSEC;
	if (compare_verify(i) < 0)
		return -ECANCELED;
	sip_agree_lines(&i->m, SIP_SECURITY_CLIENT, &i->client.lines);
	if (sip_agree_client(q->listener, false, &i->client, &i->facts.client) < 0)
		return no_memory(i);
	return 0;
}

/* ---- the answer ---- */

/* RFC 3329 2.3.1: the list is that of the listener whatever the phone says, and after a wrong
 * Security-Verify the one that was sent, unmodified. */
static void add_reply(struct json_out *out, const struct inquiry *i, const struct decision *d)
{
	const char *list = d->row == 6 ? i->sent : i->list;
	char header[SENT_BYTES + SERVER_LIST_WRITE_BYTES];

	json_name(out, "reply");
	json_open(out, '{');
	json_add_number(out, "code", d->code);
	json_add_text(out, "reason", d->phrase);
	json_name(out, "headers");
	json_open(out, '[');
	snprintf(header, sizeof(header), "Security-Server: %s", list);
	if (d->add_security_server)
		json_put_text(out, header, strlen(header));
	if (d->add_require)
		json_put_string(out, "Require: sec-agree");
	json_close(out, ']');
	json_close(out, '}');
}

/* What one of @edits makes of the line @h, if any does. */
static const struct sip_edit *edit_of(const struct sip_edits *edits, const struct sip_header *h)
{
	for (size_t k = 0; k < edits->count; k++) {
		const char *at = edits->list[k].old.p;

		if (at >= h->line.p && at < h->line.p + h->line.n)
			return &edits->list[k];
	}
	return NULL;
}

/* On one line: a fold is one SP (RFC 3261 7.3.1). */
static void append_unfolded(struct text_out *out, struct span value)
{
	while (value.n) {
		const size_t fold = text_fold(value);
		const size_t n = fold ? fold : 1;

		text_out_span(out, fold ? span_of(" ") : (struct span){value.p, 1});
		value = (struct span){value.p + n, value.n - n};
	}
}

/* What @edits leave of the lines of @name, joined (RFC 3261 7.3.1); true: it is not what was
 * there. */
static bool value_after(const struct sip_edits *edits, enum sip_name name, struct text_out *out)
{
	const struct sip_header *h;
	bool changed = false;

	for (size_t at = 0; (h = sip_header_next(edits->message, name, &at));) {
		const struct sip_edit *edit = edit_of(edits, h);
		const struct span value = edit ? edit->fresh : h->value;

		changed |= edit != NULL;
		if (!value.n)
			continue;
		if (out->n)
			text_out_span(out, span_of(", "));
		append_unfolded(out, value);
	}
	return changed;
}

/* Option tags are tokens; anything else would not be the same in JSON. */
static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if ((*text < ' ' && *text != '\t') || *text > '~')
			return false;
	}
	return true;
}

/* What the edits make of the headers, into two lists under work. */
struct headers {
	struct json_out remove, replace;
};

static void add_header(struct inquiry *i, const struct sip_edits *edits, enum sip_name name,
		       char *buf, struct headers *ret)
{
	struct text_out out;

	text_out_init(&out, buf, i->m.text.n + 1); /* a name is longer than ", " */
	if (!value_after(edits, name, &out))
		return;
	if (!out.n)
		json_put_string(&ret->remove, sip_name_text(name));
	else if (is_printable(buf))
		json_add_text(&ret->replace, sip_name_text(name), buf);
	else
		i->unprintable = sip_name_text(name);
}

static int read_headers(struct inquiry *i, const struct decision *d, struct headers *ret)
{
	char *buf = malloc(i->m.text.n + 1);
	struct sip_edits edits;
	int err = buf ? 0 : -ENOMEM;

	sip_edits_init(&edits, &i->m);
	if (d->clean)
		sip_agree_clean(&edits);
	err = err ? err : edits.error;
	for (size_t k = 0; !err && k < sizeof(CLEANED) / sizeof(CLEANED[0]); k++)
		add_header(i, &edits, CLEANED[k], buf, ret);
	sip_edits_done(&edits);
	free(buf);
	return err;
}

static int add_edits(struct json_out *out, struct inquiry *i, const struct decision *d)
{
	struct headers headers = {{0}, {0}};
	int err;

	json_open(&headers.remove, '[');
	json_open(&headers.replace, '{');
	err = read_headers(i, d, &headers);
	json_close(&headers.remove, ']');
	json_close(&headers.replace, '}');
	if (!err)
		err = headers.remove.err ? headers.remove.err : headers.replace.err;
	if (!err) {
		json_name(out, "remove");
		json_put(out, headers.remove.text);
		json_name(out, "replace");
		json_put(out, headers.replace.text);
	}
	json_out_done(&headers.remove);
	json_out_done(&headers.replace);
	return err;
}

static void add_start(struct json_out *out, const struct inquiry *i, const struct decision *d)
{
	enum choose_start start = CHOOSE_START_SA_OFFER;

	if (d->add_security_server && i->client.has_common)
		start = i->client.common.start;
	else if (!d->start_agreement)
		return;
	json_add_text(out, "start", choose_start_name(start));
}

static void add_why(struct json_out *out, const struct inquiry *i, const struct decision *d)
{
	const struct sec_error *error = &i->client.error;
	char why[sizeof(i->difference) + 400];

	if (d->row == 6 && i->difference[0])
		snprintf(why, sizeof(why), "%s: %s", d->why, i->difference);
	else if (d->code == 400)
		snprintf(why, sizeof(why), "Security-Client, line %zu, offset %zu: %s",
			 error->line + 1, error->offset, error->why);
	else
		snprintf(why, sizeof(why), "%s", d->why);
	json_add_text(out, "why", why);
}

static int fill(struct json_out *out, struct inquiry *i, const struct decision *d)
{
	int err = 0;

	json_add_text(out, "action", decide_action_name(d->action));
	switch (d->action) {
	case DECIDE_FORWARD:
		err = add_edits(out, i, d);
		break;
	case DECIDE_REPLY:
		add_reply(out, i, d);
		break;
	case DECIDE_DROP:
		break;
	}
	add_start(out, i, d);
	if (d->row)
		json_add_number(out, "row", d->row);
	add_why(out, i, d);
	return err;
}

static int answer(struct inquiry *i, struct json_out *out)
{
	struct decision d;
	int err;

	decide_request(&i->q->listener->decide, &i->facts, &d);
	json_open(out, '{');
	err = fill(out, i, &d);
	json_close(out, '}');
	if (i->unprintable)
		return refuse(i->refusal, REASON_BAD_MESSAGE, "%s holds more than printable ASCII",
			      i->unprintable);
	return err || out->err ? no_memory(i) : 0;
}

int decide_json(const struct decide_question *question, struct json_out *out,
		struct refusal *refusal)
{
	struct inquiry i = {.q = question, .refusal = refusal};
	const char *why;
	int err;

	if (sip_init() < 0)
		return no_memory(&i);
	err = sip_message_parse(question->message, &i.m, &why);
	if (err)
		return err == -ENOMEM ? no_memory(&i)
				      : refuse(refusal, REASON_BAD_MESSAGE, "%s", why);
	err = read_facts(&i);
	if (!err)
		err = answer(&i, out);
	sip_client_done(&i.client);
	sip_message_done(&i.m);
	return err;
}
