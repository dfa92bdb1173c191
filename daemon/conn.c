/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection reads bytes, has a framing cut requests from them, and writes the answers in the
 * order of the requests. Clients may send many requests before they read (pipelining), and may
 * close their sending half and still get their answers.
 *
 * Nothing waits for a client: one that does not read its answers has its next requests wait, one
 * that does not read its events loses some and is told how many. What cannot be framed ends the
 * connection after one last answer; no other notices. HTTP connections, which strangers may reach,
 * have a time by which a request must be there.
 *
 * Input carries keys, and so may output (sa.export_keys). Input is kept in a buffer of the
 * connection's own and wiped; output is libevent's, which wipes what it frees (conn_init). What is
 * on its way through the kernel is out of reach.
 */
#include "daemon/conn.h"
#include "daemon/event_json.h"
#include "daemon/frame_http.h"
#include "daemon/frame_json.h"
#include "daemon/frame_resp.h"
#include "daemon/http.h"
#include "daemon/log.h"
#include "daemon/resp.h"
#include "daemon/rpc.h"
#include "daemon/wipe.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_START        4096
#define IN_MAX          (FRAME_JSON_MAX_BYTES + FRAME_HTTP_MAX_HEAD_BYTES)
#define OUT_HIGH_BYTES  (1024 * 1024)
#define OUT_EVENT_BYTES (256 * 1024) /* events are written as long as less than this waits */
#define HTTP_REQUEST_S  30           /* from one answer, or the start, to the next request */

struct conn {
	struct daemon *daemon;
	enum conn_door door;
	int fd;
	struct ucred peer; /* who connected */
	void (*closed)(struct conn *conn, void *arg);
	void *arg;
	struct event *reader, *writer;
	struct event *deadline; /* HTTP only */

	/* Cuts a request off @in and answers it: the bytes that it took, 0 = more are needed, or
	 * -errno, and the last answer is written. NULL before the first byte. */
	long (*take)(struct conn *c, const char *in, size_t len);
	union {
		struct frame_json json;
		struct frame_resp resp;
		struct frame_http http;
	} frame;
	struct subscriber subscriber; /* JSON only */

	char *in;
	size_t in_len, in_cap;
	struct evbuffer *out;
	bool eof;     /* the peer sends no more; what it sent is still answered */
	bool closing; /* no more requests are taken */
};

void conn_free(struct conn *c)
{
	if (!c)
		return;
	if (c->reader)
		event_free(c->reader);
	if (c->writer)
		event_free(c->writer);
	if (c->deadline)
		event_free(c->deadline);
	if (c->out)
		evbuffer_free(c->out);
	if (c->in)
		explicit_bzero(c->in, c->in_cap);
	free(c->in);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void conn_end(struct conn *c)
{
	c->closed(c, c->arg);
	conn_free(c);
}

/* Frees @bytes. An answer that cannot be written ends the connection, or the next would be taken
 * for it. */
static void put(struct conn *c, char *bytes, size_t n)
{
	if (bytes && evbuffer_add(c->out, bytes, n) < 0)
		c->closing = true;
	wipe_free(bytes);
}

static void put_line(struct conn *c, char *text)
{
	if (text && (evbuffer_add(c->out, text, strlen(text)) < 0 ||
		     evbuffer_add(c->out, "\n", 1) < 0))
		c->closing = true;
	wipe_free(text);
}

/* ---- framings ---- */

static long take_json(struct conn *c, const char *in, size_t len)
{
	const long n = frame_json_next(&c->frame.json, in, len);

	if (n > 0) {
		c->daemon->caller = &c->subscriber;
		c->daemon->peer = &c->peer;
		put_line(c, rpc_handle(c->daemon, in, (size_t)n));
		c->daemon->caller = NULL;
		c->daemon->peer = NULL;
	} else if (n < 0) {
		put_line(c, rpc_parse_error(n == -E2BIG
						    ? "the value is too large or too deep"
						    : "a request begins with { or [, one of RESP2 "
						      "with *"));
	}
	return n;
}

static long take_resp(struct conn *c, const char *in, size_t len)
{
	const long n = frame_resp_next(&c->frame.resp, in, len);
	size_t bytes = 0;
	bool quit;
	char *reply;

	if (n > 0) {
		reply = resp_handle(c->daemon, &c->frame.resp, in, &bytes, &quit);
		put(c, reply, bytes);
		c->closing |= quit;
		memset(&c->frame.resp, 0, sizeof(c->frame.resp));
	} else if (n < 0) {
		reply = resp_protocol_error(c->frame.resp.fault, &bytes);
		put(c, reply, bytes);
	}
	return n;
}

static void set_deadline(struct conn *c)
{
	static const struct timeval LATER = { .tv_sec = HTTP_REQUEST_S };

	event_add(c->deadline, &LATER);
}

static long take_http(struct conn *c, const char *in, size_t len)
{
	const long n = frame_http_next(&c->frame.http, in, len);
	size_t bytes = 0;
	bool close;
	char *reply;

	if (n > 0) {
		reply = http_handle(c->daemon, &c->frame.http, in, c->door == CONN_HTTP, &bytes,
				    &close);
		put(c, reply, bytes);
		c->closing |= close || !reply;
		memset(&c->frame.http, 0, sizeof(c->frame.http));
		set_deadline(c);
	} else if (n < 0) {
		reply = http_refusal(c->frame.http.status, &bytes);
		put(c, reply, bytes);
	}
	return n;
}

static void choose_framing(struct conn *c, char first)
{
	switch (c->door) {
	case CONN_CONTROL:
	case CONN_MONITOR:
		c->take = first == '*' ? take_resp : take_json;
		break;
	case CONN_HTTP:
	case CONN_METRICS:
		c->take = take_http;
		break;
	}
}

/* ---- input ---- */

/* The bytes before @n are done with. */
static void consume(struct conn *c, size_t n)
{
	explicit_bzero(c->in, n);
	memmove(c->in, c->in + n, c->in_len - n);
	explicit_bzero(c->in + c->in_len - n, n);
	c->in_len -= n;
}

static void handle_input(struct conn *c)
{
	size_t at = 0;
	long n = 0;

	if (!c->take && c->in_len)
		choose_framing(c, c->in[0]);
	c->daemon->caller_reads = c->door == CONN_MONITOR;
	while (!c->closing && at < c->in_len && evbuffer_get_length(c->out) < OUT_HIGH_BYTES) {
		n = c->take(c, c->in + at, c->in_len - at);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	c->closing |= n < 0;
	if (at)
		consume(c, at);
}

/* -ENOBUFS: the peer sends more than a request may have. The old buffer is wiped. */
static int make_room(struct conn *c)
{
	size_t cap = c->in_cap ? c->in_cap * 2 : IN_START;
	char *in;

	if (c->in_len < c->in_cap)
		return 0;
	if (cap > IN_MAX)
		cap = IN_MAX;
	if (cap == c->in_cap)
		return -ENOBUFS;
	in = malloc(cap);
	if (!in)
		return -ENOMEM;
	if (c->in) {
		memcpy(in, c->in, c->in_len);
		explicit_bzero(c->in, c->in_cap);
		free(c->in);
	}
	c->in = in;
	c->in_cap = cap;
	return 0;
}

/* ---- events ---- */

bool conn_wants_events(const struct conn *c)
{
	return c->subscriber.subscribed && c->subscriber.next <= event_last();
}

/* Those that are kept no more by the time that there is room for them are lost. */
static void put_events(struct conn *c)
{
	struct subscriber *s = &c->subscriber;

	while (conn_wants_events(c) && !c->closing &&
	       evbuffer_get_length(c->out) < OUT_EVENT_BYTES) {
		const struct event_record *record = event_from(s->next);
		const uint64_t seq = record ? record->seq : event_last() + 1;

		if (seq != s->next)
			put_line(c, rpc_notification("event.lost",
						     json_pack("{s:I, s:I}", "count",
							       (json_int_t)(seq - s->next), "next",
							       (json_int_t)seq)));
		if (record)
			put_line(c, rpc_notification("event", event_json(record)));
		s->next = record ? seq + 1 : seq;
	}
}

/* ---- turns of the loop ---- */

/* Wait for what is due: room in the peer's buffer, or its next bytes. */
static void conn_wait(struct conn *c)
{
	const size_t pending = evbuffer_get_length(c->out);

	if (!pending && (c->closing || c->eof)) {
		conn_end(c);
		return;
	}
	if (pending)
		event_add(c->writer, NULL);
	else
		event_del(c->writer);
	if (c->closing || c->eof || pending >= OUT_HIGH_BYTES)
		event_del(c->reader);
	else
		event_add(c->reader, NULL);
}

static bool conn_write(struct conn *c)
{
	return !evbuffer_get_length(c->out) || evbuffer_write(c->out, c->fd) >= 0 ||
	       errno == EAGAIN || errno == EINTR;
}

/* Answer what is there as far as the peer reads the answers. */
static void conn_run(struct conn *c)
{
	size_t before;

	do {
		if (!conn_write(c)) {
			conn_end(c);
			return;
		}
		before = c->in_len;
		handle_input(c);
	} while (c->in_len < before);
	put_events(c);
	conn_wait(c);
}

void conn_push_events(struct conn *c)
{
	put_events(c);
	conn_run(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n;

	(void)what;
	if (make_room(c) < 0) {
		conn_end(c);
		return;
	}
	n = read(fd, c->in + c->in_len, c->in_cap - c->in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_end(c);
		return;
	}
	c->eof = n == 0;
	c->in_len += (size_t)n;
	conn_run(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_run(arg);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_end(arg);
}

void conn_init(void)
{
	event_set_mem_functions(malloc, wipe_realloc, wipe_free);
}

/* Who may come in is a matter of the socket file; this says who did. */
static void log_peer(const struct conn *c)
{
	static const char *const NAMES[] = {
		[CONN_CONTROL] = "control", [CONN_MONITOR] = "monitor", [CONN_HTTP] = "http",
		[CONN_METRICS] = "metrics",
	};

	log_line(LOG_DEBUG, "connection door=%s pid=%ld uid=%lu gid=%lu", NAMES[c->door],
		 (long)c->peer.pid, (unsigned long)c->peer.uid, (unsigned long)c->peer.gid);
}

/* Who is not known is nobody. */
static struct ucred peer_of(int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0)
		peer = (struct ucred){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	return peer;
}

static bool speaks_http(enum conn_door door)
{
	return door == CONN_HTTP || door == CONN_METRICS;
}

struct conn *conn_new(struct event_base *loop, struct daemon *d, enum conn_door door, int fd,
		      void (*closed)(struct conn *conn, void *arg), void *arg)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->daemon = d;
	c->door = door;
	c->peer = peer_of(fd);
	log_peer(c);
	c->closed = closed;
	c->arg = arg;
	c->fd = -1; /* the caller's until all is there */
	c->out = evbuffer_new();
	c->reader = event_new(loop, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writer = event_new(loop, fd, EV_WRITE, on_writable, c);
	if (speaks_http(door))
		c->deadline = evtimer_new(loop, on_deadline, c);
	if (!c->out || !c->reader || !c->writer || (speaks_http(door) && !c->deadline) ||
	    event_add(c->reader, NULL) < 0) {
		conn_free(c);
		return NULL;
	}
	c->fd = fd;
	if (c->deadline)
		set_deadline(c);
	return c;
}
