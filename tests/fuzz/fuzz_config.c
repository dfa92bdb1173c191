/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreed.conf: the input is the file. What is taken is within its bounds and read the same a
 * second time; what is refused leaves everything as it was and says why; and what a bad file left
 * in libconfuse does not spoil the next one.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

#define UNTOUCHED 0x5a

static const char GOOD[] = "listener \"ims\" {\n\taddress = \"192.0.2.1\"\n\tserver-port = 6100\n"
			   "\tclient-ports = \"6104-6107\"\n}\n";

static struct config first, second;
static int file = -1;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	file = memfd_create("secagreed.conf", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return file < 0 ? -1 : 0;
}

static int read_text(struct span text, struct config *ret, char *why, size_t why_cap)
{
	CHECK(ftruncate(file, 0) == 0);
	CHECK(pwrite(file, text.p, text.n, 0) == (ssize_t)text.n);
	memset(ret, UNTOUCHED, sizeof(*ret));
	why[0] = '\0';
	return config_read(path, ret, why, why_cap);
}

static bool is_untouched(const struct config *c)
{
	const uint8_t *p = (const uint8_t *)c;

	return p[0] == UNTOUCHED && !memcmp(p, p + 1, sizeof(*c) - 1);
}

static void check_listener(const struct config_listener *l)
{
	CHECK(l->name[0] && memchr(l->name, '\0', sizeof(l->name)));
	CHECK(l->address.family == AF_INET || l->address.family == AF_INET6);
	CHECK(l->server_port && l->client_port_first);
	CHECK(l->client_port_last >= l->client_port_first + 2);
	CHECK(l->client_port_last - l->client_port_first < 256);
	CHECK(l->server_port < l->client_port_first || l->server_port > l->client_port_last);
	CHECK(l->server_port != 5060 && l->server_port != 5061);
	CHECK(l->reqid >= 1 && l->reqid <= 65535 && l->priority >= 2);
	CHECK(l->replay_window >= 32 && l->replay_window <= XFRM_MAX_REPLAY_WINDOW);
	CHECK(l->encap_port);
	CHECK(l->select.pair_count >= 1 && l->select.pair_count <= SELECT_MAX_PAIRS);
	CHECK(l->select.esp || l->select.ah);
	CHECK(l->select.trans || l->select.tun || l->select.udp_enc_tun);
	CHECK(l->mechanisms.entry_count >= 1);
	CHECK(l->timers.reg_await_auth_s && l->timers.old_set_s && l->timers.kernel_slack_s);
}

static void check_socket(const struct config_socket *s)
{
	CHECK(s->path[0] == '/' && memchr(s->path, '\0', sizeof(s->path)));
	CHECK(s->mode <= 0777);
	CHECK(memchr(s->group, '\0', sizeof(s->group)));
}

static bool is_loopback(const struct ip_addr *ip)
{
	return ip->family == AF_INET ? ip->bytes[0] == 127
				     : ip->family == AF_INET6 && ip->bytes[15] == 1;
}

static void check_doors(const struct config *c)
{
	check_socket(&c->socket);
	if (c->http.path[0]) {
		check_socket(&c->http);
		CHECK(strcmp(c->http.path, c->socket.path) != 0);
	}
	CHECK(!c->http_port || is_loopback(&c->http_address));
}

static void check_config(const struct config *c)
{
	check_doors(c);
	CHECK(c->max_sets && c->max_connections);
	CHECK(c->listener_count <= CONFIG_MAX_LISTENERS);
	for (size_t i = 0; i < c->listener_count; i++)
		check_listener(&c->listeners[i]);
}

static void check_taken(struct span text)
{
	char why[512];

	check_config(&first);
	CHECK(read_text(text, &second, why, sizeof(why)) == 0);
	CHECK(!memcmp(&first, &second, sizeof(first)));
}

static void check_refused(int err, const char *why)
{
	char none[512];

	CHECK(err == -EINVAL && !strncmp(why, path, strlen(path)));
	CHECK(is_untouched(&first));
	CHECK(read_text(span_of(GOOD), &second, none, sizeof(none)) == 0);
	CHECK(second.listener_count == 1 && second.listeners[0].server_port == 6100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = {(const char *)data, size};
	char why[512];
	int err;

	fuzz_begin();
	err = read_text(text, &first, why, sizeof(why));
	if (err)
		check_refused(err, why);
	else
		check_taken(text);
	return 0;
}
