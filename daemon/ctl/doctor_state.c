/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: who the daemon is, and what it writes down. Its user, and whether state-dir is
 * that user's.
 *
 * A daemon that runs is asked for its user by way of /proc; else root is taken to start it, as a
 * service manager does, or the user that root becomes.
 */
#include <errno.h>
#include <stdio.h>

#include "daemon/ctl/doctor.h"
#include "daemon/machine.h"
#include "daemon/privilege.h"

static void say(void *arg, const char *what, const char *advice)
{
	struct doctor *d = arg;

	doctor_find(d, DOCTOR_FAIL, "%s", what);
	doctor_advise(d, "%s", advice);
}

/* Of the daemon that runs. */
static int running_user(const struct doctor *d, uid_t *ret)
{
	unsigned long uid;
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	if (!d->pid || doctor_line(path, "Uid:", text, sizeof(text)) < 0 ||
	    sscanf(text, "%*u %lu", &uid) != 1)
		return -ENOENT;
	*ret = (uid_t)uid;
	return 0;
}

static void look_at_user(struct doctor *d, uid_t wanted, uid_t runs_as)
{
	if (wanted == 0 && !d->config.user[0]) {
		doctor_find(d, DOCTOR_WARN, "there is no user " PRIVILEGE_USER
					    ": the daemon stays root, with CAP_NET_ADMIN alone");
		doctor_advise(d, "useradd --system " PRIVILEGE_USER
				 ", or user = \"root\" in %s where that is wanted", d->config_path);
	} else if (runs_as != wanted && runs_as == 0) {
		doctor_find(d, DOCTOR_WARN, "secagreed runs as root, and %s says another user",
			    d->config_path);
		doctor_advise(d, "restart it");
	}
}

int doctor_user(const struct doctor *d, uid_t *ret)
{
	return running_user(d, ret) == 0 ? 0 : machine_user(&d->config, 0, ret);
}

void doctor_state(struct doctor *d)
{
	uid_t wanted, runs_as;

	if (machine_user(&d->config, 0, &wanted) < 0) {
		doctor_find(d, DOCTOR_FAIL, "there is no user \"%s\": secagreed will not start",
			    d->config.user);
		doctor_advise(d, "useradd --system %s, or name another user in %s",
			      d->config.user, d->config_path);
		return;
	}
	if (running_user(d, &runs_as) < 0)
		runs_as = wanted;
	look_at_user(d, wanted, runs_as);
	machine_look_at_state(&d->config, runs_as, say, d);
}
