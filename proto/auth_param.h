/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parameters of a digest Authorization or WWW-Authenticate as they stand in the message
 * (RFC 2617 3.2, RFC 3310, TS 24.229 7.2A.1, 7.2A.2), for those that others drop: ck, ik, auts,
 * integrity-protected, an empty nonce or response.
 */
#ifndef PROTO_AUTH_PARAM_H
#define PROTO_AUTH_PARAM_H

#include "text.h"

#define AUTH_MAX_PARAMS 32

struct auth_param {
	struct span all; /* name, equals sign, value */
	struct span name;
	struct span value; /* as written, with its quotes */
};

/* Points into the text that it was read from. */
struct auth {
	struct span text;
	struct auth_param params[AUTH_MAX_PARAMS]; /* in the order of appearance */
	size_t count;
};

/* @value: of one header line. Empty elements (", ,") are passed over.
 * Returns 0, -ENOENT (another scheme than Digest), -EBADMSG (malformed, or a parameter twice),
 * -E2BIG. @ret is untouched on failure. */
int auth_read(struct span value, struct auth *ret);

/* Without case; NULL: there is none. */
const struct auth_param *auth_find(const struct auth *auth, const char *name);

/* Is it there and not empty? */
bool auth_has(const struct auth *auth, const char *name);

/* What the value says: quotes taken off, escapes resolved. @cap includes the NUL. Returns the
 * length; -ENOENT (no such parameter), -EBADMSG (anything but printable ASCII and spaces), -ENOSPC;
 * on failure
 * @buf is "". */
int auth_text(const struct auth *auth, const char *name, char *buf, size_t cap);

/* @bytes of key from as many pairs of hexadecimal digits, quoted or not. Nothing of it is copied
 * elsewhere. Returns 0, -ENOENT, -EBADMSG; on failure @ret is cleared. */
int auth_key(const struct auth *auth, const char *name, uint8_t *ret, size_t bytes);

#endif
