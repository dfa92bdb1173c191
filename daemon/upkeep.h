/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all sets need after a change of the world: their limits after a step of the clock, their
 * policies after somebody took them.
 */
#ifndef DAEMON_UPKEEP_H
#define DAEMON_UPKEEP_H

#include "daemon/sa_table.h"

struct upkeep;

/* @table is borrowed. Returns NULL when memory is short. */
struct upkeep *upkeep_new(struct sa_table *table);
void upkeep_free(struct upkeep *upkeep);

/* The machine's clock was set: tell the kernel all limits anew, by the new clock. */
void upkeep_clock_stepped(struct upkeep *upkeep);

/* All policies are gone: put those of single sets back. */
void upkeep_policies_flushed(struct upkeep *upkeep);

/* Somebody changed a policy to @policy: was it a set's, and is it no longer what that needs? */
bool upkeep_is_changed(const struct upkeep *upkeep, const struct xfrm_policy *policy);

/* @policy is gone: put it back when a set needs it. */
void upkeep_policy_deleted(struct upkeep *upkeep, const struct xfrm_policy *policy);

#endif
