/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole connection, daemon/conn.c on a real socket, and a client that sends what it likes in
 * pieces of any size, reads when it likes, and lets time pass.
 *
 * The first byte of the input is the door: "C" control, "M" monitor, "H" HTTP, "P" metrics. The
 * second is where the randomness of the pieces starts; when it is odd, time passes. The rest is the
 * stream. It is sent twice to the same empty world: in one piece by a client that reads everything
 * at once, and in pieces by one that stalls.
 *
 * Without time both are told the same to the byte, but for events, which stand where the pieces have
 * put them, and how long requests took; and both end for the same reason. With time the second may also end for being slow or
 * for not reading. Each connection ends once and is counted for one reason.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/conn.h"
#include "daemon/event.h"
#include "daemon/sip_flow.h"
#include "tests/fuzz/sets.h"
#include "tests/unit/world.h"

#define ANSWER_MAX (8 * 1024 * 1024)
#define TURNS      3 /* of the loop: after so many it has nothing left to do */

struct client {
	struct conn *conn; /* NULL: it has ended */
	int fd;
	char heard[ANSWER_MAX];
	size_t heard_n;
};

static struct event_base *loop;
static struct daemon d;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	conn_init();
	loop = event_base_new();
	CHECK(loop);
	return 0;
}

/* ---- pieces ---- */

static uint32_t dice;
static bool time_passes;

static uint32_t roll(uint32_t sides)
{
	dice = dice * 1664525u + 1013904223u; /* Knuth, Lewis */
	return (dice >> 8) % sides;
}

/* Mostly a few bytes, sometimes many. */
static size_t next_piece(size_t left)
{
	const size_t n = roll(8) ? 1 + roll(24) : 1 + roll(4096);

	return n < left ? n : left;
}

/* ---- a client ---- */

static void on_end(struct conn *conn, void *arg)
{
	struct client *client = arg;

	CHECK(conn == client->conn); /* once */
	client->conn = NULL;
}

static void turn(void)
{
	for (int i = 0; i < TURNS; i++)
		event_base_loop(loop, EVLOOP_NONBLOCK);
}

static void come(struct client *client, enum conn_door door)
{
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	client->fd = ends[0];
	client->heard_n = 0;
	client->conn = conn_new(loop, &d, door, ends[1], on_end, client);
	CHECK(client->conn);
}

/* Up to @max bytes. */
static void hear(struct client *client, size_t max)
{
	const size_t room = ANSWER_MAX - client->heard_n;
	ssize_t n;

	n = read(client->fd, client->heard + client->heard_n, max < room ? max : room);
	if (n > 0)
		client->heard_n += (size_t)n;
}

static void hear_all(struct client *client)
{
	size_t before;

	do {
		before = client->heard_n;
		hear(client, ANSWER_MAX);
		turn();
	} while (client->heard_n > before);
}

/* Until the daemon takes no more of it, or all is sent. */
static bool say(struct client *client, struct span *text, size_t n)
{
	const ssize_t sent = send(client->fd, text->p, n, MSG_NOSIGNAL);

	if (sent > 0)
		*text = fuzz_skip(*text, (size_t)sent);
	turn();
	return sent > 0 || (sent < 0 && errno == EAGAIN);
}

/* ---- two ways to send the same ---- */

static void all_at_once(struct client *client, struct span stream)
{
	while (stream.n && client->conn && say(client, &stream, stream.n))
		hear_all(client);
	shutdown(client->fd, SHUT_WR);
	turn();
	hear_all(client);
}

/* One moment of a client with moods. */
static void some_moment(struct client *client, struct span *stream)
{
	switch (roll(8)) {
	case 0:
		hear(client, 1 + roll(8192));
		break;
	case 1:
		fake_clock_advance_ms(time_passes ? roll(2000) : 0);
		break;
	default:
		say(client, stream, next_piece(stream->n));
	}
	turn();
}

static void in_pieces(struct client *client, struct span stream)
{
	while (stream.n && client->conn)
		some_moment(client, &stream);
	if (time_passes)
		fake_clock_advance_s(roll(90));
	if (client->conn)
		shutdown(client->fd, SHUT_WR);
	turn();
	hear_all(client);
}

/* ---- the world ---- */

static void begin(void)
{
	sets_begin();
	world.config.audit_interval_s = 0;
	d = world_daemon();
	d.audit = audit_new(&world.config, world.table, NULL);
	CHECK(d.audit);
}

static void end(void)
{
	sip_flow_free(d.sip);
	audit_free(d.audit);
	sets_check();
	sets_end();
}

static void go(struct client *client)
{
	conn_free(client->conn);
	close(client->fd);
}

/* Of the one connection that there was. */
static enum conn_end why_ended(enum conn_door door)
{
	enum conn_end why = CONN_ENDS;

	CHECK(d.conns[door].opened == 1);
	for (unsigned i = 0; i < CONN_ENDS; i++) {
		CHECK(d.conns[door].ended[i] <= (why == CONN_ENDS));
		if (d.conns[door].ended[i])
			why = (enum conn_end)i;
	}
	return why;
}

static enum conn_end live(struct client *client, enum conn_door door, struct span stream,
			  void (*way)(struct client *client, struct span stream))
{
	enum conn_end why;

	begin();
	come(client, door);
	way(client, stream);
	why = why_ended(door);
	CHECK((why == CONN_ENDS) == (client->conn != NULL));
	go(client);
	end();
	return why;
}

/* Is nothing asked for that tells of real time, or stands where the pieces have put it? JSON has
 * other ways to write a word, all with a backslash. */
static bool is_steady(struct span stream)
{
	static const char *const MOODY[] = {"event", "metrics", "stats", "\\"};

	for (size_t i = 0; i < sizeof(MOODY) / sizeof(MOODY[0]); i++) {
		if (memmem(stream.p, stream.n, MOODY[i], strlen(MOODY[i])))
			return false;
	}
	return true;
}

static bool door_of(uint8_t letter, enum conn_door *ret)
{
	static const char LETTERS[] = {
		[CONN_CONTROL] = 'C', [CONN_MONITOR] = 'M', [CONN_HTTP] = 'H', [CONN_METRICS] = 'P'};
	const char *at = memchr(LETTERS, letter, sizeof(LETTERS));

	if (at)
		*ret = (enum conn_door)(at - LETTERS);
	return at != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct client steady, moody;
	enum conn_end why, moody_why;
	enum conn_door door;
	struct span stream;

	if (size < 2 || !door_of(data[0], &door))
		return 0;
	stream = (struct span){(const char *)data + 2, size - 2};
	why = live(&steady, door, stream, all_at_once);
	CHECK(why == CONN_LEFT || why == CONN_BAD_FRAME);
	dice = data[1];
	time_passes = data[1] & 1;
	moody_why = live(&moody, door, stream, in_pieces);
	CHECK(moody_why == why ||
	      (time_passes && (moody_why == CONN_SLOW || moody_why == CONN_UNREAD)));
	if (!time_passes && is_steady(stream))
		CHECK(moody.heard_n == steady.heard_n &&
		      !memcmp(moody.heard, steady.heard, moody.heard_n));
	return 0;
}
