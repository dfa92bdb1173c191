/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of a listener as text: its mechanisms (proto/server_list.c), with its combinations
 * (proto/select.c) where ipsec-3gpp stands.
 *
 * RFC 3329 2.3.1 has one static list, whatever the phone offered. "security-server = chosen" departs
 * from it as far as its purpose goes, for phones that do not bear several entries of ipsec-3gpp: in
 * a 401 that mechanism has the chosen combination alone. All other mechanisms stay, since leaving
 * them out would hide from the phone that it could have had a better one.
 */
#include "daemon/security_server.h"

int security_server_write(const struct config_listener *listener, const struct ipsec_suite *chosen,
			  const struct ipsec_endpoint *endpoint, char *buf, size_t cap)
{
	struct ipsec_suite suites[SELECT_MAX_PAIRS];
	size_t count = 1;

	if (chosen && listener->security_server == CONFIG_SECURITY_SERVER_CHOSEN)
		suites[0] = *chosen;
	else
		count = select_supported(&listener->select, chosen, suites);
	return server_list_write(&listener->mechanisms, endpoint, suites, count, buf, cap);
}
