/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front end in C does with libsecagree: the REGISTER of a phone passes, as a whole message,
 * and what the daemon says about it is printed.
 *
 *	cc -o example example.c $(pkg-config --cflags --libs libsecagree)
 *	./example 192.0.2.7 5060 192.0.2.1 5060 < register.sip
 */
#include <secagree.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char message[65536];

static int ask(struct secagree *daemon, char **places)
{
	const struct secagree_param params[] = {
		SECAGREE_BYTES("message_base64", message, strlen(message)),
		SECAGREE_PLACE("source", places[0], strtoul(places[1], NULL, 10)),
		SECAGREE_PLACE("destination", places[2], strtoul(places[3], NULL, 10)),
		SECAGREE_END,
	};
	struct secagree_answer *answer;
	const char *edited;
	size_t n;
	int err = secagree_call(daemon, "sip.request", params, &answer);

	if (err) {
		fprintf(stderr, "no answer: %s\n", strerror(-err));
		return err;
	}
	if (secagree_reason(answer)) {
		fprintf(stderr, "%s: %s\n", secagree_reason(answer), secagree_message(answer));
	} else {
		printf("%s: %s\n", secagree_text(answer, "verdict"), secagree_text(answer, "why"));
		edited = secagree_bytes(answer, "message_base64", &n);
		if (edited)
			fwrite(edited, 1, n, stdout);
	}
	secagree_answer_free(answer);
	return 0;
}

int main(int argc, char **argv)
{
	struct secagree *daemon;
	int err;

	if (argc < 5) {
		fprintf(stderr, "usage: %s UE PORT PCSCF PORT [SOCKET] < MESSAGE\n", argv[0]);
		return 2;
	}
	message[fread(message, 1, sizeof(message) - 1, stdin)] = '\0';
	err = secagree_open(argc > 5 ? argv[5] : NULL, 0, &daemon);
	if (err) {
		fprintf(stderr, "%s\n", strerror(-err));
		return 1;
	}
	err = ask(daemon, argv + 1);
	secagree_close(daemon);
	return err ? 1 : 0;
}
