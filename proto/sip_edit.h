/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing a SIP message: a list of edits of its bytes. Everything outside the edits stays as it
 * was sent, byte for byte.
 */
#ifndef PROTO_SIP_EDIT_H
#define PROTO_SIP_EDIT_H

#include "auth_param.h"
#include "sip.h"

struct sip_edit {
	struct span old;   /* of the message; empty: something is put before @old.p */
	struct span fresh; /* what stands there instead */
};

/* Owned by the caller from sip_edits_init() to sip_edits_done(). The message must outlive it. */
struct sip_edits {
	const struct sip_message *message;
	struct sip_edit *list;
	size_t count, room;
	int error; /* the first that happened; sip_edits_apply() tells */
};

void sip_edits_init(struct sip_edits *edits, const struct sip_message *message);
void sip_edits_done(struct sip_edits *edits);

/* None of these fails; two edits of one place make sip_edits_apply() fail. Texts are copied. */

/* @old: a part of the message. */
void sip_edit_replace(struct sip_edits *edits, struct span old, struct span fresh);

/* All lines of this name. */
void sip_edit_remove(struct sip_edits *edits, enum sip_name name);

/* @tag out of all lines of @name; lines that are left without a tag go. */
void sip_edit_remove_tag(struct sip_edits *edits, enum sip_name name, const char *tag);

/* A new last line of the headers. */
void sip_edit_add(struct sip_edits *edits, enum sip_name name, struct span value);

/* Take the parameters @names (ended by NULL) out of a digest header that was read from the message,
 * each with its comma, and put `name="value"` at its end; @name NULL: nothing is put there. */
void sip_edit_auth(struct sip_edits *edits, const struct auth *auth, const char *const *names,
		   const char *name, const char *value);

/* The message after all edits, to be freed. Returns 0, -ENOMEM, -EINVAL (edits of one place). */
int sip_edits_apply(struct sip_edits *edits, char **ret, size_t *ret_bytes);

#endif
