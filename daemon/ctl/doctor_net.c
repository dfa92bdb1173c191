/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: addresses of listeners, and sysctls that switch the guards off.
 *
 * disable_policy lets clear text in where the guards would drop it, disable_xfrm lets it out. For
 * IPv4 the device that a packet arrives by or leaves by counts, for IPv6 (disable_policy alone) the
 * one with the address. "all" stands for every device, "default" for those to come.
 */
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "daemon/ctl/doctor.h"

/* ---- addresses ---- */

static bool is_at(const struct ifaddrs *one, const struct ip_addr *ip)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)one->ifa_addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)one->ifa_addr;

	if (!one->ifa_addr || one->ifa_addr->sa_family != ip->family)
		return false;
	return memcmp(ip->bytes,
		      ip->family == AF_INET ? (const void *)&v4->sin_addr
					    : (const void *)&v6->sin6_addr,
		      ip_bytes(ip)) == 0;
}

/* The device that has the address, and its IFF_* flags. */
static int device_of(const struct ip_addr *ip, char ret_name[static IF_NAMESIZE],
		     unsigned *ret_flags)
{
	struct ifaddrs *list, *one;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (one = list; one && !is_at(one, ip); one = one->ifa_next)
		;
	if (one) {
		snprintf(ret_name, IF_NAMESIZE, "%s", one->ifa_name);
		*ret_flags = one->ifa_flags;
	}
	freeifaddrs(list);
	return one ? 0 : -ENODEV;
}

static void look_at_address(struct doctor *d, const struct config_listener *l)
{
	char name[IF_NAMESIZE], ip[IP_TEXT_BYTES];
	unsigned flags;

	ip_format(&l->address, ip);
	if (device_of(&l->address, name, &flags) < 0) {
		doctor_find(d, DOCTOR_FAIL, "%s: no interface has the address %s", l->name, ip);
		doctor_advise(d,
			      "correct it, or give it to an interface (ip address add); one that "
			      "moves between machines may be on the other one now");
	} else if (!(flags & IFF_UP)) {
		doctor_find(d, DOCTOR_FAIL, "%s: %s has the address %s and is down", l->name, name,
			    ip);
		doctor_advise(d, "ip link set %s up", name);
	} else if (!(flags & IFF_RUNNING)) {
		doctor_find(d, DOCTOR_WARN, "%s: %s has the address %s and no carrier", l->name,
			    name, ip);
		doctor_advise(d, "look at its cable, or the other end");
	}
}

void doctor_addresses(struct doctor *d)
{
	for (size_t i = 0; i < d->config.listener_count; i++)
		look_at_address(d, &d->config.listeners[i]);
}

/* ---- sysctls ---- */

static const struct leak {
	int family;
	const char *directory, *name;
	const char *what;
	bool at_loopback; /* matters there */
} LEAKS[] = {
	{AF_INET, "ipv4", "disable_policy", "clear text is let in to the protected ports", true},
	{AF_INET, "ipv4", "disable_xfrm", "what is sent to phones leaves in clear", false},
	{AF_INET6, "ipv6", "disable_policy", "clear text is let in to the protected ports", true},
};

static bool serves_family(const struct doctor *d, int family)
{
	for (size_t i = 0; i < d->config.listener_count; i++)
		if (d->config.listeners[i].address.family == family)
			return true;
	return false;
}

static bool has_listener(const struct doctor *d, const char *device)
{
	char name[IF_NAMESIZE];
	unsigned flags;

	for (size_t i = 0; i < d->config.listener_count; i++)
		if (device_of(&d->config.listeners[i].address, name, &flags) == 0 &&
		    strcmp(name, device) == 0)
			return true;
	return false;
}

/* As sysctl(8) wants it: a dot within a device's name is a slash. */
static void name_of(const struct leak *leak, const char *device, char *buf, size_t cap)
{
	char text[IF_NAMESIZE];

	snprintf(text, sizeof(text), "%.*s", IF_NAMESIZE - 1, device);
	for (char *p = text; *p; p++)
		if (*p == '.')
			*p = '/';
	snprintf(buf, cap, "net.%s.conf.%s.%s", leak->directory, text, leak->name);
}

static void report_leak(struct doctor *d, const struct leak *leak, const char *device)
{
	char name[128];

	name_of(leak, device, name, sizeof(name));
	if (strcmp(device, "lo") == 0) {
		if (!leak->at_loopback)
			return;
		doctor_find(d, DOCTOR_WARN,
			    "%s=1: programs of this machine reach the protected ports in clear",
			    name);
	} else if (strcmp(device, "default") == 0) {
		doctor_find(d, DOCTOR_WARN, "%s=1: on interfaces to come, %s", name, leak->what);
	} else if (strcmp(device, "all") == 0 || has_listener(d, device)) {
		doctor_find(d, DOCTOR_FAIL, "%s=1: %s", name, leak->what);
	} else {
		doctor_find(d, DOCTOR_WARN, "%s=1: on this interface, %s", name, leak->what);
	}
	doctor_advise(d, "sysctl -w %s=0, and in /etc/sysctl.d so that it stays", name);
}

static void look_for_leak(struct doctor *d, const struct leak *leak)
{
	char path[512];
	const struct dirent *entry;
	unsigned long long value;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf", leak->directory);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", leak->directory,
			 entry->d_name, leak->name);
		if (entry->d_name[0] != '.' && doctor_number(path, &value) == 0 && value)
			report_leak(d, leak, entry->d_name);
	}
	if (dir)
		closedir(dir);
}

void doctor_sysctls(struct doctor *d)
{
	unsigned long long drop;

	for (size_t i = 0; i < sizeof(LEAKS) / sizeof(LEAKS[0]); i++)
		if (serves_family(d, LEAKS[i].family))
			look_for_leak(d, &LEAKS[i]);
	if (doctor_number("/proc/sys/net/core/xfrm_larval_drop", &drop) < 0 || drop)
		return;
	doctor_find(d, DOCTOR_WARN,
		    "net.core.xfrm_larval_drop=0: packets to a phone without SAs wait, "
		    "and those to other phones behind them");
	doctor_advise(d, "sysctl -w net.core.xfrm_larval_drop=1");
}
