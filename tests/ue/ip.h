/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IP addresses of both families, and their three shapes: text, octets, struct sockaddr.
 */
#ifndef UE_IP_H
#define UE_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define IP_TEXT_BYTES (INET6_ADDRSTRLEN + 2) /* with brackets */

struct ip {
	int family; /* AF_INET, AF_INET6; 0 = none */
	uint8_t octets[16];
};

size_t ip_bytes(const struct ip *ip);
bool ip_equal(const struct ip *a, const struct ip *b);

/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]". Returns 0 or -EINVAL. */
int ip_parse(const char *text, struct ip *ret);

/* The same with ":port" behind an IPv4 address or a bracketed IPv6 address; without it *@ret_port
 * is untouched. */
int ip_parse_with_port(const char *text, struct ip *ret, uint16_t *ret_port);

/* As SIP writes it: IPv6 in brackets. Returns @buf. */
const char *ip_text(const struct ip *ip, char buf[IP_TEXT_BYTES]);

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *ret);
void ip_from_sockaddr(const struct sockaddr_storage *ss, struct ip *ret_ip, uint16_t *ret_port);

/* The address that this host uses towards @peer. Returns 0 or -errno. */
int ip_local_for(const struct ip *peer, struct ip *ret);

#endif
