/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's XFRM has dropped, of all phones and all programs of this network namespace
 * together: the few counters of /proc/net/xfrm_stat that say something of a phone. No netlink; the
 * file is read anew each time.
 */
#include "xfrm/xfrm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t *counter_of(struct xfrm_drops *drops, const char *name)
{
	if (!strcmp(name, "XfrmInNoStates"))
		return &drops->no_states;
	if (!strcmp(name, "XfrmInStateMismatch"))
		return &drops->mismatch;
	if (!strcmp(name, "XfrmInTmplMismatch"))
		return &drops->tmpl_mismatch;
	return NULL;
}

int xfrm_read_drops(struct xfrm_drops *ret)
{
	FILE *file = fopen("/proc/self/net/xfrm_stat", "re");
	struct xfrm_drops drops = { 0 };
	unsigned long long count;
	char name[64];

	if (!file)
		return -errno;
	while (fscanf(file, "%63s %llu", name, &count) == 2) {
		uint64_t *counter = counter_of(&drops, name);

		if (counter)
			*counter = count;
	}
	fclose(file);
	*ret = drops;
	return 0;
}
