/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone's part of the agreement, from one answer of the P-CSCF. Of the mechanisms it knows
 * ipsec-3gpp alone, with the combinations of --offer; others are mirrored, never chosen. When the
 * entry with the highest q among those cannot start there is no second choice: just that is what
 * somebody who edits lists would like.
 *
 * Nothing is kept here: the set that was offered keeps what was agreed (set.c).
 */
#include "tests/ue/agreement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/choose.h"
#include "tests/ue/digest.h"

static bool has_challenge(const struct sip_message *answer, const char *name)
{
	struct digest_challenge challenge;
	struct span value;
	size_t cursor = 0;

	while (sip_header_next(answer, name, NULL, &cursor, &value))
		if (digest_challenge_parse(value, &challenge) == 0)
			return true;
	return false;
}

static int parse_list(const struct sip_message *answer, struct sec_header *ret,
		      struct text_out *why)
{
	struct span lines[SEC_MAX_LINES + 1]; /* one more: that is refused, not cut */
	struct sec_error error = {.why = ""};
	size_t count = 0, cursor = 0;
	int r;

	while (count <= SEC_MAX_LINES &&
	       sip_header_next(answer, "Security-Server", NULL, &cursor, &lines[count]))
		count++;
	if (count == 0) {
		text_out_printf(why, "no Security-Server in the answer");
		return -ENOENT;
	}
	r = sec_header_parse(lines, count, ret, &error);
	if (r < 0)
		text_out_printf(why, "Security-Server: %s",
				r == -ENOMEM ? strerror(ENOMEM) : error.why);
	return r;
}

static int choose(const struct sip_message *answer, const struct ue_options *options,
		  const struct sec_header *list, size_t *ret_index, struct text_out *why)
{
	const struct choose_phone phone = {
		.knows = {[MECHANISM_IPSEC_3GPP] = true},
		.suites = options->offers,
		.suite_count = options->offer_count,
		.has_challenge = has_challenge(answer, "WWW-Authenticate") ||
				 has_challenge(answer, "Proxy-Authenticate"),
	};
	char reason[160];
	int r = choose_for_phone(list, &phone, ret_index, reason, sizeof(reason));

	if (r < 0)
		text_out_printf(why, "Security-Server: %s", reason);
	return r;
}

/* The chosen entry has all that it needs: choose_for_phone() has seen to that. */
static int take_entry(struct sec_mechanism *entry, const struct ue_options *options,
		      struct agreement *ret, struct text_out *why)
{
	const struct sec_header one = {.mechanisms = entry, .mechanism_count = 1};
	struct ipsec3gpp ipsec;

	if (ipsec3gpp_read(&one, SEC_SERVER, &ipsec, NULL) < 0 ||
	    ipsec.endpoint.dialect != options->dialect) {
		text_out_printf(why, "Security-Server: not in the dialect of Security-Client");
		return -ECANCELED;
	}
	ret->suite = ipsec.offers[0].suite;
	ret->theirs = ipsec.endpoint;
	return 0;
}

static int mirror(const struct sec_header *list, struct agreement *ret, struct text_out *why)
{
	const size_t cap = SEC_MAX_BYTES + 256;
	int r;

	ret->verify = malloc(cap);
	r = ret->verify ? choose_mirror(list, NULL, 0, ret->verify, cap) : -ENOMEM;
	if (r < 0) {
		text_out_printf(why, "Security-Verify: %s", strerror(-r));
		agreement_done(ret);
		return r;
	}
	return 0;
}

int agreement_read(const struct sip_message *answer, const struct ue_options *options,
		   struct agreement *ret, char *ret_why, size_t why_cap)
{
	struct agreement agreement = {.verify = NULL};
	struct sec_header list;
	struct text_out why;
	size_t index;
	int r;

	text_out_init(&why, ret_why, why_cap);
	r = parse_list(answer, &list, &why);
	if (r < 0)
		return r;
	r = choose(answer, options, &list, &index, &why);
	if (r == 0)
		r = take_entry(&list.mechanisms[index], options, &agreement, &why);
	if (r == 0)
		r = mirror(&list, &agreement, &why);
	if (r == 0)
		*ret = agreement;
	sec_header_done(&list);
	return r;
}

void agreement_done(struct agreement *agreement)
{
	free(agreement->verify);
	agreement->verify = NULL;
}
