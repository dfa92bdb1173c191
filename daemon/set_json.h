/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set as the control protocol shows it. Each writes one value.
 */
#ifndef DAEMON_SET_JSON_H
#define DAEMON_SET_JSON_H

#include "daemon/sa_table.h"
#include "daemon/json/json.h"

void set_json_id(struct json_out *out, const struct sa_set *set);

/* {address, spi_c, spi_s, port_c, port_s} or {address, spi, port1, port2} */
void set_json_endpoint(struct json_out *out, const struct ip_addr *address,
		       const struct ipsec_endpoint *endpoint);

/* One line of sa.list, as members of the object under work. */
void set_json_brief(struct json_out *out, const struct sa_set *set);

/* The identities and both endpoints, as members of the object under work. */
void set_json_detail(struct json_out *out, const struct sa_set *set);

/* What names an SA of @set, and what it is for, as members of the object under work. */
void set_json_sa(struct json_out *out, const struct sa_set *set, const struct xfrm_sa *sa);

/* sa.show: with the SAs and their counters, asked from the kernel. */
void set_json_full(struct json_out *out, const struct sa_set *set);

/* sa.route: from and to where a request to the phone goes over @set. */
void set_json_route(struct json_out *out, const struct sa_set *set);

/* An address as a member of the object under work. */
void set_json_address(struct json_out *out, const char *name, const struct ip_addr *address);

/* The public identities that are registered over it, as an array. */
void set_json_impu(struct json_out *out, const struct sa_set *set);

#endif
