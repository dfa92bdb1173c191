/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol and the metrics over HTTP: one request in, its response out. Knows no
 * sockets. secagreed-control(7).
 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include "daemon/command.h"
#include "daemon/frame_http.h"

/* The response to a complete request that begins at @data, to be freed; NULL when memory is short.
 * @may_control: POST /rpc is served, too. *@ret_close: the connection ends with this response. */
char *http_handle(struct daemon *d, const struct frame_http *frame, char *data, bool may_control,
		  size_t *ret_bytes, bool *ret_close);

/* The response to a request that was not taken: @status of frame_http_next(). To be freed. */
char *http_refusal(int status, size_t *ret_bytes);

#endif
