/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of sa_table.h, over uthash. A set embeds its handles; a contact and a peer live as long
 * as they have sets. Several sets may share a flow: a phone that lost its state comes back with the
 * ports of a living set. They are chained, newest first.
 */
#include "daemon/sa_table.h"
#include "daemon/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sa_table *sa_table_new(struct xfrm *xfrm, uint32_t max_sets)
{
	struct sa_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->xfrm = xfrm;
	table->max_sets = max_sets;
	table->max_sets_per_impi = table->max_sets_per_address = UINT32_MAX;
	table->spis = spi_pool_new();
	if (!table->spis) {
		free(table);
		return NULL;
	}
	return table;
}

void sa_table_limit(struct sa_table *table, const struct config *config)
{
	table->max_sets = config->max_sets;
	table->max_sets_per_impi = config->max_sets_per_impi;
	table->max_sets_per_address = config->max_sets_per_address;
}

const char *sa_limit_word(enum sa_limit limit)
{
	static const char *const WORDS[SA_LIMITS] = {
		[SA_LIMIT_SETS] = "sets",
		[SA_LIMIT_ADDRESS] = "address",
		[SA_LIMIT_IMPI] = "impi",
		[SA_LIMIT_PORT] = "port",
	};

	return WORDS[limit];
}

void sa_table_drop_all(struct sa_table *table, const char *why)
{
	struct sa_set *set, *next;

	HASH_ITER(hh, table->sets, set, next)
		sa_set_drop(set, why);
}

void sa_table_free(struct sa_table *table)
{
	struct sa_set *set, *next;

	if (!table)
		return;
	HASH_ITER(hh, table->sets, set, next)
		sa_set_leave(set);
	spi_pool_free(table->spis);
	free(table);
}

/* ---- flows ---- */

static struct sa_flow_key flow_key(const struct ip_addr *local, uint16_t local_port,
				   const struct ip_addr *remote, uint16_t remote_port)
{
	struct sa_flow_key key = {
		.local_port = local_port,
		.remote_port = remote_port,
		.family = (uint32_t)local->family,
	};

	memcpy(key.local, local->bytes, sizeof(key.local));
	memcpy(key.remote, remote->bytes, sizeof(key.remote));
	return key;
}

static struct sa_flow *find_flow(const struct sa_table *table, const struct sa_flow_key *key)
{
	struct sa_flow *flow;

	HASH_FIND(hh, table->flows, key, sizeof(*key), flow);
	return flow;
}

const struct sa_flow *sa_table_flow(const struct sa_table *table, const struct ip_addr *local,
				    uint16_t local_port, const struct ip_addr *remote,
				    uint16_t remote_port)
{
	struct sa_flow_key key = flow_key(local, local_port, remote, remote_port);
	const struct sa_flow *flow = find_flow(table, &key);

	if (flow)
		return flow;
	key.remote_port = 0;
	return find_flow(table, &key);
}

static int add_flow(struct sa_table *table, struct sa_flow *flow)
{
	struct sa_flow *head = find_flow(table, &flow->key);

	if (head)
		HASH_DEL(table->flows, head);
	flow->next = head;
	HASH_ADD(hh, table->flows, key, sizeof(flow->key), flow);
	if (flow->hh.tbl)
		return 0;
	if (head)
		HASH_ADD(hh, table->flows, key, sizeof(head->key), head);
	return -ENOMEM;
}

static void remove_flow(struct sa_table *table, struct sa_flow *flow)
{
	struct sa_flow *head = find_flow(table, &flow->key);

	if (head == flow) {
		HASH_DEL(table->flows, flow);
		if (flow->next)
			HASH_ADD(hh, table->flows, key, sizeof(flow->key), flow->next);
		return;
	}
	if (head) /* else memory was short when it was to become the head */
		LL_DELETE(head, flow);
}

/* Returns how many. */
static size_t flow_keys(const struct sa_set *set, struct sa_flow_key ret[SA_SET_MAX_FLOWS])
{
	const struct ip_addr *local = &set->listener->address;
	const struct ip_addr *remote = &set->ue_address;
	const struct ipsec_endpoint *ue = &set->ue, *pcscf = &set->pcscf;

	if (ue->dialect == IPSEC_DIALECT_RFC3329) {
		ret[0] = flow_key(local, pcscf->port1, remote,
				  ue->port1 == ue->port2 ? ue->port1 : 0);
		return 1;
	}
	ret[0] = flow_key(local, pcscf->port_s, remote, ue->port_c);
	ret[1] = flow_key(local, pcscf->port_c, remote, ue->port_s);
	if (!plan_is_relaxed(set->listener, &set->suite) || ue->port_c == ue->port_s)
		return 2;
	ret[2] = flow_key(local, pcscf->port_c, remote, ue->port_c);
	ret[3] = flow_key(local, pcscf->port_s, remote, ue->port_s);
	return 4;
}

static void remove_flows(struct sa_set *set, size_t count)
{
	while (count--)
		remove_flow(set->table, &set->flows[count]);
	free(set->flows);
	set->flows = NULL;
	set->flow_count = 0;
}

static int add_flows(struct sa_set *set)
{
	struct sa_flow_key keys[SA_SET_MAX_FLOWS];
	const size_t count = flow_keys(set, keys);

	set->flows = calloc(count, sizeof(*set->flows));
	if (!set->flows)
		return -ENOMEM;
	set->flow_count = count;
	for (size_t i = 0; i < count; i++) {
		set->flows[i].key = keys[i];
		set->flows[i].set = set;
		if (add_flow(set->table, &set->flows[i]) < 0) {
			remove_flows(set, i);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- contacts and peers ---- */

char *sa_contact_key(const char *impi, const struct ip_addr *address, const char *name)
{
	char ip[IP_TEXT_BYTES], *key;

	if (asprintf(&key, "%s\n%s%s%s", impi, ip_format(address, ip), name[0] ? " " : "", name) < 0)
		return NULL;
	return key;
}

const char *sa_contact_name(const struct sa_contact *contact)
{
	const char *space = strchr(strrchr(contact->key, '\n'), ' ');

	return space ? space + 1 : "";
}

struct sa_contact *sa_table_contact(const struct sa_table *table, const char *key)
{
	struct sa_contact *contact;

	HASH_FIND(hh, table->contacts, key, (unsigned)strlen(key), contact);
	return contact;
}

struct sa_identity *sa_table_identity(const struct sa_table *table, const char *impi)
{
	struct sa_identity *identity;

	HASH_FIND(hh, table->identities, impi, (unsigned)strlen(impi), identity);
	return identity;
}

static struct sa_identity *identity_need(struct sa_table *table, const char *impi)
{
	struct sa_identity *identity = sa_table_identity(table, impi);

	if (identity)
		return identity;
	identity = calloc(1, sizeof(*identity) + strlen(impi) + 1);
	if (!identity)
		return NULL;
	memcpy(identity->impi, impi, strlen(impi));
	HASH_ADD(hh, table->identities, impi[0], (unsigned)strlen(impi), identity);
	if (!identity->hh.tbl) {
		free(identity);
		return NULL;
	}
	return identity;
}

static void identity_unneed(struct sa_table *table, struct sa_identity *identity)
{
	if (!identity || identity->contacts)
		return;
	HASH_DEL(table->identities, identity);
	free(identity);
}

static struct sa_contact *contact_need(struct sa_table *table, const char *impi, const char *key)
{
	struct sa_contact *contact = sa_table_contact(table, key);

	if (contact)
		return contact;
	contact = calloc(1, sizeof(*contact) + strlen(key) + 1);
	if (!contact)
		return NULL;
	memcpy(contact->key, key, strlen(key));
	contact->identity = identity_need(table, impi);
	if (contact->identity)
		HASH_ADD(hh, table->contacts, key[0], (unsigned)strlen(key), contact);
	if (!contact->hh.tbl) {
		identity_unneed(table, contact->identity);
		free(contact);
		return NULL;
	}
	DL_APPEND(contact->identity->contacts, contact);
	return contact;
}

static void contact_unneed(struct sa_table *table, struct sa_contact *contact)
{
	if (!contact || contact->sets)
		return;
	HASH_DEL(table->contacts, contact);
	DL_DELETE(contact->identity->contacts, contact);
	identity_unneed(table, contact->identity);
	free(contact);
}

struct sa_peer *sa_table_peer(const struct sa_table *table, const struct ip_addr *address)
{
	struct sa_peer *peer;

	HASH_FIND(hh, table->peers, address->bytes, sizeof(address->bytes), peer);
	return peer;
}

static struct sa_peer *peer_need(struct sa_table *table, const struct ip_addr *address)
{
	struct sa_peer *peer = sa_table_peer(table, address);

	if (peer)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	memcpy(peer->address, address->bytes, sizeof(peer->address));
	HASH_ADD(hh, table->peers, address, sizeof(peer->address), peer);
	if (!peer->hh.tbl) {
		free(peer);
		return NULL;
	}
	return peer;
}

static void peer_unneed(struct sa_table *table, struct sa_peer *peer)
{
	if (!peer || peer->sets)
		return;
	HASH_DEL(table->peers, peer);
	free(peer);
}

/* ---- sets ---- */

static int draw_id(const struct sa_table *table, uint64_t *ret)
{
	do {
		if (random_draw(ret, sizeof(*ret)) < 0)
			return -EIO;
	} while (!*ret || sa_table_by_id(table, *ret));
	return 0;
}

static int add_id(struct sa_table *table, struct sa_set *set)
{
	int err = set->id ? 0 : draw_id(table, &set->id);

	if (err)
		return err;
	if (sa_table_by_id(table, set->id))
		return -EEXIST;
	HASH_ADD(hh, table->sets, id, sizeof(set->id), set);
	return set->hh.tbl ? 0 : -ENOMEM;
}

static void number(struct sa_table *table, struct sa_set *set)
{
	if (!set->serial)
		set->serial = table->last_serial + 1;
	if (set->serial > table->last_serial)
		table->last_serial = set->serial;
}

/* TS 33.203 7.4.0: the client port changes with every authentication. */
static unsigned next_port_after(const struct sa_set *set)
{
	const uint16_t port = set->pcscf.port_c ? set->pcscf.port_c : set->pcscf.port1;

	return port - set->listener->client_port_first + 1U;
}

/* Began it over a living set of the same contact, then a phone that is registered made it. Else it is
 * anybody's, also when it began over a set of the IMPI's other contacts: those are without number. */
static bool is_anybodys(const struct sa_set *set)
{
	const struct sa_set *over = set->over_id ? sa_table_by_id(set->table, set->over_id) : NULL;

	return set->state == SA_SET_TEMPORARY && (!over || over->contact != set->contact);
}

static void enter_lists(struct sa_table *table, struct sa_set *set)
{
	DL_APPEND2(set->contact->sets, set, contact_prev, contact_next);
	set->contact->set_count++;
	set->contact->identity->set_count++;
	DL_APPEND2(set->peer->sets, set, peer_prev, peer_next);
	set->peer->set_count++;
	set->yields = is_anybodys(set);
	if (!set->yields)
		return;
	DL_APPEND2(table->yielding, set, yield_prev, yield_next);
	DL_APPEND2(set->peer->yielding, set, peer_yield_prev, peer_yield_next);
}

void sa_table_confirm(struct sa_set *set)
{
	if (!set->yields)
		return;
	DL_DELETE2(set->table->yielding, set, yield_prev, yield_next);
	DL_DELETE2(set->peer->yielding, set, peer_yield_prev, peer_yield_next);
	set->yields = false;
}

int sa_table_add(struct sa_table *table, struct sa_set *set, const char *contact_key)
{
	int err = -ENOMEM;

	set->table = table;
	set->contact = contact_need(table, set->impi, contact_key);
	set->peer = peer_need(table, &set->ue_address);
	if (!set->contact || !set->peer)
		goto undo;
	err = add_id(table, set);
	if (err)
		goto undo;
	err = add_flows(set);
	if (err)
		goto undo;
	set->impi = set->contact->identity->impi;
	enter_lists(table, set);
	set->peer->next_port = next_port_after(set);
	table->count[set->state]++;
	number(table, set);
	return 0;
undo:
	if (set->hh.tbl)
		HASH_DEL(table->sets, set);
	contact_unneed(table, set->contact);
	peer_unneed(table, set->peer);
	return err;
}

void sa_table_remove(struct sa_set *set)
{
	struct sa_table *table = set->table;

	if (table->gone)
		table->gone(set, table->gone_arg);
	remove_flows(set, set->flow_count);
	HASH_DEL(table->sets, set);
	sa_table_confirm(set);
	DL_DELETE2(set->contact->sets, set, contact_prev, contact_next);
	set->contact->set_count--;
	set->contact->identity->set_count--;
	contact_unneed(table, set->contact);
	DL_DELETE2(set->peer->sets, set, peer_prev, peer_next);
	set->peer->set_count--;
	peer_unneed(table, set->peer);
}

struct sa_set *sa_table_by_id(const struct sa_table *table, uint64_t id)
{
	struct sa_set *set;

	HASH_FIND(hh, table->sets, &id, sizeof(id), set);
	return set;
}

struct sa_set *sa_table_by_spi(const struct sa_table *table, uint32_t spi)
{
	return spi_owner(table->spis, spi);
}

/* ---- who yields ---- */

unsigned sa_table_count_of(const struct sa_table *table, const char *impi)
{
	const struct sa_identity *identity = sa_table_identity(table, impi);

	return identity ? identity->set_count : 0;
}

unsigned sa_table_count_at(const struct sa_table *table, const struct ip_addr *address)
{
	const struct sa_peer *peer = sa_table_peer(table, address);

	return peer ? peer->set_count : 0;
}

static struct sa_set *older(struct sa_set *a, struct sa_set *b)
{
	return !a || (b && b->serial < a->serial) ? b : a;
}

struct sa_set *sa_table_yielding_of(const struct sa_table *table, const char *impi)
{
	const struct sa_identity *identity = sa_table_identity(table, impi);
	const struct sa_contact *contact = identity ? identity->contacts : NULL;
	struct sa_set *found = NULL, *set;

	for (; contact; contact = contact->next) {
		set = sa_contact_in_state(contact, SA_SET_TEMPORARY);
		if (set && set->yields)
			found = older(found, set);
	}
	return found;
}

struct sa_set *sa_table_yielding_at(const struct sa_table *table, const struct ip_addr *address)
{
	const struct sa_peer *peer = sa_table_peer(table, address);

	return peer ? peer->yielding : NULL;
}

/* ---- client ports ---- */

/* A set of RFC 3329 takes all ports of the phone at its client port: nobody else may be there. */
static bool port_used_at_all(const struct sa_peer *peer, const struct config_listener *listener,
			     uint16_t port)
{
	const struct sa_set *set;

	if (!peer)
		return false;
	DL_FOREACH2(peer->sets, set, peer_next) {
		if (set->listener == listener &&
		    (set->pcscf.port_c == port || set->pcscf.port1 == port))
			return true;
	}
	return false;
}

static bool port_usable(const struct sa_table *table, const struct config_listener *listener,
			const struct ip_addr *ue_address, const struct ipsec_endpoint *ue,
			uint16_t port)
{
	switch (ue->dialect) {
	case IPSEC_DIALECT_24229:
		return port != ue->port_s &&
		       !sa_table_flow(table, &listener->address, port, ue_address, ue->port_s);
	case IPSEC_DIALECT_RFC3329:
		return port != ue->port1 &&
		       !port_used_at_all(sa_table_peer(table, ue_address), listener, port);
	}
	return false;
}

static bool port_us_is_anothers(const struct sa_table *table,
				const struct config_listener *listener,
				const struct ip_addr *ue_address, const struct ipsec_endpoint *ue,
				const char *contact_key)
{
	for (unsigned port = listener->client_port_first; port <= listener->client_port_last;
	     port++) {
		const struct sa_flow *flow = sa_table_flow(table, &listener->address,
							   (uint16_t)port, ue_address, ue->port_s);

		if (flow && strcmp(flow->set->contact->key, contact_key) != 0)
			return true;
	}
	return false;
}

int sa_table_take_port(struct sa_table *table, const struct config_listener *listener,
		       const struct ip_addr *ue_address, const struct ipsec_endpoint *ue, bool nat,
		       const char *contact_key, uint16_t *ret_port)
{
	const unsigned count = listener->client_port_last - listener->client_port_first + 1U;
	const struct sa_peer *peer = sa_table_peer(table, ue_address);
	unsigned start = peer ? peer->next_port : 0;

	if (nat && port_us_is_anothers(table, listener, ue_address, ue, contact_key))
		return -EEXIST;
	if (!peer && random_draw(&start, sizeof(start)) < 0)
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++) {
		const unsigned at = (start % count + i) % count;
		const uint16_t port = (uint16_t)(listener->client_port_first + at);

		if (port_usable(table, listener, ue_address, ue, port)) {
			*ret_port = port;
			return 0;
		}
	}
	return -ENOSPC;
}

static struct sa_set *yielding_flow(const struct sa_flow *flow)
{
	struct sa_set *found = NULL;

	for (; flow; flow = flow->next) {
		if (flow->set->yields)
			found = older(found, flow->set);
	}
	return found;
}

/* A set of RFC 3329 is kept from a port by any set of that address. */
static struct sa_set *yielding_any(const struct sa_peer *peer, const struct config_listener *l)
{
	struct sa_set *set = peer ? peer->yielding : NULL;

	while (set && set->listener != l)
		set = set->peer_yield_next;
	return set;
}

struct sa_set *sa_table_yielding_port(const struct sa_table *table,
				      const struct config_listener *l,
				      const struct ip_addr *ue_address,
				      const struct ipsec_endpoint *ue)
{
	struct sa_set *found = NULL;

	if (ue->dialect == IPSEC_DIALECT_RFC3329)
		return yielding_any(sa_table_peer(table, ue_address), l);
	for (unsigned port = l->client_port_first; port <= l->client_port_last; port++)
		found = older(found, yielding_flow(sa_table_flow(table, &l->address, (uint16_t)port,
								 ue_address, ue->port_s)));
	return found;
}

struct sa_contact *sa_table_contact_at(const struct sa_table *table, const struct config *config,
				       const struct ip_addr *remote, uint16_t remote_port)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		for (unsigned port = l->client_port_first; port <= l->client_port_last; port++) {
			const struct sa_flow *flow = sa_table_flow(table, &l->address,
								   (uint16_t)port, remote,
								   remote_port);

			if (flow)
				return flow->set->contact;
		}
	}
	return NULL;
}

/* ---- contacts' sets ---- */

struct sa_set *sa_contact_in_state(const struct sa_contact *contact, enum sa_set_state state)
{
	struct sa_set *set;

	if (!contact)
		return NULL;
	DL_FOREACH2(contact->sets, set, contact_next) {
		if (set->state == state)
			return set;
	}
	return NULL;
}

struct sa_set *sa_contact_downlink(const struct sa_contact *contact)
{
	struct sa_set *fresh = sa_contact_in_state(contact, SA_SET_NEW);
	struct sa_set *set = sa_contact_in_state(contact, SA_SET_CURRENT);

	if (set)
		return set;
	set = sa_contact_in_state(contact, SA_SET_OLD);
	return fresh && set ? set : fresh;
}
