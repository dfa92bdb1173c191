/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three resources. POST /rpc takes what the control socket takes, a request or a batch, and
 * answers 200 with the same text, errors of the protocol too; 204 when no answer is due. GET
 * /metrics is for Prometheus, GET /healthz says that the loop turns. No query strings, no HEAD, no
 * content types: whoever asks knows what it gets.
 */
#include "daemon/http.h"
#include "daemon/metrics.h"
#include "daemon/rpc.h"
#include "daemon/wipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"

struct body {
	const char *type;
	char *bytes; /* NULL: there is none, or memory is short */
	size_t n;
};

static const char *phrase_of(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} PHRASES[] = {
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(PHRASES) / sizeof(PHRASES[0]); i++) {
		if (PHRASES[i].status == status)
			return PHRASES[i].phrase;
	}
	return "Internal Server Error";
}

/* @allow: for a 405, else NULL. Frees the body. RFC 9112 4. */
static char *respond(int status, const char *allow, struct body *body, bool close,
		     size_t *ret_bytes)
{
	char *response = NULL;
	FILE *out = open_memstream(&response, ret_bytes);

	if (!out) {
		free(body->bytes);
		return NULL;
	}
	fprintf(out, "HTTP/1.1 %d %s\r\n", status, phrase_of(status));
	if (allow)
		fprintf(out, "Allow: %s\r\n", allow);
	if (body->bytes)
		fprintf(out, "Content-Type: %s\r\n", body->type);
	if (status != 204)
		fprintf(out, "Content-Length: %zu\r\n", body->n);
	fprintf(out, "Connection: %s\r\n\r\n", close ? "close" : "keep-alive");
	if (body->bytes)
		fwrite(body->bytes, 1, body->n, out);
	free(body->bytes);
	if (fclose(out) == 0)
		return response;
	free(response);
	return NULL;
}

static struct body sentence(const char *text)
{
	struct body body = { .type = TEXT_TYPE };

	if (asprintf(&body.bytes, "%s\n", text) < 0)
		body.bytes = NULL;
	body.n = body.bytes ? strlen(body.bytes) : 0;
	return body;
}

/* ---- resources; each returns the status ---- */

static int get_health(struct daemon *d, char *request, size_t len, struct body *ret)
{
	(void)d;
	(void)request;
	(void)len;
	*ret = sentence("ok");
	return 200;
}

static int get_metrics(struct daemon *d, char *request, size_t len, struct body *ret)
{
	(void)request;
	(void)len;
	ret->type = METRICS_TYPE;
	ret->bytes = metrics_text(d, &ret->n);
	return ret->bytes ? 200 : 500;
}

static int post_rpc(struct daemon *d, char *request, size_t len, struct body *ret)
{
	char *reply = rpc_handle(d, request, len);

	if (!reply)
		return 204;
	*ret = sentence(reply);
	ret->type = JSON_TYPE;
	wipe_free(reply);
	return ret->bytes ? 200 : 500;
}

static const struct resource {
	const char *path;
	const char *method;
	bool controls;
	int (*run)(struct daemon *d, char *request, size_t len, struct body *ret);
} RESOURCES[] = {
	{ "/rpc", "POST", true, post_rpc },
	{ "/metrics", "GET", false, get_metrics },
	{ "/healthz", "GET", false, get_health },
	{ NULL, NULL, false, NULL },
};

char *http_handle(struct daemon *d, const struct frame_http *frame, char *data, bool may_control,
		  size_t *ret_bytes, bool *ret_close)
{
	const struct resource *r = RESOURCES;
	struct body body = { 0 };
	const char *allow = NULL;
	int status = 404;

	while (r->path && (!span_equal(frame->target, span_of(r->path)) ||
			   (r->controls && !may_control)))
		r++;
	if (r->path && span_equal(frame->method, span_of(r->method))) {
		status = r->run(d, data + frame->head_bytes, frame->body_bytes, &body);
	} else if (r->path) {
		status = 405;
		allow = r->method;
	}
	if (status >= 400)
		body = sentence(phrase_of(status));
	*ret_close = !frame->keep_alive;
	return respond(status, allow, &body, *ret_close, ret_bytes);
}

char *http_refusal(int status, size_t *ret_bytes)
{
	struct body body = sentence(phrase_of(status));

	return respond(status, NULL, &body, true, ret_bytes);
}
