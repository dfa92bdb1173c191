/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ESP in UDP for a phone behind a NAT (TS 33.203 Annex M). The kernel does the work as long as a
 * socket with UDP_ENCAP is open on the port; all that is left here is to keep it open, to empty it,
 * and to keep the NAT's mapping alive with one octet every 20 seconds (RFC 3948 4).
 */
#include "tests/ue/encap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/udp.h>

#include "tests/ue/event.h"

#define KEEPALIVE_MS 20000

void encap_init(struct encap *encap)
{
	memset(encap, 0, sizeof(*encap));
	encap->fd = -1;
}

int encap_open(struct encap *encap, const struct ip *local, const struct ip *peer, uint16_t port)
{
	const int type = UDP_ENCAP_ESPINUDP;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(local, port, &ss);
	int fd = socket(local->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 ||
	    setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*encap = (struct encap){fd, *peer, port, clock_ms() + KEEPALIVE_MS};
	return 0;
}

void encap_close(struct encap *encap)
{
	if (encap->fd >= 0)
		close(encap->fd);
	encap_init(encap);
}

void encap_drain(const struct encap *encap)
{
	char buf[64];

	while (recv(encap->fd, buf, sizeof(buf), 0) >= 0)
		;
}

int64_t encap_next_ms(const struct encap *encap)
{
	return encap->fd < 0 ? INT64_MAX : encap->keepalive_ms;
}

void encap_tick(struct encap *encap, int64_t now_ms)
{
	struct sockaddr_storage ss;
	socklen_t len;

	if (now_ms < encap_next_ms(encap))
		return;
	len = ip_to_sockaddr(&encap->peer, encap->port, &ss);
	/* a lost one does not matter */
	sendto(encap->fd, "\xff", 1, 0, (struct sockaddr *)&ss, len);
	encap->keepalive_ms = now_ms + KEEPALIVE_MS;
}
