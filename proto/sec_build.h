/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a list of security mechanisms, one validated piece after the other. Nothing can be
 * built that sec_header_parse() would refuse.
 */
#ifndef PROTO_SEC_BUILD_H
#define PROTO_SEC_BUILD_H

#include "sec_header.h"

/* The limits of a list, in one place. */
struct sec_limits {
	size_t bytes;      /* of the whole value as sec_header_write() writes it */
	size_t mechanisms; /* entries in the list */
	size_t params;     /* of one mechanism, q among them */
	size_t word_bytes; /* of one name or one value, with quotes and escapes */
};

/* Those of the parser: nothing may be larger. */
extern const struct sec_limits sec_limits_max;

/* A list under construction. Owned by the caller from sec_build_init() to sec_build_done(); its
 * members are nobody else's. */
struct sec_build {
	struct sec_limits limits;
	char *text; /* limits.bytes and a NUL */
	size_t n;
	size_t mechanism_count;
	size_t param_count;                      /* of the last mechanism */
	uint16_t name_at[SEC_MAX_PARAMS];        /* its parameter names, in text */
	uint16_t name_bytes[SEC_MAX_PARAMS];
	int16_t q_milli[SEC_MAX_MECHANISMS];     /* -1 = none */
};

/* Begin an empty list. @limits NULL: those of the parser; larger ones are cut to them.
 * Returns 0 or -ENOMEM. */
int sec_build_init(struct sec_build *build, const struct sec_limits *limits);
void sec_build_done(struct sec_build *build); /* also after sec_build_finish(); twice is fine */

/* Each of these adds one thing and returns 0; or, with @build unchanged,
 * -EINVAL: not a legal name or value, or there is no mechanism yet;
 * -EEXIST: that parameter is there already in this mechanism, that q in this list (RFC 3329 2.2);
 * -E2BIG: a limit; -ENOMEM. Names and tokens become lower case. */

/* Begin the next entry; @name: any token. */
int sec_build_mechanism(struct sec_build *build, struct span name);

/* A parameter without a value. */
int sec_build_flag(struct sec_build *build, struct span name);

/* @value: a token, or an IPv6 address in brackets. q, d-alg, d-qop have their own grammar. */
int sec_build_token(struct sec_build *build, struct span name, struct span value);

/* @text: UTF-8 without control characters but HTAB; quotes and escapes are added. d-ver is 32 lower
 * case hex digits; q, d-alg and d-qop are never quoted. */
int sec_build_quoted(struct sec_build *build, struct span name, struct span text);

/* @q_milli: 0..1000, thousandths. */
int sec_build_q(struct sec_build *build, int q_milli);

/* Give the list that was built; it goes to sec_header_done(), @build to sec_build_done().
 * Returns 0, -EINVAL (empty), -ENOMEM. */
int sec_build_finish(const struct sec_build *build, struct sec_header *ret);

/* The first mechanism @name at or behind index @from, without case; mechanism_count when there is
 * none. Its parameters: sec_mechanism_param(). */
size_t sec_build_find(const struct sec_header *list, struct span name, size_t from);

/* A qvalue of at most three decimals, without zeros at its end: "0.25", "1", "0". RFC 3261 25.1.
 * @q_milli: 0..1000. @ret is terminated by NUL. */
#define SEC_Q_BYTES 6
void sec_build_q_text(int q_milli, char ret[static SEC_Q_BYTES]);

#endif
