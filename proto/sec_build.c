/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list is built as text, in its canonical form, and becomes a struct sec_header by being parsed
 * at the end: what the parser would refuse cannot be the result, whatever this file overlooks. The
 * setters check first so that the mistake is reported where it was made.
 *
 * Life: init, then mechanism / parameters / mechanism ..., finish, done. A setter that fails leaves
 * the list as it was, so that a caller may go on with something else.
 *
 * Each parameter goes to the parser once more by itself (a list "m;name=value"), which is how
 * token, host, quoted-string, q, d-alg, d-qop and d-ver are checked here without a second grammar.
 */
#include "proto/sec_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct sec_limits sec_limits_max = {
	.bytes = SEC_MAX_BYTES,
	.mechanisms = SEC_MAX_MECHANISMS,
	.params = SEC_MAX_PARAMS,
	.word_bytes = SEC_MAX_WORD_BYTES,
};

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

int sec_build_init(struct sec_build *build, const struct sec_limits *limits)
{
	const struct sec_limits *max = &sec_limits_max;

	if (!limits)
		limits = max;
	*build = (struct sec_build){
		.limits = {
			.bytes = at_most(limits->bytes, max->bytes),
			.mechanisms = at_most(limits->mechanisms, max->mechanisms),
			.params = at_most(limits->params, max->params),
			.word_bytes = at_most(limits->word_bytes, max->word_bytes),
		},
	};
	build->text = malloc(build->limits.bytes + 1);
	if (!build->text)
		return -ENOMEM;
	build->text[0] = '\0';
	return 0;
}

void sec_build_done(struct sec_build *build)
{
	free(build->text);
	build->text = NULL;
}

/* 0 when @word may stand in the list. */
static int check_name(const struct sec_build *build, struct span word)
{
	if (!text_is_token(word))
		return -EINVAL;
	return word.n > build->limits.word_bytes ? -E2BIG : 0;
}

/* The text that is free behind what has been built. */
static void begin(const struct sec_build *build, struct text_out *ret)
{
	text_out_init(ret, build->text + build->n, build->limits.bytes + 1 - build->n);
}

/* Keep what was written since begin(), if it fitted. */
static int keep(struct sec_build *build, struct text_out *out)
{
	int n = text_out_end(out);

	if (n < 0)
		return -E2BIG;
	build->n += (size_t)n;
	return 0;
}

int sec_build_mechanism(struct sec_build *build, struct span name)
{
	struct text_out out;
	int r = check_name(build, name);

	if (r)
		return r;
	if (build->mechanism_count == build->limits.mechanisms)
		return -E2BIG;
	begin(build, &out);
	if (build->mechanism_count)
		text_out_span(&out, span_of(", "));
	text_out_lower(&out, name);
	r = keep(build, &out);
	if (r)
		return r;
	build->q_milli[build->mechanism_count++] = -1;
	build->param_count = 0;
	return 0;
}

static bool has_param(const struct sec_build *build, struct span name)
{
	for (size_t i = 0; i < build->param_count; i++) {
		struct span other = {build->text + build->name_at[i], build->name_bytes[i]};

		if (span_equal_nocase(other, name))
			return true;
	}
	return false;
}

static bool has_q(const struct sec_build *build, int q_milli)
{
	for (size_t i = 0; i < build->mechanism_count; i++) {
		if (build->q_milli[i] == q_milli)
			return true;
	}
	return false;
}

/* The value as it will stand in the list; empty for a flag. */
static int check_value(const struct sec_build *build, struct span name, struct span value,
		       int *ret_q_milli)
{
	char text[2 + SEC_MAX_WORD_BYTES + 1 + SEC_MAX_WORD_BYTES + 1];
	struct sec_header probe;
	struct text_out out;
	struct span line;
	int r;

	if (value.n > build->limits.word_bytes)
		return -E2BIG;
	text_out_init(&out, text, sizeof(text));
	text_out_span(&out, span_of("m;"));
	text_out_span(&out, name);
	if (value.n)
		text_out_span(&out, span_of("="));
	text_out_span(&out, value);
	line = (struct span){text, out.n};
	r = sec_header_parse(&line, 1, &probe, NULL);
	if (r)
		return r;
	/* a value with a separator in it would be more than one value */
	if (probe.mechanism_count != 1 || probe.mechanisms[0].param_count != 1 ||
	    probe.mechanisms[0].params[0].value.n != value.n)
		r = -EINVAL;
	*ret_q_milli = probe.mechanisms[0].q_milli;
	sec_header_done(&probe);
	return r;
}

static int check_param(const struct sec_build *build, struct span name, struct span value,
		       int *ret_q_milli)
{
	int r = check_name(build, name);

	if (!r && !build->mechanism_count)
		r = -EINVAL;
	if (!r && has_param(build, name))
		r = -EEXIST;
	if (!r && build->param_count == build->limits.params)
		r = -E2BIG;
	if (!r)
		r = check_value(build, name, value, ret_q_milli);
	if (!r && *ret_q_milli >= 0 && has_q(build, *ret_q_milli))
		r = -EEXIST;
	return r;
}

static int add_param(struct sec_build *build, struct span name, struct span value, bool quoted)
{
	int q_milli = -1;
	size_t name_at = build->n + 1;
	struct text_out out;
	int r = check_param(build, name, value, &q_milli);

	if (r)
		return r;
	begin(build, &out);
	text_out_span(&out, span_of(";"));
	text_out_lower(&out, name);
	if (value.n)
		text_out_span(&out, span_of("="));
	if (quoted)
		text_out_span(&out, value);
	else
		text_out_lower(&out, value);
	r = keep(build, &out);
	if (r)
		return r;
	build->name_at[build->param_count] = (uint16_t)name_at;
	build->name_bytes[build->param_count++] = (uint16_t)name.n;
	if (q_milli >= 0)
		build->q_milli[build->mechanism_count - 1] = (int16_t)q_milli;
	return 0;
}

int sec_build_flag(struct sec_build *build, struct span name)
{
	return add_param(build, name, (struct span){NULL, 0}, false);
}

int sec_build_token(struct sec_build *build, struct span name, struct span value)
{
	if (value.n == 0 || value.p[0] == '"')
		return -EINVAL;
	return add_param(build, name, value, false);
}

int sec_build_quoted(struct sec_build *build, struct span name, struct span text)
{
	char quoted[SEC_MAX_WORD_BYTES + 1];
	struct text_out out;

	text_out_init(&out, quoted, sizeof(quoted));
	text_out_span(&out, span_of("\""));
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r' || text.p[i] == '\n')
			return -EINVAL;
		if (text.p[i] == '"' || text.p[i] == '\\')
			text_out_span(&out, span_of("\\"));
		text_out_span(&out, (struct span){text.p + i, 1});
	}
	text_out_span(&out, span_of("\""));
	if (out.cut)
		return -E2BIG;
	return add_param(build, name, (struct span){quoted, out.n}, true);
}

void sec_build_q_text(int q_milli, char ret[static SEC_Q_BYTES])
{
	struct text_out out;

	text_out_init(&out, ret, SEC_Q_BYTES);
	text_out_number(&out, (unsigned)q_milli / 1000);
	text_out(&out, ".");
	for (unsigned digit = 100; digit; digit /= 10)
		text_out_number(&out, (unsigned)q_milli / digit % 10);
	while (ret[out.n - 1] == '0')
		ret[--out.n] = '\0';
	if (ret[out.n - 1] == '.')
		ret[--out.n] = '\0';
}

int sec_build_q(struct sec_build *build, int q_milli)
{
	char text[SEC_Q_BYTES];

	if (q_milli < 0 || q_milli > 1000)
		return -EINVAL;
	sec_build_q_text(q_milli, text);
	return add_param(build, span_of("q"), span_of(text), false);
}

int sec_build_finish(const struct sec_build *build, struct sec_header *ret)
{
	struct span line = {build->text, build->n};

	return sec_header_parse(&line, 1, ret, NULL);
}

size_t sec_build_find(const struct sec_header *list, struct span name, size_t from)
{
	while (from < list->mechanism_count &&
	       !span_equal_nocase(list->mechanisms[from].name, name))
		from++;
	return from < list->mechanism_count ? from : list->mechanism_count;
}
