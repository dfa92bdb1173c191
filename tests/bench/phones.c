/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Phones by number, and what all programs here report alike.
 *
 * "Random" is a bijection of the number, so that no two phones get the same address and no two SPIs
 * at one address are equal, and each run is the same run.
 */
#include "tests/bench/phones.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAT_ADDRESS 0xcb007109u /* 203.0.113.9 */
#define TEN         0x0a000000u /* 10.0.0.0 */
#define BITS_24     0xffffffu

static const uint8_t CK[KEYMAT_AKA_BYTES] = {0xb4, 0x0b, 0xa9, 0xa3, 0xc5, 0x8b, 0x2a, 0x05,
					     0xbb, 0xf0, 0xd9, 0x87, 0xb2, 0x1b, 0xf8, 0xcb};
static const uint8_t IK[KEYMAT_AKA_BYTES] = {0xf7, 0x69, 0xbc, 0xd7, 0x51, 0x04, 0x46, 0x04,
					     0x12, 0x76, 0x72, 0x71, 0x1c, 0x6d, 0x34, 0x41};

/* Multiplying by an odd number and folding the upper bits down can both be undone. */
static uint32_t mix_32(uint32_t n)
{
	n = (n ^ n >> 16) * 0x85ebca6bu;
	n = (n ^ n >> 13) * 0xc2b2ae35u;
	return n ^ n >> 16;
}

static uint32_t mix_24(uint32_t n)
{
	n = (n ^ n >> 12) * 0x5bca6bu & BITS_24;
	n = (n ^ n >> 11) * 0xb2ae35u & BITS_24;
	return n ^ n >> 12;
}

static struct ip_addr ipv4(uint32_t host)
{
	return (struct ip_addr){.family = AF_INET,
				.bytes = {(uint8_t)(host >> 24), (uint8_t)(host >> 16),
					  (uint8_t)(host >> 8), (uint8_t)host}};
}

int phone_addresses_parse(const char *word, enum phone_addresses *ret)
{
	static const char *const WORDS[] = {"counting", "random", "nat"};

	for (size_t i = 0; i < 3; i++) {
		if (!strcmp(word, WORDS[i])) {
			*ret = (enum phone_addresses)i;
			return 0;
		}
	}
	return -EINVAL;
}

static struct ip_addr address_of(enum phone_addresses how, uint32_t n)
{
	switch (how) {
	case PHONES_COUNTING:
		return ipv4(TEN + 1 + n);
	case PHONES_RANDOM:
		return ipv4(TEN + mix_24(n + 1));
	case PHONES_NAT:
		break;
	}
	return ipv4(NAT_ADDRESS);
}

/* The numbers of phones have 24 bits at most, their SPIs 26. */
static uint32_t spi_of(const struct phones *how, uint32_t n)
{
	const uint32_t counted = n + (how->generation << 26);
	const uint32_t spi = how->counting_spis ? 4096 + counted : mix_32(counted + 1);

	return spi < 256 ? spi + 0x10000 : spi;
}

struct phone phone_make(const struct phones *how, uint32_t n)
{
	const uint32_t shift = how->addresses == PHONES_NAT ? 2 * (n % 29000) : 2 * how->generation;

	return (struct phone){
		.address = address_of(how->addresses, n),
		.ue = {.dialect = IPSEC_DIALECT_24229,
		       .spi_c = spi_of(how, 4 * n),
		       .spi_s = spi_of(how, 4 * n + 1),
		       .port_c = (uint16_t)(7001 + shift),
		       .port_s = (uint16_t)(7000 + shift)},
		.pcscf = {.dialect = IPSEC_DIALECT_24229,
			  .spi_c = spi_of(how, 4 * n + 2),
			  .spi_s = spi_of(how, 4 * n + 3),
			  .port_c = BENCH_CLIENT_PORT_FIRST,
			  .port_s = BENCH_SERVER_PORT},
	};
}

struct config_listener bench_listener(void)
{
	struct config_listener listener;

	config_listener_default(&listener);
	ip_parse(BENCH_PCSCF, &listener.address);
	listener.server_port = BENCH_SERVER_PORT;
	listener.client_port_first = BENCH_CLIENT_PORT_FIRST;
	listener.client_port_last = BENCH_CLIENT_PORT_LAST;
	return listener;
}

void phone_plan(const struct phone *phone, const struct config_listener *listener,
		struct plan *ret)
{
	const bool nat = phone->address.bytes[0] == NAT_ADDRESS >> 24;
	const struct plan_input input = {
		.listener = listener,
		.suite = {IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP,
			  nat ? IPSEC_MOD_UDP_ENC_TUN : IPSEC_MOD_TRANS},
		.ue = phone->ue,
		.pcscf = phone->pcscf,
		.ue_address = phone->address,
		.reqid = nat ? listener->reqid << 16 | (uint16_t)phone->pcscf.spi_c
			     : listener->reqid,
		.hard_s = 250,
	};
	struct keymat keymat;

	if (keymat_expand(&input.suite, CK, IK, &keymat) < 0)
		die("keys cannot be made");
	plan_set(&input, &keymat, ret);
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(const uint64_t *sorted, size_t count, double part)
{
	const size_t i = (size_t)(part * (double)count);

	return (double)sorted[i < count ? i : count - 1] / 1000;
}

void report(const char *what, size_t count, double seconds, uint64_t *latency_ns)
{
	printf("{\"what\":\"%s\",\"count\":%zu,\"seconds\":%.6f", what, count, seconds);
	if (latency_ns && count) {
		qsort(latency_ns, count, sizeof(*latency_ns), compare);
		printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f",
		       percentile_us(latency_ns, count, 0.5),
		       percentile_us(latency_ns, count, 0.99),
		       percentile_us(latency_ns, count, 0.999),
		       percentile_us(latency_ns, count, 1));
	}
	puts("}");
	fflush(stdout);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}
