/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/set_json.h"
#include "daemon/agreement_json.h"

#include <string.h>

void set_json_id(struct json_out *out, const struct sa_set *set)
{
	uint8_t bytes[sizeof(set->id)];
	char text[2 * sizeof(bytes) + 1];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(set->id >> (8 * (sizeof(bytes) - 1 - i)));
	text_to_hex(bytes, sizeof(bytes), text);
	json_put_text(out, text, 2 * sizeof(bytes));
}

void set_json_address(struct json_out *out, const char *name, const struct ip_addr *address)
{
	char text[IP_TEXT_BYTES];

	json_add_text(out, name, ip_format(address, text));
}

void set_json_endpoint(struct json_out *out, const struct ip_addr *address,
		       const struct ipsec_endpoint *endpoint)
{
	json_open(out, '{');
	set_json_address(out, "address", address);
	agreement_endpoint_json(out, endpoint);
	json_close(out, '}');
}

void set_json_brief(struct json_out *out, const struct sa_set *set)
{
	json_name(out, "set");
	set_json_id(out, set);
	json_add_text(out, "state", sa_set_state_name(set->state));
	json_add_text(out, "impi", set->impi);
	set_json_address(out, "ue", &set->ue_address);
	json_add_text(out, "listener", set->listener->name);
	json_add_text(out, "dialect", agreement_dialect_name(set->ue.dialect));
	json_name(out, "chosen");
	agreement_suite_json(out, &set->suite);
	json_add_number(out, "expires_in", sa_set_left_s(set));
}

void set_json_impu(struct json_out *out, const struct sa_set *set)
{
	const char *text = set->impu;

	json_open(out, '[');
	while (*text) {
		size_t n;

		text += *text == '\t'; /* impu.h */
		n = strcspn(text, "\n");
		json_put_text(out, text, n);
		text += n + (text[n] == '\n');
	}
	json_close(out, ']');
}

void set_json_detail(struct json_out *out, const struct sa_set *set)
{
	json_name(out, "impu");
	set_json_impu(out, set);
	json_name(out, "phone");
	set_json_endpoint(out, &set->ue_address, &set->ue);
	json_name(out, "pcscf");
	set_json_endpoint(out, &set->listener->address, &set->pcscf);
}

static void add_ago(struct json_out *out, const char *name, uint64_t real_s)
{
	const int64_t now = clock_realtime_s();

	json_name(out, name);
	if (real_s)
		json_put_number(out, now > (int64_t)real_s ? (uint64_t)now - real_s : 0);
	else
		json_put_null(out);
}

/* What the kernel says of it. */
static void add_counters(struct json_out *out, const struct xfrm_sa_stats *stats)
{
	const int64_t left = (int64_t)(stats->add_time + stats->hard_s) - clock_realtime_s();

	json_add_number(out, "bytes", stats->bytes);
	json_add_number(out, "packets", stats->packets);
	add_ago(out, "used_ago", stats->use_time);
	if (stats->hard_s)
		json_add_number(out, "hard_left", left > 0 ? (uint64_t)left : 0);
	else
		json_add_null(out, "hard_left");
	json_add_number(out, "replay_failed", stats->replay_failed);
	json_add_number(out, "integrity_failed", stats->integrity_failed);
}

void set_json_sa(struct json_out *out, const struct sa_set *set, const struct xfrm_sa *sa)
{
	const bool in = ip_equal(&sa->id.dst, &set->listener->address);

	json_add_text(out, "direction", in ? "in" : "out");
	json_add_number(out, "spi", sa->id.spi);
	set_json_address(out, "src", &sa->src);
	set_json_address(out, "dst", &sa->id.dst);
	json_add_number(out, "sport", sa->sel.sport);
	json_add_number(out, "dport", sa->sel.dport);
	json_add_text(out, "proto", sa->id.proto == IPPROTO_AH ? "ah" : "esp");
	json_add_text(out, "mode", sa->mode == XFRM_TUNNEL ? "tunnel" : "transport");
}

/* "lost" when the kernel has no such SA. */
static void put_counted_sa(struct json_out *out, const struct sa_set *set, const struct xfrm_sa *sa)
{
	struct xfrm_sa_stats stats;

	json_open(out, '{');
	set_json_sa(out, set, sa);
	if (xfrm_get_sa(set->table->xfrm, &sa->id, &stats) == 0)
		add_counters(out, &stats);
	else
		json_add_bool(out, "lost", true);
	json_close(out, '}');
}

static void add_encap_port(struct json_out *out, const struct sa_set *set)
{
	if (set->suite.mod != IPSEC_MOD_UDP_ENC_TUN)
		return;
	if (set->encap_remote_port)
		json_add_number(out, "encap_port", set->encap_remote_port);
	else
		json_add_null(out, "encap_port");
}

void set_json_full(struct json_out *out, const struct sa_set *set)
{
	char text[PACKED_TEXT_BYTES];
	struct plan plan;

	json_open(out, '{');
	set_json_brief(out, set);
	set_json_detail(out, set);
	json_add_number(out, "reqid", set->reqid);
	json_add_number(out, "own_policies", set->policy_count);
	add_encap_port(out, set);
	json_add_text(out, "security_client", packed_text(set->security_client, text));
	json_add_text(out, "security_server", packed_text(set->security_server, text));
	json_name(out, "sas");
	json_open(out, '[');
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count; i++)
		put_counted_sa(out, set, &plan.sas[i]);
	json_close(out, ']');
	json_close(out, '}');
}

static void put_place(struct json_out *out, const struct ip_addr *address, uint16_t port)
{
	json_open(out, '{');
	set_json_address(out, "address", address);
	if (port)
		json_add_number(out, "port", port);
	else
		json_add_null(out, "port");
	json_close(out, '}');
}

static void add_path(struct json_out *out, const char *name, const struct sa_set *set,
		     uint16_t local, uint16_t remote)
{
	json_name(out, name);
	json_open(out, '{');
	json_name(out, "local");
	put_place(out, &set->listener->address, local);
	json_name(out, "remote");
	put_place(out, &set->ue_address, remote);
	json_close(out, '}');
}

/* TS 33.203 7.1: our client port to the phone's server port, and the connection that the phone
 * opens; RFC 3329: port to port1, and from port2 if that is known. */
void set_json_route(struct json_out *out, const struct sa_set *set)
{
	const bool rfc3329 = set->ue.dialect == IPSEC_DIALECT_RFC3329;
	const uint16_t local = rfc3329 ? set->pcscf.port1 : set->pcscf.port_c;
	const uint16_t remote = rfc3329 ? set->ue.port1 : set->ue.port_s;

	json_open(out, '{');
	json_name(out, "set");
	set_json_id(out, set);
	json_add_text(out, "state", sa_set_state_name(set->state));
	json_add_text(out, "impi", set->impi);
	add_path(out, "udp", set, local, remote);
	add_path(out, "tcp", set, local, remote);
	add_path(out, "tcp_opened_by_phone", set, rfc3329 ? local : set->pcscf.port_s,
		 rfc3329 ? set->ue.port2 : set->ue.port_c);
	json_close(out, '}');
}
