/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/set_json.h"
#include "daemon/agreement_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

json_t *set_json_id(const struct sa_set *set)
{
	return json_sprintf("%016" PRIx64, set->id);
}

static json_t *address_json(const struct ip_addr *address)
{
	char text[IP_TEXT_BYTES];

	return json_string(ip_format(address, text));
}

json_t *set_json_endpoint(const struct ip_addr *address, const struct ipsec_endpoint *endpoint)
{
	json_t *json = json_pack("{s:o}", "address", address_json(address));

	if (json && agreement_endpoint_add_json(endpoint, json) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *set_json_brief(const struct sa_set *set)
{
	return json_pack("{s:o, s:s, s:s, s:o, s:s, s:s, s:o, s:I}", "set", set_json_id(set),
			 "state", sa_set_state_name(set->state), "impi", set->impi, "ue",
			 address_json(&set->ue_address), "listener", set->listener->name, "dialect",
			 agreement_dialect_name(set->ue.dialect), "chosen",
			 agreement_suite_json(&set->suite), "expires_in",
			 (json_int_t)sa_set_left_s(set));
}

static json_t *lines_json(const char *text)
{
	json_t *array = json_array();

	while (array && *text) {
		size_t n;

		text += *text == '\t'; /* impu.h */
		n = strcspn(text, "\n");
		json_array_append_new(array, json_stringn(text, n));
		text += n + (text[n] == '\n');
	}
	return array;
}

json_t *set_json_impu(const struct sa_set *set)
{
	return lines_json(set->impu);
}

static json_t *ago_json(uint64_t real_s)
{
	const int64_t now = clock_realtime_s();

	if (!real_s)
		return json_null();
	return json_integer(now > (int64_t)real_s ? now - (int64_t)real_s : 0);
}

/* What the kernel says of it; "lost" when it has no such SA. */
static void add_counters(json_t *sa, const struct xfrm_sa_stats *stats)
{
	const int64_t left = (int64_t)(stats->add_time + stats->hard_s) - clock_realtime_s();

	json_object_set_new(sa, "bytes", json_integer((json_int_t)stats->bytes));
	json_object_set_new(sa, "packets", json_integer((json_int_t)stats->packets));
	json_object_set_new(sa, "used_ago", ago_json(stats->use_time));
	json_object_set_new(sa, "hard_left",
			    stats->hard_s ? json_integer(left > 0 ? left : 0) : json_null());
	json_object_set_new(sa, "replay_failed", json_integer(stats->replay_failed));
	json_object_set_new(sa, "integrity_failed", json_integer(stats->integrity_failed));
}

json_t *set_json_sa(const struct sa_set *set, const struct xfrm_sa *sa)
{
	const bool in = ip_equal(&sa->id.dst, &set->listener->address);

	return json_pack("{s:s, s:I, s:o, s:o, s:i, s:i, s:s, s:s}", "direction",
				 in ? "in" : "out", "spi", (json_int_t)sa->id.spi, "src",
				 address_json(&sa->src), "dst", address_json(&sa->id.dst), "sport",
				 sa->sel.sport, "dport", sa->sel.dport, "proto",
				 sa->id.proto == IPPROTO_AH ? "ah" : "esp", "mode",
				 sa->mode == XFRM_TUNNEL ? "tunnel" : "transport");
}

static json_t *counted_sa_json(const struct sa_set *set, const struct xfrm_sa *sa)
{
	json_t *json = set_json_sa(set, sa);
	struct xfrm_sa_stats stats;

	if (!json)
		return NULL;
	if (xfrm_get_sa(set->table->xfrm, &sa->id, &stats) == 0)
		add_counters(json, &stats);
	else
		json_object_set_new(json, "lost", json_true());
	return json;
}

json_t *set_json_full(const struct sa_set *set)
{
	json_t *json = set_json_brief(set);
	json_t *sas = json_array();
	struct plan plan;

	if (!json || !sas) {
		json_decref(json);
		json_decref(sas);
		return NULL;
	}
	json_object_set_new(json, "impu", set_json_impu(set));
	json_object_set_new(json, "phone", set_json_endpoint(&set->ue_address, &set->ue));
	json_object_set_new(json, "pcscf",
			    set_json_endpoint(&set->listener->address, &set->pcscf));
	json_object_set_new(json, "reqid", json_integer((json_int_t)set->reqid));
	json_object_set_new(json, "own_policies", json_integer((json_int_t)set->policy_count));
	if (set->suite.mod == IPSEC_MOD_UDP_ENC_TUN)
		json_object_set_new(json, "encap_port",
				    set->encap_remote_port ? json_integer(set->encap_remote_port)
							   : json_null());
	json_object_set_new(json, "security_client", json_string(set->security_client));
	json_object_set_new(json, "security_server", json_string(set->security_server));
	sa_set_plan(set, &plan);
	for (size_t i = 0; i < plan.sa_count; i++)
		json_array_append_new(sas, counted_sa_json(set, &plan.sas[i]));
	json_object_set_new(json, "sas", sas);
	return json;
}

static json_t *path_json(const struct sa_set *set, uint16_t local, uint16_t remote)
{
	return json_pack("{s:{s:o, s:i}, s:{s:o, s:o}}", "local", "address",
			 address_json(&set->listener->address), "port", local, "remote", "address",
			 address_json(&set->ue_address), "port",
			 remote ? json_integer(remote) : json_null());
}

/* TS 33.203 7.1: our client port to the phone's server port, and the connection that the phone
 * opens; RFC 3329: port to port1, and from port2 if that is known. */
json_t *set_json_route(const struct sa_set *set)
{
	const bool rfc3329 = set->ue.dialect == IPSEC_DIALECT_RFC3329;
	const uint16_t local = rfc3329 ? set->pcscf.port1 : set->pcscf.port_c;
	const uint16_t remote = rfc3329 ? set->ue.port1 : set->ue.port_s;
	json_t *path = path_json(set, local, remote);
	json_t *opened = path_json(set, rfc3329 ? local : set->pcscf.port_s,
				   rfc3329 ? set->ue.port2 : set->ue.port_c);

	return json_pack("{s:o, s:s, s:s, s:O, s:o, s:o}", "set", set_json_id(set), "state",
			 sa_set_state_name(set->state), "impi", set->impi, "udp", path, "tcp", path,
			 "tcp_opened_by_phone", opened);
}
