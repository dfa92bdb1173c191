/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names are looked up and directories are looked at, as whoever asks; what the daemon's user could do
 * there is worked out from owners and modes. Access lists and read-only mounts are not looked at:
 * the daemon says itself what it could not open.
 */
#include "daemon/machine.h"
#include "daemon/privilege.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define STORE_NAME   "sets.mdb"
#define FIRST_PERSON 1000 /* users below are the system's */

struct look {
	void (*say)(void *arg, const char *what, const char *advice);
	void *arg;
	uid_t user;
	char user_name[64];
};

void machine_name_user(uid_t uid, char *ret, size_t cap)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret, cap, "%s", user->pw_name);
	else
		snprintf(ret, cap, "%lu", (unsigned long)uid);
}

int machine_user(const struct config *config, uid_t starter, uid_t *ret)
{
	const struct passwd *user;

	*ret = starter;
	if (starter != 0)
		return 0; /* PRIVILEGE_USER_KEPT */
	user = getpwnam(config->user[0] ? config->user : PRIVILEGE_USER);
	if (user)
		*ret = user->pw_uid;
	return user || !config->user[0] ? 0 : -ENOENT;
}

static bool is_in_group(uid_t user, gid_t group)
{
	const struct passwd *entry = getpwuid(user);
	gid_t groups[NGROUPS_MAX];
	int count = NGROUPS_MAX;

	if (!entry || getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0)
		return false;
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The first class that fits counts, also where a later one has more rights. */
bool machine_can_make_in(const struct stat *dir, uid_t user)
{
	mode_t wanted = S_IWOTH | S_IXOTH;

	if (dir->st_uid == user)
		wanted = S_IWUSR | S_IXUSR;
	else if (is_in_group(user, dir->st_gid))
		wanted = S_IWGRP | S_IXGRP;
	return (dir->st_mode & wanted) == wanted;
}

/* The system's, or somebody's home. */
static bool is_shared(const char *dir)
{
	char copy[CONFIG_DIR_BYTES];
	const char *parent;
	struct stat st;

	if (stat(dir, &st) < 0)
		return false;
	snprintf(copy, sizeof(copy), "%s", dir);
	parent = dirname(copy);
	return !strcmp(parent, "/") || !strcmp(parent, "/var") || st.st_uid >= FIRST_PERSON;
}

void machine_advise_directory(const char *path, uid_t user, char *ret, size_t cap)
{
	char socket[CONFIG_DIR_BYTES], standard[] = CONFIG_DEFAULT_SOCKET, name[64];
	const char *dir;

	snprintf(socket, sizeof(socket), "%s", path);
	dir = dirname(socket);
	machine_name_user(user, name, sizeof(name));
	if (is_shared(dir))
		snprintf(ret, cap, "install -d -m 0755 -o %s %s, and a path in there", name,
			 dirname(standard));
	else
		snprintf(ret, cap, "install -d -m 0755 -o %s %s", name, dir);
}

/* True: it is the daemon's. */
static bool look_at_owner(const struct look *look, const char *path, const struct stat *st)
{
	char what[400], advice[400], owner[64];

	if (st->st_uid == look->user)
		return true;
	machine_name_user(st->st_uid, owner, sizeof(owner));
	snprintf(what, sizeof(what), "%s belongs to %s, and the daemon is %s", path, owner,
		 look->user_name);
	snprintf(advice, sizeof(advice), "chown %s %s", look->user_name, path);
	look->say(look->arg, what, advice);
	return false;
}

static void look_at_mode(const struct look *look, const char *path, const struct stat *st)
{
	char what[400], advice[400];

	if ((st->st_mode & 0777) == 0700)
		return;
	snprintf(what, sizeof(what), "%s has the mode %04o: %s", path, st->st_mode & 0777,
		 st->st_mode & 0077 ? "it is for the daemon alone"
				    : "the daemon cannot write to it");
	snprintf(advice, sizeof(advice), "chmod 0700 %s", path);
	look->say(look->arg, what, advice);
}

/* Where it is to be made. That of the default place is for who starts the daemon to make. */
static void look_at_parent(const struct look *look, const char *dir)
{
	char copy[CONFIG_DIR_BYTES], what[400], advice[400];
	const char *parent;
	struct stat st;
	bool is_there;

	snprintf(copy, sizeof(copy), "%s", dir);
	parent = dirname(copy);
	is_there = stat(parent, &st) == 0;
	if (is_there ? machine_can_make_in(&st, look->user) : !strcmp(dir, CONFIG_DEFAULT_STATE))
		return;
	snprintf(what, sizeof(what), "%s does not exist, and %s cannot make it in %s%s", dir,
		 look->user_name, parent, is_there ? "" : ", which does not exist either");
	snprintf(advice, sizeof(advice), "install -d -m 0700 -o %s %s", look->user_name, dir);
	look->say(look->arg, what, advice);
}

static void look_at_dir(const struct look *look, const char *dir)
{
	char file[CONFIG_DIR_BYTES + sizeof(STORE_NAME) + 1], what[400];
	struct stat st;

	if (stat(dir, &st) < 0) {
		if (errno == ENOENT)
			look_at_parent(look, dir);
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(what, sizeof(what), "%s is no directory", dir);
		look->say(look->arg, what, "remove it, or set another state-dir");
		return;
	}
	if (look_at_owner(look, dir, &st))
		look_at_mode(look, dir, &st);
	snprintf(file, sizeof(file), "%s/" STORE_NAME, dir);
	if (stat(file, &st) == 0)
		look_at_owner(look, file, &st);
}

void machine_look_at_state(const struct config *config, uid_t user,
			   void (*say)(void *arg, const char *what, const char *advice), void *arg)
{
	struct look look = { .say = say, .arg = arg, .user = user };

	machine_name_user(user, look.user_name, sizeof(look.user_name));
	if (config->state_dir[0])
		look_at_dir(&look, config->state_dir);
}

static void look_at_group(const struct config_socket *s,
			  void (*say)(void *arg, const char *what, const char *advice), void *arg)
{
	char what[400], advice[200];

	if (!s->path[0] || !s->group[0] || getgrnam(s->group))
		return;
	snprintf(what, sizeof(what), "%s: there is no group \"%s\"", s->path, s->group);
	snprintf(advice, sizeof(advice), "groupadd --system %s", s->group);
	say(arg, what, advice);
}

void machine_look(const struct config *config, uid_t starter,
		  void (*say)(void *arg, const char *what, const char *advice), void *arg)
{
	char what[200], advice[200];
	uid_t user;

	look_at_group(&config->socket, say, arg);
	look_at_group(&config->monitor, say, arg);
	look_at_group(&config->http, say, arg);
	if (machine_user(config, starter, &user) == 0) {
		machine_look_at_state(config, user, say, arg);
		return;
	}
	snprintf(what, sizeof(what), "there is no user \"%s\"", config->user);
	snprintf(advice, sizeof(advice), "useradd --system %s, or name another user",
		 config->user);
	say(arg, what, advice);
}
