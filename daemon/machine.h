/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does this machine have the users, groups and directories that a configuration speaks of? For
 * `secagreed --check-config` and `secagreectl doctor`: nothing is changed, and no rights are needed.
 */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

#include <sys/stat.h>

#include "daemon/config.h"

/* The user that a daemon of @config is when @starter starts it. Returns 0, or -ENOENT: the one that
 * it names does not exist. privilege.h */
int machine_user(const struct config *config, uid_t starter, uid_t *ret);

/* The user's name, or its number where it has none. */
void machine_name_user(uid_t user, char *ret, size_t cap);

/* What keeps a daemon that is @user from using state-dir. @say is called for each thing, with what to
 * do about it. What is not there is nothing: it is made. */
void machine_look_at_state(const struct config *config, uid_t user,
			   void (*say)(void *arg, const char *what, const char *advice), void *arg);

/* Can @user make a socket, or another file, in @dir?
 * A daemon that is root has no more rights than its name: it keeps CAP_NET_ADMIN alone. */
bool machine_can_make_in(const struct stat *dir, uid_t user);

/* The command that gives the socket at @path a directory in which @user can make it. A directory that
 * others live in, such as /run, is not to be given away: then it is one for another path. */
void machine_advise_directory(const char *path, uid_t user, char *ret, size_t cap);

/* All that is missing for a daemon that @starter starts: its user, groups of sockets, state-dir. */
void machine_look(const struct config *config, uid_t starter,
		  void (*say)(void *arg, const char *what, const char *advice), void *arg);

#endif
