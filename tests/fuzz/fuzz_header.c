/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security-Client, -Server and -Verify: reading, writing, building, comparing, choosing.
 *
 * The input is up to three lists, an empty line between them. The lines of a list are header lines:
 * a line that begins with white space belongs to the one before it. Each list goes through all that
 * reads lists, whatever it is for; neighbours are compared with each other.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/packed.h"
#include "proto/choose.h"
#include "proto/compare.h"
#include "proto/digest.h"
#include "proto/option_tag.h"
#include "proto/sec_build.h"
#include "proto/select.h"

#define MAX_LISTS 3

/* Room for what is written of a list: a space more for each comma. */
#define TEXT_BYTES (SEC_MAX_BYTES + 256)

struct list {
	struct span line[SEC_MAX_LINES + 1];
	size_t line_count;
	bool good;
	struct sec_header header;
};

/* ---- equal lists, by another reader than compare.c ---- */

static struct span unquoted(const struct sec_param *param, char buf[static SEC_MAX_WORD_BYTES])
{
	return (struct span){buf, sec_value_unquote(param->value, buf)};
}

static bool same_param(const struct sec_param *a, const struct sec_param *b)
{
	char x[SEC_MAX_WORD_BYTES], y[SEC_MAX_WORD_BYTES];

	if (a->kind != b->kind || !span_equal_nocase(a->name, b->name))
		return false;
	if (a->kind == SEC_VALUE_QUOTED)
		return span_equal(unquoted(a, x), unquoted(b, y));
	return span_equal_nocase(a->value, b->value) || span_is(a->name, "q");
}

static bool same_list(const struct sec_header *a, const struct sec_header *b)
{
	if (a->mechanism_count != b->mechanism_count)
		return false;
	for (size_t i = 0; i < a->mechanism_count; i++) {
		const struct sec_mechanism *m = &a->mechanisms[i], *n = &b->mechanisms[i];

		if (!span_equal_nocase(m->name, n->name) || m->q_milli != n->q_milli ||
		    m->param_count != n->param_count)
			return false;
		for (size_t k = 0; k < m->param_count; k++) {
			if (!same_param(&m->params[k], &n->params[k]))
				return false;
		}
	}
	return true;
}

/* @text is a list that is equal to @expected, unless it has become too long to be one. */
static void check_reads_back(struct span text, const struct sec_header *expected)
{
	const struct span line = fuzz_copy(text);
	struct sec_header again;

	if (text.n <= SEC_MAX_BYTES) {
		CHECK(sec_header_parse(&line, 1, &again, NULL) == 0);
		CHECK(same_list(expected, &again));
		CHECK(compare_lists(expected, &again, COMPARE_STRICT, NULL, 0));
		CHECK(compare_lists(&again, expected, COMPARE_LENIENT, NULL, 0));
		sec_header_done(&again);
	}
	fuzz_free(line);
}

/* ---- one list ---- */

static void check_error(const struct list *l, int err, const struct sec_error *error)
{
	CHECK(err == -EINVAL || err == -E2BIG);
	CHECK(error->why[0] && fuzz_is_printable(error->why));
	CHECK(error->line < l->line_count || (!error->line && !error->offset));
	CHECK(!l->line_count || error->offset <= l->line[error->line].n);
}

static void check_written(const struct sec_header *h)
{
	static char text[TEXT_BYTES], again[TEXT_BYTES];
	const int n = sec_header_write(h, text, sizeof(text));
	struct sec_header second;
	struct span line;

	CHECK(n > 0 && strlen(text) == (size_t)n);
	CHECK(sec_header_write(h, again, (size_t)n) == -ENOSPC && !again[0]);
	check_reads_back(span_of(text), h);
	line = span_of(text);
	if (sec_header_parse(&line, 1, &second, NULL) < 0)
		return;
	CHECK(sec_header_write(&second, again, sizeof(again)) == n && !strcmp(text, again));
	sec_header_done(&second);
}

static int build_param(struct sec_build *build, const struct sec_mechanism *m,
		       const struct sec_param *param)
{
	char buf[SEC_MAX_WORD_BYTES];

	if (span_is(param->name, "q"))
		return sec_build_q(build, m->q_milli);
	switch (param->kind) {
	case SEC_VALUE_NONE:
		return sec_build_flag(build, param->name);
	case SEC_VALUE_TOKEN:
		return sec_build_token(build, param->name, param->value);
	case SEC_VALUE_QUOTED:
		return sec_build_quoted(build, param->name, unquoted(param, buf));
	}
	return -EINVAL;
}

/* Building is stricter than reading; but what it builds can be read. */
static void check_built(const struct sec_header *h)
{
	static char text[TEXT_BYTES];
	struct sec_build build;
	struct sec_header built;
	bool whole = true;
	int n;

	CHECK(sec_build_init(&build, NULL) == 0);
	for (size_t i = 0; i < h->mechanism_count; i++) {
		const struct sec_mechanism *m = &h->mechanisms[i];

		if (sec_build_mechanism(&build, m->name) < 0) {
			whole = false;
			continue;
		}
		for (size_t k = 0; k < m->param_count; k++)
			whole &= build_param(&build, m, &m->params[k]) == 0;
	}
	if (sec_build_finish(&build, &built) == 0) {
		CHECK(!whole || same_list(h, &built));
		n = sec_header_write(&built, text, sizeof(text));
		CHECK(n > 0 && n <= SEC_MAX_BYTES);
		check_reads_back(span_of(text), &built);
		sec_header_done(&built);
	} else {
		CHECK(!build.mechanism_count);
	}
	sec_build_done(&build);
}

/* ---- ipsec-3gpp ---- */

static bool same_endpoint(const struct ipsec_endpoint *a, const struct ipsec_endpoint *b)
{
	if (a->dialect != b->dialect)
		return false;
	if (a->dialect == IPSEC_DIALECT_RFC3329)
		return a->spi == b->spi && a->port1 == b->port1 && a->port2 == b->port2;
	return a->spi_c == b->spi_c && a->spi_s == b->spi_s && a->port_c == b->port_c &&
	       a->port_s == b->port_s;
}

/* What we answer is what the phone reads. */
static void check_answer(const struct ipsec_endpoint *endpoint, const struct ipsec_suite *suites,
			 size_t count)
{
	static char text[SERVER_LIST_WRITE_BYTES];
	const int n = ipsec3gpp_write(endpoint, suites, count, true, text, sizeof(text));
	struct sec_header header;
	struct ipsec3gpp read;
	struct span line;

	CHECK(n > 0);
	line = span_of(text);
	CHECK(sec_header_parse(&line, 1, &header, NULL) == 0);
	CHECK(ipsec3gpp_read(&header, SEC_SERVER, &read, NULL) == 0);
	CHECK(same_endpoint(&read.endpoint, endpoint) && read.offer_count == count);
	for (size_t i = 0; i < count; i++)
		CHECK(ipsec_suite_equal(&read.offers[i].suite, &suites[i]) &&
		      !read.offers[i].fault);
	sec_header_done(&header);
}

static void check_selection(const struct ipsec3gpp *offered, const struct select_policy *policy,
			    bool nat)
{
	struct ipsec_suite suites[SELECT_MAX_PAIRS];
	struct select_result result;
	size_t count;

	select_offer(offered, policy, nat, &result);
	for (size_t i = 0; i < offered->offer_count; i++)
		CHECK(result.why[i][0] && fuzz_is_printable(result.why[i]));
	if (!result.found)
		return;
	CHECK(result.chosen_index < offered->offer_count);
	CHECK(result.verdict[result.chosen_index] == SELECT_CHOSEN);
	CHECK(!ipsec_suite_fault(&result.chosen));
	CHECK((result.chosen.mod == IPSEC_MOD_UDP_ENC_TUN) == nat);
	count = select_supported(policy, &result.chosen, suites);
	CHECK(count >= 1);
	check_answer(&offered->endpoint, suites, count);
}

static void check_endpoint(const struct ipsec_endpoint *e)
{
	if (e->dialect == IPSEC_DIALECT_24229)
		CHECK(e->spi_c && e->spi_s && e->spi_c != e->spi_s && e->port_c && e->port_s &&
		      e->port_c != e->port_s);
	else
		CHECK(e->spi && e->port1);
}

static void check_ipsec(const struct list *l)
{
	static const enum sec_header_kind KINDS[] = {SEC_CLIENT, SEC_SERVER, SEC_VERIFY};
	struct select_policy policy;
	struct ipsec3gpp read;
	struct sec_error error;

	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		const int err = ipsec3gpp_read(&l->header, KINDS[i], &read, &error);

		if (err && err != -ENOENT)
			check_error(l, err, &error);
		if (err)
			continue;
		CHECK(read.offer_count >= 1 && read.offer_count <= l->header.mechanism_count);
		check_endpoint(&read.endpoint);
		select_policy_default(&policy);
		check_selection(&read, &policy, false);
		check_selection(&read, &policy, true);
		policy.encryption = SELECT_ENCRYPTION_OFF;
		policy.ah = policy.tun = true;
		check_selection(&read, &policy, false);
		policy.encryption = SELECT_ENCRYPTION_REQUIRED;
		check_selection(&read, &policy, true);
	}
}

/* ---- the server's list, from configuration ---- */

static void check_server_list(const struct list *l)
{
	static const struct ipsec_endpoint OURS = {.dialect = IPSEC_DIALECT_24229,
						   .spi_c = 1000,
						   .spi_s = 1001,
						   .port_c = 6104,
						   .port_s = 6100};
	static const struct ipsec_suite PLAIN = {.prot = IPSEC_PROT_ESP, .mod = IPSEC_MOD_TRANS};
	const struct ipsec_endpoint *const endpoints[] = {NULL, &OURS};
	struct ipsec_suite suites[SELECT_MAX_PAIRS];
	char text[SERVER_LIST_WRITE_BYTES], why[200] = "";
	struct select_policy policy;
	struct server_list list;
	struct sec_header header;
	size_t count;

	select_policy_default(&policy);
	count = select_supported(&policy, &PLAIN, suites);
	if (server_list_read(l->line, l->line_count, count, &list, why, sizeof(why)) < 0) {
		CHECK(why[0]);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		const int n = server_list_write(&list, endpoints[i], suites, count, text,
						sizeof(text));
		const struct span line = span_of(text);

		CHECK(n > 0);
		CHECK(sec_header_parse(&line, 1, &header, NULL) == 0);
		for (size_t k = 0; k < header.mechanism_count; k++)
			CHECK(header.mechanisms[k].q_milli >= 0);
		sec_header_done(&header);
	}
}

/* ---- the phone's side ---- */

static void check_order(const struct sec_header *h)
{
	size_t order[SEC_MAX_MECHANISMS];
	bool seen[SEC_MAX_MECHANISMS] = {false};

	choose_by_preference(h, order);
	for (size_t i = 0; i < h->mechanism_count; i++) {
		CHECK(order[i] < h->mechanism_count && !seen[order[i]]);
		seen[order[i]] = true;
		CHECK(!i || h->mechanisms[order[i - 1]].q_milli >= h->mechanisms[order[i]].q_milli);
	}
}

static void check_choice(const struct sec_header *h)
{
	static const struct choose_phone PHONE = {
		.knows = {true, true, true, true, true},
		.has_challenge = true,
	};
	char why[200] = "";
	size_t index;
	const int err = choose_for_phone(h, &PHONE, &index, why, sizeof(why));

	CHECK(!err || err == -ENOENT || err == -ECANCELED);
	CHECK(err || index < h->mechanism_count);
	CHECK(err != -ECANCELED || (why[0] && fuzz_is_printable(why)));
}

/* Security-Verify says again what Security-Server said, with d-ver in a digest entry. */
static void check_mirror(const struct sec_header *h)
{
	static const char D_VER[] = "0123456789abcdef0123456789abcdef";
	static char text[TEXT_BYTES];
	struct sec_header verify;
	struct span line, d_ver;
	int n = choose_mirror(h, NULL, 0, text, sizeof(text));

	CHECK(n > 0);
	check_reads_back(span_of(text), h);
	for (size_t i = 0; i < h->mechanism_count; i++) {
		n = choose_mirror(h, D_VER, i, text, sizeof(text));
		CHECK(n > 0 || n == -EINVAL || n == -ENOSPC);
		line = span_of(text);
		if (n <= 0 || sec_header_parse(&line, 1, &verify, NULL) < 0)
			continue;
		CHECK(compare_lists(h, &verify, COMPARE_STRICT, NULL, 0));
		d_ver = digest_d_ver_of(&verify);
		CHECK(d_ver.n);
		sec_header_done(&verify);
		break;
	}
}

/* Not the same list: in quoted strings too, white space has become one SP. */
static void check_digest(const struct list *l)
{
	static const struct digest_input INPUT = {.algorithm = DIGEST_MD5,
						  .qop = DIGEST_QOP_AUTH,
						  .method = {"REGISTER", 8},
						  .uri = {"sip:ims.example", 15},
						  .nonce = {"n", 1},
						  .nc = {"00000001", 8},
						  .cnonce = {"c", 1}};
	static const char HA1[] = "0123456789abcdef0123456789abcdef";
	static char text[DIGEST_TEXT_BYTES];
	char d_ver[DIGEST_HEX_BYTES];
	struct sec_header again;
	struct span line;
	int n;

	CHECK(digest_server_text(l->line, l->line_count, DIGEST_WHOLE_FIELD, text, sizeof(text)) >
	      0);
	CHECK(digest_d_ver(&INPUT, HA1, span_of(text), d_ver) == 0);
	CHECK(digest_d_ver_verify(&INPUT, HA1, l->line, l->line_count, false, span_of(d_ver)) == 0);
	n = digest_server_text(l->line, l->line_count, DIGEST_VALUE_ONLY, text, sizeof(text));
	CHECK(n > 0);
	line = (struct span){text, (size_t)n};
	if (n > SEC_MAX_BYTES)
		return;
	CHECK(sec_header_parse(&line, 1, &again, NULL) == 0);
	CHECK(again.mechanism_count == l->header.mechanism_count);
	sec_header_done(&again);
}

static void check_list(struct list *l)
{
	struct sec_error error = {0};
	const int err = sec_header_parse(l->line, l->line_count, &l->header, &error);

	l->good = !err;
	check_server_list(l);
	if (err) {
		check_error(l, err, &error);
		return;
	}
	check_written(&l->header);
	check_built(&l->header);
	check_ipsec(l);
	check_order(&l->header);
	check_choice(&l->header);
	check_mirror(&l->header);
	check_digest(l);
}

/* ---- two lists, and three ---- */

static bool equal(const struct list *a, const struct list *b, enum compare_mode mode)
{
	char why[300];
	const bool is_equal = compare_lists(&a->header, &b->header, mode, why, sizeof(why));

	CHECK(is_equal == !why[0] && fuzz_is_printable(why));
	CHECK(compare_lists(&b->header, &a->header, mode, NULL, 0) == is_equal);
	return is_equal;
}

static void check_pair(const struct list *a, const struct list *b)
{
	size_t i, k;
	uint32_t score;

	CHECK(!equal(a, b, COMPARE_STRICT) || equal(a, b, COMPARE_LENIENT));
	if (choose_best_score(&a->header, &b->header, &i, &k, &score) == 0)
		CHECK(i < a->header.mechanism_count && k < b->header.mechanism_count &&
		      score <= 1000000);
}

static void check_lists(struct list *lists, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k <= i; k++) {
			if (lists[i].good && lists[k].good)
				check_pair(&lists[i], &lists[k]);
		}
		if (lists[i].good)
			CHECK(equal(&lists[i], &lists[i], COMPARE_STRICT));
	}
	if (count == MAX_LISTS && lists[0].good && lists[1].good && lists[2].good &&
	    equal(&lists[0], &lists[1], COMPARE_STRICT) &&
	    equal(&lists[1], &lists[2], COMPARE_STRICT))
		CHECK(equal(&lists[0], &lists[2], COMPARE_STRICT));
}

/* ---- the input ---- */

/* One header line with its folds. */
static struct span header_line(struct span *rest)
{
	struct span line = fuzz_line(rest);

	while (rest->n && text_is_wsp((unsigned char)*rest->p))
		line.n += 1 + fuzz_line(rest).n;
	return line;
}

static size_t split(struct span rest, struct list *lists)
{
	size_t count = 0;

	while (rest.n && count < MAX_LISTS) {
		struct list *l = &lists[count++];

		while (rest.n && *rest.p != '\n') {
			const struct span line = header_line(&rest);

			if (l->line_count <= SEC_MAX_LINES)
				l->line[l->line_count++] = fuzz_copy(line);
		}
		fuzz_line(&rest);
	}
	return count;
}

static void done(struct list *lists, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < lists[i].line_count; k++)
			fuzz_free(lists[i].line[k]);
		if (lists[i].good)
			sec_header_done(&lists[i].header);
	}
}

/* What a set keeps of it. */
static void check_packed(struct span text)
{
	struct packed *packed;
	char *read;

	if (text.n >= PACKED_TEXT_BYTES || memchr(text.p, '\0', text.n))
		return;
	packed = packed_new(text);
	read = malloc(text.n);
	CHECK(packed_text_bytes(packed) == text.n);
	CHECK(packed_read(packed, read) == read + text.n);
	CHECK(!memcmp(read, text.p, text.n));
	free(packed);
	free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list lists[MAX_LISTS] = {0}, whole = {.line_count = 1};
	const struct span text = {(const char *)data, size};
	const size_t count = split(text, lists);

	fuzz_begin();
	for (size_t i = 0; i < count; i++)
		check_list(&lists[i]);
	check_lists(lists, count);
	whole.line[0] = fuzz_copy(text);
	check_list(&whole);
	check_packed(text);
	done(lists, count);
	done(&whole, 1);
	return 0;
}
