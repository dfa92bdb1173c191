/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Comparison of two security mechanism lists, RFC 3329 2.3.1.
 *
 * Each mode defines which parameters take part and what a value stands for; two lists are equal
 * when what takes part stands for the same on both sides. Nothing is compared pairwise by cases, so
 * that both modes are equivalences: equal lists stay equal through any third one.
 *
 * The words about the first difference go to operators and logs, while names and values come from
 * whoever sent the header: they are shortened, and only printable ASCII of them is shown.
 * Whether a difference matters, and what to answer then, is not decided here.
 */
#include "proto/compare.h"

#include <string.h>

#define SHOWN_BYTES 40 /* of one name or value */

/* These compare as numbers; q does too. */
static const char *const number_names[] = {"spi-c", "spi-s", "port-c", "port-s",
					    "spi",   "port1", "port2"};

/* Lenient: the defaults of TS 33.203 Annex H, which may be left out. */
static const struct {
	const char *name;
	const char *value;
} defaults[] = {
	{"ealg", "null"},
	{"prot", "esp"},
	{"mod", "trans"},
};

/* A quoted value has its quotes and is none of these. */
static bool is_default(const struct sec_param *param)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (span_is(param->name, defaults[i].name))
			return span_is(param->value, defaults[i].value);
	}
	return false;
}

static bool takes_part(const struct sec_mechanism *m, const struct sec_param *param,
		       enum compare_mode mode)
{
	/* it covers the other list and cannot be in that one: RFC 3329 2.4 */
	if (span_is(m->name, "digest") && span_is(param->name, "d-ver"))
		return false;
	switch (mode) {
	case COMPARE_STRICT:
		return true;
	case COMPARE_LENIENT:
		return !span_is(m->name, "ipsec-3gpp") ||
		       !(span_is(param->name, "q") || is_default(param));
	}
	return true;
}

static bool is_number(const struct sec_param *param)
{
	for (size_t i = 0; i < param->value.n; i++) {
		if (param->value.p[i] < '0' || param->value.p[i] > '9')
			return false;
	}
	for (size_t i = 0; i < sizeof(number_names) / sizeof(number_names[0]); i++) {
		if (span_is(param->name, number_names[i]))
			return true;
	}
	return false;
}

static struct span without_leading_zeros(struct span digits)
{
	while (digits.n > 1 && digits.p[0] == '0') {
		digits.p++;
		digits.n--;
	}
	return digits;
}

/* A qvalue without what does not change it: zeros at the end of the fraction, an empty fraction. */
static struct span without_trailing_zeros(struct span q)
{
	if (!memchr(q.p, '.', q.n))
		return q;
	while (q.p[q.n - 1] == '0')
		q.n--;
	if (q.p[q.n - 1] == '.')
		q.n--;
	return q;
}

/* What the token stands for: equal tokens give equal spans but for case. */
static struct span token_meaning(const struct sec_param *param)
{
	if (span_is(param->name, "q"))
		return without_trailing_zeros(param->value);
	if (is_number(param))
		return without_leading_zeros(param->value);
	return param->value;
}

static bool same_quoted(struct span a, struct span b)
{
	char a_text[SEC_MAX_WORD_BYTES], b_text[SEC_MAX_WORD_BYTES];
	size_t a_bytes = sec_value_unquote(a, a_text);
	size_t b_bytes = sec_value_unquote(b, b_text);

	return span_equal((struct span){a_text, a_bytes}, (struct span){b_text, b_bytes});
}

/* @a and @b have the same name. */
static bool same_value(const struct sec_param *a, const struct sec_param *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SEC_VALUE_NONE:
		return true;
	case SEC_VALUE_TOKEN:
		return span_equal_nocase(token_meaning(a), token_meaning(b));
	case SEC_VALUE_QUOTED:
		return same_quoted(a->value, b->value);
	}
	return false;
}

static const struct sec_param *find(const struct sec_mechanism *m, struct span name)
{
	for (size_t i = 0; i < m->param_count; i++) {
		if (span_equal_nocase(m->params[i].name, name))
			return &m->params[i];
	}
	return NULL;
}

/* A difference in one parameter; a side that does not have it is NULL. */
struct difference {
	const struct sec_param *sent;
	const struct sec_param *got;
};

/* The first parameter of @m that takes part and has no equal in @other. */
static const struct sec_param *first_unmatched(const struct sec_mechanism *m,
					       const struct sec_mechanism *other,
					       enum compare_mode mode)
{
	for (size_t i = 0; i < m->param_count; i++) {
		const struct sec_param *param = &m->params[i];
		const struct sec_param *peer = find(other, param->name);

		if (takes_part(m, param, mode) && (!peer || !same_value(param, peer)))
			return param;
	}
	return NULL;
}

/* @sent and @got have the same name. */
static bool params_differ(const struct sec_mechanism *sent, const struct sec_mechanism *got,
			  enum compare_mode mode, struct difference *ret)
{
	const struct sec_param *odd = first_unmatched(sent, got, mode);

	if (odd) {
		*ret = (struct difference){odd, find(got, odd->name)};
		return true;
	}
	odd = first_unmatched(got, sent, mode);
	if (odd) {
		*ret = (struct difference){find(sent, odd->name), odd};
		return true;
	}
	return false;
}

static bool same_mechanism(const struct sec_mechanism *a, const struct sec_mechanism *b,
			   enum compare_mode mode)
{
	struct difference unused;

	return span_equal_nocase(a->name, b->name) && !params_differ(a, b, mode, &unused);
}

static void say(struct text_out *why, struct span s)
{
	for (size_t i = 0; i < s.n && i < SHOWN_BYTES; i++) {
		char c = s.p[i];

		text_out_printf(why, "%c", c >= ' ' && c <= '~' ? c : '?');
	}
	if (s.n > SHOWN_BYTES)
		text_out_printf(why, "...");
}

/* @verb, and the value: " is 6101", ", was sent as 6100", ", was sent without a value". */
static void say_value(struct text_out *why, const struct sec_param *param, const char *verb,
		      const char *as)
{
	text_out_printf(why, "%s", verb);
	if (param->kind == SEC_VALUE_NONE) {
		text_out_printf(why, " without a value");
		return;
	}
	text_out_printf(why, "%s ", as);
	say(why, param->value);
}

static void say_difference(struct text_out *why, const struct difference *d)
{
	say(why, d->sent ? d->sent->name : d->got->name);
	if (d->got)
		say_value(why, d->got, " is", "");
	else
		text_out_printf(why, " is missing");
	if (d->sent)
		say_value(why, d->sent, ", was sent", " as");
	else
		text_out_printf(why, ", was not sent");
}

/* Where behind @after an equal of @m stands in @list; its length when nowhere. */
static size_t find_behind(const struct sec_header *list, size_t after,
			  const struct sec_mechanism *m, enum compare_mode mode)
{
	size_t i = after + 1;

	while (i < list->mechanism_count && !same_mechanism(m, &list->mechanisms[i], mode))
		i++;
	return i;
}

/* Mechanism @i is the first that differs. When each side's stands further down on the other side,
 * somebody changed the order. */
static bool say_reordered(struct text_out *why, const struct sec_header *sent,
			  const struct sec_header *got, size_t i, enum compare_mode mode)
{
	size_t sent_at = find_behind(sent, i, &got->mechanisms[i], mode);
	size_t got_at = find_behind(got, i, &sent->mechanisms[i], mode);

	if (sent_at >= sent->mechanism_count || got_at >= got->mechanism_count)
		return false;
	text_out_printf(why, "the order was changed: mechanism %zu (", i + 1);
	say(why, got->mechanisms[i].name);
	text_out_printf(why, ") was sent as mechanism %zu", sent_at + 1);
	return true;
}

/* Compare the mechanisms at @i; @why gets the difference. */
static bool same_at(const struct sec_header *sent, const struct sec_header *got, size_t i,
		    enum compare_mode mode, struct text_out *why)
{
	const struct sec_mechanism *a = &sent->mechanisms[i];
	const struct sec_mechanism *b = &got->mechanisms[i];
	struct difference d;

	if (same_mechanism(a, b, mode))
		return true;
	if (say_reordered(why, sent, got, i, mode))
		return false;
	if (!span_equal_nocase(a->name, b->name)) {
		text_out_printf(why, "mechanism %zu is ", i + 1);
		say(why, b->name);
		text_out_printf(why, ", was sent as ");
		say(why, a->name);
		return false;
	}
	text_out_printf(why, "mechanism %zu (", i + 1);
	say(why, b->name);
	text_out_printf(why, "): ");
	if (params_differ(a, b, mode, &d))
		say_difference(why, &d);
	return false;
}

bool compare_lists(const struct sec_header *sent, const struct sec_header *got,
		   enum compare_mode mode, char *ret_why, size_t why_cap)
{
	struct text_out why;

	text_out_init(&why, ret_why, ret_why ? why_cap : 0);
	if (sent->mechanism_count != got->mechanism_count) {
		text_out_printf(&why, "%zu %s received, %zu sent", got->mechanism_count,
				got->mechanism_count == 1 ? "mechanism was" : "mechanisms were",
				sent->mechanism_count);
		return false;
	}
	for (size_t i = 0; i < sent->mechanism_count; i++) {
		if (!same_at(sent, got, i, mode, &why))
			return false;
	}
	return true;
}
