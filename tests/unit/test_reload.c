/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/reload.c: a file is taken whole or not at all, sets live on, and no port is open meanwhile.
 * The kernel's trial, ports for ESP in UDP and connections are stubs here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/audit.h"
#include "daemon/event.h"
#include "daemon/event_log.h"
#include "daemon/log.h"
#include "daemon/probe.h"
#include "daemon/reload.h"
#include "daemon/sip_flow.h"
#include "tests/unit/world.h"

#define PORTS "server-port = 6100 client-ports = \"6104-6107\" "
#define IMS   "listener ims { address = \"192.0.2.1\" " PORTS
#define OTHER "listener other { address = \"192.0.2.2\" " PORTS "}\n"

static char path[] = "/tmp/test_reload.XXXXXX";
static struct daemon daemon_;
static struct guards *guards;
static struct reload *reload;
static struct json_out answer;
static struct json_tree tree; /* of it */

/* ---- stubs ---- */

static struct {
	unsigned missing, probed;
	int encap_err;
	unsigned encap_added, encap_trimmed, max_connections;
} stub;

unsigned probe_listener(struct xfrm *xfrm, const struct config_listener *listener,
			void (*say)(bool fatal, const char *what, const char *advice))
{
	(void)xfrm;
	(void)listener;
	(void)say;
	stub.probed++;
	return stub.missing;
}

int encap_add(struct encap *encap, struct event_base *loop, const struct config *config,
	      char *ret_why, size_t why_cap)
{
	(void)encap;
	(void)loop;
	(void)config;
	snprintf(ret_why, why_cap, "UDP port 4500");
	stub.encap_added++;
	return stub.encap_err;
}

void encap_trim(struct encap *encap, const struct config *config)
{
	(void)encap;
	(void)config;
	stub.encap_trimmed++;
}

void control_limit(struct control *control, unsigned max_connections)
{
	(void)control;
	stub.max_connections = max_connections;
}

void sip_flow_use(struct sip_flow *flow, const struct config *config,
		  const struct config_listener *const *heirs)
{
	(void)flow;
	(void)config;
	(void)heirs;
}

/* ---- helpers ---- */

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void config_before(const char *text)
{
	static struct config config;
	char why[400];

	write_file(text);
	if (config_read(path, &config, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	daemon_.config = &config;
	world.listener = &config.listeners[0];
	assert_int_equal(guards_install(&fake_xfrm, &config, &guards, why, sizeof(why)), 0);
	daemon_.audit = audit_new(&config, world.table, guards);
	assert_non_null(daemon_.audit);
	world.other_timers = 1;
}

static void begin(const char *text)
{
	struct reload_targets targets = {.daemon = &daemon_, .store = &fake_store};

	config_before(text);
	targets.guards = guards;
	targets.control = (struct control *)&stub; /* a stub never looks into it */
	reload = reload_new(path, &targets);
	assert_non_null(reload);
	world.other_policies = fake_xfrm.policy_count;
}

static int start(void **state)
{
	const int fd = mkstemp(path);

	if (fd < 0 || world_start(state) < 0)
		return -1;
	close(fd);
	log_open(LOG_TO_STDERR, -1);
	event_reset();
	memset(&stub, 0, sizeof(stub));
	daemon_ = (struct daemon){.xfrm = &fake_xfrm, .table = world.table};
	guards = NULL;
	reload = NULL;
	return 0;
}

static int stop(void **state)
{
	json_tree_done(&tree);
	json_out_done(&answer);
	sa_table_drop_all(world.table, "stop");
	reload_free(reload);
	audit_free(daemon_.audit);
	guards_remove(guards);
	unlink(path);
	strcpy(path + strlen(path) - 6, "XXXXXX");
	world.table->gone = NULL;
	event_log_flush(); /* its timer is none of the sets */
	return world_stop(state);
}

static void take(const char *text)
{
	write_file(text);
	json_tree_done(&tree);
	json_out_cut(&answer, 0);
	memset(&world.refusal, 0, sizeof(world.refusal));
	if (reload_run(reload, &answer, &world.refusal) < 0)
		fail_msg("refused: %s", world.refusal.text);
	assert_int_equal(answer.err, 0);
	assert_int_equal(json_read(answer.text, answer.n, &tree, NULL), 0);
	world.listener = (struct config_listener *)&daemon_.config->listeners[0];
	world.other_policies = 0;
	for (size_t i = 0; i < daemon_.config->listener_count; i++)
		world.other_policies += 4;
}

static void assert_refuses(const char *text, const char *words)
{
	const struct config *before = daemon_.config;
	const size_t policies = fake_xfrm.policy_count;

	if (text)
		write_file(text);
	assert_int_equal(reload_run(reload, &answer, &world.refusal), -ECANCELED);
	if (!strstr(world.refusal.text, words))
		fail_msg("%s", world.refusal.text);
	assert_ptr_equal(daemon_.config, before);
	assert_int_equal(fake_xfrm.policy_count, policies);
	assert_int_equal(event_total(EVENT_RELOAD_REFUSED), 1);
	assert_int_equal(event_total(EVENT_RELOADED), 0);
	event_reset();
}

static bool is_in(const char *member, const char *name)
{
	const struct json_node *one = json_first(json_member(tree.nodes, member));

	for (; one; one = json_next(one)) {
		if (!strcmp(one->text, name))
			return true;
	}
	return false;
}

static size_t count_of(const char *member)
{
	return json_member(tree.nodes, member)->n;
}

static void assert_only(const char *member, const char *name)
{
	static const char *const MEMBERS[] = {"changed", "restart", "leaving"};

	if (!is_in(member, name))
		fail_msg("%s is not %s", name, member);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(count_of(MEMBERS[i]), !strcmp(MEMBERS[i], member));
}

static bool is_guarded(const char *address, uint16_t port)
{
	const struct ip_addr ip = world_ip(address);
	unsigned found = 0;

	for (size_t i = 0; i < fake_xfrm.policy_count; i++) {
		const struct xfrm_policy *p = &fake_xfrm.policies[i];

		found += (ip_equal(&p->sel.dst, &ip) && p->sel.dport_mask &&
			  (port & p->sel.dport_mask) == p->sel.dport) ||
			 (ip_equal(&p->sel.src, &ip) && p->sel.sport_mask &&
			  (port & p->sel.sport_mask) == p->sel.sport);
	}
	return found >= 2;
}

/* ---- the file ---- */

static void the_same_file_changes_nothing(void **state)
{
	(void)state;
	begin(IMS "}\n");
	fake_xfrm_forget();
	take(IMS "}\n");
	assert_int_equal(count_of("changed") + count_of("restart") + count_of("leaving"), 0);
	assert_int_equal(fake_xfrm.step_count, 0);
	assert_int_equal(stub.probed, 0);
	assert_int_equal(event_total(EVENT_RELOADED), 1);
}

static void a_wrong_file_changes_nothing_and_the_error_says_where(void **state)
{
	(void)state;
	begin(IMS "}\n");
	world_registered();
	assert_refuses("max-sets = 7\n" IMS "\nverify = \"maybe\" }\n", ":3: verify");
	assert_refuses("max-sets = 7\n", "there is no listener");
	unlink(path);
	assert_refuses(NULL, "No such file");
	assert_int_equal(daemon_.config->max_sets, 100000);
	world_check(true);
}

static void keys_of_the_daemon_change_or_wait_for_a_restart(void **state)
{
	static const struct {
		const char *text, *key;
		bool waits;
	} ROWS[] = {
		{"socket { mode = \"0600\" }\n", "socket", true},
		{"monitor { path = \"/tmp/m.sock\" }\n", "monitor", true},
		{"http { listen = \"127.0.0.1:9100\" }\n", "http", true},
		{"user = \"nobody\"\n", "user", true},
		{"state-dir = \"off\"\n", "state-dir", true},
		{"log-level = \"error\"\n", "log-level", false},
		{"log-identity = hash\n", "log-identity", false},
		{"log-limit = 7\n", "log-limit", false},
		{"allow-key-export = \"on\"\n", "allow-key-export", false},
		{"max-sets = 7\n", "max-sets", false},
		{"max-sets-per-impi = 7\n", "max-sets-per-impi", false},
		{"max-sets-per-address = 7\n", "max-sets-per-address", false},
		{"max-connections = 7\n", "max-connections", false},
		{"audit-interval = 7\n", "audit-interval", false},
	};

	(void)state;
	begin(IMS "}\n");
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		char text[400];

		snprintf(text, sizeof(text), "%s" IMS "}\n", ROWS[i].text);
		take(text);
		assert_only(ROWS[i].waits ? "restart" : "changed", ROWS[i].key);
		take(text); /* what waits, waits; what is done, is done */
		assert_int_equal(count_of("restart"), ROWS[i].waits);
		assert_int_equal(count_of("changed"), 0);
		take(IMS "}\n");
		assert_int_equal(count_of("restart"), 0);
		log_open(LOG_TO_STDERR, -1);
	}
}

static void limits_apply_at_once(void **state)
{
	(void)state;
	begin(IMS "}\n");
	take("max-sets = 1\nmax-connections = 7\n" IMS "}\n");
	assert_int_equal(stub.max_connections, 7);
	assert_int_equal(world.table->max_sets, 1);
}

static void keys_of_a_listener_change_wait_for_its_sets_or_for_a_restart(void **state)
{
	static const struct {
		const char *text, *key;
		char when; /* 'o'nce, without 's'ets, 'r'estart */
	} ROWS[] = {
		{"reqid = 7", "reqid", 'r'},
		{"priority = 7", "priority", 'r'},
		{"policies = \"per-set\"", "policies", 's'},
		{"selectors = \"relaxed\"", "selectors", 's'},
		{"encap-port = 4501", "encap-port", 's'},
		{"algorithms = { \"aes-gcm\" }", "algorithms", 'o'},
		{"encryption = \"required\"", "encryption", 'o'},
		{"protocols = { \"esp\", \"ah\" }", "protocols", 'o'},
		{"modes = { \"trans\" }", "modes", 'o'},
		{"mechanisms = { \"ipsec-3gpp\", \"foo\" }", "mechanisms", 'o'},
		{"security-server = \"chosen\"", "security-server", 'o'},
		{"verify = \"lenient\"", "verify", 'o'},
		{"sec-agree = \"off\"", "sec-agree", 'o'},
		{"tls-is-protected = \"on\"", "tls-is-protected", 'o'},
		{"require-verify = \"always\"", "require-verify", 'o'},
		{"register-mismatch = \"494\"", "register-mismatch", 'o'},
		{"register-without-ipsec = \"forbid\"", "register-without-ipsec", 'o'},
		{"clear-requests = \"forbid\"", "clear-requests", 'o'},
		{"returning-phone = \"refuse\"", "returning-phone", 'o'},
		{"replay-window = 128", "replay-window", 'o'},
		{"reg-await-auth = 7", "reg-await-auth", 'o'},
		{"old-set-time = 7", "old-set-time", 'o'},
		{"registration-margin = 7", "registration-margin", 'o'},
		{"kernel-slack = 7", "kernel-slack", 'o'},
	};

	(void)state;
	begin(IMS "}\n");
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		char text[400], key[80];
		struct sa_set *set;

		snprintf(text, sizeof(text), IMS "%s }\n", ROWS[i].text);
		snprintf(key, sizeof(key), "listener ims: %s", ROWS[i].key);
		take(text);
		assert_only(ROWS[i].when == 'r' ? "restart" : "changed", key);
		take(IMS "}\n");
		set = world_registered();
		take(text);
		assert_only(ROWS[i].when == 'o' ? "changed" : "restart", key);
		take(IMS "}\n");
		world_check(false);
		sa_set_drop(set, "test");
	}
}

/* ---- listeners ---- */

static void living_sets_go_on_and_new_ones_follow_the_new_file(void **state)
{
	struct sa_set_request request;
	struct sa_set *set, *fresh;
	uint64_t id, deadline_ms;

	(void)state;
	begin(IMS "}\n");
	set = world_registered();
	id = set->id;
	deadline_ms = set->deadline_ms;
	take(IMS "reg-await-auth = 7 }\n");
	assert_true(world_has(id));
	assert_int_equal(set->deadline_ms, deadline_ms);
	world_check(true);
	request = world_request_again(set);
	fresh = world_create(&request);
	assert_int_equal(sa_set_left_s(fresh), 7);
	world_check(true);
}

static void a_new_listener_is_guarded(void **state)
{
	(void)state;
	begin(IMS "}\n");
	take(IMS "}\n" OTHER);
	assert_only("changed", "listener other: new");
	assert_true(is_guarded("192.0.2.2", 6100));
	assert_true(is_guarded("192.0.2.2", 6107));
	assert_int_equal(stub.probed, 1);
	assert_int_equal(fake_store_listeners(), 2);
}

static void a_listener_without_sets_that_is_gone_is_gone(void **state)
{
	(void)state;
	begin(IMS "}\n" OTHER);
	world_registered();
	take(IMS "}\n");
	assert_only("changed", "listener other: gone");
	assert_false(is_guarded("192.0.2.2", 6100));
	assert_true(is_guarded("192.0.2.1", 6100));
	assert_int_equal(daemon_.config->listener_count, 1);
	world_check(true);
}

static void a_listener_with_sets_leaves_with_the_last_of_them(void **state)
{
	struct sa_set *set;

	(void)state;
	begin(IMS "}\n" OTHER);
	set = world_registered();
	take(OTHER);
	assert_true(is_in("changed", "listener ims: gone"));
	assert_true(is_in("leaving", "ims"));
	assert_int_equal(daemon_.config->listener_count, 2);
	assert_true(daemon_.config->listeners[1].leaving);
	assert_true(is_guarded("192.0.2.1", 6100));
	world_check(true);
	take(OTHER); /* it still leaves, and that is no change */
	assert_only("leaving", "ims");
	sa_set_drop(set, "test");
	assert_true(is_guarded("192.0.2.1", 6100));
	fake_clock_advance_ms(1);
	assert_int_equal(event_total(EVENT_LISTENER_LEFT), 1);
	assert_int_equal(daemon_.config->listener_count, 1);
	assert_string_equal(daemon_.config->listeners[0].name, "other");
	assert_false(is_guarded("192.0.2.1", 6100));
	assert_true(is_guarded("192.0.2.2", 6100));
}

static void two_of_three_leave_each_with_its_own_last_set(void **state)
{
	struct sa_set_request request;
	struct sa_set *a, *b, *c;

	(void)state;
	begin(IMS "}\n" OTHER "listener third { address = \"192.0.2.3\" " PORTS "}\n");
	a = world_registered();
	request = world_request();
	request.listener = &daemon_.config->listeners[1];
	request.impi = "b";
	request.ue.spi_c += 100;
	request.ue.spi_s += 100;
	b = world_create(&request);
	request.listener = &daemon_.config->listeners[2];
	request.impi = "c";
	request.ue.spi_c += 100;
	request.ue.spi_s += 100;
	c = world_create(&request);
	take(OTHER);
	assert_int_equal(count_of("leaving"), 2);
	assert_string_equal(b->listener->name, "other");
	sa_set_drop(a, "test");
	fake_clock_advance_ms(1);
	assert_int_equal(daemon_.config->listener_count, 2);
	assert_string_equal(c->listener->name, "third");
	assert_string_equal(b->listener->name, "other");
	sa_set_drop(c, "test");
	fake_clock_advance_ms(1);
	assert_int_equal(daemon_.config->listener_count, 1);
	assert_string_equal(b->listener->name, "other");
	assert_ptr_equal(b->listener, &daemon_.config->listeners[0]);
}

static void a_leaving_listener_comes_back(void **state)
{
	struct sa_set *set;

	(void)state;
	begin(IMS "}\n" OTHER);
	set = world_registered();
	take(OTHER);
	take(IMS "}\n" OTHER);
	assert_only("changed", "listener ims: back");
	assert_false(daemon_.config->listeners[0].leaving);
	assert_ptr_equal(set->listener, &daemon_.config->listeners[0]);
	sa_set_drop(set, "test");
	fake_clock_advance_ms(1);
	assert_int_equal(daemon_.config->listener_count, 2);
	assert_true(is_guarded("192.0.2.1", 6100));
}

static void another_address_waits_for_a_restart_while_there_are_sets(void **state)
{
	const char *moved = "listener ims { address = \"192.0.2.9\" " PORTS "}\n";
	struct sa_set *set;

	(void)state;
	begin(IMS "}\n");
	set = world_registered();
	take(moved);
	assert_only("restart", "listener ims: address");
	assert_true(is_guarded("192.0.2.1", 6100));
	assert_false(is_guarded("192.0.2.9", 6100));
	world_check(true);
	sa_set_drop(set, "test");
	fake_xfrm_forget();
	take(moved);
	assert_only("changed", "listener ims: address");
	assert_false(is_guarded("192.0.2.1", 6100));
	assert_true(is_guarded("192.0.2.9", 6100));
}

/* Whatever comes, comes before anything goes. */
static void no_port_is_open_in_between(void **state)
{
	bool gone = false;

	(void)state;
	begin(IMS "}\n" OTHER);
	fake_xfrm_forget();
	take("listener ims { address = \"192.0.2.1\" server-port = 6200 client-ports = "
	     "\"6096-6103\" }\nlistener third { address = \"192.0.2.2\" " PORTS "}\n");
	assert_true(fake_xfrm_steps(FAKE_DELETE_POLICY) > 0);
	for (size_t i = 0; i < fake_xfrm.step_count; i++) {
		gone |= fake_xfrm.steps[i].what == FAKE_DELETE_POLICY;
		assert_false(gone && fake_xfrm.steps[i].what == FAKE_ADD_POLICY);
	}
	assert_true(is_guarded("192.0.2.1", 6100)); /* as a client port now */
	assert_true(is_guarded("192.0.2.2", 6100)); /* under another name */
	assert_int_equal(fake_xfrm.policy_count, 8);
}

static void client_ports_grow_under_living_sets(void **state)
{
	static const char GROWN[] = "listener ims { address = \"192.0.2.1\" server-port = 6100 "
				    "client-ports = \"6104-6111\" }\n";
	struct sa_set *set;

	(void)state;
	begin(IMS "}\n");
	set = world_registered();
	take(GROWN);
	assert_only("changed", "listener ims: client-ports");
	assert_true(is_guarded("192.0.2.1", 6111));
	assert_true(is_guarded("192.0.2.1", 6104));
	assert_int_equal(set->listener->client_port_last, 6111);
	take(IMS "}\n");
	assert_only("restart", "listener ims: client-ports");
	assert_true(is_guarded("192.0.2.1", 6111));
}

static void client_ports_do_not_grow_over_the_server_port_that_stays(void **state)
{
	(void)state;
	begin(IMS "}\n");
	world_registered();
	take("listener ims { address = \"192.0.2.1\" server-port = 6200 client-ports = "
	     "\"6100-6107\" }\n");
	assert_int_equal(count_of("restart"), 2);
	assert_int_equal(count_of("changed"), 0);
	world_check(true);
}

/* ---- what may fail ---- */

static void what_stays_and_what_is_new_must_fit(void **state)
{
	(void)state;
	begin(IMS "}\n");
	world_registered();
	assert_refuses("listener new { address = \"192.0.2.1\" " PORTS "}\n",
		       "\"new\" share a port");
	assert_int_equal(daemon_.config->listener_count, 1);
	world_check(true);
}

static void without_room_for_those_that_leave_nothing_changes(void **state)
{
	static char text[64 * 200];
	size_t n = 0;

	(void)state;
	begin(IMS "}\n");
	world_registered();
	for (int i = 0; i < CONFIG_MAX_LISTENERS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "listener l%d { address = \"198.51.100.%d\" " PORTS "}\n", i,
				      i + 1);
	assert_refuses(text, "more than 64 listeners");
}

static void whatever_the_kernel_refuses_all_is_as_before(void **state)
{
	(void)state;
	begin(IMS "}\n");
	world_registered();
	for (size_t nth = 1; nth <= 4; nth++) {
		fake_xfrm_refuse(nth, -EPERM);
		assert_refuses(IMS "}\n" OTHER, "listener other");
		assert_false(is_guarded("192.0.2.2", 6100));
		world_check(true);
	}
	assert_int_equal(stub.encap_trimmed, 4);
	fake_store.refuse = -ENOSPC;
	assert_refuses(IMS "}\n" OTHER, "No space left");
	fake_store.refuse = 0;
	stub.missing = 2;
	assert_refuses(IMS "}\n" OTHER, "2 things are missing");
	stub.missing = 0;
	stub.encap_err = -EADDRINUSE;
	assert_refuses(IMS "}\n" OTHER, "UDP port 4500");
	stub.encap_err = 0;
	take(IMS "}\n" OTHER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(the_same_file_changes_nothing),
		TEST(a_wrong_file_changes_nothing_and_the_error_says_where),
		TEST(keys_of_the_daemon_change_or_wait_for_a_restart),
		TEST(limits_apply_at_once),
		TEST(keys_of_a_listener_change_wait_for_its_sets_or_for_a_restart),
		TEST(living_sets_go_on_and_new_ones_follow_the_new_file),
		TEST(a_new_listener_is_guarded),
		TEST(a_listener_without_sets_that_is_gone_is_gone),
		TEST(a_listener_with_sets_leaves_with_the_last_of_them),
		TEST(two_of_three_leave_each_with_its_own_last_set),
		TEST(a_leaving_listener_comes_back),
		TEST(another_address_waits_for_a_restart_while_there_are_sets),
		TEST(no_port_is_open_in_between),
		TEST(client_ports_grow_under_living_sets),
		TEST(client_ports_do_not_grow_over_the_server_port_that_stays),
		TEST(what_stays_and_what_is_new_must_fit),
		TEST(without_room_for_those_that_leave_nothing_changes),
		TEST(whatever_the_kernel_refuses_all_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
