/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Root is needed for nothing but to become somebody else. The kernel asks for CAP_NET_ADMIN at each
 * XFRM message, at SOCK_DESTROY and at large receive buffers; the netlink socket's opener is asked
 * as well as its user, so both have it and nothing else.
 *
 * It works both ways: started by root, the process becomes the user of the configuration; started
 * by a service manager as that user with the capability, it drops the rest. The limits that only
 * root may raise are raised first.
 *
 * Deliberately absent: a second process with more rights, chroot (the service manager hides files
 * better), keeping root's name without its powers where there is another name to have.
 */
#include "daemon/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Whom to become; NULL and 0: nobody. */
static int find_user(const char *name, const struct passwd **ret, char *ret_why, size_t why_cap)
{
	errno = 0;
	*ret = getpwnam(name[0] ? name : PRIVILEGE_USER);
	if (*ret || !name[0])
		return 0;
	snprintf(ret_why, why_cap, "user \"%s\": %s", name,
		 errno ? strerror(errno) : "there is no such user");
	return errno ? -errno : -ENOENT;
}

/* What capng_apply() and capng_change_id() leave: nothing, or CAP_NET_ADMIN where we have it. */
static void want_net_admin(void)
{
	bool have;

	capng_get_caps_process();
	have = capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN);
	capng_clear(CAPNG_SELECT_ALL);
	if (have)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
}

static int become(const struct passwd *user)
{
	const capng_flags_t flags = CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING |
				    CAPNG_CLEAR_AMBIENT;

	want_net_admin();
	return capng_change_id((int)user->pw_uid, (int)user->pw_gid, flags) ? -EPERM : 0;
}

/* The bounding set is root's to change; for others no_new_privs does the same. */
static int stay(bool root)
{
	want_net_admin();
	return capng_apply(root ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT)
	       ? -EPERM : 0;
}

static int change_user(const char *name, enum privilege_user *ret, char *ret_why, size_t why_cap)
{
	const struct passwd *user;
	int err;

	if (geteuid() != 0) {
		*ret = PRIVILEGE_USER_KEPT;
		return stay(false);
	}
	err = find_user(name, &user, ret_why, why_cap);
	if (err)
		return err;
	if (user && user->pw_uid != 0) {
		*ret = PRIVILEGE_USER_CHANGED;
		return become(user);
	}
	*ret = user ? PRIVILEGE_USER_ROOT : PRIVILEGE_USER_MISSING;
	return stay(true);
}

int privilege_drop(const char *user, enum privilege_user *ret, char *ret_why, size_t why_cap)
{
	static const struct rlimit NO_CORE = { 0, 0 };
	static const struct rlimit ALL_LOCKED = { RLIM_INFINITY, RLIM_INFINITY };
	enum privilege_user who;
	int err;

	snprintf(ret_why, why_cap, "the capabilities cannot be given up");
	/* What came of it, privilege_lock_memory() sees. */
	(void)setrlimit(RLIMIT_MEMLOCK, &ALL_LOCKED);
	err = change_user(user, &who, ret_why, why_cap);
	if (err)
		return err;
	/* Last, since a change of the user sets it anew. */
	if (setrlimit(RLIMIT_CORE, &NO_CORE) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		err = -errno;
		snprintf(ret_why, why_cap, "core dumps cannot be switched off: %s", strerror(-err));
		return err;
	}
	*ret = who;
	return 0;
}

/* All of it: keys pass through the buffers of several libraries, so that no few pages can be named.
 * Nothing needs to be left out of a core (MADV_DONTDUMP): of who is not dumpable there is none,
 * whatever the limit. */
int privilege_lock_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return -errno;
	if (limit.rlim_cur != RLIM_INFINITY)
		return -EPERM;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
}
