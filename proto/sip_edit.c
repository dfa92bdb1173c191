/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edits are gathered in any order, sorted by place and applied in one pass over the message. They
 * name places in the original bytes, so none of them has to know of the others; that two overlap is
 * a bug of the caller and told as such.
 *
 * Out of memory is remembered and told by sip_edits_apply(): the caller lists what it wants without
 * looking at each step.
 */
#include "proto/sip_edit.h"
#include "proto/option_tag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sip_edits_init(struct sip_edits *edits, const struct sip_message *message)
{
	*edits = (struct sip_edits){.message = message};
}

void sip_edits_done(struct sip_edits *edits)
{
	for (size_t i = 0; i < edits->count; i++)
		free((char *)(uintptr_t)edits->list[i].fresh.p);
	free(edits->list);
	*edits = (struct sip_edits){0};
}

static bool make_room(struct sip_edits *edits)
{
	struct sip_edit *list;

	if (edits->count < edits->room)
		return true;
	list = reallocarray(edits->list, edits->room * 2 + 8, sizeof(*list));
	if (!list)
		return false;
	edits->list = list;
	edits->room = edits->room * 2 + 8;
	return true;
}

void sip_edit_replace(struct sip_edits *edits, struct span old, struct span fresh)
{
	char *copy = malloc(fresh.n + 1);

	if (!copy || !make_room(edits)) {
		free(copy);
		edits->error = -ENOMEM;
		return;
	}
	if (fresh.n)
		memcpy(copy, fresh.p, fresh.n);
	edits->list[edits->count++] = (struct sip_edit){old, {copy, fresh.n}};
}

void sip_edit_remove(struct sip_edits *edits, enum sip_name name)
{
	const struct sip_header *h;

	for (size_t at = 0; (h = sip_header_next(edits->message, name, &at));)
		sip_edit_replace(edits, h->line, (struct span){NULL, 0});
}

void sip_edit_remove_tag(struct sip_edits *edits, enum sip_name name, const char *tag)
{
	const struct sip_header *h;
	char *text = malloc(SIP_MAX_BYTES + 1);

	if (!text) {
		edits->error = -ENOMEM;
		return;
	}
	for (size_t at = 0; (h = sip_header_next(edits->message, name, &at));) {
		int n;

		if (!option_tag_in(h->value, tag))
			continue;
		n = option_tag_remove(h->value, tag, text, SIP_MAX_BYTES + 1);
		if (n > 0)
			sip_edit_replace(edits, h->value, (struct span){text, (size_t)n});
		else
			sip_edit_replace(edits, h->line, (struct span){NULL, 0});
	}
	free(text);
}

void sip_edit_add(struct sip_edits *edits, enum sip_name name, struct span value)
{
	const struct span end = edits->message->end;
	const size_t bytes = value.n + strlen(sip_name_text(name)) + 5;
	char *line = malloc(bytes);
	struct text_out out;

	if (!line) {
		edits->error = -ENOMEM;
		return;
	}
	text_out_init(&out, line, bytes);
	text_out_printf(&out, "%s: ", sip_name_text(name));
	text_out_span(&out, value);
	text_out_span(&out, end); /* the line end that this message has */
	sip_edit_replace(edits, (struct span){end.p, 0}, (struct span){line, out.n});
	free(line);
}

/* ---- digest parameters ---- */

static bool is_named(const struct auth_param *param, const char *const *names)
{
	for (; *names; names++) {
		if (span_is(param->name, *names))
			return true;
	}
	return false;
}

static const char *end_of(const struct auth_param *param)
{
	return param->all.p + param->all.n;
}

static struct span between(const char *from, const char *to)
{
	return (struct span){from, (size_t)(to - from)};
}

static void cut(struct sip_edits *edits, const char *from, const char *to)
{
	sip_edit_replace(edits, between(from, to), (struct span){NULL, 0});
}

/* A parameter goes with the comma before it; the first ones, which have none, with that behind. */
void sip_edit_auth(struct sip_edits *edits, const struct auth *auth, const char *const *names,
		   const char *name, const char *value)
{
	const char *end = auth->text.p + auth->text.n;
	const struct auth_param *kept = NULL;
	struct text_out out;
	char text[128];

	for (size_t i = 0; i < auth->count; i++) {
		const struct auth_param *param = &auth->params[i];

		if (!is_named(param, names))
			kept = param;
		else if (kept)
			cut(edits, end_of(param - 1), end_of(param));
		else
			cut(edits, param->all.p,
			    i + 1 < auth->count ? param[1].all.p : end_of(param));
	}
	if (!name)
		return;
	text_out_init(&out, text, sizeof(text));
	text_out_printf(&out, "%s%s=\"%s\"", kept ? ", " : auth->count ? "" : " ", name, value);
	sip_edit_replace(edits, (struct span){kept ? end_of(kept) : end, 0},
			 (struct span){text, out.n});
}

/* ---- applying them ---- */

static bool is_before(const struct sip_edit *a, const struct sip_edit *b)
{
	return a->old.p < b->old.p || (a->old.p == b->old.p && !a->old.n && b->old.n);
}

/* Edits come nearly in order, and there are few: insertion, which keeps those of one place in the
 * order of their making. */
static void sort(struct sip_edits *edits)
{
	for (size_t i = 1; i < edits->count; i++) {
		const struct sip_edit edit = edits->list[i];
		size_t k = i;

		for (; k && is_before(&edit, &edits->list[k - 1]); k--)
			edits->list[k] = edits->list[k - 1];
		edits->list[k] = edit;
	}
}

static size_t room_for(const struct sip_edits *edits)
{
	size_t bytes = edits->message->text.n + 1;

	for (size_t i = 0; i < edits->count; i++)
		bytes += edits->list[i].fresh.n;
	return bytes;
}

int sip_edits_apply(struct sip_edits *edits, char **ret, size_t *ret_bytes)
{
	const struct span text = edits->message->text;
	const char *from = text.p;
	char *out, *to;

	if (edits->error)
		return edits->error;
	sort(edits);
	out = to = malloc(room_for(edits));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < edits->count; i++) {
		const struct sip_edit *edit = &edits->list[i];

		if (edit->old.p < from) {
			free(out);
			return -EINVAL;
		}
		to = mempcpy(to, from, (size_t)(edit->old.p - from));
		to = mempcpy(to, edit->fresh.p, edit->fresh.n);
		from = edit->old.p + edit->old.n;
	}
	to = mempcpy(to, from, (size_t)(text.p + text.n - from));
	*to = '\0';
	*ret = out;
	*ret_bytes = (size_t)(to - out);
	return 0;
}
