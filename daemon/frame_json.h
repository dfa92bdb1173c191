/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a JSON value ends in a stream of bytes. Looks at each byte once, however the stream is cut.
 */
#ifndef DAEMON_FRAME_JSON_H
#define DAEMON_FRAME_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define FRAME_JSON_MAX_DEPTH 32
#define FRAME_JSON_MAX_BYTES (256 * 1024)

struct frame_json {
	size_t seen;    /* bytes looked at so far */
	unsigned depth; /* of { and [ */
	bool in_string, escaped, begun;
};

/* Look at what is new of @data[0..@len), which starts where the last value ended.
 * Returns the length of the value (with the white space before it) when it is complete, and is then
 * ready for the next; 0 when more is needed; -EBADMSG when it begins with neither { nor [ or closes
 * more than it opened; -E2BIG for more than FRAME_JSON_MAX_DEPTH or _BYTES. */
long frame_json_next(struct frame_json *frame, const char *data, size_t len);

#endif
