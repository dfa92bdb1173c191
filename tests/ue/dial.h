/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone as a caller: one call at a time.
 */
#ifndef UE_DIAL_H
#define UE_DIAL_H

#include "tests/ue/dialog.h"
#include "tests/ue/net.h"
#include "tests/ue/sip.h"
#include "tests/ue/txn.h"

struct ue;

enum dial_state {
	DIAL_IDLE,
	DIAL_CALLING,   /* INVITE sent */
	DIAL_CONFIRMED, /* 200 came, ACK sent */
	DIAL_ENDING,    /* CANCEL or BYE sent */
};

struct dial {
	enum dial_state state;
	struct dialog dialog;
	char uri[DIALOG_URI_BYTES];    /* of the INVITE */
	char branch[TXN_BRANCH_BYTES]; /* of the INVITE */
};

/* Call @uri over the set in use. Returns 0, -EBUSY (there is a call), -ENOTCONN (no set), -EINVAL
 * (@uri is too long) or what sending gave. */
int dial_start(struct ue *ue, const char *uri);

/* End it: CANCEL before the answer, BYE after it. Returns 0, -ENOENT (no call), ... */
int dial_end(struct ue *ue);

/* A response that belongs to no transaction any more: the answer to the INVITE once more, which
 * wants its ACK once more. Returns whether it was that. */
bool dial_again(struct ue *ue, const struct sip_message *m);

/* Does the request @m belong to this call? */
bool dial_owns(const struct dial *dial, const struct sip_message *m);

/* The other side has ended it, or the registration has. */
void dial_forget(struct dial *dial, const char *reason);

#endif
