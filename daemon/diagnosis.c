/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tables of rules: what the counters of a set's SAs show, and what an event says. Of a set, and
 * of an event, the first rule that applies is the one.
 *
 * The kernel takes an arriving packet through these checks, in this order: an SA with that SPI, its
 * sequence number, its integrity; then the SA counts the packet; then the addresses and ports that
 * the SA is for, and the policy. So what failed before the count is known of each SA, and what
 * failed after it only of the whole machine: those rules say so. Of a packet without an SA nothing
 * is known, not even whose it was.
 *
 * Nothing is asked here and nothing is done about it.
 */
#include "daemon/diagnosis.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

/* ---- findings ---- */

static bool is_found(const struct diagnosis *d, const char *cause)
{
	for (size_t i = 0; i < d->count; i++) {
		if (!strcmp(d->found[i].cause, cause))
			return true;
	}
	return false;
}

/* NULL: it is there, or there is no room. */
static struct finding *add(struct diagnosis *d, const char *cause, uint64_t set,
			   struct text_out *ret_out)
{
	struct finding *finding;

	if (d->count == DIAGNOSIS_MAX || is_found(d, cause))
		return NULL;
	finding = &d->found[d->count++];
	finding->cause = cause;
	finding->set = set;
	text_out_init(ret_out, finding->text, sizeof(finding->text));
	return finding;
}

/* ---- what an SA shows: NULL, or the SA that a rule applies to ---- */

typedef bool sa_test(const struct evidence *e, const struct evidence_sa *sa);

static bool is_lost(const struct evidence *e, const struct evidence_sa *sa)
{
	(void)e;
	return sa->lost;
}

static bool fails_integrity(const struct evidence *e, const struct evidence_sa *sa)
{
	(void)e;
	return sa->in && sa->integrity_failed && !sa->packets;
}

static bool is_replayed(const struct evidence *e, const struct evidence_sa *sa)
{
	(void)e;
	return sa->in && sa->replay_failed > sa->packets;
}

static bool goes_nowhere(const struct evidence *e, const struct evidence_sa *sa)
{
	(void)e;
	return sa->in && sa->packets && !sa->heard;
}

static bool is_of_another_flow(const struct evidence *e, const struct evidence_sa *sa)
{
	return goes_nowhere(e, sa) && e->has_drops && e->drops.mismatch;
}

static bool awaits_answer(const struct evidence *e)
{
	return (e->state == SA_SET_TEMPORARY && !e->aborted) || e->state == SA_SET_GONE;
}

/* The answer to the challenge comes on the first one. */
static bool is_silent(const struct evidence *e, const struct evidence_sa *sa)
{
	return awaits_answer(e) && sa == &e->sas[0] && !sa->packets && !sa->integrity_failed &&
	       !sa->replay_failed && !sa->heard;
}

static bool is_unconfirmed(const struct evidence *e, const struct evidence_sa *sa)
{
	return awaits_answer(e) && sa == &e->sas[0] && sa->heard;
}

static bool is_damaged(const struct evidence *e, const struct evidence_sa *sa)
{
	(void)e;
	return sa->in && sa->integrity_failed;
}

/* ---- in words ---- */

typedef void sa_words(const struct evidence *e, const struct evidence_sa *sa, struct text_out *out);

static void say_lost(const struct evidence *e, const struct evidence_sa *sa, struct text_out *out)
{
	(void)e;
	text_out_printf(out, "the kernel has no SA with spi %" PRIu32 " any more, and secagreed did "
			     "not delete it: another program did (ip xfrm state flush, an IKE "
			     "daemon); the phone must register again", sa->spi);
}

static void say_keys(const struct evidence *e, const struct evidence_sa *sa, struct text_out *out)
{
	(void)e;
	text_out_printf(out, "ESP arrives on spi %" PRIu32 " and fails the integrity check (%" PRIu32
			     " packets): keys differ: ck and ik of another challenge? Or the packets "
			     "are forged", sa->spi, sa->integrity_failed);
}

static void say_replayed(const struct evidence *e, const struct evidence_sa *sa,
			 struct text_out *out)
{
	(void)e;
	text_out_printf(out, "ESP arrives on spi %" PRIu32 " with sequence numbers that were seen "
			     "before (%" PRIu32 " packets): the phone began to count anew on an SA that "
			     "it had used, or somebody repeats its packets",
			sa->spi, sa->replay_failed);
}

static void say_another_flow(const struct evidence *e, const struct evidence_sa *sa,
			     struct text_out *out)
{
	text_out_printf(out, "ESP arrives on spi %" PRIu32 " (%" PRIu64 " packets) and its keys are "
			     "right, but nothing of it came to the SIP server's port %u; meanwhile the "
			     "kernel dropped %" PRIu64 " packets, of all phones, whose addresses or "
			     "ports are not their SA's (XfrmInStateMismatch): the phone sends from "
			     "another port than the agreed %u, crosses its flows (selectors = "
			     "\"relaxed\"), or a NAT without UDP-enc-tun changes its address",
			sa->spi, sa->packets, sa->own_port, e->drops.mismatch, sa->phone_port);
}

static void say_nowhere(const struct evidence *e, const struct evidence_sa *sa,
			struct text_out *out)
{
	(void)e;
	text_out_printf(out, "ESP arrives on spi %" PRIu32 " (%" PRIu64 " packets) with the right "
			     "keys, but the SIP server asked nothing about a message to port %u: does "
			     "it listen there over UDP and TCP, and does no policy of another program "
			     "come first? `secagreectl doctor` looks at both",
			sa->spi, sa->packets, sa->own_port);
}

static void say_silent(const struct evidence *e, const struct evidence_sa *sa,
		       struct text_out *out)
{
	if (e->state == SA_SET_GONE)
		text_out_printf(out, "no ESP arrived on spi %" PRIu32 " in the %" PRId64 " s that the "
				     "phone had to answer the 401", sa->spi, e->age_s);
	else
		text_out_printf(out, "no ESP has arrived on spi %" PRIu32 " since the 401 went out "
				     "%" PRId64 " s ago", sa->spi, e->age_s);
	text_out_printf(out, "; the phone may not have received it, or not accepted the challenge, "
			     "or its packets go elsewhere");
	if (e->has_drops && e->drops.no_states)
		text_out_printf(out, "; meanwhile ESP came with SPIs that no SA has, from whomever: "
				     "%" PRIu64 " packets (XfrmInNoStates)", e->drops.no_states);
	if (e->has_drops && e->drops.tmpl_mismatch)
		text_out_printf(out, "; meanwhile clear text came to protected ports, from whomever: "
				     "%" PRIu64 " packets (XfrmInTmplMismatch)",
				e->drops.tmpl_mismatch);
}

static void say_unconfirmed(const struct evidence *e, const struct evidence_sa *sa,
			    struct text_out *out)
{
	(void)e;
	(void)sa;
	text_out_printf(out, "the phone answered the 401 over ESP, but no 200 of the home network "
			     "came by (sa.confirm, sip.response): look there, and at the way between");
}

static void say_damaged(const struct evidence *e, const struct evidence_sa *sa,
			struct text_out *out)
{
	(void)e;
	text_out_printf(out, "%" PRIu32 " packets on spi %" PRIu32 " failed the integrity check, "
			     "others passed: they were damaged on the way, or forged",
			sa->integrity_failed, sa->spi);
}

static const struct {
	const char *cause;
	sa_test *applies;
	sa_words *say;
} SET_RULES[] = {
	{ "deleted_by_another", is_lost, say_lost },
	{ "keys_differ", fails_integrity, say_keys },
	{ "replayed", is_replayed, say_replayed },
	{ "wrong_flow", is_of_another_flow, say_another_flow },
	{ "not_asked", goes_nowhere, say_nowhere },
	{ "nothing_arrives", is_silent, say_silent },
	{ "unconfirmed", is_unconfirmed, say_unconfirmed },
	{ "damaged", is_damaged, say_damaged },
};

static const struct evidence_sa *find_sa(const struct evidence *e, sa_test *applies)
{
	for (size_t i = 0; i < e->sa_count; i++) {
		if (applies(e, &e->sas[i]))
			return &e->sas[i];
	}
	return NULL;
}

static void diagnose_set(const struct evidence *e, struct diagnosis *d)
{
	for (size_t i = 0; i < sizeof(SET_RULES) / sizeof(SET_RULES[0]); i++) {
		const struct evidence_sa *sa = find_sa(e, SET_RULES[i].applies);
		struct text_out out;

		if (!sa)
			continue;
		if (add(d, SET_RULES[i].cause, e->set, &out))
			SET_RULES[i].say(e, sa, &out);
		return;
	}
}

/* ---- what an event says ---- */

#define ANY NULL

/* @field of an event is @is, or anything; the first rule that applies is the one. In words: what
 * the event says of itself, and the advice. No cause: nothing is said. */
static const struct {
	const char *field, *is;
	const char *why_has; /* a word in "why" */
	const char *cause;
	const char *advice;
} EVENT_RULES[] = {
	{ "reason", "bad_params", "\"ck\"", "keys_missing",
	  "the 401 brought no ck: the home network must send ck and ik to the P-CSCF (TS 24.229 "
	  "7.2A.1)" },
	{ "reason", "bad_params", "\"ik\"", "keys_missing",
	  "the 401 brought no ik: the home network must send ck and ik to the P-CSCF (TS 24.229 "
	  "7.2A.1)" },
	{ "reason", "bad_params", ANY, "bad_request", "the front end's request was wrong" },
	{ "reason", "bad_challenge", ANY, "keys_missing",
	  "the home network's 401 is not one of IMS AKA that carries ck and ik" },
	{ "reason", "bad_header", ANY, "bad_header", "the phone's header breaks the grammar" },
	{ "reason", "no_common_mechanism", ANY, "no_common_algorithm",
	  "compare what it offered, below, with algorithms, protocols, modes and encryption of the "
	  "listener" },
	{ "reason", "nat_refused", ANY, "nat_without_udp_enc_tun",
	  "a NAT without UDP-enc-tun: ESP cannot cross it" },
	{ "reason", "verify_mismatch", ANY, "verify_differs",
	  "the phone, or somebody between, changed the list, or answered an older one" },
	{ "reason", "client_mismatch", ANY, "client_differs",
	  "the phone, or somebody between, changed its offer after the first REGISTER" },
	{ "reason", "identity_mismatch", ANY, "identity_differs",
	  "two subscribers on one set of SAs" },
	{ "reason", "via_mismatch", ANY, "via_differs",
	  "a NAT, or a phone that does not know its address" },
	{ "reason", "flow_in_use", ANY, "flow_in_use",
	  "an older registration has these ports; it ends by itself, or by secagreectl release" },
	{ "reason", "spi_in_use", ANY, "spi_in_use",
	  "another program's SA, or one that another daemon left, is in the way: secagreectl audit" },
	{ "reason", "spi_exhausted", ANY, "spi_exhausted",
	  "random numbers that do not come or always meet SPIs in use: with 2^32 SPIs the generator "
	  "is broken (getrandom(2)), or memory is short" },
	{ "reason", "port_exhausted", ANY, "ports_exhausted",
	  "widen client-ports of the listener, or release old sets of this phone" },
	{ "reason", "limit_sets", ANY, "limit_reached", "see max-sets, and secagreectl list" },
	{ "reason", "limit_address", ANY, "limit_reached",
	  "many phones behind one NAT, or a flood: see max-sets-per-address" },
	{ "reason", "limit_impi", ANY, "limit_reached", "see max-sets-per-impi" },
	{ "reason", "limit_contact", ANY, "limit_reached",
	  "a phone that registers anew before it has finished: the older sets end by themselves" },
	{ "reason", "limit", ANY, "limit_reached", "too many requests wait, or one asks too much" },
	{ "errno", "EPERM", ANY, "capability_missing",
	  "the daemon has no CAP_NET_ADMIN: secagreectl doctor" },
	{ "errno", "EPROTONOSUPPORT", ANY, "esp_missing",
	  "the kernel has no ESP: load esp4, esp6 (ah4, ah6 for prot=ah): secagreectl doctor" },
	{ "errno", "ENOSYS", ANY, "algorithm_missing",
	  "the kernel lacks the algorithm: load its module, or take it out of algorithms: "
	  "secagreectl doctor" },
	{ "errno", "ENOENT", ANY, "algorithm_missing",
	  "the kernel has lost the algorithm's module: load it again: secagreectl doctor" },
	{ "errno", ANY, ANY, "kernel_refused", "see the kernel's words, and secagreectl doctor" },
	{ "reason", "store_failed", ANY, "store_failed", "see state-dir and the log" },
	{ "reason", "sec_agree_off", ANY, "agreement_off", "see sec-agree of the listener" },
	{ "reason", "unknown_listener", ANY, "unknown_listener",
	  "the front end names an address that no listener has" },
	{ "reason", "unknown_set", ANY, "unknown_set",
	  "the phone, or the front end, uses a set that ended: it must register again" },
	{ "reason", "wrong_state", ANY, "wrong_state",
	  "what may be sent on a set before the registration is complete is little" },
	{ "reason", "kernel_refused", ANY, NULL, NULL }, /* an event of its own says more */
	{ "reason", ANY, ANY, "refused", "secagreed-control(7) says what the reason means" },
	{ "verdict", "reply", ANY, "no_agreement",
	  "the phone must offer a security agreement that the listener takes" },
};

static const char *text_of(const struct event_record *event, const char *name)
{
	const char *text = event_record_text(event, name);

	return text ? text : "";
}

static bool applies(const struct event_record *event, size_t i)
{
	const char *value = event_record_text(event, EVENT_RULES[i].field);

	return value && (!EVENT_RULES[i].is || !strcmp(value, EVENT_RULES[i].is)) &&
	       (!EVENT_RULES[i].why_has || strstr(text_of(event, "why"), EVENT_RULES[i].why_has));
}

static uint64_t set_of(const struct event_record *event)
{
	return strtoull(text_of(event, "set"), NULL, 16);
}

static void say_event(const struct event_record *event, const char *advice, struct text_out *out)
{
	const char *why = event_record_text(event, "why");

	if (why)
		text_out_printf(out, "%s; %s", why, advice);
	else
		text_out_printf(out, "%s: the kernel refused %s: %s %s; %s",
				text_of(event, "attempt"), text_of(event, "object"),
				text_of(event, "errno"), text_of(event, "text"), advice);
}

static void diagnose_refusal(const struct event_record *event, struct diagnosis *d)
{
	for (size_t i = 0; i < sizeof(EVENT_RULES) / sizeof(EVENT_RULES[0]); i++) {
		struct text_out out;

		if (!applies(event, i))
			continue;
		if (EVENT_RULES[i].cause && add(d, EVENT_RULES[i].cause, set_of(event), &out))
			say_event(event, EVENT_RULES[i].advice, &out);
		return;
	}
}

static void diagnose_loss(const struct event_record *event, struct diagnosis *d)
{
	const uint64_t left_s = event_record_number(event, "left_s");
	struct text_out out;

	if (left_s && add(d, "deleted_by_another", set_of(event), &out))
		text_out_printf(&out, "the kernel had lost an SA of the set %" PRIu64 " s before its "
				      "end: another program deleted it (ip xfrm state flush, an IKE "
				      "daemon), or the clock was set forward; the phone must register "
				      "again", left_s);
}

static bool is_registered(const struct event_record *event)
{
	const char *why = text_of(event, "why");

	return event->name == EVENT_SET_STATE && !strcmp(why, "confirmed");
}

static void diagnose_event(const struct event_record *event, struct diagnosis *d)
{
	struct evidence e;

	if (event->name == EVENT_SET_UNANSWERED) {
		evidence_read(event, &e);
		diagnose_set(&e, d);
	} else if (event->name == EVENT_SET_LOST) {
		diagnose_loss(event, d);
	} else if (event->name == EVENT_REQUEST_REFUSED || event->name == EVENT_SIP_REFUSED ||
		   event->name == EVENT_MESSAGE_REFUSED || event->name == EVENT_KERNEL_REFUSED) {
		diagnose_refusal(event, d);
	}
}

void diagnose(const struct evidence *sets, size_t set_count,
	      const struct event_record *const *events, size_t event_count, struct diagnosis *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < set_count; i++)
		diagnose_set(&sets[i], ret);
	for (size_t i = 0; i < event_count && !is_registered(events[i]); i++)
		diagnose_event(events[i], ret);
}
