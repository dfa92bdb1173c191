/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Unix socket is made under a umask that lets nobody in, given to its group, and only then
 * opened to those that its mode names. What is in its place is removed only when it is a socket
 * that nobody answers on: a second daemon must not take the first one's.
 *
 * A socket that a service manager has bound at that path is taken as it is. It outlives the daemon,
 * so that clients wait through a restart instead of failing.
 */
#include "daemon/listen.h"
#include "daemon/inherit.h"
#include "daemon/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define TYPE    (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

/* ---- sockets of the service manager ---- */

static bool listens_at(int fd, const void *path)
{
	struct sockaddr_un address = { 0 };
	socklen_t bytes = sizeof(address);
	int yes = 0;
	socklen_t yes_bytes = sizeof(yes);

	return getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 &&
	       address.sun_family == AF_UNIX &&
	       !strncmp(address.sun_path, path, sizeof(address.sun_path)) &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &yes_bytes) == 0 && yes;
}

/* ---- our own ---- */

/* 0: the path is free (again); -EADDRINUSE: somebody answers there. */
static int clear_path(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err;

	if (lstat(address->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, TYPE, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int give_to_group(const char *path, const char *name)
{
	const struct group *group;

	if (!name[0])
		return 0;
	group = getgrnam(name);
	if (!group)
		return -ENOENT;
	return chown(path, (uid_t)-1, group->gr_gid) < 0 ? -errno : 0;
}

/* Nobody gets in before it listens. Whoever finds the file of a daemon that died before that must be
 * able to see, as its owner, that nobody answers. */
static int bind_unix(const struct sockaddr_un *address, int *ret_fd)
{
	const mode_t before = umask(0177);
	const int fd = socket(AF_UNIX, TYPE, 0);
	int err = 0;

	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		err = -errno;
	umask(before);
	if (err && fd >= 0)
		close(fd);
	if (!err)
		*ret_fd = fd;
	return err;
}

/* Let those in that may come in. */
static int open_unix(const struct config_socket *where, int fd, char *ret_why, size_t why_cap)
{
	int err = give_to_group(where->path, where->group);

	if (err) {
		snprintf(ret_why, why_cap, "%s: group \"%s\": %s", where->path, where->group,
			 err == -ENOENT ? "no such group" : strerror(-err));
		return err;
	}
	if (chmod(where->path, where->mode) < 0 || listen(fd, BACKLOG) < 0) {
		err = -errno;
		snprintf(ret_why, why_cap, "%s: %s", where->path, strerror(-err));
	}
	return err;
}

static void explain_bind(const char *path, int err, char *ret_why, size_t why_cap)
{
	char user[64], advice[300];

	if (err != -ENOENT && err != -EACCES) {
		snprintf(ret_why, why_cap, "%s: %s", path, strerror(-err));
		return;
	}
	machine_name_user(geteuid(), user, sizeof(user));
	machine_advise_directory(path, geteuid(), advice, sizeof(advice));
	snprintf(ret_why, why_cap, "%s: %s (its directory must exist, and the user %s must be able "
		 "to write to it: %s)", path, strerror(-err), user, advice);
}

static int make_unix(const struct config_socket *where, int *ret_fd, char *ret_why, size_t why_cap)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	memcpy(address.sun_path, where->path, sizeof(address.sun_path));
	err = clear_path(&address);
	if (err) {
		snprintf(ret_why, why_cap, "%s: %s", where->path,
			 err == -EADDRINUSE ? "another secagreed answers there" : strerror(-err));
		return err;
	}
	err = bind_unix(&address, &fd);
	if (err) {
		explain_bind(where->path, err, ret_why, why_cap);
		return err;
	}
	err = open_unix(where, fd, ret_why, why_cap);
	if (err) {
		close(fd);
		unlink(where->path);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int listen_unix(const struct config_socket *where, int *ret_fd, bool *ret_made, char *ret_why,
		size_t why_cap)
{
	const int fd = inherit_take(listens_at, where->path);
	int err;

	if (fd >= 0) {
		*ret_fd = fd;
		*ret_made = false;
		return 0;
	}
	err = make_unix(where, ret_fd, ret_why, why_cap);
	*ret_made = !err;
	return err;
}

int listen_tcp(const struct ip_addr *address, uint16_t port, int *ret_fd, char *ret_why,
	       size_t why_cap)
{
	struct sockaddr_storage at;
	const socklen_t bytes = ip_sockaddr(address, port, &at);
	const int fd = socket(address->family, TYPE, 0);
	const int on = 1;
	char ip[IP_TEXT_BYTES];
	int err;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (const struct sockaddr *)&at, bytes) == 0 && listen(fd, BACKLOG) == 0) {
		*ret_fd = fd;
		return 0;
	}
	err = -errno;
	if (fd >= 0)
		close(fd);
	snprintf(ret_why, why_cap, "TCP port %u of %s: %s", port, ip_format(address, ip),
		 strerror(-err));
	return err;
}
