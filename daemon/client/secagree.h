/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libsecagree: secagreed's control socket, for SIP front ends in C. secagreed-control(7) has the
 * methods with their parameters and answers; libsecagree(3) explains this header.
 *
 *	struct secagree_param params[] = {
 *		SECAGREE_TEXT("set", set),
 *		SECAGREE_NUMBER("expires", 3600),
 *		SECAGREE_END,
 *	};
 *	struct secagree_answer *answer;
 *
 *	if (secagree_call(connection, "sa.confirm", params, &answer) == 0 &&
 *	    !secagree_reason(answer))
 *		puts(secagree_text(answer, "state"));
 *	secagree_answer_free(answer);
 *
 * A connection serves one thread at a time. All calls block, for the connection's time limit at
 * most. Nothing is printed, no signal is raised, and keys are wiped from all buffers of a call
 * before it returns.
 */
#ifndef SECAGREE_H
#define SECAGREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define SECAGREE_DEFAULT_PATH "/run/secagreed/control.sock"

struct secagree;        /* a connection to the daemon */
struct secagree_answer; /* what it said to one call */

/* @path NULL: SECAGREE_DEFAULT_PATH. @timeout_ms: for each call, 0 = 10 seconds. Nothing is
 * connected before the first call, and a daemon that was restarted is found again.
 * Returns 0 and *@ret, to be given to secagree_close(); -ENAMETOOLONG; -ENOMEM. */
int secagree_open(const char *path, unsigned int timeout_ms, struct secagree **ret);
void secagree_close(struct secagree *connection); /* NULL is allowed */

enum secagree_kind {
	SECAGREE_KIND_END,
	SECAGREE_KIND_TEXT,
	SECAGREE_KIND_NUMBER,
	SECAGREE_KIND_BOOLEAN,
	SECAGREE_KIND_PLACE, /* an address and a port */
	SECAGREE_KIND_BYTES, /* sent as base64, whatever is in them */
	SECAGREE_KIND_LINES, /* an array of texts */
};

/* One parameter of a method; made by the macros below. All texts are borrowed for the call. A NULL
 * text leaves the parameter out. */
struct secagree_param {
	enum secagree_kind kind;
	const char *name;
	const char *text; /* UTF-8, NUL at its end; PLACE: the address; BYTES: @number of them */
	uint64_t number;
	const char *const *lines; /* NULL at its end */
};

#define SECAGREE_TEXT(name, text)     {SECAGREE_KIND_TEXT, (name), (text), 0, NULL}
#define SECAGREE_NUMBER(name, number) {SECAGREE_KIND_NUMBER, (name), "", (number), NULL}
#define SECAGREE_BOOLEAN(name, value) {SECAGREE_KIND_BOOLEAN, (name), "", (value) ? 1 : 0, NULL}
#define SECAGREE_PLACE(name, address, port) {SECAGREE_KIND_PLACE, (name), (address), (port), NULL}
#define SECAGREE_BYTES(name, bytes, n) {SECAGREE_KIND_BYTES, (name), (bytes), (n), NULL}
#define SECAGREE_LINES(name, lines)   {SECAGREE_KIND_LINES, (name), "", 0, (lines)}
#define SECAGREE_END                  {SECAGREE_KIND_END, NULL, NULL, 0, NULL}

/* Ask the daemon. @params may be NULL. On 0 there is *@ret, to be given to
 * secagree_answer_free(): a result, or an error of the daemon, see secagree_reason().
 * Else *@ret is NULL and there was no answer: -ENOENT, -ECONNREFUSED, -EACCES and the like (no
 * daemon there, or it does not let us in), -ETIMEDOUT, -ECONNRESET (it went away: whether the call
 * was done is not known), -EPROTO (that is no secagreed), -EINVAL (a text is not UTF-8), -E2BIG (a
 * request above the protocol's 256 KiB), -ENOMEM. After any of these the next call connects anew. */
int secagree_call(struct secagree *connection, const char *method,
		  const struct secagree_param *params, struct secagree_answer **ret);
void secagree_answer_free(struct secagree_answer *answer); /* NULL is allowed */

/* The word for an error of the daemon, as "no_common_mechanism"; NULL when there is a result. */
const char *secagree_reason(const struct secagree_answer *answer);

/* The sentence to it; NULL when there is a result. */
const char *secagree_message(const struct secagree_answer *answer);

/* Fields are found by a path of names and, for arrays, numbers: "set", "phone.port_s",
 * "considered.0.why". After an error they are those of its "data": "sip.code", "verdict",
 * "kernel.errno". What these return lives as long as @answer.
 * secagree_text(): NULL where there is no text. */
const char *secagree_text(const struct secagree_answer *answer, const char *path);

/* Returns 0; -ENOENT where there is no whole number (@ret untouched). */
int secagree_number(const struct secagree_answer *answer, const char *path, uint64_t *ret);

/* False also where there is no boolean. */
bool secagree_is_true(const struct secagree_answer *answer, const char *path);

/* The bytes of a base64 text, with a NUL behind them that @ret_n does not count; NULL where there
 * are none. They live until the next call of this function on @answer. */
const char *secagree_bytes(struct secagree_answer *answer, const char *path, size_t *ret_n);

/* The whole answer as JSON text, one line: result or error. */
const char *secagree_json(const struct secagree_answer *answer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
