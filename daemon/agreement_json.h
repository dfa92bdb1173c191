/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security headers, selections and comparisons as JSON: one form for `secagreectl` without a daemon
 * and for the daemon's agreement.* and sa.offer. secagreed-control(7), secagreectl(8).
 *
 * Functions that return a json_t give a new reference, NULL when out of memory.
 */
#ifndef DAEMON_AGREEMENT_JSON_H
#define DAEMON_AGREEMENT_JSON_H

#include <jansson.h>

#include "proto/compare.h"
#include "proto/select.h"

/* How all of it is written: one line, q as it was given (0.1, not 0.1000000000000000055), and plain
 * ASCII, since a phone's quoted strings may end up on a terminal. */
#define AGREEMENT_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII)

/* One header, read twice: as a list of mechanisms and as what ipsec-3gpp means by it. */
struct agreement {
	enum sec_header_kind kind;
	struct sec_header header;
	bool has_ipsec; /* else there is no ipsec-3gpp entry in it, and @ipsec is not set */
	struct ipsec3gpp ipsec;
};

/* Parse the values of all lines of one header of @kind. @lines are copied. On success @ret owns
 * memory: agreement_done(). Returns 0, -EINVAL or -E2BIG (see @ret_error), -ENOMEM. */
int agreement_read(enum sec_header_kind kind, const struct span *lines, size_t line_count,
		   struct agreement *ret, struct sec_error *ret_error);
void agreement_done(struct agreement *a);

/* {"header","mechanisms":[{"name","q","parameters":[[name,value|null],..]},..],
 * "ipsec_3gpp":{"dialect","spi_c","spi_s","port_c","port_s" | "spi","port1","port2",
 * "offers":[{"alg","ealg","prot","mod","usable"},..]}|null} */
json_t *agreement_parse_json(const struct agreement *a);

/* {"alg","ealg","prot","mod"} */
json_t *agreement_suite_json(const struct ipsec_suite *suite);

/* [{"alg","ealg","prot","mod","verdict","why"},..], one for each offer, in the phone's order and
 * words.
 * @offered may be NULL (no ipsec-3gpp): []. */
json_t *agreement_considered_json(const struct ipsec3gpp *offered,
				  const struct select_result *result);

/* {"selected":suite|null,"considered":[..]}. @offered may be NULL: nothing selected. */
json_t *agreement_select_json(const struct ipsec3gpp *offered, const struct select_result *result);

/* Add the SPIs and ports to @object, in @endpoint's dialect; 0 becomes null.
 * Returns 0 or -ENOMEM (then @object has some of them). */
int agreement_endpoint_add_json(const struct ipsec_endpoint *endpoint, json_t *object);

/* {"equal":true}, or {"equal":false,"difference":@difference} when @difference is not NULL. */
json_t *agreement_compare_json(const char *difference);

/* "24.229" or "rfc3329" */
const char *agreement_dialect_name(enum ipsec_dialect dialect);

#endif
