/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter is put into a child, which then tries one thing and ends without the sanitizer's own
 * look round, which the filter would not let happen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/syscall_filter.h"

/* How @try went under the filter: its value, or -errno; 1000 + a signal that ended it. */
static int filtered(int (*try)(void))
{
	const pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) { /* _exit() would call the sanitizer first */
		status = syscall_filter_install() < 0 ? 255 : try() < 0 ? errno : 0;
		syscall(SYS_exit_group, status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return -WEXITSTATUS(status);
}

/* The family from memory, so that the compiler's checks do not get in the way. */
static int family;

static int open_socket(void)
{
	return socket(family, family == AF_PACKET ? SOCK_RAW : SOCK_DGRAM, 0);
}

static void sockets_are_of_the_families_that_the_daemon_uses(void **state)
{
	static const int OURS[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

	(void)state;
	for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++) {
		family = OURS[i];
		assert_int_not_equal(filtered(open_socket), -EPERM);
	}
	family = AF_PACKET;
	assert_int_equal(filtered(open_socket), -EPERM);
	family = AF_ALG;
	assert_int_equal(filtered(open_socket), -EPERM);
}

static int run_program(void)
{
	char name[] = "true";
	char *const argv[] = { name, NULL };

	return execv("/bin/true", argv);
}

static int read_the_parent(void)
{
	return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void what_only_an_intruder_does_ends_the_process(void **state)
{
	(void)state;
	assert_int_equal(filtered(run_program), 1000 + SIGSYS);
	assert_int_equal(filtered(read_the_parent), 1000 + SIGSYS);
}

static int map(int protection)
{
	void *at = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? -1 : 0;
}

static int map_code(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static int map_data(void)
{
	return map(PROT_READ | PROT_WRITE);
}

static int make_code(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? 0 : mprotect(at, 4096, PROT_READ | PROT_EXEC);
}

static void no_code_comes_in(void **state)
{
	(void)state;
	assert_int_equal(filtered(map_data), 0);
	assert_int_equal(filtered(map_code), -EPERM);
	assert_int_equal(filtered(make_code), -EPERM);
}

static int make_process(void)
{
	return fork();
}

static int stop_another(void)
{
	return kill(getppid(), 0);
}

static int become_another(void)
{
	return setuid(getuid());
}

static int more_rights(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void what_is_not_in_the_list_fails(void **state)
{
	(void)state;
	assert_int_equal(filtered(make_process), -EPERM);
	assert_int_equal(filtered(stop_another), -EPERM);
	assert_int_equal(filtered(become_another), -EPERM);
	assert_int_equal(filtered(more_rights), -EPERM);
}

static int abort_itself(void)
{
	return (int)syscall(SYS_tgkill, getpid(), getpid(), SIGABRT);
}

static void the_process_may_abort(void **state)
{
	(void)state;
	assert_int_equal(filtered(abort_itself), 1000 + SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_of_the_families_that_the_daemon_uses),
		cmocka_unit_test(what_only_an_intruder_does_ends_the_process),
		cmocka_unit_test(no_code_comes_in),
		cmocka_unit_test(what_is_not_in_the_list_fails),
		cmocka_unit_test(the_process_may_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
