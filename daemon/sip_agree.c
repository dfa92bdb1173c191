/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request as the decision table sees it. The table takes facts and gives a decision; who has a
 * whole message finds the facts here and has the cleaning done here, so that the daemon's
 * sip.request and agreement.decide and `secagreectl decide` cannot come to differ.
 *
 * It deliberately knows no set of SAs: whether the message came on one, and what had been sent over
 * it, is what the callers differ in.
 */
#include "daemon/sip_agree.h"
#include "proto/option_tag.h"

#include <errno.h>

void sip_agree_facts(const struct sip_message *m, bool emergency, struct decide_facts *ret)
{
	*ret = (struct decide_facts){
		.method = decide_method_of(m->method),
		.via_count = m->via_count,
		.require_tag = sip_has_tag(m, SIP_REQUIRE, OPTION_TAG_SEC_AGREE),
		.proxy_require_tag = sip_has_tag(m, SIP_PROXY_REQUIRE, OPTION_TAG_SEC_AGREE),
		.supported_tag = sip_has_tag(m, SIP_SUPPORTED, OPTION_TAG_SEC_AGREE),
		.emergency = emergency || sip_is_emergency(m),
	};
}

void sip_agree_lines(const struct sip_message *m, enum sip_name name, struct lines *ret)
{
	const struct sip_header *h;

	ret->count = 0;
	for (size_t at = 0; (h = sip_header_next(m, name, &at));) {
		if (ret->count < sizeof(ret->line) / sizeof(ret->line[0]))
			ret->line[ret->count++] = h->value;
	}
}

static enum decide_client judge_offer(const struct config_listener *listener, bool behind_nat,
				      struct sip_client *client)
{
	struct ipsec3gpp offered;
	struct select_result selection;
	int err;

	if (!server_list_has(&listener->mechanisms, MECHANISM_IPSEC_3GPP))
		return DECIDE_CLIENT_UNUSABLE;
	err = ipsec3gpp_read(&client->header, SEC_CLIENT, &offered, &client->error);
	if (err == -ENOENT)
		return DECIDE_CLIENT_UNUSABLE;
	if (err)
		return DECIDE_CLIENT_BAD;
	select_offer(&offered, &listener->select, behind_nat, &selection);
	if (selection.found)
		return DECIDE_CLIENT_USABLE;
	select_offer(&offered, &listener->select, !behind_nat, &selection);
	client->nat_refused = behind_nat && selection.found;
	return DECIDE_CLIENT_UNUSABLE;
}

int sip_agree_client(const struct config_listener *listener, bool behind_nat,
		     struct sip_client *client, enum decide_client *ret)
{
	const struct lines *lines = &client->lines;
	int err;

	if (!lines->count) {
		*ret = DECIDE_CLIENT_ABSENT;
		return 0;
	}
	err = sec_header_parse(lines->line, lines->count, &client->header, &client->error);
	if (err == -ENOMEM)
		return err;
	client->readable = !err;
	if (err) {
		*ret = DECIDE_CLIENT_BAD;
		return 0;
	}
	*ret = judge_offer(listener, behind_nat, client);
	client->has_common =
		choose_for_server(&listener->mechanisms, &client->header,
				  *ret == DECIDE_CLIENT_USABLE, &client->common) == 0;
	return 0;
}

void sip_client_done(struct sip_client *client)
{
	if (client->readable)
		sec_header_done(&client->header);
	client->readable = false;
}

/* RFC 3329 2.3.1 */
void sip_agree_clean(struct sip_edits *edits)
{
	sip_edit_remove(edits, SIP_SECURITY_CLIENT);
	sip_edit_remove(edits, SIP_SECURITY_SERVER);
	sip_edit_remove(edits, SIP_SECURITY_VERIFY);
	sip_edit_remove_tag(edits, SIP_REQUIRE, OPTION_TAG_SEC_AGREE);
	sip_edit_remove_tag(edits, SIP_PROXY_REQUIRE, OPTION_TAG_SEC_AGREE);
}
