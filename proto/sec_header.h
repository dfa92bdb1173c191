/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security-Client, Security-Server, Security-Verify: the grammar of RFC 3329 2.2, whatever the
 * mechanism. What the parameters of ipsec-3gpp mean is ipsec3gpp.h.
 */
#ifndef PROTO_SEC_HEADER_H
#define PROTO_SEC_HEADER_H

#include "text.h"

/* What one header may hold. Real phones send up to 12 mechanisms of 8 parameters in 1.5 KiB. */
#define SEC_MAX_BYTES      16384 /* all lines of one header together, without their names */
#define SEC_MAX_LINES      64
#define SEC_MAX_MECHANISMS 64
#define SEC_MAX_PARAMS     32  /* of one mechanism */
#define SEC_MAX_WORD_BYTES 256 /* of one name or one value */

enum sec_header_kind {
	SEC_CLIENT,
	SEC_SERVER,
	SEC_VERIFY,
};

enum sec_value_kind {
	SEC_VALUE_NONE,   /* a flag: the name alone */
	SEC_VALUE_TOKEN,  /* a token or a host; folded case */
	SEC_VALUE_QUOTED, /* a quoted-string of UTF-8, with its quotes and escapes as written */
};

struct sec_param {
	struct span name; /* as written; compare without case */
	struct span value; /* of a flag: empty, where the name ends */
	enum sec_value_kind kind;
};

struct sec_mechanism {
	struct span name;
	const struct sec_param *params; /* in the order of appearance, q among them */
	size_t param_count;
	int q_milli;   /* 0..1000, or -1 when no q was given (RFC 3329 has no default) */
	size_t line;   /* where the entry stands, for errors found later */
	size_t offset;
};

/* Where and why a text was refused. @why is a sentence of ours, never input bytes. */
struct sec_error {
	size_t line;     /* index of the header line, from 0 */
	size_t offset;   /* bytes into that line's value */
	char why[120];   /* one clause without a final stop */
};

struct sec_header {
	struct sec_mechanism *mechanisms;
	size_t mechanism_count;
	struct sec_param *params; /* all of them; the mechanisms point into it */
	char *text;               /* copy of the lines; the spans point into it */
};

/* "Security-Client" ...; and back, case folded, no compact forms (RFC 3329 6.3). -ENOENT: none. */
const char *sec_header_name(enum sec_header_kind kind);
int sec_header_kind_of(struct span name, enum sec_header_kind *ret_kind);

/* Parse the values of all lines of one header, in order of appearance: they form one list
 * (RFC 3329 4.1). @lines are copied. On success @ret owns memory, to be given to
 * sec_header_done(). @ret_error may be NULL. Refused: bad syntax, a parameter twice in one
 * mechanism (RFC 3261 7.3.1), a q twice in one list (RFC 3329 2.2), anything above the limits, an
 * empty list. Returns 0, -EINVAL (see @ret_error), -E2BIG (a limit; see @ret_error), -ENOMEM. */
int sec_header_parse(const struct span *lines, size_t line_count, struct sec_header *ret,
		     struct sec_error *ret_error);
void sec_header_done(struct sec_header *header);

/* The parameter @name (lower case), or NULL. */
const struct sec_param *sec_mechanism_param(const struct sec_mechanism *m, const char *name);

/* What a quoted value says: without its quotes, escapes resolved, each fold one SP
 * (RFC 3261 7.3.1). @quoted is the value of a SEC_VALUE_QUOTED. Returns the number of bytes
 * written; there is no NUL. */
size_t sec_value_unquote(struct span quoted, char ret[static SEC_MAX_WORD_BYTES]);

/* Write the list in canonical form, on one line: names and tokens in lower case, ", " between the
 * mechanisms and no other space ("a;x=1, b"), quoted strings as they were but for folds, each of
 * which becomes one SP. It parses back to an equal list, unless the spaces between the mechanisms
 * have made it longer than SEC_MAX_BYTES.
 * @cap includes the NUL. Returns the length without NUL, or -ENOSPC (then @buf is ""). */
int sec_header_write(const struct sec_header *header, char *buf, size_t cap);

/* Fill @error, unless it is NULL; the sentence is cut when it is too long. Returns -EINVAL, for
 * "return". */
int sec_error_set(struct sec_error *error, size_t line, size_t offset, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
