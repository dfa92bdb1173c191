/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security headers, selections and comparisons as JSON.
 *
 * The forms here are promises to programs: keys keep their names and their order. Names and tokens
 * are written in lower case (RFC 3261 7.3.1 folds them), quoted strings as the phone wrote them.
 * An agreement is read whole, written as often as wanted, and freed.
 *
 * What it deliberately does not do: judge. Whether a header is right is said by proto/, who gets
 * which answer by the daemon; errors have no JSON here because the two programs wrap them
 * differently.
 */
#include "daemon/agreement_json.h"

#include "proto/sec_build.h"

#include <errno.h>
#include <string.h>

int agreement_read(enum sec_header_kind kind, const struct span *lines, size_t line_count,
		   struct agreement *ret, struct sec_error *ret_error)
{
	struct agreement a = {.kind = kind};
	int r;

	r = sec_header_parse(lines, line_count, &a.header, ret_error);
	if (r < 0)
		return r;
	r = ipsec3gpp_read(&a.header, kind, &a.ipsec, ret_error);
	if (r < 0 && r != -ENOENT) {
		sec_header_done(&a.header);
		return r;
	}
	a.has_ipsec = r == 0;
	*ret = a;
	return 0;
}

void agreement_done(struct agreement *a)
{
	sec_header_done(&a->header);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void put_word(struct json_out *out, struct span word)
{
	char text[SEC_MAX_WORD_BYTES];
	size_t n = word.n < sizeof(text) ? word.n : sizeof(text);

	for (size_t i = 0; i < n; i++)
		text[i] = lower(word.p[i]);
	json_put_text(out, text, n);
}

static void put_value(struct json_out *out, const struct sec_param *param)
{
	switch (param->kind) {
	case SEC_VALUE_NONE:
		json_put_null(out);
		break;
	case SEC_VALUE_TOKEN:
		put_word(out, param->value);
		break;
	case SEC_VALUE_QUOTED:
		json_put_text(out, param->value.p, param->value.n);
		break;
	}
}

static void put_params(struct json_out *out, const struct sec_mechanism *m)
{
	json_open(out, '[');
	for (size_t i = 0; i < m->param_count; i++) {
		const struct sec_param *param = &m->params[i];

		if (span_is(param->name, "q"))
			continue;
		json_open(out, '[');
		put_word(out, param->name);
		put_value(out, param);
		json_close(out, ']');
	}
	json_close(out, ']');
}

/* As a real number whatever it is: 1.0, 0.25. */
static void put_q(struct json_out *out, int q_milli)
{
	char text[SEC_Q_BYTES];

	if (q_milli < 0) {
		json_put_null(out);
		return;
	}
	sec_build_q_text(q_milli, text);
	json_put(out, text);
	if (q_milli % 1000 == 0)
		json_put(out, ".0");
}

static void put_mechanisms(struct json_out *out, const struct sec_header *header)
{
	json_open(out, '[');
	for (size_t i = 0; i < header->mechanism_count; i++) {
		const struct sec_mechanism *m = &header->mechanisms[i];

		json_open(out, '{');
		json_name(out, "name");
		put_word(out, m->name);
		json_name(out, "q");
		put_q(out, m->q_milli);
		json_name(out, "parameters");
		put_params(out, m);
		json_close(out, '}');
	}
	json_close(out, ']');
}

/* The combination in the phone's words: an algorithm that we do not know keeps its name. */
static void add_offer(struct json_out *out, const struct ipsec_offer *offer)
{
	json_name(out, "alg");
	put_word(out, offer->alg);
	json_name(out, "ealg");
	put_word(out, offer->ealg);
	json_name(out, "prot");
	put_word(out, offer->prot);
	json_name(out, "mod");
	put_word(out, offer->mod);
}

static void put_offers(struct json_out *out, const struct ipsec3gpp *ipsec)
{
	json_open(out, '[');
	for (size_t i = 0; i < ipsec->offer_count; i++) {
		const struct ipsec_offer *offer = &ipsec->offers[i];

		json_open(out, '{');
		add_offer(out, offer);
		json_add_bool(
			out, "usable",
			!ipsec_suite_fault(&offer->suite) &&
				ipsec_suite_in_profile(&offer->suite, ipsec->endpoint.dialect));
		json_close(out, '}');
	}
	json_close(out, ']');
}

const char *agreement_dialect_name(enum ipsec_dialect dialect)
{
	switch (dialect) {
	case IPSEC_DIALECT_24229:
		return "24.229";
	case IPSEC_DIALECT_RFC3329:
		return "rfc3329";
	}
	return "?";
}

static void add_number(struct json_out *out, const char *name, uint32_t value)
{
	if (value)
		json_add_number(out, name, value);
	else
		json_add_null(out, name);
}

void agreement_endpoint_json(struct json_out *out, const struct ipsec_endpoint *endpoint)
{
	switch (endpoint->dialect) {
	case IPSEC_DIALECT_24229:
		add_number(out, "spi_c", endpoint->spi_c);
		add_number(out, "spi_s", endpoint->spi_s);
		add_number(out, "port_c", endpoint->port_c);
		add_number(out, "port_s", endpoint->port_s);
		break;
	case IPSEC_DIALECT_RFC3329:
		add_number(out, "spi", endpoint->spi);
		add_number(out, "port1", endpoint->port1);
		add_number(out, "port2", endpoint->port2);
		break;
	}
}

static void put_ipsec(struct json_out *out, const struct ipsec3gpp *ipsec)
{
	json_open(out, '{');
	json_add_text(out, "dialect", agreement_dialect_name(ipsec->endpoint.dialect));
	agreement_endpoint_json(out, &ipsec->endpoint);
	json_name(out, "offers");
	put_offers(out, ipsec);
	json_close(out, '}');
}

void agreement_parse_json(struct json_out *out, const struct agreement *a)
{
	json_open(out, '{');
	json_add_text(out, "header", sec_header_name(a->kind));
	json_name(out, "mechanisms");
	put_mechanisms(out, &a->header);
	json_name(out, "ipsec_3gpp");
	if (a->has_ipsec)
		put_ipsec(out, &a->ipsec);
	else
		json_put_null(out);
	json_close(out, '}');
}

void agreement_suite_json(struct json_out *out, const struct ipsec_suite *suite)
{
	const struct ipsec_offer offer = {
		.alg = span_of(ipsec_alg_name(suite->alg)),
		.ealg = span_of(ipsec_ealg_name(suite->ealg)),
		.prot = span_of(ipsec_prot_name(suite->prot)),
		.mod = span_of(ipsec_mod_name(suite->mod)),
	};

	json_open(out, '{');
	add_offer(out, &offer);
	json_close(out, '}');
}

void agreement_considered_json(struct json_out *out, const struct ipsec3gpp *offered,
			       const struct select_result *result)
{
	json_open(out, '[');
	for (size_t i = 0; offered && i < offered->offer_count; i++) {
		json_open(out, '{');
		add_offer(out, &offered->offers[i]);
		json_add_text(out, "verdict", select_verdict_name(result->verdict[i]));
		json_add_text(out, "why", result->why[i]);
		json_close(out, '}');
	}
	json_close(out, ']');
}

void agreement_select(const struct agreement *a, const struct server_list *mechanisms,
		      const struct select_policy *policy, bool nat, struct select_result *ret)
{
	*ret = (struct select_result){ .found = false };
	if (!a->has_ipsec)
		return;
	if (server_list_has(mechanisms, MECHANISM_IPSEC_3GPP))
		select_offer(&a->ipsec, policy, nat, ret);
	else
		select_nothing(&a->ipsec, "ipsec-3gpp is not among the mechanisms of this listener",
			       ret);
}

void agreement_select_json(struct json_out *out, const struct ipsec3gpp *offered,
			   const struct select_result *result)
{
	json_open(out, '{');
	json_name(out, "selected");
	if (offered && result->found)
		agreement_suite_json(out, &result->chosen);
	else
		json_put_null(out);
	json_name(out, "considered");
	agreement_considered_json(out, offered, result);
	json_close(out, '}');
}

void agreement_compare_json(struct json_out *out, const char *difference)
{
	json_open(out, '{');
	json_add_bool(out, "equal", !difference);
	if (difference)
		json_add_text(out, "difference", difference);
	json_close(out, '}');
}
