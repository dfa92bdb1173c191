/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreed.conf, read whole and checked whole before anything uses it. secagreed.conf(5).
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <sys/types.h>

#include "proto/compare.h"
#include "proto/decide.h"
#include "proto/select.h"
#include "proto/server_list.h"
#include "xfrm/xfrm.h"

#define CONFIG_DEFAULT_PATH   "/etc/secagreed/secagreed.conf"
#define CONFIG_DEFAULT_SOCKET "/run/secagreed/control.sock"
#define CONFIG_DEFAULT_STATE  "/run/secagreed/state"
#define CONFIG_DIR_BYTES      200
#define CONFIG_MAX_LISTENERS  64
#define CONFIG_NAME_BYTES     64
#define CONFIG_MAX_CLIENT_PORTS 256

enum config_policies {
	CONFIG_POLICIES_SHARED,  /* a handful for all phones; sets that cannot use them have their own */
	CONFIG_POLICIES_PER_SET, /* four for each set, above the shared ones, which stay as the guard */
};

enum config_selectors {
	CONFIG_SELECTORS_STRICT,  /* an SA carries the ports that were negotiated for it alone */
	CONFIG_SELECTORS_RELAXED, /* from the phone: any port to any of ours, on either SA */
};

enum config_security_server {
	CONFIG_SECURITY_SERVER_ALL,    /* every combination we support (TS 33.203 7.2) */
	CONFIG_SECURITY_SERVER_CHOSEN, /* the chosen one alone */
};

/* A phone that comes back unprotected with the client port of its living set, TS 33.203 7.1 rule 3. */
enum config_returning_phone {
	CONFIG_RETURNING_PHONE_ACCEPT, /* it has lost its state: the old set goes with the 200 */
	CONFIG_RETURNING_PHONE_REFUSE,
};

/* Seconds. standards: TS 24.229 table 7.8, table 7.7 (T1 on Gm is 2 s) */
struct config_timers {
	uint32_t reg_await_auth_s;      /* life of a TEMPORARY set, 240 */
	uint32_t old_set_s;             /* life of an OLD set at most: 64*T1, 128 */
	uint32_t registration_margin_s; /* added to the granted expires, 30 */
	uint32_t kernel_slack_s;        /* the kernel's hard limit comes so much later, 10 */
};

struct config_listener {
	char name[CONFIG_NAME_BYTES];
	bool leaving; /* no file's: reload.c keeps it for the sets that it has, and it takes no more */
	struct ip_addr address;
	uint16_t server_port;
	uint16_t client_port_first, client_port_last;
	uint32_t reqid;    /* of every transport set and guard */
	uint32_t priority; /* of the guards; a set's own policies have priority - 1 */
	uint16_t encap_port; /* UDP-enc-tun, 4500 */
	uint32_t replay_window;
	enum config_policies policies;
	enum config_selectors selectors;
	enum config_security_server security_server;
	enum compare_mode verify;
	enum config_returning_phone returning_phone;
	struct server_list mechanisms; /* what Security-Server says */
	struct decide_policy decide;
	struct select_policy select;
	struct config_timers timers;
};

struct config_socket {
	char path[108]; /* a sockaddr_un's worth; "" = none */
	mode_t mode;
	char group[CONFIG_NAME_BYTES]; /* "" = leave it */
};

struct config {
	char user[CONFIG_NAME_BYTES]; /* "" = privilege.h says whom */
	struct config_socket socket;
	struct config_socket monitor; /* for methods that change nothing */
	struct config_socket http;
	struct ip_addr http_address; /* of the loopback; for metrics over TCP */
	uint16_t http_port;          /* 0 = none */
	uint32_t max_sets, max_sets_per_impi, max_sets_per_address;
	uint32_t max_connections;
	char state_dir[CONFIG_DIR_BYTES]; /* "" = nothing outlives the daemon */
	uint32_t audit_interval_s; /* 0 = no audit but those that are asked for */
	bool allow_key_export;
	int log_level; /* LOG_ERR .. LOG_DEBUG of syslog.h */
	uint32_t log_limit; /* lines of one event and reason in ten seconds; 0 = no limit */
	bool log_identity_hash; /* private identities are not logged but as a keyed hash */
	struct config_listener listeners[CONFIG_MAX_LISTENERS];
	size_t listener_count;
};

/* What a configuration without any line says: no listener. */
void config_default(struct config *ret);

/* A listener of the defaults, for offline use: no name, address or ports. */
void config_listener_default(struct config_listener *ret);

/* The smallest aligned block of ports, a power of two long, that holds the server port and all client
 * ports: its first port, and the mask by which all its ports have the same bits. */
uint16_t config_port_block(const struct config_listener *listener, uint16_t *ret_mask);

/* Can the two stand beside each other? False: @ret_why says why not. */
bool config_fits(const struct config_listener *a, const struct config_listener *b, char *ret_why,
		 size_t why_cap);

/* Read @path. On failure @ret is untouched and @ret_why says "file:line: what is wrong".
 * Returns 0, -ENOENT and the like (the file cannot be read), -EINVAL. */
int config_read(const char *path, struct config *ret, char *ret_why, size_t why_cap);

#endif
