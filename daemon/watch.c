/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel events to sets and guards. An event names an SA by its SPI; only our inbound SPIs are looked
 * up, since each set has one and the phone's may be anything. An SA that we deleted ourselves sends
 * no event that finds a set any more. When events were lost, an audit finds what they would have said.
 */
#include "daemon/watch.h"
#include "daemon/clock.h"
#include "daemon/event.h"

#include <errno.h>
#include <stdlib.h>

/* An expiry takes 1.3 KiB of it: 20,000 sets that end in one second fit. */
#define EVENT_BUFFER_BYTES (32u * 1024 * 1024)
#define EVENTS_PER_TURN    256

struct watch {
	struct xfrm_events *events;
	struct event *reader;
	struct clock_watch *clock;
	struct watch_targets to;
};

static struct sa_set *set_of(const struct watch *watch, const struct xfrm_sa_id *sa)
{
	struct sa_set *set = sa_table_by_spi(watch->to.table, sa->spi);

	return set && ip_equal(&sa->dst, &set->listener->address) ? set : NULL;
}

static void on_event(const struct xfrm_event *event, void *arg)
{
	const struct watch *watch = arg;
	const struct watch_targets *to = &watch->to;
	struct sa_set *set;

	switch (event->kind) {
	case XFRM_EVENT_EXPIRED:
		set = set_of(watch, &event->sa);
		if (set)
			sa_set_lost(set);
		break;
	case XFRM_EVENT_MAPPING:
		set = set_of(watch, &event->sa);
		if (set && ip_equal(&event->new_addr, &set->ue_address))
			sa_set_moved(set, event->new_port);
		break;
	case XFRM_EVENT_POLICY_DELETED:
		guards_restore(to->guards, event->policy.index);
		upkeep_policy_deleted(to->upkeep, &event->policy);
		break;
	case XFRM_EVENT_POLICY_CHANGED:
		if (!guards_undo_change(to->guards, &event->policy) ||
		    upkeep_is_changed(to->upkeep, &event->policy))
			audit_soon(to->audit);
		break;
	case XFRM_EVENT_POLICIES_FLUSHED:
		guards_restore(to->guards, 0);
		upkeep_policies_flushed(to->upkeep);
		break;
	case XFRM_EVENT_LOST:
		event_emit(EVENT_KERNEL_EVENTS_LOST);
		guards_restore(to->guards, 0);
		audit_soon(to->audit);
		break;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	int err;

	(void)fd;
	(void)what;
	err = xfrm_events_read(watch->events, EVENTS_PER_TURN, on_event, watch);
	if (err) {
		event_emit(EVENT_KERNEL_EVENTS_BROKEN, event_errno(err));
		event_del(watch->reader);
	}
}

static void on_clock_step(void *arg)
{
	const struct watch *watch = arg;

	upkeep_clock_stepped(watch->to.upkeep);
}

int watch_open(struct event_base *loop, const struct watch_targets *targets, struct watch **ret)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->to = *targets;
	err = xfrm_events_open(EVENT_BUFFER_BYTES, &watch->events);
	if (!err) {
		watch->reader = event_new(loop, xfrm_events_fd(watch->events),
					  EV_READ | EV_PERSIST, on_readable, watch);
		if (!watch->reader || event_add(watch->reader, NULL) < 0)
			err = -ENOMEM;
	}
	if (!err)
		err = clock_watch_open(loop, on_clock_step, watch, &watch->clock);
	if (err)
		watch_close(watch);
	else
		*ret = watch;
	return err;
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->reader)
		event_free(watch->reader);
	xfrm_events_close(watch->events);
	clock_watch_close(watch->clock);
	free(watch);
}
