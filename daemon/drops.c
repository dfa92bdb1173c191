/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of readings of what XFRM has dropped. The counters are of the whole machine: what grew
 * while a set lived is a hint, and never more.
 */
#include "daemon/drops.h"

#include <errno.h>

void drops_note(struct drops *drops, int64_t now_s)
{
	const size_t at = drops->count % DROPS_READINGS;
	const int64_t age_s = now_s - drops->tried_s;

	if (age_s >= 0 && age_s < DROPS_STEP_S)
		return;
	drops->tried_s = now_s;
	if (xfrm_read_drops(&drops->readings[at].drops) < 0)
		return;
	drops->readings[at].time_s = now_s;
	drops->count++;
}

int drops_since(const struct drops *drops, int64_t time_s, struct xfrm_drops *ret)
{
	const size_t kept = drops->count < DROPS_READINGS ? drops->count : DROPS_READINGS;
	const struct xfrm_drops *then = NULL;
	struct xfrm_drops now;

	for (size_t i = 1; i <= kept; i++) {
		const size_t at = (drops->count - i) % DROPS_READINGS;

		then = &drops->readings[at].drops;
		if (drops->readings[at].time_s <= time_s)
			break;
	}
	if (!then || xfrm_read_drops(&now) < 0)
		return -ENOENT;
	*ret = (struct xfrm_drops){
		.no_states = now.no_states - then->no_states,
		.mismatch = now.mismatch - then->mismatch,
		.tmpl_mismatch = now.tmpl_mismatch - then->tmpl_mismatch,
	};
	return 0;
}
