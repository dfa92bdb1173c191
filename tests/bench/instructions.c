/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One daemon under callgrind, for tests/bench/instructions.py: from the bytes of a request on a
 * connection to those of its answer, libevent, JSON, tables, log, store and netlink messages.
 * Only the kernel is left out: one that says yes to everything stands where sendmsg() and recvmsg()
 * were (by the linker's --wrap).
 *
 *	instructions [PHONES]
 *	instructions memory PHONES
 *
 * The phones go through a registration's life, all of them through one call before the next; for
 * each kind of call callgrind writes the instructions of all. The count hardly depends on chance:
 * SPIs and keys of hashes come from a counter, not from getrandom(). Without callgrind the same
 * calls are timed: a line of JSON for each, with the time from the end of poll to the next one.
 *
 * "memory" says what the heap has grown by for each of PHONES that offer six mechanisms: what malloc
 * has given out, its own overhead included. The ring of events is full before.
 */
#include "daemon/conn.h"
#include "daemon/event.h"
#include "daemon/log.h"
#include "daemon/store.h"
#include "tests/bench/calls.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#define KERNEL_FD  1000
#define WARM       20 /* phones before, so that tables and heap are in use */
#define LINE_BYTES 8192

/* ---- a kernel that says yes ---- */

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t n);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *n);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags);
int __real_close(int fd);
int __wrap_close(int fd);

static struct nlmsghdr asked; /* the last message that wants an answer */

int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	return KERNEL_FD + protocol;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t n)
{
	(void)fd;
	(void)address;
	(void)n;
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *n)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_pid = 1};

	(void)fd;
	memcpy(address, &self, sizeof(self));
	*n = sizeof(self);
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)n;
	return 0;
}

int __wrap_close(int fd)
{
	return fd < KERNEL_FD ? __real_close(fd) : 0;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const uint8_t *data = msg->msg_iov[0].iov_base;
	size_t bytes = msg->msg_iov[0].iov_len;

	(void)fd;
	(void)flags;
	for (size_t at = 0; at < bytes; at += (asked.nlmsg_len + 3) & ~3u)
		memcpy(&asked, data + at, sizeof(asked));
	return (ssize_t)bytes;
}

/* "No such connection" to the question for TCP sockets, an ACK to all else. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	const struct sockaddr_nl from = {.nl_family = AF_NETLINK};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr verdict;
	} answer = {.head = {.nlmsg_len = sizeof(answer),
			     .nlmsg_type = NLMSG_ERROR,
			     .nlmsg_flags = NLM_F_CAPPED,
			     .nlmsg_seq = asked.nlmsg_seq,
			     .nlmsg_pid = 1}};

	(void)flags;
	if (!asked.nlmsg_seq) {
		errno = EAGAIN;
		return -1;
	}
	if (fd == KERNEL_FD + NETLINK_SOCK_DIAG)
		answer.verdict.error = -ENOENT;
	memcpy(msg->msg_name, &from, sizeof(from));
	memcpy(msg->msg_iov[0].iov_base, &answer, sizeof(answer));
	asked.nlmsg_seq = 0;
	return sizeof(answer);
}

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags)
{
	static uint64_t state = 1;

	(void)flags;
	for (size_t i = 0; i < n; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)buf)[i] = (uint8_t)(state >> 56);
	}
	return (ssize_t)n;
}

/* ---- a daemon and its client ---- */

static struct config config;
static struct daemon d;
static struct event_base *loop;
static struct callers callers = {.how = {.addresses = PHONES_RANDOM}};
static char state_dir[] = "/tmp/secagree-instructions-XXXXXX";
static struct store *store;
static int client;
static uint64_t spent_ns; /* by the daemon, for the latest call */

static void closed(struct conn *conn, void *arg)
{
	(void)conn;
	(void)arg;
	die("the connection was closed");
}

static void start(void)
{
	char why[256];
	int pair[2];

	log_open(LOG_TO_STDERR, LOG_INFO);
	config_default(&config);
	config.listeners[0] = bench_listener();
	config.listener_count = 1;
	conn_init();
	loop = event_base_new();
	timer_use_loop(loop);
	d.config = &config;
	if (hash_init() < 0 || xfrm_open(&d.xfrm) < 0)
		die("no kernel");
	d.table = sa_table_new(d.xfrm, config.max_sets);
	if (!d.table || !mkdtemp(state_dir) ||
	    store_open(state_dir, config.max_sets, &store, why, sizeof(why)) < 0)
		die("no place for the state");
	d.table->store = store;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		die("no socket");
	client = pair[0];
	if (!conn_new(loop, &d, CONN_CONTROL, pair[1], closed, NULL))
		die("no connection");
}

/* Only what the daemon does is collected. */
static void call(const struct call *call_, uint32_t n)
{
	char line[LINE_BYTES];
	const size_t bytes = call_write(call_, &callers, n, line, sizeof(line));
	ssize_t got;

	if (write(client, line, bytes) != (ssize_t)bytes)
		die("the request cannot be written");
	spent_ns = now_ns();
	CALLGRIND_TOGGLE_COLLECT;
	event_base_loop(loop, EVLOOP_ONCE);
	CALLGRIND_TOGGLE_COLLECT;
	spent_ns = now_ns() - spent_ns;
	got = read(client, line, sizeof(line) - 1);
	if (got <= 0 || line[got - 1] != '\n')
		die("%s: no answer in one turn of the loop", call_->name);
	line[got] = '\0';
	if (!strstr(line, "\"result\":"))
		die("%s: %s", call_->name, line);
	if (!strcmp(call_->name, "offer"))
		call_take_offer(&callers, n, line);
}

static void measure(const char *name, uint32_t phones)
{
	uint64_t *latency_ns = calloc(phones, sizeof(*latency_ns)), all_ns = 0;

	if (!latency_ns)
		die("out of memory");
	CALLGRIND_ZERO_STATS;
	for (uint32_t n = 0; n < phones; n++) {
		call(call_by_name(name), WARM + n);
		latency_ns[n] = spent_ns;
		all_ns += spent_ns;
	}
	CALLGRIND_DUMP_STATS_AT(name);
	report(name, phones, (double)all_ns / 1e9, latency_ns);
	free(latency_ns);
}

static size_t heap_bytes(void)
{
	const struct mallinfo2 heap = mallinfo2();

	return heap.uordblks + heap.hblkhd;
}

static void measure_memory(uint32_t phones)
{
	size_t before;

	for (uint32_t n = 0; n < EVENT_KEPT; n++)
		call(call_by_name("offer"), n);
	before = heap_bytes();
	for (uint32_t n = EVENT_KEPT; n < EVENT_KEPT + phones; n++)
		call(call_by_name("offer"), n);
	printf("{\"what\":\"memory\",\"count\":%" PRIu32 ",\"bytes_per_set\":%.0f}\n", phones,
	       (double)(heap_bytes() - before) / phones);
}

static void measure_calls(uint32_t phones)
{
	static const char *const CALLS[] = {"offer", "check", "confirm", "extend",
					    "use",   "route", "release"};

	for (uint32_t n = 0; n < WARM; n++) {
		for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]) - 1; i++)
			call(call_by_name(CALLS[i]), n);
	}
	for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]); i++)
		measure(CALLS[i], phones);
}

int main(int argc, char **argv)
{
	const bool is_memory = argc > 2 && !strcmp(argv[1], "memory");
	const uint32_t phones = argc > 1 ? (uint32_t)strtoul(argv[argc - 1], NULL, 10) : 200;

	callers.six_offers = is_memory;
	callers_make(&callers, (is_memory ? EVENT_KEPT : WARM) + phones);
	start();
	if (is_memory)
		measure_memory(phones);
	else
		measure_calls(phones);
	store_remove(store);
	store_close(store);
	rmdir(state_dir);
	return EXIT_SUCCESS;
}
