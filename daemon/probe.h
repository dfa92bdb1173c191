/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can this machine do the job? Tried before the daemon serves anybody.
 */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "daemon/config.h"

/* Try CAP_NET_ADMIN, and for each listener an SA of each of its algorithms, protocols and modes
 * (which also loads the kernel's modules before a phone waits for them). @say is called for each thing
 * that is missing (@fatal) and for each oddity, with what to do about it. Returns 0 when everything works, else
 * the number of things that are missing. */
unsigned probe_kernel(struct xfrm *xfrm, const struct config *config,
		      void (*say)(bool fatal, const char *what, const char *advice));

/* The same for one listener, without the capability. */
unsigned probe_listener(struct xfrm *xfrm, const struct config_listener *listener,
			void (*say)(bool fatal, const char *what, const char *advice));

#endif
