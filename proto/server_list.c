/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From configuration texts to the static list of a listener, and from there to Security-Server.
 *
 * Read once when the configuration is read; everything that could be wrong with the list is found
 * then, so that writing it later has nothing to refuse. Each entry is parsed by the parser that
 * reads phones' headers. Kept is its text without q, because the q of a list without any follows
 * from how many entries it has once ipsec-3gpp has become its combinations.
 *
 * Which combinations ipsec-3gpp stands for is select.c's business, what a phone offers nobody's
 * here: the list cannot depend on it (RFC 3329 2.3.1).
 */
#include "proto/server_list.h"

#include <errno.h>
#include <string.h>

#include "proto/sec_build.h"

#define IPSEC_3GPP    "ipsec-3gpp"
#define NUMBERS_BYTES sizeof(";spi-c=4294967295;spi-s=4294967295;port-c=65535;port-s=65535")

/* RFC 3329 2.2 and Appendix A */
static const char *const mechanism_names[] = {
	[MECHANISM_DIGEST] = "digest",
	[MECHANISM_TLS] = "tls",
	[MECHANISM_IPSEC_IKE] = "ipsec-ike",
	[MECHANISM_IPSEC_MAN] = "ipsec-man",
	[MECHANISM_IPSEC_3GPP] = IPSEC_3GPP,
};

/* A d-ver has 32 hex digits: MD5 and what is built on it (RFC 3329 2.2; RFC 3310, RFC 4169). */
static const char *const d_algs[] = {"md5", "md5-sess", "akav1-md5", "akav2-md5"};
static const char *const d_qops[] = {"auth", "auth-int"};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum mechanism_kind mechanism_kind_of(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(mechanism_names); i++) {
		if (span_is(name, mechanism_names[i]))
			return (enum mechanism_kind)i;
	}
	return MECHANISM_OTHER;
}

void server_list_default(struct server_list *ret)
{
	*ret = (struct server_list){
		.entries = {{.kind = MECHANISM_IPSEC_3GPP, .q_milli = -1,
			     .n = sizeof(IPSEC_3GPP) - 1, .name_n = sizeof(IPSEC_3GPP) - 1}},
		.entry_count = 1,
		.text = IPSEC_3GPP,
	};
}

struct span server_entry_name(const struct server_list *list, const struct server_entry *entry)
{
	return (struct span){list->text + entry->offset, entry->name_n};
}

bool server_list_has(const struct server_list *list, enum mechanism_kind kind)
{
	for (size_t i = 0; i < list->entry_count; i++) {
		if (list->entries[i].kind == kind && !list->entries[i].mediasec)
			return true;
	}
	return false;
}

/* ---- reading ---- */

/* A list while it is read. */
struct reader {
	struct server_list list;
	size_t text_n;
	struct text_out why;
};

static bool is_value(const struct sec_mechanism *m, const char *param_name, const char *value)
{
	const struct sec_param *param = sec_mechanism_param(m, param_name);

	return param && span_is(param->value, value);
}

static bool is_one_of(const struct sec_mechanism *m, const char *param_name,
		      const char *const *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_value(m, param_name, values[i]))
			return true;
	}
	return !sec_mechanism_param(m, param_name);
}

static const char *digest_fault(const struct sec_mechanism *m)
{
	if (!is_one_of(m, "d-alg", d_algs, COUNT_OF(d_algs)))
		return "with this d-alg there is no d-ver, which protects the list";
	if (!is_one_of(m, "d-qop", d_qops, COUNT_OF(d_qops)))
		return "d-qop is auth or auth-int";
	if (sec_mechanism_param(m, "d-ver"))
		return "d-ver is a phone's, in Security-Verify";
	return NULL;
}

static const char *ipsec_fault(const struct sec_mechanism *m)
{
	if (is_value(m, "alg", "null") && !is_value(m, "ealg", "aes-gcm"))
		return "alg=null without ealg=aes-gcm has no integrity";
	if (m->param_count > (m->q_milli >= 0 ? 1u : 0u))
		return "it stands for all combinations of the listener and has no parameter but q";
	return NULL;
}

/* Is it fit to stand in a list that nothing else protects? RFC 3329 5. */
static const char *entry_fault(const struct sec_mechanism *m, enum mechanism_kind kind)
{
	switch (kind) {
	case MECHANISM_DIGEST:
		return digest_fault(m);
	case MECHANISM_IPSEC_3GPP:
		return ipsec_fault(m);
	case MECHANISM_TLS:
	case MECHANISM_IPSEC_IKE:
	case MECHANISM_IPSEC_MAN:
	case MECHANISM_OTHER: /* nothing is known of it */
		break;
	}
	return NULL;
}

static int fault(struct reader *r, size_t index, const char *why)
{
	text_out_printf(&r->why, "mechanism %zu: %s", index + 1, why);
	return -EINVAL;
}

/* Values keep their case: what a peer compares byte for byte, as "MD5", is the operator's. */
static int keep_text(struct reader *r, const struct sec_mechanism *m, struct server_entry *entry)
{
	struct text_out out;
	int n;

	text_out_init(&out, r->list.text + r->text_n, sizeof(r->list.text) - r->text_n);
	text_out_lower(&out, m->name);
	for (size_t i = 0; i < m->param_count; i++) {
		const struct sec_param *param = &m->params[i];

		if (span_is(param->name, "q"))
			continue;
		text_out_span(&out, span_of(";"));
		text_out_lower(&out, param->name);
		if (param->kind != SEC_VALUE_NONE)
			text_out_span(&out, span_of("="));
		text_out_span(&out, param->value);
	}
	n = text_out_end(&out);
	if (n < 0)
		return -E2BIG;
	entry->offset = (uint16_t)r->text_n;
	entry->n = (uint16_t)n;
	entry->name_n = (uint16_t)m->name.n;
	r->text_n += (size_t)n;
	return 0;
}

static int take_mechanism(struct reader *r, size_t index, const struct sec_header *parsed)
{
	const struct sec_mechanism *m = &parsed->mechanisms[0];
	struct server_entry entry = {
		.kind = mechanism_kind_of(m->name),
		.mediasec = sec_mechanism_param(m, "mediasec") != NULL,
		.q_milli = m->q_milli,
	};
	const char *why = entry_fault(m, entry.kind);

	if (parsed->mechanism_count > 1)
		why = "more than one mechanism in one text";
	else if (entry.kind == MECHANISM_IPSEC_3GPP && server_list_has(&r->list, entry.kind))
		why = "ipsec-3gpp is there twice";
	if (why)
		return fault(r, index, why);
	if (keep_text(r, m, &entry) < 0) {
		fault(r, index, "the list has more than 1024 bytes");
		return -E2BIG;
	}
	r->list.entries[r->list.entry_count++] = entry;
	return 0;
}

static int read_entry(struct reader *r, size_t index, struct span text)
{
	struct sec_header parsed;
	struct sec_error error;
	int err;

	if (text.n && (memchr(text.p, '\r', text.n) || memchr(text.p, '\n', text.n)))
		return fault(r, index, "a line end in it");
	err = sec_header_parse(&text, 1, &parsed, &error);
	if (err == -ENOMEM) {
		text_out_printf(&r->why, "out of memory");
		return err;
	}
	if (err) {
		text_out_printf(&r->why, "mechanism %zu: %s, at offset %zu", index + 1, error.why,
				error.offset);
		return err;
	}
	err = take_mechanism(r, index, &parsed);
	sec_header_done(&parsed);
	return err;
}

/* How many q's the entry takes, from its own downwards. */
static int q_span(const struct server_entry *entry, size_t suite_max)
{
	return entry->kind == MECHANISM_IPSEC_3GPP && suite_max ? (int)suite_max : 1;
}

/* RFC 3329 2.2: all q differ, also once ipsec-3gpp has become @suite_max entries. In order. */
static int check_q(struct reader *r, size_t suite_max)
{
	const struct server_list *list = &r->list;

	for (size_t i = 0; i < list->entry_count; i++) {
		const struct server_entry *entry = &list->entries[i];
		int lowest = entry->q_milli - q_span(entry, suite_max) + 1;
		int next = i + 1 < list->entry_count ? list->entries[i + 1].q_milli : -1;

		if (entry->q_milli == next) {
			text_out_printf(&r->why, "two mechanisms have the same q");
			return -EINVAL;
		}
		if (lowest <= next) {
			text_out_printf(&r->why, "no room below the q of ipsec-3gpp: its %zu "
					"combinations take steps of 0.001", suite_max);
			return -EINVAL;
		}
	}
	return 0;
}

/* Most preferred first; the order of the texts where there is no q. */
static void sort(struct server_list *list)
{
	for (size_t i = 1; i < list->entry_count; i++) {
		struct server_entry entry = list->entries[i];
		size_t k = i;

		for (; k > 0 && list->entries[k - 1].q_milli < entry.q_milli; k--)
			list->entries[k] = list->entries[k - 1];
		list->entries[k] = entry;
	}
}

static int check_list(struct reader *r, size_t suite_max)
{
	size_t with_q = 0, signalling = 0;

	for (size_t i = 0; i < r->list.entry_count; i++) {
		with_q += r->list.entries[i].q_milli >= 0;
		signalling += !r->list.entries[i].mediasec;
	}
	if (!signalling) {
		text_out_printf(&r->why, "no mechanism for signalling in the list");
		return -EINVAL;
	}
	if (with_q && with_q < r->list.entry_count) {
		text_out_printf(&r->why, "either all mechanisms have a q or none");
		return -EINVAL;
	}
	return with_q ? check_q(r, suite_max) : 0;
}

int server_list_read(const struct span *entries, size_t entry_count, size_t suite_max,
		     struct server_list *ret, char *ret_why, size_t why_cap)
{
	struct reader r = {.text_n = 0};
	int err;

	text_out_init(&r.why, ret_why, ret_why ? why_cap : 0);
	if (entry_count > SERVER_LIST_MAX_ENTRIES || suite_max > SERVER_LIST_MAX_SUITES) {
		text_out_printf(&r.why, "more than 16 mechanisms, or combinations of ipsec-3gpp");
		return -E2BIG;
	}
	for (size_t i = 0; i < entry_count; i++) {
		err = read_entry(&r, i, entries[i]);
		if (err)
			return err;
	}
	sort(&r.list);
	err = check_list(&r, suite_max);
	if (!err)
		*ret = r.list;
	return err;
}

/* ---- writing ---- */

/* One list on its way into a buffer. */
struct writer {
	struct text_out out;
	size_t total;   /* entries to be written */
	size_t written; /* so far */
};

/* @q_milli as configured, or -1: 0.9, 0.8 ..., with more than nine entries 0.99, 0.98 ... */
static void write_head(struct writer *w, struct span name, int q_milli)
{
	char q[SEC_Q_BYTES];
	int step = w->total <= 9 ? 100 : 10;

	if (q_milli < 0)
		q_milli = (w->total <= 9 ? 900 : 990) - step * (int)w->written;
	sec_build_q_text(q_milli, q);
	text_out_span(&w->out, span_of(w->written++ ? ", " : ""));
	text_out_span(&w->out, name);
	text_out(&w->out, ";q=");
	text_out(&w->out, q);
}

static void write_suites(struct writer *w, int q_milli, const struct ipsec_endpoint *endpoint,
			 const struct ipsec_suite *suites, size_t suite_count)
{
	struct text_out numbers; /* the same in all of them */
	char buf[NUMBERS_BYTES];

	text_out_init(&numbers, buf, sizeof(buf));
	if (endpoint)
		ipsec3gpp_write_endpoint(&numbers, endpoint);
	for (size_t i = 0; i < suite_count; i++) {
		write_head(w, span_of(IPSEC_3GPP), q_milli < 0 ? -1 : q_milli - (int)i);
		ipsec3gpp_write_suite(&w->out, &suites[i]);
		text_out_span(&w->out, (struct span){buf, numbers.n});
	}
}

static void write_entry(struct writer *w, const struct server_list *list,
			const struct server_entry *entry)
{
	const char *text = list->text + entry->offset;

	write_head(w, server_entry_name(list, entry), entry->q_milli);
	text_out_span(&w->out,
		      (struct span){text + entry->name_n, (size_t)(entry->n - entry->name_n)});
}

int server_list_write(const struct server_list *list, const struct ipsec_endpoint *endpoint,
		      const struct ipsec_suite *suites, size_t suite_count, char *buf, size_t cap)
{
	struct writer w = {.total = list->entry_count};

	text_out_init(&w.out, buf, cap);
	if (server_list_has(list, MECHANISM_IPSEC_3GPP))
		w.total += suite_count - 1;
	if (suite_count > SERVER_LIST_MAX_SUITES || w.total == 0)
		return -EINVAL;
	for (size_t i = 0; i < list->entry_count; i++) {
		const struct server_entry *entry = &list->entries[i];

		if (entry->kind == MECHANISM_IPSEC_3GPP)
			write_suites(&w, entry->q_milli, endpoint, suites, suite_count);
		else
			write_entry(&w, list, entry);
	}
	return text_out_end(&w.out);
}
