/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IP addresses for the phone: reading, writing, comparing. Names are not resolved, and addresses
 * with a scope (fe80::1%eth0) are not known: an SA could not hold the scope either.
 */
#include "tests/ue/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t ip_bytes(const struct ip *ip)
{
	return ip->family == AF_INET6 ? 16 : 4;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->octets, b->octets, ip_bytes(a)) == 0;
}

static int parse_bare(const char *text, struct ip *ret)
{
	struct ip ip = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(ip.family, text, ip.octets) != 1)
		return -EINVAL;
	*ret = ip;
	return 0;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	char *end;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end || port < 1 || port > 65535)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

int ip_parse_with_port(const char *text, struct ip *ret, uint16_t *ret_port)
{
	char host[IP_TEXT_BYTES];
	bool bracket = *text == '[';
	const char *host_start = text + bracket;
	const char *host_end = bracket ? strchr(text, ']') : strchrnul(text, ':');
	const char *rest;
	struct ip ip;
	size_t n;

	if (!bracket && strchr(text, ':') != strrchr(text, ':'))
		host_end = text + strlen(text);
	if (!host_end)
		return -EINVAL;
	n = (size_t)(host_end - host_start);
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, host_start, n);
	host[n] = '\0';
	rest = host_end + bracket;
	if (parse_bare(host, &ip) < 0 || (bracket && ip.family != AF_INET6))
		return -EINVAL;
	if (*rest && (*rest != ':' || parse_port(rest + 1, ret_port) < 0))
		return -EINVAL;
	*ret = ip;
	return 0;
}

int ip_parse(const char *text, struct ip *ret)
{
	uint16_t port = 0;
	struct ip ip;

	if (ip_parse_with_port(text, &ip, &port) < 0 || port != 0)
		return -EINVAL;
	*ret = ip;
	return 0;
}

const char *ip_text(const struct ip *ip, char buf[IP_TEXT_BYTES])
{
	char bare[INET6_ADDRSTRLEN] = "-";

	if (ip->family)
		inet_ntop(ip->family, ip->octets, bare, sizeof(bare));
	if (ip->family == AF_INET6)
		snprintf(buf, IP_TEXT_BYTES, "[%s]", bare);
	else
		snprintf(buf, IP_TEXT_BYTES, "%s", bare);
	return buf;
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)ip->family;
	if (ip->family == AF_INET6) {
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, ip->octets, 16);
		return sizeof(*in6);
	}
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, ip->octets, 4);
	return sizeof(*in);
}

void ip_from_sockaddr(const struct sockaddr_storage *ss, struct ip *ret_ip, uint16_t *ret_port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	memset(ret_ip, 0, sizeof(*ret_ip));
	ret_ip->family = ss->ss_family;
	if (ss->ss_family == AF_INET6) {
		memcpy(ret_ip->octets, &in6->sin6_addr, 16);
		*ret_port = ntohs(in6->sin6_port);
	} else {
		memcpy(ret_ip->octets, &in->sin_addr, 4);
		*ret_port = ntohs(in->sin_port);
	}
}

int ip_local_for(const struct ip *peer, struct ip *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(peer, 9, &ss);
	uint16_t port;
	int fd = socket(peer->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	/* connecting a UDP socket sends nothing, it asks the routing table */
	if (connect(fd, (struct sockaddr *)&ss, len) < 0)
		r = -errno;
	len = sizeof(ss);
	if (r == 0 && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		r = -errno;
	if (r == 0)
		ip_from_sockaddr(&ss, ret, &port);
	close(fd);
	return r;
}
