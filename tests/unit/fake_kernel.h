/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel for unit tests: stands where socket(), sendmsg() and recvmsg() were (by the linker's
 * --wrap), holds SAs and policies, answers as the real one does, and misbehaves when told to.
 *
 * fake_reset() makes it new. What was sent is kept for inspection. Answers can be added, altered
 * and dropped before the product reads them.
 */
#ifndef TESTS_UNIT_FAKE_KERNEL_H
#define TESTS_UNIT_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>

#define FAKE_FD        1000
#define FAKE_PORTID    4711u
#define FAKE_DATAGRAMS 160
#define FAKE_OBJECTS   80

struct fake_datagram {
	_Alignas(8) uint8_t data[70000];
	size_t bytes;
};

/* One entry of the receive queue: a datagram, or an error that recvmsg() returns. */
struct fake_answer {
	_Alignas(8) uint8_t data[4096];
	size_t bytes;
	uint32_t sender; /* nl_pid */
	bool truncated;
	int error; /* positive errno */
};

struct fake_kernel {
	/* behaviour */
	int refuse_nth;          /* the message with this number, from 1, fails ... */
	int refuse_error;        /* ... with this positive errno ... */
	const char *refuse_text; /* ... and these words */
	int refuse_type;         /* every message of this type fails with refuse_error */
	int send_error;          /* sendmsg() fails */
	int socket_error;        /* socket() fails */
	int option_error;        /* setsockopt() of this option fails */
	bool silent;             /* works, but never answers */
	int keep_answers;        /* of each datagram; the rest is lost with ENOBUFS; -1: all */
	void (*alter)(struct fake_answer *answer); /* each answer, before it is queued */

	/* what it holds */
	struct xfrm_usersa_info sas[FAKE_OBJECTS];
	struct fake_algorithms {
		uint8_t data[1024]; /* attributes of NEWSA, as they were sent */
		size_t bytes;
	} algorithms[FAKE_OBJECTS]; /* of .sas */
	bool locked_down; /* keys are shown as zeros */
	size_t sas_n;
	struct fake_policy {
		struct xfrm_userpolicy_info info;
		struct xfrm_user_tmpl tmpl;
	} policies[FAKE_OBJECTS];
	size_t policies_n;
	uint64_t now_s; /* add_time of what is added; 0: the true time */

	/* what happened */
	struct fake_datagram sent[FAKE_DATAGRAMS];
	size_t sent_n;
	int messages;
	int open_sockets;
	uint64_t options; /* NETLINK options set, bit by number */
	uint64_t groups;  /* joined, bit by number */
	int rcvbuf_forced; /* bytes, as last asked for */

	struct fake_answer queue[256];
	size_t queue_head, queue_tail;
};

extern struct fake_kernel fake;

void fake_reset(void);

/* Put a message into the receive queue as it is. */
void fake_push(const void *data, size_t bytes);
void fake_push_error(int error);
/* NLMSG_ERROR; @text may be NULL. */
void fake_push_verdict(uint32_t seq, int error, const char *text);

/* The number of messages in a sent datagram, and one of them. */
size_t fake_count(size_t datagram);
const struct nlmsghdr *fake_message(size_t datagram, size_t message);

/* Is there an SA with this SPI (host order)? */
bool fake_has_sa(uint32_t spi);

#endif
