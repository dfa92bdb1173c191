/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libsecagree: one request, one line of answer, on a connection that is made when it is needed.
 *
 * A front end calls from the middle of its message processing, so a call never waits longer than
 * its limit, and a daemon that was restarted between two calls costs nothing but a new connection:
 * a connection that turns out closed before a byte of the answer came is made once more. The daemon
 * answers a call that is repeated with the same "transaction" as before, so that this is safe where
 * it matters. It does not retry beyond that, does not start daemons, and has no threads.
 */
#include "daemon/client/secagree.h"
#include "daemon/json/json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 10000
#define MAX_REQUEST_BYTES  (256U * 1024)
#define MAX_ANSWER_BYTES   (64U * 1024 * 1024)
#define CHUNK_BYTES        65536U

struct secagree {
	struct sockaddr_un address;
	unsigned int timeout_ms;
	int fd; /* -1: not connected */
	uint64_t id;
};

struct secagree_answer {
	char *line;   /* as received, without its end */
	char *parsed; /* the same, with NULs where texts end */
	struct json_tree tree;
	const struct json_node *fields; /* of the result, or the data of the error */
	const struct json_node *error;  /* NULL: a result */
	char *bytes; /* the last secagree_bytes() */
};

int secagree_open(const char *path, unsigned int timeout_ms, struct secagree **ret)
{
	const char *from = path ? path : SECAGREE_DEFAULT_PATH;
	struct secagree *c;

	if (strlen(from) >= sizeof(c->address.sun_path))
		return -ENAMETOOLONG;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->address.sun_family = AF_UNIX;
	memcpy(c->address.sun_path, from, strlen(from) + 1);
	c->timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS;
	c->fd = -1;
	*ret = c;
	return 0;
}

static void disconnect(struct secagree *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void secagree_close(struct secagree *c)
{
	if (c)
		disconnect(c);
	free(c);
}

/* ---- the wire ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until @fd is ready for @events. Returns 0, -ETIMEDOUT, -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd wanted = {.fd = fd, .events = events};

	for (;;) {
		const uint64_t now = now_ms();
		const int n = now < deadline_ms ? poll(&wanted, 1, (int)(deadline_ms - now)) : 0;

		if (n > 0)
			return 0;
		if (!n)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int do_connect(struct secagree *c, uint64_t deadline_ms)
{
	int err;

	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	while (connect(c->fd, (const struct sockaddr *)&c->address, sizeof(c->address)) < 0) {
		/* EAGAIN: its backlog is full; there is nothing to poll for */
		err = errno == EAGAIN && now_ms() >= deadline_ms ? ETIMEDOUT : errno;
		if (err != EAGAIN && err != EINTR) {
			disconnect(c);
			return -err;
		}
		poll(NULL, 0, 10);
	}
	return 0;
}

static int send_all(const struct secagree *c, const struct json_out *request, uint64_t deadline_ms)
{
	size_t sent = 0;

	while (sent < request->n) {
		const ssize_t n = send(c->fd, request->text + sent, request->n - sent, MSG_NOSIGNAL);
		int err = 0;

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			err = wait_for(c->fd, POLLOUT, deadline_ms);
		else if (errno != EINTR)
			err = -errno;
		if (err)
			return err == -EPIPE ? -ECONNRESET : err;
	}
	return 0;
}

static int grow(char **line, size_t used, size_t *cap)
{
	char *more;

	if (*cap - used > CHUNK_BYTES)
		return 0;
	if (*cap > MAX_ANSWER_BYTES)
		return -EPROTO;
	more = realloc(*line, *cap * 2 + CHUNK_BYTES * 2);
	if (!more)
		return -ENOMEM;
	*line = more;
	*cap = *cap * 2 + CHUNK_BYTES * 2;
	return 0;
}

/* One line without its end, to be freed. @ret_began: something of it came. */
static int receive_line(const struct secagree *c, uint64_t deadline_ms, char **ret, bool *ret_began)
{
	size_t used = 0, cap = 0;
	char *line = NULL;
	int err;

	for (;;) {
		ssize_t n;

		err = grow(&line, used, &cap);
		if (err)
			break;
		n = recv(c->fd, line + used, CHUNK_BYTES, 0);
		if (n > 0) {
			*ret_began = true;
			used += (size_t)n;
			if (line[used - 1] != '\n')
				continue;
			line[used - 1] = '\0';
			*ret = line;
			return 0;
		}
		if (n < 0 && errno == EAGAIN)
			err = wait_for(c->fd, POLLIN, deadline_ms);
		else if (!n || errno != EINTR)
			err = n ? -errno : -ECONNRESET;
		if (err)
			break;
	}
	free(line);
	return err;
}

static int exchange(struct secagree *c, const struct json_out *request, uint64_t deadline_ms,
		    char **ret)
{
	for (bool fresh = false;;) {
		bool began = false;
		int err = 0;

		if (c->fd < 0) {
			fresh = true;
			err = do_connect(c, deadline_ms);
		}
		if (!err)
			err = send_all(c, request, deadline_ms);
		if (!err)
			err = receive_line(c, deadline_ms, ret, &began);
		if (!err)
			return 0;
		disconnect(c);
		if (err != -ECONNRESET || fresh || began)
			return err;
	}
}

/* ---- the request ---- */

static void put_lines(struct json_out *out, const char *const *lines)
{
	json_open(out, '[');
	for (size_t i = 0; lines[i]; i++)
		json_put_string(out, lines[i]);
	json_close(out, ']');
}

static void put_value(struct json_out *out, const struct secagree_param *param)
{
	switch (param->kind) {
	case SECAGREE_KIND_END:
		break;
	case SECAGREE_KIND_TEXT:
		json_put_string(out, param->text);
		break;
	case SECAGREE_KIND_NUMBER:
		json_put_number(out, param->number);
		break;
	case SECAGREE_KIND_BOOLEAN:
		json_put_bool(out, param->number);
		break;
	case SECAGREE_KIND_PLACE:
		json_open(out, '{');
		json_name(out, "address");
		json_put_string(out, param->text);
		json_add_number(out, "port", param->number);
		json_close(out, '}');
		break;
	case SECAGREE_KIND_BYTES:
		json_put_base64(out, param->text, param->number);
		break;
	case SECAGREE_KIND_LINES:
		put_lines(out, param->lines);
		break;
	}
}

static int write_request(struct secagree *c, const char *method,
			 const struct secagree_param *params, struct json_out *out)
{
	json_open(out, '{');
	json_add_text(out, "jsonrpc", "2.0");
	json_add_number(out, "id", ++c->id);
	json_name(out, "method");
	json_put_string(out, method);
	json_name(out, "params");
	json_open(out, '{');
	for (; params && params->kind != SECAGREE_KIND_END; params++) {
		if (params->kind == SECAGREE_KIND_LINES ? !params->lines : !params->text)
			continue;
		json_foreign_name(out, params->name);
		put_value(out, params);
	}
	json_put(out, "}}\n");
	if (!out->err && out->n > MAX_REQUEST_BYTES)
		out->err = -E2BIG;
	return out->err;
}

/* ---- the answer ---- */

static const struct json_node *root_member(const struct secagree_answer *answer, const char *name)
{
	return json_find(&answer->tree.nodes[0], name);
}

/* Take over @line. */
static int read_answer(const struct secagree *c, char *line, struct secagree_answer **ret)
{
	struct secagree_answer *answer = calloc(1, sizeof(*answer));
	uint64_t id;
	int err = -ENOMEM;

	if (answer)
		answer->parsed = strdup(line);
	if (!answer || !answer->parsed) {
		free(line);
		goto out;
	}
	answer->line = line;
	err = json_read(answer->parsed, strlen(answer->parsed), &answer->tree, NULL);
	if (err)
		goto out;
	answer->error = root_member(answer, "error");
	answer->fields = root_member(answer, answer->error ? "error.data" : "result");
	err = -EPROTO;
	if (answer->fields && json_get_number(root_member(answer, "id"), UINT64_MAX, &id) &&
	    id == c->id)
		err = 0;
out:
	if (err) {
		secagree_answer_free(answer);
		return err == -EILSEQ ? -EPROTO : err;
	}
	*ret = answer;
	return 0;
}

int secagree_call(struct secagree *c, const char *method, const struct secagree_param *params,
		  struct secagree_answer **ret)
{
	const uint64_t deadline_ms = now_ms() + c->timeout_ms;
	struct json_out request = {0};
	char *line;
	int err;

	*ret = NULL;
	err = write_request(c, method, params, &request);
	if (!err)
		err = exchange(c, &request, deadline_ms, &line);
	json_out_done(&request);
	if (err)
		return err;
	err = read_answer(c, line, ret);
	if (err)
		disconnect(c);
	return err;
}

void secagree_answer_free(struct secagree_answer *answer)
{
	if (!answer)
		return;
	json_tree_done(&answer->tree);
	free(answer->line);
	free(answer->parsed);
	free(answer->bytes);
	free(answer);
}

/* ---- looking into it ---- */

static const char *text_of(const struct json_node *node)
{
	return node && node->kind == NODE_TEXT ? node->text : NULL;
}

static const struct json_node *field(const struct secagree_answer *answer, const char *path)
{
	return json_find(answer->fields, path);
}

const char *secagree_reason(const struct secagree_answer *answer)
{
	const char *reason;

	if (!answer->error)
		return NULL;
	reason = text_of(field(answer, "reason"));
	return reason ? reason : "internal";
}

const char *secagree_message(const struct secagree_answer *answer)
{
	const char *message;

	if (!answer->error)
		return NULL;
	message = text_of(json_find(answer->error, "message"));
	return message ? message : "";
}

const char *secagree_text(const struct secagree_answer *answer, const char *path)
{
	return text_of(field(answer, path));
}

int secagree_number(const struct secagree_answer *answer, const char *path, uint64_t *ret)
{
	return json_get_number(field(answer, path), UINT64_MAX, ret) ? 0 : -ENOENT;
}

bool secagree_is_true(const struct secagree_answer *answer, const char *path)
{
	const struct json_node *node = field(answer, path);

	return node && node->kind == NODE_TRUE;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

const char *secagree_bytes(struct secagree_answer *answer, const char *path, size_t *ret_n)
{
	const char *text = secagree_text(answer, path);
	unsigned int word = 0, bits = 0;
	size_t n = 0;
	char *bytes;

	if (!text)
		return NULL;
	bytes = malloc(strlen(text) / 4 * 3 + 4);
	if (!bytes)
		return NULL;
	for (; base64_digit(*text) >= 0; text++) {
		word = word << 6 | (unsigned int)base64_digit(*text);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		bytes[n++] = (char)(word >> bits & 0xFF);
	}
	if (text[strspn(text, "=")]) {
		free(bytes);
		return NULL;
	}
	bytes[n] = '\0';
	free(answer->bytes);
	answer->bytes = bytes;
	*ret_n = n;
	return bytes;
}

const char *secagree_json(const struct secagree_answer *answer)
{
	return answer->line;
}
