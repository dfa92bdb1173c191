/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: who listens where. The SIP server must have sockets on the protected ports,
 * no other program may have the port of UDP-enc-tun, and programs that listen to the kernel's XFRM
 * events change what it does or see what they should not.
 *
 * Sockets are read from /proc/net, which needs no privileges; the names of their owners do. A
 * socket on [::] is taken to serve IPv4 as well, which is so unless its program said otherwise.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"
#include "proto/text.h"

/* A socket that waits for strangers. */
struct waiting {
	struct ip_addr address; /* all zero: any */
	uint16_t port;
	bool tcp;
	unsigned long inode;
};

/* ---- sockets ---- */

/* The kernel prints the words of an address as numbers. */
static int read_address(const char *hex, struct ip_addr *ret)
{
	const size_t words = strlen(hex) / 8;
	char text[IP_TEXT_BYTES];

	*ret = (struct ip_addr){.family = words == 1 ? AF_INET : AF_INET6};
	for (size_t i = 0; i < words && i < 4; i++) {
		unsigned word;

		if (sscanf(hex + 8 * i, "%8x", &word) != 1)
			return -EINVAL;
		memcpy(ret->bytes + 4 * i, &word, sizeof(word));
	}
	/* so that one mapped into IPv6 becomes IPv4 */
	return ip_parse(ip_format(ret, text), ret);
}

#define STATE_CLOSE  0x07U /* UDP: bound and not connected */
#define STATE_LISTEN 0x0aU

static void walk_file(const char *path, bool tcp,
		      void (*each)(const struct waiting *one, void *arg), void *arg)
{
	FILE *file = fopen(path, "re");
	char line[512], hex[33];

	while (file && fgets(line, sizeof(line), file)) {
		struct waiting one = {.tcp = tcp};
		unsigned port, state;

		if (sscanf(line, " %*u: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", hex, &port,
			   &state, &one.inode) != 4 ||
		    state != (tcp ? STATE_LISTEN : STATE_CLOSE) ||
		    read_address(hex, &one.address) < 0)
			continue;
		one.port = (uint16_t)port;
		each(&one, arg);
	}
	if (file)
		fclose(file);
}

static void walk(void (*each)(const struct waiting *one, void *arg), void *arg)
{
	walk_file("/proc/net/udp", false, each, arg);
	walk_file("/proc/net/udp6", false, each, arg);
	walk_file("/proc/net/tcp", true, each, arg);
	walk_file("/proc/net/tcp6", true, each, arg);
}

static bool takes(const struct waiting *one, const struct ip_addr *address)
{
	static const struct ip_addr any;

	if (ip_equal(&one->address, address))
		return true;
	return memcmp(one->address.bytes, any.bytes, sizeof(any.bytes)) == 0 &&
	       (one->address.family == address->family || one->address.family == AF_INET6);
}

/* ---- owners ---- */

static bool has_socket(const char *pid, unsigned long inode)
{
	const struct dirent *entry;
	char path[300], target[64], wanted[64];
	bool found = false;
	DIR *dir;

	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%.16s/fd/%s", pid, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* "charon, process 812", and its number; 0 when that cannot be seen. */
static pid_t owner_of(unsigned long inode, char *ret_text, size_t cap)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = 0;

	snprintf(ret_text, cap, "another program");
	while (dir && !pid && (entry = readdir(dir))) {
		char path[64], name[32] = "?";

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
		    !has_socket(entry->d_name, inode))
			continue;
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		doctor_line(path, "", name, sizeof(name));
		snprintf(ret_text, cap, "%s, process %d,", name, (int)pid);
	}
	if (dir)
		closedir(dir);
	return pid;
}

/* ---- protected ports ---- */

struct heard {
	const struct config_listener *listener;
	bool server[2], client[2][CONFIG_MAX_CLIENT_PORTS]; /* UDP, TCP */
};

static void hear(const struct waiting *one, void *arg)
{
	struct heard *heard = arg;
	const struct config_listener *l = heard->listener;

	if (!takes(one, &l->address))
		return;
	if (one->port == l->server_port)
		heard->server[one->tcp] = true;
	else if (one->port >= l->client_port_first && one->port <= l->client_port_last)
		heard->client[one->tcp][one->port - l->client_port_first] = true;
}

/* "6104, 6106-6107"; "" when none is missing. */
static void missing_ports(const struct config_listener *l, const bool *heard, char *buf, size_t cap)
{
	const unsigned count = l->client_port_last - l->client_port_first + 1U;
	struct text_out out;
	unsigned end;

	text_out_init(&out, buf, cap);
	for (unsigned i = 0; i < count; i = end + 1) {
		for (end = i; end < count && !heard[end]; end++)
			;
		if (end == i)
			continue;
		text_out_printf(&out, "%s%u", out.n ? ", " : "", l->client_port_first + i);
		if (end > i + 1)
			text_out_printf(&out, "-%u", l->client_port_first + end - 1);
	}
}

static void look_at_server_port(struct doctor *d, const struct heard *heard, bool tcp)
{
	const struct config_listener *l = heard->listener;
	char ip[IP_TEXT_BYTES];

	if (heard->server[tcp])
		return;
	doctor_find(d, DOCTOR_FAIL, "%s: nothing listens on %s %s port %u, the server port",
		    l->name, tcp ? "TCP" : "UDP", ip_format(&l->address, ip), l->server_port);
	doctor_advise(d, "let the SIP server listen there: phones send their requests to it");
}

/* The SIP server opens TCP connections from these ports itself; over UDP it must receive. */
static void look_at_client_ports(struct doctor *d, const struct heard *heard, bool tcp)
{
	const struct config_listener *l = heard->listener;
	char ip[IP_TEXT_BYTES], ports[8 * CONFIG_MAX_CLIENT_PORTS];

	missing_ports(l, heard->client[tcp], ports, sizeof(ports));
	if (!ports[0])
		return;
	doctor_find(d, tcp ? DOCTOR_WARN : DOCTOR_FAIL,
		    "%s: nothing listens on %s %s port %s, client ports", l->name,
		    tcp ? "TCP" : "UDP", ip_format(&l->address, ip), ports);
	doctor_advise(d,
		      tcp ? "a SIP server that takes the ports of its sockets for its connections "
			    "must listen there, too"
			  : "let the SIP server listen there: requests to phones leave from these "
			    "ports, and their answers come back");
}

void doctor_ports(struct doctor *d)
{
	for (size_t i = 0; i < d->config.listener_count; i++) {
		struct heard heard = {.listener = &d->config.listeners[i]};

		walk(hear, &heard);
		for (unsigned tcp = 0; tcp < 2; tcp++) {
			look_at_server_port(d, &heard, tcp);
			look_at_client_ports(d, &heard, tcp);
		}
	}
}

/* ---- UDP-enc-tun ---- */

struct encap_search {
	struct doctor *doctor;
	const struct config_listener *listener;
};

static void find_taker(const struct waiting *one, void *arg)
{
	const struct encap_search *search = arg;
	const struct config_listener *l = search->listener;
	struct doctor *d = search->doctor;
	char ip[IP_TEXT_BYTES], owner[80];
	pid_t pid;

	if (one->tcp || one->port != l->encap_port || !takes(one, &l->address))
		return;
	pid = owner_of(one->inode, owner, sizeof(owner));
	if (d->status && (!pid || pid == d->pid))
		return;
	doctor_find(d, DOCTOR_FAIL, "%s: %s has UDP %s port %u, which UDP-enc-tun needs", l->name,
		    owner, ip_format(&one->address, ip), l->encap_port);
	doctor_advise(d,
		      "stop it (an IKE daemon?), set another encap-port, or take \"UDP-enc-tun\" "
		      "out of modes");
}

void doctor_encap(struct doctor *d)
{
	for (size_t i = 0; i < d->config.listener_count; i++) {
		struct encap_search search = {d, &d->config.listeners[i]};

		if (search.listener->select.udp_enc_tun)
			walk(find_taker, &search);
	}
}

/* ---- listeners to events ---- */

#define GROUP(number) (1U << ((number)-1))

static void report_eavesdropper(struct doctor *d, const char *who, unsigned groups)
{
	unsigned long long expires_s = 30;

	if (groups & GROUP(XFRMNLGRP_SA)) {
		doctor_find(d, DOCTOR_WARN,
			    "%s listens to SA events: the kernel gives it the keys of "
			    "all phones",
			    who);
		doctor_advise(d, "stop it, unless it is yours (an IKE daemon, ip xfrm monitor)");
	}
	if (!(groups & GROUP(XFRMNLGRP_ACQUIRE)))
		return;
	doctor_number("/proc/sys/net/core/xfrm_acq_expires", &expires_s);
	doctor_find(d, DOCTOR_WARN,
		    "%s listens to ACQUIRE: each packet to a phone without SAs leaves "
		    "an empty SA in the kernel for %llu s",
		    who, expires_s);
	doctor_advise(d, "harmless while they are few; stop it when it is not needed, or lower "
			 "net.core.xfrm_acq_expires");
}

void doctor_eavesdroppers(struct doctor *d)
{
	FILE *file = fopen("/proc/net/netlink", "re");
	char line[256], owner[80];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned protocol, groups;
		unsigned long inode;

		if (sscanf(line, "%*s %u %*u %x %*s %*s %*s %*s %*s %lu", &protocol, &groups,
			   &inode) != 3 ||
		    protocol != NETLINK_XFRM ||
		    !(groups & (GROUP(XFRMNLGRP_ACQUIRE) | GROUP(XFRMNLGRP_SA))))
			continue;
		owner_of(inode, owner, sizeof(owner));
		report_eavesdropper(d, owner, groups);
	}
	if (file)
		fclose(file);
}
