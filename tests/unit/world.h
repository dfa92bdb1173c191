/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A P-CSCF with one listener and empty tables over the fake kernel, store and clock, and a phone
 * that registers. For the tests of everything that works on sets. Include after cmocka.h.
 */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include "daemon/sa_table.h"
#include "tests/unit/fake_store.h"
#include "tests/unit/fake_timer.h"
#include "tests/unit/fake_xfrm.h"

#define WORLD_IMPI      "001010000000001@ims.example"
#define WORLD_EXPIRES_S 3600u

struct world {
	struct config config; /* listener 0: 192.0.2.1, 6100, 6104-6107, all else as by default */
	struct config_listener *listener;
	struct sa_table *table;
	struct refusal refusal; /* of the last call that was refused */
	size_t other_policies, other_timers; /* of no set: world_check() expects them */
};

extern struct world world;

/* cmocka's setup and teardown. The teardown fails when anything is left in the kernel. */
int world_start(void **state);
int world_stop(void **state);

/* A daemon that has just started over it. */
struct daemon;
struct daemon world_daemon(void);

/* The mechanisms of the listener, as in the configuration; NULL ends them. */
void world_mechanisms(const char *const *texts);

struct ip_addr world_ip(const char *text);

/* A header of a set; good until it has been asked for some others. */
const char *world_text(const struct packed *header);

/* What the phone at 198.51.100.7 asks for at its first registration: aes-gcm. */
struct sa_set_request world_request(void);

/* The same phone again: other SPIs and another client port, over @set (NULL: unprotected). */
struct sa_set_request world_request_again(const struct sa_set *set);

/* The same for RFC 3329: hmac-sha-1-96 and one pair of SAs. */
struct sa_set_request world_request_rfc3329(uint16_t port1, uint16_t port2);

/* Behind a NAT at 203.0.113.9: UDP-enc-tun. @phone tells several apart. */
struct sa_set_request world_request_nat(unsigned phone);

/* Must succeed. */
struct sa_set *world_create(const struct sa_set_request *request);
void world_confirm(struct sa_set *set);
struct sa_set *world_registered(void);                        /* CURRENT */
struct sa_set *world_registered_at(unsigned phone); /* one more, at 198.51.100.@phone */
struct sa_set *world_registered_nat(unsigned phone);
struct sa_set *world_reregistered(const struct sa_set *over); /* NEW, and @over OLD */

/* Must be refused for @reason, and leave nothing that was not there before. */
void world_assert_refused(const struct sa_set_request *request, enum reason reason);

/* Everything that is always true: kernel, store and tables agree, counts are right, no two sets share a
 * flow but where it is allowed. @exact_time: and the clock was not stepped. */
void world_check(bool exact_time);

size_t world_sets(void);
bool world_has(uint64_t id);

/* When the kernel would delete the SAs of @set, in seconds from now of the real clock. */
int64_t world_kernel_left_s(const struct sa_set *set);

#endif
