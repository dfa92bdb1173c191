/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listeners' shared policies: nothing passes a protected port but through an SA.
 * TS 33.203 7.1, "Ports".
 */
#ifndef DAEMON_GUARD_H
#define DAEMON_GUARD_H

#include "daemon/config.h"

struct guards;

/* Install those of all listeners. A policy that stands there already and is the same is taken over
 * (an earlier run left it); another program's with the same selector is not touched.
 * Returns 0, or -errno with a sentence; then what this call added is gone again. */
int guards_install(struct xfrm *xfrm, const struct config *config, struct guards **ret,
		   char *ret_why, size_t why_cap);

/* The same for listeners that come to those that are guarded already. A change of listeners is this
 * with the next ones, and then guards_trim(): no port is open in between. */
int guards_add(struct guards *guards, const struct config *config, char *ret_why, size_t why_cap);

/* Delete those that no listener of @config wants. */
void guards_trim(struct guards *guards, const struct config *config);

/* Somebody deleted a policy with this index, or (0) all of them: put back what is missing or
 * changed. Returns how many were. */
size_t guards_restore(struct guards *guards, uint32_t index);

/* Somebody changed a policy to @policy: when it is a guard, undo that. Returns false when it is
 * left so for now, since it was undone seconds ago. */
bool guards_undo_change(struct guards *guards, const struct xfrm_policy *policy);

/* Delete from the kernel what @past, a listener of an earlier run, had there, but for what those of
 * @config need. Another program's in its place stays. */
void guards_remove_past(struct xfrm *xfrm, const struct config *config,
			const struct config_listener *past);

/* Delete them, by index, and free. */
void guards_remove(struct guards *guards);

/* Free; in the kernel they stay. */
void guards_free(struct guards *guards);

#endif
