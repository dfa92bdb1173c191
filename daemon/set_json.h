/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set as the control protocol shows it. New references; NULL when memory is short.
 */
#ifndef DAEMON_SET_JSON_H
#define DAEMON_SET_JSON_H

#include <jansson.h>

#include "daemon/sa_table.h"

json_t *set_json_id(const struct sa_set *set);

/* {address, spi_c, spi_s, port_c, port_s} or {address, spi, port1, port2} */
json_t *set_json_endpoint(const struct ip_addr *address, const struct ipsec_endpoint *endpoint);

/* One line of sa.list. */
json_t *set_json_brief(const struct sa_set *set);

/* What names an SA of @set, and what it is for. */
json_t *set_json_sa(const struct sa_set *set, const struct xfrm_sa *sa);

/* sa.show: with the SAs and their counters, asked from the kernel. */
json_t *set_json_full(const struct sa_set *set);

/* sa.route: from and to where a request to the phone goes over @set. */
json_t *set_json_route(const struct sa_set *set);

/* The public identities that are registered over it, as an array. */
json_t *set_json_impu(const struct sa_set *set);

#endif
