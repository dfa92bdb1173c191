/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SIP front end that does nothing but call the daemon, as fast as it is allowed to.
 *
 *	load --socket PATH [--phones N] [--first N] [--addresses counting|random|nat]
 *	     [--spis counting] [--generation N] [--clients N] [--in-flight N] [--rate N]
 *	     [--awake] [--times N] [--end-at SECONDS] [--answers FILE] STEPS...
 *
 * STEPS are methods joined by "+": each phone goes through them in order, and each STEPS is done
 * for all phones before the next and reports one line of JSON. Methods: offer, check, confirm,
 * extend, use, route, release. "check" is that of the REGISTER on a temporary set, "use" of any
 * message on a living one. All calls name phones by what the answers to "offer" said; --answers
 * keeps those in a file from one program to the next.
 *
 * Each of the clients has its own connection and so many requests in flight. With --rate, requests
 * leave at so many a second in all, and what they take counts from the moment when they were due,
 * so that waiting in a queue shows. Between two it sleeps, or with --awake looks at the clock: an
 * emulated machine that has nothing to do loses a timer now and then, and stands still for a tick.
 * An answer that is an error ends the program.
 *
 * --times: so often for each phone, for steps that may be repeated; SIGTERM ends that early, with a
 * report. --end-at, on the monotonic clock: sets that are confirmed end in the second before it.
 * --generation: the same phones with other SPIs and ports than those of generation 0.
 *
 * One thread: the daemon has one too, and this one does less for each request.
 */
#include "tests/bench/calls.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS   64
#define MAX_IN_FLIGHT 256
#define MAX_STEPS     8
#define REQUEST_BYTES 2048
#define BUFFER_BYTES  (MAX_IN_FLIGHT * REQUEST_BYTES)

/* A call under way. */
struct job {
	uint32_t phone;
	size_t step;
	uint64_t since_ns;
};

struct client {
	int fd;
	struct job jobs[MAX_IN_FLIGHT]; /* in the order of their answers */
	size_t first, count;
	char out[BUFFER_BYTES], in[BUFFER_BYTES];
	size_t out_bytes, in_bytes;
};

struct load {
	const char *socket_path, *answers_path;
	struct callers callers;
	uint32_t phones, times;
	size_t client_count, in_flight;
	double rate;
	bool awake;
	struct client *clients;

	/* the steps under way */
	const struct call *steps[MAX_STEPS];
	size_t step_count;
	uint32_t total, next, done;
	uint64_t start_ns;
	uint64_t *latency_ns;
	size_t latencies;
};

static volatile sig_atomic_t enough;

static void on_term(int number)
{
	(void)number;
	enough = 1;
}

/* ---- requests ---- */

static void send_call(struct load *load, struct client *c, uint32_t n, size_t step,
		      uint64_t due_ns)
{
	char *at = c->out + c->out_bytes;
	const size_t cap = BUFFER_BYTES - c->out_bytes;
	const size_t bytes = call_write(load->steps[step], &load->callers, n, at, cap);

	c->out_bytes += bytes;
	c->jobs[(c->first + c->count++) % MAX_IN_FLIGHT] =
		(struct job){.phone = n, .step = step, .since_ns = due_ns};
}

/* ---- answers ---- */

static void take_answer(struct load *load, struct client *c, const char *line)
{
	const struct job job = c->jobs[c->first];

	c->first = (c->first + 1) % MAX_IN_FLIGHT;
	c->count--;
	load->latency_ns[load->latencies++] = now_ns() - job.since_ns;
	if (!strstr(line, "\"result\":"))
		die("%s: %s", load->steps[job.step]->method, line);
	if (!strcmp(load->steps[job.step]->name, "offer"))
		call_take_offer(&load->callers, job.phone, line);
	if (job.step + 1 < load->step_count)
		send_call(load, c, job.phone, job.step + 1, now_ns());
	else
		load->done++;
}

static void read_answers(struct load *load, struct client *c)
{
	const ssize_t n = read(c->fd, c->in + c->in_bytes, BUFFER_BYTES - 1 - c->in_bytes);
	char *line = c->in, *end;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("the daemon closed the connection");
	c->in_bytes += (size_t)n;
	c->in[c->in_bytes] = '\0';
	while ((end = memchr(line, '\n', c->in_bytes - (size_t)(line - c->in)))) {
		*end = '\0';
		take_answer(load, c, line);
		line = end + 1;
	}
	c->in_bytes -= (size_t)(line - c->in);
	memmove(c->in, line, c->in_bytes);
}

static void write_calls(struct client *c)
{
	const ssize_t n = write(c->fd, c->out, c->out_bytes);

	if (n < 0 && errno != EAGAIN)
		die("write: %s", strerror(errno));
	if (n <= 0)
		return;
	c->out_bytes -= (size_t)n;
	memmove(c->out, c->out + n, c->out_bytes);
}

/* ---- the loop ---- */

static uint64_t due_ns(const struct load *load)
{
	return load->start_ns + (uint64_t)((double)load->next / load->rate * 1e9);
}

/* Begin with phones as far as the limits allow. */
static void begin(struct load *load, struct client *c)
{
	while (load->next < load->total && c->count < load->in_flight) {
		uint64_t since_ns = now_ns();

		if (load->rate > 0) {
			if (due_ns(load) > since_ns)
				return;
			since_ns = due_ns(load);
		}
		send_call(load, c, load->next++ % load->phones, 0, since_ns);
	}
}

/* Until something can be read or written, or the next call is due. */
static void wait_for(struct load *load, struct pollfd *polled)
{
	struct timespec limit = {.tv_sec = 30};
	int n;

	for (size_t i = 0; i < load->client_count; i++)
		polled[i] = (struct pollfd){
			.fd = load->clients[i].fd,
			.events = (short)(POLLIN | (load->clients[i].out_bytes ? POLLOUT : 0)),
		};
	if (load->rate > 0 && load->next < load->total) {
		const uint64_t now = now_ns(), due = due_ns(load);

		limit = (struct timespec){0};
		if (due > now && !load->awake)
			limit.tv_nsec = (long)(due - now) % 1000000000;
	}
	n = ppoll(polled, load->client_count, &limit, NULL);
	if ((n < 0 && errno != EINTR) || (n == 0 && limit.tv_sec))
		die("no answer for %ld s", (long)limit.tv_sec);
}

static void go_through(struct load *load)
{
	struct pollfd polled[MAX_CLIENTS];

	load->total = load->phones * load->times;
	load->next = load->done = 0;
	load->latencies = 0;
	load->start_ns = now_ns();
	while (load->done < load->total) {
		for (size_t i = 0; i < load->client_count; i++) {
			begin(load, &load->clients[i]);
			if (load->clients[i].out_bytes)
				write_calls(&load->clients[i]);
		}
		wait_for(load, polled);
		for (size_t i = 0; i < load->client_count; i++) {
			if (polled[i].revents)
				read_answers(load, &load->clients[i]);
		}
		if (enough)
			load->total = load->next;
	}
}

static void run(struct load *load, const char *steps)
{
	char *copy = strdup(steps), *rest = copy, *name;

	load->step_count = 0;
	while (copy && load->step_count < MAX_STEPS && (name = strsep(&rest, "+")))
		load->steps[load->step_count++] = call_by_name(name);
	free(copy);
	go_through(load);
	report(steps, load->latencies, (double)(now_ns() - load->start_ns) / 1e9,
	       load->latency_ns);
}

/* ---- start ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !memccpy(address.sun_path, path, 0, sizeof(address.sun_path)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static void read_options(int argc, char **argv, struct load *load)
{
	static const struct option LONG[] = {
		{"socket", required_argument, NULL, 's'},
		{"phones", required_argument, NULL, 'n'},
		{"first", required_argument, NULL, 'f'},
		{"addresses", required_argument, NULL, 'a'},
		{"clients", required_argument, NULL, 'c'},
		{"in-flight", required_argument, NULL, 'i'},
		{"rate", required_argument, NULL, 'r'},
		{"awake", no_argument, NULL, 'w'},
		{"answers", required_argument, NULL, 'k'},
		{"spis", required_argument, NULL, 'p'},
		{"generation", required_argument, NULL, 'g'},
		{"times", required_argument, NULL, 't'},
		{"end-at", required_argument, NULL, 'e'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:n:f:a:c:i:r:wk:p:g:t:e:", LONG, NULL)) != -1) {
		const unsigned long number = c == '?' || c == 'w' ? 0 : strtoul(optarg, NULL, 10);

		if (c == 's')
			load->socket_path = optarg;
		else if (c == 'n')
			load->phones = (uint32_t)number;
		else if (c == 'f')
			load->callers.first = (uint32_t)number;
		else if (c == 'c')
			load->client_count = number;
		else if (c == 'i')
			load->in_flight = number;
		else if (c == 'r')
			load->rate = (double)number;
		else if (c == 'w')
			load->awake = true;
		else if (c == 'k')
			load->answers_path = optarg;
		else if (c == 'p')
			load->callers.how.counting_spis = !strcmp(optarg, "counting");
		else if (c == 'g')
			load->callers.how.generation = (uint32_t)number;
		else if (c == 't')
			load->times = (uint32_t)number;
		else if (c == 'e')
			load->callers.end_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
		else if (c != 'a' || phone_addresses_parse(optarg, &load->callers.how.addresses) < 0)
			die("usage: see the head of tests/bench/load.c");
	}
	if (!load->socket_path || !load->client_count || load->client_count > MAX_CLIENTS ||
	    !load->in_flight || load->in_flight > MAX_IN_FLIGHT)
		die("usage: see the head of tests/bench/load.c");
}

static void make_phones(struct load *load)
{
	FILE *file = load->answers_path ? fopen(load->answers_path, "rb") : NULL;

	load->clients = calloc(load->client_count, sizeof(*load->clients));
	load->latency_ns = calloc((size_t)load->phones * load->times * MAX_STEPS,
				  sizeof(*load->latency_ns));
	if (!load->clients || !load->latency_ns)
		die("out of memory");
	callers_make(&load->callers, load->phones);
	if (file && fread(load->callers.phone, sizeof(*load->callers.phone), load->phones, file) != load->phones)
		die("%s is of other phones", load->answers_path);
	if (file)
		fclose(file);
}

static void keep_answers(const struct load *load)
{
	FILE *file = load->answers_path ? fopen(load->answers_path, "wb") : NULL;

	if (!file)
		return;
	if (fwrite(load->callers.phone, sizeof(*load->callers.phone), load->phones, file) != load->phones ||
	    fclose(file))
		die("%s: %s", load->answers_path, strerror(errno));
}

int main(int argc, char **argv)
{
	static struct load load = {.phones = 1000,
				   .times = 1,
				   .client_count = 1,
				   .in_flight = 1,
				   .callers = {.how = {.addresses = PHONES_RANDOM}}};

	read_options(argc, argv, &load);
	signal(SIGTERM, on_term);
	make_phones(&load);
	for (size_t i = 0; i < load.client_count; i++)
		load.clients[i].fd = connect_to(load.socket_path);
	for (int i = optind; i < argc; i++)
		run(&load, argv[i]);
	keep_answers(&load);
	for (size_t i = 0; i < load.client_count; i++)
		close(load.clients[i].fd);
	callers_done(&load.callers);
	free(load.clients);
	free(load.latency_ns);
	return EXIT_SUCCESS;
}
