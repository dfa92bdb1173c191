/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone's SAs and policies in the Linux kernel, through libnl.
 */
#ifndef UE_SA_KERNEL_H
#define UE_SA_KERNEL_H

#include <netlink/netlink.h>

#include "tests/ue/keys.h"
#include "tests/ue/sa_plan.h"

#define SA_KERNEL_POLICIES 16

struct sa_policy {
	struct sa_rule rule;
	unsigned int users; /* 0 = free */
};

struct sa_kernel {
	struct nl_sock *socket;
	uint32_t reqid;
	/* A selector exists once in the kernel; two sets of one phone may need the same. */
	struct sa_policy policies[SA_KERNEL_POLICIES];
	int error;     /* of the last request: -errno of the kernel */
	char why[320]; /* what failed, in words */
};

/* @reqid marks what is ours, in SAs and policy templates. Returns 0, or -errno with @ret->why:
 * -EPERM (needs CAP_NET_ADMIN), -EPROTONOSUPPORT (no XFRM), -ENOMEM. */
int sa_kernel_open(struct sa_kernel *ret, uint32_t reqid);
void sa_kernel_close(struct sa_kernel *kernel);

/* Install all SAs, then all policies, of @plan; what is in gets its mark. When one fails all are
 * taken out again. Returns 0 or -errno: -EPERM (needs CAP_NET_ADMIN), -EEXIST (the SPI or the
 * selector is in use by somebody), -EPROTONOSUPPORT (a kernel without ESP, or AH), ...;
 * @kernel->why has the words. */
int sa_kernel_install(struct sa_kernel *kernel, struct sa_plan *plan, const struct ue_keys *keys);

/* Take out what is marked. What is gone already is no failure. */
void sa_kernel_remove(struct sa_kernel *kernel, struct sa_plan *plan);

/* Octets and packets that an SA has carried. Returns 0 or -errno. */
int sa_kernel_count(struct sa_kernel *kernel, const struct sa_plan *plan, size_t index,
		    uint64_t *ret_bytes, uint64_t *ret_packets);

#endif
