/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagree-ue: a phone in software, for whoever has a P-CSCF and no phone.
 *
 * One loop polls the sockets, the signals and, with --interactive, standard input; everything else
 * is called from there. The life: read the options, open the kernel's XFRM socket, register (or
 * wait for the command to), answer what comes, renew, and on SIGTERM, SIGINT, "quit" or at the end
 * of --duration de-register, take all SAs and policies out and exit. A second signal does not wait
 * for the P-CSCF.
 *
 * Exit status: 0 all went well, 1 something failed, 2 wrong usage, 3 no security agreement.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tests/ue/event.h"
#include "tests/ue/ue.h"

#ifndef SECAGREED_VERSION
#define SECAGREED_VERSION "unknown"
#endif

#define COMMAND_BYTES 4096

enum {
	EXIT_OK,
	EXIT_FAILED,
	EXIT_USAGE,
	EXIT_NO_AGREEMENT,
};

/* What the loop polls beside the links. */
enum {
	POLL_SIGNAL,
	POLL_INPUT,
	POLL_ENCAP,
	POLL_COUNT,
};

struct loop {
	struct ue *ue;
	int signal_fd;
	bool input_open;
	bool end; /* leave now */
	int64_t stop_ms; /* --duration; INT64_MAX = never */
	char input[COMMAND_BYTES];
	size_t input_n;
};

/* De-register, then leave; the second call does not wait. */
static void stop(struct loop *loop, const char *why)
{
	struct ue *ue = loop->ue;

	loop->stop_ms = INT64_MAX;
	if (ue->stopping) {
		ue->failed = true;
		loop->end = true;
		return;
	}
	event_print("stopping", "reason=%s", why);
	ue->stopping = true;
	if (ue->reg.state == REG_IDLE && ue->reg.registered)
		reg_start(ue, REG_DEREGISTER);
}

/* After each turn of the loop: is there still something to do? */
static void settle(struct loop *loop)
{
	struct ue *ue = loop->ue;
	bool idle = ue->reg.state == REG_IDLE;

	if (idle && ue->failed && !ue->options.interactive && !ue->stopping)
		stop(loop, "failure");
	if (idle && ue->reg.registered && ue->options.has_duration && !ue->stopping &&
	    loop->stop_ms == INT64_MAX)
		loop->stop_ms = clock_ms() + (int64_t)ue->options.duration_s * 1000;
	if (!ue->stopping || ue->reg.state != REG_IDLE)
		return;
	/* a registration that was under way when the signal came */
	if (ue->reg.registered)
		reg_start(ue, REG_DEREGISTER);
	else
		loop->end = true;
}

static void tell_set(struct ue *ue, const struct ue_set *set)
{
	uint64_t bytes = 0, packets = 0;

	event_print("set", "set=%d state=%s alg=%s ealg=%s prot=%s mod=%s", set->id,
		    set_state_name(set->state), ipsec_alg_name(set->suite.alg),
		    ipsec_ealg_name(set->suite.ealg), ipsec_prot_name(set->suite.prot),
		    ipsec_mod_name(set->suite.mod));
	for (size_t i = 0; i < set->plan.sa_count; i++) {
		const struct sa_entry *sa = &set->plan.sas[i];

		if (sa_kernel_count(&ue->kernel, &set->plan, i, &bytes, &packets) < 0)
			event_print("sa", "set=%d dir=%s spi=%u missing=yes", set->id,
				    sa->out ? "out" : "in", sa->spi);
		else
			event_print("sa", "set=%d dir=%s spi=%u sport=%u dport=%u bytes=%llu "
				    "packets=%llu", set->id, sa->out ? "out" : "in", sa->spi,
				    sa->selector.sport, sa->selector.dport,
				    (unsigned long long)bytes, (unsigned long long)packets);
	}
}

static int do_status(struct loop *loop, char *argument)
{
	struct ue *ue = loop->ue;
	const char *state = ue->reg.state == REG_IDLE ? "idle" : "busy";
	int64_t left = ue->reg.registered ? (ue->reg.expire_ms - clock_ms()) / 1000 : 0;

	(void)argument;
	event_print("status", "registered=%s state=%s left=%lld sqn=%012llx",
		    ue->reg.registered ? "yes" : "no", state, (long long)left,
		    (unsigned long long)ue->options.card.sqn);
	for (int i = 0; i < SET_MAX; i++)
		if (ue->sets.sets[i].state != SET_FREE)
			tell_set(ue, &ue->sets.sets[i]);
	return 0;
}

static int do_register(struct loop *loop, char *argument)
{
	(void)argument;
	reg_start(loop->ue, REG_REGISTER);
	return 0;
}

static int do_reregister(struct loop *loop, char *argument)
{
	(void)argument;
	reg_start(loop->ue, REG_REREGISTER);
	return 0;
}

static int do_deregister(struct loop *loop, char *argument)
{
	(void)argument;
	reg_start(loop->ue, REG_DEREGISTER);
	return 0;
}

static int do_options(struct loop *loop, char *argument)
{
	enum net_kind transport = loop->ue->options.transport;

	if (strcmp(argument, "udp") == 0)
		transport = NET_UDP;
	else if (strcmp(argument, "tcp") == 0)
		transport = NET_TCP;
	else if (*argument)
		return -EINVAL;
	return reg_send_request(loop->ue, transport, "OPTIONS", loop->ue->options.impu, NULL);
}

static int do_message(struct loop *loop, char *argument)
{
	char *text = strchr(argument, ' ');

	if (!text)
		return -EINVAL;
	*text++ = '\0';
	return reg_send_request(loop->ue, loop->ue->options.transport, "MESSAGE", argument, text);
}

static int do_call(struct loop *loop, char *argument)
{
	return dial_start(loop->ue, argument);
}

static int do_hangup(struct loop *loop, char *argument)
{
	(void)argument;
	return dial_end(loop->ue);
}

static int do_clear(struct loop *loop, char *argument)
{
	(void)argument;
	return reg_send_clear(loop->ue);
}

static int do_fault(struct loop *loop, char *argument)
{
	return fault_set(&loop->ue->options, argument);
}

static int do_quit(struct loop *loop, char *argument)
{
	(void)argument;
	stop(loop, "quit");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct loop *loop, char *argument);
} commands[] = {
	{"register", do_register},     {"reregister", do_reregister},
	{"deregister", do_deregister}, {"options", do_options},
	{"message", do_message},       {"clear", do_clear},
	{"call", do_call},	       {"hangup", do_hangup},
	{"fault", do_fault},	       {"status", do_status},
	{"quit", do_quit},
};

static void run_command(struct loop *loop, char *line)
{
	char *argument = line + strcspn(line, " ");
	int r = -EINVAL;

	if (*line == '\0')
		return;
	if (*argument)
		*argument++ = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, line) == 0)
			r = commands[i].run(loop, argument);
	if (r < 0)
		event_print("error", "command=\"%s\" reason=\"%s\"", line,
			    r == -EINVAL ? "unknown command or missing argument" : strerror(-r));
}

static void run_lines(struct loop *loop)
{
	char *start = loop->input;
	char *lf;

	while ((lf = memchr(start, '\n', loop->input_n))) {
		*lf = '\0';
		loop->input_n -= (size_t)(lf + 1 - start);
		if (lf > start && lf[-1] == '\r')
			lf[-1] = '\0';
		run_command(loop, start);
		start = lf + 1;
	}
	memmove(loop->input, start, loop->input_n);
	if (loop->input_n == sizeof(loop->input)) {
		event_print("error", "reason=\"line too long\"");
		loop->input_n = 0;
	}
}

static void read_input(struct loop *loop)
{
	ssize_t n = read(STDIN_FILENO, loop->input + loop->input_n,
			 sizeof(loop->input) - loop->input_n);

	if (n > 0) {
		loop->input_n += (size_t)n;
		run_lines(loop);
	} else if (n == 0 || errno != EINTR) {
		loop->input_open = false;
		if (!loop->ue->stopping)
			stop(loop, "end-of-input");
	}
}

static void ignore(const struct net_source *from, const char *what, const char *reason)
{
	char text[IP_TEXT_BYTES];

	event_print("ignored", "reason=%s what=\"%s\" peer=%s:%u port=%u", reason, what,
		    ip_text(&from->peer, text), from->peer_port, from->local_port);
}

static void handle_message(struct ue *ue, const struct net_source *from,
			   const struct sip_message *m)
{
	const struct ue_set *set = set_of_source(&ue->sets, from);
	bool was_current = set && set->state == SET_CURRENT;

	/* TS 33.203 7.1: what comes to a protected port from elsewhere is nobody's */
	if (from->role != NET_CLEAR && !set)
		ignore(from, sip_method(m), "not-from-a-set");
	else if (sip_status(m) != 0 && !txn_response(&ue->txns, m, from) && !dial_again(ue, m))
		ignore(from, sip_method(m), "response-without-request");
	else if (sip_status(m) == 0 && !set)
		ignore(from, sip_method(m), "unprotected");
	else if (sip_status(m) == 0)
		call_request(ue, from, m);
	if (was_current && set->state == SET_CURRENT)
		reg_note_use(ue, set);
}

static void on_text(void *ctx, const struct net_source *from, struct span text)
{
	struct ue *ue = ctx;
	struct sip_message m;

	if (sip_message_parse(text, &m) < 0) {
		ignore(from, "", "not-sip");
		return;
	}
	handle_message(ue, from, &m);
	sip_message_done(&m);
}

static void on_closed(void *ctx, int link, int why)
{
	struct ue *ue = ctx;

	event_print("connection-closed", "port=%u reason=\"%s\"", ue->net.links[link].local_port,
		    why ? strerror(why) : "by the peer");
	if (ue->reg.clear_link == link)
		ue->reg.clear_link = -1;
	set_link_lost(&ue->sets, link);
	txn_link_lost(&ue->txns, link);
}

static void on_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	if (read(loop->signal_fd, &info, sizeof(info)) == sizeof(info))
		stop(loop, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int timeout_ms(struct loop *loop)
{
	struct ue *ue = loop->ue;
	int64_t next = earlier(txn_next_ms(&ue->txns), reg_next_ms(ue));
	int64_t now = clock_ms();

	next = earlier(next, call_next_ms(&ue->calls));
	next = earlier(next, encap_next_ms(&ue->encap));
	next = earlier(next, loop->stop_ms);
	if (next == INT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

static void tick(struct loop *loop)
{
	struct ue *ue = loop->ue;
	int64_t now = clock_ms();

	txn_tick(&ue->txns, now);
	reg_tick(ue, now);
	call_tick(ue, now);
	encap_tick(&ue->encap, now);
	if (now >= loop->stop_ms)
		stop(loop, "duration");
}

static void run(struct loop *loop)
{
	struct ue *ue = loop->ue;
	struct pollfd fds[POLL_COUNT + NET_MAX_LINKS];

	while (!loop->end) {
		fds[POLL_SIGNAL] = (struct pollfd){loop->signal_fd, POLLIN, 0};
		fds[POLL_INPUT] = (struct pollfd){loop->input_open ? STDIN_FILENO : -1, POLLIN, 0};
		fds[POLL_ENCAP] = (struct pollfd){ue->encap.fd, POLLIN, 0};
		net_poll_fill(&ue->net, fds + POLL_COUNT);
		if (poll(fds, POLL_COUNT + NET_MAX_LINKS, timeout_ms(loop)) < 0 && errno != EINTR)
			break;
		if (fds[POLL_SIGNAL].revents)
			on_signal(loop);
		if (fds[POLL_ENCAP].revents)
			encap_drain(&ue->encap);
		net_handle(&ue->net, fds + POLL_COUNT, NET_MAX_LINKS);
		if (fds[POLL_INPUT].revents)
			read_input(loop);
		tick(loop);
		settle(loop);
	}
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "secagree-ue: %s%s%s\n", what, *why ? ": " : "", why);
	return -EIO;
}

static int open_parts(struct ue *ue)
{
	const struct ue_options *o = &ue->options;
	int r;

	if (sip_init() < 0)
		return complain("the SIP parser does not start", "");
	if (sa_kernel_open(&ue->kernel, o->reqid) < 0)
		return complain("kernel", ue->kernel.why);
	if (o->mod != IPSEC_MOD_UDP_ENC_TUN)
		return 0;
	r = encap_open(&ue->encap, &o->local, &o->pcscf, o->encap_port);
	return r < 0 ? complain("UDP port for UDP-enc-tun", strerror(-r)) : 0;
}

static void join_parts(struct ue *ue)
{
	const struct ue_options *o = &ue->options;

	net_init(&ue->net);
	ue->net.trace = o->trace;
	ue->net.on_message = on_text;
	ue->net.on_closed = on_closed;
	ue->net.ctx = ue;
	ue->txns.net = &ue->net;
	ue->txns.t1_ms = o->t1_ms;
	ue->txns.timeout_ms = o->timeout_s ? (int64_t)o->timeout_s * 1000 : 64 * (int64_t)o->t1_ms;
	ue->txns.ctx = ue;
	ue->sets.net = &ue->net;
	ue->sets.kernel = &ue->kernel;
	ue->sets.options = o;
	encap_init(&ue->encap);
	reg_init(&ue->reg, o->expires_s);
}

static void close_parts(struct ue *ue)
{
	txn_drop(&ue->txns, NULL);
	set_remove_all(&ue->sets, "exit");
	call_done(&ue->calls);
	encap_close(&ue->encap);
	net_done(&ue->net);
	if (ue->kernel.socket)
		sa_kernel_close(&ue->kernel);
	reg_wipe(&ue->reg);
	options_wipe(&ue->options);
}

static void tell_start(const struct ue_options *o)
{
	char local[IP_TEXT_BYTES], pcscf[IP_TEXT_BYTES];

	event_print("started", "local=%s pcscf=%s:%u impu=%s reqid=%u fault=%s",
		    ip_text(&o->local, local), ip_text(&o->pcscf, pcscf), o->pcscf_port, o->impu,
		    o->reqid, fault_name(o->fault));
}

static int run_phone(struct ue *ue)
{
	struct loop loop = {.ue = ue, .stop_ms = INT64_MAX};
	int r;

	join_parts(ue);
	loop.signal_fd = open_signals();
	loop.input_open = ue->options.interactive;
	r = loop.signal_fd < 0 ? complain("signals", strerror(errno)) : open_parts(ue);
	if (r == 0) {
		tell_start(&ue->options);
		if (!ue->options.interactive)
			reg_start(ue, REG_REGISTER);
		settle(&loop);
		run(&loop);
	}
	/* before the SAs go: a phone that must stop abruptly is still registered */
	if (ue->reg.registered)
		ue->failed = true;
	close_parts(ue);
	if (loop.signal_fd >= 0)
		close(loop.signal_fd);
	if (ue->no_agreement)
		return EXIT_NO_AGREEMENT;
	if (r < 0 || ue->failed || (!ue->ever_registered && !ue->options.interactive))
		return EXIT_FAILED;
	return EXIT_OK;
}

static int usage_error(const char *error)
{
	fprintf(stderr, "secagree-ue: %s\nTry secagree-ue --help.\n", error);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static struct ue ue;
	char error[512];
	int status;

	options_init(&ue.options);
	if (options_read(&ue.options, argc, argv, error, sizeof(error)) < 0)
		return usage_error(error);
	if (ue.options.help) {
		options_help(stdout);
		return EXIT_OK;
	}
	if (ue.options.version) {
		printf("secagree-ue %s\n", SECAGREED_VERSION);
		return EXIT_OK;
	}
	if (ue.options.once) {
		ue.options.has_duration = true;
		ue.options.duration_s = 0;
	}
	if (options_check(&ue.options, error, sizeof(error)) < 0) {
		options_wipe(&ue.options);
		return usage_error(error);
	}
	status = run_phone(&ue);
	event_print("exit", "status=%d", status);
	return status;
}
