/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * killat PID N: kill a process when it makes its Nth system call from now on, before that call does
 * anything. Says "ready" when it counts. Ends with status 0 when the process is dead; on SIGTERM it
 * lets the process go, says how many calls it saw, and ends with status 3.
 *
 * Calls that leave the world outside of the process as it was (harmless[], openat() without O_CREAT,
 * and what goes to standard error) do not count: to be killed before one or before the next is the same. With a third
 * word, "all", they do. A call that the process sleeps in when this begins is begun anew.
 *
 * killat start N PROGRAM ...: the same for the start of a program, until it first waits for
 * something to happen. What counts is another process; this one becomes the program.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	EXIT_ALIVE = 3,
};

/* They read, wait, or change nothing but the process. */
static const long harmless[] = {
	SYS_access, SYS_arch_prctl, SYS_brk, SYS_capget, SYS_capset, SYS_clock_gettime,
	SYS_clock_nanosleep, SYS_close, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
	SYS_epoll_wait, SYS_eventfd2, SYS_execve, SYS_fcntl, SYS_fstat, SYS_futex, SYS_getdents64,
	SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getpeername, SYS_getpid, SYS_getrandom,
	SYS_getsockname, SYS_getsockopt, SYS_gettid, SYS_getuid, SYS_ioctl, SYS_lseek, SYS_lstat,
	SYS_madvise, SYS_mlockall, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap, SYS_newfstatat,
	SYS_poll, SYS_prctl, SYS_pread64, SYS_prlimit64, SYS_read, SYS_readlink, SYS_readv,
	SYS_recvfrom, SYS_recvmsg, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_seccomp, SYS_set_robust_list,
	SYS_set_tid_address, SYS_setgroups, SYS_setresgid, SYS_setresuid, SYS_setsockopt,
	SYS_socket, SYS_stat, SYS_statfs, SYS_sysinfo, SYS_timerfd_create, SYS_timerfd_settime,
	SYS_umask, SYS_uname,
};

/* What is followed, and how far it is. */
struct victim {
	pid_t pid;
	long at, calls;
	bool count_all, starts;
	bool waits; /* a start has come to its end */
};

static int fail(const char *what)
{
	perror(what);
	return EXIT_USAGE;
}

static bool counts(const struct victim *v, const struct __ptrace_syscall_info *info)
{
	const long number = (long)info->entry.nr;

	if (v->count_all)
		return true;
	if ((number == SYS_write || number == SYS_writev) && info->entry.args[0] == STDERR_FILENO)
		return false;
	if (number == SYS_openat && !(info->entry.args[2] & O_CREAT))
		return false;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (harmless[i] == number)
			return false;
	}
	return true;
}

/* It stands at a call. True: there it is to die. */
static bool is_the_one(struct victim *v)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, v->pid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	v->waits |= v->starts &&
		    (info.entry.nr == SYS_epoll_wait || info.entry.nr == SYS_epoll_pwait);
	return counts(v, &info) && ++v->calls == v->at;
}

/* A signal that the process is to get, or 0. */
static int signal_of(int status)
{
	const int number = WSTOPSIG(status);

	if (status >> 16 || number == (SIGTRAP | 0x80) || number == SIGTRAP)
		return 0;
	return number;
}

/* Look at what happened to the process. True: it is dead. */
static bool follow(struct victim *v)
{
	int status;

	while (waitpid(v->pid, &status, __WALL | WNOHANG) == v->pid) {
		if (!WIFSTOPPED(status))
			return true;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && is_the_one(v))
			kill(v->pid, SIGKILL);
		else if (v->waits)
			return false;
		else
			ptrace(PTRACE_SYSCALL, v->pid, NULL, (void *)(intptr_t)signal_of(status));
	}
	return false;
}

/* The signals are blocked: none gets lost between a look and the wait for the next one. */
static int count(struct victim *v, const sigset_t *signals)
{
	while (!follow(v)) {
		if (!v->waits && (sigwaitinfo(signals, NULL) != SIGTERM || v->calls == v->at))
			continue;
		if (!v->starts)
			printf("%ld\n", v->calls);
		return EXIT_ALIVE; /* the kernel detaches it */
	}
	return EXIT_SUCCESS;
}

static int attach(struct victim *v)
{
	int status;

	return ptrace(PTRACE_SEIZE, v->pid, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD) < 0 ||
	       ptrace(PTRACE_INTERRUPT, v->pid, NULL, NULL) < 0 ||
	       waitpid(v->pid, &status, __WALL) < 0 ||
	       ptrace(PTRACE_SYSCALL, v->pid, NULL, NULL) < 0 ? -1 : 0;
}

/* The one that counts is nobody's child, so that the program has none that it does not know of. */
static int start(struct victim *v, char **program, const sigset_t *signals)
{
	int ready[2];
	char byte;
	pid_t child;

	v->pid = getpid();
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	if (pipe(ready) < 0 || (child = fork()) < 0)
		return fail("fork");
	if (!child) {
		if (fork())
			_exit(0);
		close(ready[0]);
		if (attach(v) < 0 || write(ready[1], "x", 1) != 1)
			_exit(EXIT_USAGE);
		close(ready[1]);
		_exit(count(v, signals));
	}
	waitpid(child, NULL, 0);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return EXIT_USAGE;
	close(ready[0]);
	sigprocmask(SIG_UNBLOCK, signals, NULL);
	execv(program[0], program);
	return fail(program[0]);
}

int main(int argc, char **argv)
{
	struct victim v = { .starts = argc > 3 && !strcmp(argv[1], "start") };
	sigset_t signals;

	v.pid = argc > 2 ? (pid_t)atol(argv[1]) : 0;
	if (!v.pid && !v.starts) {
		fputs("usage: killat PID N [all] | start N PROGRAM ...\n", stderr);
		return EXIT_USAGE;
	}
	v.at = atol(argv[2]);
	v.count_all = argc > 3 && !v.starts;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (v.starts)
		return start(&v, argv + 3, &signals);
	if (attach(&v) < 0)
		return fail("ptrace");
	puts("ready");
	fflush(stdout);
	return count(&v, &signals);
}
