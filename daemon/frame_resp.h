/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a command of RESP2 ends in a stream of bytes, and what its arguments are. The stream may
 * be cut anywhere.
 */
#ifndef DAEMON_FRAME_RESP_H
#define DAEMON_FRAME_RESP_H

#include <stddef.h>

#include "proto/text.h"

#define FRAME_RESP_MAX_ARGS  16
#define FRAME_RESP_MAX_BYTES (256 * 1024) /* of one command with its framing */

struct frame_resp {
	size_t seen;        /* bytes that are done with */
	size_t count;       /* arguments that the command has, 0 = its first line is not read yet */
	size_t have;        /* arguments read so far */
	size_t bytes;       /* of the argument that comes next ... */
	bool has_bytes;     /* ... when its own first line is read */
	size_t at[FRAME_RESP_MAX_ARGS], length[FRAME_RESP_MAX_ARGS]; /* where they are */
	const char *fault;  /* after a failure: a sentence */
};

/* Look at what is new of @data[0..@len), which starts where the last command ended.
 * Returns the length of the command when it is complete (.count arguments; an empty command has
 * none); 0 when more is needed; -EBADMSG when it is none, see .fault. Zero *@frame before the
 * next. */
long frame_resp_next(struct frame_resp *frame, const char *data, size_t len);

/* Argument @i of a complete command, inside @data; empty when it has not so many. */
struct span frame_resp_arg(const struct frame_resp *frame, const char *data, size_t i);

#endif
