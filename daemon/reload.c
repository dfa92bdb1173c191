/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file is read whole, as at a start, and held against the configuration in force, key by key.
 * What only a restart can change stays as it was, and is named. The rest is prepared, each step of
 * which may fail and leaves nothing then: the kernel is tried, ports for ESP in UDP are opened, the
 * listeners are written to the store, their guards put beside those of before. Then, and this cannot
 * fail, sets and all others look at the new configuration, and what nobody wants any more goes. No
 * port is open in between: guards come before others go.
 *
 * Sets that live keep what was negotiated for them; which rules they are judged by and how long they
 * live is the new configuration's. A listener that is not in the file any more and has sets stays,
 * behind the others and marked as leaving, until the last of them goes; it takes no new ones.
 *
 * Sockets and their groups are not touched: they belong to a start, when names of groups can still
 * be looked up. Listeners in the store are never forgotten here, since records of sets name them;
 * the next start does that.
 */
#include "daemon/reload.h"
#include "daemon/event.h"
#include "daemon/event_log.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/probe.h"
#include "daemon/set_record.h"
#include "daemon/sip_flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reload {
	const char *path;
	struct reload_targets to;
	struct config *ours;  /* in force; NULL: the one of the start, which is not ours */
	uint64_t sets[CONFIG_MAX_LISTENERS]; /* of the leaving ones, by their place in it */
	struct timer leave;
};

/* The same list for the answer and for the log. */
struct names {
	struct json_out array; /* without its last bracket */
	struct json_out text;
};

/* One change of the configuration. */
struct change {
	struct reload *reload;
	const struct config *before;
	struct config *next;
	uint64_t sets[CONFIG_MAX_LISTENERS]; /* of those before */
	const struct config_listener *heirs[CONFIG_MAX_LISTENERS]; /* what they become; NULL: gone */
	struct names changed, restart, leaving; /* keys and listeners */
};

/* ---- what is different ---- */

enum when {
	AT_ONCE,
	WITHOUT_SETS, /* the kernel has it in the SAs of the listener's sets */
	AT_RESTART,
};

struct key {
	const char *name;
	enum when when;
	size_t offset, bytes;
};

#define FIELD(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)
#define FIELDS(type, first, last)                                                                  \
	offsetof(struct type, first),                                                              \
		offsetof(struct type, last) + sizeof(((struct type *)0)->last) -                   \
			offsetof(struct type, first)

/* secagreed.conf(5), section RELOAD */
static const struct key DAEMON_KEYS[] = {
	{ "socket", AT_RESTART, FIELD(config, socket) },
	{ "monitor", AT_RESTART, FIELD(config, monitor) },
	{ "http", AT_RESTART, FIELDS(config, http, http_port) },
	{ "user", AT_RESTART, FIELD(config, user) },
	{ "log-level", AT_ONCE, FIELD(config, log_level) },
	{ "log-identity", AT_ONCE, FIELD(config, log_identity_hash) },
	{ "log-limit", AT_ONCE, FIELD(config, log_limit) },
	{ "allow-key-export", AT_ONCE, FIELD(config, allow_key_export) },
	{ "state-dir", AT_RESTART, FIELD(config, state_dir) },
	{ "max-sets", AT_ONCE, FIELD(config, max_sets) },
	{ "max-sets-per-impi", AT_ONCE, FIELD(config, max_sets_per_impi) },
	{ "max-sets-per-address", AT_ONCE, FIELD(config, max_sets_per_address) },
	{ "max-connections", AT_ONCE, FIELD(config, max_connections) },
	{ "audit-interval", AT_ONCE, FIELD(config, audit_interval_s) },
	{ 0 },
};

static const struct key LISTENER_KEYS[] = {
	{ "address", WITHOUT_SETS, FIELD(config_listener, address) },
	{ "server-port", WITHOUT_SETS, FIELD(config_listener, server_port) },
	{ "reqid", AT_RESTART, FIELD(config_listener, reqid) },
	{ "priority", AT_RESTART, FIELD(config_listener, priority) },
	{ "policies", WITHOUT_SETS, FIELD(config_listener, policies) },
	{ "selectors", WITHOUT_SETS, FIELD(config_listener, selectors) },
	{ "encap-port", WITHOUT_SETS, FIELD(config_listener, encap_port) },
	/* after those that say whether it may grow */
	{ "client-ports", WITHOUT_SETS, FIELDS(config_listener, client_port_first, client_port_last) },
	{ "algorithms", AT_ONCE, FIELDS(config_listener, select.pairs, select.pair_count) },
	{ "encryption", AT_ONCE, FIELD(config_listener, select.encryption) },
	{ "protocols", AT_ONCE, FIELDS(config_listener, select.esp, select.ah) },
	{ "modes", AT_ONCE, FIELDS(config_listener, select.trans, select.udp_enc_tun) },
	{ "mechanisms", AT_ONCE, FIELD(config_listener, mechanisms) },
	{ "security-server", AT_ONCE, FIELD(config_listener, security_server) },
	{ "verify", AT_ONCE, FIELD(config_listener, verify) },
	{ "sec-agree", AT_ONCE, FIELD(config_listener, decide.sec_agree) },
	{ "tls-is-protected", AT_ONCE, FIELD(config_listener, decide.tls_is_protected) },
	{ "require-verify", AT_ONCE, FIELD(config_listener, decide.verify_always) },
	{ "register-mismatch", AT_ONCE, FIELD(config_listener, decide.register_mismatch_494) },
	{ "register-without-ipsec", AT_ONCE, FIELD(config_listener, decide.register_without_ipsec) },
	{ "clear-requests", AT_ONCE, FIELD(config_listener, decide.other_clear) },
	{ "returning-phone", AT_ONCE, FIELD(config_listener, returning_phone) },
	{ "replay-window", AT_ONCE, FIELD(config_listener, replay_window) },
	{ "reg-await-auth", AT_ONCE, FIELD(config_listener, timers.reg_await_auth_s) },
	{ "old-set-time", AT_ONCE, FIELD(config_listener, timers.old_set_s) },
	{ "registration-margin", AT_ONCE, FIELD(config_listener, timers.registration_margin_s) },
	{ "kernel-slack", AT_ONCE, FIELD(config_listener, timers.kernel_slack_s) },
	{ 0 },
};

/* "log-level", "listener ims: algorithms" */
static void name(struct names *list, const struct config_listener *l, const char *what)
{
	char text[CONFIG_NAME_BYTES + 64];

	if (l)
		snprintf(text, sizeof(text), "listener %s: %s", l->name, what);
	else
		snprintf(text, sizeof(text), "%s", what);
	json_put(&list->text, list->text.n ? ", " : "");
	json_put(&list->text, text);
	json_put_text(&list->array, text, strlen(text));
}

static void put_back(void *next, const void *before, const struct key *key)
{
	memcpy((char *)next + key->offset, (const char *)before + key->offset, key->bytes);
}

static bool is_same(const void *a, const void *b, const struct key *key)
{
	return !memcmp((const char *)a + key->offset, (const char *)b + key->offset, key->bytes);
}

/* All ports of before are still client ports, and the selectors of relaxed sets what they were. */
static bool only_grows(const struct config_listener *before, const struct config_listener *next)
{
	uint16_t mask_before, mask_next;

	return next->client_port_first <= before->client_port_first &&
	       next->client_port_last >= before->client_port_last &&
	       (next->server_port < next->client_port_first ||
		next->server_port > next->client_port_last) &&
	       (next->selectors == CONFIG_SELECTORS_STRICT ||
		(config_port_block(before, &mask_before) == config_port_block(next, &mask_next) &&
		 mask_before == mask_next));
}

static bool must_stay(const struct key *key, const struct config_listener *before,
		      const struct config_listener *next, bool has_sets)
{
	switch (key->when) {
	case AT_ONCE:
		return false;
	case WITHOUT_SETS:
		return has_sets && (strcmp(key->name, "client-ports") != 0 ||
				    !only_grows(before, next));
	case AT_RESTART:
		break;
	}
	return true;
}

static void compare_daemon(struct change *c)
{
	for (const struct key *key = DAEMON_KEYS; key->name; key++) {
		if (is_same(c->before, c->next, key))
			continue;
		name(key->when == AT_RESTART ? &c->restart : &c->changed, NULL, key->name);
		if (key->when == AT_RESTART)
			put_back(c->next, c->before, key);
	}
}

static void compare_listener(struct change *c, const struct config_listener *before,
			     struct config_listener *next, bool has_sets)
{
	for (const struct key *key = LISTENER_KEYS; key->name; key++) {
		bool stays;

		if (is_same(before, next, key))
			continue;
		stays = must_stay(key, before, next, has_sets);
		name(stays ? &c->restart : &c->changed, next, key->name);
		if (stays)
			put_back(next, before, key);
	}
	if (before->leaving)
		name(&c->changed, next, "back");
}

/* ---- listeners ---- */

static struct config_listener *find(struct config *config, const char *wanted)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (!strcmp(config->listeners[i].name, wanted))
			return &config->listeners[i];
	}
	return NULL;
}

static void count_sets(struct change *c)
{
	const struct sa_set *set;

	for (set = c->reload->to.daemon->table->sets; set; set = set->hh.next)
		c->sets[set->listener - c->before->listeners]++;
}

/* It is in the file no more. -ENOSPC: it has sets, and there is no room for it. */
static int leave(struct change *c, const struct config_listener *before, bool has_sets)
{
	struct config_listener *stays;

	if (!before->leaving || !has_sets)
		name(&c->changed, before, "gone");
	if (!has_sets)
		return 0;
	if (c->next->listener_count == CONFIG_MAX_LISTENERS)
		return -ENOSPC;
	stays = &c->next->listeners[c->next->listener_count++];
	*stays = *before;
	stays->leaving = true;
	name(&c->leaving, NULL, before->name);
	return 0;
}

static int compare_listeners(struct change *c)
{
	const size_t in_file = c->next->listener_count;
	int err = 0;

	for (size_t i = 0; i < in_file; i++) {
		struct config_listener *next = &c->next->listeners[i];
		const struct config_listener *before = find((struct config *)c->before, next->name);

		if (before)
			compare_listener(c, before, next, c->sets[before - c->before->listeners]);
		else
			name(&c->changed, next, "new");
	}
	for (size_t i = 0; i < c->before->listener_count && !err; i++) {
		const struct config_listener *before = &c->before->listeners[i];

		if (!find(c->next, before->name))
			err = leave(c, before, c->sets[i]);
		c->heirs[i] = find(c->next, before->name);
	}
	return err;
}

/* What stays as it was beside what is new. */
static int check_listeners(const struct change *c, struct refusal *refusal)
{
	const struct config *next = c->next;
	char why[256];

	for (size_t i = 0; i < next->listener_count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (!config_fits(&next->listeners[k], &next->listeners[i], why, sizeof(why)))
				return refuse(refusal, REASON_BAD_CONFIG,
					      "%s: %s, as long as it has sets or until a restart",
					      c->reload->path, why);
		}
	}
	return 0;
}

/* ---- what may fail ---- */

static void say(bool fatal, const char *what, const char *advice)
{
	log_line(fatal ? LOG_ERR : LOG_WARNING, "%s: %s", what, advice);
}

static bool is_known(const struct change *c, const struct config_listener *next)
{
	const struct config_listener *before = find((struct config *)c->before, next->name);

	if (!before || !ip_equal(&before->address, &next->address))
		return false;
	/* Padding that differs costs a probe, no more:
	   NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	return !memcmp(&before->select, &next->select, sizeof(next->select));
}

static int try_kernel(const struct change *c, struct refusal *refusal)
{
	struct xfrm *xfrm = c->reload->to.daemon->xfrm;

	for (size_t i = 0; i < c->next->listener_count; i++) {
		const struct config_listener *l = &c->next->listeners[i];
		const unsigned missing = is_known(c, l) ? 0 : probe_listener(xfrm, l, say);

		if (missing)
			return refuse(refusal, REASON_BAD_CONFIG,
				      "listener %s: %u thing%s missing on this machine: see the log",
				      l->name, missing, missing == 1 ? " is" : "s are");
	}
	return 0;
}

static int write_listeners(const struct change *c, struct refusal *refusal)
{
	struct store *store = c->reload->to.store;
	uint8_t bytes[LISTENER_RECORD_MAX_BYTES];
	int err = 0;

	if (c->next->max_sets > c->before->max_sets)
		err = store_resize(store, c->next->max_sets);
	for (size_t i = 0; i < c->next->listener_count && !err; i++) {
		const size_t n = listener_record_write(&c->next->listeners[i], bytes);

		store_put_listener(store, (struct span){ (const char *)bytes, n });
	}
	if (!err)
		err = store_commit(store);
	return err ? refuse(refusal, REASON_STORE_FAILED, "state-dir: %s", strerror(-err)) : 0;
}

static int prepare(const struct change *c, struct refusal *refusal)
{
	const struct reload_targets *to = &c->reload->to;
	char why[512];
	int err = try_kernel(c, refusal);

	if (err)
		return err;
	if (encap_add(to->encap, to->loop, c->next, why, sizeof(why)) < 0)
		return refuse(refusal, REASON_BAD_CONFIG, "%s", why);
	err = write_listeners(c, refusal);
	if (!err && guards_add(to->guards, c->next, why, sizeof(why)) < 0)
		err = refuse(refusal, REASON_BAD_CONFIG, "%s", why);
	if (err)
		encap_trim(to->encap, c->before);
	return err;
}

/* ---- what cannot ---- */

/* @next is in force, and ours. */
static void take(struct change *c)
{
	struct reload *reload = c->reload;
	const struct reload_targets *to = &reload->to;
	struct sa_table *table = to->daemon->table;
	struct sa_set *set;

	memset(reload->sets, 0, sizeof(reload->sets));
	for (set = table->sets; set; set = set->hh.next) {
		set->listener = c->heirs[set->listener - c->before->listeners];
		reload->sets[set->listener - c->next->listeners]++;
	}
	if (to->daemon->sip)
		sip_flow_use(to->daemon->sip, c->next, c->heirs);
	audit_use(to->daemon->audit, c->next);
	to->daemon->config = c->next;
	sa_table_limit(table, c->next);
	log_set_level(c->next->log_level);
	event_log_set(c->next->log_identity_hash, c->next->log_limit);
	if (to->control)
		control_limit(to->control, c->next->max_connections);
	guards_trim(to->guards, c->next);
	encap_trim(to->encap, c->next);
	free(reload->ours);
	reload->ours = c->next;
}

/* ---- the last set of a leaving listener ---- */

static void on_set_gone(const struct sa_set *set, void *arg)
{
	struct reload *reload = arg;
	const size_t i = (size_t)(set->listener - reload->to.daemon->config->listeners);

	if (set->listener->leaving && --reload->sets[i] == 0)
		timer_arm(&reload->leave, clock_monotonic_ms());
}

/* @c->next is @before without those that have left. */
static void drop_left(struct change *c)
{
	struct config *next = c->next;

	*next = *c->before;
	next->listener_count = 0;
	for (size_t i = 0; i < c->before->listener_count; i++) {
		const struct config_listener *before = &c->before->listeners[i];

		if (before->leaving && !c->sets[i]) {
			event_emit(EVENT_LISTENER_LEFT, event_text("listener", before->name));
			continue;
		}
		c->heirs[i] = &next->listeners[next->listener_count];
		next->listeners[next->listener_count++] = *before;
	}
	memset(&next->listeners[next->listener_count], 0, sizeof(next->listeners[0]));
}

static void on_left(void *arg)
{
	struct reload *reload = arg;
	struct change c = { .reload = reload, .before = reload->to.daemon->config };

	c.next = malloc(sizeof(*c.next));
	if (!c.next)
		return; /* the next reload or restart does it */
	count_sets(&c);
	drop_left(&c);
	take(&c);
}

/* ---- all of it ---- */

static int read_next(struct change *c, struct refusal *refusal)
{
	char why[512];

	c->next = calloc(1, sizeof(*c->next));
	if (!c->next)
		return refuse(refusal, REASON_INTERNAL, "out of memory");
	if (config_read(c->reload->path, c->next, why, sizeof(why)) < 0)
		return refuse(refusal, REASON_BAD_CONFIG, "%s", why);
	if (!c->next->listener_count)
		return refuse(refusal, REASON_BAD_CONFIG, "%s: there is no listener",
			      c->reload->path);
	return 0;
}

static int compare(struct change *c, struct refusal *refusal)
{
	count_sets(c);
	compare_daemon(c);
	if (compare_listeners(c) < 0)
		return refuse(refusal, REASON_BAD_CONFIG,
			      "more than %d listeners, with those that still have sets",
			      CONFIG_MAX_LISTENERS);
	return check_listeners(c, refusal);
}

static void announce(const struct change *c)
{
	event_emit(EVENT_RELOADED, event_text("changed", c->changed.text.text),
		   event_text("restart", c->restart.text.text),
		   event_text("leaving", c->leaving.text.text));
}

static void put_names(struct json_out *out, const char *member, const struct names *list)
{
	json_name(out, member);
	json_put(out, list->array.text ? list->array.text : "");
	json_close(out, ']');
	if (list->array.err)
		out->err = list->array.err;
}

static int change(struct change *c, struct json_out *out, struct refusal *refusal)
{
	int err = read_next(c, refusal);

	if (!err)
		err = compare(c, refusal);
	if (!err)
		err = prepare(c, refusal);
	if (err) {
		free(c->next);
		event_emit(EVENT_RELOAD_REFUSED, event_text("why", refusal->text));
		return err;
	}
	take(c);
	announce(c);
	json_open(out, '{');
	put_names(out, "changed", &c->changed);
	put_names(out, "restart", &c->restart);
	put_names(out, "leaving", &c->leaving);
	json_close(out, '}');
	return 0;
}

static void begin_names(struct names *list)
{
	json_open(&list->array, '[');
	json_put(&list->text, ""); /* so that an empty one is there, too */
}

static void end_names(struct names *list)
{
	json_out_done(&list->array);
	json_out_done(&list->text);
}

int reload_run(struct reload *reload, struct json_out *out, struct refusal *refusal)
{
	struct change c = { .reload = reload, .before = reload->to.daemon->config };
	int err;

	begin_names(&c.changed);
	begin_names(&c.restart);
	begin_names(&c.leaving);
	(void)notify_reloading();
	err = change(&c, out, refusal);
	(void)notify("READY=1");
	end_names(&c.changed);
	end_names(&c.restart);
	end_names(&c.leaving);
	return err;
}

static int run(void *arg, struct json_out *out, struct refusal *refusal)
{
	return reload_run(arg, out, refusal);
}

struct reload *reload_new(const char *path, const struct reload_targets *targets)
{
	struct reload *reload = calloc(1, sizeof(*reload));

	if (!reload)
		return NULL;
	reload->path = path;
	reload->to = *targets;
	timer_init(&reload->leave, on_left, reload);
	targets->daemon->reload = run;
	targets->daemon->reload_arg = reload;
	targets->daemon->table->gone = on_set_gone;
	targets->daemon->table->gone_arg = reload;
	return reload;
}

void reload_free(struct reload *reload)
{
	if (!reload)
		return;
	timer_stop(&reload->leave);
	free(reload->ours);
	free(reload);
}
