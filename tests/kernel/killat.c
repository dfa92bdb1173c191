/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * killat PID N: kill a process when it makes its Nth system call from now on, before that call does
 * anything. Says "ready" when it counts. Ends with status 0 when the process is dead; on SIGTERM it
 * lets the process go, says how many calls it saw, and ends with status 3.
 *
 * A call that the process sleeps in when this begins is begun anew and counts: the first one, too.
 */
#include <errno.h>
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

static volatile sig_atomic_t let_go;

static void on_term(int number)
{
	(void)number;
	let_go = 1;
}

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

static int count(pid_t pid, long at)
{
	long calls = 0;
	int status;

	for (;;) {
		if (waitpid(pid, &status, 0) < 0) {
			if (errno != EINTR)
				return fail("waitpid");
			if (!let_go || calls == at) /* it is dying */
				continue;
			printf("%ld\n", calls);
			return EXIT_ALIVE; /* the kernel detaches it */
		}
		if (!WIFSTOPPED(status))
			return EXIT_SUCCESS;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && is_entry(pid) && ++calls == at) {
			kill(pid, SIGKILL);
			continue;
		}
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal_of(status)) < 0 &&
		    errno != ESRCH)
			return fail("PTRACE_SYSCALL");
	}
}

int main(int argc, char **argv)
{
	const struct sigaction term = { .sa_handler = on_term };
	const pid_t pid = argc == 3 ? (pid_t)atol(argv[1]) : 0;
	int status;

	if (!pid) {
		fputs("usage: killat PID N\n", stderr);
		return EXIT_USAGE;
	}
	sigaction(SIGTERM, &term, NULL); /* without SA_RESTART */
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0 ||
	    ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
		return fail("ptrace");
	puts("ready");
	fflush(stdout);
	return count(pid, atol(argv[2]));
}
