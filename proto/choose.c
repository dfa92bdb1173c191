/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common mechanism, from both sides of RFC 3329 2.3.1.
 *
 * The server walks its own list, most preferred first, and takes the first that the phone has too.
 * The phone ranks the list that it received by its q and takes the highest that it knows; it does
 * not go on to the next when that one cannot start, because just that is what an attacker who
 * edited a list would like. Both see entries by name; only ipsec-3gpp is looked into, since there
 * an entry is one combination of algorithms and not the whole mechanism.
 *
 * Nothing is started here, and no list is changed: choosing has no influence on what is sent.
 */
#include "proto/choose.h"

#include <errno.h>

const char *choose_start_name(enum choose_start start)
{
	switch (start) {
	case CHOOSE_START_CHALLENGE:
		return "challenge";
	case CHOOSE_START_TLS_CONNECTION:
		return "tls connection";
	case CHOOSE_START_SA_OFFER:
		return "sa.offer";
	case CHOOSE_START_UNKNOWN:
		return "nothing known";
	}
	return "?";
}

/* RFC 3329 2.4: ipsec-ike and ipsec-man are set up out of band. */
enum choose_start choose_start_of(enum mechanism_kind kind)
{
	switch (kind) {
	case MECHANISM_DIGEST:
		return CHOOSE_START_CHALLENGE;
	case MECHANISM_TLS:
		return CHOOSE_START_TLS_CONNECTION;
	case MECHANISM_IPSEC_3GPP:
		return CHOOSE_START_SA_OFFER;
	case MECHANISM_IPSEC_IKE:
	case MECHANISM_IPSEC_MAN:
	case MECHANISM_OTHER:
		break;
	}
	return CHOOSE_START_UNKNOWN;
}

static bool is_for_media(const struct sec_mechanism *m)
{
	return sec_mechanism_param(m, "mediasec") != NULL;
}

/* The first signalling entry @name of @list; its length when there is none. */
static size_t find_signalling(const struct sec_header *list, struct span name)
{
	size_t i = 0;

	while (i < list->mechanism_count && (is_for_media(&list->mechanisms[i]) ||
					     !span_equal_nocase(list->mechanisms[i].name, name)))
		i++;
	return i;
}

int choose_for_server(const struct server_list *server, const struct sec_header *client,
		      bool ipsec_usable, struct choose_common *ret)
{
	for (size_t i = 0; i < server->entry_count; i++) {
		const struct server_entry *entry = &server->entries[i];
		size_t at;

		if (entry->mediasec || (entry->kind == MECHANISM_IPSEC_3GPP && !ipsec_usable))
			continue;
		at = find_signalling(client, server_entry_name(server, entry));
		if (at == client->mechanism_count)
			continue;
		*ret = (struct choose_common){entry, at, choose_start_of(entry->kind)};
		return 0;
	}
	return -ENOENT;
}

void choose_by_preference(const struct sec_header *list, size_t *ret_order)
{
	for (size_t i = 0; i < list->mechanism_count; i++) {
		size_t k = i;

		while (k > 0 && list->mechanisms[ret_order[k - 1]].q_milli <
					list->mechanisms[i].q_milli) {
			ret_order[k] = ret_order[k - 1];
			k--;
		}
		ret_order[k] = i;
	}
}

/* The list with nothing in it but @m. */
static struct sec_header only(const struct sec_mechanism *m)
{
	return (struct sec_header){.mechanisms = (struct sec_mechanism *)m, .mechanism_count = 1};
}

static struct span value_or(const struct sec_mechanism *m, const char *param_name,
			    const char *fallback)
{
	const struct sec_param *param = sec_mechanism_param(m, param_name);

	return param ? param->value : span_of(fallback);
}

static bool has_suite(const struct choose_phone *phone, const struct ipsec_suite *suite)
{
	size_t i = 0;

	if (!phone->suites)
		return !ipsec_suite_fault(suite);
	while (i < phone->suite_count && !ipsec_suite_equal(&phone->suites[i], suite))
		i++;
	return i < phone->suite_count && !ipsec_suite_fault(suite);
}

/* Does the phone take this ipsec-3gpp entry? One without algorithms cannot be judged: it is chosen
 * and then fails to start. */
static bool knows_suite(const struct sec_mechanism *m, const struct choose_phone *phone)
{
	const struct ipsec_suite suite = {
		ipsec_alg_of(value_or(m, "alg", "")),
		ipsec_ealg_of(value_or(m, "ealg", "null")),
		ipsec_prot_of(value_or(m, "prot", "esp")),
		ipsec_mod_of(value_or(m, "mod", "trans")),
	};

	return !sec_mechanism_param(m, "alg") || has_suite(phone, &suite);
}

static bool knows(const struct sec_mechanism *m, const struct choose_phone *phone)
{
	enum mechanism_kind kind = mechanism_kind_of(m->name);

	if (kind == MECHANISM_OTHER || !phone->knows[kind] || is_for_media(m))
		return false;
	return kind != MECHANISM_IPSEC_3GPP || knows_suite(m, phone);
}

/* The entry must have its numbers, and all entries the same ones (TS 33.203 7.2 NOTE 1 and 2). */
static const char *missing_for_sas(const struct sec_header *server, const struct sec_mechanism *m,
				   const struct choose_phone *phone, struct sec_error *error)
{
	struct sec_header one = only(m);
	struct ipsec3gpp ipsec;
	int r = ipsec3gpp_read(&one, SEC_SERVER, &ipsec, error);

	if (r == -ENOENT)
		return "ipsec-3gpp is chosen, but has no algorithms, SPIs and ports";
	if (!r)
		r = ipsec3gpp_read(server, SEC_SERVER, &ipsec, error);
	if (r)
		return error->why;
	return phone->has_challenge ? NULL : "ipsec-3gpp is chosen, but there is no challenge to "
					     "make its keys from";
}

/* NULL, or what is missing to start @m. */
static const char *missing_to_start(const struct sec_header *server, const struct sec_mechanism *m,
				    const struct choose_phone *phone, struct sec_error *error)
{
	switch (choose_start_of(mechanism_kind_of(m->name))) {
	case CHOOSE_START_CHALLENGE:
		return phone->has_challenge ? NULL : "digest is chosen, but there is no challenge";
	case CHOOSE_START_SA_OFFER:
		return missing_for_sas(server, m, phone, error);
	case CHOOSE_START_TLS_CONNECTION:
	case CHOOSE_START_UNKNOWN:
		break;
	}
	return NULL;
}

int choose_for_phone(const struct sec_header *server, const struct choose_phone *phone,
		     size_t *ret_index, char *ret_why, size_t why_cap)
{
	size_t order[SEC_MAX_MECHANISMS];
	struct sec_error error = {.line = 0};
	struct text_out why;
	const char *missing;
	size_t i = 0;

	text_out_init(&why, ret_why, ret_why ? why_cap : 0);
	choose_by_preference(server, order);
	while (i < server->mechanism_count && !knows(&server->mechanisms[order[i]], phone))
		i++;
	if (i == server->mechanism_count) {
		text_out_printf(&why, "no mechanism of Security-Server is known");
		return -ENOENT;
	}
	missing = missing_to_start(server, &server->mechanisms[order[i]], phone, &error);
	if (missing) {
		text_out_printf(&why, "%s", missing);
		return -ECANCELED;
	}
	*ret_index = order[i];
	return 0;
}

/* As it was received: the spans of a mechanism stand in one piece of text, from its name to the end
 * of its last parameter. */
static struct span source_of(const struct sec_mechanism *m)
{
	struct span last = m->param_count ? m->params[m->param_count - 1].value : m->name;

	return (struct span){m->name.p, (size_t)(last.p + last.n - m->name.p)};
}

static void write_unfolded(struct text_out *out, struct span s)
{
	for (size_t i = 0; i < s.n;) {
		size_t fold = text_fold((struct span){s.p + i, s.n - i});

		text_out_span(out, fold ? span_of(" ") : (struct span){s.p + i, 1});
		i += fold ? fold : 1;
	}
}

static bool takes_d_ver(const struct sec_header *list, size_t index)
{
	return index < list->mechanism_count &&
	       span_is(list->mechanisms[index].name, "digest") &&
	       !sec_mechanism_param(&list->mechanisms[index], "d-ver");
}

int choose_mirror(const struct sec_header *server, const char *d_ver, size_t digest_index,
		  char *buf, size_t cap)
{
	struct text_out out;

	text_out_init(&out, buf, cap);
	if (d_ver && !takes_d_ver(server, digest_index))
		return -EINVAL;
	for (size_t i = 0; i < server->mechanism_count; i++) {
		if (i)
			text_out_span(&out, span_of(", "));
		write_unfolded(&out, source_of(&server->mechanisms[i]));
		if (d_ver && i == digest_index)
			text_out_printf(&out, ";d-ver=\"%s\"", d_ver);
	}
	return text_out_end(&out);
}

/* A missing q counts as 1: then the side that gives none leaves the choice to the other. */
static uint32_t q_or_one(const struct sec_mechanism *m)
{
	return m->q_milli < 0 ? 1000 : (uint32_t)m->q_milli;
}

int choose_best_score(const struct sec_header *server, const struct sec_header *client,
		      size_t *ret_server_index, size_t *ret_client_index, uint32_t *ret_score)
{
	bool found = false;
	uint32_t best = 0;

	for (size_t i = 0; i < server->mechanism_count; i++) {
		const struct sec_mechanism *s = &server->mechanisms[i];

		for (size_t k = 0; k < client->mechanism_count && !is_for_media(s); k++) {
			const struct sec_mechanism *c = &client->mechanisms[k];
			uint32_t score = q_or_one(s) * q_or_one(c);

			if (is_for_media(c) || !span_equal_nocase(s->name, c->name) ||
			    (found && score <= best))
				continue;
			found = true;
			best = score;
			*ret_server_index = i;
			*ret_client_index = k;
		}
	}
	if (!found)
		return -ENOENT;
	*ret_score = best;
	return 0;
}
