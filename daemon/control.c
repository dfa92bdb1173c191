/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One listening Unix socket and its connections. A connection sends a stream of JSON values and gets
 * one line for each reply, in order; it may send many before it reads (pipelining) and may close its
 * sending half and still gets its answers.
 *
 * Limits: max-connections; a value of 256 KiB; 1 MiB of answers that the peer does not read, after
 * which its requests wait. Input is kept in a buffer of the connection's own, since it carries keys
 * and must be wiped; output never does.
 */
#include "daemon/control.h"
#include "daemon/frame_json.h"
#include "daemon/log.h"
#include "daemon/rpc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#define IN_START       4096
#define IN_MAX         (FRAME_JSON_MAX_BYTES + IN_START)
#define OUT_HIGH_BYTES (1024 * 1024)
#define READ_AGAIN_MS  100 /* after EMFILE */

struct conn {
	struct control *control;
	int fd;
	struct event *reader, *writer;
	struct frame_json frame;
	char *in;
	size_t in_len, in_cap;
	struct evbuffer *out;
	bool eof;     /* the peer sends no more; what it sent is still answered */
	bool closing; /* no more requests are taken */
	struct conn *prev, *next;
};

struct control {
	struct event_base *loop;
	struct daemon *daemon;
	int fd;
	struct event *acceptor, *pause;
	struct conn *conns;
	unsigned conn_count;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- connections ---- */

static void conn_close(struct conn *c)
{
	struct control *control = c->control;

	DL_DELETE(control->conns, c);
	control->conn_count--;
	event_free(c->reader);
	event_free(c->writer);
	evbuffer_free(c->out);
	close(c->fd);
	if (c->in)
		explicit_bzero(c->in, c->in_cap);
	free(c->in);
	free(c);
	event_add(control->acceptor, NULL);
}

static void conn_reply(struct conn *c, char *text)
{
	if (!text)
		return;
	if (evbuffer_add(c->out, text, strlen(text)) < 0 || evbuffer_add(c->out, "\n", 1) < 0)
		c->closing = true;
	free(text);
}

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

	while (!c->closing && evbuffer_get_length(c->out) < OUT_HIGH_BYTES) {
		n = frame_json_next(&c->frame, c->in + at, c->in_len - at);
		if (n <= 0)
			break;
		conn_reply(c, rpc_handle(c->control->daemon, c->in + at, (size_t)n));
		at += (size_t)n;
	}
	if (n < 0) {
		conn_reply(c, rpc_parse_error(n == -E2BIG ? "the value is too large or too deep"
							  : "a request begins with { or ["));
		c->closing = true;
	}
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

/* Wait for what is due: room in the peer's buffer, or its next bytes. */
static void conn_wait(struct conn *c)
{
	const size_t pending = evbuffer_get_length(c->out);

	if (!pending && (c->closing || c->eof)) {
		conn_close(c);
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
			conn_close(c);
			return;
		}
		before = c->in_len;
		handle_input(c);
	} while (c->in_len < before);
	conn_wait(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n;

	(void)what;
	if (make_room(c) < 0) {
		conn_close(c);
		return;
	}
	n = read(fd, c->in + c->in_len, c->in_cap - c->in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_close(c);
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

static struct conn *conn_new(struct control *control, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->control = control;
	c->fd = fd;
	c->out = evbuffer_new();
	c->reader = event_new(control->loop, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writer = event_new(control->loop, fd, EV_WRITE, on_writable, c);
	if (c->out && c->reader && c->writer)
		return c;
	if (c->out)
		evbuffer_free(c->out);
	if (c->reader)
		event_free(c->reader);
	if (c->writer)
		event_free(c->writer);
	free(c);
	return NULL;
}

/* ---- the listening socket ---- */

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)fd;
	(void)what;
	if (control->conn_count < control->daemon->config->max_connections)
		event_add(control->acceptor, NULL);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval PAUSE = { .tv_usec = READ_AGAIN_MS * 1000 };
	struct control *control = arg;
	struct conn *c;
	int fd;

	(void)what;
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		log_line(LOG_WARNING, "event=accept-failed errno=%d", errno);
		event_del(control->acceptor);
		event_add(control->pause, &PAUSE);
	}
	if (fd < 0)
		return;
	c = conn_new(control, fd);
	if (!c) {
		close(fd);
		return;
	}
	DL_APPEND(control->conns, c);
	event_add(c->reader, NULL);
	if (++control->conn_count >= control->daemon->config->max_connections)
		event_del(control->acceptor); /* the next ones wait in the backlog */
}

/* 0: the path is free (again); -EADDRINUSE: somebody answers there. */
static int clear_path(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err;

	if (lstat(address->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int give_to_group(const char *path, const char *name)
{
	const struct group *group;

	if (!name[0])
		return 0;
	group = getgrnam(name);
	if (!group)
		return -ENOENT;
	return chown(path, (uid_t)-1, group->gr_gid) < 0 ? -errno : 0;
}

static int listen_at(struct control *control, const struct config *config, char *ret_why,
		     size_t why_cap)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t before;
	int err;

	memcpy(address.sun_path, config->socket_path, sizeof(address.sun_path));
	err = clear_path(&address);
	if (err) {
		snprintf(ret_why, why_cap, "%s: %s", config->socket_path,
			 err == -EADDRINUSE ? "another secagreed answers there" : strerror(-err));
		return err;
	}
	before = umask(0777);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0 ||
	    bind(control->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	umask(before);
	if (err) {
		snprintf(ret_why, why_cap, "%s: %s (does its directory exist?)",
			 config->socket_path, strerror(-err));
		return err;
	}
	memcpy(control->path, config->socket_path, sizeof(control->path));
	err = give_to_group(control->path, config->socket_group);
	if (err) {
		snprintf(ret_why, why_cap, "%s: group \"%s\": %s", config->socket_path,
			 config->socket_group, err == -ENOENT ? "no such group" : strerror(-err));
		return err;
	}
	if (chmod(control->path, config->socket_mode) < 0 || listen(control->fd, 128) < 0) {
		err = -errno;
		snprintf(ret_why, why_cap, "%s: %s", config->socket_path, strerror(-err));
	}
	return err;
}

int control_open(struct event_base *loop, struct daemon *d, struct control **ret, char *ret_why,
		 size_t why_cap)
{
	struct control *control = calloc(1, sizeof(*control));
	int err;

	if (!control) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	control->loop = loop;
	control->daemon = d;
	control->fd = -1;
	err = listen_at(control, d->config, ret_why, why_cap);
	if (!err) {
		control->acceptor = event_new(loop, control->fd, EV_READ | EV_PERSIST,
					      on_connection, control);
		control->pause = evtimer_new(loop, on_pause_over, control);
		if (!control->acceptor || !control->pause ||
		    event_add(control->acceptor, NULL) < 0) {
			snprintf(ret_why, why_cap, "out of memory");
			err = -ENOMEM;
		}
	}
	if (err)
		control_close(control);
	else
		*ret = control;
	return err;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	while (control->conns)
		conn_close(control->conns);
	if (control->acceptor)
		event_free(control->acceptor);
	if (control->pause)
		event_free(control->pause);
	if (control->fd >= 0)
		close(control->fd);
	if (control->path[0])
		unlink(control->path);
	free(control);
}
