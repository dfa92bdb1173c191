/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an HTTP/1.1 request ends in a stream of bytes, and the little of its head that matters
 * here. The stream may be cut anywhere. RFC 9112.
 */
#ifndef DAEMON_FRAME_HTTP_H
#define DAEMON_FRAME_HTTP_H

#include "daemon/frame_json.h"
#include "proto/text.h"

#define FRAME_HTTP_MAX_HEAD_BYTES (8 * 1024)
#define FRAME_HTTP_MAX_BODY_BYTES FRAME_JSON_MAX_BYTES

struct frame_http {
	size_t seen; /* bytes of the head that are looked at */
	size_t head_bytes, body_bytes; /* once the head is whole, 0 before */
	struct span method, target; /* inside the data of the last call */
	bool keep_alive;
	int status; /* after a failure: what to answer, 400 .. 505 */
};

/* Look at what is new of @data[0..@len), which starts where the last request ended.
 * Returns the length of the request, head and body, when it is complete; 0 when more is needed;
 * -EBADMSG when it will not be taken, see .status. Zero *@frame before the next. */
long frame_http_next(struct frame_http *frame, const char *data, size_t len);

#endif
