/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security headers, selections and comparisons as JSON: one form for `secagreectl` without a daemon
 * and for the daemon's agreement.* and sa.offer. secagreed-control(7), secagreectl(8).
 *
 * Each writes one value, where nothing else is said.
 */
#ifndef DAEMON_AGREEMENT_JSON_H
#define DAEMON_AGREEMENT_JSON_H

#include "daemon/json/json.h"
#include "proto/compare.h"
#include "proto/select.h"
#include "proto/server_list.h"

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
void agreement_parse_json(struct json_out *out, const struct agreement *a);

/* {"alg","ealg","prot","mod"} */
void agreement_suite_json(struct json_out *out, const struct ipsec_suite *suite);

/* [{"alg","ealg","prot","mod","verdict","why"},..], one for each offer, in the phone's order and
 * words.
 * @offered may be NULL (no ipsec-3gpp): []. */
void agreement_considered_json(struct json_out *out, const struct ipsec3gpp *offered,
			       const struct select_result *result);

/* What a listener with @mechanisms and @policy takes of what @a offers; nothing where ipsec-3gpp is
 * not one of its mechanisms. */
void agreement_select(const struct agreement *a, const struct server_list *mechanisms,
		      const struct select_policy *policy, bool nat, struct select_result *ret);

/* {"selected":suite|null,"considered":[..]}. @offered may be NULL: nothing selected. */
void agreement_select_json(struct json_out *out, const struct ipsec3gpp *offered,
			   const struct select_result *result);

/* The SPIs and ports as members of the object under work, in @endpoint's dialect; 0 becomes null.
 */
void agreement_endpoint_json(struct json_out *out, const struct ipsec_endpoint *endpoint);

/* {"equal":true}, or {"equal":false,"difference":@difference} when @difference is not NULL. */
void agreement_compare_json(struct json_out *out, const char *difference);

/* "24.229" or "rfc3329" */
const char *agreement_dialect_name(enum ipsec_dialect dialect);

#endif
