/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: what its files share. doctor.c has the table of checks.
 */
#ifndef DAEMON_CTL_DOCTOR_H
#define DAEMON_CTL_DOCTOR_H

#include <sys/types.h>

#include "daemon/config.h"
#include "daemon/ctl/ctl.h"

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_WARN, /* it works, or may work, but not as it should */
	DOCTOR_FAIL, /* phones cannot register, or are not protected */
};

struct doctor {
	const char *config_path;
	bool has_config;
	struct config config;    /* without any listener when there is none */
	const char *socket_path; /* the control socket's */
	json_t *status;          /* the daemon's answer; NULL: none answers */
	struct config_listener running[CONFIG_MAX_LISTENERS]; /* those that it says it has */
	size_t running_count;
	pid_t pid;               /* of the daemon; 0: not known, or not to be seen from here */
	bool elsewhere;          /* its network is another one, and closed to us */
	const char *check;       /* that is being made */
	json_t *findings;
	enum doctor_level worst;
	bool no_memory;
};

/* A finding of this check, and then what to do about it. A check that finds nothing is fine. */
void doctor_find(struct doctor *d, enum doctor_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_advise(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What stands behind @name in the first line of @path that begins with it. 0 or -ENOENT. */
int doctor_line(const char *path, const char *name, char *ret_text, size_t cap);

/* The decimal number in a file of /proc/sys. 0 or -ENOENT. */
int doctor_number(const char *path, unsigned long long *ret);

/* Does process @who ("self" or a number) have CAP_NET_ADMIN? False also when that is not to be
 * known. */
bool doctor_is_net_admin(const char *who);

/* The user that the daemon is, or will be when root starts it. 0, or -ENOENT: there is no such. */
int doctor_user(const struct doctor *d, uid_t *ret);

/* The listeners of daemon.status that can be read, with the defaults for what it does not tell. @ret
 * holds CONFIG_MAX_LISTENERS. Returns how many there are. */
size_t doctor_listeners(const json_t *status, struct config_listener *ret);

/* The checks. */
void doctor_configuration(struct doctor *d);
void doctor_daemon(struct doctor *d);
void doctor_sockets(struct doctor *d);
void doctor_state(struct doctor *d);
void doctor_capability(struct doctor *d);
void doctor_limits(struct doctor *d);

void doctor_algorithms(struct doctor *d);
void doctor_kernel(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_counters(struct doctor *d);

void doctor_addresses(struct doctor *d);
void doctor_sysctls(struct doctor *d);
void doctor_policies(struct doctor *d);

void doctor_ports(struct doctor *d);
void doctor_encap(struct doctor *d);
void doctor_eavesdroppers(struct doctor *d);

#endif
