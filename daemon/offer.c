/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parse, select, create. The order of the checks is that of TS 33.203 7.2: first what the phone
 * wrote, then whether we have anything in common, then whether there is room.
 */
#include "daemon/offer.h"
#include "daemon/event.h"
#include "daemon/security_server.h"
#include "daemon/impu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of what is told of an offer's combinations. */
#define CONSIDERED_BYTES 2048

/* Is there a mechanism beside ipsec-3gpp? */
static bool has_other(const struct offer *offer, const struct offer_result *result,
		      struct choose_common *ret)
{
	return choose_for_server(&offer->listener->mechanisms, &result->header, false, ret) == 0;
}

/* RFC 3329 2.3.1: the static list, without SPIs and ports, which only a 401 has. */
static int refuse_494(const struct offer *offer, const struct offer_result *result,
		      struct refusal *refusal, const char *why)
{
	const int err = refuse(refusal, REASON_NO_COMMON_MECHANISM, "%s", why);
	struct choose_common common;

	if (security_server_write(offer->listener, NULL, NULL, refusal->security_server,
				  sizeof(refusal->security_server)) < 0)
		return refuse(refusal, REASON_INTERNAL, "Security-Server does not fit");
	refusal->has_start = has_other(offer, result, &common);
	if (refusal->has_start)
		refusal->start = common.start;
	return err;
}

static int read_ipsec(const struct offer *offer, struct offer_result *result,
		      struct refusal *refusal)
{
	struct sec_error where = { 0 };
	int err;

	if (!server_list_has(&offer->listener->mechanisms, MECHANISM_IPSEC_3GPP))
		return refuse_494(offer, result, refusal,
				  "ipsec-3gpp is not among the mechanisms of this listener");
	err = ipsec3gpp_read(&result->header, SEC_CLIENT, &result->offered, &where);
	if (err == -ENOENT)
		return refuse_494(offer, result, refusal, "Security-Client offers no ipsec-3gpp");
	return err ? refuse_header(refusal, "Security-Client", &where) : 0;
}

static int read_header(const struct offer *offer, struct offer_result *result,
		       struct refusal *refusal)
{
	struct sec_error where = { 0 };
	int err;

	err = sec_header_parse(offer->security_client.line, offer->security_client.count,
			       &result->header, &where);
	if (err == -ENOMEM)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	if (err)
		return refuse_header(refusal, "Security-Client", &where);
	err = read_ipsec(offer, result, refusal);
	if (err)
		sec_header_done(&result->header);
	return err;
}

/* TS 33.203 M.7.2: a NAT shows by a source address that is not the Via's. M.7.4.2a: over a set of
 * UDP-enc-tun the phone knows its public address, and the new set keeps the mode. */
static bool is_behind_nat(const struct offer *offer, const struct sa_set *over)
{
	if (over)
		return over->suite.mod == IPSEC_MOD_UDP_ENC_TUN;
	return offer->via.family != AF_UNSPEC && !ip_equal(&offer->via, &offer->ue_address);
}

static int choose(const struct offer *offer, const struct sa_set *over,
		  struct offer_result *result, struct refusal *refusal)
{
	struct select_result *selection = &result->selection;
	struct choose_common common;
	char why[200];

	result->nat = is_behind_nat(offer, over);
	select_offer(&result->offered, &offer->listener->select, result->nat, selection);
	if (selection->found) {
		choose_for_server(&offer->listener->mechanisms, &result->header, true, &common);
		result->start = common.start;
		return 0;
	}
	if (result->nat && !has_other(offer, result, &common))
		return refuse(refusal, REASON_NAT_REFUSED,
			      "the phone is behind a NAT and nothing of its offer can cross one: %s",
			      selection->why[0]);
	snprintf(why, sizeof(why), "nothing of the offer is acceptable; the first of %zu: %s",
		 result->offered.offer_count, selection->why[0]);
	return refuse_494(offer, result, refusal, why);
}

/* TS 33.203 7.1 rule 1: the set belongs to those of the offer, and to all that are registered over
 * the set before. To be freed; NULL when memory is short. */
static char *identities(const struct offer *offer, const struct sa_set *over)
{
	char *list = strdup(over ? over->impu : "");
	char *fresh = strdup(offer->impu), *rest = fresh, *identity;

	while (list && rest && (identity = strsep(&rest, "\n"))) {
		if (*identity && impu_add(&list, identity, NULL) < 0) {
			free(list);
			list = NULL;
		}
	}
	if (!fresh) {
		free(list);
		list = NULL;
	}
	free(fresh);
	return list;
}

static int create(struct sa_table *table, const struct offer *offer, const struct sa_set *over,
		  struct offer_result *result, struct refusal *refusal)
{
	char *text = lines_join(&offer->security_client);
	char *impu = identities(offer, over);
	const struct sa_set_request request = {
		.listener = offer->listener,
		.impi = offer->impi,
		.contact = offer->contact,
		.impu = impu,
		.security_client = text,
		.ue_address = offer->ue_address,
		.ue = result->offered.endpoint,
		.suite = result->selection.chosen,
		.nat = result->nat,
		.over_id = offer->over_id,
		.transaction = offer->transaction,
		.ck = offer->ck,
		.ik = offer->ik,
	};
	int err;

	if (text && impu)
		err = sa_set_create(table, &request, &result->set, refusal);
	else
		err = refuse(refusal, REASON_INTERNAL, "out of memory");
	free(impu);
	free(text);
	return err;
}

/* *@ret is NULL when the REGISTER was unprotected. */
static int find_over(const struct sa_table *table, const struct offer *offer,
		     const struct sa_set **ret, struct refusal *refusal)
{
	const struct sa_set *over = sa_table_by_id(table, offer->over_id);

	*ret = over;
	if (!offer->over_id)
		return 0;
	if (!over)
		return refuse(refusal, REASON_UNKNOWN_SET, "the set of \"over\" does not exist");
	if (over->state == SA_SET_TEMPORARY)
		return refuse(refusal, REASON_WRONG_STATE, "the set of \"over\" is temporary");
	if (strcmp(over->impi, offer->impi) != 0)
		return refuse(refusal, REASON_IDENTITY_MISMATCH,
			      "the set of \"over\" belongs to another IMPI");
	return 0;
}

/* "alg/ealg/prot/mod verdict: why", in the phone's words. */
static void write_considered(struct text_out *out, const struct ipsec_offer *offer,
			     enum select_verdict verdict, const char *why)
{
	const struct span parts[] = {
		offer->alg, span_of("/"), offer->ealg, span_of("/"), offer->prot, span_of("/"),
		offer->mod, span_of(" "), span_of(select_verdict_name(verdict)), span_of(": "),
		span_of(why),
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		text_out_span(out, parts[i]);
}

void offer_tell(const struct offer *offer, const struct ipsec3gpp *offered,
		const struct select_result *selection, bool nat)
{
	char *text = lines_join(&offer->security_client);
	char considered[CONSIDERED_BYTES];
	struct text_out out;

	text_out_init(&out, considered, sizeof(considered));
	for (size_t i = 0; offered && i < offered->offer_count; i++) {
		text_out_span(&out, span_of(i ? "; " : ""));
		write_considered(&out, &offered->offers[i], selection->verdict[i],
				 selection->why[i]);
	}
	event_emit(EVENT_OFFER, event_text("impi", offer->impi),
		   event_address("ue", &offer->ue_address),
		   event_text("listener", offer->listener->name),
		   event_text("security_client", text),
		   event_if(offered, event_text("nat", nat ? "yes" : "no")),
		   event_if(offered, event_text("considered", considered)));
	free(text);
}

int offer_make(struct sa_table *table, const struct offer *offer, struct offer_result *ret,
	       struct refusal *refusal)
{
	const struct sa_set *over;
	int err;

	if (!offer->listener->decide.sec_agree)
		return refuse(refusal, REASON_SEC_AGREE_OFF, "sec-agree is off on this listener");
	if (offer->listener->leaving)
		return refuse(refusal, REASON_LISTENER_LEAVES,
			      "listener %s is not in the configuration any more",
			      offer->listener->name);
	err = find_over(table, offer, &over, refusal);
	if (err)
		return err;
	err = read_header(offer, ret, refusal);
	if (err) {
		offer_tell(offer, NULL, NULL, false);
		return err;
	}
	err = choose(offer, over, ret, refusal);
	offer_tell(offer, &ret->offered, &ret->selection, ret->nat);
	if (!err)
		err = create(table, offer, over, ret, refusal);
	if (err)
		offer_result_done(ret);
	return err;
}

void offer_result_done(struct offer_result *result)
{
	sec_header_done(&result->header);
}
