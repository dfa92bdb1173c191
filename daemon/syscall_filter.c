/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of what may be called, put in place when everything is open and before the first request
 * is read. What a client sends can then make this process do nothing but what it does anyway: no
 * other program, no other process, no code that was not there at start, no new kind of socket.
 *
 * Whatever is not in the list fails with EPERM instead of ending the process: a library that tries
 * something new after an upgrade and has another way takes that, and phones stay registered. The
 * few calls that only an intruder makes do end it.
 *
 * The list is that of the C library, libevent, OpenSSL and LMDB in steady state, of
 * reading the configuration again, and of stopping. tests/kernel/privileges.py runs every method
 * under it and looks for a call that was refused.
 */
#include "daemon/syscall_filter.h"

#include <errno.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int ALLOWED[] = {
	/* files and memory */
	SCMP_SYS(access), SCMP_SYS(brk), SCMP_SYS(close), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(fcntl),
	SCMP_SYS(fdatasync), SCMP_SYS(flock), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(fsync),
	SCMP_SYS(ftruncate), SCMP_SYS(getdents64), SCMP_SYS(lseek), SCMP_SYS(lstat),
	SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(msync), SCMP_SYS(munmap),
	SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(pread64),
	SCMP_SYS(preadv), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(read),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(readv), SCMP_SYS(stat),
	SCMP_SYS(statx), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(write), SCMP_SYS(writev),
	/* sockets; which kinds: FAMILIES */
	SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(getpeername),
	SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(listen), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(sendto), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(umask),
	SCMP_SYS(chmod), SCMP_SYS(fchmodat),
	/* the loop, time, signals */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_wait), SCMP_SYS(eventfd2),
	SCMP_SYS(futex), SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep), SCMP_SYS(pipe2),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(time),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_gettime), SCMP_SYS(timerfd_settime),
	/* about oneself */
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getegid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getpid), SCMP_SYS(getrandom), SCMP_SYS(getrusage),
	SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(sched_yield), SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
};

/* Sockets are opened for netlink (again, when one breaks), the control sockets, syslog, metrics,
 * and ESP in UDP. */
static const unsigned FAMILIES[] = { AF_UNIX, AF_NETLINK, AF_INET, AF_INET6 };

/* libevent asks how much there is to read, libconfuse whether it reads from a terminal. */
static const unsigned long IOCTLS[] = { FIONREAD, FIONBIO, TCGETS };

/* Nothing of ours calls these. */
static const int DEADLY[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(mount), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(bpf),
	SCMP_SYS(kexec_load),
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(filter, action, calls[i], 0);
	return err;
}

/* Memory is never both written and run, and no library is loaded any more. */
static int add_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable);

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       not_executable);
	return err;
}

static struct scmp_arg_cmp argument_is(unsigned number, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){ .arg = number, .op = SCMP_CMP_EQ, .datum_a = value };
}

static int add_by_argument(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				   argument_is(0, (scmp_datum_t)getpid()));

	for (size_t i = 0; i < COUNT(FAMILIES) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       argument_is(0, FAMILIES[i]));
	for (size_t i = 0; i < COUNT(IOCTLS) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       argument_is(1, IOCTLS[i]));
	return err ? err : add_memory(filter);
}

int syscall_filter_install(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!filter)
		return -ENOMEM;
	err = add_all(filter, SCMP_ACT_ALLOW, ALLOWED, COUNT(ALLOWED));
	if (!err)
		err = add_all(filter, SCMP_ACT_KILL_PROCESS, DEADLY, COUNT(DEADLY));
	if (!err)
		err = add_by_argument(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
