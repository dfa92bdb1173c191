/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another configuration without another daemon: SIGHUP and daemon.reload.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include <event2/event.h>

#include "daemon/command.h"
#include "daemon/control.h"
#include "daemon/encap.h"
#include "daemon/guard.h"
#include "daemon/store.h"

struct reload;

/* Who is told of the change. All are borrowed; NULL where there is none. */
struct reload_targets {
	struct event_base *loop;
	struct daemon *daemon; /* its .config is the caller's at first, and reload's after a reload */
	struct store *store;
	struct guards *guards;
	struct encap *encap;
	struct control *control;
};

/* Reads @path, which is absolute and borrowed. From here on @daemon and its table have us as their
 * hook. Returns NULL when memory is short. */
struct reload *reload_new(const char *path, const struct reload_targets *targets);

/* After the table: its sets point at the configuration, which may be ours. */
void reload_free(struct reload *reload);

/* Take the file whole, or nothing of it. What daemon.reload answers is added to @out.
 * Returns 0, or -ECANCELED (see @refusal) and all is as it was. */
int reload_run(struct reload *reload, struct json_out *out, struct refusal *refusal);

#endif
