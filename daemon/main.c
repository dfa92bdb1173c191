/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreed: reads its configuration, gives up all rights but one, tries whether the kernel can do
 * the job, puts the guards in place, takes up the sets of the run before it, shuts itself in, and
 * serves the control socket until SIGTERM or SIGINT; SIGHUP has it read its configuration anew. Sets and guards stay in the kernel for the next
 * run; only without a store, or when asked to (--flush), does it take everything of its own out
 * again. One loop, one thread.
 */
#include "daemon/command.h"
#include "daemon/conn.h"
#include "daemon/control.h"
#include "daemon/encap.h"
#include "daemon/event.h"
#include "daemon/event_log.h"
#include "daemon/history.h"
#include "daemon/inherit.h"
#include "daemon/log.h"
#include "daemon/machine.h"
#include "daemon/notify.h"
#include "daemon/packed.h"
#include "daemon/privilege.h"
#include "daemon/probe.h"
#include "daemon/reload.h"
#include "daemon/restore.h"
#include "daemon/syscall_filter.h"
#include "daemon/watch.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	OPTION_FLUSH = 256, /* no letter */
};

struct options {
	const char *config_path;
	bool foreground, check_config, flush;
};

/* Everything that runs, in the order of its making; stop() goes the other way. */
struct running {
	struct daemon daemon;
	struct event_base *loop;
	struct encap *encap;
	struct store *store;
	struct guards *guards;
	struct upkeep *upkeep;
	struct watch *watch;
	struct control *control;
	struct reload *reload;
	struct event *signals[3];
	struct event *watchdog;
};

static const char USAGE[] =
	"usage: secagreed [--config FILE] [--foreground] [--check-config] [--flush] [--version]\n"
	"                 [--help]\n"
	"\n"
	"Negotiates ipsec-3gpp security agreements for a P-CSCF and keeps their SAs in the kernel.\n"
	"\n"
	"  -c, --config FILE   configuration, " CONFIG_DEFAULT_PATH " when not given\n"
	"  -f, --foreground    stay in the foreground and log to standard error\n"
	"  -t, --check-config  read the configuration, say what is wrong with it, and exit\n"
	"      --flush         take what a stopped daemon has left out of the kernel, and exit\n"
	"  -V, --version       print the version and exit\n"
	"  -h, --help          print this and exit\n"
	"\n"
	"Exit status: 0 stopped when asked to, or the configuration is right; 1 it is not, or the\n"
	"daemon could not do its job on this machine; 2 usage.\n"
	"See secagreed(8), secagreed.conf(5), secagreectl(8).\n";

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option LONG[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "check-config", no_argument, NULL, 't' },
		{ "flush", no_argument, NULL, OPTION_FLUSH },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*ret = (struct options){ .config_path = CONFIG_DEFAULT_PATH };
	while ((c = getopt_long(argc, argv, "c:ftVh", LONG, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret->config_path = optarg;
			break;
		case 'f':
			ret->foreground = true;
			break;
		case 't':
			ret->check_config = true;
			break;
		case OPTION_FLUSH:
			ret->flush = true;
			break;
		case 'V':
			puts("secagreed " SECAGREED_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(USAGE, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("Try secagreed --help.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "secagreed: unexpected argument \"%s\"\nTry secagreed --help.\n",
		argv[optind]);
	return EXIT_USAGE;
}

static int read_config(const struct options *options, struct config *config)
{
	char why[512];

	if (config_read(options->config_path, config, why, sizeof(why)) < 0) {
		fprintf(stderr, "secagreed: %s\n", why);
		return -1;
	}
	if (config->listener_count)
		return 0;
	fprintf(stderr, "secagreed: %s: there is no listener; secagreed.conf(5) has examples\n",
		options->config_path);
	return -1;
}

static void say_missing(void *arg, const char *what, const char *advice)
{
	(void)arg;
	fprintf(stderr, "secagreed: not on this machine: %s (%s)\n", what, advice);
}

/* It may be for another machine: what this one lacks is said, and is no fault of the file. */
static void check_config(const struct options *options, const struct config *config)
{
	machine_look(config, geteuid(), say_missing, NULL);
	printf("%s: good, %zu listener%s\n", options->config_path, config->listener_count,
	       config->listener_count == 1 ? "" : "s");
}

static void say(bool fatal, const char *what, const char *advice)
{
	log_line(fatal ? LOG_ERR : LOG_WARNING, "%s: %s", what, advice);
}

/* Before anything is opened: what the daemon makes is its user's. */
static int give_up_rights(const struct config *config)
{
	enum privilege_user who;
	char why[256];

	if (privilege_drop(config->user, &who, why, sizeof(why)) < 0) {
		log_line(LOG_ERR, "%s", why);
		return -1;
	}
	if (who == PRIVILEGE_USER_MISSING)
		log_line(LOG_WARNING, "there is no user " PRIVILEGE_USER ": the daemon stays root, "
				      "with CAP_NET_ADMIN alone");
	return 0;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	event_emit(EVENT_STOPPING, event_text("signal", number == SIGTERM ? "TERM" : "INT"));
	event_base_loopexit(arg, NULL);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	const struct running *r = arg;
	struct json_out answer = { 0 };
	struct refusal refusal;

	(void)number;
	(void)what;
	if (r->reload)
		(void)reload_run(r->reload, &answer, &refusal);
	json_out_done(&answer); /* the log has it */
}

static int watch_signals(struct running *r)
{
	static const int NUMBERS[] = { SIGTERM, SIGINT, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
		const bool hangup = NUMBERS[i] == SIGHUP;

		r->signals[i] = evsignal_new(r->loop, NUMBERS[i], hangup ? on_hangup : on_signal,
					     hangup ? (void *)r : r->loop);
		if (!r->signals[i] || evsignal_add(r->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Each step says itself why it failed. */
static int start_kernel(struct running *r, const struct config *config)
{
	char why[512];
	int err = xfrm_open(&r->daemon.xfrm);
	unsigned missing;

	if (err) {
		log_line(LOG_ERR, "no XFRM netlink socket: %s%s", strerror(-err),
			 err == -EPROTONOSUPPORT ? " (load the module xfrm_user)" : "");
		return -1;
	}
	missing = probe_kernel(r->daemon.xfrm, config, say);
	if (missing) {
		log_line(LOG_ERR, "%u thing%s missing on this machine: not started", missing,
			 missing == 1 ? " is" : "s are");
		return -1;
	}
	if (encap_open(r->loop, config, &r->encap, why, sizeof(why)) < 0) {
		log_line(LOG_ERR, "%s", why);
		return -1;
	}
	return 0;
}

/* Which of the sets that were taken up does the kernel still have, and what of no set? */
static void compare_with_kernel(struct running *r)
{
	struct audit_report report;

	audit_run(r->daemon.audit, &report);
	if (report.orphan_sas || report.orphan_policies)
		event_emit(EVENT_ORPHANS_REMOVED, event_number("sas", report.orphan_sas),
			   event_number("policies", report.orphan_policies));
	if (report.error)
		audit_soon(r->daemon.audit); /* other programs were at work: once more */
}

static int open_store(struct running *r, const struct config *config)
{
	char why[512];

	if (!config->state_dir[0] ||
	    store_open(config->state_dir, config->max_sets, &r->store, why, sizeof(why)) == 0)
		return 0;
	log_line(LOG_ERR, "%s", why);
	return -1;
}

static int take_up(struct running *r, const struct config *config)
{
	struct restored restored;
	char why[512];

	r->daemon.table->store = r->store;
	if (restore(r->daemon.table, config, &r->guards, &restored, why, sizeof(why)) < 0) {
		log_line(LOG_ERR, "%s", why);
		return -1;
	}
	if (restored.sets || restored.expired || restored.changed || restored.refused)
		event_emit(EVENT_RESTORED, event_number("sets", restored.sets),
			   event_number("expired", restored.expired),
			   event_number("changed", restored.changed),
			   event_number("refused", restored.refused));
	return 0;
}

static int start_sets(struct running *r, const struct config *config)
{
	struct watch_targets targets = { 0 };
	int err;

	if (open_store(r, config) < 0)
		return -1;
	targets.table = r->daemon.table = sa_table_new(r->daemon.xfrm, config->max_sets);
	if (r->daemon.table)
		sa_table_limit(r->daemon.table, config);
	if (r->daemon.table && take_up(r, config) < 0)
		return -1;
	targets.guards = r->guards;
	if (r->daemon.table) {
		targets.upkeep = r->upkeep = upkeep_new(r->daemon.table);
		targets.audit = r->daemon.audit = audit_new(config, r->daemon.table, r->guards);
	}
	err = r->upkeep && r->daemon.audit ? watch_open(r->loop, &targets, &r->watch) : -ENOMEM;
	if (err) {
		log_line(LOG_ERR, "the kernel's events: %s", strerror(-err));
		return -1;
	}
	compare_with_kernel(r);
	return 0;
}

/* A daemon in the background is elsewhere. Links are left, since they may lead to another file then. */
static int from_root(const char *path, char ret[static PATH_MAX])
{
	char here[PATH_MAX] = "";

	if (path[0] != '/' && !getcwd(here, sizeof(here)))
		return -errno;
	return snprintf(ret, PATH_MAX, "%s%s%s", here, here[0] ? "/" : "", path) < PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

static int start_reload(struct running *r, const char *config_path)
{
	static char path[PATH_MAX];
	const struct reload_targets targets = {
		.loop = r->loop,
		.daemon = &r->daemon,
		.store = r->store,
		.guards = r->guards,
		.encap = r->encap,
		.control = r->control,
	};

	if (from_root(config_path, path) == 0)
		r->reload = reload_new(path, &targets);
	if (!r->reload)
		log_line(LOG_ERR, "%s: no memory, or too long a path", config_path);
	return r->reload ? 0 : -1;
}

static int start(struct running *r, const char *config_path, const struct config *config)
{
	char why[512];

	r->daemon.config = config;
	r->daemon.started_ms = clock_monotonic_ms();
	conn_init();
	r->loop = event_base_new();
	if (!r->loop || hash_init() < 0 || packed_init() < 0) {
		log_line(LOG_ERR, "no event loop: out of memory?");
		return -1;
	}
	timer_use_loop(r->loop);
	event_log_set(config->log_identity_hash, config->log_limit);
	history_start();
	if (watch_signals(r) < 0) {
		log_line(LOG_ERR, "out of memory");
		return -1;
	}
	/* First of all: who holds the socket is alone, and what is in the kernel is left over. */
	if (control_open(r->loop, &r->daemon, &r->control, why, sizeof(why)) < 0) {
		log_line(LOG_ERR, "%s", why);
		return -1;
	}
	if (start_kernel(r, config) < 0)
		return -1;
	if (start_sets(r, config) < 0)
		return -1;
	return start_reload(r, config_path) < 0 ? -1 : 0;
}

/* When all is open, and in the process that stays. */
static int shut_in(void)
{
	int err = privilege_lock_memory();

	if (err)
		log_line(LOG_NOTICE, "keys on their way to the kernel may be swapped out: memory "
				     "cannot be locked: %s%s", strerror(-err),
			 err == -EPERM ? " (LimitMEMLOCK=infinity)" : "");
	err = syscall_filter_install();
	if (err)
		log_line(LOG_ERR, "no filter of system calls: %s", strerror(-err));
	return err;
}

static int go_to_background(struct running *r, int log_level)
{
	int err = daemon(0, 0) < 0 || event_reinit(r->loop) < 0 ? -1 : 0;

	log_open(LOG_TO_SYSLOG, log_level);
	if (err)
		log_line(LOG_ERR, "cannot go to the background: %s", strerror(errno));
	return err;
}

static int serve(struct running *r)
{
	int err = shut_in();

	if (!err && notify_watchdog(r->loop, &r->watchdog) < 0) {
		log_line(LOG_ERR, "out of memory");
		err = -ENOMEM;
	}
	if (err)
		return err;
	(void)notify("READY=1"); /* who does not hear it, gives up by himself */
	err = event_base_dispatch(r->loop) < 0 ? -EIO : 0;
	(void)notify("STOPPING=1");
	event_emit(EVENT_STOPPED);
	return err;
}

/* All that is in the kernel and in the store goes. */
static void flush(struct running *r)
{
	sa_table_drop_all(r->daemon.table, "flush");
	guards_remove(r->guards);
	r->guards = NULL;
	store_remove(r->store);
}

/* @started: else what an earlier run left stays for the next one. */
static void stop(struct running *r, bool started)
{
	if (r->watchdog)
		event_free(r->watchdog);
	control_close(r->control);
	watch_close(r->watch); /* before the guards go, or it would put them back */
	audit_free(r->daemon.audit);
	upkeep_free(r->upkeep);
	if (started && !r->store)
		flush(r); /* nobody would know it again */
	reload_free(r->reload);
	guards_free(r->guards);
	store_close(r->store);
	encap_close(r->encap);
	for (size_t i = 0; i < sizeof(r->signals) / sizeof(r->signals[0]); i++) {
		if (r->signals[i])
			event_free(r->signals[i]);
	}
	xfrm_close(r->daemon.xfrm);
	history_stop();
	event_log_flush();
	if (started && r->store)
		return; /* a hundred thousand sets and their timers go faster with the process */
	sa_table_free(r->daemon.table);
	if (r->loop)
		event_base_free(r->loop);
}

static int run(struct running *r, const struct options *options, const struct config *config)
{
	int err;

	event_emit(EVENT_STARTED, event_text("version", SECAGREED_VERSION),
		   event_number("listeners", config->listener_count),
		   event_text("socket", config->socket.path));
	err = options->foreground ? 0 : go_to_background(r, config->log_level);
	return err ? err : serve(r);
}

int main(int argc, char **argv)
{
	static struct config config;
	struct running running = { 0 };
	struct options options;
	int err, status = parse_options(argc, argv, &options);
	bool started;

	if (status >= 0)
		return status;
	if (read_config(&options, &config) < 0)
		return EXIT_FAILURE;
	if (options.check_config) {
		check_config(&options, &config);
		return EXIT_SUCCESS;
	}
	log_open(LOG_TO_STDERR, config.log_level);
	inherit_sockets();
	if (give_up_rights(&config) < 0)
		return EXIT_FAILURE;
	err = start(&running, options.config_path, &config);
	started = !err;
	if (started && options.flush) {
		log_line(LOG_NOTICE, "taken out of the kernel: %u sets, the guards of %zu listeners",
			 HASH_COUNT(running.daemon.table->sets), config.listener_count);
		flush(&running);
	} else if (started) {
		err = run(&running, &options, &config);
	}
	stop(&running, started && !options.flush);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
