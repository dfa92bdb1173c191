/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phones of a benchmark: number n always has the same address, SPIs and ports, so that several
 * programs can speak of the same ones without a word between them.
 */
#ifndef TESTS_BENCH_PHONES_H
#define TESTS_BENCH_PHONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"
#include "daemon/plan.h"

/* The P-CSCF of all benchmarks; the configuration that the driver writes says the same. */
#define BENCH_PCSCF             "192.0.2.1"
#define BENCH_SERVER_PORT       6100
#define BENCH_CLIENT_PORT_FIRST 6104
#define BENCH_CLIENT_PORT_LAST  6107

enum phone_addresses {
	PHONES_COUNTING, /* 10.0.0.1 and up */
	PHONES_RANDOM,   /* all over 10.0.0.0/8 */
	PHONES_NAT,      /* one address for all; their ports differ */
};

struct phone {
	struct ip_addr address;
	struct ipsec_endpoint ue, pcscf; /* pcscf: as the daemon answered, or as we choose */
	uint64_t set;                    /* the daemon's name for it; 0 = none */
};

/* How they are made. */
struct phones {
	enum phone_addresses addresses;
	bool counting_spis;  /* the phone's and ours; else all over 32 bits */
	uint32_t generation; /* 1, 2...: the same phones register anew, with other SPIs and ports */
};

/* "counting", "random" or "nat"; -EINVAL. */
int phone_addresses_parse(const char *word, enum phone_addresses *ret);

/* Number @n, with a P-CSCF's half of our own choice. */
struct phone phone_make(const struct phones *how, uint32_t n);

/* What the daemon's configuration file says, as a structure. */
struct config_listener bench_listener(void);

/* The SAs of @phone, as the daemon would have them made. */
void phone_plan(const struct phone *phone, const struct config_listener *listener,
		struct plan *ret);

/* One line of JSON for the driver: how long @count took, and what each of them took.
 * @latency_ns is sorted; NULL: not known. */
void report(const char *what, size_t count, double seconds, uint64_t *latency_ns);

uint64_t now_ns(void);

/* Says it on standard error and ends the program: these are tools, not the product. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

#endif
