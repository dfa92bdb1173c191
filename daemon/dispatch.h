/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a method's name and its params to a result or an error, as JSON. The one way that all
 * framings take; what the bytes on the wire look like is theirs (rpc.h, resp.h, http.h).
 */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include "daemon/command.h"

/* JSON-RPC 2.0 5.1; the other framings know only the reasons that go with them. */
enum dispatch_code {
	DISPATCH_PARSE_ERROR = -32700,
	DISPATCH_INVALID_REQUEST = -32600,
	DISPATCH_METHOD_NOT_FOUND = -32601,
	DISPATCH_INVALID_PARAMS = -32602,
	DISPATCH_REFUSED = -32000, /* error.data.reason says why */
};

/* Do @method. @params: as sent, borrowed; NULL = none. Returns true with the method's result in
 * *@ret, or false with an object of "code", "message" and "data"; a new reference in both cases,
 * NULL when memory is short. */
bool dispatch(struct daemon *d, const char *method, json_t *params, json_t **ret);

/* An error object for what never became a request. @message: a sentence. */
json_t *dispatch_error(enum dispatch_code code, const char *message);

/* Parse one JSON text within the limits of frame_json.h. NULL: @ret_why says where it is wrong, and
 * never holds anything of the text, which may carry keys. */
json_t *dispatch_parse(const char *text, size_t len, char *ret_why, size_t why_cap);

/* One line of JSON in plain memory, to be freed; NULL when memory is short. @json is stolen. */
char *dispatch_text(json_t *json);

/* Have jansson wipe what it frees: requests carry keys. Call once, before any other use. */
void dispatch_init(void);

#endif
