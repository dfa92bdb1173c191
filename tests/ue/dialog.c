/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a dialog that this phone began: who the other end is and which way leads there.
 * Before the 2xx there is only a name and a number; with it come the tag, the target (Contact) and
 * the route set, which is Record-Route from its end (RFC 3261 12.1.2).
 *
 * Later changes of the target (12.2.1.2) are not followed: calls here have one INVITE.
 */
#include "tests/ue/dialog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ue/event.h"

int dialog_begin(struct dialog *dialog, const char *uri)
{
	int n;

	memset(dialog, 0, sizeof(*dialog));
	n = snprintf(dialog->target, sizeof(dialog->target), "%s", uri);
	if (n < 1 || n >= (int)sizeof(dialog->target) - 2)
		return -EINVAL;
	snprintf(dialog->remote, sizeof(dialog->remote), "<%.*s>", n, uri);
	dialog->cseq = 1;
	return random_hex(dialog->call_id, 16) < 0 || random_hex(dialog->tag, 8) < 0 ? -EIO : 0;
}

static int take_target(struct dialog *dialog, const struct sip_message *m)
{
	osip_contact_t *contact = osip_list_get(&m->osip->contacts, 0);
	char *uri = NULL;
	int n;

	if (!contact || osip_uri_to_str(contact->url, &uri) < 0)
		return -EINVAL;
	n = snprintf(dialog->target, sizeof(dialog->target), "%s", uri);
	osip_free(uri);
	return n < (int)sizeof(dialog->target) ? 0 : -EINVAL;
}

static int take_routes(struct dialog *dialog, const struct sip_message *m)
{
	size_t n = 0;

	for (int i = osip_list_size(&m->osip->record_routes) - 1; i >= 0; i--) {
		osip_record_route_t *route = osip_list_get(&m->osip->record_routes, i);
		const size_t room = sizeof(dialog->routes) - n;
		char *text = NULL;
		int more;

		if (osip_record_route_to_str(route, &text) < 0)
			return -EINVAL;
		more = snprintf(dialog->routes + n, room, "Route: %s\r\n", text);
		osip_free(text);
		if (more < 0 || (size_t)more >= room)
			return -EINVAL;
		n += (size_t)more;
	}
	return 0;
}

int dialog_answered(struct dialog *dialog, const struct sip_message *m)
{
	struct span to;
	size_t cursor = 0;

	if (!*sip_to_tag(m) || !sip_header_next(m, "To", "t", &cursor, &to) ||
	    to.n >= sizeof(dialog->remote))
		return -EINVAL;
	snprintf(dialog->remote, sizeof(dialog->remote), "%.*s", (int)to.n, to.p);
	return take_target(dialog, m) < 0 || take_routes(dialog, m) < 0 ? -EINVAL : 0;
}
