/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Up to four listening sockets: control, monitor, HTTP on a Unix socket, and metrics on a loopback
 * TCP port. Each has its own limit of connections, so that whoever fills one shuts out nobody at
 * the others; the next ones wait in the kernel's backlog. Out of file descriptors, a door rests a
 * moment.
 *
 * Events are sent from here: once for all that happened in one turn of the loop, and only when
 * somebody has subscribed.
 */
#include "daemon/control.h"
#include "daemon/conn.h"
#include "daemon/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define HTTP_MAX_CONNECTIONS 32
#define MAX_DOORS            4
#define READ_AGAIN_MS        100 /* after EMFILE */

struct visitor {
	struct door *door;
	struct conn *conn;
	struct visitor *prev, *next;
};

struct door {
	struct control *control;
	enum conn_door kind;
	int fd;
	struct event *acceptor, *pause;
	struct visitor *visitors;
	unsigned visitor_count, visitor_max;
	char path[sizeof(((struct config_socket *)0)->path)]; /* to be removed; "" = none */
};

struct control {
	struct event_base *loop;
	struct daemon *daemon;
	struct door doors[MAX_DOORS];
	size_t door_count;
	struct event *push; /* events are due */
};

/* ---- connections ---- */

static void visitor_gone(struct visitor *v)
{
	struct door *door = v->door;

	DL_DELETE(door->visitors, v);
	door->visitor_count--;
	free(v);
}

static void on_closed(struct conn *conn, void *arg)
{
	struct visitor *v = arg;
	struct door *door = v->door;

	(void)conn;
	visitor_gone(v);
	if (door->visitor_count < door->visitor_max)
		event_add(door->acceptor, NULL);
}

static int let_in(struct door *door, int fd)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->door = door;
	v->conn = conn_new(door->control->loop, door->control->daemon, door->kind, fd, on_closed,
			   v);
	if (!v->conn) {
		free(v);
		return -ENOMEM;
	}
	DL_APPEND(door->visitors, v);
	if (++door->visitor_count >= door->visitor_max) {
		event_del(door->acceptor); /* the next ones wait in the backlog */
		door->control->daemon->conns[door->kind].full++;
	}
	return 0;
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;

	(void)fd;
	(void)what;
	if (door->visitor_count < door->visitor_max)
		event_add(door->acceptor, NULL);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval PAUSE = { .tv_usec = READ_AGAIN_MS * 1000 };
	struct door *door = arg;
	int fd;

	(void)what;
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		event_emit(EVENT_ACCEPT_FAILED, event_errno(errno));
		event_del(door->acceptor);
		event_add(door->pause, &PAUSE);
	}
	if (fd >= 0 && let_in(door, fd) < 0)
		close(fd);
}

/* ---- events ---- */

static void on_emitted(void *arg)
{
	const struct control *control = arg;

	event_active(control->push, EV_TIMEOUT, 1);
}

static void on_push(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	struct visitor *v, *next;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < control->door_count; i++) {
		DL_FOREACH_SAFE(control->doors[i].visitors, v, next) {
			if (conn_wants_events(v->conn))
				conn_push_events(v->conn);
		}
	}
}

/* ---- doors ---- */

static struct door *add_door(struct control *control, enum conn_door kind, unsigned visitor_max)
{
	struct door *door = &control->doors[control->door_count++];

	door->control = control;
	door->kind = kind;
	door->visitor_max = visitor_max;
	door->fd = -1;
	return door;
}

static int open_door(struct door *door, char *ret_why, size_t why_cap)
{
	struct event_base *loop = door->control->loop;

	door->acceptor = event_new(loop, door->fd, EV_READ | EV_PERSIST, on_connection, door);
	door->pause = evtimer_new(loop, on_pause_over, door);
	if (door->acceptor && door->pause && event_add(door->acceptor, NULL) == 0)
		return 0;
	snprintf(ret_why, why_cap, "out of memory");
	return -ENOMEM;
}

static int open_unix(struct control *control, enum conn_door kind, unsigned visitor_max,
		     const struct config_socket *where, char *ret_why, size_t why_cap)
{
	struct door *door = add_door(control, kind, visitor_max);
	bool made;
	int err = listen_unix(where, &door->fd, &made, ret_why, why_cap);

	if (err)
		return err;
	if (made)
		memcpy(door->path, where->path, sizeof(door->path));
	return open_door(door, ret_why, why_cap);
}

static int open_tcp(struct control *control, const struct config *config, char *ret_why,
		    size_t why_cap)
{
	struct door *door = add_door(control, CONN_METRICS, HTTP_MAX_CONNECTIONS);
	int err = listen_tcp(&config->http_address, config->http_port, &door->fd, ret_why, why_cap);

	return err ? err : open_door(door, ret_why, why_cap);
}

static int open_all(struct control *control, const struct config *config, char *ret_why,
		    size_t why_cap)
{
	int err = open_unix(control, CONN_CONTROL, config->max_connections, &config->socket,
			    ret_why, why_cap);

	if (!err && config->monitor.path[0])
		err = open_unix(control, CONN_MONITOR, config->max_connections, &config->monitor,
				ret_why, why_cap);
	if (!err && config->http.path[0])
		err = open_unix(control, CONN_HTTP, HTTP_MAX_CONNECTIONS, &config->http, ret_why,
				why_cap);
	if (!err && config->http_port)
		err = open_tcp(control, config, ret_why, why_cap);
	return err;
}

int control_open(struct event_base *loop, struct daemon *d, struct control **ret, char *ret_why,
		 size_t why_cap)
{
	struct control *control = calloc(1, sizeof(*control));
	int err;

	if (control) {
		control->loop = loop;
		control->daemon = d;
		control->push = event_new(loop, -1, 0, on_push, control);
	}
	if (!control || !control->push) {
		free(control);
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	err = open_all(control, d->config, ret_why, why_cap);
	if (err) {
		control_close(control);
		return err;
	}
	event_listen(on_emitted, control);
	*ret = control;
	return 0;
}

void control_limit(struct control *control, unsigned max_connections)
{
	for (size_t i = 0; i < control->door_count; i++) {
		struct door *door = &control->doors[i];

		if (door->kind != CONN_CONTROL && door->kind != CONN_MONITOR)
			continue;
		door->visitor_max = max_connections;
		if (door->visitor_count < door->visitor_max)
			event_add(door->acceptor, NULL);
		else
			event_del(door->acceptor);
	}
}

static void close_door(struct door *door)
{
	while (door->visitors) {
		conn_free(door->visitors->conn);
		visitor_gone(door->visitors);
	}
	if (door->acceptor)
		event_free(door->acceptor);
	if (door->pause)
		event_free(door->pause);
	if (door->fd >= 0)
		close(door->fd);
	if (door->path[0])
		unlink(door->path);
}

void control_close(struct control *control)
{
	if (!control)
		return;
	event_listen(NULL, NULL);
	for (size_t i = 0; i < control->door_count; i++)
		close_door(&control->doors[i]);
	event_free(control->push);
	free(control);
}
