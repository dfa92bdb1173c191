/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UDP socket that lets the kernel take ESP out of UDP: RFC 3948.
 */
#ifndef UE_ENCAP_H
#define UE_ENCAP_H

#include "tests/ue/ip.h"

struct encap {
	int fd; /* -1 = closed */
	struct ip peer;
	uint16_t port;
	int64_t keepalive_ms; /* when the next one is due */
};

void encap_init(struct encap *encap);

/* Returns 0 or -errno. */
int encap_open(struct encap *encap, const struct ip *local, const struct ip *peer, uint16_t port);
void encap_close(struct encap *encap);

/* Throw away what the kernel did not take (it is not ESP). */
void encap_drain(const struct encap *encap);

int64_t encap_next_ms(const struct encap *encap);
void encap_tick(struct encap *encap, int64_t now_ms);

#endif
