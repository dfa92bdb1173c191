/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of xfrm/ share among themselves; nobody else includes this.
 *
 * Messages are built into caller's memory and read out of it by pure functions; kernel structures
 * with 64-bit fields are always copied in and out, because messages are aligned to 4 bytes only.
 */
#ifndef XFRM_INTERNAL_H
#define XFRM_INTERNAL_H

#include "xfrm/xfrm.h"

#include <libmnl/libmnl.h>
#include <linux/xfrm.h>

/* No message that we build is longer: NEWSA with the widest replay window takes 1016. */
#define XFRM_MSG_BYTES 1024

/* Also the largest piece in which the kernel hands out a dump. */
#define XFRM_ANSWER_BYTES 32768

/* ---- netlink.c ---- */

struct netlink_port {
	int fd; /* -1: closed */
	uint32_t portid;
	uint32_t seq; /* of the last message stamped */
};

/* Socket, bound to a port id of the kernel's choice. */
int netlink_socket(int protocol, struct netlink_port *ret);
/* The same with CAP_ACK, EXT_ACK and large buffers: for requests. -ENOPROTOOPT: see xfrm_open(). */
int netlink_open(int protocol, struct netlink_port *ret);
void netlink_close(struct netlink_port *port);

/* @option SO_SNDBUF or SO_RCVBUF; beyond the system's limit where privileged. Best effort. */
void netlink_set_buffer(int fd, int option, size_t bytes);

/* Give a message its sequence number (never 0) and our port id. */
void netlink_stamp(struct netlink_port *port, struct nlmsghdr *nlh);

int netlink_send(const struct netlink_port *port, const void *buf, size_t bytes);

/* One datagram, without waiting: -EAGAIN when there is none. A datagram that is not the kernel's is
 * dropped and counts as one of 0 bytes. -ENOBUFS: some were lost; -EMSGSIZE: this one is. */
int netlink_recv(const struct netlink_port *port, void *buf, size_t cap, size_t *ret_bytes);

/* The verdict of an NLMSG_ERROR: 0 or negative errno; -EBADMSG when it is no such message. The
 * kernel's words go to @text, "" when there are none. */
int netlink_verdict(const struct nlmsghdr *nlh, char *text, size_t cap);

/* Send @request alone and find its answer, a message within @buf. Returns the verdict when the
 * answer is an error; -EIO when there is no answer. @buf may be wiped after use, not before. */
int netlink_ask(struct netlink_port *port, struct nlmsghdr *request, void *buf, size_t cap,
		const struct nlmsghdr **ret);

/* ---- msg.c: parts of messages ---- */

/* NLMSG_ALIGN and NLA_ALIGN for sizes. */
static inline size_t msg_align(size_t bytes)
{
	return (bytes + 3) & ~(size_t)3;
}

/* Header and zeroed-then-copied body. NULL when it does not fit. */
struct nlmsghdr *msg_start(void *buf, size_t cap, uint16_t type, uint16_t flags, const void *body,
			   size_t body_bytes);
/* Append an attribute of zeros; returns its payload (aligned to 4), NULL when it does not fit. */
void *msg_reserve(struct nlmsghdr *nlh, size_t cap, uint16_t type, size_t bytes);
int msg_put_if_id(struct nlmsghdr *nlh, size_t cap, uint32_t if_id);

/* The message at @offset of a datagram, and the offset of the next one; NULL at its end and where
 * a length is wrong. (mnl_nlmsg_ok() takes lengths of 2 GiB and more for good.) */
const struct nlmsghdr *msg_walk(const void *buf, size_t bytes, size_t *offset);

/* Copy a body of @bytes out of a message; -EBADMSG when it is shorter. */
int msg_body(const struct nlmsghdr *nlh, void *ret, size_t bytes);
/* The attribute, or NULL when it is missing or shorter than @min_bytes. */
const struct nlattr *msg_attr(const struct nlmsghdr *nlh, size_t body_bytes, uint16_t type,
			      size_t min_bytes);
uint32_t msg_if_id(const struct nlmsghdr *nlh, size_t body_bytes);

void msg_address(const struct ip_addr *ip, xfrm_address_t *ret);
struct ip_addr msg_read_address(const xfrm_address_t *address, int family);
bool msg_is_family(int family);

/* No limit but @hard_s (0 = none): 0 would mean "at once" for bytes and packets. */
struct xfrm_lifetime_cfg msg_lifetime(uint64_t hard_s);
uint8_t msg_mode(enum xfrm_mode mode);

int msg_selector(const struct xfrm_sel *sel, struct xfrm_selector *ret); /* 0 or -EINVAL */
struct xfrm_sel msg_read_selector(const struct xfrm_selector *selector);

/* ---- msg_sa.c, msg_policy.c: whole messages; -EINVAL: not legal, -ENOSPC: @cap is too small ----
 * Flags are NLM_F_REQUEST and what the type needs; netlink_stamp() and NLM_F_ACK come later. */

#define XFRM_DUMMY_BYTES 20 /* of HMAC-SHA-1 */

int msg_add_sa(void *buf, size_t cap, const struct xfrm_sa *sa);
/* @dummy: what stands for the key, which the kernel wants and does not take. */
int msg_change_sa(void *buf, size_t cap, const struct xfrm_sa_change *change,
		  const uint8_t dummy[static XFRM_DUMMY_BYTES]);
int msg_delete_sa(void *buf, size_t cap, const struct xfrm_sa_id *id);
int msg_get_sa(void *buf, size_t cap, const struct xfrm_sa_id *id);
int msg_get_counters(void *buf, size_t cap, const struct xfrm_sa_id *id);

int msg_read_sa(const struct nlmsghdr *nlh, struct xfrm_dump_sa *ret);
/* -EBADMSG: it has no algorithm; -EOPNOTSUPP: one that is none of ours. @ret is untouched then, and
 * secret else. */
int msg_read_keys(const struct nlmsghdr *nlh, struct xfrm_sa_keys *ret);
int msg_read_counters(const struct nlmsghdr *nlh, struct xfrm_sa_stats *ret);
struct xfrm_sa_id msg_read_sa_id(const struct xfrm_usersa_id *id);

int msg_add_policy(void *buf, size_t cap, const struct xfrm_policy *policy);
int msg_delete_policy(void *buf, size_t cap, enum xfrm_dir dir, uint32_t index, uint32_t if_id);
/* By what the kernel compares: direction, selector, if_id. */
int msg_delete_policy_sel(void *buf, size_t cap, const struct xfrm_policy *policy);
int msg_get_policy(void *buf, size_t cap, enum xfrm_dir dir, const struct xfrm_sel *sel,
		   uint32_t if_id);
int msg_get_policy_by_index(void *buf, size_t cap, enum xfrm_dir dir, uint32_t index,
			    uint32_t if_id);

/* @info was copied out of @nlh, whose attributes start after @body_bytes. -EOPNOTSUPP: a forwarding
 * policy or one of the second table: nothing that struct xfrm_policy could name. */
int msg_read_policy(const struct nlmsghdr *nlh, const struct xfrm_userpolicy_info *info,
		    size_t body_bytes, struct xfrm_policy *ret);
const char *msg_policy_format(const struct xfrm_policy *policy, char *buf, size_t cap);

/* ---- query.c ---- */

/* xfrm_get_policy() with the time of its making, CLOCK_REALTIME seconds. */
int query_policy(struct xfrm *x, enum xfrm_dir dir, const struct xfrm_sel *sel, uint32_t if_id,
		 struct xfrm_policy *ret, uint64_t *ret_add_time);

/* ---- event.c ---- */

/* False: a message that is nobody's business here. */
bool xfrm_event_parse(const struct nlmsghdr *nlh, struct xfrm_event *ret);

/* ---- txn.c ---- */

/* One message of a transaction. No keys: those are in the buffer alone. */
struct xfrm_step {
	enum xfrm_op op;
	struct xfrm_sa_id sa;
	struct ip_addr src;        /* of an SA to add */
	uint32_t reqid;            /* of an SA to add */
	struct xfrm_policy policy; /* to add; or dir and index, to delete */
	size_t offset;             /* of its message in the buffer */
	uint32_t seq;              /* 0: not in the buffer */
	int error;                 /* the kernel's verdict */
	bool answered;             /* @error is what the kernel said */
	bool added;                /* by us: to be deleted again when the transaction fails */
	bool unsure;               /* nobody knows whether it is there */
	char kernel[128];
};

struct xfrm {
	struct netlink_port req, dump, diag; /* dump and diag are opened when they are wanted */
	uint32_t dump_seq; /* of a dump in pieces that is under way; 0: there is none */
	uint64_t datagrams, messages;
	struct xfrm_counts counts;
	uint8_t dummy[XFRM_DUMMY_BYTES]; /* random, so that a kernel that took it would not be open */

	struct xfrm_step steps[XFRM_TXN_MESSAGES];
	size_t steps_n;
	size_t txn_bytes, txn_messages; /* in the buffer */
	size_t txn_last;                /* offset of its last message */

	/* Both hold keys at times. */
	_Alignas(8) uint8_t txn_buf[XFRM_TXN_MESSAGES * XFRM_MSG_BYTES];
	_Alignas(8) uint8_t answer[XFRM_ANSWER_BYTES];
};

#endif
