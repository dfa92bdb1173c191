/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * credentials = "Digest" LWS param *(COMMA param), and the same for a challenge.
 *
 * Read in one pass, nothing copied: the caller edits the message by the places that are noted here.
 * A parameter that is there twice makes the header malformed (RFC 2617 3.2.1, RFC 3261 7.3.1), or
 * an identity could be shown to one reader and hidden from another. An unquoted value may hold what
 * real phones write without quotes: anything but commas, semicolons, quotes and white space.
 *
 * Whether a response is right is not asked here: only the home network can say.
 */
#include "proto/auth_param.h"

#include <errno.h>
#include <string.h>

static struct span skip(struct span s, size_t n)
{
	return (struct span){s.p + n, s.n - n};
}

static struct span skip_space(struct span s)
{
	return skip(s, text_sws(s));
}

/* With both quotes; 0 when the second is missing. */
static size_t quoted_length(struct span s)
{
	for (size_t n = 1; n < s.n; n++) {
		if (s.p[n] == '"')
			return n + 1;
		if (s.p[n] == '\\')
			n++;
	}
	return 0;
}

static size_t bare_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && !strchr(",; \t\r\n\"", s.p[n]))
		n++;
	return n;
}

/* Take one parameter from the start of @rest. */
static int read_param(struct span *rest, struct auth_param *ret)
{
	struct span s = *rest;

	ret->all.p = s.p;
	ret->name = (struct span){s.p, text_token(s)};
	s = skip_space(skip(s, ret->name.n));
	if (!ret->name.n || !s.n || *s.p != '=')
		return -EBADMSG;
	s = skip_space(skip(s, 1));
	ret->value = (struct span){s.p, s.n && *s.p == '"' ? quoted_length(s) : bare_length(s)};
	if (!ret->value.n && s.n && *s.p != ',')
		return -EBADMSG;
	s = skip(s, ret->value.n);
	ret->all.n = (size_t)(s.p - ret->all.p);
	*rest = s;
	return 0;
}

static int add_param(struct auth *a, struct span *rest)
{
	struct auth_param param;

	if (read_param(rest, &param) < 0)
		return -EBADMSG;
	if (a->count == AUTH_MAX_PARAMS)
		return -E2BIG;
	for (size_t i = 0; i < a->count; i++) {
		if (span_equal_nocase(a->params[i].name, param.name))
			return -EBADMSG;
	}
	a->params[a->count++] = param;
	return 0;
}

int auth_read(struct span value, struct auth *ret)
{
	struct span rest = skip(value, text_token(value));
	struct auth a = {.text = value};
	int err;

	if (!span_is((struct span){value.p, value.n - rest.n}, "Digest"))
		return -ENOENT;
	if (rest.n && !text_sws(rest))
		return -EBADMSG;
	for (;;) {
		rest = skip_space(rest);
		while (rest.n && *rest.p == ',')
			rest = skip_space(skip(rest, 1));
		if (!rest.n)
			break;
		err = add_param(&a, &rest);
		if (err)
			return err;
		rest = skip_space(rest);
		if (rest.n && *rest.p != ',')
			return -EBADMSG;
	}
	*ret = a;
	return 0;
}

const struct auth_param *auth_find(const struct auth *auth, const char *name)
{
	for (size_t i = 0; i < auth->count; i++) {
		if (span_is(auth->params[i].name, name))
			return &auth->params[i];
	}
	return NULL;
}

static struct span inside_quotes(struct span value)
{
	return value.n >= 2 && *value.p == '"' ? (struct span){value.p + 1, value.n - 2} : value;
}

bool auth_has(const struct auth *auth, const char *name)
{
	const struct auth_param *param = auth_find(auth, name);

	return param && inside_quotes(param->value).n;
}

int auth_text(const struct auth *auth, const char *name, char *buf, size_t cap)
{
	const struct auth_param *param = auth_find(auth, name);
	struct span s = param ? inside_quotes(param->value) : (struct span){NULL, 0};
	struct text_out out;

	text_out_init(&out, buf, cap);
	if (!param)
		return -ENOENT;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && s.p != param->value.p && i + 1 < s.n)
			i++;
		if (s.p[i] < ' ' || s.p[i] > '~') {
			text_out_init(&out, buf, cap);
			return -EBADMSG;
		}
		text_out_span(&out, (struct span){s.p + i, 1});
	}
	return text_out_end(&out);
}

int auth_key(const struct auth *auth, const char *name, uint8_t *ret, size_t bytes)
{
	const struct auth_param *param = auth_find(auth, name);

	explicit_bzero(ret, bytes);
	if (!param)
		return -ENOENT;
	return text_from_hex(inside_quotes(param->value), ret, bytes) == 0 ? 0 : -EBADMSG;
}
