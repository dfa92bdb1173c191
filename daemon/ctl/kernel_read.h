/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl: what the kernel holds, read by other code than the daemon's.
 */
#ifndef DAEMON_CTL_KERNEL_READ_H
#define DAEMON_CTL_KERNEL_READ_H

#include <linux/xfrm.h>
#include <stdbool.h>
#include <sys/types.h>

/* What sees one after the other. What it is given is gone when it returns. Returns 0 to go on, or a
 * negative error of libnl. */
typedef int kernel_see_sa(const struct xfrm_usersa_info *info, bool in_udp, void *arg);
typedef int kernel_see_policy(const struct xfrm_userpolicy_info *info,
			      const struct xfrm_user_tmpl *template, void *arg);

/* All SAs, larval ones (SPI 0) too. Returns 0, or a negative error of libnl: -NLE_PERM without
 * CAP_NET_ADMIN. */
int kernel_read_sas(kernel_see_sa *see, void *arg);

/* The policies for what comes in and goes out, but those of single sockets, of XFRM interfaces and
 * for marked packets. The template is the first one, or NULL. Returns as above. */
int kernel_read_policies(kernel_see_policy *see, void *arg);

/* From now on this program is in the network namespace of process @pid. 0 or -errno. */
int kernel_enter_network(pid_t pid);

#endif
