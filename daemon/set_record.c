/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two cursors, one that writes and one that reads: each field of a record is one call in each, in
 * the same order. A writer without buffer counts. A reader that comes to an end too early, or to a
 * value that is out of range, stays there and says so once at the end.
 *
 * Records come from a file that only the daemon's user can write, but what is read from it becomes
 * SAs to be deleted: so it is believed no more than what comes over a socket.
 *
 * What is not here: where records are kept (store.c), whether the kernel still holds what they say
 * (restore.c, audit.c), and whatever can be found out again: flows, policies, timers, the time at
 * which the kernel added the SAs.
 */
#include "daemon/set_record.h"

#include <errno.h>
#include <string.h>

/* Twice what an expires of 32 bits can grant. */
#define MAX_DEADLINE_MS (UINT64_C(2000) << 32)

/* ---- writing ---- */

struct writer {
	uint8_t *at; /* NULL: only count */
	size_t bytes;
};

static void put(struct writer *w, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;) {
		if (w->at)
			*w->at++ = (uint8_t)(value >> (8 * i));
	}
	w->bytes += bytes;
}

static void put_text(struct writer *w, struct span text)
{
	put(w, text.n, 4);
	if (w->at)
		w->at = mempcpy(w->at, text.p, text.n);
	w->bytes += text.n;
}

static void put_packed(struct writer *w, const struct packed *text)
{
	put(w, packed_text_bytes(text), 4);
	if (w->at)
		w->at = (uint8_t *)packed_read(text, (char *)w->at);
	w->bytes += packed_text_bytes(text);
}

static void put_address(struct writer *w, const struct ip_addr *ip)
{
	put(w, ip->family == AF_INET6 ? 6 : 4, 1);
	for (size_t i = 0; i < sizeof(ip->bytes); i++)
		put(w, ip->bytes[i], 1);
}

static void put_endpoint(struct writer *w, const struct ipsec_endpoint *e)
{
	put(w, e->dialect, 1);
	put(w, e->spi_c, 4);
	put(w, e->spi_s, 4);
	put(w, e->port_c, 2);
	put(w, e->port_s, 2);
	put(w, e->spi, 4);
	put(w, e->port1, 2);
	put(w, e->port2, 2);
}

static void put_set(struct writer *w, const struct sa_set *set, struct span listener)
{
	put(w, SET_RECORD_VERSION, 1);
	put(w, set->id, 8);
	put(w, set->over_id, 8);
	put(w, set->transaction, 8);
	put(w, set->state, 1);
	put(w, set->aborted, 1);
	put(w, set->suite.alg, 1);
	put(w, set->suite.ealg, 1);
	put(w, set->suite.prot, 1);
	put(w, set->suite.mod, 1);
	put_endpoint(w, &set->ue);
	put_endpoint(w, &set->pcscf);
	put_address(w, &set->ue_address);
	put(w, set->encap_remote_port, 2);
	put(w, set->reqid, 4);
	put(w, set->deadline_ms, 8);
	put_text(w, listener);
	put_text(w, span_of(set->contact->key));
	put_text(w, span_of(set->impi));
	put_text(w, span_of(set->impu));
	put_packed(w, set->security_client);
	put_packed(w, set->security_server);
}

size_t set_record_bytes(const struct sa_set *set, struct span listener)
{
	struct writer w = { .at = NULL };

	put_set(&w, set, listener);
	return w.bytes;
}

void set_record_write(const struct sa_set *set, struct span listener, uint8_t *ret)
{
	struct writer w = { .at = ret };

	put_set(&w, set, listener);
}

size_t listener_record_write(const struct config_listener *l, uint8_t *ret)
{
	struct writer w = { .at = ret };

	put(&w, SET_RECORD_VERSION, 1);
	put_address(&w, &l->address);
	put(&w, l->server_port, 2);
	put(&w, l->client_port_first, 2);
	put(&w, l->client_port_last, 2);
	put(&w, l->reqid, 4);
	put(&w, l->priority, 4);
	put(&w, l->encap_port, 2);
	put(&w, l->policies, 1);
	put(&w, l->selectors, 1);
	put_text(&w, span_of(l->name));
	return w.bytes;
}

/* ---- reading ---- */

struct reader {
	const uint8_t *at, *end;
	const char *why; /* NULL: all is well so far */
};

static void complain(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
}

static uint64_t get(struct reader *r, size_t bytes)
{
	uint64_t value = 0;

	if ((size_t)(r->end - r->at) < bytes) {
		complain(r, "it ends too early");
		r->at = r->end;
		return 0;
	}
	while (bytes--)
		value = value << 8 | *r->at++;
	return value;
}

/* 0..@max */
static unsigned get_up_to(struct reader *r, unsigned max, const char *why)
{
	const uint64_t value = get(r, 1);

	if (value <= max)
		return (unsigned)value;
	complain(r, why);
	return 0;
}

static uint16_t get_u16(struct reader *r)
{
	return (uint16_t)get(r, 2);
}

static uint32_t get_u32(struct reader *r)
{
	return (uint32_t)get(r, 4);
}

static struct span get_bytes(struct reader *r)
{
	const uint64_t n = get(r, 4);
	struct span bytes = { (const char *)r->at, 0 };

	if (n > (size_t)(r->end - r->at)) {
		complain(r, "a text is longer than the record");
		return bytes;
	}
	bytes.n = n;
	r->at += n;
	return bytes;
}

static struct span get_text(struct reader *r)
{
	const struct span text = get_bytes(r);

	if (memchr(text.p, '\0', text.n))
		complain(r, "a text has a NUL in it");
	return text;
}

static struct ip_addr get_address(struct reader *r)
{
	const uint64_t version = get(r, 1);
	struct ip_addr ip = { .family = version == 6 ? AF_INET6 : AF_INET };

	if (version != 4 && version != 6)
		complain(r, "an address is neither IPv4 nor IPv6");
	for (size_t i = 0; i < sizeof(ip.bytes); i++) {
		ip.bytes[i] = (uint8_t)get(r, 1);
		if (i >= ip_bytes(&ip) && ip.bytes[i])
			complain(r, "an IPv4 address is too long");
	}
	return ip;
}

static struct ipsec_endpoint get_endpoint(struct reader *r)
{
	struct ipsec_endpoint e = { .dialect = get_up_to(r, IPSEC_DIALECT_RFC3329,
							 "an unknown dialect") };

	e.spi_c = get_u32(r);
	e.spi_s = get_u32(r);
	e.port_c = get_u16(r);
	e.port_s = get_u16(r);
	e.spi = get_u32(r);
	e.port1 = get_u16(r);
	e.port2 = get_u16(r);
	return e;
}

/* What every endpoint has: SPIs and ports of its dialect, and none of the other. */
static void check_endpoint(struct reader *r, const struct ipsec_endpoint *e)
{
	const bool pair = e->spi || e->port1;
	const bool four = e->spi_c || e->spi_s || e->port_c || e->port_s;
	bool whole = false;

	switch (e->dialect) {
	case IPSEC_DIALECT_24229:
		whole = e->spi_c && e->spi_s && e->spi_c != e->spi_s && e->port_c && e->port_s &&
			!pair && !e->port2;
		break;
	case IPSEC_DIALECT_RFC3329:
		whole = e->spi && e->port1 && !four;
		break;
	}
	if (!whole)
		complain(r, "SPIs or ports are missing");
}

static void check_set(struct reader *r, const struct set_record *set)
{
	const char *fault = ipsec_suite_fault(&set->suite);

	check_endpoint(r, &set->ue);
	check_endpoint(r, &set->pcscf);
	if (set->ue.dialect != set->pcscf.dialect)
		complain(r, "the two sides have different dialects");
	if (fault)
		complain(r, fault);
	if (!set->id || !set->deadline_ms || !set->impi.n)
		complain(r, "a field is empty that never is");
	if (set->security_client.n >= PACKED_TEXT_BYTES ||
	    set->security_server.n >= PACKED_TEXT_BYTES)
		complain(r, "a header is longer than any can be");
	if (set->contact.n <= set->impi.n || set->contact.p[set->impi.n] != '\n' ||
	    memcmp(set->contact.p, set->impi.p, set->impi.n) != 0)
		complain(r, "its contact is not that of its IMPI");
	if (set->deadline_ms > MAX_DEADLINE_MS)
		complain(r, "its end is too far away");
	if (r->at != r->end)
		complain(r, "something follows its end");
}

static int verdict(const struct reader *r, const char **ret_why)
{
	if (!r->why)
		return 0;
	*ret_why = r->why;
	return -EINVAL;
}

static bool has_other_version(const void *bytes, size_t count, const char **ret_why)
{
	if (count && *(const uint8_t *)bytes == SET_RECORD_VERSION)
		return false;
	*ret_why = "it is of another version";
	return true;
}

int set_record_read(const void *bytes, size_t count, struct set_record *ret, const char **ret_why)
{
	struct reader r = { .at = bytes, .end = (const uint8_t *)bytes + count };
	struct set_record set;

	if (has_other_version(bytes, count, ret_why))
		return -EINVAL;
	r.at++;
	memset(&set, 0, sizeof(set));
	set.id = get(&r, 8);
	set.over_id = get(&r, 8);
	set.transaction = get(&r, 8);
	set.state = get_up_to(&r, SA_SET_GONE - 1, "an unknown state");
	set.aborted = get_up_to(&r, 1, "neither aborted nor not");
	set.suite.alg = get_up_to(&r, IPSEC_ALG_UNKNOWN - 1, "an unknown alg");
	set.suite.ealg = get_up_to(&r, IPSEC_EALG_UNKNOWN - 1, "an unknown ealg");
	set.suite.prot = get_up_to(&r, IPSEC_PROT_UNKNOWN - 1, "an unknown prot");
	set.suite.mod = get_up_to(&r, IPSEC_MOD_UNKNOWN - 1, "an unknown mod");
	set.ue = get_endpoint(&r);
	set.pcscf = get_endpoint(&r);
	set.ue_address = get_address(&r);
	set.encap_remote_port = get_u16(&r);
	set.reqid = get_u32(&r);
	set.deadline_ms = get(&r, 8);
	set.listener = get_bytes(&r);
	set.contact = get_text(&r);
	set.impi = get_text(&r);
	set.impu = get_text(&r);
	set.security_client = get_text(&r);
	set.security_server = get_text(&r);
	check_set(&r, &set);
	if (verdict(&r, ret_why) < 0)
		return -EINVAL;
	*ret = set;
	return 0;
}

int listener_record_read(const void *bytes, size_t count, struct config_listener *ret,
			 const char **ret_why)
{
	struct reader r = { .at = bytes, .end = (const uint8_t *)bytes + count };
	struct config_listener l;
	struct span name;

	if (has_other_version(bytes, count, ret_why))
		return -EINVAL;
	r.at++;
	config_listener_default(&l);
	l.address = get_address(&r);
	l.server_port = get_u16(&r);
	l.client_port_first = get_u16(&r);
	l.client_port_last = get_u16(&r);
	l.reqid = get_u32(&r);
	l.priority = get_u32(&r);
	l.encap_port = get_u16(&r);
	l.policies = get_up_to(&r, CONFIG_POLICIES_PER_SET, "an unknown kind of policies");
	l.selectors = get_up_to(&r, CONFIG_SELECTORS_RELAXED, "an unknown kind of selectors");
	name = get_text(&r);
	if (name.n >= sizeof(l.name))
		complain(&r, "its name is too long");
	else
		memcpy(l.name, name.p, name.n);
	if (!l.server_port || !l.client_port_first || l.client_port_first > l.client_port_last ||
	    l.client_port_last - l.client_port_first >= CONFIG_MAX_CLIENT_PORTS || !l.reqid ||
	    l.priority < 1)
		complain(&r, "ports, reqid or priority are none");
	if (r.at != r.end)
		complain(&r, "something follows its end");
	if (verdict(&r, ret_why) < 0)
		return -EINVAL;
	*ret = l;
	return 0;
}
