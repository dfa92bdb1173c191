/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security headers, selections and comparisons as JSON.
 *
 * The forms here are promises to programs: keys keep their names and their order. Names and tokens
 * are written in lower case (RFC 3261 7.3.1 folds them), quoted strings as the phone wrote them.
 * An agreement is read whole, turned into JSON as often as wanted, and freed; the JSON owns copies.
 *
 * What it deliberately does not do: judge. Whether a header is right is said by proto/, who gets
 * which answer by the daemon; errors have no JSON here because the two programs wrap them
 * differently.
 */
#include "daemon/agreement_json.h"

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

static json_t *word_json(struct span word)
{
	char text[SEC_MAX_WORD_BYTES];
	size_t n = word.n < sizeof(text) ? word.n : sizeof(text);

	for (size_t i = 0; i < n; i++)
		text[i] = lower(word.p[i]);
	return json_stringn(text, n);
}

/* JSON is UTF-8, and so is every quoted string that got through proto/; but a sentence about one
 * may have been cut in the middle of a character. Such a text shows its odd bytes as '?'. */
static json_t *text_json(struct span text)
{
	char ascii[2 * SEC_MAX_WORD_BYTES];
	size_t n = text.n < sizeof(ascii) ? text.n : sizeof(ascii);
	json_t *json = json_stringn(text.p, text.n);

	if (json)
		return json;
	for (size_t i = 0; i < n; i++)
		ascii[i] = (unsigned char)text.p[i] < 0x80 ? text.p[i] : '?';
	return json_stringn(ascii, n);
}

static json_t *value_json(const struct sec_param *param)
{
	switch (param->kind) {
	case SEC_VALUE_NONE:
		return json_null();
	case SEC_VALUE_TOKEN:
		return word_json(param->value);
	case SEC_VALUE_QUOTED:
		return text_json(param->value);
	}
	return NULL;
}

static json_t *params_json(const struct sec_mechanism *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->param_count; i++) {
		const struct sec_param *param = &m->params[i];
		json_t *pair;

		if (span_is(param->name, "q"))
			continue;
		pair = json_pack("[o, o]", word_json(param->name), value_json(param));
		if (json_array_append_new(list, pair) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *mechanisms_json(const struct sec_header *header)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < header->mechanism_count; i++) {
		const struct sec_mechanism *m = &header->mechanisms[i];
		json_t *q = m->q_milli < 0 ? json_null() : json_real(m->q_milli / 1000.0);
		json_t *entry = json_pack("{s:o, s:o, s:o}", "name", word_json(m->name), "q", q,
					  "parameters", params_json(m));

		if (json_array_append_new(list, entry) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The combination in the phone's words: an algorithm that we do not know keeps its name. */
static json_t *offer_json(const struct ipsec_offer *offer)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "alg", word_json(offer->alg), "ealg",
			 word_json(offer->ealg), "prot", word_json(offer->prot), "mod",
			 word_json(offer->mod));
}

static json_t *offers_json(const struct ipsec3gpp *ipsec)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < ipsec->offer_count; i++) {
		const struct ipsec_offer *offer = &ipsec->offers[i];
		bool usable = !ipsec_suite_fault(&offer->suite) &&
			      ipsec_suite_in_profile(&offer->suite, ipsec->endpoint.dialect);
		json_t *entry = offer_json(offer);

		if (json_object_set_new(entry, "usable", json_boolean(usable)) < 0 ||
		    json_array_append(list, entry) < 0) {
			json_decref(entry);
			json_decref(list);
			return NULL;
		}
		json_decref(entry);
	}
	return list;
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

static json_t *number_json(uint32_t value)
{
	return value ? json_integer(value) : json_null();
}

int agreement_endpoint_add_json(const struct ipsec_endpoint *endpoint, json_t *object)
{
	json_t *numbers = NULL;
	int r;

	switch (endpoint->dialect) {
	case IPSEC_DIALECT_24229:
		numbers = json_pack("{s:o, s:o, s:o, s:o}", "spi_c", number_json(endpoint->spi_c),
				    "spi_s", number_json(endpoint->spi_s), "port_c",
				    number_json(endpoint->port_c), "port_s",
				    number_json(endpoint->port_s));
		break;
	case IPSEC_DIALECT_RFC3329:
		numbers = json_pack("{s:o, s:o, s:o}", "spi", number_json(endpoint->spi), "port1",
				    number_json(endpoint->port1), "port2",
				    number_json(endpoint->port2));
		break;
	}
	r = json_object_update(object, numbers);
	json_decref(numbers);
	return r < 0 ? -ENOMEM : 0;
}

static json_t *ipsec_json(const struct ipsec3gpp *ipsec)
{
	json_t *object =
		json_pack("{s:s}", "dialect", agreement_dialect_name(ipsec->endpoint.dialect));

	if (agreement_endpoint_add_json(&ipsec->endpoint, object) < 0 ||
	    json_object_set_new(object, "offers", offers_json(ipsec)) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *agreement_parse_json(const struct agreement *a)
{
	return json_pack("{s:s, s:o, s:o}", "header", sec_header_name(a->kind), "mechanisms",
			 mechanisms_json(&a->header), "ipsec_3gpp",
			 a->has_ipsec ? ipsec_json(&a->ipsec) : json_null());
}

json_t *agreement_suite_json(const struct ipsec_suite *suite)
{
	struct ipsec_offer offer = {
		.alg = span_of(ipsec_alg_name(suite->alg)),
		.ealg = span_of(ipsec_ealg_name(suite->ealg)),
		.prot = span_of(ipsec_prot_name(suite->prot)),
		.mod = span_of(ipsec_mod_name(suite->mod)),
	};

	return offer_json(&offer);
}

json_t *agreement_considered_json(const struct ipsec3gpp *offered,
				  const struct select_result *result)
{
	json_t *list = json_array();

	for (size_t i = 0; list && offered && i < offered->offer_count; i++) {
		json_t *entry = offer_json(&offered->offers[i]);
		const char *verdict = select_verdict_name(result->verdict[i]);

		if (json_object_set_new(entry, "verdict", json_string(verdict)) < 0 ||
		    json_object_set_new(entry, "why", json_string(result->why[i])) < 0 ||
		    json_array_append(list, entry) < 0) {
			json_decref(entry);
			json_decref(list);
			return NULL;
		}
		json_decref(entry);
	}
	return list;
}

json_t *agreement_select_json(const struct ipsec3gpp *offered, const struct select_result *result)
{
	bool found = offered && result->found;

	return json_pack("{s:o, s:o}", "selected",
			 found ? agreement_suite_json(&result->chosen) : json_null(), "considered",
			 agreement_considered_json(offered, result));
}

json_t *agreement_compare_json(const char *difference)
{
	if (!difference)
		return json_pack("{s:b}", "equal", 1);
	return json_pack("{s:b, s:o}", "equal", 0, "difference", text_json(span_of(difference)));
}
