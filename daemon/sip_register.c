/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a REGISTER to an entry of sip_pending.c, and from its 200 to a number of seconds.
 *
 * A phone registers one contact of its own. Where it names several, as it does when it moves from
 * one to another, the one that is to live longest counts. Bindings of other devices that a 200
 * lists too are no business of this phone's sets (RFC 3261 10.3).
 */
#include "daemon/sip_register.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTACT_BYTES     768
#define DEFAULT_EXPIRES_S 3600 /* RFC 3261 10.2: nothing was asked for */

static void read_contact(const struct sip_message *m, struct sip_pending *entry,
			 struct sip_contact *ret)
{
	uint32_t expires_s = DEFAULT_EXPIRES_S;
	const size_t count = sip_contact_count(m);

	sip_expires(m, &expires_s);
	memset(ret, 0, sizeof(*ret));
	entry->purpose = count ? SIP_UNBIND : SIP_FETCH;
	for (size_t i = 0; i < count; i++) {
		struct sip_contact contact;
		uint32_t asked_s;

		sip_contact_at(m, i, &contact);
		asked_s = contact.star ? 0 : contact.has_expires ? contact.expires_s : expires_s;
		if (i && asked_s <= entry->expires_s)
			continue;
		*ret = contact;
		entry->expires_s = asked_s;
		if (asked_s)
			entry->purpose = SIP_BIND;
	}
	entry->contact_port = ret->port;
}

static void put_printable(struct text_out *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		text_out_printf(out, "%c", s.p[i] > ' ' && s.p[i] <= '~' ? s.p[i] : '?');
}

/* What tells the contacts of one IMPI at one address apart (TS 33.203 6.1.0): the device, the flow,
 * and whether it is for emergencies. A re-registration keeps the contact of the set that it came on. */
static void name_contact(const struct sa_set *set, const struct sip_contact *contact,
			 char ret[static CONTACT_BYTES])
{
	struct text_out out;

	text_out_init(&out, ret, CONTACT_BYTES);
	if (set && !contact->sos) {
		text_out_printf(&out, "%s", sa_contact_name(set->contact));
		return;
	}
	put_printable(&out, contact->instance);
	if (contact->reg_id.n) {
		text_out_printf(&out, ";");
		put_printable(&out, contact->reg_id);
	}
	if (contact->sos)
		text_out_printf(&out, ";sos");
}

static char *text_of(struct span s)
{
	return strndup(s.n ? s.p : "", s.n);
}

static void fill_texts(const struct sip_work *w, const struct sip_register_request *request,
		       const struct sip_contact *contact, struct sip_pending *entry)
{
	const struct sa_set *set = request->set;
	char name[CONTACT_BYTES];

	name_contact(set, contact, name);
	entry->text[SIP_PENDING_KEY] = sip_work_key(w);
	entry->text[SIP_PENDING_IMPI] = strdup(set ? set->impi : request->impi);
	entry->text[SIP_PENDING_IMPU] = strdup(request->impu);
	entry->text[SIP_PENDING_CONTACT] = strdup(name);
	entry->text[SIP_PENDING_SECURITY_CLIENT] = lines_join(request->security_client);
	entry->text[SIP_PENDING_USER] = text_of(contact->user);
	entry->text[SIP_PENDING_HOST] = text_of(contact->host);
	entry->text[SIP_PENDING_INSTANCE] = text_of(contact->instance);
	entry->text[SIP_PENDING_REG_ID] = text_of(contact->reg_id);
}

static struct sa_contact *find_contact(const struct sa_table *table,
				       const struct sip_pending *entry)
{
	struct sa_contact *contact;
	char *key = sa_contact_key(entry->text[SIP_PENDING_IMPI], &entry->remote.address,
				   entry->text[SIP_PENDING_CONTACT]);

	if (!key)
		return NULL;
	contact = sa_table_contact(table, key);
	free(key);
	return contact;
}

int sip_register_remember(const struct sip_work *w, const struct sip_register_request *request,
			  struct sa_contact **ret_contact, struct refusal *why)
{
	const struct sa_set *set = request->set;
	const bool answers = set && set->state == SA_SET_TEMPORARY;
	struct sip_pending entry = {
		.listener = request->listener,
		.local = w->in->destination,
		.remote = w->in->source,
		.reply_to = sip_work_reply_place(w),
		.transport = w->in->transport,
		.via = sip_work_via_address(w),
		.wants_agreement = request->start_agreement || (set && !answers),
		.over_id = set ? set->id : 0,
		.answers_challenge = answers,
		.rank = set ? SIP_PENDING_PROTECTED : SIP_PENDING_CLEAR,
	};
	struct sip_contact contact;
	bool whole = true;
	int err;

	read_contact(&w->m, &entry, &contact);
	fill_texts(w, request, &contact, &entry);
	for (size_t i = 0; i < SIP_PENDING_TEXTS; i++)
		whole = whole && entry.text[i];
	err = whole ? sip_pending_add(w->flow->pending, &entry, why)
		    : refuse(why, REASON_INTERNAL, "out of memory");
	if (!err)
		*ret_contact = find_contact(w->flow->table, &entry);
	for (size_t i = 0; i < SIP_PENDING_TEXTS; i++)
		free(entry.text[i]);
	return err;
}

/* ---- the 200 ---- */

static struct sip_contact contact_of(const struct sip_pending *entry)
{
	return (struct sip_contact){
		.user = span_of(entry->text[SIP_PENDING_USER]),
		.host = span_of(entry->text[SIP_PENDING_HOST]),
		.port = entry->contact_port,
		.instance = span_of(entry->text[SIP_PENDING_INSTANCE]),
		.reg_id = span_of(entry->text[SIP_PENDING_REG_ID]),
	};
}

uint32_t sip_register_granted_s(const struct sip_message *response, const struct sip_pending *entry)
{
	const struct sip_contact wanted = contact_of(entry);
	const size_t count = sip_contact_count(response);
	uint32_t expires_s = entry->expires_s;

	sip_expires(response, &expires_s);
	for (size_t i = 0; i < count; i++) {
		struct sip_contact contact;

		sip_contact_at(response, i, &contact);
		/* the home network may have rewritten the only one */
		if (contact.has_expires && (count == 1 || sip_contact_same(&contact, &wanted)))
			return contact.expires_s;
	}
	return expires_s;
}
