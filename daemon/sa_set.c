/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a set, in two halves: making one (sa_set_create: choose, build, install, enter,
 * store, each step undone when a later one fails) and moving it through its states.
 *
 * What an event does to the sets of a contact stands in one table, EVENTS. decide() writes what
 * becomes of them to the store, which is when it happens (store.c says why), and carry_out() makes
 * it so; change_state() is the only place where a state changes. A lifetime lives twice: the daemon's
 * timer runs on the monotonic clock and is the true one; the kernel's limit (sa_kernel.c) lies a
 * little behind it, for the case that the daemon is dead.
 *
 * Nothing here keeps keys: sa_set_create() wipes what it expanded before it returns.
 */
#include "daemon/sa_set.h"
#include "daemon/event.h"
#include "daemon/evidence.h"
#include "daemon/sa_kernel.h"
#include "daemon/sa_table.h"
#include "daemon/security_server.h"
#include "daemon/set_record.h"
#include "daemon/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Three sets = six SAs in each direction for one contact (TS 33.203 7.1 rule 3). */
#define MAX_SETS_PER_CONTACT 3

/* An SPI of ours that the kernel knows already (another program's) is exchanged so many times. */
#define MAX_SPI_TRIES 4

#define ABORT_LINGER_S 8

/* ---- states ---- */

const char *sa_set_state_name(enum sa_set_state state)
{
	static const char *const NAMES[] = {
		[SA_SET_TEMPORARY] = "temporary", [SA_SET_NEW] = "new",
		[SA_SET_CURRENT] = "current",     [SA_SET_OLD] = "old",
		[SA_SET_GONE] = "gone",
	};

	return NAMES[state];
}

/* The one way from state to state; EVENTS leads forward only. */
static void change_state(struct sa_set *set, enum sa_set_state state, const char *why)
{
	event_emit(EVENT_SET_STATE, event_set(set->id), event_text("impi", set->impi),
		   event_address("ue", &set->ue_address),
		   event_text("from", sa_set_state_name(set->state)),
		   event_text("to", sa_set_state_name(state)), event_text("why", why));
	set->table->count[set->state]--;
	set->table->changes[set->state][state]++;
	set->state = state;
	if (state != SA_SET_GONE)
		sa_table_confirm(set);
	if (state != SA_SET_GONE)
		set->table->count[state]++;
}

/* ---- lifetimes ---- */

uint32_t sa_set_left_s(const struct sa_set *set)
{
	const uint64_t now = clock_monotonic_ms();
	const uint64_t left_s = set->deadline_ms > now ? (set->deadline_ms - now + 999) / 1000 : 0;

	return left_s < UINT32_MAX ? (uint32_t)left_s : UINT32_MAX;
}

/* When an OLD set has 64*T1 left and the phone has not used the NEW one, downlink moves to that. */
static uint64_t next_look_ms(const struct sa_set *set)
{
	const uint64_t lead_ms = (uint64_t)set->listener->timers.old_set_s * 1000;
	const bool waits = set->state == SA_SET_OLD && sa_contact_in_state(set->contact, SA_SET_NEW);

	return waits && set->deadline_ms > lead_ms ? set->deadline_ms - lead_ms : set->deadline_ms;
}

static void set_deadline(struct sa_set *set, uint64_t deadline_ms)
{
	set->deadline_ms = deadline_ms;
	timer_arm(&set->timer, next_look_ms(set));
}

static void shorten(struct sa_set *set, uint64_t deadline_ms)
{
	struct xfrm_error error;

	set_deadline(set, deadline_ms);
	if (sa_kernel_set_limits(set, &error) < 0)
		sa_kernel_log_error(set, "shorten", &error);
}

static uint64_t sooner_ms(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* 0: at once. */
static uint64_t from_now_ms(uint32_t left_s)
{
	return left_s ? clock_monotonic_ms() + (uint64_t)left_s * 1000 : 0;
}

static uint64_t granted_until_ms(const struct sa_set *set, uint32_t expires_s)
{
	const uint64_t margin_s = set->listener->timers.registration_margin_s;

	return clock_monotonic_ms() + (expires_s + margin_s) * 1000;
}

/* TS 33.203 7.4.2a: an SA's lifetime is never made shorter by a registration. */
static uint64_t registered_until_ms(const struct sa_set *set, uint32_t expires_s)
{
	uint64_t until_ms = granted_until_ms(set, expires_s);
	const struct sa_set *other;

	DL_FOREACH2(set->contact->sets, other, contact_next) {
		if (other->state != SA_SET_TEMPORARY && other->deadline_ms > until_ms)
			until_ms = other->deadline_ms;
	}
	return until_ms;
}

/* ---- their end ---- */

static void free_set(struct sa_set *set)
{
	free(set->impu);
	free(set->security_client);
	free(set->security_server);
	free(set);
}

static void release_spis(struct sa_set *set)
{
	spi_release(set->table->spis, set->pcscf.spi_c);
	spi_release(set->table->spis, set->pcscf.spi_s);
	spi_release(set->table->spis, set->pcscf.spi);
	set->pcscf.spi_c = set->pcscf.spi_s = set->pcscf.spi = 0;
}

static void take_out(struct sa_set *set, const char *why)
{
	sa_kernel_remove(set);
	change_state(set, SA_SET_GONE, why);
	timer_stop(&set->timer);
	release_spis(set);
	sa_table_remove(set);
	free_set(set);
}

void sa_set_drop(struct sa_set *set, const char *why)
{
	store_forget(set->table->store, set);
	(void)store_commit(set->table->store); /* the next start finds that the kernel lost it */
	take_out(set, why);
}

void sa_set_leave(struct sa_set *set)
{
	timer_stop(&set->timer);
	sa_table_remove(set);
	free_set(set);
}

/* ---- events ---- */

/* What happens to a set that is not the end of that set alone (sa_set_drop) and not only a longer
 * life (sa_set_extend). */
enum sa_set_event {
	EVENT_ACCEPTED,      /* 200 to its REGISTER, which began in clear */
	EVENT_ACCEPTED_OVER, /* 200 to its REGISTER, which began over another set of the contact */
	EVENT_REFUSED,       /* the answer to its challenge is not right */
	EVENT_USED,          /* the phone sent something on it */
	EVENT_NEARLY_OVER,   /* it has 64*T1 left */
	EVENT_PHONE_LEFT,    /* the phone de-registered over it */
	EVENT_NETWORK_ENDED, /* the network de-registered the contact */
};

/* A set of the contact, as the event sees it. */
enum part {
	PART_ITSELF,
	PART_OVER, /* the one that its REGISTER began over */
	PART_OTHER,
};

enum act {
	KEEP,
	TO_NEW,
	TO_CURRENT,
	TO_OLD,
	SHORTEN, /* to a deadline, if its own is later; none: it goes */
	RETIRE,  /* TO_OLD and SHORTEN */
	DROP,
};

/* What an act makes of a set. */
struct fate {
	enum sa_set_state state;
	uint64_t deadline_ms;
	const char *why;
};

/* TS 33.203 7.3.1.1, 7.4.2a; TS 24.229 5.2.2, 5.2.5. What is not here keeps the set as it is. */
static const struct {
	const char *why;
	enum act act[SA_SET_GONE]; /* by state: TEMPORARY, NEW, CURRENT, OLD */
} EVENTS[][PART_OTHER + 1] = {
	[EVENT_ACCEPTED] = {
		[PART_ITSELF] = { "confirmed", { TO_CURRENT, KEEP, KEEP, KEEP } },
		[PART_OTHER] = { "superseded", { DROP, DROP, DROP, DROP } },
	},
	[EVENT_ACCEPTED_OVER] = {
		[PART_ITSELF] = { "confirmed", { TO_NEW, KEEP, KEEP, KEEP } },
		[PART_OVER] = { "superseded", { KEEP, TO_OLD, TO_OLD, KEEP } },
		[PART_OTHER] = { "superseded", { DROP, DROP, DROP, DROP } },
	},
	[EVENT_REFUSED] = {
		[PART_ITSELF] = { "refused", { SHORTEN, KEEP, KEEP, KEEP } },
	},
	[EVENT_USED] = {
		[PART_ITSELF] = { "used", { KEEP, TO_CURRENT, KEEP, KEEP } },
		[PART_OTHER] = { "newer-used", { KEEP, KEEP, KEEP, SHORTEN } },
	},
	[EVENT_NEARLY_OVER] = {
		[PART_OTHER] = { "old-set-ends", { KEEP, TO_CURRENT, KEEP, KEEP } },
	},
	[EVENT_PHONE_LEFT] = {
		[PART_ITSELF] = { "released", { DROP, RETIRE, RETIRE, SHORTEN } },
		[PART_OTHER] = { "released", { DROP, RETIRE, RETIRE, DROP } },
	},
	/* a NOTIFY that says so must still find the way: they stay what they are */
	[EVENT_NETWORK_ENDED] = {
		[PART_ITSELF] = { "ended", { DROP, SHORTEN, SHORTEN, SHORTEN } },
		[PART_OTHER] = { "ended", { DROP, SHORTEN, SHORTEN, SHORTEN } },
	},
};

/* @until_ms: for what shortens; 0: at once. */
static struct fate fate_by(const struct sa_set *set, enum act act, uint64_t until_ms)
{
	struct fate fate = { .state = set->state, .deadline_ms = set->deadline_ms };

	switch (act) {
	case KEEP:
		break;
	case TO_NEW:
		fate.state = SA_SET_NEW;
		break;
	case TO_CURRENT:
		fate.state = SA_SET_CURRENT;
		break;
	case TO_OLD:
		fate.state = SA_SET_OLD;
		break;
	case RETIRE:
		fate.state = until_ms ? SA_SET_OLD : SA_SET_GONE;
		fate.deadline_ms = sooner_ms(until_ms, set->deadline_ms);
		break;
	case SHORTEN:
		fate.state = until_ms ? set->state : SA_SET_GONE;
		fate.deadline_ms = sooner_ms(until_ms, set->deadline_ms);
		break;
	case DROP:
		fate.state = SA_SET_GONE;
		break;
	}
	return fate;
}

/* Something that happens to the sets of a contact. */
struct happening {
	enum sa_set_event event;
	const struct sa_set *set;
	const struct sa_set *over; /* NULL = none */
	uint64_t until_ms;         /* what is shortened lasts until then; 0: it goes */
};

static struct fate fate_of(const struct sa_set *set, const struct happening *h)
{
	const enum part part = set == h->set    ? PART_ITSELF
			       : set == h->over ? PART_OVER
						: PART_OTHER;
	struct fate fate = fate_by(set, EVENTS[h->event][part].act[set->state], h->until_ms);

	fate.why = EVENTS[h->event][part].why;
	return fate;
}

/* All of it in one transaction of the store: that is when it happens. */
static int decide(const struct happening *h)
{
	struct store *store = h->set->table->store;
	const struct sa_set *set;

	DL_FOREACH2(h->set->contact->sets, set, contact_next) {
		const struct fate fate = fate_of(set, h);
		struct sa_set after = *set;

		after.state = fate.state;
		after.deadline_ms = fate.deadline_ms;
		if (fate.state == SA_SET_GONE)
			store_forget(store, set);
		else
			store_put(store, &after);
	}
	return store_commit(store);
}

static void suffer(struct sa_set *set, const struct fate *fate)
{
	if (fate->state == SA_SET_GONE) {
		take_out(set, fate->why);
		return;
	}
	if (fate->state != set->state)
		change_state(set, fate->state, fate->why);
	if (fate->deadline_ms != set->deadline_ms)
		shorten(set, fate->deadline_ms);
}

/* Sets may be gone after it, and with the last one their contact. */
static void carry_out(const struct happening *h)
{
	struct sa_set *set = h->set->contact->sets, *next;

	for (; set; set = next) {
		const struct fate fate = fate_of(set, h);

		next = set->contact_next;
		suffer(set, &fate);
	}
}

/* What nobody can refuse: where it cannot be stored, it happens all the same, and a restart finds
 * sets that the kernel has no longer, or that last longer than they should. */
static void happen(enum sa_set_event event, const struct sa_set *set, uint64_t until_ms)
{
	const struct happening h = { .event = event, .set = set, .until_ms = until_ms };

	(void)decide(&h); /* counted and logged by the store */
	carry_out(&h);
}

static void due(void *arg)
{
	struct sa_set *set = arg;
	const uint64_t now = clock_monotonic_ms();

	if (now >= set->deadline_ms) {
		if (set->state == SA_SET_TEMPORARY && !set->aborted)
			evidence_emit_unanswered(set);
		sa_set_drop(set, "expired");
		return;
	}
	if (now >= next_look_ms(set)) /* else the loop's timer was a moment early */
		happen(EVENT_NEARLY_OVER, set, 0);
	timer_arm(&set->timer, next_look_ms(set));
}

/* ---- limits ---- */

/*
 * Whoever sends a REGISTER in clear is challenged and so gets a TEMPORARY set, whatever address and
 * IMPI he writes into it. So where a limit is reached, such sets yield: the oldest of those that the
 * limit counts, at the same address, of the same IMPI, or of all, goes, and the new one has its place.
 * The more places, the longer a phone among forgers has for its answer. Nothing else ever yields: no
 * set that is confirmed, and none that began over a living set of the same contact, since a phone that
 * is registered made it. Where nothing yields, the new set is refused.
 *
 * What began over a living set is held back by no limit of address and IMPI, and the last tenth of
 * max-sets is for it. It takes the ports of sets that yield, and one that began in clear does not
 * replace it. So no flood keeps a registered phone from registering again; and a contact has no more
 * than three sets.
 */

/* Who wants a new set. */
struct newcomer {
	const char *contact_key;
	bool is_registered; /* it began over a living set of its contact */
};

static struct newcomer newcomer_of(const struct sa_table *table,
				   const struct sa_set_request *request, const char *contact_key)
{
	const struct sa_set *over =
		request->over_id ? sa_table_by_id(table, request->over_id) : NULL;

	return (struct newcomer){
		.contact_key = contact_key,
		.is_registered = over && !strcmp(over->contact->key, contact_key),
	};
}

static void yield(struct sa_set *set, enum sa_limit limit)
{
	char why[32];

	set->table->yielded[limit]++;
	snprintf(why, sizeof(why), "yields-%s", sa_limit_word(limit));
	sa_set_drop(set, why);
}

/* False: @set is none. */
static bool yields(struct sa_set *set, enum sa_limit limit)
{
	if (set)
		yield(set, limit);
	return set;
}

/* A contact has one TEMPORARY set at most. TS 33.203 7.3.1.4. */
static int check_contact(const struct sa_table *table, const struct newcomer *who,
			 struct refusal *refusal)
{
	struct sa_contact *contact = sa_table_contact(table, who->contact_key);
	struct sa_set *earlier = sa_contact_in_state(contact, SA_SET_TEMPORARY);

	if (earlier && !earlier->yields && !who->is_registered)
		return refuse(refusal, REASON_LIMIT_CONTACT,
			      "this contact is about to register again over a set that it has");
	if (earlier)
		sa_set_drop(earlier, "new-challenge");
	contact = sa_table_contact(table, who->contact_key);
	if (contact && contact->set_count >= MAX_SETS_PER_CONTACT)
		return refuse(refusal, REASON_LIMIT_CONTACT, "this contact has %u sets already",
			      contact->set_count);
	return 0;
}

static int check_address(const struct sa_table *table, const struct ip_addr *ue,
			 struct refusal *refusal)
{
	if (sa_table_count_at(table, ue) < table->max_sets_per_address ||
	    yields(sa_table_yielding_at(table, ue), SA_LIMIT_ADDRESS))
		return 0;
	return refuse(refusal, REASON_LIMIT_ADDRESS,
		      "max-sets-per-address = %u is reached at this address",
		      table->max_sets_per_address);
}

static int check_impi(const struct sa_table *table, const char *impi, struct refusal *refusal)
{
	if (sa_table_count_of(table, impi) < table->max_sets_per_impi ||
	    yields(sa_table_yielding_of(table, impi), SA_LIMIT_IMPI))
		return 0;
	return refuse(refusal, REASON_LIMIT_IMPI, "max-sets-per-impi = %u is reached by this IMPI",
		      table->max_sets_per_impi);
}

static int check_all(const struct sa_table *table, bool is_registered, struct refusal *refusal)
{
	const uint32_t reserved = is_registered ? 0 : table->max_sets / 10;

	if (HASH_COUNT(table->sets) < table->max_sets - reserved ||
	    yields(table->yielding, SA_LIMIT_SETS))
		return 0;
	return refuse(refusal, REASON_LIMIT_SETS, "max-sets = %u is reached%s", table->max_sets,
		      reserved ? ", but for what registered phones need" : "");
}

static int check_limits(const struct sa_table *table, const struct sa_set_request *request,
			const struct newcomer *who, struct refusal *refusal)
{
	int err = check_contact(table, who, refusal);

	if (!err && !who->is_registered)
		err = check_address(table, &request->ue_address, refusal);
	if (!err && !who->is_registered)
		err = check_impi(table, request->impi, refusal);
	return err ? err : check_all(table, who->is_registered, refusal);
}

/* ---- making one ---- */

static struct sa_set *set_of(struct sa_table *table, const struct sa_set_request *request)
{
	struct sa_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->table = table;
	set->state = SA_SET_TEMPORARY;
	set->listener = request->listener;
	set->suite = request->suite;
	set->ue = request->ue;
	set->ue_address = request->ue_address;
	set->over_id = request->over_id;
	set->transaction = request->transaction;
	set->pcscf.dialect = request->ue.dialect;
	set->impi = request->impi;
	set->impu = strdup(request->impu);
	set->security_client = packed_new(span_of(request->security_client));
	if (!set->impu || !set->security_client) {
		free_set(set);
		return NULL;
	}
	timer_init(&set->timer, due, set);
	return set;
}

static int refuse_port(const struct sa_set *set, int err, struct refusal *refusal)
{
	const struct config_listener *l = set->listener;

	if (err == -EEXIST)
		return refuse(refusal, REASON_FLOW_IN_USE,
			      "port-s %u is in use by another phone behind the same address",
			      set->ue.port_s);
	return refuse(refusal, REASON_PORT_EXHAUSTED,
		      "all client ports of listener %s (%u-%u) are in use by this phone", l->name,
		      l->client_port_first, l->client_port_last);
}

/* One that yields on another's port_us goes for a phone that is registered alone: else who comes first
 * has it. Each turn drops a set. */
static int take_port(struct sa_set *set, const struct sa_set_request *request,
		     const struct newcomer *who, struct refusal *refusal)
{
	const struct config_listener *l = set->listener;
	struct sa_set *yielding;
	uint16_t port;
	int err;

	for (;;) {
		err = sa_table_take_port(set->table, l, &set->ue_address, &set->ue, request->nat,
					 who->contact_key, &port);
		if (!err)
			break;
		yielding = sa_table_yielding_port(set->table, l, &set->ue_address, &set->ue);
		if (!yielding || (err == -EEXIST && !who->is_registered))
			return refuse_port(set, err, refusal);
		yield(yielding, SA_LIMIT_PORT);
	}
	switch (set->ue.dialect) {
	case IPSEC_DIALECT_24229:
		set->pcscf.port_s = l->server_port;
		set->pcscf.port_c = port;
		break;
	case IPSEC_DIALECT_RFC3329:
		set->pcscf.port1 = set->pcscf.port2 = port;
		break;
	}
	return 0;
}

static int take_spis(struct sa_set *set, struct refusal *refusal)
{
	struct spi_pool *spis = set->table->spis;
	int err = 0;

	if (set->ue.dialect == IPSEC_DIALECT_24229) {
		const uint32_t avoid[] = { set->ue.spi_c, set->ue.spi_s };

		err = spi_take(spis, avoid, 2, set, &set->pcscf.spi_c);
		if (!err)
			err = spi_take(spis, avoid, 2, set, &set->pcscf.spi_s);
	} else {
		err = spi_take(spis, &set->ue.spi, 1, set, &set->pcscf.spi);
	}
	if (!err)
		return 0;
	release_spis(set);
	if (err == -ENOMEM)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	return refuse(refusal, REASON_SPI_EXHAUSTED, "no free SPI was found");
}

/* TS 33.203 7.1 rule 3 to the letter. What a phone left behind when it de-registered is no hindrance.
 */
static bool refuses_return(const struct sa_set *set, const struct sa_set *living)
{
	return set->listener->returning_phone == CONFIG_RETURNING_PHONE_REFUSE &&
	       (sa_contact_in_state(living->contact, SA_SET_NEW) ||
		sa_contact_in_state(living->contact, SA_SET_CURRENT));
}

static const struct sa_flow *flow_of_port_c(const struct sa_set *set)
{
	return sa_table_flow(set->table, &set->listener->address, set->listener->server_port,
			     &set->ue_address, set->ue.port_c);
}

/* TS 33.203 7.1 rule 3: the phone's client port must not be in use. The one exception is the same
 * contact that comes unprotected, since it has lost its state: its old set goes when this one is
 * confirmed. Over a living set the answer would leave by the new SAs, which the phone has not yet. */
static int check_flow(struct sa_set *set, const struct newcomer *who, struct refusal *refusal)
{
	const struct sa_flow *flow;

	if (set->ue.dialect != IPSEC_DIALECT_24229)
		return 0;
	while ((flow = flow_of_port_c(set)) && flow->set->yields && who->is_registered)
		yield(flow->set, SA_LIMIT_PORT);
	if (!flow)
		return 0;
	if (strcmp(flow->set->contact->key, who->contact_key) != 0)
		return refuse(refusal, REASON_FLOW_IN_USE, "port-c %u is in use at this address",
			      set->ue.port_c);
	if (set->over_id)
		return refuse(refusal, REASON_FLOW_IN_USE,
			      "a re-registration must change port-c; %u is that of a living set",
			      set->ue.port_c);
	if (refuses_return(set, flow->set))
		return refuse(refusal, REASON_FLOW_IN_USE,
			      "port-c %u is that of a living set of this phone", set->ue.port_c);
	if (flow->set->suite.prot == set->suite.prot && flow->set->suite.mod == set->suite.mod)
		return 0;
	return refuse(refusal, REASON_FLOW_IN_USE,
		      "port-c %u is in use at this address", set->ue.port_c);
}

static int write_security_server(struct sa_set *set, struct refusal *refusal)
{
	char text[SERVER_LIST_WRITE_BYTES];

	if (security_server_write(set->listener, &set->suite, &set->pcscf, text, sizeof(text)) < 0)
		return refuse(refusal, REASON_INTERNAL, "Security-Server does not fit");
	free(set->security_server);
	set->security_server = packed_new(span_of(text));
	if (!set->security_server)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	return 0;
}

static int install(struct sa_set *set, const struct keymat *keymat, struct refusal *refusal)
{
	for (unsigned tries = 1;; tries++) {
		bool collision = false;
		int err = take_spis(set, refusal);

		if (err)
			return err;
		err = write_security_server(set, refusal);
		if (!err)
			err = sa_kernel_install(set, keymat, &collision, refusal);
		if (!err)
			return 0;
		release_spis(set);
		if (!collision || tries == MAX_SPI_TRIES)
			return err;
	}
}

static int refuse_store(struct refusal *refusal)
{
	return refuse(refusal, REASON_STORE_FAILED,
		      "the change could not be stored and would not outlive a restart: see the log");
}

static int keep(struct sa_set *set)
{
	store_put(set->table->store, set);
	return store_commit(set->table->store);
}

static int start_life(struct sa_set *set)
{
	const uint64_t life_ms = (uint64_t)set->listener->timers.reg_await_auth_s * 1000;
	char text[PACKED_TEXT_BYTES];

	set_deadline(set, clock_monotonic_ms() + life_ms);
	drops_note(&set->table->drops, set->add_time_s);
	event_emit(EVENT_SET_MADE, event_set(set->id), event_text("impi", set->impi),
		   event_address("ue", &set->ue_address),
		   event_text("listener", set->listener->name),
		   event_text("alg", ipsec_alg_name(set->suite.alg)),
		   event_text("ealg", ipsec_ealg_name(set->suite.ealg)),
		   event_text("prot", ipsec_prot_name(set->suite.prot)),
		   event_text("mod", ipsec_mod_name(set->suite.mod)),
		   event_text("security_server", packed_text(set->security_server, text)),
		   event_number("left_s", sa_set_left_s(set)));
	return keep(set);
}

/* The same request again, whose answer was lost on its way. */
static struct sa_set *made_before(const struct sa_table *table, const struct sa_set_request *request,
				  const char *contact_key)
{
	struct sa_set *earlier = sa_contact_in_state(sa_table_contact(table, contact_key),
						     SA_SET_TEMPORARY);

	return earlier && earlier->transaction && earlier->transaction == request->transaction
		       ? earlier
		       : NULL;
}

/* Chosen and in the kernel, and in no table. */
static int build(struct sa_table *table, const struct sa_set_request *request,
		 const struct newcomer *who, const struct keymat *keymat, struct sa_set **ret,
		 struct refusal *refusal)
{
	struct sa_set *set = set_of(table, request);
	int err;

	if (!set)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	err = check_flow(set, who, refusal);
	if (!err)
		err = take_port(set, request, who, refusal);
	if (!err)
		err = install(set, keymat, refusal);
	if (err)
		free_set(set);
	else
		*ret = set;
	return err;
}

static int make(struct sa_table *table, const struct sa_set_request *request,
		const char *contact_key, const struct keymat *keymat, struct sa_set **ret,
		struct refusal *refusal)
{
	const struct newcomer who = newcomer_of(table, request, contact_key);
	struct sa_set *set = made_before(table, request, contact_key);
	int err;

	if (set) {
		*ret = set;
		return 0;
	}
	err = check_limits(table, request, &who, refusal);
	if (!err)
		err = build(table, request, &who, keymat, &set, refusal);
	if (err)
		return err;
	if (sa_table_add(table, set, contact_key) < 0) {
		sa_kernel_remove(set);
		release_spis(set);
		free_set(set);
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	}
	if (start_life(set) < 0) {
		take_out(set, "store-failed");
		return refuse_store(refusal);
	}
	*ret = set;
	return 0;
}

int sa_set_create(struct sa_table *table, const struct sa_set_request *request,
		  struct sa_set **ret, struct refusal *refusal)
{
	char *contact_key = sa_contact_key(request->impi, &request->ue_address, request->contact);
	struct keymat keymat;
	int err;

	if (!contact_key)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	if (keymat_expand(&request->suite, request->ck, request->ik, &keymat) < 0)
		err = refuse(refusal, REASON_INTERNAL, "the keys could not be expanded");
	else
		err = make(table, request, contact_key, &keymat, ret, refusal);
	keymat_wipe(&keymat);
	free(contact_key);
	return err;
}

/* ---- one of an earlier run ---- */

static int set_of_record(struct sa_table *table, const struct set_record *r, const char *impi,
			 struct sa_set **ret)
{
	struct sa_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->table = table;
	set->id = r->id;
	set->over_id = r->over_id;
	set->transaction = r->transaction;
	set->state = r->state;
	set->aborted = r->aborted;
	if (r->state != SA_SET_TEMPORARY) /* by an earlier run, as far as anybody knows */
		set->heard = SA_SET_HEARD_SERVER | SA_SET_HEARD_CLIENT;
	set->suite = r->suite;
	set->ue = r->ue;
	set->pcscf = r->pcscf;
	set->ue_address = r->ue_address;
	set->encap_remote_port = r->encap_remote_port;
	set->reqid = r->reqid;
	set->deadline_ms = r->deadline_ms;
	set->impi = impi;
	set->impu = strndup(r->impu.p, r->impu.n);
	set->security_client = packed_new(r->security_client);
	set->security_server = packed_new(r->security_server);
	if (!set->impu || !set->security_client || !set->security_server) {
		free_set(set);
		return -ENOMEM;
	}
	timer_init(&set->timer, due, set);
	*ret = set;
	return 0;
}

/* On failure it has taken what it could, which the caller releases. */
static int claim_spis(struct sa_set *set)
{
	struct spi_pool *spis = set->table->spis;
	int err;

	if (set->ue.dialect == IPSEC_DIALECT_RFC3329)
		return spi_claim(spis, set->pcscf.spi, set);
	err = spi_claim(spis, set->pcscf.spi_c, set);
	if (err)
		return err;
	err = spi_claim(spis, set->pcscf.spi_s, set);
	if (err)
		spi_release(spis, set->pcscf.spi_c);
	return err;
}

int sa_set_revive(struct sa_table *table, uint64_t serial, const struct set_record *record,
		  const struct config_listener *listener, struct sa_set **ret)
{
	char *contact_key = strndup(record->contact.p, record->contact.n);
	char *impi = strndup(record->impi.p, record->impi.n);
	struct sa_set *set = NULL;
	int err = contact_key && impi ? set_of_record(table, record, impi, &set) : -ENOMEM;

	if (!err) {
		set->serial = serial;
		set->listener = listener;
		err = claim_spis(set);
	}
	if (!err) {
		err = sa_table_add(table, set, contact_key);
		if (err)
			release_spis(set);
	}
	free(contact_key);
	free(impi);
	if (!err)
		*ret = set;
	else if (set)
		free_set(set);
	return err;
}

void sa_set_resume(struct sa_set *set, const struct config_listener *listener)
{
	set->listener = listener;
	set_deadline(set, set->deadline_ms);
}

/* ---- moving it through its states ---- */

void sa_set_lost(struct sa_set *set)
{
	event_emit(EVENT_SET_LOST, event_set(set->id), event_text("impi", set->impi),
		   event_address("ue", &set->ue_address),
		   event_number("left_s", sa_set_left_s(set)));
	sa_set_drop(set, "lost");
}

/* A longer life could not be stored: back to the one before. */
static int take_back(struct sa_set *set, uint64_t before_ms, struct refusal *refusal)
{
	shorten(set, before_ms);
	return refuse_store(refusal);
}

/* The kernel comes first. When it refuses, the set is what it was; when it has lost the set, so have
 * we. @attempt: what for. */
static int lengthen(struct sa_set *set, uint64_t until_ms, const char *attempt,
		    struct refusal *refusal)
{
	const uint64_t before_ms = set->deadline_ms;
	struct xfrm_error error;

	set_deadline(set, until_ms);
	if (sa_kernel_set_limits(set, &error) == 0)
		return 0;
	refuse_kernel(refusal, attempt, &error);
	if (error.error == -ESRCH)
		sa_set_lost(set);
	else
		shorten(set, before_ms); /* some of its SAs may have got the longer limit */
	return -ECANCELED;
}

int sa_set_extend(struct sa_set *set, uint32_t expires_s, struct refusal *refusal)
{
	const uint64_t until_ms = granted_until_ms(set, expires_s);
	const uint64_t before_ms = set->deadline_ms;

	if (set->state == SA_SET_TEMPORARY)
		return refuse(refusal, REASON_WRONG_STATE, "the set is temporary: confirm it");
	if (set->state == SA_SET_OLD)
		return refuse(refusal, REASON_WRONG_STATE,
			      "the set is old: a newer one holds the registration");
	if (until_ms <= before_ms)
		return 0;
	if (lengthen(set, until_ms, "extending the set", refusal) < 0)
		return -ECANCELED;
	return keep(set) < 0 ? take_back(set, before_ms, refusal) : 0;
}

/* The living set of the same contact that its REGISTER began over, or NULL. */
static struct sa_set *find_over(const struct sa_set *set)
{
	struct sa_set *over = set->over_id ? sa_table_by_id(set->table, set->over_id) : NULL;

	return over && over->contact == set->contact ? over : NULL;
}

int sa_set_confirm(struct sa_set *set, uint32_t expires_s, struct refusal *refusal)
{
	struct sa_set *over = find_over(set);
	const struct happening accepted = { .event = over ? EVENT_ACCEPTED_OVER : EVENT_ACCEPTED,
					    .set = set, .over = over };
	const uint64_t before_ms = set->deadline_ms;

	if (set->state != SA_SET_TEMPORARY)
		return sa_set_extend(set, expires_s, refusal);
	if (set->aborted)
		return refuse(refusal, REASON_WRONG_STATE,
			      "the registration on this set was refused");
	if (lengthen(set, registered_until_ms(set, expires_s), "confirming the set", refusal) < 0)
		return -ECANCELED;
	if (decide(&accepted) < 0)
		return take_back(set, before_ms, refusal);
	carry_out(&accepted);
	if (over)
		timer_arm(&over->timer, next_look_ms(over));
	return 0;
}

void sa_set_used(struct sa_set *set)
{
	if (set->state == SA_SET_NEW)
		happen(EVENT_USED, set, from_now_ms(set->listener->timers.old_set_s));
}

void sa_set_release(struct sa_set *set, uint32_t linger_s)
{
	happen(EVENT_PHONE_LEFT, set, from_now_ms(linger_s));
}

void sa_contact_release(struct sa_contact *contact, uint32_t linger_s)
{
	happen(EVENT_NETWORK_ENDED, contact->sets, from_now_ms(linger_s));
}

void sa_set_abort(struct sa_set *set)
{
	set->aborted = true;
	happen(EVENT_REFUSED, set, from_now_ms(ABORT_LINGER_S));
}

void sa_set_keep(struct sa_set *set)
{
	(void)keep(set);
}

void sa_set_moved(struct sa_set *set, uint16_t port)
{
	struct xfrm_error error;

	if (set->suite.mod != IPSEC_MOD_UDP_ENC_TUN || set->encap_remote_port == port)
		return;
	event_emit(EVENT_SET_MOVED, event_set(set->id), event_text("impi", set->impi),
		   event_address("ue", &set->ue_address), event_number("port", port),
		   event_number("from", set->encap_remote_port));
	set->encap_remote_port = port;
	(void)keep(set); /* else the phone's next packet says it again */
	if (sa_kernel_set_limits(set, &error) < 0)
		sa_kernel_log_error(set, "follow-nat", &error);
}
