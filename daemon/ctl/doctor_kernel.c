/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: what the kernel can do, its version, its clock.
 *
 * Algorithms are tried as the daemon tries them when it starts, by the same code (probe.c): an SA
 * of each combination is added and deleted. A child does it in an empty network namespace of its
 * own, so that nothing of it is ever seen where phones are served. Where making such a namespace is
 * not allowed, it says so; /proc/crypto is not asked instead, because modules that are not loaded
 * yet are not in it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"
#include "daemon/probe.h"

/* ---- algorithms ---- */

enum {
	TRIED = 0,
	NO_NAMESPACE = 1,
	NO_XFRM = 2,
};

static FILE *child_output;

/* Oddities that are not fatal are about the namespace: the child's is as new. */
static void child_says(bool fatal, const char *what, const char *advice)
{
	if (fatal)
		fprintf(child_output, "%s\t%s\n", what, advice);
}

static bool enter_empty_network(void)
{
	if (doctor_is_net_admin("self") && unshare(CLONE_NEWNET) == 0)
		return true;
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static int try_all(const struct config *config, int fd)
{
	struct xfrm *xfrm;

	child_output = fdopen(fd, "w");
	if (!child_output || !enter_empty_network())
		return NO_NAMESPACE;
	if (xfrm_open(&xfrm) < 0)
		return NO_XFRM;
	probe_kernel(xfrm, config, child_says);
	xfrm_close(xfrm);
	return fflush(child_output) == 0 ? TRIED : NO_NAMESPACE;
}

static void take_line(struct doctor *d, char *line)
{
	char *advice = strchr(line, '\t');

	line[strcspn(line, "\n")] = '\0';
	if (advice)
		*advice = '\0';
	doctor_find(d, DOCTOR_FAIL, "%s", line);
	if (advice)
		doctor_advise(d, "%s", advice + 1);
}

static void take_status(struct doctor *d, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == TRIED)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_XFRM) {
		doctor_find(d, DOCTOR_FAIL, "this kernel has no XFRM");
		doctor_advise(d, "load the module xfrm_user, or boot a kernel that has it");
		return;
	}
	doctor_find(d, DOCTOR_WARN, "not tried: no empty network namespace can be made here");
	doctor_advise(d, "run this as root");
}

static void try_in_child(struct doctor *d, const struct config *config)
{
	char *line = NULL;
	size_t cap = 0;
	int ends[2], status = 0;
	FILE *lines = NULL;
	pid_t child = -1;

	if (pipe(ends) == 0) {
		child = fork();
		if (child == 0)
			_exit(try_all(config, ends[1]));
		close(ends[1]);
		lines = fdopen(ends[0], "r");
	}
	while (lines && getline(&line, &cap, lines) > 0)
		take_line(d, line);
	if (lines)
		fclose(lines);
	free(line);
	if (child < 0 || waitpid(child, &status, 0) < 0 || !lines) {
		d->no_memory = true;
		return;
	}
	take_status(d, status);
}

void doctor_algorithms(struct doctor *d)
{
	static struct config defaults;

	if (d->has_config) {
		try_in_child(d, &d->config);
		return;
	}
	config_default(&defaults);
	config_listener_default(&defaults.listeners[0]);
	snprintf(defaults.listeners[0].name, CONFIG_NAME_BYTES, "(defaults)");
	ip_parse("192.0.2.1", &defaults.listeners[0].address);
	defaults.listener_count = 1;
	try_in_child(d, &defaults);
}

/* ---- version ---- */

/* Sets from where the walk through the SAs of a CPU is felt. */
#define MANY_SETS 4000

void doctor_kernel(struct doctor *d)
{
	unsigned major = 0, minor = 0, patch = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u.%u", &major, &minor, &patch);
	if (major < 6 || (major == 6 && (minor < 12 || (minor == 12 && patch < 13))) ||
	    d->config.max_sets <= MANY_SETS) {
		doctor_find(d, DOCTOR_OK, "%s", name.release);
		return;
	}
	doctor_find(d, DOCTOR_WARN,
		    "%s searches all SAs that a CPU has used for each packet that arrives: slower "
		    "with each phone, and max-sets is %u",
		    name.release, d->config.max_sets);
	doctor_advise(d,
		      "with more than %u phones take a kernel 6.1 or 6.6, or spread packets "
		      "over more CPUs (RSS); else set max-sets to %u",
		      MANY_SETS, MANY_SETS);
}

/* ---- clock ---- */

/* The kernel counts the life of SAs in real time. */
void doctor_clock(struct doctor *d)
{
	struct timex state = {0};

	if (adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC))
		return;
	doctor_find(d, DOCTOR_WARN, "not synchronised: when somebody sets it, SAs may end early");
	doctor_advise(d, "run chrony, systemd-timesyncd or ntpd");
}
