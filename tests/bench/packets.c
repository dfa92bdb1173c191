/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIP-sized UDP messages between a P-CSCF and phones in another network namespace, one after the
 * other to and from each phone in turn.
 *
 *	packets --pcscf FILE --phones FILE [--answers FILE] [--count N] FLOW...
 *
 * The files are the two namespaces. --answers is what tests/bench/load has kept: the SAs of those
 * phones go into the phones' namespace, as the mirror image of the daemon's. Flows:
 *
 *	clear-up    from the phones, unprotected, port 5060 to 5060
 *	clear-down  to the phones, the same way
 *	up          from port_uc to port_ps, under ESP
 *	down        from port_pc to port_us, under ESP
 *	install     puts the phones' SAs there, once before the first up or down
 *
 * A line of JSON for each flow. Both ends work in one thread, so that a second is that of one
 * processor: sender's and receiver's kernel together. All that was sent must arrive.
 */
#include "tests/bench/phones.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_BYTES 800
#define BURST         32
#define WARM          (8 * BURST) /* not counted */
#define CLEAR_PORT    5060
#define MAX_PHONES    250000
#define BUFFER_BYTES  (4 * 1024 * 1024)
#define LOST_NS       UINT64_C(2000000000)

struct bench {
	const char *pcscf, *phones_ns, *answers;
	struct phone *phone;
	uint32_t phones;
	size_t count;
	struct config_listener listener;
	int sender[BENCH_CLIENT_PORT_LAST - BENCH_CLIENT_PORT_FIRST + 1]; /* by port_pc; or the first */
	int receiver;
};

static void enter(const char *namespace)
{
	const int fd = open(namespace, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("%s: %s", namespace, strerror(errno));
	close(fd);
}

static struct sockaddr_in ipv4(const struct ip_addr *ip, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&address.sin_addr, ip->bytes, 4);
	return address;
}

/* @ip NULL: any address. */
static int udp_socket(const char *namespace, const struct ip_addr *ip, uint16_t port)
{
	static const struct ip_addr any = {.family = AF_INET};
	const struct sockaddr_in address = ipv4(ip ? ip : &any, port);
	const int buffer = BUFFER_BYTES;
	int fd;

	enter(namespace);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		die("port %u: %s", port, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	return fd;
}

/* ---- the phones' SAs ---- */

static void commit(struct xfrm *xfrm)
{
	struct xfrm_error error;

	if (xfrm_commit(xfrm, &error) < 0)
		die("the phones' kernel refuses: %s: %s %s", error.object, strerror(-error.error),
		    error.kernel);
}

/* What is in for the P-CSCF is out for the phones. */
static void add_guards(struct bench *b, struct xfrm *xfrm)
{
	static struct xfrm_policy guards[PLAN_MAX_GUARDS];
	const size_t count = plan_guards(&b->listener, guards);

	xfrm_begin(xfrm);
	for (size_t i = 0; i < count; i++) {
		guards[i].dir = guards[i].dir == XFRM_IN ? XFRM_OUT : XFRM_IN;
		if (xfrm_add_policy(xfrm, &guards[i]) < 0)
			die("a policy cannot be built");
	}
	commit(xfrm);
}

static void add_sas(struct bench *b)
{
	struct xfrm *xfrm;
	struct plan plan;

	enter(b->phones_ns);
	if (xfrm_open(&xfrm) < 0)
		die("no netlink socket");
	add_guards(b, xfrm);
	for (uint32_t n = 0; n < b->phones; n++) {
		phone_plan(&b->phone[n], &b->listener, &plan);
		for (size_t i = 0; i < plan.sa_count; i++) {
			plan.sas[i].hard_s = 0;
			if (xfrm_add_sa(xfrm, &plan.sas[i]) < 0)
				die("an SA cannot be built");
		}
		commit(xfrm);
	}
	xfrm_close(xfrm);
}

static void read_answers(struct bench *b)
{
	struct stat st;
	FILE *file = fopen(b->answers, "rb");

	if (!file || fstat(fileno(file), &st) < 0)
		die("%s: %s", b->answers, strerror(errno));
	b->phones = (uint32_t)((size_t)st.st_size / sizeof(*b->phone));
	b->phone = calloc(b->phones + 1, sizeof(*b->phone));
	if (!b->phones || b->phones > MAX_PHONES || !b->phone ||
	    fread(b->phone, sizeof(*b->phone), b->phones, file) != b->phones)
		die("%s: no phones in it", b->answers);
	fclose(file);
}

/* ---- messages ---- */

static void send_one(int fd, const struct ip_addr *from, const struct sockaddr_in *to)
{
	static char message[MESSAGE_BYTES];
	struct iovec iov = {.iov_base = message, .iov_len = sizeof(message)};
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)to,
			     .msg_namelen = sizeof(*to),
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	struct in_pktinfo info = {0};

	if (from) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)),
							.cmsg_level = IPPROTO_IP,
							.cmsg_type = IP_PKTINFO};
		memcpy(&info.ipi_spec_dst, from->bytes, 4);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &info, sizeof(info));
	}
	if (sendmsg(fd, &msg, 0) < 0)
		die("send: %s", strerror(errno));
}

static void receive(int fd, size_t count)
{
	const uint64_t limit = now_ns() + LOST_NS;
	char message[MESSAGE_BYTES];

	while (count) {
		if (recv(fd, message, sizeof(message), MSG_DONTWAIT) >= 0)
			count--;
		else if (errno != EAGAIN)
			die("receive: %s", strerror(errno));
		else if (now_ns() > limit)
			die("%zu of %d messages did not arrive", count, BURST);
	}
}

static void send_to_pcscf(struct bench *b, const struct phone *phone, uint16_t port)
{
	const struct sockaddr_in to = ipv4(&b->listener.address, port);

	send_one(b->sender[0], &phone->address, &to);
}

static void send_to_phone(struct bench *b, const struct phone *phone, uint16_t port)
{
	const struct sockaddr_in to = ipv4(&phone->address, port);
	const size_t which = port == CLEAR_PORT ? 0 : phone->pcscf.port_c - BENCH_CLIENT_PORT_FIRST;

	send_one(b->sender[which], NULL, &to);
}

/* ---- flows ---- */

struct flow {
	const char *name;
	uint16_t from, to; /* ports; 0 = each of the client ports */
	bool up;
};

static void open_sockets(struct bench *b, const struct flow *flow)
{
	const char *sends = flow->up ? b->phones_ns : b->pcscf;
	const char *receives = flow->up ? b->pcscf : b->phones_ns;
	const size_t senders = flow->from ? 1 : sizeof(b->sender) / sizeof(b->sender[0]);

	for (size_t i = 0; i < senders; i++) {
		const uint16_t port =
			flow->from ? flow->from : (uint16_t)(BENCH_CLIENT_PORT_FIRST + i);

		b->sender[i] = udp_socket(sends, flow->up ? NULL : &b->listener.address, port);
	}
	b->receiver = udp_socket(receives, NULL, flow->to);
}

static void close_sockets(struct bench *b, const struct flow *flow)
{
	const size_t senders = flow->from ? 1 : sizeof(b->sender) / sizeof(b->sender[0]);

	for (size_t i = 0; i < senders; i++)
		close(b->sender[i]);
	close(b->receiver);
}

static void run(struct bench *b, const struct flow *flow)
{
	void (*const send)(struct bench *, const struct phone *, uint16_t) =
		flow->up ? send_to_pcscf : send_to_phone;
	uint32_t n = 0;
	uint64_t start;

	open_sockets(b, flow);
	start = now_ns();
	for (size_t sent = 0; sent < WARM + b->count; sent += BURST) {
		if (sent == WARM)
			start = now_ns();
		for (size_t i = 0; i < BURST; i++)
			send(b, &b->phone[n++ % b->phones], flow->to);
		receive(b->receiver, BURST);
	}
	report(flow->name, b->count, (double)(now_ns() - start) / 1e9, NULL);
	close_sockets(b, flow);
}

static void run_by_name(struct bench *b, const char *name)
{
	const struct flow flows[] = {
		{"clear-up", CLEAR_PORT, CLEAR_PORT, true},
		{"clear-down", CLEAR_PORT, CLEAR_PORT, false},
		{"up", b->phone[0].ue.port_c, BENCH_SERVER_PORT, true},
		{"down", 0, b->phone[0].ue.port_s, false},
	};

	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		if (!strcmp(name, flows[i].name)) {
			run(b, &flows[i]);
			return;
		}
	}
	if (strcmp(name, "install") != 0)
		die("no such flow: %s", name);
	add_sas(b);
}

static void read_options(int argc, char **argv, struct bench *b)
{
	static const struct option LONG[] = {
		{"pcscf", required_argument, NULL, 'p'},   {"phones", required_argument, NULL, 'u'},
		{"answers", required_argument, NULL, 'k'}, {"count", required_argument, NULL, 'c'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "p:u:k:c:", LONG, NULL)) != -1) {
		if (c == 'p')
			b->pcscf = optarg;
		else if (c == 'u')
			b->phones_ns = optarg;
		else if (c == 'k')
			b->answers = optarg;
		else if (c == 'c')
			b->count = strtoul(optarg, NULL, 10) / BURST * BURST;
		else
			die("usage: see the head of tests/bench/packets.c");
	}
	if (!b->pcscf || !b->phones_ns || !b->count)
		die("usage: see the head of tests/bench/packets.c");
}

int main(int argc, char **argv)
{
	static const struct phones one = {.addresses = PHONES_RANDOM};
	static struct bench b = {.count = 3200};
	struct phone phone = phone_make(&one, 0);

	read_options(argc, argv, &b);
	b.listener = bench_listener();
	b.phone = &phone;
	b.phones = 1;
	if (b.answers)
		read_answers(&b);
	for (int i = optind; i < argc; i++)
		run_by_name(&b, argv[i]);
	if (b.answers)
		free(b.phone);
	return EXIT_SUCCESS;
}
