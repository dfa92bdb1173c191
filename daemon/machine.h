/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does this machine have the users, groups and directories that a configuration speaks of? For
 * `secagreed --check-config` and `secagreectl doctor`: nothing is changed, and no rights are needed.
 */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

#include "daemon/config.h"

/* The user that a daemon of @config is when @starter starts it. Returns 0, or -ENOENT: the one that
 * it names does not exist. privilege.h */
int machine_user(const struct config *config, uid_t starter, uid_t *ret);

/* What keeps a daemon that is @user from using state-dir. @say is called for each thing, with what to
 * do about it. What is not there is nothing: it is made. */
void machine_look_at_state(const struct config *config, uid_t user,
			   void (*say)(void *arg, const char *what, const char *advice), void *arg);

/* All that is missing for a daemon that @starter starts: its user, groups of sockets, state-dir. */
void machine_look(const struct config *config, uid_t starter,
		  void (*say)(void *arg, const char *what, const char *advice), void *arg);

#endif
