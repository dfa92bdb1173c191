/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All sets, and the ways to find one: by id, by the flow of a message, by contact, by the phone's
 * address, by our SPI. Every look-up is one hash; none walks the sets.
 */
#ifndef DAEMON_SA_TABLE_H
#define DAEMON_SA_TABLE_H

#include "daemon/drops.h"
#include "daemon/sa_set.h"

/* What makes a set yield to another. */
enum sa_limit {
	SA_LIMIT_SETS,
	SA_LIMIT_ADDRESS,
	SA_LIMIT_IMPI,
	SA_LIMIT_PORT,
	SA_LIMITS,
};

struct sa_table {
	struct xfrm *xfrm;
	struct spi_pool *spis;
	struct store *store; /* NULL: nothing outlives the daemon */
	uint32_t max_sets, max_sets_per_impi, max_sets_per_address;
	struct sa_set *sets; /* in the order of creation */
	struct sa_set *yielding; /* the oldest first */
	uint64_t yielded[SA_LIMITS];
	struct sa_flow *flows;
	struct sa_identity *identities;
	struct sa_contact *contacts;
	struct sa_peer *peers;
	uint64_t last_serial;
	uint64_t count[SA_SET_GONE]; /* by state */
	uint64_t changes[SA_SET_GONE][SA_SET_GONE + 1]; /* from state to state, so far */
	struct drops drops;
	void (*gone)(const struct sa_set *set, void *arg); /* called for each that goes; or NULL */
	void *gone_arg;
};

/* @xfrm is borrowed. No limit but @max_sets. Returns NULL when memory is short. */
struct sa_table *sa_table_new(struct xfrm *xfrm, uint32_t max_sets);

/* The limits are those of @config from now on. What is above them stays. */
void sa_table_limit(struct sa_table *table, const struct config *config);

/* "sets", "address", "impi", "port" */
const char *sa_limit_word(enum sa_limit limit);

/* Drop every set, from the kernel and from the store. */
void sa_table_drop_all(struct sa_table *table, const char *why);

/* Free it with its sets. What the kernel and the store have of them stays. */
void sa_table_free(struct sa_table *table);

/* Enter @set, whose fields are complete; @contact_key and its IMPI are copied. It gets an id and a
 * serial, unless it has them from an earlier run. Returns 0, -ENOMEM, -EEXIST (another has that id); then it is in no
 * table. */
int sa_table_add(struct sa_table *table, struct sa_set *set, const char *contact_key);
void sa_table_remove(struct sa_set *set);

/* It is confirmed, and yields no more. */
void sa_table_confirm(struct sa_set *set);

/* How many sets there are of @impi, or at @address. */
unsigned sa_table_count_of(const struct sa_table *table, const char *impi);
unsigned sa_table_count_at(const struct sa_table *table, const struct ip_addr *address);

/* The oldest set of @impi, or at @address, that yields, or NULL. The first walks the sets of the IMPI,
 * which max-sets-per-impi bounds. */
struct sa_set *sa_table_yielding_of(const struct sa_table *table, const char *impi);
struct sa_set *sa_table_yielding_at(const struct sa_table *table, const struct ip_addr *address);

struct sa_set *sa_table_by_id(const struct sa_table *table, uint64_t id);

/* By one of our SPIs. */
struct sa_set *sa_table_by_spi(const struct sa_table *table, uint32_t spi);

struct sa_identity *sa_table_identity(const struct sa_table *table, const char *impi);
struct sa_contact *sa_table_contact(const struct sa_table *table, const char *key);

/* The phone, or all those behind one NAT, at @address; NULL: none is. */
struct sa_peer *sa_table_peer(const struct sa_table *table, const struct ip_addr *address);

/* What names a contact, to be freed; NULL when memory is short. @name ("" = none) tells those at one
 * address apart. The address is always part of it, so that nobody who knows the name of another
 * phone's contact gets in the way of its registration. */
char *sa_contact_key(const char *impi, const struct ip_addr *address, const char *name);
const char *sa_contact_name(const struct sa_contact *contact);

/* The sets on one flow, newest first; exact port first, then sets that take any port. NULL: none. */
const struct sa_flow *sa_table_flow(const struct sa_table *table, const struct ip_addr *local,
				    uint16_t local_port, const struct ip_addr *remote,
				    uint16_t remote_port);

/* The contact whose protected server port (port_us, port1) is @remote_port at @remote, or NULL: one
 * look-up for each client port of the listeners of @config. */
struct sa_contact *sa_table_contact_at(const struct sa_table *table, const struct config *config,
				       const struct ip_addr *remote, uint16_t remote_port);

/* Choose the protected client port of a new set: in turn, never one that a living set of this phone
 * uses, never the phone's own port_us as a number. @ue: as offered. With @nat the phone's port_us
 * must not be in use by another contact at that address (TS 33.203 M.7.1 rule 3).
 * Returns 0, -ENOSPC (all in use), -EEXIST (@nat: port_us is in use). */
int sa_table_take_port(struct sa_table *table, const struct config_listener *listener,
		       const struct ip_addr *ue_address, const struct ipsec_endpoint *ue, bool nat,
		       const char *contact_key, uint16_t *ret_port);

/* Of the sets that keep sa_table_take_port() from a port, the oldest that yields, or NULL. */
struct sa_set *sa_table_yielding_port(const struct sa_table *table,
				      const struct config_listener *listener,
				      const struct ip_addr *ue_address,
				      const struct ipsec_endpoint *ue);

/* The set of a contact that a request to the phone goes over now, or NULL. TS 33.203 7.4.2a. */
struct sa_set *sa_contact_downlink(const struct sa_contact *contact);

struct sa_set *sa_contact_in_state(const struct sa_contact *contact, enum sa_set_state state);

#endif
