/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which SPIs of ours are in use, and for what. RFC 4301 4.4.2.1, TS 33.203 7.1.
 *
 * SPIs are random over all of 256..2^32-1: the kernel's SPI hash has no other entropy, and nobody
 * can guess them. A freed one rests for SPI_QUARANTINE_MS before it is used again, so that packets
 * still under way never meet a new set.
 */
#ifndef DAEMON_SPI_H
#define DAEMON_SPI_H

#include <stddef.h>
#include <stdint.h>

#define SPI_MIN           256u
#define SPI_QUARANTINE_MS 120000u

struct spi_pool;

struct spi_pool *spi_pool_new(void);
void spi_pool_free(struct spi_pool *pool);

/* Take an SPI that is neither in use nor resting nor one of @avoid (TS 33.203 7.1: ours differ from
 * both of the phone's, or a packet could be reflected). @owner comes back from spi_owner().
 * Returns 0, -ENOSPC (no free one was found), -ENOMEM. */
int spi_take(struct spi_pool *pool, const uint32_t *avoid, size_t avoid_count, void *owner,
	     uint32_t *ret_spi);

/* Take this one, which an earlier run took. Returns 0, -EEXIST (in use or resting), -ENOMEM. */
int spi_claim(struct spi_pool *pool, uint32_t spi, void *owner);
void spi_release(struct spi_pool *pool, uint32_t spi);

/* NULL when it is not in use. */
void *spi_owner(const struct spi_pool *pool, uint32_t spi);

#endif
