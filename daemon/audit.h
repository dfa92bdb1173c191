/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compares what the kernel holds with what the sets say, and mends the difference: now and then, after
 * lost events, and when asked to.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include "daemon/guard.h"
#include "daemon/sa_table.h"

struct audit;

struct audit_report {
	uint64_t sas;         /* with our mark, in the kernel */
	uint64_t foreign_sas; /* of other programs: not touched */
	uint64_t larval_sas;  /* the kernel's notes that an SA is wanted: not touched */
	uint64_t sets;        /* that have all their SAs */
	uint64_t lost_sets;   /* that had not, and were dropped */
	uint64_t orphan_sas, orphan_policies;         /* of no set: deleted */
	uint64_t restored_limits;                     /* sets with another limit: set right */
	uint64_t restored_policies, restored_guards;  /* missing or changed: put back */
	uint64_t took_ms;
	int error; /* the kernel could not be read to the end: 0 or a negative errno */
};

/* Everything is borrowed. The first audit comes after the configured interval. Returns NULL when
 * memory is short. */
struct audit *audit_new(const struct config *config, struct sa_table *table, struct guards *guards);
void audit_free(struct audit *audit);

/* Listeners and interval are those of @config from now on. */
void audit_use(struct audit *audit, const struct config *config);

/* Something was missed: audit as soon as may be, but not every moment. */
void audit_soon(struct audit *audit);

/* Audit now, to the end, which holds up everything else: 50 us for each set, measured in an emulated
 * machine. */
void audit_run(struct audit *audit, struct audit_report *ret);

bool audit_is_clean(const struct audit_report *report);

#endif
