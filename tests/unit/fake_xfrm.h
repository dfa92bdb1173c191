/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm.h for unit tests of daemon/: linked instead of xfrm/ (but for ip.c and algo.c). Keeps a SAD
 * and an SPD in memory, obeys and refuses as a kernel does, and writes down what was asked of it.
 * Its real clock is the one of fake_timer.h.
 */
#ifndef TESTS_UNIT_FAKE_XFRM_H
#define TESTS_UNIT_FAKE_XFRM_H

#include "xfrm/xfrm.h"

#define FAKE_SAS      2048
#define FAKE_POLICIES 2048
#define FAKE_STEPS    1024
#define FAKE_PIECE    8 /* SAs in one piece of a dump */

struct fake_sa {
	struct xfrm_sa sa; /* hard_s and encap as last changed */
	int64_t add_time_s;
	uint64_t packets; /* what the test says */
	uint32_t replay_failed, integrity_failed;
};

/* One thing that was done. */
enum fake_what {
	FAKE_ADD_SA,
	FAKE_CHANGE_SA,
	FAKE_DELETE_SA,
	FAKE_ADD_POLICY,
	FAKE_DELETE_POLICY,
	FAKE_DESTROY_TCP,
};

struct fake_step {
	enum fake_what what;
	uint64_t datagram;            /* the same for messages that were sent together */
	bool undo;                    /* part of a roll-back */
	int error;                    /* the answer: 0 or a negative errno */
	struct xfrm_sa sa;            /* ADD_SA; its id also for CHANGE_SA and DELETE_SA */
	struct xfrm_sa_change change; /* CHANGE_SA */
	struct xfrm_policy policy;    /* ADD_POLICY; dir and index for DELETE_POLICY */
	struct ip_addr remote;        /* DESTROY_TCP */
	uint16_t local_port, remote_port;
};

struct xfrm {
	struct fake_sa sas[FAKE_SAS];
	size_t sa_count;
	struct xfrm_policy policies[FAKE_POLICIES];
	size_t policy_count;
	uint32_t last_index;
	struct fake_sa dump[FAKE_SAS]; /* the dump in pieces that is under way */
	size_t dump_count, dump_next;

	/* what is queued */
	struct fake_step queue[XFRM_TXN_MESSAGES];
	size_t queued;

	/* what was done; when full, no more is written down */
	struct fake_step steps[FAKE_STEPS];
	size_t step_count;
	uint64_t datagrams, messages;
	struct xfrm_counts counts;

	struct xfrm_drops drops;
	int refuse_drops;      /* 0, or the answer to each question for them */
	unsigned drops_asked; /* questions for them */

	size_t moments_left; /* until the daemon dies; SIZE_MAX: never */
	bool dead;

	/* disobedience */
	size_t refuse_after; /* so many messages are obeyed, then one is refused; SIZE_MAX: never */
	int refuse_error;
	int refuse_keys; /* 0, or the answer to each question for keys */
	int refuse_dump, refuse_questions; /* 0, or the answer to each piece, to each GETAE */
	int refuse_policy_dump; /* 0, or the answer to each */
	int refuse_what[FAKE_DESTROY_TCP + 1]; /* 0, or the answer to each of this kind */
};

extern struct xfrm fake_xfrm;

/* Empty and obedient. */
void fake_xfrm_reset(void);

/* The @nth message from now (from 1) gets @error, a negative errno; once. */
void fake_xfrm_refuse(size_t nth, int error);

/* The daemon dies after so many more transactions of the kernel and commits of the store together:
 * from then on none of them happens. SIZE_MAX: it lives. Returns whether it had died before. */
bool fake_xfrm_die_after(size_t moments);

/* One more moment begins. True: it does not come, the daemon is dead. */
bool fake_xfrm_dead(void);

/* All of this kind get @error; 0 = obey again. */
void fake_xfrm_refuse_all(enum fake_what what, int error);

/* Forget the steps, keep SAs and policies. */
void fake_xfrm_forget(void);

size_t fake_xfrm_steps(enum fake_what what);
const struct fake_step *fake_xfrm_step(enum fake_what what, size_t nth);

/* NULL: there is none. */
const struct fake_sa *fake_xfrm_sa(const struct xfrm_sa_id *id);

/* What has arrived on it, by the kernel's count. There must be one. */
void fake_xfrm_arrived(const struct xfrm_sa_id *id, uint64_t packets, uint32_t integrity_failed,
		       uint32_t replay_failed);

/* Somebody else does it. */
void fake_xfrm_steal_sa(const struct xfrm_sa_id *id);
void fake_xfrm_put_sa(const struct xfrm_sa *sa);
void fake_xfrm_steal_policies(void);
uint32_t fake_xfrm_put_policy(const struct xfrm_policy *policy);

#endif
