/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registration: REGISTER, challenge, protected REGISTER, and again, and away. TS 24.229 5.1.1.
 */
#ifndef UE_REG_H
#define UE_REG_H

#include "tests/ue/digest.h"
#include "tests/ue/set.h"
#include "tests/ue/txn.h"

struct ue;

enum reg_state {
	REG_IDLE,   /* no REGISTER is under way */
	REG_FIRST,  /* one without an answer to a challenge is (SM1) */
	REG_SECOND, /* one with the answer is (SM7) */
};

enum reg_aim {
	REG_REGISTER,   /* in clear */
	REG_REREGISTER, /* over the set in use */
	REG_DEREGISTER, /* over the set in use */
};

struct reg {
	enum reg_state state;
	enum reg_aim aim;
	bool registered;
	int clear_link; /* -1 = closed */
	char call_id[40], tag[20];
	unsigned int cseq;
	/* of the last challenge: a re-REGISTER repeats its answer */
	struct digest_challenge challenge;
	char ha1[DIGEST_HEX_BYTES]; /* secret; "" = none */
	unsigned int nonce_count;
	unsigned int refusals;     /* of challenges, in this registration */
	uint32_t expires_s;        /* to ask for; a 423 raises it */
	int64_t renew_ms, expire_ms; /* INT64_MAX = not registered */
	char service_route[1024];
};

void reg_init(struct reg *reg, uint32_t expires_s);
void reg_wipe(struct reg *reg);

/* Start. Refused, with an event, while another REGISTER is under way or when there is nothing to
 * renew or to end. Returns 0 or -EBUSY, -ENOTCONN, or the error that stopped it. */
int reg_start(struct ue *ue, enum reg_aim aim);

/* A message came over @set: a newer set that is in use soon retires the old one, unless requests
 * that were sent over that wait for their answers (TS 33.203 7.4.1a). */
void reg_note_use(struct ue *ue, const struct ue_set *set);

int64_t reg_next_ms(struct ue *ue);
void reg_tick(struct ue *ue, int64_t now_ms);

/* Send @text over @link and watch for the answer. Returns as txn_start(), or a negative @link. */
int reg_start_txn(struct ue *ue, const struct sip_text *text, const char *branch,
		  const char *method, int link, uint16_t port, txn_done *done);

/* Send something that is not a REGISTER over the current set, with Security-Verify: an OPTIONS or a
 * MESSAGE with @body (or NULL). Returns 0 or -ENOTCONN, ... */
int reg_send_request(struct ue *ue, enum net_kind transport, const char *method, const char *uri,
		     const char *body);

/* An OPTIONS in clear to the protected server port: the P-CSCF must drop it. */
int reg_send_clear(struct ue *ue);

#endif
