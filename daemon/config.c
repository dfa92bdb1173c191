/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads secagreed.conf with libconfuse and checks everything that can be checked without the kernel.
 *
 * One table of options for each section is the grammar; one function for each option that is more
 * than a number turns its text into a value. The whole file is taken or none of it. The first
 * mistake is reported with its file and line.
 */
#include "daemon/config.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define MAX_FILE_BYTES   (1024 * 1024)

/* An option that read_file() puts behind the text, to see that the parser got there. */
#define END "end-of-configuration"

#define MAX_SECONDS      (7 * 24 * 3600)

/* libconfuse gives no error text to its caller but prints it: this is where it goes instead. And it
 * forgets where a value stood: that is noted while it parses. */
struct reader {
	cfg_t *cfg;
	const char *path;
	char why[256];
	struct {
		const cfg_opt_t *option;
		int line;
	} noted[16 + CONFIG_MAX_LISTENERS * 40];
	size_t noted_count;
};

static _Thread_local struct reader *reading; /* libconfuse has no user pointer for its callbacks */

__attribute__((format(printf, 2, 0)))
static void keep_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	int n;

	if (!reading || reading->why[0])
		return;
	n = snprintf(reading->why, sizeof(reading->why), "%s:%d: ", reading->path,
		     cfg ? cfg->line : 0);
	if (n > 0 && (size_t)n < sizeof(reading->why))
		vsnprintf(reading->why + n, sizeof(reading->why) - (size_t)n, fmt, ap);
	for (char *at = reading->why; *at; at++) {
		if (*at > 0 && *at < ' ') /* of a file that is none, or a text that does not end */
			*at = ' ';
	}
}

/* libconfuse calls it for each value that it meets, and lets the last one count. */
static int note_line(cfg_t *cfg, cfg_opt_t *option)
{
	const size_t max = sizeof(reading->noted) / sizeof(reading->noted[0]);
	size_t i = 0;

	while (i < reading->noted_count && reading->noted[i].option != option)
		i++;
	if (i < reading->noted_count && option->type != CFGT_SEC && !(option->flags & CFGF_LIST)) {
		cfg_error(cfg, "%s stands there twice", option->name);
		return -1;
	}
	if (i == max)
		return 0;
	if (i == reading->noted_count)
		reading->noted_count++;
	reading->noted[i].option = option;
	reading->noted[i].line = cfg->line;
	return 0;
}

/* Say what is wrong with @key, at the line where it stands. Returns -EINVAL. */
__attribute__((format(printf, 3, 4)))
static int wrong(cfg_t *cfg, const char *key, const char *fmt, ...)
{
	const cfg_opt_t *option = cfg_getopt(cfg, key);
	va_list ap;

	for (size_t i = 0; i < reading->noted_count; i++) {
		if (reading->noted[i].option == option)
			cfg->line = reading->noted[i].line;
	}
	va_start(ap, fmt);
	keep_error(cfg, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- texts to values ---- */

struct word {
	const char *name;
	int value;
};

static const struct word *find_word(const struct word *words, const char *text)
{
	while (words->name && strcmp(text, words->name) != 0)
		words++;
	return words->name ? words : NULL;
}

/* "a, b, c" */
static const char *join(const struct word *words, char *ret, size_t cap)
{
	struct text_out out;

	text_out_init(&out, ret, cap);
	for (const struct word *w = words; w->name; w++)
		text_out_printf(&out, "%s%s", w == words ? "" : ", ", w->name);
	return ret;
}

static int word_value(cfg_t *cfg, const char *key, const struct word *words, int *ret)
{
	const char *text = cfg_getstr(cfg, key);
	const struct word *word = find_word(words, text);
	char known[160];

	if (!word) {
		wrong(cfg, key, "%s = \"%s\": it is one of %s", key, text,
		      join(words, known, sizeof(known)));
		return -EINVAL;
	}
	*ret = word->value;
	return 0;
}

static const struct word LOG_LEVELS[] = {
	{ "error", LOG_ERR },   { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
	{ "info", LOG_INFO },   { "debug", LOG_DEBUG },     { NULL, 0 },
};

static const struct word LOG_IDENTITIES[] = {
	{ "plain", false },
	{ "hash", true },
	{ NULL, 0 },
};

static const struct word POLICIES[] = {
	{ "shared", CONFIG_POLICIES_SHARED },
	{ "per-set", CONFIG_POLICIES_PER_SET },
	{ NULL, 0 },
};

static const struct word SELECTORS[] = {
	{ "strict", CONFIG_SELECTORS_STRICT },
	{ "relaxed", CONFIG_SELECTORS_RELAXED },
	{ NULL, 0 },
};

static const struct word ENCRYPTION[] = {
	{ "off", SELECT_ENCRYPTION_OFF },
	{ "preferred", SELECT_ENCRYPTION_PREFERRED },
	{ "required", SELECT_ENCRYPTION_REQUIRED },
	{ NULL, 0 },
};

static const struct word RETURNING_PHONE[] = {
	{ "accept", CONFIG_RETURNING_PHONE_ACCEPT },
	{ "refuse", CONFIG_RETURNING_PHONE_REFUSE },
	{ NULL, 0 },
};

static const struct word SECURITY_SERVER[] = {
	{ "all", CONFIG_SECURITY_SERVER_ALL },
	{ "chosen", CONFIG_SECURITY_SERVER_CHOSEN },
	{ NULL, 0 },
};

static const struct word VERIFY[] = {
	{ "strict", COMPARE_STRICT },
	{ "lenient", COMPARE_LENIENT },
	{ NULL, 0 },
};

static const struct word ON_OFF[] = {
	{ "on", true },
	{ "off", false },
	{ NULL, 0 },
};

static const struct word REQUIRE_VERIFY[] = {
	{ "challenge", false },
	{ "always", true },
	{ NULL, 0 },
};

static const struct word REGISTER_MISMATCH[] = {
	{ "403", false },
	{ "494", true },
	{ NULL, 0 },
};

static const struct word REGISTER_WITHOUT_IPSEC[] = {
	{ "challenge", DECIDE_CLEAR_CHALLENGE },
	{ "forbid", DECIDE_CLEAR_FORBID },
	{ "discard", DECIDE_CLEAR_DISCARD },
	{ "forward", DECIDE_CLEAR_FORWARD },
	{ NULL, 0 },
};

static const struct word CLEAR_REQUESTS[] = {
	{ "challenge", DECIDE_CLEAR_CHALLENGE },
	{ "forbid", DECIDE_CLEAR_FORBID },
	{ "discard", DECIDE_CLEAR_DISCARD },
	{ NULL, 0 },
};

static int number(cfg_t *cfg, const char *key, long min, long max, uint32_t *ret)
{
	const long value = cfg_getint(cfg, key);

	if (value < min || value > max)
		return wrong(cfg, key, "%s = %ld: it is a number from %ld to %ld", key, value, min,
			     max);
	*ret = (uint32_t)value;
	return 0;
}

static int port(cfg_t *cfg, const char *key, uint16_t *ret)
{
	uint32_t value = 0;
	int err = number(cfg, key, 1, 65535, &value);

	if (!err)
		*ret = (uint16_t)value;
	return err;
}

/* "6104-6107" or "6104" */
static int port_range(cfg_t *cfg, const char *key, uint16_t *ret_first, uint16_t *ret_last)
{
	const char *text = cfg_getstr(cfg, key);
	const char *dash = text ? strchr(text, '-') : NULL;
	uint32_t first, last;

	if (!text)
		return -EINVAL;
	if (text_to_u32((struct span){ text, dash ? (size_t)(dash - text) : strlen(text) }, 5, 65535,
			&first) < 0 ||
	    text_to_u32(span_of(dash ? dash + 1 : text), 5, 65535, &last) < 0 || !first ||
	    last < first || last - first >= CONFIG_MAX_CLIENT_PORTS)
		return wrong(cfg, key,
			     "%s = \"%s\": it is a range of at most %d ports, as \"6104-6107\"",
			     key, text, CONFIG_MAX_CLIENT_PORTS);
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return 0;
}

/* "ALG/EALG", or "aes-gcm" and "aes-gmac" alone, which have only one partner */
static int pair_of(const char *text, struct select_pair *ret)
{
	const char *slash = strchr(text, '/');
	struct ipsec_suite suite = { .prot = IPSEC_PROT_ESP, .mod = IPSEC_MOD_TRANS };

	if (!strcmp(text, "aes-gcm")) {
		suite.alg = IPSEC_ALG_NULL;
		suite.ealg = IPSEC_EALG_AES_GCM;
	} else if (!slash) {
		suite.alg = ipsec_alg_of(span_of(text));
		suite.ealg = IPSEC_EALG_NULL;
	} else {
		suite.alg = ipsec_alg_of((struct span){ text, (size_t)(slash - text) });
		suite.ealg = ipsec_ealg_of(span_of(slash + 1));
	}
	if (ipsec_suite_fault(&suite))
		return -EINVAL;
	*ret = (struct select_pair){ suite.alg, suite.ealg };
	return 0;
}

static int algorithms(cfg_t *cfg, struct select_policy *ret)
{
	const unsigned count = cfg_size(cfg, "algorithms");

	if (!count)
		return 0; /* the default list */
	if (count > SELECT_MAX_PAIRS)
		return wrong(cfg, "algorithms", "algorithms: at most %d combinations",
			     SELECT_MAX_PAIRS);
	ret->pair_count = 0;
	for (unsigned i = 0; i < count; i++) {
		const char *text = cfg_getnstr(cfg, "algorithms", i);
		struct select_pair pair;

		if (pair_of(text, &pair) < 0)
			return wrong(cfg, "algorithms",
				     "algorithms: \"%s\" is no combination that integrity and "
				     "encryption can form; examples: aes-gcm, aes-gmac, "
				     "hmac-sha-1-96/aes-cbc, hmac-sha-1-96/null", text);
		for (size_t k = 0; k < ret->pair_count; k++) {
			if (ret->pairs[k].alg == pair.alg && ret->pairs[k].ealg == pair.ealg)
				return wrong(cfg, "algorithms",
					     "algorithms: \"%s\" stands there twice", text);
		}
		ret->pairs[ret->pair_count++] = pair;
	}
	return 0;
}

/* A policy whose encryption switch leaves nothing of its list could never agree with a phone. */
static int encryption_leaves_something(cfg_t *cfg, const struct select_policy *p)
{
	for (size_t i = 0; i < p->pair_count; i++) {
		const bool encrypts = p->pairs[i].ealg != IPSEC_EALG_NULL;

		if (p->encryption == SELECT_ENCRYPTION_PREFERRED ||
		    encrypts == (p->encryption == SELECT_ENCRYPTION_REQUIRED))
			return 0;
	}
	return wrong(cfg, "encryption",
		     "encryption = \"%s\" leaves none of the algorithms of this listener",
		     cfg_getstr(cfg, "encryption"));
}

/* RFC 3329 2.2, 5 */
static int mechanisms(cfg_t *cfg, size_t suite_count, struct server_list *ret)
{
	const unsigned count = cfg_size(cfg, "mechanisms");
	struct span texts[SERVER_LIST_MAX_ENTRIES];
	char why[160];

	if (!count)
		return 0; /* the default list */
	if (count > SERVER_LIST_MAX_ENTRIES)
		return wrong(cfg, "mechanisms", "mechanisms: at most %d", SERVER_LIST_MAX_ENTRIES);
	for (unsigned i = 0; i < count; i++)
		texts[i] = span_of(cfg_getnstr(cfg, "mechanisms", i));
	if (server_list_read(texts, count, suite_count, ret, why, sizeof(why)) < 0)
		return wrong(cfg, "mechanisms", "mechanisms: %s", why);
	return 0;
}

/* What the list promises must be there. */
static int read_mechanisms(cfg_t *cfg, struct config_listener *l)
{
	struct ipsec_suite suites[SELECT_MAX_PAIRS];
	const size_t suite_count = select_supported(&l->select, NULL, suites);

	if (mechanisms(cfg, suite_count, &l->mechanisms) < 0)
		return -EINVAL;
	if (!suite_count && server_list_has(&l->mechanisms, MECHANISM_IPSEC_3GPP))
		return wrong(cfg, "protocols",
			     "none of the algorithms can be used with these protocols and modes");
	if (!l->decide.tls_is_protected && server_list_has(&l->mechanisms, MECHANISM_TLS))
		return wrong(cfg, "mechanisms",
			     "mechanisms: with tls in the list, tls-is-protected must be on, or no "
			     "request over TLS is ever accepted");
	return 0;
}

static const struct word PROTOCOLS[] = {
	{ "esp", 0 }, { "ah", 1 }, { NULL, 0 },
};

static const struct word MODES[] = {
	{ "trans", 0 }, { "tun", 1 }, { "UDP-enc-tun", 2 }, { NULL, 0 },
};

/* The value of a word is its place in @values. */
static int flags(cfg_t *cfg, const char *key, const struct word *words, bool *const *values)
{
	const unsigned count = cfg_size(cfg, key);
	char known[160];

	if (!count)
		return 0; /* the default */
	for (const struct word *w = words; w->name; w++)
		*values[w->value] = false;
	for (unsigned i = 0; i < count; i++) {
		const char *text = cfg_getnstr(cfg, key, i);
		const struct word *word = find_word(words, text);

		if (!word)
			return wrong(cfg, key, "%s: \"%s\" is none of %s", key, text,
				     join(words, known, sizeof(known)));
		*values[word->value] = true;
	}
	return 0;
}

/* ---- sections ---- */

/* libconfuse would read 06100 as octal and an empty text as 0. */
static int decimal(cfg_t *cfg, cfg_opt_t *option, const char *text, void *result)
{
	uint32_t value;

	if (text_to_u32(span_of(text), 10, INT32_MAX, &value) < 0 || (text[0] == '0' && text[1])) {
		cfg_error(cfg, "%s = %s: it is a decimal number", option->name, text);
		return -1;
	}
	*(long *)result = (long)value;
	return 0;
}

static cfg_opt_t SOCKET_OPTIONS[] = {
	CFG_STR("path", CONFIG_DEFAULT_SOCKET, CFGF_NONE),
	CFG_STR("mode", "0660", CFGF_NONE),
	CFG_STR("group", "", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t MONITOR_OPTIONS[] = {
	CFG_STR("path", "", CFGF_NONE),
	CFG_STR("mode", "0660", CFGF_NONE),
	CFG_STR("group", "", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t HTTP_OPTIONS[] = {
	CFG_STR("path", "", CFGF_NONE),
	CFG_STR("mode", "0660", CFGF_NONE),
	CFG_STR("group", "", CFGF_NONE),
	CFG_STR("listen", "", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t LISTENER_OPTIONS[] = {
	CFG_STR("address", NULL, CFGF_NODEFAULT),
	CFG_INT_CB("server-port", 0, CFGF_NODEFAULT, decimal),
	CFG_STR("client-ports", NULL, CFGF_NODEFAULT),
	CFG_INT_CB("reqid", 33203, CFGF_NONE, decimal),
	CFG_INT_CB("priority", 2080, CFGF_NONE, decimal),
	CFG_STR("policies", "shared", CFGF_NONE),
	CFG_STR("selectors", "strict", CFGF_NONE),
	CFG_STR_LIST("algorithms", NULL, CFGF_NONE),
	CFG_STR("encryption", "preferred", CFGF_NONE),
	CFG_STR_LIST("protocols", NULL, CFGF_NONE),
	CFG_STR_LIST("modes", NULL, CFGF_NONE),
	CFG_STR_LIST("mechanisms", NULL, CFGF_NONE),
	CFG_STR("security-server", "all", CFGF_NONE),
	CFG_STR("verify", "strict", CFGF_NONE),
	CFG_STR("sec-agree", "on", CFGF_NONE),
	CFG_STR("tls-is-protected", "off", CFGF_NONE),
	CFG_STR("require-verify", "challenge", CFGF_NONE),
	CFG_STR("register-mismatch", "403", CFGF_NONE),
	CFG_STR("register-without-ipsec", "challenge", CFGF_NONE),
	CFG_STR("clear-requests", "challenge", CFGF_NONE),
	CFG_STR("returning-phone", "accept", CFGF_NONE),
	CFG_INT_CB("replay-window", 64, CFGF_NONE, decimal),
	CFG_INT_CB("encap-port", 4500, CFGF_NONE, decimal),
	CFG_INT_CB("reg-await-auth", 240, CFGF_NONE, decimal),
	CFG_INT_CB("old-set-time", 128, CFGF_NONE, decimal),
	CFG_INT_CB("registration-margin", 30, CFGF_NONE, decimal),
	CFG_INT_CB("kernel-slack", 10, CFGF_NONE, decimal),
	CFG_END(),
};

static cfg_opt_t OPTIONS[] = {
	CFG_SEC("socket", SOCKET_OPTIONS, CFGF_NONE),
	CFG_SEC("monitor", MONITOR_OPTIONS, CFGF_NONE),
	CFG_SEC("http", HTTP_OPTIONS, CFGF_NONE),
	CFG_STR("user", "", CFGF_NONE),
	CFG_STR("log-level", "info", CFGF_NONE),
	CFG_STR("log-identity", "plain", CFGF_NONE),
	CFG_INT_CB("log-limit", 1000, CFGF_NONE, decimal),
	CFG_STR("allow-key-export", "off", CFGF_NONE),
	CFG_STR("state-dir", CONFIG_DEFAULT_STATE, CFGF_NONE),
	CFG_INT_CB("max-sets", 100000, CFGF_NONE, decimal),
	CFG_INT_CB("max-sets-per-impi", 64, CFGF_NONE, decimal),
	CFG_INT_CB("max-sets-per-address", 1000, CFGF_NONE, decimal),
	CFG_INT_CB("max-connections", 256, CFGF_NONE, decimal),
	CFG_INT_CB("audit-interval", 300, CFGF_NONE, decimal),
	CFG_SEC("listener", LISTENER_OPTIONS, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
	CFG_BOOL(END, cfg_false, CFGF_NONE),
	CFG_END(),
};

/* ---- without a file ---- */

/* The number of @key, which stands in the table. */
static uint32_t by_default(const cfg_opt_t *options, const char *key)
{
	while (strcmp(options->name, key) != 0)
		options++;
	return (uint32_t)options->def.number;
}

void config_listener_default(struct config_listener *ret)
{
	const cfg_opt_t *const o = LISTENER_OPTIONS;

	*ret = (struct config_listener){
		.reqid = by_default(o, "reqid"),
		.priority = by_default(o, "priority"),
		.encap_port = (uint16_t)by_default(o, "encap-port"),
		.replay_window = by_default(o, "replay-window"),
		.policies = CONFIG_POLICIES_SHARED,
		.selectors = CONFIG_SELECTORS_STRICT,
		.security_server = CONFIG_SECURITY_SERVER_ALL,
		.verify = COMPARE_STRICT,
		.returning_phone = CONFIG_RETURNING_PHONE_ACCEPT,
		.timers = {
			.reg_await_auth_s = by_default(o, "reg-await-auth"),
			.old_set_s = by_default(o, "old-set-time"),
			.registration_margin_s = by_default(o, "registration-margin"),
			.kernel_slack_s = by_default(o, "kernel-slack"),
		},
	};
	server_list_default(&ret->mechanisms);
	decide_policy_default(&ret->decide);
	select_policy_default(&ret->select);
}

void config_default(struct config *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->socket.path, sizeof(ret->socket.path), "%s", CONFIG_DEFAULT_SOCKET);
	ret->socket.mode = 0660;
	snprintf(ret->state_dir, sizeof(ret->state_dir), "%s", CONFIG_DEFAULT_STATE);
	ret->max_sets = by_default(OPTIONS, "max-sets");
	ret->max_sets_per_impi = by_default(OPTIONS, "max-sets-per-impi");
	ret->max_sets_per_address = by_default(OPTIONS, "max-sets-per-address");
	ret->max_connections = by_default(OPTIONS, "max-connections");
	ret->audit_interval_s = by_default(OPTIONS, "audit-interval");
	ret->log_level = LOG_INFO;
	ret->log_limit = by_default(OPTIONS, "log-limit");
}

/* ---- from a file ---- */

static int read_socket(cfg_t *cfg, struct config_socket *s)
{
	const char *path = cfg_getstr(cfg, "path");
	const char *mode = cfg_getstr(cfg, "mode");
	const char *group = cfg_getstr(cfg, "group");
	char *end;
	unsigned long bits = strtoul(mode, &end, 8);

	if (path[0] != '/' || strlen(path) >= sizeof(s->path))
		return wrong(cfg, "path",
			     "path = \"%s\": it is an absolute path of at most %zu characters",
			     path, sizeof(s->path) - 1);
	if (*end || end == mode || bits > 0777)
		return wrong(cfg, "mode", "mode = \"%s\": it is an octal number as \"0660\"",
			     mode);
	if (strlen(group) >= sizeof(s->group))
		return wrong(cfg, "group", "group: too long");
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(s->group, sizeof(s->group), "%s", group);
	s->mode = (mode_t)bits;
	return 0;
}

static bool is_loopback(const struct ip_addr *ip)
{
	static const uint8_t LOOPBACK_6[16] = { [15] = 1 };

	return ip->family == AF_INET ? ip->bytes[0] == 127
				     : !memcmp(ip->bytes, LOOPBACK_6, sizeof(LOOPBACK_6));
}

/* "127.0.0.1:9632" or "[::1]:9632" */
static int read_http_listen(cfg_t *cfg, struct config *c)
{
	const char *text = cfg_getstr(cfg, "listen");
	const char *colon = strrchr(text, ':');
	char address[IP_TEXT_BYTES + 2];
	uint32_t value = 0;

	snprintf(address, sizeof(address), "%.*s", colon ? (int)(colon - text) : 0, text);
	if (!colon || (strchr(address, ':') && address[0] != '[') ||
	    ip_parse(address, &c->http_address) < 0 ||
	    text_to_u32(span_of(colon + 1), 5, 65535, &value) < 0 || !value)
		return wrong(cfg, "listen",
			     "listen = \"%s\": it is an address and a port, as \"127.0.0.1:9632\" "
			     "or \"[::1]:9632\"",
			     text);
	if (!is_loopback(&c->http_address))
		return wrong(cfg, "listen",
			     "listen = \"%s\": only an address of the loopback, since nobody is "
			     "asked who he is", text);
	c->http_port = (uint16_t)value;
	return 0;
}

static int read_monitor(cfg_t *cfg, struct config *c)
{
	if (!cfg_getstr(cfg, "path")[0])
		return 0;
	if (read_socket(cfg, &c->monitor) < 0)
		return -EINVAL;
	if (!strcmp(c->monitor.path, c->socket.path))
		return wrong(cfg, "path", "path = \"%s\" is the control socket", c->monitor.path);
	return 0;
}

static int read_user(cfg_t *cfg, struct config *c)
{
	const char *user = cfg_getstr(cfg, "user");

	if (strlen(user) >= sizeof(c->user))
		return wrong(cfg, "user", "user: too long");
	snprintf(c->user, sizeof(c->user), "%s", user);
	return 0;
}

static int read_http(cfg_t *cfg, struct config *c)
{
	if (cfg_getstr(cfg, "path")[0] && read_socket(cfg, &c->http) < 0)
		return -EINVAL;
	if (cfg_getstr(cfg, "listen")[0] && read_http_listen(cfg, c) < 0)
		return -EINVAL;
	if (c->http.path[0] && !strcmp(c->http.path, c->socket.path))
		return wrong(cfg, "path", "path = \"%s\" is the control socket", c->http.path);
	if (c->http.path[0] && !strcmp(c->http.path, c->monitor.path))
		return wrong(cfg, "path", "path = \"%s\" is the monitor socket", c->http.path);
	return 0;
}

static int read_address(cfg_t *cfg, struct config_listener *l)
{
	static const char *const KEYS[] = { "address", "server-port", "client-ports" };
	const char *address;

	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
		if (!cfg_size(cfg, KEYS[i]))
			return wrong(cfg, KEYS[i], "listener \"%s\" has no %s", cfg_title(cfg),
				     KEYS[i]);
	}
	address = cfg_getstr(cfg, "address");
	if (ip_parse(address, &l->address) < 0)
		return wrong(cfg, "address", "address = \"%s\": it is one IPv4 or IPv6 address",
			     address);
	if (port(cfg, "server-port", &l->server_port) < 0 ||
	    port_range(cfg, "client-ports", &l->client_port_first, &l->client_port_last) < 0)
		return -EINVAL;
	return 0;
}

static bool is_client_port(const struct config_listener *l, uint16_t port)
{
	return port >= l->client_port_first && port <= l->client_port_last;
}

/* TS 33.203 7.1: protected ports are for protected traffic alone */
static int check_ports(cfg_t *cfg, const struct config_listener *l)
{
	static const uint16_t SIP[] = { 5060, 5061 };

	if (is_client_port(l, l->server_port))
		return wrong(cfg, "server-port", "server-port %u lies among the client-ports",
			     l->server_port);
	for (size_t i = 0; i < sizeof(SIP) / sizeof(SIP[0]); i++) {
		if (l->server_port == SIP[i] || is_client_port(l, SIP[i]))
			return wrong(cfg, l->server_port == SIP[i] ? "server-port" : "client-ports",
				     "port %u is for unprotected SIP: choose others", SIP[i]);
	}
	if (l->client_port_last - l->client_port_first < 2)
		return wrong(cfg, "client-ports",
			     "client-ports: at least 3, since a re-registration changes the port "
			     "while the sets before it still live (TS 33.203 7.4.0)");
	return 0;
}

uint16_t config_port_block(const struct config_listener *l, uint16_t *ret_mask)
{
	const uint16_t ports[] = { l->client_port_first, l->client_port_last };
	unsigned mask = 0xffff;

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		while ((ports[i] ^ l->server_port) & mask)
			mask = mask << 1 & 0xffff;
	}
	*ret_mask = (uint16_t)mask;
	return l->server_port & (uint16_t)mask;
}

/* With relaxed selectors a phone's SAs open the whole block to it, and there the port of SIP in
 * clear must not be: what came in ESP would be taken for unprotected. */
static int check_selectors(cfg_t *cfg, const struct config_listener *l)
{
	uint16_t mask, first = config_port_block(l, &mask);

	if (l->selectors == CONFIG_SELECTORS_STRICT)
		return 0;
	if (l->policies == CONFIG_POLICIES_PER_SET)
		return wrong(cfg, "selectors",
			     "selectors = \"relaxed\" needs policies = \"shared\"");
	if ((5060 & mask) != first && (5061 & mask) != first)
		return 0;
	return wrong(cfg, "selectors",
		     "selectors = \"relaxed\" opens the block of ports %u-%u to phones, and 5060 or "
		     "5061 is in it: bring server-port and client-ports closer together",
		     first, first | (uint16_t)~mask);
}

static int read_choices(cfg_t *cfg, struct config_listener *l)
{
	bool *const protocols[] = { &l->select.esp, &l->select.ah };
	bool *const modes[] = { &l->select.trans, &l->select.tun, &l->select.udp_enc_tun };
	int policies, selectors, encryption, security_server, verify, returning_phone;

	if (word_value(cfg, "policies", POLICIES, &policies) < 0 ||
	    word_value(cfg, "selectors", SELECTORS, &selectors) < 0 ||
	    word_value(cfg, "encryption", ENCRYPTION, &encryption) < 0 ||
	    word_value(cfg, "security-server", SECURITY_SERVER, &security_server) < 0 ||
	    word_value(cfg, "verify", VERIFY, &verify) < 0 ||
	    word_value(cfg, "returning-phone", RETURNING_PHONE, &returning_phone) < 0 ||
	    flags(cfg, "protocols", PROTOCOLS, protocols) < 0 ||
	    flags(cfg, "modes", MODES, modes) < 0 || algorithms(cfg, &l->select) < 0)
		return -EINVAL;
	l->policies = (enum config_policies)policies;
	l->selectors = (enum config_selectors)selectors;
	l->select.encryption = (enum select_encryption)encryption;
	l->security_server = (enum config_security_server)security_server;
	l->verify = (enum compare_mode)verify;
	l->returning_phone = (enum config_returning_phone)returning_phone;
	if (check_selectors(cfg, l) < 0)
		return -EINVAL;
	return encryption_leaves_something(cfg, &l->select);
}

/* RFC 3329 2.3.1, 3; TS 33.203 7.1, 7.2 */
static int read_decisions(cfg_t *cfg, struct decide_policy *ret)
{
	int on, tls, always, is_494, without_ipsec, clear;

	if (word_value(cfg, "sec-agree", ON_OFF, &on) < 0 ||
	    word_value(cfg, "tls-is-protected", ON_OFF, &tls) < 0 ||
	    word_value(cfg, "require-verify", REQUIRE_VERIFY, &always) < 0 ||
	    word_value(cfg, "register-mismatch", REGISTER_MISMATCH, &is_494) < 0 ||
	    word_value(cfg, "register-without-ipsec", REGISTER_WITHOUT_IPSEC, &without_ipsec) < 0 ||
	    word_value(cfg, "clear-requests", CLEAR_REQUESTS, &clear) < 0)
		return -EINVAL;
	*ret = (struct decide_policy){
		.sec_agree = on,
		.tls_is_protected = tls,
		.verify_always = always,
		.register_mismatch_494 = is_494,
		.register_without_ipsec = (enum decide_clear)without_ipsec,
		.other_clear = (enum decide_clear)clear,
	};
	return 0;
}

static int read_listener(cfg_t *cfg, struct config_listener *l)
{
	const char *name = cfg_title(cfg);
	struct config_timers *t = &l->timers;

	config_listener_default(l);
	if (!name[0] || strlen(name) >= sizeof(l->name)) {
		cfg_error(cfg, "a listener's name has 1 to %zu characters", sizeof(l->name) - 1);
		return -EINVAL;
	}
	snprintf(l->name, sizeof(l->name), "%s", name);
	if (read_address(cfg, l) < 0 || check_ports(cfg, l) < 0 || read_choices(cfg, l) < 0 ||
	    read_decisions(cfg, &l->decide) < 0 || read_mechanisms(cfg, l) < 0)
		return -EINVAL;
	/* 65535: a set with policies of its own takes a reqid from reqid << 16 */
	if (number(cfg, "reqid", 1, 65535, &l->reqid) < 0 ||
	    number(cfg, "priority", 2, INT32_MAX, &l->priority) < 0 ||
	    number(cfg, "replay-window", 32, XFRM_MAX_REPLAY_WINDOW, &l->replay_window) < 0 ||
	    port(cfg, "encap-port", &l->encap_port) < 0 ||
	    number(cfg, "reg-await-auth", 1, MAX_SECONDS, &t->reg_await_auth_s) < 0 ||
	    number(cfg, "old-set-time", 1, MAX_SECONDS, &t->old_set_s) < 0 ||
	    number(cfg, "registration-margin", 0, MAX_SECONDS, &t->registration_margin_s) < 0 ||
	    number(cfg, "kernel-slack", 1, 3600, &t->kernel_slack_s) < 0)
		return -EINVAL;
	return 0;
}

/* Could a phone of relaxed @a reach a port of @b? */
static bool reaches(const struct config_listener *a, const struct config_listener *b)
{
	const uint16_t ports[] = { b->server_port, b->client_port_first, b->client_port_last };
	uint16_t mask, first = config_port_block(a, &mask);

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (a->selectors == CONFIG_SELECTORS_RELAXED && (ports[i] & mask) == first &&
		    ip_equal(&a->address, &b->address))
			return true;
	}
	return false;
}

static bool ports_overlap(const struct config_listener *a, const struct config_listener *b)
{
	return ip_equal(&a->address, &b->address) &&
	       (a->server_port == b->server_port || is_client_port(a, b->server_port) ||
		is_client_port(b, a->server_port) ||
		(a->client_port_first <= b->client_port_last &&
		 b->client_port_first <= a->client_port_last));
}

bool config_fits(const struct config_listener *a, const struct config_listener *b, char *ret_why,
		 size_t why_cap)
{
	if (ports_overlap(a, b))
		snprintf(ret_why, why_cap, "listeners \"%s\" and \"%s\" share a port", b->name,
			 a->name);
	else if (reaches(a, b) || reaches(b, a))
		snprintf(ret_why, why_cap,
			 "selectors = \"relaxed\" opens the ports of \"%s\" to the phones of "
			 "\"%s\", or the other way: move them apart", b->name, a->name);
	else
		return true;
	return false;
}

static int check_pair(cfg_t *cfg, const struct config_listener *a, const struct config_listener *b)
{
	char why[256];

	return config_fits(a, b, why, sizeof(why)) ? 0 : wrong(cfg, "server-port", "%s", why);
}

static int read_listeners(cfg_t *cfg, struct config *c)
{
	c->listener_count = cfg_size(cfg, "listener");
	if (c->listener_count > CONFIG_MAX_LISTENERS) {
		cfg_error(cfg, "at most %d listeners", CONFIG_MAX_LISTENERS);
		return -EINVAL;
	}
	for (size_t i = 0; i < c->listener_count; i++) {
		cfg_t *section = cfg_getnsec(cfg, "listener", (unsigned)i);

		if (read_listener(section, &c->listeners[i]) < 0)
			return -EINVAL;
		for (size_t k = 0; k < i; k++) {
			if (check_pair(section, &c->listeners[i], &c->listeners[k]) < 0)
				return -EINVAL;
		}
	}
	return 0;
}

/* An absolute path, or "off". */
static int read_state_dir(cfg_t *cfg, struct config *c)
{
	const char *dir = cfg_getstr(cfg, "state-dir");
	const bool off = !strcmp(dir, "off");

	if (!off && (dir[0] != '/' || strlen(dir) >= sizeof(c->state_dir)))
		return wrong(cfg, "state-dir",
			     "state-dir = \"%s\": it is an absolute path of at most %zu characters, "
			     "or off", dir, sizeof(c->state_dir) - 1);
	snprintf(c->state_dir, sizeof(c->state_dir), "%s", off ? "" : dir);
	return 0;
}

static int read_log(cfg_t *cfg, struct config *c)
{
	int hash;

	if (word_value(cfg, "log-level", LOG_LEVELS, &c->log_level) < 0 ||
	    word_value(cfg, "log-identity", LOG_IDENTITIES, &hash) < 0 ||
	    number(cfg, "log-limit", 0, 1000000, &c->log_limit) < 0)
		return -EINVAL;
	c->log_identity_hash = hash;
	return 0;
}

static int read_top(cfg_t *cfg, struct config *c)
{
	int allow_key_export = 0;

	if (word_value(cfg, "allow-key-export", ON_OFF, &allow_key_export) < 0 ||
	    read_log(cfg, c) < 0 || read_state_dir(cfg, c) < 0 ||
	    number(cfg, "max-sets", 1, 4000000, &c->max_sets) < 0 ||
	    number(cfg, "max-sets-per-impi", 1, 4000000, &c->max_sets_per_impi) < 0 ||
	    number(cfg, "max-sets-per-address", 1, 4000000, &c->max_sets_per_address) < 0 ||
	    number(cfg, "max-connections", 1, 4096, &c->max_connections) < 0 ||
	    number(cfg, "audit-interval", 0, MAX_SECONDS, &c->audit_interval_s) < 0 ||
	    read_socket(cfg_getsec(cfg, "socket"), &c->socket) < 0 ||
	    read_monitor(cfg_getsec(cfg, "monitor"), c) < 0 ||
	    read_http(cfg_getsec(cfg, "http"), c) < 0 || read_user(cfg, c) < 0)
		return -EINVAL;
	c->allow_key_export = allow_key_export;
	return read_listeners(cfg, c);
}

/* The whole file, with the END option behind it. To be freed. Returns 0 or -errno. */
static int read_file(const char *path, char **ret)
{
	static const char TAIL[] = "\n" END " = true\n";
	char *text = malloc(MAX_FILE_BYTES + sizeof(TAIL));
	FILE *file = fopen(path, "re");
	size_t n = 0;
	int err = 0;

	if (!text)
		err = -ENOMEM;
	else if (!file)
		err = -errno;
	else if ((n = fread(text, 1, MAX_FILE_BYTES, file)) < MAX_FILE_BYTES && ferror(file))
		err = errno ? -errno : -EIO;
	else if (!feof(file))
		err = -EFBIG;
	if (file)
		fclose(file);
	if (err) {
		free(text);
		return err;
	}
	memcpy(text + n, TAIL, sizeof(TAIL));
	*ret = text;
	return 0;
}

static int later_line(const cfg_t *section, int line)
{
	return section && section->line > line ? section->line : line;
}

/* The line that the parser came to: it counts in the section that it is in. */
static int last_line(cfg_t *cfg)
{
	int line = cfg->line;

	line = later_line(cfg_getsec(cfg, "socket"), line);
	line = later_line(cfg_getsec(cfg, "http"), line);
	for (unsigned i = 0; i < cfg_size(cfg, "listener"); i++)
		line = later_line(cfg_getnsec(cfg, "listener", i), line);
	return line;
}

/* libconfuse takes a file that ends inside a section or a comment for whole: END would not be there,
 * or not where it belongs. Fills reader->why on failure. */
static int parse_text(struct reader *reader, const char *text, struct config *c)
{
	const int parsed = cfg_parse_buf(reader->cfg, text);

	if (parsed == CFG_SUCCESS && cfg_getbool(reader->cfg, END))
		return read_top(reader->cfg, c);
	if (parsed == CFG_SUCCESS || strstr(reader->why, END))
		snprintf(reader->why, sizeof(reader->why),
			 "%s: it ends inside a section, a list or a comment", reader->path);
	else if (!reader->why[0]) /* libconfuse does not say everything */
		snprintf(reader->why, sizeof(reader->why), "%s:%d: syntax error", reader->path,
			 last_line(reader->cfg));
	return -EINVAL;
}

static int parse_file(struct reader *reader, struct config *c)
{
	char *text;
	int err = read_file(reader->path, &text);

	if (err) {
		snprintf(reader->why, sizeof(reader->why), "%s: %s%s", reader->path, strerror(-err),
			 err == -ENOENT ? " (secagreed.conf(5) has an example; --config names another)"
					: "");
		return err;
	}
	err = parse_text(reader, text, c);
	free(text);
	return err;
}

static cfg_t *new_parser(void)
{
	cfg_opt_t *const sections[] = { SOCKET_OPTIONS, MONITOR_OPTIONS, HTTP_OPTIONS,
					LISTENER_OPTIONS, OPTIONS };
	cfg_t *cfg;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		for (cfg_opt_t *option = sections[i]; option->name; option++)
			option->validcb = note_line;
	}
	cfg = cfg_init(OPTIONS, CFGF_NONE);
	if (cfg)
		cfg_set_error_function(cfg, keep_error);
	return cfg;
}

int config_read(const char *path, struct config *ret, char *ret_why, size_t why_cap)
{
	struct reader reader = { .cfg = new_parser(), .path = path };
	struct config *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	if (reader.cfg && c) {
		config_default(c);
		reading = &reader;
		err = parse_file(&reader, c);
		reading = NULL;
	} else {
		snprintf(reader.why, sizeof(reader.why), "%s: out of memory", path);
	}
	if (err)
		snprintf(ret_why, why_cap, "%s", reader.why);
	else
		*ret = *c;
	if (reader.cfg)
		cfg_free(reader.cfg);
	free(c);
	return err;
}
