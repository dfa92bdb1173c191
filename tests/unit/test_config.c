/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/config.c: every key, its default, its range, and what is said about a mistake and where.
 * Files are written to a directory of the test's own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/config.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- helpers ---- */

static char directory[] = "/tmp/test_config.XXXXXX";
static char path[64];
static struct config config;
static char why[512];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/conf", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static int start(void **state)
{
	(void)state;
	memset(&config, 0xff, sizeof(config));
	memset(why, 0, sizeof(why));
	return 0;
}

static int read_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return config_read(path, &config, why, sizeof(why));
}

static void assert_good(const char *text)
{
	if (read_text(text) != 0)
		fail_msg("%s\n%s", why, text);
}

/* Refused with "file:LINE: " and @words in it; then nothing was touched. */
static void assert_bad(const char *text, int line, const char *words)
{
	struct config untouched;
	char where[100];
	int err;

	memset(&config, 0xff, sizeof(config));
	memset(&untouched, 0xff, sizeof(untouched));
	err = read_text(text);
	if (err != -EINVAL)
		fail_msg("accepted: %s", text);
	snprintf(where, sizeof(where), "%s:%d: ", path, line);
	if (strncmp(why, where, strlen(where)) != 0 || !strstr(why, words))
		fail_msg("\"%s\" is not about line %d and \"%s\"", why, line, words);
	assert_memory_equal(&config, &untouched, sizeof(config));
}

/* A listener with one more key in its line 5. */
#define MINIMUM                                                                                    \
	"listener ims {\n"                                                                         \
	"address = \"192.0.2.1\"\n"                                                                \
	"server-port = 6100\n"                                                                     \
	"client-ports = \"6104-6107\"\n"
#define WITH(line) MINIMUM line "\n}\n"

static const struct config_listener *only_listener(const char *line)
{
	char text[1000];

	snprintf(text, sizeof(text), "%s%s\n}\n", MINIMUM, line);
	assert_good(text);
	assert_int_equal(config.listener_count, 1);
	return &config.listeners[0];
}

static void assert_bad_key(const char *line, const char *words)
{
	char text[1000];

	snprintf(text, sizeof(text), "%s%s\n}\n", MINIMUM, line);
	assert_bad(text, 5, words);
}

/* ---- defaults ---- */

static void an_empty_file_has_the_defaults_and_no_listener(void **state)
{
	struct config without;

	(void)state;
	assert_good("");
	config_default(&without);
	assert_memory_equal(&config, &without, sizeof(config));
	assert_int_equal(config.listener_count, 0);
	assert_string_equal(config.socket.path, "/run/secagreed/control.sock");
	assert_int_equal(config.socket.mode, 0660);
	assert_string_equal(config.socket.group, "");
	assert_int_equal(config.log_level, LOG_INFO);
	assert_string_equal(config.state_dir, "/run/secagreed/state");
	assert_int_equal(config.max_sets, 100000);
	assert_int_equal(config.max_sets_per_impi, 64);
	assert_int_equal(config.max_sets_per_address, 1000);
	assert_int_equal(config.max_connections, 256);
	assert_int_equal(config.audit_interval_s, 300);
	assert_false(config.allow_key_export);
}

/* Only ipsec-3gpp, and what decide_policy_default() says. */
static void assert_decides_as_by_default(const struct config_listener *l)
{
	struct decide_policy d;

	decide_policy_default(&d);
	assert_int_equal(l->decide.sec_agree, d.sec_agree);
	assert_int_equal(l->decide.tls_is_protected, d.tls_is_protected);
	assert_int_equal(l->decide.verify_always, d.verify_always);
	assert_int_equal(l->decide.register_mismatch_494, d.register_mismatch_494);
	assert_int_equal(l->decide.register_without_ipsec, d.register_without_ipsec);
	assert_int_equal(l->decide.other_clear, d.other_clear);
	assert_int_equal(l->mechanisms.entry_count, 1);
	assert_string_equal(l->mechanisms.text, "ipsec-3gpp");
	assert_int_equal(l->mechanisms.entries[0].q_milli, -1);
}

static void a_minimal_listener_has_the_defaults(void **state)
{
	const struct config_listener *l = only_listener("");
	struct select_policy policy;

	(void)state;
	assert_string_equal(l->name, "ims");
	assert_int_equal(l->server_port, 6100);
	assert_int_equal(l->client_port_first, 6104);
	assert_int_equal(l->client_port_last, 6107);
	assert_int_equal(l->reqid, 33203);
	assert_int_equal(l->priority, 2080);
	assert_int_equal(l->replay_window, 64);
	assert_int_equal(l->encap_port, 4500);
	assert_int_equal(l->policies, CONFIG_POLICIES_SHARED);
	assert_int_equal(l->selectors, CONFIG_SELECTORS_STRICT);
	assert_int_equal(l->security_server, CONFIG_SECURITY_SERVER_ALL);
	assert_int_equal(l->verify, COMPARE_STRICT);
	assert_int_equal(l->timers.reg_await_auth_s, 240);
	assert_int_equal(l->timers.old_set_s, 128);
	assert_int_equal(l->timers.registration_margin_s, 30);
	assert_int_equal(l->timers.kernel_slack_s, 10);
	assert_decides_as_by_default(l);
	select_policy_default(&policy);
	assert_memory_equal(&l->select, &policy, sizeof(policy));
}

static void the_defaults_for_offline_use_are_the_same(void **state)
{
	struct config_listener offline;
	struct config_listener read = *only_listener("");

	(void)state;
	config_listener_default(&offline);
	memcpy(read.name, offline.name, sizeof(read.name));
	read.address = offline.address;
	read.server_port = read.client_port_first = read.client_port_last = 0;
	assert_int_equal(offline.reqid, read.reqid);
	assert_memory_equal(&offline.timers, &read.timers, sizeof(read.timers));
	assert_memory_equal(&offline.select, &read.select, sizeof(read.select));
	assert_int_equal(offline.priority, read.priority);
	assert_int_equal(offline.encap_port, read.encap_port);
	assert_int_equal(offline.replay_window, read.replay_window);
	assert_int_equal(offline.policies, read.policies);
	assert_int_equal(offline.selectors, read.selectors);
	assert_int_equal(offline.security_server, read.security_server);
	assert_int_equal(offline.verify, read.verify);
	assert_decides_as_by_default(&offline);
	assert_int_equal(offline.returning_phone, read.returning_phone);
}

/* ---- every key ---- */

static void every_key_of_the_daemon_is_read(void **state)
{
	(void)state;
	assert_good("socket {\n path = \"/tmp/x.sock\"\n mode = \"0600\"\n group = \"sip\"\n}\n"
		    "log-level = \"debug\"\nmax-sets = 5\nmax-connections = 7\n"
		    "max-sets-per-impi = 3\nmax-sets-per-address = 4\n"
		    "audit-interval = 0\nallow-key-export = on\nstate-dir = \"/tmp/state\"\n"
		    "log-identity = hash\nlog-limit = 0\n");
	assert_string_equal(config.socket.path, "/tmp/x.sock");
	assert_int_equal(config.socket.mode, 0600);
	assert_string_equal(config.socket.group, "sip");
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_string_equal(config.state_dir, "/tmp/state");
	assert_int_equal(config.max_sets, 5);
	assert_int_equal(config.max_connections, 7);
	assert_int_equal(config.max_sets_per_impi, 3);
	assert_int_equal(config.max_sets_per_address, 4);
	assert_int_equal(config.audit_interval_s, 0);
	assert_true(config.allow_key_export);
	assert_true(config.log_identity_hash);
	assert_int_equal(config.log_limit, 0);
}

static void http_is_shut_unless_it_is_opened(void **state)
{
	(void)state;
	assert_good("http {\n}\n");
	assert_string_equal(config.http.path, "");
	assert_int_equal(config.http_port, 0);
	assert_good("http {\n path = \"/tmp/h.sock\"\n mode = \"0600\"\n group = \"sip\"\n"
		    " listen = \"127.0.0.2:9100\"\n}\n");
	assert_string_equal(config.http.path, "/tmp/h.sock");
	assert_int_equal(config.http.mode, 0600);
	assert_string_equal(config.http.group, "sip");
	assert_int_equal(config.http_port, 9100);
	assert_int_equal(config.http_address.family, AF_INET);
	assert_good("http {\n path = \"/tmp/h.sock\"\n}\nmonitor {\n path = \"/tmp/m.sock\"\n}\n");
	assert_int_equal(config.http.mode, 0660);
	assert_int_equal(config.monitor.mode, 0660);
	assert_good("http {\n listen = \"[::1]:1\"\n}\n");
	assert_int_equal(config.http_port, 1);
	assert_int_equal(config.http_address.family, AF_INET6);
}

static void metrics_over_tcp_stay_on_the_loopback(void **state)
{
	static const char *const ELSEWHERE[] = {"0.0.0.0:9100", "192.0.2.1:9100", "[::]:9100",
						"[2001:db8::1]:9100", "128.0.0.1:9100"};
	static const char *const NONSENSE[] = {"9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
					       "127.0.0.1:65536", "::1:9100", "localhost:9100",
					       ":9100", "[::1]", "127.0.0.1:+1"};
	char text[100];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ELSEWHERE); i++) {
		snprintf(text, sizeof(text), "http {\n listen = \"%s\"\n}\n", ELSEWHERE[i]);
		assert_bad(text, 2, "loopback");
	}
	for (size_t i = 0; i < COUNT_OF(NONSENSE); i++) {
		snprintf(text, sizeof(text), "http {\n listen = \"%s\"\n}\n", NONSENSE[i]);
		assert_bad(text, 2, "an address and a port");
	}
	assert_bad("http {\n path = \"x\"\n}\n", 2, "absolute path");
	assert_bad("http {\n path = \"/run/secagreed/control.sock\"\n}\n", 2,
		   "the control socket");
}

static void every_log_level_has_its_word(void **state)
{
	(void)state;
	assert_good("log-level = error\n");
	assert_int_equal(config.log_level, LOG_ERR);
	assert_good("log-level = warning\n");
	assert_int_equal(config.log_level, LOG_WARNING);
	assert_good("log-level = notice\n");
	assert_int_equal(config.log_level, LOG_NOTICE);
	assert_bad("log-level = loud\n", 1, "error, warning, notice, info, debug");
	assert_bad("log-identity = sha256\n", 1, "plain, hash");
	assert_bad("log-limit = 1000001\n", 1, "0 to 1000000");
}

static void every_key_of_a_listener_is_read(void **state)
{
	const struct config_listener *l;

	(void)state;
	assert_good("listener a {\n"
		    "address = \"2001:db8::1\" server-port = 1024 client-ports = \"2000-2255\"\n"
		    "reqid = 1 priority = 2 policies = per-set\n"
		    "algorithms = { \"hmac-md5-96/des-ede3-cbc\", \"aes-gcm\" }\n"
		    "encryption = required protocols = { ah, esp } modes = { tun, UDP-enc-tun }\n"
		    "security-server = chosen verify = lenient replay-window = 4096\n"
		    "returning-phone = refuse\n"
		    "encap-port = 4501 reg-await-auth = 1 old-set-time = 2\n"
		    "registration-margin = 0 kernel-slack = 3600\n}\n");
	l = &config.listeners[0];
	assert_int_equal(l->address.family, AF_INET6);
	assert_int_equal(l->server_port, 1024);
	assert_int_equal(l->client_port_first, 2000);
	assert_int_equal(l->client_port_last, 2255);
	assert_int_equal(l->reqid, 1);
	assert_int_equal(l->priority, 2);
	assert_int_equal(l->policies, CONFIG_POLICIES_PER_SET);
	assert_int_equal(l->select.pair_count, 2);
	assert_int_equal(l->select.pairs[0].alg, IPSEC_ALG_HMAC_MD5_96);
	assert_int_equal(l->select.pairs[0].ealg, IPSEC_EALG_DES_EDE3_CBC);
	assert_int_equal(l->select.pairs[1].ealg, IPSEC_EALG_AES_GCM);
	assert_int_equal(l->select.encryption, SELECT_ENCRYPTION_REQUIRED);
	assert_true(l->select.esp && l->select.ah);
	assert_true(!l->select.trans && l->select.tun && l->select.udp_enc_tun);
	assert_int_equal(l->security_server, CONFIG_SECURITY_SERVER_CHOSEN);
	assert_int_equal(l->verify, COMPARE_LENIENT);
	assert_int_equal(l->returning_phone, CONFIG_RETURNING_PHONE_REFUSE);
	assert_int_equal(l->replay_window, 4096);
	assert_int_equal(l->encap_port, 4501);
	assert_int_equal(l->timers.reg_await_auth_s, 1);
	assert_int_equal(l->timers.old_set_s, 2);
	assert_int_equal(l->timers.registration_margin_s, 0);
	assert_int_equal(l->timers.kernel_slack_s, 3600);
}

static void every_key_of_the_agreement_is_read(void **state)
{
	const struct config_listener *l;

	(void)state;
	l = only_listener("mechanisms = { \"digest;d-alg=MD5;d-qop=auth;q=0.1\", \"tls;q=0.2\", "
			  "\"ipsec-3gpp;q=0.5\" }\nsec-agree = off\ntls-is-protected = on\n"
			  "require-verify = always\nregister-mismatch = 494\n"
			  "register-without-ipsec = forward\nclear-requests = discard");
	assert_int_equal(l->mechanisms.entry_count, 3);
	assert_int_equal(l->mechanisms.entries[0].kind, MECHANISM_IPSEC_3GPP);
	assert_int_equal(l->mechanisms.entries[1].kind, MECHANISM_TLS);
	assert_int_equal(l->mechanisms.entries[2].kind, MECHANISM_DIGEST);
	assert_int_equal(l->mechanisms.entries[2].q_milli, 100);
	assert_false(l->decide.sec_agree);
	assert_true(l->decide.tls_is_protected && l->decide.verify_always);
	assert_true(l->decide.register_mismatch_494);
	assert_int_equal(l->decide.register_without_ipsec, DECIDE_CLEAR_FORWARD);
	assert_int_equal(l->decide.other_clear, DECIDE_CLEAR_DISCARD);
	l = only_listener("register-without-ipsec = forbid\nclear-requests = forbid");
	assert_int_equal(l->decide.register_without_ipsec, DECIDE_CLEAR_FORBID);
	assert_int_equal(l->decide.other_clear, DECIDE_CLEAR_FORBID);
	l = only_listener("register-without-ipsec = discard");
	assert_int_equal(l->decide.register_without_ipsec, DECIDE_CLEAR_DISCARD);
}

static void protocols_and_modes_that_are_given_replace_the_default(void **state)
{
	const struct config_listener *l = only_listener("modes = { tun }\nprotocols = { ah }\n"
							"encryption = off");

	(void)state;
	assert_true(l->select.ah && !l->select.esp);
	assert_true(l->select.tun && !l->select.trans && !l->select.udp_enc_tun);
}

static void every_legal_combination_can_be_configured(void **state)
{
	static const struct {
		const char *text;
		enum ipsec_alg alg;
		enum ipsec_ealg ealg;
	} PAIRS[] = {
		{"aes-gcm", IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM},
		{"null/aes-gcm", IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM},
		{"aes-gmac", IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL},
		{"aes-gmac/null", IPSEC_ALG_AES_GMAC, IPSEC_EALG_NULL},
		{"hmac-sha-1-96", IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL},
		{"hmac-sha-1-96/null", IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL},
		{"hmac-sha-1-96/aes-cbc", IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_AES_CBC},
		{"hmac-sha-1-96/des-ede3-cbc", IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_DES_EDE3_CBC},
		{"hmac-md5-96/null", IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_NULL},
		{"hmac-md5-96/aes-cbc", IPSEC_ALG_HMAC_MD5_96, IPSEC_EALG_AES_CBC},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PAIRS); i++) {
		const struct config_listener *l;
		char line[100];

		snprintf(line, sizeof(line), "algorithms = { \"%s\" }", PAIRS[i].text);
		l = only_listener(line);
		assert_int_equal(l->select.pair_count, 1);
		assert_int_equal(l->select.pairs[0].alg, PAIRS[i].alg);
		assert_int_equal(l->select.pairs[0].ealg, PAIRS[i].ealg);
	}
}

/* B14: the weakest mechanism of a list must give integrity. */
static void B14_C1_combinations_without_integrity_are_refused(void **state)
{
	static const char *const PAIRS[] = {"null/null",
					    "null/aes-cbc",
					    "aes-gmac/aes-cbc",
					    "aes-gmac/aes-gcm",
					    "hmac-sha-1-96/aes-gcm",
					    "null",
					    "aes-cbc",
					    "hmac-sha-2-256",
					    "",
					    "/",
					    "a/b/c",
					    "aes-gcm/",
					    "aes-gcm/null"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PAIRS); i++) {
		char line[100];

		snprintf(line, sizeof(line), "algorithms = { \"%s\" }", PAIRS[i]);
		assert_bad_key(line, "algorithms");
	}
}

static void B14_mechanisms_without_integrity_are_refused(void **state)
{
	static const char *const TEXTS[][2] = {
		{"digest;d-alg=SHA-256", "d-ver"},
		{"digest;d-qop=none", "d-qop"},
		{"ipsec-3gpp;alg=null", "no integrity"},
		{"ipsec-3gpp;alg=null;ealg=aes-cbc", "no integrity"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		char line[100];

		snprintf(line, sizeof(line), "mechanisms = { \"%s\" }", TEXTS[i][0]);
		assert_bad_key(line, "mechanisms: mechanism 1: ");
		assert_bad_key(line, TEXTS[i][1]);
	}
	assert_bad(WITH("verify = lenient\nmechanisms = { \"ipsec-3gpp\",\n\"digest;d-alg=x\" }\n"),
		   7, "mechanism 2: ");
}

static void a_list_of_mechanisms_that_cannot_be_sent_is_refused(void **state)
{
	static const char *const LINES[][2] = {
		{"{ \"ipsec-3gpp;q=0.2\", \"digest;q=0.20\" }", "same q"},
		{"{ \"ipsec-3gpp;q=0.2\", \"digest\" }", "all mechanisms have a q or none"},
		{"{ \"ipsec-3gpp;q=0.2\", \"digest;q=0.197\" }", "no room"},
		{"{ \"ipsec-3gpp;spi-c=5\" }", "no parameter but q"},
		{"{ \"ipsec-3gpp\", \"IPSEC-3GPP\" }", "twice"},
		{"{ \"sdes-srtp;mediasec\" }", "no mechanism for signalling"},
		{"{ \"digest, tls\" }", "more than one"},
		{"{ \"\" }", "mechanism 1"},
		{"{ \"digest;;\" }", "offset"},
		{"{a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q}", "at most 16"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(LINES); i++) {
		char line[120];

		snprintf(line, sizeof(line), "mechanisms = %s", LINES[i][0]);
		assert_bad_key(line, LINES[i][1]);
	}
	only_listener("mechanisms = { \"ipsec-3gpp;q=0.2\", \"digest;q=0.196\" }");
	only_listener("algorithms = { aes-gcm }\n"
		      "mechanisms = { \"ipsec-3gpp;q=0.2\", \"digest;q=0.199\" }");
	only_listener("mechanisms = { digest }"); /* no sets then, and so it was meant */
}

static void B12_tls_in_the_list_must_count_as_protected(void **state)
{
	(void)state;
	assert_bad_key("mechanisms = { ipsec-3gpp, tls }", "tls-is-protected");
	assert_bad(WITH("tls-is-protected = off\nmechanisms = { tls }"), 6, "tls-is-protected");
	only_listener("mechanisms = { ipsec-3gpp, tls }\ntls-is-protected = on");
	only_listener("mechanisms = { ipsec-3gpp, \"tls;mediasec\" }"); /* of no signalling */
}

static void what_the_list_says_of_ipsec_3gpp_must_be_there(void **state)
{
	(void)state;
	assert_bad_key("protocols = { ah } modes = { UDP-enc-tun }", "none of the algorithms");
	assert_bad_key("protocols = { ah } algorithms = { aes-gcm }", "none of the algorithms");
	only_listener("protocols = { ah } algorithms = { aes-gcm } mechanisms = { digest }");
}

static void a_combination_given_twice_is_refused(void **state)
{
	(void)state;
	assert_bad_key("algorithms = { aes-gmac, \"aes-gmac/null\" }", "twice");
}

static void encryption_must_leave_a_combination(void **state)
{
	(void)state;
	assert_bad(WITH("algorithms = { aes-gmac }\nencryption = required"), 6, "none");
	assert_bad(WITH("algorithms = { aes-gcm }\nencryption = off"), 6, "none");
	only_listener("algorithms = { aes-gmac }\nencryption = off");
	only_listener("algorithms = { aes-gcm }\nencryption = required");
}

/* ---- ranges ---- */

static void numbers_have_ranges(void **state)
{
	static const struct {
		const char *key;
		long min, max;
	} NUMBERS[] = {
		{"reqid", 1, 65535},
		{"priority", 2, INT32_MAX},
		{"replay-window", 32, 4096},
		{"encap-port", 1, 65535},
		{"reg-await-auth", 1, 604800},
		{"old-set-time", 1, 604800},
		{"registration-margin", 0, 604800},
		{"kernel-slack", 1, 3600},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(NUMBERS); i++) {
		char line[100];

		snprintf(line, sizeof(line), "%s = %ld", NUMBERS[i].key, NUMBERS[i].min);
		only_listener(line);
		snprintf(line, sizeof(line), "%s = %ld", NUMBERS[i].key, NUMBERS[i].max);
		only_listener(line);
		snprintf(line, sizeof(line), "%s = %ld", NUMBERS[i].key, NUMBERS[i].min - 1);
		assert_bad_key(line, NUMBERS[i].key);
		snprintf(line, sizeof(line), "%s = %ld", NUMBERS[i].key, NUMBERS[i].max + 1);
		assert_bad_key(line, NUMBERS[i].key);
	}
}

static void numbers_of_the_daemon_have_ranges(void **state)
{
	(void)state;
	assert_bad("state-dir = state\n", 1, "state-dir");
	assert_bad("\nstate-dir = \"\"\n", 2, "state-dir");
	assert_good("state-dir = off\n");
	assert_bad("max-sets = 0\n\n\n", 1, "max-sets");
	assert_bad("max-sets = 4000001\n\n\n", 1, "max-sets");
	assert_bad("max-connections = 0\n\n\n", 1, "max-connections");
	assert_bad("max-connections = 4097\n\n\n", 1, "max-connections");
	assert_bad("audit-interval = 604801\n\n\n", 1, "audit-interval");
	assert_good("max-sets = 4000000\nmax-connections = 4096\n");
}

static void what_is_no_number_is_refused_where_it_stands(void **state)
{
	(void)state;
	assert_bad("max-sets = many\n", 1, "max-sets");
	assert_bad("max-sets = 5x\n", 1, "max-sets");
	assert_bad("max-sets = 99999999999999999999999\n", 1, "max-sets");
	assert_bad("\n\nmax-sets = \"\"\n\n", 3, "max-sets");
}

static void words_are_of_a_list(void **state)
{
	static const char *const LINES[][2] = {
		{"policies = both", "shared, per-set"},
		{"selectors = loose", "strict, relaxed"},
		{"encryption = maybe", "off, preferred, required"},
		{"security-server = some", "all, chosen"},
		{"verify = sometimes", "strict, lenient"},
		{"returning-phone = never", "accept, refuse"},
		{"protocols = { esp, ike }", "ike"},
		{"modes = { transport }", "transport"},
		{"sec-agree = yes", "on, off"},
		{"tls-is-protected = 1", "on, off"},
		{"require-verify = never", "challenge, always"},
		{"register-mismatch = 400", "403, 494"},
		{"register-without-ipsec = allow", "challenge, forbid, discard, forward"},
		{"clear-requests = forward", "challenge, forbid, discard"},
		{"verify = STRICT", "strict, lenient"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(LINES); i++)
		assert_bad_key(LINES[i][0], LINES[i][1]);
}

static void the_socket_is_checked(void **state)
{
	char text[300];

	(void)state;
	assert_bad("socket {\npath = \"run/x\"\n}\n", 2, "absolute");
	assert_bad("socket {\npath = \"\"\n}\n", 2, "absolute");
	assert_bad("socket {\nmode = \"0888\"\n}\n", 2, "octal");
	assert_bad("socket {\nmode = \"01777\"\n}\n", 2, "octal");
	assert_bad("socket {\nmode = \"-1\"\n}\n", 2, "octal");
	assert_bad("socket {\nmode = \"\"\n}\n", 2, "octal");
	snprintf(text, sizeof(text), "socket { path = \"/%0106d\" }\n", 0);
	assert_good(text); /* a sockaddr_un's worth, with its NUL */
	snprintf(text, sizeof(text), "socket {\npath = \"/%0107d\"\n}\n", 0);
	assert_bad(text, 2, "107");
	snprintf(text, sizeof(text), "socket {\ngroup = \"%064d\"\n}\n", 0);
	assert_bad(text, 2, "group");
}

/* ---- addresses and ports ---- */

static void a_listener_needs_its_address_and_ports(void **state)
{
	(void)state;
	assert_bad("listener a {\nserver-port = 6100\nclient-ports = \"6104-6107\"\n}\n", 4,
		   "no address");
	assert_bad("listener a {\naddress = \"192.0.2.1\"\nclient-ports = \"6104-6107\"\n}\n", 4,
		   "no server-port");
	assert_bad("listener a {\naddress = \"192.0.2.1\"\nserver-port = 6100\n}\n", 4,
		   "no client-ports");
}

static void a_listener_needs_a_name(void **state)
{
	char text[300];

	(void)state;
	assert_int_equal(read_text("listener {\n}\n"), -EINVAL);
	assert_non_null(strstr(why, path));
	assert_int_equal(read_text("listener \"\" {\naddress = \"192.0.2.1\"\n}\n"), -EINVAL);
	snprintf(text, sizeof(text), "listener %064d {\n}\n", 1);
	assert_bad(text, 2, "63 characters");
}

static void an_address_is_a_literal_one(void **state)
{
	static const char *const ADDRESSES[] = {
		"pcscf.example", "192.0.2.1/24", "fe80::1%eth0", "", "192.0.2", "192.0.2.1:6100"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ADDRESSES); i++) {
		char text[200];

		snprintf(text, sizeof(text),
			 "listener a {\naddress = \"%s\" server-port = 6100\n"
			 "client-ports = \"6104-6107\"\n}\n",
			 ADDRESSES[i]);
		assert_bad(text, 2, "address");
	}
}

/* @line: 3 for the server port, 4 for the client ports. */
static void assert_bad_ports(const char *server, const char *clients, int line, const char *words)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "listener a {\naddress = \"192.0.2.1\"\nserver-port = %s\nclient-ports = "
		 "\"%s\"\n}\n",
		 server, clients);
	assert_bad(text, line, words);
}

static void port_ranges_are_checked(void **state)
{
	static const char *const RANGES[] = {
		"6107-6104", "6104-", "-6107",          "6104 - 6107", "0-3",       "65534-65536",
		"a-b",       "",      "6104-6107-6109", "+1-9",        "1000-1256", "6104,6105"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(RANGES); i++)
		assert_bad_ports("6100", RANGES[i], 4, "range");
}

static void D6_three_client_ports_are_the_least(void **state)
{
	(void)state;
	assert_bad_ports("6100", "6104", 4, "at least 3");
	assert_bad_ports("6100", "6104-6105", 4, "at least 3");
	assert_good("listener a { address = \"192.0.2.1\" server-port = 6100\n"
		    "client-ports = \"6104-6106\" }\n");
}

static void D4_ports_of_unprotected_sip_are_refused(void **state)
{
	(void)state;
	assert_bad_ports("5060", "6104-6107", 3, "5060");
	assert_bad_ports("5061", "6104-6107", 3, "5061");
	assert_bad_ports("6100", "5058-5060", 4, "5060");
	assert_bad_ports("6100", "5061-5070", 4, "5061");
}

static void D4_the_server_port_is_no_client_port(void **state)
{
	(void)state;
	assert_bad_ports("6104", "6104-6107", 3, "6104");
	assert_bad_ports("6107", "6104-6107", 3, "6107");
}

static void server_ports_have_a_range(void **state)
{
	(void)state;
	assert_bad_ports("0", "6104-6107", 3, "server-port");
	assert_bad_ports("65536", "6104-6107", 3, "server-port");
	assert_bad_ports("-1", "6104-6107", 3, "server-port");
}

/* ---- several listeners ---- */

static int two(const char *address, int server, const char *clients)
{
	char text[500];

	snprintf(text, sizeof(text),
		 "%s\n}\nlistener two {\naddress = \"%s\"\nserver-port = %d\nclient-ports = "
		 "\"%s\"\n}\n",
		 MINIMUM, address, server, clients);
	return read_text(text);
}

static void the_block_of_ports_is_the_smallest_that_holds_them_all(void **state)
{
	static const struct {
		uint16_t server, first, last, block, mask;
	} ROWS[] = {
		{6100, 6104, 6107, 6096, 0xfff0}, {6100, 6101, 6103, 6100, 0xfffc},
		{6107, 6100, 6106, 6096, 0xfff0}, {8, 9, 15, 8, 0xfff8},
		{1, 40000, 40003, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
		const struct config_listener l = {.server_port = ROWS[i].server,
						  .client_port_first = ROWS[i].first,
						  .client_port_last = ROWS[i].last};
		uint16_t mask = 1;

		assert_int_equal(config_port_block(&l, &mask), ROWS[i].block);
		assert_int_equal(mask, ROWS[i].mask);
	}
}

static void relaxed_selectors_need_shared_policies_and_ports_away_from_5060(void **state)
{
	(void)state;
	assert_int_equal(only_listener("selectors = relaxed")->selectors, CONFIG_SELECTORS_RELAXED);
	assert_bad_key("selectors = relaxed policies = per-set", "needs policies = \"shared\"");
	assert_bad("listener a {\naddress = \"192.0.2.1\"\nserver-port = 5062\n"
		   "client-ports = \"5064-5067\"\nselectors = relaxed\n}\n",
		   5, "5060 or 5061");
	assert_good("listener a {\naddress = \"192.0.2.1\"\nserver-port = 5064\n"
		    "client-ports = \"5068-5071\"\nselectors = relaxed\n}\n");
}

static void relaxed_selectors_reach_no_other_listener(void **state)
{
	static const char TWO[] = "listener a {\naddress = \"192.0.2.1\"\nserver-port = 6100\n"
				  "client-ports = \"6104-6107\"\n%s\n}\n"
				  "listener b {\naddress = \"%s\"\nserver-port = %d\n"
				  "client-ports = \"6200-6203\"\n}\n";
	char text[500];

	(void)state;
	snprintf(text, sizeof(text), TWO, "selectors = relaxed", "192.0.2.1", 6109);
	assert_bad(text, 9, "relaxed");
	snprintf(text, sizeof(text), TWO, "selectors = relaxed", "192.0.2.2", 6109);
	assert_good(text);
	snprintf(text, sizeof(text), TWO, "selectors = strict", "192.0.2.1", 6109);
	assert_good(text);
	snprintf(text, sizeof(text), TWO, "selectors = relaxed", "192.0.2.1", 6112);
	assert_good(text);
}

static void listeners_at_one_address_share_no_port(void **state)
{
	(void)state;
	assert_int_equal(two("192.0.2.1", 6100, "6200-6203"), -EINVAL);
	assert_non_null(strstr(why, "\"ims\" and \"two\" share a port"));
	assert_int_equal(two("192.0.2.1", 6105, "6200-6203"), -EINVAL);
	assert_int_equal(two("192.0.2.1", 6200, "6098-6100"), -EINVAL);
	assert_int_equal(two("192.0.2.1", 6200, "6107-6110"), -EINVAL);
	assert_int_equal(two("192.0.2.1", 6200, "6101-6104"), -EINVAL);
	assert_int_equal(two("192.0.2.1", 6200, "6105-6106"), -EINVAL);
	assert_int_equal(two("::ffff:192.0.2.1", 6200, "6105-6109"), -EINVAL);
	assert_int_equal(two("192.0.2.1", 6200, "6201-6204"), 0);
	assert_int_equal(config.listener_count, 2);
}

static void listeners_at_two_addresses_may_have_the_same_ports(void **state)
{
	(void)state;
	assert_int_equal(two("192.0.2.2", 6100, "6104-6107"), 0);
	assert_int_equal(two("2001:db8::1", 6100, "6104-6107"), 0);
	assert_string_equal(config.listeners[1].name, "two");
}

static void a_listener_given_twice_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_text(WITH("") WITH("")), -EINVAL);
	assert_non_null(strstr(why, "ims"));
}

static void there_are_at_most_64_listeners(void **state)
{
	char *text = malloc(65 * 200);
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 65; i++)
		n += (size_t)snprintf(text + n, 200,
				      "listener l%d { address = \"192.0.2.%d\" server-port = 6100 "
				      "client-ports = \"6104-6107\" }\n",
				      i, i + 1);
	assert_int_equal(read_text(text), -EINVAL);
	assert_non_null(strstr(why, "64"));
	*strstr(text, "listener l64") = '\0';
	assert_good(text);
	assert_int_equal(config.listener_count, 64);
	free(text);
}

/* ---- the file ---- */

static void unknown_keys_and_sections_are_refused_where_they_stand(void **state)
{
	(void)state;
	assert_bad("\nmax-set = 5\n", 2, "max-set");
	assert_bad(MINIMUM "colour = blue\n}\n", 5, "colour");
	assert_bad("socket {\npath = \"/x\"\nport = 1\n}\n", 3, "port");
	assert_bad("lisener a {\n}\n", 1, "lisener");
}

static void a_key_that_stands_there_twice_is_refused(void **state)
{
	(void)state;
	assert_bad("max-sets = 5\nlog-limit = 6\nmax-sets = 5\n", 3, "max-sets stands there twice");
	assert_bad(MINIMUM "reqid = 2\nreqid = 3\n}\n", 6, "reqid stands there twice");
	assert_bad("socket {\npath = \"/x\"\n}\nsocket {\npath = \"/y\"\n}\n", 5, "path stands");
	assert_good(MINIMUM "modes = { \"trans\" }\nmodes += { \"tun\" }\n}\n");
}

static void what_is_said_of_a_file_is_one_line(void **state)
{
	(void)state;
	assert_bad("max-sets = \"5\nlog-limit = 6\n\"\n", 3, "max-sets = 5 log-limit = 6 : it is");
}

static void a_word_that_is_unknown_is_told_the_known_ones(void **state)
{
	(void)state;
	assert_bad(MINIMUM "modes = { \"transport\" }\n}\n", 5,
		   "\"transport\" is none of trans, tun, UDP-enc-tun");
}

static void broken_syntax_is_refused(void **state)
{
	static const char *const TEXTS[] = {
		"max-sets\n",     "max-sets 5\n",           "= 5\n", "}\n",
		"listener a {\n", "socket { path = \"/x\n", "{{{{"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		if (read_text(TEXTS[i]) != -EINVAL)
			fail_msg("accepted: %s", TEXTS[i]);
		assert_non_null(strstr(why, path));
	}
	/* of these libconfuse itself says nothing */
	assert_bad("max-sets = 5\n\"\"\n", 2, "syntax");
	assert_bad("socket {\npath = \"/x\"\n\"\" = 1\n}\n", 3, "syntax");
	assert_bad("http {\npath = \"/x\"\n\"\" = 1\n}\n", 3, "syntax");
	assert_bad(MINIMUM "\"\"\n}\n", 5, "syntax");
}

/* What a full disk or a broken editor leaves must not be taken for a configuration. */
static void a_file_that_ends_too_early_is_refused(void **state)
{
	static const char WHOLE[] = "listener a { address = \"192.0.2.1\" server-port = 6100\n"
				    "client-ports = \"6104-6107\" algorithms = { \"aes-gcm\" } }";
	char text[sizeof(WHOLE)];

	(void)state;
	assert_good(WHOLE);
	for (size_t n = 1; n < sizeof(WHOLE) - 1; n++) {
		memcpy(text, WHOLE, n);
		text[n] = 0;
		if (read_text(text) != -EINVAL)
			fail_msg("accepted: %s", text);
	}
	assert_int_equal(read_text("/* never closed\n"), -EINVAL);
}

static void a_number_is_decimal(void **state)
{
	static const char *const TEXTS[] = {"010", "0x10", "1e3", "-5", "\"\"", "5x",
					    "99999999999"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
		snprintf(text, sizeof(text), "\nmax-sets = %s\n", TEXTS[i]);
		if (read_text(text) != -EINVAL)
			fail_msg("accepted: %s", text);
		assert_non_null(strstr(why, ":2: "));
	}
}

static void comments_are_skipped(void **state)
{
	(void)state;
	assert_good("# one\n// two\n/* three\n four */\nmax-sets = 5 # five\n");
	assert_int_equal(config.max_sets, 5);
}

static void a_file_that_is_not_there_is_said_so(void **state)
{
	(void)state;
	assert_int_equal(config_read("/nonexistent/conf", &config, why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "/nonexistent/conf: No such file or directory (secagreed.conf(5) has "
				 "an example; --config names another)");
}

static void a_directory_is_no_configuration(void **state)
{
	(void)state;
	assert_int_equal(config_read(directory, &config, why, sizeof(why)), -EISDIR);
	assert_non_null(strstr(why, directory));
}

static void a_file_that_may_not_be_read_is_said_so(void **state)
{
	const uid_t uid = geteuid();
	int err;

	(void)state;
	assert_good("");
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(chmod(path, 0), 0);
	if (!uid && seteuid(65534) < 0)
		skip();
	err = config_read(path, &config, why, sizeof(why));
	if (!uid)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(err, -EACCES);
	assert_non_null(strstr(why, "Permission denied"));
}

static void reading_again_starts_from_the_defaults(void **state)
{
	(void)state;
	assert_good("max-sets = 5\n" WITH("reqid = 7"));
	assert_good("");
	assert_int_equal(config.max_sets, 100000);
	assert_int_equal(config.listener_count, 0);
}

static void long_messages_are_cut(void **state)
{
	char small[16] = "";

	(void)state;
	assert_int_equal(read_text("max-sets = 0\n"), -EINVAL);
	assert_int_equal(config_read(path, &config, small, sizeof(small)), -EINVAL);
	assert_int_equal(strlen(small), sizeof(small) - 1);
}

/* The sample has every key with its default: a second listener without any is the same. */
static void the_sample_configuration_says_the_defaults(void **state)
{
	static const char SAMPLE[] = "conf/secagreed.conf";
	const struct config_listener *l = &config.listeners[0];
	struct config_listener defaults;
	struct config daemon_defaults;

	(void)state;
	if (access(SAMPLE, R_OK) < 0)
		skip(); /* not run from the top of the tree */
	if (config_read(SAMPLE, &config, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_in_range(config.listener_count, 1, CONFIG_MAX_LISTENERS);
	config_default(&daemon_defaults);
	assert_string_equal(config.socket.path, daemon_defaults.socket.path);
	assert_int_equal(config.socket.mode, daemon_defaults.socket.mode);
	assert_int_equal(config.max_sets, daemon_defaults.max_sets);
	assert_int_equal(config.max_connections, daemon_defaults.max_connections);
	assert_int_equal(config.log_level, daemon_defaults.log_level);
	config_listener_default(&defaults);
	assert_int_equal(l->reqid, defaults.reqid);
	assert_int_equal(l->priority, defaults.priority);
	assert_int_equal(l->replay_window, defaults.replay_window);
	assert_int_equal(l->encap_port, defaults.encap_port);
	assert_int_equal(l->policies, defaults.policies);
	assert_int_equal(l->security_server, defaults.security_server);
	assert_int_equal(l->verify, defaults.verify);
	assert_decides_as_by_default(l);
	assert_int_equal(l->returning_phone, defaults.returning_phone);
	assert_memory_equal(&l->timers, &defaults.timers, sizeof(defaults.timers));
	assert_memory_equal(&l->select, &defaults.select, sizeof(defaults.select));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
	static const struct CMUnitTest tests[] = {
		TEST(an_empty_file_has_the_defaults_and_no_listener),
		TEST(a_minimal_listener_has_the_defaults),
		TEST(the_defaults_for_offline_use_are_the_same),
		TEST(every_key_of_the_daemon_is_read),
		TEST(http_is_shut_unless_it_is_opened),
		TEST(metrics_over_tcp_stay_on_the_loopback),
		TEST(every_log_level_has_its_word),
		TEST(every_key_of_a_listener_is_read),
		TEST(every_key_of_the_agreement_is_read),
		TEST(protocols_and_modes_that_are_given_replace_the_default),
		TEST(every_legal_combination_can_be_configured),
		TEST(B14_C1_combinations_without_integrity_are_refused),
		TEST(B14_mechanisms_without_integrity_are_refused),
		TEST(a_list_of_mechanisms_that_cannot_be_sent_is_refused),
		TEST(B12_tls_in_the_list_must_count_as_protected),
		TEST(what_the_list_says_of_ipsec_3gpp_must_be_there),
		TEST(a_combination_given_twice_is_refused),
		TEST(encryption_must_leave_a_combination),
		TEST(numbers_have_ranges),
		TEST(numbers_of_the_daemon_have_ranges),
		TEST(what_is_no_number_is_refused_where_it_stands),
		TEST(words_are_of_a_list),
		TEST(the_socket_is_checked),
		TEST(a_listener_needs_its_address_and_ports),
		TEST(a_listener_needs_a_name),
		TEST(an_address_is_a_literal_one),
		TEST(port_ranges_are_checked),
		TEST(D6_three_client_ports_are_the_least),
		TEST(D4_ports_of_unprotected_sip_are_refused),
		TEST(D4_the_server_port_is_no_client_port),
		TEST(server_ports_have_a_range),
		TEST(the_block_of_ports_is_the_smallest_that_holds_them_all),
		TEST(relaxed_selectors_need_shared_policies_and_ports_away_from_5060),
		TEST(relaxed_selectors_reach_no_other_listener),
		TEST(listeners_at_one_address_share_no_port),
		TEST(listeners_at_two_addresses_may_have_the_same_ports),
		TEST(a_listener_given_twice_is_refused),
		TEST(there_are_at_most_64_listeners),
		TEST(unknown_keys_and_sections_are_refused_where_they_stand),
		TEST(a_key_that_stands_there_twice_is_refused),
		TEST(what_is_said_of_a_file_is_one_line),
		TEST(a_word_that_is_unknown_is_told_the_known_ones),
		TEST(broken_syntax_is_refused),
		TEST(a_file_that_ends_too_early_is_refused),
		TEST(a_number_is_decimal),
		TEST(comments_are_skipped),
		TEST(a_file_that_is_not_there_is_said_so),
		TEST(a_directory_is_no_configuration),
		TEST(a_file_that_may_not_be_read_is_said_so),
		TEST(reading_again_starts_from_the_defaults),
		TEST(long_messages_are_cut),
		TEST(the_sample_configuration_says_the_defaults),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
