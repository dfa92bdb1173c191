/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * killat PID N: kill a process when it makes its Nth system call from now on, before that call does
 * anything. Says "ready" when it counts. Ends with status 0 when the process is dead; on SIGTERM it
 * lets the process go, says how many calls it saw, and ends with status 3.
 *
 * A call that the process sleeps in when this begins is begun anew and counts: the first one, too.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum {
	EXIT_USAGE = 2,
	EXIT_ALIVE = 3,
};

static int fail(const char *what)
{
	perror(what);
	return EXIT_USAGE;
}

/* The entry into a call; else the way out of it, or something else that stops a process. */
static bool is_entry(pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY;
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
static bool follow(pid_t pid, long at, long *calls)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == pid) {
		if (!WIFSTOPPED(status))
			return true;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && is_entry(pid) && ++*calls == at)
			kill(pid, SIGKILL);
		else
			ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal_of(status));
	}
	return false;
}

/* The signals are blocked: none gets lost between a look and the wait for the next one. */
static int count(pid_t pid, long at, const sigset_t *signals)
{
	long calls = 0;

	while (!follow(pid, at, &calls)) {
		if (sigwaitinfo(signals, NULL) != SIGTERM || calls == at)
			continue;
		printf("%ld\n", calls);
		return EXIT_ALIVE; /* the kernel detaches it */
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const pid_t pid = argc == 3 ? (pid_t)atol(argv[1]) : 0;
	sigset_t signals;
	int status;

	if (!pid) {
		fputs("usage: killat PID N\n", stderr);
		return EXIT_USAGE;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0 ||
	    ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
		return fail("ptrace");
	puts("ready");
	fflush(stdout);
	return count(pid, atol(argv[2]), &signals);
}
