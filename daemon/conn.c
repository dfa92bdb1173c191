/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection reads bytes, has a framing cut requests from them, and writes the answers in the
 * order of the requests. Clients may send many requests before they read (pipelining), and may
 * close their sending half and still get their answers.
 *
 * Nothing waits for a client: one that does not read its answers has its next requests wait, one
 * that does not read its events loses some and is told how many, and one that reads nothing at all
 * is left after a while. What cannot be framed ends the connection after one last answer; no other
 * notices. A request that has begun must be there in time. Between two requests a client may be
 * silent for ever, but for HTTP, whose doors strangers may reach.
 *
 * Input carries keys, and so may output (sa.export_keys). Input is read where it came in, in a
 * buffer of the connection's own, and wiped; output is libevent's, which wipes what it frees
 * (conn_init). What is on its way through the kernel is out of reach.
 */
#include "daemon/conn.h"
#include "daemon/frame_http.h"
#include "daemon/frame_json.h"
#include "daemon/frame_resp.h"
#include "daemon/http.h"
#include "daemon/log.h"
#include "daemon/resp.h"
#include "daemon/rpc.h"
#include "daemon/timer.h"
#include "daemon/wipe.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_START        4096
#define IN_MAX          (FRAME_JSON_MAX_BYTES + FRAME_HTTP_MAX_HEAD_BYTES + 1)
#define OUT_HIGH_BYTES  (1024 * 1024)
#define OUT_EVENT_BYTES (256 * 1024) /* events are written as long as less than this waits */
#define REQUEST_S       30           /* from its first byte; HTTP: from the answer before it */
#define UNREAD_S        60           /* in which the client reads nothing of what waits for it */

struct conn {
	struct daemon *daemon;
	enum conn_door door;
	int fd;
	struct ucred peer; /* who connected */
	void (*closed)(struct conn *conn, void *arg);
	void *arg;
	struct event *reader, *writer;
	struct timer deadline;
	enum conn_end due; /* why the deadline is there; CONN_ENDS = there is none */

	/* Cuts a request off @in and answers it: the bytes that it took, 0 = more are needed, or
	 * -errno, and the last answer is written. NULL before the first byte. */
	long (*take)(struct conn *c, char *in, size_t len);
	union {
		struct frame_json json;
		struct frame_resp resp;
		struct frame_http http;
	} frame;
	struct subscriber subscriber; /* JSON only */

	char *in; /* room for one byte more than there is in it */
	size_t in_len, in_cap;
	struct evbuffer *out;
	bool eof;     /* the peer sends no more; what it sent is still answered */
	bool closing; /* no more requests are taken ... */
	enum conn_end why; /* ... for this reason */
};

void conn_free(struct conn *c)
{
	if (!c)
		return;
	timer_stop(&c->deadline);
	if (c->reader)
		event_free(c->reader);
	if (c->writer)
		event_free(c->writer);
	if (c->out)
		evbuffer_free(c->out);
	if (c->in)
		explicit_bzero(c->in, c->in_cap);
	free(c->in);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void conn_end(struct conn *c, enum conn_end why)
{
	c->daemon->conns[c->door].ended[why]++;
	log_line(LOG_DEBUG, "connection-ended door=%s why=%s pid=%ld", conn_door_word(c->door),
		 conn_end_word(why), (long)c->peer.pid);
	c->closed(c, c->arg);
	conn_free(c);
}

/* When what waits to be written is written, the connection ends. The first reason is the one. */
static void conn_close(struct conn *c, enum conn_end why)
{
	if (!c->closing)
		c->why = why;
	c->closing = true;
}

/* Frees @bytes. An answer that cannot be written ends the connection, or the next would be taken
 * for it. */
static void put(struct conn *c, char *bytes, size_t n)
{
	if (bytes && evbuffer_add(c->out, bytes, n) < 0)
		conn_close(c, CONN_FAILED);
	wipe_free(bytes);
}

static void put_line(struct conn *c, char *text)
{
	if (text && (evbuffer_add(c->out, text, strlen(text)) < 0 ||
		     evbuffer_add(c->out, "\n", 1) < 0))
		conn_close(c, CONN_FAILED);
	wipe_free(text);
}

/* ---- time ---- */

static void on_deadline(void *arg)
{
	struct conn *c = arg;

	conn_end(c, c->due);
}

/* The client has done something: whatever it is to do next, it has its time anew. */
static void restart_deadline(struct conn *c)
{
	if (c->due != CONN_ENDS)
		timer_stop(&c->deadline);
	c->due = CONN_ENDS;
}

/* It ends for @due unless the client does something; the time runs from when that began. */
static void set_deadline(struct conn *c, enum conn_end due, unsigned in_s)
{
	if (c->due == due)
		return;
	c->due = due;
	timer_arm(&c->deadline, clock_monotonic_ms() + in_s * 1000);
}

/* ---- framings ---- */

static long take_json(struct conn *c, char *in, size_t len)
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

static long take_resp(struct conn *c, char *in, size_t len)
{
	const long n = frame_resp_next(&c->frame.resp, in, len);
	size_t bytes = 0;
	bool quit;
	char *reply;

	if (n > 0) {
		reply = resp_handle(c->daemon, &c->frame.resp, in, &bytes, &quit);
		put(c, reply, bytes);
		if (quit)
			conn_close(c, CONN_LEFT);
		memset(&c->frame.resp, 0, sizeof(c->frame.resp));
	} else if (n < 0) {
		reply = resp_protocol_error(c->frame.resp.fault, &bytes);
		put(c, reply, bytes);
	}
	return n;
}

static long take_http(struct conn *c, char *in, size_t len)
{
	const long n = frame_http_next(&c->frame.http, in, len);
	size_t bytes = 0;
	bool close;
	char *reply;

	if (n > 0) {
		reply = http_handle(c->daemon, &c->frame.http, in, c->door == CONN_HTTP, &bytes,
				    &close);
		put(c, reply, bytes);
		if (close || !reply)
			conn_close(c, reply ? CONN_LEFT : CONN_FAILED);
		memset(&c->frame.http, 0, sizeof(c->frame.http));
	} else if (n < 0) {
		reply = http_refusal(c->frame.http.status, &bytes);
		put(c, reply, bytes);
	}
	return n;
}

static bool speaks_http(enum conn_door door)
{
	return door == CONN_HTTP || door == CONN_METRICS;
}

static void choose_framing(struct conn *c, char first)
{
	if (speaks_http(c->door))
		c->take = take_http;
	else
		c->take = first == '*' ? take_resp : take_json;
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
	if (n < 0)
		conn_close(c, CONN_BAD_FRAME);
	if (at) {
		consume(c, at);
		if (c->due == CONN_SLOW) /* requests do not make up for answers unread */
			restart_deadline(c);
	}
}

/* -ENOBUFS: the peer sends more than a request may have. The old buffer is wiped. */
static int make_room(struct conn *c)
{
	size_t cap = c->in_cap ? c->in_cap * 2 : IN_START;
	char *in;

	if (c->in_len + 1 < c->in_cap)
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
			put_line(c, rpc_lost_events(seq - s->next, seq));
		if (record)
			put_line(c, rpc_event(record));
		s->next = record ? seq + 1 : seq;
	}
}

/* ---- turns of the loop ---- */

/* White space between JSON values begins none. */
static bool request_begun(const struct conn *c)
{
	return c->in_len && (c->take != take_json || c->frame.json.begun);
}

static void watch_clock(struct conn *c, size_t pending)
{
	if (pending)
		set_deadline(c, CONN_UNREAD, UNREAD_S);
	else if (speaks_http(c->door) || request_begun(c))
		set_deadline(c, CONN_SLOW, REQUEST_S);
	else
		restart_deadline(c);
}

/* Wait for what is due: room in the peer's buffer, or its next bytes. */
static void conn_wait(struct conn *c)
{
	const size_t pending = evbuffer_get_length(c->out);

	if (!pending && (c->closing || c->eof)) {
		conn_end(c, c->closing ? c->why : CONN_LEFT);
		return;
	}
	watch_clock(c, pending);
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
	int n;

	if (!evbuffer_get_length(c->out))
		return true;
	n = evbuffer_write(c->out, c->fd);
	if (n > 0)
		restart_deadline(c);
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

/* Answer what is there as far as the peer reads the answers. */
static void conn_run(struct conn *c)
{
	size_t before;

	do {
		if (!conn_write(c)) {
			conn_end(c, CONN_LEFT); /* without waiting for its answers */
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
		conn_end(c, CONN_FAILED);
		return;
	}
	n = read(fd, c->in + c->in_len, c->in_cap - c->in_len - 1);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_end(c, CONN_LEFT); /* with answers unread */
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

void conn_init(void)
{
	event_set_mem_functions(malloc, wipe_realloc, wipe_free);
}

/* Who may come in is a matter of the socket file; this says who did. */
static void log_peer(const struct conn *c)
{
	log_line(LOG_DEBUG, "connection door=%s pid=%ld uid=%lu gid=%lu", conn_door_word(c->door),
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
	timer_init(&c->deadline, on_deadline, c);
	c->due = CONN_ENDS;
	if (!c->out || !c->reader || !c->writer || event_add(c->reader, NULL) < 0) {
		conn_free(c);
		return NULL;
	}
	c->fd = fd;
	d->conns[door].opened++;
	watch_clock(c, 0);
	return c;
}
