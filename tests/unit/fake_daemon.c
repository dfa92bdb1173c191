/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_daemon FILE [log]: the daemon's doors and all behind them, sanitized, over the fake kernel:
 * no privileges, no XFRM. With "log" it logs as the configuration says, and is else silent.
 * tests/cli/doors.py drives it. It ends on SIGTERM; status 1 when something
 * was wrong with the doors. SIGUSR1 makes 5000 events at once.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/event_log.h"
#include "daemon/history.h"
#include "daemon/inherit.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/sip_flow.h"
#include "tests/unit/world.h"

#define BURST 5000

/* World's wishes to a clock that is real here. */
void fake_clock_reset(void)
{
}

size_t fake_timers_armed(void)
{
	return 0;
}

static void on_term(evutil_socket_t number, short what, void *loop)
{
	(void)number;
	(void)what;
	event_base_loopexit(loop, NULL);
}

static void on_burst(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
	for (unsigned i = 0; i < BURST; i++)
		event_emit(EVENT_SET_MOVED, event_number("port", i));
}

static int serve(struct event_base *loop, struct daemon *d)
{
	struct event *term = evsignal_new(loop, SIGTERM, on_term, loop);
	struct event *burst = evsignal_new(loop, SIGUSR1, on_burst, NULL);
	struct control *control;
	char why[512];
	int err;

	signal(SIGPIPE, SIG_IGN);
	evsignal_add(term, NULL);
	evsignal_add(burst, NULL);
	err = control_open(loop, d, &control, why, sizeof(why));
	if (err) {
		fprintf(stderr, "fake_daemon: %s\n", why);
	} else {
		event_base_dispatch(loop);
		control_close(control);
	}
	event_free(burst);
	event_free(term);
	return err;
}

int main(int argc, char **argv)
{
	static struct config config;
	struct daemon d = {0};
	struct event_base *loop = event_base_new();
	char why[512];
	int err;

	if (argc < 2 || config_read(argv[1], &config, why, sizeof(why)) < 0) {
		fprintf(stderr, "fake_daemon: %s\n", argc >= 2 ? why : "no configuration");
		return 1;
	}
	timer_use_loop(loop);
	history_start();
	inherit_sockets();
	world_start(NULL);
	if (argc > 2)
		log_open(LOG_TO_STDERR, config.log_level);
	event_log_set(config.log_identity_hash, config.log_limit);
	d = world_daemon();
	d.config = &config;
	err = serve(loop, &d);
	sip_flow_free(d.sip);
	sa_table_free(world.table);
	fake_store_reset();
	history_stop();
	event_log_flush();
	event_reset();
	event_base_free(loop);
	return err ? 1 : 0;
}
