/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a set of SAs at the phone: offered in Security-Client, agreed by Security-Server and
 * put into the kernel with the keys of the challenge, confirmed by the 200, replaced by the next
 * one, removed. When each step happens is reg.c; what an agreement means in SAs is sa_plan.c.
 *
 * A set owns its sockets on port_uc, its SAs and policies, and its Security-Verify. The sockets on
 * port_us belong to all sets together.
 *
 * TCP connections are reset before their SAs go: a FIN would need SAs for its answer.
 */
#include "tests/ue/set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ue/agreement.h"
#include "tests/ue/event.h"

#define PORT_LOW   20000
#define PORT_HIGH  49999
#define PORT_TRIES 30
#define SPI_LOW    256 /* RFC 4303 2.1: below is IANA's */

static int fail(struct set_table *table, int error, const char *what)
{
	snprintf(table->why, sizeof(table->why), "%s: %s", what, strerror(-error));
	return error;
}

const char *set_state_name(enum set_state state)
{
	switch (state) {
	case SET_FREE:
		return "free";
	case SET_OFFERED:
		return "offered";
	case SET_TEMPORARY:
		return "temporary";
	case SET_CURRENT:
		return "current";
	case SET_OLD:
		return "old";
	}
	return "?";
}

struct ue_set *set_in(struct set_table *table, enum set_state state)
{
	for (int i = 0; i < SET_MAX; i++)
		if (table->sets[i].state == state)
			return &table->sets[i];
	return NULL;
}

/* SIP talks from the public address; behind a NAT the outer address is another. */
static const struct ip *sip_address(const struct set_table *table)
{
	return &table->options->public_address;
}

static bool port_is_taken(const struct set_table *table, uint16_t port)
{
	if (port == 5060 || port == 5061 || port == table->port_us ||
	    port == table->options->port_us || port == table->options->clear_port)
		return true;
	for (int i = 0; i < SET_MAX; i++)
		if (table->sets[i].state != SET_FREE && table->sets[i].client_port == port)
			return true;
	return false;
}

static int random_port(const struct set_table *table, uint16_t *ret_port)
{
	uint32_t port;

	do {
		if (random_between(PORT_LOW, PORT_HIGH, &port) < 0)
			return -EIO;
	} while (port_is_taken(table, (uint16_t)port));
	*ret_port = (uint16_t)port;
	return 0;
}

/* UDP and TCP on one port_us. */
static int open_server_at(struct set_table *table, uint16_t port)
{
	int udp = net_open_udp(table->net, sip_address(table), port, NET_SERVER, 0);
	int tcp;

	if (udp < 0)
		return udp;
	tcp = net_open_listener(table->net, sip_address(table), port, NET_SERVER);
	if (tcp < 0) {
		net_close(table->net, udp, false);
		return tcp;
	}
	table->port_us = port;
	return 0;
}

static int open_server(struct set_table *table)
{
	uint16_t port = table->options->port_us;
	int r = -EADDRINUSE;

	if (table->port_us)
		return 0;
	if (port)
		r = open_server_at(table, port);
	for (int i = 0; !port && r == -EADDRINUSE && i < PORT_TRIES; i++) {
		uint16_t candidate;

		r = random_port(table, &candidate);
		if (r == 0)
			r = open_server_at(table, candidate);
	}
	return r < 0 ? fail(table, r, "cannot open port_us") : 0;
}

static int open_client_at(struct set_table *table, struct ue_set *set, uint16_t port)
{
	int link = net_open_udp(table->net, sip_address(table), port, NET_CLIENT, set->id);

	if (link < 0)
		return link;
	set->udp_link = link;
	set->client_port = table->net->links[link].local_port;
	return 0;
}

/* With --port-uc: that one, then the next ones. */
static uint16_t given_client_port(const struct set_table *table)
{
	uint16_t port = table->options->port_uc;

	while (port && port_is_taken(table, port))
		port++;
	return port;
}

static int open_client(struct set_table *table, struct ue_set *set)
{
	uint16_t given = given_client_port(table);
	int r = -EADDRINUSE;

	if (given)
		r = open_client_at(table, set, given);
	for (int i = 0; !given && r == -EADDRINUSE && i < PORT_TRIES; i++) {
		uint16_t candidate;

		r = random_port(table, &candidate);
		if (r == 0)
			r = open_client_at(table, set, candidate);
	}
	return r < 0 ? fail(table, r, "cannot open port_uc") : 0;
}

/* The fault: announce, and use, the port of the set in use. The sockets stay with that set. */
static void borrow_client(const struct ue_set *current, struct ue_set *set)
{
	set->udp_link = current->udp_link;
	set->client_port = current->client_port;
}

static int choose_spis(struct ipsec_endpoint *ours)
{
	int r = random_between(SPI_LOW, UINT32_MAX, &ours->spi_c);

	while (r == 0 && (ours->spi_s == 0 || ours->spi_s == ours->spi_c))
		r = random_between(SPI_LOW, UINT32_MAX, &ours->spi_s);
	ours->spi = ours->spi_s;
	return r;
}

static void fill_endpoint(const struct set_table *table, struct ue_set *set)
{
	struct ipsec_endpoint *ours = &set->ours;

	ours->dialect = table->options->dialect;
	ours->port_c = set->client_port;
	ours->port_s = table->port_us;
	ours->port1 = table->port_us;
	ours->port2 = table->options->no_port2 ? 0 : set->client_port;
}

int set_offer(struct set_table *table, struct ue_set **ret_set)
{
	struct ue_set *set = set_in(table, SET_FREE);
	struct ue_set *current = set_in(table, SET_CURRENT);
	int r;

	if (!set)
		return fail(table, -ENOBUFS, "three sets are alive already");
	r = open_server(table);
	if (r < 0)
		return r;
	memset(set, 0, sizeof(*set));
	set->id = ++table->last_id;
	set->udp_link = -1;
	set->tcp_link = -1;
	if (current && table->options->fault == FAULT_SAME_PORT)
		borrow_client(current, set);
	else
		r = open_client(table, set);
	if (r == 0 && choose_spis(&set->ours) < 0)
		r = fail(table, -EIO, "no random numbers");
	set->state = SET_OFFERED;
	if (r < 0) {
		set_remove(table, set, "failed");
		return r;
	}
	fill_endpoint(table, set);
	*ret_set = set;
	return 0;
}

int set_security_client(const struct set_table *table, const struct ue_set *set, char *buf,
			size_t cap)
{
	/* RFC 3329 2.3.1: a client adds no q */
	return ipsec3gpp_write(&set->ours, table->options->offers, table->options->offer_count,
			       false, buf, cap);
}

/* TS 33.203 7.2 NOTE 3: with equal keys, equal SPIs would let a packet be reflected. */
static void warn_of_reflection(const struct ue_set *set)
{
	const struct ipsec_endpoint *a = &set->ours, *b = &set->theirs;
	bool pair = a->dialect == IPSEC_DIALECT_RFC3329;
	bool of_c = a->spi_c == b->spi_c || a->spi_c == b->spi_s;
	bool of_s = a->spi_s == b->spi_c || a->spi_s == b->spi_s;

	if (pair ? a->spi == b->spi : of_c || of_s)
		event_print("warning", "text=\"the P-CSCF chose one of our own SPIs\"");
}

int set_agree(struct set_table *table, struct ue_set *set, const struct sip_message *challenge)
{
	struct agreement agreement;
	int r = agreement_read(challenge, table->options, &agreement, table->why,
			       sizeof(table->why));

	if (r < 0)
		return r;
	set->suite = agreement.suite;
	set->theirs = agreement.theirs;
	set->security_verify = agreement.verify;
	set->server_port = set->theirs.dialect == IPSEC_DIALECT_24229 ? set->theirs.port_s
								       : set->theirs.port1;
	warn_of_reflection(set);
	return 0;
}

/* The fault: requests leave from a port that nobody agreed on. */
static int move_client(struct set_table *table, struct ue_set *set)
{
	net_close_role(table->net, NET_CLIENT, set->id);
	set->udp_link = -1;
	return open_client_at(table, set, 0);
}

static int install(struct set_table *table, struct ue_set *set, struct aka_answer *answer)
{
	const struct ue_options *o = table->options;
	const struct sa_parties parties = {
		.suite = set->suite,
		.ours = set->ours,
		.theirs = set->theirs,
		.local = o->local,
		.inner = o->public_address,
		.pcscf = o->pcscf,
		.encap_port = o->encap_port,
		.any_client_port = o->fault == FAULT_WRONG_PORT,
	};
	struct ue_keys keys;
	int r;

	if (o->fault == FAULT_WRONG_KEY) {
		answer->ik[0] ^= 0xff;
		answer->ck[0] ^= 0xff;
	}
	if (ue_keys_expand(&set->suite, answer, &keys) < 0)
		return fail(table, -EINVAL, "key expansion");
	sa_plan_make(&parties, &set->plan);
	r = sa_kernel_install(table->kernel, &set->plan, &keys);
	ue_keys_wipe(&keys);
	if (r < 0)
		snprintf(table->why, sizeof(table->why), "kernel: %s", table->kernel->why);
	return r;
}

int set_install(struct set_table *table, struct ue_set *set, const struct aka_answer *answer)
{
	struct aka_answer copy = *answer;
	int r = 0;

	if (table->options->fault == FAULT_WRONG_PORT)
		r = move_client(table, set);
	if (r == 0 && table->options->fault != FAULT_CLEAR_ANSWER)
		r = install(table, set, &copy);
	aka_answer_wipe(&copy);
	if (r < 0)
		return r;
	set->state = SET_TEMPORARY;
	if (set->plan.sa_count > 0)
		event_print("sa-installed", "set=%d sas=%zu policies=%zu reqid=%u", set->id,
			    set->plan.sa_count, set->plan.rule_count, table->kernel->reqid);
	return 0;
}

/* Connections that the P-CSCF opened to port_us over this set. */
static void close_accepted(struct set_table *table, const struct ue_set *set)
{
	for (int i = 0; i < NET_MAX_LINKS; i++) {
		const struct net_link *link = &table->net->links[i];
		const struct net_source source = {.link = i,
						  .kind = link->kind,
						  .role = link->role,
						  .peer = link->peer,
						  .peer_port = link->peer_port};

		if (link->kind == NET_TCP && link->role == NET_SERVER &&
		    set_of_source(table, &source) == set)
			net_close(table->net, i, true);
	}
}

void set_remove(struct set_table *table, struct ue_set *set, const char *reason)
{
	int id = set->id;
	bool was_installed = set->plan.sas[0].installed;

	close_accepted(table, set);
	net_close_role(table->net, NET_CLIENT, set->id);
	sa_kernel_remove(table->kernel, &set->plan);
	free(set->security_verify);
	memset(set, 0, sizeof(*set));
	if (was_installed)
		event_print("sa-removed", "set=%d reason=%s", id, reason);
	for (int i = 0; i < SET_MAX; i++)
		if (table->sets[i].state != SET_FREE)
			return;
	net_close_role(table->net, NET_SERVER, 0);
	table->port_us = 0;
}

void set_remove_all(struct set_table *table, const char *reason)
{
	for (int i = 0; i < SET_MAX; i++)
		if (table->sets[i].state != SET_FREE)
			set_remove(table, &table->sets[i], reason);
}

/* May @set's SAs bring something from this port of the P-CSCF to port_us, or (@client) port_uc? */
static bool comes_from(const struct ue_set *set, uint16_t port, bool client)
{
	if (set->ours.dialect == IPSEC_DIALECT_24229)
		return port == (client ? set->theirs.port_s : set->theirs.port_c);
	return port == set->theirs.port1 || (!client && (set->theirs.port2 == 0 ||
							 set->theirs.port2 == port));
}

struct ue_set *set_of_source(struct set_table *table, const struct net_source *source)
{
	struct ue_set *found = NULL;

	if (source->role == NET_CLEAR || !ip_equal(&source->peer, &table->options->pcscf))
		return NULL;
	for (int i = 0; i < SET_MAX; i++) {
		struct ue_set *set = &table->sets[i];
		bool client = source->role == NET_CLIENT;

		if (set->state < SET_TEMPORARY || (client && set->id != source->set_id))
			continue;
		/* two with the same port: the newer one, as the kernel would have it */
		if (comes_from(set, source->peer_port, client) && (!found || set->id > found->id))
			found = set;
	}
	return found;
}

int set_link(struct set_table *table, struct ue_set *set, enum net_kind transport)
{
	if (transport == NET_UDP)
		return set->udp_link;
	if (set->tcp_link < 0)
		set->tcp_link = net_connect(table->net, sip_address(table), set->client_port,
					    &table->options->pcscf, set->server_port, NET_CLIENT,
					    set->id);
	return set->tcp_link;
}

void set_link_lost(struct set_table *table, int link)
{
	for (int i = 0; i < SET_MAX; i++)
		if (table->sets[i].state != SET_FREE && table->sets[i].tcp_link == link)
			table->sets[i].tcp_link = -1;
}
