/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's control socket, from outside: one JSON-RPC request written, one line of reply read,
 * as often as the caller likes on one connection. secagreed-control(7).
 *
 * It blocks, with a limit on how long; it does not retry and does not look into the reply beyond
 * its being the one to its request. Requests may hold keys, and so may replies: a request's text
 * is wiped as soon as it is sent, the buffer of replies when it is left.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "daemon/wipe.h"

#define CLIENT_TIMEOUT_S       60
#define CLIENT_CHUNK_BYTES     65536U
#define CLIENT_MAX_REPLY_BYTES (256U * 1024 * 1024)

static int fail(int error, char *ret_why, size_t why_cap, const char *why)
{
	snprintf(ret_why, why_cap, "%s", why);
	return error;
}

/* Whom the socket lets in. */
static void explain_denied(const char *path, char *ret_why, size_t why_cap)
{
	struct group *group = NULL;
	struct stat st;

	if (stat(path, &st) == 0)
		group = getgrgid(st.st_gid);
	snprintf(ret_why, why_cap,
		 "cannot reach secagreed at %.128s: %s. The socket is for root and the group %s",
		 path, strerror(EACCES), group ? group->gr_name : "secagree");
}

static void explain_connect(const char *path, int error, char *ret_why, size_t why_cap)
{
	if (error == EACCES || error == EPERM)
		explain_denied(path, ret_why, why_cap);
	else
		snprintf(ret_why, why_cap,
			 "cannot reach secagreed at %.128s: %s. Is it running? "
			 "See systemctl status secagreed, and secagreectl doctor",
			 path, strerror(error));
}

int client_open(const char *path, struct client *ret, char *ret_why, size_t why_cap)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval write_limit = {.tv_sec = CLIENT_TIMEOUT_S};
	const struct timeval second = {.tv_sec = 1}; /* wait_longer() */
	int error;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(-ENAMETOOLONG, ret_why, why_cap,
			    "the socket's path is too long (at most 107 bytes)");
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(-errno, ret_why, why_cap, strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &write_limit, sizeof(write_limit)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		error = errno;
		close(fd);
		explain_connect(path, error, ret_why, why_cap);
		return -error;
	}
	*ret = (struct client){.fd = fd, .limit_s = CLIENT_TIMEOUT_S};
	return 0;
}

void client_close(struct client *client)
{
	close(client->fd);
	wipe_free(client->buf);
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int send_request(struct client *client, const char *method, json_t *params, char *ret_why,
			size_t why_cap)
{
	json_t *request = json_pack("{s:s, s:I, s:s, s:O}", "jsonrpc", "2.0", "id", ++client->id,
				    "method", method, "params", params);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int r;

	json_decref(request);
	/* The JSON library refuses to write a string that is not UTF-8. */
	if (!text)
		return fail(-EILSEQ, ret_why, why_cap, "an argument is not text in UTF-8");
	r = send_all(client->fd, text, strlen(text));
	if (r == 0)
		r = send_all(client->fd, "\n", 1);
	if (r < 0)
		snprintf(ret_why, why_cap, "secagreed does not read: %s", strerror(-r));
	explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

static int make_room(struct client *client)
{
	size_t cap = client->cap ? 2 * client->cap : CLIENT_CHUNK_BYTES;
	char *buf;

	if (client->used < client->cap)
		return 0;
	if (cap > CLIENT_MAX_REPLY_BYTES)
		return -EMSGSIZE;
	buf = wipe_realloc(client->buf, cap);
	if (!buf)
		return -ENOMEM;
	client->buf = buf;
	client->cap = cap;
	return 0;
}

/* A second has passed without a byte; *@s counts them. */
static bool wait_longer(const struct client *client, unsigned *s)
{
	if (++*s >= client->limit_s)
		return false;
	if (!client->quiet)
		progress_waiting(*s);
	return true;
}

/* Receive until the buffer has a line; *@ret_n is its length without the line end. */
static int receive_line(struct client *client, size_t *ret_n)
{
	size_t searched = 0;
	unsigned waited_s = 0;

	for (;;) {
		ssize_t got;
		int r;

		for (; searched < client->used; searched++) {
			if (client->buf[searched] == '\n') {
				*ret_n = searched;
				return 0;
			}
		}
		r = make_room(client);
		if (r < 0)
			return r;
		got = recv(client->fd, client->buf + client->used, client->cap - client->used, 0);
		if (got < 0 && (errno == EINTR || (errno == EAGAIN &&
						   wait_longer(client, &waited_s))))
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ECONNRESET;
		client->used += (size_t)got;
	}
}

static const char *receive_why(int error)
{
	switch (error) {
	case -EAGAIN:
		return "secagreed did not answer within a minute";
	case -ECONNRESET:
		return "secagreed closed the connection";
	case -EMSGSIZE:
		return "secagreed's answer is too long";
	case -ENOMEM:
		return "out of memory";
	}
	return strerror(-error);
}

static bool is_reply(const json_t *reply, json_int_t id)
{
	const json_t *error = json_object_get(reply, "error");

	if (json_object_get(reply, "result"))
		return json_integer_value(json_object_get(reply, "id")) == id && !error;
	/* A request that could not be read at all is answered with the id null. */
	return json_is_string(json_object_get(error, "message"));
}

/* One line; *@ret is NULL when it is no JSON. */
static int receive_json(struct client *client, json_t **ret, char *ret_why, size_t why_cap)
{
	size_t n = 0;
	int r = receive_line(client, &n);

	if (!client->quiet)
		progress_waited();
	if (r < 0)
		return fail(r, ret_why, why_cap, receive_why(r));
	*ret = json_loadb(client->buf, n, JSON_REJECT_DUPLICATES, NULL);
	client->used -= n + 1;
	memmove(client->buf, client->buf + n + 1, client->used);
	return 0;
}

int client_wait(struct client *client, json_t **ret_message, char *ret_why, size_t why_cap)
{
	const struct timeval for_ever = {0};
	int r;

	if (setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever)) < 0)
		return fail(-errno, ret_why, why_cap, strerror(errno));
	r = receive_json(client, ret_message, ret_why, why_cap);
	if (r == 0 && !*ret_message)
		r = fail(-EPROTO, ret_why, why_cap, "what answers there is not secagreed");
	return r;
}

int client_call(struct client *client, const char *method, json_t *params, json_t **ret_reply,
		char *ret_why, size_t why_cap)
{
	json_t *reply;
	int r;

	r = send_request(client, method, params, ret_why, why_cap);
	if (r < 0)
		return r;
	r = receive_json(client, &reply, ret_why, why_cap);
	if (r < 0)
		return r;
	if (!is_reply(reply, client->id)) {
		json_decref(reply);
		return fail(-EPROTO, ret_why, why_cap, "what answers there is not secagreed");
	}
	*ret_reply = reply;
	return 0;
}
