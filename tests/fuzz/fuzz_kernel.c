/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel sends: events, dumps, answers. Nobody but the kernel can send them, but kernels
 * differ, and a length that is wrong must not become a byte read elsewhere.
 *
 * The input is text, a line for each thing:
 *
 *   HEX...       a datagram that the kernel sends. A sequence number of 0 becomes that of the last
 *                request, 0xffffff0N that of the Nth before it
 *   !N           a failure of recvmsg() with this errno
 *   *X           a call, see CALLS; it reads the datagrams above it
 *
 * In HEX, white space separates and 00*N is N times that byte. The kernel of the unit tests is too
 * obedient for this: here it says only what the input says. A mutator of our own changes bytes, not
 * digits, and mostly mends the length of the message.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "xfrm/internal.h"

#define MAX_DATAGRAMS  64
#define DATAGRAM_BYTES 8192
#define MAX_CALLS      16
#define FD             1000
#define STOPPED        42 /* what a dump is stopped with */

/* ---- the kernel ---- */

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t n);
int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *n);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n);
int __wrap_close(int fd);
int __real_close(int fd);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

static struct {
	struct datagram {
		uint8_t *data; /* as long as it is, on the heap */
		size_t bytes;
		int error;
	} queue[MAX_DATAGRAMS];
	size_t head, tail;
	uint32_t last_seq;
	int open;
} kernel;

int __wrap_socket(int domain, int type, int protocol)
{
	(void)type;
	(void)protocol;
	CHECK(domain == AF_NETLINK);
	kernel.open++;
	return FD;
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t n)
{
	(void)addr;
	(void)n;
	return fd == FD ? 0 : -1;
}

int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *n)
{
	const struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_pid = 4711};

	CHECK(fd == FD && *n == sizeof(self));
	memcpy(addr, &self, sizeof(self));
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
	(void)level;
	(void)name;
	(void)value;
	(void)n;
	return fd == FD ? 0 : -1;
}

int __wrap_close(int fd)
{
	if (fd != FD)
		return __real_close(fd); /* libFuzzer's */
	kernel.open--;
	return 0;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct iovec *iov = msg->msg_iov;
	const struct nlmsghdr *nlh;
	size_t offset = 0;

	CHECK(fd == FD && !flags && msg->msg_iovlen == 1);
	while ((nlh = msg_walk(iov->iov_base, iov->iov_len, &offset)))
		kernel.last_seq = nlh->nlmsg_seq;
	CHECK(msg_align(offset) == msg_align(iov->iov_len));
	return (ssize_t)iov->iov_len;
}

static void put_seq(uint8_t *data, size_t bytes)
{
	struct nlmsghdr nlh;

	for (size_t at = 0; at + sizeof(nlh) <= bytes; at += msg_align(nlh.nlmsg_len)) {
		memcpy(&nlh, data + at, sizeof(nlh));
		if (nlh.nlmsg_seq == 0)
			nlh.nlmsg_seq = kernel.last_seq;
		else if (nlh.nlmsg_seq >= 0xffffff00)
			nlh.nlmsg_seq = kernel.last_seq - (nlh.nlmsg_seq & 0xff);
		memcpy(data + at, &nlh, sizeof(nlh));
		if (nlh.nlmsg_len < sizeof(nlh) || nlh.nlmsg_len > bytes)
			break;
	}
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	const struct sockaddr_nl from = {.nl_family = AF_NETLINK};
	const struct iovec *iov = msg->msg_iov;
	struct datagram *d;
	size_t n;

	CHECK(fd == FD && (flags & MSG_DONTWAIT));
	if (kernel.head == kernel.tail) {
		errno = EAGAIN;
		return -1;
	}
	d = &kernel.queue[kernel.head++];
	if (d->error) {
		errno = d->error;
		return -1;
	}
	put_seq(d->data, d->bytes);
	memcpy(msg->msg_name, &from, sizeof(from));
	n = d->bytes < iov->iov_len ? d->bytes : iov->iov_len;
	memcpy(iov->iov_base, d->data, n);
	msg->msg_flags = n < d->bytes ? MSG_TRUNC : 0;
	return (ssize_t)n;
}

/* ---- what is told ---- */

static void check_address(const struct ip_addr *ip)
{
	CHECK(ip->family == AF_INET || ip->family == AF_INET6);
}

static void check_policy(const struct xfrm_policy *p)
{
	CHECK(p->dir == XFRM_IN || p->dir == XFRM_OUT);
	CHECK(p->mode == XFRM_TRANSPORT || p->mode == XFRM_TUNNEL);
}

static void on_event(const struct xfrm_event *event, void *arg)
{
	CHECK(arg == &kernel);
	switch (event->kind) {
	case XFRM_EVENT_EXPIRED:
		CHECK(event->sa.spi);
		check_address(&event->sa.dst);
		break;
	case XFRM_EVENT_MAPPING:
		check_address(&event->sa.dst);
		check_address(&event->new_addr);
		break;
	case XFRM_EVENT_POLICY_DELETED:
	case XFRM_EVENT_POLICY_CHANGED:
		check_policy(&event->policy);
		break;
	case XFRM_EVENT_POLICIES_FLUSHED:
	case XFRM_EVENT_LOST:
		break;
	}
}

static int on_sa(const struct xfrm_dump_sa *sa, void *arg)
{
	CHECK(arg == &kernel);
	check_address(&sa->id.dst);
	check_address(&sa->stats.src);
	return sa->id.spi == 0x2a ? STOPPED : 0;
}

static int on_policy(const struct xfrm_policy *policy, void *arg)
{
	CHECK(arg == &kernel);
	check_policy(policy);
	return policy->index == 0x2a ? STOPPED : 0;
}

/* ---- calls ---- */

static const struct ip_addr OURS = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
static const struct ip_addr PHONE = {.family = AF_INET, .bytes = {198, 51, 100, 7}};
static struct xfrm_sa_id sa_id;
static const struct xfrm_policy POLICY = {
	.dir = XFRM_IN,
	.sel = {.family = AF_INET},
	.priority = 2080,
	.proto = IPPROTO_ESP,
	.mode = XFRM_TRANSPORT,
	.reqid = 33203,
};

static struct xfrm_sa make_sa(uint32_t spi)
{
	struct xfrm_sa sa = {
		.id = {.dst = OURS, .spi = spi, .proto = IPPROTO_ESP},
		.src = PHONE,
		.sel = {.family = AF_INET, .src = PHONE, .dst = OURS},
		.mode = XFRM_TRANSPORT,
		.reqid = 33203,
		.replay_window = 64,
		.hard_s = 240,
	};

	sa.auth.algo = XFRM_HMAC_SHA1;
	sa.enc.algo = XFRM_CIPHER_NULL;
	memset(sa.auth.bytes, 0x11, xfrm_algo_info(sa.auth.algo)->key_bytes);
	return sa;
}

static bool is_wiped(const void *data, size_t n)
{
	const uint8_t *p = data;

	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static void call_events(struct xfrm *x)
{
	struct xfrm_events *events;

	(void)x;
	CHECK(xfrm_events_open(4096, &events) == 0);
	CHECK(xfrm_events_read(events, MAX_DATAGRAMS, on_event, &kernel) <= 0);
	xfrm_events_close(events);
}

static void call_dump_sas(struct xfrm *x)
{
	const int err = xfrm_dump_sas(x, on_sa, &kernel);

	CHECK(err <= 0 || err == STOPPED);
}

static void call_dump_policies(struct xfrm *x)
{
	const int err = xfrm_dump_policies(x, on_policy, &kernel);

	CHECK(err <= 0 || err == STOPPED);
}

static void call_get_sa(struct xfrm *x)
{
	struct xfrm_sa_stats stats;

	if (xfrm_get_sa(x, &sa_id, &stats) == 0)
		check_address(&stats.src);
	CHECK(is_wiped(x->answer, sizeof(x->answer)));
}

static void call_get_counters(struct xfrm *x)
{
	struct xfrm_sa_stats stats;

	CHECK(xfrm_get_sa_counters(x, &sa_id, &stats) <= 0);
}

static void call_get_policy(struct xfrm *x)
{
	struct xfrm_policy policy;

	if (xfrm_get_policy(x, XFRM_IN, &POLICY.sel, 0, &policy) == 0)
		check_policy(&policy);
}

static void call_destroy_tcp(struct xfrm *x)
{
	CHECK(xfrm_destroy_tcp(x, &OURS, 6100, &PHONE, 5064) <= 0);
}

/* All kinds of messages in one datagram. Whatever the kernel says, the keys are gone after it. */
static void call_commit(struct xfrm *x)
{
	const struct xfrm_sa first = make_sa(1001), second = make_sa(1002);
	const struct xfrm_sa_change change = {
		.id = second.id, .src = PHONE, .mode = XFRM_TRANSPORT, .hard_s = 3600};
	struct xfrm_error error = {.error = 1};
	int err;

	xfrm_begin(x);
	CHECK(xfrm_add_sa(x, &first) == 0 && xfrm_add_sa(x, &second) == 0);
	CHECK(xfrm_add_policy(x, &POLICY) == 0);
	CHECK(xfrm_change_sa(x, &change) == 0);
	CHECK(xfrm_delete_policy(x, XFRM_OUT, 8, 0) == 0);
	CHECK(xfrm_delete_sa(x, &first.id) == 0);
	err = xfrm_commit(x, &error);
	CHECK(err <= 0 && error.error == (err ? err : 1));
	if (err) {
		CHECK(error.index < 6 && error.not_undone <= 6 && error.object[0]);
		CHECK(memchr(error.kernel, '\0', sizeof(error.kernel)));
	}
	CHECK(is_wiped(x->txn_buf, sizeof(x->txn_buf)) && !x->steps_n);
}

static const struct {
	char name;
	void (*call)(struct xfrm *x);
} CALLS[] = {
	{'e', call_events},       {'s', call_dump_sas},     {'p', call_dump_policies},
	{'g', call_get_sa},       {'c', call_get_counters}, {'q', call_get_policy},
	{'t', call_destroy_tcp},  {'m', call_commit},
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Where a datagram stands alone, ASan sees each byte that is read behind it; in the buffers of the
 * product other things stand there. */
static void read_alone(const struct datagram *d)
{
	const struct nlmsghdr *nlh;
	struct xfrm_userpolicy_info info;
	struct xfrm_sa_stats stats;
	struct xfrm_policy policy;
	struct xfrm_event event;
	struct xfrm_dump_sa sa;
	char words[128];
	size_t offset = 0;

	while ((nlh = msg_walk(d->data, d->bytes, &offset))) {
		if (xfrm_event_parse(nlh, &event))
			on_event(&event, &kernel);
		if (msg_read_sa(nlh, &sa) == 0)
			on_sa(&sa, &kernel);
		msg_read_counters(nlh, &stats);
		if (msg_body(nlh, &info, sizeof(info)) == 0 &&
		    msg_read_policy(nlh, &info, sizeof(info), &policy) == 0)
			on_policy(&policy, &kernel);
		CHECK(netlink_verdict(nlh, words, sizeof(words)) <= 0);
		CHECK(memchr(words, '\0', sizeof(words)));
	}
	CHECK(offset <= msg_align(d->bytes));
}

/* ---- hexadecimal text ---- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is no digit is passed over. */
static size_t decode(struct span s, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < s.n && n < cap; i++) {
		size_t times = 1;

		if (digit(s.p[i]) < 0 || digit(s.p[i + 1]) < 0)
			continue;
		out[n] = (uint8_t)(digit(s.p[i]) << 4 | digit(s.p[i + 1]));
		i++;
		if (i + 2 < s.n && s.p[i + 1] == '*') {
			times = 0;
			for (i += 2; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && times < cap; i++)
				times = times * 10 + (size_t)(s.p[i] - '0');
			i--;
		}
		for (size_t k = 1; k < times && n + k < cap; k++)
			out[n + k] = out[n];
		n += n + times < cap ? times : cap - n;
	}
	return n;
}

static size_t run_length(const uint8_t *data, size_t n)
{
	size_t run = 1;

	while (run < n && data[run] == *data)
		run++;
	return run;
}

/* Returns the length, 0 when there is no room. */
static size_t encode(const uint8_t *data, size_t n, char *buf, size_t cap)
{
	struct text_out out;

	text_out_init(&out, buf, cap);
	for (size_t i = 0, run; i < n; i += run) {
		run = run_length(data + i, n - i);
		if (run > 3)
			text_out_printf(&out, "%02x*%zu ", data[i], run);
		for (size_t k = 0; run <= 3 && k < run; k++)
			text_out_printf(&out, "%02x", data[i]);
	}
	n = out.n;
	return text_out_end(&out) < 0 ? 0 : n;
}

/* ---- the mutator ---- */

static size_t mutate_line(struct span line, unsigned int seed, char *buf, size_t cap)
{
	static uint8_t data[DATAGRAM_BYTES];
	size_t n = decode(line, data, sizeof(data));
	uint32_t length;

	n = LLVMFuzzerMutate(data, n, sizeof(data) / 4);
	length = (uint32_t)n;
	if (seed % 4 && n >= sizeof(struct nlmsghdr) && line.n)
		memcpy(data, &length, sizeof(length));
	return encode(data, n, buf, cap);
}

static bool is_hex(struct span line)
{
	return line.n && digit(*line.p) >= 0;
}

/* One of the datagrams, by chance. */
static struct span pick_line(struct span text, unsigned int seed)
{
	struct span rest = text, line, picked = {NULL, 0};
	unsigned int count = 0;

	while (rest.n) {
		line = fuzz_line(&rest);
		if (is_hex(line) && seed % ++count == 0)
			picked = line;
		seed = seed * 1103515245u + 12345u;
	}
	return picked;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static char fresh[4 * DATAGRAM_BYTES];
	const struct span text = {(const char *)data, size};
	const struct span line = pick_line(text, seed);
	size_t n, before, behind;

	if (!line.p || seed % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	n = mutate_line(line, seed / 8, fresh, sizeof(fresh));
	before = (size_t)(line.p - text.p);
	behind = size - before - line.n;
	if (!n || before + n + behind > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(data + before + n, data + before + line.n, behind);
	memcpy(data + before, fresh, n);
	return before + n + behind;
}

/* ---- the input ---- */

static void queue(struct span line)
{
	static uint8_t data[DATAGRAM_BYTES];
	struct datagram *d = &kernel.queue[kernel.tail];
	uint32_t error = 0;

	if (kernel.tail == MAX_DATAGRAMS)
		return;
	*d = (struct datagram){0};
	if (*line.p == '!') {
		if (text_to_u32(fuzz_skip(line, 1), 3, 133, &error) < 0 || !error)
			return;
		d->error = (int)error;
	} else {
		d->bytes = decode(line, data, sizeof(data));
		d->data = (uint8_t *)(uintptr_t)fuzz_copy((struct span){(char *)data, d->bytes}).p;
		read_alone(d);
	}
	kernel.tail++;
}

static void empty_queue(void)
{
	for (size_t i = 0; i < kernel.tail; i++)
		free(kernel.queue[i].data);
	kernel.head = kernel.tail = 0;
}

static void call(struct xfrm *x, char name)
{
	for (size_t i = 0; i < COUNT_OF(CALLS); i++) {
		if (CALLS[i].name == name)
			CALLS[i].call(x);
	}
	empty_queue();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = {(const char *)data, size};
	size_t calls = 0;
	struct xfrm *x;

	fuzz_begin();
	kernel.last_seq = 0;
	kernel.open = 0;
	sa_id = (struct xfrm_sa_id){.dst = OURS, .spi = 1001, .proto = IPPROTO_ESP};
	CHECK(xfrm_open(&x) == 0);
	while (rest.n && calls < MAX_CALLS) {
		const struct span line = fuzz_line(&rest);

		if (is_hex(line) || (line.n && *line.p == '!')) {
			queue(line);
		} else if (line.n > 1 && *line.p == '*') {
			call(x, line.p[1]);
			calls++;
		}
	}
	empty_queue();
	xfrm_close(x);
	CHECK(!kernel.open);
	return 0;
}
