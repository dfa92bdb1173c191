/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel is asked SA by SA when somebody wants to know (phone.explain), and once for a set that
 * ends unanswered: afterwards nobody could tell whether anything had come. It judges nothing;
 * diagnosis.c does.
 */
#include "daemon/evidence.h"
#include "daemon/drops.h"
#include "daemon/sa_table.h"

#include <stdlib.h>

static struct evidence_sa count_sa(const struct sa_set *set, const struct xfrm_sa *sa)
{
	const bool in = ip_equal(&sa->id.dst, &set->listener->address);
	struct evidence_sa ret = {
		.in = in,
		.spi = sa->id.spi,
		.own_port = in ? sa->sel.dport : sa->sel.sport,
		.phone_port = in ? sa->sel.sport : sa->sel.dport,
	};
	struct xfrm_sa_stats stats;

	ret.heard = in && (set->heard & (sa->id.spi == set->pcscf.spi_c ? SA_SET_HEARD_CLIENT
									: SA_SET_HEARD_SERVER));
	if (xfrm_get_sa(set->table->xfrm, &sa->id, &stats) < 0) {
		ret.lost = true;
		return ret;
	}
	ret.packets = stats.packets;
	ret.integrity_failed = stats.integrity_failed;
	ret.replay_failed = stats.replay_failed;
	return ret;
}

static bool is_answered_on(const struct sa_set *set, const struct xfrm_sa *sa)
{
	const uint32_t spi = set->ue.dialect == IPSEC_DIALECT_24229 ? set->pcscf.spi_s
								    : set->pcscf.spi;

	return sa->id.spi == spi && ip_equal(&sa->id.dst, &set->listener->address);
}

void evidence_of(const struct sa_set *set, struct evidence *ret)
{
	struct plan plan;

	*ret = (struct evidence){
		.set = set->id,
		.state = set->state,
		.aborted = set->aborted,
		.age_s = clock_realtime_s() - set->add_time_s,
	};
	ret->has_drops = drops_since(&set->table->drops, set->add_time_s, &ret->drops) == 0;
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count; i++) {
		if (is_answered_on(set, &plan.sas[i]))
			ret->sas[ret->sa_count++] = count_sa(set, &plan.sas[i]);
	}
	for (size_t i = 0; i < plan.sa_count; i++) {
		if (!is_answered_on(set, &plan.sas[i]))
			ret->sas[ret->sa_count++] = count_sa(set, &plan.sas[i]);
	}
}

void evidence_emit_unanswered(const struct sa_set *set)
{
	const struct evidence_sa *sa;
	struct evidence e;

	evidence_of(set, &e);
	sa = &e.sas[0];
	event_emit(EVENT_SET_UNANSWERED, event_set(set->id), event_text("impi", set->impi),
		   event_address("ue", &set->ue_address),
		   event_number("age_s", e.age_s > 0 ? (uint64_t)e.age_s : 0),
		   event_number("spi", sa->spi), event_number("port", sa->own_port),
		   event_number("ue_port", sa->phone_port), event_number("packets", sa->packets),
		   event_number("integrity_failed", sa->integrity_failed),
		   event_number("replay_failed", sa->replay_failed),
		   event_text("heard", sa->heard ? "yes" : "no"),
		   event_if(sa->lost, event_text("lost", "yes")),
		   event_text("counted", e.has_drops ? "yes" : "no"),
		   event_if(e.has_drops, event_number("no_states", e.drops.no_states)),
		   event_if(e.has_drops, event_number("mismatch", e.drops.mismatch)),
		   event_if(e.has_drops, event_number("tmpl_mismatch", e.drops.tmpl_mismatch)));
}

static bool says(const struct event_record *record, const char *name)
{
	const char *text = event_record_text(record, name);

	return text && *text == 'y';
}

void evidence_read(const struct event_record *record, struct evidence *ret)
{
	const char *set = event_record_text(record, "set");

	*ret = (struct evidence){
		.set = set ? strtoull(set, NULL, 16) : 0,
		.state = SA_SET_GONE,
		.age_s = (int64_t)event_record_number(record, "age_s"),
		.sa_count = 1,
		.has_drops = says(record, "counted"),
		.drops = {
			.no_states = event_record_number(record, "no_states"),
			.mismatch = event_record_number(record, "mismatch"),
			.tmpl_mismatch = event_record_number(record, "tmpl_mismatch"),
		},
	};
	ret->sas[0] = (struct evidence_sa){
		.in = true,
		.lost = says(record, "lost"),
		.heard = says(record, "heard"),
		.spi = (uint32_t)event_record_number(record, "spi"),
		.own_port = (uint16_t)event_record_number(record, "port"),
		.phone_port = (uint16_t)event_record_number(record, "ue_port"),
		.packets = event_record_number(record, "packets"),
		.integrity_failed = (uint32_t)event_record_number(record, "integrity_failed"),
		.replay_failed = (uint32_t)event_record_number(record, "replay_failed"),
	};
}
