/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Literal IPv4 and IPv6 addresses.
 *
 * A struct ip_addr is plain data: it is copied, compared and stored by value and owns nothing. An
 * IPv4-mapped IPv6 address is the IPv4 address here, because the kernel sees such packets as IPv4
 * and an SA for the mapped form would never match one.
 *
 * Deliberately absent: names and DNS, scope ids (a link-local phone cannot be routed to), prefixes.
 */
#include "xfrm/xfrm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static void ip_set(struct ip_addr *ip, int family, const void *bytes, size_t n)
{
	*ip = (struct ip_addr){.family = family};
	memcpy(ip->bytes, bytes, n);
}

/* RFC 3986 3.2.2: only IPv6 literals stand in brackets. */
static int strip_brackets(const char *text, char buf[static IP_TEXT_BYTES], bool *ret_brackets)
{
	size_t n = strlen(text);
	bool brackets = text[0] == '[';

	if (brackets) {
		if (n < 2 || text[n - 1] != ']')
			return -EINVAL;
		text++;
		n -= 2;
	}
	if (n >= IP_TEXT_BYTES)
		return -EINVAL;
	memcpy(buf, text, n);
	buf[n] = '\0';
	*ret_brackets = brackets;
	return 0;
}

int ip_parse(const char *text, struct ip_addr *ret)
{
	char buf[IP_TEXT_BYTES];
	struct in6_addr in6;
	struct in_addr in;
	bool brackets;

	if (strip_brackets(text, buf, &brackets))
		return -EINVAL;
	if (!brackets && inet_pton(AF_INET, buf, &in) == 1) {
		ip_set(ret, AF_INET, &in, sizeof(in));
		return 0;
	}
	if (inet_pton(AF_INET6, buf, &in6) != 1)
		return -EINVAL;
	if (IN6_IS_ADDR_V4MAPPED(&in6))
		ip_set(ret, AF_INET, &in6.s6_addr[12], 4);
	else
		ip_set(ret, AF_INET6, &in6, sizeof(in6));
	return 0;
}

/* As inet_ntop(), which is one printf() for each octet. */
static void format_v4(const uint8_t *octets, char *to)
{
	for (size_t i = 0; i < 4; i++) {
		const uint8_t octet = octets[i];

		if (octet >= 100)
			*to++ = (char)('0' + octet / 100);
		if (octet >= 10)
			*to++ = (char)('0' + octet / 10 % 10);
		*to++ = (char)('0' + octet % 10);
		*to++ = i < 3 ? '.' : '\0';
	}
}

const char *ip_format(const struct ip_addr *ip, char buf[static IP_TEXT_BYTES])
{
	if (ip->family == AF_INET)
		format_v4(ip->bytes, buf);
	else if (!ip_bytes(ip) || !inet_ntop(ip->family, ip->bytes, buf, IP_TEXT_BYTES))
		memcpy(buf, "any", sizeof("any"));
	return buf;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, ip_bytes(a));
}

size_t ip_bytes(const struct ip_addr *ip)
{
	if (ip->family == AF_INET)
		return 4;
	return ip->family == AF_INET6 ? 16 : 0;
}

bool xfrm_sel_equal(const struct xfrm_sel *a, const struct xfrm_sel *b)
{
	return a->family == b->family && ip_equal(&a->src, &b->src) && ip_equal(&a->dst, &b->dst) &&
	       a->sport == b->sport && a->sport_mask == b->sport_mask && a->dport == b->dport &&
	       a->dport_mask == b->dport_mask && a->proto == b->proto;
}

socklen_t ip_sockaddr(const struct ip_addr *ip, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)ip->family;
	if (ip->family == AF_INET) {
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->bytes, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}
