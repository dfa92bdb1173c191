/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UDP sockets that take ESP in UDP (RFC 3948) off the wire for the kernel. TS 33.203 Annex M.
 */
#ifndef DAEMON_ENCAP_H
#define DAEMON_ENCAP_H

#include <event2/event.h>

#include "daemon/config.h"

struct encap;

/* One for each listener that serves UDP-enc-tun, on its address and encap-port; what was inherited
 * and nobody has taken so far is taken or closed. On failure @ret_why
 * says what to do. Returns 0 or -errno. */
int encap_open(struct event_base *loop, const struct config *config, struct encap **ret,
	       char *ret_why, size_t why_cap);

/* The same for listeners that come to those that are served already; on failure nothing is added. */
int encap_add(struct encap *encap, struct event_base *loop, const struct config *config,
	      char *ret_why, size_t why_cap);

/* Close those that are at no listener of @config any more. */
void encap_trim(struct encap *encap, const struct config *config);

void encap_close(struct encap *encap);

#endif
