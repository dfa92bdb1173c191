/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel without a daemon: a loop that sends messages prepared beforehand, which is as fast as
 * anybody can be, and the sequence of another P-CSCF for comparison.
 *
 *	kernel [--phones N] [--first N] [--addresses counting|random|nat] [--spis counting]
 *	       OPERATION...
 *
 * Each operation is done for all phones before the next and reports one line of JSON:
 *
 *	add     four NEWSA in one datagram with one ACK: what sa.offer sends
 *	together  the same for sixteen phones in one datagram (a multiple of sixteen phones): what a
 *		daemon could do that lets them wait for one another
 *	change  four UPDSA in one datagram: sa.confirm and sa.extend
 *	refresh four NEWAE with a new add_time instead (no keys, no crypto), which the daemon does
 *	        not use: daemon/sa_kernel.c says why
 *	ask     four GETAE: the counters that a NEWAE must repeat
 *	delete  four DELSA in one datagram: sa.release
 *	life    add, change, change, delete for one phone after the other
 *	own     add, with four policies for each phone in the same datagram
 *	kamailio  a new socket, eight times NEWSA and NEWPOLICY, one message a send, no ACK
 *	dump    one dump of all SAs, which are counted and not looked at
 *	batch   prints the SAs as commands for ip -batch instead
 *
 * Messages are prepared outside the measured time. An answer that is an error ends the program,
 * but for kamailio, which reads none.
 */
#include "tests/bench/phones.h"
#include "xfrm/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK          512 /* phones whose messages are prepared together */
#define DATAGRAM_BYTES (8 * XFRM_MSG_BYTES)
#define MAX_MESSAGES   16
#define TOGETHER       16 /* phones in a datagram */

/* Messages one behind the other. */
struct datagram {
	_Alignas(8) uint8_t data[DATAGRAM_BYTES];
	size_t bytes;
	struct nlmsghdr *last;
	size_t offset[MAX_MESSAGES + 1];
	size_t count;
};

struct bench {
	struct phones how;
	uint32_t first, phones;
	struct config_listener listener;
	struct netlink_port port;
	struct datagram chunk[CHUNK];
	uint64_t *latency_ns;
};

typedef void make_fn(struct bench *b, const struct plan *plan, struct datagram *d);

struct operation {
	const char *name;
	make_fn *steps[4]; /* a datagram each */
	size_t step_count;
	void (*send)(struct bench *b, const struct datagram *d);
};

static void *tail(struct datagram *d)
{
	return d->data + d->bytes;
}

/* The message at the tail is one of them. */
static void keep(struct bench *b, struct datagram *d, int err)
{
	if (err)
		die("a message cannot be built: %s", strerror(-err));
	d->last = tail(d);
	netlink_stamp(&b->port, d->last);
	d->offset[d->count++] = d->bytes;
	d->bytes += msg_align(d->last->nlmsg_len);
	d->offset[d->count] = d->bytes;
}

/* ---- what is sent for one phone ---- */

static void make_add(struct bench *b, const struct plan *plan, struct datagram *d)
{
	for (size_t i = 0; i < plan->sa_count; i++)
		keep(b, d, msg_add_sa(tail(d), XFRM_MSG_BYTES, &plan->sas[i]));
	for (size_t i = 0; i < plan->policy_count; i++)
		keep(b, d, msg_add_policy(tail(d), XFRM_MSG_BYTES, &plan->policies[i]));
}

static void make_change(struct bench *b, const struct plan *plan, struct datagram *d)
{
	static const uint8_t DUMMY[XFRM_DUMMY_BYTES] = {1};

	for (size_t i = 0; i < plan->sa_count; i++) {
		const struct xfrm_sa_change change = {.id = plan->sas[i].id,
						      .src = plan->sas[i].src,
						      .mode = plan->sas[i].mode,
						      .hard_s = 3640,
						      .encap = plan->sas[i].encap};

		keep(b, d, msg_change_sa(tail(d), XFRM_MSG_BYTES, &change, DUMMY));
	}
}

/* Counters are overwritten: a daemon would have to ask for them first. */
static void make_refresh(struct bench *b, const struct plan *plan, struct datagram *d)
{
	for (size_t i = 0; i < plan->sa_count; i++) {
		const struct xfrm_sa *sa = &plan->sas[i];
		struct xfrm_aevent_id id = {.reqid = sa->reqid};
		const struct xfrm_lifetime_cur life = {.add_time = (uint64_t)time(NULL)};
		struct nlmsghdr *nlh;
		void *attr;

		id.sa_id.spi = htonl(sa->id.spi);
		id.sa_id.family = (uint16_t)sa->id.dst.family;
		id.sa_id.proto = sa->id.proto;
		msg_address(&sa->id.dst, &id.sa_id.daddr);
		msg_address(&sa->src, &id.saddr);
		nlh = msg_start(tail(d), XFRM_MSG_BYTES, XFRM_MSG_NEWAE,
				NLM_F_REQUEST | NLM_F_REPLACE, &id, sizeof(id));
		attr = msg_reserve(nlh, XFRM_MSG_BYTES, XFRMA_LTIME_VAL, sizeof(life));
		memcpy(attr, &life, sizeof(life));
		keep(b, d, 0);
	}
}

static void make_ask(struct bench *b, const struct plan *plan, struct datagram *d)
{
	for (size_t i = 0; i < plan->sa_count; i++)
		keep(b, d, msg_get_counters(tail(d), XFRM_MSG_BYTES, &plan->sas[i].id));
}

/* SAs first: a policy of the phone's own would else be found by its packets without one. */
static void make_delete(struct bench *b, const struct plan *plan, struct datagram *d)
{
	for (size_t i = 0; i < plan->sa_count; i++)
		keep(b, d, msg_delete_sa(tail(d), XFRM_MSG_BYTES, &plan->sas[i].id));
	for (size_t i = 0; i < plan->policy_count; i++)
		keep(b, d, msg_delete_policy_sel(tail(d), XFRM_MSG_BYTES, &plan->policies[i]));
}

/* A phone's own policy for what @sa carries. */
static struct xfrm_policy policy_for(const struct bench *b, const struct xfrm_sa *sa)
{
	return (struct xfrm_policy){
		.dir = ip_equal(&sa->id.dst, &b->listener.address) ? XFRM_IN : XFRM_OUT,
		.sel = sa->sel,
		.priority = b->listener.priority,
		.proto = IPPROTO_ESP,
		.mode = XFRM_TRANSPORT,
		.reqid = sa->reqid,
	};
}

/* ims_ipsec_pcscf: reqid = SPI, no time limits; four of its eight flows come again with an SPI that
 * is in use, so that the kernel refuses the SA and keeps the policy. */
static void make_kamailio(struct bench *b, const struct plan *plan, struct datagram *d)
{
	for (size_t i = 0; i < 8; i++) {
		struct xfrm_sa sa = plan->sas[i % 4];
		struct xfrm_policy policy;

		if (i >= 4) {
			const bool in = ip_equal(&sa.id.dst, &b->listener.address);
			uint16_t *ours = in ? &sa.sel.dport : &sa.sel.sport;

			*ours = *ours == BENCH_SERVER_PORT ? BENCH_CLIENT_PORT_FIRST
							    : BENCH_SERVER_PORT;
		}
		sa.reqid = sa.id.spi;
		sa.replay_window = 32;
		sa.hard_s = 0;
		policy = policy_for(b, &sa);
		keep(b, d, msg_add_sa(tail(d), XFRM_MSG_BYTES, &sa));
		keep(b, d, msg_add_policy(tail(d), XFRM_MSG_BYTES, &policy));
	}
}

/* ---- sending ---- */

static void send_all(const struct netlink_port *port, const void *data, size_t bytes)
{
	const int err = netlink_send(port, data, bytes);

	if (err)
		die("send: %s", strerror(-err));
}

static const struct nlmsghdr *receive(const struct netlink_port *port, uint8_t *buf, size_t cap,
				      size_t *ret_bytes)
{
	const int err = netlink_recv(port, buf, cap, ret_bytes);

	if (err)
		die("no answer: %s", strerror(-err));
	return (const struct nlmsghdr *)(const void *)buf;
}

/* One read is enough: the first answer is an error, or the ACK of the last message. */
static void send_for_ack(struct bench *b, const void *data, size_t data_bytes)
{
	_Alignas(8) uint8_t answer[4096];
	char why[128] = "";
	size_t bytes;
	int err;

	send_all(&b->port, data, data_bytes);
	err = netlink_verdict(receive(&b->port, answer, sizeof(answer), &bytes), why, sizeof(why));
	if (err)
		die("the kernel refuses: %s %s", strerror(-err), why);
}

static void send_and_wait(struct bench *b, const struct datagram *d)
{
	send_for_ack(b, d->data, d->bytes);
}

static void send_together(struct bench *b, const struct datagram *d)
{
	static _Alignas(8) uint8_t all[TOGETHER * DATAGRAM_BYTES];
	static size_t bytes, phones;

	memcpy(all + bytes, d->data, d->bytes);
	bytes += d->bytes;
	if (++phones < TOGETHER)
		return;
	((struct nlmsghdr *)(void *)(all + bytes - d->bytes + d->offset[d->count - 1]))
		->nlmsg_flags |= NLM_F_ACK;
	send_for_ack(b, all, bytes);
	bytes = phones = 0;
}

/* Each question has its own answer. */
static void send_and_read(struct bench *b, const struct datagram *d)
{
	_Alignas(8) uint8_t answer[4096];
	size_t bytes;

	send_all(&b->port, d->data, d->bytes);
	for (size_t i = 0; i < d->count; i++) {
		if (receive(&b->port, answer, sizeof(answer), &bytes)->nlmsg_type !=
		    XFRM_MSG_NEWAE)
			die("the kernel does not know an SA");
	}
}

static void send_as_kamailio(struct bench *b, const struct datagram *d)
{
	struct netlink_port port;

	(void)b;
	if (netlink_socket(NETLINK_XFRM, &port) < 0)
		die("socket: %s", strerror(errno));
	for (size_t i = 0; i < d->count; i++)
		send_all(&port, d->data + d->offset[i], d->offset[i + 1] - d->offset[i]);
	netlink_close(&port);
}

/* ---- operations ---- */

static void plan_of(const struct bench *b, uint32_t n, struct plan *ret)
{
	const struct phone phone = phone_make(&b->how, b->first + n);

	phone_plan(&phone, &b->listener, ret);
}

/* The messages of @steps for @count phones, one phone after the other. */
static void prepare(struct bench *b, uint32_t from, uint32_t count, const struct operation *op)
{
	for (uint32_t i = 0; i < count; i++) {
		struct plan plan;

		plan_of(b, from + i, &plan);
		for (size_t s = 0; s < op->step_count; s++) {
			struct datagram *d = &b->chunk[i * op->step_count + s];

			d->bytes = d->count = 0;
			op->steps[s](b, &plan, d);
			if (op->send == send_and_wait)
				d->last->nlmsg_flags |= NLM_F_ACK;
		}
	}
}

/* Returns the seconds that it took without the preparation. */
static double go_through(struct bench *b, const struct operation *op)
{
	const uint32_t each = CHUNK / (uint32_t)op->step_count;
	double seconds = 0;

	for (uint32_t from = 0; from < b->phones; from += each) {
		const uint32_t count = b->phones - from < each ? b->phones - from : each;
		uint64_t before;

		prepare(b, from, count, op);
		before = now_ns();
		for (uint32_t i = 0; i < count; i++) {
			for (size_t s = 0; s < op->step_count; s++)
				op->send(b, &b->chunk[i * op->step_count + s]);
			b->latency_ns[from + i] = now_ns() - before;
			before += b->latency_ns[from + i];
			seconds += (double)b->latency_ns[from + i] / 1e9;
		}
	}
	return seconds;
}

/* Counts the SAs of a piece into @count; true: it was the last one. */
static bool count_piece(const struct nlmsghdr *nlh, size_t bytes, size_t *count)
{
	int left = (int)bytes;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_type == NLMSG_ERROR)
			die("the SAs cannot be dumped");
		if (nlh->nlmsg_type == NLMSG_DONE)
			return true;
		++*count;
	}
	return false;
}

static void dump(struct bench *b)
{
	static _Alignas(8) uint8_t piece[XFRM_ANSWER_BYTES];
	const uint64_t start = now_ns();
	const struct nlmsghdr *nlh;
	size_t count = 0, bytes;

	nlh = msg_start(piece, sizeof(piece), XFRM_MSG_GETSA, NLM_F_REQUEST | NLM_F_DUMP, "", 0);
	send_all(&b->port, nlh, nlh->nlmsg_len);
	do
		nlh = receive(&b->port, piece, sizeof(piece), &bytes);
	while (!count_piece(nlh, bytes, &count));
	report("dump", count, (double)(now_ns() - start) / 1e9, NULL);
}

static void print_batch(struct bench *b)
{
	char src[IP_TEXT_BYTES], dst[IP_TEXT_BYTES], key[2 * XFRM_MAX_KEY_BYTES + 1];
	struct plan plan;

	for (uint32_t n = 0; n < b->phones; n++) {
		plan_of(b, n, &plan);
		for (size_t i = 0; i < plan.sa_count; i++) {
			const struct xfrm_sa *sa = &plan.sas[i];

			for (size_t k = 0; k < 20; k++)
				sprintf(key + 2 * k, "%02x", sa->enc.bytes[k]);
			ip_format(&sa->src, src);
			ip_format(&sa->id.dst, dst);
			printf("xfrm state add src %s dst %s proto esp spi %u reqid %u "
			       "mode transport replay-window 64 aead rfc4106(gcm(aes)) 0x%s 128 "
			       "sel src %s dst %s sport %u dport %u limit time-hard 250\n",
			       src, dst, sa->id.spi, sa->reqid, key, src, dst, sa->sel.sport,
			       sa->sel.dport);
		}
	}
}

static void run(struct bench *b, const char *name)
{
	static const struct operation OPERATIONS[] = {
		{"add", {make_add}, 1, send_and_wait},
		{"together", {make_add}, 1, send_together},
		{"own", {make_add}, 1, send_and_wait},
		{"change", {make_change}, 1, send_and_wait},
		{"refresh", {make_refresh}, 1, send_and_wait},
		{"ask", {make_ask}, 1, send_and_read},
		{"delete", {make_delete}, 1, send_and_wait},
		{"life", {make_add, make_change, make_change, make_delete}, 4, send_and_wait},
		{"kamailio", {make_kamailio}, 1, send_as_kamailio},
	};

	b->listener.policies = CONFIG_POLICIES_SHARED;
	if (!strcmp(name, "own"))
		b->listener.policies = CONFIG_POLICIES_PER_SET;
	for (size_t i = 0; i < sizeof(OPERATIONS) / sizeof(OPERATIONS[0]); i++) {
		if (!strcmp(name, OPERATIONS[i].name)) {
			report(name, b->phones, go_through(b, &OPERATIONS[i]), b->latency_ns);
			return;
		}
	}
	if (!strcmp(name, "dump"))
		dump(b);
	else if (!strcmp(name, "batch"))
		print_batch(b);
	else
		die("no such operation: %s", name);
}

static void read_options(int argc, char **argv, struct bench *b)
{
	static const struct option LONG[] = {
		{"phones", required_argument, NULL, 'n'},
		{"first", required_argument, NULL, 'f'},
		{"addresses", required_argument, NULL, 'a'},
		{"spis", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:f:a:s:", LONG, NULL)) != -1) {
		if (c == 'n')
			b->phones = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 'f')
			b->first = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 's')
			b->how.counting_spis = !strcmp(optarg, "counting");
		else if (c != 'a' || phone_addresses_parse(optarg, &b->how.addresses) < 0)
			die("usage: see the head of tests/bench/kernel.c");
	}
}

int main(int argc, char **argv)
{
	static struct bench b = {.phones = 1000, .how = {.addresses = PHONES_RANDOM}};

	read_options(argc, argv, &b);
	b.listener = bench_listener();
	b.latency_ns = calloc(b.phones + 1, sizeof(*b.latency_ns));
	if (!b.latency_ns || netlink_open(NETLINK_XFRM, &b.port) < 0)
		die("no netlink socket, or no memory");
	for (int i = optind; i < argc; i++)
		run(&b, argv[i]);
	netlink_close(&b.port);
	free(b.latency_ns);
	return EXIT_SUCCESS;
}
