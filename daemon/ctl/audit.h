/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl audit: what its two files share. An object of the kernel is a line of text here, the
 * same from either side, so that comparing two sides is comparing two sets of lines.
 */
#ifndef DAEMON_CTL_AUDIT_H
#define DAEMON_CTL_AUDIT_H

#include "daemon/config.h"
#include "daemon/ctl/ctl.h"

#define AUDIT_LINE_BYTES 256

/* What an SA is called; texts are borrowed. */
struct audit_sa {
	const char *proto, *mode, *src, *dst;
	uint32_t spi, reqid;
	uint16_t sport, dport; /* of its selector, 0: any */
	bool in_udp;
	const char *odd; /* what no SA of ours has; else "" */
};

struct audit_end {
	const char *address;
	uint16_t port, mask;
};

struct audit_policy {
	bool in;
	struct audit_end src, dst;
	const char *proto, *mode;
	uint32_t reqid;
	const char *odd;
};

const char *audit_sa_line(const struct audit_sa *sa, char buf[static AUDIT_LINE_BYTES]);
const char *audit_policy_line(const struct audit_policy *policy,
			      char buf[static AUDIT_LINE_BYTES]);

/* What the kernel holds. */
struct audit_kernel {
	const struct config *config; /* its listeners' addresses and reqids are our mark */
	json_t *sas, *policies;      /* ours: line to the real time at which it ends, 0 = never */
	json_int_t foreign_sas, foreign_policies, larval_sas;
};

/* @kernel: config, and two empty objects. Returns 0, or a negative error of libnl. */
int audit_read_kernel(struct audit_kernel *kernel);

#endif
