/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scenery of world.h. What is never true is an assertion here, so that a test fails where it
 * happens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/world.h"

#include <errno.h>
#include <utlist.h>

#include "daemon/command.h"
#include "daemon/event_log.h"
#include "daemon/log.h"
#include "daemon/set_record.h"

struct world world;

static const uint8_t CK[KEYMAT_AKA_BYTES] = {0xb4, 0x0b, 0xa9, 0xa3, 0xc5, 0x8b, 0x2a, 0x05,
					     0xbb, 0xf0, 0xd9, 0x87, 0xb2, 0x1b, 0xf8, 0xcb};
static const uint8_t IK[KEYMAT_AKA_BYTES] = {0xf7, 0x69, 0xbc, 0xd7, 0x51, 0x04, 0x46, 0x04,
					     0x12, 0x76, 0x72, 0x71, 0x1c, 0x6d, 0x34, 0x41};

static const struct ipsec_suite GCM = {IPSEC_ALG_NULL, IPSEC_EALG_AES_GCM, IPSEC_PROT_ESP,
				       IPSEC_MOD_TRANS};

struct ip_addr world_ip(const char *text)
{
	struct ip_addr ip = {0};

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

void world_mechanisms(const char *const *texts)
{
	struct span entries[SERVER_LIST_MAX_ENTRIES];
	size_t count = 0;
	char why[160];

	for (; texts[count]; count++)
		entries[count] = span_of(texts[count]);
	if (server_list_read(entries, count, SELECT_MAX_PAIRS, &world.listener->mechanisms, why,
			     sizeof(why)) < 0)
		fail_msg("%s", why);
}

int world_start(void **state)
{
	struct config_listener *l = &world.config.listeners[0];

	(void)state;
	log_open(LOG_TO_STDERR, -1);
	fake_clock_reset();
	fake_xfrm_reset();
	fake_store_reset();
	memset(&world, 0, sizeof(world));
	config_default(&world.config);
	config_listener_default(l);
	snprintf(l->name, sizeof(l->name), "ims");
	l->address = world_ip("192.0.2.1");
	l->server_port = 6100;
	l->client_port_first = 6104;
	l->client_port_last = 6107;
	world.config.listener_count = 1;
	world.listener = l;
	world.table = sa_table_new(&fake_xfrm, world.config.max_sets);
	if (!world.table || hash_init() < 0)
		return -1;
	world.table->store = &fake_store;
	return 0;
}

int world_stop(void **state)
{
	size_t stored;

	(void)state;
	fake_store.refuse = 0;
	if (world.table)
		sa_table_drop_all(world.table, "stop");
	sa_table_free(world.table);
	stored = fake_store_sets();
	fake_store_reset();
	event_log_flush();
	event_log_set(false, 0);
	return stored == 0 && fake_xfrm.sa_count == 0 && fake_xfrm.policy_count == 0 && fake_timers_armed() == 0
		       ? 0
		       : -1;
}

struct daemon world_daemon(void)
{
	return (struct daemon){.config = &world.config,
			       .xfrm = &fake_xfrm,
			       .table = world.table,
			       .started_ms = clock_monotonic_ms()};
}

/* ---- phones ---- */

const char *world_text(const struct packed *header)
{
	static char texts[64][PACKED_TEXT_BYTES];
	static unsigned next;

	return packed_text(header, texts[next++ % 64]);
}

struct sa_set_request world_request(void)
{
	return (struct sa_set_request){
		.listener = world.listener,
		.impi = WORLD_IMPI,
		.contact = "",
		.impu = "sip:001010000000001@ims.example\ntel:+15550100",
		.security_client = "ipsec-3gpp;alg=null;ealg=aes-gcm;spi-c=11111111;spi-s=22222222;"
				   "port-c=5062;port-s=5064",
		.ue_address = world_ip("198.51.100.7"),
		.ue = {.dialect = IPSEC_DIALECT_24229,
		       .spi_c = 11111111,
		       .spi_s = 22222222,
		       .port_c = 5062,
		       .port_s = 5064},
		.suite = GCM,
		.ck = CK,
		.ik = IK,
	};
}

/* TS 33.203 7.4.0: port_us stays, port_uc and the SPIs are new. */
struct sa_set_request world_request_again(const struct sa_set *set)
{
	static uint32_t times;
	struct sa_set_request request = world_request();

	times++;
	request.ue.spi_c += 2 * times;
	request.ue.spi_s += 2 * times;
	request.ue.port_c = (uint16_t)(20000 + times % 20000);
	request.over_id = set ? set->id : 0;
	return request;
}

struct sa_set_request world_request_rfc3329(uint16_t port1, uint16_t port2)
{
	struct sa_set_request request = world_request();

	request.security_client = "ipsec-3gpp;alg=hmac-sha-1-96;spi=33333333;port1=5062";
	request.suite = (struct ipsec_suite){IPSEC_ALG_HMAC_SHA_1_96, IPSEC_EALG_NULL,
					     IPSEC_PROT_ESP, IPSEC_MOD_TRANS};
	request.ue = (struct ipsec_endpoint){
		.dialect = IPSEC_DIALECT_RFC3329, .spi = 33333333, .port1 = port1, .port2 = port2};
	return request;
}

struct sa_set_request world_request_nat(unsigned phone)
{
	static const char *const IMPIS[] = {"phone0@ims.example", "phone1@ims.example",
					    "phone2@ims.example"};
	struct sa_set_request request = world_request();

	request.impi = IMPIS[phone];
	request.ue_address = world_ip("203.0.113.9");
	request.suite.mod = IPSEC_MOD_UDP_ENC_TUN;
	request.nat = true;
	request.ue.spi_c += 10 * phone;
	request.ue.spi_s += 10 * phone;
	request.ue.port_c = (uint16_t)(request.ue.port_c + 10 * phone);
	request.ue.port_s = (uint16_t)(request.ue.port_s + 10 * phone);
	return request;
}

struct sa_set *world_create(const struct sa_set_request *request)
{
	struct sa_set *set = NULL;
	int err = sa_set_create(world.table, request, &set, &world.refusal);

	if (err)
		fail_msg("refused: %s: %s", reason_token(world.refusal.reason), world.refusal.text);
	assert_non_null(set);
	return set;
}

void world_confirm(struct sa_set *set)
{
	assert_int_equal(sa_set_confirm(set, WORLD_EXPIRES_S, &world.refusal), 0);
}

static struct sa_set *registered(const struct sa_set_request *request)
{
	struct sa_set *set = world_create(request);

	world_confirm(set);
	assert_int_equal(set->state, SA_SET_CURRENT);
	return set;
}

struct sa_set *world_registered(void)
{
	const struct sa_set_request request = world_request();

	return registered(&request);
}

struct sa_set *world_registered_at(unsigned phone)
{
	struct sa_set_request request = world_request();
	char impi[40], address[40];

	snprintf(impi, sizeof(impi), "phone%u@ims.example", phone);
	snprintf(address, sizeof(address), "198.51.100.%u", phone);
	request.impi = impi;
	request.ue_address = world_ip(address);
	return registered(&request);
}

struct sa_set *world_registered_nat(unsigned phone)
{
	const struct sa_set_request request = world_request_nat(phone);

	return registered(&request);
}

struct sa_set *world_reregistered(const struct sa_set *over)
{
	const struct sa_set_request request = world_request_again(over);
	struct sa_set *set = world_create(&request);

	world_confirm(set);
	assert_int_equal(set->state, SA_SET_NEW);
	assert_int_equal(over->state, SA_SET_OLD);
	return set;
}

size_t world_sets(void)
{
	return HASH_COUNT(world.table->sets);
}

bool world_has(uint64_t id)
{
	return sa_table_by_id(world.table, id) != NULL;
}

void world_assert_refused(const struct sa_set_request *request, enum reason reason)
{
	const size_t sets = world_sets(), sas = fake_xfrm.sa_count;
	const size_t policies = fake_xfrm.policy_count, timers = fake_timers_armed();
	struct sa_set *set = NULL;

	memset(&world.refusal, 0, sizeof(world.refusal));
	assert_int_equal(sa_set_create(world.table, request, &set, &world.refusal), -ECANCELED);
	assert_null(set);
	assert_string_equal(reason_token(world.refusal.reason), reason_token(reason));
	assert_true(world.refusal.text[0] != '\0');
	assert_int_equal(world_sets(), sets);
	assert_int_equal(fake_xfrm.sa_count, sas);
	assert_int_equal(fake_xfrm.policy_count, policies);
	assert_int_equal(fake_timers_armed(), timers);
	world_check(false);
}

/* ---- what is always true ---- */

int64_t world_kernel_left_s(const struct sa_set *set)
{
	const struct fake_sa *sa;
	struct plan plan;

	sa_set_plan(set, &plan);
	sa = fake_xfrm_sa(&plan.sas[0].id);
	assert_non_null(sa);
	return sa->add_time_s + (int64_t)sa->sa.hard_s - clock_realtime_s();
}

static void check_sa(const struct sa_set *set, const struct xfrm_sa *sa, bool exact_time)
{
	const struct fake_sa *held = fake_xfrm_sa(&sa->id);

	assert_non_null(held);
	assert_true(xfrm_sel_equal(&held->sa.sel, &sa->sel));
	assert_true(ip_equal(&held->sa.src, &sa->src));
	assert_int_equal(held->sa.reqid, sa->reqid);
	assert_int_equal(held->add_time_s, set->add_time_s);
	assert_int_equal(held->sa.encap.on, sa->encap.on);
	assert_int_equal(held->sa.encap.sport, sa->encap.sport);
	assert_int_equal(held->sa.encap.dport, sa->encap.dport);
	if (exact_time) {
		const int64_t left_s = world_kernel_left_s(set);
		const int64_t slack_s = set->listener->timers.kernel_slack_s;

		assert_in_range(left_s - sa_set_left_s(set), slack_s - 1, slack_s + 1);
	}
}

static bool flow_has(const struct sa_flow *flow, const struct sa_set *set)
{
	while (flow && flow->set != set)
		flow = flow->next;
	return flow != NULL;
}

static void check_flows(const struct sa_set *set)
{
	const struct ip_addr *local = &set->listener->address, *remote = &set->ue_address;

	for (size_t i = 0; i < set->flow_count; i++) {
		const struct sa_flow_key *key = &set->flows[i].key;

		assert_true(flow_has(sa_table_flow(world.table, local, key->local_port, remote,
						   key->remote_port),
				     set));
	}
}

/* Can one packet belong to both? A set of RFC 3329 may take any port of the phone. */
static bool overlap(const struct sa_flow_key *a, const struct sa_flow_key *b)
{
	return !memcmp(a->local, b->local, sizeof(a->local)) &&
	       !memcmp(a->remote, b->remote, sizeof(a->remote)) && a->local_port == b->local_port &&
	       (a->remote_port == b->remote_port || !a->remote_port || !b->remote_port);
}

/* The kernel would choose between such SAs by their age. The one exception is a phone that has lost
 * its state and comes back with the client port of its living set: server port to that port. */
static void check_no_shared_flow(const struct sa_set *a, const struct sa_set *b)
{
	for (size_t i = 0; i < a->flow_count; i++) {
		for (size_t k = 0; k < b->flow_count; k++) {
			if (!overlap(&a->flows[i].key, &b->flows[k].key))
				continue;
			assert_ptr_equal(a->contact, b->contact);
			assert_int_equal(a->flows[i].key.local_port, a->listener->server_port);
		}
	}
}

static void check_contact(const struct sa_contact *contact)
{
	unsigned states[SA_SET_GONE] = {0}, count = 0;
	const struct sa_set *set;

	DL_FOREACH2(contact->sets, set, contact_next)
	{
		assert_ptr_equal(set->contact, contact);
		states[set->state]++;
		count++;
	}
	assert_int_equal(count, contact->set_count);
	assert_in_range(count, 1, 3);
	assert_in_range(states[SA_SET_TEMPORARY], 0, 1);
	assert_in_range(states[SA_SET_NEW], 0, 1);
	assert_in_range(states[SA_SET_CURRENT], 0, 1);
	assert_int_equal(states[SA_SET_NEW] && states[SA_SET_CURRENT], 0);
}

/* Two sets of a phone that did not change its client port share that port's policies. */
static size_t policies_of_this_one_alone(const struct sa_set *set)
{
	size_t count = set->policy_count;

	for (size_t i = 0; i < set->policy_count; i++) {
		const struct sa_set *other = set->hh.next;
		bool shared = false;

		for (; other && !shared; other = other->hh.next) {
			for (size_t k = 0; k < other->policy_count; k++)
				shared = shared || other->policy_index[k] == set->policy_index[i];
		}
		count -= shared;
	}
	return count;
}

/* Its record says what it is now. */
static void check_stored(const struct sa_set *set)
{
	uint8_t listener[LISTENER_RECORD_MAX_BYTES], expected[8192];
	const struct span record = {(const char *)listener,
				    listener_record_write(set->listener, listener)};
	const struct fake_record *stored = fake_store_record(set->serial, 0);
	const size_t bytes = set_record_bytes(set, record);

	assert_non_null(stored);
	assert_true(bytes <= sizeof(expected));
	set_record_write(set, record, expected);
	assert_int_equal(stored->bytes, bytes);
	assert_memory_equal(stored->data, expected, bytes);
}

static void check_set(const struct sa_set *set, bool exact_time, size_t *sas, size_t *policies)
{
	const struct sa_set *other;
	struct plan plan;

	sa_set_plan(set, &plan);
	assert_int_equal(plan.sa_count, set->ue.dialect == IPSEC_DIALECT_24229 ? 4 : 2);
	for (size_t i = 0; i < plan.sa_count; i++)
		check_sa(set, &plan.sas[i], exact_time);
	*sas += plan.sa_count;
	*policies += policies_of_this_one_alone(set);
	if (set->table->store)
		check_stored(set);
	check_flows(set);
	check_contact(set->contact);
	assert_ptr_equal(sa_table_by_id(world.table, set->id), set);
	for (other = set->hh.next; other; other = other->hh.next)
		check_no_shared_flow(set, other);
}

void world_check(bool exact_time)
{
	uint64_t count[SA_SET_GONE] = {0};
	const struct sa_set *set;
	size_t sas = 0, policies = 0;

	for (set = world.table->sets; set; set = set->hh.next) {
		check_set(set, exact_time, &sas, &policies);
		count[set->state]++;
	}
	assert_memory_equal(count, world.table->count, sizeof(count));
	if (world.table->store)
		assert_int_equal(fake_store_sets(), world_sets());
	assert_int_equal(fake_xfrm.sa_count, sas);
	assert_int_equal(fake_xfrm.policy_count, policies + world.other_policies);
	assert_int_equal(fake_timers_armed(), world_sets() + world.other_timers);
}
