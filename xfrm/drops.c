/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's XFRM has dropped, of all phones and all programs of this network namespace
 * together: the few counters of stat.c that say something of a phone, by name, so that who compares
 * two readings need not look for them. A counter that this kernel does not have stays 0. Nothing is
 * kept from one reading to the next.
 */
#include "xfrm/xfrm.h"

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

static void take(const char *name, uint64_t count, void *arg)
{
	uint64_t *counter = counter_of(arg, name);

	if (counter)
		*counter = count;
}

int xfrm_read_drops(struct xfrm_drops *ret)
{
	struct xfrm_drops drops = { 0 };
	const int r = xfrm_read_stat(take, &drops);

	if (r < 0)
		return r;
	*ret = drops;
	return 0;
}
