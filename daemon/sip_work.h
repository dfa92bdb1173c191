/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One message in hand: its parts, the edits so far, and the ways to a verdict. For sip_flow.c and
 * sip_answer.c.
 */
#ifndef DAEMON_SIP_WORK_H
#define DAEMON_SIP_WORK_H

#include "daemon/sip_agree.h"
#include "daemon/sip_flow.h"

struct sip_work {
	struct sip_flow *flow;
	const struct sip_input *in;
	struct sip_message m;
	struct sip_edits edits;
	struct sip_verdict *ret;
	struct refusal *refusal; /* of the whole call */
};

/* Parse the message. Returns true, and sip_work_done() is due; false: there is a verdict (it is no
 * message) or a refusal, see @ret_err. */
bool sip_work_start(struct sip_work *w, struct sip_flow *flow, const struct sip_input *in,
		    struct sip_verdict *ret, struct refusal *refusal, int *ret_err);
void sip_work_done(struct sip_work *w);

/* The verdicts. Each returns 0 or -ECANCELED (out of memory). */
int sip_work_forward(struct sip_work *w, const char *why);
int sip_work_drop(struct sip_work *w, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int sip_work_reply(struct sip_work *w, unsigned int code, const char *phrase, const char *headers);

/* What goes with a 421 or 494: the listener's list, or @list when it is not NULL. To be freed; NULL
 * when memory is short. */
char *sip_work_demand(const struct config_listener *listener, const char *list);

/* Answer or drop as @why says, which another part has filled. */
int sip_work_refused(struct sip_work *w, const struct config_listener *listener,
		     const struct refusal *why);

/* Where the message goes: over @set as all messages over UDP do (TS 33.203 7.1), or where @to says.
 */
void sip_work_way_set(struct sip_work *w, const struct sa_set *set);
void sip_work_way(struct sip_work *w, const struct sip_place *from, const struct sip_place *to);

/* The listener that a message from a phone came to: the one that the front end names, the one whose
 * protected port it came to, or the only one at its address. NULL: see the refusal of the call. */
const struct config_listener *sip_work_listener(const struct sip_work *w);

bool sip_work_is_protected_port(const struct config_listener *listener, uint16_t port);

/* The address in @host, or AF_UNSPEC. */
struct ip_addr sip_work_address(struct span host);

/* The same of the top Via of a request; of a name what the front end says. */
struct ip_addr sip_work_via_address(const struct sip_work *w);

/* Where the answer to a request in clear goes: RFC 3261 18.2.2, RFC 3581 4. */
struct sip_place sip_work_reply_place(const struct sip_work *w);

/* "branch, Call-ID, CSeq" of the phone's transaction; to be freed, NULL when memory is short. */
char *sip_work_key(const struct sip_work *w);

bool sip_work_is_register(const struct sip_work *w);

#endif
