/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls of a daemon that has started.
 */
#ifndef DAEMON_SYSCALL_FILTER_H
#define DAEMON_SYSCALL_FILTER_H

/* From here on this process has no others: they fail with EPERM, and those that run another program
 * or reach into another process end this one. It cannot be taken back.
 * Returns 0 or -errno: -EINVAL, -ENOSYS when the kernel has no seccomp filters. */
int syscall_filter_install(void);

#endif
