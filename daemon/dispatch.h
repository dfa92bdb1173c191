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

/* Why there is no result. */
struct fault {
	enum dispatch_code code;
	char why[160];          /* a sentence; unless DISPATCH_REFUSED */
	struct refusal refusal; /* DISPATCH_REFUSED */
};

/* Do @method. @params: as sent, NULL = none. Returns true and has written the method's result to
 * @out; or false, and has written nothing. */
bool dispatch(struct daemon *d, const char *method, const struct json_node *params,
	      struct json_out *out, struct fault *ret_fault);

/* A fault of what never became a request. @why: a sentence. */
void dispatch_fault(struct fault *ret, enum dispatch_code code, const char *why);

/* The stable word and the sentence. */
const char *dispatch_fault_reason(const struct fault *fault);
const char *dispatch_fault_text(const struct fault *fault);

/* Write it as an object of "code", "message" and "data". */
void dispatch_fault_json(struct json_out *out, const struct fault *fault);

/* Read one JSON text, an object or an array, as json_read() does: @text is changed and must outlive
 * *@ret. Returns 0, and json_tree_done() is due; -EINVAL: @ret_why says where it is wrong, and
 * never holds anything of the text, which may carry keys. */
int dispatch_parse(char *text, size_t len, struct json_tree *ret, char *ret_why, size_t why_cap);

#endif
