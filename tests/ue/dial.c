/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone as a caller (RFC 3261 13.2, 15.1): INVITE with an inactive audio stream, ACK, and BYE
 * or CANCEL. Each request takes the set that is in use when it leaves, so that a call outlives
 * re-registrations.
 *
 * IDLE -> CALLING -> CONFIRMED -> ENDING -> IDLE. The ACK to a 2xx is no part of a transaction: it
 * goes out for each copy of the 2xx that comes; that to a refusal repeats the INVITE's branch.
 * There is no forking: of several 2xx the first one counts. Calls that come are call.c.
 */
#include "tests/ue/dial.h"

#include <errno.h>
#include <string.h>

#include "tests/ue/event.h"
#include "tests/ue/register.h"

static void tell(const struct dial *dial, const char *state)
{
	event_print("call", "state=%s call-id=%s", state, dial->dialog.call_id);
}

void dial_forget(struct dial *dial, const char *reason)
{
	if (dial->state == DIAL_IDLE)
		return;
	event_print("call", "state=ended reason=%s call-id=%s", reason, dial->dialog.call_id);
	memset(dial, 0, sizeof(*dial));
}

bool dial_owns(const struct dial *dial, const struct sip_message *m)
{
	return dial->state != DIAL_IDLE &&
	       span_equal(span_of(dial->dialog.call_id), sip_call_id(m));
}

/* INVITE, BYE, CANCEL and ACK, of which only the last is not watched (@done NULL). */
static int send_request(struct ue *ue, const char *method, const char *uri, const char *branch,
			txn_done *done)
{
	static struct sip_text text;
	const struct ue_request request = {
		.method = method,
		.uri = uri,
		.branch = branch,
		.transport = ue->options.transport,
		.dialog = &ue->dial.dialog,
		.has_offer = strcmp(method, "INVITE") == 0,
	};
	struct ue_set *set = set_in(&ue->sets, SET_CURRENT);
	int link, r;

	if (!set)
		return -ENOTCONN;
	r = request_write(ue, set, &request, &text);
	link = set_link(&ue->sets, set, ue->options.transport);
	if (r < 0 || link < 0)
		return r < 0 ? r : link;
	if (done)
		r = reg_start_txn(ue, &text, branch, method, link, set->server_port, done);
	else
		r = net_send(&ue->net, link, &ue->options.pcscf, set->server_port,
			     (struct span){text.p, text.n});
	if (r == 0)
		event_print("sent", "method=%s transport=%s protected=yes set=%d", method,
			    net_kind_name(ue->options.transport), set->id);
	return r;
}

static void tell_response(struct ue *ue, const struct sip_message *m, const struct net_source *from)
{
	const struct ue_set *set = set_of_source(&ue->sets, from);

	event_print("response", "method=%s status=%d transport=%s protected=%s set=%d",
		    sip_method(m), sip_status(m), net_kind_name(from->kind), set ? "yes" : "no",
		    set ? set->id : 0);
}

static int acknowledge(struct ue *ue)
{
	char branch[TXN_BRANCH_BYTES];
	int r = txn_new_branch(branch);

	return r < 0 ? r : send_request(ue, "ACK", ue->dial.dialog.target, branch, NULL);
}

static void on_answer(struct ue *ue, const struct sip_message *m)
{
	struct dial *dial = &ue->dial;
	const bool too_late_for_cancel = dial->state == DIAL_ENDING;

	if (dialog_answered(&dial->dialog, m) < 0 || acknowledge(ue) < 0) {
		dial_forget(dial, "bad-answer");
		return;
	}
	dial->state = DIAL_CONFIRMED;
	tell(dial, "confirmed");
	if (too_late_for_cancel)
		dial_end(ue);
}

/* RFC 3261 17.1.1.3: To with the tag of the refusal. */
static void on_refusal(struct ue *ue, const struct sip_message *m)
{
	struct dialog *dialog = &ue->dial.dialog;
	struct span to;
	size_t cursor = 0;
	char reason[16];

	if (sip_header_next(m, "To", "t", &cursor, &to) && to.n < sizeof(dialog->remote))
		snprintf(dialog->remote, sizeof(dialog->remote), "%.*s", (int)to.n, to.p);
	send_request(ue, "ACK", ue->dial.uri, ue->dial.branch, NULL);
	snprintf(reason, sizeof(reason), "%d", sip_status(m));
	dial_forget(&ue->dial, reason);
}

static void on_invite_response(void *ctx, const struct sip_message *m,
			       const struct net_source *from)
{
	struct ue *ue = ctx;

	if (!m) {
		dial_forget(&ue->dial, "no-answer");
		return;
	}
	tell_response(ue, m, from);
	if (ue->dial.state == DIAL_IDLE)
		return;
	if (sip_status(m) < 200) {
		if (sip_status(m) == 180)
			tell(&ue->dial, "ringing");
	} else if (sip_status(m) < 300) {
		on_answer(ue, m);
	} else {
		on_refusal(ue, m);
	}
}

static void on_bye_response(void *ctx, const struct sip_message *m, const struct net_source *from)
{
	struct ue *ue = ctx;

	if (m)
		tell_response(ue, m, from);
	if (!m || sip_status(m) >= 200)
		dial_forget(&ue->dial, m ? "bye" : "no-answer");
}

static void on_cancel_response(void *ctx, const struct sip_message *m,
			       const struct net_source *from)
{
	if (m)
		tell_response(ctx, m, from);
}

int dial_start(struct ue *ue, const char *uri)
{
	struct dial *dial = &ue->dial;
	int r;

	if (dial->state != DIAL_IDLE)
		return -EBUSY;
	r = dialog_begin(&dial->dialog, uri);
	if (r == 0)
		r = txn_new_branch(dial->branch);
	if (r < 0)
		return r;
	snprintf(dial->uri, sizeof(dial->uri), "%s", uri);
	dial->state = DIAL_CALLING;
	r = send_request(ue, "INVITE", dial->uri, dial->branch, on_invite_response);
	if (r < 0)
		memset(dial, 0, sizeof(*dial));
	else
		tell(dial, "calling");
	return r;
}

int dial_end(struct ue *ue)
{
	struct dial *dial = &ue->dial;
	char branch[TXN_BRANCH_BYTES];
	int r;

	if (dial->state == DIAL_CALLING) {
		dial->state = DIAL_ENDING;
		return send_request(ue, "CANCEL", dial->uri, dial->branch, on_cancel_response);
	}
	if (dial->state != DIAL_CONFIRMED)
		return -ENOENT;
	dial->state = DIAL_ENDING;
	dial->dialog.cseq++;
	r = txn_new_branch(branch);
	return r < 0 ? r : send_request(ue, "BYE", dial->dialog.target, branch, on_bye_response);
}

bool dial_again(struct ue *ue, const struct sip_message *m)
{
	const int status = sip_status(m);

	if (ue->dial.state != DIAL_CONFIRMED || status < 200 || status > 299 ||
	    strcmp(sip_method(m), "INVITE") != 0 || !dial_owns(&ue->dial, m))
		return false;
	event_print("repeated", "method=INVITE");
	acknowledge(ue);
	return true;
}
