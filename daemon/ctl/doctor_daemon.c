/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: the daemon and what it lives on. Its configuration, whether it answers, its
 * sockets, its privileges, its limits.
 *
 * That no daemon runs is no fault: a machine is looked at before its first start, too. Then the
 * configuration file alone says what is wanted.
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl/doctor.h"
#include "daemon/ctl/kernel_read.h"
#include "daemon/machine.h"

/* ---- configuration ---- */

void doctor_configuration(struct doctor *d)
{
	char why[2 * CTL_WHY_BYTES];

	config_default(&d->config);
	if (config_read(d->config_path, &d->config, why, sizeof(why)) < 0) {
		doctor_find(d, DOCTOR_FAIL, "%s", why);
		doctor_advise(d,
			      "mend it, or name the daemon's file with --config FILE; until then "
			      "what depends on listeners is not looked at");
	} else if (!d->config.listener_count) {
		doctor_find(d, DOCTOR_FAIL, "%s: there is no listener", d->config_path);
		doctor_advise(d, "add one; secagreed.conf(5) has examples");
	} else {
		d->has_config = true;
		doctor_find(d, DOCTOR_OK, "%s: %zu listener%s", d->config_path,
			    d->config.listener_count, d->config.listener_count == 1 ? "" : "s");
	}
	if (!d->socket_path)
		d->socket_path = d->has_config ? d->config.socket.path : CONFIG_DEFAULT_SOCKET;
}

/* ---- daemon ---- */

static void explain_silence(struct doctor *d, int err, const char *why)
{
	switch (err) {
	case -ENOENT:
		doctor_find(d, DOCTOR_WARN, "none runs: there is no %s", d->socket_path);
		doctor_advise(d, "start it; `secagreed --foreground` says why it does not start");
		break;
	case -ECONNREFUSED:
		doctor_find(d, DOCTOR_FAIL, "nobody answers at %s: it was killed, or crashed",
			    d->socket_path);
		doctor_advise(d,
			      "look for its last words (journalctl -u secagreed), start it again");
		break;
	case -EACCES:
		doctor_find(d, DOCTOR_WARN, "%s", why);
		doctor_advise(d, "run this as root, or join the group and log in again");
		break;
	default:
		doctor_find(d, DOCTOR_FAIL, "%s", why);
		doctor_advise(d, "see whether it hangs; if so, start it again");
	}
}

static int read_listener(const json_t *json, struct config_listener *ret)
{
	struct config_listener l;
	const char *name, *address, *ports;
	json_int_t reqid, priority;
	int server_port, leaving = 0;

	config_listener_default(&l);
	priority = l.priority;
	if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:s, s:i, s:s, s:I, s?:I, s?:b}", "name",
			&name, "address", &address, "server_port", &server_port, "client_ports",
			&ports, "reqid", &reqid, "priority", &priority, "leaving", &leaving) < 0 ||
	    ip_parse(address, &l.address) < 0 ||
	    sscanf(ports, "%hu-%hu", &l.client_port_first, &l.client_port_last) != 2 ||
	    l.client_port_last < l.client_port_first ||
	    l.client_port_last - l.client_port_first >= CONFIG_MAX_CLIENT_PORTS)
		return -EINVAL;
	snprintf(l.name, sizeof(l.name), "%s", name);
	l.server_port = (uint16_t)server_port;
	l.reqid = (uint32_t)reqid;
	l.priority = (uint32_t)priority;
	l.leaving = leaving;
	*ret = l;
	return 0;
}

size_t doctor_listeners(const json_t *status, struct config_listener *ret)
{
	json_t *listener;
	size_t i, count = 0;

	json_array_foreach (json_object_get(status, "listeners"), i, listener)
		if (count < CONFIG_MAX_LISTENERS && read_listener(listener, &ret[count]) == 0)
			count++;
	return count;
}

static bool is_same(const struct config_listener *a, const struct config_listener *b)
{
	return strcmp(a->name, b->name) == 0 && ip_equal(&a->address, &b->address) &&
	       a->server_port == b->server_port && a->client_port_first == b->client_port_first &&
	       a->client_port_last == b->client_port_last;
}

/* secagreed.conf(5), RELOAD: what of a listener a reload leaves as it is. */
static void compare_number(struct doctor *d, const char *listener, const char *key, uint32_t file,
			   uint32_t running)
{
	if (file == running)
		return;
	doctor_find(d, DOCTOR_WARN,
		    "%s: the file says %s %u, the daemon uses %u until it is restarted", listener,
		    key, file, running);
	doctor_advise(d, "restart it, or put %u back into %s", running, d->config_path);
}

static void compare_configuration(struct doctor *d)
{
	bool same = d->running_count >= d->config.listener_count;

	if (!d->has_config)
		return;
	/* behind those of the file there may be some that leave */
	for (size_t i = d->config.listener_count; i < d->running_count; i++)
		same &= d->running[i].leaving;
	for (size_t i = 0; i < d->config.listener_count && same; i++)
		same = is_same(&d->running[i], &d->config.listeners[i]);
	if (!same) {
		doctor_find(d, DOCTOR_WARN, "it runs with other listeners than %s has",
			    d->config_path);
		doctor_advise(d, "`secagreectl reload` when the file is right, and a restart for "
				 "what that leaves; or name its file with --config FILE");
		return;
	}
	for (size_t i = 0; i < d->config.listener_count; i++) {
		const struct config_listener *l = &d->config.listeners[i], *r = &d->running[i];

		compare_number(d, l->name, "reqid", l->reqid, r->reqid);
		compare_number(d, l->name, "priority", l->priority, r->priority);
	}
}

/* A number can be that of another process here, when the daemon is in a container. */
static void find_process(struct doctor *d)
{
	const int pid = (int)json_integer_value(json_object_get(d->status, "pid"));
	char path[64], name[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (doctor_line(path, "", name, sizeof(name)) == 0 && strcmp(name, "secagreed") == 0) {
		d->pid = pid;
		return;
	}
	doctor_find(d, DOCTOR_WARN, "it calls itself process %d, which cannot be seen from here",
		    pid);
	doctor_advise(d, "run this where it runs, in the same container");
}

/* What follows looks at the network that the daemon serves. */
static void enter_network(struct doctor *d)
{
	d->elsewhere = d->pid && kernel_enter_network(d->pid) < 0;
	if (!d->elsewhere)
		return;
	doctor_find(d, DOCTOR_WARN, "it lives in another network namespace, which is closed to us");
	doctor_advise(d, "run this as root: nsenter --target %d --net secagreectl doctor",
		      (int)d->pid);
}

static int ask(struct doctor *d, char *ret_why, size_t why_cap)
{
	json_t *params = json_object(), *reply = NULL;
	struct client client;
	int err = client_open(d->socket_path, &client, ret_why, why_cap);

	if (!err) {
		err = client_call(&client, "daemon.status", params, &reply, ret_why, why_cap);
		client_close(&client);
	}
	if (!err)
		d->status = json_incref(json_object_get(reply, "result"));
	json_decref(params);
	json_decref(reply);
	return err;
}

void doctor_daemon(struct doctor *d)
{
	char why[2 * CTL_WHY_BYTES];
	const char *version;
	int err = ask(d, why, sizeof(why));

	if (err) {
		explain_silence(d, err, why);
		return;
	}
	version = options_text(d->status, "version");
	if (!version) {
		doctor_find(d, DOCTOR_FAIL, "what answers at %s is no secagreed", d->socket_path);
		doctor_advise(d, "stop that program, or give secagreed another path");
		return;
	}
	doctor_find(d, DOCTOR_OK, "secagreed %s answers at %s", version, d->socket_path);
	find_process(d);
	if (strcmp(version, SECAGREED_VERSION) != 0) {
		doctor_find(d, DOCTOR_WARN, "it is version %s, this program is " SECAGREED_VERSION,
			    version);
		doctor_advise(d, "restart it, so that what is installed is what runs");
	}
	d->running_count = doctor_listeners(d->status, d->running);
	compare_configuration(d);
	enter_network(d);
}

/* ---- sockets ---- */

/* Is it somebody else's, a service manager's, and serves? Then the daemon has none to make. */
static bool is_given(const struct doctor *d, const struct config_socket *s, uid_t user)
{
	struct stat st;

	return d->status && lstat(s->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid != user;
}

static void look_at_directory(struct doctor *d, const struct config_socket *s)
{
	char path[sizeof(s->path)], advice[300], name[64], owner[64];
	const char *dir;
	struct stat st;
	uid_t user;
	bool is_there;

	snprintf(path, sizeof(path), "%s", s->path);
	dir = dirname(path);
	is_there = stat(dir, &st) == 0;
	if ((!is_there && errno != ENOENT) || doctor_user(d, &user) < 0)
		return; /* that there is no such user is found elsewhere */
	machine_advise_directory(s->path, user, advice, sizeof(advice));
	if (!is_there) {
		doctor_find(d, DOCTOR_WARN, "%s: its directory does not exist", s->path);
	} else if (!machine_can_make_in(&st, user) && !is_given(d, s, user)) {
		machine_name_user(user, name, sizeof(name));
		machine_name_user(st.st_uid, owner, sizeof(owner));
		doctor_find(d, DOCTOR_FAIL,
			    "%s: the daemon's user %s cannot make it: %s belongs to %s, mode %04o",
			    s->path, name, dir, owner, st.st_mode & 07777);
	} else {
		return;
	}
	doctor_advise(d, "%s (a service file's RuntimeDirectory does it, too)", advice);
}

static void look_at_rights(struct doctor *d, const struct config_socket *s, const struct stat *st)
{
	const struct group *group = getgrnam(s->group);

	if (group && group->gr_gid != st->st_gid) {
		doctor_find(d, DOCTOR_WARN, "%s does not belong to the group %s", s->path,
			    s->group);
		doctor_advise(d, "restart the daemon, or: chgrp %s %s", s->group, s->path);
	}
	if ((st->st_mode & 0777) != s->mode) {
		doctor_find(d, DOCTOR_WARN, "%s has the mode %04o, the configuration says %04o",
			    s->path, st->st_mode & 0777, s->mode);
		doctor_advise(d, "restart the daemon, or: chmod %04o %s", s->mode, s->path);
	}
}

static void look_at_socket(struct doctor *d, const char *section, const struct config_socket *s)
{
	struct stat st;

	if (!s->path[0])
		return;
	if (s->group[0] && !getgrnam(s->group)) {
		doctor_find(d, DOCTOR_FAIL, "%s: there is no group \"%s\"", s->path, s->group);
		doctor_advise(d, "groupadd --system %s, or name another group in section %s",
			      s->group, section);
	}
	if (s->mode & S_IWOTH) {
		doctor_find(d, DOCTOR_WARN, "%s: its mode lets every user of this machine in",
			    s->path);
		doctor_advise(d, "set mode = \"0660\" in section %s", section);
	}
	look_at_directory(d, s);
	if (lstat(s->path, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		look_at_rights(d, s, &st);
		return;
	}
	doctor_find(d, DOCTOR_FAIL, "%s is there and no socket: secagreed will not start", s->path);
	doctor_advise(d, "remove it, or set another path in section %s", section);
}

void doctor_sockets(struct doctor *d)
{
	look_at_socket(d, "socket", &d->config.socket);
	look_at_socket(d, "monitor", &d->config.monitor);
	look_at_socket(d, "http", &d->config.http);
}

/* ---- privileges ---- */

bool doctor_is_net_admin(const char *who)
{
	unsigned long long effective;
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%s/status", who);
	return doctor_line(path, "CapEff:", text, sizeof(text)) == 0 &&
	       sscanf(text, "%llx", &effective) == 1 && effective >> CAP_NET_ADMIN & 1;
}

void doctor_capability(struct doctor *d)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)d->pid);
	if (d->pid && !doctor_is_net_admin(pid)) {
		doctor_find(d, DOCTOR_FAIL, "secagreed, process %s, has no CAP_NET_ADMIN", pid);
		doctor_advise(d, "give it the capability (systemd: "
				 "AmbientCapabilities=CAP_NET_ADMIN) and restart it");
	}
	if (doctor_is_net_admin("self"))
		return;
	doctor_find(d, geteuid() ? DOCTOR_WARN : DOCTOR_FAIL, "%s here has no CAP_NET_ADMIN",
		    geteuid() ? "whoever runs this" : "even root");
	doctor_advise(d, geteuid() ? "run this as root to see everything"
				   : "give it to this container or service, or secagreed will not "
				     "start here");
}

/* ---- limits ---- */

/* Beside its connections the daemon has other files open. */
#define OTHER_FILES 128

static void look_at_files(struct doctor *d)
{
	const unsigned doors = d->config.monitor.path[0] ? 2 : 1; /* each with so many */
	const unsigned long long wanted = doors * d->config.max_connections + OTHER_FILES;
	unsigned long long limit;
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)d->pid);
	if (!d->pid || doctor_line(path, "Max open files", text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu", &limit) != 1 || limit >= wanted)
		return;
	doctor_find(d, DOCTOR_WARN,
		    "secagreed may open %llu files, max-connections = %u wants %llu", limit,
		    d->config.max_connections, wanted);
	doctor_advise(d, "raise the limit (systemd: LimitNOFILE=%llu) or lower max-connections",
		      wanted);
}

/* Four SAs of 2.6 to 2.8 kB in the kernel, as measured, and the daemon's own part. */
#define SET_KIB 13

static void look_at_memory(struct doctor *d)
{
	const unsigned long long wanted_mib =
		(unsigned long long)d->config.max_sets * SET_KIB / 1024;
	unsigned long long total_kib;
	char text[64];

	if (doctor_line("/proc/meminfo", "MemTotal:", text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu", &total_kib) != 1 || wanted_mib <= total_kib / 1024 / 2)
		return;
	doctor_find(d, DOCTOR_WARN,
		    "max-sets = %u can take %llu MiB of memory, of %llu MiB in this machine",
		    d->config.max_sets, wanted_mib, total_kib / 1024);
	doctor_advise(d, "lower max-sets to %llu, or add memory", total_kib / 2 / SET_KIB);
}

void doctor_limits(struct doctor *d)
{
	look_at_files(d);
	look_at_memory(d);
}
